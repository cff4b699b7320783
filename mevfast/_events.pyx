"""What events make of Solidly, Camelot, Curve and Balancer pools.

Each function moves a copy of the state and returns an apply_result; where that is not APPLY_CHANGED
the copy means nothing. Events have the shape that their signature says. Semantics: the contracts
that emit them, and docs/events.md; must not know slots' order, journals or nodes.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

from mevfast._pool cimport pool_apply_after, pool_quote_exact
from mevfast._slots cimport (
    APPLY_CHANGED,
    APPLY_INCONSISTENT,
    APPLY_MALFORMED,
    APPLY_STALE_NOTED,
    word_to_signed,
)
from mevfast.types cimport (
    EVENT_BALANCER_CHANGED,
    EVENT_BALANCER_MANAGED,
    EVENT_BALANCER_SWAP,
    EVENT_BALANCER_SWAP_FEE,
    EVENT_CAMELOT_FEES,
    EVENT_CURVE_EXCHANGE,
    EVENT_SOLIDLY_FEE,
    EVENT_SOLIDLY_SYNC,
    EVENT_V2_SYNC,
    POOL_CURVE_STABLE,
    POOL_CURVE_STABLE_NG,
    POOL_BALANCER_COMPOSABLE_STABLE,
    POOL_BALANCER_WEIGHTED,
    QUOTE_OK,
    balancer_state,
    log_event,
    pool_quote,
    pool_state,
    solidly_state,
)
from mevfast.u256 cimport (
    u256,
    u256_add,
    u256_bit_length,
    u256_eq,
    u256_fits_u64,
    u256_lo64,
    u256_sub,
    u256_to_be,
)

cdef enum:
    UINT112 = 112
    WORD = 32
    # PoolFactory's: 420 stands for no fee at all, 0 for the fee of all pools, which is not told
    SOLIDLY_ZERO_FEE = 420
    SOLIDLY_DEFAULT_FEE = 0

cdef uint64_t BALANCER_ONE = 1000000000000000000


# ---- Solidly and Camelot ----

cdef int _solidly_fee(solidly_state *s, const u256 *fee) noexcept nogil:
    """SetCustomFee of the factory: of 10,000."""
    if not u256_fits_u64(fee) or u256_lo64(fee) >= s.fee_denominator:
        return APPLY_MALFORMED
    if u256_lo64(fee) == SOLIDLY_DEFAULT_FEE:
        return APPLY_STALE_NOTED
    s.fee[0] = s.fee[1] = 0 if u256_lo64(fee) == SOLIDLY_ZERO_FEE else <uint32_t>u256_lo64(fee)
    return APPLY_CHANGED


cdef int _camelot_fees(solidly_state *s, const u256 *fees) noexcept nogil:
    """FeePercentUpdated: by token in, of 100,000."""
    cdef int i
    for i in range(2):
        if not u256_fits_u64(&fees[i]) or u256_lo64(&fees[i]) >= s.fee_denominator:
            return APPLY_MALFORMED
        s.fee[i] = <uint32_t>u256_lo64(&fees[i])
    return APPLY_CHANGED


cdef int _camelot_type(solidly_state *s, const u256 *before_and_now) noexcept nogil:
    """SetStableSwap. A pair that becomes stable is read again: volatile ones need no decimals, so
    that those held may not be its own."""
    cdef const u256 *now = before_and_now + 1
    if not u256_fits_u64(now) or u256_lo64(now) > 1:
        return APPLY_MALFORMED
    if u256_lo64(now) != 0:
        return APPLY_STALE_NOTED
    s.stable = False
    return APPLY_CHANGED


cdef int solidly_event(slot_body *body, const log_event *e) noexcept nogil:
    """An event of a pair, or of its factory about it."""
    cdef solidly_state *s = &body.solidly
    cdef int i
    if e.kind == EVENT_V2_SYNC or e.kind == EVENT_SOLIDLY_SYNC:
        for i in range(2):
            if e.kind == EVENT_V2_SYNC and u256_bit_length(&e.word[i]) > UINT112:
                return APPLY_MALFORMED
            s.reserve[i] = e.word[i]
        return APPLY_CHANGED
    if e.kind == EVENT_SOLIDLY_FEE:
        return _solidly_fee(s, &e.word[0])
    if e.kind == EVENT_CAMELOT_FEES:
        return _camelot_fees(s, e.word)
    return _camelot_type(s, e.word)


# ---- Balancer ----

cdef int pool_token(
    const pool_table *t, const slot_body *body, const u256 *address,
) noexcept nogil:
    """Which of the pool's tokens an address word is, -1 for none."""
    cdef unsigned char word[WORD]
    cdef int i
    u256_to_be(word, address)
    for i in range(body.n_tokens):
        if memcmp(word + 12, t.tokens + 20 * <size_t>body.wide.token[i], 20) == 0:
            return i
    return -1


cdef int _move_balance(u256 *balance, const u256 *delta) noexcept nogil:
    """balance += an int256."""
    cdef u256 magnitude
    if word_to_signed(&magnitude, delta):
        if u256_sub(balance, balance, &magnitude):
            return APPLY_INCONSISTENT
    elif u256_add(balance, balance, &magnitude):
        return APPLY_INCONSISTENT
    return APPLY_CHANGED


cdef int _balancer_swap(
    const pool_table *t, const slot_body *body, const log_event *e, balancer_state *s,
) noexcept nogil:
    """Swap of the Vault: pool id, tokenIn, tokenOut; amountIn, amountOut. The pool's own token, too:
    it is held by the Vault as any other."""
    cdef int i = pool_token(t, body, &e.topic[1]), j = pool_token(t, body, &e.topic[2])
    if i < 0 or j < 0 or i == j:
        return APPLY_INCONSISTENT
    if (u256_add(&s.balance[i], &s.balance[i], &e.word[0])
            or u256_sub(&s.balance[j], &s.balance[j], &e.word[1])):
        return APPLY_INCONSISTENT
    return APPLY_CHANGED


cdef bint _is_number(const u256 *word, uint64_t number) noexcept nogil:
    return u256_fits_u64(word) and u256_lo64(word) == number


cdef int _balancer_changed(
    const pool_table *t, const slot_body *body, const log_event *e, balancer_state *s,
) noexcept nogil:
    """PoolBalanceChanged: tokens, deltas, protocol fees, arrays of one length.

    A delta is positive in joins and negative in exits, protocol fees leave the pool in both
    (PoolBalances._processJoinPoolTransfers and _processExitPoolTransfers).
    """
    cdef int n = body.n_tokens, i, at, status
    cdef const u256 *tokens = &e.word[4]
    cdef const u256 *deltas = &e.word[5 + n]
    cdef const u256 *fees = &e.word[6 + 2 * n]
    if e.n_words != 6 + 3 * n:
        return APPLY_MALFORMED
    for i in range(3):  # where each array begins, and its length there
        at = 3 + i * (n + 1)
        if not _is_number(&e.word[i], at * WORD) or not _is_number(&e.word[at], n):
            return APPLY_MALFORMED
    for i in range(n):
        if pool_token(t, body, &tokens[i]) != i:
            return APPLY_INCONSISTENT
        status = _move_balance(&s.balance[i], &deltas[i])
        if status != APPLY_CHANGED:
            return status
        if u256_sub(&s.balance[i], &s.balance[i], &fees[i]):
            return APPLY_INCONSISTENT
    return APPLY_CHANGED


cdef int _balancer_managed(
    const pool_table *t, const slot_body *body, const log_event *e, balancer_state *s,
) noexcept nogil:
    """PoolBalanceManaged: pool id, manager, token; cashDelta, managedDelta. The pool's balance is both
    together, so that it never passes below 0 in between."""
    cdef int i = pool_token(t, body, &e.topic[2])
    if i < 0 or _move_balance(&s.balance[i], &e.word[0]) != APPLY_CHANGED:
        return APPLY_INCONSISTENT
    return _move_balance(&s.balance[i], &e.word[1])


cdef int _balancer_event(
    const pool_table *t, const slot_body *body, const log_event *e, balancer_state *s,
) noexcept nogil:
    cdef int i, status
    if e.kind == EVENT_BALANCER_SWAP_FEE:
        if not u256_fits_u64(&e.word[0]) or u256_lo64(&e.word[0]) >= BALANCER_ONE:
            return APPLY_MALFORMED
        s.swap_fee = e.word[0]
        return APPLY_CHANGED
    if e.kind == EVENT_BALANCER_SWAP:
        status = _balancer_swap(t, body, e, s)
    elif e.kind == EVENT_BALANCER_CHANGED:
        status = _balancer_changed(t, body, e, s)
    elif e.kind == EVENT_BALANCER_MANAGED:
        status = _balancer_managed(t, body, e, s)
    else:
        return APPLY_STALE_NOTED
    if status != APPLY_CHANGED:
        return status
    for i in range(s.n_tokens):
        if u256_bit_length(&s.balance[i]) > UINT112:
            return APPLY_INCONSISTENT
    return APPLY_CHANGED


# ---- Curve ----

cdef int _curve_exchange(pool_state *s, const log_event *e) noexcept nogil:
    """TokenExchange: sold_id, tokens_sold, bought_id, tokens_bought. The admin's share of the fee
    leaves the balances and is not told: our own swap must pay what the pool paid."""
    cdef pool_quote q
    cdef uint64_t i = u256_lo64(&e.word[0]), j = u256_lo64(&e.word[2]), n = s.curve.n_tokens
    if not u256_fits_u64(&e.word[0]) or not u256_fits_u64(&e.word[2]) or i >= n or j >= n or i == j:
        return APPLY_MALFORMED
    if (pool_quote_exact(s, <int>i, <int>j, True, &e.word[1], &q) != QUOTE_OK
            or not u256_eq(&q.amount_out, &e.word[3])):
        return APPLY_STALE_NOTED
    pool_apply_after(s, <int>i, <int>j, &q)
    return APPLY_CHANGED


cdef int wide_event(
    const pool_table *t, const slot_body *body, const log_event *e, pool_state *s,
) noexcept nogil:
    """An event of a Curve, CryptoSwap or Balancer pool; `s` is a copy of its state."""
    if body.kind == POOL_BALANCER_WEIGHTED or body.kind == POOL_BALANCER_COMPOSABLE_STABLE:
        return _balancer_event(t, body, e, &s.balancer)
    if (e.kind == EVENT_CURVE_EXCHANGE
            and (body.kind == POOL_CURVE_STABLE or body.kind == POOL_CURVE_STABLE_NG)):
        return _curve_exchange(s, e)
    # CryptoSwap reprices after each exchange, by an oracle that no event tells of.
    return APPLY_STALE_NOTED
