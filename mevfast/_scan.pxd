"""The edge scan's C face."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from mevfast._graph cimport pool_link
from mevfast._rates cimport Rates
from mevfast._size cimport swap_way, virtual_pool


cdef enum:
    MAX_HOPS = 4
    MAX_CANDIDATES = 8192
    N_BLOOM_EVENTS = 5
    KNOWN_DEPTHS = 1024

# Why a candidate did not become a plan, or a plan no transaction.
cdef enum drop_reason:
    DROP_BELOW_MARGIN
    DROP_CANDIDATE_LIMIT
    DROP_STALE
    DROP_QUARANTINED
    DROP_IN_FLIGHT
    DROP_INCOMPLETE_BLOCK
    DROP_REFUSED_QUOTE
    DROP_UNPROFITABLE
    DROP_NO_PRICE
    DROP_NO_FUNDING
    DROP_BELOW_MINIMUM
    DROP_SHARES_POOL
    DROP_PLAN_LIMIT
    DROP_DUPLICATE
    DROP_DEADLINE
    DROP_RISK
    DROP_SHADOW
    N_DROP_REASONS

cdef struct hop_edge:
    uint32_t slot
    uint32_t token_in
    uint8_t index_in, index_out   # of the tokens among the pool's

cdef struct candidate:
    uint32_t n_hops
    hop_edge hop[MAX_HOPS]        # the first one takes the start token
    double log_gain               # sum of the log prices, fees taken off
    double estimate               # profit by the closed form, base token wei; orders the work
    double bound                  # what it cannot exceed; infinity where nothing is known
    virtual_pool whole            # all its swaps as one
    double most                   # the same net of the least gas, while solving

# Where the swaps after the first one, x -> y, lead: from y back to x.
cdef struct way_back:
    hop_edge *hop                 # hop[0] is the first one
    double gain                   # its log price
    uint32_t x, y                 # token ids
    uint32_t fixed                # the pair of one of three swaps back, NO_PAIR: there are but two
    bint fixed_first              # it is the first of them, else the last

# What virtual_of said of a slot at a count of its sequence lock.
cdef struct known_depth:
    uint32_t slot, sequence
    swap_way way
    virtual_pool now, deepest


cdef class Scan(Rates):
    cdef uint32_t max_hops        # 2-4
    cdef double min_log_gain      # the margin of the screen
    cdef uint8_t *in_flight       # by slot: transactions of ours under way on it
    cdef uint8_t *scanned         # by slot: its cycles are in `found` already
    cdef uint16_t *bloom_bits     # by slot: three bit numbers of its address
    cdef const uint8_t *bloom     # 256 bytes of the open block's head, NULL where closed; borrowed
    cdef uint64_t bloom_block
    cdef uint16_t event_bits[N_BLOOM_EVENTS][3]
    cdef known_depth depths[KNOWN_DEPTHS]
    cdef candidate *found
    cdef uint32_t n_found
    cdef readonly uint64_t n_candidates
    cdef uint64_t drops[N_DROP_REASONS]

    cdef bint awaited(self, uint32_t slot) noexcept nogil
    cdef uint32_t missing(self, const uint8_t *bloom, uint64_t block) noexcept nogil
    cdef void begin(self) noexcept nogil
    cdef double best_other(self, uint32_t pair, uint32_t token_in, uint32_t slot) noexcept nogil
    cdef void collect(self, const uint32_t *slots, uint32_t n) noexcept nogil
    cdef void scan(self, const pool_link *link, int way) noexcept nogil
    cdef uint32_t joined(self, uint32_t a, uint32_t b, float cap) noexcept nogil
    cdef void meet(self, const way_back *back, uint32_t u, uint32_t w, double leg, float cap_u,
                   float cap_w) noexcept nogil
    cdef void walk(self, const way_back *back, uint32_t u, uint32_t w, bint out, float limit,
                   float cap, float cap_other) noexcept nogil
    cdef void scan_four(self, way_back *back, double start) noexcept nogil
    cdef void scan_from(self, way_back *back, uint32_t token, uint32_t pair, bint first, double leg,
                        float cap_u, float cap_w) noexcept nogil
    cdef void scan_middle(self, way_back *back, double start, bint forward,
                          float cap) noexcept nogil
    cdef void try_way(self, const way_back *back, uint32_t pair, uint32_t next) noexcept nogil
    cdef void expand(self, hop_edge *hop, uint32_t y, const uint32_t *path, uint32_t n,
                     double gain) noexcept nogil
    cdef void keep(self, const hop_edge *hop, uint32_t n, double gain) noexcept nogil
    cdef void look_up(self, uint32_t slot, swap_way way, virtual_pool *now,
                      virtual_pool *deepest) noexcept nogil
    cdef void sort(self) noexcept nogil
    cdef void halve(self) noexcept nogil
