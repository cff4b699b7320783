"""The bench of the search: its markets are what they say, its limit answers as the search does."""

import json
import random
import sys
from collections import Counter
from itertools import pairwise, permutations, product
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import bench_search, search_market, search_sizes
from bench.search_load import Load, Rustworkx
from bench.search_market import MOVED, Event, SearchMarket, events, make_market
from bench.search_plot import draw
from bench.search_rows import Row, judged, limits_sheet, scan_sheet
from bench.search_sizes import Cycle, cycles
from mevfast import _graph
from mevfast._bench_search import APPLY, BARE, REFRESH, SEARCH, BareScan, ScanLoad


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
    monkeypatch.setattr(_graph, "TRADED", ("uniswap_v2", "curve_stable"), raising=False)
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
        found = load.scan.answers()
        assert load.disagreements(found) == 0
        opened = sum(cycles > 0 for _, cycles in found)
        assert 0.002 * len(load.events) < opened < 0.1 * len(load.events)
        assert load.disagreements([(1, 0), (0, 1), (0, 0), (2, 1)]) == 2


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
        # without regard to fees, so that a pool and itself would gain
        prices = [(chance.gauss(-0.1, 0.3), chance.gauss(-0.1, 0.3)) for _ in pairs]
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


# ---- what is timed ----


def test_a_turn_leaves_the_market_where_the_events_leave_it(load: Load) -> None:
    load.search.configure(max_hops=4)
    first = load.scan.answers()
    states = [load.search.table.read(slot) for slot in load.slots]
    again = load.scan.answers()
    for what in (APPLY, REFRESH, SEARCH, BARE):
        assert load.scan.turn(what) > 0
    load.scan.each()
    for state, slot in zip(states, load.slots, strict=True):
        now = load.search.table.read(slot)
        assert {**now, "block": 0} == {**state, "block": 0}
    assert load.scan.answers() == again
    assert [bare > 0 for _, bare in first] == [ours > 0 for ours, _ in first]


def test_each_event_keeps_its_own_sample_for_each_number_of_hops(load: Load) -> None:
    fresh = Load(load.market, 50)
    fresh.search.configure(max_hops=3)
    fresh.scan.each()
    for hops, ran in ((2, False), (3, True), (4, False)):
        for samples in fresh.scan.samples(hops):
            assert len(samples) == 50
            assert all((ns >= 0) == ran for ns in samples)
    with pytest.raises(ValueError, match="expected 2 to 4, was 5"):
        fresh.scan.samples(5)


def test_an_event_that_changes_nothing_is_no_figure(load: Load) -> None:
    v3 = next(i for i, pool in enumerate(load.market.pools) if pool.kind == "uniswap_v3")
    sync = ScanLoad(load.search, load.bare, [(v3, load.slots[v3], (1, 1), 0.0, 0.0)])
    with pytest.raises(RuntimeError, match="event 0 changed nothing"):
        sync.answers()


def test_a_search_that_says_otherwise_than_the_bare_scan_is_not_timed(load: Load) -> None:
    wrong = Load(load.market, 300)
    opened = next(e for e, (_, cycles) in zip(wrong.events, wrong.scan.answers(), strict=True)
                  if cycles)  # fmt: skip
    wrong.search.remove_pool(wrong.slots[opened.pool])
    with pytest.raises(RuntimeError, match=r"200 pools, \d hops: search and bare scan differ on"):
        bench_search.Timed(wrong).check()


# ---- sizing ----


@pytest.fixture(scope="module")
def sized() -> dict[str, Cycle]:
    return {cycle.name: cycle for cycle in cycles()}


def test_every_cycle_that_is_sized_pays_and_leads_back(sized: dict[str, Cycle]) -> None:
    kinds = {hop.kind for cycle in sized.values() for hop in cycle.hops}
    assert {"uniswap_v2", "uniswap_v3", "curve_stable", "balancer_weighted"} <= kinds
    for cycle in sized.values():
        assert 1 < search_sizes.margin(cycle.hops) < 1.02
        amount, profit = cycle.optimum()
        made = [hop.pool() for hop in cycle.hops]
        assert profit == cycle.profit(amount, made) > 0
        for other in (amount // 2, amount * 2, amount * 1001 // 1000, amount * 999 // 1000):
            assert cycle.profit(other, made) <= profit
    assert {len(cycle.hops) for cycle in sized.values()} == {2, 3, 4}


def test_every_peer_names_a_cycle(sized: dict[str, Cycle]) -> None:
    from bench.peers import MAKERS

    for name, peer, _ in search_sizes.PEERS:
        assert name in sized and peer in MAKERS
        assert peer.split()[1] in search_sizes.ENVIRONMENTS


# ---- the result ----


@pytest.mark.parametrize(
    ("value", "limit", "side", "met"),
    [(5, 5, "at most", True), (6, 5, "at most", False), (6, 5, "at least", True),
     (4, 5, "at least", False), (4, None, "at most", None), (None, 5, "at most", None)],
)  # fmt: skip
def test_rows_are_judged(
    value: float | None, limit: float | None, side: str, met: bool | None
) -> None:
    assert judged(Row("", "", value, limit=limit, side=side)).met is met


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A bench of small markets, without peers of other environments."""
    monkeypatch.setattr(bench_search, "SIZES", {40: 60, 80: 60, 160: 60})
    monkeypatch.setattr(bench_search, "PEER_EVENTS", {40: 2, 80: 2, 160: 1})
    monkeypatch.setattr(bench_search, "MOST_RESCAN_MS", {40: 1.0, 80: None, 160: None})
    monkeypatch.setattr(bench_search, "OF_ALL_KINDS", (60, 40))
    monkeypatch.setattr(bench_search, "PARALLEL", (1, 2))
    monkeypatch.setattr(bench_search, "PAIRS", 30)
    monkeypatch.setattr(search_sizes, "cache_root", lambda: tmp_path / "none")
    return tmp_path


def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    out = folder / "search.json"
    monkeypatch.setattr(sys, "argv", ["bench_search", "--seconds", "0", "--out", str(out)])
    assert bench_search.main() == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_the_result_has_every_row_and_the_figure(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = made(small, monkeypatch)
    assert result["format"] == "mevfast-search/1"
    assert {"cpu", "cores", "load_average"} <= set(result["machine"])
    rows = {(row["what"], row["pools"], row["hops"]): row for row in result["rows"]}
    assert len(rows) == len(result["rows"])
    for pools in (40, 80, 160):
        for hops in (2, 3, 4):
            figures = [rows[f"search, {name}", pools, hops]["value"]
                       for name in ("p50", "p99", "max")]  # fmt: skip
            assert 0 < figures[0] <= figures[1] <= figures[2]
            assert rows["scan_over_bare", pools, hops]["value"] > 0
        assert rows["scan_over_bare", pools, 4]["limit"] == bench_search.MOST_OVER_BARE
        assert rows["scan_over_rustworkx", pools, 4]["value"] > 0
    for row in result["rows"]:
        assert (row["value"] is None) == (row["absent"] is not None)
        judge = row["limit"] is not None and row["value"] is not None
        assert (row["met"] is not None) == judge
    absent = rows["sizing V2, 2 hops, degenbot 0.5 V2 cycle", None, 2]
    assert "make bench" in absent["absent"]
    assert [each["pools"] for each in result["figure"]["by_size"]] == [40, 80, 160]
    capsys.readouterr()
    for sheet in (scan_sheet, limits_sheet):
        Console(width=200).print(sheet(result))
    shown = capsys.readouterr().out
    assert "rescan, find" in shown and "not measured: not set up" in shown
    assert f"{rows['scan_over_bare', 80, 3]['value']:.2f}" in shown


def test_the_figure_is_the_same_bytes_twice_and_tells_no_date(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = made(small, monkeypatch)["figure"]
    draw(figure, small / "again.svg")
    drawn = (small / "search.svg").read_bytes()
    assert drawn == (small / "again.svg").read_bytes()
    assert b"<dc:date>" not in drawn
    figure["by_size"][0]["search_us"] *= 2
    draw(figure, small / "again.svg")
    assert drawn != (small / "again.svg").read_bytes()
