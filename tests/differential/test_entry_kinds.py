"""Each kind of entry against real contracts: the right one passes, under no other kind.

Where a package lacks a factory, a stand-in answers what a pool of that kind is asked to confirm;
Curve and Camelot, of which no package has a contract, are stand-ins altogether.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from mevfast._tx import to_checksum_address
from mevfast.chains import VENUE_KINDS, Factory
from mevfast.dex.entries import Finding, Lender, Token, refused, verify
from mevfast.errors import NodeError, RpcError
from tests.differential.concentrated import random_price
from tests.differential.evm import Evm, Reverted, number, selector, words
from tests.differential.families import FAMILIES
from tests.differential.standin import StandIn
from tests.differential.uniswap_v3 import UniswapV3

pytestmark = pytest.mark.devnet  # the contracts come from npm

NOBODY_HOME = "0x" + "ab" * 20
FEE_PIPS = {"uniswap_v2": 3000}
GET_FEE = "0x" + selector("getFee(address,bool)").hex()


class EvmRpc:
    """What `verify` needs of a connection, answered by an EVM in this process."""

    url = "evm"

    def __init__(self, evm: Evm) -> None:
        self.evm, self.batches = evm, 0

    async def batch(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        self.batches += 1
        return [self.answer(method, params) for method, params in calls]

    def answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return "0x1"
        if method == "eth_getCode":
            return "0x" + bytes(self.evm._evm.get_code(params[0]) or b"").hex()
        [call, block] = params
        assert (method, block) == ("eth_call", "latest")
        try:
            with self.evm.scratch():
                data = bytes.fromhex(call["data"][2:])
                return "0x" + self.evm.send(call["to"], data).hex()
        except Reverted:
            return RpcError(method, 3, "execution reverted")


def ask(rpc: EvmRpc, *factories: Factory, **more: Any) -> list[Finding]:
    return asyncio.run(verify(rpc, factories, **more))  # type: ignore[arg-type]


def entry(kind: str, address: str, name: str = "it") -> Factory:
    return Factory(
        name=name, kind=kind, address=to_checksum_address(address), fee_pips=FEE_PIPS.get(kind)
    )


def tokens_of(ground: Any) -> list[Token]:
    return [Token(to_checksum_address(f"0x{token:040x}")) for token in ground.tokens]


# ---- a factory of each kind: EVM (of its own: what is made here stays), address, tokens ----------

Made = tuple[Evm, str, list[Token]]


def uniswap_v2() -> Made:
    ground: Any = FAMILIES["uniswap_v2"]()
    pair = ground.pool(Random(1))
    return ground.evm, f"0x{ground.evm.read(pair.address, 'factory()')[0]:040x}", []


def uniswap_v3() -> Made:
    ground: Any = UniswapV3()  # of its own: a pool can be created once
    ground.evm.call(ground.factory, "createPool(address,address,uint24)", *ground.tokens, 3000)
    return ground.evm, ground.factory, tokens_of(ground)


def pancake_v3() -> Made:
    ground: Any = FAMILIES["pancake_v3"]()
    factory, asked_first = number(ground.maker.address), 500
    ground.maker.answer("parameters()", factory, *ground.tokens, asked_first, 10)
    pool = ground.maker.create("PancakeV3Pool")
    ground.evm.call(pool, "initialize(uint160)", random_price(Random(1)))
    ground.maker.answer("feeAmountTickSpacing(uint24)", 50)
    ground.maker.answer("poolDeployer()", factory)
    ground.maker.answer("getPool(address,address,uint24)", number(pool))
    return ground.evm, ground.maker.address, tokens_of(ground)


def _algebra(name: str) -> Made:
    ground: Any = FAMILIES[name]()
    pool = ground.pool(Random(1))
    ground.maker.answer("poolDeployer()", number(ground.maker.address))
    ground.maker.answer("poolByPair(address,address)", number(pool.address))
    return ground.evm, ground.maker.address, tokens_of(ground)


def uniswap_v4() -> Made:
    ground: Any = FAMILIES["uniswap_v4"]()
    return ground.evm, ground.manager, []


def solidly() -> Made:
    ground: Any = FAMILIES["solidly"]()
    ground.pool(Random(1))
    return ground.evm, ground.factory, []


def balancer_v2() -> Made:
    ground: Any = FAMILIES["balancer_weighted"]()
    return ground.evm, ground.vault, []


def curve() -> Made:
    evm = Evm()
    factory, pool = StandIn(evm), StandIn(evm)
    factory.answer("pool_count()", 7)
    factory.answer("pool_list(uint256)", number(pool.address))
    factory.answer("get_coins(address)", 32, 2, 0xAA, 0xBB)  # address[]: of stable-ng
    pool.answer("coins(uint256)", 0xAA)
    return evm, factory.address, []


def camelot_v2() -> Made:
    evm = Evm()
    factory, pair = StandIn(evm), StandIn(evm)
    factory.answer("allPairsLength()", 1)
    factory.answer("allPairs(uint256)", number(pair.address))
    factory.answer("feeInfo()", 50_000, 0xFEE)
    pair.answer("factory()", number(factory.address))
    pair.answer("token0()", 0xAA)
    pair.answer("token1()", 0xBB)
    pair.answer("getReserves()", 1000, 1000, 300, 300)
    pair.answer("stableSwap()", 0)
    pair.answer("token0FeePercent()", 300)
    return evm, factory.address, []


MAKERS: dict[str, Callable[[], Made]] = {
    "uniswap_v2": uniswap_v2,
    "camelot_v2": camelot_v2,
    "solidly": solidly,
    "uniswap_v3": uniswap_v3,
    "pancake_v3": pancake_v3,
    "algebra_v1": lambda: _algebra("algebra_v1"),
    "algebra_integral": lambda: _algebra("algebra_integral"),
    "uniswap_v4": uniswap_v4,
    "curve": curve,
    "balancer_v2": balancer_v2,
}


@pytest.mark.parametrize("kind", VENUE_KINDS)
def test_a_factory_passes_as_its_own_kind_and_as_no_other(kind: str) -> None:
    evm, address, tokens = MAKERS[kind]()
    with evm.scratch():
        rpc = EvmRpc(evm)
        findings = ask(rpc, *(entry(each, address, each) for each in VENUE_KINDS), tokens=tokens)
    findings = [each for each in findings if each.what == "factory"]
    assert [each.name for each in findings if each.ok] == [kind]
    assert set(refused(findings)) == {("factory", each) for each in VENUE_KINDS if each != kind}
    assert rpc.batches <= 3
    for finding in findings:
        if not finding.ok:
            assert finding.expected != finding.actual
            assert "\n" not in finding.message


@pytest.mark.parametrize("kind", VENUE_KINDS)
def test_what_is_no_contract_is_no_factory_of_any_kind(kind: str) -> None:
    evm, _, _ = MAKERS["curve"]()
    [finding] = ask(EvmRpc(evm), entry(kind, NOBODY_HOME))
    assert refused([finding]) == {
        (
            "factory",
            "it",
        ): f"{to_checksum_address(NOBODY_HOME)} is no {kind} factory: expected a contract, "
        "was none there; correct its address or kind"
    }


def test_all_entries_share_their_turns() -> None:
    evm, address, tokens = uniswap_v3()
    rpc = EvmRpc(evm)
    ask(rpc, *(entry("uniswap_v3", address, f"n{number}") for number in range(30)), tokens=tokens)
    assert rpc.batches == 2


# ---- one thing wrong at a time -----------------------------------------------------------------


def wrong(kind: str, spoil: Callable[[Evm, Any], None]) -> str:
    """Why the stand-in of a kind is refused once `spoil` has changed an answer of its pool."""
    evm = Evm()
    factory, pool = StandIn(evm), StandIn(evm)
    here = number(factory.address)
    for question, values in {
        "allPairsLength()": [1],
        "allPairs(uint256)": [number(pool.address)],
        "feeInfo()": [0, 0],
        "isPaused()": [0],
        "getFee(address,bool)": [30],
        "feeAmountTickSpacing(uint24)": [50 if kind == "pancake_v3" else 60],
        "getPool(address,address,uint24)": [number(pool.address)],
        "poolByPair(address,address)": [number(pool.address)],
        "pool_count()": [1],
        "pool_list(uint256)": [number(pool.address)],
        "get_coins(address)": [0xAA, 0xBB, 0, 0],  # address[4]: of the oldest factory
        **({} if kind == "uniswap_v3" else {"poolDeployer()": [here]}),
    }.items():
        factory.answer(question, *values)
    for question, values in {
        "factory()": [here],
        "token0()": [0xAA],
        "token1()": [0xBB],
        "getReserves()": [1, 1, 0, 0] if kind == "camelot_v2" else [1, 1, 0],
        "metadata()": [0] * 7,
        "stableSwap()": [0],
        "token0FeePercent()": [300],
        "fee()": [500],
        "slot0()": [1] * 7,
        "globalState()": [1] * (6 if kind == "algebra_integral" else 8),
        "coins(uint256)": [0xAA],
        **({"stable()": [0]} if kind == "solidly" else {}),
        **({"plugin()": [0]} if kind == "algebra_integral" else {}),
    }.items():
        pool.answer(question, *values)
    tokens = [Token(f"0x{value:040x}") for value in (0xBB, 0xAA)]
    candidate = entry(kind, factory.address)
    before, *_ = ask(EvmRpc(evm), candidate, tokens=tokens)
    assert before.ok, before.message
    spoil(evm, (factory, pool))
    after, *_ = ask(EvmRpc(evm), candidate, tokens=tokens)
    assert not after.ok
    return after.message


WITH_PARENTS = sorted(set(VENUE_KINDS) - {"uniswap_v4", "curve", "balancer_v2"})


@pytest.mark.parametrize("kind", WITH_PARENTS)
def test_a_pool_of_another_factory_refuses_its_own(kind: str) -> None:
    message = wrong(kind, lambda _, made: made[1].answer("factory()", 0xBAD))
    assert "expected factory() of its pool" in message
    assert to_checksum_address(f"0x{0xBAD:040x}") in message


@pytest.mark.parametrize("kind", WITH_PARENTS)
def test_tokens_out_of_order(kind: str) -> None:
    message = wrong(kind, lambda _, made: made[1].answer("token0()", 0xCC))
    assert "token0() below token1()" in message


@pytest.mark.parametrize("kind", ["uniswap_v3", "pancake_v3", "algebra_v1", "algebra_integral"])
def test_a_pool_of_other_tokens_than_were_asked_for(kind: str) -> None:
    message = wrong(kind, lambda _, made: made[1].answer("token1()", 0xCC))
    assert "expected the tokens of its pool" in message


SPOILT = [
    ("uniswap_v2", 1, "getReserves()", [1, 1, 300, 300], "3 words from getReserves()"),
    ("uniswap_v2", 1, "factory()", [1 << 160], "an address from factory()"),
    ("uniswap_v2", 1, "stable()", [1], 'kind may be "solidly"'),
    ("camelot_v2", 1, "getReserves()", [1, 1, 0], "4 words from getReserves()"),
    ("camelot_v2", 1, "stableSwap()", [], "a number from stableSwap()"),
    ("camelot_v2", 1, "token0FeePercent()", [], "a number from token0FeePercent()"),
    ("camelot_v2", 0, "feeInfo()", [1], "2 words from feeInfo()"),
    ("solidly", 0, "getFee(address,bool)", [], "getFee(address,bool)"),
    ("solidly", 0, "isPaused()", [], "isPaused()"),
    ("solidly", 1, "metadata()", [0] * 6, "7 words from metadata()"),
    ("uniswap_v3", 0, "feeAmountTickSpacing(uint24)", [50], "expected feeAmountTickSpacing(3000)"),
    ("uniswap_v3", 0, "poolDeployer()", [1], 'kind may be "pancake_v3"'),
    ("uniswap_v3", 1, "fee()", [3000], "to be 500, was 3000"),
    ("uniswap_v3", 1, "slot0()", [1] * 6, "7 words from slot0()"),
    ("pancake_v3", 0, "poolDeployer()", [], "a number from poolDeployer()"),
    ("pancake_v3", 0, "feeAmountTickSpacing(uint24)", [60], "feeAmountTickSpacing(2500)"),
    ("algebra_v1", 1, "plugin()", [1], 'kind may be "algebra_integral"'),
    ("algebra_v1", 1, "globalState()", [1] * 6, "7 or 8 words"),
    ("algebra_integral", 1, "plugin()", [], "from plugin()"),
    ("algebra_integral", 1, "globalState()", [1] * 7, "6 words"),
    ("curve", 1, "coins(uint256)", [0xCC], "among its get_coins"),
    ("curve", 1, "coins(uint256)", [0], "among its get_coins"),
]


@pytest.mark.parametrize(("kind", "whose", "question", "values", "text"), SPOILT)
def test_an_answer_that_its_kind_would_not_give(
    kind: str, whose: int, question: str, values: list[int], text: str
) -> None:
    message = wrong(kind, lambda _, made: made[whose].answer(question, *values))
    assert text in message


def test_a_solidly_fork_without_a_fee_for_each_pool_needs_it_stated() -> None:
    evm, address, _ = solidly()
    with evm.scratch():
        assert ask(EvmRpc(evm), entry("solidly", address))[0].ok
    message = wrong("solidly", lambda _, made: made[0].answer("getFee(address,bool)"))
    assert "a fork without it cannot be read" in message


def test_a_stated_fee_stands_in_for_the_factorys() -> None:
    evm, address, _ = solidly()

    class Mute(EvmRpc):
        def answer(self, method: str, params: list[Any]) -> Any:
            asked = method == "eth_call" and params[0]["data"].startswith(GET_FEE)
            return "0x" if asked else super().answer(method, params)

    unstated = entry("solidly", address)
    for factory, ok in ((unstated, False), (replace(unstated, fee_pips=3000), True)):
        assert ask(Mute(evm), factory)[0].ok == ok


def test_a_factory_without_a_pool_yet_is_right() -> None:
    evm = Evm()
    factory = StandIn(evm)
    for question in ("allPairsLength()", "isPaused()", "pool_count()"):
        factory.answer(question, 0)
    factory.answer("feeInfo()", 0, 0)
    kinds = ("uniswap_v2", "camelot_v2", "solidly", "curve")
    findings = ask(EvmRpc(evm), *(entry(kind, factory.address, kind) for kind in kinds))
    assert [each.actual for each in findings] == [
        "no pair yet",
        "no pair yet",
        "no pool yet",
        "no pool yet",
    ]


# ---- tokens, lenders, Multicall3 ---------------------------------------------------------------


def test_tokens_have_the_decimals_that_are_stated() -> None:
    evm = Evm()
    token = StandIn(evm)
    token.answer("decimals()", 6)
    token.answer("totalSupply()", 0)
    address = to_checksum_address(token.address)
    tokens = [Token(address, 6), Token(address), Token(address, 18)]
    six, unknown, other = ask(EvmRpc(evm), tokens=tokens)
    assert six.ok and unknown.ok
    assert "6 decimals" in six.message
    assert refused([six, unknown, other]) == {("token", address): other.message}
    assert "expected 18 decimals, was 6" in other.message
    token.answer("decimals()", 78)
    [finding] = ask(EvmRpc(evm), tokens=[Token(address)])
    assert "expected at most 77 decimals, was 78" in finding.message


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (words(32, 4) + b"WETH".ljust(32, b"\0"), "WETH"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (words(32, 40) + (b"x" * 40).ljust(64, b"\0"), "x" * 16),
        (words(32, 5) + b"\x1b[31m".ljust(32, b"\0"), "[31m"),
        (b"", "no symbol"),
        (words((1 << 256) - 1), "no symbol"),
    ],
)
def test_a_symbol_is_shown_and_cannot_do_harm(answer: bytes, shown: str) -> None:
    evm = Evm()
    token = StandIn(evm)
    token.answer("decimals()", 18)
    token.answer("totalSupply()", 1)
    values = [int.from_bytes(answer[at : at + 32]) for at in range(0, len(answer), 32)]
    token.answer("symbol()", *values)
    [finding] = ask(EvmRpc(evm), tokens=[Token(to_checksum_address(token.address))])
    assert finding.ok
    text = finding.actual.removesuffix(", 18 decimals")
    assert text.strip("\ufffd") == (shown if text.strip("\ufffd") else "")
    assert text.isprintable() and len(text) <= 16


def test_lenders_are_known_by_what_stands_behind_them() -> None:
    evm, vault, _ = balancer_v2()
    vault = to_checksum_address(vault)
    with evm.scratch():
        rpc = EvmRpc(evm)
        right, wrong_kind = ask(
            rpc,
            lenders=[
                Lender("balancer", "balancer_v2", vault),
                Lender("aave", "aave_v3", vault),
            ],
        )
    assert (right.ok, wrong_kind.ok) == (True, False)
    assert "FLASHLOAN_PREMIUM_TOTAL()" in wrong_kind.message
    evm = Evm()
    pool, provider = StandIn(evm), StandIn(evm)
    pool.answer("FLASHLOAN_PREMIUM_TOTAL()", 5)
    pool.answer("ADDRESSES_PROVIDER()", number(provider.address))
    lender = Lender("aave", "aave_v3", to_checksum_address(pool.address))
    for answered, ok in ((number(pool.address), True), (0xBAD, False)):
        provider.answer("getPool()", answered)
        [finding] = ask(EvmRpc(evm), lenders=[lender])
        assert finding.ok == ok
    collector = StandIn(evm)
    pool.answer("getProtocolFeesCollector()", number(collector.address))
    pool.answer("WETH()", 0xAA)
    collector.answer("vault()", 0xBAD)
    [finding] = ask(EvmRpc(evm), lenders=[Lender("b", "balancer_v2", lender.address)])
    assert "expected vault() of its fee collector" in finding.message


def test_multicall_knows_the_chain() -> None:
    evm = Evm()
    multicall = StandIn(evm)
    for chain_id, ok in ((1, True), (5, False)):
        multicall.answer("getChainId()", chain_id)
        [finding] = ask(EvmRpc(evm), multicall=to_checksum_address(multicall.address))
        assert finding.ok == ok


# ---- nodes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (RpcError("eth_call", -32005, "limit exceeded"), RpcError),
        (RpcError("eth_call", -32000, "header not found"), RpcError),
        (None, NodeError),
        ("0xzz", NodeError),
        ({"data": 1}, NodeError),
    ],
)
def test_a_node_that_does_not_answer_makes_no_entry_wrong(
    answer: object, error: type[Exception]
) -> None:
    class Refusing(EvmRpc):
        def answer(self, method: str, params: list[Any]) -> Any:
            return answer if method == "eth_call" else super().answer(method, params)

    evm, address, _ = curve()
    with pytest.raises(error):
        ask(Refusing(evm), entry("curve", address))


@pytest.mark.parametrize(
    "refusal",
    [
        RpcError("eth_call", 3, "execution reverted: K"),
        RpcError("eth_call", -32000, "execution reverted"),
        RpcError("eth_call", -32000, "invalid opcode: INVALID"),
        RpcError("eth_call", -32000, "out of gas"),
        RpcError("eth_call", -32015, "VM execution error."),
    ],
)
def test_a_call_that_fails_in_the_contract_is_an_answer(refusal: RpcError) -> None:
    class Reverting(EvmRpc):
        def answer(self, method: str, params: list[Any]) -> Any:
            return refusal if method == "eth_call" else super().answer(method, params)

    evm, address, _ = curve()
    [finding] = ask(Reverting(evm), entry("curve", address))
    assert "was a call that reverts" in finding.message
