"""The kernels' figures beside their peers', as `make bench` wrote them last: read and shown.

Owns the reading of bench/results/math.json and instructions.json, and their tables. Measures
nothing.
"""

from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table as Sheet

FOLDER = Path(__file__).resolve().parents[1] / "bench" / "results"
ANEW = "`make bench` measures anew"


def read(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """A file of results, or None where there is none: an installation has no bench folder."""
    try:
        found: dict[str, Any] = orjson.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return None
    return found


def duration(ns: float | None) -> str:
    """Three digits and a unit; nothing for None."""
    if ns is None:
        return ""
    for unit, size in (("ms", 10**6), ("us", 1000)):
        if ns >= size:
            value = ns / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{ns:.0f} ns" if ns >= 100 else f"{ns:.1f} ns"


def _cells(row: dict[str, Any]) -> list[str]:
    """One row of the table."""
    side, limit = row["reach"] or ("", 0.0)
    reach = f"{side} {limit:g}" if side else ""
    if row["absent"]:
        return [row["part"], duration(row["ours"]), duration(row["ours_python"]), row["peer"],
                f"not measured: {row['absent']}", "", reach, ""]  # fmt: skip
    verdict = {True: "reached", False: "MISSED", None: ""}[row["met"]]
    if row["unit"] == "ns":
        ours, theirs, ratio = duration(row["ours"]), duration(row["theirs"]), f"{row['ratio']:.2f}"
    else:
        ours, theirs, ratio = f"{row['ours']:.0f}", "", f"{row['ratio']:.0f}"
    name = row["part"] if row["unit"] == "ns" else f"{row['part']}, {row['unit']}"
    return [name, ours, duration(row["ours_python"]), row["peer"], theirs, ratio, reach, verdict]


def math_sheet(result: dict[str, Any]) -> Sheet:
    """Every part beside its peer."""
    m = result["machine"]
    sheet = Sheet(
        title=f"kernels beside their peers: {result['date'][:10]}, {m['cpu']}, commit "
        f"{result['commit'] or 'unknown'}, load {m['load_average']}",
        title_justify="left",
    )
    for heading in ("", "in C", "from Python", "peer", "its time", "ratio", "reach", ""):
        right = heading in ("in C", "from Python", "its time", "ratio")
        sheet.add_column(heading, justify="right" if right else "left")
    for row in result["rows"]:
        sheet.add_row(*_cells(row))
    return sheet


def instructions_sheet(result: dict[str, Any]) -> Sheet:
    """Instructions of one quote, exact input and exact output side by side."""
    sheet = Sheet(
        title=f"instructions of one quote: commit {result['commit'] or 'unknown'}, "
        f"{result['compiler']}",
        title_justify="left",
    )
    sheet.add_column()
    sheet.add_column("exact in", justify="right")
    sheet.add_column("exact out", justify="right")
    counts = result["counts"]
    for name, count in counts.items():
        part, _, exact = name.rpartition(", ")
        if exact == "in":
            out = counts.get(f"{part}, out")
            sheet.add_row(part, f"{count:,}", "" if out is None else f"{out:,}")
        elif exact != "out":
            sheet.add_row(name, f"{count:,}", "")
    return sheet


def show(math: dict[str, Any] | None, counts: dict[str, Any] | None, console: Console) -> None:
    """Both tables, or that there are none."""
    if math is None or counts is None:
        console.print(f"No figures of the kernels in {FOLDER}; {ANEW}.", highlight=False)
    for found, sheet in ((math, math_sheet), (counts, instructions_sheet)):
        if found is not None:
            console.print(sheet(found))
            console.print()
    if math is not None:
        console.print(
            "Times are minima of one interleaved run; the ratio is the peer's time over ours in C, "
            f"or ours over the peer's where the reach is a limit from above. {ANEW}.",
            highlight=False,
        )
