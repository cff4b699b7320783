/* Which slot an event is about, and whether it says anything of the state of such a pool. */
#ifndef MEVFAST_EVENT_ROUTE_H
#define MEVFAST_EVENT_ROUTE_H

#include "event.h"
#include "table.h"

#define EVENT_BIT(name) (1ull << EVENT_##name)
#define EVENTS_V3                                                                               \
    (EVENT_BIT(V3_INITIALIZE) | EVENT_BIT(V3_MINT) | EVENT_BIT(V3_BURN) | EVENT_BIT(V3_SWAP)   \
     | EVENT_BIT(PANCAKE_SWAP) | EVENT_BIT(ALGEBRA_SWAP) | EVENT_BIT(ALGEBRA_BURN))
#define EVENTS_ALGEBRA                                                                        \
    (EVENTS_V3 | EVENT_BIT(ALGEBRA_FEE) | EVENT_BIT(ALGEBRA_FEES)                             \
     | EVENT_BIT(ALGEBRA_TICK_SPACING) | EVENT_BIT(ALGEBRA_PLUGIN))
#define EVENTS_V4                                                                             \
    (EVENT_BIT(V4_INITIALIZE) | EVENT_BIT(V4_MODIFY_LIQUIDITY) | EVENT_BIT(V4_SWAP)           \
     | EVENT_BIT(V4_PROTOCOL_FEE))
/* The generations of Curve's contracts share some events of liquidity. */
#define EVENTS_CURVE                                                                          \
    (EVENT_BIT(CURVE_EXCHANGE) | EVENT_BIT(CURVE_OTHER) | EVENT_BIT(CRYPTO_EXCHANGE)          \
     | EVENT_BIT(CRYPTO_OTHER))
#define EVENTS_VAULT                                                                          \
    (EVENT_BIT(BALANCER_SWAP) | EVENT_BIT(BALANCER_CHANGED) | EVENT_BIT(BALANCER_MANAGED))
#define EVENTS_BALANCER                                                                       \
    (EVENTS_VAULT | EVENT_BIT(BALANCER_SWAP_FEE) | EVENT_BIT(BALANCER_OTHER))

_Static_assert(EVENT_KINDS <= 64, "a set of them is a word");

/* The events that say something of the state, by enum pool_kind. */
static const uint64_t events_of_kind[] = {
    [POOL_NONE] = 0,
    [POOL_UNISWAP_V2] = EVENT_BIT(V2_SYNC),
    [POOL_UNISWAP_V3] = EVENTS_V3,
    [POOL_PANCAKE_V3] = EVENTS_V3,
    [POOL_ALGEBRA_V1] = EVENTS_ALGEBRA,
    [POOL_ALGEBRA_INTEGRAL] = EVENTS_ALGEBRA,
    [POOL_UNISWAP_V4] = EVENTS_V4,
    [POOL_CAMELOT_V2] = EVENT_BIT(V2_SYNC) | EVENT_BIT(CAMELOT_FEES) | EVENT_BIT(CAMELOT_TYPE),
    [POOL_SOLIDLY] = EVENT_BIT(SOLIDLY_SYNC) | EVENT_BIT(SOLIDLY_FEE),
    [POOL_CURVE_STABLE] = EVENTS_CURVE,
    [POOL_CURVE_STABLE_NG] = EVENTS_CURVE,
    [POOL_CURVE_TRICRYPTO_NG] = EVENTS_CURVE,
    [POOL_CURVE_TWOCRYPTO_NG] = EVENTS_CURVE,
    [POOL_BALANCER_WEIGHTED] = EVENTS_BALANCER,
    [POOL_BALANCER_COMPOSABLE_STABLE] = EVENTS_BALANCER,
};

static inline int event_carries_state(uint32_t pool_kind, uint32_t event_kind)
{
    return (int)(events_of_kind[pool_kind] >> event_kind & 1);
}

/* Whether an event is emitted by a singleton and names the pool in topic 1. */
static inline int event_names_pool(uint32_t event_kind)
{
    const uint64_t named = EVENTS_V4 | EVENT_BIT(V4_DONATE) | EVENTS_VAULT | EVENT_BIT(SOLIDLY_FEE);
    return (int)(named >> event_kind & 1);
}

/* The slot of the pool that an event is about, or TABLE_NO_SLOT: an unknown pool's, or one that
 * another contract than the pool's own, or its singleton, tells of. */
static inline uint32_t event_slot(const pool_table *t, const log_event *e)
{
    uint8_t id[32];
    if (!event_names_pool(e->kind))
        return table_find(t, e->address);
    if (e->n_topics < 2)
        return TABLE_NO_SLOT;
    u256_to_be(id, &e->topic[0]);
    /* the factory names its pool by the address, the others by the whole id */
    const int is_address = e->kind == EVENT_SOLIDLY_FEE;
    const uint32_t slot = table_find(t, is_address ? id + 12 : id);
    if (slot == TABLE_NO_SLOT)
        return slot;
    const slot_body *body = &t->slots[slot].body;
    if (!is_address && memcmp(body->id_rest, id + 20, 12) != 0)
        return TABLE_NO_SLOT;
    if (body->venue == 0 || !same_key(table_emitter(t, body), e->address))
        return TABLE_NO_SLOT;
    return slot;
}

#endif
