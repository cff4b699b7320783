"""The command `snapshot`: the live market after one block as a file.

Owns the order of the steps, the tokens' names and decimals, and what is left out and why. Pools are
found and read by dex, the file is market_file's.
"""

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mevfast import market_file
from mevfast._fields import parse_integer
from mevfast._pool import Pool
from mevfast.chain import patience
from mevfast.chain.rpc import Rpc, check_chain_id
from mevfast.config import Config, load_config
from mevfast.dex import market as dex
from mevfast.dex.token_info import read_tokens, token_of
from mevfast.errors import DataError, NodeError
from mevfast.market_file import MarketFile, MarketPool, Token
from mevfast.model import Loaded

HELP = """the live market as a file: every pool that the config's venues have, after one block

Connects to the config's node, finds the pools, reads their states at one block, and the symbols and
decimals of their tokens, and writes a mevfast-market/1 file for `scan`, `quote` and `state-hash`.
What cannot be read is left out, counted and said. The base tokens are the config's start_tokens.

examples:
  python -m mevfast snapshot --config mevfast.toml -o market.json
  python -m mevfast snapshot --config mevfast.toml -o market.json.gz --block 300000000 --json
"""

_HEX = re.compile(r"0x[0-9a-fA-F]{40,}")
_UINT64_MAX = (1 << 64) - 1

Said = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and how much there is of it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A market as it was read, and what is not in it: reason -> pools."""

    market: MarketFile
    left_out: dict[str, int]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="MARKET",
        help='the file to write, gzipped where its name ends in ".gz"',
    )
    parser.add_argument(
        "--block", metavar="N", help="the states after this block (default: the node's newest)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


# ---- reading ----


async def take(config: Config, path: str, block: int | None, said: Said) -> Snapshot:
    """The market that the config describes, after a block or after the newest; nothing is written.

    Raises NodeError where the node cannot answer or the chain went another way meanwhile.
    """
    async with await Rpc.connect(
        config.node.url, request_timeout=config.node.request_timeout_s
    ) as rpc:
        await check_chain_id(rpc, config.node.chain_id)
        number, block_hash = await _header(rpc, block)
        loaded, left_out = await _read_pools(rpc, config, number, said)
        wanted = {_hex(token) for load in loaded.loads for token in load.pool.tokens}
        base = _base_tokens(config)
        infos = await read_tokens(rpc, sorted({*wanted, *base}), number, said)
        if (await _header(rpc, number))[1] != block_hash:
            raise NodeError(
                f"{config.node.shown_url}: block {number} was replaced while its states were read; "
                "take the snapshot again, or of an older --block"
            )
    tokens = {address: token_of(address, info) for address, info in infos.items()}
    for address in base:
        if tokens[address] is None:
            raise DataError(
                f"market.start_tokens: expected tokens with decimals, {address} has none at block "
                f"{number}; correct the config"
            )
    pools = _pools(loaded, tokens, left_out)
    used = {token for pool in pools for token in pool.tokens}
    first = [token for address in base if (token := tokens[address]) is not None]
    rest = sorted(used - set(first), key=lambda token: token.address)
    return Snapshot(
        MarketFile(
            path=path,
            chain_id=config.node.chain_id,
            block=number,
            tokens=(*first, *rest),
            base_tokens=tuple(first),
            pools=tuple(pools),
            block_hash=block_hash,
        ),
        dict(left_out.most_common()),
    )


async def _read_pools(
    rpc: Rpc, config: Config, block: int, said: Said
) -> tuple[Loaded, Counter[str]]:
    """Pools and states: the only place that knows how dex is asked."""
    left_out: Counter[str] = Counter()
    found = await dex.discover(
        rpc,
        config.market,
        block,
        on_progress=lambda done, total: said("finding pools, blocks", done, total),
        refused=left_out,
    )
    if not found:
        raise NodeError(
            "market: expected pools, the config's venues have announced none that it admits; check "
            "their addresses and from_block"
        )
    loaded = await dex.load(
        rpc, found, block, lambda done, total: said("reading states, pools", done, total)
    )
    left_out.update(_HEX.sub("0x…", why) for why in loaded.failed.values())
    return loaded, left_out


async def _header(rpc: Rpc, block: int | None) -> tuple[int, str]:
    """Number and hash of a block, or of the newest one."""
    name = "latest" if block is None else hex(block)
    found = await patience.request(rpc, "eth_getBlockByNumber", [name, False])
    if found is None:
        raise NodeError(f"--block: expected a block that the node has, was {block}")
    try:
        return int(found["number"], 16), str(found["hash"]).lower()
    except (TypeError, KeyError, ValueError):
        raise NodeError(
            f"eth_getBlockByNumber({name}): expected a block, node answered {found!r:.80}"
        ) from None


# ---- what was read ----


def _hex(address: bytes) -> str:
    return "0x" + address.hex()


def _base_tokens(config: Config) -> list[str]:
    """The start tokens in lower case, the base token first."""
    start = [address.lower() for address in config.market.start_tokens]
    base = config.market.base_token.lower()
    return sorted(start, key=lambda address: address != base)


def _pools(
    loaded: Loaded, tokens: dict[str, Token | None], left_out: Counter[str]
) -> list[MarketPool]:
    pools = []
    for load in loaded.loads:
        record = load.pool
        own = [tokens[_hex(token)] for token in record.tokens]
        known = tuple(token for token in own if token is not None)
        if len(known) != len(own):
            left_out["a token without decimals"] += 1
        elif len(set(known)) != len(known):
            left_out["a token twice"] += 1
        else:
            pools.append(
                MarketPool(
                    address=record.name,
                    kind=record.kind,
                    tokens=known,
                    pool=Pool(record.kind, load.state, f"pool {record.name}: "),
                    venue=record.venue,
                    created=record.block,
                    facts=record.facts,
                )
            )
    return pools


# ---- printing ----


@contextmanager
def _progress() -> Iterator[Said]:
    """Bars on a terminal, a line for each step elsewhere; on standard error."""
    console = Console(stderr=True)
    steps: dict[str, Any] = {}
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal,
    ) as bars:  # fmt: skip

        def said(what: str, done: int, total: int) -> None:
            if what not in steps:
                steps[what] = bars.add_task(what, total=total)
                if not console.is_terminal:
                    print(f"{what}: {total}", file=sys.stderr)
            bars.update(steps[what], completed=done, total=total)

        yield said


def _json(snapshot: Snapshot, state_hash: str, seconds: float) -> dict[str, Any]:
    market = snapshot.market
    return {
        "file": market.path,
        "chain_id": market.chain_id,
        "block": str(market.block),
        "block_hash": market.block_hash,
        "tokens": len(market.tokens),
        "pools": len(market.pools),
        "by_kind": _by_kind(market),
        "left_out": snapshot.left_out,
        "state_hash": state_hash,
        "seconds": round(seconds, 3),
    }


def _by_kind(market: MarketFile) -> dict[str, int]:
    return dict(sorted(Counter(pool.kind for pool in market.pools).items()))


def _print(snapshot: Snapshot, state_hash: str, seconds: float) -> None:
    market = snapshot.market
    kinds = ", ".join(f"{kind} {count}" for kind, count in _by_kind(market).items())
    for why, count in snapshot.left_out.items():
        print(f"left out    {count}: {why}")
    print(
        f"{market.path}: {len(market.pools)} pools ({kinds}), {len(market.tokens)} tokens, "
        f"{sum(snapshot.left_out.values())} pools left out, in {seconds:.1f} s\n"
        f"block       {market.block} {market.block_hash}\n"
        f"state hash  {state_hash}"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the file and says what is in it; raises what stands in the way of that."""
    block = None
    if args.block is not None:
        block = parse_integer(args.block, "--block", 0, _UINT64_MAX)
    config = load_config(args.config, deployed=False)
    folder = Path(args.out).parent
    if not os.access(folder, os.W_OK | os.X_OK):  # found out now, not after minutes of reading
        raise DataError(f"{args.out}: expected a folder that can be written to, {folder} is none")
    began = time.monotonic()
    with _progress() as said:
        snapshot = uvloop.run(take(config, args.out, block, said))
    state_hash = market_file.write(snapshot.market)
    seconds = time.monotonic() - began
    if args.json:
        print(json.dumps(_json(snapshot, state_hash, seconds)))
    else:
        _print(snapshot, state_hash, seconds)
    return 0
