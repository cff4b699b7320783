"""V2 invariants on random pairs, against the definition in tests/oracle/univ2.py."""

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool, Quote, Refused
from tests.oracle import univ2


def log_uniform(low_bits: int, high_bits: int) -> st.SearchStrategy[int]:
    """Integers whose length, rather than value, is uniform."""
    return st.integers(low_bits, high_bits).flatmap(
        lambda bits: st.integers((1 << bits) >> 1, (1 << bits) - 1)
    )


# Around 2**107 the arithmetic changes its width.
EDGES = [1, 2, (1 << 44) - 1, 1 << 44, (1 << 107) - 1, 1 << 107, univ2.UINT112_MAX]
RESERVES = st.one_of(log_uniform(1, 112), st.sampled_from(EDGES))
AMOUNTS = st.one_of(log_uniform(1, 116), log_uniform(1, 256))
FEES = st.one_of(st.sampled_from([0, 1, 2000, 2500, 3000, 999_999]), st.integers(0, 999_999))


@dataclass(frozen=True)
class Pair:
    reserve_in: int
    reserve_out: int
    fee_pips: int
    token_in: int

    def pool(self) -> Pool:
        reserves = (self.reserve_in, self.reserve_out)[:: 1 if self.token_in == 0 else -1]
        return Pool(
            "uniswap_v2",
            {"fee_pips": self.fee_pips, "reserve0": reserves[0], "reserve1": reserves[1]},
        )

    def accepts(self, amount_in: int, amount_out: int) -> bool:
        return univ2.accepts(
            self.reserve_in, self.reserve_out, self.fee_pips, amount_in, amount_out
        )


PAIRS = st.builds(Pair, RESERVES, RESERVES, FEES, st.integers(0, 1))


@settings(max_examples=400, deadline=None)
@given(PAIRS, AMOUNTS)
def test_exact_in_is_the_most_that_k_allows(pair: Pair, amount: int) -> None:
    quote = pair.pool().quote(pair.token_in, amount)
    most = univ2.largest_output(pair.reserve_in, pair.reserve_out, pair.fee_pips, amount)
    if isinstance(quote, Refused):
        assert most is None
        return
    assert (quote.amount_in, quote.amount_out) == (amount, most)
    assert pair.accepts(amount, quote.amount_out)
    assert not pair.accepts(amount, quote.amount_out + 1)


@settings(max_examples=400, deadline=None)
@given(PAIRS, AMOUNTS)
def test_exact_out_is_the_least_that_k_allows(pair: Pair, amount: int) -> None:
    quote = pair.pool().quote(pair.token_in, amount, "out")
    least = univ2.smallest_input(pair.reserve_in, pair.reserve_out, pair.fee_pips, amount)
    if isinstance(quote, Refused):
        assert least is None
        return
    assert (quote.amount_in, quote.amount_out) == (least, amount)
    assert not pair.accepts(quote.amount_in - 1, amount)


def random_size(source: random.Random) -> int:
    if source.random() < 0.1:
        return source.choice(EDGES)
    return source.getrandbits(source.randint(1, 112)) or 1


def test_k_holds_and_one_wei_more_breaks_it() -> None:
    source = random.Random(1)
    quoted = 0
    for _ in range(20000):
        fee_pips = source.choice([0, 1, 2500, 3000, 999_999, source.randrange(1_000_000)])
        pair = Pair(random_size(source), random_size(source), fee_pips, source.randrange(2))
        pool, amount = pair.pool(), random_size(source)
        if source.random() < 0.3:
            amount = max(1, pair.reserve_out - source.choice((0, 1, 2, amount)))
        paid = pool.quote(pair.token_in, amount)
        if isinstance(paid, Quote):
            quoted += 1
            assert pair.accepts(amount, paid.amount_out), (pair, amount)
            assert not pair.accepts(amount, paid.amount_out + 1), (pair, amount)
        asked = pool.quote(pair.token_in, amount, "out")
        if isinstance(asked, Quote):
            quoted += 1
            assert pair.accepts(asked.amount_in, amount), (pair, amount)
            assert not pair.accepts(asked.amount_in - 1, amount), (pair, amount)
    assert quoted > 20000


@settings(max_examples=300, deadline=None)
@given(PAIRS, log_uniform(1, 112), log_uniform(1, 112))
def test_splitting_a_swap_never_pays_more(pair: Pair, first: int, second: int) -> None:
    whole = pair.pool().quote(pair.token_in, first + second)
    pool = pair.pool()
    parts = [pool.apply(pair.token_in, amount) for amount in (first, second)]
    if isinstance(whole, Quote):
        paid = sum(part.amount_out for part in parts if isinstance(part, Quote))
        assert paid <= whole.amount_out


@settings(max_examples=300, deadline=None)
@given(PAIRS, log_uniform(1, 112))
def test_swapping_back_never_gains(pair: Pair, amount: int) -> None:
    pool = pair.pool()
    there = pool.apply(pair.token_in, amount)
    if isinstance(there, Quote):
        back = pool.quote(1 - pair.token_in, there.amount_out)
        assert isinstance(back, Refused) or back.amount_out <= amount


@settings(max_examples=300, deadline=None)
@given(PAIRS, log_uniform(1, 112))
def test_reserves_move_by_the_amounts(pair: Pair, amount: int) -> None:
    pool = pair.pool()
    before = pool.fields()
    quote = pool.apply(pair.token_in, amount)
    if isinstance(quote, Quote):
        moved = [pool.fields()[name] - before[name] for name in ("reserve0", "reserve1")]
        assert moved[pair.token_in] == quote.amount_in
        assert moved[1 - pair.token_in] == -quote.amount_out
        assert (
            pool.marginal_price(pair.token_in) == quote.price_after
            or abs(pool.marginal_price(pair.token_in) / quote.price_after - 1) < 1e-14
        )
