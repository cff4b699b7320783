"""What a notification frame means, by orjson and Python integers: the oracle of `_wire`."""

import json
import re
from typing import Any

import orjson
from eth_utils.crypto import keccak

INDEXED = {
    "v2_sync": {"Sync(uint112,uint112)": 0},
    "v2_swap": {"Swap(address,uint256,uint256,uint256,uint256,address)": 2},
    "camelot_fees": {"FeePercentUpdated(uint16,uint16)": 0},
    "camelot_type": {"SetStableSwap(bool,bool)": 0},
    "solidly_sync": {"Sync(uint256,uint256)": 0},
    "solidly_swap": {"Swap(address,address,uint256,uint256,uint256,uint256)": 2},
    "solidly_fee": {"SetCustomFee(address,uint256)": 1},
    "v3_initialize": {"Initialize(uint160,int24)": 0},
    "v3_mint": {"Mint(address,address,int24,int24,uint128,uint256,uint256)": 3},
    "v3_burn": {"Burn(address,int24,int24,uint128,uint256,uint256)": 3},
    "v3_swap": {"Swap(address,address,int256,int256,uint160,uint128,int24)": 2},
    "pancake_swap": {
        "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)": 2
    },
    "algebra_swap": {"Swap(address,address,int256,int256,uint160,uint128,int24,uint24,uint24)": 2},
    "algebra_burn": {"Burn(address,int24,int24,uint128,uint256,uint256,uint24)": 3},
    "algebra_fee": {"Fee(uint16)": 0},
    "algebra_fees": {"Fee(uint16,uint16)": 0},
    "algebra_tick_spacing": {"TickSpacing(int24)": 0, "TickSpacing(int24,int24)": 0},
    "algebra_plugin": {"Plugin(address)": 0, "PluginConfig(uint8)": 0},
    "v4_initialize": {"Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)": 3},
    "v4_modify_liquidity": {"ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)": 2},
    "v4_swap": {"Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)": 2},
    "v4_donate": {"Donate(bytes32,address,uint256,uint256)": 2},
    "v4_protocol_fee": {"ProtocolFeeUpdated(bytes32,uint24)": 1},
    "balancer_swap": {"Swap(bytes32,address,address,uint256,uint256)": 3},
    "balancer_changed": {"PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])": 2},
    "balancer_managed": {"PoolBalanceManaged(bytes32,address,address,int256,int256)": 3},
    "balancer_swap_fee": {"SwapFeePercentageChanged(uint256)": 0},
    "balancer_other": {
        "AmpUpdateStarted(uint256,uint256,uint256,uint256)": 0,
        "AmpUpdateStopped(uint256)": 0,
        "TokenRateCacheUpdated(uint256,uint256)": 1,
        "TokenRateProviderSet(uint256,address,uint256)": 2,
        "TokenRateCacheUpdated(address,uint256)": 1,
        "TokenRateProviderSet(address,address,uint256)": 2,
        "PriceRateCacheUpdated(address,uint256)": 1,
        "PriceRateProviderSet(address,address,uint256)": 2,
    },
    "curve_exchange": {"TokenExchange(address,int128,uint256,int128,uint256)": 1},
    "curve_other": {
        "TokenExchangeUnderlying(address,int128,uint256,int128,uint256)": 1,
        **{
            form.replace("[n]", f"[{n}]"): 1
            for n in ("", *range(2, 9))
            for form in (
                "AddLiquidity(address,uint256[n],uint256[n],uint256,uint256)",
                "RemoveLiquidity(address,uint256[n],uint256[n],uint256)",
                "RemoveLiquidityImbalance(address,uint256[n],uint256[n],uint256,uint256)",
            )
        },
        "RemoveLiquidityOne(address,uint256,uint256)": 1,
        "RemoveLiquidityOne(address,uint256,uint256,uint256)": 1,
        "RemoveLiquidityOne(address,int128,uint256,uint256,uint256)": 1,
        "RampA(uint256,uint256,uint256,uint256)": 0,
        "StopRampA(uint256,uint256)": 0,
        "NewParameters(uint256,uint256,uint256)": 0,
        "CommitNewFee(uint256,uint256,uint256)": 1,
        "CommitNewFee(uint256)": 0,
        "NewFee(uint256,uint256)": 0,
        "NewFee(uint256)": 0,
        "ApplyNewFee(uint256)": 0,
        "ApplyNewFee(uint256,uint256)": 0,
    },
    "crypto_exchange": {
        "TokenExchange(address,uint256,uint256,uint256,uint256)": 1,
        "TokenExchange(address,uint256,uint256,uint256,uint256,uint256)": 1,
        "TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)": 1,
    },
    "crypto_other": {
        **{
            form.replace("[n]", f"[{n}]"): 1
            for n in (2, 3)
            for form in (
                "AddLiquidity(address,uint256[n],uint256,uint256)",
                "AddLiquidity(address,uint256[n],uint256,uint256,uint256)",
                "RemoveLiquidity(address,uint256[n],uint256)",
                "ClaimAdminFee(address,uint256[n])",
            )
        },
        "RemoveLiquidityImbalance(address,uint256[2],uint256,uint256,uint256)": 1,
        "RemoveLiquidityOne(address,uint256,uint256,uint256,uint256,uint256)": 1,
        "NewParameters(uint256,uint256,uint256,uint256,uint256,uint256)": 0,
        "NewParameters(uint256,uint256,uint256,uint256,uint256,uint256,uint256)": 0,
        "RampAgamma(uint256,uint256,uint256,uint256,uint256,uint256)": 0,
        "StopRampA(uint256,uint256,uint256)": 0,
        "ClaimAdminFee(address,uint256)": 1,
    },
}
"""Kind -> signatures -> how many of the arguments are indexed: always the first ones, but for V3's
Mint and V2's Swap, where it does not matter here."""

SHAPES: dict[str, tuple[str, int, int, int]] = {}
"""Signature -> kind, topics (topic0 included), words of data, words more for an item of arrays."""


def _shape(signature: str, indexed: int) -> tuple[int, int, int]:
    arguments = signature[signature.index("(") + 1 : -1].split(",")
    arrays = sum(argument.endswith("[]") for argument in arguments)
    fixed = [int(n) for n in re.findall(r"\[(\d+)\]", signature)]
    words = len(arguments) - len(fixed) + sum(fixed) + arrays - indexed
    return 1 + indexed, words, arrays


for _kind, _signatures in INDEXED.items():
    for _signature, _indexed in _signatures.items():
        SHAPES[_signature] = (_kind, *_shape(_signature, _indexed))

TOPIC0 = {signature: keccak(text=signature).hex() for signature in SHAPES}
_BY_TOPIC = {bytes.fromhex(topic): SHAPES[signature] for signature, topic in TOPIC0.items()}
MOST_WORDS = 30


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
    words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data) - 31, 32)]
    words = words[:MOST_WORDS]
    topic0 = topics[0] if topics else bytes(32)
    kind, n_topics, n_words, n_per_item = _BY_TOPIC.get(topic0, ("unknown", -1, 0, 0))
    kind = kind if topics else "unknown"
    fits = len(topics) == n_topics and len(data) % 32 == 0 and len(data) // 32 <= MOST_WORDS
    if n_per_item:
        items, odd = divmod(len(data) // 32 - n_words, n_per_item)
        fits = fits and items > 0 and not odd
    else:
        fits = fits and len(data) // 32 == n_words
    removed = log.get("removed", False)
    assert isinstance(removed, bool)
    return {
        "message": "log",
        "kind": kind,
        "address": _hex(log["address"], 20),
        "n_topics": len(topics),
        "topic0": topic0,
        "topics": [int.from_bytes(topic, "big") for topic in topics[1:]],
        "words": words,
        "truncated": len(data) != 32 * len(words),
        "misshapen": kind != "unknown" and not fits,
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
