"""What systemd hears, over both kinds of socket, and that nothing of it breaks the service."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mevfast.observe.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd's, and how $NOTIFY_SOCKET names it."""
    abstract = request.param == "abstract"
    name = f"@mevfast-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name[1:] if abstract else name)
        server.settimeout(5)
        yield server, name


def test_messages(systemd: tuple[socket.socket, str]) -> None:
    server, name = systemd
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
    notifier.ready("66 pools loaded")
    assert server.recv(999) == b"READY=1\nSTATUS=66 pools loaded"
    notifier.status("block 5\nREADY=1")
    assert server.recv(999) == b"STATUS=block 5 READY=1"
    notifier.alive()
    assert server.recv(999) == b"WATCHDOG=1"
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    reloading, _, stamp = server.recv(999).partition(b"\nMONOTONIC_USEC=")
    assert reloading == b"RELOADING=1"
    assert before <= int(stamp) <= time.monotonic_ns() // 1000
    notifier.stopping()
    assert server.recv(999) == b"STOPPING=1"
    notifier.close()
    notifier.status("unheard")
    server.settimeout(0.05)
    with pytest.raises(TimeoutError):
        server.recv(999)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_interval_is_half_the_limit(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert Notifier(environment).watchdog_s == seconds


def test_without_watchdog_nothing_is_fed(systemd: tuple[socket.socket, str]) -> None:
    server, name = systemd
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.alive()
    notifier.status("only this")
    assert server.recv(999) == b"STATUS=only this"
    notifier.close()


@pytest.mark.parametrize("name", ["", "/nonexistent/notify", "vsock:2:1234", "@mevfast-nobody"])
def test_nobody_there_is_no_error(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("heard by nobody")
    notifier.close()


def test_a_full_socket_does_not_block(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(10_000):  # far above any queue; a blocking send would hang here
            notifier.status("x" * 1000)
        notifier.close()
