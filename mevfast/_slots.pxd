"""The reserve table's memory, its C face: see include/table.h, arena.h and undo.h."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from mevfast._mapping cimport table_header
from mevfast.types cimport log_event, pool_state, solidly_state, v2_state, v3_after, v3_tick, v3_window
from mevfast.u256 cimport u128, u256


cdef extern from "words.h" nogil:
    int word_to_u128(u128 *r, const u256 *word, unsigned bits) noexcept
    int word_to_int24(int32_t *r, const u256 *word) noexcept
    int word_to_signed(u256 *magnitude, const u256 *word) noexcept


cdef extern from "table.h" nogil:
    const uint32_t TABLE_NO_SLOT
    const uint32_t TABLE_NO_CHUNK
    const uint32_t TABLE_END_OF_BLOCK
    enum:
        TABLE_SINGLETONS
    enum slot_flags:
        SLOT_STALE
        SLOT_QUARANTINED
        SLOT_LOADING
        SLOT_FREE
        SLOT_DRIFTS
    enum apply_result:
        APPLY_CHANGED
        APPLY_NO_STATE
        APPLY_UNKNOWN_POOL
        APPLY_OLD
        APPLY_OUT_OF_ORDER
        APPLY_WAITING
        APPLY_STALE_NOTED
        APPLY_INCONSISTENT
        APPLY_MALFORMED
    enum table_counter:
        COUNT_HITS
        COUNT_MISSES
        COUNT_STALE_MARKS
        COUNT_REFRESHES
        COUNT_EVICTIONS
        COUNT_ROLLBACKS
        COUNT_UNDONE
        COUNT_RPC_CALLS
        COUNT_AVOIDED_CALLS

    ctypedef struct slot_v3:
        u256 sqrt_price_x96
        u128 liquidity
        int32_t tick
        int32_t tick_spacing
        int32_t bitmap_spacing
        uint32_t fee_pips[2]
        uint32_t lp_fee_pips[2]
        uint32_t protocol_fee
        uint32_t form
        uint32_t hooks
        uint32_t n_ticks
        uint32_t first_tick
        uint32_t chunk_class

    ctypedef struct slot_wide:
        uint32_t first_unit
        uint32_t chunk_class
        uint32_t token[8]

    ctypedef struct slot_body:
        uint64_t block
        uint64_t loaded_block
        uint32_t log_index
        uint32_t token0, token1
        uint8_t address[20]
        uint8_t id_rest[12]
        uint8_t kind
        uint8_t flags
        uint8_t n_tokens
        uint8_t venue
        v2_state v2
        slot_v3 v3
        solidly_state solidly
        slot_wide wide

    ctypedef struct pool_slot:
        uint32_t sequence
        uint32_t moved
        uint64_t undo
        slot_body body

    ctypedef struct undo_journal:
        uint8_t *ring
        uint64_t size
        uint64_t tail, head
        uint64_t floor

    ctypedef struct pool_table:
        table_header *head
        pool_slot *slots
        uint64_t *index
        uint8_t *tokens
        v3_tick *arena
        uint32_t capacity, index_mask, token_capacity, arena_capacity
        uint32_t free_slot
        uint32_t free_chunk[20]
        v3_window *windows
        uint32_t *moved
        uint32_t n_moved
        undo_journal undo

    void seq_write_begin(uint32_t *sequence) noexcept
    void seq_write_end(uint32_t *sequence) noexcept
    void seq_retire() noexcept
    uint32_t seq_read_begin(const uint32_t *sequence) noexcept
    bint seq_read_retry(const uint32_t *sequence, uint32_t begun) noexcept
    void seq_store(void *dst, const void *src, size_t bytes) noexcept

    bint kind_is_concentrated(uint32_t kind) noexcept
    size_t kind_wide_bytes(uint32_t kind) noexcept
    bint slot_has_state(const slot_body *body) noexcept
    uint32_t table_find(const pool_table *t, const uint8_t *key) noexcept
    void table_prefetch_index(const pool_table *t, const uint8_t *key) noexcept
    void table_prefetch_slot(const pool_table *t, const uint8_t *key) noexcept
    void table_index_add(pool_table *t, const uint8_t *key, uint32_t slot) noexcept
    const uint8_t *table_emitter(const pool_table *t, const slot_body *body) noexcept
    uint8_t table_singleton(const pool_table *t, const uint8_t *address) noexcept
    void *table_wide(const pool_table *t, const slot_body *body) noexcept
    void slot_view(const slot_body *body, const void *spread, pool_state *state) noexcept
    void table_view(const pool_table *t, uint32_t slot, pool_state *state) noexcept
    void table_view_swaps(pool_table *t, uint32_t slot, pool_state *state) noexcept
    void table_note_moved(pool_table *t, uint32_t slot) noexcept
    void table_store(pool_slot *to, const slot_body *body) noexcept
    void table_store_sync(
        pool_slot *to, const v2_state *state, uint64_t block, uint32_t log_index,
    ) noexcept
    void table_store_price(
        pool_slot *to, const v3_after *at, uint64_t block, uint32_t log_index,
    ) noexcept
    void table_publish(pool_table *t, uint32_t slot, const slot_body *body) noexcept
    void table_flag(pool_table *t, uint32_t slot, uint8_t on, uint8_t off) noexcept
    uint32_t slot_take(pool_table *t) noexcept
    void slot_give(pool_table *t, uint32_t slot) noexcept
    size_t table_copy(const pool_table *t, uint32_t slot, slot_body *body, void *spread,
                      size_t cap) noexcept
    int table_read(const pool_table *t, uint32_t slot, slot_body *body, void *spread, size_t cap,
                   unsigned tries) noexcept

    void v3_window_void(v3_window *w) noexcept
    bint v3_window_worn(const v3_window *w) noexcept


cdef extern from "event_route.h" nogil:
    bint event_carries_state(uint32_t pool_kind, uint32_t event_kind) noexcept
    uint32_t event_slot(const pool_table *t, const log_event *e) noexcept


cdef extern from "arena.h" nogil:
    enum position_status:
        POSITION_FITS
        POSITION_CONTRADICTS
        POSITION_UNKNOWN
        POSITION_NO_ROOM

    uint32_t chunk_class_of(uint64_t units) noexcept
    uint32_t chunk_take(pool_table *t, uint32_t chunk_class) noexcept
    void chunk_give(pool_table *t, uint32_t chunk, uint32_t chunk_class) noexcept
    int position_check(pool_table *t, slot_v3 *s, int32_t lower, int32_t upper, u128 amount,
                       int add) noexcept
    void position_move(pool_table *t, const slot_v3 *held, slot_v3 *s, int32_t lower,
                       int32_t upper, u128 amount, int add) noexcept


cdef extern from "undo.h" nogil:
    void undo_body(pool_table *t, uint32_t slot, uint64_t block, uint32_t log_index) noexcept
    void undo_position(
        pool_table *t, uint32_t slot, uint64_t block, uint32_t log_index, int32_t lower,
        int32_t upper, u128 amount, int add,
    ) noexcept
    void undo_forget(pool_table *t, uint32_t slot) noexcept
    void undo_barrier(pool_table *t, uint32_t slot, uint64_t block) noexcept
    bint undo_seen(
        const pool_table *t, uint32_t slot, uint64_t block, uint32_t log_index,
    ) noexcept
    int table_order(
        pool_table *t, const slot_body *b, uint64_t block, uint32_t log_index,
    ) noexcept
    int64_t table_rollback(pool_table *t, uint64_t to_block, uint32_t *changed) noexcept


# Of a mapping, what both sides may do: nothing here writes to it.
cdef class SlotsView:
    cdef pool_table t
    cdef readonly bint unchecked  # reads are not checked for being torn: for a test

    cdef int _check_slot(self, uint32_t slot) except -1
    cdef int _copy(self, uint32_t slot, slot_body *body, void *spread, size_t cap) except -1
    cdef bytes _token(self, uint32_t id)
    cdef object _id_of(self, const slot_body *body)
    cdef list _tokens_of(self, const slot_body *body)


cdef class Slots(SlotsView):
    cdef readonly list token_addresses
    cdef readonly object path
    cdef dict _token_ids

    cdef int _allocate(self, uint32_t capacity, uint32_t arena, uint64_t chain_id) except -1
    cdef int _create(self, const table_header *plan) except -1
    cdef uint32_t _place(
        self, bytes id, str kind, list tokens, bytes singleton,
    ) except? 0xffffffff
    cdef int _check_same(
        self, uint32_t slot, bytes id, str kind, list tokens, uint8_t venue,
    ) except -1
    cdef int _fill(self, slot_body *body, const pool_state *state) except -1
    cdef int _forget_chunk(self, const slot_body *body) except -1


cdef class TableReader(SlotsView):
    cdef readonly str path
