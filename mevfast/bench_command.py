"""The command `bench`: every stage from frame to signed transaction, beside its limit and peers.

Owns what is run in which order and what comes of it. Stages are measured by bench_stages, sockets
by bench_socket, millions of events by bench_long; bench_show has the tables, bench_machine the
verdict, bench_compare the comparison with an earlier result. What is measured, and how to read it:
docs/benchmarks.md.
"""

import argparse
import gc
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mevfast import __version__, bench_compare, bench_long, bench_socket
from mevfast._bench import CacheProbe, clock_cost
from mevfast.bench_machine import cpu_times, machine, source_commit, stolen_share
from mevfast.bench_show import reach, show
from mevfast.bench_stages import (
    BUT_SIGNATURE,
    ROUNDS,
    STAGES,
    SUFFIXES,
    WAY,
    Player,
    Run,
    check_peers,
    ratios,
    round_ratios,
)
from mevfast.bench_stream import Stream, make_stream, read_stream
from mevfast.bench_tables import read as read_results
from mevfast.errors import ConfigError

HELP = "time every stage from frame to signed transaction"

SIZES = (200, 2000, 20000)
SECONDS = {"recorded": 6.0, "made_200": 4.0, "made_2000": 10.0, "made_20000": 10.0}
QUICK_SHARE, QUICK_ROUNDS = 0.1, 10
CACHE_SAMPLES, CACHE_IDLE_NS = 10, 1_000_000
"""Of a round; and how long the core does nothing before it looks what is left in its cache."""

SOCKET_ROUNDS, QUICK_SOCKET_ROUNDS = 10, 5
OPENS, QUICK_OPENS = 200, 25
"""Events from socket to socket in one turn of each way."""
BUDGET_S, QUICK_BUDGET_S = 100.0, 11.0
"""When the long run ends, however many events are left of it; on a quiet machine none are."""
QUICK_LONG_SHARE = 0.01


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `bench`."""
    parser.description = (
        "Replays recorded and made frames through the engine's own code, from the bytes of a "
        "frame to the bytes of the signed request, and times each stage beside the bare "
        "signature and the usual Python tools, interleaved in one run. Sends nothing."
    )
    parser.add_argument("--quick", action="store_true", help="under 15 s, for a first look")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="against an earlier result: what differs"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the JSON there too; a folder names it"
    )


# ---- measuring ----


def _stages(streams: list[Stream], quick: bool, run: Run, bars: Progress) -> dict[str, Any]:
    """All rounds of all streams; what was replayed. The streams take turns within each round."""
    share, rounds = (QUICK_SHARE, QUICK_ROUNDS) if quick else (1.0, ROUNDS)
    task = bars.add_task("stages", total=rounds)
    players = [Player(stream) for stream in streams]
    probe = CacheProbe()
    for _ in range(rounds):
        at_once, later = zip(
            *(probe.sample(CACHE_IDLE_NS) for _ in range(CACHE_SAMPLES)), strict=True
        )
        run.add("cache_lines", list(at_once))
        run.add("cache_lines_after_idle", list(later))
        for player in players:
            player.play(SECONDS[player.stream.name] * share / rounds, run)
        run.end_round()
        bars.advance(task)
    return {player.stream.name: player.summary() for player in players}


def _sockets(quick: bool, clock_ns: int, bars: Progress) -> tuple[dict[str, Any], Run]:
    rounds, opens = (QUICK_SOCKET_ROUNDS, QUICK_OPENS) if quick else (SOCKET_ROUNDS, OPENS)
    task = bars.add_task("from socket to socket", total=rounds * len(bench_socket.WAYS))
    return bench_socket.measure(
        rounds, clock_ns, lambda done: bars.update(task, completed=done), opens=opens
    )


def _long(quick: bool, until: float, bars: Progress) -> dict[str, Any]:
    """The last section: what time is left is its."""
    share = QUICK_LONG_SHARE if quick else 1.0
    events = int(bench_long.EVENTS * share)
    task = bars.add_task(f"{events:,} events", total=events)
    return {
        "sustained": bench_long.sustained(int(bench_long.QUIET_EVENTS * share)),
        "tail": bench_long.tail(
            events,
            until,
            lambda done: bars.update(task, completed=done),
            settled=not quick,
        ),
    }


def bench(quick: bool, console: Console) -> dict[str, Any]:
    """Everything; the object that `--json` prints."""
    until = time.monotonic() + (QUICK_BUDGET_S if quick else BUDGET_S)
    clock_ns = clock_cost()
    here = machine(clock_ns)
    before = cpu_times()
    run = Run(clock_ns)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        streams = [read_stream(), *map(make_stream, SIZES)]
        check_peers(streams[0])
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            replayed = _stages(streams, quick, run, bars)
            streams.clear()
            end_to_end, sockets = _sockets(quick, clock_ns, bars)
            long = _long(quick, until, bars)
        finally:
            gc.enable()
            gc.unfreeze()
    here["stolen"] = stolen_share(before, cpu_times())
    here["pinned"] = {"engine": end_to_end["engine_core"], "sender": end_to_end["sender_core"]}
    figures = {**run.figures(), **sockets.figures()}
    rounds = {**run.rounds, **sockets.rounds}
    names = (*STAGES, *(f"way_{name}" for name in WAY), BUT_SIGNATURE)
    ours = {name + suffix for name in names for suffix in SUFFIXES.values()}
    result: dict[str, Any] = {
        "format": bench_compare.FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "commit": source_commit(),
        "quick": quick,
        "machine": here,
        "stages": {name: figures[name] for name in figures if name in ours},
        "peers": {name: figures[name] for name in run.figures() if name not in ours},
        "ratios": ratios(figures),
        "end_to_end": end_to_end,
        "long": long,
        "stream": replayed,
        "rounds": {"times": rounds, "ratios": round_ratios(rounds)},
        "kernels": read_results("math.json"),
        "instructions": read_results("instructions.json"),
    }
    result["reach"] = reach(result)
    return result


def _write(result: dict[str, Any], out: Path) -> Path:
    if out.is_dir() or not out.suffix:
        day = result["date"][:10]
        out = out / f"{day}-{(result['commit'] or 'unknown').replace('+', '-changed')}.json"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise ConfigError(
            f"--out {out}: expected a file or folder to write to, {error.strerror}; name another"
        ) from error
    return out


def run(args: argparse.Namespace) -> int:
    """Runs the bench; 0 when it came to its end, whatever it found."""
    log = Console(stderr=True)
    earlier = bench_compare.read(args.compare) if args.compare else None
    result = bench(args.quick, log)
    changes = bench_compare.compare(earlier, result) if earlier else []
    if earlier:
        result["compared"] = bench_compare.as_json(changes, earlier)
    if args.out:
        log.print(f"written: {_write(result, args.out)}", highlight=False)
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(result, Console())
        if earlier:
            bench_compare.show(changes, earlier, result, Console())
    return 0
