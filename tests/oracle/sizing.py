"""The input at which a row of exact quotes pays most, to the integer, by trying amounts.

No price, no derivative. Profit rises to one peak and falls but for rounding: golden sections find
where. A token of few units makes a staircase of it: all inputs that bring the same amount of that
token pay the same, so the amounts of the coarsest token on the way are what is tried there, each
with the least input that brings it.
"""

from collections.abc import Callable, Sequence
from functools import cache

Pay = Callable[[int], int | None]
"""What a pool pays for an amount; None where it refuses or pays nothing."""

NEVER = -(1 << 255)
FINE = 20  # bits of an amount after which profit is flat: it falls short by 2**-40 of itself
WINDOW = 128
"""Amounts to each side that are all tried where a second token rounds coarsely as well: the
chance that one of them loses less than a hundredth of its unit is 0.92."""
FEW = 4


def through(pays: Sequence[Pay], amount: int | None) -> int | None:
    """What comes out of the last pool; None where one refuses."""
    for pay in pays:
        if not amount:
            return None
        amount = pay(amount)
    return amount


def along(pays: Sequence[Pay], amount: int) -> list[int] | None:
    """The amount into each pool and out of the last; None where one refuses."""
    amounts = [amount]
    for pay in pays:
        out = pay(amounts[-1])
        if out is None:
            return None
        amounts.append(out)
    return amounts


def profit_of(pays: Sequence[Pay], amount: int) -> int:
    """Output less input; NEVER where a pool refuses."""
    out = through(pays, amount) if amount > 0 else None
    return NEVER if out is None else out - amount


def units(pays: Sequence[Pay], amount: int) -> list[float]:
    """What a unit of the amount into each pool is worth, in units of the input."""
    amounts = along(pays, amount)
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


def climb(
    pays: Sequence[Pay], at: int, step: int, *, most: float = NEVER
) -> tuple[int, int]:
    """(input, profit) near the peak, which lies between at / step and at * step."""
    low = max(at // step - 1, 0)
    return peak(lambda amount: profit_of(pays, amount), at, low, at * step + 1, most=most)


def least(pays: Sequence[Pay], want: int, guess: int, step: int) -> int:
    """The least input, near `guess`, that brings `want` or more; `guess` is what pools take."""

    def brings(amount: int) -> bool:
        out = through(pays, amount) if amount > 0 else None
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
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if brings(middle) else (middle, high)
    return high


def finish(pays: Sequence[Pay], at: int) -> tuple[int, int]:
    """(input, profit) of the best input near `at`, which is nearly best.

    For any amount of the coarsest token the least input that brings it is best, so nothing is
    lost to that one. Where another token rounds coarsely too, each such amount loses some part
    of its unit, as by chance: then all of a window are tried.
    """
    worth = units(pays, at)
    coarse = max(range(len(pays)), key=lambda place: worth[place])
    profit_there = max(profit_of(pays, at), 1)
    others = [
        value
        for place, value in enumerate(worth)
        if place != coarse and value > max(2.0, profit_there * 1e-10)
    ]
    head, tail = pays[:coarse], pays[coarse:]
    amounts = along(pays, at)
    assert amounts is not None
    middle = amounts[coarse]
    slope = at / middle
    inputs: dict[int, int] = {}

    def input_for(want: int) -> int:
        """The least input that brings `want`, from the nearest that is known."""
        if not head:
            return want
        if want not in inputs:
            known = min(inputs, key=lambda each: abs(each - want), default=middle)
            guess = inputs.get(known, at) + int((want - known) * slope)
            inputs[want] = least(head, want, max(guess, 1), max(int(slope) >> 7, 1))
        return inputs[want]

    @cache
    def profit(want: int) -> int:
        if want <= 0:
            return NEVER
        amount = input_for(want)
        out = through(tail, through(head, amount))
        return NEVER if out is None else out - amount

    spread = max(middle >> 7, 2 * WINDOW)
    best, _ = peak(profit, middle, max(middle - spread, 0), middle + spread)
    reach = WINDOW if others else FEW
    best = max(range(max(best - reach, 1), best + reach + 1), key=lambda want: (profit(want), -want))
    return input_for(best), profit(best)
