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
/* Other processors, and tests of what they run, take plain C. */
#if defined(__x86_64__) && !defined(U256_PORTABLE)
#define U256_X86_64
#include <immintrin.h>
#endif

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

/* ---- words ---- */

/* Links of a chain: x + y + *carry, x - y - *borrow, and *carry or *borrow (0 or 1) anew. Compilers
 * make jumps of 128-bit overflow tests, and carries of random numbers cannot be predicted. */
#if defined(U256_X86_64)
static inline uint64_t word_add(uint64_t x, uint64_t y, unsigned char *carry)
{
    unsigned long long r;
    *carry = _addcarry_u64(*carry, x, y, &r);
    return r;
}

static inline uint64_t word_sub(uint64_t x, uint64_t y, unsigned char *borrow)
{
    unsigned long long r;
    *borrow = _subborrow_u64(*borrow, x, y, &r);
    return r;
}
#else
static inline uint64_t word_add(uint64_t x, uint64_t y, unsigned char *carry)
{
    u128 r = (u128)x + y + *carry;
    *carry = (unsigned char)(r >> 64);
    return (uint64_t)r;
}

static inline uint64_t word_sub(uint64_t x, uint64_t y, unsigned char *borrow)
{
    u128 r = (u128)x - y - *borrow;
    *borrow = (unsigned char)(r >> 64 & 1);
    return (uint64_t)r;
}
#endif

/* The lower word of x * y, and *upper. */
static inline uint64_t word_mul(uint64_t *upper, uint64_t x, uint64_t y)
{
#if defined(U256_X86_64)
    uint64_t lower;
    __asm__("mulq %3" : "=a"(lower), "=d"(*upper) : "%0"(x), "rm"(y) : "cc");
    return lower;
#else
    u128 r = (u128)x * y;
    *upper = (uint64_t)(r >> 64);
    return (uint64_t)r;
#endif
}

/* 2**64 - 1 where flag is 1, 0 where it is 0. */
static inline uint64_t word_mask(unsigned char flag) { return 0 - (uint64_t)flag; }

/* Says that x is to be known here: its computation must not land within the chain that follows,
 * where it would cost the carry. */
#define WORD_READY(x) __asm__("" : "+r"(x))

/* Says that x is to be known here: its computation must not land within the chain that follows,
 * where it would cost the carry. */
#define WORD_READY(x) __asm__("" : "+r"(x))

/* ---- u128 and i128, for callers whose compiler front end has no 128-bit type ---- */

/* hi * 2**64 + lo. */
static inline u128 u128_make(uint64_t hi, uint64_t lo) { return ((u128)hi << 64) | lo; }
static inline uint64_t u128_lo(u128 x) { return (uint64_t)x; }
static inline uint64_t u128_hi(u128 x) { return (uint64_t)(x >> 64); }
static inline int u128_is_zero(u128 x) { return x == 0; }
/* Whether x < 2**bits, bits < 128. */
static inline int u128_fits(u128 x, unsigned bits) { return x >> bits == 0; }
/* Modulo 2**128. */
static inline u128 u128_add(u128 x, u128 y) { return x + y; }
static inline u128 u128_sub(u128 x, u128 y) { return x - y; }
static inline u128 u128_or(u128 x, u128 y) { return x | y; }
static inline int u128_lt(u128 x, u128 y) { return x < y; }
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
/* x / 2**128, floor. */
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
    unsigned char borrow = 0;
    for (int i = 0; i < 4; i++)
        word_sub(x->w[i], y->w[i], &borrow);
    return borrow;
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
    unsigned char carry = 0;
    for (int i = 0; i < 4; i++)
        r->w[i] = word_add(x->w[i], y->w[i], &carry);
    return carry;
}

/* r = x - y modulo 2**256; returns the borrow. */
static inline int u256_sub(u256 *r, const u256 *x, const u256 *y)
{
    unsigned char borrow = 0;
    for (int i = 0; i < 4; i++)
        r->w[i] = word_sub(x->w[i], y->w[i], &borrow);
    return borrow;
}

/* r = x + y modulo 2**256; returns the carry. */
static inline int u256_add_u64(u256 *r, const u256 *x, uint64_t y)
{
    unsigned char carry = 0;
    r->w[0] = word_add(x->w[0], y, &carry);
    for (int i = 1; i < 4; i++)
        r->w[i] = word_add(x->w[i], 0, &carry);
    return carry;
}

/* r = x - y modulo 2**256; returns the borrow. */
static inline int u256_sub_u64(u256 *r, const u256 *x, uint64_t y)
{
    unsigned char borrow = 0;
    r->w[0] = word_sub(x->w[0], y, &borrow);
    for (int i = 1; i < 4; i++)
        r->w[i] = word_sub(x->w[i], 0, &borrow);
    return borrow;
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
    uint64_t w1, w2, w3, a1, b1, w0 = word_mul(&w1, x0, y0), a0 = word_mul(&a1, x0, y1);
    uint64_t b0 = word_mul(&b1, x1, y0);
    unsigned char carry = 0;
    w2 = word_mul(&w3, x1, y1);
    w1 = word_add(w1, a0, &carry);
    w2 = word_add(w2, a1, &carry);
    w3 = word_add(w3, 0, &carry);
    r->w[0] = w0;
    r->w[1] = word_add(w1, b0, &carry); /* the carry was 0: no such sum reaches 2**256 */
    r->w[2] = word_add(w2, b1, &carry);
    r->w[3] = word_add(w3, 0, &carry);
}

/* r = x * y, exactly, in six words. */
static inline void u256_mul_u128(uint64_t r[6], const u256 *x, u128 y)
{
    u256 low, high;
    unsigned char carry = 0;
    u128_mul_full(&low, u256_lo128(x), y);
    u128_mul_full(&high, u256_hi128(x), y);
    r[0] = low.w[0];
    r[1] = low.w[1];
    r[2] = word_add(low.w[2], high.w[0], &carry);
    r[3] = word_add(low.w[3], high.w[1], &carry);
    r[4] = word_add(high.w[2], 0, &carry);
    r[5] = word_add(high.w[3], 0, &carry);
}

/* r = x * y, exactly. */
static inline void u256_mul_full(u512 *r, const u256 *x, const u256 *y)
{
    uint64_t low[6], high[6] = {0};
    unsigned char carry = 0;
    if (u256_fits_u128(x)) {
        const u256 *longer = y;
        y = x;
        x = longer;
    }
    u256_mul_u128(low, x, u256_lo128(y));
    if (!u256_fits_u128(y)) /* amounts and prices mostly do */
        u256_mul_u128(high, x, u256_hi128(y));
    r->w[0] = low[0];
    r->w[1] = low[1];
    for (int i = 2; i < 6; i++)
        r->w[i] = word_add(low[i], high[i - 2], &carry);
    r->w[6] = word_add(high[4], 0, &carry);
    r->w[7] = word_add(high[5], 0, &carry);
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
        u128 upper = (u128)x0 * y2;
        unsigned char over = (cross >> 64) != 0, carry = 0;
        out.w[2] = word_add(out.w[2], (uint64_t)upper, &carry);
        out.w[3] = word_add(out.w[3], (uint64_t)(upper >> 64), &carry);
        over |= carry;
        carry = 0;
        out.w[3] = word_add(out.w[3], (uint64_t)cross, &carry);
        if (over | carry)
            return U256_OVERFLOW;
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
