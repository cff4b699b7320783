/* Unsigned 256-bit integers for pool maths: static inline C11, no allocation, no Python.
 *
 * A u256 is four 64-bit limbs, least significant first. The result comes first in every
 * argument list and may alias any input. Nothing here traps: what can fail returns a
 * u256_status and then leaves its result untouched.
 *
 * Division follows Moeller and Granlund, "Improved division by invariant integers" (IEEE
 * Trans. Comput. 60, 2011): one hardware division finds a reciprocal, two multiplications
 * make each quotient word. Longer divisors follow Knuth, TAOCP 2, 4.3.1 D on top of it.
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
/* The nearest double. */
static inline double u128_to_double(u128 x)
{
    return x >> 64 == 0 ? (double)(uint64_t)x : (double)x;
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

static inline int u256_lt(const u256 *x, const u256 *y) { return u256_cmp(x, y) < 0; }

/* Bits needed for x: 0 for 0, 256 at most. */
static inline int u256_bit_length(const u256 *x)
{
    for (int i = 3; i >= 0; i--)
        if (x->w[i] != 0)
            return 64 * i + 64 - __builtin_clzll(x->w[i]);
    return 0;
}

/* ---- addition, bits ---- */

/* The upper 128 bits. Halves, because compilers turn 128-bit sums into add with carry. */
static inline u128 u256_hi128(const u256 *x) { return u128_make(x->w[3], x->w[2]); }

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

/* r = x * y, exactly. */
static inline void u256_mul_full(u512 *r, const u256 *x, const u256 *y)
{
    u512 out = {{0}};
    for (int i = 0; i < 4; i++) {
        uint64_t carry = 0;
        if (x->w[i] == 0) /* amounts rarely fill their 256 bits */
            continue;
        for (int j = 0; j < 4; j++) {
            u128 t = (u128)x->w[i] * y->w[j] + out.w[i + j] + carry;
            out.w[i + j] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        out.w[i + 4] = carry;
    }
    *r = out;
}

/* r = x * y; 0, or U256_OVERFLOW. */
static inline int u256_mul(u256 *r, const u256 *x, const u256 *y)
{
    u512 product;
    if (u256_fits_u128(x) && u256_fits_u128(y)) {
        u128_mul_full(r, u256_lo128(x), u256_lo128(y));
        return U256_OK;
    }
    u256_mul_full(&product, x, y);
    if ((product.w[4] | product.w[5] | product.w[6] | product.w[7]) != 0)
        return U256_OVERFLOW;
    memcpy(r->w, product.w, sizeof r->w);
    return U256_OK;
}

/* r = x * y; 0, or U256_OVERFLOW. */
static inline int u256_mul_u64(u256 *r, const u256 *x, uint64_t y)
{
    u256 out;
    uint64_t carry = 0;
    for (int i = 0; i < 4; i++) {
        u128 t = (u128)x->w[i] * y + carry;
        out.w[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
    if (carry != 0)
        return U256_OVERFLOW;
    *r = out;
    return U256_OK;
}

/* ---- division ---- */

/* floor((hi * 2**64 + lo) / d). Needs hi < d. */
static inline uint64_t u64_div_2by1(uint64_t hi, uint64_t lo, uint64_t d)
{
#if defined(__x86_64__)
    uint64_t quotient, remainder;
    __asm__("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(lo), "d"(hi), "r"(d) : "cc");
    return quotient;
#else
    return (uint64_t)(u128_make(hi, lo) / d);
#endif
}

/* floor((2**128 - 1) / d) - 2**64. Needs the top bit of d set. */
static inline uint64_t u64_reciprocal(uint64_t d) { return u64_div_2by1(~d, ~UINT64_C(0), d); }

/* Quotient word of (u1, u0) / d, *u1 becomes the remainder. Needs u1 < d, d's top bit set and
 * its reciprocal v. Moeller and Granlund, algorithm 4. */
static inline uint64_t u64_divide_step(uint64_t *u1, uint64_t u0, uint64_t d, uint64_t v)
{
    u128 q = (u128)v * *u1 + u128_make(*u1, u0);
    uint64_t q1 = (uint64_t)(q >> 64) + 1;
    uint64_t r = u0 - q1 * d;
    if (r > (uint64_t)q) {
        q1--;
        r += d;
    }
    if (__builtin_expect(r >= d, 0)) {
        q1++;
        r -= d;
    }
    *u1 = r;
    return q1;
}

/* floor((2**192 - 1) / d) - 2**64. Needs the top bit of d set. The same, algorithm 6. */
static inline uint64_t u128_reciprocal(u128 d)
{
    uint64_t d1 = (uint64_t)(d >> 64), d0 = (uint64_t)d;
    uint64_t v = u64_reciprocal(d1);
    uint64_t p = d1 * v + d0;
    if (p < d0) {
        v--;
        if (p >= d1) {
            v--;
            p -= d1;
        }
        p -= d1;
    }
    u128 t = (u128)v * d0;
    p += (uint64_t)(t >> 64);
    if (p < (uint64_t)(t >> 64)) {
        v--;
        if (u128_make(p, (uint64_t)t) >= d)
            v--;
    }
    return v;
}

/* Quotient word of (u, u0) / d, *u becomes the remainder. Needs u < d, d's top bit set and its
 * reciprocal v. The same, algorithm 5. */
static inline uint64_t u128_divide_step(u128 *u, uint64_t u0, u128 d, uint64_t v)
{
    uint64_t u2 = (uint64_t)(*u >> 64), u1 = (uint64_t)*u;
    u128 q = (u128)v * u2 + *u;
    uint64_t q1 = (uint64_t)(q >> 64);
    u128 r = u128_make(u1 - q1 * (uint64_t)(d >> 64), u0);
    r -= (u128)(uint64_t)d * q1;
    r -= d;
    q1++;
    if ((uint64_t)(r >> 64) >= (uint64_t)q) {
        q1--;
        r += d;
    }
    if (__builtin_expect(r >= d, 0)) {
        q1++;
        r -= d;
    }
    *u = r;
    return q1;
}

/* One quotient word for a divisor d of n = 3 or 4 words; u has n + 1 words and keeps the remainder
 * in its lower n. Needs u's upper n words < d, d's top bit set, v the reciprocal of its top two. */
static inline uint64_t u256_divide_step(uint64_t *u, const uint64_t *d, int n, uint64_t v)
{
    u128 top = u128_make(d[n - 1], d[n - 2]);
    u128 rest = u128_make(u[n], u[n - 1]);
    uint64_t q;
    int low = n - 2; /* words still to be subtracted once `rest` is reduced */
    if (__builtin_expect(rest == top, 0)) {
        q = ~UINT64_C(0); /* exact: u / d > 2**64 * top / (top + 1) > 2**64 - 1 */
        low = n;
    } else {
        q = u128_divide_step(&rest, u[n - 2], top, v);
    }
    uint64_t carry = 0;
    for (int i = 0; i < low; i++) {
        u128 t = (u128)q * d[i] + carry;
        carry = (uint64_t)(t >> 64) + (u[i] < (uint64_t)t);
        u[i] -= (uint64_t)t;
    }
    if (low == n)
        return q;
    int too_big = rest < carry;
    rest -= carry;
    u[n - 1] = (uint64_t)(rest >> 64);
    u[n - 2] = (uint64_t)rest;
    if (too_big) {
        q--;
        carry = 0;
        for (int i = 0; i < n; i++) {
            u128 t = (u128)u[i] + d[i] + carry;
            u[i] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
    }
    return q;
}

/* quotient (4 words) and remainder of num (8 words) / d. Needs d > 0 and num < d * 2**256. */
static inline void u256_divide_words(u256 *quotient, u256 *remainder, const uint64_t num[8],
                                     const u256 *d)
{
    int n = (u256_bit_length(d) + 63) / 64, m = 8;
    int shift = __builtin_clzll(d->w[n - 1]), back = 63 - shift;
    uint64_t u[9], s[4] = {0};
    u256 q = {{0}}, r = {{0}};

    while (m > 0 && num[m - 1] == 0)
        m--;
    if (m >= n) {
        /* x >> 1 >> back is x >> (64 - shift), defined where shift is 0 */
        u[m] = num[m - 1] >> 1 >> back;
        for (int i = m - 1; i > 0; i--)
            u[i] = num[i] << shift | num[i - 1] >> 1 >> back;
        u[0] = num[0] << shift;
        for (int i = n - 1; i > 0; i--)
            s[i] = d->w[i] << shift | d->w[i - 1] >> 1 >> back;
        s[0] = d->w[0] << shift;
        int j = m - n; /* words of the quotient, less one where the top word is 0 */
        if (j > 3)
            j = 3; /* num < d * 2**256: what lies above word 3 + n is below d */
        if (n == 1) {
            uint64_t v = u64_reciprocal(s[0]), rest = u[j + 1];
            for (; j >= 0; j--)
                q.w[j] = u64_divide_step(&rest, u[j], s[0], v);
            u[0] = rest;
        } else if (n == 2) {
            u128 divisor = u128_make(s[1], s[0]), rest = u128_make(u[j + 2], u[j + 1]);
            uint64_t v = u128_reciprocal(divisor);
            for (; j >= 0; j--)
                q.w[j] = u128_divide_step(&rest, u[j], divisor, v);
            u[0] = (uint64_t)rest;
            u[1] = (uint64_t)(rest >> 64);
        } else {
            uint64_t v = u128_reciprocal(u128_make(s[n - 1], s[n - 2]));
            for (; j >= 0; j--)
                q.w[j] = u256_divide_step(u + j, s, n, v);
        }
        for (int i = 0; i < n; i++)
            r.w[i] = u[i] >> shift | (i + 1 < n ? u[i + 1] << 1 << back : 0);
    } else {
        memcpy(r.w, num, sizeof r.w);
    }
    *quotient = q;
    *remainder = r;
}

/* quotient = x / d, floor, and remainder; 0, or U256_DIVISION_BY_ZERO. */
static inline int u256_divmod(u256 *quotient, u256 *remainder, const u256 *x, const u256 *d)
{
    if (u256_is_zero(d))
        return U256_DIVISION_BY_ZERO;
    uint64_t num[8] = {x->w[0], x->w[1], x->w[2], x->w[3], 0, 0, 0, 0};
    u256_divide_words(quotient, remainder, num, d);
    return U256_OK;
}

/* r = x / d, floor; 0, or U256_DIVISION_BY_ZERO. */
static inline int u256_div(u256 *r, const u256 *x, const u256 *d)
{
    u256 remainder;
    return u256_divmod(r, &remainder, x, d);
}

/* r = x / d, rounded up; 0, or U256_DIVISION_BY_ZERO. */
static inline int u256_div_up(u256 *r, const u256 *x, const u256 *d)
{
    u256 remainder;
    int status = u256_divmod(r, &remainder, x, d);
    if (status == U256_OK && !u256_is_zero(&remainder))
        u256_add_u64(r, r, 1); /* no carry: a remainder means d > 1 */
    return status;
}

/* quotient = x * y / d, floor, over the 512-bit product, and remainder; 0, U256_OVERFLOW or
 * U256_DIVISION_BY_ZERO. */
static inline int u256_mul_divmod(u256 *quotient, u256 *remainder, const u256 *x, const u256 *y,
                                  const u256 *d)
{
    u512 product;
    u256 high;
    if (u256_is_zero(d))
        return U256_DIVISION_BY_ZERO;
    u256_mul_full(&product, x, y);
    memcpy(high.w, product.w + 4, sizeof high.w);
    if (!u256_lt(&high, d))
        return U256_OVERFLOW;
    u256_divide_words(quotient, remainder, product.w, d);
    return U256_OK;
}

/* r = x * y / d, floor (FullMath.mulDiv); 0, U256_OVERFLOW or U256_DIVISION_BY_ZERO. */
static inline int u256_mul_div(u256 *r, const u256 *x, const u256 *y, const u256 *d)
{
    u256 remainder;
    return u256_mul_divmod(r, &remainder, x, y, d);
}

/* r = x * y / d, rounded up (FullMath.mulDivRoundingUp); as u256_mul_div. */
static inline int u256_mul_div_up(u256 *r, const u256 *x, const u256 *y, const u256 *d)
{
    u256 quotient, remainder;
    int status = u256_mul_divmod(&quotient, &remainder, x, y, d);
    if (status != U256_OK)
        return status;
    if (!u256_is_zero(&remainder) && u256_add_u64(&quotient, &quotient, 1))
        return U256_OVERFLOW;
    *r = quotient;
    return U256_OK;
}

/* ---- doubles and roots ---- */

/* 2.0 ** n for -1022 <= n <= 1023. */
static inline double u256_exp2(int n)
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double r;
    memcpy(&r, &bits, sizeof r);
    return r;
}

/* The nearest double, ties to even. */
static inline double u256_to_double(const u256 *x)
{
    int length = u256_bit_length(x);
    if (length <= 128)
        return u128_to_double(u256_lo128(x));
    unsigned drop = (unsigned)(length - 64);
    u256 top, kept;
    u256_shr(&top, x, drop);
    u256_shl(&kept, &top, drop);
    /* 64 bits and a sticky one are more than the 53 + 2 that one rounding needs */
    return (double)(top.w[0] | !u256_eq(&kept, x)) * u256_exp2((int)drop);
}

/* r = x, truncated; 0, or U256_OVERFLOW where x is negative, not a number or 2**256 and more. */
static inline int u256_from_double(u256 *r, double x)
{
    if (!(x >= 0.0 && x < u256_exp2(256)))
        return U256_OVERFLOW;
    if (x < u256_exp2(64)) {
        u256_from_u64(r, (uint64_t)x);
        return U256_OK;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    u256_from_u64(r, (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52);
    u256_shl(r, r, (unsigned)(bits >> 52) - 1075);
    return U256_OK;
}

/* r = floor(sqrt(x)). Newton from a double: 52 good bits, then 104, then all 128. */
static inline void u256_isqrt(u256 *r, const u256 *x)
{
    const u256 largest = {{~UINT64_C(0), ~UINT64_C(0), 0, 0}};
    u256 root = {{1, 0, 0, 0}}, quotient;
    if (u256_is_zero(x)) {
        *r = *x;
        return;
    }
    u256_from_double(&root, __builtin_sqrt(u256_to_double(x)));
    for (int i = 0; i < 2; i++) {
        u256_div(&quotient, x, &root);
        u256_add(&root, &root, &quotient);
        u256_shr(&root, &root, 1);
    }
    if (u256_lt(&largest, &root))
        root = largest;
    for (;;) { /* Newton rounds to the root or just above it: at most a step or two */
        u256 square;
        u128_mul_full(&square, u256_lo128(&root), u256_lo128(&root));
        if (!u256_lt(x, &square))
            break;
        u256_sub_u64(&root, &root, 1);
    }
    *r = root;
}

#endif
