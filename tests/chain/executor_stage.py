"""The stage of the contract tests: the embedded market, mined transaction by transaction.

Holds no test. Quotes come from the protocols' own quoters on the chain, never from the engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from contracts.build import compile_sources
from mevfast.devnet.market import DEPLOYER_ACCOUNT, TRADER_ACCOUNTS, Market, Pool, prepared
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.errors import RpcError
from mevfast.execution.artifacts import Contract, load

OWN, FLASH_SWAP, BALANCER, AAVE = range(4)
FUNDINGS = {OWN: "own", FLASH_SWAP: "flash_swap", BALANCER: "balancer", AAVE: "aave"}
KINDS = {"uniswap_v2": 1, "uniswap_v3": 2}

OWNER = DEV_ACCOUNTS[0].address
STRANGER = DEV_ACCOUNTS[5].address
TRADER = DEV_ACCOUNTS[TRADER_ACCOUNTS[0]].address
DEPLOYER = DEV_ACCOUNTS[DEPLOYER_ACCOUNT].address
NOBODY = "0x" + "00" * 20

GAS = 20_000_000
FOREVER = 2**63
WETH_UNIT = 10**18

TEST_SOURCES = Path(__file__).resolve().parents[2] / "contracts" / "test"


def selector(signature: str) -> bytes:
    """The four bytes that a call begins with."""
    return bytes(keccak(text=signature)[:4])


def calldata(signature: str, *arguments: object) -> bytes:
    """Call data from a signature without tuples inside, as `transfer(address,uint256)`."""
    inside = signature[signature.index("(") + 1 : -1]
    types = inside.split(",") if inside else []
    return selector(signature) + encode(types, arguments)


def hop_word(pool: str, kind: int, zero_for_one: bool, fee_pips: int = 0) -> int:
    """A hop as the executor reads it."""
    return int(pool, 16) | fee_pips << 160 | int(zero_for_one) << 184 | kind << 192


def route_data(tokens: Sequence[str], hops: Sequence[int]) -> bytes:
    """What a lender is given to hand back: the input token of each hop, and the hops."""
    return encode(["address[]", "uint256[]"], [tokens, hops])


def swap_data(token: str, amount: int, route: bytes = b"") -> bytes:
    """What a pool is given to hand back: what it will be paid, and the hops behind it."""
    return encode(["address", "uint256", "bytes"], [token, amount, route])


@cache
def props() -> dict[str, Contract]:
    """The contracts of contracts/test, compiled once a session."""
    sources = {path.name: path.read_text() for path in TEST_SOURCES.glob("*.sol")}
    return {
        name: Contract(name, tuple(parts["abi"]), bytes.fromhex(parts["bytecode"]))
        for name, parts in compile_sources(sources)[1].items()
    }


@dataclass(frozen=True)
class Cycle:
    """Pools to trade through in order; `symbols[i]` is the input of hop i."""

    symbols: tuple[str, ...]
    pools: tuple[Pool, ...]


@dataclass
class Stage:
    """One node with the market on it, and the contracts that tests put there."""

    node: Anvil
    market: Market

    # ---- transactions ----

    def call(self, to: str | None, data: bytes, sender: str = OWNER) -> bytes:
        """What a call answers at the latest block; RpcError where it reverts."""
        request = {"from": sender, "data": "0x" + data.hex(), "gas": hex(GAS)}
        if to is not None:
            request["to"] = to
        answer = self.node.rpc("eth_call", request, "latest")
        return bytes.fromhex(answer[2:])

    def read(self, to: str, signature: str, types: Sequence[str], *arguments: object) -> Any:
        """The decoded answer of a view function, a tuple where it returns several values."""
        values = decode(types, self.call(to, calldata(signature, *arguments)))
        return values[0] if len(values) == 1 else values

    def mine(self, to: str | None, data: bytes, sender: str = OWNER) -> dict[str, Any]:
        """The receipt of a mined transaction, whatever its status."""
        request = {"from": sender, "data": "0x" + data.hex(), "gas": hex(GAS)}
        if to is not None:
            request["to"] = to
        sent = self.node.rpc("eth_sendTransaction", request)
        self.node.rpc("evm_mine")
        return dict(self.node.rpc("eth_getTransactionReceipt", sent))

    def send(self, to: str | None, data: bytes, sender: str = OWNER) -> dict[str, Any]:
        """The receipt of a transaction that must succeed."""
        receipt = self.mine(to, data, sender)
        if int(receipt["status"], 16) != 1:
            raise AssertionError(f"reverted: {self.refusal(to, data, sender).hex()}")
        return receipt

    def refusal(self, to: str | None, data: bytes, sender: str = OWNER) -> bytes:
        """Revert data of a call that must revert, both when called and when mined."""
        with pytest.raises(RpcError) as caught:
            self.call(to, data, sender)
        assert int(self.mine(to, data, sender)["status"], 16) == 0
        return bytes.fromhex(str(caught.value.data).removeprefix("0x"))

    def create(self, code: bytes, sender: str = OWNER) -> str:
        """Address of a new contract."""
        return str(self.send(None, code, sender)["contractAddress"])

    # ---- contracts ----

    def create_prop(self, name: str) -> str:
        """Address of a new contract of contracts/test."""
        return self.create(props()[name].bytecode)

    def executor(self, vault: str | None = None, aave: str | None = None) -> str:
        """A new executor of OWNER, with the market's lenders unless others are named."""
        return self.create(
            load("Executor").creation(
                self.market.balancer_vault if vault is None else vault,
                self.market.aave_pool if aave is None else aave,
            )
        )

    # ---- tokens and prices ----

    def address(self, symbol: str) -> str:
        """Address of a token of the market."""
        return next(token.address for token in self.market.tokens if token.symbol == symbol)

    def units(self, symbol: str, usd: int) -> int:
        """So many dollars' worth of a token, at deployment."""
        token = self.market.token(self.address(symbol))
        return usd * 10**8 * 10**token.decimals // token.price_usd_e8

    def balance(self, token: str, account: str) -> int:
        """Balance in raw token units."""
        return int(self.read(token, "balanceOf(address)", ["uint256"], account))

    def give(self, token: str, account: str, amount: int) -> None:
        """A transfer from the trader, who has plenty."""
        self.send(token, calldata("transfer(address,uint256)", account, amount), TRADER)

    def quote(self, pool: Pool, token_in: str, amount: int) -> int:
        """Output of an exact input, by the router or quoter of the pool's protocol."""
        if pool.kind == "uniswap_v3":
            token_out = pool.token1 if token_in == pool.token0 else pool.token0
            types = "(address,address,uint256,uint24,uint160)"
            order = (token_in, token_out, amount, pool.fee_pips, 0)
            data = selector(f"quoteExactInputSingle({types})") + encode([types], [order])
            return int(decode(["uint256"], self.call(self.market.quoter, data)[:32])[0])
        reserves = self.read(pool.address, "getReserves()", ["uint112", "uint112"])
        if token_in != pool.token0:
            reserves = reserves[::-1]
        router = self.market.factory(pool.factory).router
        signature = "getAmountOut(uint256,uint256,uint256)"
        return int(self.read(router, signature, ["uint256"], amount, *reserves))

    def trade(self, pool: Pool, token_in: str, amount: int) -> None:
        """A swap by the trader, around the executor."""
        zero_for_one = token_in == pool.token0
        if pool.kind == "uniswap_v3":
            token_out = pool.token1 if zero_for_one else pool.token0
            types = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
            order = (token_in, token_out, pool.fee_pips, TRADER, FOREVER, amount, 0, 0)
            data = selector(f"exactInputSingle({types})") + encode([types], [order])
            self.send(self.market.factory(pool.factory).router, data, TRADER)
            return
        out = self.quote(pool, token_in, amount)
        self.give(token_in, pool.address, amount)
        amounts = (0, out) if zero_for_one else (out, 0)
        signature = "swap(uint256,uint256,address,bytes)"
        self.send(pool.address, calldata(signature, *amounts, TRADER, b""), TRADER)

    def pair_with_weth(self, factory: int, token: str, weth_amount: int) -> str:
        """A new pair of a V2 factory of the market: WETH with 10**12 of a mintable test token."""
        weth = self.address("WETH")
        maker = self.market.factories[factory].address
        self.send(maker, calldata("createPair(address,address)", weth, token))
        pair = str(self.read(maker, "getPair(address,address)", ["address"], weth, token))
        self.give(weth, pair, weth_amount)
        self.send(token, calldata("mint(address,uint256)", pair, 10**12))
        self.send(pair, calldata("mint(address)", OWNER))
        return pair

    # ---- cycles ----

    def pools(self, symbol_a: str, symbol_b: str, kind: str) -> list[Pool]:
        """Pools of a pair and kind in the market's order, but V3's finest spacing last.

        Where liquidity ends, that one walks thousands of empty bitmap words.
        """
        pair = {self.address(symbol_a), self.address(symbol_b)}
        pools = [p for p in self.market.pools if p.kind == kind and {p.token0, p.token1} == pair]
        return sorted(pools, key=lambda pool: pool.tick_spacing == 1)

    def cycle(self, symbols: tuple[str, ...], kinds: Sequence[str]) -> Cycle:
        """Different pools of the given kinds around the symbols."""
        chosen: list[Pool] = []
        for i, kind in enumerate(kinds):
            offered = self.pools(symbols[i], symbols[(i + 1) % len(symbols)], kind)
            chosen.append(next(pool for pool in offered if pool not in chosen))
        return Cycle(symbols, tuple(chosen))

    def hops(self, cycle: Cycle) -> list[int]:
        """The words of a cycle."""
        return [
            hop_word(
                pool.address,
                KINDS[pool.kind],
                self.address(symbol) == pool.token0,
                pool.fee_pips if pool.kind == "uniswap_v2" else 0,
            )
            for symbol, pool in zip(cycle.symbols, cycle.pools, strict=True)
        ]

    def tokens(self, cycle: Cycle) -> list[str]:
        """Input token of each hop."""
        return [self.address(symbol) for symbol in cycle.symbols]

    def open_gap(self, cycle: Cycle, amount: int) -> None:
        """Makes an input profitable: sells the second token to the first pool until 1 % is won."""
        symbol = cycle.symbols[1]
        for _ in range(30):
            if self.output(cycle, amount) > amount + amount // 100:
                return
            self.trade(cycle.pools[0], self.address(symbol), self.units(symbol, 100_000))
        raise AssertionError(f"no gain from {cycle.symbols}: the market is too deep for the trader")

    def output(self, cycle: Cycle, amount: int) -> int:
        """What the protocols' own quoters say the cycle returns."""
        for symbol, pool in zip(cycle.symbols, cycle.pools, strict=True):
            amount = self.quote(pool, self.address(symbol), amount)
        return amount

    def fee(self, funding: int, amount: int) -> int:
        """What the lender takes; Aave rounds half up."""
        if funding != AAVE:
            return 0
        bps = self.read(self.market.aave_pool, "FLASHLOAN_PREMIUM_TOTAL()", ["uint128"])
        return (amount * int(bps) + 5000) // 10000


def execute_data(
    token: str,
    amount: int,
    hops: Sequence[int],
    *,
    funding: int = OWN,
    min_profit: int = 0,
    deadline: int = FOREVER,
) -> bytes:
    """Call data of `execute`."""
    terms = deadline << 168 | funding << 160 | int(token, 16)
    words = [*hops, *[0] * (4 - len(hops))]
    return load("Executor").call("execute", terms, amount << 128 | min_profit, words)


def reason(data: bytes) -> str:
    """The executor's error in words."""
    return load("Executor").error(data)


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    """The market on a node that mines on request."""
    state, _, market = prepared()
    with Anvil(block_time=None, load_state=state) as node:
        # Gas depends on time: V3 notes a price, and Aave its interest, once a second.
        node.rpc("anvil_setBlockTimestampInterval", 1)
        yield Stage(node, market)


@pytest.fixture
def stage(theatre: Stage) -> Iterator[Stage]:
    """The market as deployed, whatever tests before did to it."""
    snapshot = theatre.node.rpc("evm_snapshot")
    yield theatre
    theatre.node.rpc("evm_revert", snapshot)
