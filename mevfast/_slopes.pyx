"""What slopes tell before whole cycles are quoted: about where profit peaks, and within what bounds.

For cycles whose price may rise before it falls, which are looked at on a grid first; and for pools of
which one quote costs as much as many slopes. Doubles all: what is found here is then quoted.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin
from libc.stdint cimport uint32_t

from mevfast._chain cimport CYCLE_HOPS, cycle, swap_way, tangent, tangent_of
from mevfast._pool cimport pool_price_bound, pool_quote_exact, pool_reserves, pool_slope
from mevfast._virtual cimport virtual_of, virtual_pool
from mevfast.types cimport POOL_UNISWAP_V4, QUOTE_OK, pool_quote, pool_state
from mevfast.u256 cimport u256, u256_eq, u256_from_double, u256_to_double

cdef uint32_t FORESEEN = 6           # secant steps by slopes alone,
cdef uint32_t STRIDES = 4            # over so many parts of the way to the first
cdef enum:
    GRID = 12                        # points of the look before a climb,
cdef double GRID_RATIO = 3.0         # each so many times the one before


cdef void start_bracket(bracket *b, double g_start) noexcept nogil:
    b.low, b.g_low, b.before, b.g_before, b.side = 0.0, g_start, 0.0, g_start, 0
    b.high = b.g_high = INFINITY
    b.scale = fabs(g_start)


cdef double widest(const cycle *c) noexcept nogil:
    """An input that is as much as some pool on the way holds, by prices that are at least paid."""
    cdef double worth = 1.0, least = INFINITY, reserve_in, reserve_out, price
    cdef virtual_pool now, deepest
    cdef uint32_t i
    for i in range(c.n):
        virtual_of(c.pools[i], c.ways[i], &now, &deepest)
        pool_reserves(c.pools[i], c.ways[i].token_in, c.ways[i].token_out, &reserve_in,
                      &reserve_out)
        reserve_in = fmax(reserve_in, deepest.reserve_in)
        price = pool_price_bound(c.pools[i], c.ways[i].token_in, c.ways[i].token_out)
        if reserve_in > 0.0 and worth > 0.0:
            least = fmin(least, reserve_in / worth)
        if price > 0.0:
            worth *= price
    return least if least < INFINITY else 1e18


cdef bint follow(const cycle *c, const point *before, point *at) noexcept nogil:
    """Fills a point whose input is given: whether all pools serve it.

    Where a quote costs much, from the point before: by the mean of the slopes there and here.
    """
    cdef const pool_state *s
    cdef swap_way way
    cdef pool_quote q
    cdef u256 amount, out
    cdef double step
    cdef uint32_t i, turn
    for i in range(c.n):
        s, way = c.pools[i], c.ways[i]
        if u256_from_double(&amount, at.amount[i]) != 0:
            return False
        if s.kind <= POOL_UNISWAP_V4:
            if pool_quote_exact(s, way.token_in, way.token_out, True, &amount, &q) != QUOTE_OK \
                    or not u256_eq(&q.amount_in, &amount):
                return False
            at.amount[i + 1] = u256_to_double(&q.amount_out)
            at.slope[i] = pool_slope(s, way.token_in, way.token_out, &amount, &q.amount_out,
                                     q.price_after)
        else:
            step = at.amount[i] - before.amount[i]
            at.slope[i] = before.slope[i]
            for turn in range(3):
                at.amount[i + 1] = before.amount[i + 1] \
                    + 0.5 * (before.slope[i] + at.slope[i]) * step
                if u256_from_double(&out, at.amount[i + 1]) != 0:
                    return False
                at.slope[i] = pool_slope(s, way.token_in, way.token_out, &amount, &out, 0.0)
        if not at.slope[i] > 0.0:
            return False
    return True


cdef void best_point(const cycle *c, point *at) noexcept nogil:
    """That of the best input so far."""
    cdef tangent here
    cdef uint32_t k
    tangent_of(c, &here)
    at.amount[0] = u256_to_double(&c.best.amount[0])
    for k in range(c.n):
        at.amount[k + 1] = u256_to_double(&c.best.amount[k + 1])
        at.slope[k] = here.slope[k]


cdef double foresee(const cycle *c, const bracket *b, const point *known, double x,
                    double tolerance) noexcept nogil:
    """Where profit peaks by the slopes alone, from a known point: a secant from x, or x itself where
    that leaves the bracket. For pools of which one quote costs as much as many slopes."""
    cdef double slope = 1.0, g, g_before, x_before = known.amount[0], x_next
    cdef point at, base = known[0]
    cdef uint32_t turn, k
    for k in range(1, STRIDES):  # what is between known amounts is not read off two slopes alone
        at.amount[0] = known.amount[0] + (x - known.amount[0]) * k / STRIDES
        if not follow(c, &base, &at):
            return x
        base = at
    for k in range(c.n):
        slope *= known.slope[k]
    g_before = bent(slope, c.target)
    for turn in range(FORESEEN):
        at.amount[0] = x
        if not follow(c, &base, &at):
            return x
        slope = 1.0
        for k in range(c.n):
            slope *= at.slope[k]
        g = bent(slope, c.target)
        if not fabs(g) > 0.1 * tolerance * b.scale or not g < INFINITY or g == g_before:
            return x
        x_next = x - g * (x - x_before) / (g - g_before)
        if not b.low < x_next < b.high or not x_next < 8.0 * x:
            return x
        x_before, g_before, x = x, g, x_next
    return x


cdef int survey(const cycle *c, const point *start, bracket *b) noexcept nogil:
    """A look at a grid of inputs, for cycles whose price need not fall from the start, at no input.

    Fills b with what lies about the grid's best point, or where none pays about the largest one
    beyond which profit still grows. Returns 0, 1 with nothing in sight, -1 where all is refused.
    """
    cdef double x[GRID]
    cdef double g[GRID]
    cdef point at, before = start[0]
    cdef double slope, profit, most = 0.0
    cdef uint32_t k
    cdef int i, best = -1, growing = -1, served = 0
    x[GRID - 1] = fmin(widest(c), u256_to_double(c.cap))
    for i in range(GRID - 2, -1, -1):
        x[i] = x[i + 1] / GRID_RATIO
    for i in range(GRID):
        g[i] = INFINITY
        at.amount[0] = x[i]
        if x[i] < 1.0 or not follow(c, &before, &at):
            continue
        before = at
        served += 1
        slope = 1.0
        for k in range(c.n):
            slope *= at.slope[k]
        g[i] = bent(slope, c.target)
        profit = at.amount[c.n] - c.target * x[i]
        if profit > most:
            best, most = i, profit
        if g[i] < 0.0:
            growing = i
    if best < 0:
        best = growing
    if best < 0:
        return 1 if served else -1
    surround(b, x, g, best)
    return 0


cdef void surround(bracket *b, const double *x, const double *g, int best) noexcept nogil:
    """The bracket about a point of the grid."""
    start_bracket(b, -fmax(fabs(g[best]), 1e-9))
    if g[best] < 0.0:
        b.low = b.before = x[best]
        if best + 1 < GRID and not g[best + 1] < 0.0:
            b.high, b.g_high = x[best + 1], g[best + 1]
        return
    b.high, b.g_high = x[best], g[best]
    if best > 0:
        b.low = b.before = x[best - 1]
        if g[best - 1] < 0.0:
            b.g_low = b.g_before = g[best - 1]
