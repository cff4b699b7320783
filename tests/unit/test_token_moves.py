"""The schedule of a token's trial, and the words for what its report says."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from mevfast.dex import token_moves
from mevfast.dex.token_filter import Verdict, _worst
from mevfast.dex.token_moves import LEAST_BALANCE, Move, Report, Result, fault
from mevfast.errors import DataError

HOLDER, RECEIVER = b"\x01" * 20, b"\x02" * 20
LIMIT = 500_000
TRUE = (1).to_bytes(32, "big")

balances = st.integers(LEAST_BALANCE, 2**256 - 1)


def honest(planned: list[Move], balance: int) -> Report:
    """What a token that does as it is told gives."""
    holder, receiver, results = balance, 0, []
    for move in planned:
        amount = -move.amount if move.to_pool else move.amount
        holder, receiver = holder - amount, receiver + amount
        assert holder >= 0 and receiver >= 0
        results.append(Result(True, False, False, 30_000, 32, TRUE, holder, receiver))
    return Report(balance, 0, results)


def with_result(report: Report, index: int, **changes: object) -> Report:
    results = [*report.results]
    results[index] = replace(results[index], **changes)  # type: ignore[arg-type]
    return replace(report, results=results)


@given(balances)
def test_no_side_is_ever_asked_for_more_than_it_has_and_all_comes_back(balance: int) -> None:
    planned = token_moves.moves(HOLDER, RECEIVER, balance)
    report = honest(planned, balance)
    assert (report.results[-1].holder, report.results[-1].receiver) == (balance, 0)
    assert fault(planned, report, LIMIT) == ""
    assert [move.amount > 0 for move in planned] == [True] * 9 + [False, True]  # one approval


@given(balances, st.integers(0, 10), st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_any_difference_on_either_side_is_a_fault(
    balance: int, index: int, more: int, less: int
) -> None:
    planned = token_moves.moves(HOLDER, RECEIVER, balance)
    report = honest(planned, balance)
    result = report.results[index]
    assert result.holder is not None and result.receiver is not None
    changed = with_result(
        report, index, holder=result.holder - more, receiver=result.receiver + less
    )
    assert bool(fault(planned, changed, LIMIT)) == ((more, less) != (0, 0))


@pytest.mark.parametrize(
    ("left", "arrived", "words"),
    [
        (1000, 990, "delivered 990: takes a fee"),
        (1000, 0, "delivered 0: takes a fee"),
        (1010, 1000, "took 1010 from the sender: takes a fee on top"),
        (1000, 999, "delivered 999: rounds, as shares that rebase do"),
        (1001, 999, "took 1001 and delivered 999: rounds, as shares that rebase do"),
        (1000, 997, "delivered 997: takes a fee"),
        (0, 0, "moves nothing and says that it did"),
        (1000, 1100, "took 1000 and delivered 1100: balances do not add up"),
        (900, 1000, "took 900 and delivered 1000: balances do not add up"),
    ],
)
@pytest.mark.parametrize("to_pool", [False, True])
def test_amounts_in_words(left: int, arrived: int, words: str, to_pool: bool) -> None:
    move = Move(to_pool, b"", 1000, "a transfer of 1000", to_pool)
    sender, other = 5000 - left, 5000 + arrived
    holder, receiver = (other, sender) if to_pool else (sender, other)
    result = Result(True, False, False, 1, 32, TRUE, holder, receiver)
    assert fault([move], Report(5000, 5000, [result]), LIMIT) == f"a transfer of 1000 {words}"


ERROR = bytes.fromhex("08c379a0")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", " without a reason"),
        (ERROR + encode(["string"], ["Pausable: paused"]), ": Pausable: paused"),
        (ERROR + encode(["string"], [""]), " without a reason"),
        (ERROR + encode(["string"], ["x" * 500]), ": " + "x" * 100),
        (ERROR + encode(["string"], ["\x1b[31m\nred"]), ": ?[31m?red"),
        (ERROR, ": error 0x08c379a0"),
        (ERROR + bytes(63), ": error 0x08c379a0"),
        (ERROR + b"\xff" * 96, ": " + "\ufffd" * 32),  # a length that is a lie
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), ": panic 0x11"),
        (bytes.fromhex("4e487b71") + b"\xff" * 32, ": panic 0x" + "ff" * 32),
        (bytes.fromhex("e450d38c") + bytes(96), ": error 0xe450d38c"),
        (b"\x01", ": error 0x01"),
    ],
)
def test_reverts_in_words(data: bytes, words: str) -> None:
    planned = token_moves.moves(HOLDER, RECEIVER, 10**6)
    kept = data[:260]
    failed = Result(False, False, False, 3_000, len(data), kept, 10**6, 0)
    report = Report(10**6, 0, [failed])
    assert fault(planned, report, LIMIT) == f"a transfer of 500000 out of the pool reverts{words}"
    sold = with_result(honest(planned, 10**6), 4, ok=False, size=len(data), head=kept)
    assert fault(planned, sold, LIMIT) == (
        f"cannot be sent back by the receiver: a transfer of 500000 back to the pool reverts{words}"
    )


def test_gas_that_ran_out_is_told_from_a_refusal() -> None:
    """A proxy that runs out of gas still has a 64th of it to revert with."""
    planned = token_moves.moves(HOLDER, RECEIVER, 10**6)
    for gas, words in ((LIMIT, "takes more than"), (LIMIT * 63 // 64, "takes more than"),
                       (LIMIT * 15 // 16, "reverts without")):  # fmt: skip
        failed = Result(False, False, False, gas, 0, b"", 10**6, 0)
        assert words in fault(planned, Report(10**6, 0, [failed]), LIMIT)


def test_balances_that_do_not_answer_are_a_fault_wherever_it_happens() -> None:
    planned = token_moves.moves(HOLDER, RECEIVER, 10**6)
    report = honest(planned, 10**6)
    for changed in (replace(report, holder=None), replace(report, receiver=None)):
        assert fault(planned, changed, LIMIT) == "balanceOf does not answer"
    for side in ("holder", "receiver"):
        words = fault(planned, with_result(report, 5, **{side: None}), LIMIT)
        assert words == f"balanceOf does not answer after {planned[5].words}"


def test_a_report_that_ends_early_though_all_was_well_is_no_verdict() -> None:
    planned = token_moves.moves(HOLDER, RECEIVER, 10**6)
    report = honest(planned, 10**6)
    for length in range(len(planned)):
        with pytest.raises(DataError, match=f"expected 11 moves, was {length}"):
            fault(planned, replace(report, results=report.results[:length]), LIMIT)


@given(st.binary(max_size=2000))
def test_an_answer_of_something_else_is_a_data_error(answer: bytes) -> None:
    """Random bytes are no report; where they happen to be one, it has no honest end."""
    try:
        report = token_moves.decode_report(answer)
        planned = token_moves.moves(HOLDER, RECEIVER, 10**6)
        assert fault(planned, report, LIMIT)
    except DataError:
        pass


def test_the_worst_of_several_pools_decides() -> None:
    cheap, dear = Verdict(True, "exact", 30_000), Verdict(True, "exact", 90_000)
    fee, unknown = Verdict(False, "takes a fee", 1), Verdict(False, "unknown: out of gas", 0)
    assert _worst([cheap, dear]) == dear
    assert _worst([cheap, unknown, dear]) == unknown
    assert _worst([unknown, cheap, fee]) == fee
    assert fee.known and not unknown.known and dear.known
