/* The constant product with a fee off the input (v2-core UniswapV2Pair.swap), without refusals.
 *
 * Reserves are below 2**112, `kept` is 1e6 less the fee in pips. What ordinary pairs hold leaves
 * every divisor within two words.
 */
#ifndef MEVFAST_V2_MATH_H
#define MEVFAST_V2_MATH_H

#include "u256.h"

enum {
    V2_RESERVE_BITS = 112, /* the contract keeps reserves as uint112 */
    V2_NARROW_BITS = 107   /* 2**107 * 1e6 is below 2**127 */
};
#define V2_PIPS UINT64_C(1000000)

/* x * y modulo 2**128. */
static inline u128 v2_scale(u128 x, uint64_t y)
{
    uint64_t hi, lo = word_mul(&hi, (uint64_t)x, y);
    return u128_make((uint64_t)(x >> 64) * y + hi, lo);
}

/* in * kept * Ro / (Ri * 1e6 + in * kept), floor, for anything up to 112 bits. */
static U256_NOINLINE u128 v2_amount_out_wide(u128 amount_in, u128 reserve_in, u128 reserve_out,
                                             uint64_t kept)
{
    u256 numerator, paid, denominator;
    u256_from_u128(&paid, amount_in);
    u256_from_u128(&numerator, reserve_out);
    u256_from_u128(&denominator, reserve_in);
    u256_mul_u64(&paid, &paid, kept);
    u256_mul(&numerator, &numerator, &paid);
    u256_mul_u64(&denominator, &denominator, V2_PIPS);
    u256_add(&denominator, &denominator, &paid);
    u256_div(&numerator, &numerator, &denominator);
    return u256_lo128(&numerator); /* below Ro */
}

/* Ri * out * 1e6 / ((Ro - out) * kept), rounded up, likewise; 0 where it is 2**128 or more. */
static U256_NOINLINE u128 v2_amount_in_wide(u128 amount_out, u128 reserve_in, u128 reserve_out,
                                            uint64_t kept)
{
    u256 numerator, denominator;
    u128_mul_full(&numerator, amount_out, reserve_in);
    u256_from_u128(&denominator, reserve_out - amount_out);
    u256_mul_u64(&numerator, &numerator, V2_PIPS);
    u256_mul_u64(&denominator, &denominator, kept);
    u256_div_up(&numerator, &numerator, &denominator);
    return u256_fits_u128(&numerator) ? u256_lo128(&numerator) : 0;
}

/* The largest output that leaves K: in * kept * Ro / (Ri * 1e6 + in * kept), floor. */
static inline u128 v2_amount_out(u128 amount_in, u128 reserve_in, u128 reserve_out, uint64_t kept)
{
    int left;
    if (U256_UNLIKELY(!u128_fits(amount_in | reserve_in, V2_NARROW_BITS)))
        return v2_amount_out_wide(amount_in, reserve_in, reserve_out, kept);
    u128 paid = v2_scale(amount_in, kept);
    return u128_mul_div(&left, paid, reserve_out, v2_scale(reserve_in, V2_PIPS) + paid);
}

/* The smallest input that leaves K: Ri * out * 1e6 / ((Ro - out) * kept), rounded up; one below the
 * router's getAmountIn where the division is exact. 0 where it is 2**128 or more. Needs out < Ro.
 */
static inline u128 v2_amount_in(u128 amount_out, u128 reserve_in, u128 reserve_out, uint64_t kept)
{
    int left;
    u128 taken = v2_scale(amount_out, V2_PIPS), rest = v2_scale(reserve_out - amount_out, kept);
    if (U256_UNLIKELY(!u128_fits(reserve_out, V2_NARROW_BITS) || taken > rest))
        return v2_amount_in_wide(amount_out, reserve_in, reserve_out, kept);
    u128 quotient = u128_mul_div(&left, taken, reserve_in, rest);
    return quotient + (unsigned)left;
}

#endif
