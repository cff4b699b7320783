"""Where to look for the peak of a cycle's profit, by slopes."""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport uint32_t

from mevfast._chain cimport CYCLE_HOPS, cycle


cdef struct bracket:
    double low, g_low            # profit still grows here
    double high, g_high          # and falls here; infinity where nothing is known yet
    double before, g_before      # the low end before this one
    double scale                 # |g| at the first low end
    int side                     # end that moved last: -1 low, 1 high

cdef struct point:
    double amount[CYCLE_HOPS + 1]  # along the way
    double slope[CYCLE_HOPS]

cdef uint32_t FORESEEN


cdef inline double bent(double slope, double target) noexcept nogil:
    """Below 0 where the cycle's price is above the target, 0 at the optimum."""
    return 1.0 / sqrt(slope / target) - 1.0 if slope > 0.0 else INFINITY


cdef void start_bracket(bracket *b, double g_start) noexcept nogil
cdef void best_point(const cycle *c, point *at) noexcept nogil
cdef double foresee(const cycle *c, const bracket *b, const point *known, double x,
                    double tolerance) noexcept nogil
cdef int survey(const cycle *c, const point *start, bracket *b) noexcept nogil
