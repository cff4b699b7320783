"""Mends the reserve table after a gap or a reorg, from the node's own logs.

Back to the newest block that the node still has, through the undo journal, then forward by its
logs; only where neither reaches is every pool stale, to be read again. How pools are found and read
is the keeper's business.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from mevfast._core import Core
from mevfast._wire import parse
from mevfast.chain.rpc import Rpc
from mevfast.config import Config
from mevfast.dex import market
from mevfast.errors import NodeError
from mevfast.model import PoolRecord

logger = logging.getLogger(__name__)

MOST_HASHES = 64
"""Blocks of a gap whose hashes are asked for."""

Waiting = Callable[[Rpc], Awaitable[None]]


class Failed(NamedTuple):
    """A pool that did not answer as one: how often; the block of the last time; and of the next."""

    times: int
    block: int
    again: int


@dataclass(frozen=True)
class _StartOver:
    """That every pool is being read again: why, since when, and the blocks that are passed over."""

    why: str
    since: float  # monotonic seconds
    first: int
    last: int


def notification(kind: str, result: dict[str, Any]) -> bytes:
    """What the node was asked for, as the notification it would have sent."""
    return orjson.dumps(
        {
            "jsonrpc": "2.0",
            "method": "eth_subscription",
            "params": {"subscription": kind, "result": result},
        }
    )


class Mender(ABC):
    """What is known of a table's pools, `records` by slot, and how the table is made true again.

    `recoveries`, `recovered_s` (from the first doubt on) and `logs_missed` count what was mended.
    """

    def __init__(self, core: Core, config: Config) -> None:
        """Mends the table of `core` by the rules of `config`."""
        self.core, self.config = core, config
        core.doubts_logs = True
        self.table, self.search = core.table, core.search
        self.records: dict[int, PoolRecord] = {}
        self.recoveries = 0
        self.recovered_s = 0.0
        self.logs_missed = 0
        self.discovered = False  # no pools were announced but those in the table
        self.progress_at = time.monotonic()
        self.retry: dict[int, Failed] = {}  # by slot
        self._blooms = 0
        self._starting_over: _StartOver | None = None
        self._undone = self._applied = self._missed = 0  # in attempts at a recovery to come

    @abstractmethod
    def remove(self, slot: int, why: str) -> None:
        """Takes a pool out of search and table."""

    async def mend(self, rpc: Rpc, next_head: Waiting, why: str = "") -> bool:
        """Makes the table true again after a gap or a reorg; False where it must be tried again.

        `next_head(rpc)` waits for the node's next head or raises NodeError.
        """
        started, why = time.monotonic(), why or self.core.doubt
        self.core.begin_load()
        head = await self.block(rpc, "latest")
        self.core.start_at(notification("head", head))
        number, trusted = int(head["number"], 16), self.core.trusted
        if number < trusted and self._knows(head):
            logger.info("the node is %d blocks behind what was seen already", trusted - number)
            await next_head(rpc)
            return False
        fork = await self._fork(rpc, min(trusted, number))
        if fork is None or number - fork > self.config.node.max_gap_blocks:
            return self._start_over(number, why, started)
        logs = await self.logs(rpc, fork + 1, number) if fork < number else []
        hashes = await self._branch(rpc, fork, number)
        if hashes is None or hashes[number] != _hash(head):
            return False  # it has moved on to another branch meanwhile
        if any(
            hashes.get(_place(log)[0], found) != found
            for log in logs
            for found in [bytes.fromhex(log["blockHash"][2:])]
        ):
            return False
        logs.sort(key=_place)
        messages = [notification("logs", log) for log in logs]
        self._missed += sum(
            _place(log) not in self.core.told and not self.core.knows(message)
            for log, message in zip(logs, messages, strict=True)
        )
        undone = self.table.counters()["undone"]
        changed = self.core.roll_back(fork)
        if changed is None:
            return self._start_over(number, why, started)
        self._undone += self.table.counters()["undone"] - undone
        self._forget_after(fork)
        for block, block_hash in hashes.items():
            self.core.know_block(block, block_hash)
        verified = fork <= self.core.verified
        self._applied += self.core.catch_up(messages, verified=verified)
        # A node that indexes its logs late answers with too few: they are asked for once more.
        self.core.verified = min(self.core.verified, fork)
        if not self.core.end_load(number):
            return False
        self._recovered(number, why, fork, started)
        return True

    def _recovered(self, number: int, why: str, fork: int, began: float) -> None:
        """Counts a recovery that went back to a fork, and says so; `began`: its last attempt.

        It lasted since the doubt that it ends, or since `began` where the table was never true.
        """
        now = self.progress_at = time.monotonic()
        took = now - (self.core.doubted_at / 1e9 or began)
        undone, applied, missed = self._undone, self._applied, self._missed
        self._undone = self._applied = self._missed = 0
        self.recoveries += 1
        self.recovered_s += took
        self.logs_missed += missed
        blooms, self._blooms = self.core.bloom_doubts - self._blooms, self.core.bloom_doubts
        if applied <= undone and blooms:
            # A bloom names pools by chance as well: the more often, the longer it is not asked.
            self.core.bloom_from = number + self.config.table.verify_blocks
        logger.warning(
            "recovered in %.1f ms at block %d after: %s; back to block %d in %.1f ms, %d events "
            "undone, %d applied, %d of them missed before, %d pools to be read",
            1000 * took, number, why, fork, 1000 * (now - began), undone, applied, missed,
            len(self.table.stale()),
        )  # fmt: skip

    async def _branch(self, rpc: Rpc, fork: int, number: int) -> dict[int, bytes] | None:
        """Hashes of the newest blocks after `fork` up to `number`, at most MOST_HASHES; None where
        they are no chain, or `fork` is not the block that the table went through.

        A log that comes late, of a block that was taken back, is known by them.
        """
        first = max(fork + 1, number - MOST_HASHES + 1)
        numbers = [fork, *range(first, number + 1)]
        blocks = await rpc.batch([("eth_getBlockByNumber", [hex(n), False]) for n in numbers])
        hashes = {n: _hash(block) for n, block in zip(numbers, blocks, strict=True)}
        if hashes[fork] != self.core.block_hash(fork):
            return None
        found: dict[int, bytes] = {}
        for n, block in zip(numbers, blocks, strict=True):
            block_hash = hashes[n]
            parent = hashes.get(n - 1)
            if block_hash is None or (
                parent is not None and block["parentHash"] != "0x" + parent.hex()
            ):
                return None
            found[n] = block_hash
        return found

    def _start_over(self, number: int, why: str, began: float) -> bool:
        """Too far back for the journal or the node's logs: every pool is read again.

        Each is traded as soon as it is; the line that all are comes once they are (`read_again`).
        """
        first = self.core.trusted + 1
        for slot in self.records:
            self.table.mark_stale(slot)
            self.search.refresh_pool(slot)
        self.retry.clear()
        self.discovered = False  # pools may have been announced in what is passed over
        self.core.verified = number
        logger.warning(
            "all %d pools are read again at block %d after: %s", len(self.records), number, why
        )
        since = self.core.doubted_at / 1e9 or began
        if not self.core.end_load(number):
            return False
        over = self._starting_over
        self._starting_over = (
            replace(over, last=number) if over else _StartOver(why, since, first, number)
        )
        self._undone = self._applied = self._missed = 0
        return True

    def read_again(self) -> None:
        """Every pool that can be was read: if that ends a start over, counts it and says so."""
        over, self._starting_over = self._starting_over, None
        if over is None:
            return
        took = time.monotonic() - over.since
        self.recoveries += 1
        self.recovered_s += took
        logger.warning(
            "recovered in %.1f ms at block %d after: %s; %d pools read again, the logs of blocks "
            "%d to %d passed over",
            1000 * took, self.core.head_number, over.why, len(self.records), over.first, over.last,
        )  # fmt: skip

    async def _fork(self, rpc: Rpc, newest: int) -> int | None:
        """The newest block not above `newest` that the table went through and the node has."""
        oldest = max(0, newest - self.config.table.undo_blocks)
        known = [n for n in range(newest, oldest, -1) if self.core.block_hash(n)]
        start, size = 0, 1
        while start < len(known):
            part = known[start : start + size]
            blocks = await rpc.batch([("eth_getBlockByNumber", [hex(n), False]) for n in part])
            if all(_hash(block) is None for block in blocks):
                raise NodeError(f"{rpc.url}: blocks {part[-1]} to {part[0]} are not to be had")
            for number, block in zip(part, blocks, strict=True):
                if _hash(block) == self.core.block_hash(number):
                    return number
            start, size = start + size, 8
        return None

    def _knows(self, head: dict[str, Any]) -> bool:
        return self.core.block_hash(int(head["number"], 16)) == _hash(head)

    def _forget_after(self, fork: int) -> None:
        """Pools that were announced in blocks that are gone, or are about to be announced again."""
        for slot in [slot for slot, pool in self.records.items() if pool.block > fork]:
            self.remove(slot, "announced in a block that was taken back")

    async def verify(self, rpc: Rpc) -> int | None:
        """Compares the logs of closed blocks with what the table has seen: the oldest block with a
        log that never came, or None. To be called about every `table.verify_blocks`."""
        start = max(self.core.verified, self.table.undo_floor) + 1
        end = self.core.head_number - 2
        if end < start:
            return None
        losses = self.core.losses
        logs = await self.logs(rpc, start, end)
        if not self.core.live or self.core.losses != losses:
            return None
        missing = [log for log in logs if not self.core.knows(notification("logs", log))]
        if missing:
            return min(int(log["blockNumber"], 16) for log in missing)
        self.core.verified = end
        return None

    def know_parent(self, head: dict[str, Any]) -> None:
        """The table is true after a head's parent, too: it begins there, or logs since were had."""
        number = int(head["number"], 16)
        if number > 0:
            self.core.know_block(number - 1, bytes.fromhex(head["parentHash"][2:]))

    # ---- asking the node ----

    async def block(self, rpc: Rpc, which: str) -> dict[str, Any]:
        """A header; NodeError where it is none."""
        block = await rpc.request("eth_getBlockByNumber", [which, False])
        if _hash(block) is None or parse(notification("head", block)) is None:
            raise NodeError(
                f"{rpc.url}: eth_getBlockByNumber({which}): expected a block, was {block!r:.80}"
            )
        found: dict[str, Any] = block
        return found

    async def logs(self, rpc: Rpc, start: int, end: int) -> list[dict[str, Any]]:
        """Every log of our topics in these blocks; NodeError where one is no log."""
        logs = await market.logs(rpc, start, end)
        for log in logs:
            if parse(notification("logs", log)) is None:
                raise NodeError(f"{rpc.url}: eth_getLogs: expected logs, one was {log!r:.160}")
        return logs


def _hash(block: Any) -> bytes | None:
    """The hash in a block as the node answers it; None of anything else."""
    try:
        return bytes.fromhex(block["hash"][2:])
    except (TypeError, KeyError, ValueError):
        return None


def _place(log: dict[str, Any]) -> tuple[int, int]:
    return int(log["blockNumber"], 16), int(log["logIndex"], 16)
