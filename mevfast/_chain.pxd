"""Swaps one after another: what sizing asks of a cycle's pools."""

from libc.stdint cimport uint8_t, uint32_t

from mevfast.types cimport pool_state
from mevfast.u256 cimport u256


cdef enum:
    CYCLE_HOPS = 4

# What run_chain answers where it carries no amounts to the end.
cdef enum chain_status:
    CHAIN_OK
    CHAIN_TOO_LITTLE              # some pool pays nothing for what reaches it
    CHAIN_REFUSED                 # some pool refuses what reaches it, or cannot take it all
    CHAIN_ODD                     # some pool's own search fails at this very amount

# A swap's direction: indices into the pool's own tokens.
cdef struct swap_way:
    uint8_t token_in, token_out

cdef struct sized_cycle:
    u256 amount[CYCLE_HOPS + 1]   # into hop 0, between the hops, out of the last one
    u256 profit                   # out - in - lender's fee
    uint32_t quotes               # exact quotes it took

# What borrowing the input costs: fee = amount * numerator / denominator, rounded as said.
cdef struct lender_fee:
    u256 numerator
    u256 denominator              # 0: no fee
    uint8_t half_up               # else rounded up
    double rate

# A cycle being sized.
cdef struct cycle:
    const pool_state **pools
    const swap_way *ways
    uint32_t n
    const lender_fee *fee
    const u256 *cap
    double target                 # the price of the whole cycle at the best input: 1 + the fee
    sized_cycle *best             # what pays most of all that was tried

cdef int lender_fee_of(const lender_fee *fee, const u256 *amount, u256 *out) noexcept nogil
cdef int run_chain(const pool_state **pools, const swap_way *ways, uint32_t n,
                   const u256 *amount_in, u256 *amounts, double *slopes) noexcept nogil
cdef int try_amount(cycle *c, const u256 *x, double *slope) noexcept nogil
cdef void slopes_of(const cycle *c, double *slopes) noexcept nogil
cdef int least_input(cycle *c, uint32_t place, const u256 *want, double tolerance,
                     const double *slopes, u256 *x) noexcept nogil
