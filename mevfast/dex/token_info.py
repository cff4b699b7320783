"""Symbols and decimals of tokens, many a call. What they are called decides nothing."""

from collections.abc import Callable, Sequence
from typing import Any

from mevfast import market_file
from mevfast.chain import patience
from mevfast.chain.rpc import Rpc
from mevfast.errors import DataError, NodeError, RpcError
from mevfast.execution import artifacts
from mevfast.execution.artifacts import TokenInfo
from mevfast.market_file import Token

Said = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and how much there is of it."""

NATIVE = "0x" + "00" * 20
"""What Uniswap V4 calls the chain's own coin; it has no contract that could tell its decimals."""
NATIVE_TOKEN = TokenInfo(decimals=18, symbol="ETH")


async def read_tokens(
    rpc: Rpc, addresses: Sequence[str], block: int, said: Said | None = None
) -> dict[str, TokenInfo]:
    """Decimals and symbols of tokens, many a call; a call that the node refuses is halved."""
    found = {NATIVE: NATIVE_TOKEN}
    asked = [address for address in addresses if address != NATIVE]
    size = artifacts.TOKENS_PER_CALL
    parts: list[Sequence[str]] = [asked[i : i + size] for i in range(0, len(asked), size)]
    while parts:
        if said:
            said("reading tokens", len(found) - 1, len(asked))
        calls = [
            ("eth_call", [{"data": "0x" + artifacts.reader_tokens_call(part).hex()}, hex(block)])
            for part in parts
        ]
        answers = await patience.batch(rpc, calls, batch_size=10)
        halves: list[Sequence[str]] = []
        for part, answer in zip(parts, answers, strict=True):
            if not isinstance(answer, RpcError):
                found |= zip(part, _token_infos(answer, block), strict=True)
            elif len(part) == 1:
                found[part[0]] = TokenInfo(None, None)
            else:
                halves += [part[: len(part) // 2], part[len(part) // 2 :]]
        parts = halves
    if said:
        said("reading tokens", len(asked), len(asked))
    return found


def _token_infos(answer: Any, block: int) -> list[TokenInfo]:
    try:
        return artifacts.decode_tokens(bytes.fromhex(answer[2:]))[1]
    except (DataError, TypeError, ValueError) as error:
        raise NodeError(f"eth_call at block {block}: {error}") from error


def token_of(address: str, info: TokenInfo) -> Token | None:
    """A token, its symbol made printable; None without decimals: its amounts cannot be shown."""
    if info.decimals is None or info.decimals > market_file.LARGEST_DECIMALS:
        return None
    symbol = "".join(letter if letter.isprintable() else "?" for letter in info.symbol or "")
    return Token(address, symbol, info.decimals)
