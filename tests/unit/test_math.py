"""_math: the Python edge of u256.h and tick_math.h."""

import math
import random

import pytest

from mevfast import _math
from tests.oracle import univ3


@pytest.mark.parametrize("x", [-1, 1 << 256, -(1 << 300)])
def test_out_of_range_integers_are_named(x: int) -> None:
    with pytest.raises(ValueError, match=r"expected an integer in \[0, 2\*\*256\), was"):
        _math.isqrt(x)


def test_other_types_are_named() -> None:
    with pytest.raises(TypeError, match="expected an integer, was float"):
        _math.mul_div(1.0, 1, 1)  # type: ignore[arg-type]


def test_mul_div_keeps_all_512_bits() -> None:
    top = (1 << 256) - 1
    assert _math.mul_div(top, top, top) == top
    assert _math.mul_div(top, 3, 4) == top * 3 // 4
    assert _math.mul_div_up(top, 3, 4) == -(-top * 3 // 4)


def test_mul_div_failures() -> None:
    with pytest.raises(ZeroDivisionError):
        _math.mul_div(1, 1, 0)
    with pytest.raises(OverflowError, match=r"\[0, 2\*\*256\)"):
        _math.mul_div(1 << 255, 2, 1)
    with pytest.raises(OverflowError):
        _math.mul_div_up((1 << 256) - 1, (1 << 256) - 1, (1 << 256) - 2)


def test_isqrt() -> None:
    for x in (0, 1, 2, 3, 4, (1 << 256) - 1, 1 << 255, (1 << 128) - 1):
        assert _math.isqrt(x) == math.isqrt(x)


def test_to_double_is_the_nearest_double() -> None:
    source = random.Random(1)
    for _ in range(5000):
        x = source.getrandbits(source.randint(1, 256))
        assert _math.to_double(x) == float(x)
    for x in ((1 << 53) + 1, (1 << 200) + (1 << 147), (1 << 200) + (1 << 147) + 1, (1 << 256) - 1):
        assert _math.to_double(x) == float(x)


def test_from_double_truncates() -> None:
    source = random.Random(2)
    for _ in range(5000):
        x = math.ldexp(source.random(), source.randint(-5, 256))
        assert _math.from_double(x) == int(x)
    for bad in (-1.0, math.nan, math.inf, 2.0**256):
        with pytest.raises(OverflowError):
            _math.from_double(bad)


TICKS = sorted(
    {0, univ3.MIN_TICK, univ3.MAX_TICK}
    | {sign * ((1 << n) + k) for n in range(20) for k in (-1, 0, 1) for sign in (-1, 1)}
    | set(random.Random(3).sample(range(univ3.MIN_TICK, univ3.MAX_TICK), 1500))
)


def test_sqrt_ratio_equals_oracle() -> None:
    for tick in TICKS:
        if abs(tick) <= univ3.MAX_TICK:
            assert _math.get_sqrt_ratio_at_tick(tick) == univ3.sqrt_ratio_at_tick(tick), tick
    assert _math.get_sqrt_ratio_at_tick(univ3.MIN_TICK) == _math.MIN_SQRT_RATIO
    assert _math.get_sqrt_ratio_at_tick(univ3.MAX_TICK) == _math.MAX_SQRT_RATIO


def test_tick_turns_exactly_at_its_price() -> None:
    for tick in TICKS:
        if univ3.MIN_TICK < tick < univ3.MAX_TICK:
            price = univ3.sqrt_ratio_at_tick(tick)
            assert _math.get_tick_at_sqrt_ratio(price) == tick
            assert _math.get_tick_at_sqrt_ratio(price - 1) == tick - 1


def test_tick_of_any_price_equals_oracle() -> None:
    source = random.Random(4)
    for _ in range(500):
        price = source.randrange(1 << source.randint(33, 160)) + univ3.MIN_SQRT_RATIO
        if price < univ3.MAX_SQRT_RATIO:
            assert _math.get_tick_at_sqrt_ratio(price) == univ3.tick_at_sqrt_ratio(price), price


@pytest.mark.parametrize("tick", [univ3.MIN_TICK - 1, univ3.MAX_TICK + 1, 1 << 40])
def test_ticks_out_of_range_are_refused(tick: int) -> None:
    with pytest.raises(ValueError, match="expected a tick in"):
        _math.get_sqrt_ratio_at_tick(tick)


@pytest.mark.parametrize("price", [0, _math.MIN_SQRT_RATIO - 1, _math.MAX_SQRT_RATIO, 1 << 200])
def test_prices_out_of_range_are_refused(price: int) -> None:
    with pytest.raises(ValueError, match="expected a price in"):
        _math.get_tick_at_sqrt_ratio(price)
