"""Tokens that move exactly are told from those that do not, by what they do in a real pool."""

import asyncio

import pytest
from eth_abi.abi import encode
from executor_stage import DEPLOYER, NOBODY, STRANGER, Stage, calldata, stage, theatre
from token_stage import EXECUTOR, SUPPLY, Case, key, pool_of, probe

from mevfast.chain.rpc import Rpc
from mevfast.devnet import npm
from mevfast.dex.token_filter import TRANSFER_GAS, Verdict, probe_tokens
from mevfast.errors import NodeError

__all__ = ["stage", "theatre"]  # fixtures

pytestmark = pytest.mark.devnet

# ---- The honest ones ----


def test_every_token_of_the_market_is_exact_in_every_pool_that_holds_it(stage: Stage) -> None:
    """WETH9 and Aave's MintableERC20 in Uniswap's own pairs and pools, and Balancer's vault."""
    holders = {
        token.address: [
            stage.market.balancer_vault,
            *(p.address for p in stage.market.pools if token.address in (p.token0, p.token1)),
        ]
        for token in stage.market.tokens
    }
    verdicts = probe(stage, holders, most_holders=100)
    assert len(verdicts) == len(holders) == 8
    for verdict in verdicts.values():
        assert verdict.exact and verdict.known and verdict.reason == "exact"
        assert 20_000 < verdict.gas < 80_000


@pytest.mark.parametrize("name", ["HonestToken", "Bytes32Token", "QuietToken"])
def test_an_honest_token_is_exact(stage: Stage, name: str) -> None:
    """Without a return value as USDT, with a symbol of bytes32 as MKR."""
    assert Case(stage, name).verdict().exact


def test_probing_changes_nothing_on_the_chain(stage: Stage) -> None:
    case = Case(stage, "HonestToken")
    case.verdict(receiver=EXECUTOR)
    assert stage.balance(case.token, case.pool) == SUPPLY
    assert stage.balance(case.token, "0x" + EXECUTOR.hex()) == 0


# ---- Fees and rounding ----

OUT, BACK = "a transfer of {} out of the pool", "a transfer of {} back to the pool"
HALF = SUPPLY // 2


@pytest.mark.parametrize(
    ("buying", "selling", "words"), [(True, False, OUT), (False, True, BACK), (True, True, OUT)]
)
def test_a_fee_is_seen_on_either_side(
    stage: Stage, buying: bool, selling: bool, words: str
) -> None:
    case = Case(stage, "FeeToken")
    case.do("set(address,bool,bool,uint256,bool)", case.pool, buying, selling, 0, False)
    assert case.reason() == f"{words.format(HALF)} delivered {HALF - HALF // 100}: takes a fee"


def test_a_fee_above_a_threshold_alone_is_seen(stage: Stage) -> None:
    case = Case(stage, "FeeToken")
    case.do("set(address,bool,bool,uint256,bool)", case.pool, True, True, SUPPLY // 3, False)
    assert "takes a fee" in case.reason()


def test_a_fee_at_one_pool_alone_is_seen_though_others_hold_more(stage: Stage) -> None:
    case = Case(stage, "FeeToken")
    others = [pool_of(stage, index=1), pool_of(stage, "uniswap_v3")]
    for other in others:
        case.do("mint(address,uint256)", other, 2 * SUPPLY)
    case.do("set(address,bool,bool,uint256,bool)", case.pool, False, True, 0, False)
    [verdict] = probe(stage, {case.token: [case.pool, *others]}).values()
    assert not verdict.exact
    assert verdict.reason.endswith(f"takes a fee (pool {case.pool.lower()})")
    # The mark of how many are tried: two of three, the fullest, are the others.
    [verdict] = probe(stage, {case.token: [case.pool, *others]}, most_holders=2).values()
    assert verdict.exact


def test_a_fee_on_top_is_seen(stage: Stage) -> None:
    case = Case(stage, "FeeToken")
    case.do("set(address,bool,bool,uint256,bool)", case.pool, True, False, 0, True)
    took = f"took {HALF + HALF // 100} from the sender: takes a fee on top"
    assert case.reason() == f"{OUT.format(HALF)} {took}"


def test_a_fee_for_whoever_answers_as_a_pair_is_seen(stage: Stage) -> None:
    """The pool answers as it always did: the probe in its place hands the question on."""
    case = Case(stage, "AskingToken")
    assert case.reason() == f"{BACK.format(HALF)} delivered {HALF - HALF // 100}: takes a fee"


def test_a_fee_that_hides_from_free_calls_is_seen(stage: Stage) -> None:
    """Simulations often have no gas price, and come from address zero."""
    reason = Case(stage, "TwoFacedToken").reason()
    assert reason == f"{OUT.format(HALF)} delivered {HALF - HALF // 100}: takes a fee"


def test_a_fee_on_transfer_from_alone_is_seen(stage: Stage) -> None:
    part = SUPPLY // 97
    words = f"a transferFrom of {part} by the pool delivered {part - part // 100}: takes a fee"
    assert Case(stage, "PullFeeToken").reason() == words


def test_a_gift_is_seen(stage: Stage) -> None:
    words = f"took {HALF} and delivered {HALF + HALF // 50}: balances do not add up"
    assert Case(stage, "GivingToken").reason() == f"{OUT.format(HALF)} {words}"


@pytest.mark.parametrize("amount", [10**6, 10**18, 10**24 + 7])
def test_rounding_by_shares_is_seen(stage: Stage, amount: int) -> None:
    reason = Case(stage, "SharesToken", amount).reason()
    assert reason.endswith(": rounds, as shares that rebase do")


def test_growth_with_time_is_seen_from_the_balance_alone(stage: Stage) -> None:
    case = Case(stage, "GrowingToken")
    before = stage.balance(case.token, case.pool)
    reason = case.reason()
    start, end = f"a balance of {before} becomes ", " within a day by itself: rebases"
    assert reason.startswith(start) and reason.endswith(end)
    later = int(reason.removeprefix(start).removesuffix(end))
    assert 0 < later - before < before // 36500 + 1  # 1 % a year, on less than the initial index


def test_an_atoken_rounds_once_interest_has_been_paid(stage: Stage) -> None:
    """Aave's own: shares worth one unit each until the first premium makes them worth more."""
    usdc, aave, pair = stage.address("USDC"), stage.market.aave_pool, pool_of(stage)
    reserve = stage.read(aave, "getReserveData(address)", ["uint256"] * 15, usdc)
    a_token = f"0x{reserve[8]:040x}"
    amount = stage.units("USDC", 100_000) + 1
    stage.send(a_token, calldata("transfer(address,uint256)", pair, amount), DEPLOYER)
    [before] = probe(stage, {a_token: [pair]}).values()
    assert before.exact and before.gas > 60_000
    provider = stage.read(aave, "ADDRESSES_PROVIDER()", ["address"])
    code = npm.artifact("MockFlashLoanSimpleReceiver").linked({})
    borrower = stage.create(code + encode(["address"], [provider]))
    loan = (borrower, usdc, stage.units("USDC", 1_000_000), b"", 0)
    stage.send(aave, calldata("flashLoanSimple(address,address,uint256,bytes,uint16)", *loan))
    assert stage.balance(a_token, pair) > amount
    [after] = probe(stage, {a_token: [pair]}).values()
    assert not after.exact and "rounds, as shares that rebase do" in after.reason


# ---- Refusals ----


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (0, ": Pausable: paused"),
        (1, ": error 0xd93c0665"),  # EnforcedPause()
        (2, " without a reason"),
        (3, ": panic 0x01"),
        (4, ": ?[2J?all is well"),
        (5, ": " + "?" * 100),
    ],
)
def test_a_refusal_is_told_in_its_own_words(stage: Stage, way: int, words: str) -> None:
    case = Case(stage, "PausedToken")
    case.do("setWay(uint256)", way)
    assert case.reason() == f"{OUT.format(HALF)} reverts{words}"


def test_a_pool_that_cannot_sell_is_a_honeypot(stage: Stage) -> None:
    case = Case(stage, "BlockingToken")
    case.do("blockTo(address)", case.pool)
    words = "cannot be sent back by the receiver: "
    assert case.reason() == f"{words}{BACK.format(HALF)} reverts: blacklisted"


def test_a_pool_that_cannot_pay_is_kept_out(stage: Stage) -> None:
    case = Case(stage, "BlockingToken")
    case.do("blockFrom(address)", case.pool)
    assert case.reason() == f"{OUT.format(HALF)} reverts: blacklisted"


def test_a_receiver_that_is_blocked_is_seen_where_it_is_named(stage: Stage) -> None:
    case = Case(stage, "BlockingToken")
    case.do("blockTo(address)", "0x" + EXECUTOR.hex())
    assert case.verdict().exact
    assert case.reason(receiver=EXECUTOR) == f"{OUT.format(HALF)} reverts: blacklisted"


def test_a_token_that_blocks_contracts_is_kept_out(stage: Stage) -> None:
    case = Case(stage, "BlockingToken")
    case.do("blockContractsBut(address)", case.pool)
    assert case.reason() == f"{OUT.format(HALF)} reverts: no contracts"


def test_a_limit_of_size_is_seen(stage: Stage) -> None:
    reason = Case(stage, "MostToken").reason()
    assert reason == f"{OUT.format(HALF)} reverts: exceeds the maxTxAmount"


def test_a_limit_of_transfers_is_seen(stage: Stage) -> None:
    part = SUPPLY // 97
    assert Case(stage, "CooldownToken").reason() == f"{OUT.format(part)} reverts: cooldown"


def test_refused_approvals_are_seen(stage: Stage) -> None:
    part = SUPPLY // 97
    reason = Case(stage, "UnapprovedToken").reason()
    assert reason == f"an approval of {part} returns false, expected true"
    # Has no such function.
    assert Case(stage, "HookToken").reason() == f"an approval of {part} reverts without a reason"


# ---- Lies ----


def test_a_transfer_that_moves_nothing_is_seen(stage: Stage) -> None:
    words = f"{OUT.format(HALF)} moves nothing and says that it did"
    assert Case(stage, "LyingToken").reason() == words
    assert Case(stage, "EndingToken").reason() == words
    words = f"{OUT.format(10**24 // 2)} moves nothing and says that it did"
    assert Case(stage, "FlatToken").reason() == words


def test_false_is_a_refusal(stage: Stage) -> None:
    words = f"{OUT.format(HALF)} returns false, expected true"
    assert Case(stage, "RefusingToken").reason() == words


@pytest.mark.parametrize(
    ("size", "word", "words"),
    [
        (32, 0, "returns false, expected true"),
        (32, 2, "returns 2, expected true"),
        (31, 1, "returns 31 bytes, expected 32 or none"),
        (64, 1, "returns 64 bytes, expected 32 or none"),
        (200_000, 1, "returns 200000 bytes, expected 32 or none"),
    ],
)
def test_an_odd_return_value_is_seen(stage: Stage, size: int, word: int, words: str) -> None:
    case = Case(stage, "OddReturnToken")
    case.do("set(uint256,uint256)", size, word)
    assert case.reason() == f"{OUT.format(HALF)} {words}"


# ---- Attacks on who asks ----


def test_burnt_gas_is_bounded_and_named(stage: Stage) -> None:
    case = Case(stage, "BurningToken")
    assert case.reason() == f"{OUT.format(HALF)} takes more than {TRANSFER_GAS} gas"
    case.do("setAlways()")
    assert case.reason() == "balanceOf does not answer"


def test_a_dear_transfer_is_kept_out_by_the_limit_alone(stage: Stage) -> None:
    case = Case(stage, "HeavyToken")
    case.do("setCount(uint256)", 10)
    verdict = case.verdict()
    assert verdict.exact and 250_000 < verdict.gas < 350_000
    assert case.verdict(gas_limit=verdict.gas + 20_000).exact
    words = f"{OUT.format(HALF)} takes more than 200000 gas"
    assert case.reason(gas_limit=200_000) == words


def test_a_balance_of_many_bytes_hurts_nobody(stage: Stage) -> None:
    assert Case(stage, "BombToken").verdict().exact


@pytest.mark.parametrize(
    ("receiver", "sender", "words"),
    [
        (True, False, "the receiver"),
        (False, True, "the pool"),
        (True, True, "the receiver"),
    ],
)
def test_calls_of_either_side_are_seen(
    stage: Stage, receiver: bool, sender: bool, words: str
) -> None:
    """As hooks of ERC-777 call the receiver, and tokens that sell their fees the pool."""
    case = Case(stage, "CallingToken")
    case.do("set(bool,bool,bytes)", receiver, sender, calldata("sync()"))
    what = f"{OUT.format(HALF)} calls {words}, which may trade in the middle of it"
    assert case.reason() == what


def test_a_token_cannot_drive_the_hands(stage: Stage) -> None:
    """It asks who pays, in the words that the probe uses, to send it half; the pool is paid next,
    and not short of anything, and the receiver's hand takes note."""
    case = Case(stage, "CallingToken")
    transfer = calldata("transfer(address,uint256)", case.token, HALF // 2)
    order = bytes(12) + key(case.token) + (10**5).to_bytes(32, "big") + transfer
    case.do("set(bool,bool,bytes)", False, True, order)
    assert case.reason().startswith(f"{BACK.format(HALF)} calls the receiver")


def test_a_token_cannot_run_the_probe(stage: Stage) -> None:
    """Though it finds it: where the token is entered from, it reads."""
    assert Case(stage, "EnteringToken").verdict().exact


def test_a_bad_token_spoils_nothing_for_others(stage: Stage) -> None:
    names = ["BurningToken", "HonestToken", "BombToken", "PausedToken", "QuietToken"] * 10
    cases = [Case(stage, name) for name in names]
    cases[0].do("setAlways()")
    cases[3].do("setWay(uint256)", 5)
    verdicts = probe(stage, {case.token: [case.pool] for case in cases})
    assert list(verdicts) == [key(case.token) for case in cases]
    honest = {"HonestToken", "BombToken", "QuietToken"}
    assert [verdict.exact for verdict in verdicts.values()] == [name in honest for name in names]


# ---- What cannot be known ----


def test_a_token_without_a_pool_that_holds_it_is_unknown(stage: Stage) -> None:
    case = Case(stage, "HonestToken", 9_999)
    empty = pool_of(stage, index=1)
    for pools, words in (
        ([], "no pool holds it: 0 in the fullest of 0"),
        ([empty], "no pool holds it: 0 in the fullest of 1"),
        ([empty, case.pool], "no pool holds it: 9999 in the fullest of 2"),
    ):
        [verdict] = probe(stage, {case.token: pools}).values()
        assert not verdict.exact and not verdict.known
        assert verdict.reason == f"unknown: {words}, 10000 units are needed to try it"


def test_the_next_pool_is_tried_where_the_first_holds_too_little(stage: Stage) -> None:
    case = Case(stage, "PausedToken", 10_000)
    [verdict] = probe(stage, {case.token: [pool_of(stage, index=1), case.pool]}).values()
    assert "Pausable: paused" in verdict.reason and case.pool.lower() in verdict.reason


def test_an_address_without_code_is_no_token(stage: Stage) -> None:
    [verdict] = probe(stage, {STRANGER: [pool_of(stage)]}).values()
    assert verdict == Verdict(False, "there is no contract at its address", 0)


def test_the_native_coin_is_exact(stage: Stage) -> None:
    [verdict] = probe(stage, {NOBODY: [pool_of(stage)]}).values()
    assert verdict == Verdict(True, "exact", 0)


def test_a_token_is_not_tried_with_itself(stage: Stage) -> None:
    """Pairs hold their own shares for a moment while liquidity is burnt."""
    pair = pool_of(stage)
    [verdict] = probe(stage, {pair: [pair]}).values()
    assert verdict.reason.startswith("unknown: no pool holds it: 0 in the fullest of 0")


def test_a_plain_account_can_be_the_holder(stage: Stage) -> None:
    case = Case(stage, "HonestToken")
    case.do("mint(address,uint256)", STRANGER, SUPPLY)
    [verdict] = probe(stage, {case.token: [STRANGER]}).values()
    assert verdict.exact


def test_a_block_that_the_node_does_not_have_is_said_so(stage: Stage) -> None:
    async def run() -> None:
        async with await Rpc.connect(stage.node.ws_url) as rpc:
            await probe_tokens(rpc, {}, 10**9)

    with pytest.raises(NodeError, match="expected block 1000000000, node answered"):
        asyncio.run(run())


def test_an_earlier_block_is_what_is_asked_about(stage: Stage) -> None:
    """Paused now, not yet then."""
    case = Case(stage, "BlockingToken")
    block = int(stage.node.rpc("eth_blockNumber"), 16)
    case.do("blockTo(address)", case.pool)

    async def run(at: int) -> Verdict:
        async with await Rpc.connect(stage.node.ws_url) as rpc:
            [verdict] = (await probe_tokens(rpc, {key(case.token): [key(case.pool)]}, at)).values()
            return verdict

    assert asyncio.run(run(block)).exact
    assert not asyncio.run(run(block + 1)).exact
