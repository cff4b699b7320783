"""What all pools of concentrated liquidity share: positions, prices and swaps at random.

Owns the draws. The families say how their contracts spell state, mint and swap.
"""

from abc import abstractmethod
from random import Random
from typing import Any

from mevfast._pool import Quote, Refused
from tests.differential import draws
from tests.differential.campaign import Market, Outcome, Refusal, Swap
from tests.differential.evm import Evm, Reverted, arguments, number, signed
from tests.differential.solidity import props
from tests.oracle.univ3 import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick

Q96 = 1 << 96
MIN_SQRT_RATIO, MAX_SQRT_RATIO = sqrt_ratio_at_tick(MIN_TICK), sqrt_ratio_at_tick(MAX_TICK)
COMMON = {100: 1, 500: 10, 2500: 50, 3000: 60, 10_000: 200}
MAX_SPACING = 16_383  # of Uniswap's factory
_MOST_POSITIONS = 9
_MOST_STOPS = 3
_LOWEST = 0.005
_SLOW_SPACING = 50
_FAR = 3000
"""Spacings: a swap that runs dry walks word by word to the end of prices, 7000 words where the
spacing is 1. Most swaps of narrow spacings have a limit nearer than that."""


def random_fee(rng: Random) -> int:
    """In pips: mostly those people use."""
    form = rng.random()
    if form < 0.6:
        return rng.choice(list(COMMON))
    return rng.choice((0, 1, 999_999)) if form < 0.7 else draws.magnitude(rng, 1, 999_999)


def random_spacing(rng: Random, most: int = MAX_SPACING) -> int:
    """Of ticks: mostly those people use."""
    form = rng.random()
    if form < 0.6:
        return min(most, rng.choice(list(COMMON.values())))
    return min(most, draws.magnitude(rng, 1, most))


def random_price(rng: Random) -> int:
    """A sqrt price: about 1, anywhere, at either end, on a tick or beside it."""
    form = rng.random()
    if form < 0.4:
        tick = int(rng.gauss(0, 3000))
    elif form < 0.8:
        tick = rng.randint(MIN_TICK, MAX_TICK)
    elif form < 0.9:
        tick = MIN_TICK + draws.magnitude(rng, 0, 3000)
    else:
        tick = MAX_TICK - 1 - draws.magnitude(rng, 0, 3000)
    low = sqrt_ratio_at_tick(min(max(tick, MIN_TICK), MAX_TICK - 1))
    high = sqrt_ratio_at_tick(min(max(tick, MIN_TICK), MAX_TICK - 1) + 1) - 1
    price = rng.randint(low, high) if rng.random() < 0.7 else rng.choice((low, low + 1, high))
    return min(max(price, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)


def random_range(rng: Random, tick: int, spacing: int, known: list[int]) -> tuple[int, int]:
    """Lower and upper tick of a position, multiples of the spacing, lower < upper."""
    lowest, highest = -(-MIN_TICK // spacing), MAX_TICK // spacing
    here = tick // spacing
    form = rng.random()
    if form < 0.15:
        ends = [lowest, highest]
    elif form < 0.35:  # as narrow as can be, about here
        start = here + rng.choice((-1, 0, 0, 1))
        ends = [start, start + 1]
    elif form < 0.75:
        ends = [
            here - draws.magnitude(rng, 0, 2000),
            here + 1 + draws.magnitude(rng, 0, 2000),
        ]
    elif form < 0.9 and known:  # back to back with another one
        start = rng.choice(known) // spacing
        ends = [start, start + rng.choice((-1, 1)) * draws.magnitude(rng, 1, 300)]
    else:  # anywhere, so that there are empty stretches
        start = rng.randint(lowest, highest)
        ends = [start, start + draws.magnitude(rng, 1, highest - lowest)]
    low, high = sorted(min(max(end, lowest), highest) for end in ends)
    if low == high:
        low, high = (low - 1, high) if high == highest else (low, high + 1)
    return low * spacing, high * spacing


class ConcentratedMarket(Market):
    """One pool with its positions; swaps pay by callback."""

    negative_in = False
    """Which exact amount the contract writes as negative: that side has -2**255, too."""

    def __init__(self, evm: Evm, spacing: int, fee_pips: int) -> None:
        self.evm, self.spacing, self.fee_pips = evm, spacing, fee_pips
        self.ticks: list[int] = []  # where positions begin or end

    # ---- what a family says ----

    @abstractmethod
    def slot(self) -> tuple[int, int, int]:
        """Price, tick and liquidity in range."""

    @abstractmethod
    def tick_liquidity(self, tick: int) -> tuple[int, int] | None:
        """Gross, and what crossing it upwards adds; None where it is not initialised."""

    @abstractmethod
    def mint(self, lower: int, upper: int, liquidity: int) -> None:
        """A position of the payer's."""

    @abstractmethod
    def execute(self, zero_for_one: bool, amount: int, limit: int) -> tuple[int, int]:
        """A swap, exact input positive, exact output negative: paid and received tokens."""

    @abstractmethod
    def max_liquidity_per_tick(self) -> int:
        """The contract's limit of a tick."""

    # ---- the pool ----

    def furnish(self, rng: Random) -> None:
        """Random positions; then swaps that stop exactly on ticks, where rounding is delicate."""
        most = self.max_liquidity_per_tick()
        scale = draws.magnitude(rng, 1, most)
        for _ in range(rng.choice((0, 1, 1, *range(2, _MOST_POSITIONS)))):
            lower, upper = random_range(rng, self.slot()[1], self.spacing, self.ticks)
            liquidity = draws.share(rng, scale) if rng.random() < 0.8 else most
            try:
                self.mint(lower, upper, min(liquidity, most))
            except Reverted:  # more than a tick takes
                continue
            self.ticks += [lower, upper]
        for _ in range(rng.choice((0, 0, 1, _MOST_STOPS))):
            price = self.slot()[0]
            target = self._tick_price(rng)
            if not MIN_SQRT_RATIO < target < MAX_SQRT_RATIO or target == price:
                continue
            try:
                self.execute(target < price, (1 << 255) - 1, target)
            except Reverted:
                continue

    def _tick_price(self, rng: Random) -> int:
        tick = rng.choice(self.ticks) if self.ticks else rng.randint(MIN_TICK, MAX_TICK)
        return sqrt_ratio_at_tick(tick)

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters."""
        price, tick, liquidity = self.slot()
        return {
            "fee_pips": self.fee_pips,
            "tick_spacing": self.spacing,
            "sqrt_price_x96": price,
            "tick": tick,
            "liquidity": liquidity,
            "ticks": [[tick, net] for tick, _, net in self.initialised()],
        }

    def initialised(self) -> list[tuple[int, int, int]]:
        """Every initialised tick with its gross and net liquidity."""
        found = [(tick, self.tick_liquidity(tick)) for tick in sorted(set(self.ticks))]
        return [(tick, *liquidity) for tick, liquidity in found if liquidity is not None]

    # ---- swaps ----

    def draw(self, rng: Random) -> Swap:
        """A random swap."""
        price, tick, liquidity = self.slot()
        zero_for_one, exact_in = rng.random() < 0.5, rng.random() < 0.5
        amount = self._amount(rng, price, liquidity, of_token0=zero_for_one == exact_in)
        if exact_in == self.negative_in and rng.random() < _LOWEST:
            amount = 1 << 255
        limit: int | None
        if self.spacing < _SLOW_SPACING and rng.random() < 0.95:
            way = draws.magnitude(rng, 1, _FAR * self.spacing) * (-1 if zero_for_one else 1)
            limit = sqrt_ratio_at_tick(min(max(tick + way, MIN_TICK), MAX_TICK))
        else:
            limit = None if rng.random() < 0.6 else self._limit(rng, price, zero_for_one)
        return Swap(0 if zero_for_one else 1, amount, "in" if exact_in else "out", limit=limit)

    def _amount(self, rng: Random, price: int, liquidity: int, of_token0: bool) -> int:
        form = rng.random()
        if form < 0.01:
            return 0
        if form < 0.04:
            return (1 << 255) - rng.randint(1, 3)
        if form < 0.1:
            return rng.randint(1, 3)
        if form < 0.13:
            return draws.round_number(rng, 1 << 200)
        if form < 0.2 or liquidity == 0:
            return draws.magnitude(rng, 1, 1 << 140)
        whole = liquidity * Q96 // price if of_token0 else liquidity * price // Q96
        return min(draws.share(rng, max(whole, 1)) * rng.choice((1, 1, 1, 100)), (1 << 255) - 1)

    def _limit(self, rng: Random, price: int, zero_for_one: bool) -> int:
        form = rng.random()
        if form < 0.4 and self.ticks:
            limit = self._tick_price(rng) + rng.choice((-1, 0, 0, 1))
        elif form < 0.6:
            limit = random_price(rng)
        elif form < 0.65:
            limit = rng.choice((MIN_SQRT_RATIO, MAX_SQRT_RATIO)) + rng.choice((-1, 0, 1))
        else:
            limit = price + rng.choice((-1, 0, 1))
        if (limit < price) == zero_for_one or rng.random() < 0.1:
            return limit
        step = max(1, int(price * 10 ** rng.uniform(-9, 0)))  # close by, where a swap can go
        return max(0, price - step) if zero_for_one else min(price + step, (1 << 160) - 1)

    def swap(self, swap: Swap, answer: Quote | Refused) -> Outcome | Refusal:
        """What the pool does."""
        zero_for_one = swap.token_in == 0
        limit = swap.limit
        if limit is None:
            limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
        amount = swap.amount if swap.exact == "in" else -swap.amount
        try:
            paid, received = self.execute(zero_for_one, amount, limit)
        except Reverted as reverted:
            return Refusal(str(reverted))
        price, tick, liquidity = self.slot()
        after = {"sqrt_price_x96": price, "tick": tick, "liquidity": liquidity}
        return Outcome(paid, received, after, self.given())

    def given(self) -> dict[str, Any]:
        """Pool fields that held for the swap just done."""
        return {}


class CallbackMarket(ConcentratedMarket):
    """A pool that is a contract of its own, and asks for its tokens in a callback."""

    state = "slot0()"
    """The getter whose answer begins with price and tick."""

    def __init__(self, evm: Evm, address: str, payer: str, spacing: int, fee_pips: int) -> None:
        super().__init__(evm, spacing, fee_pips)
        self.address, self.payer = address, payer

    def slot(self) -> tuple[int, int, int]:
        """Price, tick and liquidity in range."""
        price, tick = self.evm.read(self.address, self.state)[:2]
        return price, signed(tick), self.evm.read(self.address, "liquidity()")[0]

    def tick_liquidity(self, tick: int) -> tuple[int, int] | None:
        """Gross, and what crossing it upwards adds; None where it is not initialised."""
        gross, net = self.evm.read(self.address, "ticks(int24)", tick)[:2]
        return (gross, signed(net)) if gross else None

    def max_liquidity_per_tick(self) -> int:
        """The contract's limit of a tick."""
        return self.evm.read(self.address, "maxLiquidityPerTick()")[0]

    def mint_call(self, lower: int, upper: int, liquidity: int) -> bytes:
        """The call of the pool that makes a position of the payer's."""
        return arguments(
            "mint(address,int24,int24,uint128,bytes)", self.payer, lower, upper, liquidity, b""
        )

    def mint(self, lower: int, upper: int, liquidity: int) -> None:
        """A position of the payer's."""
        call = self.mint_call(lower, upper, liquidity)
        self.evm.send(self.payer, arguments("forward(address,bytes)", self.address, call))

    def execute(self, zero_for_one: bool, amount: int, limit: int) -> tuple[int, int]:
        """A swap, exact input positive, exact output negative: paid and received tokens."""
        paid, received = self.evm.call(
            self.payer, "swap(address,bool,int256,uint160)",
            number(self.address), zero_for_one, amount, limit,
        )  # fmt: skip
        return paid, received


class Ground:
    """An EVM with a payer and two tokens."""

    def __init__(self) -> None:
        self.evm = Evm()
        code = props()
        self.payer = self.evm.deploy(code["Payer"])
        tokens = [number(self.evm.deploy(code["PlainToken"], 18)) for _ in range(2)]
        self.tokens = sorted(tokens)
