"""The search and its limit on one stream of events, for bench/bench_search.py alone: nothing in the
engine imports it.

Owns the clock around the engine's own refresh and collect, and the Python face of bare_scan.h. The
events are applied to the table by the engine's own code first, outside of the clock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from mevfast._bench_clock cimport cpu_ns, now_ns
from mevfast._cache cimport table_apply
from mevfast._math cimport u256_from_pyint
from mevfast._search cimport Search
from mevfast._slots cimport APPLY_CHANGED, pool_slot
from mevfast.types cimport EVENT_V2_SYNC, EVENT_V3_SWAP, log_event
from mevfast.u256 cimport u256


cdef extern from "bare_scan.h" nogil:
    ctypedef struct bare_pair:
        uint32_t token[2]

    ctypedef struct bare_pool:
        uint32_t pair
        double log_price[2]

    ctypedef struct bare_graph:
        uint32_t n_tokens, n_pools, n_pairs
        bare_pool *pools
        bare_pair *pairs

    int bare_build(bare_graph *g, uint32_t n_tokens, uint32_t n_pools, const uint32_t *tokens,
                   const uint8_t *start) noexcept
    void bare_free(bare_graph *g) noexcept
    void bare_update(bare_graph *g, uint32_t pool, const double *log_price) noexcept
    uint32_t bare_scan(const bare_graph *g, uint32_t pool, uint32_t max_hops) noexcept
    double bare_cycles(const bare_graph *g, uint32_t pool, uint32_t max_hops) noexcept
    uint32_t bare_degree(const bare_graph *g, uint32_t token) noexcept


cdef class BareScan:
    """bare_scan.h's graph: the market as the search's limit sees it.

    Args:
        pools: the two token ids of each pool, token0 first; no price is known at first.
        start: by token id, whether cycles may start there.
    """

    cdef bare_graph g

    def __cinit__(self, list pools not None, list start not None):
        cdef uint32_t n = len(pools), n_tokens = len(start), i, a, b
        cdef uint32_t *tokens = <uint32_t *>malloc(2 * n * sizeof(uint32_t) + 1)
        cdef uint8_t *starts = <uint8_t *>malloc(n_tokens + 1)
        try:
            if tokens == NULL or starts == NULL:
                raise MemoryError(f"{n} pools")
            for i in range(n_tokens):
                starts[i] = bool(start[i])
            for i in range(n):
                a, b = pools[i]
                if a == b or a >= n_tokens or b >= n_tokens:
                    raise ValueError(
                        f"pools[{i}]: expected two tokens below {n_tokens}, was {pools[i]}")
                tokens[2 * i], tokens[2 * i + 1] = a, b
            if bare_build(&self.g, n_tokens, n, tokens, starts) != 0:
                raise MemoryError(f"graph of {n} pools")
        finally:
            free(tokens)
            free(starts)

    def __dealloc__(self):
        bare_free(&self.g)

    cdef int _check(self, uint32_t pool) except -1:
        if pool >= self.g.n_pools:
            raise IndexError(f"pool {pool}: the graph has {self.g.n_pools}")
        return 0

    def update(self, uint32_t pool, double lower, double upper):
        """A pool's new log prices, fee taken off: for its token of the lower id, and the other."""
        cdef double[2] log_price = [lower, upper]
        self._check(pool)
        bare_update(&self.g, pool, log_price)

    def scan(self, uint32_t pool, uint32_t max_hops):
        """How many cycles of best pools gain through a pool."""
        self._check(pool)
        return bare_scan(&self.g, pool, max_hops)

    def cycles(self, uint32_t pool, uint32_t max_hops):
        """How many cycles there are through a pool in one direction, parallel pools told apart."""
        self._check(pool)
        return bare_cycles(&self.g, pool, max_hops)

    def degrees(self, uint32_t pool):
        """How many neighbours the two tokens of a pool have, the fewer first."""
        cdef bare_pair *p
        self._check(pool)
        p = &self.g.pairs[self.g.pools[pool].pair]
        return tuple(sorted((bare_degree(&self.g, p.token[0]), bare_degree(&self.g, p.token[1]))))


# ---- one stream of events ----

APPLY, REFRESH, SEARCH, BARE = range(4)
"""What `ScanLoad.turn` does for each event: the table alone, with the search's new prices, with its
candidates; or the bare scan, which needs no table."""

cdef enum:
    N_HOPS = 3                    # 2, 3 or 4 of them
    SETTLED_TOKENS = 64           # at most, after an event: as the engine does

cdef struct scan_event:
    uint32_t pool                 # of the bare scan
    uint32_t slot                 # of the table
    uint32_t kind                 # enum event_kind
    double log_price[2]           # after it: from the token of the lower id, and back
    u256 word[3]                  # as the log has them, without a swap's amounts


cdef class ScanLoad:
    """Events replayed over and over on a table with its search, and on the bare scan.

    Args:
        search: its pools are in the graph; their states are overwritten.
        bare: the same market.
        events: (bare scan's pool, slot, words, log price from the token of the lower id, and back):
            two words make a V2 Sync, three (price, liquidity, tick) a V3 Swap. Words are modulo
            2**256.

    Events carry states, so that from the second turn on every turn is like the one before.
    """

    cdef readonly Search search
    cdef readonly BareScan bare
    cdef readonly uint32_t n
    cdef scan_event *events
    cdef int64_t *least[2]        # ns, by max_hops - 2 and event: the search, the bare scan
    cdef uint64_t block           # of the last event applied

    def __cinit__(self, Search search not None, BareScan bare not None, list events not None):
        cdef uint32_t i, j
        cdef scan_event *e
        self.search, self.bare, self.n, self.block = search, bare, len(events), 1 << 40
        self.events = <scan_event *>malloc(self.n * sizeof(scan_event) + 1)
        for i in range(2):
            self.least[i] = <int64_t *>malloc(N_HOPS * self.n * sizeof(int64_t) + 1)
        if self.events == NULL or self.least[0] == NULL or self.least[1] == NULL:
            raise MemoryError(f"{self.n} events")
        for i in range(N_HOPS * self.n):
            self.least[0][i] = self.least[1][i] = -1
        for i in range(self.n):
            e = &self.events[i]
            memset(e, 0, sizeof(scan_event))
            e.pool, e.slot, words, e.log_price[0], e.log_price[1] = events[i]
            bare._check(e.pool)
            search.table._check_slot(e.slot)
            if len(words) != 2 and len(words) != 3:
                raise ValueError(f"events[{i}]: expected 2 or 3 words, was {len(words)}")
            e.kind = <uint32_t>(EVENT_V2_SYNC if len(words) == 2 else EVENT_V3_SWAP)
            for j in range(len(words)):
                u256_from_pyint(&e.word[j], words[j])
        search.settle(search.n_tokens)

    def __dealloc__(self):
        free(self.events)
        free(self.least[0])
        free(self.least[1])

    cdef int apply(self, log_event *log, const scan_event *e) noexcept nogil:
        """The event, in a block of its own, on the table: enum apply_result."""
        cdef pool_slot *at = &self.search.table.t.slots[e.slot]
        cdef uint32_t i, slot, sync = e.kind == EVENT_V2_SYNC
        self.block += 1
        log.kind, log.block_number = e.kind, self.block
        log.n_words, log.n_topics = (2, 1) if sync else (5, 3)
        for i in range(20):
            log.address[i] = at.body.address[i]
        for i in range(2 if sync else 3):
            log.word[i if sync else i + 2] = e.word[i]
        return table_apply(&self.search.table.t, log, &slot)

    cdef void settle(self) noexcept nogil:
        """Empties the table's list of pools that moved, which nobody here asks for."""
        cdef uint32_t i
        for i in range(self.search.table.t.n_moved):
            self.search.table.t.slots[self.search.table.t.moved[i]].moved = 0
        self.search.table.t.n_moved = 0

    def answers(self, uint32_t first=0, last=None):
        """Events [first, last) on both, not timed: for each, candidates of the search and cycles of
        the bare scan. RuntimeError where one changes no slot."""
        cdef log_event log
        cdef uint32_t i, end = self.n if last is None else min(last, self.n)
        cdef scan_event *e
        found = []
        memset(&log, 0, sizeof(log))
        for i in range(first, end):
            e = &self.events[i]
            if self.apply(&log, e) != APPLY_CHANGED:
                raise RuntimeError(f"event {i} changed nothing")
            self.search.refresh(e.slot)
            self.search.begin()
            self.search.collect(&e.slot, 1)
            self.search.settle(SETTLED_TOKENS)
            bare_update(&self.bare.g, e.pool, e.log_price)
            found.append(
                (self.search.n_found, bare_scan(&self.bare.g, e.pool, self.search.max_hops)))
        self.settle()
        return found

    def turn(self, uint32_t what):
        """CPU ns of every event once, APPLY, REFRESH, SEARCH or BARE."""
        cdef log_event log
        cdef uint32_t i
        cdef int64_t start
        cdef volatile uint64_t sum = 0
        cdef scan_event *e
        memset(&log, 0, sizeof(log))
        with nogil:
            start = cpu_ns()
            for i in range(self.n):
                e = &self.events[i]
                if what == 3:
                    bare_update(&self.bare.g, e.pool, e.log_price)
                    sum += bare_scan(&self.bare.g, e.pool, self.search.max_hops)
                    continue
                self.apply(&log, e)
                if what >= 1:
                    self.search.refresh(e.slot)
                if what == 2:
                    self.search.begin()
                    self.search.collect(&e.slot, 1)
                    self.search.settle(SETTLED_TOKENS)
            start = cpu_ns() - start
            self.settle()
        return start

    def each(self):
        """Every event once, both timed one event at a time, in turn first; keeps the least of each
        for the hops that the search is set to."""
        cdef log_event log
        cdef uint32_t at = (self.search.max_hops - 2) * self.n
        cdef uint32_t i, k, which
        cdef int64_t start
        cdef volatile uint64_t sum = 0
        cdef scan_event *e
        memset(&log, 0, sizeof(log))
        with nogil:
            for i in range(self.n):
                e = &self.events[i]
                self.apply(&log, e)
                for k in range(2):
                    which = (k + i) & 1
                    start = now_ns()
                    if which == 0:
                        self.search.refresh(e.slot)
                        self.search.begin()
                        self.search.collect(&e.slot, 1)
                    else:
                        bare_update(&self.bare.g, e.pool, e.log_price)
                        sum += bare_scan(&self.bare.g, e.pool, self.search.max_hops)
                    start = now_ns() - start
                    if self.least[which][at + i] < 0 or start < self.least[which][at + i]:
                        self.least[which][at + i] = start
                # As in the engine: once the event's transaction would be on its way.
                self.search.settle(SETTLED_TOKENS)
            self.settle()

    def samples(self, uint32_t max_hops):
        """The least ns that `each` read for each event with so many hops, -1 where it never ran:
        (search, bare scan), the clock included."""
        cdef uint32_t i, at = (max_hops - 2) * self.n
        if not 2 <= max_hops <= 4:
            raise ValueError(f"max_hops: expected 2 to 4, was {max_hops}")
        return ([self.least[0][at + i] for i in range(self.n)],
                [self.least[1][at + i] for i in range(self.n)])
