/* The reserve table in memory: dense slots, an index by address, one arena of ticks and wide states.
 *
 * All that a reader needs lies in one mapping behind a header and is reached by offsets, never by
 * pointers: another process may map it. What only the writer needs (windows, the undo journal of
 * undo.h, free lists) lies in its own memory.
 */
#ifndef MEVFAST_TABLE_H
#define MEVFAST_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pool.h"
#include "seqlock.h"
#include "v3_window.h"

#define TABLE_MAGIC 0x656c62615476656du /* "mevTable" in memory */
#define TABLE_NO_SLOT 0xffffffffu
#define TABLE_NO_CHUNK 0xffffffffu
#define TABLE_END_OF_BLOCK 0xffffffffu /* a log index behind every log of a block */

enum {
    TABLE_VERSION = 1,
    TABLE_CHUNK_CLASSES = 20, /* arena chunks hold 16 << class units */
    TABLE_SMALLEST_CHUNK = 16,
    TABLE_RESULTS = 16,
    TABLE_EVENTS = 64,
    TABLE_COUNTERS = 16,
    TABLE_SINGLETONS = 64
};

enum slot_flags {
    SLOT_STALE = 1,       /* no true state: not traded until it is read (again) */
    SLOT_QUARANTINED = 2, /* an observed swap contradicted our quote: never traded */
    SLOT_LOADING = 4,     /* being read: its events wait with the caller and are applied on top */
    SLOT_FREE = 8,        /* holds no pool */
    SLOT_DRIFTS = 16      /* what a swap sees moves without events, too: any event makes it stale */
};

/* What an event did to the table. From APPLY_INCONSISTENT on, the slot is stale. */
enum apply_result {
    APPLY_CHANGED = 0,    /* a slot's state moved */
    APPLY_NO_STATE,       /* known pool, an event that carries no state (V2 Swap) */
    APPLY_UNKNOWN_POOL,
    APPLY_OLD,            /* in what was read, or applied before: a duplicate */
    APPLY_OUT_OF_ORDER,   /* older than the slot, but never applied: nothing is changed */
    APPLY_WAITING,        /* the slot is SLOT_LOADING: nothing is changed, the caller keeps it */
    APPLY_STALE_NOTED,    /* does not say everything, or the slot is stale: to be read again */
    APPLY_INCONSISTENT,   /* contradicts the slot */
    APPLY_MALFORMED       /* words or topics missing, or out of the type's range */
};

enum table_counter {
    COUNT_HITS = 0,       /* lookups of events and of `slot` that found their pool */
    COUNT_MISSES,         /* and that did not */
    COUNT_STALE_MARKS,    /* slots that turned stale, by an event or by mark_stale */
    COUNT_REFRESHES,      /* states put into stale or new slots */
    COUNT_EVICTIONS,
    COUNT_ROLLBACKS,
    COUNT_UNDONE,         /* events and states taken back by them */
    COUNT_RPC_CALLS,      /* calls that the engine made to nodes */
    COUNT_AVOIDED_CALLS   /* calls that a bot which asks the node for each quote would have made */
};

/* What v3_state holds, with its ticks in the arena. */
typedef struct {
    u256 sqrt_price_x96;
    u128 liquidity;
    int32_t tick;
    int32_t tick_spacing;
    int32_t bitmap_spacing;
    uint32_t fee_pips[2];
    uint32_t lp_fee_pips[2];
    uint32_t protocol_fee;
    uint32_t form;
    uint32_t hooks;
    uint32_t n_ticks;
    uint32_t first_tick;  /* the chunk's first unit, or TABLE_NO_CHUNK */
    uint32_t chunk_class; /* the chunk holds 16 << chunk_class ticks */
} slot_v3;

/* A pool whose state lies in the arena whole: curve_state, crypto_state or balancer_state. */
typedef struct {
    uint32_t first_unit;  /* or TABLE_NO_CHUNK */
    uint32_t chunk_class;
    uint32_t token[POOL_MAX_TOKENS]; /* ids; token[0] and [1] are token0 and token1, too */
} slot_wide;

typedef struct {
    uint64_t block;       /* newest event that reached the slot: the state is true after it, */
    uint64_t loaded_block; /* events up to this block are in the state as it was read; 0: never */
    uint32_t log_index;   /* and after this log of `block` */
    uint32_t token0, token1; /* ids */
    uint8_t address[20];  /* with id_rest the 32-byte id; the key */
    uint8_t id_rest[12];  /* zero for pools that are contracts of their own */
    uint8_t kind;         /* enum pool_kind */
    uint8_t flags;        /* enum slot_flags */
    uint8_t n_tokens;
    uint8_t venue;        /* who emits its events: 0 the pool itself, else 1 + index of singletons */
    union {
        v2_state v2;
        slot_v3 v3;       /* all concentrated liquidity */
        solidly_state solidly; /* and Camelot V2 */
        slot_wide wide;   /* Curve, CryptoSwap, Balancer */
    };
} slot_body;

typedef struct __attribute__((aligned(64))) {
    uint32_t sequence;    /* seqlock over body and what it names in the arena */
    uint32_t moved;       /* writer: it is in the table's list of that name */
    uint64_t undo;        /* writer: its newest record in the journal, 0 for none; the next free slot */
    slot_body body;
} pool_slot;

_Static_assert(sizeof(pool_slot) == 256, "a slot is four cache lines");
_Static_assert(offsetof(pool_slot, body.v2) + sizeof(v2_state) <= 128, "a V2 slot's are two");
_Static_assert(offsetof(slot_body, id_rest) == offsetof(slot_body, address) + 20, "one id");

/* The mapping: this header, slots, index, tokens, arena. The first five members never move. */
typedef struct {
    uint64_t magic;
    uint32_t version, header_bytes;
    uint64_t writer_pid;  /* 0: closed */
    uint64_t writer_start; /* /proc/<pid>/stat's start time: pids come again */
    uint32_t slot_bytes, unit_bytes, curve_bytes, crypto_bytes, balancer_bytes;
    uint32_t capacity, index_size, token_capacity, arena_capacity, reserved;
    uint64_t slots_at, index_at, tokens_at, arena_at, mapping_bytes;
    uint64_t chain_id;
    /* What moves: */
    uint64_t head_block;
    uint32_t index_sequence; /* seqlock over the index */
    uint32_t n_slots;     /* slots ever used: the ones from here on are untouched */
    uint32_t n_pools, n_tokens;
    uint32_t arena_used;  /* units that chunks were ever cut from */
    uint32_t n_singletons;
    uint8_t singletons[TABLE_SINGLETONS][20];
    uint64_t applied[TABLE_RESULTS];   /* by enum apply_result */
    uint64_t events[TABLE_EVENTS];     /* applied with APPLY_CHANGED, by enum event_kind */
    uint64_t counters[TABLE_COUNTERS]; /* by enum table_counter */
} table_header;

_Static_assert(sizeof(table_header) <= 4096, "the header is a page");

/* The ring of undo.h. */
typedef struct {
    uint8_t *ring;
    uint64_t size;        /* a power of two, or 0 for no journal */
    uint64_t tail, head;  /* positions of the oldest record and of the next one; never 0 */
    uint64_t floor;       /* the oldest block that the table can be taken back to */
} undo_journal;

/* A process's own view of a mapping. */
typedef struct {
    table_header *head;
    pool_slot *slots;
    uint64_t *index;      /* open addressing: tag << 32 | slot, TABLE_NO_SLOT where empty */
    uint8_t *tokens;      /* 20 bytes by id */
    v3_tick *arena;
    uint32_t capacity, index_mask, token_capacity, arena_capacity;
    /* The writer's own, in no reader's way: */
    uint32_t free_slot;   /* head of the list of free slots, or TABLE_NO_SLOT */
    uint32_t free_chunk[TABLE_CHUNK_CLASSES]; /* heads of lists threaded through the chunks */
    v3_window *windows;   /* by slot; void where ticks have changed, behind where the price has */
    uint32_t *moved;      /* slots with windows that events moved since the last table_refresh */
    uint32_t n_moved;
    undo_journal undo;
} pool_table;

/* ---- kinds ---- */

static inline int kind_is_concentrated(uint32_t kind)
{
    return kind >= POOL_UNISWAP_V3 && kind <= POOL_UNISWAP_V4;
}

/* Bytes of the state that a kind keeps in the arena, 0 for kinds whose state fits their slot. */
static inline size_t kind_wide_bytes(uint32_t kind)
{
    if (kind < POOL_CURVE_STABLE)
        return 0;
    if (kind <= POOL_CURVE_STABLE_NG)
        return sizeof(curve_state);
    return kind <= POOL_CURVE_TWOCRYPTO_NG ? sizeof(crypto_state) : sizeof(balancer_state);
}

/* Bytes that a kind uses of the body's union. */
static inline size_t kind_slot_bytes(uint32_t kind)
{
    if (kind <= POOL_UNISWAP_V2)
        return sizeof(v2_state);
    if (kind_is_concentrated(kind))
        return sizeof(slot_v3);
    return kind <= POOL_SOLIDLY ? sizeof(solidly_state) : sizeof(slot_wide);
}

/* Whether a slot holds any state at all: it may be stale still. */
static inline int slot_has_state(const slot_body *body)
{
    return !(body->flags & SLOT_FREE) && (body->loaded_block != 0 || !(body->flags & SLOT_STALE));
}

/* ---- the index ---- */

/* Addresses are hashes already, but vanity ones share leading zero bytes: mix both ends. */
static inline uint64_t table_hash(const uint8_t key[20])
{
    uint64_t head, tail;
    memcpy(&head, key, 8);
    memcpy(&tail, key + 12, 8);
    uint64_t h = (head ^ (tail * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
    return h ^ (h >> 29);
}

static inline int same_key(const uint8_t a[20], const uint8_t b[20])
{
    uint64_t a0, a1, b0, b1;
    uint32_t a2, b2;
    memcpy(&a0, a, 8), memcpy(&a1, a + 8, 8), memcpy(&a2, a + 16, 4);
    memcpy(&b0, b, 8), memcpy(&b1, b + 8, 8), memcpy(&b2, b + 16, 4);
    return ((a0 ^ b0) | (a1 ^ b1) | (a2 ^ b2)) == 0;
}

/* The slot of a key: a contract's address, or the first 20 bytes of an id; or TABLE_NO_SLOT. */
static inline uint32_t table_find(const pool_table *t, const uint8_t key[20])
{
    const uint64_t h = table_hash(key);
    uint32_t i = (uint32_t)(h >> 32) & t->index_mask;
    for (;;) {
        const uint64_t entry = __atomic_load_n(&t->index[i], __ATOMIC_RELAXED);
        const uint32_t slot = (uint32_t)entry;
        if (slot == TABLE_NO_SLOT)
            return slot;
        /* the tag spares nearly every look at a wrong slot */
        if (entry >> 32 == (uint32_t)h && same_key(t->slots[slot].body.address, key))
            return slot;
        i = (i + 1u) & t->index_mask;
    }
}

/* For events that come in one go: brings what table_find will ask for nearer, first the place in the
 * index, a few events later the slot. At scale an event waits for memory longer than it computes. */
static inline void table_prefetch_index(const pool_table *t, const uint8_t key[20])
{
    __builtin_prefetch(&t->index[(uint32_t)(table_hash(key) >> 32) & t->index_mask]);
}

static inline void table_prefetch_slot(const pool_table *t, const uint8_t key[20])
{
    const uint64_t h = table_hash(key);
    for (uint32_t i = (uint32_t)(h >> 32) & t->index_mask;; i = (i + 1u) & t->index_mask) {
        const uint64_t entry = __atomic_load_n(&t->index[i], __ATOMIC_RELAXED);
        const uint32_t slot = (uint32_t)entry;
        if (slot == TABLE_NO_SLOT)
            return;
        if (entry >> 32 != (uint32_t)h)
            continue;
        const char *lines = (const char *)&t->slots[slot];
        __builtin_prefetch(lines, 1);
        __builtin_prefetch(lines + 64, 1);
        __builtin_prefetch(lines + 128, 1); /* of V2 not used, but who knows before */
        return;
    }
}

static inline void table_index_add(pool_table *t, const uint8_t key[20], uint32_t slot)
{
    const uint64_t h = table_hash(key);
    uint32_t i = (uint32_t)(h >> 32) & t->index_mask;
    while ((uint32_t)t->index[i] != TABLE_NO_SLOT)
        i = (i + 1u) & t->index_mask;
    seq_write_begin(&t->head->index_sequence);
    __atomic_store_n(&t->index[i], h << 32 | slot, __ATOMIC_RELAXED);
    seq_write_end(&t->head->index_sequence);
}

/* Takes a slot out of the index; what was pushed past its place moves back: no tombstones. */
static inline void table_index_remove(pool_table *t, uint32_t slot)
{
    const uint32_t mask = t->index_mask;
    uint32_t hole = (uint32_t)(table_hash(t->slots[slot].body.address) >> 32) & mask, next;
    while ((uint32_t)t->index[hole] != slot)
        hole = (hole + 1u) & mask;
    seq_write_begin(&t->head->index_sequence);
    for (next = (hole + 1u) & mask; (uint32_t)t->index[next] != TABLE_NO_SLOT;
         next = (next + 1u) & mask) {
        const uint8_t *key = t->slots[(uint32_t)t->index[next]].body.address;
        const uint32_t home = (uint32_t)(table_hash(key) >> 32) & mask;
        /* an entry may move back to the hole unless its home lies behind the hole */
        if (((next - home) & mask) < ((next - hole) & mask))
            continue;
        __atomic_store_n(&t->index[hole], t->index[next], __ATOMIC_RELAXED);
        hole = next;
    }
    __atomic_store_n(&t->index[hole], (uint64_t)TABLE_NO_SLOT, __ATOMIC_RELAXED);
    seq_write_end(&t->head->index_sequence);
}

/* Who emits the events of a slot's pool. */
static inline const uint8_t *table_emitter(const pool_table *t, const slot_body *body)
{
    return body->venue == 0 ? body->address : t->head->singletons[body->venue - 1];
}

/* 1 + index of a singleton by its address, or 0 where it is none. */
static inline uint8_t table_singleton(const pool_table *t, const uint8_t address[20])
{
    for (uint32_t i = 0; i < t->head->n_singletons; i++)
        if (same_key(t->head->singletons[i], address))
            return (uint8_t)(i + 1);
    return 0;
}

/* ---- views ---- */

/* The state that the arena holds for a slot of a wide kind; NULL where it was never read. */
static inline void *table_wide(const pool_table *t, const slot_body *body)
{
    return body->wide.first_unit == TABLE_NO_CHUNK ? NULL : t->arena + body->wide.first_unit;
}

/* A pool's state from its body and, for all but V2 and Solidly, what the arena holds for it: ticks
 * are borrowed, wide states copied. Kind POOL_NONE where the slot holds no state. */
static inline void slot_view(const slot_body *body, const void *spread, pool_state *state)
{
    const uint32_t kind = slot_has_state(body) ? body->kind : (uint32_t)POOL_NONE;
    state->kind = kind;
    if (kind == POOL_UNISWAP_V2) {
        state->v2 = body->v2;
    } else if (kind_is_concentrated(kind)) {
        const slot_v3 *from = &body->v3;
        state->v3.sqrt_price_x96 = from->sqrt_price_x96;
        state->v3.liquidity = from->liquidity;
        state->v3.tick = from->tick;
        state->v3.tick_spacing = from->tick_spacing;
        state->v3.bitmap_spacing = from->bitmap_spacing;
        for (int i = 0; i < 2; i++) {
            state->v3.fee_pips[i] = from->fee_pips[i];
            state->v3.lp_fee_pips[i] = from->lp_fee_pips[i];
        }
        state->v3.protocol_fee = from->protocol_fee;
        state->v3.n_ticks = from->n_ticks;
        state->v3.form = from->form;
        state->v3.hooks = from->hooks;
        state->v3.ticks = (const v3_tick *)spread;
        state->v3.window = NULL;
    } else if (kind == POOL_CAMELOT_V2 || kind == POOL_SOLIDLY) {
        state->solidly = body->solidly;
    } else if (kind != POOL_NONE) {
        memcpy(&state->curve, spread, kind_wide_bytes(kind));
    }
}

/* The writer's own view of a slot: borrowed, valid until the next write to the table. */
static inline void table_view(const pool_table *t, uint32_t slot, pool_state *state)
{
    const slot_body *body = &t->slots[slot].body;
    const v3_tick *spread = NULL;
    if (kind_is_concentrated(body->kind))
        spread = body->v3.first_tick == TABLE_NO_CHUNK ? NULL : t->arena + body->v3.first_tick;
    else if (kind_wide_bytes(body->kind) != 0)
        spread = (const v3_tick *)table_wide(t, body);
    slot_view(body, spread, state);
}

/* The same for quotes: with the window of a concentrated pool, at its price. */
static inline void table_view_swaps(pool_table *t, uint32_t slot, pool_state *state)
{
    table_view(t, slot, state);
    if (kind_is_concentrated(state->kind)) {
        v3_window *window = &t->windows[slot];
        if (!v3_window_at(window, &state->v3))
            v3_window_move(window, &state->v3.sqrt_price_x96, state->v3.liquidity, state->v3.tick);
        state->v3.window = window;
    }
}

/* Notes a slot with a window for the next table_refresh. */
static inline void table_note_moved(pool_table *t, uint32_t slot)
{
    if (t->slots[slot].moved)
        return;
    t->slots[slot].moved = 1;
    t->moved[t->n_moved++] = slot;
}

/* ---- writing ---- */

/* Stores a new body; to be called between seq_write_begin and seq_write_end. */
static inline void table_store(pool_slot *to, const slot_body *body)
{
    seq_store(&to->body, body, offsetof(slot_body, v2) + kind_slot_bytes(body->kind));
}

/* Stores the reserves of a V2 slot and the event that set them, nothing else of its body; as above. */
static inline void table_store_sync(pool_slot *to, const v2_state *state, uint64_t block,
                                    uint32_t log_index)
{
    seq_store(&to->body.v2, state, sizeof *state);
    __atomic_store_n(&to->body.block, block, __ATOMIC_RELAXED);
    __atomic_store_n(&to->body.log_index, log_index, __ATOMIC_RELAXED);
}

/* The same of a concentrated slot's price. */
static inline void table_store_price(pool_slot *to, const v3_after *at, uint64_t block,
                                     uint32_t log_index)
{
    seq_store(&to->body.v3.sqrt_price_x96, &at->sqrt_price_x96, sizeof at->sqrt_price_x96);
    seq_store(&to->body.v3.liquidity, &at->liquidity, sizeof at->liquidity);
    __atomic_store_n(&to->body.v3.tick, at->tick, __ATOMIC_RELAXED);
    __atomic_store_n(&to->body.block, block, __ATOMIC_RELAXED);
    __atomic_store_n(&to->body.log_index, log_index, __ATOMIC_RELAXED);
}

/* Publishes a new body under the sequence lock. */
static inline void table_publish(pool_table *t, uint32_t slot, const slot_body *body)
{
    pool_slot *to = &t->slots[slot];
    seq_write_begin(&to->sequence);
    table_store(to, body);
    seq_write_end(&to->sequence);
}

/* Adds flags to a slot, and takes others off. */
static inline void table_flag(pool_table *t, uint32_t slot, uint8_t on, uint8_t off)
{
    slot_body body = t->slots[slot].body;
    if (on & ~body.flags & SLOT_STALE)
        t->head->counters[COUNT_STALE_MARKS]++;
    body.flags = (uint8_t)((body.flags & ~off) | on);
    table_publish(t, slot, &body);
}

/* A slot for one more pool, or TABLE_NO_SLOT where the table is full. */
static inline uint32_t slot_take(pool_table *t)
{
    uint32_t slot = t->free_slot;
    if (slot != TABLE_NO_SLOT) {
        t->free_slot = (uint32_t)t->slots[slot].undo;
    } else {
        if (t->head->n_slots == t->capacity)
            return TABLE_NO_SLOT;
        slot = t->head->n_slots;
        __atomic_store_n(&t->head->n_slots, slot + 1, __ATOMIC_RELEASE);
    }
    t->slots[slot].undo = 0;
    t->head->n_pools++;
    return slot;
}

/* Takes a slot out of the index and lists it as free; what the arena holds for it is the caller's. */
static inline void slot_give(pool_table *t, uint32_t slot)
{
    slot_body body;
    memset(&body, 0, sizeof body);
    body.flags = SLOT_FREE;
    table_index_remove(t, slot);
    table_publish(t, slot, &body);
    t->slots[slot].undo = t->free_slot;
    t->free_slot = slot;
    t->head->n_pools--;
}

/* ---- reading from outside ---- */

/* Copies what the arena holds for a body, which may be torn: stays inside the arena, and the
 * counter rejects the rest. Returns the bytes that there are, of which `cap` are copied at most. */
static inline size_t table_load_spread(const pool_table *t, const slot_body *body, void *spread,
                                       size_t cap)
{
    size_t bytes = kind_wide_bytes(body->kind);
    uint64_t first = body->wide.first_unit;
    if (kind_is_concentrated(body->kind)) {
        bytes = (size_t)body->v3.n_ticks * sizeof(v3_tick);
        first = body->v3.first_tick;
    }
    if (bytes != 0 && bytes <= cap && first != TABLE_NO_CHUNK
        && first * sizeof(v3_tick) + bytes <= (uint64_t)t->arena_capacity * sizeof(v3_tick))
        seq_load(spread, t->arena + first, bytes);
    return slot_has_state(body) ? bytes : 0;
}

/* A copy that may be torn; returns the bytes that its ticks or wide state take. */
static inline size_t table_copy(const pool_table *t, uint32_t slot, slot_body *body, void *spread,
                                size_t cap)
{
    seq_load(body, &t->slots[slot].body, sizeof *body);
    return table_load_spread(t, body, spread, cap);
}

/* A reader's copy, whole or not at all: 0 with body and spread (ticks or wide state) filled, -1
 * where the writer never left in `tries` attempts, -2 where spread is too small. */
static inline int table_read(const pool_table *t, uint32_t slot, slot_body *body, void *spread,
                             size_t cap, unsigned tries)
{
    const pool_slot *from = &t->slots[slot];
    while (tries-- > 0) {
        const uint32_t begun = seq_read_begin(&from->sequence);
        if (begun & 1u)
            continue;
        const size_t bytes = table_copy(t, slot, body, spread, cap);
        if (!seq_read_retry(&from->sequence, begun))
            return bytes > cap ? -2 : 0;
    }
    return -1;
}

#endif
