"""A market file as the memory between two runs: written at the end, taken up at the next start.

Owns what is asked of such a file before any of it is believed, and what goes into it. Bringing its
states up to date is the keeper's business, as after any other gap.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mevfast import market_file
from mevfast._pool import Pool
from mevfast.chain.rpc import Rpc
from mevfast.dex.token_info import token_of
from mevfast.errors import DataError
from mevfast.execution.artifacts import TokenInfo
from mevfast.market_file import MarketFile, MarketPool
from mevfast.model import PoolRecord

logger = logging.getLogger(__name__)


async def read(path: Path, rpc: Rpc, chain_id: int, newest: int, most_blocks: int) -> (
    MarketFile | None
):  # fmt: skip
    """The file, where the chain still has its block and the node is asked for no more than
    `most_blocks` of logs since; else None, and a line that says why."""
    if not path.exists():
        return None
    try:
        market = await asyncio.to_thread(market_file.load, str(path))
        await _check(market, rpc, chain_id, newest, most_blocks)
    except DataError as error:
        logger.warning("every pool is read, the market file does not serve: %s", error)
        return None
    return market


async def _check(
    market: MarketFile, rpc: Rpc, chain_id: int, newest: int, most_blocks: int
) -> None:
    path = market.path
    if market.chain_id != chain_id:
        raise DataError(f"{path}: chain_id: expected {chain_id}, was {market.chain_id}")
    if market.block_hash is None or market.state_hash is None:
        raise DataError(f"{path}: block_hash and state_hash: expected both, one is missing")
    if not newest - most_blocks <= market.block <= newest:
        raise DataError(
            f"{path}: block: expected {newest - most_blocks} to {newest} (node.max_gap_blocks), "
            f"was {market.block}"
        )
    block: Any = await rpc.request("eth_getBlockByNumber", [hex(market.block), False])
    found = block.get("hash") if isinstance(block, dict) else None
    if found != market.block_hash:
        raise DataError(
            f"{path}: block_hash: expected {found} of block {market.block}, was "
            f"{market.block_hash}; it is of another branch or chain"
        )


def write(
    path: Path,
    *,
    chain_id: int,
    block: int,
    block_hash: bytes,
    pools: Iterable[tuple[PoolRecord, Pool]],
    infos: Mapping[str, TokenInfo],
    base: Sequence[str],
) -> int:
    """Writes states that are true after `block`; returns how many pools are in the file.

    `infos` by address in lower case. Pools with a token whose decimals are not known are left out.
    Raises DataError where the file cannot be written.
    """
    tokens = {address: token_of(address, info) for address, info in infos.items()}
    kept = []
    for record, pool in pools:
        found = [tokens.get("0x" + token.hex()) for token in record.tokens]
        own = tuple(token for token in found if token is not None)
        if len(own) == len(record.tokens):
            kept.append(
                MarketPool(
                    "0x" + record.id.hex(), record.kind, own, pool, record.venue, record.block,
                    record.facts,
                )
            )  # fmt: skip
    first = [token for address in base if (token := tokens.get(address.lower())) is not None]
    used = {token for pool in kept for token in pool.tokens}
    rest = sorted(used - set(first), key=lambda token: token.address)
    market_file.write(
        MarketFile(
            path=str(path),
            chain_id=chain_id,
            block=block,
            tokens=(*first, *rest),
            base_tokens=tuple(first),
            pools=tuple(kept),
            block_hash="0x" + block_hash.hex(),
        )
    )
    return len(kept)
