"""The edge scan: every cycle of 2 to `max_hops` swaps through a pool that moved, if it gains.

Exhaustive: a cycle is passed over only where a bound on what its swaps gain (see `_graph`) shows that
it gains nothing, or where one of its pairs is not there. What passes is expanded to the parallel
pools of each pair: the best pool at the margin need not be the best at size. Doubles screen here and
decide nothing else. The margin left out is what `min_log_gain` says; log prices carry an error of
about 1e-15 a hop, and no cycle that gains so little pays for its rounding.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memset

from mevfast._graph cimport (
    NO_PAIR,
    edge_back,
    edge_out,
    edge_pair,
    edge_token,
    pool_link,
    token_node,
    token_pair,
)
from mevfast._rates cimport Rates
from mevfast._size cimport NEAR_LOG, closed_form, compose, swap_way, virtual_of, virtual_pool
from mevfast._slots cimport SLOT_QUARANTINED, SLOT_STALE, TABLE_NO_SLOT, slot_body
from mevfast.types cimport POOL_UNISWAP_V2, POOL_UNISWAP_V3, pool_state

DROP_NAMES = (
    "below_margin", "candidate_limit", "stale", "quarantined", "in_flight",
    "incomplete_block", "refused_quote", "unprofitable", "no_price", "no_funding",
    "below_minimum", "shares_pool", "plan_limit", "duplicate", "deadline", "risk", "shadow",
)

cdef double ROUNDING = 1e-12         # of the sums that a bound is compared with
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

cdef extern from "edges.h" nogil:
    uint32_t edges_next_above(const float *x, uint32_t start, uint32_t n, float limit) noexcept
    float float_below(double x) noexcept


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


cdef int by_estimate(const void *left, const void *right) noexcept nogil:
    """Better estimate first, then fewer hops, then lower slots: never by where a candidate stands."""
    cdef const candidate *a = <const candidate *>left
    cdef const candidate *b = <const candidate *>right
    cdef uint32_t i
    if a.estimate != b.estimate:
        return -1 if a.estimate > b.estimate else 1
    if a.n_hops != b.n_hops:
        return -1 if a.n_hops < b.n_hops else 1
    for i in range(a.n_hops):
        if a.hop[i].slot != b.hop[i].slot:
            return -1 if a.hop[i].slot < b.hop[i].slot else 1
    for i in range(a.n_hops):
        if a.hop[i].token_in != b.hop[i].token_in:
            return -1 if a.hop[i].token_in < b.hop[i].token_in else 1
    return 0


cdef class Scan(Rates):
    """The graph with its scan: candidates through pools that moved."""

    def __cinit__(self, *args):
        cdef uint32_t capacity = self.table.t.capacity
        self.scanned = <uint8_t *>calloc(capacity, 1)
        self.in_flight = <uint8_t *>calloc(capacity, 1)
        self.bloom_bits = <uint16_t *>calloc(3 * capacity, sizeof(uint16_t))
        memset(self.depths, 0xff, sizeof(self.depths))
        self.found = <candidate *>malloc(MAX_CANDIDATES * sizeof(candidate))
        if (self.scanned == NULL or self.in_flight == NULL or self.bloom_bits == NULL
                or self.found == NULL):
            raise MemoryError(f"scan of {capacity} pools")
        for rank, topic in enumerate(map(bytes.fromhex, BLOOM_EVENTS)):
            note_bits(self.event_bits[<int>rank], <const uint8_t *><bytes>topic, 32)
        self.max_hops = MAX_HOPS

    def __dealloc__(self):
        free(self.scanned)
        free(self.in_flight)
        free(self.bloom_bits)
        free(self.found)

    def add_pool(self, uint32_t slot):
        """Adds the pool of a table slot, or takes note that its state was loaded again."""
        Rates.add_pool(self, slot)
        note_bits(&self.bloom_bits[3 * slot], self.table.t.slots[slot].body.address, 20)

    def dropped(self):
        """Candidates that went no further: reason -> count, reasons never met left out."""
        return {name: self.drops[i] for i, name in enumerate(DROP_NAMES) if self.drops[i]}

    # ---- blooms ----

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
        cdef const slot_body *body
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
            if not self.knows(slot) or not in_bloom(bloom, &self.bloom_bits[3 * slot]):
                continue
            body = &self.table.t.slots[slot].body
            if body.block < block and (
                    (pair_event and body.kind == <uint8_t>POOL_UNISWAP_V2)
                    or (v3_event and body.kind == <uint8_t>POOL_UNISWAP_V3)):
                return slot
        return TABLE_NO_SLOT

    # ---- the edge scan ----

    cdef void begin(self) noexcept nogil:
        """Forgets the candidates of the last call."""
        self.n_found = 0

    cdef double best_other(self, uint32_t pair, uint32_t token_in, uint32_t slot) noexcept nogil:
        """Best log price of a pair for token_in among its pools but `slot`."""
        cdef const token_pair *p = &self.pairs[pair]
        cdef int way = token_in != p.token[0]
        if p.first[way] != slot:
            return p.best[way]
        if p.n == 1:
            return -INFINITY
        return self.links[self.orders[p.links_at + way * p.cap + 1]].price[way]

    cdef void collect(self, const uint32_t *slots, uint32_t n) noexcept nogil:
        """Finds every cycle of 2 to max_hops swaps through any of n pools that gains at the
        margin, each once: a pool whose cycles are found is left out of those of the next."""
        cdef const slot_body *body
        cdef uint32_t i, j, links
        for i in range(n):
            if not self.knows(slots[i]) or self.scanned[slots[i]]:
                continue
            body = &self.table.t.slots[slots[i]].body
            links = body.n_tokens * (body.n_tokens - 1) // 2
            for j in range(links):
                self.scan(&self.links[self.first_link[slots[i]] + j], 0)
                self.scan(&self.links[self.first_link[slots[i]] + j], 1)
            self.scanned[slots[i]] = True
        for i in range(n):
            self.scanned[slots[i]] = False

    cdef void scan(self, const pool_link *link, int way) noexcept nogil:
        """Cycles whose first swap is x -> y in the link's pool; the others lead from y back to x."""
        cdef const token_pair *p = &self.pairs[link.pair]
        cdef uint32_t x = p.token[way], y = p.token[1 - way], path = link.pair
        cdef double gain = link.price[way], start, limit
        cdef hop_edge hop[MAX_HOPS]
        cdef way_back back
        if gain == -INFINITY:
            return
        hop[0].slot, hop[0].token_in = link.slot, x
        hop[0].index_in, hop[0].index_out = link.index[way], link.index[1 - way]
        if gain + self.best_other(path, y, link.slot) > 0.0:
            self.expand(hop, y, &path, 1, gain)
        if self.max_hops < 3:
            return
        start = gain + self.nodes[y].potential - self.nodes[x].potential + ROUNDING
        # The most that the way back can add: out of y, something between, and into x.
        limit = start + self.most_out[y] + self.most_back[x]
        if limit <= 0.0 and (self.max_hops == 3 or limit + self.most <= 0.0):
            return
        if self.nodes[x].loose:
            self.tighten(x)
        if self.nodes[y].loose:
            self.tighten(y)
        limit = start + self.most_out[y] + self.most_back[x]
        back.hop, back.gain, back.x, back.y, back.fixed = hop, gain, x, y, NO_PAIR
        if limit > 0.0:
            self.meet(&back, y, x, start, INFINITY, INFINITY)
        if self.max_hops == 4 and limit + self.most > 0.0:
            self.scan_four(&back, start)

    cdef uint32_t joined(self, uint32_t a, uint32_t b, float cap) noexcept nogil:
        """The pair of two tokens if a swap a -> b gains no more than cap, or NO_PAIR."""
        cdef uint32_t pair = self.find_pair(min(a, b), max(a, b))
        cdef const token_pair *p
        if cap < INFINITY and pair != NO_PAIR:
            p = &self.pairs[pair]
            if edge_out(&self.nodes[a])[p.at[a != p.token[0]]] > cap:
                return NO_PAIR
        return pair

    cdef void meet(self, const way_back *back, uint32_t u, uint32_t w, double leg, float cap_u,
                   float cap_w) noexcept nogil:
        """Tries every u -> c -> w that gains with `leg`, neither swap by more than its cap.

        The edges of the end with fewer of them are walked. At the other end most edges gain nothing:
        that bounds the walk, and the few that do gain are looked at one by one.
        """
        cdef bint forward = self.nodes[u].n <= self.nodes[w].n
        cdef float cap = cap_u if forward else cap_w, far_cap = cap_w if forward else cap_u
        cdef float most = self.most_out[u] if forward else self.most_back[w]
        cdef float far_most = min(self.most_back[w] if forward else self.most_out[u], far_cap)
        if far_most > 0.0:
            self.walk(back, u, w, not forward,
                      max(<float>0.0, float_below(-leg - min(most, cap))), far_cap, cap)
            far_most = far_cap = 0.0
        self.walk(back, u, w, forward, float_below(-leg - far_most), cap, far_cap)

    cdef void walk(self, const way_back *back, uint32_t u, uint32_t w, bint out, float limit,
                   float cap, float cap_other) noexcept nogil:
        """Tries every u -> c -> w by the edges out of u, or those into w, that gain more than the limit
        and no more than cap, where the other swap gains no more than cap_other."""
        cdef const token_node *node = &self.nodes[u if out else w]
        cdef const float *gains = edge_out(node) if out else edge_back(node)
        cdef uint32_t i = edges_next_above(gains, 0, node.n, limit), c, pair
        while i < node.n:
            c = edge_token(node)[i]
            if gains[i] <= cap and c != back.x and c != back.y:
                pair = self.joined(c, w, cap_other) if out else self.joined(u, c, cap_other)
                if pair != NO_PAIR:
                    self.try_way(back, edge_pair(node)[i] if out else pair,
                                 pair if out else edge_pair(node)[i])
            i = edges_next_above(gains, i + 1, node.n, limit)

    cdef void scan_four(self, way_back *back, double start) noexcept nogil:
        """The cycles x -> y -> a -> b -> x, by which of the three swaps back make up for the start.

        Near is the end with fewer edges, y or x. First, its edge does so alone; then, of the rest, those
        whose swap a -> b gains; then those where neither does, but the swap at the far end.
        """
        cdef uint32_t x = back.x, y = back.y, i
        cdef bint forward = self.nodes[y].n <= self.nodes[x].n
        cdef const token_node *near = &self.nodes[y if forward else x]
        cdef const token_node *far = &self.nodes[x if forward else y]
        cdef const float *gains = edge_out(near) if forward else edge_back(near)
        cdef const float *far_gains = edge_back(far) if forward else edge_out(far)
        cdef float far_most = self.most_back[x] if forward else self.most_out[y]
        cdef float most = self.most_out[y] if forward else self.most_back[x]
        cdef float alone = float_below(-start), limit
        i = edges_next_above(gains, 0, near.n, alone)
        while i < near.n:
            self.scan_from(back, edge_token(near)[i], edge_pair(near)[i], forward, start + gains[i],
                           INFINITY, INFINITY)
            i = edges_next_above(gains, i + 1, near.n, alone)
        if self.most > 0.0 and start + most + self.most + far_most > 0.0:
            self.scan_middle(back, start, forward, alone)
        if far_most > 0.0:
            limit = max(<float>0.0, float_below(-start - min(most, alone)))
            i = edges_next_above(far_gains, 0, far.n, limit)
            while i < far.n:
                self.scan_from(back, edge_token(far)[i], edge_pair(far)[i], not forward,
                               start + far_gains[i], alone if forward else 0.0,
                               0.0 if forward else alone)
                i = edges_next_above(far_gains, i + 1, far.n, limit)

    cdef void scan_from(self, way_back *back, uint32_t token, uint32_t pair, bint first, double leg,
                        float cap_u, float cap_w) noexcept nogil:
        """The cycles whose first swap back is y -> token, or whose last one is token -> x."""
        if token == back.x or token == back.y:
            return
        if self.nodes[token].loose:
            self.tighten(token)
        back.fixed, back.fixed_first = pair, first
        if first and leg + self.most_out[token] + self.most_back[back.x] > 0.0:
            self.meet(back, token, back.x, leg, cap_u, cap_w)
        elif not first and leg + self.most_out[back.y] + self.most_back[token] > 0.0:
            self.meet(back, back.y, token, leg, cap_u, cap_w)

    cdef void scan_middle(self, way_back *back, double start, bint forward,
                          float cap) noexcept nogil:
        """The cycles whose swap a -> b gains, from tokens that have such an edge; no more than cap
        the swap y -> a, or backward b -> x."""
        cdef uint32_t x = back.x, y = back.y, a, b, first, last, i, k
        cdef float into = min(self.most_out[y], cap if forward else <float>INFINITY)
        cdef float limit = max(<float>0.0, float_below(-start - into - self.most_back[x]))
        cdef const token_node *node
        for k in range(self.n_gaining):
            a = self.gaining[k]
            node = &self.nodes[a]
            if a == x or a == y or self.most_out[a] <= limit:
                continue
            first = self.joined(y, a, cap if forward else INFINITY)
            if first == NO_PAIR:
                continue
            back.fixed, back.fixed_first = first, True
            i = edges_next_above(edge_out(node), 0, node.n, limit)
            while i < node.n:
                b = edge_token(node)[i]
                last = NO_PAIR
                if b != x and b != y:
                    last = self.joined(b, x, INFINITY if forward else cap)
                if last != NO_PAIR:
                    self.try_way(back, edge_pair(node)[i], last)
                i = edges_next_above(edge_out(node), i + 1, node.n, limit)

    cdef void try_way(self, const way_back *back, uint32_t pair, uint32_t next) noexcept nogil:
        """Expands the way back through two pairs, and the fixed one, where the best of their pools
        gain together."""
        cdef const token_pair *p
        cdef double best = back.gain
        cdef uint32_t path[MAX_HOPS]
        cdef uint32_t token = back.y, n = 0, i
        if back.fixed != NO_PAIR and back.fixed_first:
            path[0] = back.fixed
            n = 1
        path[n], path[n + 1] = pair, next
        n += 2
        if back.fixed != NO_PAIR and not back.fixed_first:
            path[n] = back.fixed
            n += 1
        for i in range(n):
            p = &self.pairs[path[i]]
            best += self.best_other(path[i], token, back.hop[0].slot)
            token = p.token[token == p.token[0]]
        if best > 0.0:
            self.expand(back.hop, back.y, path, n, back.gain)

    cdef void expand(self, hop_edge *hop, uint32_t y, const uint32_t *path, uint32_t n,
                     double gain) noexcept nogil:
        """Every choice of parallel pools along a path of pairs that gains at the margin."""
        cdef double so_far[MAX_HOPS + 1]
        cdef double rest[MAX_HOPS + 1]     # the most that the pairs from here on can add
        cdef uint32_t at[MAX_HOPS]         # which of the pair's pools is tried
        cdef uint32_t token[MAX_HOPS + 1]
        cdef uint32_t depth = 0, i
        cdef const token_pair *p
        cdef const pool_link *chosen
        cdef double price
        cdef int way
        cdef bint taken
        token[0] = y
        for i in range(n):
            p = &self.pairs[path[i]]
            token[i + 1] = p.token[token[i] == p.token[0]]
        rest[n] = 0.0
        for i in range(n, 0, -1):
            rest[i - 1] = rest[i] + self.best_other(path[i - 1], token[i - 1], hop[0].slot)
        so_far[0] = gain
        at[0] = 0
        while True:
            p = &self.pairs[path[depth]]
            if at[depth] < p.n:
                way = token[depth] != p.token[0]
                chosen = &self.links[self.orders[p.links_at + way * p.cap + at[depth]]]
                price = chosen.price[way]
                at[depth] += 1
                if so_far[depth] + price + rest[depth + 1] > 0.0:
                    taken = self.scanned[chosen.slot]
                    for i in range(depth + 1):
                        taken |= hop[i].slot == chosen.slot
                    if taken:
                        continue
                    hop[depth + 1].slot, hop[depth + 1].token_in = chosen.slot, token[depth]
                    hop[depth + 1].index_in = chosen.index[way]
                    hop[depth + 1].index_out = chosen.index[1 - way]
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
        cdef virtual_pool now[MAX_HOPS]
        cdef virtual_pool deepest[MAX_HOPS]
        cdef virtual_pool widest
        cdef swap_way way
        cdef double rate
        cdef bint bounded = gain < NEAR_LOG
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
            j = hop[i].slot
            flags |= self.table.t.slots[j].body.flags
            busy |= self.in_flight[j]
            waits |= self.awaited(j)
        if gain <= self.min_log_gain:
            self.drops[<int>DROP_BELOW_MARGIN] += 1
            return
        if flags & SLOT_QUARANTINED:
            self.drops[<int>DROP_QUARANTINED] += 1
            return
        if flags & SLOT_STALE:
            self.drops[<int>DROP_STALE] += 1
            return
        if busy:
            self.drops[<int>DROP_IN_FLIGHT] += 1
            return
        if waits:
            self.drops[<int>DROP_INCOMPLETE_BLOCK] += 1
            return
        if self.n_found == MAX_CANDIDATES:
            self.halve()
        c = &self.found[self.n_found]
        self.n_found += 1
        c.n_hops, c.log_gain = n, gain
        for i in range(n):
            c.hop[i] = hop[(start + i) % n]
            way.token_in, way.token_out = c.hop[i].index_in, c.hop[i].index_out
            self.look_up(c.hop[i].slot, way, &now[i], &deepest[i])
            bounded &= deepest[i].reserve_in > 0.0
        # Without a price the candidate is kept, to be dropped by name.
        rate = self.price_in_base(c.hop[0].token_in)
        compose(now, n, &c.whole)
        closed_form(&c.whole, 1.0, &c.estimate)
        c.estimate = c.estimate / rate if rate > 0.0 else 0.0
        # No pool's marginal price moves by more than what the whole cycle gains.
        c.bound = INFINITY
        if bounded and rate > 0.0:
            compose(deepest, n, &widest)
            closed_form(&widest, 1.0, &c.bound)
            c.bound *= (1.0 + BOUND_ERROR) / rate

    cdef void sort(self) noexcept nogil:
        """Puts what was found in order, best estimate first."""
        if self.n_found > 1:
            qsort(self.found, self.n_found, sizeof(candidate), by_estimate)

    cdef void look_up(self, uint32_t slot, swap_way way, virtual_pool *now,
                      virtual_pool *deepest) noexcept nogil:
        """virtual_of a pool of the table: one pool is in many of an event's candidates."""
        cdef uint32_t sequence = self.table.t.slots[slot].sequence
        cdef known_depth *known = &self.depths[
            (2 * slot + (way.token_in < way.token_out)) % KNOWN_DEPTHS]
        cdef pool_state state
        if self.advanced == NULL and known.slot == slot and known.sequence == sequence \
                and known.way.token_in == way.token_in and known.way.token_out == way.token_out:
            now[0], deepest[0] = known.now, known.deepest
            return
        self.view(slot, &state, False)
        virtual_of(&state, way, now, deepest)
        if self.advanced == NULL:
            known.slot, known.sequence, known.way = slot, sequence, way
            known.now, known.deepest = now[0], deepest[0]

    cdef void halve(self) noexcept nogil:
        """Makes room: of the candidates, those with the lower estimates go."""
        cdef uint32_t low = 0, high = self.n_found - 1, kept = MAX_CANDIDATES // 2, i, j
        cdef candidate swapped
        cdef double pivot
        while low < high:  # quickselect
            pivot = self.found[(low + high) // 2].estimate
            i, j = low, high
            while i <= j:
                while self.found[i].estimate > pivot:
                    i += 1
                while self.found[j].estimate < pivot:
                    j -= 1
                if i <= j:
                    swapped = self.found[i]
                    self.found[i] = self.found[j]
                    self.found[j] = swapped
                    i += 1
                    if j == 0:
                        break
                    j -= 1
            if kept <= j:
                high = j
            elif kept >= i:
                low = i
            else:
                break
        self.drops[<int>DROP_CANDIDATE_LIMIT] += self.n_found - kept
        self.n_found = kept
