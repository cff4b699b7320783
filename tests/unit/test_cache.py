"""The reserve table: what is put in comes out, and every event leaves what the contract holds."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast._cache import Table
from mevfast.errors import DataError
from tests import frames
from tests.frames import address
from tests.oracle.univ3 import sqrt_ratio_at_tick

POOL, OTHER, TOKEN0, TOKEN1 = (address(i) for i in range(1, 5))
V2 = {"reserve0": 10**21, "reserve1": 3 * 10**9, "fee_pips": 3000}
L = 10**18


def v3(
    ticks: list[tuple[int, int, int]], *, tick: int = 0, liquidity: int | None = None
) -> dict[str, Any]:
    at = sum(net for t, _, net in ticks if t <= tick) if liquidity is None else liquidity
    return {
        "sqrt_price_x96": sqrt_ratio_at_tick(tick),
        "liquidity": at,
        "tick": tick,
        "tick_spacing": 10,
        "fee_pips": 500,
        "ticks": ticks,
    }


def full_range(amount: int = L) -> list[tuple[int, int, int]]:
    return [(-887270, amount, amount), (887270, amount, -amount)]


def put(table: Table, state: dict[str, Any], pool: bytes = POOL, block: int = 100) -> int:
    kind = "uniswap_v2" if "reserve0" in state else "uniswap_v3"
    return table.put(pool, kind, (TOKEN0, TOKEN1), state, block)


def state_of(table: Table, slot: int) -> dict[str, Any]:
    """The fields that `put` takes."""
    read = table.read(slot)
    if read["kind"] == "uniswap_v3":
        read["ticks"] = ticks_of(read)
    return {key: read[key] for key in (V2 if read["kind"] == "uniswap_v2" else v3([]))}


def ticks_of(read: dict[str, Any]) -> list[tuple[int, ...]]:
    return [tuple(entry) for entry in read["ticks"]]


def many_ticks(n: int) -> list[tuple[int, int, int]]:
    """n positions, one spacing wide, one beside the other: 2n ticks."""
    return [t for i in range(n) for t in ((20 * i, L, L), (20 * i + 10, L, -L))]


# ---- put and read ----


@pytest.mark.parametrize(
    "state",
    [
        V2,
        {"reserve0": 2**112 - 1, "reserve1": 0, "fee_pips": 0},
        v3([]),
        v3(full_range()),
        v3([(-10, 2**128 - 1, -(2**127)), (20, 2**127 - 1, 2**127 - 1)], tick=-887272,
           liquidity=2**128 - 1),
        v3(many_ticks(500), tick=887271),
    ],
)  # fmt: skip
def test_what_is_put_is_read(state: dict[str, Any]) -> None:
    table = Table(4, 4096)
    slot = put(table, state)
    assert state_of(table, slot) == state
    read = table.read(slot)
    assert (read["id"], read["address"], read["tokens"]) == (POOL, POOL, [TOKEN0, TOKEN1])
    assert (read["block"], read["stale"], read["quarantined"]) == (100, False, False)
    assert table.slot(POOL) == slot
    assert table.slot(OTHER) is None


def test_a_pool_put_again_keeps_its_slot() -> None:
    table = Table(2, 64)
    slot = put(table, v3(full_range()))
    table.apply(frames.v3_burn(POOL, -10, 10, 1, block=101))
    assert table.stale() == [slot]
    assert put(table, v3(many_ticks(8)), block=102) == slot
    assert state_of(table, slot) == v3(many_ticks(8))
    assert table.stale() == []
    assert len(table) == 1


def test_a_full_table_says_so_and_still_takes_pools_it_has() -> None:
    table = Table(2, 64)
    for pool in (POOL, OTHER):
        put(table, V2, pool)
    with pytest.raises(DataError, match="full: 2 pools"):
        put(table, V2, address(99))
    assert table.read(put(table, V2 | {"reserve0": 5}))["reserve0"] == 5


def test_every_pool_of_a_full_table_is_found() -> None:
    table = Table(500, 0)
    pools = [bytes(12) + address(i)[:8] for i in range(250)]  # as vanity addresses collide
    pools += [address(i)[:8] + bytes(12) for i in range(250)]
    slots = [put(table, V2 | {"reserve0": i}, pool) for i, pool in enumerate(pools)]
    assert slots == list(range(500))
    assert [table.slot(pool) for pool in pools] == slots
    assert all(table.slot(address(i)) is None for i in range(1000, 2000))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ticks": [(10, L, L), (10, L, -L)]}, r"ticks\[1\]\[0\]: expected every tick once"),
        ({"ticks": many_ticks(100)}, "tick arena is full: 64 ticks"),
    ],
)
def test_bad_ticks_are_refused_and_cost_nothing(change: dict[str, Any], words: str) -> None:
    table = Table(4, 64)
    slot = put(table, v3(full_range()))
    for _ in range(10):  # a leak would fill the arena
        with pytest.raises(DataError, match=words):
            put(table, v3([]) | change)
        with pytest.raises(DataError, match=words):
            put(table, v3([]) | change, OTHER)
    assert len(table) == 1
    assert state_of(table, slot) == v3(full_range())
    put(table, v3(full_range(5)), OTHER)
    assert state_of(table, slot) == v3(full_range())


def test_a_pool_never_turns_into_another() -> None:
    table = Table(4, 64)
    slot = put(table, V2)
    with pytest.raises(DataError, match="uniswap_v2"):
        put(table, v3(full_range()))
    with pytest.raises(DataError, match="token"):
        table.put(POOL, "uniswap_v2", (TOKEN1, TOKEN0), V2, 100)
    assert state_of(table, slot) == V2


@pytest.mark.parametrize("size", [0, 19, 21])
def test_addresses_are_20_bytes(size: int) -> None:
    table = Table(4, 64)
    with pytest.raises(DataError, match=f"expected 20 or 32 bytes, was {size}"):
        put(table, V2, bytes(size))
    with pytest.raises(DataError, match=f"expected 20 or 32 bytes, was {size}"):
        table.slot(bytes(size))
    with pytest.raises(DataError, match=f"expected 20 bytes, was {size}"):
        table.add_token(bytes(size))


def test_slots_outside_are_refused() -> None:
    with pytest.raises(IndexError, match="the table holds 0"):
        Table(4, 64).read(0)


# ---- events ----


def test_a_sync_sets_the_reserves() -> None:
    table = Table(4, 64)
    slot = put(table, V2)
    assert table.apply(frames.v2_sync(POOL, 2**112 - 1, 7, block=101, index=3)) == ("changed", slot)
    read = table.read(slot)
    assert (read["reserve0"], read["reserve1"]) == (2**112 - 1, 7)
    assert (read["block"], read["log_index"]) == (101, 3)


def test_a_v3_swap_sets_price_liquidity_and_tick() -> None:
    table = Table(4, 64)
    slot = put(table, v3(full_range()))
    price = sqrt_ratio_at_tick(-700000)
    frame = frames.v3_swap(POOL, -5, 6, price, 2**128 - 1, -700000, block=101)
    assert table.apply(frame) == ("changed", slot)
    after = v3(full_range(), tick=-700000, liquidity=2**128 - 1)
    assert state_of(table, slot) == after


def test_initialize_then_mint_makes_a_pool() -> None:
    table = Table(4, 64)
    slot = put(table, v3([]) | {"sqrt_price_x96": 0})
    price = sqrt_ratio_at_tick(123)
    assert table.apply(frames.v3_initialize(POOL, price, 123, block=101))[0] == "changed"
    assert table.apply(frames.v3_mint(POOL, -10, 130, L, block=101, index=1))[0] == "changed"
    assert state_of(table, slot) == v3([(-10, L, L), (130, L, -L)], tick=123)


@pytest.mark.parametrize(("tick", "inside"), [(-11, 0), (-10, 1), (9, 1), (10, 0)])
def test_only_a_position_around_the_tick_moves_liquidity(tick: int, inside: int) -> None:
    table = Table(4, 64)
    slot = put(table, v3(full_range(), tick=tick))
    table.apply(frames.v3_mint(POOL, -10, 10, 5, block=101))
    assert table.read(slot)["liquidity"] == L + 5 * inside
    table.apply(frames.v3_burn(POOL, -10, 10, 3, block=102))
    assert table.read(slot)["liquidity"] == L + 2 * inside
    ticks = [(-10, 2, 2), (10, 2, -2)]
    assert ticks_of(table.read(slot)) == sorted(full_range() + ticks)


def test_a_tick_shared_by_two_positions_keeps_gross_where_net_is_zero() -> None:
    table = Table(4, 64)
    slot = put(table, v3([]))
    table.apply(frames.v3_mint(POOL, -20, 10, L, block=101))
    table.apply(frames.v3_mint(POOL, 10, 40, L, block=102))
    assert ticks_of(table.read(slot)) == [(-20, L, L), (10, 2 * L, 0), (40, L, -L)]
    table.apply(frames.v3_burn(POOL, -20, 10, L, block=103))
    assert ticks_of(table.read(slot)) == [(10, L, L), (40, L, -L)]


def test_a_burn_of_nothing_changes_nothing() -> None:
    table = Table(4, 64)
    slot = put(table, v3(full_range()))
    assert table.apply(frames.v3_burn(POOL, -30, 30, 0, block=101))[0] == "changed"
    assert state_of(table, slot) == v3(full_range())


@pytest.mark.parametrize(
    ("block", "index", "what"),
    [(99, 9, "old"), (100, 0, "old"), (100, 5, "old"), (100, 6, "changed"), (101, 0, "changed")],
)
def test_events_at_or_before_the_state_are_passed_over(block: int, index: int, what: str) -> None:
    table = Table(4, 64)
    slot = table.put(POOL, "uniswap_v2", (TOKEN0, TOKEN1), V2, 100, 5)
    assert table.apply(frames.v2_sync(POOL, 1, 2, block=block, index=index)) == (what, slot)
    assert table.read(slot)["reserve0"] == (1 if what == "changed" else V2["reserve0"])
    assert table.applied()[what] == 1


def test_a_whole_block_is_in_what_is_put_by_default() -> None:
    table = Table(4, 64)
    put(table, V2)
    assert table.apply(frames.v2_sync(POOL, 1, 2, block=100, index=4000))[0] == "old"


def test_the_same_mint_twice_counts_once() -> None:
    table = Table(4, 64)
    slot = put(table, v3([]))
    mint = frames.v3_mint(POOL, -10, 10, L, block=101, index=2)
    assert [table.apply(mint)[0] for _ in range(2)] == ["changed", "old"]
    assert state_of(table, slot) == v3([(-10, L, L), (10, L, -L)])


def test_unknown_pools_and_events_without_state_are_counted() -> None:
    table = Table(4, 64)
    slot = put(table, V2)
    assert table.apply(frames.v2_sync(OTHER, 1, 1, block=101)) == ("unknown_pool", None)
    assert table.apply(frames.v2_swap(POOL, 1, 0, 0, 1, block=101)) == ("no_state", slot)
    assert table.apply(frames.v3_swap(POOL, 1, -1, 1, 1, 1, block=102)) == ("no_state", slot)
    assert state_of(table, slot) == V2
    assert table.applied() == {
        "changed": 0, "no_state": 2, "unknown_pool": 1, "old": 0, "out_of_order": 0, "waiting": 0,
        "stale_noted": 0, "inconsistent": 0, "malformed": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="expected a log"):
        table.apply(frames.head(5))


@pytest.mark.parametrize(
    ("state", "frame"),
    [
        (V2, frames.v2_sync(POOL, 2**112, 1, block=101)),
        (V2, frames.v2_sync(POOL, 1, 2**255, block=101)),
        (v3(full_range()), frames.v3_swap(POOL, 1, -1, 2**160, L, 0, block=101)),
        (v3(full_range()), frames.v3_swap(POOL, 1, -1, 2**96, 2**128, 0, block=101)),
        (v3(full_range()), frames.v3_swap(POOL, 1, -1, 2**96, L, 2**23, block=101)),
        (v3(full_range()), frames.v3_swap(POOL, 1, -1, 2**96, L, -(2**23) - 1, block=101)),
        (v3(full_range()), frames.v3_initialize(POOL, 2**160, 0, block=101)),
        (v3(full_range()), frames.v3_mint(POOL, -10, 10, 2**128, block=101)),
        (v3(full_range()), frames.v3_mint(POOL, 10, 10, L, block=101)),
        (v3(full_range()), frames.v3_mint(POOL, 10, 2**23, L, block=101)),
    ],
)
def test_words_outside_their_type_make_the_pool_stale(state: dict[str, Any], frame: bytes) -> None:
    table = Table(4, 64)
    slot = put(table, state)
    assert table.apply(frame) == ("malformed", slot)
    assert table.stale() == [slot]
    assert table.read(slot)["stale"]


@pytest.mark.parametrize(
    "frame",
    [
        frames.v3_burn(POOL, -20, 20, 1, block=101),  # no such ticks
        frames.v3_burn(POOL, -10, 20, 1, block=101),  # no such upper tick
        frames.v3_burn(POOL, -10, 10, L + 1, block=101),  # more than there is
        frames.v3_mint(POOL, -10, 10, 2**128 - 1, block=101),  # beyond uint128
    ],
)
def test_events_that_contradict_the_ticks_make_the_pool_stale(frame: bytes) -> None:
    table = Table(4, 64)
    slot = put(table, v3([(-10, L, L), (10, L, -L)]))
    assert table.apply(frame) == ("inconsistent", slot)
    assert table.stale() == [slot]


# ---- the tick arena ----


def test_ticks_outgrow_their_chunks_one_by_one() -> None:
    table = Table(4, 4096)
    slot, held = put(table, v3([])), {}
    for i in range(260):
        tick = (i * 7919) % 887270 // 10 * 10 * (-1 if i % 2 else 1)
        held[tick] = L + i
        far = 887270
        table.apply(frames.v3_mint(POOL, tick, far, L + i, block=101 + i))
        total = sum(held.values())
        nets = [(t, a, a) for t, a in sorted(held.items())] + [(far, total, -total)]
        assert ticks_of(table.read(slot)) == nets
    # 16 + 32 + 64 + 128 + 256 + 512 and nothing more
    assert table.arena_used == 16 * (2**6 - 1)


def test_chunks_left_behind_are_used_again() -> None:
    table = Table(64, 16 * 3)
    put(table, v3(many_ticks(8)))
    table.apply(frames.v3_mint(POOL, 5000, 5010, L, block=101))  # 16 -> 32: the arena is cut up
    assert table.arena_used == 48
    slot = put(table, v3(full_range()), OTHER)  # fits only where the first 16 were
    assert table.arena_used == 48
    assert state_of(table, slot) == v3(full_range())
    assert len(table.read(0)["ticks"]) == 18
    for _ in range(100):  # each load takes a new chunk and gives the old one back
        with pytest.raises(DataError, match="arena is full"):
            put(table, v3(full_range()), OTHER)
        put(table, V2, address(50))
    assert state_of(table, slot) == v3(full_range())


def test_reloading_for_ever_takes_no_more_room() -> None:
    table = Table(4, 256)
    for n in (3, 8, 3, 20, 8, 16, 3) * 50:
        slot = put(table, v3(many_ticks(n)))
        assert state_of(table, slot) == v3(many_ticks(n))
    assert table.arena_used <= 16 * 2 + 32 * 2 + 64


def test_a_mint_that_finds_no_room_makes_the_pool_stale() -> None:
    table = Table(4, 16)
    slot = put(table, v3(many_ticks(8)))
    assert table.apply(frames.v3_mint(POOL, 5000, 5010, L, block=101)) == ("inconsistent", slot)
    assert table.stale() == [slot]


# ---- against a model ----


@dataclass
class Model:
    """One pool as a plain dict of what its contract would hold."""

    v2: dict[str, int] = field(default_factory=lambda: dict(V2))
    price: int = sqrt_ratio_at_tick(0)
    tick: int = 0
    positions: dict[tuple[int, int], int] = field(default_factory=dict)

    def ticks(self) -> list[tuple[int, int, int]]:
        gross: dict[int, int] = {}
        net: dict[int, int] = {}
        for (lower, upper), amount in self.positions.items():
            for tick, sign in ((lower, 1), (upper, -1)):
                gross[tick] = gross.get(tick, 0) + amount
                net[tick] = net.get(tick, 0) + sign * amount
        return [(tick, gross[tick], net[tick]) for tick in sorted(gross) if gross[tick]]

    def liquidity(self) -> int:
        return sum(a for (low, up), a in self.positions.items() if low <= self.tick < up)

    def v3(self) -> dict[str, Any]:
        return v3(self.ticks(), tick=self.tick, liquidity=self.liquidity()) | {
            "sqrt_price_x96": self.price
        }


bound = st.integers(-12, 12).map(lambda i: 10 * i)
operation = st.one_of(
    st.tuples(st.just("mint"), bound, bound, st.integers(1, 2**100)),
    st.tuples(st.just("burn"), st.integers(0, 100), st.sampled_from(["all", "half", "none"])),
    st.tuples(st.just("swap"), st.integers(-130, 130), st.integers(0, 2**100)),
    st.tuples(st.just("sync"), st.integers(0, 2**112 - 1), st.integers(0, 2**112 - 1)),
    st.tuples(st.just("reload")),
)


def step(model: Model, action: tuple[Any, ...], where: dict[str, int]) -> bytes | None:
    """Does it to the model; the frame that tells of it, None where there is nothing to tell."""
    match action:
        case ("mint", a, b, amount) if a != b:
            at = (min(a, b), max(a, b))
            model.positions[at] = model.positions.get(at, 0) + amount
            return frames.v3_mint(POOL, *at, amount, **where)
        case ("burn", which, share) if model.positions:
            at = sorted(model.positions)[which % len(model.positions)]
            amount = {"all": 1, "half": 2, "none": 0}[share]
            amount = amount and model.positions[at] // amount
            model.positions[at] -= amount
            return frames.v3_burn(POOL, *at, amount, **where)
        case ("swap", tick, above):
            model.tick = tick
            model.price = sqrt_ratio_at_tick(tick) + above % 1000
            return frames.v3_swap(POOL, 1, -1, model.price, model.liquidity(), tick, **where)
        case ("sync", reserve0, reserve1):
            model.v2 |= {"reserve0": reserve0, "reserve1": reserve1}
            return frames.v2_sync(OTHER, reserve0, reserve1, **where)
    return None


@settings(max_examples=150)
@given(st.lists(operation, max_size=60), st.booleans())
def test_any_run_of_events_leaves_what_the_model_holds(
    actions: list[tuple[Any, ...]], twice: bool
) -> None:
    table, model = Table(4, 512), Model()
    slots = put(table, model.v3()), put(table, model.v2, OTHER)
    for i, action in enumerate(actions):
        where = {"block": 101 + i // 3, "index": i % 3}
        frame = step(model, action, where)
        if action == ("reload",):
            table.put(POOL, "uniswap_v3", (TOKEN0, TOKEN1), model.v3(), 101 + i // 3, i % 3)
        if frame is not None:
            assert table.apply(frame)[0] == "changed"
            if twice:
                assert table.apply(frame)[0] == "old"
        assert state_of(table, slots[0]) == model.v3()
        assert state_of(table, slots[1]) == model.v2
    assert table.stale() == []


def test_a_pool_marked_stale_stays_so_until_it_is_put_again() -> None:
    table = Table(4)
    slot = put(table, V2)
    table.mark_stale(slot)
    assert table.apply(frames.v2_sync(POOL, 5, 6, block=101)) == ("stale_noted", slot)
    assert table.stale() == [slot]
    put(table, V2, block=102)
    assert table.stale() == []
    with pytest.raises(IndexError, match="slot 1"):
        table.mark_stale(1)


def test_a_pool_in_quarantine_stays_there_when_it_is_put_again() -> None:
    table = Table(4)
    slot = put(table, V2)
    table.quarantine(slot)
    assert table.read(put(table, V2, block=102))["quarantined"] is True
    with pytest.raises(IndexError, match="slot 1"):
        table.quarantine(1)
