"""Uniswap V3 and its exact forks: discovery and state. Semantics: UniswapV3Factory, Pool."""

from typing import Any

from mevfast.execution import artifacts
from mevfast.model import PoolLoad, PoolRecord

KIND = "uniswap_v3"

CREATED = "0x783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118"
"""PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee,
int24 tickSpacing, address pool)"""

EVENTS = (
    "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",  # Swap
    "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",  # Mint
    "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",  # Burn
    "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",  # Initialize
)


def created(log: dict[str, Any], factory: str, fee_pips: int | None) -> PoolRecord:
    """The pool that a PoolCreated log announces; it carries its own fee."""
    return PoolRecord(
        id=bytes.fromhex(log["data"][66:130])[12:],
        kind=KIND,
        tokens=tuple(bytes.fromhex(topic[2:])[12:] for topic in log["topics"][1:3]),
        venue=factory,
        block=int(log["blockNumber"], 16),
        facts={
            "fee_pips": int(log["topics"][3], 16),
            "tick_spacing": int(log["data"][2:66], 16),
        },
    )


def load_call(pool: PoolRecord, word_from: int | None = None) -> bytes:
    """The reader call for a pool's state and the ticks from a bitmap word on (None: all)."""
    first, last = artifacts.word_range(pool.facts["tick_spacing"])
    address = "0x" + pool.address.hex()
    return artifacts.reader_v3_call(address, first if word_from is None else word_from, last)


def merge(pool: PoolRecord, before: PoolLoad | None, answer: bytes) -> tuple[PoolLoad | None, int]:
    """The state read so far and the bitmap word to go on with.

    The state is None where the pool has no price yet. The word lies past the pool's last one
    when all of it is read.
    """
    state = artifacts.decode_v3(answer)
    if state is None:
        return None, 1 << 15
    ticks = (before.state["ticks"] if before else []) + state.ticks
    _, last = artifacts.word_range(state.tick_spacing)
    fields = {
        "fee_pips": state.fee_pips,
        "tick_spacing": state.tick_spacing,
        "sqrt_price_x96": state.sqrt_price_x96,
        "tick": state.tick,
        "liquidity": state.liquidity,
        "ticks": ticks,
    }
    return PoolLoad(pool, fields), state.next_word if state.next_word <= last else 1 << 15
