"""Solidly pairs in Python integers: getAmountOut and swap as the contracts spell them.

Written from the semantics of Velodrome's Pool (Solidity 0.8: checked arithmetic) and CamelotPair
(0.5.16: SafeMath where it is called, wrapping elsewhere). A revert is a Revert, never a number.
"""

from dataclasses import dataclass
from typing import Any

WAD = 10**18
WORD = 1 << 256
UINT112_MAX = (1 << 112) - 1
ROUNDS = 255
BPS = 10_000
CAMELOT_FEE_DENOMINATOR = 100_000


class Revert(Exception):
    """The contract reverts; the message is the check that fails."""


@dataclass(frozen=True)
class Pair:
    kind: str  # solidly or camelot_v2
    stable: bool
    reserves: tuple[int, int]
    decimals: tuple[int, int] = (WAD, WAD)  # 10**decimals
    fees: tuple[int, int] = (0, 0)  # by token in, over 10,000 (solidly) or 100,000
    owner_fee_share: int = 0
    y_check: str = "k"

    def fields(self) -> dict[str, Any]:
        """The pair as the fields of mevfast-vectors/1."""
        fields: dict[str, Any] = {
            "stable": self.stable,
            "reserve0": self.reserves[0],
            "reserve1": self.reserves[1],
            "decimals0": self.decimals[0],
            "decimals1": self.decimals[1],
        }
        if self.kind == "camelot_v2":
            own = {"fee_percent": list(self.fees), "owner_fee_share": self.owner_fee_share}
        else:
            assert self.fees[0] == self.fees[1]
            own = {"fee_bps": self.fees[0], "y_check": self.y_check}
        return fields | own


@dataclass(frozen=True)
class Swapped:
    amount_out: int
    reserves: tuple[int, int]  # of the Sync that follows


def checked(x: int) -> int:
    """x, where it is a uint256."""
    if not 0 <= x < WORD:
        raise Revert("arithmetic")
    return x


def quotient(x: int, y: int) -> int:
    """x / y, where y is not 0."""
    if y == 0:
        raise Revert("division by zero")
    return x // y


def k(stable: bool, x: int, y: int, decimals: tuple[int, int]) -> int:
    """_k(x, y), the same in both contracts; x and y are raw amounts of token 0 and 1."""
    if not stable:
        return checked(x * y)
    x = checked(x * WAD) // decimals[0]
    y = checked(y * WAD) // decimals[1]
    a = checked(x * y) // WAD
    b = checked(checked(x * x) // WAD + checked(y * y) // WAD)
    return checked(a * b) // WAD


# ---- Velodrome's Pool ----


def velodrome_f(x0: int, y: int) -> int:
    a = checked(x0 * y) // WAD
    b = checked(checked(x0 * x0) // WAD + checked(y * y) // WAD)
    return checked(a * b) // WAD


def velodrome_d(x0: int, y: int) -> int:
    first = checked(checked(3 * x0) * (checked(y * y) // WAD)) // WAD
    second = checked(checked(x0 * x0) // WAD * x0) // WAD
    return checked(first + second)


def velodrome_get_y(
    x0: int, xy: int, y: int, decimals: tuple[int, int] = (WAD, WAD), y_check: str = "k"
) -> int:
    for _ in range(ROUNDS):
        k_now = velodrome_f(x0, y)
        if k_now < xy:
            dy = quotient(checked((xy - k_now) * WAD), velodrome_d(x0, y))
            if dy == 0:
                above = checked(y + 1)
                value = k(True, x0, above, decimals) if y_check == "k" else velodrome_f(x0, above)
                if value > xy:
                    return above
                dy = 1
            y = checked(y + dy)
        else:
            dy = quotient(checked((k_now - xy) * WAD), velodrome_d(x0, y))
            if dy == 0:
                if k_now == xy or velodrome_f(x0, checked(y - 1)) < xy:
                    return y
                dy = 1
            y = checked(y - dy)
    raise Revert("!y")


def velodrome_amount_out(pair: Pair, token_in: int, amount: int) -> int:
    """Pool.getAmountOut."""
    amount -= checked(amount * pair.fees[token_in]) // BPS
    reserve_in, reserve_out = pair.reserves[token_in], pair.reserves[1 - token_in]
    if not pair.stable:
        return quotient(checked(amount * reserve_out), checked(reserve_in + amount))
    unit_in, unit_out = pair.decimals[token_in], pair.decimals[1 - token_in]
    xy = k(True, *pair.reserves, pair.decimals)
    scaled_in = checked(reserve_in * WAD) // unit_in
    scaled_out = checked(reserve_out * WAD) // unit_out
    x0 = checked(checked(amount * WAD) // unit_in + scaled_in)
    y = velodrome_get_y(x0, xy, scaled_out, pair.decimals, pair.y_check)
    return checked(checked(scaled_out - y) * unit_out) // WAD


# ---- CamelotPair ----


def camelot_f(x0: int, y: int) -> int:
    y3 = y * y % WORD // WAD * y % WORD // WAD
    x3 = x0 * x0 % WORD // WAD * x0 % WORD // WAD
    return (x0 * y3 % WORD // WAD + x3 * y % WORD // WAD) % WORD


def camelot_d(x0: int, y: int) -> int:
    x3 = x0 * x0 % WORD // WAD * x0 % WORD // WAD
    return (3 * x0 * (y * y % WORD // WAD) % WORD // WAD + x3) % WORD


def camelot_get_y(x0: int, xy: int, y: int) -> int:
    for _ in range(ROUNDS):
        before = y
        k_now = camelot_f(x0, y)
        if k_now < xy:
            y = (y + quotient((xy - k_now) * WAD % WORD, camelot_d(x0, y))) % WORD
        else:
            y = (y - quotient((k_now - xy) * WAD % WORD, camelot_d(x0, y))) % WORD
        if abs(y - before) <= 1:
            return y
    return y


def camelot_amount_out(pair: Pair, token_in: int, amount: int) -> int:
    """CamelotPair.getAmountOut."""
    fee, denominator = pair.fees[token_in], CAMELOT_FEE_DENOMINATOR
    reserve_in, reserve_out = pair.reserves[token_in], pair.reserves[1 - token_in]
    if not pair.stable:
        paid = checked(amount * (denominator - fee))
        return quotient(
            checked(paid * reserve_out), checked(checked(reserve_in * denominator) + paid)
        )
    unit_in, unit_out = pair.decimals[token_in], pair.decimals[1 - token_in]
    amount -= checked(amount * fee) // denominator
    xy = k(True, *pair.reserves, pair.decimals)
    scaled_in = reserve_in * WAD % WORD // unit_in
    scaled_out = reserve_out * WAD % WORD // unit_out
    x0 = (amount * WAD % WORD // unit_in + scaled_in) % WORD
    y = (scaled_out - camelot_get_y(x0, xy, scaled_out)) % WORD
    return y * unit_out % WORD // WAD


# ---- both ----


def amount_out(pair: Pair, token_in: int, amount: int) -> int:
    """getAmountOut, whatever `swap` then says to it."""
    if pair.kind == "camelot_v2":
        return camelot_amount_out(pair, token_in, amount)
    return velodrome_amount_out(pair, token_in, amount)


def swap(pair: Pair, token_in: int, amount: int) -> Swapped:
    """What follows where `amount` is sent to the pair and getAmountOut is asked of `swap`."""
    out = amount_out(pair, token_in, amount)
    reserve_in, reserve_out = pair.reserves[token_in], pair.reserves[1 - token_in]
    if out == 0:
        raise Revert("insufficient output")
    if out >= reserve_out or reserve_in == 0:  # swap compares both outputs, of which one is 0
        raise Revert("insufficient liquidity")
    balance_in, balance_out = checked(reserve_in + amount), reserve_out - out
    if pair.kind == "camelot_v2":
        unpaid = checked(amount * pair.fees[token_in]) // CAMELOT_FEE_DENOMINATOR
        if pair.stable:
            share = checked(
                checked(amount * CAMELOT_FEE_DENOMINATOR * pair.owner_fee_share)
                * pair.fees[token_in]
            )
            share //= CAMELOT_FEE_DENOMINATOR**3
            balance_in, unpaid = balance_in - share, unpaid - share
        if balance_in > UINT112_MAX:
            raise Revert("overflow")
    else:
        fee = checked(amount * pair.fees[token_in]) // BPS
        checked(fee * WAD)  # shared out over the supply
        balance_in, unpaid = balance_in - fee, 0
    forwards = 1 if token_in == 0 else -1
    adjusted = (balance_in - unpaid, balance_out)[::forwards]
    if k(pair.stable, *adjusted, pair.decimals) < k(pair.stable, *pair.reserves, pair.decimals):
        raise Revert("K")
    after = (balance_in, balance_out)[::forwards]
    return Swapped(out, (after[0], after[1]))
