"""Uniswap V4 pools without hooks: one PoolManager, fees of the protocol, native ether.

A pool with a dynamic fee names a hook whose address permits nothing, so that it is never called.
"""

from random import Random
from typing import Any

from eth_utils.crypto import keccak

from tests.differential import draws
from tests.differential.concentrated import (
    ConcentratedMarket,
    Ground,
    random_fee,
    random_price,
    random_spacing,
)
from tests.differential.evm import ME, NOBODY, Evm, name_errors, number, signed, words
from tests.differential.solidity import props
from tests.oracle.univ3 import MAX_TICK

MAX_SPACING = 32_767
MAX_PROTOCOL_FEE = 1000
DYNAMIC_FEE = 0x800000
POOLS_SLOT, LIQUIDITY_AT, TICKS_AT = 6, 3, 4  # of PoolManager's storage (StateLibrary)
IDLE_HOOK = "0x" + "22" * 18 + "0000"  # the last 14 bits are a hook's permissions
KEY = "(address,address,uint24,int24,address)"
_RICH = 1 << 200
_ERRORS = (  # of libraries, which are not in the manager's own ABI
    "PriceLimitAlreadyExceeded(uint160,uint160)",
    "PriceLimitOutOfBounds(uint160)",
    "InvalidFeeForExactOut()",
    "SafeCastOverflow()",
)


def _bits(word: int, start: int, length: int) -> int:
    return word >> start & (1 << length) - 1


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


class V4Pool(ConcentratedMarket):
    """A pool by its key; all state is read from the manager's storage with `extsload`."""

    kind = "uniswap_v4"
    negative_in = True

    def __init__(self, evm: Evm, manager: str, payer: str, key: tuple[int, ...]) -> None:
        super().__init__(evm, key[3], key[2])
        self.manager, self.payer, self.key = manager, payer, key
        pool_id = keccak(words(*key))
        self._at = int.from_bytes(keccak(pool_id + words(POOLS_SLOT)), "big")

    def _load(self, slot: int) -> int:
        return self.evm.read(self.manager, "extsload(bytes32)", slot)[0]

    def slot(self) -> tuple[int, int, int]:
        """Price, tick and liquidity in range."""
        word = self._load(self._at)
        liquidity = _bits(self._load(self._at + LIQUIDITY_AT), 0, 128)
        return _bits(word, 0, 160), _signed(_bits(word, 160, 24), 24), liquidity

    def fields(self) -> dict[str, Any]:
        """The pool's state, its fees as slot0 has them."""
        word = self._load(self._at)
        fees = {"protocol_fee": _bits(word, 184, 24), "fee_pips": _bits(word, 208, 24)}
        return {**super().fields(), **fees}

    def tick_liquidity(self, tick: int) -> tuple[int, int] | None:
        """Gross, and what crossing it upwards adds; None where it is not initialised."""
        slot = keccak(words(tick, self._at + TICKS_AT))
        word = self._load(int.from_bytes(slot, "big"))
        gross = _bits(word, 0, 128)
        return (gross, signed(word) >> 128) if gross else None

    def max_liquidity_per_tick(self) -> int:
        """The contract's limit of a tick."""
        ticks = MAX_TICK // self.spacing - (-MAX_TICK // self.spacing) + 1
        return ((1 << 128) - 1) // ticks

    def mint(self, lower: int, upper: int, liquidity: int) -> None:
        """A position of the payer's."""
        self.evm.call(
            self.payer, f"modifyLiquidity({KEY},(int24,int24,int256,bytes32))",
            *self.key, lower, upper, liquidity, 0,
        )  # fmt: skip

    def execute(self, zero_for_one: bool, amount: int, limit: int) -> tuple[int, int]:
        """A swap, exact input positive, exact output negative: paid and received tokens."""
        paid, received = self.evm.call(
            self.payer, f"swap({KEY},(bool,int256,uint160))",
            *self.key, zero_for_one, -amount, limit,  # here exact input is the negative one
        )  # fmt: skip
        return paid, received


class UniswapV4(Ground):
    """The manager, with an account of ours as the controller of its fees."""

    def __init__(self) -> None:
        super().__init__()
        name_errors(*_ERRORS)
        self.manager = self.evm.artifact("PoolManager", number(ME))
        self.evm.call(self.manager, "setProtocolFeeController(address)", number(ME))
        self.payer = self.evm.deploy(props()["V4Payer"], number(self.manager))
        self.evm.give_ether(self.payer, _RICH)

    def pool(self, rng: Random) -> V4Pool:
        """Random fees, spacing, price and set of positions; half of the pools trade ether."""
        pair = self.tokens if rng.random() < 0.5 else [number(NOBODY), self.tokens[0]]
        fee_pips = 1_000_000 if rng.random() < 0.03 else random_fee(rng)
        dynamic = rng.random() < 0.2
        hook = number(IDLE_HOOK) if dynamic else 0
        key = (*pair, DYNAMIC_FEE if dynamic else fee_pips, random_spacing(rng, MAX_SPACING), hook)
        pool = V4Pool(self.evm, self.manager, self.payer, key)
        self.evm.call(self.manager, f"initialize({KEY},uint160)", *key, random_price(rng))
        if dynamic:
            self.evm.call(
                self.manager, f"updateDynamicLPFee({KEY},uint24)", *key, fee_pips, sender=IDLE_HOOK
            )
        if rng.random() < 0.7:
            fee = protocol_fee(rng) | protocol_fee(rng) << 12
            self.evm.call(self.manager, f"setProtocolFee({KEY},uint24)", *key, fee)
        pool.furnish(rng)
        return pool


def protocol_fee(rng: Random) -> int:
    """Of one direction, pips."""
    return rng.choice((0, MAX_PROTOCOL_FEE, draws.magnitude(rng, 0, MAX_PROTOCOL_FEE)))
