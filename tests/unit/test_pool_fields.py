"""A state given back as fields is the state that came in, for every pool of the vectors."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from mevfast import verify
from mevfast._pool import KINDS, Pool, Quote
from mevfast.errors import DataError

ROOT = Path(__file__).parents[2]
VECTORS = [
    document
    for document in (
        orjson.loads(path.read_bytes()) for path in sorted((ROOT / "tests/vectors").glob("*.json"))
    )
    if document.get("format") == verify.FORMAT
]
POOLS = [(document["kind"], fields) for document in VECTORS for fields in document["pools"]]
POOLS += [
    (fields["kind"], fields)
    for fields in orjson.loads((ROOT / "docs/market.example.json").read_bytes())["pools"]
]
V3 = {
    "sqrt_price_x96": 1 << 96,
    "tick": 0,
    "liquidity": 10**18,
    "tick_spacing": 60,
    "fee_pips": 3000,
}


def plain(value: Any) -> bool:
    """Whether it is of the types that a state has: integers, booleans, strings, lists of those."""
    if isinstance(value, list):
        return all(plain(entry) for entry in value)
    return type(value) in (int, bool) or (isinstance(value, str) and not value.isdecimal())


def answers(pool: Pool) -> list[Any]:
    """What a pool answers to a few amounts in each direction."""
    return [
        pool.quote(i, amount, token_out=j)
        for i in range(pool.n_tokens)
        for j in range(pool.n_tokens)
        for amount in (10**3, 10**9, 10**18)
        if i != j
    ]


def test_every_kind_is_among_them() -> None:
    assert {kind for kind, _ in POOLS} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_survives_the_way_through_its_fields(kind: str) -> None:
    for fields in (fields for of, fields in POOLS if of == kind):
        pool = Pool(kind, fields)
        given = pool.fields()
        assert all(plain(value) for value in given.values())
        again = Pool(kind, given)
        assert again.fields() == given
        assert list(again.fields()) == list(given)
        assert answers(again) == answers(pool)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_say_what_was_read(kind: str) -> None:
    # decimal strings or integers, a field that came has its value
    for fields in (fields for of, fields in POOLS if of == kind):
        given = Pool(kind, fields).fields()
        for name in given.keys() & fields.keys() - {"ticks", "hooks"}:
            assert str(given[name]).replace("'", "") == str(fields[name]).replace("'", ""), name
        for tick, came in zip(given.get("ticks", []), fields.get("ticks", []), strict=True):
            assert tick == [int(number) for number in came]


@pytest.mark.parametrize("kind", KINDS)
def test_fields_follow_a_swap(kind: str) -> None:
    moved = 0
    for fields in (fields for of, fields in POOLS if of == kind):
        pool = Pool(kind, fields)
        before = pool.fields()
        answer = pool.apply(0, 10**6, token_out=1)
        if isinstance(answer, Quote):
            moved += 1
            after = pool.fields()
            assert after | {"virtual_price": 0} == before | answer.after | {"virtual_price": 0}
    assert moved


def test_ticks_come_back_ascending_and_with_what_is_known_of_them() -> None:
    ticks = [[120, 7, -7], ["-60", "9", "5"], [60, 2]]
    given = Pool("uniswap_v3", V3 | {"ticks": ticks}).fields()["ticks"]
    assert given == [[-60, 9, 5], [60, 2], [120, 7, -7]]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([60], "ticks[0]: expected [tick, liquidity_net]"),
        ([60, 1, 1, 1], "ticks[0]: expected [tick, liquidity_net]"),
        ([60, -1, 1], "ticks[0][1]: expected an integer in [0,"),
        ([60, 1, 1 << 127], "ticks[0][2]: expected an integer in"),
        ([61, 1, 1], "ticks[0][0]: expected a multiple of 60"),
    ],
)
def test_a_wrong_tick_is_named(entry: list[int], message: str) -> None:
    with pytest.raises(DataError) as error:
        Pool("uniswap_v3", V3 | {"ticks": [entry]}, "pools[3].")
    assert str(error.value).startswith("pools[3]." + message)
