"""A comparison calls a difference one, and chance chance. Results are made, not measured."""

import copy
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from mevfast import bench_compare, bench_stages, cli
from mevfast.errors import DataError

ROUNDS = 20


def result(seed: int, *, encode: float = 1.0, machine: float = 1.0) -> dict[str, Any]:
    """Rounds of three times, 1 % of noise, on a machine so many times as slow."""
    chance = random.Random(seed)
    run = bench_stages.Run(clock_ns=0)
    for _ in range(ROUNDS):
        mode = machine * chance.choice((1.0, 1.4))  # for a whole round, as these machines do
        for name, ns in (
            ("bare_signature", 25_000),
            ("bare_signature_2000", 25_000),
            ("sign", 25_100),
            ("encode_2000", 2_000 * encode),
            ("frame_to_signed_2000", 28_000 + 2_000 * encode),
            ("eth_account_sign_transaction", 400_000),
            ("fields_to_raw", 25_000 + 1_000 * encode),
        ):
            run.add(name, [int(ns * mode * chance.gauss(1, 0.01)) for _ in range(50)])
        run.end_round()
    return {
        "format": bench_compare.FORMAT,
        "date": "2026-01-01T00:00:00+00:00",
        "commit": "a" * 12,
        "quick": False,
        "machine": {"cpu": "made"},
        "rounds": {"times": run.rounds, "ratios": bench_stages.round_ratios(run.rounds)},
    }


def words(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    return {each.name: each.word for each in bench_compare.compare(before, after)}


@pytest.mark.parametrize("seed", range(20))
def test_two_runs_of_one_program_show_no_difference(seed: int) -> None:
    found = words(result(seed), result(seed + 100))
    assert set(found.values()) == {"no difference"}
    assert {"encode_2000", "sign", "frame_to_signed_over_signature"} <= set(found)


def test_a_slower_machine_is_no_slower_program() -> None:
    assert set(words(result(1), result(2, machine=1.4)).values()) == {"no difference"}


@pytest.mark.parametrize(("encode", "word"), [(2.0, "slower"), (0.5, "faster")])
def test_a_stage_that_changed_is_named_with_its_direction(encode: float, word: str) -> None:
    found = words(result(1), result(2, encode=encode))
    assert found["encode_2000"] == word
    assert found["sign"] == found["sign_over_bare"] == "no difference"
    if encode == 2.0:
        assert found["frame_to_signed_over_signature"] == word


def test_more_is_better_where_the_peer_is_above_the_line() -> None:
    found = words(result(1), result(2, encode=5.0))
    assert found["fields_to_raw"] == "slower"
    assert found["eth_account_over_fields_to_raw"] == "slower"


def test_what_the_rounds_tell_apart_but_is_small_is_no_difference() -> None:
    before, after = result(1), result(2)
    after["rounds"]["times"]["sign"]["p50_ns"] = [
        int(1.02 * each) for each in after["rounds"]["times"]["sign"]["p50_ns"]
    ]
    [change] = [each for each in bench_compare.compare(before, after) if each.name == "sign"]
    assert change.p < bench_compare.LEVEL
    assert 1.01 < change.factor < 1.03
    assert change.word == "no difference"


def test_peers_and_what_has_few_rounds_are_not_compared() -> None:
    before, after = result(1), result(2)
    after["rounds"]["times"]["encode_2000"]["p50_ns"][4:] = [None] * (ROUNDS - 4)
    found = words(before, after)
    assert "encode_2000" not in found
    assert not {"bare_signature", "bare_signature_2000", "eth_account_sign_transaction"} & set(
        found
    )


def test_corrected_p_values_are_those_of_the_textbook() -> None:
    assert bench_compare.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bench_compare.holm([0.9, 0.8]) == [1.0, 1.0]
    assert bench_compare.holm([]) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"{", "expected a result of the bench"),
        (b"[]", "was none"),
        (b'{"format": "mevfast-bench/1"}', r"expected the format .*/3, was mevfast-bench/1"),
        (b'{"format": "mevfast-bench/3", "rounds": {}}', "expected `rounds`"),
    ],
)
def test_a_file_of_another_format_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    path = tmp_path / "earlier.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        bench_compare.read(path)
    # Before anything is measured.
    assert cli.main(["bench", "--compare", str(path)]) == cli.EXIT_USAGE
    assert f"--compare {path}" in capsys.readouterr().err


def test_a_file_of_this_format_is_read_back(tmp_path: Path) -> None:
    made = result(1)
    (tmp_path / "a.json").write_bytes(orjson.dumps(made))
    assert set(words(bench_compare.read(tmp_path / "a.json"), made).values()) == {"no difference"}


def test_what_is_shown_names_what_differs_and_another_cpu() -> None:
    before, after = result(1), result(2, encode=2.0)
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115
    changes = bench_compare.compare(before, after)
    bench_compare.show(changes, before, after, console)
    text = console.export_text()
    assert "slower: encode_2000" in text and "two CPUs" not in text
    assert "no difference in the other" in text
    other = copy.deepcopy(before)
    other["machine"]["cpu"] = "another"
    bench_compare.show(bench_compare.compare(before, other), before, other, console)
    text = console.export_text()
    assert "two CPUs, made and another" in text
    assert "slower: " not in text and "faster: " not in text
    assert "was busy" not in text
    other["machine"] |= {"load_average": 3.0, "cores": 2}
    bench_compare.show(bench_compare.compare(before, other), before, other, console)
    assert "was busy" in console.export_text()
    as_json = bench_compare.as_json(changes, before)
    assert as_json["changes"]["encode_2000"]["is"] == "slower"
