/* The arena: chunks of 16 << class units for ticks and wide states, and positions that move ticks.
 *
 * For the writer. Freed chunks are kept in lists by class.
 */
#ifndef MEVFAST_ARENA_H
#define MEVFAST_ARENA_H

#include "table.h"

/* The smallest class whose chunks hold so many units, or TABLE_CHUNK_CLASSES where none does. */
static inline uint32_t chunk_class_of(uint64_t units)
{
    uint32_t c = 0;
    while (c < TABLE_CHUNK_CLASSES && (uint64_t)TABLE_SMALLEST_CHUNK << c < units)
        c++;
    return c;
}

/* The first unit of a chunk of that class, or TABLE_NO_CHUNK where the arena is full. */
static inline uint32_t chunk_take(pool_table *t, uint32_t chunk_class)
{
    if (chunk_class >= TABLE_CHUNK_CLASSES)
        return TABLE_NO_CHUNK;
    uint32_t chunk = t->free_chunk[chunk_class];
    const uint32_t size = (uint32_t)TABLE_SMALLEST_CHUNK << chunk_class;
    if (chunk != TABLE_NO_CHUNK) {
        t->free_chunk[chunk_class] = (uint32_t)t->arena[chunk].tick;
        return chunk;
    }
    if (t->arena_capacity - t->head->arena_used < size)
        return TABLE_NO_CHUNK;
    chunk = t->head->arena_used;
    t->head->arena_used += size;
    return chunk;
}

static inline void chunk_give(pool_table *t, uint32_t chunk, uint32_t chunk_class)
{
    if (chunk == TABLE_NO_CHUNK)
        return;
    /* A reader may still be copying from here: its sequence check fails, so the link may go in. */
    t->arena[chunk].tick = (int32_t)t->free_chunk[chunk_class];
    t->free_chunk[chunk_class] = chunk;
}

/* ---- positions ---- */

/* Whether a Mint or Burn can be applied to the ticks held. */
enum position_status {
    POSITION_FITS = 0,
    POSITION_CONTRADICTS, /* burns what is not there, leaves uint128, or leaves net without gross */
    POSITION_UNKNOWN,     /* moves a tick whose liquidity_gross is not known */
    POSITION_NO_ROOM      /* the arena is full */
};

/* Index of the first entry not below `tick`. */
static inline uint32_t tick_position(const v3_tick *ticks, uint32_t n, int32_t tick)
{
    uint32_t low = 0, high = n;
    while (low < high) {
        const uint32_t middle = (low + high) >> 1;
        if (ticks[middle].tick < tick)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* liquidity + delta or liquidity - delta: 0, or -1 where it leaves uint128. */
static inline int liquidity_move(u128 *liquidity, u128 delta, int add)
{
    const u128 before = *liquidity;
    const u128 after = add ? before + delta : before - delta;
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

static inline int position_end_check(const slot_v3 *s, const v3_tick *ticks, int32_t tick,
                                     u128 amount, int add, int upper, uint32_t *n_new)
{
    const uint32_t at = tick_position(ticks, s->n_ticks, tick);
    if (at == s->n_ticks || ticks[at].tick != tick) {
        *n_new += 1;
        return add ? POSITION_FITS : POSITION_CONTRADICTS;
    }
    if (ticks[at].liquidity_gross == 0)
        return POSITION_UNKNOWN;
    v3_tick entry = ticks[at];
    if (tick_move(&entry, amount, add, upper) != 0
        || (entry.liquidity_gross == 0 && entry.liquidity_net != 0))
        return POSITION_CONTRADICTS;
    return POSITION_FITS;
}

/* Whether the position can be moved, for `s`, a copy of the slot's state: its liquidity moves, and
 * its chunk is exchanged for a larger one where new ticks need it (the caller gives the old one back
 * within the lock: position_move does). Nothing that a reader sees is changed. */
static inline int position_check(pool_table *t, slot_v3 *s, int32_t lower, int32_t upper,
                                 u128 amount, int add)
{
    const v3_tick *ticks = t->arena + s->first_tick;
    uint32_t n_new = 0;
    int status = position_end_check(s, ticks, lower, amount, add, 0, &n_new);
    if (status == POSITION_FITS)
        status = position_end_check(s, ticks, upper, amount, add, 1, &n_new);
    if (status != POSITION_FITS)
        return status;
    if (lower <= s->tick && s->tick < upper && liquidity_move(&s->liquidity, amount, add) != 0)
        return POSITION_CONTRADICTS;
    const uint32_t wanted = chunk_class_of((uint64_t)s->n_ticks + n_new);
    if (wanted > s->chunk_class) {
        const uint32_t chunk = chunk_take(t, wanted);
        if (chunk == TABLE_NO_CHUNK)
            return POSITION_NO_ROOM;
        memcpy(t->arena + chunk, ticks, s->n_ticks * sizeof *ticks);
        s->first_tick = chunk;
        s->chunk_class = wanted;
    }
    return POSITION_FITS;
}

/* One end: enters, changes or removes a tick. There is room, and it fits. */
static inline void position_end_move(v3_tick *ticks, uint32_t *n_ticks, int32_t tick, u128 amount,
                                     int add, int upper)
{
    const uint32_t at = tick_position(ticks, *n_ticks, tick), behind = *n_ticks - at;
    if (at == *n_ticks || ticks[at].tick != tick) {
        memmove(&ticks[at + 1], &ticks[at], behind * sizeof *ticks);
        memset(&ticks[at], 0, sizeof *ticks);
        ticks[at].tick = tick;
        *n_ticks += 1;
    }
    tick_move(&ticks[at], amount, add, upper);
    if (ticks[at].liquidity_gross == 0) {
        *n_ticks -= 1;
        memmove(&ticks[at], &ticks[at + 1], (*n_ticks - at) * sizeof *ticks);
    }
}

/* Moves the ticks of `s`, which position_check found to fit; within the slot's lock. `held` is the
 * slot's state before: its chunk goes back where `s` has another. */
static inline void position_move(pool_table *t, const slot_v3 *held, slot_v3 *s, int32_t lower,
                                 int32_t upper, u128 amount, int add)
{
    v3_tick *ticks = t->arena + s->first_tick;
    const uint32_t chunk = held->first_tick, chunk_class = held->chunk_class;
    position_end_move(ticks, &s->n_ticks, lower, amount, add, 0);
    position_end_move(ticks, &s->n_ticks, upper, amount, add, 1);
    if (chunk != s->first_tick)
        chunk_give(t, chunk, chunk_class);
}

#endif
