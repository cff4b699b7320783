"""The readers of `dex` against the contracts: what they read is what the getters say, all ticks."""

from random import Random
from typing import Any

import pytest

from mevfast.dex import algebra, pancake_v3, uniswap_v4
from mevfast.dex.reads import Read, drive
from mevfast.dex.ticks import without_gross
from tests.differential.algebra import AlgebraV1, Integral, LimitOrders
from tests.differential.concentrated import Ground
from tests.differential.pancake_v3 import PancakeV3
from tests.differential.uniswap_v3 import UniswapV3
from tests.differential.uniswap_v4 import UniswapV4

POOLS = 12


def read_of(ground: Ground, pool: Any) -> Read:
    if isinstance(ground, UniswapV4):
        currency0, currency1, fee, spacing, hooks = pool.key
        addresses = [f"0x{number:040x}" for number in (currency0, currency1, hooks)]
        key = uniswap_v4.pool_id(*addresses[:2], fee, spacing, addresses[2])
        return uniswap_v4.read(pool.manager, key, spacing)
    if isinstance(ground, AlgebraV1):
        return algebra.read_v1(pool.address)
    if isinstance(ground, LimitOrders | Integral):
        return algebra.read_integral(pool.address)
    return pancake_v3.read(pool.address)  # Uniswap V3 has the same getters


DRIFTS = {LimitOrders: True, Integral: False}
"""Where the reader says so itself: the pools of Integral here have no plugin."""

pytestmark = pytest.mark.devnet  # the contracts come from npm


@pytest.mark.parametrize(
    "family", [UniswapV3, PancakeV3, AlgebraV1, LimitOrders, Integral, UniswapV4]
)
def test_a_reader_finds_what_the_getters_say(family: type[Ground]) -> None:
    ground, rng = family(), Random(20261122)
    seen = 0
    for _ in range(POOLS):
        with ground.evm.scratch():
            pool: Any = ground.pool(rng)
            fields = pool.fields()
            read = drive(read_of(ground, pool), ground.evm.answer)
        assert read.pop("drifts", None) == DRIFTS.get(family)
        assert without_gross(read) == fields
        seen += len(fields["ticks"])
    assert seen > POOLS
