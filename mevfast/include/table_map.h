/* The table's mapping: where its parts lie, and how a process attaches to it. */
#ifndef MEVFAST_TABLE_MAP_H
#define MEVFAST_TABLE_MAP_H

#include <stdlib.h>
#include <sys/mman.h>

#include "table.h"

enum {
    TABLE_PAGE = 4096,
    TABLE_LARGE_PAGE = 2 << 20,
    TABLE_TOKENS_A_POOL = POOL_MAX_TOKENS,
    TABLE_MORE_TOKENS = 1024 /* start tokens that no pool has */
};

static inline uint64_t table_align(uint64_t at)
{
    return (at + TABLE_PAGE - 1) & ~(uint64_t)(TABLE_PAGE - 1);
}

/* The header of a new table: every size and offset. */
static inline void table_plan(table_header *h, uint32_t capacity, uint32_t arena_capacity,
                              uint64_t chain_id)
{
    uint32_t index_size = 64;
    while (index_size < 2 * (uint64_t)capacity)
        index_size *= 2;
    memset(h, 0, sizeof *h);
    h->magic = TABLE_MAGIC;
    h->version = TABLE_VERSION;
    h->header_bytes = sizeof(table_header);
    h->slot_bytes = sizeof(pool_slot);
    h->unit_bytes = sizeof(v3_tick);
    h->curve_bytes = sizeof(curve_state);
    h->crypto_bytes = sizeof(crypto_state);
    h->balancer_bytes = sizeof(balancer_state);
    h->capacity = capacity;
    h->index_size = index_size;
    h->token_capacity = capacity * TABLE_TOKENS_A_POOL + TABLE_MORE_TOKENS;
    h->arena_capacity = arena_capacity;
    h->slots_at = TABLE_PAGE;
    h->index_at = table_align(h->slots_at + (uint64_t)capacity * sizeof(pool_slot));
    h->tokens_at = table_align(h->index_at + (uint64_t)index_size * sizeof(uint64_t));
    h->arena_at = table_align(h->tokens_at + (uint64_t)h->token_capacity * 20);
    h->mapping_bytes = table_align(h->arena_at + (uint64_t)arena_capacity * sizeof(v3_tick));
    h->chain_id = chain_id;
}

/* Zeroed memory of this process, or NULL where there is none. Pages come as they are touched. */
static inline void *memory_map(uint64_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* The same in large pages where the system has them and there is enough to fill one: to find the
 * small page of a random slot takes longer than to read the slot. */
static inline void *memory_map_large(uint64_t bytes)
{
    if (bytes < TABLE_LARGE_PAGE)
        return memory_map(bytes);
    uint8_t *at = (uint8_t *)memory_map(bytes + TABLE_LARGE_PAGE);
    if (at == NULL)
        return NULL;
    const uint64_t before = -(uintptr_t)at & (TABLE_LARGE_PAGE - 1);
    if (before != 0)
        munmap(at, before);
    munmap(at + before + bytes, TABLE_LARGE_PAGE - before);
    madvise(at + before, bytes, MADV_HUGEPAGE);
    return at + before;
}

/* A table's memory: a file's, or where fd is negative this process's own; NULL where there is none. */
static inline void *table_map(uint64_t bytes, int fd, int writable)
{
    if (fd < 0)
        return memory_map_large(bytes);
    void *at = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Points t at a mapping whose header is there. */
static inline void table_attach(pool_table *t, void *mapping)
{
    uint8_t *base = (uint8_t *)mapping;
    table_header *h = (table_header *)mapping;
    t->head = h;
    t->slots = (pool_slot *)(base + h->slots_at);
    t->index = (uint64_t *)(base + h->index_at);
    t->tokens = base + h->tokens_at;
    t->arena = (v3_tick *)(base + h->arena_at);
    t->capacity = h->capacity;
    t->index_mask = h->index_size - 1;
    t->token_capacity = h->token_capacity;
    t->arena_capacity = h->arena_capacity;
}

static inline void table_unmap(void *mapping, uint64_t bytes)
{
    munmap(mapping, bytes);
}

/* An index without entries: before any reader sees it. */
static inline void table_clear_index(pool_table *t)
{
    memset(t->index, 0xff, ((uint64_t)t->index_mask + 1) * sizeof *t->index);
}

/* Gives a table's memory back: the mapping, and what the writer holds beside it. */
static inline void table_detach(pool_table *t)
{
    if (t->windows != NULL)
        munmap(t->windows, (uint64_t)t->capacity * sizeof(v3_window));
    if (t->head != NULL)
        munmap(t->head, t->head->mapping_bytes);
    if (t->undo.ring != NULL)
        munmap(t->undo.ring, t->undo.size);
    free(t->moved);
    memset(t, 0, sizeof *t);
}

/* The writer's own memory: 0, or -1 where there is none. */
static inline int table_equip(pool_table *t, uint64_t undo_bytes)
{
    memset(t->free_chunk, 0xff, sizeof t->free_chunk);
    t->free_slot = TABLE_NO_SLOT;
    /* in small pages: only the windows of concentrated pools are ever written */
    t->windows = (v3_window *)memory_map((uint64_t)t->capacity * sizeof(v3_window));
    t->moved = (uint32_t *)malloc(t->capacity * sizeof *t->moved);
    if (undo_bytes != 0) {
        uint64_t size = 4096;
        while (size < undo_bytes)
            size *= 2;
        t->undo.ring = (uint8_t *)memory_map_large(size);
        t->undo.size = size;
        t->undo.tail = t->undo.head = size; /* position 0 stands for none */
        if (t->undo.ring == NULL)
            return -1;
    }
    return t->windows == NULL || t->moved == NULL ? -1 : 0;
}

/* A token's address under the next id; readers see it whole. */
static inline void table_add_token(pool_table *t, const uint8_t address[20])
{
    const uint32_t id = t->head->n_tokens;
    memcpy(t->tokens + 20 * (size_t)id, address, 20);
    __atomic_store_n(&t->head->n_tokens, id + 1, __ATOMIC_RELEASE);
}

#endif
