"""`state-hash`: the hash of a file, and what it says of files that are none."""

import dataclasses
import json
from pathlib import Path

import pytest

from mevfast import cli, market_file

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "docs" / "market.example.json")


def test_it_prints_block_pools_and_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["state-hash", EXAMPLE]) == 0
    market = market_file.load(EXAMPLE)
    assert capsys.readouterr().out.splitlines() == [
        "block       0",
        "pools       14",
        f"state hash  {market_file.state_hash(market.pools)}",
    ]


@pytest.mark.parametrize("name", ["market.json", "market.json.gz"])
def test_a_written_file_says_the_same_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    market = dataclasses.replace(
        market_file.load(EXAMPLE), path=str(tmp_path / name), block=987654321
    )
    found = market_file.write(market)
    assert cli.main(["state-hash", market.path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "block": "987654321",
        "pools": 14,
        "state_hash": found,
    }
    assert found == market_file.state_hash(market_file.load(EXAMPLE).pools)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"\x7fELF\x00", "expected a JSON object of format mevfast-market/1"),
        (b"[]", "expected a JSON object of format mevfast-market/1"),
        (b'{"format": "mevfast-vectors/1"}', "'mevfast-market/1', was 'mevfast-vectors/1'"),
        (b"\x1f\x8bno archive", "cannot be read"),
    ],
)
def test_another_kind_of_file_is_told_what_was_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["state-hash", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{path}: " in captured.err
    assert words in captured.err
