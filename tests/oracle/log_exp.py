"""Compiles log_exp.c with the undefined-behaviour sanitizer; None stands for a revert."""

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "mevfast" / "include"


@cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "log_exp.so"
        command = "gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-function -shared -fPIC"
        command += " -fsanitize=undefined -fno-sanitize-recover=all"
        source = str(HERE / "log_exp.c")
        subprocess.run([*command.split(), f"-I{INCLUDE}", source, "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


def _call(name: str, *arguments: bytes | int) -> tuple[int, int] | None:
    r = ctypes.create_string_buffer(64)
    if getattr(_library(), name)(r, *arguments):
        return None
    return int.from_bytes(r.raw[:32], "little"), int.from_bytes(r.raw[32:], "little")


def _u256(x: int) -> bytes:
    return x.to_bytes(32, "little")


def power(x: int, y: int) -> int | None:
    """LogExpMath.pow."""
    answer = _call("power", _u256(x), _u256(y))
    return answer and answer[0]


def pow_up(x: int, y: int, *, shortcuts: bool = True) -> int | None:
    """FixedPoint.powUp."""
    answer = _call("pow_up", _u256(x), _u256(y), shortcuts)
    return answer and answer[0]


def ln(x: int) -> int | None:
    """LogExpMath.ln."""
    answer = _call("ln", _u256(x))
    return answer and (-answer[0] if answer[1] else answer[0])


def exp(x: int) -> int | None:
    """LogExpMath.exp."""
    answer = _call("exponential", _u256(abs(x)), x < 0)
    return answer and answer[0]
