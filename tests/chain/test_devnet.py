"""The embedded chain: what is deployed is as said, moves as said, and leaves nothing behind."""

import argparse
import functools
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from mevfast.devnet import command, contracts, market, npm
from mevfast.devnet.contracts import Contract, Writer
from mevfast.devnet.decisions import Action, decisions, sell_token0_probability
from mevfast.devnet.deploy import AAVE_PREMIUM_BPS, V3_TICK_SPACING
from mevfast.devnet.market import DEPLOYER_ACCOUNT, ENGINE_ACCOUNT, TRADER_ACCOUNTS, Market
from mevfast.devnet.net import Devnet
from mevfast.devnet.node import BASE_FEE_WEI, CHAIN_ID, DEV_ACCOUNTS, Anvil
from mevfast.errors import DevnetError, RpcError

pytestmark = pytest.mark.devnet

ROOT = Path(__file__).resolve().parents[2]
PAIR_CREATED = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
POOL_CREATED = "0x783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
V2_SWAP = "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
V3_SWAP = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
V3_MINT = "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
OWN = DEV_ACCOUNTS[5].address  # neither the engine's, nor a trader's, nor the deployer's


@pytest.fixture(scope="module")
def net():
    """The market with nobody trading; each transaction is mined at once."""
    with Devnet(traders=False, block_time=0) as running:
        yield running


@pytest.fixture
def rpc(net):
    client = net.node.client()
    snapshot = client.call("evm_snapshot")
    yield client
    client.call("evm_revert", snapshot)


def _logs(rpc, topic, **query):
    return rpc.call(
        "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "topics": [topic], **query}
    )


def _words(log):
    data = bytes.fromhex(log["data"][2:])
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def _signed(word):
    return word - (1 << 256) if word >> 255 else word


def _contract(address, artifact):
    return Contract(address, npm.artifact(artifact).abi)


def _alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _within(condition, seconds=30.0):
    """Whether it comes true: on an idle machine at once, and no test is about how soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# ---- what is deployed


def test_factories_know_exactly_the_pools_of_the_record(net, rpc):
    by_factory = defaultdict(set)
    for pool in net.market.pools:
        by_factory[pool.factory].add(pool.address.lower())
    assert len(net.market.pools) >= 60
    for factory in net.market.factories:
        v3 = factory.kind == "uniswap_v3"
        logs = _logs(rpc, POOL_CREATED if v3 else PAIR_CREATED, address=factory.address)
        created = {"0x" + hex(_words(log)[1 if v3 else 0])[2:].zfill(40) for log in logs}
        assert created == by_factory[factory.address]
        assert len(created) >= 20


def test_v3_pools_have_every_fee_with_its_spacing(net, rpc):
    pools = [pool for pool in net.market.pools if pool.kind == "uniswap_v3"]
    assert {pool.fee_pips for pool in pools} == {100, 500, 3000, 10000}
    reader = Writer(rpc, OWN)
    views = [(_contract(p.address, "UniswapV3Pool"), n, ()) for p in pools for n in (
        "fee", "tickSpacing", "token0", "token1")]  # fmt: skip
    answers = reader.read_many(views)
    for index, pool in enumerate(pools):
        fee, spacing, token0, token1 = answers[4 * index : 4 * index + 4]
        assert (fee, spacing) == (pool.fee_pips, pool.tick_spacing)
        assert spacing == V3_TICK_SPACING[fee]
        assert (token0, token1) == (pool.token0.lower(), pool.token1.lower())


def test_every_v3_pool_has_several_positions_of_different_width(net, rpc):
    widths = defaultdict(set)
    for log in _logs(rpc, V3_MINT):
        lower, upper = (_signed(int(topic, 16)) for topic in log["topics"][2:4])
        widths[log["address"]].add(upper - lower)
    for pool in net.market.pools:
        if pool.kind == "uniswap_v3":
            assert len(widths[pool.address.lower()]) >= 4, pool


def test_tokens_are_eight_with_their_decimals(net, rpc):
    tokens = net.market.tokens
    assert len(tokens) == 8 and {token.decimals for token in tokens} == {6, 8, 18}
    assert tokens[0].address == net.market.weth
    reader = Writer(rpc, OWN)
    for token in tokens:
        contract = _contract(token.address, "MintableERC20")
        assert reader.read(contract, "symbol") == token.symbol
        assert reader.read(contract, "decimals") == token.decimals


def test_prices_of_pools_agree_at_the_start(net, rpc):
    reader = Writer(rpc, OWN)
    usd = {t.address: t.price_usd_e8 / 10 ** (8 + t.decimals) for t in net.market.tokens}
    for pool in net.market.pools:
        expected = usd[pool.token0] / usd[pool.token1]
        if pool.kind == "uniswap_v3":
            slot0 = reader.read(_contract(pool.address, "UniswapV3Pool"), "slot0")
            price = (slot0[0] / 2**96) ** 2
        else:
            reserve0, reserve1, _ = reader.read(
                _contract(pool.address, "UniswapV2Pair"), "getReserves"
            )
            price = reserve1 / reserve0
        assert price == pytest.approx(expected, rel=0.001), pool


def test_v3_swaps_cross_ticks_where_the_positions_end(net, rpc):
    """After a large swap the pool's liquidity is that of the positions around the new tick."""
    pool = max(
        (p for p in net.market.pools if p.kind == "uniswap_v3" and p.token0 != net.market.weth),
        key=lambda p: (net.market.weth in (p.token0, p.token1), p.fee_pips == 500),
    )
    contract = _contract(pool.address, "UniswapV3Pool")
    writer = Writer(rpc, DEV_ACCOUNTS[TRADER_ACCOUNTS[0]].address)
    before = writer.read(contract, "liquidity")
    router = _contract(net.market.factory(pool.factory).router, "SwapRouter")
    held = writer.read(_contract(pool.token0, "MintableERC20"), "balanceOf", pool.address)
    swap = (pool.token0, pool.token1, pool.fee_pips, writer.sender, 2**40, held // 2, 0, 0)
    writer.send(router, "exactInputSingle", swap)
    writer.flush()
    after, tick = writer.read(contract, "liquidity"), writer.read(contract, "slot0")[1]
    expected = 0
    for log in _logs(rpc, V3_MINT, address=pool.address):
        lower, upper = (_signed(int(topic, 16)) for topic in log["topics"][2:4])
        expected += _words(log)[1] if lower <= tick < upper else 0
    assert after == expected and after < before


def test_aave_lends_for_five_basis_points(net, rpc):
    asset = next(t for t in net.market.tokens if t.symbol == "USDC")
    token = _contract(asset.address, "MintableERC20")
    pool = _contract(net.market.aave_pool, "Pool")
    writer = Writer(rpc, OWN)
    provider = writer.read(pool, "ADDRESSES_PROVIDER")
    receiver = writer.deploy("MockFlashLoanSimpleReceiver", contracts.to_checksum_address(provider))
    writer.flush()
    amount = 1_000_000 * 10**6
    supply = writer.read(token, "totalSupply")
    writer.send(pool, "flashLoanSimple", receiver.address, asset.address, amount, b"", 0)
    writer.flush()
    premium = writer.read(token, "totalSupply") - supply  # the receiver mints what it owes
    assert premium == amount * AAVE_PREMIUM_BPS // 10_000
    assert {net.market.weth, asset.address} <= set(net.market.aave_assets)


def test_balancer_vault_holds_every_token(net, rpc):
    reader = Writer(rpc, OWN)
    vault = _contract(net.market.balancer_vault, "Vault")
    tokens, balances, _ = reader.read(
        vault, "getPoolTokens", bytes.fromhex(net.market.balancer_pool_id[2:])
    )
    assert set(tokens) == {token.address.lower() for token in net.market.tokens}
    for address, balance in zip(tokens, balances, strict=True):
        token = net.market.token(contracts.to_checksum_address(address))
        held = reader.read(
            _contract(address, "MintableERC20"), "balanceOf", net.market.balancer_vault
        )
        dollars = balance * token.price_usd_e8 / 10 ** (8 + token.decimals)
        assert held == balance and dollars == pytest.approx(2_000_000, rel=0.001)


def test_the_engines_account_is_fresh(net, rpc):
    address = DEV_ACCOUNTS[ENGINE_ACCOUNT].address
    assert int(rpc.call("eth_getTransactionCount", address, "latest"), 16) == 0
    assert int(rpc.call("eth_getBalance", address, "latest"), 16) == 10_000 * 10**18
    reader = Writer(rpc, OWN)
    for token in net.market.tokens:
        contract = _contract(token.address, "MintableERC20")
        assert reader.read(contract, "balanceOf", address) == 0
    assert ENGINE_ACCOUNT not in (*TRADER_ACCOUNTS, DEPLOYER_ACCOUNT)


def test_accounts_are_those_of_the_node(net, rpc):
    addresses = [account.address.lower() for account in DEV_ACCOUNTS]
    assert rpc.call("eth_accounts") == addresses
    from eth_keys import keys

    for account in DEV_ACCOUNTS:
        assert keys.PrivateKey(bytes(account.key_bytes())).public_key.to_checksum_address() == (
            account.address
        )


def test_record_survives_its_file_and_refuses_another(net):
    assert Market.from_json(net.market.to_json()) == net.market
    for text in ("", "[]", "{}", '{"chain_id": 1}'):
        with pytest.raises(DevnetError, match="expected a devnet market"):
            Market.from_json(text)


def test_a_reverting_set_up_transaction_is_named(net, rpc):
    writer = Writer(rpc, OWN)
    token = _contract(net.market.tokens[1].address, "MintableERC20")
    writer.send(token, "transfer", DEV_ACCOUNTS[6].address, 1)  # it has none
    with pytest.raises(DevnetError, match=f"set-up: transfer on {token.address} reverted"):
        writer.flush()


# ---- the node


def test_second_start_is_quick(net, capfd):
    began = time.monotonic()
    with Devnet(block_time=0.25) as again:
        ready = time.monotonic() - began
        first = int(again.node.rpc("eth_blockNumber"), 16)
        assert _within(lambda: int(again.node.rpc("eth_blockNumber"), 16) >= first + 4)
        mined = time.monotonic() - began - ready
        head = again.node.rpc("eth_getBlockByNumber", "latest", False)
        assert abs(int(head["timestamp"], 16) - time.time()) < 10  # not the state's own age
        assert again.node.port != net.node.port
    with capfd.disabled():
        print(f"\nsecond start: {ready:.2f} s to a loaded market, 4 blocks in {mined:.2f} s")


def test_chain_id_and_continuity_of_blocks(net, rpc):
    assert int(rpc.call("eth_chainId"), 16) == CHAIN_ID == net.market.chain_id
    rpc.call("evm_mine")
    number = net.market.block + 1
    below, above = (rpc.call("eth_getBlockByNumber", hex(n), False) for n in (number - 1, number))
    assert above["parentHash"] == below["hash"]


def test_only_history_keeps_older_states():
    """Why history is the default: an engine reads its start state at a block it names."""
    for history in (True, False):
        with Devnet(traders=False, block_time=None, history=history) as net:
            rpc = net.node.client()
            for _ in range(3):
                rpc.call("evm_mine")
            read = ("eth_getBalance", OWN, hex(net.market.block + 2))
            if history:
                assert int(rpc.call(*read), 16) == 10_000 * 10**18
            else:
                with pytest.raises(RpcError, match="BlockOutOfRange"):
                    rpc.call(*read)
                assert len(_logs(rpc, PAIR_CREATED)) == 42  # logs stay


def test_taken_port_is_one_clear_error(net):
    with pytest.raises(DevnetError, match=r"anvil ended by itself, exit code 1: .*in use"):
        Anvil(port=net.node.port).start()


def test_another_chain_id_and_use_before_start_are_errors():
    with pytest.raises(DevnetError, match="not running"):
        Anvil().rpc("eth_chainId")
    node = Anvil(chain_id=7)
    node.chain_id = 8
    with pytest.raises(DevnetError, match="expected chain id 8, was 7"):
        node.start()
    assert not node.running


def test_a_thread_may_not_start_it():
    caught = []

    def start():
        try:
            Anvil().start()
        except DevnetError as error:
            caught.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert caught == ["anvil: expected to be started from the main thread"]


def test_stop_leaves_nothing(capfd):
    net = Devnet(seed=3).start()
    pids = _children(os.getpid())
    mine = [pid for pid in pids if pid in (net.node.pid, net._traders.process.pid)]
    assert len(mine) == 2 and net.traders_running
    began = time.monotonic()
    net.stop()
    took = time.monotonic() - began
    assert not any(map(_alive, mine))
    net.stop()
    with capfd.disabled():
        print(f"\nstopped in {took:.2f} s")


def test_a_node_that_dies_is_noticed():
    with Devnet(traders=False) as net:
        net.check()
        os.kill(net.node.pid, signal.SIGKILL)
        assert _within(lambda: not net.node.running)  # its threads end one after another
        with pytest.raises(DevnetError, match="anvil ended by itself, exit code -9"):
            net.check()


# ---- the traders


def test_decisions_repeat_with_the_seed(net):
    first, again, other = (
        list(itertools.islice(decisions(net.market, seed, 8.0), 500)) for seed in (11, 11, 12)
    )
    assert first == again and first != other
    assert sum(d.wait_s for d in first) == pytest.approx(500 / 8.0, rel=0.2)
    assert {d.action for d in first} == set(Action)
    assert {d.account for d in first} == set(TRADER_ACCOUNTS)
    assert {d.pool.factory for d in first} == {f.address for f in net.market.factories}


def test_traders_lean_towards_the_reference():
    assert sell_token0_probability(2.0, 2.0) == 0.5
    assert sell_token0_probability(1.02, 1.0) > 0.95
    assert sell_token0_probability(0.98, 1.0) < 0.05
    assert 0.0 <= sell_token0_probability(1e-9, 1.0) < sell_token0_probability(1e9, 1.0) <= 1.0


def _v2_exact(reserve_in, reserve_out, amount_in, amount_out):
    """Exact in: getAmountOut of the input. Exact out: getAmountIn of the output."""
    with_fee = amount_in * 997
    out = with_fee * reserve_out // (reserve_in * 1000 + with_fee)
    needed = reserve_in * amount_out * 1000 // ((reserve_out - amount_out) * 997) + 1
    return out == amount_out or needed == amount_in


def test_traders_trade_at_their_rate_and_every_v2_swap_is_an_exact_quote(capfd):
    rate, enough = 20.0, 150
    with Devnet(seed=5, swaps_per_second=rate) as net:
        rpc = net.node.client()
        swapped = functools.partial(_logs, rpc, [V2_SWAP, V3_SWAP], fromBlock=hex(net.market.block))
        assert _within(swapped)
        began = time.monotonic()
        assert _within(lambda: len(swapped()) >= enough, 120.0)
        seconds = time.monotonic() - began
        net.check()
        net.stop_traders()
        assert _within(lambda: int(rpc.call("txpool_status")["pending"], 16) == 0)
        latest = int(rpc.call("eth_blockNumber"), 16)
        receipts = [
            receipt
            for number in range(net.market.block + 1, latest + 1)
            for receipt in rpc.call("eth_getBlockReceipts", hex(number))
        ]
        logs = rpc.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
        base_fee = int(rpc.call("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    traders = {DEV_ACCOUNTS[index].address.lower() for index in TRADER_ACCOUNTS}
    assert {receipt["from"] for receipt in receipts} == traders
    reverted = sum(receipt["status"] != "0x1" for receipt in receipts)
    swaps = _check_swaps(net.market, logs)
    with capfd.disabled():
        print(f"\n{len(receipts)} transactions, {reverted} reverted, swaps {dict(swaps)}")
    assert reverted == 0
    assert enough <= len(receipts) < rate * (seconds + 3) * 1.5
    assert swaps["v2"] > 10 and swaps["v3"] > 10 and swaps["v3 to another liquidity"] > 0
    assert BASE_FEE_WEI // 4 < base_fee <= BASE_FEE_WEI


def _check_swaps(record, logs):
    """Follows reserves through all logs and checks each V2 swap on the state before it."""
    reserves, before, liquidity = {}, {}, {}
    counts = defaultdict(int)
    pairs = {pool.address.lower() for pool in record.pools if pool.kind == "uniswap_v2"}
    for log in logs:
        address, topic, words = log["address"], log["topics"][0], _words(log)
        if topic == SYNC:
            before[address], reserves[address] = reserves.get(address), tuple(words)
        elif topic == V2_SWAP and address in pairs:
            in0, in1, out0, out1 = words
            old0, old1 = before[address]
            if in0:
                assert in1 == out0 == 0 and _v2_exact(old0, old1, in0, out1), log
            else:
                assert out1 == 0 and _v2_exact(old1, old0, in1, out0), log
            counts["v2"] += 1
        elif topic == V3_SWAP:
            counts["v3"] += 1
            if liquidity.setdefault(address, words[3]) != words[3]:
                counts["v3 to another liquidity"] += 1
            liquidity[address] = words[3]
    return counts


# ---- the end of the parent


def _run(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_nothing_survives_a_killed_parent():
    parent = _run(
        "import time\nfrom mevfast.devnet.net import Devnet\n"
        "net = Devnet().start()\n"
        "print(net.node.pid, net._traders.process.pid, flush=True)\ntime.sleep(60)"
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    try:
        assert len(pids) == 2 and all(map(_alive, pids))
    finally:
        parent.kill()
        parent.communicate()
    assert _within(lambda: not any(map(_alive, pids)))


COMMAND = (
    "import argparse, sys\nfrom mevfast.devnet import command\n"
    "parser = argparse.ArgumentParser()\ncommand.configure(parser)\n"
    "sys.exit(command.run(parser.parse_args({arguments!r})))"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_tells_where_it_runs_and_stops_on_a_signal(number):
    process = _run(COMMAND.format(arguments=["--seed", "2"]))
    lines = list(itertools.takewhile(lambda s: "stop with" not in s, process.stdout))
    text = "".join(lines)
    pids = _children(process.pid)
    assert re.search(r"ws://127\.0\.0\.1:\d+", text) and str(CHAIN_ID) in text
    assert DEV_ACCOUNTS[ENGINE_ACCOUNT].address in text and "USDC" in text and "0x" in text
    assert len(pids) == 2
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in stderr
    assert not any(map(_alive, pids))


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--swaps-per-second", "0"], ["--block-time", "-1"]]
)
def test_command_refuses_bad_options(arguments, capsys):
    parser = argparse.ArgumentParser()
    command.configure(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
    assert "expected" in capsys.readouterr().err


# ---- the cache


def test_changed_source_or_pin_is_another_state(monkeypatch):
    current = market.state_hash()
    assert market.state_hash() == current
    name, pin = next(iter(npm.PINS.items()))
    monkeypatch.setattr(npm, "PINS", {**npm.PINS, name: replace(pin, version="9.9.9")})
    assert market.state_hash() != current
    monkeypatch.undo()
    monkeypatch.setattr(market, "_SOURCES", market._SOURCES[1:])
    assert market.state_hash() != current


def test_create_address_is_the_chains(net, rpc):
    """Nonces 0, 127, 128 and 256 change the length of their RLP."""
    for nonce in (0, 0x7F, 0x80, 0x100):
        rpc.call("anvil_setNonce", OWN, hex(nonce))
        sent = rpc.call(
            "eth_sendTransaction",
            {"from": OWN, "data": "0x00", "nonce": hex(nonce), "gas": "0x20000"},
        )
        rpc.call("evm_mine")
        created = rpc.call("eth_getTransactionReceipt", sent)["contractAddress"]
        assert created == contracts.create_address(OWN, nonce).lower()
