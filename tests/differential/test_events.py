"""The logs of real contracts applied to a table: its slot is what the contract says, or stale."""

import pytest

from tests.differential.events import TRANSACTIONS, run
from tests.differential.families import FAMILIES, family

pytestmark = pytest.mark.devnet  # the contracts come from npm

POOLS = 20
SEED = 1

STALE = {
    "algebra_integral": "a new plugin may set fees",
    "solidly": "the factory's fee of all pools is not told",
    "uniswap_v4": "a hook's fee and the protocol's in one sum: it may be that of two fees",
    "balancer_composable_stable": "amp moves with time, rates are not told by the factor",
}
"""Why some events of a family are answered by a read; of the others none is."""

BESIDE_SWAPS = {
    "uniswap_v2": {"mint", "burn", "donation"},
    "uniswap_v3": {"mint", "burn"},
    "pancake_v3": {"mint", "burn"},
    "algebra_v1": {"mint", "burn", "late mint"},
    "algebra_limit_orders": {"mint", "burn", "late mint", "spacing"},
    "algebra_integral": {"mint", "burn", "fee", "spacing", "plugin"},
    "uniswap_v4": {"mint", "burn", "protocol's fee", "hook's fee"},
    "solidly": {"mint", "burn", "donation", "fee"},
    "balancer_weighted": {"join", "exit", "swap fee"},
    "balancer_composable_stable": {
        "join", "exit", "swap fee", "amp starts", "amp stops", "rate", "own token",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_a_slot_follows_its_contract_by_logs_alone(name: str) -> None:
    tally = run(family(name), name, pools=POOLS, seed=SEED)
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.events.keys() >= BESIDE_SWAPS[name] | {"swap"}
    assert tally.results["changed"] > POOLS * TRANSACTIONS // 4
    assert (tally.results["stale_noted"] > 0) == (name in STALE)
    # what was not stale was compared, and most of it had moved
    assert tally.exact > tally.transactions // 2
    assert tally.undone > POOLS
    assert tally.audited > POOLS


@pytest.mark.parametrize("name", FAMILIES)
def test_a_log_that_never_came_is_found(name: str) -> None:
    tally = run(family(name), name, pools=POOLS, seed=SEED, lost=0.05)
    assert tally.wrong
