"""Sizes a cycle of 2-4 swaps to the integer input that pays most.

The marginal price of the whole cycle after x went through it, D(x), is the product of the
pools' prices after their swaps, and falls with x. Profit peaks where D(x) = 1 + the lender's
rate. For constant-product pools and inside one V3 range 1/sqrt(D) is linear in x (the Moebius
composition of Wang et al., arXiv 2105.02784), so a safeguarded secant on it lands in one or two
steps and walks tick ranges in a few more. Doubles choose where to look; every amount and every
comparison of profits is an exact integer quote.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin, sqrt
from libc.stdint cimport int32_t, uint8_t, uint32_t

from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._pool cimport Pool, pool_marginal_price, pool_quote_exact
from mevfast.types cimport POOL_UNISWAP_V2, QUOTE_OK, pool_quote, pool_state, v3_state
from mevfast.u256 cimport (
    U256_OK,
    i128_to_double,
    u128_to_double,
    u256,
    u256_add,
    u256_add_u64,
    u256_cmp,
    u256_div,
    u256_from_double,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_mul,
    u256_mul_div_up,
    u256_shr,
    u256_sub,
    u256_sub_u64,
    u256_to_double,
)

cdef uint32_t MAX_STEPS = 96
cdef uint32_t SECANT_STEPS = 32      # after these, plain bisection
# Of the distance between the margin and the optimum; profit falls short by its square.
cdef double COARSE = 1e-5
cdef double FINE = 1e-11
# How far the most liquidity of a V3 pool is looked for.
cdef int32_t NEAR_TICKS = 1000
cdef double NEAR_LOG = 0.0999                    # just within: 1,000 * ln(1.0001)
cdef double TWO_96 = 79228162514264337593543950336.0


cdef int lender_fee_of(const lender_fee *fee, const u256 *amount, u256 *out) noexcept nogil:
    """The lender's fee on `amount`: 0, or -1 on overflow."""
    cdef u256 half, scaled
    if u256_is_zero(&fee.denominator):
        u256_from_u64(out, 0)
        return 0
    if not fee.half_up:
        return 0 if u256_mul_div_up(out, amount, &fee.numerator, &fee.denominator) == U256_OK \
            else -1
    # (amount * numerator + denominator / 2) / denominator, as Aave's PercentageMath
    if u256_mul(&scaled, amount, &fee.numerator) != U256_OK:
        return -1
    u256_shr(&half, &fee.denominator, 1)
    if u256_add(&scaled, &scaled, &half) != 0:
        return -1
    return 0 if u256_div(out, &scaled, &fee.denominator) == U256_OK else -1


cdef double derivative(const pool_state *s, uint8_t zero_for_one, const u256 *amount_in,
                       double price_after) noexcept nogil:
    """d(output) / d(input) of one swap at its end.

    In V3 that is the price after it. A V2 pair keeps its fee in the reserves, which moves the
    next swap's price but not this one's: keep (R_out - out) / (R_in + keep x).
    """
    cdef double x, reserve, keep
    if s.kind != POOL_UNISWAP_V2:
        return price_after
    x = u256_to_double(amount_in)
    reserve = u128_to_double(s.v2.reserve0 if zero_for_one else s.v2.reserve1)
    keep = 1.0 - s.v2.fee_pips * 1e-6
    return price_after * (reserve + x) / (reserve + keep * x)


cdef int chain_quote(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                     const u256 *amount_in, u256 *amounts, double *slope) noexcept nogil:
    """Quotes n swaps one after another, exact in.

    amounts[0..n] receive the amounts along the way, `slope` what the last unit of input added to
    the output. Returns 0, or -1 where a pool refuses or cannot take all of its input.
    """
    cdef pool_quote q
    cdef uint32_t i
    amounts[0] = amount_in[0]
    slope[0] = 1.0
    for i in range(n):
        if pool_quote_exact(pools[i], 1 - zero_for_one[i], zero_for_one[i], True, &amounts[i],
                            &q) != QUOTE_OK:
            return -1
        if u256_cmp(&q.amount_in, &amounts[i]) != 0:
            return -1
        amounts[i + 1] = q.amount_out
        slope[0] *= derivative(pools[i], zero_for_one[i], &amounts[i], q.price_after)
    return 0


cdef int chain_need(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                    const u256 *amount_out, u256 *amount_in) noexcept nogil:
    """The least input with which n swaps pay `amount_out`: 0, or -1 where a pool refuses."""
    cdef pool_quote q
    cdef u256 want = amount_out[0]
    cdef uint32_t i
    for i in range(n, 0, -1):
        if pool_quote_exact(pools[i - 1], 1 - zero_for_one[i - 1], zero_for_one[i - 1], False, &want,
                            &q) != QUOTE_OK:
            return -1
        if u256_lt(&q.amount_out, &want):
            return -1
        want = q.amount_in
    amount_in[0] = want
    return 0


cdef double most_liquidity(const v3_state *s) noexcept nogil:
    """The most liquidity within NEAR_TICKS of the price, on both sides."""
    cdef double liquidity = u128_to_double(s.liquidity), most = liquidity, here = liquidity
    cdef uint32_t low = 0, high = s.n_ticks, middle, i
    while low < high:
        middle = (low + high) >> 1
        if s.ticks[middle].tick <= s.tick:
            low = middle + 1
        else:
            high = middle
    for i in range(low, s.n_ticks):
        if s.ticks[i].tick > s.tick + NEAR_TICKS:
            break
        here += i128_to_double(s.ticks[i].liquidity_net)
        most = fmax(most, here)
    here = liquidity
    for i in range(low, 0, -1):
        if s.ticks[i - 1].tick < s.tick - NEAR_TICKS:
            break
        here -= i128_to_double(s.ticks[i - 1].liquidity_net)
        most = fmax(most, here)
    return most


cdef void virtual_of(const pool_state *s, virtual_pool *now, virtual_pool *deepest) noexcept nogil:
    """The constant-product pool that a pool behaves as at its price, and one that pays at least
    as much for any input which moves the price by less than NEAR_LOG.

    For V2 they are the same. For V3 the second one has the most liquidity of any range near; both
    take the lower fee where the directions differ.
    """
    cdef double price
    if s.kind == POOL_UNISWAP_V2:
        now.reserve0 = u128_to_double(s.v2.reserve0)
        now.reserve1 = u128_to_double(s.v2.reserve1)
        now.keep = 1.0 - s.v2.fee_pips * 1e-6
        deepest[0] = now[0]
        return
    price = u256_to_double(&s.v3.sqrt_price_x96) / TWO_96
    now.keep = deepest.keep = 1.0 - min(s.v3.fee_pips[0], s.v3.fee_pips[1]) * 1e-6
    now.reserve1 = u128_to_double(s.v3.liquidity) * price
    deepest.reserve1 = most_liquidity(&s.v3) * price
    now.reserve0 = now.reserve1 / (price * price) if price > 0.0 else 0.0
    deepest.reserve0 = deepest.reserve1 / (price * price) if price > 0.0 else 0.0


cdef double closed_form(const virtual_pool *pools, const uint8_t *zero_for_one, uint32_t n,
                        double target, double *profit) noexcept nogil:
    """The best input and its profit as doubles, every pool taken as constant product.

    Where V3 pools leave their range this is where to start looking and how to order the work,
    not a bound. 0 where nothing is to be gained.
    """
    cdef double a = 1.0, c = 0.0, reserve_in, reserve_out, x
    cdef uint32_t i
    profit[0] = 0.0
    for i in range(n):
        if zero_for_one[i]:
            reserve_in, reserve_out = pools[i].reserve0, pools[i].reserve1
        else:
            reserve_in, reserve_out = pools[i].reserve1, pools[i].reserve0
        if reserve_in <= 0.0:
            return 0.0
        # out(x) = a x / (1 + c x), composed with the next pool
        a *= pools[i].keep / reserve_in
        c += a
        a *= reserve_out
    if a <= target or c <= 0.0:
        return 0.0
    x = (sqrt(a / target) - 1.0) / c
    profit[0] = a * x / (1.0 + c * x) - target * x
    return x


cdef int try_amount(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                    const lender_fee *fee, const u256 *x, sized_cycle *best,
                    double *slope) noexcept nogil:
    """Quotes x through the cycle and keeps it where it pays more than `best`: 0 or -1 refused."""
    cdef u256 amounts[CYCLE_HOPS + 1]
    cdef u256 cost, profit
    cdef uint32_t i
    best.quotes += n
    if chain_quote(pools, zero_for_one, n, x, amounts, slope) != 0:
        return -1
    if lender_fee_of(fee, x, &cost) != 0 or u256_add(&cost, &cost, x) != 0:
        return -1
    if u256_sub(&profit, &amounts[n], &cost) != 0:
        return 0
    if u256_lt(&best.profit, &profit):
        best.profit = profit
        for i in range(n + 1):
            best.amount[i] = amounts[i]
    return 0


cdef void polish(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                 const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil:
    """Integer finish: the least input that pays the same output, then the neighbours."""
    cdef u256 x
    cdef double slope
    cdef int step
    if chain_need(pools, zero_for_one, n, &best.amount[n], &x) == 0:
        best.quotes += n
        if not u256_is_zero(&x) and not u256_lt(cap, &x):
            try_amount(pools, zero_for_one, n, fee, &x, best, &slope)
    for step in range(2):
        if step == 0:
            if u256_add_u64(&x, &best.amount[0], 1) != 0 or u256_lt(cap, &x):
                continue
        elif u256_sub_u64(&x, &best.amount[0], 1) != 0 or u256_is_zero(&x):
            continue
        try_amount(pools, zero_for_one, n, fee, &x, best, &slope)


cdef double marginal(const pool_state **pools, const uint8_t *zero_for_one,
                     uint32_t n) noexcept nogil:
    cdef double price = 1.0
    cdef uint32_t i
    for i in range(n):
        price *= pool_marginal_price(pools[i], 1 - zero_for_one[i], zero_for_one[i])
    return price


cdef struct bracket:
    double low, g_low            # profit still grows here
    double high, g_high          # and falls here; infinity where nothing is known yet
    double before, g_before      # the low end before this one
    int side                     # end that moved last: -1 low, 1 high


cdef double next_guess(bracket *b, uint32_t step) noexcept nogil:
    """Secant where both ends are known, with the Illinois rule against a stuck end."""
    cdef double x
    if b.high == INFINITY:
        if b.g_low > b.g_before:
            x = b.low - b.g_low * (b.low - b.before) / (b.g_low - b.g_before)
            if b.low < x < 8.0 * b.low:
                return x
        return 8.0 * b.low
    if b.g_high == INFINITY or step >= SECANT_STEPS:
        return 0.5 * (b.low + b.high) if b.low > 0.0 else 0.125 * b.high
    x = b.low - b.g_low * (b.high - b.low) / (b.g_high - b.g_low)
    return x if b.low < x < b.high else 0.5 * (b.low + b.high)


cdef void narrow(bracket *b, double x, double g) noexcept nogil:
    if g < 0.0:
        b.before, b.g_before = b.low, b.g_low
        b.low, b.g_low = x, g
        if b.side < 0 and b.g_high < INFINITY:
            b.g_high *= 0.5
        b.side = -1
    else:
        b.high, b.g_high = x, g
        if b.side > 0:
            b.g_low *= 0.5
        b.side = 1


cdef int size_cycle(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                    const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil:
    """An input in [1, cap] whose exact profit is within 1e-9 of the largest, for ranking.

    Returns 0 with `best` filled, 1 where no input pays, -1 where every input tried was refused.
    """
    u256_from_u64(&best.profit, 0)
    best.quotes = 0
    return climb(pools, zero_for_one, n, fee, cap, COARSE, 0.0, best)


cdef int finish_cycle(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
                      const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil:
    """Takes what size_cycle found to the integer optimum: no neighbouring input pays more than
    rounding. Returns as size_cycle does; `best` never gets worse."""
    cdef int status = climb(pools, zero_for_one, n, fee, cap, FINE,
                            u256_to_double(&best.amount[0]), best)
    if status == 0:
        polish(pools, zero_for_one, n, fee, cap, best)
    return status


cdef int climb(const pool_state **pools, const uint8_t *zero_for_one, uint32_t n,
               const lender_fee *fee, const u256 *cap, double tolerance, double start,
               sized_cycle *best) noexcept nogil:
    """Secant steps on the cycle's marginal price from `start` (0: from the closed form)."""
    cdef double target = 1.0 + fee.rate
    cdef double limit = u256_to_double(cap)
    cdef double x, g, g_start, slope, unused
    cdef virtual_pool stand_in[CYCLE_HOPS]
    cdef virtual_pool deepest
    cdef bracket b
    cdef u256 amount
    cdef uint32_t step, served = 0
    slope = marginal(pools, zero_for_one, n)
    if not slope > target:
        return 1
    # g rises with the input, from g_start < 0 at none to 0 at the optimum.
    g_start = 1.0 / sqrt(slope / target) - 1.0
    b.low, b.g_low, b.before, b.g_before, b.side = 0.0, g_start, 0.0, g_start, 0
    b.high = b.g_high = INFINITY
    x = start
    if x == 0.0:
        for step in range(n):
            virtual_of(pools[step], &stand_in[step], &deepest)
        x = closed_form(stand_in, zero_for_one, n, target, &unused)
    for step in range(MAX_STEPS):
        x = fmin(fmax(x, 1.0), limit)
        if u256_from_double(&amount, x) != 0:
            return -1
        if u256_lt(cap, &amount):
            amount = cap[0]
        if try_amount(pools, zero_for_one, n, fee, &amount, best, &slope) != 0:
            g = INFINITY
        else:
            served += 1
            g = 1.0 / sqrt(slope / target) - 1.0 if slope > 0.0 else INFINITY
        if fabs(g) <= tolerance * -g_start or (g < 0.0 and x >= limit):
            break
        narrow(&b, x, g)
        if b.high < INFINITY and b.high - b.low <= fmax(1.0, 1e-15 * b.high):
            break
        x = next_guess(&b, step)
    if served == 0:
        return -1
    return 1 if u256_is_zero(&best.profit) else 0


# ---- Python face ----

cdef int lender_from(lender_fee *fee, lender) except -1:
    numerator, denominator, half_up = lender
    u256_from_pyint(&fee.numerator, numerator)
    u256_from_pyint(&fee.denominator, denominator)
    fee.half_up = half_up
    fee.rate = numerator / denominator if denominator else 0.0
    return 0


def lender_fee_on(amount, lender):
    """The lender's fee on `amount`, token units; `lender` as for `size`."""
    cdef lender_fee fee
    cdef u256 x, out
    lender_from(&fee, lender)
    u256_from_pyint(&x, amount)
    if lender_fee_of(&fee, &x, &out) != 0:
        raise OverflowError(f"fee on {amount}: beyond 256 bits")
    return u256_to_pyint(&out)


def size(list pools, list zero_for_one, *, cap=(1 << 255) - 1, lender=(0, 0, False)):
    """The input in [1, cap] at which swapping through 2-4 `Pool`s in a row pays most.

    `lender` is (numerator, denominator, half_up): its fee, rounded up unless half_up; denominator
    0 for none. Returns (amounts, profit, quotes): the amount into each pool and out of the last,
    what is left of that after input and fee, and the exact quotes it took. None where no input
    pays or every pool refuses.
    """
    cdef const pool_state *states[CYCLE_HOPS]
    cdef uint8_t ways[CYCLE_HOPS]
    cdef lender_fee fee
    cdef u256 most
    cdef sized_cycle best
    cdef uint32_t n = len(pools), i
    if not 2 <= n <= CYCLE_HOPS or len(zero_for_one) != n:
        raise ValueError(f"pools: expected 2 to {CYCLE_HOPS} and as many directions, "
                         f"was {n} and {len(zero_for_one)}")
    for i in range(n):
        states[i] = &(<Pool?>pools[i]).state
        ways[i] = bool(zero_for_one[i])
    lender_from(&fee, lender)
    u256_from_pyint(&most, cap)
    if u256_is_zero(&most) or size_cycle(states, ways, n, &fee, &most, &best) != 0 \
            or finish_cycle(states, ways, n, &fee, &most, &best) != 0:
        return None
    return ([u256_to_pyint(&best.amount[i]) for i in range(n + 1)], u256_to_pyint(&best.profit),
            best.quotes)
