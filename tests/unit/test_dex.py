"""Discovery and loading on a node made of Python: logs in, pools and calls out."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi.abi import encode

from mevfast.config import Factory, Market
from mevfast.dex import market, uniswap_v2, uniswap_v3
from mevfast.engine import REORG_BLOCKS, Engine
from mevfast.errors import NodeError, RpcError
from mevfast.execution.artifacts import word_range
from mevfast.model import PoolLoad, PoolRecord

TOKENS = [bytes([n]) * 20 for n in (0x11, 0x22, 0x33)]
PAIR = (TOKENS[0], TOKENS[1])
TEXTS = ["0x" + token.hex() for token in TOKENS]
POOL = b"\xaa" * 20
MAKER = "0x" + "fa" * 20
V2 = Factory(name="two", kind="uniswap_v2", address=MAKER, fee_pips=3000, from_block=100)
V3 = Factory(name="three", kind="uniswap_v3", address="0x" + "fb" * 20, from_block=100)


def hex_words(*values: int | bytes) -> str:
    numbers = [int.from_bytes(v, "big") if isinstance(v, bytes) else v for v in values]
    return "0x" + "".join(f"{number:064x}" for number in numbers)


def pair_created(pool: bytes, token0: bytes, token1: bytes, block: int = 100) -> dict[str, Any]:
    topics = [uniswap_v2.CREATED, hex_words(token0), hex_words(token1)]
    return {"topics": topics, "data": hex_words(pool, 7), "blockNumber": hex(block)}


def pool_created(pool: bytes, token0: bytes, token1: bytes) -> dict[str, Any]:
    topics = [uniswap_v3.CREATED, hex_words(token0), hex_words(token1), hex_words(500)]
    return {"topics": topics, "data": hex_words(10, pool), "blockNumber": "0x64"}


def config(**fields: Any) -> Market:
    given = {"base_token": TEXTS[0], "start_tokens": (TEXTS[0],), "factories": (V2, V3)}
    return Market(**given | fields)


class Node:
    """Serves logs of blocks, at most `widest` blocks a request."""

    def __init__(self, logs: dict[str, list[dict[str, Any]]], widest: int = 10**9) -> None:
        self.logs, self.widest = logs, widest
        self.ranges: list[tuple[int, int]] = []

    async def request(self, method: str, params: list[Any]) -> Any:
        assert method == "eth_getLogs"
        [query] = params
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if last - first + 1 > self.widest:
            raise RpcError(method, -32005, "query returned more than 10000 results")
        self.ranges.append((first, last))
        return [
            log
            for log in self.logs.get(query["address"].lower(), [])
            if log["topics"][0] == query["topics"][0]
            and first <= int(log["blockNumber"], 16) <= last
        ]


def discover(node: Node, settings: Market, to_block: int = 131) -> list[PoolRecord]:
    return asyncio.run(market.discover(node, settings, to_block))  # type: ignore[arg-type]


# ---- what a factory says ----


def test_pair_created() -> None:
    pool = uniswap_v2.created(pair_created(POOL, TOKENS[0], TOKENS[1]), "two", 3000)
    assert pool == PoolRecord(POOL, "uniswap_v2", PAIR, "two", 100, {"fee_pips": 3000})


def test_pool_created_tells_its_own_fee_and_spacing() -> None:
    pool = uniswap_v3.created(pool_created(POOL, TOKENS[0], TOKENS[1]), "three", None)
    assert pool == PoolRecord(
        POOL, "uniswap_v3", PAIR, "three", 100, {"fee_pips": 500, "tick_spacing": 10}
    )


def test_pools_of_all_factories_by_address() -> None:
    low, high = b"\x01" * 20, b"\xfe" * 20
    logs = {
        V2.address.lower(): [pair_created(high, TOKENS[0], TOKENS[1])],
        V3.address.lower(): [pool_created(low, TOKENS[0], TOKENS[2])],
    }
    assert [pool.address for pool in discover(Node(logs), config())] == [low, high]


@pytest.mark.parametrize("widest", [1, 2, 3, 7, 31, 32, 1000])
def test_a_range_that_is_refused_is_halved_and_no_block_is_left_out(widest: int) -> None:
    pools = [bytes([block]) * 20 for block in range(100, 132)]
    logs = [pair_created(pool, TOKENS[0], TOKENS[1], pool[0]) for pool in pools]
    node = Node({V2.address.lower(): logs}, widest)
    assert [pool.address for pool in discover(node, config(factories=(V2,)))] == pools
    covered = [block for first, last in node.ranges for block in range(first, last + 1)]
    assert covered == list(range(100, 132))  # each once, in order
    assert len(node.ranges) <= -(-2 * 32 // min(widest, 32))


def test_a_node_that_refuses_even_one_block_is_named() -> None:
    with pytest.raises(NodeError, match=r"two: the node refuses .* block 100 alone .*10000"):
        discover(Node({}, widest=0), config())


@pytest.mark.parametrize("start", [0, 100, 110, 131, 132])
def test_what_is_known_is_not_read_again(start: int) -> None:
    pools = [bytes([block]) * 20 for block in range(100, 132)]
    logs = [pair_created(pool, TOKENS[0], TOKENS[1], pool[0]) for pool in pools]
    node = Node({V2.address.lower(): logs})
    found = asyncio.run(market.discover(node, config(factories=(V2,)), 131, start))  # type: ignore[arg-type]
    assert [pool.address for pool in found] == [pool for pool in pools if pool[0] >= start]
    assert node.ranges == ([(max(start, 100), 131)] if start < 132 else [])


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"only_tokens": (TEXTS[0], TEXTS[1])}, [0]),
        ({"only_tokens": tuple(TEXTS)}, [0, 1, 2]),
        ({"ignore_tokens": (TEXTS[2],)}, [0]),
        ({"ignore_tokens": (TEXTS[1],)}, [1]),
        ({"only_tokens": tuple(TEXTS), "ignore_tokens": (TEXTS[1],)}, [1]),
    ],
)
def test_token_lists(lists: dict[str, Any], expected: list[int]) -> None:
    pairs = [(0, 1), (0, 2), (1, 2)]
    logs = [
        pair_created(bytes([n]) * 20, TOKENS[a], TOKENS[b]) for n, (a, b) in enumerate(pairs, 1)
    ]
    found = discover(Node({V2.address.lower(): logs}), config(factories=(V2,), **lists))
    assert [pool.address[0] - 1 for pool in found] == expected


class Chain:
    """The engine's `_discover` on a node whose pools come and go."""

    def __init__(self) -> None:
        settings = SimpleNamespace(market=config(factories=(V2,)))
        self.engine: Any = SimpleNamespace(config=settings, _settled=[], _settled_to=-1)
        self.made: dict[int, bytes] = {}
        self.lowest: list[int] = []

    def load(self, block: int) -> set[bytes]:
        logs = [pair_created(pool, TOKENS[0], TOKENS[1], n) for n, pool in self.made.items()]
        node = Node({V2.address.lower(): logs})
        asyncio.run(Engine._discover(self.engine, node, block))  # type: ignore[arg-type]
        addresses = [pool.address for pool in self.engine.pools]
        assert len(set(addresses)) == len(addresses)
        self.lowest.append(min((first for first, _ in node.ranges), default=-1))
        return set(addresses)


def test_a_load_again_reads_only_what_a_reorg_can_change() -> None:
    chain = Chain()
    old, new, newest = (bytes([n]) * 20 for n in (1, 2, 3))
    chain.made = {150: old, 990: new}
    assert chain.load(1000) == {old, new}
    chain.made = {150: old, 1005: newest}  # a reorg took the pool of block 990 back
    assert chain.load(1010) == {old, newest}
    assert chain.load(1300) == {old, newest}
    assert chain.load(1290) == {old, newest}  # another node, some blocks behind
    assert chain.lowest == [100, 1000 - REORG_BLOCKS + 1, 1010 - REORG_BLOCKS + 1,
                            1300 - REORG_BLOCKS + 1]  # fmt: skip


# ---- states ----


def test_pairs_take_the_fee_of_their_factory() -> None:
    pool = PoolRecord(POOL, "uniswap_v2", PAIR, "two", facts={"fee_pips": 2500})
    answer = encode(
        ["uint256", "(address,address,uint112,uint112)[]"],
        [9, [(TEXTS[0], TEXTS[1], 10**20, 2**112 - 1)]],
    )
    [load] = uniswap_v2.loaded([pool], answer)
    assert load.state == {"fee_pips": 2500, "reserve0": 10**20, "reserve1": 2**112 - 1}


@pytest.mark.parametrize("token0", ["0x" + "00" * 20, TEXTS[2]])
def test_what_is_no_such_pair_is_refused(token0: str) -> None:
    pool = PoolRecord(POOL, "uniswap_v2", PAIR, "two", facts={"fee_pips": 3000})
    answer = encode(
        ["uint256", "(address,address,uint112,uint112)[]"], [9, [(token0, TEXTS[1], 1, 1)]]
    )
    with pytest.raises(NodeError, match=f"pool 0x{POOL.hex()} of two: expected a pair"):
        uniswap_v2.loaded([pool], answer)


def tick_answer(
    next_word: int, ticks: dict[int, list[int]], price: int = 2**96, spacing: int = 60
) -> bytes:
    """A TickReader's answer; `ticks` by bitmap word: bits."""
    bits = [sum(1 << bit for bit in marked) for marked in ticks.values()]
    words = [v for word, b in zip(ticks, bits, strict=True) for v in (word % 2**256, b)]
    packed = [5 << 128 | (2**128 - 5) for marked in ticks.values() for _ in marked]
    state = (77, price != 0, TEXTS[0], TEXTS[1], price, 0, 1000, 3000, spacing, next_word)
    types = ["(uint256,bool,address,address,uint160,int24,uint128,uint24,int24,int24)"]
    return encode([*types, "uint256[]", "uint256[]"], [state, words, packed])


V3_POOL = PoolRecord(POOL, "uniswap_v3", PAIR, "three", facts={"tick_spacing": 60})


def test_ticks_of_several_calls_become_one_list() -> None:
    _, last = word_range(60)
    before: PoolLoad | None = None
    before, word = uniswap_v3.merge(V3_POOL, before, tick_answer(-3, {-5: [0, 255]}))
    assert word == -3
    before, word = uniswap_v3.merge(V3_POOL, before, tick_answer(0, {-2: []}))
    assert word == 0
    before, word = uniswap_v3.merge(V3_POOL, before, tick_answer(last + 1, {1: [1]}))
    assert word == 1 << 15  # all of it is read
    assert before is not None
    assert before.state["ticks"] == [
        (-5 * 256 * 60, 5, -5), ((-5 * 256 + 255) * 60, 5, -5), (257 * 60, 5, -5),
    ]  # fmt: skip
    assert before.state["sqrt_price_x96"] == 2**96
    assert before.state["liquidity"] == 1000


def test_a_pool_without_a_price_is_left_out() -> None:
    assert uniswap_v3.merge(V3_POOL, None, tick_answer(0, {}, price=0)) == (None, 1 << 15)


class Readers:
    """Answers a pool's reader calls one after the other."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.blocks: set[str] = set()

    async def batch(self, calls: list[Any], batch_size: int) -> list[Any]:
        out: list[Any] = []
        for method, (_, block) in calls:
            assert method == "eth_call"
            self.blocks.add(block)
            answer = self.answers.pop(0)
            out.append("0x" + answer.hex() if answer else RpcError(method, -32000, "no state"))
        return out


def load(answers: list[bytes]) -> tuple[list[PoolLoad], set[str]]:
    node = Readers(answers)
    return asyncio.run(market.load(node, [V3_POOL], 77)), node.blocks  # type: ignore[arg-type]


def test_every_call_of_a_load_reads_the_same_block() -> None:
    _, last = word_range(60)
    [pool], blocks = load([tick_answer(-3, {-5: [7]}), tick_answer(last + 1, {2: [9]})])
    assert [tick for tick, _, _ in pool.state["ticks"]] == [(-5 * 256 + 7) * 60, (2 * 256 + 9) * 60]
    assert blocks == {hex(77)}


def test_a_node_without_the_state_is_named() -> None:
    with pytest.raises(NodeError, match="reading pools at block 77 failed: no state"):
        load([b""])


@pytest.mark.parametrize("answer", [None, 7, {}, "0xno", "0x123"])
def test_an_answer_that_is_no_data_is_named(answer: Any) -> None:
    class Odd:
        async def batch(self, calls: list[Any], batch_size: int) -> list[Any]:
            return [answer for _ in calls]

    with pytest.raises(NodeError, match="eth_call at block 77: expected data in hex") as raised:
        asyncio.run(market.load(Odd(), [V3_POOL], 77))  # type: ignore[arg-type]
    assert repr(answer) in str(raised.value)


@pytest.mark.parametrize("kind", ["uniswap_v2", "uniswap_v3"])
def test_data_that_no_reader_gives_is_the_nodes_error(kind: str) -> None:
    pool = replace(V3_POOL, kind=kind)
    node: Any = Readers([b"\x01"])
    with pytest.raises(NodeError, match=r"eth_call at block 77: .*Reader: expected"):
        asyncio.run(market.load(node, [pool], 77))
