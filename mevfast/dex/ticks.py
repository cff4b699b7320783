"""The initialised ticks of a concentrated-liquidity pool, read through its bitmap."""

from collections.abc import Callable, Generator

from mevfast.dex.reads import Call, value

WORD_BITS = 256
MAX_TICK = 887272


def words(spacing: int) -> range:
    """The positions of the bitmap words that can hold a tick, for ticks counted in `spacing`."""
    last = MAX_TICK // spacing
    return range(-last >> 8, (last >> 8) + 1)


def read_ticks(
    positions: range,
    spacing: int,
    word_call: Callable[[int], Call],
    tick_call: Callable[[int], Call],
    net: Callable[[bytes], int],
) -> Generator[list[Call], list[bytes], list[list[int]]]:
    """[[tick, liquidity_net], ...], ascending. One bit of the bitmap stands for `spacing` ticks."""
    answers = yield [word_call(position) for position in positions]
    found = []
    for position, answer in zip(positions, answers, strict=True):
        bits = value("uint256", answer, f"tick bitmap word {position}")
        for bit in range(WORD_BITS):
            if bits >> bit & 1:
                found.append((position * WORD_BITS + bit) * spacing)
    answers = yield [tick_call(tick) for tick in found]
    return [[tick, net(answer)] for tick, answer in zip(found, answers, strict=True)]
