"""Curve pools read by their getters: the calls, the states they make, and answers that are none."""

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from mevfast._pool import KINDS, Pool, Quote
from mevfast.dex import curve
from mevfast.dex.reads import calldata, drive
from mevfast.errors import DataError

POOL, *COINS = ("0x" + f"{k:02x}" * 20 for k in range(1, 9))


def node(answers: dict[tuple[str, bytes], bytes]) -> Callable[[str, bytes], bytes]:
    """Answers exactly these calls, each at least once."""
    return lambda to, data: answers[to, data]


def of(to: str, signature: str, value: Any, *arguments: int, as_type: str = "uint256") -> Any:
    return (to, calldata(signature, *arguments)), encode([as_type], [value])


NG = [
    of(POOL, "A_precise()", 20_000),
    of(POOL, "fee()", 4_000_000),
    of(POOL, "offpeg_fee_multiplier()", 2 * 10**10),
    of(POOL, "admin_fee()", 5 * 10**9),
    of(POOL, "get_balances()", [10**24, 10**12], as_type="uint256[]"),
    of(POOL, "stored_rates()", [10**18, 11 * 10**29], as_type="uint256[]"),
]


def test_an_ng_pool() -> None:
    fields = drive(curve.read_ng(POOL), node(dict(NG)))
    assert fields == {
        "amp_precise": 20_000,
        "fee": 4_000_000,
        "offpeg_fee_multiplier": 2 * 10**10,
        "admin_fee": 5 * 10**9,
        "balances": [10**24, 10**12],
        "rates": [10**18, 11 * 10**29],
    }
    assert Pool("curve_stable_ng", fields).fields() == fields


def test_a_plain_pool_whose_amplification_ramps() -> None:
    answers = dict(
        [
            of(POOL, "A_precise()", 20_033),
            of(POOL, "fee()", 4_000_000),
            of(POOL, "admin_fee()", 10**10),
            of(POOL, "balances(uint256)", 10**24, 0),
            of(POOL, "balances(uint256)", 10**12, 1),
        ]
    )
    fields = drive(curve.read_legacy(POOL, "plain", (18, 6)), node(answers))
    assert fields == {
        "shape": "plain",
        "amp_precise": 20_033,
        "fee": 4_000_000,
        "admin_fee": 10**10,
        "balances": [10**24, 10**12],
        "rates": [10**18, 10**30],
    }
    assert Pool("curve_stable", fields).fields() == fields


def test_a_lending_pool_asks_its_tokens_for_their_rates() -> None:
    price, exchange_rate = 1_040_000_000_000_000_000, 208_000_000_000_000
    answers = dict(
        [
            of(POOL, "A()", 300),
            of(POOL, "fee()", 4_000_000),
            of(POOL, "admin_fee()", 0),
            *(of(POOL, "balances(int128)", 10**12 * (k + 1), k) for k in range(3)),
            of(POOL, "coins(int128)", COINS[0], 0, as_type="address"),
            of(POOL, "coins(int128)", COINS[2], 2, as_type="address"),
            of(COINS[0], "getPricePerFullShare()", price),
            of(COINS[2], "exchangeRateCurrent()", exchange_rate),
        ]
    )
    getters = ("getPricePerFullShare()", "", "exchangeRateCurrent()")
    fields = drive(curve.read_legacy(POOL, "y_pool", (18, 6, 6), getters), node(answers))
    assert fields["rates"] == [price, 10**30, exchange_rate * 10**12]
    assert fields["balances"] == [10**12, 2 * 10**12, 3 * 10**12]
    assert (fields["shape"], fields["amp"], fields["admin_fee"]) == ("y_pool", 300, 0)
    assert isinstance(Pool("curve_stable", fields).quote(0, 10**9, token_out=2), Quote)


def test_an_early_pool_indexes_by_int128() -> None:
    answers = dict(
        [
            of(POOL, "A()", 100),
            of(POOL, "fee()", 4_000_000),
            of(POOL, "admin_fee()", 0),
            of(POOL, "balances(int128)", 10**8, 0),
            of(POOL, "balances(int128)", 10**8, 1),
        ]
    )
    fields = drive(curve.read_legacy(POOL, "3pool", (8, 8), index="int128"), node(answers))
    assert fields["rates"] == [10**28, 10**28]


def test_a_getter_that_does_not_answer_is_named() -> None:
    with pytest.raises(DataError, match=f"stored_rates of {POOL}: expected"):
        drive(curve.read_ng(POOL), node(dict(NG) | {(POOL, calldata("stored_rates()")): b""}))
    with pytest.raises(DataError, match=f"fee of {POOL}: expected"):
        drive(curve.read_ng(POOL), node(dict(NG) | {(POOL, calldata("fee()")): b"\1"}))


def test_events_are_the_ones_that_their_comments_name() -> None:
    arrays = ("uint256[2]", "uint256[3]", "uint256[4]", "uint256[]")
    signatures = {
        "TokenExchange(address,int128,uint256,int128,uint256)",
        "TokenExchangeUnderlying(address,int128,uint256,int128,uint256)",
        *(f"AddLiquidity(address,{x},{x},uint256,uint256)" for x in arrays),
        *(f"RemoveLiquidity(address,{x},{x},uint256)" for x in arrays),
        *(f"RemoveLiquidityImbalance(address,{x},{x},uint256,uint256)" for x in arrays),
        "RemoveLiquidityOne(address,uint256,uint256)",
        "RemoveLiquidityOne(address,uint256,uint256,uint256)",
        "RemoveLiquidityOne(address,int128,uint256,uint256,uint256)",
        "RampA(uint256,uint256,uint256,uint256)",
        "StopRampA(uint256,uint256)",
        "NewParameters(uint256,uint256,uint256)",
        "NewFee(uint256,uint256)",
        "ApplyNewFee(uint256,uint256)",
    }
    assert len(curve.EVENTS) == len(set(curve.EVENTS))
    assert set(curve.EVENTS) == {"0x" + keccak(text=text).hex() for text in signatures}
    assert set(curve.KINDS) <= set(KINDS)
