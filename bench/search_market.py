"""Markets and events for the benches of the search, of any size, as real ones are shaped.

Owns which pairs there are and how prices move. Five hub tokens are in most pairs, and a hub's pair
with another hub holds many pools; other tokens follow a long tail, with one to six pools a pair. A
part of the pairs joins two tokens of the tail. Prices agree with one value for each token but for
noise far below the fees. Each event is a swap that leaves one pool of V2 or V3 a little off its own
price, by less than would pay; a few in a hundred move it by more, so that a cycle may open, and
soon after a swap brings it back. No price wanders: the market after 100,000s of events is like the
one before. The same arguments give the same market and events.
"""

import math
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.market import HUBS, SHARES, THREE_TOKENS, Maker
from mevfast import _graph
from mevfast._cache import Table
from mevfast._math import get_sqrt_ratio_at_tick
from mevfast._pool import Pool, Quote
from mevfast._search import Search
from mevfast.market_file import MarketPool, Token

NOISE = 2e-5
OF_TAIL = 0.15
"""Pairs of two tokens of the tail, as a share of all."""
HUB_PAIR_POOLS = (2, 12)
PAIR_POOLS = 6
"""The most pools in one pair, but for pairs of hubs."""
MOVED = ("uniswap_v2", "uniswap_v3")
QUIET = 0.25
"""How far an event leaves a pool off at most, in fees of its own: too little to pay for them."""
OPENING = 0.03
"""The share of events that may open a cycle."""
OPENS_BY = (0.0005, 0.004)
"""How far those leave a pool off, as a fraction of its price on top of its fee."""
CLOSING = 0.5
"""While there is such a pool: the share of events that bring one back."""
Q96 = 2**96
WIDEST = 887_272
SPOT_AMOUNT = 1 << 200


@dataclass(slots=True)
class SearchMarket:
    """Pools with their states, and the tokens that cycles start from."""

    pools: list[MarketPool]
    base_tokens: list[Token]

    def search(self) -> tuple[Search, list[int]]:
        """A table with these pools and its search, and the slot of each pool."""
        table = Table(max(64, len(self.pools)), 64 * len(self.pools))
        base = [bytes.fromhex(token.address[2:]) for token in self.base_tokens]
        search = Search(table, base, base[0])
        slots = []
        for pool in self.pools:
            record = pool.record
            slots.append(table.put(record.id, record.kind, record.tokens, pool.pool, 1))
            search.add_pool(slots[-1])
        return search, slots


@dataclass(slots=True, frozen=True)
class Event:
    """The state of one pool after a swap: the words of its log but for a V3 swap's amounts."""

    pool: int
    words: tuple[int, ...]
    log_price: tuple[float, float]
    """Of token 0 and of token 1, fee taken off."""


def traded(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the kinds that the search knows."""
    known = getattr(_graph, "TRADED", kinds)
    return tuple(kind for kind in kinds if kind in known)


class _Maker(Maker):
    """bench.market's, with the pairs that are asked for, closer prices, and liquidity at any."""

    def of_pair(self, kind: str, pair: tuple[Token, Token]) -> MarketPool:
        """A pool of a kind over two tokens."""
        low, high = sorted(pair, key=lambda token: token.address)
        address = "0x" + self.chance.randbytes(32 if kind == "uniswap_v4" else 20).hex()
        return MarketPool(address, kind, (low, high), Pool(kind, self._fields(kind, (low, high))))

    def _concentrated(self, kind: str, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
        """As there, but at the tokens' values to less than a tick, which a fee may be, and with one
        position over all prices."""
        fields = super()._concentrated(kind, tokens, depth)
        amount0, amount1 = self.amounts(tokens, depth)
        low, high = (get_sqrt_ratio_at_tick(fields["tick"] + i) for i in (0, 1))
        price = math.isqrt(amount1 * Q96**2 // amount0)
        end = WIDEST // fields["tick_spacing"] * fields["tick_spacing"]
        wide = fields["liquidity"] // 4
        ticks = [[-end, wide, wide], *fields["ticks"], [end, wide, -wide]]
        return fields | {"sqrt_price_x96": min(max(price, low), high - 1), "ticks": ticks,
                         "liquidity": fields["liquidity"] + wide}  # fmt: skip


def _pairs(n_pairs: int, tokens: list[Token], chance: random.Random) -> Iterator[tuple[int, int]]:
    """Pairs of places among the tokens, the same ones again and again as far as they are liked."""
    tail = len(tokens) - HUBS

    def of_tail(slope: int) -> int:
        return HUBS + int(tail * chance.random() ** slope)

    for hub in range(HUBS):
        for other in range(hub + 1, HUBS):
            yield hub, other
    while True:
        if chance.random() < OF_TAIL:
            a, b = sorted((of_tail(3), of_tail(2)))
        else:
            [a] = chance.choices(range(HUBS), weights=(8, 4, 2, 1, 1))
            b = of_tail(2)
        if a != b:
            yield a, b


def make_market(
    n_pools: int, seed: int = 1, *, others: bool = False, parallel: int | None = None
) -> SearchMarket:
    """A market of so many pools.

    Args:
        n_pools: in all.
        seed: of everything.
        others: kinds beside V2 and V3, as far as the search knows them, by bench.market's shares.
        parallel: so many pools in each pair, of pairs that depend on n_pools // parallel and the
            seed alone.
    """
    n_pairs = n_pools // (parallel or 1)
    maker, chance = _Maker(seed, n_pairs, NOISE), random.Random(seed)
    kinds = traded(tuple(k for k in SHARES if k not in THREE_TOKENS)) if others else MOVED
    weights = [SHARES[kind] for kind in kinds]
    held: Counter[tuple[int, int]] = Counter()
    pools: list[MarketPool] = []
    least, most = HUB_PAIR_POOLS
    of_hubs = min(most, max(least, n_pools // 100))
    for pair in _pairs(n_pairs, maker.tokens, chance):
        hubs = pair[1] < HUBS
        if parallel:
            count = 0 if held[pair] else parallel
        else:
            count = of_hubs if hubs else int(held[pair] < PAIR_POOLS)
        held[pair] += count
        for kind in maker.chance.choices(kinds, weights, k=count):
            if len(pools) == n_pools:
                break
            a, b = pair
            pools.append(maker.of_pair(kind, (maker.tokens[a], maker.tokens[b])))
        if len(pools) == n_pools:
            return SearchMarket(pools, maker.tokens[: HUBS - 1])
    raise AssertionError("pairs do not end")


# ---- events ----


class _Mover:
    """One pool that moves: its state, and the price it comes back to."""

    def __init__(self, pool: MarketPool) -> None:
        self.pool = Pool(pool.kind, pool.pool.fields())
        fields = self.pool.fields()
        self.v2 = pool.kind == "uniswap_v2"
        self.fee = fields["fee_pips"] * 1e-6
        self.state = fields
        self.home = self.price()

    def price(self) -> float:
        """Token 1 for one of token 0, without the fee."""
        if self.v2:
            return float(self.state["reserve1"] / self.state["reserve0"])
        return float((self.state["sqrt_price_x96"] / Q96) ** 2)

    def move(self, off: float) -> tuple[int, ...] | None:
        """A swap that leaves the price about e**off times its home: the log's words, or None where
        it is there already, to a unit."""
        target, price = self.home * math.exp(off), self.price()
        way = 0 if target < price else 1
        root = math.sqrt(max(target / price, price / target))
        if self.v2:
            amount = int(self.state[f"reserve{way}"] * (root - 1))
        else:
            limit = int(math.sqrt(target) * Q96)
            if limit == self.state["sqrt_price_x96"]:
                return None
            asked = self.pool.quote(way, SPOT_AMOUNT, sqrt_price_limit_x96=limit)
            amount = asked.amount_in if isinstance(asked, Quote) else 0
        if amount == 0:
            return None
        done = self.pool.apply(way, amount)
        if not isinstance(done, Quote):
            return None
        self.state = self.state | done.after
        names = ("reserve0", "reserve1") if self.v2 else ("sqrt_price_x96", "liquidity", "tick")
        return tuple(done.after[name] % (1 << 256) for name in names)


def events(
    market: SearchMarket, count: int, seed: int = 1, among: list[int] | None = None
) -> Iterator[Event]:
    """So many events, each in a random pool of the market or `among` some of them (indices)."""
    chance = random.Random(seed)
    moved = [i for i in (among or range(len(market.pools))) if market.pools[i].kind in MOVED]
    movers: dict[int, _Mover] = {}
    opened: deque[int] = deque()
    made = 0
    while made < count:
        off, opens = chance.uniform(-QUIET, QUIET), False
        if opened and chance.random() < CLOSING:
            i = opened.popleft()
        else:
            i = chance.choice(moved)
            opens = chance.random() < OPENING
        if i not in movers:
            movers[i] = _Mover(market.pools[i])
        mover = movers[i]
        off *= mover.fee
        if opens:
            off = math.copysign(mover.fee + chance.uniform(*OPENS_BY), off)
        if i in opened or (words := mover.move(off)) is None:
            continue
        if opens:
            opened.append(i)
        made += 1
        prices = mover.pool.marginal_price(0, 1), mover.pool.marginal_price(1, 0)
        yield Event(i, words, (math.log(prices[0]), math.log(prices[1])))
