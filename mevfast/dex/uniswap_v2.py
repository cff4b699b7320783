"""Uniswap V2 and its forks: discovery and state. Semantics: UniswapV2Factory, UniswapV2Pair."""

from mevfast.dex.announced import Log, pair_of
from mevfast.dex.reads import PairQuery, Read, topic
from mevfast.errors import DataError
from mevfast.model import PoolRecord

KINDS = ("uniswap_v2",)

CREATED = (topic("PairCreated(address,address,address,uint256)"),)  # both tokens are indexed

EVENTS = (
    "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",  # Sync(uint112,uint112)
    "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",  # Swap
)


def created(log: Log, kind: str) -> PoolRecord:
    """The pair that a PairCreated log announces; its fee is the factory's."""
    return pair_of(log, kind, pool=log.word(0))


def read(pool: str, token0: bytes, fee_pips: int) -> Read:
    """The state of a pair whose first token and fee are these."""
    [pair] = yield [PairQuery(pool)]
    if pair is None or bytes.fromhex(pair.token0[2:]) != token0:
        raise DataError(
            f"{pool}: expected a pair that starts with token 0x{token0.hex()}, was "
            f"{pair.token0 if pair else 'no pair'}; check the factory's address in the config"
        )
    return {"fee_pips": fee_pips, "reserve0": pair.reserve0, "reserve1": pair.reserve1}
