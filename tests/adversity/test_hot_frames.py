"""What the hot half sees of a connection, and messages of every size."""

import asyncio
import logging
from typing import Any

import pytest
from picows import WSFrame

from mevfast.chain.rpc import FIRST_HOT_ID, MAX_MESSAGE, Rpc
from mevfast.errors import NodeError, RpcError
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


class Recorder:
    """A hot half that takes whatever holds "hot" and writes down what it was called with."""

    def __init__(self) -> None:
        self.log: list[str | bytes] = []
        self.fail_on: bytes | None = None
        self.frames = 0

    def feed(self, message: WSFrame) -> bool:
        self.frames += 1
        return self.feed_bytes(message.get_payload_as_bytes())

    def feed_bytes(self, message: bytes) -> bool:
        if message == self.fail_on:
            raise ZeroDivisionError("broken on purpose")
        if b"hot" in message:
            self.log.append(message)
        return b"hot" in message

    def flush(self) -> None:
        self.log.append("flush")


# ---- The hot half ----


@on_loop
async def test_fragments_are_joined_with_pings_between_them() -> None:
    pongs: list[tuple[int, bytes]] = []

    async def split(peer: Peer) -> None:
        for payload in (b'{"hot":1}', b'{"method":"m","cold":2}'):
            peer.write(frame(payload[:3], TEXT, False))
            peer.write(frame(b"are you there", PING))
            peer.write(frame(payload[3:7], CONTINUATION, False))
            await asyncio.sleep(0.01)
            peer.write(frame(payload[7:], CONTINUATION))
        pongs.append(await peer.receive())
        await forever(peer)

    async with FakeNode(split) as node:
        hot, seen = Recorder(), asyncio.Event()
        cold: list[dict[str, Any]] = []

        def notified(message: dict[str, Any]) -> None:
            cold.append(message)
            seen.set()

        async with await Rpc.connect(node.url, hot=hot, on_notification=notified):
            await seen.wait()
            while not pongs:
                await asyncio.sleep(0.001)
        assert [entry for entry in hot.log if entry != "flush"] == [b'{"hot":1}']
        assert hot.frames == 0
        assert cold == [{"method": "m", "cold": 2}]
        assert pongs == [(PONG, b"are you there")]


@on_loop
async def test_what_was_fed_is_flushed_though_a_ping_ends_the_read() -> None:
    reads = [
        frame(b"hot 1") + frame(b"hot 2") + frame(b"", PING),
        frame(b"hot 3") + frame(b"", PONG),
        frame(b"hot 4"),
    ]

    async def write(peer: Peer) -> None:
        for n, read in enumerate(reads):
            while hot.log.count("flush") < n:  # not before the last one has been read
                await asyncio.sleep(0.001)
            peer.write(read)
        await forever(peer)

    hot = Recorder()
    async with FakeNode(write) as node:
        async with await Rpc.connect(node.url, hot=hot):
            while hot.log.count("flush") < len(reads):
                await asyncio.sleep(0.001)
        assert hot.log == [b"hot 1", b"hot 2", "flush", b"hot 3", "flush", b"hot 4", "flush"]
        assert hot.frames == 4  # none was copied to be fed


@on_loop
async def test_pong_to_our_own_ping_ends_a_read_too() -> None:
    """picows consumes the pong it waits for; what came before it in the same read must not wait."""

    async def write(peer: Peer) -> None:
        while True:
            opcode, payload = await peer.receive()
            if opcode == PING:
                peer.write(frame(b"hot") + frame(payload, PONG))

    async with FakeNode(write) as node:
        hot = Recorder()
        async with await Rpc.connect(node.url, hot=hot, request_timeout=0.5):
            while "flush" not in hot.log:
                await asyncio.sleep(0.001)
        assert hot.log[:2] == [b"hot", "flush"]


@on_loop
async def test_failing_hot_half_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def write(peer: Peer) -> None:
        await peer.request()
        peer.write(frame(b"hot 1") + frame(b"hot 2") + frame(b"hot 3"))
        await forever(peer)

    async with FakeNode(write) as node:
        hot = Recorder()
        hot.fail_on = b"hot 2"
        lost: list[NodeError] = []
        rpc = await Rpc.connect(node.url, hot=hot, on_disconnect=lost.append)
        with caplog.at_level(logging.ERROR, "mevfast.chain.rpc"), pytest.raises(NodeError):
            await rpc.request("eth_chainId")
        [error] = lost
        says(error, node.url, "ZeroDivisionError: broken on purpose", "in doubt", "reconnect")
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert hot.log == [b"hot 1"]  # nothing is fed after it, and nothing flushed
        assert "Traceback" in caplog.text
        await rpc.close()


@on_loop
async def test_failing_callback_ends_the_connection() -> None:
    async def notify(peer: Peer) -> None:
        await peer.request()
        peer.write(frame({"method": "eth_subscription", "params": {}}))
        await forever(peer)

    def broken(message: dict[str, Any]) -> None:
        raise KeyError("subscription")

    async with FakeNode(notify) as node, await Rpc.connect(node.url, on_notification=broken) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_chainId")
        says(caught, "KeyError", "in doubt")


@on_loop
async def test_raw_requests_are_answered_by_callback() -> None:
    async def answer(peer: Peer) -> None:
        requests = [await peer.request() for _ in range(2)]
        peer.write(frame({"id": requests[1]["id"], "error": {"code": -32000, "message": "nonce"}}))
        peer.write(frame({"id": requests[0]["id"], "result": "0xab"}))
        await forever(peer)

    async with FakeNode(answer) as node:
        answers: list[tuple[int, Any, Any]] = []
        done = asyncio.Event()

        def answered(request_id: int, result: Any, error: RpcError | None) -> None:
            answers.append((request_id, result, error and error.code))
            if len(answers) == 2:
                done.set()

        async with await Rpc.connect(node.url, on_hot_answer=answered) as rpc:
            for i, kind in enumerate((bytearray, memoryview)):
                rpc.send_raw(
                    kind(b'{"id":%d,"method":"eth_sendRawTransaction"}' % (FIRST_HOT_ID + i))
                )
            await done.wait()
            assert rpc.calls == {"eth_sendRawTransaction": 2}
        assert answers == [(FIRST_HOT_ID + 1, None, -32000), (FIRST_HOT_ID, "0xab", None)]


# ---- Size ----


@pytest.mark.parametrize("pieces", [1, 5])
@on_loop
async def test_large_message_passes(pieces: int) -> None:
    size = 20 << 20

    async def pour(peer: Peer) -> None:
        request = await peer.request()
        text = b'{"id":%d,"result":"%s"}' % (request["id"], b"a" * size)
        step = -(-len(text) // pieces)
        for i in range(pieces):
            part = text[i * step : (i + 1) * step]
            peer.write(frame(part, CONTINUATION if i else TEXT, i == pieces - 1))
        await forever(peer)

    async with FakeNode(pour) as node, await Rpc.connect(node.url) as rpc:
        assert len(await rpc.request("eth_getLogs")) == size
        assert rpc.bytes_in > size


@pytest.mark.parametrize("fragmented", [False, True])
@on_loop
async def test_endless_message_is_refused(fragmented: bool) -> None:
    async def pour(peer: Peer) -> None:
        await peer.request()
        if not fragmented:
            peer.write(b"\x81\x7f" + (MAX_MESSAGE + 1).to_bytes(8, "big"))
            await forever(peer)
        piece = b"a" * (MAX_MESSAGE // 4)
        peer.write(frame(piece, TEXT, False))
        while True:
            peer.write(frame(piece, CONTINUATION, False))
            await peer.writer.drain()

    async with FakeNode(pour) as node, await Rpc.connect(node.url) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_getLogs")
        says(caught, node.url, str(MAX_MESSAGE))
