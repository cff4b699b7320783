"""Every fault of the catalogue once, in the middle of real swaps, mints and burns: the engine is
live again, its table is the chain's slot by slot, it sent nothing meanwhile, and it says so."""

import asyncio
import random
import zlib
from types import SimpleNamespace

import pytest

from tests.adversity.faults import CATALOGUE, Fault
from tests.adversity.faulty_node import FaultyNode
from tests.adversity.ordeal import QUICK_TIMEOUTS, Ordeal, ordeal
from tests.chain.engine_stage import on_loop
from tests.chain.executor_stage import Stage, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

CHOOSY = (
    "lost_log", "lost_logs", "lost_block", "shuffled_logs", "shuffled_blocks", "back_behind",
    "busy_reorg", "told_reorg",
)  # fmt: skip
"""Faults that strike in more than one way: which, chance says, so each gets several goes."""
CASES = [
    pytest.param(fault, go, id=f"{fault.name}-{go}" if fault.name in CHOOSY else fault.name)
    for fault in CATALOGUE.values()
    for go in range(3 if fault.name in CHOOSY else 1)
]


@pytest.mark.parametrize(("fault", "go"), CASES)
def test_the_engine_outlives(stage: Stage, fault: Fault, go: int) -> None:
    chance = random.Random(zlib.crc32(fault.name.encode()) + go)

    @on_loop
    async def play() -> None:
        timeouts = QUICK_TIMEOUTS if fault.timeout else {}
        async with ordeal(stage, chance, first_trade=False, **timeouts) as each:
            await each.strikes(fault)
            await each.recovers()
            each.explains(fault)

    play()


@on_loop
async def test_a_transaction_sent_in_doubt_would_be_seen(stage: Stage) -> None:
    async with FaultyNode(stage.node.port) as node:
        each = Ordeal(stage, node, random.Random(1))
        core = SimpleNamespace(live=True, paused=False, n_sent=0, audit=None)
        each.engine = SimpleNamespace(core=core)
        watch = asyncio.create_task(each.watch())
        for live, sent, wrong in ((True, 1, 0), (False, 1, 0), (False, 2, 1), (True, 3, 1)):
            core.live, core.n_sent = live, sent
            await asyncio.sleep(0.02)
            assert len(each.wrong_sends) == wrong
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
