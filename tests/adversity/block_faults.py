"""What a node can do wrong with the blocks it announces. Each fault is a generator: it is sent one
block after another and yields what goes out instead; what it returns is its last word.

All that depends on chance depends on the generator of random numbers that is handed in.
"""

import itertools
import json
import random
from collections.abc import Callable, Generator
from typing import Any

import orjson

from tests.adversity.fake_node import BINARY, CONTINUATION, PING, TEXT, frame
from tests.adversity.faulty_node import Block, BlockFault, Wire, removed

V2_SWAP = "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
"""topic0 of the one event that carries no state: a Sync before it does."""
GIANT_LOG, GIANT_FRAME = 3 << 20, 70 << 20
"""Bytes: within what a node may send (MAX_MESSAGE of chain/rpc.py), and beyond."""

PAUSE_S = 0.03
Fault = Callable[[random.Random], BlockFault]


def _with_logs(fewest: int = 1) -> Generator[Wire, Block, Block]:
    """The first block with so many logs; those before it pass."""
    block = yield []
    while len(block.logs) < fewest:
        block = yield block.frames()
    return block


def _wire(*messages: bytes) -> Wire:
    return [frame(message) for message in messages]


# ---- lost, repeated, out of order ----


def _of_state(block: Block, chance: random.Random) -> int:
    """Index of a log of the block that carries state."""
    return chance.choice([i for i, log in enumerate(block.logs) if V2_SWAP.encode() not in log])


def lost_log(chance: random.Random) -> BlockFault:
    """One log of a block never comes."""
    block = yield from _with_logs()
    lost = _of_state(block, chance)
    return _wire(*(log for i, log in enumerate(block.logs) if i != lost), block.head)


def lost_logs(_: random.Random) -> BlockFault:
    """None of a block's logs comes."""
    block = yield from _with_logs()
    return _wire(block.head)


def lost_head(_: random.Random) -> BlockFault:
    """A block's logs come, its head does not."""
    block = yield from _with_logs()
    return _wire(*block.logs)


def lost_block(_: random.Random) -> BlockFault:
    """Nothing of a block comes."""
    yield from _with_logs()
    return []


def lost_blocks(_: random.Random) -> BlockFault:
    """Nothing of two blocks comes."""
    yield from _with_logs()
    yield []
    return []


def repeated_frames(_: random.Random) -> BlockFault:
    """Each frame of a block comes twice."""
    block = yield from _with_logs()
    return [wire for wire in block.frames() for _ in range(2)]


def repeated_block(_: random.Random) -> BlockFault:
    """A whole block comes again after the next one."""
    first = yield from _with_logs()
    second = yield list(first.frames())
    return [*second.frames(), *first.frames()]


def repeated_logs(_: random.Random) -> BlockFault:
    """A block's logs come again after the next block's head."""
    first = yield from _with_logs()
    second = yield list(first.frames())
    return [*second.frames(), *_wire(*first.logs)]


def shuffled_logs(chance: random.Random) -> BlockFault:
    """The logs of a block come in another order."""
    block = yield from _with_logs(2)
    return _wire(*_shuffled(block.logs, chance), block.head)


def shuffled_blocks(chance: random.Random) -> BlockFault:
    """The logs of two blocks come mixed, then both heads."""
    first = yield from _with_logs(2)
    second = yield []
    logs = _shuffled([*first.logs, *second.logs], chance)
    return _wire(*logs, first.head, second.head)


def logs_of_next_first(_: random.Random) -> BlockFault:
    """The logs of a block come before those of the block before it."""
    first = yield from _with_logs()
    second = yield []
    return _wire(*second.logs, *first.logs, first.head, second.head)


def _shuffled(items: list[bytes], chance: random.Random) -> list[bytes]:
    mixed = chance.sample(items, len(items))
    return mixed if mixed != items else items[::-1]


# ---- one stream behind the other ----


def logs_after_head(_: random.Random) -> BlockFault:
    """A block's head comes a while before its logs."""
    block = yield from _with_logs()
    return [frame(block.head), PAUSE_S, *_wire(*block.logs)]


def logs_after_next_head(_: random.Random) -> BlockFault:
    """Two heads come before the logs of both."""
    first = yield from _with_logs()
    second = yield _wire(first.head)
    return _wire(second.head, *first.logs, *second.logs)


def head_after_next_logs(_: random.Random) -> BlockFault:
    """The logs of two blocks come before the heads of both."""
    first = yield from _with_logs()
    second = yield _wire(*first.logs)
    return [*_wire(*second.logs), PAUSE_S, *_wire(first.head, second.head)]


# ---- false alarms and lies ----


def false_alarm(_: random.Random) -> BlockFault:
    """All logs of a block are said to be taken back, and are not."""
    block = yield from _with_logs()
    return [*block.frames(), *(frame(removed(log)) for log in reversed(block.logs))]


def false_alarm_of_one(chance: random.Random) -> BlockFault:
    """One log of the block before is said to be taken back, and is not."""
    first = yield from _with_logs()
    second = yield list(first.frames())
    return [frame(removed(chance.choice(first.logs))), *second.frames()]


def unknown_pool(chance: random.Random) -> BlockFault:
    """A log of a pool that nobody knows."""
    block = yield from _with_logs()
    address = "0x" + chance.randbytes(20).hex()
    return _wire(_changed(block.logs[0], address=address), *block.logs, block.head)


def future_log(chance: random.Random) -> BlockFault:
    """A log of a known pool from a block that is millions away."""
    block = yield from _with_logs()
    far = hex(block.number + chance.randrange(10**6, 2**52))
    lie = _changed(block.logs[_of_state(block, chance)], blockNumber=far, blockHash=_word(chance))
    return _wire(*block.logs, block.head, lie)


def _malformed(chance: random.Random, change: Callable[[str], str]) -> BlockFault:
    block = yield from _with_logs()
    log = _of_state(block, chance)
    data = orjson.loads(block.logs[log])["params"]["result"]["data"]
    lie = _changed(block.logs[log], data=change(data))
    return _wire(*block.logs[:log], lie, *block.logs[log + 1 :], block.head)


def short_data(chance: random.Random) -> BlockFault:
    """The data of a log of a known pool ends in the middle of a word."""
    return _malformed(chance, lambda data: data[:-32])


def odd_data(chance: random.Random) -> BlockFault:
    """The data of a log of a known pool is no hex."""
    return _malformed(chance, lambda data: data[:-5] + "zz")


def absurd_data(chance: random.Random) -> BlockFault:
    """Every word of a log of a known pool is 2**256 - 1."""
    return _malformed(chance, lambda data: "0x" + "f" * (len(data) - 2))


def _changed(log: bytes, **fields: Any) -> bytes:
    message = orjson.loads(log)
    message["params"]["result"].update(fields)
    return orjson.dumps(message)


def _word(chance: random.Random) -> str:
    return "0x" + chance.randbytes(32).hex()


# ---- frames and JSON ----


def truncated_json(chance: random.Random) -> BlockFault:
    """A message ends in its middle."""
    block = yield from _with_logs()
    messages = [*block.logs, block.head]
    bad = chance.randrange(len(messages))
    messages[bad] = messages[bad][: len(messages[bad]) // 2]
    return _wire(*messages)


def malformed_json(_: random.Random) -> BlockFault:
    """A message that is no JSON stands among a block's."""
    block = yield from _with_logs()
    return _wire(*block.logs, b"<html>502 Bad Gateway</html>", block.head)


def binary_frame(_: random.Random) -> BlockFault:
    """A head in a binary frame."""
    block = yield from _with_logs()
    return [*_wire(*block.logs), frame(block.head, BINARY)]


def strange_json(chance: random.Random) -> BlockFault:
    """Fields in another order, unknown ones among them, and white space everywhere."""
    block = yield from _with_logs()
    return _wire(*(_strange(message, chance) for message in (*block.logs, block.head)))


def upper_hex(_: random.Random) -> BlockFault:
    """Hex digits in upper case."""
    block = yield from _with_logs()
    return _wire(*(_upper(message) for message in (*block.logs, block.head)))


def giant_log(chance: random.Random) -> BlockFault:
    """A log of an unknown pool with megabytes of data."""
    block = yield from _with_logs()
    address = "0x" + chance.randbytes(20).hex()
    giant = _changed(block.logs[0], address=address, data="0x" + "ab" * (GIANT_LOG // 2))
    return _wire(*block.logs[:1], giant, *block.logs[1:], block.head)


def giant_frame(_: random.Random) -> BlockFault:
    """A message beyond what a client need read."""
    block = yield from _with_logs()
    return _wire(*block.logs, b" " * GIANT_FRAME, block.head)


def fragments(chance: random.Random) -> BlockFault:
    """Each message in continuation frames, with pings between them."""
    block = yield from _with_logs()
    wire: Wire = []
    for message in (*block.logs, block.head):
        cuts = sorted(chance.sample(range(1, len(message)), 3))
        edges = [0, *cuts, len(message)]
        pieces = [message[a:b] for a, b in itertools.pairwise(edges)]
        # In one write: an answer in between would break the message.
        wire.append(
            b"".join(
                frame(piece, CONTINUATION if i else TEXT, i == len(pieces) - 1)
                + (frame(b"still there?", PING) if i < len(pieces) - 1 else b"")
                for i, piece in enumerate(pieces)
            )
        )
    return wire


def ping_flood(_: random.Random) -> BlockFault:
    """Two thousand pings before, between and after the messages of a block."""
    block = yield from _with_logs()
    flood = frame(b"p" * 125, PING) * 1000
    return [flood, *_wire(*block.logs), flood, frame(block.head)]


def _upper(message: bytes) -> bytes:
    def raised(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: raised(each) for key, each in value.items()}
        if isinstance(value, list):
            return [raised(each) for each in value]
        if isinstance(value, str) and value.startswith("0x"):
            return "0x" + value[2:].upper()
        return value

    whole = orjson.loads(message)
    whole["params"]["result"] = raised(whole["params"]["result"])
    return orjson.dumps(whole)


def _strange(message: bytes, chance: random.Random) -> bytes:
    """The same to whoever reads JSON, in a form that no node writes today."""
    decoy = {"address": "0x" + "de" * 20, "removed": True, "topics": ["}", '"]}', "\\", "é"]}

    def mixed(value: Any, depth: int) -> Any:
        if not isinstance(value, dict):
            return value
        items = [(key, mixed(each, depth + 1)) for key, each in value.items()]
        if depth:  # not beside "jsonrpc": that object's fields are the standard's
            items += [(f"x{chance.randrange(10**6)}", decoy), ("yParity", None), ("n", [[{}], 1e9])]
        chance.shuffle(items)
        return dict(items)

    indent = chance.choice((None, 1, 7, "\t"))
    separators = (" ,\r\n", " :\t") if indent is None else None
    text = json.dumps(mixed(orjson.loads(message), 0), indent=indent, separators=separators)
    return b" \n" + text.encode() + b"\r\n\t "
