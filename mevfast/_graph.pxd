"""The token graph's C face."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from mevfast._cache cimport Table
from mevfast._slots cimport slot_body
from mevfast.types cimport pool_state


cdef enum:
    MOST_STARTS = 32

cdef uint32_t NO_LINK
cdef uint32_t NO_PAIR
cdef uint32_t NO_SLOT

# A pool between two of its tokens; one of n tokens has n (n - 1) / 2, one behind the other.
cdef packed struct pool_link:
    double price[2]               # log of the most a -> b and b -> a can pay; minus infinity: nothing
    uint32_t slot
    uint32_t pair                 # where free: the next free one
    uint8_t index[2]              # of the pair's a and b among the pool's tokens

cdef struct token_pair:
    # What the scan asks for, by [a -> b, b -> a], so that it seldom touches a pool.
    double best[2]                # the best log price, minus infinity where there is none
    uint32_t first[2]             # the slot of the best one
    uint32_t token[2]             # ids, a < b
    uint32_t at[2]                # where the pair stands among a's edges, and among b's
    uint32_t links_at             # in Graph.orders: cap links, best a -> b first; cap, best b -> a first
    uint16_t n, cap

# A token's edges: columns of one block of memory, so that a walk reads what it compares and no more.
# By edge: the other token, the pair, what swapping into the other token gains by the potentials, and
# what swapping back gains, rounded up; reached by the functions below.
cdef struct token_node:
    uint32_t *columns
    uint32_t n, cap
    int32_t start_rank            # place among the start tokens, -1: cycles never start here
    uint8_t loose                 # its most_out or most_back may be too high: the edge that had it lost some
    uint8_t anchored              # the potential means something
    uint8_t skewed                # is in the list of that name,
    uint8_t gains                 # and in that of the tokens with an edge that gains
    double potential              # log of what a unit is worth, by some common unit

# Pools as they would be after plans: borrowed while `Graph.advanced` is not NULL.
cdef struct advanced_pool:
    uint32_t slot
    pool_state state

cdef inline uint32_t *edge_token(const token_node *node) noexcept nogil:
    return node.columns


cdef inline uint32_t *edge_pair(const token_node *node) noexcept nogil:
    return node.columns + node.cap


cdef inline float *edge_out(const token_node *node) noexcept nogil:
    return <float *>(node.columns + 2 * node.cap)


cdef inline float *edge_back(const token_node *node) noexcept nogil:
    return <float *>(node.columns + 3 * node.cap)


cdef uint32_t token_of(const slot_body *body, uint32_t index) noexcept nogil


cdef class Graph:
    cdef readonly Table table
    cdef token_node *nodes
    cdef uint32_t n_tokens, cap_tokens
    cdef token_pair *pairs
    cdef readonly uint32_t n_pairs
    cdef uint32_t cap_pairs
    cdef uint32_t *pair_index     # open addressing over (a, b)
    cdef uint32_t pair_mask
    cdef pool_link *links
    cdef uint32_t n_links, cap_links
    cdef uint32_t free_links[9]   # by the pool's number of tokens: heads of lists, NO_LINK: none
    cdef uint32_t *first_link     # by slot: NO_LINK where the pool is not in the graph
    cdef uint32_t *orders         # what pairs' links_at point into
    cdef uint32_t n_orders, cap_orders
    cdef uint32_t free_orders[32] # by the logarithm of cap: heads of lists, NO_LINK: none
    cdef readonly uint32_t n_pools
    cdef float *most_out          # by token: none of its edges gains more,
    cdef float *most_back         # and none back into it
    cdef float most               # no edge of any token gains more; 0 or more
    cdef uint32_t *gaining        # every token whose most_out is above 0, and lately was
    cdef uint32_t n_gaining
    cdef bint adrift              # parts with potentials of their own have met
    cdef uint32_t *skewed         # tokens to be looked at by `settle`
    cdef uint32_t n_skewed
    cdef uint32_t start[MOST_STARTS] # token ids by start rank
    cdef uint32_t n_starts
    cdef uint32_t base_token      # the gas token's wrapped form
    cdef bint rates_due           # pools between start tokens have moved
    cdef advanced_pool *advanced  # NULL but while pools are looked at as plans leave them
    cdef uint32_t n_advanced

    cdef int _grow(self, uint32_t token) except -1
    cdef int _link(self, uint32_t token, uint32_t other, uint32_t pair) except -1
    cdef uint32_t _pair(self, uint32_t a, uint32_t b) except? 0xffffffff
    cdef uint32_t _new_links(self, uint32_t n_tokens) except? 0xffffffff
    cdef uint32_t _new_order(self, uint32_t cap) except? 0xffffffff
    cdef int _widen_index(self) except -1
    cdef int _join(self, token_pair *p, uint32_t link) except -1
    cdef bint knows(self, uint32_t slot) noexcept nogil
    cdef uint32_t find_pair(self, uint32_t a, uint32_t b) noexcept nogil
    cdef void view(self, uint32_t slot, pool_state *state, bint swaps) noexcept nogil
    cdef void sort_in(self, uint32_t *order, uint32_t n, uint32_t link, int way) noexcept nogil
    cdef void note_best(self, token_pair *p) noexcept nogil
    cdef void note_edges(self, const token_pair *p) noexcept nogil
    cdef void set_edge(self, uint32_t token, uint32_t at, float out, float back) noexcept nogil
    cdef void anchor_pair(self, const token_pair *p) noexcept nogil
    cdef void reprice(self, uint32_t link, double there, double back) noexcept nogil
    cdef void refresh(self, uint32_t slot) noexcept nogil
    cdef void tighten(self, uint32_t token) noexcept nogil
    cdef void note_skew(self, uint32_t token, uint32_t at) noexcept nogil
    cdef void shift(self, uint32_t token, double by) noexcept nogil
    cdef void anchor(self) noexcept nogil
    cdef void settle(self, uint32_t most_tokens) noexcept nogil
