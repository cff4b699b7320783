"""The rows of bench_search: one figure each, with what it is to reach, and their tables."""

from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table as Sheet

from mevfast.bench_tables import duration


@dataclass(frozen=True)
class Row:
    """One line: `value` in `unit`, and what it is to be at most or at least, if anything.

    `pools` and `hops` are those of the market and the search, None where there are none; `value`
    is None where it cannot be had, and `absent` says why.
    """

    what: str
    unit: str
    value: float | None = None
    pools: int | None = None
    hops: int | None = None
    limit: float | None = None
    side: str = "at most"
    met: bool | None = None
    absent: str | None = None


def judged(row: Row) -> Row:
    """The row with `met` filled in; the value rounded to what is worth telling."""
    if row.value is None:
        return row
    value = float(row.value)
    met = None
    if row.limit is not None:
        met = value <= row.limit if row.side == "at most" else value >= row.limit
    return replace(row, value=round(value, 1 if value >= 100 else 4), met=met)


COLUMNS = {
    "mean": "search, mean",
    "p50": "search, p50",
    "p99": "search, p99",
    "max": "search, max",
    "bare scan": "bare scan, mean",
    "over it": "scan_over_bare",
}
"""What the first table shows of each market and number of hops: heading -> row."""


def _verdict(row: dict[str, Any]) -> str:
    return {None: "", True: "yes", False: "NO"}[row["met"]]


def scan_sheet(made: dict[str, Any]) -> Sheet:
    """The search beside the bare scan, a line for each market and number of hops."""
    rows = {(each["what"], each["pools"], each["hops"]): each for each in made["rows"]}
    out = Sheet(title=f"an event through the search, {made['date'][:10]}", title_justify="left")
    for name in ("pools", "hops", *COLUMNS):
        out.add_column(name, justify="right")
    for what, pools, hops in rows:
        if what == COLUMNS["mean"]:
            values = [rows[name, pools, hops]["value"] for name in COLUMNS.values()]
            out.add_row(f"{pools:,}", str(hops), *map(duration, values[:-1]), f"{values[-1]:.2f}")
    return out


def _told(figure: float | None, unit: str) -> str:
    """A figure with its unit; nothing for None."""
    if figure is None:
        return ""
    return duration(figure) if unit == "ns" else f"{figure:,.4g} {unit}"


def limits_sheet(made: dict[str, Any]) -> Sheet:
    """What is to be reached, and what others need."""
    out = Sheet(title="limits and peers, same run", title_justify="left")
    for name in ("", "pools", "hops", "value", "limit", "met"):
        out.add_column(name, justify="right" if name in ("pools", "hops", "value") else "left")
    for each in made["rows"]:
        if each["limit"] is None and each["what"].startswith(("search, m", "search, p", "bare")):
            continue
        limit = _told(each["limit"], each["unit"])
        out.add_row(
            each["what"],
            f"{each['pools']:,}" if each["pools"] else "",
            str(each["hops"] or ""),
            _told(each["value"], each["unit"]),
            f"{each['side']} {limit}" if limit else "",
            f"not measured: {each['absent']}" if each["absent"] else _verdict(each),
        )
    return out
