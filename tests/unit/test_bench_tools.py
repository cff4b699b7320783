"""The benches of the kernels: what they quote, compare, and say where a tool is absent."""

import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import bench_math, instructions, pools
from bench.peers import MAKERS, Peer
from mevfast import bench_tables


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


# ---- beside peers ----

V2 = "uniswap_v2"


@pytest.fixture
def two_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A peer of our own environment, and one whose environment is not there."""
    reaches = {"Python integers V2": 2.0, "degenbot V2": 12.0}
    pairs = tuple(bench_math.Pair(V2, peer, reach) for peer, reach in reaches.items())
    monkeypatch.setattr(bench_math, "PAIRS", pairs)
    monkeypatch.setattr(bench_math, "ENVIRONMENT", tmp_path / "none")
    monkeypatch.setattr(bench_math, "_five_ticks", lambda ours: bench_math.Row("x", "y"))


@pytest.mark.usefixtures("two_pairs")
def test_a_peer_that_cannot_be_had_is_a_row_that_says_why() -> None:
    here, absent, _ = bench_math.quotes(0.2)
    assert here.absent is None and here.ratio is not None
    assert here.theirs is not None and here.ours is not None
    assert here.met == (here.ratio >= 2.0)
    assert absent.ratio is None and absent.met is None
    assert absent.absent is not None and "make bench" in absent.absent


@pytest.mark.parametrize(
    ("reach", "ratio", "met"),
    [
        (("at least", 12.0), 12.0, True),
        (("at least", 12.0), 11.9, False),
        (("at most", 1.0), 1.0, True),
        (("at most", 1.0), 1.1, False),
    ],
)
def test_a_reach_is_from_below_or_above(reach: bench_math.Reach, ratio: float, met: bool) -> None:
    assert bench_math.judged(bench_math.Row("a", "b", reach=reach, ratio=ratio)).met == met


def test_a_peer_that_pays_otherwise_is_not_timed() -> None:
    sample = next(each for each in pools.samples() if each.name == V2)
    described = bench_math.described(sample)
    described["fields"] = described["fields"] | {"fee_pips": 3001}
    with pytest.raises(RuntimeError, match="uniswap_v2, 12345678901 in: ours"):
        peer = Peer("Python integers V2", described)
        bench_math.check(sample, bench_math.Pair(V2, "a peer"), peer)


def test_peers_elsewhere_answer_line_by_line() -> None:
    """The protocol, in a process of this environment."""
    sample = next(each for each in pools.samples() if each.name == V2)
    child = bench_math.Child(Path(sys.executable))
    try:
        peer = bench_math.Elsewhere(child, "Python integers V2", bench_math.described(sample))
        bench_math.check(sample, bench_math.Pair(V2, "a peer"), peer)
        assert peer.time(0.001) > 0
        with pytest.raises(LookupError, match="No module named 'degenbot'"):
            bench_math.Elsewhere(child, "degenbot V2", bench_math.described(sample))
    finally:
        child.close()
    assert child.process.returncode == 0


@pytest.mark.parametrize("pair", bench_math.PAIRS, ids=lambda pair: f"{pair.sample}-{pair.peer}")
def test_every_pair_names_a_sample_and_a_peer(pair: bench_math.Pair) -> None:
    assert pair.peer in MAKERS
    sample = next(each for each in pools.samples() if each.name == pair.sample)
    if pair.peer.startswith("Python"):
        bench_math.check(sample, pair, Peer(pair.peer, bench_math.described(sample)))


def test_the_committed_figures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    math, counts = bench_tables.read("math.json"), bench_tables.read("instructions.json")
    assert math is not None and counts is not None
    bench_tables.show(math, counts, Console(width=200))
    shown = capsys.readouterr().out
    assert math["machine"]["cpu"] in shown and math["date"][:10] in shown
    assert str(math["commit"]) in shown and "`make bench` measures anew" in shown
    assert f"{counts['counts']['uniswap_v2, in']:,}" in shown


def test_no_figures_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_tables.read("math.json", tmp_path) is None
    bench_tables.show(None, None, Console(width=300))
    assert "`make bench` measures anew" in capsys.readouterr().out
