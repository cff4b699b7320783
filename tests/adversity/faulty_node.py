"""A node that lies, loses and stalls as told: WebSocket JSON-RPC in front of a real anvil.

Every connection has one of its own to anvil behind it. What the client asks goes through `rules`
to anvil and back. What anvil announces is collected block by block (the head, and as many logs as
`eth_getLogs` of that block knows) and delivered in order, logs first, each message as anvil wrote
it: that way a fault can take a whole block in hand, and the same fault strikes the same way twice.
Faults are told to it from outside: see `faults`.
"""

import asyncio
import contextlib
import functools
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.adversity.behind import BLOCK_PARAMETER, NAMES, answer_behind
from tests.adversity.fake_node import CLOSE, PING, PONG, TEXT, FakeNode, Peer, frame

PATIENCE_S = 1.0
"""A block whose logs do not come whole within this is delivered as it is (anvil took it back)."""
KEPT_BLOCKS = 64
MAX_PARAMETERS = 8

Call = dict[str, Any]
Answers = list[dict[str, Any] | bytes]
"""Answers to one call: none, one, or several; bytes go out as a message of their own."""
Ask = Callable[[], Awaitable[Answers]]


@dataclass
class Block:
    """A block as it is announced: notifications, each as anvil wrote it."""

    number: int
    hash: str
    parent: str
    head: bytes
    logs: list[bytes]

    def frames(self) -> list[bytes]:
        """Everything, logs first, ready to be written."""
        return [frame(message) for message in (*self.logs, self.head)]


Wire = list[bytes | float]
"""Bytes to write, and seconds to wait in between."""
BlockFault = Generator[Wire, Block, Wire]
"""Is sent each block and yields what goes out instead; what it returns is its last word."""


@dataclass(eq=False)
class Rule:
    """What becomes of calls: `apply(call, ask)` may ask anvil, or not, and gives the answers."""

    name: str
    apply: Callable[[Call, Ask], Awaitable[Answers]]
    methods: frozenset[str] = frozenset()
    times: int = 0  # strikes left; 0 for as many as come

    def concerns(self, call: Call) -> bool:
        """Whether it is about this call."""
        return not self.methods or call["method"] in self.methods


@dataclass(frozen=True)
class Send:
    """One eth_sendRawTransaction, and when it came (monotonic seconds)."""

    raw: bytes
    at: float


@dataclass
class _Assembly:
    """A block whose parts are still coming."""

    hash: str
    since: float
    head: bytes = b""
    number: int = 0
    parent: str = ""
    logs: list[tuple[int, bytes]] = field(default_factory=list)
    expected: int | None = None

    def whole(self, now: float) -> bool:
        """Whether there is nothing more to wait for."""
        there = self.expected is not None and len(self.logs) >= self.expected
        return bool(self.head) and (there or now - self.since > PATIENCE_S)

    def block(self) -> Block:
        """The block, its logs in their order."""
        logs = [message for _, message in sorted(self.logs)]
        return Block(self.number, self.hash, self.parent, self.head, logs)


class FaultyNode:
    """`async with FaultyNode(anvil_port) as node`, then connect to `node.url`.

    `arm(fault)` hands the next block of the connection to a fault, `rules` see each call,
    `greet` each new connection. `behind` is how many blocks late everything is told. What struck
    is written down in `struck`; what was sent, in `sends`. `heal` ends whatever lasts.
    """

    def __init__(self, port: int) -> None:
        """The port of anvil, on loopback."""
        self._anvil = f"ws://127.0.0.1:{port}"
        self._server = FakeNode(self._serve, upgraded=False)
        self._sessions: list[Session] = []
        self.armed: deque[tuple[str, BlockFault]] = deque()
        self.rules: list[Rule] = []
        self.greet: Callable[[Peer], Awaitable[bool]] | None = None
        self.behind = 0
        self.announces_removed = False
        self.struck: list[str] = []
        self.sends: list[Send] = []
        self.asked: Counter[str] = Counter()
        self.connections = 0
        self.stragglers = 0  # logs that came when their block was out already

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._server.url

    @property
    def sessions(self) -> Sequence["Session"]:
        """The connections that are open, the oldest first."""
        return tuple(self._sessions)

    # ---- faults ----

    def arm(self, name: str, fault: BlockFault) -> None:
        """The next block that is announced goes to the fault; one after the other."""
        next(fault)  # it waits for its first block
        self.armed.append((name, fault))

    async def cut(self, name: str = "cut") -> None:
        """Ends every connection at once, without a goodbye."""
        for session in self.sessions:
            self.struck.append(name)
            session.abort()
        await asyncio.sleep(0)

    def close(self, code: int, reason: str) -> None:
        """Says goodbye on every connection, as a node does before maintenance."""
        for session in self.sessions:
            self.struck.append(f"close {code}")
            session.write(frame(code.to_bytes(2, "big") + reason.encode(), CLOSE))

    def hush(self, name: str = "silent", deaf: bool = False) -> None:
        """The connections there are stay open and say nothing more, not even a pong; a deaf node
        does not even read."""
        for session in self.sessions:
            self.struck.append(name)
            session.muted = True
            if deaf and not session.peer.writer.is_closing():
                session.peer.writer.transport.pause_reading()

    def heal(self) -> None:
        """Ends every fault that lasts, and lets go what lies back. What is mute stays so, and a
        fault that has a block in hand gets the next ones, too, until it is through."""
        self.rules.clear()
        self.armed.clear()
        self.greet = None
        self.behind = 0
        for session in self.sessions:
            session.advance()

    # ---- connections ----

    async def _serve(self, peer: Peer) -> None:
        self.connections += 1
        if self.greet and not await self.greet(peer):
            return
        await peer.handshake()
        async with connect(
            self._anvil, max_size=None, compression=None, ping_interval=None
        ) as upstream:
            session = Session(self, peer, upstream)
            self._sessions.append(session)
            try:
                await session.run()
            finally:
                self._sessions.remove(session)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, traceback)


class Session:
    """One connection of a client, with the one to anvil behind it."""

    def __init__(self, node: FaultyNode, peer: Peer, upstream: ClientConnection) -> None:
        self.node, self.peer, self.upstream = node, peer, upstream
        self.muted = False
        self.fault: tuple[str, BlockFault] | None = None
        self.delivered: deque[Block] = deque(maxlen=KEPT_BLOCKS)
        self._kinds: dict[str, tuple[str, Any]] = {}  # by subscription: what, and of which logs
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next_id = 1
        self._assemblies: dict[str, _Assembly] = {}
        self._order: deque[_Assembly] = deque()  # as their heads came
        self._gone: deque[str] = deque(maxlen=KEPT_BLOCKS)  # hashes of what is whole
        self._held: deque[Block] = deque()  # whole, but this node is behind
        self._out: asyncio.Queue[bytes | float] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until either side ends it."""
        ways = [
            asyncio.ensure_future(way)
            for way in (self._from_client(), self._from_anvil(), self._to_client())
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                with contextlib.suppress(ConnectionClosed):
                    way.result()
        finally:
            tasks = (*ways, *self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def abort(self) -> None:
        """Ends the connection with a reset."""
        if not self.peer.writer.is_closing():
            self.peer.writer.transport.abort()

    def write(self, wire: bytes) -> None:
        """Bytes to the client, unless this node has fallen silent or the client is gone."""
        if not self.muted and not self.peer.writer.is_closing():
            self.peer.write(wire)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, ConnectionClosed | ConnectionError):
            self.node._server.errors.append(error)

    # ---- calls ----

    async def _from_client(self) -> None:
        while True:
            opcode, payload = await self.peer.receive()
            if opcode == PING:
                self.write(frame(payload, PONG))
            elif opcode == CLOSE:
                self.write(frame(payload, CLOSE))
                return
            elif opcode == TEXT and not self.muted:
                self._spawn(self._answer(orjson.loads(payload)))

    async def _answer(self, message: Any) -> None:
        """One message of the client: a call, or a batch of them."""
        calls = message if isinstance(message, list) else [message]
        for call in calls:
            self.node.asked[call["method"]] += 1
            if call["method"] == "eth_sendRawTransaction":
                raw = bytes.fromhex(call["params"][0][2:])
                self.node.sends.append(Send(raw, time.monotonic()))
        rules = tuple(self.node.rules)
        given = await asyncio.gather(*(self._through(call, rules) for call in calls))
        answers = [answer for each in given for answer in each]
        for answer in answers:
            if isinstance(answer, bytes):
                self.write(frame(answer))
        sound = [answer for answer in answers if not isinstance(answer, bytes)]
        if isinstance(message, list) and sound:
            self.write(frame(sound))
        elif sound:
            for answer in sound:
                self.write(frame(answer))

    async def _through(self, call: Call, rules: Sequence[Rule]) -> Answers:
        """The call through the first rule that concerns it, which may pass it on to the next."""
        node = self.node
        for index, rule in enumerate(rules):
            if rule.concerns(call) and rule in node.rules:
                node.struck.append(f"{rule.name}: {call['method']}")
                if rule.times:
                    rule.times -= 1
                    if not rule.times:
                        node.rules.remove(rule)
                on = functools.partial(self._through, call, rules[index + 1 :])
                return await rule.apply(call, on)
        if not node.behind:
            return [await self.ask_pinned(call)]
        visible = int(await self.result("eth_blockNumber"), 16) - node.behind
        return [await answer_behind(self, call, visible)]

    async def ask(self, call: Call) -> dict[str, Any]:
        """Anvil's answer, under the id of the call."""
        request_id, self._next_id = self._next_id, self._next_id + 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        message = {"jsonrpc": "2.0", "method": call["method"], "params": call["params"]}
        await self.upstream.send(orjson.dumps(message | {"id": request_id}).decode())
        answer: dict[str, Any] = await future
        if call["method"] == "eth_subscribe" and "result" in answer:
            kind, *what = call["params"]
            self._kinds[answer["result"]] = (kind, what[0] if what else {})
            if kind == "logs" and self.node.behind:
                await self._catch_up()
        return answer | {"id": call["id"]}

    async def ask_pinned(self, call: Call) -> dict[str, Any]:
        """Anvil's answer, and where it names a block, the answer at that block.

        anvil 1.7.1 decides that the newest block is asked for, then waits for the block that it
        is mining, and answers from that one's state: what a node must not do is asked again.
        """
        index = BLOCK_PARAMETER.get(call["method"], MAX_PARAMETERS)
        block = call["params"][index] if len(call["params"]) > index else NAMES[0]
        if not isinstance(block, str) or block in NAMES:
            return await self.ask(call)
        while True:
            before = await self.result("eth_getBlockByNumber", "latest", False)
            answer = await self.ask(call)
            if int(block, 16) < int(before["number"], 16):
                return answer  # kept as it was, whatever is being mined
            after = await self.result("eth_getBlockByNumber", "latest", False)
            if before["hash"] == after["hash"]:
                return answer

    async def result(self, method: str, *params: Any) -> Any:
        """What anvil itself answers, None where it refuses."""
        call = {"id": 0, "method": method, "params": list(params)}
        return (await self.ask(call)).get("result")

    # ---- announcements ----

    async def _from_anvil(self) -> None:
        async for text in self.upstream:
            message = text.encode() if isinstance(text, str) else text
            value = orjson.loads(message)
            if "method" in value:
                self._announced(value["params"], message)
            else:
                future = self._waiting.pop(value["id"], None)
                if future and not future.done():
                    future.set_result(value)

    def _announced(self, params: dict[str, Any], message: bytes) -> None:
        """A head or a log came: into the block it belongs to."""
        item = params["result"]
        is_head = "parentHash" in item
        known = item["hash"] if is_head else item["blockHash"]
        if not is_head and known in self._gone:
            self.node.stragglers += 1
            self._out.put_nowait(frame(message))
            return
        part = self._assemblies.get(known)
        if part is None:
            part = self._assemblies[known] = _Assembly(known, time.monotonic())
        if is_head:
            part.head, part.parent = message, item["parentHash"]
            part.number = int(item["number"], 16)
            self._order.append(part)
            self._spawn(self._count(part))
        else:
            part.logs.append((int(item["logIndex"], 16), message))
        self.advance()

    async def _count(self, part: _Assembly) -> None:
        """How many logs the block has for this client's subscriptions."""
        expected = 0
        for kind, what in list(self._kinds.values()):
            if kind == "logs":
                query = {key: what[key] for key in ("address", "topics") if key in what}
                logs = await self.result("eth_getLogs", query | {"blockHash": part.hash})
                expected += len(logs or ())
        part.expected = expected
        self.advance()
        if part in self._order:
            await asyncio.sleep(PATIENCE_S)
            self.advance()

    async def _catch_up(self) -> None:
        """Blocks that anvil announced before this client was there, and a node behind it has not:
        to be announced when their time comes."""
        tip = int(await self.result("eth_blockNumber"), 16)
        missed = []
        for number in range(tip - self.node.behind + 1, tip + 1):
            head = await self.result("eth_getBlockByNumber", hex(number), False)
            head.pop("transactions")
            heads, logs = b"", []
            for subscription, (kind, what) in self._kinds.items():
                if kind == "newHeads":
                    heads = notification(subscription, head)
                else:
                    query = {key: what[key] for key in ("address", "topics") if key in what}
                    found = await self.result("eth_getLogs", query | {"blockHash": head["hash"]})
                    logs += [notification(subscription, log) for log in found or ()]
            missed.append(Block(number, head["hash"], head["parentHash"], heads, logs))
        there = {block.hash for block in self._held} | set(self._gone)
        self._held.extendleft(block for block in reversed(missed) if block.hash not in there)
        self._gone.extend(block.hash for block in missed)
        self.advance()

    def advance(self) -> None:
        """Delivers what is whole and not held back."""
        now = time.monotonic()
        while self._order and self._order[0].whole(now):
            part = self._order.popleft()
            del self._assemblies[part.hash]
            self._gone.append(part.hash)
            self._held.append(part.block())
        tip = max((block.number for block in self._held), default=0)
        while self._held and self._held[0].number <= tip - self.node.behind:
            self._deliver(self._held.popleft())

    def _deliver(self, block: Block) -> None:
        """The block, or what a fault makes of it, on its way out."""
        wire: Wire = []
        if self.node.announces_removed:
            wire += self._taken_back(block)
        self.delivered.append(block)
        if self.fault is None and self.node.armed:
            self.fault = self.node.armed.popleft()
            self.node.struck.append(self.fault[0])
        if self.fault is None:
            wire += block.frames()
        else:
            try:
                wire += self.fault[1].send(block)
            except StopIteration as end:
                wire += end.value
                self.fault = None
        for piece in wire:
            self._out.put_nowait(piece)

    def _taken_back(self, block: Block) -> Wire:
        """`removed: true` for each log of the blocks that this one replaces, the last one first."""
        wire: Wire = []
        while self.delivered and self.delivered[-1].number >= block.number:
            orphan = self.delivered.pop()
            wire += [frame(removed(log)) for log in reversed(orphan.logs)]
        return wire

    async def _to_client(self) -> None:
        while True:
            piece = await self._out.get()
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                self.write(piece)


def notification(subscription: str, item: dict[str, Any]) -> bytes:
    """A head or a log as it is announced."""
    params = {"subscription": subscription, "result": item}
    return orjson.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


def removed(log: bytes) -> bytes:
    """The notification that the log was taken back."""
    message = orjson.loads(log)
    message["params"]["result"]["removed"] = True
    return orjson.dumps(message)
