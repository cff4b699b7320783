"""The engine: wires the hot half (`_core` and below) to the node and follows what it sent.

Owns the connection's life: subscribe, load, go live, and all of that again whenever the state is
in doubt. Frames go to the core on the connection's own stack; nothing here stands between a frame
and its transaction.
"""

import asyncio
import gc
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from mevfast._cache import Table
from mevfast._core import Core
from mevfast._search import Search
from mevfast._tx import Signer
from mevfast.chain.rpc import FIRST_HOT_ID, Rpc, check_chain_id
from mevfast.config import Config
from mevfast.dex import market
from mevfast.errors import NodeError, RpcError
from mevfast.execution.lenders import read_terms
from mevfast.execution.receipts import balance_changes, verdict
from mevfast.execution.risk import RiskGate
from mevfast.model import PoolRecord, Trade

logger = logging.getLogger(__name__)

# Gas by funding and hop kind, measured on the real contracts: contracts/gas.json, "fit".
GAS_FUNDING = {"own": 7_000, "flash_swap": 13_000, "balancer": 45_000, "aave": 133_000}
GAS_V2, GAS_V3 = 90_000, 91_000

REFRESH_S = 60.0
"""How often lenders' terms and the account's balance are read again."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits between attempts to connect; the last one repeats."""
REORG_BLOCKS = 64
"""Factories' logs of blocks older than this are read once, newer ones at every load."""
REFUSALS = ("nonce too low", "replacement", "insufficient funds", "underpriced", "invalid")
"""What nodes say of a transaction they did not take. After anything else it may still land."""
KEPT_TRADES = 10_000


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
        self.table = Table(capacity=config.table.capacity)
        self.search = Search(self.table, start, _address(config.market.base_token))
        self.search.configure(
            max_hops=config.search.max_hops,
            min_log_gain=config.search.screen_margin,
            fundings=config.flash.sources,
            min_profit=config.search.min_profit_wei,
            gas_v2=GAS_V2,
            gas_v3=GAS_V3,
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
        self.core.paused = True
        self.account = signer.address
        self.risk = RiskGate(config.risk)
        self.pools: list[PoolRecord] = []
        self._settled: list[PoolRecord] = []  # made too long ago for a reorg to take them back
        self._settled_to = -1
        self.trades: deque[Trade] = deque(maxlen=KEPT_TRADES)
        self.outcomes: Counter[str] = Counter()
        self.predicted_wei = self.realised_wei = 0
        self.calls: Counter[str] = Counter()
        self.calls_at_live: Counter[str] = Counter()
        self.first_block: int | None = None
        self.loads = 0
        self.load_s = 0.0
        self.pause_reason = ""
        self._rpc: Rpc | None = None
        self._head_at = self.progress_at = time.monotonic()
        self._said_at = self._head_at
        self._moved = asyncio.Event()
        self._doubted = False
        self._stopping = asyncio.Event()
        self._nonce_gap = False  # a nonce was not used: whatever has a later one is stuck
        self._suspects: dict[frozenset[bytes], set[bytes]] = {}
        self._asking: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

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
        finally:
            # Whatever is being waited for, a stop does not wait for it.
            tasks = (life, stop, *self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            gc.enable()
            gc.unfreeze()

    async def _live(self) -> None:
        failures = 0
        while True:
            loads = self.loads
            self.progress_at = time.monotonic()
            try:
                await self._session()
            except (NodeError, RpcError) as error:
                if self.loads == 0:
                    raise
                if self.loads > loads:
                    failures = 0
                logger.warning("nothing is sent until the node is back: %s", error)
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def _session(self) -> None:
        """One connection from its first to its last frame."""
        node = self.config.node
        self.core.begin_load("connecting")
        rpc = await Rpc.connect(
            node.url,
            request_timeout=node.request_timeout_s,
            hot=self.core,
            on_disconnect=self._lost,
            on_notification=self._unread,
            on_hot_answer=self._answered,
        )
        self._rpc = rpc
        self.progress_at = time.monotonic()
        try:
            await check_chain_id(rpc, node.chain_id)
            await self._check_executor(rpc)
            self.core.send = rpc.send_raw
            await rpc.subscribe("newHeads")
            await rpc.subscribe("logs", {"topics": [market.TOPICS]})
            self._head_at = self.progress_at = time.monotonic()
            housekeeping = asyncio.create_task(self._housekeeping(rpc))
            housekeeping.add_done_callback(lambda _: self._moved.set())
            try:
                while True:
                    if housekeeping.done():
                        housekeeping.result()  # nothing is sent without the risk gate
                    # Behind a gap nothing is mined: first all of it must have expired.
                    if not (self.core.live or (self._nonce_gap and self.core.trades())):
                        await self._load(rpc)
                    await self._next_head(rpc)
                    self._follow(rpc)
            finally:
                housekeeping.cancel()
                await asyncio.gather(housekeeping, return_exceptions=True)
        finally:
            self.core.begin_load("the connection is closed")
            self.core.send = self._not_connected
            self._rpc = None
            self.calls.update(rpc.calls)
            await rpc.close()

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
        code = await rpc.request("eth_getCode", [self.executor, "latest"])
        if code in ("0x", ""):
            raise NodeError(
                f"executor.address: expected a contract at {self.executor}, the chain has none; "
                "deploy it with `python -m mevfast deploy` or correct the address"
            )

    # ---- loading ----

    async def _load(self, rpc: Rpc) -> None:
        """Reads the market at one block while events wait, then goes live."""
        why = self.core.doubt
        started = self._said_at = time.monotonic()
        if self.loads:
            logger.warning("state in doubt, nothing is sent: %s; loading again", why)
        self.core.begin_load()
        self._doubted = False
        before = self.core.head_number
        while self.core.head_number == before:
            # Events before this head are in its state, later ones wait in the core's buffer.
            await self._next_head(rpc)
        block = self.core.head_number
        await self._discover(rpc, block)
        self.progress_at = time.monotonic()
        loaded = await market.load(rpc, self.pools, block, self._loaded)
        for pool_id, why in loaded.failed.items():
            logger.info("pool 0x%s is not traded: %s", pool_id.hex(), why)
        loads = loaded.loads
        if not loads:
            raise NodeError(
                "market.factory: expected pools, the factories' logs name none that has a price; "
                "check the factories' addresses and from_block"
            )
        for slot in range(len(self.table)):
            self.table.mark_stale(slot)  # what this load leaves out has missed events
        for load in loads:
            pool = load.pool
            token0, token1 = pool.tokens
            slot = self.table.put(pool.id, pool.kind, token0, token1, load.state, block)
            self.search.add_pool(slot)
        await self._refresh(rpc)
        if not self.core.trades():
            count = await rpc.request("eth_getTransactionCount", [self.account, "latest"])
            self.core.set_nonce(_quantity(count, "eth_getTransactionCount"))
            self._nonce_gap = False
        if self._doubted or not self.core.end_load(block):
            return  # something that came meanwhile contradicts the load: again
        self.loads += 1
        self.load_s = time.monotonic() - started
        logger.info(
            "live at block %d: %d pools, %d tokens, loaded in %.2f s",
            block, len(self.table), len(self.table.token_addresses), self.load_s,
        )  # fmt: skip
        # The collector runs in housekeeping, never between a frame and its transaction, and what
        # is loaded is not walked again.
        gc.collect()
        gc.freeze()
        gc.disable()
        if self.first_block is None:
            self.first_block = block
            self.calls_at_live = self.calls + rpc.calls
        if self.on_live:
            self.on_live()

    async def _discover(self, rpc: Rpc, block: int) -> None:
        """The pools there are at a block; all but the newest are known since an earlier load."""
        settings = self.config.market
        settled = max(self._settled_to, block - REORG_BLOCKS)
        self._settled += await market.discover(rpc, settings, settled, self._settled_to + 1)
        self._settled_to = settled
        recent = await market.discover(rpc, settings, block, settled + 1)
        by_id = {pool.id: pool for pool in (*self._settled, *recent)}
        self.pools = list(by_id.values())

    def _loaded(self, done: int, total: int) -> None:
        """Says how far a long load is, once a second."""
        now = time.monotonic()
        if now - self._said_at >= 1.0:
            self._said_at = now
            logger.info("loading pools: %d of %d", done, total)
        self.progress_at = now

    async def _refresh(self, rpc: Rpc) -> None:
        """Lenders' terms and the account's balance."""
        flash = self.config.flash
        tokens = [_address(token) for token in self.config.market.start_tokens]
        for terms in await read_terms(
            rpc, tokens, self.executor, flash.balancer_vault, flash.aave_pool
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

    # ---- callbacks from the connection's stack: short, no await ----

    def _not_connected(self, _: memoryview) -> None:
        raise NodeError("a transaction was to be sent without a connection")

    def _after_batch(self) -> None:
        if self.core.head_moved:
            self._head_at = self.progress_at = time.monotonic()
            self._moved.set()
        elif not self.core.live:
            self._moved.set()

    def _lost(self, _: NodeError) -> None:
        self.core.begin_load("the connection is lost")
        self._moved.set()

    def _doubt(self, why: str) -> None:
        """Stops sending until a load that begins after now; one under way will not do."""
        self._doubted = True
        if self.core.live:
            self.core.begin_load(why)
        self._moved.set()

    def _unread(self, message: dict[str, Any]) -> None:
        """A notification the core could not read: if it is a log or a head, state is missing."""
        result = message.get("params", {}).get("result")
        if isinstance(result, dict) and ("topics" in result or "parentHash" in result):
            logger.warning("a notification could not be read: %.300r", message)
            self._doubt("a log or head of the node could not be read")

    def _answered(self, request_id: int, result: Any, error: RpcError | None) -> None:
        """The node's answer to a transaction: a hash, or why it was refused."""
        if error is None:
            return
        for trade in self.core.trades():
            if trade["request_id"] != request_id:
                continue
            if not any(words in error.message.lower() for words in REFUSALS):
                # A gateway that lost patience, say: the receipt decides, or the deadline.
                logger.warning("transaction 0x%s in doubt: %s", trade["tx"].hex(), error.message)
            else:
                record = self._record(trade, "rejected")
                logger.warning("transaction %s refused: %s", record.tx, error.message)
                self.core.resolve(trade["nonce"])
                self.risk.refused()
                self._nonce_gap = True
                self._doubt(f"the node refused a transaction: {error.message}")

    # ---- following what was sent ----

    def _follow(self, rpc: Rpc) -> None:
        """Asks for the receipts that can be there."""
        head = self.core.head_number
        for trade in self.core.trades():
            nonce = trade["nonce"]
            due = trade["landed_block"] is not None or head > trade["block"] + 1
            if due and nonce not in self._asking:
                self._asking.add(nonce)
                task = asyncio.create_task(self._settle(rpc, trade, head))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _settle(self, rpc: Rpc, trade: dict[str, Any], head: int) -> None:
        """Reads one receipt and books what it says."""
        try:
            receipt = await rpc.request("eth_getTransactionReceipt", ["0x" + trade["tx"].hex()])
            if receipt is not None:
                self._book(trade, receipt)
            elif head > trade["block"] + self.config.execution.deadline_blocks + 2:
                record = self._record(trade, "expired")
                logger.warning("transaction %s was never mined", record.tx)
                self.core.resolve(trade["nonce"])
                self._nonce_gap = True
                self._doubt("a transaction was never mined, nonces are in doubt")
        except (NodeError, RpcError) as error:
            logger.warning("no receipt for 0x%s yet: %s", trade["tx"].hex(), error)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("receipt of 0x%s not understood: %r", trade["tx"].hex(), error)
        finally:
            self._asking.discard(trade["nonce"])

    def _record(self, trade: dict[str, Any], outcome: str) -> Trade:
        predicted = trade["predicted"]
        predicted_wei = predicted
        if trade["token"] != _address(self.config.market.base_token):
            # In the base token at the price the decision was made with: for totals only.
            predicted_wei = int(trade["net"] + trade["gas_units"] * trade["gas_price"])
        record = Trade(
            tx="0x" + trade["tx"].hex(),
            nonce=trade["nonce"],
            decided_block=trade["block"],
            token=trade["token"],
            funding=trade["funding"],
            amount_in=trade["amount_in"],
            predicted=predicted,
            predicted_wei=predicted_wei,
            hops=trade["hops"],
            latency_ns=trade["latency_ns"],
            outcome=outcome,
            explained=trade["explained"],
        )
        self.trades.append(record)
        self.outcomes[outcome] += 1
        return record

    def _book(self, trade: dict[str, Any], receipt: dict[str, Any]) -> None:
        """A receipt is in: what was predicted, and what the chain did."""
        # The dict was made before the receipt was asked for; the core may know more by now.
        current = {each["nonce"]: each for each in self.core.trades()}
        trade = current.get(trade["nonce"], trade)
        gas_used = int(receipt["gasUsed"], 16)
        gas_wei = gas_used * int(receipt["effectiveGasPrice"], 16)
        block = int(receipt["blockNumber"], 16)
        if int(receipt["status"], 16) == 0:
            record = self._record(trade, "reverted")
            self.risk.reverted(gas_wei)
            self._suspect(trade, block)
        else:
            changes = balance_changes(receipt["logs"], self.executor)
            realised = changes.pop("0x" + trade["token"].hex(), 0)
            outcome = verdict(trade["predicted"], trade["explained"], realised)
            record = self._record(trade, outcome)
            record.realised, record.left_over = realised, changes
            record.realised_wei = record.predicted_wei * realised // max(record.predicted, 1)
            self.predicted_wei += record.predicted_wei
            self.realised_wei += record.realised_wei
            self.risk.landed(gas_wei)
            for suspects in self._suspects.values():
                suspects.difference_update(hop["pool"] for hop in trade["hops"])
            if outcome == "unexplained":
                logger.error(
                    "trade %s: predicted %d, recomputed %s, realised %d: unexplained",
                    record.tx, record.predicted, record.explained, realised,
                )  # fmt: skip
        record.block = block
        record.gas_used, record.gas_wei = gas_used, gas_wei
        self.core.resolve(trade["nonce"])

    def _suspect(self, trade: dict[str, Any], block: int) -> None:
        """Quarantines the pools of a cycle whose second revert has no cause but themselves.

        A token that takes a fee reverts however right the quote is. A lost race is not the
        pools' doing: somebody changed one of them. Nor is a deadline that passed. A pool that a
        trade landed through meanwhile is beyond suspicion.
        """
        pools = frozenset(hop["pool"] for hop in trade["hops"])
        slots = {pool: slot for pool in pools if (slot := self.table.slot(pool)) is not None}
        changed = max(self.table.read(slot)["block"] for slot in slots.values())
        if max(changed, block - self.config.execution.deadline_blocks) > trade["block"]:
            return
        suspects = self._suspects.pop(pools, None)
        if suspects is None:
            self._suspects[pools] = set(pools)
        elif suspects:
            for pool in suspects:
                self.table.quarantine(slots[pool])
            logger.warning(
                "pools in quarantine, trades through them revert with nobody else's swap before: "
                "%s (does a token take a fee on transfer?)",
                ", ".join(sorted("0x" + pool.hex() for pool in suspects)),
            )

    @property
    def rpc_calls(self) -> Counter[str]:
        """Calls to the node so far, by method."""
        return self.calls + self._rpc.calls if self._rpc else self.calls

    @property
    def progresses(self) -> bool:
        """Whether a head, a step of a load or an attempt to connect came when it should have."""
        node = self.config.node
        limit = node.head_timeout_s + node.request_timeout_s + RECONNECT_S[-1] + 1.0
        return time.monotonic() - self.progress_at < limit

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
