"""A process that reads a table another one writes: python -m tests.table_child PATH SECONDS HOW.

HOW is "checked", for SECONDS and until every kind was read ENOUGH times, or "unchecked" until one
state of each kind was torn, for SECONDS at most. Prints one line of JSON: reads and torn states by
kind, and how many different states were seen. The writer is in unit/test_table_reader.py.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

from mevfast._slots import TableReader

GAP = (1 << 70) + 3
ENOUGH = 500
PATIENCE = 120.0
"""Seconds: a slow build on a busy machine reads some fifty states a second."""


def reserve_of(log_index: int) -> int:
    """reserve0 after the Sync at a place in its block."""
    return (log_index + 1) * 0x0123_4567_89AB_CDEF_0123_4567 % (1 << 100)


def whole(read: dict[str, Any]) -> bool:
    """Whether a state is one that the writer wrote."""
    match read["kind"]:
        case "uniswap_v2":
            placed = read["block"] == 0 or read["reserve0"] == reserve_of(read["log_index"])
            return placed and bool(read["reserve1"] - read["reserve0"] == GAP)
        case "uniswap_v3":
            ticks, liquidity = read["ticks"], read["liquidity"]
            places = [entry[0] for entry in ticks]
            return (
                all(len(entry) == 3 and entry[1] == abs(entry[2]) for entry in ticks)
                and places == sorted(set(places))
                and sum(net for _, _, net in ticks) == 0
                and sum(net for tick, _, net in ticks if tick <= 0) == liquidity
            )
        case _:
            return len(set(read["balances"])) == 1


def main(path: str, seconds: float, how: str) -> None:
    table = TableReader(path, unchecked=how == "unchecked")
    reads: Counter[str] = Counter()
    torn: Counter[str] = Counter()
    seen: set[str] = set()
    slots = table.slots()
    slots += [slots[0]] * 20  # the smallest state is the one that is hardest to catch
    print("reading", flush=True)
    start = time.monotonic()

    def done() -> bool:
        spent = time.monotonic() - start
        if table.unchecked:
            return spent > seconds or min(torn.values(), default=0) > 0
        enough = min(reads.values(), default=0) >= ENOUGH
        return spent > PATIENCE or (spent > seconds and enough)

    while not done():
        for slot in slots:
            read = table.read(slot)
            reads[read["kind"]] += 1
            torn[read["kind"]] += not whole(read)
            seen.add(str(read))
    print(json.dumps({"reads": reads, "torn": torn, "states": len(seen)}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
