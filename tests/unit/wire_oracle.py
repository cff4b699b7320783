"""What a notification frame means, by orjson and Python integers: the oracle of `_wire`."""

import json
import re
from typing import Any

import orjson

SHAPES = {
    "Sync(uint112,uint112)": ("v2_sync", 1, 2),
    "Swap(address,uint256,uint256,uint256,uint256,address)": ("v2_swap", 3, 4),
    "Initialize(uint160,int24)": ("v3_initialize", 1, 2),
    "Mint(address,address,int24,int24,uint128,uint256,uint256)": ("v3_mint", 4, 4),
    "Burn(address,int24,int24,uint128,uint256,uint256)": ("v3_burn", 4, 3),
    "Swap(address,address,int256,int256,uint160,uint128,int24)": ("v3_swap", 3, 5),
}
"""Signature -> kind, topics (topic0 included), words of data."""

TOPIC0 = {
    "Sync(uint112,uint112)": "1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",
    "Swap(address,uint256,uint256,uint256,uint256,address)": (
        "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
    ),
    "Initialize(uint160,int24)": "98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",
    "Mint(address,address,int24,int24,uint128,uint256,uint256)": (
        "7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
    ),
    "Burn(address,int24,int24,uint128,uint256,uint256)": (
        "0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"
    ),
    "Swap(address,address,int256,int256,uint160,uint128,int24)": (
        "c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
    ),
}
_KIND = {bytes.fromhex(topic): SHAPES[signature] for signature, topic in TOPIC0.items()}


def _hex(text: str, n: int | None = None) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    assert text.startswith("0x")
    assert n is None or len(value) == n
    assert len(text) == 2 + 2 * len(value)  # fromhex would let white space pass
    return value


def _quantity(text: str, bits: int = 64) -> int:
    assert text.startswith("0x")
    assert text[2:].isalnum()
    assert len(text) <= 2 + 16  # a quantity has no leading zeros
    value = int(text, 16)
    assert value < 1 << bits
    return value


def _log(log: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(log["topics"], list)
    topics = [_hex(topic, 32) for topic in log["topics"]]
    assert len(topics) <= 4
    data = _hex(log["data"])
    words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data) - 31, 32)][:8]
    topic0 = topics[0] if topics else bytes(32)
    kind, n_topics, n_words = _KIND.get(topic0, ("unknown", 0, 0))
    removed = log.get("removed", False)
    assert isinstance(removed, bool)
    return {
        "message": "log",
        "kind": kind if (len(topics), 32 * n_words) == (n_topics, len(data)) else "unknown",
        "address": _hex(log["address"], 20),
        "n_topics": len(topics),
        "topic0": topic0,
        "topics": [int.from_bytes(topic, "big") for topic in topics[1:]],
        "words": words,
        "truncated": len(data) != 32 * len(words),
        "block_number": _quantity(log["blockNumber"]),
        "block_hash": _hex(log["blockHash"], 32),
        "tx_hash": _hex(log["transactionHash"], 32),
        "tx_index": _quantity(log["transactionIndex"], 32),
        "log_index": _quantity(log["logIndex"], 32),
        "removed": removed,
    }


def _head(head: dict[str, Any]) -> dict[str, Any]:
    base_fee, bloom = head.get("baseFeePerGas"), head.get("logsBloom")
    return {
        "message": "head",
        "number": _quantity(head["number"]),
        "timestamp": _quantity(head["timestamp"]),
        "hash": _hex(head["hash"], 32),
        "parent_hash": _hex(head["parentHash"], 32),
        "base_fee": 0 if base_fee is None else _quantity(base_fee),
        "gas_limit": _quantity(head["gasLimit"]),
        "logs_bloom": None if bloom is None else _hex(bloom, 256),
    }


_WRONG = (
    orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, AssertionError,
)  # fmt: skip


def read(frame: bytes) -> dict[str, Any] | None:
    """The log or head in a frame, as `_wire.parse` would give it; None where there is none."""
    try:
        message = orjson.loads(frame)
        if message["method"] != "eth_subscription":
            return None
        result = message["params"]["result"]
    except _WRONG:
        return None
    for form in (_log, _head):
        try:
            return form(result)
        except _WRONG:
            continue
    return None


_MOST_EXPONENT, _MOST_NUMBER, _MOST_DEPTH = 2, 40, 60  # of json.h
_ESCAPED_KEY = re.compile(rb'"[^"]*\\[^"]*"\s*:')


def _depth(value: Any) -> int:
    """Containers inside each other."""
    deepest, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [
            inner for each in level for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest


def refused_by_design(frame: bytes) -> bool:
    """Whether a frame that orjson reads has what no node sends and `_wire` leaves to others.

    That is a key twice in one object, a key with an escape or beyond ASCII, a number of more than
    forty characters or an exponent of three digits, containers sixty deep.
    """
    odd = _ESCAPED_KEY.search(frame) is not None

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal odd
        odd |= len({key for key, _ in items}) < len(items)
        odd |= not all(key.isascii() for key, _ in items)
        return dict(items)

    def number(text: str) -> int:
        nonlocal odd
        exponent = text.lower().partition("e")[2].lstrip("+-")
        odd |= len(exponent) > _MOST_EXPONENT or len(text) > _MOST_NUMBER
        return 0

    try:
        message = json.loads(frame, object_pairs_hook=pairs, parse_float=number, parse_int=number)
    except RecursionError:
        return True
    return odd or _depth(message) > _MOST_DEPTH
