"""Reading Balancer pools: from answers in, the fields that the kernel takes out."""

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from mevfast._pool import Pool
from mevfast.chain.multicall import Failed
from mevfast.dex import balancer, reads
from mevfast.errors import DataError
from tests.oracle.balancer import ONE

VAULT, POOL = "0x" + "aa" * 20, "0x" + "bb" * 20
POOL_ID = bytes(range(32))
TOKENS = ["0x" + digit * 40 for digit in "123"]
BALANCES = [10**24, 2 * 10**12, 5 * 10**20]
FACTORS = [ONE, 10**30, ONE]

SIGNATURES = {
    "VAULT_EVENTS": [
        "Swap(bytes32,address,address,uint256,uint256)",
        "PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])",
        "PoolBalanceManaged(bytes32,address,address,int256,int256)",
    ],
    "POOL_EVENTS": [
        "SwapFeePercentageChanged(uint256)",
        "AmpUpdateStarted(uint256,uint256,uint256,uint256)",
        "AmpUpdateStopped(uint256)",
        "TokenRateCacheUpdated(uint256,uint256)",
        "PriceRateCacheUpdated(address,uint256)",
    ],
    "REGISTERED": [
        "PoolRegistered(bytes32,address,uint8)",
        "TokensRegistered(bytes32,address[],address[])",
    ],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_topics_are_the_hashes_of_the_events(name: str) -> None:
    hashes = tuple("0x" + keccak(text=signature).hex() for signature in SIGNATURES[name])
    assert getattr(balancer, name) == hashes


def answers(**changes: bytes) -> dict[bytes, bytes]:
    getters = {
        "getPoolId()": POOL_ID,
        "getSwapFeePercentage()": encode(["uint256"], [10**15]),
        "getNormalizedWeights()": encode(
            ["uint256[]"], [[5 * 10**17, 3 * 10**17, 2 * 10**17]]
        ),
        "getScalingFactors()": encode(["uint256[]"], [FACTORS]),
        "getAmplificationParameter()": encode(
            ["uint256", "bool", "uint256"], [200_000, False, 1000]
        ),
        "getRateProviders()": encode(["address[]"], [["0x" + "00" * 20] * 3]),
        "getBptIndex()": encode(["uint256"], [2]),
        "getPoolTokens(bytes32)": encode(
            ["address[]", "uint256[]", "uint256"], [TOKENS, BALANCES, 9]
        ),
    }  # fmt: skip
    getters |= {f"{name}()": answer for name, answer in changes.items()}
    return {keccak(text=name)[:4]: answer for name, answer in getters.items()}


def run(read: reads.Read, getters: dict[bytes, bytes]) -> dict[str, Any]:
    def call(to: str, data: bytes) -> bytes:
        if data[:4] == keccak(text="decimals()")[:4]:
            return encode(["uint8"], [[18, 6, 18][TOKENS.index(to)]])
        if data[:4] == keccak(text="getPoolTokens(bytes32)")[:4]:
            assert to == VAULT
            assert decode(["bytes32"], data[4:]) == (POOL_ID,)
        else:
            assert to == POOL
        return getters[data[:4]]

    return reads.drive(read, call)


@pytest.mark.parametrize("oldest", [False, True])
def test_a_weighted_pool_is_read(oldest: bool) -> None:
    fields = run(balancer.read_weighted(VAULT, POOL, oldest), answers())
    assert fields == {
        "balances": BALANCES,
        "scaling_factors": FACTORS,
        "weights": [5 * 10**17, 3 * 10**17, 2 * 10**17],
        "swap_fee": 10**15,
        "pow_shortcuts": not oldest,
    }
    assert Pool("balancer_weighted", fields).fields() == fields


@pytest.mark.parametrize("own_token", [True, False])
def test_a_stable_pool_is_read(own_token: bool) -> None:
    fields = run(balancer.read_stable(VAULT, POOL, own_token, not own_token), answers())
    expected = {
        "balances": BALANCES,
        "scaling_factors": FACTORS,
        "swap_fee": 10**15,
        "amp": 200_000,
        "amp_precision": 1000,
        "invariant_round_up": not own_token,
    }
    assert fields.pop("drifts") is False
    assert fields == expected | ({"bpt_index": 2} if own_token else {})
    assert Pool("balancer_composable_stable", fields).fields() == fields


PROVIDED = encode(["address[]"], [["0x" + "00" * 20, POOL]])
RAMPING = encode(["uint256", "bool", "uint256"], [200_000, True, 1000])


@pytest.mark.parametrize(
    ("changes", "drifts"),
    [
        ({}, False),
        ({"getRateProviders": Failed("reverted")}, False),  # the oldest pools know of none
        ({"getRateProviders": PROVIDED}, True),
        ({"getAmplificationParameter": RAMPING}, True),
    ],
)
def test_a_stable_pool_drifts_with_its_rates_and_its_amp(
    changes: dict[str, bytes], drifts: bool
) -> None:
    assert run(balancer.read_stable(VAULT, POOL), answers(**changes))["drifts"] is drifts


def test_an_answer_of_another_contract_is_named() -> None:
    with pytest.raises(DataError, match=f"getScalingFactors of {POOL}: expected "):
        run(balancer.read_stable(VAULT, POOL), answers(getScalingFactors=b""))
