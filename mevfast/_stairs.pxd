"""The integer finish of a size."""

from mevfast._chain cimport cycle

cdef bint certain(const cycle *c) noexcept nogil
cdef void polish(cycle *c) noexcept nogil
cdef void climb_stairs(cycle *c, double target_x, double bend) noexcept nogil
