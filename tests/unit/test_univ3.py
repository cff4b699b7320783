"""The V3 kernel: recorded swaps, word ends, boundary ticks, partial fills, refusals, kinds."""

import random
from pathlib import Path
from typing import Any

import pytest

from mevfast import verify
from mevfast._math import get_sqrt_ratio_at_tick, get_tick_at_sqrt_ratio
from mevfast._pool import Pool, Quote, Refused
from mevfast.errors import DataError
from tests.oracle import harness, univ3

VECTORS = Path(__file__).parents[1] / "vectors"
L = 10**18
FULL_RANGE: dict[str, Any] = {
    "fee_pips": 3000,
    "tick_spacing": 60,
    "sqrt_price_x96": 1 << 96,
    "tick": 0,
    "liquidity": L,
    "ticks": [[-887220, L], [887220, -L]],
}
EMPTY = FULL_RANGE | {"liquidity": 0, "ticks": []}


def quoted(state: dict[str, Any], *arguments: Any, kind: str = "uniswap_v3") -> Quote:
    quote = Pool(kind, state).quote(*arguments)
    assert isinstance(quote, Quote), quote
    return quote


def expect_oracle(
    state: dict[str, Any],
    token_in: int,
    amount: int,
    exact: str,
    limit: int | None = None,
    *,
    kind: str = "uniswap_v3",
) -> Quote:
    """The kernel's quote, after it has been compared with the oracle's in every field."""
    quote = quoted(state, token_in, amount, exact, limit, kind=kind)
    expected = univ3.swap(
        kind=kind,
        **{k: v for k, v in state.items() if k != "ticks"},
        ticks=dict(state["ticks"]),
        zero_for_one=token_in == 0,
        exact_in=exact == "in",
        amount=amount,
        limit=limit,
    )
    actual = univ3.Swapped(quote.amount_in, quote.amount_out, **quote.after)
    assert actual == expected
    return quote


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("uniswap_v3", 432),
        ("pancake_v3", 930),
        ("algebra_v1", 612),
        ("algebra_integral", 626),
        ("algebra_v2_limitorders", 395),
        ("uniswap_v4", 748),
    ],
)
def test_recorded_swaps(name: str, cases: int) -> None:
    result = verify.replay(verify.load(str(VECTORS / f"{name}.json")))
    assert result.cases == cases
    assert not result.mismatches


@pytest.mark.parametrize("exact", ["in", "out"])
@pytest.mark.parametrize("token_in", [0, 1])
def test_full_range_stops_at_every_empty_word(token_in: int, exact: str) -> None:
    quote = expect_oracle(FULL_RANGE, token_in, 1 << 250, exact)
    specified = quote.amount_in if exact == "in" else quote.amount_out
    assert 0 < specified < 1 << 250, "a partial fill"
    assert quote.after["liquidity"] == 0
    assert quote.price_after == 0.0


def test_rounding_at_word_ends_shows() -> None:
    """One step over the same range would take less: the contract rounds up at each word's end."""
    goal = univ3.sqrt_ratio_at_tick(-60000)
    quote = quoted(FULL_RANGE, 0, 1 << 250, "in", goal)
    amount = univ3.amount0_delta(1 << 96, goal, L, True)
    in_one_step = amount + -(-amount * 3000 // 997000)
    assert quote.amount_in > in_one_step


@pytest.mark.parametrize("token_in", [0, 1])
@pytest.mark.parametrize("spacing", [1, 60])
@pytest.mark.parametrize("tick", [-70000, -61441, -15360, -1, 0, 59, 15300, 15359, 15360, 70001])
def test_without_liquidity_the_price_runs_to_the_limit(
    tick: int, spacing: int, token_in: int
) -> None:
    price = univ3.sqrt_ratio_at_tick(tick)
    state = EMPTY | {"sqrt_price_x96": price, "tick": tick, "tick_spacing": spacing}
    sign = -1 if token_in == 0 else 1
    for distance in (1, 255 * spacing, 256 * spacing, 257 * spacing, 1000 * spacing + 7):
        for nudge in (-1, 0, 1):
            limit = univ3.sqrt_ratio_at_tick(tick + sign * distance) + nudge
            if (limit < price) if token_in == 0 else (limit > price):
                expect_oracle(state, token_in, 5, "in", limit)


@pytest.mark.parametrize("token_in", [0, 1])
def test_liquidity_is_found_beyond_empty_words(token_in: int) -> None:
    far = 61440 if token_in else -61440  # a word's first tick, four words away
    for shift in (-60, 0, 60):
        ends = sorted((far + shift, far + shift + (1200 if token_in else -1200)))
        state = EMPTY | {"ticks": [[ends[0], L], [ends[1], -L]]}
        quote = expect_oracle(state, token_in, 10**12, "in")
        assert quote.amount_in == 10**12
        assert quote.after["liquidity"] == L


@pytest.mark.parametrize("nudge", [-1, 0, 1])
def test_tick_after_a_stop_on_a_crossed_tick(nudge: int) -> None:
    state = FULL_RANGE | {"ticks": [[-887220, L], [-60, L // 2], [120, -L // 2], [887220, -L]]}
    state["liquidity"] = L + L // 2
    edge = univ3.sqrt_ratio_at_tick(-60)
    to_edge = quoted(state, 0, 1 << 250, "in", edge).amount_in
    quote = expect_oracle(state, 0, to_edge + nudge, "in")
    if nudge == 0:
        assert quote.after == {"sqrt_price_x96": edge, "tick": -61, "liquidity": L}
    after = state | quote.after
    for token_in in (0, 1):  # and from there on in either direction
        expect_oracle(after, token_in, 10**15, "in")
        expect_oracle(after, token_in, 10**15, "out")


@pytest.mark.parametrize(
    ("changes", "token_in", "amount", "limit", "reason"),
    [
        ({}, 0, 0, None, "ZERO_AMOUNT"),
        ({}, 0, (1 << 255) + 1, None, "OVERFLOW"),
        ({"sqrt_price_x96": 0}, 0, 1, None, "NO_LIQUIDITY"),
        ({}, 0, 1, 1 << 96, "PRICE_LIMIT"),
        ({}, 1, 1, 1 << 96, "PRICE_LIMIT"),
        ({}, 0, 1, (1 << 96) + 1, "PRICE_LIMIT"),
        ({}, 1, 1, (1 << 96) - 1, "PRICE_LIMIT"),
        ({}, 0, 1, univ3.MIN_SQRT_RATIO, "PRICE_LIMIT"),
        ({}, 1, 1, univ3.MAX_SQRT_RATIO, "PRICE_LIMIT"),
        ({}, 1, 1, (1 << 256) - 1, "PRICE_LIMIT"),
        # Liquidity that the ticks below contradict: the contract's LS.
        ({"ticks": [[-60, L + 1]]}, 0, 1 << 200, None, "OVERFLOW"),
    ],
)
def test_refusals(
    changes: dict[str, Any], token_in: int, amount: int, limit: int | None, reason: str
) -> None:
    for exact in ("in", "out"):
        quote = Pool("uniswap_v3", FULL_RANGE | changes).quote(token_in, amount, exact, limit)
        assert quote == Refused(reason)


def test_marginal_price_is_out_per_in_after_the_fee() -> None:
    state = FULL_RANGE | {"sqrt_price_x96": univ3.sqrt_ratio_at_tick(10000), "tick": 10000}
    pool = Pool("uniswap_v3", state)
    assert pool.marginal_price(0) == pytest.approx(1.0001**10000 * 0.997, rel=1e-12)
    assert pool.marginal_price(1) == pytest.approx(1.0001**-10000 * 0.997, rel=1e-12)
    assert Pool("uniswap_v3", EMPTY).marginal_price(0) == 0.0
    quote = quoted(state, 0, 10**15)
    assert quote.price_after == pytest.approx(
        Pool("uniswap_v3", state | quote.after).marginal_price(0), rel=1e-15
    )


def test_apply_moves_the_state() -> None:
    pool = Pool("uniswap_v3", FULL_RANGE)
    quote = pool.apply(1, 10**15)
    assert isinstance(quote, Quote)
    assert pool.fields() == FULL_RANGE | quote.after


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ticks": None}, "ticks: expected a list"),
        ({"ticks": [[0]]}, r"ticks\[0\]: expected \[tick, liquidity_net\]"),
        ({"ticks": [[0, 1], ["x", 1]]}, r"ticks\[1\]\[0\]: expected an integer"),
        ({"ticks": [[61, 1]]}, r"ticks\[0\]\[0\]: expected a multiple of 60, was 61"),
        ({"ticks": [[60, 1], [60, 1]]}, r"ticks\[1\]\[0\]: expected every tick once"),
        ({"ticks": [[60, 1 << 127]]}, r"ticks\[0\]\[1\]: expected an integer in"),
        ({"ticks": [[887280, 1]]}, r"ticks\[0\]\[0\]: expected an integer in \[-887272, 887272\]"),
        ({"tick": 1}, "tick: expected the tick of sqrt_price_x96"),
        ({"tick": -2}, "tick: expected the tick of sqrt_price_x96"),
        ({"sqrt_price_x96": 1}, "sqrt_price_x96: expected 0"),
        ({"sqrt_price_x96": univ3.MAX_SQRT_RATIO}, "sqrt_price_x96: expected an integer in"),
        ({"tick_spacing": 0}, r"tick_spacing: expected an integer in \[1, 16383\], was 0"),
        ({"liquidity": 1 << 128}, "liquidity: expected an integer in"),
    ],
)
def test_malformed_states_name_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Pool("uniswap_v3", FULL_RANGE | changes)


def test_ticks_may_come_in_any_order() -> None:
    turned = FULL_RANGE | {"ticks": FULL_RANGE["ticks"][::-1]}
    assert Pool("uniswap_v3", turned).fields() == FULL_RANGE


ALGEBRA = FULL_RANGE | {"liquidity": 2 * L, "ticks": [[-887220, L], [-61, L], [887220, -2 * L]]}


def test_integral_passes_words_without_rounding() -> None:
    goal = univ3.sqrt_ratio_at_tick(-60000)
    amount = univ3.amount0_delta(1 << 96, goal, L, True)
    quote = expect_oracle(FULL_RANGE, 0, 1 << 250, "in", goal, kind="algebra_integral")
    assert quote.amount_in == amount + -(-amount * 3000 // 997000)
    # ticks of a spacing that was in force before may be left
    assert Pool("algebra_integral", ALGEBRA).fields() == ALGEBRA
    expect_oracle(ALGEBRA, 0, 10**17, "in", kind="algebra_integral")


@pytest.mark.parametrize("exact", ["in", "out"])
@pytest.mark.parametrize("token_in", [0, 1])
def test_integral_runs_to_the_ends_of_the_range(token_in: int, exact: str) -> None:
    ends = {"ticks": [[-887272, 0], [-887220, L], [887220, -L], [887272, 0]]}
    for ticks in ({}, ends, {"ticks": []}):
        expect_oracle(FULL_RANGE | ticks, token_in, 1 << 250, exact, kind="algebra_integral")


def test_algebra_v1_may_count_words_in_single_ticks() -> None:
    """Version 1.9 (Camelot V3): the bitmap does not know the spacing."""
    state = ALGEBRA | {"bitmap_spacing": 1}
    assert Pool("algebra_v1", state).fields() == state
    for token_in in (0, 1):
        other = expect_oracle(state, token_in, 10**17, "in", kind="algebra_v1")
        assert other != quoted(state, token_in, 10**17, kind="algebra_integral")
    with pytest.raises(DataError, match=r"ticks\[1\]\[0\]: expected a multiple of 60, was -61"):
        Pool("algebra_v1", ALGEBRA)


def test_fee_by_token_in() -> None:
    state = FULL_RANGE | {"fee_pips": [100, 20000]}
    pool = Pool("algebra_v1", state)
    assert pool.fields() == state
    for token_in in (0, 1):
        quote = expect_oracle(state, token_in, 10**15, "in", kind="algebra_v1")
        one_fee = FULL_RANGE | {"fee_pips": state["fee_pips"][token_in]}
        assert quote == quoted(one_fee, token_in, 10**15)
        assert pool.marginal_price(token_in) == Pool("uniswap_v3", one_fee).marginal_price(token_in)
    assert Pool("algebra_v1", state | {"fee_pips": [3000, "3000"]}).fields() == FULL_RANGE


@pytest.mark.parametrize(
    ("lp", "protocol", "paid"),
    [
        (3000, 0, (3000, 3000)),
        (3000, 1000 | 500 << 12, (3997, 3499)),  # 1000 + 3000 - 3, 500 + 3000 - 1.5 floored
        (0, 1000, (1000, 0)),
        (1, 1 << 12, (1, 2)),
        (1_000_000, 1000, (1_000_000, 1_000_000)),
    ],
)
def test_v4_protocol_fee_comes_first(lp: int, protocol: int, paid: tuple[int, int]) -> None:
    state = FULL_RANGE | {"fee_pips": lp, "protocol_fee": protocol}
    for token_in, fee in enumerate(paid):
        assert univ3.swap_fee(lp, protocol, token_in == 0) == fee
        quote = expect_oracle(state, token_in, 10**15, "in", kind="uniswap_v4")
        one_fee = FULL_RANGE | {"fee_pips": fee}
        assert quote == quoted(one_fee, token_in, 10**15, kind="uniswap_v4")
    fields = Pool("uniswap_v4", state).fields()
    assert fields == state if protocol else FULL_RANGE


@pytest.mark.parametrize("token_in", [0, 1])
def test_v4_fee_of_everything(token_in: int) -> None:
    state = FULL_RANGE | {"fee_pips": 1_000_000}
    quote = expect_oracle(state, token_in, 10**15, "in", kind="uniswap_v4")
    assert (quote.amount_in, quote.amount_out) == (10**15, 0)
    assert quote.after["sqrt_price_x96"] == 1 << 96
    assert Pool("uniswap_v4", state).quote(token_in, 10**15, "out") == Refused("NO_OUTPUT")
    empty = state | {"liquidity": 0, "ticks": [[-120, L], [-60, -L], [60, L], [120, -L]]}
    quote = expect_oracle(empty, token_in, 10**15, "in", kind="uniswap_v4")
    assert quote.amount_in == 10**15
    assert quote.after["liquidity"] == L


def test_v4_spacing_to_32767() -> None:
    state = FULL_RANGE | {"tick_spacing": 32767, "ticks": [[-27 * 32767, L], [27 * 32767, -L]]}
    for token_in in (0, 1):
        for exact in ("in", "out"):
            expect_oracle(state, token_in, 1 << 250, exact, kind="uniswap_v4")
    with pytest.raises(DataError, match=r"tick_spacing: expected an integer in \[1, 32767\]"):
        Pool("uniswap_v4", state | {"tick_spacing": 32768})


@pytest.mark.parametrize("token_in", [0, 1])
def test_v4_deltas_are_int128(token_in: int) -> None:
    deep = FULL_RANGE | {"fee_pips": 0, "liquidity": (1 << 128) - 1, "ticks": []}
    most_in, most_out = 1 << 127, (1 << 127) - 1
    for amount, exact in ((most_in, "in"), (1 << 126, "out")):
        expect_oracle(deep, token_in, amount, exact, kind="uniswap_v4")
    for amount, exact in ((most_in + 1, "in"), (most_out + 1, "out")):
        quote = Pool("uniswap_v4", deep).quote(token_in, amount, exact)
        assert quote == Refused("OVERFLOW")
    # the output may pass its limit although the input is below its own
    tick = 100_000 if token_in == 0 else -100_000
    steep = deep | {"sqrt_price_x96": univ3.sqrt_ratio_at_tick(tick), "tick": tick}
    assert Pool("uniswap_v4", steep).quote(token_in, 1 << 120) == Refused("OVERFLOW")


@pytest.mark.parametrize("kind", ["uniswap_v3", "algebra_v1", "algebra_integral", "uniswap_v4"])
def test_the_lowest_int256(kind: str) -> None:
    """The pool takes -2**255 for what it is, but for Algebra Integral."""
    for exact in ("in", "out"):
        allowed = kind != "algebra_integral" and (exact == "in") is (kind == "uniswap_v4")
        if allowed:
            expect_oracle(FULL_RANGE, 0, 1 << 255, exact, kind=kind)
        else:
            assert Pool(kind, FULL_RANGE).quote(0, 1 << 255, exact) == Refused("OVERFLOW")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("uniswap_v3", {"fee_pips": 1_000_000}, r"fee_pips: expected an integer in \[0, 999999\]"),
        ("uniswap_v4", {"fee_pips": 1_000_001}, r"fee_pips: expected an integer in \[0, 1000000\]"),
        ("algebra_v1", {"fee_pips": [1]}, "fee_pips: expected 2 entries, was 1"),
        ("algebra_v1", {"fee_pips": [1, -1]}, r"fee_pips\[1\]: expected an integer in"),
        ("uniswap_v4", {"protocol_fee": 1001}, "protocol_fee: .* 12 bits for token 0 in, was 1001"),
        ("uniswap_v4", {"protocol_fee": 1001 << 12}, "protocol_fee: .* token 1 in, was 1001"),
        ("uniswap_v4", {"protocol_fee": 1 << 24}, "protocol_fee: expected an integer in"),
        ("algebra_v1", {"bitmap_spacing": 0}, "bitmap_spacing: expected an integer in"),
    ],
)
def test_malformed_fees_and_spacings(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Pool(kind, FULL_RANGE | changes)


def test_fees_in_128_bits() -> None:
    rng = random.Random(7)
    fees = [0, 1, 100, 3000, 500_000, 999_998, 999_999] + [rng.randrange(10**6) for _ in range(200)]
    for fee in fees:
        for bits in (1, 20, 63, 64, 65, 100, 126, 128):
            amount = rng.getrandbits(bits) | rng.choice((0, 1 << (bits - 1)))
            kept = 10**6 - fee
            assert harness.call("LESS_FEE", amount, flag=fee)[1] == amount * kept // 10**6
            paid = amount + -(-amount * fee // kept)
            expected = min(paid, (1 << 128) - 1)
            assert harness.call("WITH_FEE", amount, flag=fee)[1] == expected


def test_ticks_of_prices_beside_them() -> None:
    """Every tick's own price, one below it, and prices at random between two."""
    rng = random.Random(3)
    for tick in range(univ3.MIN_TICK, univ3.MAX_TICK, 61):
        price, above = (get_sqrt_ratio_at_tick(t) for t in (tick, tick + 1))
        assert get_tick_at_sqrt_ratio(price) == tick
        assert get_tick_at_sqrt_ratio(above - 1) == tick
        assert get_tick_at_sqrt_ratio(rng.randrange(price, above)) == tick
        if tick > univ3.MIN_TICK:
            assert get_tick_at_sqrt_ratio(price - 1) == tick - 1
