"""The market from the chain: which pools there are, and their states at one block.

The face of `dex`: discovery reads what venues announced (`discovery`, `ledger`), loading reads
states, many pools a call, all at one pinned block (`loading`). What is peculiar to a kind stands in
its family's module; `kinds` is the table of them.
"""

from typing import Any

from mevfast.chain.rpc import Rpc
from mevfast.dex.discovery import NOT_ADMITTED, admission, created, discover
from mevfast.dex.kinds import CREATION_TOPICS, INCOMPLETE, TOPICS
from mevfast.dex.ledger import Ledger
from mevfast.dex.loading import load
from mevfast.dex.ranges import all_logs
from mevfast.model import Loaded

__all__ = [
    "CREATION_TOPICS",
    "INCOMPLETE",
    "NOT_ADMITTED",
    "TOPICS",
    "Ledger",
    "Loaded",
    "admission",
    "created",
    "discover",
    "load",
    "logs",
]


async def logs(rpc: Rpc, start: int, end: int) -> list[dict[str, Any]]:
    """Every log of TOPICS in blocks `start` to `end`, both included, in the node's order.

    Raises NodeError where the node cannot answer.
    """
    return await all_logs(rpc, TOPICS, start, end)
