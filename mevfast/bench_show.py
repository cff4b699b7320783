"""The bench's tables: stages beside their limits, sockets, and what is to be reached.

Owns how a result is shown in a terminal. Measures nothing.
"""

from typing import Any

from rich.console import Console
from rich.table import Table as Sheet

from mevfast.bench_machine import busy, verdict
from mevfast.bench_stages import BUT_SIGNATURE, STAGES, SUFFIXES, WAY
from mevfast.bench_tables import duration
from mevfast.bench_tables import show as show_kernels

PEERS = {
    "bare_signature": "libsecp256k1 alone",
    "msgspec_decode": "msgspec, typed, log frames",
    "orjson_loads": "orjson.loads, log frames",
    "keccak_110": "keccak-256 of 110 bytes",
    "fields_to_raw": "324 B calldata to raw",
    "eth_account_sign_transaction": "the same by eth-account",
    "cache_lines": "256 lines of the 2nd-level cache",
    "cache_lines_after_idle": "after 1 ms of doing nothing",
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
WAYS = {
    "echo_wait": "echo, the peer sleeps",
    "echo_spin": "echo, the peer spins",
    "socket_to_socket_wait": "engine, sleeping, from when sent",
    "socket_to_socket_wait_from_intended": "  from when it was to be sent",
    "socket_to_socket_spin": "engine, spinning, from when sent",
    "socket_to_socket_spin_from_intended": "  from when it was to be sent",
    "bare_signature_beside": "libsecp256k1 alone, in turns with them",
}
MB = 1 << 20
NEED_QUIET = ("socket to socket", "p99.9")
"""Figures of which other work on the machine leaves nothing."""


def reach(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Each figure that is to be reached: value, side and limit, and whether it is met.

    `met` is None where the value is, for it was not measured, and for what tells on a busy machine
    of its other work alone.
    """
    ratios, stages = result["ratios"], result["stages"]
    tail, sustained = result["long"]["tail"], result["long"]["sustained"]
    grown = tail["grown_bytes"]
    rest = stages.get(f"{BUT_SIGNATURE}_2000")
    rows: list[tuple[str, float | None, str, float]] = [
        ("frame to signed over signature, 2,000 pools, p50",
         ratios.get("frame_to_signed_over_signature"), "at most", 1.25),
        ("all but the signature, 2,000 pools, p50, us",
         round(rest["p50_ns"] / 1000, 2) if rest else None, "at most", 5.0),
        ("frame to signed over signature, 20,000 pools, p50",
         ratios.get("frame_to_signed_over_signature_20k"), "at most", 2.0),
        ("decode over msgspec", ratios.get("decode_over_msgspec"), "at most", 0.25),
        ("decode over orjson", ratios.get("decode_over_orjson"), "at most", 0.16),
        ("sign over the bare signature", ratios.get("sign_over_bare"), "at most", 1.03),
        ("fields to raw over sign", ratios.get("fields_to_raw_over_sign"), "at most", 1.08),
        ("eth-account over fields to raw",
         ratios.get("eth_account_over_fields_to_raw"), "at least", 14.0),
        ("socket to socket over signature and echo, spinning, p50",
         ratios.get("socket_to_socket_over_floor"), "at most", 1.5),
        (f"p99.9 over p50 of {tail['events']:,} events", tail["p999_over_p50"], "at most", 4.0),
        ("garbage collections among them", tail["collections"], "at most", 0),
        ("MB grown after them", None if grown is None else round(grown / MB, 2), "at most", 1.0),
        ("frames a second, each searched, 2,000 pools",
         sustained["frames_a_second"], "at least", 150_000),
    ]  # fmt: skip
    disturbed = busy(result["machine"])
    return [
        {
            "figure": name,
            "value": value,
            "reach": [side, limit],
            "met": None
            if value is None or (disturbed and name.startswith(NEED_QUIET))
            else value <= limit
            if side == "at most"
            else value >= limit,
        }
        for name, value, side, limit in rows
    ]


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
                ns = peers.get(peer + suffix, peers[peer])["p50_ns"]
                beside = f"{short} {duration(ns)}, {figures['p50_ns'] / ns:.2f}"
            rows.append((name, figures, beside))
    return rows


def _way_sheet(stages: dict[str, Any]) -> Sheet:
    """Of each stream, where the median transaction's time goes."""
    sheet = Sheet(title="where frame_to_signed goes, p50", title_justify="left")
    sheet.add_column(no_wrap=True)
    for name in HEADINGS:
        sheet.add_column(name, justify="right", no_wrap=True)
    for name in (*(f"way_{part}" for part in WAY), BUT_SIGNATURE):
        found = [stages.get(name + SUFFIXES[stream]) for stream in HEADINGS]
        cells = [duration(each["p50_ns"]) if each else "" for each in found]
        sheet.add_row(name.removeprefix("way_").replace("_", " "), *cells)
    return sheet


def _socket_sheet(section: dict[str, Any]) -> Sheet:
    where = (
        f"cores {section['engine_core']} and {section['sender_core']}"
        if section["engine_core"] is not None
        else "one core for both"
    )
    figures = section["figures"]
    return _sheet(
        [(words, figures[name], "") for name, words in WAYS.items() if name in figures],
        f"socket to socket, {section['pools']:,} pools, {section['events_a_second']} events a "
        f"second, {where}, the sender {section['sender']}",
    )


def _reach_sheet(rows: list[dict[str, Any]]) -> Sheet:
    sheet = Sheet(title="to be reached", title_justify="left")
    sheet.add_column()
    sheet.add_column("here", justify="right")
    sheet.add_column("reach")
    sheet.add_column()
    for row in rows:
        value = "not measured" if row["value"] is None else f"{row['value']:,}"
        side, limit = row["reach"]
        unknown = "" if row["value"] is None else "busy"
        word = {True: "reached", False: "MISSED", None: unknown}[row["met"]]
        sheet.add_row(row["figure"], value, f"{side} {limit:,g}", word)
    return sheet


def show(result: dict[str, Any], console: Console) -> None:
    """Machine, tables, ratios, verdict."""
    m = result["machine"]
    console.print(
        f"{m['cpu']}, {m['cores']} cores, governor {m['governor'] or 'not readable'}, mitigations "
        f"{m['mitigations']['parameter'] or 'as the kernel chooses'}, isolated cores "
        f"{m['isolation']['isolated'] or 'none'}, clock {m['timer']['clocksource']}, "
        f"{m['clock_ns']} ns (taken off), kernel {m['kernel']}, Python {m['python']}, load "
        f"{m['load_average']}, commit {result['commit'] or 'unknown'}",
        highlight=False,
    )
    for name, title in HEADINGS.items():
        stream = result["stream"][name]
        console.print()
        rows = _stage_rows(result, SUFFIXES[name])
        console.print(_sheet(rows, f"{title} ({stream['passes']:g} passes)"))
    console.print()
    console.print(_way_sheet(result["stages"]))
    console.print()
    peers = [(words, result["peers"][name], "") for name, words in PEERS.items()]
    console.print(_sheet(peers, "limits and peers, same run"))
    console.print()
    console.print(_socket_sheet(result["end_to_end"]))
    console.print()
    for name, value in result["ratios"].items():
        console.print(f"{name:<42} {value:>8.2f}", highlight=False)
    console.print()
    console.print(_reach_sheet(result["reach"]))
    console.print()
    for line in verdict(result):
        console.print(line, highlight=False, markup=False)
    console.print()
    show_kernels(result["kernels"], result["instructions"], console)
