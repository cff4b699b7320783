"""Seeded cycles through pools of every kind that pay a little, and their best size by brute force.

A hop is a Pool and its (token_in, token_out). Nothing here knows a pricing formula: sizes are
found by quotes alone, over inputs and, where a token on the way is coarse, over its amounts.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

from mevfast._pool import Pool, Quote
from tests import market
from tests.oracle import crypto

WAD = 10**18
Hop = tuple[Pool, tuple[int, int]]
Maker = Callable[[Random, float, float, int, int], Hop]
"""random, raw out per raw in before fees, raw depth of the token in, decimals in, decimals out."""


def _raw(value: float) -> int:
    return max(int(value), 1)


def uniswap_v2(random: Random, price: float, depth: float, _in: int, _out: int) -> Hop:
    way = random.choice([(0, 1), (1, 0)])
    reserves = [0, 0]
    reserves[way[0]], reserves[way[1]] = _raw(depth), _raw(depth * price)
    fields = {"reserve0": reserves[0], "reserve1": reserves[1]}
    return Pool("uniswap_v2", fields | {"fee_pips": random.choice([500, 2500, 3000])}), way


def _concentrated(kind: str) -> Maker:
    def make(random: Random, price: float, depth: float, _in: int, _out: int) -> Hop:
        way = random.choice([(0, 1), (1, 0)])
        liquidity = _raw(depth * math.sqrt(price)) * 20
        fee_pips, spacing = random.choice([(100, 1), (500, 10), (3000, 60)])
        positions = [(-8000 // spacing, 8000 // spacing, liquidity)]
        for _ in range(random.randint(0, 6)):
            lower = random.randint(-20, 15)
            share = _raw(liquidity * 10 ** random.uniform(-1, 1))
            positions.append((lower, lower + random.randint(1, 10), share))
        if random.random() < 0.2:  # a gap about the price
            positions = [(-900, -3, liquidity), (4, 900, liquidity)]
        made = market.v3_pool(
            (0, 1), price if way == (0, 1) else 1 / price, positions, fee_pips, spacing
        )
        fields = dict(made) | {"ticks": [(tick, net) for tick, _, net in made["ticks"]]}
        return Pool(kind, fields), way

    return make


def _solidly(kind: str, stable: bool) -> Maker:
    def make(random: Random, price: float, depth: float, d_in: int, d_out: int) -> Hop:
        way = random.choice([(0, 1), (1, 0)])
        reserves, decimals = [0, 0], [0, 0]
        decimals[way[0]], decimals[way[1]] = 10**d_in, 10**d_out
        if stable:  # near one to one: the price asked for is not to be had
            price = 10.0 ** (d_out - d_in) * random.uniform(0.3, 3)
        reserves[way[0]], reserves[way[1]] = _raw(depth), _raw(depth * price)
        fields = {
            "stable": stable, "reserve0": reserves[0], "reserve1": reserves[1],
            "decimals0": decimals[0], "decimals1": decimals[1],
            "fee_bps": random.choice([1, 5, 30]),
            "fee_percent": [random.choice([40, 300]), random.choice([40, 300])],
            "owner_fee_share": random.choice([0, 40_000]), "y_check": random.choice("kf"),
        }  # fmt: skip
        return Pool(kind, fields), way

    return make


def _stable_sides(
    random: Random, price: float, depth: float, n: int, tilt: float
) -> tuple[tuple[int, int], list[int], list[float]]:
    """Indices, balances, and raw worth of each coin in the token in."""
    i, j = random.sample(range(n), 2)
    worth = [1.0] * n
    worth[j] = 1 / price
    balances = [_raw(depth * tilt ** random.uniform(-1, 1) / worth[k]) for k in range(n)]
    return (i, j), balances, worth


def _curve(kind: str, shape: str | None) -> Maker:
    def make(random: Random, price: float, depth: float, d_in: int, d_out: int) -> Hop:
        n = random.choice([2, 2, 3, 4])
        way, balances, worth = _stable_sides(random, price, depth, n, random.choice([1.5, 6.0]))
        rates = [_raw(10 ** (36 - d_in) * w) for w in worth]
        fee = random.choice([10**6, 4 * 10**6])
        fields: dict[str, Any] = {"balances": balances, "rates": rates, "fee": fee}
        amp = random.choice([20, 200, 2000])
        if kind == "curve_stable_ng":
            fields["amp_precise"] = amp * 100
            fields["offpeg_fee_multiplier"] = random.choice([0, 2 * 10**10, 20 * 10**10])
        else:
            fields["amp"], fields["shape"] = amp, shape
        return Pool(kind, fields), way

    return make


def _crypto(kind: str, n: int) -> Maker:
    def make(random: Random, price: float, depth: float, d_in: int, d_out: int) -> Hop:
        way = (0, 1) if random.random() < 0.5 else (1, 0)
        decimals = [d_in if way[0] == 0 else d_out, d_out if way[0] == 0 else d_in]
        depth0 = depth if way[0] == 0 else depth * price
        ratio = price if way[0] == 0 else 1 / price  # raw coin 1 for raw coin 0
        scale = [_raw(10 ** (18 + decimals[1] - decimals[0]) / ratio)]
        balances = [_raw(depth0 * random.uniform(0.5, 2)), _raw(depth0 * ratio)]
        if n == 3:
            decimals.append(18)
            scale.append(WAD)
            balances.append(_raw(depth0 * 10.0 ** (18 - decimals[0])))
        mid, out = sorted(random.choice([10**6, 3 * 10**6, 26 * 10**6, 45 * 10**6])
                          for _ in range(2))  # fmt: skip
        pool = crypto.Pool(
            tuple(balances), tuple(10 ** (18 - d) for d in decimals), tuple(scale),
            random.choice([400_000, 2_000_000]), random.choice([145 * 10**12, 2 * 10**13]), 0,
            mid, out, fee_gamma=random.choice([230 * 10**12, 10**16]),
        )  # fmt: skip
        d = sum(pool.xp())
        with suppress(crypto.Reverted):
            d = pool.newton_d(pool.xp())
        return Pool(kind, {
            "balances": balances, "precisions": list(pool.precisions), "price_scale": scale,
            "amp": pool.amp, "gamma": pool.gamma, "d": d, "mid_fee": mid, "out_fee": out,
            "fee_gamma": pool.fee_gamma,
        }), way  # fmt: skip

    return make


def balancer_weighted(random: Random, price: float, depth: float, d_in: int, d_out: int) -> Hop:
    n = random.choice([2, 2, 3])
    i, j = random.sample(range(n), 2)
    parts = [random.choice([1, 1, 2, 4]) for _ in range(n)]
    weights = [WAD * part // sum(parts) for part in parts]
    balances = [_raw(depth)] * n
    balances[j] = _raw(depth * price * weights[j] / weights[i])
    decimals = [18] * n
    decimals[i], decimals[j] = d_in, d_out
    return Pool("balancer_weighted", {
        "balances": balances, "weights": weights,
        "scaling_factors": [10 ** (36 - d) for d in decimals],
        "swap_fee": random.choice([10**14, 10**15, 3 * 10**15]),
        "pow_shortcuts": random.random() < 0.5,
    }), (i, j)  # fmt: skip


def balancer_stable(random: Random, price: float, depth: float, d_in: int, d_out: int) -> Hop:
    n = random.choice([2, 3])
    way, balances, worth = _stable_sides(random, price, depth, n, random.choice([1.5, 6.0]))
    fields: dict[str, Any] = {
        "balances": balances, "scaling_factors": [_raw(10 ** (36 - d_in) * w) for w in worth],
        "swap_fee": random.choice([10**14, 4 * 10**14]), "amp": random.choice([20, 200]) * 1000,
        "invariant_round_up": random.random() < 0.3,
    }  # fmt: skip
    return Pool("balancer_composable_stable", fields), way


MAKERS: dict[str, Maker] = {
    "uniswap_v2": uniswap_v2,
    "uniswap_v3": _concentrated("uniswap_v3"),
    "pancake_v3": _concentrated("pancake_v3"),
    "algebra_v1": _concentrated("algebra_v1"),
    "algebra_integral": _concentrated("algebra_integral"),
    "uniswap_v4": _concentrated("uniswap_v4"),
    "solidly volatile": _solidly("solidly", False),
    "solidly stable": _solidly("solidly", True),
    "camelot volatile": _solidly("camelot_v2", False),
    "camelot stable": _solidly("camelot_v2", True),
    "curve 3pool": _curve("curve_stable", "3pool"),
    "curve y_pool": _curve("curve_stable", "y_pool"),
    "curve plain": _curve("curve_stable", "plain"),
    "curve ng": _curve("curve_stable_ng", None),
    "twocrypto": _crypto("curve_twocrypto_ng", 2),
    "tricrypto": _crypto("curve_tricrypto_ng", 3),
    "balancer weighted": balancer_weighted,
    "balancer stable": balancer_stable,
}
FIXED = {"solidly stable", "camelot stable"}
"""Makers of pools whose price is what it is: not for the hop that closes a cycle."""


def any_cycle(
    random: Random,
    names: list[str],
    *,
    decimals: list[int] | None = None,
    edge: float = 0.01,
    depth: float = 1e6,
) -> list[Hop]:
    """A cycle through a pool of each name, turned to a random start, that gains about `edge`.

    `decimals` are those of the tokens, the first of which enters the first named pool; `depth` is
    what a pool holds, in whole tokens of a worth of one.
    """
    names = sorted(names, key=lambda name: name not in FIXED)
    n = len(names)
    places = decimals or [random.choice([6, 8, 18, 18]) for _ in range(n)]
    worth = [1.0] + [1.0 if names[k - 1] in FIXED else 10 ** random.uniform(-3, 3)
                     for k in range(1, n)]  # fmt: skip
    raw = [worth[k] / 10 ** places[k] for k in range(n)]  # of one unit
    hops: list[Hop] = []
    gained = 1.0
    for k, name in enumerate(names):
        price = raw[k] / raw[(k + 1) % n]
        if k == n - 1:
            price = (1 + edge) / gained * 1.001
        size = depth * 10 ** random.uniform(-0.5, 0.5) / raw[k]
        hop = MAKERS[name](random, price, size, places[k], places[(k + 1) % n])
        paid = hop[0].marginal_price(*hop[1])
        gained *= paid if paid > 0 else price
        hops.append(hop)
    turn = random.randrange(n)
    return hops[turn:] + hops[:turn]


def along(hops: list[Hop], amount: int) -> list[int] | None:
    """The amount into each pool and out of the last; None where one refuses or is left short."""
    amounts = [amount]
    for pool, (token_in, token_out) in hops:
        quote = pool.quote(token_in, amounts[-1], token_out=token_out)
        if not isinstance(quote, Quote) or quote.amount_in != amounts[-1]:
            return None
        amounts.append(quote.amount_out)
    return amounts


def least(hops: list[Hop], want: int, near: int) -> int | None:
    """The least input with which `want` comes out of the hops, by halving about `near`."""

    def enough(amount: int) -> bool:
        amounts = along(hops, amount)
        return amounts is not None and amounts[-1] >= want

    reach, high = 1, near
    while not enough(high):
        high, reach = high + reach, reach * 4
        if high > 8 * near + 64:
            return None
    reach, low = 1, max(near - 1, 0)
    while low > 0 and enough(low):
        high, low, reach = low, max(low - reach, 0), reach * 4
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def brute_force(
    hops: list[Hop],
    *,
    cap: int = 1 << 120,
    fee: Callable[[int], int] = lambda amount: 0,
    around: int = 40,
) -> tuple[int, int]:
    """(input, profit) of the best input of [1, cap] found; profit 0 where none pays.

    A geometric scan, a golden section, every input near, and the least input for every amount near
    of each token on the way.
    """

    @cache
    def profit(amount: int) -> int:
        if not 1 <= amount <= cap:
            return -(1 << 255)
        amounts = along(hops, amount)
        return -(1 << 200) if amounts is None else amounts[-1] - amount - fee(amount)

    best = (0, 0)

    def consider(amount: int) -> None:
        nonlocal best
        gain = profit(amount)
        if gain > best[1] or (gain == best[1] and gain > 0 and amount < best[0]):
            best = (amount, gain)

    scan = sorted({min(int(1.5**i), cap) for i in range(206)})
    for amount in scan:
        consider(amount)
    top = max(scan, key=profit)
    at = scan.index(top)
    low, high = scan[max(at - 1, 0)], scan[min(at + 1, len(scan) - 1)]
    while high - low > max(8, low >> 24):
        a, b = low + (high - low) * 382 // 1000, low + (high - low) * 618 // 1000
        consider(a)
        consider(b)
        if profit(a) < profit(b):
            low = a
        else:
            high = b
    center = best[0] or (low + high) // 2
    for step in range(-around, around + 1):
        consider(center + step)
    amounts = along(hops, center)
    for place in range(1, len(hops) + 1 if amounts else 0):
        assert amounts is not None
        if amounts[place] > 10**13:
            continue  # a unit of it is worth too little
        for step in range(-around, around + 1):
            if amounts[place] + step > 0:
                amount = least(hops[:place], amounts[place] + step, center)
                if amount is not None:
                    consider(amount)
    return best
