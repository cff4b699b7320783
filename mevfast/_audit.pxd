"""The audit's C face."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mevfast._cache cimport Table
from mevfast.types cimport log_event, v2_state, v3_after
from mevfast.u256 cimport u256


cdef enum:
    AUDIT_QUEUE = 1024

# One observed swap beside the state before it.
cdef struct observed_swap:
    uint32_t slot
    uint32_t log_index
    uint64_t block
    uint8_t zero_for_one
    u256 amount_in, amount_out
    v2_state before_v2
    v3_after before_v3
    v3_after after_v3             # what a V3 event says the swap left behind


cdef class Audit:
    cdef readonly Table table
    cdef observed_swap queue[AUDIT_QUEUE]
    cdef uint32_t n_queued
    # The Sync just applied: its pair's Swap is the next log.
    cdef uint32_t sync_slot
    cdef uint32_t swap_slot       # whose Swap right after that Sync was taken already
    cdef uint32_t sync_log_index
    cdef uint64_t sync_block
    cdef v2_state before_sync
    cdef readonly uint64_t n_checks, n_mismatches, n_slack, n_skipped
    cdef readonly list mismatches
    cdef public uint32_t keep_recent  # swaps kept in `recent`, for a screen; 0 where nobody looks
    cdef readonly list recent

    cdef void before(self, const log_event *e, uint32_t slot) noexcept nogil
    cdef int check(self, const observed_swap *s) noexcept nogil
    cdef int run(self) except -1
    cdef dict describe(self, const observed_swap *s, int verdict)
