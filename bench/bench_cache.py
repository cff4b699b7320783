"""What does the table cost at scale: bytes a pool, lookups, events, with 1,000 to 100,000 pools?

    python -m bench.bench_cache [--json] [--out FILE] [--seconds N]

Three tables of 7 V2 pools to 3 V3 pools with 30 ticks each take turns, round after round, so that
a machine that slows down slows all of them; the least of each counts, in CPU time. The loops are in
C and take every pool once in random order, after the caches were emptied: slots come from memory
whatever the size, as in life, where other work lies between two events of a pool. Events are
journaled. "In a batch" the keys of those that follow are known, as the logs of a block are, and
their slots are asked for ahead; alone, an event waits for two reads of memory, the second at a
place that the first one tells. Recorded frames are those of bench/data/stream.json.gz, each round
in later blocks, caches warm.

Then starts, the least of a few: an engine that takes up a market file of 20,000 made pools of every
kind (bench.market), up to where it asks the node for the logs since, in CPU time, as it waits for
nothing; and one that finds, tries and reads every pool of the embedded chain, by the clock, beside
the node. The rows go to bench/results/cache.json.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table as Sheet

from bench import pools
from bench.market import make
from mevfast import market_file
from mevfast._bench import clock_cost
from mevfast._bench_cache import V2_SYNC, V3_SWAP, TableLoad, memory_read
from mevfast._cache import Table
from mevfast._pool import Pool
from mevfast._tx import Signer
from mevfast.bench_machine import machine, source_commit
from mevfast.bench_stream import read_stream
from mevfast.chain.rpc import Rpc
from mevfast.config import Config, Executor, Factory, Market, Node, Search
from mevfast.demo import demo_config
from mevfast.devnet.market import ENGINE_ACCOUNT
from mevfast.devnet.net import Devnet
from mevfast.engine import Engine
from mevfast.execution.deploy import deploy_executor
from mevfast.market_file import MarketFile

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "cache.json"
FORMAT = "mevfast-cache/1"
SECONDS = 30.0
SIZES = (1_000, 10_000, 100_000)
V3_SHARE = 0.3
TICKS = 30
REPLAYED = 100_000
"""Recorded frames in one turn, about."""
MOST_BYTES = 256
MOST_NS: dict[str, float | None] = {
    "lookup by address": 50.0,
    "V2 Sync, in a batch": 100.0,
    "V3 Swap, in a batch": 200.0,
    "V2 Sync, alone": None,
    "V3 Swap, alone": None,
}
LEAST_RATE = {"recorded events": 1e6, "recorded frames": 3e5}
WARM_POOLS = 20_000
MOST_WARM_S, MOST_COLD_S = 2.0, 1.0
STARTS = 3
QUICK_S = 10.0
"""Below this one start of each kind has to do."""
MOST_GROWTH = 2.0


@dataclass(frozen=True)
class Row:
    """One line: `value` in `unit`, and what it is to be at most or at least, if anything."""

    what: str
    pools: int
    unit: str
    value: float
    limit: float | None = None
    side: str = "at most"
    met: bool | None = None


def judged(row: Row) -> Row:
    """The row with `met` filled in, rounded."""
    met = None
    if row.limit is not None:
        met = row.value <= row.limit if row.side == "at most" else row.value >= row.limit
    return replace(row, value=round(float(row.value), 3 if row.unit == "s" else 1), met=met)


class Load:
    """One table of a size and its loops, with the least that each took."""

    def __init__(self, size: int) -> None:
        chance = random.Random(size)
        self.size = size
        self.table = Table(size, 64 * size)
        tokens = [chance.randbytes(20) for _ in range(max(2, size // 4))]
        v2 = Pool("uniswap_v2", {"reserve0": 10**21, "reserve1": 10**12, "fee_pips": 3000})
        at = pools.TICK // pools.SPACING
        spans = [
            ((at - i) * pools.SPACING, (at + i) * pools.SPACING, 10**18)
            for i in range(1, TICKS // 2 + 1)
        ]
        v3 = Pool("uniswap_v3", pools.v3_fields(spans))
        keys: dict[str, list[bytes]] = {"uniswap_v2": [], "uniswap_v3": []}
        for _ in range(size):
            pool = v3 if chance.random() < V3_SHARE else v2
            key = chance.randbytes(20)
            self.table.put(key, pool.kind, chance.sample(tokens, 2), pool, 1)
            keys[pool.kind].append(key)
        for some in keys.values():
            chance.shuffle(some)
        every = keys["uniswap_v2"] + keys["uniswap_v3"]
        chance.shuffle(every)
        self.all = TableLoad(self.table, every)
        self.v2 = TableLoad(self.table, keys["uniswap_v2"])
        self.v3 = TableLoad(self.table, keys["uniswap_v3"])
        self.least = dict.fromkeys(MOST_NS, float("inf"))

    def turn(self) -> None:
        """Every loop once; small tables a few times, for a loop of theirs is soon over."""
        for _ in range(1 if self.size > 10_000 else 4):
            for what, spent in (
                ("lookup by address", self.all.lookups()),
                ("V2 Sync, in a batch", self.v2.events(V2_SYNC, batch=True)),
                ("V3 Swap, in a batch", self.v3.events(V3_SWAP, batch=True)),
                ("V2 Sync, alone", self.v2.events(V2_SYNC, batch=False)),
                ("V3 Swap, alone", self.v3.events(V3_SWAP, batch=False)),
            ):
                self.least[what] = min(self.least[what], spent)


class Recorded:
    """The recorded stream's market and its logs, from the bytes and from the parsed event on."""

    def __init__(self) -> None:
        stream = read_stream()
        self.table = Table(max(64, len(stream.pools)))
        for pool in stream.pools:
            tokens = (pool.token0, pool.token1)
            self.table.put(pool.address, pool.kind, tokens, pool.state, stream.block)
        self.frames = [frame for frame in stream.frames() if b'"topics"' in frame]
        self.load = TableLoad(self.table, [])
        self.rounds = max(1, REPLAYED // len(self.frames))
        self.least = dict.fromkeys(LEAST_RATE, float("inf"))
        self.changed = 0.0

    def turn(self) -> None:
        """Both ways once."""
        for what, parsed in (("recorded events", True), ("recorded frames", False)):
            spent, self.changed = self.load.frames(self.frames, self.rounds, parsed)
            self.least[what] = min(self.least[what], spent)


def made_config(market: MarketFile) -> Config:
    """The config of an engine that a made market file serves."""
    base = tuple(token.address for token in market.base_tokens)
    return Config(
        node=Node(url="ws://127.0.0.1:1", chain_id=market.chain_id),
        executor=Executor(address="0x" + "11" * 20),
        market=Market(
            base_token=base[0],
            start_tokens=base,
            factories=(Factory(name="made", kind="uniswap_v3", address="0x" + "22" * 20),),
        ),
        search=Search(min_profit_wei=0),
    )


def warm_start(path: str, config: Config) -> float:
    """Seconds of CPU until a new engine has a market file's pools in table and graph."""
    began = time.process_time()
    engine = Engine(config, Signer(bytearray(31) + b"\1"))
    engine.keeper.venues = {"": bytes(20)}  # made pools are of no venue
    held = market_file.load(path)
    engine.keeper.take(held)
    took = time.process_time() - began
    if len(engine.table) != len(held.pools):
        raise RuntimeError(f"{len(engine.table)} of {len(held.pools)} pools are in the table")
    return took


async def cold_starts(count: int) -> tuple[int, float]:
    """Pools of the embedded chain, and the least seconds of so many engines until all are read."""
    least, pools = float("inf"), 0
    async with Devnet(seed=1, traders=False) as net:
        signer = Signer(net.signer_key(ENGINE_ACCOUNT))
        async with await Rpc.connect(net.ws_url) as rpc:
            executor = await deploy_executor(
                rpc, signer, net.market.balancer_vault, net.market.aave_pool
            )
        for _ in range(count):
            live = asyncio.Event()
            engine = Engine(demo_config(net, executor), signer, on_live=live.set)
            running = asyncio.create_task(engine.run())
            waiting = asyncio.create_task(live.wait())
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            engine.stop()
            await running
            least, pools = min(least, engine.load_s), len(engine.table)
    return pools, least


def starts(count: int) -> list[Row]:
    """A warm start of a large market, and a cold one of the embedded chain's."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "market.json"))
        make(path, WARM_POOLS)
        config = made_config(market_file.load(path))
        warm = min(warm_start(path, config) for _ in range(count))
    pools, cold = uvloop.run(cold_starts(count))
    return [
        Row("warm start from a market file", WARM_POOLS, "s", warm, MOST_WARM_S),
        Row("cold start on the embedded chain", pools, "s", cold, MOST_COLD_S),
    ]


def measure(seconds: float) -> list[Row]:
    """All rows."""
    loads, recorded, memory = [Load(size) for size in SIZES], Recorded(), float("inf")
    gc.collect()
    gc.disable()
    try:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            print(f"\r{left:.0f} s left\x1b[K", end="", file=sys.stderr)
            for load in loads:
                load.turn()
            recorded.turn()
            memory = min(memory, memory_read())
    finally:
        gc.enable()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    rows = [Row("V2 slot", 0, "bytes", loads[0].table.header()["slot_bytes"], MOST_BYTES)]
    for what, limit in MOST_NS.items():
        rows += [Row(what, load.size, "ns", load.least[what], limit) for load in loads]
        growth = loads[-1].least[what] / loads[0].least[what]
        most = MOST_GROWTH if limit else None
        rows.append(Row(f"{what}, growth", SIZES[-1], "times", growth, most))
    known = len(recorded.table)
    for what, least in LEAST_RATE.items():
        rows.append(Row(what, known, "a second", 1e9 / recorded.least[what], least, "at least"))
    rows.append(Row("recorded logs that moved a pool", known, "%", 100 * recorded.changed))
    rows.append(Row("random read of this machine's memory", 0, "ns", memory))
    rows += starts(1 if seconds < QUICK_S else STARTS)
    return [judged(each) for each in rows]


def result(seconds: float) -> dict[str, Any]:
    """The object that is written."""
    load = os.getloadavg()[0]
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "rows": [asdict(each) for each in measure(seconds)],
        "machine": machine(clock_cost()) | {"load_average": round(load, 2)},
    }


def sheet(made: dict[str, Any]) -> Sheet:
    """The rows for people."""
    out = Sheet(title="the table at scale", title_justify="left")
    for name in ("", "pools", "value", "", "limit", "met"):
        out.add_column(name, justify="right" if name in ("pools", "value") else "left")
    for each in made["rows"]:
        limit = "" if each["limit"] is None else f"{each['side']} {each['limit']:,g}"
        met = {None: "", True: "yes", False: "NO"}[each["met"]]
        size = f"{each['pools']:,}" if each["pools"] else ""
        out.add_row(each["what"], size, f"{each['value']:,}", each["unit"], limit, met)
    return out


def main() -> int:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of taking turns")
    args = parser.parse_args()
    made = result(args.seconds)
    args.out.write_text(json.dumps(made, indent=2) + "\n")
    if args.json:
        print(json.dumps(made, indent=2))
        return 0
    Console().print(sheet(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
