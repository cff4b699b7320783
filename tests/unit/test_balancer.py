"""The Balancer kernel: swaps by hand, the contracts' refusals at their exact edges, fields."""

from typing import Any, Literal

import pytest

from mevfast._pool import Pool, Quote, Refused
from mevfast.errors import DataError
from tests.oracle import balancer, log_exp
from tests.oracle.balancer import ONE

UINT112_MAX = (1 << 112) - 1
UINT256_MAX = (1 << 256) - 1
HALF = ONE // 2
WEIGHTED: dict[str, Any] = {
    "balances": [10**24, 3 * 10**12],
    "scaling_factors": [ONE, 10**30],
    "weights": [HALF, HALF],
    "swap_fee": 3 * 10**15,
}
STABLE: dict[str, Any] = {
    "balances": [10**24, 2**111, 2 * 10**12, 3 * 10**24],
    "scaling_factors": [ONE, ONE, 10**30, 12 * 10**17],
    "amp": 200_000,
    "bpt_index": 1,
    "swap_fee": 4 * 10**14,
}


def weighted(**changes: object) -> Pool:
    return Pool("balancer_weighted", WEIGHTED | changes)


def stable(**changes: object) -> Pool:
    return Pool("balancer_composable_stable", STABLE | changes)


def test_equal_weights_are_a_product_of_balances() -> None:
    quote = weighted().quote(0, 10**18)
    assert isinstance(quote, Quote)
    # 0.997e18 in; 1e24 * 1e18 / (1e24 + 0.997e18), rounded up, is 999999003000994009; what is left
    # of 1e18, 996999005991, is of 3e24, in 1e12ths
    assert quote.amount_out == (10**18 - 999999003000994009) * 3 * 10**24 // 10**18 // 10**12
    assert quote.after == {"balances": [10**24 + 10**18, 3 * 10**12 - quote.amount_out]}
    assert quote.price_after == pytest.approx(3e-12 * 0.997, rel=1e-5)


def test_exact_out_adds_the_fee_last_and_rounds_up() -> None:
    quote = weighted().quote(0, 10**6, "out")
    assert isinstance(quote, Quote)
    base = -(-3 * 10**24 * ONE // (3 * 10**24 - 10**18))
    before_fee = -(-(10**24) * (base - ONE) // ONE)
    assert quote.amount_in == -(-before_fee * ONE // (ONE - 3 * 10**15))
    assert quote.after == {"balances": [10**24 + quote.amount_in, 3 * 10**12 - 10**6]}


def test_the_oldest_pools_take_no_shortcut() -> None:
    new, old = weighted().quote(1, 10**9), weighted(pow_shortcuts=False).quote(1, 10**9)
    assert isinstance(new, Quote)
    assert isinstance(old, Quote)
    # of 1e24, the margin of 1e-14 on the power
    assert new.amount_out - old.amount_out == pytest.approx(10**10, rel=0.01)


@pytest.mark.parametrize(("i", "j"), [(0, 1), (1, 0)])
def test_four_and_one_quarter(i: int, j: int) -> None:
    """80/20: one direction multiplies, the other raises to 0.25 by logarithms."""
    weights = [8 * 10**17, 2 * 10**17]
    quote = weighted(weights=weights).quote(i, WEIGHTED["balances"][i] // 10)
    pool = balancer.Pool(
        tuple(WEIGHTED["balances"]), tuple(WEIGHTED["scaling_factors"]), 3 * 10**15, tuple(weights)
    )
    assert isinstance(quote, Quote)
    assert quote.amount_out == pool.swap(i, j, "in", WEIGHTED["balances"][i] // 10)[1]


def test_an_input_too_small_to_pay_is_no_refusal() -> None:
    """The Vault takes it and sends nothing: recorded so."""
    quote = weighted().quote(0, 1)
    assert isinstance(quote, Quote)
    assert quote.amount_out == 0
    assert quote.after == {"balances": [10**24 + 1, 3 * 10**12]}


FEE = 3 * 10**15
# The least input of which 30 % of the balance are left, and one more, after the fee.
MOST_IN = 3 * 10**23 * ONE // (ONE - FEE)


@pytest.mark.parametrize(
    ("changes", "token_in", "amount", "exact", "reason"),
    [
        ({}, 0, 0, "in", "ZERO_AMOUNT"),
        ({}, 0, 0, "out", "ZERO_AMOUNT"),
        ({}, 0, MOST_IN + 2, "in", "NO_LIQUIDITY"),  # BAL#304
        ({}, 0, 9 * 10**11 + 1, "out", "NO_LIQUIDITY"),  # BAL#305
        ({"balances": [0, 10**12]}, 0, 10**6, "in", "NO_LIQUIDITY"),
        ({"balances": [10**24, 0]}, 0, 1, "out", "NO_LIQUIDITY"),
        ({}, 0, UINT256_MAX, "in", "OVERFLOW"),  # BAL#003
        ({}, 0, UINT256_MAX, "out", "OVERFLOW"),
        ({"balances": [UINT112_MAX, 10**12]}, 0, 1, "in", "OVERFLOW"),  # BAL#526
        ({"balances": [UINT112_MAX, 10**12]}, 0, 1, "out", "OVERFLOW"),
        # the logarithm of the power is below -41: BAL#008
        ({"weights": [ONE, 1]}, 0, 10**23, "in", "OVERFLOW"),
    ],
)
def test_weighted_refusals(
    changes: dict[str, object],
    token_in: int,
    amount: int,
    exact: Literal["in", "out"],
    reason: str,
) -> None:
    assert weighted(**changes).quote(token_in, amount, exact) == Refused(reason)


def test_one_wei_inside_the_limits_is_quoted() -> None:
    for token_in, amount, exact in ((0, MOST_IN, "in"), (0, 9 * 10**11, "out")):
        assert isinstance(weighted().quote(token_in, amount, exact), Quote)  # type: ignore[arg-type]
    filled = weighted(balances=[UINT112_MAX - 5, 10**12]).quote(0, 5)
    assert isinstance(filled, Quote)
    assert filled.after["balances"][0] == UINT112_MAX


@pytest.mark.parametrize(
    ("changes", "tokens", "amount", "exact", "reason"),
    [
        ({}, (0, 2), 0, "in", "ZERO_AMOUNT"),
        ({}, (0, 1), 10**18, "in", "UNSUPPORTED"),
        ({}, (1, 0), 10**18, "out", "UNSUPPORTED"),
        ({}, (0, 2), 1, "in", "NO_OUTPUT"),  # BAL#001
        ({}, (0, 2), 2 * 10**12 + 1, "out", "NO_LIQUIDITY"),  # BAL#001
        ({"balances": [0, 1, 0, 0]}, (0, 2), 10**18, "in", "NO_LIQUIDITY"),
        ({"balances": [0, 1, 10**12, 10**24]}, (0, 2), 10**18, "in", "NO_LIQUIDITY"),  # BAL#004
        ({}, (0, 2), UINT256_MAX, "in", "OVERFLOW"),
        ({"scaling_factors": [UINT256_MAX] * 4}, (0, 2), 10**18, "in", "OVERFLOW"),
        ({"balances": [1, 1, UINT112_MAX, 1]}, (0, 2), 10**18, "in", "OVERFLOW"),  # BAL#321
    ],
)
def test_stable_refusals(
    changes: dict[str, object],
    tokens: tuple[int, int],
    amount: int,
    exact: Literal["in", "out"],
    reason: str,
) -> None:
    assert stable(**changes).quote(tokens[0], amount, exact, token_out=tokens[1]) == Refused(reason)


def test_the_own_token_takes_no_part() -> None:
    there = stable().quote(0, 10**20, token_out=3)
    fields = {
        name: [value for k, value in enumerate(STABLE[name]) if k != 1]
        for name in ("balances", "scaling_factors")
    }
    absent = Pool("balancer_composable_stable", {**fields, "amp": 200_000, "swap_fee": 4 * 10**14})
    without = absent.quote(0, 10**20, token_out=2)
    assert isinstance(there, Quote)
    assert isinstance(without, Quote)
    assert there.amount_out == without.amount_out
    assert there.price_after == without.price_after
    assert there.after["balances"][1] == 2**111
    assert stable().marginal_price(0, 1) == 0.0


def test_old_stable_pools_round_the_invariant_up() -> None:
    fields = {
        "balances": [636801335662468923392, 2020607342814049861632, 445566872634044252160],
        "scaling_factors": [ONE] * 3,
        "amp": 200_000,
        "swap_fee": 10**14,
    }
    paid = []
    for round_up in (False, True):
        pool = Pool("balancer_composable_stable", fields | {"invariant_round_up": round_up})
        quote = pool.quote(1, 10**18, token_out=0)
        assert isinstance(quote, Quote)
        paid.append(quote.amount_out)
    assert paid[0] - paid[1] == 1


@pytest.mark.parametrize("pool", [weighted(), stable()], ids=["weighted", "stable"])
def test_apply_moves_the_state_and_a_refusal_does_not(pool: Pool) -> None:
    before = pool.fields()
    quote = pool.apply(0, 10**20, token_out=pool.n_tokens - 1)
    assert isinstance(quote, Quote)
    assert pool.fields() == before | quote.after
    assert pool.marginal_price(0, pool.n_tokens - 1) == quote.price_after
    assert isinstance(pool.apply(0, 0, token_out=1), Refused)
    assert pool.fields() == before | quote.after
    assert Pool(pool.kind, pool.fields()).fields() == pool.fields()


def test_an_empty_pool_has_no_price() -> None:
    assert weighted(balances=[0, 1]).marginal_price(0) == 0.0
    assert weighted(balances=[1, 0]).marginal_price(0) == 0.0
    assert stable(balances=[1, 1, 1, 0]).marginal_price(0, 2) == 0.0


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("weighted", {"balances": [1]}, "p.balances: expected 2 to 8 entries, was 1"),
        ("weighted", {"balances": [1] * 9}, "p.balances: expected 2 to 8 entries, was 9"),
        ("weighted", {"balances": [1, 1 << 112]}, r"p.balances\[1\]: expected an integer in"),
        ("weighted", {"scaling_factors": [ONE, 0]}, r"p.scaling_factors\[1\]: .*was 0"),
        ("weighted", {"scaling_factors": [ONE]}, "p.scaling_factors: expected 2 entries, was 1"),
        ("weighted", {"weights": [ONE + 1, 1]}, r"p.weights\[0\]: expected an integer in"),
        ("weighted", {"weights": [HALF, 0]}, r"p.weights\[1\]: expected an integer in"),
        ("weighted", {"swap_fee": ONE}, "p.swap_fee: expected an integer in"),
        ("weighted", {"pow_shortcuts": 1}, "p.pow_shortcuts: expected True or False, was 1"),
        ("stable", {"amp": 999}, "p.amp: expected an integer in"),
        ("stable", {"amp_precision": 100}, "p.amp_precision: expected an integer in"),
        ("stable", {"bpt_index": 4}, "p.bpt_index: expected an integer in"),
        ("stable", {"invariant_round_up": "yes"}, "p.invariant_round_up: expected False or True"),
        (
            "stable",
            {"balances": [1, 1], "scaling_factors": [ONE, ONE]},
            "p.balances: expected 3 to 8",
        ),
    ],
)
def test_malformed_states_name_the_field(
    kind: str, changes: dict[str, object], message: str
) -> None:
    base, full = (WEIGHTED, "weighted") if kind == "weighted" else (STABLE, "composable_stable")
    with pytest.raises(DataError, match=message):
        Pool(f"balancer_{full}", base | changes, "p.")


@pytest.mark.parametrize("missing", ["balances", "scaling_factors", "weights", "swap_fee"])
def test_missing_fields_are_named(missing: str) -> None:
    fields = {name: value for name, value in WEIGHTED.items() if name != missing}
    with pytest.raises(DataError, match=f"{missing}: expected .* was missing"):
        Pool("balancer_weighted", fields)


# ---- LogExpMath in C ----

NEAR_POWERS = sorted(
    value + delta
    for n, power in enumerate(balancer.POWERS_OF_E)
    for value in (power * ONE if n < 2 else power // 100,)
    for delta in (-1, 0, 1)
)
EDGES = [
    0, 1, 2, ONE - 1, ONE, ONE + 1, *balancer.LN_36_BOUNDS,
    *(bound + delta for bound in balancer.LN_36_BOUNDS for delta in (-1, 1)),
    2**64 - 1, 2**64, 2**127, 2**128 - 1, 2**128, 2**255 - 1, 2**255, UINT256_MAX,
]  # fmt: skip


@pytest.mark.parametrize("x", EDGES + NEAR_POWERS)
def test_logarithms_at_the_edges(x: int) -> None:
    expected = balancer.ln(x) if 0 < x < 2**255 else None
    assert log_exp.ln(x) == expected


@pytest.mark.parametrize("n", range(12))
@pytest.mark.parametrize("sign", [1, -1])
def test_exponentials_at_the_powers(n: int, sign: int) -> None:
    for delta in (-1, 0, 1):
        x = sign * (balancer.EXPONENTS[n] // 100 + delta)
        inside = balancer.MIN_NATURAL_EXPONENT <= x <= balancer.MAX_NATURAL_EXPONENT
        assert log_exp.exp(x) == (balancer.exp(x) if inside else None)


@pytest.mark.parametrize("limit", [balancer.MIN_NATURAL_EXPONENT, balancer.MAX_NATURAL_EXPONENT])
def test_exponentials_end_at_the_limits(limit: int) -> None:
    assert log_exp.exp(limit) == balancer.exp(limit)
    assert log_exp.exp(limit + (1 if limit > 0 else -1)) is None


@pytest.mark.parametrize("x", EDGES)
@pytest.mark.parametrize(
    "y",
    [0, 1, HALF, ONE, 3 * ONE, 12345678901234567890, 99 * ONE, 10**21, 10**36,
     balancer.MILD_EXPONENT_BOUND - 1, balancer.MILD_EXPONENT_BOUND, UINT256_MAX],
)  # fmt: skip
def test_powers_at_the_edges(x: int, y: int) -> None:
    try:
        expected: int | None = balancer.power(x, y)
    except balancer.Revert as revert:
        assert revert.args[0] in ("BAL#006", "BAL#007", "BAL#008")
        expected = None
    assert log_exp.power(x, y) == expected
