"""Events applied to the reserve table, and the table as Python sees it.

Owns what each event does to a slot; its memory is _slots'. One thread writes (the one that feeds
frames). Events are applied in place and journaled before; nothing here talks to a node.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._pool cimport pool_quote_exact
from mevfast._slots cimport (
    APPLY_CHANGED,
    APPLY_INCONSISTENT,
    APPLY_MALFORMED,
    APPLY_NO_STATE,
    APPLY_STALE_NOTED,
    APPLY_UNKNOWN_POOL,
    COUNT_HITS,
    COUNT_MISSES,
    COUNT_STALE_MARKS,
    POSITION_FITS,
    POSITION_UNKNOWN,
    SLOT_STALE,
    TABLE_NO_SLOT,
    Slots,
    kind_is_concentrated,
    pool_slot,
    pool_table,
    position_check,
    position_move,
    seq_write_begin,
    seq_write_end,
    slot_body,
    slot_v3,
    table_find,
    table_note_moved,
    table_order,
    table_store,
    table_view_swaps,
    undo_body,
    undo_position,
    v3_window_void,
    v3_window_worn,
    word_to_int24,
    word_to_u128,
)
from mevfast._univ3 cimport v3_window_build
from mevfast._wire cimport wire_parse
from mevfast.types cimport (
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
    v3_window,
)
from mevfast.u256 cimport u128, u128_is_zero, u256

from mevfast._slots import APPLY_NAMES


# ---- events ----
#
# Each function moves a copy of the slot's body and returns an apply_result. Nothing of the table
# itself moves before the state is in the journal.

cdef struct moved_position:
    int32_t lower, upper
    u128 amount
    int add
    bint ticks                    # whether there is anything to move

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


cdef int apply_v3_position(
    pool_table *t, slot_body *body, const log_event *e, moved_position *p,
) noexcept nogil:
    """Mint and Burn: topics owner, tickLower, tickUpper; amount is word 1 of Mint, 0 of Burn."""
    cdef int status
    p.add = e.kind == EVENT_V3_MINT
    if e.n_topics != 4 or e.n_words != (4 if p.add else 3):
        return APPLY_MALFORMED
    if (word_to_int24(&p.lower, &e.topic[1]) != 0 or word_to_int24(&p.upper, &e.topic[2]) != 0
            or word_to_u128(&p.amount, &e.word[1 if p.add else 0], 128) != 0
            or p.lower >= p.upper):
        return APPLY_MALFORMED
    p.ticks = not u128_is_zero(p.amount)
    if not p.ticks:
        return APPLY_CHANGED  # a poke: collects fees, moves no liquidity
    status = position_check(t, &body.v3, p.lower, p.upper, p.amount, p.add)
    if status == POSITION_FITS:
        return APPLY_CHANGED
    p.ticks = False
    return APPLY_STALE_NOTED if status == POSITION_UNKNOWN else APPLY_INCONSISTENT


cdef bint carries_state(uint32_t kind, const log_event *e) noexcept nogil:
    """Whether an event says anything about the state of a pool of that kind."""
    if kind == POOL_UNISWAP_V2:
        return e.kind == EVENT_V2_SYNC
    if kind == POOL_UNISWAP_V3:
        return (e.kind == EVENT_V3_SWAP or e.kind == EVENT_V3_MINT or e.kind == EVENT_V3_BURN
                or e.kind == EVENT_V3_INITIALIZE)
    return False


cdef int apply_event(
    pool_table *t, slot_body *body, const log_event *e, moved_position *p,
) noexcept nogil:
    """What an event that carries state makes of a body that is not stale."""
    if e.kind == EVENT_V2_SYNC:
        return apply_sync(body, e)
    if e.kind == EVENT_V3_MINT or e.kind == EVENT_V3_BURN:
        return apply_v3_position(t, body, e, p)
    return apply_v3_price(body, e)


cdef int apply_to(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """Applies one event to its slot; the result is not counted yet."""
    cdef pool_slot *to = &t.slots[slot]
    cdef slot_body body
    cdef moved_position p
    cdef int result = table_order(t, &to.body, e.block_number, e.log_index)
    if result != APPLY_CHANGED:
        return result
    if not carries_state(to.body.kind, e):
        return APPLY_NO_STATE
    body = to.body
    p.ticks = False
    result = APPLY_STALE_NOTED
    if not body.flags & SLOT_STALE:
        result = apply_event(t, &body, e, &p)
    if result >= APPLY_STALE_NOTED:
        # All that moves is the event from which on it is to be read.
        body = to.body
        if not body.flags & SLOT_STALE:
            t.head.counters[<int>COUNT_STALE_MARKS] += 1
        body.flags |= SLOT_STALE
    if p.ticks:
        undo_position(t, slot, e.block_number, e.log_index, p.lower, p.upper, p.amount, p.add)
        v3_window_void(&t.windows[slot])
    else:
        undo_body(t, slot, e.block_number, e.log_index)
    body.block, body.log_index = e.block_number, e.log_index
    # The lock is held over the whole change, since ticks move in place.
    seq_write_begin(&to.sequence)
    if p.ticks:
        position_move(t, &to.body.v3, &body.v3, p.lower, p.upper, p.amount, p.add)
    table_store(to, &body)
    seq_write_end(&to.sequence)
    if kind_is_concentrated(body.kind):
        table_note_moved(t, slot)
    return result


cdef int table_apply(pool_table *t, const log_event *e, uint32_t *slot) noexcept nogil:
    """Applies one event in place; `slot` receives the pool's slot or TABLE_NO_SLOT.

    Returns an apply_result. An event that contradicts the slot marks it stale.
    """
    cdef uint32_t found = table_find(t, e.address)
    cdef int result = APPLY_UNKNOWN_POOL
    slot[0] = found
    if found == TABLE_NO_SLOT:
        t.head.counters[<int>COUNT_MISSES] += 1
    else:
        t.head.counters[<int>COUNT_HITS] += 1
        result = apply_to(t, found, e)
        if result == APPLY_CHANGED:
            t.head.events[e.kind] += 1
    t.head.applied[result] += 1
    return result


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
        if not kind_is_concentrated(state.kind):
            continue  # removed since, or without a state
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


cdef class Table(Slots):
    """The reserve table: Slots, and the events that move them. Arguments as for Slots."""

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

    def refresh(self, uint32_t most=0xffffffff):
        """Renews the windows of V3 pools that events moved: what a Core does after each batch."""
        table_refresh(&self.t, most)

    def window(self, uint32_t slot):
        """Of a V3 pool's window: [(stops known, of these behind the price), ...] by token in.

        None are behind where it cannot be used. The writer's own view: for tests.
        """
        cdef pool_state state
        cdef v3_window *window
        self._check_slot(slot)
        table_view_swaps(&self.t, slot, &state)
        window = &self.t.windows[slot]
        return [(window.way[i].n_stops, window.way[i].next) for i in range(2)]

    def quote(self, uint32_t slot, int token_in, amount, bint exact_in=True):
        """(amount in, amount out, price after) of a swap, or None. The writer's own view: for tests.
        """
        cdef pool_state state
        cdef pool_quote q
        cdef u256 wei
        self._check_slot(slot)
        u256_from_pyint(&wei, amount)
        table_view_swaps(&self.t, slot, &state)
        if pool_quote_exact(&state, token_in, 1 - token_in, exact_in, &wei, &q) != QUOTE_OK:
            return None
        return u256_to_pyint(&q.amount_in), u256_to_pyint(&q.amount_out), q.price_after
