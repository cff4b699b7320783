"""Two results of the bench: what became faster or slower, and what is chance.

Owns the significance test and how its answers are shown. Measures nothing.

Both files hold what each round of their run says of every time and ratio. Times are compared in
units of the same round's bare signature, because the machine may run slower for the whole of one
run, ratios as they are. A difference is called one where the Mann-Whitney rank test of the rounds
says so at LEVEL, with Holm's correction for the number of comparisons, and the medians differ by
more than LEAST: rounds tell 1 % from nothing, but so does where the linker puts the code.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table as Sheet
from scipy.stats import mannwhitneyu  # type: ignore[import-untyped]

from mevfast.bench_machine import busy
from mevfast.bench_tables import duration
from mevfast.errors import DataError

FORMAT = "mevfast-bench/3"
LEVEL = 0.001
LEAST = 0.03
SAME = "no difference"
FEWEST_ROUNDS = 5
"""Of each run; some ten of each are what it takes to reach the level."""
UNIT = "bare_signature"
BESIDE = "bare_signature_beside"
"""The unit of what is measured with sockets, in rounds of its own."""
MORE_IS_BETTER = frozenset({"eth_account_over_fields_to_raw"})
PEERS = frozenset({"bare_signature", "msgspec_decode", "orjson_loads", "cache_lines",
                   "eth_account_sign_transaction", "echo_wait", "echo_spin"})  # fmt: skip
"""What is not ours, or begins so: shown by ratios, which tell more."""


@dataclass(slots=True, frozen=True)
class Change:
    """One time or ratio before and after."""

    name: str
    before: float
    after: float
    """ns for times, as measured; what is tested is `factor`."""
    factor: float
    """After over before of the medians; of times in units of the signature."""
    p: float
    """Of the rank test, corrected."""
    word: str
    """faster, slower or no difference."""
    is_time: bool


def read(path: Path) -> dict[str, Any]:
    """A result to compare with. Raises DataError where the file holds none of this format."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"--compare {path}: expected a result of the bench, {reason}; write one with "
            "`python -m mevfast bench --out FILE`"
        ) from error
    kind = found.get("format") if isinstance(found, dict) else None
    if kind != FORMAT:
        raise DataError(
            f"--compare {path}: expected the format {FORMAT}, was {kind or 'none'}; measure that "
            "commit again with a bench of this format"
        )
    rounds = found.get("rounds")
    if not isinstance(rounds, dict) or not {"times", "ratios"} <= set(rounds):
        raise DataError(f"--compare {path}: expected `rounds` with times and ratios, has none")
    return dict(found)


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Every time of ours and every ratio that both results have enough rounds of."""
    pairs: list[tuple[str, list[float], list[float], float, float]] = []
    times = [result["rounds"]["times"] for result in (before, after)]
    for name in times[1]:
        if name in times[0] and not name.startswith(tuple(PEERS)):
            units = [_in_units(each, name) for each in times]
            shown = [_median(each[name]["p50_ns"]) for each in times]
            pairs.append((name, *units, *shown))
    n_times = len(pairs)
    ratios = [result["rounds"]["ratios"] for result in (before, after)]
    for name in ratios[1]:
        if name in ratios[0]:
            values = [_known(each[name]) for each in ratios]
            pairs.append((name, *values, *map(_median, values)))
    is_time = [True] * n_times + [False] * (len(pairs) - n_times)
    tested = [
        (pair, time)
        for pair, time in zip(pairs, is_time, strict=True)
        if min(len(pair[1]), len(pair[2])) >= FEWEST_ROUNDS
    ]
    ps = holm([
        float(mannwhitneyu(pair[1], pair[2], alternative="two-sided").pvalue) for pair, _ in tested
    ])  # fmt: skip
    return [_change(pair, p, time) for (pair, time), p in zip(tested, ps, strict=True)]


def holm(ps: list[float]) -> list[float]:
    """p values corrected for their number (Holm 1979): each times how many are not smaller."""
    corrected = [1.0] * len(ps)
    least = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        least = max(least, min(1.0, ps[i] * (len(ps) - rank)))
        corrected[i] = least
    return corrected


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _median(values: list[float | None] | list[float]) -> float:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else 0.0


def _in_units(times: dict[str, dict[str, list[float | None]]], name: str) -> list[float]:
    """Each round's median over the same round's bare signature, where both were measured."""
    values = times[name]["p50_ns"]
    of = BESIDE if BESIDE in times and "socket" in name else UNIT
    unit = times.get(of, {}).get("p50_ns", [])
    if len(unit) != len(values):
        return []
    return [a / b for a, b in zip(values, unit, strict=True) if a is not None and b]


def _change(
    pair: tuple[str, list[float], list[float], float, float], p: float, is_time: bool
) -> Change:
    name, old, new, before, after = pair
    factor = _median(new) / _median(old)
    word = SAME
    if p < LEVEL and abs(factor - 1) > LEAST:
        word = "faster" if (factor < 1) != (name in MORE_IS_BETTER) else "slower"
    return Change(name, before, after, factor, p, word, is_time)


def as_json(changes: list[Change], before: dict[str, Any]) -> dict[str, Any]:
    """The key `compared` of a result."""
    return {
        "with": {key: before.get(key) for key in ("date", "commit", "quick")},
        "changes": {
            each.name: {
                "before": each.before,
                "after": each.after,
                "factor": round(each.factor, 4),
                "p": each.p,
                "is": each.word,
            }
            for each in changes
        },
    }


def show(
    changes: list[Change], before: dict[str, Any], after: dict[str, Any], console: Console
) -> None:
    """The table, what differs in a sentence, and where the comparison is not of like with like."""
    sheet = Sheet(
        title=f"against {before.get('commit') or 'unknown'} of {str(before.get('date'))[:10]}",
        title_justify="left",
    )
    sheet.add_column(overflow="fold")
    for heading in ("before", "after", "factor", "p", ""):
        sheet.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    told = [each for each in changes if each.word != SAME or not each.is_time]
    for each in told:
        shown = [duration(v) if each.is_time else f"{v:.2f}" for v in (each.before, each.after)]
        sheet.add_row(each.name, *shown, f"{each.factor:.3f}", f"{each.p:.1g}", each.word)
    console.print(sheet)
    for word in ("faster", "slower"):
        names = [each.name for each in changes if each.word == word]
        if names:
            console.print(f"{word}: {', '.join(names)}", highlight=False)
    same = sum(each.word == SAME for each in changes)
    of = "" if same == len(changes) else f" in the other {same} of {len(changes)}"
    console.print(f"{SAME}{of}", highlight=False)
    cpus = [result.get("machine", {}).get("cpu") for result in (before, after)]
    if cpus[0] != cpus[1]:
        console.print(
            f"Measured on two CPUs, {cpus[0]} and {cpus[1]}: a difference may be theirs.",
            highlight=False,
        )
    if any(busy(result.get("machine", {})) for result in (before, after)):
        console.print(
            "One of the two machines was busy: what waits for memory is slower there.",
            highlight=False,
        )
    console.print(
        "The factor of a time is of its part of the bare signature in the same round; p of the "
        f"rank test, corrected. A difference has p < {LEVEL:g} and is more than {LEAST:.0%}.",
        highlight=False,
    )
