"""Solidly pairs: Velodrome V2 and Aerodrome, and Camelot V2. Semantics: Pool, CamelotPair.

Sync carries the reserves. What else a swap depends on is the factory's: Velodrome's fee (a change
of the default, setFee, emits nothing: read it again) and pause, Camelot's share of stable fees.
"""

from typing import Literal

from mevfast.dex import uniswap_v2
from mevfast.dex.announced import Log, number, pair_of
from mevfast.dex.reads import Failed, Read, calldata, decoded, topic, value
from mevfast.errors import DataError
from mevfast.model import PoolRecord

KINDS = ("solidly", "camelot_v2")

CREATED = (
    topic("PoolCreated(address,address,bool,address,uint256)"),  # of Velodrome: stable is indexed
    topic("PairCreated(address,address,bool,address,uint256)"),  # of older forks: it is not
)
CAMELOT_CREATED = uniswap_v2.CREATED

EVENTS = (
    "0xcf2aa50876cdfbb541206f89af0ee78d44a2abf8d328e37fa4917f982149848a",  # Sync(uint256,uint256)
    # Swap(address,address,uint256,uint256,uint256,uint256)
    "0xb3e2773606abfd36b5bd91394b3a54d1398336c65005baf7bf7a05efeffaf75b",
    "0x112c256902bf554b6ed882d2936687aaeb4225e8cd5b51303c90ca6cf43a8602",  # Fees
)

FACTORY_EVENTS = (
    "0xae468ce586f9a87660fdffc1448cee942042c16ae2f02046b134b5224f31936b",  # SetCustomFee
    "0x0d76538efc408318a051137c2720a9e82902acdbd46b802d488b74ca3a09a116",  # SetPauseState
)

CAMELOT_EVENTS = (
    "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",  # Sync(uint112,uint112)
    # Swap(address,uint256,uint256,uint256,uint256,address), as in Uniswap V2
    "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",
    "0xa4877b8ecb5a00ba277e4bceeeb187a669e7113649774dfbea05c259ce27f17b",  # FeePercentUpdated
    "0xb6a86710bde53aa7fb1b3856279e2af5b476d53e2dd0902cf17a0911b5a43a8b",  # SetStableSwap
)

CAMELOT_FACTORY_EVENTS = (
    "0xd739f5afb7778b0c4f4e62b13ac0a94ccc1556dbcb8dc2d0b907daed378e1e23",  # OwnerFeeShareUpdated
    "0x941bed5eb8a4f7abb41f1a8547c6b5fded98a6fbe47dbd60aee080690de5f0d5",  # FeeToTransferred
)

_METADATA = ["uint256", "uint256", "uint256", "uint256", "bool", "address", "address"]
_NOBODY = "0x" + "00" * 20


def created(log: Log, kind: str) -> PoolRecord:
    """The pool that a factory's log announces. DataError for a stable one of an older fork: their
    invariant is rounded otherwise than Velodrome V2's."""
    if kind == "camelot_v2":
        return uniswap_v2.created(log, kind)
    if log.topic0 == CREATED[0]:
        return pair_of(log, kind, pool=log.word(0), stable=number(log.topic(3)) == 1)
    if number(log.word(0)):
        raise DataError("a stable pair of a fork older than Velodrome V2, which rounds otherwise")
    return pair_of(log, kind, pool=log.word(1), stable=False)


def read(pool: str, y_check: Literal["k", "f"] = "k", fee_pips: int | None = None) -> Read:
    """The state of a Velodrome V2 or Aerodrome pool; DataError while its factory is paused.

    `fee_pips` is the fee where the factory does not answer getFee(address,bool).

    `y_check`, which no getter tells: "f" for pools built from Velodrome's sources since October
    2024, whose _get_y asks _f, not _k, whether y + 1 overshoots.
    """
    metadata, answer = yield [(pool, calldata("metadata()")), (pool, calldata("factory()"))]
    decimals0, decimals1, reserve0, reserve1, stable, _, _ = decoded(
        _METADATA, metadata, f"metadata of {pool}"
    )
    factory = value("address", answer, f"factory of {pool}")
    fee, paused = yield [
        (factory, calldata("getFee(address,bool)", pool, stable)),
        (factory, calldata("isPaused()")),
    ]
    if not isinstance(paused, Failed) and value("bool", paused, f"isPaused of {factory}"):
        raise DataError(f"{pool}: expected a factory that lets swap, was paused: {factory}")
    return {
        "stable": stable,
        "reserve0": reserve0,
        "reserve1": reserve1,
        "decimals0": decimals0,
        "decimals1": decimals1,
        "fee_bps": _fee_bps(fee, fee_pips, f"getFee of {factory}"),
        "y_check": y_check,
    }


def _fee_bps(answer: bytes, fee_pips: int | None, what: str) -> int:
    if not isinstance(answer, Failed) or fee_pips is None:
        return int(value("uint256", answer, what))
    if fee_pips % 100:
        raise DataError(f"fee_pips: expected whole hundredths of a percent, was {fee_pips}")
    return fee_pips // 100


def read_camelot(pool: str) -> Read:
    """The state of a Camelot V2 pair. Where nobody receives the owner's share, it stays inside."""
    reserves, stable, unit0, unit1, answer = yield [
        (pool, calldata("getReserves()")),
        (pool, calldata("stableSwap()")),
        (pool, calldata("precisionMultiplier0()")),
        (pool, calldata("precisionMultiplier1()")),
        (pool, calldata("factory()")),
    ]
    factory = value("address", answer, f"factory of {pool}")
    [fee_info] = yield [(factory, calldata("feeInfo()"))]
    share, fee_to = decoded(["uint256", "address"], fee_info, f"feeInfo of {factory}")
    reserve0, reserve1, *fee_percent = decoded(
        ["uint112", "uint112", "uint16", "uint16"], reserves, f"getReserves of {pool}"
    )
    return {
        "stable": value("bool", stable, f"stableSwap of {pool}"),
        "reserve0": reserve0,
        "reserve1": reserve1,
        "decimals0": value("uint256", unit0, f"precisionMultiplier0 of {pool}"),
        "decimals1": value("uint256", unit1, f"precisionMultiplier1 of {pool}"),
        "fee_percent": fee_percent,
        "owner_fee_share": 0 if fee_to == _NOBODY else share,
    }
