"""CryptoSwap in Python integers: what `exchange` pays, and where it reverts.

Follows the semantics of CurveCryptoMathOptimized3 v2.0.0 with CurveTricryptoOptimizedWETH (3 coins)
and of CurveCryptoMathOptimized2 v2.0.0 and v2.1.0 with CurveTwocryptoOptimized (2 coins). Names
say what each operation may do: `u` and `s` check uint256 and int256 as Vyper does, `uw` and `sw`
wrap as its unsafe operations do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt

WAD = 10**18
A_MULTIPLIER = 10**4
_U = 1 << 256
_S = 1 << 255


class Reverted(Exception):
    """The contract reverts."""


def require(condition: bool, why: str) -> None:
    if not condition:
        raise Reverted(why)


def u(x: int) -> int:
    require(0 <= x < _U, "uint256")
    return x


def s(x: int) -> int:
    require(-_S <= x < _S, "int256")
    return x


def uw(x: int) -> int:
    return x % _U


def sw(x: int) -> int:
    return (x + _S) % _U - _S


def truncated(x: int, y: int) -> int:
    """x / y towards zero; 0 for y = 0, as the EVM divides."""
    if y == 0:
        return 0
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def div(x: int, y: int) -> int:
    """Vyper's checked division of either type."""
    require(y != 0, "division by zero")
    return s(truncated(x, y)) if x < 0 or y < 0 else truncated(x, y)


def cbrt(x: int) -> int:
    """Seven Newton steps from a guess by the bit length; 1e18-based."""
    big = 115792089237316195423570985008687907853269
    if x >= big * WAD:
        xx = x
    elif x >= big:
        xx = uw(x * WAD)
    else:
        xx = uw(x * 10**36)
    log2 = max(xx.bit_length() - 1, 0)
    rest = log2 % 3
    a = uw(2 ** (log2 // 3) * 1260**rest) // 1000**rest
    for _ in range(7):
        a = uw(uw(2 * a) + truncated(xx, uw(a * a))) // 3
    if x >= big * WAD:
        return uw(a * 10**12)
    return uw(a * 10**6) if x >= big else a


def _geometric_mean(x: Sequence[int]) -> int:
    return cbrt(u(u(x[0] * x[1]) // WAD * x[2]) // WAD)


def _safe_range(value: int, low: int, high: int, what: str) -> None:
    require(low <= value <= high, f"unsafe values {what}")


def _newton_y_step(
    y: int, k0: int, sum_x: int, *, ann: int, gamma: int, d: int
) -> tuple[int, bool]:
    """One step of _newton_y, the same for 2 and 3 coins; False where it only halved y."""
    g1k0 = u(gamma + WAD)
    g1k0 = u(g1k0 - k0 + 1) if g1k0 > k0 else u(k0 - g1k0 + 1)
    mul1 = u(WAD * d) // gamma
    mul1 = u(u(u(u(mul1 * g1k0) // gamma * g1k0) * A_MULTIPLIER)) // ann
    mul2 = u(WAD + u(2 * WAD * k0) // g1k0)
    yfprime = u(u(u(WAD * y) + u(sum_x * mul2)) + mul1)
    dyfprime = u(d * mul2)
    if yfprime < dyfprime:
        return y // 2, False
    yfprime -= dyfprime
    fprime = div(yfprime, y)
    y_minus = div(mul1, fprime)
    y_plus = u(div(u(yfprime + u(WAD * d)), fprime) + div(u(y_minus * WAD), k0))
    y_minus = u(y_minus + div(u(WAD * sum_x), fprime))
    return (y // 2 if y_plus < y_minus else y_plus - y_minus), True


def _newton_y3(ann: int, gamma: int, x: Sequence[int], d: int, i: int) -> int:
    high, low = sorted((x[k] for k in range(3) if k != i), reverse=True)
    limit = max(high // 10**14, d // 10**14, 100)
    y = d // 3
    y = div(u(y * d), u(low * 3))
    y = div(u(y * d), u(high * 3))
    k0_i = u(u(WAD * high) * 3) // d
    k0_i = u(u(k0_i * low) * 3) // d
    for _ in range(255):
        before = y
        k0 = u(u(k0_i * y) * 3) // d
        y, moved = _newton_y_step(y, k0, u(u(high + low) + y), ann=ann, gamma=gamma, d=d)
        if moved and abs(y - before) < max(limit, y // 10**14):
            _safe_range(u(y * WAD) // d, 10**16, 10**20, "y")
            return y
    raise Reverted("Did not converge")


def get_y3(ann: int, gamma: int, x: Sequence[int], d: int, i: int) -> tuple[int, int]:
    """y and K0, or newton's y and 0 where the cubic has no positive discriminant."""
    _safe_range(ann, 2_700, 270_000_000, "A")
    _safe_range(gamma, 10**10, 5 * 10**16, "gamma")
    _safe_range(d, 10**17, 10**33, "D")
    j, k = (n for n in range(3) if n != i)
    for n in (j, k):
        _safe_range(u(x[n] * WAD) // d, 10**16, 10**20, "x[i]")
    x_j, x_k, gamma2 = s(x[j]), s(x[k]), sw(gamma * gamma)
    a = 10**36 // 27
    b = truncated(sw(truncated(sw(d * d), x_j) * gamma2) * ann, 729)
    s(sw(truncated(sw(d * d), x_j) * gamma2) * ann)
    b = truncated(truncated(b, A_MULTIPLIER), x_k)
    b = s(sw(10**36 // 9 + truncated(sw(2 * WAD * gamma), 27)) - b)
    c = truncated(s(gamma2 * sw(sw(x_j + x_k) - d)), d)
    c = truncated(truncated(sw(c * ann), 27), A_MULTIPLIER)
    c = s(sw(10**36 // 9 + truncated(sw(gamma * sw(gamma + 4 * WAD)), 27)) + c)
    dd = truncated(s(sw(WAD + gamma) ** 2), 27)

    d0 = s(abs(s(div(s(sw(3 * a) * c), b) - b)))
    divider = 1
    for power, size in (
        (48, 30),
        (44, 26),
        (40, 22),
        (36, 18),
        (32, 14),
        (28, 10),
        (24, 6),
        (20, 2),
    ):
        if d0 > 10**power:
            divider = 10**size
            break
    if abs(a) > s(abs(b)):
        more = s(abs(truncated(a, b)))
        a = truncated(sw(a * more), divider)
        b, c, dd = (truncated(s(value * more), divider) for value in (b, c, dd))
    else:
        more = s(abs(truncated(b, a)))
        a, b, c, dd = (truncated(truncated(value, more), divider) for value in (a, b, c, dd))

    ac3 = s(sw(3 * a) * c)
    delta0 = s(truncated(ac3, b) - b)
    delta1 = s(truncated(s(3 * ac3), b) - sw(2 * b))
    delta1 = s(delta1 - truncated(s(truncated(s(27 * s(a**2)), b) * dd), b))
    root_arg = s(s(delta1**2) + s(truncated(s(4 * s(delta0**2)), b) * delta0))
    if root_arg <= 0:
        return _newton_y3(ann, gamma, x, d, i), 0
    root_value = isqrt(root_arg)
    b_cbrt = s(cbrt(b)) if b >= 0 else -s(cbrt(s(-b)))
    if delta1 > 0:
        second = s(cbrt(u(s(delta1 + root_value)) // 2))
    else:
        second = -s(cbrt(u(s(-s(delta1 - root_value))) // 2))
    c1 = truncated(s(truncated(s(b_cbrt * b_cbrt), WAD) * second), WAD)
    root_k0 = truncated(s(s(b + div(s(b * delta0), c1)) - c1), 3)
    root = truncated(s(truncated(truncated(s(d * d), 27), x_k) * d), x_j)
    root = truncated(s(root * root_k0), a)
    y, k0 = u(root), u(truncated(s(WAD * root_k0), a))
    _safe_range(u(y * WAD) // d, 10**16 - 1, 10**20, "y")
    return y, k0


def newton_d3(ann: int, gamma: int, unsorted: Sequence[int], k0_prev: int = 0) -> int:
    x = sorted(unsorted, reverse=True)
    require(x[0] < (_U - 1) // WAD * 27, "out of limits")
    require(x[0] > 0, "empty pool")
    sum_x = uw(x[0] + x[1] + x[2])
    if k0_prev == 0:
        d = uw(3 * _geometric_mean(x))
    else:
        scale, back = WAD, 1
        if sum_x > 10**36:
            scale, back = 10**36, 10**12
        elif sum_x > 10**24:
            scale, back = 10**24, 10**6
        d = u(u(x[0] * x[1]) // scale * x[2]) // k0_prev
        d = cbrt(u(u(d * 27) * back))
    for _ in range(255):
        before = d
        k0 = truncated(uw(uw(uw(WAD * x[0]) * 3)), d)
        k0 = truncated(uw(uw(k0 * x[1]) * 3), d)
        k0 = truncated(uw(uw(k0 * x[2]) * 3), d)
        g1k0 = uw(gamma + WAD)
        g1k0 = uw(g1k0 - k0 + 1) if g1k0 > k0 else uw(k0 - g1k0 + 1)
        mul1 = truncated(uw(truncated(uw(WAD * d), gamma) * g1k0), gamma)
        mul1 = truncated(uw(uw(mul1 * g1k0) * A_MULTIPLIER), ann)
        mul2 = truncated(uw(6 * WAD * k0), g1k0)
        neg_fprime = uw(sum_x + uw(sum_x * mul2) // WAD)
        neg_fprime = uw(neg_fprime + truncated(uw(mul1 * 3), k0))
        neg_fprime = uw(neg_fprime - uw(mul2 * d) // WAD)
        d_plus = truncated(u(d * uw(neg_fprime + sum_x)), neg_fprime)
        d_minus = truncated(u(d * d), neg_fprime)
        term = u(d * truncated(mul1, neg_fprime)) // WAD
        if k0 < WAD:
            d_minus = u(d_minus + truncated(uw(term * (WAD - k0)), k0))
        else:
            d_minus = u(d_minus - truncated(uw(term * (k0 - WAD)), k0))
        d = d_plus - d_minus if d_plus > d_minus else (d_minus - d_plus) // 2
        if uw(abs(d - before) * 10**14) < max(10**16, d):
            for value in x:
                _safe_range(truncated(uw(value * WAD), d), 10**16 - 1, 10**20, "x[i]")
            return d
    raise Reverted("Did not converge")


@dataclass(frozen=True)
class Math2:
    """What differs between the versions of CurveCryptoMathOptimized2: limits only."""

    max_gamma: int
    max_gamma_small: int  # above it the limits on x and y narrow; 0 where they never do
    lowest_frac: int  # of x / D in newton_D
    highest_frac: int

    def limits(self, gamma: int) -> tuple[int, int, int, int]:
        """Lowest and highest 2 * x / D, and the same of y / D."""
        if self.max_gamma_small == 0:
            return 2 * 10**16, 2 * 10**20, 10**16 - 1, 10**20
        most = 10**20
        if gamma > self.max_gamma_small:
            most = most * self.max_gamma_small // gamma
        return 10**36 // most, most, 10**36 // 2 // most, most // 2


MATH2 = {
    "v2.0.0": Math2(2 * 10**15, 0, 10**16 - 1, 10**20),
    "v2.1.0": Math2(199 * 10**15, 2 * 10**16, 10**16 // 2, 10**20 // 2),
}


def _safe_a_gamma2(math: Math2, ann: int, gamma: int) -> None:
    _safe_range(ann, 4_000, 40_000_000, "A")
    _safe_range(gamma, 10**10, math.max_gamma, "gamma")


def _newton_y2(math: Math2, ann: int, gamma: int, x_j: int, d: int) -> int:
    low, high, _, _ = math.limits(gamma)
    y = div(u(d**2), u(x_j * 4))
    k0_i = u(2 * WAD * x_j) // d
    _safe_range(k0_i, low, high, "x[i]")
    limit = max(x_j // 10**14, d // 10**14, 100)
    for _ in range(255):
        before = y
        k0 = u(u(k0_i * y) * 2) // d
        y, moved = _newton_y_step(y, k0, u(x_j + y), ann=ann, gamma=gamma, d=d)
        if moved and abs(y - before) < max(limit, y // 10**14):
            return y
    raise Reverted("Did not converge")


_THRESHOLDS2 = (
    *((power, power - 18) for power in range(48, 24, -2)),
    (24, 6),
    (20, 2),
)  # fmt: skip


def get_y2(math: Math2, ann: int, gamma: int, x_j: int, d: int) -> tuple[int, int]:
    """The other coin's y and K0, or newton's y and 0."""
    _safe_a_gamma2(math, ann, gamma)
    _safe_range(d, 10**17, 10**33, "D")
    low, high, low_y, high_y = math.limits(gamma)
    s(x_j)
    gamma2 = sw(gamma * gamma)
    div(s(d**2), s(x_j * 4))
    _safe_range(truncated(s(2 * WAD * x_j), d), low, high, "x[i]")
    ann_gamma2 = s(ann * gamma2)
    a = 10**32
    b = div(s(d * ann_gamma2) // 400_000_000, x_j)
    b = s(s(b - 3 * 10**32) - sw(sw(2 * gamma) * 10**14))
    c = s(3 * 10**32 + sw(sw(4 * gamma) * 10**14))
    c = s(c + gamma2 // 10**4)
    c = s(c + truncated(s(truncated(sw(4 * ann_gamma2), 400_000_000) * x_j), d))
    c = s(c - truncated(sw(4 * ann_gamma2), 400_000_000))
    dd = s(-(s((WAD + gamma) ** 2) // 10**4))

    delta0 = s(div(s(3 * a * c), b) - b)
    delta1 = s(s(3 * delta0) + b)
    delta1 = s(delta1 - div(s(div(27 * a**2, b) * dd), b))
    threshold = min(s(abs(delta0)), s(abs(delta1)), a)
    divider = next((10**size for power, size in _THRESHOLDS2 if threshold > 10**power), 1)
    a, b, c, dd = (truncated(value, divider) for value in (a, b, c, dd))
    delta0 = s(truncated(sw(sw(3 * a) * c), b) - b)
    delta1 = s(s(3 * delta0) + b)
    delta1 = s(delta1 - truncated(sw(truncated(sw(27 * s(a**2)), b) * dd), b))
    root_arg = s(s(delta1**2) + sw(truncated(s(4 * s(delta0**2)), b) * delta0))
    if root_arg <= 0:
        y, k0 = _newton_y2(math, ann, gamma, x_j, d), 0
        return y, k0
    root_value = isqrt(root_arg)
    b_cbrt = s(cbrt(b)) if b > 0 else s(-s(cbrt(u(s(-b)))))
    if delta1 > 0:
        second = s(cbrt(u(sw(delta1 + root_value)) // 2))
    else:
        second = -s(cbrt(u(sw(root_value - delta1)) // 2))
    c1 = truncated(sw(truncated(s(b_cbrt**2), WAD) * second), WAD)
    root = s(sw(WAD * c1) - sw(WAD * b))
    root = div(s(root - s(div(sw(WAD * b), c1) * delta0)), sw(3 * a))
    y = u(truncated(truncated(sw(truncated(s(d**2), x_j) * root), 4), WAD))
    k0 = u(root)
    _safe_range(u(y * WAD) // d, low_y, high_y, "y")
    return y, k0


def newton_d2(math: Math2, ann: int, gamma: int, unsorted: Sequence[int], k0_prev: int = 0) -> int:
    _safe_a_gamma2(math, ann, gamma)
    x = sorted(unsorted, reverse=True)
    _safe_range(x[0], 10**9, 10**33, "x[0]")
    require(u(x[1] * WAD) // x[0] >= 10**14, "unsafe values x[i]")
    sum_x = uw(x[0] + x[1])
    if k0_prev == 0:
        d = u(2 * isqrt(uw(x[0] * x[1])))
    else:
        d = isqrt(uw(uw(uw(4 * x[0]) * x[1]) // k0_prev * WAD))
        d = min(d, sum_x)
    for _ in range(255):
        before = d
        require(d > 0, "D")
        k0 = u(u(4 * WAD * x[0]) // d * x[1]) // d
        g1k0 = u(gamma + WAD)
        g1k0 = g1k0 - k0 + 1 if g1k0 > k0 else k0 - g1k0 + 1
        mul1 = u(u(WAD * d) // gamma * g1k0) // gamma
        mul1 = u(u(mul1 * g1k0) * A_MULTIPLIER) // ann
        mul2 = u(4 * WAD * k0) // g1k0
        neg_fprime = u(sum_x + u(sum_x * mul2) // WAD)
        neg_fprime = u(neg_fprime + div(u(mul1 * 2), k0))
        neg_fprime = u(neg_fprime - u(mul2 * d) // WAD)
        d_plus = div(u(d * u(neg_fprime + sum_x)), neg_fprime)
        d_minus = u(d * d) // neg_fprime
        term = u(d * (mul1 // neg_fprime)) // WAD
        if k0 < WAD:
            d_minus = u(d_minus + u(term * (WAD - k0)) // k0)
        else:
            d_minus = u(d_minus - u(term * (k0 - WAD)) // k0)
        d = d_plus - d_minus if d_plus > d_minus else (d_minus - d_plus) // 2
        if u(abs(d - before) * 10**14) < max(10**16, d):
            for value in x:
                _safe_range(div(u(value * WAD), d), math.lowest_frac, math.highest_frac, "x[i]")
            return d
    raise Reverted("Did not converge")


@dataclass(frozen=True)
class Pool:
    """The state of mevfast-vectors/1; `total_supply` 0 where the price of a share is unknown."""

    balances: tuple[int, ...]
    precisions: tuple[int, ...]
    price_scale: tuple[int, ...]
    amp: int
    gamma: int
    d: int
    mid_fee: int
    out_fee: int
    fee_gamma: int
    version: str = "v2.0.0"
    ramping: bool = False
    total_supply: int = 0
    virtual_price: int = 0

    @property
    def n(self) -> int:
        return len(self.balances)

    def get_y(self, x: Sequence[int], d: int, i: int) -> tuple[int, int]:
        if self.n == 3:
            return get_y3(self.amp, self.gamma, x, d, i)
        return get_y2(MATH2[self.version], self.amp, self.gamma, x[1 - i], d)

    def newton_d(self, x: Sequence[int], k0_prev: int = 0) -> int:
        if self.n == 3:
            return newton_d3(self.amp, self.gamma, x, k0_prev)
        return newton_d2(MATH2[self.version], self.amp, self.gamma, x, k0_prev)

    def scaled(self, balance: int, k: int) -> int:
        """A balance in units of coin 0 with 18 decimals."""
        value = u(balance * self.precisions[k])
        return value if k == 0 else u(value * self.price_scale[k - 1]) // WAD

    def xp(self) -> list[int]:
        return [self.scaled(balance, k) for k, balance in enumerate(self.balances)]

    def fee(self, x: Sequence[int]) -> int:
        """The fee at x, 1e-10."""
        total = u(sum(x))
        if self.n == 3:
            f = div(u(3 * WAD * x[0]), total)
            for value in x[1:]:
                f = u(u(f * 3) * value) // total
            if self.fee_gamma > 0:
                f = div(u(self.fee_gamma * WAD), u(self.fee_gamma + WAD - f))
        else:
            f = u(div(u(4 * WAD * x[0]), total) * x[1]) // total
            f = div(u(self.fee_gamma * WAD), u(self.fee_gamma + WAD - f))
        return u(u(self.mid_fee * f) + u(self.out_fee * u(WAD - f))) // WAD

    def share_price(self, d: int) -> int:
        """The virtual price at invariant d, from the geometric mean of balanced reserves."""
        x = [d // self.n] + [div(u(d * WAD), u(self.n * p)) for p in self.price_scale]
        mean = _geometric_mean(x) if self.n == 3 else isqrt(u(x[0] * x[1]))
        return div(u(WAD * mean), self.total_supply)

    def check_gain(self, d: int) -> None:
        """Reverts where an exchange that brings d does not raise the price of a share."""
        if self.total_supply and self.virtual_price:
            price = self.share_price(d)
            u(u(price * 2) - WAD)
            require(self.ramping or price > self.virtual_price, "Loss")
        else:
            require(self.ramping or d > self.d, "Loss")


def exchange(pool: Pool, i: int, j: int, dx: int) -> tuple[int, Pool]:
    """dy and the pool after it, price_scale untouched. Reverted where the contract reverts.

    It can pay nothing: the contract lets that pass where min_dy is 0.
    """
    require(dx > 0, "do not exchange 0 coins")
    balances = list(pool.balances)
    old = pool.xp() if pool.ramping else []
    balances[i] = u(balances[i] + dx)
    moved = replace(pool, balances=tuple(balances))
    x = moved.xp()
    d = pool.newton_d(old) if pool.ramping else pool.d
    y, k0 = pool.get_y(x, d, j)
    dy = u(x[j] - y)
    x[j] = y
    dy = u(dy - 1)
    if j > 0:
        dy = div(u(dy * WAD), pool.price_scale[j - 1])
    dy //= pool.precisions[j]
    dy = u(dy - u(pool.fee(x) * dy) // 10**10)
    balances[j] = u(balances[j] - dy)
    x[j] = pool.scaled(balances[j], j)
    new_d = pool.newton_d(x, k0)
    require(10**17 <= new_d <= 10**33, "unsafe D values")
    pool.check_gain(new_d)
    after = replace(moved, balances=tuple(balances), d=new_d)
    if pool.total_supply and pool.virtual_price:
        after = replace(after, virtual_price=pool.share_price(new_d))
    return dy, after


def marginal_price(pool: Pool, i: int, j: int) -> float:
    """Tokens j per token i by a finite difference of the invariant, fee at the margin taken off."""
    step = 10**12
    x = [value * step for value in pool.xp()]

    def invariant(y: Sequence[int]) -> int:
        d, n = pool.d * step, len(y)
        power: int = n**n
        k0 = power * 10**60
        for value in y:
            k0 = k0 * value // d
        one_g = (WAD + pool.gamma) * 10**42
        k = pool.amp * k0 // A_MULTIPLIER * (pool.gamma * 10**42) // (one_g - k0)
        k = k * (pool.gamma * 10**42) // (one_g - k0)  # 1e60-based A K0 g**2 / (g + 1 - K0)**2
        return k * (sum(y) - d) // power + (k0 - 10**60) * d // power

    def slope(k: int) -> float:
        h = x[k] // 10**9
        up, down = list(x), list(x)
        up[k] += h
        down[k] -= h
        return (invariant(up) - invariant(down)) / (2 * h)

    rate = slope(i) / slope(j)
    unit = [p * (WAD if k == 0 else pool.price_scale[k - 1]) for k, p in enumerate(pool.precisions)]
    return rate * unit[i] / unit[j] * (1 - pool.fee(pool.xp()) / 10**10)
