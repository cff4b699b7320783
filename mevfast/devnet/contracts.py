"""Contract calls in Python objects and transactions in batches, for set-up; cold code.

Owns the encoding by ABI and the sending through the node's unlocked accounts. Knows no protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple, function_abi_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from mevfast.devnet import npm
from mevfast.devnet.http_rpc import HttpRpc
from mevfast.errors import DevnetError

DEPLOY_GAS = 8_000_000
CALL_GAS = 6_000_000
"""Enough for the dearest call: creating a V3 pool takes 4.6 million."""


def create_address(sender: str, nonce: int) -> str:
    """Where the CREATE of `sender` at `nonce` puts its contract (yellow paper, 7)."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    if nonce == 0 or nonce > 0x7F:
        number = bytes([0x80 + len(number)]) + number
    payload = b"\x94" + bytes.fromhex(sender[2:]) + number  # RLP: 20 bytes, then an integer
    return str(to_checksum_address(keccak(bytes([0xC0 + len(payload)]) + payload)[12:]))


def _types(parameters: list[dict[str, Any]]) -> list[str]:
    return [str(collapse_if_tuple(parameter)) for parameter in parameters]


@dataclass(frozen=True)
class Contract:
    """An ABI at an address."""

    address: str
    abi: tuple[dict[str, Any], ...]

    def _function(self, name: str, arity: int) -> Any:
        for entry in self.abi:
            if (
                entry["type"] == "function"
                and entry["name"] == name
                and len(entry["inputs"]) == arity
            ):
                return entry
        raise DevnetError(f"no function {name} of {arity} arguments in the ABI of {self.address}")

    def encode(self, name: str, *args: Any) -> bytes:
        """Calldata of `name(*args)`; the overload is chosen by the number of arguments."""
        entry = self._function(name, len(args))
        return bytes(function_abi_to_4byte_selector(entry)) + encode(_types(entry["inputs"]), args)

    def decode(self, name: str, arity: int, data: bytes) -> Any:
        """The value `name` returned, a tuple where it returns several."""
        values = decode(_types(self._function(name, arity)["outputs"]), data)
        return values[0] if len(values) == 1 else values


def view(contract: Contract, name: str, *args: Any) -> tuple[str, list[Any]]:
    """The JSON-RPC call that reads `name(*args)` at the latest block."""
    data = "0x" + contract.encode(name, *args).hex()
    return "eth_call", [{"to": contract.address, "data": data}, "latest"]


@dataclass(frozen=True)
class _Pending:
    label: str
    request: dict[str, str]


class Writer:
    """Queues transactions of unlocked accounts, mines them, and insists that each succeeds.

    For a node that mines only on request. Addresses of queued deployments are known at once,
    so whatever needs no answer of the chain fits into one batch.
    """

    def __init__(self, rpc: HttpRpc, sender: str) -> None:
        """`sender` sends whatever names no other sender."""
        self.rpc, self.sender = rpc, sender
        self._nonces: dict[str, int] = {}
        self._queue: list[_Pending] = []

    def deploy(self, name: str, *args: Any, libraries: Mapping[str, str] | None = None) -> Contract:
        """Queues the creation of an artifact with constructor arguments."""
        artifact = npm.artifact(name)
        code = artifact.linked(libraries or {})
        return self.create(name, code, artifact.abi, *args)

    def create(
        self, name: str, code: bytes, abi: tuple[dict[str, Any], ...], *args: Any
    ) -> Contract:
        """Queues a creation from linked creation code."""
        constructors = [entry for entry in abi if entry["type"] == "constructor"]
        data = code + (encode(_types(constructors[0]["inputs"]), args) if constructors else b"")
        request = {"from": self.sender, "data": "0x" + data.hex(), "gas": hex(DEPLOY_GAS)}
        nonce = self._push(f"deploy {name}", request)
        return Contract(create_address(self.sender, nonce), abi)

    def send(
        self,
        contract: Contract,
        name: str,
        *args: Any,
        value: int = 0,
        sender: str | None = None,
    ) -> None:
        """Queues a call."""
        request = {
            "from": sender or self.sender,
            "to": contract.address,
            "data": "0x" + contract.encode(name, *args).hex(),
            "value": hex(value),
            "gas": hex(CALL_GAS),
        }
        self._push(f"{name} on {contract.address}", request)

    def _push(self, label: str, request: dict[str, str]) -> int:
        """Queues a request under the next nonce of its sender, which it returns."""
        sender = request["from"]
        if sender not in self._nonces:
            count = self.rpc.call("eth_getTransactionCount", sender, "latest")
            self._nonces[sender] = int(count, 16)
        nonce = self._nonces[sender]
        self._nonces[sender] = nonce + 1
        self._queue.append(_Pending(label, {**request, "nonce": hex(nonce)}))
        return nonce

    def flush(self) -> None:
        """Sends and mines the queue; DevnetError names the first transaction that failed."""
        queue, self._queue = self._queue, []
        if not queue:
            return
        hashes = self.rpc.batch([("eth_sendTransaction", [p.request]) for p in queue])
        for _ in queue:  # a block takes at least one of them
            self.rpc.call("evm_mine")
            if int(self.rpc.call("txpool_status")["pending"], 16) == 0:
                break
        receipts = self.rpc.batch([("eth_getTransactionReceipt", [h]) for h in hashes])
        for pending, receipt in zip(queue, receipts, strict=True):
            if receipt is None or int(receipt["status"], 16) != 1:
                state = "was not mined" if receipt is None else "reverted"
                raise DevnetError(f"devnet set-up: {pending.label} {state}")

    def read(self, contract: Contract, name: str, *args: Any) -> Any:
        """The decoded result of one view call at the latest block."""
        return self.read_many([(contract, name, args)])[0]

    def read_many(self, calls: list[tuple[Contract, str, tuple[Any, ...]]]) -> list[Any]:
        """The decoded results of several view calls at the latest block, in order."""
        answers = self.rpc.batch([view(c, name, *args) for c, name, args in calls])
        return [
            c.decode(name, len(args), bytes.fromhex(answer[2:]))
            for (c, name, args), answer in zip(calls, answers, strict=True)
        ]
