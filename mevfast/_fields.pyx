"""Checked values from fields that came from outside: files, node answers, tests.

Owns the wording of errors on single fields; must not know pool kinds. `where` stands before the
name in a message ("pools[3].").
"""

import re

from mevfast._math cimport u256_from_pyint
from mevfast.u256 cimport u256

from mevfast.errors import DataError

_DECIMAL = re.compile(r"-?[0-9]{1,80}", re.ASCII)


def parse_integer(value, str where, low, high):
    """An int, or a decimal string, in [low, high]; DataError names `where` otherwise."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where}: expected an integer or a decimal string, was {value!r:.60}")
    if not low <= value <= high:
        raise DataError(f"{where}: expected an integer in [{low}, {high}], was {value}")
    return value


def integer_field(fields, str name, str where, low, high, default=None):
    """fields[name] by parse_integer; `default` where it is absent and there is one."""
    if name not in fields:
        if default is not None:
            return default
        raise DataError(f"{where}{name}: expected an integer or a decimal string, was missing")
    return parse_integer(fields[name], where + name, low, high)


def list_field(fields, str name, str where, low, high):
    """fields[name], a list of low to high entries of any kind."""
    entries = fields.get(name)
    if not isinstance(entries, list | tuple):
        raise DataError(
            f"{where}{name}: expected a list, was "
            f"{'missing' if name not in fields else type(entries).__name__}"
        )
    if not low <= len(entries) <= high:
        expected = f"{low}" if low == high else f"{low} to {high}"
        raise DataError(f"{where}{name}: expected {expected} entries, was {len(entries)}")
    return entries


def integers_field(fields, str name, str where, count, low, high):
    """fields[name], a list of `count` integers or decimal strings, each in [low, high]."""
    entries = list_field(fields, name, where, count, count)
    return [parse_integer(entry, f"{where}{name}[{i}]", low, high)
            for i, entry in enumerate(entries)]


def choice_field(fields, str name, str where, choices, default=None):
    """fields[name], one of `choices`; `default` where it is absent and there is one."""
    if name not in fields and default is not None:
        return default
    value = fields.get(name)
    if value not in choices or isinstance(value, bool) is not isinstance(choices[0], bool):
        expected = " or ".join(repr(choice) for choice in choices)
        raise DataError(
            f"{where}{name}: expected {expected}, was "
            f"{'missing' if name not in fields else format(repr(value), '.60')}"
        )
    return value


cdef int u256_field(
    u256 *r, object fields, str name, str where, object low, object high, object default=None,
) except -1:
    """*r = fields[name] by integer_field."""
    return u256_from_pyint(r, integer_field(fields, name, where, low, high, default))


cdef int u256_fields(
    u256 *r, object fields, str name, str where, object count, object low, object high,
) except -1:
    """r[0..count) = fields[name] by integers_field."""
    cdef int i
    for i, value in enumerate(integers_field(fields, name, where, count, low, high)):
        u256_from_pyint(&r[i], value)
    return 0
