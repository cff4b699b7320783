from mevfast.types cimport curve_state, pool_quote, pool_state
from mevfast.u256 cimport u256

cdef int curve_quote(
    const curve_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil
cdef double curve_marginal_price(
    const curve_state *s, int token_in, int token_out,
) noexcept nogil
cdef double curve_slope(
    const curve_state *s, int i, int j, const u256 *amount_in, const u256 *amount_out,
    double *fee_at, double *fee_rise,
) noexcept nogil
cdef double curve_price_bound(
    const curve_state *s, int token_in, int token_out,
) noexcept nogil
cdef bint curve_price_can_rise(
    const curve_state *s, int token_in, int token_out,
) noexcept nogil
cdef void curve_apply_after(
    curve_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil

cdef int curve_load(pool_state *state, object fields, str where) except -1
cdef object curve_fields(const pool_state *state)
cdef object curve_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
)
