"""What a long run shows and a short one cannot: the tail, growing memory, and frames sustained.

Owns the section `long` of the result. Streams go round in later and later blocks, so that a million
events need the memory of a few thousand.
"""

import gc
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mevfast._bench import Endless, Replay
from mevfast.bench_stages import signer
from mevfast.bench_stream import LOGS_A_BLOCK, Stream, make_quiet, make_stream, moving_numbers

POOLS = 2000
EVENTS = 1_000_000
QUIET_EVENTS = 400_000
WARM_EVENTS = 200_000
"""Before memory is looked at, unsigned: the undo journal takes its room while it fills."""
WARM_READS = 4_000
"""And as many signed, for the caches."""
LEAST_S = 1.0
CHUNK = 20_000
"""Reads between two looks at clock and progress."""


def endless(stream: Stream) -> Endless:
    """A stream without an end, on a core of its own."""
    numbers, blocks = moving_numbers(stream)
    core, sink = stream.core(signer(), timed=False)
    return Endless(Replay(core, sink), stream.reads, numbers, stream.block + 1, blocks)


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class _Collections:
    """Counts the garbage collector's runs within a `with` block."""

    def __enter__(self) -> "_Collections":
        self.n = 0
        gc.callbacks.append(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._seen)

    def _seen(self, phase: str, info: dict[str, int]) -> None:
        self.n += phase == "start"


def _quantiles(values: NDArray[np.int64]) -> dict[str, int]:
    if not len(values):
        return {}
    shares = (0.0, 0.5, 0.99, 0.999, 0.9999, 1.0)
    found = np.quantile(values, shares, method="lower").tolist()
    names = ("min_ns", "p50_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns")
    return {**dict(zip(names, found, strict=True)), "samples": len(values)}


def tail(
    events: int,
    until: float,
    progress: Callable[[int], object] = lambda done: None,
    *,
    settled: bool = True,
) -> dict[str, Any]:
    """So many events at 2,000 pools, half of which are signed; fewer where it is later than `until`
    on the monotonic clock and they have taken a second.

    An event is a log that changes a pool. `signed`: frame to signed request of those that lead to
    one; `unsigned`: the others, all their work. `collections`: the garbage collector's runs.
    `switches`: how often the kernel gave the core to something else, the reason of most of the tail
    on a machine that does other things. `grown_bytes`: resident memory after them less before, None
    unless the run is `settled`: has first filled what is filled once.
    """
    stream = endless(make_stream(POOLS))
    # Ones, for zeros have no memory yet; and room for a last turn that is all of one sort.
    signed, unsigned, warm = (np.ones(n, np.int64) for n in (*[events + CHUNK] * 2, CHUNK))
    core = stream.replay.core
    core.shadow = True
    for _ in range(2 * WARM_EVENTS // CHUNK if settled else 0):
        stream.run(CHUNK, warm, warm)
    core.shadow = False
    stream.run(WARM_READS, warm, warm)
    gc.collect()
    n_signed = n_unsigned = 0
    until = max(until, time.monotonic() + LEAST_S)
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    before = resident_bytes()
    with _Collections() as collections:
        while (left := events - n_signed - n_unsigned) > 0 and time.monotonic() < until:
            # A block is two reads, its head and its log.
            a, b, _ = stream.run(min(CHUNK, 2 * left), signed[n_signed:], unsigned[n_unsigned:])
            n_signed, n_unsigned = n_signed + a, n_unsigned + b
            progress(n_signed + n_unsigned)
    after = resident_bytes()
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
    found = _quantiles(signed[:n_signed])
    return {
        "events": n_signed + n_unsigned,
        "asked": events,
        "live": core.live,
        "signed": found,
        "unsigned": _quantiles(unsigned[:n_unsigned]),
        "p999_over_p50": round(found["p999_ns"] / found["p50_ns"], 2) if found else None,
        "collections": collections.n,
        "switches": switches,
        "grown_bytes": after - before if settled else None,
    }


def sustained(events: int) -> dict[str, Any]:
    """Logs a second of one core's time at 2,000 pools, each a read of its own and searched, where
    nothing pays; the heads, one to LOGS_A_BLOCK logs, are in the time but not counted."""
    stream = endless(make_quiet(POOLS))
    spare = np.zeros(CHUNK, np.int64)
    stream.run(CHUNK, spare, spare)
    core = stream.replay.core
    searches = core.n_searches
    logs = cpu_ns = 0
    rates = []
    while logs < events:
        _, n, ns = stream.run(CHUNK, spare, spare)
        logs, cpu_ns = logs + n, cpu_ns + ns
        rates.append(n / ns * 1e9)
    return {
        "frames_a_second": round(logs / cpu_ns * 1e9),
        "best_a_second": round(max(rates)),
        "frames": logs,
        "searches": core.n_searches - searches,
        "logs_a_block": LOGS_A_BLOCK,
        "transactions": core.n_sent,
        "live": core.live,
    }
