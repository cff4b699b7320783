"""Concentrated liquidity: the swap loop of Uniswap V3 and V4, PancakeSwap V3 and Algebra.

Owns the walk over ticks and bitmap words; the arithmetic of one step is sqrt_price_math.h, prices
of ticks are tick_math.h. Must not know tokens, tables or other kernels.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc

from mevfast._math cimport (
    i128_from_pyint,
    i128_to_pyint,
    u128_from_pyint,
    u128_to_pyint,
    u256_from_pyint,
    u256_to_pyint,
)
from mevfast.types cimport (
    POOL_ALGEBRA_INTEGRAL,
    POOL_ALGEBRA_V1,
    POOL_UNISWAP_V4,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_PRICE_LIMIT,
    QUOTE_ZERO_AMOUNT,
    V3_INTEGRAL,
    V3_POOL,
    V3_SINGLETON,
    pool_quote,
    pool_state,
    v3_after,
    v3_state,
    v3_tick,
)
from mevfast.u256 cimport (
    FEE_DENOMINATOR,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    U256_OK,
    compute_swap_step,
    i128,
    i128_neg,
    swap_step,
    tick_math_compress,
    tick_math_get_sqrt_ratio,
    tick_math_get_tick,
    tick_math_price_in_range,
    u128_add_i128,
    u128_is_zero,
    u128_make,
    u256,
    u256_add,
    u256_add_u64,
    u256_bit_length,
    u256_eq,
    u256_from_u128,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_shl,
    u256_sub,
    u256_sub_u64,
    u256_to_double,
)

from mevfast._fields import integer_field, integers_field, list_field, parse_integer
from mevfast._math import MAX_SQRT_RATIO as _MAX_SQRT_RATIO
from mevfast._math import MIN_SQRT_RATIO as _MIN_SQRT_RATIO
from mevfast._math import get_sqrt_ratio_at_tick
from mevfast.errors import DataError

_MAX_TICK_SPACING = 16383  # UniswapV3Factory.enableFeeAmount
_MAX_V4_TICK_SPACING = 32767  # TickMath of v4-core
_MAX_PROTOCOL_FEE = 1000  # ProtocolFeeLibrary of v4-core, each direction

cdef enum:
    WORD_BITS = 8  # a bitmap word shows 256 ticks; the contract stops, and rounds, at its end
    WORD_MASK = 255


cdef struct tick_cursor:
    const v3_tick *ticks
    int32_t n
    int32_t next     # index of the next initialised tick on the way; -1 or n when there is none
    int32_t spacing  # bitmap_spacing


cdef double _price(const v3_after *at, uint32_t fee_pips, int zero_for_one) noexcept nogil:
    cdef double root
    if u128_is_zero(at.liquidity) or u256_is_zero(&at.sqrt_price_x96):
        return 0.0
    root = u256_to_double(&at.sqrt_price_x96) / 79228162514264337593543950336.0
    if not zero_for_one:
        root = 1.0 / root
    return root * root * (<double>(<int32_t>FEE_DENOMINATOR - <int32_t>fee_pips) / FEE_DENOMINATOR)


cdef double v3_marginal_price(const v3_state *s, int zero_for_one) noexcept nogil:
    """Tokens out per token in at the current price, fee taken off; 0.0 without liquidity there."""
    cdef v3_after at
    at.sqrt_price_x96 = s.sqrt_price_x96
    at.liquidity = s.liquidity
    return _price(&at, s.fee_pips[not zero_for_one], zero_for_one)


cdef int32_t _word_end(int32_t tick, int32_t spacing, int zero_for_one) noexcept nogil:
    """The last tick that one bitmap word shows: its lowest going down, its highest going up."""
    cdef int32_t compressed = tick_math_compress(tick, spacing)
    if zero_for_one:
        return (compressed & ~WORD_MASK) * spacing
    return ((compressed + 1) | WORD_MASK) * spacing


cdef void _seek(tick_cursor *c, const v3_state *s, int zero_for_one) noexcept nogil:
    """Sets c.next: the highest tick <= s.tick going down, the lowest > s.tick going up."""
    cdef int32_t low = 0, high = <int32_t>s.n_ticks, middle
    while low < high:
        middle = (low + high) >> 1
        if s.ticks[middle].tick <= s.tick:
            low = middle + 1
        else:
            high = middle
    c.ticks = s.ticks
    c.n = <int32_t>s.n_ticks
    c.spacing = s.bitmap_spacing
    c.next = low - 1 if zero_for_one else low


cdef bint _next_tick(
    int32_t *tick_next, const tick_cursor *c, int32_t tick, int zero_for_one,
) noexcept nogil:
    """nextInitializedTickWithinOneWord, clamped to the tick range; whether it is initialised.

    Where ticks are a linked list, its next entry: the ends of the range are always in it.
    """
    cdef int32_t end
    cdef bint initialised = 0 <= c.next < c.n
    if initialised:
        tick_next[0] = c.ticks[c.next].tick
        if c.spacing == 0:
            return True
    if c.spacing == 0:
        end = MIN_TICK if zero_for_one else MAX_TICK
    else:
        end = _word_end(tick, c.spacing, zero_for_one)
    if initialised:
        initialised = tick_next[0] >= end if zero_for_one else tick_next[0] <= end
    if not initialised:
        tick_next[0] = max(end, <int32_t>MIN_TICK) if zero_for_one else min(end, <int32_t>MAX_TICK)
    return initialised


cdef void _skip_empty_words(
    v3_after *at, const tick_cursor *c, int32_t limit_tick, int zero_for_one,
) noexcept nogil:
    """Where there is no liquidity: straight to the word of the next tick or of the limit.

    Steps without liquidity move no amount, so nothing is rounded on the way.
    """
    cdef int32_t goal = limit_tick, goal_word, end
    if 0 <= c.next < c.n:
        if zero_for_one:
            goal = max(goal, c.ticks[c.next].tick)
        else:
            goal = min(goal, c.ticks[c.next].tick)
    goal_word = tick_math_compress(goal, c.spacing) >> WORD_BITS
    if zero_for_one:
        if goal_word >= tick_math_compress(at.tick, c.spacing) >> WORD_BITS:
            return
        end = ((goal_word + 1) << WORD_BITS) * c.spacing
        at.tick = end - 1
    else:
        if goal_word <= (tick_math_compress(at.tick, c.spacing) + 1) >> WORD_BITS:
            return
        end = ((goal_word << WORD_BITS) - 1) * c.spacing
        at.tick = end
    tick_math_get_sqrt_ratio(&at.sqrt_price_x96, end)


cdef bint _is_lowest_int256(const v3_state *s, const u256 *amount, int exact_in) noexcept nogil:
    """Whether the contract takes amount for -2**255: the side that int256 writes as negative."""
    cdef bint negative = exact_in if s.form == V3_SINGLETON else not exact_in
    cdef u256 magnitude
    u256_from_u64(&magnitude, 1)
    u256_shl(&magnitude, &magnitude, 255)
    return negative and s.form != V3_INTEGRAL and u256_eq(amount, &magnitude)


cdef int _check(
    const v3_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *asked_limit, u256 *limit,
) noexcept nogil:
    """The contract's requirements before the first step; *limit = asked or the furthest price."""
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
    if asked_limit != NULL:
        limit[0] = asked_limit[0]
    elif zero_for_one:
        u256_add_u64(limit, &lowest, 1)
    else:
        u256_sub_u64(limit, &MAX_SQRT_RATIO, 1)
    if zero_for_one:
        if not (u256_lt(limit, &s.sqrt_price_x96) and u256_lt(&lowest, limit)):
            return QUOTE_PRICE_LIMIT
    elif not (u256_lt(&s.sqrt_price_x96, limit) and u256_lt(limit, &MAX_SQRT_RATIO)):
        return QUOTE_PRICE_LIMIT
    return QUOTE_OK


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


cdef int _cross(v3_after *at, tick_cursor *c, int zero_for_one) noexcept nogil:
    """Adds or takes the liquidity that starts or ends at the cursor's tick, and moves on."""
    cdef i128 net = c.ticks[c.next].liquidity_net
    if u128_add_i128(&at.liquidity, at.liquidity, i128_neg(net) if zero_for_one else net):
        return QUOTE_OVERFLOW
    c.next += -1 if zero_for_one else 1
    return QUOTE_OK


cdef int _step(
    v3_after *at, tick_cursor *c, const u256 *limit, u256 *remaining, u256 *calculated,
    uint32_t fee_pips, int zero_for_one, int exact_in,
) noexcept nogil:
    """One turn of the contract's loop: to the next tick or word end, the limit, or the amount."""
    cdef swap_step step
    cdef u256 next_price, liquidity
    cdef const u256 *target
    cdef int32_t tick_next, limit_tick
    cdef int status
    cdef bint initialised
    if c.spacing != 0 and u128_is_zero(at.liquidity) and tick_math_get_tick(&limit_tick, limit) == U256_OK:
        _skip_empty_words(at, c, limit_tick, zero_for_one)
    initialised = _next_tick(&tick_next, c, at.tick, zero_for_one)
    if tick_math_get_sqrt_ratio(&next_price, tick_next) != U256_OK:
        return QUOTE_OVERFLOW
    target = &next_price
    if u256_lt(&next_price, limit) if zero_for_one else u256_lt(limit, &next_price):
        target = limit
    u256_from_u128(&liquidity, at.liquidity)
    if compute_swap_step(
        &step, &at.sqrt_price_x96, target, &liquidity, remaining, fee_pips, exact_in
    ) != U256_OK:
        return QUOTE_OVERFLOW
    status = _account(remaining, calculated, &step, exact_in)
    if status != QUOTE_OK:
        return status
    if u256_eq(&step.price, &next_price):
        if initialised:
            status = _cross(at, c, zero_for_one)
        at.tick = tick_next - 1 if zero_for_one else tick_next
    elif not u256_eq(&step.price, &at.sqrt_price_x96):
        tick_math_get_tick(&at.tick, &step.price)
    at.sqrt_price_x96 = step.price
    return status


cdef int _check_delta(const pool_quote *q) noexcept nogil:
    """Uniswap V4's BalanceDelta: two int128, what is paid in negative."""
    cdef u256 paid
    u256_sub_u64(&paid, &q.amount_in, not u256_is_zero(&q.amount_in))
    if u256_bit_length(&paid) > 127 or u256_bit_length(&q.amount_out) > 127:
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int v3_quote(
    const v3_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the pool would revert; q is then undefined.

    Without a limit (NULL) the swap runs to the end of the price range. Where liquidity or the
    limit runs out first, the fill is partial: the specified amount in q is below `amount`.
    """
    cdef uint32_t fee_pips = s.fee_pips[not zero_for_one]
    cdef u256 limit, remaining = amount[0], calculated
    cdef v3_after at
    cdef tick_cursor cursor
    cdef int status = _check(s, zero_for_one, exact_in, amount, sqrt_price_limit_x96, &limit)
    if status != QUOTE_OK:
        return status
    at.sqrt_price_x96 = s.sqrt_price_x96
    at.liquidity = s.liquidity
    at.tick = s.tick
    u256_from_u64(&calculated, 0)
    _seek(&cursor, s, zero_for_one)
    while not u256_is_zero(&remaining) and not u256_eq(&at.sqrt_price_x96, &limit):
        status = _step(
            &at, &cursor, &limit, &remaining, &calculated, fee_pips, zero_for_one, exact_in
        )
        if status != QUOTE_OK:
            return status
    u256_sub(&remaining, amount, &remaining)
    q.amount_in = remaining if exact_in else calculated
    q.amount_out = calculated if exact_in else remaining
    q.after.v3 = at
    q.price_after = _price(&at, fee_pips, zero_for_one)
    if s.form == V3_SINGLETON:
        return _check_delta(q)
    return QUOTE_OK


cdef list _ticks(object fields, str where, int spacing):
    """Sorted [(tick, liquidity_net)] of a state whose bitmap counts ticks in `spacing`."""
    entries = list_field(fields, "ticks", where, 0, 2 * MAX_TICK + 1)
    found = {}
    for i, entry in enumerate(entries):
        at = f"{where}ticks[{i}]"
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise DataError(f"{at}: expected [tick, liquidity_net], was {entry!r:.60}")
        tick = parse_integer(entry[0], f"{at}[0]", MIN_TICK, MAX_TICK)
        if tick % spacing:
            raise DataError(f"{at}[0]: expected a multiple of {spacing}, was {tick}")
        if tick in found:
            raise DataError(f"{at}[0]: expected every tick once, was {tick} again")
        found[tick] = parse_integer(entry[1], f"{at}[1]", -(1 << 127), (1 << 127) - 1)
    return sorted(found.items())


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
        part = s.protocol_fee >> 12 * token_in & 0xFFF
        if part > _MAX_PROTOCOL_FEE:
            raise DataError(
                f"{where}protocol_fee: expected at most {_MAX_PROTOCOL_FEE} pips in 12 bits for "
                f"token {token_in} in, was {part}"
            )
        s.lp_fee_pips[token_in] = fees[token_in]
        s.fee_pips[token_in] = part + fees[token_in] - part * fees[token_in] // FEE_DENOMINATOR
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
    """Fills state.v3, whose ticks v3_free gives back; DataError names a wrong field."""
    cdef v3_state *s = &state.v3
    cdef v3_tick *entry
    s.form = V3_POOL
    if state.kind == POOL_ALGEBRA_INTEGRAL:
        s.form = V3_INTEGRAL
    elif state.kind == POOL_UNISWAP_V4:
        s.form = V3_SINGLETON
    _load_fees(s, fields, where)
    _load_spacing(s, state.kind, fields, where)
    price = integer_field(fields, "sqrt_price_x96", where, 0, _MAX_SQRT_RATIO - 1)
    u256_from_pyint(&s.sqrt_price_x96, price)
    s.tick = integer_field(fields, "tick", where, MIN_TICK, MAX_TICK)
    _check_tick(s.tick, price, where)
    u128_from_pyint(&s.liquidity, integer_field(fields, "liquidity", where, 0, (1 << 128) - 1))
    ticks = _ticks(fields, where, max(1, s.bitmap_spacing))
    entry = <v3_tick *>malloc(max(1, len(ticks)) * sizeof(v3_tick))
    if entry == NULL:
        raise MemoryError
    s.ticks = entry
    s.n_ticks = <uint32_t>len(ticks)
    for tick, net in ticks:
        entry.tick = tick
        entry.liquidity_gross = u128_make(0, 0)
        i128_from_pyint(&entry.liquidity_net, net)
        entry += 1
    return 0


cdef void v3_free(pool_state *state) noexcept:
    """Gives back what v3_load took."""
    free(<void *>state.v3.ticks)


cdef object v3_fields(const pool_state *state):
    """The fields that v3_load takes."""
    cdef const v3_state *s = &state.v3
    cdef uint32_t i
    out = {
        "fee_pips": s.lp_fee_pips[0],
        "tick_spacing": s.tick_spacing,
        "sqrt_price_x96": u256_to_pyint(&s.sqrt_price_x96),
        "tick": s.tick,
        "liquidity": u128_to_pyint(s.liquidity),
        "ticks": [
            [s.ticks[i].tick, i128_to_pyint(s.ticks[i].liquidity_net)] for i in range(s.n_ticks)
        ],
    }
    if s.lp_fee_pips[0] != s.lp_fee_pips[1]:
        out["fee_pips"] = [s.lp_fee_pips[0], s.lp_fee_pips[1]]
    if s.protocol_fee != 0:
        out["protocol_fee"] = s.protocol_fee
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
