"""Limits that stop sending. Each says why it stands; none is lifted by sending more."""

import time
from collections import deque
from collections.abc import Callable

from mevfast.config import Risk

HOUR_S = 3600.0


class RiskGate:
    """Whether transactions may go out.

    `reason` is empty where they may. Consecutive reverts and refusals stand until a restart:
    something is wrong that waiting does not mend. The others end by themselves.
    """

    def __init__(self, limits: Risk, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds and never goes back."""
        self._limits, self._clock = limits, clock
        self._spent: deque[tuple[float, int]] = deque()
        self._spent_wei = 0
        self.consecutive_reverts = 0
        self.balance_wei: int | None = None

    def landed(self, gas_wei: int) -> None:
        """A transaction did what it should."""
        self.consecutive_reverts = 0
        self._pay(gas_wei)

    def reverted(self, gas_wei: int) -> None:
        """A transaction was mined and undone: its gas is lost."""
        self.consecutive_reverts += 1
        self._pay(gas_wei)

    def refused(self) -> None:
        """The node did not take a transaction: it cost nothing, and gained nothing."""
        self.consecutive_reverts += 1

    def _pay(self, gas_wei: int) -> None:
        self._spent.append((self._clock(), gas_wei))
        self._spent_wei += gas_wei

    def reason(self, head_age_s: float) -> str:
        """Why nothing may be sent now, in words; empty where it may."""
        limits, since = self._limits, self._clock() - HOUR_S
        while self._spent and self._spent[0][0] < since:
            self._spent_wei -= self._spent.popleft()[1]
        if self.consecutive_reverts >= limits.max_consecutive_reverts:
            return (
                f"{self.consecutive_reverts} transactions reverted or refused in a row "
                f"(risk.max_consecutive_reverts = {limits.max_consecutive_reverts}); "
                "find out why, then restart"
            )
        if self._spent_wei >= limits.max_gas_wei_per_hour:
            return (
                f"{self._spent_wei} wei of gas spent within the hour "
                f"(risk.max_gas_wei_per_hour = {limits.max_gas_wei_per_hour})"
            )
        if self.balance_wei is not None and self.balance_wei < limits.min_balance_wei:
            return (
                f"the account holds {self.balance_wei} wei "
                f"(risk.min_balance_wei = {limits.min_balance_wei}); fund it"
            )
        if head_age_s > limits.max_head_age_s:
            return (
                f"the newest head is {head_age_s:.1f} s old "
                f"(risk.max_head_age_s = {limits.max_head_age_s:g})"
            )
        return ""
