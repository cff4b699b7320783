"""Answers of deployed Balancer V2 pools, and recorded values of their maths libraries.

Of pools/balancer_maths nothing is used: those are Balancer V3 pools, whose Vault takes the fee
from amounts with other decimals and whose powers carry no 1e-14 margin; no kind here stands for
them.
"""

import gzip
import json
from fractions import Fraction
from typing import Any

import pytest

from mevfast._pool import Pool, Quote
from tests.oracle import balancer, log_exp
from tests.oracle.recorded import REAL, needs_real, read

pytestmark = needs_real
ORACLE_FILE = REAL / "pools" / "degenbot_math_oracle_balancer.txt.gz"


def recorded() -> list[dict[str, Any]]:
    rows = read("pools/onchain_quotes.json")
    return [row for row in rows if row["family"].startswith("balancer_v2")]


def pool_of(state: dict[str, Any]) -> Pool:
    fields = {
        "balances": [int(balance) for balance in state["balances"]],
        "swap_fee": int(Fraction(state["fee"]) * balancer.ONE),
    }
    if "weights" in state:
        return Pool(
            "balancer_weighted",
            fields
            | {
                "weights": state["weights"],
                "scaling_factors": [10 ** (36 - token["decimals"]) for token in state["tokens"]],
                "pow_shortcuts": state["pow_version"] != "v1",
            },
        )
    fields |= {
        "scaling_factors": [int(factor) for factor in state["resolved_scaling_factors"]],
        "amp": state["amp"],
        "invariant_round_up": state["invariant_version"] == 2,
    }
    if state["bpt_idx"] is not None:
        fields["bpt_index"] = state["bpt_idx"]
    return Pool("balancer_composable_stable", fields)


def direction(key: str, tokens: list[dict[str, Any]]) -> tuple[str, int, int, int]:
    """(exact, token in, token out, amount) of "querySwap|GIVEN_IN|i=0|j=1|9" or "...|A->B|9"."""
    _, kind, *tokens_named, amount = key.split("|")
    if len(tokens_named) == 2:
        i, j = (int(named[2:]) for named in tokens_named)
    else:
        symbols = [token["symbol"] for token in tokens]
        i, j = (symbols.index(symbol) for symbol in tokens_named[0].split("->"))
    return "in" if kind == "GIVEN_IN" else "out", i, j, int(amount)


def test_deployed_pools_answer_the_quote() -> None:
    checked = 0
    for row in recorded():
        pool = pool_of(row["state"])
        for query in row["queries"]:
            exact, i, j, amount = direction(query["key"], row["state"]["tokens"])
            quote = pool.quote(i, amount, exact, token_out=j)  # type: ignore[arg-type]
            assert isinstance(quote, Quote), (row["pool"], query)
            answer = quote.amount_out if exact == "in" else quote.amount_in
            assert answer == int(query["expected"]), (row["pool"], query)
            checked += 1
    assert checked == sum(len(row["queries"]) for row in recorded()) >= 400


def number_or_list(text: str) -> Any:
    return json.loads(text) if text.startswith("[") else text if text[0] == "V" else int(text)


def rows(*names: str) -> list[tuple[str, list[Any], str]]:
    found = []
    for line in gzip.decompress(ORACLE_FILE.read_bytes()).decode().splitlines():
        call, answer = line.split(" = ")
        name, *arguments = call.split(" ")
        if name in names:
            found.append((name, [number_or_list(argument) for argument in arguments], answer))
    assert found
    return found


def test_logarithms_and_powers_are_the_recorded_ones() -> None:
    """In C; fp_pow_up is that of the pools with exponent shortcuts."""
    for name, arguments, answer in rows("lm_ln", "lm_pow", "fp_pow_up"):
        if name == "lm_ln":
            actual = log_exp.ln(*arguments)
        elif name == "lm_pow":
            actual = log_exp.power(*arguments)
        else:
            assert arguments[2] == "V2"
            actual = log_exp.pow_up(*arguments[:2])
        assert actual == int(answer), (name, arguments)


FUNCTIONS = {
    "fp_add": balancer.add,
    "fp_mul_down": balancer.fixed_mul_down,
    "fp_div_down": balancer.fixed_div_down,
    "fp_complement": balancer.complement,
    "fp_pow_down": lambda x, y, _: balancer.pow_down(x, y),
    "fp_pow_up": lambda x, y, _: balancer.pow_up(x, y),
    "lm_ln": balancer.ln,
    "lm_pow": balancer.power,
    "wm_sub_fee": lambda amount, fee: amount - balancer.fixed_mul_up(amount, fee),
    "wm_out_given_in": lambda *a: balancer.weighted_out(a[:4], a[4], shortcuts=a[5] != "V1"),
    "wm_in_given_out": lambda *a: balancer.weighted_in(a[:4], a[4], shortcuts=a[5] != "V1"),
    "sm_invariant_d_p": balancer.invariant,
    "sm_invariant_p_d_up": balancer.invariant_round_up,
    "sm_out_given_in": lambda *a: balancer.stable_out(*a[:2], a[2:4], *a[4:]),
    "sm_in_given_out": lambda *a: balancer.stable_in(*a[:2], a[2:4], *a[4:]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_oracle_computes_the_recorded_values(name: str) -> None:
    for _, arguments, answer in rows(name):
        # recorded with wider integers than the contract's: there, BAL#003
        too_wide = name == "fp_mul_down" and arguments[0] * arguments[1] >= balancer.WORD
        if answer.startswith("ERROR") or too_wide:
            with pytest.raises(balancer.Revert):
                FUNCTIONS[name](*arguments)
        else:
            assert FUNCTIONS[name](*arguments) == int(answer), arguments
