"""The executor earns to the wei what the protocols' quoters promise, or reverts as a whole."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from executor_stage import (
    AAVE,
    BALANCER,
    DEPLOYER,
    FLASH_SWAP,
    FUNDINGS,
    NOBODY,
    OWN,
    OWNER,
    STRANGER,
    WETH_UNIT,
    Cycle,
    Stage,
    calldata,
    execute_data,
    hop_word,
    reason,
    stage,
    theatre,
)

from mevfast.execution.artifacts import load

__all__ = ["stage", "theatre"]  # fixtures

pytestmark = pytest.mark.devnet

CYCLES = {
    2: ("WETH", "USDC"),
    3: ("WETH", "USDC", "USDT"),
    4: ("WETH", "USDC", "DAI", "USDT"),
}
MIXTURES = [kinds for n in CYCLES for kinds in product(("uniswap_v2", "uniswap_v3"), repeat=n)]
AMOUNT = WETH_UNIT // 5

GAS_FILE = Path(__file__).resolve().parents[2] / "contracts" / "gas.json"
GAS_TOLERANCE = 0.05

ARB_SYS = "0x" + "64".zfill(40)


@dataclass(frozen=True)
class Landed:
    """One trade: what was promised, what came of it, and what was left behind."""

    funding: str
    kinds: str
    promised: int
    realised: int
    greedy: str
    others: list[int]
    allowances: list[int]
    gas: int


def land(stage: Stage, executor: str, cycle: Cycle, funding: int) -> Landed:
    weth = stage.address("WETH")
    if funding == OWN:
        stage.give(weth, executor, AMOUNT)
    promised = stage.output(cycle, AMOUNT) - AMOUNT - stage.fee(funding, AMOUNT)
    hops = stage.hops(cycle)
    greedy = execute_data(weth, AMOUNT, hops, funding=funding, min_profit=promised + 1)
    refused = reason(stage.refusal(executor, greedy))
    held = stage.balance(weth, executor)
    data = execute_data(weth, AMOUNT, hops, funding=funding, min_profit=promised)
    receipt = stage.send(executor, data)
    lenders = (stage.market.aave_pool, stage.market.balancer_vault)
    return Landed(
        FUNDINGS[funding],
        " ".join(pool.kind.removeprefix("uniswap_") for pool in cycle.pools),
        promised,
        stage.balance(weth, executor) - held,
        refused,
        [stage.balance(token, executor) for token in stage.tokens(cycle)[1:]],
        [
            stage.read(weth, "allowance(address,address)", ["uint256"], executor, lender)
            for lender in lenders
        ],
        int(receipt["gasUsed"], 16),
    )


@pytest.fixture(scope="module")
def landed(theatre: Stage) -> Iterator[list[Landed]]:
    """Every funding with every mixture of 2-4 hops, each on the market as deployed."""
    start = theatre.node.rpc("evm_snapshot")
    executor = theatre.executor()
    # A balance that is not zero, as after the first profit: gas is that of a running service.
    theatre.give(theatre.address("WETH"), executor, 1)
    trades = []
    for kinds in MIXTURES:
        before_gap = theatre.node.rpc("evm_snapshot")
        cycle = theatre.cycle(CYCLES[len(kinds)], kinds)
        theatre.open_gap(cycle, AMOUNT)
        for funding in FUNDINGS:
            before_trade = theatre.node.rpc("evm_snapshot")
            trades.append(land(theatre, executor, cycle, funding))
            theatre.node.rpc("evm_revert", before_trade)
        theatre.node.rpc("evm_revert", before_gap)
    theatre.node.rpc("evm_revert", start)
    yield trades


# ---- what it earns ----


def test_every_funding_and_mixture_earns_what_the_quoters_promise(landed: list[Landed]) -> None:
    assert len(landed) == 4 * (4 + 8 + 16)
    assert [trade for trade in landed if trade.promised <= 0] == []
    assert [trade for trade in landed if trade.realised != trade.promised] == []


def test_one_wei_more_than_the_profit_is_refused_with_both_numbers(landed: list[Landed]) -> None:
    for trade in landed:
        expected = f"InsufficientProfit(profit={trade.promised}, minProfit={trade.promised + 1})"
        assert trade.greedy == expected


def test_nothing_stays_in_other_tokens_and_no_allowance_stays(landed: list[Landed]) -> None:
    assert [trade for trade in landed if any(trade.others) or any(trade.allowances)] == []


def test_gas_is_that_of_the_snapshot(
    landed: list[Landed], capsys: pytest.CaptureFixture[str]
) -> None:
    """MEVFAST_UPDATE_GAS=1 writes contracts/gas.json anew; the difference is printed."""
    measured: dict[str, dict[str, int]] = {name: {} for name in FUNDINGS.values()}
    for trade in landed:
        measured[trade.funding][trade.kinds] = trade.gas
    if os.environ.get("MEVFAST_UPDATE_GAS") == "1":
        table = {"fit": fit(measured), "measured": measured}
        GAS_FILE.write_text(json.dumps(table, indent=1) + "\n")
    committed = json.loads(GAS_FILE.read_text())["measured"]
    assert {name: set(row) for name, row in measured.items()} == {
        name: set(row) for name, row in committed.items()
    }
    changes = {
        (name, kinds): gas / committed[name][kinds] - 1
        for name, row in measured.items()
        for kinds, gas in row.items()
    }
    (name, kinds), worst = max(changes.items(), key=lambda item: abs(item[1]))
    if worst:
        with capsys.disabled():
            print(f"\ngas differs from contracts/gas.json by up to {worst:+.2%}: {name} {kinds}")
    assert abs(worst) < GAS_TOLERANCE


def fit(measured: dict[str, dict[str, int]]) -> dict[str, int]:
    """Least squares of gas = funding + v2 hops * v2 + v3 hops * v3, and its largest error."""
    names = [*measured, "v2", "v3"]
    rows, gas = [], []
    for funding, row in measured.items():
        for kinds, used in row.items():
            hops = kinds.split()
            ones = [float(funding == name) for name in measured]
            rows.append([*ones, float(hops.count("v2")), float(hops.count("v3"))])
            gas.append(float(used))
    n = len(names)
    # Normal equations, Gauss-Jordan; the columns are independent.
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(n)]
        + [sum(row[i] * used for row, used in zip(rows, gas, strict=True))]
        for i in range(n)
    ]
    for i in range(n):
        matrix[i] = [value / matrix[i][i] for value in matrix[i]]
        for j in range(n):
            if j != i:
                factor = matrix[j][i]
                matrix[j] = [a - factor * b for a, b in zip(matrix[j], matrix[i], strict=True)]
    parts = [line[n] for line in matrix]
    errors = [
        abs(used - sum(a * b for a, b in zip(row, parts, strict=True)))
        for row, used in zip(rows, gas, strict=True)
    ]
    return {name: round(part) for name, part in zip(names, parts, strict=True)} | {
        "largest_error": round(max(errors))
    }


# ---- what it refuses ----


@pytest.fixture
def open_cycle(stage: Stage) -> Cycle:
    """A profitable V2, V3, V2 cycle."""
    cycle = stage.cycle(CYCLES[3], ("uniswap_v2", "uniswap_v3", "uniswap_v2"))
    stage.open_gap(cycle, AMOUNT)
    return cycle


def test_the_deadline_is_the_last_block(stage: Stage, open_cycle: Cycle) -> None:
    executor, hops = stage.executor(), stage.hops(open_cycle)
    weth = stage.address("WETH")
    late = int(stage.node.rpc("eth_blockNumber"), 16)  # the next block is one past it
    data = execute_data(weth, AMOUNT, hops, funding=FLASH_SWAP, deadline=late)
    receipt = stage.mine(executor, data)
    assert int(receipt["status"], 16) == 0
    refused = reason(stage.refusal(executor, data))
    assert refused == f"Expired(blockNumber={late + 1}, deadline={late})"
    now = int(stage.node.rpc("eth_blockNumber"), 16) + 1
    in_time = execute_data(weth, AMOUNT, hops, funding=FLASH_SWAP, deadline=now)
    assert int(stage.send(executor, in_time)["blockNumber"], 16) == now


def test_on_arbitrum_blocks_are_counted_by_arbsys(stage: Stage, open_cycle: Cycle) -> None:
    """ArbSys answers a number far from block.number; only it may decide."""
    weth, hops = stage.address("WETH"), stage.hops(open_cycle)
    number = 400_000_000
    push_number = "7f" + f"{number:064x}"
    stage.node.rpc("anvil_setCode", ARB_SYS, "0x" + push_number + "5f5260205ff3")
    executor = stage.executor()
    late = execute_data(weth, AMOUNT, hops, funding=FLASH_SWAP, deadline=number - 1)
    refused = reason(stage.refusal(executor, late))
    assert refused == f"Expired(blockNumber={number}, deadline={number - 1})"
    stage.send(executor, execute_data(weth, AMOUNT, hops, funding=FLASH_SWAP, deadline=number))


def test_own_funds_are_no_profit(stage: Stage, open_cycle: Cycle) -> None:
    """A losing trade with a minimum of 0 and plenty of own WETH."""
    executor, weth = stage.executor(), stage.address("WETH")
    stage.give(weth, executor, 100 * WETH_UNIT)
    backwards = Cycle(("WETH", "USDT", "USDC"), open_cycle.pools[::-1])
    for funding in FUNDINGS:
        data = execute_data(weth, AMOUNT, stage.hops(backwards), funding=funding)
        refused = reason(stage.refusal(executor, data))
        assert refused == "InsufficientProfit(profit=0, minProfit=0)"


@pytest.mark.parametrize(("funding", "position"), [(OWN, 0), (OWN, 1), (FLASH_SWAP, 0)])
def test_a_v3_pool_that_cannot_take_the_whole_input(
    stage: Stage, funding: int, position: int
) -> None:
    """Beyond the last position of the pool there is no liquidity: the swap fills in part."""
    kinds = ["uniswap_v2", "uniswap_v2"]
    kinds[position] = "uniswap_v3"
    cycle = stage.cycle(("WETH", "USDC"), kinds)
    executor, weth = stage.executor(), stage.address("WETH")
    amount = 40_000 * WETH_UNIT  # far more than the deepest position
    if funding == OWN:
        stage.give(weth, executor, amount)
    if position == 1:  # the V2 pool pays at most its reserve: make that more than V3 can take
        v2 = cycle.pools[0]
        stage.give(stage.address("USDC"), v2.address, stage.units("USDC", 20_000_000))
        stage.send(v2.address, calldata("sync()"))
    data = execute_data(weth, amount, stage.hops(cycle), funding=funding)
    refused = reason(stage.refusal(executor, data))
    assert refused.startswith(f"PartialFill(pool={cycle.pools[position].address.lower()}, taken=")


def test_hops_that_mean_nothing(stage: Stage, open_cycle: Cycle) -> None:
    executor, weth = stage.executor(), stage.address("WETH")
    good = stage.hops(open_cycle)
    pool = open_cycle.pools[1].address
    for bad in (
        hop_word(pool, 0, True),
        hop_word(pool, 3, True),
        good[1] | 1 << 200,  # above the kind
        hop_word(pool, 1, True, 1_000_000),  # a fee of everything
    ):
        data = execute_data(weth, AMOUNT, [good[0], bad, good[2]], funding=FLASH_SWAP)
        assert reason(stage.refusal(executor, data)) == "BadHop(index=1)"
    for hops in ([], good[:1], [0, *good], [good[0], 0, *good[1:]]):
        data = execute_data(weth, AMOUNT, hops, funding=FLASH_SWAP)
        missing = hops.index(0) if 0 in hops else len(hops)
        assert reason(stage.refusal(executor, data)) == f"BadHop(index={missing})"


def test_fundings_that_do_not_exist(stage: Stage, open_cycle: Cycle) -> None:
    weth, hops = stage.address("WETH"), stage.hops(open_cycle)
    bare = stage.executor(vault=NOBODY, aave=NOBODY)
    for executor, funding in ((bare, BALANCER), (bare, AAVE), (stage.executor(), 4)):
        data = execute_data(weth, AMOUNT, hops, funding=funding)
        assert reason(stage.refusal(executor, data)) == f"BadFunding(funding={funding})"
    stage.send(bare, execute_data(weth, AMOUNT, hops, funding=FLASH_SWAP))


def test_own_funding_without_funds(stage: Stage, open_cycle: Cycle) -> None:
    executor, weth = stage.executor(), stage.address("WETH")
    data = execute_data(weth, AMOUNT, stage.hops(open_cycle))
    first = open_cycle.pools[0].address.lower()
    expected = f"TransferFailed(token={weth.lower()}, to={first}, amount={AMOUNT})"
    assert reason(stage.refusal(executor, data)) == expected


# ---- withdrawing ----


def test_only_the_owner_withdraws_tokens(stage: Stage) -> None:
    executor, weth = stage.executor(), stage.address("WETH")
    stage.give(weth, executor, 5)
    data = load("Executor").call("withdraw", weth, 3, DEPLOYER)
    assert reason(stage.refusal(executor, data, STRANGER)) == "NotOwner()"
    held = stage.balance(weth, DEPLOYER)
    stage.send(executor, data)
    assert (stage.balance(weth, DEPLOYER) - held, stage.balance(weth, executor)) == (3, 2)
    refused = reason(stage.refusal(executor, data))
    assert refused == f"TransferFailed(token={weth.lower()}, to={DEPLOYER.lower()}, amount=3)"


def test_native_coins_that_were_forced_in_can_be_withdrawn(stage: Stage) -> None:
    executor, receiver = stage.executor(), "0x" + "ab" * 20
    stage.node.rpc("anvil_setBalance", executor, hex(7))
    data = load("Executor").call("withdraw", NOBODY, 7, receiver)
    assert reason(stage.refusal(executor, data, STRANGER)) == "NotOwner()"
    stage.send(executor, data)
    assert int(stage.node.rpc("eth_getBalance", receiver, "latest"), 16) == 7
    refused = reason(stage.refusal(executor, data))
    assert refused == f"TransferFailed(token={NOBODY}, to={receiver}, amount=7)"


# ---- tokens that are not quite ERC-20 ----


@pytest.mark.parametrize("funding", FUNDINGS)
def test_tokens_that_return_nothing(stage: Stage, funding: int) -> None:
    """As start token too: an Aave loan of it needs an approval from zero, twice in a row."""
    quiet, weth = stage.create_prop("QuietToken"), stage.address("WETH")
    pairs = [stage.pair_with_weth(i, quiet, (80 + 10 * i) * WETH_UNIT) for i in range(2)]
    lender = stage.create_prop("QuietLender")
    stage.send(quiet, calldata("mint(address,uint256)", lender, 10**12))
    executor = stage.executor(vault=lender, aave=lender)
    up = int(quiet, 16) < int(weth, 16)
    # quiet is dear where there is more WETH for it: sell it at pair 1, buy it back at pair 0
    hops = [hop_word(pairs[1], 1, up, 3000), hop_word(pairs[0], 1, not up, 3000)]
    amount = 10**9
    if funding == OWN:
        stage.send(quiet, calldata("mint(address,uint256)", executor, amount))
    for _ in range(2):
        held = stage.balance(quiet, executor)
        stage.send(executor, execute_data(quiet, amount, hops, funding=funding, min_profit=1))
        assert stage.balance(quiet, executor) > held
        assert stage.read(quiet, "allowance(address,address)", ["uint256"], executor, lender) == 0


def test_tokens_that_say_false_and_tokens_without_code(stage: Stage) -> None:
    executor = stage.executor()
    for token in (stage.create_prop("RefusingToken"), "0x" + "cd" * 20):
        data = load("Executor").call("withdraw", token, 1, OWNER)
        refused = reason(stage.refusal(executor, data))
        assert refused == f"TransferFailed(token={token.lower()}, to={OWNER.lower()}, amount=1)"


def test_immutables_name_owner_and_lenders(stage: Stage) -> None:
    executor = stage.executor()
    read = [
        stage.read(executor, f"{name}()", ["address"])
        for name in ("owner", "balancerVault", "aavePool")
    ]
    expected = [OWNER, stage.market.balancer_vault, stage.market.aave_pool]
    assert read == [address.lower() for address in expected]
