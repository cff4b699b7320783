"""Finds the optional folder of recorded mainnet data beside the repository."""

import json
from pathlib import Path
from typing import Any

import pytest

REAL = Path(__file__).parents[2].parent / "shared" / "real"
needs_real = [
    pytest.mark.real,
    pytest.mark.skipif(
        not REAL.is_dir(), reason="real: the folder ../shared/real with recorded data is absent"
    ),
]


def read(name: str) -> Any:
    """The JSON document at `name` inside the folder."""
    return json.loads((REAL / name).read_bytes())


def quotes(family: str) -> Any:
    """One family of pools/onchain_quotes.json: answers that deployed contracts gave."""
    return next(pool for pool in read("pools/onchain_quotes.json") if pool["family"] == family)
