"""The same chain through web3.py: an ABI and receipts read by somebody else's code."""

import asyncio

import pytest
from web3 import HTTPProvider, Web3
from web3.logs import DISCARD

from mevfast._tx import Signer
from mevfast.chain.rpc import Rpc
from mevfast.devnet.market import ENGINE_ACCOUNT
from mevfast.devnet.net import Devnet
from mevfast.execution.artifacts import load
from mevfast.execution.deploy import deploy_executor
from mevfast.execution.receipts import balance_changes

pytestmark = pytest.mark.devnet

AMOUNTS = (3 * 10**17, 1)
TOKEN = [
    {
        "type": "function",
        "name": "transfer",
        "stateMutability": "nonpayable",
        "inputs": [{"name": "to", "type": "address"}, {"name": "value", "type": "uint256"}],
        "outputs": [{"name": "", "type": "bool"}],
    },
    {
        "type": "function",
        "name": "deposit",
        "stateMutability": "payable",
        "inputs": [],
        "outputs": [],
    },
    {
        "type": "event",
        "name": "Transfer",
        "anonymous": False,
        "inputs": [
            {"name": "src", "type": "address", "indexed": True},
            {"name": "dst", "type": "address", "indexed": True},
            {"name": "wad", "type": "uint256", "indexed": False},
        ],
    },
]


def test_web3_reads_the_executor_and_its_receipts_as_we_do() -> None:
    with Devnet(traders=False) as net:
        signer = Signer(net.signer_key(ENGINE_ACCOUNT))

        async def deploy() -> str:
            async with await Rpc.connect(net.ws_url) as rpc:
                return await deploy_executor(
                    rpc, signer, net.market.balancer_vault, net.market.aave_pool
                )

        executor = asyncio.run(deploy())
        chain = Web3(HTTPProvider(net.http_url))
        contract = chain.eth.contract(Web3.to_checksum_address(executor), abi=load("Executor").abi)
        assert contract.functions.owner().call() == signer.address
        assert contract.functions.balancerVault().call() == net.market.balancer_vault
        assert contract.functions.aavePool().call() == net.market.aave_pool

        weth = chain.eth.contract(Web3.to_checksum_address(net.market.weth), abi=TOKEN)
        payer = {"from": chain.eth.accounts[5]}
        sent = weth.functions.deposit().transact({**payer, "value": sum(AMOUNTS)})
        chain.eth.wait_for_transaction_receipt(sent, timeout=20)
        for amount in AMOUNTS:
            sent = weth.functions.transfer(executor, amount).transact(payer)
            receipt = chain.eth.wait_for_transaction_receipt(sent, timeout=20)
            [event] = weth.events.Transfer().process_receipt(receipt, errors=DISCARD)
            assert event["args"]["wad"] == amount
            raw = chain.provider.make_request("eth_getTransactionReceipt", [sent.to_0x_hex()])
            changes = balance_changes(raw["result"]["logs"], executor)
            assert changes == {net.market.weth.lower(): amount}
