"""Every family by name, its contracts deployed when it is first asked for, once a process.

`python -m tests.differential.families` fetches and compiles what they need, so that later no
network is needed.
"""

from collections.abc import Callable
from functools import cache

from mevfast.devnet import npm
from tests.differential.algebra import AlgebraV1, Integral, LimitOrders
from tests.differential.balancer import BalancerComposableStable, BalancerWeighted
from tests.differential.campaign import Family
from tests.differential.pancake_v3 import PancakeV3
from tests.differential.solidity import aerodrome, props
from tests.differential.solidly import Solidly
from tests.differential.uniswap_v2 import UniswapV2
from tests.differential.uniswap_v3 import UniswapV3
from tests.differential.uniswap_v4 import UniswapV4

FAMILIES: dict[str, Callable[[], Family]] = {
    "uniswap_v2": UniswapV2,
    "uniswap_v3": UniswapV3,
    "pancake_v3": PancakeV3,
    "algebra_v1": AlgebraV1,
    "algebra_limit_orders": LimitOrders,
    "algebra_integral": Integral,
    "uniswap_v4": UniswapV4,
    "solidly": Solidly,
    "balancer_weighted": BalancerWeighted,
    "balancer_composable_stable": BalancerComposableStable,
}

PACKAGES = (
    "@uniswap/v2-core",
    "@sushiswap/sushiswap",
    "@pancakeswap-libs/pancake-swap-core",
    "@traderjoe-xyz/core",
    "@uniswap/v3-core",
    "@pancakeswap/v3-core",
    "@cryptoalgebra/core",
    "@cryptoalgebra/core-limit-orders",
    "@cryptoalgebra/integral-core",
    "@uniswap/v4-core",
    "sphere-mezo-solidity-files",
    "@openzeppelin/contracts",
    "@balancer-labs/v2-deployments",
)


@cache
def family(name: str) -> Family:
    """The family of this name."""
    return FAMILIES[name]()


def prepare() -> None:
    """Fetches the packages and compiles the sources that are not there yet."""
    for package in PACKAGES:
        npm.package(package)
    props()
    aerodrome()


if __name__ == "__main__":
    prepare()
