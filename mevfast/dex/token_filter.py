"""Which tokens move exactly what they say: tried by simulated transfers, never told by name.

Owns what is asked of the node: balances of the pools now and a day later, the pools' own code, and
one `eth_call` for each pool tried, in which state overrides have the pool itself send the token
out and a receiver send it back (contracts/src/TokenProbe.sol). What each answer means is
token_moves' business; what becomes of a token that is kept out, the caller's.
"""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mevfast.chain.rpc import Rpc
from mevfast.dex import token_moves
from mevfast.dex.reads import decoded
from mevfast.errors import DataError, NodeError, RpcError
from mevfast.execution.artifacts import load

logger = logging.getLogger(__name__)

TRANSFER_GAS = 500_000
"""More than any honest transfer takes, proxies and reward bookkeeping included."""

MOST_HOLDERS = 3
"""Pools tried for each token: a fee may be taken at one registered pool and at no other."""

LATER_SECONDS, LATER_BLOCKS = 86_400, 7_200
"""A day: long enough for interest on LEAST_BALANCE to show, too short for most things to expire."""

CALL_GAS = 1 << 24
"""Gas of an eth_call: EIP-7825's limit of a transaction, which every node grants."""

READS_PER_CALL = 40
"""Balances an eth_call reads: all may burn the 200,000 gas that a read gets."""

READS_PER_BATCH, PROBES_PER_BATCH = 20, 8
"""Calls in one message: a probe carries the code of a pool, up to 49,152 characters."""

PROBES_AT_ONCE = 96
"""Probes made up at a time: bounds the memory that their codes take to about 10 MB."""

NATIVE = bytes(20)
"""What Uniswap V4 and Balancer call the chain's own coin: no contract, and exact by nature."""

ARB_SYS = bytes(19) + b"\x64"
"""Precompile of every Arbitrum chain."""

UNKNOWN = "unknown: "
"""How the reason of a verdict begins that says nothing about the token."""

_PURSE = 10**21
"""Wei of the caller: gas has a price here, for tokens that behave better where it has none."""
_DEFAULT_GAS_PRICE = 10**9

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every transfer tried was exact to the unit; if not, why. Plain data, cacheable.

    `gas` is what the dearest successful transfer took, 0 where there was none.
    """

    exact: bool
    reason: str
    gas: int

    @property
    def known(self) -> bool:
        """Whether it says something about the token; if not, try again later, cache nothing."""
        return not self.reason.startswith(UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Where and when it plays. Addresses are new each time: a token cannot know them."""

    block: int
    timestamp: int
    gas_price: int
    on_arbitrum: bool
    receiver: bytes
    sender: bytes
    probe: bytes
    before: bytes  # has the code that the pool had

    def call(self, data: bytes, state: Mapping[bytes, Mapping[str, str]]) -> list[Any]:
        """Parameters of an `eth_call` of the probe."""
        request = {
            "from": _hex(self.sender),
            "to": _hex(self.probe),
            "data": _hex(data),
            "gas": hex(CALL_GAS),
            "gasPrice": hex(self.gas_price),
            # Nitro has even calls pay gas for being posted to L1: more than there is, for kilobytes
            # on a dear day. Others would not know the word.
            **({"skipL1Charging": True} if self.on_arbitrum else {}),
        }
        overrides = {
            self.sender: {"balance": hex(_PURSE)},
            self.probe: {"code": _hex(load("TokenProbe").runtime)},
            **state,
        }
        return [request, hex(self.block), {_hex(a): override for a, override in overrides.items()}]

    def hand(self, before: bytes) -> dict[str, str]:
        """The override of an address that moves tokens; to strangers it is the code at `before`."""
        words = self.probe.rjust(32, b"\0") + before.rjust(32, b"\0")
        return {"code": _hex(load("TokenHand").runtime + words)}


@dataclass(frozen=True, slots=True)
class _Reading:
    """A pool's balance of a token, now and a day later; None where it is not known."""

    has_code: bool
    balance: int | None
    later: int | None
    failure: str = ""  # why nothing was read


@dataclass(frozen=True, slots=True)
class _Trial:
    """One pool to try a token with."""

    token: bytes
    holder: bytes
    moves: list[token_moves.Move]


async def probe_tokens(
    rpc: Rpc,
    holders: Mapping[bytes, Sequence[bytes]],
    block: int,
    *,
    receiver: bytes | None = None,
    gas_limit: int = TRANSFER_GAS,
    most_holders: int = MOST_HOLDERS,
    on_progress: Progress | None = None,
) -> dict[bytes, Verdict]:
    """A verdict on each token, from the state after `block`.

    `holders` has the pools (20 bytes each) that may hold a token; those with the largest balances
    are tried, up to `most_holders`, and one that is not exact is enough. `receiver` is who gets
    the token and sends it back: the executor, or a fresh address. `gas_limit` is the most that a
    transfer may take. `on_progress(done, total)` counts pools tried.

    A node without state overrides gives one warning and verdicts that are unknown. Raises NodeError
    where the block is not known or the connection is lost.
    """
    scene = await _scene(rpc, block, receiver)
    pairs = [
        (token, holder)
        for token, pools in holders.items()
        for holder in dict.fromkeys(pools)
        # A pool's own shares would have it call itself; the receiver cannot be both sides.
        if holder not in (token, scene.receiver)
    ]
    readings: dict[bytes, dict[bytes, _Reading]] = {token: {} for token in holders}
    for (token, holder), reading in zip(pairs, await _readings(rpc, pairs, scene), strict=True):
        readings[token][holder] = reading
    verdicts: dict[bytes, list[Verdict]] = {}
    trials: list[_Trial] = []
    for token, read in readings.items():
        verdict = _at_rest(token, read)
        verdicts[token] = [] if verdict is None else [verdict]
        if verdict is None:
            chosen = sorted(read, key=lambda pool: read[pool].balance or 0, reverse=True)
            trials += [
                _Trial(token, pool, token_moves.moves(pool, scene.receiver, amount))
                for pool in chosen[:most_holders]
                if (amount := read[pool].balance or 0) >= token_moves.LEAST_BALANCE
            ]
    tried = await _try(rpc, trials, scene, gas_limit, on_progress)
    for trial, verdict in zip(trials, tried, strict=True):
        verdicts[trial.token].append(verdict)
    return {token: _worst(found) for token, found in verdicts.items()}


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of all pools tried: a known fault, else an unknown, else the dearest."""
    faulty = [verdict for verdict in verdicts if not verdict.exact]
    known = [verdict for verdict in faulty if verdict.known]
    return (known or faulty or sorted(verdicts, key=lambda verdict: -verdict.gas))[0]


async def _scene(rpc: Rpc, block: int, receiver: bytes | None) -> _Scene:
    head, arb_sys = await rpc.batch(
        [("eth_getBlockByNumber", [hex(block), False]), ("eth_getCode", [_hex(ARB_SYS), "latest"])]
    )
    try:
        timestamp = int(head["timestamp"], 16)
        gas_price = 2 * int(head.get("baseFeePerGas", "0x0"), 16) or _DEFAULT_GAS_PRICE
    except (KeyError, TypeError, ValueError, AttributeError):
        answer = str(head) if isinstance(head, RpcError) else f"node answered {head!r:.80}"
        raise NodeError(f"{rpc.url}: expected block {block}, {answer}; is it in step?") from None
    fresh = [secrets.token_bytes(20) for _ in range(4)]
    on_arbitrum = isinstance(arb_sys, str) and arb_sys != "0x"
    return _Scene(block, timestamp, gas_price, on_arbitrum, receiver or fresh[0], *fresh[1:])


# ---- At rest: who holds how much, and does it stay ----


async def _readings(
    rpc: Rpc, pairs: Sequence[tuple[bytes, bytes]], scene: _Scene
) -> list[_Reading]:
    """One reading for each pair of token and pool, in their order."""
    parts = [pairs[i : i + READS_PER_CALL] for i in range(0, len(pairs), READS_PER_CALL)]
    time = scene.timestamp + LATER_SECONDS
    later = {"number": hex(scene.block + LATER_BLOCKS), "time": hex(time)}
    calls: list[tuple[str, list[Any]]] = []
    for part in parts:
        tokens, pools = ([_hex(address) for address in side] for side in zip(*part, strict=True))
        params = scene.call(load("TokenProbe").call("read", tokens, pools), {})
        calls += [("eth_call", params), ("eth_call", [*params, later])]
    answers = await rpc.batch(calls, batch_size=READS_PER_BATCH)
    readings: list[_Reading] = []
    failures, untimed = [], []
    for part, now, then in zip(parts, answers[::2], answers[1::2], strict=True):
        try:
            _, codes, balances = _balances(now, len(part))
        except DataError as error:
            failures.append(str(error))
            readings += [_Reading(False, None, None, failures[-1])] * len(part)
            continue
        try:
            answered, _, afterwards = _balances(then, len(part))
            if answered != time:
                raise DataError(f"expected a call at time {time}, the node ran it at {answered}")
        except DataError as error:
            untimed.append(str(error))
            afterwards = balances
        readings += map(_Reading, codes, balances, afterwards)
    if failures:
        logger.warning(
            "%s: %d of %d eth_call with state overrides failed (%s); the tokens they ask about are "
            "not traded. Use a node that takes them, as go-ethereum, Nitro, Erigon and Reth do",
            rpc.url, len(failures), len(parts), failures[0],
        )  # fmt: skip
    if untimed:
        logger.warning(
            "%s: %d of %d eth_call with block overrides failed (%s); tokens that rebase with time "
            "are seen by their rounding only",
            rpc.url, len(untimed), len(parts), untimed[0],
        )  # fmt: skip
    return readings


def _balances(answer: Any, count: int) -> tuple[int, Sequence[bool], list[int | None]]:
    """Time, which tokens have code, and balances, None where balanceOf failed."""
    types = ["uint256", "bool[]", "(bool,uint256)[]"]
    data = _data(answer)
    if not data:
        raise DataError("the node ran an eth_call without its state overrides")
    timestamp, codes, balances = decoded(types, data, "TokenProbe.read")
    if not len(codes) == len(balances) == count:
        raise DataError(f"TokenProbe.read: expected {count} balances, was {len(balances)}")
    return timestamp, codes, [amount if ok else None for ok, amount in balances]


def _at_rest(token: bytes, read: Mapping[bytes, _Reading]) -> Verdict | None:
    """The verdict where balances alone give one; None where the token is to be tried."""
    if token == NATIVE:
        return Verdict(True, "exact", 0)
    for pool, reading in read.items():
        at = f"(pool {_hex(pool)})"
        if reading.failure:
            continue
        if not reading.has_code:
            return Verdict(False, "there is no contract at its address", 0)
        if reading.balance is None:
            return Verdict(False, f"balanceOf does not answer {at}", 0)
        if reading.later != reading.balance:
            later = "no answer" if reading.later is None else reading.later
            words = f"a balance of {reading.balance} becomes {later} within a day by itself"
            return Verdict(False, f"{words}: rebases {at}", 0)
    failures = [reading.failure for reading in read.values() if reading.failure]
    if failures:
        return Verdict(False, UNKNOWN + failures[0], 0)
    most = max((reading.balance or 0 for reading in read.values()), default=0)
    if most < token_moves.LEAST_BALANCE:
        least = f"{token_moves.LEAST_BALANCE} units are needed to try it"
        return Verdict(
            False, f"{UNKNOWN}no pool holds it: {most} in the fullest of {len(read)}, {least}", 0
        )
    return None


# ---- In motion ----


async def _try(
    rpc: Rpc,
    trials: Sequence[_Trial],
    scene: _Scene,
    gas_limit: int,
    on_progress: Progress | None,
) -> list[Verdict]:
    """One verdict for each trial, in their order."""
    verdicts: list[Verdict] = []
    for start in range(0, len(trials), PROBES_AT_ONCE):
        part = trials[start : start + PROBES_AT_ONCE]
        pools = list(dict.fromkeys(trial.holder for trial in part))
        asked = [("eth_getCode", [_hex(pool), hex(scene.block)]) for pool in pools]
        found = await rpc.batch(asked, batch_size=READS_PER_BATCH)
        codes = dict(zip(pools, found, strict=True))
        calls = [_probe(trial, codes[trial.holder], scene, gas_limit) for trial in part]
        answers = await rpc.batch(calls, batch_size=PROBES_PER_BATCH)
        verdicts += [
            _judge(trial, codes[trial.holder], answer, gas_limit)
            for trial, answer in zip(part, answers, strict=True)
        ]
        if on_progress:
            on_progress(len(verdicts), len(trials))
    return verdicts


def _probe(trial: _Trial, code: Any, scene: _Scene, gas_limit: int) -> tuple[str, list[Any]]:
    """The call that tries a token with a pool whose code is `code`, as the node gave it."""
    state = {trial.holder: scene.hand(scene.before), scene.receiver: scene.hand(b"")}
    if isinstance(code, str) and code != "0x":
        state[scene.before] = {"code": code}
    data = token_moves.run_call(trial.token, trial.holder, scene.receiver, gas_limit, trial.moves)
    return "eth_call", scene.call(data, state)


def _judge(trial: _Trial, code: Any, answer: Any, gas_limit: int) -> Verdict:
    try:
        _data(code)
        report = token_moves.decode_report(_data(answer))
        words = token_moves.fault(trial.moves, report, gas_limit)
    except DataError as error:
        return Verdict(False, f"{UNKNOWN}{error} (pool {_hex(trial.holder)})", 0)
    gas = max((result.gas for result in report.results if result.ok), default=0)
    if words:
        return Verdict(False, f"{words} (pool {_hex(trial.holder)})", gas)
    return Verdict(True, "exact", gas)


def _data(answer: Any) -> bytes:
    """The bytes of an answer; DataError where the node refused or sent something else."""
    if isinstance(answer, RpcError):
        raise DataError(str(answer))
    try:
        return bytes.fromhex(answer.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise DataError(f"expected data in hex, node answered {answer!r:.80}") from None


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
