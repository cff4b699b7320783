"""The logs of real contracts applied to a table: its slot is what the contract says, or stale."""

import pytest

from tests.differential.events import run
from tests.differential.families import FAMILIES, family

pytestmark = pytest.mark.devnet  # the contracts come from npm

POOLS = 20
SEED = 1


@pytest.mark.parametrize("name", FAMILIES)
def test_a_slot_follows_its_contract_by_logs_alone(name: str) -> None:
    tally = run(family(name), name, pools=POOLS, seed=SEED)
    assert not tally.wrong, "\n".join(tally.wrong)
    print(name, tally)
