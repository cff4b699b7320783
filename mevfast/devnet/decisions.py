"""What the embedded traders mean to do, from a seed alone: pure, no chain, no clock.

Prices follow slow random references, so that a long run neither stands still nor runs away.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mevfast.devnet.market import TRADER_ACCOUNTS, Market, Pool

MIN_FRACTION, MAX_FRACTION = 0.0001, 0.015
"""Size of a swap as a fraction of the pool's reserve, drawn log-uniformly."""
EXACT_OUT_SHARE = 0.15
LIQUIDITY_SHARE = 0.03
"""Of all actions: minting or burning a V3 position instead of a swap."""

# References: an Ornstein-Uhlenbeck process of the log price, per token.
_VOLATILITY = 0.0004
"""Standard deviation per square root of a second; 0.7 % in the long run."""
_PEGGED_VOLATILITY = 0.00002
_REVERSION_S = 600.0
_PEGGED = {"USDC", "USDT", "DAI", "wstETH"}


class Action(StrEnum):
    """What to do with the pool."""

    SWAP_EXACT_IN = "exact_in"
    SWAP_EXACT_OUT = "exact_out"
    MINT = "mint"
    BURN = "burn"


@dataclass(frozen=True)
class Decision:
    """One action; whatever needs the pool's state is a fraction or a choice in [0, 1).

    `wait_s` after the action before it; `fraction` of the reserve; `lean` decides the
    direction: sell token0 where it is below the probability that the state gives;
    `reference` is the price the trader believes in, token1 per token0 in smallest units.
    """

    wait_s: float
    account: int
    pool: Pool
    action: Action
    fraction: float
    lean: float
    reference: float


def sell_token0_probability(price: float, reference: float) -> float:
    """How likely a trader sells token0: 1/2 at the reference, 7/8 where it is 1 % too dear."""
    odds = math.log(7.0) * 100.0 * math.log(price / reference)
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, odds))))


class _References:
    """Slowly moving dollar prices of all tokens."""

    def __init__(self, market: Market, chance: random.Random) -> None:
        self._chance = chance
        self._tokens = {token.address: token for token in market.tokens}
        self._deviation = dict.fromkeys(self._tokens, 0.0)
        self._weth = market.weth

    def advance(self, seconds: float) -> None:
        decay = math.exp(-seconds / _REVERSION_S)
        for address, token in self._tokens.items():
            volatility = _PEGGED_VOLATILITY if token.symbol in _PEGGED else _VOLATILITY
            shock = volatility * math.sqrt(seconds) * self._chance.gauss(0.0, 1.0)
            self._deviation[address] = self._deviation[address] * decay + shock

    def _dollars_a_unit(self, address: str) -> float:
        token = self._tokens[address]
        deviation = self._deviation[address]
        if token.symbol == "wstETH":  # pegged to ether, not to the dollar
            deviation += self._deviation[self._weth]
        return token.price_usd_e8 * math.exp(deviation) / 10.0 ** (8 + token.decimals)

    def price(self, pool: Pool) -> float:
        return self._dollars_a_unit(pool.token0) / self._dollars_a_unit(pool.token1)


def decisions(market: Market, seed: int, rate: float) -> Iterator[Decision]:
    """Endless actions, `rate` a second on average, exponentially spaced; the same for a seed."""
    chance = random.Random(seed)
    references = _References(market, chance)
    v3_pools = [pool for pool in market.pools if pool.tick_spacing]
    while True:
        wait_s = chance.expovariate(rate)
        references.advance(wait_s)
        pool = chance.choice(market.pools)
        if chance.random() < LIQUIDITY_SHARE:
            pool = chance.choice(v3_pools)
            action = chance.choice((Action.MINT, Action.BURN))
        elif chance.random() < EXACT_OUT_SHARE:
            action = Action.SWAP_EXACT_OUT
        else:
            action = Action.SWAP_EXACT_IN
        yield Decision(
            wait_s,
            chance.choice(TRADER_ACCOUNTS),
            pool,
            action,
            MIN_FRACTION * (MAX_FRACTION / MIN_FRACTION) ** chance.random(),
            chance.random(),
            references.price(pool),
        )
