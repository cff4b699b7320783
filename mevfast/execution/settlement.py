"""What became of the transactions that were sent: receipts, books, suspicion.

Follows each one from the core's list to its receipt and compares what the chain did with what was
predicted. Sends nothing and decides nothing; whoever owns it is told where the nonces are in doubt.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from mevfast._core import Core
from mevfast.chain.rpc import Rpc
from mevfast.config import Config
from mevfast.errors import NodeError, RpcError
from mevfast.execution.receipts import balance_changes, verdict
from mevfast.execution.risk import RiskGate
from mevfast.model import Trade

logger = logging.getLogger(__name__)

REFUSALS = ("nonce too low", "replacement", "insufficient funds", "underpriced", "invalid")
"""What nodes say of a transaction they did not take. After anything else it may still land."""
KEPT_TRADES = 10_000


class Settlement:
    """The books of one engine.

    `doubt(why, block)` is called where the logs from a block on are in doubt, and without a block
    where a nonce was not used, so that whatever has a later one is stuck: `nonce_gap` then stays
    True until the owner has read the nonce again, once nothing may be mined any more.
    """

    def __init__(
        self, core: Core, config: Config, risk: RiskGate, doubt: Callable[..., None]
    ) -> None:
        """Books of the transactions that `core` sends under `config`."""
        self._core, self._config, self._risk, self._doubt = core, config, risk, doubt
        self.trades: deque[Trade] = deque(maxlen=KEPT_TRADES)
        self.outcomes: Counter[str] = Counter()
        self.predicted_wei = self.realised_wei = 0
        self.nonce_gap = False
        self._suspects: dict[frozenset[bytes], set[bytes]] = {}
        self._asking: set[int] = set()
        self._doubted: set[bytes] = set()  # hashes: mined, and judged once the logs are sure
        self.tasks: set[asyncio.Task[None]] = set()

    def answered(self, request_id: int, result: Any, error: RpcError | None) -> None:
        """The node's answer to a transaction: a hash, or why it was refused."""
        if error is None:
            return
        for trade in self._core.trades():
            if trade["request_id"] != request_id:
                continue
            if not any(words in error.message.lower() for words in REFUSALS):
                # A gateway that lost patience, say: the receipt decides, or the deadline.
                logger.warning("transaction 0x%s in doubt: %s", trade["tx"].hex(), error.message)
            else:
                record = self._record(trade, "rejected")
                logger.warning("transaction %s refused: %s", record.tx, error.message)
                self._core.resolve(trade["nonce"])
                self._risk.refused()
                self.nonce_gap = True
                self._doubt(f"the node refused a transaction: {error.message}")

    @property
    def some_may_be_mined(self) -> bool:
        """Whether a transaction is under way that is not known to be mined."""
        return any(trade["tx"] not in self._doubted for trade in self._core.trades())

    def follow(self, rpc: Rpc) -> None:
        """Asks for the receipts that can be there."""
        head = self._core.head_number
        for trade in self._core.trades():
            nonce = trade["nonce"]
            due = trade["landed_block"] is not None or head > trade["block"] + 1
            if due and nonce not in self._asking:
                self._asking.add(nonce)
                task = asyncio.create_task(self._settle(rpc, trade, head))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _settle(self, rpc: Rpc, trade: dict[str, Any], head: int) -> None:
        """Reads one receipt and books what it says."""
        try:
            receipt = await rpc.request("eth_getTransactionReceipt", ["0x" + trade["tx"].hex()])
            if receipt is not None:
                self._book(trade, receipt)
                return
            self._doubted.discard(trade["tx"])  # a reorg took it back
            if head > trade["block"] + self._config.execution.deadline_blocks + 2:
                record = self._record(trade, "expired")
                logger.warning("transaction %s was never mined", record.tx)
                self._core.resolve(trade["nonce"])
                self.nonce_gap = True
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
        if trade["token"] != bytes.fromhex(self._config.market.base_token[2:]):
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
        current = {each["nonce"]: each for each in self._core.trades()}
        trade = current.get(trade["nonce"], trade)
        gas_used = int(receipt["gasUsed"], 16)
        gas_wei = gas_used * int(receipt["effectiveGasPrice"], 16)
        block = int(receipt["blockNumber"], 16)
        if int(receipt["status"], 16) == 0:
            record = self._record(trade, "reverted")
            self._risk.reverted(gas_wei)
            self._suspect(trade, block)
        else:
            changes = balance_changes(receipt["logs"], self._config.executor_address)
            realised = changes.pop("0x" + trade["token"].hex(), 0)
            outcome = verdict(trade["predicted"], trade["explained"], realised)
            if outcome == "unexplained" and not self._core.live and trade["tx"] in self._doubted:
                return  # they are still being asked for
            if outcome == "unexplained" and trade["tx"] not in self._doubted:
                # It was explained on the logs as they came; were they all there, and in order?
                self._doubted.add(trade["tx"])
                why = f"transaction 0x{trade['tx'].hex()} is not explained"
                self._doubt(why, min(block, self._core.verified + 1))
                return
            record = self._record(trade, outcome)
            record.realised, record.left_over = realised, changes
            record.realised_wei = record.predicted_wei * realised // max(record.predicted, 1)
            self.predicted_wei += record.predicted_wei
            self.realised_wei += record.realised_wei
            self._risk.landed(gas_wei)
            for suspects in self._suspects.values():
                suspects.difference_update(hop["pool"] for hop in trade["hops"])
            if outcome == "unexplained":
                logger.error(
                    "trade %s: predicted %d, recomputed %s, realised %d: unexplained",
                    record.tx, record.predicted, record.explained, realised,
                )  # fmt: skip
        record.block = block
        record.gas_used, record.gas_wei = gas_used, gas_wei
        self._doubted.discard(trade["tx"])
        self._core.resolve(trade["nonce"], reverted=record.outcome == "reverted", mined=True)

    def _moved_since(self, hop: dict[str, Any]) -> bool:
        """Whether a hop's pool has seen an event, or left, since the trade was decided."""
        slot = self._core.table.slot(hop["pool"])
        if slot is None:
            return True
        row = self._core.table.read(slot)
        return bool((row["block"], row["log_index"]) != hop["state"])

    def _suspect(self, trade: dict[str, Any], block: int) -> None:
        """Quarantines the pools of a cycle whose second revert has no cause but themselves.

        A token that takes a fee reverts however right the quote is. A lost race is not the
        pools' doing: somebody changed one of them. Nor is a deadline that passed. A pool that a
        trade landed through meanwhile is beyond suspicion.
        """
        pools = frozenset(hop["pool"] for hop in trade["hops"])
        slots = {pool: slot for pool in pools if (slot := self._core.table.slot(pool)) is not None}
        late = block - self._config.execution.deadline_blocks > trade["block"]
        if late or any(self._moved_since(hop) for hop in trade["hops"]):
            return
        suspects = self._suspects.pop(pools, None)
        if suspects is None:
            self._suspects[pools] = set(pools)
        elif suspects:
            for pool in suspects:
                self._core.table.quarantine(slots[pool])
            logger.warning(
                "pools in quarantine, trades through them revert with nobody else's swap before: "
                "%s (does a token take a fee on transfer?)",
                ", ".join(sorted("0x" + pool.hex() for pool in suspects)),
            )
