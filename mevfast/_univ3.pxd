from mevfast.types cimport pool_quote, pool_state, v3_state, v3_window
from mevfast.u256 cimport u256

cdef int v3_quote(
    const v3_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil
cdef double v3_marginal_price(const v3_state *s, int zero_for_one) noexcept nogil
cdef double v3_price_bound(const v3_state *s, int zero_for_one) noexcept nogil

cdef void v3_apply_after(v3_state *s, const pool_quote *q) noexcept nogil
cdef void v3_window_build(v3_window *w, const v3_state *s) noexcept nogil

cdef int v3_load(pool_state *state, object fields, str where) except -1
cdef void v3_free(pool_state *state) noexcept
cdef object v3_fields(const pool_state *state)
cdef object v3_after_fields(const pool_quote *q)
