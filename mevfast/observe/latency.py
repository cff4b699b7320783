"""Latencies by stage as HDR histograms, from the counts that the hot half keeps.

Owns how they are summed up. The counts have the layout of such a histogram already, so that a
count costs one record however many samples it holds.
"""

from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from mevfast._stages import LONGEST_NS, Stages

SIGNIFICANT_DIGITS = 2
"""Of include/stages.h: a value is off by 1/128 at most."""
QUANTILES = {"p50_ns": 50.0, "p99_ns": 99.0, "p999_ns": 99.9}


def histogram(counts: list[tuple[int, int]]) -> HdrHistogram:
    """The histogram of one stage's counts."""
    made = HdrHistogram(1, LONGEST_NS, SIGNIFICANT_DIGITS)
    for ns, samples in counts:
        made.record_value(max(ns, 1), samples)
    return made


def summary(stages: Stages) -> dict[str, dict[str, int]]:
    """{stage: {min_ns, p50_ns, p99_ns, p999_ns, count}} up to now, of stages that had any.

    Times as measured: each contains one stamp, `stages.cost_ns()`.
    """
    stages.drain()
    out: dict[str, dict[str, int]] = {}
    for name, counts in stages.counts().items():
        if not counts:
            continue
        shape = histogram(counts)
        figures: dict[str, Any] = {"min_ns": counts[0][0]}
        figures |= {key: shape.get_value_at_percentile(at) for key, at in QUANTILES.items()}
        out[name] = figures | {"count": shape.get_total_count()}
    return out


def line(stages: Stages) -> str:
    """The stages in one line of the log: p50 and p99 of each, us."""
    parts = [
        f"{name} {row['p50_ns'] / 1000:.1f}/{row['p99_ns'] / 1000:.1f}"
        for name, row in summary(stages).items()
    ]
    return ", ".join(parts) or "nothing timed yet"
