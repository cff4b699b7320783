"""The command `bench`: every stage from frame to signed transaction, beside its limit and peers.

Owns what is run in which order and how the figures are shown; the clocks are in _bench, the
streams in bench_stream. What is measured, and how to read it: docs/benchmarks.md.
"""

import argparse
import gc
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from eth_account import Account
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Sheet

from mevfast import __version__
from mevfast._bench import (
    Peers,
    Replay,
    TimedCore,
    blank_signer,
    clock_cost,
    time_call,
    time_decode,
)
from mevfast._tx import Signer
from mevfast.bench_stream import EXECUTOR, Stream, make_stream, read_stream
from mevfast.bench_tables import duration
from mevfast.bench_tables import read as read_results
from mevfast.bench_tables import show as show_kernels
from mevfast.errors import ConfigError

HELP = "time every stage from frame to signed transaction"

FORMAT = "mevfast-bench/1"
RESULTS = "bench/results"
KEY = b"\x00" * 31 + b"\x01"
"""The key everybody knows: nothing is ever sent."""
CALLDATA = bytes(range(4, 256)) + bytes(range(72))
"""324 bytes, as many as the executor's calldata for three hops."""
SIZES = (200, 2000)
SECONDS = {"recorded": 14.0, "made_200": 7.0, "made_2000": 20.0}
QUICK_SHARE = 0.2
SLOW_PEER_EVERY, SLOW_PEER_CALLS = 64, 4
"""Reads for one turn of eth-account, and its calls in that turn: all but the first find the caches
warm, as our own calls do."""

STAGES = (
    "decode", "apply", "head", "search", "size", "encode", "sign", "frame_to_signed",
    "frame_without_trade",
)  # fmt: skip
PEERS = {
    "bare_signature": "libsecp256k1 alone",
    "orjson_loads": "orjson.loads, log frames",
    "keccak_110": "keccak-256 of 110 bytes",
    "fields_to_raw": "324 B calldata to raw",
    "eth_account_sign_transaction": "the same by eth-account",
}
BESIDE = {
    "decode": ("orjson_loads", "orjson"),
    "sign": ("bare_signature", "bare"),
    "frame_to_signed": ("bare_signature", "bare"),
}
HEADINGS = {
    "recorded": ("", "embedded chain, as recorded: many cycles pay in most blocks"),
    "made_200": ("_200", "200 pools, one cycle pays"),
    "made_2000": ("_2000", "2,000 pools, one cycle pays"),
}

Samples = dict[str, list[int]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `bench`."""
    parser.description = (
        "Replays recorded and made frames through the engine's own code, from the bytes of a "
        "frame to the bytes of the signed request, and times each stage beside the bare "
        "signature and the usual Python tools, interleaved in one run. Sends nothing."
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the time: under 15 s")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the JSON there too; a folder names it"
    )


# ---- measuring ----


@dataclass(slots=True)
class Run:
    """Samples by stage or peer, in ns as the clock read them, and what was replayed."""

    samples: Samples = field(default_factory=lambda: defaultdict(list))
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)


def _signer() -> Signer:
    return Signer(bytearray(KEY))


def measure(stream: Stream, seconds: float, run: Run, progress: Any = None) -> None:
    """Replays a stream over and over for so long, at least once to its end.

    Each read of the stream goes through a plain core, then through one that is timed by stage,
    then come the peers: whatever the machine does to one, it does to all.
    """
    suffix = HEADINGS[stream.name][0] if stream.name in HEADINGS else f"_{len(stream.pools)}"
    peers = Peers(_signer(), CALLDATA, EXECUTOR, stream.chain_id)
    started, passes, sent, cycles = time.monotonic(), 0, 0, 0
    while passes == 0 or time.monotonic() - started < seconds:
        plain, sink = stream.core(_signer(), timed=False)
        timed, timed_sink = stream.core(blank_signer(_signer()), timed=True)
        whole, staged = Replay(plain, sink), Replay(timed, timed_sink)
        for i, read in enumerate(stream.reads):
            first, total = whole.read(read)
            if first >= 0:
                run.samples["frame_to_signed" + suffix].append(first)
            else:
                run.samples["frame_without_trade" + suffix].append(total // len(read))
            staged.read(read)
            whole.settle()
            staged.settle()
            _time_peers(peers, read, i, suffix, run.samples)
            if passes and time.monotonic() - started > seconds:
                break
            if progress:
                progress(time.monotonic() - started)
        passes, sent = passes + 1, sent + plain.n_sent
        cycles += plain.search.n_candidates
        assert isinstance(timed, TimedCore)  # `timed=True` asked for it
        for name, values in timed.samples().items():
            run.samples[name + suffix] += values
    run.streams[stream.name] = {
        "about": stream.about,
        "pools": len(stream.pools),
        "reads": len(stream.reads),
        "frames": sum(map(len, stream.reads)),
        "passes": passes,
        "transactions": sent,
        "cycles_found": cycles,
    }


def _time_peers(peers: Peers, read: list[bytes], i: int, suffix: str, samples: Samples) -> None:
    """One sample of each peer; those of the frames for each log of the read."""
    samples["bare_signature" + suffix].append(peers.bare())
    samples["sign" + suffix].append(peers.sign())
    samples["fields_to_raw"].append(peers.fields_to_raw())
    samples["keccak_110"].append(peers.keccak_110())
    for frame in read:
        ns, is_log = time_decode(frame)
        if is_log:
            samples["decode_alone"].append(ns)
            samples["orjson_loads"].append(time_call(orjson.loads, frame))
    if i % SLOW_PEER_EVERY == 0:
        fields, _ = peers.last_transaction()
        samples["eth_account_sign_transaction"] += [
            time_call(lambda each: Account.sign_transaction(each, KEY), fields)
            for _ in range(SLOW_PEER_CALLS)
        ]


def check_peers(chain_id: int = 1) -> None:
    """The peer must do the same work: eth-account's bytes are ours, or RuntimeError."""
    peers = Peers(_signer(), CALLDATA, EXECUTOR, chain_id)
    peers.fields_to_raw()
    fields, raw = peers.last_transaction()
    theirs = bytes(Account.sign_transaction(fields, KEY).raw_transaction)
    if theirs != raw:
        raise RuntimeError(f"eth-account signs {theirs.hex()}, mevfast {raw.hex()}")


# ---- figures ----


def quantiles(values: list[int], clock_ns: int) -> dict[str, int]:
    """min, p50, p99 and p99.9 of samples, the cost of the clock taken off; and how many."""
    ordered = sorted(values)

    def at(share: float) -> int:
        return max(1, ordered[min(len(ordered) - 1, int(share * len(ordered)))] - clock_ns)

    return {"min_ns": at(0), "p50_ns": at(0.5), "p99_ns": at(0.99), "p999_ns": at(0.999),
            "samples": len(ordered)}  # fmt: skip


def ratios(stages: dict[str, dict[str, int]], peers: dict[str, dict[str, int]]) -> dict[str, float]:
    """What stands in docs/benchmarks.md: minima, but for whole frames, whose p50 counts."""

    def least(a: dict[str, int], b: dict[str, int]) -> float:
        return round(a["min_ns"] / b["min_ns"], 3)

    def middle(suffix: str) -> float:
        whole, bare = stages["frame_to_signed" + suffix], peers["bare_signature" + suffix]
        return round(whole["p50_ns"] / bare["p50_ns"], 3)

    return {
        "frame_to_signed_over_signature": middle("_2000"),
        "frame_to_signed_over_signature_200": middle("_200"),
        "frame_to_signed_over_signature_recorded": middle(""),
        "decode_over_orjson": least(peers["decode_alone"], peers["orjson_loads"]),
        "sign_over_bare": least(stages["sign"], peers["bare_signature"]),
        "fields_to_raw_over_sign": least(peers["fields_to_raw"], stages["sign"]),
        "eth_account_over_fields_to_raw": least(
            peers["eth_account_sign_transaction"], peers["fields_to_raw"]
        ),
    }


def _first_line(path: str, start: str = "") -> str | None:
    """The first line of a file that starts so, what follows a colon of it; None without one."""
    try:
        for line in Path(path).read_text().splitlines():
            if line.startswith(start):
                return line.partition(":")[2].strip() if start else line.strip()
    except OSError:
        pass
    return None


def source_commit() -> str | None:
    """The commit of the source tree, `+` where more than results changed; None outside of one."""
    folder = Path(__file__).resolve().parents[1]
    try:
        made = [
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True)
            for words in (
                ["rev-parse", "--short=12", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no", "--", ":/", f":!/{RESULTS}"],
            )
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return made[0].stdout.decode().strip() + ("+" if made[1].stdout else "")


def machine(clock_ns: int) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        "clock_ns": clock_ns,
        "signature_backend": _signer().backend,
    }


def bench(quick: bool, console: Console) -> dict[str, Any]:
    """Everything; the object that `--json` prints."""
    check_peers()
    clock_ns = clock_cost()
    at_start = machine(clock_ns)
    run = Run()
    share = QUICK_SHARE if quick else 1.0
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("preparing", total=sum(SECONDS.values()) * share)
        streams = [read_stream(), *map(make_stream, SIZES)]
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            done = 0.0
            for stream in streams:
                bars.update(task, description=stream.name)
                measure(stream, SECONDS[stream.name] * share, run,
                        lambda at, done=done: bars.update(task, completed=done + at))  # fmt: skip
                done += SECONDS[stream.name] * share
        finally:
            gc.enable()
            gc.unfreeze()
    stages: dict[str, dict[str, int]] = {}
    peers: dict[str, dict[str, int]] = {}
    for name, values in run.samples.items():
        base = name.removesuffix("_200").removesuffix("_2000")
        (stages if base in STAGES else peers)[name] = quantiles(values, clock_ns)
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "commit": source_commit(),
        "quick": quick,
        "machine": at_start,
        "stages": stages,
        "peers": peers,
        "ratios": ratios(stages, peers),
        "stream": run.streams,
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


def verdict(result: dict[str, Any]) -> list[str]:
    """What dominates, in plain words."""
    lines = []
    for suffix, where in (("_2000", "At 2,000 pools"), ("", "On the recorded chain")):
        stages = result["stages"]
        whole, bare = stages["frame_to_signed" + suffix], result["peers"]["bare_signature" + suffix]
        parts = {name: stages[name + suffix]["p50_ns"]
                 for name in ("decode", "apply", "search", "size", "encode", "sign")}  # fmt: skip
        most, second = sorted(parts, key=parts.__getitem__, reverse=True)[:2]
        lines.append(
            f"{where} a read becomes a signed transaction in {duration(whole['p50_ns'])} (p50), "
            f"{whole['p50_ns'] / bare['p50_ns']:.2f} times the bare signature of "
            f"{duration(bare['p50_ns'])}. What takes longest: {most} ({duration(parts[most])}), "
            f"then {second} ({duration(parts[second])})."
        )
    m = result["machine"]
    if m["load_average"] > 0.5 * m["cores"]:
        lines.append(
            f"The machine was busy (load {m['load_average']} on {m['cores']} cores): p99 and "
            "p99.9 tell of its other work. Read minima and ratios, or run it again on a quiet one."
        )
    if m["governor"] not in (None, "performance"):
        lines.append(f"The CPU governor is {m['governor']}: set it to performance.")
    return lines


def show(result: dict[str, Any], console: Console) -> None:
    """Machine, tables, ratios, verdict."""
    m = result["machine"]
    console.print(
        f"{m['cpu']}, {m['cores']} cores, governor {m['governor'] or 'not readable'}, kernel "
        f"{m['kernel']}, Python {m['python']}, clock {m['clock_ns']} ns (taken off), commit "
        f"{result['commit'] or 'unknown'}",
        highlight=False,
    )
    for name, (suffix, title) in HEADINGS.items():
        stream = result["stream"][name]
        console.print()
        rows = _stage_rows(result, suffix)
        console.print(_sheet(rows, f"{title} ({stream['passes']} passes)"))
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
