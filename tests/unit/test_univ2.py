"""The V2 kernel: recorded swaps, and the contract's refusals at their exact edges."""

from pathlib import Path

import pytest

from mevfast import verify
from mevfast._pool import Pool, Quote, Refused
from mevfast.errors import DataError
from tests.oracle import univ2

VECTORS = Path(__file__).parents[1] / "vectors" / "uniswap_v2.json"
UINT112_MAX = (1 << 112) - 1
STATE = {"fee_pips": 3000, "reserve0": 10**24, "reserve1": 3 * 10**12}
WORTH_ONE = univ2.smallest_input(10**24, 3 * 10**12, 3000, 1) or 0


def pool(**changes: int) -> Pool:
    return Pool("uniswap_v2", STATE | changes)


def test_recorded_swaps() -> None:
    result = verify.replay(verify.load(str(VECTORS)))
    assert result.cases == 302
    assert not result.mismatches
    assert result.refused == 98


def test_quote_moves_both_reserves() -> None:
    quote = pool().quote(0, 10**18)
    assert isinstance(quote, Quote)
    # 10**18 * 997 * 3 * 10**12 // (10**24 * 1000 + 10**18 * 997)
    assert quote.amount_out == 2990997
    assert quote.after == {"reserve0": 10**24 + 10**18, "reserve1": 3 * 10**12 - 2990997}
    assert quote.price_after == pytest.approx(
        (3 * 10**12 - 2990997) / (10**24 + 10**18) * 0.997, rel=1e-15
    )


def test_marginal_price_is_out_per_in_after_the_fee() -> None:
    assert pool().marginal_price(0) == pytest.approx(3e-12 * 0.997, rel=1e-15)
    assert pool().marginal_price(1) == pytest.approx(1 / 3e-12 * 0.997, rel=1e-15)
    assert pool(reserve0=0).marginal_price(0) == 0.0


@pytest.mark.parametrize(
    ("changes", "token_in", "amount", "exact", "reason"),
    [
        ({}, 0, 0, "in", "ZERO_AMOUNT"),
        ({}, 0, 0, "out", "ZERO_AMOUNT"),
        ({"reserve0": 0}, 0, 1, "in", "NO_LIQUIDITY"),
        ({"reserve1": 0}, 0, 1, "out", "NO_LIQUIDITY"),
        ({}, 0, WORTH_ONE - 1, "in", "NO_OUTPUT"),
        ({}, 0, 3 * 10**12, "out", "NO_LIQUIDITY"),
        ({}, 0, 1 << 255, "out", "NO_LIQUIDITY"),
        ({}, 0, UINT112_MAX - 10**24 + 1, "in", "OVERFLOW"),
        ({}, 0, 1 << 112, "in", "OVERFLOW"),
        ({}, 0, (1 << 256) - 1, "in", "OVERFLOW"),
        ({"reserve0": UINT112_MAX}, 0, 1, "out", "OVERFLOW"),
    ],
)
def test_refusals(
    changes: dict[str, int], token_in: int, amount: int, exact: str, reason: str
) -> None:
    assert pool(**changes).quote(token_in, amount, exact) == Refused(reason)  # type: ignore[arg-type]


def test_one_wei_inside_the_edges_is_quoted() -> None:
    least = pool().quote(0, WORTH_ONE)
    assert isinstance(least, Quote)
    assert least.amount_out == 1
    drained = pool(reserve0=10**12).quote(0, 3 * 10**12 - 1, "out")
    assert isinstance(drained, Quote)
    assert drained.after["reserve1"] == 1
    filled = pool().quote(0, UINT112_MAX - 10**24)
    assert isinstance(filled, Quote)
    assert filled.after["reserve0"] == UINT112_MAX


def test_apply_moves_the_state_and_a_refusal_does_not() -> None:
    moved = pool()
    quote = moved.apply(1, 10**9)
    assert isinstance(quote, Quote)
    assert moved.fields() == {"fee_pips": 3000, **quote.after}
    assert isinstance(moved.apply(1, 0), Refused)
    assert moved.fields() == {"fee_pips": 3000, **quote.after}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reserve0": None}, r"pools\[7\]\.reserve0: expected an integer or a decimal string"),
        ({"reserve0": "0x10"}, r"pools\[7\]\.reserve0: .* was '0x10'"),
        ({"reserve0": True}, r"pools\[7\]\.reserve0: .* was True"),
        ({"reserve1": 1 << 112}, r"pools\[7\]\.reserve1: expected an integer in \[0, "),
        ({"reserve1": "-1"}, r"pools\[7\]\.reserve1: .* was -1"),
        ({"fee_pips": 1_000_000}, r"pools\[7\]\.fee_pips: .*999999"),
    ],
)
def test_malformed_states_name_the_field(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Pool("uniswap_v2", STATE | changes, "pools[7].")


def test_missing_fields_and_unknown_kinds_are_named() -> None:
    with pytest.raises(DataError, match=r"reserve1: .* was missing"):
        Pool("uniswap_v2", {"fee_pips": 3000, "reserve0": 1})
    with pytest.raises(DataError, match=r"kind: expected one of uniswap_v2, .*, was 'uniswap'"):
        Pool("uniswap", STATE)
    with pytest.raises(DataError, match="expected an object, was list"):
        Pool("uniswap_v2", [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((2, 1), ValueError),
        ((0, 1, "both"), ValueError),
        ((0, -1), ValueError),
        ((0, 1 << 256), ValueError),
        ((0, 1.5), TypeError),
        ((0, 1, "in", 1 << 96), ValueError),
    ],
)
def test_bad_arguments_raise(arguments: tuple[object, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        pool().quote(*arguments)  # type: ignore[arg-type]
