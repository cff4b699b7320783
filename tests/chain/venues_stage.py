"""The stage of the market's tests: the families of tests/differential on a node.

Holds no test. `NodeEvm` has the face of tests.differential.evm.Evm, so that what deploys, fills and
swaps pools in an EVM of this process does the same on anvil, and logs come of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mevfast.devnet.node import Anvil
from mevfast.errors import RpcError
from tests.differential.evm import (
    ME,
    START,
    Reverted,
    arguments,
    creation_code,
    number,
    reason,
    selector,
    unsigned,
    words,
)

GAS = 200_000_000
RICH = hex(1 << 200)
GENESIS = START - 10_000
OPTIONS = ("--timestamp", str(GENESIS), "--code-size-limit", str(1 << 20))
"""Some packages ship code that measures its coverage: larger than chains take."""


class NodeEvm:
    """Contracts on a node that mines when it is told to: a block for each transaction."""

    def __init__(self, node: Anvil) -> None:
        self.node = node
        node.rpc("anvil_autoImpersonateAccount", True)
        self._rich: set[str] = set()
        self._fund(ME)

    def _fund(self, account: str) -> None:
        if account not in self._rich:
            self.node.rpc("anvil_setBalance", account, RICH)
            self._rich.add(account)

    # ---- contracts ----

    def deploy(self, code: bytes, *values: int) -> str:
        """Address of a new contract; `values` are its constructor's words."""
        receipt = self._mined({"from": ME, "data": "0x" + (code + words(*values)).hex()})
        return str(receipt["contractAddress"])

    def artifact(self, name: str, *values: int) -> str:
        """Address of a new contract of a pinned package."""
        return self.deploy(creation_code(name), *values)

    # ---- calls ----

    def send(self, to: str, data: bytes, value: int = 0, sender: str = ME) -> bytes:
        """What a call answers, its effects kept; Reverted where it has none."""
        self._fund(sender)
        request = {"from": sender, "to": to, "data": "0x" + data.hex(), "value": hex(value)}
        answer = self._called(request)
        self._mined(request)
        return answer

    def call(self, to: str, signature: str, *values: int, sender: str = ME) -> list[int]:
        """A call of static arguments, addresses as integers: the words it answers."""
        return unsigned(self.send(to, selector(signature) + words(*values), sender=sender))

    def read(self, to: str, signature: str, *values: int) -> list[int]:
        """The words that a view answers."""
        data = selector(signature) + words(*values)
        return unsigned(self._called({"from": ME, "to": to, "data": "0x" + data.hex()}))

    def _called(self, request: dict[str, str]) -> bytes:
        try:
            answer = self.node.rpc("eth_call", {**request, "gas": hex(GAS)}, "latest")
        except RpcError as error:
            data = error.data if isinstance(error.data, str) else "0x"
            raise Reverted(reason(bytes.fromhex(data[2:]))) from None
        return bytes.fromhex(answer[2:])

    def _mined(self, request: dict[str, str]) -> dict[str, Any]:
        sent = self.node.rpc("eth_sendTransaction", {**request, "gas": hex(GAS)})
        self.node.rpc("evm_mine")
        receipt: dict[str, Any] = self.node.rpc("eth_getTransactionReceipt", sent)
        if int(receipt["status"], 16) != 1:
            self._called(request)
            raise AssertionError("a transaction reverted and its call does not")
        return receipt

    # ---- state ----

    def poke(self, address: str, slot: int, value: int) -> None:
        """Writes a storage slot."""
        self.node.rpc("anvil_setStorageAt", address, hex(slot), f"0x{value:064x}")

    def peek(self, address: str, slot: int) -> int:
        """Reads a storage slot."""
        return int(self.node.rpc("eth_getStorageAt", address, hex(slot), "latest"), 16)

    def give_ether(self, address: str, amount: int) -> None:
        """Sets the ether balance of an account."""
        self.node.rpc("anvil_setBalance", address, hex(amount))

    def at_time(self, timestamp: int) -> None:
        """Moves the clock there, never back."""
        latest = self.node.rpc("eth_getBlockByNumber", "latest", False)
        if timestamp > int(latest["timestamp"], 16):
            self.node.rpc("evm_setNextBlockTimestamp", timestamp)
            self.node.rpc("evm_mine")

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """What happens inside is undone at the end."""
        checkpoint = self.node.rpc("evm_snapshot")
        try:
            yield
        finally:
            self.node.rpc("evm_revert", checkpoint)


@dataclass(frozen=True)
class Venue:
    """As config.Factory, of any kind."""

    name: str
    kind: str
    address: str
    fee_pips: int | None = None
    from_block: int = 0


@dataclass(frozen=True)
class Trading:
    """As config.Market, as far as `dex` looks at it."""

    factories: tuple[Venue, ...]
    only_tokens: tuple[str, ...] = ()
    ignore_tokens: tuple[str, ...] = ()


def announce(evm: NodeEvm, announcer: str, topics: list[bytes], *values: int) -> None:
    """Has the announcer emit a log of these topics and words."""
    data = arguments("announce(bytes32[],bytes)", topics, words(*values))
    evm.send(announcer, data)


def word(address: str | int) -> bytes:
    """An address as a topic."""
    value = number(address) if isinstance(address, str) else address
    return value.to_bytes(32, "big")
