"""The token graph and the edge scan that finds cycles.

Pools are collapsed to token pairs, and each pair keeps its pools sorted by marginal log price in
both directions. For a pool that moved, a scan through its two directions finds every cycle of 2
to `max_hops` swaps through it whose marginal log prices sum above 0, then expands it to the
parallel pools of each pair: the best pool at the margin need not be the best at size. Doubles
screen here and decide nothing else. The margin left out is what `min_log_gain` says; log prices
carry an error of about 1e-15 a hop, and no cycle that gains so little pays for its rounding.
"""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from mevfast._cache cimport Table
from mevfast._pool cimport pool_marginal_price
from mevfast._chain cimport swap_way
from mevfast._size cimport NEAR_LOG, closed_form, virtual_of, virtual_pool
from mevfast._slots cimport (
    SLOT_QUARANTINED,
    SLOT_STALE,
    TABLE_NO_SLOT,
    slot_body,
    slot_has_state,
    table_view,
)
from mevfast.types cimport POOL_UNISWAP_V2, POOL_UNISWAP_V3, pool_state

from mevfast._slots import KIND_NAMES
from mevfast.errors import DataError

cdef uint32_t NO_PAIR = 0xffffffff
cdef uint32_t NO_SLOT = 0xffffffff
TRADED = ("uniswap_v2", "uniswap_v3")
"""Kinds that cycles are searched through."""
DROP_NAMES = (
    "below_margin", "candidate_limit", "stale", "quarantined", "in_flight",
    "incomplete_block", "refused_quote", "unprofitable", "no_price", "no_funding",
    "below_minimum", "shares_pool", "plan_limit", "risk", "shadow",
)

cdef double BOUND_ERROR = 1e-9       # of the doubles it is computed in, generously
cdef double MOST_BY_CHANCE = 0.001   # pools that a bloom may name without cause: each costs five calls

# What moves a pool: Sync of pairs, then Swap, Mint, Burn and Initialize of V3 pools.
BLOOM_EVENTS = (
    "1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",
    "c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",
    "7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",
    "0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",
    "98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",
)

cdef extern from *:
    int __builtin_popcount(unsigned int) noexcept nogil

cdef extern from "keccak.h" nogil:
    void keccak256(uint8_t *out, const uint8_t *data, size_t n) noexcept


cdef uint32_t pair_hash(uint32_t a, uint32_t b) noexcept nogil:
    return <uint32_t>(((<uint64_t>a << 32 | b) * <uint64_t>0x9e3779b97f4a7c15) >> 32)


cdef bint in_bloom(const uint8_t *bloom, const uint16_t *bits) noexcept nogil:
    """Whether a logs bloom has the three bits of an address or topic (Yellow Paper 4.3.1)."""
    cdef uint32_t i
    for i in range(3):
        if not bloom[255 - (bits[i] >> 3)] >> (bits[i] & 7) & 1:
            return False
    return True


cdef void note_bits(uint16_t *bits, const uint8_t *data, size_t n) noexcept nogil:
    """The three bits that a logs bloom has of an address or topic."""
    cdef uint8_t digest[32]
    cdef uint32_t i
    keccak256(digest, data, n)
    for i in range(3):
        bits[i] = (digest[2 * i] << 8 | digest[2 * i + 1]) & 2047


cdef void take_out(uint32_t *slots, uint32_t n, uint32_t slot) noexcept nogil:
    """Closes the gap that a slot leaves among n."""
    cdef uint32_t i = 0
    while slots[i] != slot:
        i += 1
    memmove(&slots[i], &slots[i + 1], (n - i - 1) * sizeof(uint32_t))


cdef class Graph:
    """The market as a graph over a Table's pools.

    Args:
        table: the reserve table; every pool put into it must be added here with `add_pool`.
        start_tokens: addresses (20 bytes); cycles start and profit is counted in these, a cycle
            through several of them in the one named first.
        base_token: the gas token's wrapped form; gas and minimum profit are counted in it.
    """

    def __cinit__(self, Table table, list start_tokens, bytes base_token):
        cdef uint32_t size = 1024
        self.table = table
        while size < 4 * table.t.capacity:
            size *= 2
        self.pair_mask = size - 1
        self.pair_index = <uint32_t *>malloc(size * sizeof(uint32_t))
        self.log_price[0] = <double *>calloc(table.t.capacity, sizeof(double))
        self.log_price[1] = <double *>calloc(table.t.capacity, sizeof(double))
        self.depth = <virtual_pool *>calloc(2 * table.t.capacity, sizeof(virtual_pool))
        self.deepest = <virtual_pool *>calloc(2 * table.t.capacity, sizeof(virtual_pool))
        self.known = <uint8_t *>calloc(table.t.capacity, 1)
        self.pair_of = <uint32_t *>calloc(table.t.capacity, sizeof(uint32_t))
        self.scanned = <uint8_t *>calloc(table.t.capacity, 1)
        self.in_flight = <uint8_t *>calloc(table.t.capacity, 1)
        self.bloom_bits = <uint16_t *>calloc(3 * table.t.capacity, sizeof(uint16_t))
        self.found = <candidate *>malloc(MAX_CANDIDATES * sizeof(candidate))
        if (self.pair_index == NULL or self.log_price[0] == NULL or self.log_price[1] == NULL
                or self.known == NULL or self.pair_of == NULL or self.in_flight == NULL
                or self.bloom_bits == NULL or self.depth == NULL or self.deepest == NULL or self.scanned == NULL
                or self.found == NULL):
            raise MemoryError(f"graph of {table.t.capacity} pools")
        memset(self.pair_index, 0xff, size * sizeof(uint32_t))
        for rank, topic in enumerate(map(bytes.fromhex, BLOOM_EVENTS)):
            note_bits(self.event_bits[<int>rank], <const uint8_t *><bytes>topic, 32)
        self.max_hops = MAX_HOPS
        for rank, address in enumerate(start_tokens):
            self._grow(table.add_token(address))
            self.nodes[<uint32_t>table.add_token(address)].start_rank = rank
        self.base_token = table.add_token(base_token)
        self._grow(self.base_token)

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.n_tokens):
            free(self.nodes[i].edges)
        for i in range(self.n_pairs):
            free(self.pairs[i].forward)
            free(self.pairs[i].backward)
        free(self.nodes)
        free(self.pairs)
        free(self.token_bytes)
        free(self.bloom_bits)
        free(self.pair_index)
        free(self.log_price[0])
        free(self.log_price[1])
        free(self.depth)
        free(self.deepest)
        free(self.known)
        free(self.pair_of)
        free(self.scanned)
        free(self.in_flight)
        free(self.found)

    # ---- building ----

    cdef int _grow(self, uint32_t token) except -1:
        """Makes room for a token id."""
        cdef uint32_t wanted = token + 1, i
        if wanted <= self.n_tokens:
            return 0
        nodes = realloc(self.nodes, wanted * sizeof(token_node))
        if nodes == NULL:
            raise MemoryError(f"{wanted} tokens")
        self.nodes = <token_node *>nodes
        token_bytes = realloc(self.token_bytes, wanted * 20)
        if token_bytes == NULL:
            raise MemoryError(f"{wanted} tokens")
        self.token_bytes = <uint8_t *>token_bytes
        for i in range(self.n_tokens, wanted):
            memset(&self.nodes[i], 0, sizeof(token_node))
            self.nodes[i].start_rank = -1
            memcpy(self.token_bytes + 20 * i, <const uint8_t *><bytes>self.table.token_addresses[i],
                   20)
        self.n_tokens = wanted
        return 0

    cdef int _link(self, uint32_t token, uint32_t other, uint32_t pair) except -1:
        cdef token_node *node = &self.nodes[token]
        cdef uint32_t at = 0
        if node.n == node.cap:
            node.cap = 8 if node.cap == 0 else 2 * node.cap
            edges = realloc(node.edges, node.cap * sizeof(pair_edge))
            if edges == NULL:
                raise MemoryError(f"{node.cap} edges")
            node.edges = <pair_edge *>edges
        while at < node.n and node.edges[at].token < other:
            at += 1
        memmove(&node.edges[at + 1], &node.edges[at], (node.n - at) * sizeof(pair_edge))
        node.edges[at].token = other
        node.edges[at].pair = pair
        node.n += 1
        return 0

    cdef uint32_t _pair(self, uint32_t a, uint32_t b) except? 0xffffffff:
        """The pair of two tokens, a < b, made on first sight."""
        cdef uint32_t pair = self.find_pair(a, b), i
        if pair != NO_PAIR:
            return pair
        if self.n_pairs == self.cap_pairs:
            self.cap_pairs = 64 if self.cap_pairs == 0 else 2 * self.cap_pairs
            pairs = realloc(self.pairs, self.cap_pairs * sizeof(token_pair))
            if pairs == NULL:
                raise MemoryError(f"{self.cap_pairs} pairs")
            self.pairs = <token_pair *>pairs
        pair = self.n_pairs
        memset(&self.pairs[pair], 0, sizeof(token_pair))
        self.pairs[pair].a, self.pairs[pair].b = a, b
        self.n_pairs += 1
        i = pair_hash(a, b) & self.pair_mask
        while self.pair_index[i] != NO_PAIR:
            i = (i + 1) & self.pair_mask
        self.pair_index[i] = pair
        self._link(a, b, pair)
        self._link(b, a, pair)
        return pair

    def add_pool(self, uint32_t slot):
        """Adds the pool of a table slot, or takes note that its state was loaded again.

        DataError where the search knows no swaps of its kind.
        """
        cdef slot_body *body
        cdef uint32_t a, b, i
        cdef token_pair *pair
        self.table._check_slot(slot)
        body = &self.table.t.slots[slot].body
        if body.kind != <uint8_t>POOL_UNISWAP_V2 and body.kind != <uint8_t>POOL_UNISWAP_V3:
            raise DataError(
                f"slot {slot}: expected a pool of a kind that the search knows, uniswap_v2 or "
                f"uniswap_v3, was {KIND_NAMES[body.kind]}")
        a, b = min(body.token0, body.token1), max(body.token0, body.token1)
        if not self.known[slot]:
            self._grow(b)
            self.pair_of[slot] = self._pair(a, b)
            pair = &self.pairs[self.pair_of[slot]]
            if pair.n == pair.cap:
                pair.cap = 4 if pair.cap == 0 else 2 * pair.cap
                forward = realloc(pair.forward, pair.cap * sizeof(uint32_t))
                if forward == NULL:
                    raise MemoryError(f"{pair.cap} pools of a pair")
                pair.forward = <uint32_t *>forward
                backward = realloc(pair.backward, pair.cap * sizeof(uint32_t))
                if backward == NULL:
                    raise MemoryError(f"{pair.cap} pools of a pair")
                pair.backward = <uint32_t *>backward
            pair.forward[pair.n] = slot
            pair.backward[pair.n] = slot
            pair.n += 1
            self.known[slot] = True
            self.n_pools += 1
            note_bits(&self.bloom_bits[3 * slot], body.address, 20)
        self.refresh(slot)

    def refresh_pool(self, uint32_t slot):
        """Takes note that a slot changed otherwise than by an event; nothing where it is not in."""
        self.table._check_slot(slot)
        self.refresh(slot)

    def remove_pool(self, uint32_t slot):
        """Takes a pool out; nothing happens where it is not in. To be called before its slot is
        given to another, and once no transaction through it is under way."""
        cdef token_pair *pair
        if slot >= self.table.t.capacity:
            raise IndexError(f"slot {slot}: the table has room for {self.table.t.capacity}")
        if not self.known[slot]:
            return
        pair = &self.pairs[self.pair_of[slot]]
        take_out(pair.forward, pair.n, slot)
        take_out(pair.backward, pair.n, slot)
        pair.n -= 1
        self.known[slot] = False
        self.n_pools -= 1
        self.note_best(pair)

    def dropped(self):
        """Candidates that went no further: reason -> count, reasons never met left out."""
        return {name: self.drops[i] for i, name in enumerate(DROP_NAMES) if self.drops[i]}

    # ---- keeping order ----

    cdef uint32_t find_pair(self, uint32_t a, uint32_t b) noexcept nogil:
        """The pair of two tokens, a < b, or NO_PAIR."""
        cdef uint32_t i = pair_hash(a, b) & self.pair_mask
        cdef uint32_t pair
        while True:
            pair = self.pair_index[i]
            if pair == NO_PAIR or (self.pairs[pair].a == a and self.pairs[pair].b == b):
                return pair
            i = (i + 1) & self.pair_mask

    cdef double price_of(self, uint32_t slot, uint32_t token_in) noexcept nogil:
        """Log marginal price out per in of a pool for that token in."""
        return self.log_price[self.table.t.slots[slot].body.token0 == token_in][slot]

    cdef void sort_in(self, uint32_t *slots, uint32_t n, uint32_t slot,
                      uint32_t token_in) noexcept nogil:
        """Moves one slot to its place among its pair's, best price first, then lowest slot."""
        cdef uint32_t i
        cdef double price = self.price_of(slot, token_in), other
        take_out(slots, n, slot)
        i = n - 1
        while i > 0:
            other = self.price_of(slots[i - 1], token_in)
            if other > price or (other == price and slots[i - 1] < slot):
                break
            slots[i] = slots[i - 1]
            i -= 1
        slots[i] = slot

    cdef void note_best(self, token_pair *p) noexcept nogil:
        """Copies the first two prices of each order to where the scan reads them."""
        cdef uint32_t *slots
        cdef int way
        for way in range(2):
            if p.n == 0:
                p.first[way] = NO_SLOT
                p.best[way] = p.second[way] = -INFINITY
                continue
            slots = p.backward if way else p.forward
            p.first[way] = slots[0]
            p.best[way] = self.price_of(slots[0], p.b if way else p.a)
            p.second[way] = self.price_of(slots[1], p.b if way else p.a) if p.n > 1 else -INFINITY
        if p.a == self.base_token or p.b == self.base_token:
            self.note_rate(p)

    cdef void note_rate(self, token_pair *p) noexcept nogil:
        """What one base token buys in the deepest pool: the best price is that of some forgotten
        pool with next to nothing in it."""
        cdef double deepest = 0.0, held
        cdef uint32_t i, slot
        cdef bint zero
        p.per_base = 0.0
        for i in range(p.n):
            slot = p.forward[i]
            zero = self.table.t.slots[slot].body.token0 == self.base_token
            held = self.depth[2 * slot + zero].reserve_in
            if held > deepest and self.log_price[zero][slot] > -INFINITY:
                deepest = held
                p.per_base = exp(self.log_price[zero][slot])

    cdef void refresh(self, uint32_t slot) noexcept nogil:
        """Takes a pool's new prices over: to be called after its slot changed.

        A pool of the table that was never added here is left alone.
        """
        cdef slot_body *body = &self.table.t.slots[slot].body
        cdef pool_state state
        cdef token_pair *pair
        cdef uint32_t way
        cdef swap_way hop_way
        cdef double price
        if not self.known[slot]:
            return
        table_view(&self.table.t, slot, &state)
        for way in range(2):
            price = pool_marginal_price(&state, 1 - way, way)
            self.log_price[way][slot] = log(price) if price > 0.0 else -INFINITY
        if slot_has_state(body):
            for way in range(2):
                hop_way.token_in, hop_way.token_out = <uint8_t>(1 - way), <uint8_t>way
                virtual_of(&state, hop_way, &self.depth[2 * slot + way],
                           &self.deepest[2 * slot + way])
        else:
            memset(&self.depth[2 * slot], 0, 2 * sizeof(virtual_pool))
            memset(&self.deepest[2 * slot], 0, 2 * sizeof(virtual_pool))
        pair = &self.pairs[self.pair_of[slot]]
        self.sort_in(pair.forward, pair.n, slot, pair.a)
        self.sort_in(pair.backward, pair.n, slot, pair.b)
        self.note_best(pair)

    cdef bint awaited(self, uint32_t slot) noexcept nogil:
        """A log of the open block may still be on its way to this pool.

        The head's logs bloom names every address with a log in its block (Yellow Paper 4.3.1):
        three bits of 2,048 by the hash of the address. A pool that it does not name is settled,
        one that it names is once a log of that block has been applied to it.
        """
        if self.bloom == NULL or self.table.t.slots[slot].body.block >= self.bloom_block:
            return False
        return in_bloom(self.bloom, &self.bloom_bits[3 * slot])

    cdef uint32_t missing(self, const uint8_t *bloom, uint64_t block) noexcept nogil:
        """A pool that a closed block's bloom names, with an event of its kind, and no log reached.

        Returns its slot or TABLE_NO_SLOT. A bloom so full that it would name some pool by chance
        (once in a thousand blocks or more) is no evidence.
        """
        cdef uint32_t i, slot, bits = 0
        cdef bint pair_event = in_bloom(bloom, self.event_bits[0])
        cdef bint v3_event = False
        cdef double share
        cdef slot_body *body
        for i in range(256):
            bits += __builtin_popcount(bloom[i])
        share = bits / 2048.0
        if self.n_pools * share * share * share > MOST_BY_CHANCE:
            return TABLE_NO_SLOT
        for i in range(1, N_BLOOM_EVENTS):
            v3_event |= in_bloom(bloom, self.event_bits[i])
        if not pair_event and not v3_event:
            return TABLE_NO_SLOT
        for slot in range(self.table.t.head.n_slots):
            if not self.known[slot] or not in_bloom(bloom, &self.bloom_bits[3 * slot]):
                continue
            body = &self.table.t.slots[slot].body
            if body.block < block and (pair_event if body.kind == POOL_UNISWAP_V2 else v3_event):
                return slot
        return TABLE_NO_SLOT

    # ---- the edge scan ----

    cdef void begin(self) noexcept nogil:
        """Forgets the candidates of the last call."""
        self.n_found = 0

    cdef double best_other(self, uint32_t pair, uint32_t token_in, uint32_t slot) noexcept nogil:
        """Best log price of a pair for token_in among its pools but `slot`."""
        cdef token_pair *p = &self.pairs[pair]
        cdef int way = token_in != p.a
        return p.second[way] if p.first[way] == slot else p.best[way]

    cdef double price_in_base(self, uint32_t token) noexcept nogil:
        """Units of `token` for one of the base token, in their deepest direct pool; 0: none."""
        cdef uint32_t base = self.base_token, pair
        if token == base:
            return 1.0
        pair = self.find_pair(min(token, base), max(token, base))
        return 0.0 if pair == NO_PAIR else self.pairs[pair].per_base

    cdef void collect(self, const uint32_t *slots, uint32_t n) noexcept nogil:
        """Finds every cycle of 2 to max_hops swaps through any of n pools that gains at the
        margin, each once: a pool whose cycles are found is left out of those of the next."""
        cdef slot_body *body
        cdef uint32_t i
        for i in range(n):
            if not self.known[slots[i]]:
                continue
            body = &self.table.t.slots[slots[i]].body
            self.scan(slots[i], body.token0, body.token1)
            self.scan(slots[i], body.token1, body.token0)
            self.scanned[slots[i]] = True
        for i in range(n):
            self.scanned[slots[i]] = False

    cdef void scan(self, uint32_t slot, uint32_t x, uint32_t y) noexcept nogil:
        """Cycles whose first swap is x -> y in `slot`; the other swaps lead from y back to x."""
        cdef uint32_t path[3]         # pairs after the first swap
        cdef uint32_t pair, i, a, far_end
        cdef token_node *near
        cdef token_node *from_y = &self.nodes[y]
        cdef token_node *to_x = &self.nodes[x]
        cdef double gain = self.price_of(slot, x)
        if gain == -INFINITY:
            return
        path[0] = self.find_pair(min(x, y), max(x, y))
        if gain + self.best_other(path[0], y, slot) > 0.0:
            self.expand(slot, x, y, path, 1, gain)
        if self.max_hops < 3:
            return
        # Common neighbours of two tokens: walk the shorter list, look up the other pair.
        near, far_end = (from_y, x) if from_y.n <= to_x.n else (to_x, y)
        for i in range(near.n):
            a = near.edges[i].token
            if a == far_end:
                continue
            pair = self.find_pair(min(a, far_end), max(a, far_end))
            if pair == NO_PAIR:
                continue
            path[0], path[1] = near.edges[i].pair, pair
            if far_end == y:
                path[0], path[1] = path[1], path[0]
            if gain + self.best_other(path[0], y, slot) + self.best_other(path[1], a, slot) > 0.0:
                self.expand(slot, x, y, path, 2, gain)
        if self.max_hops == 4:
            self.scan_four(slot, x, y, gain)

    cdef void scan_four(self, uint32_t slot, uint32_t x, uint32_t y, double gain) noexcept nogil:
        """The cycles x -> y -> z -> u -> x: from the end with fewer neighbours inwards."""
        cdef uint32_t path[3]
        cdef uint32_t i, j, a, b, pair, far_end
        cdef bint forward = self.nodes[y].n <= self.nodes[x].n
        cdef token_node *near = &self.nodes[y if forward else x]
        cdef token_node *walked
        cdef uint32_t looked_up
        cdef double leg
        far_end = x if forward else y
        for i in range(near.n):
            a = near.edges[i].token
            if a == far_end:
                continue
            path[0 if forward else 2] = near.edges[i].pair
            leg = gain + self.best_other(near.edges[i].pair, y if forward else a, slot)
            if leg == -INFINITY:
                continue
            if self.nodes[a].n < self.nodes[far_end].n:
                walked, looked_up = &self.nodes[a], far_end
            else:
                walked, looked_up = &self.nodes[far_end], a
            for j in range(walked.n):
                b = walked.edges[j].token
                if b == x or b == y or b == a:
                    continue
                pair = self.find_pair(min(looked_up, b), max(looked_up, b))
                if pair == NO_PAIR:
                    continue
                path[1] = walked.edges[j].pair if looked_up == far_end else pair
                path[2 if forward else 0] = pair if looked_up == far_end else walked.edges[j].pair
                if (leg + self.best_other(path[1], a if forward else b, slot)
                        + self.best_other(path[2 if forward else 0], b if forward else y,
                                          slot)) > 0.0:
                    self.expand(slot, x, y, path, 3, gain)

    cdef void expand(self, uint32_t slot, uint32_t x, uint32_t y, const uint32_t *path,
                     uint32_t n, double gain) noexcept nogil:
        """Every choice of parallel pools along a path of pairs that gains at the margin."""
        cdef hop_edge hop[MAX_HOPS]
        cdef double so_far[MAX_HOPS + 1]
        cdef double rest[MAX_HOPS + 1]     # the most that the pairs from here on can add
        cdef uint32_t at[MAX_HOPS]         # which of the pair's pools is tried
        cdef uint32_t token[MAX_HOPS + 1]
        cdef uint32_t depth, chosen, i
        cdef token_pair *p
        cdef double price
        token[0] = y
        for i in range(n):
            p = &self.pairs[path[i]]
            token[i + 1] = p.b if token[i] == p.a else p.a
        rest[n] = 0.0
        for i in range(n, 0, -1):
            rest[i - 1] = rest[i] + self.best_other(path[i - 1], token[i - 1], slot)
        hop[0].slot, hop[0].token_in = slot, x
        so_far[0] = gain
        depth = 0
        at[0] = 0
        while True:
            p = &self.pairs[path[depth]]
            if at[depth] < p.n:
                chosen = (p.forward if token[depth] == p.a else p.backward)[at[depth]]
                price = self.price_of(chosen, token[depth])
                at[depth] += 1
                if so_far[depth] + price + rest[depth + 1] > 0.0:
                    # one pool serves one pair, so only the first pool can come up again
                    if chosen == slot or self.scanned[chosen]:
                        continue
                    hop[depth + 1].slot, hop[depth + 1].token_in = chosen, token[depth]
                    so_far[depth + 1] = so_far[depth] + price
                    if depth + 1 == n:
                        self.keep(hop, n + 1, so_far[n])
                    else:
                        depth += 1
                        at[depth] = 0
                    continue
            if depth == 0:
                return
            depth -= 1

    cdef void keep(self, const hop_edge *hop, uint32_t n, double gain) noexcept nogil:
        """Turns a cycle to its start token and keeps it, or counts why not."""
        cdef uint32_t start = n, i, j
        cdef int32_t rank = 0, best = 0x7fffffff
        cdef virtual_pool pools[MAX_HOPS]
        cdef virtual_pool deepest[MAX_HOPS]
        cdef uint32_t way
        cdef double rate
        cdef candidate *c
        cdef uint8_t flags = 0, busy = 0, waits = 0
        for i in range(n):
            rank = self.nodes[hop[i].token_in].start_rank
            if 0 <= rank < best:
                best, start = rank, i
        if start == n:
            return  # through no start token: not a cycle of this market
        self.n_candidates += 1
        for i in range(n):
            j = hop[(start + i) % n].slot
            flags |= self.table.t.slots[j].body.flags
            busy |= self.in_flight[j]
            waits |= self.awaited(j)
        if gain <= self.min_log_gain:
            self.drops[<int>DROP_BELOW_MARGIN] += 1
        elif flags & SLOT_QUARANTINED:
            self.drops[<int>DROP_QUARANTINED] += 1
        elif flags & SLOT_STALE:
            self.drops[<int>DROP_STALE] += 1
        elif busy:
            self.drops[<int>DROP_IN_FLIGHT] += 1
        elif waits:
            self.drops[<int>DROP_INCOMPLETE_BLOCK] += 1
        elif self.n_found == MAX_CANDIDATES:
            self.drops[<int>DROP_CANDIDATE_LIMIT] += 1
        else:
            c = &self.found[self.n_found]
            self.n_found += 1
            c.n_hops, c.log_gain = n, gain
            for i in range(n):
                c.hop[i] = hop[(start + i) % n]
                c.hop[i].zero_for_one = (
                    self.table.t.slots[c.hop[i].slot].body.token0 == c.hop[i].token_in)
                way = 2 * c.hop[i].slot + c.hop[i].zero_for_one
                pools[i] = self.depth[way]
                deepest[i] = self.deepest[way]
            # Without a price the candidate is kept, to be dropped by name.
            rate = self.price_in_base(c.hop[0].token_in)
            closed_form(pools, n, 1.0, &c.estimate)
            c.estimate = c.estimate / rate if rate > 0.0 else 0.0
            # No pool's marginal price moves by more than what the whole cycle gains.
            c.bound = INFINITY
            if gain < NEAR_LOG and rate > 0.0:
                closed_form(deepest, n, 1.0, &c.bound)
                c.bound *= (1.0 + BOUND_ERROR) / rate
