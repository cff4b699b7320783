"""The whole market looked through once more, in a thread beside the loop.

Reads the loop's table as any other reader does, slot by slot under its sequence lock, into a table of
its own, and searches that: the loop writes on and never waits. What it finds says where to look and
nothing else; the loop decides on its own table. For the start, when no event has said yet where to
look, and as a safety net for cycles that pay for another reason than an event: a lower gas price,
more to borrow, a transaction that is over.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from mevfast._cache cimport Table
from mevfast._search cimport MAX_PLANS, Search, lender_terms
from mevfast._slots cimport (
    SLOT_STALE,
    TABLE_NO_CHUNK,
    chunk_class_of,
    chunk_give,
    chunk_take,
    kind_is_concentrated,
    kind_wide_bytes,
    pool_slot,
    seq_read_begin,
    slot_body,
    table_read,
    v3_window_void,
)
from mevfast.types cimport POOL_NONE, v3_tick

cdef unsigned READ_TRIES = 1000
cdef uint32_t MOST_SIZED = 1024      # candidates of a look: some milliseconds, in nobody's way
cdef size_t FIRST_ROOM = 1 << 16     # bytes: some 1,300 ticks


cdef size_t spread_bytes(const slot_body *body) noexcept nogil:
    """What the arena holds for a body, bytes."""
    if kind_is_concentrated(body.kind):
        return body.v3.n_ticks * sizeof(v3_tick)
    return kind_wide_bytes(body.kind)


cdef void chunk_of(const slot_body *body, uint32_t *first, uint32_t *rank) noexcept nogil:
    """Where that is: the chunk's first unit or TABLE_NO_CHUNK, and its class."""
    first[0], rank[0] = TABLE_NO_CHUNK, 0
    if kind_is_concentrated(body.kind):
        first[0], rank[0] = body.v3.first_tick, body.v3.chunk_class
    elif kind_wide_bytes(body.kind):
        first[0], rank[0] = body.wide.first_unit, body.wide.chunk_class


cdef bint same_pool(const slot_body *a, const slot_body *b) noexcept nogil:
    return a.kind == b.kind and memcmp(a.address, b.address, 20) == 0 \
        and memcmp(a.id_rest, b.id_rest, 12) == 0


cdef class Rescan:
    """A second search over the pools of `source`, for one thread at a time.

    Args:
        source: the loop's search, with its start tokens. Its settings and lenders are taken over at
            each look.
    """

    def __cinit__(self, Search source not None):
        cdef uint32_t capacity = source.table.t.capacity
        self.source = source
        self.copy = Table(capacity, source.table.t.arena_capacity, undo_bytes=0)
        # Ids are those of the source: tokens are added in its order, before the search asks for any.
        self._add_tokens()
        starts = [source.table.token_addresses[source.start[i]] for i in range(source.n_starts)]
        self.search = Search(self.copy, starts, source.table.token_addresses[source.base_token])
        self.seen = <uint32_t *>malloc(capacity * sizeof(uint32_t))
        self.wanted = <uint32_t *>malloc(capacity * sizeof(uint32_t))
        self.spread, self.room = malloc(FIRST_ROOM), FIRST_ROOM
        if self.seen == NULL or self.wanted == NULL or self.spread == NULL:
            raise MemoryError(f"rescan of {capacity} pools")
        memset(self.seen, 0xff, capacity * sizeof(uint32_t))

    def __dealloc__(self):
        free(self.seen)
        free(self.wanted)
        free(self.spread)

    def _add_tokens(self):
        cdef list addresses = self.source.table.token_addresses
        while len(self.copy.token_addresses) < len(addresses):
            self.copy.add_token(addresses[len(self.copy.token_addresses)])

    def follow(self):
        """Takes over what has changed in the source's table; returns how many slots have."""
        cdef uint32_t slot = 0, n = self.source.table.t.head.n_slots, changed = 0
        self.copy.t.head.n_slots = n
        while slot < n:
            with nogil:
                slot = self.follow_on(slot, n, &changed)
            if slot < n:
                self.renew(slot)
                changed += 1
                slot += 1
        return changed

    def look(self, uint64_t gas_price=0):
        """Ids of the pools, 20 bytes each, that the plans which pay now go through, best plan first.

        `gas_price` in wei. May be called from any thread, one at a time, while the loop writes.
        """
        cdef uint32_t slot, n = 0, i, j
        cdef Search search = self.search
        self._take_settings()
        self.follow()
        with nogil:
            for slot in range(self.copy.t.head.n_slots):
                if search.knows(slot):
                    self.wanted[n] = slot
                    n += 1
            search.settle(search.n_tokens)
            search.begin()
            search.collect(self.wanted, n)
            n = search.solve(gas_price, 0)
        pools = [(<const char *>search.plans[i].hop[j].pool)[:20]
                 for i in range(n) for j in range(search.plans[i].n_hops)]
        return list(dict.fromkeys(pools))

    def _take_settings(self):
        """What the source's search was told: limits, gas, lenders."""
        cdef Search to = self.search
        cdef uint32_t i
        to.max_hops, to.min_log_gain = self.source.max_hops, self.source.min_log_gain
        to.settings, to.min_net = self.source.settings, self.source.min_net
        to.settings.max_sized, to.settings.max_plans = MOST_SIZED, MAX_PLANS
        for i in range(self.source.n_lenders):
            memcpy(to.lender(i), &self.source.lenders[i], sizeof(lender_terms))

    # ---- reading ----

    cdef uint32_t follow_on(self, uint32_t slot, uint32_t n, uint32_t *changed) noexcept nogil:
        """Takes over slots from `slot` on until one holds another pool than before; it, or n."""
        cdef const slot_body *held
        while slot < n:
            if seq_read_begin(&self.source.table.t.slots[slot].sequence) != self.seen[slot] \
                    and self.read(slot):
                held = &self.copy.t.slots[slot].body
                if not same_pool(held, &self.body) \
                        or self.search.knows(slot) != self.source.knows(slot):
                    return slot
                if self.take(slot):
                    changed[0] += 1
                    self.search.refresh(slot)
            slot += 1
        return slot

    cdef bint read(self, uint32_t slot) noexcept nogil:
        """Reads a slot whole, into `body` and `spread`; False where that cannot be now."""
        cdef int status
        cdef size_t wanted
        cdef void *wider
        while True:
            self.sequence = seq_read_begin(&self.source.table.t.slots[slot].sequence)
            status = table_read(&self.source.table.t, slot, &self.body, self.spread, self.room,
                                READ_TRIES)
            if status != -2:
                break
            wanted = 2 * spread_bytes(&self.body)
            wider = realloc(self.spread, wanted)
            if wider == NULL:
                status = -1
                break
            self.spread, self.room = wider, wanted
        self.unread += status != 0
        return status == 0

    cdef bint take(self, uint32_t slot) noexcept nogil:
        """Puts what was read into the copy, in the room that the slot has there or in new one."""
        cdef pool_slot *held = &self.copy.t.slots[slot]
        cdef slot_body *to = &held.body
        cdef size_t bytes = spread_bytes(&self.body), units
        cdef uint32_t chunk, rank
        # What the search knows of a slot it knows by this; nobody else reads the copy.
        held.sequence += 2
        chunk_of(to, &chunk, &rank)
        units = (bytes + sizeof(v3_tick) - 1) // sizeof(v3_tick)
        if chunk != TABLE_NO_CHUNK and chunk_class_of(units) > rank:
            chunk_give(&self.copy.t, chunk, rank)
            chunk = TABLE_NO_CHUNK
        if chunk == TABLE_NO_CHUNK and units:
            rank = chunk_class_of(units)
            chunk = chunk_take(&self.copy.t, rank)
            if chunk == TABLE_NO_CHUNK:  # chunks of the copy are cut otherwise than the source's
                to.flags |= SLOT_STALE
                self.unread += 1
                return False
        to[0] = self.body
        if units:
            memcpy(self.copy.t.arena + chunk, self.spread, bytes)
        if kind_is_concentrated(to.kind):
            to.v3.first_tick, to.v3.chunk_class = chunk, rank
            v3_window_void(&self.copy.t.windows[slot])
        elif kind_wide_bytes(to.kind):
            to.wide.first_unit, to.wide.chunk_class = chunk, rank
        self.seen[slot] = self.sequence
        return True

    cdef int renew(self, uint32_t slot) except -1:
        """The same for a slot that holds another pool than before."""
        cdef uint32_t chunk, rank
        cdef slot_body *to = &self.copy.t.slots[slot].body
        self._add_tokens()
        self.search.remove_pool(slot)
        chunk_of(to, &chunk, &rank)
        if chunk != TABLE_NO_CHUNK and to.kind != <uint8_t>POOL_NONE:
            chunk_give(&self.copy.t, chunk, rank)
        memset(to, 0, sizeof(slot_body))
        if kind_is_concentrated(self.body.kind):
            to.kind, to.v3.first_tick = self.body.kind, TABLE_NO_CHUNK
        elif kind_wide_bytes(self.body.kind):
            to.kind, to.wide.first_unit = self.body.kind, TABLE_NO_CHUNK
        # Not every pool of the table is searched: what the executor cannot swap through is not.
        if self.take(slot) and to.kind != <uint8_t>POOL_NONE and self.source.knows(slot):
            self.search.add_pool(slot)
        return 0
