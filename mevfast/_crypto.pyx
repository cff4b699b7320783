"""Curve CryptoSwap pools: what `exchange` of tricrypto-ng and twocrypto-ng pays.

Owns the swap around the maths of tricrypto_math.h and twocrypto_math.h: scaling, fee, the state
after and the contract's refusals; must not know tokens, tables or other kernels.

Kinds: `curve_tricrypto_ng` (CurveTricryptoOptimizedWETH and CurveTricryptoOptimized with
CurveCryptoMathOptimized3 v2.0.0) and `curve_twocrypto_ng` (CurveTwocryptoOptimized v2.0.0 or v2.1.0
with CurveCryptoMathOptimized2 of the same version). Not the older CurveCryptoSwap, and not
twocrypto-ng v2.1.0d and later, which are other curves.

The state after a swap is the one before tweak_price moves price_scale, which takes the oracle's
state to know: `d` is its D_unadjusted. A pool must be read again after a swap that could adjust it.
An adjustment that itself reverts is not seen either. The contracts have no exact output.

A swap that does not raise the price of a share reverts ("Loss"): exactly so where `total_supply`
and `virtual_price` are given; without them a swap is refused that does not raise d.
"""

from libc.math cimport INFINITY, fabs, fmin

from mevfast._fields cimport u256_field, u256_fields
from mevfast._math cimport u256_to_pyint
from mevfast.types cimport (
    POOL_CURVE_TRICRYPTO_NG,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_UNSUPPORTED,
    QUOTE_ZERO_AMOUNT,
    crypto_state,
    pool_quote,
    pool_state,
)
from mevfast.u256 cimport (
    u256,
    u256_add,
    u256_add_u64,
    u256_is_zero,
    u256_isqrt,
    u256_lt,
    u256_shr,
    u256_sub,
    u256_to_double,
)

from mevfast._fields import choice_field


cdef extern from "s256.h" nogil:
    u256 u_lit(unsigned long long x) noexcept
    u256 u_add(u256 x, u256 y, int *bad) noexcept
    u256 u_sub(u256 x, u256 y, int *bad) noexcept
    u256 u_mul(u256 x, u256 y, int *bad) noexcept
    u256 u_div(u256 x, u256 y, int *bad) noexcept
    u256 uw_div(u256 x, u256 y) noexcept
    bint u_less(u256 x, u256 y) noexcept


cdef extern from "crypto_math.h" nogil:
    enum:
        CRYPTO_A_MULTIPLIER
    u256 crypto_wad() noexcept
    u256 crypto_unwad(u256 x) noexcept
    u256 crypto_ten(int n) noexcept
    bint crypto_d_is_safe(u256 d) noexcept
    u256 crypto_fee(const crypto_state *s, const u256 *x, int *bad) noexcept


cdef extern from "tricrypto_math.h" nogil:
    u256 tricrypto_geometric_mean(const u256 *x, int *bad) noexcept
    int tricrypto_get_y(
        u256 *y, u256 *k0, u256 ann, u256 gamma, const u256 *x, u256 d, int i,
    ) noexcept
    int tricrypto_newton_d(
        u256 *r, u256 ann, u256 gamma, const u256 *x, u256 k0_prev,
    ) noexcept


cdef extern from "twocrypto_math.h" nogil:
    ctypedef struct twocrypto_params:
        pass
    int twocrypto_load_params(twocrypto_params *p, u256 ann, u256 gamma, int version) noexcept
    int twocrypto_get_y(
        u256 *y, u256 *k0, const twocrypto_params *p, u256 x_j, u256 d,
    ) noexcept
    int twocrypto_newton_d(
        u256 *r, const twocrypto_params *p, const u256 *x, u256 k0_prev,
    ) noexcept


cdef enum:
    FEE_STEPS = 8  # of the fee at the end of a swap: each takes a fee's size off the error

_UINT256_MAX = (1 << 256) - 1
_UINT128_MAX = (1 << 128) - 1  # A and gamma are packed in one word
_WAD = 10**18
_MAX_FEE = 10**10
# last_prices are packed in 128 bits each, and are at most price_scale * 1e4. Factories start
# pools at 1e30 or less.
_PRICE_SCALE_MAX = 1 << 112
_VERSIONS = ("v2.0.0", "v2.1.0")


cdef u256 _scaled(const crypto_state *s, const u256 *balance, int k, int *bad) noexcept nogil:
    """A balance of coin k in units of coin 0, 18 decimals, rounded down."""
    cdef u256 x = u_mul(balance[0], s.precision[k], bad)
    return x if k == 0 else crypto_unwad(u_mul(x, s.price_scale[k - 1], bad))


cdef double _unit(const crypto_state *s, int k) noexcept nogil:
    """What _scaled multiplies a balance of coin k with."""
    cdef double unit = u256_to_double(&s.precision[k])
    return unit if k == 0 else unit * (u256_to_double(&s.price_scale[k - 1]) / 1e18)


cdef int _newton_d(
    u256 *d, const crypto_state *s, const twocrypto_params *p, const u256 *x, u256 k0,
) noexcept nogil:
    if s.n_tokens == 2:
        return twocrypto_newton_d(d, p, x, k0)
    return tricrypto_newton_d(d, s.amp, s.gamma, x, k0)


cdef u256 _share_price(const crypto_state *s, const u256 *d, int *bad) noexcept nogil:
    """The virtual price at invariant d: the geometric mean of balanced reserves, by supply."""
    cdef u256 x[3]
    cdef u256 mean, coins = u_lit(s.n_tokens)
    cdef int k
    x[0] = uw_div(d[0], coins)
    for k in range(1, s.n_tokens):
        x[k] = u_div(u_mul(d[0], crypto_wad(), bad), u_mul(coins, s.price_scale[k - 1], bad), bad)
    if s.n_tokens == 2:
        mean = u_mul(x[0], x[1], bad)
        u256_isqrt(&mean, &mean)
    else:
        mean = tricrypto_geometric_mean(x, bad)
    return u_div(u_mul(crypto_wad(), mean, bad), s.total_supply, bad)


cdef bint _share_price_known(const crypto_state *s) noexcept nogil:
    return not (u256_is_zero(&s.total_supply) or u256_is_zero(&s.virtual_price))


cdef bint _loses(const crypto_state *s, const u256 *d, int *bad) noexcept nogil:
    """Whether the price of a share does not rise when the invariant becomes d."""
    cdef u256 price
    if not _share_price_known(s):
        return not s.ramping and not u256_lt(&s.d, d)
    price = _share_price(s, d, bad)
    u_sub(u_mul(price, u_lit(2), bad), crypto_wad(), bad)  # checked in the formula of the profit
    return not s.ramping and not u256_lt(&s.virtual_price, &price)


cdef int _swap(
    const crypto_state *s, int i, int j, const u256 *dx, u256 *dy, crypto_state *after, u256 *x,
) noexcept nogil:
    """*dy = what exchange(i, j, *dx) pays. Moves *after, a copy of s, behind it; x[3] become its
    scaled balances."""
    cdef twocrypto_params params
    cdef u256 d = s.d, y, k0, unit
    cdef int k, status, bad = 0
    if s.n_tokens == 2:
        status = twocrypto_load_params(&params, s.amp, s.gamma, s.version)
        if status != QUOTE_OK:
            return status
    for k in range(s.n_tokens):
        x[k] = _scaled(s, &s.balance[k], k, &bad)
    if s.ramping:
        status = _newton_d(&d, s, &params, x, u_lit(0))
        if status != QUOTE_OK:
            return status
    after.balance[i] = u_add(s.balance[i], dx[0], &bad)
    x[i] = _scaled(s, &after.balance[i], i, &bad)
    if bad:
        return QUOTE_OVERFLOW
    if s.n_tokens == 2:
        status = twocrypto_get_y(&y, &k0, &params, x[i], d)
    else:
        status = tricrypto_get_y(&y, &k0, s.amp, s.gamma, x, d, j)
    if status != QUOTE_OK:
        return status
    dy[0] = u_sub(u_sub(x[j], y, &bad), u_lit(1), &bad)
    if bad:
        return QUOTE_NO_OUTPUT
    x[j] = y
    unit = s.precision[j]
    if j > 0:  # by the price and then by the precision: the same as by their product
        unit = u_mul(unit, s.price_scale[j - 1], &bad)
        dy[0] = u_mul(dy[0], crypto_wad(), &bad)
    dy[0] = uw_div(dy[0], unit)
    y = uw_div(u_mul(crypto_fee(s, x, &bad), dy[0], &bad), crypto_ten(10))
    dy[0] = u_sub(dy[0], y, &bad)
    after.balance[j] = u_sub(s.balance[j], dy[0], &bad)
    x[j] = _scaled(s, &after.balance[j], j, &bad)
    if bad:
        return QUOTE_OVERFLOW
    status = _newton_d(&after.d, s, &params, x, k0)
    if status != QUOTE_OK:
        return status
    if not crypto_d_is_safe(after.d):
        return QUOTE_OVERFLOW
    if _loses(s, &after.d, &bad):
        return QUOTE_NO_OUTPUT
    return QUOTE_OVERFLOW if bad else QUOTE_OK


cdef double _one_less_k0(const crypto_state *s, const u256 *x, int *bad) noexcept nogil:
    """1 - K0 for K0 = prod(x) * N**N / D**N: in integers, because it can be as small as gamma."""
    cdef u256 one = crypto_ten(36), coins = u_lit(s.n_tokens)
    cdef u256 k0 = one
    cdef int k
    for k in range(s.n_tokens):
        k0 = u_div(u_mul(u_mul(k0, x[k], bad), coins, bad), s.d, bad)
    if u_less(one, k0):
        k0 = u_sub(k0, one, bad)
        return -u256_to_double(&k0) / 1e36
    one = u_sub(one, k0, bad)
    return u256_to_double(&one) / 1e36


cdef double _price(const crypto_state *s, const u256 *x, int i, int j) noexcept nogil:
    """Coins j per coin i of an infinitesimal swap at the scaled balances x; 0.0 for an empty pool.

    The ratio of the invariant's derivatives (get_p with its differences factored out): with
    m = 1 - K0, each coin weighs A g**2 K0 + (g + m) (g + m (1 + 2 K0)) D / x.
    """
    cdef u256 fee
    cdef double d, g, m, common, spread, rate
    cdef int bad = 0
    m = _one_less_k0(s, x, &bad)
    fee = crypto_fee(s, x, &bad)
    if bad or u256_is_zero(&x[i]) or u256_is_zero(&x[j]):
        return 0.0
    d = u256_to_double(&s.d)
    g = u256_to_double(&s.gamma) / 1e18
    common = u256_to_double(&s.amp) / CRYPTO_A_MULTIPLIER * g * g * (1.0 - m)
    spread = (g + m) * (g + m * (3.0 - 2.0 * m)) * d
    rate = common + spread / u256_to_double(&x[i])
    rate /= common + spread / u256_to_double(&x[j])
    rate *= _unit(s, i) / _unit(s, j)
    return rate * (1.0 - u256_to_double(&fee) / 1e10)


cdef double crypto_marginal_price(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    cdef u256 x[3]
    cdef int k, bad = 0
    for k in range(s.n_tokens):
        x[k] = _scaled(s, &s.balance[k], k, &bad)
    return 0.0 if bad else _price(s, x, token_in, token_out)


cdef double _fee_at(const crypto_state *s, const double *x, double *rise) noexcept nogil:
    """crypto_fee in doubles, a share; `rise` is its derivative by log(prod(x) / sum(x)**N)."""
    cdef double total = 0.0, k = 1.0, g = u256_to_double(&s.fee_gamma) / 1e18, f
    cdef double mid = u256_to_double(&s.mid_fee) / 1e10, out = u256_to_double(&s.out_fee) / 1e10
    cdef int c
    for c in range(s.n_tokens):
        total += x[c]
    for c in range(s.n_tokens):
        k *= s.n_tokens * x[c] / total
    f = k
    rise[0] = (mid - out) * k
    if s.n_tokens == 2 or g > 0.0:
        f = g / (g + 1.0 - k) if g + 1.0 - k > 0.0 else 1.0
        rise[0] = (mid - out) * f * f / g * k if g > 0.0 else 0.0
    return mid * f + out * (1.0 - f)


cdef double _slope_by_quotes(
    const crypto_state *s, int i, int j, const u256 *amount,
) noexcept nogil:
    """d(output) / d(input) from two quotes nearby."""
    cdef pool_quote more, less
    cdef u256 step, x
    u256_shr(&step, amount, 13)
    u256_add_u64(&step, &step, 1)
    if (
        u256_add(&x, amount, &step)
        or crypto_quote(s, i, j, True, &x, &more) != QUOTE_OK
        or u256_sub(&x, amount, &step)
        or crypto_quote(s, i, j, True, &x, &less) != QUOTE_OK
        or u256_sub(&x, &more.amount_out, &less.amount_out)
    ):
        return 0.0
    return u256_to_double(&x) / (2.0 * u256_to_double(&step))


cdef double crypto_slope(
    const crypto_state *s, int i, int j, const u256 *amount_in, const u256 *amount_out,
    double *fee_at, double *fee_rise,
) noexcept nogil:
    """d(output) / d(input) at the end of a swap: (dy (1 - fee))' with the fee where it ends.

    fee_at receives that fee before the contract rounds it, 1e-10, fee_rise its own slope.
    """
    cdef double x[3]
    cdef double start, got, last, fee = 0.0, rise = 0.0, total = 0.0, product = 1.0
    cdef double d = u256_to_double(&s.d), g = u256_to_double(&s.gamma) / 1e18, m, common, spread
    cdef double slope
    cdef int k, n = s.n_tokens
    fee_at[0] = fee_rise[0] = 0.0
    if s.ramping:  # its invariant is not s.d
        return _slope_by_quotes(s, i, j, amount_in)
    for k in range(n):
        x[k] = u256_to_double(&s.balance[k]) * _unit(s, k)
    start = x[j]
    x[i] += u256_to_double(amount_in) * _unit(s, i)
    got = u256_to_double(amount_out) * _unit(s, j)
    x[j] = start - got
    for k in range(FEE_STEPS):
        last = x[j]
        if not (last > 0.0 and x[i] > 0.0 and fee < 1.0):
            return 0.0
        fee = _fee_at(s, x, &rise)
        x[j] = start - got / (1.0 - fee)
        if fabs(x[j] - last) <= 1e-14 * start:
            break
    for k in range(n):
        total += x[k]
        product *= x[k] * n / d
    if not (x[j] > 0.0 and 0.0 < product < INFINITY):
        return 0.0
    m = 1.0 - product
    common = u256_to_double(&s.amp) / CRYPTO_A_MULTIPLIER * g * g * product
    spread = (g + m) * (g + m * (3.0 - 2.0 * m)) * d
    slope = (common + spread / x[i]) / (common + spread / x[j])
    rise *= 1.0 / x[i] - n / total - slope * (1.0 / x[j] - n / total)
    fee_at[0] = fee * 1e10
    fee_rise[0] = rise * 1e10 * _unit(s, i)
    slope = (slope * (1.0 - fee) - (start - x[j]) * rise) * (_unit(s, i) / _unit(s, j))
    return slope if 0.0 < slope < INFINITY else 0.0


cdef double crypto_price_bound(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil:
    """No swap pays more than this per token in: the price with the lowest fee there is."""
    cdef double x[3]
    cdef double unused, kept
    cdef double lowest = fmin(u256_to_double(&s.mid_fee), u256_to_double(&s.out_fee)) / 1e10
    cdef double price = crypto_marginal_price(s, token_in, token_out)
    cdef int k
    for k in range(s.n_tokens):
        x[k] = u256_to_double(&s.balance[k]) * _unit(s, k)
    kept = 1.0 - _fee_at(s, x, &unused)
    return price / kept * (1.0 - lowest) if kept > 0.0 else INFINITY


cdef bint crypto_price_can_rise(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil:
    """Whether the fee falls with a swap's size at first: it takes the pool towards balance."""
    return u256_lt(&s.mid_fee, &s.out_fee) and (
        u256_to_double(&s.balance[token_in]) * _unit(s, token_in)
        < u256_to_double(&s.balance[token_out]) * _unit(s, token_out)
    )


cdef int crypto_quote(
    const crypto_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why `exchange` would revert; q is then undefined.

    amount_out can be 0: the contract takes such a swap where the caller accepts it.
    """
    cdef crypto_state after
    cdef u256 x[3]
    cdef int status
    if not exact_in:
        return QUOTE_UNSUPPORTED
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    if u256_is_zero(&s.d):
        return QUOTE_NO_LIQUIDITY
    after = s[0]
    status = _swap(s, token_in, token_out, amount, &q.amount_out, &after, x)
    if status != QUOTE_OK:
        return status
    q.amount_in = amount[0]
    q.after.balances.balance_in = after.balance[token_in]
    q.after.balances.balance_out = after.balance[token_out]
    q.after.balances.d = after.d
    q.price_after = _price(&after, x, token_in, token_out)
    return QUOTE_OK


cdef void crypto_apply_after(
    crypto_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q describes, virtual_price with it."""
    cdef int bad = 0
    s.balance[token_in] = q.after.balances.balance_in
    s.balance[token_out] = q.after.balances.balance_out
    s.d = q.after.balances.d
    if _share_price_known(s):
        s.virtual_price = _share_price(s, &s.d, &bad)


cdef int crypto_load(pool_state *state, object fields, str where) except -1:
    """Fills state.crypto by state.kind from mevfast-vectors/1; DataError names a wrong field.

    Optional, beside the recorded fields: `version` (of twocrypto, default "v2.0.0"), `ramping`
    (future_A_gamma_time lies ahead: default false), `total_supply` and `virtual_price` (default
    unknown). `price_scale` of two coins may be a plain integer.
    """
    cdef crypto_state *s = &state.crypto
    cdef int n = 3 if state.kind == POOL_CURVE_TRICRYPTO_NG else 2
    s.n_tokens = n
    u256_fields(s.balance, fields, "balances", where, n, 0, _UINT256_MAX)
    u256_fields(s.precision, fields, "precisions", where, n, 1, _WAD)
    if n == 2 and not isinstance(fields.get("price_scale", []), list | tuple):
        u256_field(s.price_scale, fields, "price_scale", where, 1, _PRICE_SCALE_MAX)
    else:
        u256_fields(s.price_scale, fields, "price_scale", where, n - 1, 1, _PRICE_SCALE_MAX)
    u256_field(&s.amp, fields, "amp", where, 0, _UINT128_MAX)
    u256_field(&s.gamma, fields, "gamma", where, 0, _UINT128_MAX)
    u256_field(&s.d, fields, "d", where, 0, _UINT256_MAX)
    u256_field(&s.mid_fee, fields, "mid_fee", where, 0, _MAX_FEE)
    u256_field(&s.out_fee, fields, "out_fee", where, 0, _MAX_FEE)
    u256_field(&s.fee_gamma, fields, "fee_gamma", where, 0, _WAD)
    u256_field(&s.total_supply, fields, "total_supply", where, 0, _UINT256_MAX, 0)
    u256_field(&s.virtual_price, fields, "virtual_price", where, 0, _UINT256_MAX, 0)
    s.version = _VERSIONS.index(choice_field(fields, "version", where, _VERSIONS, _VERSIONS[0]))
    s.ramping = choice_field(fields, "ramping", where, (False, True), False)
    return 0


cdef object crypto_fields(const pool_state *state):
    """The fields that crypto_load takes."""
    cdef const crypto_state *s = &state.crypto
    cdef int k, n = s.n_tokens
    fields = {
        "amp": u256_to_pyint(&s.amp),
        "gamma": u256_to_pyint(&s.gamma),
        "d": u256_to_pyint(&s.d),
        "price_scale": [u256_to_pyint(&s.price_scale[k]) for k in range(n - 1)],
        "precisions": [u256_to_pyint(&s.precision[k]) for k in range(n)],
        "balances": [u256_to_pyint(&s.balance[k]) for k in range(n)],
        "mid_fee": u256_to_pyint(&s.mid_fee),
        "out_fee": u256_to_pyint(&s.out_fee),
        "fee_gamma": u256_to_pyint(&s.fee_gamma),
        "total_supply": u256_to_pyint(&s.total_supply),
        "virtual_price": u256_to_pyint(&s.virtual_price),
        "ramping": s.ramping != 0,
    }
    if n == 2:
        fields["version"] = _VERSIONS[s.version]
    return fields


cdef object crypto_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
):
    """The fields that the quoted swap moves, as they are after it."""
    cdef int k
    balances = [u256_to_pyint(&state.crypto.balance[k]) for k in range(state.crypto.n_tokens)]
    balances[token_in] = u256_to_pyint(&q.after.balances.balance_in)
    balances[token_out] = u256_to_pyint(&q.after.balances.balance_out)
    return {"balances": balances, "d": u256_to_pyint(&q.after.balances.d)}
