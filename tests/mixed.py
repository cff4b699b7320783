"""Seeded random markets of all kinds: pools about a common worth of tokens, some of them off it.

A pool that is off by less than its fee opens no cycle, whatever the others are, as long as all
are; what is off by more opens some.
"""

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from mevfast._pool import KINDS
from mevfast._pool import Pool as Compiled
from tests.market import Pool, v2_pool, v3_pool
from tests.oracle.contracts import crypto_of

WAD = 10**18
OWN_TOKENS = 1000
"""From this number on, tokens are the own ones of Balancer pools."""
PEGGED = 1.0
"""What tokens are worth that stable pairs without rates can hold."""


class Token(NamedTuple):
    decimals: int
    worth: float  # of a whole one

    @property
    def unit(self) -> float:
        """What the smallest amount is worth."""
        return self.worth / 10**self.decimals


class Draw(NamedTuple):
    """What a pool is made from: its tokens as it sees them, and how much of it there is."""

    random: Random
    numbers: list[int]
    tokens: list[Token]
    depth: float  # worth of one side
    off: float  # how far, as a logarithm, its prices may be off, in the unit of its fee or more
    beyond: bool  # whether off is beyond the fee


def _views(draw: Draw, fee: float) -> list[float]:
    """What the pool takes the units of its tokens to be worth; `fee` is the lowest it charges."""
    span = draw.off if draw.beyond else draw.off * fee / 2
    return [token.unit * math.exp(draw.random.uniform(-span, span)) for token in draw.tokens]


def _pair(draw: Draw) -> tuple[int, int]:
    return draw.numbers[0], draw.numbers[1]


# ---- pairs ----


def _uniswap_v2(draw: Draw) -> Pool:
    fee_pips = draw.random.choice([2500, 3000])
    a, b = _views(draw, fee_pips / 1e6)
    return v2_pool(_pair(draw), a / b, draw.depth / math.sqrt(a * b), fee_pips)


def _solidly(draw: Draw, kind: str) -> Pool:
    """Volatile, or stable where the tokens are worth the same."""
    random = draw.random
    stable = all(token.worth == PEGGED for token in draw.tokens) and random.random() < 0.8
    fee: dict[str, Any] = {"fee_bps": random.choice([1, 5, 20, 30])}
    least = fee["fee_bps"] / 1e4
    if kind == "camelot_v2":
        percent = [random.choice([40, 300, 500]) for _ in range(2)]
        fee = {"fee_percent": percent, "owner_fee_share": random.choice([0, 40_000])}
        least = min(percent) / 1e5
    a, b = _views(draw, least)
    skew = 1.0  # reserves 1 over reserves 0, each in whole tokens times 10**decimals of its own
    wanted = a * 10 ** draw.tokens[0].decimals / (b * 10 ** draw.tokens[1].decimals)
    if stable:
        skew = _stable_skew(wanted)
        a = b = 1.0
        a /= 10 ** draw.tokens[0].decimals
        b /= 10 ** draw.tokens[1].decimals
    return {
        "kind": kind,
        "tokens": _pair(draw),
        "stable": stable,
        "reserve0": int(draw.depth / a),
        "reserve1": int(draw.depth / b * skew),
        "decimals0": 10 ** draw.tokens[0].decimals,
        "decimals1": 10 ** draw.tokens[1].decimals,
        **fee,
    }


def _stable_skew(price: float) -> float:
    """y / x at which x**3 y + y**3 x sells x for `price` of y each."""
    low, high = 0.05, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        here = (3 * middle + middle**3) / (1 + 3 * middle**2)
        low, high = (middle, high) if here < price else (low, middle)
    return low


def _concentrated(draw: Draw, kind: str) -> Pool:
    random = draw.random
    fee_pips, spacing = random.choice([(100, 1), (500, 10), (3000, 60)])
    protocol_fee = random.choice([0, 50 + 4096 * 60]) if kind == "uniswap_v4" else 0
    a, b = _views(draw, fee_pips / 1e6)
    liquidity = int(draw.depth / math.sqrt(a * b) * 10 ** random.uniform(0, 1.5))
    positions = [(-60 * 60 // spacing, 60 * 60 // spacing, liquidity)]
    for _ in range(random.randint(0, 4)):
        lower = random.randint(-40, 30)
        upper = lower + random.randint(1, 10)
        positions.append((lower, upper, int(liquidity * 10 ** random.uniform(-1, 1))))
    pool = v3_pool(_pair(draw), a / b, positions, fee_pips, spacing)
    pool["kind"] = kind
    if kind == "uniswap_v4":
        pool["protocol_fee"] = protocol_fee
    elif kind == "algebra_v1" and random.random() < 0.5:
        pool["fee_pips"] = [fee_pips, fee_pips + random.randint(0, 300)]
    return pool


# ---- pools of many tokens ----


def _skewed(draw: Draw, most: float) -> list[float]:
    """What the pool holds of each token, in worth, near the depth but not balanced."""
    most = 0.0 if draw.off == 0.0 else most
    return [draw.depth * math.exp(draw.random.uniform(-most, most)) for _ in draw.tokens]


def _fitted(views: Sequence[float], build: Callable[[list[float]], Pool]) -> Pool:
    """`build` makes a pool of the worths that it takes; the one that sells at `views`."""
    taken = list(views)
    for _ in range(4):
        pool = build(taken)
        quoting = Compiled(pool["kind"], pool)
        places = [i for i in range(quoting.n_tokens) if i != pool.get("bpt_index")]
        for k, place in enumerate(places[1:], 1):
            there = quoting.marginal_price(places[0], place)
            back = quoting.marginal_price(place, places[0])
            price = math.sqrt(there / back)  # fees cancel where both ways charge the same
            taken[k] *= views[k] / views[0] * price
    return pool


def _curve_stable(draw: Draw) -> Pool:
    random = draw.random
    shape = random.choice(["3pool", "y_pool", "plain"])
    fee = random.choice([1_000_000, 4_000_000, 10_000_000])
    amp = random.choice([60, 200, 1000])
    held = _skewed(draw, 0.4)

    def build(taken: list[float]) -> Pool:
        return {
            "kind": "curve_stable",
            "tokens": tuple(draw.numbers),
            "shape": shape,
            "balances": [int(x / view) for x, view in zip(held, taken, strict=True)],
            "rates": [int(view * 1e36) for view in taken],
            "amp_precise" if shape == "plain" else "amp": amp * (100 if shape == "plain" else 1),
            "fee": fee,
        }

    return _fitted(_views(draw, fee / 1e10), build)


def _curve_stable_ng(draw: Draw) -> Pool:
    random = draw.random
    fee = random.choice([1_000_000, 4_000_000])
    amp = random.choice([50, 200, 800]) * 100
    multiplier = random.choice([10**10, 2 * 10**10, 10 * 10**10])
    held = _skewed(draw, 0.8)

    def build(taken: list[float]) -> Pool:
        return {
            "kind": "curve_stable_ng",
            "tokens": tuple(draw.numbers),
            "balances": [int(x / view) for x, view in zip(held, taken, strict=True)],
            "rates": [int(view * 1e36) for view in taken],
            "amp_precise": amp,
            "fee": fee,
            "offpeg_fee_multiplier": multiplier,
        }

    return _fitted(_views(draw, fee / 1e10), build)


def _crypto(draw: Draw, kind: str) -> Pool:
    """Balanced to within a per cent or so: off balance the fee is higher."""
    random = draw.random
    mid_fee, out_fee = random.choice([(3_000_000, 30_000_000), (26_000_000, 45_000_000)])
    fields = {"amp": 1_707_629, "gamma": 11_809_167_828_997, "fee_gamma": 500 * 10**12}
    if kind == "curve_twocrypto_ng":
        fields = {"amp": 400_000, "gamma": 145 * 10**12, "fee_gamma": 230 * 10**12}
        fields["version"] = random.choice(["v2.0.0", "v2.1.0"])  # type: ignore[assignment]
    held = _skewed(draw, random.choice([0.001, 0.01]))
    known = random.random() < 0.5

    def build(taken: list[float]) -> Pool:
        decimals = [token.decimals for token in draw.tokens]
        whole = [view * 10**places for view, places in zip(taken, decimals, strict=True)]
        pool: Pool = {
            "kind": kind,
            "tokens": tuple(draw.numbers),
            "balances": [int(x / view) for x, view in zip(held, taken, strict=True)],
            "precisions": [10 ** (18 - places) for places in decimals],
            "price_scale": [int(worth / whole[0] * WAD) for worth in whole[1:]],
            "mid_fee": mid_fee,
            "out_fee": out_fee,
            "d": 0,
            **fields,
        }
        state = crypto_of(pool)
        pool["d"] = state.newton_d(state.xp())
        if known:
            pool["total_supply"] = pool["d"] // len(decimals)
            pool["virtual_price"] = crypto_of(pool).share_price(pool["d"])
        return pool

    return _fitted(_views(draw, mid_fee / 1e10), build)


def _weighted(draw: Draw) -> Pool:
    random = draw.random
    swap_fee = random.choice([10**14, 10**15, 3 * 10**15, 10**16])
    parts = [random.choice([1, 1, 2, 3, 4]) for _ in draw.tokens]
    weights = [WAD * part // sum(parts) for part in parts]
    weights[0] += WAD - sum(weights)
    views = _views(draw, swap_fee / WAD)
    return {
        "kind": "balancer_weighted",
        "tokens": tuple(draw.numbers),
        "balances": [
            int(2 * draw.depth * weight / WAD / view)
            for weight, view in zip(weights, views, strict=True)
        ],
        "scaling_factors": [10 ** (36 - token.decimals) for token in draw.tokens],
        "weights": weights,
        "swap_fee": swap_fee,
        "pow_shortcuts": random.random() < 0.8,
    }


def _composable_stable(draw: Draw) -> Pool:
    random = draw.random
    swap_fee = random.choice([10**14, 4 * 10**14])
    amp = random.choice([50, 200, 1000]) * 1000
    held = _skewed(draw, 0.4)
    own = random.choice([None, *range(len(draw.tokens) + 1)])
    round_up = own is None and random.random() < 0.5

    def build(taken: list[float]) -> Pool:
        numbers = list(draw.numbers)
        balances = [int(x / view) for x, view in zip(held, taken, strict=True)]
        factors = [int(view * 1e36) for view in taken]
        pool: Pool = {"kind": "balancer_composable_stable", "tokens": numbers}
        pool |= {"balances": balances, "scaling_factors": factors, "amp": amp}
        pool |= {"amp_precision": 1000, "swap_fee": swap_fee, "invariant_round_up": round_up}
        if own is not None:
            numbers.insert(own, OWN_TOKENS + random.getrandbits(30))
            balances.insert(own, 2_596_148_429_267_414 * WAD)
            factors.insert(own, WAD)
            pool["bpt_index"] = own
        return pool | {"tokens": tuple(numbers)}

    return _fitted(_views(draw, swap_fee / WAD), build)


# ---- markets ----

_MAKERS: dict[str, Callable[[Draw], Pool]] = {
    "uniswap_v2": _uniswap_v2,
    "uniswap_v3": lambda draw: _concentrated(draw, "uniswap_v3"),
    "pancake_v3": lambda draw: _concentrated(draw, "pancake_v3"),
    "algebra_v1": lambda draw: _concentrated(draw, "algebra_v1"),
    "algebra_integral": lambda draw: _concentrated(draw, "algebra_integral"),
    "uniswap_v4": lambda draw: _concentrated(draw, "uniswap_v4"),
    "camelot_v2": lambda draw: _solidly(draw, "camelot_v2"),
    "solidly": lambda draw: _solidly(draw, "solidly"),
    "curve_stable": _curve_stable,
    "curve_stable_ng": _curve_stable_ng,
    "curve_tricrypto_ng": lambda draw: _crypto(draw, "curve_tricrypto_ng"),
    "curve_twocrypto_ng": lambda draw: _crypto(draw, "curve_twocrypto_ng"),
    "balancer_weighted": _weighted,
    "balancer_composable_stable": _composable_stable,
}
assert set(_MAKERS) == set(KINDS)
_MOST_TOKENS = {  # and at least two
    "curve_stable": 4,
    "curve_stable_ng": 4,
    "curve_tricrypto_ng": 3,
    "balancer_weighted": 8,
    "balancer_composable_stable": 5,
}


def tokens_of(random: Random, n: int) -> list[Token]:
    """Token 0 is what cycles start from; some are worth the same, as dollars are."""
    tokens = []
    for i in range(n):
        decimals = random.choice([18, 18, 18, 6, 8] if i == 0 else [6, 8, 18])
        pegged = random.random() < 0.4
        tokens.append(Token(decimals, PEGGED if pegged else 10 ** random.uniform(-2, 4)))
    return tokens


def _pool(
    random: Random, kind: str, tokens: Sequence[Token], off: float, *, beyond: bool = False
) -> Pool:
    n = min(_MOST_TOKENS.get(kind, 2), len(tokens))
    n = n if kind == "curve_tricrypto_ng" else random.randint(2, n)
    places = list(range(len(tokens)))
    hubs = [random.choice(places[:2])] if random.random() < 0.6 else []
    numbers = hubs + random.sample([place for place in places if place not in hubs], n - len(hubs))
    if kind.startswith(("curve", "balancer")):
        random.shuffle(numbers)
    else:
        numbers.sort()
    depth = 10 ** random.uniform(4, 6.5)
    return _MAKERS[kind](Draw(random, numbers, [tokens[i] for i in numbers], depth, off, beyond))


def _market(seed: int, kinds: Sequence[str], off: float, disturbed: float) -> list[Pool]:
    """Pools off the common worth by `off` of their fees; of half of the markets, some by more."""
    random = Random(seed)
    n_pools = random.randint(6, 40)
    tokens = tokens_of(random, random.randint(min(3 + n_pools // 8, 7), 8))
    pools = [_pool(random, random.choice(kinds), tokens, off) for _ in range(n_pools)]
    if random.random() < disturbed:
        for place in random.sample(range(n_pools), random.randint(1, 3)):
            beyond = 10 ** random.uniform(-3, -2)
            pools[place] = _pool(random, random.choice(kinds), tokens, beyond, beyond=True)
    return pools


def mixed_market(seed: int, kinds: Sequence[str] = KINDS) -> list[Pool]:
    """6-40 pools over 3-8 tokens; about half of the markets have cycles that pay."""
    return _market(seed, kinds, 0.95, 0.6)


def fair_market(seed: int, kinds: Sequence[str] = KINDS) -> list[Pool]:
    """As a mixed one, every pool at the common price: no cycle pays."""
    return _market(seed, kinds, 0.0, 0.0)
