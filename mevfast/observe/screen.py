"""What the engine shows a person: a live screen while it runs, a summary in words when it ends.

Owns looks only: it is handed plain records and asks nothing of the engine. It
draws when told to and starts no thread, so that it never runs beside the hot path.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WEI_PER_ETH = 10**18
ROWS = 5  # of recent trades and swaps: the screen fits 80 x 24
LINE_INTERVAL_S = 5.0  # between lines where there is no terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One trade. Profits in wei of the base token; `realised_wei` is None until it is mined."""

    block: int
    path: str  # "WETH -> USDC -> WETH"
    funding: str  # "flash swap", "Balancer", ...
    predicted_wei: int
    realised_wei: int | None = None
    outcome: str = "sent"  # "sent", "exact", "explained", "unexplained", "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRow:
    """One swap of somebody else, and whether the engine's quote gave its amounts to the wei."""

    block: int
    pool: str  # "Uniswap V3 WETH/USDC 0.05 %"
    amount_in: str  # "1.5 WETH"
    amount_out: str
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The engine at one moment. Counts are since start; profits in wei of the base token."""

    elapsed_s: float
    total_s: float | None = None  # None: until stopped
    status: str = "running"
    pools: int = 0
    block: int = 0
    block_age_s: float = 0.0
    events_applied: int = 0
    candidates: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    landed: int = 0
    reverted: int = 0
    predicted_profit_wei: int = 0
    realised_profit_wei: int = 0
    quote_checks: int = 0
    quote_mismatches: int = 0
    rpc_calls: int = 0
    rpc_calls_per_block: float = 0.0
    hit_rate: float = 0.0  # share of pool reads that the table answered, 0-1
    latency_p50_us: float = 0.0
    latency_p99_us: float = 0.0
    latency_max_us: float = 0.0
    trades: Sequence[TradeRow] = ()  # newest first
    swaps: Sequence[SwapRow] = ()  # newest first


def format_eth(wei: int | None) -> str:
    """Ether with six decimals, cut off and not rounded up; fewer than that as wei."""
    if wei is None:
        return ""
    sign, size = ("-" if wei < 0 else ""), abs(wei)
    if 0 < size < 10**12:
        return f"{sign}{size} wei"
    whole, rest = divmod(size, WEI_PER_ETH)
    return f"{sign}{whole:,}.{rest // 10**12:06d} ETH"


def render(snapshot: Snapshot) -> RenderableType:
    """The whole screen, about 80 columns by 24 lines."""
    return Group(_head(snapshot), _figures(snapshot), _trades(snapshot), _swaps(snapshot))


def _head(snapshot: Snapshot) -> RenderableType:
    until = f" of {snapshot.total_s:.0f}" if snapshot.total_s is not None else ""
    return Text.assemble(
        ("mevfast", "bold"),
        f"  {snapshot.status}  {snapshot.elapsed_s:.0f}{until} s"
        f"  block {snapshot.block:,} ({snapshot.block_age_s:.1f} s old)  {snapshot.pools:,} pools",
        overflow="ellipsis",
        no_wrap=True,
    )


def _figures(snapshot: Snapshot) -> RenderableType:
    bad = "bold red" if snapshot.quote_mismatches else "green"
    checks = f"{snapshot.quote_mismatches:,} wrong of {snapshot.quote_checks:,}"
    latency = (
        f"{snapshot.latency_p50_us:,.0f} / {snapshot.latency_p99_us:,.0f} / "
        f"{snapshot.latency_max_us:,.0f} us"
    )
    rows: list[tuple[str, RenderableType, str, RenderableType]] = [
        (
            "events applied",
            f"{snapshot.events_applied:,}",
            "predicted profit",
            format_eth(snapshot.predicted_profit_wei),
        ),
        (
            "candidates",
            f"{snapshot.candidates:,}",
            "realised profit",
            Text(format_eth(snapshot.realised_profit_wei), "bold green"),
        ),
        (
            "dropped",
            f"{sum(snapshot.dropped.values()):,}",
            "quotes checked",
            Text(checks, bad),
        ),
        (
            "sent/landed/reverted",
            f"{snapshot.sent:,} / {snapshot.landed:,} / {snapshot.reverted:,}",
            "latency p50/p99/max",
            latency,
        ),
        (
            "table hit rate",
            f"{snapshot.hit_rate:.1%}",
            "node calls",
            f"{snapshot.rpc_calls:,} ({snapshot.rpc_calls_per_block:.2f} a block)",
        ),
    ]
    table = Table.grid(padding=(0, 2), expand=True)
    for style in ("dim", "", "dim", ""):
        table.add_column(style=style, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return Group(table, Text(f"dropped: {_reasons(snapshot.dropped)}", "dim", no_wrap=True))


def _reasons(dropped: Mapping[str, int]) -> str:
    counts = sorted(((count, reason) for reason, count in dropped.items() if count), reverse=True)
    return ", ".join(f"{reason} {count:,}" for count, reason in counts) or "none"


_OUTCOME_STYLE = {
    "exact": "green",
    "explained": "cyan",
    "unexplained": "bold red",
    "reverted": "yellow",
}


def _trades(snapshot: Snapshot) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("block", no_wrap=True, min_width=5)
    table.add_column("trade", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("funded by", no_wrap=True, min_width=10)
    for name in ("predicted", "realised"):
        table.add_column(name, no_wrap=True, justify="right", min_width=12)
    table.add_column("outcome", no_wrap=True, min_width=11)
    for trade in snapshot.trades[:ROWS]:
        table.add_row(
            str(trade.block),
            trade.path,
            trade.funding,
            format_eth(trade.predicted_wei),
            format_eth(trade.realised_wei),
            Text(trade.outcome, _OUTCOME_STYLE.get(trade.outcome, "")),
        )
    return Panel(table, title="trades", title_align="left", padding=0)


def _swaps(snapshot: Snapshot) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("block", no_wrap=True, min_width=5)
    table.add_column("pool", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in ("in", "out"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right")
    table.add_column("quote", no_wrap=True, min_width=5)
    for swap in snapshot.swaps[:ROWS]:
        quote = Text("exact", "green") if swap.exact else Text("WRONG", "bold red")
        table.add_row(str(swap.block), swap.pool, swap.amount_in, swap.amount_out, quote)
    return Panel(table, title="swaps of others", title_align="left", padding=0)


def one_line(snapshot: Snapshot) -> str:
    """The screen as one line, for logs and pipes."""
    parts = (
        f"block {snapshot.block}",
        f"{snapshot.events_applied:,} events",
        f"{snapshot.candidates:,} candidates",
        f"{snapshot.landed:,} of {snapshot.sent:,} sent landed",
        f"realised {format_eth(snapshot.realised_profit_wei)}",
        f"{snapshot.quote_mismatches:,} of {snapshot.quote_checks:,} quotes wrong",
        f"p50 {snapshot.latency_p50_us:,.0f} us",
    )
    return f"{snapshot.elapsed_s:.0f} s: {', '.join(parts)}"


class LiveScreen:
    """Shows snapshots as they come: a redrawn screen on a terminal, else a line now and then."""

    def __init__(self, console: Console | None = None, interval_s: float = LINE_INTERVAL_S) -> None:
        """Write to `console`, standard output by default; without terminal every `interval_s`."""
        self.console = console or Console(highlight=False)
        self._interval_s = interval_s
        self._next_line = 0.0
        self._live: Live | None = None
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Take the terminal."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back, its cursor too; the screen is gone, the summary follows."""
        if self._live is not None:
            self._live.stop()

    def update(self, snapshot: Snapshot) -> None:
        """Show `snapshot`; a few times a second is enough."""
        if self._live is not None:
            self._live.update(render(snapshot), refresh=True)
            return
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + self._interval_s
            self.console.print(one_line(snapshot), soft_wrap=True)


# ---- the summary -----------------------------------------------------------------------------


def summary(report: Mapping[str, Any], seconds: float | None = None) -> RenderableType:
    """What happened, in words for somebody who sees it for the first time.

    Args:
        report: the object that `demo --json` prints.
        seconds: how long it ran.
    """
    parts = [_what_happened(report, seconds), _was_it_right(report), _how_fast(report)]
    good = report["quote_mismatches"] == 0 and report["unexplained_trades"] == 0
    return Panel(
        Text("\n\n").join(Text(part) for part in parts),
        title="what happened",
        title_align="left",
        border_style="green" if good else "red",
    )


def _what_happened(report: Mapping[str, Any], seconds: float | None) -> str:
    during = f"In {seconds:.0f} seconds the" if seconds is not None else "The"
    dropped = sum(report["dropped"].values())
    reverted = report["reverted"]
    text = (
        f"{during} chain made {_count(report['blocks'], 'block')}. Swaps and deposits in them "
        f"changed pools {_count(report['events_applied'], 'time')}, and after each change the "
        f"engine looked for a way around two to four pools that ends with more than it began "
        f"with. It found {_count(report['candidates'], 'candidate')}, "
        f"dropped {dropped:,} ({_reasons(report['dropped'])}), "
        f"and sent {_count(report['sent'], 'transaction')}: {report['landed']:,} landed, "
        f"{reverted:,} reverted"
    )
    if reverted:
        text += " (the contract found no profit any more and undid everything; only gas was paid)"
    for key, words in (("rejected", "refused by the node"), ("expired", "never mined")):
        if report.get(key):
            text += f", {report[key]:,} {words}"
    return (
        f"{text}. The landed ones earned {format_eth(report['realised_profit_wei'])}, counted from "
        f"the token transfers in their receipts; the engine had predicted "
        f"{format_eth(report['predicted_profit_wei'])}."
    )


def _was_it_right(report: Mapping[str, Any]) -> str:
    explained, unexplained = report["explained_trades"], report["unexplained_trades"]
    text = (
        f"Of {_count(report['landed'], 'landed trade')}, {report['exact_trades']:,} paid what was "
        f"predicted to the wei, the smallest unit there is"
    )
    if explained:
        text += (
            f"; before {explained:,} somebody else's swap came first in the same block, and "
            f"computing again on the state it left gives what was paid, again to the wei"
        )
    text += f"; {f'{unexplained:,} are' if unexplained else 'none is'} left unexplained."
    wrong = report["quote_mismatches"]
    return (
        f"{text} The swaps of others tested the engine too: for "
        f"{_count(report['quote_checks'], 'swap')} it computed the outcome from the state before "
        f"it, and {f'{wrong:,}' if wrong else 'none'} came out otherwise."
    )


def _how_fast(report: Mapping[str, Any]) -> str:
    latency = report["latency_us"]
    if report["sent"]:
        text = (
            f"From the arrival of a message to the signed transaction on its way out, half took "
            f"under {latency['p50']:,.0f} microseconds, 99 of 100 under {latency['p99']:,.0f}, "
            f"the slowest {latency['max']:,.0f}. "
        )
    else:
        text = "Nothing was sent, so there is no latency to tell. "
    return (
        f"{text}The engine's own table of pool states answered {report['hit_rate']:.1%} of its "
        f"questions. The node was asked {_count(report['rpc_calls'], 'time')} "
        f"({report['rpc_calls_per_block']:.2f} a block after start-up), "
        f"{report['rpc_saved_ratio']:.2%} less than with one query for every quote."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
