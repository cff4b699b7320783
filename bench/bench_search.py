"""What does one event cost the search, and how near is that to what it must cost?

    python -m bench.bench_search [--json] [--out FILE] [--seconds N]

Markets of 200, 2,000 and 20,000 pools (bench.search_market) and the same events on three: the
engine's search, from "the slot changed" to "the candidates are known"; a bare C scan that answers
no more than whether a cycle gains (bare_scan.h), as the limit; and rustworkx's test for a negative
cycle. The first two must agree on every event before anything is timed. Then they take turns, round
after round, so that a machine that slows down slows all of them. A mean is the least CPU time of a
turn over all events, the table's own work on them taken off; percentiles are over events, of the
least that each took in any round, so that they tell of the search and not of the machine's other
work. In the same run: rescans of whole markets, and sizing with exact profit beside degenbot
(bench.search_sizes).

The rows go to bench/results/search.json, and beside it search.svg shows what the cost grows with.
"""

import argparse
import gc
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.search_load import Load, Rustworkx
from bench.search_market import make_market
from bench.search_plot import draw
from bench.search_rows import Row, judged, limits_sheet, scan_sheet
from bench.search_sizes import Sizing
from mevfast._bench import clock_cost
from mevfast._bench_search import APPLY, BARE, REFRESH, SEARCH
from mevfast.bench_machine import machine, source_commit

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "search.json"
FORMAT = "mevfast-search/1"
SECONDS = 60.0
SIZES = {200: 4000, 2_000: 4000, 20_000: 2500}
"""Pools, and events of which each round is made."""
PEER_EVENTS = {200: 10, 2_000: 4, 20_000: 1}
"""Tests by rustworkx in one round, spread over the events."""
OF_ALL_KINDS = (2_000, 4000)
"""The same for the market of every kind that the search knows."""
HOPS = (2, 3, 4)
PARALLEL = (1, 2, 4, 8)
PAIRS = 500
"""Pairs of the markets in which only the number of pools in a pair differs."""
MOST_OVER_BARE = 1.3
MOST_OVER_RUSTWORKX = 0.01
MOST_P99_NS = 100_000.0
MOST_PAIR_BYTES = 200.0
MOST_RESCAN_MS = {200: 1.0, 2_000: 20.0, 20_000: None}
DEGREE_BINS = 12


class Timed:
    """A Load and the least that its events took, by hops."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.n = len(load.events)
        self.least: dict[tuple[int, int], float] = {}
        self.sums: dict[tuple[int, int], float] = {}
        self.turns = 0
        self.opened: dict[int, list[bool]] = {}
        """By hops: of each event, whether a cycle gains through its pool."""

    def check(self) -> None:
        """RuntimeError unless search and bare scan say the same of every event, for all hops."""
        for hops in HOPS:
            self.load.search.configure(max_hops=hops)
            found = self.load.scan.answers()
            self.opened[hops] = [cycles > 0 for _, cycles in found]
            if wrong := self.load.disagreements(found):
                raise RuntimeError(
                    f"{len(self.load.slots)} pools, {hops} hops: search and bare scan differ on "
                    f"{wrong} of {self.n} events"
                )

    def turn(self, hops: tuple[int, ...] = HOPS) -> None:
        """All events once for each way to time them."""
        self.turns += 1
        for n in hops:
            self.load.search.configure(max_hops=n)
            for what in (APPLY, REFRESH, SEARCH, BARE):
                spent = self.load.scan.turn(what) / self.n
                self.least[n, what] = min(self.least.get((n, what), math.inf), spent)
                self.sums[n, what] = self.sums.get((n, what), 0.0) + spent
            self.load.scan.each()

    def mean(self, hops: int, what: int) -> float:
        """ns of an event in the fastest round; the table's work is not in it."""
        apart = 0.0 if what == BARE else self.least[hops, APPLY]
        return max(self.least[hops, what] - apart, 1e-3)

    def mean_of_rounds(self, hops: int, what: int) -> float:
        """ns of an event, over all rounds."""
        apart = 0.0 if what == BARE else self.sums[hops, APPLY]
        return (self.sums[hops, what] - apart) / self.turns

    def events(self, hops: int, clock_ns: int) -> tuple[list[float], list[float]]:
        """ns of each event in its fastest round, the clock taken off: search, bare scan."""
        ours, bare = self.load.scan.samples(hops)
        return [max(v - clock_ns, 1.0) for v in ours], [max(v - clock_ns, 1.0) for v in bare]


class Peer:
    """rustworkx on a Load."""

    def __init__(self, load: Load, tests: int) -> None:
        self.rustworkx, self.tests = Rustworkx(load), tests
        self.apart = len(load.events) // tests
        self.least, self.sum, self.n = math.inf, 0.0, 0

    def turn(self) -> None:
        """So many tests, with the events between them."""
        for _ in range(self.tests):
            self.rustworkx.advance(self.apart)
            spent = self.rustworkx.time()
            self.least, self.sum, self.n = min(self.least, spent), self.sum + spent, self.n + 1


class Rescan:
    """The whole market at once, with a cycle open in it."""

    def __init__(self, n_pools: int) -> None:
        self.pools = n_pools
        self.load = Load(make_market(n_pools), SIZES[n_pools])
        self.load.search.configure(max_hops=4)
        for i in range(len(self.load.events)):
            [(_, cycles)] = self.load.scan.answers(i, i + 1)
            if cycles:
                break
        self.plans, self.cycles = len(self._find()), len(self._cycles())
        self.least = {"find": math.inf, "cycles": math.inf}

    def _find(self) -> list[dict[str, Any]]:
        return self.load.search.find(self.load.slots)

    def _cycles(self) -> list[dict[str, Any]]:
        return self.load.search.cycles(self.load.slots)

    def turn(self) -> None:
        """Both once."""
        work: dict[str, Callable[[], object]] = {"find": self._find, "cycles": self._cycles}
        for name, call in work.items():
            start = time.process_time_ns()
            call()
            self.least[name] = min(self.least[name], (time.process_time_ns() - start) / 1e6)


class Run:
    """All that takes turns."""

    def __init__(self, stack: ExitStack) -> None:
        """Makes the markets, and checks them."""
        self.sizes = {n: Timed(Load(make_market(n), count)) for n, count in SIZES.items()}
        pools, count = OF_ALL_KINDS
        self.kinds = Timed(Load(make_market(pools, others=True), count))
        self.parallel = {k: Timed(Load(make_market(PAIRS * k, parallel=k), 2000)) for k in PARALLEL}
        for each in (*self.sizes.values(), self.kinds, *self.parallel.values()):
            each.check()
        self.peers = {n: Peer(timed.load, PEER_EVENTS[n]) for n, timed in self.sizes.items()}
        self.rescans = [Rescan(n) for n in SIZES]
        self.sizing = Sizing(stack)

    def turn(self) -> None:
        """Everything once; small markets a few times, for a turn of theirs is soon over."""
        for n, timed in self.sizes.items():
            for _ in range(1 if n > 2_000 else 3):
                timed.turn()
            self.peers[n].turn()
        for each in (self.kinds, *self.parallel.values()):
            each.turn((4,))
        for rescan in self.rescans:
            if rescan.pools <= 2_000 or math.isinf(rescan.least["find"]):
                rescan.turn()
        self.sizing.turn()


# ---- rows ----


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _scan_rows(n: int, timed: Timed, clock_ns: int) -> list[Row]:
    """Search and bare scan of one market."""
    rows = [Row("refresh alone, mean", "ns", timed.mean(4, REFRESH), n)]
    for hops in HOPS:
        ours, bare = timed.events(hops, clock_ns)
        p99 = MOST_P99_NS if (n, hops) == (20_000, 4) else None
        mean, limit = timed.mean(hops, SEARCH), timed.mean(hops, BARE)
        over = MOST_OVER_BARE if hops == 4 else None
        rows += [
            Row("search, mean", "ns", mean, n, hops),
            Row("search, mean of all rounds", "ns", timed.mean_of_rounds(hops, SEARCH), n, hops),
            Row("search, p50", "ns", quantile(ours, 0.5), n, hops),
            Row("search, p99", "ns", quantile(ours, 0.99), n, hops, p99),
            Row("search, max", "ns", max(ours), n, hops),
            Row("bare scan, mean", "ns", limit, n, hops),
            Row("bare scan, mean of all rounds", "ns", timed.mean_of_rounds(hops, BARE), n, hops),
            Row("bare scan, p50", "ns", quantile(bare, 0.5), n, hops),
            Row("bare scan, p99", "ns", quantile(bare, 0.99), n, hops),
            Row("bare scan, max", "ns", max(bare), n, hops),
            Row("scan_over_bare", "times", mean / limit, n, hops, over),
        ]
    return rows


def _peer_rows(n: int, timed: Timed, peer: Peer) -> list[Row]:
    """rustworkx on one market."""
    limit = MOST_OVER_RUSTWORKX if n == 2_000 else None
    return [
        Row("rustworkx, least", "ns", peer.least, n),
        Row("rustworkx, mean of all rounds", "ns", peer.sum / peer.n, n),
        Row("scan_over_rustworkx", "times", timed.mean(4, SEARCH) / peer.least, n, 4, limit),
    ]


def _memory_row(n: int, load: Load) -> Row:
    """Bytes of the graph over its pairs, where the search tells them."""
    size = getattr(load.search, "graph_bytes", None)
    if size is None:
        return Row("graph, of a pair", "bytes", None, n, limit=MOST_PAIR_BYTES,
                   absent="the search does not tell")  # fmt: skip
    pairs = getattr(load.search, "n_pairs", None) or load.n_pairs
    return Row("graph, of a pair", "bytes", float(size()) / pairs, n, limit=MOST_PAIR_BYTES)


def rows_of(run: Run, clock_ns: int) -> list[Row]:
    """All of them."""
    rows: list[Row] = []
    for n, timed in run.sizes.items():
        rows += _scan_rows(n, timed, clock_ns)
        rows += _peer_rows(n, timed, run.peers[n])
        rows.append(_memory_row(n, timed.load))
    ours, bare = (run.kinds.mean(4, what) for what in (SEARCH, BARE))
    rows += [
        Row("search, every kind it knows, mean", "ns", ours, OF_ALL_KINDS[0], 4),
        Row("scan_over_bare, every kind", "times", ours / bare, OF_ALL_KINDS[0], 4),
    ]
    for rescan in run.rescans:
        most = MOST_RESCAN_MS[rescan.pools]
        for name, least in rescan.least.items():
            rows.append(Row(f"rescan, {name}", "ms", least, rescan.pools, 4, most))
    return [judged(each) for each in rows] + run.sizing.rows()


# ---- the figure ----


def _by_degree(n: int, timed: Timed, clock_ns: int) -> dict[str, Any]:
    """Medians over events in pools of about the same degree, as geometric bins."""
    degrees = [timed.load.bare.degrees(event.pool)[0] for event in timed.load.events]
    step = math.log(max(degrees) + 1) / DEGREE_BINS
    bins: dict[int, list[int]] = {}
    for i, degree in enumerate(degrees):
        bins.setdefault(int(math.log(degree) / step), []).append(i)
    ours, bare = timed.events(4, clock_ns)
    kept = [bins[each] for each in sorted(bins) if len(bins[each]) >= 5]

    def medians(values: list[float]) -> list[float]:
        return [round(statistics.median(values[i] for i in each), 4) for each in kept]

    return {
        "pools": n,
        "degree": medians([float(degree) for degree in degrees]),
        "search_us": medians([v / 1000 for v in ours]),
        "bare_us": medians([v / 1000 for v in bare]),
        "events": [len(each) for each in kept],
    }


def _point(timed: Timed, clock_ns: int) -> dict[str, float]:
    """What the means of a market are, and how many cycles its events touch.

    `quiet_us` is over events that open no cycle: what looking costs, without what is found.
    """
    bare = timed.load.bare
    ours, _ = timed.events(4, clock_ns)
    quiet = [ns for ns, opened in zip(ours, timed.opened[4], strict=True) if not opened]
    touched = [bare.cycles(event.pool, 4) for event in timed.load.events[:500]]
    return {
        "cycles": round(statistics.mean(touched), 1),
        "search_us": round(timed.mean(4, SEARCH) / 1000, 4),
        "quiet_us": round(statistics.mean(quiet) / 1000, 4),
        "bare_us": round(timed.mean(4, BARE) / 1000, 4),
    }


def figure_of(run: Run, clock_ns: int) -> dict[str, Any]:
    """What search.svg is drawn from."""
    return {
        "by_size": [
            {"pools": n, "rustworkx_us": round(run.peers[n].least / 1000, 2)}
            | _point(timed, clock_ns)
            for n, timed in run.sizes.items()
        ],
        "by_degree": [_by_degree(n, timed, clock_ns) for n, timed in run.sizes.items()],
        "by_cycles": [
            {"parallel": k} | _point(timed, clock_ns) for k, timed in run.parallel.items()
        ],
    }


def markets_of(run: Run) -> list[dict[str, Any]]:
    """What was timed on."""
    return [
        {
            "pools": n,
            "pairs": timed.load.n_pairs,
            "tokens": len(timed.load.search.table.tokens()),
            "most_neighbours": max(
                timed.load.bare.degrees(pool)[1] for pool in range(len(timed.load.slots))
            ),
            "events": timed.n,
            "events_that_open_a_cycle": {hops: sum(each) for hops, each in timed.opened.items()},
            "rounds": timed.turns,
            "plans_of_the_rescan": rescan.plans,
            "cycles_of_the_rescan": rescan.cycles,
        }
        for (n, timed), rescan in zip(run.sizes.items(), run.rescans, strict=True)
    ]


def result(seconds: float) -> dict[str, Any]:
    """The object that is written."""
    load, clock_ns = os.getloadavg()[0], clock_cost()
    at_start = machine(clock_ns) | {"load_average": round(load, 2)}
    with ExitStack() as stack:
        run = Run(stack)
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            run.turn()  # whatever the time, each has a figure
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                print(f"\r{left:.0f} s left\x1b[K", end="", file=sys.stderr)
                run.turn()
        finally:
            gc.enable()
            gc.unfreeze()
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "rows": [asdict(each) for each in rows_of(run, clock_ns)],
        "markets": markets_of(run),
        "figure": figure_of(run, clock_ns),
        "machine": at_start,
    }


def main() -> int:
    """Measures, writes and draws."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE",
                        help="the figure goes beside it, as .svg")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of taking turns")
    args = parser.parse_args()
    made = result(args.seconds)
    args.out.write_text(json.dumps(made, indent=2) + "\n")
    draw(made["figure"], args.out.with_suffix(".svg"))
    if args.json:
        print(json.dumps(made, indent=2))
        return 0
    console = Console()
    console.print(scan_sheet(made))
    console.print(limits_sheet(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
