"""What the bench replays: a recorded stream from a file, and made markets of any size.

A made market has no arbitrage but what its stream opens: every price agrees with one value for
each token, and fees are left. Tokens hang on a few hubs by parallel pools of 0.3 and 1 %, V2 and
V3. Rings of 2-4 cheap pools (0.05 %) lie among them; a swap in one pool of a ring opens exactly
one cycle that pays, the ring itself, and a swap back closes it.
"""

import gzip
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mevfast._bench import Sink, TimedCore, TimedSearch
from mevfast._cache import Table
from mevfast._core import Core
from mevfast._math import get_tick_at_sqrt_ratio
from mevfast._pool import Pool, Refused
from mevfast._search import FUNDING_NAMES, Search
from mevfast._tx import Signer, keccak256
from mevfast.dex import uniswap_v2, uniswap_v3
from mevfast.errors import DataError
from mevfast.execution.gas import GAS_FUNDING, GAS_HOPS

FORMAT = "mevfast-stream/1"
RECORDED = Path(__file__).parents[1] / "bench" / "data" / "stream.json.gz"
EXECUTOR = bytes.fromhex("e0" * 20)
MIN_PROFIT_WEI = 10**13


@dataclass(slots=True)
class PoolState:
    """A pool and its state in the arguments of Table.put."""

    address: bytes
    kind: str
    token0: bytes
    token1: bytes
    state: dict[str, Any]


@dataclass(slots=True)
class Stream:
    """A market after one block and the frames that follow it, grouped by read of the socket."""

    name: str
    about: str
    chain_id: int
    block: int
    base_tokens: list[bytes]
    pools: list[PoolState]
    lenders: list[dict[str, Any]]
    start: bytes
    reads: list[list[bytes]]
    opened: int = 0
    """Cycles opened one by one, in a made stream."""
    max_plans: int = 4
    """Transactions that one look may lead to; the engine's own default."""

    def frames(self) -> Iterator[bytes]:
        """Every frame, in order."""
        for read in self.reads:
            yield from read

    def core(self, signer: Signer, *, timed: bool, kept: bool = False) -> tuple[Core, Sink]:
        """An engine's hot half, live on the market, and where its requests go.

        Raises DataError where the stream's first head contradicts its block.
        """
        table = Table(capacity=max(64, len(self.pools)))
        search = (TimedSearch if timed else Search)(table, self.base_tokens, self.base_tokens[0])
        search.configure(
            fundings=FUNDING_NAMES,
            min_profit=MIN_PROFIT_WEI,
            max_plans=self.max_plans,
            gas_hops=GAS_HOPS,
            gas_funding=tuple(GAS_FUNDING[name] for name in FUNDING_NAMES),
        )
        sink = Sink(kept)
        core = (TimedCore if timed else Core)(
            search, signer, EXECUTOR, self.chain_id, sink, lambda: None, gas_limit_percent=250
        )
        core.bloom_from = 2**64 - 1  # nobody is there to be asked about a bloom
        core.feed_bytes(self.start)
        if core.head_number != self.block:
            raise DataError(f"{self.name}: expected a head of block {self.block}, "
                            f"was {core.head_number}")  # fmt: skip
        for pool in self.pools:
            slot = table.put(
                pool.address, pool.kind, (pool.token0, pool.token1), pool.state, self.block
            )
            search.add_pool(slot)
        for terms in self.lenders:
            search.lend(terms["token"], **{k: v for k, v in terms.items() if k != "token"})
        core.end_load(self.block)
        return core, sink


def _integers(value: Any) -> Any:
    """Decimal strings as integers, all the way down."""
    if isinstance(value, list):
        return [_integers(each) for each in value]
    return int(value) if isinstance(value, str) else value


def read_stream(path: Path = RECORDED) -> Stream:
    """A recorded stream. Raises DataError where the file is missing or none."""
    try:
        file = orjson.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"{path}: expected a recorded stream, {error}; the bench runs from the source tree, "
            "record one with `python bench/record.py`"
        ) from error
    if not isinstance(file, dict) or file.get("format") != FORMAT:
        raise DataError(f"{path}: expected format {FORMAT}; record it again")
    market = file["market"]
    tokens = [bytes.fromhex(token["address"][2:]) for token in market["tokens"]]
    fixed = ("address", "kind", "tokens")
    return Stream(
        name="recorded",
        about=file["about"],
        chain_id=market["chain_id"],
        block=market["block"],
        base_tokens=[tokens[i] for i in market["base_tokens"]],
        pools=[
            PoolState(
                bytes.fromhex(pool["address"][2:]), pool["kind"],
                tokens[pool["tokens"][0]], tokens[pool["tokens"][1]],
                {key: _integers(value) for key, value in pool.items() if key not in fixed},
            )
            for pool in market["pools"]
        ],
        lenders=[
            {k: bytes.fromhex(v[2:]) if k == "token" else _integers(v) for k, v in terms.items()}
            for terms in file["lenders"]
        ],
        start=file["start"].encode(),
        reads=[[frame.encode() for frame in read] for read in file["reads"]],
    )  # fmt: skip


# ---- made markets ----

CHAIN_ID = 42161
FIRST_BLOCK = 300_000_000
BASE_FEE_WEI = 10_000_000
HUBS = 5
RING_FEE = 500
MOST_PLANS = 16
QUIET_MOVE = 1e-5
"""Of a price: far below every fee."""
LOGS_A_BLOCK = 8
NUMBER_DIGITS = 8
"""Hex digits of every block's number here."""
RING_GAIN = 0.001
"""What a ring gains at the margin once it is opened: less than the next best way round costs."""
SPACING = {500: 10, 3000: 60, 10000: 200}
OTHER_FEES = (("uniswap_v2", 3000), ("uniswap_v3", 3000), ("uniswap_v2", 3000),
              ("uniswap_v3", 10000))  # fmt: skip
EIGHTEEN = 10**18
SWAP_EVENT, SYNC_EVENT = (
    next(topic for topic in module.EVENTS if topic == "0x" + keccak256(text).hex())
    for module, text in (
        (uniswap_v3, b"Swap(address,address,int256,int256,uint160,uint128,int24)"),
        (uniswap_v2, b"Sync(uint112,uint112)"),
    )
)
WORD = 1 << 256


@dataclass(slots=True)
class _Maker:
    """The market while it is made; `value` is what a unit of each token is worth."""

    chance: random.Random
    value: dict[bytes, float] = field(default_factory=dict)
    pools: list[PoolState] = field(default_factory=list)
    parallel: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def token(self) -> bytes:
        address = self.chance.randbytes(20)
        self.value[address] = 10 ** self.chance.uniform(-5, 1) if self.value else 1.0
        return address

    def pool(self, a: bytes, b: bytes, kind: str, fee: int, *, depth: float, noise: float) -> None:
        """A pool of two tokens at their values, `depth` base tokens of each in it."""
        token0, token1 = sorted((a, b))
        v0, v1 = self.value[token0], self.value[token1]
        price = v0 / v1 * (1 + self.chance.uniform(-noise, noise))
        if kind == "uniswap_v2":
            reserve0 = int(depth / v0 * EIGHTEEN)
            state = {"fee_pips": fee, "reserve0": reserve0, "reserve1": int(reserve0 * price)}
        else:
            state = _v3_state(price, fee, depth / math.sqrt(v0 * v1))
        self.pools.append(PoolState(self.chance.randbytes(20), kind, token0, token1, state))

    def other(self, a: bytes, b: bytes) -> bool:
        """One more dear pool of a pair, unless it has one of each sort already."""
        pair = (min(a, b), max(a, b))
        n = self.parallel.get(pair, 0)
        if n == len(OTHER_FEES):
            return False
        self.parallel[pair] = n + 1
        self.pool(a, b, *OTHER_FEES[n], depth=10 ** self.chance.uniform(1, 3.5), noise=1e-4)
        return True


def _v3_state(price: float, fee: int, depth: float) -> dict[str, Any]:
    """A V3 pool at a price with three nested positions around it."""
    spacing = SPACING[fee]
    sqrt_price_x96 = int(math.sqrt(price) * 2**96)
    tick = get_tick_at_sqrt_ratio(sqrt_price_x96)
    middle = tick // spacing * spacing
    unit = int(depth * EIGHTEEN)
    widest = 887200 // spacing * spacing
    ticks = []
    for half, liquidity in ((widest, unit), (20 * spacing, 4 * unit), (3 * spacing, 5 * unit)):
        centre = 0 if half == widest else middle
        ticks += [(centre - half, liquidity, liquidity), (centre + half, liquidity, -liquidity)]
    return {"fee_pips": fee, "tick_spacing": spacing, "sqrt_price_x96": sqrt_price_x96,
            "tick": tick, "liquidity": 10 * unit, "ticks": sorted(ticks)}  # fmt: skip


Ring = list[PoolState]


def make_market(n_pools: int, seed: int = 1) -> tuple[Stream, list[Ring], random.Random]:
    """A market of so many pools with a stream of no reads, its rings, and the generator."""
    chance = random.Random(seed)
    maker = _Maker(chance)
    hubs = [maker.token() for _ in range(HUBS)]
    rings: list[Ring] = []
    for i in range(max(3, n_pools // 80)):
        # The first ring joins two hubs; the others share no token but the base token, so that
        # the cheap pools of two rings make no third.
        others = [hubs[1]] if i == 0 else [maker.token() for _ in range(1 + i % 3)]
        way = [hubs[0], *others, hubs[0]]
        for j in range(len(way) - 1):
            kind = ("uniswap_v3", "uniswap_v2")[(i + j) % 2]
            maker.pool(way[j], way[j + 1], kind, RING_FEE, depth=3000.0, noise=0.0)
        rings.append(maker.pools[-len(way) + 1 :])
    for a in hubs:
        for b in hubs:
            while a < b and len(maker.pools) < n_pools and maker.other(a, b):
                pass
    tail = [token for token in maker.value if token not in hubs]
    tail += [maker.token() for _ in range((n_pools - len(maker.pools)) * 2 // 5 - len(tail))]
    while len(maker.pools) < n_pools:
        [hub] = chance.choices(hubs, weights=(8, 4, 2, 1, 1))
        maker.other(tail[int(len(tail) * chance.random() ** 2)], hub)
    stream = Stream(
        name=f"made_{n_pools}",
        about=f"made market of {n_pools} pools and {len(maker.value)} tokens, seed {seed}: "
        f"{len(rings)} rings",
        chain_id=CHAIN_ID,
        block=FIRST_BLOCK,
        base_tokens=hubs[:4],
        pools=maker.pools,
        lenders=[{"token": hubs[0], "balancer": 800 * EIGHTEEN, "aave": 2000 * EIGHTEEN,
                  "fee_aave": 5}],
        start=head_frame(FIRST_BLOCK, []),
        reads=[],
    )  # fmt: skip
    return stream, rings, chance


def make_stream(n_pools: int, seed: int = 1, repeats: int = 12) -> Stream:
    """A market of so many pools, and a stream that opens and closes each of its rings.

    A block is two reads, its head and its log. The same arguments give the same bytes.
    """
    stream, rings, chance = make_market(n_pools, seed)
    stream.about += ", one opened at a time"
    block = stream.block
    for _ in range(repeats):
        for ring in chance.sample(rings, len(rings)):
            for pool, words in _open_and_close(ring, chance):
                block += 1
                stream.reads.append([head_frame(block, [pool.address])])
                stream.reads.append([log_frame(block, pool, words)])
            stream.opened += 1
    return stream


def make_relay(n_pools: int, opens: int, seed: int = 1) -> tuple[Stream, list[Ring]]:
    """The same market, where each block opens a ring and closes the one opened longest ago.

    A block is two reads: its head with the log that closes, then the log that opens. Half of the
    rings are open at any time, so that whoever reads several blocks at once finds in them what he
    would have found in each. `rings[i % len(rings)]` is opened in block i.
    """
    stream, rings, chance = make_market(n_pools, seed)
    del rings[0]  # the one between two hubs is part of others' cycles
    stream.max_plans = MOST_PLANS
    stream.about += ", half of them open at a time"
    closing: list[tuple[PoolState, list[int]]] = []
    for i in range(opens):
        block = stream.block + 1 + i
        closed = [closing.pop(0)] if len(closing) > len(rings) // 2 else []
        opened, back = _open_and_close(rings[i % len(rings)], chance)
        closing.append(back)
        moved = [pool.address for pool, _ in (*closed, opened)]
        stream.reads.append([
            head_frame(block, moved),
            *(log_frame(block, pool, words, index=2) for pool, words in closed),
        ])  # fmt: skip
        stream.reads.append([log_frame(block, *opened)])
        stream.opened += 1
    return stream, rings


def make_quiet(n_pools: int, seed: int = 1) -> Stream:
    """The same market, where a swap in each pool, and one back, opens nothing.

    A block is a read for its head and one for each of LOGS_A_BLOCK logs.
    """
    stream, _, chance = make_market(n_pools, seed)
    stream.about += ", none opened"
    there, back = [], []
    for pool in chance.sample(stream.pools, len(stream.pools)):
        swap = _swap_v2 if pool.kind == "uniswap_v2" else _swap_v3
        token_in = chance.randrange(2)
        state, words = swap(pool, dict(pool.state), token_in, 1 + QUIET_MOVE)
        there.append((pool, words))
        back.append((pool, swap(pool, state, 1 - token_in, 1.0)[1]))
    swaps = there + back
    for i in range(0, len(swaps), LOGS_A_BLOCK):
        block = stream.block + 1 + i // LOGS_A_BLOCK
        part = swaps[i : i + LOGS_A_BLOCK]
        stream.reads.append([head_frame(block, [pool.address for pool, _ in part])])
        stream.reads += [
            [log_frame(block, pool, words, index=j)] for j, (pool, words) in enumerate(part)
        ]
    return stream


def moving_numbers(stream: Stream) -> tuple[list[list[tuple[int, int]]], int]:
    """Where each frame of a made stream spells its block or the one before, as Endless takes it;
    and how many blocks the stream has."""
    block, found = stream.block, []
    for frame in stream.frames():
        if b'"parentHash"' in frame:
            block += 1
        places = []
        for number in (block, block - 1):
            digits, at = _digits(number).encode(), -1
            while (at := frame.find(digits, at + 1)) >= 0:
                places.append((at, number - stream.block - 1))
        found.append(places)
    return found, block - stream.block


def _open_and_close(
    ring: Ring, chance: random.Random
) -> tuple[tuple[PoolState, list[int]], tuple[PoolState, list[int]]]:
    """A swap in one pool of the ring that opens it, and the swap back: what their logs say."""
    pool, token_in = chance.choice(ring), chance.randrange(2)
    move = 1 + RING_GAIN + len(ring) * RING_FEE * 1e-6
    swap = _swap_v2 if pool.kind == "uniswap_v2" else _swap_v3
    state, there = swap(pool, dict(pool.state), token_in, move)
    _, back = swap(pool, state, 1 - token_in, 1.0)
    return (pool, there), (pool, back)


def _swap_v2(
    pool: PoolState, state: dict[str, Any], way: int, factor: float
) -> tuple[dict[str, Any], list[int]]:
    """A swap that moves the price to the first one's, or away from it by the factor."""
    reserve_in = state["reserve0" if way == 0 else "reserve1"]
    origin = pool.state["reserve0" if way == 0 else "reserve1"]
    amount = int(reserve_in * (math.sqrt(factor) - 1)) if factor > 1 else origin - reserve_in
    quote = Pool(pool.kind, state).quote(way, amount)
    if isinstance(quote, Refused):
        raise DataError(f"made market: a swap in 0x{pool.address.hex()} says {quote.reason}")
    # What the fee left behind is passed over in the last swap back: the pool is as it was.
    after = quote.after if factor > 1 else pool.state
    return {**state, **after}, [after["reserve0"], after["reserve1"]]


def _swap_v3(
    pool: PoolState, state: dict[str, Any], way: int, factor: float
) -> tuple[dict[str, Any], list[int]]:
    """The same in a V3 pool: amounts and state after as the contract would log them.

    Away from the first price for an exact input, as seven of eight swaps on chain are; back to it
    by a price limit, for the pool is to be as it was.
    """
    origin = pool.state["sqrt_price_x96"]
    root = math.sqrt(factor)
    limit = int(origin / root if way == 0 else origin * root) if factor > 1 else origin
    quote = Pool(pool.kind, state).quote(way, 1 << 250, sqrt_price_limit_x96=limit)
    if factor > 1 and not isinstance(quote, Refused):
        quote = Pool(pool.kind, state).quote(way, quote.amount_in)
    if isinstance(quote, Refused):
        raise DataError(f"made market: a swap in 0x{pool.address.hex()} says {quote.reason}")
    amounts = [quote.amount_in, -quote.amount_out]
    after = quote.after
    words = [amounts[way], amounts[1 - way], after["sqrt_price_x96"], after["liquidity"],
             after["tick"]]  # fmt: skip
    return {**state, **after}, [word % WORD for word in words]


# ---- frames, spelled as nodes spell them ----


def _hash(kind: bytes, number: int) -> str:
    """A hash that ends in the block's number, so that a block can be made a later one in place."""
    return "0x" + keccak256(kind).hex()[:-NUMBER_DIGITS] + _digits(number)


def _digits(number: int) -> str:
    return f"{number:0{NUMBER_DIGITS}x}"


def _notification(result: dict[str, Any]) -> bytes:
    message = {"jsonrpc": "2.0", "method": "eth_subscription",
               "params": {"subscription": "0x" + "5a" * 16, "result": result}}  # fmt: skip
    return orjson.dumps(message)


def logs_bloom(addresses: list[bytes]) -> str:
    """The bloom of a block with logs of these (Yellow Paper 4.3.1), their topics left out."""
    bloom = 0
    for address in addresses:
        digest = keccak256(address)
        for i in range(3):
            bloom |= 1 << (int.from_bytes(digest[2 * i : 2 * i + 2], "big") & 2047)
    return "0x" + bloom.to_bytes(256, "big").hex()


def head_frame(number: int, addresses: list[bytes]) -> bytes:
    """The head of a block in which these have logs."""
    return _notification({
        "hash": _hash(b"block", number), "parentHash": _hash(b"block", number - 1),
        "sha3Uncles": _hash(b"uncles", 0), "miner": "0x" + "00" * 20,
        "stateRoot": _hash(b"state", number), "transactionsRoot": _hash(b"transactions", number),
        "receiptsRoot": _hash(b"receipts", number), "logsBloom": logs_bloom(addresses),
        "difficulty": "0x1", "number": hex(number), "gasLimit": "0x4000000000000",
        "gasUsed": "0x1c9c380", "timestamp": hex(1_700_000_000 + number // 4), "extraData": "0x",
        "mixHash": _hash(b"mix", number), "nonce": "0x0000000000000000",
        "baseFeePerGas": hex(BASE_FEE_WEI),
    })  # fmt: skip


def log_frame(number: int, pool: PoolState, words: list[int], index: int = 3) -> bytes:
    """A log of a block: a V2 pool's Sync or a V3 pool's Swap."""
    party = "0x" + "00" * 12 + "aa" * 20
    v2 = pool.kind == "uniswap_v2"
    return _notification({
        "address": "0x" + pool.address.hex(),
        "topics": [SYNC_EVENT] if v2 else [SWAP_EVENT, party, party],
        "data": "0x" + "".join(f"{word:064x}" for word in words),
        "blockHash": _hash(b"block", number), "blockNumber": hex(number),
        "transactionHash": _hash(b"transaction%d" % index, number), "transactionIndex": "0x1",
        "logIndex": hex(index), "removed": False,
    })  # fmt: skip
