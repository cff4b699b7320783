"""The bench replays what it says it replays. Times are never looked at, but for being there."""

import json
import random

import pytest

from mevfast import bench_command, cli
from mevfast._bench import Replay, blank_signer
from mevfast._tx import Signer, keccak256
from mevfast.bench_stream import Stream, make_stream, read_stream
from mevfast.errors import DataError


def signer() -> Signer:
    return Signer(bytearray(bench_command.KEY))


def requests(stream: Stream) -> list[bytes]:
    core, sink = stream.core(signer(), timed=False, kept=True)
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
    core, sink = recorded.core(signer(), timed=False)
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
    plain, sink = recorded.core(signer(), timed=False)
    timed, timed_sink = recorded.core(blank_signer(signer()), timed=True)
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


@pytest.mark.parametrize("n_pools", [200, 600])
def test_a_made_market_opens_one_cycle_at_a_time(n_pools: int) -> None:
    stream = make_stream(n_pools, repeats=3)
    assert len(stream.pools) == n_pools
    core, sink = stream.core(signer(), timed=False, kept=True)
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
        stream.core(signer(), timed=False)


def test_a_file_that_is_no_stream_is_refused(tmp_path) -> None:
    (tmp_path / "stream.json.gz").write_bytes(b"{}")
    for name in ("stream.json.gz", "none.json.gz"):
        with pytest.raises(DataError, match=r"bench/record\.py"):
            read_stream(tmp_path / name)


def test_eth_account_signs_the_same_bytes() -> None:
    bench_command.check_peers()


def test_quantiles_take_the_clock_off() -> None:
    values = list(range(1020, 3020, 2))
    random.Random(1).shuffle(values)
    figures = bench_command.quantiles(values, clock_ns=20)
    assert figures == {"min_ns": 1000, "p50_ns": 2000, "p99_ns": 2980, "p999_ns": 2998,
                       "samples": 1000}  # fmt: skip
    assert bench_command.quantiles([5], clock_ns=20)["min_ns"] == 1


def test_the_command_prints_one_object(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path
) -> None:
    monkeypatch.setattr(bench_command, "SECONDS", dict.fromkeys(bench_command.SECONDS, 0.0))
    assert cli.main(["bench", "--quick", "--json", "--out", str(tmp_path)]) == 0
    result = json.loads(capfd.readouterr().out)
    [written] = tmp_path.iterdir()
    assert json.loads(written.read_bytes()) == result
    for suffix in ("", "_200", "_2000"):
        for stage in bench_command.STAGES:
            figures = result["stages"][stage + suffix]
            ordered = [figures[key] for key in ("min_ns", "p50_ns", "p99_ns", "p999_ns")]
            assert ordered[0] > 0 and ordered == sorted(ordered), stage
    assert set(result["peers"]) >= set(bench_command.PEERS)
    assert all(ratio > 0 for ratio in result["ratios"].values())
    assert {
        "frame_to_signed_over_signature",
        "decode_over_orjson",
        "sign_over_bare",
        "fields_to_raw_over_sign",
        "eth_account_over_fields_to_raw",
    } <= set(result["ratios"])
    assert {"cpu", "cores", "governor", "python"} <= set(result["machine"])
    assert result["stream"]["made_2000"]["transactions"] > 0
    bench_command.show(result, bench_command.Console())
    assert "What takes longest" in capfd.readouterr().out


def test_the_blank_signature_is_as_long_as_a_real_one() -> None:
    stream = make_stream(200, repeats=1)
    lengths = []
    for key in (signer(), blank_signer(signer())):
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
