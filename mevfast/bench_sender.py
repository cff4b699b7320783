"""The other end of the bench's sockets: sends frames on a schedule, takes what comes back.

    python -m mevfast.bench_sender --core 0 --spin 1

A process of its own, a WebSocket server on a port of loopback that it prints. On /control it is
told what to send and when (JSON-RPC: bench_load, bench_run), on /feed it does so. It ends with its
standard input. It measures with one clock, its own, and is no part of the engine.
"""

import argparse
import asyncio
import os
import socket
import sys
import time
from typing import Any

import orjson
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from mevfast.chain.busy import spin

HOST = "127.0.0.1"
GRACE_NS = 1_000_000_000
"""How long after the last frame answers are waited for."""
LOOK_AGAIN_S = 0.001


def no_delay(transport: WSTransport) -> None:
    """Each frame goes out at once."""
    end = transport.underlying_transport.get_extra_info("socket")
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Sender:
    """What is to be sent, and what comes back.

    A read is a list of frames that are sent together. The times of all reads are fixed before the
    first: one that is late delays none.
    """

    def __init__(self, spins: bool) -> None:
        """Spinning, it looks at clock and socket all the time, and needs a core of its own."""
        self.spins = spins
        self.feed: WSTransport | None = None
        self.reads: list[list[bytes]] = []
        self.came: list[tuple[int, str]] = []

    def load(self, reads: list[list[str]]) -> bool:
        """Frames by read."""
        self.reads = [[frame.encode() for frame in read] for read in reads]
        return True

    async def run(self, interval_ns: int, awaited: int) -> dict[str, Any]:
        """Sends all reads at a fixed rate; ends once so many answers came, or none for long.

        All times are ns of this process's monotonic clock: `intended` and `sent` by read, `came`
        pairs of a time and an answer, in their order.
        """
        if self.feed is None:
            raise ValueError("expected a connection on /feed, there is none")
        loop = asyncio.get_running_loop()
        self.came = []
        intended, sent = await self._send(loop, interval_ns)
        until = time.monotonic_ns() + GRACE_NS
        while len(self.came) < awaited and time.monotonic_ns() < until:
            await asyncio.sleep(LOOK_AGAIN_S)
        return {"intended": intended, "sent": sent, "came": self.came}

    async def _send(
        self, loop: asyncio.AbstractEventLoop, interval_ns: int
    ) -> tuple[list[int], list[int]]:
        """When each read should have gone, and when it went."""
        assert self.feed is not None  # `run` has looked
        done = loop.create_future()
        start = time.monotonic_ns() + interval_ns
        intended = [start + i * interval_ns for i in range(len(self.reads))]
        sent: list[int] = []
        transport, text = self.feed, WSMsgType.TEXT

        def turn() -> None:
            now = time.monotonic_ns()
            if now >= intended[len(sent)]:
                read = self.reads[len(sent)]
                sent.append(now)
                for frame in read:
                    transport.send(text, frame)
                if len(sent) == len(intended):
                    done.set_result(None)
                    return
            if self.spins:
                loop.call_soon(turn)
            else:
                loop.call_later(max(0, intended[len(sent)] - now) / 1e9, turn)

        loop.call_soon(turn)
        await done
        return intended, sent


class Feed(WSListener):
    """The engine's connection."""

    def __init__(self, sender: Sender) -> None:
        """Of this sender."""
        self.sender = sender

    def on_ws_connected(self, transport: WSTransport) -> None:
        """From now on frames go here."""
        no_delay(transport)
        self.sender.feed = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """An answer: the clock first."""
        at = time.monotonic_ns()
        if frame.msg_type is WSMsgType.TEXT:
            self.sender.came.append((at, frame.get_payload_as_ascii_text()))


class Control(WSListener):
    """The bench's own connection: JSON-RPC, one call at a time."""

    def __init__(self, sender: Sender) -> None:
        """Of this sender."""
        self.sender = sender
        self.task: asyncio.Task[None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A request."""
        if frame.msg_type is WSMsgType.TEXT:
            call = orjson.loads(frame.get_payload_as_bytes())
            self.task = asyncio.create_task(self._answer(transport, call))

    async def _answer(self, transport: WSTransport, call: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            if call["method"] == "bench_load":
                answer["result"] = self.sender.load(*call["params"])
            else:
                answer["result"] = await self.sender.run(*call["params"])
        except (TypeError, ValueError, KeyError) as error:
            answer["error"] = {"code": -32602, "message": str(error)}
        transport.send(WSMsgType.TEXT, orjson.dumps(answer))


async def serve(spins: bool) -> None:
    """Prints the port and serves until standard input ends."""
    loop = asyncio.get_running_loop()
    sender = Sender(spins)

    def listener(request: WSUpgradeRequest) -> WSListener:
        return Control(sender) if request.path == b"/control" else Feed(sender)

    server = await ws_create_server(listener, HOST, 0, max_frame_size=1 << 28)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    stop = spin(loop) if spins else None
    await over.wait()
    if stop:
        stop()
    server.close()


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, help="run on this core alone")
    parser.add_argument("--spin", type=int, default=0, help="1: never sleep")
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    uvloop.run(serve(bool(args.spin)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
