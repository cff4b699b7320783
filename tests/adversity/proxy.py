"""A wire to a node that a test can cut, hold and block: plain TCP, it reads nothing of it."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """`async with Proxy(port) as proxy`, then connect to `proxy.url`.

    `up` carries to the node, `down` from it; clearing one holds the bytes of that way back, and
    setting it lets them go on in order. While `open` is False new connections are hung up on.
    """

    def __init__(self, port: int) -> None:
        """The port of the node, on loopback."""
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.up.set()
        self.down.set()
        self.open = True
        self.connections = 0
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        with contextlib.ExitStack() as both:
            both.callback(writer.transport.abort)
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if self.open:
                    to_read, to_write = await asyncio.open_connection("127.0.0.1", self._port)
                    both.callback(to_write.transport.abort)
                    ways = [
                        asyncio.ensure_future(_carry(reader, to_write, self.up)),
                        asyncio.ensure_future(_carry(to_read, writer, self.down)),
                    ]
                    both.callback(lambda: [way.cancel() for way in ways])
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self._tasks.discard(task)

    async def cut(self) -> None:
        """Ends every connection at once, without a goodbye."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        await self.cut()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            await gate.wait()
            writer.write(data)
            await writer.drain()
