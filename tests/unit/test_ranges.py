"""Ranges of logs: every block once and in order, whatever the node refuses; patience where it is
asked too much."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevfast.chain import patience
from mevfast.dex import ranges
from mevfast.errors import NodeError, RpcError
from tests.node import Node


def swept(node: Node, start: int, end: int, width: int | None = None) -> list[tuple[int, int]]:
    async def work() -> list[tuple[int, int]]:
        span = (start, end)
        first = ranges.Width(width or end - start + 1)
        found = ranges.sweep(node, {"topics": [["0x1"]]}, span, first, "venue")  # type: ignore[arg-type]
        return [(low, high) async for low, high, _ in found]

    return asyncio.run(work())


def blocks(spans: list[tuple[int, int]]) -> list[int]:
    return [block for low, high in spans for block in range(low, high + 1)]


@given(st.integers(0, 10**9), st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 10**9))
def test_every_block_once_and_in_order(start: int, count: int, widest: int, width: int) -> None:
    spans = swept(Node([], widest), start, start + count - 1, width)
    assert blocks(spans) == list(range(start, start + count))


@pytest.mark.parametrize("widest", [100, 999, 2000, 10_000, 65_536])
def test_a_fixed_limit_costs_little_more_than_its_own_number_of_requests(widest: int) -> None:
    node = Node([], widest)
    total = 300 * widest
    swept(node, 0, total - 1)
    assert len(node.ranges) <= 340
    widths = [high - low + 1 for low, high in node.ranges[:-1]]
    assert widths == sorted(widths)  # what works is never gone below
    assert node.refusals <= 60


def test_ranges_of_a_width_that_works_are_asked_for_several_at_once() -> None:
    class Slow(Node):
        waiting, most = 0, 0

        async def request(self, method: str, params: list[Any]) -> Any:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            await asyncio.sleep(0)
            self.waiting -= 1
            return await super().request(method, params)

    node = Slow([], widest=100)
    assert blocks(swept(node, 0, 29_999)) == list(range(30_000))
    assert node.most == ranges.IN_FLIGHT


class Dense(Node):
    """Ten logs in each block of some, none elsewhere; at most a hundred logs an answer."""

    def __init__(self, dense: range) -> None:
        super().__init__([])
        self.dense = dense

    def refusal(self, first: int, last: int) -> RpcError | None:
        inside = len(range(max(first, self.dense.start), min(last + 1, self.dense.stop)))
        if 10 * inside > 100:
            return RpcError("eth_getLogs", -32005, "query returned more than 100 results")
        return None


def test_ranges_grow_again_behind_a_dense_stretch() -> None:
    node = Dense(range(1000, 1100))
    spans = swept(node, 0, 999_999)
    starts, ends = [low for low, _ in spans], [high for _, high in spans]
    assert (starts, ends[-1]) == ([0, *(end + 1 for end in ends[:-1])], 999_999)
    assert len(spans) < 60 and max(high - low for low, high in spans[-3:]) > 100_000


def test_a_query_that_takes_too_long_is_halved_while_the_connection_lasts() -> None:
    class Slow(Node):
        async def request(self, method: str, params: list[Any]) -> Any:
            first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
            if last - first >= 10:
                self.refusals += 1
                raise NodeError("expected an answer to eth_getLogs within 10 s, none came")
            return await super().request(method, params)

    node = Slow([])
    assert blocks(swept(node, 0, 99)) == list(range(100))
    assert node.refusals > 0


def test_a_lost_connection_ends_the_search() -> None:
    class Lost(Node):
        async def request(self, method: str, params: list[Any]) -> Any:
            self.failure = NodeError("the connection was lost")
            raise self.failure

    with pytest.raises(NodeError, match="the connection was lost"):
        swept(Lost([]), 0, 99)


# ---- patience ----

LIMITS = [
    (-32005, "limit exceeded"),
    (429, "Too Many Requests"),
    (-32000, "rate limit reached"),
    (-32016, "over rate limit"),
    (-32603, "Your app has exceeded its compute units per second capacity"),
    (0, "HTTP 429"),
]
NOT_NOW = pytest.mark.parametrize(("code", "message"), LIMITS)


@NOT_NOW
def test_what_says_not_now_is_a_limit(code: int, message: str) -> None:
    assert patience.limited(RpcError("m", code, message))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "query returned more than 10000 results"),
        (-32005, "block range too large"),
        (-32000, "exceed maximum block range: 5000"),
        (-32602, "eth_getLogs is limited to a 10,000 range"),
        (3, "execution reverted"),
        (-32000, "missing trie node"),
    ],
)
def test_what_says_no_is_none(code: int, message: str) -> None:
    assert not patience.limited(RpcError("m", code, message))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The waits there would have been."""
    seen: list[float] = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    monkeypatch.setattr(patience.asyncio, "sleep", sleep)
    yield seen


class Busy(Node):
    """Refuses the first requests of each kind of question for now."""

    def __init__(self, refusals: int, code: int = -32005, message: str = "limit exceeded") -> None:
        super().__init__([])
        self.left, self.error = refusals, RpcError("m", code, message)
        self.asked: list[int] = []

    async def request(self, method: str, params: list[Any]) -> Any:
        if self.left:
            self.left -= 1
            raise self.error
        self.asked.append(params[0])
        return params[0]


@NOT_NOW
def test_a_limited_node_is_asked_again_after_growing_waits(
    code: int, message: str, waits: list[float]
) -> None:
    node: Any = Busy(3, code, message)
    assert asyncio.run(patience.request(node, "m", [7])) == 7
    assert waits == list(patience.WAITS_S[:3])
    assert waits == sorted(set(waits))


def test_only_what_was_refused_of_a_batch_is_asked_again(waits: list[float]) -> None:
    node: Any = Busy(3)
    calls = [("m", [n]) for n in range(5)]
    assert asyncio.run(patience.batch(node, calls)) == [0, 1, 2, 3, 4]
    assert node.asked == [3, 4, 0, 1, 2]
    assert len(waits) == 1


def test_a_limit_without_an_end_is_the_nodes_error(waits: list[float]) -> None:
    node: Any = Busy(10**9)
    with pytest.raises(NodeError, match="still limits"):
        asyncio.run(patience.batch(node, [("m", [1])]))
    assert waits == list(patience.WAITS_S)
    with pytest.raises((NodeError, RpcError), match="limit exceeded"):
        asyncio.run(patience.request(node, "m", [1]))


def test_another_refusal_is_not_waited_for(waits: list[float]) -> None:
    node: Any = Busy(1, 3, "execution reverted")
    [answer] = asyncio.run(patience.batch(node, [("m", [1])]))
    assert isinstance(answer, RpcError)
    node = Busy(1, 3, "execution reverted")
    with pytest.raises(RpcError, match="reverted"):
        asyncio.run(patience.request(node, "m", [1]))
    assert waits == []
