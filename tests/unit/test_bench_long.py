"""Streams go round without an end: later blocks, the same decisions, nothing made up."""

import numpy as np
import pytest

from mevfast import bench_long
from mevfast._bench import Endless, Replay
from mevfast.bench_stages import signer
from mevfast.bench_stream import LOGS_A_BLOCK, make_quiet, make_stream, moving_numbers


def test_every_round_decides_as_the_first() -> None:
    stream = make_stream(200, repeats=2)
    numbers, blocks = moving_numbers(stream)
    assert blocks == 2 * stream.opened
    core, sink = stream.core(signer(), timed=False, kept=True)
    endless = Endless(Replay(core, sink), stream.reads, numbers, stream.block + 1, blocks)
    signed, unsigned = np.zeros(4000, np.int64), np.zeros(4000, np.int64)
    for turn in range(1, 4):
        n_signed, n_unsigned, cpu_ns = endless.run(len(stream.reads), signed, unsigned)
        assert n_signed == n_unsigned == stream.opened
        assert cpu_ns > 0 and signed[:n_signed].min() > 0 and unsigned[:n_unsigned].min() > 0
        assert core.head_number == stream.block + turn * blocks
        assert len(sink.requests) == turn * stream.opened
    assert core.live, core.doubt
    assert core.audit.n_mismatches == 0


def test_the_first_round_is_the_stream_itself() -> None:
    stream = make_stream(200, repeats=1)
    numbers, blocks = moving_numbers(stream)
    sent = []
    for endless in (False, True):
        core, sink = stream.core(signer(), timed=False, kept=True)
        replay = Replay(core, sink)
        if endless:
            spare = np.zeros(len(stream.reads), np.int64)
            turning = Endless(replay, stream.reads, numbers, stream.block + 1, blocks)
            turning.run(len(stream.reads) // 2, spare, spare)
            turning.run(len(stream.reads) - len(stream.reads) // 2, spare, spare)
        else:
            for read in stream.reads:
                replay.read(read)
                replay.settle()
        sent.append(sink.requests)
    assert sent[0] == sent[1] and len(sent[0]) == stream.opened


def test_in_a_quiet_market_every_log_changes_a_pool_and_none_pays() -> None:
    stream = make_quiet(200)
    core, sink = stream.core(signer(), timed=False)
    replay = Replay(core, sink)
    for read in stream.reads:
        replay.read(read)
    assert core.live, core.doubt
    assert core.table.applied()["changed"] == core.n_logs == core.n_searches == 400
    assert core.search.n_candidates == core.n_sent == 0
    assert core.n_heads - 1 == 400 // LOGS_A_BLOCK
    assert core.audit.n_mismatches == 0


def test_frames_sustained_are_all_searched() -> None:
    found = bench_long.sustained(1000)
    assert found["frames"] == found["searches"] >= 1000
    assert found["transactions"] == 0 and found["live"]
    assert found["frames_a_second"] > 0


def test_the_tail_is_of_as_many_events_as_it_says() -> None:
    seen: list[int] = []
    found = bench_long.tail(1000, float("inf"), seen.append, settled=False)
    assert found["events"] == found["asked"] == 1000 == seen[-1]
    assert found["signed"]["samples"] + found["unsigned"]["samples"] == 1000
    assert abs(found["signed"]["samples"] - 500) <= 1
    assert found["live"] and found["grown_bytes"] is None
    assert found["p999_over_p50"] >= 1


def test_the_tail_ends_where_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_long, "LEAST_S", 0.0)
    found = bench_long.tail(1000, 0.0, settled=False)
    assert found["events"] == 0 and found["asked"] == 1000
    assert found["p999_over_p50"] is None


def test_the_collectors_runs_are_counted() -> None:
    import gc

    with bench_long._Collections() as collections:
        gc.collect()
    gc.collect()
    assert collections.n == 1


def test_numbers_beyond_their_frame_are_refused() -> None:
    stream = make_stream(200, repeats=1)
    core, sink = stream.core(signer(), timed=False)
    replay = Replay(core, sink)
    with pytest.raises(ValueError, match="is not in"):
        Endless(replay, [[b"0123456789"]], [[(3, 0)]], 1, 1)
    with pytest.raises(ValueError, match="one list for each"):
        Endless(replay, [[b"0123456789"]], [], 1, 1)
    endless = Endless(replay, stream.reads, *_numbers(stream))
    with pytest.raises(ValueError, match="expected room for 5, was 4 and 5"):
        endless.run(5, np.zeros(4, np.int64), np.zeros(5, np.int64))


def _numbers(stream):
    numbers, blocks = moving_numbers(stream)
    return numbers, stream.block + 1, blocks
