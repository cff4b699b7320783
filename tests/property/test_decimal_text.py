"""Integers from files: what parse_integer takes is what the format says, and it is that number."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from mevfast._fields import decimal_strings, parse_integer
from mevfast._pool import Pool
from mevfast.errors import DataError

DECIMAL = re.compile(r"-?[0-9]{1,80}", re.ASCII)
WIDE = 10**90
LENGTHS = st.sampled_from((1, 2, 18, 19, 20, 37, 38, 39, 40, 79, 80, 81))
NUMBERS = st.builds(
    lambda sign, zeros, digits: sign + "0" * zeros + digits,
    st.sampled_from(("", "-")),
    st.sampled_from((0, 0, 0, 1, 25)),
    LENGTHS.flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)),
)
ODD = st.text("0123456789-+_ .eEx\u0661\u00e9\x00\ud800", max_size=45)


@given(NUMBERS | ODD)
@example("")
@example("-")
@example("--1")
@example("-0")
@example("1" * 38)
@example(str((1 << 127) - 1))
@example(str(-(1 << 127)))
def test_decimal_text_is_that_number_or_refused(text: str) -> None:
    try:
        found = parse_integer(text, "x", -WIDE, WIDE)
    except DataError:
        assert not DECIMAL.fullmatch(text)
    else:
        assert DECIMAL.fullmatch(text)
        assert found == int(text)


@given(st.integers(-(1 << 127), (1 << 127) - 1), st.integers(0, (1 << 128) - 1), st.booleans())
@example(-(1 << 127), (1 << 128) - 1, True)
@example((1 << 127) - 1, (1 << 127) - 1, False)
@example(-(1 << 63), 1 << 63, False)
def test_a_ticks_liquidity_comes_back_in_either_form(net: int, gross: int, text: bool) -> None:
    entry = [-60, gross, net]
    state = {
        "fee_pips": 3000, "tick_spacing": 60, "sqrt_price_x96": 1 << 96, "tick": 0,
        "liquidity": 0, "ticks": [decimal_strings(entry) if text else entry],
    }  # fmt: skip
    expected = entry if gross else [-60, net]
    assert Pool("uniswap_v3", state).fields()["ticks"] == [expected]
