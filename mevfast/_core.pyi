from collections.abc import Callable
from typing import Any

from mevfast._feed import Feed
from mevfast._search import Search
from mevfast._tx import Signer

class Outlet:
    """Writes requests to a socket; only compiled classes derive from it."""

class Core(Feed):
    send: Callable[[memoryview], object] | Outlet
    after: Callable[[], object]
    paused: bool
    shadow: bool
    expires_ns: int
    def __init__(
        self,
        search: Search,
        signer: Signer,
        executor: bytes,
        chain_id: int,
        send: Callable[[memoryview], object] | Outlet,
        after: Callable[[], object],
        *,
        deadline_blocks: int = 2,
        max_fee_percent: int = 200,
        priority_fee: int = 0,
        gas_limit_percent: int = 150,
        first_request: int = ...,
    ) -> None: ...
    @property
    def signer(self) -> Signer: ...
    @property
    def n_sent(self) -> int: ...
    @property
    def n_searches(self) -> int: ...
    @property
    def nonce(self) -> int: ...
    def flush(self) -> None: ...
    def set_nonce(self, nonce: int) -> None: ...
    def trades(self) -> list[dict[str, Any]]: ...
    def look_again(self, pools: list[bytes]) -> None: ...
    def resolve(self, nonce: int, *, reverted: bool = False, mined: bool = False) -> bool: ...
    def latencies(self) -> list[int]: ...
