"""The table's memory: every kind, pools without a state, slots and chunks that are used again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevfast._cache import Table
from mevfast._pool import Pool, Quote
from mevfast._search import Search
from mevfast._slots import KINDS
from mevfast.errors import DataError
from tests import frames, market
from tests.frames import address
from tests.pools import EXAMPLES, id_of, tokens_of

A, B, C = (address(i) for i in range(1, 4))
TOKENS = (address(4), address(5))
V2 = {"reserve0": 10**21, "reserve1": 3 * 10**9, "fee_pips": 3000}


def filled(undo_bytes: int = 1 << 20) -> Table:
    table = Table(32, 4096, undo_bytes=undo_bytes)
    for kind, state in EXAMPLES.items():
        table.put(id_of(kind), kind, tokens_of(kind), state, 7)
    return table


# ---- kinds ----


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_out_as_it_was_put(kind: str) -> None:
    table = filled()
    slot = table.slot(id_of(kind))
    assert slot is not None
    read = table.read(slot)
    assert {key: read[key] for key in EXAMPLES[kind]} == EXAMPLES[kind]
    assert read["tokens"] == list(tokens_of(kind))
    assert (read["id"], read["address"], read["kind"]) == (id_of(kind), id_of(kind)[:20], kind)
    assert (read["block"], read["loaded_block"], read["stale"]) == (7, 7, False)
    assert table.pool(slot).fields() == EXAMPLES[kind]
    assert table.slot(id_of(kind)[:20]) == slot


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_quotes_every_kind_as_its_pool_does(kind: str) -> None:
    table = filled()
    slot = table.slot(id_of(kind))
    assert slot is not None
    pool = Pool(kind, EXAMPLES[kind])
    for token_in in (0, 1) if pool.n_tokens == 2 else ():
        for amount in (10**6, 10**15, 10**20):
            quote = pool.quote(token_in, amount)
            expected = None
            if isinstance(quote, Quote):
                expected = (quote.amount_in, quote.amount_out, quote.price_after)
            assert table.quote(slot, token_in, amount) == expected


def test_a_pool_is_copied() -> None:
    table, pool = Table(4, 64), Pool("uniswap_v2", V2)
    slot = table.put(A, "uniswap_v2", TOKENS, pool, 1)
    pool.apply(0, 10**18)
    assert table.read(slot)["reserve0"] == V2["reserve0"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "uniswap_v9"}, "kind: expected one of"),
        ({"tokens": TOKENS[:1]}, "pool of 1 tokens, was of a uniswap_v2 pool of 2"),
        ({"id": address(1) + bytes(11)}, "expected 20 or 32 bytes, was 31"),
        ({"state": {"reserve0": 5}}, f"pool 0x{A.hex()}: fee_pips: expected an integer"),
        ({"state": Pool("camelot_v2", EXAMPLES["camelot_v2"])}, "was of a camelot_v2 pool"),
        ({"singleton": bytes(19)}, "singleton: expected an address of 20 bytes, was 19"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    table = Table(4, 64)
    arguments: dict[str, Any] = {
        "id": A,
        "kind": "uniswap_v2",
        "tokens": TOKENS,
        "state": V2,
        "block": 1,
    }
    with pytest.raises(DataError, match=words):
        table.put(**arguments | change)
    assert len(table) == 0


def test_an_id_is_told_from_one_that_starts_alike() -> None:
    table = Table(4, 64)
    slot = table.add(A + b"\1" * 12, "uniswap_v4", TOKENS, C)
    assert table.slot(A + b"\2" * 12) is None
    assert table.slot(A + b"\1" * 12) == slot == table.slot(A)
    with pytest.raises(DataError, match="shares its first 20 bytes"):
        table.add(A + b"\2" * 12, "uniswap_v4", TOKENS, C)
    with pytest.raises(DataError, match="expected 32 bytes, was 20"):
        table.add(B, "uniswap_v4", TOKENS, C)
    with pytest.raises(DataError, match="the singleton that it was added with"):
        table.add(A + b"\1" * 12, "uniswap_v4", TOKENS, B)


# ---- pools without a state ----


def test_a_pool_that_was_never_read_is_stale_and_says_nothing() -> None:
    table = Table(16, 64)
    for kind in KINDS:
        slot = table.add(id_of(kind), kind, tokens_of(kind))
        read = table.read(slot)
        assert (read["stale"], read["loaded_block"], read["block"]) == (True, 0, 0)
        assert not set(EXAMPLES[kind]) & set(read)
        assert table.quote(slot, 0, 10**18) is None
        with pytest.raises(DataError, match="never read"):
            table.pool(slot)
    assert table.stale() == list(range(len(KINDS)))
    assert table.arena_used == 0
    assert list(table.states()) == []


def test_events_of_a_stale_pool_say_from_when_on_it_is_to_be_read() -> None:
    table = Table(4, 64)
    slot = table.add(A, "uniswap_v2", TOKENS)
    assert table.apply(frames.v2_sync(A, 1, 2, block=9, index=3)) == ("stale_noted", slot)
    assert table.apply(frames.v2_sync(A, 1, 2, block=9, index=3)) == ("old", slot)
    assert table.apply(frames.v2_sync(A, 1, 2, block=8)) == ("old", slot)
    read = table.read(slot)
    assert (read["block"], read["log_index"], read["stale"]) == (9, 3, True)
    table.put(A, "uniswap_v2", TOKENS, V2, 9)
    assert table.stale() == []
    assert table.counters()["refreshes"] == 1


def test_events_of_a_pool_under_load_wait() -> None:
    table = Table(4, 64)
    slot = table.add(A, "uniswap_v2", TOKENS)
    table.set_loading([slot], True)
    event = frames.v2_sync(A, 1, 2, block=9)
    assert table.apply(event) == ("waiting", slot)
    assert table.read(slot)["block"] == 0
    table.put(A, "uniswap_v2", TOKENS, V2, 8)  # ends it
    assert table.apply(event) == ("changed", slot)
    table.set_loading([slot], True)
    table.set_loading([slot], False)
    assert table.apply(frames.v2_sync(A, 1, 2, block=10)) == ("changed", slot)


def test_a_log_that_comes_behind_a_later_one_changes_nothing() -> None:
    table = Table(4, 64)
    slot = table.put(A, "uniswap_v2", TOKENS, V2, 7)
    for index in (1, 5, 7):
        table.apply(frames.v2_sync(A, index, 2, block=9, index=index))
    for block, index, what in (
        (9, 4, "out_of_order"), (8, 9, "out_of_order"), (9, 5, "old"), (9, 7, "old"), (7, 0, "old"),
    ):  # fmt: skip
        assert table.apply(frames.v2_sync(A, 99, 2, block=block, index=index)) == (what, slot)
    assert table.read(slot)["reserve0"] == 7


def test_a_tick_of_unknown_gross_liquidity_is_not_moved() -> None:
    """A burn that brings gross to 0 removes the tick: it must be known."""
    table = Table(4, 64)
    state = EXAMPLES["uniswap_v3"]
    spacing, ends = state["tick_spacing"], (state["ticks"][0][0], state["ticks"][-1][0])
    slot = table.put(A, "uniswap_v3", TOKENS, state, 7)
    far = frames.v3_mint(A, ends[0] - 2 * spacing, ends[0] - spacing, 5, block=8)
    assert table.apply(far) == ("changed", slot)
    assert table.apply(frames.v3_mint(A, *ends, 5, block=9)) == ("stale_noted", slot)
    assert table.stale() == [slot]


def test_the_graph_takes_pools_of_any_kind_and_gives_them_back() -> None:
    table = Table(32, 4096)
    search = Search(table, [market.token(0)], market.token(0))
    search.configure(gas_base=0)
    tokens = market.token(0), market.token(1)
    good = {"reserve0": 10**22, "reserve1": 10**22, "fee_pips": 3000}
    dear, cheap = (
        search_slot(search, table, pool, tokens, good | {"reserve1": reserve1})
        for pool, reserve1 in ((A, 10**22), (B, 2 * 10**22))
    )
    newcomer = table.add(C, "uniswap_v2", tokens)
    search.add_pool(newcomer)
    wide = table.put(
        id_of("curve_stable"),
        "curve_stable",
        tokens_of("curve_stable"),
        EXAMPLES["curve_stable"],
        1,
    )
    search.add_pool(wide)
    search.remove_pool(wide)
    search.lend(market.token(0), own=10**24)
    assert {hop["slot"] for hop in search.find()[0]["hops"]} == {dear, cheap}
    search.remove_pool(cheap)
    search.remove_pool(cheap)
    assert search.find() == []
    table.remove(cheap)
    assert search_slot(search, table, B, tokens, good | {"reserve1": 3 * 10**22}) == cheap
    assert {hop["slot"] for hop in search.find()[0]["hops"]} == {dear, cheap}
    search.remove_pool(dear)
    search.remove_pool(cheap)
    search.remove_pool(newcomer)
    assert search.find() == []


def search_slot(
    search: Search, table: Table, pool: bytes, tokens: tuple[bytes, ...], state: dict[str, int]
) -> int:
    slot = table.put(pool, "uniswap_v2", tokens, state, 1)
    search.add_pool(slot)
    return slot


# ---- used again ----


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=150))
def test_pools_come_and_go_and_every_one_is_found(actions: list[tuple[bool, int]]) -> None:
    """Against a dict; keys that collide in the index, as vanity addresses may."""
    table = Table(24, 16 * 24)
    held: dict[bytes, int] = {}
    keys = [bytes(12) + address(i)[:8] for i in range(31)]
    for there, number in actions:
        key = keys[number]
        if not there and key in held:
            table.remove(held.pop(key))
        elif there and len(held) < 24:
            held[key] = table.put(key, "uniswap_v3", TOKENS, EXAMPLES["uniswap_v3"], number + 1)
        assert len(table) == len(held)
        assert [table.slot(key) for key in keys] == [held.get(key) for key in keys]
        assert table.slots() == sorted(held.values())
    for key, slot in held.items():
        assert (table.read(slot)["id"], table.read(slot)["block"]) == (key, keys.index(key) + 1)
    assert table.arena_used <= 16 * 25


def test_what_is_removed_is_gone() -> None:
    table = filled()
    slots = table.slots()
    units = table.arena_used
    for slot in slots:
        table.remove(slot)
        with pytest.raises(IndexError, match="none there"):
            table.read(slot)
        with pytest.raises(IndexError):
            table.remove(slot)
    assert (len(table), table.slots(), table.stale()) == (0, [], [])
    assert table.apply(frames.v2_sync(id_of("uniswap_v2"), 1, 2, block=8))[0] == "unknown_pool"
    table.refresh()
    for kind, state in EXAMPLES.items():
        assert table.put(id_of(kind), kind, tokens_of(kind), state, 8) in slots
    assert table.arena_used == units


def test_a_slots_journal_ends_with_its_pool() -> None:
    table = Table(1, 64)
    slot = table.put(A, "uniswap_v2", TOKENS, V2, 7)
    table.apply(frames.v2_sync(A, 1, 2, block=9))
    table.remove(slot)
    assert table.put(B, "uniswap_v2", TOKENS, V2, 8) == slot
    assert table.apply(frames.v2_sync(B, 5, 6, block=10))[0] == "changed"
    assert table.rollback(8) == [slot]
    read = table.read(slot)
    assert (read["id"], read["reserve0"], read["block"]) == (B, V2["reserve0"], 8)


def test_a_mark_of_stale_and_a_quarantine_are_not_taken_back() -> None:
    table = filled()
    slots = [table.slot(id_of(kind)) for kind in ("uniswap_v2", "solidly")]
    assert slots[0] is not None
    assert slots[1] is not None
    table.apply(frames.v2_sync(id_of("uniswap_v2"), 1, 2, block=9))
    table.overwrite(slots[1], EXAMPLES["solidly"], 9, 0)
    table.mark_stale(slots[0])
    table.quarantine(slots[1])
    assert table.rollback(7) == [slots[1]]
    assert table.read(slots[0])["stale"]
    assert table.read(slots[1])["quarantined"]


def test_the_pool_that_is_quiet_longest_is_evicted() -> None:
    table = Table(3, 64)
    slots = [table.put(pool, "uniswap_v2", TOKENS, V2, 7) for pool in (A, B, C)]
    table.apply(frames.v2_sync(A, 1, 2, block=9))
    table.set_loading([slots[1]], True)
    assert table.evict() == slots[2]
    table.set_loading([slots[1]], False)
    assert [table.evict() for _ in range(3)] == [slots[1], slots[0], None]
    assert table.counters()["evictions"] == 3


def test_what_happens_is_counted() -> None:
    table = Table(4, 64)
    slot = table.put(A, "uniswap_v2", TOKENS, V2, 7)
    table.apply(frames.v2_sync(A, 1, 2, block=8))
    table.apply(frames.v2_sync(A, 2**112, 2, block=9))
    table.apply(frames.v2_sync(B, 1, 2, block=9))
    table.put(A, "uniswap_v2", TOKENS, V2, 9)
    table.rollback(8)
    table.count("avoided_calls", 4)
    counters = table.counters()
    assert counters.pop("applied") == table.applied()
    assert counters == {
        "hits": 2, "misses": 1, "stale_marks": 1, "refreshes": 2, "evictions": 0, "rollbacks": 1,
        "undone": 1, "rpc_calls": 0, "avoided_calls": 4, "events": {"v2_sync": 1},
    }  # fmt: skip
    assert table.read(slot)["stale"]
    with pytest.raises(ValueError, match="counter: expected one of"):
        table.count("luck")


def test_a_journal_that_is_too_short_says_how_far_it_reaches() -> None:
    table = Table(4, 64, undo_bytes=0)
    table.put(A, "uniswap_v2", TOKENS, V2, 7)
    table.apply(frames.v2_sync(A, 1, 2, block=8))
    assert table.undo_floor == 8
    assert table.rollback(7) is None
    assert table.rollback(8) == []
