"""Logs of many blocks from a node that answers only for some at a time.

Owns the width of a query: halved when the node refuses a range, found by halves between what works
and what does not, and tried wider again now and then, because most nodes count logs, not blocks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from mevfast.chain import patience
from mevfast.chain.rpc import Rpc
from mevfast.errors import NodeError, RpcError

TRY_WIDER_AFTER = 8
"""Ranges of the widest size that works, until a wider one is tried."""

IN_FLIGHT = 4
"""Ranges that are asked for at once."""


class Width:
    """How many blocks to ask for next, by what was answered so far."""

    def __init__(self, blocks: int) -> None:
        """Begins with `blocks`."""
        self.blocks = max(1, blocks)
        self._works, self._fails = 0, 0  # the widest that did, the narrowest that did not; 0: none
        self._since, self._patience = 0, TRY_WIDER_AFTER

    @property
    def is_steady(self) -> bool:
        """Whether this is a width that worked, not one to be tried."""
        return self.blocks == self._works

    def worked(self, blocks: int) -> None:
        """A range of that many blocks was answered."""
        if blocks < self.blocks:
            return  # the last one, cut short
        if self._works and blocks >= 2 * self._works:
            self._patience = TRY_WIDER_AFTER  # it is worth while
        self._works = blocks
        if not self._fails:
            self.blocks = 2 * blocks
        elif self._fails - blocks > max(1, blocks // 8):
            self.blocks = (blocks + self._fails) // 2
        else:
            self._since += 1
            if self._since >= self._patience:
                self._fails, self._since = 0, 0
                self._patience *= 2  # a limit that never moves is tested ever more rarely
                self.blocks = 2 * blocks

    def failed(self, blocks: int) -> None:
        """A range of that many blocks, more than one, was refused."""
        self._fails, self._since = blocks, 0
        if self._works >= blocks:
            self._works = 0  # it did, elsewhere
        self.blocks = self._works or (blocks + 1) // 2


async def sweep(
    rpc: Rpc, query: dict[str, Any], span: tuple[int, int], width: Width, who: str
) -> AsyncIterator[tuple[int, int, list[dict[str, Any]]]]:
    """The logs that `query` (address, topics) names, as (first block, last block, logs), in order
    and without gaps, in the blocks of `span`, both ends included.

    `width` may be kept for a later sweep. `who` is what the logs are of, for messages. Raises
    NodeError where the node refuses even a single block, or is lost.
    """
    start, end = span
    while start <= end:
        spans = _next_spans(start, end, width)
        answers = await asyncio.gather(
            *(_logs(rpc, query, first, last) for first, last in spans), return_exceptions=True
        )
        for (first, last), answer in zip(spans, answers, strict=True):
            blocks = last - first + 1
            if isinstance(answer, BaseException):
                _judge(rpc, answer, first, blocks, who)
                width.failed(blocks)
                break
            width.worked(blocks)
            yield first, last, answer
            start = last + 1


def _next_spans(start: int, end: int, width: Width) -> list[tuple[int, int]]:
    """What to ask for at once: several ranges only of a width that works."""
    firsts = range(start, end + 1, width.blocks)[: IN_FLIGHT if width.is_steady else 1]
    return [(first, min(first + width.blocks - 1, end)) for first in firsts]


def _judge(rpc: Rpc, error: BaseException, block: int, blocks: int, who: str) -> None:
    """Raises what a narrower range would not mend."""
    if not isinstance(error, RpcError | NodeError):
        raise error
    if isinstance(error, NodeError) and (rpc.failure or blocks == 1):
        raise error
    if blocks == 1:
        raise NodeError(
            f"{who}: the node refuses the logs even of block {block} alone "
            f"({getattr(error, 'message', error)}); use a node that serves eth_getLogs"
        ) from error


async def _logs(rpc: Rpc, query: dict[str, Any], start: int, end: int) -> list[dict[str, Any]]:
    asked = {**query, "fromBlock": hex(start), "toBlock": hex(end)}
    answer = await patience.request(rpc, "eth_getLogs", [asked])
    if not isinstance(answer, list):
        raise NodeError(f"eth_getLogs: expected a list of logs, node answered {answer!r:.80}")
    return answer


async def all_logs(rpc: Rpc, topics: Sequence[str], start: int, end: int) -> list[dict[str, Any]]:
    """Every log of these topics in blocks `start` to `end`, whoever emitted it."""
    found: list[dict[str, Any]] = []
    query, width = {"topics": [list(topics)]}, Width(end - start + 1)
    async for _, _, logs in sweep(rpc, query, (start, end), width, "all pools"):
        found += logs
    return found
