"""The moves that a token is tried with, and what a wrong one is called in words.

Pure: owns the schedule of transfers and the judgement of what contracts/src/TokenProbe.sol measured
of it. Who asks the node, and about which pools, is token_filter's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mevfast.dex.reads import calldata, decoded
from mevfast.errors import DataError
from mevfast.execution.artifacts import load

LEAST_BALANCE = 10_000
"""Units a pool must hold: half of it then shows any fee of 0.02 % and more."""

PARTS = (2, 97, 9_973)
"""A fee, a rounding or a limit may depend on size: these parts of the balance are moved, and 1.
Primes, because balances are often round, and parts of shares vanish in round numbers."""

MOST_WORDS = 100
"""Characters of a reason that a token may put into our logs."""

_BALANCE = "(bool,uint256)"
_REPORT = [_BALANCE, _BALANCE, f"(bool,bool,bool,uint256,uint256,bytes,{_BALANCE},{_BALANCE})[]"]

_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
_WORD = 32


@dataclass(frozen=True, slots=True)
class Move:
    """One call of the token: by the pool, or where `back` is set by the receiver.

    After it `amount` units, 0 for an approval, must have gone from the pool to the receiver, or
    where `to_pool` is set the other way.
    """

    back: bool
    data: bytes
    amount: int
    words: str
    to_pool: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What one move did, as TokenProbe.Result: balances, None where balanceOf did not answer."""

    ok: bool
    holder_called: bool
    receiver_called: bool
    gas: int
    size: int
    head: bytes
    holder: int | None
    receiver: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Both balances before the first move, and the moves that were made."""

    holder: int | None
    receiver: int | None
    results: list[Result]


def moves(holder: bytes, receiver: bytes, balance: int) -> list[Move]:
    """What a pool with `balance` units (LEAST_BALANCE or more) and the receiver do in turn.

    Out in four sizes to the same receiver; back in the same, by the plain `transfer` that pays
    pools; and once more out, and back by approval and `transferFrom`, as Aave, Balancer and Curve
    are paid.
    """
    sizes = [balance // part for part in PARTS] + [1]
    out = [
        Move(False, _transfer(receiver, size), size, f"a transfer of {size} out of the pool")
        for size in sizes
    ]
    back = [
        Move(True, _transfer(holder, size), size, f"a transfer of {size} back to the pool", True)
        for size in sizes
    ]
    size = sizes[1]
    approve = calldata("approve(address,uint256)", "0x" + holder.hex(), size)
    pull = calldata(
        "transferFrom(address,address,uint256)", "0x" + receiver.hex(), "0x" + holder.hex(), size
    )
    return [
        *out,
        *back,
        Move(False, _transfer(receiver, size), size, f"another transfer of {size} out of the pool"),
        Move(True, approve, 0, f"an approval of {size}"),
        Move(False, pull, size, f"a transferFrom of {size} by the pool", True),
    ]


def _transfer(to: bytes, size: int) -> bytes:
    return calldata("transfer(address,uint256)", "0x" + to.hex(), size)


def run_call(
    token: bytes, holder: bytes, receiver: bytes, gas_limit: int, planned: Sequence[Move]
) -> bytes:
    """Call data that has the probe make the moves."""
    addresses = ["0x" + address.hex() for address in (token, holder, receiver)]
    backs, data = [move.back for move in planned], [move.data for move in planned]
    return load("TokenProbe").call("run", *addresses, gas_limit, backs, data)


def decode_report(answer: bytes) -> Report:
    """What the probe measured; DataError where the answer is not its own."""
    holder, receiver, results = decoded(_REPORT, answer, "TokenProbe.run")
    return Report(_amount(holder), _amount(receiver), [_result(raw) for raw in results])


def _result(raw: tuple[Any, ...]) -> Result:
    return Result(*raw[:-2], *map(_amount, raw[-2:]))


def _amount(balance: tuple[bool, int]) -> int | None:
    return balance[1] if balance[0] else None


def fault(planned: Sequence[Move], report: Report, gas_limit: int) -> str:
    """What is wrong with the first move that was not exact, in words; "" where all were.

    Raises DataError where the probe stopped although nothing was wrong.
    """
    holder, receiver = report.holder, report.receiver
    if holder is None or receiver is None:
        return "balanceOf does not answer"
    for move, result in zip(planned, report.results, strict=False):
        words = _answered(move, result, gas_limit)
        if words:
            if move.to_pool:
                return f"cannot be sent back by the receiver: {words}"
            return words
        if result.holder is None or result.receiver is None:
            return f"balanceOf does not answer after {move.words}"
        left, arrived = holder - result.holder, result.receiver - receiver
        if move.to_pool:
            left, arrived = -arrived, -left
        words = _moved(move, left, arrived) or _called(move, result)
        if words:
            return words
        holder, receiver = result.holder, result.receiver
    if len(report.results) != len(planned):
        raise DataError(
            f"TokenProbe.run: expected {len(planned)} moves, was {len(report.results)}: the gas of "
            "the eth_call ran out"
        )
    return ""


def _answered(move: Move, result: Result, gas_limit: int) -> str:
    """What is wrong with the call itself."""
    if not result.ok:
        # Nested calls leave a 64th of the gas to each caller (EIP-150), who then reverts.
        if result.gas >= gas_limit - gas_limit // 32:
            return f"{move.words} takes more than {gas_limit} gas"
        return f"{move.words} reverts{_reason(result.head, result.size)}"
    if result.size not in (0, _WORD):
        return f"{move.words} returns {result.size} bytes, expected {_WORD} or none"
    word = int.from_bytes(result.head, "big")
    if result.size and word != 1:
        return f"{move.words} returns {word if word else 'false'}, expected true"
    return ""


def _moved(move: Move, left: int, arrived: int) -> str:
    """What is wrong with the amounts: `left` the sender, `arrived` at the other side."""
    amount = move.amount
    if left == arrived == amount:
        return ""
    if abs(left - amount) <= 2 and abs(arrived - amount) <= 2:
        took = "" if left == amount else f"took {left} and "
        return f"{move.words} {took}delivered {arrived}: rounds, as shares that rebase do"
    if left == arrived == 0:
        return f"{move.words} moves nothing and says that it did"
    if arrived < amount:
        return f"{move.words} delivered {arrived}: takes a fee"
    if left > amount:
        return f"{move.words} took {left} from the sender: takes a fee on top"
    return f"{move.words} took {left} and delivered {arrived}: balances do not add up"


def _called(move: Move, result: Result) -> str:
    who = "the receiver" if result.receiver_called else "the pool" if result.holder_called else ""
    return f"{move.words} calls {who}, which may trade in the middle of it" if who else ""


def _reason(head: bytes, size: int) -> str:
    """Revert data in words, none where there is none."""
    selector, body = head[:4], head[4:]
    if selector == _ERROR and len(body) >= 2 * _WORD:
        length = int.from_bytes(body[_WORD : 2 * _WORD], "big")
        text = body[2 * _WORD : 2 * _WORD + min(length, len(body))].decode(errors="replace")
        if text:
            # Its author is not to write control characters into our logs.
            return ": " + "".join(c if c.isprintable() else "?" for c in text[:MOST_WORDS])
        size = 0
    if not size:
        return " without a reason"
    if selector == _PANIC and len(body) == _WORD:
        return f": panic 0x{int.from_bytes(body, 'big'):02x}"
    return f": error 0x{selector.hex()}"
