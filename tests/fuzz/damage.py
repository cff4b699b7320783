"""How a JSON document is damaged so that it stays one: values and shapes change, the form does not.

Deterministic by the dice given.
"""

import json
from random import Random
from typing import Any

_ODD: dict[str, list[Any]] = {
    "vectors": [
        None, True, False, 0, 1, -1, 2, 7, 255, 1 << 31, 1 << 53, -(1 << 63), (1 << 64) - 1, 0.5,
        -0.0, 1e300, "", "0", "1", "-1", "00", "0x1", "1e3", " 1", "1_0", "\u0661", "inf", "a" * 80,
        str((1 << 112) - 1), str(1 << 112), str((1 << 127) - 1), str(1 << 127), str((1 << 128) - 1),
        str((1 << 160) - 1), str(1 << 255), str((1 << 256) - 1), str(1 << 256), "9" * 5000,
        "-" + "9" * 30, "4295128739", "-887272", "887272", "10000000000", [], {}, [[]], [[1, 2]],
        ["1", "-1"], {"a": 1},
    ],
    "wire": [
        None, True, False, 0, -1, 1.5, 1e99, "", "0x", "0x0", "0x00", "0xg", "0X1", "0x" + "f" * 8,
        "0x1" + "0" * 8, "0x" + "f" * 16, "0x1" + "0" * 16, "0x" + "0" * 17, "0x" + "a" * 40,
        "0x" + "b" * 63, "0x" + "c" * 64, "0x" + "d" * 65, "0x" + "e" * 512, "0x" + "e" * 640,
        "\u00e9", "\\", '"', "\x00", [], {}, [[]], ["0x" + "1" * 64] * 5, {"topics": []},
    ],
}  # fmt: skip


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            _places(value[key], found)
    return found


def _nudged(value: Any, dice: Random) -> Any:
    """A number or a hex string a little or a lot off; anything else as it is."""
    if isinstance(value, str) and value.startswith("0x"):
        return _nudged_hex(value, dice)
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return value
    step = dice.choice((1, -1, number, -number // 2, 1 << dice.randrange(260), -2 * number))
    return str(number + step) if isinstance(value, str) else number + step


def _nudged_hex(value: str, dice: Random) -> str:
    """Another digit, more of them or fewer, at either end."""
    digits = value[2:]
    match dice.randrange(5):
        case 0 if digits:
            i = dice.randrange(len(digits))
            digits = digits[:i] + dice.choice("0123456789abcdefABCDEFgG \\") + digits[i + 1 :]
        case 1:
            digits += dice.choice("0f") * dice.choice((1, 2, 8, 64))
        case 2:
            digits = dice.choice("01") * dice.choice((1, 2, 15, 16, 64)) + digits
        case 3:
            digits = digits[: -dice.choice((1, 2, 63, 64))]
        case 4:
            digits = digits.upper()
    return "0x" + digits


def names(documents: list[bytes]) -> list[str]:
    """All keys in these documents."""
    places = [place for each in documents for place in _places(json.loads(each), [])]
    return sorted({key for _, key in places if isinstance(key, str)})


def damaged(document: bytes, dice: Random, target: str, known: list[str]) -> bytes | None:
    """The document with one to four changes of values or shape; None where it is no JSON object.

    `known` are keys that an object may get.
    """
    try:
        tree = json.loads(document)
        places = _places(tree, []) if isinstance(tree, dict) else []
    except (ValueError, RecursionError):
        return None
    if not places:
        return None
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        holder, key = dice.choice(places)
        other, other_key = dice.choice(places)
        match dice.randrange(7):
            case 0:
                del holder[key]
            case 1 | 2:
                holder[key] = _copy(dice.choice(_ODD[target]))
            case 3 | 4:
                holder[key] = _nudged(holder[key], dice)
            case 5:
                holder[key] = _copy(other[other_key])
            case 6 if isinstance(holder, list):
                holder.insert(key, _copy(holder[key]))
            case 6:
                holder[dice.choice(known)] = _copy(other[other_key])
        places = _places(tree, [])
        if not places:
            break
    indent = dice.choice((None, None, None, 1, "\t"))
    return json.dumps(tree, indent=indent, ensure_ascii=dice.random() < 0.9).encode(
        "utf-8", "surrogatepass"
    )
