from libc.stdint cimport uint8_t, uint32_t

from mevfast.types cimport log_event


cdef enum:
    MOST_VENUES = 64

cdef class Venues:
    cdef uint8_t address[MOST_VENUES][20]
    cdef uint8_t topic[MOST_VENUES][32]
    cdef uint32_t n_addresses, n_topics

    cdef bint announces(self, const log_event *e) noexcept nogil
