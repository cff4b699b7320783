from collections.abc import Callable
from typing import Any

from picows import WSListener

from mevfast._core import Core, Outlet

class Socket(Outlet):
    closed: bool
    def __init__(self, lost: Callable[[], BaseException]) -> None: ...
    @property
    def sent(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...

class Line(WSListener):
    in_pieces: bool
    def __init__(self, core: Core, socket: Socket, node: Any) -> None: ...
    @property
    def bytes_in(self) -> int: ...
