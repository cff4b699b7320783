"""What is fuzzed: the properties, and where inputs start from.

Knows nothing of the fuzzer. A property returns, or raises AssertionError or whatever it must not.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from mevfast import _wire, verify
from mevfast.errors import DataError
from tests.unit import wire_nodes, wire_oracle

VECTORS = Path(__file__).parents[1] / "vectors"
SPELT = ("v3_swap", "head_plain")
"""The recorded frames that inputs start from in every node's spelling."""
_POOLS, _CASES = 2, 3
"""Of each vector file that inputs start from: its smallest pools, and as many of their cases."""


# ---- frames ----

_FORMS: list[Any] = [
    -1, 0, -0.0, 1.5, -1.5e30, 1e-9, True, False, None, "", "\u00e9\n\"\\\x01", {}, {"a": [[]]},
]  # fmt: skip


def wire(frame: bytes) -> None:
    """What _wire decodes is what orjson sees; what it does not, orjson does not see either.

    With AVX2 and without it.
    """
    event, expected = _wire.parse(frame), wire_oracle.read(frame)
    assert event == _wire.parse(frame, portable=True), "the twins disagree"
    if event is not None:
        assert event == expected, f"decoded {event}, orjson sees {expected}"
    else:
        assert expected is None or wire_oracle.refused_by_design(frame), f"not decoded: {expected}"


def wire_seeds() -> list[bytes]:
    """Frames as a node sent them and as others would; two with every form of a value in them."""
    entries = json.loads((VECTORS / "frames.json").read_text())["frames"]
    frames = [entry["frame"] for entry in entries]
    message = json.loads(frames[0])
    message["params"]["result"]["x"] = _FORMS
    frames += [json.dumps(message, indent=1), json.dumps({"x": _FORMS} | message)]
    recorded = [entry["frame"].encode() for entry in entries if entry["name"] in SPELT]
    return [frame.encode() for frame in frames] + list(wire_nodes.spellings(recorded).values())


def wire_words() -> list[str]:
    """Keys and values worth inserting whole."""
    words: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                words.add(f'"{key}":')
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        else:
            words.add(json.dumps(value))

    for frame in wire_seeds():
        walk(json.loads(frame))
    return sorted(word for word in words if len(word) <= 100)


# ---- vector files ----


@cache
def _file() -> int:
    """A file in memory: on a disk, writing it would be most of the work."""
    return os.memfd_create("document")


def vectors(document: bytes) -> None:
    """A file is refused with DataError, or read; and then every case has an answer."""
    os.ftruncate(_file(), 0)
    os.pwrite(_file(), document, 0)
    try:
        found = verify.load(f"/proc/self/fd/{_file()}")
    except DataError:
        return
    verify.replay(found)


def vector_seeds() -> list[bytes]:
    """A small part of every committed file."""
    found = []
    for path in sorted(VECTORS.glob("*.json")):
        document = json.loads(path.read_text())
        if document.get("format") != verify.FORMAT:
            continue
        pools = sorted(document["pools"], key=lambda pool: len(json.dumps(pool)))[:_POOLS]
        cases = [
            case
            for pool in pools
            for case in [each for each in document["cases"] if each["pool"] == pool["id"]][:_CASES]
        ]
        small = {"format": document["format"], "kind": document["kind"], "pools": pools}
        found.append(json.dumps(small | {"cases": cases}).encode())
    return found
