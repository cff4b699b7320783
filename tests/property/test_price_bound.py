"""What pools say of their prices: the bound on every swap's average, and the slope at its end."""

import math
from random import Random

import pytest

from mevfast._pool import Pool, Quote
from mevfast._size import virtual_pools
from tests.any_cycle import MAKERS

RELATIVE = 1e-12
POOLS, SWAPS = 300, 8
NEAR_LOG = 0.0999


def random_pool(name: str, random: Random) -> tuple[Pool, tuple[int, int], float]:
    """A pool of some decimals and price, and the raw depth of its token in."""
    d_in, d_out = random.choice([2, 6, 8, 18]), random.choice([2, 6, 8, 18])
    depth = 10 ** random.uniform(3, 9) * 10**d_in
    price = 10 ** random.uniform(-6, 6) * 10.0 ** (d_out - d_in)
    pool, way = MAKERS[name](random, price, depth, d_in, d_out)
    return pool, way, depth


def rounding(pool: Pool, way: tuple[int, int], bound: float) -> float:
    """By how many units of output a swap may beat the bound, because contracts round.

    None do in V2, V3, Camelot's volatile pairs and Balancer: all rounding is against the trader.
    Solidly and stable Camelot round their fee down to a unit of input. StableSwap's invariant is
    known to a few units of 18 decimals. CryptoSwap's is to 1e-16 of itself.
    """
    fields = pool.fields()
    if pool.kind == "solidly" or (pool.kind == "camelot_v2" and fields["stable"]):
        return bound + 1
    if pool.kind.startswith("curve_stable"):
        least = min(fields["rates"][way[0]], fields["rates"][way[1]])
        return 8e18 / fields["rates"][way[1]] + 1 if least else 0.0
    if pool.kind.startswith("curve_t"):
        return 1e-16 * fields["balances"][way[1]] + 1
    return 0.0


@pytest.mark.parametrize("name", MAKERS)
def test_no_swap_pays_more_than_the_bound(name: str) -> None:
    random = Random(f"bound {name}")
    quoted = 0
    for _ in range(POOLS):
        pool, way, depth = random_pool(name, random)
        bound = pool.price_bound(*way)
        for _ in range(SWAPS):
            amount = max(int(depth * 10 ** random.uniform(random.choice([-25, -4]), 0.5)), 1)
            quote = pool.quote(way[0], amount, token_out=way[1])
            if not isinstance(quote, Quote):
                continue
            quoted += 1
            most = bound * quote.amount_in * (1 + RELATIVE)
            assert quote.amount_out <= most + rounding(pool, way, bound), (pool.fields(), quote)
    assert quoted > POOLS


@pytest.mark.parametrize("name", MAKERS)
def test_the_bound_is_the_marginal_price_unless_the_fee_falls(name: str) -> None:
    random = Random(f"same {name}")
    for _ in range(POOLS):
        pool, way, _ = random_pool(name, random)
        price, bound = pool.marginal_price(*way), pool.price_bound(*way)
        fields = pool.fields()
        if "offpeg_fee_multiplier" in fields or "mid_fee" in fields:
            fee = fields.get("out_fee", 0) + fields.get("fee", 0) * max(
                fields.get("offpeg_fee_multiplier", 0) / 1e10, 1
            )
            assert price <= bound * (1 + RELATIVE)
            assert price >= bound * (1 - fee / 1e10) * (1 - 1e-9)
        elif price > 0:
            assert bound == price
        else:
            assert "sqrt_price_x96" in fields  # no liquidity at the price: there may be some ahead
            assert bound > 0


def paid(virtual: tuple[float, float, float], amount: int) -> float:
    reserve_in, reserve_out, keep = virtual
    return reserve_out * keep * amount / (reserve_in + keep * amount)


@pytest.mark.parametrize("name", MAKERS)
def test_constant_product_stand_ins_estimate_and_bound(name: str) -> None:
    """The first has the pool's price; the second pays as much while the price moves by NEAR_LOG."""
    random = Random(f"virtual {name}")
    bounded = 0
    for _ in range(POOLS):
        pool, way, depth = random_pool(name, random)
        price = pool.marginal_price(*way)
        now, deepest = virtual_pools(pool, *way)
        if price > 0:
            assert now[1] * now[2] / now[0] == pytest.approx(price, rel=1e-9)
        for _ in range(SWAPS):
            amount = max(int(depth * 10 ** random.uniform(-4, 0)), 1)
            quote = pool.quote(way[0], amount, token_out=way[1])
            if not isinstance(quote, Quote) or quote.amount_in < amount or deepest[0] == 0:
                continue
            slope = pool.slope(way[0], amount, way[1])
            if slope <= 0 or price <= 0 or math.log(price / slope) > NEAR_LOG:
                continue
            most = paid(deepest, amount) * (1 + RELATIVE) + rounding(pool, way, price)
            assert quote.amount_out <= most, (pool.fields(), quote, deepest)
            bounded += 1
    known = ("v2", "v3", "v4", "algebra", "volatile", "weighted")
    assert (bounded > POOLS) == any(word in name for word in known)


@pytest.mark.parametrize("name", MAKERS)
def test_the_slope_is_what_the_last_unit_adds(name: str) -> None:
    """Against five quotes, where a unit is too little to matter."""
    random = Random(f"slope {name}")
    # moving fees are rounded to 1e-10 of the output, which the difference of quotes sees
    error = 1e-4 if name in ("curve ng", "twocrypto", "tricrypto") else 1e-8
    compared = 0
    for _ in range(POOLS):
        depth = 10.0**24
        pool, way = MAKERS[name](random, 10 ** random.uniform(-2, 2), depth, 18, 18)
        amount = int(depth * 10 ** random.uniform(-4, -0.5))
        step = amount >> 11
        quotes = [
            pool.quote(way[0], amount + k * step, token_out=way[1]) for k in (-2, -1, 0, 1, 2)
        ]
        outs = [quote.amount_out for quote in quotes if isinstance(quote, Quote)]
        taken = [quote.amount_in for quote in quotes if isinstance(quote, Quote)]
        if len(outs) < 5 or taken[4] != amount + 2 * step:
            continue
        if "ticks" in (fields := pool.fields()):  # not across a tick
            ends = [quote.after["liquidity"] for quote in quotes if isinstance(quote, Quote)]
            if len(set(ends)) > 1 or fields["liquidity"] == 0:
                continue
        slope = (8 * (outs[3] - outs[1]) - (outs[4] - outs[0])) / (12 * step)
        assert pool.slope(way[0], amount, way[1]) == pytest.approx(slope, rel=error)
        compared += 1
    assert compared > POOLS // 10
