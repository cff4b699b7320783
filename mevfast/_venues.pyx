"""Which logs announce pools: those of the venues themselves, by their topics."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from mevfast.types cimport log_event


cdef int take(uint8_t *to, uint32_t *n, items, uint32_t size, str what) except -1:
    """Copies byte strings of one size, MOST_VENUES at most."""
    if len(items) > MOST_VENUES:
        raise ValueError(f"{what}: expected at most {MOST_VENUES}, was {len(items)}")
    n[0] = 0
    for item in items:
        if len(item) != size:
            raise ValueError(f"{what}: expected {size} bytes, was {len(item)}")
        memcpy(to + n[0] * size, <const uint8_t *><bytes>item, size)
        n[0] += 1
    return 0


cdef class Venues:
    """Contracts (20 bytes each), and the topics (32 bytes each) of logs in which they announce."""

    def __cinit__(self, addresses, topics):
        take(&self.address[0][0], &self.n_addresses, addresses, 20, "venues")
        take(&self.topic[0][0], &self.n_topics, topics, 32, "topics")

    cdef bint announces(self, const log_event *e) noexcept nogil:
        """A log by which one of the venues announces a pool."""
        cdef uint32_t i
        cdef bint known = False
        for i in range(self.n_topics):
            known |= memcmp(self.topic[i], e.topic0, 32) == 0
        if known:
            for i in range(self.n_addresses):
                if memcmp(self.address[i], e.address, 20) == 0:
                    return True
        return False
