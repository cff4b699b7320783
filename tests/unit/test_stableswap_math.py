"""The short way to where get_y's steps rest: the same number, or none, wherever the root lies."""

import random
from collections import Counter
from collections.abc import Iterator

from tests.oracle import harness


def steps(c: int, b: int, d: int) -> int | None:
    """Where y = (y * y + c) / (2 * y + b - D) comes to rest from D on; None where it fails."""
    y = d
    for _ in range(255):
        before, below = y, 2 * y + b - d
        if below <= 0:
            return None
        if max(y * y + c, 2 * y + b) >= 1 << 256:
            return None
        y = (y * y + c) // below
        if abs(y - before) <= 1:
            return y
    return None


def compare(cases: Iterator[tuple[int, int, int]]) -> Counter[str]:
    seen: Counter[str] = Counter()
    for c, b, d in cases:
        status, short, long = harness.stable_y(c, b, d)
        expected = steps(c, b, d)
        assert (status != 0) == (expected is None), (c, b, d)
        if expected is not None:
            assert long == expected, (c, b, d)
        assert short in (None, expected), (c, b, d)
        seen["long" if short is None else "short"] += 1
    return seen


def small() -> Iterator[tuple[int, int, int]]:
    for d in (1, 2, 3, 7, 20, 63, 200):
        for b in (*range(12), 30, 90, 250):
            for c in (*range(60), *range(60, 3000, 83)):
                yield c, b, d


def near_integer_roots(rng: random.Random) -> Iterator[tuple[int, int, int]]:
    """Roots of y * y + (b - d) * y = c that are integers, and their closest neighbours."""
    for _ in range(20_000):
        root = rng.getrandbits(rng.randint(1, 120))
        beta = rng.getrandbits(rng.randint(1, 120)) * rng.choice([-1, 1])
        c = root * (root + beta) + rng.randint(-6, 3)
        d = root + rng.getrandbits(rng.randint(1, 122)) - rng.choice([0, 0, 0, 1])
        if c >= 0 and d > 0 and beta + d >= 0:
            yield c, beta + d, d


def whales(rng: random.Random) -> Iterator[tuple[int, int, int]]:
    for _ in range(5_000):
        c, b, d = (rng.getrandbits(rng.randint(1, bits)) for bits in (256, 132, 132))
        yield c, b, d + 1


def test_small_numbers() -> None:
    seen = compare(small())
    assert seen["short"] > 3_000
    assert seen["long"] > 3_000


def test_roots_at_integers_and_a_hair_beside_them() -> None:
    seen = compare(near_integer_roots(random.Random(7)))
    assert seen["short"] > 5_000
    assert seen["long"] > 1_000


def test_numbers_at_the_limits() -> None:
    seen = compare(whales(random.Random(8)))
    assert seen["short"] > 1_000
    assert seen["long"] > 300
