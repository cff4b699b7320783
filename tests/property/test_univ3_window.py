"""The window of ready sums: a quote over it is the quote step by step, and both are the oracle's.

A quote with the furthest price limit walks step by step; one without goes over the window.
"""

import random
from collections import defaultdict
from typing import Any, Literal

import pytest

from mevfast._cache import Table
from mevfast._pool import Pool, Quote, Refused
from tests import frames
from tests.oracle import univ3

State = dict[str, Any]
Exact = Literal["in", "out"]
WAYS: list[tuple[int, Exact]] = [(0, "in"), (0, "out"), (1, "in"), (1, "out")]
KINDS = ("uniswap_v3", "pancake_v3", "algebra_v1", "algebra_integral", "uniswap_v4")
SPACINGS = (1, 1, 2, 10, 60, 60, 200, 7, 16383)
FEES = (0, 1, 100, 500, 3000, 10000, 123456, 999_999)
FURTHEST = (univ3.MIN_SQRT_RATIO + 1, univ3.MAX_SQRT_RATIO - 1)


def amount_of(rng: random.Random, most_bits: int = 128) -> int:
    return rng.getrandbits(rng.randint(1, most_bits)) + 1


def random_ticks(rng: random.Random, spacing: int) -> tuple[dict[int, int], int]:
    """Nets of a few positions, and a tick near them; holes without liquidity are common."""
    lowest = -(univ3.MAX_TICK // spacing)
    centre = rng.choice((0, lowest, -lowest, rng.randint(lowest, -lowest), rng.randint(-300, 300)))
    reach = rng.choice((2, 10, 60, 400, 3000))
    bits = rng.choice((3, 20, 60, 60, 90, 118))
    nets: defaultdict[int, int] = defaultdict(int)
    for _ in range(rng.choice((0, 1, 2, 5, 20, 50))):
        ends = sorted(
            min(max(centre + rng.randint(-reach, reach), lowest), -lowest) for _ in range(2)
        )
        size = rng.getrandbits(bits) + 1
        if ends[0] != ends[1]:
            nets[ends[0] * spacing] += size
            nets[ends[1] * spacing] -= size
    near = centre * spacing + rng.randint(-reach, reach) * spacing
    if nets and rng.random() < 0.5:
        near = rng.choice(sorted(nets)) + rng.choice((-1, 0, 0, 1))
    return dict(nets), min(max(near, univ3.MIN_TICK), univ3.MAX_TICK - 1)


def random_state(rng: random.Random, kind: str) -> State:
    spacing = rng.choice(SPACINGS)
    nets, tick = random_ticks(rng, spacing)
    price = univ3.sqrt_ratio_at_tick(tick)
    after = tick
    where = rng.randint(0, 3)
    if where == 0 and tick > univ3.MIN_TICK:
        after = tick - 1  # stopped on a crossed tick on the way down
    elif where > 1:
        price += rng.randint(0, univ3.sqrt_ratio_at_tick(tick + 1) - price - 1)
    state = {
        "fee_pips": rng.choice(FEES),
        "tick_spacing": spacing,
        "sqrt_price_x96": price,
        "tick": after,
        "liquidity": sum(net for at, net in nets.items() if at <= after),
        "ticks": [list(entry) for entry in sorted(nets.items())],
    }
    if kind == "algebra_v1" and rng.random() < 0.5:
        state |= {"bitmap_spacing": 1, "fee_pips": [rng.choice(FEES), rng.choice(FEES)]}
    if kind == "uniswap_v4" and rng.random() < 0.5:
        state |= {"protocol_fee": rng.randint(0, 1000) << 12 | rng.randint(0, 1000)}
    return state


def stops(state: State, kind: str, token_in: int, count: int) -> list[int]:
    """The first stops on the way, by the oracle."""
    spacing = 0 if kind == "algebra_integral" else state.get("bitmap_spacing", 0)
    if kind != "algebra_integral" and not spacing:
        spacing = state["tick_spacing"]
    ticks, tick, found = dict(state["ticks"]), state["tick"], []
    while len(found) < count:
        stop = univ3.next_tick(tick, spacing, ticks, token_in == 0)
        if not univ3.MIN_TICK < stop < univ3.MAX_TICK:
            break
        found.append(stop)
        tick = stop - 1 if token_in == 0 else stop
    return found


def walked(pool: Pool, token_in: int, amount: int, exact: Exact) -> Quote | Refused:
    return pool.quote(token_in, amount, exact, FURTHEST[token_in])


def partial(pool: Pool, token_in: int, amount: int, exact: Exact) -> bool:
    quote = walked(pool, token_in, amount, exact)
    if isinstance(quote, Refused):
        return True
    return (quote.amount_in if exact == "in" else quote.amount_out) < amount


def edges(rng: random.Random, pool: Pool, state: State, token_in: int, exact: Exact) -> list[int]:
    """Amounts that end on stops, a unit before and behind: near ones, and where the window ends."""
    ahead = stops(state, pool.kind, token_in, 45)
    chosen = ahead[:3] + ahead[30:34] + rng.sample(ahead, min(4, len(ahead)))
    found = []
    for stop in chosen:
        price = univ3.sqrt_ratio_at_tick(stop)
        if (price >= state["sqrt_price_x96"]) is (token_in == 0):
            continue
        for exact_side in ("in", "out") if rng.random() < 0.1 else (exact,):
            quote = pool.quote(token_in, 1 << 250, exact_side, price)  # type: ignore[arg-type]
            if isinstance(quote, Quote):
                amount = quote.amount_in if exact == "in" else quote.amount_out
                found += [amount - 1, amount, amount + 1, amount + 2]
    return [amount for amount in found if amount > 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_window_equals_walk(kind: str, seed: int) -> None:
    rng = random.Random(f"{kind} {seed}")
    compared = 0
    for _ in range(150):
        state = random_state(rng, kind)
        pool = Pool(kind, state)
        for token_in, exact in WAYS:
            amounts = [amount_of(rng) for _ in range(6)] + [
                1,
                2,
                1 << 127,
                (1 << 128) - 1,
                1 << 128,
            ]
            for amount in amounts + edges(rng, pool, state, token_in, exact):
                quote = pool.quote(token_in, amount, exact)
                assert quote == walked(pool, token_in, amount, exact) or (
                    quote == Refused("OVERFLOW")
                    and walked(pool, token_in, amount, exact) in (quote, Refused("PRICE_LIMIT"))
                ), (state, token_in, amount, exact)
                compared += 1
    assert compared > 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_window_equals_oracle(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(60):
        state = random_state(rng, kind)
        pool = Pool(kind, state)
        for token_in, exact in WAYS:
            ahead = edges(rng, pool, state, token_in, exact)
            amounts = rng.sample(ahead, min(6, len(ahead)))
            if state["tick_spacing"] >= 60 and "bitmap_spacing" not in state:
                amounts += [1, amount_of(rng)]  # may run to the end, word by word
            for amount in amounts:
                if partial(pool, token_in, amount, exact) and state["tick_spacing"] < 60:
                    continue
                quote = pool.quote(token_in, amount, exact)
                try:
                    expected = univ3.swap(
                        kind=kind,
                        **{name: value for name, value in state.items() if name != "ticks"},
                        ticks=dict(state["ticks"]),
                        zero_for_one=token_in == 0,
                        exact_in=exact == "in",
                        amount=amount,
                    )
                except univ3.Revert:
                    assert isinstance(quote, Refused), (state, token_in, amount, exact)
                    continue
                assert isinstance(quote, Quote), (state, token_in, amount, exact)
                actual = univ3.Swapped(quote.amount_in, quote.amount_out, **quote.after)
                assert actual == expected, (state, token_in, amount, exact)


@pytest.mark.parametrize("kind", KINDS)
def test_window_follows_the_price(kind: str) -> None:
    """A pool that swaps moved quotes as one that was made at that price."""
    rng = random.Random(f"moved {kind}")
    for _ in range(60):
        pool = Pool(kind, random_state(rng, kind))
        for _ in range(8):
            token_in, exact = rng.choice(WAYS)
            pool.apply(token_in, amount_of(rng, 90), exact)
            fresh = Pool(kind, pool.fields())
            for token_in, exact in WAYS:
                amount = amount_of(rng, 90)
                quote = pool.quote(token_in, amount, exact)
                assert quote == fresh.quote(token_in, amount, exact), pool.fields()
                assert quote == walked(pool, token_in, amount, exact), pool.fields()


def held(table: Table, slot: int) -> Pool:
    """A pool made from what the table says of the slot."""
    state = table.read(slot)
    ticks = [[tick, net] for tick, _, net in state["ticks"]]
    return Pool("uniswap_v3", state | {"ticks": ticks})


def compare(rng: random.Random, table: Table, slot: int) -> None:
    pool = held(table, slot)
    for token_in, exact in WAYS:
        for amount in (amount_of(rng, 40), amount_of(rng, 100)):
            quote = walked(pool, token_in, amount, exact)
            expected = None
            if isinstance(quote, Quote):
                expected = (quote.amount_in, quote.amount_out, quote.price_after)
            assert table.quote(slot, token_in, amount, exact == "in") == expected


@pytest.mark.parametrize("seed", range(6))
def test_table_quotes_as_a_pool_of_its_state(seed: int) -> None:
    """Over any run of swaps, mints and burns, and whether windows were refreshed or not."""
    rng = random.Random(seed)
    table, address, tokens = Table(4, 4096), frames.address(9), [frames.address(i) for i in (1, 2)]
    spacing = rng.choice((1, 10, 60))
    whole = 1 << rng.randint(30, 80)
    end = univ3.MAX_TICK // spacing * spacing
    slot = table.put(address, "uniswap_v3", tokens, {
        "fee_pips": 3000, "tick_spacing": spacing, "sqrt_price_x96": 1 << 96, "tick": 0,
        "liquidity": whole, "ticks": [(-end, whole, whole), (end, whole, -whole)],
    }, 0)  # fmt: skip
    positions: list[tuple[int, int, int]] = []
    for block in range(1, 150):
        pool = held(table, slot)
        action = rng.random()
        if action < 0.6:
            token_in, exact = rng.choice(WAYS)
            quote = pool.quote(token_in, amount_of(rng, whole.bit_length()), exact)
            if isinstance(quote, Refused):
                continue
            amounts = quote.amount_in, -quote.amount_out
            after = quote.after
            # now and then a pool that reports other liquidity than its ticks come to
            liquidity = after["liquidity"] + (rng.random() < 0.1)
            words = (after["sqrt_price_x96"], liquidity, after["tick"])
            frame = frames.v3_swap(address, *amounts[:: 1 - 2 * token_in], *words, block=block)
        elif action < 0.8 or not positions:
            near = pool.fields()["tick"] // spacing
            ends = sorted(rng.sample(range(near - 60, near + 60), 2))
            position = (ends[0] * spacing, ends[1] * spacing, rng.randint(1, whole))
            if not -end <= position[0] < position[1] <= end:
                continue
            positions.append(position)
            frame = frames.v3_mint(address, *position, block=block)
        else:
            position = positions.pop(rng.randrange(len(positions)))
            frame = frames.v3_burn(address, *position, block=block)
        assert table.apply(frame) == ("changed", slot)
        if rng.random() < 0.5:
            table.refresh()
            near_end = abs(table.read(slot)["tick"]) > 600_000
            assert near_end or all(behind > 0 for _, behind in table.window(slot))
        compare(rng, table, slot)


def test_a_change_of_ticks_voids_the_window_until_it_is_refreshed() -> None:
    table, address = Table(4, 256), frames.address(9)
    state = {"fee_pips": 3000, "tick_spacing": 60, "sqrt_price_x96": 1 << 96, "tick": 0,
             "liquidity": 10**18, "ticks": [(-887220, 10**18, 10**18),
                                            (887220, 10**18, -(10**18))]}  # fmt: skip
    slot = table.put(address, "uniswap_v3", (frames.address(1), frames.address(2)), state, 0)
    assert table.window(slot) == [(40, 8), (40, 8)]
    table.apply(frames.v3_mint(address, -60, 60, 5, block=1))
    assert table.window(slot) == [(0, 0), (0, 0)]
    compare(random.Random(1), table, slot)
    table.refresh(0)
    assert table.window(slot) == [(0, 0), (0, 0)]
    table.refresh()
    assert table.window(slot) == [(40, 8), (40, 8)]
    table.apply(frames.v3_burn(address, -60, 60, 0, block=2))
    assert table.window(slot) == [(40, 8), (40, 8)], "a poke moves nothing"


def test_a_window_left_behind_is_centred_again() -> None:
    """Swaps move the price inside the window; where few stops are left it is built anew."""
    table, address = Table(4, 256), frames.address(9)
    ticks = [(tick, 1000, 1000 if tick < 0 else -1000) for tick in range(-6000, 6060, 60) if tick]
    state = {"fee_pips": 3000, "tick_spacing": 60, "sqrt_price_x96": 1 << 96, "tick": 0,
             "liquidity": 100_000, "ticks": ticks}  # fmt: skip
    slot = table.put(address, "uniswap_v3", (frames.address(1), frames.address(2)), state, 0)
    seen = set()
    for block, tick in enumerate(range(0, 5990, 55), 1):
        liquidity = sum(net for at, _, net in ticks if at <= tick)
        words = univ3.sqrt_ratio_at_tick(tick), liquidity, tick
        table.apply(frames.v3_swap(address, 1, -1, *words, block=block))
        compare(random.Random(block), table, slot)
        table.refresh()
        (_, down), (_, up) = table.window(slot)
        assert down >= 4
        assert up <= 24
        seen.add(up)
    assert seen == {8, 9, 10, 11, 12}
