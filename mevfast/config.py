"""The config: one commented TOML file, read once, into frozen records.

Owns the names, types, defaults and limits of every setting. Must not reach the
node, read a key, or hold one: a setting that looks like a secret is refused.
Records built in code (the demo, tests) pass the same checks as those read from
a file; `dataclasses.replace` gives a changed and checked copy.

systemd/mevfast.example.toml explains every key.
"""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Self, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from mevfast._tx import to_checksum_address
from mevfast.errors import ConfigError

WEI_LIMIT = 2**256
SECRET_WORDS = re.compile(r"private|secret|passphrase|password|mnemonic|seed|raw_?key")
SECRET_VALUE = re.compile(r"(0x)?[0-9a-fA-F]{64}")
KEY_ADVICE = (
    "keys never live in the config: make a keystore with `python -m mevfast key new --out FILE` "
    "and name it in key.keystore, or name a systemd credential in key.credential"
)


class _RefusedError(Exception):
    """A value fails its check. The caller adds the key, and the value unless `actual` says it."""

    def __init__(self, expected: str, todo: str, actual: str = "") -> None:
        super().__init__(expected)
        self.expected, self.todo, self.actual = expected, todo, actual


_Check = Callable[[object], object]


def shown(value: object) -> str:
    """A value as messages show it: short, and never a key that was pasted by mistake."""
    if isinstance(value, str) and SECRET_VALUE.fullmatch(value.strip()):
        return "32 bytes in hex (not shown: they may be a key)"
    if isinstance(value, dict | list | tuple):
        return "a table" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...'"


def _text(expected: str, pattern: str = r"[^\x00-\x1f]+", todo: str = "") -> _Check:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise _RefusedError(f"{expected}, in quotes", "write it in quotes")
        if not re.fullmatch(pattern, value):
            raise _RefusedError(expected, todo or "correct it")
        return value

    return check


def _one_of(*choices: str) -> _Check:
    expected = " or ".join(f'"{choice}"' for choice in choices)

    def check(value: object) -> str:
        if value not in choices:
            near = difflib.get_close_matches(str(value), choices, 1)
            raise _RefusedError(expected, f'did you mean "{near[0]}"?' if near else "choose one")
        return str(value)

    return check


def _whole(low: int, high: int) -> _Check:
    expected = f"a whole number from {low} to {high}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _RefusedError(expected, "write a number without quotes or decimal point")
        if not low <= value <= high:
            raise _RefusedError(expected, "choose a number in that range")
        return value

    return check


def _wei(value: object) -> int:
    """Wei as an integer, or as a decimal string for readers that stop at 64 bits."""
    expected = "a whole number of wei"
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        todo = "write wei, not ether: 0.001 ETH is 1000000000000000"
        raise _RefusedError(f"{expected} (an integer or a decimal string)", todo)
    if not 0 <= value < WEI_LIMIT:
        raise _RefusedError(f"{expected} from 0 to 2**256 - 1", "choose a number in that range")
    return value


def _real(low: float, high: float) -> _Check:
    """A number with low < value <= high; whole numbers are taken as floats."""
    expected = f"a number above {low:g} and up to {high:g}"

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _RefusedError(expected, "write a number without quotes")
        if not math.isfinite(value) or not low < value <= high:
            raise _RefusedError(expected, "choose a number in that range")
        return float(value)

    return check


def _address(value: object) -> str:
    """An address, checked and given back with its EIP-55 checksum."""
    expected = "an address (0x and 40 hex digits)"
    if not isinstance(value, str):
        raise _RefusedError(f"{expected}, in quotes", "write it in quotes")
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise _RefusedError(expected, "copy the whole address again from its source")
    if not int(value, 16):
        raise _RefusedError(expected, "the zero address is nobody's: write the real one")
    spelled = to_checksum_address(value.lower())
    if value[2:] not in (spelled[2:], value[2:].lower(), value[2:].upper()):
        todo = "a digit or a letter's case is wrong: copy the address again from its source"
        raise _RefusedError("an address whose capital letters match its EIP-55 checksum", todo)
    return spelled


def _list_of(check: _Check, least: int = 0) -> _Check:
    """A TOML array without repeats; every item passes `check`."""

    def check_item(item: object, index: int) -> object:
        try:
            return check(item)
        except _RefusedError as error:
            actual = f"{shown(item)} at [{index}]"
            raise _RefusedError(error.expected, error.todo, actual) from None

    def check_list(value: object) -> tuple[object, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise _RefusedError("a list in square brackets", "put brackets around it")
        if len(value) < least:
            raise _RefusedError(f"a list of at least {least}", "name one more")
        items = tuple(check_item(item, index) for index, item in enumerate(value))
        if len(set(items)) != len(items):
            raise _RefusedError("a list without repeats", "remove what is there twice")
        return items

    return check_list


def _path(value: object) -> Path:
    """A path; it need not exist."""
    if not isinstance(value, str | Path) or not str(value):
        raise _RefusedError("a path, in quotes", "write it in quotes")
    return Path(value)


def _section_type(annotation: object) -> "type[_Section] | None":
    """The section class in `Node`, `Key | None` or `tuple[Factory, ...]`; None for plain values."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, _Section):
            return candidate
        if get_origin(candidate) is tuple:
            return _section_type(get_args(candidate)[0])
    return None


def _check_of(annotation: object) -> _Check:
    """The check a field's annotation names; a section is checked by its type."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[1]  # type: ignore[no-any-return]
    section = _section_type(annotation)
    assert section is not None, annotation
    return _instance_of(section)


def _instance_of(kind: "type[_Section]") -> _Check:
    def check(value: object) -> object:
        if not isinstance(value, kind):
            raise _RefusedError(f"a {kind.__name__} record", f"build a {kind.__name__}")
        return value

    return check


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """Checks and normalises every field of a section, then what its fields say together."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.default is None:
                continue
            try:
                checked = _check_of(item.type)(value)
            except _RefusedError as error:
                actual = error.actual or shown(value)
                raise _error(item.name, error.expected, actual, error.todo) from None
            object.__setattr__(self, item.name, checked)
        self._agree()

    def _agree(self) -> None:
        """Raise ConfigError where fields contradict each other."""


def _error(key: str, expected: str, actual: str, todo: str) -> ConfigError:
    return ConfigError(f"{key}: expected {expected}, was {actual}; {todo}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(_Section):
    """The node: one WebSocket for subscriptions, calls and sending."""

    url: Annotated[
        str,
        _text(
            "a WebSocket address (ws://host:port or wss://host)",
            r"wss?://[^\s/]+\S*",
            "give the node's WebSocket address, not the HTTP one",
        ),
    ]
    chain_id: Annotated[int, _whole(1, 2**53)]
    request_timeout_s: Annotated[float, _real(0, 300)] = 10.0
    head_timeout_s: Annotated[float, _real(0, 300)] = 10.0

    @property
    def shown_url(self) -> str:
        """The address without user, path and query, where providers keep access tokens."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


_credential = _text(
    "the name of a systemd credential (letters, digits, . _ -)",
    r"(?!(0x)?[0-9a-fA-F]{64}$)[A-Za-z0-9._-]{1,255}",
    "give the name that LoadCredential= has in the unit, not what is in it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(_Section):
    """Where the signing key is: a keystore V3 file, or a systemd credential with the raw key."""

    keystore: Annotated[Path | None, _path] = None
    passphrase_credential: Annotated[str | None, _credential] = None
    credential: Annotated[str | None, _credential] = None

    def _agree(self) -> None:
        if (self.keystore is None) == (self.credential is None):
            actual = "neither" if self.keystore is None else "both"
            todo = "name one (`python -m mevfast key new` makes a keystore)"
            raise _error("keystore", "exactly one of keystore and credential", actual, todo)
        if self.passphrase_credential and self.keystore is None:
            raise _error(
                "passphrase_credential",
                "a keystore beside it",
                "alone",
                "remove it: a raw key in a credential has no passphrase",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor(_Section):
    """The executor contract."""

    address: Annotated[str, _address]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory(_Section):
    """A factory whose pools are found and traded."""

    name: Annotated[str, _text("a short name", r"[A-Za-z0-9 ._-]{1,32}")]
    kind: Annotated[str, _one_of("uniswap_v2", "uniswap_v3")]
    address: Annotated[str, _address]
    fee_pips: Annotated[int | None, _whole(0, 999_999)] = None
    from_block: Annotated[int, _whole(0, 2**63 - 1)] = 0

    def _agree(self) -> None:
        if self.kind == "uniswap_v2" and self.fee_pips is None:
            todo = "add `fee_pips = 3000` for the usual 0.3 %"
            raise _error("fee_pips", "the fee in millionths for a uniswap_v2 factory", "none", todo)
        if self.kind == "uniswap_v3" and self.fee_pips is not None:
            todo = "remove it: every uniswap_v3 pool carries its own fee"
            raise _error("fee_pips", "none for a uniswap_v3 factory", shown(self.fee_pips), todo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market(_Section):
    """What is traded. All addresses carry their checksum."""

    base_token: Annotated[str, _address]
    start_tokens: Annotated[tuple[str, ...], _list_of(_address, 1)]
    factories: Annotated[tuple[Factory, ...], _list_of(_instance_of(Factory), 1)]
    only_tokens: Annotated[tuple[str, ...], _list_of(_address)] = ()
    ignore_tokens: Annotated[tuple[str, ...], _list_of(_address)] = ()

    def _agree(self) -> None:
        needed = {self.base_token, *self.start_tokens}
        if self.only_tokens and not needed <= set(self.only_tokens):
            missing = sorted(needed - set(self.only_tokens))[0]
            todo = "add it, or leave only_tokens out to take every token"
            expected = f"the base and start tokens among them ({missing})"
            raise _error("only_tokens", expected, "a list without it", todo)
        for address in sorted(needed & set(self.ignore_tokens)):
            todo = "remove it here or from base_token and start_tokens"
            raise _error("ignore_tokens", "no base or start token", address, todo)
        for name in ("name", "address"):
            values = [getattr(factory, name) for factory in self.factories]
            for value in values:
                if values.count(value) > 1:
                    todo = "remove one or correct it"
                    raise _error("factory", f"each {name} once", f"{value} twice", todo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(_Section):
    """Which cycles are looked for, and from which profit on they are taken."""

    max_hops: Annotated[int, _whole(2, 4)] = 4
    min_profit_wei: Annotated[int, _wei]
    screen_margin: Annotated[float, _real(0, 0.01)] = 1e-6


FUNDING_SOURCES = ("flash_swap", "balancer", "aave", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash(_Section):
    """Where the amount of the first hop may come from; the one that nets most is taken."""

    sources: Annotated[tuple[str, ...], _list_of(_one_of(*FUNDING_SOURCES), 1)] = ("flash_swap",)
    balancer_vault: Annotated[str | None, _address] = None
    aave_pool: Annotated[str | None, _address] = None

    def _agree(self) -> None:
        for source, key in (("balancer", "balancer_vault"), ("aave", "aave_pool")):
            if source in self.sources and getattr(self, key) is None:
                todo = f'add it, or remove "{source}" from flash.sources'
                expected = f'an address, because flash.sources has "{source}"'
                raise _error(key, expected, "missing", todo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gas(_Section):
    """What a transaction may cost. Percentages are of the base fee and of the estimated gas."""

    max_fee_percent: Annotated[int, _whole(100, 10_000)] = 200
    priority_fee_wei: Annotated[int, _whole(0, 10**15)] = 0
    limit_percent: Annotated[int, _whole(100, 1_000)] = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(_Section):
    """Whether transactions are sent, and how long they stay valid."""

    mode: Annotated[str, _one_of("shadow", "live")] = "shadow"
    deadline_blocks: Annotated[int, _whole(1, 1_000)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk(_Section):
    """Limits; reaching one stops sending and says why."""

    max_consecutive_reverts: Annotated[int, _whole(1, 1_000)] = 5
    max_gas_wei_per_hour: Annotated[int, _wei] = 10**16
    min_balance_wei: Annotated[int, _wei] = 10**15
    max_head_age_s: Annotated[float, _real(0, 300)] = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(_Section):
    """The reserve table."""

    capacity: Annotated[int, _whole(16, 1_000_000)] = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(_Section):
    """What is logged to standard error."""

    level: Annotated[str, _one_of("debug", "info", "warning", "error")] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(_Section):
    """Everything the engine is told. `key` and `executor` are None where code brings its own."""

    node: Node
    market: Market
    search: Search
    key: Key | None = None
    executor: Executor | None = None
    flash: Flash = field(default_factory=Flash)
    gas: Gas = field(default_factory=Gas)
    execution: Execution = field(default_factory=Execution)
    risk: Risk = field(default_factory=Risk)
    table: Table = field(default_factory=Table)
    log: Log = field(default_factory=Log)

    @property
    def executor_address(self) -> str:
        """The executor's address.

        Raises:
            ConfigError: the config has none yet.
        """
        if self.executor is None:
            todo = "run `python -m mevfast deploy --config FILE` and add the lines it prints"
            raise _error("executor.address", "the address of your executor", "missing", todo)
        return self.executor.address

    def replace(self, **sections: object) -> Self:
        """Give a copy with other sections, checked again.

        Raises:
            ConfigError: a section is of another type.
        """
        return dataclasses.replace(self, **sections)  # type: ignore[arg-type]


# ---- from TOML -------------------------------------------------------------------------------

_SPELLED = {"factories": "factory"}  # [[market.factory]] reads better than [[market.factories]]
_Record = TypeVar("_Record", bound=_Section)


def _build(kind: type[_Record], table: object, where: str) -> _Record:
    """A section from its TOML table; `where` is its dotted name, empty for the whole file."""
    if not isinstance(table, dict):
        raise _error(where, f"a table, written [{where}]", shown(table), "make it a table")
    prefix = f"{where}." if where else ""
    known = {_SPELLED.get(item.name, item.name): item for item in fields(kind)}
    for name in table:
        if name not in known:
            raise _unknown(prefix, name, list(known))
    values: dict[str, object] = {}
    for name, item in known.items():
        if name in table:
            values[item.name] = _value(item.type, table[name], prefix + name)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise _missing(where, name, _section_type(item.type) is not None)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _value(annotation: object, value: object, where: str) -> object:
    """A TOML value, its tables turned into sections; the section checks plain values."""
    section = _section_type(annotation)
    if section is None:
        return value
    if get_origin(annotation) is not Annotated:
        return _build(section, value, where)
    if not isinstance(value, list):
        raise _error(where, f"tables, each written [[{where}]]", shown(value), "use two brackets")
    return tuple(_build(section, item, f"{where}[{index}]") for index, item in enumerate(value))


def _missing(where: str, name: str, is_table: bool) -> ConfigError:
    if not where:
        return _error(name, f"a [{name}] section", "missing", "add it")
    if is_table:
        return _error(f"{where}.{name}", "a table", "missing", f"add one below [[{where}.{name}]]")
    return _error(f"{where}.{name}", "a value", "missing", f"add `{name} = ...` below [{where}]")


def _unknown(prefix: str, name: str, known: list[str]) -> ConfigError:
    if SECRET_WORDS.search(name.lower()):
        return _error(prefix + name, "no key material", "a key name for it", KEY_ADVICE)
    near = difflib.get_close_matches(name, known, 1)
    todo = f"did you mean {prefix}{near[0]}?" if near else "remove it"
    return _error(prefix + name, f"one of {', '.join(known)}", "an unknown key", todo)


def load_config(path: Path | str, *, deployed: bool = True) -> Config:
    """Read and check a config file; `key` is always there, `executor` unless not `deployed`.

    A relative key.keystore counts from the folder of the file.

    Args:
        path: the TOML file.
        deployed: refuse a file without [executor]. `deploy` and `check` take one without.

    Raises:
        ConfigError: one line with file, key, what was expected, what was there, what to do.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        todo = "copy systemd/mevfast.example.toml there and edit it"
        raise _error(str(path), "a config file", f"unreadable ({error.strerror})", todo) from None
    except UnicodeDecodeError:
        raise _error(str(path), "UTF-8 text", "something else", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _error(str(path), "TOML", f"no TOML: {error}", "correct that line") from None
    try:
        config = _build(Config, table, "")
        if deployed:
            _ = config.executor_address
        return config.replace(key=_key_file(config.key, path.parent))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _key_file(key: Key | None, folder: Path) -> Key:
    """The key section with its keystore path made absolute; the file must be there."""
    if key is None:
        raise _missing("", "key", is_table=True)
    if key.keystore is None:
        return key
    keystore = (folder / key.keystore).absolute()
    if not keystore.is_file():
        todo = "make one with `python -m mevfast key new --out FILE` or correct the path"
        raise _error("key.keystore", "a keystore file", f"{keystore} (no such file)", todo)
    return dataclasses.replace(key, keystore=keystore)
