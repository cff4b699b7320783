"""Recorded answers of mainnet pools, and of a peer's maths, against the StableSwap kernel."""

import gzip
import re
from collections.abc import Iterator
from typing import Any

from mevfast._pool import Pool, Quote
from tests.oracle import curve
from tests.oracle.curve import ONE, CurvePool
from tests.oracle.recorded import REAL, needs_real, quotes

pytestmark = needs_real

VECTOR = re.compile(r"(get_d|get_y) \S+ (?:(\d) (\d) (\d+) )?\[([\d,]+)\] ([\d ]+) = (\d+)")
SHAPE_OF_D = {1: "plain", 2: "3pool", 3: "y_pool"}
"""The peer's numbers for the ways to compute D; the others divide by two coins only."""


def answers(family: str, symbols: tuple[str, ...]) -> Iterator[tuple[int, int, int, int]]:
    """(coin in, coin out, amount, answer) of the family's get_dy queries."""
    for query in quotes(family)["queries"]:
        function, pair, *_, amount = query["key"].split("|")
        if function == "get_dy":
            i, j = (symbols.index(symbol) for symbol in pair.split("->"))
            yield i, j, int(amount), int(query["expected"])


def state(family: str) -> dict[str, Any]:
    fields: dict[str, Any] = quotes(family)["state"]
    return fields


def test_the_3pool_pays_its_get_dy_or_a_unit_beside_it() -> None:
    """exchange takes the fee before the conversion to units, get_dy after it."""
    recorded = state("curve_tripool_get_dy")
    pool = CurvePool(
        "3pool",
        tuple(int(x) for x in recorded["balances"]),
        (ONE, 10**30, 10**30),
        recorded["a_coefficient"],
        recorded["fee"],
        recorded["admin_fee"],
    )
    cases = list(answers("curve_tripool_get_dy", ("DAI", "USDC", "USDT")))
    assert len(cases) == 9
    for i, j, amount, expected in cases:
        assert curve.get_dy(pool, i, j, amount) == expected
        quote = Pool(pool.kind, pool.fields()).quote(i, amount, token_out=j)
        assert isinstance(quote, Quote)
        assert abs(quote.amount_out - expected) <= 1
        assert quote.amount_out == curve.exchange(pool, i, j, amount)[0]


def test_a_metapool_is_a_plain_pool_whose_second_rate_is_the_base_pools_virtual_price() -> None:
    """RAI's own rate is its redemption price. Underlying swaps go through the base pool as well."""
    recorded = state("curve_metapool_get_dy")
    fields = {
        "shape": "plain",
        "balances": recorded["balances"],
        "rates": [recorded["redemption_price"], recorded["base_virtual_price"]],
        "amp_precise": recorded["future_a"],
        "fee": recorded["fee"],
        "admin_fee": recorded["admin_fee"],
    }
    cases = list(answers("curve_metapool_get_dy", ("RAI", "3Crv")))
    assert len(cases) == 3
    for i, j, amount, expected in cases:
        quote = Pool("curve_stable", fields).quote(i, amount, token_out=j)
        assert isinstance(quote, Quote)
        assert quote.amount_out == expected


def test_a_peers_vectors_of_d_and_y() -> None:
    lines = gzip.decompress((REAL / "pools/degenbot_math_oracle_curve.txt.gz").read_bytes())
    compared = set()
    for function, i, j, x, balances, numbers, answer in VECTOR.findall(lines.decode()):
        amp, _, _, way, *_ = (int(number) for number in numbers.split())
        if way not in SHAPE_OF_D:
            continue
        xp = [int(balance) for balance in balances.split(",")]
        pool = CurvePool(SHAPE_OF_D[way], tuple(xp), (ONE,) * len(xp), amp, 0)
        if function == "get_y":
            ours = curve.balance_out(pool, xp, int(i), int(j), int(x))
        else:
            ours = curve.invariant(pool, xp)
        assert ours == int(answer), (function, numbers)
        compared.add((function, way))
    assert compared >= {("get_d", 1), ("get_y", 2)}
