from mevfast.types cimport crypto_state, pool_quote, pool_state
from mevfast.u256 cimport u256

cdef int crypto_quote(
    const crypto_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil
cdef double crypto_marginal_price(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil
cdef double crypto_slope(
    const crypto_state *s, int i, int j, const u256 *amount_in, const u256 *amount_out,
    double *fee_at, double *fee_rise,
) noexcept nogil
cdef double crypto_price_bound(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil
cdef bint crypto_price_can_rise(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil
cdef void crypto_apply_after(
    crypto_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil

cdef int crypto_load(pool_state *state, object fields, str where) except -1
cdef object crypto_fields(const pool_state *state)
cdef object crypto_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
)
