"""Answers of real Solidly pools, and recorded function values, against kernel and oracle."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from mevfast._pool import Pool, Quote
from tests.oracle import solidly
from tests.oracle.recorded import REAL, needs_real, quotes

pytestmark = needs_real
FUNCTIONS = "pools/degenbot_math_oracle_solidly.json.gz"


def recorded(name: str) -> list[tuple[list[int], int]]:
    """(arguments, result) of one recorded function."""
    functions = json.loads(gzip.decompress((REAL / FUNCTIONS).read_bytes()))
    return [([int(x) for x in row["args"]], int(row["result"])) for row in functions[name]]


def units(decimals: list[int]) -> tuple[int, int]:
    return 10 ** decimals[0], 10 ** decimals[1]


@pytest.mark.parametrize("family", ["stable", "volatile"])
def test_aerodrome_answers(family: str) -> None:
    pool = quotes(f"aerodrome_v2_{family}_get_amount_out")
    state: dict[str, Any] = pool["state"]
    tokens = [state[f"token{i}"] for i in (0, 1)]
    fields = {
        "stable": state["stable"],
        "fee_bps": state["fee_raw"],
        **{f"reserve{i}": state[f"reserves_token{i}"] for i in (0, 1)},
        **{f"decimals{i}": 10 ** tokens[i]["decimals"] for i in (0, 1)},
    }
    kernel = Pool("solidly", fields)
    for query in pool["queries"]:
        _, pair, amount = query["key"].split("|")
        token_in = 0 if pair.startswith(tokens[0]["symbol"] + "->") else 1
        quote = kernel.quote(token_in, int(amount))
        assert isinstance(quote, Quote), query
        assert quote.amount_out == int(query["expected"]), query
    assert len(pool["queries"]) == 13


@pytest.mark.parametrize(
    ("name", "function"),
    [
        # recorded with the units themselves where the others have decimals
        ("calc_k", lambda x, y, *units: solidly.k(True, x, y, units)),
        ("k_camelot", lambda x, y, *units: solidly.k(True, x, y, units)),
        ("calc_f", solidly.velodrome_f),
        ("calc_d", solidly.velodrome_d),
        ("f_camelot", solidly.camelot_f),
        ("get_y_solidly", lambda x0, xy, y, *units: solidly.velodrome_get_y(x0, xy, y, units)),
        ("get_y_camelot", lambda x0, xy, y, *_: solidly.camelot_get_y(x0, xy, y)),
    ],
)
def test_functions(name: str, function: Callable[..., int]) -> None:
    rows = recorded(name)
    assert len(rows) >= 10
    for arguments, result in rows:
        assert function(*arguments) == result, arguments


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("calc_exact_in_volatile", "solidly"),
        ("calc_exact_in_stable_solidly", "solidly"),
        ("calc_exact_in_stable_camelot", "camelot_v2"),
    ],
)
def test_exact_inputs(name: str, kind: str) -> None:
    rows = recorded(name)
    assert len(rows) >= 10
    for (amount, token_in, reserve0, reserve1, *rest), result in rows:
        stable = len(rest) == 4
        fee, denominator = rest[-2:]
        pair = solidly.Pair(
            kind, stable, (reserve0, reserve1), units(rest) if stable else (10**18, 10**18),
            (fee * (10_000 if kind == "solidly" else 100_000) // denominator,) * 2,
        )  # fmt: skip
        quote = Pool(kind, pair.fields()).quote(token_in, amount)
        assert isinstance(quote, Quote)
        assert quote.amount_out == result == solidly.amount_out(pair, token_in, amount)
