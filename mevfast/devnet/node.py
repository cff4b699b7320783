"""The node of the embedded chain: one anvil process on loopback.

Owns the process, its port and its published test accounts. Knows nothing of contracts.
"""

import asyncio
import http.client
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mevfast.devnet import npm
from mevfast.devnet.child import Child
from mevfast.devnet.http_rpc import HttpRpc
from mevfast.errors import DevnetError

CHAIN_ID = 42161
HOST = "127.0.0.1"
BLOCK_TIME_S = 0.25
BLOCK_GAS_LIMIT = 1_000_000_000
"""So large that no devnet block is ever full."""
BASE_FEE_WEI = 10_000_000
"""0.01 gwei, the floor of Arbitrum One's base fee; anvil lets it fall while blocks are empty."""
STATES_KEPT = 512
"""Blocks whose state stays readable, all in memory, about 1 MB each. anvil raises this to 1,500
by itself where blocks come faster than every two seconds: 1.5 GB after six minutes."""

_TCP_LISTEN = "0A"
_READY_POLL_S = 0.01


@dataclass(frozen=True)
class DevAccount:
    """A test account whose key everybody knows: published with anvil. Never fund it elsewhere."""

    address: str
    key: str

    def key_bytes(self) -> bytearray:
        """The 32-byte private key, in a buffer that the caller may wipe."""
        return bytearray.fromhex(self.key)


# Keys 0..9 of the mnemonic "test test test test test test test test test test test junk", path
# m/44'/60'/0'/0/i: printed by every anvil and hardhat at start-up. PUBLISHED TEST KEYS.
DEV_ACCOUNTS: tuple[DevAccount, ...] = (
    DevAccount(
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    ),
    DevAccount(
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    ),
    DevAccount(
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    ),
    DevAccount(
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    ),
    DevAccount(
        "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
        "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    ),
    DevAccount(
        "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
        "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    ),
    DevAccount(
        "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
        "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    ),
    DevAccount(
        "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
        "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    ),
    DevAccount(
        "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
        "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    ),
    DevAccount(
        "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
        "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    ),
)


def _listening_port(pid: int) -> int | None:
    """The TCP port a process listens on, from /proc; None while there is none."""
    inodes = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except OSError:  # it ended, or closed a descriptor under our eyes: the next poll tells
        return None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _TCP_LISTEN and fields[9] in inodes:
            return int(fields[1].rpartition(":")[2], 16)
    return None


NICENESS = 10
"""Of the node beside whoever uses it."""


class Anvil:
    """An anvil process: `with Anvil() as node` or `async with`, or start() and stop().

    `block_time` in seconds; 0 mines each transaction at once, None only on `evm_mine`.
    Port 0 lets the kernel pick a free one, which is read back from /proc, so that no two
    nodes can race for it. `load_state` is a file in the form of `anvil_dumpState`, unzipped.
    Without `history` only the newest block's state is readable and `anvil_reorg` fails, but
    memory stays flat for hours.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        block_time: float | None = BLOCK_TIME_S,
        load_state: Path | None = None,
        chain_id: int = CHAIN_ID,
        history: bool = True,
        extra_args: Sequence[str] = (),
    ) -> None:
        """Records what to start; nothing runs before start()."""
        self.chain_id = chain_id
        self.dev_accounts = DEV_ACCOUNTS
        self._arguments = [
            "--host", HOST, "--port", str(port), "--chain-id", str(chain_id), "--quiet",
            "--hardfork", "prague", "--order", "fifo", "--no-request-size-limit",
            "--gas-limit", str(BLOCK_GAS_LIMIT), "--block-base-fee-per-gas", str(BASE_FEE_WEI),
        ]  # fmt: skip
        self._arguments += ["--prune-history", *([str(STATES_KEPT)] if history else [])]
        if block_time is None:
            self._arguments.append("--no-mining")
        elif block_time > 0:
            self._arguments += ["--block-time", str(block_time)]
        if load_state is not None:
            self._arguments += ["--load-state", str(load_state)]
        self._arguments += extra_args
        self._child: Child | None = None
        self._client: HttpRpc | None = None

    @property
    def pid(self) -> int:
        """Process id of the running node."""
        if self._child is None:
            raise DevnetError("anvil is not running: expected start() first")
        return self._child.process.pid

    @property
    def port(self) -> int:
        """The TCP port it listens on, for HTTP and WebSocket alike."""
        return self.client().port

    @property
    def http_url(self) -> str:
        """Where it answers JSON-RPC over HTTP."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it answers JSON-RPC over WebSocket."""
        return f"ws://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the node process is alive."""
        return self._child is not None and self._child.running

    def check(self) -> None:
        """DevnetError with its last words where the node ended by itself, or never started."""
        if self._child is None:
            raise DevnetError("anvil is not running: expected start() first")
        self._child.check()

    def _spawn(self) -> None:
        if self._child is not None:
            raise DevnetError("anvil runs already: expected stop() before another start()")
        # A real node has a machine or cores of its own; this one must not take the engine's.
        self._child = Child("anvil", [str(npm.anvil_binary()), *self._arguments], niceness=NICENESS)

    def _ready(self) -> bool:
        """Whether it answers with the expected chain id; DevnetError when it ended or differs."""
        self.check()
        if self._client is None:
            port = _listening_port(self.pid)
            if port is None:
                return False
            self._client = HttpRpc(HOST, port)
        try:
            answer = self._client.call("eth_chainId", timeout_s=1.0)
        except (OSError, http.client.HTTPException):
            return False
        if int(answer, 16) != self.chain_id:
            raise DevnetError(f"anvil: expected chain id {self.chain_id}, was {int(answer, 16)}")
        return True

    def _too_late(self, timeout_s: float) -> DevnetError:
        words = self._child.last_words() if self._child else ""
        return DevnetError(f"anvil is not ready after {timeout_s} s: {words or 'it said nothing'}")

    def start(self, timeout_s: float = 20.0) -> Self:
        """Starts the node and returns once it answers; DevnetError with its last words if not."""
        self._spawn()
        try:
            deadline = time.monotonic() + timeout_s
            while not self._ready():
                if time.monotonic() > deadline:
                    raise self._too_late(timeout_s)
                time.sleep(_READY_POLL_S)
        except BaseException:
            self.stop()
            raise
        return self

    async def start_async(self, timeout_s: float = 20.0) -> Self:
        """Like start(), but leaves the event loop free between polls."""
        self._spawn()
        try:
            deadline = time.monotonic() + timeout_s
            while not self._ready():
                if time.monotonic() > deadline:
                    raise self._too_late(timeout_s)
                await asyncio.sleep(_READY_POLL_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the node within a second. May be repeated."""
        if self._child is not None:
            self._child.close()
            self._child = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def rpc(self, method: str, *params: Any, timeout_s: float = 30.0) -> Any:
        """One JSON-RPC request over HTTP, for set-up and tests; blocks. RpcError if refused."""
        return self.client().call(method, *params, timeout_s=timeout_s)

    def client(self) -> HttpRpc:
        """The blocking client of the running node."""
        if self._client is None:
            raise DevnetError("anvil is not running: expected start() first")
        return self._client

    def __enter__(self) -> Self:
        """Starts the node."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Ends the node."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Starts the node without blocking the event loop."""
        return await self.start_async()

    async def __aexit__(self, *_: object) -> None:
        """Ends the node."""
        self.stop()
