"""PancakeSwap V3: a fork of Uniswap V3 with its own Swap event. Semantics: PancakeV3Pool.

`slot0.feeProtocol` is a uint32 and `protocolFees` go out of the fee: neither touches amounts.
"""

from mevfast.dex.reads import Read, calldata, decoded, value
from mevfast.dex.ticks import read_ticks, words

KINDS = ("pancake_v3",)

EVENTS = (
    # Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)
    "0x19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83",
    "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",  # Mint
    "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",  # Burn
    "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",  # Initialize
)


def _net(answer: bytes) -> int:
    _, net = decoded(["uint128", "int128"], answer, "ticks")
    return int(net)


def read(pool: str) -> Read:
    """The state of one pool by its getters, the same as those of Uniswap V3."""
    slot0, liquidity, fee, spacing = yield [
        (pool, calldata("slot0()")),
        (pool, calldata("liquidity()")),
        (pool, calldata("fee()")),
        (pool, calldata("tickSpacing()")),
    ]
    sqrt_price_x96, tick = decoded(["uint160", "int24"], slot0, f"slot0 of {pool}")
    tick_spacing = value("int24", spacing, f"tickSpacing of {pool}")
    ticks = yield from read_ticks(
        words(tick_spacing),
        tick_spacing,
        lambda position: (pool, calldata("tickBitmap(int16)", position)),
        lambda tick: (pool, calldata("ticks(int24)", tick)),
        _net,
    )
    return {
        "fee_pips": value("uint24", fee, f"fee of {pool}"),
        "tick_spacing": tick_spacing,
        "sqrt_price_x96": sqrt_price_x96,
        "tick": tick,
        "liquidity": value("uint128", liquidity, f"liquidity of {pool}"),
        "ticks": ticks,
    }
