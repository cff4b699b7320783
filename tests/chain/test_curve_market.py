"""Curve's registries and pools on a node: stand-ins that answer their getters from recorded states,
because no package has the bytecode."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from mevfast._pool import Pool, Quote
from mevfast.chain.rpc import Rpc
from mevfast.devnet.node import Anvil
from mevfast.dex import curve, curve_crypto, market
from mevfast.dex.proof import SHARES
from mevfast.dex.reads import calldata
from mevfast.model import Loaded, PoolRecord
from tests.chain.venues_stage import OPTIONS, NodeEvm, Trading, Venue, word
from tests.differential.evm import arguments, number
from tests.differential.solidity import props

pytestmark = pytest.mark.devnet

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
KINDS = {
    "curve_plain": "curve_stable",
    "curve_stableswap_ng": "curve_stable_ng",
    "curve_tricrypto_ng": "curve_tricrypto_ng",
    "curve_twocrypto_ng": "curve_twocrypto_ng",
}
DECIMALS = (18, 6, 8, 18, 18, 6, 18, 18)
CREATED = bytes.fromhex(curve.CREATED[0][2:])


@pytest.fixture
def evm() -> Iterator[NodeEvm]:
    """An empty chain."""
    with Anvil(block_time=None, extra_args=OPTIONS) as node:
        yield NodeEvm(node)


def uint(value: int) -> bytes:
    return encode(["uint256"], [value])


class Stand:
    """A contract that answers what it was told to."""

    def __init__(self, evm: NodeEvm) -> None:
        self.evm = evm
        self.address = evm.deploy(props()["Recorded"])

    def answer(self, answers: dict[bytes, bytes]) -> None:
        self.evm.send(self.address, record(answers))


class Registry(Stand):
    """A list of pools."""

    def __init__(self, evm: NodeEvm) -> None:
        super().__init__(evm)
        self.pools: list[str] = []
        self.answer({calldata("pool_count()"): uint(0)})

    def add(self, pool: str) -> None:
        """One more, and its event."""
        at = calldata("pool_list(uint256)", len(self.pools))
        self.pools.append(pool)
        grown = record({at: word(pool), calldata("pool_count()"): uint(len(self.pools))})
        event = arguments("announce(bytes32[],bytes)", [CREATED, word(0), word(0)], b"")
        self.evm.send(self.address, arguments("batch(bytes[])", [grown, event]))


def record(answers: dict[bytes, bytes]) -> bytes:
    """The call that tells a stand-in what to answer."""
    return arguments("record(bytes[],bytes[])", list(answers), list(answers.values()))


def recorded(name: str) -> list[dict[str, Any]]:
    """States of a vector file that can be looked up by getters."""
    raw = json.loads((VECTORS / f"{name}.json").read_text())["pools"]
    kind = KINDS[name]
    states = [Pool(kind, pool).fields() for pool in raw]
    if kind == "curve_stable":
        states = [each for each in states if all(r == 10**18 for r in each["rates"])]
    if "crypto" in kind:
        states = [each for each in states if not each.get("ramping")]
    return states


def quotes(kind: str, fields: dict[str, Any], less: int = 0) -> dict[bytes, bytes]:
    """get_dy as the kernel knows it, for the amounts that a proof asks for."""
    pool, balances = Pool(kind, fields), fields["balances"]
    index = "uint256" if "crypto" in kind else "int128"
    found = {}
    last = len(balances) - 1
    for i, j in ((0, last), (last, 0)):
        for share in SHARES:
            amount = balances[i] // share
            quote = pool.quote(i, amount, token_out=j) if amount else None
            if isinstance(quote, Quote):
                data = calldata(f"get_dy({index},{index},uint256)", i, j, amount)
                found[data] = uint(quote.amount_out - less)
    return found


def getters(kind: str, fields: dict[str, Any], coins: list[str], math: str) -> dict[bytes, bytes]:
    """The state as the kind's getters tell it."""
    found = {calldata("coins(uint256)", i): word(coin) for i, coin in enumerate(coins)}
    balances = fields["balances"]
    each = {calldata("balances(uint256)", i): uint(held) for i, held in enumerate(balances)}
    if kind == "curve_stable":
        found |= each
        names = {"amp_precise": "A_precise", "fee": "fee", "admin_fee": "admin_fee"}
    elif kind == "curve_stable_ng":
        names = {name: name for name in ("fee", "admin_fee", "offpeg_fee_multiplier")}
        names["amp_precise"] = "A_precise"
        found[calldata("get_balances()")] = encode(["uint256[]"], [balances])
        found[calldata("stored_rates()")] = encode(["uint256[]"], [fields["rates"]])
    else:
        found |= each
        known = curve_crypto._GETTERS.items()
        names = {name: getter[:-2] for name, getter in known if name in fields}
        found[calldata("future_A_gamma_time()")] = uint(0)
        found[calldata("MATH()")] = word(math)
        n, scales = len(coins), fields["price_scale"]
        found[calldata("precisions()")] = encode([f"uint256[{n}]"], [fields["precisions"]])
        found |= {calldata("price_scale(uint256)", i): uint(s) for i, s in enumerate(scales)}
        found[calldata("price_scale()")] = uint(scales[0])
    return found | {calldata(f"{getter}()"): uint(fields[name]) for name, getter in names.items()}


def make(evm: NodeEvm, kind: str, fields: dict[str, Any], less: int = 0) -> Stand:
    """A pool in that state, of new tokens."""
    code = props()["PlainToken"]
    coins = [evm.deploy(code, 18) for _ in fields["balances"]]
    math = Stand(evm)
    math.answer({calldata("version()"): encode(["string"], [fields.get("version", "v2.0.0")])})
    pool = Stand(evm)
    pool.answer(getters(kind, fields, coins, math.address) | quotes(kind, fields, less))
    return pool


def trading(registry: Registry) -> Any:
    return Trading((Venue("curve", "curve", registry.address),))


def ask(registry: Registry, since: int | None = None) -> tuple[list[PoolRecord], Loaded]:
    """What is found and read at the newest block: of the list, or of the logs since a block."""
    rpc_of = registry.evm.node

    async def work() -> tuple[list[PoolRecord], Loaded]:
        async with await Rpc.connect(rpc_of.ws_url) as rpc:
            block = int(rpc_of.rpc("eth_blockNumber"), 16)
            if since is None:
                pools = await market.discover(rpc, trading(registry), block)
            else:
                query = {"fromBlock": hex(since), "toBlock": hex(block)}
                logs = rpc_of.rpc("eth_getLogs", {**query, "topics": [curve.CREATED]})
                pools = await market.created(rpc, trading(registry), logs, block)
            return pools, await market.load(rpc, pools, block)

    return asyncio.run(work())


@pytest.mark.parametrize("name", KINDS)
def test_pools_are_told_apart_by_their_getters_and_read_as_recorded(
    name: str, evm: NodeEvm
) -> None:
    kind, registry = KINDS[name], Registry(evm)
    states = recorded(name)[:4]
    assert len(states) == 4
    expected = {}
    for fields in states:
        pool = make(evm, kind, fields)
        registry.add(pool.address)
        expected[number(pool.address)] = fields
    pools, loaded = ask(registry)
    assert loaded.failed == {}
    assert {pool.kind for pool in pools} == {kind}
    read = {int.from_bytes(each.pool.id, "big"): each.state for each in loaded.loads}
    assert {at: Pool(kind, state).fields() for at, state in read.items()} == expected


def test_a_registrys_event_announces_the_pool_that_came_with_it(evm: NodeEvm) -> None:
    registry = Registry(evm)
    first, second = recorded("curve_stableswap_ng")[:2]
    registry.add(make(evm, "curve_stable_ng", first).address)
    since = int(evm.node.rpc("eth_blockNumber"), 16) + 1
    newer = make(evm, "curve_stable_ng", second)
    registry.add(newer.address)
    [pool], loaded = ask(registry, since)
    assert (pool.id, pool.block >= since) == (bytes.fromhex(newer.address[2:]), True)
    assert [each.pool for each in loaded.loads] == [pool]


def test_a_pool_that_pays_a_unit_less_than_its_kernel_fails_alone(evm: NodeEvm) -> None:
    registry = Registry(evm)
    first, second = recorded("curve_stableswap_ng")[:2]
    good = make(evm, "curve_stable_ng", first)
    bad = make(evm, "curve_stable_ng", second, less=1)
    for pool in (bad, good):
        registry.add(pool.address)
    _, loaded = ask(registry)
    assert [each.pool.id for each in loaded.loads] == [bytes.fromhex(good.address[2:])]
    assert "not known" in loaded.failed[bytes.fromhex(bad.address[2:])]


def test_what_is_no_pool_on_a_registrys_list_is_left_out(evm: NodeEvm) -> None:
    registry = Registry(evm)
    registry.add("0x" + "77" * 20)
    registry.add(make(evm, "curve_stable_ng", recorded("curve_stableswap_ng")[0]).address)
    pools, loaded = ask(registry)
    assert len(pools) == len(loaded.loads) == 1
