"""PancakeSwap V3: a fork of Uniswap V3 with its own Swap event. Semantics: PancakeV3Pool.

`slot0.feeProtocol` is a uint32 and `protocolFees` go out of the fee: neither touches amounts.
"""

from mevfast.dex import uniswap_v3

KINDS = ("pancake_v3",)

CREATED = uniswap_v3.CREATED

EVENTS = (
    # Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)
    "0x19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83",
    "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",  # Mint
    "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",  # Burn
    "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",  # Initialize
)

created = uniswap_v3.created
"""A PoolCreated log as in Uniswap V3."""
read = uniswap_v3.read
"""The getters are those of Uniswap V3."""
