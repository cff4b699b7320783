"""The initialised ticks of a concentrated-liquidity pool: from fields that came from outside, and back.

Owns their checks and their order; what a tick does to a swap is the kernel's. A market file has
hundreds of thousands of them, so that nothing here makes Python objects for one that is right.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort

from mevfast._fields cimport quick_i128
from mevfast._math cimport i128_from_pyint, i128_to_pyint, u128_from_pyint, u128_to_pyint
from mevfast.types cimport v3_tick
from mevfast.u256 cimport (
    MAX_TICK,
    MIN_TICK,
    i128,
    i128_hi,
    i128_lo,
    u128_is_zero,
    u128_make,
)

from mevfast._fields import list_field, parse_integer
from mevfast.errors import DataError


cdef bint _quick(v3_tick *r, object entry, Py_ssize_t n, int32_t spacing) except -1:
    """*r = a right entry of common form; False where it has to be looked at by name."""
    cdef i128 number
    cdef int64_t tick
    if not quick_i128(&number, entry[0]):
        return False
    tick = <int64_t>i128_lo(number)
    if i128_hi(number) != (-1 if tick < 0 else 0):
        return False
    if not MIN_TICK <= tick <= MAX_TICK or tick % spacing != 0:
        return False
    r.tick = <int32_t>tick
    r.liquidity_gross = u128_make(0, 0)
    if n == 3:
        if not quick_i128(&number, entry[1]) or i128_hi(number) < 0:
            return False
        r.liquidity_gross = u128_make(<uint64_t>i128_hi(number), i128_lo(number))
    return quick_i128(&r.liquidity_net, entry[n - 1])


cdef int _named(v3_tick *r, object entry, str at, Py_ssize_t n, int32_t spacing) except -1:
    """*r = an entry of any form; DataError names what is wrong with it."""
    tick = parse_integer(entry[0], f"{at}[0]", MIN_TICK, MAX_TICK)
    if tick % spacing:
        raise DataError(f"{at}[0]: expected a multiple of {spacing}, was {tick}")
    r.tick = tick
    gross = parse_integer(entry[1], f"{at}[1]", 0, (1 << 128) - 1) if n == 3 else 0
    u128_from_pyint(&r.liquidity_gross, gross)
    net = parse_integer(entry[n - 1], f"{at}[{n - 1}]", -(1 << 127), (1 << 127) - 1)
    return i128_from_pyint(&r.liquidity_net, net)


cdef int _read(v3_tick *r, object entry, str where, Py_ssize_t i, int32_t spacing) except -1:
    cdef Py_ssize_t n = len(entry) if isinstance(entry, list | tuple) else 0
    if n != 2 and n != 3:
        raise DataError(
            f"{where}ticks[{i}]: expected [tick, liquidity_net] or "
            f"[tick, liquidity_gross, liquidity_net], was {entry!r:.60}"
        )
    if _quick(r, entry, n, spacing):
        return 0
    return _named(r, entry, f"{where}ticks[{i}]", n, spacing)


cdef int _by_tick(const void *a, const void *b) noexcept nogil:
    cdef int32_t x = (<const v3_tick *>a).tick, y = (<const v3_tick *>b).tick
    return (x > y) - (x < y)


cdef int _refuse_twice(tuple entries, str where) except -1:
    """DataError names the first tick that was there before."""
    seen = set()
    for i, entry in enumerate(entries):
        if int(entry[0]) in seen:
            raise DataError(
                f"{where}ticks[{i}][0]: expected every tick once, was {entry[0]} again"
            )
        seen.add(int(entry[0]))
    return 0


cdef v3_tick *ticks_field(
    uint32_t *count, object fields, str where, int32_t spacing,
) except NULL:
    """fields["ticks"], ascending and *count of them, in memory that the caller frees.

    An entry is [tick, liquidity_net] or [tick, liquidity_gross, liquidity_net] in any order, tick a
    multiple of `spacing`; gross is 0 where it has none. DataError names a wrong one.
    """
    cdef tuple entries = tuple(list_field(fields, "ticks", where, 0, 2 * MAX_TICK + 1))
    cdef Py_ssize_t i, n = len(entries)
    cdef bint ascending = True, twice = False
    cdef v3_tick *ticks = <v3_tick *>malloc(max(1, n) * sizeof(v3_tick))
    if ticks == NULL:
        raise MemoryError(f"{n} ticks")
    try:
        for i in range(n):
            _read(&ticks[i], entries[i], where, i, spacing)
            ascending = ascending and (i == 0 or ticks[i - 1].tick < ticks[i].tick)
        if not ascending:
            qsort(ticks, n, sizeof(v3_tick), _by_tick)
            for i in range(1, n):
                twice = twice or ticks[i - 1].tick == ticks[i].tick
            if twice:
                _refuse_twice(entries, where)
    except BaseException:
        free(ticks)
        raise
    count[0] = <uint32_t>n
    return ticks


cdef list ticks_list(const v3_tick *ticks, uint32_t count):
    """The entries that ticks_field takes, with liquidity_gross where it is known."""
    cdef uint32_t i
    entries = []
    for i in range(count):
        net = i128_to_pyint(ticks[i].liquidity_net)
        if u128_is_zero(ticks[i].liquidity_gross):
            entries.append([ticks[i].tick, net])
        else:
            entries.append([ticks[i].tick, u128_to_pyint(ticks[i].liquidity_gross), net])
    return entries
