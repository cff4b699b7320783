"""The history is drawn of the results that are there, the same from the same files."""

import sys
from pathlib import Path

import orjson
import pytest

from bench import history_plot


def result(path: Path, day: int, *, cpu: str = "one", kind: str = "mevfast-bench/2") -> None:
    path.write_bytes(orjson.dumps({
        "format": kind,
        "date": f"2026-01-{day:02}T10:00:00+00:00",
        "commit": f"{day:012x}",
        "quick": day % 2 == 0,
        "machine": {"cpu": cpu},
        "ratios": {"frame_to_signed_over_signature": 1.5 - day / 100, "decode_over_orjson": 0.2},
        "stages": {"sign_2000": {"p50_ns": 25_000}, "search_2000": {"p50_ns": 1_000 - day}},
    }))  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result(tmp_path / "2026-01-03-c.json", 3, cpu="another")
    result(tmp_path / "2026-01-02-b.json", 2, kind="mevfast-bench/1")
    result(tmp_path / "2026-01-01-a.json", 1)
    result(tmp_path / "2026-01-04-d.json", 4, kind="mevfast-search/1")
    (tmp_path / "2026-01-05-e.json").write_bytes(b"{")
    (tmp_path / "search.json").write_bytes(b"{}")
    return tmp_path


def test_results_are_read_oldest_first_and_others_passed_over(folder: Path) -> None:
    assert [int(each["commit"], 16) for each in history_plot.read(folder)] == [1, 2, 3]


def test_the_same_files_give_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for name in ("a.svg", "b.svg"):
        argv = ["history_plot", "--folder", str(folder), "--out", str(folder / name)]
        monkeypatch.setattr(sys, "argv", argv)
        assert history_plot.main() == 0
        drawn.append((folder / name).read_bytes())
    assert drawn[0] == drawn[1]
    text = drawn[0].decode()
    assert text.startswith("<?xml") and "another" in text and "2026-01-03" in text
    result(folder / "2026-01-06-f.json", 6)
    history_plot.draw(history_plot.read(folder), folder / "c.svg")
    assert (folder / "c.svg").read_bytes() != drawn[0]


def test_without_results_nothing_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["history_plot", "--folder", str(tmp_path)])
    assert history_plot.main() == 1
    assert "no results" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_committed_history_is_of_the_committed_results(root: Path, tmp_path: Path) -> None:
    history_plot.draw(history_plot.read(history_plot.FOLDER), tmp_path / "history.svg")
    committed = root / "bench" / "results" / "history.svg"
    assert committed.read_bytes() == (tmp_path / "history.svg").read_bytes()
