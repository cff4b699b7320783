"""The reserve table's C face: a struct and free functions, see include/table.h."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from mevfast.types cimport log_event, pool_quote, pool_state, v2_state, v3_tick, v3_window
from mevfast.u256 cimport u128, u256


cdef extern from "table.h" nogil:
    enum:
        TABLE_NO_SLOT
        TABLE_TICK_CLASSES
    cdef enum:
        SLOT_STALE
        SLOT_QUARANTINED
    cdef enum:
        APPLY_CHANGED
        APPLY_NO_STATE
        APPLY_UNKNOWN_POOL
        APPLY_OLD
        APPLY_INCONSISTENT
        APPLY_MALFORMED

    ctypedef struct slot_v3:
        u256 sqrt_price_x96
        u128 liquidity
        int32_t tick
        int32_t tick_spacing
        uint32_t fee_pips
        uint32_t n_ticks
        uint32_t first_tick
        uint32_t tick_class

    ctypedef struct slot_body:
        uint64_t block
        uint32_t log_index
        uint32_t token0, token1
        uint8_t address[20]
        uint8_t kind
        uint8_t flags
        v2_state v2
        slot_v3 v3

    ctypedef struct pool_slot:
        uint32_t sequence
        uint32_t moved
        slot_body body

    ctypedef struct pool_table:
        uint32_t capacity, n_slots
        uint32_t index_mask
        uint32_t tick_capacity, ticks_used
        pool_slot *slots
        uint32_t *index
        v3_tick *ticks
        uint32_t free_chunk[20]
        uint64_t n_applied[8]
        v3_window *windows
        uint32_t *moved
        uint32_t n_moved

    void seq_write_begin(uint32_t *sequence) noexcept
    void seq_write_end(uint32_t *sequence) noexcept
    void seq_retire() noexcept
    void seq_store(void *dst, const void *src, size_t bytes) noexcept
    uint32_t table_hash(const uint8_t *address) noexcept
    uint32_t table_find(const pool_table *t, const uint8_t *address) noexcept
    void table_view(const pool_table *t, uint32_t slot, pool_state *state) noexcept
    void table_view_swaps(pool_table *t, uint32_t slot, pool_state *state) noexcept
    void table_note_moved(pool_table *t, uint32_t slot) noexcept
    void v3_window_void(v3_window *w) noexcept
    void v3_window_move(
        v3_window *w, const u256 *sqrt_price_x96, u128 liquidity, int32_t tick,
    ) noexcept
    bint v3_window_worn(const v3_window *w) noexcept
    void table_publish(pool_table *t, uint32_t slot, const slot_body *body) noexcept
    int table_read(const pool_table *t, uint32_t slot, slot_body *body, v3_tick *ticks,
                   uint32_t cap, unsigned tries) noexcept
    int word_to_u128(u128 *r, const u256 *word, unsigned bits) noexcept
    int word_to_int24(int32_t *r, const u256 *word) noexcept
    int word_to_signed(u256 *magnitude, const u256 *word) noexcept
    int liquidity_move(u128 *liquidity, u128 delta, int add) noexcept
    int tick_move(v3_tick *tick, u128 delta, int add, int upper) noexcept


cdef int table_apply(pool_table *t, const log_event *e, uint32_t *slot) noexcept nogil
cdef void table_refresh(pool_table *t, uint32_t most) noexcept nogil
cdef int table_flag(pool_table *t, uint32_t slot, uint8_t flags) noexcept nogil


cdef class Table:
    cdef pool_table t
    cdef readonly list token_addresses
    cdef dict _token_ids

    cdef int _fill_v3(self, uint32_t slot, slot_v3 *s, dict state) except -1
