"""The deploy command puts a working executor on the chain, or says in one line why not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from executor_stage import OWNER, STRANGER, Stage, stage, theatre

from mevfast.cli import main
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.execution.artifacts import load

__all__ = ["stage", "theatre"]  # fixtures

pytestmark = pytest.mark.devnet

KEY = "executor-key"


@pytest.fixture
def write_config(
    theatre: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Writes a config for a node of the market and returns its path; the key is a credential."""
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / KEY).write_text(DEV_ACCOUNTS[0].key)
    (credentials / KEY).chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))

    def write(url: str, more: str = "", vault: str | None = None) -> str:
        market = theatre.market
        path = tmp_path / "mevfast.toml"
        path.write_text(f"""
[node]
url = "{url}"
chain_id = {market.chain_id}
[key]
credential = "{KEY}"
[search]
min_profit_wei = "1"
[market]
base_token = "{market.weth}"
start_tokens = ["{market.weth}"]
factory = [{{ name = "v3", kind = "uniswap_v3", address = "{market.factories[2].address}" }}]
[flash]
sources = ["flash_swap", "balancer", "aave"]
balancer_vault = "{vault or market.balancer_vault}"
aave_pool = "{market.aave_pool}"
{more}
""")
        return str(path)

    return write


@pytest.fixture
def mining(theatre: Stage) -> Iterator[Anvil]:
    """The stage's node, mining by itself while a test runs."""
    theatre.node.rpc("evm_setAutomine", True)
    yield theatre.node
    theatre.node.rpc("evm_setAutomine", False)


def test_it_prints_the_lines_for_the_config(
    stage: Stage,
    mining: Anvil,
    write_config: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["deploy", "--config", write_config(mining.ws_url)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head == "[executor]"
    address = line.removeprefix('address = "').removesuffix('"')
    assert stage.read(address, "owner()", ["address"]) == OWNER.lower()
    withdraw = load("Executor").call("withdraw", stage.market.weth, 0, STRANGER)
    stage.call(address, withdraw)


def test_json_tells_the_whole_deployment(
    stage: Stage,
    mining: Anvil,
    write_config: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["deploy", "--json", "--config", write_config(mining.ws_url)]) == 0
    result = json.loads(capsys.readouterr().out)
    receipt = mining.rpc("eth_getTransactionReceipt", result["transaction"])
    assert receipt["contractAddress"] == result["address"].lower()
    assert result["block"] == int(receipt["blockNumber"], 16)
    assert result["gas_used"] == int(receipt["gasUsed"], 16)
    assert (result["owner"], result["aave_pool"]) == (OWNER, stage.market.aave_pool)


def test_a_config_that_has_an_executor_is_refused(
    mining: Anvil, write_config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(mining.ws_url, f'[executor]\naddress = "{STRANGER}"')
    before = mining.rpc("eth_getTransactionCount", OWNER, "latest")
    assert main(["deploy", "--config", config]) == 2
    assert f"expected none yet, was {STRANGER}" in capsys.readouterr().err
    assert mining.rpc("eth_getTransactionCount", OWNER, "latest") == before


def test_a_lender_without_code_is_refused(
    mining: Anvil, write_config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "--config", write_config(mining.ws_url, vault=STRANGER)]) == 2
    error = capsys.readouterr().err
    assert f"flash.balancer_vault: expected a contract at {STRANGER}, the chain has none" in error


def test_an_account_without_money_is_told_how_much(
    stage: Stage,
    mining: Anvil,
    write_config: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    mining.rpc("anvil_setBalance", OWNER, hex(10**9))
    assert main(["deploy", "--config", write_config(mining.ws_url)]) == 3
    assert f"wei on {OWNER} to deploy the executor, was 1000000000; send" in capsys.readouterr().err
