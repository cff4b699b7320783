"""Readers racing the writer see every slot whole, through the writes that a feed makes."""

import threading
import time
from collections.abc import Callable
from typing import Any

from mevfast._cache import Table
from tests import frames
from tests.frames import address
from tests.oracle.univ3 import sqrt_ratio_at_tick

POOL, TOKEN0, TOKEN1 = (address(i) for i in range(1, 4))
SECONDS = 1.0
PATIENCE = 60.0
"""Seconds for as many reads and states as make a race of it, on a busy machine."""
READS, WRITES, STATES = 100, 10_000, 10
L = 10**18


def race(
    table: Table, slot: int, events: list[bytes], spins: int, check: Callable[[Any], None]
) -> int:
    """Applies events without the GIL while this thread reads; how many different states it saw.

    Between two events the writer idles for `spins` turns, or no reader would ever get a turn.
    """
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            written += table.replay(events, 2000, spins)
            for frame in events:  # the next replay starts behind what this one wrote
                assert table.apply(frame)[0] == "old"
            table.put(*start, block=0)

    read = table.read(slot)
    start = (POOL, read["kind"], (TOKEN0, TOKEN1), read)
    writer = threading.Thread(target=write)
    writer.start()
    seen: set[str] = set()
    reads = 0
    began = time.monotonic()

    def raced() -> bool:
        enough = reads > READS and written > WRITES and len(seen) > 2 * STATES
        return time.monotonic() - began > (SECONDS if enough else PATIENCE)

    try:
        while not raced():
            read = table.read(slot)
            check(read)
            reads += 1
            seen.add(str(read))
    finally:
        stop.set()
        writer.join()
    assert reads > READS
    assert written > WRITES
    return len({state.split("'block'")[0] + state.split("'stale'")[1] for state in seen})


def test_v2_reserves_are_never_of_two_syncs() -> None:
    """Each Sync's reserves belong to its log index, and are the same distance apart."""
    table = Table(4, 64)
    values = [(i * 0x0123_4567_89AB_CDEF_0123_4567) % (1 << 100) for i in range(1, 64)]
    gap = (1 << 70) + 3
    state = {"reserve0": 1, "reserve1": 1 + gap, "fee_pips": 3000}
    slot = table.put(POOL, "uniswap_v2", (TOKEN0, TOKEN1), state, 0)
    events = [frames.v2_sync(POOL, v, v + gap, block=1, index=i) for i, v in enumerate(values)]

    def check(read: dict[str, Any]) -> None:
        assert read["reserve1"] - read["reserve0"] == gap
        assert read["block"] == 0 or read["reserve0"] == values[read["log_index"]]

    assert race(table, slot, events, 20, check) > STATES


def test_v3_ticks_are_never_of_two_events() -> None:
    """Positions come and go: nets always sum to 0, and to the liquidity up to the tick."""
    table = Table(4, 4096)
    state = {
        "sqrt_price_x96": sqrt_ratio_at_tick(0),
        "liquidity": L,
        "tick": 0,
        "tick_spacing": 10,
        "fee_pips": 500,
        "ticks": [(-887270, L, L), (887270, L, -L)],
    }
    slot = table.put(POOL, "uniswap_v3", (TOKEN0, TOKEN1), state, 0)
    spans = [(-10 * i, 10 * i + 5, L + i) for i in range(1, 20)]
    events, index = [], 0
    for make in (frames.v3_mint, frames.v3_burn):
        for lower, upper, amount in spans:
            events.append(make(POOL, lower, upper, amount, block=1, index=index))
            index += 1

    def check(read: dict[str, Any]) -> None:
        ticks = read["ticks"]
        assert sum(net for _, _, net in ticks) == 0
        assert sum(net for tick, _, net in ticks if tick <= 0) == read["liquidity"]
        assert [tick for tick, _, _ in ticks] == sorted({tick for tick, _, _ in ticks})
        assert all(gross == abs(net) for _, gross, net in ticks)
        assert len(ticks) == 2 + 2 * round((read["liquidity"] - L) / L)

    assert race(table, slot, events, 100, check) > STATES
