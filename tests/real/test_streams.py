"""A day of two mainnet V3 pools and a block of mainnet logs, fed through the hot chain as frames.

State is carried from event to event and never read again, but for the rows that the recording
itself marks as unsolved. The audit compares every swap with the quote on the state before it.
"""

import csv
import gzip
import json
from collections import Counter
from typing import Any

import pytest

from mevfast import _wire
from mevfast._cache import Table
from mevfast._core import Core
from mevfast._search import Search
from mevfast._tx import Signer
from tests import frames
from tests.oracle.recorded import REAL, needs_real

pytestmark = needs_real

STREAMS = {
    "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640_2024-01-05": (3019, 4),
    "0x8ad599c3a0ff1de082011efddc58f1908eb6e6d8_2024-01-05": (133, 0),
}
RESYNC = "unsolved_multi_cross"


def address_of(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def core_of(table: Table, tokens: list[bytes]) -> Core:
    search = Search(table, tokens[:1], tokens[0])
    signer = Signer(bytearray(b"\x01" * 32))
    core = Core(search, signer, bytes(20), 1, lambda _: None, lambda: None)
    core.shadow = True
    return core


def recorded(name: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    folder = REAL / "v3/streams"
    start = json.loads((folder / f"{name}.state.json").read_bytes())
    text = gzip.decompress((folder / f"{name}.csv.gz").read_bytes()).decode()
    return start, list(csv.DictReader(text.splitlines()))


def start_state(start: dict[str, Any], rows: list[dict[str, str]]) -> dict[str, Any]:
    """The recorded start, with the least gross amounts that let the day's burns happen.

    The recording knows the nets of the ticks that are crossed. A tick that only burns name held
    those positions and no others: it is empty where they have taken most.
    """
    held: dict[int, tuple[int, int]] = {}  # gross and net since the start
    emptiest: dict[int, tuple[int, int]] = {}
    for row in rows:
        if row["event"] == "swap":
            continue
        amount = int(row["amount"]) * (1 if row["event"] == "mint" else -1)
        for end, sign in (("tickLower", 1), ("tickUpper", -1)):
            gross, net = held.get(int(row[end]), (0, 0))
            now = held[int(row[end])] = (gross + amount, net + sign * amount)
            emptiest[int(row[end])] = min(emptiest.get(int(row[end]), (0, 0)), now)
    nets = {tick: -net for tick, (gross, net) in emptiest.items() if gross < 0}
    nets |= {int(tick): int(net) for tick, net in start["knownTickNets"].items()}
    gross = {tick: max(abs(nets[tick]), -emptiest.get(tick, (0, 0))[0]) for tick in nets}
    return {
        "sqrt_price_x96": int(start["sqrtPriceX96"]),
        "liquidity": int(start["liquidity"]),
        "tick": int(start["tick"]),
        "tick_spacing": start["tickSpacing"],
        "fee_pips": start["fee"],
        "ticks": [(tick, gross[tick], nets[tick]) for tick in sorted(nets) if gross[tick]],
    }


def frame_of(pool: bytes, row: dict[str, str]) -> bytes:
    where = {"block": int(row["block"]), "index": int(row["logIndex"])}
    if row["event"] == "swap":
        amounts = int(row["amount0"]), int(row["amount1"])
        after = int(row["sqrtPriceX96"]), int(row["liquidity"]), int(row["tick"])
        return frames.v3_swap(pool, *amounts, *after, **where)
    make = {"mint": frames.v3_mint, "burn": frames.v3_burn}[row["event"]]
    return make(pool, int(row["tickLower"]), int(row["tickUpper"]), int(row["amount"]), **where)


def at_head(core: Core, block: int) -> None:
    """Goes on at a block: the recording leaves out those without a log of the pool."""
    core.flush()
    core.begin_load()
    core.start_at(frames.head(block))
    assert core.end_load(block)


@pytest.mark.parametrize("name", STREAMS)
def test_a_day_of_a_pool_without_reading_it_again(name: str) -> None:
    start, rows = recorded(name)
    pool, tokens = address_of(start["pool"]), [address_of(start[f"token{i}"]) for i in (0, 1)]
    table = Table(4, 4096)
    core = core_of(table, tokens)
    block = int(rows[0]["block"]) - 1
    slot = table.put(pool, "uniswap_v3", tokens, start_state(start, rows), block)
    core.search.add_pool(slot)
    core.begin_load()
    core.feed_bytes(frames.head(block))
    assert core.end_load(block)
    swaps = resynced = 0
    for row in rows:
        if row["mode"] == RESYNC:
            # what a load would do: take the pool's state over, ticks as they are
            moved = {"sqrt_price_x96": int(row["sqrtPriceX96"]), "tick": int(row["tick"]),
                     "liquidity": int(row["liquidity"])}  # fmt: skip
            core.flush()
            state = table.read(slot) | moved
            where = int(row["block"]), int(row["logIndex"])
            table.put(pool, "uniswap_v3", tokens, state, *where)
            resynced += 1
            continue
        if int(row["block"]) > core.head_number:
            at_head(core, int(row["block"]))
        core.feed_bytes(frame_of(pool, row))
        assert core.live, core.doubt
        swaps += row["event"] == "swap"
        if swaps % 7 == 0:
            core.flush()
    core.flush()
    audit = core.audit
    assert (swaps + resynced, resynced) == STREAMS[name]
    assert (audit.n_checks, audit.n_mismatches, audit.n_skipped) == (swaps, 0, 0), audit.mismatches
    assert table.applied()["changed"] == len(rows) - resynced == core.n_logs
    last = next(row for row in reversed(rows) if row["event"] == "swap")
    end = table.read(slot)
    assert end["sqrt_price_x96"] == int(last["sqrtPriceX96"])
    assert end["tick"] == int(last["tick"])
    after = rows[rows.index(last) + 1 :]
    moved = sum(
        int(row["amount"]) * (1 if row["event"] == "mint" else -1)
        for row in after
        if int(row["tickLower"]) <= end["tick"] < int(row["tickUpper"])
    )
    assert end["liquidity"] == int(last["liquidity"]) + moved
    assert not end["stale"]
    assert not end["quarantined"]


@pytest.mark.parametrize("name", STREAMS)
def test_a_fee_that_is_off_is_seen_at_once(name: str) -> None:
    start, rows = recorded(name)
    pool, tokens = address_of(start["pool"]), [address_of(start[f"token{i}"]) for i in (0, 1)]
    table = Table(4, 4096)
    core = core_of(table, tokens)
    block = int(rows[0]["block"]) - 1
    state = start_state(start, rows) | {"fee_pips": start["fee"] + 1}
    slot = table.put(pool, "uniswap_v3", tokens, state, block)
    core.begin_load()
    core.feed_bytes(frames.head(block))
    core.end_load(block)
    core.feed_bytes(frame_of(pool, next(row for row in rows if row["event"] == "swap")))
    core.flush()
    assert core.audit.n_mismatches == 1
    assert table.read(slot)["quarantined"]


def test_a_block_of_mainnet_logs_loses_none() -> None:
    name = "wire/eth_subscription_logs_17173049.jsonl.gz"
    messages = gzip.decompress((REAL / name).read_bytes()).splitlines()
    events = [_wire.parse(message) for message in messages]
    logs = [event for event in events if event is not None]
    assert len(logs) == len(messages) == 271
    kinds = Counter(event["kind"] for event in logs)
    pairs = {event["address"]: event["words"] for event in logs if event["kind"] == "v2_sync"}
    table, tokens = Table(64, 64), [frames.address(i) for i in (1, 2)]
    core = core_of(table, tokens)
    block = logs[0]["block_number"] - 1
    for pool in pairs:
        state = {"reserve0": 1, "reserve1": 1, "fee_pips": 3000}
        core.search.add_pool(table.put(pool, "uniswap_v2", tokens, state, block))
    core.begin_load()
    core.feed_bytes(frames.head(block))
    assert core.end_load(block)
    for message in messages:
        assert core.feed_bytes(message)
    assert core.n_logs == len(messages)
    assert core.n_unknown == kinds["unknown"]
    applied = table.applied()
    assert applied["changed"] == kinds["v2_sync"]
    # a V2 Swap carries no state; the V3 pools of the block were never put
    assert applied["no_state"] == sum(
        event["kind"] == "v2_swap" and event["address"] in pairs for event in logs
    )
    assert applied["unknown_pool"] == sum(
        event["kind"] != "unknown" and event["address"] not in pairs for event in logs
    )
    assert sum(applied.values()) + core.n_unknown == len(messages)
    for pool, (reserve0, reserve1) in pairs.items():
        read = table.read(table.slot(pool) or 0)
        assert (read["reserve0"], read["reserve1"]) == (reserve0, reserve1)
        assert read["block"] == block + 1
    assert core.live
