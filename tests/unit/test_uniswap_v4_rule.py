"""Which Uniswap V4 pools are admitted: no hook in swaps, no fee that changes without an event."""

import pytest

from mevfast._pool import Pool, Quote, Refused
from mevfast.dex.uniswap_v4 import NATIVE, pool_id, refusal
from mevfast.errors import DataError

SWAP_BITS = {
    7: "beforeSwap",
    6: "afterSwap",
    3: "beforeSwapReturnsDelta",
    2: "afterSwapReturnsDelta",
}


def hook(bits: int) -> str:
    return f"0x{(0xAB << 152) | bits:040x}"


@pytest.mark.parametrize("bit", range(14))
def test_a_hook_is_refused_by_each_bit_that_touches_swaps_and_by_no_other(bit: int) -> None:
    reason = refusal(hook(1 << bit), 3000)
    if bit in SWAP_BITS:
        assert reason is not None
        assert reason.endswith(SWAP_BITS[bit])
    else:
        assert reason is None


STATE = {
    "fee_pips": 3000,
    "tick_spacing": 60,
    "sqrt_price_x96": 1 << 96,
    "tick": 0,
    "liquidity": 10**18,
    "ticks": [[-600, 10**18], [600, -(10**18)]],
}


@pytest.mark.parametrize("bit", range(14))
def test_a_pool_with_such_a_hook_gives_no_quote(bit: int) -> None:
    pool = Pool("uniswap_v4", STATE | {"hooks": hook(1 << bit)})
    answer = pool.quote(0, 10**6)
    if bit in SWAP_BITS:
        assert answer == Refused("UNSUPPORTED")
        assert pool.marginal_price(0) == 0.0
    else:
        assert isinstance(answer, Quote)
        assert answer == Pool("uniswap_v4", STATE).quote(0, 10**6)
    assert Pool("uniswap_v4", pool.fields()).quote(0, 10**6) == answer


def test_a_hook_that_is_no_address_is_named() -> None:
    with pytest.raises(
        DataError, match=r"pools\[1\]\.hooks: expected 0x and 40 hex digits, was '0x8'"
    ):
        Pool("uniswap_v4", STATE | {"hooks": "0x8"}, "pools[1].")


def test_all_that_touches_swaps_is_named() -> None:
    reason = refusal(hook(0x3FFF), 3000)
    assert reason is not None
    assert all(name in reason for name in SWAP_BITS.values())
    assert refusal(hook(0x3FFF ^ 0b11001100), 3000) is None


def test_a_dynamic_fee_is_refused_whatever_the_hook() -> None:
    assert refusal(NATIVE, 3000) is None
    reason = refusal(hook(1 << 12), 0x800000)
    assert reason is not None
    assert reason.startswith("fee is dynamic")


def test_id_of_a_known_pool() -> None:
    # ETH/USDC 0.05 % on Ethereum, as listed by the protocol's explorer
    usdc = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    assert pool_id(NATIVE, usdc, 500, 10).hex() == (
        "21c67e77068de97969ba93d4aab21826d33ca12bb9f565d8496e8fda8a82ca27"
    )
