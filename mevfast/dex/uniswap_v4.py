"""Uniswap V4: pools inside one PoolManager, by id. Semantics: v4-core Pool, StateLibrary, Hooks.

Owns the rule which pools may be traded: those whose hook cannot touch a swap, and whose fee cannot
change without an event.
"""

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from mevfast.dex.announced import Log, address, number, signed
from mevfast.dex.reads import Call, Read, calldata, topic, value
from mevfast.dex.ticks import checked, priced, query, read_rest
from mevfast.errors import DataError
from mevfast.model import PoolRecord

KINDS = ("uniswap_v4",)

CREATED = (topic("Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)"),)
"""Id and currencies are indexed; fee, spacing, hooks, price and tick follow."""

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

_POOLS_SLOT = 6  # StateLibrary.POOLS_SLOT, and an offset in Pool.State below
_LIQUIDITY = 3


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


def created(log: Log, kind: str) -> PoolRecord:
    """The pool that an Initialize log of the manager announces.

    DataError where its hook or fee keeps it from being traded.
    """
    fee, hooks = number(log.word(0)), "0x" + address(log.word(2)).hex()
    why = refusal(hooks, fee)
    if why is not None:
        raise DataError(why)
    facts = {
        "fee_pips": fee,
        "tick_spacing": signed(log.word(1)),
        "hooks": hooks,
        "singleton": "0x" + log.address.hex(),
    }
    tokens = (address(log.topic(2)), address(log.topic(3)))
    return PoolRecord(log.topic(1), kind, tokens, "", log.block, facts)


def read(manager: str, pool: bytes, tick_spacing: int, hooks: str = NATIVE, fee: int = 0) -> Read:
    """The state of one pool, from the manager's storage; `hooks` and `fee` as in its PoolKey."""
    why = refusal(hooks, fee)
    if why is not None:
        raise DataError(f"pool 0x{pool.hex()}: {why}")
    base = _mapped(["bytes32"], pool, _POOLS_SLOT)

    def load(slot: int) -> Call:
        return manager, calldata("extsload(bytes32)", slot.to_bytes(32, "big"))

    asked = query(manager, tick_spacing, "extsload(bytes32)", "extsload(bytes32)", base)
    *answers, first = yield [load(base), load(base + _LIQUIDITY), asked]
    slot0, liquidity = (value("uint256", answer, f"extsload of {manager}") for answer in answers)
    priced(slot0 & (1 << 160) - 1, f"pool 0x{pool.hex()}")
    ticks = yield from read_rest(asked, first)
    tick = slot0 >> 160 & 0xFFFFFF
    tick = tick - (1 << 24) if tick >> 23 else tick
    fields = {
        "fee_pips": slot0 >> 208 & 0xFFFFFF,
        "protocol_fee": slot0 >> 184 & 0xFFFFFF,
        "tick_spacing": tick_spacing,
        "sqrt_price_x96": slot0 & (1 << 160) - 1,
        "tick": tick,
        "liquidity": liquidity,
        "ticks": checked(ticks, tick, liquidity, f"pool 0x{pool.hex()}"),
    }
    if int(hooks, 16):
        fields["hooks"] = hooks
    return fields
