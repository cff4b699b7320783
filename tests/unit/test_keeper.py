"""The keeper's reading of pools, with a node that is a function: what waits, what is asked again,
what leaves the table, and what doubt throws away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mevfast._pool import Pool as PoolState
from mevfast.dex.market import NOT_ADMITTED
from mevfast.dex.token_filter import Verdict
from mevfast.keeper import RETRY_BLOCKS, Keeper
from mevfast.market_file import MarketFile, MarketPool, Token
from mevfast.model import Loaded, PoolLoad, PoolRecord
from tests import frames
from tests.market import pool_address, token
from tests.unit.test_core import A, Chain

NEW = frames.address(900)
STATE = {"reserve0": 10**21, "reserve1": 3 * 10**21, "fee_pips": 3000}
CURVE = {"form": "plain", "balances": [10**24, 10**24], "rates": [10**18, 10**18], "amp": 20000,
         "fee": 4 * 10**6, "admin_fee": 5 * 10**9}  # fmt: skip
EXCHANGE = "8b3e96f2b889fa771c53c981b40daf005f63f637f1869f707052d15a3dd97140"
EXACT = Verdict(exact=True, reason="", gas=50_000)


def record(pool: bytes, kind: str = "uniswap_v2", tokens: tuple[int, ...] = (0, 1)) -> PoolRecord:
    return PoolRecord(pool, kind, tuple(map(token, tokens)), "venue", 90)


@dataclass
class Node:
    """Answers reads and token trials as the test says; `during` happens while it reads."""

    states: dict[bytes, dict[str, Any]]
    verdicts: dict[bytes, Verdict] = field(default_factory=dict)
    during: Callable[[], None] = lambda: None
    asked: list[list[bytes]] = field(default_factory=list)

    async def load(self, rpc: object, pools: Sequence[PoolRecord], block: int, **_: Any) -> Loaded:
        self.asked.append([pool.id for pool in pools])
        self.during()
        loads = [PoolLoad(pool, self.states[pool.id]) for pool in pools if pool.id in self.states]
        failed = {pool.id: "it reverts" for pool in pools if pool.id not in self.states}
        return Loaded(loads, failed)

    async def probe(self, rpc: object, holders: Any, block: int) -> dict[bytes, Verdict]:
        return {each: self.verdicts.get(each, EXACT) for each in holders}


@dataclass
class Stage:
    chain: Chain
    keeper: Keeper
    node: Node

    def run(self, work: Awaitable[Any]) -> Any:
        async def whole() -> Any:
            return await work

        return asyncio.run(whole())

    def read(self) -> None:
        self.run(self.keeper.read(SimpleNamespace()))  # type: ignore[arg-type]

    def row(self, pool: bytes) -> dict[str, Any]:
        slot = self.keeper.table.slot(pool)
        assert slot is not None
        return self.keeper.table.read(slot)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    chain = Chain()
    config: Any = SimpleNamespace(
        market=SimpleNamespace(
            cache=None, check_tokens=True, factories=(), ignore_tokens=(), only_tokens=()
        ),
        node=SimpleNamespace(chain_id=1, max_gap_blocks=100),
        table=SimpleNamespace(capacity=100, ttl_s=45.0, undo_blocks=64, verify_blocks=40),
    )
    keeper, node = Keeper(chain.core, config), Node({NEW: STATE})
    monkeypatch.setattr("mevfast.keeper.market.load", node.load)
    monkeypatch.setattr("mevfast.keeper.probe_tokens", node.probe)
    return Stage(chain, keeper, node)


def test_a_new_pool_is_stale_until_it_is_read(stage: Stage) -> None:
    assert stage.keeper.admit([record(NEW)]) == [record(NEW)]
    assert stage.keeper.admit([record(NEW)]) == []  # known
    assert stage.row(NEW)["stale"]
    stage.read()
    assert not stage.row(NEW)["stale"]
    assert (stage.row(NEW)["reserve1"], stage.row(NEW)["block"]) == (3 * 10**21, 100)
    stage.read()
    assert stage.node.asked == [[NEW]]  # once


def test_events_that_come_while_a_pool_is_read_are_applied_on_top(stage: Stage) -> None:
    def swapped() -> None:
        stage.chain.feed(frames.v2_sync(NEW, 5, 6, block=101), frames.head(101))

    stage.keeper.admit([record(NEW)])
    stage.node.during = swapped
    stage.read()
    row = stage.row(NEW)
    assert (row["reserve0"], row["reserve1"], row["block"], row["stale"]) == (5, 6, 101, False)


def test_what_was_read_while_doubt_came_up_is_thrown_away(stage: Stage) -> None:
    stage.keeper.admit([record(NEW)])
    stage.node.during = lambda: stage.chain.core.distrust("the test says so", 100)
    stage.read()
    assert stage.row(NEW)["stale"]
    stage.chain.core.begin_load()
    stage.chain.core.start_at(frames.head(102))
    assert stage.chain.core.end_load(102)
    stage.node.during = lambda: None
    stage.read()
    assert not stage.row(NEW)["stale"]
    assert stage.row(NEW)["block"] == 102


def test_busy_pools_are_read_first_and_traded_as_they_arrive(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose contract spoke most in the newest blocks."""
    monkeypatch.setattr("mevfast.keeper.READ_AT_ONCE", 2)
    for slot in range(4):
        stage.keeper.remove(slot, "room for others")
    pools = [frames.address(901 + i) for i in range(5)]
    spoke = {pools[3]: 5, pools[1]: 3, pools[4]: 2, pools[0]: 1}
    stage.node.states |= dict.fromkeys(pools, STATE)
    traded: list[list[bool]] = []
    stage.node.during = lambda: traded.append([not stage.row(pool)["stale"] for pool in pools])

    async def found(*_: object, **__: object) -> list[PoolRecord]:
        return [record(pool) for pool in pools]

    async def logs(rpc: object, start: int, end: int) -> list[dict[str, str]]:
        assert (start, end) == (50, 100)
        return [{"address": "0x" + pool.hex()} for pool, n in spoke.items() for _ in range(n)]

    monkeypatch.setattr("mevfast.keeper.market.discover", found)
    monkeypatch.setattr(stage.keeper, "logs", logs)
    stage.run(stage.keeper.discover(SimpleNamespace()))  # type: ignore[arg-type]
    stage.read()
    assert stage.node.asked == [[pools[3], pools[1]], [pools[4], pools[0]], [pools[2]]]
    assert traded == [
        [False] * 5, [False, True, False, True, False], [True, True, False, True, True],
    ]  # fmt: skip


def test_pools_that_a_log_contradicts_are_read_again_and_that_is_one_line(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.keeper.admit([record(NEW)])
    stage.read()
    short = frames.log(NEW, frames._TOPIC["sync"], [], [5], block=101)  # one word of two
    stage.chain.feed(short, frames.head(101))
    assert stage.row(NEW)["stale"]
    caplog.clear()
    stage.read()
    assert not stage.row(NEW)["stale"]
    [line] = [line for line in caplog.messages if "1 logs contradicted" in line]
    assert line.startswith("pools read again in ")
    stage.read()
    assert caplog.text.count("contradicted") == 1


def test_a_pool_that_does_not_answer_is_asked_again_ever_later(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stage.node.states.clear()
    stage.keeper.admit([record(NEW)])
    tried = []
    for block in range(101, 101 + sum(RETRY_BLOCKS[:3]) + 1):
        before = len(stage.node.asked)
        stage.chain.feed(frames.head(block))
        stage.read()
        tried += [block] * (len(stage.node.asked) - before)
    first, second, third = RETRY_BLOCKS[:3]
    assert tried == [101, 101 + first, 101 + first + second, 101 + first + second + third]
    assert caplog.text.count("it reverts") == 1


def test_an_event_ends_the_wait_of_a_pool_that_did_not_answer_the_first_times(
    stage: Stage,
) -> None:
    stage.node.states.clear()
    stage.keeper.admit([record(NEW)])
    tried, pools = [], stage.node.asked
    for block in range(101, 111):  # it moves in every block
        stage.chain.feed(frames.v2_sync(NEW, 5, 6, block=block), frames.head(block))
        before = len(pools)
        stage.read()
        tried += [block] * (len(pools) - before)
    assert tried == list(range(101, 101 + len(RETRY_BLOCKS)))


def test_pools_of_a_token_that_does_not_move_exactly_leave_the_table(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.node.verdicts[token(7)] = Verdict(False, "a transfer of 1000 delivered 990", 0)
    stage.keeper.admit([record(NEW, tokens=(0, 7))])
    stage.read()
    assert stage.keeper.table.slot(NEW) is None
    assert stage.node.asked == []
    assert stage.keeper.refused == {"a token that does not move exactly": 1}
    assert "a transfer of 1000 delivered 990" in caplog.text


def test_a_token_of_which_nothing_is_known_keeps_its_pools_waiting(stage: Stage) -> None:
    stage.node.verdicts[token(7)] = Verdict(False, "unknown: no pool holds it", 0)
    stage.keeper.admit([record(NEW, tokens=(0, 7))])
    stage.read()
    assert stage.row(NEW)["stale"]
    assert stage.node.asked == []
    stage.node.verdicts.clear()
    for block in range(101, 101 + RETRY_BLOCKS[0]):
        stage.chain.feed(frames.head(block))
    stage.read()
    assert not stage.row(NEW)["stale"]


def test_pools_whose_events_do_not_say_everything_are_read_again_in_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("mevfast.keeper.time.monotonic", lambda: now)
    stage.node.states[NEW] = CURVE
    stage.keeper.admit([record(NEW, "curve_stable"), record(A)])
    stage.node.states[A] = STATE
    stage.read()
    for now, times in ((1044.0, 1), (1046.0, 2), (1090.0, 2), (1092.0, 3)):  # noqa: B007
        stage.read()
        assert sum(NEW in each for each in stage.node.asked) == times
    assert sum(A in each for each in stage.node.asked) == 0  # a pair's events say everything


def test_a_full_table_lets_the_quietest_pool_go(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.keeper.config.table.capacity = 4  # type: ignore[misc]
    quiet = pool_address(1)
    moved = [
        stage.chain.sync(i, 1.01, index=i) if i != 2 else frames.v3_mint(
            pool_address(2), -100, 100, 1, block=101, index=2)
        for i in (0, 2, 3)
    ]  # fmt: skip
    stage.chain.feed(*moved, frames.head(101))
    stage.keeper.admit([record(NEW)])
    stage.read()
    assert stage.keeper.table.slot(quiet) is None
    assert not stage.row(NEW)["stale"]
    assert stage.keeper.table.counters()["evictions"] == 1
    assert "the table is full at 4 pools" in caplog.text


def market_of(*pools: PoolRecord) -> MarketFile:
    """A market file with these pairs in it, after block 90."""
    held = []
    for pool in pools:
        tokens = tuple(Token("0x" + t.hex(), "T", 18) for t in pool.tokens)
        state = PoolState("uniswap_v2", STATE)
        held.append(
            MarketPool("0x" + pool.id.hex(), pool.kind, tokens, state, pool.venue, pool.block)
        )
    tokens = tuple({token for pool in held for token in pool.tokens})
    return MarketFile("file", 1, 90, tokens, tokens[:1], tuple(held), "0x" + "11" * 32)


def test_of_a_market_file_the_config_decides_what_is_taken(stage: Stage) -> None:
    """What an earlier config let in, this one need not."""
    other, ignored, room = (frames.address(910 + i) for i in range(3))
    config = stage.keeper.config
    config.market.ignore_tokens = ("0x" + token(7).hex(),)  # type: ignore[misc]
    config.table.capacity = 1  # type: ignore[misc]
    stage.keeper.venues = {"venue": frames.address(99)}
    stage.keeper.take(
        market_of(
            replace(record(other), venue="gone"),
            record(ignored, tokens=(0, 7)),
            record(NEW),
            record(room),
        )
    )
    assert [pool.id for pool in stage.keeper.records.values()] == [NEW]
    assert (stage.row(NEW)["reserve1"], stage.row(NEW)["block"]) == (3 * 10**21, 90)
    assert stage.keeper.refused == {
        "in the market file, of no venue of the config": 1, NOT_ADMITTED: 1, "table full": 1,
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["", "another state", "no answer"])
def test_a_sample_of_a_market_file_must_be_as_the_chain_has_it(
    stage: Stage, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage.keeper.venues = {"venue": frames.address(99)}
    stage.keeper.take(market_of(record(NEW)))
    stage.keeper._sample_due = True
    if fault == "another state":
        stage.node.states[NEW] = STATE | {"reserve0": 10**21 + 1}
    elif fault == "no answer":
        stage.node.states.clear()
    stage.run(stage.keeper.check_sample(SimpleNamespace()))  # type: ignore[arg-type]
    assert stage.row(NEW)["stale"] == bool(fault)
    assert ("1 of 1 pools of the market file differ" in caplog.text) == bool(fault)
    assert not stage.chain.core.live  # until it is mended


def test_the_state_hash_is_that_of_equal_states_only(stage: Stage, tmp_path: Path) -> None:
    stage.keeper.admit([record(NEW)])
    empty = stage.keeper.state_hash()
    stage.read()
    first = stage.keeper.state_hash()
    stage.chain.feed(frames.v2_sync(NEW, 10**21 + 1, 3 * 10**21, block=101), frames.head(101))
    second = stage.keeper.state_hash()
    stage.chain.feed(frames.v2_sync(NEW, 10**21, 3 * 10**21, block=102), frames.head(102))
    assert stage.keeper.state_hash() == first
    assert len({empty, first, second}) == 3


def test_a_pool_that_moves_whenever_it_is_read_holds_nothing_up(stage: Stage) -> None:
    """It is stale again at once; the next block is soon enough."""

    def exchanged() -> None:
        log = frames.log(NEW, EXCHANGE, [token(3)], [0, 10**18, 1, 1], block=101, index=len(asked))
        stage.chain.feed(log)

    asked = stage.node.asked
    stage.node.states[NEW] = CURVE
    stage.node.during = exchanged
    stage.keeper.admit([record(NEW, "curve_stable")])
    stage.read()
    assert len(asked) == 1
    assert stage.row(NEW)["stale"]


def test_announcements_outlive_a_task_that_is_cancelled(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object, **__: object) -> list[PoolRecord]:
        raise asyncio.CancelledError

    async def found(*_: object, **__: object) -> list[PoolRecord]:
        return [record(NEW)]

    message = frames.unknown(frames.address(77), block=101)
    stage.chain.core.created.append(message)
    monkeypatch.setattr("mevfast.keeper.market.created", hang)
    with pytest.raises(asyncio.CancelledError):
        stage.run(stage.keeper.announced(SimpleNamespace()))  # type: ignore[arg-type]
    assert stage.chain.core.created == [message]
    monkeypatch.setattr("mevfast.keeper.market.created", found)
    stage.run(stage.keeper.announced(SimpleNamespace()))  # type: ignore[arg-type]
    assert stage.chain.core.created == []
    assert stage.keeper.table.slot(NEW) is not None


def test_a_pool_that_turns_out_to_be_another_is_taken_in_anew(stage: Stage) -> None:
    stage.keeper.admit([record(NEW)])
    stage.read()
    other = record(NEW, tokens=(0, 2))
    assert stage.keeper.admit([other]) == [other]
    assert stage.row(NEW)["tokens"] == list(other.tokens)
    assert stage.row(NEW)["stale"]
