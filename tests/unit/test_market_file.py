"""Market files written and read again; the state hash: equal for equal states, for them alone."""

import copy
import dataclasses
import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from bench import market as made
from mevfast import market_file
from mevfast._pool import KINDS, Pool, Quote
from mevfast._tx import keccak256
from mevfast.errors import DataError
from mevfast.market_file import MarketFile, MarketPool, Token, state_hash

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "market.example.json"
TOKENS = tuple(Token(f"0x{digit * 40}", digit.upper(), 18) for digit in "abcdef9")
V3_STATE = {
    "fee_pips": 500,
    "tick_spacing": 10,
    "sqrt_price_x96": 1 << 96,
    "tick": 0,
    "liquidity": 10**18,
    "ticks": [[-100, 10**18, 10**18], [100, 10**18, -(10**18)]],
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> MarketFile:
    """A made market with every kind."""
    path = str(tmp_path_factory.mktemp("market") / "made.json")
    made.make(path, 60, seed=3)
    return market_file.load(path)


def pool_of(kind: str, fields: dict[str, Any]) -> MarketPool:
    pool = Pool(kind, fields)
    address = "0x" + "1" * (64 if kind == "uniswap_v4" else 40)
    return MarketPool(address, kind, TOKENS[: pool.n_tokens], pool)


def shown(market: MarketFile) -> dict[str, Any]:
    """All that a market says, in comparable form."""
    return {field.name: getattr(market, field.name) for field in dataclasses.fields(MarketFile)} | {
        "path": "",
        "pools": [(pool.record, pool.address, pool.pool.fields()) for pool in market.pools],
    }


# ---- the file ----


@pytest.mark.parametrize("name", ["market.json", "market.json.gz"])
def test_what_is_written_is_what_is_read(market: MarketFile, tmp_path: Path, name: str) -> None:
    assert {pool.kind for pool in market.pools} == set(KINDS)
    written = dataclasses.replace(market, path=str(tmp_path / name), block_hash="0x" + "ab" * 32)
    assert market_file.write(written) == market.state_hash
    assert shown(market_file.load(written.path)) == shown(written)
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert os.listdir(tmp_path) == [name]


def test_the_same_market_is_the_same_bytes(market: MarketFile, tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "a.json.gz", "b.json.gz"):
        market_file.write(dataclasses.replace(market, path=str(tmp_path / name)))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    assert (tmp_path / "a.json.gz").read_bytes()[4:8] == bytes(4)  # RFC 1952: no time in it


def test_what_a_venue_said_of_a_pool_comes_back(tmp_path: Path) -> None:
    hooks = "0x" + "c0" * 18 + "0880"
    pool = dataclasses.replace(
        pool_of("uniswap_v4", V3_STATE | {"hooks": hooks}),
        venue="uniswap-v4",
        created=123,
        facts={"hooks": hooks, "fee_pips": 500, "decimals": [18, 6], "stable": False},
    )
    path = str(tmp_path / "market.json")
    market_file.write(MarketFile(path, 1, 2, TOKENS, TOKENS[:1], (pool,)))
    [read] = market_file.load(path).pools
    assert read.record == pool.record
    assert read.record.facts == pool.facts
    assert json.loads(Path(path).read_text())["pools"][0]["hooks"] == hooks


def test_a_balancer_pool_may_go_by_its_id(tmp_path: Path) -> None:
    document = json.loads(EXAMPLE.read_bytes())
    [entry] = [pool for pool in document["pools"] if pool["kind"] == "balancer_weighted"]
    before = state_hash(market_file.load(str(EXAMPLE)).pools)
    entry["address"] += "0002" + "00" * 9 + "7b"
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document))
    loaded = market_file.load(str(path))
    assert entry["address"] in {pool.address for pool in loaded.pools}
    assert state_hash(loaded.pools) == before


def test_a_write_that_fails_leaves_what_was_there(
    market: MarketFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "market.json"
    target.write_text("kept")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"market\.json: cannot be written: No space left"):
        market_file.write(dataclasses.replace(market, path=str(target)))
    assert target.read_text() == "kept"
    assert os.listdir(tmp_path) == ["market.json"]


def test_a_folder_that_is_not_there_is_named(market: MarketFile, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none/m\.json: cannot be written: No such file"):
        market_file.write(dataclasses.replace(market, path=str(tmp_path / "none" / "m.json")))


def test_others_may_read_it_as_far_as_the_umask_says(market: MarketFile, tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    old = os.umask(0o027)
    try:
        market_file.write(dataclasses.replace(market, path=str(path)))
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_pool_of_an_unlisted_token_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "market.json")
    pool = pool_of("uniswap_v3", V3_STATE)
    with pytest.raises(DataError, match=rf"expected its tokens in the market's list, 0x{'b' * 40}"):
        market_file.write(MarketFile(path, 1, 2, TOKENS[:1], (), (pool,)))


def changed(document: dict[str, Any], *path: Any) -> dict[str, Any]:
    """A copy with another value at a path."""
    copied = copy.deepcopy(document)
    at: Any = copied
    for step in path[:-2]:
        at = at[step]
    at[path[-2]] = path[-1]
    return copied


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("state_hash", "0x12"), "state_hash: expected 0x and 64 hex digits, was '0x12'"),
        (("state_hash", "0x" + "00" * 32), "state_hash: expected 0x000.*, its pools have 0x"),
        (("block_hash", 7), "block_hash: expected 0x and 64 hex digits, was 7"),
        (("pools", 0, "reserve0", "1"), "state_hash: expected .* changed or damaged"),
        (("pools", 0, "venue", 7), r"pools\[0\]\.venue: expected a name, was 7"),
        (("pools", 0, "created", -1), r"pools\[0\]\.created: expected an integer in \[0,"),
        (("pools", 0, "facts", []), r"pools\[0\]\.facts: expected an object, was list"),
        (("pools", 0, "facts", {"a": {}}), r"pools\[0\]\.facts\.a: expected an integer, text"),
        (("pools", 0, "facts", {"a": [1.5]}), r"pools\[0\]\.facts\.a: expected an integer, text"),
    ],
)
def test_what_is_wrong_in_a_written_file_is_named(
    market: MarketFile, tmp_path: Path, path: tuple[Any, ...], message: str
) -> None:
    file = tmp_path / "market.json"
    file.write_text(json.dumps(changed(json.loads(Path(market.path).read_bytes()), *path)))
    with pytest.raises(DataError, match=message) as caught:
        market_file.load(str(file))
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_is_named(market: MarketFile, tmp_path: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(Path(market.path).read_bytes()))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "market.json.gz"
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"market\.json\.gz: (cannot be read|expected a JSON)"):
        market_file.load(str(path))


# ---- the hash ----


def test_the_hash_is_as_documented(market: MarketFile) -> None:
    """By the words of docs/market-file.md, with nothing of the module that computes it."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(each) for each in value]
        return str(value) if type(value) is int else value

    lines = {}
    for pool in market.pools:
        state = pool.pool.fields()
        if "ticks" in state:
            state["ticks"] = [[entry[0], entry[-1]] for entry in state["ticks"]]
        address = pool.address if pool.kind == "uniswap_v4" else pool.address[:42]
        line = {
            "address": address,
            "kind": pool.kind,
            "tokens": [token.address for token in pool.tokens],
            "state": {name: text(value) for name, value in state.items()},
        }
        lines[address] = json.dumps(line, sort_keys=True, separators=(",", ":"))
    hashes = b"".join(keccak256(lines[address].encode()) for address in sorted(lines))
    assert state_hash(market.pools) == "0x" + keccak256(hashes).hex() == market.state_hash


def test_the_hash_of_the_example_stays() -> None:
    # another value here means that files and engines of other versions disagree with this one
    pools = market_file.load(str(EXAMPLE)).pools
    assert state_hash(pools) == (
        "0x1256c956d9f5ad9e8b0266d08566b5103186bbd0243494f8d31b3db89be3b120"
    )
    assert state_hash([]) == "0x" + keccak256(b"").hex()


def test_order_and_source_of_the_states_do_not_matter(market: MarketFile, tmp_path: Path) -> None:
    pools = list(market.pools)
    random.Random(1).shuffle(pools)
    tokens = tuple(reversed(market.tokens))
    path = str(tmp_path / "market.json")
    other = MarketFile(path, 7, 8, tokens, (), tuple(pools))
    assert market_file.write(other) == market.state_hash
    assert state_hash(market_file.load(path).pools) == market.state_hash


def test_gross_liquidity_that_only_some_know_does_not_matter() -> None:
    known = pool_of("uniswap_v3", V3_STATE)
    unknown = pool_of("uniswap_v3", V3_STATE | {"ticks": [[-100, 10**18], [100, -(10**18)]]})
    assert state_hash([known]) == state_hash([unknown])


def test_a_swap_away_and_the_same_state_put_agree() -> None:
    pool = pool_of("uniswap_v3", V3_STATE)
    before = state_hash([pool])
    answer = pool.pool.apply(0, 10**15)
    assert isinstance(answer, Quote)
    assert state_hash([pool]) != before
    assert state_hash([pool]) == state_hash([pool_of("uniswap_v3", V3_STATE | answer.after)])


def one_more(value: Any) -> list[Any]:
    """Every value that differs from this one by one, in one place; the opposite of a flag."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, list):
        return [
            [*value[:i], other, *value[i + 1 :]]
            for i, each in enumerate(value)
            for other in one_more(each)
        ]
    return []


@pytest.mark.parametrize("kind", KINDS)
def test_one_wei_anywhere_is_another_hash(market: MarketFile, kind: str) -> None:
    [pool, *_] = [pool for pool in market.pools if pool.kind == kind]
    state = pool.pool.fields()
    if "ticks" in state:
        state["ticks"] = [[entry[0], entry[-1]] for entry in state["ticks"][:4]]
    hashes = {state_hash([dataclasses.replace(pool, pool=Pool(kind, state))])}
    tried = 1
    for name, value in state.items():
        for other in one_more(value):
            try:
                moved = Pool(kind, state | {name: other})
            except DataError:  # a tick off its spacing, decimals that are no power of ten
                continue
            hashes.add(state_hash([dataclasses.replace(pool, pool=moved)]))
            tried += 1
    assert len(hashes) == tried
    assert tried > 3


def test_kind_tokens_and_address_are_part_of_it() -> None:
    pool = pool_of("uniswap_v3", V3_STATE)
    others = [
        dataclasses.replace(pool, address="0x" + "2" * 40),
        dataclasses.replace(pool, tokens=pool.tokens[::-1]),
        dataclasses.replace(pool, tokens=(pool.tokens[0], TOKENS[5])),
        pool_of("pancake_v3", V3_STATE),
    ]
    assert len({state_hash([each]) for each in (pool, *others)}) == 5
    assert state_hash([pool, others[0]]) != state_hash([pool])
