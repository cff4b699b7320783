"""Algebra pools of three generations: V1, with limit orders, and Integral.

The fee of a swap is the one that the pool itself computed for it, read after it: V1 and limit
orders do so from their volatility oracle in the first swap of each second. A stand-in plays
factory and deployer. No limit orders are placed: the kernel knows none.
"""

from abc import abstractmethod
from random import Random
from typing import Any

from mevfast._pool import Quote, Refused
from tests.differential import draws
from tests.differential.campaign import Outcome, Refusal, Swap
from tests.differential.concentrated import (
    CallbackMarket,
    Ground,
    random_fee,
    random_price,
    random_spacing,
)
from tests.differential.evm import ME, START, Evm, arguments, number
from tests.differential.standin import StandIn

V1_SPACING = 60
MAX_SPACING = 500
_MAX_FEE = (1 << 16) - 1
_PAUSES = (0, 1, 12, 600, 90_000)
"""Seconds between swaps, up to the longest: the oracle looks back a day."""


class AlgebraPool(CallbackMarket):
    """A pool that may change its fee at every swap."""

    state = "globalState()"

    fee_at = 2
    """Which word of the state is the fee."""

    def __init__(self, evm: Evm, address: str, payer: str, spacing: int) -> None:
        super().__init__(evm, address, payer, spacing, fee_pips=0)
        self.now = START

    def mint_call(self, lower: int, upper: int, liquidity: int) -> bytes:
        """The call of the pool that makes a position of the payer's."""
        return arguments(
            "mint(address,address,int24,int24,uint128,bytes)",
            self.payer, self.payer, lower, upper, liquidity, b"",
        )  # fmt: skip

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters."""
        return {**super().fields(), **self.given()}

    def given(self) -> dict[str, Any]:
        """The fee of the last swap."""
        return {"fee_pips": self.evm.read(self.address, self.state)[self.fee_at]}

    def draw(self, rng: Random) -> Swap:
        """A random swap, a little later than the last one."""
        self.now += draws.magnitude(rng, 0, rng.choice(_PAUSES))
        return super().draw(rng)

    def swap(self, swap: Swap, answer: Quote | Refused) -> Outcome | Refusal:
        """What the pool does."""
        self.evm.at_time(self.now)
        return super().swap(swap, answer)


class V1Pool(AlgebraPool):
    """A pool that finds its ticks in bitmap words."""

    kind = "algebra_v1"


class IntegralPool(AlgebraPool):
    """A pool that finds its ticks in a list."""

    kind = "algebra_integral"

    def excuses(self, swap: Swap, outcome: Outcome | Refusal, answer: Quote | Refused) -> bool:
        """A pool counts its balances in uint128, and they are no part of the fields."""
        if not isinstance(outcome, Refusal) or isinstance(answer, Refused):
            return False
        balance = self.evm.read(self.address, "getReserves()")[swap.token_in]
        return outcome.reason == "0x" and balance + answer.amount_in >= 1 << 128


class LimitOrderPool(IntegralPool):
    """The same, and a word more in its state."""

    fee_at = 3


def _sigmoids(rng: Random) -> list[int]:
    """alpha1, alpha2, beta1, beta2, gamma1, gamma2 of the two that the fee is a sum of."""
    return [
        *(draws.magnitude(rng, 0, 20_000) for _ in range(2)),
        *(draws.magnitude(rng, 0, 100_000) for _ in range(2)),
        *(draws.magnitude(rng, 1, 10_000) for _ in range(2)),
    ]


def _base_fee(rng: Random) -> int:
    """What is added to them; all three together are a uint16."""
    return draws.magnitude(rng, 0, 20_000)


class Algebra(Ground):
    """What the generations have in common."""

    def __init__(self) -> None:
        super().__init__()
        self.maker = StandIn(self.evm)
        for question in ("owner()", "vaultAddress()", "communityVault()"):
            self.maker.answer(question, number(ME))
        self.maker.answer("hasRoleOrOwner(bytes32,address)", 1)

    def pool(self, rng: Random) -> AlgebraPool:
        """A random fee, spacing, price and set of positions."""
        self.evm.at_time(START)
        pool = self.create(rng)
        pool.furnish(rng)
        return pool

    @abstractmethod
    def create(self, rng: Random) -> AlgebraPool:
        """A new pool at a random price."""

    def _with_oracle(self, generation: str, question: str, *more: int) -> tuple[str, str]:
        """Addresses of a new pool and of its oracle, which name each other.

        `question` is how the pool asks its deployer: oracle, factory, `more`, then its tokens.
        """
        oracle, pool = self.maker.address_of(1), self.maker.address_of(2)
        factory = number(self.maker.address)
        self.maker.create(f"{generation}DataStorageOperator", number(pool))
        self.maker.answer(question, number(oracle), factory, *more, *self.tokens)
        self.maker.create(f"{generation}AlgebraPool")
        return pool, oracle


class AlgebraV1(Algebra):
    """Pools as of version 2.0.0 of the package: Uniswap's bitmap of ticks, spacing 60."""

    def create(self, rng: Random) -> AlgebraPool:
        """A new pool at a random price, with a random formula of its fee."""
        address, oracle = self._with_oracle("V1", "parameters()")
        self.evm.call(
            oracle,
            "changeFeeConfiguration((uint16,uint16,uint32,uint32,uint16,uint16,uint32,uint16,uint16))",
            *_sigmoids(rng), rng.getrandbits(20), rng.randint(1, 10_000), _base_fee(rng),
        )  # fmt: skip
        self.evm.call(address, "initialize(uint160)", random_price(rng))
        share = rng.choice((0, rng.randint(1, 250)))
        self.evm.call(address, "setCommunityFee(uint8,uint8)", share, share)
        return V1Pool(self.evm, address, self.payer, V1_SPACING)


class LimitOrders(Algebra):
    """Version 3.0.0, which keeps ticks in a linked list."""

    def create(self, rng: Random) -> AlgebraPool:
        """A new pool at a random price, with a random formula of its fee and spacing."""
        address, oracle = self._with_oracle("LimitOrders", "getDeployParameters()", number(ME))
        self.evm.call(
            oracle,
            "changeFeeConfiguration((uint16,uint16,uint32,uint32,uint16,uint16,uint16))",
            *_sigmoids(rng), _base_fee(rng),
        )  # fmt: skip
        self.maker.answer("defaultCommunityFee()", rng.choice((0, rng.randint(1, 250))))
        self.evm.call(address, "initialize(uint160)", random_price(rng))
        spacing = random_spacing(rng, MAX_SPACING)
        if spacing != self.evm.read(address, "tickSpacing()")[0]:  # refuses what it has
            self.evm.call(address, "setTickSpacing(int24,int24)", spacing, spacing)
        return LimitOrderPool(self.evm, address, self.payer, spacing)


class Integral(Algebra):
    """Version 1.2.10 of Integral, without a plugin: its fee is a setting."""

    def create(self, rng: Random) -> AlgebraPool:
        """A new pool at a random price, fee and spacing."""
        factory, spacing = number(self.maker.address), random_spacing(rng, MAX_SPACING)
        self.maker.answer("getDeployParameters()", 0, factory, *self.tokens)
        address = self.maker.create("IntegralAlgebraPool")
        fee = min(random_fee(rng), _MAX_FEE)
        self.maker.answer("defaultConfigurationForPool()", 0, spacing, fee)
        self.evm.call(address, "initialize(uint160)", random_price(rng))
        self.evm.call(address, "setCommunityVault(address)", number(ME))
        share = rng.choice((0, rng.randint(1, 1000)))
        if share:
            self.evm.call(address, "setCommunityFee(uint16)", share)
        return IntegralPool(self.evm, address, self.payer, spacing)
