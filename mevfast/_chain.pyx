"""Exact quotes through 2-4 pools, forwards and backwards, and the lender's fee.

Owns what an input brings and what the least input is that brings something; must not know how
inputs are chosen.
"""

from libc.math cimport fabs, fmax
from libc.stdint cimport uint32_t

from mevfast._pool cimport pool_quote_exact, pool_slope, pool_slope_and_fee
from mevfast.types cimport (
    POOL_BALANCER_COMPOSABLE_STABLE,
    POOL_BALANCER_WEIGHTED,
    POOL_CURVE_STABLE,
    POOL_CURVE_STABLE_NG,
    POOL_CURVE_TRICRYPTO_NG,
    POOL_CURVE_TWOCRYPTO_NG,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V4,
    QUOTE_INVARIANT,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_ZERO_AMOUNT,
    pool_quote,
    pool_state,
)
from mevfast.u256 cimport (
    U256_OK,
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
    u256_to_double,
)

cdef enum:
    INVERSE_STEPS = 100  # of least_by_quotes: the secant's, then bisection's


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


# ---- what quotes cost ----

cdef double quote_ns(const pool_state *s) noexcept nogil:
    """Of an exact quote, about: see bench/results."""
    cdef uint32_t kind = s.kind
    if kind == POOL_UNISWAP_V2:
        return 40.0
    if kind <= POOL_UNISWAP_V4:
        return 280.0
    if kind == POOL_BALANCER_WEIGHTED:
        return 500.0
    if kind == POOL_BALANCER_COMPOSABLE_STABLE:
        return 1450.0
    if kind == POOL_CURVE_TRICRYPTO_NG or kind == POOL_CURVE_TWOCRYPTO_NG:
        return 7000.0
    if kind == POOL_CURVE_STABLE or kind == POOL_CURVE_STABLE_NG:
        return 550.0
    return 1240.0 if s.solidly.stable else 100.0


cdef void count_costs(cycle *c) noexcept nogil:
    """From here on quotes take of c.pace.left, and least inputs are remembered."""
    cdef uint32_t i
    c.cost = 0.0
    for i in range(c.n):
        c.quote_cost[i] = quote_ns(c.pools[i])
        c.cost += c.quote_cost[i]
        c.least_out[i] = 0.0


cdef void count_quote(cycle *c, uint32_t hop) noexcept nogil:
    c.best.quotes += 1
    c.pace.left -= c.quote_cost[hop]


# ---- forwards ----

cdef int run_chain(const pool_state **pools, const swap_way *ways, uint32_t n,
                   const u256 *amount_in, u256 *amounts, double *prices) noexcept nogil:
    """Quotes n swaps one after another, exact in.

    amounts[0..n] receive the amounts along the way, prices[0..n - 1] the quotes' price_after.
    """
    cdef pool_quote q
    cdef uint32_t i
    cdef int status
    amounts[0] = amount_in[0]
    for i in range(n):
        status = pool_quote_exact(pools[i], ways[i].token_in, ways[i].token_out, True,
                                  &amounts[i], &q)
        if status != QUOTE_OK:
            if status == QUOTE_NO_OUTPUT or status == QUOTE_ZERO_AMOUNT:
                return CHAIN_TOO_LITTLE
            return CHAIN_ODD if status == QUOTE_INVARIANT else CHAIN_REFUSED
        if u256_cmp(&q.amount_in, &amounts[i]) != 0:
            return CHAIN_REFUSED
        amounts[i + 1], prices[i] = q.amount_out, q.price_after
    return CHAIN_OK


cdef int keep_better(cycle *c, const u256 *amounts, const double *prices) noexcept nogil:
    """Makes exact amounts the best where they pay more; CHAIN_REFUSED where the fee overflows."""
    cdef u256 cost, profit
    cdef uint32_t i
    if lender_fee_of(c.fee, &amounts[0], &cost) != 0 or u256_add(&cost, &cost, &amounts[0]) != 0:
        return CHAIN_REFUSED
    if u256_sub(&profit, &amounts[c.n], &cost) == 0 and u256_lt(&c.best.profit, &profit):
        c.best.profit = profit
        c.best.amount[0] = amounts[0]
        for i in range(c.n):
            c.best.amount[i + 1], c.best.price_after[i] = amounts[i + 1], prices[i]
    return CHAIN_OK


cdef int try_amount(cycle *c, const u256 *x, double *slope) noexcept nogil:
    """Quotes x through the cycle and keeps it where it pays more than the best so far.

    Returns the chain_status; `slope`, where it is not NULL, receives the price of the whole cycle
    for the last unit of x.
    """
    cdef u256 amounts[CYCLE_HOPS + 1]
    cdef double prices[CYCLE_HOPS]
    cdef uint32_t i
    cdef int status
    if u256_lt(c.cap, x):
        return CHAIN_REFUSED
    c.best.quotes += c.n
    c.pace.left -= c.cost
    status = run_chain(c.pools, c.ways, c.n, x, amounts, prices)
    if status != CHAIN_OK:
        return status
    if slope != NULL:
        slope[0] = 1.0
        for i in range(c.n):
            slope[0] *= pool_slope(c.pools[i], c.ways[i].token_in, c.ways[i].token_out,
                                   &amounts[i], &amounts[i + 1], prices[i])
    return keep_better(c, amounts, prices)


cdef void tangent_of(const cycle *c, tangent *at) noexcept nogil:
    """The tangent at the best amounts so far."""
    cdef pool_quote q
    cdef const sized_cycle *best = c.best
    cdef uint32_t i
    for i in range(c.n):
        q.price_after = best.price_after[i]
        if q.price_after == 0.0 and POOL_UNISWAP_V2 <= c.pools[i].kind <= POOL_UNISWAP_V4 \
                and pool_quote_exact(c.pools[i], c.ways[i].token_in, c.ways[i].token_out, True,
                                     &best.amount[i], &q) != QUOTE_OK:
            q.price_after = 0.0  # cannot be: it was quoted before
        at.slope[i] = pool_slope_and_fee(
            c.pools[i], c.ways[i].token_in, c.ways[i].token_out, &best.amount[i],
            &best.amount[i + 1], q.price_after, &at.fee[i], &at.rise[i])


# ---- backwards ----

cdef bint has_exact_out(const pool_state *s) noexcept nogil:
    return POOL_UNISWAP_V2 <= s.kind <= POOL_UNISWAP_V4 or s.kind == POOL_BALANCER_WEIGHTED \
        or s.kind == POOL_BALANCER_COMPOSABLE_STABLE


cdef int least_by_exact_out(const pool_state *s, swap_way way, const u256 *want,
                            u256 *x) noexcept nogil:
    cdef pool_quote q
    if pool_quote_exact(s, way.token_in, way.token_out, False, want, &q) != QUOTE_OK \
            or u256_lt(&q.amount_out, want):
        return -1
    x[0] = q.amount_in
    return 0


cdef int pays(const pool_state *s, swap_way way, const u256 *x, const u256 *want,
              double *short) noexcept nogil:
    """1 where x buys `want` or more, 0 where less, -1 where it is refused; `short`: what lacks."""
    cdef pool_quote q
    cdef u256 gap
    cdef int status = pool_quote_exact(s, way.token_in, way.token_out, True, x, &q)
    short[0] = 0.0
    if status == QUOTE_NO_OUTPUT or status == QUOTE_ZERO_AMOUNT:
        short[0] = u256_to_double(want)
        return 0
    if status == QUOTE_INVARIANT:
        return 0  # not this very amount: one above it
    if status != QUOTE_OK or u256_cmp(&q.amount_in, x) != 0:
        return -1
    if u256_sub(&gap, want, &q.amount_out):
        u256_sub(&gap, &q.amount_out, want)
        short[0] = -u256_to_double(&gap)
        return 1
    short[0] = u256_to_double(&gap)
    return 1 if u256_is_zero(&gap) else 0


cdef int least_by_quotes(cycle *c, uint32_t hop, const u256 *want, double width, double slope,
                         const u256 *guess, double reach, u256 *x) noexcept nogil:
    """The least input of one swap that buys `want`, at most `width` above it: 0 or -1.

    From a guess that is `reach` off, bounded from both sides by exact quotes, then halved, as long
    as there is time.
    """
    cdef const pool_state *s = c.pools[hop]
    cdef swap_way way = c.ways[hop]
    cdef u256 low, high, at = guess[0], gap
    cdef double short
    cdef int step, found
    cdef bint have_low = False, have_high = False
    u256_from_u64(&low, 0)
    high = low
    for step in range(INVERSE_STEPS):
        if have_low and have_high:
            u256_sub(&gap, &high, &low)
            if u256_to_double(&gap) <= fmax(width, 1.0) or c.pace.left < c.cost:
                c.least_in[hop], c.least_out[hop] = u256_to_double(&high), u256_to_double(want)
                x[0] = high
                return 0
            u256_shr(&gap, &gap, 1)
            u256_add(&at, &low, &gap)
        if c.pace.left < c.cost and not have_high:
            return -1
        count_quote(c, hop)
        found = pays(s, way, &at, want, &short)
        if found < 0:
            return -1
        if found:
            high, have_high = at, True
        else:
            low, have_low = at, True
        if have_low and have_high:
            continue
        # not yet bounded: as far as what lacks or is too much says, and more each time
        if u256_from_double(&gap, fmax(reach, (fabs(short) - 1.0) / slope)) != 0:
            return -1
        reach *= 2.0
        if found:
            have_low = u256_sub(&at, &at, &gap)  # at 0, which buys nothing
        elif u256_add(&at, &at, &gap):
            return -1
    return -1


cdef int least_of_swap(cycle *c, uint32_t hop, const u256 *want, double width, double slope,
                       u256 *x) noexcept nogil:
    """least_input of one swap. Of a pool with exact output that is where to look: of Balancer's
    two ways each rounds against the trader, and what the one asks for may not do for the other."""
    cdef const pool_state *s = c.pools[hop]
    cdef double guess, reach = 1.0, short
    cdef u256 at
    cdef int found
    if not slope > 0.0:
        return -1
    if has_exact_out(s):
        count_quote(c, hop)
        if least_by_exact_out(s, c.ways[hop], want, x) != 0:
            return -1
        if s.kind == POOL_UNISWAP_V2:
            return 0
        count_quote(c, hop)
        found = pays(s, c.ways[hop], x, want, &short)
        if found != 0:
            return 0 if found > 0 else -1
        at = x[0]
        reach = fmax(1.0, 1e-15 * u256_to_double(x))
    else:
        # From another least input there is little to correct; any other may be a unit's worth off.
        guess, short = c.least_in[hop], c.least_out[hop]
        reach = fmax(1.0, width)
        if short == 0.0:
            guess = u256_to_double(&c.best.amount[hop])
            short = u256_to_double(&c.best.amount[hop + 1])
            reach = fmax(1.0, 1.0 / slope)
        guess += (u256_to_double(want) - short) / slope
        if u256_from_double(&at, fmax(guess, 1.0)) != 0:
            return -1
    return least_by_quotes(c, hop, want, width, slope, &at, reach, x)


cdef int least_input(cycle *c, uint32_t place, const u256 *want, double tolerance,
                     const double *slopes, u256 *x) noexcept nogil:
    """An input with which at least `want` reaches a place, 1 to n: 0 and *x, or -1.

    The least one, or above it by no more than what is worth `tolerance` units of the cycle's token
    where a pool has no exact output. `slopes` are those of the best so far.
    """
    cdef u256 need = want[0]
    cdef double worth = 1.0
    cdef uint32_t i
    for i in range(place, c.n):
        worth *= slopes[i]
    for i in range(place, 0, -1):
        worth *= slopes[i - 1]
        if least_of_swap(c, i - 1, &need, tolerance / worth if worth > 0.0 else 0.0,
                         slopes[i - 1], x) != 0:
            return -1
        need = x[0]
    return 0
