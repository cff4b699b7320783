"""From socket to socket: a frame that another process sends, the transaction that it receives.

Owns the end-to-end section of the bench: the sending process (bench_sender), the engine's own
connection with a core behind it, and the limit beside it: an echo of the same sizes. All four, the
engine and the echo, asleep and spinning, take turns in one run.
"""

import asyncio
import os
import select
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from mevfast._bench import Peers, Replay
from mevfast._tx import execute_calldata
from mevfast.bench_sender import HOST, no_delay
from mevfast.bench_stages import CALLDATA, Run, quantiles, signer
from mevfast.bench_stream import EXECUTOR, Ring, Stream, make_relay
from mevfast.chain.busy import spin
from mevfast.chain.rpc import Rpc
from mevfast.errors import DataError

WAYS = ("socket_to_socket_wait", "echo_wait", "socket_to_socket_spin", "echo_spin")
POOLS = 2000
EVENTS_A_SECOND = 500
"""Each has a head and, a millisecond later, the log that leads to a transaction."""
OPENS_A_TURN = 200
SIGNATURES_A_ROUND = 100
SELECTOR = execute_calldata(
    deadline=0,
    funding=0,
    token=bytes(20),
    amount_in=1,
    min_profit=0,
    hops=[(bytes(20), 1, True, 0)] * 2,
)[:4].hex()
"""Of the executor's one function."""
DEADLINE_BLOCKS = 2
"""After the head that a transaction is decided on; the core's own default."""
START_S, CALL_S = 10.0, 30.0


def cores() -> tuple[int, int] | None:
    """The engine's core and the sender's; None where there are no two. The first one is the
    sender's: it is where interrupts mostly go."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-1], usable[-2]) if len(usable) > 1 else None


class Other:
    """The sending process; ended with the `with` block."""

    def __init__(self, core: int | None, spins: bool) -> None:
        """On one core, where given. Spins where it has one for itself."""
        self.argv = [sys.executable, "-m", "mevfast.bench_sender", f"--spin={int(spins)}"]
        if core is not None:
            self.argv.append(f"--core={core}")

    def __enter__(self) -> Self:
        """Starts it. DataError where it does not say its port."""
        folder = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self.process.stdout is not None  # a pipe was asked for
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            self.__exit__(None, None, None)
            raise DataError(f"the sending process: expected its port within {START_S:g} s, "
                            f"was {line!r}")  # fmt: skip
        self.url = f"ws://{HOST}:{int(line)}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextmanager
def _on_core(core: int | None) -> Any:
    """This thread on one core."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Echo(WSListener):
    """Answers each read as the engine would, without looking at it: the limit."""

    def __init__(self, answers: list[bytes | None]) -> None:
        """One for each frame, in order; None for no answer."""
        self.answers, self.at = answers, 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """As the engine's own connection."""
        no_delay(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame of the sender's."""
        answer = self.answers[self.at]
        self.at += 1
        if answer is not None:
            transport.send(WSMsgType.TEXT, answer)


# ---- who answered what ----


@dataclass(slots=True)
class Events:
    """The reads of a relay that open a ring, and what tells the transaction that trades it."""

    reads: list[int]
    blocks: list[int]
    pools: list[list[str]]
    """Addresses of the ring's pools in hex: a request through one of them trades it."""
    requests: list[bytes]
    """What an engine sends that has each read to itself; it always signs the same."""

    def answered(self, request: str) -> int | None:
        """The event that led to a request: its ring's last one when that was decided."""
        at = request.find(SELECTOR)
        digits = request[at + len(SELECTOR) :][:22]  # the deadline is the first 11 bytes of `terms`
        if at < 0 or len(digits) < 22:
            return None
        decided = int(digits, 16) - DEADLINE_BLOCKS
        found = [
            i
            for i, pools in enumerate(self.pools)
            if self.blocks[i] <= decided and any(pool in request for pool in pools)
        ]
        return found[-1] if found else None


def events(stream: Stream, rings: list[Ring]) -> Events:
    """Replays the relay in memory. DataError where a read leads to another number of requests than
    it must."""
    core, sink = stream.core(signer(), timed=False, kept=True)
    replay = Replay(core, sink)
    found = Events([], [], [], [])
    for i, read in enumerate(stream.reads):
        replay.read(read)
        replay.settle()
        if len(sink.requests) != i % 2:
            raise DataError(f"{stream.name}: read {i} led to {len(sink.requests)} requests")
        if sink.requests:
            found.reads.append(i)
            found.blocks.append(core.head_number)
            found.pools.append([pool.address.hex() for pool in rings[i // 2 % len(rings)]])
            found.requests.append(sink.requests.pop())
    return found


def requests_of(stream: Stream, ends: list[int]) -> list[bytes]:
    """What an engine sends that reads the stream's frames in these portions, each given by how many
    frames it had seen at its end: the same decisions on the same frames, in memory."""
    core, sink = stream.core(signer(), timed=False, kept=True)
    replay, frames = Replay(core, sink), list(stream.frames())
    for start, end in pairwise(ends):
        replay.read(frames[start - ends[0] : end - ends[0]])
        replay.settle()
    return sink.requests


@dataclass(slots=True)
class Counts:
    """What became of the opportunities, and of the transactions."""

    opened: int = 0
    answered: int = 0
    missed: int = 0
    """Opened and closed while the engine was held up, or never answered."""
    damaged: int = 0
    """Transactions that are not, to the byte, what the engine had to send, or that nothing led to;
    and those that never arrived."""

    def add(self, other: "Counts") -> None:
        """Those of one more turn."""
        self.opened += other.opened
        self.answered += other.answered
        self.missed += other.missed
        self.damaged += other.damaged


def judge(
    came: dict[str, Any], expected: Events, sent: list[bytes]
) -> tuple[Counts, list[int], list[int]]:
    """What arrived, against what was sent: counts, and ns of each answered event as they came.

    Times count from when its read was sent, and from when it should have been.
    """
    counts = Counts(opened=len(expected.reads))
    from_sent, from_intended = [], []
    arrived = [message.encode() for _, message in came["came"]]
    counts.damaged = sum(a != b for a, b in zip(arrived, sent, strict=False))
    counts.damaged += abs(len(arrived) - len(sent))
    answered = set()
    for at, message in came["came"]:
        event = expected.answered(message)
        if event is None or event in answered:
            counts.damaged += 1
            continue
        answered.add(event)
        read = expected.reads[event]
        from_sent.append(at - came["sent"][read])
        from_intended.append(at - came["intended"][read])
    counts.answered = len(answered)
    counts.missed = counts.opened - counts.answered
    return counts, from_sent, from_intended


# ---- turns ----


class Turns:
    """The four ways in turn, each with a connection of its own."""

    def __init__(self, n_opens: int, url: str, rate: int, run: Run) -> None:
        """`rate`: events a second; `run` gets the samples, as the sender's clock read them."""
        self.stream, rings = make_relay(POOLS, n_opens)
        self.expected = events(self.stream, rings)
        self.url, self.run = url, run
        self.interval_ns = 1_000_000_000 // (2 * rate)
        self.peers = Peers(signer(), CALLDATA, EXECUTOR, self.stream.chain_id)
        self.counts = {way: Counts() for way in WAYS}
        self.control: Rpc

    async def all(self, rounds: int, progress: Callable[[int], object]) -> None:
        """So many rounds; `progress(turns done)`."""
        async with await Rpc.connect(self.url + "/control", request_timeout=CALL_S) as control:
            self.control = control
            reads = [[frame.decode() for frame in read] for read in self.stream.reads]
            await control.request("bench_load", [reads])
            for i in range(rounds):
                for j, way in enumerate(WAYS):
                    await self._turn(way)
                    progress(i * len(WAYS) + j + 1)
                self.run.add(
                    "bare_signature_beside",
                    [self.peers.bare() for _ in range(SIGNATURES_A_ROUND)],
                )
                self.run.end_round()

    async def _turn(self, way: str) -> None:
        """All reads once."""
        expected = self.expected
        async with AsyncExitStack() as stack:
            if way.startswith("echo"):
                sent = await self._echo(stack)
            else:
                sent = await self._engine(stack)
            if way.endswith("spin"):
                stack.callback(spin(asyncio.get_running_loop()))
            came = await self.control.request("bench_run", [self.interval_ns, len(expected.reads)])
        counts, from_sent, from_intended = judge(came, expected, sent())
        self.counts[way].add(counts)
        self.run.add(way, from_sent)
        self.run.add(way + "_from_intended", from_intended)

    async def _engine(self, stack: AsyncExitStack) -> Callable[[], list[bytes]]:
        """The engine's hot half on its own connection; what it must have sent is told afterwards.

        Nothing is mined: a transaction ends with its block.
        """
        core, sink = self.stream.core(signer(), timed=False)
        rpc = await stack.enter_async_context(
            await Rpc.connect(self.url + "/feed", request_timeout=CALL_S, hot=core)
        )
        settle, ends = Replay(core, sink).settle, [core.n_heads + core.n_logs]

        def after() -> None:
            ends.append(core.n_heads + core.n_logs)
            settle()

        # As the engine: the connection's own outlet where it has one.
        core.send, core.after = rpc.outlet, after
        return lambda: requests_of(self.stream, ends)

    async def _echo(self, stack: AsyncExitStack) -> Callable[[], list[bytes]]:
        """What answers as the engine would, without looking."""
        answers: list[bytes | None] = []
        requests = iter(self.expected.requests)
        for i, read in enumerate(self.stream.reads):
            answers += [next(requests) if i % 2 else None for _ in read]
        transport, _ = await ws_connect(lambda: Echo(answers), self.url + "/feed")
        stack.push_async_callback(transport.wait_disconnected)
        stack.callback(transport.disconnect)
        return lambda: self.expected.requests


def measure(
    rounds: int,
    clock_ns: int,
    progress: Callable[[int], object] = lambda done: None,
    *,
    opens: int = OPENS_A_TURN,
    rate: int = EVENTS_A_SECOND,
) -> tuple[dict[str, Any], Run]:
    """The section `end_to_end` of the result, and the samples by round.

    The engine and the sender have a core each where there are two, and the sender spins; with one
    core it sleeps between two frames. Raises DataError, NodeError.
    """
    run = Run(clock_ns)
    pair = cores()
    engine_core, sender_core = pair or (None, None)
    with Other(sender_core, spins=pair is not None) as other, _on_core(engine_core):
        turns = Turns(opens, other.url, rate, run)
        uvloop.run(turns.all(rounds, progress))
    frames = [len(turns.stream.reads[i][0]) for i in turns.expected.reads]
    return {
        "pools": POOLS,
        "events_a_second": rate,
        "engine_core": engine_core,
        "sender_core": sender_core,
        "sender": "spins" if pair else "sleeps",
        "frame_bytes": statistics.median(frames),
        "request_bytes": statistics.median(map(len, turns.expected.requests)),
        "counts": {way: asdict(counts) for way, counts in turns.counts.items()},
        "figures": {name: quantiles(values) for name, values in run.samples.items() if values},
    }, run
