"""Two nodes on one chain: where the first fails the engine goes on with the second, and returns."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.adversity.behind import result
from tests.adversity.fake_node import Peer
from tests.adversity.faults import CATALOGUE
from tests.adversity.faulty_node import Answers, Ask, Call, FaultyNode, Rule
from tests.adversity.ordeal import QUICK_TIMEOUTS, Ordeal, ordeal
from tests.chain.engine_stage import on_loop
from tests.chain.executor_stage import Stage, stage, theatre

pytestmark = pytest.mark.devnet

__all__ = ["stage", "theatre"]  # fixtures

NEVER_S = 3600.0
SOON_S = 0.3


async def _hang_up(_: Peer) -> bool:
    return False


def shut(node: FaultyNode) -> None:
    """It takes no new connection."""
    node.greet = _hang_up


async def down(node: FaultyNode) -> None:
    """It ends every connection and takes no new one."""
    shut(node)
    await node.cut("down")


def up(node: FaultyNode) -> None:
    """It serves again."""
    node.heal()


@asynccontextmanager
async def two_nodes(
    stage: Stage, return_after_s: float = NEVER_S, **settings: Any
) -> AsyncIterator[tuple[Ordeal, FaultyNode, FaultyNode]]:
    """An engine that is live on the first of two nodes: itself, the first, the second."""
    chance = random.Random(settings.pop("seed", 1))
    async with (
        FaultyNode(stage.node.port) as second,
        ordeal(
            stage, chance, fallbacks=[second], return_after_s=return_after_s,
            **({"first_trade": False} | settings),
        ) as each,
    ):  # fmt: skip
        yield each, each.node, second


async def goes_on(each: Ordeal, on: FaultyNode, *others: FaultyNode) -> None:
    """True again, and it trades through this node, through no other."""
    await each.until(lambda: on.sessions and each.live, "the engine is live on the other node")
    sent = [len(node.sends) for node in others]
    before = len(on.sends)
    await each.recovers()
    assert len(on.sends) > before
    assert [len(node.sends) for node in others] == sent


@on_loop
async def test_the_second_node_takes_over_and_keeps_the_engine(stage: Stage) -> None:
    async with two_nodes(stage) as (each, first, second):
        assert not second.connections  # no node is paid for that is not needed
        await down(first)
        each.block()
        await goes_on(each, second, first)
        each.explains(CATALOGUE["cut"])
        up(first)
        await each.recovers()
        assert second.sessions  # it has not been asked to return so soon
        assert not first.sessions


@on_loop
async def test_the_engine_returns_to_the_first_node(stage: Stage) -> None:
    async with two_nodes(stage, SOON_S) as (each, first, second):
        await down(first)
        each.block()
        await goes_on(each, second, first)
        up(first)
        await each.until(lambda: first.sessions and not second.sessions, "it is on the first node")
        await goes_on(each, first, second)


@on_loop
async def test_the_engine_does_not_return_to_a_node_that_is_behind(stage: Stage) -> None:
    async with two_nodes(stage, SOON_S) as (each, first, second):
        await down(first)
        each.block()
        await goes_on(each, second, first)
        up(first)
        first.behind = 8
        asked = first.connections
        await each.until(lambda: first.connections >= asked + 3, "the first node is looked at")
        assert second.sessions
        await goes_on(each, second, first)
        first.behind = 0
        await each.until(lambda: first.sessions and not second.sessions, "it is on the first node")
        await goes_on(each, first, second)


@on_loop
async def test_the_engine_starts_on_the_second_node_where_the_first_is_down(stage: Stage) -> None:
    async with two_nodes(stage, prepare=shut) as (each, first, second):
        await goes_on(each, second, first)


@pytest.mark.parametrize(
    "name",
    ["silent", "half_open", "bad_gateway", "too_many_requests", "handshake_never",
     "rate_limited", "rate_limited_reads", "reorg_while_away"],
)  # fmt: skip
def test_whatever_ails_the_first_node_the_engine_is_true_again(stage: Stage, name: str) -> None:
    fault = CATALOGUE[name]

    @on_loop
    async def play() -> None:
        # Elsewhere a busy machine must not make the engine change its node.
        timeouts: dict[str, Any] = QUICK_TIMEOUTS if fault.timeout else {}
        async with two_nodes(stage, **timeouts) as (each, first, second):
            await each.strike(fault, 0.5)
            for _ in range(3):
                each.block()
                await each.seen()
            await each.until(lambda: second.sessions, "it turns to the second node")
            await goes_on(each, second, first)

    play()


@on_loop
async def test_with_both_nodes_down_the_first_that_is_back_serves(stage: Stage) -> None:
    async with two_nodes(stage) as (each, first, second):
        shut(second)
        await down(first)
        tried = second.connections
        await each.until(lambda: second.connections >= tried + 3, "both are tried in turn")
        each.block()
        up(second)
        await goes_on(each, second, first)


@on_loop
async def test_the_engine_goes_back_where_the_second_node_fails(stage: Stage) -> None:
    async with two_nodes(stage) as (each, first, second):
        await down(first)
        each.block()
        await goes_on(each, second, first)
        up(first)
        await down(second)
        each.block()
        await goes_on(each, first, second)


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_second_node_that_is_behind_is_waited_for(stage: Stage, blocks: int) -> None:
    """Its newest head is older than what the engine has seen on the first one."""

    @on_loop
    async def play() -> None:
        async with two_nodes(stage) as (each, first, second):
            second.behind = blocks
            await down(first)
            for _ in range(3):
                each.block()
                await each.seen()
            up(second)
            await goes_on(each, second, first)

    play()


@on_loop
async def test_the_second_node_follows_another_branch(stage: Stage) -> None:
    """What the first node showed last never was."""
    async with two_nodes(stage) as (each, first, second):
        for _ in range(3):
            each.block()
            await each.seen()
        await down(first)
        each.reorg(4, busy=True)
        await goes_on(each, second, first)


@on_loop
async def test_a_second_node_of_another_chain_is_not_used(stage: Stage) -> None:
    async def other_chain(call: Call, _: Ask) -> Answers:
        return [result(call, "0x1")]

    async with two_nodes(stage) as (each, first, second):
        second.rules.append(Rule("chain 1", other_chain, frozenset(("eth_chainId",))))
        await down(first)
        each.block()
        await each.until(lambda: second.connections >= 2, "the second node is tried")
        assert not each.live
        assert not second.asked["eth_call"]
        up(first)
        await goes_on(each, first, second)


@pytest.mark.parametrize("seed", range(4))
def test_nodes_that_come_and_go(stage: Stage, seed: int) -> None:
    """One of them is always there; which one, changes."""

    @on_loop
    async def play() -> None:
        chance = random.Random(seed)
        async with two_nodes(stage, SOON_S, seed=seed) as (each, first, second):
            for _ in range(4):
                bad, good = chance.sample((first, second), 2)
                up(good)
                await down(bad)
                for _ in range(chance.randint(1, 3)):
                    each.block()
                    await each.seen()
                if chance.random() < 0.5:
                    each.reorg(chance.randint(1, 3), busy=True)
            up(first)
            up(second)
            await each.recovers()

    play()
