"""Frozen records that the cold half passes around. Addresses are 20 bytes, amounts raw units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool as its venue announced it; what never changes.

    `facts` holds what a loader needs to read the pool and no event changes: `fee_pips`,
    `tick_spacing`, `hooks`, `singleton`, ..., by kind (see `mevfast.dex`): integers, texts, true or
    false, and lists of them; addresses as 0x and 40 hex digits.
    """

    id: bytes  # its address, 20 bytes; 32 where it lives in a singleton (Uniswap V4, Balancer)
    kind: str  # as in mevfast-vectors/1
    tokens: tuple[bytes, ...]  # 20 bytes each, in the pool's own order
    venue: str  # the name of the config's or registry's entry that announced it
    block: int = 0  # that it was announced in
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def address(self) -> bytes:
        """The pool's contract: the id, or the first 20 bytes of a Balancer id. None's in V4."""
        return self.id[:20]

    @property
    def emitter(self) -> bytes:
        """The singleton whose logs carry this pool's events under its id; empty elsewhere."""
        return bytes.fromhex(self.facts.get("singleton", "")[2:])

    @property
    def name(self) -> str:
        """The id as messages show it."""
        return "0x" + self.id.hex()


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """A pool's state as read from the chain, in the fields of mevfast-vectors/1."""

    pool: PoolRecord
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What reading pools gave: states, and by id why a pool has none that can be traded on."""

    loads: list[PoolLoad]
    failed: dict[bytes, str]


@dataclass(slots=True)
class Trade:
    """One transaction of ours from the decision to its receipt."""

    tx: str
    nonce: int
    decided_block: int
    token: bytes  # what profit is counted in
    funding: str
    amount_in: int
    predicted: int  # token units, after the lender's fee
    predicted_wei: int  # the same in the base token
    hops: list[dict[str, Any]]
    latency_ns: int
    outcome: str = "sent"  # exact, explained, unexplained, reverted, rejected, expired
    block: int | None = None
    explained: int | None = None  # recomputed on the state right before it
    realised: int | None = None  # from the token transfers of the receipt
    realised_wei: int | None = None
    gas_used: int = 0
    gas_wei: int = 0
    left_over: dict[str, int] = field(default_factory=dict)  # other tokens that stayed behind
