from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mevfast._scan import Scan

FUNDING_NAMES: tuple[str, ...]

class Search(Scan):
    @property
    def n_quotes(self) -> int: ...
    def configure(
        self,
        *,
        max_hops: int = 4,
        max_sized: int = 64,
        max_plans: int = 4,
        min_log_gain: float = 0.0,
        fundings: Sequence[str] = ("flash_swap",),
        min_profit: int = 0,
        max_input: int = 0,
        gas_base: int = 0,
        gas_hops: Mapping[str, int] | None = None,
        gas_funding: Sequence[int] = (0, 0, 0, 0),
    ) -> None: ...
    def lend(
        self,
        token: bytes,
        *,
        own: int = 0,
        balancer: int = 0,
        aave: int = 0,
        fee_balancer: int = 0,
        fee_aave: int = 0,
        aave_rounds_up: bool = False,
    ) -> None: ...
    def find(
        self,
        slots: Iterable[int] | None = None,
        gas_price: int = 0,
        deadline: int = 0,
        rounds: int = 1,
    ) -> list[dict[str, Any]]: ...
    def cycles(
        self, slots: Iterable[int] | None = None, gas_price: int = 0, most: int | None = None
    ) -> list[dict[str, Any]]: ...
