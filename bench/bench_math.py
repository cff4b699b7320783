"""What does a quote cost beside the best of others? Ours in C and from Python, and each peer.

    python -m bench.bench_math [--json] [--out FILE] [--seconds N]

Every part of bench.pools that has a peer is timed in turns: ours in a C loop, ours called from
Python one by one, then each peer for a few milliseconds, round after round, so that a machine that
slows down slows all of them; the least of each counts, in CPU time. In C equal quotes follow each
other, so that the processor overlaps them; peers never get an amount twice in a row. Before that,
each pair must give the same answers. Packages that do not share an environment with ours run in a
process of their own (`make bench` sets it up) and take their turns there. What cannot be had is a
row that says why. Arithmetic is bench.gmp's, in the same run; instructions are those of
bench/results/instructions.json. The rows go to bench/results/math.json, which
`python -m mevfast bench` shows.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from bench import instructions, pools
from bench.peers import ELSEWHERE, Peer
from bench.pools import Sample
from mevfast._bench import clock_cost
from mevfast.bench_machine import machine, source_commit
from mevfast.bench_tables import math_sheet
from mevfast.devnet.npm import cache_root

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "math.json"
ENVIRONMENT = cache_root() / "bench-venv" / "bin" / "python"
FORMAT = "mevfast-math/1"
SECONDS = 30.0
TURN = 0.004
"""Seconds of CPU time that each takes in one round."""
AMOUNTS = 2003
"""More than a memo of 1,024 entries holds, so that every amount is new to it."""
C_AMOUNTS = 8
CHECKED = 25

Reach = tuple[Literal["at least", "at most"], float]


@dataclass(frozen=True)
class Pair:
    """A sample, a peer, how many times as long as ours it should take, what it may be off."""

    sample: str
    peer: str
    reach: float | None = None
    off: int = 0


PAIRS = (
    Pair("uniswap_v2", "degenbot V2", 12),
    Pair("uniswap_v2", "Python integers V2"),
    Pair("uniswap_v3, 0 ticks", "degenbot V3", 35),
    Pair("uniswap_v3, 1 tick", "degenbot V3", 30),
    Pair("uniswap_v3, 5 ticks", "degenbot V3", 30),
    Pair("uniswap_v3, 0 ticks", "the contract in pyrevm", 60),
    Pair("uniswap_v3, 1 tick", "the contract in pyrevm", 60),
    Pair("uniswap_v3, 5 ticks", "the contract in pyrevm", 60),
    Pair("solidly, stable", "Python integers Solidly", 10),
    Pair("solidly, stable", "degenbot Aerodrome"),
    Pair("curve_stable, 2 coins", "degenbot Curve", 6),
    Pair("curve_stable, 3 coins", "degenbot Curve", 6, off=1),  # the view get_dy; exchange rounds
    Pair("curve_tricrypto_ng", "curvesim exchange", 6),
    Pair("curve_tricrypto_ng", "curvesim get_dy"),  # half of the work: no D, no state after
    Pair("curve_tricrypto_ng", "Python integers CryptoSwap"),
    Pair("curve_twocrypto_ng", "Python integers CryptoSwap"),
    Pair("balancer_weighted, 20 to 80", "Python integers Balancer", 8),
    Pair("balancer_composable_stable", "Python integers Balancer"),
)
MOST_OF_FIVE_TICKS = 1.5
MOST_OF_GMP = 1.0
MOST_V2_INSTRUCTIONS = 250.0


@dataclass(frozen=True)
class Row:
    """One line of the table; times in ns, None where there is none."""

    part: str
    peer: str
    unit: str = "ns"
    ours: float | None = None
    ours_python: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    reach: Reach | None = None
    met: bool | None = None
    absent: str | None = None


def judged(row: Row) -> Row:
    """The row with `met` filled in."""
    if row.reach is None or row.ratio is None:
        return row
    side, limit = row.reach
    met = row.ratio >= limit if side == "at least" else row.ratio <= limit
    return Row(**(asdict(row) | {"met": met, "reach": row.reach}))


# ---- peers in another environment ----


class Child:
    """bench/peers.py in an environment of its own."""

    def __init__(self, python: Path, home: Path | None = None) -> None:
        """Starts it, with a home folder of its own if told so; it waits without turning."""
        self.process = subprocess.Popen(
            [str(python), str(ROOT / "bench" / "peers.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | ({"HOME": str(home)} if home else {}),
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request and its answer; RuntimeError where the process has ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peers' process ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)


class Elsewhere:
    """A peer in a Child, with the face of peers.Peer."""

    def __init__(self, child: Child, name: str, sample: dict[str, Any]) -> None:
        """Makes it there; LookupError with the reason where it cannot be had."""
        self.child = child
        made = child.ask(do="make", peer=name, sample=sample)
        if "absent" in made:
            raise LookupError(made["absent"])
        self.number = made["made"]

    def outputs(self, amounts: list[int]) -> list[int]:
        """What it pays for each."""
        found: list[int] = self.child.ask(do="quote", number=self.number, amounts=amounts)[
            "outputs"
        ]
        return found

    def time(self, seconds: float) -> float:
        """ns of one call."""
        return float(self.child.ask(do="time", number=self.number, seconds=seconds)["ns"])


# ---- ours ----


class Ours:
    """One sample's quotes by our kernel."""

    def __init__(self, sample: Sample) -> None:
        self.sample, self.pool = sample, sample.pool()
        self.amounts = sample.amounts(AMOUNTS)
        self.c_amounts = sample.amounts(C_AMOUNTS)
        self.least = [float("inf")] * C_AMOUNTS
        self.python = float("inf")
        once = self._time(self.c_amounts[0], 200)
        self.count = max(100, round(TURN / C_AMOUNTS / once))
        self.at = 0

    def _time(self, amount: int, count: int) -> float:
        s = self.sample
        spent = self.pool.time_quotes(s.token_in, amount, "in", count, token_out=s.token_out)
        return max(spent, 1e-6) / count

    def turn(self) -> None:
        """One turn in C for each amount, one from Python."""
        for i, amount in enumerate(self.c_amounts):
            self.least[i] = min(self.least[i], 1e9 * self._time(amount, self.count))
        quote, token_in, token_out = self.pool.quote, self.sample.token_in, self.sample.token_out
        batch = self.amounts[self.at : self.at + 500]
        self.at = (self.at + 500) % len(self.amounts)
        start = time.process_time()
        for amount in batch:
            quote(token_in, amount, "in", None, token_out)
        self.python = min(self.python, 1e9 * (time.process_time() - start) / len(batch))

    @property
    def c(self) -> float:
        """The mean over amounts of the least time in C."""
        return sum(self.least) / C_AMOUNTS


def described(sample: Sample) -> dict[str, Any]:
    """The sample as peers.py takes it."""
    return {"kind": sample.kind, "fields": sample.fields, "token_in": sample.token_in,
            "token_out": sample.token_out, "positions": sample.positions,
            "amounts": sample.amounts(AMOUNTS)}  # fmt: skip


def check(sample: Sample, pair: Pair, peer: Peer | Elsewhere) -> None:
    """RuntimeError unless the peer pays what we pay."""
    amounts = sample.amounts(CHECKED)
    for amount, theirs in zip(amounts, peer.outputs(amounts), strict=True):
        ours = sample.quote(amount).amount_out
        if abs(ours - theirs) > pair.off:
            raise RuntimeError(f"{sample.name}, {amount} in: ours {ours}, {pair.peer} {theirs}")


# ---- measuring ----


@contextmanager
def other_environment(python: Path | None = None) -> Iterator[Child | str]:
    """The peers' process in ENVIRONMENT or another one, or why there is none."""
    python = python or ENVIRONMENT
    if not python.exists():
        yield "not set up: make bench does it, where its Python and packages can be had"
        return
    child = Child(python, home=python.parents[1])
    try:
        yield child
    finally:
        child.close()


def make(pair: Pair, sample: Sample, child: Child | str) -> Peer | Elsewhere:
    """The pair's peer, checked; LookupError with the reason where it cannot be had."""
    peer: Peer | Elsewhere
    if pair.peer in ELSEWHERE:
        if isinstance(child, str):
            raise LookupError(child)
        peer = Elsewhere(child, pair.peer, described(sample))
    else:
        try:
            peer = Peer(pair.peer, described(sample))
        except Exception as error:
            raise LookupError(f"{type(error).__name__}: {error}") from error
    check(sample, pair, peer)
    return peer


def quotes(seconds: float) -> list[Row]:
    """The rows of PAIRS, and V3's five ticks beside none."""
    samples = {each.name: each for each in pools.samples()}
    with ExitStack() as stack:
        child = stack.enter_context(other_environment())
        found: dict[Pair, Peer | Elsewhere | str] = {}
        for pair in PAIRS:
            try:
                found[pair] = make(pair, samples[pair.sample], child)
            except LookupError as reason:
                found[pair] = str(reason)
            print(f"\r{pair.sample}, {pair.peer}\x1b[K", end="", file=sys.stderr)
        ours = {name: Ours(samples[name]) for name in dict.fromkeys(p.sample for p in PAIRS)}
        least = dict.fromkeys(PAIRS, float("inf"))
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                print(f"\r{left:.0f} s left\x1b[K", end="", file=sys.stderr)
                for name, mine in ours.items():
                    mine.turn()
                    for pair, peer in found.items():
                        if pair.sample == name and not isinstance(peer, str):
                            least[pair] = min(least[pair], peer.time(TURN))
        finally:
            gc.enable()
            gc.unfreeze()
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return [_row(pair, ours[pair.sample], found[pair], least[pair]) for pair in PAIRS] + [
        _five_ticks(ours)
    ]


def _row(pair: Pair, ours: Ours, peer: Peer | Elsewhere | str, least: float) -> Row:
    reach: Reach | None = ("at least", pair.reach) if pair.reach else None
    c, python = round(ours.c, 1), round(ours.python, 1)
    if isinstance(peer, str):
        return Row(pair.sample, pair.peer, "ns", c, python, reach=reach, absent=peer)
    ratio = round(least / ours.c, 2)
    return judged(Row(pair.sample, pair.peer, "ns", c, python, round(least, 1), ratio, reach))


def _five_ticks(ours: dict[str, Ours]) -> Row:
    none, five = ours["uniswap_v3, 0 ticks"], ours["uniswap_v3, 5 ticks"]
    return judged(
        Row("uniswap_v3, 5 ticks", "ours, 0 ticks", "ns", round(five.c, 1), round(five.python, 1),
            round(none.c, 1), round(five.c / none.c, 2), ("at most", MOST_OF_FIVE_TICKS))
    )  # fmt: skip


def arithmetic() -> list[Row]:
    """u256.h beside GMP, by bench.gmp in the environment that has gmpy2, else in ours."""
    python = ENVIRONMENT if ENVIRONMENT.exists() else Path(sys.executable)
    done = subprocess.run(
        [python, "-m", "bench.gmp"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    reach: Reach = ("at most", MOST_OF_GMP)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return [Row("mulDiv, division, isqrt", "GMP mpn", reach=reach, absent=reason)]
    return [
        judged(Row(case, "GMP mpn", "ns", figures["ours_ns"], None, figures["gmp_ns"],
                   figures["ratio"], reach))
        for case, figures in json.loads(done.stdout).items()
    ]  # fmt: skip


def counted() -> list[Row]:
    """The V2 quote's instructions, as bench.instructions wrote them last."""
    reach: Reach = ("at most", MOST_V2_INSTRUCTIONS)
    part, peer = "uniswap_v2", "its limit"
    try:
        counts = json.loads(instructions.RESULTS.read_text())["counts"]
    except OSError:
        return [Row(part, peer, "instructions", absent="python -m bench.instructions counts them")]
    count = float(counts["uniswap_v2, in"])
    return [judged(Row(part, peer, "instructions", count, None, None, count, reach))]


def result(seconds: float) -> dict[str, Any]:
    """The object that is written."""
    load = os.getloadavg()[0]
    rows = arithmetic() + counted() + quotes(seconds)
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "machine": machine(clock_cost()) | {"load_average": round(load, 2)},
        "rows": [asdict(row) for row in rows],
    }


def main() -> int:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of taking turns")
    args = parser.parse_args()
    made = result(args.seconds)
    args.out.write_text(json.dumps(made, indent=2) + "\n")
    if args.json:
        print(json.dumps(made, indent=2))
        return 0
    Console().print(math_sheet(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
