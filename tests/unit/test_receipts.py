"""What a receipt says: net token changes of one account, and the verdict on a prediction."""

from typing import Any

import pytest

from mevfast.execution.receipts import TRANSFER, balance_changes, verdict

US = "0x" + "aB" * 20
POOL = "0x" + "11" * 20
WETH, USDC = "0x" + "Ee" * 20, "0x" + "dd" * 20


def word(address: str) -> str:
    return "0x" + "00" * 12 + address[2:].lower()


def transfer(token: str, sender: str, receiver: str, amount: int) -> dict[str, Any]:
    topics = [TRANSFER, word(sender), word(receiver)]
    return {"address": token, "topics": topics, "data": f"0x{amount:064x}"}


def test_what_comes_and_goes_is_netted_by_token() -> None:
    logs = [
        transfer(WETH, POOL, US, 2**255),
        transfer(USDC, POOL, US, 7),
        transfer(USDC, US, POOL, 7),
        transfer(WETH, US, POOL, 2**255 - 5),
        transfer(USDC, POOL, WETH, 1000),  # between others
    ]
    assert balance_changes(logs, US) == {WETH.lower(): 5}
    assert balance_changes(logs, POOL) == {WETH.lower(): -5, USDC.lower(): -1000}


def test_a_transfer_to_oneself_changes_nothing() -> None:
    assert balance_changes([transfer(WETH, US, US, 3)], US) == {}


def test_only_transfers_of_erc20_count() -> None:
    approval = transfer(WETH, POOL, US, 3)
    approval["topics"][0] = "0x" + "8c" * 32
    nft = transfer(WETH, POOL, US, 3)
    nft["topics"].append("0x" + "00" * 32)  # ERC-721 indexes the token id
    anonymous = {"address": WETH, "topics": [], "data": "0x"}
    assert balance_changes([approval, nft, anonymous], US) == {}


@pytest.mark.parametrize("data", ["0x", "0x" + "00" * 64])
def test_an_event_that_only_looks_like_a_transfer_is_none(data: str) -> None:
    odd = transfer(USDC, POOL, US, 1) | {"data": data}
    assert balance_changes([odd, transfer(WETH, POOL, US, 2)], US) == {WETH.lower(): 2}


@pytest.mark.parametrize(
    ("predicted", "explained", "realised", "outcome"),
    [
        (5, 5, 5, "exact"),
        (5, None, 5, "exact"),
        (5, 4, 5, "exact"),
        (5, 4, 4, "explained"),
        (5, 4, 3, "unexplained"),
        (5, None, 4, "unexplained"),
        (5, 5, 6, "unexplained"),  # more than predicted is as wrong as less
    ],
)
def test_verdict(predicted: int, explained: int | None, realised: int, outcome: str) -> None:
    assert verdict(predicted, explained, realised) == outcome
