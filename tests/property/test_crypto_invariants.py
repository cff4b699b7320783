"""CryptoSwap invariants on random pools, against the integers of tests/oracle/crypto.py."""

import random
from contextlib import suppress
from dataclasses import asdict, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool, Quote, Refused
from tests.oracle import crypto

WAD = 10**18
KINDS = {2: "curve_twocrypto_ng", 3: "curve_tricrypto_ng"}
RANGES = {  # of A * N**N * 1e4, and of gamma
    2: ((4_000, 40_000_000), (10**10, 199 * 10**15)),
    3: ((2_700, 270_000_000), (10**10, 5 * 10**16)),
}


def build(pool: crypto.Pool) -> Pool:
    """The kernel's pool of an oracle's one."""
    fields = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(pool).items()}
    return Pool(KINDS[pool.n], fields)


def log_uniform(rng: random.Random, low: int, high: int) -> int:
    """An integer of [low, high] whose length, rather than value, is about uniform."""
    bits = rng.randint(low.bit_length(), high.bit_length())
    return min(max(rng.randrange((1 << bits) >> 1, 1 << bits), low), high)


def draw_pool(rng: random.Random, *, spread: float = 2.0) -> crypto.Pool:
    """A pool whose d fits its balances, mostly; balances up to 2**`spread` off balance."""
    n = rng.choice((2, 3))
    amp, gamma = (log_uniform(rng, *limits) for limits in RANGES[n])
    version = rng.choice(("v2.0.0", "v2.1.0"))
    if n == 2 and version == "v2.0.0" and rng.random() < 0.9:
        gamma = min(gamma, 2 * 10**15)
    precisions = tuple(10 ** rng.choice((0, 0, 0, 10, 12, 18)) for _ in range(n))
    price_scale = tuple(log_uniform(rng, 10**6, rng.choice((10**24, 10**30))) for _ in range(n - 1))
    size = log_uniform(rng, 10**17, 10**33) // n
    balances = []
    for k in range(n):
        unit = precisions[k] * (WAD if k == 0 else price_scale[k - 1])
        x = int(size * 2 ** rng.uniform(-spread, spread))
        balances.append(max(x * WAD // unit, 1))
    mid_fee, out_fee = sorted(rng.choice((0, 1, 2_000_000, 45_000_000, 10**9)) for _ in range(2))
    pool = crypto.Pool(
        tuple(balances), precisions, price_scale, amp, gamma, 0, mid_fee, out_fee,
        fee_gamma=rng.choice((1, 10**10, 400_000_000_000_000, 10**16, 10**18)),
        version=version, ramping=rng.random() < 0.05,
    )  # fmt: skip
    pool = replace(pool, d=sum(pool.xp()))
    with suppress(crypto.Reverted):
        pool = replace(pool, d=pool.newton_d(pool.xp()))
    if rng.random() < 0.1:
        pool = replace(pool, d=max(pool.d * rng.randrange(900, 1100) // 1000, 1))
    with suppress(crypto.Reverted):
        if rng.random() < 0.5:
            known = replace(pool, total_supply=log_uniform(rng, 10**10, 10**30))
            pool = replace(known, virtual_price=known.share_price(pool.d))
    return pool


def draw_amount(rng: random.Random, pool: crypto.Pool, i: int) -> int:
    """From dust to far more than the curve takes."""
    if rng.random() < 0.02:
        return log_uniform(rng, 1, (1 << 256) - 1)
    most = max(pool.balances[i] * 1000, 10)
    if rng.random() < 0.6:
        return log_uniform(rng, max(pool.balances[i] // 10**6, 1), max(pool.balances[i], 2))
    return log_uniform(rng, 1, most)


def compare(pool: crypto.Pool, i: int, j: int, dx: int) -> str:
    """Asserts that the kernel answers as the oracle; what became of the swap."""
    quote = build(pool).quote(i, dx, token_out=j)
    try:
        dy, after = crypto.exchange(pool, i, j, dx)
    except crypto.Reverted as reverted:
        assert isinstance(quote, Refused), (pool, i, j, dx, quote, reverted)
        return str(reverted)
    assert isinstance(quote, Quote), (pool, i, j, dx, quote, dy)
    assert (quote.amount_in, quote.amount_out) == (dx, dy), (pool, i, j, dx)
    assert quote.after == {"balances": list(after.balances), "d": after.d}, (pool, i, j, dx)
    return "quoted"


def sides(rng: random.Random, pool: crypto.Pool) -> tuple[int, int]:
    i, j = rng.sample(range(pool.n), 2)
    return i, j


@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0, 8.0])
def test_quotes_are_the_contract_s_integers(spread: float) -> None:
    rng = random.Random(f"crypto {spread}")
    seen: dict[str, int] = {}
    for _ in range(3000):
        pool = draw_pool(rng, spread=spread)
        i, j = sides(rng, pool)
        answer = compare(pool, i, j, draw_amount(rng, pool, i))
        seen[answer] = seen.get(answer, 0) + 1
    assert seen["quoted"] > 300, seen
    assert len(seen) > 3, seen


def test_fields_without_any_relation_are_quoted_or_refused_alike() -> None:
    rng = random.Random("crypto unrelated")
    seen: dict[str, int] = {}
    for _ in range(4000):
        n = rng.choice((2, 3))
        high = rng.choice((10**18, 10**33, 10**40, (1 << 256) - 1))
        pool = crypto.Pool(
            tuple(log_uniform(rng, 1, high) for _ in range(n)),
            tuple(10 ** rng.randrange(0, 19) for _ in range(n)),
            tuple(log_uniform(rng, 1, 1 << 112) for _ in range(n - 1)),
            log_uniform(rng, 1, rng.choice((10**8, (1 << 128) - 1))),
            log_uniform(rng, 1, rng.choice((10**17, (1 << 128) - 1))),
            log_uniform(rng, 1, high),
            rng.randrange(10**10 + 1),
            rng.randrange(10**10 + 1),
            rng.randrange(10**18 + 1),
            version=rng.choice(("v2.0.0", "v2.1.0")),
            ramping=rng.random() < 0.5,
            total_supply=rng.choice((0, 1, log_uniform(rng, 1, (1 << 256) - 1))),
            virtual_price=rng.choice((0, 1, log_uniform(rng, 1, (1 << 256) - 1))),
        )
        i, j = sides(rng, pool)
        answer = compare(pool, i, j, log_uniform(rng, 1, high))
        seen[answer] = seen.get(answer, 0) + 1
    assert len(seen) > 5, seen


SEEDS = st.integers(0, 2**64)
REAL_POOLS = SEEDS.map(lambda seed: draw_pool(random.Random(seed), spread=1.0))


@settings(max_examples=300, deadline=None)
@given(REAL_POOLS, SEEDS)
def test_every_pool_is_quoted_as_by_the_oracle(pool: crypto.Pool, seed: int) -> None:
    rng = random.Random(seed)
    i, j = sides(rng, pool)
    compare(pool, i, j, draw_amount(rng, pool, i))


@settings(max_examples=300, deadline=None)
@given(REAL_POOLS, SEEDS)
def test_swapping_back_never_gains(pool: crypto.Pool, seed: int) -> None:
    rng = random.Random(seed)
    i, j = sides(rng, pool)
    # get_y and newton_D err by some 1e-17: no pool may take less than half a basis point
    fees = {name: max(getattr(pool, name), 500_000) for name in ("mid_fee", "out_fee")}
    fast = build(replace(pool, d=fitting_d(pool), ramping=False, **fees))
    there = fast.apply(i, max(pool.balances[i] // rng.choice((3, 100, 10**6)), 1), token_out=j)
    assume(isinstance(there, Quote) and there.amount_out > 0)
    assert isinstance(there, Quote)
    back = fast.quote(j, there.amount_out, token_out=i)
    assert isinstance(back, Refused) or back.amount_out <= there.amount_in


@settings(max_examples=300, deadline=None)
@given(REAL_POOLS, SEEDS)
def test_apply_moves_to_the_state_that_was_announced(pool: crypto.Pool, seed: int) -> None:
    rng = random.Random(seed)
    i, j = sides(rng, pool)
    fast, amount = build(pool), draw_amount(rng, pool, i)
    before = fast.fields()
    quote = fast.apply(i, amount, token_out=j)
    if isinstance(quote, Refused):
        assert fast.fields() == before
        return
    _, after = crypto.exchange(pool, i, j, amount)
    assert fast.fields() == build(after).fields()
    assert quote.price_after == fast.marginal_price(i, j)
    compare(after, j, i, max(quote.amount_out, 1))


def fitting_d(pool: crypto.Pool) -> int:
    """The invariant of the pool's balances."""
    try:
        return pool.newton_d(pool.xp())
    except crypto.Reverted:
        assume(False)
        raise


@settings(max_examples=300, deadline=None)
@given(REAL_POOLS, SEEDS)
def test_marginal_price_is_the_slope_of_the_invariant(pool: crypto.Pool, seed: int) -> None:
    i, j = sides(random.Random(seed), pool)
    assume(min(pool.xp()) > 10**12)
    pool = replace(pool, d=fitting_d(pool))
    price = build(pool).marginal_price(i, j)
    assert price == pytest.approx(crypto.marginal_price(pool, i, j), rel=1e-6)


@settings(max_examples=200, deadline=None)
@given(REAL_POOLS, SEEDS)
def test_small_swaps_pay_the_marginal_price(pool: crypto.Pool, seed: int) -> None:
    i, j = sides(random.Random(seed), pool)
    pool = replace(pool, d=fitting_d(pool), ramping=True)
    amount = pool.balances[i] // 10**9
    price = build(pool).marginal_price(i, j)
    assume(amount > 10**6 and amount * price > 10**6)
    quote = build(pool).quote(i, amount, token_out=j)
    assume(isinstance(quote, Quote))
    assert isinstance(quote, Quote)
    # d is good to 1e-14 of itself; a millionth of 1e-9 of it is 1e-15
    assert quote.amount_out / amount == pytest.approx(price, rel=1e-3)
