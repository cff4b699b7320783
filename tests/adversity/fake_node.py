"""A node on loopback that misbehaves as told: raw frames, written by a script."""

import asyncio
import base64
import contextlib
import hashlib
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import orjson

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes | object, opcode: int = TEXT, fin: bool = True) -> bytes:
    """One unmasked WebSocket frame; anything but bytes is sent as JSON."""
    if not isinstance(payload, bytes):
        payload = orjson.dumps(payload)
    n = len(payload)
    if n < 126:
        size = bytes([n])
    else:
        size = struct.pack(">BH", 126, n) if n < 1 << 16 else struct.pack(">BQ", 127, n)
    return bytes([opcode | fin << 7]) + size + payload


class Peer:
    """The node's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def handshake(self) -> None:
        """Accepts the WebSocket upgrade."""
        request = await self.reader.readuntil(b"\r\n\r\n")
        [key] = [
            line.split(b":", 1)[1].strip()
            for line in request.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        ]
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    async def receive(self) -> tuple[int, bytes]:
        """Opcode and unmasked payload of the client's next frame."""
        first, size = await self.reader.readexactly(2)
        n = size & 0x7F
        if n == 126:
            [n] = struct.unpack(">H", await self.reader.readexactly(2))
        elif n == 127:
            [n] = struct.unpack(">Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(n)
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "big")  # one long XOR, not n short ones
        return first & 0x0F, (int.from_bytes(payload, "big") ^ key).to_bytes(n, "big")

    async def request(self) -> Any:
        """The client's next JSON-RPC request or batch; pings before it are answered."""
        opcode, payload = await self.receive()
        while opcode == PING:
            self.write(frame(payload, PONG))
            opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        return orjson.loads(payload)


Script = Callable[[Peer], Awaitable[None]]


class FakeNode:
    """Serves `script` to each connection: `async with FakeNode(script) as node`, then node.url.

    `upgraded` says that the WebSocket handshake is done before the script starts. A connection
    ends with its script.
    """

    def __init__(self, script: Script, upgraded: bool = True) -> None:
        self._script, self._upgraded = script, upgraded
        self._tasks: set[asyncio.Task[Any]] = set()
        self.url = ""
        self.errors: list[BaseException] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        peer = Peer(reader, writer)
        try:
            if self._upgraded:
                await peer.handshake()
            await self._script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, as clients of bad nodes do, or the test is over
        except Exception as error:  # the script's own, shown by __aexit__
            self.errors.append(error)
        finally:
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert not self.errors, self.errors


async def forever(peer: Peer) -> None:
    """The script of a node that says nothing more."""
    await asyncio.Event().wait()
