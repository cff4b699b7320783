"""The market from the chain: which pools there are, and their states at one block.

Discovery reads the factories' logs; states come through readers that are run by `eth_call` and
never deployed, many pools a call, all at one pinned block.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mevfast.chain.rpc import Rpc
from mevfast.config import Factory, Market
from mevfast.dex import uniswap_v2, uniswap_v3
from mevfast.errors import DataError, NodeError, RpcError
from mevfast.model import PoolLoad, PoolRecord

logger = logging.getLogger(__name__)

FAMILIES = {module.KIND: module for module in (uniswap_v2, uniswap_v3)}

TOPICS = [topic for module in FAMILIES.values() for topic in module.EVENTS]
"""topic0 of every event that carries state or is audited."""

MAX_ROUNDS = 1000
"""Calls one V3 pool may take: far above what its 6,932 bitmap words need."""

Progress = Callable[[int, int], None]


async def discover(
    rpc: Rpc, market: Market, to_block: int, from_block: int = 0
) -> list[PoolRecord]:
    """Every pool that the config's factories made in these blocks and its token lists admit."""
    pools: dict[bytes, PoolRecord] = {}
    for factory in market.factories:
        family = FAMILIES[factory.kind]
        start = max(from_block, factory.from_block)
        for log in await _logs(rpc, factory, family.CREATED, start, to_block):
            pool = family.created(log, factory.name, factory.fee_pips)
            if _admitted(pool, market):
                pools[pool.id] = pool
    return sorted(pools.values(), key=lambda pool: pool.id)


async def _logs(
    rpc: Rpc, factory: Factory, topic: str, from_block: int, to_block: int
) -> list[dict[str, Any]]:
    """Logs of a factory; a range that the node refuses is halved."""
    logs: list[dict[str, Any]] = []
    start, size = from_block, to_block - from_block + 1
    while start <= to_block:
        end = min(start + size - 1, to_block)
        query = {
            "address": factory.address,
            "topics": [topic],
            "fromBlock": hex(start),
            "toBlock": hex(end),
        }
        try:
            logs += await rpc.request("eth_getLogs", [query])
        except RpcError as error:
            if size == 1:
                raise NodeError(
                    f"{factory.name}: the node refuses the factory's logs even for block {start} "
                    f"alone ({error.message}); use a node that serves eth_getLogs"
                ) from error
            size = (size + 1) // 2
            continue
        start = end + 1
    return logs


def _admitted(pool: PoolRecord, market: Market) -> bool:
    tokens = {"0x" + token.hex() for token in pool.tokens}
    ignored = {address.lower() for address in market.ignore_tokens}
    only = {address.lower() for address in market.only_tokens}
    return not tokens & ignored and (not only or tokens <= only)


async def load(
    rpc: Rpc, pools: Sequence[PoolRecord], block: int, on_progress: Progress | None = None
) -> list[PoolLoad]:
    """The states of pools after one block, in the order of their addresses.

    V3 pools without a price yet are left out. Raises NodeError where the node cannot answer.
    """
    loads: list[PoolLoad] = []
    pairs = [pool for pool in pools if pool.kind == uniswap_v2.KIND]
    parts = uniswap_v2.load_calls(pairs)
    answers = await _calls(rpc, [data for _, data in parts], block)
    for (part, _), answer in zip(parts, answers, strict=True):
        with _node_data(block):
            loads += uniswap_v2.loaded(part, answer)
    if on_progress:
        on_progress(len(loads), len(pools))
    todo: list[tuple[PoolRecord, PoolLoad | None, int | None]] = [
        (pool, None, None) for pool in pools if pool.kind == uniswap_v3.KIND
    ]
    for _ in range(MAX_ROUNDS):
        if not todo:
            break
        data = [uniswap_v3.load_call(pool, word) for pool, _, word in todo]
        answers = await _calls(rpc, data, block)
        unfinished: list[tuple[PoolRecord, PoolLoad | None, int | None]] = []
        for (pool, before, _), answer in zip(todo, answers, strict=True):
            with _node_data(block):
                state, word = uniswap_v3.merge(pool, before, answer)
            if word < 1 << 15:
                unfinished.append((pool, state, word))
            elif state is not None:
                loads.append(state)
        todo = unfinished
        if on_progress:
            on_progress(len(pools) - len(todo), len(pools))
    if todo:
        raise NodeError(f"pool {todo[0][0].name}: its ticks could not be read to an end")
    return sorted(loads, key=lambda load: load.pool.id)


async def _calls(rpc: Rpc, data: Sequence[bytes], block: int) -> list[bytes]:
    """eth_call of reader code, each at the same block."""
    calls = [("eth_call", [{"data": "0x" + code.hex()}, hex(block)]) for code in data]
    answers = await rpc.batch(calls, batch_size=20)
    for answer in answers:
        if isinstance(answer, RpcError):
            raise NodeError(
                f"reading pools at block {block} failed: {answer.message}; the node must run "
                "eth_call without a `to` at recent blocks"
            )
    return [_data(answer, block) for answer in answers]


def _data(answer: Any, block: int) -> bytes:
    try:
        return bytes.fromhex(answer[2:])
    except (TypeError, ValueError):
        raise NodeError(
            f"eth_call at block {block}: expected data in hex, node answered {answer!r:.80}"
        ) from None


@contextmanager
def _node_data(block: int) -> Iterator[None]:
    """What a reader's answer is not is the node's doing: it may answer better next time."""
    try:
        yield
    except (DataError, ValueError) as error:
        raise NodeError(f"eth_call at block {block}: {error}") from error
