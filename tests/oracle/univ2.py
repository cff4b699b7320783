"""Uniswap V2 by definition: search over what `pair.swap` accepts, with no pricing formula.

The contract pays `amount_out` for `amount_in` when balances stay within uint112 and the product of
fee-adjusted balances does not fall (whitepaper 3.2.1, UniswapV2Pair.swap).
"""

UINT112_MAX = (1 << 112) - 1
PIPS = 1_000_000


def accepts(
    reserve_in: int, reserve_out: int, fee_pips: int, amount_in: int, amount_out: int
) -> bool:
    if amount_out <= 0 or amount_out >= reserve_out or amount_in <= 0:
        return False
    balance_in, balance_out = reserve_in + amount_in, reserve_out - amount_out
    if balance_in > UINT112_MAX:
        return False
    adjusted = balance_in * PIPS - amount_in * fee_pips
    return adjusted * balance_out * PIPS >= reserve_in * reserve_out * PIPS * PIPS


def largest_output(reserve_in: int, reserve_out: int, fee_pips: int, amount_in: int) -> int | None:
    """The most that the pair pays; None where it pays nothing."""
    low, high = 0, reserve_out
    while high - low > 1:
        middle = (low + high) // 2
        if accepts(reserve_in, reserve_out, fee_pips, amount_in, middle):
            low = middle
        else:
            high = middle
    return low or None


def smallest_input(reserve_in: int, reserve_out: int, fee_pips: int, amount_out: int) -> int | None:
    """The least that the pair accepts; None where no input does."""
    low, high = 0, UINT112_MAX - reserve_in
    if not accepts(reserve_in, reserve_out, fee_pips, high, amount_out):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if accepts(reserve_in, reserve_out, fee_pips, middle, amount_out):
            high = middle
        else:
            low = middle
    return high
