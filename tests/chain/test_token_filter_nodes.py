"""Nodes that cannot do what the token filter asks: tokens are unknown then, never exact."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from executor_stage import Stage, stage, theatre
from token_stage import SUPPLY, Case, key, pool_of, probe

from mevfast.chain.rpc import Rpc
from mevfast.dex import token_filter
from mevfast.dex.token_filter import Verdict
from mevfast.errors import NodeError, RpcError

__all__ = ["stage", "theatre"]  # fixtures

pytestmark = pytest.mark.devnet

Answer = Callable[[str, Sequence[Any], Any], Any]


def node_that(
    answers: Answer = lambda method, params, answer: answer,
    asks: Callable[[str, Sequence[Any]], Sequence[Any]] = lambda method, params: params,
) -> type[Rpc]:
    """A connection to a node that changes what it is asked, or what it answers, in batches."""

    class Changed(Rpc):
        async def batch(
            self,
            calls: Sequence[tuple[str, Sequence[Any]]],
            on_progress: Callable[[int, int], None] | None = None,
            batch_size: int = 100,
        ) -> list[Any]:
            asked = [(method, asks(method, params)) for method, params in calls]
            given = await super().batch(asked, on_progress, batch_size)
            return [
                answers(method, params, answer)
                for (method, params), answer in zip(calls, given, strict=True)
            ]

    return Changed


def refused(method: str) -> RpcError:
    return RpcError(method, -32602, "too many arguments, want at most 2")


def is_probe(method: str, params: Sequence[Any]) -> bool:
    """The call of a trial: it places the hands too."""
    return method == "eth_call" and len(params[2]) > 2


def of(verdicts: dict[bytes, Verdict], case: Case) -> Verdict:
    return verdicts[key(case.token)]


# ---- State overrides ----


def test_a_node_that_refuses_state_overrides_gives_one_warning_and_no_token(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cases = [Case(stage, "HonestToken") for _ in range(3)]
    node = node_that(
        answers=lambda method, params, answer: refused(method) if method == "eth_call" else answer
    )
    # More balances than one call reads.
    pools = [pool.address for pool in stage.market.pools]
    assert 3 * len(pools) > token_filter.READS_PER_CALL
    with caplog.at_level(logging.WARNING):
        verdicts = probe(stage, {case.token: pools for case in cases}, node)
    assert [verdict.exact or verdict.known for verdict in verdicts.values()] == [False] * 3
    assert verdicts[key(cases[0].token)].reason == (
        "unknown: eth_call: node answered error -32602: too many arguments, want at most 2"
    )
    [record] = caplog.records
    assert "state overrides failed" in record.message and "are not traded" in record.message


@pytest.mark.parametrize(
    ("charges", "words"),
    [
        (True, "Insufficient funds"),  # the caller's balance is an override too
        (False, "the node ran an eth_call without its state overrides"),
    ],
)
def test_a_node_that_ignores_state_overrides_is_noticed(
    stage: Stage, caplog: pytest.LogCaptureFixture, charges: bool, words: str
) -> None:
    def asks(method: str, params: Sequence[Any]) -> Sequence[Any]:
        if method != "eth_call":
            return params
        request = {**params[0]}
        if not charges:
            del request["gasPrice"]
        return [request, *params[1:2]]

    case = Case(stage, "HonestToken")
    with caplog.at_level(logging.WARNING):
        verdict = of(probe(stage, {case.token: [case.pool]}, node_that(asks=asks)), case)
    assert not verdict.exact and not verdict.known and words in verdict.reason
    [record] = caplog.records
    assert "state overrides failed" in record.message


def test_a_node_that_places_no_hands_is_noticed(stage: Stage) -> None:
    """The probe is there, the pool is itself: it does not know what it is told to do."""

    def asks(method: str, params: Sequence[Any]) -> Sequence[Any]:
        if not is_probe(method, params):
            return params
        return [*params[:2], dict(list(params[2].items())[:2])]

    case = Case(stage, "HonestToken")
    verdict = of(probe(stage, {case.token: [case.pool]}, node_that(asks=asks)), case)
    assert not verdict.exact and verdict.reason.startswith("unknown: eth_call: node answered error")


# ---- Block overrides ----


@pytest.mark.parametrize("ignored", [True, False])
def test_without_block_overrides_rounding_still_tells(
    stage: Stage, caplog: pytest.LogCaptureFixture, ignored: bool
) -> None:
    def asks(method: str, params: Sequence[Any]) -> Sequence[Any]:
        return params[:3] if method == "eth_call" else params

    def answers(method: str, params: Sequence[Any], answer: Any) -> Any:
        return refused(method) if len(params) > 3 else answer

    node = node_that(asks=asks) if ignored else node_that(answers=answers)
    growing, honest = Case(stage, "GrowingToken"), Case(stage, "HonestToken")
    with caplog.at_level(logging.WARNING):
        verdicts = probe(stage, {case.token: [case.pool] for case in (growing, honest)}, node)
    assert of(verdicts, honest).exact
    assert "rounds, as shares that rebase do" in of(verdicts, growing).reason
    [record] = caplog.records
    assert "block overrides failed" in record.message and "by their rounding" in record.message


# ---- Nitro ----


@pytest.mark.parametrize("on_arbitrum", [True, False])
def test_nitro_alone_is_told_not_to_charge_for_l1(stage: Stage, on_arbitrum: bool) -> None:
    """Its calls pay gas for their length; other nodes may refuse a word they do not know."""
    if on_arbitrum:
        stage.node.rpc("anvil_setCode", "0x" + "00" * 19 + "64", "0xfe")
    words: list[bool | None] = []

    def asks(method: str, params: Sequence[Any]) -> Sequence[Any]:
        if method == "eth_call":
            words.append(params[0].get("skipL1Charging"))
        return params

    case = Case(stage, "HonestToken")
    assert of(probe(stage, {case.token: [case.pool]}, node_that(asks=asks)), case).exact
    assert words == [True if on_arbitrum else None] * 3


# ---- Single calls ----


@pytest.mark.parametrize("answer", [None, 7, "0xzz", "0x12", "0x" + "ff" * 640, {}])
def test_rubbish_is_no_verdict(stage: Stage, answer: Any) -> None:
    def answers(method: str, params: Sequence[Any], given: Any) -> Any:
        return answer if is_probe(method, params) else given

    case = Case(stage, "HonestToken")
    verdict = of(probe(stage, {case.token: [case.pool]}, node_that(answers)), case)
    assert not verdict.exact and not verdict.known


@pytest.mark.parametrize("answer", [None, RpcError("eth_getCode", -32000, "pruned")])
def test_a_pool_whose_code_is_not_to_be_had_is_no_verdict(stage: Stage, answer: Any) -> None:
    """Not tried without it: the token might ask the pool something."""

    def answers(method: str, params: Sequence[Any], given: Any) -> Any:
        return answer if method == "eth_getCode" else given

    case = Case(stage, "HonestToken")
    verdict = of(probe(stage, {case.token: [case.pool]}, node_that(answers)), case)
    assert not verdict.exact and not verdict.known


def test_one_probe_that_fails_leaves_others_their_verdicts(stage: Stage) -> None:
    honest, failing, fee = (
        Case(stage, name) for name in ("HonestToken", "HonestToken", "FeeToken")
    )
    fee.do("set(address,bool,bool,uint256,bool)", fee.pool, True, True, 0, False)

    def answers(method: str, params: Sequence[Any], given: Any) -> Any:
        if is_probe(method, params) and failing.token[2:].lower() in params[0]["data"]:
            return RpcError(method, -32000, "execution aborted (timeout = 5s)")
        return given

    cases = (honest, failing, fee)
    verdicts = probe(stage, {case.token: [case.pool] for case in cases}, node_that(answers))
    assert [(of(verdicts, c).exact, of(verdicts, c).known) for c in cases] == [
        (True, True), (False, False), (False, True)
    ]  # fmt: skip
    assert "execution aborted (timeout = 5s)" in of(verdicts, failing).reason


def test_a_known_fault_at_one_pool_outweighs_a_failure_at_another(stage: Stage) -> None:
    case, other = Case(stage, "FeeToken"), pool_of(stage, index=1)
    case.do("mint(address,uint256)", other, 2 * SUPPLY)
    case.do("set(address,bool,bool,uint256,bool)", case.pool, True, True, 0, False)

    def answers(method: str, params: Sequence[Any], given: Any) -> Any:
        fails = is_probe(method, params) and other.lower() in params[2]
        return RpcError(method, -32000, "out of gas") if fails else given

    node = node_that(answers)
    assert "takes a fee" in of(probe(stage, {case.token: [case.pool, other]}, node), case).reason
    # Alone it would have been exact; with a failure beside it, it is not known.
    case.do("set(address,bool,bool,uint256,bool)", case.pool, False, False, 0, False)
    assert not of(probe(stage, {case.token: [case.pool, other]}, node), case).known


def test_little_gas_is_no_verdict(stage: Stage) -> None:
    """A node that grants less than it is asked for: the probe stops in time, and says so."""

    def asks(method: str, params: Sequence[Any]) -> Sequence[Any]:
        if not is_probe(method, params):
            return params
        return [{**params[0], "gas": hex(1_300_000)}, *params[1:]]

    case = Case(stage, "HonestToken")
    verdict = of(probe(stage, {case.token: [case.pool]}, node_that(asks=asks)), case)
    assert not verdict.exact and not verdict.known
    assert "the gas of the eth_call ran out" in verdict.reason


def test_a_lost_connection_is_a_node_error(stage: Stage) -> None:
    class Lost(Rpc):
        async def batch(self, *arguments: Any, **options: Any) -> list[Any]:
            await self.close()
            return await super().batch(*arguments, **options)

    case = Case(stage, "HonestToken")
    with pytest.raises(NodeError, match="closed"):
        probe(stage, {case.token: [case.pool]}, Lost)


# ---- Amounts of work ----


def test_each_probe_fits_what_every_node_grants_though_all_gas_is_burnt() -> None:
    """Eleven moves at the limit and two balances after each, within the gas of the call."""
    moves = 11
    most = moves * (token_filter.TRANSFER_GAS + 2 * 200_000) + 2 * 200_000 + 600_000
    assert most < token_filter.CALL_GAS == 16_777_216
    assert token_filter.READS_PER_CALL * 200_000 < token_filter.CALL_GAS


def test_progress_counts_every_pool_tried_and_messages_stay_few(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_filter, "PROBES_AT_ONCE", 4)
    cases = [Case(stage, "HonestToken") for _ in range(5)]
    second = pool_of(stage, index=1)
    for case in cases:
        case.do("mint(address,uint256)", second, SUPPLY)
    seen: list[tuple[int, int]] = []
    holders = {case.token: [case.pool, second] for case in cases}
    verdicts = probe(stage, holders, on_progress=lambda done, total: seen.append((done, total)))
    assert all(verdict.exact for verdict in verdicts.values()) and len(verdicts) == 5
    assert seen == [(4, 10), (8, 10), (10, 10)]
