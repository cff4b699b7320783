"""Balancer V2 pools, weighted and stable: events and state. Semantics: Vault, WeightedPool,
ComposableStablePool.

Balances follow from the Vault's events alone. What a stable pool multiplies them with does not:
a rate that has expired is renewed in the next swap, before it is quoted, and `amp` moves with time
while it is ramped; such a pool must be read again in each block that is to be traded in.
"""

from collections.abc import Generator
from dataclasses import replace

from eth_utils.conversions import to_hex

from mevfast.dex.announced import Log
from mevfast.dex.reads import Answer, Failed, Question, Read, answered, calldata, decoded, value
from mevfast.errors import DataError
from mevfast.model import PoolRecord

KINDS = ("balancer_weighted", "balancer_composable_stable")

VAULT_EVENTS = (  # the pool's id is the first topic
    # Swap(bytes32,address,address,uint256,uint256)
    "0x2170c741c41531aec20e7c107c24eecfdd15e69c9bb0a8dd37b1840b9e0b207b",
    # PoolBalanceChanged(bytes32,address,address[],int256[],uint256[]): a join or an exit
    "0xe5ce249087ce04f05a957192435400fd97868dba0e6a4b4c049abf8af80dae78",
    # PoolBalanceManaged(bytes32,address,address,int256,int256): by an asset manager
    "0x6edcaf6241105b4c94c2efdbf3a6b12458eb3d07be3a0e81d24b13c44045fe7a",
)

POOL_EVENTS = (
    # SwapFeePercentageChanged(uint256)
    "0xa9ba3ffe0b6c366b81232caab38605a0699ad5398d6cce76f91ee809e322dafc",
    # AmpUpdateStarted(uint256,uint256,uint256,uint256)
    "0x1835882ee7a34ac194f717a35e09bb1d24c82a3b9d854ab6c9749525b714cdf2",
    "0xa0d01593e47e69d07e0ccd87bece09411e07dd1ed40ca8f2e7af2976542a0233",  # AmpUpdateStopped
    # TokenRateCacheUpdated(uint256,uint256); PriceRateCacheUpdated(address,uint256) in meta-stable
    "0xb77a83204ca282e08dc3a65b0a1ca32ea4e6875c38ef0bf5bf75e52a67354fac",
    "0xc1a224b14823b63c7711127f125fbf592434682f38881ebb61408747a303affc",
)

REGISTERED = (  # by the Vault
    # PoolRegistered(bytes32,address,uint8)
    "0x3c13bc30b8e878c53fd2a36b679409c073afd75950be43d8858768e956fbc20e",
    # TokensRegistered(bytes32,address[],address[])
    "0xf5847d3f2197b16cdcd2098ec95d0905cd1abdaf415f07bb7cef2bba8ac5dec4",
)


CREATED = REGISTERED[:1]

_TELLING = (
    "getNormalizedWeights",
    "getAmplificationParameter",
    "getBptIndex",
    "getScalingFactors",
    "inRecoveryMode",  # pools of June 2022 and later
    "getGradualWeightUpdateParams",  # pools whose weights move with time
    "getRateProviders",
)
"""Getters that tell forms of pools from each other."""


def created(log: Log, kind: str) -> PoolRecord:
    """The pool that a PoolRegistered log announces; `probe` finds out its kind and tokens."""
    facts = {"singleton": "0x" + log.address.hex()}
    return PoolRecord(log.topic(1), "", (), "", log.block, facts)


def probe(pool: PoolRecord) -> Generator[list[Question], list[Answer], PoolRecord]:
    """What a pool is, by the getters it has: its kind, tokens and facts.

    DataError for a form that no kernel knows.
    """
    at, vault = "0x" + pool.address.hex(), pool.facts["singleton"]
    *answers, held = yield [
        *((at, calldata(f"{name}()")) for name in _TELLING),
        (vault, calldata("getPoolTokens(bytes32)", pool.id)),
    ]
    has = {name for name, found in zip(_TELLING, answers, strict=True) if answered(found)}
    tokens, _, _ = _pool_tokens(held, pool.id)
    if "getGradualWeightUpdateParams" in has:
        raise DataError("its weights move with time")
    oldest = "getScalingFactors" not in has
    if "getNormalizedWeights" in has:
        kind, facts = "balancer_weighted", {"oldest": oldest}
    elif "getAmplificationParameter" in has:
        if oldest and "getRateProviders" in has:
            raise DataError("a stable pool of tokens with rates that does not tell its factors")
        kind = "balancer_composable_stable"
        facts = {
            "oldest": oldest,
            "own_token": "getBptIndex" in has,
            "round_up": "inRecoveryMode" not in has,
        }
    else:
        raise DataError("neither a weighted nor a stable pool")
    return replace(
        pool,
        kind=kind,
        tokens=tuple(bytes.fromhex(token[2:]) for token in tokens),
        facts={**pool.facts, **facts},
    )


def _read_decimals(tokens: tuple[str, ...]) -> Read:
    """Scaling factors of pools too old to tell them."""
    answers = yield [(token, calldata("decimals()")) for token in tokens]
    return {
        "scaling_factors": [
            10 ** (36 - int(value("uint8", answer, f"decimals of {token}")))
            for token, answer in zip(tokens, answers, strict=True)
        ]
    }


def read_weighted(vault: str, pool: str, oldest: bool = False) -> Read:
    """The state of a weighted pool; `oldest` for those of the factories of 2021."""
    answer, fee, weights = yield [
        (pool, calldata("getPoolId()")),
        (pool, calldata("getSwapFeePercentage()")),
        (pool, calldata("getNormalizedWeights()")),
    ]
    pool_id = value("bytes32", answer, f"getPoolId of {pool}")
    calls: list[Question] = [(vault, calldata("getPoolTokens(bytes32)", pool_id))]
    if not oldest:
        calls.append((pool, calldata("getScalingFactors()")))
    held, *factors = yield calls
    tokens, balances, _ = _pool_tokens(held, pool_id)
    if oldest:
        scaling = yield from _read_decimals(tokens)
    else:
        scaling = {"scaling_factors": _list(factors[0], f"getScalingFactors of {pool}")}
    return {
        "balances": list(balances),
        "weights": _list(weights, f"getNormalizedWeights of {pool}"),
        "swap_fee": value("uint256", fee, f"getSwapFeePercentage of {pool}"),
        "pow_shortcuts": not oldest,
        **scaling,
    }


def read_stable(
    vault: str, pool: str, own_token: bool = True, round_up: bool = False, oldest: bool = False
) -> Read:
    """The state of a stable pool, its rates and `amp` as of now; `drifts` where they move.

    `own_token` is false where the pool's token is none of its tokens (stable, meta-stable);
    `round_up` is true for the pools of before June 2022; `oldest` for those of them that do not
    tell their scaling factors.
    """
    answer, fee, amp, providers, *rest = yield [
        (pool, calldata("getPoolId()")),
        (pool, calldata("getSwapFeePercentage()")),
        (pool, calldata("getAmplificationParameter()")),
        (pool, calldata("getRateProviders()")),
        *([(pool, calldata("getBptIndex()"))] if own_token else []),
        *([] if oldest else [(pool, calldata("getScalingFactors()"))]),
    ]
    pool_id = value("bytes32", answer, f"getPoolId of {pool}")
    [held] = yield [(vault, calldata("getPoolTokens(bytes32)", pool_id))]
    tokens, balances, _ = _pool_tokens(held, pool_id)
    if oldest:
        scaling = yield from _read_decimals(tokens)
    else:
        scaling = {"scaling_factors": _list(rest[-1], f"getScalingFactors of {pool}")}
    what = f"getAmplificationParameter of {pool}"
    amp_now, ramping, precision = decoded(["uint256", "bool", "uint256"], amp, what)
    fields = {
        "balances": list(balances),
        "swap_fee": value("uint256", fee, f"getSwapFeePercentage of {pool}"),
        "amp": amp_now,
        "amp_precision": precision,
        "invariant_round_up": round_up,
        "drifts": ramping or _has_rates(providers, f"getRateProviders of {pool}"),
        **scaling,
    }
    if own_token:
        fields["bpt_index"] = value("uint256", rest[0], f"getBptIndex of {pool}")
    return fields


def _has_rates(answer: bytes, what: str) -> bool:
    """Whether any token has a rate; the oldest pools know of none."""
    if isinstance(answer, Failed):
        return False
    return any(int(provider, 16) for provider in value("address[]", answer, what))


def _pool_tokens(answer: bytes, pool_id: bytes) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Tokens, balances with what asset managers hold of them, last block of change."""
    what = f"getPoolTokens of {to_hex(pool_id)}"
    tokens, balances, block = decoded(["address[]", "uint256[]", "uint256"], answer, what)
    return tokens, balances, block


def _list(answer: bytes, what: str) -> list[int]:
    return list(value("uint256[]", answer, what))
