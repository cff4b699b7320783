/* Balancer V2 LogExpMath (solidity-utils/contracts/math/LogExpMath.sol), bit for bit: natural
 * logarithm, exponential and power of numbers with 18 decimals.
 *
 * Signs are kept apart: every signed division there cuts off towards zero, so magnitudes are
 * divided as unsigned numbers. Divisions by constants multiply by reciprocals of 128 bits.
 */
#ifndef MEVFAST_LOG_EXP_MATH_H
#define MEVFAST_LOG_EXP_MATH_H

#include "u256.h"

#define LOG_EXP_U128(hi, lo) ((u128)UINT64_C(hi) << 64 | UINT64_C(lo))
#define ONE_18 UINT64_C(1000000000000000000)
#define ONE_20 ((u128)ONE_18 * 100)
#define ONE_36 ((u128)ONE_18 * ONE_18)
#define MAX_NATURAL_EXPONENT ((u128)ONE_18 * 130) /* and -41 below, see exp */
#define MIN_NATURAL_EXPONENT ((u128)ONE_18 * 41)  /* its magnitude */

/* ---- division by constants ---- */

typedef struct {
    u128 d;
    u128 reciprocal; /* floor(2**(128 + shift) / d) */
    int shift;       /* bits of d, less one */
} constant_divisor;

static inline u128 u128_mul_high(u128 x, u128 y)
{
    u256 product;
    u128_mul_full(&product, x, y);
    return u256_hi128(&product);
}

/* floor(x / d), *rest the remainder. Needs x < 2**(128 + shift). The estimate is at most 3 too low:
 * one unit each for the bits that the shift drops, the reciprocal's own and the product's. */
static inline u128 u256_div_constant(u128 *rest, const u256 *x, const constant_divisor *by)
{
    u128 lo = u256_lo128(x), hi = u256_hi128(x);
    u128 q = u128_mul_high(hi << (128 - by->shift) | lo >> by->shift, by->reciprocal);
    lo -= q * by->d; /* below 4 d: the upper half cannot matter */
    while (lo >= by->d) {
        lo -= by->d;
        q++;
    }
    *rest = lo;
    return q;
}

/* floor(x * y / d). Needs x * y < 2**(128 + shift). */
static inline u128 u128_mul_div_constant(u128 x, u128 y, const constant_divisor *by)
{
    u256 product;
    u128 rest;
    u128_mul_full(&product, x, y);
    return u256_div_constant(&rest, &product, by);
}

static const constant_divisor BY_ONE_18 = {
    ONE_18, LOG_EXP_U128(0x9392ee8e921d5d07, 0x3aff322e62439fcf), 59};
static const constant_divisor BY_ONE_20 = {
    LOG_EXP_U128(0x0000000000000005, 0x6bc75e2d63100000),
    LOG_EXP_U128(0xbce5086492111aea, 0x88f4bb1ca6bcf584), 66};
static const constant_divisor BY_ONE_36 = {
    LOG_EXP_U128(0x00c097ce7bc90715, 0xb34b9f1000000000),
    LOG_EXP_U128(0xaa242499697392d2, 0xdde50bd1d5d0b9e9), 119};

/* r = x / 1e18, floor; returns the remainder. */
static inline uint64_t u256_div_one_18(u256 *r, const u256 *x)
{
    if (x->w[3] == 0 && x->w[2] >> BY_ONE_18.shift == 0) {
        u128 rest;
        u256_from_u128(r, u256_div_constant(&rest, x, &BY_ONE_18));
        return (uint64_t)rest;
    }
    const uint64_t d = ONE_18 << 4, v = UINT64_C(0x2725dd1d243aba0e); /* as u64_reciprocal(d) */
    uint64_t rest = x->w[3] >> 60;
    u256 q;
    for (int i = 3; i > 0; i--)
        q.w[i] = u64_divide_step(&rest, x->w[i] << 4 | x->w[i - 1] >> 60, d, v);
    q.w[0] = u64_divide_step(&rest, x->w[0] << 4, d, v);
    *r = q;
    return rest >> 4;
}

/* floor(x / 100). Needs x < 2**127: the reciprocal, 2**134 / 100, is rounded up. */
static inline u128 u128_div_hundred(u128 x)
{
    return u128_mul_high(x, LOG_EXP_U128(0xa3d70a3d70a3d70a, 0x3d70a3d70a3d70a4)) >> 6;
}

/* ---- tables ---- */

enum { EXP_FIRST = 2, EXP_LAST = 9, LN_LAST = 11 }; /* of the powers with 20 decimals */

/* x_n = 2**(7 - n), 20 decimals. */
#define LOG_EXP_X(n) ((u128)ONE_18 * 12800 >> (n))

/* a_n = e**x_n: the first two are integers, the others have 20 decimals. */
static const u256 LOG_EXP_A0 = {{UINT64_C(0x0262827000000000), UINT64_C(0xf53a27172fa9ec63),
                                 UINT64_C(0x0195e54c5dd42177), 0}};
static const u256 LOG_EXP_A1 = {{UINT64_C(0xf597cd205cef7380), UINT64_C(0x1425982c), 0, 0}};
static const constant_divisor LOG_EXP_A[LN_LAST + 1] = {
    [2] = {LOG_EXP_U128(0x0001855144814a7f, 0xf805980ff0084000), /* e**32 */
           LOG_EXP_U128(0xa855ec1a9fa3829e, 0xa33012b138619d1d), 112},
    [3] = {LOG_EXP_U128(0x0000000002df0ab5, 0xa80a22c61ab5a700), /* e**16 */
           LOG_EXP_U128(0xb251b0aef29df147, 0xf576ee6dae5dfad5), 89},
    [4] = {LOG_EXP_U128(0x0000000000003f1f, 0xce3da636ea5cf850), /* e**8 */
           LOG_EXP_U128(0x81c69c08447efa8b, 0x09307c29ddd7205a), 77},
    [5] = {LOG_EXP_U128(0x0000000000000127, 0xfa27722cc06cc5e2), /* e**4 */
           LOG_EXP_U128(0xdd6c2824f053fb82, 0x747d97e6807ec515), 72},
    [6] = {LOG_EXP_U128(0x0000000000000028, 0x0e60114edb805d03), /* e**2 */
           LOG_EXP_U128(0xcc834d4489fb4386, 0x47f8015f622cf4d4), 69},
    [7] = {LOG_EXP_U128(0x000000000000000e, 0xbc5fb41746121110), /* e */
           LOG_EXP_U128(0x8afb1dcc10223b49, 0x6190e5924ceb5c88), 67},
    [8] = {LOG_EXP_U128(0x0000000000000008, 0xf00f760a4b2db55d), /* e**0.5 */
           LOG_EXP_U128(0xe5240bc6352d0b85, 0xe32903aa78bdb23e), 67},
    [9] = {LOG_EXP_U128(0x0000000000000006, 0xf5f1775788937937), /* e**0.25 */
           LOG_EXP_U128(0x931c7eb84bf4c540, 0xad7fde3e58758982), 66},
    [10] = {LOG_EXP_U128(0x0000000000000006, 0x248f33704b286603), /* e**0.125 */
            LOG_EXP_U128(0xa6b2ee80a6fc6bac, 0xabba36c00a4ad830), 66},
    [11] = {LOG_EXP_U128(0x0000000000000005, 0xc548670b9510e7ac), /* e**0.0625 */
            LOG_EXP_U128(0xb1733a705827a418, 0x6a94df9ecb15cd70), 66},
};

/* Of n * 1e20: 2**(128 + shift) / (n * 1e20), rounded up, which is exact below 2**127. */
typedef struct {
    u128 reciprocal;
    int shift;
} taylor_divisor;

enum { TAYLOR_TERMS = 12 };
static const taylor_divisor BY_N_ONE_20[TAYLOR_TERMS + 1] = {
    [1] = {LOG_EXP_U128(0xbce5086492111aea, 0x88f4bb1ca6bcf585), 66},
    [2] = {LOG_EXP_U128(0xbce5086492111aea, 0x88f4bb1ca6bcf585), 67},
    [3] = {LOG_EXP_U128(0xfbdc0b30c2c17938, 0xb69ba42633a69cb1), 68},
    [4] = {LOG_EXP_U128(0xbce5086492111aea, 0x88f4bb1ca6bcf585), 68},
    [5] = {LOG_EXP_U128(0x971da05074da7bee, 0xd3f6fc16ebca5e04), 68},
    [6] = {LOG_EXP_U128(0xfbdc0b30c2c17938, 0xb69ba42633a69cb1), 69},
    [7] = {LOG_EXP_U128(0xd7e12e29cb814355, 0x2ece8cb307b361bc), 69},
    [8] = {LOG_EXP_U128(0xbce5086492111aea, 0x88f4bb1ca6bcf585), 69},
    [9] = {LOG_EXP_U128(0xa7e80775d72ba625, 0xcf126d6ecd19bdcb), 69},
    [10] = {LOG_EXP_U128(0x971da05074da7bee, 0xd3f6fc16ebca5e04), 69},
    [11] = {LOG_EXP_U128(0x8960c049246987f0, 0x639ab6a079439b49), 69},
    [12] = {LOG_EXP_U128(0xfbdc0b30c2c17938, 0xb69ba42633a69cb1), 70},
};

/* floor(x / (n * 1e20)). Needs x < 2**127. */
static inline u128 log_exp_div_n_one_20(u128 x, int n)
{
    return u128_mul_high(x, BY_N_ONE_20[n].reciprocal) >> BY_N_ONE_20[n].shift;
}

/* ---- logarithms ---- */

/* Whether ln_36 is used for x: near one, exclusive. */
static inline int log_exp_near_one(const u256 *x)
{
    return u256_fits_u64(x) && x->w[0] > ONE_18 / 10 * 9 && x->w[0] < ONE_18 / 10 * 11;
}

/* |ln(x)| with 36 decimals; negative where x < 1e18. Needs log_exp_near_one. */
static inline u128 log_exp_ln_36(uint64_t x)
{
    /* reciprocals of 3, 5 ... 15, rounded up: exact below 2**124 */
    static const u128 by_odd[] = {
        ~(u128)0 / 3 + 1,  ~(u128)0 / 5 + 1,  ~(u128)0 / 7 + 1, ~(u128)0 / 9 + 1,
        ~(u128)0 / 11 + 1, ~(u128)0 / 13 + 1, ~(u128)0 / 15 + 1,
    };
    uint64_t distance = x < ONE_18 ? ONE_18 - x : x - ONE_18;
    /* z = distance * 1e36 / (x + 1e18), both shifted so that the divisor's top bit is set: it has
     * 61 bits, and the quotient at most 117 */
    uint64_t divisor = (x + ONE_18) << 3, v = u64_reciprocal(divisor);
    u256 numerator;
    u128_mul_full(&numerator, ONE_36, (u128)distance << 3);
    uint64_t rest = numerator.w[2];
    uint64_t z_hi = u64_divide_step(&rest, numerator.w[1], divisor, v);
    u128 z = u128_make(z_hi, u64_divide_step(&rest, numerator.w[0], divisor, v));
    u128 z_squared = u128_mul_div_constant(z, z, &BY_ONE_36);
    u128 num = z, sum = z;
    for (unsigned i = 0; i < sizeof by_odd / sizeof by_odd[0] && num != 0; i++) {
        num = u128_mul_div_constant(num, z_squared, &BY_ONE_36);
        sum += u128_mul_high(num, by_odd[i]);
    }
    return 2 * sum;
}

/* ln(a) with 18 decimals for 1e18 <= a < 2**255. */
static inline u128 log_exp_ln_above_one(const u256 *a)
{
    u256 wide = *a, limit;
    u128 sum = 0, v;
    int n = EXP_FIRST + 1;
    if (u256_fits_u128(a) && u256_lo128(a) < LOG_EXP_A[2].d / 100) {
        v = u256_lo128(a) * 100;
    } else {
        u256_mul_u64(&limit, &LOG_EXP_A0, ONE_18);
        if (!u256_lt(&wide, &limit)) {
            u256_div(&wide, &wide, &LOG_EXP_A0);
            sum += LOG_EXP_X(0);
        }
        u256_mul_u64(&limit, &LOG_EXP_A1, ONE_18);
        if (!u256_lt(&wide, &limit)) {
            u256_div(&wide, &wide, &LOG_EXP_A1);
            sum += LOG_EXP_X(1);
        }
        u256_mul_u64(&wide, &wide, 100);
        u256_from_u128(&limit, LOG_EXP_A[2].d);
        if (!u256_lt(&wide, &limit)) {
            u256 one_20;
            u256_from_u128(&one_20, ONE_20);
            u256_mul_div(&wide, &wide, &one_20, &limit);
            sum += LOG_EXP_X(2);
        }
        v = u256_lo128(&wide); /* below a_2, 113 bits */
    }
    for (; n <= LN_LAST; n++)
        if (v >= LOG_EXP_A[n].d) {
            v = u128_mul_div_constant(v, ONE_20, &LOG_EXP_A[n]);
            sum += LOG_EXP_X(n);
        }
    /* v < a_11: z and its powers stay below 2**62 */
    u256_from_u128(&limit, v + ONE_20);
    u128_mul_full(&wide, v - ONE_20, ONE_20);
    u256_div(&wide, &wide, &limit);
    uint64_t z = wide.w[0], num = z, series = z;
    uint64_t z_squared = (uint64_t)log_exp_div_n_one_20((u128)z * z, 1);
    num = (uint64_t)log_exp_div_n_one_20((u128)num * z_squared, 1);
    series += num / 3;
    num = (uint64_t)log_exp_div_n_one_20((u128)num * z_squared, 1);
    series += num / 5;
    num = (uint64_t)log_exp_div_n_one_20((u128)num * z_squared, 1);
    series += num / 7;
    num = (uint64_t)log_exp_div_n_one_20((u128)num * z_squared, 1);
    series += num / 9;
    num = (uint64_t)log_exp_div_n_one_20((u128)num * z_squared, 1);
    series += num / 11;
    return u128_div_hundred(sum + 2 * (u128)series);
}

/* |ln(a)| with 18 decimals, the sign as of ln_36. Needs 0 < a < 2**255. */
static inline u128 log_exp_ln_18(const u256 *a)
{
    if (u256_fits_u64(a) && a->w[0] < ONE_18) {
        u256 inverse;
        u256_from_u128(&inverse, ONE_36 / a->w[0]);
        return log_exp_ln_above_one(&inverse);
    }
    return log_exp_ln_above_one(a);
}

/* ln(a) as the contract's public ln: *r = |ln(a)|, *negative its sign; 0, or U256_OVERFLOW where
 * it reverts (0, and what is negative as int256). */
static inline int log_exp_ln(u128 *r, int *negative, const u256 *a)
{
    if (u256_is_zero(a) || a->w[3] >> 63)
        return U256_OVERFLOW;
    *negative = u256_fits_u64(a) && a->w[0] < ONE_18;
    *r = log_exp_near_one(a) ? log_exp_ln_36(a->w[0]) / ONE_18 : log_exp_ln_18(a);
    return U256_OK;
}

/* ---- exponential ---- */

/* The Taylor series of e**x with 20 decimals. Needs x < 0.25e20. */
static inline u128 log_exp_taylor(u128 x)
{
    u128 sum = ONE_20 + x;
    uint64_t term = (uint64_t)(u128_mul_div_constant(x, x, &BY_ONE_20) / 2);
    for (int n = 3; term != 0; n++) { /* below 2**62 from here on */
        sum += term;
        if (n > TAYLOR_TERMS)
            break;
        term = (uint64_t)log_exp_div_n_one_20(term * x, n);
    }
    return sum;
}

/* e**x for 0 <= x < 41e20, 20 decimals in and out: no product passes 2**127. */
static inline u128 log_exp_exp_20(u128 x)
{
    u128 product = ONE_20;
    for (int n = EXP_FIRST; n <= EXP_LAST; n++)
        if (x >= LOG_EXP_X(n)) {
            x -= LOG_EXP_X(n);
            product = product == ONE_20
                          ? LOG_EXP_A[n].d
                          : u128_mul_div_constant(product, LOG_EXP_A[n].d, &BY_ONE_20);
        }
    u128 series = log_exp_taylor(x);
    return product == ONE_20 ? series : u128_mul_div_constant(product, series, &BY_ONE_20);
}

/* The same for what is too large there: r = e**x * first, 18 decimals. */
static inline void log_exp_exp_wide(u256 *r, u128 x, const u256 *first)
{
    u256 product, factor, one_20, hundred;
    u256_from_u128(&one_20, ONE_20);
    u256_from_u64(&hundred, 100);
    product = one_20;
    for (int n = EXP_FIRST; n <= EXP_LAST; n++)
        if (x >= LOG_EXP_X(n)) {
            x -= LOG_EXP_X(n);
            u256_from_u128(&factor, LOG_EXP_A[n].d);
            u256_mul_div(&product, &product, &factor, &one_20);
        }
    u256_from_u128(&factor, log_exp_taylor(x));
    u256_mul_div(&product, &product, &factor, &one_20);
    u256_mul(&product, &product, first); /* below 2**255: x <= 130 */
    u256_div(r, &product, &hundred);
}

/* r = e**x, 18 decimals, for a magnitude x and its sign; 0, or U256_OVERFLOW where the contract
 * reverts: x outside [-41, 130]. */
static inline int log_exp_exp(u256 *r, u128 x, int negative)
{
    const u256 none = {{1, 0, 0, 0}};
    if (x > (negative ? MIN_NATURAL_EXPONENT : MAX_NATURAL_EXPONENT))
        return U256_OVERFLOW;
    x *= 100;
    if (x < LOG_EXP_X(2) + LOG_EXP_X(4) + LOG_EXP_X(7)) /* 41e20 */
        u256_from_u128(r, u128_div_hundred(log_exp_exp_20(x)));
    else if (x >= LOG_EXP_X(0))
        log_exp_exp_wide(r, x - LOG_EXP_X(0), &LOG_EXP_A0);
    else if (x >= LOG_EXP_X(1))
        log_exp_exp_wide(r, x - LOG_EXP_X(1), &LOG_EXP_A1);
    else
        log_exp_exp_wide(r, x, &none);
    if (negative)
        u256_from_u128(r, ONE_36 / u256_lo128(r)); /* e**41 * 1e18 has 119 bits */
    return U256_OK;
}

/* r = x**y, all with 18 decimals; 0, or U256_OVERFLOW where the contract reverts: BAL#006 (x),
 * BAL#007 (y), BAL#008 (the logarithm of the power). */
static inline int log_exp_pow(u256 *r, const u256 *x, const u256 *y)
{
    /* 2**254 / 1e20 */
    static const u256 mild_exponent_bound = {
        {UINT64_C(0x4181ea8059f76532), UINT64_C(0xa88f4bb1ca6bcf58), UINT64_C(0x0bce5086492111ae),
         0}};
    u256 exponent, low;
    int negative = u256_fits_u64(x) && x->w[0] < ONE_18;
    if (u256_is_zero(y)) {
        u256_from_u64(r, ONE_18);
        return U256_OK;
    }
    if (u256_is_zero(x)) {
        *r = *x;
        return U256_OK;
    }
    if (x->w[3] >> 63 || !u256_lt(y, &mild_exponent_bound))
        return U256_OVERFLOW;
    if (log_exp_near_one(x)) {
        u256_from_u128(&low, log_exp_ln_36(x->w[0]));
        uint64_t fraction = u256_div_one_18(&low, &low);
        /* y < 2**188: no product here passes 2**255 */
        if (u256_mul_u64(&exponent, y, low.w[0]) || u256_mul_u64(&low, y, fraction))
            return U256_OVERFLOW;
        u256_div_one_18(&low, &low);
        u256_add(&exponent, &exponent, &low);
    } else {
        u256_from_u128(&low, log_exp_ln_18(x));
        if (u256_mul(&exponent, y, &low))
            return U256_OVERFLOW;
    }
    u256_div_one_18(&exponent, &exponent);
    if (!u256_fits_u128(&exponent))
        return U256_OVERFLOW;
    return log_exp_exp(r, u256_lo128(&exponent), negative);
}

#endif
