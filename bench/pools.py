"""The pools and amounts that the benches quote: made ones, of the sizes that real ones have.

Owns which states and swaps are measured; the same ones for instruction counts and for times, and
for every peer. All of it follows from the constants here.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mevfast._math import get_sqrt_ratio_at_tick
from mevfast._pool import Pool, Quote

SEED = 20_260_101
SPREAD = 50
"""The amounts of one sample lie within a fiftieth of each other."""
WAD = 10**18


@dataclass(frozen=True)
class Sample:
    """One kind of swap: a pool, a direction, and an amount about which the measured ones lie."""

    name: str
    kind: str
    fields: dict[str, Any]
    amount: int
    token_in: int = 0
    token_out: int = 1
    positions: list[tuple[int, int, int]] = field(default_factory=list)
    """Of concentrated liquidity: lower tick, upper tick, liquidity; `fields` follows from them."""

    def pool(self) -> Pool:
        """The pool in its state before the swap."""
        return Pool(self.kind, self.fields)

    def amounts(self, count: int) -> list[int]:
        """So many different amounts of input."""
        return [self.amount + self.amount * i // (SPREAD * count) for i in range(count)]

    def quote(self, amount: int) -> Quote:
        """What the pool pays for an input; ValueError where it refuses, which no sample may."""
        quote = self.pool().quote(self.token_in, amount, token_out=self.token_out)
        if not isinstance(quote, Quote):
            raise ValueError(f"{self.name}: expected a quote for {amount}, was {quote.reason}")
        return quote

    def outputs(self, count: int) -> list[int]:
        """The outputs of `amounts`, for exact-output swaps of the same size."""
        return [self.quote(amount).amount_out for amount in self.amounts(count)]


# ---- concentrated liquidity ----

TICK = 197_310
"""About 2,700 token0 of 6 decimals for one token1 of 18, and far from the end of a bitmap word."""
FEE, SPACING = 500, 10
RANGES = 20


def v3_positions() -> list[tuple[int, int, int]]:
    """One position over all prices, and ranges about the current one, one inside the other."""
    rng = Random(SEED)
    positions = [(-887_270, 887_270, 3 * 10**17)]
    reach = 0
    for _ in range(RANGES):
        reach += rng.randint(1, 3)
        middle = TICK // SPACING
        low, high = (middle - reach) * SPACING, (middle + reach) * SPACING
        positions.append((low, high, rng.randint(10**17, 2 * 10**18)))
    return positions


def v3_fields(positions: list[tuple[int, int, int]]) -> dict[str, Any]:
    """The state of a pool with these positions whose price is a little above TICK."""
    net: dict[int, int] = {}
    for lower, upper, liquidity in positions:
        net[lower] = net.get(lower, 0) + liquidity
        net[upper] = net.get(upper, 0) - liquidity
    price = (get_sqrt_ratio_at_tick(TICK) + get_sqrt_ratio_at_tick(TICK + 1)) // 2
    return {
        "fee_pips": FEE,
        "tick_spacing": SPACING,
        "sqrt_price_x96": price,
        "tick": TICK,
        "liquidity": sum(n for lower, upper, n in positions if lower <= TICK < upper),
        "ticks": [[tick, net[tick]] for tick in sorted(net) if net[tick]],
    }


def ticks_crossed(fields: dict[str, Any], after: int) -> int:
    """Initialised ticks between the state's tick and the one after a swap."""
    ticks = [tick for tick, _ in fields["ticks"]]
    low, high = sorted((fields["tick"], after))
    return bisect_right(ticks, high) - bisect_left(ticks, low + 1)


def amount_that_crosses(kind: str, fields: dict[str, Any], crossings: int) -> int:
    """The middle of the inputs of token0 that cross so many ticks."""
    pool = Pool(kind, fields)

    def least(more_than: int) -> int:
        """The smallest input that crosses more ticks than this."""
        low, high = 1, 1 << 100
        while low < high:
            middle = (low + high) // 2
            quote = pool.quote(0, middle)
            crossed = isinstance(quote, Quote) and ticks_crossed(fields, quote.after["tick"])
            low, high = (low, middle) if crossed > more_than else (middle + 1, high)
        return low

    return (least(crossings - 1) if crossings else 0) // 2 + least(crossings) // 2


def _concentrated(name: str, kind: str, crossings: int, **fields: Any) -> Sample:
    positions = v3_positions()
    state = v3_fields(positions) | fields
    amount = amount_that_crosses(kind, state, crossings)
    sample = Sample(name, kind, state, amount, positions=positions)
    for each in sample.amounts(2):
        crossed = ticks_crossed(state, sample.quote(each).after["tick"])
        if crossed != crossings:
            raise ValueError(f"{name}: expected {crossings} ticks crossed by {each}, was {crossed}")
    return sample


# ---- the list ----

V2 = {"fee_pips": 3000, "reserve0": 48_215_377_912_345, "reserve1": 17_904_118_233_400_123_456_789}
SOLIDLY = {"decimals0": 10**6, "decimals1": WAD, "fee_bps": 5}
MILLION = 10**6


def _samples() -> list[Callable[[], Sample]]:
    return [
        lambda: Sample("uniswap_v2", "uniswap_v2", V2, 12_345_678_901),
        lambda: _concentrated("uniswap_v3, 0 ticks", "uniswap_v3", 0),
        lambda: _concentrated("uniswap_v3, 1 tick", "uniswap_v3", 1),
        lambda: _concentrated("uniswap_v3, 5 ticks", "uniswap_v3", 5),
        lambda: _concentrated("pancake_v3, 1 tick", "pancake_v3", 1),
        lambda: _concentrated("algebra_v1, 1 tick", "algebra_v1", 1),
        lambda: _concentrated("algebra_integral, 1 tick", "algebra_integral", 1),
        lambda: _concentrated("uniswap_v4, 1 tick", "uniswap_v4", 1),
        lambda: Sample(
            "solidly, volatile",
            "solidly",
            {**SOLIDLY, **V2, "stable": False},
            12_345_678_901,
        ),
        lambda: Sample(
            "solidly, stable",
            "solidly",
            {**SOLIDLY, "stable": True, "reserve0": 4_321_987 * MILLION + 654_321,
             "reserve1": 5_012_345 * WAD + 678_901_234_567_890_123},
            12_345_678_901,
        ),
        lambda: Sample(
            "curve_stable, 2 coins",
            "curve_stable",
            {"shape": "plain", "amp": 200, "rates": [WAD, WAD], "fee": 4_000_000,
             "balances": [41_234 * WAD + 567_890_123, 38_765 * WAD + 432_109_876]},
            123 * WAD + 456_789,
        ),
        lambda: Sample(
            "curve_stable, 3 coins",
            "curve_stable",
            {"shape": "3pool", "amp": 2000, "rates": [WAD, 10**30, 10**30], "fee": 1_000_000,
             "balances": [61_234_567 * WAD + 891, 58_765_432 * MILLION, 72_468_013 * MILLION]},
            123_456 * WAD + 789,
        ),
        lambda: Sample(
            "curve_stable_ng, 2 coins",
            "curve_stable_ng",
            {"amp_precise": 20_000, "rates": [10**30, WAD], "fee": 1_000_000,
             "offpeg_fee_multiplier": 50_000_000_000,
             "balances": [6_123_456 * MILLION + 789, 5_876_543 * WAD + 210]},
            12_345 * MILLION + 678,
        ),
        lambda: Sample(
            "curve_tricrypto_ng",
            "curve_tricrypto_ng",
            {"amp": 1_707_629, "gamma": 11_809_167_828_997, "precisions": [10**12, 10**10, 1],
             "mid_fee": 3_000_000, "out_fee": 30_000_000, "fee_gamma": 500 * 10**12,
             "price_scale": [67_123 * WAD + 456_789, 3_456 * WAD + 123_456],
             "balances": [4_123_456 * MILLION + 789, 6_012_345_678, 1_211 * WAD + 987_654],
             "d": 12_343_427_904_687_676_011_519_452},
            12_345 * MILLION + 678,
        ),
        lambda: Sample(
            "curve_twocrypto_ng",
            "curve_twocrypto_ng",
            {"amp": 400_000, "gamma": 145 * 10**12, "precisions": [1, 1],
             "mid_fee": 26_000_000, "out_fee": 45_000_000, "fee_gamma": 230 * 10**12,
             "price_scale": [3_456 * WAD + 123_456], "version": "v2.0.0",
             "balances": [1_234_567 * WAD + 789, 349 * WAD + 987_654],
             "d": 2_440_687_828_688_675_700_881_445},
            1_234 * WAD + 567,
        ),
        lambda: Sample(
            "balancer_weighted, 20 to 80",
            "balancer_weighted",
            {"swap_fee": 10 * 10**15, "weights": [8 * 10**17, 2 * 10**17],
             "scaling_factors": [WAD, WAD],
             "balances": [12_345_678 * WAD + 901, 4_321 * WAD + 987_654]},
            12 * WAD + 345_678, token_in=1, token_out=0,
        ),
        lambda: Sample(
            "balancer_composable_stable",
            "balancer_composable_stable",
            {"swap_fee": 10**14, "amp": 200_000, "amp_precision": 1000, "bpt_index": 1,
             "scaling_factors": [1_154_321_098_765_432_109, WAD, WAD],
             "balances": [12_345 * WAD + 678, 2_596_148_429_267_413 * WAD, 13_456 * WAD + 789]},
            123 * WAD + 456_789, token_out=2,
        ),
    ]  # fmt: skip


def samples() -> list[Sample]:
    """All of them, in the order in which they are shown."""
    return [make() for make in _samples()]
