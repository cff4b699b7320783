"""Concentrated liquidity in Python integers: Uniswap V3 and V4, PancakeSwap V3, Algebra.

From the whitepaper (6.2, 6.3) and the contracts' documentation. Slow and plain: every bitmap word
is walked, ticks come from a dict, a tick's price from powers of 1.0001, the tick of a price by
bisection. Raises Revert where the contract would.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache

MIN_TICK, MAX_TICK = -887272, 887272
Q96, Q128 = 1 << 96, 1 << 128
UINT128_MAX, UINT160_MAX, UINT256_MAX = (1 << 128) - 1, (1 << 160) - 1, (1 << 256) - 1
PIPS = 1_000_000


class Revert(Exception):
    pass


@dataclass(frozen=True)
class Swapped:
    amount_in: int
    amount_out: int
    sqrt_price_x96: int
    tick: int
    liquidity: int


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _factors() -> list[int]:
    """2**128 / sqrt(1.0001)**(2**i), rounded to nearest, for the 20 bits of a tick."""
    context = Context(prec=120, rounding=ROUND_HALF_EVEN)
    root, factors = context.sqrt(Decimal("1.0001")), []
    for _ in range(20):
        factors.append(int(context.divide(Decimal(Q128), root).to_integral_value()))
        root = context.multiply(root, root)
    return factors


FACTORS = _factors()


@cache
def sqrt_ratio_at_tick(tick: int) -> int:
    """1.0001**(tick / 2) as the contract rounds it: Q128.128 truncated, then Q64.96 rounded up."""
    if abs(tick) > MAX_TICK:
        raise Revert("T")
    ratio = Q128
    for bit, factor in enumerate(FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = UINT256_MAX // ratio
    return _ceil(ratio, 1 << 32)


MIN_SQRT_RATIO, MAX_SQRT_RATIO = sqrt_ratio_at_tick(MIN_TICK), sqrt_ratio_at_tick(MAX_TICK)


def tick_at_sqrt_ratio(sqrt_price_x96: int) -> int:
    """The greatest tick whose price is not above this one."""
    if not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO:
        raise Revert("R")
    low, high = MIN_TICK, MAX_TICK
    while high - low > 1:
        middle = (low + high) // 2
        if sqrt_ratio_at_tick(middle) <= sqrt_price_x96:
            low = middle
        else:
            high = middle
    return low


def amount0_delta(price_a: int, price_b: int, liquidity: int, round_up: bool) -> int:
    low, high = sorted((price_a, price_b))
    divide = _ceil if round_up else int.__floordiv__
    return divide(divide(liquidity * Q96 * (high - low), high), low)


def amount1_delta(price_a: int, price_b: int, liquidity: int, round_up: bool) -> int:
    low, high = sorted((price_a, price_b))
    return _ceil(liquidity * (high - low), Q96) if round_up else liquidity * (high - low) // Q96


def next_price_from_input(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    if price == 0 or liquidity == 0:
        raise Revert("price and liquidity must not be 0")
    if zero_for_one:
        if amount == 0:
            return price
        scaled = liquidity * Q96
        if amount * price <= UINT256_MAX and scaled + amount * price <= UINT256_MAX:
            return _ceil(scaled * price, scaled + amount * price)
        if scaled // price + amount > UINT256_MAX:
            raise Revert("add")
        return _ceil(scaled, scaled // price + amount)
    if price + amount * Q96 // liquidity > UINT160_MAX:
        raise Revert("uint160")
    return price + amount * Q96 // liquidity


def next_price_from_output(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    if price == 0 or liquidity == 0:
        raise Revert("price and liquidity must not be 0")
    if zero_for_one:
        if price <= _ceil(amount * Q96, liquidity):
            raise Revert("price would fall to 0")
        return price - _ceil(amount * Q96, liquidity)
    if amount == 0:
        return price
    scaled = liquidity * Q96
    if amount * price > UINT256_MAX or scaled <= amount * price:
        raise Revert("more than there is")
    price = _ceil(scaled * price, scaled - amount * price)
    if price > UINT160_MAX:
        raise Revert("uint160")
    return price


def swap_step(
    price: int, target: int, liquidity: int, remaining: int, fee_pips: int, *, exact_in: bool
) -> tuple[int, int, int, int]:
    """(price after, amount in without fee, amount out, fee) of one stretch of one liquidity."""
    zero_for_one = price >= target
    delta_in, delta_out = (
        (amount0_delta, amount1_delta) if zero_for_one else (amount1_delta, amount0_delta)
    )
    if (
        exact_in and fee_pips == PIPS
    ):  # Uniswap V4: nothing is left to swap, but to where it is free
        free = delta_in(price, target, liquidity, True) == 0
        return (target, 0, 0, 0) if free else (price, 0, 0, remaining)
    if exact_in:
        usable = remaining * (PIPS - fee_pips) // PIPS
        after = target
        if usable < delta_in(price, target, liquidity, True):
            after = next_price_from_input(price, liquidity, usable, zero_for_one)
    else:
        after = target
        if remaining < delta_out(price, target, liquidity, False):
            after = next_price_from_output(price, liquidity, remaining, zero_for_one)
    amount_in = delta_in(price, after, liquidity, True)
    amount_out = delta_out(price, after, liquidity, False)
    if exact_in and after != target:
        return after, amount_in, amount_out, remaining - amount_in
    fee = _ceil(amount_in * fee_pips, PIPS - fee_pips)
    return after, amount_in, amount_out if exact_in else min(amount_out, remaining), fee


def next_tick(tick: int, spacing: int, ticks: dict[int, int], zero_for_one: bool) -> int:
    """The next initialised tick within the bitmap word, else the word's last tick.

    Spacing 0: the next initialised tick, however far it is, else the end of the range.
    """
    if spacing == 0 and zero_for_one:
        return max((t for t in ticks if t <= tick), default=MIN_TICK)
    if spacing == 0:
        return min((t for t in ticks if t > tick), default=MAX_TICK)
    compressed = tick // spacing
    if zero_for_one:
        seen = range(compressed, compressed // 256 * 256 - 1, -1)
    else:
        seen = range(compressed + 1, (compressed + 1) // 256 * 256 + 256)
    found = next((c for c in seen if c * spacing in ticks), seen[-1])
    return min(max(found * spacing, MIN_TICK), MAX_TICK)


def swap_fee(fee_pips: int | list[int], protocol_fee: int, zero_for_one: bool) -> int:
    """What the input pays: the protocol's part first, the rest of the input pays the LP fee."""
    lp = fee_pips if isinstance(fee_pips, int) else fee_pips[0 if zero_for_one else 1]
    protocol = protocol_fee % 4096 if zero_for_one else protocol_fee // 4096
    return protocol + _ceil(lp * (PIPS - protocol), PIPS)


def check_amount(kind: str, exact_in: bool, amount: int) -> None:
    """int256: inputs are positive but in V4; Algebra Integral will not negate the lowest value."""
    negative = exact_in is (kind == "uniswap_v4")
    if amount > (1 << 255) - (not negative):
        raise Revert("int256")
    if negative and amount == 1 << 255 and kind == "algebra_integral":
        raise Revert("invalidAmountRequired")


def swap(
    *,
    kind: str = "uniswap_v3",
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    ticks: dict[int, int],
    fee_pips: int | list[int],
    tick_spacing: int,
    zero_for_one: bool,
    exact_in: bool,
    amount: int,
    limit: int | None = None,
    protocol_fee: int = 0,
    bitmap_spacing: int | None = None,
) -> Swapped:
    fee = swap_fee(fee_pips, protocol_fee, zero_for_one)
    spacing = bitmap_spacing or tick_spacing
    if kind == "algebra_integral":
        spacing = 0
    if limit is None:
        limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    if amount == 0:
        raise Revert("AS")
    check_amount(kind, exact_in, amount)
    if fee == PIPS and not exact_in:
        raise Revert("InvalidFeeForExactOut")
    if not (
        MIN_SQRT_RATIO < limit < sqrt_price_x96
        if zero_for_one
        else sqrt_price_x96 < limit < MAX_SQRT_RATIO
    ):
        raise Revert("SPL")
    price, remaining, calculated = sqrt_price_x96, amount, 0
    while remaining != 0 and price != limit:
        following = next_tick(tick, spacing, ticks, zero_for_one)
        following_price = sqrt_ratio_at_tick(following)
        target = max(following_price, limit) if zero_for_one else min(following_price, limit)
        start = price
        price, amount_in, amount_out, fee_amount = swap_step(
            start, target, liquidity, remaining, fee, exact_in=exact_in
        )
        remaining -= amount_in + fee_amount if exact_in else amount_out
        calculated += amount_out if exact_in else amount_in + fee_amount
        if calculated >= 1 << 255:
            raise Revert("int256")
        if price == following_price:
            net = ticks.get(following, 0)
            liquidity += -net if zero_for_one else net
            if not 0 <= liquidity <= UINT128_MAX:
                raise Revert("LS or LA")
            tick = following - 1 if zero_for_one else following
        elif price != start:
            tick = tick_at_sqrt_ratio(price)
    done = amount - remaining
    amounts = (done, calculated) if exact_in else (calculated, done)
    if kind == "uniswap_v4" and (amounts[0] > 1 << 127 or amounts[1] >= 1 << 127):
        raise Revert("int128")
    if kind == "algebra_integral" and amounts[0] >= 1 << 128:
        raise Revert("uint128")
    return Swapped(*amounts, price, tick, liquidity)
