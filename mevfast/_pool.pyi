from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

AFTER_FIELDS: dict[str, tuple[str, ...]]
KINDS: tuple[str, ...]
KIND_NUMBERS: dict[str, int]

class Quote(NamedTuple):
    amount_in: int
    amount_out: int
    after: dict[str, Any]
    price_before: float
    price_after: float
    @property
    def price_impact(self) -> float | None: ...

class Refused(NamedTuple):
    reason: str

class Pool:
    kind: str
    n_tokens: int
    def __init__(self, kind: str, fields: Mapping[str, Any], where: str = "") -> None: ...
    def fields(self) -> dict[str, Any]: ...
    def quote(
        self,
        token_in: int,
        amount: int,
        exact: Literal["in", "out"] = "in",
        sqrt_price_limit_x96: int | None = None,
        token_out: int | None = None,
    ) -> Quote | Refused: ...
    def apply(
        self,
        token_in: int,
        amount: int,
        exact: Literal["in", "out"] = "in",
        token_out: int | None = None,
    ) -> Quote | Refused: ...
    def marginal_price(self, token_in: int, token_out: int | None = None) -> float: ...
    def price_bound(self, token_in: int, token_out: int | None = None) -> float: ...
    def slope(self, token_in: int, amount: int, token_out: int | None = None) -> float: ...
    def time_quotes(
        self,
        token_in: int,
        amount: int,
        exact: Literal["in", "out"],
        count: int,
        token_out: int | None = None,
    ) -> float: ...
