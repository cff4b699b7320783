from mevfast.types cimport pool_quote, pool_state
from mevfast.u256 cimport u256

cdef int pool_quote_exact(
    const pool_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil
cdef int pool_quote_limited(
    const pool_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil
cdef double pool_marginal_price(const pool_state *s, int token_in, int token_out) noexcept nogil
cdef double pool_price_bound(const pool_state *s, int token_in, int token_out) noexcept nogil
cdef bint pool_price_can_rise(const pool_state *s, int token_in, int token_out) noexcept nogil
cdef double pool_slope(
    const pool_state *s, int token_in, int token_out, const u256 *amount_in,
    const u256 *amount_out, double price_after,
) noexcept nogil
cdef double pool_slope_and_fee(
    const pool_state *s, int token_in, int token_out, const u256 *amount_in,
    const u256 *amount_out, double price_after, double *fee_at, double *fee_rise,
) noexcept nogil
cdef double pool_input_fee(const pool_state *s, int token_in, bint *up) noexcept nogil
cdef bint pool_rounds_output_fee(const pool_state *s) noexcept nogil
cdef void pool_reserves(
    const pool_state *s, int token_in, int token_out, double *reserve_in, double *reserve_out,
) noexcept nogil
cdef void pool_apply_after(
    pool_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil
cdef int pool_n_tokens(const pool_state *s) noexcept nogil
cdef object pool_state_fields(const pool_state *s)


cdef class Pool:
    cdef pool_state state      # owns the memory behind state.v3.ticks
    cdef readonly str kind
    cdef readonly int n_tokens

    cdef int _tokens(self, int *i, int *j, object token_in, object token_out) except -1
    cdef object _answer(self, int status, int i, int j, const pool_quote *q)
