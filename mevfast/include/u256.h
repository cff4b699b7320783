/* Unsigned 256-bit integers for pool maths: static inline C11, no allocation, no Python.
 *
 * A u256 is four 64-bit limbs, least significant first. The result comes first in every
 * argument list and may alias any input. Nothing here traps: what can fail returns a
 * u256_status and then leaves its result untouched.
 *
 * Division, roots and doubles are in u256_div.h, which this header brings along.
 */
#ifndef MEVFAST_U256_H
#define MEVFAST_U256_H

#include <stdint.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

typedef struct {
    uint64_t w[4]; /* little-endian limbs */
} u256;

typedef struct {
    uint64_t w[8];
} u512;

enum u256_status {
    U256_OK = 0,
    U256_OVERFLOW = 1,       /* the exact result does not fit in 256 bits */
    U256_DIVISION_BY_ZERO = 2
};

/* ---- u128 and i128, for callers whose compiler front end has no 128-bit type ---- */

/* hi * 2**64 + lo. */
static inline u128 u128_make(uint64_t hi, uint64_t lo) { return ((u128)hi << 64) | lo; }
static inline uint64_t u128_lo(u128 x) { return (uint64_t)x; }
static inline uint64_t u128_hi(u128 x) { return (uint64_t)(x >> 64); }
static inline int u128_is_zero(u128 x) { return x == 0; }
/* -1, 0 or 1 as x is below, at or above y. */
static inline int u128_cmp(u128 x, u128 y) { return (x > y) - (x < y); }
/* Two's complement: hi carries the sign. */
static inline i128 i128_make(int64_t hi, uint64_t lo)
{
    return (i128)u128_make((uint64_t)hi, lo);
}
static inline uint64_t i128_lo(i128 x) { return (uint64_t)x; }
static inline int64_t i128_hi(i128 x) { return (int64_t)(x >> 64); }
static inline double i128_to_double(i128 x) { return (double)x; }
static inline int i128_sign(i128 x) { return (x > 0) - (x < 0); }
/* r = -x, wrapping at the lowest value. */
static inline i128 i128_neg(i128 x) { return (i128)(0 - (u128)x); }
/* *r = x + delta; 0, or U256_OVERFLOW outside [0, 2**128). */
static inline int u128_add_i128(u128 *r, u128 x, i128 delta)
{
    u128 sum = x + (u128)delta;
    if (delta < 0 ? sum >= x : sum < x)
        return U256_OVERFLOW;
    *r = sum;
    return U256_OK;
}
/* *r = x + delta; 0, or U256_OVERFLOW outside the signed range. */
static inline int i128_add(i128 *r, i128 x, i128 delta)
{
    i128 sum;
    if (__builtin_add_overflow(x, delta, &sum))
        return U256_OVERFLOW;
    *r = sum;
    return U256_OK;
}

/* ---- in and out ---- */

static inline void u256_from_u64(u256 *r, uint64_t x)
{
    r->w[0] = x;
    r->w[1] = r->w[2] = r->w[3] = 0;
}

static inline void u256_from_u128(u256 *r, u128 x)
{
    r->w[0] = (uint64_t)x;
    r->w[1] = (uint64_t)(x >> 64);
    r->w[2] = r->w[3] = 0;
}

/* x modulo 2**64. */
static inline uint64_t u256_lo64(const u256 *x) { return x->w[0]; }
/* x modulo 2**128. */
static inline u128 u256_lo128(const u256 *x) { return u128_make(x->w[1], x->w[0]); }
/* x / 2**128. Halves, because compilers turn 128-bit sums into add with carry. */
static inline u128 u256_hi128(const u256 *x) { return u128_make(x->w[3], x->w[2]); }
static inline int u256_fits_u64(const u256 *x) { return (x->w[1] | x->w[2] | x->w[3]) == 0; }
static inline int u256_fits_u128(const u256 *x) { return (x->w[2] | x->w[3]) == 0; }

/* From 32 big-endian bytes, as the ABI writes them. */
static inline void u256_from_be(u256 *r, const uint8_t bytes[32])
{
    for (int i = 0; i < 4; i++) {
        uint64_t limb;
        memcpy(&limb, bytes + 8 * (3 - i), 8);
        r->w[i] = __builtin_bswap64(limb);
    }
}

/* To 32 big-endian bytes. */
static inline void u256_to_be(uint8_t bytes[32], const u256 *x)
{
    for (int i = 0; i < 4; i++) {
        uint64_t limb = __builtin_bswap64(x->w[3 - i]);
        memcpy(bytes + 8 * i, &limb, 8);
    }
}

/* ---- tests ---- */

static inline int u256_is_zero(const u256 *x)
{
    return (x->w[0] | x->w[1] | x->w[2] | x->w[3]) == 0;
}

static inline int u256_eq(const u256 *x, const u256 *y)
{
    return ((x->w[0] ^ y->w[0]) | (x->w[1] ^ y->w[1]) | (x->w[2] ^ y->w[2]) |
            (x->w[3] ^ y->w[3])) == 0;
}

/* -1, 0 or 1 as x is below, at or above y. */
static inline int u256_cmp(const u256 *x, const u256 *y)
{
    for (int i = 3; i >= 0; i--)
        if (x->w[i] != y->w[i])
            return x->w[i] < y->w[i] ? -1 : 1;
    return 0;
}

static inline int u256_lt(const u256 *x, const u256 *y)
{
    u128 rest;
    int below = __builtin_sub_overflow(u256_hi128(x), u256_hi128(y), &rest);
    return below | (rest < (u128)(u256_lo128(x) < u256_lo128(y)));
}

/* Bits needed for x: 0 for 0, 256 at most. */
static inline int u256_bit_length(const u256 *x)
{
    for (int i = 3; i >= 0; i--)
        if (x->w[i] != 0)
            return 64 * i + 64 - __builtin_clzll(x->w[i]);
    return 0;
}

/* ---- addition, bits ---- */

static inline void u256_make(u256 *r, u128 hi, u128 lo)
{
    r->w[0] = (uint64_t)lo;
    r->w[1] = (uint64_t)(lo >> 64);
    r->w[2] = (uint64_t)hi;
    r->w[3] = (uint64_t)(hi >> 64);
}

/* r = x + y modulo 2**256; returns the carry. */
static inline int u256_add(u256 *r, const u256 *x, const u256 *y)
{
    u128 lo = u256_lo128(x), hi = u256_hi128(x), sum_lo, sum_hi;
    int carry = __builtin_add_overflow(lo, u256_lo128(y), &sum_lo);
    int above = __builtin_add_overflow(hi, u256_hi128(y), &sum_hi);
    above |= __builtin_add_overflow(sum_hi, (u128)carry, &sum_hi);
    u256_make(r, sum_hi, sum_lo);
    return above;
}

/* r = x - y modulo 2**256; returns the borrow. */
static inline int u256_sub(u256 *r, const u256 *x, const u256 *y)
{
    u128 lo = u256_lo128(x), hi = u256_hi128(x), rest_lo, rest_hi;
    int borrow = __builtin_sub_overflow(lo, u256_lo128(y), &rest_lo);
    int below = __builtin_sub_overflow(hi, u256_hi128(y), &rest_hi);
    below |= __builtin_sub_overflow(rest_hi, (u128)borrow, &rest_hi);
    u256_make(r, rest_hi, rest_lo);
    return below;
}

/* r = x + y modulo 2**256; returns the carry. */
static inline int u256_add_u64(u256 *r, const u256 *x, uint64_t y)
{
    u256 wide;
    u256_from_u64(&wide, y);
    return u256_add(r, x, &wide);
}

/* r = x - y modulo 2**256; returns the borrow. */
static inline int u256_sub_u64(u256 *r, const u256 *x, uint64_t y)
{
    u256 wide;
    u256_from_u64(&wide, y);
    return u256_sub(r, x, &wide);
}

/* r = x * 2**n modulo 2**256; 0 from n = 256 on. */
static inline void u256_shl(u256 *r, const u256 *x, unsigned n)
{
    unsigned limbs = n / 64, bits = n % 64;
    u256 out = {{0}};
    for (unsigned i = limbs; i < 4; i++) {
        out.w[i] = x->w[i - limbs] << bits;
        if (bits != 0 && i > limbs)
            out.w[i] |= x->w[i - limbs - 1] >> (64 - bits);
    }
    *r = out;
}

/* r = x / 2**n, floor; 0 from n = 256 on. */
static inline void u256_shr(u256 *r, const u256 *x, unsigned n)
{
    unsigned limbs = n / 64, bits = n % 64;
    u256 out = {{0}};
    for (unsigned i = 0; i + limbs < 4; i++) {
        out.w[i] = x->w[i + limbs] >> bits;
        if (bits != 0 && i + limbs + 1 < 4)
            out.w[i] |= x->w[i + limbs + 1] << (64 - bits);
    }
    *r = out;
}

static inline void u256_or(u256 *r, const u256 *x, const u256 *y)
{
    for (int i = 0; i < 4; i++)
        r->w[i] = x->w[i] | y->w[i];
}

static inline void u256_and(u256 *r, const u256 *x, const u256 *y)
{
    for (int i = 0; i < 4; i++)
        r->w[i] = x->w[i] & y->w[i];
}

/* ---- multiplication ---- */

/* r = x * y, exactly. */
static inline void u128_mul_full(u256 *r, u128 x, u128 y)
{
    uint64_t x0 = (uint64_t)x, x1 = (uint64_t)(x >> 64);
    uint64_t y0 = (uint64_t)y, y1 = (uint64_t)(y >> 64);
    u128 low = (u128)x0 * y0, cross = (u128)x0 * y1, high = (u128)x1 * y1;
    cross += (uint64_t)(low >> 64);        /* (B-1)**2 + B-1 < B**2: cannot wrap */
    u128 other = (u128)x1 * y0 + (uint64_t)cross;
    high += (uint64_t)(cross >> 64);
    high += (uint64_t)(other >> 64);
    r->w[0] = (uint64_t)low;
    r->w[1] = (uint64_t)other;
    r->w[2] = (uint64_t)high;
    r->w[3] = (uint64_t)(high >> 64);
}

/* r = x * y, exactly: four products of halves. */
static inline void u256_mul_full(u512 *r, const u256 *x, const u256 *y)
{
    u256 low, left, right, high;
    u128 sum, top;
    u128_mul_full(&low, u256_lo128(x), u256_lo128(y));
    u128_mul_full(&left, u256_hi128(x), u256_lo128(y));
    u128_mul_full(&right, u256_lo128(x), u256_hi128(y));
    u128_mul_full(&high, u256_hi128(x), u256_hi128(y));
    int carry = __builtin_add_overflow(u256_hi128(&low), u256_lo128(&left), &sum);
    top = u256_hi128(&left) + (unsigned)carry; /* (B-1)**2 / B + 1 < B: cannot wrap */
    carry = __builtin_add_overflow(sum, u256_lo128(&right), &sum);
    int above = __builtin_add_overflow(top, u256_hi128(&right), &top);
    above |= __builtin_add_overflow(top, (u128)carry, &top);
    carry = __builtin_add_overflow(top, u256_lo128(&high), &top);
    u128 most = u256_hi128(&high) + (unsigned)(carry + above);
    u256 half;
    u256_make(&half, sum, u256_lo128(&low));
    memcpy(r->w, half.w, sizeof half.w);
    u256_make(&half, most, top);
    memcpy(r->w + 4, half.w, sizeof half.w);
}

/* r = x * y; 0, or U256_OVERFLOW. */
static inline int u256_mul(u256 *r, const u256 *x, const u256 *y)
{
    if (!u256_fits_u128(x)) {
        const u256 *longer = x;
        x = y;
        y = longer;
    }
    u128 lo = u256_lo128(y), hi = u256_hi128(y), factor = u256_lo128(x);
    u256 out;
    if (!u256_fits_u128(x))
        return U256_OVERFLOW; /* 2**128 * 2**128 and more */
    u128_mul_full(&out, factor, lo);
    if (hi != 0) {
        uint64_t x0 = (uint64_t)factor, x1 = (uint64_t)(factor >> 64);
        uint64_t y2 = (uint64_t)hi, y3 = (uint64_t)(hi >> 64);
        if (x1 != 0 && y3 != 0)
            return U256_OVERFLOW;
        u128 cross = (u128)x1 * y2 + (u128)x0 * y3; /* one of them is 0 */
        u128 upper = (u128)x0 * y2, sum;
        if ((cross >> 64) != 0 || __builtin_add_overflow(upper, cross << 64, &upper) ||
            __builtin_add_overflow(upper, u256_hi128(&out), &sum))
            return U256_OVERFLOW;
        u256_make(&out, sum, u256_lo128(&out));
    }
    *r = out;
    return U256_OK;
}

/* r = x * y; 0, or U256_OVERFLOW. */
static inline int u256_mul_u64(u256 *r, const u256 *x, uint64_t y)
{
    u128 a = (u128)x->w[0] * y;
    u128 b = (u128)x->w[1] * y + (uint64_t)(a >> 64);
    u128 c = (u128)x->w[2] * y + (uint64_t)(b >> 64);
    u128 d = (u128)x->w[3] * y + (uint64_t)(c >> 64);
    if ((d >> 64) != 0)
        return U256_OVERFLOW;
    r->w[0] = (uint64_t)a;
    r->w[1] = (uint64_t)b;
    r->w[2] = (uint64_t)c;
    r->w[3] = (uint64_t)d;
    return U256_OK;
}

#include "u256_div.h"

#endif
