"""The reader of CryptoSwap pools on answers as the contracts encode them."""

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from mevfast._pool import Pool
from mevfast.dex.curve_crypto import EVENTS, KINDS, read
from mevfast.dex.reads import calldata, drive
from mevfast.errors import DataError

POOL, MATH = "0x" + "aa" * 20, "0x" + "bb" * 20
NOW = 1_700_000_000
STATE: dict[str, Any] = {
    "amp": 1_707_629,
    "gamma": 11_809_167_828_997,
    "d": 286349051375261364933634,
    "mid_fee": 3_000_000,
    "out_fee": 30_000_000,
    "fee_gamma": 500_000_000_000_000,
    "total_supply": 10**22,
    "virtual_price": 10**18,
}
GETTERS = ("A", "gamma", "D", "mid_fee", "out_fee", "fee_gamma", "totalSupply", "virtual_price")
COINS: dict[int, dict[str, list[int]]] = {
    3: {
        "balances": [87415844442, 129348722, 43137143734068899114],
        "price_scale": [75804766119084417938595, 2345740822056210128261],
        "precisions": [10**12, 10**10, 1],
    },
    2: {
        "balances": [143174525687, 61036077654374891018],
        "price_scale": [2345740822056210128261],
        "precisions": [10**12, 1],
    },
}


def chain(n: int, version: str, ramp_end: int) -> Callable[[str, bytes], bytes]:
    """A node on which POOL is a pool of n coins."""
    answers = {
        calldata("MATH()"): encode(["address"], [MATH]),
        calldata("precisions()"): encode([f"uint256[{n}]"], [COINS[n]["precisions"]]),
        calldata("future_A_gamma_time()"): encode(["uint256"], [ramp_end]),
    }
    for getter, number in zip(GETTERS, STATE.values(), strict=True):
        answers[calldata(f"{getter}()")] = encode(["uint256"], [number])
    for k, number in enumerate(COINS[n]["balances"]):
        answers[calldata("balances(uint256)", k)] = encode(["uint256"], [number])
    for k, number in enumerate(COINS[n]["price_scale"]):
        data = calldata("price_scale(uint256)", k) if n == 3 else calldata("price_scale()")
        answers[data] = encode(["uint256"], [number])

    def call(to: str, data: bytes) -> bytes:
        if to == MATH:
            assert data == calldata("version()")
            return encode(["string"], [version])
        assert to == POOL
        return answers[data]

    return call


@pytest.mark.parametrize(
    ("kind", "n", "version"),
    [(KINDS[0], 3, "v2.0.0"), (KINDS[1], 2, "v2.0.0"), (KINDS[1], 2, "v2.1.0")],
)
@pytest.mark.parametrize(("ramp_end", "ramping"), [(0, False), (NOW, False), (NOW + 1, True)])
def test_a_read_is_the_state_that_the_kernel_takes(
    kind: str, n: int, version: str, ramp_end: int, ramping: bool
) -> None:
    found = drive(read(POOL, kind, NOW), chain(n, version, ramp_end))
    assert found == STATE | COINS[n] | {"version": version, "ramping": ramping}
    assert Pool(kind, found).fields().items() <= found.items()


@pytest.mark.parametrize(
    ("kind", "n", "version"), [(KINDS[0], 3, "v2.1.0"), (KINDS[1], 2, "v0.1.0")]
)
def test_other_maths_is_refused(kind: str, n: int, version: str) -> None:
    with pytest.raises(DataError, match=f"version of {MATH}.*was '{version}'"):
        drive(read(POOL, kind, NOW), chain(n, version, 0))


def test_a_pool_that_does_not_answer_is_named() -> None:
    with pytest.raises(DataError, match=POOL):
        drive(read(POOL, KINDS[0], NOW), lambda to, data: b"")


def test_topics_are_those_of_the_events() -> None:
    six, seven = (",".join(["uint256"] * count) for count in (6, 7))
    signatures = [
        f"TokenExchange(address,{six})",
        "AddLiquidity(address,uint256[3],uint256,uint256,uint256)",
        "AddLiquidity(address,uint256[2],uint256,uint256,uint256)",
        "RemoveLiquidity(address,uint256[3],uint256)",
        "RemoveLiquidity(address,uint256[2],uint256)",
        "RemoveLiquidityOne(address,uint256,uint256,uint256,uint256,uint256)",
        "ClaimAdminFee(address,uint256)",
        "ClaimAdminFee(address,uint256[3])",
        "ClaimAdminFee(address,uint256[2])",
        f"RampAgamma({six})",
        "StopRampA(uint256,uint256,uint256)",
        f"NewParameters({six})",
        f"NewParameters({seven})",
    ]
    assert list(EVENTS) == ["0x" + keccak(text=signature).hex() for signature in signatures]
