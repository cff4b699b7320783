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
/* For what is short for its use, though a compiler would call it. */
#define U256_INLINE inline __attribute__((always_inline))

/* ---- one word by one or two words ---- */

/* floor((hi * 2**64 + lo) / d), *remainder the rest. Needs hi < d. */
static inline uint64_t u64_divmod_2by1(uint64_t *remainder, uint64_t hi, uint64_t lo, uint64_t d)
{
#if defined(U256_X86_64)
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

/* Where x < y, *r becomes s and *q one less. As likely as not in what follows: never a jump. */
static inline void word_pick_if_less(uint64_t x, uint64_t y, uint64_t *r, uint64_t s, uint64_t *q)
{
#if defined(U256_X86_64)
    __asm__("cmpq %[y], %[x]\n\tcmovbq %[s], %[r]\n\tsbbq $0, %[q]"
            : [r] "+&r"(*r), [q] "+&r"(*q)
            : [x] "r"(x), [y] "r"(y), [s] "r"(s)
            : "cc");
#else
    uint64_t mask = 0 - (uint64_t)(x < y);
    *r ^= (*r ^ s) & mask;
    *q += mask;
#endif
}

/* Quotient word of (u1, u0) / d, *u1 becomes the remainder. Needs u1 < d, d's top bit set and
 * its reciprocal v. Moeller and Granlund, algorithm 4. */
static inline uint64_t u64_divide_step(uint64_t *u1, uint64_t u0, uint64_t d, uint64_t v)
{
    u128 q = (u128)v * *u1 + u128_make(*u1, u0);
    uint64_t q1 = (uint64_t)(q >> 64) + 1;
    uint64_t r = u0 - q1 * d;
    word_pick_if_less((uint64_t)q, r, &r, r + d, &q1);
    if (U256_UNLIKELY(r >= d)) {
        q1++;
        r -= d;
    }
    *u1 = r;
    return q1;
}

/* ---- one word by two words ---- */

/* The two choices below are as likely as not: never jumps. */

/* Where x < y, (*r1, *r0) becomes (s1, s0) and *q one more. */
static inline void words_pick_if_less(uint64_t x, uint64_t y, uint64_t *r1, uint64_t *r0,
                                      uint64_t s1, uint64_t s0, uint64_t *q)
{
#if defined(U256_X86_64)
    __asm__("cmpq %[y], %[x]\n\tcmovbq %[s0], %[r0]\n\tcmovbq %[s1], %[r1]\n\tadcq $0, %[q]"
            : [r1] "+&r"(*r1), [r0] "+&r"(*r0), [q] "+&r"(*q)
            : [x] "r"(x), [y] "r"(y), [s1] "r"(s1), [s0] "r"(s0)
            : "cc");
#else
    uint64_t mask = 0 - (uint64_t)(x < y);
    *r1 ^= (*r1 ^ s1) & mask;
    *r0 ^= (*r0 ^ s0) & mask;
    *q -= mask;
#endif
}

/* (*r1, *r0) -= (p1, p0); where that borrows, it becomes (s1, s0) and *q one less. */
static inline void words_sub_or_pick(uint64_t *r1, uint64_t *r0, uint64_t p1, uint64_t p0,
                                     uint64_t s1, uint64_t s0, uint64_t *q)
{
#if defined(U256_X86_64)
    __asm__("subq %[p0], %[r0]\n\tsbbq %[p1], %[r1]\n\t"
            "cmovbq %[s0], %[r0]\n\tcmovbq %[s1], %[r1]\n\tsbbq $0, %[q]"
            : [r1] "+&r"(*r1), [r0] "+&r"(*r0), [q] "+&r"(*q)
            : [p1] "r"(p1), [p0] "r"(p0), [s1] "r"(s1), [s0] "r"(s0)
            : "cc");
#else
    unsigned char below = 0;
    *r0 = word_sub(*r0, p0, &below);
    *r1 = word_sub(*r1, p1, &below);
    uint64_t mask = 0 - (uint64_t)below;
    *r1 ^= (*r1 ^ s1) & mask;
    *r0 ^= (*r0 ^ s0) & mask;
    *q += mask;
#endif
}

/* Quotient word of (*u2, *u1, u0) / (d1, d0); (*u2, *u1) becomes the remainder. Needs
 * (*u2, *u1) < (d1, d0), d1's top bit set and the reciprocal v of (d1, d0). Moeller and Granlund,
 * algorithm 5. */
static inline uint64_t words_divide_step_2(uint64_t *u2, uint64_t *u1, uint64_t u0, uint64_t d1,
                                           uint64_t d0, uint64_t v)
{
    unsigned char c = 0;
    uint64_t less0 = word_sub(u0, d0, &c), less1 = word_sub(*u1, d1, &c);
    uint64_t q, p1, p0, q0 = word_mul(&q, v, *u2);
    c = 0;
    q0 = word_add(q0, *u1, &c);
    q = word_add(q, *u2, &c);
    p0 = word_mul(&p1, q, d0);
    p1 += q * d1;
    WORD_READY(p1);
    c = 0; /* the remainder by q and, less d, by q + 1, modulo 2**128: the upper word tells which */
    uint64_t r0 = word_sub(u0, p0, &c), r1 = word_sub(*u1, p1, &c);
    c = 0;
    less0 = word_sub(less0, p0, &c);
    less1 = word_sub(less1, p1, &c);
    words_pick_if_less(less1, q0, &r1, &r0, less1, less0, &q);
    if (U256_UNLIKELY(r1 >= d1) && (r1 > d1 || r0 >= d0)) {
        c = 0;
        r0 = word_sub(r0, d0, &c);
        r1 = word_sub(r1, d1, &c);
        q++;
    }
    *u2 = r1;
    *u1 = r0;
    return q;
}

/* The same without a reciprocal: the cheaper way to a single word. Needs *u2 < d1 and d1's top bit
 * set. The guess from the top words is at most 2 too large. */
static inline uint64_t words_divide_once_2(uint64_t *u2, uint64_t *u1, uint64_t u0, uint64_t d1,
                                           uint64_t d0)
{
    uint64_t rest, q = u64_divmod_2by1(&rest, *u2, *u1, d1), r0 = u0;
    uint64_t p1, p0 = word_mul(&p1, q, d0);
    unsigned char c = 0;
    uint64_t more0 = word_add(u0, d0, &c), more1 = word_add(rest, d1, &c), more2 = c;
    c = 0;
    more0 = word_sub(more0, p0, &c);
    more1 = word_sub(more1, p1, &c);
    word_sub(more2, 0, &c);
    if (U256_UNLIKELY(c)) { /* still below 0 */
        c = 0;
        more0 = word_add(more0, d0, &c);
        more1 = word_add(more1, d1, &c);
        q--;
    }
    words_sub_or_pick(&rest, &r0, p1, p0, more1, more0, &q);
    *u2 = rest;
    *u1 = r0;
    return q;
}

/* floor((2**192 - 1) / (d1, d0)) - 2**64. Needs d1's top bit set. */
static inline uint64_t words_reciprocal_2(uint64_t d1, uint64_t d0)
{
    uint64_t u2 = ~d1, u1 = ~d0; /* 2**192 - 1 - 2**64 * d */
    return words_divide_once_2(&u2, &u1, ~UINT64_C(0), d1, d0);
}

/* x * y / d, floor; *left becomes whether there is a remainder. Needs 0 < d, x <= d and y < 2**127:
 * then the quotient fits, and no word of it needs a guess of 2**64. */
static U256_INLINE u128 u128_mul_div(int *left, u128 x, u128 y, u128 d)
{
    uint64_t d1 = (uint64_t)(d >> 64), d0 = (uint64_t)d, q1 = 0, q0;
    u256 n;
    if (d1 == 0) {
        u128_mul_full(&n, (uint64_t)x, y);
        if (n.w[2] | (n.w[1] >= d0))
            q1 = u64_divmod_2by1(&n.w[1], n.w[2], n.w[1], d0);
        q0 = u64_divmod_2by1(&n.w[1], n.w[1], n.w[0], d0);
        *left = n.w[1] != 0;
        return u128_make(q1, q0);
    }
    unsigned shift = (unsigned)__builtin_clzll(d1);
    uint64_t scale = UINT64_C(1) << shift, above, x0 = word_mul(&above, (uint64_t)x, scale);
    x = u128_make((uint64_t)(x >> 64) << shift | above, x0); /* stays at most d */
    d0 = word_mul(&above, d0, scale);
    d1 = d1 << shift | above;
    u128_mul_full(&n, x, y);
    if (n.w[3] | (n.w[2] >= d1)) {
        q1 = words_divide_once_2(&n.w[3], &n.w[2], n.w[1], d1, d0);
        if (U256_UNLIKELY(n.w[3] >= d1))
            q0 = words_divide_step_2(&n.w[3], &n.w[2], n.w[0], d1, d0, words_reciprocal_2(d1, d0));
        else
            q0 = words_divide_once_2(&n.w[3], &n.w[2], n.w[0], d1, d0);
        *left = (n.w[3] | n.w[2]) != 0;
    } else {
        q0 = words_divide_once_2(&n.w[2], &n.w[1], n.w[0], d1, d0);
        *left = (n.w[2] | n.w[1]) != 0;
    }
    return u128_make(q1, q0);
}

/* ---- one word by three or four words ---- */

/* Each takes q, the quotient word by the upper two words of d, and r, where the upper two are the
 * remainder by these, to the quotient word and the remainder by all of d: q is at most 1 too
 * large, and seldom. */

static inline uint64_t words_settle_3(uint64_t r[3], uint64_t q, const uint64_t d[3])
{
    uint64_t p1, p0 = word_mul(&p1, q, d[0]);
    unsigned char c = 0;
    r[0] = word_sub(r[0], p0, &c);
    r[1] = word_sub(r[1], p1, &c);
    r[2] = word_sub(r[2], 0, &c);
    if (U256_UNLIKELY(c)) {
        c = 0;
        for (int i = 0; i < 3; i++)
            r[i] = word_add(r[i], d[i], &c);
        q--;
    }
    return q;
}

static inline uint64_t words_settle_4(uint64_t r[4], uint64_t q, const uint64_t d[4])
{
    uint64_t p1, p0 = word_mul(&p1, q, d[0]), p2, above = word_mul(&p2, q, d[1]);
    unsigned char c = 0;
    p1 = word_add(p1, above, &c);
    p2 += c;
    WORD_READY(p2);
    c = 0;
    r[0] = word_sub(r[0], p0, &c);
    r[1] = word_sub(r[1], p1, &c);
    r[2] = word_sub(r[2], p2, &c);
    r[3] = word_sub(r[3], 0, &c);
    if (U256_UNLIKELY(c)) {
        c = 0;
        for (int i = 0; i < 4; i++)
            r[i] = word_add(r[i], d[i], &c);
        q--;
    }
    return q;
}

/* The next quotient word of (r, next) / d, where r < d becomes the remainder. Needs d's top bit set
 * and v, the reciprocal of its upper two words. Each of three or four words, as is d. */

/* Where the upper two words of r and d are the same, t: the word is 2**64 - 1, as the quotient is
 * above 2**64 * t / (t + 1) > 2**64 - 1. What is left, (r, next) - 2**64 * d + d, has n words. */
static inline uint64_t words_divide_step_same(uint64_t *r, uint64_t next, const uint64_t *d, int n)
{
    unsigned char borrow = 0, carry = 0;
    uint64_t r_below = next, d_below = 0;
    for (int i = 0; i < n; i++) {
        uint64_t t = word_sub(r_below, d_below, &borrow);
        r_below = r[i];
        d_below = d[i];
        r[i] = word_add(t, d[i], &carry);
    }
    return ~UINT64_C(0);
}

static inline uint64_t words_divide_step_3(uint64_t r[3], uint64_t next, const uint64_t d[3],
                                           uint64_t v)
{
    if (U256_UNLIKELY(r[2] == d[2]) && r[1] == d[1])
        return words_divide_step_same(r, next, d, 3);
    uint64_t q = words_divide_step_2(&r[2], &r[1], r[0], d[2], d[1], v);
    r[0] = next;
    return words_settle_3(r, q, d);
}

static inline uint64_t words_divide_step_4(uint64_t r[4], uint64_t next, const uint64_t d[4],
                                           uint64_t v)
{
    if (U256_UNLIKELY(r[3] == d[3]) && r[2] == d[2])
        return words_divide_step_same(r, next, d, 4);
    uint64_t q = words_divide_step_2(&r[3], &r[2], r[1], d[3], d[2], v);
    r[1] = r[0];
    r[0] = next;
    return words_settle_4(r, q, d);
}

/* ---- numerators of m words, 4 or 8 ---- */

/* s = x * 2**shift, one word longer. Needs shift < 64. By products, which take any such shift and
 * stay out of vector registers. */
static inline void words_shl(uint64_t *s, const uint64_t *x, int n, unsigned shift)
{
    uint64_t scale = UINT64_C(1) << shift, above = 0;
    for (int i = 0; i < n; i++) {
        uint64_t next, t = word_mul(&next, x[i], scale);
        s[i] = t | above;
        above = next;
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

static inline int words_divide_by_2(uint64_t *quotient, const uint64_t *num, int m, int k,
                                    const uint64_t *divisor)
{
    uint64_t s[9], d[3];
    unsigned shift = (unsigned)__builtin_clzll(divisor[1]);
    words_shl(s, num, m, shift);
    words_shl(d, divisor, 2, shift);
    uint64_t u1 = s[k], u2 = s[k + 1];
    words_zero(quotient);
    if (k == 1) {
        quotient[0] = words_divide_once_2(&u2, &u1, s[0], d[1], d[0]);
        return (u2 | u1) != 0;
    }
    uint64_t v = words_reciprocal_2(d[1], d[0]);
    for (int j = k - 1; j >= 0; j--)
        quotient[j] = words_divide_step_2(&u2, &u1, s[j], d[1], d[0], v);
    return (u2 | u1) != 0;
}

static inline int words_divide_by_3(uint64_t *quotient, const uint64_t *num, int m, int k,
                                    const uint64_t *divisor)
{
    uint64_t s[9], d[4];
    unsigned shift = (unsigned)__builtin_clzll(divisor[2]);
    words_shl(s, num, m, shift);
    words_shl(d, divisor, 3, shift);
    uint64_t r[3] = {s[k], s[k + 1], s[k + 2]};
    words_zero(quotient);
    if (k == 1) {
        uint64_t q = words_divide_once_2(&r[2], &r[1], r[0], d[2], d[1]);
        r[0] = s[0];
        quotient[0] = words_settle_3(r, q, d);
        return (r[2] | r[1] | r[0]) != 0;
    }
    uint64_t v = words_reciprocal_2(d[2], d[1]);
    for (int j = k - 1; j >= 0; j--)
        quotient[j] = words_divide_step_3(r, s[j], d, v);
    return (r[2] | r[1] | r[0]) != 0;
}

static inline int words_divide_by_4(uint64_t *quotient, const uint64_t *num, int m, int k,
                                    const uint64_t *divisor)
{
    uint64_t s[9], d[5];
    unsigned shift = (unsigned)__builtin_clzll(divisor[3]);
    words_shl(s, num, m, shift);
    words_shl(d, divisor, 4, shift);
    uint64_t r[4] = {s[k], s[k + 1], s[k + 2], s[k + 3]};
    words_zero(quotient);
    if (k == 1) {
        uint64_t q = words_divide_once_2(&r[3], &r[2], r[1], d[3], d[2]);
        r[1] = r[0];
        r[0] = s[0];
        quotient[0] = words_settle_4(r, q, d);
        return (r[3] | r[2] | r[1] | r[0]) != 0;
    }
    uint64_t v = words_reciprocal_2(d[3], d[2]);
    for (int j = k - 1; j >= 0; j--)
        quotient[j] = words_divide_step_4(r, s[j], d, v);
    return (r[3] | r[2] | r[1] | r[0]) != 0;
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
        return words_divide_by_2(quotient->w, num, m, k, d->w);
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
    u256 low, high, quotient;
    if (u256_is_zero(d))
        return U256_DIVISION_BY_ZERO;
    if (u256_fits_u128(x) && u256_fits_u128(y)) {
        u128_mul_full(&low, u256_lo128(x), u256_lo128(y));
        int left = u256_divide_256(r, &low, d);
        if (up)
            u256_add_u64(r, r, (uint64_t)left); /* no carry: a remainder means d > 1 */
        return U256_OK;
    }
    u256_mul_full(&product, x, y);
    u256_make(&high, u128_make(product.w[7], product.w[6]), u128_make(product.w[5], product.w[4]));
    if (!u256_lt(&high, d))
        return U256_OVERFLOW;
    if (!up) {
        u256_divide_512(r, &product, d);
        return U256_OK;
    }
    int left = u256_divide_512(&quotient, &product, d);
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

/* x to within 2**-52 of itself, and without a jump: for prices. Needs x < 2**115. */
static inline double u128_near_double(u128 x)
{
    uint64_t low = (uint64_t)x & ((UINT64_C(1) << 52) - 1);
    return (double)(int64_t)(x >> 52) * 0x1p52 + (double)(int64_t)low;
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
