"""Tell systemd how the service is: the sd_notify protocol, one datagram a message.

Owns $NOTIFY_SOCKET and $WATCHDOG_USEC. Without them (a terminal, a test) every
call does nothing. A message that cannot be sent is dropped: the service must
not stop because its observer did.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """The service's line to systemd. `watchdog_s` is how often `alive` must be called, or None."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read where to send and how often; open the socket."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_UNIX, kind)
        self.watchdog_s = _watchdog_s(environment)

    def ready(self, status: str) -> None:
        """Say that the state is loaded and the service works."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """Feed the watchdog. Call it when the engine gets on, not from a bare timer."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the config is being read again; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the service is on its way out."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket. Later calls do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:  # full, or gone: see the module's docstring
            return


def _address(name: str) -> str:
    """The socket's address; a leading @ stands for the null byte of an abstract socket."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else ""


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Half of WatchdogSec=, as sd_watchdog_enabled(3) advises; None where it is off or not ours."""
    limit = environment.get("WATCHDOG_USEC", "")
    owner = environment.get("WATCHDOG_PID", "")
    if not limit.isdigit() or int(limit) == 0 or (owner and owner != str(os.getpid())):
        return None
    return int(limit) / 2e6


def _line(text: str) -> str:
    """One line: a line break would start another assignment."""
    return " ".join(text.split())
