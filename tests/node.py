"""A node made of Python, for discovery and loading: logs of blocks, and calls by a function."""

from collections import Counter
from typing import Any

from mevfast.errors import NodeError, RpcError


def hex_words(*values: int | bytes) -> str:
    """ABI words, integers and bytes aligned to the right."""
    numbers = [int.from_bytes(v, "big") if isinstance(v, bytes) else v for v in values]
    return "0x" + "".join(f"{number % 2**256:064x}" for number in numbers)


class Node:
    """Serves logs of at most `widest` blocks a request, and what `call` says of contracts.

    `failure`, `calls` and `requests_sent` are as in Rpc.
    """

    def __init__(self, logs: list[dict[str, Any]], widest: int = 10**9) -> None:
        self.logs, self.widest = logs, widest
        self.ranges: list[tuple[int, int]] = []
        self.queries: list[dict[str, Any]] = []
        self.refusals = 0
        self.failure: NodeError | None = None
        self.calls: Counter[str] = Counter()
        self.messages = 0
        self.blocks: set[str] = set()

    def call(self, to: str, data: bytes, block: int) -> bytes:
        """What an eth_call is answered; by default everything reverts."""
        raise RpcError("eth_call", 3, "execution reverted")

    def refusal(self, first: int, last: int) -> RpcError | None:
        """Why logs of these blocks are not given."""
        if last - first + 1 > self.widest:
            return RpcError("eth_getLogs", -32005, "query returned more than 10000 results")
        return None

    async def request(self, method: str, params: list[Any]) -> Any:
        """One answer, or RpcError."""
        self.calls[method] += 1
        if method == "eth_call":
            asked, block = params
            self.blocks.add(block)
            data = bytes.fromhex(asked["data"][2:])
            return "0x" + self.call(asked.get("to", ""), data, int(block, 16)).hex()
        assert method == "eth_getLogs"
        [query] = params
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        refused = self.refusal(first, last)
        if refused is not None:
            self.refusals += 1
            raise refused
        self.ranges.append((first, last))
        self.queries.append(query)
        addresses = [address.lower() for address in query.get("address", [])]
        return [
            log
            for log in self.logs
            if (not addresses or log["address"].lower() in addresses)
            and log["topics"][0] in query["topics"][0]
            and first <= int(log["blockNumber"], 16) <= last
        ]

    async def batch(self, calls: list[Any], batch_size: int = 100) -> list[Any]:
        """Answers, RpcErrors among them."""
        self.messages += -(-len(calls) // batch_size)
        answers: list[Any] = []
        for method, params in calls:
            try:
                answers.append(await self.request(method, params))
            except RpcError as error:
                answers.append(error)
        return answers
