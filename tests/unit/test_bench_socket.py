"""From socket to socket every transaction arrives as it was sent, and is told from the others."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mevfast import bench_socket
from mevfast._bench import Replay
from mevfast.bench_stages import ratios, signer
from mevfast.bench_stream import make_relay
from mevfast.errors import DataError

OPENS = 30


@pytest.fixture(scope="module")
def measured() -> tuple[dict[str, Any], Any]:
    # Slowly: a machine that does other things must not make it miss one.
    return bench_socket.measure(1, 20, opens=OPENS, rate=100)


def test_every_transaction_arrives_exact(measured: tuple[dict[str, Any], Any]) -> None:
    section, _ = measured
    assert set(section["counts"]) == set(bench_socket.WAYS)
    for counts in section["counts"].values():
        assert counts["damaged"] == 0
        assert counts["opened"] == OPENS == counts["answered"] + counts["missed"]
        assert counts["answered"] > OPENS // 2


def test_the_section_has_times_of_all_four_ways_and_the_ratio(
    measured: tuple[dict[str, Any], Any],
) -> None:
    section, run = measured
    for way in bench_socket.WAYS:
        sent, intended = (section["figures"][way + suffix] for suffix in ("", "_from_intended"))
        assert 0 < sent["min_ns"] <= sent["p50_ns"]
        assert intended["samples"] == sent["samples"] == section["counts"][way]["answered"]
        assert intended["min_ns"] >= sent["min_ns"]
        assert len(run.rounds[way]["p50_ns"]) == 1
    found = ratios(run.figures())
    assert found["socket_to_socket_over_floor"] > 0
    assert 900 < section["frame_bytes"] < 1100 and section["request_bytes"] > 500


def test_two_cores_are_pinned_and_given_back(measured: tuple[dict[str, Any], Any]) -> None:
    section, _ = measured
    usable = os.sched_getaffinity(0)
    if len(usable) > 1:
        assert {section["engine_core"], section["sender_core"]} <= usable
        assert section["engine_core"] != section["sender_core"]
        assert section["sender"] == "spins"
    else:
        assert section["engine_core"] is section["sender_core"] is None
        assert section["sender"] == "sleeps"


def test_one_core_serves_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_socket, "cores", lambda: None)
    monkeypatch.setattr(bench_socket, "WAYS", ("socket_to_socket_wait", "echo_wait"))
    section, _ = bench_socket.measure(1, 20, opens=5, rate=50)
    assert section["sender"] == "sleeps"
    for counts in section["counts"].values():
        assert counts == {"opened": 5, "answered": 5, "missed": 0, "damaged": 0}


def test_blocks_read_at_once_give_the_transactions_of_each() -> None:
    stream, rings = make_relay(200, 24)
    core, sink = stream.core(signer(), timed=False, kept=True)
    replay = Replay(core, sink)
    at_once = len(rings) // 2
    for i in range(0, len(stream.reads), 2 * at_once):
        replay.read([frame for read in stream.reads[i : i + 2 * at_once] for frame in read])
        replay.settle()
    assert core.live, core.doubt
    assert len(sink.requests) == stream.opened == 24


EVENTS = bench_socket.Events(
    [1, 3, 5], [100, 101, 104], [["aa", "bb"], ["cc", "dd"], ["aa", "bb"]], []
)
TIMES = {"intended": [0, 10, 20, 30, 40, 50], "sent": [0, 12, 20, 30, 40, 51]}


def request(pool: str, decided: int) -> str:
    """As much of one as is looked at."""
    return f'"0x{bench_socket.SELECTOR}{decided + bench_socket.DEADLINE_BLOCKS:022x}{pool}"]'


AA, CC, AGAIN = request("bb", 100), request("cc", 102), request("aa", 104)


def judge(*came: tuple[int, str], sent: list[str] | None = None) -> Any:
    sent = [message for _, message in came] if sent is None else sent
    times = {**TIMES, "came": list(came)}
    return bench_socket.judge(times, EVENTS, [each.encode() for each in sent])


def test_an_answer_counts_from_its_rings_last_event_when_it_was_decided() -> None:
    counts, from_sent, from_intended = judge((20, AA), (36, CC), (60, AGAIN))
    assert (counts.answered, counts.missed, counts.damaged) == (3, 0, 0)
    assert from_sent == [8, 6, 9]
    assert from_intended == [10, 6, 10]


def test_an_answer_that_is_very_late_belongs_to_its_own_event() -> None:
    counts, from_sent, _ = judge((70, AA), (80, AGAIN))
    assert (counts.answered, counts.missed, counts.damaged) == (2, 1, 0)
    assert from_sent == [58, 29]


def test_what_was_passed_over_is_missed_and_not_made_up_for() -> None:
    counts, from_sent, _ = judge((36, CC), (60, AGAIN))
    assert (counts.opened, counts.answered, counts.missed) == (3, 2, 1)
    assert from_sent == [6, 9]


@pytest.mark.parametrize(
    ("came", "sent"),
    [
        ([(20, AA), (36, CC)], [AA, CC + " "]),
        ([(20, AA), (36, CC)], [AA]),
        ([(20, AA)], [AA, CC]),
        ([(20, request("zz", 100))], None),
        ([(20, request("cc", 100))], None),
        ([(20, AA), (25, request("aa", 103))], None),
        ([(20, '{"id":1}')], None),
    ],
    ids=["another byte", "one too many", "one lost", "of no ring", "before its event", "twice",
         "no transaction"],
)  # fmt: skip
def test_what_is_not_as_sent_is_damaged(
    came: list[tuple[int, str]], sent: list[str] | None
) -> None:
    counts, _, _ = judge(*came, sent=sent)
    assert counts.damaged == 1


def test_a_relay_that_leads_to_other_requests_is_refused() -> None:
    stream, rings = make_relay(200, 4)
    stream.reads[1] = stream.reads[1][:0]
    with pytest.raises(DataError, match="read 1 led to 0 requests"):
        bench_socket.events(stream, rings)


def test_a_sender_that_does_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    other = bench_socket.Other(None, spins=False)
    other.argv = [sys.executable, "-c", "print('no port')"]
    with pytest.raises(DataError, match="expected its port"), other:
        raise AssertionError("it started")


def test_the_sender_ends_with_its_standard_input(root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mevfast.bench_sender"],
        cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout and int(process.stdout.readline()) > 0
    process.communicate(timeout=20)
    assert process.returncode == 0
