"""Frozen records that the cold half passes around. Addresses are 20 bytes, amounts raw units."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool as its factory announced it; what never changes."""

    address: bytes
    kind: str
    token0: bytes
    token1: bytes
    fee_pips: int
    factory: str
    tick_spacing: int = 0  # V3 only


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """A pool's state as read from the chain, in the fields of `Table.put`."""

    pool: PoolRecord
    state: dict[str, Any]


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
