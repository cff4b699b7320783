"""Any pool as a constant product near its price: for estimates and bounds, never for amounts.

Must not know cycles' exact quotes.
"""

from libc.math cimport fmax, fmin, sqrt
from libc.stdint cimport int32_t, uint32_t

from mevfast._chain cimport swap_way
from mevfast._pool cimport pool_marginal_price, pool_reserves, pool_slope
from mevfast.types cimport (
    POOL_BALANCER_WEIGHTED,
    POOL_CAMELOT_V2,
    POOL_SOLIDLY,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    POOL_UNISWAP_V4,
    pool_state,
    v3_state,
)
from mevfast.u256 cimport (
    i128_to_double,
    u128_to_double,
    u256,
    u256_from_double,
    u256_to_double,
)

# How far the most liquidity of a V3 pool is looked for.
cdef int32_t NEAR_TICKS = 1000
cdef double NEAR_LOG = 0.0999                    # just within: 1,000 * ln(1.0001)
# A weighted pool of weights w_in < w_out pays more than the constant product with its price and
# curvature; within NEAR_LOG not more than one this much deeper.
cdef double WEIGHTED_DEEPER = 1.02
cdef double DEPTH_STEP = 1.0 / 16.0              # of the reserves, to see how the price falls


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


cdef void virtual_of(const pool_state *s, swap_way way, virtual_pool *now,
                     virtual_pool *deepest) noexcept nogil:
    """The constant-product pool that a swap behaves as at the present price, and one that pays at
    least as much for any input which moves the price by less than NEAR_LOG.

    For V2 and volatile Solidly pairs they are the same. For V3 the second one has the most
    liquidity of any range near; for weighted pools it is a little deeper than the first. Of the
    other kinds no such bound is known: its reserve_in is 0.
    """
    cdef double liquidity, ratio
    pool_reserves(s, way.token_in, way.token_out, &now.reserve_in, &now.reserve_out)
    deepest.reserve_in = deepest.reserve_out = 0.0
    now.keep = deepest.keep = 1.0
    if s.kind == POOL_UNISWAP_V2:
        now.keep = 1.0 - s.v2.fee_pips * 1e-6
        deepest[0] = now[0]
    elif (s.kind == POOL_SOLIDLY or s.kind == POOL_CAMELOT_V2) and not s.solidly.stable:
        now.keep = 1.0 - <double>s.solidly.fee[way.token_in] / s.solidly.fee_denominator
        deepest[0] = now[0]
    elif POOL_UNISWAP_V3 <= s.kind <= POOL_UNISWAP_V4:
        now.keep = 1.0 - s.v3.fee_pips[way.token_in] * 1e-6
        liquidity = u128_to_double(s.v3.liquidity)
        deepest[0] = now[0]
        if liquidity > 0.0:
            ratio = most_liquidity(&s.v3) / liquidity
            deepest.reserve_in *= ratio
            deepest.reserve_out *= ratio
    elif s.kind == POOL_BALANCER_WEIGHTED:
        weighted_virtual(s, way, now)
        deepest[0] = now[0]
        deepest.reserve_in *= WEIGHTED_DEEPER
        deepest.reserve_out *= WEIGHTED_DEEPER
    else:
        bent_virtual(s, way, now)


cdef void weighted_virtual(const pool_state *s, swap_way way, virtual_pool *now) noexcept nogil:
    """Of the same price and curvature: Bo (1 - (1 + t)**-w) = Bo w (t - (1 + w) t**2 / 2 + ...)."""
    cdef double w = u256_to_double(&s.balancer.weight[way.token_in])
    w /= u256_to_double(&s.balancer.weight[way.token_out])
    now.keep = 1.0 - u256_to_double(&s.balancer.swap_fee) * 1e-18
    now.reserve_in *= 2.0 / (1.0 + w)
    now.reserve_out *= 2.0 * w / (1.0 + w)


cdef void bent_virtual(const pool_state *s, swap_way way, virtual_pool *now) noexcept nogil:
    """Of the same price, and of the same one after a swap of some of the reserves."""
    cdef double price = pool_marginal_price(s, way.token_in, way.token_out), x, after
    cdef u256 amount_in, amount_out
    cdef int step
    x = DEPTH_STEP * now.reserve_in
    if not price > 0.0:
        now.reserve_in = now.reserve_out = 0.0
        return
    x = fmin(x, DEPTH_STEP * now.reserve_out / price)
    after = price
    for step in range(2):
        if u256_from_double(&amount_in, x) != 0 \
                or u256_from_double(&amount_out, 0.5 * (price + after) * x) != 0:
            break
        after = pool_slope(s, way.token_in, way.token_out, &amount_in, &amount_out, price)
        if not 0.0 < after < price:
            break
    # price / after = (1 + x / reserve_in)**2; where it does not fall, as if it hardly did
    after = sqrt(price / after) - 1.0 if 0.0 < after < price else 0.0
    now.reserve_in = x / fmax(after, 1e-6)
    now.reserve_out = price * now.reserve_in


cdef void compose(const virtual_pool *pools, uint32_t n, virtual_pool *whole) noexcept nogil:
    """Swaps one after another as one through a constant product, which they are again; its reserve_in
    is 0 where one of theirs is."""
    cdef double a = 1.0, c = 0.0
    cdef uint32_t i
    whole.keep = 1.0
    whole.reserve_in = whole.reserve_out = 0.0
    for i in range(n):
        if not pools[i].reserve_in > 0.0:
            return
        # out(x) = a x / (1 + c x), composed with the next pool
        a *= pools[i].keep / pools[i].reserve_in
        c += a
        a *= pools[i].reserve_out
    if c > 0.0:
        whole.reserve_in, whole.reserve_out = 1.0 / c, a / c


cdef double closed_form(const virtual_pool *whole, double target, double *profit) noexcept nogil:
    """The best input and its profit as doubles of a cycle that `compose` made one pool of.

    Where V3 pools leave their range this is where to start looking and how to order the work,
    not a bound. 0 where nothing is to be gained.
    """
    cdef double a, x
    profit[0] = 0.0
    if not whole.reserve_out > target * whole.reserve_in or not whole.reserve_in > 0.0:
        return 0.0
    a = whole.reserve_out / whole.reserve_in
    x = (sqrt(a / target) - 1.0) * whole.reserve_in
    profit[0] = whole.reserve_out * x / (whole.reserve_in + x) - target * x
    return x
