"""Entries of the embedded chain, asked through a node: right ones pass, wrong ones are refused."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from mevfast.chain.rpc import Rpc
from mevfast.config import Config, Factory, Flash, Node, Search
from mevfast.config import Market as Traded
from mevfast.devnet.market import Market, prepared
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.dex import entries
from mevfast.dex.entries import Finding, Reasons, Token
from mevfast.errors import ConfigError

pytestmark = pytest.mark.devnet

PAIR_FACTORY_SLOT = 5  # of UniswapV2Pair, after the ERC-20's five


@pytest.fixture(scope="module")
def node() -> Iterator[tuple[Anvil, Market]]:
    state, _, market = prepared()
    with Anvil(load_state=state, block_time=None) as anvil:
        yield anvil, market


Ask = Callable[..., list[Finding]]


@pytest.fixture
def ask(node: tuple[Anvil, Market]) -> Ask:
    async def asked(*factories: Factory, tokens: Sequence[Token]) -> list[Finding]:
        async with await Rpc.connect(node[0].ws_url) as rpc:
            return await entries.verify(rpc, factories, tokens)

    return lambda *factories, tokens=(): asyncio.run(asked(*factories, tokens=tokens))


def listed(market: Market) -> list[Factory]:
    return [
        Factory(name=each.name, kind=each.kind, address=each.address, fee_pips=each.fee_pips)
        for each in market.factories
    ]


def config_of(anvil: Anvil, market: Market) -> Config:
    """A config that names all that this chain has."""
    return Config(
        node=Node(url=anvil.ws_url, chain_id=market.chain_id),
        market=Traded(
            base_token=market.weth,
            start_tokens=tuple(token.address for token in market.tokens),
            factories=tuple(listed(market)),
        ),
        search=Search(min_profit_wei=1),
        flash=Flash(
            sources=("flash_swap", "balancer", "aave"),
            balancer_vault=market.balancer_vault,
            aave_pool=market.aave_pool,
        ),
    )


def test_all_that_the_chain_has_is_what_it_is_said_to_be(node: tuple[Anvil, Market]) -> None:
    anvil, market = node
    config = config_of(anvil, market)

    async def asked() -> tuple[list[Finding], int]:
        async with await Rpc.connect(anvil.ws_url) as rpc:
            findings = await entries.verify_config(rpc, config)
            return findings, rpc.requests_sent

    findings, messages = asyncio.run(asked())
    # No Multicall3 stands on this chain, whose id is that of one where it does.
    assert list(entries.refused(findings)) == [("multicall", "multicall")]
    assert [each.what for each in findings] == [
        *["factory"] * len(market.factories),
        *["token"] * len(market.tokens),
        *["lender"] * 2,
        "multicall",
    ]
    assert messages <= 4  # two turns, of which the first has more than a batch takes
    symbols = [each.actual.partition(",")[0] for each in findings if each.what == "token"]
    assert symbols == [token.symbol for token in market.tokens]


def test_a_name_is_ours_to_choose(ask: Ask, node: tuple[Anvil, Market]) -> None:
    uniswap, sushi, _ = listed(node[1])
    swapped = (replace(uniswap, name=sushi.name), replace(sushi, name=uniswap.name))
    assert [finding.ok for finding in ask(*swapped)] == [True, True]


def test_every_kind_but_its_own_is_refused(ask: Ask, node: tuple[Anvil, Market]) -> None:
    market = node[1]
    tokens = [Token(each.address, each.decimals) for each in market.tokens]
    for factory in listed(market):
        for kind in ("uniswap_v2", "camelot_v2", "solidly", "uniswap_v3", "pancake_v3", "curve"):
            fee_pips = 3000 if kind == "uniswap_v2" else None
            finding = ask(replace(factory, kind=kind, fee_pips=fee_pips), tokens=tokens)[0]
            assert finding.ok == (kind == factory.kind), finding.message


def test_an_account_is_no_factory_and_no_token(ask: Ask) -> None:
    account = DEV_ACCOUNTS[7].address
    factory = Factory(name="v3", kind="uniswap_v3", address=account)
    refused = entries.refused(ask(factory, tokens=[Token(account)]))
    assert list(refused) == [("factory", "v3"), ("token", account)]
    assert all("expected a contract, was none there" in reason for reason in refused.values())


def test_a_token_has_the_decimals_that_are_stated(ask: Ask, node: tuple[Anvil, Market]) -> None:
    right = [Token(each.address, each.decimals) for each in node[1].tokens]
    assert {token.decimals for token in right} >= {6, 18}
    assert entries.refused(ask(tokens=right)) == {}
    wrong = [replace(token, decimals=24 - (token.decimals or 0)) for token in right]
    wrong = [token for token, ours in zip(wrong, right, strict=True) if token != ours]
    assert list(entries.refused(ask(tokens=wrong))) == [("token", token.address) for token in wrong]


def test_a_pair_of_another_factory_refuses_its_own(ask: Ask, node: tuple[Anvil, Market]) -> None:
    anvil, market = node
    uniswap, sushi, _ = listed(market)
    pair = next(each for each in market.pools if each.factory == uniswap.address)
    snapshot = anvil.rpc("evm_snapshot")
    other = "0x" + sushi.address[2:].lower().rjust(64, "0")
    anvil.rpc("anvil_setStorageAt", pair.address, hex(PAIR_FACTORY_SLOT), other)
    anvil.rpc("evm_mine")
    reason = entries.refused(ask(uniswap, sushi))
    anvil.rpc("evm_revert", snapshot)
    assert list(reason) == [("factory", uniswap.name)]
    assert f"to be {uniswap.address}, was {sushi.address}" in reason["factory", uniswap.name]
    assert entries.refused(ask(uniswap)) == {}


def refuse_wrong(config: Config) -> tuple[Config, Reasons]:
    async def asked() -> tuple[Config, Reasons]:
        async with await Rpc.connect(config.node.url) as rpc:
            return await entries.refuse_wrong(rpc, config)

    return asyncio.run(asked())


def test_wrong_entries_are_taken_out_and_the_rest_stays(node: tuple[Anvil, Market]) -> None:
    anvil, market = node
    right = config_of(anvil, market)
    account, vault = DEV_ACCOUNTS[7].address, market.balancer_vault
    wrong = right.replace(
        market=replace(
            right.market,
            venues=("camelot-v3",),
            factories=(*listed(market)[:2], Factory(name="aave", kind="curve", address=vault)),
            start_tokens=(*right.market.start_tokens, account),
            only_tokens=(*right.market.start_tokens, account, vault),
        ),
        flash=replace(right.flash, balancer_vault=right.flash.aave_pool),
    )
    assert len(wrong.market.factories) == 4
    left, reasons = refuse_wrong(wrong)
    assert set(reasons) == {
        ("factory", "camelot-v3"),
        ("factory", "aave"),
        ("token", account),
        ("token", vault),
        ("lender", "balancer"),
        ("multicall", "multicall"),
    }
    assert left.market.venues == ()
    assert left.market.factories == tuple(listed(market)[:2])
    assert left.market.start_tokens == left.market.only_tokens == right.market.start_tokens
    assert left.flash.sources == ("flash_swap", "aave")
    assert refuse_wrong(right)[0] == right


@pytest.mark.parametrize(
    ("key", "spoil"),
    [
        (
            "market.factory",
            lambda bad: {"factories": (Factory(name="a", kind="curve", address=bad),)},
        ),
        ("market.base_token", lambda bad: {"base_token": bad}),
        ("market.start_tokens", lambda bad: {"start_tokens": (bad,)}),
    ],
)
def test_without_anything_left_nothing_starts(
    node: tuple[Anvil, Market],
    key: str,
    spoil: Callable[[str], dict[str, object]],
) -> None:
    right = config_of(*node)
    bad = DEV_ACCOUNTS[7].address
    wrong = right.replace(market=replace(right.market, **spoil(bad)))
    with pytest.raises(ConfigError, match=rf"^{key}: nothing is left.* {bad} is no .* none there"):
        refuse_wrong(wrong)
