"""A table taken back to a block is the table that never saw what came after it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._cache import Table
from tests import frames
from tests.frames import address
from tests.oracle.univ3 import sqrt_ratio_at_tick
from tests.pools import EXAMPLES, id_of, tokens_of

V2, V3 = address(1), address(2)
TOKENS = (address(3), address(4))
L = 10**18
V2_STATE = {"reserve0": 10**21, "reserve1": 10**12, "fee_pips": 3000}
V3_STATE = {
    "sqrt_price_x96": sqrt_ratio_at_tick(0),
    "liquidity": L,
    "tick": 0,
    "tick_spacing": 10,
    "fee_pips": 500,
    "ticks": [(-887270, L, L), (887270, L, -L)],
}
WHOLE = {kind: EXAMPLES[kind] for kind in EXAMPLES if kind not in ("uniswap_v2", "uniswap_v3")}
"""Kinds whose state an event replaces: here by one that differs in a balance or the price."""
SLOTS = (V2, V3, *(id_of(kind) for kind in WHOLE))


def other(kind: str, n: int) -> dict[str, Any]:
    """The example pool of a kind in another state."""
    state = dict(WHOLE[kind])
    if "balances" in state:
        state["balances"] = [balance + n for balance in state["balances"]]
    elif "reserve0" in state:
        state["reserve0"] += n
    else:
        state["liquidity"] += n
    return state


bound = st.integers(-12, 12).map(lambda i: 10 * i)
operation = st.one_of(
    st.tuples(st.just("sync"), st.integers(0, 2**112), st.integers(1, 2**100)),
    st.tuples(st.just("mint"), bound, bound, st.integers(1, 2**100)),
    st.tuples(st.just("burn"), st.integers(0, 100), st.sampled_from([1, 2])),
    st.tuples(st.just("burn"), st.integers(0, 100), st.just(1)),
    st.tuples(st.just("bad burn"), st.integers(0, 11)),
    st.tuples(st.just("swap"), st.integers(-130, 130), st.integers(0, 2**100)),
    st.tuples(st.just("whole"), st.sampled_from(sorted(WHOLE)), st.integers(1, 10**6)),
    st.tuples(st.just("put"), st.sampled_from((0, 1, 1, *range(len(SLOTS))))),
    st.tuples(st.just("next block"), st.integers(1, 3)),
)
Step = tuple[str, Any, int, int]
"""What to do ("frame", "whole", "put"), with what, in which block, at which log index."""


def filled(undo_bytes: int = 1 << 20) -> Table:
    table = Table(32, 4096, undo_bytes=undo_bytes)
    table.put(V2, "uniswap_v2", TOKENS, V2_STATE, 100)
    table.put(V3, "uniswap_v3", TOKENS, V3_STATE, 100)
    for kind, pool in WHOLE.items():
        table.put(id_of(kind), kind, tokens_of(kind), pool, 100)
    return table


def plan(actions: list[tuple[Any, ...]]) -> list[Step]:
    """The actions as events of a chain, each with its place; what cannot be is left out."""
    steps: list[Step] = []
    positions: list[tuple[int, int, int]] = []
    block, index = 101, 0
    for action in actions:
        where = {"block": block, "index": index}
        match action:
            case ("next block", n):
                block, index = block + n, 0
                continue
            case ("sync", reserve0, reserve1):  # 2**112 is malformed
                steps.append(
                    ("frame", frames.v2_sync(V2, reserve0, reserve1, **where), block, index)
                )
            case ("mint", lower, upper, amount) if lower < upper:
                positions.append((lower, upper, amount))
                frame = frames.v3_mint(V3, lower, upper, amount, **where)
                steps.append(("frame", frame, block, index))
            case ("burn", which, part) if positions:
                lower, upper, amount = positions.pop(which % len(positions))
                if part == 2 and amount > 1:
                    positions.append((lower, upper, amount - amount // 2))
                    amount //= 2
                frame = frames.v3_burn(V3, lower, upper, amount, **where)
                steps.append(("frame", frame, block, index))
            case ("bad burn", 0):  # now and then: no event moves the pool until it is put again
                frame = frames.v3_burn(V3, -500, 500, 1, **where)
                steps.append(("frame", frame, block, index))
            case ("swap", tick, liquidity):
                price = sqrt_ratio_at_tick(tick)
                frame = frames.v3_swap(V3, 1, -1, price, liquidity, tick, **where)
                steps.append(("frame", frame, block, index))
            case ("whole", kind, n):
                steps.append(("whole", (kind, n), block, index))
            case ("put", which):
                steps.append(("put", which, block, index))
                positions = [] if which == 1 else positions
                block, index = block + 1, 0  # what is read is true after the whole block
                continue
        index += 1
    return steps


def do(table: Table, step: Step) -> str:
    what, with_what, block, index = step
    if what == "frame":
        return table.apply(with_what)[0]
    if what == "whole":
        kind, n = with_what
        slot = table.slot(id_of(kind))
        assert slot is not None
        return table.overwrite(slot, other(kind, n), block, index)
    kind = ("uniswap_v2", "uniswap_v3", *WHOLE)[with_what]
    tokens = TOKENS if with_what < 2 else tokens_of(kind)
    known: dict[str, dict[str, Any]] = {**WHOLE, "uniswap_v2": V2_STATE, "uniswap_v3": V3_STATE}
    table.put(SLOTS[with_what], kind, tokens, known[kind], block)
    return "put"


def states(table: Table) -> list[dict[str, Any]]:
    return [table.read(slot) for slot in table.slots()]


def expect_same(table: Table, other_table: Table, but: set[int], block: int) -> None:
    """Slot by slot; those in `but` are stale, and ask for no state that is older than the block."""
    for slot, (mine, theirs) in enumerate(zip(states(table), states(other_table), strict=True)):
        if slot in but:
            assert (mine["stale"], mine["loaded_block"]) == (True, 0)
            assert mine["block"] <= block
            assert "fee_pips" not in mine, "a state that was taken back is none"
        else:
            assert mine == theirs
            for token_in in (0, 1) if slot < 2 and not mine["stale"] else ():
                for amount in (10**9, 10**15, 10**17):  # within, at and beyond the next ticks
                    quote = table.quote(slot, token_in, amount)
                    assert quote == other_table.quote(slot, token_in, amount)


@settings(max_examples=200)
@given(
    st.lists(operation, min_size=25, max_size=100),
    st.integers(0, 60),
    st.booleans(),
    st.sampled_from([1 << 20, 1 << 14, 1 << 12]),
)
def test_a_rollback_leaves_what_was_before(
    actions: list[tuple[Any, ...]], back: int, refreshed: bool, undo_bytes: int
) -> None:
    steps = plan(actions)
    last = max((block for *_, block, _ in steps), default=101)
    to = max(100, last - back % 20)
    table, short = filled(undo_bytes), filled(undo_bytes)
    results = [do(table, step) for step in steps]
    if refreshed:
        table.refresh()
    before = states(table)
    dropped = table.undo_floor
    changed = table.rollback(to)
    if to < dropped:
        assert changed is None
        assert states(table) == before
        return
    for step in steps:
        if step[2] <= to:
            do(short, step)
    assert changed is not None
    moved = {slot for slot, (a, b) in enumerate(zip(before, states(table), strict=True)) if a != b}
    assert moved <= set(changed)
    assert len(changed) == len(set(changed))
    put = {step[1] for step in steps if step[0] == "put" and step[2] > to}
    expect_same(table, short, put, to)
    # What was not taken back is known, as far as the journal reaches.
    for step in steps:
        if step[0] != "put" and dropped < step[2] <= to:
            assert do(table, step) == "old"
    # What was taken back may come again; a slot that lost its state waits for it to be put.
    for step, result in zip(steps, results, strict=True):
        if step[2] > to:
            assert do(short, step) == result
            assert do(table, step) in (result, "stale_noted")
    expect_same(table, short, set(), last)


@given(st.integers(0, 120))
def test_ticks_are_given_back_through_chunks_that_grew(back: int) -> None:
    """From 2 ticks to 122, in chunks of 16 to 128, and back to any block between."""
    table, short = filled(), filled()
    for i in range(120):
        mint = frames.v3_mint(V3, 10 * i, 2000 + 10 * (i % 7), L + i, block=101 + i)
        assert table.apply(mint)[0] == "changed"
        if i < 120 - back:
            short.apply(mint)
    assert table.rollback(220 - back) == ([1] if back else [])
    assert states(table) == states(short)
    for i in range(120 - back, 120):
        burn = frames.v3_burn(V3, -887270, 887270, 1, block=101 + i)
        assert table.apply(burn)[0] == short.apply(burn)[0] == "changed"
    assert states(table) == states(short)
