"""Constant-product stand-ins for pools of any kind."""

from libc.stdint cimport uint32_t

from mevfast._chain cimport swap_way
from mevfast.types cimport pool_state

# A swap as one through a constant-product pool: out = reserve_out keep x / (reserve_in + keep x).
# Exact for V2 and volatile Solidly pairs, and in the current range of V3; an estimate elsewhere.
cdef struct virtual_pool:
    double reserve_in, reserve_out
    double keep                   # share of the input left after the fee; where the fee is taken
                                  # elsewhere it is in the reserves' ratio

cdef double NEAR_LOG

cdef void virtual_of(const pool_state *s, swap_way way, virtual_pool *now,
                     virtual_pool *deepest) noexcept nogil
cdef void compose(const virtual_pool *pools, uint32_t n, virtual_pool *whole) noexcept nogil
cdef double closed_form(const virtual_pool *whole, double target, double *profit) noexcept nogil
