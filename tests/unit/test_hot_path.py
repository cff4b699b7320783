"""From a frame to the bytes of its transaction in the socket: no Python object, no collection."""

import asyncio
import ctypes
import gc
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from picows.picows import WSFrame, WSMsgType, _make_test_ws_frame

from mevfast._memory import make_ready
from mevfast._tx import Signer
from mevfast.bench_stream import Stream, make_stream
from mevfast.chain.rpc import Rpc
from tests import frames
from tests.adversity.bounds import on_loop
from tests.adversity.fake_node import FakeNode, Peer
from tests.unit.test_core import A, B, Chain

PAGE = 4096


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ctypes.PyDLL]:
    """Counts the interpreter's allocations, all three kinds."""
    library = tmp_path_factory.mktemp("allocator") / "counting.so"
    source = Path(__file__).with_name("counting_allocator.c")
    headers = sysconfig.get_path("include")
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-shared", "-fPIC", f"-I{headers}", source, "-o", library],
        check=True,
    )
    counting = ctypes.PyDLL(str(library))
    counting.allocations.restype = ctypes.c_long
    counting.allocations.argtypes = [ctypes.py_object] * 3
    counting.grown.restype = ctypes.c_long
    counting.grown.argtypes = [ctypes.py_object] * 4
    counting.install()
    yield counting
    counting.uninstall()


@cache
def busy_market() -> Stream:
    """2,400 reads in which 600 cycles are opened, and closed again."""
    return make_stream(200, repeats=200)


@contextmanager
def collected() -> Iterator[list[str]]:
    """The collector as eager as it can be; what it began."""
    began: list[str] = []

    def note(phase: str, _: dict[str, int]) -> None:
        began.append(phase)

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    gc.callbacks.append(note)
    try:
        yield began
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*thresholds)


def text(message: bytes) -> WSFrame:
    return _make_test_ws_frame(WSMsgType.TEXT, message, True, False)


async def swallow(peer: Peer) -> None:
    """Reads whatever comes and answers nothing."""
    while await peer.reader.read(1 << 20):
        pass


def signer() -> Signer:
    return Signer(bytearray(31) + b"\x01")


# ---- objects ----


@on_loop
async def test_no_python_object_is_made_from_a_frame_to_the_socket(counter: ctypes.PyDLL) -> None:
    stream = busy_market()
    core, _ = stream.core(signer(), timed=False)
    core.after = gc.isenabled  # whatever is called behind the sending makes what it likes
    events = sent = 0
    async with FakeNode(swallow) as node, await Rpc.connect(node.url, hot=core) as rpc:
        core.send = rpc.outlet
        for read in stream.reads:
            fed = [text(frame) for frame in read]
            assert counter.allocations(core.feed, fed, core.flush) == 0
            events += len(fed)
            for trade in core.trades():
                core.resolve(trade["nonce"])
                sent += 1
            if events % 64 == 0:
                await asyncio.sleep(0)  # the peer reads
        assert core.n_sent == sent == rpc.calls["eth_sendRawTransaction"] >= 600
        assert events >= 2400


def test_the_counting_allocator_sees_one_object(counter: ctypes.PyDLL) -> None:
    chain = Chain()
    opened = [text(chain.sync(0, 1.1)), text(chain.head())]
    chain.core.after = gc.isenabled
    # A callable gets a memoryview of the request, and keeps a copy.
    assert counter.allocations(chain.core.feed, opened, chain.core.flush) > 0
    assert len(chain.sent) == 1
    assert counter.allocations(lambda _: [object()], [None], gc.isenabled) == 2


@on_loop
async def test_no_collection_begins_between_a_frame_and_the_socket(counter: ctypes.PyDLL) -> None:
    stream = busy_market()
    core, _ = stream.core(signer(), timed=False)
    core.after = gc.isenabled
    async with FakeNode(swallow) as node, await Rpc.connect(node.url, hot=core) as rpc:
        core.send = rpc.outlet
        for read in stream.reads[:400]:
            fed = [text(frame) for frame in read]
            with collected() as began:
                assert counter.grown(core.feed, fed, core.flush, began) == 0
            assert began  # by what the test does around it
            for trade in core.trades():
                core.resolve(trade["nonce"])
            await asyncio.sleep(0)
        assert core.n_sent >= 50


def test_an_eager_collector_is_seen() -> None:
    with collected() as began:
        held: list[Any] = [[] for _ in range(10)]
    assert began
    assert len(held) == 10


# ---- batches ----


def test_the_logs_of_a_read_are_applied_together_and_a_pool_is_searched_once() -> None:
    together, last_only = Chain(), Chain()
    logs = [together.sync(0, 1 + i / 100, index=i) for i in range(11)]
    together.feed(*logs, together.sync(1, 1.0, index=11), together.head([A, B]))
    last_only.feed(logs[-1], last_only.sync(1, 1.0, index=11), last_only.head([A, B]))
    for chain in (together, last_only):
        assert chain.core.n_searches == 1
        assert len(chain.sent) == 1
    assert together.core.search.n_candidates == last_only.core.search.n_candidates
    assert together.raw() == last_only.raw()
    assert together.core.stages.count("apply") == 12
    assert together.core.stages.count("search") == 1


# ---- memory ----


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def test_memory_does_not_grow_with_the_events() -> None:
    chain = Chain()
    core = chain.core
    core.shadow = True
    make_ready(core)  # journal and rings fill in any case
    grown = []
    for n in (20_000, 100_000):  # the first ones warm up
        gc.collect()
        before = resident()
        for i in range(n):
            chain.block += not i % 10
            message = frames.head(chain.block) if not i % 10 else chain.sync(
                i % 2, 1 + i % 7 / 100, block=chain.block, index=i
            )  # fmt: skip
            core.feed_bytes(message)
            core.flush()
        gc.collect()
        grown.append(resident() - before)
    assert core.n_logs + core.n_heads == 120_001
    assert core.live
    assert grown[-1] < 1 << 20


def test_memory_is_brought_in_once_and_nothing_in_it_changes() -> None:
    chain = Chain()
    core = chain.core
    before, states = resident(), [core.table.read(slot) for slot in range(4)]
    ready = make_ready(core)
    journal = 16 << 20
    assert ready.bytes > journal
    assert 0 <= ready.locked <= ready.bytes
    assert resident() - before > journal * 3 // 4  # its ring at least was not there
    assert [core.table.read(slot) for slot in range(4)] == states
    again = resident()
    assert make_ready(core).bytes == ready.bytes
    assert resident() - again < 1 << 20
    chain.feed(chain.sync(0, 1.1), chain.head())
    assert len(chain.sent) == 1
