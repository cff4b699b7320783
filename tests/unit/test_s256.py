"""s256.h against Python integers, and the cube root of CryptoSwap against the contract's steps."""

from collections.abc import Callable
from random import Random

import pytest

from tests.oracle import crypto
from tests.oracle.harness import wide

_U = 1 << 256
_S = 1 << 255
EDGES = [0, 1, 2, 3, _S - 1, _S, _S + 1, _U - 1, _U - 2, 1 << 64, 1 << 128, (1 << 128) - 1, 10**18]


def signed(x: int) -> int:
    return x - _U if x >= _S else x


def numbers(count: int) -> list[int]:
    rng = Random(256)
    lengths = [rng.randint(0, 256) for _ in range(count)]
    found = [rng.getrandbits(length) for length in lengths]
    return [_U - x if rng.random() < 0.3 and x else x for x in found]


PAIRS = [(x, y) for x in EDGES for y in EDGES] + list(
    zip(numbers(3000), reversed(numbers(3000)), strict=True)
)
CHECKED: dict[str, Callable[[int, int], int | None]] = {
    "U_ADD": lambda x, y: x + y,
    "U_SUB": lambda x, y: x - y,
    "U_MUL": lambda x, y: x * y,
    "U_DIV": lambda x, y: x // y if y else None,
}
SIGNED: dict[str, Callable[[int, int], int | None]] = {
    "S_ADD": lambda x, y: x + y,
    "S_SUB": lambda x, y: x - y,
    "S_MUL": lambda x, y: x * y,
    "S_DIV": lambda x, y: crypto.truncated(x, y) if y else None,
    "S_NEG": lambda x, y: -x,
    "S_ABS": lambda x, y: abs(x),
}
WRAPPING: dict[str, Callable[[int, int], int]] = {
    "W_MUL": lambda x, y: x * y,
    "W_NEG": lambda x, y: -x,
    "UW_DIV": crypto.truncated,
    "SW_DIV": lambda x, y: crypto.truncated(signed(x), signed(y)),
    "UNWAD": lambda x, y: x // 10**18,
    "UNWAD_SIGNED": lambda x, y: crypto.truncated(signed(x), 10**18),
}


@pytest.mark.parametrize("op", CHECKED)
def test_unsigned_operations_are_exact_or_revert(op: str) -> None:
    for x, y in PAIRS:
        exact = CHECKED[op](x, y)
        bad, result = wide(op, x, y)
        assert bool(bad) == (exact is None or not 0 <= exact < _U), (op, x, y)
        assert bad or result == exact, (op, x, y)


@pytest.mark.parametrize("op", SIGNED)
def test_signed_operations_are_exact_or_revert(op: str) -> None:
    for x, y in PAIRS:
        exact = SIGNED[op](signed(x), signed(y))
        bad, result = wide(op, x, y)
        assert bool(bad) == (exact is None or not -_S <= exact < _S), (op, x, y)
        assert bad or signed(result) == exact, (op, x, y)


@pytest.mark.parametrize("op", WRAPPING)
def test_unsafe_operations_wrap(op: str) -> None:
    for x, y in PAIRS:
        assert wide(op, x, y) == (0, WRAPPING[op](x, y) % _U), (op, x, y)


def test_conversions_between_the_types_keep_the_value_or_revert() -> None:
    for x, y in PAIRS:
        bad, result = wide("S_CONVERT", x)
        assert (bool(bad), result) == (x >= _S, x)
        order = wide("S_CMP", x, y)[0]
        assert order == (signed(x) > signed(y)) - (signed(x) < signed(y))


def roots() -> list[int]:
    """Numbers at and around cubes, where steps that alternate would be, and any others."""
    rng, found = Random(3), [0, 1, 2, _U - 1]
    for scale in (10**36, 10**18, 1):
        for _ in range(400):
            r = rng.getrandbits(rng.randint(1, 86))
            cube = r**3 // scale
            close = 3 * r * r // scale
            found += [cube - 1, cube, cube + 1, cube + close, cube + close + rng.randint(0, 3 * r)]
    big = 115792089237316195423570985008687907853269
    found += [big + d for d in (-1, 0, 1)] + [big * 10**18 + d for d in (-1, 0, 1)]
    return [x for x in found + numbers(3000) if 0 <= x < _U]


def test_the_cube_root_is_the_contract_s_seven_steps() -> None:
    for x in roots():
        assert wide("CBRT", x) == (0, crypto.cbrt(x)), x
