/* The events that say something of a pool: signature, kind, shape. topic0 is computed from the
 * signature when the module is loaded, so that no digit of it can be wrong. */
#ifndef MEVFAST_EVENT_TOPICS_H
#define MEVFAST_EVENT_TOPICS_H

#include <string.h>

#include "event.h"
#include "keccak.h"

typedef struct {
    const char *signature;
    uint8_t kind;             /* enum event_kind */
    uint8_t n_topics;         /* topic0 included */
    uint8_t n_words;          /* of data; of a dynamic array its offset and length */
    uint8_t n_per_item;       /* more words for each item of arrays of one length; 0 without arrays */
} event_shape;

#define AMOUNTS_2(name, rest) name "(address,uint256[2],uint256[2]," rest
#define AMOUNTS_3(name, rest) name "(address,uint256[3],uint256[3]," rest
#define AMOUNTS_4(name, rest) name "(address,uint256[4],uint256[4]," rest
#define AMOUNTS_5(name, rest) name "(address,uint256[5],uint256[5]," rest
#define AMOUNTS_6(name, rest) name "(address,uint256[6],uint256[6]," rest
#define AMOUNTS_7(name, rest) name "(address,uint256[7],uint256[7]," rest
#define AMOUNTS_8(name, rest) name "(address,uint256[8],uint256[8]," rest
/* Liquidity of StableSwap pools of n coins, and of NG's, whose arrays are dynamic. */
#define CURVE_LIQUIDITY(n)                                                                        \
    {AMOUNTS_##n("AddLiquidity", "uint256,uint256)"), EVENT_CURVE_OTHER, 2, 2 * n + 2, 0},        \
    {AMOUNTS_##n("RemoveLiquidity", "uint256)"), EVENT_CURVE_OTHER, 2, 2 * n + 1, 0},             \
    {AMOUNTS_##n("RemoveLiquidityImbalance", "uint256,uint256)"), EVENT_CURVE_OTHER, 2, 2 * n + 2, 0}

static const event_shape event_shapes[] = {
    /* Uniswap V2 and its forks; Camelot */
    {"Sync(uint112,uint112)", EVENT_V2_SYNC, 1, 2, 0},
    {"Swap(address,uint256,uint256,uint256,uint256,address)", EVENT_V2_SWAP, 3, 4, 0},
    {"FeePercentUpdated(uint16,uint16)", EVENT_CAMELOT_FEES, 1, 2, 0},
    {"SetStableSwap(bool,bool)", EVENT_CAMELOT_TYPE, 1, 2, 0},
    /* Solidly: Velodrome V2, Aerodrome; the last one is the factory's */
    {"Sync(uint256,uint256)", EVENT_SOLIDLY_SYNC, 1, 2, 0},
    {"Swap(address,address,uint256,uint256,uint256,uint256)", EVENT_SOLIDLY_SWAP, 3, 4, 0},
    {"SetCustomFee(address,uint256)", EVENT_SOLIDLY_FEE, 2, 1, 0},
    /* Uniswap V3, PancakeSwap V3, Algebra */
    {"Swap(address,address,int256,int256,uint160,uint128,int24)", EVENT_V3_SWAP, 3, 5, 0},
    {"Initialize(uint160,int24)", EVENT_V3_INITIALIZE, 1, 2, 0},
    {"Mint(address,address,int24,int24,uint128,uint256,uint256)", EVENT_V3_MINT, 4, 4, 0},
    {"Burn(address,int24,int24,uint128,uint256,uint256)", EVENT_V3_BURN, 4, 3, 0},
    {"Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)",
     EVENT_PANCAKE_SWAP, 3, 7, 0},
    {"Swap(address,address,int256,int256,uint160,uint128,int24,uint24,uint24)",
     EVENT_ALGEBRA_SWAP, 3, 7, 0},
    {"Burn(address,int24,int24,uint128,uint256,uint256,uint24)", EVENT_ALGEBRA_BURN, 4, 4, 0},
    {"Fee(uint16)", EVENT_ALGEBRA_FEE, 1, 1, 0},
    {"Fee(uint16,uint16)", EVENT_ALGEBRA_FEES, 1, 2, 0},
    {"TickSpacing(int24)", EVENT_ALGEBRA_TICK_SPACING, 1, 1, 0},
    {"TickSpacing(int24,int24)", EVENT_ALGEBRA_TICK_SPACING, 1, 2, 0},
    {"Plugin(address)", EVENT_ALGEBRA_PLUGIN, 1, 1, 0},
    {"PluginConfig(uint8)", EVENT_ALGEBRA_PLUGIN, 1, 1, 0},
    /* Uniswap V4's PoolManager; topic 1 is the pool's id */
    {"Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)", EVENT_V4_SWAP, 3, 6, 0},
    {"ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)",
     EVENT_V4_MODIFY_LIQUIDITY, 3, 4, 0},
    {"Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)",
     EVENT_V4_INITIALIZE, 4, 5, 0},
    {"Donate(bytes32,address,uint256,uint256)", EVENT_V4_DONATE, 3, 2, 0},
    {"ProtocolFeeUpdated(bytes32,uint24)", EVENT_V4_PROTOCOL_FEE, 2, 1, 0},
    /* Balancer's Vault; topic 1 is the pool's id */
    {"Swap(bytes32,address,address,uint256,uint256)", EVENT_BALANCER_SWAP, 4, 2, 0},
    {"PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])",
     EVENT_BALANCER_CHANGED, 3, 6, 3},
    {"PoolBalanceManaged(bytes32,address,address,int256,int256)", EVENT_BALANCER_MANAGED, 4, 2, 0},
    /* its pools */
    {"SwapFeePercentageChanged(uint256)", EVENT_BALANCER_SWAP_FEE, 1, 1, 0},
    {"AmpUpdateStarted(uint256,uint256,uint256,uint256)", EVENT_BALANCER_OTHER, 1, 4, 0},
    {"AmpUpdateStopped(uint256)", EVENT_BALANCER_OTHER, 1, 1, 0},
    {"TokenRateCacheUpdated(uint256,uint256)", EVENT_BALANCER_OTHER, 2, 1, 0},
    {"TokenRateProviderSet(uint256,address,uint256)", EVENT_BALANCER_OTHER, 3, 1, 0},
    {"TokenRateCacheUpdated(address,uint256)", EVENT_BALANCER_OTHER, 2, 1, 0},
    {"TokenRateProviderSet(address,address,uint256)", EVENT_BALANCER_OTHER, 3, 1, 0},
    {"PriceRateCacheUpdated(address,uint256)", EVENT_BALANCER_OTHER, 2, 1, 0},
    {"PriceRateProviderSet(address,address,uint256)", EVENT_BALANCER_OTHER, 3, 1, 0},
    /* Curve StableSwap, legacy and NG */
    {"TokenExchange(address,int128,uint256,int128,uint256)", EVENT_CURVE_EXCHANGE, 2, 4, 0},
    {"TokenExchangeUnderlying(address,int128,uint256,int128,uint256)", EVENT_CURVE_OTHER, 2, 4, 0},
    CURVE_LIQUIDITY(2), CURVE_LIQUIDITY(3), CURVE_LIQUIDITY(4), CURVE_LIQUIDITY(5),
    CURVE_LIQUIDITY(6), CURVE_LIQUIDITY(7), CURVE_LIQUIDITY(8),
    {"AddLiquidity(address,uint256[],uint256[],uint256,uint256)", EVENT_CURVE_OTHER, 2, 6, 2},
    {"RemoveLiquidity(address,uint256[],uint256[],uint256)", EVENT_CURVE_OTHER, 2, 5, 2},
    {"RemoveLiquidityImbalance(address,uint256[],uint256[],uint256,uint256)",
     EVENT_CURVE_OTHER, 2, 6, 2},
    {"RemoveLiquidityOne(address,uint256,uint256)", EVENT_CURVE_OTHER, 2, 2, 0},
    {"RemoveLiquidityOne(address,uint256,uint256,uint256)", EVENT_CURVE_OTHER, 2, 3, 0},
    {"RemoveLiquidityOne(address,int128,uint256,uint256,uint256)", EVENT_CURVE_OTHER, 2, 4, 0},
    {"RampA(uint256,uint256,uint256,uint256)", EVENT_CURVE_OTHER, 1, 4, 0},
    {"StopRampA(uint256,uint256)", EVENT_CURVE_OTHER, 1, 2, 0},
    {"NewParameters(uint256,uint256,uint256)", EVENT_CURVE_OTHER, 1, 3, 0},
    {"CommitNewFee(uint256,uint256,uint256)", EVENT_CURVE_OTHER, 2, 2, 0},
    {"CommitNewFee(uint256)", EVENT_CURVE_OTHER, 1, 1, 0},
    {"NewFee(uint256,uint256)", EVENT_CURVE_OTHER, 1, 2, 0},
    {"NewFee(uint256)", EVENT_CURVE_OTHER, 1, 1, 0},
    {"ApplyNewFee(uint256)", EVENT_CURVE_OTHER, 1, 1, 0},
    {"ApplyNewFee(uint256,uint256)", EVENT_CURVE_OTHER, 1, 2, 0},
    /* Curve CryptoSwap: bought and sold alone, with the fee, with the fee and the price scale */
    {"TokenExchange(address,uint256,uint256,uint256,uint256)", EVENT_CRYPTO_EXCHANGE, 2, 4, 0},
    {"TokenExchange(address,uint256,uint256,uint256,uint256,uint256)",
     EVENT_CRYPTO_EXCHANGE, 2, 5, 0},
    {"TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)",
     EVENT_CRYPTO_EXCHANGE, 2, 6, 0},
    {"AddLiquidity(address,uint256[2],uint256,uint256)", EVENT_CRYPTO_OTHER, 2, 4, 0},
    {"AddLiquidity(address,uint256[3],uint256,uint256)", EVENT_CRYPTO_OTHER, 2, 5, 0},
    {"AddLiquidity(address,uint256[2],uint256,uint256,uint256)", EVENT_CRYPTO_OTHER, 2, 5, 0},
    {"AddLiquidity(address,uint256[3],uint256,uint256,uint256)", EVENT_CRYPTO_OTHER, 2, 6, 0},
    {"RemoveLiquidity(address,uint256[2],uint256)", EVENT_CRYPTO_OTHER, 2, 3, 0},
    {"RemoveLiquidity(address,uint256[3],uint256)", EVENT_CRYPTO_OTHER, 2, 4, 0},
    {"RemoveLiquidityImbalance(address,uint256[2],uint256,uint256,uint256)",
     EVENT_CRYPTO_OTHER, 2, 5, 0},
    {"RemoveLiquidityOne(address,uint256,uint256,uint256,uint256,uint256)",
     EVENT_CRYPTO_OTHER, 2, 5, 0},
    {"NewParameters(uint256,uint256,uint256,uint256,uint256,uint256)",
     EVENT_CRYPTO_OTHER, 1, 6, 0},
    {"NewParameters(uint256,uint256,uint256,uint256,uint256,uint256,uint256)",
     EVENT_CRYPTO_OTHER, 1, 7, 0},
    {"RampAgamma(uint256,uint256,uint256,uint256,uint256,uint256)", EVENT_CRYPTO_OTHER, 1, 6, 0},
    {"StopRampA(uint256,uint256,uint256)", EVENT_CRYPTO_OTHER, 1, 3, 0},
    {"ClaimAdminFee(address,uint256)", EVENT_CRYPTO_OTHER, 2, 1, 0},
    {"ClaimAdminFee(address,uint256[2])", EVENT_CRYPTO_OTHER, 2, 2, 0},
    {"ClaimAdminFee(address,uint256[3])", EVENT_CRYPTO_OTHER, 2, 3, 0},
};

enum { EVENT_SHAPES = sizeof event_shapes / sizeof event_shapes[0] };
_Static_assert(EVENT_SHAPES < 128, "half of the buckets stay empty");

static uint8_t event_topic0[EVENT_SHAPES][32];
static uint8_t event_bucket[256]; /* by topic0's first byte, or the next free one: 1 + the shape */

__attribute__((constructor)) static void event_topics_begin(void)
{
    for (int i = 0; i < EVENT_SHAPES; i++) {
        const char *signature = event_shapes[i].signature;
        keccak256(event_topic0[i], (const uint8_t *)signature, strlen(signature));
        uint8_t bucket = event_topic0[i][0];
        while (event_bucket[bucket] != 0)
            bucket++;
        event_bucket[bucket] = (uint8_t)(i + 1);
    }
}

/* The shape that a topic0 belongs to, or NULL. */
static inline const event_shape *event_shape_of(const uint8_t topic0[32])
{
    for (uint8_t bucket = topic0[0]; event_bucket[bucket] != 0; bucket++) {
        const int i = event_bucket[bucket] - 1;
        if (memcmp(topic0, event_topic0[i], 32) == 0)
            return &event_shapes[i];
    }
    return NULL;
}

/* Whether a log of that topic0 has the topics and words that its signature says. */
static inline int event_fits(const event_shape *shape, const log_event *log)
{
    const int more = log->n_words - shape->n_words;
    if (log->n_topics != shape->n_topics || log->truncated)
        return 0;
    return shape->n_per_item == 0 ? more == 0 : more > 0 && more % shape->n_per_item == 0;
}

#endif
