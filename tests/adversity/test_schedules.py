"""A few of the random schedules of `make soak`, always the same ones; and what makes them so."""

import asyncio
import random
from typing import Any

import pytest

from tests.adversity.faults import CATALOGUE
from tests.adversity.schedule import BLOCKS, FAULTS, play, schedule
from tests.adversity.soak import held
from tests.chain.engine_stage import on_loop
from tests.chain.executor_stage import Stage, stage, theatre

__all__ = ["stage", "theatre"]  # fixtures

LIMIT_S = 240.0


@pytest.mark.devnet
@pytest.mark.parametrize("seed", range(1, 7))
def test_the_table_is_the_chain_s_after(stage: Stage, seed: int) -> None:
    @on_loop
    async def run() -> None:
        async with asyncio.timeout(LIMIT_S):
            await play(stage, schedule(seed))

    run()


def test_a_seed_names_one_schedule() -> None:
    assert schedule(7).words() == schedule(7).words()
    assert schedule(7).steps == schedule(7).steps
    assert schedule(7).words() != schedule(8).words()
    assert "--seed 7" in schedule(7).command


def test_schedules_use_every_fault() -> None:
    used = set()
    for seed in range(1000):
        plan = schedule(seed)
        names = [fault.name for step in plan.steps for fault in step.faults]
        assert BLOCKS[0] <= len(plan.steps) <= BLOCKS[1]
        assert FAULTS[0] <= len(names) <= FAULTS[1]
        used.update(names)
    assert used == set(CATALOGUE)


def test_playing_does_not_draw_from_the_schedule_s_chance() -> None:
    random.seed(1)
    first = schedule(3).words()
    random.seed(2)
    assert schedule(3).words() == first


GOOD = {
    "table_differs": "", "state_hash": "0x1", "state_hash_of_a_fresh_load": "0x1",
    "quote_mismatches": 0, "unexplained_trades": 0, "sent_in_doubt": [], "engine_ended": "",
}  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [{}, {"table_differs": "reserve0 is 1"}, {"state_hash": "0x2"}, {"quote_mismatches": 1},
     {"unexplained_trades": 1}, {"sent_in_doubt": ["1 sent in doubt"]}, {"engine_ended": "Error"}],
)  # fmt: skip
def test_a_soak_held_only_if_nothing_was_wrong(bad: dict[str, Any]) -> None:
    assert held(GOOD | bad) == (not bad)
