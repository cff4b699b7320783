"""Seeded random markets: V2 and V3 pools around common prices, and their way into a Search."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from mevfast._cache import Table
from mevfast._search import Search
from tests.frames import address
from tests.oracle import univ3

Pool = dict[str, Any]


def token(number: int) -> bytes:
    return address(1_000_000 + number)


def pool_address(number: int) -> bytes:
    return address(2_000_000 + number)


def v2_pool(tokens: tuple[int, int], price: float, depth: float, fee_pips: int) -> Pool:
    """`price` is token1 per token0, `depth` the geometric mean of the reserves."""
    root = math.sqrt(price)
    return {
        "kind": "uniswap_v2",
        "tokens": tokens,
        "reserve0": max(int(depth / root), 1000),
        "reserve1": max(int(depth * root), 1000),
        "fee_pips": fee_pips,
    }


def v3_pool(
    tokens: tuple[int, int],
    price: float,
    positions: Sequence[tuple[int, int, int]],
    fee_pips: int,
    spacing: int,
) -> Pool:
    """`positions`: (lower, upper, liquidity), bounds in spacings from the price's tick."""
    sqrt_price_x96 = int(math.sqrt(price) * 2**96)
    tick = univ3.tick_at_sqrt_ratio(sqrt_price_x96)
    gross: dict[int, int] = {}
    net: dict[int, int] = {}
    liquidity = 0
    for lower, upper, amount in positions:
        bounds = [(tick // spacing + bound) * spacing for bound in (lower, upper)]
        if bounds[0] <= tick < bounds[1]:
            liquidity += amount
        for bound, sign in zip(bounds, (1, -1), strict=True):
            gross[bound] = gross.get(bound, 0) + amount
            net[bound] = net.get(bound, 0) + sign * amount
    return {
        "kind": "uniswap_v3",
        "tokens": tokens,
        "sqrt_price_x96": sqrt_price_x96,
        "tick": tick,
        "liquidity": liquidity,
        "tick_spacing": spacing,
        "fee_pips": fee_pips,
        "ticks": [(t, gross[t], net[t]) for t in sorted(gross)],
    }


def random_market(seed: int, *, noise: float, n_pools: int | None = None) -> list[Pool]:
    """6-20 pools over 3-6 tokens; each pool's price is off the common one by up to `noise`."""
    random = Random(seed)
    n_tokens = random.randint(3, 6)
    worth = [1.0] + [10 ** random.uniform(-4, 4) for _ in range(n_tokens - 1)]
    pools: list[Pool] = []
    for _ in range(n_pools or random.randint(6, 20)):
        a, b = sorted(random.sample(range(n_tokens), 2))
        price = worth[a] / worth[b] * (1 + random.uniform(-noise, noise))
        depth = 10 ** random.uniform(19, 23)
        if random.random() < 0.5:
            pools.append(v2_pool((a, b), price, depth, random.choice([2500, 3000])))
            continue
        fee_pips, spacing = random.choice([(100, 1), (500, 10), (3000, 60)])
        positions = [(-60, 60, int(depth))]
        for _ in range(random.randint(0, 4)):
            lower = random.randint(-40, 30)
            upper = lower + random.randint(1, 10)
            positions.append((lower, upper, int(depth * 10 ** random.uniform(-1, 1))))
        pools.append(v3_pool((a, b), price, positions, fee_pips, spacing))
    return pools


def pool_id(number: int, kind: str) -> bytes:
    """Its address, or 32 bytes that begin with it where the pool lives in a singleton."""
    in_singleton = kind == "uniswap_v4" or kind.startswith("balancer")
    return pool_address(number) + (address(1)[:12] if in_singleton else b"")


def search_of(
    pools: Sequence[Pool], starts: Sequence[int] = (0,), order: Sequence[int] | None = None
) -> Search:
    """The market in a table and graph; pool i is at pool_address(i) whatever the order."""
    table = Table(len(pools) + 1, 1 << 14)
    search = Search(table, [token(start) for start in starts], token(0))
    for i in order if order is not None else range(len(pools)):
        kind, numbers = pools[i]["kind"], pools[i]["tokens"]
        tokens = [token(number) for number in numbers]
        search.add_pool(table.put(pool_id(i, kind), kind, tokens, pools[i], 1))
    return search
