"""A pool of every kind, as docs/market.example.json has them."""

from pathlib import Path
from typing import Any

import orjson

from mevfast._pool import Pool
from tests.frames import address

_FILE = Path(__file__).parents[1] / "docs" / "market.example.json"

EXAMPLES: dict[str, dict[str, Any]] = {
    pool["kind"]: Pool(pool["kind"], pool).fields()
    for pool in orjson.loads(_FILE.read_bytes())["pools"]
}
"""State fields by kind, integers."""
_KINDS = sorted(EXAMPLES)


def id_of(kind: str) -> bytes:
    """The id of the example pool: 32 bytes where it lives in a singleton."""
    first = address(5_000_000 + _KINDS.index(kind))
    return first + address(1)[:12] if kind.startswith(("uniswap_v4", "balancer")) else first


def tokens_of(kind: str) -> tuple[bytes, ...]:
    """As many tokens as its pool has."""
    n = Pool(kind, EXAMPLES[kind]).n_tokens
    return tuple(address(6_000_000 + i) for i in range(n))
