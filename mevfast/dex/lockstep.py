"""Many reads at once: all their next questions in a few calls, again and again until all are done.

Owns the driving of `dex.reads` generators on a node. Knows no kind of pool.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from mevfast.chain.multicall import At
from mevfast.dex.reads import (
    Answer,
    Call,
    Question,
    TickQuery,
    packs,
    reader_answers,
    reader_call,
)
from mevfast.errors import DataError, NodeError
from mevfast.execution.artifacts import TickAnswer

MOST_TURNS = 2500
"""Turns that reads may take together: a pool's ticks come in as many calls as they need."""


Key = TypeVar("Key")
Result = TypeVar("Result")
Reading = Generator[list[Question], list[Answer], Result]


async def run(
    at: At,
    reads: Mapping[Key, Reading[Result]],
    on_done: Callable[[int], None] | None = None,
) -> tuple[dict[Key, Result], dict[Key, str]]:
    """What each read returned, and why others did not: the DataError's text.

    `on_done(count)` says after each turn how many have ended. Raises NodeError where the node does
    not answer.
    """
    results: dict[Key, Result] = {}
    failed: dict[Key, str] = {}
    waiting: list[tuple[Key, Reading[Result], list[Question]]] = []

    def step(key: Key, read: Reading[Result], sent: list[Answer] | None) -> None:
        try:
            waiting.append((key, read, next(read) if sent is None else read.send(sent)))
        except StopIteration as end:
            results[key] = end.value
        except DataError as error:
            failed[key] = str(error)

    for key, read in reads.items():
        step(key, read, None)
    for _ in range(MOST_TURNS):
        if on_done:
            on_done(len(results) + len(failed))
        if not waiting:
            return results, failed
        turn, waiting = waiting, []
        answers = await _ask(at, [each for _, _, asked in turn for each in asked])
        start = 0
        for key, read, asked in turn:
            step(key, read, answers[start : start + len(asked)])
            start += len(asked)
    for key, read, _ in waiting:
        read.close()
        failed[key] = f"expected an end of its read after {MOST_TURNS} turns, was none"
    return results, failed


async def _ask(at: At, questions: Sequence[Question]) -> list[Answer]:
    """The answers in order."""
    plain = [nth for nth, each in enumerate(questions) if isinstance(each, tuple)]
    packed = packs(questions)
    asked: list[Call] = [each for each in questions if isinstance(each, tuple)]
    asked += [reader_call([questions[nth] for nth in pack]) for pack in packed]
    found = await at.call(asked)
    answers: list[Any] = [None] * len(questions)
    for nth, answer in zip(plain, found[: len(plain)], strict=True):
        answers[nth] = answer
    for pack, answer in zip(packed, found[len(plain) :], strict=True):
        parts = _parts([questions[nth] for nth in pack], answer, at.block)
        for nth, part in zip(pack, parts, strict=True):
            answers[nth] = part
    return answers


def _parts(questions: Sequence[Question], answer: bytes, block: int) -> Sequence[Answer]:
    """A reader's answers. It is our own code: what it does not answer is the node's doing."""
    try:
        parts = reader_answers(questions, answer)
    except DataError as error:
        raise NodeError(f"eth_call at block {block}: {error}") from error
    queries = [each for each in questions if isinstance(each, TickQuery)]
    if queries and not any(
        isinstance(part, TickAnswer) and part.next_word > query.first
        for query, part in zip(queries, parts, strict=True)
    ):
        raise NodeError(
            f"eth_call at block {block}: expected ticks, the reader stopped at once for want of "
            "gas; use a node that gives an eth_call 20 million gas or more"
        )
    return parts
