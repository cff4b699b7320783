from mevfast.types cimport solidly_state, pool_quote, pool_state
from mevfast.u256 cimport u256

cdef int solidly_quote(
    const solidly_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil
cdef double solidly_marginal_price(
    const solidly_state *s, int token_in, int token_out,
) noexcept nogil
cdef double solidly_slope(
    const solidly_state *s, int token_in, const u256 *amount_in, const u256 *amount_out,
) noexcept nogil
cdef void solidly_apply_after(
    solidly_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil

cdef int solidly_load(pool_state *state, object fields, str where) except -1
cdef object solidly_fields(const pool_state *state)
cdef object solidly_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
)
