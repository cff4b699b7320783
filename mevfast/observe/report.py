"""The engine's figures: one JSON object for machines, one Snapshot for the screen.

Reads counters and records; changes nothing and is never called from the hot path.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mevfast.observe.screen import Snapshot, SwapRow, TradeRow

if TYPE_CHECKING:
    from mevfast.engine import Engine
    from mevfast.model import Trade

SUBMISSION = frozenset(("eth_sendRawTransaction", "eth_getTransactionReceipt"))
"""Calls that belong to our own transactions; everything else reads the state of the chain."""

LANDED = ("exact", "explained", "unexplained")
FUNDINGS = {"own": "own funds", "flash_swap": "flash swap", "balancer": "Balancer", "aave": "Aave"}


def percentile(values: list[int], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return float(ordered[max(0, math.ceil(share * len(ordered)) - 1)])


def latency_us(engine: "Engine") -> dict[str, float]:
    """From the callback with the first frame of a read to the call that writes the request."""
    times = engine.core.latencies()
    return {
        "p50": round(percentile(times, 0.5) / 1000, 2),
        "p99": round(percentile(times, 0.99) / 1000, 2),
        "max": round(max(times, default=0) / 1000, 2),
    }


def report(engine: "Engine") -> dict[str, Any]:
    """What `demo --json` prints; see docs/report.md for each field."""
    return _counted(engine) | {"stages": engine.latency()}


def _counted(engine: "Engine") -> dict[str, Any]:
    """All but the histograms, which take a millisecond to sum up: for a screen, too."""
    core, search, audit = engine.core, engine.search, engine.core.audit
    blocks = core.head_number - engine.first_block if engine.first_block is not None else 0
    dropped = search.dropped()
    calls = engine.rpc_calls
    since_live = {
        method: count - engine.calls_at_live[method]
        for method, count in calls.items()
        if method not in SUBMISSION
    }
    reads = sum(since_live.values())
    quotes = engine.quotes
    misses = dropped.get("stale", 0) + dropped.get("incomplete_block", 0)
    counters = engine.table.counters()
    outcomes = engine.outcomes
    landed = sum(outcomes[name] for name in LANDED)
    return {
        "blocks": blocks,
        "pools": len(engine.table),
        "events_applied": engine.table.applied()["changed"],
        "searches": core.n_searches,
        "quotes": quotes,
        "candidates": search.n_candidates,
        "dropped": dropped,
        "sent": core.n_sent,
        "landed": landed,
        "reverted": outcomes["reverted"],
        "rejected": outcomes["rejected"],
        "expired": outcomes["expired"],
        "predicted_profit_wei": engine.predicted_wei,
        "realised_profit_wei": engine.realised_wei,
        "exact_trades": outcomes["exact"],
        "explained_trades": outcomes["explained"],
        "unexplained_trades": outcomes["unexplained"],
        "quote_checks": audit.n_checks,
        "quote_mismatches": audit.n_mismatches,
        "quote_slack": audit.n_slack,
        "quote_skipped": audit.n_skipped,
        "events_by_kind": counters["events"],
        "events_by_result": counters["applied"],
        "stale_marks": counters["stale_marks"],
        "refreshes": counters["refreshes"],
        "pools_read": engine.keeper.read_pools,
        "pools_refused": dict(engine.keeper.refused.most_common()),
        "evictions": counters["evictions"],
        "recoveries": engine.keeper.recoveries,
        "recovery_ms": round(1000 * engine.keeper.recovered_s, 3),
        "logs_missed": engine.keeper.logs_missed,
        "load_s": round(engine.load_s, 3),
        "hits": quotes,
        "misses": misses,
        "calls_avoided": quotes - reads,
        "rpc_calls": sum(calls.values()),
        "rpc_calls_by_method": dict(sorted(calls.items())),
        "rpc_calls_per_block": round(reads / blocks, 4) if blocks else 0.0,
        "rpc_saved_ratio": round(1 - reads / quotes, 6) if quotes else 0.0,
        "hit_rate": round(quotes / (quotes + misses), 6) if quotes else 0.0,
        "latency_us": latency_us(engine),
        "trades": [trade_json(trade) for trade in engine.trades],
    }


def trade_json(trade: "Trade") -> dict[str, Any]:
    """One trade as JSON: addresses as 0x hex, amounts as decimal strings."""
    return {
        "tx": trade.tx,
        "block": trade.block,
        "decided_block": trade.decided_block,
        "outcome": trade.outcome,
        "token": "0x" + trade.token.hex(),
        "hops": [
            {
                "pool": "0x" + hop["pool"].hex(),
                "kind": hop["kind"],
                "token_in": "0x" + hop["token_in"].hex(),
                "token_out": "0x" + hop["token_out"].hex(),
                "amount_in": str(hop["amount_in"]),
                "amount_out": str(hop["amount_out"]),
            }
            for hop in trade.hops
        ],
        "flash": trade.funding,
        "predicted": str(trade.predicted),
        "realised": None if trade.realised is None else str(trade.realised),
        "explained": None if trade.explained is None else str(trade.explained),
        "gas_used": trade.gas_used,
        "latency_us": round(trade.latency_ns / 1000, 2),
    }


def path(trade: "Trade", symbols: Mapping[bytes, str]) -> str:
    """`WETH -> USDC -> WETH`."""
    tokens = [trade.token, *(hop["token_out"] for hop in trade.hops)]
    return " -> ".join(symbols.get(token, f"0x{token.hex()[:6]}") for token in tokens)


def snapshot(
    engine: "Engine",
    symbols: Mapping[bytes, str],
    elapsed_s: float,
    total_s: float | None,
    swaps: tuple[SwapRow, ...] = (),
) -> Snapshot:
    """The engine at this moment, for the screen."""
    figures = report_figures(engine)
    status = engine.pause_reason or engine.core.doubt or "running"
    rows = [
        TradeRow(
            block=trade.block or trade.decided_block,
            path=path(trade, symbols),
            funding=FUNDINGS[trade.funding],
            predicted_wei=trade.predicted_wei,
            realised_wei=trade.realised_wei,
            outcome=trade.outcome,
        )
        for trade in list(engine.trades)[-8:]
    ]
    return Snapshot(
        elapsed_s=elapsed_s,
        total_s=total_s,
        status=status,
        block=engine.core.head_number,
        block_age_s=engine.block_age_s,
        trades=tuple(reversed(rows)),
        swaps=swaps,
        **figures,
    )


def report_figures(engine: "Engine") -> dict[str, Any]:
    """The fields that report and Snapshot share, under the Snapshot's names."""
    whole = _counted(engine)
    shared = (
        "pools", "events_applied", "candidates", "dropped", "sent", "landed", "reverted",
        "predicted_profit_wei", "realised_profit_wei", "quote_checks", "quote_mismatches",
        "rpc_calls", "rpc_calls_per_block", "hit_rate",
    )  # fmt: skip
    figures = {name: whole[name] for name in shared}
    for name, value in whole["latency_us"].items():
        figures[f"latency_{name}_us"] = value
    return figures
