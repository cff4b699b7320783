"""`check` against the embedded chain: all right when it is, and each thing that is not named."""

import argparse
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mevfast import check
from mevfast.config import load_config
from mevfast.devnet.market import ENGINE_ACCOUNT, Market, prepared
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.execution.artifacts import load

pytestmark = pytest.mark.devnet

MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
USDC = "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"
ANSWERS_CHAIN_ID = "0x4660005260206000f3"
"""Code that answers every call with the chain's id: of Multicall3, what is asked of it here."""

OWNER, STRANGER = DEV_ACCOUNTS[ENGINE_ACCOUNT], DEV_ACCOUNTS[7]


@dataclass
class Stage:
    """A node with the market and an executor of OWNER."""

    url: str
    market: Market
    executor: str


def create(node: Anvil, code: bytes) -> str:
    request = {"from": OWNER.address, "data": "0x" + code.hex(), "gas": hex(5_000_000)}
    sent = node.rpc("eth_sendTransaction", request)
    node.rpc("evm_mine")
    receipt = node.rpc("eth_getTransactionReceipt", sent)
    assert int(receipt["status"], 16) == 1
    return str(receipt["contractAddress"])


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    state, _, market = prepared()
    with Anvil(load_state=state, block_time=None) as node:
        creation = load("Executor").creation(market.balancer_vault, market.aave_pool)
        executor = create(node, creation)
        node.rpc("anvil_setCode", MULTICALL, ANSWERS_CHAIN_ID)
        # In place of the registry's USDC, WETH's code: its decimals are in storage, here 0.
        node.rpc("anvil_setCode", USDC, node.rpc("eth_getCode", market.weth, "latest"))
        yield Stage(node.ws_url, market, executor)


Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def checked(
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Check:
    """Check the stage's config with some text replaced: exit code, and what is not ok."""
    (tmp_path / "mevfast-key").write_text(OWNER.key)
    (tmp_path / "other-key").write_text(STRANGER.key)
    for path in tmp_path.iterdir():
        path.chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    market = stage.market
    factories = "".join(
        f'[[market.factory]]\nname = "{each.name}"\nkind = "{each.kind}"\n'
        f'address = "{each.address}"\n'
        + ("" if each.fee_pips is None else f"fee_pips = {each.fee_pips}\n")
        for each in market.factories
    )
    good = (
        f'[node]\nurl = "{stage.url}"\nchain_id = {market.chain_id}\n'
        f'[key]\ncredential = "mevfast-key"\n[executor]\naddress = "{stage.executor}"\n'
        f'[market]\nbase_token = "{market.weth}"\nstart_tokens = ["{market.weth}"]\n{factories}'
        f'[search]\nmin_profit_wei = 1\n[flash]\nsources = ["flash_swap", "balancer", "aave"]\n'
        f'balancer_vault = "{market.balancer_vault}"\naave_pool = "{market.aave_pool}"\n'
        "[risk]\nmax_head_age_s = 300\n"
    )

    def run(*replaced: tuple[str, str]) -> tuple[int, list[str]]:
        text = good
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "mevfast.toml"
        path.write_text(text)
        load_config(path, deployed=False)  # the config itself is right in every case here
        code = check.run(argparse.Namespace(config=path, json=True))
        lines = json.loads(capsys.readouterr().out)["lines"]
        return code, [
            f"{line['status']} {line['what']}: {line['message']}"
            for line in lines
            if line["status"] != "ok" and line["what"] != "head"
        ]

    return run


def test_a_right_set_up_has_nothing_to_complain_about(checked: Check) -> None:
    assert checked() == (0, [])


def test_other_chain(checked: Check, stage: Stage) -> None:
    code, [line] = checked((f"chain_id = {stage.market.chain_id}", "chain_id = 1"))
    assert code == 1
    assert line.startswith("FAIL chain id: ")
    assert "expected chain id 1, node has 42161" in line


def test_every_fallback_is_a_node_of_the_chain(checked: Check, stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"ws://127.0.0.1:{listener.getsockname()[1]}"
    same = stage.url.replace("127.0.0.1", "localhost")
    code, [line] = checked(("chain_id", f'fallback_urls = ["{same}", "{closed}"]\nchain_id'))
    assert code == 1
    assert line.startswith(f"FAIL fallback: {closed}: ")
    assert line.endswith("(node.fallback_urls[1])")
    code, lines = checked(("chain_id = 42161", f'chain_id = 1\nfallback_urls = ["{same}"]'))
    assert [line.partition(": ")[0] for line in lines] == ["FAIL chain id", "FAIL fallback"]


def test_executor_of_somebody_else(checked: Check) -> None:
    code, lines = checked(("mevfast-key", "other-key"))
    assert code == 1
    [line] = [line for line in lines if line.startswith("FAIL executor")]
    assert f"owned by {OWNER.address}, the key is {STRANGER.address}" in line


def test_executor_that_is_none(checked: Check, stage: Stage) -> None:
    code, [line] = checked((stage.executor, STRANGER.address))
    todo = "deploy it, or correct executor.address"
    assert (code, line) == (1, f"FAIL executor: no contract at {STRANGER.address}; {todo}")
    code, [line] = checked((f'[executor]\naddress = "{stage.executor}"\n', ""))
    assert (code, line.startswith("FAIL executor: none in the config; run")) == (1, True)


def test_executor_of_another_version(checked: Check, stage: Stage) -> None:
    code, [line] = checked((stage.executor, stage.market.weth))
    assert (code, "is another contract or version" in line) == (1, True)


def test_factory_of_another_kind_or_none(checked: Check, stage: Stage) -> None:
    v2, v3 = (
        next(each for each in stage.market.factories if each.kind == kind)
        for kind in ("uniswap_v2", "uniswap_v3")
    )
    code, lines = checked((v2.address, stage.market.weth), (v3.address, STRANGER.address))
    assert code == 1
    none = "expected a contract, was none there; correct its address or kind"
    mute = "expected a number from allPairsLength(), was a call that reverts; correct its address"
    # WETH stands in the market, too: that is still right.
    assert len(lines) == 2
    assert lines[0].startswith(
        f"FAIL {v2.name}: {stage.market.weth} is no uniswap_v2 factory: {mute}"
    )
    assert lines[1] == (
        f"FAIL {v3.name}: {STRANGER.address} is no uniswap_v3 factory: {none}; it will be refused"
    )


def test_factory_under_another_kind(checked: Check, stage: Stage) -> None:
    v3 = next(each for each in stage.market.factories if each.kind == "uniswap_v3")
    code, [line] = checked(('kind = "uniswap_v3"', 'kind = "uniswap_v2"\nfee_pips = 3000'))
    assert code == 1
    assert line.startswith(f"FAIL {v3.name}: {v3.address} is no uniswap_v2 factory: ")
    assert line.endswith("it will be refused")


def test_venue_that_stands_elsewhere(checked: Check, stage: Stage) -> None:
    code, lines = checked(("[market]", '[market]\nvenues = ["camelot-v3", "sterling"]'))
    assert code == 1
    assert [line.partition(": ")[0] for line in lines] == [
        "FAIL camelot-v3",
        "FAIL sterling",
        "warn sterling",
    ]
    assert "only one source states this address (github DefiLlama/" in lines[2]
    v3 = next(each for each in stage.market.factories if each.kind == "uniswap_v3")
    assert checked((f'"{v3.name}"', '"sterling"')) == (0, [])  # a name of one's own


def test_start_token_that_is_none(checked: Check, stage: Stage) -> None:
    old, new = f'["{stage.market.weth}"]', f'["{stage.market.balancer_vault}"]'
    code, [line] = checked((old, new))
    assert (code, "is no token: expected a number from decimals()" in line) == (1, True)


def test_token_of_other_decimals_than_the_registry_says(checked: Check, stage: Stage) -> None:
    code, [line] = checked((f'["{stage.market.weth}"]', f'["{stage.market.weth}", "{USDC}"]'))
    assert code == 1
    assert line.startswith(f"FAIL token: {USDC} is no token: expected 6 decimals, was 0; ")


def test_multicall_of_ones_own_must_be_one(checked: Check, stage: Stage) -> None:
    code, [line] = checked(("[market]", f'[market]\nmulticall = "{stage.market.weth}"'))
    assert (code, line.startswith("FAIL multicall: ")) == (1, True)
    assert "it in market.multicall; it will be refused" in line


def test_lender_of_another_kind(checked: Check, stage: Stage) -> None:
    wrong = stage.market.weth
    code, lines = checked((f'aave_pool = "{stage.market.aave_pool}"', f'aave_pool = "{wrong}"'))
    assert code == 1
    assert len(lines) == 2
    assert f"built for aave at {stage.market.aave_pool}, flash has {wrong}" in lines[0]
    assert f"{wrong} is no Aave V3 pool" in lines[1]


def test_too_little_for_gas(checked: Check) -> None:
    code, [line] = checked(("[risk]", f"[risk]\nmin_balance_wei = {10**30}"))
    assert (code, line.startswith("FAIL gas money: ")) == (1, True)
    assert "risk.min_balance_wei" in line
