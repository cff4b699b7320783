"""`mevfast deploy`: put the executor contract on the chain, owned by the key of the config.

One transaction, then its proof: the contract stands where it must, and names owner and lenders.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mevfast._tx import Signer, to_address_bytes, to_checksum_address
from mevfast.chain.rpc import Rpc, check_chain_id
from mevfast.config import Config, load_config
from mevfast.errors import ConfigError, NodeError, RpcError
from mevfast.execution.artifacts import load
from mevfast.execution.keys import load_signer
from mevfast.execution.transaction import create_address, sign_transaction

HELP = "Deploy the executor contract and print the lines that the config needs."

RECEIPT_TIMEOUT_S = 90.0
RECEIPT_POLL_S = 0.1

GAS_MARGIN_PERCENT = 120
"""Of the estimate: on Arbitrum part of it is the price of L1 data, which moves."""
FEE_MARGIN_PERCENT = 200
"""Of the base fee: six full blocks in a row."""

ZERO = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was deployed: addresses checksummed, the lenders None where there is none."""

    address: str
    owner: str
    balancer_vault: str | None
    aave_pool: str | None
    transaction: str
    block: int
    gas_used: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Deploys the executor with the key, the node and the flash lenders of the config, which "
        "become part of the contract. Costs gas. Prints the [executor] lines for the config."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Deploy and print where; 0, or a MevfastError."""
    config = load_config(args.config, deployed=False)
    if config.executor is not None:
        raise ConfigError(
            f"{args.config}: executor.address: expected none yet, was {config.executor.address}; "
            "take it out to deploy another one (withdraw from the old one first)"
        )
    deployment = asyncio.run(_run(config))
    if args.json:
        print(json.dumps(asdict(deployment)))
    else:
        print(f'[executor]\naddress = "{deployment.address}"')
        print(
            f"deployed in block {deployment.block} for {deployment.gas_used} gas; add the two "
            f"lines above to {args.config}",
            file=sys.stderr,
        )
    return 0


async def _run(config: Config) -> Deployment:
    assert config.key is not None  # load_config sees to it
    signer = load_signer(
        config.key.keystore, config.key.passphrase_credential, config.key.credential
    )
    node = config.node
    async with await Rpc.connect(node.url, request_timeout=node.request_timeout_s) as rpc:
        await check_chain_id(rpc, node.chain_id)
        return await deploy(rpc, signer, config.flash.balancer_vault, config.flash.aave_pool)


async def deploy_executor(
    rpc: Rpc, signer: Signer, balancer_vault: str | None, aave_pool: str | None
) -> str:
    """Checksummed address of a new executor; the rest as `deploy`."""
    return (await deploy(rpc, signer, balancer_vault, aave_pool)).address


async def deploy(
    rpc: Rpc, signer: Signer, balancer_vault: str | None, aave_pool: str | None
) -> Deployment:
    """Deploys an executor owned by `signer`, waits until it is mined, and checks it.

    Raises ConfigError for a lender without code; NodeError where the account cannot pay, the
    transaction reverts or is not mined within RECEIPT_TIMEOUT_S, or the contract is not as built;
    RpcError where the node refuses it.
    """
    await _check_lender(rpc, "balancer_vault", balancer_vault)
    await _check_lender(rpc, "aave_pool", aave_pool)
    code = load("Executor").creation(balancer_vault or ZERO, aave_pool or ZERO)
    transaction = await _transaction(rpc, signer, code)
    raw = sign_transaction(transaction, signer)
    sent = await rpc.request("eth_sendRawTransaction", ["0x" + raw.hex()])
    receipt = await _receipt(rpc, sent)
    expected = create_address(signer.address, transaction["nonce"])
    if int(receipt["status"], 16) != 1:
        raise NodeError(
            f"{rpc.url}: expected the executor's deployment to succeed, transaction {sent} "
            "reverted; the chain must know the opcodes of Cancun"
        )
    deployment = Deployment(
        expected,
        signer.address,
        balancer_vault and to_checksum_address(balancer_vault),
        aave_pool and to_checksum_address(aave_pool),
        sent,
        int(receipt["blockNumber"], 16),
        int(receipt["gasUsed"], 16),
    )
    await _verify(rpc, deployment)
    return deployment


async def _check_lender(rpc: Rpc, key: str, address: str | None) -> None:
    if address is None:
        return
    if await rpc.request("eth_getCode", [address, "latest"]) in ("0x", "", None):
        raise ConfigError(
            f"flash.{key}: expected a contract at {address}, the chain has none; correct the "
            "address or leave it out: it cannot be changed in a deployed executor"
        )


async def _transaction(rpc: Rpc, signer: Signer, code: bytes) -> dict[str, Any]:
    """The deployment, priced by the node; NodeError where the account cannot pay for it."""
    request = {"from": signer.address, "data": "0x" + code.hex()}
    balance = int(await rpc.request("eth_getBalance", [signer.address, "latest"]), 16)
    gas = int(await rpc.request("eth_estimateGas", [request]), 16) * GAS_MARGIN_PERCENT // 100
    head = await rpc.request("eth_getBlockByNumber", ["latest", False])
    try:
        tip = int(await rpc.request("eth_maxPriorityFeePerGas"), 16)
    except RpcError:  # not every node has it; where a tip matters, it does
        tip = 0
    max_fee = int(head["baseFeePerGas"], 16) * FEE_MARGIN_PERCENT // 100 + tip
    if balance < gas * max_fee:
        raise NodeError(
            f"{rpc.url}: expected at least {gas * max_fee} wei on {signer.address} to deploy the "
            f"executor, was {balance}; send it gas money first"
        )
    return {
        "type": 2,
        "chainId": int(await rpc.request("eth_chainId"), 16),
        "nonce": int(await rpc.request("eth_getTransactionCount", [signer.address, "pending"]), 16),
        "gas": gas,
        "maxFeePerGas": max_fee,
        "maxPriorityFeePerGas": tip,
        "data": code,
    }


async def _receipt(rpc: Rpc, transaction: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(RECEIPT_TIMEOUT_S):
            while True:
                receipt = await rpc.request("eth_getTransactionReceipt", [transaction])
                if receipt is not None:
                    return dict(receipt)
                await asyncio.sleep(RECEIPT_POLL_S)
    except TimeoutError:
        raise NodeError(
            f"{rpc.url}: expected transaction {transaction} to be mined within "
            f"{RECEIPT_TIMEOUT_S:g} s, it was not; look it up before you deploy again"
        ) from None


async def _verify(rpc: Rpc, deployment: Deployment) -> None:
    """NodeError unless the contract at the address answers as it was built."""
    expected = {
        "owner": deployment.owner,
        "balancerVault": deployment.balancer_vault or ZERO,
        "aavePool": deployment.aave_pool or ZERO,
    }
    for function, address in expected.items():
        call = {"to": deployment.address, "data": "0x" + load("Executor").call(function).hex()}
        answer = await rpc.request("eth_call", [call, "latest"])
        if answer != "0x" + to_address_bytes(address).rjust(32, b"\0").hex():
            raise NodeError(
                f"{rpc.url}: expected {function}() of the executor at {deployment.address} to be "
                f"{address}, was {answer}; do not use this contract"
            )
