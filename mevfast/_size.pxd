"""Sizing of one cycle: the input at which its exact profit is largest."""

from libc.stdint cimport uint32_t

from mevfast._chain cimport (
    CYCLE_HOPS,
    lender_fee,
    lender_fee_of,
    sized_cycle,
    swap_way,
)
from mevfast._virtual cimport NEAR_LOG, closed_form, compose, virtual_of, virtual_pool
from mevfast.types cimport pool_state
from mevfast.u256 cimport u256


cdef int chain_quote(const pool_state **pools, const swap_way *ways, uint32_t n,
                     const u256 *amount_in, u256 *amounts) noexcept nogil
cdef int size_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                    const lender_fee *fee, const u256 *cap, bint hurried,
                    const virtual_pool *whole, sized_cycle *best) noexcept nogil
cdef void polish_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                       const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil
cdef int finish_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                      const lender_fee *fee, const u256 *cap, bint hurried,
                      sized_cycle *best) noexcept nogil
