"""What each family of pools trades best at given prices: the subproblems of joint.

Owns one small class a family, made from the states behind _pool. Constant product and weighted
pools have a closed form, concentrated liquidity is walked range by range, and all others are asked
through their exact quotes. Doubles throughout, in the tokens' own smallest units.

A pool trades once: that it may pay a little more for two trades in a row, because a fee stays with
the token that is paid out (Curve), is left out. A weighted pool's limit of a third of a balance for
one swap is none for several, and left out as well.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

from mevfast._math import get_sqrt_ratio_at_tick
from mevfast._pool import Pool, Quote, Refused
from mevfast.joint import Subproblem

_Q96 = 2.0**96
_WAD = 1e18
_LARGEST = 1 << 127  # of an input that is tried
_CLOSE = 1e-7  # of an input: where a search by quotes ends; what that costs is its square
_CLOSE_PRICE = 1e-13  # of a price
_CROSSING_STEPS = 60
_FEE_UNIT = 10**10  # of Curve's fees
_CAMELOT_UNIT = 100_000
_GOLDEN = 0.381966011250105
_SWEEPS = 12  # over the swaps of a pool of three tokens and more
_SETTLED = 1e-10  # of the gain: what a sweep must add
_PROBE = 1 << 60  # a liquidity that has a price


Way = tuple[int, int]
"""Which of a pool's tokens goes in and which comes out."""


class ConstantProduct:
    """x y = k, a fee off the input; fee_0 and fee_1 are what is kept of an input of each token."""

    def __init__(
        self, tokens: Sequence[int], reserves: Sequence[float], kept: Sequence[float]
    ) -> None:
        """`kept`: 1 less the fee, by the token that goes in."""
        self.tokens = tuple(tokens)
        self.reserve0, self.reserve1 = reserves
        self.kept0, self.kept1 = kept

    def best(self, prices: Sequence[float]) -> Sequence[float] | None:
        """To where the marginal price is that of the prices (Subproblem)."""
        price0, price1 = prices
        reserve0, reserve1 = self.reserve0, self.reserve1
        worth0, worth1 = price0 * reserve0, price1 * reserve1
        if self.kept0 * worth1 > worth0:
            # moved by this much in x, less than 1 of y is kept
            grown = math.sqrt(self.kept0 * worth1 / worth0)
            return (-reserve0 * (grown - 1.0) / self.kept0, reserve1 * (grown - 1.0) / grown)
        if self.kept1 * worth0 > worth1:
            grown = math.sqrt(self.kept1 * worth0 / worth1)
            return (reserve0 * (grown - 1.0) / grown, -reserve1 * (grown - 1.0) / self.kept1)
        return None


class Weighted:
    """The product of x_i ** w_i is constant, a fee off the input; any number of tokens at once."""

    def __init__(
        self,
        tokens: Sequence[int],
        balances: Sequence[float],
        weights: Sequence[float],
        kept: float,
    ) -> None:
        """`weights` add up to 1; `kept` is 1 less the fee."""
        self.tokens = tuple(tokens)
        self.balances = tuple(balances)
        self.weights = tuple(weights)
        self.kept = kept
        self.fee = -math.log(kept)

    def best(self, prices: Sequence[float]) -> Sequence[float] | None:
        """Each token's balance is in proportion to weight by price, or stays within the fee.

        With m the logarithm of the proportion, the one token i goes to exp(m - a_i) times its
        balance where that is below 1, to exp(m - a_i - fee) times where that is above 1, and is
        left alone in between: the weighted sum of the exponents is 0 at one m only, found by
        going through the ends of those intervals.
        """
        logs = [
            math.log(price * balance / weight)
            for price, balance, weight in zip(prices, self.balances, self.weights, strict=True)
        ]
        if max(logs) - min(logs) <= self.fee:
            return None
        level = self._level(logs)
        trade = []
        for a, balance in zip(logs, self.balances, strict=True):
            if level < a:
                trade.append(-balance * math.expm1(level - a))
            elif level > a + self.fee:
                trade.append(-balance * math.expm1(level - a - self.fee) / self.kept)
            else:
                trade.append(0.0)
        return tuple(trade)

    def _level(self, logs: Sequence[float]) -> float:
        """The m where the weighted sum of exponents is 0."""
        turns = sorted(
            [(a, -w) for a, w in zip(logs, self.weights, strict=True)]
            + [(a + self.fee, w) for a, w in zip(logs, self.weights, strict=True)]
        )
        # At the lowest turn every token is still below 1: the sum is that of w (m - a).
        slope = math.fsum(self.weights)
        level = turns[0][0]
        total = math.fsum(w * (level - a) for a, w in zip(logs, self.weights, strict=True))
        for turn, change in turns:
            reached = total + slope * (turn - level)
            if reached >= 0.0 and slope > 0.0:
                break
            total, level = reached, turn
            slope += change
        return level - total / slope if slope > 0.0 else level


class _Way:
    """One direction of a concentrated pool: ranges from the price on, each with its liquidity.

    In terms of the token that goes in: roots are of its price in the other, falling.
    """

    def __init__(self, root: float, stops: Sequence[tuple[float, float]], kept: float) -> None:
        """`stops`: the root where a range ends and the liquidity in it."""
        self.kept = kept
        self.neg_ends: list[float] = []
        self.starts: list[float] = []
        self.liquidity: list[float] = []
        self.taken: list[float] = []  # before the range: what goes in, fee not added
        self.paid: list[float] = []
        taken = paid = 0.0
        for end, liquidity in stops:
            self.neg_ends.append(-end)
            self.starts.append(root)
            self.liquidity.append(liquidity)
            self.taken.append(taken)
            self.paid.append(paid)
            taken += liquidity * (root - end) / (root * end)
            paid += liquidity * (root - end)
            root = end
        self.end = (taken, paid)

    def to(self, root: float) -> tuple[float, float]:
        """What goes in, the fee included, and what comes out until the price's root is this."""
        k = bisect_left(self.neg_ends, -root)
        if k == len(self.neg_ends):
            taken, paid = self.end
            return taken / self.kept, paid
        moved = max(0.0, self.starts[k] - root)
        liquidity = self.liquidity[k]
        taken = self.taken[k] + liquidity * moved / (self.starts[k] * root)
        return taken / self.kept, self.paid[k] + liquidity * moved


class Concentrated:
    """Liquidity by ranges of the price: Uniswap V3 and V4, Pancake V3, Algebra."""

    def __init__(
        self, tokens: Sequence[int], fields: dict[str, Any], kept: Sequence[float]
    ) -> None:
        """`fields` as Pool gives them; `kept`: 1 less the fee, by the token that goes in."""
        self.tokens = tuple(tokens)
        self.fields = fields
        self.kept0, self.kept1 = kept
        self.root = fields["sqrt_price_x96"] / _Q96
        self._ways: list[_Way | None] = [None, None]

    def _way(self, token_in: int) -> _Way:
        way = self._ways[token_in]
        if way is None:
            way = self._ways[token_in] = self._walk(token_in)
        return way

    def _walk(self, token_in: int) -> _Way:
        """The ranges below the price for token 0, above it for token 1: those by their inverse."""
        tick, liquidity = self.fields["tick"], self.fields["liquidity"]
        ticks = [(entry[0], entry[-1]) for entry in self.fields["ticks"]]
        stops = []
        if token_in == 0:
            for place, net in sorted((each for each in ticks if each[0] <= tick), reverse=True):
                stops.append((get_sqrt_ratio_at_tick(place) / _Q96, float(liquidity)))
                liquidity -= net
            return _Way(self.root, stops, self.kept0)
        for place, net in sorted(each for each in ticks if each[0] > tick):
            stops.append((_Q96 / get_sqrt_ratio_at_tick(place), float(liquidity)))
            liquidity += net
        return _Way(1.0 / self.root, stops, self.kept1)

    def best(self, prices: Sequence[float]) -> Sequence[float] | None:
        """To where the marginal price is theirs, or the last range ends (Subproblem)."""
        price0, price1 = prices
        goal = math.sqrt(price0 / (price1 * self.kept0))
        if goal < self.root:
            taken, paid = self._way(0).to(goal)
            return (-taken, paid) if paid > 0.0 else None
        goal = math.sqrt(price1 / (price0 * self.kept1))
        if goal * self.root < 1.0:
            taken, paid = self._way(1).to(goal)
            return (paid, -taken) if paid > 0.0 else None
        return None


class Quoted:
    """Any pool, through its exact quotes; of three tokens and more, several swaps in a row.

    For two tokens the best trade is found as exactly as wei are. For more it is the best that
    going round the swaps finds, each sized with the others as they are: feasible always, and a
    bound made with it is one for what such searches find.
    """

    def __init__(self, tokens: Sequence[int], pool: Pool) -> None:
        """`tokens`: of the problem, in the pool's order."""
        self.tokens = tuple(tokens)
        self.pool = pool
        self.rates = {
            way: rate
            for way in permutations(range(pool.n_tokens), 2)
            if (rate := pool.marginal_price(*way)) > 0.0
        }
        # Balances above their own invariant are given away with the first unit.
        for way in self.rates:
            answer = pool.quote(way[0], 1, token_out=way[1])
            if isinstance(answer, Quote):
                self.rates[way] = max(self.rates[way], float(answer.amount_out))
        self.last = dict.fromkeys(self.rates, 1)  # where the next search of a way begins

    def best(self, prices: Sequence[float]) -> Sequence[float] | None:
        """The trade worth most (Subproblem)."""
        ways = [way for way, rate in self.rates.items() if rate * prices[way[1]] > prices[way[0]]]
        if not ways:
            return None
        if len(ways) == 1:
            swaps = {ways[0]: self._size(self.pool, ways[0], prices)[0]}
        else:
            swaps = self._round(ways, prices)
        trade = [0.0] * self.pool.n_tokens
        for (i, j), taken, paid in self._after(swaps)[1]:
            trade[i] -= taken
            trade[j] += paid
        if math.fsum(a * b for a, b in zip(trade, prices, strict=True)) <= 0.0:
            return None
        return tuple(trade)

    def _after(self, swaps: Mapping[Way, int]) -> tuple[Pool, list[tuple[Way, int, int]]]:
        """The pool after swaps in a row, and what each took and paid."""
        pool, done = Pool(self.pool.kind, self.pool.fields()), []
        for way, amount in swaps.items():
            answer = pool.apply(way[0], amount, token_out=way[1])
            if isinstance(answer, Quote):
                done.append((way, answer.amount_in, answer.amount_out))
        return pool, done

    def _round(self, ways: Sequence[Way], prices: Sequence[float]) -> dict[Way, int]:
        """Swaps of a pool of several tokens: each in turn becomes the last one, sized anew."""
        ways = sorted(ways, key=lambda way: -self.rates[way] * prices[way[1]] / prices[way[0]])
        swaps: dict[Way, int] = {}
        most = 0.0
        for _ in range(_SWEEPS):
            before = most
            for way in ways:
                others = {each: amount for each, amount in swaps.items() if each != way}
                pool, done = self._after(others)
                size, gain = self._size(pool, way, prices)
                gain += math.fsum(
                    prices[j] * paid - prices[i] * taken for (i, j), taken, paid in done
                )
                if gain > most:
                    swaps, most = (others | {way: size} if size else others), gain
            if most - before <= _SETTLED * most:
                break
        return swaps

    def _size(self, pool: Pool, way: Way, prices: Sequence[float]) -> tuple[int, float]:
        """The input of one swap that gains most, and the gain; zeros where none gains."""
        i, j = way
        goal = prices[i] / prices[j]

        def gain(amount: int) -> float:
            answer = pool.quote(i, amount, token_out=j)
            if isinstance(answer, Refused):
                return -math.inf
            return prices[j] * answer.amount_out - prices[i] * answer.amount_in

        smooth, kept = _smooth(pool)
        size = _crossing(smooth or pool, way, goal / kept, self.last[way])
        if smooth is not None:
            size = max(1, int(size / kept))
            most = gain(size)
        else:
            # A fee that moves with the balances is not in the price: by the gain to its top.
            at = gain(size)
            while (above := gain(2 * size)) > at and size < _LARGEST:
                size, at = 2 * size, above
            while size > 1 and (below := gain(size // 2)) > at:
                size, at = size // 2, below
            size, most = _peak(gain, size // 2, size, 2 * size)
        if most <= 0.0:
            return 0, 0.0
        self.last[way] = size
        return size, most


def _smooth(pool: Pool) -> tuple[Pool | None, float]:
    """The same curve with every fee out of the pool, whose price after an input is the slope of
    what is paid for it, and what is kept of an input before; None where the fee itself moves."""
    fields = pool.fields()
    if pool.kind == "balancer_composable_stable":
        return Pool(pool.kind, fields | {"swap_fee": 0}), 1.0 - fields["swap_fee"] / _WAD
    if fields.get("offpeg_fee_multiplier", 0) <= _FEE_UNIT and "admin_fee" in fields:
        return Pool(pool.kind, fields | {"admin_fee": _FEE_UNIT}), 1.0
    if pool.kind == "camelot_v2":
        return Pool(pool.kind, fields | {"owner_fee_share": _CAMELOT_UNIT}), 1.0
    return (pool if pool.kind == "solidly" else None), 1.0


def _crossing(pool: Pool, way: Way, goal: float, start: int) -> int:
    """The input after which the price is `goal`, searched from `start` on; 1 at least."""
    target = math.log(goal)

    def above(amount: int) -> float:
        """The logarithm of the price over the goal; inf where the input is still too small."""
        answer = pool.quote(way[0], amount, token_out=way[1])
        if isinstance(answer, Refused):
            return math.inf if answer.reason == "NO_OUTPUT" else -math.inf
        return math.log(answer.price_after) - target if answer.price_after > 0.0 else -math.inf

    high, top = start, above(start)
    low, bottom = high, top
    while top > 0.0 and high < _LARGEST:
        low, bottom = high, top
        high *= 2
        top = above(high)
    while bottom <= 0.0 and low > 1:
        high, top = low, bottom
        low //= 2
        bottom = above(low)
    if bottom <= 0.0:
        return low
    side = 0
    for _ in range(_CROSSING_STEPS):  # regula falsi, Illinois
        if high - low <= 1:
            break
        if math.isfinite(bottom) and math.isfinite(top):
            middle = low + int((high - low) * bottom / (bottom - top))
        else:
            middle = (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        found = above(middle)
        if abs(found) < _CLOSE_PRICE:
            return middle
        if found > 0.0:
            low, bottom = middle, found
            top = top / 2.0 if side > 0 else top
            side = 1
        else:
            high, top = middle, found
            bottom = bottom / 2.0 if side < 0 else bottom
            side = -1
    return low


def _peak(worth: Callable[[int], float], low: int, middle: int, high: int) -> tuple[int, float]:
    """The input between two at which a concave function is most, near a third (Brent's method)."""
    a, b = float(low), float(high)
    x = w = v = float(middle)
    fx = fw = fv = -worth(max(1, int(x)))
    step = before = 0.0
    for _ in range(80):
        centre = 0.5 * (a + b)
        close = _CLOSE * x + 0.5
        if abs(x - centre) <= 2.0 * close - 0.5 * (b - a):
            break
        golden = True
        if abs(before) > close and math.isfinite(fw) and math.isfinite(fv):
            r, q = (x - w) * (fx - fv), (x - v) * (fx - fw)
            p, q = (x - v) * q - (x - w) * r, 2.0 * (q - r)
            p, q = (-p, q) if q > 0.0 else (p, -q)
            if abs(p) < abs(0.5 * q * before) and q * (a - x) < p < q * (b - x):
                before, step, golden = step, p / q, False
                if x + step - a < 2.0 * close or b - x - step < 2.0 * close:
                    step = math.copysign(close, centre - x)
        if golden:
            before = (a if x >= centre else b) - x
            step = _GOLDEN * before
        u = x + (step if abs(step) >= close else math.copysign(close, step))
        fu = -worth(max(1, int(u)))
        if fu <= fx:
            a, b = (x, b) if u >= x else (a, x)
            v, fv, w, fw, x, fx = w, fw, x, fx, u, fu
        else:
            a, b = (u, b) if u < x else (a, u)
            if fu <= fw or w == x:
                v, fv, w, fw = w, fw, u, fu
            elif fu <= fv or v in (x, w):
                v, fv = u, fu
    return max(1, int(x)), -fx


# ---- from states ----


def _kept_of_product(pool: Pool, reserves: Sequence[int]) -> tuple[float, float]:
    """1 less the fee, by token in: from the prices, which all versions of such pools have."""
    x, y = reserves
    return pool.marginal_price(0) * x / y, pool.marginal_price(1) * y / x


def _concentrated(tokens: Sequence[int], pool: Pool, fields: dict[str, Any]) -> Subproblem | None:
    probe = Pool(pool.kind, fields | {"liquidity": _PROBE})
    price = (fields["sqrt_price_x96"] / _Q96) ** 2
    kept = (probe.marginal_price(0) / price, probe.marginal_price(1) * price)
    if min(kept) <= 0.0:
        return None
    return Concentrated(tokens, fields, kept)


def subproblem(tokens: Sequence[int], pool: Pool) -> Subproblem | None:
    """The subproblem of a pool of any kind, its tokens by their numbers in the problem.

    None where it cannot trade: it is empty, or takes hooks.
    """
    fields = pool.fields()
    probe = pool.quote(0, 1 << 60, token_out=1)
    if "sqrt_price_x96" in fields:
        if isinstance(probe, Refused) and probe.reason == "UNSUPPORTED":
            return None
        return _concentrated(tokens, pool, fields)
    if pool.kind == "balancer_weighted":
        if not all(fields["balances"]):
            return None
        weights = [weight / _WAD for weight in fields["weights"]]
        return Weighted(tokens, fields["balances"], weights, 1.0 - fields["swap_fee"] / _WAD)
    if "reserve0" in fields and not fields.get("stable", False):
        reserves = (fields["reserve0"], fields["reserve1"])
        if not all(reserves):
            return None
        return ConstantProduct(tokens, reserves, _kept_of_product(pool, reserves))
    quoted = Quoted(tokens, pool)
    return quoted if quoted.rates else None
