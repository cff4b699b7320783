"""Solidly and Camelot V2 pairs: hand-made cases, edges, refusals, fields, and their getters."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from eth_abi.abi import encode

from mevfast._pool import Pool, Quote, Refused
from mevfast.dex import reads
from mevfast.dex import solidly as family
from mevfast.errors import DataError
from tests.oracle import solidly
from tests.oracle.harness import call
from tests.unit.test_u256 import numbers

USDC, DAI = 10**6, 10**18
UINT112_MAX = (1 << 112) - 1
STABLE: dict[str, Any] = {
    "stable": True,
    "reserve0": 2_000_000 * USDC,
    "reserve1": 2_100_000 * DAI,
    "decimals0": USDC,
    "decimals1": DAI,
    "fee_bps": 5,
}
CAMELOT: dict[str, Any] = {name: value for name, value in STABLE.items() if name != "fee_bps"} | {
    "fee_percent": [40, 300]
}


def quoted(kind: str, fields: dict[str, Any], token_in: int, amount: int) -> Quote:
    quote = Pool(kind, fields).quote(token_in, amount)
    assert isinstance(quote, Quote), quote
    return quote


# ---- what is paid, and what is left ----


def test_a_volatile_pair_takes_the_fee_off_first_and_sends_it_away() -> None:
    quote = quoted("solidly", STABLE | {"stable": False, "fee_bps": 30}, 0, 1_000_000)
    kept = 1_000_000 - 3000
    out = kept * STABLE["reserve1"] // (STABLE["reserve0"] + kept)
    assert quote.amount_out == out
    assert quote.after == {
        "reserve0": STABLE["reserve0"] + kept,
        "reserve1": STABLE["reserve1"] - out,
    }


def test_camelot_keeps_a_volatile_fee_and_charges_it_by_direction() -> None:
    fields = CAMELOT | {"stable": False}
    for token_in, fee in enumerate((40, 300)):
        reserve_in, reserve_out = (fields[f"reserve{i}"] for i in (token_in, 1 - token_in))
        amount = reserve_in // 1000
        quote = quoted("camelot_v2", fields, token_in, amount)
        paid = amount * (100_000 - fee)
        assert quote.amount_out == paid * reserve_out // (reserve_in * 100_000 + paid)
        assert quote.after[f"reserve{token_in}"] == reserve_in + amount


def test_camelot_pays_the_owner_out_of_stable_pairs_only() -> None:
    without = quoted("camelot_v2", CAMELOT, 1, 10**21)
    shared = quoted("camelot_v2", CAMELOT | {"owner_fee_share": 40_000}, 1, 10**21)
    assert without.amount_out == shared.amount_out
    assert without.after["reserve1"] == CAMELOT["reserve1"] + 10**21
    assert shared.after["reserve1"] == CAMELOT["reserve1"] + 10**21 - 10**21 * 300 * 4 // 10**6
    assert without.after["reserve0"] == shared.after["reserve0"]
    volatile = CAMELOT | {"stable": False, "owner_fee_share": 40_000}
    assert quoted("camelot_v2", volatile, 1, 10**21).after["reserve1"] == without.after["reserve1"]


def test_a_stable_pair_pays_near_par_where_a_volatile_one_does_not() -> None:
    amount = 100_000 * USDC
    for kind, lopsided in (("solidly", STABLE), ("camelot_v2", CAMELOT)):
        fields = lopsided | {"reserve1": 2_000_000 * DAI}
        stable = quoted(kind, fields, 0, amount).amount_out
        volatile = quoted(kind, fields | {"stable": False}, 0, amount).amount_out
        assert stable / (100_000 * DAI) > 0.99
        assert volatile / (100_000 * DAI) < 0.96


def test_a_pair_that_switches_type_is_quoted_by_the_new_curve() -> None:
    pool = Pool("camelot_v2", CAMELOT)
    switched = Pool("camelot_v2", pool.fields() | {"stable": False})
    assert pool.quote(0, USDC) != switched.quote(0, USDC)
    assert switched.quote(0, USDC) == Pool("camelot_v2", CAMELOT | {"stable": False}).quote(0, USDC)


def test_who_is_asked_about_one_more_wei_makes_a_pool_pay_or_revert() -> None:
    """Executed on both versions of the contract: one pays 94, the other overflows in _k."""
    fields = STABLE | {"reserve0": 8222446, "reserve1": 16467722, "decimals1": USDC}
    assert Pool("solidly", fields).quote(0, 88) == Refused("OVERFLOW")
    assert quoted("solidly", fields | {"y_check": "f"}, 0, 88).amount_out == 94


# ---- refusals ----


@pytest.mark.parametrize(
    ("kind", "changes", "token_in", "amount", "reason"),
    [
        ("solidly", {}, 0, 0, "ZERO_AMOUNT"),
        ("solidly", {"reserve0": 0}, 0, 10**9, "NO_LIQUIDITY"),
        ("solidly", {"reserve1": 0, "stable": False}, 0, 10**9, "NO_LIQUIDITY"),
        ("solidly", {}, 1, 10**11, "NO_OUTPUT"),
        ("solidly", {}, 0, 1 << 255, "OVERFLOW"),
        ("solidly", {"stable": False}, 0, (1 << 256) - 1, "OVERFLOW"),
        # the fee over the supply: fee * 1e18 overflows in _update0
        ("solidly", {"stable": False, "reserve1": 10**9, "fee_bps": 100}, 0, 1 << 205, "OVERFLOW"),
        ("solidly", {"stable": False, "reserve1": 10**9, "fee_bps": 0}, 0, 1 << 205, None),
        ("solidly", {"reserve0": 10**40}, 0, 10**9, "OVERFLOW"),
        ("camelot_v2", {}, 1, 10**11, "NO_OUTPUT"),
        ("camelot_v2", {}, 0, (1 << 256) - 1, "OVERFLOW"),
        ("camelot_v2", {"stable": False}, 0, UINT112_MAX - 2 * 10**12, None),
        ("camelot_v2", {"stable": False}, 0, UINT112_MAX - 2 * 10**12 + 1, "OVERFLOW"),
        ("camelot_v2", {"stable": False, "reserve0": 1}, 0, UINT112_MAX, "OVERFLOW"),
        # 0 whole tokens each: k is 0 and so is the slope of the curve
        ("camelot_v2", {"reserve0": 1, "reserve1": 1, "decimals0": DAI}, 0, 1, "OVERFLOW"),
    ],
)
def test_refusals(
    kind: str, changes: dict[str, Any], token_in: int, amount: int, reason: str | None
) -> None:
    fields = (STABLE if kind == "solidly" else CAMELOT) | changes
    answer = Pool(kind, fields).quote(token_in, amount)
    if reason is None:
        assert isinstance(answer, Quote)
    else:
        assert answer == Refused(reason)


@pytest.mark.parametrize(("kind", "fields"), [("solidly", STABLE), ("camelot_v2", CAMELOT)])
@pytest.mark.parametrize("stable", [True, False])
def test_no_contract_of_this_family_has_an_exact_output(
    kind: str, fields: dict[str, Any], stable: bool
) -> None:
    pool = Pool(kind, fields | {"stable": stable})
    assert pool.quote(0, 10**9, "out") == Refused("UNSUPPORTED")


def test_a_quote_that_breaks_k_is_refused() -> None:
    """Executed on the contract: getAmountOut answers, swap says "CamelotPair: K"."""
    pair = solidly.Pair(
        "camelot_v2", True, (4107791121724181504, 4944078), (10**18, 10**8), (214, 124), 100_000
    )
    for amount in (2, 3215, 49440780):
        assert solidly.amount_out(pair, 1, amount) > 0
        with pytest.raises(solidly.Revert, match="K"):
            solidly.swap(pair, 1, amount)
        assert Pool("camelot_v2", pair.fields()).quote(1, amount) == Refused("INVARIANT")
    deep = replace(pair, reserves=(pair.reserves[0] * 10**6, pair.reserves[1] * 10**6))
    assert isinstance(Pool("camelot_v2", deep.fields()).quote(1, 3215), Quote)


# ---- prices ----


@pytest.mark.parametrize("kind", ["solidly", "camelot_v2"])
@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("skew", [1, 7, 1000])
def test_marginal_price_is_the_slope_of_the_quotes(kind: str, stable: bool, skew: int) -> None:
    big = solidly.Pair(
        kind, stable, (10**6 * 10**18, skew * 10**6 * 10**18), fees=(30, 30)
    )  # deep enough for a difference of quotes
    pool = Pool(kind, big.fields())
    for token_in in (0, 1):
        amounts = (10**16, 10**16 + 10**15)
        out = [solidly.swap(big, token_in, amount).amount_out for amount in amounts]
        assert pool.marginal_price(token_in) == pytest.approx((out[1] - out[0]) / 10**15, rel=1e-6)


def test_prices_count_decimals_and_survive_the_far_ends() -> None:
    assert Pool("solidly", STABLE | {"reserve1": 2_000_000 * DAI}).marginal_price(0) == (
        pytest.approx(1e12 * 0.9995, rel=1e-15)
    )
    assert Pool("solidly", STABLE | {"reserve0": 0}).marginal_price(0) == 0.0
    most = (1 << 256) - 1
    for reserves in ((1, most), (most, 1), (most, most), (1, 1)):
        for decimals in ((1, 10**77), (10**77, 1), (1, 1)):
            fields = solidly.Pair("solidly", True, reserves, decimals).fields()
            for token_in in (0, 1):
                assert 0.0 < Pool("solidly", fields).marginal_price(token_in) < float("inf")


# ---- fields ----


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("solidly", {"stable": 1}, r"p\.stable: expected True or False, was 1"),
        ("solidly", {"reserve0": None}, r"p\.reserve0: expected an integer or a decimal string"),
        ("solidly", {"reserve1": 1 << 256}, r"p\.reserve1: expected an integer in \[0, "),
        ("solidly", {"decimals0": 18}, r"p\.decimals0: expected 10\*\*decimals, was 18"),
        ("solidly", {"decimals1": 0}, r"p\.decimals1: expected an integer in \[1, "),
        ("solidly", {"fee_bps": 10_000}, r"p\.fee_bps: .*9999"),
        ("solidly", {"y_check": "y"}, r"p\.y_check: expected 'k' or 'f', was 'y'"),
        ("camelot_v2", {"reserve0": 1 << 112}, r"p\.reserve0: expected an integer in \[0, "),
        ("camelot_v2", {"fee_percent": 300}, r"p\.fee_percent: expected a list, was int"),
        ("camelot_v2", {"fee_percent": [300]}, r"p\.fee_percent: expected 2 entries, was 1"),
        ("camelot_v2", {"fee_percent": [1, 100_000]}, r"p\.fee_percent\[1\]: .*99999"),
        ("camelot_v2", {"owner_fee_share": 100_001}, r"p\.owner_fee_share: .*100000"),
    ],
)
def test_malformed_fields_are_named(kind: str, changes: dict[str, Any], message: str) -> None:
    fields = (STABLE if kind == "solidly" else CAMELOT) | changes
    with pytest.raises(DataError, match=message):
        Pool(kind, fields, "p.")


@pytest.mark.parametrize(("kind", "fields"), [("solidly", STABLE), ("camelot_v2", CAMELOT)])
def test_only_stable_pairs_need_decimals(kind: str, fields: dict[str, Any]) -> None:
    rest = {name: value for name, value in fields.items() if name != "decimals1"}
    with pytest.raises(DataError, match=r"decimals1: .* was missing"):
        Pool(kind, rest)
    assert Pool(kind, rest | {"stable": False}).fields()["decimals1"] == 10**18


@pytest.mark.parametrize(
    "pair",
    [
        solidly.Pair("solidly", True, (1, 2), (10, 100), (3, 3), y_check="f"),
        solidly.Pair("solidly", False, ((1 << 256) - 1, 2), (10**77, 1), (3, 3)),
        solidly.Pair("camelot_v2", True, (1, UINT112_MAX), (10, 100), (3, 4), 5),
    ],
)
def test_fields_are_what_was_given(pair: solidly.Pair) -> None:
    assert Pool(pair.kind, pair.fields()).fields() == pair.fields()


def test_apply_moves_the_reserves_and_nothing_else() -> None:
    pair = solidly.Pair("camelot_v2", True, (10**13, 10**25), (USDC, DAI), (40, 50), 40_000)
    pool = Pool(pair.kind, pair.fields())
    for token_in, amount in ((0, 10**9), (1, 10**22), (0, 5), (1, 10**17)):
        expected = solidly.swap(pair, token_in, amount)
        quote = pool.apply(token_in, amount)
        assert isinstance(quote, Quote)
        assert quote.amount_out == expected.amount_out
        pair = replace(pair, reserves=expected.reserves)
        assert pool.fields() == pair.fields()


# ---- the header's arithmetic ----

WAD, WORD = 10**18, 1 << 256
ARITHMETIC: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "DIV_WAD": lambda x, y: (0, x // WAD),
    "MUL_WRAP": lambda x, y: (int(x * y >= WORD), x * y % WORD),
    "MUL_WAD": lambda x, y: (int(x * y >= WORD), x * y % WORD // WAD),
    "TIMES_WAD": lambda x, y: (int(x * WAD >= WORD), x * WAD % WORD),
}


@pytest.mark.parametrize("op", ARITHMETIC)
def test_arithmetic_equals_python(op: str) -> None:
    values = numbers(7, 4000)
    values += [q * WAD + off for q in numbers(8, 2000) for off in (-1, 0, 1) if 0 < q * WAD < WORD]
    for x, y in pairwise(values):
        assert call(op, x, y)[:2] == ARITHMETIC[op](x, y), (hex(x), hex(y))


@pytest.mark.parametrize("power", [0, 1, 6, 17, 18, 19, 24, 77])
def test_scaling_overflows_where_the_contract_s_product_does(power: int) -> None:
    decimals, last = 10**power, (WORD - 1) // WAD  # the largest x whose x * 1e18 fits
    for x in (0, 1, decimals - 1, (1 << 196) - 1, 1 << 196, last, last + 1, 1 << 197, WORD - 1):
        status, scaled, _ = call("SCALE", x, decimals)
        assert bool(status) is (x > last)
        if not status:
            assert scaled == x * WAD // decimals


# ---- getters ----

POOL, FACTORY = "0x" + "aa" * 20, "0x" + "fa" * 20
NOBODY = "0x" + "00" * 20


def node(answers: dict[str, bytes]) -> Callable[[str, bytes], bytes]:
    """Answers calls by the getter's name, wherever it belongs."""
    by_data = {}
    for name, answer in answers.items():
        to = FACTORY if name in ("isPaused()", "feeInfo()") or "getFee" in name else POOL
        arguments = (POOL, True) if "getFee" in name else ()
        by_data[to, reads.calldata(name, *arguments)] = answer
    return lambda to, data: by_data[to, data]


VELODROME_ANSWERS = {
    "metadata()": encode(
        ["uint256"] * 4 + ["bool", "address", "address"],
        [USDC, DAI, 5 * USDC, 6 * DAI, True, POOL, FACTORY],
    ),
    "factory()": encode(["address"], [FACTORY]),
    "getFee(address,bool)": encode(["uint256"], [5]),
    "isPaused()": encode(["bool"], [False]),
}
CAMELOT_ANSWERS = {
    "getReserves()": encode(["uint256"] * 4, [5 * USDC, 6 * DAI, 300, 40]),
    "stableSwap()": encode(["bool"], [True]),
    "precisionMultiplier0()": encode(["uint256"], [USDC]),
    "precisionMultiplier1()": encode(["uint256"], [DAI]),
    "factory()": encode(["address"], [FACTORY]),
    "feeInfo()": encode(["uint256", "address"], [40_000, POOL]),
}


def test_getters_become_fields_that_the_kernel_takes() -> None:
    fields = reads.drive(family.read(POOL), node(VELODROME_ANSWERS))
    expected = solidly.Pair("solidly", True, (5 * USDC, 6 * DAI), (USDC, DAI), (5, 5))
    assert fields == expected.fields() == Pool("solidly", fields).fields()
    assert reads.drive(family.read(POOL, "f"), node(VELODROME_ANSWERS))["y_check"] == "f"
    fields = reads.drive(family.read_camelot(POOL), node(CAMELOT_ANSWERS))
    expected = solidly.Pair("camelot_v2", True, (5 * USDC, 6 * DAI), (USDC, DAI), (300, 40), 40_000)
    assert fields == expected.fields() == Pool("camelot_v2", fields).fields()


def test_nobody_s_share_stays_in_the_pair() -> None:
    answers = CAMELOT_ANSWERS | {"feeInfo()": encode(["uint256", "address"], [40_000, NOBODY])}
    assert reads.drive(family.read_camelot(POOL), node(answers))["owner_fee_share"] == 0


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("isPaused()", encode(["bool"], [True]), f"{POOL}: .* was paused: {FACTORY}"),
        ("metadata()", b"", f"metadata of {POOL}: expected "),
        ("getFee(address,bool)", b"", f"getFee of {FACTORY}: expected "),
    ],
)
def test_a_pool_that_cannot_be_read_is_named(name: str, answer: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        reads.drive(family.read(POOL), node(VELODROME_ANSWERS | {name: answer}))
