"""What tests of the token filter share: a token of contracts/test in a pair, and its verdict."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from executor_stage import Stage, calldata

from mevfast.chain.rpc import Rpc
from mevfast.dex.token_filter import Verdict, probe_tokens

SUPPLY = 10**24 + 7
EXECUTOR = bytes.fromhex("e4" * 20)
"""Where a test wants to name the receiver."""


def key(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def probe(
    stage: Stage,
    holders: Mapping[str, Sequence[str]],
    connection: type[Rpc] = Rpc,
    **options: Any,
) -> dict[bytes, Verdict]:
    """Verdicts at the latest block."""

    async def run() -> dict[bytes, Verdict]:
        async with await connection.connect(stage.node.ws_url) as rpc:
            block = int(await rpc.request("eth_blockNumber"), 16)
            by_key = {key(token): [key(pool) for pool in pools] for token, pools in holders.items()}
            return await probe_tokens(rpc, by_key, block, **options)

    return asyncio.run(run())


def pool_of(stage: Stage, kind: str = "uniswap_v2", index: int = 0) -> str:
    return [pool for pool in stage.market.pools if pool.kind == kind][index].address


class Case:
    """A token of contracts/test in a real pair."""

    def __init__(self, stage: Stage, name: str, amount: int = SUPPLY) -> None:
        self.stage, self.pool, self.token = stage, pool_of(stage), stage.create_prop(name)
        self.do("mint(address,uint256)", self.pool, amount)

    def do(self, signature: str, *arguments: object) -> None:
        self.stage.send(self.token, calldata(signature, *arguments))

    def verdict(self, **options: Any) -> Verdict:
        [verdict] = probe(self.stage, {self.token: [self.pool]}, **options).values()
        return verdict

    def reason(self, **options: Any) -> str:
        """Why it is kept out; the pool, which each reason names, is cut off."""
        verdict = self.verdict(**options)
        assert not verdict.exact and verdict.known, verdict
        reason, pool, rest = verdict.reason.partition(f" (pool {self.pool.lower()})")
        assert pool and not rest, verdict
        return reason
