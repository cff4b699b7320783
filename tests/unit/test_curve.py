"""The StableSwap kernel: worked swaps, each shape's own rules, and refusals where vyper reverts."""

from typing import Any

import pytest

from mevfast._pool import Pool, Quote, Refused
from mevfast.errors import DataError
from tests.oracle import curve
from tests.oracle.curve import CurvePool

E18, UINT256_MAX = 10**18, (1 << 256) - 1
PLAIN: dict[str, Any] = {
    "shape": "plain",
    "balances": [10**24, 10**12],
    "rates": [E18, 10**30],
    "amp": 200,
    "fee": 4_000_000,
}
NG: dict[str, Any] = {
    "balances": [10**24, 10**12],
    "rates": [E18, 10**30],
    "amp_precise": 20_000,
    "fee": 4_000_000,
    "offpeg_fee_multiplier": 2 * 10**10,
}


def legacy(**changes: object) -> Pool:
    return Pool("curve_stable", PLAIN | changes)


def ng(**changes: object) -> Pool:
    return Pool("curve_stable_ng", NG | changes)


def paid(pool: Pool, amount: int, token_in: int = 0, token_out: int = 1) -> Quote:
    quote = pool.quote(token_in, amount, token_out=token_out)
    assert isinstance(quote, Quote)
    return quote


def test_a_balanced_pool_pays_one_for_one_less_the_fee() -> None:
    quote = paid(legacy(), 1000 * E18)
    assert 999_590_000 < quote.amount_out < 999_600_000  # 0.04 % fee, and a little slippage
    # half the fee leaves the pool with the output: 0.02 % of 1,000
    moved_in, moved_out = quote.after["balances"]
    assert moved_in == 10**24 + 1000 * E18
    assert 10**12 - quote.amount_out - moved_out == pytest.approx(200_000, rel=1e-3)
    assert legacy().marginal_price(0) == pytest.approx(0.9996e-12, rel=1e-12)
    assert legacy().marginal_price(1) == pytest.approx(0.9996e12, rel=1e-12)


@pytest.mark.parametrize(("share", "kept"), [(0, 400_000), (5 * 10**9, 200_000), (10**10, 0)])
def test_the_admin_fee_moves_balances_and_no_amounts(share: int, kept: int) -> None:
    quote, default = paid(legacy(admin_fee=share), 1000 * E18), paid(legacy(), 1000 * E18)
    assert quote.amount_out == default.amount_out
    left = quote.after["balances"][1] - (10**12 - 1_000_000_000)
    assert left == pytest.approx(kept, abs=10_500)  # slippage: about 10,000 units
    if share == 5 * 10**9:
        assert quote.after == default.after


def test_a_y_pool_keeps_no_unit_back_and_books_out_of_18_decimals() -> None:
    state = {"shape": "y_pool", "rates": [E18 + 1, 10**30], "balances": [10**24, 10**12], "fee": 0}
    quotes = [paid(legacy(**state | {"shape": shape}), 7 * E18 + 3) for shape in curve.LEGACY]
    ours = CurvePool("y_pool", (10**24, 10**12), (E18 + 1, 10**30), 200, 0)
    assert (quotes[1].amount_out, tuple(quotes[1].after["balances"])) == curve.exchange(
        ours, 0, 1, 7 * E18 + 3
    )
    assert quotes[0].after["balances"][0] == 10**24 + 7 * E18 + 3
    assert quotes[1].after["balances"][0] < 10**24 + 7 * E18 + 3  # x * 1e18 / rate, rounded down


def test_dust_that_pays_nothing_is_taken_all_the_same() -> None:
    quote = paid(legacy(), 1)
    assert quote.amount_out == 0
    assert quote.after == {"balances": [10**24 + 1, 10**12]}


def test_the_ng_fee_grows_off_the_peg() -> None:
    even = ng().marginal_price(0) / ng(fee=0).marginal_price(0)
    tilted = {"balances": [10**24, 10**10]}
    odd = ng(**tilted).marginal_price(0) / ng(**tilted, fee=0).marginal_price(0)
    assert even == pytest.approx(1 - 0.0004, rel=1e-12)
    assert 1 - 0.0008 < odd < 1 - 0.0007
    flat = ng(**tilted, offpeg_fee_multiplier=0).marginal_price(0)
    assert flat / ng(**tilted, fee=0).marginal_price(0) == pytest.approx(1 - 0.0004, rel=1e-12)


def test_exact_output_is_unsupported() -> None:
    for pool in (legacy(), legacy(shape="3pool"), legacy(shape="y_pool"), ng()):
        assert pool.quote(0, 10**6, "out") == Refused("UNSUPPORTED")
        assert pool.apply(0, 10**6, "out") == Refused("UNSUPPORTED")


@pytest.mark.parametrize(
    ("pool", "amount", "reason"),
    [
        (legacy(balances=[0, 0]), 1, "NO_LIQUIDITY"),
        (legacy(balances=[10**24, 0]), E18, "NO_LIQUIDITY"),  # get_D divides by x * n
        (legacy(shape="3pool", balances=[0, 10**12]), E18, "NO_LIQUIDITY"),
        (legacy(balances=[1, 1], rates=[E18, E18]), 1, "NO_OUTPUT"),  # keeps the last unit back
        (legacy(), UINT256_MAX, "OVERFLOW"),  # dx * rate
        (legacy(), 10**60, "OVERFLOW"),  # y * y + c
        (legacy(balances=[UINT256_MAX, 1]), 1, "OVERFLOW"),  # balance * rate
        (legacy(balances=[10**60, 10**60]), 1, "OVERFLOW"),  # D_P * D
        (legacy(shape="3pool", amp=1, balances=[10**70, 1], rates=[E18, E18]), 1, "OVERFLOW"),
        (ng(balances=[0, 10**12]), E18, "NO_LIQUIDITY"),
        (ng(amp_precise=1), E18, "OVERFLOW"),  # Ann - A_PRECISION is below 0
        (ng(offpeg_fee_multiplier=10**14, fee=10**9), 10**26, "NO_OUTPUT"),  # a fee above all of it
        (ng(balances=[1 << 127, 1 << 127], rates=[E18, E18]), 1, "OVERFLOW"),  # D * D
    ],
)
def test_refusals(pool: Pool, amount: int, reason: str) -> None:
    assert pool.quote(0, amount, token_out=1) == Refused(reason)
    state = pool.fields()
    ours = CurvePool(
        state.get("shape", "ng"),
        tuple(state["balances"]),
        tuple(state["rates"]),
        state["amp_precise"] if "amp_precise" in state else state["amp"],
        state["fee"],
        state["admin_fee"],
        state.get("offpeg_fee_multiplier", 0),
    )
    with pytest.raises(curve.Reverted):
        curve.exchange(ours, 0, 1, amount)


def test_nothing_is_asked_of_the_contract_for_nothing() -> None:
    for pool in (legacy(), legacy(shape="3pool"), legacy(shape="y_pool"), ng()):
        assert pool.quote(0, 0) == Refused("ZERO_AMOUNT")
    # a y pool of two coins would take tokens for nothing here
    assert legacy(shape="y_pool", balances=[0, 0]).quote(0, E18) == Refused("NO_LIQUIDITY")


def test_prices_are_0_where_there_is_none() -> None:
    for balances in ([0, 0], [10**24, 0], [UINT256_MAX, 1]):
        assert legacy(balances=balances).marginal_price(0) == 0.0
    assert legacy(shape="y_pool", balances=[10**24, 0]).marginal_price(0) == 0.0
    assert legacy(fee=10**10).marginal_price(0) == 0.0
    all_fee = paid(legacy(fee=10**10), E18)
    assert (all_fee.amount_out, all_fee.price_after) == (0, 0.0)
    drained = paid(legacy(shape="y_pool", balances=[10**24, 1]), 10**25)
    assert (drained.after["balances"][1], drained.price_after) == (0, 0.0)


def test_an_ng_swap_that_its_oracles_cannot_price_reverts() -> None:
    """All of coin 1 bought: y is 0 in 18 decimals, by which _get_p divides."""
    state = {"balances": [2, 2], "rates": [E18, E18], "amp_precise": 10_000, "fee": 0}
    for amount in (10**12, 10**20):
        ours = CurvePool("ng", (2, 2), (E18, E18), 10_000, 0, offpeg_fee_multiplier=2 * 10**10)
        with pytest.raises(curve.Reverted, match="division by 0"):
            curve.exchange(ours, 0, 1, amount)
        assert ng(**state).quote(0, amount) == Refused("NO_LIQUIDITY")


def test_apply_moves_the_state_and_a_refusal_does_not() -> None:
    for pool in (legacy(), ng()):
        before = pool.fields()
        quote = pool.apply(1, 10**9)
        assert isinstance(quote, Quote)
        assert pool.fields() == before | quote.after
        assert isinstance(pool.apply(1, 0), Refused)
        assert pool.fields() == before | quote.after


def test_fields_are_what_the_constructor_takes() -> None:
    assert legacy(amp_precise=20_033, amp=7).fields() == {
        "shape": "plain",
        "balances": [10**24, 10**12],
        "rates": [E18, 10**30],
        "amp_precise": 20_033,
        "fee": 4_000_000,
        "admin_fee": 5 * 10**9,
    }
    assert legacy().fields()["amp_precise"] == 20_000
    bare = Pool("curve_stable", {name: PLAIN[name] for name in PLAIN if name != "shape"})
    assert bare.fields()["shape"] == "3pool"
    assert bare.fields()["amp"] == 200
    assert ng().fields() == NG | {"admin_fee": 5 * 10**9}


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("curve_stable", {"shape": "meta"}, r"p\.shape: expected '3pool' or 'y_pool' or 'plain'"),
        ("curve_stable", {"balances": [1]}, r"p\.balances: expected 2 to 8 entries, was 1"),
        ("curve_stable", {"balances": [1] * 9}, r"p\.balances: expected 2 to 8 entries, was 9"),
        ("curve_stable", {"balances": [1, -1]}, r"p\.balances\[1\]: expected an integer in \[0"),
        ("curve_stable", {"rates": [1]}, r"p\.rates: expected 2 entries, was 1"),
        ("curve_stable", {"rates": [1, 0]}, r"p\.rates\[1\]: expected an integer in \[1"),
        ("curve_stable", {"amp": 0}, r"p\.amp: expected an integer in \[1"),
        ("curve_stable", {"amp": 1 << 56}, r"p\.amp: expected an integer in \[1"),
        ("curve_stable", {"amp_precise": 0}, r"p\.amp_precise: expected an integer in \[1"),
        ("curve_stable", {"fee": 10**10 + 1}, r"p\.fee: expected an integer in \[0"),
        ("curve_stable", {"admin_fee": "x"}, r"p\.admin_fee: expected an integer or"),
        ("curve_stable_ng", {"amp_precise": None}, r"p\.amp_precise: expected an integer or"),
        ("curve_stable_ng", {"offpeg_fee_multiplier": 1 << 128}, r"p\.offpeg_fee_multiplier:"),
    ],
)
def test_malformed_states_name_the_field(
    kind: str, changes: dict[str, object], message: str
) -> None:
    fields = PLAIN if kind == "curve_stable" else NG
    with pytest.raises(DataError, match=message):
        Pool(kind, fields | changes, "p.")


def test_missing_fields_are_named() -> None:
    for kind, fields, names in (
        ("curve_stable", PLAIN, ("balances", "rates", "amp", "fee")),
        ("curve_stable_ng", NG, tuple(NG)),
    ):
        for name in names:
            rest = {other: value for other, value in fields.items() if other != name}
            with pytest.raises(DataError, match=f"{name}: expected .* was missing"):
                Pool(kind, rest)
