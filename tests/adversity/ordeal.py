"""An engine in the hands of a faulty node, and what must be true of it once the faults are over.

Holds no test. The chain moves when told to: swaps, mints and burns by the trader, a block at a
time. What the tests know of the engine they know through the few properties at the end.
"""

import asyncio
import copy
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from mevfast import config as settings
from mevfast import engine as engine_module
from mevfast.devnet.market import Pool
from mevfast.engine import Engine
from tests.adversity.faults import Fault
from tests.adversity.faulty_node import FaultyNode, Session
from tests.chain.engine_stage import (
    SUSHI,
    V2,
    V3,
    chain_hash,
    chain_states,
    engine_config,
    pool_of,
    pool_states,
    ready,
    running,
    submit_burn,
    submit_mint,
    submit_swap,
    swap_call,
)
from tests.chain.executor_stage import GAS, TRADER, Stage

PAIR = ("WETH", "USDC")
GAP_USD = 200_000
"""Opens a gap of some percent between two pools of the pair."""
FEES = {V2: (3000,), SUSHI: (3000,), V3: (100, 500, 3000, 10_000)}
RECOVERY_S = 30.0
"""Within this the engine must be true again; on an idle machine it takes a fraction of a second."""
QUICK_TIMEOUTS = {"request_timeout_s": 1.5, "head_timeout_s": 2.5}
"""For faults that only a timeout reveals."""
RECOVERED = re.compile(
    r"recovered in (?P<ms>[0-9.]+) ms at block [0-9]+ after: (?P<why>.+); (?:"
    r"back to block [0-9]+ in [0-9.]+ ms, [0-9]+ events undone, [0-9]+ applied, "
    r"(?P<missed>[0-9]+) of them missed before, (?P<unread>[0-9]+) pools to be read|"
    r"[0-9]+ pools read again, the logs of blocks [0-9]+ to [0-9]+ passed over)"
)
"""The line of a recovery."""
REREAD = re.compile(
    r"pools read again in [0-9.]+ ms at block [0-9]+: [0-9]+ logs contradicted what the table "
    r"holds, or were no logs of their kind"
)
"""The line where single pools were in doubt, and nothing else."""
RECONNECT_S = (0.05, 0.1, 0.2)
GAS_LIMIT = settings.Gas(limit_percent=1000)
"""Prices move so far here that a V3 swap may cross dozens of ticks, and walk hundreds of empty
words of a bitmap: that our transaction has too little gas for it is another test's business."""


class Ear(logging.Handler):
    """Hears what the engine says, from info up."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self, since: int = 0) -> list[str]:
        """What was said, from that line on."""
        return [record.getMessage() for record in self.records[since:]]

    @contextmanager
    def listening(self) -> Iterator[None]:
        logger = logging.getLogger("mevfast")
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(level)


class Ordeal:
    """One engine, one faulty node, one chain that a test moves."""

    def __init__(self, stage: Stage, node: FaultyNode, chance: random.Random) -> None:
        self.stage, self.node, self.chance = stage, node, chance
        self.nodes = [node]  # and those that the engine may turn to
        self.pools = [pool_of(stage, name, PAIR, fee) for name in FEES for fee in FEES[name]]
        self.engine: Engine
        self.ear = Ear()
        self.floor = 0  # blocks up to here are the stage's own: no reorg takes them back
        self.lives = 0
        self.wrong_sends: list[str] = []

    # ---- the chain ----

    @property
    def tip(self) -> int:
        """Number of the chain's newest block."""
        return int(self.stage.node.rpc("eth_blockNumber"), 16)

    def block(self) -> None:
        """Mines a block with a V2 swap and a V3 swap, and often a second one of the same pool, a
        mint or a burn."""
        v2, v3 = self._some(V2, SUSHI), self._some(V3)
        acts = [lambda: self._swap(v2), lambda: self._swap(v3)]
        if self.chance.random() < 0.7:
            pool = self.chance.choice((v2, v3, v3, self._some(V3)))
            acts.append(lambda: self._move_liquidity(pool))
        if self.chance.random() < 0.5:
            acts.append(lambda: self._swap(self.chance.choice((v2, v3))))
        self.chance.shuffle(acts)
        for act in acts:
            act()
        self.stage.node.rpc("evm_mine")

    def gap(self) -> None:
        """Mines a block whose swap is worth a trade."""
        submit_swap(self.stage, pool_of(self.stage, V2, PAIR), "USDC", GAP_USD)
        self.stage.node.rpc("evm_mine")

    def reorg(self, depth: int, busy: bool = False) -> None:
        """Replaces the newest blocks; `busy`: by blocks with other swaps in them.

        Never more than there are since the ordeal began.
        """
        depth = max(1, min(depth, self.tip - self.floor))
        swaps: list[list[Any]] = []
        for index in range(depth if busy else 0):
            to, data = swap_call(self.stage, *self._order(self.chance.choice(self.pools)))
            request = {"from": TRADER, "to": to, "data": "0x" + data.hex(), "gas": hex(GAS // 10)}
            if self.chance.random() < 0.75:
                swaps.append([request, index])
        tip = self.tip
        self.stage.node.rpc("anvil_reorg", depth, swaps)
        # Where anvil was mining a block meanwhile, the new ones leave a hole behind them.
        assert self.tip == tip, f"anvil: expected block {tip} after a reorg, was {self.tip}"
        self.node.struck.append(f"reorg of {depth} blocks, {len(swaps)} swaps in the new ones")

    def _some(self, *factories: str) -> Pool:
        name = self.chance.choice(factories)
        return pool_of(self.stage, name, PAIR, self.chance.choice(FEES[name]))

    def _order(self, pool: Pool) -> tuple[Pool, str, int]:
        """A swap of 50 to 20,000 dollars, now and then one that opens a gap."""
        usd = int(50 * 400 ** self.chance.random())
        if pool.fee_pips == 3000 and self.chance.random() < 0.15:
            usd = GAP_USD
        return pool, self.chance.choice(PAIR), usd

    def _swap(self, pool: Pool) -> None:
        submit_swap(self.stage, *self._order(pool))

    def _move_liquidity(self, pool: Pool) -> None:
        if self.chance.random() < 0.5 or not submit_burn(self.stage, pool):
            submit_mint(self.stage, pool, self.chance.randrange(1000, 100_000))

    # ---- time ----

    async def seen(self, patience_s: float = 0.25) -> None:
        """Waits until the node has told its clients of the newest block, if it will at all."""
        tip, end = self.tip, time.monotonic() + patience_s
        while time.monotonic() < end:
            newest = [each.delivered[-1] for each in self.sessions() if each.delivered]
            if newest and newest[-1].number >= tip:
                break
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.005)

    def sessions(self) -> list[Session]:
        """The connections there are, to whichever node."""
        return [session for node in self.nodes for session in node.sessions]

    async def until(self, condition: Any, what: str, limit_s: float = RECOVERY_S) -> None:
        """Waits for a condition and mines quiet blocks meanwhile."""
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, f"not within {limit_s:g} s: {what}; {self.told()}"
            self.stage.node.rpc("evm_mine")
            await asyncio.sleep(0.03)

    def told(self) -> str:
        """What happened, in words."""
        late = f"{self.node.stragglers} logs after their block, " if self.node.stragglers else ""
        return f"struck: {late}{self.node.struck}; the engine said: {self.ear.lines()[-8:]}"

    # ---- what must be true ----

    async def strike(self, fault: Fault, seed: float) -> None:
        """The fault, with a chance of its own: whenever it makes use of it, the chain's moves stay
        the same."""
        scene = copy.copy(self)
        scene.chance = random.Random(seed)
        await fault.strike(scene)

    async def strikes(self, fault: Fault, blocks: int = 3) -> None:
        """The fault, in the middle of real swaps, then its end."""
        self.block()
        await self.seen()
        struck = len(self.node.struck)
        await self.strike(fault, self.chance.random())
        for _ in range(blocks):
            self.block()
            await self.seen()
        await self.until(lambda: len(self.node.struck) > struck, f"{fault.name} strikes")
        self.node.heal()

    async def recovers(self) -> None:
        """Live again with the table of the chain, and what was held true on the way was true."""
        await self.comes_true()
        await self.lands()
        await self.comes_true()
        fresh = await chain_hash(self.stage, self.engine.config)
        assert self.engine.keeper.state_hash() == fresh, self.told()

    async def comes_true(self, limit_s: float = RECOVERY_S) -> None:
        """Live at the newest block, and slot by slot what a fresh load says."""
        end = time.monotonic() + limit_s
        while True:
            self.stage.node.rpc("evm_mine")
            await self.seen()
            self.is_clean()
            why = await self._untrue()
            if not why:
                return
            assert time.monotonic() < end, f"not true within {limit_s:g} s: {why}; {self.told()}"
            await asyncio.sleep(0.03)  # blocks that come too fast leave no time for a load

    async def _untrue(self) -> str:
        """What keeps the engine from being live and true; empty where nothing does."""
        if not self.live:
            return f"not live: {self.engine.core.doubt or self.engine.pause_reason}"
        if self.engine.core.head_number != self.tip:
            return f"at block {self.engine.core.head_number} of {self.tip}"
        truth = await chain_states(self.stage, self.engine.config)
        assert len(truth) == len(self.pools)
        return "; ".join(different(pool_states(self.engine), truth))

    async def lands(self) -> None:
        """A new gap is taken, exactly."""
        before = self.engine.outcomes["exact"]
        for _ in range(5):  # the first ones may but close a gap that there is
            self.gap()
            await self.seen()
            await self.settles()
            if self.engine.outcomes["exact"] > before:
                return
        raise AssertionError(f"no trade lands: {dict(self.engine.outcomes)}; {self.told()}")

    async def settles(self) -> None:
        """Mines until everything sent is booked, and what landed sets off nothing more."""
        sent = -1
        while sent != self.sent:
            sent = self.sent
            await self.until(lambda: not self.engine.core.trades(), "every trade is booked")
            for _ in range(2):
                self.stage.node.rpc("evm_mine")
                await self.seen()

    def is_clean(self) -> None:
        """No quote was wrong, no trade is unexplained, and nothing was sent in doubt."""
        assert self.mismatches == 0, f"quotes wrong: {self.wrong_quotes()}; {self.told()}"
        unexplained = [each for each in self.engine.trades if each.outcome == "unexplained"]
        assert not unexplained, f"{unexplained}; {self.told()}"
        assert not self.wrong_sends, f"{self.wrong_sends}; {self.told()}"
        # Of what the engine wrote into a connection that was ending, the node saw nothing.
        assert sum(len(node.sends) for node in self.nodes) <= self.sent

    async def watch(self) -> None:
        """Sees to it that nothing is sent between doubt and recovery."""
        doubted, lives, sent = False, self.lives, self.sent
        while True:
            still = doubted and not self.engine.core.live and lives == self.lives
            if still and self.sent != sent:
                self.wrong_sends.append(f"{self.sent - sent} sent in doubt")
            doubted, lives, sent = not self.engine.core.live, self.lives, self.sent
            await asyncio.sleep(0.001)

    # ---- the engine, as far as it is known here ----

    @property
    def live(self) -> bool:
        """Whether it would send a plan now, whichever pools it takes."""
        return ready(self.engine)

    @property
    def sent(self) -> int:
        """Transactions it has sent."""
        return self.engine.core.n_sent

    @property
    def mismatches(self) -> int:
        """Quotes of its own that a swap on the chain did not bear out."""
        return self.engine.core.audit.n_mismatches

    def wrong_quotes(self) -> list[str]:
        """Those, in words."""
        return [
            f"0x{each['pool'].hex()[:8]} block {each['block']} log {each['log_index']}: "
            f"{each['amount_in']} for {each['amount_out']}"
            for each in self.engine.core.audit.mismatches
        ]

    def explains(self, fault: Fault) -> int:
        """Each recovery was one line: why, how long, what was missed; and so was this fault's.

        Returns how many logs they say were missed: none where none fell into the gap.
        """
        lines = [line for line in self.ear.lines() if line.startswith("recovered")]
        found = [match for line in lines if (match := RECOVERED.fullmatch(line))]
        assert len(found) == len(lines) == self.engine.keeper.recoveries, lines
        assert bool(found) >= bool(self.engine.core.losses), self.told()
        alone = [line for line in self.ear.lines() if REREAD.fullmatch(line)]
        assert fault.harmless or found or alone, f"nothing is said of it; {self.told()}"
        return sum(int(each["missed"] or 0) + int(each["unread"]) for each in found)


def different(table: dict[bytes, dict[str, Any]], truth: dict[bytes, dict[str, Any]]) -> list[str]:
    """Where the table is not as the chain has it, pool by pool and field by field."""
    out = []
    for address in sorted(table.keys() | truth.keys()):
        mine, theirs = table.get(address, {}), truth.get(address, {})
        fields = [
            name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)
        ]
        for name in sorted(fields):
            values = f"{str(mine.get(name))[:60]}, the chain has {str(theirs.get(name))[:60]}"
            out.append(f"0x{address.hex()[:8]}.{name} is {values}")
    return out


@asynccontextmanager
async def ordeal(
    stage: Stage,
    chance: random.Random,
    *,
    fallbacks: Sequence[FaultyNode] = (),
    return_after_s: float = 60.0,
    first_trade: bool = True,
    prepare: Callable[[FaultyNode], None] = lambda node: None,
    **config: Any,
) -> AsyncIterator[Ordeal]:
    """An ordeal whose engine is live; its first trade has landed, if wanted.

    `prepare` may spoil the node before the engine is there. `config` goes to engine_config.
    """
    async with FaultyNode(stage.node.port) as node:
        prepare(node)
        each = Ordeal(stage, node, chance)
        each.nodes += fallbacks
        risk = settings.Risk(
            max_head_age_s=300.0, max_consecutive_reverts=1000, max_gas_wei_per_hour=10**20
        )
        rules = engine_config(
            stage, factories=(V2, SUSHI, V3), url=node.url, risk=risk, gas=GAS_LIMIT, **config
        )
        if fallbacks:
            others = {"fallback_urls": tuple(other.url for other in fallbacks)}
            again = replace(rules.node, **others, return_after_s=return_after_s)
            rules = replace(rules, node=again)

        def live(_: Engine) -> None:
            each.lives += 1

        with each.ear.listening(), mock.patch.object(engine_module, "RECONNECT_S", RECONNECT_S):
            async with running(stage, rules, live) as each.engine:
                each.floor = each.tip
                watch = asyncio.create_task(each.watch())
                try:
                    if first_trade:
                        await each.lands()
                    for _ in range(2):
                        each.block()
                        await each.seen()
                    yield each
                finally:
                    watch.cancel()
                    await asyncio.gather(watch, return_exceptions=True)
