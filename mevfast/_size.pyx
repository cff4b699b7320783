"""Sizes a cycle of 2-4 swaps to the integer input that pays most.

The price of the whole cycle for the last unit of x, D(x), is the product of what the last unit
into each pool adds to what it pays. Profit peaks where D(x) = 1 + the lender's rate. For
constant-product pools and inside one V3 range 1/sqrt(D) is linear in x (the Moebius composition of
Wang et al., arXiv 2105.02784), so a safeguarded secant on it lands in one or two steps, walks tick
ranges in a few more, and takes the other curves, on which D only falls, in four to six. Where a
fee falls on the way (StableSwap NG, CryptoSwap) D may rise first: those are looked at on a grid
before. Doubles choose where to look; every amount and every comparison of profits is an exact
integer quote.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset
from libc.time cimport CLOCKS_PER_SEC, clock, clock_t

from mevfast._chain cimport (
    CHAIN_ODD,
    CHAIN_OK,
    CHAIN_REFUSED,
    CHAIN_TOO_LITTLE,
    CYCLE_HOPS,
    cycle,
    lender_fee,
    lender_fee_of,
    run_chain,
    sized_cycle,
    swap_way,
    tangent,
    tangent_of,
    try_amount,
    v2_chain_amount,
    v2_chain_best,
    v2_chain_load,
    v2_chain_run,
    v2_hop,
)
from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._pool cimport (
    Pool,
    pool_marginal_price,
    pool_price_bound,
    pool_price_can_rise,
)
from mevfast._slopes cimport (
    FORESEEN,
    bent,
    best_point,
    bracket,
    foresee,
    point,
    start_bracket,
    survey,
)
from mevfast._stairs cimport (
    ENOUGH,
    ENOUGH_UNITS,
    HURRIED_ENOUGH,
    certain,
    climb_stairs,
    is_costly,
    polish,
    set_pace,
    units_are_little,
)
from mevfast._virtual cimport closed_form, compose, virtual_of, virtual_pool
from mevfast.types cimport POOL_UNISWAP_V4, pool_state
from mevfast.u256 cimport (
    u256,
    u256_add,
    u256_eq,
    u256_from_double,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_sub,
    u256_to_double,
)

cdef uint32_t MAX_STEPS = 96
cdef uint32_t REFINE_STEPS = 6
cdef uint32_t SECANT_STEPS = 32      # after these, plain bisection
# Of the distance between the margin and the optimum; profit falls short by its square.
cdef double COARSE = 1e-5
cdef double FINE = 0.5               # of pace.enough: what the finish still climbs for


cdef int chain_quote(const pool_state **pools, const swap_way *ways, uint32_t n,
                     const u256 *amount_in, u256 *amounts) noexcept nogil:
    """Quotes n swaps one after another, exact in: amounts[0..n] receive the amounts along the way.

    Returns 0, or -1 where a pool refuses or cannot take all of its input.
    """
    cdef double prices[CYCLE_HOPS]
    return 0 if run_chain(pools, ways, n, amount_in, amounts, prices) == CHAIN_OK else -1


# ---- climbing ----

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


cdef void distrust(bracket *b, double x, double g) noexcept nogil:
    """Opens an end of a survey's bracket, which no quote has seen, where a quote next to it says that
    the peak lies beyond it."""
    if g < 0.0 and x > 0.99 * b.high:
        b.high = b.g_high = INFINITY
    elif g > 0.0 and b.low > 0.0 and x < 1.01 * b.low:
        b.low, b.g_low = 0.0, -b.scale


cdef void compose_chain(const pool_state **pools, const swap_way *ways, uint32_t n,
                        virtual_pool *stand_in, virtual_pool *whole) noexcept nogil:
    """Swaps as through constant products, each in stand_in[0..n), and as one, as the scan has it."""
    cdef virtual_pool deepest
    cdef uint32_t i
    for i in range(n):
        virtual_of(pools[i], ways[i], &stand_in[i], &deepest)
    compose(stand_in, n, whole)


cdef bint is_plain(const cycle *c) noexcept nogil:
    """Whether the cycle's price at no input is that of its constant products, and falls from there."""
    cdef uint32_t i
    for i in range(c.n):
        if c.pools[i].kind > POOL_UNISWAP_V4:
            return False
    return True


cdef int climb(cycle *c, double tolerance, const virtual_pool *whole) noexcept nogil:
    """Secant steps on the cycle's price from where the closed form has its best input, exact quotes all.

    Returns 0, 1 where no input pays, -1 where every input tried was refused. `whole`: the cycle's swaps
    as one, NULL where that is not at hand.
    """
    cdef double limit = u256_to_double(c.cap), margin = 1.0, most = 1.0
    cdef double x, g, slope, gain, unused
    cdef virtual_pool stand_in[CYCLE_HOPS]
    cdef virtual_pool composed
    cdef bracket b
    cdef point known
    cdef u256 amount
    cdef uint32_t step, i, served = 0, odd = 0
    cdef int status
    cdef bint rises = False, costly = False, surveyed = False
    if whole != NULL and whole.reserve_in > 0.0 and is_plain(c):
        margin = most = whole.reserve_out / whole.reserve_in
    else:
        whole = NULL
        for i in range(c.n):
            known.amount[i] = known.amount[i + 1] = 0.0
            known.slope[i] = pool_marginal_price(c.pools[i], c.ways[i].token_in,
                                                 c.ways[i].token_out)
            margin *= known.slope[i]
            most *= pool_price_bound(c.pools[i], c.ways[i].token_in, c.ways[i].token_out)
            rises |= pool_price_can_rise(c.pools[i], c.ways[i].token_in, c.ways[i].token_out)
            costly |= is_costly(c.pools[i])
    if not most > c.target:
        return 1
    if rises or not margin > c.target:
        status = survey(c, &known, &b)
        if status != 0:
            return status
        x = next_guess(&b, 0)
        surveyed = True
    else:
        start_bracket(&b, bent(margin, c.target))
        if whole == NULL:
            compose_chain(c.pools, c.ways, c.n, stand_in, &composed)
            whole = &composed
        x = closed_form(whole, c.target, &unused)
    for step in range(MAX_STEPS):
        if costly and step < FORESEEN:
            x = foresee(c, &b, &known, x, tolerance)
        x = fmin(fmax(x, 1.0), limit)
        if u256_from_double(&amount, x) != 0:
            return -1
        if x >= limit or u256_lt(c.cap, &amount):
            amount = c.cap[0]
        status = try_amount(c, &amount, &slope)
        if status == CHAIN_ODD and odd < 3:  # this very amount: the next one may do
            odd += 1
            x += fmax(1.0, 1e-9 * x)
            continue
        if status == CHAIN_TOO_LITTLE:
            g = -b.scale
        elif status != CHAIN_OK:
            g = INFINITY
        else:
            served += 1
            g = bent(slope, c.target)
        if fabs(g) <= tolerance * b.scale:
            # what the curve still promises, as `refine` has it: no finish in a hurry goes for less
            gain = 0.5 * fabs(slope - c.target) * x * fabs(g) / b.scale
            c.best.finished = u256_eq(&c.best.amount[0], &amount) \
                and gain <= FINE * HURRIED_ENOUGH * u256_to_double(&c.best.profit)
            break
        if g < 0.0 and x >= limit:
            break
        if surveyed:
            distrust(&b, x, g)
        narrow(&b, x, g)
        if b.high < INFINITY and b.high - b.low <= fmax(1.0, 1e-15 * b.high):
            break
        x = next_guess(&b, step)
        if costly and status == CHAIN_OK and u256_eq(&c.best.amount[0], &amount):
            best_point(c, &known)
    if served == 0:
        return -1
    return 1 if u256_is_zero(&c.best.profit) else 0


cdef inline void begin(cycle *c, const pool_state **pools, const swap_way *ways, uint32_t n,
                const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil:
    c.pools, c.ways, c.n, c.fee, c.cap, c.best = pools, ways, n, fee, cap, best
    c.target = 1.0 + fee.rate
    c.most = INFINITY
    c.cost = 0.0
    c.pace.enough, c.pace.enough_units, c.pace.left = ENOUGH, ENOUGH_UNITS, INFINITY


cdef inline double look_ahead(cycle *c, const v2_hop *hops) noexcept nogil:
    """The best input of a chain of V2 pairs in closed form; fills c.most, of such inputs only."""
    cdef double x = v2_chain_best(hops, c.n, c.target, c.cap, &c.most)
    if c.fee.half_up:
        c.most += 0.5  # by which the lender may round down
    return x


cdef inline int size_pairs(cycle *c, const v2_hop *hops) noexcept nogil:
    """size_cycle for V2 pairs: 0 or 1, or -1 where the closed form's input is refused.

    The amounts are written where they stay: a copy would wait for what was just written.
    """
    cdef u256 cost
    cdef u256 *amounts = c.best.amount
    cdef double x = look_ahead(c, hops)
    cdef uint32_t i
    if c.most < 1.0:
        return 1
    c.best.quotes += c.n
    for i in range(c.n):
        c.best.price_after[i] = 0.0
    if not v2_chain_run(hops, c.n, v2_chain_amount(x, c.cap), amounts) \
            or lender_fee_of(c.fee, &amounts[0], &cost) != 0 \
            or u256_add(&cost, &cost, &amounts[0]) != 0 \
            or not u256_lt(&cost, &amounts[c.n]):
        return -1
    u256_sub(&c.best.profit, &amounts[c.n], &cost)
    c.best.finished = certain(c)
    return 0


cdef int size_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                    const lender_fee *fee, const u256 *cap, bint hurried,
                    const virtual_pool *whole, sized_cycle *best) noexcept nogil:
    """An input in [1, cap] whose exact profit is within 1e-9 of the largest, for ranking.

    Less near where a unit of some token on the way is worth more than that. Returns 0 with `best`
    filled, 1 where no input pays, -1 where every input tried was refused. `whole`: as in climb.
    """
    cdef cycle c
    cdef v2_hop hops[CYCLE_HOPS]
    cdef int status = -1
    begin(&c, pools, ways, n, fee, cap, best)
    u256_from_u64(&best.profit, 0)
    best.quotes = 0
    best.finished = False
    if v2_chain_load(hops, pools, ways, n):
        status = size_pairs(&c, hops)
    if status < 0:
        status = climb(&c, COARSE, whole)
        best.finished = best.finished and hurried and is_plain(&c) and units_are_little(&c)
        if u256_is_zero(&best.profit) and rescue(&c, hurried):
            status = 0
    return status


cdef bint rescue(cycle *c, bint hurried) noexcept nogil:
    """Looks for a profit on the stairs where the curve has one and no input tried did: where a
    unit of some token on the way is worth as much."""
    cdef virtual_pool stand_in[CYCLE_HOPS]
    cdef virtual_pool whole
    cdef tangent at
    cdef double x, profit, amount, coarsest = 1.0
    cdef uint32_t i
    compose_chain(c.pools, c.ways, c.n, stand_in, &whole)
    x = closed_form(&whole, c.target, &profit)
    x = fmin(x, u256_to_double(c.cap))
    amount = x
    for i in range(c.n):
        if u256_from_double(&c.best.amount[i], amount) != 0:
            return False
        c.best.price_after[i] = 0.0
        amount *= stand_in[i].keep
        amount *= stand_in[i].reserve_out / (stand_in[i].reserve_in + amount)
        coarsest = fmax(coarsest, x / amount if amount > 0.0 else INFINITY)
    if not profit > 0.0 or not coarsest > 0.01 * profit \
            or u256_from_double(&c.best.amount[c.n], amount) != 0:
        return False
    set_pace(c, hurried)
    tangent_of(c, &at)
    climb_stairs(c, &at, x, 2.0 * profit / (x * x))
    return not u256_is_zero(&c.best.profit)


cdef int finish_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                      const lender_fee *fee, const u256 *cap, bint hurried,
                      sized_cycle *best) noexcept nogil:
    """Takes what size_cycle found, of which it needs amounts, prices and profit, to the integer optimum.

    Up to 1e-9 of the profit, and where a unit is more than that, to the unit unless the noise of
    two coarse tokens takes more quotes than are spent on it. Where it is hurried, for some
    microseconds: up to 1e-9, and a unit of each token on the way and one more of each that a fee
    or an amount in between is rounded to. Returns 0; `best` never gets worse.
    """
    cdef cycle c
    cdef v2_hop hops[CYCLE_HOPS]
    cdef tangent at
    cdef double x, bend
    cdef uint32_t quotes = best.quotes
    begin(&c, pools, ways, n, fee, cap, best)
    if u256_is_zero(&best.profit):
        return 1
    if v2_chain_load(hops, pools, ways, n):
        x = look_ahead(&c, hops)
        if certain(&c):
            return 0
    set_pace(&c, hurried)
    if c.pace.left < c.cost:
        return 0
    tangent_of(&c, &at)
    x = refine(&c, &at, &bend)
    if best.quotes != quotes:
        tangent_of(&c, &at)
    climb_stairs(&c, &at, x, bend)
    return 0


cdef void polish_cycle(const pool_state **pools, const swap_way *ways, uint32_t n,
                       const lender_fee *fee, const u256 *cap, sized_cycle *best) noexcept nogil:
    """After finish_cycle, a look at some hundred neighbours: for answers that nobody waits for."""
    cdef cycle c
    begin(&c, pools, ways, n, fee, cap, best)
    set_pace(&c, False)
    polish(&c)


cdef double refine(cycle *c, const tangent *at, double *bend) noexcept nogil:
    """Where the curve itself peaks, by the secant from the best input so far; `bend`: how fast the
    cycle's price falls there. Quotes on the way as long as the curve promises more than FINE."""
    cdef double slope = 1.0, margin = 1.0, x, g, x_before = 0.0, g_before, x_next, gain, slope_next
    cdef double limit = u256_to_double(c.cap), profit
    cdef u256 amount
    cdef uint32_t i, step
    for i in range(c.n):
        slope *= at.slope[i]
        margin *= pool_marginal_price(c.pools[i], c.ways[i].token_in, c.ways[i].token_out)
    x = u256_to_double(&c.best.amount[0])
    g = bent(slope, c.target)
    g_before = bent(margin, c.target) if margin > c.target else -1e-3
    bend[0] = 2.0 * c.target * fabs(g_before) / x
    for step in range(REFINE_STEPS):
        if not g < INFINITY or g == g_before:
            return x
        x_next = x - g * (x - x_before) / (g - g_before)
        if not 0.5 * x < x_next < 2.0 * x:  # off the curve: the end of a V3 pool, or of the cap
            return x
        x_next = fmin(x_next, limit)
        bend[0] = 2.0 * c.target * fabs((g - g_before) / (x - x_before))
        gain = 0.5 * fabs((slope - c.target) * (x_next - x))
        profit = u256_to_double(&c.best.profit)
        if gain <= FINE * c.pace.enough * profit or x_next == x or c.pace.left < c.cost:
            return x_next
        if u256_from_double(&amount, fmax(x_next, 1.0)) != 0 \
                or try_amount(c, &amount, &slope_next) != CHAIN_OK:
            return x
        x_before, g_before = x, g
        x, slope = x_next, slope_next
        g = bent(slope, c.target)
    return x


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


cdef uint32_t load_chain(const pool_state **states, swap_way *way, list pools, list ways) except 0:
    """The pools' states and ways, and how many they are."""
    cdef uint32_t n = len(pools), i
    cdef int token_in, token_out
    cdef Pool pool
    if not 2 <= n <= CYCLE_HOPS or len(ways) != n:
        raise ValueError(f"pools: expected 2 to {CYCLE_HOPS} and as many ways, "
                         f"was {n} and {len(ways)}")
    for i in range(n):
        pool = <Pool?>pools[i]
        pool._tokens(&token_in, &token_out, ways[i][0], ways[i][1])
        states[i] = &pool.state
        way[i].token_in, way[i].token_out = <uint8_t>token_in, <uint8_t>token_out
    return n


def size(list pools, list ways, *, cap=(1 << 255) - 1, lender=(0, 0, False), bint hurried=False):
    """The input in [1, cap] at which swapping through 2-4 `Pool`s in a row pays most.

    `ways` are (token_in, token_out), indices into each pool's own tokens. `lender` is (numerator,
    denominator, half_up): its fee, rounded up unless half_up; denominator 0 for none. `hurried` as
    the search does where a transaction is waiting: units of the tokens on the way may be missed.
    Returns (amounts, profit, quotes): the amount into each pool and out of the last, what is left of
    that after input and fee, and the exact quotes it took. None where no input pays or every pool
    refuses.
    """
    cdef const pool_state *states[CYCLE_HOPS]
    cdef swap_way way[CYCLE_HOPS]
    cdef lender_fee fee
    cdef u256 most
    cdef virtual_pool stand_in[CYCLE_HOPS]
    cdef virtual_pool whole
    cdef sized_cycle best
    cdef uint32_t n = load_chain(states, way, pools, ways), i
    lender_from(&fee, lender)
    u256_from_pyint(&most, cap)
    compose_chain(states, way, n, stand_in, &whole)
    if u256_is_zero(&most)  \
            or size_cycle(states, way, n, &fee, &most, hurried, &whole if hurried else NULL,
                          &best) != 0:
        return None
    if not best.finished or not hurried:
        finish_cycle(states, way, n, &fee, &most, hurried, &best)
    return ([u256_to_pyint(&best.amount[i]) for i in range(n + 1)], u256_to_pyint(&best.profit),
            best.quotes)


def virtual_pools(Pool pool, token_in, token_out=None):
    """The two constant-product pools of virtual_of, as (reserve_in, reserve_out, keep) each."""
    cdef virtual_pool now, deepest
    cdef swap_way way
    cdef int i, j
    pool._tokens(&i, &j, token_in, token_out)
    way.token_in, way.token_out = <uint8_t>i, <uint8_t>j
    virtual_of(&pool.state, way, &now, &deepest)
    return ((now.reserve_in, now.reserve_out, now.keep),
            (deepest.reserve_in, deepest.reserve_out, deepest.keep))


def time_sizes(list pools, list ways, count, *, bint finish=True, bint hurried=False):
    """CPU seconds that `count` equal sizings take in a C loop, with the integer finish or without:
    for benches."""
    cdef const pool_state *states[CYCLE_HOPS]
    cdef swap_way way[CYCLE_HOPS]
    cdef lender_fee fee
    cdef u256 most
    cdef virtual_pool stand_in[CYCLE_HOPS]
    cdef virtual_pool whole
    cdef sized_cycle best
    cdef uint32_t n = load_chain(states, way, pools, ways)
    cdef long k, times = count
    cdef clock_t start
    memset(&fee, 0, sizeof(fee))
    u256_from_pyint(&most, (1 << 255) - 1)
    with nogil:
        compose_chain(states, way, n, stand_in, &whole)
        start = clock()
        for k in range(times):
            if size_cycle(states, way, n, &fee, &most, hurried, &whole if hurried else NULL,
                          &best) == 0 and finish and not (hurried and best.finished):
                finish_cycle(states, way, n, &fee, &most, hurried, &best)
        start = clock() - start
    return <double>start / CLOCKS_PER_SEC
