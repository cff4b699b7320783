"""The report adds up what engine, search and audit counted; nothing is made up on the way."""

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from mevfast.model import Trade
from mevfast.observe.report import path, percentile, report, snapshot, trade_json

WETH, USDC, DAI = (bytes([n]) * 20 for n in (0xEE, 0xDC, 0xDA))
BIG = 2**200 + 1  # more than JSON numbers hold everywhere


def trade(**fields: Any) -> Trade:
    hops = [
        {"pool": b"\x01" * 20, "kind": "uniswap_v2", "token_in": WETH, "token_out": USDC,
         "amount_in": BIG, "amount_out": 7},
        {"pool": b"\x02" * 20, "kind": "uniswap_v3", "token_in": USDC, "token_out": WETH,
         "amount_in": 7, "amount_out": BIG + 9},
    ]  # fmt: skip
    given: dict[str, Any] = {
        "tx": "0xabc", "nonce": 3, "decided_block": 10, "token": WETH, "funding": "flash_swap",
        "amount_in": BIG, "predicted": 9, "predicted_wei": 9, "hops": hops, "latency_ns": 81_234,
    }  # fmt: skip
    return Trade(**given | fields)


def engine(**fields: Any) -> Any:
    """Two sessions' worth of counters, by hand."""
    calls = Counter(
        eth_getLogs=5, eth_call=45, eth_sendRawTransaction=4, eth_getTransactionReceipt=6
    )
    core = SimpleNamespace(
        head_number=140, n_searches=80, n_sent=4, doubt="",
        latencies=lambda: [3_000, 1_000, 2_000, 100_000],
        audit=SimpleNamespace(n_checks=100, n_mismatches=1, n_slack=2, n_skipped=3),
    )  # fmt: skip
    search = SimpleNamespace(
        n_candidates=54,
        dropped=lambda: {"stale": 25, "incomplete_block": 15, "unprofitable": 10},
    )  # fmt: skip
    table = SimpleNamespace(applied=lambda: {"changed": 321, "old": 5})
    given: dict[str, Any] = {
        "core": core, "search": search, "first_block": 100, "rpc_calls": calls,
        "calls_at_live": Counter(eth_getLogs=5, eth_call=35, eth_getTransactionReceipt=2),
        "outcomes": Counter(exact=1, explained=1, reverted=1, expired=1),
        "predicted_wei": 20, "realised_wei": 19, "trades": [trade()],
        "keeper": SimpleNamespace(
            recoveries=2, recovered_s=0.25, logs_missed=3, read_pools=76, refused=Counter(tax=2),
        ),
        "pause_reason": "", "block_age_s": 0.5, "load_s": 0.1, "quotes": 1000,
        "latency": lambda: {"sign": {"p50_ns": 20_000}},
    }  # fmt: skip
    whole = SimpleNamespace(**given | fields)
    whole.table = type(
        "Table",
        (),
        {
            "__len__": lambda _: 75,
            "applied": lambda _: table.applied(),
            "counters": lambda _: {
                "events": {"v2_sync": 321},
                "applied": table.applied(),
                "stale_marks": 1,
                "refreshes": 77,
                "evictions": 0,
            },
        },
    )()
    return whole


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, 0), ([7], 0.0, 7), ([7], 1.0, 7), ([3, 1, 2], 0.5, 2),
        ([4, 3, 2, 1], 0.99, 4), ([4, 3, 2, 1], 0.5, 2),
        (list(range(100)), 0.99, 98), (list(range(200)), 0.5, 99),
    ],
)  # fmt: skip
def test_percentile(values: list[int], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_counts_are_taken_over() -> None:
    result = report(engine())
    assert (result["blocks"], result["pools"], result["events_applied"]) == (40, 75, 321)
    assert (result["candidates"], result["sent"], result["landed"]) == (54, 4, 2)
    assert result["candidates"] == result["sent"] + sum(result["dropped"].values())
    assert (result["reverted"], result["rejected"], result["expired"]) == (1, 0, 1)
    assert (result["exact_trades"], result["explained_trades"]) == (1, 1)
    assert result["unexplained_trades"] == 0
    assert (result["predicted_profit_wei"], result["realised_profit_wei"]) == (20, 19)
    checks = ("quote_checks", "quote_mismatches", "quote_slack", "quote_skipped")
    assert [result[name] for name in checks] == [100, 1, 2, 3]
    assert result["latency_us"] == {"p50": 2.0, "p99": 100.0, "max": 100.0}
    assert result["stages"] == {"sign": {"p50_ns": 20_000}}


def test_reads_after_start_up_are_what_counts_as_calls_a_block() -> None:
    result = report(engine())
    assert result["rpc_calls"] == 60
    assert result["rpc_calls_per_block"] == 10 / 40  # neither sends and receipts, nor the start
    assert result["rpc_saved_ratio"] == 0.99  # 10 reads for 1000 quotes
    assert result["hit_rate"] == round(1000 / 1040, 6)  # 40 candidates had no state to go by


def test_an_engine_that_never_went_live_has_a_report() -> None:
    empty = engine(
        first_block=None, calls_at_live=Counter(), outcomes=Counter(), trades=[], quotes=0
    )
    empty.core.latencies = list
    result = report(empty)
    assert (result["blocks"], result["rpc_calls_per_block"], result["hit_rate"]) == (0, 0.0, 0.0)
    assert result["latency_us"] == {"p50": 0.0, "p99": 0.0, "max": 0}


def test_a_trade_as_json_loses_no_digit() -> None:
    landed = trade(block=12, outcome="explained", realised=8, explained=8, gas_used=200_000)
    read = json.loads(orjson.dumps(trade_json(landed)))
    assert read["hops"][0] == {
        "pool": "0x" + "01" * 20, "kind": "uniswap_v2", "token_in": "0x" + "ee" * 20,
        "token_out": "0x" + "dc" * 20, "amount_in": str(BIG), "amount_out": "7",
    }  # fmt: skip
    assert (read["tx"], read["block"], read["decided_block"]) == ("0xabc", 12, 10)
    assert (read["predicted"], read["realised"], read["explained"]) == ("9", "8", "8")
    assert (read["flash"], read["latency_us"]) == ("flash_swap", 81.23)


def test_a_trade_that_is_not_mined_says_so() -> None:
    open_trade = trade_json(trade())
    assert (open_trade["block"], open_trade["realised"], open_trade["explained"]) == (None,) * 3


def test_a_path_names_the_tokens_it_knows() -> None:
    assert path(trade(), {WETH: "WETH"}) == "WETH -> 0xdcdcdc -> WETH"


def test_the_screen_shows_the_newest_trades_first_and_why_nothing_is_sent() -> None:
    trades = [trade(decided_block=n, block=n + 1) for n in range(20)]
    shown = snapshot(engine(trades=trades), {WETH: "WETH", USDC: "USDC"}, 3.0, 30.0)
    assert [row.block for row in shown.trades][:2] == [20, 19]
    assert shown.trades[0].path == "WETH -> USDC -> WETH"
    assert shown.trades[0].funding == "flash swap"
    assert (shown.status, shown.sent, shown.latency_p50_us) == ("running", 4, 2.0)
    paused = engine(pause_reason="too many reverts")
    assert snapshot(paused, {}, 1.0, None).status == "too many reverts"
    doubting = engine()
    doubting.core.doubt = "a reorg"
    assert snapshot(doubting, {}, 1.0, None).status == "a reorg"
