from mevfast.types cimport balancer_state, pool_quote, pool_state
from mevfast.u256 cimport u256

cdef int balancer_quote(
    const balancer_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil
cdef double balancer_marginal_price(
    const balancer_state *s, int token_in, int token_out,
) noexcept nogil
cdef double balancer_slope(
    const balancer_state *s, int i, int j, const u256 *amount_in, const u256 *amount_out,
) noexcept nogil
cdef void balancer_apply_after(
    balancer_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil

cdef int balancer_load(pool_state *state, object fields, str where) except -1
cdef object balancer_fields(const pool_state *state)
cdef object balancer_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
)
