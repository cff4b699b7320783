"""Logs of real blocks: those of a known topic have the shape of its signature, and pairs follow."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mevfast import _wire
from mevfast._audit import Audit
from mevfast._cache import Table
from tests import frames

pytestmark = pytest.mark.real

FEE_PIPS = 3000


def logs_of(real_data: Path, name: str) -> list[dict[str, Any]]:
    """Every log of the recorded block, as eth_getTransactionReceipt has it."""
    block = json.loads(gzip.decompress((real_data / "blocks" / name).read_bytes()))
    return [log for receipt in block["receipts"]["result"] for log in receipt["logs"]]


def frame(log: dict[str, Any]) -> bytes:
    """The notification of a log."""
    result = {"transactionIndex": "0x0", "removed": False} | log
    params = {"subscription": "0x1", "result": result}
    return json.dumps(
        {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}
    ).encode()  # fmt: skip


def test_known_topics_have_the_shape_of_their_signatures(real_data: Path) -> None:
    kinds: Counter[str] = Counter()
    for log in logs_of(real_data, "cache_11931270-new.json.gz"):
        event = _wire.parse(frame(log))
        assert event is not None
        assert not event["misshapen"], log
        kinds[event["kind"]] += 1
    assert kinds["curve_exchange"] == 2
    assert kinds["v2_sync"] >= kinds["v2_swap"] == 10


def test_pairs_follow_their_syncs_and_their_swaps_fit_the_reserves_before(real_data: Path) -> None:
    table = Table(64, 64)
    audit = Audit(table)
    last: dict[int, list[int]] = {}
    name = "eth_subscription_logs_17173049.jsonl.gz"
    for notification in gzip.decompress((real_data / "wire" / name).read_bytes()).splitlines():
        event = _wire.parse(notification)
        assert event is not None
        if event["kind"] not in ("v2_sync", "v2_swap"):
            continue
        pair, where = event["address"], (event["block_number"], event["log_index"])
        if table.slot(pair) is None:
            reserves = dict(zip(("reserve0", "reserve1"), event["words"], strict=False))
            tokens = [frames.address(2 * len(last)), frames.address(2 * len(last) + 1)]
            slot = table.put(
                pair, "uniswap_v2", tokens, {**reserves, "fee_pips": FEE_PIPS}, *where
            )  # fmt: skip
        else:
            [(result, slot)] = audit.replay([notification])
            assert result == ("changed" if event["kind"] == "v2_sync" else "no_state")
        if event["kind"] == "v2_sync":
            last[slot] = event["words"]
    for slot, reserves in last.items():
        read = table.read(slot)
        assert [read["reserve0"], read["reserve1"]] == reserves
    assert (audit.n_checks, audit.n_mismatches) == (7, 0)
