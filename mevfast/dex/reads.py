"""Reading a pool's state by plain getters, without I/O: what to call, and what the answers mean.

A family's `read(...)` is a generator: it yields lists of calls, is sent the answers in the same
order, and returns the state fields of mevfast-vectors/1. Whoever drives it chooses the transport,
the batching and the block; all answers of one read must be of the same block.
"""

from collections.abc import Callable, Generator
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from mevfast.errors import DataError

Call = tuple[str, bytes]
"""Address and calldata of an `eth_call`."""

Read = Generator[list[Call], list[bytes], dict[str, Any]]


def calldata(signature: str, *arguments: Any) -> bytes:
    """Calldata of a function by its signature, such as "balances(uint256)"."""
    types = signature[signature.index("(") + 1 : -1]
    return bytes(keccak(text=signature)[:4]) + encode(
        types.split(",") if types else [], list(arguments)
    )


def decoded(types: list[str], answer: bytes, what: str) -> tuple[Any, ...]:
    """The values in an answer; DataError says which getter did not answer as expected."""
    try:
        return decode(types, answer, strict=False)
    except (DecodingError, OverflowError) as error:
        raise DataError(
            f"{what}: expected ({','.join(types)}), was 0x{answer[:64].hex()} ({len(answer)} bytes)"
        ) from error


def value(type_name: str, answer: bytes, what: str) -> Any:
    """The one value in an answer."""
    return decoded([type_name], answer, what)[0]


def drive(read: Read, call: Callable[[str, bytes], bytes]) -> dict[str, Any]:
    """Runs a read with a function that answers one call at a time."""
    answers: list[bytes] | None = None
    while True:
        try:
            asked = next(read) if answers is None else read.send(answers)
        except StopIteration as finished:
            fields: dict[str, Any] = finished.value
            return fields
        answers = [call(to, data) for to, data in asked]
