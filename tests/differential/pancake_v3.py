"""Pancake V3 pools. The package lacks their deployer: a stand-in creates them instead."""

from random import Random

from tests.differential.concentrated import (
    CallbackMarket,
    Ground,
    random_fee,
    random_price,
    random_spacing,
)
from tests.differential.evm import ME, number
from tests.differential.standin import StandIn


class PancakePool(CallbackMarket):
    """A pool of Pancake's."""

    kind = "pancake_v3"


class PancakeV3(Ground):
    """The stand-in of factory and deployer; every pool is created anew."""

    def __init__(self) -> None:
        super().__init__()
        self.maker = StandIn(self.evm)
        self.maker.answer("owner()", number(ME))

    def pool(self, rng: Random) -> PancakePool:
        """A random fee, spacing, price and set of positions."""
        fee_pips, spacing = random_fee(rng), random_spacing(rng)
        factory = number(self.maker.address)
        self.maker.answer("parameters()", factory, *self.tokens, fee_pips, spacing)
        address = self.maker.create("PancakeV3Pool")
        pool = PancakePool(self.evm, address, self.payer, spacing, fee_pips)
        self.evm.call(address, "initialize(uint160)", random_price(rng))
        share = rng.choice((0, rng.randint(1000, 4000)))
        self.evm.call(address, "setFeeProtocol(uint32,uint32)", share, share)
        pool.furnish(rng)
        return pool
