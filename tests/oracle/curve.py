"""StableSwap pools in Python integers, from what the contracts compute; prices from the invariant.

`exchange` raises Reverted where vyper's checks would: a result outside uint256, a division by 0, or
Newton's steps that do not come to rest.
"""

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

ONE = 10**18
FEE_DENOMINATOR = 10**10
UINT256_MAX = (1 << 256) - 1
LEGACY = ("3pool", "y_pool", "plain")


class Reverted(Exception):
    """The contract would revert."""


def u(x: int) -> int:
    """x, as the result of a checked operation."""
    if not 0 <= x <= UINT256_MAX:
        raise Reverted("out of range")
    return x


def div(x: int, y: int) -> int:
    if y == 0:
        raise Reverted("division by 0")
    return x // y


@dataclass(frozen=True)
class CurvePool:
    """One pool's state; `amp` is times 100 in plain pools and NG."""

    shape: str  # one of LEGACY, or "ng"
    balances: tuple[int, ...]
    rates: tuple[int, ...]
    amp: int
    fee: int
    admin_fee: int = 5 * 10**9
    offpeg_fee_multiplier: int = 0

    @property
    def precise(self) -> bool:
        """Whether A is kept times 100, and Newton has to come to rest."""
        return self.shape in ("plain", "ng")

    @property
    def kind(self) -> str:
        return "curve_stable_ng" if self.shape == "ng" else "curve_stable"

    def fields(self) -> dict[str, object]:
        """What mevfast-vectors/1 calls the state."""
        fields: dict[str, object] = {
            "balances": list(self.balances),
            "rates": list(self.rates),
            "amp_precise" if self.precise else "amp": self.amp,
            "fee": self.fee,
            "admin_fee": self.admin_fee,
        }
        if self.shape == "ng":
            return fields | {"offpeg_fee_multiplier": self.offpeg_fee_multiplier}
        return fields | {"shape": self.shape}


def xp(pool: CurvePool) -> list[int]:
    return [u(b * r) // ONE for b, r in zip(pool.balances, pool.rates, strict=True)]


def rest(x: int, y: int) -> bool:
    return abs(x - y) <= 1


def invariant(pool: CurvePool, balances: list[int]) -> int:
    """get_D."""
    n, total = len(balances), u(sum(balances))
    if total == 0:
        return 0
    one_a = 100 if pool.precise else 1
    ann = pool.amp * n
    d = total
    for _ in range(255):
        product = d
        for x in balances:
            if pool.shape == "ng":
                product = div(u(product * d), x)
            else:
                product = div(u(product * d), u(x * n + (pool.shape == "y_pool")))
        if pool.shape == "ng":
            product //= n**n
        before = d
        over = u(u(u(ann * total) // one_a + u(product * n)) * d)
        under = u(u(u(ann - one_a) * d) // one_a + u((n + 1) * product))
        d = div(over, under)
        if rest(d, before):
            return d
    if pool.precise:
        raise Reverted("D does not converge")
    return d


def balance_out(pool: CurvePool, balances: list[int], i: int, j: int, x: int) -> int:
    """get_y: balance j in 18 decimals once balance i is x."""
    n, d = len(balances), invariant(pool, balances)
    one_a = 100 if pool.precise else 1
    ann = pool.amp * n
    others = [x if k == i else balance for k, balance in enumerate(balances) if k != j]
    c = d
    for other in others:
        c = div(u(c * d), u(other * n))
    c = div(u(u(c * d) * one_a), ann * n)
    b = u(u(sum(others)) + div(u(d * one_a), ann))
    y = d
    for _ in range(255):
        before = y
        y = div(u(u(y * y) + c), u(u(2 * y + b) - d))
        if rest(y, before):
            return y
    if pool.precise:
        raise Reverted("y does not converge")
    return y


def dynamic_fee(pool: CurvePool, xi: int, xj: int) -> int:
    multiplier = pool.offpeg_fee_multiplier
    if multiplier <= FEE_DENOMINATOR:
        return pool.fee
    square = u(u(xi + xj) ** 2)
    share = div(u(u(u((multiplier - FEE_DENOMINATOR) * 4) * xi) * xj), square)
    return multiplier * pool.fee // (share + FEE_DENOMINATOR)


def update_oracles(pool: CurvePool, balances: list[int], d: int) -> None:
    """NG's upkeep_oracles, for its reverts only."""
    if d >> 128:
        raise Reverted("D exceeds 128 bits")
    n = len(balances)
    dr = d // n**n
    for x in balances:
        dr = div(u(dr * d), x)
    first = u(pool.amp * n * balances[0]) // 100
    for x in balances[1:]:
        div(u(ONE * u(first + u(dr * balances[0]) // x)), u(first + dr))


def exchange(pool: CurvePool, i: int, j: int, dx: int) -> tuple[int, tuple[int, ...]]:
    """(what is paid, the balances after it) for dx of coin i sold for coin j."""
    before = xp(pool)
    x = u(before[i] + u(dx * pool.rates[i]) // ONE)
    y = balance_out(pool, before, i, j, x)
    dy = u(before[j] - y) if pool.shape == "y_pool" else u(u(before[j] - y) - 1)
    fee = pool.fee
    if pool.shape == "ng":
        fee = dynamic_fee(pool, u(before[i] + x) // 2, u(before[j] + y) // 2)
    dy_fee = u(dy * fee) // FEE_DENOMINATOR
    paid = u(u(dy - dy_fee) * ONE) // pool.rates[j]
    to_admin = u(dy_fee * pool.admin_fee) // FEE_DENOMINATOR
    after = list(pool.balances)
    if pool.shape == "y_pool":
        after[i] = u(x * ONE) // pool.rates[i]
        after[j] = u(u(y + dy_fee - to_admin) * ONE) // pool.rates[j]
    else:
        after[i] = u(after[i] + dx)
        after[j] = u(after[j] - paid - u(to_admin * ONE) // pool.rates[j])
    if pool.shape == "ng":
        moved = [x if k == i else y if k == j else other for k, other in enumerate(before)]
        update_oracles(pool, moved, invariant(pool, before))
    return paid, tuple(after)


def after(pool: CurvePool, balances: tuple[int, ...]) -> CurvePool:
    return replace(pool, balances=balances)


def get_dy(pool: CurvePool, i: int, j: int, dx: int) -> int:
    """The 3pool's view: the fee after the conversion to units, up to 1 unit from exchange."""
    assert pool.shape == "3pool"
    before = xp(pool)
    x = before[i] + dx * pool.rates[i] // ONE
    y = balance_out(pool, before, i, j, x)
    dy = u(before[j] - y - 1) * ONE // pool.rates[j]
    return dy - pool.fee * dy // FEE_DENOMINATOR


# ---- prices, from the invariant alone ----


def _excess(balances: list[Decimal], d: Decimal, ann: Decimal) -> Decimal:
    """A n sum(x) + D - A n D - D**(n+1) / (n**n prod(x)): 0 on the invariant."""
    product = d
    for x in balances:
        product *= d / (len(balances) * x)
    return ann * sum(balances) + d - ann * d - product


def _root(balances: list[Decimal], d: Decimal, ann: Decimal, j: int, low: Decimal) -> Decimal:
    """Balance j that puts `balances` on d, by Newton from below, where the excess is concave."""
    y = low
    for _ in range(400):
        trial = [y if k == j else x for k, x in enumerate(balances)]
        excess = _excess(trial, d, ann)
        slope = ann + (ann * sum(trial) + d - ann * d - excess) / y
        step = excess / slope
        y -= step
        if abs(step) < y * Decimal(10) ** -90:
            return y
    raise AssertionError("no root")


def price(pool: CurvePool, i: int, j: int) -> float:
    """Coins j for one coin i in an infinitesimal swap, fee taken off: a difference quotient."""
    with localcontext() as context:
        context.prec = 120
        one_a = 100 if pool.precise else 1
        balances = [Decimal(x) for x in xp(pool)]
        ann = Decimal(pool.amp * len(balances)) / one_a
        d = Decimal(invariant(pool, xp(pool)))
        # D carries a rounding of its own: take the curve through D, at the point where it has x[i]
        here = _root(balances, d, ann, j, balances[j] / 10**6)
        step = balances[i] / Decimal(10) ** 30
        balances[i] += step
        there = _root(balances, d, ann, j, here / 10**6)
        slope = (here - there) / step
        fee = Decimal(pool.fee)
        if pool.shape == "ng" and pool.offpeg_fee_multiplier > FEE_DENOMINATOR:
            m = Decimal(pool.offpeg_fee_multiplier)
            xi, xj = (Decimal(xp(pool)[k]) for k in (i, j))
            spread = 4 * xi * xj / (xi + xj) ** 2
            fee = m * fee / ((m - FEE_DENOMINATOR) * spread + FEE_DENOMINATOR)
        kept = 1 - fee / FEE_DENOMINATOR
        return float(slope * kept * pool.rates[i] / pool.rates[j])
