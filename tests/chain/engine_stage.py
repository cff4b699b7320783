"""The stage of the engine's tests: an engine on a node that mines when the test says so.

Holds no test. The market is cut down to a few pools, so that a test knows each cycle there is, and
nobody trades but the test.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import uvloop
from eth_utils.address import to_checksum_address

from mevfast import config as settings
from mevfast._pool import Pool as PoolState
from mevfast._tx import Signer
from mevfast.chain.rpc import Rpc
from mevfast.devnet.market import ENGINE_ACCOUNT, Pool
from mevfast.devnet.node import DEV_ACCOUNTS
from mevfast.dex import market
from mevfast.engine import Engine
from mevfast.market_file import hash_states
from mevfast.model import PoolLoad
from tests.chain.executor_stage import FOREVER, GAS, TRADER, Stage, calldata, encode, selector

LIMIT_S = 30.0
"""Nothing here is waited for longer; on an idle machine each wait takes milliseconds."""

V2, SUSHI, V3 = "Uniswap V2", "SushiSwap V2", "Uniswap V3"


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs the test on uvloop and sees that it leaves no task behind."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def whole() -> None:
            await test(*args, **kwargs)
            for _ in range(5):  # callbacks of cancelled tasks and closed sockets
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        uvloop.run(whole())

    return run


async def until(
    condition: Callable[[], object], stage: Stage | None = None, limit_s: float = LIMIT_S
) -> None:
    """Waits for a condition; with a stage, mines a block now and then meanwhile."""
    loop = asyncio.get_running_loop()
    start = mined = loop.time()
    while not condition():
        await asyncio.sleep(0.005)
        now = loop.time()
        if now - start > limit_s:
            raise AssertionError(f"not within {limit_s:g} s: {condition.__name__}")
        if stage is not None and now - mined > 0.1:
            stage.node.rpc("evm_mine")
            mined = loop.time()


async def seen(engine: Engine, stage: Stage) -> None:
    """Waits until the engine has the node's newest block, logs included."""
    # Heads and logs are two streams: a block later, the logs of this one are in.
    stage.node.rpc("evm_mine")
    number = int(stage.node.rpc("eth_blockNumber"), 16)
    await until(lambda: engine.core.head_number >= number)


def engine_config(
    stage: Stage,
    *,
    symbols: Sequence[str] = ("WETH", "USDC"),
    factories: Sequence[str] = (V2, SUSHI),
    url: str = "",
    executor: str = "",
    head_timeout_s: float = 60.0,
    request_timeout_s: float = 10.0,
    max_gap_blocks: int = 2000,
    **sections: Any,
) -> settings.Config:
    """A config in mode live for the pools of some factories among some tokens."""
    record = stage.market
    config = settings.Config(
        node=settings.Node(
            url=url or stage.node.ws_url,
            chain_id=record.chain_id,
            head_timeout_s=head_timeout_s,
            request_timeout_s=request_timeout_s,
            max_gap_blocks=max_gap_blocks,
        ),
        executor=settings.Executor(address=executor or stage.executor()),
        market=settings.Market(
            base_token=record.weth,
            start_tokens=(record.weth,),
            multicall=record.multicall,
            only_tokens=tuple(stage.address(symbol) for symbol in symbols),
            factories=tuple(
                settings.Factory(
                    name=each.name, kind=each.kind, address=each.address, fee_pips=each.fee_pips
                )
                for each in record.factories
                if each.name in factories
            ),
        ),
        search=settings.Search(min_profit_wei=10**15),
        flash=settings.Flash(
            sources=("flash_swap",),
            balancer_vault=record.balancer_vault,
            aave_pool=record.aave_pool,
        ),
        execution=settings.Execution(mode="live", deadline_blocks=3),
        risk=settings.Risk(max_head_age_s=300.0),  # blocks come when the test mines them
    )
    return replace(config, **sections)


@asynccontextmanager
async def running(
    stage: Stage, config: settings.Config, on_live: Callable[[Engine], None] | None = None
) -> AsyncIterator[Engine]:
    """An engine that is live and may send; stopped at the end, where its task must not fail."""
    key = DEV_ACCOUNTS[ENGINE_ACCOUNT].key_bytes()
    engine = Engine(config, Signer(key), on_live=lambda: on_live and on_live(engine))
    # A chain that went back to a snapshot has its clock from then.
    stage.node.rpc("anvil_setTime", int(time.time()))
    task = asyncio.create_task(engine.run())
    try:
        await until(lambda: task.done() or ready(engine), stage)
        if not task.done():
            yield engine
    finally:
        engine.stop()
        await task
        # A snapshot does not cover what waits to be mined.
        stage.node.rpc("anvil_dropAllTransactions")


def ready(engine: Engine) -> bool:
    """Whether it would send a plan now."""
    return engine.core.live and not engine.core.paused and not engine.keeper.due()


async def settle(engine: Engine, stage: Stage) -> None:
    """Mines until everything sent is booked, and what landed sets off nothing more."""
    sent = -1
    while sent != engine.core.n_sent:
        sent = engine.core.n_sent
        await until(lambda: not engine.core.trades(), stage)
        for _ in range(2):
            await seen(engine, stage)


# ---- moving prices ----


def pool_of(stage: Stage, factory: str, symbols: Sequence[str], fee_pips: int = 3000) -> Pool:
    """The pool of a pair at a factory."""
    pair = {stage.address(symbol) for symbol in symbols}
    return next(
        pool
        for pool in stage.market.pools
        if {pool.token0, pool.token1} == pair
        and pool.fee_pips == fee_pips
        and stage.market.factory(pool.factory).name == factory
    )


def submit(stage: Stage, to: str, data: bytes) -> str:
    """Hash of a transaction by the trader, not mined yet."""
    request = {"from": TRADER, "to": to, "data": "0x" + data.hex(), "gas": hex(GAS // 10)}
    return str(stage.node.rpc("eth_sendTransaction", request))


def swap_call(stage: Stage, pool: Pool, symbol_in: str, usd: int) -> tuple[str, bytes]:
    """Where to and with what a swap through the pool's router is called."""
    token_in, amount = stage.address(symbol_in), stage.units(symbol_in, usd)
    token_out = pool.token1 if token_in == pool.token0 else pool.token0
    if pool.kind == "uniswap_v3":
        types = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
        order = (token_in, token_out, pool.fee_pips, TRADER, FOREVER, amount, 0, 0)
        data = selector(f"exactInputSingle({types})") + encode([types], [order])
    else:
        signature = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
        data = calldata(signature, amount, 0, [token_in, token_out], TRADER, FOREVER)
    return stage.market.factory(pool.factory).router, data


def submit_swap(stage: Stage, pool: Pool, symbol_in: str, usd: int) -> str:
    """Hash of a swap by the trader through the pool's router, not mined yet."""
    return submit(stage, *swap_call(stage, pool, symbol_in, usd))


def move(stage: Stage, pool: Pool, symbol_in: str, usd: int) -> None:
    """The same, mined in a block of its own."""
    sent = submit_swap(stage, pool, symbol_in, usd)
    stage.node.rpc("evm_mine")
    receipt = stage.node.rpc("eth_getTransactionReceipt", sent)
    assert int(receipt["status"], 16) == 1


# ---- moving liquidity ----


def submit_mint(stage: Stage, pool: Pool, usd: int, spacings: int = 10) -> str:
    """Hash of a deposit by the trader, not mined yet; in V3 so many spacings either side."""
    amounts = [stage.units(stage.market.token(each).symbol, usd) for each in pool_tokens(pool)]
    if pool.kind != "uniswap_v3":
        signature = "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)"
        data = calldata(signature, *pool_tokens(pool), *amounts, 0, 0, TRADER, FOREVER)
        return submit(stage, stage.market.factory(pool.factory).router, data)
    types = ["uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"]
    tick, width = stage.read(pool.address, "slot0()", types)[1], pool.tick_spacing
    lower = (tick // width - spacings) * width
    order = (
        *pool_tokens(pool), pool.fee_pips, lower, lower + 2 * spacings * width, *amounts, 0, 0,
        TRADER, FOREVER,
    )  # fmt: skip
    tuple_of = (
        "(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)"
    )
    return submit(
        stage,
        stage.market.position_manager,
        selector(f"mint({tuple_of})") + encode([tuple_of], [order]),
    )


def submit_burn(stage: Stage, pool: Pool) -> bool:
    """Half of what the trader has in the pool is taken out, not mined yet; False: has nothing."""
    if pool.kind != "uniswap_v3":
        held = stage.balance(pool.address, TRADER)
        if held:
            transfer = calldata("transfer(address,uint256)", pool.address, -(-held // 2))
            submit(stage, pool.address, transfer)
            submit(stage, pool.address, calldata("burn(address)", TRADER))
        return held > 0
    for token_id, liquidity in positions(stage, pool):
        types = "(uint256,uint128,uint256,uint256,uint256)"
        order = (token_id, -(-liquidity // 2), 0, 0, FOREVER)
        data = selector(f"decreaseLiquidity({types})") + encode([types], [order])
        submit(stage, stage.market.position_manager, data)
        return True
    return False


def positions(stage: Stage, pool: Pool) -> Iterator[tuple[int, int]]:
    """Token id and liquidity of the trader's positions in a V3 pool, the newest first."""
    manager, wanted = stage.market.position_manager, (*pool_tokens(pool), pool.fee_pips)
    count = stage.read(manager, "balanceOf(address)", ["uint256"], TRADER)
    types = ["uint96", "address", "address", "address", "uint24", "int24", "int24", "uint128"]
    for index in reversed(range(count)):
        signature = "tokenOfOwnerByIndex(address,uint256)"
        token_id = stage.read(manager, signature, ["uint256"], TRADER, index)
        fields = stage.read(manager, "positions(uint256)", types, token_id)
        token0, token1 = (to_checksum_address(each) for each in fields[2:4])
        if fields[7] and (token0, token1, fields[4]) == wanted:
            yield token_id, fields[7]


def pool_tokens(pool: Pool) -> tuple[str, str]:
    """Both tokens in the pool's order."""
    return pool.token0, pool.token1


# ---- what is true ----


def pool_states(engine: Engine) -> dict[bytes, dict[str, Any]]:
    """The table's states by address, without where they come from."""
    rows = [engine.table.read(slot) for slot in engine.table.slots()]
    return {
        row["address"]: {
            name: value
            for name, value in row.items()
            if name
            not in (
                "id",
                "address",
                "kind",
                "tokens",
                "block",
                "log_index",
                "loaded_block",
                "drifts",
            )
        }
        for row in rows
    }


async def fresh_load(stage: Stage, config: settings.Config) -> list[PoolLoad]:
    """Every pool read afresh from the node at its newest block."""
    block = int(stage.node.rpc("eth_blockNumber"), 16)
    async with await Rpc.connect(stage.node.ws_url) as rpc:
        pools = await market.discover(rpc, config.market, block)
        return (await market.load(rpc, pools, block)).loads


async def chain_states(stage: Stage, config: settings.Config) -> dict[bytes, dict[str, Any]]:
    """The same states as pool_states has them."""
    good = {"stale": False, "quarantined": False}
    loads = await fresh_load(stage, config)
    return {load.pool.address: _plain(load.state) | good for load in loads}


async def chain_hash(stage: Stage, config: settings.Config) -> str:
    """The state hash of such a load: what the engine's own must equal."""
    return hash_states(
        (
            "0x" + load.pool.id.hex(),
            load.pool.kind,
            ["0x" + token.hex() for token in load.pool.tokens],
            PoolState(load.pool.kind, load.state, "").fields(),
        )
        for load in await fresh_load(stage, config)
    )


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The fields with ticks as lists, as a Pool gives them."""
    return state | {"ticks": [list(tick) for tick in state["ticks"]]} if "ticks" in state else state
