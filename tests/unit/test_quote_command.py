"""`quote` and the market file: the answer of the kernels, and errors that name the field."""

import copy
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mevfast import cli, market_file
from mevfast._pool import KINDS, Quote
from mevfast.errors import DataError

WETH, USDC, DAI = (f"0x{digit * 40}" for digit in "abc")
PAIR, RANGE, EMPTY = (f"0x{digit * 40}" for digit in "123")
MARKET: dict[str, Any] = {
    "format": "mevfast-market/1",
    "chain_id": 42161,
    "block": "200000000",
    "tokens": [
        {"address": WETH.upper().replace("X", "x"), "symbol": "WETH", "decimals": 18},
        {"address": USDC, "symbol": "USDC", "decimals": "6"},
        {"address": DAI, "symbol": "DAI", "decimals": 18},
    ],
    "base_tokens": [0],
    "pools": [
        {
            "address": PAIR,
            "kind": "uniswap_v2",
            "tokens": [0, 1],
            "fee_pips": "3000",
            "reserve0": str(1000 * 10**18),
            "reserve1": str(3_000_000 * 10**6),
        },
        {
            "address": RANGE,
            "kind": "uniswap_v3",
            "tokens": [1, 2],
            "fee_pips": 500,
            "tick_spacing": 10,
            "sqrt_price_x96": str(1 << 96),
            "tick": 0,
            "liquidity": str(10**18),
            "ticks": [[-100, 10**18], [100, -(10**18)]],
        },
        {
            "address": EMPTY,
            "kind": "uniswap_v2",
            "tokens": [0, 2],
            "fee_pips": 3000,
            "reserve0": 0,
            "reserve1": 0,
        },
    ],
}


@pytest.fixture
def market(tmp_path: Path) -> str:
    path = tmp_path / "market.json"
    path.write_text(json.dumps(MARKET))
    return str(path)


def ask(market: str, pool: str, token: str, amount: int | str, *more: str) -> int:
    return cli.main(
        ["quote", "--market", market, "--pool", pool, "--in", token, "--amount", str(amount), *more]
    )


def test_text_gives_amounts_prices_and_impact(
    market: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(market, PAIR, "WETH", 10**18) == 0
    printed = capsys.readouterr().out
    assert "(1 WETH)" in printed
    assert "2988020943  (2988.020943 USDC)" in printed  # 997 * 3e12 // (1e6 + 997) * ...
    assert "price before  2991 USDC per WETH" in printed
    assert "impact        0.19" in printed
    assert "after         reserve0 = 1001000000000000000000" in printed


def test_json_equals_the_formula(market: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(market, PAIR.upper().replace("X", "x"), USDC, 10**9, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    paid = 10**9 * 997 * 1000 * 10**18 // (3 * 10**12 * 1000 + 997 * 10**9)
    assert answer["amount_out"] == str(paid)
    assert answer["amount_in"] == str(10**9)
    assert (answer["token_in"], answer["token_out"]) == (USDC, WETH)
    assert answer["after"] == {
        "reserve0": str(1000 * 10**18 - paid),
        "reserve1": str(3 * 10**12 + 10**9),
    }
    before = Fraction(1000 * 10**18, 3 * 10**12)
    after = Fraction(1000 * 10**18 - paid, 3 * 10**12 + 10**9)
    assert answer["price_before"] == pytest.approx(float(before) * 0.997)
    assert answer["price_impact"] == pytest.approx(float(1 - after / before))


def test_exact_out_and_partial_fill(market: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(market, PAIR, "WETH", 2988020943, "--exact-out") == 0
    assert "(2988.020943 USDC)" in capsys.readouterr().out
    assert ask(market, RANGE, "DAI", 10**30) == 0
    assert f"partial fill: of {10**30}, then the liquidity ends" in capsys.readouterr().out


def test_a_refusal_says_why_and_exits_with_1(
    market: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(market, EMPTY, "DAI", 10**18) == 1
    assert "refused: NO_LIQUIDITY: the pool is empty" in capsys.readouterr().out
    assert ask(market, EMPTY, "DAI", 10**18, "--json") == 1
    assert json.loads(capsys.readouterr().out)["refused"] == "NO_LIQUIDITY"


EXAMPLE = Path(__file__).parents[2] / "docs" / "market.example.json"


def test_the_example_market_has_every_kind_and_prices_that_fit_its_amounts() -> None:
    pools = market_file.load(str(EXAMPLE)).pools
    assert [pool.kind for pool in pools] == list(KINDS)
    for chosen in pools:
        i = 0
        j = len(chosen.tokens) - 1
        amount = 10 ** chosen.tokens[i].decimals
        answer = chosen.pool.quote(i, amount, token_out=j)
        assert isinstance(answer, Quote), chosen.kind
        assert answer.price_impact is not None
        assert 0 < answer.price_impact < 0.01, chosen.kind
        rate = answer.amount_out / amount
        assert answer.price_after < rate * (1 + 1e-5), chosen.kind  # rounding takes a little
        assert rate < answer.price_before * (1 + 1e-9), chosen.kind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DAI, "DAI", 1), "--pool: expected a pool of"),
        ((PAIR, "DAI", 1), "--in: expected one of WETH 0xaa"),
        ((PAIR, "WETH", "1.5"), "--amount: expected an integer"),
        ((PAIR, "WETH", "-1"), "--amount: expected an integer in"),
        ((PAIR, "WETH", 1, "--out", "WETH"), "--out: expected another token"),
    ],
)
def test_wrong_arguments_are_named(
    market: str, capsys: pytest.CaptureFixture[str], arguments: tuple[Any, ...], message: str
) -> None:
    assert ask(market, *arguments) == 2
    assert message in capsys.readouterr().err


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    document = copy.deepcopy(MARKET)
    at: Any = document
    for step in path[:-1]:
        at = at[step]
    if to is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected a JSON object of format mevfast-market/1"),
        (changed("format", to="mevfast-vectors/1"), "format: expected 'mevfast-market/1'"),
        (changed("chain_id", to="x"), "chain_id: expected an integer"),
        (changed("block", to=...), "block: .* was missing"),
        (changed("tokens", to={}), "tokens: expected a list, was dict"),
        (changed("tokens", 1, to=7), r"tokens\[1\]: expected an object, was int"),
        (changed("tokens", 1, "address", to="0x12"), r"tokens\[1\]\.address: expected 0x and 40"),
        (changed("tokens", 1, "address", to=WETH), "tokens: expected every address once"),
        (changed("tokens", 1, "symbol", to="a\nb"), r"tokens\[1\]\.symbol: expected printable"),
        (changed("tokens", 1, "decimals", to=78), r"tokens\[1\]\.decimals: .*\[0, 77\]"),
        (changed("base_tokens", to=[3]), r"base_tokens\[0\]: expected an integer in \[0, 2\]"),
        (changed("base_tokens", to=[0, 0]), "base_tokens: expected every token once"),
        (changed("pools", 0, "kind", to="uniswap"), r"pools\[0\]\.kind: expected one of"),
        (changed("pools", 0, "kind", to=["a"]), r"pools\[0\]\.kind: expected one of"),
        (changed("pools", 0, "reserve0", to=...), r"pools\[0\]\.reserve0: .* was missing"),
        (changed("pools", 0, "tokens", to=[0, 1, 2]), r"pools\[0\]\.tokens: expected 2 entries"),
        (changed("pools", 0, "tokens", to=[0, 3]), r"pools\[0\]\.tokens\[1\]: .*\[0, 2\]"),
        (changed("pools", 0, "tokens", to=[1, 1]), r"pools\[0\]\.tokens: .* every token once"),
        (changed("pools", 0, "address", to="1"), r"pools\[0\]\.address: expected 0x and 40"),
        (changed("pools", 0, "address", to=RANGE), "pools: expected every address once"),
        (changed("pools", 1, "ticks", 0, to=[5]), r"pools\[1\]\.ticks\[0\]: expected \[tick"),
    ],
)
def test_what_is_no_market_file_is_named(tmp_path: Path, document: Any, message: str) -> None:
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message) as caught:
        market_file.load(str(path))
    assert str(caught.value).startswith(str(path))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: cannot be read: No such file"):
        market_file.load(str(tmp_path / "none.json"))
    (tmp_path / "cut.json").write_text('{"format": "mev')
    with pytest.raises(DataError, match=r"cut\.json: expected a JSON object"):
        market_file.load(str(tmp_path / "cut.json"))


def test_impact_is_unknown_without_a_price_before(
    market: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = changed("pools", 1, "liquidity", to=0)
    document["pools"][1]["ticks"] = [[100, 10**18], [200, -(10**18)]]
    Path(market).write_text(json.dumps(document))
    assert ask(market, RANGE, "DAI", 10**15) == 0
    printed = capsys.readouterr().out
    assert "impact        unknown: no price before" in printed
    assert "price before  0 USDC per DAI" in printed
