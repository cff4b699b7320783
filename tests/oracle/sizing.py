"""The input at which a row of exact quotes pays most, to the integer, by trying amounts.

No price, no derivative. Profit rises to one peak and falls but for rounding: golden sections find
where. A token of few units makes a staircase of it: all inputs that bring the same amount of that
token pay the same, so the amounts of the coarsest token on the way are what is tried there, each
with the least input that brings it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Quote = Callable[[int], int | None]


class Way(NamedTuple):
    """One way through one pool."""

    pay: Quote  # what it pays for an amount; None where it refuses or pays nothing
    need: Quote  # an input that should bring an amount, where the pool has an answer to that


NEVER = -(1 << 255)
FINE = 20  # bits of an amount after which profit is flat: it falls short by 2**-40 of itself
EXACT = 1e-10
"""The part of a profit below which rounding does not matter."""
FEW = 4
CURVE_POINTS = 16
"""To each side of a peak, to see it through the rounding of each."""
REACH = 12_000
"""A fee of 1e-4 is rounded to a whole unit in favour of the pool: from one amount that loses
nothing by it to the next it is 10,000 units, and so far to each side amounts are tried."""
STRIDE = 100
BEST = 5  # of those tried
WINDOW = 64
"""To each side of the best of them every amount is tried: what other tokens lose is by chance."""


def through(ways: Sequence[Way], amount: int | None) -> int | None:
    """What comes out of the last pool; None where one refuses."""
    for way in ways:
        if not amount:
            return None
        amount = way.pay(amount)
    return amount


def along(ways: Sequence[Way], amount: int) -> list[int] | None:
    """The amount into each pool and out of the last; None where one refuses."""
    amounts = [amount]
    for way in ways:
        out = way.pay(amounts[-1])
        if out is None:
            return None
        amounts.append(out)
    return amounts


def profit_of(ways: Sequence[Way], amount: int) -> int:
    """Output less input; NEVER where a pool refuses."""
    out = through(ways, amount) if amount > 0 else None
    return NEVER if out is None else out - amount


def units(ways: Sequence[Way], amount: int) -> list[float]:
    """What a unit of the amount into each pool is worth, in units of the input."""
    amounts = along(ways, amount)
    if amounts is None:
        raise ValueError(f"expected an amount that every pool takes, was {amount}")
    return [amount / each for each in amounts[:-1]]


def peak(
    profit: Callable[[int], int], at: int, low: int, high: int, *, most: float = NEVER
) -> tuple[int, int]:
    """(argument, profit) of the peak between low and high, which `at` lies between.

    Gives up where, profit being concave, it stays below `most`: beyond `at` it is below the lines
    through `at` and either end.
    """
    p_low, p_at, p_high = profit(low), profit(at), profit(high)
    while high - low > max(FEW, low >> FINE):
        if min(p_low, p_high) > NEVER:
            rise = (p_at - p_low) / (at - low) * (high - at)
            fall = (p_at - p_high) / (high - at) * (at - low)
            if p_at + max(rise, fall) < most:
                break
        upwards = high - at > at - low
        step = (high - at if upwards else at - low) * 382 // 1000 or 1
        trial = at + step if upwards else at - step
        p_trial = profit(trial)
        if p_trial > p_at:
            low, p_low, high, p_high = (
                (at, p_at, high, p_high) if upwards else (low, p_low, at, p_at)
            )
            at, p_at = trial, p_trial
        elif upwards:
            high, p_high = trial, p_trial
        else:
            low, p_low = trial, p_trial
    return at, p_at


def climb(ways: Sequence[Way], at: int, step: int, *, most: float = NEVER) -> tuple[int, int]:
    """(input, profit) near the peak, which lies between at / step and at * step."""
    low = max(at // step - 1, 0)
    return peak(lambda amount: profit_of(ways, amount), at, low, at * step + 1, most=most)


def least(ways: Sequence[Way], want: int, guess: int, step: int, within: int = 1) -> int:
    """The least input, near `guess`, that brings `want` or more; `guess` is what pools take.

    It may be too large by less than `within`.
    """

    def brings(amount: int) -> bool:
        out = through(ways, amount) if amount > 0 else None
        return out >= want if out is not None else amount > guess

    if brings(guess):
        high, low = guess, guess - step
        while low > 0 and brings(low):
            high, step = low, 4 * step
            low -= step
        low = max(low, 0)
    else:
        low, high = guess, guess + step
        while not brings(high):
            low, step = high, 4 * step
            high += step
    while high - low > within:
        middle = (low + high) // 2
        low, high = (low, middle) if brings(middle) else (middle, high)
    return high


class _Steps:
    """Profit as a function of the amount of the coarsest token, with the least input for each."""

    def __init__(self, ways: Sequence[Way], at: int) -> None:
        amounts = along(ways, at)
        if amounts is None:
            raise ValueError(f"expected an amount that every pool takes, was {at}")
        worth = units(ways, at)
        place = max(range(len(ways)), key=lambda each: worth[each])
        self.head, self.tail = ways[:place], ways[place:]
        self.at, self.middle = at, amounts[place]
        self.rounding = sum(worth)
        self.last = self.middle, at  # an amount and about the least input that brings it
        self.inputs: dict[int, int] = {}
        self.profits: dict[int, int] = {}
        self.rough: dict[int, int] = {}

    def _guess(self, want: int) -> tuple[int, int]:
        """An input near the least one that brings `want`, and about how near it is."""
        guess: int | None = want
        for way in reversed(self.head):
            guess = way.need(guess) if guess else None
        if guess is not None and through(self.head, guess) is not None:
            return guess, 1
        near, amount = self.last
        unit = self.at / self.middle
        return max(amount + int((want - near) * unit), 1), max(int(unit) >> 4, 1)

    def input_for(self, want: int) -> int:
        """The least input that brings `want`."""
        if not self.head:
            return want
        if want not in self.inputs:
            self.inputs[want] = least(self.head, want, *self._guess(want))
            self.last = want, self.inputs[want]
        return self.inputs[want]

    def _left(self, amount: int) -> int:
        out = through(self.tail, through(self.head, amount))
        return NEVER if out is None else out - amount

    def profit(self, want: int) -> int:
        """What is left of the least input that brings `want`."""
        if want <= 0:
            return NEVER
        if want not in self.profits:
            self.profits[want] = self._left(self.input_for(want))
        return self.profits[want]

    def about(self, want: int) -> int:
        """The same less a hundredth of a unit, where the least input is hard to find."""
        if want <= 0:
            return NEVER
        if want not in self.rough:
            guess, step = self._guess(want) if self.head else (want, 1)
            if step == 1:
                return self.profit(want)
            amount = least(self.head, want, guess, step, max(step >> 3, 1))
            self.last = want, amount
            self.rough[want] = self._left(amount)
        return self.rough[want]

    def vertex(self, about: int, reach: int) -> int:
        """Where the curve through points about an amount peaks, roundings averaged out."""
        n = CURVE_POINTS
        taken = [(want, self.about(want))
                 for want in (about + reach * i // n for i in range(-n, n + 1))]  # fmt: skip
        base = max(profit for _, profit in taken)
        taken = [(want, profit - base) for want, profit in taken if profit > NEVER]
        x, y = zip(*taken, strict=True)
        if len(x) < n:
            return about
        curve = np.polynomial.Polynomial.fit(x, y, 3)
        tops = [float(each.real) for each in curve.deriv().roots() if abs(each.imag) < 1]
        return round(max((x for x in tops if abs(x - about) <= reach), key=curve, default=about))

    def uphill(self, want: int) -> int:
        """The best amount that ever smaller steps lead to."""
        for step in (32, 16, 8, 4, 2, 1):
            for way in (step, -step):
                while self.about(want + way) > self.about(want):
                    want += way
        return want

    def best(self) -> int:
        """The best amount tried so far, the least of equal ones."""
        return max(self.profits, key=lambda want: (self.profits[want], -want))


def finish(ways: Sequence[Way], at: int) -> tuple[int, int]:
    """(input, profit) of the best input near `at`, which is nearly best."""
    steps = _Steps(ways, at)
    spread = max(steps.middle >> 5, 2 * WINDOW)
    low = max(steps.middle - spread, 0)
    top, most = peak(steps.about, steps.middle, low, steps.middle + spread)
    if most > 0 and steps.rounding > most * EXACT:
        wide = int(top * min(8 * (steps.rounding / most) ** 0.5, 0.2))
        if wide > REACH:
            top = steps.vertex(top, wide)
            top = steps.vertex(top, wide // 2)
        tried = range(max(top - REACH, 1), top + REACH, STRIDE)
        hopeful = sorted(tried, key=steps.about)[-BEST:]
        top = max((steps.uphill(want) for want in (top, *hopeful)), key=steps.about)
        for want in range(top - WINDOW, top + WINDOW + 1):
            steps.profit(want)
    for want in range(top - FEW, top + FEW + 1):
        steps.profit(want)
    best = steps.best()
    here = profit_of(ways, at)
    return max((steps.input_for(best), steps.profits[best]), (at, here), key=lambda size: size[1])
