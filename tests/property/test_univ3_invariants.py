"""V3 invariants on random pools, against the slow walk in tests/oracle/univ3.py."""

from collections import defaultdict
from typing import Any, Literal

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mevfast._pool import Pool, Quote, Refused
from tests.oracle import univ3

State = dict[str, Any]
Exact = Literal["in", "out"]
EXACT = st.sampled_from(("in", "out"))
TOKENS = st.integers(0, 1)
FEES = {1: 100, 10: 500, 60: 3000, 200: 10000, 7: 0, 16383: 999_999}


@st.composite
def amounts(draw: st.DrawFn, most_bits: int = 130) -> int:
    bits = draw(st.integers(1, most_bits))
    return draw(st.integers((1 << bits) >> 1, (1 << bits) - 1))


@st.composite
def states(draw: st.DrawFn) -> State:
    """Up to 6 positions near a price that often sits on or beside an initialised tick."""
    spacing = draw(st.sampled_from(sorted(FEES)))
    lowest = -(univ3.MAX_TICK // spacing)
    centre = draw(st.integers(lowest, -lowest))
    reach = draw(st.sampled_from((3, 40, 600)))
    nets: defaultdict[int, int] = defaultdict(int)
    for _ in range(draw(st.integers(0, 6))):
        ends = [
            min(max(centre + draw(st.integers(-reach, reach)), lowest), -lowest) for _ in range(2)
        ]
        size = draw(amounts(110))
        if ends[0] != ends[1]:
            nets[min(ends) * spacing] += size
            nets[max(ends) * spacing] -= size
    ticks = sorted(nets.items())
    where = draw(st.integers(0, 3))
    if ticks and where < 2:
        tick = draw(st.sampled_from(ticks))[0]
    else:
        tick = centre * spacing + draw(st.integers(-spacing, spacing))
    tick = min(max(tick, univ3.MIN_TICK), univ3.MAX_TICK - 1)
    price = univ3.sqrt_ratio_at_tick(tick)
    if where == 1 and tick > univ3.MIN_TICK:
        tick -= 1  # stopped on a crossed tick on the way down
    elif where > 1:
        price += draw(st.integers(0, univ3.sqrt_ratio_at_tick(tick + 1) - price - 1))
    return {
        "fee_pips": FEES[spacing],
        "tick_spacing": spacing,
        "sqrt_price_x96": price,
        "tick": tick,
        "liquidity": sum(net for at, net in ticks if at <= tick),
        "ticks": [list(entry) for entry in ticks],
    }


@st.composite
def limits(draw: st.DrawFn, state: State, token_in: int) -> int:
    """A price limit on the right side of the price, at most a few words away."""
    span = min(300 * state["tick_spacing"], 40000)
    ends = sorted((state["tick"], state["tick"] + (span if token_in else -span)))
    tick = draw(st.integers(*ends))
    price = univ3.sqrt_ratio_at_tick(min(max(tick, univ3.MIN_TICK), univ3.MAX_TICK))
    price += draw(st.sampled_from((-1, 0, 1, 12345)))
    allowed = (
        univ3.MIN_SQRT_RATIO < price < state["sqrt_price_x96"]
        if token_in == 0
        else state["sqrt_price_x96"] < price < univ3.MAX_SQRT_RATIO
    )
    assume(allowed)
    return price


def oracle(
    state: State, token_in: int, amount: int, exact: Exact, limit: int | None
) -> univ3.Swapped | None:
    try:
        return univ3.swap(
            **{name: value for name, value in state.items() if name != "ticks"},
            ticks=dict(state["ticks"]),
            zero_for_one=token_in == 0,
            exact_in=exact == "in",
            amount=amount,
            limit=limit,
        )
    except univ3.Revert:
        return None


def kernel(
    state: State, token_in: int, amount: int, exact: Exact, limit: int | None = None
) -> univ3.Swapped | None:
    quote = Pool("uniswap_v3", state).quote(token_in, amount, exact, limit)
    if isinstance(quote, Refused):
        return None
    return univ3.Swapped(quote.amount_in, quote.amount_out, **quote.after)


@settings(max_examples=500, deadline=None)
@given(st.data(), states(), TOKENS, amounts(200), EXACT)
def test_quote_to_a_limit_equals_oracle(
    data: st.DataObject, state: State, token_in: int, amount: int, exact: Exact
) -> None:
    limit = data.draw(limits(state, token_in))
    assert kernel(state, token_in, amount, exact, limit) == oracle(
        state, token_in, amount, exact, limit
    )


@settings(max_examples=60, deadline=None)
@given(states().filter(lambda state: state["tick_spacing"] >= 60), TOKENS, amounts(254), EXACT)
def test_quote_without_a_limit_equals_oracle(
    state: State, token_in: int, amount: int, exact: Exact
) -> None:
    assert kernel(state, token_in, amount, exact) == oracle(state, token_in, amount, exact, None)


@settings(max_examples=200, deadline=None)
@given(states(), TOKENS, amounts())
def test_selling_the_cost_pays_what_was_bought(state: State, token_in: int, amount: int) -> None:
    """Not the other way round: a purchase may be taken to the end of a stretch, and cost more."""
    bought = kernel(state, token_in, amount, "out")
    assume(bought is not None and bought.amount_in > 0)
    assert bought is not None
    sold = kernel(state, token_in, bought.amount_in, "in")
    assert sold is not None
    assert sold.amount_out >= bought.amount_out


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(states(), TOKENS, amounts(), amounts())
def test_splitting_a_swap_never_pays_more(
    state: State, token_in: int, first: int, second: int
) -> None:
    whole = kernel(state, token_in, first + second, "in")
    assume(whole is not None and whole.amount_in == first + second)
    assert whole is not None
    pool = Pool("uniswap_v3", state)
    parts = [pool.apply(token_in, amount) for amount in (first, second)]
    paid = sum(part.amount_out for part in parts if isinstance(part, Quote))
    assert paid <= whole.amount_out


@settings(max_examples=200, deadline=None)
@given(states(), TOKENS, amounts())
def test_swapping_back_never_gains(state: State, token_in: int, amount: int) -> None:
    pool = Pool("uniswap_v3", state)
    there = pool.apply(token_in, amount)
    assume(isinstance(there, Quote) and there.amount_out > 0)
    back = pool.quote(1 - token_in, there.amount_out)  # type: ignore[union-attr]
    assert isinstance(back, Refused) or back.amount_out <= there.amount_in  # type: ignore[union-attr]


@settings(max_examples=200, deadline=None)
@given(states(), TOKENS, amounts(), EXACT)
def test_state_after_is_a_valid_state(
    state: State, token_in: int, amount: int, exact: Exact
) -> None:
    after = kernel(state, token_in, amount, exact)
    assume(after is not None)
    assert after is not None
    moved = state | {
        "sqrt_price_x96": after.sqrt_price_x96,
        "tick": after.tick,
        "liquidity": after.liquidity,
    }
    assert Pool("uniswap_v3", moved).fields() == moved
    assert after.liquidity == sum(net for tick, net in state["ticks"] if tick <= after.tick)
