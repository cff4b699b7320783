"""The token graph: which pools join which tokens, and what a swap through the best of them gains.

Pools are collapsed to token pairs, and each pair keeps its pools sorted by marginal log price in
both directions. A pool of n tokens joins each two of them.

Every token has a potential, the log of what a unit of it is worth. What a swap gains is its log
price and the potential of what comes out less that of what goes in: about minus the fee wherever
prices agree. Potentials cancel over a cycle, whatever they are, so the sum of gains is the cycle's
log price; but single gains can be compared with each other, and what all edges of a token gain at
most bounds what a way through it can add. That is how `_scan` passes nearly everything over.

Prices are doubles and screen only. A log price is an upper bound of what the pool pays for an input
at all, so that no cycle which pays is missed.
"""

from libc.math cimport INFINITY, fabs, log
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from mevfast._cache cimport Table
from mevfast._pool cimport pool_price_bound
from mevfast._slots cimport (
    kind_wide_bytes,
    slot_body,
    table_view,
    table_view_swaps,
)
from mevfast.types cimport pool_state

cdef uint32_t NO_LINK = 0xffffffff
cdef uint32_t NO_PAIR = 0xffffffff
cdef uint32_t NO_SLOT = 0xffffffff

cdef float SKEW = 0.002      # of a token's edges, beyond which its potential is moved
cdef uint32_t SAMPLED = 31   # edges that a token's skew is the median of
cdef uint32_t MOST_OF_A_PAIR = 1 << 14
cdef double ADRIFT = 1.0     # potentials that disagree by so much were never compared

cdef extern from "edges.h" nogil:
    float edges_most(const float *x, uint32_t n) noexcept
    float float_above(double x) noexcept


cdef uint32_t pair_hash(uint32_t a, uint32_t b) noexcept nogil:
    return <uint32_t>(((<uint64_t>a << 32 | b) * <uint64_t>0x9e3779b97f4a7c15) >> 32)


cdef uint32_t class_of(uint32_t cap) noexcept nogil:
    """The logarithm of a power of two."""
    cdef uint32_t n = 0
    while 1 << n < cap:
        n += 1
    return n


cdef uint32_t token_of(const slot_body *body, uint32_t index) noexcept nogil:
    """A pool's token by its index in the pool."""
    if kind_wide_bytes(body.kind):
        return body.wide.token[index]
    return body.token1 if index else body.token0


cdef void take_out(uint32_t *order, uint32_t n, uint32_t link) noexcept nogil:
    """Closes the gap that a link leaves among n."""
    cdef uint32_t i = 0
    while order[i] != link:
        i += 1
    memmove(&order[i], &order[i + 1], (n - i - 1) * sizeof(uint32_t))


cdef void *grown(void *memory, size_t n, size_t size, str what) except NULL:
    """Room for n of a size; MemoryError says of what."""
    memory = realloc(memory, n * size)
    if memory == NULL:
        raise MemoryError(f"{n} {what}")
    return memory


cdef class Graph:
    """The market as a graph over a Table's pools.

    Args:
        table: the reserve table; every pool put into it must be added here with `add_pool`.
        start_tokens: addresses (20 bytes); cycles start and profit is counted in these, a cycle
            through several of them in the one named first.
        base_token: the gas token's wrapped form; gas and minimum profit are counted in it.
    """

    def __cinit__(self, Table table, list start_tokens, bytes base_token):
        cdef uint32_t size = 256, i
        self.table = table
        while size < 2 * table.t.capacity:
            size *= 2
        self.pair_mask = size - 1
        self.pair_index = <uint32_t *>malloc(size * sizeof(uint32_t))
        self.first_link = <uint32_t *>malloc(table.t.capacity * sizeof(uint32_t))
        if self.pair_index == NULL or self.first_link == NULL:
            raise MemoryError(f"graph of {table.t.capacity} pools")
        memset(self.pair_index, 0xff, size * sizeof(uint32_t))
        memset(self.first_link, 0xff, table.t.capacity * sizeof(uint32_t))
        memset(self.free_links, 0xff, sizeof(self.free_links))
        memset(self.free_orders, 0xff, sizeof(self.free_orders))
        start_tokens = list(dict.fromkeys(start_tokens))
        if len(start_tokens) > MOST_STARTS:
            raise ValueError(
                f"start tokens: expected at most {MOST_STARTS}, was {len(start_tokens)}")
        self.n_starts = len(start_tokens)
        for i in range(self.n_starts):
            self.start[i] = table.add_token(start_tokens[i])
            self._grow(self.start[i])
            self.nodes[self.start[i]].start_rank = i
        self.base_token = table.add_token(base_token)
        self._grow(self.base_token)
        self.rates_due = True

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.n_tokens):
            free(self.nodes[i].columns)
        free(self.nodes)
        free(self.most_out)
        free(self.most_back)
        free(self.skewed)
        free(self.gaining)
        free(self.pairs)
        free(self.pair_index)
        free(self.links)
        free(self.first_link)
        free(self.orders)

    # ---- building ----

    cdef int _grow(self, uint32_t token) except -1:
        """Makes room for a token id."""
        cdef uint32_t wanted = token + 1, cap, i
        if wanted > self.cap_tokens:
            cap = max(wanted, self.cap_tokens + self.cap_tokens // 8)
            self.nodes = <token_node *>grown(self.nodes, cap, sizeof(token_node), "tokens")
            self.most_out = <float *>grown(self.most_out, cap, sizeof(float), "tokens")
            self.most_back = <float *>grown(self.most_back, cap, sizeof(float), "tokens")
            self.skewed = <uint32_t *>grown(self.skewed, cap, sizeof(uint32_t), "tokens")
            self.gaining = <uint32_t *>grown(self.gaining, cap, sizeof(uint32_t), "tokens")
            self.cap_tokens = cap
        for i in range(self.n_tokens, wanted):
            memset(&self.nodes[i], 0, sizeof(token_node))
            self.nodes[i].start_rank = -1
            self.most_out[i] = self.most_back[i] = -INFINITY
        self.n_tokens = max(self.n_tokens, wanted)
        return 0

    cdef int _link(self, uint32_t token, uint32_t other, uint32_t pair) except -1:
        """One more edge of a token: where it stands."""
        cdef token_node *node = &self.nodes[token]
        cdef uint32_t cap = 2, n = node.n
        cdef uint32_t *columns
        cdef uint32_t i
        if n == node.cap:
            cap = max(cap, n + n // 2)
            columns = <uint32_t *>malloc(4 * cap * sizeof(uint32_t))
            if columns == NULL:
                raise MemoryError(f"{cap} edges")
            for i in range(4 if n else 0):
                memcpy(columns + i * cap, node.columns + i * n, n * sizeof(uint32_t))
            free(node.columns)
            node.columns, node.cap = columns, cap
        edge_token(node)[n], edge_pair(node)[n] = other, pair
        edge_out(node)[n] = edge_back(node)[n] = -INFINITY
        node.n += 1
        return n

    cdef uint32_t _pair(self, uint32_t a, uint32_t b) except? 0xffffffff:
        """The pair of two tokens, a < b, made on first sight."""
        cdef uint32_t pair = self.find_pair(a, b), i
        cdef token_pair *p
        if pair != NO_PAIR:
            return pair
        if 2 * self.n_pairs > self.pair_mask:
            self._widen_index()
        if self.n_pairs == self.cap_pairs:
            self.cap_pairs = max(64, self.cap_pairs + self.cap_pairs // 8)
            self.pairs = <token_pair *>grown(
                self.pairs, self.cap_pairs, sizeof(token_pair), "pairs")
        pair = self.n_pairs
        p = &self.pairs[pair]
        memset(p, 0, sizeof(token_pair))
        p.token[0], p.token[1] = a, b
        p.at[0] = self._link(a, b, pair)
        p.at[1] = self._link(b, a, pair)
        self.n_pairs += 1
        self.note_best(p)
        i = pair_hash(a, b) & self.pair_mask
        while self.pair_index[i] != NO_PAIR:
            i = (i + 1) & self.pair_mask
        self.pair_index[i] = pair
        return pair

    cdef int _widen_index(self) except -1:
        """Twice the room for pairs: pools of many tokens make more pairs than there are pools."""
        cdef uint32_t size = 2 * (self.pair_mask + 1), pair, i
        self.pair_index = <uint32_t *>grown(
            self.pair_index, size, sizeof(uint32_t), "places of pairs")
        memset(self.pair_index, 0xff, size * sizeof(uint32_t))
        self.pair_mask = size - 1
        for pair in range(self.n_pairs):
            i = pair_hash(self.pairs[pair].token[0], self.pairs[pair].token[1]) & self.pair_mask
            while self.pair_index[i] != NO_PAIR:
                i = (i + 1) & self.pair_mask
            self.pair_index[i] = pair
        return 0

    cdef uint32_t _new_links(self, uint32_t n_tokens) except? 0xffffffff:
        """Room for the links of a pool of n tokens."""
        cdef uint32_t n = n_tokens * (n_tokens - 1) // 2, first = self.free_links[n_tokens]
        if first != NO_LINK:
            self.free_links[n_tokens] = self.links[first].pair
            return first
        if self.n_links + n > self.cap_links:
            self.cap_links = max(self.n_links + n, max(64, self.cap_links + self.cap_links // 8))
            self.links = <pool_link *>grown(self.links, self.cap_links, sizeof(pool_link), "links")
        first = self.n_links
        self.n_links += n
        return first

    cdef uint32_t _new_order(self, uint32_t cap) except? 0xffffffff:
        """Room for the two orders of `cap` links, a power of two."""
        cdef uint32_t rank = class_of(cap), at = self.free_orders[rank]
        if at != NO_LINK:
            self.free_orders[rank] = self.orders[at]
            return at
        if self.n_orders + 2 * cap > self.cap_orders:
            self.cap_orders = max(self.n_orders + 2 * cap,
                                  max(256, self.cap_orders + self.cap_orders // 8))
            self.orders = <uint32_t *>grown(self.orders, self.cap_orders, sizeof(uint32_t), "links")
        at = self.n_orders
        self.n_orders += 2 * cap
        return at

    cdef int _join(self, token_pair *p, uint32_t link) except -1:
        """Adds a link without a price at the end of both orders."""
        cdef uint32_t cap, at
        if p.n == MOST_OF_A_PAIR:
            raise MemoryError(f"expected at most {MOST_OF_A_PAIR} pools of two tokens")
        if p.n == p.cap:
            cap = 2 * p.cap if p.cap else 1
            at = self._new_order(cap)
            if p.cap:
                memcpy(&self.orders[at], &self.orders[p.links_at], p.n * sizeof(uint32_t))
                memcpy(&self.orders[at + cap], &self.orders[p.links_at + p.cap],
                       p.n * sizeof(uint32_t))
                self.orders[p.links_at] = self.free_orders[class_of(p.cap)]
                self.free_orders[class_of(p.cap)] = p.links_at
            p.links_at, p.cap = at, cap
        self.orders[p.links_at + p.n] = link
        self.orders[p.links_at + p.cap + p.n] = link
        p.n += 1
        return 0

    def add_pool(self, uint32_t slot):
        """Adds the pool of a table slot, or takes note that its state was loaded again."""
        cdef slot_body *body
        cdef pool_link *link
        cdef uint32_t first, i, j, a, b, pair
        self.table._check_slot(slot)
        body = &self.table.t.slots[slot].body
        if not self.knows(slot):
            for i in range(body.n_tokens):
                self._grow(token_of(body, i))
            first = self._new_links(body.n_tokens)
            self.first_link[slot] = first
            for i in range(body.n_tokens):
                for j in range(i + 1, body.n_tokens):
                    a, b = token_of(body, i), token_of(body, j)
                    pair = self._pair(min(a, b), max(a, b))
                    link = &self.links[first]
                    link.slot, link.pair = slot, pair
                    link.index[0], link.index[1] = (i, j) if a < b else (j, i)
                    link.price[0] = link.price[1] = -INFINITY
                    self._join(&self.pairs[pair], first)
                    first += 1
            self.n_pools += 1
        self.refresh(slot)
        for i in range(body.n_tokens * (body.n_tokens - 1) // 2):
            self.anchor_pair(&self.pairs[self.links[self.first_link[slot] + i].pair])

    def refresh_pool(self, uint32_t slot):
        """Takes note that a slot changed otherwise than by an event; nothing where it is not in."""
        self.table._check_slot(slot)
        self.refresh(slot)

    def remove_pool(self, uint32_t slot):
        """Takes a pool out; nothing happens where it is not in. To be called before its slot is
        given to another, and once no transaction through it is under way."""
        cdef token_pair *p
        cdef uint32_t n_tokens, first, i
        if slot >= self.table.t.capacity:
            raise IndexError(f"slot {slot}: the table has room for {self.table.t.capacity}")
        if not self.knows(slot):
            return
        n_tokens, first = self.table.t.slots[slot].body.n_tokens, self.first_link[slot]
        for i in range(first, first + n_tokens * (n_tokens - 1) // 2):
            p = &self.pairs[self.links[i].pair]
            take_out(&self.orders[p.links_at], p.n, i)
            take_out(&self.orders[p.links_at + p.cap], p.n, i)
            p.n -= 1
            self.note_best(p)
        self.links[first].pair = self.free_links[n_tokens]
        self.free_links[n_tokens] = first
        self.first_link[slot] = NO_LINK
        self.n_pools -= 1
        self.rates_due = True

    def graph_bytes(self):
        """Memory that the graph takes beside the table, bytes."""
        cdef uint32_t i
        cdef uint64_t edges = 0
        for i in range(self.n_tokens):
            edges += self.nodes[i].cap
        return (
            16 * edges + self.cap_tokens * (sizeof(token_node) + 4 * sizeof(float))
            + self.cap_pairs * sizeof(token_pair) + (self.pair_mask + 1) * sizeof(uint32_t)
            + self.cap_links * sizeof(pool_link) + self.cap_orders * sizeof(uint32_t)
            + self.table.t.capacity * sizeof(uint32_t))

    # ---- looking up ----

    cdef bint knows(self, uint32_t slot) noexcept nogil:
        return self.first_link[slot] != NO_LINK

    cdef uint32_t find_pair(self, uint32_t a, uint32_t b) noexcept nogil:
        """The pair of two tokens, a < b, or NO_PAIR."""
        cdef uint32_t i = pair_hash(a, b) & self.pair_mask
        cdef uint32_t pair
        while True:
            pair = self.pair_index[i]
            if pair == NO_PAIR or (
                    self.pairs[pair].token[0] == a and self.pairs[pair].token[1] == b):
                return pair
            i = (i + 1) & self.pair_mask

    cdef void view(self, uint32_t slot, pool_state *state, bint swaps) noexcept nogil:
        """A pool's state, as plans leave it where they are looked at; `swaps`: to be quoted."""
        cdef uint32_t i
        if self.advanced != NULL:
            for i in range(self.n_advanced):
                if self.advanced[i].slot == slot:
                    state[0] = self.advanced[i].state
                    return
        if swaps:
            table_view_swaps(&self.table.t, slot, state)
        else:
            table_view(&self.table.t, slot, state)

    # ---- keeping order ----

    cdef void sort_in(self, uint32_t *order, uint32_t n, uint32_t link, int way) noexcept nogil:
        """Moves one link to its place among its pair's, best price first, then lowest slot."""
        cdef uint32_t i
        cdef double price = self.links[link].price[way]
        cdef const pool_link *other
        take_out(order, n, link)
        i = n - 1
        while i > 0:
            other = &self.links[order[i - 1]]
            if other.price[way] > price or (
                    other.price[way] == price and other.slot < self.links[link].slot):
                break
            order[i] = order[i - 1]
            i -= 1
        order[i] = link

    cdef void note_best(self, token_pair *p) noexcept nogil:
        """Copies the first two prices of each order to where the scan reads them."""
        cdef const pool_link *first
        cdef int way
        for way in range(2):
            if p.n == 0:
                p.first[way] = NO_SLOT
                p.best[way] = -INFINITY
                continue
            first = &self.links[self.orders[p.links_at + way * p.cap]]
            p.first[way], p.best[way] = first.slot, first.price[way]
        self.note_edges(p)

    cdef void note_edges(self, const token_pair *p) noexcept nogil:
        """Tells both tokens what swaps between them gain."""
        cdef double gap = self.nodes[p.token[1]].potential - self.nodes[p.token[0]].potential
        cdef float there = float_above(p.best[0] + gap), back = float_above(p.best[1] - gap)
        self.set_edge(p.token[0], p.at[0], there, back)
        self.set_edge(p.token[1], p.at[1], back, there)

    cdef void set_edge(self, uint32_t token, uint32_t at, float out, float back) noexcept nogil:
        cdef token_node *node = &self.nodes[token]
        cdef float had_out = edge_out(node)[at], had_back = edge_back(node)[at]
        edge_out(node)[at], edge_back(node)[at] = out, back
        if out >= self.most_out[token]:
            self.most_out[token] = out
            if out > 0.0:
                self.most = max(self.most, out)
                if not node.gains:
                    node.gains = True
                    self.gaining[self.n_gaining] = token
                    self.n_gaining += 1
        elif had_out >= self.most_out[token]:
            node.loose = True
        if back >= self.most_back[token]:
            self.most_back[token] = back
        elif had_back >= self.most_back[token]:
            node.loose = True

    cdef void reprice(self, uint32_t link, double there, double back) noexcept nogil:
        """New log prices of a link, a -> b and b -> a."""
        cdef pool_link *l = &self.links[link]
        cdef token_pair *p = &self.pairs[l.pair]
        l.price[0], l.price[1] = there, back
        if p.n > 1:
            self.sort_in(&self.orders[p.links_at], p.n, link, 0)
            self.sort_in(&self.orders[p.links_at + p.cap], p.n, link, 1)
        self.note_best(p)
        self.note_skew(p.token[0], p.at[0])
        self.note_skew(p.token[1], p.at[1])
        # A pool between two that are priced in each other, or in the base token, moves rates.
        if (self.nodes[p.token[0]].start_rank >= 0 or p.token[0] == self.base_token) and (
                self.nodes[p.token[1]].start_rank >= 0 or p.token[1] == self.base_token):
            self.rates_due = True

    cdef void refresh(self, uint32_t slot) noexcept nogil:
        """Takes a pool's new prices over: to be called after its slot changed.

        A pool of the table that was never added here is left alone.
        """
        cdef const slot_body *body = &self.table.t.slots[slot].body
        cdef const pool_link *link
        cdef pool_state state
        cdef double there, back
        cdef uint32_t i, n
        if not self.knows(slot):
            return
        n = body.n_tokens * (body.n_tokens - 1) // 2
        self.view(slot, &state, False)
        for i in range(self.first_link[slot], self.first_link[slot] + n):
            link = &self.links[i]
            there = pool_price_bound(&state, link.index[0], link.index[1])
            back = pool_price_bound(&state, link.index[1], link.index[0])
            self.reprice(i, log(there) if there > 0.0 else -INFINITY,
                         log(back) if back > 0.0 else -INFINITY)

    # ---- potentials ----

    cdef void tighten(self, uint32_t token) noexcept nogil:
        """Finds anew what a token's edges gain at most."""
        cdef token_node *node = &self.nodes[token]
        self.most_out[token] = edges_most(edge_out(node), node.n)
        self.most_back[token] = edges_most(edge_back(node), node.n)
        node.loose = False

    cdef void anchor_pair(self, const token_pair *p) noexcept nogil:
        """Gives the tokens of a priced pair potentials by its price, where they have none yet."""
        cdef token_node *a = &self.nodes[p.token[0]]
        cdef token_node *b = &self.nodes[p.token[1]]
        cdef double middle
        if p.best[0] == -INFINITY or p.best[1] == -INFINITY:
            return
        middle = 0.5 * (p.best[1] - p.best[0])  # the potential of b over a's
        if a.anchored and b.anchored:
            if fabs(b.potential - a.potential - middle) > ADRIFT:
                self.adrift = True
        elif b.anchored:
            self.shift(p.token[0], b.potential - middle - a.potential)
        else:
            self.shift(p.token[1], a.potential + middle - b.potential)
        a.anchored = b.anchored = True

    cdef void note_skew(self, uint32_t token, uint32_t at) noexcept nogil:
        """Notes a token for `settle` where an edge says that its potential may be off."""
        cdef token_node *node = &self.nodes[token]
        cdef float out = edge_out(node)[at], back = edge_back(node)[at]
        if not node.skewed and fabs(out - back) > 2.0 * SKEW and out > -INFINITY \
                and back > -INFINITY:
            node.skewed = True
            self.skewed[self.n_skewed] = token
            self.n_skewed += 1

    cdef void shift(self, uint32_t token, double by) noexcept nogil:
        """Moves a token's potential: its edges gain that much less, those back that much more."""
        cdef token_node *node = &self.nodes[token]
        cdef uint32_t i
        node.potential += by
        for i in range(node.n):
            self.note_edges(&self.pairs[edge_pair(node)[i]])
        self.tighten(token)

    cdef void anchor(self) noexcept nogil:
        """Gives all potentials anew, from each token on to those that it is priced in."""
        cdef token_node *node
        cdef const token_pair *p
        cdef uint32_t token, other, i, next = 0, root
        for token in range(self.n_tokens):
            self.nodes[token].anchored = False
            self.nodes[token].skewed = False
        self.n_skewed = 0  # the list serves as the queue of the walk
        for root in range(self.n_tokens + 1):
            token = root - 1 if root else self.base_token
            if not self.nodes[token].anchored:
                self.nodes[token].anchored = True
                self.nodes[token].potential = 0.0
                self.skewed[self.n_skewed] = token
                self.n_skewed += 1
            while next < self.n_skewed:
                token = self.skewed[next]
                next += 1
                node = &self.nodes[token]
                for i in range(node.n):
                    p, other = &self.pairs[edge_pair(node)[i]], edge_token(node)[i]
                    if self.nodes[other].anchored or p.best[0] == -INFINITY \
                            or p.best[1] == -INFINITY:
                        continue
                    self.nodes[other].potential = node.potential + (
                        0.5 * (p.best[1] - p.best[0]) if token == p.token[0]
                        else 0.5 * (p.best[0] - p.best[1]))
                    self.nodes[other].anchored = True
                    self.skewed[self.n_skewed] = other
                    self.n_skewed += 1
        for i in range(self.n_pairs):
            self.note_edges(&self.pairs[i])
        for token in range(self.n_tokens):
            self.tighten(token)
            self.nodes[token].skewed = True  # each is looked at once more, by all of its edges
        self.adrift = False

    cdef void settle(self, uint32_t most_tokens) noexcept nogil:
        """Puts right what events leave behind and no answer depends on but by its speed, for so many
        tokens at most: potentials and bounds. To be called when nothing waits."""
        cdef token_node *node
        cdef float sample[31]
        cdef float gap
        cdef uint32_t token, step, i, n, j
        if self.adrift:
            self.anchor()
        while self.n_skewed and most_tokens:
            most_tokens -= 1
            self.n_skewed -= 1
            token = self.skewed[self.n_skewed]
            node = &self.nodes[token]
            node.skewed = False
            step, i, n = node.n // SAMPLED + 1, 0, 0
            while i < node.n:
                if edge_out(node)[i] > -INFINITY and edge_back(node)[i] > -INFINITY:
                    gap, j = 0.5 * (edge_out(node)[i] - edge_back(node)[i]), n
                    while j > 0 and sample[j - 1] > gap:
                        sample[j] = sample[j - 1]
                        j -= 1
                    sample[j] = gap
                    n += 1
                i += step
            if n and fabs(sample[n // 2]) > SKEW:
                self.shift(token, sample[n // 2])
        self.most, n, j = 0.0, self.n_gaining, 0
        for i in range(n):
            token = self.gaining[i]
            if self.nodes[token].loose:
                self.tighten(token)
            self.nodes[token].gains = self.most_out[token] > 0.0
            if self.nodes[token].gains:
                self.most = max(self.most, self.most_out[token])
                self.gaining[j] = token
                j += 1
        self.n_gaining = j
