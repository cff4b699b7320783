"""`scan --global`: what all pools pay together, beside what cycles taken one after another do.

Owns what a token is worth in a market, the way from a market file to the problem of joint, and the
greedy choice. Cycles come from the search of `scan`; nothing here is an amount that is sent.
"""

import heapq
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from mevfast._pool import Pool, Quote, Refused
from mevfast.joint import Joint, Subproblem, solve
from mevfast.joint_pools import subproblem
from mevfast.market_file import MarketFile, MarketPool, Token

Cycle = dict[str, Any]
Values = dict[Token, float]
"""What one smallest unit of a token is worth; tokens that are not in it are worth nothing."""

_DEPTH_BITS = 120  # of an input that no pool is deeper than
_DEPTH_IMPACT = 0.01
_WORTHLESS = 1e-7  # of what was taken: a cycle that adds less ends the greedy choice
_MOST_CYCLES = 10_000
_LEAST_WEI = 1.0  # a gap between optimum and bound that does not matter
_LEAST_PRICE = 1e-12  # the same in units of prices


@dataclass(frozen=True, slots=True)
class Greedy:
    """Cycles taken best first, each on the state that the one before left; `value` of all."""

    value: float
    cycles: list[Cycle]


@dataclass(frozen=True, slots=True)
class Whole:
    """The joint optimum over all pools, and what the greedy choice takes of it.

    In smallest units of `unit`, or where that is None in the unit of the prices that were given.
    `pools`: how many trade in the optimum.
    """

    joint: Joint
    greedy: Greedy
    values: Values
    unit: Token | None
    pools: int
    elapsed_ms: float

    @property
    def left(self) -> float:
        """What greedy leaves on the table."""
        return max(0.0, self.joint.value - self.greedy.value)

    @property
    def left_share(self) -> float:
        """The part of the optimum that greedy leaves on the table."""
        return self.left / self.joint.value if self.joint.value > 0.0 else 0.0


# ---- what tokens are worth ----


def _depth(pool: Pool, i: int, j: int) -> float:
    """About what input moves the price by a hundredth, a power of two."""
    low, high = 0, _DEPTH_BITS
    while low < high:
        middle = (low + high) // 2
        answer = pool.quote(i, 1 << middle, token_out=j)
        if isinstance(answer, Refused):
            shallow = answer.reason != "NO_OUTPUT"
        else:
            shallow = (answer.price_impact or 0.0) >= _DEPTH_IMPACT
        low, high = (low, middle) if shallow else (middle + 1, high)
    return float(1 << low)


def _prices(pool: MarketPool, token: Token) -> list[tuple[Token, float, float]]:
    """What others of the pool's tokens are worth in `token`, fees aside, and the depth in it."""
    i = pool.tokens.index(token)
    found = []
    for j, other in enumerate(pool.tokens):
        if j == i:
            continue
        out, back = pool.pool.marginal_price(i, j), pool.pool.marginal_price(j, i)
        if out > 0.0 and back > 0.0:
            found.append((other, math.sqrt(back / out), _depth(pool.pool, i, j)))
    return found


def reference_prices(pools: Sequence[MarketPool], unit: Token) -> Values:
    """What every token is about worth in `unit` that pools join with it, by the deepest way."""
    by_token: dict[Token, list[MarketPool]] = {}
    for pool in pools:
        for token in pool.tokens:
            by_token.setdefault(token, []).append(pool)
    found: Values = {}
    ways = [(-math.inf, 0, unit, 1.0)]
    count = 0
    while ways:
        _, _, token, price = heapq.heappop(ways)
        if token in found:
            continue
        found[token] = price
        for pool in by_token.get(token, ()):
            for other, worth, depth in _prices(pool, token):
                if other not in found:
                    count += 1
                    heapq.heappush(ways, (-depth * price, count, other, worth * price))
    return found


def _median(entries: list[tuple[float, float]]) -> float:
    """Of (value, weight) the value that half of the weight is below."""
    entries = sorted(entries)
    half = math.fsum(weight for _, weight in entries) / 2.0
    reached = 0.0
    for value, weight in entries:
        reached += weight
        if reached >= half:
            return value
    return entries[-1][0]


def token_values(pools: Sequence[MarketPool], tokens: Sequence[Token], unit: Token) -> Values:
    """What `tokens` are worth in smallest units of `unit`, those that the pools have a price for.

    The median by depth of the pools that join a token with the unit; where there is none, the
    prices along the deepest pools.
    """
    by_way = reference_prices(pools, unit)
    direct: dict[Token, list[tuple[float, float]]] = {}
    for pool in pools:
        if unit in pool.tokens:
            for other, worth, depth in _prices(pool, unit):
                direct.setdefault(other, []).append((worth, depth))
    values = {unit: 1.0}
    for token in tokens:
        if token in direct:
            values.setdefault(token, _median(direct[token]))
        elif token in by_way:
            values.setdefault(token, by_way[token])
    return values


# ---- the joint optimum ----


def _reference(pools: Sequence[MarketPool], values: Mapping[Token, float]) -> Values:
    """The pools' own prices of all tokens that they join with one of value, none below its value.

    Where the values are not the pools' (--price), it is these that are near the dual's prices.
    """
    found: Values = {}
    for token in values:
        if token not in found:
            joined = reference_prices(pools, token)
            scale = max(values[other] / price for other, price in joined.items() if other in values)
            found |= {other: price * scale for other, price in joined.items()}
    return found


def joint_optimum(
    pools: Sequence[MarketPool], values: Mapping[Token, float], least: float
) -> Joint:
    """The most that trades of the pools leave over, by `values`, no token being short.

    `least`: a gap between value and bound that does not matter.
    """
    reference = _reference(pools, values)
    numbers: dict[Token, int] = {}
    problems: list[Subproblem] = []
    for pool in pools:
        if any(token in reference for token in pool.tokens):
            tokens = [numbers.setdefault(token, len(numbers)) for token in pool.tokens]
            found = subproblem(tokens, pool.pool)
            if found is not None:
                problems.append(found)
    return solve(
        problems,
        [values.get(token, 0.0) for token in numbers],
        [reference.get(token, 1.0) for token in numbers],
        least=least,
    )


# ---- the greedy choice ----


def _advance(pools: dict[bytes, MarketPool], cycle: Cycle) -> None:
    """Swaps a cycle's hops on copies of its pools, which take their places."""
    for hop in cycle["hops"]:
        pool = pools[hop["pool"]]
        copy = Pool(pool.kind, pool.pool.fields())
        places = ["0x" + hop[name].hex() for name in ("token_in", "token_out")]
        i, j = ([token.address for token in pool.tokens].index(place) for place in places)
        answer = copy.apply(i, hop["amount_in"], token_out=j)
        if not isinstance(answer, Quote) or answer.amount_out != hop["amount_out"]:
            raise RuntimeError(
                f"pool {pool.address}: expected {hop['amount_out']} out for {hop['amount_in']} in "
                f"as its cycle says, was {answer}"
            )
        pools[hop["pool"]] = replace(pool, pool=copy)


def greedy(market: MarketFile, values: Values, take: Callable[[MarketFile], list[Cycle]]) -> Greedy:
    """Swaps the cycles that `take` chooses, best first and one after another, and asks it again.

    Ends where they add no ten-millionth to what was taken.
    """
    pools = {pool.record.address: pool for pool in market.pools}
    worth = {bytes.fromhex(token.address[2:]): value for token, value in values.items()}
    taken: list[Cycle] = []
    total = 0.0
    while len(taken) < _MOST_CYCLES:
        cycles = take(replace(market, pools=tuple(pools.values())))
        gain = math.fsum(cycle["profit"] * worth.get(cycle["token"], 0.0) for cycle in cycles)
        if gain <= total * _WORTHLESS:
            break
        for cycle in cycles:
            _advance(pools, cycle)
        taken += cycles
        total += gain
    return Greedy(total, taken)


def whole(
    market: MarketFile,
    values: Values,
    unit: Token | None,
    take: Callable[[MarketFile], list[Cycle]],
) -> Whole:
    """The joint optimum over the market's pools beside the greedy choice, both before gas."""
    began = time.perf_counter()
    joint = joint_optimum(market.pools, values, _LEAST_WEI if unit else _LEAST_PRICE)
    chosen = greedy(market, values, take)
    return Whole(
        joint=joint,
        greedy=chosen,
        values=values,
        unit=unit,
        pools=sum(trade is not None for trade in joint.trades),
        elapsed_ms=(time.perf_counter() - began) * 1e3,
    )


# ---- what is printed ----


def _decimal(value: float, digits: int = 15) -> str:
    """Without an exponent."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def as_json(result: Whole) -> dict[str, Any]:
    """The entry `global`: amounts as decimal strings, rounded so that none says too much."""
    if result.unit is None:
        unit, scale = "price", 0
    else:
        unit, scale = result.unit.address, result.unit.decimals

    def say(value: float, whole: Callable[[float], int] = math.floor) -> str:
        return _decimal(value) if result.unit is None else str(whole(value))

    return {
        "optimum": say(result.joint.value),
        "dual_bound": say(result.joint.bound, math.ceil),
        "greedy": say(result.greedy.value),
        "left_on_table": say(result.left),
        "left_share": round(result.left_share, 12),
        "unit": unit,
        "prices": {
            token.address: _decimal(value * 10.0 ** (token.decimals - scale))
            for token, value in result.values.items()
        },
        "greedy_cycles": len(result.greedy.cycles),
        "pools_used": result.pools,
        "elapsed_ms": round(result.elapsed_ms, 3),
    }


def as_text(result: Whole) -> list[str]:
    """The same in words."""
    unit = result.unit
    symbol = unit.symbol if unit else "at the prices given"
    scale = unit.decimals if unit else 0

    def say(value: float) -> str:
        return f"{_decimal(value * 10.0**-scale, 9)} {symbol}"

    count = len(result.greedy.cycles)
    return [
        f"all pools together, before gas: {say(result.joint.value)} by trades in {result.pools} "
        f"pools, and no more than {say(result.joint.bound)}",
        f"cycles one after another, the best first: {say(result.greedy.value)} in {count} "
        f"{'cycle' if count == 1 else 'cycles'}",
        f"left on the table: {say(result.left)}, {100 * result.left_share:.3g} %",
    ]
