"""The reserve table: the state of every pool, in dense slots guarded by sequence locks.

Owns the slots, the index by address, the arena of V3 ticks and the windows over them, which are
the writer's alone and take sizeof(v3_window), 7 KB, a V3 pool. One thread writes (the one that
feeds frames); any number read through `table_read`, which never blocks the writer and never
returns a torn slot. Events are applied in place; nothing here talks to a node.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset

from mevfast._math cimport (
    i128_from_pyint,
    i128_to_pyint,
    u128_from_pyint,
    u128_to_pyint,
    u256_from_pyint,
    u256_to_pyint,
)
from mevfast._pool cimport pool_quote_exact
from mevfast._univ3 cimport v3_window_build
from mevfast._wire cimport wire_parse
from mevfast.types cimport (
    EVENT_V2_SWAP,
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    QUOTE_OK,
    WIRE_LOG,
    head_event,
    log_event,
    pool_quote,
    pool_state,
    v3_tick,
    v3_window,
)
from mevfast.u256 cimport u128, u128_is_zero, u256

from mevfast.errors import DataError

cdef extern from "<sched.h>" nogil:
    int sched_yield() noexcept

cdef uint32_t TICKS_IN_SMALLEST_CHUNK = 16
cdef uint32_t NO_CHUNK = 0xffffffff
cdef uint32_t END_OF_BLOCK = 0xffffffff

# A writer that the system took off its core inside a slot comes back only if others yield.
cdef uint32_t READ_TRIES = 1000
cdef uint32_t READ_TURNS = 100000

KINDS = {"uniswap_v2": POOL_UNISWAP_V2, "uniswap_v3": POOL_UNISWAP_V3}
KIND_NAMES = {number: name for name, number in KINDS.items()}
APPLY_NAMES = ("changed", "no_state", "unknown_pool", "old", "inconsistent", "malformed")


# ---- the tick arena: chunks of 16 << class ticks, freed chunks kept in lists by class ----

cdef uint32_t chunk_take(pool_table *t, uint32_t tick_class) noexcept nogil:
    """The first tick of a chunk of that class, or NO_CHUNK where the arena is full."""
    cdef uint32_t chunk = t.free_chunk[tick_class]
    cdef uint32_t size = TICKS_IN_SMALLEST_CHUNK << tick_class
    if chunk != NO_CHUNK:
        t.free_chunk[tick_class] = <uint32_t>t.ticks[chunk].tick
        return chunk
    if t.tick_capacity - t.ticks_used < size:
        return NO_CHUNK
    chunk = t.ticks_used
    t.ticks_used += size
    return chunk


cdef void chunk_give(pool_table *t, uint32_t chunk, uint32_t tick_class) noexcept nogil:
    # A reader may still be copying from here: its sequence check fails, so the link may go in.
    t.ticks[chunk].tick = <int32_t>t.free_chunk[tick_class]
    t.free_chunk[tick_class] = chunk


cdef uint32_t tick_position(const v3_tick *ticks, uint32_t n, int32_t tick) noexcept nogil:
    """Index of the first entry not below `tick`."""
    cdef uint32_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) >> 1
        if ticks[middle].tick < tick:
            low = middle + 1
        else:
            high = middle
    return low


cdef int position_end(pool_table *t, slot_v3 *s, int32_t tick, u128 amount, int add,
                      int upper) noexcept nogil:
    """Moves one end of a position: enters, changes or removes a tick. The writer holds the slot.

    Returns 0, or -1 where the event contradicts the ticks held or the arena is full.
    """
    cdef v3_tick *ticks = t.ticks + s.first_tick
    cdef uint32_t at = tick_position(ticks, s.n_ticks, tick)
    cdef v3_tick entry
    cdef uint32_t chunk
    if at < s.n_ticks and ticks[at].tick == tick:
        entry = ticks[at]
        if tick_move(&entry, amount, add, upper) != 0:
            return -1
        if u128_is_zero(entry.liquidity_gross):
            memmove(&ticks[at], &ticks[at + 1], (s.n_ticks - at - 1) * sizeof(v3_tick))
            s.n_ticks -= 1
        else:
            ticks[at] = entry
        return 0
    if not add:
        return -1
    if s.n_ticks == TICKS_IN_SMALLEST_CHUNK << s.tick_class:
        if s.tick_class + 1 >= <uint32_t>TABLE_TICK_CLASSES:
            return -1
        chunk = chunk_take(t, s.tick_class + 1)
        if chunk == NO_CHUNK:
            return -1
        memcpy(t.ticks + chunk, ticks, s.n_ticks * sizeof(v3_tick))
        chunk_give(t, s.first_tick, s.tick_class)
        s.first_tick = chunk
        s.tick_class += 1
        ticks = t.ticks + chunk
    memmove(&ticks[at + 1], &ticks[at], (s.n_ticks - at) * sizeof(v3_tick))
    memset(&entry, 0, sizeof(v3_tick))
    entry.tick = tick
    tick_move(&entry, amount, add, upper)
    ticks[at] = entry
    s.n_ticks += 1
    return 0


# ---- events ----

cdef int apply_sync(slot_body *body, const log_event *e) noexcept nogil:
    if e.n_words != 2:
        return APPLY_MALFORMED
    if (word_to_u128(&body.v2.reserve0, &e.word[0], 112) != 0
            or word_to_u128(&body.v2.reserve1, &e.word[1], 112) != 0):
        return APPLY_MALFORMED
    return APPLY_CHANGED


cdef int apply_v3_price(slot_body *body, const log_event *e) noexcept nogil:
    """Swap: amount0, amount1, sqrtPriceX96, liquidity, tick. Initialize: sqrtPriceX96, tick."""
    cdef const u256 *price
    if e.kind == EVENT_V3_SWAP:
        if e.n_words != 5:
            return APPLY_MALFORMED
        price = &e.word[2]
        if (word_to_u128(&body.v3.liquidity, &e.word[3], 128) != 0
                or word_to_int24(&body.v3.tick, &e.word[4]) != 0):
            return APPLY_MALFORMED
    else:
        if e.n_words != 2:
            return APPLY_MALFORMED
        price = &e.word[0]
        if word_to_int24(&body.v3.tick, &e.word[1]) != 0:
            return APPLY_MALFORMED
    if price.w[3] != 0 or price.w[2] >> 32 != 0:
        return APPLY_MALFORMED
    body.v3.sqrt_price_x96 = price[0]
    return APPLY_CHANGED


cdef int apply_v3_position(pool_table *t, slot_body *body, const log_event *e,
                           v3_window *window) noexcept nogil:
    """Mint and Burn: topics owner, tickLower, tickUpper; amount is word 1 of Mint, 0 of Burn."""
    cdef int add = e.kind == EVENT_V3_MINT
    cdef int32_t lower, upper
    cdef u128 amount
    if e.n_topics != 4 or e.n_words != (4 if add else 3):
        return APPLY_MALFORMED
    if (word_to_int24(&lower, &e.topic[1]) != 0 or word_to_int24(&upper, &e.topic[2]) != 0
            or word_to_u128(&amount, &e.word[1 if add else 0], 128) != 0 or lower >= upper):
        return APPLY_MALFORMED
    if u128_is_zero(amount):
        return APPLY_CHANGED  # a poke: collects fees, moves no liquidity
    v3_window_void(window)
    if lower <= body.v3.tick < upper:
        if liquidity_move(&body.v3.liquidity, amount, add) != 0:
            return APPLY_INCONSISTENT
    if (position_end(t, &body.v3, lower, amount, add, False) != 0
            or position_end(t, &body.v3, upper, amount, add, True) != 0):
        return APPLY_INCONSISTENT
    return APPLY_CHANGED


cdef int table_apply(pool_table *t, const log_event *e, uint32_t *slot) noexcept nogil:
    """Applies one event in place; `slot` receives the pool's slot or TABLE_NO_SLOT.

    Returns an apply_result. An event that contradicts the slot marks it stale.
    """
    cdef uint32_t found = table_find(t, e.address)
    cdef pool_slot *to
    cdef slot_body body
    cdef int result
    slot[0] = found
    if found == TABLE_NO_SLOT:
        t.n_applied[APPLY_UNKNOWN_POOL] += 1
        return APPLY_UNKNOWN_POOL
    to = &t.slots[found]
    body = to.body
    if e.block_number < body.block or (e.block_number == body.block
                                       and e.log_index <= body.log_index):
        t.n_applied[APPLY_OLD] += 1
        return APPLY_OLD
    body.block = e.block_number
    body.log_index = e.log_index
    # The lock is held over the whole change, since ticks move in place.
    seq_write_begin(&to.sequence)
    if e.kind == EVENT_V2_SYNC and body.kind == POOL_UNISWAP_V2:
        result = apply_sync(&body, e)
    elif (e.kind == EVENT_V3_SWAP or e.kind == EVENT_V3_INITIALIZE) \
            and body.kind == POOL_UNISWAP_V3:
        result = apply_v3_price(&body, e)
        table_note_moved(t, found)
    elif (e.kind == EVENT_V3_MINT or e.kind == EVENT_V3_BURN) and body.kind == POOL_UNISWAP_V3:
        result = apply_v3_position(t, &body, e, &t.windows[found])
        table_note_moved(t, found)
    else:
        result = APPLY_NO_STATE
    if result >= APPLY_INCONSISTENT:
        # What was moved stays: its tick chunk may be a new one. A stale slot is not traded.
        body.flags |= SLOT_STALE
    seq_store(&to.body, &body, sizeof(slot_body))
    seq_write_end(&to.sequence)
    t.n_applied[result] += 1
    return result


cdef int table_flag(pool_table *t, uint32_t slot, uint8_t flags) noexcept nogil:
    """Adds flags to a slot."""
    cdef slot_body body = t.slots[slot].body
    body.flags |= flags
    table_publish(t, slot, &body)
    return 0


cdef void table_refresh(pool_table *t, uint32_t most) noexcept nogil:
    """Takes the windows of pools that events moved to their prices; builds at most `most` anew.

    For the writer, when there is time: until then a pool without a window is quoted step by step.
    """
    cdef pool_state state
    cdef v3_window *window
    cdef uint32_t slot
    while t.n_moved > 0 and most > 0:
        t.n_moved -= 1
        slot = t.moved[t.n_moved]
        t.slots[slot].moved = 0
        table_view_swaps(t, slot, &state)
        window = &t.windows[slot]
        if v3_window_worn(window):
            v3_window_build(window, &state.v3)
            most -= 1


cdef int parse_log(bytes frame, log_event *e) except -1:
    """One log notification, or ValueError."""
    cdef head_event head
    if wire_parse(<const char *>frame, len(frame), e, &head) != WIRE_LOG:
        raise ValueError(f"frame: expected a log notification, was {frame[:80]!r}")
    return 0


cdef class Table:
    """The reserve table.

    Args:
        capacity: pools it can hold.
        tick_capacity: V3 ticks its arena can hold, over all pools.
    """

    def __cinit__(self, uint32_t capacity=4096, uint32_t tick_capacity=1 << 20):
        cdef uint32_t size = 64
        while size < 2 * capacity:
            size *= 2
        self.token_addresses = []
        self._token_ids = {}
        self.t.capacity = capacity
        self.t.index_mask = size - 1
        self.t.tick_capacity = tick_capacity
        # The tick arena is reserved, not touched: pages arrive as pools fill them.
        self.t.slots = <pool_slot *>calloc(capacity, sizeof(pool_slot))
        self.t.index = <uint32_t *>malloc(size * sizeof(uint32_t))
        self.t.ticks = <v3_tick *>calloc(tick_capacity, sizeof(v3_tick))
        # So are the windows: only those of V3 pools are ever written.
        self.t.windows = <v3_window *>calloc(capacity, sizeof(v3_window))
        self.t.moved = <uint32_t *>malloc(capacity * sizeof(uint32_t))
        if (self.t.slots == NULL or self.t.index == NULL or self.t.ticks == NULL
                or self.t.windows == NULL or self.t.moved == NULL):
            raise MemoryError(f"table of {capacity} pools and {tick_capacity} ticks")
        memset(self.t.index, 0xff, size * sizeof(uint32_t))
        memset(self.t.free_chunk, 0xff, sizeof(self.t.free_chunk))

    def __dealloc__(self):
        free(self.t.slots)
        free(self.t.index)
        free(self.t.ticks)
        free(self.t.windows)
        free(self.t.moved)

    def __len__(self):
        return self.t.n_slots

    def add_token(self, bytes address):
        """The id of a token (20 bytes), given on first sight."""
        if len(address) != 20:
            raise DataError(f"token address: expected 20 bytes, was {len(address)}")
        if address not in self._token_ids:
            self._token_ids[address] = len(self.token_addresses)
            self.token_addresses.append(address)
        return self._token_ids[address]

    def token_id(self, bytes address):
        """The id of a known token, or None."""
        return self._token_ids.get(address)

    def put(self, bytes address, str kind, bytes token0, bytes token1, dict state,
            uint64_t block, uint32_t log_index=END_OF_BLOCK):
        """Adds a pool or replaces its whole state; returns its slot.

        `state` holds the fields of `kind` in mevfast-vectors/1 as integers; V3 `ticks` are
        `(tick, liquidity_gross, liquidity_net)`, ascending. The state is true after
        (`block`, `log_index`), the whole block by default. Flags are cleared, but for
        quarantine, which stays. A pool never changes its kind or tokens: DataError.
        """
        cdef uint32_t slot, chunk, i
        cdef slot_body body
        cdef slot_body *held
        cdef pool_state view
        if len(address) != 20:
            raise DataError(f"pool address: expected 20 bytes, was {len(address)}")
        if kind not in KINDS:
            raise DataError(f"pool kind: expected one of {', '.join(KINDS)}, was {kind!r}")
        slot = table_find(&self.t, address)
        if slot == TABLE_NO_SLOT and self.t.n_slots == self.t.capacity:
            raise DataError(f"the table is full: {self.t.capacity} pools; raise table.capacity")
        memset(&body, 0, sizeof(body))
        body.block, body.log_index = block, log_index
        body.token0, body.token1 = self.add_token(token0), self.add_token(token1)
        body.kind = KINDS[kind]
        memcpy(body.address, <const uint8_t *>address, 20)
        if slot != TABLE_NO_SLOT:
            held = &self.t.slots[slot].body
            if (held.kind, held.token0, held.token1) != (body.kind, body.token0, body.token1):
                raise DataError(
                    f"pool 0x{address.hex()}: expected the {KIND_NAMES[held.kind]} pool of tokens "
                    f"{held.token0} and {held.token1} that the table holds, was {kind} of "
                    f"{body.token0} and {body.token1}")
            body.flags = held.flags & <uint8_t>SLOT_QUARANTINED
        if body.kind == POOL_UNISWAP_V2:
            u128_from_pyint(&body.v2.reserve0, state["reserve0"])
            u128_from_pyint(&body.v2.reserve1, state["reserve1"])
            body.v2.fee_pips = state["fee_pips"]
        else:
            self._fill_v3(slot, &body.v3, state)
        if slot == TABLE_NO_SLOT:
            slot = self.t.n_slots
            # The body is whole before the index names it.
            table_publish(&self.t, slot, &body)
            self.t.n_slots += 1
            i = table_hash(address) & self.t.index_mask
            while self.t.index[i] != TABLE_NO_SLOT:
                i = (i + 1) & self.t.index_mask
            self.t.index[i] = slot
        elif body.kind == POOL_UNISWAP_V2:
            table_publish(&self.t, slot, &body)
        else:
            # Its old chunk goes only when no reader can be sent there any more.
            chunk = self.t.slots[slot].body.v3.first_tick
            i = self.t.slots[slot].body.v3.tick_class
            table_publish(&self.t, slot, &body)
            seq_retire()
            chunk_give(&self.t, chunk, i)
        if body.kind == POOL_UNISWAP_V3:
            table_view(&self.t, slot, &view)
            v3_window_build(&self.t.windows[slot], &view.v3)
        return slot

    cdef int _fill_v3(self, uint32_t slot, slot_v3 *s, dict state) except -1:
        cdef uint32_t i
        cdef v3_tick *entry
        ticks = state["ticks"]
        u256_from_pyint(&s.sqrt_price_x96, state["sqrt_price_x96"])
        u128_from_pyint(&s.liquidity, state["liquidity"])
        s.tick, s.tick_spacing = state["tick"], state["tick_spacing"]
        s.fee_pips = state["fee_pips"]
        s.n_ticks = len(ticks)
        s.tick_class = 0
        while TICKS_IN_SMALLEST_CHUNK << s.tick_class < s.n_ticks:
            s.tick_class += 1
        if s.tick_class >= <uint32_t>TABLE_TICK_CLASSES:
            raise DataError(f"V3 pool with {len(ticks)} initialised ticks: more than a pool can have")
        s.first_tick = chunk_take(&self.t, s.tick_class)
        if s.first_tick == NO_CHUNK:
            raise DataError(f"the tick arena is full: {self.t.tick_capacity} ticks")
        previous = None
        try:
            for i in range(s.n_ticks):
                tick, gross, net = ticks[i]
                if previous is not None and tick <= previous:
                    raise DataError(f"ticks[{i}]: expected above {previous}, was {tick}")
                previous = tick
                entry = &self.t.ticks[s.first_tick + i]
                entry.tick = tick
                u128_from_pyint(&entry.liquidity_gross, gross)
                i128_from_pyint(&entry.liquidity_net, net)
        except BaseException:
            chunk_give(&self.t, s.first_tick, s.tick_class)
            raise
        return 0

    def apply(self, bytes frame):
        """Applies one log notification: (name of what it did, slot or None).

        ValueError where the frame is no log. For files and tests: a feed goes through a Core.
        """
        cdef log_event e
        cdef uint32_t slot
        parse_log(frame, &e)
        result = APPLY_NAMES[table_apply(&self.t, &e, &slot)]
        return result, None if slot == TABLE_NO_SLOT else slot

    def replay(self, list frames, uint32_t rounds, uint32_t spins=0):
        """Applies log notifications over and over without the GIL; returns how many changed a slot.

        Each round moves the blocks on by what the frames span, so that no event is old. Between
        events it idles for `spins` turns of a loop. For benches, and for racing a writer against
        readers.
        """
        cdef uint32_t n = len(frames), i, r, slot
        cdef volatile uint32_t idle
        cdef uint64_t first = 0xffffffffffffffff, last = 0, changed = 0
        cdef log_event *events = <log_event *>malloc(max(n, 1) * sizeof(log_event))
        if events == NULL:
            raise MemoryError(f"{n} events")
        try:
            for i in range(n):
                parse_log(frames[i], &events[i])
                first = min(first, events[i].block_number)
                last = max(last, events[i].block_number)
            with nogil:
                for r in range(rounds):
                    for i in range(n):
                        changed += table_apply(&self.t, &events[i], &slot) == APPLY_CHANGED
                        events[i].block_number += last - first + 1
                        idle = 0
                        while idle < spins:
                            idle += 1
        finally:
            free(events)
        return changed

    def mark_stale(self, uint32_t slot):
        """Keeps a pool from being traded until `put` replaces its state."""
        if slot >= self.t.n_slots:
            raise IndexError(f"slot {slot}: the table holds {self.t.n_slots}")
        table_flag(&self.t, slot, <uint8_t>SLOT_STALE)

    def quarantine(self, uint32_t slot):
        """Keeps a pool from being traded for as long as the table lives."""
        if slot >= self.t.n_slots:
            raise IndexError(f"slot {slot}: the table holds {self.t.n_slots}")
        table_flag(&self.t, slot, <uint8_t>SLOT_QUARANTINED)

    def refresh(self, uint32_t most=0xffffffff):
        """Renews the windows of V3 pools that events moved: what a Core does after each batch."""
        table_refresh(&self.t, most)

    def window(self, uint32_t slot):
        """Of a V3 pool's window: [(stops known, of these behind the price), ...] by token in.

        None are behind where it cannot be used. The writer's own view: for tests.
        """
        cdef pool_state state
        cdef v3_window *window
        if slot >= self.t.n_slots:
            raise IndexError(f"slot {slot}: the table holds {self.t.n_slots}")
        table_view_swaps(&self.t, slot, &state)
        window = &self.t.windows[slot]
        return [(window.way[i].n_stops, window.way[i].next) for i in range(2)]

    def quote(self, uint32_t slot, int token_in, amount, bint exact_in=True):
        """(amount in, amount out, price after) of a swap, or None. The writer's own view: for tests.
        """
        cdef pool_state state
        cdef pool_quote q
        cdef u256 wei
        if slot >= self.t.n_slots:
            raise IndexError(f"slot {slot}: the table holds {self.t.n_slots}")
        u256_from_pyint(&wei, amount)
        table_view_swaps(&self.t, slot, &state)
        if pool_quote_exact(&state, token_in, 1 - token_in, exact_in, &wei, &q) != QUOTE_OK:
            return None
        return u256_to_pyint(&q.amount_in), u256_to_pyint(&q.amount_out), q.price_after

    @property
    def ticks_used(self):
        """Ticks of the arena that chunks were ever cut from; freed chunks among them are reused."""
        return self.t.ticks_used

    def slot(self, bytes address):
        """The slot of a pool, or None where it is unknown."""
        cdef uint32_t found
        if len(address) != 20:
            raise DataError(f"pool address: expected 20 bytes, was {len(address)}")
        found = table_find(&self.t, address)
        return None if found == TABLE_NO_SLOT else found

    def read(self, uint32_t slot, uint32_t max_ticks=65536):
        """One pool as a dict, read as a foreign reader would: any thread may call it.

        Keys: address, kind, token0, token1, block, log_index, stale, quarantined and the state
        fields of the kind; V3 `ticks` as (tick, liquidity_gross, liquidity_net).
        """
        cdef slot_body body
        cdef v3_tick *ticks
        cdef int status
        cdef uint32_t i, turns = 0
        if slot >= self.t.n_slots:
            raise IndexError(f"slot {slot}: the table holds {self.t.n_slots}")
        ticks = <v3_tick *>malloc(max_ticks * sizeof(v3_tick))
        if ticks == NULL:
            raise MemoryError(f"{max_ticks} ticks")
        try:
            with nogil:
                status = -1
                while status == -1 and turns < READ_TURNS:
                    status = table_read(&self.t, slot, &body, ticks, max_ticks, READ_TRIES)
                    turns += 1
                    if status == -1:
                        sched_yield()
            if status != 0:
                raise DataError(f"slot {slot}: " + ("the writer never left it" if status == -1
                                                   else f"more than {max_ticks} ticks"))
            out = {
                "address": (<const char *>body.address)[:20], "kind": KIND_NAMES[body.kind],
                "token0": self.token_addresses[body.token0],
                "token1": self.token_addresses[body.token1],
                "block": body.block, "log_index": body.log_index,
                "stale": bool(body.flags & SLOT_STALE),
                "quarantined": bool(body.flags & SLOT_QUARANTINED),
            }
            if body.kind == POOL_UNISWAP_V2:
                out.update(fee_pips=body.v2.fee_pips, reserve0=u128_to_pyint(body.v2.reserve0),
                           reserve1=u128_to_pyint(body.v2.reserve1))
            else:
                out.update(
                    fee_pips=body.v3.fee_pips, tick_spacing=body.v3.tick_spacing,
                    sqrt_price_x96=u256_to_pyint(&body.v3.sqrt_price_x96), tick=body.v3.tick,
                    liquidity=u128_to_pyint(body.v3.liquidity),
                    ticks=[(ticks[i].tick, u128_to_pyint(ticks[i].liquidity_gross),
                            i128_to_pyint(ticks[i].liquidity_net))
                           for i in range(body.v3.n_ticks)])
            return out
        finally:
            free(ticks)

    def applied(self):
        """Events offered so far by what became of them: name -> count."""
        return {name: self.t.n_applied[i] for i, name in enumerate(APPLY_NAMES)}

    def stale(self):
        """Addresses of the pools that must be loaded again before they are traded."""
        cdef uint32_t i
        return [(<const char *>self.t.slots[i].body.address)[:20] for i in range(self.t.n_slots)
                if self.t.slots[i].body.flags & SLOT_STALE]
