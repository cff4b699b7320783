"""What a load of the state leaves behind in the hot half."""

from collections.abc import Callable

import pytest

from mevfast._core import Core
from mevfast._search import Search
from mevfast._tx import Signer
from tests import frames, market

POOLS = [market.v2_pool((0, 1), 2.0, 1e21, 3000), market.v2_pool((0, 1), 2.0, 1e21, 3000)]


def core_of(search: Search, send: Callable[[memoryview], object]) -> Core:
    return Core(search, Signer(bytearray(31) + b"\1"), bytes(20), 1, send, lambda: None)


def load(core: Core, search: Search, block: int) -> bool:
    core.begin_load("the test wants it")
    core.feed_bytes(frames.head(block))
    for i, pool in enumerate(POOLS):
        a, b = (market.token(number) for number in pool["tokens"])
        slot = search.table.put(market.pool_address(i), pool["kind"], (a, b), pool, block)
        search.add_pool(slot)
    return core.end_load(block)


def moved(block: int) -> bytes:
    """A log that opens a gap of some percent."""
    pool = POOLS[0]
    reserves = (pool["reserve0"], pool["reserve1"] * 21 // 20)
    return frames.v2_sync(market.pool_address(0), *reserves, block=block)


@pytest.mark.parametrize("claimed", [None, 10**6, 2**64 - 1])
def test_a_log_of_a_far_block_holds_nothing_back_after_the_next_load(claimed: int | None) -> None:
    sent: list[bytes] = []
    search = market.search_of(POOLS)
    core = core_of(search, lambda request: sent.append(bytes(request)))
    assert load(core, search, 100)
    if claimed is not None:
        core.feed_bytes(moved(claimed))
        core.flush()
        assert not sent  # its head is still to come
    assert load(core, search, 200)
    core.feed_bytes(moved(201))
    core.feed_bytes(frames.head(201))
    core.flush()
    assert len(sent) == core.n_sent == 1
