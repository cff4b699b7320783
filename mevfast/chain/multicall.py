"""Many contract calls at one block: through Multicall3 where there is one, else one by one.

Owns the chunking, and what tells a call that failed in its contract from a node that does not
answer. A contract's failure is an answer, `Failed`; a node's is a NodeError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from mevfast.chain import patience
from mevfast.chain.rpc import Rpc
from mevfast.errors import NodeError, RpcError

Call = tuple[str, bytes]
"""Address and calldata of an `eth_call`; the address is "" for creation code that is run as it is,
and whose result is what it returns in place of code."""

MOST_CALLS = 200
"""Calls through one Multicall3: at 100,000 gas each below half of what nodes give an eth_call."""
MOST_BYTES = 65_536
"""Calldata of one Multicall3."""
BATCH_CALLS = 100
"""Plain eth_calls in one message."""
BATCH_CHUNKS = 10
"""Calls of Multicall3, or of creation code, in one message: each of them runs long."""

AGGREGATE3 = bytes.fromhex("82ad56cb")  # aggregate3((address,bool,bytes)[])
_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
_FAILED_WORDS = (
    "revert", "opcode", "out of gas", "outofgas", "stack underflow", "stack overflow",
    "stack limit", "invalid jump", "vm execution", "evm error",
)  # fmt: skip
_STATE_WORDS = (
    "missing trie node", "header not found", "block not found", "unknown block", "pruned",
    "historical state", "state is not available", "state not available", "archive",
)  # fmt: skip
_REVERTED_CODE = 3


class Failed(bytes):
    """The answer of a call that failed in its contract: no bytes, and why."""

    reason: str

    def __new__(cls, reason: str) -> "Failed":
        """An empty answer with its reason."""
        self = super().__new__(cls)
        self.reason = reason
        return self


@dataclass(frozen=True, slots=True)
class At:
    """The state of the chain after a block, as a node gives it.

    `multicall` is the address of Multicall3, None where the chain has none.
    """

    rpc: Rpc
    block: int
    multicall: str | None = None

    async def call(self, calls: Sequence[Call]) -> list[bytes]:
        """The answers, in order; `Failed` where a contract failed.

        Raises NodeError where the node does not answer.
        """
        answers: list[bytes] = [b""] * len(calls)
        plain = [index for index, (to, _) in enumerate(calls) if to]
        code = [index for index, (to, _) in enumerate(calls) if not to]
        if self.multicall is not None and len(plain) > 1:
            plain = await self._through(self.multicall, calls, plain, answers)
        direct: dict[int, bytes | RpcError] = {}
        for indices, size in ((plain, BATCH_CALLS), (code, BATCH_CHUNKS)):
            found = await self._each([calls[index] for index in indices], size)
            direct |= dict(zip(indices, found, strict=True))
        works = len(direct) < len(calls) or any(
            isinstance(answer, bytes) or failed_in_contract(answer) for answer in direct.values()
        )
        for index, answer in direct.items():
            answers[index] = answer if isinstance(answer, bytes) else self._failed(answer, works)
        return answers

    async def _through(
        self, multicall: str, calls: Sequence[Call], indices: Sequence[int], answers: list[bytes]
    ) -> list[int]:
        """Fills in what Multicall3 answers; returns the calls that must be made alone."""
        alone: list[int] = []
        waiting = _chunks(calls, indices)
        while waiting:
            asked = [(multicall, aggregate3([calls[i] for i in chunk])) for chunk in waiting]
            results = await self._each(asked, BATCH_CHUNKS)
            refused: list[list[int]] = []
            for chunk, result in zip(waiting, results, strict=True):
                if isinstance(result, RpcError) and without_state(result):
                    raise self._refusal(result)
                parts = _parts(result, len(chunk)) if isinstance(result, bytes) else None
                if parts is None:  # one call may have burnt the gas of all
                    refused.append(chunk)
                    continue
                for index, (ok, data) in zip(chunk, parts, strict=True):
                    if not ok and not data:  # perhaps for want of gas, which alone it has
                        alone.append(index)
                    else:
                        answers[index] = data if ok else Failed(revert_reason(data))
            alone += [index for chunk in refused if len(chunk) == 1 for index in chunk]
            waiting = [
                half
                for chunk in refused
                if len(chunk) > 1
                for half in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :])
            ]
        return alone

    async def _each(self, calls: Sequence[Call], batch_size: int) -> list[bytes | RpcError]:
        """Plain eth_calls."""
        requests: list[tuple[str, Sequence[Any]]] = []
        for to, data in calls:
            fields = {"data": "0x" + data.hex()}
            requests.append(("eth_call", [{"to": to, **fields} if to else fields, hex(self.block)]))
        if not requests:
            return []
        answers = await patience.batch(self.rpc, requests, batch_size)
        return [
            answer if isinstance(answer, RpcError) else self._data(answer) for answer in answers
        ]

    def _data(self, answer: Any) -> bytes:
        try:
            return bytes.fromhex(answer[2:])
        except (TypeError, ValueError):
            raise NodeError(
                f"eth_call at block {self.block}: expected data in hex, node answered "
                f"{answer!r:.80}"
            ) from None

    def _failed(self, error: RpcError, works: bool) -> Failed:
        """What the contract said, or NodeError where it was the node that failed.

        There are more ways to say that a contract failed than anybody knows: where the node
        `works`, an error about one call is that call's.
        """
        if without_state(error) or not (works or failed_in_contract(error)):
            raise self._refusal(error)
        return Failed(error.message)

    def _refusal(self, error: RpcError) -> NodeError:
        return NodeError(
            f"reading pools at block {self.block} failed: {error.message}; the node must run "
            "eth_call at recent blocks, also without a `to`"
        )


def failed_in_contract(error: RpcError) -> bool:
    """Whether the node says that it ran the call, and that it failed."""
    message = error.message.lower()
    return error.code == _REVERTED_CODE or any(word in message for word in _FAILED_WORDS)


def without_state(error: RpcError) -> bool:
    """Whether the node says that it does not have the block's state."""
    message = error.message.lower()
    return any(word in message for word in _STATE_WORDS)


def _chunks(calls: Sequence[Call], indices: Sequence[int]) -> list[list[int]]:
    chunks: list[list[int]] = []
    room = 0
    for index in indices:
        size = len(calls[index][1])
        if not chunks or size > room or len(chunks[-1]) == MOST_CALLS:
            chunks.append([])
            room = MOST_BYTES
        chunks[-1].append(index)
        room -= size
    return chunks


def aggregate3(calls: Sequence[Call]) -> bytes:
    """Calldata of Multicall3 for calls that may fail one by one."""
    return AGGREGATE3 + encode(["(address,bool,bytes)[]"], [[(to, True, d) for to, d in calls]])


def _parts(answer: bytes, count: int) -> list[tuple[bool, bytes]] | None:
    """The single answers in Multicall3's; None where it is not one."""
    try:
        (parts,) = decode(["(bool,bytes)[]"], answer)
    except (DecodingError, OverflowError):
        return None
    return list(parts) if len(parts) == count else None


def revert_reason(data: bytes) -> str:
    """Revert data as a person would read it."""
    try:
        if data[:4] == _ERROR:
            return f"reverted: {decode(['string'], data[4:])[0]}"
        if data[:4] == _PANIC:
            return f"reverted: Panic({decode(['uint256'], data[4:])[0]:#x})"
    except (DecodingError, OverflowError, UnicodeDecodeError):
        pass
    return f"reverted: 0x{data[:36].hex()}" if data else "reverted"
