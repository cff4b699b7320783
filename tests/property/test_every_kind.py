"""Search against brute force in markets of all kinds: what pays is found, sized, and exact."""

from functools import cache
from random import Random
from typing import Any

import pytest

from mevfast._search import Search
from tests import mixed
from tests.conftest import MOST_EXAMPLES
from tests.market import Pool, pool_address, search_of
from tests.oracle import contracts, sizing
from tests.oracle.exhaustive import Cycle, Hop, Judge

SEEDS = range(300)
PRECISION = 1e-9
UNITS = 2  # of the token that profit is counted in
OF_A_UNIT = 0.25
"""And of a unit of each token on the way: one of a dear token is worth many of the profit's, and
what brings it to the last is found by trying thousands of amounts."""
EVERY = 8192  # no cycle is left out for want of room


class Case:
    """A market, what brute force says of it, and what the search does."""

    def __init__(self, pools: list[Pool]) -> None:
        self.pools = pools
        judge = Judge(pools)
        self.candidates = {cycle.hops: cycle for cycle in judge.cycles()}
        self.best = judge.best(self.candidates.values())
        self.paying = {hops for hops, cycle in self.candidates.items() if pays(cycle)}
        search = search_of(pools)
        search.configure(max_plans=1, max_sized=EVERY)
        self.plans = search.find()
        expect_accounted(search, len(self.plans))
        self.cycles = search.cycles(range(len(pools)))
        assert "candidate_limit" not in search.dropped()


@cache
def case(seed: int) -> Case:
    return Case(mixed.mixed_market(seed))


def pays(cycle: Cycle) -> bool:
    """Whether some input brings more than itself, as far as trying tells."""
    if cycle.profit > sizing.NEVER and cycle.profit <= 0:
        return sizing.climb(cycle.ways, cycle.amount_in, 4)[1] > 0
    return cycle.profit > 0


def hops_of(plan: dict[str, Any]) -> tuple[Hop, ...]:
    """The plan's way, as brute force names it."""
    return tuple(
        (
            NUMBERS[hop["pool"][:20]],
            hop.get("index_in", 1 - hop["zero_for_one"]),
            hop.get("index_out", int(hop["zero_for_one"])),
        )
        for hop in plan["hops"]
    )


NUMBERS = {pool_address(i): i for i in range(64)}


def expect_accounted(search: Search, plans: int) -> None:
    assert search.n_candidates == sum(search.dropped().values()) + plans


def expect_exact(plan: dict[str, Any], pools: list[Pool]) -> None:
    """Every amount of the plan is what the contracts pay, and the profit their rest."""
    amount = plan["amount_in"]
    for hop, (pool, i, j) in zip(plan["hops"], hops_of(plan), strict=True):
        assert hop["amount_in"] == amount
        amount = contracts.quote(pools[pool], i, j, amount)
        assert hop["amount_out"] == amount
    assert plan["amount_out"] == amount
    assert plan["profit"] == plan["amount_out"] - plan["amount_in"]


def allowed(cycle: Cycle) -> float:
    """How far below the best a size may be."""
    return cycle.profit * PRECISION + UNITS + OF_A_UNIT * cycle.unit


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_cycle_is_found_and_sized(seed: int) -> None:
    here = case(seed)
    if here.best is None or here.best.profit <= allowed(here.best):
        assert all(plan["profit"] <= UNITS for plan in here.plans)
        return
    (plan,) = here.plans
    assert plan["profit"] >= here.best.profit - allowed(here.best), here.best.hops
    assert hops_of(plan) in here.paying


@pytest.mark.parametrize("seed", SEEDS)
def test_no_profit_is_overstated(seed: int) -> None:
    """Plans are what the contracts pay to the unit; no cycle claims more than its amounts."""
    here = case(seed)
    for plan in here.plans:
        expect_exact(plan, here.pools)
    for plan in here.cycles:
        cycle = here.candidates.get(hops_of(plan))
        if cycle is None:
            expect_exact(plan, here.pools)  # few: none that pays is left out of the candidates
            continue
        amounts = sizing.along(cycle.ways, plan["amount_in"])
        assert amounts is not None
        assert [hop["amount_in"] for hop in plan["hops"]] == amounts[:-1]
        assert [hop["amount_out"] for hop in plan["hops"]] == amounts[1:]
        assert 0 < plan["profit"] == amounts[-1] - amounts[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_cycle_that_pays_is_missed(seed: int) -> None:
    """The cycles that pay are those that brute force finds to, but for what rounding decides."""
    here = case(seed)
    found = {hops_of(plan): plan for plan in here.cycles}
    assert len(found) == len(here.cycles)
    for hops in here.paying - set(found):
        missed = here.candidates[hops].finished()
        assert missed.profit <= max(allowed(missed), missed.rounding), missed
    for hops in set(found) - here.paying:
        expect_exact(found[hops], here.pools)
        assert found[hops]["profit"] > 0


@pytest.mark.skipif(bool(MOST_EXAMPLES), reason="a slow build, for which all markets are many")
def test_the_markets_are_worth_searching() -> None:
    """About half of them have a cycle that pays, through every kind, of 2, 3 and 4 hops."""
    best = [case(seed).best for seed in SEEDS]
    assert 0.4 < sum(each is not None for each in best) / len(best) < 0.6
    won = [(seed, each) for seed, each in zip(SEEDS, best, strict=True) if each is not None]
    assert {len(each.hops) for _, each in won} == {2, 3, 4}
    kinds = {case(seed).pools[hop[0]]["kind"] for seed, each in won for hop in each.hops}
    assert kinds == set(mixed.KINDS)
    assert sum(len(case(seed).paying) > 1 for seed in SEEDS) > len(SEEDS) / 4


@pytest.mark.parametrize("seed", range(1000, 1060))
def test_nothing_pays_in_an_arbitrage_free_market(seed: int) -> None:
    pools = mixed.fair_market(seed)
    search = search_of(pools)
    assert search.find() == []
    assert search.cycles(range(len(pools))) == []
    expect_accounted(search, 0)
    assert Judge(pools).best() is None


@pytest.mark.parametrize("seed", range(2000, 2030))
def test_the_order_of_pools_changes_nothing(seed: int) -> None:
    pools = mixed.mixed_market(seed)
    order = list(range(len(pools)))
    answers = []
    for shuffle in (False, True, True):
        if shuffle:
            Random(seed).shuffle(order)
        search = search_of(pools, order=order)
        search.configure(max_sized=EVERY)
        plans = search.find()
        for plan in plans:
            for hop in plan["hops"]:
                del hop["slot"]
        answers.append(plans)
    assert answers[0] == answers[1] == answers[2]
