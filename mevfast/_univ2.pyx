"""Uniswap V2 pairs and their forks: what `pair.swap` pays at most and accepts at least.

Owns the constant-product formula with the contract's refusals (v2-core UniswapV2Pair.swap); must
not know tokens, tables or other kernels.
"""

from libc.stdint cimport uint64_t

from mevfast._math cimport u128_from_pyint, u128_to_pyint
from mevfast.types cimport (
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_ZERO_AMOUNT,
    pool_quote,
    pool_state,
    v2_state,
)
from mevfast.u256 cimport (
    FEE_DENOMINATOR,
    V2_RESERVE_BITS,
    u128,
    u128_add,
    u128_fits,
    u128_is_zero,
    u128_lt,
    u128_near_double,
    u128_or,
    u128_sub,
    u128_to_double,
    u256,
    u256_fits_u128,
    u256_from_u128,
    u256_is_zero,
    u256_lo128,
    u256_to_double,
    v2_amount_in,
    v2_amount_out,
)

from mevfast._fields import integer_field


cdef double v2_marginal_price(const v2_state *s, int zero_for_one) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    if u128_is_zero(s.reserve0) or u128_is_zero(s.reserve1) or s.fee_pips >= FEE_DENOMINATOR:
        return 0.0
    cdef double ratio = u128_to_double(s.reserve1) / u128_to_double(s.reserve0)
    cdef double kept = <double>(FEE_DENOMINATOR - s.fee_pips) / FEE_DENOMINATOR
    return kept * (ratio if zero_for_one else 1.0 / ratio)


cdef inline int _settle(
    pool_quote *q, int zero_for_one, u128 reserve_in, u128 reserve_out, u128 paid, u128 taken,
    uint64_t kept,
) noexcept nogil:
    """Fills q with a swap of these amounts, unless it brings a reserve over its limit."""
    reserve_in = u128_add(reserve_in, paid)
    reserve_out = u128_sub(reserve_out, taken)
    if not u128_fits(reserve_in, V2_RESERVE_BITS):
        return QUOTE_OVERFLOW
    u256_from_u128(&q.amount_in, paid)
    u256_from_u128(&q.amount_out, taken)
    q.after.v2.reserve0 = reserve_in if zero_for_one else reserve_out
    q.after.v2.reserve1 = reserve_out if zero_for_one else reserve_in
    q.price_after = u128_near_double(reserve_out) * (kept * 1e-6) / u128_near_double(reserve_in)
    return QUOTE_OK


cdef int v2_quote(
    const v2_state *s, int zero_for_one, int exact_in, const u256 *amount, pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the pair would revert; q is then undefined."""
    cdef u128 reserve_in = s.reserve0 if zero_for_one else s.reserve1
    cdef u128 reserve_out = s.reserve1 if zero_for_one else s.reserve0
    cdef u128 given = u256_lo128(amount), answer
    cdef uint64_t kept = FEE_DENOMINATOR - s.fee_pips
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    if u128_is_zero(reserve_in) or u128_is_zero(reserve_out):
        return QUOTE_NO_LIQUIDITY
    if s.fee_pips >= FEE_DENOMINATOR:
        return QUOTE_NO_OUTPUT
    if not u128_fits(u128_or(reserve_in, reserve_out), V2_RESERVE_BITS):
        return QUOTE_OVERFLOW
    if exact_in:
        if not u256_fits_u128(amount) or not u128_fits(given, V2_RESERVE_BITS):
            return QUOTE_OVERFLOW
        answer = v2_amount_out(given, reserve_in, reserve_out, kept)
        if u128_is_zero(answer):
            return QUOTE_NO_OUTPUT
        return _settle(q, zero_for_one, reserve_in, reserve_out, given, answer, kept)
    if not u256_fits_u128(amount) or not u128_lt(given, reserve_out):
        return QUOTE_NO_LIQUIDITY
    answer = v2_amount_in(given, reserve_in, reserve_out, kept)
    if u128_is_zero(answer):
        return QUOTE_OVERFLOW
    return _settle(q, zero_for_one, reserve_in, reserve_out, answer, given, kept)


cdef double v2_slope(
    const v2_state *s, int zero_for_one, const u256 *amount_in, double price_after,
) noexcept nogil:
    """d(output) / d(input) at the end of a swap: keep (R_out - out) / (R_in + keep x).

    The pair keeps its fee, which moves the price after the swap but not what its last unit paid.
    """
    cdef double x = u256_to_double(amount_in)
    cdef double reserve = u128_to_double(s.reserve0 if zero_for_one else s.reserve1)
    cdef double kept = <double>(FEE_DENOMINATOR - s.fee_pips) / FEE_DENOMINATOR
    return price_after * (reserve + x) / (reserve + kept * x)


cdef int v2_load(pool_state *state, object fields, str where) except -1:
    """Fills state.v2 from the fields of mevfast-vectors/1; DataError names a wrong one."""
    cdef v2_state *s = &state.v2
    s.fee_pips = integer_field(fields, "fee_pips", where, 0, 999_999)
    u128_from_pyint(&s.reserve0, integer_field(fields, "reserve0", where, 0, (1 << 112) - 1))
    u128_from_pyint(&s.reserve1, integer_field(fields, "reserve1", where, 0, (1 << 112) - 1))
    return 0


cdef object v2_fields(const pool_state *state):
    """The fields that v2_load takes."""
    return {
        "fee_pips": state.v2.fee_pips,
        "reserve0": u128_to_pyint(state.v2.reserve0),
        "reserve1": u128_to_pyint(state.v2.reserve1),
    }


cdef object v2_after_fields(const pool_quote *q):
    """The fields that the quoted swap moves, as they are after it."""
    return {
        "reserve0": u128_to_pyint(q.after.v2.reserve0),
        "reserve1": u128_to_pyint(q.after.v2.reserve1),
    }
