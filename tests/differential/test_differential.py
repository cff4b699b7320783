"""Kernels against the contracts' own bytecode, on random pools and swaps; `make fuzz` has more."""

from random import Random
from typing import Any

import pytest

from mevfast._pool import Quote
from tests.differential.campaign import Family, Market, run
from tests.differential.families import FAMILIES, family

pytestmark = pytest.mark.devnet  # the contracts come from npm

CASES = 2000
SEED = 1

# Of each family, a field that every swap's answer hangs on.
WEIGHTY = {
    "uniswap_v2": "reserve0",
    "uniswap_v3": "liquidity",
    "pancake_v3": "liquidity",
    "algebra_v1": "liquidity",
    "algebra_limit_orders": "liquidity",
    "algebra_integral": "liquidity",
    "uniswap_v4": "fee_pips",
    "solidly": "reserve0",
    "balancer_weighted": "swap_fee",
    "balancer_composable_stable": "amp",
}


def test_no_family_is_left_out() -> None:
    assert WEIGHTY.keys() == FAMILIES.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_kernel_answers_as_the_contract(name: str) -> None:
    tally = run(family(name), name, cases=CASES, seed=SEED)
    assert not tally.mismatches, "\n\n".join(map(str, tally.mismatches))
    assert tally.cases == CASES


class OneOff:
    """A family whose pools report one unit more of a field than there is."""

    def __init__(self, family: Family, field: str) -> None:
        self.evm, self._family, self._field = family.evm, family, field

    def pool(self, rng: Random) -> Market:
        market = self._family.pool(rng)
        fields, field = market.fields, self._field
        market.fields = lambda: _raised(fields(), field)  # type: ignore[method-assign]
        return market


def _raised(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {**fields, name: fields[name] + 1}


@pytest.mark.parametrize(("name", "field"), WEIGHTY.items())
def test_a_unit_too_many_is_found_and_the_printed_case_shows_it(name: str, field: str) -> None:
    off = OneOff(family(name), field)
    tally = run(off, name, cases=2000, seed=SEED)
    assert len(tally.mismatches) == 5
    for mismatch in tally.mismatches:
        printed = str(mismatch)
        shown = printed[printed.index("from mevfast") : printed.index("make fuzz")].splitlines()
        names: dict[str, Any] = {}
        exec("\n".join([*shown[:-1], f"answer = {shown[-1]}"]), names)
        assert names["answer"] == mismatch.kernel
        again = run(off, name, cases=1, seed=SEED, only_pool=mismatch.place.pool)
        assert again.mismatches == [mismatch]
    assert any(isinstance(mismatch.kernel, Quote) for mismatch in tally.mismatches)
