/* Pool states, quotes and status codes: what kernels, table and search share.
 *
 * Amounts are raw token units (wei). Prices are tokens out per token in as
 * doubles with the fee taken off; they screen and never become amounts.
 */
#ifndef MEVFAST_POOL_H
#define MEVFAST_POOL_H

#include <stdint.h>

#include "u256.h"

enum pool_kind {
    POOL_NONE = 0,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    POOL_PANCAKE_V3,
    POOL_ALGEBRA_V1,
    POOL_ALGEBRA_INTEGRAL,
    POOL_UNISWAP_V4,
    POOL_CAMELOT_V2,
    POOL_SOLIDLY,
    POOL_CURVE_STABLE,
    POOL_CURVE_STABLE_NG,
    POOL_CURVE_TRICRYPTO_NG,
    POOL_CURVE_TWOCRYPTO_NG,
    POOL_BALANCER_WEIGHTED,
    POOL_BALANCER_COMPOSABLE_STABLE
};

enum { POOL_MAX_TOKENS = 8 };

/* What a quote says. Anything but QUOTE_OK carries no amounts. */
enum quote_status {
    QUOTE_OK = 0,
    QUOTE_ZERO_AMOUNT,        /* the specified amount is 0 */
    QUOTE_NO_OUTPUT,          /* the contract would pay 0 and revert, or demand nothing */
    QUOTE_NO_LIQUIDITY,       /* empty pool, or more asked than there is */
    QUOTE_OVERFLOW,           /* the contract reverts on its own integer limits */
    QUOTE_PRICE_LIMIT,        /* the limit is already passed or out of range */
    QUOTE_UNKNOWN_KIND,
    QUOTE_INVARIANT,          /* the contract's own search for its invariant, or its check, fails */
    QUOTE_UNSUPPORTED         /* the contract has no such swap: exact out, or the pool's own token */
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

enum {
    V3_STOPS = 40,            /* a direction's share of a window: V3_STOPS_BEHIND behind the price */
    V3_STOPS_BEHIND = 8
};

/* The stops of one direction, in the order of travel: initialised ticks, and the ends of bitmap
 * words, where the contract rounds, too. A step from one stop to the next takes and gives the same
 * whatever was there before; the sums run from the first stop. */
typedef struct {
    uint32_t n_stops;         /* 0: none known */
    uint32_t next;            /* the first one ahead of the price; 0: not to be used now */
    uint32_t fee_pips;        /* the fee in the sums */
    int32_t tick[V3_STOPS];
    u128 next_in, next_out;   /* from the price to stop `next`, fee included */
    u128 liquidity[V3_STOPS]; /* beyond the stop */
    u128 amount_in[V3_STOPS]; /* fee included; below 2**127, as the next one */
    u128 amount_out[V3_STOPS];
    u256 sqrt_price_x96[V3_STOPS];
} v3_way;

/* Ready sums around the price, for the very state that it names. */
typedef struct {
    u256 sqrt_price_x96;
    u128 liquidity;
    int32_t tick;
    v3_way way[2];            /* by token in: 0 down, 1 up */
} v3_window;

/* What a hook's address permits it in swaps (v4-core Hooks.sol): before, after, and their deltas. */
enum { V4_SWAP_HOOKS = 1 << 7 | 1 << 6 | 1 << 3 | 1 << 2, V4_MAX_PROTOCOL_FEE = 1000 };

/* Whose rules on amounts and fees a concentrated-liquidity pool follows. */
enum v3_form {
    V3_POOL = 0,              /* Uniswap V3, PancakeSwap V3, Algebra V1 */
    V3_INTEGRAL,              /* Algebra V2 and Integral: refuses to negate int256's lowest value */
    V3_SINGLETON              /* Uniswap V4: input is negative, deltas are int128, fees reach 100 % */
};

typedef struct {
    u256 sqrt_price_x96;      /* uint160 */
    u128 liquidity;
    int32_t tick;             /* slot0.tick: one below the price's tick after a downward stop on a crossed tick */
    int32_t tick_spacing;
    int32_t bitmap_spacing;   /* ticks that a bit of the bitmap stands for; 0: ticks are a linked list */
    uint32_t fee_pips[2];     /* of the input, by token in; what the swap pays, protocol's part included */
    uint32_t lp_fee_pips[2];  /* the same without protocol_fee */
    uint32_t protocol_fee;    /* Uniswap V4, as in slot0: 12 bits of pips for token 0 in, then for 1 */
    uint32_t n_ticks;
    uint32_t form;            /* enum v3_form */
    uint32_t hooks;           /* Uniswap V4: the hook's permissions; with one of V4_SWAP_HOOKS no quote */
    const v3_tick *ticks;     /* every initialised tick, ascending; borrowed */
    const v3_window *window;  /* of this pool, or NULL; borrowed */
} v3_state;

/* The part of V4's protocol fee that a direction pays, pips: 12 bits each, token 0 in the lowest. */
static inline uint32_t v4_protocol_part(uint32_t protocol_fee, int token_in)
{
    return protocol_fee >> 12 * token_in & 0xfff;
}

/* What a swap pays of both fees (ProtocolFeeLibrary.calculateSwapFee), pips. */
static inline uint32_t v4_swap_fee(uint32_t lp_fee, uint32_t protocol_fee, int token_in)
{
    const uint32_t part = v4_protocol_part(protocol_fee, token_in);
    return part + lp_fee - (uint32_t)((uint64_t)part * lp_fee / 1000000);
}

enum solidly_form {
    SOLIDLY_VELODROME = 0,    /* Velodrome V2 and Aerodrome: _get_y asks _k about y + 1 */
    SOLIDLY_VELODROME_F,      /* their sources since October 2024: it asks _f */
    SOLIDLY_CAMELOT
};

typedef struct {
    u256 reserve[2];
    u256 decimals[2];         /* 10**decimals of each token */
    uint32_t fee[2];          /* of the input, by token in; over fee_denominator */
    uint32_t fee_denominator; /* 10,000 in Velodrome, 100,000 in Camelot */
    uint32_t owner_fee_share; /* Camelot: of the fee, over fee_denominator; leaves the pool */
    uint8_t stable;           /* x**3 y + y**3 x instead of x y */
    uint8_t form;             /* enum solidly_form: whose rounding */
} solidly_state;

enum curve_form { CURVE_3POOL = 0, CURVE_Y_POOL, CURVE_PLAIN, CURVE_NG };

typedef struct {
    u256 balance[POOL_MAX_TOKENS];
    u256 rate[POOL_MAX_TOKENS]; /* 1e18-based: balance * rate / 1e18 has 18 decimals */
    u256 amp;                 /* A in 3pool and y pools, A * 100 in plain pools and NG; 56 bits */
    u256 fee, admin_fee;      /* 1e-10; admin_fee of the fee */
    u256 offpeg_fee_multiplier; /* 1e-10, CURVE_NG only */
    u256 xp[POOL_MAX_TOKENS]; /* balances in 18 decimals, and */
    u256 d;                   /* their invariant: follow from the fields above */
    uint8_t n_tokens;
    uint8_t form;             /* enum curve_form */
    uint8_t status;           /* enum quote_status: why xp or d cannot be had, QUOTE_OK if they can */
} curve_state;

enum twocrypto_version { TWOCRYPTO_V2_0 = 0, TWOCRYPTO_V2_1 };

typedef struct {
    u256 balance[3];
    u256 precision[3];        /* 10**(18 - decimals) */
    u256 price_scale[2];      /* of coin 1 and 2 in coin 0, 1e18; the second unused with 2 coins */
    u256 amp, gamma, d;
    u256 mid_fee, out_fee, fee_gamma;
    u256 total_supply;        /* of shares; 0 where unknown, then d must rise instead of their price */
    u256 virtual_price;       /* of a share before the swap, 1e18 */
    uint8_t n_tokens;         /* 2 (twocrypto) or 3 (tricrypto) */
    uint8_t version;          /* enum twocrypto_version, 2 coins only: they differ in limits */
    uint8_t ramping;          /* A and gamma move: the contract finds d anew before each swap */
} crypto_state;

enum balancer_form {
    BALANCER_WEIGHTED = 0,
    BALANCER_STABLE,          /* the invariant's divisions cut off: since June 2022 */
    BALANCER_STABLE_ROUND_UP  /* they round up: the stable and meta-stable pools before */
};

typedef struct {
    u256 balance[POOL_MAX_TOKENS];
    u256 scaling_factor[POOL_MAX_TOKENS]; /* 1e18-based, the token rate included */
    u256 weight[POOL_MAX_TOKENS];         /* 1e18-based, weighted pools only */
    u256 swap_fee;            /* 1e18-based */
    u256 amp, amp_precision;  /* amp is times amp_precision, 1000; stable pools only */
    uint8_t n_tokens;         /* the pool's own token included */
    uint8_t bpt_index;        /* stable pools only: takes no part in the maths; n_tokens for none */
    uint8_t form;             /* enum balancer_form: whose maths */
    uint8_t pow_shortcuts;    /* exponents 1, 2 and 4 exactly: not in the oldest weighted pools */
} balancer_state;

typedef struct {
    uint32_t kind;            /* enum pool_kind */
    union {
        v2_state v2;
        v3_state v3;          /* all concentrated liquidity */
        solidly_state solidly; /* and Camelot V2 */
        curve_state curve;
        crypto_state crypto;
        balancer_state balancer;
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
    u256 balance_in, balance_out;
    u256 d;                   /* CryptoSwap's invariant */
} balances_after;

typedef struct {
    u256 amount_in;           /* below the specified amount where liquidity or the limit ran out */
    u256 amount_out;
    double price_after;       /* marginal price after the swap, out per in, fee taken off */
    union {
        v2_after v2;
        v3_after v3;
        balances_after balances; /* all other kinds */
    } after;
} pool_quote;

#endif
