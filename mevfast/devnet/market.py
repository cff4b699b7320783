"""What stands on the embedded chain: the record of it, and the cached state it starts from.

Owns the frozen `Market` and the folder `.cache/devnet/HASH` with `state.json` (anvil's own
dump) and `market.json`. The hash covers everything the state is made of, so that a changed
package or module rebuilds it.
"""

import gzip
import hashlib
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mevfast.devnet import npm
from mevfast.devnet.node import Anvil
from mevfast.errors import DevnetError

_SOURCES = ("contracts.py", "deploy.py", "http_rpc.py", "market.py", "node.py", "npm.py")
_STATE, _MARKET = "state.json", "market.json"

ENGINE_ACCOUNT = 0
"""Index of the account that only the engine uses: it holds ETH and no token."""
TRADER_ACCOUNTS = (1, 2, 3, 4)
DEPLOYER_ACCOUNT = 9


@dataclass(frozen=True)
class Token:
    """An ERC-20 token; `price_usd_e8` is its price at deployment, in 1e-8 dollars."""

    address: str
    symbol: str
    decimals: int
    price_usd_e8: int


@dataclass(frozen=True)
class Factory:
    """A pool factory. `kind` as in the vector files; `router` is what traders swap through.

    `fee_pips` is the fee of every pool in 1e-6, None where each pool has its own.
    """

    name: str
    kind: str
    address: str
    router: str
    fee_pips: int | None


@dataclass(frozen=True)
class Pool:
    """A pool: token0 < token1 as on the chain; `tick_spacing` is 0 for Uniswap V2 kinds."""

    address: str
    kind: str
    factory: str
    token0: str
    token1: str
    fee_pips: int
    tick_spacing: int


@dataclass(frozen=True)
class Market:
    """Everything deployed, as of `block`: later blocks change prices, never this record."""

    chain_id: int
    block: int
    weth: str
    tokens: tuple[Token, ...]
    factories: tuple[Factory, ...]
    position_manager: str
    quoter: str
    balancer_vault: str
    balancer_pool_id: str
    aave_pool: str
    multicall: str
    aave_assets: tuple[str, ...]
    pools: tuple[Pool, ...]

    def token(self, address: str) -> Token:
        """The token at a checksummed address."""
        return next(token for token in self.tokens if token.address == address)

    def factory(self, address: str) -> Factory:
        """The factory at a checksummed address."""
        return next(factory for factory in self.factories if factory.address == address)

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> "Market":
        """The record read back; DevnetError where the text is not one."""
        try:
            raw: dict[str, Any] = json.loads(text)
            return Market(
                **{
                    **raw,
                    "tokens": tuple(Token(**token) for token in raw["tokens"]),
                    "factories": tuple(Factory(**factory) for factory in raw["factories"]),
                    "aave_assets": tuple(raw["aave_assets"]),
                    "pools": tuple(Pool(**pool) for pool in raw["pools"]),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DevnetError(f"market.json: expected a devnet market: {error!r}") from error


def state_hash() -> str:
    """Identifies the state these sources and pinned packages give."""
    digest = hashlib.sha256(repr(sorted(npm.PINS.items())).encode())
    for name in _SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


def state_folder() -> Path:
    """Folder of the deployed state, built first where missing (about ten seconds).

    Safe beside other processes: each builds aside and renames, the first rename stays.
    """
    root = npm.cache_root() / "devnet"
    folder = root / state_hash()
    if folder.is_dir():
        return folder
    print("mevfast: deploying the embedded market, once", file=sys.stderr, flush=True)
    from mevfast.devnet.deploy import deploy_market

    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=root) as aside:
        built = Path(aside) / "built"
        built.mkdir()
        with Anvil(block_time=None) as node:
            market = deploy_market(node)
            dump = bytes.fromhex(node.rpc("anvil_dumpState", timeout_s=120.0)[2:])
        (built / _STATE).write_bytes(gzip.decompress(dump))
        (built / _MARKET).write_text(market.to_json())
        try:
            os.rename(built, folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    return folder


def prepared() -> tuple[Path, Path, Market]:
    """State file for `Anvil(load_state=...)`, market file, and the market they hold."""
    folder = state_folder()
    market_file = folder / _MARKET
    return folder / _STATE, market_file, Market.from_json(market_file.read_text())
