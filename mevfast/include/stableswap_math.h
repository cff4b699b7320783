/* Curve's StableSwap invariant: get_D and get_y as the contracts compute them, unit by unit.
 *
 * A * n * sum(x) + D = A * n * D + D**(n+1) / (n**n * prod(x)), x in 18 decimals. Newton's steps,
 * their rounding and their stopping rule are the contracts' own; the last unit depends on them.
 * Vyper checks every operation: where one would overflow or divide by zero, these say so.
 */
#ifndef MEVFAST_STABLESWAP_MATH_H
#define MEVFAST_STABLESWAP_MATH_H

#include "u256.h"

enum { STABLE_MAX_COINS = 8, STABLE_MAX_STEPS = 255 };
static const uint64_t STABLE_PRECISION = UINT64_C(1000000000000000000);
static const uint64_t STABLE_FEE_DENOMINATOR = UINT64_C(10000000000);

enum stable_status {
    STABLE_OK = 0,
    STABLE_OVERFLOW = U256_OVERFLOW, /* or a difference below 0 */
    STABLE_DIVISION_BY_ZERO = U256_DIVISION_BY_ZERO,
    STABLE_DIVERGED = 3
};

/* How get_D takes D**(n+1) / (n**n * prod(x)) apart. */
enum stable_product {
    STABLE_BY_NX = 0,   /* D_P * D / (x * n) for each x */
    STABLE_BY_NX_PLUS_1, /* D_P * D / (x * n + 1) */
    STABLE_BY_X_LAST_NN /* D_P * D / x, and n**n at last */
};

typedef struct {
    uint64_t ann;         /* amp * n, times a_precision; below 2**60 */
    uint32_t a_precision; /* 1 or 100 */
    uint8_t n;            /* coins, 2 to 8 */
    uint8_t product;      /* enum stable_product */
    uint8_t converges;    /* reverts after 255 steps; else takes the last one */
} stable_form;

static inline int stable_mul_div(u256 *r, const u256 *x, const u256 *y, const u256 *d)
{
    u256 product;
    int status = u256_mul(&product, x, y);
    return status != U256_OK ? status : u256_div(r, &product, d);
}

static inline int stable_div_u64(u256 *r, const u256 *x, uint64_t d)
{
    u256 divisor;
    u256_from_u64(&divisor, d);
    return u256_div(r, x, &divisor);
}

/* |x - y| <= 1. */
static inline int stable_close(const u256 *x, const u256 *y)
{
    u256 gap;
    if (u256_sub(&gap, x, y))
        u256_sub(&gap, y, x);
    return u256_fits_u64(&gap) && gap.w[0] <= 1;
}

/* One step of get_D from D and its D_P: the next D in *d. */
static inline int stable_d_step(u256 *d, const u256 *d_p, const u256 *ann_s, const stable_form *f)
{
    u256 numerator, denominator, t;
    int status;
    if (f->ann < f->a_precision || u256_mul_u64(&t, d_p, f->n) || u256_add(&t, &t, ann_s))
        return STABLE_OVERFLOW;
    if ((status = u256_mul(&numerator, &t, d)) != STABLE_OK)
        return status;
    if (u256_mul_u64(&denominator, d, f->ann - f->a_precision))
        return STABLE_OVERFLOW;
    if (f->a_precision != 1)
        stable_div_u64(&denominator, &denominator, f->a_precision);
    if (u256_mul_u64(&t, d_p, f->n + 1u) || u256_add(&denominator, &denominator, &t))
        return STABLE_OVERFLOW;
    return u256_div(d, &numerator, &denominator);
}

/* *d = get_D(xp, amp); 0 for an empty pool. A stable_status. */
static inline int stable_get_d(u256 *d, const u256 *xp, const stable_form *f)
{
    u256 sum = {{0}}, ann_s, divisor[STABLE_MAX_COINS], next, previous, d_p;
    uint64_t n_to_n = 1;
    int status;
    for (int k = 0; k < f->n; k++) {
        n_to_n *= f->n;
        if (u256_add(&sum, &sum, &xp[k]))
            return STABLE_OVERFLOW;
    }
    if (u256_is_zero(&sum)) {
        *d = sum;
        return STABLE_OK;
    }
    for (int k = 0; k < f->n; k++) {
        divisor[k] = xp[k];
        if (f->product != STABLE_BY_X_LAST_NN &&
            (u256_mul_u64(&divisor[k], &xp[k], f->n) ||
             u256_add_u64(&divisor[k], &divisor[k], f->product == STABLE_BY_NX_PLUS_1)))
            return STABLE_OVERFLOW;
    }
    if (u256_mul_u64(&ann_s, &sum, f->ann))
        return STABLE_OVERFLOW;
    if (f->a_precision != 1)
        stable_div_u64(&ann_s, &ann_s, f->a_precision);
    next = sum;
    for (int step = 0; step < STABLE_MAX_STEPS; step++) {
        d_p = previous = next;
        for (int k = 0; k < f->n; k++)
            if ((status = stable_mul_div(&d_p, &d_p, &previous, &divisor[k])) != STABLE_OK)
                return status;
        if (f->product == STABLE_BY_X_LAST_NN)
            stable_div_u64(&d_p, &d_p, n_to_n);
        if ((status = stable_d_step(&next, &d_p, &ann_s, f)) != STABLE_OK)
            return status;
        if (stable_close(&next, &previous)) {
            *d = next;
            return STABLE_OK;
        }
    }
    *d = next;
    return f->converges ? STABLE_DIVERGED : STABLE_OK;
}

/* get_y's Newton steps, y = (y**2 + c) / (2 y + b - D) from D on: a stable_status. */
static inline int stable_newton_y(u256 *y, const u256 *c, const u256 *b, const u256 *d,
                                  int converges)
{
    u256 next = *d, previous, t;
    int status;
    for (int step = 0; step < STABLE_MAX_STEPS; step++) {
        previous = next;
        if (u256_mul(&next, &previous, &previous) || u256_add(&next, &next, c) ||
            u256_add(&t, &previous, &previous) || u256_add(&t, &t, b) || u256_sub(&t, &t, d))
            return STABLE_OVERFLOW;
        if ((status = u256_div(&next, &next, &t)) != STABLE_OK)
            return status;
        if (stable_close(&next, &previous)) {
            *y = next;
            return STABLE_OK;
        }
    }
    *y = next;
    return converges ? STABLE_DIVERGED : STABLE_OK;
}

/* *h = y (y + beta) - c; 0 where that or y + beta does not fit. */
static inline int stable_height(i128 *h, u128 y, i128 beta, const u256 *c)
{
    u256 product;
    if ((i128)y + beta < 0)
        return 0;
    u128_mul_full(&product, y, (u128)((i128)y + beta));
    int below = u256_sub(&product, &product, c);
    *h = (i128)u256_lo128(&product);
    i128 sign = *h >> 127;
    return sign == -(i128)below && u256_hi128(&product) == (u128)sign;
}

/* The y at which stable_newton_y rests, found without its steps; 0 where that is not certain.
 *
 * Let beta = b - D, r the root >= 0 of h(y) = y**2 + beta y - c, R = floor(r), g = R + 1 - r and
 * s = sqrt(beta**2 + 4 c). A step from r + e leads to r + e**2 / (s + 2 e), cut off to an integer:
 * never below R, from above at most half as far away, so that from D >= R of 124 bits the steps
 * end within 255, the first being the largest. They rest too early, at R + 1 or above, only if
 * e (s + e) <= s + 2 e at some e >= 1 + g, which needs g < 1 / s. From R + 1 they go to R and
 * rest. From R they go up only if (1 - g)**2 / (s - 2 (1 - g)) >= g, which needs g < 1 / (s - 2).
 * So with s >= 8 and g > 2 / s they rest on R: if h(R) <= 0 and h(R + 1) = g (g + s) >= 3.
 */
static inline int stable_rest_of_y(u256 *y, const u256 *c, const u256 *b, const u256 *d)
{
    const u128 limit = (u128)1 << 124; /* D**2 + c and all differences then fit */
    if (!u256_fits_u128(d) || !u256_fits_u128(b) || u256_bit_length(c) > 250 ||
        u256_lo128(d) >= limit || u256_lo128(b) >= limit)
        return 0;
    i128 beta = (i128)u256_lo128(b) - (i128)u256_lo128(d), h;
    double c_double = u256_to_double(c), beta_double = (double)beta;
    double s = __builtin_sqrt(beta_double * beta_double + 4.0 * c_double);
    double root = beta >= 0 ? 2.0 * c_double / (beta_double + s) : 0.5 * (s - beta_double);
    if (!(s > 16.0 && root < 0x1p124))
        return 0;
    u128 at = (u128)root;
    for (int tries = 0; tries < 4; tries++) {
        i128 rise = 2 * (i128)at + 1 + beta; /* h(at + 1) - h(at) */
        if (!stable_height(&h, at, beta, c))
            return 0;
        if (h <= 0 && h + rise >= 3) {
            u256_from_u128(y, at);
            return at <= u256_lo128(d);
        }
        double step = (double)h / (double)(rise - 1);
        if (!(step > -0x1p62 && step < 0x1p62))
            return 0;
        i128 moved = (i128)at - (int64_t)step - (h > 0);
        if (moved < 0 || moved == (i128)at)
            return 0;
        at = (u128)moved;
    }
    return 0;
}

/* *y = get_y(i, j, x, xp) with the D of xp: coin j's new balance once coin i's is x. */
static inline int stable_get_y(u256 *y, int i, int j, const u256 *x, const u256 *xp, const u256 *d,
                               const stable_form *f)
{
    u256 c = *d, b = {{0}}, t;
    int status;
    for (int k = 0; k < f->n; k++) {
        const u256 *balance = k == i ? x : &xp[k];
        if (k == j)
            continue;
        if (u256_add(&b, &b, balance) || u256_mul_u64(&t, balance, f->n))
            return STABLE_OVERFLOW;
        if ((status = stable_mul_div(&c, &c, d, &t)) != STABLE_OK)
            return status;
    }
    if ((status = u256_mul(&c, &c, d)) != STABLE_OK || u256_mul_u64(&c, &c, f->a_precision) ||
        u256_mul_u64(&t, d, f->a_precision))
        return STABLE_OVERFLOW;
    if ((status = stable_div_u64(&c, &c, f->ann * f->n)) != STABLE_OK ||
        (status = stable_div_u64(&t, &t, f->ann)) != STABLE_OK)
        return status;
    if (u256_add(&b, &b, &t))
        return STABLE_OVERFLOW;
    if (stable_rest_of_y(y, &c, &b, d))
        return STABLE_OK;
    return stable_newton_y(y, &c, &b, d, f->converges);
}

/* Whether stable_check_prices certainly passes: no bound comes near, whatever the rounding. x and d are
 * the nearest doubles; ann is A * n. */
static inline int stable_prices_fit(const double *x, double d, double ann, int n)
{
    const double limit = 0x1p255;
    double dr = d;
    for (int k = 0; k < n; k++)
        dr /= n;
    for (int k = 0; k < n; k++) {
        dr *= d;
        if (!(dr < limit))
            return 0;
        dr /= x[k];
    }
    if (!(dr * x[0] < limit))
        return 0;
    for (int k = 0; k < n; k++)
        if (!(1e18 * x[0] * (ann + dr / x[k]) < limit))
            return 0;
    return 1;
}

/* Whether StableSwapNG's oracle update survives the state xp: _get_p prices all coins in coin 0. A
 * stable_status. (It packs D into 128 bits as well; get_D squared it, so it fits.) */
static inline int stable_check_prices(const u256 *xp, const u256 *d, const stable_form *f)
{
    u256 dr, xp0_a, total, t;
    uint64_t n_to_n = 1;
    int status;
    for (int k = 0; k < f->n; k++)
        n_to_n *= f->n;
    stable_div_u64(&dr, d, n_to_n);
    for (int k = 0; k < f->n; k++)
        if ((status = stable_mul_div(&dr, &dr, d, &xp[k])) != STABLE_OK)
            return status;
    if (u256_mul_u64(&xp0_a, &xp[0], f->ann))
        return STABLE_OVERFLOW;
    stable_div_u64(&xp0_a, &xp0_a, f->a_precision);
    if (u256_add(&total, &xp0_a, &dr))
        return STABLE_OVERFLOW;
    if (u256_is_zero(&total))
        return STABLE_DIVISION_BY_ZERO;
    for (int k = 1; k < f->n; k++) {
        if ((status = stable_mul_div(&t, &dr, &xp[0], &xp[k])) != STABLE_OK)
            return status;
        if (u256_add(&t, &t, &xp0_a) || u256_mul_u64(&t, &t, STABLE_PRECISION))
            return STABLE_OVERFLOW;
    }
    return STABLE_OK;
}

/* ---- doubles: screening prices ---- */

/* D**(n+1) / (n**n * prod(x)) for D = d. */
static inline double stable_d_product(const double *x, double d, int n)
{
    double product = d;
    for (int k = 0; k < n; k++)
        product *= d / (n * x[k]);
    return product;
}

/* D of x from a near guess, to double precision. */
static inline double stable_refine_d(const double *x, double d, double ann, int n)
{
    double sum = 0.0;
    for (int k = 0; k < n; k++)
        sum += x[k];
    for (int step = 0; step < STABLE_MAX_STEPS; step++) {
        double d_p = stable_d_product(x, d, n), previous = d;
        d *= (ann * sum + n * d_p) / ((ann - 1.0) * d + (n + 1) * d_p);
        double gap = d - previous;
        if (gap < 0.0)
            gap = -gap;
        if (gap <= 1e-9 * d) /* the next step's square of it is below a double's unit */
            break;
    }
    return d;
}

/* -dx[j] / dx[i] on the invariant: coins of 18 decimals, no fee. ann is A * n. */
static inline double stable_slope(const double *x, double d, double ann, int n, int i, int j)
{
    double d_p = stable_d_product(x, d, n);
    return (ann + d_p / x[i]) / (ann + d_p / x[j]);
}

#endif
