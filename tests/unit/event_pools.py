"""A pool of every kind in a table of its own, and how its events are spelled."""

from pathlib import Path
from typing import Any

import orjson

from mevfast._cache import Table
from mevfast._pool import Pool
from tests.frames import address

ROOT = Path(__file__).parents[2]
SINGLETON, STRANGER = address(900), address(901)
BLOCK = 100
L = 10**18
ONE = 10**18


def _examples() -> dict[str, dict[str, Any]]:
    """A pool of every kind, its ticks with their gross liquidity."""
    path = ROOT / "docs" / "market.example.json"
    found = {}
    for pool in orjson.loads(path.read_bytes())["pools"]:
        fields = Pool(pool["kind"], pool).fields()
        if "ticks" in fields:
            fields["ticks"] = [[tick, abs(net), net] for tick, net in fields["ticks"]]
        found[pool["kind"]] = fields
    return found


EXAMPLES = _examples()
KINDS = sorted(EXAMPLES)
NAMED = ("uniswap_v4", "balancer_weighted", "balancer_composable_stable")
"""Whose pools have an id of 32 bytes."""


def id_of(kind: str) -> bytes:
    first = address(500 + KINDS.index(kind))
    return first + address(600 + KINDS.index(kind))[:12] if kind in NAMED else first


def tokens_of(kind: str) -> list[bytes]:
    return [address(700 + i) for i in range(Pool(kind, EXAMPLES[kind]).n_tokens)]


class Held:
    """One pool in a table, true after BLOCK."""

    def __init__(self, kind: str, drifts: bool = False, **changes: Any) -> None:
        self.kind, self.id = kind, id_of(kind)
        self.table = Table(4, 1 << 10)
        singleton = SINGLETON if kind in (*NAMED, "solidly") else None
        self.before = Pool(kind, EXAMPLES[kind] | changes).fields()
        self.slot = self.table.put(
            self.id, kind, tokens_of(kind), self.before | {"drifts": drifts}, BLOCK,
            singleton=singleton,
        )  # fmt: skip

    def apply(self, frame: bytes) -> str:
        return str(self.table.apply(frame)[0])

    def fields(self) -> dict[str, Any]:
        return Pool(self.kind, self.table.read(self.slot)).fields()

    @property
    def stale(self) -> bool:
        return bool(self.table.read(self.slot)["stale"])


V4_SWAP = "Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)"
V4_MODIFY = "ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)"
V4_INITIALIZE = "Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)"
V4_PROTOCOL = "ProtocolFeeUpdated(bytes32,uint24)"
VAULT_SWAP = "Swap(bytes32,address,address,uint256,uint256)"
CHANGED = "PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])"
MANAGED = "PoolBalanceManaged(bytes32,address,address,int256,int256)"
EXCHANGE = "TokenExchange(address,int128,uint256,int128,uint256)"
V3_SWAP = "Swap(address,address,int256,int256,uint160,uint128,int24)"
PANCAKE_SWAP = "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)"
ALGEBRA_SWAP = "Swap(address,address,int256,int256,uint160,uint128,int24,uint24,uint24)"
ALGEBRA_BURN = "Burn(address,int24,int24,uint128,uint256,uint256,uint24)"
MINT = "Mint(address,address,int24,int24,uint128,uint256,uint256)"

V4 = int.from_bytes(id_of("uniswap_v4"), "big")
WEIGHTED = int.from_bytes(id_of("balancer_weighted"), "big")
STABLE = int.from_bytes(id_of("balancer_composable_stable"), "big")
T = [int.from_bytes(token, "big") for token in tokens_of("curve_tricrypto_ng")]
