"""Memory of the hot half brought in before it is needed, and kept in where the system lets it.

A page that is touched for the first time costs a fault of a microsecond or more, in the middle of
whatever touched it. What a table can grow to is mapped, but not all of it: a quarter more pools and
ticks than there are now.
"""

import sys

from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t

from mevfast._core cimport Core
from mevfast._scan cimport MAX_CANDIDATES, candidate
from mevfast._slots cimport kind_is_concentrated, pool_slot, pool_table
from mevfast._stages cimport stage_log
from mevfast.types cimport v3_tick, v3_window

cdef extern from "<sys/mman.h>" nogil:
    int mlock(const void *address, size_t n)
    int madvise(void *address, size_t n, int advice)

cdef enum:
    PAGE = 4096
    POPULATE_WRITE = 23           # MADV_POPULATE_WRITE of Linux 5.14; older headers have no name for it
    MORE_SLOTS = 256
    MORE_TICKS = 16384


cdef class Ready:
    """What was brought in: `bytes`, of these `locked`. Both 0 at first."""

    cdef readonly uint64_t bytes, locked

    cdef void bring(self, const void *start, size_t n) noexcept nogil:
        """Whole pages around n bytes; their content stays as it is."""
        cdef uintptr_t first = <uintptr_t>start & ~<uintptr_t>(PAGE - 1)
        cdef size_t size = ((<uintptr_t>start + n + PAGE - 1) & ~<uintptr_t>(PAGE - 1)) - first
        cdef volatile uint8_t *page
        cdef size_t at = 0
        if n == 0:
            return
        self.bytes += size
        if mlock(<void *>first, size) == 0:
            self.locked += size
        elif madvise(<void *>first, size, POPULATE_WRITE) != 0:
            while at < size:  # an older kernel
                page = <volatile uint8_t *>first + at
                page[0] = page[0]
                at += PAGE

    cdef void bring_table(self, pool_table *t) noexcept nogil:
        """The table's own, and the windows of concentrated pools beside it."""
        cdef uint32_t used = t.head.n_slots, i
        cdef uint32_t slots = min(t.capacity, used + used // 4 + MORE_SLOTS)
        cdef uint32_t ticks = min(t.arena_capacity,
                                  t.head.arena_used + t.head.arena_used // 4 + MORE_TICKS)
        self.bring(t.head, PAGE)
        self.bring(t.slots, slots * sizeof(pool_slot))
        self.bring(t.index, (<size_t>t.index_mask + 1) * sizeof(uint64_t))
        self.bring(t.tokens, 20 * <size_t>min(t.token_capacity, 2 * slots))
        self.bring(t.arena, ticks * sizeof(v3_tick))
        self.bring(t.moved, t.capacity * sizeof(uint32_t))
        self.bring(t.undo.ring, t.undo.size)
        for i in range(slots):
            if i >= used or kind_is_concentrated(t.slots[i].body.kind):
                self.bring(&t.windows[i], sizeof(v3_window))


def make_ready(Core core not None):
    """Brings in what the hot path touches: table, windows, journal, rings and lists. A Ready."""
    cdef Ready ready = Ready()
    cdef size_t capacity = core.table.t.capacity
    cdef size_t own = sys.getsizeof(core)
    with nogil:
        ready.bring_table(&core.table.t)
        ready.bring(<void *>core, own)
        ready.bring(core.log, sizeof(stage_log))
        ready.bring(core.touched, capacity * sizeof(uint32_t))
        ready.bring(core.is_touched, capacity)
        ready.bring(core.search.found, MAX_CANDIDATES * sizeof(candidate))
        ready.bring(core.search.in_flight, capacity)
        ready.bring(core.search.scanned, capacity)
        ready.bring(core.search.bloom_bits, 3 * capacity * sizeof(core.search.bloom_bits[0]))
        ready.bring(core.search.plans_on, capacity * sizeof(core.search.plans_on[0]))
    return ready
