"""Uniswap V3 pools, created by its factory with any fee and spacing that it allows."""

from random import Random

from tests.differential.concentrated import (
    COMMON,
    ConcentratedMarket,
    random_fee,
    random_price,
    random_spacing,
)
from tests.differential.evm import Evm, arguments, number, signed
from tests.differential.solidity import props


class V3Pool(ConcentratedMarket):
    """The getters and calls that Uniswap V3 and its nearest forks have in common."""

    kind = "uniswap_v3"

    def __init__(self, evm: Evm, address: str, payer: str, spacing: int, fee_pips: int) -> None:
        super().__init__(evm, spacing, fee_pips)
        self.address, self.payer = address, payer

    def slot(self) -> tuple[int, int, int]:
        """Price, tick and liquidity in range."""
        price, tick = self.evm.read(self.address, "slot0()")[:2]
        return price, signed(tick), self.evm.read(self.address, "liquidity()")[0]

    def liquidity_net(self, tick: int) -> int | None:
        """What crossing it upwards adds; None where it is not initialised."""
        gross, net = self.evm.read(self.address, "ticks(int24)", tick)[:2]
        return signed(net) if gross else None

    def mint(self, lower: int, upper: int, liquidity: int) -> None:
        """A position of the payer's."""
        call = arguments(
            "mint(address,int24,int24,uint128,bytes)", self.payer, lower, upper, liquidity, b""
        )
        self.evm.send(self.payer, arguments("forward(address,bytes)", self.address, call))

    def execute(self, zero_for_one: bool, amount: int, limit: int) -> tuple[int, int]:
        """A swap, exact input positive, exact output negative: paid and received tokens."""
        paid, received = self.evm.call(
            self.payer, "swap(address,bool,int256,uint160)",
            number(self.address), zero_for_one, amount, limit,
        )  # fmt: skip
        return paid, received


class UniswapV3:
    """The factory and two tokens; every pool is created anew."""

    def __init__(self) -> None:
        self.evm = Evm()
        code = props()
        self.payer = self.evm.deploy(code["Payer"])
        tokens = [number(self.evm.deploy(code["PlainToken"], 18)) for _ in range(2)]
        self.tokens = sorted(tokens)
        self.factory = self.evm.artifact("UniswapV3Factory")

    def pool(self, rng: Random) -> V3Pool:
        """A random fee, spacing, price and set of positions."""
        fee_pips, spacing = random_fee(rng), random_spacing(rng)
        if fee_pips in (500, 3000, 10_000):  # the factory's own, whose spacing is fixed
            spacing = COMMON[fee_pips]
        else:
            self.evm.call(self.factory, "enableFeeAmount(uint24,int24)", fee_pips, spacing)
        made = self.evm.call(
            self.factory, "createPool(address,address,uint24)", *self.tokens, fee_pips
        )
        pool = V3Pool(self.evm, f"0x{made[0]:040x}", self.payer, spacing, fee_pips)
        self.evm.call(pool.address, "initialize(uint160)", random_price(rng))
        share = rng.choice((0, *range(4, 11)))
        self.evm.call(pool.address, "setFeeProtocol(uint8,uint8)", share, share)
        pool.furnish(rng)
        return pool
