"""From nearly the best input to the integer optimum.

Each pool rounds down to a unit of what it pays, so profit is a staircase in the input. Its treads
are as wide as a unit of the coarsest token on the way: one of USDC's is 1e12 of DAI's, and what
is put in beyond the least input for an amount of USDC is lost. So the amounts of the coarsest token
are what is chosen from, each at its least input. Where another token on the way is coarse as well,
its rounding is a noise over these amounts, larger than how much the curve itself differs between
them, and many of them are looked at: neighbours, then all over the width on which the curve falls
by less than the noise, then closer and closer about the best.

Where a transaction is waiting, only what gains most for its quotes is tried, as long as there is
time: the least input for the amount at which the curve peaks, which is worth up to a unit, and the
amounts of which a fee's rounding takes least, worth up to another; then neighbours.
"""

from libc.math cimport INFINITY, ceil, fabs, floor, fmax, fmin, sqrt
from libc.stdint cimport uint32_t

from mevfast._chain cimport (
    CYCLE_HOPS,
    count_costs,
    cycle,
    has_exact_out,
    least_input,
    tangent,
    tangent_of,
    try_amount,
)
from mevfast._pool cimport pool_input_fee, pool_rounds_output_fee
from mevfast.types cimport (
    POOL_CURVE_TRICRYPTO_NG,
    POOL_CURVE_TWOCRYPTO_NG,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    POOL_UNISWAP_V4,
    pool_state,
)
from mevfast.u256 cimport (
    u256,
    u256_add_u64,
    u256_eq,
    u256_from_double,
    u256_is_zero,
    u256_lt,
    u256_sub_u64,
    u256_to_double,
)

cdef enum:
    MOST_CLIMBED = 16      # neighbours one after another that each pay more
    POLISHED = 64          # neighbours on either side, where there is time
    MOST_SPREAD = 512      # amounts looked at over the width of the noise
    EFFORT = 80_000        # ns: and no more of them than cost as much
    INVERSE_QUOTES = 6     # about what the least input costs without exact output
cdef double ENOUGH = 2e-11           # as in pace
cdef double ENOUGH_UNITS = 1e-3
cdef double HURRIED_ENOUGH = 4e-10
cdef double HURRIED_UNITS = 0.5
# ns of quotes for the finish where a transaction is waiting: with the climb before it, a cycle of
# V2, V3 and V4 pools is to take 5 us, and 25 us with any other curve.
cdef double PAIRS_LEFT = 1500.0
cdef double CURVES_LEFT = 12_000.0
cdef double CRYPTO_LEFT = 7600.0     # one quote: its climb takes about another
cdef double LARGE_PROFIT = 1e9
cdef double FEE_UNIT = 1e-10        # in which fees that move are rounded down
cdef double FEE_SHORT = 1e-3        # of such a unit: how near below the next one a fee is aimed at
cdef double GOLDEN = 0.6180339887498949
cdef double LEAST_SHORT = 1e-8      # of an input: by how much exact out may miss the least one


cdef bint is_costly(const pool_state *s) noexcept nogil:
    """Whether a quote of its costs as much as many slopes."""
    return s.kind == POOL_CURVE_TRICRYPTO_NG or s.kind == POOL_CURVE_TWOCRYPTO_NG


cdef void set_pace(cycle *c, bint hurried) noexcept nogil:
    """How far the finish goes, and from here on how long it takes."""
    cdef uint32_t i
    count_costs(c)
    c.pace.enough = HURRIED_ENOUGH if hurried else ENOUGH
    c.pace.enough_units = HURRIED_UNITS if hurried else ENOUGH_UNITS
    if not hurried:
        return
    c.pace.left = PAIRS_LEFT
    for i in range(c.n):
        if is_costly(c.pools[i]):
            c.pace.left = CRYPTO_LEFT
            return
        if c.pools[i].kind > POOL_UNISWAP_V4:
            c.pace.left = CURVES_LEFT


cdef bint certain(const cycle *c) noexcept nogil:
    """Whether no input can pay more than the best so far by what matters."""
    cdef double profit = u256_to_double(&c.best.profit)
    return c.most - profit <= c.pace.enough * profit or profit >= floor(c.most)


cdef bint units_are_little(const cycle *c) noexcept nogil:
    """Whether all that is lost to rounding on the way is too little to be looked for in a hurry.

    A unit of a token on the way is worth no more than what all of them bring, by their number.
    """
    cdef double profit = u256_to_double(&c.best.profit), noise = 1.0
    cdef uint32_t i
    for i in range(c.n):
        noise += u256_to_double(&c.best.amount[c.n]) / u256_to_double(&c.best.amount[i])
    return profit >= LARGE_PROFIT and noise <= HURRIED_ENOUGH * profit


cdef bint done(const cycle *c) noexcept nogil:
    """Whether no more is to be looked for, or there is no time to."""
    return c.pace.left < c.cost or certain(c)


cdef struct stair:
    uint32_t place                # whose token is the coarsest, 0 to n - 1
    const tangent *at             # where it was climbed from
    double tolerance              # of least inputs, units of the cycle's token
    double fee                    # share of the place's amount that its pool rounds to a unit,
    bint up                       # up or down; 0 where it does not
    bint crosses                  # where it does so is not known beforehand:
    double phase                  # so far from where it does for an amount as a whole


cdef double snapped(const stair *s, double amount) noexcept nogil:
    """The amount near this one of which the pool's fee takes the least share for its rounding."""
    cdef double due
    if s.fee <= 0.0:
        return amount
    due = fmax(floor((amount - s.phase) * s.fee + 0.5), 1.0)
    return (floor(due / s.fee) if s.up else ceil(due / s.fee) - 1.0) + s.phase


cdef bint step_to(cycle *c, const stair *s, double amount) noexcept nogil:
    """Tries the least input that brings `amount` to the place: whether it pays more."""
    cdef u256 want, x, before = c.best.profit
    if not amount >= 1.0 or u256_from_double(&want, amount) != 0:
        return False
    if s.place == 0:
        x = want
    elif least_input(c, s.place, &want, s.tolerance, s.at.slope, &x) != 0:
        return False
    if u256_is_zero(&x) or u256_eq(&x, &c.best.amount[0]):
        return False
    try_amount(c, &x, NULL)
    return u256_lt(&before, &c.best.profit)


cdef void climb_neighbours(cycle *c, const stair *s, double base) noexcept nogil:
    """An amount itself, then up, then down, as long as it pays more."""
    cdef double way
    cdef uint32_t i
    step_to(c, s, base)
    for way in (1.0, -1.0):
        for i in range(1, MOST_CLIMBED + 1):
            if done(c) or not (step_to(c, s, base + way * i) or i == 1):
                break


cdef void climb_fee_stair(cycle *c, stair *s, double base, double bend) noexcept nogil:
    """The amounts near whose rounded fee takes least. V3 rounds it for every range by itself, and
    CryptoSwap that of an output before the fee is off: there they are found by halving.

    Between them the rounded fee stays the same: where they are far apart, profit peaks before the
    next one, at the amount whose last unit pays without a fee. `bend` is by units of the place.
    """
    cdef double step = ceil(0.5 / s.fee), here = s.fee * c.target / bend
    if 1.0 <= here < 1.0 / s.fee:
        climb_neighbours(c, s, floor(base + here))
    climb_neighbours(c, s, snapped(s, base))
    if not done(c):
        climb_neighbours(c, s, snapped(s, base + 1.0 / s.fee))
    while s.crosses and step >= 1.0 and not done(c):
        here = u256_to_double(&c.best.amount[s.place])
        if not step_to(c, s, here + step):
            step_to(c, s, here - step)
        step = ceil(0.5 * step) if step > 1.0 else 0.0
    here = u256_to_double(&c.best.amount[s.place])
    s.phase = here - snapped(s, here)


cdef void search_noise(cycle *c, const stair *s, double base, double width,
                       uint32_t most) noexcept nogil:
    """Evenly over the width, then closer and closer about the best."""
    cdef double t = 0.5, step, here
    cdef double least = 1.0 / s.fee if s.fee > 0.0 else 1.0
    cdef uint32_t i
    for i in range(most):
        if done(c):
            return
        t += GOLDEN
        t -= floor(t)
        step_to(c, s, snapped(s, floor(base + width * (2.0 * t - 1.0))))
    step = 0.5 * width
    while step >= least and not done(c):
        here = u256_to_double(&c.best.amount[s.place])
        if not (step_to(c, s, snapped(s, floor(here + step)))
                or step_to(c, s, snapped(s, floor(here - step)))):
            step *= 0.5


cdef void take_least(cycle *c, const stair *s) noexcept nogil:
    """The least input for what the best one pays."""
    cdef u256 x
    if least_input(c, c.n, &c.best.amount[c.n], s.tolerance, s.at.slope, &x) == 0 \
            and not u256_is_zero(&x) and u256_lt(&x, &c.best.amount[0]):
        try_amount(c, &x, NULL)


cdef double candidate_cost(const cycle *c, uint32_t place) noexcept nogil:
    """ns of the least input that brings an amount to the place, and of its quotes, about."""
    cdef double cost = c.cost
    cdef uint32_t i
    for i in range(place):
        if c.pools[i].kind == POOL_UNISWAP_V2:
            cost += c.quote_cost[i]
        else:
            cost += (2.0 if has_exact_out(c.pools[i]) else INVERSE_QUOTES) * c.quote_cost[i]
    return cost


cdef double climb_fees(cycle *c, const tangent *at, double target_x, double bend,
                       double enough) noexcept nogil:
    """Tries the best inputs near target_x for a moving fee as it is rounded, down to 1e-10.

    While the rounded fee stays the same, profit peaks a little further on in the fee's direction,
    at x_same, or at the end where the fee itself is almost a unit more. That is looked at for the
    two such stretches whose ends are about target_x. Returns what paid more, or target_x; with
    several such fees, for the one whose unit is worth most.
    """
    cdef double start = u256_to_double(&c.best.amount[0]), per_x = 1.0, worth = 1.0, lost
    cdef double most = enough, rise = 0.0, fee = 0.0, here, x, x_same, x_end, best_x = target_x
    cdef u256 amount, before
    cdef uint32_t i
    cdef int side
    for i in range(c.n):
        worth *= at.slope[i]
    for i in range(c.n):
        worth /= at.slope[i]
        lost = FEE_UNIT * u256_to_double(&c.best.amount[i + 1]) * worth
        if at.rise[i] != 0.0 and lost > most:
            most, fee, rise = lost, at.fee[i], at.rise[i] * per_x
        per_x *= at.slope[i]
    if rise == 0.0 or not fabs(rise) < INFINITY:
        return target_x
    x_same = target_x + most * rise / bend
    here = floor(fee + rise * (target_x - start))
    for side in range(2):
        x_end = start + (here + 1.0 - side - FEE_SHORT - fee) / rise
        x = x_end - (1.0 - 2.0 * FEE_SHORT) / rise
        x = fmin(fmax(x_same, fmin(x, x_end)), fmax(x, x_end))
        if not 0.5 * start < x < 2.0 * start or c.pace.left < c.cost \
                or u256_from_double(&amount, x) != 0:
            continue
        before = c.best.profit
        try_amount(c, &amount, NULL)
        if u256_lt(&before, &c.best.profit):
            best_x = x
    return best_x


cdef double find_place(const cycle *c, stair *s, double *worth) noexcept nogil:
    """The coarsest place, and what the rounding at all the places is worth together."""
    cdef double noise = 1.0
    cdef uint32_t i
    worth[c.n] = 1.0
    s.place = 0
    for i in range(c.n, 0, -1):
        worth[i - 1] = worth[i] * s.at.slope[i - 1]
        noise += worth[i - 1]
    for i in range(1, c.n):
        if worth[i] > worth[s.place]:
            s.place = i
    s.fee = pool_input_fee(c.pools[s.place], c.ways[s.place].token_in, &s.up)
    s.phase = 0.0
    s.crosses = POOL_UNISWAP_V3 <= c.pools[s.place].kind <= POOL_UNISWAP_V4
    if s.place > 0 and s.fee <= 0.0 and pool_rounds_output_fee(c.pools[s.place - 1]):
        s.fee, s.up, s.crosses = s.at.fee[s.place - 1] * FEE_UNIT, True, True
    return noise


cdef void hurry(cycle *c, const stair *s, double base) noexcept nogil:
    """What is worth a unit of the place for few quotes."""
    step_to(c, s, base)
    if s.fee > 0.0 and not done(c):
        step_to(c, s, snapped(s, base))


cdef void halve_tread(cycle *c, double tread) noexcept nogil:
    """Takes from the best input what brings no more of the coarsest token, by halves, where the least
    input is not looked for, or not quite it: each quote leaves half of what is lost."""
    cdef u256 x
    while tread >= 2.0 and not done(c):
        tread *= 0.5
        if u256_from_double(&x, u256_to_double(&c.best.amount[0]) - tread) == 0 \
                and not u256_is_zero(&x):
            try_amount(c, &x, NULL)


cdef void climb_stairs(cycle *c, const tangent *at, double target_x, double bend) noexcept nogil:
    """Makes the best input, which nearly pays most, the one that does up to what matters.

    `at`: the curve at the best amounts; `target_x` is where it peaks and `bend` how fast the cycle's price
    falls there.
    """
    cdef stair s
    cdef double worth[CYCLE_HOPS + 1]
    cdef double profit = u256_to_double(&c.best.profit), enough, per_x = 1.0, noise, width, base
    cdef uint32_t i
    cdef bint moves = False
    bend = fmax(bend, 1e-300)
    enough = c.pace.enough * profit if profit >= LARGE_PROFIT else c.pace.enough_units
    s.at = at
    noise = find_place(c, &s, worth)
    if c.pace.left < candidate_cost(c, s.place) and worth[s.place] > FEE_UNIT * target_x:
        halve_tread(c, worth[s.place])
        return
    target_x = climb_fees(c, at, target_x, bend, enough)
    if noise <= enough:
        return
    s.tolerance = 0.1 * enough
    for i in range(s.place):
        per_x *= at.slope[i]
    for i in range(c.n):
        moves = moves or at.rise[i] != 0.0
    base = floor(u256_to_double(&c.best.amount[s.place])
                 + (target_x - u256_to_double(&c.best.amount[0])) * per_x + 0.5)
    # What rounds but for the coarsest place; and the cycle's own token rounds at both ends, to the
    # same effect at the optimum, where a unit more of it in brings a unit more.
    noise -= worth[s.place] + (worth[c.n] if s.place == 0 else 0.0)
    if c.pace.left < INFINITY:
        hurry(c, &s, base)
        if done(c):
            return
    if noise <= enough and not moves and s.fee <= 0.0 and bend <= 0.2 * enough * per_x * per_x:
        step_to(c, &s, base)  # its neighbours are as good
        return
    if not done(c):
        climb_neighbours(c, &s, base)
    if s.fee > 0.0 and worth[s.place] > enough and not done(c):
        climb_fee_stair(c, &s, base, bend / per_x)
    if noise > enough and not done(c):
        width = fmin(sqrt(2.0 * noise / bend) * per_x, 0.5 * base)
        search_noise(c, &s, base, width, <uint32_t>fmin(
            fmin(noise / enough, EFFORT / candidate_cost(c, s.place)), fmin(width, MOST_SPREAD)))
    if done(c):
        return
    if s.place == 0:
        take_least(c, &s)
    elif u256_to_double(&c.best.amount[s.place]) != base:
        climb_neighbours(c, &s, u256_to_double(&c.best.amount[s.place]))


cdef void polish(cycle *c) noexcept nogil:
    """The neighbours of the best input, and the least inputs of the neighbours of what it pays.

    Each pool's rounding is a noise of some units, of which the best input may miss a few. And what
    a Balancer pool asks for an amount is more than the least input that brings it: its powers are
    rounded in its favour.
    """
    cdef tangent at
    cdef u256 paid_in = c.best.amount[0], paid_out = c.best.amount[c.n], want, x
    cdef uint32_t i, up, n = <uint32_t>fmin(POLISHED, EFFORT / candidate_cost(c, c.n))
    tangent_of(c, &at)
    for i in range(1, n + 1):
        for up in range(2):
            if up and u256_add_u64(&x, &paid_in, i) == 0 \
                    or not up and u256_sub_u64(&x, &paid_in, i) == 0:
                try_amount(c, &x, NULL)
            if (up and u256_add_u64(&want, &paid_out, i - 1) == 0
                    or not up and u256_sub_u64(&want, &paid_out, i) == 0) \
                    and least_input(c, c.n, &want, 0.01, at.slope, &x) == 0:
                try_amount(c, &x, NULL)
    halve_tread(c, LEAST_SHORT * u256_to_double(&c.best.amount[0]))
