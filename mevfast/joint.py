"""The most that all pools together pay at once: a bound for what cycles, one after another, take.

Owns the convex problem and its dual decomposition: maximise the value of what is left over, where
no token may be short. At a price for each token every pool is asked alone for its best trade; the
prices that make the sum of their gains least are the dual optimum (Diamandis, Resnick, Chitra,
Angeris, "An efficient algorithm for optimal routing through constant function market makers",
arXiv 2302.04938). Trades found on the way are mixed, pool by pool, by a linear program: a mixture
of two trades of a pool is one that it can do, too, so what the program finds is feasible, and the
dual bounds it from above.

Doubles throughout: a check and a bound, never an amount that is sent. Knows no kind of pool
(_pool and market files are joint_pools' matter) and no integer arithmetic.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOLERANCE = 1e-10
"""Of the optimum: the gap between primal and dual at which the search ends."""
_DESCENTS = 2  # L-BFGS-B is begun anew, with its objective scaled to what is left of it
_STEPS = (60, 300)  # iterations before Newton's steps, and again where those do not settle
_DAMPED = 1e6  # more damping than that leaves no step
_NEWTON = 60  # Newton's steps at most, those that are not taken included
_MOVE = 1e-7  # of a price: for differences
_LONGEST = 0.3  # of a price: one step's change
_KEPT = 8  # points of the descent whose trades the first linear program mixes
_ROUNDS = 60  # linear programs at most
_STALLED = 6  # of them with little gain before the search ends
_COLUMNS = 12  # trades of one pool that are kept: those worth most at the best prices
_LOWEST = 1e-12  # of the reference: the least price of a token without a value
_RADIUS = 1e-2  # of the prices: how far the first program may move them


class Subproblem(Protocol):
    """A pool as the dual sees it; `tokens` are indices into the problem's."""

    @property
    def tokens(self) -> Sequence[int]:
        """Which tokens it trades."""

    def best(self, prices: Sequence[float]) -> Sequence[float] | None:
        """What it pays out of each of its tokens, less what it takes, in the trade worth most.

        `prices` are above 0 and by its own tokens. None where no trade is worth more than nothing.
        """


@dataclass(frozen=True, slots=True)
class Joint:
    """What the pools pay together.

    `value`: of the trades in `trades`, which leave no token short but for rounding; that is taken
    off. `bound`: of the dual, no trades of these pools are worth more. `trades`: what each pool
    pays out of its tokens less what it takes, None where it does not trade. `net`: what is left
    of each token. `prices`: the dual's. `evaluations`: how often every pool was asked.
    """

    value: float
    bound: float
    trades: list[tuple[float, ...] | None]
    net: list[float]
    prices: list[float]
    evaluations: int

    @property
    def gap(self) -> float:
        """The part of the bound that the value does not reach."""
        return (self.bound - self.value) / self.bound if self.bound > 0.0 else 0.0


def solve(
    pools: Sequence[Subproblem],
    values: Sequence[float],
    reference: Sequence[float] | None = None,
    *,
    tolerance: float = TOLERANCE,
    least: float = 0.0,
) -> Joint:
    """The trades of all pools that are worth most together, no token being short in the sum.

    `values`: of a unit of each token, 0 where it is worth nothing but must not be short.
    `reference`: what it is about worth in the pools, above 0, where the search begins; `values` by
    default. A problem is solved where value and bound are within `tolerance` of
    each other, or differ by less than `least`.
    """
    problem = _Dual(pools, values, reference)
    for steps in _STEPS:
        problem.descend(steps, tolerance, least)
        if problem.sharpen(tolerance, least):
            break
    return _Mixture(problem).solve(tolerance, least)


class _Dual:
    """The sum of what every pool gains at given prices, and the lowest one found.

    Prices are in terms of the reference: 1 for each token where the search begins, or its value
    where that is more, for no price below its value is a bound.
    """

    def __init__(
        self,
        pools: Sequence[Subproblem],
        values: Sequence[float],
        reference: Sequence[float] | None,
    ) -> None:
        self.pools = pools
        self.values = np.array(values, dtype=np.float64)
        self.unit = np.array(values if reference is None else reference, dtype=np.float64)
        if not np.all((self.unit > 0.0) & np.isfinite(self.unit)):
            raise ValueError("reference: expected a price above 0 for every token")
        self.low = np.maximum(self.values / self.unit, _LOWEST)
        self.best = math.inf
        self.at = np.maximum(self.low, 1.0)
        self.trades: list[Sequence[float] | None] = []  # at the best prices
        self.evaluations = 0
        self.recent: deque[list[Sequence[float] | None]] = deque(maxlen=_KEPT)

    def evaluate(self, at: Floats) -> tuple[float, Floats]:
        """What the pools gain together, and what they pay of each token, in its reference."""
        prices: list[float] = (self.unit * at).tolist()
        net = [0.0] * len(prices)
        total = 0.0
        trades: list[Sequence[float] | None] = []
        for pool in self.pools:
            tokens = pool.tokens
            trade = pool.best([prices[token] for token in tokens])
            trades.append(trade)
            if trade is not None:
                for token, amount in zip(tokens, trade, strict=True):
                    net[token] += amount
                    total += amount * prices[token]
        self.evaluations += 1
        self.recent.append(trades)
        if total < self.best:
            self.best, self.at, self.trades = total, at.copy(), trades
        return total, self.unit * np.array(net)

    def descend(self, steps: int, tolerance: float, least: float) -> None:
        """Goes down the dual by L-BFGS-B, so many iterations at a time, until it gains no more."""
        from scipy.optimize import minimize  # type: ignore[import-untyped]

        self.evaluate(self.at)
        bounds = [(float(low), None) for low in self.low]
        for _ in range(_DESCENTS):
            scale = self.best
            if scale <= least:
                return

            def scaled(at: Floats, scale: float = scale) -> tuple[float, Floats]:
                total, slope = self.evaluate(at)
                return total / scale, slope / scale

            minimize(
                scaled, self.at, jac=True, method="L-BFGS-B", bounds=bounds,
                options={"maxiter": steps, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-10},
            )  # fmt: skip
            if self.best > scale * (1.0 - tolerance):
                return

    def sharpen(self, tolerance: float, least: float) -> bool:
        """Newton's steps from the best prices; whether they came to rest.

        Damped after Levenberg and Marquardt, within the bounds; a step that does not go down is
        shortened by more damping. The curvature is that of the trades' answers to small changes
        of prices.
        """
        from scipy.sparse import csc_array, diags_array  # type: ignore[import-untyped]
        from scipy.sparse.linalg import spsolve  # type: ignore[import-untyped]

        damping = 1e-4
        total, slope = self.evaluate(self.at.copy())
        at, curvature = self.at, None
        for _ in range(_NEWTON):
            if self.best <= least:
                return True
            if damping > _DAMPED:
                return False
            if curvature is None:
                curvature = self._curvature(at)
                diagonal = curvature.diagonal()
                floor = 1e-9 * max(float(diagonal.max()), 1e-300)
            free = np.flatnonzero((at > self.low) | (slope < 0.0))
            if not len(free):
                return True
            part = csc_array(curvature[free][:, free])
            weights = damping * np.maximum(diagonal[free], floor)
            step = spsolve(csc_array(part + diags_array(weights)), -slope[free])
            trial = at.copy()
            trial[free] += np.clip(step, -_LONGEST * at[free], _LONGEST * at[free])
            trial = np.maximum(trial, self.low)
            found, found_slope = self.evaluate(trial)
            if not found < total:
                if damping < 1.0 and abs(float(slope[free] @ step)) <= tolerance * total:
                    return True
                damping = max(damping, 1e-8) * 10.0
                continue
            settled = damping < 1.0 and total - found <= 0.01 * tolerance * found
            total, slope, at, curvature = found, found_slope, trial, None
            damping = damping / 10.0
            if settled:
                return True
        return False

    def _curvature(self, at: Floats) -> Any:
        """The second derivatives of the dual, by differences of every pool's best trade.

        Only ratios of prices matter to a pool, so that the last token's column follows from the
        others.
        """
        from scipy.sparse import csr_array

        rows: list[int] = []
        columns: list[int] = []
        entries: list[float] = []
        prices: list[float] = (self.unit * at).tolist()
        for pool, trade in zip(self.pools, self.recent[-1], strict=True):
            if trade is None:
                continue
            tokens = pool.tokens
            own = [prices[token] for token in tokens]
            last = [0.0] * len(tokens)
            for k in range(len(tokens) - 1):
                moved = own.copy()
                moved[k] *= 1.0 + _MOVE
                other = pool.best(moved) or [0.0] * len(tokens)
                for row, (old, new) in enumerate(zip(trade, other, strict=True)):
                    slope = (new - old) * own[row] / _MOVE  # of value by a relative change
                    last[row] -= slope
                    rows.append(tokens[row])
                    columns.append(tokens[k])
                    entries.append(slope)
            rows += tokens
            columns += [tokens[-1]] * len(tokens)
            entries += last
        by = 1.0 / at
        scaled = np.array(entries) * by[rows] * by[columns]
        n = len(at)
        matrix = csr_array((scaled, (rows, columns)), shape=(n, n))
        return (matrix + matrix.T) * 0.5


class _Mixture:
    """Mixtures of each pool's trades: the primal, and where to ask the dual next."""

    def __init__(self, dual: _Dual) -> None:
        self.dual = dual
        self.columns: list[list[Sequence[float]]] = [[] for _ in dual.pools]
        self.value = 0.0
        self.trades: list[tuple[float, ...] | None] = [None] * len(dual.pools)
        self.net = np.zeros(len(dual.unit))

    def solve(self, tolerance: float, least: float) -> Joint:
        """Programs and evaluations in turn until value and bound meet, or neither moves."""
        dual = self.dual
        for trades in [*dual.recent, dual.trades]:
            self._take(trades)
        radius, stalled = _RADIUS, 0
        for _ in range(_ROUNDS):
            if dual.best <= least or stalled == _STALLED:
                break
            value, bound = self.value, dual.best
            self._mix()
            if dual.best - self.value <= max(least, tolerance * dual.best):
                break
            at = self._next(radius)
            dual.evaluate(at)
            self._take(dual.recent[-1])
            radius = radius * 2.0 if dual.best < bound else radius / 4.0
            gained = max(self.value - value, bound - dual.best)
            stalled = 0 if gained > 0.1 * (dual.best - self.value) else stalled + 1
        return Joint(
            value=self.value,
            bound=self._bound(),
            trades=self.trades,
            net=self.net.tolist(),
            prices=(dual.unit * dual.at).tolist(),
            evaluations=dual.evaluations,
        )

    def _bound(self) -> float:
        """The dual at the best prices, no pool's part less than what a trade of it is worth.

        A search for the best trade that ends a rounding too early is mended by the other trades.
        """
        total = 0.0
        for pool, trade, columns in zip(
            self.dual.pools, self.dual.trades, self.columns, strict=True
        ):
            prices = [self.dual.unit[token] * self.dual.at[token] for token in pool.tokens]
            known = [*columns, trade] if trade is not None else columns
            worth = [math.fsum(a * b for a, b in zip(each, prices, strict=True)) for each in known]
            total += max([0.0, *worth])
        return total

    def _take(self, trades: Sequence[Sequence[float] | None]) -> None:
        """Adds the trades of one evaluation; those worth least at the best prices make room."""
        prices = self.dual.unit * self.dual.at
        for i, trade in enumerate(trades):
            columns = self.columns[i]
            if trade is None or trade in columns:
                continue
            columns.append(trade)
            if len(columns) > _COLUMNS:
                own = prices[list(self.dual.pools[i].tokens)]
                del columns[int(np.argmin(np.array(columns) @ own))]

    def _program(self, low: Floats, high: Floats | None) -> tuple[Floats, Floats] | None:
        """The best mixture where what is left over is sold at `low` and, with `high`, what is
        short bought: the share of every column, and the price of every token."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_array

        dual = self.dual
        scale = dual.unit / dual.best
        n_tokens = len(scale)
        rows: list[int] = []
        places: list[int] = []
        amounts: list[float] = []
        owners: list[int] = []
        active = [i for i, columns in enumerate(self.columns) if columns]
        for row, i in enumerate(active):
            tokens = dual.pools[i].tokens
            for column in self.columns[i]:
                for token, amount in zip(tokens, column, strict=True):
                    rows.append(token)
                    places.append(len(owners))
                    amounts.append(amount * scale[token])
                owners.append(row)
        n_columns = len(owners)
        short = n_tokens if high is not None else 0
        ends = range(n_tokens)
        rows += [*ends, *ends[:short]]
        places += range(n_columns, n_columns + n_tokens + short)
        amounts += [-1.0] * n_tokens + [1.0] * short
        width = n_columns + n_tokens + short
        cost = np.concatenate([np.zeros(n_columns), -low, *([] if high is None else [high])])
        answer: Any = linprog(
            cost,
            A_eq=csr_array((amounts, (rows, places)), shape=(n_tokens, width)),
            b_eq=np.zeros(n_tokens),
            A_ub=csr_array(
                (np.ones(n_columns), (owners, range(n_columns))), shape=(len(active), width)
            ),
            b_ub=np.ones(len(active)),
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if answer.x is None:
            return None
        return answer.x[:n_columns], answer.eqlin.marginals

    def _mix(self) -> None:
        """Sets the value to that of the best mixture, where it is better than the last one."""
        dual = self.dual
        found = self._program(dual.values / dual.unit, None)
        if found is None:
            return
        weights = iter(found[0].tolist())
        shares = [[max(0.0, next(weights)) for _ in columns] for columns in self.columns]
        net = np.zeros(len(dual.unit))
        trades: list[tuple[float, ...] | None] = []
        for pool, columns, parts in zip(dual.pools, self.columns, shares, strict=True):
            if not any(parts):
                trades.append(None)
                continue
            over = max(1.0, math.fsum(parts))  # a mixture has no more than the whole
            trade = tuple(
                math.fsum(
                    part / over * column[k] for part, column in zip(parts, columns, strict=True)
                )
                for k in range(len(pool.tokens))
            )
            trades.append(trade)
            for token, amount in zip(pool.tokens, trade, strict=True):
                net[token] += amount
        worth = np.where(net < 0.0, dual.unit * dual.at, dual.values)  # what rounding left short
        value = float(np.sum(worth * net))
        if value > self.value:
            self.value, self.trades, self.net = value, trades, net

    def _next(self, radius: float) -> Floats:
        """Where the mixtures' model of the dual is lowest, near the best prices so far."""
        dual = self.dual
        low = np.maximum(dual.low, dual.at * (1.0 - radius))
        high = np.maximum(low, dual.at * (1.0 + radius))
        found = self._program(low, high)
        if found is None:
            return dual.at
        return np.clip(found[1], low, high)
