"""Reading a pool's state, without I/O: what to ask, and what the answers mean.

A family's `read(...)` is a generator: it yields lists of questions, is sent the answers in the same
order, and returns the state fields of mevfast-vectors/1, and `drifts` where it knows better than
its kind suggests whether what a swap sees moves without events. A question is a call of a getter,
or what a deployless reader answers for many pools at once: a pair's reserves, a pool's ticks.

Whoever drives it chooses the transport, the batching and the block; all answers of one read must
be of the same block. A call that failed in its contract is answered `Failed`: asked for its value,
it is a DataError that ends the read of this pool and of no other.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from mevfast.chain.multicall import Call, Failed
from mevfast.errors import DataError
from mevfast.execution import artifacts
from mevfast.execution.artifacts import PairState, TickAnswer, TickQuery

__all__ = ["Call", "Failed", "PairQuery", "Question", "Read", "TickQuery"]


@dataclass(frozen=True, slots=True)
class PairQuery:
    """Tokens and reserves of a Uniswap V2 style pair; answered None where it is none."""

    pair: str


Question = Call | PairQuery | TickQuery
Answer = Any
"""bytes for a Call, `PairState | None` for a PairQuery, `TickAnswer` for a TickQuery."""

Read = Generator[list[Question], list[Answer], dict[str, Any]]

WORDS_PER_CALL = 7000
"""Bitmap words in one call of the reader: all that one pool can have. In Uniswap V4, where they are
dearest, that is 26 million gas beside the 9 million that the reader keeps; nodes give 50."""


@cache
def topic(signature: str) -> str:
    """topic0 of an event by its signature, such as "Sync(uint112,uint112)"."""
    return "0x" + bytes(keccak(text=signature)).hex()


@cache
def selector(signature: str) -> bytes:
    """The four bytes that a call of this signature begins with."""
    return bytes(keccak(text=signature)[:4])


def calldata(signature: str, *arguments: Any) -> bytes:
    """Calldata of a function by its signature, such as "balances(uint256)"."""
    types = signature[signature.index("(") + 1 : -1]
    return selector(signature) + encode(types.split(",") if types else [], list(arguments))


def decoded(types: list[str], answer: bytes, what: str) -> tuple[Any, ...]:
    """The values in an answer; DataError says which getter did not answer as expected."""
    if isinstance(answer, Failed):
        raise DataError(f"{what}: expected ({','.join(types)}), {answer.reason}")
    try:
        return decode(types, answer, strict=False)
    except (DecodingError, OverflowError) as error:
        raise DataError(
            f"{what}: expected ({','.join(types)}), was 0x{answer[:64].hex()} ({len(answer)} bytes)"
        ) from error


def value(type_name: str, answer: bytes, what: str) -> Any:
    """The one value in an answer."""
    return decoded([type_name], answer, what)[0]


def answered(answer: bytes) -> bool:
    """Whether a getter of one word or more is there at all."""
    return not isinstance(answer, Failed) and len(answer) >= 32


# ---- the deployless readers ----


def packs(questions: Sequence[Question]) -> list[list[int]]:
    """Which questions one call of a reader answers together: their places."""
    pairs = [at for at, each in enumerate(questions) if isinstance(each, PairQuery)]
    size = artifacts.PAIRS_PER_CALL
    found = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    room = 0
    open_pack: list[int] = []
    for at, each in enumerate(questions):
        if not isinstance(each, TickQuery):
            continue
        words = each.last - each.first + 1
        if words > room or len(open_pack) == artifacts.TICK_QUERIES_PER_CALL:
            open_pack, room = [], WORDS_PER_CALL
            found.append(open_pack)
        open_pack.append(at)
        room -= words
    return found


def reader_call(questions: Sequence[Question]) -> Call:
    """The call that answers a pack of questions."""
    if isinstance(questions[0], PairQuery):
        return "", artifacts.reader_v2_call(
            [each.pair for each in questions if isinstance(each, PairQuery)]
        )
    return "", artifacts.reader_ticks_call(
        [each for each in questions if isinstance(each, TickQuery)]
    )


def reader_answers(
    questions: Sequence[Question], answer: bytes
) -> Sequence[PairState | TickAnswer | None]:
    """The single answers in the reader's. DataError where it is none."""
    if isinstance(answer, Failed):
        raise DataError(f"the reader of {len(questions)} pools failed: {answer.reason}")
    if isinstance(questions[0], PairQuery):
        return artifacts.decode_v2(answer)[1]
    queries = [each for each in questions if isinstance(each, TickQuery)]
    return artifacts.decode_ticks(queries, answer)[1]


def drive(read: Read, call: Callable[[str, bytes], bytes]) -> dict[str, Any]:
    """Runs a read with a function that answers one call at a time, "" meaning creation code."""
    sent: list[Answer] | None = None
    while True:
        try:
            asked = next(read) if sent is None else read.send(sent)
        except StopIteration as finished:
            fields: dict[str, Any] = finished.value
            return fields
        sent = []
        for each in asked:
            if isinstance(each, tuple):
                sent.append(call(*each))
            else:
                sent += reader_answers([each], call(*reader_call([each])))
