"""Every observed swap against the quote: what fits, what is the caller's loss, what is wrong."""

from typing import Any

import pytest

from mevfast._core import Core
from mevfast._tx import Signer
from tests import frames, market
from tests.market import pool_address, search_of
from tests.oracle import univ2, univ3

V2, V3 = pool_address(0), pool_address(1)
PAIR = market.v2_pool((0, 1), 2.0, 1e21, 3000)
POOL = market.v3_pool((0, 1), 2.0, [(-100, 100, 10**21), (-3, 2, 10**21), (5, 9, 10**21)], 500, 10)


class Feed:
    def __init__(self) -> None:
        signer = Signer(bytearray(b"\x01" * 32))
        search = search_of([PAIR, POOL])
        self.core = Core(search, signer, bytes(20), 1, lambda _: None, lambda: None)
        self.core.shadow = True
        self.audit, self.index = self.core.audit, 0
        self.core.begin_load()
        self.core.feed_bytes(frames.head(100))
        self.core.end_load(100)
        self.core.flush()

    def v2(self, in0: int, in1: int, out0: int, out1: int) -> list[bytes]:
        """The Sync and the Swap of one call of `pair.swap`."""
        state = self.core.table.read(0)
        after = (state["reserve0"] + in0 - out0, state["reserve1"] + in1 - out1)
        self.index += 2
        return [
            frames.v2_sync(V2, *after, block=101, index=self.index),
            frames.v2_swap(V2, in0, in1, out0, out1, block=101, index=self.index + 1),
        ]

    def v3(self, zero_for_one: bool, exact_in: bool, amount: int, **options: Any) -> list[bytes]:
        """The Swap that a V3 pool would log, by the oracle."""
        state = self.core.table.read(1)
        swapped = univ3.swap(
            **{key: state[key] for key in (
                "sqrt_price_x96", "tick", "liquidity", "fee_pips", "tick_spacing")},
            ticks={tick: net for tick, _, net in state["ticks"]},
            zero_for_one=zero_for_one, exact_in=exact_in, amount=amount, **options,
        )  # fmt: skip
        amounts = (swapped.amount_in, -swapped.amount_out)
        after = (swapped.sqrt_price_x96, swapped.liquidity, swapped.tick)
        self.index += 2
        return [
            frames.v3_swap(V3, *(amounts if zero_for_one else amounts[::-1]), *after,
                           block=101, index=self.index)
        ]  # fmt: skip

    def __call__(self, messages: list[bytes]) -> None:
        for message in messages:
            self.core.feed_bytes(message)
        self.core.flush()

    def counts(self) -> tuple[int, int, int, int]:
        audit = self.audit
        return audit.n_checks, audit.n_mismatches, audit.n_slack, audit.n_skipped


def largest_output(state: dict[str, Any], amount: int) -> int:
    out = univ2.largest_output(state["reserve0"], state["reserve1"], state["fee_pips"], amount)
    assert out is not None
    return out


@pytest.mark.parametrize("amount", [1, 1000, 10**15 + 7, 10**20])
def test_v2_exact_in_both_ways(amount: int) -> None:
    feed = Feed()
    for _ in range(3):
        out = univ2.largest_output(*_reserves(feed), 3000, amount)
        if out is not None:
            feed(feed.v2(amount, 0, 0, out))
        out = univ2.largest_output(*_reserves(feed)[::-1], 3000, amount)
        if out is not None:
            feed(feed.v2(0, amount, out, 0))
    assert feed.audit.n_checks >= 3
    assert feed.counts() == (feed.audit.n_checks, 0, 0, 0)


def _reserves(feed: Feed) -> tuple[int, int]:
    state = feed.core.table.read(0)
    return state["reserve0"], state["reserve1"]


def test_v2_exact_out() -> None:
    """The router asks for an output and pays the least input: more of it would have been paid."""
    feed = Feed()
    out = 10**6 + 3
    amount = univ2.smallest_input(*_reserves(feed)[::-1], 3000, out)
    assert amount is not None
    feed(feed.v2(0, amount, out, 0))
    assert feed.counts() == (1, 0, 0, 0)


def test_v2_slack_is_the_callers_own_loss() -> None:
    feed = Feed()
    out = largest_output(feed.core.table.read(0), 10**18)
    feed(feed.v2(10**18, 0, 0, out - 10**9))
    assert feed.counts() == (1, 0, 1, 0)
    assert not feed.core.table.read(0)["quarantined"]


def test_v2_more_than_the_quote_is_a_mismatch() -> None:
    feed = Feed()
    out = largest_output(feed.core.table.read(0), 10**18)
    feed(feed.v2(10**18, 0, 0, out + 1))
    assert feed.counts() == (1, 1, 0, 0)
    assert feed.core.table.read(0)["quarantined"]
    assert feed.audit.mismatches == [
        {"pool": V2, "block": 101, "log_index": 3, "zero_for_one": True, "amount_in": 10**18,
         "amount_out": out + 1}
    ]  # fmt: skip


@pytest.mark.parametrize("amounts", [(5, 5, 0, 5), (0, 0, 5, 0)])
def test_v2_two_sided_swaps_say_nothing(amounts: tuple[int, int, int, int]) -> None:
    feed = Feed()
    feed(feed.v2(*amounts))
    assert feed.counts() == (0, 0, 0, 1)


def test_v2_swap_without_its_sync_says_nothing() -> None:
    feed = Feed()
    sync, swap = feed.v2(10**18, 0, 0, 1)
    feed([swap])
    assert feed.counts() == (0, 0, 0, 1)
    feed([sync, frames.v2_swap(V2, 1, 0, 0, 10**20, block=101, index=9)])  # not the next log
    assert feed.audit.n_mismatches == 0


@pytest.mark.parametrize("zero_for_one", [True, False])
@pytest.mark.parametrize("exact_in", [True, False])
@pytest.mark.parametrize("amount", [1, 10**9 + 1, 10**17, 2 * 10**18])
def test_v3_in_and_out(zero_for_one: bool, exact_in: bool, amount: int) -> None:
    feed = Feed()
    for _ in range(3):
        feed(feed.v3(zero_for_one, exact_in, amount))
    assert feed.counts() == (3, 0, 0, 0)


@pytest.mark.parametrize("zero_for_one", [True, False])
@pytest.mark.parametrize("exact_in", [True, False])
@pytest.mark.parametrize("away", [1, 35, 60])
def test_v3_stopped_by_its_price_limit(zero_for_one: bool, exact_in: bool, away: int) -> None:
    feed = Feed()
    tick = feed.core.table.read(1)["tick"]
    limit = univ3.sqrt_ratio_at_tick(tick - away if zero_for_one else tick + away)
    feed(feed.v3(zero_for_one, exact_in, 10**24, limit=limit + 12345 * (-1) ** zero_for_one))
    assert feed.counts() == (1, 0, 0, 0)


def test_v3_swaps_of_one_batch_are_checked_each_on_its_own_state() -> None:
    """Also across a mint and a burn, which move the ticks that the next quote needs."""
    feed = Feed()
    batch: list[bytes] = []
    shadow = Feed()  # knows the state in between
    for action in range(12):
        shadow.index = feed.index = feed.index + 2
        tick = shadow.core.table.read(1)["tick"] // 10 * 10
        where = {"block": 101, "index": feed.index}
        if action % 4 == 1:
            frame = frames.v3_mint(V3, tick - 30, tick + 10, 10**21 + action, **where)
        elif action % 4 == 3:
            frame = frames.v3_burn(V3, tick - 30, tick + 10, 10**20, **where)
            if shadow.core.table.read(1)["liquidity"] < 10**21:
                continue
        else:
            (frame,) = shadow.v3(action % 4 == 0, True, 10**18 * 2)
            feed.index = shadow.index
        shadow([frame])
        batch.append(frame)
        if not shadow.core.live:
            batch.pop()
            break
    feed(batch)
    assert feed.audit.n_checks == shadow.audit.n_checks >= 2
    assert feed.audit.n_mismatches == shadow.audit.n_mismatches == 0


@pytest.mark.parametrize(("which", "off"), [(0, 9), (1, 9), (2, 10**10), (3, 1), (4, 1)])
def test_v3_any_of_the_five_values_off_is_a_mismatch(which: int, off: int) -> None:
    """Amounts and price by more than a price limit chosen to the unit could explain."""
    feed = Feed()
    state = feed.core.table.read(1)
    swapped = univ3.swap(
        **{key: state[key] for key in (
            "sqrt_price_x96", "tick", "liquidity", "fee_pips", "tick_spacing")},
        ticks={tick: net for tick, _, net in state["ticks"]},
        zero_for_one=True, exact_in=True, amount=10**18,
    )  # fmt: skip
    values = [swapped.amount_in, -swapped.amount_out, swapped.sqrt_price_x96, swapped.liquidity,
              swapped.tick]  # fmt: skip
    values[which] += off
    feed([frames.v3_swap(V3, *values, block=101)])
    assert feed.counts() == (1, 1, 0, 0)
    assert feed.core.table.read(1)["quarantined"]
    assert not feed.core.table.read(0)["quarantined"]


def test_a_swap_sent_twice_is_checked_once() -> None:
    feed = Feed()
    swap = feed.v3(True, True, 10**18)
    feed(swap * 2)
    feed(swap)
    out = largest_output(feed.core.table.read(0), 10**18)
    pair = feed.v2(10**18, 0, 0, out)
    feed(pair * 2)
    assert feed.counts() == (2, 0, 0, 0)


def test_more_swaps_in_a_batch_than_the_queue_holds_are_counted() -> None:
    feed = Feed()
    batch = []
    for i in range(1100):
        batch += [frames.v2_sync(V2, PAIR["reserve0"], PAIR["reserve1"], block=101, index=2 * i),
                  frames.v2_swap(V2, 10**18, 0, 0, 1, block=101, index=2 * i + 1)]  # fmt: skip
    feed(batch)
    checks, mismatches, slack, skipped = feed.counts()
    assert (checks, mismatches, slack, skipped) == (1024, 0, 1024, 1100 - 1024)
