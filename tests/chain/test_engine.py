"""The engine on the real contracts, one price gap at a time: what it sends, and what came of it."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mevfast import config as settings
from mevfast._slots import TableReader
from mevfast._tx import Signer
from mevfast.chain import busy
from mevfast.chain.rpc import Rpc
from mevfast.devnet.node import DEV_ACCOUNTS
from mevfast.engine import Engine
from mevfast.errors import NodeError, RpcError
from tests.adversity.proxy import Proxy
from tests.chain.engine_stage import (
    SUSHI,
    V2,
    V3,
    engine_config,
    move,
    on_loop,
    pool_of,
    running,
    seen,
    settle,
    submit_swap,
    until,
)
from tests.chain.executor_stage import OWNER, Stage, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

PAIR = ("WETH", "USDC")
GAP_USD = 200_000
"""Opens a gap of some percent between two pools of the pair."""


def funds(stage: Stage, executor: str) -> dict[str, int]:
    """What the executor holds, of every token of the market, as the tokens themselves say."""
    return {
        token.symbol: held
        for token in stage.market.tokens
        if (held := stage.balance(token.address, executor))
    }


# ---- one gap, one trade ----


@on_loop
async def test_one_gap_is_one_trade_exact_to_the_wei(stage: Stage) -> None:
    config = engine_config(stage)
    async with running(stage, config) as engine:
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.core.n_sent)
        await settle(engine, stage)  # its own swaps are events, too, and set off nothing
        [trade] = engine.trades
        assert engine.core.n_sent == 1
        assert dict(engine.outcomes) == {"exact": 1}
        assert [hop["kind"] for hop in trade.hops] == ["uniswap_v2", "uniswap_v2"]
        # The chain's word for it, not the engine's.
        assert funds(stage, config.executor_address) == {"WETH": trade.predicted}
        assert trade.realised == trade.predicted == engine.realised_wei > 10**15
        receipt = stage.node.rpc("eth_getTransactionReceipt", trade.tx)
        assert int(receipt["blockNumber"], 16) == trade.block == trade.decided_block + 1
        assert int(receipt["gasUsed"], 16) == trade.gas_used
        assert receipt["to"].lower() == config.executor_address.lower()
        assert engine.core.audit.n_checks >= 3  # the trader's swap and both hops of ours
        assert engine.core.audit.n_mismatches == 0


@on_loop
async def test_what_is_no_executor_of_this_version_is_refused_before_anything_is_sent(
    stage: Stage,
) -> None:
    words = {stage.market.weth: "another contract or version", OWNER: "the chain has none"}
    async with await Rpc.connect(stage.node.ws_url) as rpc:
        for address, what in words.items():
            config = engine_config(stage, executor=address)
            engine = Engine(config, Signer(DEV_ACCOUNTS[2].key_bytes()))
            with pytest.raises(NodeError, match=rf"executor\.address: expected .*{what}"):
                await engine._check_executor(rpc)
        own = Engine(engine_config(stage), Signer(DEV_ACCOUNTS[2].key_bytes()))
        await own._check_executor(rpc)


@on_loop
async def test_a_loop_that_spins_trades_as_one_that_waits(stage: Stage) -> None:
    stop = busy.spin(asyncio.get_running_loop())
    try:
        async with running(stage, engine_config(stage, loop=settings.Loop(mode="spin"))) as engine:
            move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
            await until(lambda: engine.core.n_sent)
            await settle(engine, stage)
            assert dict(engine.outcomes) == {"exact": 1}
            stages = engine.latency()
    finally:
        stop()
    assert {name: stages[name]["count"] for name in ("plan", "sign", "send", "receipt")} == {
        "plan": 1, "sign": 1, "send": 1, "receipt": 1,
    }  # fmt: skip


@pytest.mark.parametrize("factories", [(V2, SUSHI), (SUSHI, V3)])
@pytest.mark.parametrize("funding", ["flash_swap", "balancer", "aave", "own"])
def test_each_way_to_fund_pays_what_was_predicted(
    stage: Stage, funding: str, factories: tuple[str, str]
) -> None:
    executor = stage.executor()
    before = 10**19 if funding == "own" else 0
    if before:
        stage.give(stage.address("WETH"), executor, before)

    @on_loop
    async def play() -> None:
        record = stage.market
        flash = settings.Flash(
            sources=(funding,), balancer_vault=record.balancer_vault, aave_pool=record.aave_pool
        )
        config = engine_config(stage, executor=executor, factories=factories, flash=flash)
        async with running(stage, config) as engine:
            move(stage, pool_of(stage, factories[0], PAIR), "USDC", GAP_USD)
            await until(lambda: engine.core.n_sent)
            await settle(engine, stage)
            assert set(engine.outcomes) == {"exact"}
            assert {trade.funding for trade in engine.trades} == {funding}
            gained = sum(trade.predicted for trade in engine.trades)
            assert gained > 0
            assert funds(stage, executor) == {"WETH": before + gained}
            first = engine.trades[0]
            if funding == "own":
                assert first.amount_in <= before
            if funding == "aave":  # the lender's fee is part of the prediction
                premium = stage.fee(3, first.amount_in)
                assert premium > 0
                assert first.predicted == first.hops[-1]["amount_out"] - first.amount_in - premium

    play()


@on_loop
async def test_shadow_decides_counts_and_sends_nothing(stage: Stage) -> None:
    config = engine_config(stage, execution=settings.Execution(mode="shadow"))
    nonce = stage.node.rpc("eth_getTransactionCount", OWNER, "latest")
    async with running(stage, config) as engine:
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.search.dropped().get("shadow"))
        await seen(engine, stage)
        assert engine.search.n_candidates == sum(engine.search.dropped().values()) > 0
        assert engine.core.n_sent == 0
        assert not engine.rpc_calls["eth_sendRawTransaction"]
        assert int(stage.node.rpc("txpool_status")["pending"], 16) == 0
        assert stage.node.rpc("eth_getTransactionCount", OWNER, "latest") == nonce


@on_loop
async def test_old_blocks_that_arrive_on_time_are_not_traded_on(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(stage, engine_config(stage)) as engine:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - 1000)  # a chain whose clock is ahead
        assert engine.block_age_s == pytest.approx(engine.head_age_s, abs=1.0)
        monkeypatch.setattr(time, "time", lambda: now() + 1000)  # a node that is behind
        await until(lambda: engine.core.paused, stage)
        assert engine.head_age_s < 300.0 < engine.block_age_s
        assert "sending stops: the newest head is" in caplog.text
        monkeypatch.undo()
        await until(lambda: not engine.core.paused)


# ---- others were faster ----


async def overtaken(stage: Stage, symbol_in: str, usd: int) -> tuple[Engine, dict[str, int]]:
    """An engine whose transaction another swap of its pool got in before; and its funds."""
    async with Proxy(stage.node.port) as proxy:
        config = engine_config(stage, url=proxy.url)
        pool = pool_of(stage, V2, PAIR)
        async with running(stage, config) as engine:
            proxy.up.clear()
            move(stage, pool, "USDC", GAP_USD)
            await until(lambda: engine.core.n_sent)
            submit_swap(stage, pool, symbol_in, usd)
            proxy.up.set()
            # Both in one block, in the order they came.
            await until(lambda: int(stage.node.rpc("txpool_status")["pending"], 16) == 2)
            await settle(engine, stage)
            overtook = funds(stage, config.executor_address)
            # Whatever happened, it goes on.
            move(stage, pool, "USDC", 2 * GAP_USD)
            await until(lambda: engine.outcomes["exact"], stage)
            return engine, overtook


@on_loop
async def test_a_swap_that_came_first_explains_the_difference(stage: Stage) -> None:
    engine, held = await overtaken(stage, "WETH", GAP_USD // 20)
    trade = engine.trades[0]
    assert trade.outcome == "explained"
    assert trade.realised == trade.explained
    assert 0 < trade.realised < trade.predicted
    assert held == {"WETH": trade.realised}
    assert engine.outcomes["unexplained"] == engine.outcomes["reverted"] == 0


@on_loop
async def test_a_swap_that_takes_the_whole_gap_makes_ours_revert(stage: Stage) -> None:
    engine, held = await overtaken(stage, "WETH", GAP_USD)
    trade = engine.trades[0]
    assert (trade.outcome, trade.realised) == ("reverted", None)
    assert held == {}
    receipt = stage.node.rpc("eth_getTransactionReceipt", trade.tx)
    assert int(receipt["status"], 16) == 0
    assert trade.gas_wei == int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    assert engine.risk.consecutive_reverts == 0  # the one that landed since


@on_loop
async def test_pools_whose_trades_only_revert_are_left_alone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a token that takes a fee: the quote is right by the events, the swap impossible."""
    async with running(stage, engine_config(stage)) as engine:
        broken, moved = pool_of(stage, V2, PAIR), pool_of(stage, SUSHI, PAIR)
        stage.node.rpc("anvil_setCode", broken.address, "0x5f5ffd")  # revert(0, 0)
        for reverts in (1, 2):
            assert "in quarantine" not in caplog.text
            move(stage, moved, "USDC", GAP_USD)
            await until(lambda n=reverts: engine.outcomes["reverted"] == n, stage)
        lines = [line for line in caplog.messages if "in quarantine" in line]
        assert len(lines) == 1
        assert broken.address.lower() in lines[0]
        assert moved.address.lower() in lines[0]
        move(stage, moved, "USDC", GAP_USD)
        await seen(engine, stage)
        assert engine.core.n_sent == 2
        assert engine.search.dropped()["quarantined"]


# ---- what others may read ----


@on_loop
async def test_another_process_may_read_head_and_counters(stage: Stage, tmp_path: Path) -> None:
    config = engine_config(stage)
    config = replace(config, table=replace(config.table, path=tmp_path / "table"))
    async with running(stage, config) as engine:
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.outcomes["exact"], stage)
        await settle(engine, stage)
        reader = TableReader(tmp_path / "table")
        assert reader.head_block == engine.core.head_number > 0
        assert [reader.read(slot) for slot in reader.slots()] == [
            engine.table.read(slot) for slot in engine.table.slots()
        ]
        await until(lambda: reader.counters()["avoided_calls"] == engine.quotes)
    counters = reader.counters()
    assert counters["rpc_calls"] == engine.rpc_calls.total() > 0
    assert counters["avoided_calls"] == engine.quotes > 0
    assert counters["events"]["v2_sync"] >= 3


# ---- nonces ----


@on_loop
async def test_a_nonce_used_elsewhere_is_read_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    config = engine_config(stage)
    async with running(stage, config) as engine:
        # Somebody else uses the engine's key.
        stage.send(DEV_ACCOUNTS[5].address, b"", OWNER)
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.outcomes["rejected"])
        assert "refused: nonce too low" in caplog.text
        await until(lambda: engine.keeper.recoveries == 1, stage)
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.outcomes["exact"], stage)
        assert dict(engine.outcomes) == {"rejected": 1, "exact": 1}
        assert engine.risk.consecutive_reverts == 0  # the one that landed since


@on_loop
async def test_a_node_that_refuses_everything_is_not_asked_for_ever(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    config = engine_config(stage)
    config = replace(config, risk=replace(config.risk, max_consecutive_reverts=2))
    async with running(stage, config) as engine:
        for refusals in (1, 2):
            stage.send(DEV_ACCOUNTS[5].address, b"", OWNER)  # the engine's nonce is gone
            move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
            await until(lambda n=refusals: engine.outcomes["rejected"] == n)
            await until(lambda n=refusals: engine.keeper.recoveries >= n, stage)
        await until(lambda: engine.core.paused)
        assert "sending stops: 2 transactions reverted or refused in a row" in caplog.text


@on_loop
async def test_an_error_that_is_no_refusal_leaves_it_to_the_receipt(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(stage, engine_config(stage)) as engine:
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.core.n_sent)
        [trade] = engine.core.trades()
        timeout = RpcError("eth_sendRawTransaction", -32603, "gateway timeout")
        engine.settlement.answered(trade["request_id"], None, timeout)
        assert "in doubt: gateway timeout" in caplog.text
        await settle(engine, stage)
        assert dict(engine.outcomes) == {"exact": 1}
        assert engine.keeper.recoveries == 0


@on_loop
async def test_a_lost_transaction_does_not_hold_back_those_after_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The node drops one: whatever has a later nonce waits for it, and new gaps keep coming."""
    stablecoins = ("USDC", "USDT", "DAI")
    config = engine_config(stage, symbols=("WETH", *stablecoins))
    lives: list[int] = []
    async with running(stage, config, lambda it: lives.append(it.core.head_number)) as engine:
        move(stage, pool_of(stage, V2, PAIR), "USDC", GAP_USD)
        await until(lambda: engine.core.n_sent)
        lost = "0x" + engine.core.trades()[0]["tx"].hex()
        await until(lambda: stage.node.rpc("eth_getTransactionByHash", lost))
        assert stage.node.rpc("anvil_dropTransaction", lost)
        for turn in range(1, 40):
            symbol, factory = stablecoins[turn % 3], (V2, SUSHI)[turn % 2]
            move(stage, pool_of(stage, factory, ("WETH", symbol)), symbol, GAP_USD)
            await seen(engine, stage)
            if engine.outcomes["exact"]:
                break
        assert "was never mined" in caplog.text
        assert engine.outcomes["expired"] > 1  # the lost one, and those behind it
        assert engine.outcomes["exact"] > 0
        # It went on only once all of those were out of the way.
        assert {trade.outcome for trade in engine.trades if trade.decided_block >= lives[1]} <= {
            "exact", "rejected",
        }  # fmt: skip
