from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

def parse_integer(value: Any, where: str, low: int, high: int) -> int: ...
def integer_field(
    fields: Mapping[str, Any],
    name: str,
    where: str,
    low: int,
    high: int,
    default: int | None = None,
) -> int: ...
def list_field(
    fields: Mapping[str, Any], name: str, where: str, low: int, high: int
) -> Sequence[Any]: ...
def integers_field(
    fields: Mapping[str, Any], name: str, where: str, count: int, low: int, high: int
) -> list[int]: ...
def choice_field(
    fields: Mapping[str, Any], name: str, where: str, choices: Sequence[T], default: T | None = None
) -> T: ...
def decimal_strings(value: Any) -> Any: ...
