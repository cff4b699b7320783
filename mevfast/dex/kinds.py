"""Which module finds, reads and proves pools of which kind. The one table of kinds in `dex`.

A kind of venue (config.Factory.kind) announces pools of one or more kinds of pools (_pool.KINDS).
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from mevfast.dex import (
    algebra,
    balancer,
    curve,
    curve_crypto,
    pancake_v3,
    solidly,
    uniswap_v2,
    uniswap_v3,
    uniswap_v4,
)
from mevfast.dex.announced import Log
from mevfast.dex.reads import Answer, Question, Read
from mevfast.errors import DataError
from mevfast.model import PoolRecord

Probe = Callable[[PoolRecord], Generator[list[Question], list[Answer], PoolRecord]]


@dataclass(frozen=True, slots=True)
class Venue:
    """How venues of a kind announce pools.

    `created(log, kind)` gives the record that a log announces, its venue still "" and without what
    the config says of it; DataError where such a pool cannot be traded. Where it is None the logs
    only say that the venue's list has grown. `probe` finds out what the log does not tell.
    """

    topics: tuple[str, ...]
    created: Callable[[Log, str], PoolRecord] | None
    probe: Probe | None = None
    takes_fee: bool = False  # the config's fee_pips is a fact of its pools


VENUES: Mapping[str, Venue] = {
    "uniswap_v2": Venue(uniswap_v2.CREATED, uniswap_v2.created, takes_fee=True),
    "camelot_v2": Venue(solidly.CAMELOT_CREATED, solidly.created),
    "solidly": Venue(solidly.CREATED, solidly.created, takes_fee=True),
    "uniswap_v3": Venue(uniswap_v3.CREATED, uniswap_v3.created),
    "pancake_v3": Venue(pancake_v3.CREATED, pancake_v3.created),
    "algebra_v1": Venue(algebra.CREATED[:1], algebra.created),
    "algebra_integral": Venue(algebra.CREATED, algebra.created),
    "uniswap_v4": Venue(uniswap_v4.CREATED, uniswap_v4.created),
    "balancer_v2": Venue(balancer.CREATED, balancer.created, balancer.probe),
    "curve": Venue(curve.CREATED, None, curve.probe),
}

CREATION_TOPICS = frozenset(topic for venue in VENUES.values() for topic in venue.topics)

TOPICS = list(
    dict.fromkeys(
        [
            *uniswap_v2.EVENTS,
            *uniswap_v3.EVENTS,
            *pancake_v3.EVENTS,
            *algebra.EVENTS,
            *uniswap_v4.EVENTS,
            *solidly.EVENTS,
            *solidly.FACTORY_EVENTS,
            *solidly.CAMELOT_EVENTS,
            *solidly.CAMELOT_FACTORY_EVENTS,
            *curve.EVENTS,
            *curve_crypto.EVENTS,
            *balancer.VAULT_EVENTS,
            *balancer.POOL_EVENTS,
            *sorted(CREATION_TOPICS),
        ]
    )
)
"""topic0 of every event to subscribe to: those that carry or move state, and those that announce
pools."""

INCOMPLETE = frozenset(
    {
        *algebra.KINDS,  # the fee
        "solidly",  # the factory's default fee
        *curve.KINDS,  # rates, ramps of A
        *curve_crypto.KINDS,  # the oracle's price scale
        "balancer_composable_stable",  # rates, ramps of A
    }
)
"""Kinds whose events do not say everything: their pools are read again now and then."""


def read(pool: PoolRecord, timestamp: int) -> Read:
    """The read of a pool's state, at a block of that timestamp. DataError where there is none."""
    reader = _READERS.get(pool.kind)
    if reader is None:
        raise DataError(f"kind: expected one of {', '.join(_READERS)}, was {pool.kind!r:.60}")
    try:
        return reader(pool, timestamp)
    except KeyError as error:
        raise DataError(f"facts: expected {error} of a {pool.kind} pool, was none") from None


def _at(pool: PoolRecord) -> str:
    return "0x" + pool.address.hex()


_READERS: Mapping[str, Callable[[PoolRecord, int], Read]] = {
    "uniswap_v2": lambda p, _: uniswap_v2.read(_at(p), p.tokens[0], p.facts["fee_pips"]),
    "camelot_v2": lambda p, _: solidly.read_camelot(_at(p)),
    "solidly": lambda p, _: solidly.read(_at(p), fee_pips=p.facts.get("fee_pips")),
    "uniswap_v3": lambda p, _: uniswap_v3.read(_at(p), p.facts.get("tick_spacing")),
    "pancake_v3": lambda p, _: pancake_v3.read(_at(p), p.facts.get("tick_spacing")),
    "algebra_v1": lambda p, _: algebra.read_v1(_at(p)),
    "algebra_integral": lambda p, _: algebra.read_integral(_at(p)),
    "uniswap_v4": lambda p, _: uniswap_v4.read(
        p.facts["singleton"], p.id, p.facts["tick_spacing"], p.facts["hooks"], p.facts["fee_pips"]
    ),
    "balancer_weighted": lambda p, _: balancer.read_weighted(
        p.facts["singleton"], _at(p), p.facts["oldest"]
    ),
    "balancer_composable_stable": lambda p, _: balancer.read_stable(
        p.facts["singleton"],
        _at(p),
        p.facts["own_token"],
        p.facts["round_up"],
        p.facts["oldest"],
    ),
    "curve_stable": lambda p, _: curve.read_legacy(_at(p), p.facts["shape"], p.facts["decimals"]),
    "curve_stable_ng": lambda p, _: curve.read_ng(_at(p)),
    "curve_tricrypto_ng": lambda p, now: curve_crypto.read(_at(p), p.kind, now),
    "curve_twocrypto_ng": lambda p, now: curve_crypto.read(_at(p), p.kind, now),
}
