"""The integer finish of a size."""

from mevfast._chain cimport cycle, tangent
from mevfast.types cimport pool_state

cdef bint is_costly(const pool_state *s) noexcept nogil
cdef void set_pace(cycle *c, bint hurried) noexcept nogil
cdef double ENOUGH, ENOUGH_UNITS    # of an unhurried pace
cdef double HURRIED_ENOUGH          # and of a hurried one

cdef bint certain(const cycle *c) noexcept nogil
cdef bint units_are_little(const cycle *c) noexcept nogil
cdef void polish(cycle *c) noexcept nogil
cdef void climb_stairs(cycle *c, const tangent *at, double target_x, double bend) noexcept nogil
