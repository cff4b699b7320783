"""Flash liquidity and its price, read from the chain: Balancer V2 vault, Aave V3 pool, own balance.

Sources: FlashLoans.sol and ProtocolFeesCollector.sol of Balancer V2; Pool.sol and
PercentageMath.sol of Aave V3, whose premium is rounded half up before revision 9 and up since.
"""

from dataclasses import dataclass

from eth_abi import abi as codec
from eth_utils.crypto import keccak

from mevfast.chain.multicall import At, Call
from mevfast.errors import NodeError

AAVE_ROUNDS_UP_SINCE = 9
ZERO = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What can be had of one token, in the arguments of `Search.lend`."""

    token: bytes
    own: int
    balancer: int
    aave: int
    fee_balancer: int  # 1e-18
    fee_aave: int  # 1e-4
    aave_rounds_up: bool


def _call(to: str, signature: str, *values: object) -> Call:
    types = signature[signature.index("(") + 1 : -1]
    return to, keccak(text=signature)[:4] + codec.encode(types.split(",") if types else [], values)


def _word(answer: bytes, index: int = 0) -> int:
    """One word of an answer; 0 where the call failed or answered less."""
    return int.from_bytes(answer[32 * index : 32 * index + 32]) if len(answer) > 32 * index else 0


async def read_terms(
    at: At,
    tokens: list[bytes],
    executor: str,
    balancer_vault: str | None,
    aave_pool: str | None,
) -> list[Terms]:
    """The terms for each token at a block. NodeError where a lender does not answer as one."""
    collector = ZERO
    if balancer_vault:
        collector = await _address(at, balancer_vault, "getProtocolFeesCollector()", "vault")
    calls = [
        _call(collector, "getFlashLoanFeePercentage()"),
        _call(aave_pool or ZERO, "FLASHLOAN_PREMIUM_TOTAL()"),
        _call(aave_pool or ZERO, "POOL_REVISION()"),
    ]
    for token in tokens:
        address = "0x" + token.hex()
        calls.append(_call(address, "balanceOf(address)", executor))
        calls.append(_call(address, "balanceOf(address)", balancer_vault or ZERO))
        calls.append(_call(aave_pool or ZERO, "getReserveData(address)", address))
    answers = await at.call(calls)
    a_tokens = [_word(answer, 8) for answer in answers[5::3]] if aave_pool else []
    held = await at.call(
        [
            _call("0x" + token.hex(), "balanceOf(address)", f"0x{a_token:040x}")
            for token, a_token in zip(tokens, a_tokens, strict=True)
        ]
        if aave_pool
        else []
    )
    revision = _word(answers[2])
    return [
        Terms(
            token=token,
            own=_word(answers[3 + 3 * i]),
            balancer=_word(answers[4 + 3 * i]) if balancer_vault else 0,
            aave=_word(held[i]) if aave_pool and a_tokens[i] else 0,
            fee_balancer=_word(answers[0]) if balancer_vault else 0,
            fee_aave=_word(answers[1]) if aave_pool else 0,
            aave_rounds_up=revision >= AAVE_ROUNDS_UP_SINCE,
        )
        for i, token in enumerate(tokens)
    ]


async def _address(at: At, to: str, signature: str, what: str) -> str:
    [answer] = await at.call([_call(to, signature)])
    word = _word(answer)
    if not word:
        raise NodeError(
            f"flash.balancer_vault: expected a Balancer V2 {what} at {to}, {signature} gave "
            "nothing; correct the address or take balancer out of flash.sources"
        )
    return f"0x{word:040x}"
