"""`make fuzz`: any number of random swaps in contract and kernel, and of transactions whose logs
a table follows; repeatable by their seed."""

import argparse
import sys
import time
from functools import partial
from random import SystemRandom

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.differential import events
from tests.differential.campaign import Tally, run
from tests.differential.families import FAMILIES, family

CASES_PER_FOLLOWED = 500
"""Swaps to one pool that a table follows by its logs."""


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="may be repeated")
    parser.add_argument("--cases", type=int, default=100_000, help="of each family")
    parser.add_argument("--seed", type=int, help="random where not given; printed")
    parser.add_argument("--pool", type=int, help="only this pool of the seed's")
    return parser.parse_args(given)


def _summary(name: str, tally: Tally, seconds: float) -> str:
    refused = ", ".join(f"{n} {reason or 'no reason'}" for reason, n in tally.refused.most_common())
    return (
        f"{name}: {tally.cases} swaps on {tally.pools} pools in {seconds:.0f} s, "
        f"{len(tally.mismatches)} mismatches; {tally.partial} filled in part, "
        f"{tally.excused} excused, "
        f"{tally.refused.total()} refused" + (f" ({refused})" if refused else "")
    )


def _followed(name: str, tally: events.Tally, seconds: float) -> str:
    acts = ", ".join(f"{n} {act}" for act, n in tally.events.most_common())
    return (
        f"{name}: the logs of {tally.transactions} transactions ({acts}) in {seconds:.0f} s, "
        f"{len(tally.wrong)} slots wrong; {tally.exact} moved as the contract did, "
        f"{tally.results['stale_noted']} events to read again, {tally.audited} swaps audited, "
        f"{tally.undone} reorgs"
    )


def main(given: list[str] | None = None) -> int:
    """Runs the families and returns 1 if any of them disagreed, else 0."""
    asked = _arguments(given)
    seed = SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
    out, bad = Console(highlight=False, soft_wrap=True), False
    out.print(f"seed {seed}")
    columns = (
        TextColumn("{task.description:>26}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    for name in asked.family or FAMILIES:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(name, total=asked.cases)
            start = time.monotonic()
            tally = run(
                family(name), name, cases=asked.cases, seed=seed, only_pool=asked.pool,
                step=partial(progress.advance, task),
            )  # fmt: skip
        for mismatch in tally.mismatches:
            out.print(str(mismatch), "", sep="\n", markup=False)
        out.print(_summary(name, tally, time.monotonic() - start), markup=False)
        start = time.monotonic()
        followed = events.run(
            family(name), name, pools=-(-asked.cases // CASES_PER_FOLLOWED), seed=seed
        )
        out.print(*followed.wrong, sep="\n", markup=False, end="\n" if followed.wrong else "")
        out.print(_followed(name, followed, time.monotonic() - start), markup=False)
        bad |= bool(tally.mismatches or followed.wrong)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
