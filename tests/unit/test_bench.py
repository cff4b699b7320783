"""The bench replays what it says it replays. Times are never looked at, but for being there."""

import io
import json
import random
import time

import pytest
from rich.console import Console

from mevfast import bench_command, bench_compare, bench_show, bench_stages, cli
from mevfast._bench import CacheProbe, Replay, blank_signer, stamped_signer
from mevfast._tx import keccak256
from mevfast.bench_stream import Stream, make_stream, read_stream
from mevfast.errors import DataError


def requests(stream: Stream) -> list[bytes]:
    core, sink = stream.core(bench_stages.signer(), timed=False, kept=True)
    replay = Replay(core, sink)
    for read in stream.reads:
        replay.read(read)
        replay.settle()
    assert core.live, core.doubt
    assert core.audit.n_mismatches == 0
    return sink.requests


@pytest.fixture(scope="module")
def recorded() -> Stream:
    return read_stream()


def test_the_recorded_stream_gives_the_same_transactions_twice(recorded: Stream) -> None:
    sent = requests(recorded)
    assert len(sent) > 100
    assert sent == requests(recorded)
    assert len({bytes.fromhex(json.loads(each)["params"][0][2:]) for each in sent}) == len(sent)


def test_every_recorded_log_is_taken(recorded: Stream) -> None:
    core, sink = recorded.core(bench_stages.signer(), timed=False)
    replay = Replay(core, sink)
    for read in recorded.reads:
        replay.read(read)
        replay.settle()
    applied = core.table.applied()
    logs = sum(b'"topics"' in frame for frame in recorded.frames())
    heads = sum(b'"parentHash"' in frame for frame in recorded.frames())
    assert (core.n_logs, core.n_heads - 1) == (logs, heads)
    assert applied["changed"] + applied["no_state"] == logs
    assert core.head_number == recorded.block + heads


def test_the_timed_core_decides_as_the_plain_one(recorded: Stream) -> None:
    plain, sink = recorded.core(bench_stages.signer(), timed=False)
    timed, timed_sink = recorded.core(blank_signer(bench_stages.signer()), timed=True)
    for core, end in ((plain, sink), (timed, timed_sink)):
        replay = Replay(core, end)
        for read in recorded.reads:
            replay.read(read)
            replay.settle()
    assert plain.n_sent == timed.n_sent
    assert plain.search.dropped() == timed.search.dropped()
    samples = timed.samples()
    assert len(samples["decode"]) == len(samples["apply"]) == plain.n_logs
    assert len(samples["encode"]) == plain.n_sent


def test_the_parts_of_a_way_are_all_of_it(recorded: Stream) -> None:
    core, sink = recorded.core(bench_stages.signer(), timed=False)
    stamped_signer(core.signer, core.stages)
    replay = Replay(core, sink)
    signed = 0
    for read in recorded.reads:
        first, _ = replay.read(read)
        replay.settle()
        parts = replay.parts()
        assert ("frame_to_signed" in parts) == ("signature" in parts) == (first >= 0)
        if first < 0:
            continue
        signed += 1
        way = bench_stages.way(parts)
        assert set(way) == set(bench_stages.WAY)
        assert sum(way.values()) == parts["frame_to_signed"]
        # The library's part lies within the core's own stage, and no stage outlasts the whole.
        assert 0 < parts["signature"] < parts["sign"] < parts["frame_to_signed"]
    assert signed > 100


def test_a_portion_is_its_reads_one_after_the_other(recorded: Stream) -> None:
    alone, sink = recorded.core(bench_stages.signer(), timed=False, kept=True)
    together, other = recorded.core(bench_stages.signer(), timed=False, kept=True)
    stamped_signer(together.signer, together.stages)
    one, all_ = Replay(alone, sink), Replay(together, other)
    reads = recorded.reads[:60]
    signed = []
    for read in reads:
        signed.append(one.read(read)[0] >= 0)
        one.settle()
    noted = all_.portion(reads)
    assert other.requests == sink.requests
    assert [first >= 0 for first, _, _ in noted] == signed and any(signed)
    for first, total, parts in noted:
        assert first < total and bool(parts) == (first >= 0)
        if parts:
            # of its own read: the clocks differ, by what lies between the stamps and the reading
            assert abs(first - parts["frame_to_signed"]) < max(50_000, first)
    assert all_.portion([]) == []


def test_a_stamped_signer_signs_the_same(recorded: Stream) -> None:
    digest = keccak256(b"stamped")
    plain, stamped = bench_stages.signer(), bench_stages.signer()
    core, _ = recorded.core(stamped, timed=False)
    for _ in range(2):  # stamped twice, it still signs
        stamped_signer(stamped, core.stages)
        assert stamped.sign_digest(digest) == plain.sign_digest(digest)


@pytest.mark.parametrize("n_pools", [200, 600])
def test_a_made_market_opens_one_cycle_at_a_time(n_pools: int) -> None:
    stream = make_stream(n_pools, repeats=3)
    assert len(stream.pools) == n_pools
    core, sink = stream.core(bench_stages.signer(), timed=False, kept=True)
    replay = Replay(core, sink)
    for i, read in enumerate(stream.reads):
        found = core.search.n_candidates
        first, _ = replay.read(read)
        # Head and log of the swap that opens a ring, then of the one that closes it.
        opens = i % 4 == 1
        assert (first >= 0) == opens
        if opens:
            assert core.search.n_candidates == found + 1
        replay.settle()
    assert core.live, core.doubt
    assert core.audit.n_mismatches == 0
    assert len(sink.requests) == stream.opened > 0


def test_a_made_stream_is_the_same_twice_and_another_by_its_seed() -> None:
    first, again, other = make_stream(200), make_stream(200), make_stream(200, seed=2)
    assert first.pools == again.pools and first.reads == again.reads
    assert first.reads != other.reads
    assert requests(first) == requests(again)


def test_a_head_of_another_block_is_refused(recorded: Stream) -> None:
    stream = make_stream(200, repeats=1)
    stream.block += 1
    with pytest.raises(DataError, match="expected a head of block"):
        stream.core(bench_stages.signer(), timed=False)


def test_a_file_that_is_no_stream_is_refused(tmp_path) -> None:
    (tmp_path / "stream.json.gz").write_bytes(b"{}")
    for name in ("stream.json.gz", "none.json.gz"):
        with pytest.raises(DataError, match=r"bench/record\.py"):
            read_stream(tmp_path / name)


def test_lines_of_the_cache_are_read_at_once_and_later() -> None:
    probe = CacheProbe()
    start = time.monotonic_ns()
    at_once, later = zip(*(probe.sample(200_000) for _ in range(20)), strict=True)
    assert time.monotonic_ns() - start > 20 * 200_000
    assert min(at_once) > 0 and min(later) > 0


def test_the_peers_do_the_same_work(recorded: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    bench_stages.check_peers(recorded)
    frame = next(each for each in recorded.frames() if b'"topics"' in each)
    other = recorded.__class__(**{
        **{name: getattr(recorded, name) for name in recorded.__slots__},
        "reads": [[frame.replace(b'"removed":false', b'"removed":true')]],
    })  # fmt: skip
    bench_stages.check_peers(other)
    decode = bench_stages.MSGSPEC.decode

    class Blind:
        def decode(self, message: bytes) -> bench_stages.PeerNotification:
            return decode(message.replace(b'"removed":true', b'"removed":false'))

    monkeypatch.setattr(bench_stages, "MSGSPEC", Blind())
    with pytest.raises(RuntimeError, match="msgspec reads"):
        bench_stages.check_peers(other)


def test_quantiles_are_of_samples() -> None:
    values = list(range(1000, 3000, 2))
    random.Random(1).shuffle(values)
    figures = bench_stages.quantiles(values)
    assert figures == {"min_ns": 1000, "p50_ns": 2000, "p99_ns": 2980, "p999_ns": 2998,
                       "samples": 1000}  # fmt: skip


def test_rounds_hold_what_came_in_them_with_the_clock_taken_off() -> None:
    run = bench_stages.Run(clock_ns=20)
    run.add("a", [120, 320, 220])
    run.end_round()
    run.add("a", [70, 5])
    run.add("late", [30])
    run.end_round()
    run.add("late", [40, 41])
    run.end_round()
    assert run.rounds == {
        "a": {"min_ns": [100, 1, None], "p50_ns": [200, 25, None]},
        "late": {"min_ns": [None, 10, 20], "p50_ns": [None, 10, 20]},
    }
    assert run.figures()["a"]["samples"] == 5


def test_ratios_are_of_the_whole_run_and_of_each_round() -> None:
    run = bench_stages.Run(clock_ns=0)
    for whole, bare in (([300], [100]), ([], [110]), ([500, 500], [100])):
        run.add("frame_to_signed_2000", whole)
        run.add("bare_signature_2000", bare)
        run.end_round()
    name = "frame_to_signed_over_signature"
    assert bench_stages.ratios(run.figures()) == {name: 5.0}
    assert bench_stages.round_ratios(run.rounds) == {name: [3.0, None, 5.0]}


def test_ratios_of_sums_take_all_their_parts() -> None:
    figures = {name: {"min_ns": ns // 2, "p50_ns": ns} for name, ns in (
        ("socket_to_socket_spin", 60_000), ("bare_signature_beside", 25_000),
        ("echo_spin", 15_000))}  # fmt: skip
    assert bench_stages.ratios(figures) == {
        "socket_to_socket_over_floor": 1.5, "socket_to_socket_least_over_floor": 1.5
    }  # fmt: skip


SHAPE = {"min_ns", "p50_ns", "p99_ns", "p999_ns", "samples"}


def test_the_command_prints_one_object(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path
) -> None:
    monkeypatch.setattr(bench_command, "SECONDS", dict.fromkeys(bench_command.SECONDS, 0.0))
    monkeypatch.setattr(bench_command, "QUICK_ROUNDS", 3)
    monkeypatch.setattr(bench_command, "QUICK_SOCKET_ROUNDS", 1)
    monkeypatch.setattr(bench_command, "QUICK_OPENS", 15)
    monkeypatch.setattr(bench_command, "QUICK_LONG_SHARE", 0.001)
    assert cli.main(["bench", "--quick", "--json", "--out", str(tmp_path)]) == 0
    result = json.loads(capfd.readouterr().out)
    [written] = tmp_path.iterdir()
    assert json.loads(written.read_bytes()) == result
    for suffix in bench_stages.SUFFIXES.values():
        for stage in bench_stages.STAGES:
            figures = result["stages"][stage + suffix]
            assert set(figures) == SHAPE
            ordered = [figures[key] for key in ("min_ns", "p50_ns", "p99_ns", "p999_ns")]
            assert ordered[0] > 0 and ordered == sorted(ordered), stage
    assert set(result["peers"]) >= set(bench_show.PEERS)
    assert all(ratio > 0 for ratio in result["ratios"].values())
    assert {
        "frame_to_signed_over_signature",
        "frame_to_signed_over_signature_20k",
        "decode_over_msgspec",
        "decode_over_orjson",
        "sign_over_bare",
        "fields_to_raw_over_sign",
        "eth_account_over_fields_to_raw",
        "socket_to_socket_over_floor",
    } <= set(result["ratios"])
    times = result["rounds"]["times"]
    assert all(len(times[name]["p50_ns"]) == 3 for name in result["stages"])
    assert len(times["socket_to_socket_spin"]["p50_ns"]) == 1
    assert set(result["end_to_end"]["figures"]) >= set(bench_show.WAYS)
    assert all(each["damaged"] == 0 for each in result["end_to_end"]["counts"].values())
    assert result["long"]["tail"]["events"] == 1000
    assert result["long"]["sustained"]["frames"] >= 400
    assert len(result["reach"]) == 13
    with monkeypatch.context() as patched:
        patched.setattr(bench_show, "verdict", lambda _: ["a key of [loop] in the config"])
        printed = Console(file=io.StringIO(), width=200, record=True)
        bench_show.show(result, printed)
        assert "a key of [loop] in the config" in printed.export_text()
    result["machine"]["load_average"] = 0.0
    for row in bench_show.reach(result):
        assert (row["met"] is None) == (row["value"] is None)
    result["machine"]["load_average"] = 100.0
    unknown = [row["figure"] for row in bench_show.reach(result) if row["met"] is None]
    assert [name.split(",")[0] for name in unknown] == [
        "socket to socket over signature and echo", "p99.9 over p50 of 1", "MB grown after them"
    ]  # fmt: skip
    assert {"cpu", "cores", "governor", "mitigations", "isolation", "timer", "kernel", "python",
            "load_average", "stolen", "pinned"} <= set(result["machine"])  # fmt: skip
    assert result["stream"]["made_2000"]["transactions"] > 0
    # A result is its own earlier one.
    changes = bench_compare.compare(result, result)
    assert not changes  # three rounds tell nothing
    bench_show.show(result, bench_command.Console())
    text = capfd.readouterr().out
    text = " ".join(text.split())  # however wide the terminal is
    assert "What takes longest" in text and "to be reached" in text and "socket to socket" in text


def test_the_blank_signature_is_as_long_as_a_real_one() -> None:
    stream = make_stream(200, repeats=1)
    lengths = []
    for key in (bench_stages.signer(), blank_signer(bench_stages.signer())):
        core, sink = stream.core(key, timed=False, kept=True)
        replay = Replay(core, sink)
        for read in stream.reads:
            replay.read(read)
            replay.settle()
        lengths.append([len(each) for each in sink.requests])
    # A real r or s is a byte shorter once in 128.
    assert all(0 <= blank - real <= 4 for real, blank in zip(*lengths, strict=True))


def test_the_bloom_names_an_address() -> None:
    from mevfast.bench_stream import logs_bloom

    address = bytes(range(20))
    bits = int(logs_bloom([address]), 16)
    digest = keccak256(address)
    expected = {int.from_bytes(digest[i : i + 2], "big") % 2048 for i in (0, 2, 4)}
    assert {i for i in range(2048) if bits >> i & 1} == expected
