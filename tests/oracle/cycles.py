"""Cycles by brute force: every simple cycle, every parallel pool, every tick, Python integers only.

A pool is a dict: `kind`, `tokens` (two token numbers) and the state fields of mevfast-vectors/1.
Sizes are found without any pricing formula or derivative: a coarse scan over magnitudes, then a
golden section search on the exact profit, then every neighbour within a few units.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any

from tests.oracle import univ2, univ3

Hop = tuple[int, int]  # pool, 1 where token0 goes in
CAP = 1 << 120


def quote(pool: dict[str, Any], zero_for_one: int, amount: int) -> int | None:
    """What the contract pays for all of `amount`, None where it refuses or cannot take it all."""
    if pool["kind"] == "uniswap_v2":
        reserves = (pool["reserve0"], pool["reserve1"])
        reserve_in, reserve_out = reserves if zero_for_one else reserves[::-1]
        if amount <= 0 or reserve_in + amount > univ2.UINT112_MAX:
            return None
        # the largest output that `pair.swap` accepts, by definition
        keep = amount * (univ2.PIPS - pool["fee_pips"])
        out = keep * reserve_out // (reserve_in * univ2.PIPS + keep)
        fee = pool["fee_pips"]
        assert out <= 0 or univ2.accepts(reserve_in, reserve_out, fee, amount, out)
        assert not univ2.accepts(reserve_in, reserve_out, fee, amount, out + 1)
        return out if out > 0 else None
    try:
        swapped = univ3.swap(
            sqrt_price_x96=pool["sqrt_price_x96"],
            tick=pool["tick"],
            liquidity=pool["liquidity"],
            ticks=_nets(pool),
            fee_pips=pool["fee_pips"],
            tick_spacing=pool["tick_spacing"],
            zero_for_one=bool(zero_for_one),
            exact_in=True,
            amount=amount,
            limit=_end(pool, zero_for_one),
        )
    except univ3.Revert:
        return None
    return swapped.amount_out if swapped.amount_in == amount and swapped.amount_out else None


def _nets(pool: dict[str, Any]) -> dict[int, int]:
    return {tick: net for tick, _, net in pool["ticks"]}


def _end(pool: dict[str, Any], zero_for_one: int) -> int:
    """Past the last initialised tick there is nothing: the oracle need not walk there."""
    ticks = [tick for tick, _, _ in pool["ticks"]]
    if zero_for_one:
        return max(univ3.sqrt_ratio_at_tick(min(ticks)), univ3.MIN_SQRT_RATIO + 1)
    return min(univ3.sqrt_ratio_at_tick(max(ticks)), univ3.MAX_SQRT_RATIO - 1)


@dataclass(frozen=True)
class Best:
    hops: tuple[Hop, ...]
    amount_in: int
    profit: int


def cycles(
    pools: list[dict[str, Any]], starts: list[int], max_hops: int, through: set[int]
) -> Iterator[tuple[Hop, ...]]:
    """Every simple cycle of 2 to max_hops swaps through one of `through`, from its start token.

    The start is the first of `starts` among its tokens; cycles through none of them are left out.
    """
    tokens = sorted({token for pool in pools for token in pool["tokens"]})
    by_pair: dict[tuple[int, int], list[Hop]] = {}
    for i, pool in enumerate(pools):
        a, b = pool["tokens"]
        by_pair.setdefault((a, b), []).append((i, 1))
        by_pair.setdefault((b, a), []).append((i, 0))
    for n in range(2, max_hops + 1):
        for ring in permutations(tokens, n):
            present = [token for token in starts if token in ring]
            if not present or ring[0] != present[0]:
                continue
            legs = [by_pair.get((ring[i], ring[(i + 1) % n]), []) for i in range(n)]
            for hops in _product(legs):
                used = {slot for slot, _ in hops}
                if len(used) == n and used & through:
                    yield hops


def _product(legs: list[list[Hop]]) -> Iterator[tuple[Hop, ...]]:
    if not legs:
        yield ()
        return
    for hop in legs[0]:
        for rest in _product(legs[1:]):
            yield (hop, *rest)


def amounts_along(
    pools: list[dict[str, Any]], hops: tuple[Hop, ...], amount: int
) -> list[int] | None:
    """The amount into each pool and out of the last; None where one refuses."""
    amounts = [amount]
    for slot, zero_for_one in hops:
        out = quote(pools[slot], zero_for_one, amounts[-1])
        if out is None:
            return None
        amounts.append(out)
    return amounts


def best_size(
    pools: list[dict[str, Any]],
    hops: tuple[Hop, ...],
    *,
    cap: int = CAP,
    fee: Callable[[int], int] = lambda amount: 0,
) -> tuple[int, int]:
    """(input, profit) of the best input in [1, cap]; profit may be negative.

    Profit rises to one peak and falls (each pool's output is concave in its input), up to
    rounding, and what is refused lies above what is not.
    """

    @cache
    def profit(amount: int) -> int:
        if not 1 <= amount <= cap:
            return -(1 << 255)
        amounts = amounts_along(pools, hops, amount)
        # too small an amount pays nothing, too large a one is refused: both point inwards
        return -amount - (1 << 200) if amounts is None else amounts[-1] - amount - fee(amount)

    scan = sorted({min(1 << i, cap) for i in range(0, 121, 2)})
    top = max(scan, key=profit)
    at = scan.index(top)
    low, high = scan[max(at - 1, 0)], scan[min(at + 1, len(scan) - 1)]
    while high - low > max(8, low >> 22):  # profit is flat there: 2**-44 of it
        a, b = low + (high - low) * 382 // 1000, low + (high - low) * 618 // 1000
        if profit(a) < profit(b):
            low = a
        else:
            high = b
    near = {top, low, high, *range((low + high) // 2 - 6, (low + high) // 2 + 7)}
    best = max(near, key=lambda amount: (profit(amount), -amount))
    return best, profit(best)


def marginal_gain(pools: list[dict[str, Any]], hops: tuple[Hop, ...]) -> float:
    """Product of the pools' prices at no input, fees off: at 1 or below no size can pay."""
    gain = 1.0
    for slot, zero_for_one in hops:
        pool = pools[slot]
        if pool["kind"] == "uniswap_v2":
            price = pool["reserve1"] / pool["reserve0"]
        else:
            price = (pool["sqrt_price_x96"] / univ3.Q96) ** 2
        gain *= (price if zero_for_one else 1 / price) * (1 - pool["fee_pips"] / univ2.PIPS)
    return gain


def best_cycles(
    pools: list[dict[str, Any]], starts: list[int], *, max_hops: int = 4, through: set[int]
) -> list[Best]:
    """Every cycle that pays at its best size, most profit first.

    Output over input never beats the margin (prices only move against the trader), so cycles
    whose margin is clearly at or below 1 are not sized.
    """
    found = []
    for hops in cycles(pools, starts, max_hops, through):
        if marginal_gain(pools, hops) > 1 - 1e-9:
            amount, profit = best_size(pools, hops)
            if profit > 0:
                found.append(Best(hops, amount, profit))
    return sorted(found, key=lambda best: -best.profit)
