"""Every recorded swap under tests/vectors, replayed: what the contracts paid is what we quote."""

import json
from pathlib import Path

import pytest

from mevfast import verify

FILES = sorted(
    path
    for path in (Path(__file__).parents[1] / "vectors").glob("*.json")
    if json.loads(path.read_bytes()).get("format") == verify.FORMAT
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_swaps(path: Path) -> None:
    result = verify.replay(verify.load(str(path)))
    assert result.cases > 100
    assert [str(mismatch) for mismatch in result.mismatches] == []
