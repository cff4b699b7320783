"""The gas the engine expects follows what was measured on the real contracts."""

import json
from pathlib import Path

import pytest

from mevfast.engine import GAS_FUNDING, GAS_V2, GAS_V3

FIT = json.loads((Path(__file__).parents[2] / "contracts" / "gas.json").read_text())["fit"]
ROUNDED = 1_000


@pytest.mark.parametrize(
    ("name", "expected"), [*GAS_FUNDING.items(), ("v2", GAS_V2), ("v3", GAS_V3)]
)
def test_expected_gas_is_what_was_measured(name: str, expected: int) -> None:
    assert abs(FIT[name] - expected) <= ROUNDED
