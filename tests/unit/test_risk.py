"""Each limit stops sending when it is reached, says why, and ends as it should."""

import pytest

from mevfast.config import Risk
from mevfast.execution.risk import HOUR_S, RiskGate

LIMITS = Risk(
    max_consecutive_reverts=3, max_gas_wei_per_hour=1000, min_balance_wei=50, max_head_age_s=2.0
)


class Clock:
    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> RiskGate:
    return RiskGate(LIMITS, clock)


def test_nothing_stands_at_first(gate: RiskGate) -> None:
    assert gate.reason(0.0) == ""


def test_reverts_in_a_row_stand_until_a_restart(gate: RiskGate, clock: Clock) -> None:
    for _ in range(2):
        gate.reverted(1)
    assert gate.reason(0.0) == ""
    gate.landed(1)
    for _ in range(2):
        gate.reverted(1)
    assert gate.reason(0.0) == ""  # not in a row
    gate.reverted(1)
    reason = gate.reason(0.0)
    assert "3 transactions reverted or refused in a row" in reason
    assert "risk.max_consecutive_reverts = 3" in reason
    clock.now += 10 * HOUR_S
    assert gate.reason(0.0) == reason


def test_refusals_count_as_reverts_that_cost_nothing(gate: RiskGate) -> None:
    gate.refused()
    gate.reverted(1)
    assert gate.reason(0.0) == ""
    gate.refused()
    assert "3 transactions reverted or refused in a row" in gate.reason(0.0)


def test_gas_counts_for_an_hour_whatever_came_of_it(gate: RiskGate, clock: Clock) -> None:
    gate.landed(400)
    clock.now += HOUR_S / 2
    gate.reverted(599)
    assert gate.reason(0.0) == ""
    gate.landed(1)
    assert "1000 wei of gas spent within the hour" in gate.reason(0.0)
    assert "risk.max_gas_wei_per_hour = 1000" in gate.reason(0.0)
    clock.now += HOUR_S / 2 + 1  # the first is more than an hour ago
    assert gate.reason(0.0) == ""
    gate.landed(399)
    assert gate.reason(0.0) == ""
    gate.landed(1)
    assert gate.reason(0.0)


def test_an_account_that_runs_dry(gate: RiskGate) -> None:
    gate.balance_wei = 50
    assert gate.reason(0.0) == ""
    gate.balance_wei = 49
    assert "holds 49 wei" in gate.reason(0.0)
    assert "risk.min_balance_wei = 50" in gate.reason(0.0)
    gate.balance_wei = 50
    assert gate.reason(0.0) == ""


def test_an_old_head(gate: RiskGate) -> None:
    assert gate.reason(2.0) == ""
    assert "newest head is 2.1 s old (risk.max_head_age_s = 2)" in gate.reason(2.1)
    assert gate.reason(0.1) == ""
