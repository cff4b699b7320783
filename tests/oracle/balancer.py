"""Balancer V2 in Python integers: LogExpMath, FixedPoint, weighted and stable swaps.

Written from the contracts' semantics (balancer-v2-monorepo, Solidity 0.7: what is not checked
there wraps). A `Revert` carries the contract's error code, or "" where it has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

WORD = 1 << 256
UINT112_MAX = (1 << 112) - 1
ONE = 10**18
ONE_20 = 10**20
ONE_36 = 10**36
AMP_PRECISION = 1000
MAX_RATIO = 3 * 10**17  # of the balance, in and out
MAX_POW_RELATIVE_ERROR = 10_000


class Revert(Exception):
    """The contract refuses; `args[0]` is its code, as "BAL#304"."""


def require(condition: bool, code: int) -> None:
    if not condition:
        raise Revert(f"BAL#{code:03d}")


def add(a: int, b: int) -> int:
    require(a + b < WORD, 0)
    return a + b


def sub(a: int, b: int) -> int:
    require(b <= a, 1)
    return a - b


def mul(a: int, b: int) -> int:
    require(a * b < WORD, 3)
    return a * b


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def div_down(a: int, b: int) -> int:
    """Math.divDown."""
    require(b != 0, 4)
    return a // b


def div_up(a: int, b: int) -> int:
    """Math.divUp."""
    require(b != 0, 4)
    return ceil_div(a, b)


def fixed_mul_down(a: int, b: int) -> int:
    return mul(a, b) // ONE


def fixed_mul_up(a: int, b: int) -> int:
    return ceil_div(mul(a, b), ONE)


def fixed_div_down(a: int, b: int) -> int:
    require(b != 0, 4)
    require(a * ONE < WORD, 5)
    return a * ONE // b


def fixed_div_up(a: int, b: int) -> int:
    require(b != 0, 4)
    require(a * ONE < WORD, 5)
    return ceil_div(a * ONE, b)


def complement(a: int) -> int:
    return ONE - a if a < ONE else 0


# ---- LogExpMath ----

# e**(2**(7 - n)) at 2**(7 - n): the first two without decimals, the others with 20.
POWERS_OF_E = (
    38877084059945950922200000000000000000000000000000000000,
    6235149080811616882910000000,
    7896296018268069516100000000000000,
    888611052050787263676000000,
    298095798704172827474000,
    5459815003314423907810,
    738905609893065022723,
    271828182845904523536,
    164872127070012814685,
    128402541668774148407,
    113314845306682631683,
    106449445891785942956,
)
EXPONENTS = tuple(128 * ONE_20 >> n for n in range(12))  # 20 decimals
MAX_NATURAL_EXPONENT = 130 * ONE
MIN_NATURAL_EXPONENT = -41 * ONE
LN_36_BOUNDS = (9 * 10**17, 11 * 10**17)  # exclusive
MILD_EXPONENT_BOUND = 2**254 // ONE_20


def truncated(a: int, b: int) -> int:
    """Solidity's signed division, towards zero, for b > 0."""
    return a // b if a >= 0 else -(-a // b)


def ln_36(x: int) -> int:
    """36 decimals, for x near one."""
    x *= ONE
    z = truncated((x - ONE_36) * ONE_36, x + ONE_36)
    z_squared = z * z // ONE_36
    term = series = z
    for odd in range(3, 16, 2):
        term = truncated(term * z_squared, ONE_36)
        series += truncated(term, odd)
    return 2 * series


def ln_18(a: int) -> int:
    """18 decimals, over the whole range."""
    if a < ONE:
        return -ln_18(ONE_36 // a)
    total = 0
    for n in range(2):
        if a >= POWERS_OF_E[n] * ONE:
            a //= POWERS_OF_E[n]
            total += EXPONENTS[n]
    a *= 100
    for n in range(2, 12):
        if a >= POWERS_OF_E[n]:
            a = a * ONE_20 // POWERS_OF_E[n]
            total += EXPONENTS[n]
    z = (a - ONE_20) * ONE_20 // (a + ONE_20)
    z_squared = z * z // ONE_20
    term = series = z
    for odd in range(3, 12, 2):
        term = term * z_squared // ONE_20
        series += term // odd
    return (total + 2 * series) // 100


def ln(a: int) -> int:
    require(a > 0, 100)
    if LN_36_BOUNDS[0] < a < LN_36_BOUNDS[1]:
        return truncated(ln_36(a), ONE)
    return ln_18(a)


def exp(x: int) -> int:
    require(MIN_NATURAL_EXPONENT <= x <= MAX_NATURAL_EXPONENT, 9)
    if x < 0:
        return ONE_36 // exp(-x)
    x *= 100
    first = 1
    for n in range(2):
        if x >= EXPONENTS[n]:
            x -= EXPONENTS[n]
            first = POWERS_OF_E[n]
            break
    product = ONE_20
    for n in range(2, 10):
        if x >= EXPONENTS[n]:
            x -= EXPONENTS[n]
            product = product * POWERS_OF_E[n] // ONE_20
    term = x
    series = ONE_20 + x
    for n in range(2, 13):
        term = term * x // ONE_20 // n
        series += term
    return product * series // ONE_20 * first // 100


def power(x: int, y: int) -> int:
    """LogExpMath.pow."""
    if y == 0:
        return ONE
    if x == 0:
        return 0
    require(x >> 255 == 0, 6)
    require(y < MILD_EXPONENT_BOUND, 7)
    if LN_36_BOUNDS[0] < x < LN_36_BOUNDS[1]:
        log = ln_36(x)
        high, low = divmod(abs(log), ONE)
        exponent = high * y + low * y // ONE
        exponent = exponent if log >= 0 else -exponent
    else:
        exponent = ln_18(x) * y
    exponent = truncated(exponent, ONE)
    require(MIN_NATURAL_EXPONENT <= exponent <= MAX_NATURAL_EXPONENT, 8)
    return exp(exponent)


def _max_error(raw: int) -> int:
    return add(fixed_mul_up(raw, MAX_POW_RELATIVE_ERROR), 1)


def pow_up(x: int, y: int, shortcuts: bool = True) -> int:
    """FixedPoint.powUp; `shortcuts`: the exponents 1, 2 and 4 are multiplied out."""
    if shortcuts and y == ONE:
        return x
    if shortcuts and y == 2 * ONE:
        return fixed_mul_up(x, x)
    if shortcuts and y == 4 * ONE:
        square = fixed_mul_up(x, x)
        return fixed_mul_up(square, square)
    raw = power(x, y)
    return add(raw, _max_error(raw))


def pow_down(x: int, y: int, shortcuts: bool = True) -> int:
    """FixedPoint.powDown."""
    if shortcuts and y == ONE:
        return x
    if shortcuts and y == 2 * ONE:
        return fixed_mul_down(x, x)
    if shortcuts and y == 4 * ONE:
        square = fixed_mul_down(x, x)
        return fixed_mul_down(square, square)
    raw = power(x, y)
    error = _max_error(raw)
    return raw - error if raw >= error else 0


# ---- WeightedMath ----

Sides = tuple[int, int, int, int]
"""Balance and weight of the token in, balance and weight of the token out."""


def weighted_out(sides: Sides, amount_in: int, shortcuts: bool = True) -> int:
    balance_in, weight_in, balance_out, weight_out = sides
    require(amount_in <= fixed_mul_down(balance_in, MAX_RATIO), 304)
    base = fixed_div_up(balance_in, add(balance_in, amount_in))
    raised = pow_up(base, fixed_div_down(weight_in, weight_out), shortcuts)
    return fixed_mul_down(balance_out, complement(raised))


def weighted_in(sides: Sides, amount_out: int, shortcuts: bool = True) -> int:
    balance_in, weight_in, balance_out, weight_out = sides
    require(amount_out <= fixed_mul_down(balance_out, MAX_RATIO), 305)
    base = fixed_div_up(balance_out, sub(balance_out, amount_out))
    raised = pow_up(base, fixed_div_up(weight_out, weight_in), shortcuts)
    return fixed_mul_up(balance_in, sub(raised, ONE))


# ---- StableMath ----


def _close(a: int, b: int) -> bool:
    return abs(a - b) <= 1


def invariant(amp: int, balances: Sequence[int]) -> int:
    """_calculateInvariant since June 2022: every division cuts off."""
    n = len(balances)
    total = 0
    for balance in balances:
        total = add(total, balance)
    if total == 0:
        return 0
    ann = amp * n % WORD
    d = total
    for _ in range(255):
        d_p = d
        for balance in balances:
            d_p = div_down(mul(d_p, d), mul(balance, n))
        last = d
        above = mul(add(mul(ann, total) // AMP_PRECISION, mul(d_p, n)), d)
        below = add(mul((ann - AMP_PRECISION) % WORD, d) // AMP_PRECISION, mul(n + 1, d_p))
        d = div_down(above, below)
        if _close(d, last):
            return d
    raise Revert("BAL#321")


def invariant_round_up(amp: int, balances: Sequence[int]) -> int:
    """_calculateInvariant(..., true) of the stable and meta-stable pools before June 2022."""
    n = len(balances)
    total = 0
    for balance in balances:
        total = add(total, balance)
    if total == 0:
        return 0
    ann = amp * n % WORD
    d = total
    for _ in range(255):
        p_d = balances[0] * n % WORD
        for balance in balances[1:]:
            p_d = div_up(mul(mul(p_d, balance), n), d)
        last = d
        above = add(mul(mul(n, d), d), div_up(mul(mul(ann, total), p_d), AMP_PRECISION))
        below = add(mul(n + 1, d), mul((ann - AMP_PRECISION) % WORD, p_d) // AMP_PRECISION)
        d = div_up(above, below)
        if _close(d, last):
            return d
    raise Revert("BAL#321")


def token_balance(amp: int, balances: Sequence[int], d: int, index: int) -> int:
    """_getTokenBalanceGivenInvariantAndAllOtherBalances."""
    n = len(balances)
    ann = amp * n % WORD
    total = balances[0]
    p_d = balances[0] * n % WORD
    for balance in balances[1:]:
        p_d = div_down(mul(mul(p_d, balance), n), d)
        total = add(total, balance)
    total -= balances[index]
    d_squared = mul(d, d)
    c = mul(mul(div_up(d_squared, mul(ann, p_d)), AMP_PRECISION), balances[index])
    b = add(total, mul(div_down(d, ann), AMP_PRECISION))
    y = div_up(add(d_squared, c), add(d, b))
    for _ in range(255):
        last = y
        y = div_up(add(mul(y, y), c), sub(add(mul(y, 2), b), d))
        if _close(y, last):
            return y
    raise Revert("BAL#322")


Tokens = tuple[int, int]
"""Indices of the token in and the token out."""


def stable_out(amp: int, balances: Sequence[int], tokens: Tokens, amount_in: int, d: int) -> int:
    i, j = tokens
    moved = list(balances)
    moved[i] = add(moved[i], amount_in)
    return sub(sub(balances[j], token_balance(amp, moved, d, j)), 1)


def stable_in(amp: int, balances: Sequence[int], tokens: Tokens, amount_out: int, d: int) -> int:
    i, j = tokens
    moved = list(balances)
    moved[j] = sub(moved[j], amount_out)
    return add(sub(token_balance(amp, moved, d, i), balances[i]), 1)


# ---- pools as the Vault sees them ----


@dataclass(frozen=True)
class Pool:
    """`weights` for a weighted pool, else `amp`; `bpt_index` is None without an own token."""

    balances: tuple[int, ...]
    scaling_factors: tuple[int, ...]
    swap_fee: int
    weights: tuple[int, ...] = ()
    amp: int = 0
    bpt_index: int | None = None
    pow_shortcuts: bool = True
    invariant_round_up: bool = False

    @property
    def kind(self) -> str:
        return "balancer_weighted" if self.weights else "balancer_composable_stable"

    def fields(self) -> dict[str, object]:
        """The state fields of mevfast-vectors/1."""
        fields: dict[str, object] = {
            "balances": list(self.balances),
            "scaling_factors": list(self.scaling_factors),
            "swap_fee": self.swap_fee,
        }
        if self.weights:
            return fields | {"weights": list(self.weights), "pow_shortcuts": self.pow_shortcuts}
        fields |= {"amp": self.amp, "amp_precision": AMP_PRECISION}
        fields["invariant_round_up"] = self.invariant_round_up
        return fields if self.bpt_index is None else fields | {"bpt_index": self.bpt_index}

    def swap(self, i: int, j: int, exact: str, amount: int) -> tuple[int, int, "Pool"]:
        """(amount in, amount out, the pool after) of Vault.swap, or Revert."""
        require(amount > 0, 510)
        if self.bpt_index in (i, j):
            raise ValueError(
                f"tokens {i} and {j}: expected two that are swapped, was a join or an exit"
            )
        if exact == "in":
            amount_in, amount_out = amount, self._given_in(i, j, amount)
        else:
            amount_in, amount_out = self._given_out(i, j, amount), amount
        after = list(self.balances)
        after[i] = add(after[i], amount_in)
        require(after[i] <= UINT112_MAX, 526)
        after[j] = sub(after[j], amount_out)
        return amount_in, amount_out, replace(self, balances=tuple(after))

    def _given_in(self, i: int, j: int, amount: int) -> int:
        amount = sub(amount, fixed_mul_up(amount, self.swap_fee))
        scaled = fixed_mul_down(amount, self.scaling_factors[i])
        return fixed_div_down(self._out(i, j, scaled), self.scaling_factors[j])

    def _given_out(self, i: int, j: int, amount: int) -> int:
        scaled = fixed_mul_down(amount, self.scaling_factors[j])
        amount_in = fixed_div_up(self._in(i, j, scaled), self.scaling_factors[i])
        return fixed_div_up(amount_in, complement(self.swap_fee))

    def _scaled(self) -> list[int]:
        return [
            fixed_mul_down(balance, factor)
            for balance, factor in zip(self.balances, self.scaling_factors, strict=True)
        ]

    def _without_bpt(self, i: int, j: int) -> tuple[list[int], Tokens, int]:
        balances = self._scaled()
        if self.bpt_index is not None:
            del balances[self.bpt_index]
            i -= i > self.bpt_index
            j -= j > self.bpt_index
        d = (invariant_round_up if self.invariant_round_up else invariant)(self.amp, balances)
        return balances, (i, j), d

    def _sides(self, i: int, j: int) -> Sides:
        scaled = [fixed_mul_down(self.balances[k], self.scaling_factors[k]) for k in (i, j)]
        return scaled[0], self.weights[i], scaled[1], self.weights[j]

    def _out(self, i: int, j: int, amount: int) -> int:
        if self.weights:
            return weighted_out(self._sides(i, j), amount, self.pow_shortcuts)
        balances, tokens, d = self._without_bpt(i, j)
        return stable_out(self.amp, balances, tokens, amount, d)

    def _in(self, i: int, j: int, amount: int) -> int:
        if self.weights:
            return weighted_in(self._sides(i, j), amount, self.pow_shortcuts)
        balances, tokens, d = self._without_bpt(i, j)
        return stable_in(self.amp, balances, tokens, amount, d)
