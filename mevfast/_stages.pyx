"""How long each stage of the hot path takes: what is written on the way, and its face in Python.

Owns the memory of the ring and counts of include/stages.h, all of it touched when it is made. What
is written on the hot path is a stamp and a number in a ring; everything else happens between reads.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

# By enum stage, in its order.
STAGE_NAMES = ("frame", "decode", "apply", "check", "search", "size", "plan", "sign", "send",
               "frame_to_signed", "receipt")
assert len(STAGE_NAMES) == <int>N_STAGES

LONGEST_NS = 1 << 42
"""A longer time counts as one of so many ns."""

cdef int64_t FIRST_TICK_NS = 1000000  # what the first length of a tick is measured over: 1e-4 of it off
cdef int COST_STAMPS = 1000


cdef class Stages:
    """Times by stage, ns.

    Args:
        tsc: stamps are the time stamp counter where that is steady, else CLOCK_MONOTONIC.
    """

    def __cinit__(self, bint tsc=True):
        self.log = <stage_log *>malloc(sizeof(stage_log))
        if self.log == NULL:
            raise MemoryError("stages")
        stage_begin(self.log, tsc, FIRST_TICK_NS)

    def __dealloc__(self):
        free(self.log)

    @property
    def clock(self):
        """What stamps are taken from: "tsc" or "clock_gettime"."""
        return "tsc" if self.log.tsc else "clock_gettime"

    @property
    def lost(self):
        """Samples that came faster than they were folded: counted, but in no distribution."""
        return self.log.lost

    @property
    def bytes(self):
        """Memory of ring and counts."""
        return sizeof(stage_log)

    def cost_ns(self):
        """What one stamp costs here and now, ns."""
        cdef int i
        cdef uint64_t sum = 0
        cdef int64_t start = stage_clock_ns(), end
        for i in range(COST_STAMPS):
            sum += stage_stamp(self.log)
        end = stage_clock_ns()
        return (end - start) / <double>COST_STAMPS if sum else 0.0

    def drain(self):
        """Folds what the ring holds into the counts, and measures the length of a tick anew."""
        stage_calibrate(self.log)
        stage_fold(self.log)

    def note(self, str name not None, int64_t ns):
        """One sample of a stage that is not timed on the hot path."""
        self.log.counts[<int>STAGE_NAMES.index(name)][stage_index(max(ns, 0))] += 1

    def count(self, str name not None):
        """Samples of a stage so far."""
        cdef int i = STAGE_NAMES.index(name)
        cdef uint64_t total = 0
        cdef uint32_t j
        stage_fold(self.log)
        for j in range(<uint32_t>STAGE_COUNTS):
            total += self.log.counts[i][j]
        return total

    def counts(self):
        """{stage: [(ns, samples), ...]} of all that was drained: each ns is the least that its
        samples may have had, 1/128 below the most."""
        cdef int i
        cdef uint32_t j
        out = {}
        for i in range(<int>N_STAGES):
            out[STAGE_NAMES[i]] = [(stage_value(j), self.log.counts[i][j])
                                   for j in range(<uint32_t>STAGE_COUNTS) if self.log.counts[i][j]]
        return out


def bucket(uint64_t ns):
    """(number, least value) of the count that takes a time; for tests."""
    cdef uint32_t index = stage_index(ns)
    return index, stage_value(index)
