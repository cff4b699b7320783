"""An EVM in this process: deploy, call, read, snapshot; revert reasons as text.

Owns the encoding of calls and the parsing of what pyrevm says. Knows no protocol.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from mevfast.chain.multicall import Failed
from mevfast.devnet import npm

ME = "0x" + "11" * 20
"""Sends every call, owns every factory."""

NOBODY = "0x" + "00" * 20
CALLER = "0x" + "ca" * 20
"""Where readers are run that are never deployed."""
START = 1_700_000_000
_WORD = (1 << 256) - 1
_OUTPUT = re.compile(r"output: 0x([0-9a-f]*)")
_HALT = re.compile(r"reason: (\w+)")
_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
_names: dict[bytes, str] = {}  # of the errors that packages declare, by selector


class Log(NamedTuple):
    """What a contract told: topics and data as bytes."""

    address: bytes
    topics: list[bytes]
    data: bytes


class Reverted(Exception):
    """A call that reverted or halted; its text is the contract's reason."""


@cache
def selector(signature: str) -> bytes:
    """The four bytes that a call of `name(types)` begins with."""
    return bytes(keccak(text=signature)[:4])


def words(*values: int) -> bytes:
    """Integers as ABI words; negative ones in two's complement."""
    return b"".join((value & _WORD).to_bytes(32, "big") for value in values)


def unsigned(data: bytes) -> list[int]:
    """The ABI words of an answer."""
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def signed(value: int) -> int:
    """An ABI word read as int256."""
    return value - (1 << 256) if value >> 255 else value


def arguments(signature: str, *values: object) -> bytes:
    """Call data of any static or dynamic types: `arguments("f(uint256[],(bool,bytes))", ...)`."""
    return selector(signature) + encode(_types(signature), values)


def _types(signature: str) -> list[str]:
    """The top-level types inside a signature's parentheses."""
    depth, found, current = 0, [], ""
    for letter in signature[signature.index("(") + 1 : -1] + ",":
        if letter == "," and depth == 0:
            found.append(current)
            current = ""
            continue
        depth += {"(": 1, ")": -1}.get(letter, 0)
        current += letter
    return [part for part in found if part]


def reason(data: bytes) -> str:
    """Revert data as a person would read it."""
    try:
        if data[:4] == _ERROR:
            return str(decode(["string"], data[4:])[0])
        if data[:4] == _PANIC:
            return f"Panic({decode(['uint256'], data[4:])[0]:#x})"
    except DecodingError:
        pass
    return _names.get(data[:4]) or "0x" + data[:4].hex()


def name_errors(*signatures: str) -> None:
    """Lets the errors of these signatures be read by name."""
    _names.update({selector(text): text.partition("(")[0] for text in signatures})


def creation_code(name: str) -> bytes:
    """Of a pinned package's contract that links no library; its errors have names from now on."""
    artifact = npm.artifact(name)
    for entry in artifact.abi:
        if entry["type"] == "error":
            types = ",".join(collapse_if_tuple(part) for part in entry["inputs"])
            name_errors(f"{entry['name']}({types})")
    return artifact.linked({})


class Evm:
    """Contracts and their state; no blocks, one timestamp until `at_time` moves it."""

    def __init__(self) -> None:
        # Some packages ship code that measures its coverage: larger than chains take.
        self._evm = EVM(
            spec_id="CANCUN",
            env=Env(
                cfg=CfgEnv(limit_contract_code_size=1 << 20),
                block=BlockEnv(number=1, timestamp=START),
            ),
        )
        self._evm.set_balance(ME, 1 << 200)
        self._logs: list[Log] | None = None  # kept while somebody wants them

    # ---- contracts ----

    def deploy(self, code: bytes, *values: int) -> str:
        """Address of a new contract; `values` are its constructor's words."""
        try:
            return str(self._evm.deploy(ME, code + words(*values)))
        except RuntimeError as error:
            raise Reverted(_reason(str(error))) from None

    def artifact(self, name: str, *values: int) -> str:
        """Address of a new contract of a pinned package."""
        return self.deploy(creation_code(name), *values)

    # ---- calls ----

    def send(self, to: str, data: bytes, value: int = 0, sender: str = ME) -> bytes:
        """What a call answers, its effects kept; Reverted where it has none."""
        try:
            answer = bytes(self._evm.message_call(sender, to, calldata=data, value=value))
        except RuntimeError as error:
            raise Reverted(_reason(str(error))) from None
        finally:
            self._evm.reset_transient_storage()
        if self._logs is not None:
            self._logs += map(_log, self._evm.result.logs)
        return answer

    def call(self, to: str, signature: str, *values: int, sender: str = ME) -> list[int]:
        """A call of static arguments, addresses as integers: the words it answers."""
        return unsigned(self.send(to, selector(signature) + words(*values), sender=sender))

    def read(self, to: str, signature: str, *values: int) -> list[int]:
        """The words that a view answers."""
        data = selector(signature) + words(*values)
        try:
            return unsigned(self._evm.message_call(ME, to, calldata=data, is_static=True))
        except RuntimeError as error:
            raise Reverted(_reason(str(error))) from None

    def answer(self, to: str, data: bytes) -> bytes:
        """What a node would answer to an eth_call; creation code to "" is run without a trace."""
        with self.scratch():
            if not to:  # such code finds its arguments behind itself, wherever it stands
                self._evm.insert_account_info(CALLER, AccountInfo(nonce=1, code=data))
                to, data = CALLER, b""
            try:
                return self.send(to, data)
            except Reverted as reverted:
                return Failed(str(reverted))

    # ---- state ----

    def poke(self, address: str, slot: int, value: int) -> None:
        """Writes a storage slot."""
        self._evm.insert_account_storage(address, slot, value)

    def peek(self, address: str, slot: int) -> int:
        """Reads a storage slot."""
        return int(self._evm.storage(address, slot))

    def give_ether(self, address: str, amount: int) -> None:
        """Sets the ether balance of an account."""
        self._evm.set_balance(address, amount)

    def at_time(self, timestamp: int) -> None:
        """Sets the timestamp of the calls to come."""
        self._evm.set_block_env(BlockEnv(number=1, timestamp=timestamp))

    @contextmanager
    def logs(self) -> Iterator[list[Log]]:
        """What the calls made inside log, in their order; what is undone is taken out again."""
        self._logs = logs = []
        try:
            yield logs
        finally:
            self._logs = None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Several calls as one transaction: where one of them reverts, none has happened."""
        checkpoint = self._evm.snapshot()
        try:
            yield
        except Reverted:
            self._evm.revert(checkpoint)
            raise
        self._evm.commit()

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """What happens inside is undone at the end."""
        checkpoint, told = self._evm.snapshot(), len(self._logs or ())
        try:
            yield
        finally:
            self._evm.revert(checkpoint)
            if self._logs:
                del self._logs[told:]


def _log(log: Any) -> Log:
    address, topics = log.address.removeprefix("0x"), log.topics
    unhexed = [bytes.fromhex(topic.removeprefix("0x")) for topic in topics]
    return Log(bytes.fromhex(address), unhexed, bytes(log.data[1]))


def _reason(text: str) -> str:
    found = _OUTPUT.search(text)
    if found:
        return reason(bytes.fromhex(found[1]))
    found = _HALT.search(text)
    return found[1] if found else text


def number(address: str) -> int:
    """An address as the integer that `words` takes."""
    return int(address, 16)
