"""Make a market file of any size: how long do load, warm start, write, state hash and scan take?

    python -m bench.market --pools 20000 [--seed 1] [--noise 0] [-o FILE]

Without -o it times load, warm start, state hash, write and scan on a file in a temporary folder;
with -o it leaves the file and times nothing. Every kind of pool is in it; a third have concentrated
liquidity, with 30 to 60 ticks each. All prices agree with one value for each token but for --noise,
which as a fraction of the price opens cycles. The same arguments give the same bytes.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mevfast import market_file
from mevfast._cache import Table
from mevfast._math import get_sqrt_ratio_at_tick
from mevfast._pool import Pool
from mevfast._search import Search
from mevfast.market_file import MarketFile, MarketPool, Token
from mevfast.scan_command import scan

CHAIN_ID = 42161
BLOCK = 300_000_000
WAD = 10**18
HUBS = 5
"""Tokens that most pools have one of; the first four are the base tokens."""
DECIMALS = (18, 6, 8, 18)
FEES = {100: 1, 500: 10, 3000: 60, 10000: 200}
"""Fee tiers of concentrated liquidity, and their tick spacings."""
TICKS = (30, 60)
ROUNDS = 5
"""How often each thing is timed; the best counts, because these machines run in fits."""

# What of a hundred pools are of each kind.
SHARES = {
    "uniswap_v2": 45,
    "uniswap_v3": 18,
    "pancake_v3": 4,
    "algebra_v1": 4,
    "algebra_integral": 3,
    "uniswap_v4": 5,
    "camelot_v2": 4,
    "solidly": 5,
    "curve_stable": 2,
    "curve_stable_ng": 2,
    "curve_twocrypto_ng": 2,
    "curve_tricrypto_ng": 1,
    "balancer_weighted": 3,
    "balancer_composable_stable": 2,
}
THREE_TOKENS = ("curve_tricrypto_ng",)


class Maker:
    """The market while it is made; `value` is what a whole unit of each token is worth."""

    def __init__(self, seed: int, n_pools: int, noise: float) -> None:
        """Tokens: half as many as pools, of which HUBS are in most pools."""
        self.chance = random.Random(seed)
        self.noise = noise
        self.tokens = [self._token(i) for i in range(max(HUBS + 2, n_pools // 2))]
        self.value = {
            token: 10 ** self.chance.uniform(-4, 1) if i else 1.0
            for i, token in enumerate(self.tokens)
        }

    def _token(self, number: int) -> Token:
        address = "0x" + self.chance.randbytes(20).hex()
        return Token(address, f"T{number}", self.chance.choice(DECIMALS) if number else 18)

    def pool(self, kind: str) -> MarketPool:
        """One pool of a kind over a hub and other tokens, deep enough to be worth a scan."""
        [hub] = self.chance.choices(self.tokens[:HUBS], weights=(8, 4, 2, 1, 1))
        others = self.tokens[HUBS:]
        # the square: some tokens are in many pools, and so there are parallel ones
        start = int(len(others) * self.chance.random() ** 2)
        count = 2 if kind in THREE_TOKENS else 1
        chosen = [others[(start + i) % len(others)] for i in range(count)]
        tokens = tuple(sorted((hub, *chosen), key=lambda token: token.address))
        address = "0x" + self.chance.randbytes(32 if kind == "uniswap_v4" else 20).hex()
        return MarketPool(address, kind, tokens, Pool(kind, self._fields(kind, tokens)))

    def _fields(self, kind: str, tokens: tuple[Token, ...]) -> dict[str, Any]:
        depth = 10 ** self.chance.uniform(1, 4)
        if kind in STATES:
            return STATES[kind](self, tokens, depth)
        return self._concentrated(kind, tokens, depth)

    def amounts(self, tokens: tuple[Token, ...], depth: float) -> list[int]:
        """Raw units of every token that are worth `depth`, but for the noise."""
        return [
            int(depth / self.value[token] * (1 + self.chance.uniform(-1, 1) * self.noise)
                * 10**token.decimals)
            for token in tokens
        ]  # fmt: skip

    def _concentrated(self, kind: str, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
        amount0, amount1 = self.amounts(tokens, depth)
        fee, spacing = self.chance.choice(list(FEES.items()))
        price = min(max(amount1 / amount0, 1e-30), 1e30)
        tick = math.floor(math.log(price, 1.0001))
        low, high = get_sqrt_ratio_at_tick(tick), get_sqrt_ratio_at_tick(tick + 1)
        unit = math.isqrt(amount0 * amount1) // 10 + 1
        net = self._positions(tick // spacing, unit)
        fields: dict[str, Any] = {
            "fee_pips": fee,
            "tick_spacing": spacing,
            "sqrt_price_x96": self.chance.randrange(low, high),
            "tick": tick,
            "liquidity": sum(
                entry[1] for place, entry in net.items() if place * spacing <= tick
            ),
            "ticks": [[place * spacing, *net[place]] for place in sorted(net)],
        }  # fmt: skip
        if kind == "uniswap_v4":
            fields["hooks"] = "0x" + "00" * 20
        return fields

    def _positions(self, middle: int, unit: int) -> dict[int, tuple[int, int]]:
        """Gross and net liquidity at the bounds of nested positions about a place."""
        net: dict[int, tuple[int, int]] = {}
        reach = 0
        for _ in range(self.chance.randint(TICKS[0] // 2, TICKS[1] // 2)):
            reach += self.chance.randint(1, 4)
            liquidity = self.chance.randint(unit // 2, unit * 2)
            net[middle - reach] = (liquidity, liquidity)
            net[middle + reach] = (liquidity, -liquidity)
        return net


def _pair(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    reserve0, reserve1 = maker.amounts(tokens, depth)
    return {"reserve0": reserve0, "reserve1": reserve1}


def _camelot(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    decimals = {f"decimals{i}": 10**token.decimals for i, token in enumerate(tokens)}
    return _pair(maker, tokens, depth) | decimals | {"stable": False, "fee_percent": [300, 500]}


def _solidly(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    decimals = {f"decimals{i}": 10**token.decimals for i, token in enumerate(tokens)}
    return _pair(maker, tokens, depth) | decimals | {"stable": False, "fee_bps": 30}


def _rates(maker: Maker, tokens: tuple[Token, ...]) -> list[int]:
    """1e18-based, and worth their tokens' values: as of tokens that accrue."""
    return [
        int(maker.value[token] * WAD) * 10 ** (18 - token.decimals) for token in tokens
    ]  # fmt: skip


def _curve(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    return {
        "shape": "plain",
        "amp": 200,
        "fee": 4_000_000,
        "rates": _rates(maker, tokens),
        "balances": maker.amounts(tokens, depth),
    }


def _curve_ng(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    return {
        "amp_precise": 20_000,
        "fee": 1_000_000,
        "offpeg_fee_multiplier": 20_000_000_000,
        "rates": _rates(maker, tokens),
        "balances": maker.amounts(tokens, depth),
    }


def _crypto(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    """Balanced at price_scale, where D is the sum of what the balances are worth."""
    first = maker.value[tokens[0]]
    two = len(tokens) == 2
    return {
        "amp": 400_000 if two else 1_707_629,
        "gamma": 145 * 10**12 if two else 11_809_167_828_997,
        "mid_fee": 26_000_000,
        "out_fee": 45_000_000,
        "fee_gamma": 230 * 10**12,
        "precisions": [10 ** (18 - token.decimals) for token in tokens],
        "price_scale": [int(maker.value[token] / first * WAD) for token in tokens[1:]],
        "balances": maker.amounts(tokens, depth),
        "d": int(depth / first * len(tokens)) * WAD,
    }


def _weighted(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    return {
        "swap_fee": 3 * 10**15,
        "weights": [WAD // 2, WAD // 2],
        "scaling_factors": [10 ** (36 - token.decimals) for token in tokens],
        "balances": maker.amounts(tokens, depth),
    }


def _composable(maker: Maker, tokens: tuple[Token, ...], depth: float) -> dict[str, Any]:
    return {
        "swap_fee": 10**14,
        "amp": 200_000,
        "scaling_factors": _rates(maker, tokens),
        "balances": maker.amounts(tokens, depth),
    }


STATES: dict[str, Callable[[Maker, tuple[Token, ...], float], dict[str, Any]]] = {
    "uniswap_v2": lambda *given: _pair(*given) | {"fee_pips": 3000},
    "camelot_v2": _camelot,
    "solidly": _solidly,
    "curve_stable": _curve,
    "curve_stable_ng": _curve_ng,
    "curve_twocrypto_ng": _crypto,
    "curve_tricrypto_ng": _crypto,
    "balancer_weighted": _weighted,
    "balancer_composable_stable": _composable,
}


def make(path: str, n_pools: int, seed: int = 1, noise: float = 0.0) -> str:
    """Writes a market of so many pools; returns its state hash."""
    maker = Maker(seed, n_pools, noise)
    kinds = list(SHARES)
    # one of each kind first, so that a small market has them all, too
    chosen = kinds + maker.chance.choices(kinds, list(SHARES.values()), k=n_pools)
    pools = tuple(maker.pool(kind) for kind in chosen[:n_pools])
    tokens = tuple(maker.tokens)
    return market_file.write(MarketFile(path, CHAIN_ID, BLOCK, tokens, tokens[: HUBS - 1], pools))


def _best(name: str, work: Callable[[], object], timings: list[str]) -> None:
    """Adds the best time by the processor, which neighbours do not lengthen, and by the clock."""
    busy = clock = math.inf
    for _ in range(ROUNDS):
        busy_from, clock_from = time.process_time(), time.perf_counter()
        work()
        busy = min(busy, time.process_time() - busy_from)
        clock = min(clock, time.perf_counter() - clock_from)
    timings.append(f"{name} {busy:.2f} s ({clock:.2f} by the clock)")


def _warm(path: str) -> None:
    """What a start from the file takes before the node's logs since are applied."""
    market = market_file.load(path)
    table = Table(capacity=2 * len(market.pools))
    base = [bytes.fromhex(token.address[2:]) for token in market.base_tokens]
    search = Search(table, base, base[0])
    for pool in market.pools:
        record = pool.record
        slot = table.put(record.id, record.kind, record.tokens, pool.pool, market.block)
        search.add_pool(slot)


def measure(n_pools: int, seed: int) -> str:
    """Best times of load, warm start, state hash, write and scan on a made market, in words."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "market.json"))
        make(path, n_pools, seed)
        market = market_file.load(path)
        size = Path(path).stat().st_size / 1e6
        timings: list[str] = []
        _best("load", lambda: market_file.load(path), timings)
        _best("warm start (load, table, graph)", lambda: _warm(path), timings)
        _best("state_hash", lambda: market_file.state_hash(market.pools), timings)
        _best("write", lambda: market_file.write(market), timings)
        _best("scan", lambda: scan(market, market.base_tokens), timings)
    return f"{n_pools} pools, {size:.1f} MB: " + ", ".join(timings)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pools", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.0, help="fraction of the price")
    parser.add_argument("-o", "--out", metavar="FILE")
    args = parser.parse_args()
    if args.out:
        print(f"{args.out}: {make(args.out, args.pools, args.seed, args.noise)}")
    else:
        print(measure(args.pools, args.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
