"""Every observed swap is a free test: our quote for its input must equal its output.

Swaps are queued with the state before them while their block is applied, and checked by `run`
before the engine decides anything on them. Pairs say the amounts in a Swap right after the
Sync that moved the reserves; concentrated pools say amounts and the state after in one Swap;
StableSwap's exchanges are checked where the table replays them. Pools that are stale, or drift
without events, have no state to compare with.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from mevfast._cache cimport Table, parse_log, table_apply
from mevfast._events cimport pool_token
from mevfast._math cimport u256_to_pyint
from mevfast._pool cimport pool_quote_exact, pool_quote_limited
from mevfast._slots cimport (
    APPLY_CHANGED,
    SLOT_DRIFTS,
    SLOT_QUARANTINED,
    SLOT_STALE,
    TABLE_NO_SLOT,
    event_slot,
    kind_is_concentrated,
    kind_wide_bytes,
    slot_body,
    table_flag,
    table_order,
    table_view,
    word_to_int24,
    word_to_signed,
    word_to_u128,
)
from mevfast.types cimport (
    EVENT_ALGEBRA_BURN,
    EVENT_ALGEBRA_SWAP,
    EVENT_BALANCER_SWAP,
    EVENT_CRYPTO_EXCHANGE,
    EVENT_CURVE_EXCHANGE,
    EVENT_PANCAKE_SWAP,
    EVENT_SOLIDLY_SWAP,
    EVENT_SOLIDLY_SYNC,
    EVENT_V2_SWAP,
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    EVENT_V4_MODIFY_LIQUIDITY,
    EVENT_V4_SWAP,
    POOL_BALANCER_COMPOSABLE_STABLE,
    POOL_CURVE_STABLE,
    POOL_CURVE_STABLE_NG,
    POOL_CURVE_TRICRYPTO_NG,
    POOL_CURVE_TWOCRYPTO_NG,
    POOL_SOLIDLY,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V4,
    QUOTE_OK,
    V4_SWAP_HOOKS,
    log_event,
    pool_quote,
    pool_state,
    v3_after,
)
from mevfast.u256 cimport (
    u128_cmp,
    u256,
    u256_add,
    u256_add_u64,
    u256_eq,
    u256_fits_u64,
    u256_is_zero,
    u256_lo64,
    u256_lt,
    u256_shr,
)

from mevfast._slots import APPLY_NAMES, KIND_NAMES

MAX_KEPT = 32

cdef enum:
    SWAP_EXACT = 0
    SWAP_SLACK = 1     # the caller took less than the pair would have paid
    SWAP_MISMATCH = 2
    SWAP_UNCHECKED = 3

cdef enum observed:
    NO_SWAP = 0
    QUEUED
    SKIPPED            # a swap that says nothing to compare with

# A stable pair only asks that its k does not fall: whoever calls it without its getAmountOut may
# take what that rounds off: a unit, or a 2**-30th part of the output.
cdef unsigned STABLE_ROUNDING = 30


cdef bint same_after(const pool_quote *q, const v3_after *after) noexcept nogil:
    return (u256_eq(&q.after.v3.sqrt_price_x96, &after.sqrt_price_x96)
            and u128_cmp(q.after.v3.liquidity, after.liquidity) == 0
            and q.after.v3.tick == after.tick)


cdef bint is_pair(uint32_t kind) noexcept nogil:
    """Whether its pools say reserves in a Sync."""
    return kind_wide_bytes(kind) == 0 and not kind_is_concentrated(kind)


cdef bint moves_ticks(const log_event *e) noexcept nogil:
    return (e.kind == EVENT_V3_MINT or e.kind == EVENT_V3_BURN or e.kind == EVENT_ALGEBRA_BURN
            or e.kind == EVENT_V4_MODIFY_LIQUIDITY)


cdef int observe_concentrated(
    observed_swap *s, const log_event *e, const slot_body *body,
) noexcept nogil:
    """Swap of every form: amount0, amount1, price, liquidity, tick. V4 tells the caller's amounts,
    the others the pool's: the signs are opposite."""
    cdef u256 amount[2]
    cdef bint negative[2]
    cdef int i
    cdef bint v4 = body.kind == POOL_UNISWAP_V4
    if e.kind != EVENT_V4_SWAP if v4 else (
            e.kind != EVENT_V3_SWAP and e.kind != EVENT_PANCAKE_SWAP
            and e.kind != EVENT_ALGEBRA_SWAP):
        return NO_SWAP
    s.after_v3.sqrt_price_x96 = e.word[2]
    if (word_to_u128(&s.after_v3.liquidity, &e.word[3], 128) != 0
            or word_to_int24(&s.after_v3.tick, &e.word[4]) != 0):
        return SKIPPED
    for i in range(2):
        negative[i] = word_to_signed(&amount[i], &e.word[i])
        negative[i] = negative[i] != (v4 and not u256_is_zero(&amount[i]))
    if u256_is_zero(&amount[0]) and u256_is_zero(&amount[1]):
        s.token_in = 1 if u256_lt(&body.v3.sqrt_price_x96, &e.word[2]) else 0
    else:
        s.token_in = 0 if not negative[0] and not u256_is_zero(&amount[0]) else 1
    s.token_out = 1 - s.token_in
    s.amount_in, s.amount_out = amount[s.token_in], amount[s.token_out]
    if v4 and (body.v3.hooks & V4_SWAP_HOOKS or not u256_fits_u64(&e.word[5])
               or u256_lo64(&e.word[5]) != body.v3.fee_pips[s.token_in]):
        return SKIPPED  # a hook takes part, or has moved the fee
    s.before_v3.sqrt_price_x96 = body.v3.sqrt_price_x96
    s.before_v3.liquidity, s.before_v3.tick = body.v3.liquidity, body.v3.tick
    s.fee_pips[0], s.fee_pips[1] = body.v3.fee_pips[0], body.v3.fee_pips[1]
    return QUEUED


cdef int index_of(const u256 *word, int n) noexcept nogil:
    """A coin's number, -1 where there is no such coin."""
    return <int>u256_lo64(word) if u256_fits_u64(word) and u256_lo64(word) < <uint64_t>n else -1


cdef bint fits(
    const observed_swap *s, const pool_state *state, bint exact_in, pool_quote *q,
) noexcept nogil:
    """Whether our quote for one of the amounts is both of them."""
    return (pool_quote_exact(state, s.token_in, s.token_out, exact_in,
                             &s.amount_in if exact_in else &s.amount_out, q) == QUOTE_OK
            and u256_eq(&q.amount_in, &s.amount_in) and u256_eq(&q.amount_out, &s.amount_out))


cdef int check_pair(const observed_swap *s, const pool_state *state) noexcept nogil:
    cdef pool_quote q
    cdef u256 most
    if pool_quote_exact(state, s.token_in, s.token_out, True, &s.amount_in, &q) != QUOTE_OK:
        return SWAP_MISMATCH
    if u256_eq(&q.amount_out, &s.amount_out):
        return SWAP_EXACT
    if u256_lt(&s.amount_out, &q.amount_out):
        return SWAP_EXACT if fits(s, state, False, &q) else SWAP_SLACK
    if state.kind == POOL_UNISWAP_V2 or not state.solidly.stable:
        return SWAP_MISMATCH
    u256_shr(&most, &q.amount_out, STABLE_ROUNDING)
    u256_add(&most, &most, &q.amount_out)
    u256_add_u64(&most, &most, 1)
    return SWAP_MISMATCH if u256_lt(&most, &s.amount_out) else SWAP_SLACK


cdef int check_concentrated(const observed_swap *s, const pool_state *state) noexcept nogil:
    cdef pool_quote q
    cdef u256 most
    if fits(s, state, True, &q) and same_after(&q, &s.after_v3):
        return SWAP_EXACT
    if fits(s, state, False, &q) and same_after(&q, &s.after_v3):
        return SWAP_EXACT
    memset(&most, 0xff, sizeof(u256))
    most.w[3] >>= 1
    if (pool_quote_limited(state, s.token_in, s.token_out, True, &most, &s.after_v3.sqrt_price_x96,
                           &q) == QUOTE_OK
            and u256_eq(&q.amount_in, &s.amount_in)
            and u256_eq(&q.amount_out, &s.amount_out) and same_after(&q, &s.after_v3)):
        return SWAP_EXACT
    return SWAP_MISMATCH


cdef int check_wide(const observed_swap *s, const pool_state *state) noexcept nogil:
    cdef pool_quote q
    if fits(s, state, True, &q) or fits(s, state, False, &q):
        return SWAP_EXACT
    return SWAP_MISMATCH


cdef class Audit:
    """Compares observed swaps with quotes on the state before them.

    `n_slack` counts swaps on pairs whose caller took less than the maximum: no fault of the quote,
    and none of the pool. A mismatch puts the pool in quarantine for good; while `doubts_logs`, it
    is only noted in `suspect_block`, since a log that was lost before the swap looks the same.
    """

    def __cinit__(self, Table table):
        self.table = table
        self.sync_slot = self.swap_slot = TABLE_NO_SLOT
        self.mismatches = []
        self.recent = []

    cdef void before(self, const log_event *e, uint32_t slot) noexcept nogil:
        """To be called with each log of a known pool before the table applies it."""
        cdef slot_body *body = &self.table.t.slots[slot].body
        cdef observed_swap *s
        cdef observed_swap full  # takes what the queue does not
        cdef int seen
        self.settle()
        if (body.flags & (SLOT_STALE | SLOT_DRIFTS) or e.misshapen or table_order(
                &self.table.t, body, e.block_number, e.log_index) != APPLY_CHANGED):
            return  # it will not be applied: sent twice, or not a state to compare with
        if e.kind == EVENT_V2_SYNC or e.kind == EVENT_SOLIDLY_SYNC:
            if is_pair(body.kind):
                self.sync_slot, self.swap_slot = slot, TABLE_NO_SLOT
                self.sync_block, self.sync_log_index = e.block_number, e.log_index
                if body.kind == POOL_UNISWAP_V2:
                    self.before_sync = body.v2
                else:
                    self.before_sync_solidly = body.solidly
            return
        if kind_is_concentrated(body.kind) and moves_ticks(e):
            # ticks are about to move: what waits must be checked on the old ones
            with gil:
                self.run()
            return
        s = &self.queue[min(self.n_queued, <uint32_t>AUDIT_QUEUE - 1)]
        if self.n_queued == AUDIT_QUEUE:
            s = &full
        seen = self.observe(s, e, slot, body)
        if seen == SKIPPED or (seen == QUEUED and self.n_queued == AUDIT_QUEUE):
            self.n_skipped += 1
        elif seen == QUEUED:
            s.slot, s.block, s.log_index, s.kind = slot, e.block_number, e.log_index, body.kind
            self.replaying = e.kind == EVENT_CURVE_EXCHANGE
            self.n_queued += 1

    cdef void settle(self) noexcept nogil:
        """What became of the exchange that the table has replayed since: stale, it did not pay."""
        cdef observed_swap *s
        cdef slot_body *body
        if not self.replaying:
            return
        self.replaying = False
        s = &self.queue[self.n_queued - 1]
        body = &self.table.t.slots[s.slot].body
        s.verdict = SWAP_UNCHECKED
        if body.block == s.block and body.log_index == s.log_index:
            s.verdict = SWAP_MISMATCH if body.flags & SLOT_STALE else SWAP_EXACT

    cdef int observe(
        self, observed_swap *s, const log_event *e, uint32_t slot, const slot_body *body,
    ) noexcept nogil:
        """Fills s with a swap of any kind."""
        if is_pair(body.kind):
            return self.observe_pair(s, e, slot, body)
        if kind_is_concentrated(body.kind):
            return observe_concentrated(s, e, body)
        return self.observe_wide(s, e, slot, body)

    cdef int observe_pair(
        self, observed_swap *s, const log_event *e, uint32_t slot, const slot_body *body,
    ) noexcept nogil:
        """Swap: amount0In, amount1In, amount0Out, amount1Out, right after its Sync."""
        cdef bint zero_for_one
        if e.kind != (EVENT_SOLIDLY_SWAP if body.kind == POOL_SOLIDLY else EVENT_V2_SWAP):
            return NO_SWAP
        if (self.swap_slot == slot and self.sync_block == e.block_number
                and self.sync_log_index + 1 == e.log_index):
            return NO_SWAP  # sent twice: it moves no state by which the table would know
        if (self.sync_slot != slot or self.sync_block != e.block_number
                or self.sync_log_index + 1 != e.log_index):
            return SKIPPED
        self.sync_slot, self.swap_slot = TABLE_NO_SLOT, slot
        zero_for_one = not u256_is_zero(&e.word[0])
        if zero_for_one == (not u256_is_zero(&e.word[1])):
            return SKIPPED  # not one way only: no plain swap
        s.token_in, s.token_out = not zero_for_one, zero_for_one
        s.amount_in = e.word[0] if zero_for_one else e.word[1]
        s.amount_out = e.word[3] if zero_for_one else e.word[2]
        if body.kind == POOL_UNISWAP_V2:
            s.before_v2 = self.before_sync
        else:
            s.before_solidly = self.before_sync_solidly
        return QUEUED

    cdef int observe_wide(
        self, observed_swap *s, const log_event *e, uint32_t slot, const slot_body *body,
    ) noexcept nogil:
        """Balancer: pool id, tokenIn, tokenOut; amountIn, amountOut. Curve: sold_id, tokens_sold,
        bought_id, tokens_bought."""
        cdef int i, j
        cdef bint stable = body.kind == POOL_CURVE_STABLE or body.kind == POOL_CURVE_STABLE_NG
        cdef bint crypto = (body.kind == POOL_CURVE_TRICRYPTO_NG
                            or body.kind == POOL_CURVE_TWOCRYPTO_NG)
        if e.kind == EVENT_BALANCER_SWAP and not stable and not crypto:
            i = pool_token(&self.table.t, body, &e.topic[1])
            j = pool_token(&self.table.t, body, &e.topic[2])
            s.amount_in, s.amount_out = e.word[0], e.word[1]
        elif (e.kind == EVENT_CURVE_EXCHANGE and stable) or (
                e.kind == EVENT_CRYPTO_EXCHANGE and crypto):
            i, j = index_of(&e.word[0], body.n_tokens), index_of(&e.word[2], body.n_tokens)
            s.amount_in, s.amount_out = e.word[1], e.word[3]
        else:
            return NO_SWAP
        if i < 0 or j < 0 or i == j:
            return SKIPPED
        s.token_in, s.token_out = <uint8_t>i, <uint8_t>j
        if stable:
            return QUEUED
        if self.n_wide == AUDIT_WIDE:
            return SKIPPED
        s.wide = self.n_wide
        table_view(&self.table.t, slot, &self.wide[s.wide])
        if (body.kind == POOL_BALANCER_COMPOSABLE_STABLE
                and (i == self.wide[s.wide].balancer.bpt_index
                     or j == self.wide[s.wide].balancer.bpt_index)):
            return SKIPPED  # a join or an exit
        self.n_wide += 1
        return QUEUED

    cdef int check(self, const observed_swap *s) noexcept nogil:
        """Exact in, exact out, or stopped by its own price limit: one of them must fit."""
        cdef pool_state state
        if s.kind == POOL_CURVE_STABLE or s.kind == POOL_CURVE_STABLE_NG:
            return s.verdict
        if kind_wide_bytes(s.kind) != 0:
            return check_wide(s, &self.wide[s.wide])
        table_view(&self.table.t, s.slot, &state)
        if state.kind != s.kind:
            return SWAP_UNCHECKED  # removed since
        if is_pair(s.kind):
            if s.kind == POOL_UNISWAP_V2:
                state.v2 = s.before_v2
            else:
                state.solidly = s.before_solidly
            return check_pair(s, &state)
        state.v3.sqrt_price_x96 = s.before_v3.sqrt_price_x96
        state.v3.liquidity, state.v3.tick = s.before_v3.liquidity, s.before_v3.tick
        state.v3.fee_pips[0], state.v3.fee_pips[1] = s.fee_pips[0], s.fee_pips[1]
        # As a rule it still stands before the swap; elsewhere it is not looked at.
        state.v3.window = &self.table.t.windows[s.slot]
        return check_concentrated(s, &state)

    cdef void clear(self) noexcept nogil:
        """Forgets what is queued: the states that it was to be compared with are gone."""
        self.n_queued = self.n_wide = 0
        self.suspect_block = 0
        self.replaying = False
        self.sync_slot = self.swap_slot = TABLE_NO_SLOT

    cdef int run(self) except -1:
        """Checks what is queued; a mismatch is kept for the log and quarantines its pool."""
        cdef uint32_t i
        cdef observed_swap *s
        cdef int verdict
        self.settle()
        for i in range(self.n_queued):
            s = &self.queue[i]
            verdict = self.check(s)
            if verdict == SWAP_UNCHECKED:
                self.n_skipped += 1
                continue
            if (verdict == SWAP_MISMATCH and self.doubts_logs
                    and not self.table.t.slots[s.slot].body.flags & SLOT_QUARANTINED):
                # More likely a log before it is missing: whoever mends that has it checked again.
                if self.suspect_block == 0 or s.block < self.suspect_block:
                    self.suspect_block = s.block
                self.n_suspects += 1
                continue
            self.n_checks += 1
            self.checks[s.kind] += 1
            if verdict == SWAP_SLACK:
                self.n_slack += 1
            elif verdict == SWAP_MISMATCH:
                self.n_mismatches += 1
                self.wrong[s.kind] += 1
                table_flag(&self.table.t, s.slot, <uint8_t>SLOT_QUARANTINED, 0)
                if len(self.mismatches) < MAX_KEPT:
                    self.mismatches.append(self.describe(s, verdict))
            if self.keep_recent:
                self.recent.append(self.describe(s, verdict))
        if len(self.recent) > self.keep_recent:
            del self.recent[:len(self.recent) - <Py_ssize_t>self.keep_recent]
        self.n_queued = self.n_wide = 0
        return 0

    cdef dict describe(self, const observed_swap *s, int verdict):
        """Keys: pool (its id), kind, fee_pips (None where it has other fees), token_in, token_out
        (20 bytes), block, log_index, amount_in, amount_out, exact."""
        pool = self.table.read(s.slot)
        return {
            "pool": pool["id"], "kind": pool["kind"], "fee_pips": pool.get("fee_pips"),
            "token_in": pool["tokens"][s.token_in], "token_out": pool["tokens"][s.token_out],
            "block": s.block, "log_index": s.log_index, "amount_in": u256_to_pyint(&s.amount_in),
            "amount_out": u256_to_pyint(&s.amount_out), "exact": verdict == SWAP_EXACT}

    def replay(self, frames):
        """Applies log notifications to the table, and checks their swaps: [(name of what a log did,
        slot or None), ...]. ValueError where a frame is no log. For files and tests."""
        cdef log_event e
        cdef uint32_t slot
        out = []
        for frame in frames:
            parse_log(frame, &e)
            slot = event_slot(&self.table.t, &e)
            if slot != TABLE_NO_SLOT:
                self.before(&e, slot)
            result = table_apply(&self.table.t, &e, &slot)
            out.append((APPLY_NAMES[result], None if slot == TABLE_NO_SLOT else slot))
        self.run()
        return out

    def by_kind(self):
        """{kind: (swaps checked, of these mismatches)}, of kinds that had any."""
        cdef uint32_t kind
        return {name: (self.checks[<uint32_t>kind], self.wrong[<uint32_t>kind])
                for kind, name in KIND_NAMES.items() if self.checks[<uint32_t>kind]}
