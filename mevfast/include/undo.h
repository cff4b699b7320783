/* The undo journal: what each applied event changed, so that a reorg is taken back without a node.
 *
 * A ring of variable records in the writer's memory, and a chain through those of each slot. The
 * record of an event holds the slot's state before it: of V3-like pools without the ticks, which the
 * inverse position gives back. The state before a `put` is not kept: its record is a barrier, behind
 * which the slot is stale. A slot's chain is in the order of its events: it ends where a state is
 * put, marked stale or removed, since what came before says nothing about it any more.
 */
#ifndef MEVFAST_UNDO_H
#define MEVFAST_UNDO_H

#include "arena.h"

enum undo_what {
    UNDO_VOID = 0,        /* taken back, or its slot holds another state since */
    UNDO_FILLER,          /* to the end of the ring */
    UNDO_BODY,            /* with the state before */
    UNDO_POSITION,        /* with the state before and the position that was moved */
    UNDO_BARRIER          /* a state was put */
};

typedef struct {
    uint32_t bytes;       /* of the whole record, a multiple of 8; a filler may be 8 bytes in all */
    uint8_t what;         /* enum undo_what */
    uint8_t flags;        /* of the slot before */
    uint16_t reserved;
    uint32_t slot;
    uint32_t log_index;   /* of the event */
    uint64_t block;
    uint64_t earlier;     /* position of the slot's record before this one, 0 for none */
    uint64_t prior_block; /* of the slot before */
    uint32_t prior_log_index;
    uint32_t state_bytes; /* what follows of the state before: 0 where that was stale */
} undo_record;

typedef struct {
    u128 amount;
    int32_t lower, upper;
    int32_t add;
    int32_t reserved[3];
} undo_moved;             /* behind the state, where a position was moved */

static inline undo_record *undo_at(const undo_journal *u, uint64_t position)
{
    return (undo_record *)(u->ring + (position & (u->size - 1)));
}

/* Drops the oldest record: the table cannot be taken back behind its block any more. */
static inline void undo_drop(undo_journal *u)
{
    const undo_record *oldest = undo_at(u, u->tail);
    if (oldest->what >= UNDO_BODY && oldest->block > u->floor)
        u->floor = oldest->block;
    u->tail += oldest->bytes;
}

/* Room for a record of so many bytes, its oldest ones dropped; NULL where it is larger than the
 * ring. What is filled in at once is its header's first line. */
static inline undo_record *undo_push(pool_table *t, uint32_t slot, uint64_t block,
                                     uint32_t log_index, int what, uint32_t bytes)
{
    undo_journal *u = &t->undo;
    pool_slot *of = &t->slots[slot];
    bytes = (bytes + 7u) & ~7u;
    if (bytes > u->size / 2) {
        if (block > u->floor)
            u->floor = block;
        return NULL;
    }
    const uint64_t left = u->size - (u->head & (u->size - 1));
    const uint64_t needed = left < bytes ? left + bytes : bytes;
    while (u->head + needed - u->tail > u->size)
        undo_drop(u);
    if (left < bytes) {
        undo_record *filler = undo_at(u, u->head);
        filler->bytes = (uint32_t)left;
        filler->what = UNDO_FILLER;
        u->head += left;
    }
    undo_record *record = undo_at(u, u->head);
    record->bytes = bytes;
    record->what = (uint8_t)what;
    record->flags = of->body.flags;
    record->slot = slot;
    record->log_index = log_index;
    record->block = block;
    record->earlier = of->undo;
    record->prior_block = of->body.block;
    record->prior_log_index = of->body.log_index;
    record->state_bytes = 0;
    of->undo = u->head;
    u->head += bytes;
    return record;
}

/* Where the state of a slot lies that a record keeps, and how large it is; 0 where it is stale. */
static inline uint32_t undo_state(const pool_table *t, const slot_body *body, const void **state)
{
    const size_t wide = kind_wide_bytes(body->kind);
    if (body->flags & SLOT_STALE)
        return 0;
    *state = wide != 0 ? table_wide(t, body) : (const void *)&body->v2;
    return (uint32_t)(wide != 0 ? wide : kind_slot_bytes(body->kind));
}

/* Before an event of (block, log_index) changes a slot: keeps its state. */
static inline void undo_body(pool_table *t, uint32_t slot, uint64_t block, uint32_t log_index)
{
    const void *state = NULL;
    const uint32_t bytes = undo_state(t, &t->slots[slot].body, &state);
    undo_record *record = undo_push(t, slot, block, log_index, UNDO_BODY,
                                    (uint32_t)sizeof *record + bytes);
    if (record == NULL || bytes == 0)
        return;
    record->state_bytes = bytes;
    memcpy(record + 1, state, bytes);
}

/* Before a Mint-like event (add) or a Burn-like one moves a position of a concentrated pool that is
 * not stale. */
static inline void undo_position(pool_table *t, uint32_t slot, uint64_t block, uint32_t log_index,
                                 int32_t lower, int32_t upper, u128 amount, int add)
{
    const undo_moved moved = {.amount = amount, .lower = lower, .upper = upper, .add = add};
    undo_record *record = undo_push(t, slot, block, log_index, UNDO_POSITION,
                                    (uint32_t)(sizeof *record + sizeof(slot_v3) + sizeof moved));
    if (record == NULL)
        return;
    record->state_bytes = sizeof(slot_v3);
    memcpy(record + 1, &t->slots[slot].body.v3, sizeof(slot_v3));
    memcpy((uint8_t *)(record + 1) + sizeof(slot_v3), &moved, sizeof moved);
}

/* Forgets the records of a slot whose state was put, marked stale or removed. */
static inline void undo_forget(pool_table *t, uint32_t slot)
{
    uint64_t position = t->slots[slot].undo;
    while (position >= t->undo.tail && position != 0) {
        undo_record *record = undo_at(&t->undo, position);
        record->what = UNDO_VOID;
        position = record->earlier;
    }
    t->slots[slot].undo = 0;
}

/* Before a state that is true after `block` is put into a slot. */
static inline void undo_barrier(pool_table *t, uint32_t slot, uint64_t block)
{
    undo_forget(t, slot);
    undo_push(t, slot, block, TABLE_END_OF_BLOCK, UNDO_BARRIER, sizeof(undo_record));
}

/* Whether that log of a slot's pool is in the journal: it was applied. */
static inline int undo_seen(const pool_table *t, uint32_t slot, uint64_t block, uint32_t log_index)
{
    uint64_t position = t->slots[slot].undo;
    while (position >= t->undo.tail && position != 0) {
        const undo_record *record = undo_at(&t->undo, position);
        if (record->what != UNDO_VOID) {
            if (record->block < block || (record->block == block && record->log_index < log_index))
                return 0;
            if (record->block == block && record->log_index == log_index)
                return record->what != UNDO_BARRIER;
        }
        position = record->earlier;
    }
    return 0;
}

/* Whether an event may be applied to a slot: APPLY_CHANGED, or why not, an apply_result. */
static inline int table_order(pool_table *t, const slot_body *b, uint64_t block, uint32_t log_index)
{
    if (b->flags & SLOT_LOADING)
        return APPLY_WAITING;
    if (block > b->block || (block == b->block && log_index > b->log_index))
        return APPLY_CHANGED;
    /* A stale slot has no state that an older event could be missing from. */
    if ((b->flags & SLOT_STALE) || block <= b->loaded_block
        || (block == b->block && log_index == b->log_index))
        return APPLY_OLD;
    const uint32_t slot = table_find(t, b->address);
    return undo_seen(t, slot, block, log_index) ? APPLY_OLD : APPLY_OUT_OF_ORDER;
}

/* ---- taking back ---- */

/* A slot's state as it was before the recorded event; within the slot's lock. */
static inline void undo_restore(pool_table *t, slot_body *body, const undo_record *record)
{
    const void *state = record + 1;
    body->block = record->prior_block;
    body->log_index = record->prior_log_index;
    if (record->state_bytes == 0)
        return; /* it was stale before, and is */
    body->flags = (uint8_t)((body->flags & ~SLOT_STALE) | (record->flags & SLOT_STALE));
    if (kind_wide_bytes(body->kind) != 0) {
        seq_store(table_wide(t, body), state, record->state_bytes);
    } else if (kind_is_concentrated(body->kind)) {
        const slot_v3 now = body->v3;
        undo_moved moved;
        memcpy(&body->v3, state, sizeof(slot_v3));
        body->v3.first_tick = now.first_tick; /* a chunk that has grown holds fewer as well */
        body->v3.chunk_class = now.chunk_class;
        body->v3.n_ticks = now.n_ticks;
        if (record->what == UNDO_POSITION) {
            v3_tick *ticks = t->arena + now.first_tick;
            memcpy(&moved, (const uint8_t *)state + sizeof(slot_v3), sizeof moved);
            position_end_move(ticks, &body->v3.n_ticks, moved.lower, moved.amount, !moved.add, 0);
            position_end_move(ticks, &body->v3.n_ticks, moved.upper, moved.amount, !moved.add, 1);
        }
    } else {
        memcpy(&body->v2, state, record->state_bytes);
    }
}

/* The state that was put is not the chain's any more; nor is the event that the slot names. */
static inline void undo_put(slot_body *body, uint64_t to_block)
{
    body->flags |= SLOT_STALE;
    body->loaded_block = 0;
    if (body->block > to_block) {
        body->block = to_block;
        body->log_index = TABLE_END_OF_BLOCK;
    }
}

/* Takes one slot back to the end of `to_block`, newest record first. */
static inline void undo_slot(pool_table *t, uint32_t slot, uint64_t to_block)
{
    pool_slot *of = &t->slots[slot];
    slot_body body = of->body;
    uint64_t position = of->undo;
    seq_write_begin(&of->sequence);
    while (position >= t->undo.tail && position != 0) {
        undo_record *record = undo_at(&t->undo, position);
        position = record->earlier;
        if (record->what == UNDO_VOID || record->block <= to_block)
            continue;
        if (record->what == UNDO_BARRIER)
            undo_put(&body, to_block);
        else
            undo_restore(t, &body, record);
        record->what = UNDO_VOID;
        t->head->counters[COUNT_UNDONE]++;
    }
    table_store(of, &body);
    seq_write_end(&of->sequence);
    if (kind_is_concentrated(body.kind)) {
        v3_window_void(&t->windows[slot]);
        table_note_moved(t, slot);
    }
}

/* Takes every slot back to its state after `to_block`. Fills `changed` (room for all slots) with the
 * slots that moved and returns how many; -1 where the journal does not reach so far: nothing is
 * changed then. Quarantine stays. */
static inline int64_t table_rollback(pool_table *t, uint64_t to_block, uint32_t *changed)
{
    const undo_journal *u = &t->undo;
    int64_t n = 0;
    if (to_block < u->floor)
        return -1;
    for (uint64_t position = u->tail; position < u->head;) {
        const undo_record *record = undo_at(u, position);
        position += record->bytes;
        if (record->what < UNDO_BODY || record->block <= to_block)
            continue;
        /* the first record of a slot takes back all of its others */
        changed[n++] = record->slot;
        undo_slot(t, record->slot, to_block);
    }
    t->head->counters[COUNT_ROLLBACKS]++;
    return n;
}

#endif
