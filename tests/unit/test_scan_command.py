"""`scan`: every cycle that pays, to the wei of `quote`; what was not looked at is said."""

import dataclasses
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mevfast import cli, market_file
from mevfast._pool import KINDS, Pool, Quote
from mevfast.execution.gas import GAS_FUNDING, GAS_HOPS
from mevfast.market_file import MarketFile, MarketPool, Token
from tests import market as small
from tests.conftest import ROOT
from tests.oracle import cycles as oracle

ROUNDING = 4  # token units: a hop rounds down by up to one, the oracle's own size is as coarse
COARSE = 1e-6  # a unit of a dear token on the way is worth many of the profit's
NAMES = ("WETH", "USDC", "DAI", "ARB", "TWIN", "TWIN")
TOKENS = tuple(
    Token("0x" + small.token(i).hex(), name, 18) for i, name in enumerate(NAMES)
)  # fmt: skip


def file_of(path: Path, pools: list[small.Pool], base: int = 1) -> MarketFile:
    """A market of the oracle's pools, written to a file."""
    listed = tuple(
        MarketPool(
            "0x" + small.pool_address(i).hex(),
            pool["kind"],
            tuple(TOKENS[number] for number in pool["tokens"]),
            Pool(pool["kind"], pool),
        )
        for i, pool in enumerate(pools)
    )
    market = MarketFile(str(path), 1, 77, TOKENS, TOKENS[:base], listed)
    market_file.write(market)
    return market


def pair(a: int, b: int, reserve0: int, reserve1: int) -> small.Pool:
    return {"kind": "uniswap_v2", "tokens": (a, b), "fee_pips": 3000,
            "reserve0": reserve0 * 10**18, "reserve1": reserve1 * 10**18}  # fmt: skip


TRIANGLE = [pair(0, 1, 1000, 1000), pair(1, 2, 1000, 1000), pair(0, 2, 900, 1000)]
"""A WETH is a USDC is a DAI, but 0.9 WETH are a DAI: one way round pays, the other loses."""


@pytest.fixture
def triangle(tmp_path: Path) -> str:
    return file_of(tmp_path / "market.json", TRIANGLE, base=2).path


def scan_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert cli.main(["scan", *arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def key(cycle: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((hop["pool"], hop["token_in"]) for hop in cycle["hops"])


# ---- the cycles ----


def check_by_quotes(market: MarketFile, cycle: dict[str, Any]) -> None:
    """Every hop is what Pool.quote says, one after another."""
    pools = {pool.address: pool for pool in market.pools}
    amount, token = cycle["amount_in"], cycle["profit_token"]
    for hop in cycle["hops"]:
        pool = pools[hop["pool"]]
        addresses = [each.address for each in pool.tokens]
        assert (hop["kind"], hop["token_in"], hop["amount_in"]) == (pool.kind, token, amount)
        answer = pool.pool.quote(
            addresses.index(token), int(amount), token_out=addresses.index(hop["token_out"])
        )
        assert isinstance(answer, Quote)
        assert (str(answer.amount_in), str(answer.amount_out)) == (amount, hop["amount_out"])
        amount, token = hop["amount_out"], hop["token_out"]
    assert (token, amount) == (cycle["profit_token"], cycle["amount_out"])
    assert int(cycle["profit"]) == int(cycle["amount_out"]) - int(cycle["amount_in"]) > 0
    assert len({hop["pool"] for hop in cycle["hops"]}) == len(cycle["hops"])


def test_the_one_cycle_of_a_triangle(triangle: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = scan_json(capsys, triangle)
    assert set(answer) == {"cycles", "scanned_pools", "elapsed_ms"}
    assert answer["scanned_pools"] == 3
    [cycle] = answer["cycles"]
    check_by_quotes(market_file.load(triangle), cycle)
    assert set(cycle) == {
        "profit_token", "amount_in", "amount_out", "profit", "gas", "net_profit", "hops",
    }  # fmt: skip
    assert [hop["token_in"] for hop in cycle["hops"]] == [TOKENS[i].address for i in (0, 2, 1)]
    assert (cycle["net_profit"], cycle["gas"]) == (cycle["profit"], "0")


@pytest.mark.parametrize("seed", range(12))
def test_every_cycle_that_pays_is_there_and_none_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    pools = small.random_market(seed, noise=0.006)
    market = file_of(tmp_path / "market.json", pools)
    answer = scan_json(capsys, market.path)
    found = {key(cycle): cycle for cycle in answer["cycles"]}
    assert len(found) == len(answer["cycles"])
    for cycle in answer["cycles"]:
        check_by_quotes(market, cycle)
    profits = [int(cycle["profit"]) for cycle in answer["cycles"]]
    assert profits == sorted(profits, reverse=True)
    expected = oracle.best_cycles(pools, [0], through=set(range(len(pools))))
    for best in expected:
        hops = tuple(
            (
                "0x" + small.pool_address(i).hex(),
                TOKENS[pools[i]["tokens"][0 if zero_for_one else 1]].address,
            )
            for i, zero_for_one in best.hops
        )
        if best.profit > ROUNDING:
            assert int(found[hops]["profit"]) >= best.profit - best.profit * COARSE - ROUNDING
    worth = [best for best in expected if best.profit > ROUNDING]
    assert len([profit for profit in profits if profit > 2 * ROUNDING]) <= len(worth)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_top_gives_the_first_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], most: int
) -> None:
    cut = 0
    for seed in range(8):
        path = file_of(tmp_path / "market.json", small.random_market(seed, noise=0.01)).path
        every = scan_json(capsys, path)["cycles"]
        assert scan_json(capsys, path, "--top", str(most))["cycles"] == every[:most]
        cut += len(every) > most
    assert cut


def test_max_hops_bounds_the_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = set()
    path = file_of(tmp_path / "market.json", small.random_market(3, noise=0.02)).path
    every = scan_json(capsys, path)["cycles"]
    for most in (2, 3, 4):
        cycles = scan_json(capsys, path, "--max-hops", str(most))["cycles"]
        assert cycles == [cycle for cycle in every if len(cycle["hops"]) <= most]
        lengths |= {len(cycle["hops"]) for cycle in cycles}
    assert lengths == {2, 3, 4}


def test_gas_is_taken_off_and_ends_what_it_eats(
    triangle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [free] = scan_json(capsys, triangle)["cycles"]
    units = 3 * GAS_HOPS["uniswap_v2"] + GAS_FUNDING["flash_swap"]
    [paid] = scan_json(capsys, triangle, "--gas-price", str(10**9))["cycles"]
    assert paid["gas"] == str(units * 10**9)
    assert int(paid["profit"]) - int(paid["net_profit"]) == units * 10**9
    assert paid["profit"] == free["profit"]
    too_dear = int(free["profit"]) // units + 1
    assert scan_json(capsys, triangle, "--gas-price", str(too_dear))["cycles"] == []
    assert scan_json(capsys, triangle, "--gas-price", str(too_dear - 1))["cycles"] != []


# ---- start tokens ----


@pytest.mark.parametrize("name", ["USDC", TOKENS[1].address, TOKENS[1].address.upper()])
def test_a_start_token_goes_by_symbol_or_address(
    triangle: str, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    [cycle] = scan_json(capsys, triangle, "--start", name.replace("0X", "0x"))["cycles"]
    assert cycle["profit_token"] == TOKENS[1].address
    check_by_quotes(market_file.load(triangle), cycle)


def test_a_cycle_counts_in_the_start_token_named_first(
    triangle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for first, second in ((1, 2), (2, 1)):
        names = ("--start", NAMES[first], NAMES[second])
        [cycle] = scan_json(capsys, triangle, *names)["cycles"]
        assert cycle["profit_token"] == TOKENS[first].address


def test_a_start_token_without_a_price_is_searched_where_gas_is_free(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # ARB has two pools, both with DAI, and none with WETH
    pools = [*TRIANGLE, pair(2, 3, 1000, 1000), pair(2, 3, 1000, 1100)]
    path = file_of(tmp_path / "market.json", pools).path
    for starts in (("WETH", "ARB"), ("ARB", "WETH")):
        first, second = scan_json(capsys, path, "--start", *starts)["cycles"]
        assert first["profit_token"] == TOKENS[0].address
        assert second["profit_token"] == TOKENS[3].address
        check_by_quotes(market_file.load(path), second)
        assert scan_json(capsys, path, "--start", *starts, "--top", "1")["cycles"] == [first]
    assert cli.main(["scan", path, "--start", "ARB", "--gas-price", "1"]) == 0
    captured = capsys.readouterr()
    assert "0 cycles that pay" in captured.out
    assert "left out: 1 candidates in start tokens that no pool prices in WETH" in (captured.err)


def test_a_cycle_through_start_tokens_with_and_without_a_price_is_there_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    square = [pair(0, 1, 1000, 1000), pair(1, 3, 1000, 1100), pair(2, 3, 1000, 1000),
              pair(0, 2, 1000, 1000)]  # fmt: skip
    path = file_of(tmp_path / "market.json", square).path
    for starts in (("WETH", "ARB"), ("ARB", "WETH")):
        [cycle] = scan_json(capsys, path, "--start", *starts)["cycles"]
        assert len(cycle["hops"]) == 4
        assert cycle["profit_token"] == TOKENS[0].address


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--start", "TWIN"), "--start: expected one token, 2 of"),
        (("--start", "weth"), "--start: expected the address or symbol of a token of"),
        (("--start", "0x" + "9" * 40), "--start: expected the address or symbol"),
        (("--max-hops", "5"), "--max-hops: expected an integer in [2, 4], was 5"),
        (("--max-hops", "x"), "--max-hops: expected an integer or a decimal string"),
        (("--top", "0"), "--top: expected an integer in [1,"),
        (("--gas-price", "-1"), "--gas-price: expected an integer in [0,"),
        (("--price", "WETH=1"), "--price: expected with --global only"),
        (("--global", "--price", "WETH"), "--price: expected TOKEN=VALUE, the value a number"),
        (("--global", "--price", "WETH=0"), "--price: expected TOKEN=VALUE, the value a number"),
        (("--global", "--price", "WETH=nan"), "--price: expected TOKEN=VALUE, the value a number"),
        (("--global", "--price", "TWIN=1"), "--price: expected one token, 2 of"),
        (("--global", "--price", "GONE=1"), "--price: expected the address or symbol of a token"),
        (
            ("--global", "--price", "WETH=1", "--price", "WETH=2"),
            "--price: expected each token once",
        ),
    ],
)
def test_wrong_arguments_are_named(
    triangle: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert cli.main(["scan", triangle, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_malformed_field_is_named_by_its_path(
    triangle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(Path(triangle).read_text())
    document["pools"][1]["reserve0"] = "1e18"
    Path(triangle).write_text(json.dumps(document))
    assert cli.main(["scan", triangle, "--json"]) == 2
    captured = capsys.readouterr()
    assert f"{triangle}: pools[1].reserve0: expected an integer" in captured.err
    assert captured.out == ""


def test_a_market_without_base_tokens_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(tmp_path / "market.json", TRIANGLE, base=0).path
    assert cli.main(["scan", path]) == 2
    assert f"{path}: base_tokens: expected at least one" in capsys.readouterr().err


# ---- all pools together ----


def test_the_only_cycle_is_the_joint_optimum(
    triangle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = scan_json(capsys, triangle, "--global")
    [cycle], together = answer["cycles"], answer["global"]
    assert set(together) == {
        "optimum", "dual_bound", "greedy", "left_on_table", "left_share", "unit", "prices",
        "greedy_cycles", "pools_used", "elapsed_ms",
    }  # fmt: skip
    assert together["unit"] == TOKENS[0].address
    assert set(together["prices"]) == {TOKENS[0].address, TOKENS[1].address}
    assert (together["greedy_cycles"], together["pools_used"]) == (1, 3)
    # the cycle counts in the base token in which it is worth most at the pools' own price
    assert int(together["greedy"]) >= int(cycle["profit"])
    assert int(together["optimum"]) >= int(together["greedy"]) * (1 - 1e-9)
    assert int(together["dual_bound"]) >= int(together["optimum"])
    left = int(together["optimum"]) - int(together["greedy"])
    assert int(together["left_on_table"]) == pytest.approx(
        max(0, left), abs=abs(left) * 1e-6 + 4096
    )


def test_greedy_takes_cycles_in_start_tokens_that_no_pool_joins_with_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # ARB's two pools are both with DAI, and pay more than the triangle does
    pools = [*TRIANGLE, pair(2, 3, 1000, 1000), pair(2, 3, 1000, 1500)]
    path = file_of(tmp_path / "market.json", pools).path
    alone = scan_json(capsys, path, "--global")["global"]
    together = scan_json(capsys, path, "--global", "--start", "WETH", "ARB")["global"]
    assert (alone["greedy_cycles"], together["greedy_cycles"]) == (1, 2)
    assert int(together["greedy"]) > 5 * int(alone["greedy"])
    assert int(together["optimum"]) >= int(together["greedy"])


def test_published_optima_of_pools_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CFMMRouter.jl, examples/arbitrage.jl: 456.31976 by all pools, by the first two 171.40149."""
    first = [pair(0, 1, 10**6, 10**6), pair(0, 1, 10**3, 2 * 10**3)]
    for pool in first:
        pool["fee_pips"] = 0
    third = MarketPool(
        "0x" + small.pool_address(9).hex(),
        "balancer_weighted",
        TOKENS[:2],
        Pool("balancer_weighted", {
            "balances": [10**22, 2 * 10**22], "scaling_factors": [10**18] * 2, "swap_fee": 0,
            "weights": [4 * 10**17, 6 * 10**17],
        }),
    )  # fmt: skip
    market = file_of(tmp_path / "market.json", first, base=2)
    prices = ("--global", "--price", "WETH=1", "--price", f"{TOKENS[1].address}=1")
    together = scan_json(capsys, market.path, *prices)["global"]
    assert float(together["optimum"]) == pytest.approx(171.40149, rel=1e-6)
    # the one cycle counts in the token that it starts from, a little less than both together
    assert 171.0 < float(together["greedy"]) <= float(together["optimum"])
    assert together["unit"] == "price"
    market_file.write(dataclasses.replace(market, pools=(*market.pools, third)))
    together = scan_json(capsys, market.path, *prices)["global"]
    assert float(together["optimum"]) == pytest.approx(456.31976, rel=1e-6)
    assert float(together["dual_bound"]) == pytest.approx(456.31976, rel=1e-6)


def test_the_joint_optimum_in_words(triangle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scan", triangle, "--global"]) == 0
    printed = capsys.readouterr().out
    assert "all pools together, before gas: " in printed
    assert "WETH by trades in 3 pools, and no more than " in printed
    assert "cycles one after another, the best first: " in printed
    assert "WETH in 1 cycle\n" in printed
    assert "left on the table: " in printed
    assert cli.main(["scan", triangle]) == 0
    assert "all pools together" not in capsys.readouterr().out


# ---- what is printed ----


def test_pools_of_every_kind_are_scanned(capsys: pytest.CaptureFixture[str]) -> None:
    market = market_file.load(str(ROOT / "docs" / "market.example.json"))
    answer = scan_json(capsys, market.path)
    assert answer["scanned_pools"] == len(market.pools) == len(KINDS)
    kinds = {hop["kind"] for cycle in answer["cycles"] for hop in cycle["hops"]}
    assert kinds >= {"balancer_weighted", "balancer_composable_stable", "curve_stable_ng"}
    for cycle in answer["cycles"]:
        check_by_quotes(market, cycle)


def test_the_table_shows_the_cycle_and_its_pools(
    triangle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [cycle] = scan_json(capsys, triangle)["cycles"]
    assert cli.main(["scan", triangle]) == 0
    printed = capsys.readouterr().out
    for hop in cycle["hops"]:
        assert f"uniswap_v2 {hop['pool']}" in printed
    whole = cycle["profit"].rjust(19, "0")
    assert f"{whole[:-18]}.{whole[-18:]}" in printed
    assert "1 cycle that pays, 3 pools scanned at block 77" in printed


def test_the_order_of_the_pools_does_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = file_of(tmp_path / "market.json", small.random_market(5, noise=0.01))
    every = scan_json(capsys, market.path)["cycles"]
    pools = list(market.pools)
    Random(1).shuffle(pools)
    market_file.write(dataclasses.replace(market, pools=tuple(pools)))
    shuffled = scan_json(capsys, market.path)["cycles"]
    assert {key(cycle): cycle["profit"] for cycle in shuffled} == {
        key(cycle): cycle["profit"] for cycle in every
    }
