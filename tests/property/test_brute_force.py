"""The brute force itself: nothing that pays escapes its bounds, and no size its narrowing."""

from collections.abc import Iterator
from random import Random

import pytest

from tests import mixed
from tests.market import Pool, v2_pool
from tests.oracle import contracts, sizing
from tests.oracle.exhaustive import Edge, Judge, dust_of, edges_of

SEEDS = range(24)


def all_edges(pools: list[Pool]) -> list[Edge]:
    return [edge for number, pool in enumerate(pools) for edge in edges_of(number, pool)]


def simple_cycles(edges: list[Edge], path: tuple[Edge, ...]) -> Iterator[tuple[Edge, ...]]:
    """Every cycle of 2 to 4 swaps that begins with `path`, in no order and without any bound."""
    for edge in edges:
        if edge.token_in != path[-1].token_out or edge.pool in {each.pool for each in path}:
            continue
        if edge.token_out == path[0].token_in:
            yield (*path, edge)
        elif len(path) < 3 and edge.token_out not in {each.token_in for each in path}:
            yield from simple_cycles(edges, (*path, edge))


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_and_contract_quotes_agree(seed: int) -> None:
    chance = Random(seed)
    pools = mixed.mixed_market(seed)
    for edge in chance.sample(all_edges(pools), 20):
        for _ in range(4):
            amount = int(10 ** chance.uniform(0, 24)) + 1
            assert edge.way.pay(amount) == contracts.quote(pools[edge.pool], *edge.hop[1:], amount)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_amount_pays_more_than_the_bound(seed: int) -> None:
    chance = Random(seed)
    for edge in all_edges(mixed.mixed_market(seed)):
        for bits in range(1, 100, 3):
            amount = (1 << bits) + chance.getrandbits(bits)
            out = edge.way.pay(amount) or 0
            assert out <= edge.bound * amount + edge.dust, (edge.hop, amount)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_cycle_outside_the_candidates_pays(seed: int) -> None:
    """By walking every path, any amount of the grid."""
    chance = Random(seed)
    pools = mixed.mixed_market(seed)[:10]
    candidates = {cycle.hops for cycle in Judge(pools).cycles()}
    edges = all_edges(pools)
    every = [
        cycle for first in edges if first.token_in == 0 for cycle in simple_cycles(edges, (first,))
    ]
    hops = {tuple(edge.hop for edge in cycle) for cycle in every}
    assert candidates <= hops
    for cycle in chance.sample(every, min(300, len(every))):
        if tuple(edge.hop for edge in cycle) not in candidates:
            ways = [edge.way for edge in cycle]
            for bits in range(10, 90, 5):
                amount = (1 << bits) + chance.getrandbits(bits)
                assert sizing.profit_of(ways, amount) <= dust_of(cycle)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_input_of_small_pools_pays_more_than_the_size(seed: int) -> None:
    """Pools so small that every input can be tried, where every unit is dear."""
    chance = Random(seed)
    price = 2 ** chance.uniform(-1, 1)
    pools = [
        v2_pool((0, 1), price * (1 + off), 10 ** chance.uniform(3.9, 4.4), 3000)
        for off in (0, chance.uniform(0.05, 0.2))
    ]
    judge = Judge(pools)
    best = judge.best()
    assert best is not None
    ways = best.ways
    most = max(sizing.profit_of(ways, amount) for amount in range(1, 2 * pools[0]["reserve0"]))
    assert best.profit == most
    assert sizing.profit_of(ways, best.amount_in) == most
