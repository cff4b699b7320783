"""A whole market in one file, mevfast-market/1: what `snapshot` writes, `scan` and `quote` read.

Owns the format, its checks and the state hash (docs/market-file.md); states are checked by the
kernels behind _pool. Every error names file and field.
"""

import gc
import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mevfast._fields import decimal_strings, integer_field, list_field, parse_integer
from mevfast._pool import Pool
from mevfast._tx import keccak256
from mevfast.errors import DataError
from mevfast.model import PoolRecord

FORMAT = "mevfast-market/1"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_HASH = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_ADDRESS_OR_ID = re.compile(r"0x(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})", re.ASCII)
_ADDRESS_LENGTH = 42
LARGEST_DECIMALS = 77  # 10**77 is the last power of ten in 256 bits
_UINT64_MAX = (1 << 64) - 1
_MOST = 1 << 24  # tokens or pools: more than any chain has
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `address` in lower case."""

    address: str
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class MarketPool:
    """A pool with its state; `tokens` in the order of the pool's own indices.

    `address` in lower case: a Uniswap V4 pool's is its id, 32 bytes, a Balancer pool's may be.
    `venue`, `created` and `facts` are those of a PoolRecord, empty where the file has none.
    """

    address: str
    kind: str
    tokens: tuple[Token, ...]
    pool: Pool
    venue: str = ""
    created: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def record(self) -> PoolRecord:
        """The pool as a venue announces it."""
        return PoolRecord(
            id=bytes.fromhex(self.address[2:]),
            kind=self.kind,
            tokens=tuple(bytes.fromhex(token.address[2:]) for token in self.tokens),
            venue=self.venue,
            block=self.created,
            facts=self.facts,
        )


@dataclass(frozen=True, slots=True)
class MarketFile:
    """A market after `block`; profit is counted in `base_tokens`, the first one is the unit.

    `state_hash` is what the file says, and has been checked; None where it says none.
    """

    path: str
    chain_id: int
    block: int
    tokens: tuple[Token, ...]
    base_tokens: tuple[Token, ...]
    pools: tuple[MarketPool, ...]
    block_hash: str | None = None
    state_hash: str | None = None


# ---- reading ----


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, was {type(value).__name__}")
    return value


def _hex(
    fields: dict[str, Any], name: str, where: str, pattern: re.Pattern[str], expected: str
) -> str:
    value = fields.get(name, "missing")
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise DataError(f"{where}{name}: expected {expected}, was {value!r:.80}")
    return value.lower()


def _optional_hash(document: dict[str, Any], name: str, where: str) -> str | None:
    if name not in document:
        return None
    return _hex(document, name, where, _HASH, "0x and 64 hex digits")


def _token(entry: Any, where: str) -> Token:
    fields = _object(entry, where.rstrip("."))
    symbol = fields.get("symbol", "missing")
    if not isinstance(symbol, str) or not symbol.isprintable():
        raise DataError(f"{where}symbol: expected printable text, was {symbol!r:.60}")
    return Token(
        address=_hex(fields, "address", where, _ADDRESS, "0x and 40 hex digits"),
        symbol=symbol,
        decimals=integer_field(fields, "decimals", where, 0, LARGEST_DECIMALS),
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


def _pool_id(fields: dict[str, Any], kind: str, where: str) -> str:
    """A pool's address, or its id where it has no contract of its own (V4) or goes by both."""
    if kind == "uniswap_v4":
        return _hex(fields, "address", where, _HASH, "0x and 64 hex digits")
    if kind.startswith("balancer_"):
        return _hex(fields, "address", where, _ADDRESS_OR_ID, "0x and 40 or 64 hex digits")
    return _hex(fields, "address", where, _ADDRESS, "0x and 40 hex digits")


def _facts(value: Any, where: str) -> dict[str, Any]:
    """What a loader needs to read a pool again: numbers, words and flags, or lists of those."""
    facts = _object(value, where)
    for name, fact in facts.items():
        if not all(isinstance(one, int | str) for one in (fact if type(fact) is list else [fact])):
            raise DataError(
                f"{where}.{name}: expected an integer, text, a flag or a list of those, "
                f"was {fact!r:.60}"
            )
    return facts


def _pool(entry: Any, where: str, tokens: tuple[Token, ...]) -> MarketPool:
    fields = _object(entry, where.rstrip("."))
    kind = fields.get("kind", "missing")
    pool = Pool(kind, fields, where)
    own = _chosen(fields, "tokens", where, tokens, 2)
    if len(own) != pool.n_tokens:
        raise DataError(f"{where}tokens: expected {pool.n_tokens} entries, was {len(own)}")
    venue = fields.get("venue", "")
    if not isinstance(venue, str):
        raise DataError(f"{where}venue: expected a name, was {venue!r:.60}")
    return MarketPool(
        address=_pool_id(fields, kind, where),
        kind=kind,
        tokens=own,
        pool=pool,
        venue=venue,
        created=integer_field(fields, "created", where, 0, _UINT64_MAX, 0),
        facts=_facts(fields.get("facts", {}), f"{where}facts"),
    )


def _document(path: str) -> dict[str, Any]:
    """The file's JSON, gzipped or not, of the right format."""
    try:
        raw = Path(path).read_bytes()
        if raw.startswith(_GZIP):
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {why}") from error
    try:
        document = orjson.loads(raw)
    except ValueError as error:
        raise DataError(f"{path}: expected a JSON object of format {FORMAT}: {error}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object of format {FORMAT}")
    if document.get("format") != FORMAT:
        raise DataError(
            f"{path}: format: expected {FORMAT!r}, was {document.get('format', 'missing')!r:.60}"
        )
    return document


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Millions of objects come and none makes a cycle: looking for some doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load(path: str) -> MarketFile:
    """Reads and checks a market file; DataError names file and field.

    Where the file says its `state_hash`, the states must have it.
    """
    with _no_garbage():
        market = _load(path)
        if market.state_hash is not None:
            found = state_hash(market.pools)
            if found != market.state_hash:
                raise DataError(
                    f"{path}: state_hash: expected {market.state_hash} as the file says, its pools "
                    f"have {found}: it was changed or damaged; take the snapshot again"
                )
    return market


def _load(path: str) -> MarketFile:
    document = _document(path)
    at = f"{path}: "
    tokens = tuple(
        _token(entry, f"{at}tokens[{i}].")
        for i, entry in enumerate(list_field(document, "tokens", at, 0, _MOST))
    )
    known = {token.address for token in tokens}
    if len(known) != len(tokens):
        raise DataError(f"{at}tokens: expected every address once")
    pools = tuple(
        _pool(entry, f"{at}pools[{i}].", tokens)
        for i, entry in enumerate(list_field(document, "pools", at, 0, _MOST))
    )
    if len({_key(pool.address, pool.kind) for pool in pools}) != len(pools):
        raise DataError(f"{at}pools: expected every address once")
    return MarketFile(
        path=path,
        chain_id=integer_field(document, "chain_id", at, 0, _UINT64_MAX),
        block=integer_field(document, "block", at, 0, _UINT64_MAX),
        tokens=tokens,
        base_tokens=_chosen(document, "base_tokens", at, tokens, 0),
        pools=pools,
        block_hash=_optional_hash(document, "block_hash", at),
        state_hash=_optional_hash(document, "state_hash", at),
    )


# ---- the state hash ----

State = tuple[str, str, Sequence[str], dict[str, Any]]
"""A pool's address or id in lower case, kind, addresses of its tokens, and state: Pool.fields()."""


def _key(address: str, kind: str) -> str:
    """What a pool is sorted by: its address, or where it has none its id."""
    return address if kind == "uniswap_v4" else address[:_ADDRESS_LENGTH]


def canonical(address: str, kind: str, tokens: Sequence[str], state: dict[str, Any]) -> bytes:
    """The line that a pool's hash is of, as docs/market-file.md says."""
    if "ticks" in state:  # without what only some sources know, and no quote depends on
        state = state | {"ticks": [[entry[0], entry[-1]] for entry in state["ticks"]]}
    line = {
        "address": _key(address, kind),
        "kind": kind,
        "state": decimal_strings(state),
        "tokens": list(tokens),
    }
    return orjson.dumps(line, option=orjson.OPT_SORT_KEYS)


def hash_states(states: Iterable[State]) -> str:
    """keccak-256 over every pool's id, kind, tokens and state: 0x and 64 hex digits.

    Equal for equal states, however they came about and whatever their order or block.
    """
    hashes = {
        _key(address, kind): keccak256(canonical(address, kind, tokens, state))
        for address, kind, tokens, state in states
    }
    return "0x" + keccak256(b"".join(hashes[key] for key in sorted(hashes))).hex()


def state_hash(pools: Iterable[MarketPool]) -> str:
    """hash_states of the pools of a market."""
    return hash_states(
        (pool.address, pool.kind, [token.address for token in pool.tokens], pool.pool.fields())
        for pool in pools
    )


# ---- writing ----


def _entry(pool: MarketPool, indices: dict[str, int], where: str) -> dict[str, Any]:
    try:
        tokens = [indices[token.address] for token in pool.tokens]
    except KeyError as error:
        raise DataError(
            f"{where}: pool {pool.address}: expected its tokens in the market's list, "
            f"{error.args[0]} is not"
        ) from None
    entry: dict[str, Any] = {"address": pool.address, "kind": pool.kind, "tokens": tokens}
    entry |= decimal_strings(pool.pool.fields())
    if pool.venue:
        entry["venue"] = pool.venue
    if pool.created:
        entry["created"] = str(pool.created)
    if pool.facts:
        entry["facts"] = dict(pool.facts)
    if "hooks" in pool.facts:  # the whole address, of which a state has but the permissions
        entry["hooks"] = pool.facts["hooks"]
    return entry


def _lines(name: str, entries: Sequence[Any]) -> bytes:
    """A list of the document, an entry a line: files differ by lines as markets by pools."""
    lines = b",\n".join(orjson.dumps(entry) for entry in entries)
    return b'"' + name.encode() + b'": [\n' + lines + b"\n]"


def _text(market: MarketFile, found: str) -> bytes:
    indices = {token.address: i for i, token in enumerate(market.tokens)}
    head: dict[str, Any] = {
        "format": FORMAT,
        "chain_id": str(market.chain_id),
        "block": str(market.block),
    }
    if market.block_hash is not None:
        head["block_hash"] = market.block_hash
    head["state_hash"] = found
    tokens = [
        {"address": token.address, "symbol": token.symbol, "decimals": str(token.decimals)}
        for token in market.tokens
    ]
    base = [indices[token.address] for token in market.base_tokens]
    pools = [_entry(pool, indices, market.path) for pool in market.pools]
    parts = [
        orjson.dumps(head)[1:-1],
        _lines("tokens", tokens),
        b'"base_tokens": ' + orjson.dumps(base),
        _lines("pools", pools),
    ]
    return b"{\n" + b",\n".join(parts) + b"\n}\n"


def _replace(path: str, content: bytes) -> None:
    """Puts a whole file in the place of `path`, or leaves what was there."""
    folder = os.path.dirname(path) or "."
    try:
        handle, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp's is for its owner only
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        held = os.open(folder, os.O_RDONLY)  # the new name itself must last, too
        try:
            os.fsync(held)
        finally:
            os.close(held)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def write(market: MarketFile) -> str:
    """Writes the market to its `path`, gzipped where that ends in ".gz"; returns its state hash.

    The file is there whole or not at all. DataError where a pool's token is not among `tokens`,
    or the file cannot be written.
    """
    with _no_garbage():
        found = state_hash(market.pools)
        content = _text(market, found)
    if market.path.endswith(".gz"):
        content = gzip.compress(content, compresslevel=6, mtime=0)
    _replace(market.path, content)
    return found
