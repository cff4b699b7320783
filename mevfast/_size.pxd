"""Sizing of one cycle: the input at which its exact profit is largest."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mevfast.types cimport pool_state
from mevfast.u256 cimport u256


cdef enum:
    CYCLE_HOPS = 4

# A pool as constant product: exact for V2, the current range of V3.
cdef struct virtual_pool:
    double reserve0, reserve1
    double keep                   # share of the input that is left after the fee

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

cdef int lender_fee_of(const lender_fee *fee, const u256 *amount, u256 *out) noexcept nogil
cdef int chain_quote(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                     const u256 *amount_in, u256 *amounts, double *slope) noexcept nogil
cdef double NEAR_LOG

cdef void virtual_of(const pool_state *s, virtual_pool *now, virtual_pool *deepest) noexcept nogil
cdef double closed_form(const virtual_pool *pools, const uint8_t *zero_for_one, uint32_t n,
                        double target, double *profit) noexcept nogil
cdef int size_cycle(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                    const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil
cdef int finish_cycle(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                      const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil
