"""Events applied to the reserve table, and the table as Python sees it.

Owns what each event does to a slot; its memory is _slots'. One thread writes (the one that feeds
frames). Events are applied in place and journaled before; nothing here talks to a node.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from mevfast._events cimport solidly_event, wide_event
from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._pool cimport pool_quote_exact
from mevfast._slots cimport (
    APPLY_CHANGED,
    APPLY_INCONSISTENT,
    APPLY_MALFORMED,
    APPLY_NO_STATE,
    APPLY_OLD,
    APPLY_STALE_NOTED,
    APPLY_UNKNOWN_POOL,
    APPLY_WAITING,
    COUNT_HITS,
    COUNT_MISSES,
    COUNT_STALE_MARKS,
    POSITION_FITS,
    POSITION_UNKNOWN,
    SLOT_DRIFTS,
    SLOT_STALE,
    TABLE_NO_SLOT,
    Slots,
    event_carries_state,
    event_slot,
    kind_is_concentrated,
    kind_wide_bytes,
    pool_slot,
    pool_table,
    position_check,
    position_move,
    seq_store,
    seq_write_begin,
    seq_write_end,
    slot_body,
    slot_v3,
    slot_view,
    table_note_moved,
    table_order,
    table_publish,
    table_store,
    table_store_price,
    table_store_sync,
    table_view_swaps,
    table_wide,
    undo_body,
    undo_position,
    v3_window_void,
    v3_window_worn,
    word_to_int24,
    word_to_signed,
    word_to_u128,
)
from mevfast._univ3 cimport v3_window_build
from mevfast._wire cimport wire_parse
from mevfast.types cimport (
    EVENT_ALGEBRA_BURN,
    EVENT_ALGEBRA_FEE,
    EVENT_ALGEBRA_FEES,
    EVENT_ALGEBRA_SWAP,
    EVENT_ALGEBRA_TICK_SPACING,
    EVENT_PANCAKE_SWAP,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    EVENT_V4_INITIALIZE,
    EVENT_V4_MODIFY_LIQUIDITY,
    EVENT_V4_PROTOCOL_FEE,
    EVENT_V4_SWAP,
    POOL_ALGEBRA_INTEGRAL,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V4,
    QUOTE_OK,
    V4_MAX_PROTOCOL_FEE,
    V4_SWAP_HOOKS,
    WIRE_LOG,
    head_event,
    log_event,
    pool_quote,
    pool_state,
    v2_state,
    v3_after,
    v3_window,
    v4_protocol_part,
    v4_swap_fee,
)
from mevfast.u256 cimport (
    FEE_DENOMINATOR,
    u128,
    u128_is_zero,
    u256,
    u256_fits_u64,
    u256_from_u64,
    u256_is_zero,
    u256_lo64,
    u256_lt,
)

from mevfast._slots import APPLY_NAMES

cdef enum:
    ALGEBRA_MOST_FEE = 0xffff  # the pools keep a uint16
    V4_DYNAMIC_FEE = 0x800000  # in the place of a fee: the hook sets it


# ---- events ----
#
# Each function returns an apply_result. Nothing of the table itself moves before the state is in the
# journal, and only where the event is applied. Events have the shape that their signature says:
# others never get here.

cdef struct moved_position:
    int32_t lower, upper
    u128 amount
    int add
    bint ticks                    # whether there is anything to move

cdef int read_price(v3_after *at, const log_event *e) noexcept nogil:
    """Swap of every form: amount0, amount1, sqrtPriceX96, liquidity, tick, and what differs.
    Initialize: sqrtPriceX96, tick, no liquidity; V4's has fee, spacing and hooks before them."""
    cdef const u256 *price = &e.word[2]
    cdef const u256 *tick = &e.word[4]
    if e.kind == EVENT_V3_INITIALIZE:
        price = &e.word[0]
        tick = &e.word[1]
    elif e.kind == EVENT_V4_INITIALIZE:
        price = &e.word[3]
    elif word_to_u128(&at.liquidity, &e.word[3], 128) != 0:
        return APPLY_MALFORMED
    if word_to_int24(&at.tick, tick) != 0 or price.w[3] != 0 or price.w[2] >> 32 != 0:
        return APPLY_MALFORMED
    at.sqrt_price_x96 = price[0]
    return APPLY_CHANGED


cdef int apply_position(
    pool_table *t, slot_body *body, const log_event *e, moved_position *p,
) noexcept nogil:
    """Mint and Burn: topics owner, tickLower, tickUpper; amount is word 1 of Mint, 0 of Burn.
    ModifyLiquidity: words tickLower, tickUpper, liquidityDelta, salt."""
    cdef const u256 *ends = &e.topic[1]
    cdef u256 amount
    cdef int status
    if e.kind == EVENT_V4_MODIFY_LIQUIDITY:
        ends = &e.word[0]
        p.add = not word_to_signed(&amount, &e.word[2])
    else:
        p.add = e.kind == EVENT_V3_MINT
        amount = e.word[1 if p.add else 0]
    if (word_to_int24(&p.lower, &ends[0]) != 0 or word_to_int24(&p.upper, &ends[1]) != 0
            or word_to_u128(&p.amount, &amount, 128) != 0):
        return APPLY_MALFORMED
    if p.lower >= p.upper:
        # a limit order of an Algebra pool that has them
        return (APPLY_STALE_NOTED if p.lower == p.upper and body.kind == POOL_ALGEBRA_INTEGRAL
                else APPLY_MALFORMED)
    p.ticks = not u128_is_zero(p.amount)
    if not p.ticks:
        return APPLY_CHANGED  # a poke: collects fees, moves no liquidity
    status = position_check(t, &body.v3, p.lower, p.upper, p.amount, p.add)
    if status == POSITION_FITS:
        return APPLY_CHANGED
    p.ticks = False
    return APPLY_STALE_NOTED if status == POSITION_UNKNOWN else APPLY_INCONSISTENT


cdef int set_fees(slot_v3 *s, const u256 *fees, int step, uint32_t most) noexcept nogil:
    """LP fees of both directions: fees[0] and fees[step]."""
    cdef int i
    for i in range(2):
        if not u256_fits_u64(&fees[i * step]) or u256_lo64(&fees[i * step]) > most:
            return APPLY_MALFORMED
        s.lp_fee_pips[i] = <uint32_t>u256_lo64(&fees[i * step])
        s.fee_pips[i] = v4_swap_fee(s.lp_fee_pips[i], s.protocol_fee, i)
    return APPLY_CHANGED


cdef int apply_setting(slot_body *body, const log_event *e) noexcept nogil:
    """What an Algebra pool's owner sets, or the pool itself in its first swap of a second."""
    cdef int32_t spacing
    if e.kind == EVENT_ALGEBRA_FEE:
        return set_fees(&body.v3, e.word, 0, ALGEBRA_MOST_FEE)
    if e.kind == EVENT_ALGEBRA_FEES:
        return set_fees(&body.v3, e.word, 1, ALGEBRA_MOST_FEE)
    if e.kind == EVENT_ALGEBRA_TICK_SPACING:
        # no bitmap follows it: V1's counts what it always did, later ones have a list of ticks
        if word_to_int24(&spacing, &e.word[0]) != 0 or spacing < 1:
            return APPLY_MALFORMED
        body.v3.tick_spacing = spacing
        return APPLY_CHANGED
    return APPLY_STALE_NOTED  # another plugin, or other rights of it: they may set fees


cdef int apply_v4_fee(slot_v3 *s, const log_event *e, const u256 *price_before) noexcept nogil:
    """The fee that a V4 swap paid, its last word: a hook moves a dynamic LP fee without an event."""
    cdef const u256 *fee = &e.word[5]
    cdef bint negative0 = e.word[0].w[3] >> 63, negative1 = e.word[1].w[3] >> 63
    # amounts are the caller's: what it pays is negative
    cdef int token_in = 0 if negative0 else 1
    if u256_is_zero(&e.word[0]) and not negative1:
        token_in = 1 if u256_is_zero(&e.word[1]) and u256_lt(price_before, &e.word[2]) else 0
    if s.hooks & V4_SWAP_HOOKS or (u256_fits_u64(fee) and u256_lo64(fee) == s.fee_pips[token_in]):
        return APPLY_CHANGED  # with such a hook no quote is given, and the fee may be this swap's own
    if v4_protocol_part(s.protocol_fee, token_in) != 0:
        return APPLY_STALE_NOTED  # two LP fees may come to the same sum
    return set_fees(s, fee, 0, FEE_DENOMINATOR)


cdef int apply_v4(slot_body *body, const log_event *e) noexcept nogil:
    """Initialize, Swap and ProtocolFeeUpdated of Uniswap V4's PoolManager."""
    cdef slot_v3 *s = &body.v3
    cdef v3_after at
    cdef u256 before = s.sqrt_price_x96
    cdef u256 fees[2]
    cdef uint32_t protocol_fee
    cdef int status
    if e.kind == EVENT_V4_PROTOCOL_FEE:
        if not u256_fits_u64(&e.word[0]) or u256_lo64(&e.word[0]) >> 24 != 0:
            return APPLY_MALFORMED
        protocol_fee = <uint32_t>u256_lo64(&e.word[0])
        if (v4_protocol_part(protocol_fee, 0) > <uint32_t>V4_MAX_PROTOCOL_FEE
                or v4_protocol_part(protocol_fee, 1) > <uint32_t>V4_MAX_PROTOCOL_FEE):
            return APPLY_MALFORMED
        s.protocol_fee = protocol_fee
        u256_from_u64(&fees[0], s.lp_fee_pips[0])
        u256_from_u64(&fees[1], s.lp_fee_pips[1])
        return set_fees(s, fees, 1, FEE_DENOMINATOR)
    at.liquidity = s.liquidity
    status = read_price(&at, e)
    if status != APPLY_CHANGED:
        return status
    s.sqrt_price_x96, s.liquidity, s.tick = at.sqrt_price_x96, at.liquidity, at.tick
    if e.kind == EVENT_V4_SWAP:
        return apply_v4_fee(s, e, &before)
    if u256_fits_u64(&e.word[0]) and u256_lo64(&e.word[0]) == V4_DYNAMIC_FEE:
        return APPLY_STALE_NOTED  # its hook may have set the fee since
    return set_fees(s, &e.word[0], 0, FEE_DENOMINATOR)


cdef int apply_concentrated(
    pool_table *t, slot_body *body, const log_event *e, moved_position *p,
) noexcept nogil:
    if (e.kind == EVENT_V3_MINT or e.kind == EVENT_V3_BURN or e.kind == EVENT_ALGEBRA_BURN
            or e.kind == EVENT_V4_MODIFY_LIQUIDITY):
        return apply_position(t, body, e, p)
    if body.kind == POOL_UNISWAP_V4:
        return apply_v4(body, e)
    return apply_setting(body, e)


cdef int apply_wide(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """An event of a pool whose state lies in the arena; only where it is applied anything moves."""
    cdef pool_slot *to = &t.slots[slot]
    cdef slot_body body = to.body
    cdef pool_state state
    cdef int result
    slot_view(&body, table_wide(t, &body), &state)
    result = wide_event(t, &body, e, &state)
    if result != APPLY_CHANGED:
        return result
    undo_body(t, slot, e.block_number, e.log_index)
    body.block, body.log_index = e.block_number, e.log_index
    seq_write_begin(&to.sequence)
    # all three states are members of one union: the kind says how much of it there is
    seq_store(table_wide(t, &body), &state.curve, kind_wide_bytes(body.kind))
    table_store(to, &body)
    seq_write_end(&to.sequence)
    return APPLY_CHANGED


cdef int apply_sync(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """Sync of a V2 pair: the most frequent of all, so that nothing else of its body is copied."""
    cdef pool_slot *to = &t.slots[slot]
    cdef v2_state state = to.body.v2
    if (word_to_u128(&state.reserve0, &e.word[0], 112) != 0
            or word_to_u128(&state.reserve1, &e.word[1], 112) != 0):
        return APPLY_MALFORMED
    undo_body(t, slot, e.block_number, e.log_index)
    seq_write_begin(&to.sequence)
    table_store_sync(to, &state, e.block_number, e.log_index)
    seq_write_end(&to.sequence)
    return APPLY_CHANGED


cdef bint sets_price(const log_event *e) noexcept nogil:
    """Whether an event of a concentrated pool other than V4's says its price and nothing else."""
    return (e.kind == EVENT_V3_SWAP or e.kind == EVENT_PANCAKE_SWAP or e.kind == EVENT_ALGEBRA_SWAP
            or e.kind == EVENT_V3_INITIALIZE)


cdef int apply_swap(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """Swap and Initialize of Uniswap V3, PancakeSwap V3 and Algebra, in place as well."""
    cdef pool_slot *to = &t.slots[slot]
    cdef v3_after at
    cdef int status
    if e.kind == EVENT_ALGEBRA_SWAP and not (u256_is_zero(&e.word[5]) and u256_is_zero(&e.word[6])):
        return APPLY_STALE_NOTED  # its plugin's fees: what was charged is not the fee stored
    at.liquidity = to.body.v3.liquidity
    status = read_price(&at, e)
    if status != APPLY_CHANGED:
        return status
    undo_body(t, slot, e.block_number, e.log_index)
    seq_write_begin(&to.sequence)
    table_store_price(to, &at, e.block_number, e.log_index)
    seq_write_end(&to.sequence)
    table_note_moved(t, slot)
    return APPLY_CHANGED


cdef int apply_narrow(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """An event of a concentrated pool, or of Solidly's or Camelot's."""
    cdef pool_slot *to = &t.slots[slot]
    cdef slot_body body = to.body
    cdef moved_position p
    cdef int result
    cdef bint concentrated = kind_is_concentrated(body.kind), void = False
    p.ticks = False
    if concentrated:
        result = apply_concentrated(t, &body, e, &p)
    else:
        result = solidly_event(&body, e)
    if result != APPLY_CHANGED:
        return result
    if p.ticks:
        undo_position(t, slot, e.block_number, e.log_index, p.lower, p.upper, p.amount, p.add)
    else:
        undo_body(t, slot, e.block_number, e.log_index)
    if concentrated:
        # sums over other ticks, or of another fee
        void = (p.ticks or body.v3.fee_pips[0] != to.body.v3.fee_pips[0]
                or body.v3.fee_pips[1] != to.body.v3.fee_pips[1])
    body.block, body.log_index = e.block_number, e.log_index
    # The lock is held over the whole change, since ticks move in place.
    seq_write_begin(&to.sequence)
    if p.ticks:
        position_move(t, &to.body.v3, &body.v3, p.lower, p.upper, p.amount, p.add)
    table_store(to, &body)
    seq_write_end(&to.sequence)
    if concentrated:
        if void:
            v3_window_void(&t.windows[slot])
        table_note_moved(t, slot)
    return APPLY_CHANGED


cdef int apply_to(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """Applies one event to its slot; the result is not counted yet."""
    cdef slot_body *body = &t.slots[slot].body
    cdef int result
    if not event_carries_state(body.kind, e.kind):
        return APPLY_NO_STATE
    result = table_order(t, body, e.block_number, e.log_index)
    if result != APPLY_CHANGED:
        return result
    if body.flags & (SLOT_STALE | SLOT_DRIFTS):
        result = APPLY_STALE_NOTED
    elif e.misshapen:
        result = APPLY_MALFORMED
    elif body.kind == POOL_UNISWAP_V2:
        result = apply_sync(t, slot, e)
    elif sets_price(e):
        result = apply_swap(t, slot, e)
    elif kind_wide_bytes(body.kind) != 0:
        result = apply_wide(t, slot, e)
    else:
        result = apply_narrow(t, slot, e)
    if result >= APPLY_STALE_NOTED:
        note_stale(t, slot, e)
    return result


cdef void note_stale(pool_table *t, uint32_t slot, const log_event *e) noexcept nogil:
    """Nothing moves but the event from which on the state is to be read."""
    cdef slot_body body = t.slots[slot].body
    if not body.flags & SLOT_STALE:
        t.head.counters[<int>COUNT_STALE_MARKS] += 1
    undo_body(t, slot, e.block_number, e.log_index)
    body.flags |= <uint8_t>SLOT_STALE
    body.block, body.log_index = e.block_number, e.log_index
    table_publish(t, slot, &body)
    if kind_is_concentrated(body.kind):
        table_note_moved(t, slot)


cdef int table_apply(pool_table *t, const log_event *e, uint32_t *slot) noexcept nogil:
    """Applies one event in place; `slot` receives the pool's slot or TABLE_NO_SLOT.

    Returns an apply_result. An event that contradicts the slot marks it stale.
    """
    cdef uint32_t found = event_slot(t, e)
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


cdef bint table_knows(pool_table *t, const log_event *e) noexcept nogil:
    """Whether an event has reached its pool, waits for it, or says nothing about any pool here."""
    cdef uint32_t slot = event_slot(t, e)
    cdef int order
    if (slot == TABLE_NO_SLOT or t.slots[slot].body.flags & SLOT_STALE
            or not event_carries_state(t.slots[slot].body.kind, e.kind)):
        return True  # a stale slot has no state that it could be missing from
    order = table_order(t, &t.slots[slot].body, e.block_number, e.log_index)
    return order == APPLY_OLD or order == APPLY_WAITING


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

    def block(self, uint32_t slot):
        """Block of the newest event of a pool that carries state, or of its reading."""
        self._check_slot(slot)
        return self.t.slots[slot].body.block

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
