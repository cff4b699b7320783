"""The audit's C face."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mevfast._cache cimport Table
from mevfast._slots cimport slot_body
from mevfast.types cimport log_event, pool_state, solidly_state, v2_state, v3_after
from mevfast.u256 cimport u256


cdef enum:
    AUDIT_QUEUE = 1024
    AUDIT_WIDE = 64               # of them, with a state that lies in the arena
    AUDIT_KINDS = 16              # room for every enum pool_kind

# One observed swap beside the state before it.
cdef struct observed_swap:
    uint32_t slot
    uint32_t log_index
    uint64_t block
    uint8_t kind                  # of its pool
    uint8_t token_in, token_out
    uint8_t verdict               # of a swap that the table itself has replayed
    u256 amount_in, amount_out
    v2_state before_v2
    solidly_state before_solidly
    v3_after before_v3
    v3_after after_v3             # what a V3 event says the swap left behind
    uint32_t fee_pips[2]
    uint32_t wide                 # where the state before is in Audit.wide


cdef class Audit:
    cdef readonly Table table
    cdef observed_swap queue[AUDIT_QUEUE]
    cdef pool_state wide[AUDIT_WIDE]
    cdef uint32_t n_queued, n_wide
    cdef bint replaying           # the table replays the newest of the queue now
    # The Sync just applied: its pair's Swap is the next log.
    cdef uint32_t sync_slot
    cdef uint32_t swap_slot       # whose Swap right after that Sync was taken already
    cdef uint32_t sync_log_index
    cdef uint64_t sync_block
    cdef v2_state before_sync
    cdef solidly_state before_sync_solidly
    cdef readonly uint64_t n_checks, n_mismatches, n_slack, n_skipped
    cdef readonly uint64_t n_suspects
    cdef uint64_t suspect_block   # of the oldest swap that was held against the logs, 0 for none
    cdef bint doubts_logs
    cdef uint64_t checks[AUDIT_KINDS]
    cdef uint64_t wrong[AUDIT_KINDS]
    cdef readonly list mismatches
    cdef public uint32_t keep_recent  # swaps kept in `recent`, for a screen; 0 where nobody looks
    cdef readonly list recent

    cdef void before(self, const log_event *e, uint32_t slot) noexcept nogil
    cdef void settle(self) noexcept nogil
    cdef int observe(
        self, observed_swap *s, const log_event *e, uint32_t slot, const slot_body *body,
    ) noexcept nogil
    cdef int observe_pair(
        self, observed_swap *s, const log_event *e, uint32_t slot, const slot_body *body,
    ) noexcept nogil
    cdef int observe_wide(
        self, observed_swap *s, const log_event *e, uint32_t slot, const slot_body *body,
    ) noexcept nogil
    cdef int check(self, const observed_swap *s) noexcept nogil
    cdef void clear(self) noexcept nogil
    cdef int run(self) except -1
    cdef dict describe(self, const observed_swap *s, int verdict)
