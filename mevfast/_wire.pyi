from typing import Any, NamedTuple

class Event(NamedTuple):
    """An event known by its topic0: n_topics counts topic0, n_words the data, arrays being empty.

    Each item of the arrays, which have one length, takes n_per_item words more.
    """

    signature: str
    topic0: bytes
    kind: str
    n_topics: int
    n_words: int
    n_per_item: int

EVENTS: tuple[Event, ...]
KINDS: dict[int, str]
TWINS: tuple[str, ...]

def hex_decoded(digits: bytes, twin: str) -> tuple[bytes | None, int | None]: ...
def parse(frame: bytes, portable: bool = False) -> dict[str, Any] | None: ...
def time_parse(frame: bytes, repeats: int) -> int: ...
