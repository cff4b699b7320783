"""The stages' clocks and histograms: nothing is lost or shifted, each stage has its own."""

import itertools

import pytest
from hdrh.histogram import HdrHistogram

from mevfast._stages import LONGEST_NS, STAGE_NAMES, Stages, bucket
from mevfast.observe import latency
from tests.unit.test_core import A, Chain

PARTS = ("frame", "check", "search", "size", "plan", "sign")
"""What `frame_to_signed` is made of; the request's text comes on top."""
RING = 32768


def edges() -> list[int]:
    return [0, 1, 2, 127, 128, 255, 256, 257, 511, 512, 513, 1000, 4095, 4096, 10**6, 2**32, 10**12]


def test_counts_lie_where_an_hdr_histogram_has_them() -> None:
    theirs = HdrHistogram(1, LONGEST_NS, latency.SIGNIFICANT_DIGITS)
    for ns in edges()[1:]:
        _, least = bucket(ns)
        assert theirs.get_lowest_equivalent_value(ns) == least
        assert least <= ns <= least + least // 128


def test_counts_are_one_to_a_value_and_in_order() -> None:
    numbers = [bucket(ns)[0] for ns in range(5000)]
    assert numbers == sorted(numbers)
    assert [bucket(bucket(ns)[1])[0] for ns in range(5000)] == numbers
    assert numbers[:256] == list(range(256))
    assert {step for a, b in itertools.pairwise(numbers) if (step := b - a)} == {1}


def test_what_is_longer_than_all_is_the_longest() -> None:
    stages = Stages()
    for ns in (1 << 62, LONGEST_NS - 1):
        stages.note("receipt", ns)
    [(least, samples)] = stages.counts()["receipt"]
    assert samples == 2
    assert LONGEST_NS * 127 // 128 <= least < LONGEST_NS


def test_a_quantile_is_the_sample_that_stands_there() -> None:
    stages = Stages()
    for ns in range(1, 1001):
        stages.note("sign", 1000 * ns)
    row = latency.summary(stages)["sign"]
    assert row["count"] == 1000
    for key, expected in (("min_ns", 1_000), ("p50_ns", 500_000), ("p99_ns", 990_000),
                          ("p999_ns", 999_000)):  # fmt: skip
        assert row[key] == pytest.approx(expected, rel=1 / 64)
    assert set(latency.summary(stages)) == {"sign"}
    assert latency.line(stages).startswith("sign 50")


@pytest.mark.parametrize("tsc", [True, False])
def test_every_clock_goes(tsc: bool) -> None:
    stages = Stages(tsc)
    assert stages.clock == ("tsc" if tsc and Stages().clock == "tsc" else "clock_gettime")
    assert stages.cost_ns() > 0


# ---- in the core ----


def test_a_transaction_has_one_sample_of_each_stage() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.sync(3, 1.001, index=1), chain.head())
    assert len(chain.sent) == 1
    counts = {name: chain.core.stages.count(name) for name in STAGE_NAMES}
    assert counts == dict.fromkeys(STAGE_NAMES, 1) | {"decode": 2, "apply": 2, "receipt": 0}
    chain.core.resolve(7)  # refused, or never mined
    assert chain.core.stages.count("receipt") == 0


def test_a_receipt_is_timed_from_the_sending() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    assert chain.core.resolve(7, mined=True)
    chain.core.stages.drain()
    counts = chain.core.stages.counts()
    [(receipt, samples)] = counts["receipt"]
    assert samples == 1
    assert receipt > 0


def test_the_parts_are_no_more_than_the_whole() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    rows = latency.summary(chain.core.stages)
    whole = rows["frame_to_signed"]["p999_ns"]
    assert 0 < sum(rows[name]["min_ns"] for name in PARTS) <= whole
    [of_trade] = [trade["latency_ns"] for trade in chain.core.trades()]
    assert rows["frame_to_signed"]["min_ns"] <= of_trade <= whole


def test_nothing_found_is_a_search_and_no_size() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.001), chain.head())
    counts = {name: chain.core.stages.count(name) for name in STAGE_NAMES}
    assert (counts["search"], counts["size"], counts["send"]) == (1, 0, 0)


def test_a_frame_is_timed_anew_after_a_read_that_ended_in_an_error() -> None:
    chain = Chain()
    chain.core.feed_bytes(chain.head([A]))  # and its read never ends
    chain.core.begin_load("the connection is lost")
    before = chain.core.stages.count("frame")
    chain.core.flush()
    assert chain.core.stages.count("frame") == before  # no frame came since


def test_no_sample_is_lost_however_long_the_run_and_rarely_the_ring_is_drained() -> None:
    chain = Chain()
    n = RING + 77  # three samples each
    log = chain.sync(0, 1.0)
    for _ in range(n):
        chain.core.feed_bytes(log)
        chain.core.flush()
    assert chain.core.stages.count("decode") == n
    assert chain.core.stages.lost == 0


def test_a_read_longer_than_the_ring_says_what_it_lost() -> None:
    chain = Chain()
    log = chain.sync(0, 1.0)
    for _ in range(RING // 2 + 10):
        chain.core.feed_bytes(log)
    chain.core.stages.drain()
    assert chain.core.stages.lost == 2 * 10  # of decode and of apply
    assert chain.core.stages.count("decode") == RING // 2
