"""The frame scanner against orjson: same values or no event, on every spelling and on rubbish."""

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from mevfast import _wire
from tests.unit import wire_oracle as oracle
from tests.unit.wire_nodes import HEAD_ORDER, LOG_ORDER, respelt

ROOT = Path(__file__).parents[2]
RECORDED: dict[str, bytes] = {
    entry["name"]: entry["frame"].encode()
    for entry in json.loads((ROOT / "tests/vectors/frames.json").read_text())["frames"]
}
MESSAGES = {name: frame for name, frame in RECORDED.items() if name != "pending_transaction"}


def with_result(frame: bytes, **changes: Any) -> bytes:
    message = orjson.loads(frame)
    message["params"]["result"] |= changes
    return orjson.dumps(message)


def without(frame: bytes, key: str) -> bytes:
    message = orjson.loads(frame)
    del message["params"]["result"][key]
    return orjson.dumps(message)


@pytest.mark.parametrize("name", MESSAGES)
def test_recorded_frame_is_read_as_orjson_reads_it(name: str) -> None:
    expected = oracle.read(RECORDED[name])
    assert expected is not None
    assert _wire.parse(RECORDED[name]) == expected


def test_recorded_kinds() -> None:
    kinds = {name: event["kind"] for name, frame in MESSAGES.items()
             if (event := _wire.parse(frame)) and event["message"] == "log"}  # fmt: skip
    assert {name: kind for name, kind in kinds.items() if kind == name} == {
        name: name
        for name in ("v2_sync", "v2_swap", "v3_initialize", "v3_mint", "v3_burn", "v3_swap")
    }
    for name, kind in (
        ("v3_swap_short", "v3_swap"), ("sync_no_data", "v2_sync"), ("sync_odd_length", "v2_sync"),
    ):  # fmt: skip
        event = _wire.parse(RECORDED[name])
        assert event is not None
        assert (event["kind"], event["misshapen"]) == (kind, True)


def test_the_events_known_are_those_that_the_contracts_sign() -> None:
    known = {
        event.signature: (event.kind, event.n_topics, event.n_words, event.n_per_item)
        for event in _wire.EVENTS
    }
    assert known == oracle.SHAPES
    assert len(known) == len(_wire.EVENTS)
    assert {event.kind for event in _wire.EVENTS} == {*_wire.KINDS.values()} - {"unknown"}
    for event in _wire.EVENTS:
        assert event.topic0 == keccak(text=event.signature)


PUBLISHED = {
    "1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1": "v2_sync",
    "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822": "v2_swap",
    "cf2aa50876cdfbb541206f89af0ee78d44a2abf8d328e37fa4917f982149848a": "solidly_sync",
    "98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95": "v3_initialize",
    "7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde": "v3_mint",
    "0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c": "v3_burn",
    "c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67": "v3_swap",
    "19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83": "pancake_swap",
    "598b9f043c813aa6be3426ca60d1c65d17256312890be5118dab55b0775ebe2a": "algebra_fee",
    "8a89de70856bccec096661388f305b9a75f5f65cb0d8a0e1e803c39dabedb57f": "algebra_fees",
    "40e9cecb9f5f1f1c5b9c97dec2917b7ee92e57ba5563708daca94dd84ad7112f": "v4_swap",
    "f208f4912782fd25c7f114ca3723a2d5dd6f3bcc3ac8db5af63baa85f711d5ec": "v4_modify_liquidity",
    "dd466e674ea557f56295e2d0218a125ea4b4f0f6f3307b95f85e6110838d6438": "v4_initialize",
    "8b3e96f2b889fa771c53c981b40daf005f63f637f1869f707052d15a3dd97140": "curve_exchange",
    "b2e76ae99761dc136e598d4a629bb347eccb9532a5f8bbd72e18467c3c34cc98": "crypto_exchange",
    "143f1f8e861fbdeddd5b46e844b7d3ac7b86a122f36e8c463859ee6811b1f29c": "crypto_exchange",
    "2170c741c41531aec20e7c107c24eecfdd15e69c9bb0a8dd37b1840b9e0b207b": "balancer_swap",
    "e5ce249087ce04f05a957192435400fd97868dba0e6a4b4c049abf8af80dae78": "balancer_changed",
    "6edcaf6241105b4c94c2efdbf3a6b12458eb3d07be3a0e81d24b13c44045fe7a": "balancer_managed",
    "a4877b8ecb5a00ba277e4bceeeb187a669e7113649774dfbea05c259ce27f17b": "camelot_fees",
    "b6a86710bde53aa7fb1b3856279e2af5b476d53e2dd0902cf17a0911b5a43a8b": "camelot_type",
}
"""Topics as block explorers show them."""


def test_published_topics_are_known() -> None:
    by_topic = {event.topic0.hex(): event.kind for event in _wire.EVENTS}
    assert {topic: by_topic.get(topic) for topic in PUBLISHED} == PUBLISHED


def shaped(event: _wire.Event, n_topics: int, data: str) -> dict[str, Any]:
    """The recorded log with this event's topic0 and as many topics, and with other data."""
    topics = ["0x" + event.topic0.hex()] + ["0x" + "11" * 32] * (n_topics - 1)
    read = _wire.parse(with_result(RECORDED["log0"], topics=topics, data="0x" + data))
    assert read is not None
    assert read == oracle.read(with_result(RECORDED["log0"], topics=topics, data="0x" + data))
    return read


@pytest.mark.parametrize("event", _wire.EVENTS, ids=lambda event: event.signature)
def test_a_log_of_another_shape_is_misshapen(event: _wire.Event) -> None:
    words = event.n_words + 2 * event.n_per_item
    whole = shaped(event, event.n_topics, "22" * 32 * words)
    assert (whole["kind"], whole["misshapen"], len(whole["words"])) == (event.kind, False, words)
    for topics, data in (
        (event.n_topics % 4 + 1, "22" * 32 * words),
        (event.n_topics, "22" * 32 * (words + 1)),
        (event.n_topics, "22" * 32 * (words - 1)),
        (event.n_topics, "22" * (32 * words + 1)),
        (event.n_topics, ""),
        (event.n_topics, "22" * 32 * 31),
    ):
        read = shaped(event, topics, data)
        assert (read["kind"], read["misshapen"]) == (event.kind, True)


def test_eight_tokens_of_a_join_are_read_and_nine_are_too_many() -> None:
    (event,) = (event for event in _wire.EVENTS if event.kind == "balancer_changed")
    assert not shaped(event, 3, "00" * 32 * 30)["misshapen"]
    assert shaped(event, 3, "00" * 32 * 33)["misshapen"]


def test_nothing_of_the_frame_before_is_left() -> None:
    """What is not counted in words and topics is not cleared: a second log must not see it."""
    swap, sync = RECORDED["v3_swap"], RECORDED["v2_sync"]
    before = _wire.parse(sync)
    assert _wire.parse(swap) == oracle.read(swap)
    assert _wire.parse(sync) == before == oracle.read(sync)


def test_anything_else_is_left_to_others() -> None:
    for frame in (
        RECORDED["pending_transaction"],
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"jsonrpc":"2.0","id":1,"result":"0x1"}',
        b"[" + RECORDED["v2_sync"] + b"]",
        RECORDED["v2_sync"] + b"x",
        RECORDED["v2_sync"] * 2,
        RECORDED["v2_sync"].replace(b"eth_subscription", b"eth_subscriptioN"),
    ):
        assert _wire.parse(frame) is None


@pytest.mark.parametrize("node", LOG_ORDER)
def test_log_spellings_of_other_nodes(node: str) -> None:
    for frame in MESSAGES.values():
        event = oracle.read(frame)
        if event and event["message"] == "log":
            assert _wire.parse(respelt(frame, LOG_ORDER[node])) == event


@pytest.mark.parametrize("node", HEAD_ORDER)
def test_head_spellings_of_other_nodes(node: str) -> None:
    for name in ("head_empty", "head_with_transaction", "head_plain"):
        frame = respelt(RECORDED[name], HEAD_ORDER[node], sendCount="0x1", l1BlockNumber=7)
        assert _wire.parse(frame) == oracle.read(RECORDED[name])


def test_upper_case_digits_are_digits() -> None:
    for frame in MESSAGES.values():
        upper = re.sub(rb'"0x[0-9a-f]+', lambda digits: b'"0x' + digits[0][3:].upper(), frame)
        assert upper != frame
        assert _wire.parse(upper) == oracle.read(frame)


LOG_KEYS = ["address", "topics", "data", "blockNumber", "blockHash"]
LOG_KEYS += ["transactionHash", "transactionIndex", "logIndex"]
HEAD_KEYS = ["number", "hash", "parentHash", "timestamp", "gasLimit"]


@pytest.mark.parametrize("key", LOG_KEYS)
def test_log_with_a_field_missing_or_null_is_no_log(key: str) -> None:
    assert _wire.parse(without(RECORDED["v3_swap"], key)) is None
    assert _wire.parse(with_result(RECORDED["v3_swap"], **{key: None})) is None


@pytest.mark.parametrize("key", HEAD_KEYS)
def test_head_with_a_field_missing_or_null_is_no_head(key: str) -> None:
    assert _wire.parse(without(RECORDED["head_plain"], key)) is None
    assert _wire.parse(with_result(RECORDED["head_plain"], **{key: None})) is None


def test_optional_fields() -> None:
    log, head = _wire.parse(RECORDED["v2_sync"]), _wire.parse(RECORDED["head_plain"])
    assert log is not None
    assert head is not None
    assert _wire.parse(without(RECORDED["v2_sync"], "removed")) == log | {"removed": False}
    assert _wire.parse(with_result(RECORDED["v2_sync"], removed=True)) == log | {"removed": True}
    assert _wire.parse(with_result(RECORDED["v2_sync"], removed="true")) is None
    assert head["base_fee"] > 0
    assert _wire.parse(without(RECORDED["head_plain"], "baseFeePerGas")) == head | {"base_fee": 0}
    pre_1559 = with_result(RECORDED["head_plain"], baseFeePerGas=None)
    assert _wire.parse(pre_1559) == head | {"base_fee": 0}
    assert len(head["logs_bloom"]) == 256
    for no_bloom in (
        without(RECORDED["head_plain"], "logsBloom"),
        with_result(RECORDED["head_plain"], logsBloom=None),
    ):
        assert _wire.parse(no_bloom) == head | {"logs_bloom": None}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("head_plain", "baseFeePerGas", "0x10000000000000000"),
        ("head_plain", "number", "0x10000000000000000"),
        ("head_plain", "number", 5),
        ("head_plain", "number", "0x"),
        ("head_plain", "number", "5"),
        ("head_plain", "hash", "0x" + "0" * 62),
        ("head_plain", "logsBloom", "0x" + "0" * 510),
        ("v2_sync", "logIndex", "0x100000000"),
        ("v2_sync", "blockNumber", "0x1g"),
        ("v2_sync", "address", "0x" + "0" * 42),
        ("v2_sync", "address", "0x" + "0" * 39 + "g"),
        ("v2_sync", "data", "0x123"),
        ("v2_sync", "data", ""),
        ("v2_sync", "data", "0x" + "0" * 63 + " "),
        ("v2_sync", "topics", ["0x" + "1" * 63]),
        ("v2_sync", "topics", ["0x" + "1" * 64] * 5),
        ("v2_sync", "topics", ["0x" + "1" * 64, None]),
        ("v2_sync", "topics", "0x" + "1" * 64),
    ],
)
def test_malformed_field_is_no_event(name: str, key: str, value: Any) -> None:
    assert _wire.parse(with_result(RECORDED[name], **{key: value})) is None


def test_field_named_twice_is_no_event() -> None:
    frame = RECORDED["v2_sync"]
    assert _wire.parse(frame.replace(b'"removed":false', b'"removed":false,"removed":true')) is None
    assert _wire.parse(frame.replace(b'"params"', b'"params":{},"params"')) is None
    assert _wire.parse(frame.replace(b'"result"', b'"result":{},"result"')) is None


def test_every_hex_digit_position_is_checked_and_placed() -> None:
    """Each byte value at each place of a word: a digit is decoded, anything else refused."""
    message = orjson.loads(RECORDED["eight_words"])
    random_word = f"{random.Random(1).getrandbits(256):064x}"
    for place in range(64):
        for value in range(256):
            word = bytearray(random_word.encode())
            word[place] = value
            frame = RECORDED["eight_words"].replace(
                message["params"]["result"]["data"].encode(), b"0x" + bytes(word)
            )
            event = _wire.parse(frame)
            if chr(value) in "0123456789abcdefABCDEF":
                assert event is not None
                assert event["words"] == [int(word, 16)]
            else:
                assert event is None, (place, value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e90, 1e90, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-90)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
known_keys = set(LOG_KEYS + HEAD_KEYS + ["removed", "baseFeePerGas"])
extra_keys = st.from_regex(r"\A[a-zA-Z0-9_ ]{1,18}\Z").filter(lambda key: key not in known_keys)


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(sorted(MESSAGES)),
    extra=st.dictionaries(extra_keys, json_values, max_size=4),
    outer=st.dictionaries(extra_keys.filter(lambda k: k != "method"), json_values, max_size=2),
    seed=st.randoms(use_true_random=False),
    indent=st.sampled_from([None, 0, 1, "\t", "\r\n "]),
)
def test_order_space_and_extra_keys_do_not_matter(
    name: str,
    extra: dict[str, Any],
    outer: dict[str, Any],
    seed: random.Random,
    indent: int | str | None,
) -> None:
    def shuffled(pairs: dict[str, Any]) -> dict[str, Any]:
        return dict(seed.sample(list(pairs.items()), len(pairs)))

    message = orjson.loads(RECORDED[name])
    result = shuffled(message["params"]["result"] | extra)
    params = shuffled(message["params"] | {"result": result, "x": outer})
    frame = json.dumps(
        shuffled(message | {"y": outer} | {"params": params}),
        indent=indent,
        ensure_ascii=False,
    ).encode("utf-8", "surrogatepass")
    event = _wire.parse(frame)
    assert event == oracle.read(RECORDED[name])


def mutant(frame: bytes, dice: random.Random) -> bytes:
    """The frame with one to three small damages."""
    text = bytearray(frame)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        i = dice.randrange(len(text))
        j = min(len(text), i + dice.randrange(1, 70))
        match dice.randrange(8):
            case 0:
                text[i] = dice.randrange(256)
            case 1:
                text[i] = dice.choice(b'"\\{}[]:,0123456789abcdefABCDEFxX nulltrue.-+eE\n\t')
            case 2:
                text.insert(i, dice.choice(b'"\\{}[]:,0aF n\x00\x1f\x7f\x80\xc3\xed\xff'))
            case 3:
                del text[i]
            case 4:
                del text[i:j]
            case 5:
                text[i:i] = text[i:j]
            case 6:
                text[i] ^= 1 << dice.randrange(8)
            case 7:
                del text[j:]
        if not text:
            break
    return bytes(text)


def mutants(count: int, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    frames = list(MESSAGES.values())
    frames += [json.dumps(orjson.loads(frame), indent=1).encode() for frame in frames]
    frames += [respelt(MESSAGES["v3_swap"], LOG_ORDER["geth"], extra=[1.5, {"a": "\\u0041é"}])]
    return [mutant(dice.choice(frames), dice) for _ in range(count)]


def test_damaged_frame_is_read_as_orjson_reads_it_or_not_at_all() -> None:
    events = 0
    for frame in mutants(30_000, seed=20261122):
        event, expected = _wire.parse(frame), oracle.read(frame)
        if event is not None:
            events += 1
            assert event == expected, frame
        else:
            assert expected is None or oracle.refused_by_design(frame), frame
    assert 2_000 < events < 15_000  # the damage is neither all harmless nor all fatal


HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include "wire.h"

typedef int scanner(const char *, ptrdiff_t, log_event *, head_event *);

/* Scans, prints the message and a checksum of what it filled. */
static void show(scanner *scan, const char *frame, uint32_t n) {
    log_event log = {0};
    head_event head = {0};
    uint64_t sum = 0;
    int message = scan(frame, n, &log, &head);
    const unsigned char *bytes = message == WIRE_LOG ? (void *)&log : (void *)&head;
    size_t size = message == WIRE_LOG ? sizeof log : message == WIRE_HEAD ? sizeof head : 0;
    for (size_t i = 0; i < size; i++) sum = sum * 1099511628211u + bytes[i];
    printf("%d %016llx\n", message, (unsigned long long)sum);
}

/* Frames from standard input (4-byte length, then bytes), each scanned in a block of exactly its
 * size, by the twin that the processor gets and by the one that all have: a line for each. */
int main(void) {
    uint32_t n;
    while (fread(&n, 4, 1, stdin) == 1) {
        char *frame = malloc(n);
        if (n && fread(frame, n, 1, stdin) != 1) return 1;
        show(wire_scan, frame, n);
        show(wire_scan_portable, frame, n);
        free(frame);
    }
    return 0;
}
"""


def scanned(tmp_path: Path, frames: list[bytes], *flags: str) -> list[str]:
    """The harness's line for each frame, built with sanitizers and the flags given."""
    (tmp_path / "harness.c").write_text(HARNESS)
    binary = tmp_path / f"harness{len(flags)}"
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", *flags]
    command += ["-I", str(ROOT / "mevfast/include"), "harness.c", "-o", str(binary)]
    subprocess.run(command, cwd=tmp_path, check=True)
    stream = b"".join(len(frame).to_bytes(4, "little") + frame for frame in frames)
    ran = subprocess.run([binary], input=stream, capture_output=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]
    lines = ran.stdout.decode().splitlines()
    assert lines[::2] == lines[1::2]  # the twins agree
    return lines[::2]


@pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler")
def test_no_read_outside_the_frame_and_all_twins_agree(tmp_path: Path) -> None:
    frames = mutants(20_000, seed=7)
    for whole in MESSAGES.values():
        frames += [whole[:n] for n in range(len(whole) + 1)]
    lines = scanned(tmp_path, frames)
    assert len(lines) == len(frames)
    names = {"0": None, "1": "log", "2": "head"}
    for frame, line in zip(frames, lines, strict=True):
        event = _wire.parse(frame)
        assert names[line[0]] == (event and event["message"])
    assert scanned(tmp_path, frames, "-DHEX_PORTABLE") == lines
