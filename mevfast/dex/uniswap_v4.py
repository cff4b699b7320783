"""Uniswap V4: pools inside one PoolManager, by id. Semantics: v4-core Pool, StateLibrary, Hooks.

Owns the rule which pools may be traded: those whose hook cannot touch a swap, and whose fee cannot
change without an event.
"""

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from mevfast.dex.reads import Call, Read, calldata, value
from mevfast.dex.ticks import read_ticks, words

KINDS = ("uniswap_v4",)

EVENTS = (
    # Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)
    "0xdd466e674ea557f56295e2d0218a125ea4b4f0f6f3307b95f85e6110838d6438",
    # ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)
    "0xf208f4912782fd25c7f114ca3723a2d5dd6f3bcc3ac8db5af63baa85f711d5ec",
    # Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)
    "0x40e9cecb9f5f1f1c5b9c97dec2917b7ee92e57ba5563708daca94dd84ad7112f",
    # ProtocolFeeUpdated(bytes32,uint24)
    "0xe9c42593e71f84403b84352cd168d693e2c9fcd1fdbcc3feb21d92b43e6696f9",
)

NATIVE = "0x" + "00" * 20
"""The address of the chain's own coin as a currency."""

DYNAMIC_FEE = 0x800000
SWAP_HOOKS = {
    "beforeSwap": 1 << 7,
    "afterSwap": 1 << 6,
    "beforeSwapReturnsDelta": 1 << 3,
    "afterSwapReturnsDelta": 1 << 2,
}
"""Permissions, by the low bits of the hook's address, with which a hook takes part in a swap."""

_POOLS_SLOT = 6  # StateLibrary.POOLS_SLOT, and the offsets in Pool.State below
_LIQUIDITY, _TICKS, _BITMAP = 3, 4, 5


def refusal(hooks: str, fee: int) -> str | None:
    """Why a pool of this key is not traded; None where nothing can touch its swaps.

    A dynamic fee changes whenever the hook likes, without an event.
    """
    bits = int(hooks, 16)
    named = [name for name, bit in SWAP_HOOKS.items() if bits & bit]
    if named:
        return f"hook {hooks} takes part in swaps: {', '.join(named)}"
    if fee & DYNAMIC_FEE:
        return f"fee is dynamic: hook {hooks} may change it at any time"
    return None


def pool_id(
    currency0: str, currency1: str, fee: int, tick_spacing: int, hooks: str = NATIVE
) -> bytes:
    """The id of a pool: keccak of its PoolKey."""
    types = ["address", "address", "uint24", "int24", "address"]
    return bytes(keccak(encode(types, [currency0, currency1, fee, tick_spacing, hooks])))


def _mapped(types: list[str], key: object, slot: int) -> int:
    """Where a mapping at `slot` keeps `key`."""
    return int.from_bytes(keccak(encode([*types, "uint256"], [key, slot])), "big")


def _net(answer: bytes) -> int:
    word = value("uint256", answer, "extsload of a tick")
    net = word >> 128  # liquidityGross in the low half
    return int(net - (1 << 128) if net >> 127 else net)


def read(manager: str, pool: bytes, tick_spacing: int) -> Read:
    """The state of one pool, from the manager's storage."""
    base = _mapped(["bytes32"], pool, _POOLS_SLOT)

    def load(slot: int) -> Call:
        return manager, calldata("extsload(bytes32)", slot.to_bytes(32, "big"))

    answers = yield [load(base), load(base + _LIQUIDITY)]
    slot0, liquidity = (value("uint256", answer, f"extsload of {manager}") for answer in answers)
    tick = slot0 >> 160 & 0xFFFFFF
    ticks = yield from read_ticks(
        words(tick_spacing),
        tick_spacing,
        lambda position: load(_mapped(["int16"], position, base + _BITMAP)),
        lambda tick: load(_mapped(["int24"], tick, base + _TICKS)),
        _net,
    )
    return {
        "fee_pips": slot0 >> 208 & 0xFFFFFF,
        "protocol_fee": slot0 >> 184 & 0xFFFFFF,
        "tick_spacing": tick_spacing,
        "sqrt_price_x96": slot0 & (1 << 160) - 1,
        "tick": tick - (1 << 24) if tick >> 23 else tick,
        "liquidity": liquidity,
        "ticks": ticks,
    }
