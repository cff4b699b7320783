"""Sizing: the input that pays most, against exhaustive search and closed forms in integers."""

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool
from mevfast._size import lender_fee_on, size
from tests import market
from tests.oracle import cycles

NO_FEE = (0, 0, False)
AAVE_OLD, AAVE_NEW = (5, 10_000, True), (5, 10_000, False)
BALANCER = (10**14, 10**18, False)
ROUNDING = 4


def pool_of(state: market.Pool) -> Pool:
    fields = dict(state)
    if "ticks" in fields:
        fields["ticks"] = [(tick, net) for tick, _, net in fields["ticks"]]
    return Pool(state["kind"], fields)


def sized(
    pools: list[market.Pool], ways: list[bool], **options: Any
) -> tuple[list[int], int, int] | None:
    directions = [(0, 1) if way else (1, 0) for way in ways]
    return size([pool_of(pool) for pool in pools], directions, **options)


def fee_of(lender: tuple[int, int, bool], amount: int) -> int:
    numerator, denominator, half_up = lender
    if denominator == 0:
        return 0
    if half_up:
        return (amount * numerator + denominator // 2) // denominator
    return -(-amount * numerator // denominator)


def expect_best(
    pools: list[market.Pool],
    ways: list[bool],
    cap: int = 1 << 120,
    lender: tuple[int, int, bool] = NO_FEE,
) -> tuple[list[int], int]:
    """Sizes, and compares with the oracle: exact amounts, no better input found anywhere."""
    hops = tuple((i, int(way)) for i, way in enumerate(ways))
    answer = sized(pools, ways, cap=cap, lender=lender)
    _, best = cycles.best_size(pools, hops, cap=cap, fee=lambda x: fee_of(lender, x))
    assert answer is not None, best
    amounts, profit, quotes = answer
    assert amounts == cycles.amounts_along(pools, hops, amounts[0])
    assert 1 <= amounts[0] <= cap
    assert profit == amounts[-1] - amounts[0] - fee_of(lender, amounts[0])
    assert profit >= best - best * 1e-12 - ROUNDING
    assert quotes < 200 * len(ways)
    return amounts, profit


# ---- V2 chains ----


@pytest.mark.parametrize("lender", [NO_FEE, AAVE_OLD, AAVE_NEW, BALANCER])
@pytest.mark.parametrize("seed", range(12))
def test_v2_chains(seed: int, lender: tuple[int, int, bool]) -> None:
    random = Random(seed)
    n = random.randint(2, 4)
    price = [10 ** random.uniform(-3, 3) for _ in range(n - 1)]
    price.append(random.uniform(1.02, 1.2) / math.prod(price))
    ways = [random.random() < 0.5 for _ in range(n)]
    pools = [
        market.v2_pool((0, 1), p if way else 1 / p, 10 ** random.uniform(15, 25), 3000)
        for p, way in zip(price, ways, strict=True)
    ]
    amounts, profit = expect_best(pools, ways, lender=lender)
    hops = tuple((i, int(way)) for i, way in enumerate(ways))
    for k in (1, 2, 3, 10, 100, 10**4, amounts[0] // 10**6, amounts[0] // 1000):
        for near in (amounts[0] - k, amounts[0] + k):
            along = cycles.amounts_along(pools, hops, near) if near > 0 else None
            if along is not None:
                assert along[-1] - near - fee_of(lender, near) <= profit * (1 + 1e-10) + ROUNDING


def test_two_pairs_by_the_closed_form() -> None:
    """The optimum of two constant products: (sqrt(a0 a1 b0 b1) f - a0 b0) / (f (b0 + f a1))."""
    a, b = (10**21, 2 * 10**21), (2 * 10**21, 12 * 10**20)  # token0 -> token1 -> token0
    pools = [
        {"kind": "uniswap_v2", "tokens": (0, 1), "reserve0": a[0], "reserve1": a[1],
         "fee_pips": 3000},
        {"kind": "uniswap_v2", "tokens": (0, 1), "reserve0": b[1], "reserve1": b[0],
         "fee_pips": 3000},
    ]  # fmt: skip
    root = math.isqrt(a[0] * a[1] * b[0] * b[1] * 997 * 997)
    optimum = (root - a[0] * b[0] * 1000) * 1000 // (997 * (b[0] * 1000 + 997 * a[1]))
    amounts, _ = expect_best(pools, [True, False])
    assert amounts[0] == pytest.approx(optimum, rel=1e-8)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(10**3, 10**12), st.integers(10**3, 10**12), st.booleans()),
        min_size=2, max_size=4,
    ),
    st.sampled_from([0, 500, 3000, 10_000]),
)  # fmt: skip
def test_small_reserves_where_rounding_is_everything(
    reserves: list[tuple[int, int, bool]], fee_pips: int
) -> None:
    """A few units of rounding a hop are worth more here than the curve's own shape."""
    pools: list[market.Pool] = [
        {"kind": "uniswap_v2", "tokens": (0, 1), "reserve0": r0, "reserve1": r1,
         "fee_pips": fee_pips}
        for r0, r1, _ in reserves
    ]  # fmt: skip
    ways = [way for _, _, way in reserves]
    hops = tuple((i, int(way)) for i, way in enumerate(ways))
    answer = sized(pools, ways)
    if answer is None:
        return
    amounts, profit, _ = answer
    assert amounts == cycles.amounts_along(pools, hops, amounts[0])
    assert profit == amounts[-1] - amounts[0] > 0


def test_no_gain_no_size() -> None:
    pair = market.v2_pool((0, 1), 2.0, 1e21, 3000)
    assert sized([pair, pair], [True, False]) is None
    empty = pair | {"reserve0": 0}
    assert sized([pair, empty], [True, False]) is None
    assert sized([pair, pair], [True, False], cap=0) is None


# ---- V3: ranges, gaps, ends ----

L = 10**21


@pytest.mark.parametrize("noise", [0.004, 0.02, 0.1])
@pytest.mark.parametrize("shape", ["thin then deep", "deep then thin", "steps", "gap", "end"])
@pytest.mark.parametrize("zero_for_one", [True, False])
def test_v3_ranges(shape: str, noise: float, zero_for_one: bool) -> None:
    positions = {
        "thin then deep": [(-500, 500, L // 100), (-500, -2, L), (3, 500, L)],
        "deep then thin": [(-500, 500, L // 100), (-2, 3, L)],
        "steps": [(-500, 500, L // 10), *((-i, i, L // i) for i in range(1, 60, 3))],
        "gap": [(-2, 3, L), (-500, -30, L), (30, 500, L)],
        "end": [(-3, 4, L)],
    }[shape]
    price = 2.0
    pool = market.v3_pool((0, 1), price, positions, 500, 10)
    other = price / (1 + noise) if zero_for_one else price * (1 + noise)
    pools = [pool, market.v2_pool((0, 1), other, 1e23, 3000)]
    expect_best(pools, [zero_for_one, not zero_for_one])
    # the same loop entered at the other pool
    expect_best(pools[::-1], [not zero_for_one, zero_for_one])


@pytest.mark.parametrize("zero_for_one", [True, False])
def test_a_range_that_ends_before_the_optimum_is_filled_to_its_last_unit(
    zero_for_one: bool,
) -> None:
    pools = [
        market.v3_pool((0, 1), 2.0, [(-1, 2, 10**15)], 100, 1),
        market.v2_pool((0, 1), 1.5 if zero_for_one else 2.6, 1e25, 3000),
    ]
    ways = [zero_for_one, not zero_for_one]
    amounts, _ = expect_best(pools, ways)
    hops = tuple((i, int(way)) for i, way in enumerate(ways))
    more = amounts[0] + max(amounts[0] // 10**6, 2)
    assert cycles.amounts_along(pools, hops, more) is None


@pytest.mark.parametrize("seed", range(8))
def test_random_loops_of_both_kinds(seed: int) -> None:
    random = Random(1000 + seed)
    positions = [(-80, 80, L), *((random.randint(-30, 0), random.randint(1, 30), L)
                                 for _ in range(6))]  # fmt: skip
    pools = [
        market.v3_pool((0, 1), 3.0, positions, 500, 10),
        market.v2_pool((1, 2), 0.01, 10 ** random.uniform(20, 23), 2500),
        market.v3_pool((0, 2), 3.0 * 0.01 / random.uniform(1.01, 1.05), positions, 3000, 60),
    ]
    expect_best(pools, [True, True, False], lender=random.choice([NO_FEE, AAVE_OLD, BALANCER]))


# ---- caps and fees ----


@pytest.mark.parametrize("cap", [1, 2, 1000, 10**15 + 1, 10**18, 2**62 + 1, 10**19])
@pytest.mark.parametrize("lender", [NO_FEE, AAVE_NEW])
def test_a_cap_is_never_passed(cap: int, lender: tuple[int, int, bool]) -> None:
    pools = [
        market.v3_pool((0, 1), 2.0, [(-500, 500, L)], 500, 10),
        market.v2_pool((0, 1), 1.8, 1e22, 3000),
    ]
    answer = sized(pools, [True, False], cap=cap, lender=lender)
    _, best = cycles.best_size(pools, ((0, 1), (1, 0)), cap=cap, fee=lambda x: fee_of(lender, x))
    if best <= 0:
        assert answer is None
        return
    assert answer is not None
    assert answer[0][0] <= cap
    assert answer[1] >= best - best * 1e-12 - ROUNDING


amounts = st.integers(0, 2**128)


@given(amounts, st.integers(0, 10**16))
def test_balancers_fee_rounds_up(amount: int, percentage: int) -> None:
    """FixedPoint.mulUp: 0 for 0, else (a * b - 1) / 1e18 + 1."""
    product = amount * percentage
    expected = (product - 1) // 10**18 + 1 if product else 0
    assert lender_fee_on(amount, (percentage, 10**18, False)) == expected


@given(amounts, st.integers(0, 10_000))
def test_aaves_premium_rounds_half_up_or_up(amount: int, premium: int) -> None:
    """PercentageMath.percentMul and percentMulCeil: 1e4 is 100 %."""
    half_up = lender_fee_on(amount, (premium, 10_000, True))
    assert half_up == (amount * premium + 5000) // 10_000
    up = lender_fee_on(amount, (premium, 10_000, False))
    assert up == amount * premium // 10_000 + (amount * premium % 10_000 > 0)


def test_a_fee_beyond_256_bits_is_an_error() -> None:
    with pytest.raises(OverflowError, match="beyond 256 bits"):
        lender_fee_on(2**256 - 1, (9999, 10_000, True))


@pytest.mark.parametrize("ways", [[], [True], [True] * 5, [True, False, True]])
def test_pools_and_directions_must_match(ways: list[bool]) -> None:
    pair = pool_of(market.v2_pool((0, 1), 2.0, 1e21, 3000))
    with pytest.raises(ValueError, match="expected 2 to 4"):
        size([pair] * (2 if len(ways) == 3 else len(ways)), ways)
    with pytest.raises(TypeError):
        size([pair, None], [True, False])  # type: ignore[list-item]
