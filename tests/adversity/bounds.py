"""What every test against a bad node needs: bounded time, and one-line messages."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from mevfast.errors import NodeError

STALL_S = 30.0
"""No test waits longer for anything: the timeouts under test are far below."""


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs the test on uvloop, in bounded time, and sees that it leaves no task behind."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(STALL_S):
                await test(*args, **kwargs)
            for _ in range(5):  # callbacks of cancelled tasks and closed sockets
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        uvloop.run(bounded())

    return run


def says(error: pytest.ExceptionInfo[NodeError] | NodeError, *words: str) -> None:
    """The message is one line and holds the words."""
    text = str(error.value if isinstance(error, pytest.ExceptionInfo) else error)
    assert "\n" not in text
    for word in words:
        assert word in text, text
