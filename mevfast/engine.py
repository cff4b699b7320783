"""The engine: wires the hot half (`_core` and below) to the node and follows what it sent.

Owns the connection's life: subscribe, have the table made true (`keeper`), go live, and mend it
whenever it is in doubt; on the next node of the config where one fails. Frames go to the core on
the connection's own stack; nothing here stands between a frame and its transaction.
"""

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mevfast._cache import Table
from mevfast._core import Core
from mevfast._memory import make_ready
from mevfast._rescan import Rescan
from mevfast._search import Search
from mevfast._tx import Signer
from mevfast.chain.multicall import At
from mevfast.chain.rpc import FIRST_HOT_ID, Rpc, check_chain_id, shown_url
from mevfast.config import Config
from mevfast.dex import market
from mevfast.errors import NodeError, RpcError
from mevfast.execution import artifacts
from mevfast.execution.gas import GAS_FUNDING, GAS_HOPS
from mevfast.execution.lenders import read_terms
from mevfast.execution.risk import RiskGate
from mevfast.execution.settlement import Settlement
from mevfast.keeper import Keeper
from mevfast.observe import latency

logger = logging.getLogger(__name__)

BUSY_POLL_US = 50
"""How long a read polls the network card in mode spin, where the kernel lets it."""
REFRESH_S = 60.0
"""How often lenders' terms and the account's balance are read again."""
RESCAN_WAIT_S = 0.1
"""Between two looks whether there is anything to look through yet."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits between attempts to connect; the last one repeats."""
TICKS_A_POOL = 48
"""Room for ticks in the table, for each pool that it can hold: few have more."""
MOST_ATTEMPTS = 20
"""At making the table true on one connection, before another one is made."""


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _quantity(answer: Any, method: str) -> int:
    try:
        return int(answer, 16)
    except (TypeError, ValueError):
        raise NodeError(
            f"{method}: expected a number in hex, node answered {answer!r:.80}; "
            "check that this is an EVM node"
        ) from None


class Engine:
    """One engine on one node.

    `run` lasts until `stop` is called. `on_live` is called each time the state is loaded and
    true. Raises NodeError from `run` only where the very first connection fails: later ones are
    tried again, and nothing is sent meanwhile.
    """

    def __init__(
        self, config: Config, signer: Signer, on_live: Callable[[], None] | None = None
    ) -> None:
        """Builds table, graph and core; talks to nobody yet."""
        self.config = config
        self.executor = config.executor_address
        self.on_live = on_live
        start = [_address(token) for token in config.market.start_tokens]
        self.table = Table(
            capacity=config.table.capacity,
            path=str(config.table.path) if config.table.path else None,
            chain_id=config.node.chain_id,
            tick_capacity=max(1 << 20, TICKS_A_POOL * config.table.capacity),
        )
        self.search = Search(self.table, start, _address(config.market.base_token))
        self.search.configure(
            max_hops=config.search.max_hops,
            min_log_gain=config.search.screen_margin,
            fundings=config.flash.sources,
            min_profit=config.search.min_profit_wei,
            max_input=config.search.max_input_wei,
            gas_hops=GAS_HOPS,
            gas_funding=tuple(GAS_FUNDING.values()),
        )
        self.core = Core(
            self.search,
            signer,
            _address(self.executor),
            config.node.chain_id,
            self._not_connected,
            self._after_batch,
            deadline_blocks=config.execution.deadline_blocks,
            max_fee_percent=config.gas.max_fee_percent,
            priority_fee=config.gas.priority_fee_wei,
            gas_limit_percent=config.gas.limit_percent,
            first_request=FIRST_HOT_ID,
        )
        self.core.shadow = config.execution.mode == "shadow"
        if config.chain is not None:
            lives = config.execution.deadline_blocks + 1
            self.core.expires_ns = int(lives * config.chain.block_time_s * 1e9)
        self.core.paused = True
        self.account = signer.address
        self.risk = RiskGate(config.risk)
        self.keeper = Keeper(self.core, config)
        self._rescan = Rescan(self.search)
        self._thread = ThreadPoolExecutor(1, "rescan")  # one look at a time
        self.rescans = 0
        self.settlement = Settlement(self.core, config, self.risk, self._doubt)
        self.trades, self.outcomes = self.settlement.trades, self.settlement.outcomes
        self.calls: Counter[str] = Counter()
        self.calls_at_live: Counter[str] = Counter()
        self.first_block: int | None = None
        self.load_s = 0.0
        self.pause_reason = ""
        self._rpc: Rpc | None = None
        self._head_at = self.progress_at = time.monotonic()
        self._started_at = self._head_at
        self._begun = False  # the table was true once: from then on it is mended
        self._first_is_back = False
        self._moved, self._work = asyncio.Event(), asyncio.Event()
        self._stopping = asyncio.Event()

    # ---- life ----

    def stop(self) -> None:
        """Ends `run`; may be called from a signal handler."""
        self._stopping.set()

    async def run(self) -> None:
        """Connects, loads, trades, and connects again, until `stop`."""
        life = asyncio.create_task(self._live())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((life, stop), return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                life.result()
            self.keeper.save()
        finally:
            # Whatever is being waited for, a stop does not wait for it.
            tasks = (life, stop, *self.settlement.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._thread.shutdown(cancel_futures=True)
            self._publish()
            self.keeper.close()
            gc.enable()
            gc.unfreeze()

    async def _live(self) -> None:
        """Sessions on one node after another, in the order of the config."""
        urls = self.config.node.urls
        at = failures = 0
        while True:
            recoveries = self.keeper.recoveries
            self.progress_at = time.monotonic()
            try:
                await self._session(urls, at)
                at = 0  # it ended because the first node is back
                continue
            except (NodeError, RpcError) as error:
                at = (at + 1) % len(urls)
                if not self._begun and at == 0:
                    raise
                if self.keeper.recoveries > recoveries:
                    failures = 0
                more = f"; trying {shown_url(urls[at])}" if len(urls) > 1 else ""
                logger.warning("nothing is sent until the node is back: %s%s", error, more)
            if at == 0:  # none of them is to be had: no hurry
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def _session(self, urls: Sequence[str], at: int) -> None:
        """One connection from its first to its last frame; ends well where the first node of the
        list is to be had again."""
        node = self.config.node
        self._doubt("connecting")
        rpc = await Rpc.connect(
            urls[at],
            request_timeout=node.request_timeout_s,
            hot=self.core,
            on_disconnect=self._lost,
            on_notification=self._unread,
            on_hot_answer=self.settlement.answered,
            busy_poll_us=BUSY_POLL_US if self.config.loop.mode == "spin" else 0,
        )
        self._rpc = rpc
        self.progress_at = time.monotonic()
        beside: list[asyncio.Task[None]] = []
        try:
            await check_chain_id(rpc, node.chain_id)
            await self._check_executor(rpc)
            self.core.send = rpc.outlet
            await rpc.subscribe("newHeads")
            await rpc.subscribe("logs", {"topics": [market.TOPICS]})
            self._head_at = self.progress_at = time.monotonic()
            self._first_is_back = False
            beside.append(self._beside(self._housekeeping(rpc)))
            if self.config.search.rescan_s:
                beside.append(self._beside(self._look_through()))
            if at > 0:
                beside.append(self._beside(self._watch_first(urls[0])))
            await self._keep(rpc, beside)
        except (NodeError, RpcError) as error:
            self._doubt(str(error))
            raise
        finally:
            self._doubt("the connection is closed")
            self.core.send = self._not_connected
            self._rpc = None
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self.calls.update(rpc.calls)
            await rpc.close()

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of this session, whose end the session notices."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._moved.set())
        return task

    async def _keep(self, rpc: Rpc, beside: list[asyncio.Task[None]]) -> None:
        """Keeps the table true and follows what was sent, until the session ends."""
        upkeep: asyncio.Task[None] | None = None
        attempts = 0
        try:
            while not self._first_is_back:
                for task in (*beside, upkeep):
                    if task is not None and task.done():
                        task.result()  # nothing is sent without the risk gate, or on stale pools
                if not self.core.live and upkeep is not None:
                    upkeep.cancel()
                    await asyncio.gather(upkeep, return_exceptions=True)
                    upkeep = None
                # Behind a gap nothing is mined: first all of it must have expired.
                behind_gap = self.settlement.nonce_gap and self.settlement.some_may_be_mined
                if not (self.core.live or behind_gap):
                    attempts += 1
                    if attempts > MOST_ATTEMPTS:
                        raise NodeError(
                            f"{rpc.url}: the state could not be made true in {MOST_ATTEMPTS} "
                            f"attempts, last because: {self.core.doubt}"
                        )
                    await self._make_true(rpc)
                    self.progress_at = time.monotonic()
                    continue
                if self.core.live and upkeep is None:
                    attempts = 0
                    upkeep = self._beside(self._upkeep(rpc))
                await self._next_head(rpc)
                self.settlement.follow(rpc)
                self._work.set()
        finally:
            if upkeep is not None:
                upkeep.cancel()
                await asyncio.gather(upkeep, return_exceptions=True)

    async def _make_true(self, rpc: Rpc) -> None:
        """One attempt to bring the table up to the node's newest block; the first one begins it."""
        if not self.settlement.some_may_be_mined:
            count = await rpc.request("eth_getTransactionCount", [self.account, "latest"])
            self.core.set_nonce(_quantity(count, "eth_getTransactionCount"))
            self.settlement.nonce_gap = False
        if self._begun:
            await self.keeper.mend(rpc, self._next_head)
            await self.keeper.check_sample(rpc)
            return
        self._begun = await self.keeper.begin(rpc, self._next_head)
        await self.keeper.check_sample(rpc)
        await self._refresh(rpc)

    async def _upkeep(self, rpc: Rpc) -> None:
        """Finds and reads pools for as long as the table is true, and looks for lost logs."""
        ready = False
        if not self.keeper.discovered:
            await self.keeper.discover(rpc)
        while True:
            await self.keeper.announced(rpc)
            await self.keeper.read(rpc)
            await self.keeper.learn_tokens(rpc)
            if not ready and self.core.live:
                ready = True
                self._ready(rpc)
            if self.core.head_number - self.core.verified >= self.config.table.verify_blocks:
                lost = await self.keeper.verify(rpc)
                if lost is not None:
                    self._doubt(f"a log of block {lost} never came", lost)
            self._work.clear()
            await self._work.wait()

    def _ready(self, rpc: Rpc) -> None:
        """Every pool that can be read is: trading in earnest begins, or goes on."""
        if self.first_block is None:
            self.first_block = self.core.head_number
            self.load_s = time.monotonic() - self._started_at
            self.calls_at_live = self.calls + rpc.calls
            if not len(self.table):
                raise NodeError(
                    "market.factory: expected pools, the factories' logs name none that has a "
                    "price; check the factories' addresses and from_block"
                )
            logger.info(
                "live at block %d: %d pools, %d tokens, loaded in %.2f s",
                self.first_block, len(self.table), len(self.table.token_addresses), self.load_s,
            )  # fmt: skip
            memory = make_ready(self.core)
            logger.info(
                "%.1f MB of the hot half are in memory, %.1f MB of them locked",
                memory.bytes / 1e6, memory.locked / 1e6,
            )  # fmt: skip
            # The collector runs in housekeeping, never between a frame and its transaction, and
            # what is loaded is not walked again.
            gc.collect()
            gc.freeze()
            gc.disable()
        if self.on_live:
            self.on_live()

    async def _watch_first(self, url: str) -> None:
        """Tries the first node now and then while another one serves; ends once it keeps up."""
        node = self.config.node
        while True:
            await asyncio.sleep(node.return_after_s)
            try:
                async with await Rpc.connect(url, request_timeout=node.request_timeout_s) as first:
                    await check_chain_id(first, node.chain_id)
                    number = _quantity(await first.request("eth_blockNumber"), "eth_blockNumber")
            except (NodeError, RpcError) as error:
                logger.info("the first node is not back yet: %s", error)
                continue
            if number + 1 >= self.core.head_number:
                logger.info("%s is back: returning to it", shown_url(url))
                self._first_is_back = True
                return

    async def _next_head(self, rpc: Rpc) -> None:
        """Waits for a head or doubt. Raises NodeError where the connection ended or hangs."""
        timeout = self.config.node.head_timeout_s
        self._moved.clear()
        try:
            async with asyncio.timeout(max(0.0, timeout - self.head_age_s)):
                if not rpc.failure:
                    await self._moved.wait()
        except TimeoutError:
            raise NodeError(
                f"{self.config.node.shown_url}: expected a new head within {timeout:g} s, none "
                "came; the node or its subscription hangs"
            ) from None
        if rpc.failure:
            raise rpc.failure

    async def _check_executor(self, rpc: Rpc) -> None:
        answer = await rpc.request("eth_getCode", [self.executor, "latest"])
        try:
            code = bytes.fromhex(answer.removeprefix("0x"))
        except (AttributeError, ValueError) as error:
            raise NodeError(
                f"{self.config.node.shown_url}: eth_getCode: expected hex, was {answer!r:.60}"
            ) from error
        if not code:
            raise NodeError(
                f"executor.address: expected a contract at {self.executor}, the chain has none; "
                "deploy it with `python -m mevfast deploy` or correct the address"
            )
        if not artifacts.is_instance(code, artifacts.load("Executor").bytecode):
            raise NodeError(
                f"executor.address: expected this version's executor at {self.executor}, was "
                "another contract or version; deploy it again with `python -m mevfast deploy`"
            )

    async def _refresh(self, rpc: Rpc) -> None:
        """Lenders' terms and the account's balance."""
        flash = self.config.flash
        tokens = [_address(token) for token in self.config.market.start_tokens]
        at = At(rpc, self.core.head_number, self.keeper.multicall)
        for terms in await read_terms(
            at, tokens, self.executor, flash.balancer_vault, flash.aave_pool
        ):
            self.search.lend(
                terms.token,
                own=terms.own,
                balancer=terms.balancer,
                aave=terms.aave,
                fee_balancer=terms.fee_balancer,
                fee_aave=terms.fee_aave,
                aave_rounds_up=terms.aave_rounds_up,
            )
        balance = await rpc.request("eth_getBalance", [self.account, "latest"])
        self.risk.balance_wei = _quantity(balance, "eth_getBalance")

    async def _housekeeping(self, rpc: Rpc) -> None:
        """The risk gate, four times a second; terms, balance and garbage once a minute."""
        refreshed = time.monotonic()
        while True:
            await asyncio.sleep(0.25)
            self.keeper.expire()
            self._publish()
            self.core.stages.drain()
            gc.collect(1)
            reason = self.risk.reason(self.block_age_s)
            if reason != self.pause_reason:
                logger.warning("sending stops: %s" if reason else "sending resumes%s", reason)
                self.pause_reason = reason
            self.core.paused = bool(reason)
            if time.monotonic() - refreshed >= REFRESH_S:
                refreshed = time.monotonic()
                gc.collect()
                try:
                    await self._refresh(rpc)
                except (NodeError, RpcError) as error:
                    for token in self.config.market.start_tokens:
                        self.search.lend(_address(token))  # nothing, rather than on old terms
                    logger.warning("no lender is used, their terms could not be read: %s", error)

    async def _look_through(self) -> None:
        """The whole market, once it is loaded and now and then: for what no event brings up."""
        loop = asyncio.get_running_loop()
        while True:
            if self.core.live and self.first_block is not None:
                gas_price = self.core.base_fee + self.config.gas.priority_fee_wei
                pools = await loop.run_in_executor(self._thread, self._rescan.look, gas_price)
                self.rescans += 1
                self.core.look_again(pools)
                await asyncio.sleep(self.config.search.rescan_s)
            else:
                await asyncio.sleep(RESCAN_WAIT_S)

    def _publish(self) -> None:
        """Writes what the engine counts into the table, for whoever maps its file."""
        known = self.table.counters()
        self.table.count("rpc_calls", self.rpc_calls.total() - known["rpc_calls"])
        self.table.count("avoided_calls", self.quotes - known["avoided_calls"])

    # ---- callbacks from the connection's stack: short, no await ----

    def _not_connected(self, _: memoryview) -> None:
        raise NodeError("a transaction was to be sent without a connection")

    def _after_batch(self) -> None:
        if self.core.head_moved:
            self._head_at = self.progress_at = time.monotonic()
            self._moved.set()
        elif not self.core.live:
            self._moved.set()
        elif self.core.created:
            self._work.set()

    def _lost(self, _: NodeError) -> None:
        # Of the newest block not all logs may have come.
        self._doubt("the connection is lost", max(0, self.core.head_number - 1))

    def _doubt(self, why: str, block: int | None = None) -> None:
        """Stops sending until the table is made true anew; one attempt under way will not do."""
        self.core.distrust(why, block)
        self._moved.set()

    def _unread(self, message: dict[str, Any]) -> None:
        """A notification the core could not read: if it is a log or a head, state is missing."""
        result = message.get("params", {}).get("result")
        if isinstance(result, dict) and ("topics" in result or "parentHash" in result):
            logger.warning("a notification could not be read: %.300r", message)
            self._doubt("a log or head of the node could not be read")

    def latency(self) -> dict[str, dict[str, int]]:
        """{stage: {min_ns, p50_ns, p99_ns, p999_ns, count}} of all so far; see docs/report.md."""
        return latency.summary(self.core.stages)

    @property
    def quotes(self) -> int:
        """Quotes that the table answered: a bot that asks the node for each makes as many calls."""
        return self.search.n_quotes + self.core.audit.n_checks

    @property
    def predicted_wei(self) -> int:
        """Profit predicted for what has landed, base token."""
        return self.settlement.predicted_wei

    @property
    def realised_wei(self) -> int:
        """Profit of what has landed, base token."""
        return self.settlement.realised_wei

    @property
    def rpc_calls(self) -> Counter[str]:
        """Calls to the node so far, by method."""
        return self.calls + self._rpc.calls if self._rpc else self.calls

    @property
    def progresses(self) -> bool:
        """Whether a head, a step of a load or an attempt to connect came when it should have."""
        node = self.config.node
        limit = node.head_timeout_s + node.request_timeout_s + RECONNECT_S[-1] + 1.0
        newest = max(self.progress_at, self.keeper.progress_at)
        return time.monotonic() - newest < limit

    @property
    def head_age_s(self) -> float:
        """Seconds since the newest head arrived."""
        return time.monotonic() - self._head_at

    @property
    def block_age_s(self) -> float:
        """The newest head's age by its arrival or its own timestamp, whichever is more.

        A node that lags delivers old heads on time. On a chain whose clock runs ahead of ours
        the arrival counts.
        """
        stamped = self.core.head_timestamp
        return max(self.head_age_s, time.time() - stamped if stamped else 0.0)
