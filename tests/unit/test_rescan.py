"""A thread looks through the whole market while the loop writes on."""

import threading
from random import Random

import pytest

from mevfast._rescan import Rescan
from tests import frames, market
from tests.market import pool_address, search_of, token
from tests.pools import EXAMPLES, id_of, tokens_of


def states_of(table):
    return [{k: v for k, v in table.read(slot).items()} for slot in table.slots()]


@pytest.mark.parametrize("seed", range(20))
def test_it_looks_where_the_search_finds_plans(seed: int) -> None:
    search = search_of(market.random_market(seed, noise=0.01))
    rescan = Rescan(search)
    search.configure(max_plans=16, max_sized=1024)
    plans = search.find(gas_price=10**7)
    wanted = [hop["pool"] for plan in plans for hop in plan["hops"]]
    assert rescan.look(10**7) == list(dict.fromkeys(wanted))


def test_it_follows_pools_of_every_kind_that_come_change_and_go() -> None:
    search = search_of([])
    table = search.table
    # search_of leaves room for one pool: a table of its own for more
    table = type(table)(64, 1 << 12)
    search = type(search)(table, [token(0)], token(0))
    for kind, state in EXAMPLES.items():
        search.add_pool(table.put(id_of(kind), kind, tokens_of(kind), state, 1))
    rescan = Rescan(search)
    assert rescan.follow() == len(EXAMPLES)
    assert rescan.follow() == 0
    assert states_of(rescan.copy) == states_of(table)
    gone = table.slot(id_of("curve_stable"))
    search.remove_pool(gone)
    table.remove(gone)
    late = market.token(77)
    v2 = {"reserve0": 5, "reserve1": 7, "fee_pips": 3000}
    slot = table.put(pool_address(1), "uniswap_v2", [late, tokens_of("uniswap_v2")[0]], v2, 2)
    assert slot == gone
    search.add_pool(slot)
    table.mark_stale(table.slot(id_of("uniswap_v3")))
    assert rescan.follow() == 2
    assert states_of(rescan.copy) == states_of(table)
    assert rescan.search.n_pools == search.n_pools
    assert rescan.unread == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_later_look_knows_no_more_of_the_earlier_one(seed: int) -> None:
    """Depths that the search has once worked out must not outlive the states they are of."""
    pools = market.random_market(seed, noise=0.01)
    search = search_of(pools)
    used = Rescan(search)
    used.look(10**7)
    table, chance = search.table, Random(seed)
    for slot in table.slots():
        fields = table.read(slot)
        if fields["kind"] == "uniswap_v2":
            for name in ("reserve0", "reserve1"):
                fields[name] = int(fields[name] * chance.uniform(0.9, 1.1))
            state = {name: fields[name] for name in ("reserve0", "reserve1", "fee_pips")}
            table.put(fields["id"], fields["kind"], list(fields["tokens"]), state, 2)
            search.refresh_pool(slot)
        elif chance.random() < 0.5:
            table.mark_stale(slot)
    assert used.look(10**7) == Rescan(search).look(10**7)


def test_a_plan_through_pools_that_moved_since_is_found() -> None:
    def pool(price: float) -> market.Pool:
        return market.v3_pool((0, 1), price, [(-6000, 6000, 10**22)], 500, 10)

    search = search_of([pool(price) for price in (1.00, 0.909, 1.05, 1.20)])
    search.configure(max_hops=2, max_plans=16, max_sized=1024)
    rescan = Rescan(search)
    assert rescan.look()
    for slot in (1, 3):
        search.table.mark_stale(slot)
        search.refresh_pool(slot)
    search.add_pool(
        search.table.put(pool_address(0), "uniswap_v3", [token(0), token(1)], pool(1.30), 2)
    )
    (plan,) = search.find()
    assert rescan.look() == [hop["pool"] for hop in plan["hops"]]


def test_a_pool_that_is_searched_only_later_is_not_forgotten() -> None:
    pools = market.random_market(3, noise=0.01)
    search = search_of(pools)
    late = search.table.slot(pool_address(0))
    search.remove_pool(late)
    rescan = Rescan(search)
    rescan.look()
    assert rescan.search.n_pools == len(pools) - 1
    search.add_pool(late)
    search.table.mark_stale(late)  # any change of the slot
    rescan.look()
    assert rescan.search.n_pools == len(pools)


def test_what_it_reads_while_the_loop_writes_is_whole() -> None:
    """Reserves of the writer keep their product; a torn slot would not."""
    search = search_of([market.v2_pool((0, 1), 1.0, 1e18, 3000) for _ in range(8)])
    table = search.table
    rescan = Rescan(search)
    base = 10**18
    logs = [
        frames.v2_sync(pool_address(i % 8), base + n, 2 * base - n, block=2 + n, index=i)
        for n, i in ((Random(i).randrange(10**17), i) for i in range(400))
    ]
    stop = threading.Event()
    torn = []

    def look() -> None:
        while not stop.is_set():
            rescan.look()
            for slot in rescan.copy.slots():
                read = rescan.copy.read(slot)
                if read["block"] > 1 and read["reserve0"] + read["reserve1"] != 3 * base:
                    torn.append(read)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(30):
        table.replay(logs, 200)
        for i in range(8):
            table.put(pool_address(i), "uniswap_v2", [token(0), token(1)],
                      {"reserve0": base, "reserve1": 2 * base, "fee_pips": 3000}, 0)  # fmt: skip
    stop.set()
    reader.join()
    assert torn == []
    rescan.follow()
    assert states_of(rescan.copy) == states_of(table)
