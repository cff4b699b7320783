"""The bench of the search: its markets are what they say, its limit answers as the search does."""

import random
from collections import Counter
from itertools import pairwise, permutations, product

import pytest

from bench import search_market
from bench.search_load import Load, Rustworkx
from bench.search_market import MOVED, Event, SearchMarket, events, make_market
from mevfast._bench_search import BareScan


@pytest.fixture(scope="module")
def load() -> Load:
    return Load(make_market(200), 1500)


def test_a_market_and_its_events_are_the_same_twice_and_others_by_their_seed() -> None:
    def described(market: SearchMarket) -> list[tuple[object, ...]]:
        return [(p.address, p.kind, p.tokens, p.pool.fields()) for p in market.pools]

    first, again, other = make_market(120), make_market(120), make_market(120, seed=2)
    assert described(first) == described(again) != described(other)
    assert list(events(first, 50)) == list(events(again, 50)) != list(events(first, 50, seed=2))


@pytest.mark.parametrize("n_pools", [200, 2000])
def test_hubs_are_in_most_pairs_and_the_others_follow_a_long_tail(n_pools: int) -> None:
    market = make_market(n_pools)
    assert len(market.pools) == n_pools
    pairs = Counter(pool.tokens for pool in market.pools)
    neighbours = Counter(token for pair in pairs for token in pair)
    degrees = sorted(neighbours.values(), reverse=True)
    hubs = {token for token, _ in neighbours.most_common(search_market.HUBS)}
    assert sum(bool(hubs & set(pair)) for pair in pairs) > 0.75 * len(pairs)
    assert degrees[0] > 20 * degrees[len(degrees) // 2]
    assert sum(not hubs & set(pair) for pair in pairs) > 0.05 * len(pairs)
    assert max(pairs.values()) >= 2
    assert {pool.kind for pool in market.pools} == set(MOVED)


def test_other_kinds_are_those_that_the_search_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mevfast._graph.TRADED", ("uniswap_v2", "curve_stable"))
    kinds = Counter(pool.kind for pool in make_market(300, others=True).pools)
    assert set(kinds) == {"uniswap_v2", "curve_stable"}


@pytest.mark.parametrize("parallel", [1, 3])
def test_parallel_pools_leave_the_pairs_as_they_are(parallel: int) -> None:
    pairs = Counter(pool.tokens for pool in make_market(100 * parallel, parallel=parallel).pools)
    assert set(pairs.values()) == {parallel}
    assert set(pairs) == {pool.tokens for pool in make_market(100, parallel=1).pools}


def test_prices_come_back_however_long_it_goes_on() -> None:
    market = make_market(40)
    first: dict[int, Event] = {}
    last: dict[int, Event] = {}
    for event in events(market, 20_000):
        first.setdefault(event.pool, event)
        last[event.pool] = event
    assert len(last) == 40
    off = sorted(abs(last[i].log_price[0] - first[i].log_price[0]) for i in last)
    assert off[len(off) // 2] < 0.003
    assert off[-1] < 0.05


def test_the_bare_scan_agrees_with_the_search_on_every_event(load: Load) -> None:
    for hops in (2, 3, 4):
        load.search.configure(max_hops=hops)
        opened, wrong = load.disagreements()
        assert wrong == 0
        assert 0.002 * len(load.events) < opened < 0.1 * len(load.events)


def by_hand(pairs: list[tuple[int, int]], prices: list[tuple[float, float]], start: set[int],
            pool: int, max_hops: int) -> tuple[int, int]:  # fmt: skip
    """Over all orders of tokens: cycles of best pools through `pool` that gain, and all cycles."""
    gain, ways = 0, 0
    for way in (0, 1):
        x, y = pairs[pool] if way == 0 else pairs[pool][::-1]
        tokens = {token for pair in pairs for token in pair} - {x, y}
        for n in range(max_hops - 1):
            for between in permutations(tokens, n):
                path = [y, *between, x]
                choices = [
                    [(i, prices[i][pairs[i].index(a)]) for i in range(len(pairs))
                     if set(pairs[i]) == {a, b} and i != pool]
                    for a, b in pairwise(path)
                ]  # fmt: skip
                ways += len(list(product(*choices)))
                best = [max((p for _, p in each), default=float("-inf")) for each in choices]
                total = prices[pool][way] + sum(best)
                gain += total > 0 and bool(start & set(path))
    return gain, ways // 2


def test_the_bare_scan_counts_what_there_is() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        pairs = [tuple(sorted(chance.sample(range(7), 2))) for _ in range(14)]
        prices = [(v := chance.gauss(0, 0.3), -v - chance.uniform(0, 0.3)) for _ in pairs]
        start = {0, chance.randrange(7)}
        bare = BareScan(pairs, [token in start for token in range(7)])
        for i, price in enumerate(prices):
            bare.update(i, *price)
        for pool in range(14):
            for hops in (2, 3, 4):
                expected = by_hand(pairs, prices, start, pool, hops)
                assert (bare.scan(pool, hops), bare.cycles(pool, hops)) == expected


def test_rustworkx_sees_the_cycles_that_the_bare_scan_sees(load: Load) -> None:
    load.search.configure(max_hops=4)
    load.scan.answers()
    peer = Rustworkx(load)
    peer.advance(len(load.events))
    opened = 0
    for i in range(400):
        peer.advance(1)
        [(_, bare)] = load.scan.answers(i, i + 1)
        opened += bare > 0
        assert peer.gains() or bare == 0
    assert 0 < opened < 100


def test_an_event_without_a_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="expected two tokens below 2"):
        BareScan([(0, 0)], [True, True])
    with pytest.raises(IndexError, match="the graph has 1"):
        BareScan([(0, 1)], [True, True]).scan(1, 4)
