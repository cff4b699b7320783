"""Search against brute force: the same best cycle, the same profit, exact in every hop."""

from random import Random
from typing import Any

import pytest

from tests import market
from tests.market import pool_address, search_of, token
from tests.oracle import cycles

SEEDS = range(60)
ROUNDING = 4  # token units: a hop rounds down by up to one, the oracle's own size is as coarse


def numbers(pools: list[market.Pool]) -> dict[bytes, int]:
    return {pool_address(i): i for i in range(len(pools))}


def hops_of(plan: dict[str, Any], pools: list[market.Pool]) -> tuple[cycles.Hop, ...]:
    at = numbers(pools)
    return tuple((at[hop["pool"]], int(hop["zero_for_one"])) for hop in plan["hops"])


def expect_exact(plan: dict[str, Any], pools: list[market.Pool]) -> None:
    """Every amount of the plan is what the oracle's contracts pay, and the profit their rest."""
    hops = hops_of(plan, pools)
    amounts = cycles.amounts_along(pools, hops, plan["amount_in"])
    assert amounts is not None
    assert [hop["amount_in"] for hop in plan["hops"]] == amounts[:-1]
    assert [hop["amount_out"] for hop in plan["hops"]] == amounts[1:]
    assert plan["amount_out"] == amounts[-1]
    assert plan["profit"] <= amounts[-1] - amounts[0]
    assert plan["token"] == plan["hops"][0]["token_in"] == plan["hops"][-1]["token_out"]
    for hop, following in zip(plan["hops"], plan["hops"][1:], strict=False):
        assert hop["token_out"] == following["token_in"]


def expect_accounted(search: Any, plans: int) -> None:
    assert search.n_candidates == sum(search.dropped().values()) + plans


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_cycle_of_a_random_market(seed: int) -> None:
    pools = market.random_market(seed, noise=0.006)
    search = search_of(pools)
    search.configure(max_plans=1)
    plans = search.find()
    expect_accounted(search, len(plans))
    found = cycles.best_cycles(pools, [0], through=set(range(len(pools))))
    if not found or found[0].profit <= ROUNDING:
        assert all(plan["profit"] <= 2 * ROUNDING for plan in plans)
        return
    (plan,) = plans
    expect_exact(plan, pools)
    best = found[0].profit
    assert plan["profit"] == plan["amount_out"] - plan["amount_in"]
    assert plan["profit"] >= best - best * 1e-9 - ROUNDING, (plan, found[0])
    profit_of = {cycle.hops: cycle.profit for cycle in found}
    assert profit_of[hops_of(plan, pools)] >= best - best * 1e-9 - ROUNDING


def test_the_random_markets_are_worth_searching() -> None:
    """At least half of them have a plan, of 2, of 3 and of 4 hops, through V2 and V3."""
    lengths, kinds = [], set()
    for seed in SEEDS:
        search = search_of(market.random_market(seed, noise=0.006))
        search.configure(max_plans=1)
        for plan in search.find():
            lengths.append(len(plan["hops"]))
            kinds |= {hop["kind"] for hop in plan["hops"]}
    assert len(lengths) > len(SEEDS) / 2
    assert set(lengths) == {2, 3, 4}
    assert len(kinds) == 2


@pytest.mark.parametrize("seed", range(100, 112))
@pytest.mark.parametrize("max_hops", [2, 3])
def test_no_longer_than_asked(seed: int, max_hops: int) -> None:
    pools = market.random_market(seed, noise=0.01, n_pools=10)
    search = search_of(pools)
    search.configure(max_plans=1, max_hops=max_hops)
    plans = search.find()
    found = cycles.best_cycles(pools, [0], max_hops=max_hops, through=set(range(10)))
    assert len(plans) == bool(found)
    for plan in plans:
        assert len(plan["hops"]) <= max_hops
        assert plan["profit"] >= found[0].profit * (1 - 1e-9) - ROUNDING


@pytest.mark.parametrize("seed", range(200, 212))
def test_only_cycles_through_the_touched_pools(seed: int) -> None:
    pools = market.random_market(seed, noise=0.006, n_pools=12)
    touched = set(Random(seed).sample(range(12), 2))
    search = search_of(pools)
    search.configure(max_plans=1)
    plans = search.find(touched)
    found = cycles.best_cycles(pools, [0], through=touched)
    assert len(plans) == bool(found and found[0].profit > ROUNDING)
    for plan in plans:
        expect_exact(plan, pools)
        assert touched & {slot for slot, _ in hops_of(plan, pools)}
        assert plan["profit"] >= found[0].profit * (1 - 1e-9) - ROUNDING
    expect_accounted(search, len(plans))


@pytest.mark.parametrize("seed", range(300, 310))
def test_plans_share_no_pool_and_leave_nothing_better(seed: int) -> None:
    """What is left out shares pools with plans that make more, and no two plans share any."""
    pools = market.random_market(seed, noise=0.02, n_pools=14)
    search = search_of(pools)
    search.configure(max_plans=16, max_sized=4096)
    plans = search.find()
    expect_accounted(search, len(plans))
    used = [slot for plan in plans for slot, _ in hops_of(plan, pools)]
    assert len(used) == len(set(used))
    assert [plan["net"] for plan in plans] == sorted((plan["net"] for plan in plans), reverse=True)
    for plan in plans:
        expect_exact(plan, pools)
    profit = {hops_of(plan, pools): plan["profit"] for plan in plans}
    best = cycles.best_cycles(pools, [0], through=set(range(14)))[0]
    pools_of_best = {slot for slot, _ in best.hops}
    sharing = [p for hops, p in profit.items() if pools_of_best & {slot for slot, _ in hops}]
    assert sum(sharing) >= best.profit * (1 - 1e-9) - ROUNDING


@pytest.mark.parametrize("seed", range(400, 410))
def test_the_order_of_pools_changes_nothing(seed: int) -> None:
    pools = market.random_market(seed, noise=0.01)
    order = list(range(len(pools)))
    answers = []
    for shuffle in (False, True, True):
        if shuffle:
            Random(seed).shuffle(order)
        search = search_of(pools, order=order)
        runs = [search.find(), search.find()]
        assert runs[0] == runs[1]
        for plan in runs[0]:
            for hop in plan["hops"]:
                del hop["slot"]
        answers.append(runs[0])
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("seed", range(500, 520))
def test_nothing_to_gain_where_prices_agree(seed: int) -> None:
    pools = market.random_market(seed, noise=0.0)
    search = search_of(pools)
    assert search.find() == []
    expect_accounted(search, 0)
    assert cycles.best_cycles(pools, [0], through=set(range(len(pools)))) == []


def test_cycles_start_in_the_token_named_first() -> None:
    pools = [
        market.v2_pool((0, 1), 2.0, 1e21, 3000),
        market.v2_pool((0, 1), 2.2, 1e21, 3000),
        market.v2_pool((1, 2), 3.0, 1e21, 3000),
        market.v2_pool((1, 2), 3.3, 1e21, 3000),
    ]
    for starts in [(0, 1), (1, 0), (1,)]:
        search = search_of(pools, starts)
        plans = search.find()
        assert len(plans) == 2
        for plan in plans:
            expect_exact(plan, pools)
            tokens = {hop["token_in"] for hop in plan["hops"]}
            first = next(token(start) for start in starts if token(start) in tokens)
            assert plan["token"] == first
    assert len(search_of(pools, (0,)).find()) == 1  # the other cycle passes through no start


def test_profit_elsewhere_is_counted_in_the_base_token() -> None:
    pools = [
        market.v2_pool((0, 1), 1e-3, 1e24, 3000),  # one of token 1 is worth 1,000 of token 0
        market.v2_pool((1, 2), 3.0, 1e21, 3000),
        market.v2_pool((1, 2), 3.3, 1e21, 3000),
    ]
    (plan,) = search_of(pools, (0, 1)).find()
    assert plan["net"] == pytest.approx(plan["profit"] * 1000, rel=0.01)


def test_a_forgotten_pool_with_an_absurd_price_does_not_price_a_token() -> None:
    pools = [
        market.v2_pool((0, 1), 2000.0, 1e24, 3000),
        market.v2_pool((1, 2), 1.0, 1e24, 3000),
        market.v2_pool((1, 2), 1.05, 1e24, 500),
    ]
    (plain,) = search_of(pools, (1,)).find()
    dust = {"kind": "uniswap_v2", "tokens": (0, 1), "reserve0": 1000, "reserve1": 10**18,
            "fee_pips": 3000}  # fmt: skip
    plans = search_of([*pools, dust], (1,)).find()
    (with_dust,) = (plan for plan in plans if len(plan["hops"]) == len(plain["hops"])
                    and plan["hops"][0]["pool"] == plain["hops"][0]["pool"])  # fmt: skip
    assert with_dust["net"] == plain["net"]


def test_a_start_without_a_price_in_base_is_dropped_by_name() -> None:
    pools = [market.v2_pool((1, 2), 3.0, 1e21, 3000), market.v2_pool((1, 2), 3.3, 1e21, 3000)]
    search = search_of(pools, (1,))
    assert search.find() == []
    assert search.dropped() == {"no_price": 1}


# ---- funding ----

PAIR = [market.v2_pool((0, 1), 2.0, 1e21, 3000), market.v2_pool((0, 1), 2.2, 1e21, 3000)]


def best_of(cap: int, fee: Any) -> tuple[int, int]:
    (hops,) = {hops for hops in cycles.cycles(PAIR, [0], 2, {0, 1})
               if cycles.marginal_gain(PAIR, hops) > 1}  # fmt: skip
    return cycles.best_size(PAIR, hops, cap=cap, fee=fee)


def balancer_fee(amount: int, percentage: int) -> int:
    """FixedPoint.mulUp(amount, protocolFlashLoanFeePercentage), Balancer V2 FlashLoans.sol."""
    product = amount * percentage
    return 0 if product == 0 else (product - 1) // 10**18 + 1


def aave_fee(amount: int, premium: int, *, up: bool) -> int:
    """PercentageMath: percentMulCeil from Pool revision 9 on, percentMul (half up) before."""
    return -(-amount * premium // 10_000) if up else (amount * premium + 5_000) // 10_000


@pytest.mark.parametrize("percentage", [0, 1, 10**14, 10**15, 3 * 10**15 + 1])
@pytest.mark.parametrize("cap", [10**30, 10**18 + 7, 1000])
def test_balancer_charges_what_the_vault_does(percentage: int, cap: int) -> None:
    search = search_of(PAIR)
    search.configure(fundings=("balancer",))
    search.lend(token(0), balancer=cap, fee_balancer=percentage)
    (plan,) = search.find()
    expect_exact(plan, PAIR)
    assert plan["funding"] == "balancer"
    fee = balancer_fee(plan["amount_in"], percentage)
    assert plan["profit"] == plan["amount_out"] - plan["amount_in"] - fee
    assert plan["amount_in"] <= cap
    _, best = best_of(min(cap, 1 << 120), lambda amount: balancer_fee(amount, percentage))
    assert plan["profit"] >= best * (1 - 1e-9) - ROUNDING


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("premium", [0, 5, 9, 100])
@pytest.mark.parametrize("cap", [10**30, 10**18 + 7])
def test_aave_charges_what_the_pool_does(premium: int, cap: int, up: bool) -> None:
    search = search_of(PAIR)
    search.configure(fundings=("aave",))
    search.lend(token(0), aave=cap, fee_aave=premium, aave_rounds_up=up)
    (plan,) = search.find()
    expect_exact(plan, PAIR)
    fee = aave_fee(plan["amount_in"], premium, up=up)
    assert plan["profit"] == plan["amount_out"] - plan["amount_in"] - fee
    assert plan["amount_in"] <= cap
    _, best = best_of(min(cap, 1 << 120), lambda amount: aave_fee(amount, premium, up=up))
    assert plan["profit"] >= best * (1 - 1e-9) - ROUNDING


def test_a_small_purse_does_not_hide_a_large_lender() -> None:
    """Own funds are free of gas but few; the vault lends all it takes."""
    search = search_of(PAIR)
    search.configure(fundings=("own", "balancer"), gas_funding=(0, 0, 50_000, 0))
    search.lend(token(0), own=10**15, balancer=10**30)
    (plan,) = search.find(gas_price=10**7)
    assert plan["funding"] == "balancer"
    search.lend(token(0), own=10**15)
    (plan,) = search.find(gas_price=10**7)
    assert (plan["funding"], plan["amount_in"]) == ("own", 10**15)


@pytest.mark.parametrize("up", [False, True])
def test_the_way_to_fund_that_nets_most(up: bool) -> None:
    gas = {"own": 0, "flash_swap": 10_000, "balancer": 60_000, "aave": 90_000}
    search = search_of(PAIR)
    search.configure(fundings=tuple(gas), gas_base=100_000, gas_hops={"uniswap_v2": 50_000},
                     gas_funding=tuple(gas.values()))  # fmt: skip
    search.lend(token(0), own=10**30, balancer=10**30, aave=10**30, fee_aave=5, aave_rounds_up=up)
    (plan,) = search.find(gas_price=10**9)
    assert plan["funding"] == "own"
    assert plan["gas_units"] == 200_000
    assert plan["net"] == pytest.approx(plan["profit"] - 200_000 * 10**9)
    search.lend(token(0), balancer=10**30, aave=10**30, fee_aave=5)
    (plan,) = search.find(gas_price=10**9)
    assert (plan["funding"], plan["gas_units"]) == ("flash_swap", 210_000)


def test_no_lender_no_plan() -> None:
    search = search_of(PAIR)
    search.configure(fundings=("own", "balancer", "aave"))
    assert search.find() == []
    assert search.dropped() == {"no_funding": 1}
    expect_accounted(search, 0)


def test_gas_and_the_minimum_come_off() -> None:
    search = search_of(PAIR)
    (free,) = search.find()
    search.configure(gas_hops={"uniswap_v2": 100_000}, min_profit=free["profit"] // 2)
    (plan,) = search.find(gas_price=10**9)
    assert plan["net"] == pytest.approx(free["profit"] - 200_000 * 10**9)
    assert plan["min_profit"] == pytest.approx(free["profit"] // 2 + 200_000 * 10**9)
    assert search.find(gas_price=free["profit"] // 200_000 // 2 + 10**9) == []
    assert search.dropped() == {"below_minimum": 1}


def test_with_room_for_one_plan_the_better_of_two_is_taken() -> None:
    """The deep V3 range lies just behind a thin one: the estimate sees the thin one only."""
    thin, deep = 10**20, 5 * 10**20
    positions = [(-200, 200, thin), (-200, -1, deep), (0, 199, deep)]
    pools = [
        market.v3_pool((0, 1), 2.0, positions, 3000, 60),
        market.v2_pool((0, 1), 1.9, 1e23, 3000),
        market.v2_pool((0, 2), 2.0, 1e21, 3000),
        market.v2_pool((0, 2), 2.1, 1e21, 3000),
    ]
    search = search_of(pools)
    search.configure(max_plans=16)
    both = search.find()
    assert len(both) == 2
    search.configure(max_plans=1)
    assert search.find() == both[:1]
    expect_accounted(search, 3)


def test_slots_outside_the_graph_are_refused() -> None:
    search = search_of(PAIR)
    for slot in (-1, 2, 1 << 40):
        with pytest.raises(IndexError, match="add_pool"):
            search.find([slot])
    with pytest.raises(IndexError, match="the table holds 2"):
        search.add_pool(1 << 31)


@pytest.mark.parametrize("limit", [10**18 + 7, 10**15, 3])
def test_no_input_is_more_than_the_limit(limit: int) -> None:
    search = search_of(PAIR)
    (free,) = search.find()
    search.configure(max_input=limit)
    plans = search.find()
    for plan in plans:
        expect_exact(plan, PAIR)
        assert limit * (1 - 1e-9) <= plan["amount_in"] <= limit < free["amount_in"]
        _, best = best_of(limit, lambda amount: 0)
        assert plan["profit"] >= best - ROUNDING
    assert plans or limit == 3
