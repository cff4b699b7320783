"""Algebra pools: V1 (QuickSwap V3, Camelot V3) and Integral. Semantics: AlgebraPool.

The fee in the state is the one stored now. V1 computes a new fee in the first swap of each new
timestamp, before it charges it, and an Integral plugin may set one: such a pool's fee must be read
again in each block that is to be traded in.
"""

from mevfast.dex.reads import Read, calldata, decoded, value
from mevfast.dex.ticks import read_ticks, words

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

V1_BITMAP_SPACING = 60
"""Ticks that one bit of the V1 bitmap stands for (Constants.TICK_SPACING); 1 in branches of 1.9."""


def _net(answer: bytes) -> int:
    """liquidityDelta of `ticks`: after liquidityTotal, which is a uint256 in Integral."""
    _, delta = decoded(["uint256", "int128"], answer, "ticks")
    return int(delta)


def read_v1(pool: str, directional: bool = False, bitmap_spacing: int = V1_BITMAP_SPACING) -> Read:
    """The state of a V1 pool; `directional` for 1.9, whose globalState has a fee per direction.

    No getter tells `bitmap_spacing`, which decides where a swap rounds: the pool's source does.
    """
    state, liquidity, spacing = yield [
        (pool, calldata("globalState()")),
        (pool, calldata("liquidity()")),
        (pool, calldata("tickSpacing()")),
    ]
    types = ["uint160", "int24", "uint16"] + (["uint16"] if directional else [])
    sqrt_price_x96, tick, *fees = decoded(types, state, f"globalState of {pool}")
    tick_spacing = value("int24", spacing, f"tickSpacing of {pool}")
    ticks = yield from read_ticks(
        words(bitmap_spacing),
        bitmap_spacing,
        lambda position: (pool, calldata("tickTable(int16)", position)),
        lambda tick: (pool, calldata("ticks(int24)", tick)),
        _net,
    )
    fields = {
        "fee_pips": fees if directional else fees[0],
        "tick_spacing": tick_spacing,
        "sqrt_price_x96": sqrt_price_x96,
        "tick": tick,
        "liquidity": value("uint128", liquidity, f"liquidity of {pool}"),
        "ticks": ticks,
    }
    if bitmap_spacing != tick_spacing:
        fields["bitmap_spacing"] = bitmap_spacing
    return fields


def read_integral(pool: str) -> Read:
    """The state of an Integral pool, with the fee that is stored when no plugin overrides it."""
    return _read_list(pool, ["uint160", "int24", "uint16"])


def read_limit_orders(pool: str) -> Read:
    """The state of a pool of the generation before, which keeps the last tick before its fee."""
    return _read_list(pool, ["uint160", "int24", "int24", "uint16"])


def _read_list(pool: str, types: list[str]) -> Read:
    """`types` begin globalState: price and tick first, the fee last."""
    state, liquidity, spacing = yield [
        (pool, calldata("globalState()")),
        (pool, calldata("liquidity()")),
        (pool, calldata("tickSpacing()")),
    ]
    sqrt_price_x96, tick, *_, fee = decoded(types, state, f"globalState of {pool}")
    ticks = yield from read_ticks(
        words(1),  # these bitmaps count single ticks, whatever the spacing
        1,
        lambda position: (pool, calldata("tickTable(int16)", position)),
        lambda tick: (pool, calldata("ticks(int24)", tick)),
        _net,
    )
    return {
        "fee_pips": fee,
        "tick_spacing": value("int24", spacing, f"tickSpacing of {pool}"),
        "sqrt_price_x96": sqrt_price_x96,
        "tick": tick,
        "liquidity": value("uint128", liquidity, f"liquidity of {pool}"),
        "ticks": ticks,
    }
