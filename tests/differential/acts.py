"""What else than swaps happens to pools: positions, joins, fees, settings. And who pools are."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.differential import draws
from tests.differential.algebra import AlgebraPool, IntegralPool, LimitOrderPool, V1Pool
from tests.differential.balancer import (
    DAY,
    MAX_AMP,
    SWAP,
    ComposableStable,
    Weighted,
)
from tests.differential.balancer import (
    MAX_FEE as MAX_SWAP_FEE,
)
from tests.differential.balancer import (
    MIN_FEE as MIN_SWAP_FEE,
)
from tests.differential.campaign import Market
from tests.differential.concentrated import (
    CallbackMarket,
    ConcentratedMarket,
    random_range,
    random_spacing,
)
from tests.differential.evm import ME, START, Reverted, arguments, number, words
from tests.differential.pancake_v3 import PancakePool
from tests.differential.solidly import MAX_FEE, ZERO_FEE
from tests.differential.solidly import Pair as SolidlyPair
from tests.differential.uniswap_v2 import Pair as V2Pair
from tests.differential.uniswap_v3 import V3Pool
from tests.differential.uniswap_v4 import (
    DYNAMIC_FEE,
    IDLE_HOOK,
    KEY,
    V4Pool,
    protocol_fee,
)

Act = Callable[[Any, Any, Random], object]

POOL_LIMIT = (1 << 128) - 1


@dataclass(frozen=True)
class Identity:
    """What a table needs to know of a pool besides its state."""

    id: bytes
    tokens: list[bytes]
    singleton: bytes | None = None


def _bytes(address: str | int) -> bytes:
    return (number(address) if isinstance(address, str) else address).to_bytes(20, "big")


def identity(family: Any, market: Market) -> Identity:
    """The id, tokens and singleton of a market's pool."""
    if isinstance(market, V4Pool):
        tokens = [_bytes(token) for token in market.key[:2]]
        return Identity(keccak(words(*market.key)), tokens, _bytes(market.manager))
    if isinstance(market, Weighted | ComposableStable):
        tokens = [_bytes(token) for token in market.tokens]
        return Identity(market.pool_id.to_bytes(32, "big"), tokens, _bytes(market.vault))
    tokens = [_bytes(token) for token in (market.tokens if hasattr(market, "tokens")
                                          else family.tokens)]  # fmt: skip
    singleton = _bytes(market.factory) if isinstance(market, SolidlyPair) else None
    return Identity(_bytes(market.address), tokens, singleton)  # type: ignore[attr-defined]


# ---- pairs ----


def _add_pair(family: Any, pair: Any, rng: Random) -> None:
    for token in pair.tokens:
        held = family.evm.read(token, "balanceOf(address)", number(pair.address))[0]
        more = draws.share(rng, max(held, 1))
        family.evm.call(token, "mint(address,uint256)", number(pair.address), more)
    family.evm.call(pair.address, "mint(address)", number(ME))


def _remove_pair(family: Any, pair: Any, rng: Random) -> None:
    held = family.evm.read(pair.address, "balanceOf(address)", number(ME))[0]
    amount = min(held, draws.share(rng, max(held, 1)))
    family.evm.call(
        pair.address, "transfer(address,uint256)", number(pair.address), amount
    )  # fmt: skip
    family.evm.call(pair.address, "burn(address)", number(ME))


def _donate_pair(family: Any, pair: Any, rng: Random) -> None:
    family.evm.call(rng.choice(pair.tokens), "mint(address,uint256)", number(pair.address), 12345)
    family.evm.call(pair.address, "sync()")


def _solidly_fee(family: Any, pair: Any, rng: Random) -> None:
    fee = rng.choice((0, ZERO_FEE, 1, MAX_FEE, draws.magnitude(rng, 1, MAX_FEE)))
    family.evm.call(family.factory, "setCustomFee(address,uint256)", number(pair.address), fee)


# ---- concentrated liquidity ----


def _mint(family: Any, pool: ConcentratedMarket, rng: Random) -> None:
    lower, upper = random_range(rng, pool.slot()[1], pool.spacing, pool.ticks)
    most = pool.max_liquidity_per_tick()
    pool.mint(lower, upper, draws.magnitude(rng, 1, most))
    pool.ticks += [lower, upper]


def _positions(pool: ConcentratedMarket, rng: Random) -> tuple[int, int]:
    """Ends that may be a position's: most were made by one call."""
    at = rng.randrange(0, len(pool.ticks), 2) if pool.ticks else 0
    return (pool.ticks[at], pool.ticks[at + 1]) if pool.ticks else (0, pool.spacing)


def _burn(family: Any, pool: CallbackMarket, rng: Random) -> None:
    lower, upper = _positions(pool, rng)
    gross = pool.tick_liquidity(lower)
    share = rng.choice((0, 1, 2))
    amount = 0 if share == 0 or gross is None else max(1, gross[0] // share)
    data = () if not isinstance(pool, IntegralPool) or isinstance(pool, LimitOrderPool) else (b"",)
    signature = "burn(int24,int24,uint128,bytes)" if data else "burn(int24,int24,uint128)"
    call = arguments(signature, lower, upper, amount, *data)
    family.evm.send(pool.payer, arguments("forward(address,bytes)", pool.address, call))


def _collect(family: Any, pool: CallbackMarket, rng: Random) -> None:
    """Nothing of the state moves: the fee growths do."""
    call = arguments(
        "collect(address,int24,int24,uint128,uint128)",
        ME, *_positions(pool, rng), POOL_LIMIT, POOL_LIMIT,
    )  # fmt: skip
    family.evm.send(pool.payer, arguments("forward(address,bytes)", pool.address, call))


def _share_v3(family: Any, pool: CallbackMarket, rng: Random) -> None:
    share = rng.choice((0, *range(4, 11)))
    family.evm.call(pool.address, "setFeeProtocol(uint8,uint8)", share, share)


def _share_pancake(family: Any, pool: CallbackMarket, rng: Random) -> None:
    share = rng.choice((0, rng.randint(1000, 4000)))
    family.evm.call(pool.address, "setFeeProtocol(uint32,uint32)", share, share)


def _fee_integral(family: Any, pool: IntegralPool, rng: Random) -> None:
    family.evm.call(pool.address, "setFee(uint16)", draws.magnitude(rng, 0, 50_000))


def _spacing_integral(family: Any, pool: IntegralPool, rng: Random) -> None:
    spacing = random_spacing(rng, 500)
    family.evm.call(pool.address, "setTickSpacing(int24)", spacing)
    pool.spacing = spacing


def _spacing_limit_orders(family: Any, pool: LimitOrderPool, rng: Random) -> None:
    spacing = random_spacing(rng, 500)
    family.evm.call(pool.address, "setTickSpacing(int24,int24)", spacing, spacing)
    pool.spacing = spacing


def _plugin(family: Any, pool: IntegralPool, rng: Random) -> None:
    family.evm.call(pool.address, "setPlugin(address)", number(family.maker.address))
    family.evm.call(pool.address, "setPluginConfig(uint8)", 0)


def _wait(family: Any, pool: AlgebraPool, rng: Random) -> None:
    """A mint later on: V1 writes a timepoint and finds its fee anew in it."""
    pool.now += draws.magnitude(rng, 1, 90_000)
    family.evm.at_time(pool.now)
    _mint(family, pool, rng)


# ---- Uniswap V4 ----


def _remove_v4(family: Any, pool: V4Pool, rng: Random) -> None:
    lower, upper = _positions(pool, rng)
    gross = pool.tick_liquidity(lower)
    share = rng.choice((0, 1, 2))
    amount = 0 if share == 0 or gross is None else max(1, gross[0] // share)
    pool.mint(lower, upper, -amount)


def _protocol_v4(family: Any, pool: V4Pool, rng: Random) -> None:
    fee = protocol_fee(rng) | protocol_fee(rng) << 12
    family.evm.call(family.manager, f"setProtocolFee({KEY},uint24)", *pool.key, fee)


def _dynamic_v4(family: Any, pool: V4Pool, rng: Random) -> None:
    """No event tells of the hook's new fee: the swap that pays it does."""
    if pool.key[2] != DYNAMIC_FEE:
        raise Reverted("the pool's fee is none of a hook's")
    family.evm.call(
        family.manager, f"updateDynamicLPFee({KEY},uint24)", *pool.key,
        draws.magnitude(rng, 0, 1_000_000), sender=IDLE_HOOK,
    )  # fmt: skip
    zero_for_one = rng.random() < 0.5
    price = pool.slot()[0]
    limit = price + (-1 if zero_for_one else 1) * max(1, price // 10**6)
    pool.execute(zero_for_one, 10**6, limit)


# ---- Balancer ----

_EXACT_TOKENS_IN = 1  # JoinKind
_REQUEST = "(address[],uint256[],bytes,bool)"


def _vault(family: Any, pool: Any, verb: str, limits: int, data: bytes) -> None:
    assets = [f"0x{token:040x}" for token in pool.tokens]
    request = (assets, [limits] * len(assets), data, False)
    family.evm.send(
        family.vault,
        arguments(
            f"{verb}Pool(bytes32,address,address,{_REQUEST})",
            words(pool.pool_id), ME, ME, request,
        ),
    )  # fmt: skip


def _join(family: Any, pool: Any, rng: Random) -> None:
    _, balances = pool.balances()
    amounts = [max(1, draws.share(rng, max(balances[i], 1)) // 100) for i in pool.indices]
    data = encode(["uint256", "uint256[]", "uint256"], [_EXACT_TOKENS_IN, amounts, 0])
    _vault(family, pool, "join", (1 << 256) - 1, data)


def _exit(family: Any, pool: Any, rng: Random) -> None:
    held = family.evm.read(pool.address, "balanceOf(address)", number(ME))[0]
    amount = min(held, draws.share(rng, max(held, 1)) // 10)
    kind = rng.choice((0, 1, 2))
    if kind == 0:  # exact BPT in for one token out
        data = encode(["uint256"] * 3, [0, amount, rng.randrange(len(pool.indices))])
    else:  # for all of them: 1 in weighted and oldest pools, 2 in composable ones
        data = encode(["uint256"] * 2, [kind, amount])
    _vault(family, pool, "exit", 0, data)


def _swap_fee(family: Any, pool: Any, rng: Random) -> None:
    fee = draws.magnitude(rng, MIN_SWAP_FEE, MAX_SWAP_FEE)
    family.evm.call(pool.address, "setSwapFeePercentage(uint256)", fee)


def _start_amp(family: Any, pool: Any, rng: Random) -> None:
    amp, _, precision = family.evm.read(pool.address, "getAmplificationParameter()")
    goal = min(max(1, amp // precision + rng.choice((-1, 1))), MAX_AMP)
    family.evm.call(
        pool.address, "startAmplificationParameterUpdate(uint256,uint256)", goal, START + 90 * DAY
    )


def _stop_amp(family: Any, pool: Any, rng: Random) -> None:
    family.evm.call(pool.address, "stopAmplificationParameterUpdate()")


def _rate(family: Any, pool: Any, rng: Random) -> None:
    token = rng.choice(pool.tokens)
    family.evm.call(pool.address, "updateTokenRateCache(address)", token)


def _swap_bpt(family: Any, pool: Any, rng: Random) -> None:
    """Buys the pool's own token with another one of its: a join by swap."""
    if len(pool.indices) == len(pool.tokens):
        raise Reverted("the pool's own token is none of its tokens")
    bpt, token = number(pool.address), pool.tokens[rng.choice(pool.indices)]
    _, balances = pool.balances()
    amount = max(1, balances[pool.tokens.index(token)] // 1000)
    ways = [(token, bpt)] if rng.random() < 0.5 else [(token, bpt), (bpt, token)]
    for sold, bought in ways:
        family.evm.call(
            family.vault,
            SWAP,
            0xE0, number(ME), 0, number(ME), 0, 0, 1 << 60,
            pool.pool_id, 0, sold, bought, amount, 0xC0, 0,
        )  # fmt: skip


_PAIR: list[tuple[str, Act]] = [
    ("mint", _add_pair), ("burn", _remove_pair), ("donation", _donate_pair),
]  # fmt: skip
_POSITIONS: list[tuple[str, Act]] = [
    ("mint", _mint), ("mint", _mint), ("burn", _burn), ("burn", _burn), ("collect", _collect),
]  # fmt: skip
_VAULT: list[tuple[str, Act]] = [("join", _join), ("exit", _exit), ("swap fee", _swap_fee)]

ACTS: dict[type[Market], list[tuple[str, Act]]] = {
    V2Pair: _PAIR,
    SolidlyPair: [*_PAIR, ("fee", _solidly_fee)],
    V3Pool: [*_POSITIONS, ("protocol's share", _share_v3)],
    PancakePool: [*_POSITIONS, ("protocol's share", _share_pancake)],
    V1Pool: [*_POSITIONS, ("late mint", _wait)],
    LimitOrderPool: [*_POSITIONS, ("late mint", _wait), ("spacing", _spacing_limit_orders)],
    IntegralPool: [
        *_POSITIONS, ("fee", _fee_integral), ("spacing", _spacing_integral), ("plugin", _plugin),
    ],
    V4Pool: [
        ("mint", _mint), ("mint", _mint), ("burn", _remove_v4), ("burn", _remove_v4),
        ("protocol's fee", _protocol_v4), ("hook's fee", _dynamic_v4),
    ],
    Weighted: _VAULT,
    ComposableStable: [
        *_VAULT, ("amp starts", _start_amp), ("amp stops", _stop_amp), ("rate", _rate),
        ("own token", _swap_bpt),
    ],
}  # fmt: skip


def of(market: Market) -> list[tuple[str, Act]]:
    """What can be done to a market's pool, by name."""
    return ACTS[type(market)]
