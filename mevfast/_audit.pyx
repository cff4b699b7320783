"""Every observed swap is a free test: our quote for its input must equal its output.

Swaps are queued with the state before them while their block is applied, and checked by `run`
once the engine has sent what it had to send. V2 pairs say the amounts in a Swap right after the
Sync that moved the reserves; V3 pools say amounts and the state after in one Swap.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from mevfast._cache cimport Table
from mevfast._math cimport u256_to_pyint
from mevfast._pool cimport pool_quote_exact, pool_quote_limited
from mevfast._slots cimport (
    APPLY_CHANGED,
    SLOT_QUARANTINED,
    SLOT_STALE,
    slot_body,
    table_flag,
    table_order,
    table_view,
    word_to_int24,
    word_to_signed,
    word_to_u128,
)
from mevfast.types cimport (
    EVENT_V2_SWAP,
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    QUOTE_OK,
    log_event,
    pool_quote,
    pool_state,
    v3_after,
)
from mevfast.u256 cimport u128_cmp, u256, u256_eq, u256_is_zero, u256_lt

cdef uint32_t NO_SLOT = 0xffffffff
MAX_KEPT = 32

cdef enum:
    SWAP_EXACT = 0
    SWAP_SLACK = 1     # the caller took less than the pair would have paid
    SWAP_MISMATCH = 2


cdef bint same_after(const pool_quote *q, const v3_after *after) noexcept nogil:
    return (u256_eq(&q.after.v3.sqrt_price_x96, &after.sqrt_price_x96)
            and u128_cmp(q.after.v3.liquidity, after.liquidity) == 0
            and q.after.v3.tick == after.tick)


cdef class Audit:
    """Compares observed swaps with quotes on the state before them.

    `n_slack` counts V2 swaps whose caller took less than the maximum: no fault of the quote, and
    none of the pool. A mismatch puts the pool in quarantine for good.
    """

    def __cinit__(self, Table table):
        self.table = table
        self.sync_slot = self.swap_slot = NO_SLOT
        self.mismatches = []
        self.recent = []

    cdef void before(self, const log_event *e, uint32_t slot) noexcept nogil:
        """To be called with each log of a known pool before the table applies it."""
        cdef slot_body *body = &self.table.t.slots[slot].body
        cdef observed_swap *s
        if (body.flags & SLOT_STALE or table_order(
                &self.table.t, body, e.block_number, e.log_index) != APPLY_CHANGED):
            return  # it will not be applied: sent twice, or not a state to compare with
        if e.kind == EVENT_V2_SYNC and body.kind == POOL_UNISWAP_V2:
            self.sync_slot, self.sync_block, self.sync_log_index = slot, e.block_number, e.log_index
            self.swap_slot = NO_SLOT
            self.before_sync = body.v2
            return
        if e.kind == EVENT_V3_MINT or e.kind == EVENT_V3_BURN:
            # ticks are about to move: what waits must be checked on the old ones
            with gil:
                self.run()
            return
        if self.n_queued == AUDIT_QUEUE:
            self.n_skipped += 1
            return
        s = &self.queue[self.n_queued]
        if e.kind == EVENT_V2_SWAP and body.kind == POOL_UNISWAP_V2:
            if (self.swap_slot == slot and self.sync_block == e.block_number
                    and self.sync_log_index + 1 == e.log_index):
                return  # sent twice: it moves no state by which the table would know
            if (self.sync_slot != slot or self.sync_block != e.block_number
                    or self.sync_log_index + 1 != e.log_index or e.n_words != 4):
                self.n_skipped += 1
                return
            self.sync_slot, self.swap_slot = NO_SLOT, slot
            # amount0In, amount1In, amount0Out, amount1Out: one way only, or it is no plain swap
            s.zero_for_one = not u256_is_zero(&e.word[0])
            if s.zero_for_one == (not u256_is_zero(&e.word[1])):
                self.n_skipped += 1
                return
            s.amount_in = e.word[0] if s.zero_for_one else e.word[1]
            s.amount_out = e.word[3] if s.zero_for_one else e.word[2]
            s.before_v2 = self.before_sync
        elif e.kind == EVENT_V3_SWAP and body.kind == POOL_UNISWAP_V3 and e.n_words == 5:
            if word_to_signed(&s.amount_in, &e.word[0]) == 0 and not u256_is_zero(&e.word[0]):
                s.zero_for_one = True
                word_to_signed(&s.amount_out, &e.word[1])
            else:
                s.zero_for_one = False
                s.amount_out = s.amount_in
                word_to_signed(&s.amount_in, &e.word[1])
            s.before_v3.sqrt_price_x96 = body.v3.sqrt_price_x96
            s.before_v3.liquidity, s.before_v3.tick = body.v3.liquidity, body.v3.tick
            s.after_v3.sqrt_price_x96 = e.word[2]
            if (word_to_u128(&s.after_v3.liquidity, &e.word[3], 128) != 0
                    or word_to_int24(&s.after_v3.tick, &e.word[4]) != 0):
                self.n_skipped += 1
                return
        else:
            return
        s.slot, s.block, s.log_index = slot, e.block_number, e.log_index
        self.n_queued += 1

    cdef int check(self, const observed_swap *s) noexcept nogil:
        """Exact in, exact out, or stopped by its own price limit: one of them must fit."""
        cdef pool_state state
        cdef pool_quote q
        cdef int token_in = not s.zero_for_one, token_out = s.zero_for_one
        cdef u256 most
        table_view(&self.table.t, s.slot, &state)
        if state.kind == POOL_UNISWAP_V2:
            state.v2 = s.before_v2
            if pool_quote_exact(&state, token_in, token_out, True, &s.amount_in, &q) != QUOTE_OK:
                return SWAP_MISMATCH
            if u256_eq(&q.amount_out, &s.amount_out):
                return SWAP_EXACT
            if u256_lt(&s.amount_out, &q.amount_out):
                if (pool_quote_exact(&state, token_in, token_out, False, &s.amount_out, &q) == QUOTE_OK
                        and u256_eq(&q.amount_in, &s.amount_in)):
                    return SWAP_EXACT
                return SWAP_SLACK
            return SWAP_MISMATCH
        state.v3.sqrt_price_x96 = s.before_v3.sqrt_price_x96
        state.v3.liquidity, state.v3.tick = s.before_v3.liquidity, s.before_v3.tick
        if (pool_quote_exact(&state, token_in, token_out, True, &s.amount_in, &q) == QUOTE_OK
                and u256_eq(&q.amount_in, &s.amount_in)
                and u256_eq(&q.amount_out, &s.amount_out) and same_after(&q, &s.after_v3)):
            return SWAP_EXACT
        if (pool_quote_exact(&state, token_in, token_out, False, &s.amount_out, &q) == QUOTE_OK
                and u256_eq(&q.amount_in, &s.amount_in)
                and u256_eq(&q.amount_out, &s.amount_out) and same_after(&q, &s.after_v3)):
            return SWAP_EXACT
        memset(&most, 0xff, sizeof(u256))
        most.w[3] >>= 1
        if (pool_quote_limited(&state, token_in, token_out, True, &most, &s.after_v3.sqrt_price_x96,
                               &q) == QUOTE_OK
                and u256_eq(&q.amount_in, &s.amount_in)
                and u256_eq(&q.amount_out, &s.amount_out) and same_after(&q, &s.after_v3)):
            return SWAP_EXACT
        return SWAP_MISMATCH

    cdef int run(self) except -1:
        """Checks what is queued; a mismatch is kept for the log and quarantines its pool."""
        cdef uint32_t i
        cdef observed_swap *s
        cdef int verdict
        for i in range(self.n_queued):
            s = &self.queue[i]
            verdict = self.check(s)
            self.n_checks += 1
            if verdict == SWAP_SLACK:
                self.n_slack += 1
            elif verdict == SWAP_MISMATCH:
                self.n_mismatches += 1
                table_flag(&self.table.t, s.slot, <uint8_t>SLOT_QUARANTINED, 0)
                if len(self.mismatches) < MAX_KEPT:
                    self.mismatches.append(self.describe(s, verdict))
            if self.keep_recent:
                self.recent.append(self.describe(s, verdict))
        if len(self.recent) > self.keep_recent:
            del self.recent[:len(self.recent) - <Py_ssize_t>self.keep_recent]
        self.n_queued = 0
        return 0

    cdef dict describe(self, const observed_swap *s, int verdict):
        """Keys: pool, token_in, token_out (20 bytes), block, log_index, amount_in, amount_out,
        exact."""
        pool = self.table.read(s.slot)
        way = pool["tokens"] if s.zero_for_one else pool["tokens"][::-1]
        return {
            "pool": pool["address"], "kind": pool["kind"], "fee_pips": pool["fee_pips"],
            "token_in": way[0], "token_out": way[1], "block": s.block,
            "log_index": s.log_index, "amount_in": u256_to_pyint(&s.amount_in),
            "amount_out": u256_to_pyint(&s.amount_out), "exact": verdict == SWAP_EXACT}
