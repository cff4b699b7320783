"""Algebra pools: V1 (QuickSwap V3, Camelot V3) and Integral. Semantics: AlgebraPool.

The fee in the state is the one stored now. V1 computes a new fee in the first swap of each new
timestamp, before it charges it, and an Integral plugin may set one: such a pool's fee must be read
again in each block that is to be traded in.
"""

from collections.abc import Generator

from mevfast.dex.announced import Log, pair_of
from mevfast.dex.reads import Answer, Question, Read, TickQuery, calldata, decoded, topic, value
from mevfast.dex.ticks import checked, doubt, priced, query, read_ticks
from mevfast.errors import DataError
from mevfast.model import PoolRecord

KINDS = ("algebra_v1", "algebra_integral")

EVENTS = (
    # Swap(address,address,int256,int256,uint160,uint128,int24), as in Uniswap V3
    "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",
    "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",  # Mint
    "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",  # Burn
    "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",  # Initialize
    "0x598b9f043c813aa6be3426ca60d1c65d17256312890be5118dab55b0775ebe2a",  # Fee(uint16)
    "0x8a89de70856bccec096661388f305b9a75f5f65cb0d8a0e1e803c39dabedb57f",  # Fee(uint16,uint16)
)

CREATED = (
    topic("Pool(address,address,address)"),  # both tokens are indexed
    topic("CustomPool(address,address,address,address)"),  # Integral's; the deployer comes first
)

BITMAP_SPACINGS = (60, 1)
"""Ticks that one bit of the V1 bitmap stands for: Constants.TICK_SPACING, but 1 in branches of 1.9,
where the spacing is a setting. No getter tells; the ticks themselves do."""


_BEFORE_SWAP = 1
"""Of pluginConfig (Plugins.BEFORE_SWAP_FLAG)."""


def created(log: Log, kind: str) -> PoolRecord:
    """The pool that a Pool or CustomPool log announces."""
    return pair_of(log, kind, pool=log.word(0), first_token=1 + CREATED.index(log.topic0))


def _head(pool: str) -> Generator[list[Question], list[Answer], tuple[list[int], int, int]]:
    """The words of globalState, liquidity, and spacing."""
    state, liquidity, spacing = yield [
        (pool, calldata("globalState()")),
        (pool, calldata("liquidity()")),
        (pool, calldata("tickSpacing()")),
    ]
    what = f"globalState of {pool}"
    size = len(state) // 32
    words = decoded(["uint160", "int24"] + ["int256"] * max(0, size - 2), state, what)
    priced(words[0], pool)
    active = value("uint128", liquidity, f"liquidity of {pool}")
    return list(words), active, value("int24", spacing, f"tickSpacing of {pool}")


def _ticks_of(pool: str, spacing: int) -> TickQuery:
    """`ticks` answers liquidityTotal, which is a uint256 in Integral, and liquidityDelta."""
    return query(pool, spacing, "tickTable(int16)", "ticks(int24)")


def read_v1(pool: str) -> Read:
    """The state of a V1 pool, or of a 1.9 one, whose globalState has a fee per direction."""
    words, active, spacing = yield from _head(pool)
    if len(words) not in (7, 8):
        raise DataError(f"globalState of {pool}: expected 7 or 8 words, was {len(words)}")
    directional = len(words) == 8
    price, tick = words[:2]
    candidates = BITMAP_SPACINGS if spacing == BITMAP_SPACINGS[0] else BITMAP_SPACINGS[::-1]
    found: list[list[int]] = []
    why = None
    for bitmap_spacing in candidates:
        ticks = yield from read_ticks(_ticks_of(pool, bitmap_spacing))
        why = doubt(ticks, tick, active)
        if why is None and (ticks or bitmap_spacing == candidates[-1]):
            found = [list(each) for each in ticks]
            break
    if why is not None:
        raise DataError(f"ticks of {pool}: {why}; a fork of other rules?")
    if not found:
        bitmap_spacing = candidates[0]  # without liquidity it makes no difference
    fields = {
        "fee_pips": words[2:4] if directional else words[2],
        "tick_spacing": spacing,
        "sqrt_price_x96": price,
        "tick": tick,
        "liquidity": active,
        "ticks": found,
    }
    if bitmap_spacing != spacing:
        fields["bitmap_spacing"] = bitmap_spacing
    return fields


def read_integral(pool: str) -> Read:
    """The state of an Integral pool, with the fee that is stored when no plugin overrides it; or of
    one of the generation before, with limit orders, which keeps a tick before its fee.

    `drifts` where a swap may have another fee: that generation's is computed like V1's, and a
    plugin that is asked before each swap may name one.
    """
    words, active, spacing = yield from _head(pool)
    if len(words) not in (6, 7):
        raise DataError(f"globalState of {pool}: expected 6 or 7 words, was {len(words)}")
    ticks = yield from read_ticks(_ticks_of(pool, 1))  # single ticks, whatever the spacing
    return {
        "fee_pips": words[2] if len(words) == 6 else words[3],
        "drifts": len(words) != 6 or bool(words[3] & _BEFORE_SWAP),
        "tick_spacing": spacing,
        "sqrt_price_x96": words[0],
        "tick": words[1],
        "liquidity": active,
        "ticks": checked(ticks, words[1], active, pool),
    }
