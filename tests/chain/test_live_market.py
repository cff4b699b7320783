"""Pools that come while the engine runs, and a start from what the last run left behind."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from mevfast import market_file
from mevfast.engine import Engine
from mevfast.keeper import RETRY_BLOCKS
from tests.chain.engine_stage import (
    SUSHI,
    V2,
    V3,
    chain_states,
    engine_config,
    move,
    on_loop,
    pool_of,
    pool_states,
    running,
    seen,
    until,
)
from tests.chain.executor_stage import FOREVER, TRADER, Stage, calldata, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

PAIR = ("WETH", "USDC")
ALL = ("WETH", "USDC", "ARB", "LINK", "wstETH")


def cached(stage: Stage, folder: Path, **more: Any) -> Any:
    config = engine_config(stage, factories=(V2, SUSHI, V3), **more)
    return replace(config, market=replace(config.market, cache=folder / "market.json"))


async def is_true(engine: Engine, stage: Stage) -> None:
    await seen(engine, stage)
    await until(lambda: not engine.table.stale())
    assert pool_states(engine) == await chain_states(stage, engine.config)


@on_loop
async def test_a_pair_that_is_created_while_the_engine_runs_is_traded(stage: Stage) -> None:
    """Within a block of its liquidity. SushiSwap has no pair of ARB and LINK on this chain."""
    config = engine_config(stage, symbols=("WETH", "ARB", "LINK"), factories=(V2, SUSHI))
    async with running(stage, config) as engine:
        before = len(engine.table)
        sushi = next(each for each in stage.market.factories if each.name == SUSHI)
        arb, link = stage.address("ARB"), stage.address("LINK")
        create = calldata("createPair(address,address)", arb, link)
        stage.send(sushi.address, create, TRADER)
        await until(lambda: len(engine.table) == before + 1, stage)
        for _ in range(RETRY_BLOCKS[0] + 2):  # nothing is in it yet, which is found out
            await seen(engine, stage)
        await until(lambda: not engine.keeper.due())
        signature = "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)"
        amounts = stage.units("ARB", 90_000), stage.units("LINK", 100_000)  # worth a cycle
        data = calldata(signature, arb, link, *amounts, 0, 0, TRADER, FOREVER)
        stage.send(sushi.router, data, TRADER)
        funded = int(stage.node.rpc("eth_blockNumber"), 16)
        slot, pair = next(
            (slot, pool)
            for slot, pool in engine.keeper.records.items()
            if pool.block > stage.market.block
        )
        await seen(engine, stage)
        await until(lambda: not engine.table.read(slot)["stale"])  # and no further block is mined
        assert engine.table.read(slot)["loaded_block"] <= funded + 1
        await until(lambda: engine.outcomes["exact"], stage)
        assert any(hop["pool"] == pair.id for trade in engine.trades for hop in trade.hops)
        await is_true(engine, stage)


@on_loop
async def test_a_pool_that_gets_its_price_later_is_read_within_a_block(stage: Stage) -> None:
    """Until then it is asked ever more rarely; the event that gives it one ends the wait."""
    config = engine_config(stage, symbols=("WETH", "ARB", "LINK"), factories=(V2, V3))
    async with running(stage, config) as engine:
        factory = next(each for each in stage.market.factories if each.name == V3)
        known = set(engine.keeper.records)
        signature = "createPool(address,address,uint24)"
        data = calldata(signature, stage.address("ARB"), stage.address("LINK"), 100)
        stage.send(factory.address, data, TRADER)
        await until(lambda: len(engine.keeper.records) > len(known), stage)
        for _ in range(RETRY_BLOCKS[0] + 2):
            await seen(engine, stage)
            await until(lambda: not engine.keeper.due())
        [slot] = set(engine.keeper.records) - known
        assert engine.table.read(slot)["loaded_block"] == 0
        pool = "0x" + engine.keeper.records[slot].id.hex()
        stage.send(pool, calldata("initialize(uint160)", 1 << 96), TRADER)
        priced = int(stage.node.rpc("eth_blockNumber"), 16)
        await seen(engine, stage)
        await until(lambda: not engine.table.read(slot)["stale"])  # no further block is mined
        assert engine.table.read(slot)["loaded_block"] <= priced + 1
        await is_true(engine, stage)


@on_loop
async def test_a_warm_start_needs_only_the_logs_since(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = cached(stage, tmp_path)
    async with running(stage, config) as engine:
        await is_true(engine, stage)
    held = market_file.load(str(config.market.cache))
    assert len(held.pools) == 6
    assert held.base_tokens[0].symbol == "WETH"
    move(stage, pool_of(stage, V2, PAIR), "USDC", 100)
    move(stage, pool_of(stage, V3, PAIR), "USDC", 100)
    caplog.clear()
    async with running(stage, config) as engine:
        assert engine.keeper.read_pools == 6
        assert "after: a warm start; back to block" in caplog.text
        assert "reading pools" not in caplog.text
        await is_true(engine, stage)
        assert engine.rpc_calls["eth_call"] < 60


@pytest.mark.parametrize("spoilt", ["block_hash", "chain_id", "text", "old"])
def test_a_market_file_that_does_not_serve_is_said_and_left_alone(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoilt: str
) -> None:
    @on_loop
    async def play() -> None:
        config = cached(stage, tmp_path)
        async with running(stage, config) as engine:
            await is_true(engine, stage)
        path = config.market.cache
        document = orjson.loads(path.read_bytes())
        if spoilt == "block_hash":
            document["block_hash"] = "0x" + "11" * 32
        elif spoilt == "chain_id":
            document["chain_id"] = "1"
        elif spoilt == "old":
            stage.node.rpc("anvil_mine", hex(30))
            config = config.replace(node=replace(config.node, max_gap_blocks=20))
        path.write_bytes(b"{" if spoilt == "text" else orjson.dumps(document))
        async with running(stage, config) as engine:
            assert "the market file does not serve" in caplog.text
            assert str(path) in caplog.text
            await is_true(engine, stage)

    play()


@on_loop
async def test_a_market_file_that_lies_is_found_out(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One wei off, with a hash that fits."""
    config = cached(stage, tmp_path)
    async with running(stage, config) as engine:
        await is_true(engine, stage)
    path = config.market.cache
    document = orjson.loads(path.read_bytes())
    pool = next(each for each in document["pools"] if each["kind"] == "uniswap_v2")
    pool["reserve0"] = str(int(pool["reserve0"]) + 1)
    del document["state_hash"]
    path.write_bytes(orjson.dumps(document | {"state_hash": "0x" + "00" * 32}))
    with pytest.raises(Exception, match="state_hash") as found:
        market_file.load(str(path))
    hashes = [word.strip(",;.:") for word in str(found.value).split() if word.startswith("0x")]
    right = next(word for word in hashes if word != "0x" + "00" * 32)
    path.write_bytes(orjson.dumps(document | {"state_hash": right}))
    async with running(stage, config) as engine:
        assert "differ from the chain" in caplog.text
        await is_true(engine, stage)
        await asyncio.sleep(0)
