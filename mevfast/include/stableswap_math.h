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

/* *y = get_y(i, j, x, xp) with the D of xp: coin j's new balance once coin i's is x. */
static inline int stable_get_y(u256 *y, int i, int j, const u256 *x, const u256 *xp, const u256 *d,
                               const stable_form *f)
{
    u256 c = *d, b = {{0}}, t, next, previous;
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
    next = *d;
    for (int step = 0; step < STABLE_MAX_STEPS; step++) {
        previous = next;
        if (u256_mul(&next, &previous, &previous) || u256_add(&next, &next, &c) ||
            u256_add(&t, &previous, &previous) || u256_add(&t, &t, &b) || u256_sub(&t, &t, d))
            return STABLE_OVERFLOW;
        if ((status = u256_div(&next, &next, &t)) != STABLE_OK)
            return status;
        if (stable_close(&next, &previous)) {
            *y = next;
            return STABLE_OK;
        }
    }
    *y = next;
    return f->converges ? STABLE_DIVERGED : STABLE_OK;
}

/* Whether stable_get_p certainly passes: no bound comes near, whatever the rounding. x and d are
 * the nearest doubles; ann is A * n. */
static inline int stable_prices_fit(const double *x, double d, double ann, int n)
{
    const double limit = 0x1p255;
    double dr = d;
    if (!(d < 0x1p127) || !(ann * x[0] > 2.0))
        return 0;
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

/* Whether StableSwapNG's oracle update survives the state xp: _get_p prices all coins in coin 0,
 * and D is packed into 128 bits. A stable_status. */
static inline int stable_check_prices(const u256 *xp, const u256 *d, const stable_form *f)
{
    u256 dr, xp0_a, total, t;
    uint64_t n_to_n = 1;
    int status;
    if (!u256_fits_u128(d))
        return STABLE_OVERFLOW;
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
