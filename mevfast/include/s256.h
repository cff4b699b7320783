/* 256-bit arithmetic as Vyper and Solidity 0.8 write it, by value so that formulas can nest.
 *
 * A u256 stands for uint256 or, in two's complement, for int256. Checked operations (u_, s_) set
 * *bad where the contract would revert and then return something harmless, so that one test after
 * a whole formula is enough. Wrapping ones (w_) are the same for both types but for division
 * (uw_, sw_), where the EVM answers 0 for a divisor of 0. Signed division goes towards zero.
 */
#ifndef MEVFAST_S256_H
#define MEVFAST_S256_H

#include "u256.h"

/* ---- values, signs ---- */

static inline u256 u_lit(uint64_t x) { return (u256){{x, 0, 0, 0}}; }
static inline int s_negative(u256 x) { return (int)(x.w[3] >> 63); }
static inline u256 w_add(u256 x, u256 y) { u256_add(&x, &x, &y); return x; }
static inline u256 w_sub(u256 x, u256 y) { u256_sub(&x, &x, &y); return x; }
static inline u256 w_neg(u256 x) { return w_sub(u_lit(0), x); }
/* |x| as uint256: 2**255 for the lowest int256. */
static inline u256 s_magnitude(u256 x) { return s_negative(x) ? w_neg(x) : x; }
static inline int u_less(u256 x, u256 y) { return u256_lt(&x, &y); }
/* -1, 0 or 1 as the int256 x is below, at or above y. */
static inline int s_cmp(u256 x, u256 y)
{
    if (s_negative(x) != s_negative(y))
        return s_negative(x) ? -1 : 1;
    return u256_cmp(&x, &y);
}
static inline int s_positive(u256 x) { return !s_negative(x) && !u256_is_zero(&x); }

/* ---- wrapping ---- */

/* x * y modulo 2**256. */
static inline u256 w_mul(u256 x, u256 y)
{
    u256 r;
    u128 cross = u256_lo128(&x) * u256_hi128(&y) + u256_hi128(&x) * u256_lo128(&y);
    u128_mul_full(&r, u256_lo128(&x), u256_lo128(&y));
    u256_make(&r, u256_hi128(&r) + cross, u256_lo128(&r));
    return r;
}

/* Unsigned division; 0 for y = 0. */
static inline u256 uw_div(u256 x, u256 y)
{
    u256 r = {{0}};
    u256_div(&r, &x, &y);
    return r;
}

/* Signed division; 0 for y = 0, and the lowest int256 by -1 is itself. */
static inline u256 sw_div(u256 x, u256 y)
{
    u256 r = uw_div(s_magnitude(x), s_magnitude(y));
    return s_negative(x) != s_negative(y) ? w_neg(r) : r;
}

/* ---- checked uint256 ---- */

static inline u256 u_add(u256 x, u256 y, int *bad) { *bad |= u256_add(&x, &x, &y); return x; }
static inline u256 u_sub(u256 x, u256 y, int *bad) { *bad |= u256_sub(&x, &x, &y); return x; }
static inline u256 u_mul(u256 x, u256 y, int *bad)
{
    *bad |= u256_mul(&x, &x, &y);
    return x;
}
static inline u256 u_div(u256 x, u256 y, int *bad)
{
    *bad |= u256_is_zero(&y);
    return uw_div(x, y);
}

/* ---- checked int256 ---- */

/* x, where it fits int256: Vyper's convert of a uint256, and of an int256 to uint256. */
static inline u256 s_convert(u256 x, int *bad) { *bad |= s_negative(x); return x; }
static inline u256 s_add(u256 x, u256 y, int *bad)
{
    u256 r = w_add(x, y);
    *bad |= s_negative(x) == s_negative(y) && s_negative(r) != s_negative(x);
    return r;
}
static inline u256 s_sub(u256 x, u256 y, int *bad)
{
    u256 r = w_sub(x, y);
    *bad |= s_negative(x) != s_negative(y) && s_negative(r) != s_negative(x);
    return r;
}
/* -x, which the lowest int256 does not have. */
static inline u256 s_neg(u256 x, int *bad) { return s_sub(u_lit(0), x, bad); }
static inline u256 s_abs(u256 x, int *bad) { return s_convert(s_magnitude(x), bad); }

/* A magnitude and a sign as int256; bad where it does not fit. */
static inline u256 s_signed(u256 magnitude, int negative, int *bad)
{
    u256 r = negative ? w_neg(magnitude) : magnitude;
    *bad |= s_negative(r) != negative && !u256_is_zero(&magnitude);
    return r;
}
static inline u256 s_mul(u256 x, u256 y, int *bad)
{
    u256 r = u_mul(s_magnitude(x), s_magnitude(y), bad);
    return s_signed(r, s_negative(x) != s_negative(y), bad);
}
static inline u256 s_div(u256 x, u256 y, int *bad)
{
    u256 r = u_div(s_magnitude(x), s_magnitude(y), bad);
    return s_signed(r, s_negative(x) != s_negative(y), bad);
}

#endif
