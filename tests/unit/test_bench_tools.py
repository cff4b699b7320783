"""The benches of the kernels: what they quote, compare, and say where a tool is absent."""

import shutil

import pytest

from bench import instructions, pools


def test_each_sample_is_quoted_both_ways_where_its_contract_has_both() -> None:
    names = [sample.name for sample in pools.samples()]
    assert len(names) == len(set(names))
    for sample in pools.samples():
        amounts = sample.amounts(5)
        assert len(set(amounts)) == 5
        assert all(sample.quote(amount).amount_in == amount for amount in amounts)
        assert all(output > 0 for output in sample.outputs(5))


@pytest.mark.parametrize("crossings", [0, 1, 5])
def test_swaps_cross_as_many_ticks_as_they_say(crossings: int) -> None:
    sample = next(
        each for each in pools.samples() if each.name.startswith(f"uniswap_v3, {crossings}")
    )
    for amount in sample.amounts(20):
        after = sample.quote(amount).after["tick"]
        ticks = [tick for tick, _ in sample.fields["ticks"]]
        assert sum(after < tick <= sample.fields["tick"] for tick in ticks) == crossings


def test_positions_make_the_state() -> None:
    positions = [(-20, 20, 7), (-10, 197_320, 5)]
    state = pools.v3_fields(positions)
    assert state["ticks"] == [[-20, 7], [-10, 5], [20, -7], [197_320, -5]]
    assert state["liquidity"] == 5


def test_changes_of_more_than_a_twentieth_are_named() -> None:
    before = {"same": 100, "a little": 100, "more": 100, "less": 100, "gone": 7}
    after = {"same": 100, "a little": 105, "more": 106, "less": 94, "new": 9}
    assert instructions.changes(after, before) == [
        "gone: not counted any more, was 7",
        "less: 94 instructions, was 100 (-6 %)",
        "more: 106 instructions, was 100 (+6 %)",
        "new: new, 9 instructions",
    ]


def test_without_valgrind_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("sys.argv", ["instructions", "--out", str(tmp_path / "none.json")])
    assert instructions.main() == 0
    assert "not counted: no valgrind" in capsys.readouterr().out
    assert not (tmp_path / "none.json").exists()
