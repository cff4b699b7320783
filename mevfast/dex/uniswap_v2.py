"""Uniswap V2 and its forks: discovery and state. Semantics: UniswapV2Factory, UniswapV2Pair."""

from collections.abc import Sequence
from typing import Any

from mevfast.errors import NodeError
from mevfast.execution import artifacts
from mevfast.model import PoolLoad, PoolRecord

KIND = "uniswap_v2"

CREATED = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
"""PairCreated(address indexed token0, address indexed token1, address pair, uint256)"""

EVENTS = (
    "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",  # Sync(uint112,uint112)
    "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",  # Swap
)


def created(log: dict[str, Any], factory: str, fee_pips: int | None) -> PoolRecord:
    """The pool that a PairCreated log announces; its fee is the factory's."""
    assert fee_pips is not None  # the config sees to it for this kind
    return PoolRecord(
        id=bytes.fromhex(log["data"][2:66])[12:],
        kind=KIND,
        tokens=tuple(bytes.fromhex(topic[2:])[12:] for topic in log["topics"][1:3]),
        venue=factory,
        block=int(log["blockNumber"], 16),
        facts={"fee_pips": fee_pips},
    )


def load_calls(pools: Sequence[PoolRecord]) -> list[tuple[Sequence[PoolRecord], bytes]]:
    """Reader calls, each with the pools it reads."""
    size = artifacts.PAIRS_PER_CALL
    parts = [pools[start : start + size] for start in range(0, len(pools), size)]
    return [
        (part, artifacts.reader_v2_call(["0x" + pool.address.hex() for pool in part]))
        for part in parts
    ]


def loaded(pools: Sequence[PoolRecord], answer: bytes) -> list[PoolLoad]:
    """The states in one answer. NodeError where a pair does not answer as one."""
    _, states = artifacts.decode_v2(answer)
    loads = []
    for pool, state in zip(pools, states, strict=True):
        if state is None or bytes.fromhex(state.token0[2:]) != pool.tokens[0]:
            raise NodeError(
                f"pool {pool.name} of {pool.venue}: expected a pair that starts with "
                f"token 0x{pool.tokens[0].hex()}, was {state.token0 if state else 'no pair'}; "
                "check the factory's address in the config"
            )
        fields = {
            **pool.facts,
            "reserve0": state.reserve0,
            "reserve1": state.reserve1,
        }
        loads.append(PoolLoad(pool, fields))
    return loads
