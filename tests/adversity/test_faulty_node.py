"""The faulty node itself: what anvil does in a reorg, and that each fault does what it says.

What anvil 1.7.1 sends over subscriptions when `anvil_reorg(depth, [[transaction, index], ...])`
replaces the newest blocks, as the first test holds it to:
- `newHeads` announces each new block, from the lowest number up: the same numbers again with other
  hashes, the first one on the parent of the oldest block that was replaced. No head is sent of what
  was taken back.
- `logs` announces the logs of the new blocks like any others. `removed: true` never comes.
- The new blocks are empty but for the transactions given: requests as in eth_sendTransaction, by
  accounts of anvil's own, `index` counted from the lowest new block; several may share a block, and
  nonces are filled in. Transactions of the old blocks are lost: none of them returns to the pool,
  and the nonces of their senders go back.
- `eth_getLogs` and `eth_getBlockByNumber` tell of the new branch alone.
- heads and logs are two streams: either may be ahead of the other.
Neither `evm_revert` nor `anvil_rollback` announces anything; the next block's head does.
"""

import asyncio
import random
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from tests.adversity import block_faults
from tests.adversity.faults import CATALOGUE
from tests.adversity.faulty_node import FaultyNode
from tests.adversity.ordeal import Ordeal
from tests.chain.engine_stage import on_loop
from tests.chain.executor_stage import Stage, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

WAIT_S = 0.3
"""Of silence, until nothing more is waited for."""
FIRST_S = 20.0
"""For the first of some messages: on an idle machine it comes at once."""


class Client:
    """A client that writes down what it is told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[Any] = []

    async def ask(self, method: str, *params: Any) -> Any:
        """The answer, whatever its id; notifications before it are written down."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        await self.socket.send(orjson.dumps(call).decode())
        while True:
            message = orjson.loads(await self.socket.recv())
            if "method" not in message:
                return message
            self.messages.append(message["params"]["result"])

    async def hear(self, some: bool = True) -> list[Any]:
        """Notifications until none comes for a while; texts that are no JSON as they are.

        `some`: there are to be some, and the first one is waited for.
        """
        self.messages = []
        while True:
            try:
                async with asyncio.timeout(WAIT_S if self.messages or not some else FIRST_S):
                    text = await self.socket.recv()
            except TimeoutError:
                return self.messages
            try:
                self.messages.append(orjson.loads(text)["params"]["result"])
            except orjson.JSONDecodeError:
                self.messages.append(text)


async def listening(url: str) -> Client:
    """A client of heads and all logs."""
    client = Client(await connect(url, max_size=None, compression=None, ping_interval=None))
    await client.ask("eth_subscribe", "newHeads")
    await client.ask("eth_subscribe", "logs", {})
    return client


def places(messages: list[Any]) -> list[tuple[int, int]]:
    """Block and log index of each message; -1 for the head."""
    return [
        (int(each["number"], 16), -1)
        if "parentHash" in each
        else (int(each["blockNumber"], 16), int(each["logIndex"], 16))
        for each in messages
    ]


@on_loop
async def test_what_anvil_says_of_a_reorg(stage: Stage) -> None:
    async with FaultyNode(stage.node.port) as node:
        scene = Ordeal(stage, node, random.Random(5))
        for _ in range(4):
            scene.block()
        client = await listening(stage.node.ws_url)  # anvil's own
        tip = scene.tip
        parent = stage.node.rpc("eth_getBlockByNumber", hex(tip - 3), False)["hash"]
        scene.reorg(3, busy=True)
        told = await client.hear()
        heads = [each for each in told if "parentHash" in each]
        logs = [each for each in told if "topics" in each]
        assert [int(each["number"], 16) for each in heads] == [tip - 2, tip - 1, tip]
        assert [each["parentHash"] for each in heads] == [
            parent, heads[0]["hash"], heads[1]["hash"],
        ]  # fmt: skip
        assert logs
        assert not any(each["removed"] for each in logs)
        assert {each["blockHash"] for each in logs} <= {each["hash"] for each in heads}
        known = stage.node.rpc("eth_getLogs", {"fromBlock": hex(tip - 2), "toBlock": hex(tip)})
        assert sorted(places(logs)) == sorted(places(known))
        assert int(stage.node.rpc("txpool_status")["pending"], 16) == 0
        await client.socket.close()


async def announced(stage: Stage, name: str, blocks: int = 3) -> tuple[list[Any], list[Any]]:
    """What a client is told of some blocks by a good node, and by one with the fault."""
    async with FaultyNode(stage.node.port) as good, FaultyNode(stage.node.port) as bad:
        scene = Ordeal(stage, bad, random.Random(3))
        clients = [await listening(node.url) for node in (good, bad)]
        await CATALOGUE[name].strike(scene)
        for _ in range(blocks):
            scene.block()
        told = [await client.hear() for client in clients]
        assert bad.struck == [name]
        for client in clients:
            await client.socket.close()
    return told[0], told[1]


@on_loop
async def test_a_good_node_tells_each_block_whole_and_in_order(stage: Stage) -> None:
    async with FaultyNode(stage.node.port) as node:
        scene = Ordeal(stage, node, random.Random(3))
        client = await listening(node.url)
        first = scene.tip + 1
        for _ in range(5):
            scene.block()
        told = places(await client.hear())
        query = {"fromBlock": hex(first), "toBlock": "latest"}
        logs = places(stage.node.rpc("eth_getLogs", query))
        by_block = [[*(each for each in logs if each[0] == n), (n, -1)]
                    for n in range(first, first + 5)]  # fmt: skip
        assert told == [each for block in by_block for each in block]
        assert node.stragglers == 0
        await client.socket.close()


@pytest.mark.parametrize("name", ["shuffled_logs", "shuffled_blocks", "logs_of_next_first",
                                  "logs_after_head", "logs_after_next_head",
                                  "head_after_next_logs"])  # fmt: skip
def test_what_comes_in_another_order_comes_whole(stage: Stage, name: str) -> None:
    @on_loop
    async def play() -> None:
        good, bad = await announced(stage, name)
        assert bad != good
        assert sorted(places(bad)) == sorted(places(good))

    play()


@pytest.mark.parametrize(
    ("name", "heads", "logs"),
    [("lost_log", 0, 1), ("lost_logs", 0, None), ("lost_head", 1, 0), ("lost_block", 1, None),
     ("lost_blocks", 2, None)],
)  # fmt: skip
def test_what_is_lost_does_not_come(stage: Stage, name: str, heads: int, logs: int | None) -> None:
    @on_loop
    async def play() -> None:
        good, bad = await announced(stage, name)
        lost = sorted(set(places(good)) - set(places(bad)))
        assert set(places(bad)) < set(places(good))
        assert len([each for each in lost if each[1] == -1]) == heads
        of_logs = len([each for each in lost if each[1] >= 0])
        assert of_logs == logs if logs is not None else of_logs > 1

    play()


@pytest.mark.parametrize("name", ["strange_json", "upper_hex", "fragments", "ping_flood"])
def test_another_form_says_the_same(stage: Stage, name: str) -> None:
    @on_loop
    async def play() -> None:
        good, bad = await announced(stage, name)
        assert places(bad) == places(good)
        for mine, theirs in zip(good, bad, strict=True):
            assert {key: str(theirs[key]).lower() for key in mine} == {
                key: str(value).lower() for key, value in mine.items()
            }
        if name in ("strange_json", "upper_hex"):
            assert bad != good

    play()


@pytest.mark.parametrize("name", ["repeated_frames", "repeated_block", "repeated_logs"])
def test_what_is_repeated_is_nothing_new(stage: Stage, name: str) -> None:
    @on_loop
    async def play() -> None:
        good, bad = await announced(stage, name)
        assert len(bad) > len(good)
        assert set(places(bad)) == set(places(good))

    play()


@pytest.mark.parametrize(
    "name", ["false_alarm", "false_alarm_of_one", "unknown_pool", "future_log", "giant_log"]
)
def test_a_lie_comes_beside_the_truth(stage: Stage, name: str) -> None:
    @on_loop
    async def play() -> None:
        good, bad = await announced(stage, name)
        lies = [each for each in bad if each not in good]
        assert [each for each in bad if each in good] == good
        assert lies
        if "alarm" in name:
            assert all(each["removed"] for each in lies)
        elif name == "future_log":
            assert places(lies)[0][0] > 10**6
        else:
            assert lies[0]["address"] not in {each.get("address") for each in good}
        assert name != "giant_log" or len(lies[0]["data"]) > block_faults.GIANT_LOG

    play()


@on_loop
async def test_a_true_reorg_may_be_told_with_removed_logs(stage: Stage) -> None:
    async with FaultyNode(stage.node.port) as node:
        node.announces_removed = True
        scene = Ordeal(stage, node, random.Random(3))
        client = await listening(node.url)
        for _ in range(3):
            scene.block()
        before = await client.hear()
        scene.reorg(2, busy=True)
        told = await client.hear()
        gone = [each for each in told if each.get("removed")]
        tip = scene.tip
        assert places(gone) == [
            each for each in reversed(places(before)) if each[0] > tip - 2 and each[1] >= 0
        ]
        assert told[: len(gone)] == gone
        await client.socket.close()


@on_loop
async def test_a_node_that_is_behind_knows_nothing_of_newer_blocks(stage: Stage) -> None:
    async with FaultyNode(stage.node.port) as node:
        scene = Ordeal(stage, node, random.Random(3))
        for _ in range(4):
            scene.block()
        node.behind = 2
        client = await listening(node.url)
        tip = scene.tip
        assert (await client.ask("eth_blockNumber"))["result"] == hex(tip - 2)
        latest = (await client.ask("eth_getBlockByNumber", "latest", False))["result"]
        assert latest["number"] == hex(tip - 2)
        assert (await client.ask("eth_getBlockByNumber", hex(tip - 1), False))["result"] is None
        newer = stage.node.rpc("eth_getBlockByNumber", hex(tip), True)
        assert (await client.ask("eth_getBlockByHash", newer["hash"], False))["result"] is None
        mined = newer["transactions"][0]["hash"]
        assert (await client.ask("eth_getTransactionReceipt", mined))["result"] is None
        refused = await client.ask("eth_getBalance", stage.market.weth, hex(tip))
        assert refused["error"]["message"] == "header not found"
        query = {"fromBlock": hex(tip - 3), "toBlock": hex(tip)}
        logs = (await client.ask("eth_getLogs", query))["result"]
        assert {int(each["blockNumber"], 16) for each in logs} == {tip - 3, tip - 2}
        assert await client.hear(some=False) == []
        scene.block()
        heads = [place[0] for place in places(await client.hear()) if place[1] == -1]
        assert heads == [tip - 1]
        node.heal()
        heads = [place[0] for place in places(await client.hear()) if place[1] == -1]
        assert heads == [tip, tip + 1]
        await client.socket.close()


@pytest.mark.parametrize("name", ["cut", "going_away", "restarting"])
def test_a_connection_ends(stage: Stage, name: str) -> None:
    @on_loop
    async def play() -> None:
        async with FaultyNode(stage.node.port) as node:
            client = await listening(node.url)
            await CATALOGUE[name].strike(Ordeal(stage, node, random.Random(3)))
            with pytest.raises(ConnectionClosed) as caught:
                await client.socket.recv()
            code = caught.value.rcvd.code if caught.value.rcvd else None
            assert code == {"cut": None, "going_away": 1001, "restarting": 1012}[name]

    play()


@pytest.mark.parametrize("name", ["silent", "half_open"])
def test_a_connection_stays_open_and_says_nothing(stage: Stage, name: str) -> None:
    @on_loop
    async def play() -> None:
        async with FaultyNode(stage.node.port) as node:
            scene = Ordeal(stage, node, random.Random(3))
            client = await listening(node.url)
            await CATALOGUE[name].strike(scene)
            scene.block()
            assert await client.hear(some=False) == []
            pong = await client.socket.ping()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await pong
            client.socket.transport.abort()

    play()


@pytest.mark.parametrize(
    ("name", "status"), [("bad_gateway", 502), ("too_many_requests", 429), ("hung_up", None)]
)
def test_a_handshake_is_refused(stage: Stage, name: str, status: int | None) -> None:
    @on_loop
    async def play() -> None:
        async with FaultyNode(stage.node.port) as node:
            await CATALOGUE[name].strike(Ordeal(stage, node, random.Random(3)))
            with pytest.raises((InvalidStatus, InvalidMessage)) as caught:
                await connect(node.url)
            if status:
                assert caught.value.response.status_code == status
            node.heal()
            await (await connect(node.url)).close()

    play()
