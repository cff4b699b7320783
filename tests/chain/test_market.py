"""Discovery and loading of every venue, on real contracts: what is found and read is what the
contracts say, and quotes of it are what they pay."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from mevfast._pool import Pool, Quote
from mevfast.chain.rpc import Rpc
from mevfast.devnet.node import Anvil
from mevfast.dex import kinds, market
from mevfast.dex.ticks import without_gross
from mevfast.model import Loaded, PoolRecord
from tests.chain.venues_stage import OPTIONS, NodeEvm, Trading, Venue, announce, word
from tests.differential import (
    algebra,
    balancer,
    concentrated,
    pancake_v3,
    solidly,
    uniswap_v2,
    uniswap_v3,
    uniswap_v4,
)
from tests.differential.campaign import Outcome
from tests.differential.evm import number
from tests.differential.solidity import props

pytestmark = pytest.mark.devnet

POOLS = 5
SWAPS = 4
FAMILIES: dict[str, tuple[Any, Any, str]] = {  # module that makes the EVM, family, kind of venue
    "uniswap_v2": (uniswap_v2, uniswap_v2.UniswapV2, "uniswap_v2"),
    "uniswap_v3": (concentrated, uniswap_v3.UniswapV3, "uniswap_v3"),
    "pancake_v3": (concentrated, pancake_v3.PancakeV3, "pancake_v3"),
    "algebra_v1": (concentrated, algebra.AlgebraV1, "algebra_v1"),
    "algebra_limit_orders": (concentrated, algebra.LimitOrders, "algebra_integral"),
    "algebra_integral": (concentrated, algebra.Integral, "algebra_integral"),
    "uniswap_v4": (concentrated, uniswap_v4.UniswapV4, "uniswap_v4"),
    "solidly": (solidly, solidly.Solidly, "solidly"),
    "balancer_weighted": (balancer, balancer.BalancerWeighted, "balancer_v2"),
    "balancer_stable": (balancer, balancer.BalancerComposableStable, "balancer_v2"),
}

OWN_FEES = ("algebra_v1", "algebra_limit_orders")
"""Families whose pools compute another fee in the first swap of each second."""


@pytest.fixture
def evm() -> Iterator[NodeEvm]:
    """An empty chain."""
    with Anvil(block_time=None, extra_args=OPTIONS) as node:
        yield NodeEvm(node)


class Ground:
    """The pools of one family on a chain, and the venues that announced them."""

    def __init__(self, name: str, evm: NodeEvm, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.family, self.kind = FAMILIES[name]
        self.evm = evm
        monkeypatch.setattr(self.module, "Evm", lambda: evm)
        self.announcer = evm.deploy(props()["Announcer"])
        self.venues: dict[str, Venue] = {}
        self.pools: dict[bytes, Any] = {}
        self._ground = self.family()

    def create(self, rng: Random) -> None:
        """A new pool, announced."""
        if self.kind.startswith("algebra"):
            self._ground = self.family()  # its maker makes one pool only
        pool = self._ground.pool(rng)
        pool_id, venue = self._place(pool)
        self.venues[venue.address] = venue
        self.pools[pool_id] = pool

    def _place(self, pool: Any) -> tuple[bytes, Venue]:
        ground = self._ground
        if self.kind == "uniswap_v4":
            return _v4_id(pool), Venue("venue", self.kind, ground.manager)
        if self.kind == "balancer_v2":
            return pool.pool_id.to_bytes(32, "big"), Venue("venue", self.kind, ground.vault)
        address = bytes.fromhex(pool.address[2:])
        if self.kind in ("pancake_v3", "algebra_v1", "algebra_integral"):
            self._announce(pool)
            return address, Venue("venue", self.kind, self.announcer)
        factory = f"0x{self.evm.read(pool.address, 'factory()')[0]:040x}"
        fee = pool.fee_pips if self.kind == "uniswap_v2" else None
        return address, Venue(f"venue {factory}", self.kind, factory, fee)

    def _announce(self, pool: Any) -> None:
        topic = bytes.fromhex(kinds.VENUES[self.kind].topics[0][2:])
        tokens = [word(token) for token in self._ground.tokens]
        topics, values = [topic, *tokens], [number(pool.address)]
        if self.kind == "pancake_v3":
            topics, values = [*topics, word(pool.fee_pips)], [pool.spacing, *values]
        announce(self.evm, self.announcer, topics, *values)

    @property
    def trading(self) -> Any:
        """The config of it."""
        return Trading(tuple(self.venues.values()))

    @property
    def block(self) -> int:
        """The newest block."""
        return int(self.evm.node.rpc("eth_blockNumber"), 16)


def _v4_id(pool: Any) -> bytes:
    from eth_utils.crypto import keccak

    return bytes(keccak(b"".join(word(part) for part in pool.key)))


def ask(ground: Ground, multicall: str | None = None) -> tuple[list[PoolRecord], Loaded]:
    """What discovery and loading find at the newest block."""

    async def work() -> tuple[list[PoolRecord], Loaded]:
        async with await Rpc.connect(ground.evm.node.ws_url) as rpc:
            block = ground.block
            pools = await market.discover(rpc, ground.trading, block, multicall=multicall)
            return pools, await market.load(rpc, pools, block, multicall=multicall)

    return asyncio.run(work())


def heard(ground: Ground) -> list[PoolRecord]:
    """What the logs of the chain announce, as if they had come live."""
    topics = [sorted(market.CREATION_TOPICS)]
    logs = ground.evm.node.rpc("eth_getLogs", {"fromBlock": "0x0", "topics": topics})

    async def work() -> list[PoolRecord]:
        async with await Rpc.connect(ground.evm.node.ws_url) as rpc:
            return await market.created(rpc, ground.trading, logs, ground.block)

    return asyncio.run(work())


def normal(fields: dict[str, Any], kind: str) -> dict[str, Any]:
    """Fields with their defaults."""
    return Pool(kind, fields).fields()


def tokens_of(pool: Any, evm: NodeEvm) -> list[int]:
    """The pool's tokens, in its order, by what made it or by its getters."""
    key = getattr(pool, "key", None)
    if key:
        return list(key[:2])
    if isinstance(pool, balancer.BalancerPool):
        return pool.tokens
    return [evm.read(pool.address, name)[0] for name in ("token0()", "token1()")]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_found_and_read_is_what_the_contracts_say(
    name: str, evm: NodeEvm, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, rng = Ground(name, evm, monkeypatch), Random(f"market {name}")
    for _ in range(POOLS):
        ground.create(rng)
    pools, loaded = ask(ground)
    assert {pool.id for pool in pools} == {
        pool_id for pool_id, pool in ground.pools.items() if not _refused(pool)
    }
    assert loaded.failed == {}
    assert heard(ground) == pools
    through = ask(ground, evm.deploy(props()["Multicall3"]))
    assert through == (pools, loaded)
    quoted = 0
    for load in loaded.loads:
        pool = ground.pools[load.pool.id]
        kind = pool.kind
        assert load.pool.kind == kind
        expected = [int.from_bytes(token, "big") for token in load.pool.tokens]
        assert expected == tokens_of(pool, evm)
        assert normal(without_gross(load.state), kind) == normal(pool.fields(), kind)
        assert_gross(pool, load.state, evm)
        state = load.state if name not in OWN_FEES else freshly_read(ground, load.pool, rng)
        quoted += quotes(pool, Pool(kind, without_gross(state)), evm, rng)
    assert quoted > 0


def assert_gross(pool: Any, state: dict[str, Any], evm: NodeEvm) -> None:
    """What says when a tick leaves, too, is what the getter says."""
    if "ticks" in state and hasattr(pool, "address"):
        for tick, gross, _ in state["ticks"]:
            assert evm.read(pool.address, "ticks(int24)", tick)[0] == gross > 0


def _refused(pool: Any) -> bool:
    """Uniswap V4 pools of a dynamic fee are none to trade in."""
    key = getattr(pool, "key", None)
    return key is not None and bool(key[2] & uniswap_v4.DYNAMIC_FEE)


def freshly_read(ground: Ground, record: PoolRecord, rng: Random) -> dict[str, Any]:
    """The state right after a swap: until the clock moves on, the fee is the one that is stored."""
    pool = ground.pools[record.id]
    pool.now = 0  # what is drawn from here on happens at once
    for _ in range(SWAPS):
        swap = pool.draw(rng)
        if isinstance(pool.swap(swap, swap.ask(Pool(pool.kind, pool.fields()))), Outcome):
            break
    _, loaded = ask(ground)
    return next(load.state for load in loaded.loads if load.pool == record)


def quotes(market_pool: Any, pool: Pool, evm: NodeEvm, rng: Random) -> int:
    """Compares quotes with what the contract does at the same block; how many were compared."""
    compared = 0
    for _ in range(SWAPS):
        swap = market_pool.draw(rng)
        answer = swap.ask(pool)
        with evm.scratch():
            outcome = market_pool.swap(swap, answer)
        if isinstance(outcome, Outcome) and isinstance(answer, Quote):
            assert (outcome.amount_in, outcome.amount_out) == answer[:2], swap
            compared += 1
        else:
            assert isinstance(outcome, Outcome) == isinstance(answer, Quote), (swap, outcome)
    return compared


def test_what_is_no_pool_fails_alone(evm: NodeEvm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mute contract, an account, a pool without a price, a contract of another kind."""
    ground, rng = Ground("uniswap_v3", evm, monkeypatch), Random("no pool")
    ground.create(rng)
    topic = bytes.fromhex(kinds.VENUES["uniswap_v3"].topics[0][2:])
    tokens = [word(token) for token in ground._ground.tokens]
    factory = ground._ground.factory
    evm.call(factory, "createPool(address,address,uint24)", *ground._ground.tokens, 10_000)
    mute = evm.deploy(props()["StandIn"])
    account = "0x" + "77" * 20
    for bad in (mute, account, factory):
        announce(evm, ground.announcer, [topic, *tokens, word(500)], 10, number(bad))
    ground.venues[ground.announcer] = Venue("odd", "uniswap_v3", ground.announcer)
    for multicall in (None, evm.deploy(props()["Multicall3"])):
        pools, loaded = ask(ground, multicall)
        assert len(pools) == 5
        assert [load.pool.id for load in loaded.loads] == list(ground.pools)
        reasons = sorted(loaded.failed.values())
        assert len(reasons) == 4 and sum("no price yet" in why for why in reasons) == 1
        for bad in (mute, account, factory):
            assert "slot0 of " + bad.lower() in loaded.failed[bytes.fromhex(bad[2:])].lower()
