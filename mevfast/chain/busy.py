"""An event loop that does not sleep: it polls its sockets over and over.

A process that sleeps is woken by the kernel, which takes longer than all the work on a frame. The
price is one core, in use all the time.
"""

import asyncio
from collections.abc import Callable


def spin(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Makes the loop poll without sleeping until the returned function is called.

    A loop with a callback that is due looks at its sockets and comes back at once: this one is
    due again as soon as it has run. Tasks and timers run as before.
    """
    spinning = True

    def again() -> None:
        if spinning:
            loop.call_soon(again)

    def stop() -> None:
        nonlocal spinning
        spinning = False

    loop.call_soon(again)
    return stop
