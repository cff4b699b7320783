"""Curve StableSwap pools: what `exchange` takes and pays. Legacy pools in three shapes, and NG.

Owns exchange's arithmetic around get_D and get_y (stableswap_math.h) and the balances after it;
must not know tokens, tables or other kernels. Shapes, by their sources:

  3pool    StableSwap3Pool; also ren, sbtc and hbtc. A without precision, rates constant
           (cTokens: as stored), the fee before the conversion to units.
  y_pool   StableSwapBUSD, Y, USDT, Compound, SUSD: lending rates, no unit kept back, get_D adds 1
           to its divisors, and balances are booked out of 18 decimals. SwapTemplateY and PAX are
           neither this nor 3pool.
  plain    SwapTemplateBase and its pools, Eth and Meta included (exchange, the base pool's virtual
           price being a rate): A_PRECISION 100, Newton must converge.
  NG       CurveStableSwapNG: the same, a fee that grows off the peg, one rounding of get_D less,
           and oracles that must not overflow.

Input is what the pool receives: of a token that takes a fee on transfer (USDT could), pass what
arrives. Exact output is unsupported: no pool has such an exchange, NG's get_dx only estimates.
A pool that pays nothing for dust takes it all the same: a quote with 0 out, as the contract.
"""

from libc.math cimport INFINITY, fabs
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mevfast._math cimport u256_to_pyint
from mevfast.types cimport (
    CURVE_3POOL,
    CURVE_NG,
    CURVE_PLAIN,
    CURVE_Y_POOL,
    POOL_CURVE_STABLE_NG,
    POOL_MAX_TOKENS,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_UNSUPPORTED,
    QUOTE_ZERO_AMOUNT,
    curve_state,
    pool_quote,
    pool_state,
)
from mevfast.u256 cimport (
    u256,
    u256_add,
    u256_div,
    u256_from_u64,
    u256_is_zero,
    u256_lo64,
    u256_mul,
    u256_mul_u64,
    u256_shr,
    u256_sub,
    u256_sub_u64,
    u256_to_double,
)

from mevfast._fields cimport u256_field, u256_fields

from mevfast._fields import choice_field, list_field


cdef extern from "stableswap_math.h" nogil:
    const uint64_t STABLE_PRECISION
    const uint64_t STABLE_FEE_DENOMINATOR

    enum:
        STABLE_BY_NX
        STABLE_BY_NX_PLUS_1
        STABLE_BY_X_LAST_NN
        STABLE_DIVISION_BY_ZERO

    ctypedef struct stable_form:
        uint64_t ann
        uint32_t a_precision
        uint8_t n
        uint8_t product
        uint8_t converges

    int stable_mul_div(u256 *r, const u256 *x, const u256 *y, const u256 *d) noexcept
    int stable_div_u64(u256 *r, const u256 *x, uint64_t d) noexcept
    int stable_get_d(u256 *d, const u256 *xp, const stable_form *f) noexcept
    int stable_get_y(
        u256 *y, int i, int j, const u256 *x, const u256 *xp, const u256 *d, const stable_form *f,
    ) noexcept
    bint stable_prices_fit(const double *x, double d, double ann, int n) noexcept
    int stable_check_prices(const u256 *xp, const u256 *d, const stable_form *f) noexcept
    double stable_refine_d(const double *x, double d, double ann, int n) noexcept
    double stable_slope(const double *x, double d, double ann, int n, int i, int j) noexcept


cdef enum:
    A_PRECISION = 100
    FEE_STEPS = 8  # of the fee at the end of a swap: each takes a fee's size off the error

_SHAPES = ("3pool", "y_pool", "plain")  # by enum curve_form
_HIGHEST_AMP = (1 << 56) - 1  # MAX_A * A_PRECISION has 27 bits; 8 * 8 * amp must fit 64
_ADMIN_FEE = 5_000_000_000  # NG's constant; legacy pools are configured, most of them with it


cdef inline int _refusal(int stable_status) noexcept nogil:
    return QUOTE_NO_LIQUIDITY if stable_status == STABLE_DIVISION_BY_ZERO else QUOTE_OVERFLOW


cdef inline void _form(stable_form *f, const curve_state *s) noexcept nogil:
    """What tells the four contracts' get_D and get_y apart."""
    f.n = s.n_tokens
    f.ann = u256_lo64(&s.amp) * s.n_tokens
    f.a_precision = 1 if s.form == CURVE_3POOL or s.form == CURVE_Y_POOL else A_PRECISION
    f.converges = f.a_precision != 1
    f.product = STABLE_BY_NX
    if s.form == CURVE_Y_POOL:
        f.product = STABLE_BY_NX_PLUS_1
    elif s.form == CURVE_NG:
        f.product = STABLE_BY_X_LAST_NN


cdef inline int _to_18_decimals(u256 *r, const u256 *amount, const u256 *rate) noexcept nogil:
    """*r = amount * rate / 1e18."""
    return u256_mul(r, amount, rate) or stable_div_u64(r, r, STABLE_PRECISION)


cdef inline int _to_units(u256 *r, const u256 *amount, const u256 *rate) noexcept nogil:
    """*r = amount * 1e18 / rate."""
    return u256_mul_u64(r, amount, STABLE_PRECISION) or u256_div(r, r, rate)


cdef inline int _share(u256 *r, const u256 *amount, const u256 *fee) noexcept nogil:
    """*r = amount * fee / 1e10."""
    return u256_mul(r, amount, fee) or stable_div_u64(r, r, STABLE_FEE_DENOMINATOR)


cdef void _derive(curve_state *s) noexcept nogil:
    """xp, d and status from the other fields."""
    cdef stable_form f
    cdef int k, status
    _form(&f, s)
    s.status = QUOTE_OVERFLOW
    for k in range(s.n_tokens):
        if _to_18_decimals(&s.xp[k], &s.balance[k], &s.rate[k]):
            return
    status = stable_get_d(&s.d, s.xp, &f)
    if status:
        s.status = _refusal(status)
    elif u256_is_zero(&s.d):
        s.status = QUOTE_NO_LIQUIDITY
    else:
        s.status = QUOTE_OK


# ---- prices, in doubles ----


cdef inline double _kept(const curve_state *s, double x_in, double x_out) noexcept nogil:
    """What the fee of an infinitesimal swap leaves of 1."""
    cdef double fee = u256_to_double(&s.fee), one = <double>STABLE_FEE_DENOMINATOR
    cdef double multiplier, total
    if s.form == CURVE_NG:
        multiplier = u256_to_double(&s.offpeg_fee_multiplier)
        if multiplier > one:
            total = x_in + x_out
            fee *= multiplier / ((multiplier - one) * 4.0 * (x_in / total) * (x_out / total) + one)
    return 1.0 - fee / one


cdef inline double _price(
    const curve_state *s, const stable_form *f, const double *x, double d, int i, int j,
) noexcept nogil:
    cdef double price = stable_slope(x, d, <double>f.ann / f.a_precision, f.n, i, j)
    price *= _kept(s, x[i], x[j]) * (u256_to_double(&s.rate[i]) / u256_to_double(&s.rate[j]))
    return price if 0.0 < price < INFINITY else 0.0  # beyond doubles, or a fee above all


cdef double curve_marginal_price(
    const curve_state *s, int token_in, int token_out,
) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    cdef stable_form f
    cdef double x[POOL_MAX_TOKENS]
    cdef int k
    if s.status != QUOTE_OK:
        return 0.0
    for k in range(s.n_tokens):
        x[k] = u256_to_double(&s.xp[k])
        if x[k] == 0.0:
            return 0.0
    _form(&f, s)
    return _price(s, &f, x, u256_to_double(&s.d), token_in, token_out)


cdef double _price_after(
    const curve_state *s, const stable_form *f, double *x, double d, int i, int j,
    const pool_quote *q,
) noexcept nogil:
    """The marginal price with the balances of q; x holds the others. 0.0 where one is empty."""
    cdef int k
    x[i] = u256_to_double(&q.after.balances.balance_in) * u256_to_double(&s.rate[i]) * 1e-18
    x[j] = u256_to_double(&q.after.balances.balance_out) * u256_to_double(&s.rate[j]) * 1e-18
    for k in range(f.n):
        if x[k] == 0.0:
            return 0.0
    d = stable_refine_d(x, d, <double>f.ann / f.a_precision, f.n)
    return _price(s, f, x, d, i, j)


cdef bint _fee_moves(const curve_state *s) noexcept nogil:
    """Whether the fee grows off the peg: offpeg_fee_multiplier above 1."""
    return s.form == CURVE_NG and \
        u256_to_double(&s.offpeg_fee_multiplier) > <double>STABLE_FEE_DENOMINATOR


cdef double curve_slope(
    const curve_state *s, int i, int j, const u256 *amount_in, const u256 *amount_out,
    double *fee_at, double *fee_rise,
) noexcept nogil:
    """d(output) / d(input) at the end of a swap.

    The curve's slope where the swap ends before the fee, with the fee taken off; NG's fee changes
    with the input too: (dy (1 - fee))' = dy' (1 - fee) - dy fee'. fee_at receives that fee before
    the contract rounds it, 1e-10, fee_rise its own slope.
    """
    cdef stable_form f
    cdef double x[POOL_MAX_TOKENS]
    cdef double one = <double>STABLE_FEE_DENOMINATOR, scale = u256_to_double(&s.rate[j]) * 1e-18
    cdef double x_in, x_out, got, fee, rise = 0.0, m, u, v, spread, last, slope
    cdef int k
    fee_at[0] = fee_rise[0] = 0.0
    if s.status != QUOTE_OK:
        return 0.0
    for k in range(s.n_tokens):
        x[k] = u256_to_double(&s.xp[k])
    _form(&f, s)
    x_in, x_out = x[i], x[j]
    x[i] += u256_to_double(amount_in) * u256_to_double(&s.rate[i]) * 1e-18
    got = u256_to_double(amount_out) * scale
    fee = u256_to_double(&s.fee) / one
    x[j] = x_out - got / (1.0 - fee)
    m = u = v = spread = 1.0
    if _fee_moves(s):
        m = u256_to_double(&s.offpeg_fee_multiplier) / one
        u = 0.5 * (x_in + x[i])
        for k in range(FEE_STEPS):
            last = x[j]
            v = 0.5 * (x_out + last)
            spread = (m - 1.0) * 4.0 * (u / (u + v)) * (v / (u + v)) + 1.0
            x[j] = x_out - got / (1.0 - m * fee / spread)
            if fabs(x[j] - last) <= 1e-14 * x_out:
                break
        fee *= m / spread
        rise = -fee * (m - 1.0) / spread * 2.0 * ((v - u) / (u + v)) / ((u + v) * (u + v))
    for k in range(s.n_tokens):
        if not x[k] > 0.0:
            return 0.0
    slope = stable_slope(x, u256_to_double(&s.d), <double>f.ann / f.a_precision, f.n, i, j)
    rise *= v + u * slope
    fee_at[0] = fee * one
    fee_rise[0] = rise * one * u256_to_double(&s.rate[i]) * 1e-18
    slope = slope * (1.0 - fee) - (x_out - x[j]) * rise
    slope *= u256_to_double(&s.rate[i]) / u256_to_double(&s.rate[j])
    return slope if 0.0 < slope < INFINITY else 0.0


cdef double curve_price_bound(
    const curve_state *s, int token_in, int token_out,
) noexcept nogil:
    """No swap pays more than this per token in: the price with the lowest fee there is."""
    cdef double price = curve_marginal_price(s, token_in, token_out), kept
    if not _fee_moves(s):
        return price
    kept = _kept(s, u256_to_double(&s.xp[token_in]), u256_to_double(&s.xp[token_out]))
    return price / kept * (1.0 - u256_to_double(&s.fee) / <double>STABLE_FEE_DENOMINATOR) \
        if kept > 0.0 else INFINITY


cdef bint curve_price_can_rise(
    const curve_state *s, int token_in, int token_out,
) noexcept nogil:
    """Whether the fee falls with a swap's size at first: it takes the pool towards the peg."""
    return _fee_moves(s) and \
        u256_to_double(&s.xp[token_in]) < u256_to_double(&s.xp[token_out])


# ---- exchange ----


cdef int _dynamic_fee(
    u256 *fee, const curve_state *s, const u256 *x, const u256 *y, int i, int j,
) noexcept nogil:
    """*fee = NG's fee for a swap that moves xp[i] to x and xp[j] to y: at the averages."""
    cdef u256 xpi, xpj, total, t, denominator
    fee[0] = s.fee
    u256_from_u64(&denominator, STABLE_FEE_DENOMINATOR)
    if u256_add(&xpi, &s.xp[i], x) or u256_add(&xpj, &s.xp[j], y):
        return QUOTE_OVERFLOW
    if u256_sub(&t, &s.offpeg_fee_multiplier, &denominator) or u256_is_zero(&t):
        return QUOTE_OK  # multiplier <= 1
    u256_shr(&xpi, &xpi, 1)
    u256_shr(&xpj, &xpj, 1)
    if (
        u256_add(&total, &xpi, &xpj)
        or u256_mul(&total, &total, &total)
        or u256_mul_u64(&t, &t, 4)
        or u256_mul(&t, &t, &xpi)
        or u256_mul(&t, &t, &xpj)
    ):
        return QUOTE_OVERFLOW
    if u256_div(&t, &t, &total):
        return QUOTE_NO_LIQUIDITY
    u256_add(&denominator, &denominator, &t)
    if u256_mul(fee, &s.offpeg_fee_multiplier, &s.fee):
        return QUOTE_OVERFLOW  # cannot be: 128 + 34 bits
    u256_div(fee, fee, &denominator)
    return QUOTE_OK


cdef int _pay(
    const curve_state *s, int i, int j, const u256 *x, const u256 *y, const u256 *dx,
    pool_quote *q,
) noexcept nogil:
    """Fills q's output and balances for a swap that moves xp[i] to x and xp[j] to y."""
    cdef u256 dy, fee, dy_fee, admin_fee, kept
    cdef int status
    fee = s.fee
    if u256_sub(&dy, &s.xp[j], y) or (s.form != CURVE_Y_POOL and u256_sub_u64(&dy, &dy, 1)):
        return QUOTE_NO_OUTPUT
    if s.form == CURVE_NG:
        status = _dynamic_fee(&fee, s, x, y, i, j)
        if status != QUOTE_OK:
            return status
    if _share(&dy_fee, &dy, &fee) or _share(&admin_fee, &dy_fee, &s.admin_fee):
        return QUOTE_OVERFLOW
    if u256_sub(&kept, &dy, &dy_fee):
        return QUOTE_NO_OUTPUT
    if _to_units(&q.amount_out, &kept, &s.rate[j]):
        return QUOTE_OVERFLOW
    if s.form == CURVE_Y_POOL:
        return _book_from_xp(s, i, j, x, y, &dy_fee, &admin_fee, q)
    if (
        _to_units(&admin_fee, &admin_fee, &s.rate[j])
        or u256_add(&q.after.balances.balance_in, &s.balance[i], dx)
        or u256_sub(&q.after.balances.balance_out, &s.balance[j], &q.amount_out)
        or u256_sub(&q.after.balances.balance_out, &q.after.balances.balance_out, &admin_fee)
    ):
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int _book_from_xp(
    const curve_state *s, int i, int j, const u256 *x, const u256 *y, const u256 *dy_fee,
    const u256 *admin_fee, pool_quote *q,
) noexcept nogil:
    """The balances of a y pool: x, and y with the fee that stays, converted back to units."""
    cdef u256 left
    u256_sub(&left, dy_fee, admin_fee)
    if (
        u256_add(&left, &left, y)
        or _to_units(&q.after.balances.balance_in, x, &s.rate[i])
        or _to_units(&q.after.balances.balance_out, &left, &s.rate[j])
    ):
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int _update_oracles(
    const curve_state *s, const stable_form *f, double *x_after, double d, int i, int j,
    const u256 *x, const u256 *y,
) noexcept nogil:
    """Refuses where NG's oracles revert on the balances after the swap."""
    cdef u256 xp[POOL_MAX_TOKENS]
    cdef int k, status
    x_after[i] = u256_to_double(x)
    x_after[j] = u256_to_double(y)
    if stable_prices_fit(x_after, d, <double>f.ann / f.a_precision, f.n):
        return QUOTE_OK
    for k in range(f.n):
        xp[k] = s.xp[k]
    xp[i] = x[0]
    xp[j] = y[0]
    status = stable_check_prices(xp, &s.d, f)
    return QUOTE_OK if status == 0 else _refusal(status)


cdef int curve_quote(
    const curve_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the contract would revert."""
    cdef stable_form f
    cdef u256 x, y
    cdef double x_after[POOL_MAX_TOKENS]
    cdef double d
    cdef int k, status
    if not exact_in:
        return QUOTE_UNSUPPORTED
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    if s.status != QUOTE_OK:
        return s.status
    _form(&f, s)
    if (
        _to_18_decimals(&x, amount, &s.rate[token_in])
        or u256_add(&x, &x, &s.xp[token_in])
    ):
        return QUOTE_OVERFLOW
    status = stable_get_y(&y, token_in, token_out, &x, s.xp, &s.d, &f)
    if status:
        return _refusal(status)
    status = _pay(s, token_in, token_out, &x, &y, amount, q)
    if status != QUOTE_OK:
        return status
    d = u256_to_double(&s.d)
    for k in range(f.n):
        x_after[k] = u256_to_double(&s.xp[k])
    if s.form == CURVE_NG:
        status = _update_oracles(s, &f, x_after, d, token_in, token_out, &x, &y)
        if status != QUOTE_OK:
            return status
    q.amount_in = amount[0]
    q.price_after = _price_after(s, &f, x_after, d, token_in, token_out, q)
    return QUOTE_OK


cdef void curve_apply_after(
    curve_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q describes."""
    s.balance[token_in] = q.after.balances.balance_in
    s.balance[token_out] = q.after.balances.balance_out
    _derive(s)


# ---- fields ----


cdef int _load_amp(curve_state *s, object fields, str where) except -1:
    """A, or where the contract holds more of it, A * 100: by `amp_precise`, or 100 * `amp`."""
    if s.form == CURVE_NG or (s.form == CURVE_PLAIN and "amp_precise" in fields):
        return u256_field(&s.amp, fields, "amp_precise", where, 1, _HIGHEST_AMP)
    if s.form != CURVE_PLAIN:
        return u256_field(&s.amp, fields, "amp", where, 1, _HIGHEST_AMP)
    u256_field(&s.amp, fields, "amp", where, 1, _HIGHEST_AMP // A_PRECISION)
    u256_mul_u64(&s.amp, &s.amp, A_PRECISION)
    return 0


cdef int curve_load(pool_state *state, object fields, str where) except -1:
    """Fills state.curve by state.kind from the fields of mevfast-vectors/1; DataError names a wrong one.

    Legacy pools: `shape` ("3pool" where absent); plain ones take `amp_precise` (A * 100) or `amp`.
    `admin_fee` is half of the fee where absent: amounts do not depend on it, balances after do.
    """
    cdef curve_state *s = &state.curve
    cdef object n = len(list_field(fields, "balances", where, 2, POOL_MAX_TOKENS))
    cdef object most = (1 << 256) - 1
    s.n_tokens = n
    s.form = CURVE_NG
    if state.kind != POOL_CURVE_STABLE_NG:
        s.form = _SHAPES.index(choice_field(fields, "shape", where, _SHAPES, "3pool"))
    _load_amp(s, fields, where)
    u256_fields(s.balance, fields, "balances", where, n, 0, most)
    u256_fields(s.rate, fields, "rates", where, n, 1, most)
    u256_field(&s.fee, fields, "fee", where, 0, STABLE_FEE_DENOMINATOR)
    u256_field(&s.admin_fee, fields, "admin_fee", where, 0, STABLE_FEE_DENOMINATOR, _ADMIN_FEE)
    u256_from_u64(&s.offpeg_fee_multiplier, 0)
    if s.form == CURVE_NG:
        u256_field(
            &s.offpeg_fee_multiplier, fields, "offpeg_fee_multiplier", where, 0, (1 << 128) - 1
        )
    _derive(s)
    return 0


cdef object _integers(const u256 *x, int n):
    return [u256_to_pyint(&x[k]) for k in range(n)]


cdef object curve_fields(const pool_state *state):
    """The fields that curve_load takes."""
    cdef const curve_state *s = &state.curve
    fields = {
        "balances": _integers(s.balance, s.n_tokens),
        "rates": _integers(s.rate, s.n_tokens),
        "fee": u256_to_pyint(&s.fee),
        "admin_fee": u256_to_pyint(&s.admin_fee),
    }
    precise = s.form == CURVE_PLAIN or s.form == CURVE_NG
    fields["amp_precise" if precise else "amp"] = u256_to_pyint(&s.amp)
    if s.form == CURVE_NG:
        fields["offpeg_fee_multiplier"] = u256_to_pyint(&s.offpeg_fee_multiplier)
    else:
        fields["shape"] = _SHAPES[s.form]
    return fields


cdef object curve_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
):
    """The fields that the quoted swap moves, as they are after it."""
    balances = _integers(state.curve.balance, state.curve.n_tokens)
    balances[token_in] = u256_to_pyint(&q.after.balances.balance_in)
    balances[token_out] = u256_to_pyint(&q.after.balances.balance_out)
    return {"balances": balances}
