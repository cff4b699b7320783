"""The feed's C face: what one frame does to the table."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from mevfast._audit cimport Audit
from mevfast._cache cimport Table
from mevfast._search cimport Search
from mevfast._stages cimport Stages, stage_log
from mevfast._venues cimport Venues
from mevfast.types cimport head_event, log_event


cdef enum:
    HEAD_RING = 512
    MAX_AHEAD_BLOCKS = 32         # more than MAX_AHEAD of the .pyx


cdef struct known_block:
    uint64_t number               # 0: none
    uint8_t hash[32]


# DANGER: `WSFrame.payload_ptr` dies with the callback; nothing here keeps it.
cdef class Feed:
    cdef readonly Table table
    cdef readonly Search search
    cdef readonly Audit audit
    cdef readonly Stages stages
    cdef stage_log *log           # of `stages`
    cdef uint64_t arrived         # stamp of the first frame of the read under way, 0 between reads

    cdef readonly bint live       # the table is true; else events wait in `buffer`
    cdef str spoiled              # why the load under way cannot be trusted, None where it can
    cdef readonly str doubt       # why it is not, in words for the log
    cdef readonly bint head_moved # a head came since the last batch of frames was through

    cdef uint64_t doubt_from      # while not live: the oldest block whose logs are not to be relied on
    cdef readonly uint64_t losses # times that the table came into doubt
    cdef readonly int64_t doubted_at # when it last did, monotonic ns; 0: never true yet
    cdef public bint doubts_logs  # a swap that contradicts a quote is first held against the logs
    cdef public uint64_t verified # no log up to this block is missing, as the node says
    cdef readonly list created    # messages of the venues themselves, for the cold half to take
    cdef readonly set told        # (block, log index) of logs that came while in doubt
    cdef Venues venues            # whose logs those are
    cdef bint dropped             # events were, while the load under way was spoilt
    cdef known_block ahead[MAX_AHEAD_BLOCKS] # by number: blocks of logs that came before their heads

    cdef head_event head
    cdef known_block ring[HEAD_RING] # by number: the blocks that the table went through
    cdef uint64_t closing_block   # its successor is here: are its logs? 0: none
    cdef uint8_t closing_bloom[256]
    cdef public uint64_t bloom_from # older blocks are not held against their bloom
    cdef readonly uint64_t bloom_doubts
    cdef uint64_t logs_block      # block of the newest log applied
    cdef log_event *buffer
    cdef uint32_t n_buffer, cap_buffer
    cdef uint32_t *touched        # slots moved since their block was last searched
    cdef uint8_t *is_touched
    cdef uint32_t n_touched
    cdef bint fresh               # events since the last search
    cdef readonly uint64_t n_logs, n_heads, n_unknown

    cdef void lose(self, str why, uint64_t block)
    cdef bint take(self, const char *buf, Py_ssize_t n) except -1
    cdef int on_log(self, const log_event *e) except -1
    cdef int keep(self, const log_event *e) except -1
    cdef int on_head(self, const head_event *h) except -1
    cdef int note_ahead(self, const log_event *e) except -1
    cdef int close_block(self) except -1
    cdef int doubt_swap(self) except -1
    cdef int apply_kept(self, uint32_t i) except -1
    cdef int apply(self, const log_event *e) except -1
    cdef void note_own(self, const log_event *e) noexcept nogil
    cdef void take_back(self, uint64_t block) noexcept nogil
    cdef void touch(self, uint32_t slot) noexcept nogil
