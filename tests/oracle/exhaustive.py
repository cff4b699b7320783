"""The best of all cycles by brute force: every simple cycle, every parallel pool, every kind.

Shares nothing with the search but the exact quotes of `mevfast._pool`, which have oracles of
their own; what wins is quoted again by the contracts in Python integers (tests/oracle/contracts).
No size comes from a pricing formula or a derivative: amounts are tried on a geometric grid, then
the best one's neighbourhood is narrowed down on exact profits, then every amount around it of the
coarsest token on the way is tried with the least input that brings it.

A pool's price at no input bounds nothing where its fee falls on the way to balance. So an edge's
bound is the most output per input seen on a grid of amounts, or that price with the lowest fee the
pool can charge, whichever is higher.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mevfast._pool import Pool as Compiled
from tests.oracle import contracts, curve, sizing
from tests.oracle.contracts import Pool

Hop = tuple[int, int, int]
"""Number of the pool, indices in it of the token in and the token out."""
Amounts = list[int | None]

GRID = [1 << bit for bit in range(0, 113, 2)]
"""Between two of its points profit is at most STEP times what it is at the better one."""
STEP = 4
ROUNDED_UP = 2
"""Units of either token by which integers may favour the trader: in Solidly pairs a fee is rounded
down, in Curve's pools a root is found to a unit. Elsewhere they never do."""
CRYPTO_ABOVE = 1e-17
CRYPTO_STEPS = 2e-12
POWERS = 2e-14
"""Of what the pool holds: how far a CryptoSwap output lies above the curve at most, and how far
below, as its cubic's root moves in steps; how far FixedPoint.powUp rounds up."""
ERROR = 1e-9  # of a bound's own doubles


@dataclass(frozen=True)
class Edge:
    """One way through one pool."""

    pool: int
    token_in: int
    token_out: int
    hop: Hop
    way: sizing.Way
    bound: float
    inexact: float  # how far what it pays is from any smooth curve, but for whole units
    dust: float  # what it may pay beyond the bound, however little goes in
    dynamic: bool  # whether its fee depends on its balances

    def grid(self, amounts: Amounts) -> Amounts:
        """What it pays for each."""
        return [self.way.pay(amount) if amount else None for amount in amounts]


@dataclass
class Cycle:
    """A cycle whose bound lets it pay, with the best of the grid: input and profit."""

    edges: tuple[Edge, ...]
    amount_in: int
    profit: int

    @property
    def hops(self) -> tuple[Hop, ...]:
        return tuple(edge.hop for edge in self.edges)

    @property
    def ways(self) -> list[sizing.Way]:
        return [edge.way for edge in self.edges]

    @property
    def slack(self) -> int:
        """How far profit may be above what concave profit would be: fees may fall on the way."""
        return 2 if any(edge.dynamic for edge in self.edges) else 1

    @property
    def most(self) -> int:
        """What the best input can earn, the grid's best being known."""
        return STEP * self.slack * self.profit

    @property
    def unit(self) -> float:
        """What a unit of each token on the way is worth together, in units of the input, and what
        the pools' own maths is out by."""
        worth = sizing.units(self.ways, self.amount_in)
        after = [*worth[1:], 1.0]
        return sum(worth) + sum(
            edge.inexact * unit for edge, unit in zip(self.edges, after, strict=True)
        )

    @property
    def rounding(self) -> float:
        """What roundings can decide of the profit, either way."""
        return self.unit + dust_of(self.edges)

    def finished(self) -> "Cycle":
        """The same at its best input."""
        return Cycle(self.edges, *sizing.finish(self.ways, self.amount_in))


def way_of(quoting: Compiled, i: int, j: int) -> sizing.Way:
    """The pool's exact quotes from token i to token j, for all of an amount or not at all."""
    quote = quoting.quote

    def pay(amount: int) -> int | None:
        answer: Any = quote(i, amount, "in", None, j)
        if len(answer) == 1 or answer[0] != amount:
            return None
        return answer[1] or None

    def need(amount: int) -> int | None:
        answer: Any = quote(i, amount, "out", None, j)
        return None if len(answer) == 1 else answer[0]

    return sizing.Way(pay, need)


def lowest_fee(pool: Pool) -> tuple[float, Callable[[int, int], float]] | None:
    """The lowest fee that the pool can charge and the fee at no input; None where they are one."""
    if pool["kind"] == "curve_stable_ng":
        state = contracts.stable_of(pool)
        x = curve.xp(state)
        return pool["fee"] / 1e10, lambda i, j: curve.dynamic_fee(state, x[i], x[j]) / 1e10
    if pool["kind"] in ("curve_tricrypto_ng", "curve_twocrypto_ng"):
        crypto = contracts.crypto_of(pool)
        here = crypto.fee(crypto.xp()) / 1e10
        return min(pool["mid_fee"], pool["out_fee"]) / 1e10, lambda i, j: here
    return None


def edges_of(number: int, pool: Pool) -> Iterator[Edge]:
    """Every way through a pool, the ways through its own token left out."""
    quoting = Compiled(pool["kind"], pool)
    places = [i for i in range(quoting.n_tokens) if i != pool.get("bpt_index")]
    fees = lowest_fee(pool)
    for i in places:
        for j in places:
            if i == j:
                continue
            way = way_of(quoting, i, j)
            bound = quoting.marginal_price(i, j)
            if fees is not None:
                bound *= (1 - fees[0]) / (1 - fees[1](i, j))
            inexact = dust = 0.0
            if "price_scale" in pool:
                inexact = CRYPTO_STEPS * pool["balances"][j]
                dust = CRYPTO_ABOVE * pool["balances"][j]
            elif "weights" in pool:
                inexact = POWERS * pool["balances"][j]
            if pool["kind"].startswith(("curve", "solidly", "camelot")):
                dust += ROUNDED_UP * (1 + bound)
            for amount in GRID[::4]:
                bound = max(bound, ((way.pay(amount) or 0) - dust) / amount)
            yield Edge(
                number, pool["tokens"][i], pool["tokens"][j], (number, i, j), way,
                bound * (1 + ERROR), inexact, dust, fees is not None,
            )  # fmt: skip


def dust_of(edges: Iterable[Edge]) -> float:
    """What roundings along the way may add up to, in the last token."""
    total = 0.0
    for edge in edges:
        total = total * edge.bound + edge.dust
    return total


class Judge:
    """A market's cycles from one start token.

    What a cycle earns by rounding alone, some units that no input makes more of, does not count.
    """

    def __init__(self, pools: list[Pool], *, start: int = 0, max_hops: int = 4) -> None:
        self.pools, self.start, self.max_hops = pools, start, max_hops
        self.leaving: dict[int, dict[int, list[Edge]]] = {}
        for number, pool in enumerate(pools):
            for edge in edges_of(number, pool):
                ways = self.leaving.setdefault(edge.token_in, {})
                ways.setdefault(edge.token_out, []).append(edge)
        for ways in self.leaving.values():
            for edges in ways.values():
                edges.sort(key=lambda edge: -edge.bound)
        self.home = self._ways_home()

    def _ways_home(self) -> list[dict[int, float]]:
        """[hops left][token]: the most of the start token for one, by the bounds."""
        home: list[dict[int, float]] = [{self.start: 1.0}]
        for _ in range(self.max_hops - 1):
            before = home[-1]
            best = dict(before)
            for token, ways in self.leaving.items():
                for other, edges in ways.items():
                    if token != self.start and other in before:
                        gain = edges[0].bound * before[other]
                        best[token] = max(best.get(token, 0.0), gain)
            home.append(best)
        return home

    def cycles(self) -> Iterator[Cycle]:
        """Every cycle whose bounds multiply to more than 1, with the best of the grid."""
        yield from self._walk([], self.start, 1.0, list(GRID))

    def _walk(self, path: list[Edge], token: int, gain: float, amounts: Amounts) -> Iterator[Cycle]:
        left = self.max_hops - len(path) - 1
        for other, edges in self.leaving.get(token, {}).items():
            closing = other == self.start
            if (closing and not path) or any(other == edge.token_in for edge in path[1:]):
                continue
            rest = self.home[left].get(other, 0.0)
            for edge in edges:
                if gain * edge.bound * (1.0 if closing else rest) <= 1.0:
                    break
                if any(edge.pool == before.pool for before in path):
                    continue
                paid = edge.grid(amounts)
                if closing:
                    yield self._closed((*path, edge), paid)
                else:
                    yield from self._walk([*path, edge], other, gain * edge.bound, paid)

    def _closed(self, edges: tuple[Edge, ...], paid: Amounts) -> Cycle:
        profits = [
            (out - amount, -amount) if out is not None else (sizing.NEVER, -amount)
            for amount, out in zip(GRID, paid, strict=True)
        ]
        profit, amount = max(profits)
        return Cycle(edges, -amount, profit)

    def best(self, cycles: Iterable[Cycle] | None = None) -> Cycle | None:
        """The cycle that pays most, sized to the integer; None where none pays.

        Those are sized whose profit on the grid, times what can lie between its points, could win.
        """
        found = sorted(self.cycles() if cycles is None else cycles, key=lambda cycle: -cycle.profit)
        most, near = 0, []
        for cycle in found:
            if cycle.profit <= 0 or cycle.most < most:
                break
            amount, profit = sizing.climb(
                cycle.ways, cycle.amount_in, STEP, most=most / cycle.slack
            )
            most = max(most, profit)
            near.append(Cycle(cycle.edges, amount, profit))
        won = [cycle.finished() for cycle in near if cycle.profit + cycle.unit >= most * (1 - 1e-6)]
        return max(won, key=lambda cycle: cycle.profit, default=None)
