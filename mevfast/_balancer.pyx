"""Balancer V2 pools, weighted and composable stable: what `Vault.swap` takes and pays.

Owns the fee, the scaling and the Vault's limits around the maths of balancer_math.h; must not know
addresses, tables or other kernels. A Balancer swap that pays nothing does not revert: the quote of
such an input is an output of 0. Swaps of a pool's own token are joins and exits: not quoted.
Balances are whole ones: what an asset manager holds of them would not be paid.
"""

from mevfast._math cimport u256_to_pyint
from mevfast.types cimport (
    BALANCER_STABLE,
    BALANCER_STABLE_ROUND_UP,
    BALANCER_WEIGHTED,
    POOL_BALANCER_WEIGHTED,
    POOL_MAX_TOKENS,
    QUOTE_NO_LIQUIDITY,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_UNSUPPORTED,
    QUOTE_ZERO_AMOUNT,
    balancer_state,
    pool_quote,
    pool_state,
)
from mevfast.u256 cimport (
    u256,
    u256_add,
    u256_bit_length,
    u256_is_zero,
    u256_mul_u64,
    u256_sub,
    u256_to_double,
)

from mevfast._fields cimport u256_field, u256_fields

from mevfast._fields import choice_field, integer_field, list_field

cdef extern from "balancer_math.h" nogil:
    enum:
        STABLE_AMP_PRECISION
    int fixed_mul_up(u256 *r, const u256 *x, const u256 *y) noexcept
    int fixed_div_up(u256 *r, const u256 *x, const u256 *y) noexcept
    void fixed_complement(u256 *r, const u256 *x) noexcept
    int balancer_upscale(u256 *r, const u256 *amount, const u256 *factor) noexcept
    int balancer_downscale_down(u256 *r, const u256 *amount, const u256 *factor) noexcept
    int balancer_downscale_up(u256 *r, const u256 *amount, const u256 *factor) noexcept
    int weighted_out_given_in(
        u256 *amount_out, const u256 *balance_in, const u256 *weight_in, const u256 *balance_out,
        const u256 *weight_out, const u256 *amount_in, int shortcuts,
    ) noexcept
    int weighted_in_given_out(
        u256 *amount_in, const u256 *balance_in, const u256 *weight_in, const u256 *balance_out,
        const u256 *weight_out, const u256 *amount_out, int shortcuts,
    ) noexcept
    int stable_invariant(u256 *d, const u256 *ann, const u256 *balances, int n) noexcept
    int stable_invariant_round_up(u256 *d, const u256 *ann, const u256 *balances, int n) noexcept
    int stable_out_given_in(
        u256 *amount_out, const u256 *ann, u256 *balances, int n, int i, int j,
        const u256 *amount_in, const u256 *d,
    ) noexcept
    int stable_in_given_out(
        u256 *amount_in, const u256 *ann, u256 *balances, int n, int i, int j,
        const u256 *amount_out, const u256 *d,
    ) noexcept

cdef enum:
    BALANCE_BITS = 112  # the Vault keeps balances as uint112 and reverts above
    PRICE_STEPS = 64    # of Newton in doubles; it needs about six

cdef double ONE = 1e18

_UINT112_MAX = (1 << 112) - 1
_UINT256_MAX = (1 << 256) - 1


# ---- marginal prices ----

cdef double _weighted_price(
    const balancer_state *s, int i, int j, double balance_in, double balance_out,
) noexcept nogil:
    """(balance_out / weight_out) / (balance_in / weight_in): the scaling cancels out."""
    return (
        balance_out * u256_to_double(&s.weight[i])
        / (balance_in * u256_to_double(&s.weight[j]))
    )


cdef double _stable_price(
    const balancer_state *s, int i, int j, double balance_in, double balance_out,
) noexcept nogil:
    """Of A n S + D = A n D + D**(n + 1) / (n**n P): the ratio of its two derivatives.

    D comes from Newton's method on the balances given; the contract's own would cost integers.
    """
    cdef double x[8]  # scaled balances, then 1 / (n x)
    cdef double total = 0.0, d, d_p, last, ann
    cdef int k, step, n = 0
    for k in range(s.n_tokens):
        if k == s.bpt_index:
            continue
        x[n] = balance_in if k == i else balance_out if k == j else u256_to_double(&s.balance[k])
        x[n] = x[n] * u256_to_double(&s.scaling_factor[k]) / ONE
        if x[n] <= 0.0:
            return 0.0
        total += x[n]
        n += 1
    for k in range(n):
        x[k] = 1.0 / (x[k] * n)
    ann = u256_to_double(&s.amp) * n / STABLE_AMP_PRECISION
    d = total
    d_p = d
    for step in range(PRICE_STEPS):
        d_p = d
        for k in range(n):
            d_p *= d * x[k]
        last = d
        d = (ann * total + d_p * n) * d / ((ann - 1.0) * d + (n + 1) * d_p)
        if -1e-15 * d <= d - last <= 1e-15 * d:
            break
    cdef double scale_in = u256_to_double(&s.scaling_factor[i])
    cdef double scale_out = u256_to_double(&s.scaling_factor[j])
    return (
        (ann + d_p / (balance_in * scale_in / ONE)) / (ann + d_p / (balance_out * scale_out / ONE))
        * (scale_in / scale_out)
    )


cdef double _price(
    const balancer_state *s, int i, int j, const u256 *balance_in, const u256 *balance_out,
) noexcept nogil:
    """The marginal price with these two balances in place of the state's."""
    if (i == s.bpt_index or j == s.bpt_index) and s.form != BALANCER_WEIGHTED:
        return 0.0
    if u256_is_zero(balance_in) or u256_is_zero(balance_out):
        return 0.0
    cdef double reserve_in = u256_to_double(balance_in), reserve_out = u256_to_double(balance_out)
    cdef double kept = 1.0 - u256_to_double(&s.swap_fee) / ONE
    if s.form == BALANCER_WEIGHTED:
        return kept * _weighted_price(s, i, j, reserve_in, reserve_out)
    cdef double price = kept * _stable_price(s, i, j, reserve_in, reserve_out)
    return price if price > 0.0 else 0.0  # not a number where balances differ beyond doubles


cdef double balancer_marginal_price(
    const balancer_state *s, int token_in, int token_out,
) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    return _price(s, token_in, token_out, &s.balance[token_in], &s.balance[token_out])


cdef double balancer_slope(
    const balancer_state *s, int i, int j, const u256 *amount_in, const u256 *amount_out,
) noexcept nogil:
    """d(output) / d(input) at the end of a swap: its fee, which stays in the pool, left out."""
    cdef double kept = 1.0 - u256_to_double(&s.swap_fee) / ONE
    cdef double reserve_in = u256_to_double(&s.balance[i]) + kept * u256_to_double(amount_in)
    cdef double reserve_out = u256_to_double(&s.balance[j]) - u256_to_double(amount_out)
    cdef double price
    if not (reserve_in > 0.0 and reserve_out > 0.0):
        return 0.0
    if s.form == BALANCER_WEIGHTED:
        return kept * _weighted_price(s, i, j, reserve_in, reserve_out)
    if i == s.bpt_index or j == s.bpt_index:
        return 0.0
    price = kept * _stable_price(s, i, j, reserve_in, reserve_out)
    return price if price > 0.0 else 0.0


# ---- quotes ----

cdef int _weighted(
    const balancer_state *s, int i, int j, int exact_in, const u256 *amount, u256 *answer,
) noexcept nogil:
    """_onSwapGivenIn and _onSwapGivenOut of a weighted pool; `amount` and `answer` are scaled."""
    cdef u256 balance_in, balance_out
    cdef int status = balancer_upscale(&balance_in, &s.balance[i], &s.scaling_factor[i])
    if status == QUOTE_OK:
        status = balancer_upscale(&balance_out, &s.balance[j], &s.scaling_factor[j])
    if status != QUOTE_OK:
        return status
    if exact_in:
        return weighted_out_given_in(
            answer, &balance_in, &s.weight[i], &balance_out, &s.weight[j], amount, s.pow_shortcuts
        )
    return weighted_in_given_out(
        answer, &balance_in, &s.weight[i], &balance_out, &s.weight[j], amount, s.pow_shortcuts
    )


cdef int _stable(
    const balancer_state *s, int i, int j, int exact_in, const u256 *amount, u256 *answer,
) noexcept nogil:
    """_onRegularSwap of a stable pool: the same without the pool's own token."""
    cdef u256 balances[8]
    cdef u256 ann, d
    cdef int k, status, n = 0
    for k in range(s.n_tokens):
        if k == s.bpt_index:
            continue
        status = balancer_upscale(&balances[n], &s.balance[k], &s.scaling_factor[k])
        if status != QUOTE_OK:
            return status
        n += 1
    i -= i > s.bpt_index
    j -= j > s.bpt_index
    if u256_mul_u64(&ann, &s.amp, n):
        return QUOTE_OVERFLOW
    if s.form == BALANCER_STABLE_ROUND_UP:
        status = stable_invariant_round_up(&d, &ann, balances, n)
    else:
        status = stable_invariant(&d, &ann, balances, n)
    if status != QUOTE_OK:
        return status
    if exact_in:
        return stable_out_given_in(answer, &ann, balances, n, i, j, amount, &d)
    return stable_in_given_out(answer, &ann, balances, n, i, j, amount, &d)


cdef int _given_in(
    const balancer_state *s, int i, int j, const u256 *amount, u256 *amount_out,
) noexcept nogil:
    """The fee leaves the input before it is scaled; the output is rounded down."""
    cdef u256 fee, kept
    cdef int status = fixed_mul_up(&fee, amount, &s.swap_fee)
    if status != QUOTE_OK:
        return status
    u256_sub(&kept, amount, &fee)  # a fee below 1 never exceeds its amount
    status = balancer_upscale(&kept, &kept, &s.scaling_factor[i])
    if status != QUOTE_OK:
        return status
    if s.form == BALANCER_WEIGHTED:
        status = _weighted(s, i, j, True, &kept, amount_out)
    else:
        status = _stable(s, i, j, True, &kept, amount_out)
    if status != QUOTE_OK:
        return status
    return balancer_downscale_down(amount_out, amount_out, &s.scaling_factor[j])


cdef int _given_out(
    const balancer_state *s, int i, int j, const u256 *amount, u256 *amount_in,
) noexcept nogil:
    """The input is rounded up, and then the fee is added."""
    cdef u256 scaled, kept
    cdef int status = balancer_upscale(&scaled, amount, &s.scaling_factor[j])
    if status != QUOTE_OK:
        return status
    if s.form == BALANCER_WEIGHTED:
        status = _weighted(s, i, j, False, &scaled, amount_in)
    else:
        status = _stable(s, i, j, False, &scaled, amount_in)
    if status != QUOTE_OK:
        return status
    status = balancer_downscale_up(amount_in, amount_in, &s.scaling_factor[i])
    if status != QUOTE_OK:
        return status
    fixed_complement(&kept, &s.swap_fee)
    return fixed_div_up(amount_in, amount_in, &kept)


cdef int balancer_quote(
    const balancer_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the Vault or the pool would revert."""
    cdef u256 *after_in = &q.after.balances.balance_in
    cdef u256 *after_out = &q.after.balances.balance_out
    cdef int status
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    if s.form != BALANCER_WEIGHTED and (token_in == s.bpt_index or token_out == s.bpt_index):
        return QUOTE_UNSUPPORTED
    if exact_in:
        q.amount_in = amount[0]
        status = _given_in(s, token_in, token_out, amount, &q.amount_out)
    else:
        q.amount_out = amount[0]
        status = _given_out(s, token_in, token_out, amount, &q.amount_in)
    if status != QUOTE_OK:
        return status
    if u256_add(after_in, &s.balance[token_in], &q.amount_in):
        return QUOTE_OVERFLOW
    if u256_bit_length(after_in) > BALANCE_BITS:  # BAL#526
        return QUOTE_OVERFLOW
    if u256_sub(after_out, &s.balance[token_out], &q.amount_out):
        return QUOTE_NO_LIQUIDITY
    q.price_after = _price(s, token_in, token_out, after_in, after_out)
    return QUOTE_OK


cdef void balancer_apply_after(
    balancer_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q describes."""
    s.balance[token_in] = q.after.balances.balance_in
    s.balance[token_out] = q.after.balances.balance_out


# ---- fields ----

cdef int _load_stable(balancer_state *s, object fields, str where) except -1:
    """amp, and the two choices that tell old pools from composable ones."""
    integer_field(
        fields, "amp_precision", where, STABLE_AMP_PRECISION, STABLE_AMP_PRECISION,
        STABLE_AMP_PRECISION,
    )
    u256_field(&s.amp, fields, "amp", where, STABLE_AMP_PRECISION, (1 << 64) - 1)
    u256_field(&s.amp_precision, fields, "amp_precision", where, 0, STABLE_AMP_PRECISION,
               STABLE_AMP_PRECISION)
    s.bpt_index = s.n_tokens
    if "bpt_index" in fields:
        s.bpt_index = integer_field(fields, "bpt_index", where, 0, s.n_tokens - 1)
        if s.n_tokens < 3:
            list_field(fields, "balances", where, 3, POOL_MAX_TOKENS)
    round_up = choice_field(fields, "invariant_round_up", where, (False, True), False)
    s.form = BALANCER_STABLE_ROUND_UP if round_up else BALANCER_STABLE
    return 0


cdef int balancer_load(pool_state *state, object fields, str where) except -1:
    """Fills state.balancer by state.kind from the fields of mevfast-vectors/1; DataError names a
    wrong one.

    Optional: `pow_shortcuts` (true; false for weighted pools before January 2022), `bpt_index` (no
    own token among the tokens), `invariant_round_up` (false; true for stable and meta-stable pools
    before June 2022), `amp_precision` (1000).
    """
    cdef balancer_state *s = &state.balancer
    s.n_tokens = len(list_field(fields, "balances", where, 2, POOL_MAX_TOKENS))
    n = s.n_tokens
    u256_fields(s.balance, fields, "balances", where, n, 0, _UINT112_MAX)
    u256_fields(s.scaling_factor, fields, "scaling_factors", where, n, 1, _UINT256_MAX)
    u256_field(&s.swap_fee, fields, "swap_fee", where, 0, 10**18 - 1)
    if state.kind != POOL_BALANCER_WEIGHTED:
        return _load_stable(s, fields, where)
    u256_fields(s.weight, fields, "weights", where, n, 1, 10**18)
    s.pow_shortcuts = choice_field(fields, "pow_shortcuts", where, (True, False), True)
    s.form = BALANCER_WEIGHTED
    s.bpt_index = s.n_tokens
    return 0


cdef list _list(const u256 *x, int n):
    cdef int i
    numbers = []
    for i in range(n):
        numbers.append(u256_to_pyint(&x[i]))
    return numbers


cdef object balancer_fields(const pool_state *state):
    """The fields that balancer_load takes."""
    cdef const balancer_state *s = &state.balancer
    fields = {
        "balances": _list(s.balance, s.n_tokens),
        "scaling_factors": _list(s.scaling_factor, s.n_tokens),
        "swap_fee": u256_to_pyint(&s.swap_fee),
    }
    if s.form == BALANCER_WEIGHTED:
        fields["weights"] = _list(s.weight, s.n_tokens)
        fields["pow_shortcuts"] = bool(s.pow_shortcuts)
        return fields
    fields["amp"] = u256_to_pyint(&s.amp)
    fields["amp_precision"] = u256_to_pyint(&s.amp_precision)
    fields["invariant_round_up"] = s.form == BALANCER_STABLE_ROUND_UP
    if s.bpt_index < s.n_tokens:
        fields["bpt_index"] = s.bpt_index
    return fields


cdef object balancer_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
):
    """The fields that the quoted swap moves, as they are after it."""
    balances = _list(state.balancer.balance, state.balancer.n_tokens)
    balances[token_in] = u256_to_pyint(&q.after.balances.balance_in)
    balances[token_out] = u256_to_pyint(&q.after.balances.balance_out)
    return {"balances": balances}
