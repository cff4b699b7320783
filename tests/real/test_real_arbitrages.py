"""Arbitrages that were made on mainnet, in markets of their pools: the search finds no less."""

from typing import Any

import pytest

from mevfast._cache import Table
from mevfast._pool import Pool, Quote
from mevfast._search import Search
from tests.oracle.recorded import REAL, needs_real, read

pytestmark = needs_real

FEE_PIPS = 3000
PATHS = (
    "real_path_path110302_v3v4v2_block25711761",
    "real_path_path182449_v4v4v2_block25731019",
)
CROSSING = "real_path_v4_crossing_9a5c1d2f_block25673381"
KINDS = {
    "pancakeswap_v3": "pancake_v3",
    "uniswap_v3": "uniswap_v3",
    "uniswap_v4": "uniswap_v4",
    "uniswap_v2": "uniswap_v2",
    "sushiswap_v2": "uniswap_v2",
}


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def exact_ones() -> list[dict[str, Any]]:
    """Those of V2 pairs only whose hops are all exact, with the best size on their reserves."""
    if not REAL.is_dir():
        return []
    rows = read("arbitrage/real_arbitrages.json")
    return [row for row in rows if (row.get("v2_exact") or {}).get("allHopsExact")]


def market_of(row: dict[str, Any]) -> Search:
    """The pairs of an arbitrage as they were before it."""
    table = Table(8)
    start = raw(row["profitToken"])
    search = Search(table, [start], start)
    for hop in row["hops"]:
        ends = sorted([("In", raw(hop["tokenIn"])), ("Out", raw(hop["tokenOut"]))],
                      key=lambda end: end[1])  # fmt: skip
        state = {f"reserve{i}": hop[f"reserve{end}"] for i, (end, _) in enumerate(ends)}
        tokens = [token for _, token in ends]
        slot = table.put(
            raw(hop["pool"]), "uniswap_v2", tokens, state | {"fee_pips": FEE_PIPS}, row["block"]
        )
        search.add_pool(slot)
    return search


@pytest.mark.parametrize("row", exact_ones(), ids=lambda row: row["tx"][:10])
def test_the_recorded_optimum_is_reached(row: dict[str, Any]) -> None:
    (plan,) = market_of(row).find()
    assert plan["token"] == raw(row["profitToken"])
    assert [hop["pool"] for hop in plan["hops"]] == [raw(hop["pool"]) for hop in row["hops"]]
    assert plan["profit"] >= int(row["v2_exact"]["optimalProfit"])
    assert plan["profit"] == plan["amount_out"] - plan["amount_in"]
    amount = plan["amount_in"]
    for hop, real in zip(plan["hops"], row["hops"], strict=True):
        assert hop["amount_in"] == amount
        keep = amount * (1_000_000 - FEE_PIPS)
        reserve_in, reserve_out = int(real["reserveIn"]), int(real["reserveOut"])
        amount = keep * reserve_out // (reserve_in * 1_000_000 + keep)
        assert hop["amount_out"] == amount
    assert amount == plan["amount_out"]


def test_all_recorded_ones_are_there() -> None:
    assert len(exact_ones()) == 7


# ---- paths of three pools through V3 and V4 ----


def fields_of(pool: dict[str, Any]) -> dict[str, Any]:
    """A recorded state as the fields that a pool of its kind takes."""
    if "reserve0" in pool:
        fee = 1_000_000 - 1_000_000 * pool["fee_gamma"] // pool["fee_denom"]
        return {"reserve0": pool["reserve0"], "reserve1": pool["reserve1"], "fee_pips": fee}
    fee = next(pool[key] for key in ("lp_fee", "fee_token0", "fee_currency0") if key in pool)
    ticks = [
        (int(tick), entry["liquidity_gross"], entry["liquidity_net"])
        for tick, entry in pool["tick_data"].items()
    ]
    state = {key: pool[key] for key in ("sqrt_price_x96", "tick", "liquidity", "tick_spacing")}
    state |= {"fee_pips": fee, "ticks": sorted(ticks)}
    return state | {"protocol_fee": pool.get("protocol_fee", 0)}


def tokens_of(pool: dict[str, Any]) -> list[bytes]:
    if "token0" in pool:
        return [raw(pool["token0"]), raw(pool["token1"])]
    return [raw(pool["currency0"]), raw(pool["currency1"])]


def plan_of(record: dict[str, Any]) -> dict[str, Any]:
    """What the search makes of a recorded path's pools: one plan, through all of them in order."""
    first = record["path"][0]
    start = tokens_of(record["pools"][first["pool"]])[1 - first["zero_for_one"]]
    table = Table(8)
    search = Search(table, [start], start)
    slots = []
    for hop in record["path"]:
        pool = record["pools"][hop["pool"]]
        id = raw(pool.get("pool_id") or pool["address"])
        kind, fields = KINDS[pool["family"]], fields_of(pool)
        slots.append(table.put(id, kind, tokens_of(pool), fields, record["target_block"]))
        search.add_pool(slots[-1])
    plan: dict[str, Any]
    (plan,) = search.find()
    assert [hop["slot"] for hop in plan["hops"]] == slots
    return plan


@pytest.mark.parametrize("name", PATHS)
def test_a_real_path_through_v3_and_v4_pays(name: str) -> None:
    record = read(f"arbitrage/{name}.json")
    plan = plan_of(record)
    amount = plan["amount_in"]
    for hop, step in zip(plan["hops"], record["path"], strict=True):
        pool = record["pools"][step["pool"]]
        quote = Pool(KINDS[pool["family"]], fields_of(pool)).quote(1 - step["zero_for_one"], amount)
        assert isinstance(quote, Quote)
        assert (hop["amount_in"], hop["amount_out"]) == (amount, quote.amount_out)
        amount = quote.amount_out
    assert plan["profit"] == amount - plan["amount_in"] > 0


@pytest.mark.parametrize("name", PATHS)
def test_a_real_path_is_sized_as_well_as_by_ternary_search(name: str) -> None:
    record = read(f"arbitrage/{name}.json")
    assert plan_of(record)["profit"] >= int(record["reference"]["profitAtTernarySearchInput"])


@pytest.mark.parametrize("name", [*PATHS, CROSSING])
def test_recorded_hops_are_quoted_to_the_unit(name: str) -> None:
    record = read(f"arbitrage/{name}.json")
    ways = {hop["pool"]: hop["zero_for_one"] for hop in record.get("path", [])}
    if "v4_hop" in record:
        ways["v4"] = record["v4_hop"]["zero_for_one"]
    assert record["reference"]["hops"]
    for hop in record["reference"]["hops"]:
        pool = record["pools"][hop["pool"]]
        quote = Pool(KINDS[pool["family"]], fields_of(pool)).quote(
            1 - ways[hop["pool"]], int(hop["amountIn"])
        )
        assert isinstance(quote, Quote)
        assert quote.amount_in == int(hop["amountIn"])
        assert quote.amount_out == int(hop["amountOut"])
