"""The compiled listener on a node's socket: what it feeds, what it writes, and how it ends."""

import asyncio
import logging
import socket
from collections.abc import Callable

import orjson
import pytest

from mevfast.chain.rpc import FIRST_HOT_ID, Rpc
from mevfast.errors import NodeError
from tests.adversity.bounds import on_loop, says
from tests.adversity.fake_node import (
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FakeNode,
    Peer,
    forever,
    frame,
)
from tests.unit.test_core import A, Chain


def opened(chain: Chain) -> tuple[bytes, bytes]:
    """A log that opens a cycle, and its head."""
    return chain.sync(0, 1.1), chain.head([A])


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@on_loop
async def test_a_frame_becomes_a_masked_request_on_the_same_socket() -> None:
    chain = Chain()
    got: list[tuple[int, bytes]] = []
    wired = asyncio.Event()

    async def node(peer: Peer) -> None:
        await wired.wait()
        peer.write(b"".join(map(frame, opened(chain))))
        got.append(await peer.receive())
        await forever(peer)

    async with FakeNode(node) as fake, await Rpc.connect(fake.url, hot=chain.core) as rpc:
        chain.core.send = rpc.outlet
        wired.set()
        await until(lambda: got)
        [trade] = chain.core.trades()
        [(opcode, payload)] = got
        request = orjson.loads(payload)
        assert opcode == TEXT
        assert request["method"] == "eth_sendRawTransaction"
        assert request["id"] == trade["request_id"] >= FIRST_HOT_ID
        assert rpc.calls == {"eth_sendRawTransaction": 1}
        assert (rpc.requests_sent, rpc.bytes_out) == (1, len(payload))
        assert rpc.bytes_in == sum(map(len, opened(chain)))
        assert chain.core.stages.count("send") == 1
        options = (socket.TCP_NODELAY, socket.TCP_QUICKACK)
        assert [rpc._socket.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [1, 1]


@on_loop
async def test_what_no_core_takes_goes_on_to_python() -> None:
    chain = Chain()
    seen: list[object] = []

    async def node(peer: Peer) -> None:
        peer.write(frame({"method": "eth_subscription", "params": {}}))
        peer.write(frame({"id": FIRST_HOT_ID, "result": "0xab"}))
        peer.write(frame(b"hello", PING))
        assert await peer.receive() == (PONG, b"hello")
        request = await peer.request()
        peer.write(frame({"id": request["id"], "result": "0x1"}))
        await forever(peer)

    async with (
        FakeNode(node) as fake,
        await Rpc.connect(
            fake.url,
            hot=chain.core,
            on_notification=seen.append,
            on_hot_answer=lambda *answer: seen.append(answer),
        ) as rpc,
    ):
        assert await rpc.request("eth_chainId") == "0x1"
        assert seen == [{"method": "eth_subscription", "params": {}}, (FIRST_HOT_ID, "0xab", None)]


@pytest.mark.parametrize("last", [PING, PONG, TEXT])
@on_loop
async def test_a_read_is_acted_on_whatever_frame_ends_it(last: int) -> None:
    chain = Chain()
    wired = asyncio.Event()

    async def node(peer: Peer) -> None:
        await wired.wait()
        end = frame(b'{"method":"m"}' if last == TEXT else b"", last)
        peer.write(b"".join(map(frame, opened(chain))) + end)
        await forever(peer)

    async with FakeNode(node) as fake, await Rpc.connect(fake.url, hot=chain.core) as rpc:
        chain.core.send = rpc.outlet
        wired.set()
        await until(lambda: chain.core.n_sent)
        assert chain.batches >= 1


@on_loop
async def test_fragments_of_a_log_are_joined_with_others_between_them() -> None:
    chain = Chain()
    log, head = opened(chain)
    wired = asyncio.Event()

    async def node(peer: Peer) -> None:
        await wired.wait()
        peer.write(frame(log[:40], TEXT, False))
        peer.write(frame(b"", PING))
        await asyncio.sleep(0.01)
        peer.write(frame(log[40:90], CONTINUATION, False))
        peer.write(frame(log[90:], CONTINUATION) + frame(head))
        await forever(peer)

    async with FakeNode(node) as fake, await Rpc.connect(fake.url, hot=chain.core) as rpc:
        chain.core.send = rpc.outlet
        wired.set()
        await until(lambda: chain.core.n_sent)
        assert (chain.core.n_logs, chain.core.n_heads) == (1, 2)
        assert rpc.bytes_in == len(log) + len(head)


@on_loop
async def test_a_whole_message_between_fragments_is_refused_like_anywhere() -> None:
    chain = Chain()
    log, head = opened(chain)

    async def node(peer: Peer) -> None:
        await peer.request()
        peer.write(frame(log[:40], TEXT, False) + frame(head))
        await forever(peer)

    async with FakeNode(node) as fake, await Rpc.connect(fake.url, hot=chain.core) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_chainId")
        says(caught, fake.url, "TEXT frame out of place")
        assert chain.core.n_heads == 1  # the one that the chain began with


@on_loop
async def test_an_error_behind_the_sending_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chain = Chain()

    def broken() -> None:
        raise ZeroDivisionError("broken on purpose")

    async def node(peer: Peer) -> None:
        await peer.request()
        peer.write(frame(chain.head()))
        await forever(peer)

    async with FakeNode(node) as fake:
        lost: list[NodeError] = []
        rpc = await Rpc.connect(fake.url, hot=chain.core, on_disconnect=lost.append)
        chain.core.after = broken
        with caplog.at_level(logging.ERROR, "mevfast.chain.rpc"), pytest.raises(NodeError):
            await rpc.request("eth_chainId")
        [error] = lost
        says(error, fake.url, "ZeroDivisionError: broken on purpose", "in doubt", "reconnect")
        assert "Traceback" in caplog.text
        await rpc.close()


@on_loop
async def test_nothing_is_written_and_nothing_booked_once_the_connection_is_closed() -> None:
    chain = Chain()
    async with FakeNode(forever) as fake:
        rpc = await Rpc.connect(fake.url, hot=chain.core)
        chain.core.send = rpc.outlet
        await rpc.close()
    with pytest.raises(NodeError, match="the connection was closed here"):
        chain.feed(*opened(chain))
    assert chain.core.trades() == []
    assert chain.core.nonce == 7
    assert rpc.calls == {}
    assert chain.dropped()["risk"] == 1
