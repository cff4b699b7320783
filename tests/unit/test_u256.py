"""u256.h against Python integers, on random numbers and on limb patterns that break carries."""

import math
import random
import struct
import subprocess
from collections.abc import Callable

import pytest

from tests.oracle.harness import INCLUDE, call

BITS = 1 << 256
LIMBS = (0, 1, 2, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1)
OVERFLOW, DIVISION_BY_ZERO = 1, 2
POWERS = sorted(
    {
        max(0, (1 << n) + k)
        for n in (0, 1, 31, 32, 63, 64, 65, 96, 127, 128, 129, 160, 191, 192, 193, 255)
        for k in (-1, 0, 1)
    }
    | {BITS - 2, BITS - 1}
)


def numbers(seed: int, count: int) -> list[int]:
    """Powers of two and their neighbours, patterned limbs, and random numbers of random length."""
    source = random.Random(seed)
    out = []
    for _ in range(count):
        shape = source.random()
        if shape < 0.2:
            out.append(source.choice(POWERS))
        elif shape < 0.7:
            limbs = [source.choice([*LIMBS, source.getrandbits(64)]) for _ in range(4)]
            value = sum(limb << (64 * i) for i, limb in enumerate(limbs))
            out.append(value >> source.choice((0, 0, 64, 128, 192)))
        else:
            out.append(source.getrandbits(source.randint(1, 256)))
    return out


def triples(seed: int, count: int = 6000) -> list[tuple[int, int, int]]:
    values = numbers(seed, 3 * count)
    return list(zip(values[::3], values[1::3], values[2::3], strict=True))


def signed(x: int) -> int:
    """The low 128 bits as two's complement."""
    x %= 1 << 128
    return x - (1 << 128) if x >> 127 else x


BINARY: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "ADD": lambda x, y: ((x + y) >> 256, (x + y) % BITS),
    "SUB": lambda x, y: (int(x < y), (x - y) % BITS),
    "ADD_U64": lambda x, y: ((x + y % 2**64) >> 256, (x + y % 2**64) % BITS),
    "SUB_U64": lambda x, y: (int(x < y % 2**64), (x - y % 2**64) % BITS),
    "OR": lambda x, y: (0, x | y),
    "AND": lambda x, y: (0, x & y),
    "U128_MUL_FULL": lambda x, y: (0, (x % 2**128) * (y % 2**128)),
    "CMP": lambda x, y: ((x > y) - (x < y), 0),
    "EQ": lambda x, y: (int(x == y), 0),
    "LT": lambda x, y: (int(x < y), 0),
    "IS_ZERO": lambda x, y: (int(x == 0), 0),
    "BIT_LENGTH": lambda x, y: (x.bit_length(), 0),
    "FITS_U64": lambda x, y: (int(x < 2**64), 0),
    "FITS_U128": lambda x, y: (int(x < 2**128), 0),
    "U128": lambda x, y: (0, x % 2**128),
    "ISQRT": lambda x, y: (0, math.isqrt(x)),
}


@pytest.mark.parametrize("op", BINARY)
def test_operation_equals_python(op: str) -> None:
    for x, y, _ in triples(1, 4000):
        for right in (y, x):
            assert call(op, x, right)[:2] == BINARY[op](x, right), (hex(x), hex(right))


@pytest.mark.parametrize("op", ["MUL", "MUL_U64"])
def test_multiplication_equals_python_or_overflows(op: str) -> None:
    for x, y, _ in triples(2):
        product = x * (y if op == "MUL" else y % 2**64)
        expected = (0, product) if product < BITS else (OVERFLOW, 0)
        assert call(op, x, y)[:2] == expected, (hex(x), hex(y))


def test_full_product_equals_python() -> None:
    for x, y, _ in triples(3):
        _, low, high = call("MUL_FULL", x, y)
        assert low + high * BITS == x * y, (hex(x), hex(y))


@pytest.mark.parametrize("op", ["SHL", "SHR"])
def test_shifts_equal_python(op: str) -> None:
    for x in numbers(4, 200):
        for n in (0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 191, 192, 255, 256, 300):
            expected = (x << n) % BITS if op == "SHL" else x >> n
            assert call(op, x, flag=n)[1] == expected, (hex(x), n)


def test_division_equals_python() -> None:
    for x, _, d in triples(5, 12000):
        if d == 0:
            assert call("DIVMOD", x, d=d)[0] == call("DIV_UP", x, d=d)[0] == DIVISION_BY_ZERO
            continue
        assert call("DIVMOD", x, d=d) == (0, *divmod(x, d)), (hex(x), hex(d))
        assert call("DIV", x, d=d)[:2] == (0, x // d)
        assert call("DIV_UP", x, d=d)[:2] == (0, -(-x // d)), (hex(x), hex(d))


def divisors_that_correct(seed: int, count: int) -> list[tuple[int, int, int]]:
    """Products just around a multiple of d, where a quotient word is first guessed wrong."""
    source = random.Random(seed)
    out = []
    for _ in range(count):
        d = source.choice(numbers(source.randrange(1 << 30), 4)) or 1
        quotient = source.choice(numbers(source.randrange(1 << 30), 4)) or 1
        product = max(0, min(quotient * d + source.choice((-1, 0, 1, d - 1)), BITS - 1))
        out.append((product, 1, d))
    return out


def long_divisions(seed: int, count: int) -> list[tuple[int, int]]:
    """Numerators of up to 512 bits and divisors that bring each wrong guess of a quotient word.

    Words of ones above a remainder just below the divisor make the guess too large, or the upper
    words of divisor and remainder equal; divisors of 2**63 and a bit, then ones, two too large.
    """
    source = random.Random(seed)
    out = []
    for _ in range(count):
        limbs = [source.choice([*LIMBS, source.getrandbits(64)]) for _ in range(4)]
        d = sum(limb << (64 * i) for i, limb in enumerate(limbs))
        d = (d >> source.choice((0, 64, 128, 192)) >> source.choice((0, 0, 1, 33, 63))) or 1
        words = [source.choice([*LIMBS, source.getrandbits(64)]) for _ in range(4)]
        if source.random() < 0.4:
            words = [LIMBS[-1]] * 4
        quotient = sum(word << (64 * i) for i, word in enumerate(words)) >> source.randrange(256)
        rest = source.choice((0, 1, d - 1, d - 2, d >> 1, d - (d >> 64), source.randrange(d)))
        out.append((quotient * d + rest % d, d))
    return out


LONG_DIVISIONS = long_divisions(20, 20000)


@pytest.mark.parametrize("portable", [False, True])
def test_long_division_equals_python(portable: bool) -> None:
    for x, d in LONG_DIVISIONS:
        answer = call("DIVIDE_512", x % BITS, x >> 256, d, portable=portable)[:2]
        assert answer == (int(x % d != 0), x // d), (hex(x), hex(d))
        if x < BITS:
            assert call("DIVMOD", x, d=d, portable=portable) == (0, *divmod(x, d)), (hex(x), hex(d))


@pytest.mark.parametrize("portable", [False, True])
def test_two_word_mul_div_equals_python(portable: bool) -> None:
    top = (1 << 128) - 1
    cases = [(x & top, y & (top >> 1), d & top) for x, y, d in triples(21, 10000)]
    cases += [(d - 1, top >> 1, d) for d in (x & top for x in numbers(22, 2000)) if d]
    for any_x, y, d in cases:
        if d:
            x = any_x % (d + 1)
            answer = call("U128_MUL_DIV", x, y, d, portable=portable)[:2]
            assert answer == (int(x * y % d != 0), x * y // d), (hex(x), hex(y), hex(d))


@pytest.mark.parametrize("portable", [False, True])
def test_one_word_step_equals_python(portable: bool) -> None:
    for x, y, d in triples(23, 6000):
        low, divisor = y % 2**64, d % 2**64 | 1 << 63
        high = x % divisor
        answer = call("U64_STEP", high, low, divisor, portable=portable)[1:]
        assert answer == divmod(high << 64 | low, divisor), (hex(high), hex(low), hex(divisor))


@pytest.mark.parametrize("op", ["ADD", "SUB", "LT", "U128_MUL_FULL", "ISQRT"])
def test_plain_c_equals_python(op: str) -> None:
    for x, y, _ in triples(24, 2000):
        assert call(op, x, y, portable=True)[:2] == BINARY[op](x, y), (hex(x), hex(y))


@pytest.mark.parametrize("op", ["MUL_DIV", "MUL_DIV_UP"])
def test_mul_div_equals_python(op: str) -> None:
    for x, y, d in triples(6, 12000) + divisors_that_correct(7, 6000):
        answer, value, _ = call(op, x, y, d)
        if d == 0:
            assert answer == DIVISION_BY_ZERO
            continue
        exact = x * y // d if op == "MUL_DIV" else -(-x * y // d)
        assert (answer, value) == ((0, exact) if exact < BITS else (OVERFLOW, 0)), (x, y, d)


def test_square_roots_at_squares() -> None:
    for root in [*(n % 2**128 for n in numbers(8, 3000)), 2**128 - 1]:
        assert call("ISQRT", root * root)[1] == root
        assert call("ISQRT", root * root + 2 * root)[1] == root
        if root:
            assert call("ISQRT", root * root - 1)[1] == root - 1


def as_double(answer: int) -> float:
    return float(struct.unpack("<d", answer.to_bytes(8, "little"))[0])


def test_two_words_to_double() -> None:
    for x in (n % 2**128 for n in numbers(25, 4000)):
        assert as_double(call("U128_TO_DOUBLE", x)[1]) == float(x)
        near = as_double(call("U128_NEAR_DOUBLE", x % 2**115)[1])
        assert abs(int(near) - x % 2**115) << 52 <= x % 2**115
        assert as_double(call("U128_NEAR_DOUBLE", x % 2**53)[1]) == x % 2**53


def test_big_endian_bytes_round_trip() -> None:
    for x in numbers(9, 500):
        _, back, stored = call("BE", x)
        assert back == x
        assert stored.to_bytes(32, "little") == x.to_bytes(32, "big")


def test_signed_additions_refuse_what_does_not_fit() -> None:
    for x, y, _ in triples(10):
        total = x % 2**128 + signed(y)
        answer, value, _ = call("U128_ADD_I128", x, y)
        assert (answer == 0) == (0 <= total < 2**128), (hex(x), hex(y))
        assert value == (total if answer == 0 else x % 2**128)
        total = signed(x) + signed(y)
        answer, value, _ = call("I128_ADD", x, y)
        assert (answer == 0) == (-(2**127) <= total < 2**127), (hex(x), hex(y))
        assert value == (total if answer == 0 else signed(x)) % 2**128


@pytest.mark.parametrize("op", ["ADD", "SUB", "OR", "ISQRT", "U128_MUL_FULL"])
def test_result_may_be_the_operand(op: str) -> None:
    for x, y, _ in triples(11, 1000):
        assert call(op, x, y, flag=-1)[:2] == BINARY[op](x, y), (hex(x), hex(y))


def test_quotient_may_be_the_operand() -> None:
    for x, y, d in triples(12, 3000):
        if d and x * y // d < BITS:
            assert call("MUL_DIV", x, y, d, flag=-1)[1] == x * y // d
            assert call("DIVMOD", x, d=d, flag=-1) == (0, *divmod(x, d))


@pytest.mark.parametrize("header", sorted(path.name for path in INCLUDE.glob("*.h")))
def test_header_compiles_alone_without_a_warning(header: str) -> None:
    command = "gcc -std=gnu11 -Wall -Wextra -Wconversion -Werror -fsyntax-only -x c -"
    done = subprocess.run(
        [*command.split(), f"-I{INCLUDE}"],
        input=f'#include "{header}"\n#include "{header}"\n',
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
