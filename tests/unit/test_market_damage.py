"""Market files with something wrong in them: refused by name, or read, scanned and written."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mevfast import market_file, scan_command
from mevfast.errors import DataError
from tests.fuzz.damage import damaged, names

EXAMPLE = Path(__file__).parents[2] / "docs" / "market.example.json"
ROUNDS = 600


@pytest.fixture
def memory() -> Iterator[int]:
    """A file in memory: on a disk, writing it would be most of the work."""
    number = os.memfd_create("market")
    yield number
    os.close(number)


def test_a_damaged_market_is_refused_by_name_or_holds_together(memory: int, tmp_path: Path) -> None:
    document = EXAMPLE.read_bytes()
    path = f"/proc/self/fd/{memory}"
    read = refused = 0
    for i in range(ROUNDS):
        content = damaged(document, Random(i), "vectors", names([document]))
        assert content is not None
        os.ftruncate(memory, 0)
        os.pwrite(memory, content, 0)
        try:
            market = market_file.load(path)
        except DataError as error:
            assert str(error).startswith(path), content
            refused += 1
            continue
        read += json.loads(content) != json.loads(document)
        again = dataclasses.replace(market, path=str(tmp_path / "market.json"))
        found = market_file.write(again)
        assert found == market_file.load(again.path).state_hash
        try:
            scan_command.scan(market, scan_command.start_tokens(market, None))
        except DataError as error:
            assert "base_tokens" in str(error)
    assert read > ROUNDS // 20
    assert refused > ROUNDS // 4
