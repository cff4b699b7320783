"""Solidly and Camelot V2 invariants on random pairs, against the contracts in Python integers."""

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool, Quote, Refused
from tests.oracle import solidly
from tests.oracle.solidly import Pair, Revert

UINT112_BITS, WORD_BITS = 112, 256


def log_uniform(low_bits: int, high_bits: int) -> st.SearchStrategy[int]:
    """Integers whose length, rather than value, is uniform."""
    return st.integers(low_bits, high_bits).flatmap(
        lambda bits: st.integers((1 << bits) >> 1, (1 << bits) - 1)
    )


@st.composite
def pairs(draw: st.DrawFn, wild: bool = True) -> Pair:
    """Any pair that its contract can hold; not `wild`: near par, 1,000 to 10**9 tokens deep."""
    kind = draw(st.sampled_from(["solidly", "camelot_v2"]))
    powers = st.sampled_from([6, 8, 18]) if not wild else st.integers(0, 30)
    decimals = (10 ** draw(powers), 10 ** draw(powers))
    bits = UINT112_BITS if kind == "camelot_v2" else draw(st.sampled_from([112, 140, WORD_BITS]))
    if wild and draw(st.booleans()):
        reserves = (draw(log_uniform(0, bits)), draw(log_uniform(0, bits)))
    else:
        depth = draw(log_uniform(10, 30))
        skews = (draw(st.integers(300, 3000)), draw(st.integers(300, 3000)))
        highest = (1 << bits) - 1
        reserves = (
            min(depth * decimals[0] * skews[0] // 1000, highest),
            min(depth * decimals[1] * skews[1] // 1000, highest),
        )
    if kind == "solidly":
        fees = (draw(st.sampled_from([0, 1, 5, 30, 300])),) * 2
        return Pair(
            kind, draw(st.booleans()), reserves, decimals, fees, 0, draw(st.sampled_from("kf"))
        )
    fee = st.integers(1, 2000)
    share = draw(st.sampled_from([0, 1, 40_000, 100_000]))
    return Pair(kind, draw(st.booleans()), reserves, decimals, (draw(fee), draw(fee)), share)


AMOUNTS = st.one_of(log_uniform(1, 100), log_uniform(1, 120), log_uniform(1, WORD_BITS))
TOKENS = st.integers(0, 1)


def executed(pair: Pair, token_in: int, amount: int) -> solidly.Swapped | None:
    try:
        return solidly.swap(pair, token_in, amount)
    except Revert:
        return None


def check(pair: Pair, token_in: int, amount: int) -> bool:
    """The kernel's answer is the contract's; whether it is an amount."""
    quote = Pool(pair.kind, pair.fields()).quote(token_in, amount)
    expected = executed(pair, token_in, amount)
    case = (pair, token_in, amount)
    if expected is None:
        assert isinstance(quote, Refused), case
        return False
    assert isinstance(quote, Quote), (case, quote)
    assert (quote.amount_in, quote.amount_out) == (amount, expected.amount_out), case
    assert (quote.after["reserve0"], quote.after["reserve1"]) == expected.reserves, case
    return True


@settings(max_examples=800)
@given(pairs(), TOKENS, AMOUNTS)
def test_a_quote_is_what_the_contract_pays_or_a_refusal(
    pair: Pair, token_in: int, amount: int
) -> None:
    check(pair, token_in, amount)


def seeded(kind: str, source: random.Random) -> tuple[Pair, list[int]]:
    """A pair and amounts, from dust to the limits of the types."""
    bits = UINT112_BITS if kind == "camelot_v2" else source.choice([112, 112, 140, WORD_BITS])
    decimals = [10 ** source.choice([0, 2, 6, 8, 18, 18, 24, source.randint(0, 77)]) for _ in "01"]
    if source.random() < 0.7:
        depth = 10 ** source.uniform(-3, 10)
        reserves = [int(depth * 10 ** source.uniform(-2, 2) * unit) for unit in decimals]
        reserves = [min(reserve, (1 << bits) - 1) for reserve in reserves]
    else:
        reserves = [source.getrandbits(source.randint(1, bits)) for _ in "01"]
    both = (reserves[0], reserves[1]), (decimals[0], decimals[1])
    if kind == "solidly":
        fees = (source.choice([0, 1, 5, 30, 300, 9999]),) * 2
        pair = Pair(kind, source.random() < 0.8, *both, fees, 0, source.choice("kf"))
    else:
        fees = (source.randint(0, 2000), source.choice([1, 300, 99_999]))
        share = source.choice([0, 40_000, 100_000])
        pair = Pair(kind, source.random() < 0.8, *both, fees, share)
    amounts = [source.randint(1, 9), source.getrandbits(source.randint(1, 256)) + 1]
    amounts += [int(min(reserves) * 10 ** source.uniform(-8, 1)) + 1 for _ in range(2)]
    return pair, [min(amount, (1 << WORD_BITS) - 1) for amount in amounts]


@pytest.mark.parametrize("kind", ["solidly", "camelot_v2"])
def test_thousands_of_seeded_swaps_equal_the_contract(kind: str) -> None:
    source = random.Random(19)
    paid = total = 0
    for _ in range(5000):
        pair, amounts = seeded(kind, source)
        for amount in amounts:
            paid += check(pair, source.randint(0, 1), amount)
            total += 1
    assert total / 4 < paid < total * 3 / 4


@settings(max_examples=300)
@given(pairs(wild=False), TOKENS, log_uniform(1, 100))
def test_k_never_falls(pair: Pair, token_in: int, amount: int) -> None:
    quote = Pool(pair.kind, pair.fields()).quote(token_in, amount)
    if isinstance(quote, Quote):
        after = (quote.after["reserve0"], quote.after["reserve1"])
        assert solidly.k(pair.stable, *after, pair.decimals) >= solidly.k(
            pair.stable, *pair.reserves, pair.decimals
        )


@settings(max_examples=300)
@given(pairs(wild=False), TOKENS, log_uniform(1, 100))
def test_swapping_back_never_gains(pair: Pair, token_in: int, amount: int) -> None:
    pool = Pool(pair.kind, pair.fields())
    there = pool.apply(token_in, amount)
    if isinstance(there, Quote):
        back = pool.quote(1 - token_in, there.amount_out)
        assert isinstance(back, Refused) or back.amount_out <= amount


@settings(max_examples=300)
@given(pairs(wild=False), TOKENS, log_uniform(1, 100))
def test_what_leaves_the_pair_is_the_output_and_its_fees(
    pair: Pair, token_in: int, amount: int
) -> None:
    quote = Pool(pair.kind, pair.fields()).quote(token_in, amount)
    if not isinstance(quote, Quote):
        return
    moved = [quote.after[f"reserve{i}"] - pair.reserves[i] for i in (0, 1)]
    assert moved[1 - token_in] == -quote.amount_out
    if pair.kind == "solidly":
        assert moved[token_in] == amount - amount * pair.fees[token_in] // 10_000
    else:
        share = pair.owner_fee_share if pair.stable else 0
        assert moved[token_in] == amount - amount * share * pair.fees[token_in] // 10**10


@settings(max_examples=300)
@given(pairs(wild=False), TOKENS, log_uniform(1, 100))
def test_the_price_after_is_the_marginal_price_of_the_state_after(
    pair: Pair, token_in: int, amount: int
) -> None:
    pool = Pool(pair.kind, pair.fields())
    before = pool.marginal_price(token_in)
    quote = pool.apply(token_in, amount)
    if isinstance(quote, Quote):
        assert quote.price_after == pytest.approx(pool.marginal_price(token_in), rel=1e-12)
        assert quote.price_after <= before * (1 + 1e-9)
        # the fee is rounded down, by less than one wei in; getAmountOut is off by one or two out
        free = before / (1 - pair.fees[token_in] / (10_000 if pair.kind == "solidly" else 100_000))
        assert quote.amount_out <= (amount * before + free) * (1 + 1e-9) + 2


@settings(max_examples=200)
@given(pairs(wild=False), TOKENS)
def test_prices_of_both_directions_multiply_to_the_fees(pair: Pair, token_in: int) -> None:
    assume(min(pair.reserves) > 0)
    free = Pool(pair.kind, replace(pair, fees=(0, 0)).fields())
    assert free.marginal_price(0) * free.marginal_price(1) == pytest.approx(1, rel=1e-12)
    kept = 1 - pair.fees[token_in] / (10_000 if pair.kind == "solidly" else 100_000)
    charged = Pool(pair.kind, pair.fields()).marginal_price(token_in)
    assert charged == pytest.approx(free.marginal_price(token_in) * kept, rel=1e-12)


@settings(max_examples=200)
@given(pairs(), TOKENS, AMOUNTS)
def test_there_is_no_exact_output(pair: Pair, token_in: int, amount: int) -> None:
    quote = Pool(pair.kind, pair.fields()).quote(token_in, amount, "out")
    assert quote == Refused("UNSUPPORTED")
