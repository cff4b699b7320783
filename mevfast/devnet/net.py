"""The embedded chain as one object: node, market, traders.

async with Devnet(seed=7) as net:
    ...  net.ws_url, net.market, net.signer_key(0)
"""

from pathlib import Path
from typing import Self

from mevfast.devnet import traders as trading
from mevfast.devnet.child import Child
from mevfast.devnet.market import prepared
from mevfast.devnet.node import BLOCK_TIME_S, DEV_ACCOUNTS, Anvil
from mevfast.errors import DevnetError

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
"""Where `python -m mevfast...` works without an installation."""


class Devnet:
    """A running market on loopback; `with`, `async with`, or start() and stop().

    `block_time` and `history` as in `Anvil`; `seed` repeats what the traders decide. The traders
    are a process of their own and never touch account 0, which is the engine's.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        block_time: float | None = BLOCK_TIME_S,
        traders: bool = True,
        swaps_per_second: float = trading.SWAPS_PER_SECOND,
        port: int = 0,
        history: bool = True,
    ) -> None:
        """Prepares the state (the first time: fetches packages and deploys); starts nothing.

        Blocks while it prepares, ten seconds or more the first time. Main thread only.
        """
        if swaps_per_second <= 0:
            raise DevnetError(f"swaps per second: expected more than 0, was {swaps_per_second}")
        self.seed, self.swaps_per_second = seed, swaps_per_second
        self._with_traders = traders
        state, self._market_file, self.market = prepared()
        self.node = Anvil(port=port, block_time=block_time, load_state=state, history=history)
        self._traders: Child | None = None

    @property
    def ws_url(self) -> str:
        """Where the node answers over WebSocket."""
        return self.node.ws_url

    @property
    def http_url(self) -> str:
        """Where the node answers over HTTP."""
        return self.node.http_url

    @property
    def traders_running(self) -> bool:
        """Whether the traders' process is alive."""
        return self._traders is not None and self._traders.running

    @staticmethod
    def signer_address(index: int) -> str:
        """Checksummed address of a published test account, 0-9."""
        return DEV_ACCOUNTS[index].address

    @staticmethod
    def signer_key(index: int) -> bytearray:
        """Its published 32-byte key, in a buffer the caller may wipe."""
        return DEV_ACCOUNTS[index].key_bytes()

    def check(self) -> None:
        """DevnetError with its last words where the node or the traders ended by themselves."""
        self.node.check()
        if self._traders is not None:
            self._traders.check()

    def start_traders(self) -> None:
        """Starts the traders, from the first decision of the seed; nothing if they run."""
        if not self.traders_running:
            self.stop_traders()
            argv = trading.arguments(
                self.node.port, self._market_file, self.seed, self.swaps_per_second
            )
            self._traders = Child("traders", argv, cwd=_PACKAGE_PARENT)

    def stop_traders(self) -> None:
        """Stops the traders; what they sent last may still be mined."""
        if self._traders is not None:
            self._traders.close()
            self._traders = None

    def start(self) -> Self:
        """Starts the node, then the traders if wanted."""
        self.node.start()
        return self._started()

    def _started(self) -> Self:
        try:
            if self._with_traders:
                self.start_traders()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops everything within a second. May be repeated."""
        self.stop_traders()
        self.node.stop()

    def __enter__(self) -> Self:
        """Starts everything."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stops everything."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Starts everything, the event loop left free while the node gets ready."""
        await self.node.start_async()
        return self._started()

    async def __aexit__(self, *_: object) -> None:
        """Stops everything."""
        self.stop()
