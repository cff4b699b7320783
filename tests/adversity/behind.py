"""The answers of a node that does not know the newest blocks, as go-ethereum would give them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.adversity.faulty_node import Session

BLOCK_PARAMETER = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
    "eth_getBlockByNumber": 0,
    "eth_getBlockReceipts": 0,
}
NAMES = ("latest", "pending", "safe", "finalized")


class UnknownBlockError(Exception):
    """The call names a block that this node has not seen yet."""


async def answer_behind(session: "Session", call: dict[str, Any], visible: int) -> dict[str, Any]:
    """The answer to a call where `visible` is the newest block there is."""
    method, params = call["method"], list(call["params"])
    if method == "eth_blockNumber":
        return result(call, hex(visible))
    try:
        if method in BLOCK_PARAMETER and len(params) > BLOCK_PARAMETER[method]:
            index = BLOCK_PARAMETER[method]
            params[index] = await _known(session, params[index], visible)
        elif method == "eth_getLogs":
            params[0] = await _known_range(session, params[0], visible)
            if params[0] is None:
                return result(call, [])
        elif method == "eth_getBlockByHash":
            await _known(session, {"blockHash": params[0]}, visible)
    except UnknownBlockError:
        if method.startswith("eth_getBlock"):
            return result(call, None)
        return refusal(call, -32000, "header not found")
    answer = await session.ask_pinned(call | {"params": params})
    found = answer.get("result")
    number = found.get("blockNumber") if isinstance(found, dict) else None
    if number is not None and int(number, 16) > visible:  # a receipt, or a transaction
        return result(call, None)
    return answer


async def _known(session: "Session", block: Any, visible: int) -> Any:
    """The block parameter with the names of the newest block replaced; UnknownBlockError."""
    if isinstance(block, dict):
        if "blockNumber" in block:
            return {"blockNumber": await _known(session, block["blockNumber"], visible)}
        header = await session.result("eth_getBlockByHash", block["blockHash"], False)
        if header is None or int(header["number"], 16) > visible:
            raise UnknownBlockError
        return block
    if block in NAMES:
        return hex(visible)
    if block.startswith("0x") and int(block, 16) > visible:
        raise UnknownBlockError
    return block


async def _known_range(session: "Session", query: Any, visible: int) -> Any:
    """The filter cut to the blocks there are; None where it has none of them."""
    if "blockHash" in query:
        await _known(session, {"blockHash": query["blockHash"]}, visible)
        return query
    first, last = (query.get(name, "latest") for name in ("fromBlock", "toBlock"))
    first = hex(visible) if first in NAMES else first
    last = hex(visible) if last in NAMES or int(last, 16) > visible else last
    if first.startswith("0x") and int(first, 16) > visible:
        return None
    return query | {"fromBlock": first, "toBlock": last}


def result(call: dict[str, Any], value: Any) -> dict[str, Any]:
    """An answer with a result."""
    return {"jsonrpc": "2.0", "id": call["id"], "result": value}


def refusal(call: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    """An answer with an error."""
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}
