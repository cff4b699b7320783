"""The rates' C face."""

from libc.stdint cimport uint32_t

from mevfast._graph cimport MOST_STARTS, Graph


cdef enum:
    MOST_RATED = 64               # pools that a rate is the median of

cdef struct rated_pool:
    double log_rate               # what a pool says a token is worth
    double depth                  # and how much it holds, base token wei


cdef class Rates(Graph):
    cdef double rates[MOST_STARTS] # by start rank: units for one of the base token, 0: none

    cdef void note_rates(self) noexcept nogil
    cdef uint32_t rated_by(self, uint32_t token, uint32_t unit, double unit_rate, rated_pool *rated,
                           uint32_t n) noexcept nogil
    cdef double price_in_base(self, uint32_t token) noexcept nogil
