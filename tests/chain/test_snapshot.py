"""`snapshot` on the embedded chain: the file holds what the pools' own getters tell."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mevfast import cli, market_file
from mevfast._pool import Pool as PoolState
from mevfast._pool import Quote
from mevfast.chain.rpc import Rpc
from mevfast.devnet.market import ENGINE_ACCOUNT, Pool, prepared
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.dex import market as dex
from mevfast.market_file import MarketFile
from tests.chain.engine_stage import SUSHI, V2, V3, move, pool_of
from tests.chain.executor_stage import Stage

pytestmark = pytest.mark.devnet

SYMBOLS = ("WETH", "USDC", "DAI")
WORDS = 1 << 8
"""Ticks, in spacings, that one word of a pool's bitmap shows."""
MAX_TICK = 887272


@pytest.fixture(scope="module")
def chain() -> Iterator[Stage]:
    state, _, market = prepared()
    with Anvil(load_state=state, block_time=None) as node:
        yield Stage(node, market)


@pytest.fixture
def stage(chain: Stage) -> Iterator[Stage]:
    """The chain as it was deployed, whatever the test before did to it."""
    before = chain.node.rpc("evm_snapshot")
    yield chain
    chain.node.rpc("evm_revert", before)


@pytest.fixture
def config(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config for the pools of three tokens."""
    (tmp_path / "mevfast-key").write_text(DEV_ACCOUNTS[ENGINE_ACCOUNT].key)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    market = stage.market
    factories = "".join(
        f'[[market.factory]]\nname = "{each.name}"\nkind = "{each.kind}"\n'
        f'address = "{each.address}"\n'
        + ("" if each.fee_pips is None else f"fee_pips = {each.fee_pips}\n")
        for each in market.factories
    )
    tokens = [stage.address(symbol) for symbol in SYMBOLS]
    path = tmp_path / "mevfast.toml"
    path.write_text(
        f'[node]\nurl = "{stage.node.ws_url}"\nchain_id = {market.chain_id}\n'
        f'[key]\ncredential = "mevfast-key"\n'
        f'[market]\nbase_token = "{market.weth}"\n'
        f'start_tokens = ["{tokens[1]}", "{market.weth}"]\nonly_tokens = {json.dumps(tokens)}\n'
        f'{factories}[search]\nmin_profit_wei = 1\n[flash]\nsources = ["flash_swap"]\n'
    )
    return path


Take = Callable[..., tuple[MarketFile, dict[str, Any]]]


@pytest.fixture
def take(config: Path, capsys: pytest.CaptureFixture[str]) -> Take:
    """Takes a snapshot by the command: the file read back, and what was said."""

    def run(name: str = "market.json", *more: str) -> tuple[MarketFile, dict[str, Any]]:
        path = str(config.parent / name)
        assert cli.main(["snapshot", "--config", str(config), "-o", path, "--json", *more]) == 0
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        return market_file.load(path), said

    return run


# ---- what the getters tell ----


def ticks_by_getters(stage: Stage, pool: Pool) -> list[tuple[int, int, int]]:
    last = MAX_TICK // pool.tick_spacing // WORDS
    found = []
    for word in range(-last - 1, last + 1):
        bits = stage.read(pool.address, "tickBitmap(int16)", ["uint256"], word)
        for bit in range(WORDS):
            if bits >> bit & 1:
                tick = (word * WORDS + bit) * pool.tick_spacing
                types = [
                    "uint128",
                    "int128",
                    *["uint256"] * 2,
                    "int56",
                    "uint160",
                    "uint32",
                    "bool",
                ]
                gross, net, *_ = stage.read(pool.address, "ticks(int24)", types, tick)
                found.append((tick, gross, net))
    return found


def state_by_getters(stage: Stage, pool: Pool) -> dict[str, Any]:
    """A pool's state, one plain getter after another."""
    if pool.kind == "uniswap_v2":
        types = ["uint112", "uint112", "uint32"]
        reserve0, reserve1, _ = stage.read(pool.address, "getReserves()", types)
        return {"fee_pips": pool.fee_pips, "reserve0": reserve0, "reserve1": reserve1}
    types = ["uint160", "int24", *["uint16"] * 3, "uint8", "bool"]
    price, tick, *_ = stage.read(pool.address, "slot0()", types)
    return {
        "fee_pips": stage.read(pool.address, "fee()", ["uint24"]),
        "tick_spacing": stage.read(pool.address, "tickSpacing()", ["int24"]),
        "sqrt_price_x96": price,
        "tick": tick,
        "liquidity": stage.read(pool.address, "liquidity()", ["uint128"]),
        "ticks": ticks_by_getters(stage, pool),
    }


def traded(stage: Stage) -> list[Pool]:
    tokens = {stage.address(symbol) for symbol in SYMBOLS}
    return [pool for pool in stage.market.pools if {pool.token0, pool.token1} <= tokens]


def hash_by_getters(stage: Stage) -> str:
    return market_file.hash_states(
        (
            pool.address.lower(),
            pool.kind,
            [pool.token0.lower(), pool.token1.lower()],
            PoolState(pool.kind, state_by_getters(stage, pool)).fields(),
        )
        for pool in traded(stage)
    )


# ---- the tests ----


def test_the_hash_is_that_of_what_the_getters_tell(stage: Stage, take: Take) -> None:
    move(stage, pool_of(stage, V3, ("WETH", "USDC")), "WETH", 50_000)
    move(stage, pool_of(stage, V2, ("WETH", "DAI")), "DAI", 20_000)
    market, said = take()
    assert {pool.kind for pool in market.pools} == {"uniswap_v2", "uniswap_v3"}
    assert {pool.address for pool in market.pools} == {
        pool.address.lower() for pool in traded(stage)
    }
    assert market.state_hash == said["state_hash"] == hash_by_getters(stage)
    for pool in traded(stage):
        if pool.kind == "uniswap_v3":  # gross liquidity is no part of the hash, but of the file
            [found] = [each for each in market.pools if each.address == pool.address.lower()]
            told = [list(tick) for tick in ticks_by_getters(stage, pool)]
            assert found.pool.fields()["ticks"] == told


def test_names_decimals_and_base_tokens_are_the_chains(stage: Stage, take: Take) -> None:
    market, said = take()
    assert {(token.symbol, token.address) for token in market.tokens} == {
        (symbol, stage.address(symbol).lower()) for symbol in SYMBOLS
    }
    for token in market.tokens:
        assert token.decimals == stage.read(token.address, "decimals()", ["uint8"])
    assert [token.symbol for token in market.base_tokens] == ["WETH", "USDC"]
    head = stage.node.rpc("eth_getBlockByNumber", "latest", False)
    assert (market.block, market.block_hash) == (int(head["number"], 16), head["hash"])
    assert market.chain_id == stage.market.chain_id
    assert said == {
        "file": market.path, "chain_id": market.chain_id, "block": str(market.block),
        "block_hash": market.block_hash, "tokens": len(SYMBOLS), "pools": len(market.pools),
        "by_kind": {
            kind: sum(pool.kind == kind for pool in market.pools)
            for kind in ("uniswap_v2", "uniswap_v3")
        },
        "left_out": said["left_out"], "state_hash": market.state_hash, "seconds": said["seconds"],
    }  # fmt: skip
    others = len(stage.market.pools) - len(market.pools)
    assert sum(said["left_out"].values()) == others  # every pool is in the file or counted
    venues = {each.name for each in stage.market.factories}
    assert {pool.venue for pool in market.pools} == venues


def test_a_block_of_before_is_read_as_it_was(stage: Stage, take: Take) -> None:
    before, _ = take()
    move(stage, pool_of(stage, V2, ("WETH", "USDC")), "WETH", 100_000)
    after, _ = take("after.json")
    again, _ = take("again.json.gz", "--block", str(before.block))
    assert after.state_hash != before.state_hash == again.state_hash
    assert (again.block, again.block_hash) == (before.block, before.block_hash)
    assert after.state_hash == hash_by_getters(stage)


def test_scan_finds_the_cycle_that_a_swap_opens(
    stage: Stage, take: Take, capsys: pytest.CaptureFixture[str]
) -> None:
    move(stage, pool_of(stage, SUSHI, ("WETH", "USDC")), "WETH", 300_000)
    market, _ = take()
    assert cli.main(["scan", market.path, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["scanned_pools"] == len(market.pools)
    moved = pool_of(stage, SUSHI, ("WETH", "USDC")).address.lower()
    best = answer["cycles"][0]
    assert moved in {hop["pool"] for hop in best["hops"]}
    amount = best["amount_in"]
    for hop in best["hops"]:
        # by `quote`, as a person would check it
        arguments = ["--market", market.path, "--pool", hop["pool"], "--in", hop["token_in"]]
        assert cli.main(["quote", *arguments, "--amount", amount, "--json"]) == 0
        amount = json.loads(capsys.readouterr().out)["amount_out"]
        assert amount == hop["amount_out"]
    assert int(amount) - int(best["amount_in"]) == int(best["profit"]) > 0


def test_the_state_after_a_swap_is_the_snapshot_after_it(stage: Stage, take: Take) -> None:
    before, _ = take()
    pool = pool_of(stage, V3, ("WETH", "USDC"))
    amount = stage.units("WETH", 30_000)
    move(stage, pool, "WETH", 30_000)
    after, _ = take("after.json")
    pools = []
    for each in before.pools:
        if each.address == pool.address.lower():
            symbols = [token.symbol for token in each.tokens]
            assert isinstance(each.pool.apply(symbols.index("WETH"), amount), Quote)
        pools.append(each)
    assert market_file.state_hash(pools) == after.state_hash


def test_what_the_file_keeps_of_a_pool_is_enough_to_read_it_again(stage: Stage, take: Take) -> None:
    taken, _ = take()
    move(stage, pool_of(stage, V2, ("WETH", "USDC")), "WETH", 100_000)
    later, _ = take("later.json")

    async def read_again() -> list[market_file.State]:
        async with await Rpc.connect(stage.node.ws_url) as rpc:
            records = [pool.record for pool in taken.pools]
            loaded = await dex.load(rpc, records, later.block)
        assert not loaded.failed
        return [
            (
                load.pool.name,
                load.pool.kind,
                ["0x" + token.hex() for token in load.pool.tokens],
                PoolState(load.pool.kind, load.state).fields(),
            )
            for load in loaded.loads
        ]

    assert market_file.hash_states(uvloop.run(read_again())) == later.state_hash


@pytest.mark.parametrize(
    ("old", "new", "end"),
    [
        ("chain_id = ", "chain_id = 9", ("expected chain id 9", 3)),
        ('name = "Uniswap V2"', 'name = "Uniswap V2"\nfrom_block = 99999999', ("", 0)),
        ("ws://", "ws://127.0.0.1:1/", ("the connection was refused", 3)),
    ],
)
def test_what_stands_in_the_way_is_said_and_no_file_is_left(
    config: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, end: tuple[str, int]
) -> None:
    message, code = end
    config.write_text(config.read_text().replace(old, new, 1))
    out = config.parent / "market.json"
    assert cli.main(["snapshot", "--config", str(config), "-o", str(out)]) == code
    captured = capsys.readouterr()
    assert out.exists() is (code == 0)
    if code:
        assert message in captured.err
    else:
        assert f"{out}: " in captured.out
        assert "state hash  0x" in captured.out
        assert "left out    " in captured.out


def test_wrong_arguments_are_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(config.parent / "market.json")
    arguments = ["snapshot", "--config", str(config), "-o", out]
    assert cli.main([*arguments, "--block", "99999999"]) == 3
    assert "--block: expected a block that the node has, was 99999999" in capsys.readouterr().err
    assert cli.main([*arguments, "--block", "x"]) == 2
    assert "--block: expected an integer" in capsys.readouterr().err
    assert cli.main([*arguments[:-1], str(config.parent / "none" / "market.json")]) == 2
    captured = capsys.readouterr()
    assert "expected a folder that can be written to" in captured.err
    assert "pools" not in captured.err  # said before anything was read


def test_a_token_without_decimals_leaves_its_pools_out(
    stage: Stage, config: Path, take: Take
) -> None:
    whole, _ = take()
    # code that answers nothing to anybody, in DAI's place: its pairs hold their reserves themselves
    stage.node.rpc("anvil_setCode", stage.address("DAI"), "0x00")
    market, said = take("rest.json")
    dai = stage.address("DAI").lower()
    with_dai = [pool for pool in whole.pools if dai in {token.address for token in pool.tokens}]
    assert with_dai
    assert said["left_out"]["a token without decimals"] == len(with_dai)
    assert len(market.pools) == len(whole.pools) - len(with_dai)
    assert dai not in {token.address for token in market.tokens}
    rest = tuple(pool for pool in whole.pools if pool not in with_dai)
    assert market.state_hash == market_file.state_hash(rest)
    assert dataclasses.replace(market, path="").base_tokens == whole.base_tokens
    config.write_text(
        config.read_text().replace(
            'start_tokens = ["', f'start_tokens = ["{stage.address("DAI")}", "'
        )
    )
    out = str(config.parent / "none.json")
    assert cli.main(["snapshot", "--config", str(config), "-o", out]) == 2
    assert not Path(out).exists()
