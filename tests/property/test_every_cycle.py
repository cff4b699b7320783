"""`Search.cycles`: every candidate is a cycle or counted, and the search is as it was before."""

import pytest

from mevfast._search import Search
from tests import market
from tests.market import search_of

SEEDS = range(20)


def made(seed: int) -> tuple[Search, range]:
    pools = market.random_market(seed, noise=0.01)
    search = search_of(pools)
    search.configure(max_sized=8192)
    return search, range(len(pools))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_candidate_is_a_cycle_or_counted(seed: int) -> None:
    search, slots = made(seed)
    cycles = search.cycles(slots)
    assert search.n_candidates == sum(search.dropped().values()) + len(cycles)
    ways = {tuple((hop["slot"], hop["zero_for_one"]) for hop in each["hops"]) for each in cycles}
    assert len(ways) == len(cycles)
    assert [each["net"] for each in cycles] == sorted(
        (each["net"] for each in cycles), reverse=True
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_plans_are_among_them_and_the_search_stays_as_it_was(seed: int) -> None:
    search, slots = made(seed)
    plans = search.find()
    cycles = search.cycles(slots)
    assert search.find() == plans
    search.cycles(reversed(slots), most=3)
    assert search.cycles(slots) == cycles
    assert search.find() == plans
    alike = [(each["amount_in"], each["profit"], each["hops"]) for each in cycles]
    for plan in plans:
        assert (plan["amount_in"], plan["profit"], plan["hops"]) in alike


def test_beyond_max_sized_candidates_are_counted() -> None:
    cut = 0
    for seed in SEEDS:
        search, slots = made(seed)
        every = len(search.cycles(slots))
        search, _ = made(seed)
        search.configure(max_sized=1)
        few = search.cycles(slots)
        dropped = search.dropped().get("candidate_limit", 0)
        cut += dropped
        assert search.n_candidates == sum(search.dropped().values()) + len(few)
        assert len(few) <= every
    assert cut


def test_a_slot_that_is_not_in_the_graph_is_refused() -> None:
    search, slots = made(0)
    for wrong in (-1, len(slots)):
        with pytest.raises(IndexError, match=f"slot {wrong}: expected one that add_pool"):
            search.cycles([0, wrong])
