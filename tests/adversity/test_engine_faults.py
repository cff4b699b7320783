"""Connections that end, stall and hang, and chains that reorganise: the engine sends nothing until
its table is true again, then goes on, and says in the log what happened."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mevfast import config as settings
from mevfast.engine import Engine
from mevfast.errors import NodeError
from tests.adversity.proxy import Proxy
from tests.chain.engine_stage import (
    LIMIT_S,
    SUSHI,
    V2,
    V3,
    chain_states,
    engine_config,
    move,
    on_loop,
    pool_of,
    pool_states,
    ready,
    running,
    seen,
    settle,
    until,
)
from tests.chain.executor_stage import Stage, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

PAIR = ("WETH", "USDC")
GAP_USD = 200_000


class Ride:
    """An engine behind a proxy, and what it had sent each time that it went live."""

    def __init__(self, stage: Stage, proxy: Proxy) -> None:
        self.stage, self.proxy = stage, proxy
        self.engine: Engine
        self.sent_at_live: list[int] = []

    def gap(self, factory: str = V2) -> None:
        """A block whose swap is worth a trade."""
        move(self.stage, pool_of(self.stage, factory, PAIR), "USDC", GAP_USD)

    async def lands(self) -> None:
        """A new gap is taken, exactly."""
        before = self.engine.outcomes["exact"]
        self.gap()
        await until(lambda: self.engine.outcomes["exact"] > before, self.stage)

    async def recovers(self) -> None:
        """Live again, having sent nothing meanwhile, on a table as the chain has it."""
        sent, loads = self.engine.core.n_sent, len(self.sent_at_live)
        await until(lambda: len(self.sent_at_live) > loads and ready(self.engine), self.stage)
        assert self.sent_at_live[-1] == sent
        await self.is_true()
        await self.lands()
        await settle(self.engine, self.stage)
        await self.is_true()
        assert self.engine.core.audit.n_mismatches == 0
        assert self.engine.outcomes["unexplained"] == 0

    async def is_true(self) -> None:
        """Slot by slot what a fresh load says."""
        await seen(self.engine, self.stage)
        table = pool_states(self.engine)
        assert len(table) == 6
        assert table == await chain_states(self.stage, self.engine.config)


@asynccontextmanager
async def riding(stage: Stage, **config: Any) -> AsyncIterator[Ride]:
    """A ride whose first trade has landed."""
    async with Proxy(stage.node.port) as proxy:
        ride = Ride(stage, proxy)
        rules = engine_config(stage, factories=(V2, SUSHI, V3), url=proxy.url, **config)

        def live(engine: Engine) -> None:
            ride.sent_at_live.append(engine.core.n_sent)

        async with running(stage, rules, live) as ride.engine:
            await ride.lands()
            await settle(ride.engine, stage)
            yield ride


def told(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """Exactly one warning holds all the words."""
    lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len([line for line in lines if all(word in line for word in words)]) == 1, lines


@on_loop
async def test_a_cut_connection(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async with riding(stage) as ride:
        await ride.proxy.cut()
        await until(lambda: not ride.engine.core.live)
        ride.gap(SUSHI)  # behind its back
        await ride.recovers()
        told(caplog, "nothing is sent until the node is back", "connection")
        assert ride.proxy.connections == 2
        assert ride.engine.keeper.recoveries == 1


@on_loop
async def test_a_node_that_hangs_up_on_the_first_attempts(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with riding(stage) as ride:
        ride.proxy.open = False
        await ride.proxy.cut()
        cut = time.monotonic()
        await until(lambda: ride.proxy.connections >= 3)  # it goes on trying
        assert ride.engine.progress_at > cut  # which the watchdog is to know
        assert not ride.engine.core.live
        ride.gap(V2)
        ride.proxy.open = True
        await ride.recovers()
        assert ride.engine.keeper.recoveries == 1
        assert "expected a WebSocket handshake" in caplog.text


@on_loop
async def test_a_cut_while_mending(stage: Stage) -> None:
    async with riding(stage) as ride:
        ride.proxy.up.clear()
        ride.engine._doubt("the test says so")
        await until(lambda: ride.engine.rpc_calls["eth_getBlockByNumber"])  # asked, not answered
        await ride.proxy.cut()
        ride.proxy.up.set()
        ride.gap(SUSHI)
        await ride.recovers()
        assert ride.engine.keeper.recoveries == 1


@on_loop
async def test_doubt_while_mending_asks_for_mending_again(stage: Stage) -> None:
    """What came since the first attempt must not be lost with it."""
    async with riding(stage) as ride:
        ride.proxy.up.clear()
        ride.engine._doubt("the test says so")
        await until(lambda: ride.engine.rpc_calls["eth_getBlockByNumber"])
        logs = ride.engine.core.n_logs
        ride.gap(V3)
        await until(lambda: ride.engine.core.n_logs > logs)
        ride.engine._doubt("the test says so again")
        ride.proxy.up.set()
        await ride.recovers()


@on_loop
async def test_heads_that_stop_coming(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async with riding(stage, head_timeout_s=2.0) as ride:
        sent = ride.engine.core.n_sent
        ride.proxy.down.clear()
        await asyncio.sleep(0.1)  # what was under way is in
        before = ride.engine.progress_at
        ride.gap(SUSHI)
        await asyncio.sleep(0.2)
        assert ride.engine.progress_at == before  # nothing came: the watchdog's time runs
        await until(lambda: not ride.engine.core.live)
        assert ride.engine.core.n_sent == sent
        ride.proxy.down.set()
        await ride.recovers()
        told(caplog, "nothing is sent", "expected a new head within 2 s, none came")


@on_loop
async def test_a_stall_that_ends_by_itself(stage: Stage) -> None:
    """What was held back comes late but whole: nothing is lost, nothing is loaded again."""
    async with riding(stage) as ride:
        sent = ride.engine.core.n_sent
        ride.proxy.down.clear()
        for factory in (SUSHI, V2, SUSHI, V3):
            ride.gap(factory)
        ride.proxy.down.set()
        await until(lambda: ride.engine.core.n_sent > sent)
        await settle(ride.engine, stage)
        await ride.is_true()
        assert ride.engine.keeper.recoveries == 0
        assert ride.engine.core.audit.n_mismatches == 0


@on_loop
async def test_terms_that_cannot_be_read_are_void(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise NodeError("the test says so")

    flash = settings.Flash(sources=("balancer",), balancer_vault=stage.market.balancer_vault)
    async with riding(stage, flash=flash) as ride:
        monkeypatch.setattr("mevfast.engine.REFRESH_S", 0.1)
        monkeypatch.setattr("mevfast.engine.read_terms", refuse)
        await until(lambda: "no lender is used" in caplog.text)
        sent = ride.engine.core.n_sent
        ride.gap()
        await seen(ride.engine, stage)
        assert ride.engine.core.n_sent == sent
        monkeypatch.undo()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@on_loop
async def test_a_gap_beyond_what_is_caught_up_reads_every_pool_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with riding(stage, max_gap_blocks=3) as ride:
        head = ride.engine.core.head_number
        ride.proxy.open = False
        await ride.proxy.cut()
        await until(lambda: not ride.engine.core.live)
        ride.gap(SUSHI)
        stage.node.rpc("anvil_mine", "0x5")
        read = ride.engine.keeper.read_pools
        ride.proxy.open = True
        await ride.recovers()
        assert ride.engine.keeper.read_pools == read + 6
        assert ride.engine.keeper.recoveries == 1
        told(caplog, "all 6 pools are read again", "the connection is lost")
        [line] = [line for line in caplog.messages if line.startswith("recovered in")]
        assert "; 6 pools read again, the logs of blocks " in line
        first, last = line.split("blocks ")[-1].split(" passed")[0].split(" to ")
        assert int(first) <= head < head + 6 <= int(last)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_reorg(stage: Stage, depth: int, caplog: pytest.LogCaptureFixture) -> None:
    @on_loop
    async def play() -> None:
        async with riding(stage) as ride:
            # Swaps too small for a trade, all but the first of which will never have been.
            small = pool_of(stage, SUSHI, PAIR)
            for _ in range(5):
                move(stage, small, "USDC", 100)
            await until(
                lambda: ride.engine.core.head_number == int(stage.node.rpc("eth_blockNumber"), 16)
            )
            truth = pool_states(ride.engine)
            sent = ride.engine.core.n_sent
            stage.node.rpc("anvil_reorg", depth, [])
            await until(lambda: ride.engine.keeper.recoveries == 1, stage)
            assert ride.engine.core.n_sent == sent
            told(caplog, "recovered in", f"a reorg of {depth} blocks", "events undone")
            await until(lambda: ready(ride.engine))
            await ride.is_true()
            assert pool_states(ride.engine) != truth  # the reorg did take something back
            await ride.lands()
            await settle(ride.engine, stage)
            await ride.is_true()
            assert ride.engine.core.audit.n_mismatches == 0

    play()


@pytest.mark.parametrize("state", ["live", "stalled", "reconnecting"])
def test_a_stop_waits_for_nothing(stage: Stage, state: str) -> None:
    """All timeouts of this engine are a minute or more."""

    async def get_there(ride: Ride) -> None:
        if state == "stalled":  # a request that is never answered
            ride.proxy.up.clear()
            ride.engine._doubt("the test says so")
            await until(lambda: ride.engine.rpc_calls["eth_getBlockByNumber"])
        elif state == "reconnecting":
            ride.proxy.open = False
            await ride.proxy.cut()
            await until(lambda: ride.proxy.connections >= 3)

    @on_loop
    async def play() -> None:
        clock = asyncio.get_running_loop().time
        async with riding(stage, request_timeout_s=60.0) as ride:
            await get_there(ride)
            stopped = clock()
        assert clock() - stopped < LIMIT_S

    play()
