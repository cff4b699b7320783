"""The gas the engine expects follows what was measured on the real contracts."""

import json
from pathlib import Path

import pytest

from mevfast.execution.gas import EXECUTED, GAS_FUNDING, GAS_HOPS

FIT = json.loads((Path(__file__).parents[2] / "contracts" / "gas.json").read_text())["fit"]
ROUNDED = 1_000


@pytest.mark.parametrize(
    ("name", "expected"),
    [*GAS_FUNDING.items(), *((kind.removeprefix("uniswap_"), GAS_HOPS[kind]) for kind in EXECUTED)],
)
def test_expected_gas_is_what_was_measured(name: str, expected: int) -> None:
    assert abs(FIT[name] - expected) <= ROUNDED
