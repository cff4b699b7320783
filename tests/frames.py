"""`eth_subscription` frames as a node sends them: heads, and logs of every kind that is read."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from mevfast._tx import keccak256
from tests.unit.wire_oracle import TOPIC0

OWNER = bytes(19) + b"\x07"
_TOPIC = {
    "sync": TOPIC0["Sync(uint112,uint112)"],
    "v2_swap": TOPIC0["Swap(address,uint256,uint256,uint256,uint256,address)"],
    "initialize": TOPIC0["Initialize(uint160,int24)"],
    "mint": TOPIC0["Mint(address,address,int24,int24,uint128,uint256,uint256)"],
    "burn": TOPIC0["Burn(address,int24,int24,uint128,uint256,uint256)"],
    "v3_swap": TOPIC0["Swap(address,address,int256,int256,uint160,uint128,int24)"],
}


def address(number: int) -> bytes:
    """A made-up address; numbers from 1 on give different ones."""
    return keccak256(number.to_bytes(8, "big"))[12:]


def block_hash(number: int, fork: int = 0) -> bytes:
    return keccak256(b"block" + number.to_bytes(8, "big") + fork.to_bytes(8, "big"))


def _word(value: int | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex().rjust(64, "0")
    return (value % (1 << 256)).to_bytes(32, "big").hex()


def _frame(subscription: str, result: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "jsonrpc": "2.0",
            "method": "eth_subscription",
            "params": {"subscription": subscription, "result": result},
        }
    )


def log(
    pool: bytes,
    topic0: str,
    topics: Sequence[int | bytes],
    words: Sequence[int | bytes],
    *,
    block: int,
    index: int = 0,
    tx: bytes = bytes(32),
    removed: bool = False,
) -> bytes:
    """One log notification; topics and words as integers, two's complement where negative."""
    return _frame(
        "0x1",
        {
            "address": f"0x{pool.hex()}",
            "topics": [f"0x{topic0}", *(f"0x{_word(topic)}" for topic in topics)],
            "data": "0x" + "".join(_word(word) for word in words),
            "blockNumber": hex(block),
            "transactionHash": f"0x{tx.hex()}",
            "transactionIndex": "0x0",
            "blockHash": f"0x{block_hash(block).hex()}",
            "logIndex": hex(index),
            "removed": removed,
        },
    )


def v2_sync(pool: bytes, reserve0: int, reserve1: int, **where: Any) -> bytes:
    return log(pool, _TOPIC["sync"], [], [reserve0, reserve1], **where)


def v2_swap(pool: bytes, in0: int, in1: int, out0: int, out1: int, **where: Any) -> bytes:
    return log(pool, _TOPIC["v2_swap"], [OWNER, OWNER], [in0, in1, out0, out1], **where)


def v3_initialize(pool: bytes, sqrt_price_x96: int, tick: int, **where: Any) -> bytes:
    return log(pool, _TOPIC["initialize"], [], [sqrt_price_x96, tick], **where)


def v3_mint(pool: bytes, lower: int, upper: int, amount: int, **where: Any) -> bytes:
    return log(pool, _TOPIC["mint"], [OWNER, lower, upper], [OWNER, amount, 1, 1], **where)


def v3_burn(pool: bytes, lower: int, upper: int, amount: int, **where: Any) -> bytes:
    return log(pool, _TOPIC["burn"], [OWNER, lower, upper], [amount, 1, 1], **where)


def v3_swap(  # noqa: PLR0917 - as the event spells them
    pool: bytes,
    amount0: int,
    amount1: int,
    sqrt_price_x96: int,
    liquidity: int,
    tick: int,
    **where: Any,
) -> bytes:
    words = [amount0, amount1, sqrt_price_x96, liquidity, tick]
    return log(pool, _TOPIC["v3_swap"], [OWNER, OWNER], words, **where)


def event(
    emitter: bytes,
    signature: str,
    topics: Sequence[int | bytes],
    words: Sequence[int | bytes],
    **where: Any,
) -> bytes:
    """A log of the event of this signature: indexed arguments, then words of data."""
    return log(emitter, TOPIC0[signature], topics, words, **where)


def unknown(pool: bytes, **where: Any) -> bytes:
    """An ERC-20 Transfer: well formed, of no pool kind."""
    return log(pool, keccak256(b"Transfer(address,address,uint256)").hex(), [OWNER, OWNER], [1],
               **where)  # fmt: skip


def bloom_of(items: Iterable[bytes]) -> bytes:
    """The 2,048-bit logs bloom of these addresses and topics (Yellow Paper 4.3.1)."""
    bits = 0
    for item in items:
        digest = keccak256(item)
        for i in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[i : i + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def head(
    number: int,
    *,
    fork: int = 0,
    parent: bytes | None = None,
    logs_of: Iterable[bytes] | None = None,
    base_fee: int = 10**7,
) -> bytes:
    """A header; `logs_of` are the addresses its bloom names, None leaves the bloom out."""
    result = {
        "number": hex(number),
        "hash": f"0x{block_hash(number, fork).hex()}",
        "parentHash": f"0x{(parent or block_hash(number - 1)).hex()}",
        "timestamp": hex(1_700_000_000 + number),
        "baseFeePerGas": hex(base_fee),
        "gasLimit": hex(30_000_000),
    }
    if logs_of is not None:
        result["logsBloom"] = f"0x{bloom_of(logs_of).hex()}"
    return _frame("0x2", result)
