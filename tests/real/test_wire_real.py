"""The frame scanner on recorded mainnet logs: every one read, field by field as orjson reads it."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from mevfast import _wire
from tests.unit import wire_oracle as oracle

RECORDED = Path(__file__).parents[2] / "../shared/real/wire/eth_subscription_logs_17173049.jsonl.gz"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not RECORDED.exists(), reason=f"recorded logs not found at {RECORDED}"),
]


def test_every_log_of_a_mainnet_block() -> None:
    frames = gzip.decompress(RECORDED.read_bytes()).splitlines()
    kinds: Counter[str] = Counter()
    for frame in frames:
        event = _wire.parse(frame)
        assert event is not None
        assert event == oracle.read(frame)
        kinds[event["kind"]] += 1
    assert kinds == {"unknown": 212, "v2_sync": 27, "v2_swap": 27, "v3_swap": 5}
    assert kinds.total() == len(frames) == 271
