"""A whole market in one file, mevfast-market/1: what `snapshot` writes, `scan` and `quote` read.

Owns the format and the checks on it; states are checked by the kernels behind _pool. Every error
names file and field.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mevfast._fields import integer_field, list_field, parse_integer
from mevfast._pool import Pool
from mevfast.errors import DataError

FORMAT = "mevfast-market/1"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_POOL_ID = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_SINGLETON_KINDS = ("uniswap_v4",)  # pools without a contract of their own go by their id
_LARGEST_DECIMALS = 77  # 10**77 is the last power of ten in 256 bits


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `address` in lower case."""

    address: str
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class MarketPool:
    """A pool with its state; `tokens` in the order of the pool's own indices."""

    address: str
    kind: str
    tokens: tuple[Token, ...]
    pool: Pool


@dataclass(frozen=True, slots=True)
class MarketFile:
    """A checked file; profit is counted in `base_tokens`, the first one is the unit."""

    path: str
    chain_id: int
    block: int
    tokens: tuple[Token, ...]
    base_tokens: tuple[Token, ...]
    pools: tuple[MarketPool, ...]


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, was {type(value).__name__}")
    return value


def _hex(fields: dict[str, Any], where: str, pattern: re.Pattern[str], expected: str) -> str:
    value = fields.get("address", "missing")
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise DataError(f"{where}address: expected {expected}, was {value!r:.80}")
    return value.lower()


def _token(entry: Any, where: str) -> Token:
    fields = _object(entry, where.rstrip("."))
    symbol = fields.get("symbol", "missing")
    if not isinstance(symbol, str) or not symbol.isprintable():
        raise DataError(f"{where}symbol: expected printable text, was {symbol!r:.60}")
    return Token(
        address=_hex(fields, where, _ADDRESS, "0x and 40 hex digits"),
        symbol=symbol,
        decimals=integer_field(fields, "decimals", where, 0, _LARGEST_DECIMALS),
    )


def _chosen(
    fields: dict[str, Any], name: str, where: str, tokens: tuple[Token, ...], low: int
) -> tuple[Token, ...]:
    """The tokens that a list of indices names, each once."""
    indices = [
        parse_integer(entry, f"{where}{name}[{i}]", 0, len(tokens) - 1)
        for i, entry in enumerate(list_field(fields, name, where, low, len(tokens)))
    ]
    if len(set(indices)) != len(indices):
        raise DataError(f"{where}{name}: expected every token once, was {indices}")
    return tuple(tokens[index] for index in indices)


def _pool(entry: Any, where: str, tokens: tuple[Token, ...]) -> MarketPool:
    fields = _object(entry, where.rstrip("."))
    kind = fields.get("kind", "missing")
    pool = Pool(kind, fields, where)
    own = _chosen(fields, "tokens", where, tokens, 2)
    if len(own) != pool.n_tokens:
        raise DataError(f"{where}tokens: expected {pool.n_tokens} entries, was {len(own)}")
    by_id = kind in _SINGLETON_KINDS
    address = _hex(
        fields,
        where,
        _POOL_ID if by_id else _ADDRESS,
        f"0x and {64 if by_id else 40} hex digits",
    )
    return MarketPool(address, kind, own, pool)


def load(path: str) -> MarketFile:
    """Reads and checks a market file; DataError names file and field."""
    try:
        document = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: expected a JSON object of format {FORMAT}: {error}") from error
    at = f"{path}: "
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object of format {FORMAT}")
    if document.get("format") != FORMAT:
        raise DataError(
            f"{at}format: expected {FORMAT!r}, was {document.get('format', 'missing')!r:.60}"
        )
    tokens = tuple(
        _token(entry, f"{at}tokens[{i}].")
        for i, entry in enumerate(list_field(document, "tokens", at, 0, 1 << 24))
    )
    known = {token.address for token in tokens}
    if len(known) != len(tokens):
        raise DataError(f"{at}tokens: expected every address once")
    pools = tuple(
        _pool(entry, f"{at}pools[{i}].", tokens)
        for i, entry in enumerate(list_field(document, "pools", at, 0, 1 << 24))
    )
    if len({pool.address for pool in pools}) != len(pools):
        raise DataError(f"{at}pools: expected every address once")
    return MarketFile(
        path=path,
        chain_id=integer_field(document, "chain_id", at, 0, (1 << 64) - 1),
        block=integer_field(document, "block", at, 0, (1 << 64) - 1),
        tokens=tokens,
        base_tokens=_chosen(document, "base_tokens", at, tokens, 0),
        pools=pools,
    )
