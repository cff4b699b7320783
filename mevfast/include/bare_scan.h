/* The limit that bench/bench_search.py holds the search against: the plainest exhaustive answer to
 * "does a cycle of 2 to 4 swaps through this pool gain at the margin", for pools of two tokens.
 *
 * Owns a graph of its own, built once: best log price a pair and direction, neighbours by token id,
 * pairs found by hash. Knows nothing of the engine and shares nothing with it; keeps no candidates.
 * Both directions round a cycle meet the same tokens, so one walk tests both. */
#ifndef MEVFAST_BARE_SCAN_H
#define MEVFAST_BARE_SCAN_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BARE_NONE UINT32_MAX

typedef struct {
    uint32_t token, pair;
} bare_edge;

/* Ways: 0 sells token[0], the lower id, for token[1]. */
typedef struct {
    uint32_t token[2];
    uint32_t first, n;            /* its pools: g->by_pair[first .. first + n - 1] */
    uint32_t best_pool[2];
    double best[2], second[2];    /* log prices by way, minus infinity where there is none */
} bare_pair;

typedef struct {
    uint32_t pair;
    double log_price[2];          /* by way, fee taken off */
} bare_pool;

typedef struct {
    uint64_t key;
    uint32_t pair;
} bare_entry;

typedef struct {
    uint32_t n_tokens, n_pools, n_pairs, mask;
    bare_pool *pools;
    bare_pair *pairs;
    uint32_t *by_pair;            /* pools, those of one pair side by side */
    uint32_t *at;                 /* edges[at[t] .. at[t + 1] - 1]: the neighbours of token t */
    bare_edge *edges;             /* of one token: ascending by the other */
    bare_entry *index;            /* open addressing, mask + 1 entries, pair BARE_NONE: free */
    uint8_t *start;               /* by token: cycles may start there */
} bare_graph;

static inline uint32_t bare_slot_of(const bare_graph *g, uint64_t key)
{
    uint32_t i = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & g->mask;
    while (g->index[i].pair != BARE_NONE && g->index[i].key != key)
        i = (i + 1) & g->mask;
    return i;
}

static inline uint32_t bare_find(const bare_graph *g, uint32_t a, uint32_t b)
{
    uint64_t key = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
    return g->index[bare_slot_of(g, key)].pair;
}

static inline double bare_best(const bare_graph *g, uint32_t pair, uint32_t token_in)
{
    const bare_pair *p = &g->pairs[pair];
    return p->best[token_in != p->token[0]];
}

static inline uint32_t bare_degree(const bare_graph *g, uint32_t token)
{
    return g->at[token + 1] - g->at[token];
}

static int bare_by_token(const void *a, const void *b)
{
    uint32_t s = ((const bare_edge *)a)->token, t = ((const bare_edge *)b)->token;
    return (s > t) - (s < t);
}

static void bare_free(bare_graph *g)
{
    free(g->pools);
    free(g->pairs);
    free(g->by_pair);
    free(g->at);
    free(g->edges);
    free(g->index);
    free(g->start);
    memset(g, 0, sizeof *g);
}

/* Room for it all, every pair free and no price known: 0, or -1 without memory. */
static int bare_reserve(bare_graph *g, uint32_t n_tokens, uint32_t n_pools)
{
    uint32_t size = 16;
    while (size < 2 * n_pools)
        size *= 2;
    memset(g, 0, sizeof *g);
    g->n_tokens = n_tokens;
    g->n_pools = n_pools;
    g->mask = size - 1;
    g->pools = calloc(n_pools + 1, sizeof *g->pools);
    g->pairs = calloc(n_pools + 1, sizeof *g->pairs);
    g->by_pair = calloc(n_pools + 1, sizeof *g->by_pair);
    g->at = calloc((size_t)n_tokens + 2, sizeof *g->at);
    g->edges = calloc(2 * (size_t)n_pools + 1, sizeof *g->edges);
    g->index = malloc(size * sizeof *g->index);
    g->start = calloc(n_tokens + 1, 1);
    if (!g->pools || !g->pairs || !g->by_pair || !g->at || !g->edges || !g->index || !g->start) {
        bare_free(g);
        return -1;
    }
    memset(g->index, 0xff, size * sizeof *g->index);
    return 0;
}

/* g = the graph of n_pools pools over tokens[2 i], tokens[2 i + 1], all below n_tokens and never
 * the same two times; `start` by token. 0, or -1 without memory. To be freed with bare_free. */
static int bare_build(bare_graph *g, uint32_t n_tokens, uint32_t n_pools, const uint32_t *tokens,
                      const uint8_t *start)
{
    uint32_t i, way, slot, lower, upper, from = 0;
    if (bare_reserve(g, n_tokens, n_pools) != 0)
        return -1;
    memcpy(g->start, start, n_tokens);
    for (i = 0; i < n_pools; i++) {
        lower = tokens[2 * i] < tokens[2 * i + 1] ? tokens[2 * i] : tokens[2 * i + 1];
        upper = tokens[2 * i] ^ tokens[2 * i + 1] ^ lower;
        slot = bare_slot_of(g, (uint64_t)lower << 32 | upper);
        if (g->index[slot].pair == BARE_NONE) {
            g->index[slot].key = (uint64_t)lower << 32 | upper;
            g->index[slot].pair = g->n_pairs;
            g->pairs[g->n_pairs].token[0] = lower;
            g->pairs[g->n_pairs++].token[1] = upper;
            g->at[lower + 1]++;
            g->at[upper + 1]++;
        }
        g->pools[i].pair = g->index[slot].pair;
        g->pools[i].log_price[0] = g->pools[i].log_price[1] = -INFINITY;
        g->pairs[g->pools[i].pair].n++;
    }
    for (i = 0; i < n_tokens; i++)
        g->at[i + 1] += g->at[i];
    for (i = 0; i < g->n_pairs; i++) {
        bare_pair *p = &g->pairs[i];
        p->first = from;
        from += p->n;
        p->n = 0;
        for (way = 0; way < 2; way++) {
            p->best_pool[way] = BARE_NONE;
            p->best[way] = p->second[way] = -INFINITY;
            /* at[] points behind what is filled so far, and is moved back below */
            g->edges[g->at[p->token[way]]++] = (bare_edge){p->token[1 - way], i};
        }
    }
    memmove(g->at + 1, g->at, n_tokens * sizeof *g->at);
    g->at[0] = 0;
    for (i = 0; i < n_tokens; i++)
        qsort(g->edges + g->at[i], bare_degree(g, i), sizeof *g->edges, bare_by_token);
    for (i = 0; i < n_pools; i++) {
        bare_pair *p = &g->pairs[g->pools[i].pair];
        g->by_pair[p->first + p->n++] = i;
    }
    return 0;
}

/* Takes over a pool's new log prices, by way. */
static inline void bare_update(bare_graph *g, uint32_t pool, const double *log_price)
{
    bare_pair *p = &g->pairs[g->pools[pool].pair];
    uint32_t way, i, each;
    double price;
    for (way = 0; way < 2; way++) {
        g->pools[pool].log_price[way] = log_price[way];
        p->best[way] = p->second[way] = -INFINITY;
        for (i = 0; i < p->n; i++) {
            each = g->by_pair[p->first + i];
            price = g->pools[each].log_price[way];
            if (price > p->best[way]) {
                p->second[way] = p->best[way];
                p->best[way] = price;
                p->best_pool[way] = each;
            } else if (price > p->second[way]) {
                p->second[way] = price;
            }
        }
    }
}

/* How many swaps s -> b -> t add more than nothing to `forth`, or t -> b -> s to `back`, over every b
 * but `apart`: what the rest of the cycle gains either way. */
static inline uint32_t bare_common(const bare_graph *g, uint32_t s, uint32_t t, uint32_t apart,
                                   double forth, double back, int starts)
{
    uint32_t found = 0, i, end, b, other;
    uint32_t walked = bare_degree(g, s) <= bare_degree(g, t) ? s : t, known = s ^ t ^ walked;
    for (i = g->at[walked], end = g->at[walked + 1]; i < end; i++) {
        b = g->edges[i].token;
        if (b == known || b == apart)
            continue;
        other = bare_find(g, known, b);
        if (other == BARE_NONE)
            continue;
        uint32_t near = walked == s ? g->edges[i].pair : other;
        uint32_t far = walked == s ? other : g->edges[i].pair;
        found += forth + bare_best(g, near, s) + bare_best(g, far, b) > 0.0
                 && (starts || g->start[b]);
        found += back + bare_best(g, far, t) + bare_best(g, near, b) > 0.0
                 && (starts || g->start[b]);
    }
    return found;
}

/* How many cycles of 2 to max_hops swaps through `pool`, of best pools elsewhere, gain at the margin
 * and meet a start token. */
static uint32_t bare_scan(const bare_graph *g, uint32_t pool, uint32_t max_hops)
{
    const bare_pool *here = &g->pools[pool];
    const bare_pair *p = &g->pairs[here->pair];
    uint32_t way, i, end, a, found = 0;
    /* From the end with fewer neighbours, s, round to t. */
    uint32_t back = bare_degree(g, p->token[0]) <= bare_degree(g, p->token[1]);
    uint32_t s = p->token[1 - back], t = p->token[back];
    double t_to_s = here->log_price[back], s_to_t = here->log_price[1 - back];
    int starts = g->start[s] || g->start[t];
    for (way = 0; starts && way < 2; way++)
        found += here->log_price[way]
                 + (p->best_pool[1 - way] == pool ? p->second[1 - way] : p->best[1 - way]) > 0.0;
    if (max_hops >= 3)
        found += bare_common(g, s, t, BARE_NONE, t_to_s, s_to_t, starts);
    if (max_hops < 4)
        return found;
    for (i = g->at[s], end = g->at[s + 1]; i < end; i++) {
        a = g->edges[i].token;
        if (a != t)
            found += bare_common(g, a, t, s, t_to_s + bare_best(g, g->edges[i].pair, s),
                                 s_to_t + bare_best(g, g->edges[i].pair, a),
                                 starts || g->start[a]);
    }
    return found;
}

/* How many cycles of 2 to max_hops swaps lead through `pool` in one direction, whatever they gain:
 * each choice of parallel pools is one. Not for timing. */
static double bare_cycles(const bare_graph *g, uint32_t pool, uint32_t max_hops)
{
    const bare_pair *p = &g->pairs[g->pools[pool].pair];
    uint32_t s = p->token[0], t = p->token[1], i, j, last, middle;
    double n = p->n - 1.0;
    for (i = g->at[s]; max_hops >= 3 && i < g->at[s + 1]; i++) {
        uint32_t a = g->edges[i].token;
        double first = g->pairs[g->edges[i].pair].n;
        if (a == t)
            continue;
        last = bare_find(g, a, t);
        if (last != BARE_NONE)
            n += first * g->pairs[last].n;
        for (j = g->at[a]; max_hops == 4 && j < g->at[a + 1]; j++) {
            middle = g->edges[j].pair;
            last = g->edges[j].token == s || g->edges[j].token == t
                       ? BARE_NONE : bare_find(g, g->edges[j].token, t);
            if (last != BARE_NONE)
                n += first * g->pairs[middle].n * g->pairs[last].n;
        }
    }
    return n;
}

#endif
