"""Nodes that refuse, lie, stall, hang up and send rubbish: one clear error each, nothing left."""

import asyncio
from typing import Any

import pytest

from mevfast.chain.rpc import FIRST_HOT_ID, Rpc, check_chain_id
from mevfast.errors import NodeError, RpcError
from tests.adversity.bounds import on_loop, says
from tests.adversity.fake_node import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FakeNode,
    Peer,
    forever,
    frame,
)


async def connection_error(url: str, timeout: float = 10.0) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await Rpc.connect(url, request_timeout=timeout)
    return caught.value


# ---- No connection ----


@on_loop
async def test_connection_refused() -> None:
    async with FakeNode(forever) as node:
        url = node.url
    says(await connection_error(url), url, "refused", "start the node")


@on_loop
async def test_unknown_host() -> None:
    error = await connection_error("ws://node.invalid:8546", timeout=20)
    says(error, "ws://node.invalid:8546", "host", "correct the URL")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8545", "ws://", "ws://127.0.0.1:99999", "node", "", "ws://[::1"]
)
@on_loop
async def test_not_a_websocket_url(url: str) -> None:
    says(await connection_error(url), "expected a URL ws://")


@on_loop
async def test_keys_in_urls_are_not_shown() -> None:
    url = "ws://user:pass@127.0.0.1:1/v2/abcdefghijklmnopqrstuv?key=secret"
    error = await connection_error(url)
    says(error, "ws://127.0.0.1:1/v2/***?***")
    for secret in ("user", "pass", "abcdef", "secret"):
        assert secret not in str(error)


@pytest.mark.parametrize(
    "status", ["200 OK", "301 Moved Permanently", "404 Not Found", "502 Bad Gateway"]
)
@on_loop
async def test_node_speaks_http(status: str) -> None:
    asked = []

    async def answer(peer: Peer) -> None:
        asked.append(await peer.reader.readuntil(b"\r\n\r\n"))
        peer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nLocation: /x\r\n\r\nno".encode())

    async with FakeNode(answer, upgraded=False) as node:
        error = await connection_error(node.url)
    says(error, node.url, "expected a WebSocket handshake", f"HTTP {status}", "WebSocket URL")
    assert len(asked) == 1  # a redirect is reported, not followed


@on_loop
async def test_node_speaks_something_else() -> None:
    async def greet(peer: Peer) -> None:
        peer.write(b"220 mail.example ESMTP\r\n\r\n")
        await asyncio.sleep(0.05)

    async with FakeNode(greet, upgraded=False) as node:
        error = await connection_error(node.url)
    says(error, node.url, "expected a WebSocket handshake", "220 mail")


@on_loop
async def test_node_hangs_up_before_the_handshake() -> None:
    async def hang_up(peer: Peer) -> None:
        pass

    async with FakeNode(hang_up, upgraded=False) as node:
        error = await connection_error(node.url)
    says(error, node.url, "expected")


@on_loop
async def test_node_hangs_up_in_the_handshake() -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(b"HTTP/1.1 101 Switching")

    async with FakeNode(hang_up, upgraded=False) as node:
        error = await connection_error(node.url)
    says(error, node.url, "expected a WebSocket handshake", "closed the connection")


@on_loop
async def test_node_never_answers_the_handshake() -> None:
    async with FakeNode(forever, upgraded=False) as node:
        error = await connection_error(node.url, timeout=0.1)
    says(error, node.url, "expected a WebSocket handshake within 0.1 s", "none came")


@on_loop
async def test_node_without_tls() -> None:
    async def plain(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with FakeNode(plain, upgraded=False) as node:
        url = node.url.replace("ws:", "wss:")
        says(await connection_error(url), url, "expected a TLS connection", "ws://")


@on_loop
async def test_tls_handshake_stalls() -> None:
    async with FakeNode(forever, upgraded=False) as node:
        error = await connection_error(node.url.replace("ws:", "wss:"), timeout=0.1)
    says(error, "wss://127.0.0.1", "expected a connection", "SSL handshake", "0.1 s")


# ---- A connection that ends ----


@on_loop
async def test_node_hangs_up_after_the_handshake() -> None:
    async def hang_up(peer: Peer) -> None:
        pass

    async with FakeNode(hang_up) as node:
        lost: list[NodeError] = []
        with pytest.raises(NodeError) as caught:
            rpc = await Rpc.connect(node.url, request_timeout=1, on_disconnect=lost.append)
            try:
                await rpc.request("eth_chainId")
            finally:
                await rpc.close()
    says(caught, node.url, "lost", "reconnect")
    assert len(lost) <= 1


@on_loop
async def test_connection_lost_while_requests_wait() -> None:
    async def drop(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()

    async with FakeNode(drop) as node:
        lost: list[NodeError] = []
        rpc = await Rpc.connect(node.url, on_disconnect=lost.append)
        results = await asyncio.gather(
            rpc.request("eth_chainId"),
            rpc.batch([("eth_call", [])] * 3),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [NodeError, NodeError]
        assert len(lost) == 1
        says(lost[0], node.url, "the connection was lost", "reconnect")
        with pytest.raises(NodeError):
            await rpc.request("eth_chainId")
        with pytest.raises(NodeError):
            rpc.send_raw(b"{}")
        await rpc.close()
        assert len(lost) == 1


@on_loop
async def test_close_frame_is_named_and_answered() -> None:
    answers: list[tuple[int, bytes]] = []

    async def close(peer: Peer) -> None:
        await peer.request()
        peer.write(frame((1001).to_bytes(2, "big") + b"restarting", CLOSE))
        answers.append(await peer.receive())

    async with FakeNode(close) as node:
        rpc = await Rpc.connect(node.url)
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_chainId")
        says(caught, node.url, "node closed it with 1001 (restarting)", "reconnect")
        await rpc.close()
    assert answers == [(CLOSE, (1000).to_bytes(2, "big"))]


@on_loop
async def test_silent_node_is_dropped_and_one_that_pongs_is_kept() -> None:
    pings = 0

    async def pong(peer: Peer) -> None:
        nonlocal pings
        opcode, payload = await peer.receive()
        while opcode == PING:
            pings += 1
            peer.write(frame(payload, PONG))
            opcode, payload = await peer.receive()
        assert opcode == CLOSE

    async with FakeNode(forever) as dead, FakeNode(pong) as idle:
        lost: asyncio.Future[NodeError] = asyncio.get_running_loop().create_future()
        silent = await Rpc.connect(dead.url, request_timeout=0.1, on_disconnect=lost.set_result)
        alive = await Rpc.connect(idle.url, request_timeout=0.7)
        says(await lost, dead.url, "not replied to ping", "reconnect")
        while pings < 2:
            await asyncio.sleep(0.01)
        assert alive.failure is None
        await silent.close()
        await alive.close()


@on_loop
async def test_close_ends_everything_that_waits() -> None:
    async with FakeNode(forever) as node:
        lost: list[NodeError] = []
        rpc = await Rpc.connect(node.url, on_disconnect=lost.append)
        waiting = [asyncio.ensure_future(rpc.request("eth_call")) for _ in range(3)]
        await asyncio.sleep(0.01)
        await rpc.close()
        await rpc.close()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, NodeError)
        assert not lost


# ---- Answers ----


@on_loop
async def test_request_without_an_answer() -> None:
    gave_up = asyncio.Event()

    async def late(peer: Peer) -> None:
        request = await peer.request()
        await gave_up.wait()  # before the ping that it leaves unanswered is overdue
        peer.write(frame({"jsonrpc": "2.0", "id": request["id"], "result": "0x1"}))
        request = await peer.request()
        peer.write(frame({"jsonrpc": "2.0", "id": request["id"], "result": "0x2"}))
        await forever(peer)

    async with FakeNode(late) as node, await Rpc.connect(node.url, request_timeout=1) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_getLogs", [{}])
        says(caught, node.url, "expected an answer to eth_getLogs within 1 s", "none came")
        gave_up.set()
        while not rpc.unknown_answers:  # the late one, which harms nobody
            await asyncio.sleep(0.001)
        assert await rpc.request("eth_blockNumber") == "0x2"


@on_loop
async def test_cancelled_request_leaves_nothing() -> None:
    async with FakeNode(forever) as node, await Rpc.connect(node.url) as rpc:
        waiting = asyncio.ensure_future(rpc.request("eth_call"))
        await asyncio.sleep(0.01)
        assert len(rpc._pending) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not rpc._pending


@on_loop
async def test_unknown_ids_are_counted_and_ignored() -> None:
    async def confuse(peer: Peer) -> None:
        request = await peer.request()
        for wrong in (request["id"] + 1, None, "1", 1.0, True, [], FIRST_HOT_ID):
            peer.write(frame({"jsonrpc": "2.0", "id": wrong, "result": "wrong"}))
        right = frame({"jsonrpc": "2.0", "id": request["id"], "result": "right"})
        peer.write(right + right)
        await forever(peer)

    async with FakeNode(confuse) as node, await Rpc.connect(node.url) as rpc:
        assert await rpc.request("eth_chainId") == "right"
        while rpc.unknown_answers < 8:
            await asyncio.sleep(0.001)
        assert rpc.unknown_answers == 8


@pytest.mark.parametrize(
    "message", [b"<html>busy</html>", b"", b"5", b"null", b'"text"', b"[1]", b'{"id":', b"\xff\xfe"]
)
@on_loop
async def test_garbage_ends_the_connection(message: bytes) -> None:
    async def babble(peer: Peer) -> None:
        await peer.request()
        peer.write(frame(message))
        await forever(peer)

    async with FakeNode(babble) as node:
        lost: list[NodeError] = []
        rpc = await Rpc.connect(node.url, on_disconnect=lost.append)
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_chainId")
        says(caught, node.url, "expected JSON-RPC", repr(message), "JSON-RPC endpoint")
        assert lost == [caught.value]
        await rpc.close()


@pytest.mark.parametrize(
    "data", [frame(b"{}", BINARY), frame(b"{}", CONTINUATION), frame(b"{", TEXT, False) * 2]
)
@on_loop
async def test_frames_out_of_place_end_the_connection(data: bytes) -> None:
    async def babble(peer: Peer) -> None:
        await peer.request()
        peer.write(data)
        await forever(peer)

    async with FakeNode(babble) as node, await Rpc.connect(node.url) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.request("eth_chainId")
        says(caught, node.url, "expected text messages", "frame out of place")


@on_loop
async def test_errors_of_all_shapes() -> None:
    shapes: list[Any] = [
        {"error": {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}},
        {"error": {"code": "x", "message": None}},
        {"error": "busy"},
        {},
        {"result": None, "error": None},
    ]

    async def refuse(peer: Peer) -> None:
        for shape in shapes:
            request = await peer.request()
            peer.write(frame({"jsonrpc": "2.0", "id": request["id"]} | shape))
        await forever(peer)

    async with FakeNode(refuse) as node, await Rpc.connect(node.url) as rpc:
        with pytest.raises(RpcError) as caught:
            await rpc.request("eth_call", [{}])
        error = caught.value
        assert (error.method, error.code, error.data) == ("eth_call", 3, "0x08c379a0")
        assert str(error) == "eth_call: node answered error 3: execution reverted"
        for _ in range(3):
            with pytest.raises(RpcError):
                await rpc.request("eth_call", [{}])
        assert await rpc.request("eth_getTransactionReceipt", ["0x"]) is None


@on_loop
async def test_complaint_without_id_is_named_when_time_is_up() -> None:
    async def complain(peer: Peer) -> None:
        await peer.request()
        peer.write(frame({"id": None, "error": {"code": -32600, "message": "batch too large"}}))
        await forever(peer)

    async with FakeNode(complain) as node, await Rpc.connect(node.url, request_timeout=1) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.batch([("eth_call", [{}])] * 2)
        says(caught, "eth_call", "0 of a batch of 2", "batch too large")


@on_loop
async def test_batch_answered_in_any_order_comes_back_in_order() -> None:
    async def shuffle(peer: Peer) -> None:
        for _ in range(3):
            batch = await peer.request()
            answers = [
                {"jsonrpc": "2.0", "id": call["id"], "result": call["params"][0]}
                for call in reversed(batch)
            ]
            answers[0] = answers[0] | {"result": None, "error": {"code": 7, "message": "no"}}
            half = len(answers) // 2
            peer.write(frame(answers[:half]))
            peer.write(b"".join(frame(answer) for answer in answers[half:]))
        await forever(peer)

    async with FakeNode(shuffle) as node, await Rpc.connect(node.url) as rpc:
        progress: list[tuple[int, int]] = []
        results = await rpc.batch(
            [("eth_call", [i]) for i in range(25)],
            lambda done, total: progress.append((done, total)),
            batch_size=10,
        )
        refused = [i for i, result in enumerate(results) if isinstance(result, RpcError)]
        assert refused == [9, 19, 24]
        assert [r for r in results if not isinstance(r, RpcError)] == [
            i for i in range(25) if i not in refused
        ]
        assert sorted(done for done, _ in progress)[-1] == 25
        assert len(progress) == rpc.requests_sent == 3
        assert rpc.calls == {"eth_call": 25}
        assert await rpc.batch([]) == []


@on_loop
async def test_batch_half_answered() -> None:
    async def half(peer: Peer) -> None:
        batch = await peer.request()
        peer.write(frame([{"id": call["id"], "result": 1} for call in batch[:2]]))
        await forever(peer)

    async with FakeNode(half) as node, await Rpc.connect(node.url, request_timeout=1) as rpc:
        with pytest.raises(NodeError) as caught:
            await rpc.batch([("a", []), ("b", []), ("c", []), ("d", [])])
        says(caught, "an answer to c within 1 s", "2 of a batch of 4 answered")


@on_loop
async def test_batch_refused_under_the_id_of_its_first_call() -> None:
    async def refuse(peer: Peer) -> None:
        batch = await peer.request()
        error = {"code": -32600, "message": "batch too large"}
        peer.write(frame({"jsonrpc": "2.0", "id": batch[0]["id"], "error": error}))
        await forever(peer)

    async with FakeNode(refuse) as node, await Rpc.connect(node.url) as rpc:
        results = await rpc.batch([("eth_call", [])] * 5)
        assert [(type(r), r.code) for r in results] == [(RpcError, -32600)] * 5


@on_loop
async def test_chain_id() -> None:
    async def answer(peer: Peer) -> None:
        for value in ("0xa4b1", "0x1", "nonsense", None):
            request = await peer.request()
            peer.write(frame({"id": request["id"], "result": value}))
        await forever(peer)

    async with FakeNode(answer) as node, await Rpc.connect(node.url) as rpc:
        await check_chain_id(rpc, 42161)
        for words in (["node has 1", "change the chain id"], ["'nonsense'"], ["None"]):
            with pytest.raises(NodeError) as caught:
                await check_chain_id(rpc, 42161)
            says(caught, node.url, "expected chain id 42161", *words)
