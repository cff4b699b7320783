"""What a person sees: the figures that were handed over, on a terminal and without one."""

import io

import pytest
from rich.console import Console, RenderableType

from mevfast.observe.screen import (
    LiveScreen,
    Snapshot,
    SwapRow,
    TradeRow,
    format_eth,
    render,
    summary,
)

REPORT = {
    "blocks": 121,
    "events_applied": 2345,
    "candidates": 432,
    "dropped": {"below gas": 390, "shares a pool": 3, "never": 0},
    "sent": 39,
    "landed": 37,
    "reverted": 2,
    "predicted_profit_wei": 5 * 10**17,
    "realised_profit_wei": 499 * 10**15,
    "exact_trades": 33,
    "explained_trades": 4,
    "unexplained_trades": 0,
    "quote_checks": 1234,
    "quote_mismatches": 0,
    "rpc_calls": 567,
    "rpc_calls_per_block": 0.25,
    "rpc_saved_ratio": 0.9991,
    "hit_rate": 1.0,
    "latency_us": {"p50": 81.4, "p99": 150.2, "max": 911.0},
    "trades": [],
}


def text_of(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(what)
    return console.export_text()


def words_of(what: RenderableType) -> str:
    """The text without its frame and line breaks."""
    return " ".join(text_of(what).translate(dict.fromkeys(map(ord, "│╭╮╰╯─"), " ")).split())


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (None, ""),
        (0, "0.000000 ETH"),
        (1, "1 wei"),
        (-(10**11), "-100000000000 wei"),
        (10**12, "0.000001 ETH"),
        (1999999999999999999, "1.999999 ETH"),
        (-(10**18), "-1.000000 ETH"),
        (1234567 * 10**18 + 1, "1,234,567.000000 ETH"),
    ],
)
def test_ether_is_cut_off_and_never_rounded_up(wei: int | None, text: str) -> None:
    assert format_eth(wei) == text


def full_snapshot() -> Snapshot:
    trade = TradeRow(
        block=77,
        path="WETH -> USDC -> ARB -> WETH",
        funding="flash swap",
        predicted_wei=2 * 10**16,
        realised_wei=3 * 10**16,
        outcome="explained",
    )
    swap = SwapRow(
        block=78,
        pool="Uniswap V3 WETH/USDC",
        amount_in="1.5 WETH",
        amount_out="9 USDC",
        exact=False,
    )
    return Snapshot(
        elapsed_s=12,
        total_s=30,
        pools=66,
        block=4321,
        events_applied=2345,
        candidates=432,
        dropped={"below gas": 12, "stale head": 34},
        sent=39,
        landed=37,
        reverted=2,
        predicted_profit_wei=10**17,
        realised_profit_wei=2 * 10**17,
        quote_checks=987,
        quote_mismatches=3,
        rpc_calls=567,
        rpc_calls_per_block=0.25,
        hit_rate=0.75,
        latency_p50_us=81,
        latency_p99_us=150,
        latency_max_us=911,
        trades=[trade] * 20,
        swaps=[swap] * 20,
    )


def test_screen_shows_every_figure_within_80_by_24() -> None:
    text = text_of(render(full_snapshot()))
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    words = " ".join(text.split())
    for part in (
        "12 of 30 s", "block 4,321", "66 pools", "2,345", "432", "39 / 37 / 2", "3 wrong of 987",
        "0.100000 ETH", "0.200000 ETH", "81 / 150 / 911 us", "567 (0.25 a block)", "75.0%",
        "dropped: stale head 34, below gas 12", "WRONG", "explained", "0.03",
    ):  # fmt: skip
        assert part in words, part


def test_screen_of_an_engine_that_just_started() -> None:
    assert "dropped: none" in text_of(render(Snapshot(elapsed_s=0)))


def test_without_terminal_there_is_a_line_now_and_then() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    with LiveScreen(console, interval_s=3600) as screen:
        screen.update(full_snapshot())
        screen.update(full_snapshot())
    text = out.getvalue()
    assert text.count("\n") == 1
    assert "37 of 39 sent landed" in text
    assert "\x1b" not in text


def test_terminal_is_redrawn_and_given_back() -> None:
    out = io.StringIO()
    console = Console(
        file=out, width=80, height=24, force_terminal=True, _environ={"TERM": "xterm"}
    )
    with pytest.raises(KeyboardInterrupt), LiveScreen(console) as screen:
        screen.update(full_snapshot())
        assert "2,345" in out.getvalue()
        raise KeyboardInterrupt
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert out.getvalue().rindex(show) > out.getvalue().rindex(hide)


def test_summary_tells_every_figure_in_words() -> None:
    words = words_of(summary(REPORT, 30))
    for part in (
        "In 30 seconds the chain made 121 blocks",
        "changed pools 2,345 times",
        "found 432 candidates, dropped 393 (below gas 390, shares a pool 3)",
        "sent 39 transactions: 37 landed, 2 reverted",
        "earned 0.499000 ETH",
        "predicted 0.500000 ETH",
        "Of 37 landed trades, 33 paid what was predicted to the wei",
        "before 4 somebody else's swap came first",
        "none is left unexplained",
        "for 1,234 swaps",
        "none came out otherwise",
        "under 81 microseconds, 99 of 100 under 150, the slowest 911",
        "asked 567 times (0.25 a block after start-up)",
        "99.91% less",
    ):
        assert part in words, part


def test_summary_does_not_hide_what_went_wrong() -> None:
    bad = {**REPORT, "unexplained_trades": 2, "quote_mismatches": 5}
    words = words_of(summary(bad))
    assert "2 is left unexplained" not in words
    assert "2 are left unexplained" in words
    assert "5 came out otherwise" in words
    assert "refused" not in words
    lost = words_of(summary({**REPORT, "sent": 43, "rejected": 1, "expired": 3}))
    assert "was paid), 1 refused by the node, 3 never mined." in lost
    assert summary(bad).border_style == "red"  # type: ignore[union-attr]
    assert summary(REPORT).border_style == "green"  # type: ignore[union-attr]


def test_summary_of_a_run_that_sent_nothing() -> None:
    latency = {"p50": None, "p99": None, "max": None}
    idle = {**REPORT, "sent": 0, "landed": 0, "reverted": 0, "exact_trades": 0}
    assert "Nothing was sent" in words_of(summary({**idle, "latency_us": latency}))
