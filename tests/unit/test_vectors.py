"""Every recorded swap that the repository carries: the kernels' answers, to the wei."""

from pathlib import Path

import orjson
import pytest

from mevfast import verify

VECTORS = Path(__file__).parents[1] / "vectors"
FILES = sorted(
    path
    for path in VECTORS.glob("*.json")
    if orjson.loads(path.read_bytes()).get("format") == verify.FORMAT
)


def test_there_are_files_to_replay() -> None:
    assert len(FILES) >= 13


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_swaps_come_out_as_recorded(path: Path) -> None:
    result = verify.replay(verify.load(str(path)))
    assert result.cases >= 90
    assert result.mismatches == []
