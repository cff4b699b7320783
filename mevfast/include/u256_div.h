/* The second half of u256.h: division, mulDiv, roots and doubles, under the same rules.
 *
 * Every divisor is first shifted until its top bit is set, every numerator with it. A quotient of
 * one word then costs one hardware division and a correction. For longer ones one hardware
 * division finds a reciprocal, and two multiplications make each word: Moeller and Granlund,
 * "Improved division by invariant integers" (IEEE Trans. Comput. 60, 2011). The divisor's words
 * below its top two only correct the quotient: Knuth, TAOCP 2, 4.3.1 D.
 */
#ifndef MEVFAST_U256_DIV_H
#define MEVFAST_U256_DIV_H

#include "u256.h"

#define U256_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* For what is too long to be copied into each of its callers. */
#define U256_NOINLINE __attribute__((noinline, unused))

/* ---- one word by one or two words ---- */

/* Both words of x under one mask. */
static inline u128 u128_and(u128 x, uint64_t mask)
{
    return u128_make((uint64_t)(x >> 64) & mask, (uint64_t)x & mask);
}

/* floor((hi * 2**64 + lo) / d), *remainder the rest. Needs hi < d. */
static inline uint64_t u64_divmod_2by1(uint64_t *remainder, uint64_t hi, uint64_t lo, uint64_t d)
{
#if defined(__x86_64__)
    uint64_t quotient;
    __asm__("divq %4" : "=a"(quotient), "=d"(*remainder) : "a"(lo), "d"(hi), "r"(d) : "cc");
    return quotient;
#else
    u128 x = u128_make(hi, lo);
    *remainder = (uint64_t)(x % d);
    return (uint64_t)(x / d);
#endif
}

/* floor((hi * 2**64 + lo) / d). Needs hi < d. */
static inline uint64_t u64_div_2by1(uint64_t hi, uint64_t lo, uint64_t d)
{
    uint64_t remainder;
    return u64_divmod_2by1(&remainder, hi, lo, d);
}

/* floor((2**128 - 1) / d) - 2**64. Needs the top bit of d set. */
static inline uint64_t u64_reciprocal(uint64_t d)
{
    if (__builtin_constant_p(d))
        return (uint64_t)(~(u128)0 / d);
    return u64_div_2by1(~d, ~UINT64_C(0), d);
}

/* Quotient word of (u1, u0) / d, *u1 becomes the remainder. Needs u1 < d, d's top bit set and
 * its reciprocal v. Moeller and Granlund, algorithm 4. */
static inline uint64_t u64_divide_step(uint64_t *u1, uint64_t u0, uint64_t d, uint64_t v)
{
    u128 q = (u128)v * *u1 + u128_make(*u1, u0);
    uint64_t q1 = (uint64_t)(q >> 64) + 1;
    uint64_t r = u0 - q1 * d;
    uint64_t back = 0 - (uint64_t)(r > (uint64_t)q);
    q1 += back;
    r += d & back;
    if (U256_UNLIKELY(r >= d)) {
        q1++;
        r -= d;
    }
    *u1 = r;
    return q1;
}

/* Quotient word of (u, u0) / d, *u becomes the remainder. Needs u < d, d's top bit set and its
 * reciprocal v. Moeller and Granlund, algorithm 5. */
static inline uint64_t u128_divide_step(u128 *u, uint64_t u0, u128 d, uint64_t v)
{
    uint64_t u2 = (uint64_t)(*u >> 64);
    u128 q = (u128)v * u2 + *u, r = *u << 64 | u0;
    uint64_t q1 = (uint64_t)(q >> 64);
    u128 p = (u128)q1 * (uint64_t)d + u128_make(q1 * (uint64_t)(d >> 64), 0);
    u128 less = r - d - p;
    r -= p;
    int take = (uint64_t)(less >> 64) < (uint64_t)q;
    r = take ? less : r;
    q1 += (uint64_t)take;
    if (U256_UNLIKELY(r >= d)) {
        q1++;
        r -= d;
    }
    *u = r;
    return q1;
}

/* The same without a reciprocal: the cheaper way to a single word. Needs u < 2**127, d's top bit
 * set. Knuth's guess from the top words is at most 2 too large. */
static inline uint64_t u128_divide_once(u128 *u, uint64_t u0, u128 d)
{
    uint64_t rest;
    uint64_t q = u64_divmod_2by1(&rest, (uint64_t)(*u >> 64), (uint64_t)*u, (uint64_t)(d >> 64));
    u128 r = u128_make(rest, u0);
    uint64_t back = 0 - (uint64_t)__builtin_sub_overflow(r, (u128)q * (uint64_t)d, &r);
    q += back;
    int still_below = !__builtin_add_overflow(r, u128_and(d, back), &r);
    if (U256_UNLIKELY(back & (uint64_t)still_below)) {
        q--;
        r += d;
    }
    *u = r;
    return q;
}

/* floor((2**192 - 1) / d) - 2**64. Needs d's top bit set. */
static inline uint64_t u128_reciprocal(u128 d)
{
    u128 rest = ~d;
    return u128_divide_once(&rest, ~UINT64_C(0), d);
}

/* ---- one word by three or four words ---- */

/* Each takes q and *top, quotient word and remainder by the upper two words of a divisor, to the
 * quotient word and the remainder (*top, *low) by all of it: q is at most 1 too large. */

static inline uint64_t u192_settle(u128 *top, uint64_t *low, uint64_t q, u128 d, uint64_t d_low)
{
    u128 p = (u128)q * d_low;
    uint64_t borrow = __builtin_sub_overflow(*low, (uint64_t)p, low);
    if (U256_UNLIKELY(__builtin_sub_overflow(*top, (p >> 64) + borrow, top))) {
        uint64_t carry = __builtin_add_overflow(*low, d_low, low);
        *top += d + carry;
        q--;
    }
    return q;
}

static inline uint64_t u256_settle(u128 *top, u128 *low, uint64_t q, u128 d, u128 d_low)
{
    u128 p0 = (u128)q * (uint64_t)d_low;
    u128 p1 = (u128)q * (uint64_t)(d_low >> 64) + (uint64_t)(p0 >> 64);
    u128 p = u128_make((uint64_t)p1, (uint64_t)p0);
    uint64_t borrow = __builtin_sub_overflow(*low, p, low);
    if (U256_UNLIKELY(__builtin_sub_overflow(*top, (p1 >> 64) + borrow, top))) {
        uint64_t carry = __builtin_add_overflow(*low, d_low, low);
        *top += d + carry;
        q--;
    }
    return q;
}

/* The next quotient word of (top, low, next) / (d, d_low), where (top, low) < (d, d_low) becomes
 * the remainder, d's top bit is set and v is d's reciprocal. Where top = d, the word is 2**64 - 1:
 * the quotient is above 2**64 * d / (d + 1) > 2**64 - 1. */

static inline uint64_t u192_divide_step(u128 *top, uint64_t *low, uint64_t next, u128 d,
                                        uint64_t d_low, uint64_t v)
{
    if (U256_UNLIKELY(*top == d)) { /* (low, next) - 2**64 * d_low + (d, d_low) */
        *top = d - (d_low - *low);
        *top += (uint64_t)__builtin_add_overflow(next, d_low, low);
        return ~UINT64_C(0);
    }
    uint64_t q = u128_divide_step(top, *low, d, v);
    *low = next;
    return u192_settle(top, low, q, d, d_low);
}

static inline uint64_t u256_divide_step(u128 *top, u128 *low, uint64_t next, u128 d, u128 d_low,
                                        uint64_t v)
{
    if (U256_UNLIKELY(*top == d)) { /* (low, next) - 2**64 * d_low + (d, d_low) */
        u128 less = d_low - *low;
        *top = d - (uint64_t)(less >> 64);
        *top += (uint64_t)__builtin_add_overflow(d_low, (u128)next, low);
        *top -= (uint64_t)__builtin_sub_overflow(*low, less << 64, low);
        return ~UINT64_C(0);
    }
    uint64_t q = u128_divide_step(top, (uint64_t)(*low >> 64), d, v);
    *low = *low << 64 | next;
    return u256_settle(top, low, q, d, d_low);
}

/* ---- numerators of m words, 4 or 8 ---- */

/* s = x * 2**shift, one word longer. Needs shift < 64. By products, which take any such shift and
 * stay out of vector registers. */
static inline void words_shl(uint64_t *s, const uint64_t *x, int n, unsigned shift)
{
    uint64_t scale = UINT64_C(1) << shift, above = 0;
    for (int i = 0; i < n; i++) {
        u128 t = (u128)x[i] * scale;
        s[i] = (uint64_t)t | above;
        above = (uint64_t)(t >> 64);
    }
    s[n] = above;
}

static inline int words_bit_length(const uint64_t *x, int n)
{
    for (int i = n - 1; i > 0; i--)
        if (x[i] != 0)
            return 64 * i + 64 - __builtin_clzll(x[i]);
    return x[0] == 0 ? 0 : 64 - __builtin_clzll(x[0]);
}

/* The four below divide num by d of so many words, into k words of quotient (u256_divide_words says
 * how many), and return whether anything is left. The quotient may lie where d or num do. */

static inline void words_zero(uint64_t *quotient)
{
    for (int i = 0; i < 4; i++)
        quotient[i] = 0;
}

static inline int words_divide_by_1(uint64_t *quotient, const uint64_t *num, int m, int k,
                                    uint64_t d)
{
    uint64_t n0 = num[0], n1 = num[1], n2 = num[2], n3 = num[3], rest = k < m ? num[k] : 0;
    words_zero(quotient);
    if (k > 3)
        quotient[3] = u64_divmod_2by1(&rest, rest, n3, d);
    if (k > 2)
        quotient[2] = u64_divmod_2by1(&rest, rest, n2, d);
    if (k > 1)
        quotient[1] = u64_divmod_2by1(&rest, rest, n1, d);
    quotient[0] = u64_divmod_2by1(&rest, rest, n0, d);
    return rest != 0;
}

static inline int words_divide_by_2(uint64_t *quotient, const uint64_t *num, int m, int k, u128 d)
{
    uint64_t s[9];
    unsigned shift = (unsigned)__builtin_clzll((uint64_t)(d >> 64));
    words_shl(s, num, m, shift);
    d <<= shift;
    u128 rest = u128_make(s[k + 1], s[k]);
    words_zero(quotient);
    if (k == 1) {
        quotient[0] = u128_divide_once(&rest, s[0], d);
        return rest != 0;
    }
    uint64_t v = u128_reciprocal(d);
    for (int j = k - 1; j >= 0; j--)
        quotient[j] = u128_divide_step(&rest, s[j], d, v);
    return rest != 0;
}

static inline int words_divide_by_3(uint64_t *quotient, const uint64_t *num, int m, int k,
                                    const uint64_t *divisor)
{
    uint64_t s[9], d[4];
    unsigned shift = (unsigned)__builtin_clzll(divisor[2]);
    words_shl(s, num, m, shift);
    words_shl(d, divisor, 3, shift);
    u128 upper = u128_make(d[2], d[1]), top = u128_make(s[k + 2], s[k + 1]);
    uint64_t low = s[k];
    words_zero(quotient);
    if (k == 1) {
        uint64_t q = u128_divide_once(&top, low, upper);
        low = s[0];
        quotient[0] = u192_settle(&top, &low, q, upper, d[0]);
        return (top | low) != 0;
    }
    uint64_t v = u128_reciprocal(upper);
    for (int j = k - 1; j >= 0; j--)
        quotient[j] = u192_divide_step(&top, &low, s[j], upper, d[0], v);
    return (top | low) != 0;
}

static inline int words_divide_by_4(uint64_t *quotient, const uint64_t *num, int m, int k,
                                    const uint64_t *divisor)
{
    uint64_t s[9], d[5];
    unsigned shift = (unsigned)__builtin_clzll(divisor[3]);
    words_shl(s, num, m, shift);
    words_shl(d, divisor, 4, shift);
    u128 upper = u128_make(d[3], d[2]), lower = u128_make(d[1], d[0]);
    u128 top = u128_make(s[k + 3], s[k + 2]), low = u128_make(s[k + 1], s[k]);
    words_zero(quotient);
    if (k == 1) {
        uint64_t q = u128_divide_once(&top, (uint64_t)(low >> 64), upper);
        low = low << 64 | s[0];
        quotient[0] = u256_settle(&top, &low, q, upper, lower);
        return (top | low) != 0;
    }
    uint64_t v = u128_reciprocal(upper);
    for (int j = k - 1; j >= 0; j--)
        quotient[j] = u256_divide_step(&top, &low, s[j], upper, lower, v);
    return (top | low) != 0;
}

/* quotient = num / d, floor; whether there is a remainder. Needs d > 0 and num < d * 2**256. */
static inline int u256_divide_words(u256 *quotient, const uint64_t *num, int m, const u256 *d)
{
    int length = words_bit_length(num, m), excess = length - u256_bit_length(d);
    if (excess < 0) {
        words_zero(quotient->w);
        return length != 0;
    }
    /* Shifted as the divisor is, the numerator is below the divisor * 2**(64 * k), and below half
     * of that but for the longest quotients. */
    int k = excess < 256 ? excess / 64 + 1 : 4;
    if (d->w[3] != 0)
        return words_divide_by_4(quotient->w, num, m, k, d->w);
    if (d->w[2] != 0)
        return words_divide_by_3(quotient->w, num, m, k, d->w);
    if (d->w[1] != 0)
        return words_divide_by_2(quotient->w, num, m, k, u256_lo128(d));
    return words_divide_by_1(quotient->w, num, m, k, d->w[0]);
}

static U256_NOINLINE int u256_divide_256(u256 *quotient, const u256 *x, const u256 *d)
{
    return u256_divide_words(quotient, x->w, 4, d);
}

static U256_NOINLINE int u256_divide_512(u256 *quotient, const u512 *x, const u256 *d)
{
    return u256_divide_words(quotient, x->w, 8, d);
}

/* ---- division ---- */

/* r = x / d, floor; 0, or U256_DIVISION_BY_ZERO. */
static inline int u256_div(u256 *r, const u256 *x, const u256 *d)
{
    if (u256_is_zero(d))
        return U256_DIVISION_BY_ZERO;
    u256_divide_256(r, x, d);
    return U256_OK;
}

/* r = x / d, rounded up; 0, or U256_DIVISION_BY_ZERO. */
static inline int u256_div_up(u256 *r, const u256 *x, const u256 *d)
{
    if (u256_is_zero(d))
        return U256_DIVISION_BY_ZERO;
    u256_add_u64(r, r, (uint64_t)u256_divide_256(r, x, d)); /* no carry: a remainder means d > 1 */
    return U256_OK;
}

/* quotient = x / d, floor, and remainder; 0, or U256_DIVISION_BY_ZERO. */
static inline int u256_divmod(u256 *quotient, u256 *remainder, const u256 *x, const u256 *d)
{
    u256 q, product;
    int status = u256_div(&q, x, d);
    if (status != U256_OK)
        return status;
    u256_mul(&product, &q, d);
    u256_sub(remainder, x, &product);
    *quotient = q;
    return U256_OK;
}

/* r = x * y / d, floor, over the 512-bit product, plus 1 where `up` and there is a remainder; 0,
 * U256_OVERFLOW or U256_DIVISION_BY_ZERO. */
static inline int u256_mul_div_round(u256 *r, const u256 *x, const u256 *y, const u256 *d, int up)
{
    u512 product;
    u256 half, quotient;
    int left;
    if (u256_is_zero(d))
        return U256_DIVISION_BY_ZERO;
    if (u256_fits_u128(x) && u256_fits_u128(y)) {
        u128_mul_full(&half, u256_lo128(x), u256_lo128(y));
        left = u256_divide_256(r, &half, d);
        if (up)
            u256_add_u64(r, r, (uint64_t)left); /* no carry: a remainder means d > 1 */
        return U256_OK;
    }
    u256_mul_full(&product, x, y);
    u256_make(&half, u128_make(product.w[7], product.w[6]), u128_make(product.w[5], product.w[4]));
    if (!u256_lt(&half, d))
        return U256_OVERFLOW;
    if (!up) {
        u256_divide_512(r, &product, d);
        return U256_OK;
    }
    left = u256_divide_512(&quotient, &product, d);
    if (u256_add_u64(&quotient, &quotient, (uint64_t)left))
        return U256_OVERFLOW;
    *r = quotient;
    return U256_OK;
}

/* r = x * y / d, floor (FullMath.mulDiv); 0, U256_OVERFLOW or U256_DIVISION_BY_ZERO. */
static inline int u256_mul_div(u256 *r, const u256 *x, const u256 *y, const u256 *d)
{
    return u256_mul_div_round(r, x, y, d, 0);
}

/* r = x * y / d, rounded up (FullMath.mulDivRoundingUp); as u256_mul_div. */
static inline int u256_mul_div_up(u256 *r, const u256 *x, const u256 *y, const u256 *d)
{
    return u256_mul_div_round(r, x, y, d, 1);
}

/* ---- doubles ---- */

/* 2.0 ** n for -1022 <= n <= 1023. */
static inline double u256_exp2(int n)
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double r;
    memcpy(&r, &bits, sizeof r);
    return r;
}

/* The double nearest to (hi, lo) * 2**n, where all that lies below is 0 or `more`. Needs hi > 0.
 * 63 bits and a sticky one are more than the 53 + 2 that one rounding needs. */
static inline double u128_scaled_to_double(uint64_t hi, uint64_t lo, int more, int n)
{
    int shift = __builtin_clzll(hi);
    u128 x = u128_make(hi, lo) << shift;
    uint64_t top = (uint64_t)(x >> 65), rest = (uint64_t)(x >> 64 & 1) | (uint64_t)x;
    return (double)(int64_t)(top | (uint64_t)((rest != 0) | more)) * u256_exp2(n + 65 - shift);
}

/* The nearest double, ties to even. */
static inline double u128_to_double(u128 x)
{
    uint64_t hi = (uint64_t)(x >> 64), lo = (uint64_t)x;
    return hi == 0 ? (double)lo : u128_scaled_to_double(hi, lo, 0, 0);
}

/* The nearest double, ties to even. */
static inline double u256_to_double(const u256 *x)
{
    if (x->w[3] != 0)
        return u128_scaled_to_double(x->w[3], x->w[2], (x->w[1] | x->w[0]) != 0, 128);
    if (x->w[2] != 0)
        return u128_scaled_to_double(x->w[2], x->w[1], x->w[0] != 0, 64);
    return u128_to_double(u256_lo128(x));
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

/* ---- square roots ---- */

/* floor(sqrt(x)). */
static inline uint64_t u64_isqrt(uint64_t x)
{
    uint64_t root = (uint64_t)__builtin_sqrt((double)x); /* a square's is exact, others' 1 off */
    return root - ((u128)root * root > x);
}

/* floor(sqrt(x)), *rest becomes x - root**2. Needs x >= 2**126. A step of Newton from a double that
 * is below the root by at most 2**15 makes a number that is below it by 2**-29 at most. */
static inline uint64_t u128_isqrt_normalised(u128 *rest, u128 x)
{
    double upper = __builtin_sqrt((double)(int64_t)(x >> 65));             /* root / 2**32.5 */
    double guess = upper * (1.4142135623730951 * 0x1p31 * (1.0 - 0x1p-50)); /* root / 2, less */
    double inverse = 0x1p18 / guess;                                       /* 2**20 / (2 root) */
    uint64_t root = (uint64_t)(int64_t)guess << 1;
    u128 missing = x - (u128)root * root; /* below 2**80 */
    double step = (double)(int64_t)(uint64_t)(missing >> 20) * inverse - 0x1p-30;
    root += (uint64_t)(int64_t)step;
    missing = x - (u128)root * root;
    if (U256_UNLIKELY(missing > (u128)root << 1))
        missing -= ((u128)root++ << 1) + 1;
    *rest = missing;
    return root;
}

/* floor(sqrt((hi, lo))). Needs hi >= 2**126. Zimmermann, "Karatsuba square root" (INRIA RR-3805,
 * 1999): the root of the upper half and one division of its rest. */
static inline u128 u256_isqrt_normalised(u128 hi, u128 lo)
{
    u128 rest;
    uint64_t upper = u128_isqrt_normalised(&rest, hi);
    uint64_t half = (uint64_t)(rest >> 1), l1 = (uint64_t)(lo >> 64), odd;
    if (U256_UNLIKELY(half >= upper))
        return u128_make(upper, ~UINT64_C(0)); /* rest = 2 * upper: hi is a square less 1 */
    uint64_t q = u64_divmod_2by1(&odd, half, (uint64_t)rest << 63 | l1 >> 1, upper);
    /* (hi, lo) - (upper, q)**2 = (odd * 2 + l1 % 2, l0) - q**2; q is at most 1 too large */
    if (odd >> 63 == 0 && u128_make(odd << 1 | (l1 & 1), (uint64_t)lo) < (u128)q * q)
        q--;
    return u128_make(upper, q);
}

/* r = floor(sqrt(x)). */
static inline void u256_isqrt(u256 *r, const u256 *x)
{
    u128 hi = u256_hi128(x), lo = u256_lo128(x), rest;
    if (hi != 0) {
        unsigned more = 0;
        if (hi >> 64 == 0) {
            hi = hi << 64 | lo >> 64;
            lo <<= 64;
            more = 64;
        }
        unsigned shift = (unsigned)__builtin_clzll((uint64_t)(hi >> 64)) & ~1u;
        hi = hi << shift | lo >> 1 >> (127 - shift);
        lo <<= shift;
        u256_from_u128(r, u256_isqrt_normalised(hi, lo) >> ((shift + more) / 2));
    } else if (lo >> 64 != 0) {
        unsigned shift = (unsigned)__builtin_clzll((uint64_t)(lo >> 64)) & ~1u;
        u256_from_u64(r, u128_isqrt_normalised(&rest, lo << shift) >> (shift / 2));
    } else {
        u256_from_u64(r, u64_isqrt((uint64_t)lo));
    }
}

#endif
