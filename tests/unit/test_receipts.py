"""What a receipt says a trade earned."""

from typing import Any

import pytest

from mevfast.execution.receipts import TRANSFER, balance_changes, verdict

US, POOL, OTHER = (f"0x{i:040x}" for i in (1, 2, 3))
WETH, USDC = (f"0x{i:040x}" for i in (0xA, 0xB))


def transfer(token: str, sender: str, receiver: str, amount: int, **changed: Any) -> dict[str, Any]:
    topics = [TRANSFER, *(f"0x{party[2:]:0>64}" for party in (sender, receiver))]
    return {"address": token, "topics": topics, "data": f"0x{amount:064x}"} | changed


def test_what_came_less_what_went() -> None:
    logs = [
        transfer(WETH, US, POOL, 100),
        transfer(USDC, POOL, US, 7),
        transfer(USDC, US, OTHER, 7),
        transfer(WETH, OTHER, US.upper().replace("0X", "0x"), 103),
        transfer(WETH, POOL, OTHER, 50),
    ]
    assert balance_changes(logs, US) == {WETH: 3}


@pytest.mark.parametrize("data", ["0x", "0x" + "00" * 64])
def test_an_event_that_only_looks_like_a_transfer_is_none(data: str) -> None:
    logs = [transfer(USDC, POOL, US, 1, data=data), transfer(WETH, POOL, US, 2)]
    assert balance_changes(logs, US) == {WETH: 2}


def test_a_token_by_number_is_no_amount() -> None:
    log = transfer(USDC, POOL, US, 0)
    log["topics"].append(f"0x{1:064x}")  # ERC-721
    assert balance_changes([log], US) == {}


@pytest.mark.parametrize(
    ("predicted", "explained", "realised", "outcome"),
    [
        (5, 5, 5, "exact"),
        (5, None, 5, "exact"),
        (5, 4, 4, "explained"),
        (5, 5, 4, "unexplained"),
        (5, None, 4, "unexplained"),
    ],
)
def test_verdict(predicted: int, explained: int | None, realised: int, outcome: str) -> None:
    assert verdict(predicted, explained, realised) == outcome
