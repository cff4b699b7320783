/* Uniswap V3 TickMath (v3-core libraries/TickMath.sol), bit for bit: sqrt(1.0001**tick) * 2**96. */
#ifndef MEVFAST_TICK_MATH_H
#define MEVFAST_TICK_MATH_H

#include <math.h>

#include "u256.h"

enum { MIN_TICK = -887272, MAX_TICK = 887272 };

/* The prices at MIN_TICK and MAX_TICK: a pool's price lies in [MIN, MAX). */
#define MIN_SQRT_RATIO UINT64_C(4295128739)
static const u256 MAX_SQRT_RATIO = {
    {UINT64_C(0x5d951d5263988d26), UINT64_C(0xefd1fc6a50648849), UINT64_C(0xfffd8963), 0}};

/* 2**128 / sqrt(1.0001)**(2**i), as the contract has them. */
#define TICK_FACTOR(hi, lo) ((u128)UINT64_C(hi) << 64 | UINT64_C(lo))
static const u128 TICK_FACTORS[20] = {
    TICK_FACTOR(0xfffcb933bd6fad37, 0xaa2d162d1a594001),
    TICK_FACTOR(0xfff97272373d4132, 0x59a46990580e213a),
    TICK_FACTOR(0xfff2e50f5f656932, 0xef12357cf3c7fdcc),
    TICK_FACTOR(0xffe5caca7e10e4e6, 0x1c3624eaa0941cd0),
    TICK_FACTOR(0xffcb9843d60f6159, 0xc9db58835c926644),
    TICK_FACTOR(0xff973b41fa98c081, 0x472e6896dfb254c0),
    TICK_FACTOR(0xff2ea16466c96a38, 0x43ec78b326b52861),
    TICK_FACTOR(0xfe5dee046a99a2a8, 0x11c461f1969c3053),
    TICK_FACTOR(0xfcbe86c7900a88ae, 0xdcffc83b479aa3a4),
    TICK_FACTOR(0xf987a7253ac41317, 0x6f2b074cf7815e54),
    TICK_FACTOR(0xf3392b0822b70005, 0x940c7a398e4b70f3),
    TICK_FACTOR(0xe7159475a2c29b74, 0x43b29c7fa6e889d9),
    TICK_FACTOR(0xd097f3bdfd2022b8, 0x845ad8f792aa5825),
    TICK_FACTOR(0xa9f746462d870fdf, 0x8a65dc1f90e061e5),
    TICK_FACTOR(0x70d869a156d2a1b8, 0x90bb3df62baf32f7),
    TICK_FACTOR(0x31be135f97d08fd9, 0x81231505542fcfa6),
    TICK_FACTOR(0x09aa508b5b7a84e1, 0xc677de54f3e99bc9),
    TICK_FACTOR(0x005d6af8dedb8119, 0x6699c329225ee604),
    TICK_FACTOR(0x00002216e584f5fa, 0x1ea926041bedfe98),
    TICK_FACTOR(0x00000000048a1703, 0x91f7dc42444e8fa2),
};

/* floor(tick / spacing), as TickBitmap compresses it; C alone would round towards zero. */
static inline int32_t tick_math_compress(int32_t tick, int32_t spacing)
{
    return tick / spacing - (tick % spacing < 0);
}

/* floor(x * y / 2**128). */
static inline u128 tick_math_mul_high(u128 x, u128 y)
{
    u256 product;
    u128_mul_full(&product, x, y);
    return u128_make(product.w[3], product.w[2]);
}

/* Whether MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO. */
static inline int tick_math_price_in_range(const u256 *sqrt_price_x96)
{
    u256 lowest;
    u256_from_u64(&lowest, MIN_SQRT_RATIO);
    return !u256_lt(sqrt_price_x96, &lowest) && u256_lt(sqrt_price_x96, &MAX_SQRT_RATIO);
}

/* getSqrtRatioAtTick; 0, or U256_OVERFLOW outside [MIN_TICK, MAX_TICK] (the contract's "T"). */
static inline int tick_math_get_sqrt_ratio(u256 *sqrt_price_x96, int32_t tick)
{
    if (tick < MIN_TICK || tick > MAX_TICK)
        return U256_OVERFLOW;
    if (tick == 0) {
        u256_from_u128(sqrt_price_x96, (u128)1 << 96);
        return U256_OK;
    }
    unsigned bits = (unsigned)(tick < 0 ? -tick : tick);
    /* The contract starts from 2**128, so that the first factor stands as it is. */
    u128 ratio = TICK_FACTORS[__builtin_ctz(bits)];
    for (bits &= bits - 1; bits != 0; bits &= bits - 1)
        ratio = tick_math_mul_high(ratio, TICK_FACTORS[__builtin_ctz(bits)]);
    u256 x128;
    u256_from_u128(&x128, ratio);
    if (tick > 0) {
        const u256 all_ones = {{~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)}};
        u256_div(&x128, &all_ones, &x128);
    }
    int round_up = (x128.w[0] & UINT32_MAX) != 0;
    u256_shr(sqrt_price_x96, &x128, 32);
    u256_add_u64(sqrt_price_x96, sqrt_price_x96, (uint64_t)round_up);
    return U256_OK;
}

/* Ticks by which the logarithm of a double may be off, and more: getSqrtRatioAtTick rounds by 2**-32
 * of the price at most, log and its argument by 2**-52, a tick is 5e-5. */
#define TICK_DOUBT 1e-3
#define TICKS_PER_LN_SQRT_PRICE 20000.999983334167 /* 2 / ln(1.0001) */
#define TICK_OFFSET (MAX_TICK + 2)
#define Q96_INVERSE 0x1p-96

/* The greatest tick whose price is <= this one, by a logarithm that found `at` ticks: where it is
 * beside a tick's own price, by comparison with that price. */
static inline int32_t tick_math_tick_beside(const u256 *sqrt_price_x96, double at)
{
    u256 price;
    int32_t nearest = (int32_t)(at + (at < 0.0 ? -0.5 : 0.5));
    if (tick_math_get_sqrt_ratio(&price, nearest) != U256_OK)
        return nearest; /* not in the contract's range of prices */
    return nearest - u256_lt(sqrt_price_x96, &price);
}

/* The greatest tick whose price is <= this one, which is in the contract's range; `root` is the
 * nearest double to it, without the 2**96. */
static inline int32_t tick_math_tick_of(const u256 *sqrt_price_x96, double root)
{
    double at = log(root) * TICKS_PER_LN_SQRT_PRICE;
    int32_t below = (int32_t)(at + TICK_OFFSET) - TICK_OFFSET; /* rounded down, whatever the sign */
    double part = at - below;
    if (__builtin_expect(part < TICK_DOUBT || part > 1.0 - TICK_DOUBT, 0))
        return tick_math_tick_beside(sqrt_price_x96, at);
    return below;
}

/* getTickAtSqrtRatio: the greatest tick whose price is <= this one; 0, or U256_OVERFLOW where the
 * price is outside [MIN_SQRT_RATIO, MAX_SQRT_RATIO) (the contract's "R"). */
static inline int tick_math_get_tick(int32_t *tick, const u256 *sqrt_price_x96)
{
    if (!tick_math_price_in_range(sqrt_price_x96))
        return U256_OVERFLOW;
    *tick = tick_math_tick_of(sqrt_price_x96, u256_to_double(sqrt_price_x96) * Q96_INVERSE);
    return U256_OK;
}

#endif
