"""The demo: the engine on the embedded chain, against traders who move its prices."""

import argparse
import asyncio
import logging
import signal
import sys
import time
from typing import Any

import orjson
import uvloop
from rich.console import Console

from mevfast._tx import Signer
from mevfast.chain.rpc import Rpc
from mevfast.config import (
    Config,
    Execution,
    Executor,
    Factory,
    Flash,
    Gas,
    Market,
    Node,
    Risk,
    Search,
)
from mevfast.devnet.market import ENGINE_ACCOUNT
from mevfast.devnet.net import Devnet
from mevfast.engine import Engine
from mevfast.execution.deploy import deploy_executor
from mevfast.observe import log
from mevfast.observe.report import report, snapshot
from mevfast.observe.screen import LiveScreen, SwapRow, summary

HELP = "run the engine on an embedded chain with real contracts"

DRAIN_S = 3.0
"""How long receipts of the last transactions are waited for."""
FRAMES_PER_SECOND = 4
SWAPS_SHOWN = 5
MIN_PROFIT_WEI = 10**13

logger = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `demo`."""
    parser.description = (
        "Starts a chain on this machine with the bytecode of Uniswap V2 and V3, SushiSwap, "
        "Balancer V2 and Aave V3, lets traders swap at random, and runs the engine against it: "
        "it finds cycles that pay, sends them through its executor contract and compares what "
        "came out with what it predicted. Needs no key and no node."
    )
    parser.add_argument("--seconds", type=_seconds, default=30.0, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=1, help="of the traders' decisions (default 1)")
    parser.add_argument(
        "--swaps-per-second", type=_seconds, default=8.0, help="by the traders (default 8)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end, no screen")


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, was {text}")
    return value


def demo_config(net: Devnet, executor: str) -> Config:
    """The config of an engine on the embedded chain: every way to fund, every start token."""
    market = net.market
    tokens = [market.weth] + [
        token.address for token in market.tokens if token.symbol in ("USDC", "USDT", "DAI")
    ]
    return Config(
        node=Node(url=net.ws_url, chain_id=market.chain_id),
        executor=Executor(address=executor),
        market=Market(
            base_token=market.weth,
            start_tokens=tuple(tokens),
            multicall=market.multicall,
            factories=tuple(
                Factory(
                    name=each.name, kind=each.kind, address=each.address, fee_pips=each.fee_pips
                )
                for each in market.factories
            ),
        ),
        search=Search(min_profit_wei=MIN_PROFIT_WEI),
        flash=Flash(
            sources=("flash_swap", "balancer", "aave", "own"),
            balancer_vault=market.balancer_vault,
            aave_pool=market.aave_pool,
        ),
        gas=Gas(limit_percent=250),
        execution=Execution(mode="live", deadline_blocks=3),
        risk=Risk(max_consecutive_reverts=20),
    )


async def play(args: argparse.Namespace, stop: asyncio.Event) -> dict[str, Any]:
    """Runs chain, traders and engine for the time asked or until `stop`; returns the report."""
    net = Devnet(seed=args.seed, traders=False, swaps_per_second=args.swaps_per_second)
    async with net:
        signer = Signer(net.signer_key(ENGINE_ACCOUNT))
        async with await Rpc.connect(net.ws_url) as rpc:
            executor = await deploy_executor(
                rpc, signer, net.market.balancer_vault, net.market.aave_pool
            )
        engine = Engine(demo_config(net, executor), signer, on_live=net.start_traders)
        engine.core.audit.keep_recent = 0 if args.json else SWAPS_SHOWN
        running = asyncio.create_task(engine.run())
        symbols = {bytes.fromhex(each.address[2:]): each.symbol for each in net.market.tokens}
        started = time.monotonic()
        with LiveScreen() if not args.json else _NoScreen() as screen:
            while not (stop.is_set() or running.done()):
                elapsed = time.monotonic() - started
                if elapsed >= args.seconds:
                    break
                net.check()
                if not args.json:
                    rows = swap_rows(engine.core.audit.recent, net)
                    screen.update(snapshot(engine, symbols, elapsed, args.seconds, rows))
                await _wait(stop, min(1 / FRAMES_PER_SECOND, args.seconds - elapsed))
        net.stop_traders()
        drained = time.monotonic() + DRAIN_S
        engine.core.shadow = True
        while engine.core.trades() and time.monotonic() < drained and not stop.is_set():
            await asyncio.sleep(0.05)
        result = report(engine) | {"state_hash": engine.keeper.state_hash()}
        engine.stop()
        await running
    return result


def swap_rows(swaps: list[dict[str, Any]], net: Devnet) -> tuple[SwapRow, ...]:
    """The audit's newest swaps as the screen shows them, newest first."""
    tokens = {bytes.fromhex(each.address[2:]): each for each in net.market.tokens}
    names = {
        bytes.fromhex(each.address[2:]): net.market.factory(each.factory).name
        for each in net.market.pools
    }
    rows = []
    for swap in reversed(swaps):
        sides = [(tokens[swap[f"token_{side}"]], swap[f"amount_{side}"]) for side in ("in", "out")]
        shown = [f"{amount / 10**token.decimals:,.6g} {token.symbol}" for token, amount in sides]
        symbols = "/".join(sorted(token.symbol for token, _ in sides))
        rows.append(
            SwapRow(
                block=swap["block"],
                pool=f"{names[swap['pool']]} {symbols} {swap['fee_pips'] / 10_000:g} %",
                amount_in=shown[0],
                amount_out=shown[1],
                exact=swap["exact"],
            )
        )
    return tuple(rows)


class _NoScreen:
    """Stands where the screen would be."""

    def __enter__(self) -> "_NoScreen":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, _: object) -> None:
        """Nothing to draw."""


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


async def _main(args: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    result = await play(args, stop)
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        Console().print(summary(result, args.seconds))
    return 0


def run(args: argparse.Namespace) -> int:
    """Runs the demo; 0 when it ended by itself or was stopped."""
    log.set_up("warning")
    return uvloop.run(_main(args))
