"""Events on the reserve table: a free function, and the table's Python face."""

from libc.stdint cimport uint32_t

from mevfast._slots cimport Slots, pool_table
from mevfast.types cimport log_event


cdef int parse_log(bytes frame, log_event *e) except -1
cdef int table_apply(pool_table *t, const log_event *e, uint32_t *slot) noexcept nogil
cdef bint table_knows(pool_table *t, const log_event *e) noexcept nogil
cdef void table_refresh(pool_table *t, uint32_t most) noexcept nogil


cdef class Table(Slots):
    pass
