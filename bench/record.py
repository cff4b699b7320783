"""Record what `python -m mevfast bench` replays: the embedded chain's frames as the node sent them.

    python bench/record.py [--blocks 300] [--seed 1] [--out bench/data/stream.json.gz]

Starts the embedded chain with its traders, subscribes to heads and logs as the engine does, loads
the market at one block, and keeps every frame from then on, grouped by read of the socket. Nobody
takes the arbitrage that the traders leave, so the recorded market is richer in it than a live one.

The file is gzipped JSON, `mevfast-stream/1`: `market` (tokens, base tokens and pools after `block`,
integers as decimal strings, V3 ticks as [tick, liquidity_gross, liquidity_net]), `lenders` (what
flash lenders offer of each base token: the arguments of Search.lend), `start` (the head of that
block) and `reads` (lists of frames as text, one list for each read of the socket).
"""

import argparse
import asyncio
import gzip
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import uvloop
from picows import WSFrame

from mevfast.chain.multicall import At
from mevfast.chain.rpc import Rpc
from mevfast.config import Factory, Market
from mevfast.devnet.net import Devnet
from mevfast.dex import market as dex
from mevfast.errors import NodeError
from mevfast.execution.lenders import read_terms
from mevfast.model import PoolLoad

OUT = Path(__file__).parent / "data" / "stream.json.gz"
START_SYMBOLS = ("WETH", "USDC", "USDT", "DAI")
NOTIFICATION = b'"eth_subscription"'
HEAD = re.compile(rb'"parentHash"')
NUMBER = re.compile(rb'"number":\s*"(0x[0-9a-f]+)"')
BLOCK_OF_LOG = re.compile(rb'"blockNumber":\s*"(0x[0-9a-f]+)"')


class Recorder:
    """Stands where the engine's core stands and keeps what comes."""

    def __init__(self) -> None:
        """Nothing is kept before the first frame."""
        self.reads: list[list[bytes]] = []
        self.read: list[bytes] = []
        self.head = 0
        self.moved = asyncio.Event()

    def feed(self, frame: WSFrame) -> bool:
        """One whole message."""
        return self.feed_bytes(frame.get_payload_as_bytes())

    def feed_bytes(self, message: bytes) -> bool:
        """One message; keeps it where it is a notification."""
        if NOTIFICATION not in message:
            return False
        self.read.append(message)
        if HEAD.search(message):
            self.head = block_of(message)
            self.moved.set()
        return True

    def flush(self) -> None:
        """The end of one read."""
        if self.read:
            self.reads.append(self.read)
            self.read = []

    async def reach(self, block: int) -> None:
        """Waits for the head of `block`."""
        while self.head < block:
            self.moved.clear()
            async with asyncio.timeout(10):
                await self.moved.wait()


def block_of(message: bytes) -> int:
    """The block a frame belongs to."""
    found = (NUMBER if HEAD.search(message) else BLOCK_OF_LOG).search(message)
    if found is None:
        raise NodeError(f"expected a block number in the frame, was {message[:80]!r}")
    return int(found[1], 16)


def decimal(value: Any) -> Any:
    """Integers as decimal strings, all the way down."""
    if isinstance(value, list | tuple):
        return [decimal(each) for each in value]
    return str(value) if type(value) is int else value


def market_file(net: Devnet, loads: list[PoolLoad], block: int) -> dict[str, Any]:
    """Tokens, base tokens and pools after a block."""
    tokens = [bytes.fromhex(each.address[2:]) for each in net.market.tokens]
    index = {address: i for i, address in enumerate(tokens)}
    symbols = [each.symbol for each in net.market.tokens]
    return {
        "chain_id": net.market.chain_id,
        "block": block,
        "tokens": [
            {"address": each.address.lower(), "symbol": each.symbol, "decimals": each.decimals}
            for each in net.market.tokens
        ],
        "base_tokens": [symbols.index(symbol) for symbol in START_SYMBOLS],
        "pools": [
            {
                "address": load.pool.name,
                "kind": load.pool.kind,
                "tokens": [index[token] for token in load.pool.tokens],
                **{key: decimal(value) for key, value in load.state.items()},
            }
            for load in loads
        ],
    }


async def record(blocks: int, seed: int) -> dict[str, Any]:
    """Runs the chain for so many blocks."""
    async with Devnet(seed=seed) as net:
        recorder = Recorder()
        async with await Rpc.connect(net.ws_url, hot=recorder) as rpc:
            await rpc.subscribe("newHeads")
            await rpc.subscribe("logs", {"topics": [dex.TOPICS]})
            await recorder.reach(1)
            block = recorder.head
            weth = net.market.weth
            config = Market(
                base_token=weth,
                start_tokens=(weth,),
                factories=tuple(
                    Factory(name=each.name, kind=each.kind, address=each.address,
                            fee_pips=each.fee_pips)
                    for each in net.market.factories
                ),
            )  # fmt: skip
            pools = await dex.discover(rpc, config, block)
            market = market_file(net, (await dex.load(rpc, pools, block)).loads, block)
            base = [bytes.fromhex(net.market.tokens[i].address[2:]) for i in market["base_tokens"]]
            terms = await read_terms(
                At(rpc, block, net.market.multicall), base, "0x" + "00" * 20,
                net.market.balancer_vault, net.market.aave_pool,
            )  # fmt: skip
            while recorder.head < block + blocks:
                await recorder.reach(recorder.head + 1)
                net.check()
                print(f"\r{recorder.head - block} of {blocks} blocks", end="", file=sys.stderr)
    print(file=sys.stderr)
    frames = [frame for read in recorder.reads for frame in read]
    start = next(frame for frame in frames if HEAD.search(frame) and block_of(frame) == block)
    wanted = range(block + 1, block + blocks + 1)
    kept = [[each for each in read if block_of(each) in wanted] for read in recorder.reads]
    return {
        "format": "mevfast-stream/1",
        "about": f"embedded chain (anvil), {blocks} blocks after block {block}, seed {seed}",
        "market": market,
        "lenders": [{**asdict(each), "token": "0x" + each.token.hex()} for each in terms],
        "start": start.decode(),
        "reads": [[frame.decode() for frame in read] for read in kept if read],
    }


def main() -> None:
    """Records and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    stream = uvloop.run(record(args.blocks, args.seed))
    stream["lenders"] = [
        {k: v if isinstance(v, bool) else decimal(v) for k, v in terms.items()}
        for terms in stream["lenders"]
    ]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # No time stamp and no name inside: the same chain gives the same bytes.
    args.out.write_bytes(gzip.compress(orjson.dumps(stream), 9, mtime=0))
    frames = sum(map(len, stream["reads"]))
    pools = len(stream["market"]["pools"])
    print(f"{args.out}: {pools} pools, {frames} frames, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
