"""The reserve table at any size, for bench/bench_cache.py alone: nothing in the engine imports it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from mevfast._bench_clock cimport cpu_ns
from mevfast._cache cimport Table, table_apply
from mevfast._slots cimport (
    APPLY_CHANGED,
    TABLE_NO_SLOT,
    pool_table,
    table_find,
    table_prefetch_index,
    table_prefetch_slot,
)
from mevfast._wire cimport wire_parse
from mevfast.types cimport EVENT_V2_SYNC, EVENT_V3_SWAP, WIRE_LOG, head_event, log_event

V2_SYNC = <int>EVENT_V2_SYNC
V3_SWAP = <int>EVENT_V3_SWAP

cdef enum:
    AHEAD = 8                  # events between a place in the index, its slot, and their event
    EMPTYING_BYTES = 64 << 20  # more than caches hold

cdef uint8_t emptying[EMPTYING_BYTES]


cdef uint64_t empty_caches() noexcept nogil:
    """Reads: what it left would have to be written back first."""
    cdef size_t i
    cdef volatile uint64_t sum = 0
    if emptying[0] == 0:
        memset(emptying, 1, EMPTYING_BYTES)  # until it is written to, it is one page of zeros
    for i in range(0, EMPTYING_BYTES, 64):
        sum += emptying[i]
    return sum


def memory_read(uint32_t reads=100000):
    """CPU ns of one read at a random place that the read before it tells: what no event goes below
    whose slot lies in memory, unless it is known before."""
    cdef uint32_t i
    cdef volatile uint64_t at = 1
    cdef uint64_t factor = 0x5851f42d4c957f2d  # Knuth's generator: its upper 26 bits are a place
    cdef int64_t start
    with nogil:
        empty_caches()
        start = cpu_ns()
        for i in range(reads):
            at = at * factor + 1 + emptying[at >> 38]
        start = cpu_ns() - start
    return <double>start / reads


cdef class TableLoad:
    """Lookups and events on a table's pools in random order, in C loops without the GIL.

    Args:
        table: events go here; the states of its pools are overwritten.
        keys: addresses of the pools that events name, 20 bytes each, in the order of the loop.

    Times are CPU ns of one turn; each method but `frames` takes every pool once, from memory: the
    caches hold something else before, as they do in life. The first turns, which bring the code and
    the clock back, are not timed.
    """

    cdef readonly Table table
    cdef uint8_t *keys
    cdef uint32_t n, warm         # turns, and how many of them are not timed
    cdef uint64_t block, later    # of the next event; what recorded blocks are moved on by

    def __cinit__(self, Table table not None, list keys not None):
        cdef uint32_t i
        self.table, self.n, self.block = table, len(keys), 1 << 40
        self.warm = self.n // 5
        self.keys = <uint8_t *>malloc(20 * <size_t>max(self.n, 1))
        if self.keys == NULL:
            raise MemoryError(f"{self.n} addresses")
        for i in range(self.n):
            if len(<bytes?>keys[i]) != 20:
                raise ValueError(f"keys[{i}]: expected 20 bytes, was {len(keys[i])}")
            memcpy(self.keys + 20 * <size_t>i, <const uint8_t *><bytes>keys[i], 20)

    def __dealloc__(self):
        free(self.keys)

    def lookups(self):
        """Slots by address. RuntimeError where one is not found."""
        cdef uint64_t missing = 0
        cdef uint32_t i
        cdef int64_t start = 0
        empty_caches()
        with nogil:
            for i in range(self.n):
                if i == self.warm:
                    start = cpu_ns()
                missing += table_find(&self.table.t, self.keys + 20 * <size_t>i) == TABLE_NO_SLOT
            start = cpu_ns() - start
        if missing:
            raise RuntimeError(f"{missing} of {self.n} pools are not in the table")
        return <double>start / (self.n - self.warm)

    def events(self, uint32_t kind, bint batch):
        """Events of one kind, V2 Sync or V3 Swap, each in a block of its own; `batch`: those that
        follow are known, as the logs of a block are. RuntimeError where one changes no slot."""
        cdef uint32_t last = self.n - 1
        cdef log_event e
        cdef uint64_t changed = 0
        cdef uint32_t i, slot
        cdef int64_t start = 0
        cdef pool_table *t = &self.table.t
        empty_caches()
        memset(&e, 0, sizeof(e))
        e.kind = kind
        e.n_words = 2 if kind == EVENT_V2_SYNC else 5
        e.n_topics = 1 if kind == EVENT_V2_SYNC else 3
        with nogil:
            for i in range(self.n):
                if i == self.warm:
                    start = cpu_ns()
                if batch:
                    table_prefetch_index(t, self.keys + 20 * <size_t>min(i + 2 * AHEAD, last))
                    table_prefetch_slot(t, self.keys + 20 * <size_t>min(i + AHEAD, last))
                memcpy(e.address, self.keys + 20 * <size_t>i, 20)
                self.block += 1
                e.block_number = self.block
                if kind == EVENT_V2_SYNC:
                    e.word[0].w[0] = e.word[1].w[0] = self.block
                else:
                    e.word[2].w[0], e.word[2].w[1], e.word[3].w[0] = i, 1 << 32, self.block
                changed += table_apply(&self.table.t, &e, &slot) == APPLY_CHANGED
            start = cpu_ns() - start
            for i in range(self.table.t.n_moved):
                self.table.t.slots[self.table.t.moved[i]].moved = 0
            self.table.t.n_moved = 0
        if changed != self.n:
            raise RuntimeError(f"{self.n - changed} of {self.n} events changed nothing")
        return <double>start / (self.n - self.warm)

    def frames(self, list frames not None, uint32_t rounds, bint parsed=False):
        """Frames of logs, from their bytes to their slots, over and over, each round in later blocks;
        `parsed`: from the event on, the bytes read before. (CPU ns of one, share that changed a slot).
        """
        cdef log_event *events
        cdef head_event head
        cdef const char **starts
        cdef Py_ssize_t *sizes
        cdef uint32_t n = len(frames), i, r, slot
        cdef uint64_t first = <uint64_t>-1, last = 0, changed = 0
        cdef int64_t start
        cdef log_event one
        cdef bytes frame
        events = <log_event *>malloc(max(n, 1) * sizeof(log_event))
        starts = <const char **>malloc(max(n, 1) * sizeof(char *))
        sizes = <Py_ssize_t *>malloc(max(n, 1) * sizeof(Py_ssize_t))
        try:
            if events == NULL or starts == NULL or sizes == NULL:
                raise MemoryError(f"{n} events")
            for i in range(n):
                frame = frames[i]  # held by the list
                starts[i], sizes[i] = <const char *>frame, len(frame)
                if wire_parse(starts[i], sizes[i], &events[i], &head) != WIRE_LOG:
                    raise ValueError(f"frames[{i}]: expected a log, was {frame[:60]!r}")
                first, last = min(first, events[i].block_number), max(last, events[i].block_number)
            with nogil:
                start = cpu_ns()
                for r in range(rounds):
                    for i in range(n):
                        if parsed:
                            one = events[i]
                        else:
                            wire_parse(starts[i], sizes[i], &one, &head)
                        one.block_number += self.later
                        changed += table_apply(&self.table.t, &one, &slot) == APPLY_CHANGED
                    self.later += last - first + 1
                start = cpu_ns() - start
        finally:
            free(events)
            free(starts)
            free(sizes)
        return <double>start / (rounds * <double>n), changed / (rounds * <double>n)
