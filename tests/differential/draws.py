"""Random numbers of the shapes that break arithmetic: dust, whales, type limits, neighbours."""

from random import Random


def magnitude(rng: Random, low: int, high: int) -> int:
    """An integer of [low, high], every number of bits as likely as any other."""
    bits = rng.randint(low.bit_length(), high.bit_length())
    value = rng.getrandbits(bits) | (1 << bits >> 1)
    return min(max(value, low), high)


def near(rng: Random, value: int, low: int, high: int) -> int:
    """`value`, or a few units beside it, within [low, high]."""
    return min(max(value + rng.choice((-2, -1, -1, 0, 0, 1, 1, 2)), low), high)


def round_number(rng: Random, high: int) -> int:
    """A power of two or of ten, or beside one, at most `high`."""
    if rng.random() < 0.5:
        return near(rng, 1 << rng.randint(0, high.bit_length()), 1, high)
    return near(rng, 10 ** rng.randint(0, len(str(high))), 1, high)


def share(rng: Random, whole: int) -> int:
    """A part of `whole`: from a millionth to a little more than all of it."""
    return max(1, whole * int(10 ** rng.uniform(0, 6.2)) // 10**6)
