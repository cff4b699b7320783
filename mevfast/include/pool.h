/* Pool states, quotes and status codes: what kernels, table and search share.
 *
 * Amounts are raw token units (wei). Prices are tokens out per token in as
 * doubles with the fee taken off; they screen and never become amounts.
 */
#ifndef MEVFAST_POOL_H
#define MEVFAST_POOL_H

#include <stdint.h>

#include "u256.h"

enum pool_kind { POOL_NONE = 0, POOL_UNISWAP_V2 = 1, POOL_UNISWAP_V3 = 2 };

/* What a quote says. Anything but QUOTE_OK carries no amounts. */
enum quote_status {
    QUOTE_OK = 0,
    QUOTE_ZERO_AMOUNT,        /* the specified amount is 0 */
    QUOTE_NO_OUTPUT,          /* the contract would pay 0 and revert, or demand nothing */
    QUOTE_NO_LIQUIDITY,       /* empty pool, or more asked than there is */
    QUOTE_OVERFLOW,           /* the contract reverts on its own integer limits */
    QUOTE_PRICE_LIMIT,        /* the limit is already passed or out of range */
    QUOTE_UNKNOWN_KIND
};

typedef struct {
    u128 reserve0, reserve1;  /* uint112 in the contract */
    uint32_t fee_pips;        /* 1e-6 of the input */
} v2_state;

typedef struct {
    i128 liquidity_net;       /* added when the price crosses upwards */
    u128 liquidity_gross;     /* 0 only where unknown (files); the tick leaves the list when events bring it to 0 */
    int32_t tick;
} v3_tick;

typedef struct {
    u256 sqrt_price_x96;      /* uint160 */
    u128 liquidity;
    int32_t tick;             /* slot0.tick: one below the price's tick after a downward stop on a crossed tick */
    int32_t tick_spacing;
    uint32_t fee_pips;
    uint32_t n_ticks;
    const v3_tick *ticks;     /* every initialised tick, ascending; borrowed */
} v3_state;

typedef struct {
    uint32_t kind;            /* enum pool_kind */
    union {
        v2_state v2;
        v3_state v3;
    };
} pool_state;

/* The moving part of a pool after a swap; the rest of pool_state is unchanged. */
typedef struct {
    u128 reserve0, reserve1;
} v2_after;

typedef struct {
    u256 sqrt_price_x96;
    u128 liquidity;
    int32_t tick;
} v3_after;

typedef struct {
    u256 amount_in;           /* below the specified amount where liquidity or the limit ran out */
    u256 amount_out;
    double price_after;       /* marginal price after the swap, out per in, fee taken off */
    union {
        v2_after v2;
        v3_after v3;
    } after;
} pool_quote;

#endif
