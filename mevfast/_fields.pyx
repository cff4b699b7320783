"""Checked values from fields that came from outside: files, node answers, tests.

Owns the wording of errors on single fields; must not know pool kinds. `where` stands before the
name in a message ("pools[3].").
"""

import re

from libc.stdint cimport uint64_t

from mevfast._math cimport i128_to_pyint, u256_from_pyint
from mevfast.u256 cimport i128, i128_make, u256

from mevfast.errors import DataError

_DECIMAL = re.compile(r"-?[0-9]{1,80}", re.ASCII)

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const void *PyUnicode_DATA(object text)
    size_t PyUnicode_GET_LENGTH(object text)
    long long PyLong_AsLongLongAndOverflow(object x, int *overflow) except? -1


cdef extern from "decimal.h":
    bint decimal_i128(i128 *r, const unsigned char *text, size_t n) noexcept


cdef bint quick_i128(i128 *r, object value) except -1:
    """*r = an int of 64 bits or a decimal string of 38 digits, what files are full of.

    False where it is anything else: still a number perhaps, for parse_integer to say.
    """
    cdef int overflow = 0
    cdef long long small
    if type(value) is int:
        small = PyLong_AsLongLongAndOverflow(value, &overflow)
        r[0] = i128_make(-1 if small < 0 else 0, <uint64_t>small)
        return overflow == 0
    if type(value) is not str or not PyUnicode_IS_COMPACT_ASCII(value):
        return False
    return decimal_i128(
        r, <const unsigned char *>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value)
    )


def parse_integer(value, str where, low, high):
    """An int, or a decimal string, in [low, high]; DataError names `where` otherwise."""
    cdef i128 quick
    if isinstance(value, str):
        if quick_i128(&quick, value):
            value = i128_to_pyint(quick)
        elif _DECIMAL.fullmatch(value):
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


def decimal_strings(value):
    """The value with every integer in it as a decimal string, all the way down lists and objects.

    Booleans and text stay what they are.
    """
    if type(value) is int:
        return str(value)
    if type(value) is list:
        return [decimal_strings(entry) for entry in <list>value]
    if type(value) is dict:
        return {name: decimal_strings(entry) for name, entry in (<dict>value).items()}
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
