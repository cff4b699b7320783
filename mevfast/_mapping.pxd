"""The header of a table's mapping: see include/table.h."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "table.h" nogil:
    const uint64_t TABLE_MAGIC
    enum:
        TABLE_VERSION

    ctypedef struct table_header:
        uint64_t magic
        uint32_t version, header_bytes
        uint64_t writer_pid, writer_start
        uint32_t slot_bytes, unit_bytes, curve_bytes, crypto_bytes, balancer_bytes
        uint32_t capacity, index_size, token_capacity, arena_capacity
        uint64_t slots_at, index_at, tokens_at, arena_at, mapping_bytes
        uint64_t chain_id
        uint64_t head_block
        uint32_t index_sequence
        uint32_t n_slots, n_pools, n_tokens, arena_used, n_singletons
        uint8_t singletons[64][20]
        uint64_t applied[16]
        uint64_t events[64]
        uint64_t counters[16]


cdef bint writer_lives(const table_header *h)
cdef table_header *map_checked(int fd, uint64_t file_bytes, str path) except NULL
cdef int refuse_living(str path) except -1
cdef void *map_new(str new, const table_header *plan, str path) except NULL
