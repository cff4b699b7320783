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
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

from mevfast.errors import DataError

ARTIFACTS = Path(__file__).resolve().parents[2] / "contracts" / "artifacts"

# A node holds a reader's answer to EIP-170's 24,576 bytes; see PoolReader.sol.
PAIRS_PER_CALL = 190
"""Most pairs that `reader_v2_call` takes."""
TICK_QUERIES_PER_CALL = 16
"""Most queries that `reader_ticks_call` takes: of more, the last would hardly get a word in."""
TOKENS_PER_CALL = 250
"""Most tokens that `reader_tokens_call` takes."""

MAX_TICK = 887272
"""Of TickMath: ticks lie within -MAX_TICK and MAX_TICK."""

PUSH32 = 0x7F

_PAIR = "(address,address,uint112,uint112)"
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
    return [str(collapse_if_tuple(item)) for item in entry["inputs"]]


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


@dataclass(frozen=True, slots=True)
class TickQuery:
    """Which words of which pool's bitmap to read, and the ticks they name.

    `target` is the pool or the singleton it lives in; `word_getter` and `tick_getter` are selectors
    that take an int16 and an int24. In a singleton both take a slot of its storage, and `state` is
    the slot of the pool's own state (Uniswap V4). One bit of the bitmap stands for `spacing` ticks.
    """

    target: str
    word_getter: bytes
    tick_getter: bytes
    spacing: int
    first: int
    last: int
    state: int = 0


@dataclass(frozen=True, slots=True)
class TickAnswer:
    """The initialised ticks of the words that were read: (tick, liquidity_gross, liquidity_net),
    ascending. `next_word` is the word to go on with in another call at the same block, one past the
    query's last once all of it was read."""

    next_word: int
    ticks: list[tuple[int, int, int]]


@dataclass(frozen=True)
class TokenInfo:
    """A token's decimals and symbol, None where it has none; at most 32 bytes of the symbol."""

    decimals: int | None
    symbol: str | None


def word_range(tick_spacing: int) -> tuple[int, int]:
    """First and last word of tickBitmap that can hold a tick, as a TickQuery has them."""
    return -(MAX_TICK // tick_spacing) >> 8, (MAX_TICK // tick_spacing) >> 8


def reader_v2_call(pairs: Sequence[str]) -> bytes:
    """Call data that reads at most PAIRS_PER_CALL pairs."""
    _limit("pairs", len(pairs), PAIRS_PER_CALL)
    return load("PairReader").creation(list(pairs))


def decode_v2(answer: bytes) -> tuple[int, list[PairState | None]]:
    """Block number and one state a pair, in order; None where an address is no pair."""
    block, pairs = _decode("PairReader", ["uint256", f"{_PAIR}[]"], answer)
    return block, [PairState(*pair) if int(pair[0], 16) else None for pair in pairs]


def reader_ticks_call(queries: Sequence[TickQuery]) -> bytes:
    """Call data that reads ticks for at most TICK_QUERIES_PER_CALL queries.

    The reader stops early where gas (it keeps 8.8 million) or the size of the answer runs out.
    """
    _limit("queries", len(queries), TICK_QUERIES_PER_CALL)
    return load("TickReader").creation(
        [
            (q.target, q.word_getter, q.tick_getter, q.state, q.spacing, q.first, q.last)
            for q in queries
        ]
    )


def decode_ticks(queries: Sequence[TickQuery], answer: bytes) -> tuple[int, list[TickAnswer]]:
    """Block number and one answer a query, in order."""
    words = [int.from_bytes(answer[at : at + 32], "big") for at in range(0, len(answer), 32)]
    found, at = [], 1
    try:
        for query in queries:
            next_word, length = _signed(words[at], 256), words[at + 1]
            end = at + 2 + length
            if end > len(words) or not query.first <= next_word <= query.last + 1:
                raise IndexError
            found.append(TickAnswer(next_word, _ticks(words[at + 2 : end], query.spacing)))
            at = end
        if at != len(words) or len(answer) % 32:
            raise IndexError
    except IndexError:
        raise DataError(
            f"TickReader: expected the ticks of {len(queries)} queries, was {len(answer)} bytes: "
            "does the node run eth_call without a `to`?"
        ) from None
    return words[0], found


def _ticks(words: Sequence[int], spacing: int) -> list[tuple[int, int, int]]:
    """Of a position, its bits, and a word for each set bit, over and over. Raises IndexError."""
    ticks, at = [], 0
    while at < len(words):
        index, bits = _signed(words[at], 256) * 256, words[at + 1]
        at += 2
        while bits:
            lowest = bits & -bits
            word = words[at]
            tick = (index + lowest.bit_length() - 1) * spacing
            ticks.append((tick, word >> 128, _signed(word & (1 << 128) - 1, 128)))
            bits ^= lowest
            at += 1
    return ticks


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


def is_instance(code: bytes, creation: bytes) -> bool:
    """Say whether `code` on the chain was deployed by `creation`, immutables left open.

    Creation code ends with the code it deploys, in which a PUSH32 of zero holds the place of each
    immutable value (Solidity documentation, Contracts, Immutable).
    """
    template = creation[len(creation) - len(code) :]
    if not code or len(template) != len(code):
        return False
    place = 0
    while place < len(code):
        opcode = template[place]
        width = opcode - PUSH32 + 32 if PUSH32 - 31 <= opcode <= PUSH32 else 0
        end = place + 1 + width
        immutable = opcode == PUSH32 and not any(template[place + 1 : end])
        if code[place] != opcode or (not immutable and code[place:end] != template[place:end]):
            return False
        place = end
    return True
