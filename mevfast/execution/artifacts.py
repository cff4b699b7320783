"""The compiled contracts, and calls to the readers among them.

Owns how contracts/artifacts is found and read, and the encoding of the deployless readers
(contracts/src/PoolReader.sol): the bytes of a `*_call` are the `data` of an `eth_call` without
`to`, and the answer goes to the decoder of the same name. Cold code: set-up and repair only.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi import abi as codec
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from mevfast.errors import DataError

ARTIFACTS = Path(__file__).resolve().parents[2] / "contracts" / "artifacts"

# A node holds a reader's answer to EIP-170's 24,576 bytes; see PoolReader.sol.
PAIRS_PER_CALL = 190
"""Most pairs that `reader_v2_call` takes."""
TOKENS_PER_CALL = 250
"""Most tokens that `reader_tokens_call` takes."""

MAX_TICK = 887272
"""Of TickMath: ticks lie within -MAX_TICK and MAX_TICK."""

_PAIR = "(address,address,uint112,uint112)"
_STATE = "(uint256,bool,address,address,uint160,int24,uint128,uint24,int24,int24)"
_TOKEN = "(bool,uint8,bytes32)"


@dataclass(frozen=True)
class Contract:
    """A contract's interface and creation code, arguments not yet appended.

    `runtime` is there for contracts that a state override puts at an address, else empty.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes = b""

    def creation(self, *arguments: object) -> bytes:
        """Data of the transaction that deploys it, or of the `eth_call` that runs a reader."""
        entry = self._entry("constructor", None)
        return self.bytecode + codec.encode(_types(entry), arguments)

    def call(self, function: str, *arguments: object) -> bytes:
        """Data of a call of `function`."""
        entry = self._entry("function", function)
        return _selector(entry) + codec.encode(_types(entry), arguments)

    def error(self, data: bytes) -> str:
        """Revert data in words: `Expired(blockNumber=7, deadline=6)`, or hex where not its own."""
        for entry in self.abi:
            if entry["type"] != "error" or _selector(entry) != data[:4]:
                continue
            try:
                values = codec.decode(_types(entry), data[4:])
            except DecodingError:  # another contract may revert with anything
                break
            names = [item["name"] for item in entry["inputs"]]
            pairs = [f"{name}={value}" for name, value in zip(names, values, strict=True)]
            return f"{entry['name']}({', '.join(pairs)})"
        return f"0x{data.hex()}"

    def _entry(self, kind: str, name: str | None) -> dict[str, Any]:
        for entry in self.abi:
            if entry["type"] == kind and entry.get("name") == name:
                return entry
        raise DataError(f"contract {self.name}: its abi has no {kind} {name or ''}".rstrip())


def _types(entry: dict[str, Any]) -> list[str]:
    return [item["type"] for item in entry["inputs"]]


def _selector(entry: dict[str, Any]) -> bytes:
    return keccak(text=f"{entry['name']}({','.join(_types(entry))})")[:4]


@cache
def load(name: str, folder: Path = ARTIFACTS) -> Contract:
    """Reads contracts/artifacts/NAME.json; DataError names file and field where that fails."""
    path = folder / f"{name}.json"
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: expected the compiled contract, was {error.strerror}: "
            "run python -m contracts.build"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: expected JSON: {error}: run python -m contracts.build") from error
    try:
        field = "abi"
        abi = tuple(dict(entry) for entry in raw[field])
        field = "bytecode"
        bytecode = bytes.fromhex(raw[field].removeprefix("0x"))
        field = "runtime"
        runtime = bytes.fromhex(raw.get(field, "").removeprefix("0x"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: field {field}: {error!r}: run python -m contracts.build"
        ) from error
    return Contract(name, abi, bytecode, runtime)


# ---- readers ----


@dataclass(frozen=True)
class PairState:
    """A Uniswap V2 style pair: addresses in lower case, reserves in raw token units."""

    token0: str
    token1: str
    reserve0: int
    reserve1: int


@dataclass(frozen=True)
class V3State:
    """A Uniswap V3 style pool, and the initialised ticks of the bitmap words that were read.

    `ticks` holds (tick, liquidity_gross, liquidity_net), ascending. `next_word` is the word to go
    on with in another call at the same block, one past the range once all of it was read.
    """

    block: int
    token0: str
    token1: str
    sqrt_price_x96: int
    tick: int
    liquidity: int
    fee_pips: int
    tick_spacing: int
    next_word: int
    ticks: list[tuple[int, int, int]]


@dataclass(frozen=True)
class TokenInfo:
    """A token's decimals and symbol, None where it has none; at most 32 bytes of the symbol."""

    decimals: int | None
    symbol: str | None


def word_range(tick_spacing: int) -> tuple[int, int]:
    """First and last word of tickBitmap that can hold a tick, as `reader_v3_call` takes them."""
    return -(MAX_TICK // tick_spacing) >> 8, (MAX_TICK // tick_spacing) >> 8


def reader_v2_call(pairs: Sequence[str]) -> bytes:
    """Call data that reads at most PAIRS_PER_CALL pairs."""
    _limit("pairs", len(pairs), PAIRS_PER_CALL)
    return load("PairReader").creation(list(pairs))


def decode_v2(answer: bytes) -> tuple[int, list[PairState | None]]:
    """Block number and one state a pair, in order; None where an address is no pair."""
    block, pairs = _decode("PairReader", ["uint256", f"{_PAIR}[]"], answer)
    return block, [PairState(*pair) if int(pair[0], 16) else None for pair in pairs]


def reader_v3_call(pool: str, word_from: int, word_to: int) -> bytes:
    """Call data that reads a pool and the words `word_from` to `word_to` of its tickBitmap.

    The reader stops early where gas (it keeps 8.8 million) or the size of the answer runs out.
    """
    return load("TickReader").creation(pool, word_from, word_to)


def decode_v3(answer: bytes) -> V3State | None:
    """The state; None where the address is no pool or the pool has no price yet."""
    state, words, packed = _decode("TickReader", [_STATE, "uint256[]", "uint256[]"], answer)
    block, ok, token0, token1, price, tick, liquidity, fee, spacing, next_word = state
    if not ok:
        return None
    indices = [
        _signed(position, 256) * 256 + bit
        for position, bits in zip(words[::2], words[1::2], strict=True)
        for bit in range(256)
        if bits >> bit & 1
    ]
    if len(indices) != len(packed):
        raise DataError(f"TickReader: expected {len(indices)} ticks, was {len(packed)}")
    ticks = [
        (index * spacing, word >> 128, _signed(word & (1 << 128) - 1, 128))
        for index, word in zip(indices, packed, strict=True)
    ]
    return V3State(
        block, token0, token1, price, tick, liquidity, fee, spacing, next_word, ticks
    )  # fmt: skip


def reader_tokens_call(tokens: Sequence[str]) -> bytes:
    """Call data that reads at most TOKENS_PER_CALL tokens."""
    _limit("tokens", len(tokens), TOKENS_PER_CALL)
    return load("TokenReader").creation(list(tokens))


def decode_tokens(answer: bytes) -> tuple[int, list[TokenInfo]]:
    """Block number and one record a token, in order."""
    block, tokens = _decode("TokenReader", ["uint256", f"{_TOKEN}[]"], answer)
    return block, [
        TokenInfo(
            decimals if ok else None,
            symbol.rstrip(b"\0").decode(errors="replace") or None,
        )
        for ok, decimals, symbol in tokens
    ]


def _limit(what: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"expected at most {most} {what} a call, was {count}")


def _signed(word: int, bits: int) -> int:
    return word - (1 << bits) if word >> (bits - 1) else word


def _decode(reader: str, types: Sequence[str], answer: bytes) -> tuple[Any, ...]:
    try:
        return codec.decode(types, answer)
    except DecodingError as error:
        raise DataError(
            f"{reader}: expected {', '.join(types)}, was {len(answer)} bytes: {error}: "
            "does the node run eth_call without a `to`?"
        ) from error
