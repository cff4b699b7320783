"""Every family by name, its contracts deployed when it is first asked for, once a process.

`python -m tests.differential.families` fetches and compiles what they need, so that later no
network is needed.
"""

from collections.abc import Callable
from functools import cache

from mevfast.devnet import npm
from tests.differential.campaign import Family
from tests.differential.solidity import props
from tests.differential.uniswap_v2 import UniswapV2
from tests.differential.uniswap_v3 import UniswapV3

FAMILIES: dict[str, Callable[[], Family]] = {
    "uniswap_v2": UniswapV2,
    "uniswap_v3": UniswapV3,
}

PACKAGES = (
    "@uniswap/v2-core",
    "@sushiswap/sushiswap",
    "@pancakeswap-libs/pancake-swap-core",
    "@traderjoe-xyz/core",
    "@uniswap/v3-core",
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


if __name__ == "__main__":
    prepare()
