"""One market on the engine's search, the bare scan and rustworkx at once: what bench_search times.

Owns how a market of bench.search_market is put into each of the three, so that all of them see the
same pools, prices and events.
"""

import math
import time
from dataclasses import dataclass

import rustworkx

from bench.search_market import Event, SearchMarket, events
from mevfast._bench_search import BareScan, ScanLoad


def known_price(pool_price: float) -> float:
    """The log of a price, minus infinity where there is none."""
    return math.log(pool_price) if pool_price > 0 else -math.inf


class Load:
    """A market with its search, its bare scan, and so many events for both."""

    def __init__(
        self, market: SearchMarket, n_events: int, *, seed: int = 1, among: list[int] | None = None
    ) -> None:
        """Everything in its state before the first event."""
        self.market = market
        self.search, self.slots = market.search()
        table = self.search.table
        self.tokens = [
            [table.add_token(bytes.fromhex(token.address[2:])) for token in pool.tokens]
            for pool in market.pools
        ]
        base = {table.add_token(bytes.fromhex(token.address[2:])) for token in market.base_tokens}
        start = [token in base for token in range(len(table.tokens()))]
        self.bare = BareScan([(a, b) for a, b in self.tokens], start)
        self.prices = [self._turned(i, self._first_prices(i)) for i in range(len(market.pools))]
        for i, prices in enumerate(self.prices):
            self.bare.update(i, *prices)
        self.events = list(events(market, n_events, seed, among))
        self.scan = ScanLoad(
            self.search,
            self.bare,
            [
                (each.pool, self.slots[each.pool], each.words, *self.turned(each))
                for each in self.events
            ],
        )

    def _first_prices(self, i: int) -> tuple[float, float]:
        pool = self.market.pools[i].pool
        return known_price(pool.marginal_price(0, 1)), known_price(pool.marginal_price(1, 0))

    def _turned(self, i: int, prices: tuple[float, float]) -> tuple[float, float]:
        a, b = self.tokens[i]
        return prices if a < b else (prices[1], prices[0])

    def turned(self, event: Event) -> tuple[float, float]:
        """Its log prices from the token of the lower id on."""
        return self._turned(event.pool, event.log_price)

    @property
    def n_pairs(self) -> int:
        """Pairs of tokens that have a pool."""
        return len({(min(pair), max(pair)) for pair in self.tokens})

    @staticmethod
    def disagreements(found: list[tuple[int, int]]) -> int:
        """Of ScanLoad.answers: the events of which only one of both says that they open a cycle."""
        return sum((candidates > 0) != (cycles > 0) for candidates, cycles in found)


@dataclass(slots=True)
class _Edge:
    """A directed edge of rustworkx's graph: its index and the pools that it stands for."""

    number: int
    way: int
    pools: list[int]


class Rustworkx:
    """The same market as rustworkx's graph: an edge a pair and direction, weighing -log(price)."""

    def __init__(self, load: Load) -> None:
        """In the state before the first event of `load`."""
        self.load, self.at = load, 0
        self.prices = list(load.prices)
        self.graph: rustworkx.PyDiGraph[int, float] = rustworkx.PyDiGraph(multigraph=False)
        self.graph.add_nodes_from(range(len(load.search.table.tokens())))
        self.edges: dict[tuple[int, int], list[_Edge]] = {}
        by_pair: dict[tuple[int, int], list[int]] = {}
        for i, pair in enumerate(load.tokens):
            by_pair.setdefault((min(pair), max(pair)), []).append(i)
        for (a, b), pools in by_pair.items():
            both = [_Edge(self.graph.add_edge(a, b, 0.0), 0, pools),
                    _Edge(self.graph.add_edge(b, a, 0.0), 1, pools)]  # fmt: skip
            self.edges[a, b] = both
            self._weigh(both)

    def _weigh(self, edges: list[_Edge]) -> None:
        for edge in edges:
            best = max(self.prices[pool][edge.way] for pool in edge.pools)
            self.graph.update_edge_by_index(edge.number, -best)

    def advance(self, n_events: int) -> None:
        """Takes over the next events, from the first one again after the last."""
        for _ in range(n_events):
            event = self.load.events[self.at]
            self.at = (self.at + 1) % len(self.load.events)
            self.prices[event.pool] = self.load.turned(event)
            a, b = self.load.tokens[event.pool]
            self._weigh(self.edges[min(a, b), max(a, b)])

    def gains(self) -> bool:
        """Whether any cycle of any length gains."""
        return bool(rustworkx.negative_edge_cycle(self.graph, float))

    def time(self) -> float:
        """CPU ns of one test."""
        start = time.process_time_ns()
        self.gains()
        return time.process_time_ns() - start
