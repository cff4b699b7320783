"""What a mined transaction really did, read from its receipt and never from our own numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Transfer(address indexed from, address indexed to, uint256 value)"""


def balance_changes(logs: Sequence[Mapping[str, Any]], account: str) -> dict[str, int]:
    """Net change of an account's balance by token (lower-case address), from Transfer logs.

    Tokens that came and went in equal amounts are left out.
    """
    account = account.lower()
    changes: dict[str, int] = {}
    for log in logs:
        topics = log["topics"]
        # A word of data, or it is some contract's own event under the same name.
        if len(topics) != 3 or topics[0] != TRANSFER or len(log["data"]) != 66:
            continue
        sender, receiver = ("0x" + topic[26:].lower() for topic in topics[1:])
        value = int(log["data"], 16)
        token = log["address"].lower()
        if receiver == account:
            changes[token] = changes.get(token, 0) + value
        if sender == account:
            changes[token] = changes.get(token, 0) - value
    return {token: change for token, change in changes.items() if change}


def verdict(predicted: int, explained: int | None, realised: int) -> str:
    """exact, explained (somebody else's swap came first and accounts for it), or unexplained."""
    if realised == predicted:
        return "exact"
    return "explained" if realised == explained else "unexplained"
