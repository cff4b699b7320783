/* The reserve table in memory: dense slots, an index by address, one arena of ticks, and for the
 * writer alone the windows of ready sums (v3_window.h), one a slot.
 *
 * Everything a reader needs is reached by offsets, never by pointers.
 */
#ifndef MEVFAST_TABLE_H
#define MEVFAST_TABLE_H

#include <stdint.h>
#include <string.h>

#include "pool.h"
#include "seqlock.h"
#include "v3_window.h"

#define TABLE_NO_SLOT 0xffffffffu
#define TABLE_TICK_CLASSES 20 /* tick chunks hold 16 << class ticks */

enum slot_flags {
    SLOT_STALE = 1,       /* an event could not be applied: not traded until it is loaded again */
    SLOT_QUARANTINED = 2  /* an observed swap contradicted our quote: never traded */
};

/* What an event did to the table. */
enum apply_result {
    APPLY_CHANGED = 0,    /* a slot's state moved */
    APPLY_NO_STATE,       /* known pool, an event that carries no state (V2 Swap) */
    APPLY_UNKNOWN_POOL,
    APPLY_OLD,            /* at or before what the slot already holds: a duplicate */
    APPLY_INCONSISTENT,   /* contradicts the slot: it is stale now */
    APPLY_MALFORMED       /* words or topics missing, or out of the type's range: slot stale */
};

typedef struct {
    u256 sqrt_price_x96;
    u128 liquidity;
    int32_t tick;
    int32_t tick_spacing;
    uint32_t fee_pips;
    uint32_t n_ticks;
    uint32_t first_tick;  /* index into the tick arena */
    uint32_t tick_class;  /* the chunk holds 16 << tick_class ticks */
} slot_v3;

typedef struct {
    uint64_t block;       /* the state is true after this block and log index */
    uint32_t log_index;
    uint32_t token0, token1;
    uint8_t address[20];
    uint8_t kind;         /* enum pool_kind */
    uint8_t flags;        /* enum slot_flags */
    uint8_t reserved[6];
    union {
        v2_state v2;
        slot_v3 v3;
    };
} slot_body;

typedef struct {
    uint32_t sequence;    /* seqlock over body and, for V3, its ticks */
    uint32_t moved;       /* it is in the table's list of that name */
    uint32_t reserved[2];
    slot_body body;
} pool_slot;

typedef struct {
    uint32_t capacity, n_slots;
    uint32_t index_mask;
    uint32_t tick_capacity, ticks_used;
    pool_slot *slots;
    uint32_t *index;      /* open addressing: slot number or TABLE_NO_SLOT */
    v3_tick *ticks;
    uint32_t free_chunk[TABLE_TICK_CLASSES]; /* heads of lists threaded through the chunks */
    uint64_t n_applied[8];                   /* by enum apply_result */
    /* The writer's own, in no reader's way: */
    v3_window *windows;   /* by slot; void where ticks have changed, behind where the price has */
    uint32_t *moved;      /* slots of V3 pools that events moved since the last table_refresh */
    uint32_t n_moved;
} pool_table;

/* Addresses are hashes already, but vanity ones share leading zero bytes: mix both ends. */
static inline uint32_t table_hash(const uint8_t address[20])
{
    uint64_t head, tail;
    memcpy(&head, address, 8);
    memcpy(&tail, address + 12, 8);
    uint64_t h = (head ^ (tail * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
    return (uint32_t)(h >> 32);
}

/* The slot number of an address, or TABLE_NO_SLOT. */
static inline uint32_t table_find(const pool_table *t, const uint8_t address[20])
{
    uint32_t i = table_hash(address) & t->index_mask;
    for (;;) {
        uint32_t slot = t->index[i];
        if (slot == TABLE_NO_SLOT || memcmp(t->slots[slot].body.address, address, 20) == 0)
            return slot;
        i = (i + 1u) & t->index_mask;
    }
}

/* The writer's own view of a slot: borrowed, valid until the next write to the table. */
static inline void table_view(const pool_table *t, uint32_t slot, pool_state *state)
{
    const slot_body *body = &t->slots[slot].body;
    state->kind = body->kind;
    if (body->kind == POOL_UNISWAP_V2) {
        state->v2 = body->v2;
    } else {
        const slot_v3 *from = &body->v3;
        state->v3.sqrt_price_x96 = from->sqrt_price_x96;
        state->v3.liquidity = from->liquidity;
        state->v3.tick = from->tick;
        state->v3.tick_spacing = from->tick_spacing;
        state->v3.bitmap_spacing = from->tick_spacing;
        state->v3.form = V3_POOL;
        state->v3.hooks = 0;
        state->v3.fee_pips[0] = state->v3.fee_pips[1] = from->fee_pips;
        state->v3.n_ticks = from->n_ticks;
        state->v3.ticks = t->ticks + from->first_tick;
        state->v3.window = NULL;
    }
}

/* The same for quotes: with the window of a V3 pool, at its price. */
static inline void table_view_swaps(pool_table *t, uint32_t slot, pool_state *state)
{
    table_view(t, slot, state);
    if (state->kind == POOL_UNISWAP_V3) {
        v3_window *window = &t->windows[slot];
        if (!v3_window_at(window, &state->v3))
            v3_window_move(window, &state->v3.sqrt_price_x96, state->v3.liquidity, state->v3.tick);
        state->v3.window = window;
    }
}

/* Notes a V3 slot for the next table_refresh. */
static inline void table_note_moved(pool_table *t, uint32_t slot)
{
    if (t->slots[slot].moved)
        return;
    t->slots[slot].moved = 1;
    t->moved[t->n_moved++] = slot;
}

/* Publishes a new body under the sequence lock. */
static inline void table_publish(pool_table *t, uint32_t slot, const slot_body *body)
{
    pool_slot *to = &t->slots[slot];
    seq_write_begin(&to->sequence);
    seq_store(&to->body, body, sizeof *body);
    seq_write_end(&to->sequence);
}

/* Event words to state fields: 0 where the word fits the contract's type, -1 otherwise. */
static inline int word_to_u128(u128 *r, const u256 *word, unsigned bits)
{
    u128 low = ((u128)word->w[1] << 64) | word->w[0];
    if ((word->w[2] | word->w[3]) != 0 || (bits < 128 && (low >> bits) != 0))
        return -1;
    *r = low;
    return 0;
}

static inline int word_to_int24(int32_t *r, const u256 *word)
{
    int64_t low = (int64_t)word->w[0];
    uint64_t sign = low < 0 ? UINT64_MAX : 0;
    if (word->w[1] != sign || word->w[2] != sign || word->w[3] != sign)
        return -1;
    if (low < -8388608 || low > 8388607)
        return -1;
    *r = (int32_t)low;
    return 0;
}

/* Magnitude and sign of an int256: returns 1 where negative, 0 otherwise. */
static inline int word_to_signed(u256 *magnitude, const u256 *word)
{
    *magnitude = *word;
    if ((word->w[3] >> 63) == 0)
        return 0;
    unsigned __int128 carry = 1;
    for (int i = 0; i < 4; i++) {
        carry += (uint64_t)~word->w[i];
        magnitude->w[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return 1;
}

/* liquidity + delta or liquidity - delta: 0, or -1 where it leaves uint128. */
static inline int liquidity_move(u128 *liquidity, u128 delta, int add)
{
    u128 before = *liquidity;
    u128 after = add ? before + delta : before - delta;
    if (add ? after < before : delta > before)
        return -1;
    *liquidity = after;
    return 0;
}

/* One end of a position at one tick; `add` for Mint, `upper` for the upper end. */
static inline int tick_move(v3_tick *tick, u128 delta, int add, int upper)
{
    if (liquidity_move(&tick->liquidity_gross, delta, add) != 0)
        return -1;
    /* the net wraps like the contract's int128 arithmetic would overflow: gross bounds it */
    u128 net = (u128)tick->liquidity_net;
    net = (add != upper) ? net + delta : net - delta;
    tick->liquidity_net = (i128)net;
    return 0;
}

/* A reader's copy, whole or not at all: 0 with body (and up to cap ticks) filled, -1 where the
 * writer never left in `tries` attempts, -2 where there are more ticks than cap. */
static inline int table_read(const pool_table *t, uint32_t slot, slot_body *body, v3_tick *ticks,
                             uint32_t cap, unsigned tries)
{
    const pool_slot *from = &t->slots[slot];
    while (tries-- > 0) {
        uint32_t begun = seq_read_begin(&from->sequence);
        if (begun & 1u)
            continue;
        seq_load(body, &from->body, sizeof *body);
        uint32_t n = 0;
        if (body->kind == POOL_UNISWAP_V3) {
            /* a torn body may name any chunk: stay inside the arena, the counter rejects it */
            n = body->v3.n_ticks;
            uint32_t first = body->v3.first_tick;
            if (n <= cap && first <= t->tick_capacity && n <= t->tick_capacity - first)
                seq_load(ticks, t->ticks + first, n * sizeof *ticks);
        }
        if (seq_read_retry(&from->sequence, begun))
            continue;
        return n > cap ? -2 : 0;
    }
    return -1;
}

#endif
