"""The ledger: a search goes on where it was, whatever ended it."""

import asyncio
import multiprocessing
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevfast.dex import market
from mevfast.dex.ledger import DEPTH, Ledger, gaps, merged
from mevfast.errors import DataError, NodeError
from mevfast.model import PoolRecord
from tests.chain.venues_stage import Trading, Venue
from tests.node import Node
from tests.unit.test_dex import MAKER, OTHER, PAIR, TOKENS, pair_created, pool_created

V2 = Venue("two", "uniswap_v2", MAKER, 3000)
V3 = Venue("three", "uniswap_v3", OTHER)
CHAIN = 42161
RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda r: (r[0], sum(r))))


def discover(
    node: Node, path: Path, to_block: int, venues: tuple[Venue, ...] = (V2,), **more: Any
) -> list[PoolRecord]:
    with Ledger(path, CHAIN) as ledger:
        found = market.discover(node, Trading(venues), to_block, ledger=ledger, **more)  # type: ignore[arg-type]
        return asyncio.run(found)


def made(*blocks: int) -> list[dict[str, Any]]:
    return [pair_created(bytes([n % 251 + 1]) * 20, *PAIR, n) for n in blocks]


def numbers(pools: list[PoolRecord]) -> list[int]:
    return sorted(pool.block for pool in pools)


def test_what_is_searched_is_not_searched_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    node = Node(made(5, 950, 1000, 1040))
    assert numbers(discover(node, path, 1000)) == [5, 950, 1000]
    node.ranges.clear()
    pools = discover(node, path, 1050)
    assert node.ranges == [(1000 - DEPTH + 1, 1050 - DEPTH), (1050 - DEPTH + 1, 1050)]
    assert numbers(pools) == [5, 950, 1000, 1040]
    assert pools == asyncio.run(market.discover(node, Trading((V2,)), 1050))  # type: ignore[arg-type]


def test_what_a_reorg_may_take_back_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    discover(Node(made(990)), path, 1000)  # this block is taken back
    pools = discover(Node(made(991)), path, 1000)
    assert numbers(pools) == [991]
    assert b'"block":99' not in path.read_bytes()


@pytest.mark.parametrize("stops_after", [1, 2, 5])
def test_a_search_that_was_stopped_goes_on_where_it_was(tmp_path: Path, stops_after: int) -> None:
    class Stopping(Node):
        async def request(self, method: str, params: list[Any]) -> Any:
            if len(self.ranges) == stops_after:
                self.failure = NodeError("the connection was lost")
                raise self.failure
            return await super().request(method, params)

    path = tmp_path / "ledger"
    logs = made(*range(0, 800, 10))
    stopped = Stopping(logs, widest=100)
    with pytest.raises(NodeError):
        discover(stopped, path, 1000)
    node = Node(logs, widest=100)
    assert numbers(discover(node, path, 1000)) == list(range(0, 800, 10))
    assert node.ranges[0][0] == stopped.ranges[-1][1] + 1


@pytest.mark.parametrize("torn", [1, 2, 40, 10**9])
def test_a_torn_last_line_is_dropped_and_searched_again(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "ledger"
    node = Node(made(*range(0, 800, 10)), widest=200)
    discover(node, path, 1000)
    content = path.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(content[: max(last + 1, len(content) - torn)])
    node.ranges.clear()
    assert numbers(discover(node, path, 1000)) == list(range(0, 800, 10))
    assert path.read_bytes().startswith(content[:last])
    assert node.ranges[0][0] > 0
    with Ledger(path, CHAIN) as ledger:
        assert ledger.searched(f"uniswap_v2:{MAKER}") == [(0, 1000 - DEPTH)]


def test_a_venue_that_is_new_is_searched_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    logs = [*made(5, 700), pool_created(b"\xcc" * 20, TOKENS[0], TOKENS[2])]
    node = Node(logs)
    discover(node, path, 1000)
    node.ranges.clear()
    node.queries.clear()
    pools = discover(node, path, 1000, (V2, V3))
    assert numbers(pools) == [5, 100, 700]
    first, second = node.queries
    assert (node.ranges[0], first["address"]) == ((0, 1000 - DEPTH), [OTHER])
    assert len(second["address"]) == 2


def test_what_the_config_says_may_change_afterwards(tmp_path: Path) -> None:
    """Token lists, names and fees are not the ledger's."""
    path = tmp_path / "ledger"
    node = Node(made(5))
    hidden = Trading((V2,), ignore_tokens=("0x" + TOKENS[0].hex(),))
    with Ledger(path, CHAIN) as ledger:
        assert asyncio.run(market.discover(node, hidden, 1000, ledger=ledger)) == []  # type: ignore[arg-type]
    renamed = Venue("other", "uniswap_v2", MAKER.upper().replace("0X", "0x"), 2500)
    [pool] = discover(node, path, 1000, (renamed,))
    assert (pool.venue, pool.facts) == ("other", {"fee_pips": 2500})


def test_a_kind_that_was_wrong_is_searched_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    node = Node(made(5))
    discover(node, path, 1000)
    node.ranges.clear()
    assert discover(node, path, 1000, (Venue("two", "camelot_v2", MAKER),)) != []
    assert node.ranges[0] == (0, 1000 - DEPTH)


def test_an_earlier_from_block_is_searched_from_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    node = Node(made(5, 500))
    late = Venue("two", "uniswap_v2", MAKER, 3000, 400)
    assert numbers(discover(node, path, 1000, (late,))) == [500]
    node.ranges.clear()
    assert numbers(discover(node, path, 1000)) == [5, 500]
    assert node.ranges[0] == (0, 399)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    facts = {"fee_pips": 500, "hooks": "0x" + "00" * 20, "stable": True, "decimals": [6, 18]}
    pool = PoolRecord(bytes(range(32)), "uniswap_v4", PAIR, "", 7, facts)
    with Ledger(tmp_path / "ledger", CHAIN) as ledger:
        ledger.add(0, 10, {"a": [], "b": [pool]})
    with Ledger(tmp_path / "ledger", CHAIN) as ledger:
        assert (ledger.pools("a"), ledger.pools("b")) == ([], [pool])
        assert ledger.searched("a") == ledger.searched("b") == [(0, 10)]
        assert ledger.searched("c") == []


def test_another_chains_ledger_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger", CHAIN).close()
    with pytest.raises(DataError, match="ledger: chain_id: expected 1, was 42161; give each chain"):
        Ledger(tmp_path / "ledger", 1)


HEAD = orjson.dumps({"format": "mevfast-ledger/1", "chain_id": CHAIN}) + b"\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]\n", "line 1: expected a line of a mevfast-ledger/1 file, was a list"),
        (b"no json\n", "line 1: expected a line"),
        (b'{"format":"mevfast-ledger/2","chain_id":42161}\n', "format: expected mevfast-ledger/1"),
        (HEAD + b'{"from":1}\n', "line 2: expected a line .* was KeyError"),
        (HEAD + b'{"from":1,"to":2,"venues":[],"pools":[{"venue":0}]}\n', "line 2: expected"),
        (HEAD + b"{}\x00\n", "line 2: expected"),
    ],
)
def test_what_is_no_ledger_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        Ledger(path, CHAIN)
    assert path.read_bytes() == content


def test_a_file_that_is_only_a_torn_head_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(HEAD[:20])
    Ledger(path, CHAIN).close()
    assert path.read_bytes() == HEAD


def _open(path: Path, answer: Any) -> None:
    try:
        Ledger(path, CHAIN).close()
        answer.put("opened")
    except DataError as error:
        answer.put(str(error))


def test_a_ledger_is_one_processes_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with Ledger(path, CHAIN):
        child = context.Process(target=_open, args=(path, answer))
        child.start()
        assert "for this process alone, another one uses it" in answer.get(timeout=60)
        child.join()
    Ledger(path, CHAIN).close()  # free again


@given(RANGES, st.integers(0, 80), st.integers(0, 80))
def test_merged_ranges_and_their_gaps_are_all_blocks_once(
    spans: list[tuple[int, int]], first: int, last: int
) -> None:
    covered = {block for low, high in spans for block in range(low, high + 1)}
    whole = merged(spans)
    assert {block for low, high in whole for block in range(low, high + 1)} == covered
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(whole))
    left = [block for low, high in gaps(whole, first, last) for block in range(low, high + 1)]
    assert left == [block for block in range(first, last + 1) if block not in covered]
