"""Every fault there is, by name: what a node, a network and a chain can do to an engine.

A fault strikes a scene: the faulty node in front of the engine, the chain behind it, and chance.
Some are over with the next block, some last until `node.heal()`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.adversity import block_faults
from tests.adversity.behind import refusal, result
from tests.adversity.fake_node import Peer
from tests.adversity.faulty_node import Answers, Ask, Call, FaultyNode, Rule

READS = frozenset(
    ("eth_call", "eth_getLogs", "eth_getTransactionCount", "eth_getBalance", "eth_getCode",
     "eth_getBlockByNumber", "eth_getBlockByHash", "eth_blockNumber")
)  # fmt: skip
"""What an engine asks to learn the state of the chain."""
MOST_BEHIND = 3
DEEPEST_REORG = 5
RANGE_LIMIT = 2
"""Blocks of eth_getLogs that the meanest provider answers."""


class Scene(Protocol):
    """What a fault strikes."""

    node: FaultyNode
    chance: random.Random

    def reorg(self, depth: int, busy: bool = False) -> None:
        """Replaces the newest blocks; `busy`: by blocks with other swaps in them."""

    def block(self) -> None:
        """Mines a block of real swaps, mints and burns."""


Strike = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    `harmless`: nothing of the state is lost or in doubt, the engine need not even notice.
    `timeout`: it is noticed only by a request, a head or a pong that does not come in time.
    """

    name: str
    words: str
    strike: Strike
    harmless: bool = False
    timeout: bool = False


CATALOGUE: dict[str, Fault] = {}


def _fault(harmless: bool = False, timeout: bool = False) -> Callable[[Strike], Strike]:
    def enter(strike: Strike) -> Strike:
        words = (strike.__doc__ or "").strip().rstrip(".")
        _enter(Fault(strike.__name__, words, strike, harmless, timeout))
        return strike

    return enter


def _enter(fault: Fault) -> None:
    assert fault.name not in CATALOGUE
    CATALOGUE[fault.name] = fault


# ---- blocks ----

HARMLESS = {
    "repeated_frames", "repeated_block", "repeated_logs", "unknown_pool", "strange_json",
    "upper_hex", "giant_log", "fragments", "ping_flood", "logs_after_head", "shuffled_logs",
    "shuffled_blocks", "logs_of_next_first", "logs_after_next_head", "head_after_next_logs",
}  # fmt: skip
"""Whatever of this an engine makes good by itself, it may do so without a word."""


def _enter_block_fault(fault: block_faults.Fault) -> None:
    async def strike(scene: Scene) -> None:
        scene.node.arm(fault.__name__, fault(scene.chance))

    words = (fault.__doc__ or "").strip().rstrip(".")
    _enter(Fault(fault.__name__, words, strike, harmless=fault.__name__ in HARMLESS))


for _each in (
    block_faults.lost_log, block_faults.lost_logs, block_faults.lost_head,
    block_faults.lost_block, block_faults.lost_blocks, block_faults.repeated_frames,
    block_faults.repeated_block, block_faults.repeated_logs, block_faults.shuffled_logs,
    block_faults.shuffled_blocks, block_faults.logs_of_next_first, block_faults.logs_after_head,
    block_faults.logs_after_next_head, block_faults.head_after_next_logs,
    block_faults.false_alarm, block_faults.false_alarm_of_one, block_faults.unknown_pool,
    block_faults.future_log, block_faults.short_data, block_faults.odd_data,
    block_faults.absurd_data, block_faults.truncated_json, block_faults.malformed_json,
    block_faults.binary_frame, block_faults.strange_json, block_faults.upper_hex,
    block_faults.giant_log, block_faults.giant_frame, block_faults.fragments,
    block_faults.ping_flood,
):  # fmt: skip
    _enter_block_fault(_each)


# ---- the connection ----


@_fault()
async def cut(scene: Scene) -> None:
    """The connection is reset."""
    await scene.node.cut()


@_fault()
async def cut_twice(scene: Scene) -> None:
    """The connection is reset, and the next one in the middle of what it is used for."""
    await scene.node.cut()

    async def hang_up(call: Call, ask: Ask) -> Answers:
        await scene.node.cut("cut again")
        return []

    scene.node.rules.append(Rule("hang up at", hang_up, READS, times=1))


@_fault()
async def going_away(scene: Scene) -> None:
    """The node closes the connection with 1001, going away."""
    scene.node.close(1001, "going away")


@_fault()
async def restarting(scene: Scene) -> None:
    """The node closes the connection with 1012, service restart."""
    scene.node.close(1012, "maintenance")


@_fault(timeout=True)
async def silent(scene: Scene) -> None:
    """The connection stays open, and no frame comes any more, not even a pong."""
    scene.node.hush()


@_fault(timeout=True)
async def half_open(scene: Scene) -> None:
    """The connection stays open, and the other side neither reads nor writes."""
    scene.node.hush("half open", deaf=True)


# ---- the handshake ----


def _enter_handshake(name: str, words: str, greet: Callable[[Peer], Awaitable[bool]]) -> None:
    async def strike(scene: Scene) -> None:
        async def greets(peer: Peer) -> bool:
            scene.node.struck.append(name)
            return await greet(peer)

        scene.node.greet = greets
        await scene.node.cut()

    _enter(Fault(name, words, strike, timeout="never" in name))


def _http(status: str) -> Callable[[Peer], Awaitable[bool]]:
    async def refuse(peer: Peer) -> bool:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(f"HTTP/1.1 {status}\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".encode())
        return False

    return refuse


async def _hesitate(_: Peer) -> bool:
    await asyncio.sleep(0.3)
    return True


async def _never(_: Peer) -> bool:
    await asyncio.Event().wait()
    return False


async def _hang_up(_: Peer) -> bool:
    return False


_enter_handshake("bad_gateway", "Reset, then HTTP 502 to each handshake", _http("502 Bad Gateway"))
_enter_handshake(
    "too_many_requests", "Reset, then HTTP 429 to each handshake", _http("429 Too Many Requests")
)
_enter_handshake("slow_handshake", "Reset, then handshakes that take long", _hesitate)
_enter_handshake("handshake_never", "Reset, then handshakes that are never answered", _never)
_enter_handshake("hung_up", "Reset, then connections that end at once", _hang_up)


# ---- answers: to what is asked in the repair that follows a cut ----


def _enter_answers(
    name: str,
    words: str,
    apply: Callable[[Call, Ask], Awaitable[Answers]],
    *,
    methods: frozenset[str] = READS,
    times: int = 0,
    timeout: bool = False,
) -> None:
    async def strike(scene: Scene) -> None:
        scene.node.rules.append(Rule(name, apply, methods, times))
        await scene.node.cut()

    _enter(Fault(name, f"Reset, then {words}", strike, timeout=timeout))


async def _too_often(call: Call, _: Ask) -> Answers:
    return [refusal(call, -32005, "rate limit exceeded")]


async def _nothing(call: Call, ask: Ask) -> Answers:
    await ask()
    return []


async def _slow(call: Call, ask: Ask) -> Answers:
    answers = await ask()
    await asyncio.sleep(0.05)
    return answers


async def _late(call: Call, ask: Ask) -> Answers:
    answers = await ask()
    await asyncio.sleep(3.0)
    return answers


async def _alien_id(call: Call, ask: Ask) -> Answers:
    answers: list[Any] = await ask()
    return [*(each | {"id": each["id"] + 10**6, "result": "0x0"} for each in answers), *answers]


async def _wrong_id(call: Call, ask: Ask) -> Answers:
    answers: list[Any] = await ask()
    return [each | {"id": each["id"] + 10**6} for each in answers]


async def _null(call: Call, _: Ask) -> Answers:
    return [result(call, None)]


async def _half_an_answer(call: Call, _: Ask) -> Answers:
    return [b'{"jsonrpc":"2.0","id":%d,"resu' % call["id"]]


async def _small_ranges(call: Call, ask: Ask) -> Answers:
    query = call["params"][0]
    if "blockHash" not in query:
        first, last = query.get("fromBlock", "latest"), query.get("toBlock", "latest")
        if not (first.startswith("0x") and last.startswith("0x")) or (
            int(last, 16) - int(first, 16) >= RANGE_LIMIT
        ):
            return [refusal(call, -32005, f"query exceeds max block range {RANGE_LIMIT}")]
    return await ask()


async def _too_many_results(call: Call, ask: Ask) -> Answers:
    return [refusal(call, -32005, "query returned more than 10000 results")]


ALL = frozenset[str]()
LOGS = frozenset(("eth_getLogs",))

_enter_answers("rate_limited", "every call is refused as one too many", _too_often, methods=ALL)
_enter_answers("rate_limited_reads", "calls to read state are refused as too many", _too_often)
_enter_answers("rate_limited_once", "one call is refused as one too many", _too_often, times=1)
_enter_answers("lost_answer", "a call is never answered", _nothing, times=1, timeout=True)
_enter_answers("slow_answers", "each answer takes 50 ms", _slow, methods=ALL)
_enter_answers("late_answer", "an answer comes too late", _late, times=1, timeout=True)
_enter_answers("alien_answer", "an answer to nobody comes before the true one", _alien_id, times=3)
_enter_answers("wrong_id", "an answer has a wrong id", _wrong_id, times=1, timeout=True)
_enter_answers("null_answer", "calls are answered with null", _null, times=2)
_enter_answers("half_an_answer", "an answer is cut off", _half_an_answer, times=1)
_enter_answers(
    "small_ranges", f"eth_getLogs for {RANGE_LIMIT} blocks at most", _small_ranges, methods=LOGS
)
_enter_answers(
    "too_many_results", "an eth_getLogs has too many results", _too_many_results,
    methods=LOGS, times=1,
)  # fmt: skip


# ---- a node that is behind ----


@_fault(harmless=True)
async def falls_behind(scene: Scene) -> None:
    """The node tells of everything some blocks late from now on."""
    scene.node.behind = scene.chance.randint(1, MOST_BEHIND)
    scene.node.struck.append(f"{scene.node.behind} blocks behind")


@_fault()
async def back_behind(scene: Scene) -> None:
    """Reset, and the node that answers then is some blocks behind."""
    await falls_behind(scene)
    await scene.node.cut()


# ---- the chain ----


def _enter_reorg(name: str, words: str, *, removed: bool, busy: bool) -> None:
    async def strike(scene: Scene) -> None:
        scene.node.announces_removed = removed
        scene.reorg(scene.chance.randint(1, DEEPEST_REORG), busy)

    _enter(Fault(name, words, strike))


_enter_reorg("reorg", "Blocks are replaced by empty ones, heads alone tell of it",
             removed=False, busy=False)  # fmt: skip
_enter_reorg("busy_reorg", "Blocks are replaced by others with swaps in them, heads tell of it",
             removed=False, busy=True)  # fmt: skip
_enter_reorg("told_reorg", "Blocks are replaced by others, and their logs are said to be removed",
             removed=True, busy=True)  # fmt: skip


@_fault()
async def two_reorgs(scene: Scene) -> None:
    """Blocks are replaced, and some of the new ones again at once."""
    scene.reorg(scene.chance.randint(2, DEEPEST_REORG), busy=True)
    scene.reorg(scene.chance.randint(1, 2), busy=True)


@_fault()
async def reorg_while_away(scene: Scene) -> None:
    """Reset, and blocks are replaced before the engine is back."""
    await scene.node.cut()
    scene.reorg(scene.chance.randint(1, DEEPEST_REORG), busy=True)


@_fault()
async def reorg_in_repair(scene: Scene) -> None:
    """Reset, and blocks are replaced while the engine reads what it missed."""

    async def replace(call: Call, ask: Ask) -> Answers:
        answers = await ask()
        scene.reorg(scene.chance.randint(1, DEEPEST_REORG), busy=True)
        return answers

    scene.node.rules.append(Rule("reorg at", replace, READS, times=1))
    await scene.node.cut()


@_fault()
async def blocks_in_repair(scene: Scene) -> None:
    """Reset, and with each of the first calls of the repair another block comes."""

    async def go_on(call: Call, ask: Ask) -> Answers:
        answers = await ask()
        scene.block()
        return answers

    scene.node.rules.append(Rule("a block at", go_on, READS, times=4))
    await scene.node.cut()
