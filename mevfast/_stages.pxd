"""The stages' C face: see include/stages.h."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "stages.h" nogil:
    enum stage:
        STAGE_FRAME
        STAGE_DECODE
        STAGE_APPLY
        STAGE_CHECK
        STAGE_SEARCH
        STAGE_SIZE
        STAGE_PLAN
        STAGE_SIGN
        STAGE_SEND
        STAGE_FRAME_TO_SIGNED
        STAGE_RECEIPT
        N_STAGES

    enum:
        STAGE_RING
        STAGE_COUNTS

    ctypedef struct stage_log:
        int32_t tsc
        uint64_t n
        uint64_t lost
        uint64_t ring[1]          # of STAGE_RING
        uint64_t counts[1][1]     # of N_STAGES by STAGE_COUNTS

    int64_t stage_clock_ns() noexcept
    bint stage_tsc_is_steady() noexcept
    uint64_t stage_stamp(const stage_log *s) noexcept
    uint64_t stage_end(stage_log *s, stage name, uint64_t since) noexcept
    int64_t stage_ns(const stage_log *s, uint64_t ticks) noexcept
    uint32_t stage_index(uint64_t ns) noexcept
    uint64_t stage_value(uint32_t index) noexcept
    void stage_fold(stage_log *s) noexcept
    void stage_tidy(stage_log *s) noexcept
    void stage_calibrate(stage_log *s) noexcept
    void stage_begin(stage_log *s, int tsc, int64_t ns) noexcept


cdef class Stages:
    cdef stage_log *log
