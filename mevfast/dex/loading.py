"""The states of pools at one block, many pools at once."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from mevfast._pool import Pool
from mevfast.chain import patience
from mevfast.chain.multicall import At
from mevfast.chain.rpc import Rpc
from mevfast.dex import curve_crypto, kinds, lockstep
from mevfast.dex.proof import prove
from mevfast.dex.reads import Answer, Question
from mevfast.dex.ticks import without_gross
from mevfast.errors import NodeError
from mevfast.model import Loaded, PoolLoad, PoolRecord

AT_ONCE = 512
"""Pools that are read in lockstep: what bounds the memory of their answers."""

Progress = Callable[[int, int], None]


async def load(
    rpc: Rpc,
    pools: Sequence[PoolRecord],
    block: int,
    on_progress: Progress | None = None,
    multicall: str | None = None,
) -> Loaded:
    """The states of pools after one block, in the order given: the fields of mevfast-vectors/1,
    ticks as [tick, liquidity_gross, liquidity_net].

    A pool that does not answer as one of its kind, has no price yet, or quotes otherwise than its
    kernel is in `failed`, and spoils no other. `multicall` is Multicall3's address, if the chain
    has it. `on_progress(done, total)` counts pools. Raises NodeError where the node cannot answer.
    """
    timestamp = await _timestamp(rpc, pools, block)
    loads: list[PoolLoad] = []
    failed: dict[bytes, str] = {}
    for start in range(0, len(pools), AT_ONCE):
        part = {pool.id: pool for pool in pools[start : start + AT_ONCE]}

        def said(done: int, start: int = start) -> None:
            if on_progress:
                on_progress(start + done, len(pools))

        reads = {pool.id: _read(pool, timestamp) for pool in part.values()}
        states, refused = await lockstep.run(At(rpc, block, multicall), reads, said)
        loads += [PoolLoad(pool, states[key]) for key, pool in part.items() if key in states]
        failed |= refused
    return Loaded(loads, failed)


def _read(
    pool: PoolRecord, timestamp: int
) -> Generator[list[Question], list[Answer], dict[str, Any]]:
    """A read whose state the kernel takes, and whose quotes the contract confirms."""
    fields = yield from kinds.read(pool, timestamp)
    yield from prove(pool, Pool(pool.kind, without_gross(fields), f"pool {pool.name}: "))
    return fields


async def _timestamp(rpc: Rpc, pools: Sequence[PoolRecord], block: int) -> int:
    """The block's, where a pool's state depends on it."""
    if not any(pool.kind in curve_crypto.KINDS for pool in pools):
        return 0
    found = await patience.request(rpc, "eth_getBlockByNumber", [hex(block), False])
    try:
        return int(found["timestamp"], 16)
    except (TypeError, KeyError, ValueError):
        raise NodeError(
            f"eth_getBlockByNumber({block}): expected a block, node answered {found!r:.80}"
        ) from None
