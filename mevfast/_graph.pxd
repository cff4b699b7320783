"""The token graph's C face."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from mevfast._cache cimport Table
from mevfast._size cimport virtual_pool


cdef enum:
    MAX_HOPS = 4
    MAX_CANDIDATES = 8192

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
    DROP_RISK
    DROP_SHADOW
    N_DROP_REASONS

cdef struct pair_edge:
    uint32_t token                # the other token
    uint32_t pair

cdef struct token_pair:
    uint32_t a, b                 # token ids, a < b
    uint32_t n, cap
    uint32_t *forward             # slots, best price a -> b first
    uint32_t *backward            # slots, best price b -> a first
    # What the scan asks for, by [forward, backward], so that it touches no slot.
    uint32_t first[2]             # the best slot
    double best[2]                # its log price, minus infinity where there is none
    double second[2]              # and the next one's
    double per_base               # other tokens for one base token in the deepest pool; 0: none

cdef struct token_node:
    uint32_t n, cap
    pair_edge *edges              # ascending by token id
    int32_t start_rank            # place among the start tokens, -1: cycles never start here

cdef struct hop_edge:
    uint32_t slot
    uint32_t token_in
    uint8_t zero_for_one

cdef struct candidate:
    uint32_t n_hops
    hop_edge hop[MAX_HOPS]        # the first one takes the start token
    double log_gain               # sum of the log marginal prices, fees taken off
    double estimate               # profit by the closed form, base token wei; orders the work
    double bound                  # what it cannot exceed; infinity where nothing is known
    double most                   # the same net of the least gas, while solving

cdef uint32_t NO_PAIR


cdef class Graph:
    cdef readonly Table table
    cdef token_node *nodes
    cdef uint8_t *token_bytes     # 20 by token id
    cdef uint32_t n_tokens
    cdef token_pair *pairs
    cdef uint32_t n_pairs, cap_pairs
    cdef uint32_t *pair_index     # open addressing over (a, b)
    cdef uint32_t pair_mask
    cdef uint32_t base_token      # the gas token's wrapped form
    cdef uint32_t max_hops        # 2-4
    cdef double min_log_gain      # the margin of the screen
    cdef double *log_price[2]     # by slot: [zero_for_one], minus infinity where there is none
    cdef virtual_pool *depth      # by slot: what the estimate is made from
    cdef virtual_pool *deepest    # by slot: what the bound is made from
    cdef uint8_t *known           # by slot: the pool is in the graph,
    cdef uint32_t *pair_of        # and in which pair
    cdef uint8_t *in_flight       # by slot: transactions of ours under way on it
    cdef uint16_t *bloom_bits     # by slot: three bit numbers of its address
    cdef const uint8_t *bloom     # 256 bytes of the open block's head, NULL where closed; borrowed
    cdef uint64_t bloom_block
    cdef candidate *found
    cdef uint32_t n_found
    cdef uint8_t *scanned         # by slot: its cycles are in `found` already
    cdef readonly uint64_t n_candidates
    cdef uint64_t drops[N_DROP_REASONS]

    cdef int _grow(self, uint32_t token) except -1
    cdef int _link(self, uint32_t token, uint32_t other, uint32_t pair) except -1
    cdef uint32_t _pair(self, uint32_t a, uint32_t b) except? 0xffffffff
    cdef uint32_t find_pair(self, uint32_t a, uint32_t b) noexcept nogil
    cdef double price_of(self, uint32_t slot, uint32_t token_in) noexcept nogil
    cdef void sort_in(self, uint32_t *slots, uint32_t n, uint32_t slot,
                      uint32_t token_in) noexcept nogil
    cdef void note_best(self, token_pair *p) noexcept nogil
    cdef void note_rate(self, token_pair *p) noexcept nogil
    cdef void refresh(self, uint32_t slot) noexcept nogil
    cdef void begin(self) noexcept nogil
    cdef double best_other(self, uint32_t pair, uint32_t token_in, uint32_t slot) noexcept nogil
    cdef bint awaited(self, uint32_t slot) noexcept nogil
    cdef void collect(self, const uint32_t *slots, uint32_t n) noexcept nogil
    cdef double price_in_base(self, uint32_t token) noexcept nogil
    cdef void scan(self, uint32_t slot, uint32_t x, uint32_t y) noexcept nogil
    cdef void scan_four(self, uint32_t slot, uint32_t x, uint32_t y, double gain) noexcept nogil
    cdef void expand(self, uint32_t slot, uint32_t x, uint32_t y, const uint32_t *path,
                     uint32_t n, double gain) noexcept nogil
    cdef void keep(self, const hop_edge *hop, uint32_t n, double gain) noexcept nogil
