"""The bench of the table at scale: what it times does happen, and asking ahead changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import bench_cache
from bench.bench_cache import Load, Row, judged
from bench.market import make
from mevfast import market_file
from mevfast._bench_cache import V2_SYNC, V3_SWAP, TableLoad
from mevfast._cache import Table
from tests.frames import address


def test_events_ahead_leave_what_events_alone_leave() -> None:
    ahead, alone = Load(150), Load(150)
    for load, batch in ((ahead, True), (alone, False)):
        assert load.v2.events(V2_SYNC, batch=batch) > 0
        assert load.v3.events(V3_SWAP, batch=batch) > 0
    slots = ahead.table.slots()
    assert len(slots) == 150
    assert [ahead.table.read(slot) for slot in slots] == [alone.table.read(slot) for slot in slots]
    assert ahead.table.counters()["applied"]["changed"] == 150


def test_a_loop_that_does_nothing_is_no_figure() -> None:
    load = TableLoad(Table(4, 64), [address(1)])
    with pytest.raises(RuntimeError, match="1 of 1 pools are not in the table"):
        load.lookups()
    with pytest.raises(RuntimeError, match="1 of 1 events changed nothing"):
        load.events(V2_SYNC, batch=True)


def test_recorded_logs_move_their_pools_round_after_round() -> None:
    recorded = bench_cache.Recorded()
    for parsed in (True, False, True):
        _, changed = recorded.load.frames(recorded.frames, 2, parsed)
        assert changed > 0.5
    assert recorded.table.stale() == []
    assert recorded.table.applied()["old"] == recorded.table.applied()["out_of_order"] == 0


def test_a_warm_start_is_timed_only_if_every_pool_is_in_the_table(tmp_path: Path) -> None:
    path = str(tmp_path / "market.json")
    make(path, 40)
    market = market_file.load(path)
    config = bench_cache.made_config(market)
    assert bench_cache.warm_start(path, config) > 0
    ignored = replace(config.market, ignore_tokens=(market.pools[0].tokens[0].address,))
    with pytest.raises(RuntimeError, match="of 40 pools are in the table"):
        bench_cache.warm_start(path, replace(config, market=ignored))


@pytest.mark.parametrize(
    ("value", "limit", "side", "met"),
    [(5, 5, "at most", True), (6, 5, "at most", False), (6, 5, "at least", True),
     (4, 5, "at least", False), (4, None, "at most", None)],
)  # fmt: skip
def test_rows_are_judged(value: float, limit: float | None, side: str, met: bool | None) -> None:
    assert judged(Row("", 0, "", value, limit, side)).met is met
