"""The command verify: what it prints, and what each exit code stands for."""

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mevfast import verify
from mevfast.errors import DataError

GOOD: dict[str, Any] = {
    "format": "mevfast-vectors/1",
    "kind": "uniswap_v2",
    "source": "by hand",
    "pools": [{"id": "a", "fee_pips": "3000", "reserve0": "1000", "reserve1": "1000"}],
    "cases": [
        {
            "pool": "a",
            "token_in": 0,
            "token_out": 1,
            "exact": "in",
            "amount": "100",
            "ok": True,
            "amount_in": "100",
            "amount_out": "90",
            "after": {"reserve0": "1100", "reserve1": "910"},
        },
        {
            "pool": "a",
            "token_in": 1,
            "token_out": 0,
            "exact": "out",
            "amount": "1000",
            "ok": False,
            "error": "Error(UniswapV2: INSUFFICIENT_LIQUIDITY)",
        },
    ],
}


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verify.configure(parser)
    return verify.run(parser.parse_args(arguments))


def write(path: Path, document: Any) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """GOOD with one value replaced, or removed where `to` is ..."""
    document = copy.deepcopy(GOOD)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


def test_a_right_file_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "good.json", GOOD)
    assert run(path) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: uniswap_v2, 2 of 2 passed, 0 failed, 1 refused as expected\n"
    assert err == ""


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "good.json", GOOD)
    assert run(path, path, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["cases"], document["passed"], document["failed"]) == (4, 4, 0)
    assert [entry["file"] for entry in document["files"]] == [path, path]


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (changed("cases", 0, "amount_out", to="91"), ("amount_out=91", "amount_out=90")),
        (changed("cases", 0, "after", "reserve1", to="909"), ("reserve1=909", "reserve1=910")),
        (
            changed("cases", 0, to=GOOD["cases"][1] | {"exact": "in", "amount": "100"}),
            ("refused=Error(UniswapV2: INSUFFICIENT_LIQUIDITY)", "amount_out=90"),
        ),
        (changed("cases", 0, "amount", to="0"), ("amount_out=90", "refused=ZERO_AMOUNT")),
    ],
)
def test_a_mismatch_is_exit_1_and_names_the_case(
    document: Any, shown: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "bad.json", document)
    assert run(path) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert "1 of 2 passed, 1 failed" in first
    expected, actual = second.split(", was ")
    assert f"{path}: cases[0], pool a: expected " in expected
    assert shown[0] in expected
    assert shown[1] in actual
    assert run(path, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["files"][0]["mismatches"][0]["case"] == 0


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "expected a JSON object of format mevfast-vectors/1"),
        ("[" * 100000, "expected a JSON object of format mevfast-vectors/1"),
        ("[]", "expected a JSON object of format mevfast-vectors/1"),
        (changed("format", to="mevfast-market/1"), "format: expected 'mevfast-vectors/1', was"),
        (changed("format", to=...), "format: expected 'mevfast-vectors/1', was 'missing'"),
        (
            changed("kind", to="uniswap"),
            r"kind: expected one of uniswap_v2, .*, was 'uniswap'",
        ),
        (changed("kind", to=["uniswap_v2"]), "kind: expected one of"),
        (changed("pools", to=...), "pools: expected a list, was None"),
        (changed("pools", 0, to=[]), r"pools\[0\]: expected an object"),
        (changed("pools", 0, "id", to=...), r"pools\[0\]\.id: expected a value, was missing"),
        (changed("pools", 0, "reserve0", to=...), r"pools\[0\]\.reserve0: .* was missing"),
        (changed("pools", to=GOOD["pools"] * 2), r"pools\[1\]\.id: expected every id once"),
        (changed("cases", to={}), "cases: expected a list"),
        (changed("cases", 1, to=7), r"cases\[1\]: expected an object, was 7"),
        (changed("cases", 0, "amount_in", to=...), r"cases\[0\]\.amount_in: .* was missing"),
        (changed("cases", 0, "amount", to="1e3"), r"cases\[0\]\.amount: expected an integer"),
        (changed("cases", 0, "amount", to="-1"), r"cases\[0\]\.amount: expected an integer in"),
        (changed("cases", 0, "amount", to=1.5), r"cases\[0\]\.amount: expected an integer"),
        (changed("cases", 0, "pool", to="b"), r"cases\[0\]\.pool: expected the id of a pool"),
        (changed("cases", 0, "pool", to=["a"]), r"cases\[0\]\.pool: expected the id of a pool"),
        (changed("cases", 0, "token_out", to=0), r"cases\[0\]\.token_out: expected another token"),
        (changed("cases", 0, "exact", to="IN"), r"cases\[0\]\.exact: expected 'in' or 'out'"),
        (changed("cases", 0, "ok", to=1), r"cases\[0\]\.ok: expected true or false"),
        (changed("cases", 0, "after", to=[]), r"cases\[0\]\.after: expected an object"),
        (
            changed("cases", 0, "after", "ticks", to=[]),
            r"cases\[0\]\.after\.ticks: no field of uniswap_v2 that swaps move",
        ),
        (changed("cases", 1, "error", to=...), r"cases\[1\]\.error: expected a value"),
    ],
)
def test_what_is_no_vector_file_is_named(document: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "broken.json", document)
    with pytest.raises(DataError, match=message) as caught:
        run(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 2


V3_STATE: dict[str, Any] = {
    "fee_pips": 3000,
    "tick_spacing": 60,
    "sqrt_price_x96": str(1 << 96),
    "tick": 0,
    "liquidity": 10**18,
    "ticks": [],
}


def algebra_case(fee: Any, amount_out: int) -> dict[str, Any]:
    case = {"pool": "a", "token_in": 0, "token_out": 1, "exact": "in", "amount": 10**9, "ok": True}
    return case | {"amount_in": 10**9, "amount_out": amount_out, "fee_pips": fee, "tag": "x"}


def test_a_case_may_carry_the_fee_of_its_swap(tmp_path: Path) -> None:
    cases = [algebra_case(fee, out) for fee, out in ((3000, 996999999), (100, 999899999))]
    document = {
        "format": "mevfast-vectors/1",
        "kind": "algebra_v1",
        "pools": [{"id": "a", **V3_STATE}],
        "cases": cases * 2,
    }
    path = write(tmp_path / "fees.json", document)
    assert run(path) == 0
    vectors = verify.load(path)
    assert list(vectors.pools) == [("a", None), ("a", 3000), ("a", 100)]
    assert vectors.pool(vectors.cases[1]) is vectors.pool(vectors.cases[3])
    for fee in (-1, 10**6, "x", [1, 2], None):
        document["cases"] = [cases[0], algebra_case(fee, 1)]
        with pytest.raises(DataError, match=r"cases\[1\]\.fee_pips: expected an integer"):
            run(write(tmp_path / "fees.json", document))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin1.json").write_bytes(b'{"format": "\xff"}')
    for name in ("absent.json", ".", "latin1.json"):
        with pytest.raises(DataError, match=str(tmp_path)):
            run(str(tmp_path / name))


def test_nothing_is_printed_before_every_file_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, broken = write(tmp_path / "good.json", GOOD), write(tmp_path / "broken.json", "{")
    with pytest.raises(DataError):
        run(good, broken, "--json")
    assert capsys.readouterr().out == ""
