"""The initialised ticks of a concentrated-liquidity pool, read through its bitmap."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from mevfast.dex.reads import Answer, Question, TickQuery, selector
from mevfast.errors import DataError
from mevfast.execution.artifacts import TickAnswer, word_range

MOST_CALLS = 2000
"""Calls that one pool may take: far above what any of those that exist does."""

Ticks = list[tuple[int, int, int]]
"""(tick, liquidity_gross, liquidity_net), ascending."""


def query(
    target: str, spacing: int, word_getter: str, tick_getter: str, state: int = 0
) -> TickQuery:
    """Asks for all ticks, one bit standing for `spacing` of them; getters by signature."""
    first, last = word_range(spacing)
    words, ticks = selector(word_getter), selector(tick_getter)
    return TickQuery(target, words, ticks, spacing, first, last, state)


def read_rest(
    asked: TickQuery, answer: TickAnswer
) -> Generator[list[Question], list[Answer], Ticks]:
    """All ticks, given what the query was answered at first."""
    ticks = list(answer.ticks)
    for _ in range(MOST_CALLS):
        if answer.next_word > asked.last:
            return ticks
        [answer] = yield [replace(asked, first=answer.next_word)]
        ticks += answer.ticks
    raise DataError(f"ticks of {asked.target}: expected an end after {MOST_CALLS} calls, was none")


def read_ticks(asked: TickQuery) -> Generator[list[Question], list[Answer], Ticks]:
    """All ticks that a query asks for."""
    [answer] = yield [asked]
    return (yield from read_rest(asked, answer))


def doubt(ticks: Ticks, tick: int, liquidity: int) -> str | None:
    """Why these cannot be all ticks of a pool at that tick; None where they add up.

    Each is initialised, all that enters leaves, and what lies below the price is what is active.
    """
    if any(gross == 0 for _, gross, _ in ticks):
        return "expected initialised ticks where its bitmap says so, was one that is not"
    total = sum(net for _, _, net in ticks)
    if total:
        return f"expected ticks whose nets add up to 0, was {total}"
    active = sum(net for at, _, net in ticks if at <= tick)
    if active != liquidity:
        return f"expected ticks that add up to its liquidity {liquidity}, was {active}"
    return None


def checked(ticks: Ticks, tick: int, liquidity: int, what: str) -> list[list[int]]:
    """[[tick, liquidity_gross, liquidity_net], ...]; DataError where they do not add up.

    A swap needs no gross liquidity. Who follows Mint and Burn does: a tick leaves when it is 0.
    """
    why = doubt(ticks, tick, liquidity)
    if why is not None:
        raise DataError(f"ticks of {what}: {why}; a fork of other rules?")
    return [list(each) for each in ticks]


def without_gross(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with ticks as [tick, liquidity_net], as files have them."""
    if "ticks" not in fields:
        return fields
    return {**fields, "ticks": [[tick, net] for tick, _, net in fields["ticks"]]}


def priced(sqrt_price_x96: int, what: str) -> int:
    """The price; DataError where the pool has none yet."""
    if sqrt_price_x96 == 0:
        raise DataError(f"{what}: no price yet: nobody has initialised it")
    return sqrt_price_x96
