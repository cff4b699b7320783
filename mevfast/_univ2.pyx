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
    u128_is_zero,
    u128_to_double,
    u256,
    u256_add,
    u256_bit_length,
    u256_div,
    u256_div_up,
    u256_from_u128,
    u256_is_zero,
    u256_lo128,
    u256_lt,
    u256_mul,
    u256_mul_u64,
    u256_sub,
)

from mevfast._fields import integer_field

cdef enum:
    RESERVE_BITS = 112  # the contract keeps reserves as uint112 and reverts with OVERFLOW above


cdef double _price(const u256 *reserve_in, const u256 *reserve_out, double kept) noexcept nogil:
    return u128_to_double(u256_lo128(reserve_out)) / u128_to_double(u256_lo128(reserve_in)) * kept


cdef double v2_marginal_price(const v2_state *s, int zero_for_one) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    if u128_is_zero(s.reserve0) or u128_is_zero(s.reserve1) or s.fee_pips >= FEE_DENOMINATOR:
        return 0.0
    cdef double ratio = u128_to_double(s.reserve1) / u128_to_double(s.reserve0)
    cdef double kept = <double>(FEE_DENOMINATOR - s.fee_pips) / FEE_DENOMINATOR
    return kept * (ratio if zero_for_one else 1.0 / ratio)


cdef int _amount_out(
    u256 *amount_out, const u256 *amount_in, const u256 *reserve_in, const u256 *reserve_out,
    uint64_t kept,
) noexcept nogil:
    """The largest output that leaves K: floor of in * kept * Ro / (Ri * 1e6 + in * kept).

    No step exceeds 112 + 20 + 112 bits.
    """
    cdef u256 numerator, denominator, paid
    if (
        u256_mul_u64(&paid, amount_in, kept)
        or u256_mul(&numerator, &paid, reserve_out)
        or u256_mul_u64(&denominator, reserve_in, FEE_DENOMINATOR)
        or u256_add(&denominator, &denominator, &paid)
        or u256_div(amount_out, &numerator, &denominator)
    ):
        return QUOTE_OVERFLOW
    return QUOTE_NO_OUTPUT if u256_is_zero(amount_out) else QUOTE_OK


cdef int _amount_in(
    u256 *amount_in, const u256 *amount_out, const u256 *reserve_in, const u256 *reserve_out,
    uint64_t kept,
) noexcept nogil:
    """The smallest input that leaves K: Ri * out * 1e6 / ((Ro - out) * kept), rounded up.

    One below the router's getAmountIn where the division is exact.
    """
    cdef u256 numerator, denominator
    if not u256_lt(amount_out, reserve_out):
        return QUOTE_NO_LIQUIDITY
    u256_sub(&denominator, reserve_out, amount_out)
    if (
        u256_mul(&numerator, reserve_in, amount_out)
        or u256_mul_u64(&numerator, &numerator, FEE_DENOMINATOR)
        or u256_mul_u64(&denominator, &denominator, kept)
        or u256_div_up(amount_in, &numerator, &denominator)
    ):
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int v2_quote(
    const v2_state *s, int zero_for_one, int exact_in, const u256 *amount, pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the pair would revert; q is then undefined."""
    cdef u256 reserve_in, reserve_out, after_in, after_out
    cdef uint64_t kept
    cdef int status
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    if u128_is_zero(s.reserve0) or u128_is_zero(s.reserve1):
        return QUOTE_NO_LIQUIDITY
    if s.fee_pips >= FEE_DENOMINATOR:
        return QUOTE_NO_OUTPUT
    u256_from_u128(&reserve_in, s.reserve0 if zero_for_one else s.reserve1)
    u256_from_u128(&reserve_out, s.reserve1 if zero_for_one else s.reserve0)
    if u256_bit_length(&reserve_in) > RESERVE_BITS or u256_bit_length(&reserve_out) > RESERVE_BITS:
        return QUOTE_OVERFLOW
    kept = FEE_DENOMINATOR - s.fee_pips
    if exact_in:
        if u256_bit_length(amount) > RESERVE_BITS:
            return QUOTE_OVERFLOW
        q.amount_in = amount[0]
        status = _amount_out(&q.amount_out, amount, &reserve_in, &reserve_out, kept)
    else:
        q.amount_out = amount[0]
        status = _amount_in(&q.amount_in, amount, &reserve_in, &reserve_out, kept)
    if status != QUOTE_OK:
        return status
    u256_add(&after_in, &reserve_in, &q.amount_in)
    if u256_bit_length(&after_in) > RESERVE_BITS:
        return QUOTE_OVERFLOW
    u256_sub(&after_out, &reserve_out, &q.amount_out)
    q.after.v2.reserve0 = u256_lo128(&after_in if zero_for_one else &after_out)
    q.after.v2.reserve1 = u256_lo128(&after_out if zero_for_one else &after_in)
    q.price_after = _price(&after_in, &after_out, <double>kept / FEE_DENOMINATOR)
    return QUOTE_OK


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
