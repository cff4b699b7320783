"""Balancer invariants on random pools, against the contracts' semantics in tests/oracle."""

import random
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool, Quote, Refused
from tests.oracle import balancer, log_exp
from tests.oracle.balancer import ONE

Exact = Literal["in", "out"]
SEEDED = 3000
REASONS = {
    "BAL#000": {"OVERFLOW"},
    "BAL#001": {"NO_OUTPUT", "NO_LIQUIDITY", "OVERFLOW"},
    "BAL#003": {"OVERFLOW", "NO_LIQUIDITY"},
    "BAL#004": {"OVERFLOW", "NO_LIQUIDITY"},
    "BAL#005": {"OVERFLOW"},
    "BAL#007": {"OVERFLOW"},
    "BAL#008": {"OVERFLOW"},
    "BAL#304": {"NO_LIQUIDITY"},
    "BAL#305": {"NO_LIQUIDITY"},
    "BAL#321": {"OVERFLOW"},
    "BAL#322": {"OVERFLOW"},
    "BAL#510": {"ZERO_AMOUNT"},
    "BAL#526": {"OVERFLOW"},
}


@dataclass(frozen=True)
class Swap:
    pool: balancer.Pool
    token_in: int
    token_out: int
    exact: Exact
    amount: int

    def expected(self) -> tuple[int, int, tuple[int, ...]] | str:
        try:
            paid, got, after = self.pool.swap(
                self.token_in, self.token_out, self.exact, self.amount
            )
        except balancer.Revert as revert:
            return str(revert)
        return paid, got, after.balances

    def quote(self) -> Quote | Refused:
        pool = Pool(self.pool.kind, self.pool.fields())
        return cast(
            Quote | Refused,
            pool.quote(self.token_in, self.amount, self.exact, token_out=self.token_out),
        )


def agree(swap: Swap) -> str:
    """ "ok" or the error code of both, after a check that kernel and oracle say the same."""
    expected, quote = swap.expected(), swap.quote()
    if isinstance(expected, str):
        assert isinstance(quote, Refused), (swap, expected, quote)
        assert quote.reason in REASONS[expected], (swap, expected, quote)
        return expected
    assert isinstance(quote, Quote), (swap, expected, quote)
    assert (quote.amount_in, quote.amount_out) == expected[:2], swap
    assert quote.after == {"balances": list(expected[2])}, swap
    return "ok"


# ---- drawing pools ----


def near(draw: random.Random, value: int) -> int:
    return max(1, value + draw.randint(-2, 2))


def length_uniform(draw: random.Random, bits: int) -> int:
    return draw.getrandbits(draw.randint(1, bits)) or 1


def a_balance(draw: random.Random, decimals: int) -> int:
    drawn = draw.random()
    if drawn < 0.1:
        return draw.choice([1, 2, 3, balancer.UINT112_MAX, balancer.UINT112_MAX - 1, 1 << 111])
    if drawn < 0.3:
        return length_uniform(draw, 112)
    return max(1, min(balancer.UINT112_MAX, int(10 ** (decimals + draw.uniform(-2, 9)))))


def an_amount(draw: random.Random, pool: balancer.Pool, i: int, j: int, exact: str) -> int:
    base = pool.balances[i if exact == "in" else j]
    drawn = draw.random()
    if drawn < 0.35:
        return max(1, int(base * draw.uniform(0, 0.31)))
    if drawn < 0.6:
        return max(1, int(base * 10 ** draw.uniform(-14, 0)))
    if drawn < 0.75:  # the limit of 30 %, before and after the fee
        return near(
            draw, draw.choice([base * 3 // 10, base * 3 * ONE // 10 // (ONE - pool.swap_fee)])
        )
    if drawn < 0.85:
        return draw.randint(1, 3)
    return length_uniform(draw, 256 if drawn > 0.95 else 114)


def a_fee(draw: random.Random) -> int:
    return draw.choice([0, 10**12, 10**14, 3 * 10**15, 10**17, draw.randint(1, 10**17), ONE - 1])


def some_weights(draw: random.Random, n: int) -> tuple[int, ...]:
    if n == 2:
        percent = draw.choice([1, 20, 33, 50, 67, 80, 99, draw.randint(1, 99)])
        weights = [percent * ONE // 100, ONE - percent * ONE // 100]
        if draw.random() < 0.1:
            weights = [ONE // 3, ONE - ONE // 3]
        return tuple(weights)
    if n == 4 and draw.random() < 0.3:
        return (4 * ONE // 10, 2 * ONE // 10, ONE // 10, 3 * ONE // 10)  # ratios of 2 and 4
    drawn = [draw.random() ** 3 + 0.01 for _ in range(n)]
    return tuple(max(1, int(ONE * part / sum(drawn))) for part in drawn)


def a_weighted_swap(draw: random.Random) -> Swap:
    n = draw.choice([2, 2, 2, 3, 4, 8])
    decimals = [draw.choice([18, 18, 6, 8, 2, 0]) for _ in range(n)]
    pool = balancer.Pool(
        tuple(a_balance(draw, places) for places in decimals),
        tuple(10 ** (36 - places) for places in decimals),
        a_fee(draw),
        some_weights(draw, n),
        pow_shortcuts=draw.random() < 0.8,
    )
    i, j = draw.sample(range(n), 2)
    exact = draw.choice(["in", "out"])
    return Swap(pool, i, j, cast(Exact, exact), an_amount(draw, pool, i, j, exact))


def a_stable_swap(draw: random.Random) -> Swap:
    n = draw.randint(2, 5)
    decimals = [draw.choice([18, 18, 6, 8, 2]) for _ in range(n)]
    rates = [draw.choice([ONE, ONE, draw.randint(ONE // 10, 10 * ONE)]) for _ in range(n)]
    if draw.random() < 0.05:
        rates[0] = length_uniform(draw, 188)
    level = 10 ** draw.uniform(0, 10)
    if draw.random() < 0.7:
        balances = [
            max(1, min(balancer.UINT112_MAX, int(level * 10**places * draw.uniform(0.1, 9))))
            for places in decimals
        ]
    else:
        balances = [a_balance(draw, places) for places in decimals]
    factors = [10 ** (18 - p) * rate for p, rate in zip(decimals, rates, strict=True)]
    bpt_index = None
    if draw.random() < 0.7:
        bpt_index = draw.randint(0, n)
        balances.insert(bpt_index, 1 << 111)
        factors.insert(bpt_index, ONE)
    pool = balancer.Pool(
        tuple(balances),
        tuple(factors),
        a_fee(draw),
        amp=1000 * draw.choice([1, 2, 50, 200, 5000, draw.randint(1, 5000)]),
        bpt_index=bpt_index,
        invariant_round_up=draw.random() < 0.3,
    )
    i, j = draw.sample([k for k in range(len(balances)) if k != bpt_index], 2)
    exact = draw.choice(["in", "out"])
    return Swap(pool, i, j, cast(Exact, exact), an_amount(draw, pool, i, j, exact))


SWAPS = {"weighted": a_weighted_swap, "stable": a_stable_swap}
WEIGHTED = st.randoms(use_true_random=False).map(a_weighted_swap)
STABLE = st.randoms(use_true_random=False).map(a_stable_swap)


# ---- exactness ----


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("weighted", {"ok", "BAL#003", "BAL#304", "BAL#305", "BAL#526"}),
        ("stable", {"ok", "BAL#001", "BAL#003", "BAL#321", "BAL#526"}),
    ],
)
def test_quotes_are_the_contracts_on_seeded_pools(kind: str, codes: set[str]) -> None:
    draw = random.Random(f"balancer {kind}")
    met = Counter(agree(SWAPS[kind](draw)) for _ in range(SEEDED))
    assert met["ok"] > SEEDED // 3
    assert codes <= set(met), met


@settings(max_examples=300)
@given(WEIGHTED)
def test_weighted_quotes_are_the_contracts(swap: Swap) -> None:
    agree(swap)


@settings(max_examples=300)
@given(STABLE)
def test_stable_quotes_are_the_contracts(swap: Swap) -> None:
    agree(swap)


def log_uniform(bits: int) -> st.SearchStrategy[int]:
    return st.integers(1, bits).flatmap(lambda n: st.integers((1 << n) >> 1, (1 << n) - 1))


BASES = st.one_of(
    st.integers(769 * 10**15, 143 * 10**16),  # what swaps raise
    st.integers(ONE - 10**12, ONE + 10**12),
    log_uniform(256),
)
EXPONENTS = st.one_of(st.integers(1, 100 * ONE), log_uniform(68), log_uniform(192))


@settings(max_examples=1000)
@given(BASES, EXPONENTS)
def test_powers_are_the_contracts(x: int, y: int) -> None:
    try:
        expected: int | None = balancer.power(x, y)
    except balancer.Revert:
        expected = None
    assert log_exp.power(x, y) == expected


@settings(max_examples=1000)
@given(st.integers(balancer.MIN_NATURAL_EXPONENT, balancer.MAX_NATURAL_EXPONENT))
def test_exponentials_are_the_contracts(x: int) -> None:
    assert log_exp.exp(x) == balancer.exp(x)


@settings(max_examples=1000)
@given(log_uniform(255))
def test_logarithms_are_the_contracts(x: int) -> None:
    assert log_exp.ln(x) == balancer.ln(x)


# ---- invariants ----


def scaled(pool: Pool) -> list[int]:
    fields = pool.fields()
    return [
        balance * factor // ONE
        for k, (balance, factor) in enumerate(
            zip(fields["balances"], fields["scaling_factors"], strict=True)
        )
        if k != fields.get("bpt_index")
    ]


def ample(draw: random.Random, weighted: bool) -> tuple[Pool, int, int, int]:
    """A pool with enough of everything, two tokens and an input of at most a tenth."""
    while True:
        swap = SWAPS["weighted" if weighted else "stable"](draw)
        pool = swap.pool
        kernel = Pool(pool.kind, pool.fields())
        level = scaled(kernel)
        raw = (pool.balances[swap.token_in], pool.balances[swap.token_out])
        if min(raw) < 10**9 or max(raw) > 1 << 110 or pool.swap_fee > 10**17:
            continue
        if weighted or (min(level) * 100 > max(level) and min(level) > 10**12):
            amount = int(raw[0] * 10 ** draw.uniform(-7, -1))
            return kernel, swap.token_in, swap.token_out, amount


@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "stable"])
def test_a_round_trip_never_gains(weighted: bool) -> None:
    draw = random.Random(7)
    for _ in range(500):
        pool, i, j, amount = ample(draw, weighted)
        there = pool.apply(i, amount, token_out=j)
        if not isinstance(there, Quote) or there.amount_out == 0:
            continue
        back = pool.quote(j, there.amount_out, token_out=i)
        assert not isinstance(back, Quote) or back.amount_out <= amount


def log_of_invariant(pool: Pool) -> Decimal:
    """Of a weighted pool: the logarithm of the product of balance ** weight."""
    with localcontext() as context:
        context.prec = 60
        weights = pool.fields()["weights"]
        pairs = zip(scaled(pool), weights, strict=True)
        return sum((Decimal(balance).ln() * weight for balance, weight in pairs), Decimal(0))


@pytest.mark.parametrize("exact", ["in", "out"])
def test_a_swap_never_lowers_the_weighted_invariant(exact: Exact) -> None:
    draw = random.Random(8)
    for _ in range(300):
        pool, i, j, amount = ample(draw, weighted=True)
        before = log_of_invariant(pool)
        amount = amount if exact == "in" else max(1, pool.fields()["balances"][j] // amount)
        if isinstance(pool.apply(i, amount, exact, token_out=j), Quote):
            assert log_of_invariant(pool) >= before


@pytest.mark.parametrize("exact", ["in", "out"])
def test_a_swap_never_lowers_the_stable_invariant(exact: Exact) -> None:
    """But for what Newton's last step may be off at either end."""
    draw = random.Random(10)
    for _ in range(300):
        pool, i, j, amount = ample(draw, weighted=False)
        amp = pool.fields()["amp"]
        before = balancer.invariant(amp, scaled(pool))
        amount = amount if exact == "in" else max(1, pool.fields()["balances"][j] // 100)
        if isinstance(pool.apply(i, amount, exact, token_out=j), Quote):
            assert balancer.invariant(amp, scaled(pool)) >= before - 4


@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "stable"])
def test_marginal_prices_bound_small_swaps(weighted: bool) -> None:
    """Between the prices before and after a swap lies what it pays, but for the 1e-14 margin."""
    draw = random.Random(9)
    checked = 0
    for _ in range(1000):
        pool, i, j, _ = ample(draw, weighted)
        amount = pool.fields()["balances"][i] // 10_000
        quote = pool.quote(i, amount, token_out=j)
        if not isinstance(quote, Quote) or min(amount, quote.amount_out) < 10**7:
            continue
        before, paid = pool.marginal_price(i, j), quote.amount_out / amount
        assert quote.price_after * (1 - 1e-6) < paid < before * (1 + 1e-6)
        assert quote.price_after < before * (1 + 1e-9)
        assert quote.price_after > before * 0.98
        checked += 1
    assert checked > 300
