"""Draw the results of `python -m mevfast bench` over time: is the path shorter than it was?

    python -m bench.history_plot [--folder bench/results] [--out bench/results/history.svg]

Reads every result in the folder whose name begins with a date, of this format and the one before,
and draws ratios and times by date, a marker for each CPU. Quick runs are drawn hollow. The same
files give the same bytes. Measures nothing.
"""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson
from matplotlib.figure import Figure

from bench.search_plot import STYLE

FOLDER = Path(__file__).resolve().parent / "results"
FORMATS = ("mevfast-bench/1", "mevfast-bench/2")
PATH = {
    "frame_to_signed_over_signature": ("2,000 pools", "#1f5fa8"),
    "frame_to_signed_over_signature_20k": ("20,000 pools", "#123f73"),
    "socket_to_socket_over_floor": ("socket to socket, spinning", "#d07a1f"),
}
PARTS = {
    "decode_over_msgspec": ("decode over msgspec", "#1f5fa8"),
    "decode_over_orjson": ("decode over orjson", "#9cc3ea"),
    "sign_over_bare": ("sign over the bare signature", "#3a8a4d"),
    "fields_to_raw_over_sign": ("fields to raw over sign", "#d07a1f"),
}
TIMES = {
    "frame_to_signed_2000": ("frame to signed", "#1f5fa8"),
    "sign_2000": ("sign", "#3a8a4d"),
    "encode_2000": ("encode", "#d07a1f"),
    "size_2000": ("size", "#888888"),
    "search_2000": ("search", "#4b8fd4"),
    "decode_2000": ("decode", "#9cc3ea"),
}
MARKERS = "os^Dv"


def read(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, oldest first; files of other formats are passed over."""
    found = []
    for path in sorted(folder.glob("[0-9]*-*.json")):
        try:
            result = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(result, dict) and result.get("format") in FORMATS:
            found.append(result)
    return sorted(found, key=lambda each: (each["date"], each["commit"] or ""))


def _lines(
    axes: Any,
    results: list[dict[str, Any]],
    markers: dict[str, str],
    lines: dict[str, tuple[str, str]],
    values: list[dict[str, float]],
) -> None:
    """A line for each name, a marker for each result that has it."""
    for name, (label, colour) in lines.items():
        points = [(i, each[name]) for i, each in enumerate(values) if name in each]
        if not points:
            continue
        axes.plot(*zip(*points, strict=True), "-", color=colour, lw=1, label=label)
        for i, value in points:
            axes.plot(i, value, markers[results[i]["machine"]["cpu"]], ms=5, color=colour,
                      mfc="white" if results[i]["quick"] else colour)  # fmt: skip
    axes.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3)


def draw(results: list[dict[str, Any]], out: Path) -> None:
    """Writes the SVG."""
    cpus = sorted({each["machine"]["cpu"] for each in results})
    markers = {cpu: MARKERS[i % len(MARKERS)] for i, cpu in enumerate(cpus)}
    ratios = [each["ratios"] for each in results]
    times = [
        {name: figures["p50_ns"] / 1000 for name, figures in each["stages"].items()}
        for each in results
    ]
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(12, 4.6), layout="constrained")
        axes = drawn.subplots(1, 3)
        for part, lines, values, title in (
            (axes[0], PATH, ratios, "the path over its limit, p50"),
            (axes[1], PARTS, ratios, "its parts over theirs, minima"),
            (axes[2], TIMES, times, "stages at 2,000 pools, p50, us"),
        ):
            _lines(part, results, markers, lines, values)
            part.set(title=title)
            part.set_xlim(-0.5, len(results) - 0.5)
            if lines is TIMES:
                part.set(yscale="log")
            else:
                part.set_ylim(bottom=0)
            part.set_xticks(
                range(len(results)),
                [
                    f"{datetime.fromisoformat(each['date']):%Y-%m-%d}\n"
                    f"{(each['commit'] or 'unknown')[:7]}"
                    for each in results
                ],
                fontsize=6,
                rotation=60,
            )
        which = "; ".join(f"{markers[cpu]} {cpu}" for cpu in cpus)
        drawn.suptitle(f"results of the bench, by date and commit ({which}; hollow: quick)")
        drawn.savefig(out, format="svg", metadata={"Date": None})


def main() -> int:
    """Command line; says what was drawn on standard error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results = read(args.folder)
    if not results:
        print(f"no results of the bench in {args.folder}", file=sys.stderr)
        return 1
    out = args.out or args.folder / "history.svg"
    draw(results, out)
    print(f"{len(results)} results drawn: {out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
