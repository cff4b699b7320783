"""Uniswap V3 pools, created by its factory with any fee and spacing that it allows."""

from random import Random

from tests.differential.concentrated import (
    COMMON,
    CallbackMarket,
    Ground,
    random_fee,
    random_price,
    random_spacing,
)


class V3Pool(CallbackMarket):
    """A pool of Uniswap's."""

    kind = "uniswap_v3"


class UniswapV3(Ground):
    """The factory; every pool is created anew."""

    def __init__(self) -> None:
        super().__init__()
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
