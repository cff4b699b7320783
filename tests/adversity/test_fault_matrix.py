"""Every fault of the catalogue once, in the middle of real swaps, mints and burns: the engine is
live again, its table is the chain's slot by slot, it sent nothing meanwhile, and it says so."""

import asyncio
import random
import zlib
from types import SimpleNamespace

import pytest

from tests.adversity.faults import CATALOGUE, DEEPEST_REORG, Fault, Scene
from tests.adversity.faulty_node import FaultyNode
from tests.adversity.ordeal import QUICK_TIMEOUTS, Ordeal, ordeal
from tests.chain.engine_stage import on_loop
from tests.chain.executor_stage import Stage, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

CHOOSY = (
    "lost_log", "lost_logs", "lost_block", "shuffled_logs", "shuffled_blocks", "back_behind",
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


def test_what_was_missed_is_told(stage: Stage) -> None:
    """Chance says whether what is lost is of a pool of ours: sooner or later it is."""

    @on_loop
    async def play() -> None:
        missed = 0
        async with ordeal(stage, random.Random(1), first_trade=False) as each:
            for _ in range(12):
                await each.strikes(CATALOGUE["lost_block"])
                await each.recovers()
                missed = each.explains(CATALOGUE["lost_block"])
                if missed:
                    break
        assert missed > 0

    play()


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("depth", range(1, DEEPEST_REORG + 1))
def test_the_engine_outlives_a_reorg_of_every_depth(stage: Stage, depth: int, told: bool) -> None:
    """With other swaps in the new blocks; logs of the old ones are said to be removed, or not."""

    async def strike(scene: Scene) -> None:
        scene.node.announces_removed = told
        scene.reorg(depth, busy=True)

    @on_loop
    async def play() -> None:
        async with ordeal(stage, random.Random(depth), first_trade=False) as each:
            for _ in range(depth):
                each.block()
                await each.seen()
            await each.strikes(Fault(f"reorg of {depth}", "", strike))
            assert f"reorg of {depth} blocks" in each.told()
            await each.recovers()
            each.explains(CATALOGUE["busy_reorg"])

    play()


@pytest.mark.parametrize("cut", [False, True])
def test_the_engine_outlives_a_node_two_blocks_behind(stage: Stage, cut: bool) -> None:
    """It falls behind while it serves, or is found so after a reset."""

    async def strike(scene: Scene) -> None:
        scene.node.behind = 2
        scene.node.struck.append("2 blocks behind")
        if cut:
            await scene.node.cut()

    @on_loop
    async def play() -> None:
        async with ordeal(stage, random.Random(2), first_trade=False) as each:
            fault = Fault("two blocks behind", "", strike, harmless=not cut)
            await each.strikes(fault, blocks=4)
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
