"""Real V3 swaps, v3-core's own snapshots and spec vectors, and recorded quoter answers."""

from collections import defaultdict
from typing import Any

import pytest

from mevfast import _math
from mevfast._pool import Pool, Quote, Refused
from tests.oracle import harness
from tests.oracle.recorded import needs_real, quotes, read

pytestmark = needs_real


def limit_of(case: dict[str, Any]) -> int | None:
    return None if case["sqrtPriceLimitX96"] is None else int(case["sqrtPriceLimitX96"])


def swap(state: dict[str, Any], case: dict[str, Any]) -> Quote | Refused:
    amount = int(case["amountSpecified"])
    exact = "in" if amount > 0 else "out"
    token_in = 0 if case["zeroForOne"] else 1
    return Pool("uniswap_v3", state).quote(token_in, abs(amount), exact, limit_of(case))  # type: ignore[arg-type]


def deltas(quote: Quote, case: dict[str, Any]) -> tuple[int, int]:
    """(amount0, amount1) as the pool's Swap event signs them."""
    if case["zeroForOne"]:
        return quote.amount_in, -quote.amount_out
    return -quote.amount_out, quote.amount_in


def test_real_swaps_in_all_five_values() -> None:
    cases = read("v3/real_v3_swaps.json")
    assert len(cases) >= 3000
    for case in cases:
        state = {
            "fee_pips": case["fee"],
            "tick_spacing": case["tickSpacing"],
            "sqrt_price_x96": case["pre"]["sqrtPriceX96"],
            "tick": case["pre"]["tick"],
            "liquidity": case["pre"]["liquidity"],
            "ticks": list(case["ticks"].items()),
        }
        quote, expected = swap(state, case), case["expected"]
        assert isinstance(quote, Quote), case
        amounts = (int(expected["amount0"]), int(expected["amount1"]))
        assert deltas(quote, case) == amounts, case
        assert quote.after == {
            "sqrt_price_x96": int(expected["sqrtPriceX96"]),
            "tick": int(expected["tick"]),
            "liquidity": int(expected["liquidity"]),
        }, case


def snapshot_state(case: dict[str, Any]) -> dict[str, Any]:
    nets: defaultdict[int, int] = defaultdict(int)
    for position in case["positions"]:
        nets[position["tickLower"]] += int(position["liquidity"])
        nets[position["tickUpper"]] -= int(position["liquidity"])
    return {
        "fee_pips": case["fee"],
        "tick_spacing": case["tickSpacing"],
        "sqrt_price_x96": case["sqrtPriceX96"],
        "tick": case["tick"],
        "liquidity": case["liquidity"],
        "ticks": list(nets.items()),
    }


def test_v3core_snapshots() -> None:
    cases = read("v3/v3core_swap_snapshots.json")["cases"]
    assert len(cases) >= 100
    for case in cases:
        quote, expected = swap(snapshot_state(case), case), case["expected"]
        if case.get("expectRevert"):
            assert quote == Refused("PRICE_LIMIT"), case["id"]
            continue
        assert isinstance(quote, Quote), case["id"]
        amounts = (int(expected["amount0Delta"]), int(expected["amount1Delta"]))
        assert deltas(quote, case) == amounts, case["id"]
        assert quote.after == {
            "sqrt_price_x96": int(case["expected_sqrtPriceX96_after_ref"]),
            "tick": int(expected["tickAfter"]),
            "liquidity": int(case["expected_liquidity_after_ref"]),
        }, case["id"]


def test_v3core_tick_math() -> None:
    vectors = read("v3/v3core_math_vectors.json")
    for case in vectors["getSqrtRatioAtTick"]:
        assert _math.get_sqrt_ratio_at_tick(case["tick"]) == int(case["sqrtRatioX96"])
    for case in vectors["getTickAtSqrtRatio"]:
        assert _math.get_tick_at_sqrt_ratio(int(case["sqrtRatioX96"])) == case["tick"]


def test_v3core_swap_math() -> None:
    for case in read("v3/v3core_math_vectors.json")["computeSwapStep"]:
        remaining = int(case["amountRemaining"])
        sizes = (int(case["sqrtP"]), int(case["sqrtTarget"]), int(case["liquidity"]))
        answer = harness.step(*sizes, abs(remaining), case["feePips"], exact_in=remaining > 0)
        assert answer == (
            0,
            tuple(int(case[name]) for name in ("sqrtQ", "amountIn", "amountOut", "feeAmount")),
        )


# Operation of the harness and its flag, by function and its last argument (direction or rounding).
OPERATIONS = {
    ("getNextSqrtPriceFromInput", True): ("NEXT_PRICE_0", 1),
    ("getNextSqrtPriceFromInput", False): ("NEXT_PRICE_1", 1),
    ("getNextSqrtPriceFromOutput", True): ("NEXT_PRICE_1", 0),
    ("getNextSqrtPriceFromOutput", False): ("NEXT_PRICE_0", 0),
    ("getAmount0Delta", True): ("AMOUNT_0", 1),
    ("getAmount1Delta", True): ("AMOUNT_1", 1),
}


@pytest.mark.parametrize("fn", sorted({fn for fn, _ in OPERATIONS}))
def test_v3core_sqrt_price_math(fn: str) -> None:
    cases = [c for c in read("v3/v3core_math_vectors.json")["sqrtPriceMath"] if c["fn"] == fn]
    assert cases
    for case in cases:
        *numbers, flag = case["args"]
        op, add = OPERATIONS[fn, flag]
        x, y, d = (int(number) for number in numbers)
        status, value, _ = harness.call(op, x, y, d, add)
        if case["expected"] == "revert":
            assert status != 0
        else:
            assert (status, value) == (0, int(case["expected"]))


# Recorded family -> kind of the pool, its token 0, and how many answers there are.
QUOTERS = {
    "cached_calculations_v3_wbtc_weth": ("uniswap_v3", "WBTC", 40),
    "aerodrome_v3_cbeth_weth_quote": ("uniswap_v3", "cbETH", 13),  # Slipstream: Uniswap V3's loop
    "cached_calculations_v4_eth_usdc": ("uniswap_v4", "ETH", 44),
}


@pytest.mark.parametrize("family", QUOTERS)
def test_quoter_answers_on_a_full_tick_list(family: str) -> None:
    recorded = quotes(family)
    kind, token0, count = QUOTERS[family]
    state, scalars = recorded["state"], recorded["state"]["scalars"]
    ticks = [[tick, net] for tick, (_, net, _) in state["tick_data"].items()]
    pool = Pool(kind, scalars | {"fee_pips": scalars["fee"], "ticks": ticks})
    for query in recorded["queries"]:
        function, pair, amount = query["key"].split("|")
        token_in = 0 if pair.split("->")[0] == token0 else 1
        exact_in = "Input" in function
        quote = pool.quote(token_in, int(amount), "in" if exact_in else "out")
        if query.get("revert"):  # the quoter will not have a purchase filled in part
            assert isinstance(quote, Refused) or quote.amount_out < int(amount), query
            continue
        assert isinstance(quote, Quote), query
        assert (quote.amount_out if exact_in else quote.amount_in) == int(query["expected"]), query
    assert len(recorded["queries"]) == count


PATHS = {
    "arbitrage/real_path_v4_crossing_9a5c1d2f_block25673381.json": 1,
    "arbitrage/real_path_path182449_v4v4v2_block25731019.json": 2,
    "arbitrage/real_path_path110302_v3v4v2_block25711761.json": 2,
}
KINDS = {"uniswap_v4": "uniswap_v4", "pancakeswap_v3": "pancake_v3"}


def path_pool(fields: dict[str, Any]) -> Pool | None:
    """A concentrated-liquidity pool of a recorded path; the protocol's fee is on in those of V4."""
    if fields["family"] not in KINDS:
        return None
    fee = fields.get("lp_fee", fields.get("fee_currency0", fields.get("fee_token0")))
    ticks = [[tick, entry["liquidity_net"]] for tick, entry in fields["tick_data"].items()]
    return Pool(KINDS[fields["family"]], fields | {"fee_pips": fee, "ticks": ticks})


@pytest.mark.parametrize("name", PATHS)
def test_hops_of_real_paths_through_v4(name: str) -> None:
    recorded = read(name)
    ways = {hop["pool"]: hop["zero_for_one"] for hop in recorded.get("path", [])}
    ways = ways or {"v4": recorded["v4_hop"]["zero_for_one"]}
    hops = 0
    for hop in recorded["reference"]["hops"]:
        pool = path_pool(recorded["pools"][hop["pool"]])
        if pool is None:
            continue
        quote = pool.quote(0 if ways[hop["pool"]] else 1, int(hop["amountIn"]))
        assert isinstance(quote, Quote)
        assert quote.amount_in == int(hop["amountIn"])
        assert quote.amount_out == int(hop["amountOut"])
        hops += 1
    assert hops == PATHS[name]


def test_a_pool_from_its_first_event_on() -> None:
    recorded = read("v3/full_state_weth_ens/from_initialize_13578816_13579000.json")
    price = int(recorded["initialSqrtPriceX96"])
    state: dict[str, Any] = {
        "fee_pips": recorded["fee"],
        "tick_spacing": recorded["tickSpacing"],
        "sqrt_price_x96": price,
        "tick": _math.get_tick_at_sqrt_ratio(price),
        "liquidity": 0,
    }
    nets: defaultdict[int, int] = defaultdict(int)
    swaps = 0
    for event in recorded["events"]:
        if event["event"] != "swap":
            amount = int(event["liquidity"]) * (1 if event["event"] == "mint" else -1)
            nets[event["tickLower"]] += amount
            nets[event["tickUpper"]] -= amount
            if event["tickLower"] <= state["tick"] < event["tickUpper"]:
                state["liquidity"] += amount
            continue
        pool = Pool("uniswap_v3", state | {"ticks": list(nets.items())})
        amounts = [int(event["amount0"]), int(event["amount1"])]
        token_in = 0 if amounts[0] > 0 else 1
        specified = int(event["amountSpecified"])
        exact: Any = "in" if specified > 0 else "out"
        quote = pool.quote(token_in, abs(specified), exact)
        assert isinstance(quote, Quote), event
        assert (quote.amount_in, -quote.amount_out) == (amounts[token_in], amounts[1 - token_in])
        assert quote.after["sqrt_price_x96"] == int(event["sqrtPriceX96"])
        assert quote.after["tick"] == event["tick"]
        state |= quote.after
        assert state["liquidity"] == int(event["liquidity"])
        swaps += 1
    assert swaps == 63
