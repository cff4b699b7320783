"""The connection against a real node: requests, batches, subscriptions, the hot half, raw sends."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import uvloop
from picows import WSFrame

from mevfast import _wire
from mevfast.chain.rpc import FIRST_HOT_ID, Rpc, check_chain_id
from mevfast.devnet.node import Anvil
from mevfast.errors import NodeError, RpcError

pytestmark = pytest.mark.devnet

# Runtime code that emits as many logs (64 bytes of data, topic 0x11) as its input says: PUSH1 0
# CALLDATALOAD, loop: DUP1 ISZERO PUSH1 end JUMPI, LOG1(0, 64, 0x11), 1 SWAP1 SUB, loop JUMP.
EMITTER = "6000355b8015601757601160406000a1600190036003565b00"
DEPLOY_EMITTER = "0x6019600c60003960196000f3" + EMITTER


class Feed:
    """A hot half in Python: decodes what it is fed and keeps it, read by read."""

    def __init__(self) -> None:
        self.reads: list[list[dict[str, Any]]] = []
        self._fed: list[dict[str, Any]] = []

    def feed(self, frame: WSFrame) -> bool:
        return self.feed_bytes(frame.get_payload_as_bytes())

    def feed_bytes(self, message: bytes) -> bool:
        event = _wire.parse(message)
        if event is not None:
            self._fed.append(event)
        return event is not None

    def flush(self) -> None:
        if self._fed:
            self.reads.append(self._fed)
            self._fed = []

    def of(self, message: str) -> list[dict[str, Any]]:
        assert not self._fed  # everything fed has been flushed
        return [event for read in self.reads for event in read if event["message"] == message]


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil(block_time=0) as running:
        yield running


async def transact(rpc: Rpc, **transaction: str) -> dict[str, Any]:
    """The receipt of a transaction of the node's first test account."""
    [sender, *_] = await rpc.request("eth_accounts")
    sent = {"from": sender, "gas": "0x200000"} | transaction
    tx_hash = await rpc.request("eth_sendTransaction", [sent])
    async with asyncio.timeout(30):
        while not (receipt := await rpc.request("eth_getTransactionReceipt", [tx_hash])):
            await asyncio.sleep(0.01)
    assert receipt["status"] == "0x1"
    return dict(receipt)


def test_requests_and_errors(node: Anvil) -> None:
    async def check() -> None:
        async with await Rpc.connect(node.ws_url) as rpc:
            await check_chain_id(rpc, node.chain_id)
            with pytest.raises(NodeError, match="expected chain id 1, node has 42161"):
                await check_chain_id(rpc, 1)
            assert int(
                await rpc.request("eth_getBalance", [node.dev_accounts[0].address, "latest"]), 16
            )
            with pytest.raises(RpcError) as caught:
                await rpc.request("eth_getBalance", ["0x12", "latest"])
            assert (caught.value.method, caught.value.code) == ("eth_getBalance", -32602)
            assert rpc.calls == {"eth_chainId": 2, "eth_getBalance": 2}
            assert rpc.requests_sent == 4
            assert rpc.bytes_in > 100
            assert rpc.bytes_out > 200
            assert not rpc._pending

    uvloop.run(check())


def test_batches_keep_order_and_are_counted_both_ways(node: Anvil) -> None:
    async def check() -> None:
        async with await Rpc.connect(node.ws_url) as rpc:
            # Code that returns its own input: the answer tells which call it belongs to.
            echo = {"0x" + "ec" * 20: {"code": "0x6020600060003760206000f3"}}
            calls = [
                ("eth_call", [{"to": "0x" + "ec" * 20, "data": f"0x{i:064x}"}, "latest", echo])
                for i in range(1234)
            ]
            calls[700] = ("eth_getBalance", ["0x12", "latest"])
            progress: list[int] = []
            results = await rpc.batch(calls, lambda done, total: progress.append(done))
            assert isinstance(results[700], RpcError)
            assert [int(r, 16) for i, r in enumerate(results) if i != 700] == [
                i for i in range(1234) if i != 700
            ]
            assert rpc.calls == {"eth_call": 1233, "eth_getBalance": 1}
            assert rpc.requests_sent == 13
            assert progress == sorted(progress)
            assert progress[-1] == 1234

    uvloop.run(check())


def test_logs_and_heads_reach_the_hot_half(node: Anvil) -> None:
    async def check() -> None:
        hot, cold = Feed(), list[dict[str, Any]]()
        async with (
            await Rpc.connect(node.ws_url, hot=hot, on_notification=cold.append) as rpc,
            await Rpc.connect(node.ws_url) as trader,
        ):
            logs, heads = await rpc.subscribe("logs", {}), await rpc.subscribe("newHeads")
            pending = await rpc.subscribe("newPendingTransactions")
            assert len({logs, heads, pending}) == 3
            emitter = (await transact(trader, data=DEPLOY_EMITTER))["contractAddress"]
            counts = [0, 1, 2, 30, 7]
            receipts = [
                await transact(trader, to=emitter, data=f"0x{count:064x}") for count in counts
            ]
            async with asyncio.timeout(30):
                while len(hot.of("log")) < sum(counts) or len(hot.of("head")) < 6:
                    await asyncio.sleep(0.01)
        expected = [log for receipt in receipts for log in receipt["logs"]]
        seen = hot.of("log")
        assert [(log["block_hash"].hex(), log["log_index"]) for log in seen] == [
            (log["blockHash"][2:], int(log["logIndex"], 16)) for log in expected
        ]
        assert all(log["topic0"] == (0x11).to_bytes(32, "big") for log in seen)
        assert all(log["words"] == [0, 0] for log in seen)
        numbers = [head["number"] for head in hot.of("head")]
        assert numbers == list(range(numbers[0], numbers[0] + 6))
        assert [head["parent_hash"] for head in hot.of("head")][1:] == [
            head["hash"] for head in hot.of("head")
        ][:-1]
        assert {message["params"]["subscription"] for message in cold} == {pending}
        assert rpc.notifications == len(cold) == 6

    uvloop.run(check())


def test_raw_transaction_is_answered_by_callback(node: Anvil) -> None:
    async def check() -> None:
        answers: asyncio.Queue[tuple[int, Any, RpcError | None]] = asyncio.Queue()

        def answered(request_id: int, result: Any, error: RpcError | None) -> None:
            answers.put_nowait((request_id, result, error))

        async with await Rpc.connect(node.ws_url, on_hot_answer=answered) as rpc:
            account = node.dev_accounts[7]
            transaction = {
                "from": account.address,
                "to": account.address,
                "nonce": await rpc.request("eth_getTransactionCount", [account.address, "latest"]),
                "gas": "0x5208",
                "gasPrice": "0x3b9aca00",
                "value": "0x1",
            }
            raw = await rpc.request("eth_signTransaction", [transaction])

            async def send(request_id: int) -> tuple[int, Any, RpcError | None]:
                request = {"jsonrpc": "2.0", "id": request_id, "params": [raw]}
                rpc.send_raw(orjson.dumps(request | {"method": "eth_sendRawTransaction"}))
                async with asyncio.timeout(30):
                    return await answers.get()

            first, second = await send(FIRST_HOT_ID), await send(FIRST_HOT_ID + 1)
            assert first[0] == FIRST_HOT_ID
            assert first[2] is None
            receipt = await rpc.request("eth_getTransactionReceipt", [first[1]])
            assert receipt["from"] == account.address.lower()
            assert second[:2] == (FIRST_HOT_ID + 1, None)
            assert second[2] is not None
            assert "nonce too low" in str(second[2]) or "already" in str(second[2])
            assert rpc.calls["eth_sendRawTransaction"] == 2

    uvloop.run(check())


def test_killed_node_is_noticed_at_once() -> None:
    async def check() -> None:
        lost: asyncio.Future[NodeError] = asyncio.get_running_loop().create_future()
        with Anvil(block_time=None) as doomed:
            # No ping would find out within this test.
            rpc = await Rpc.connect(
                doomed.ws_url, request_timeout=120, on_disconnect=lost.set_result
            )
            await rpc.subscribe("newHeads")
            os.kill(doomed.pid, signal.SIGKILL)
            async with asyncio.timeout(60):
                error = await lost
            assert doomed.ws_url in str(error)
            with pytest.raises(NodeError):
                await rpc.request("eth_blockNumber")
            await rpc.close()

    uvloop.run(check())
