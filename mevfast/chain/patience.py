"""Requests that outlast a node's limits on how much may be asked of it.

Owns what tells "not now" from "no", and how long to wait. Everything else that a node answers goes
to the caller as it came.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from mevfast.chain.rpc import BATCH_SIZE, Rpc
from mevfast.errors import NodeError, RpcError

logger = logging.getLogger(__name__)

WAITS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before each new attempt; a minute is how long most providers look back."""

_CODES = frozenset({-32005, -32029, -32097, 429})
"""EIP-1474's "limit exceeded", and what providers made of it."""
_WORDS = (
    "rate limit", "rate-limit", "ratelimit", "too many requests", "429", "request limit",
    "compute units", "throughput", "capacity exceeded", "try again", "over quota", "credits",
)  # fmt: skip
_RANGE_WORDS = (
    "results", "range", "blocks", "too large", "too big", "too wide", "response size",
    "logs matched", "limited to",
)  # fmt: skip
"""EIP-1474's code is also what a range of too many logs is refused with."""


def limited(error: RpcError) -> bool:
    """Whether the node refused because of how much it was asked lately: the same may work later."""
    message = error.message.lower()
    if any(word in message for word in _WORDS):
        return True
    return error.code in _CODES and not any(word in message for word in _RANGE_WORDS)


async def batch(
    rpc: Rpc, calls: Sequence[tuple[str, Sequence[Any]]], batch_size: int = BATCH_SIZE
) -> list[Any]:
    """As `Rpc.batch`, but what the node refused for now is asked again, after growing waits.

    Raises NodeError where it refuses to the last.
    """
    answers = await rpc.batch(calls, batch_size=batch_size)
    for wait in WAITS_S:
        again = [
            index
            for index, answer in enumerate(answers)
            if isinstance(answer, RpcError) and limited(answer)
        ]
        if not again:
            return answers
        logger.info(
            "the node limits its answers (%s): %d of %d calls again in %g s",
            answers[again[0]].message, len(again), len(calls), wait,
        )  # fmt: skip
        await asyncio.sleep(wait)
        later = await rpc.batch([calls[index] for index in again], batch_size=batch_size)
        for index, answer in zip(again, later, strict=True):
            answers[index] = answer
    for answer in answers:
        if isinstance(answer, RpcError) and limited(answer):
            raise NodeError(
                f"{answer.method}: expected an answer within {sum(WAITS_S):g} s, the node still "
                f"limits them ({answer.message}); use a node with a higher limit"
            )
    return answers


async def request(rpc: Rpc, method: str, params: Sequence[Any] = ()) -> Any:
    """As `Rpc.request`, but patient as `batch` is."""
    for wait in WAITS_S:
        try:
            return await rpc.request(method, params)
        except RpcError as error:
            if not limited(error):
                raise
            logger.info("the node limits its answers (%s): again in %g s", error.message, wait)
        await asyncio.sleep(wait)
    return await rpc.request(method, params)
