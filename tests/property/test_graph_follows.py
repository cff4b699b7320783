"""A graph that followed changes is as good as a new one: the same cycles, whatever came before."""

from random import Random
from typing import Any

import pytest

from mevfast._cache import Table
from mevfast._pool import Pool, Quote
from mevfast._search import Search
from tests import mixed
from tests.market import pool_id, token

SEEDS = range(24)
CHANGES = 60


def found(search: Search) -> tuple[int, list[tuple[Any, ...]]]:
    """How many cycles gain, and what the best plans are, told by pools and amounts."""
    before = search.n_candidates
    plans = search.find()
    return search.n_candidates - before, [
        (
            plan["profit"],
            tuple((h["pool"], h["index_in"], h["index_out"], h["amount_in"]) for h in plan["hops"]),
        )
        for plan in plans
    ]


def search_over(table: Table, slots: list[int]) -> Search:
    search = Search(table, [token(0), token(1)], token(0))
    search.configure(max_sized=8)
    for slot in slots:
        search.add_pool(slot)
    return search


@pytest.mark.parametrize("seed", SEEDS)
def test_changes_one_by_one_are_a_new_graph(seed: int) -> None:
    random = Random(seed)
    pools = mixed.mixed_market(seed)
    table = Table(len(pools), 1 << 16)
    states = [Pool(pool["kind"], pool) for pool in pools]
    slots = [
        table.put(pool_id(i, pool["kind"]), pool["kind"], [token(t) for t in pool["tokens"]],
                  state, 1)
        for i, (pool, state) in enumerate(zip(pools, states, strict=True))
    ]  # fmt: skip
    search = search_over(table, slots)
    inside = set(range(len(pools)))
    paid = 0
    for change in range(CHANGES):
        i = random.randrange(len(pools))
        if i in inside and random.random() < 0.1:
            search.remove_pool(slots[i])
            inside.discard(i)
        elif i not in inside:
            search.add_pool(slots[i])
            inside.add(i)
        else:
            swap(states[i], random)
            table.overwrite(slots[i], states[i], 2 + change, 0)
            search.refresh_pool(slots[i])
        if random.random() < 0.2:
            search.find([slots[k] for k in sorted(inside)][:1], rounds=3)  # looks ahead, and back
        if change % 10 == 9:
            fresh = found(search_over(table, [slots[k] for k in sorted(inside)]))
            assert found(search) == fresh
            paid += fresh[0]
    if seed == SEEDS[0]:
        assert paid > 0


def swap(pool: Pool, random: Random) -> None:
    """A swap of about a thousandth to a tenth of what the pool takes well."""
    i, j = random.sample(range(pool.n_tokens), 2)
    for _ in range(20):
        amount = 10 ** random.randrange(3, 24)
        answer = pool.quote(i, amount, token_out=j)
        if isinstance(answer, Quote) and 1e-4 < (answer.price_impact or 0.0) < 0.02:
            pool.apply(i, amount, token_out=j)
            return
