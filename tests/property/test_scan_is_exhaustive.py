"""The edge scan finds every cycle of 2 to 4 swaps that gains at the margin, each once."""

import math
import random

import pytest

from mevfast._bench import Sink
from mevfast._cache import Table
from mevfast._core import Core
from mevfast._search import Search
from mevfast._tx import Signer
from mevfast.bench_stream import CHAIN_ID, EXECUTOR, PoolState, head_frame, log_frame

Hop = tuple[bytes, bytes, float, int]


def hops_of(pools: list[PoolState]) -> list[Hop]:
    """(token in, token out, log of the marginal price, pool) both ways."""
    out: list[Hop] = []
    for i, pool in enumerate(pools):
        gain = math.log(pool.state["reserve1"] / pool.state["reserve0"])
        fee = math.log(1 - pool.state["fee_pips"] * 1e-6)
        out += [
            (pool.token0, pool.token1, gain + fee, i),
            (pool.token1, pool.token0, fee - gain, i),
        ]
    return out


def cycles_through(pools: list[PoolState], moved: int, start: set[bytes], most: int) -> int:
    """Counts by walking every path: no pruning, no order, no pairs."""
    leaving: dict[bytes, list[Hop]] = {}
    for hop in hops_of(pools):
        leaving.setdefault(hop[0], []).append(hop)

    def walk(path: list[Hop]) -> int:
        first, last = path[0][0], path[-1][1]
        if last == first:
            met = {hop[0] for hop in path}
            return bool(met & start) and sum(hop[2] for hop in path) > 0
        if len(path) == most:
            return 0
        seen = {hop[0] for hop in path[1:]} | {last}
        used = {hop[3] for hop in path}
        return sum(
            walk([*path, hop]) for hop in leaving[last] if hop[1] not in seen and hop[3] not in used
        )

    return sum(walk([hop]) for hop in hops_of(pools) if hop[3] == moved)


def market(chance: random.Random, n_tokens: int, n_pools: int, hubs: int) -> list[PoolState]:
    """Parallel pools, hubs that most pools touch, prices that disagree by a few per cent."""
    tokens = [chance.randbytes(20) for _ in range(n_tokens)]
    worth = {token: 10 ** chance.uniform(-2, 2) for token in tokens}
    pools = []
    for i in range(n_pools):
        a = tokens[chance.randrange(hubs)] if i % 4 else chance.choice(tokens)
        b = chance.choice([token for token in tokens if token != a])
        token0, token1 = sorted((a, b))
        reserve0 = chance.randrange(10**18, 10**24)
        price = worth[token0] / worth[token1] * math.exp(chance.gauss(0, 0.02))
        state = {"fee_pips": 3000, "reserve0": reserve0, "reserve1": int(reserve0 * price)}
        pools.append(PoolState(chance.randbytes(20), "uniswap_v2", token0, token1, state))
    return pools


@pytest.mark.parametrize("most", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_the_scan_counts_what_a_full_walk_counts(seed: int, most: int) -> None:
    chance = random.Random(seed)
    pools = market(chance, n_tokens=12, n_pools=48, hubs=3)
    start = [pools[1].token0, pools[2].token1]
    table = Table(capacity=64)
    search = Search(table, start, start[0])
    search.configure(max_hops=most)
    core = Core(search, Signer(bytearray(b"\x01" * 32)), EXECUTOR, CHAIN_ID, Sink(False),
                lambda: None)  # fmt: skip
    core.shadow = True
    core.feed_bytes(head_frame(1, []))
    for pool in pools:
        search.add_pool(
            table.put(pool.address, pool.kind, (pool.token0, pool.token1), pool.state, 1)
        )
    core.end_load(1)
    total = 0
    for block in range(2, 22):
        moved = chance.randrange(len(pools))
        state = pools[moved].state
        state["reserve0"] = int(state["reserve0"] * math.exp(chance.gauss(0, 0.06)))
        before = search.n_candidates
        core.feed_bytes(log_frame(block, pools[moved], [state["reserve0"], state["reserve1"]]))
        core.feed_bytes(head_frame(block, [pools[moved].address]))
        core.flush()
        expected = cycles_through(pools, moved, set(start), most)
        assert search.n_candidates - before == expected
        total += expected
    assert core.live, core.doubt
    assert total > 0
