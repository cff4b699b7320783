"""JSON-RPC 2.0 over one WebSocket connection.

Owns the socket, the request ids and their answers. What notifications mean, when to reconnect and
what to ask is its callers' business. Every wait ends: in an answer, or in one NodeError.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import orjson
from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from mevfast._core import Core
from mevfast._listen import Line, Socket
from mevfast.chain import busy
from mevfast.errors import NodeError, RpcError

logger = logging.getLogger(__name__)

MAX_MESSAGE = 64 << 20
"""Bytes of one message, fragmented or not. A block's receipts stay well below."""

BATCH_SIZE = 100
"""Calls a batch: keeps the node's answer, and the notifications waiting behind it, short."""

BATCHES_IN_FLIGHT = 4

FIRST_HOT_ID = 1 << 40
"""Ids from here on belong to callers of send_raw, which encode their own requests."""

CLOSE_SECONDS = 1.0
"""How long close() waits for the peer before it cuts the connection."""

TEXT = WSMsgType.TEXT
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Hot(Protocol):
    """What sees each message first, before any of it becomes a Python object."""

    def feed(self, frame: WSFrame) -> bool:
        """Takes one whole message. DANGER: the frame's memory dies with the return. True says
        that it was a log or a head and is dealt with."""

    def feed_bytes(self, message: bytes) -> bool:
        """The same for a message that came in fragments."""

    def flush(self) -> None:
        """Nothing more has been read from the socket: act on what has been fed."""


class _Exchange:
    """Requests sent in one message, whose ids are `first_id` onwards, and their answers."""

    __slots__ = ("answers", "first_id", "future", "methods", "missing")

    def __init__(self, first_id: int, methods: list[str]) -> None:
        self.first_id, self.methods = first_id, methods
        self.answers: list[Any] = [None] * len(methods)
        self.missing = len(methods)
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ids(self) -> range:
        return range(self.first_id, self.first_id + len(self.methods))

    def settle(self, request_id: int, answer: Any) -> None:
        self.answers[request_id - self.first_id] = answer
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: NodeError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Rpc:
    """One connection. Made by `connect`; after a NodeError from it only `close` is of use.

    A `hot` that is a Core is called by compiled code for each frame, and writes its requests to
    `outlet`, which is this connection's socket.

    Counters: `calls` by method (each call of a batch counts), `requests_sent` (messages),
    `bytes_in`, `bytes_out` (payloads), `notifications` (those not taken by `hot`),
    `unknown_answers` (with an id nobody waits for, or too late).
    """

    def __init__(
        self, url: str, request_timeout: float, hot: Hot | None, busy_poll_us: int = 0
    ) -> None:
        """Nothing but the counters; `connect` makes a connection."""
        self.url = shown_url(url)
        self.request_timeout = request_timeout
        self.busy_poll_us = busy_poll_us
        self.busy_polled = False
        self.on_notification: Callable[[dict[str, Any]], None] | None = None
        self.on_hot_answer: Callable[[int, Any, RpcError | None], None] | None = None
        self.on_disconnect: Callable[[NodeError], None] | None = None
        self.notifications = 0
        self.unknown_answers = 0
        self.failure: NodeError | None = None
        self.outlet = Socket(self._lost)
        self._hot = hot
        self._line = Line(hot, self.outlet, self) if isinstance(hot, Core) else None
        self._calls: Counter[str] = Counter()
        self._requests_sent = self._bytes_in = self._bytes_out = 0
        self._transport: WSTransport
        self._socket: socket.socket
        self._watcher: asyncio.Task[None] | None = None
        self._pending: dict[int, _Exchange] = {}
        self._next_id = 1
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._last_complaint = ""

    @property
    def calls(self) -> Counter[str]:
        """Calls so far, by method."""
        hot = {"eth_sendRawTransaction": self.outlet.sent} if self.outlet.sent else {}
        return self._calls + Counter(hot)

    @property
    def requests_sent(self) -> int:
        """Messages written so far."""
        return self._requests_sent + self.outlet.sent

    @property
    def bytes_out(self) -> int:
        """Bytes of those messages."""
        return self._bytes_out + self.outlet.bytes_out

    @property
    def bytes_in(self) -> int:
        """Bytes of the messages that came."""
        return self._bytes_in + (self._line.bytes_in if self._line is not None else 0)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        request_timeout: float = 10.0,
        hot: Hot | None = None,
        on_disconnect: Callable[[NodeError], None] | None = None,
        on_notification: Callable[[dict[str, Any]], None] | None = None,
        on_hot_answer: Callable[[int, Any, RpcError | None], None] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        busy_poll_us: int = 0,
    ) -> Self:
        """A connection to a ws:// or wss:// node.

        `request_timeout` (seconds) bounds the handshake, each request and each silence: a peer
        that sends nothing for so long is pinged, and dropped if it does not answer that either.
        `on_disconnect(error)` is called once when the connection is lost, never for `close`.
        `on_notification(message)` gets what `hot` did not take; `on_hot_answer(id, result, error)`
        the answers to send_raw. An exception from any of them, or from `hot`, ends the connection:
        what the state is worth after it nobody knows. With `busy_poll_us` the kernel is asked to
        poll the network card for so long in each read; `busy_polled` says whether it agreed.
        Raises NodeError.
        """
        rpc = cls(url, request_timeout, hot, busy_poll_us)
        rpc.on_notification, rpc.on_hot_answer = on_notification, on_hot_answer
        try:
            # The handshake has a timeout of its own; the second is a margin for this one, which
            # guards resolution and the TCP connection.
            async with asyncio.timeout(request_timeout + 1):
                tls: dict[str, Any] = {}
                if url.lower().startswith("wss:"):
                    tls["ssl_handshake_timeout"] = request_timeout
                transport, listener = await ws_connect(
                    lambda: rpc._line or _Listener(rpc),
                    url,
                    ssl_context=ssl_context,
                    websocket_handshake_timeout=request_timeout,
                    # Automatic pongs would swallow the last_in_buffer of a PING that ends a read.
                    enable_auto_pong=False,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=request_timeout,
                    auto_ping_reply_timeout=request_timeout,
                    max_frame_size=MAX_MESSAGE,
                    max_redirects=0,
                    **tls,
                )
        except (OSError, ValueError, WSHandshakeError, WSInvalidURL) as error:
            raise NodeError(f"{rpc.url}: {_why_not(error, request_timeout)}") from error
        # picows returns no listener where the peer hung up instead of answering.
        if listener is None:
            raise NodeError(
                f"{rpc.url}: expected a WebSocket handshake, the node closed the connection; "
                "check that this port serves WebSocket JSON-RPC"
            )
        rpc._watcher = asyncio.create_task(rpc._watch())
        if transport.is_disconnected:
            await rpc._watcher
        if rpc.failure:
            await rpc.close()
            raise rpc.failure
        rpc.on_disconnect = on_disconnect
        return rpc

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one call. Raises RpcError, or NodeError on timeout or a lost connection."""
        exchange = self._exchange([(method, params)])
        [answer] = await self._answers(exchange, [(method, params)], batch=False)
        if isinstance(answer, RpcError):
            raise answer
        return answer

    async def batch(
        self,
        calls: Sequence[tuple[str, Sequence[Any]]],
        on_progress: Callable[[int, int], None] | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> list[Any]:
        """The results of many calls, in their order; a call that the node refused has its RpcError
        in its place, not raised. `on_progress(done, total)` after each message of `batch_size`
        calls. Raises NodeError on timeout (of one message) or a lost connection."""
        results: list[Any] = [None] * len(calls)
        starts = iter(range(0, len(calls), batch_size))
        done = 0

        async def work(starts: Iterator[int]) -> None:
            nonlocal done
            for start in starts:
                part = calls[start : start + batch_size]
                answers = await self._answers(self._exchange(part), part, batch=True)
                results[start : start + len(part)] = answers
                done += len(part)
                if on_progress:
                    on_progress(done, len(calls))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(BATCHES_IN_FLIGHT, -(-len(calls) // batch_size))):
                    group.create_task(work(starts))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return results

    def send_raw(self, message: bytes | bytearray | memoryview) -> None:
        """Writes one encoded eth_sendRawTransaction to the socket, without a wait. Its id is
        FIRST_HOT_ID or more; the answer goes to `on_hot_answer`. Raises NodeError."""
        if self.failure or self._transport.is_disconnected:
            raise self._lost()
        self._transport.send(WSMsgType.TEXT, message)
        self._calls["eth_sendRawTransaction"] += 1
        self._requests_sent += 1
        self._bytes_out += len(message)

    def _lost(self) -> NodeError:
        return self.failure or NodeError(f"{self.url}: the connection is lost; reconnect")

    async def subscribe(self, kind: str, params: object = None) -> str:
        """The id of a new subscription to `logs`, `newHeads`, ... Raises as `request` does."""
        answer = await self.request("eth_subscribe", [kind] if params is None else [kind, params])
        if not isinstance(answer, str):
            raise NodeError(f"{self.url}: expected a subscription id, node answered {answer!r}")
        return answer

    async def close(self) -> None:
        """Ends the connection; whoever still waits gets a NodeError. May be called again."""
        self.on_disconnect = None
        self._fail(NodeError(f"{self.url}: the connection was closed here"), abort=False)
        if self._watcher is None:
            return
        await asyncio.wait([self._watcher], timeout=CLOSE_SECONDS)
        self._transport.disconnect(graceful=False)
        await self._watcher

    async def __aenter__(self) -> Self:
        """`async with await Rpc.connect(...)` closes at the end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes."""
        await self.close()

    # ---- Requests ----

    def _exchange(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> _Exchange:
        exchange = _Exchange(self._next_id, [method for method, _ in calls])
        self._next_id += len(calls)
        return exchange

    async def _answers(
        self, exchange: _Exchange, calls: Sequence[tuple[str, Sequence[Any]]], batch: bool
    ) -> list[Any]:
        """Sends the calls as one message and waits for all their answers."""
        requests = [
            {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
            for request_id, (method, params) in zip(exchange.ids(), calls, strict=True)
        ]
        message = orjson.dumps(requests if batch else requests[0])
        if self.failure:
            raise self.failure
        self._pending.update((request_id, exchange) for request_id in exchange.ids())
        self._calls.update(exchange.methods)
        self._requests_sent += 1
        self._bytes_out += len(message)
        self._transport.send(WSMsgType.TEXT, message)
        try:
            async with asyncio.timeout(self.request_timeout):
                await exchange.future
        except TimeoutError:
            raise NodeError(self._overdue(exchange)) from None
        finally:
            for request_id in exchange.ids():
                self._pending.pop(request_id, None)
        return exchange.answers

    def _overdue(self, exchange: _Exchange) -> str:
        method = next(
            method
            for request_id, method in zip(exchange.ids(), exchange.methods, strict=True)
            if request_id in self._pending
        )
        answered = len(exchange.methods) - exchange.missing
        of_batch = f" ({answered} of a batch of {len(exchange.methods)} answered)"
        return (
            f"{self.url}: expected an answer to {method} within {self.request_timeout:g} s, "
            f"none came{of_batch if len(exchange.methods) > 1 else ''}"
            f"{self._last_complaint}; check the node's load, or raise the timeout"
        )

    # ---- What the node sends ----

    def handle(self, frame: WSFrame) -> None:
        """One frame from the listener."""
        if self.failure:
            return
        self._bytes_in += frame.payload_size
        try:
            # Enum look-ups cost more than the rest of this method: one here, the others aside.
            if frame.msg_type is TEXT and frame.fin and not self._fragments:
                if self._hot is None or not self._hot.feed(frame):
                    self.message(frame.get_payload_as_bytes())
            else:
                self._other_frame(frame)
            if frame.last_in_buffer:
                self.end_of_read()
        except Exception as error:
            self.broken(error)

    def broken(self, error: Exception) -> None:
        """What a frame led to: the end of the connection, whatever it was."""
        if isinstance(error, NodeError):
            self._fail(error)
            return
        logger.error("%s: a message could not be handled", self.url, exc_info=error)
        failure = NodeError(
            f"{self.url}: handling a message failed with {type(error).__name__}: {error}; the "
            "state is in doubt and the connection is dropped, reconnect and load it again"
        )
        failure.__cause__ = error
        self._fail(failure)

    def connected(self, transport: WSTransport) -> None:
        """The handshake is through. The kernel is told not to hold small messages back."""
        self._transport = transport
        self._socket = transport.underlying_transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.busy_poll_us:
            self.busy_polled = busy.poll_device(self._socket, self.busy_poll_us)

    def end_of_read(self) -> None:
        """Everything the socket had is handled."""
        if self._hot is not None:
            self._hot.flush()
        if QUICKACK is not None:
            # The kernel forgets this by itself; a delayed ACK holds back the node's next packet
            # for 40 ms where the node keeps Nagle's algorithm on.
            self._socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def _other_frame(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.PING:
            self._transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            code, reason = frame.get_close_code(), frame.get_close_reason() or "no reason given"
            self._transport.send_close(WSCloseCode.OK)
            raise NodeError(
                f"{self.url}: expected the connection to stay open, the node closed it with "
                f"{int(code.value)} ({reason}); reconnect"
            )
        elif kind == (WSMsgType.CONTINUATION if self._fragments else WSMsgType.TEXT):
            self._fragment(frame)
        elif kind != WSMsgType.PONG:
            raise NodeError(
                f"{self.url}: expected text messages, node sent a {kind.name} frame out of "
                "place; check that this is a JSON-RPC endpoint"
            )

    def _fragment(self, frame: WSFrame) -> None:
        """One piece of a message that comes in several frames."""
        self._fragments.append(frame.get_payload_as_bytes())
        self._fragment_bytes += frame.payload_size
        if self._line is not None:
            self._line.in_pieces = not frame.fin
        if self._fragment_bytes > MAX_MESSAGE:
            raise NodeError(
                f"{self.url}: expected messages of at most {MAX_MESSAGE} bytes, node sent "
                f"{self._fragment_bytes} and more; ask for smaller ranges"
            )
        if frame.fin:
            message = b"".join(self._fragments)
            self._fragments, self._fragment_bytes = [], 0
            if self._hot is None or not self._hot.feed_bytes(message):
                self.message(message)

    def message(self, message: bytes) -> None:
        """A whole text message that no hot half took."""
        try:
            value = orjson.loads(message)
        except orjson.JSONDecodeError:
            value = None
        for answer in value if isinstance(value, list) else [value]:
            if not isinstance(answer, dict):
                raise NodeError(
                    f"{self.url}: expected JSON-RPC, node sent {message[:60]!r}"
                    f"{'...' if len(message) > 60 else ''}; check that this is a JSON-RPC endpoint"
                )
            if "method" in answer:
                self.notifications += 1
                if self.on_notification:
                    self.on_notification(answer)
            else:
                self._answer(answer, alone=not isinstance(value, list))

    def _answer(self, answer: dict[str, Any], alone: bool) -> None:
        request_id = answer.get("id")
        if type(request_id) is int and request_id >= FIRST_HOT_ID and self.on_hot_answer:
            result = _result("eth_sendRawTransaction", answer)
            if isinstance(result, RpcError):
                self.on_hot_answer(request_id, None, result)
            else:
                self.on_hot_answer(request_id, result, None)
            return
        exchange = self._pending.get(request_id) if type(request_id) is int else None
        if exchange is None or type(request_id) is not int:
            self.unknown_answers += 1
            if answer.get("error") is not None:
                # An error without an id is how nodes refuse a message they could not read.
                self._last_complaint = f" (node complained: {answer['error']!r:.200})"
                logger.warning("%s: node refused something: %.200r", self.url, answer["error"])
            return
        first, methods = exchange.first_id, exchange.methods
        refused = alone and len(methods) > 1 and answer.get("error") is not None
        # A whole batch may be refused under the id of one of its calls (go-ethereum does).
        for settled in exchange.ids() if refused else (request_id,):
            if self._pending.pop(settled, None) is not None:
                exchange.settle(settled, _result(methods[settled - first], answer))

    # ---- The end ----

    async def _watch(self) -> None:
        """Waits for the connection's end, whoever brings it about."""
        reason = "the connection was lost"
        try:
            await self._transport.wait_disconnected()
        except Exception as error:
            reason = f"the connection was dropped: {error}"
        handshake = self._transport.close_handshake
        if handshake and not handshake.recv and handshake.sent and handshake.sent.reason:
            reason = f"the connection was dropped: {handshake.sent.reason}"
        self._fail(NodeError(f"{self.url}: {reason}; check the node, then reconnect"))

    def _fail(self, error: NodeError, abort: bool = True) -> None:
        """The one way down: everyone who waits gets the error, on_disconnect gets it once."""
        if self.failure:
            return
        self.failure = error
        self.outlet.closed = True
        for exchange in set(self._pending.values()):
            exchange.fail(error)
        self._pending.clear()
        transport = self._transport
        if not transport.is_disconnected:
            if not abort:
                transport.send_close(WSCloseCode.OK)
            # A peer that has closed reads our CLOSE; to any other nothing more is said.
            transport.disconnect(graceful=transport.close_handshake is not None)
        if self.on_disconnect:
            try:
                self.on_disconnect(error)
            except Exception:
                logger.exception("%s: on_disconnect failed", self.url)


class _Listener(WSListener):
    """picows' callbacks, handed on: what `_listen.Line` is for a Core."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self.on_frame = rpc.handle

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._rpc.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.on_frame(frame)

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        if frame.msg_type != WSMsgType.PONG:
            return False
        self.on_frame(frame)  # may be the last of a read, which would otherwise end unnoticed
        return True

    def pause_writing(self) -> None:
        """Batches bound what is under way; nothing to hold back."""

    def resume_writing(self) -> None:
        """See pause_writing."""


async def check_chain_id(rpc: Rpc, expected: int) -> None:
    """Raises NodeError unless the node serves the chain with this id."""
    answer = await rpc.request("eth_chainId")
    try:
        actual = int(answer, 16)
    except (TypeError, ValueError):
        raise NodeError(
            f"{rpc.url}: expected chain id {expected}, node answered eth_chainId with "
            f"{answer!r:.80}; check that this is an EVM node"
        ) from None
    if actual != expected:
        raise NodeError(
            f"{rpc.url}: expected chain id {expected}, node has {actual}; "
            "use a node of that chain or change the chain id"
        )


def shown_url(url: str) -> str:
    """The URL as it may appear in messages: user names, queries and long path segments, which is
    where providers put their API keys, become `***`."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "***"
    path = "/".join("***" if len(step) > 16 else step for step in parts.path.split("/"))
    return f"{parts.scheme}://{host}{path}{'?***' if parts.query else ''}"


def _result(method: str, answer: dict[str, Any]) -> Any:
    """The result of an answer object, or its RpcError."""
    error = answer.get("error")
    if error is None:
        if "result" in answer:
            return answer["result"]
        return RpcError(method, 0, f"neither result nor error in {answer!r:.200}")
    if not isinstance(error, dict):
        return RpcError(method, 0, f"{error!r:.200}")
    code = error.get("code")
    return RpcError(
        method, code if isinstance(code, int) else 0, str(error.get("message")), error.get("data")
    )


def _why_not(error: Exception, seconds: float) -> str:
    """What went wrong in connecting, and what to do about it."""
    match error:
        case WSHandshakeError(response=response) if response is not None:
            return (
                f"expected a WebSocket handshake, node answered HTTP {response.status.value} "
                f"{response.status.phrase}; give its WebSocket URL, and check path and API key"
            )
        case WSHandshakeError():
            return f"expected a WebSocket handshake ({error}); check that the port is the node's"
        case ConnectionRefusedError():
            return "expected a node, the connection was refused; start the node or correct the URL"
        case socket.gaierror() | UnicodeError():
            return f"expected a known host, resolving it failed ({error}); correct the URL"
        case WSInvalidURL() | ValueError():
            return "expected a URL ws://host:port or wss://host; give the node's WebSocket URL"
        case ssl.SSLError():
            return (
                f"expected a TLS connection, the TLS handshake failed ({error}); use ws:// for a "
                "node without TLS, or trust its certificate"
            )
        case TimeoutError():
            return (
                f"expected a WebSocket handshake within {seconds:g} s, none came; check that "
                "the port serves WebSocket JSON-RPC"
            )
        case _:
            return f"expected a connection, it failed ({error}); check host, port and network"
