"""Uniswap V3 and its exact forks: discovery and state. Semantics: UniswapV3Factory, Pool."""

from mevfast.dex.announced import Log, number, pair_of, signed
from mevfast.dex.reads import Question, Read, TickQuery, calldata, decoded, topic, value
from mevfast.dex.ticks import checked, priced, query, read_rest, read_ticks
from mevfast.model import PoolRecord

KINDS = ("uniswap_v3",)

CREATED = (topic("PoolCreated(address,address,uint24,int24,address)"),)
"""Tokens and fee are indexed; spacing and pool are not."""

EVENTS = (
    "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",  # Swap
    "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",  # Mint
    "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",  # Burn
    "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",  # Initialize
)


def created(log: Log, kind: str) -> PoolRecord:
    """The pool that a PoolCreated log announces; it carries its own fee."""
    fee, spacing = number(log.topic(3)), signed(log.word(0))
    return pair_of(log, kind, pool=log.word(1), fee_pips=fee, tick_spacing=spacing)


def read(pool: str, tick_spacing: int | None = None) -> Read:
    """The state of one pool; `tick_spacing` where it is known saves a turn."""
    getters = ("slot0()", "liquidity()", "fee()", "tickSpacing()")
    asked: list[Question] = [(pool, calldata(getter)) for getter in getters]
    if tick_spacing is not None:
        asked.append(_ticks_of(pool, tick_spacing))
    slot0, liquidity, fee, spacing, *first = yield asked
    sqrt_price_x96, tick = decoded(["uint160", "int24"], slot0, f"slot0 of {pool}")
    priced(sqrt_price_x96, pool)
    active = value("uint128", liquidity, f"liquidity of {pool}")
    actual = value("int24", spacing, f"tickSpacing of {pool}")
    ticks_query = _ticks_of(pool, actual)
    if first and actual == tick_spacing:
        ticks = yield from read_rest(ticks_query, first[0])
    else:
        ticks = yield from read_ticks(ticks_query)
    return {
        "fee_pips": value("uint24", fee, f"fee of {pool}"),
        "tick_spacing": actual,
        "sqrt_price_x96": sqrt_price_x96,
        "tick": tick,
        "liquidity": active,
        "ticks": checked(ticks, tick, active, pool),
    }


def _ticks_of(pool: str, spacing: int) -> TickQuery:
    return query(pool, spacing, "tickBitmap(int16)", "ticks(int24)")
