from mevfast.types cimport pool_quote, pool_state, v2_state
from mevfast.u256 cimport u256

cdef int v2_quote(
    const v2_state *s, int zero_for_one, int exact_in, const u256 *amount, pool_quote *q,
) noexcept nogil
cdef double v2_marginal_price(const v2_state *s, int zero_for_one) noexcept nogil
cdef double v2_slope(
    const v2_state *s, int zero_for_one, const u256 *amount_in, double price_after,
) noexcept nogil

cdef int v2_load(pool_state *state, object fields, str where) except -1
cdef object v2_fields(const pool_state *state)
cdef object v2_after_fields(const pool_quote *q)
