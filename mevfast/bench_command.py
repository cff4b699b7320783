"""The command `bench`: every stage from frame to signed transaction, beside its limit and peers.

Owns what is run in which order and how the figures are shown. Stages are measured by bench_stages,
sockets by bench_socket; the machine and the verdict are in bench_machine, the comparison with an
earlier result in bench_compare. What is measured, and how to read it: docs/benchmarks.md.
"""

import argparse
import gc
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Sheet

from mevfast import __version__
from mevfast._bench import clock_cost
from mevfast.bench_machine import cpu_times, machine, source_commit, verdict
from mevfast.bench_stages import (
    ROUNDS,
    STAGES,
    SUFFIXES,
    Player,
    Run,
    check_peers,
    ratios,
    round_ratios,
    signer,
)
from mevfast.bench_stream import Stream, make_stream, read_stream
from mevfast.bench_tables import duration
from mevfast.bench_tables import read as read_results
from mevfast.bench_tables import show as show_kernels
from mevfast.errors import ConfigError

HELP = "time every stage from frame to signed transaction"

FORMAT = "mevfast-bench/2"
SIZES = (200, 2000, 20000)
SECONDS = {"recorded": 8.0, "made_200": 4.0, "made_2000": 12.0, "made_20000": 12.0}
QUICK_SHARE = 0.15

PEERS = {
    "bare_signature": "libsecp256k1 alone",
    "msgspec_decode": "msgspec, typed, log frames",
    "orjson_loads": "orjson.loads, log frames",
    "keccak_110": "keccak-256 of 110 bytes",
    "fields_to_raw": "324 B calldata to raw",
    "eth_account_sign_transaction": "the same by eth-account",
}
BESIDE = {
    "decode": ("msgspec_decode", "msgspec"),
    "sign": ("bare_signature", "bare"),
    "frame_to_signed": ("bare_signature", "bare"),
}
HEADINGS = {
    "recorded": "embedded chain, as recorded: many cycles pay in most blocks",
    "made_200": "200 pools, one cycle pays",
    "made_2000": "2,000 pools, one cycle pays",
    "made_20000": "20,000 pools, one cycle pays",
}


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
        "--out", type=Path, metavar="FILE", help="write the JSON there too; a folder names it"
    )


# ---- measuring ----


def _stages(streams: list[Stream], share: float, run: Run, bars: Progress) -> dict[str, Any]:
    """All rounds of all streams; what was replayed. The streams take turns within each round."""
    total = sum(SECONDS.values()) * share
    task = bars.add_task("stages", total=total)
    players = [Player(stream) for stream in streams]
    done = 0.0
    for _ in range(ROUNDS):
        for player in players:
            seconds = SECONDS[player.stream.name] * share / ROUNDS
            player.play(seconds, run)
            done += seconds
            bars.update(task, completed=done)
        run.end_round()
    return {player.stream.name: player.summary() for player in players}


def bench(quick: bool, console: Console) -> dict[str, Any]:
    """Everything; the object that `--json` prints."""
    clock_ns = clock_cost()
    here = machine(clock_ns, signer().backend)
    ticks = cpu_times()
    run = Run(clock_ns)
    share = QUICK_SHARE if quick else 1.0
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        streams = [read_stream(), *map(make_stream, SIZES)]
        check_peers(streams[0])
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            replayed = _stages(streams, share, run, bars)
        finally:
            gc.enable()
            gc.unfreeze()
    figures = run.figures()
    now = cpu_times()
    here["stolen"] = round((now["stolen"] - ticks["stolen"]) / max(1, now["all"] - ticks["all"]), 4)
    ours = {name + suffix for name in STAGES for suffix in SUFFIXES.values()}
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "commit": source_commit(),
        "quick": quick,
        "machine": here,
        "stages": {name: each for name, each in figures.items() if name in ours},
        "peers": {name: each for name, each in figures.items() if name not in ours},
        "ratios": ratios(figures),
        "end_to_end": {},
        "stream": replayed,
        "rounds": {"times": run.rounds, "ratios": round_ratios(run.rounds)},
        "kernels": read_results("math.json"),
        "instructions": read_results("instructions.json"),
    }


# ---- showing ----


def _sheet(rows: list[tuple[str, dict[str, int], str]], title: str) -> Sheet:
    """Rows of name, figures, and what stands beside them."""
    sheet = Sheet(title=title, title_justify="left")
    sheet.add_column(no_wrap=True)
    for heading in ("min", "p50", "p99", "p99.9"):
        sheet.add_column(heading, justify="right", no_wrap=True)
    if any(beside for *_, beside in rows):
        sheet.add_column("beside, p50", no_wrap=True)
    for name, figures, beside in rows:
        cells = [duration(figures[key]) for key in ("min_ns", "p50_ns", "p99_ns", "p999_ns")]
        sheet.add_row(name, *cells, *([beside] if len(sheet.columns) > 5 else []))
    return sheet


def _stage_rows(result: dict[str, Any], suffix: str) -> list[tuple[str, dict[str, int], str]]:
    rows = []
    for name in STAGES:
        if figures := result["stages"].get(name + suffix):
            beside = ""
            if name in BESIDE:
                peer, short = BESIDE[name]
                peers = result["peers"]
                beside = f"{short} {duration(peers.get(peer + suffix, peers[peer])['p50_ns'])}"
            rows.append((name, figures, beside))
    return rows


def show(result: dict[str, Any], console: Console) -> None:
    """Machine, tables, ratios, verdict."""
    m = result["machine"]
    console.print(
        f"{m['cpu']}, {m['cores']} cores, governor {m['governor'] or 'not readable'}, kernel "
        f"{m['kernel']}, Python {m['python']}, clock {m['clock_ns']} ns (taken off), commit "
        f"{result['commit'] or 'unknown'}",
        highlight=False,
    )
    for name, title in HEADINGS.items():
        stream = result["stream"][name]
        console.print()
        rows = _stage_rows(result, SUFFIXES[name])
        console.print(_sheet(rows, f"{title} ({stream['passes']:g} passes)"))
    console.print()
    peers = [(words, result["peers"][name], "") for name, words in PEERS.items()]
    console.print(_sheet(peers, "limits and peers, same run"))
    console.print()
    for name, value in result["ratios"].items():
        console.print(f"{name:<42} {value:>8.2f}", highlight=False)
    console.print()
    for line in verdict(result):
        console.print(line, highlight=False)
    console.print()
    show_kernels(result["kernels"], result["instructions"], console)


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
    """Runs the bench; 0 when it came to its end."""
    log = Console(stderr=True)
    result = bench(args.quick, log)
    if args.out:
        log.print(f"written: {_write(result, args.out)}", highlight=False)
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(result, Console())
    return 0
