"""Any signed transaction of type 0, 1 or 2, and contract addresses: for tools and deployment.

The engine's own transactions never pass here: `_tx.tx_encode_signed` writes them in place.
Sources: EIP-155, EIP-2930, EIP-1559, EIP-1014.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mevfast._tx import Signer, keccak256, rlp_encode, to_address_bytes, to_checksum_address

if TYPE_CHECKING:
    from mevfast._tx import RlpItem

FEES = {0: ("gasPrice",), 1: ("gasPrice",), 2: ("maxPriorityFeePerGas", "maxFeePerGas")}
KEYS = frozenset(("type", "chainId", "nonce", "gas", "to", "value", "data", "accessList")).union(
    *FEES.values()
)


def sign_transaction(transaction: Mapping[str, Any], signer: Signer) -> bytes:
    """Raw bytes of the signed transaction; keccak256 of them is its hash.

    Keys are JSON-RPC's: `type` (absent: follows from the others), `chainId`, `nonce`, `gas`, `to`
    (None or absent creates a contract), `value`, `data`, `accessList` (entries of `address` and
    `storageKeys`), and `gasPrice` (types 0 and 1) or `maxPriorityFeePerGas` and `maxFeePerGas`
    (type 2). Numbers are integers, 0 where absent; data, keys and addresses are bytes or 0x hex.
    Type 0 without `chainId` is signed as before EIP-155: valid on every chain.

    Raises ValueError for a key or value that does not fit.
    """
    kind = _kind(transaction)
    fields: list[RlpItem] = [
        _number(transaction, "nonce", 64),
        *(_number(transaction, fee) for fee in FEES[kind]),
        _number(transaction, "gas", 64),
        b"" if transaction.get("to") is None else to_address_bytes(transaction["to"]),
        _number(transaction, "value"),
        _data(transaction.get("data", b""), "data"),
    ]
    chain_id = _number(transaction, "chainId")
    if kind == 0:
        replay: list[RlpItem] = [chain_id, 0, 0] if chain_id else []
        parity, r, s = _sign(rlp_encode([*fields, *replay]), signer)
        return rlp_encode([*fields, parity + (35 + 2 * chain_id if chain_id else 27), r, s])
    fields = [chain_id, *fields, _access_list(transaction.get("accessList") or ())]
    prefix = bytes([kind])
    return prefix + rlp_encode([*fields, *_sign(prefix + rlp_encode(fields), signer)])


def create_address(sender: str | bytes, nonce: int) -> str:
    """Where the sender's transaction with this nonce puts its contract, checksummed."""
    return to_checksum_address(keccak256(rlp_encode([to_address_bytes(sender), nonce]))[12:])


def create2_address(sender: str | bytes, salt: bytes, init_code_hash: bytes) -> str:
    """Where CREATE2 puts a contract, checksummed; salt and init code hash are 32 bytes."""
    for name, word in (("salt", salt), ("init_code_hash", init_code_hash)):
        if len(word) != 32:
            raise ValueError(f"{name}: expected 32 bytes, was {len(word)}")
    return to_checksum_address(
        keccak256(b"\xff" + to_address_bytes(sender) + salt + init_code_hash)[12:]
    )


def _sign(message: bytes, signer: Signer) -> tuple[int, int, int]:
    signature = signer.sign_digest(keccak256(message))
    return (
        signature[64],
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
    )


def _kind(transaction: Mapping[str, Any]) -> int:
    unknown = sorted(transaction.keys() - KEYS)
    if unknown:
        raise ValueError(
            f"transaction: unknown key {unknown[0]!r}, expected of {', '.join(sorted(KEYS))}"
        )
    kind = transaction.get("type")
    if kind is None:
        dynamic = transaction.keys() & {"maxFeePerGas", "maxPriorityFeePerGas"}
        kind = 2 if dynamic else 1 if "accessList" in transaction else 0
    if kind not in FEES:
        raise ValueError(f"transaction type: expected 0, 1 or 2, was {kind!r}")
    foreign = {"gasPrice", "maxPriorityFeePerGas", "maxFeePerGas"} - set(FEES[kind])
    if kind == 0:
        foreign.add("accessList")
    for key in sorted(foreign & transaction.keys()):
        raise ValueError(f"transaction: type {kind} has no {key}, expected {', '.join(FEES[kind])}")
    return int(kind)


def _number(transaction: Mapping[str, Any], key: str, bits: int = 256) -> int:
    value = transaction.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
        raise ValueError(f"{key}: expected an integer of 0 to 2**{bits} - 1, was {value!r}")
    return value


def _data(value: object, name: str) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise ValueError(f"{name}: expected bytes or 0x and hex digits, was {value!r}")


def _access_list(entries: Sequence[Mapping[str, Any]]) -> list[RlpItem]:
    encoded: list[RlpItem] = []
    for entry in entries:
        keys = [_data(key, "storageKeys") for key in entry["storageKeys"]]
        for key in keys:
            if len(key) != 32:
                raise ValueError(f"storageKeys: expected 32 bytes, was {len(key)}")
        encoded.append([to_address_bytes(entry["address"]), keys])
    return encoded
