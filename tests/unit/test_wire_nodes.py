"""The scanner on what nodes write, whole and damaged, by each twin; and hex, twin against twin."""

import random

import pytest

from mevfast import _wire
from tests.unit import wire_oracle as oracle
from tests.unit.test_wire import MESSAGES, mutant
from tests.unit.wire_nodes import LOG_ORDER, VARIANTS, spellings

SPELLINGS = spellings(list(MESSAGES.values()))
needs_avx2 = pytest.mark.skipif("avx2" not in _wire.TWINS, reason="this processor has no AVX2")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("node", LOG_ORDER)
def test_a_message_means_the_same_whoever_writes_it(node: str, variant: str) -> None:
    for i, frame in enumerate(MESSAGES.values()):
        spelt = SPELLINGS[node, variant, i]
        expected = oracle.read(frame)
        assert expected is not None
        assert oracle.read(spelt) == expected
        assert _wire.parse(spelt) == expected
        assert _wire.parse(spelt, portable=True) == expected


def test_a_damaged_spelling_never_says_what_orjson_does_not() -> None:
    dice, frames, read = random.Random(20261130), list(SPELLINGS.values()), 0
    for _ in range(20_000):
        frame = mutant(dice.choice(frames), dice)
        event, expected = _wire.parse(frame), oracle.read(frame)
        assert _wire.parse(frame, portable=True) == event, frame
        if event is not None:
            read += 1
            assert event == expected, frame
        else:
            assert expected is None or oracle.refused_by_design(frame), frame
    assert 2_000 < read < 15_000  # the damage is neither all harmless nor all fatal


def test_the_usual_envelope_is_read_to_its_last_byte() -> None:
    """What follows the result, in a frame that began as most do, is looked at like the rest."""
    frame = MESSAGES["v2_sync"]
    whole = _wire.parse(frame)
    assert whole is not None
    assert frame.endswith(b"}}}")
    for tail in (b"} }", b',"x":1}}', b'},"y":[1]}', b"}}\r\n\t ", b" } } "):
        assert _wire.parse(frame[:-2] + tail) == whole
    for tail in (b"}", b"}}}", b"}}x", b"},}", b',"result":{}}}', b'},"method":1}', b"}}\x00"):
        assert _wire.parse(frame[:-2] + tail) is None


# ---- hex ----

DIGITS = b"0123456789abcdefABCDEF"
NEAR = bytes(range(0x28, 0x68)) + b"\x00\x1f\x7f\x80\xb0\xb9\xc1\xc6\xe1\xe6\xff"
"""Digits and what lies around them, with and without the bit that ASCII does not have."""


def expected_of(digits: bytes) -> tuple[bytes | None, int | None]:
    if not all(c in DIGITS for c in digits):
        return None, None
    return bytes.fromhex(digits.decode()), int(digits, 16) if len(digits) == 64 else None


def agree(digits: bytes) -> bool:
    """Asserts that every twin decodes as Python does; whether all were digits."""
    expected = expected_of(digits)
    for twin in _wire.TWINS:
        assert _wire.hex_decoded(digits, twin) == expected, (twin, digits)
    return expected[0] is not None


def test_every_byte_at_every_place_of_a_word_is_a_digit_to_all_twins_or_to_none() -> None:
    word = bytes(random.Random(3).choice(DIGITS) for _ in range(64))
    for place in range(64):
        for value in range(256):
            agree(word[:place] + bytes([value]) + word[place + 1 :])


def test_every_pair_of_digits_is_the_byte_it_spells() -> None:
    pairs = [bytes([a, b]) for a in DIGITS for b in DIGITS]
    for i in range(len(pairs)):
        assert agree(b"".join(pairs[(i + j) % len(pairs)] for j in range(32)))


def test_random_and_adversarial_digits_of_every_length_are_the_same_to_all_twins() -> None:
    dice, good = random.Random(4), 0
    for _ in range(20_000):
        text = bytearray(dice.choices(DIGITS, k=8 * dice.randrange(0, 20)))
        for _ in range(dice.choice((0, 0, 1, 2, 5)) if text else 0):
            text[dice.randrange(len(text))] = dice.choice(NEAR)
        good += agree(bytes(text))
    assert 8_000 < good < 17_000


@needs_avx2
def test_frames_are_read_by_the_widest_twin() -> None:
    assert _wire.TWINS == ("swar", "portable", "avx2")


def test_a_twin_that_cannot_run_is_refused() -> None:
    for digits, twin in ((b"0" * 7, "swar"), (b"0" * 8, "avx512")):
        with pytest.raises((ValueError, KeyError)):
            _wire.hex_decoded(digits, twin)
