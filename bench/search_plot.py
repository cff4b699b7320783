"""The figure of bench_search: what an event costs against size, degree and number of cycles.

Owns bench/results/search.svg and nothing that is measured. The same figures give the same bytes.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "mevfast",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
SEARCH, BARE, RUSTWORKX, CYCLES = "#1f5fa8", "#d07a1f", "#3a8a4d", "#888888"
BY_SIZE = ("#9cc3ea", "#4b8fd4", "#123f73")


def _sizes(axes: Any, by_size: list[dict[str, float]]) -> None:
    """The mean against the market's size, and how many cycles there are."""
    pools = [each["pools"] for each in by_size]
    for name, label, colour in (
        ("search_us", "search", SEARCH),
        ("bare_us", "bare scan", BARE),
        ("rustworkx_us", "rustworkx", RUSTWORKX),
    ):
        axes.plot(pools, [each[name] for each in by_size], "o-", color=colour, label=label)
    cycles = [each["cycles"] for each in by_size]
    axes.plot(pools, cycles, "--", color=CYCLES, label="cycles through the pool (count)")
    axes.set(xscale="log", yscale="log", xlabel="pools in the market",
             ylabel="us an event, mean", title="market size")  # fmt: skip
    axes.set_ylim(top=10 * max(cycles))
    axes.legend(frameon=False, fontsize=7, loc="upper left", ncols=2)


def _degrees(axes: Any, by_degree: list[dict[str, Any]]) -> None:
    """Medians against the degree of the token with fewer neighbours, a line for each size."""
    for each, colour in zip(by_degree, BY_SIZE, strict=True):
        axes.plot(each["degree"], each["search_us"], "o-", ms=3, color=colour,
                  label=f"{each['pools']:,} pools")  # fmt: skip
        axes.plot(each["degree"], each["bare_us"], ":", color=colour)
    axes.set(xscale="log", yscale="log", xlabel="neighbours of the token that has fewer",
             ylabel="us an event, median", title="degree (dotted: bare scan)")  # fmt: skip
    axes.legend(frameon=False, fontsize=7)


def _cycles(axes: Any, by_cycles: list[dict[str, float]]) -> None:
    """The mean where the pairs stay and only the pools in each get more."""
    cycles = [each["cycles"] for each in by_cycles]
    first = by_cycles[0]
    axes.plot(cycles, [each["quiet_us"] for each in by_cycles], "o-", color=SEARCH,
              label="search, where no cycle opens")  # fmt: skip
    axes.plot(cycles, [each["search_us"] for each in by_cycles], ":", color=SEARCH,
              label="search, all: every cycle that gains is kept")  # fmt: skip
    axes.plot(cycles, [each["bare_us"] for each in by_cycles], "o-", color=BARE, label="bare scan")
    axes.plot(cycles, [first["quiet_us"] * each / first["cycles"] for each in cycles], "--",
              color=CYCLES, label="if it grew with the cycles")  # fmt: skip
    for each in by_cycles:
        axes.annotate(f"{each['parallel']:g} a pair", (each["cycles"], each["quiet_us"]),
                      (0, -12), textcoords="offset points", fontsize=7, ha="center")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="cycles of 2-4 swaps through the pool, mean",
             ylabel="us an event, mean", title="the same pairs, more pools in each")  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, 10 * high)
    axes.legend(frameon=False, fontsize=7, loc="upper left")


def draw(figure: dict[str, Any], out: Path) -> None:
    """Writes the SVG; `figure` as bench_search's result has it."""
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(12, 3.8), layout="constrained")
        axes = drawn.subplots(1, 3)
        _sizes(axes[0], figure["by_size"])
        _degrees(axes[1], figure["by_degree"])
        _cycles(axes[2], figure["by_cycles"])
        drawn.suptitle("one event through the search, cycles of up to 4 swaps")
        drawn.savefig(out, format="svg", metadata={"Date": None})
