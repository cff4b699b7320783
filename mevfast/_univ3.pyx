"""Concentrated liquidity: the swap loop of Uniswap V3 and V4, PancakeSwap V3 and Algebra.

Owns the walk over ticks and bitmap words, and the window of ready sums that spares most of it:
v3_window.h. The arithmetic of one step is sqrt_price_math.h, prices of ticks are tick_math.h. Must
not know tokens, tables or other kernels.
"""

import re

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc

from mevfast._math cimport (
    u128_from_pyint,
    u128_to_pyint,
    u256_from_pyint,
    u256_to_pyint,
)
from mevfast._ticks cimport ticks_field, ticks_list
from mevfast.types cimport (
    POOL_ALGEBRA_INTEGRAL,
    POOL_ALGEBRA_V1,
    POOL_UNISWAP_V4,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_PRICE_LIMIT,
    QUOTE_UNSUPPORTED,
    QUOTE_ZERO_AMOUNT,
    V3_INTEGRAL,
    V3_POOL,
    V3_SINGLETON,
    V3_STOPS_BEHIND,
    V4_MAX_PROTOCOL_FEE,
    V4_SWAP_HOOKS,
    pool_quote,
    pool_state,
    v3_after,
    v3_state,
    v3_tick,
    v3_way,
    v3_window,
    v4_protocol_part,
    v4_swap_fee,
)
from mevfast.u256 cimport (
    FEE_DENOMINATOR,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    Q96_INVERSE,
    U256_OK,
    compute_swap_step,
    i128,
    i128_neg,
    swap_step,
    tick_math_compress,
    tick_math_get_sqrt_ratio,
    tick_math_get_tick,
    tick_math_price_in_range,
    u128,
    u128_add_i128,
    u128_is_zero,
    u128_make,
    u256,
    u256_add,
    u256_bit_length,
    u256_eq,
    u256_fits_u128,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_shl,
    u256_sub,
    u256_sub_u64,
    u256_to_double,
)

cdef extern from "v3_window.h" nogil:
    ctypedef struct v3_swap:
        v3_after at
        u256 remaining
        u256 calculated
        double root

    void v3_way_add(
        v3_way *way, int32_t tick, const u256 *price, u128 liquidity, int token_in,
    ) noexcept
    int v3_way_extend(
        v3_way *way, int32_t tick, const u256 *price, u128 liquidity, int token_in,
    ) noexcept
    void v3_window_move(
        v3_window *w, const u256 *sqrt_price_x96, u128 liquidity, int32_t tick,
    ) noexcept
    const v3_way *v3_way_of(const v3_state *s, int token_in) noexcept
    bint v3_way_swap(
        v3_swap *swap, const v3_way *way, const v3_state *s, const u256 *amount, int token_in,
        int exact_in,
    ) noexcept

from mevfast._fields import integer_field, integers_field
from mevfast._math import MAX_SQRT_RATIO as _MAX_SQRT_RATIO
from mevfast._math import MIN_SQRT_RATIO as _MIN_SQRT_RATIO
from mevfast._math import get_sqrt_ratio_at_tick
from mevfast.errors import DataError

_MAX_TICK_SPACING = 16383  # UniswapV3Factory.enableFeeAmount
_MAX_V4_TICK_SPACING = 32767  # TickMath of v4-core
_ALL_HOOKS = (1 << 14) - 1  # Hooks.ALL_HOOK_MASK of v4-core
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)

cdef enum:
    WORD_BITS = 8  # a bitmap word shows 256 ticks; the contract stops, and rounds, at its end
    WORD_MASK = 255


# ---- stops: initialised ticks, and the ends of bitmap words in the direction of the swap ----

cdef struct tick_cursor:
    const v3_tick *ticks
    int32_t n
    int32_t below    # index of the highest initialised tick that is not above the price's; or -1
    int32_t spacing  # bitmap_spacing
    int32_t word_end # place of the last tick that a word shows: its lowest going down


cdef void _seek(
    tick_cursor *c, const v3_state *s, int32_t tick, int zero_for_one,
) noexcept nogil:
    """Sets the cursor to a tick."""
    cdef int32_t low = 0, high = <int32_t>s.n_ticks, middle
    while low < high:
        middle = (low + high) >> 1
        if s.ticks[middle].tick <= tick:
            low = middle + 1
        else:
            high = middle
    c.ticks = s.ticks
    c.n = <int32_t>s.n_ticks
    c.below = low - 1
    c.spacing = s.bitmap_spacing
    c.word_end = 0 if zero_for_one else WORD_MASK


cdef bint _next_stop(int32_t *stop, const tick_cursor *c, int32_t tick, int down) noexcept nogil:
    """The highest stop that is not above `tick`, or the lowest above it; whether it is initialised.

    What nextInitializedTickWithinOneWord finds, and where ticks are a linked list, its next entry.
    The ends of the tick range are the last stops.
    """
    cdef int32_t index = c.below if down else c.below + 1
    cdef int32_t end = MIN_TICK if down else MAX_TICK
    cdef int32_t words
    if c.spacing != 0:
        words = (tick_math_compress(tick, c.spacing) - c.word_end) >> WORD_BITS
        if down:
            end = max(end, ((words << WORD_BITS) + c.word_end) * c.spacing)
        else:
            end = min(end, (((words + 1) << WORD_BITS) + c.word_end) * c.spacing)
    if 0 <= index < c.n:
        stop[0] = c.ticks[index].tick
        if stop[0] >= end if down else stop[0] <= end:
            return True
    stop[0] = end
    return False


cdef int _cross(u128 *liquidity, tick_cursor *c, int down) noexcept nogil:
    """Adds or takes the liquidity of the next initialised tick, and moves the cursor past it."""
    cdef i128 net = c.ticks[c.below if down else c.below + 1].liquidity_net
    c.below += -1 if down else 1
    return u128_add_i128(liquidity, liquidity[0], i128_neg(net) if down else net)


# ---- the window: ready sums around the price ----

cdef void _start_way(
    v3_way *way, const v3_state *s, tick_cursor *c, int zero_for_one,
) noexcept nogil:
    """The stops behind the price, the farthest first, where they are known and their sums small."""
    cdef int32_t ticks[V3_STOPS_BEHIND]
    cdef u128 beyond[V3_STOPS_BEHIND]
    cdef u128 liquidity = s.liquidity
    cdef int32_t tick = s.tick
    cdef int n = 0
    cdef bint initialised
    cdef u256 price
    while n < V3_STOPS_BEHIND and MIN_TICK < tick < MAX_TICK:
        initialised = _next_stop(&ticks[n], c, tick, not zero_for_one)
        beyond[n] = liquidity
        tick = ticks[n] if zero_for_one else ticks[n] - 1
        n += 1
        if initialised and _cross(&liquidity, c, not zero_for_one) != U256_OK:
            break
    while n > 0:
        n -= 1
        if tick_math_get_sqrt_ratio(&price, ticks[n]) != U256_OK:
            return
        v3_way_add(way, ticks[n], &price, beyond[n], not zero_for_one)


cdef void _build_way(v3_way *way, const v3_state *s, int zero_for_one) noexcept nogil:
    cdef tick_cursor c
    cdef u128 liquidity = s.liquidity
    cdef u256 price
    cdef int32_t tick = s.tick, stop
    cdef bint initialised
    way.n_stops = way.next = 0
    way.fee_pips = s.fee_pips[not zero_for_one]
    if not tick_math_price_in_range(&s.sqrt_price_x96) or way.fee_pips >= FEE_DENOMINATOR:
        return
    _seek(&c, s, tick, zero_for_one)
    _start_way(way, s, &c, zero_for_one)
    _seek(&c, s, tick, zero_for_one)
    while True:
        initialised = _next_stop(&stop, &c, tick, zero_for_one)
        if not MIN_TICK < stop < MAX_TICK:
            return
        if initialised and _cross(&liquidity, &c, zero_for_one) != U256_OK:
            return
        if tick_math_get_sqrt_ratio(&price, stop) != U256_OK:
            return
        if v3_way_extend(way, stop, &price, liquidity, not zero_for_one) != U256_OK:
            return
        tick = stop - 1 if zero_for_one else stop


cdef void v3_window_build(v3_window *w, const v3_state *s) noexcept nogil:
    """Fills the window of a state: up to V3_STOPS in each direction, no memory beside it."""
    _build_way(&w.way[0], s, True)
    _build_way(&w.way[1], s, False)
    v3_window_move(w, &s.sqrt_price_x96, s.liquidity, s.tick)


# ---- the walk ----

cdef void _skip_empty_words(
    v3_after *at, const tick_cursor *c, int32_t limit_tick, int zero_for_one,
) noexcept nogil:
    """Where there is no liquidity: straight to the word of the next tick or of the limit.

    Steps without liquidity move no amount, so nothing is rounded on the way.
    """
    cdef int32_t goal = limit_tick, goal_word, end
    if zero_for_one:
        if c.below >= 0:
            goal = max(goal, c.ticks[c.below].tick)
        goal_word = tick_math_compress(goal, c.spacing) >> WORD_BITS
        if goal_word >= tick_math_compress(at.tick, c.spacing) >> WORD_BITS:
            return
        end = ((goal_word + 1) << WORD_BITS) * c.spacing
        at.tick = end - 1
    else:
        if c.below + 1 < c.n:
            goal = min(goal, c.ticks[c.below + 1].tick)
        goal_word = tick_math_compress(goal, c.spacing) >> WORD_BITS
        if goal_word <= (tick_math_compress(at.tick, c.spacing) + 1) >> WORD_BITS:
            return
        end = ((goal_word << WORD_BITS) - 1) * c.spacing
        at.tick = end
    tick_math_get_sqrt_ratio(&at.sqrt_price_x96, end)


cdef int _account(
    u256 *remaining, u256 *calculated, const swap_step *step, int exact_in,
) noexcept nogil:
    """Books one step on the specified and on the other amount, within the contract's int256."""
    cdef u256 paid, received = step.amount_out
    u256_add(&paid, &step.amount_in, &step.fee_amount)
    if u256_sub(remaining, remaining, &paid if exact_in else &received):
        return QUOTE_OVERFLOW
    u256_add(calculated, calculated, &received if exact_in else &paid)
    return QUOTE_OVERFLOW if u256_bit_length(calculated) > 255 else QUOTE_OK


cdef int _step(
    v3_swap *swap, tick_cursor *c, const u256 *limit, uint32_t fee_pips, int zero_for_one,
    int exact_in,
) noexcept nogil:
    """One turn of the contract's loop: to the next stop, the limit, or where the amount ends."""
    cdef v3_after *at = &swap.at
    cdef swap_step step
    cdef u256 next_price
    cdef const u256 *target
    cdef int32_t stop, limit_tick
    cdef int status
    cdef bint initialised
    if c.spacing != 0 and u128_is_zero(at.liquidity) \
            and tick_math_get_tick(&limit_tick, limit) == U256_OK:
        _skip_empty_words(at, c, limit_tick, zero_for_one)
    initialised = _next_stop(&stop, c, at.tick, zero_for_one)
    if tick_math_get_sqrt_ratio(&next_price, stop) != U256_OK:
        return QUOTE_OVERFLOW
    target = &next_price
    if u256_lt(&next_price, limit) if zero_for_one else u256_lt(limit, &next_price):
        target = limit
    if compute_swap_step(
        &step, &at.sqrt_price_x96, target, at.liquidity, &swap.remaining, fee_pips, exact_in
    ) != U256_OK:
        return QUOTE_OVERFLOW
    status = _account(&swap.remaining, &swap.calculated, &step, exact_in)
    if status != QUOTE_OK:
        return status
    if u256_eq(&step.price, &next_price):
        if initialised and _cross(&at.liquidity, c, zero_for_one) != U256_OK:
            return QUOTE_OVERFLOW
        at.tick = stop - 1 if zero_for_one else stop
    elif not u256_eq(&step.price, &at.sqrt_price_x96):
        tick_math_get_tick(&at.tick, &step.price)
    at.sqrt_price_x96 = step.price
    return QUOTE_OK


cdef int _walk(
    v3_swap *swap, const v3_state *s, const u256 *limit, int zero_for_one, int exact_in,
) noexcept nogil:
    """The contract's loop, from where the swap is to its end."""
    cdef tick_cursor c
    cdef int status
    _seek(&c, s, swap.at.tick, zero_for_one)
    while not u256_is_zero(&swap.remaining) and not u256_eq(&swap.at.sqrt_price_x96, limit):
        status = _step(swap, &c, limit, s.fee_pips[not zero_for_one], zero_for_one, exact_in)
        if status != QUOTE_OK:
            return status
    return QUOTE_OK


# ---- quotes ----

cdef double _price(
    const u256 *sqrt_price_x96, double root, u128 liquidity, uint32_t fee_pips, int zero_for_one,
) noexcept nogil:
    """Tokens out per token in; root is the price as a double, or 0 where it is not at hand."""
    if u128_is_zero(liquidity):
        return 0.0
    if root == 0.0:
        root = u256_to_double(sqrt_price_x96) * Q96_INVERSE
    if root == 0.0:
        return 0.0
    if not zero_for_one:
        root = 1.0 / root
    return root * root * (<double>(<int32_t>FEE_DENOMINATOR - <int32_t>fee_pips) / FEE_DENOMINATOR)


cdef double v3_marginal_price(const v3_state *s, int zero_for_one) noexcept nogil:
    """Tokens out per token in at the current price, fee taken off; 0.0 without liquidity there."""
    if s.hooks & V4_SWAP_HOOKS:
        return 0.0
    return _price(
        &s.sqrt_price_x96, 0.0, s.liquidity, s.fee_pips[not zero_for_one], zero_for_one
    )


cdef double v3_price_bound(const v3_state *s, int zero_for_one) noexcept nogil:
    """No swap pays more than this per token in: the price, where there is liquidity or ticks ahead
    at which there may be some."""
    cdef u128 some = u128_make(0, 1)
    cdef bint ahead
    if s.hooks & V4_SWAP_HOOKS:
        return 0.0
    if u128_is_zero(s.liquidity):
        ahead = s.n_ticks != 0 and (
            s.ticks[0].tick <= s.tick if zero_for_one else s.ticks[s.n_ticks - 1].tick > s.tick
        )
        if not ahead:
            return 0.0
    return _price(&s.sqrt_price_x96, 0.0, some, s.fee_pips[not zero_for_one], zero_for_one)


cdef bint _is_lowest_int256(const v3_state *s, const u256 *amount, int exact_in) noexcept nogil:
    """Whether the contract takes amount for -2**255: the side that int256 writes as negative."""
    cdef bint negative = exact_in if s.form == V3_SINGLETON else not exact_in
    cdef u256 magnitude
    u256_from_u64(&magnitude, 1)
    u256_shl(&magnitude, &magnitude, 255)
    return negative and s.form != V3_INTEGRAL and u256_eq(amount, &magnitude)


cdef void _furthest(u256 *limit, int zero_for_one) noexcept nogil:
    """The furthest limit that the contract takes."""
    if zero_for_one:
        u256_from_u64(limit, MIN_SQRT_RATIO + 1)
    else:
        u256_sub_u64(limit, &MAX_SQRT_RATIO, 1)


cdef int _check(
    const v3_state *s, int zero_for_one, int exact_in, const u256 *amount, const u256 *limit,
) noexcept nogil:
    """The contract's requirements before the first step."""
    cdef u256 lowest
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    if u256_bit_length(amount) > 255 and not _is_lowest_int256(s, amount, exact_in):
        return QUOTE_OVERFLOW
    if not tick_math_price_in_range(&s.sqrt_price_x96) or s.tick_spacing <= 0:
        return QUOTE_NO_LIQUIDITY  # never initialised
    if s.fee_pips[not zero_for_one] >= FEE_DENOMINATOR and not exact_in:
        return QUOTE_NO_OUTPUT
    u256_from_u64(&lowest, MIN_SQRT_RATIO)
    if zero_for_one:
        if not (u256_lt(limit, &s.sqrt_price_x96) and u256_lt(&lowest, limit)):
            return QUOTE_PRICE_LIMIT
    elif not (u256_lt(&s.sqrt_price_x96, limit) and u256_lt(limit, &MAX_SQRT_RATIO)):
        return QUOTE_PRICE_LIMIT
    return QUOTE_OK


cdef int _check_delta(const pool_quote *q) noexcept nogil:
    """Uniswap V4's BalanceDelta: two int128, what is paid in negative."""
    cdef u256 paid
    u256_sub_u64(&paid, &q.amount_in, not u256_is_zero(&q.amount_in))
    if u256_bit_length(&paid) > 127 or u256_bit_length(&q.amount_out) > 127:
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int _swap(
    v3_swap *swap, const v3_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96,
) noexcept nogil:
    """Over the window as far as it goes, and on foot from there; with a limit all the way."""
    cdef u256 limit
    cdef const v3_way *way = NULL
    cdef int status
    if sqrt_price_limit_x96 == NULL:
        way = v3_way_of(s, not zero_for_one)
        if way != NULL and v3_way_swap(swap, way, s, amount, not zero_for_one, exact_in):
            if u256_is_zero(&swap.remaining):
                return QUOTE_OK
            _furthest(&limit, zero_for_one)
            return _walk(swap, s, &limit, zero_for_one, exact_in)
        _furthest(&limit, zero_for_one)
    else:
        limit = sqrt_price_limit_x96[0]
    status = _check(s, zero_for_one, exact_in, amount, &limit)
    if status != QUOTE_OK:
        return status
    swap.at.sqrt_price_x96 = s.sqrt_price_x96
    swap.at.liquidity = s.liquidity
    swap.at.tick = s.tick
    swap.root = 0.0
    swap.remaining = amount[0]
    u256_from_u64(&swap.calculated, 0)
    return _walk(swap, s, &limit, zero_for_one, exact_in)


cdef int v3_quote(
    const v3_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the pool would revert; q is then undefined.

    Without a limit (NULL) the swap runs to the end of the price range. Where liquidity or the
    limit runs out first, the fill is partial: the specified amount in q is below `amount`.
    """
    cdef v3_swap swap
    cdef int status
    if s.hooks & V4_SWAP_HOOKS:
        return QUOTE_UNSUPPORTED  # the hook may change anything
    status = _swap(&swap, s, zero_for_one, exact_in, amount, sqrt_price_limit_x96)
    if status != QUOTE_OK:
        return status
    u256_sub(&swap.remaining, amount, &swap.remaining)
    q.amount_in = swap.remaining if exact_in else swap.calculated
    q.amount_out = swap.calculated if exact_in else swap.remaining
    q.after.v3 = swap.at
    q.price_after = _price(
        &swap.at.sqrt_price_x96, swap.root, swap.at.liquidity, s.fee_pips[not zero_for_one],
        zero_for_one,
    )
    if s.form == V3_SINGLETON:
        return _check_delta(q)
    if s.form == V3_INTEGRAL and not u256_fits_u128(&q.amount_in):
        return QUOTE_OVERFLOW  # the pool counts its balances in uint128
    return QUOTE_OK


cdef void v3_apply_after(v3_state *s, const pool_quote *q) noexcept nogil:
    """Moves a state, and the window that it owns, to where a quote of it ends."""
    s.sqrt_price_x96 = q.after.v3.sqrt_price_x96
    s.liquidity = q.after.v3.liquidity
    s.tick = q.after.v3.tick
    if s.window != NULL:
        v3_window_move(<v3_window *>s.window, &s.sqrt_price_x96, s.liquidity, s.tick)


# ---- fields ----

cdef int _check_tick(object tick, object sqrt_price_x96, str where) except -1:
    """slot0's two halves agree; after a downward stop on a crossed tick, tick is one lower."""
    if sqrt_price_x96 == 0:
        return 0
    if sqrt_price_x96 < _MIN_SQRT_RATIO:
        raise DataError(
            f"{where}sqrt_price_x96: expected 0 (not initialised) or an integer in "
            f"[{_MIN_SQRT_RATIO}, {_MAX_SQRT_RATIO - 1}], was {sqrt_price_x96}"
        )
    if not get_sqrt_ratio_at_tick(tick) <= sqrt_price_x96 <= get_sqrt_ratio_at_tick(
        min(tick + 1, MAX_TICK)
    ):
        raise DataError(
            f"{where}tick: expected the tick of sqrt_price_x96 {sqrt_price_x96}, was {tick}"
        )
    return 0


cdef int _load_fees(v3_state *s, object fields, str where) except -1:
    """fee_pips, one integer or [token 0 in, token 1 in], and Uniswap V4's protocol_fee.

    The protocol takes its part of the input first, as ProtocolFeeLibrary.calculateSwapFee has it.
    """
    cdef int token_in
    highest = FEE_DENOMINATOR if s.form == V3_SINGLETON else FEE_DENOMINATOR - 1
    if isinstance(fields.get("fee_pips"), list | tuple):
        fees = integers_field(fields, "fee_pips", where, 2, 0, highest)
    else:
        fees = [integer_field(fields, "fee_pips", where, 0, highest)] * 2
    s.protocol_fee = 0
    if s.form == V3_SINGLETON:
        s.protocol_fee = integer_field(fields, "protocol_fee", where, 0, (1 << 24) - 1, 0)
    for token_in in range(2):
        part = v4_protocol_part(s.protocol_fee, token_in)
        if part > V4_MAX_PROTOCOL_FEE:
            raise DataError(
                f"{where}protocol_fee: expected at most {V4_MAX_PROTOCOL_FEE} pips in 12 bits for "
                f"token {token_in} in, was {part}"
            )
        s.lp_fee_pips[token_in] = fees[token_in]
        s.fee_pips[token_in] = v4_swap_fee(s.lp_fee_pips[token_in], s.protocol_fee, token_in)
    return 0


cdef int _load_hooks(v3_state *s, object fields, str where) except -1:
    """hooks of Uniswap V4's PoolKey, an address: its last 14 bits are what it may do."""
    s.hooks = 0
    if s.form == V3_SINGLETON and "hooks" in fields:
        value = fields["hooks"]
        if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
            raise DataError(f"{where}hooks: expected 0x and 40 hex digits, was {value!r:.60}")
        s.hooks = int(value, 16) & _ALL_HOOKS
    return 0


cdef int _load_spacing(v3_state *s, uint32_t kind, object fields, str where) except -1:
    """tick_spacing, and bitmap_spacing: another one in Algebra V1.9, none where there is no bitmap.
    """
    highest = _MAX_V4_TICK_SPACING if s.form == V3_SINGLETON else _MAX_TICK_SPACING
    s.tick_spacing = integer_field(fields, "tick_spacing", where, 1, highest)
    s.bitmap_spacing = s.tick_spacing
    if kind == POOL_ALGEBRA_V1:
        s.bitmap_spacing = integer_field(
            fields, "bitmap_spacing", where, 1, highest, s.tick_spacing
        )
    elif kind == POOL_ALGEBRA_INTEGRAL:
        s.bitmap_spacing = 0
    return 0


cdef int v3_load(pool_state *state, object fields, str where) except -1:
    """Fills state.v3, whose ticks and window v3_free gives back; DataError names a wrong field."""
    cdef v3_state *s = &state.v3
    cdef v3_window *window
    s.form = V3_POOL
    if state.kind == POOL_ALGEBRA_INTEGRAL:
        s.form = V3_INTEGRAL
    elif state.kind == POOL_UNISWAP_V4:
        s.form = V3_SINGLETON
    _load_fees(s, fields, where)
    _load_hooks(s, fields, where)
    _load_spacing(s, state.kind, fields, where)
    price = integer_field(fields, "sqrt_price_x96", where, 0, _MAX_SQRT_RATIO - 1)
    u256_from_pyint(&s.sqrt_price_x96, price)
    s.tick = integer_field(fields, "tick", where, MIN_TICK, MAX_TICK)
    _check_tick(s.tick, price, where)
    u128_from_pyint(&s.liquidity, integer_field(fields, "liquidity", where, 0, (1 << 128) - 1))
    window = <v3_window *>malloc(sizeof(v3_window))
    if window == NULL:
        raise MemoryError(f"{sizeof(v3_window)} bytes")
    try:
        s.ticks = ticks_field(&s.n_ticks, fields, where, max(1, s.bitmap_spacing))
    except BaseException:
        free(window)
        raise
    v3_window_build(window, s)
    s.window = window
    return 0


cdef void v3_free(pool_state *state) noexcept:
    """Gives back what v3_load took."""
    free(<void *>state.v3.ticks)
    free(<void *>state.v3.window)


cdef object v3_fields(const pool_state *state):
    """The fields that v3_load takes."""
    cdef const v3_state *s = &state.v3
    out = {
        "fee_pips": s.lp_fee_pips[0],
        "tick_spacing": s.tick_spacing,
        "sqrt_price_x96": u256_to_pyint(&s.sqrt_price_x96),
        "tick": s.tick,
        "liquidity": u128_to_pyint(s.liquidity),
        "ticks": ticks_list(s.ticks, s.n_ticks),
    }
    if s.lp_fee_pips[0] != s.lp_fee_pips[1]:
        out["fee_pips"] = [s.lp_fee_pips[0], s.lp_fee_pips[1]]
    if s.protocol_fee != 0:
        out["protocol_fee"] = s.protocol_fee
    if s.hooks != 0:
        out["hooks"] = f"0x{s.hooks:040x}"
    if s.bitmap_spacing not in (0, s.tick_spacing):
        out["bitmap_spacing"] = s.bitmap_spacing
    return out


cdef object v3_after_fields(const pool_quote *q):
    """The fields that the quoted swap moves, as they are after it."""
    return {
        "sqrt_price_x96": u256_to_pyint(&q.after.v3.sqrt_price_x96),
        "tick": q.after.v3.tick,
        "liquidity": u128_to_pyint(q.after.v3.liquidity),
    }
