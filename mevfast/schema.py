"""Sections of a TOML file: frozen records whose every field is checked as it is made.

Owns the checks and their messages, and the way from a TOML table to a record. Knows no section:
config and chains say which there are. A record built in code passes the same checks as one read
from a file. Every refusal is one line: the key, what was expected, what was there, what to do; a
key that looks like a secret is refused, and its value never repeated.
"""

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, TypeVar, get_args, get_origin

from mevfast._tx import to_checksum_address
from mevfast.errors import ConfigError

WEI_LIMIT = 2**256
SECRET_WORDS = re.compile(r"private|secret|passphrase|password|mnemonic|seed|raw_?key")
SECRET_VALUE = re.compile(r"(0x)?[0-9a-fA-F]{64}")
KEY_ADVICE = (
    "keys never live in the config: make a keystore with `python -m mevfast key new --out FILE` "
    "and name it in key.keystore, or name a systemd credential in key.credential"
)


SPELLED = {"factories": "factory", "lenders": "lender", "tokens": "token"}
"""How TOML spells a field that holds many tables: [[market.factory]], not [[market.factories]]."""


class _RefusedError(Exception):
    """A value fails its check. The caller adds the key, and the value unless `actual` says it."""

    def __init__(self, expected: str, todo: str, actual: str = "") -> None:
        super().__init__(expected)
        self.expected, self.todo, self.actual = expected, todo, actual


Check = Callable[[object], object]


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


def text(expected: str, pattern: str = r"[^\x00-\x1f]+", todo: str = "") -> Check:
    """Text that `pattern` matches whole; `expected` and `todo` are for the message."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise _RefusedError(f"{expected}, in quotes", "write it in quotes")
        if not re.fullmatch(pattern, value):
            raise _RefusedError(expected, todo or "correct it")
        return value

    return check


def near(word: str, choices: Sequence[str]) -> str:
    """The end of a message about an unknown word: the choice it is close to, or ""."""
    found = difflib.get_close_matches(word, choices, 1)
    return f'did you mean "{found[0]}"?' if found else ""


def one_of(*choices: str) -> Check:
    """One of these words."""
    expected = " or ".join(f'"{choice}"' for choice in choices)

    def check(value: object) -> str:
        if value not in choices:
            raise _RefusedError(expected, near(str(value), choices) or "choose one")
        return str(value)

    return check


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _RefusedError("true or false", "write true or false, without quotes")
    return value


def whole(low: int, high: int) -> Check:
    """A whole number with low <= value <= high."""
    expected = f"a whole number from {low} to {high}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _RefusedError(expected, "write a number without quotes or decimal point")
        if not low <= value <= high:
            raise _RefusedError(expected, "choose a number in that range")
        return value

    return check


def wei(value: object) -> int:
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


def real(low: float, high: float) -> Check:
    """A number with low < value <= high; whole numbers are taken as floats."""
    expected = f"a number above {low:g} and up to {high:g}"

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _RefusedError(expected, "write a number without quotes")
        if not math.isfinite(value) or not low < value <= high:
            raise _RefusedError(expected, "choose a number in that range")
        return float(value)

    return check


def an_address(value: object) -> str:
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


def list_of(check: Check, least: int = 0) -> Check:
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


def a_path(value: object) -> Path:
    """A path; it need not exist."""
    if not isinstance(value, str | Path) or not str(value):
        raise _RefusedError("a path, in quotes", "write it in quotes")
    return Path(value)


def section_type(annotation: object) -> "type[Section] | None":
    """The section class in `Node`, `Key | None` or `tuple[Factory, ...]`; None for plain values."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
        if get_origin(candidate) is tuple:
            return section_type(get_args(candidate)[0])
    return None


def _check_of(annotation: object) -> Check:
    """The check a field's annotation names; a section is checked by its type."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[1]  # type: ignore[no-any-return]
    section = section_type(annotation)
    assert section is not None, annotation
    return instance_of(section)


def instance_of(kind: "type[Section]") -> Check:
    """A record of this section."""

    def check(value: object) -> object:
        if not isinstance(value, kind):
            raise _RefusedError(f"a {kind.__name__} record", f"build a {kind.__name__}")
        return value

    return check


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Checks and normalises every field of a section, then what its fields say together."""

    def __post_init__(self) -> None:
        """Check each field, then all of them together. Raises ConfigError."""
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.default is None:
                continue
            try:
                checked = _check_of(item.type)(value)
            except _RefusedError as error:
                actual = error.actual or shown(value)
                key = SPELLED.get(item.name, item.name)
                raise wrong(key, error.expected, actual, error.todo) from None
            object.__setattr__(self, item.name, checked)
        self._agree()

    def _agree(self) -> None:
        """Raise ConfigError where fields contradict each other."""


def wrong(key: str, expected: str, actual: str, todo: str) -> ConfigError:
    """The error about a key, in the one form that all of them have."""
    return ConfigError(f"{key}: expected {expected}, was {actual}; {todo}")


# ---- from TOML -------------------------------------------------------------------------------

_Record = TypeVar("_Record", bound=Section)


def build(kind: type[_Record], table: object, where: str) -> _Record:
    """A section from its TOML table; `where` is its dotted name, empty for the whole file."""
    if not isinstance(table, dict):
        raise wrong(where, f"a table, written [{where}]", shown(table), "make it a table")
    prefix = f"{where}." if where else ""
    known = {SPELLED.get(item.name, item.name): item for item in fields(kind)}
    for name in table:
        if name not in known:
            raise _unknown(prefix, name, list(known))
    values: dict[str, object] = {}
    for name, item in known.items():
        if name in table:
            values[item.name] = _value(item.type, table[name], prefix + name)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise missing(where, name, section_type(item.type) is not None)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _value(annotation: object, value: object, where: str) -> object:
    """A TOML value, its tables turned into sections; the section checks plain values."""
    section = section_type(annotation)
    if section is None:
        return value
    if get_origin(annotation) is not Annotated:
        return build(section, value, where)
    if not isinstance(value, list):
        raise wrong(where, f"tables, each written [[{where}]]", shown(value), "use two brackets")
    return tuple(build(section, item, f"{where}[{index}]") for index, item in enumerate(value))


def missing(where: str, name: str, is_table: bool) -> ConfigError:
    """The error about a key that is not there."""
    if not where:
        return wrong(name, f"a [{name}] section", "missing", "add it")
    if is_table:
        return wrong(f"{where}.{name}", "a table", "missing", f"add one below [[{where}.{name}]]")
    return wrong(f"{where}.{name}", "a value", "missing", f"add `{name} = ...` below [{where}]")


def _unknown(prefix: str, name: str, known: list[str]) -> ConfigError:
    if SECRET_WORDS.search(name.lower()):
        return wrong(prefix + name, "no key material", "a key name for it", KEY_ADVICE)
    close = difflib.get_close_matches(name, known, 1)
    todo = f"did you mean {prefix}{close[0]}?" if close else "remove it"
    return wrong(prefix + name, f"one of {', '.join(known)}", "an unknown key", todo)
