"""Notification frames as different nodes write them: order of keys, extra keys, white space.

Made from recorded frames; what they mean stays the same, and is told by wire_oracle.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

LOG_ORDER = {
    "geth": "address topics data blockNumber transactionHash transactionIndex blockHash "
    "blockTimestamp logIndex removed",
    "nitro": "address topics data blockNumber transactionHash transactionIndex blockHash "
    "logIndex removed",
    "erigon": "address topics data blockNumber timestamp transactionHash transactionIndex "
    "blockHash logIndex removed",
    "reth": "address topics data blockHash blockNumber blockTimestamp transactionHash "
    "transactionIndex logIndex removed",
    "anvil": "address topics data blockHash blockNumber blockTimestamp transactionHash "
    "transactionIndex logIndex removed",
    "nethermind": "address blockHash blockNumber data logIndex removed topics transactionHash "
    "transactionIndex transactionLogIndex",
}
"""The keys of a log in the order in which each node writes them."""

_GETH_HEAD = (
    "parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty "
    "number gasLimit gasUsed timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot "
    "blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash"
)
HEAD_ORDER = {
    "geth": f"{_GETH_HEAD} hash",
    "nitro": f"{_GETH_HEAD.partition(' withdrawalsRoot')[0]} hash",
    "erigon": f"{_GETH_HEAD} hash",
    "reth": f"hash {_GETH_HEAD}",
    "anvil": f"hash {_GETH_HEAD}",
}

LINE_AT_END = ("geth", "nitro", "erigon")
"""Go's encoder ends every message with a line feed."""
RESULT_FIRST = ("nethermind",)
"""`params` with `result` before `subscription`."""


def respelt(frame: bytes, order: str, **extra: Any) -> bytes:
    """The frame with the keys of its result in another order, and with those given."""
    message = orjson.loads(frame)
    result = message["params"]["result"] | {"timestamp": "0x1", "transactionLogIndex": "0x0"}
    if "topics" not in result:
        result = message["params"]["result"]
    message["params"]["result"] = {key: result[key] for key in order.split()} | extra
    return orjson.dumps(message)


def is_log(frame: bytes) -> bool:
    """Whether the result of a whole notification is a log rather than a head."""
    return "topics" in orjson.loads(frame)["params"]["result"]


def written_by(node: str, frame: bytes) -> bytes:
    """The log or head as that node writes it; a node whose heads are not known here gets geth's."""
    order = LOG_ORDER[node] if is_log(frame) else HEAD_ORDER.get(node, HEAD_ORDER["geth"])
    extra = {"sendRoot": "0x" + "5e" * 32, "l1BlockNumber": "0x1"} if node == "nitro" else {}
    message = orjson.loads(respelt(frame, order, **({} if is_log(frame) else extra)))
    if node in RESULT_FIRST:
        params = message["params"]
        message["params"] = {"result": params["result"], "subscription": params["subscription"]}
    return orjson.dumps(message) + (b"\n" if node in LINE_AT_END else b"")


# ---- what else a frame may look like ----


def _changed(frame: bytes, first: dict[str, Any], last: dict[str, Any]) -> bytes:
    """The frame with keys before and after those of its result, its params and itself."""
    message = orjson.loads(frame)
    params = message["params"]
    params["result"] = first | params["result"] | last
    message["params"] = first | params | last
    return json.dumps(first | message | last, ensure_ascii=False, separators=(",", ":")).encode()


def _removed_first(frame: bytes) -> bytes:
    message = orjson.loads(frame)
    result = message["params"]["result"]
    message["params"]["result"] = {"removed": result.get("removed", False)} | result
    return orjson.dumps(message)


def _upper(frame: bytes) -> bytes:
    return re.sub(rb'"0x[0-9a-f]+', lambda digits: b'"0x' + digits[0][3:].upper(), frame)


def _spaced(frame: bytes) -> bytes:
    return json.dumps(orjson.loads(frame), indent="\t", separators=(" ,\r\n", " :  ")).encode()


def _escaped(frame: bytes) -> bytes:
    note = '"result":{"removed":true}\\ \u00e9 \U0001f984 \b\f\n\r\t/'
    text = _changed(frame, {"note": note}, {"memo": ["\\", '"', "\x01"]})
    return text.replace(b"/", b"\\/")


_NESTED = {
    "address": "0x" + "ee" * 20,
    "topics": [],
    "removed": True,
    "blockNumber": "0x1",
    "result": {"data": "0x", "logIndex": ["0x1", {"hash": None}], "number": -1.5e-7},
    "params": [[], {}, [{}], [[[0]]]],
    "method": "eth_subscription",
}
"""Every name that means something, where it means nothing."""

VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "as written": bytes,
    "removed first": _removed_first,
    "upper case": _upper,
    "white space": _spaced,
    "escaped strings": _escaped,
    "unknown objects": lambda frame: _changed(frame, {"before": _NESTED}, {"after": [_NESTED]}),
}


def spellings(frames: list[bytes]) -> dict[tuple[str, str, int], bytes]:
    """Every frame by every node in every variant: (node, variant, frame's number) -> bytes."""
    return {
        (node, variant, i): change(written_by(node, frame))
        for i, frame in enumerate(frames)
        for node in LOG_ORDER
        for variant, change in VARIANTS.items()
    }
