"""Traders that move the embedded market: a process of their own, `python -m` this module.

Every swap goes through a router, which computes the other amount on the chain at execution, so
that each one is exactly what the pool pays at that moment. Floats only choose; amounts that
reach the chain are whatever integers came of it.
"""

import argparse
import http.client
import math
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mevfast.devnet import npm
from mevfast.devnet.contracts import Contract, view
from mevfast.devnet.decisions import Action, Decision, decisions, sell_token0_probability
from mevfast.devnet.http_rpc import HttpRpc
from mevfast.devnet.market import Market, Pool
from mevfast.devnet.node import BASE_FEE_WEI, DEV_ACCOUNTS, HOST
from mevfast.errors import RpcError

SWAPS_PER_SECOND = 8.0

_GAS = 1_500_000
_MAX_FEE_WEI = 100 * BASE_FEE_WEI
_FAR_DEADLINE = 2**40
_MAX_UINT128 = 2**128 - 1
_MAX_UINT256 = 2**256 - 1
_NICENESS = 5
"""The engine and the node come first on a small machine."""
_LATE_S = 1.0
"""Further behind than this (a suspended machine), the schedule starts anew, without a burst."""
_DEPTH_SHARE = 0.25
"""A V3 swap is at most this part of the tokens in the pool, whatever the virtual reserve."""
_MIN_TICK, _MAX_TICK = -887_272, 887_272


@dataclass(frozen=True)
class _PoolState:
    """Reserves as the next swap sees them; for V3 the virtual ones, and the tokens held."""

    reserve0: float
    reserve1: float
    held0: float
    held1: float
    tick: int

    @property
    def price(self) -> float:
        return self.reserve1 / self.reserve0


class Traders:
    """The accounts that act on decisions, one at a time, over one connection."""

    def __init__(self, rpc: HttpRpc, market: Market, seed: int) -> None:
        """`seed` chooses among a trader's positions; swaps are decided elsewhere."""
        self._rpc, self._market = rpc, market
        self._chance = random.Random(seed ^ 0x5EED)
        self._nonces: dict[int, int] = {}
        self._burnt: set[int] = set()
        self._v2_pair = npm.artifact("UniswapV2Pair").abi
        self._v3_pool = npm.artifact("UniswapV3Pool").abi
        self._erc20 = npm.artifact("MintableERC20").abi
        self._v2_router = npm.artifact("UniswapV2Router02").abi
        self._v3_router = npm.artifact("SwapRouter").abi
        self._manager = Contract(
            market.position_manager, npm.artifact("NonfungiblePositionManager").abi
        )

    def act(self, decision: Decision) -> None:
        """Reads the pool and sends one transaction; a refusal is told, and never stalls."""
        try:
            data, to = self._transaction(decision)
            self._send(decision.account, to, data)
        except RpcError as error:
            print(f"traders: {error}", file=sys.stderr, flush=True)
            self._nonces.pop(decision.account, None)

    def _transaction(self, decision: Decision) -> tuple[bytes, str]:
        trader = DEV_ACCOUNTS[decision.account].address
        if decision.action is Action.BURN:
            position = self._some_position(trader)
            if position is not None:
                return self._burn(position, trader, decision), self._manager.address
        state = self._state(decision.pool)
        if decision.action in (Action.MINT, Action.BURN):  # nothing to burn: mint
            return self._mint(decision, state, trader), self._manager.address
        router = self._market.factory(decision.pool.factory).router
        if decision.pool.tick_spacing:
            return self._swap_v3(decision, state, trader, router), router
        return self._swap_v2(decision, state, trader, router), router

    def _views(self, calls: list[tuple[Contract, str, tuple[Any, ...]]]) -> list[Any]:
        """Reads the state, and in passing holds the base fee at Arbitrum's floor.

        anvil lets the fee of an almost empty chain fall to nothing within a minute; then gas
        would be free and no trade too small.
        """
        hold: tuple[str, list[Any]] = (
            "anvil_setNextBlockBaseFeePerGas", [hex(BASE_FEE_WEI)],
        )  # fmt: skip
        answers = self._rpc.batch(
            [hold, *(view(contract, name, *args) for contract, name, args in calls)]
        )[1:]
        return [
            contract.decode(name, len(args), bytes.fromhex(answer[2:]))
            for (contract, name, args), answer in zip(calls, answers, strict=True)
        ]

    def _state(self, pool: Pool) -> _PoolState:
        if not pool.tick_spacing:
            pair = Contract(pool.address, self._v2_pair)
            reserve0, reserve1, _ = self._views([(pair, "getReserves", ())])[0]
            return _PoolState(reserve0, reserve1, reserve0, reserve1, 0)
        contract = Contract(pool.address, self._v3_pool)
        slot0, liquidity, held0, held1 = self._views(
            [
                (contract, "slot0", ()),
                (contract, "liquidity", ()),
                (Contract(pool.token0, self._erc20), "balanceOf", (pool.address,)),
                (Contract(pool.token1, self._erc20), "balanceOf", (pool.address,)),
            ]
        )
        root = slot0[0] / 2.0**96
        return _PoolState(liquidity / root, liquidity * root, held0, held1, slot0[1])

    @staticmethod
    def _amounts(decision: Decision, state: _PoolState) -> tuple[bool, int, int]:
        """Whether token0 is sold, and about which amounts go in and out."""
        zero_for_one = decision.lean < sell_token0_probability(state.price, decision.reference)
        depth0 = min(state.held0, state.held1 / state.price) * _DEPTH_SHARE
        amount0 = min(decision.fraction * state.reserve0, depth0)
        amount1 = amount0 * state.price
        amount_in, amount_out = (amount0, amount1) if zero_for_one else (amount1, amount0)
        return zero_for_one, max(1, int(amount_in)), max(1, int(amount_out))

    def _swap_v2(self, decision: Decision, state: _PoolState, trader: str, router: str) -> bytes:
        zero_for_one, amount_in, amount_out = self._amounts(decision, state)
        pool = decision.pool
        path = [pool.token0, pool.token1] if zero_for_one else [pool.token1, pool.token0]
        contract = Contract(router, self._v2_router)
        if decision.action is Action.SWAP_EXACT_OUT:
            return contract.encode(
                "swapTokensForExactTokens", amount_out, _MAX_UINT256, path, trader, _FAR_DEADLINE
            )
        return contract.encode(
            "swapExactTokensForTokens", amount_in, 0, path, trader, _FAR_DEADLINE
        )

    def _swap_v3(self, decision: Decision, state: _PoolState, trader: str, router: str) -> bytes:
        zero_for_one, amount_in, amount_out = self._amounts(decision, state)
        pool = decision.pool
        route = (pool.token0, pool.token1) if zero_for_one else (pool.token1, pool.token0)
        common = (*route, pool.fee_pips, trader, _FAR_DEADLINE)
        contract = Contract(router, self._v3_router)
        if decision.action is Action.SWAP_EXACT_OUT:
            exact_out = (*common, amount_out, _MAX_UINT256, 0)
            return contract.encode("exactOutputSingle", exact_out)
        return contract.encode("exactInputSingle", (*common, amount_in, 0, 0))

    def _mint(self, decision: Decision, state: _PoolState, trader: str) -> bytes:
        """A position of 3-120 spacings around the price, worth up to 5 % of the pool."""
        pool = decision.pool
        half = int(3 * 40**decision.lean) * pool.tick_spacing
        lower = (state.tick - half) // pool.tick_spacing * pool.tick_spacing
        upper = lower + 2 * half
        amount0 = int(min(state.held0, state.held1 / state.price) * 3 * decision.fraction)
        amount1 = int(amount0 * state.price)
        position = (
            pool.token0, pool.token1, pool.fee_pips, max(lower, _MIN_TICK), min(upper, _MAX_TICK),
            max(amount0, 1000), max(amount1, 1000), 0, 0, trader, _FAR_DEADLINE,
        )  # fmt: skip
        return self._manager.encode("mint", position)

    def _some_position(self, trader: str) -> tuple[int, int] | None:
        """Token id and liquidity of one of a trader's positions; None where it has none left.

        A position is burnt from once: a second burn could meet the first in one block.
        """
        (count,) = self._views([(self._manager, "balanceOf", (trader,))])
        if count == 0:
            return None
        index = self._chance.randrange(count)
        (token_id,) = self._views([(self._manager, "tokenOfOwnerByIndex", (trader, index))])
        if token_id in self._burnt:
            return None
        self._burnt.add(token_id)
        (position,) = self._views([(self._manager, "positions", (token_id,))])
        return token_id, position[7]

    def _burn(self, position: tuple[int, int], trader: str, decision: Decision) -> bytes:
        """Takes out half or all of a position, with its fees."""
        token_id, liquidity = position
        if decision.lean < 0.5:
            liquidity = math.ceil(liquidity / 2)
        decrease = (token_id, liquidity, 0, 0, _FAR_DEADLINE)
        collect = (token_id, trader, _MAX_UINT128, _MAX_UINT128)
        calls = [
            self._manager.encode("decreaseLiquidity", decrease),
            self._manager.encode("collect", collect),
        ]
        return self._manager.encode("multicall", calls)

    def _send(self, account: int, to: str, data: bytes) -> None:
        """Sends under the account's next nonce; after a refusal the node is asked for it anew."""
        sender = DEV_ACCOUNTS[account].address
        if account not in self._nonces:
            count = self._rpc.call("eth_getTransactionCount", sender, "pending")
            self._nonces[account] = int(count, 16)
        self._rpc.call(
            "eth_sendTransaction",
            {
                "from": sender,
                "to": to,
                "data": "0x" + data.hex(),
                "nonce": hex(self._nonces[account]),
                "gas": hex(_GAS),
                "maxFeePerGas": hex(_MAX_FEE_WEI),
                "maxPriorityFeePerGas": "0x0",
            },
        )
        self._nonces[account] += 1


def arguments(port: int, market_file: Path, seed: int, rate: float) -> list[str]:
    """The command line that runs traders as a child."""
    return [
        sys.executable, "-m", __name__, "--port", str(port), "--market", str(market_file),
        "--seed", str(seed), "--swaps-per-second", str(rate),
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Trades until TERM, or until the node is gone (exit code 1)."""
    parser = argparse.ArgumentParser(prog="mevfast.devnet.traders", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--market", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--swaps-per-second", type=float, default=SWAPS_PER_SECOND)
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.nice(_NICENESS)
    market = Market.from_json(args.market.read_text())
    traders = Traders(HttpRpc(HOST, args.port), market, args.seed)
    due = time.monotonic()
    try:
        for decision in decisions(market, args.seed, args.swaps_per_second):
            due += decision.wait_s
            now = time.monotonic()
            if due > now:
                time.sleep(due - now)
            elif now - due > _LATE_S:
                due = now
            traders.act(decision)
    except (OSError, http.client.HTTPException) as error:
        print(f"traders: the node is gone: {error!r}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
