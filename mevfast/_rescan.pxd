"""The rescan's C face."""

from libc.stdint cimport uint32_t, uint64_t

from mevfast._cache cimport Table
from mevfast._search cimport Search
from mevfast._slots cimport slot_body


cdef class Rescan:
    cdef readonly Search source   # the loop's; of it only the table's memory is read meanwhile
    cdef readonly Table copy
    cdef readonly Search search   # over the copy
    cdef uint32_t *seen           # by slot: the counter that the copy was made at; odd: never
    cdef uint32_t *wanted
    cdef slot_body body           # what was read last,
    cdef void *spread             # and what the arena held for it
    cdef size_t room
    cdef uint32_t sequence
    cdef readonly uint64_t unread # slots that the writer did not leave in time, or without room

    cdef uint32_t follow_on(self, uint32_t slot, uint32_t n, uint32_t *changed) noexcept nogil
    cdef bint read(self, uint32_t slot) noexcept nogil
    cdef bint take(self, uint32_t slot) noexcept nogil
    cdef int renew(self, uint32_t slot) except -1
