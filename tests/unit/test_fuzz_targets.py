"""What the fuzzer starts from holds, and damage is the same for the same dice."""

import json
from random import Random

import pytest

from mevfast import _wire, verify
from mevfast.errors import DataError
from tests.fuzz import targets
from tests.fuzz.damage import damaged, names
from tests.unit import wire_oracle

SEEDS = {"wire": targets.wire_seeds(), "vectors": targets.vector_seeds()}
PROPERTY = {"wire": targets.wire, "vectors": targets.vectors}


@pytest.mark.parametrize("target", SEEDS)
def test_properties_hold_where_inputs_start_from(target: str) -> None:
    for seed in SEEDS[target]:
        PROPERTY[target](seed)


@pytest.mark.parametrize("target", SEEDS)
def test_damage_is_json_and_repeats_with_its_dice(target: str) -> None:
    known = names(SEEDS[target])
    changed = 0
    for i in range(300):
        seed = SEEDS[target][i % len(SEEDS[target])]
        document = damaged(seed, Random(i), target, known)
        assert document is not None
        assert document == damaged(seed, Random(i), target, known)
        changed += json.loads(document) != json.loads(seed)
        PROPERTY[target](document)
    assert changed > 200


@pytest.mark.parametrize("document", [b"", b"\xff", b"[]", b"7", b"{}"])
def test_what_is_no_object_is_not_damaged(document: bytes) -> None:
    assert damaged(document, Random(1), "wire", ["a"]) is None


def test_a_wrong_event_and_a_missed_one_break_the_property(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = SEEDS["wire"][0]
    event = wire_oracle.read(frame)
    assert event is not None
    monkeypatch.setattr(
        _wire, "parse", lambda *_, **__: event | {"log_index": event["log_index"] + 1}
    )
    with pytest.raises(AssertionError, match="orjson sees"):
        targets.wire(frame)
    monkeypatch.setattr(_wire, "parse", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="not decoded"):
        targets.wire(frame)


def test_only_a_data_error_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise error

    monkeypatch.setattr(verify, "load", refuse)
    error: Exception = DataError("expected something else")
    targets.vectors(b"{}")
    error = KeyError("fee_pips")
    with pytest.raises(KeyError):
        targets.vectors(b"{}")


@pytest.mark.parametrize(
    "extra",
    [
        b'"x":1e100',
        b'"x":' + b"1" * 41,
        b'"x":' + b"[" * 61 + b"]" * 61,
        b'"method":"eth_subscription"',
        b'"\\u0061":1',
        '"\u00e9":1'.encode(),
    ],
)
def test_what_is_refused_by_design(extra: bytes) -> None:
    frame = SEEDS["wire"][0]
    odd = frame.replace(b'{"jsonrpc"', b"{" + extra + b',"jsonrpc"')
    assert _wire.parse(frame) is not None and not wire_oracle.refused_by_design(frame)
    assert _wire.parse(odd) is None and wire_oracle.refused_by_design(odd)
