"""Sizing of one cycle: the input at which its exact profit is largest."""

from libc.stdint cimport uint32_t

from mevfast._chain cimport (
    CYCLE_HOPS,
    lender_fee,
    lender_fee_of,
    sized_cycle,
    swap_way,
)
from mevfast.types cimport pool_state
from mevfast.u256 cimport u256


# A swap as one through a constant-product pool: out = reserve_out keep x / (reserve_in + keep x).
# Exact for V2 and volatile Solidly pairs, and in the current range of V3; an estimate elsewhere.
cdef struct virtual_pool:
    double reserve_in, reserve_out
    double keep                   # share of the input left after the fee; where the fee is taken
                                  # elsewhere it is in the reserves' ratio

cdef double NEAR_LOG

cdef int chain_quote(const pool_state **pools, const swap_way *ways, uint32_t n,
                     const u256 *amount_in, u256 *amounts) noexcept nogil
cdef void virtual_of(const pool_state *s, swap_way way, virtual_pool *now,
                     virtual_pool *deepest) noexcept nogil
cdef double closed_form(const virtual_pool *pools, uint32_t n, double target,
                        double *profit) noexcept nogil
cdef int size_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                    const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil
cdef int finish_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                      const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil
