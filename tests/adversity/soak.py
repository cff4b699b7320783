"""`make soak`: random schedules of faults, then an engine on the embedded chain for minutes, with a
fault every few seconds. Exit code 1 where the engine did not hold; everything needed to see it
again is printed."""

import argparse
import asyncio
import logging
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from unittest import mock

import orjson
import uvloop

from mevfast import engine as engine_module
from mevfast._tx import Signer
from mevfast.chain.rpc import Rpc
from mevfast.demo import demo_config
from mevfast.devnet.http_rpc import HttpRpc
from mevfast.devnet.market import ENGINE_ACCOUNT, prepared
from mevfast.devnet.net import Devnet
from mevfast.devnet.node import BLOCK_TIME_S, Anvil
from mevfast.engine import Engine
from mevfast.errors import DevnetError
from mevfast.execution.deploy import deploy_executor
from tests.adversity.faults import CATALOGUE
from tests.adversity.faulty_node import FaultyNode
from tests.adversity.ordeal import RECONNECT_S, Ordeal, different
from tests.adversity.schedule import draw, play, schedule
from tests.chain.engine_stage import chain_hash, chain_states, pool_states
from tests.chain.executor_stage import Stage

SCHEDULES, MINUTES = 200, 10.0
SCHEDULE_LIMIT_S = 120.0
SCHEDULES_PER_NODE = 50
"""anvil keeps every block it was ever taken back from."""
FAULT_EVERY_S = (1.0, 5.0)
FAULT_LASTS_S = (0.5, 2.5)
RECOVERY_S = 30.0
SWAPS_PER_SECOND = 8.0
PAGE = 4096


def say(text: str) -> None:
    """Progress goes to standard error: standard output is the JSON object's."""
    print(text, file=sys.stderr, flush=True)


# ---- schedules ----


def run_schedules(first_seed: int, count: int) -> dict[str, Any]:
    """Plays so many schedules, one seed after the other; what became of them."""
    started, failed, faults = time.monotonic(), [], Counter[str]()
    for offset in range(0, count, SCHEDULES_PER_NODE):
        state, _, market = prepared()
        with Anvil(block_time=None, load_state=state) as node:
            node.rpc("anvil_setBlockTimestampInterval", 1)
            stage = Stage(node, market)
            executor = stage.executor()
            for seed in range(
                first_seed + offset, first_seed + min(count, offset + SCHEDULES_PER_NODE)
            ):
                snapshot = node.rpc("evm_snapshot")
                why = _one_schedule(stage, seed, executor)
                node.rpc("evm_revert", snapshot)
                plan = schedule(seed)
                faults.update(fault.name for step in plan.steps for fault in step.faults)
                if why:
                    failed.append({"seed": seed, "why": why, "command": plan.command})
                    say(f"{plan.words()}\n  FAILED: {why}\n  again: {plan.command}")
                done = seed - first_seed + 1
                if done % 10 == 0 or done == count:
                    took = time.monotonic() - started
                    say(f"{done} of {count} schedules in {took:.0f} s, {len(failed)} failed")
    return {
        "first_seed": first_seed,
        "run": count,
        "failed": failed,
        "faults": sum(faults.values()),
        "faults_by_name": dict(sorted(faults.items())),
        "seconds": round(time.monotonic() - started, 1),
    }


def _one_schedule(stage: Stage, seed: int, executor: str) -> str:
    """Why it failed; empty where it did not."""

    async def run() -> None:
        async with asyncio.timeout(SCHEDULE_LIMIT_S):
            await play(stage, schedule(seed), executor)

    try:
        uvloop.run(run())
    except (AssertionError, TimeoutError) as error:
        return str(error) or f"not over after {SCHEDULE_LIMIT_S:g} s"
    except Exception as error:  # the engine's own end is a failure, too, and the next seed goes on
        logging.getLogger(__name__).exception("schedule %d", seed)
        return f"{type(error).__name__}: {error}"
    return ""


# ---- the soak ----


class Miner:
    """`with Miner(node)`: a block every so often, from a thread.

    anvil's own clock would do the same, but a reorg that meets a block being mined leaves it with a
    chain that has holes, whose state is not that of its logs. `at_rest` is held while one mines.
    """

    def __init__(self, node: Anvil) -> None:
        self._rpc = HttpRpc("127.0.0.1", node.port)
        self.at_rest = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(BLOCK_TIME_S):
            with self.at_rest:
                self._rpc.call("evm_mine")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No further block comes. May be repeated."""
        self._stop.set()
        self._thread.join()


class Voyage(Ordeal):
    """An ordeal on a chain that a clock mines, where others trade."""

    def __init__(self, net: Devnet, node: FaultyNode, chance: random.Random, miner: Miner) -> None:
        super().__init__(Stage(net.node, net.market), node, chance)
        self.net, self.miner = net, miner
        self.errors: list[str] = []
        self.lines: deque[str] = deque(maxlen=20)

    def hear_errors(self) -> None:
        """Tells what the engine calls an error, with what struck last before it."""
        records, self.ear.records = self.ear.records, []
        self.lines.extend(record.getMessage() for record in records)
        for record in records:
            if record.levelno >= logging.ERROR:
                self.errors.append(f"{record.getMessage()} (after {self.node.struck[-4:]})")
                say(self.errors[-1])

    def block(self) -> None:
        """One block more than the clock's."""
        with self.miner.at_rest:
            self.stage.node.rpc("evm_mine")

    def reorg(self, depth: int, busy: bool = False) -> None:
        """Replaces the newest blocks. The traders begin anew: they count their nonces.

        anvil's clock goes back with the chain, and would stay behind.
        """
        self.net.stop_traders()
        with self.miner.at_rest:
            super().reorg(depth, busy)
            self.stage.node.rpc("anvil_setTime", int(time.time()))
        self.net.seed += 1
        self.net.start_traders()


async def soak(minutes: float, seed: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """The engine on the embedded chain behind the faulty node for so long."""
    net = Devnet(seed=seed, traders=False, swaps_per_second=SWAPS_PER_SECOND, block_time=None)
    async with net, FaultyNode(net.node.port) as node:
        with Miner(net.node) as miner:
            return await _voyage(net, node, miner, minutes, only)


async def _voyage(
    net: Devnet, node: FaultyNode, miner: Miner, minutes: float, only: Sequence[str]
) -> dict[str, Any]:
    signer = Signer(net.signer_key(ENGINE_ACCOUNT))
    async with await Rpc.connect(net.ws_url) as rpc:
        executor = await deploy_executor(
            rpc, signer, net.market.balancer_vault, net.market.aave_pool
        )
    config = demo_config(net, executor)
    config = replace(
        config,
        node=replace(config.node, url=node.url, request_timeout_s=2.0, head_timeout_s=3.0),
        risk=replace(config.risk, max_consecutive_reverts=1000, max_gas_wei_per_hour=10**20),
    )
    each = Voyage(net, node, random.Random(net.seed), miner)

    def live() -> None:
        each.lives += 1
        net.start_traders()

    each.engine = Engine(config, signer, on_live=live)
    running = asyncio.create_task(each.engine.run())
    watching = asyncio.create_task(each.watch())
    try:
        with each.ear.listening():
            await _wait(lambda: each.live or running.done(), "the engine is live")
            each.floor = each.tip
            figures = await _faults(each, running, minutes, only)
            figures |= await _calm(each)
    finally:
        watching.cancel()
        each.engine.stop()
        # Its own end before that is told below, once everything else is stopped.
        ends = await asyncio.gather(running, watching, return_exceptions=True)
    figures["engine_ended"] = "" if ends[0] is None else repr(ends[0])
    return figures


async def _faults(
    each: Voyage, running: asyncio.Task[None], minutes: float, only: Sequence[str]
) -> dict[str, Any]:
    """Faults until the time is over; memory at the start and at the end of it."""
    end = time.monotonic() + 60 * minutes
    struck: Counter[str] = Counter()
    told = time.monotonic()
    start_mb, doubt_s = _memory_mb(), 0.0
    while time.monotonic() < end and not running.done():
        fault = CATALOGUE[each.chance.choice(only)] if only else draw(each.chance)
        struck[fault.name] += 1
        await each.strike(fault, each.chance.random())
        await asyncio.sleep(each.chance.uniform(*FAULT_LASTS_S))
        each.node.heal()
        calm = time.monotonic() + each.chance.uniform(*FAULT_EVERY_S)
        while time.monotonic() < calm and not running.done():
            await asyncio.sleep(0.01)
            doubt_s += 0.0 if each.engine.core.live else 0.01
        each.hear_errors()
        try:
            each.net.check()
        except DevnetError as error:  # traders go with the connection that a reorg takes away
            say(str(error))
            each.net.start_traders()
        if time.monotonic() - told >= 10.0:
            told = time.monotonic()
            say(
                f"{struck.total()} faults, block {each.engine.core.head_number}, "
                f"{each.sent} sent, {dict(each.engine.outcomes)}, {each.mismatches} quotes wrong, "
                f"{_memory_mb():.0f} MB, {max(0.0, end - told):.0f} s left"
            )
    return {
        "faults": struck.total(),
        "faults_by_name": dict(sorted(struck.items())),
        "memory_start_mb": round(start_mb, 1),
        "memory_end_mb": round(_memory_mb(), 1),
        "not_live_while_calm_s": round(doubt_s, 1),
    }


async def _calm(each: Voyage) -> dict[str, Any]:
    """After the last fault: everything is booked, and the table is a fresh load's."""
    each.net.stop_traders()
    each.node.heal()
    each.hear_errors()
    engine = each.engine
    why = fresh = ""
    try:
        await _wait(lambda: each.live and not engine.core.trades(), "live, and all trades booked")
        each.miner.stop()
        each.stage.node.rpc("anvil_dropAllTransactions")
        each.stage.node.rpc("evm_mine")
        await _wait(lambda: each.live and engine.core.head_number == each.tip, "at the newest head")
        truth = await chain_states(each.stage, engine.config)
        why = "; ".join(different(pool_states(engine), truth))
        fresh = await chain_hash(each.stage, engine.config)
    except AssertionError as error:
        why = str(error)
    return {
        "blocks": engine.core.head_number - each.floor,
        "pools": len(engine.table),
        "load_s": round(engine.load_s, 3),
        "table_differs": why,
        "state_hash": engine.keeper.state_hash(),
        "state_hash_of_a_fresh_load": fresh,
        "recoveries": engine.keeper.recoveries,
        "recovery_ms": round(1000 * engine.keeper.recovered_s, 1),
        "logs_missed": engine.keeper.logs_missed,
        "sent": each.sent,
        "outcomes": dict(engine.outcomes),
        "quote_checks": engine.core.audit.n_checks,
        "quote_mismatches": each.mismatches,
        "mismatches": each.wrong_quotes()[:5],
        "unexplained_trades": engine.outcomes["unexplained"],
        "sent_in_doubt": each.wrong_sends,
        "times_live": each.lives,
        "errors": each.errors[:10],
        "last_lines": list(each.lines)[-5:],
    }


async def _wait(condition: Any, what: str) -> None:
    end = time.monotonic() + RECOVERY_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {RECOVERY_S:g} s: {what}")
        await asyncio.sleep(0.05)


def _memory_mb() -> float:
    """Resident memory of this process: engine, faulty node and all."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


def held(figures: dict[str, Any]) -> bool:
    """Whether a soak's figures are those of an engine that held."""
    return not (
        figures["table_differs"]
        or figures["state_hash"] != figures["state_hash_of_a_fresh_load"]
        or figures["quote_mismatches"]
        or figures["unexplained_trades"]
        or figures["sent_in_doubt"]
        or figures["engine_ended"]
    )


def main(argv: list[str] | None = None) -> int:
    """Runs what was asked for; 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="tests.adversity.soak", description=__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES, help="default %(default)s")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="the first one (default 1)")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(CATALOGUE), default=(), metavar="FAULT",
        help="in the minutes on the embedded chain none but these",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    args = parser.parse_args(argv)
    result: dict[str, Any] = {}
    good = True
    if args.schedules:
        result["schedules"] = run_schedules(args.seed, args.schedules)
        good = not result["schedules"]["failed"]
    if args.minutes:
        with mock.patch.object(engine_module, "RECONNECT_S", RECONNECT_S):
            result["soak"] = uvloop.run(soak(args.minutes, args.seed, args.only))
        result["soak"]["held"] = held(result["soak"])
        good = good and result["soak"]["held"]
    result["held"] = good
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        for name, figures in result.items():
            say(f"{name}: {figures}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
