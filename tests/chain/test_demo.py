"""The demo: what it prints, and whether the chain says the same."""

import asyncio
import itertools
import json
import os
import pty
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from mevfast._stages import STAGE_NAMES
from mevfast._tx import Signer
from mevfast.chain.rpc import Rpc
from mevfast.demo import demo_config
from mevfast.devnet.market import ENGINE_ACCOUNT, Pool
from mevfast.devnet.net import Devnet
from mevfast.engine import Engine
from mevfast.execution.deploy import deploy_executor
from mevfast.observe.report import report
from tests.chain.engine_stage import on_loop, until
from tests.chain.executor_stage import calldata, selector

pytestmark = pytest.mark.devnet

ROOT = Path(__file__).resolve().parents[2]
FEWEST = 5
"""Trades in thirty seconds, on the busiest of machines; an idle one lands forty times as many."""
LONG_S = 120.0
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

FIELDS: dict[str, type | tuple[type, ...]] = {
    "blocks": int, "events_applied": int, "candidates": int, "dropped": dict, "sent": int,
    "landed": int, "reverted": int, "predicted_profit_wei": int, "realised_profit_wei": int,
    "exact_trades": int, "explained_trades": int, "unexplained_trades": int, "quote_checks": int,
    "quote_mismatches": int, "rpc_calls": int, "rpc_calls_per_block": (int, float),
    "rpc_saved_ratio": float, "hit_rate": float, "latency_us": dict, "stages": dict, "trades": list,
}  # fmt: skip
TRADE_FIELDS = {"tx", "block", "hops", "flash", "predicted", "realised"}
HOP_FIELDS = {"pool", "kind", "token_in", "token_out", "amount_in", "amount_out"}


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mevfast", "demo", *arguments]


# ---- what it prints ----


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    """Thirty seconds, as anybody would run them."""
    done = subprocess.run(
        demo("--seconds", "30", "--json"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)  # one object and nothing else
    assert isinstance(report, dict)
    return report


def test_every_field_is_there(printed: dict[str, Any]) -> None:
    for name, kind in FIELDS.items():
        assert isinstance(printed[name], kind), name
    assert all(isinstance(count, int) for count in printed["dropped"].values())
    latency = printed["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    assert set(printed["stages"]) == set(STAGE_NAMES)
    for stage in printed["stages"].values():
        assert 0 <= stage["min_ns"] <= stage["p50_ns"] <= stage["p99_ns"] <= stage["p999_ns"]
    assert printed["stages"]["send"]["count"] == printed["sent"]
    for trade in printed["trades"]:
        assert trade.keys() >= TRADE_FIELDS
        assert 2 <= len(trade["hops"]) <= 4
        for hop in trade["hops"]:
            assert hop.keys() >= HOP_FIELDS


def test_trades_land_and_pay_what_was_predicted(printed: dict[str, Any]) -> None:
    assert printed["landed"] >= FEWEST
    assert printed["unexplained_trades"] == 0
    assert printed["landed"] == printed["exact_trades"] + printed["explained_trades"]
    landed = [trade for trade in printed["trades"] if trade["realised"] is not None]
    assert len(landed) == printed["landed"]
    exact = [trade for trade in landed if trade["realised"] == trade["predicted"]]
    assert len(exact) == printed["exact_trades"]
    for trade in landed:
        amounts = [(int(hop["amount_in"]), int(hop["amount_out"])) for hop in trade["hops"]]
        assert all(before[1] == after[0] for before, after in itertools.pairwise(amounts))
        assert trade["hops"][0]["token_in"] == trade["hops"][-1]["token_out"]
    assert printed["realised_profit_wei"] > 0


def test_the_figures_add_up(printed: dict[str, Any]) -> None:
    assert printed["candidates"] == printed["sent"] + sum(printed["dropped"].values())
    over = printed["landed"] + printed["reverted"] + printed["rejected"] + printed["expired"]
    assert over <= printed["sent"]
    assert printed["rpc_calls"] == sum(printed["rpc_calls_by_method"].values())
    assert printed["rpc_calls_by_method"]["eth_sendRawTransaction"] == printed["sent"]


def test_quotes_are_right_and_come_from_the_table(printed: dict[str, Any]) -> None:
    assert printed["quote_checks"] >= 4 * FEWEST
    assert printed["quote_mismatches"] == 0
    assert printed["logs_missed"] == 0 or printed["recoveries"] > 0
    assert (
        0 <= printed["rpc_calls_per_block"] <= 0.05 + 15 * printed["recoveries"] / printed["blocks"]
    )
    assert 0.99 <= printed["rpc_saved_ratio"] <= 1
    assert 0.99 <= printed["hit_rate"] <= 1
    assert printed["blocks"] >= 4 * FEWEST


def read_all(fd: int) -> str:
    text = b""
    try:
        while part := os.read(fd, 1 << 16):
            text += part
    except OSError:  # how a terminal ends
        pass
    return text.decode()


def test_without_json_it_ends_in_words_on_a_pipe_and_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    short = demo("--seconds", "3")
    with (
        subprocess.Popen(short, cwd=ROOT, stdout=theirs, stderr=theirs, env=environment) as shown,
        subprocess.Popen(short, cwd=ROOT, stdout=subprocess.PIPE, text=True) as piped,
    ):
        os.close(theirs)
        screen = read_all(ours)
        assert piped.stdout
        text = piped.stdout.read()
    os.close(ours)
    assert (shown.returncode, piped.returncode) == (0, 0)
    assert "\x1b[" in screen  # it is drawn in place
    assert "\x1b" not in text
    for output in (screen, text):
        assert "what happened" in output
        assert "landed" in output.partition("what happened")[2]


# ---- what the chain says ----


class Chain:
    """The node asked directly, at any of its last blocks."""

    def __init__(self, net: Devnet) -> None:
        self.net = net
        self.pools = {pool.address.lower(): pool for pool in net.market.pools}

    def call(self, to: str, data: bytes, block: int) -> bytes:
        request = {"to": to, "data": "0x" + data.hex()}
        return bytes.fromhex(self.net.node.rpc("eth_call", request, hex(block))[2:])

    def quote(self, pool: Pool, token_in: str, amount: int, block: int) -> int:
        """Output by the protocol's own quoter or router, on the state after a block."""
        zero_for_one = token_in == pool.token0.lower()
        if pool.kind == "uniswap_v3":
            route = (pool.token0, pool.token1) if zero_for_one else (pool.token1, pool.token0)
            types = "(address,address,uint256,uint24,uint160)"
            data = selector(f"quoteExactInputSingle({types})")
            data += encode([types], [(*route, amount, pool.fee_pips, 0)])
            return int(decode(["uint256"], self.call(self.net.market.quoter, data, block)[:32])[0])
        state = self.call(pool.address, calldata("getReserves()"), block)
        reserves = decode(["uint112", "uint112"], state[:64])
        router = self.net.market.factory(pool.factory).router
        signature = "getAmountOut(uint256,uint256,uint256)"
        data = calldata(signature, amount, *(reserves if zero_for_one else reserves[::-1]))
        return int(decode(["uint256"], self.call(router, data, block))[0])

    def transfers(self, receipt: Mapping[str, Any]) -> Counter[tuple[str, str]]:
        """What each account gained of each token, (account, token) -> raw units."""
        gained: Counter[tuple[str, str]] = Counter()
        for log in receipt["logs"]:
            if log["topics"][0] == TRANSFER:
                sender, receiver = ("0x" + topic[26:] for topic in log["topics"][1:3])
                gained[receiver, log["address"]] += int(log["data"], 16)
                gained[sender, log["address"]] -= int(log["data"], 16)
        return gained

    def touched_before(self, receipt: Mapping[str, Any]) -> set[str]:
        """Pools whose logs come before a transaction's in its block."""
        number = receipt["blockNumber"]
        logs = self.net.node.rpc("eth_getLogs", {"fromBlock": number, "toBlock": number})
        index = int(receipt["transactionIndex"], 16)
        return {log["address"] for log in logs if int(log["transactionIndex"], 16) < index}


def check_trade(chain: Chain, trade: Mapping[str, Any], executor: str) -> bool:
    """Compares one landed trade with its receipt, and with the quoters where it came first."""
    receipt = chain.net.node.rpc("eth_getTransactionReceipt", trade["tx"])
    assert int(receipt["status"], 16) == 1
    assert int(receipt["blockNumber"], 16) == trade["block"]
    gained = chain.transfers(receipt)
    assert gained[executor, trade["token"]] == int(trade["realised"])
    others = {token for account, token in gained if account == executor} - {trade["token"]}
    assert not any(gained[executor, token] for token in others)
    first = not chain.touched_before(receipt) & {hop["pool"] for hop in trade["hops"]}
    if not first:
        return False
    for hop in trade["hops"]:
        amount_in, amount_out = int(hop["amount_in"]), int(hop["amount_out"])
        pool = chain.pools[hop["pool"]]
        quoted = chain.quote(pool, hop["token_in"], amount_in, trade["block"] - 1)
        assert quoted == amount_out
        assert gained[hop["pool"], hop["token_in"]] == amount_in
        assert gained[hop["pool"], hop["token_out"]] == -amount_out
    assert trade["predicted"] == trade["realised"]
    return True


@on_loop
async def test_the_chain_says_the_same() -> None:
    async with Devnet(seed=7, traders=False) as net:
        signer = Signer(net.signer_key(ENGINE_ACCOUNT))
        async with await Rpc.connect(net.ws_url) as rpc:
            executor = await deploy_executor(
                rpc, signer, net.market.balancer_vault, net.market.aave_pool
            )
        engine = Engine(demo_config(net, executor), signer, on_live=net.start_traders)
        running = asyncio.create_task(engine.run())
        try:
            await until(
                lambda: running.done() or sum(engine.outcomes.values()) >= 25, limit_s=LONG_S
            )
            net.stop_traders()
            engine.core.shadow = True
            await until(lambda: running.done() or not engine.core.trades())
        finally:
            engine.stop()
            await running
        result = report(engine)
        landed = [trade for trade in result["trades"] if trade["realised"] is not None]
        assert len(landed) == result["landed"] >= FEWEST
        chain = Chain(net)
        checked = sum(check_trade(chain, trade, executor.lower()) for trade in landed)
        assert checked >= len(landed) // 2
        earned: dict[str, int] = defaultdict(int)
        for trade in landed:
            earned[trade["token"]] += int(trade["realised"])
        block = int(net.node.rpc("eth_blockNumber"), 16)
        for token in net.market.tokens:
            held = chain.call(token.address, calldata("balanceOf(address)", executor), block)
            assert int.from_bytes(held, "big") == earned[token.address.lower()]
        base = net.market.weth.lower()
        if set(earned) == {base}:
            assert result["realised_profit_wei"] == earned[base]
