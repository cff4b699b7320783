"""StableSwap invariants on random pools, against Python integers in tests/oracle/curve.py."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool, Quote, Refused
from tests.oracle import curve
from tests.oracle.curve import CurvePool, Reverted

SHAPES = (*curve.LEGACY, "ng")
E18 = 10**18


def sized(rng: random.Random, low_bits: int, high_bits: int) -> int:
    """An integer whose length, rather than value, is uniform."""
    bits = rng.randint(low_bits, high_bits)
    return rng.randrange((1 << bits) >> 1, 1 << bits) if bits else 0


def decimals_rate(rng: random.Random) -> int:
    return int(10 ** (36 - rng.choice([18, 18, 18, 6, 8, 2])))


def wild(rng: random.Random) -> CurvePool:
    """Any state that loads: empty coins, dust, whales, balances at the type's limits."""
    n = rng.choice([2, 2, 3, 3, 4, 5, 8])
    shape = rng.choice(SHAPES)
    bits = rng.choice([8, 64, 96, 120, 160, 256])
    amp = rng.choice([1, 2, 100, sized(rng, 1, 27), sized(rng, 1, 56)])
    return CurvePool(
        shape,
        tuple(sized(rng, rng.choice([0, bits * 3 // 4]), bits) for _ in range(n)),
        tuple(rng.choice([E18, decimals_rate(rng), sized(rng, 1, 110)]) for _ in range(n)),
        max(1, amp),
        rng.choice([0, 4 * 10**6, rng.randint(0, 10**10)]),
        rng.choice([0, 5 * 10**9, 10**10, rng.randint(0, 10**10)]),
        rng.choice([0, 10**10, 5 * 10**10, sized(rng, 1, 128)]) if shape == "ng" else 0,
    )


def sound(rng: random.Random, shape: str | None = None) -> CurvePool:
    """A pool as they are: worth 10 to 1e10, out of balance up to a thousandfold."""
    n = rng.choice([2, 2, 3, 3, 4, 6, 8])
    shape = shape or rng.choice(SHAPES)
    rates = [decimals_rate(rng) for _ in range(n)]
    worth = E18 * 10 ** rng.randint(1, 10)
    tilt = rng.choice([2, 10, 1000])
    balances = (rng.randint(worth // tilt, worth) * E18 // rate for rate in rates)
    if rng.random() < 0.5:
        rates = [rate * rng.randint(5 * 10**17, 3 * E18) // E18 for rate in rates]
    amp = rng.choice([2, 10, 100, 500, 2000, rng.randint(1, 10**6 - 1)])
    fee = rng.choice([10**6, 4 * 10**6, 3 * 10**7, rng.randint(1, 10**8)])
    multiplier = rng.choice([0, 2 * 10**10, 10**11, 5 * 10**19 // fee])  # at most half of it all
    return CurvePool(
        shape,
        tuple(balances),
        tuple(rates),
        amp * 100 + rng.choice([0, rng.randint(0, 99)]) if shape in ("plain", "ng") else amp,
        fee,
        rng.choice([0, 5 * 10**9, 10**10]),
        multiplier if shape == "ng" else 0,
    )


SEEDS = st.integers(0, 1 << 64)
WILD = SEEDS.map(lambda seed: wild(random.Random(seed)))
SOUND = SEEDS.map(lambda seed: sound(random.Random(seed)))


def built(pool: CurvePool) -> Pool:
    return Pool(pool.kind, pool.fields())


def amounts(rng: random.Random, balance: int) -> int:
    return rng.choice(
        [
            rng.randint(1, 20),
            sized(rng, 1, max(1, balance.bit_length())),
            max(1, balance * rng.randint(1, 3000) // 1000),
            sized(rng, 1, 256),
        ]
    )


def check(pool: CurvePool, i: int, j: int, amount: int) -> bool:
    """Compares one quote with the oracle; whether it was one."""
    quote = built(pool).quote(i, amount, token_out=j)
    try:
        paid, balances = curve.exchange(pool, i, j, amount)
        if not any(curve.xp(pool)):
            raise Reverted("empty: a y pool of two coins would take it for nothing")
    except Reverted as reverted:
        assert isinstance(quote, Refused), (pool, i, j, amount, quote, reverted)
        return False
    assert isinstance(quote, Quote), (pool, i, j, amount, quote, paid)
    assert (quote.amount_in, quote.amount_out) == (amount, paid), (pool, i, j, amount)
    assert quote.after == {"balances": list(balances)}, (pool, i, j, amount)
    assert quote.price_after >= 0.0, (pool, i, j, amount)
    return True


@pytest.mark.parametrize("make", [wild, sound])
def test_exchange_pays_and_books_what_the_contract_computes(
    make: Callable[[random.Random], CurvePool],
) -> None:
    rng, answers = random.Random(make.__name__), {True: 0, False: 0}
    for _ in range(6000):
        pool = make(rng)
        i, j = rng.sample(range(len(pool.balances)), 2)
        answers[check(pool, i, j, amounts(rng, pool.balances[i]))] += 1
    assert answers[True] > 800, answers
    assert answers[False] > 400, answers


@settings(max_examples=300, deadline=None)
@given(WILD, SEEDS, st.one_of(st.integers(1, 100), st.integers(1, curve.UINT256_MAX)))
def test_any_amount_in_any_state_is_paid_or_refused_as_by_the_contract(
    pool: CurvePool, seed: int, amount: int
) -> None:
    i, j = random.Random(seed).sample(range(len(pool.balances)), 2)
    check(pool, i, j, amount)


def swap(pool: CurvePool, seed: int) -> tuple[int, int, int, Quote]:
    """A swap that the pool answers: coin in, coin out, amount, quote."""
    rng = random.Random(seed)
    while True:
        i, j = rng.sample(range(len(pool.balances)), 2)
        amount = max(1, pool.balances[i] * rng.randint(1, 10**6) // rng.choice([10**6, 10**9]))
        quote = built(pool).quote(i, amount, token_out=j)
        if isinstance(quote, Quote):
            return i, j, amount, quote


def after(pool: CurvePool, quote: Quote) -> CurvePool:
    return replace(pool, balances=tuple(quote.after["balances"]))


@settings(max_examples=300, deadline=None)
@given(SOUND, SEEDS)
def test_the_invariant_never_falls(pool: CurvePool, seed: int) -> None:
    if pool.shape == "y_pool":
        return  # books balances out of 18 decimals: each swap may drop a unit of each coin
    moved = after(pool, swap(pool, seed)[3])
    newton = 1  # stops a unit from rest
    assert curve.invariant(moved, curve.xp(moved)) >= curve.invariant(pool, curve.xp(pool)) - newton


@settings(max_examples=300, deadline=None)
@given(SOUND, SEEDS)
def test_swapping_back_never_gains(pool: CurvePool, seed: int) -> None:
    if pool.shape == "y_pool":
        return  # keeps no unit back
    i, j, amount, there = swap(pool, seed)
    back = built(after(pool, there)).quote(j, there.amount_out, token_out=i)
    assert isinstance(back, Refused) or back.amount_out <= amount


@settings(max_examples=300, deadline=None)
@given(SOUND, SEEDS, st.integers(1, 10**6))
def test_more_in_never_pays_less(pool: CurvePool, seed: int, more: int) -> None:
    if pool.shape == "ng":
        return  # its fee grows with the imbalance
    i, j, amount, quote = swap(pool, seed)
    larger = built(pool).quote(i, amount + more, token_out=j)
    assert isinstance(larger, Quote)
    assert larger.amount_out >= quote.amount_out


@settings(max_examples=300, deadline=None)
@given(SOUND, SEEDS)
def test_the_state_after_a_swap_is_the_one_its_fields_describe(pool: CurvePool, seed: int) -> None:
    i, j, amount, quote = swap(pool, seed)
    moved = built(pool)
    assert moved.apply(i, amount, token_out=j) == quote
    fresh = built(after(pool, quote))
    assert moved.fields() == fresh.fields()
    for a, b in ((i, j), (j, i)):
        assert moved.quote(a, amount, token_out=b) == fresh.quote(a, amount, token_out=b)
        assert moved.marginal_price(a, b) == fresh.marginal_price(a, b)
    assert quote.price_after == pytest.approx(fresh.marginal_price(i, j), rel=1e-10)


@settings(max_examples=100, deadline=None)
@given(SOUND, SEEDS)
def test_the_marginal_price_is_the_invariants_slope(pool: CurvePool, seed: int) -> None:
    i, j = random.Random(seed).sample(range(len(pool.balances)), 2)
    assert built(pool).marginal_price(i, j) == pytest.approx(curve.price(pool, i, j), rel=1e-12)


@settings(max_examples=300, deadline=None)
@given(SOUND, SEEDS)
def test_a_small_swap_pays_the_marginal_price(pool: CurvePool, seed: int) -> None:
    i, j = random.Random(seed).sample(range(len(pool.balances)), 2)
    amount = max(1, pool.balances[i] // 10**6)
    quote = built(pool).quote(i, amount, token_out=j)
    if isinstance(quote, Refused):
        return
    prices = (built(pool).marginal_price(i, j), quote.price_after)
    if pool.shape != "ng":  # there, a swap towards balance lowers the fee
        # The fee that stays may raise a flat curve's price, by less than the swap's share of it.
        assert prices[0] >= prices[1] * (1 - 1e-9 - amount / pool.balances[i])
    # three units are lost to rounding on the way, of 18 decimals or of the token
    lost = 3 + 3 * E18 // pool.rates[j] + pool.rates[i] // pool.rates[j]
    assert min(prices) * amount * (1 - 1e-9) - lost <= quote.amount_out
    assert quote.amount_out <= max(prices) * amount * (1 + 1e-9) + lost
