from mevfast.types cimport pool_quote, pool_state
from mevfast.u256 cimport u256

cdef int pool_quote_exact(
    const pool_state *s, int zero_for_one, int exact_in, const u256 *amount, pool_quote *q,
) noexcept nogil
cdef int pool_quote_limited(
    const pool_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil
cdef double pool_marginal_price(const pool_state *s, int zero_for_one) noexcept nogil
cdef void pool_apply_after(pool_state *s, const pool_quote *q) noexcept nogil


cdef class Pool:
    cdef pool_state state      # owns the memory behind state.v3.ticks
    cdef readonly str kind
