"""Child processes that never outlive their parent. Knows nothing of what they run."""

import ctypes
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mevfast.errors import DevnetError

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.005


def _before_exec(parent: int, niceness: int) -> Callable[[], None]:
    """Runs in the child before exec: the kernel kills it when the spawning thread ends.

    The parent may have died before the request was made; then its pid has changed already.
    Linux ties the request to the thread that forks, hence `Child` insists on the main one.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # resolved before the fork, not after

    def set_death_signal() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(127)
        os.nice(niceness)

    return set_death_signal


class Child:
    """One running command: own process group (a terminal's Ctrl-C reaches only the parent).

    Its standard output is discarded; its standard error is kept for messages.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        niceness: int = 0,
    ) -> None:
        """Starts `argv`; DevnetError where that fails. Only from the main thread.

        With `niceness` the kernel lets it wait for processes without it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise DevnetError(f"{name}: expected to be started from the main thread")
        self.name = name
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        try:
            self.process = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                process_group=0,
                preexec_fn=_before_exec(os.getpid(), niceness),  # noqa: PLW1509 - two system calls
            )
        except OSError as error:
            self._stderr.close()
            raise DevnetError(f"{name} does not start: {argv[0]}: {error.strerror}") from error

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.process.poll() is None

    def check(self) -> None:
        """DevnetError with exit code and last words where the process ended by itself."""
        code = self.process.poll()
        if code is not None:
            raise DevnetError(f"{self.name} ended by itself, exit code {code}: {self.last_words()}")

    def last_words(self, lines: int = 5) -> str:
        """The last lines of its standard error, joined by ` | `, for a one-line message."""
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())

    def stop(self, grace_s: float = 0.6) -> None:
        """TERM, then KILL after `grace_s`; returns when the process is gone. May be repeated."""
        if self.process.poll() is None:
            self.process.terminate()
            deadline = time.monotonic() + grace_s
            while self.process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def close(self) -> None:
        """Stops it and forgets its standard error."""
        self.stop()
        self._stderr.close()
