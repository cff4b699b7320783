"""Compiles harness.c with the undefined-behaviour sanitizer and calls it on Python integers."""

import ctypes
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "mevfast" / "include"


def _table(enum: str, prefix: str) -> dict[str, int]:
    """The numbers of an enum of harness.c by their names without the prefix."""
    names = re.search(rf"enum {enum} \{{(.*?)\}};", (HERE / "harness.c").read_text(), re.DOTALL)
    assert names is not None
    return {name: i for i, name in enumerate(re.findall(rf"\b{prefix}(\w+)", names[1]))}


OP = _table("op", "OP_")
WIDE = _table("wide_op", "WIDE_")


@cache
def _library(define: str = "") -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "harness.so"
        command = "gcc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC"
        command += f" -fsanitize=undefined -fno-sanitize-recover=all {define}"
        source = str(HERE / "harness.c")
        subprocess.run([*command.split(), f"-I{INCLUDE}", source, "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


def _u256(x: int) -> bytes:
    return x.to_bytes(32, "little")


def call(
    op: str, x: int, y: int = 0, d: int = 0, flag: int = 0, *, portable: bool = False
) -> tuple[int, int, int]:
    """(answer, first number, second number) of one operation of the table in harness.c.

    portable: as processors other than x86-64 compile it.
    """
    r = ctypes.create_string_buffer(64)
    library = _library("-DU256_PORTABLE" if portable else "")
    answer = library.apply(OP[op], r, _u256(x), _u256(y), _u256(d), flag)
    return answer, int.from_bytes(r.raw[:32], "little"), int.from_bytes(r.raw[32:], "little")


def wide(op: str, x: int, y: int = 0) -> tuple[int, int]:
    """(whether the contract would revert, result) of one operation of s256.h or crypto_math.h."""
    r = ctypes.create_string_buffer(32)
    answer = _library().wide(WIDE[op], r, _u256(x), _u256(y))
    return answer, int.from_bytes(r.raw, "little")


def step(
    price: int, target: int, liquidity: int, remaining: int, fee_pips: int, *, exact_in: bool
) -> tuple[int, tuple[int, ...]]:
    """(status, (price after, amount in, amount out, fee)) of compute_swap_step."""
    r = ctypes.create_string_buffer(128)
    status = _library().step(
        r, _u256(price), _u256(target), _u256(liquidity), _u256(remaining), fee_pips, exact_in
    )
    return status, tuple(int.from_bytes(r.raw[i : i + 32], "little") for i in range(0, 128, 32))


def stable_y(c: int, b: int, d: int) -> tuple[int, int | None, int]:
    """(status of the steps, where they rest by the short way or None, where they rest)."""
    r = ctypes.create_string_buffer(64)
    answer = _library().stable_y(r, _u256(c), _u256(b), _u256(d))
    short, long = (int.from_bytes(r.raw[i : i + 32], "little") for i in (0, 32))
    return answer // 2, short if answer % 2 else None, long
