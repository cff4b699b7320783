"""A loop that polls: it is never left with nothing to do, and serves everybody meanwhile."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from mevfast.chain import busy
from mevfast.observe import placement


class Loop:
    """A loop whose turns the test makes."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], object]] = []

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.ready.append(callback)

    def turn(self) -> int:
        """One turn; how many callbacks it had."""
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()
        return len(ready)


def test_one_callback_is_always_due_until_it_is_stopped() -> None:
    loop: Any = Loop()
    stop = busy.spin(loop)
    assert [loop.turn() for _ in range(100)] == [1] * 100
    stop()
    assert [loop.turn() for _ in range(3)] == [1, 0, 0]


def test_timers_and_sockets_are_served_while_it_spins() -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1
            loop.call_later(0.001, count)

        stop = busy.spin(loop)
        loop.call_soon(count)

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(4))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        while turns < 5:
            await asyncio.sleep(0.001)
        writer.close()
        server.close()
        stop()

    uvloop.run(check())


def test_a_kernel_that_refuses_to_poll_the_card_is_no_error() -> None:
    with socket.socket() as sock:
        assert busy.poll_device(sock, 0)  # never needs a privilege
        assert not busy.poll_device(sock, -1)


# ---- where it runs ----


def placed(
    monkeypatch: pytest.MonkeyPatch, *, cores: set[int], nice: int = 0, policy: int = 0
) -> list[str]:
    monkeypatch.setattr(placement.os, "sched_getaffinity", lambda _: cores)
    monkeypatch.setattr(placement.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(placement.os, "getpriority", lambda *_: nice)
    monkeypatch.setattr(placement.os, "sched_getscheduler", lambda _: policy)
    return placement.advice()


def test_what_the_unit_left_undone_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned, elevated = placed(monkeypatch, cores={0, 1, 2, 3})
    assert "may run on 4 of 4 cores" in pinned
    assert "CPUAffinity=" in pinned
    assert "nice 0" in elevated
    assert "Nice=-10" in elevated


@pytest.mark.parametrize("how", [{"nice": -10}, {"policy": 1}])
def test_who_is_pinned_and_elevated_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, how: dict[str, int]
) -> None:
    assert placed(monkeypatch, cores={2}, **how) == []
    assert placed(monkeypatch, cores={2, 3}, **how) == []
