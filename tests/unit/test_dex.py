"""Discovery on a node made of Python: logs in, records out."""

import asyncio
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from mevfast.config import Factory, Market
from mevfast.dex import kinds, market, solidly, uniswap_v2, uniswap_v3, uniswap_v4
from mevfast.dex.announced import parsed
from mevfast.errors import DataError, NodeError, RpcError
from mevfast.model import PoolRecord
from tests.node import Node, hex_words

TOKENS = [bytes([n]) * 20 for n in (0x11, 0x22, 0x33)]
PAIR = (TOKENS[0], TOKENS[1])
TEXTS = ["0x" + token.hex() for token in TOKENS]
POOL = b"\xaa" * 20
MAKER, OTHER = "0x" + "fa" * 20, "0x" + "fb" * 20
V2 = Factory(name="two", kind="uniswap_v2", address=MAKER, fee_pips=3000, from_block=100)
V3 = Factory(name="three", kind="uniswap_v3", address=OTHER, from_block=100)


def pair_created(pool: bytes, token0: bytes, token1: bytes, block: int = 100) -> dict[str, Any]:
    topics = [uniswap_v2.CREATED[0], hex_words(token0), hex_words(token1)]
    data = hex_words(pool, 7)
    return {"address": MAKER, "topics": topics, "data": data, "blockNumber": hex(block)}


def pool_created(pool: bytes, token0: bytes, token1: bytes) -> dict[str, Any]:
    topics = [uniswap_v3.CREATED[0], hex_words(token0), hex_words(token1), hex_words(500)]
    data = hex_words(10, pool)
    return {"address": OTHER, "topics": topics, "data": data, "blockNumber": "0x64"}


def config(**fields: Any) -> Market:
    given = {"base_token": TEXTS[0], "start_tokens": (TEXTS[0],), "factories": (V2, V3)}
    return Market(**given | fields)


def discover(node: Node, settings: Any, to_block: int = 131, **more: Any) -> list[PoolRecord]:
    return asyncio.run(market.discover(node, settings, to_block, **more))  # type: ignore[arg-type]


# ---- what a factory says ----


SIGNATURES = {
    "uniswap_v2": ["PairCreated(address,address,address,uint256)"],
    "camelot_v2": ["PairCreated(address,address,address,uint256)"],
    "solidly": [
        "PoolCreated(address,address,bool,address,uint256)",
        "PairCreated(address,address,bool,address,uint256)",
    ],
    "uniswap_v3": ["PoolCreated(address,address,uint24,int24,address)"],
    "pancake_v3": ["PoolCreated(address,address,uint24,int24,address)"],
    "algebra_v1": ["Pool(address,address,address)"],
    "algebra_integral": [
        "Pool(address,address,address)",
        "CustomPool(address,address,address,address)",
    ],
    "uniswap_v4": ["Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)"],
    "balancer_v2": ["PoolRegistered(bytes32,address,uint8)"],
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_creation_topics_are_the_hashes_of_the_events(kind: str) -> None:
    hashes = tuple("0x" + keccak(text=signature).hex() for signature in SIGNATURES[kind])
    assert kinds.VENUES[kind].topics == hashes
    assert market.CREATION_TOPICS.issuperset(hashes)


def test_what_is_subscribed_to_has_every_event_once() -> None:
    assert len(set(market.TOPICS)) == len(market.TOPICS)
    assert set(market.TOPICS) > market.CREATION_TOPICS
    assert all(len(bytes.fromhex(topic[2:])) == 32 for topic in market.TOPICS)


def log_of(topics: list[Any], *words: int | bytes) -> Any:
    return parsed(
        {
            "address": MAKER,
            "topics": [each if isinstance(each, str) else hex_words(each) for each in topics],
            "data": hex_words(*words),
            "blockNumber": "0x64",
        }
    )


V4_ID = bytes(range(32))
RECORDS: list[tuple[str, Any, PoolRecord]] = [
    (
        "uniswap_v2",
        log_of([uniswap_v2.CREATED[0], *PAIR], POOL, 7),
        PoolRecord(POOL, "uniswap_v2", PAIR, "", 100),
    ),
    (
        "camelot_v2",
        log_of([uniswap_v2.CREATED[0], *PAIR], POOL, 7),
        PoolRecord(POOL, "camelot_v2", PAIR, "", 100),
    ),
    (
        "solidly",
        log_of([solidly.CREATED[0], *PAIR, 1], POOL, 7),
        PoolRecord(POOL, "solidly", PAIR, "", 100, {"stable": True}),
    ),
    (
        "solidly",
        log_of([solidly.CREATED[1], *PAIR], 0, POOL, 7),
        PoolRecord(POOL, "solidly", PAIR, "", 100, {"stable": False}),
    ),
    (
        "uniswap_v3",
        log_of([uniswap_v3.CREATED[0], *PAIR, 500], 10, POOL),
        PoolRecord(POOL, "uniswap_v3", PAIR, "", 100, {"fee_pips": 500, "tick_spacing": 10}),
    ),
    (
        "pancake_v3",
        log_of([uniswap_v3.CREATED[0], *PAIR, 2500], 50, POOL),
        PoolRecord(POOL, "pancake_v3", PAIR, "", 100, {"fee_pips": 2500, "tick_spacing": 50}),
    ),
    (
        "algebra_v1",
        log_of([kinds.VENUES["algebra_v1"].topics[0], *PAIR], POOL),
        PoolRecord(POOL, "algebra_v1", PAIR, "", 100),
    ),
    (
        "algebra_integral",
        log_of([kinds.VENUES["algebra_integral"].topics[1], TOKENS[2], *PAIR], POOL),
        PoolRecord(POOL, "algebra_integral", PAIR, "", 100),
    ),
    (
        "uniswap_v4",
        log_of([uniswap_v4.CREATED[0], V4_ID, *PAIR], 3000, 60, 0, 2**96, 0),
        PoolRecord(
            V4_ID, "uniswap_v4", PAIR, "", 100,
            {"fee_pips": 3000, "tick_spacing": 60, "hooks": "0x" + "00" * 20, "singleton": MAKER},
        ),
    ),
    (
        "balancer_v2",
        log_of([kinds.VENUES["balancer_v2"].topics[0], V4_ID, POOL], 0),
        PoolRecord(V4_ID, "", (), "", 100, {"singleton": MAKER}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "log", "record"), RECORDS)
def test_a_log_announces_its_pool(kind: str, log: Any, record: PoolRecord) -> None:
    created = kinds.VENUES[kind].created
    assert created is not None and created(log, kind) == record


def test_the_pools_of_a_singleton_name_it_as_their_emitter() -> None:
    *_, v4, balancer = (record for _, _, record in RECORDS)
    assert v4.emitter == balancer.emitter == bytes.fromhex(MAKER[2:])
    assert balancer.address == V4_ID[:20]
    assert RECORDS[0][2].emitter == b""


HOOK = int("0x" + "22" * 18 + "0080", 16)  # beforeSwap


@pytest.mark.parametrize(
    ("kind", "log", "words"),
    [
        ("uniswap_v4", log_of([uniswap_v4.CREATED[0], V4_ID, *PAIR], 3000, 60, HOOK, 2**96, 0),
         "takes part in swaps: beforeSwap"),
        ("uniswap_v4", log_of([uniswap_v4.CREATED[0], V4_ID, *PAIR], 1 << 23, 60, 1, 2**96, 0),
         "fee is dynamic"),
        ("solidly", log_of([solidly.CREATED[1], *PAIR], 1, POOL, 7), "rounds otherwise"),
        ("uniswap_v2", log_of([uniswap_v2.CREATED[0], *PAIR]), "32 bytes of data or more, was 0"),
        ("uniswap_v3", log_of([uniswap_v3.CREATED[0], *PAIR], 10, POOL), "4 topics or more, was 3"),
    ],
)  # fmt: skip
def test_a_pool_that_cannot_be_traded_is_refused_and_counted(
    kind: str, log: Any, words: str
) -> None:
    created = kinds.VENUES[kind].created
    assert created is not None
    with pytest.raises(DataError, match=words):
        created(log, kind)
    venue = SimpleNamespace(name="odd", kind=kind, address=MAKER, fee_pips=3000, from_block=0)
    settings = SimpleNamespace(factories=(venue,), only_tokens=(), ignore_tokens=())
    topics = ["0x" + topic.hex() for topic in log.topics]
    shown = {"address": MAKER, "topics": topics, "data": "0x" + log.data.hex()}
    refused: Counter[str] = Counter()
    assert discover(Node([{**shown, "blockNumber": "0x64"}]), settings, refused=refused) == []
    [(why, count)] = refused.items()
    assert count == 1 and why.startswith("odd: ") and words.replace("\\", "") in why


def test_a_record_carries_what_the_config_says_of_its_venue() -> None:
    [pool] = discover(Node([pair_created(POOL, *PAIR)]), config())
    assert pool == PoolRecord(POOL, "uniswap_v2", PAIR, "two", 100, {"fee_pips": 3000})
    [pool] = discover(Node([pool_created(POOL, *PAIR)]), config())
    facts = {"fee_pips": 500, "tick_spacing": 10}
    assert pool == PoolRecord(POOL, "uniswap_v3", PAIR, "three", 100, facts)


def test_pools_of_all_factories_by_id_in_one_query() -> None:
    low, high = b"\x01" * 20, b"\xfe" * 20
    node = Node([pair_created(high, *PAIR), pool_created(low, TOKENS[0], TOKENS[2])])
    assert [pool.id for pool in discover(node, config())] == [low, high]
    assert node.ranges == [(100, 131)]
    assert [len(query["address"]) for query in node.queries] == [2]


def test_a_log_of_another_venues_event_is_nobodys() -> None:
    """A factory of one kind that emits the event of another announces nothing."""
    spoof = {**pool_created(POOL, *PAIR), "address": MAKER}
    assert discover(Node([spoof]), config()) == []


def test_each_venue_is_searched_from_its_own_block() -> None:
    late = replace(V3, from_block=120)
    node = Node([])
    discover(node, config(factories=(V2, late)))
    asked = [(span, sorted(query["address"])) for span, query in
             zip(node.ranges, node.queries, strict=True)]  # fmt: skip
    assert asked == [
        ((100, 119), [V2.address]),
        ((120, 131), sorted([V2.address, late.address])),
    ]


@pytest.mark.parametrize("widest", [1, 2, 3, 7, 31, 32, 1000])
def test_a_range_that_is_refused_is_halved_and_no_block_is_left_out(widest: int) -> None:
    pools = [bytes([block]) * 20 for block in range(100, 132)]
    logs = [pair_created(pool, *PAIR, pool[0]) for pool in pools]
    node = Node(logs, widest)
    assert [pool.id for pool in discover(node, config(factories=(V2,)))] == pools
    covered = [block for first, last in node.ranges for block in range(first, last + 1)]
    assert covered == list(range(100, 132))  # each once, in order
    assert len(node.ranges) <= -(-2 * 32 // min(widest, 32))


def test_a_node_that_refuses_even_one_block_is_named() -> None:
    with pytest.raises(NodeError, match=r"two, three: the node refuses .* block 100 alone .*10000"):
        discover(Node([], widest=0), config())


@pytest.mark.parametrize("start", [0, 100, 110, 131, 132])
def test_what_is_known_is_not_read_again(start: int) -> None:
    pools = [bytes([block]) * 20 for block in range(100, 132)]
    logs = [pair_created(pool, *PAIR, pool[0]) for pool in pools]
    node = Node(logs)
    found = discover(node, config(factories=(V2,)), from_block=start)
    assert [pool.id for pool in found] == [pool for pool in pools if pool[0] >= start]
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
    refused: Counter[str] = Counter()
    found = discover(Node(logs), config(factories=(V2,), **lists), refused=refused)
    assert [pool.id[0] - 1 for pool in found] == expected
    assert refused.total() == 3 - len(expected)


# ---- live logs ----


def created(logs: list[dict[str, Any]], settings: Any) -> list[PoolRecord]:
    return asyncio.run(market.created(Node([]), settings, logs, 131))  # type: ignore[arg-type]


def test_a_live_log_of_a_venue_announces_its_pool() -> None:
    logs = [pair_created(POOL, *PAIR), pool_created(b"\xbb" * 20, *PAIR)]
    assert created(logs, config()) == discover(Node(logs), config())


def test_live_logs_of_strangers_and_removed_ones_announce_nothing() -> None:
    good = pair_created(POOL, *PAIR)
    stranger = {**good, "address": "0x" + "ee" * 20}
    other_event = {**good, "topics": [uniswap_v2.EVENTS[0]]}
    anonymous = {**good, "topics": []}
    removed = {**good, "removed": True}
    assert created([stranger, other_event, anonymous, removed], config()) == []
    assert [pool.id for pool in created([good, stranger], config())] == [POOL]


@pytest.mark.parametrize("field", ["address", "topics", "data", "blockNumber"])
def test_what_is_no_log_is_the_nodes_error(field: str) -> None:
    log = pair_created(POOL, *PAIR)
    for damaged in ({**log, field: None}, {k: v for k, v in log.items() if k != field}):
        with pytest.raises(NodeError, match="expected a log, node answered"):
            created([damaged], config())


def test_a_node_that_cannot_be_asked_for_logs_is_named() -> None:
    class Odd(Node):
        async def request(self, method: str, params: list[Any]) -> Any:
            return {"not": "a list"}

    with pytest.raises(NodeError, match="eth_getLogs: expected a list of logs"):
        discover(Odd([]), config())


# ---- Curve's registries ----

REGISTRY = SimpleNamespace(
    name="curve", kind="curve", address="0x" + "cc" * 20, fee_pips=None, from_block=0
)
CURVE = SimpleNamespace(factories=(REGISTRY,), only_tokens=(), ignore_tokens=())


class Registry(Node):
    """A registry whose list grows by a pool in some blocks; all pools are NG pools of two coins."""

    def __init__(self, grows: list[int], first_state: int = 0) -> None:
        super().__init__([])
        self.grows, self.first_state = grows, first_state
        self.probed: set[str] = set()

    def call(self, to: str, data: bytes, block: int) -> bytes:
        if block < self.first_state:
            raise RpcError("eth_call", -32000, "missing trie node")
        if to == REGISTRY.address:
            if data[:4] == keccak(text="pool_count()")[:4]:
                return encode(["uint256"], [sum(block >= each for each in self.grows)])
            index = int.from_bytes(data[4:], "big")
            return encode(["address"], ["0x" + f"{index + 1:040x}"])
        self.probed.add(to)
        names = ("stored_rates()", "offpeg_fee_multiplier()", "A_precise()")
        if data[:4] in [keccak(text=name)[:4] for name in names]:
            return encode(["uint256"], [5])
        if data[:4] == keccak(text="coins(uint256)")[:4] and data[-1] < 2:
            return encode(["address"], [TEXTS[data[-1]]])
        raise RpcError("eth_call", 3, "execution reverted")


def ids(pools: list[PoolRecord]) -> list[int]:
    return [int.from_bytes(pool.id, "big") for pool in pools]


def test_a_registrys_list_is_read_to_its_end() -> None:
    pools = discover(Registry([5, 9, 200]), CURVE)
    assert ids(pools) == [1, 2]
    assert {(pool.kind, pool.tokens, pool.venue) for pool in pools} == {
        ("curve_stable_ng", PAIR, "curve")
    }


def registered(block: int) -> dict[str, Any]:
    topics = [kinds.VENUES["curve"].topics[0]]
    return {"address": REGISTRY.address, "topics": topics, "data": "0x", "blockNumber": hex(block)}


@pytest.mark.parametrize("first_state", [0, 90])
def test_an_event_of_a_registry_announces_what_is_new_on_its_list(first_state: int) -> None:
    """Where the node has forgotten the list before, all of it counts as new."""
    node = Registry([5, 80, 95], first_state)
    found = asyncio.run(market.created(node, CURVE, [registered(80)], 100))  # type: ignore[arg-type]
    assert ids(found) == ([2, 3] if first_state == 0 else [1, 2, 3])
    assert all(pool.block == 80 for pool in found)


def test_a_registry_that_is_none_spoils_nothing() -> None:
    logs = [pair_created(POOL, *PAIR)]
    settings = SimpleNamespace(factories=(V2, REGISTRY), only_tokens=(), ignore_tokens=())
    refused: Counter[str] = Counter()
    assert [pool.id for pool in discover(Node(logs), settings, refused=refused)] == [POOL]
    assert refused == {"curve: it does not answer as a registry": 1}
