/* Balancer V2 pool maths: FixedPoint, WeightedMath and StableMath, each rounding and each revert
 * as in the contracts (balancer-v2-monorepo, Solidity 0.7: only what is checked there is checked).
 *
 * Every function returns 0 (QUOTE_OK) or the quote_status of its revert. Amounts and balances are
 * scaled ones, 18 decimals.
 */
#ifndef MEVFAST_BALANCER_MATH_H
#define MEVFAST_BALANCER_MATH_H

#include "log_exp_math.h"
#include "pool.h"

#define BALANCER_MAX_RATIO (ONE_18 / 10 * 3)     /* of a weighted pool's balance, in and out */
#define BALANCER_MAX_POW_RELATIVE_ERROR 10000    /* 1e-14 */
enum { STABLE_AMP_PRECISION = 1000, STABLE_MAX_ITERATIONS = 255 };

/* ---- FixedPoint ---- */

static const u256 FIXED_ONE = {{ONE_18, 0, 0, 0}};

/* Whether y = 1e18 and x * y does not overflow: x * y / 1e18 is then x. */
static inline int fixed_is_neutral(const u256 *x, const u256 *y)
{
    return u256_eq(y, &FIXED_ONE) && u256_bit_length(x) <= 196;
}

/* r = x * y / 1e18, floor; BAL#003 where the product overflows. */
static inline int fixed_mul_down(u256 *r, const u256 *x, const u256 *y)
{
    u256 product;
    if (u256_mul(&product, x, y))
        return QUOTE_OVERFLOW;
    u256_div_one_18(r, &product);
    return QUOTE_OK;
}

static inline int fixed_mul_up(u256 *r, const u256 *x, const u256 *y)
{
    u256 product;
    if (u256_mul(&product, x, y))
        return QUOTE_OVERFLOW;
    if (u256_div_one_18(r, &product) != 0)
        u256_add_u64(r, r, 1); /* no carry after a division by 1e18 */
    return QUOTE_OK;
}

/* r = x * 1e18 / y, floor; BAL#004 and BAL#005. */
static inline int fixed_div_down(u256 *r, const u256 *x, const u256 *y)
{
    u256 inflated;
    if (u256_mul_u64(&inflated, x, ONE_18) || u256_div(r, &inflated, y))
        return QUOTE_OVERFLOW;
    return QUOTE_OK;
}

static inline int fixed_div_up(u256 *r, const u256 *x, const u256 *y)
{
    u256 inflated;
    if (u256_mul_u64(&inflated, x, ONE_18) || u256_div_up(r, &inflated, y))
        return QUOTE_OVERFLOW;
    return QUOTE_OK;
}

/* r = 1 - x, or 0 where x is above 1. */
static inline void fixed_complement(u256 *r, const u256 *x)
{
    u256_from_u64(r, u256_fits_u64(x) && x->w[0] < ONE_18 ? ONE_18 - x->w[0] : 0);
}

static inline int fixed_is(const u256 *x, uint64_t n)
{
    return u256_fits_u64(x) && x->w[0] == n;
}

/* r = x**y, rounded up. `shortcuts`: exponents 1, 2 and 4 are multiplied out, as everywhere but in
 * pools older than January 2022. */
static inline int fixed_pow_up(u256 *r, const u256 *x, const u256 *y, int shortcuts)
{
    const u256 relative = {{BALANCER_MAX_POW_RELATIVE_ERROR, 0, 0, 0}};
    u256 raw, error;
    int status;
    if (shortcuts && fixed_is(y, ONE_18)) {
        *r = *x;
        return QUOTE_OK;
    }
    if (shortcuts && fixed_is(y, 2 * ONE_18))
        return fixed_mul_up(r, x, x);
    if (shortcuts && fixed_is(y, 4 * ONE_18)) {
        status = fixed_mul_up(&raw, x, x);
        return status ? status : fixed_mul_up(r, &raw, &raw);
    }
    if (log_exp_pow(&raw, x, y))
        return QUOTE_OVERFLOW;
    status = fixed_mul_up(&error, &raw, &relative);
    if (status)
        return status;
    if (u256_add_u64(&error, &error, 1) || u256_add(r, &raw, &error))
        return QUOTE_OVERFLOW;
    return QUOTE_OK;
}

/* ---- scaling ---- */

static inline int balancer_upscale(u256 *r, const u256 *amount, const u256 *factor)
{
    if (fixed_is_neutral(amount, factor)) {
        *r = *amount;
        return QUOTE_OK;
    }
    return fixed_mul_down(r, amount, factor);
}

static inline int balancer_downscale_down(u256 *r, const u256 *amount, const u256 *factor)
{
    if (fixed_is_neutral(amount, factor)) {
        *r = *amount;
        return QUOTE_OK;
    }
    return fixed_div_down(r, amount, factor);
}

static inline int balancer_downscale_up(u256 *r, const u256 *amount, const u256 *factor)
{
    if (fixed_is_neutral(amount, factor)) {
        *r = *amount;
        return QUOTE_OK;
    }
    return fixed_div_up(r, amount, factor);
}

/* ---- WeightedMath ---- */

/* BAL#304 and BAL#305: no swap of more than 30 % of a balance. Of amount <= balance * 0.3 / 1e18,
 * cut off, both sides are multiplied: no division. */
static inline int weighted_within_ratio(const u256 *amount, const u256 *balance)
{
    u256 limit, inflated;
    if (u256_mul_u64(&limit, balance, BALANCER_MAX_RATIO))
        return QUOTE_OVERFLOW;
    if (u256_mul_u64(&inflated, amount, ONE_18) || u256_lt(&limit, &inflated))
        return QUOTE_NO_LIQUIDITY;
    return QUOTE_OK;
}

/* _calcOutGivenIn; can be 0. */
static inline int weighted_out_given_in(u256 *amount_out, const u256 *balance_in,
                                        const u256 *weight_in, const u256 *balance_out,
                                        const u256 *weight_out, const u256 *amount_in,
                                        int shortcuts)
{
    u256 denominator, base, exponent, power;
    int status = weighted_within_ratio(amount_in, balance_in);
    if (status)
        return status;
    if (u256_add(&denominator, balance_in, amount_in))
        return QUOTE_OVERFLOW;
    if ((status = fixed_div_up(&base, balance_in, &denominator)) ||
        (status = fixed_div_down(&exponent, weight_in, weight_out)) ||
        (status = fixed_pow_up(&power, &base, &exponent, shortcuts)))
        return status;
    fixed_complement(&power, &power);
    return fixed_mul_down(amount_out, balance_out, &power);
}

/* _calcInGivenOut. */
static inline int weighted_in_given_out(u256 *amount_in, const u256 *balance_in,
                                        const u256 *weight_in, const u256 *balance_out,
                                        const u256 *weight_out, const u256 *amount_out,
                                        int shortcuts)
{
    u256 rest, base, exponent, power;
    int status = weighted_within_ratio(amount_out, balance_out);
    if (status)
        return status;
    u256_sub(&rest, balance_out, amount_out); /* within 30 % of it */
    if ((status = fixed_div_up(&base, balance_out, &rest)) ||
        (status = fixed_div_up(&exponent, weight_out, weight_in)) ||
        (status = fixed_pow_up(&power, &base, &exponent, shortcuts)))
        return status;
    if (u256_sub(&power, &power, &FIXED_ONE)) /* BAL#001; a base of 1 and more rules it out */
        return QUOTE_OVERFLOW;
    return fixed_mul_up(amount_in, balance_in, &power);
}

/* ---- StableMath ---- */

/* r = x * y modulo 2**256: where the contract does not check. */
static inline void stable_mul_unchecked(u256 *r, const u256 *x, uint64_t y)
{
    u256 wide;
    u512 product;
    u256_from_u64(&wide, y);
    u256_mul_full(&product, x, &wide);
    memcpy(r->w, product.w, sizeof r->w);
}

static inline int stable_close(const u256 *x, const u256 *y)
{
    u256 distance;
    if (u256_lt(x, y))
        u256_sub(&distance, y, x);
    else
        u256_sub(&distance, x, y);
    return u256_fits_u64(&distance) && distance.w[0] <= 1;
}

static inline int stable_sum(u256 *sum, const u256 *balances, int n)
{
    *sum = balances[0];
    for (int i = 1; i < n; i++)
        if (u256_add(sum, sum, &balances[i]))
            return QUOTE_OVERFLOW;
    return u256_is_zero(sum) ? QUOTE_NO_LIQUIDITY : QUOTE_OK; /* divides by the invariant 0 */
}

/* d = _calculateInvariant: every division cuts off. `ann` is amp * n; BAL#321 where Newton does not
 * end in 255 steps. An empty balance divides by 0. */
static inline int stable_invariant(u256 *d, const u256 *ann, const u256 *balances, int n)
{
    const u256 precision = {{STABLE_AMP_PRECISION, 0, 0, 0}};
    u256 sum, ann_sum, ann_less, scaled[POOL_MAX_TOKENS], d_p, above, below, part, last;
    int status = stable_sum(&sum, balances, n);
    if (status)
        return status;
    for (int i = 0; i < n; i++) {
        if (u256_is_zero(&balances[i]))
            return QUOTE_NO_LIQUIDITY;
        if (u256_mul_u64(&scaled[i], &balances[i], (uint64_t)n))
            return QUOTE_OVERFLOW;
    }
    if (u256_mul(&ann_sum, ann, &sum) || u256_div(&ann_sum, &ann_sum, &precision))
        return QUOTE_OVERFLOW;
    u256_sub(&ann_less, ann, &precision); /* unchecked */
    *d = sum;
    for (int step = 0; step < STABLE_MAX_ITERATIONS; step++) {
        d_p = *d;
        for (int i = 0; i < n; i++)
            if (u256_mul(&d_p, &d_p, d) || u256_div(&d_p, &d_p, &scaled[i]))
                return QUOTE_OVERFLOW;
        last = *d;
        if (u256_mul_u64(&above, &d_p, (uint64_t)n) || u256_add(&above, &above, &ann_sum) ||
            u256_mul(&above, &above, d) || u256_mul(&below, &ann_less, d) ||
            u256_div(&below, &below, &precision) ||
            u256_mul_u64(&part, &d_p, (uint64_t)n + 1) || u256_add(&below, &below, &part) ||
            u256_div(d, &above, &below))
            return QUOTE_OVERFLOW;
        if (stable_close(d, &last))
            return QUOTE_OK;
    }
    return QUOTE_OVERFLOW;
}

/* d = _calculateInvariant(..., roundUp = true) of the stable and meta-stable pools before June
 * 2022. As above. */
static inline int stable_invariant_round_up(u256 *d, const u256 *ann, const u256 *balances, int n)
{
    const u256 precision = {{STABLE_AMP_PRECISION, 0, 0, 0}};
    u256 sum, ann_sum, ann_less, p_d, above, below, part, last;
    int status = stable_sum(&sum, balances, n);
    if (status)
        return status;
    if (u256_mul(&ann_sum, ann, &sum))
        return QUOTE_OVERFLOW;
    u256_sub(&ann_less, ann, &precision); /* unchecked */
    *d = sum;
    for (int step = 0; step < STABLE_MAX_ITERATIONS; step++) {
        stable_mul_unchecked(&p_d, &balances[0], (uint64_t)n);
        for (int i = 1; i < n; i++)
            if (u256_mul(&p_d, &p_d, &balances[i]) || u256_mul_u64(&p_d, &p_d, (uint64_t)n) ||
                u256_div_up(&p_d, &p_d, d))
                return QUOTE_OVERFLOW;
        last = *d;
        if (u256_mul_u64(&above, d, (uint64_t)n) || u256_mul(&above, &above, d) ||
            u256_mul(&part, &ann_sum, &p_d) || u256_div_up(&part, &part, &precision) ||
            u256_add(&above, &above, &part) || u256_mul_u64(&below, d, (uint64_t)n + 1) ||
            u256_mul(&part, &ann_less, &p_d) || u256_div(&part, &part, &precision) ||
            u256_add(&below, &below, &part) || u256_div_up(d, &above, &below))
            return QUOTE_OVERFLOW;
        if (stable_close(d, &last))
            return QUOTE_OK;
    }
    return QUOTE_OVERFLOW;
}

/* y = _getTokenBalanceGivenInvariantAndAllOtherBalances; BAL#322 where Newton does not end. */
static inline int stable_token_balance(u256 *y, const u256 *ann, const u256 *balances, int n,
                                       const u256 *d, int index)
{
    u256 sum = balances[0], p_d, d_squared, b, c, above, below, last;
    stable_mul_unchecked(&p_d, &balances[0], (uint64_t)n);
    for (int i = 1; i < n; i++)
        if (u256_mul(&p_d, &p_d, &balances[i]) || u256_mul_u64(&p_d, &p_d, (uint64_t)n) ||
            u256_div(&p_d, &p_d, d) || u256_add(&sum, &sum, &balances[i]))
            return QUOTE_OVERFLOW;
    u256_sub(&sum, &sum, &balances[index]);
    if (u256_mul(&d_squared, d, d) || u256_mul(&c, ann, &p_d) || u256_div_up(&c, &d_squared, &c) ||
        u256_mul_u64(&c, &c, STABLE_AMP_PRECISION) || u256_mul(&c, &c, &balances[index]) ||
        u256_div(&b, d, ann) || u256_mul_u64(&b, &b, STABLE_AMP_PRECISION) ||
        u256_add(&b, &b, &sum))
        return QUOTE_OVERFLOW;
    if (u256_add(&above, &d_squared, &c) || u256_add(&below, d, &b) ||
        u256_div_up(y, &above, &below))
        return QUOTE_OVERFLOW;
    for (int step = 0; step < STABLE_MAX_ITERATIONS; step++) {
        last = *y;
        if (u256_mul(&above, y, y) || u256_add(&above, &above, &c) ||
            u256_mul_u64(&below, y, 2) || u256_add(&below, &below, &b) ||
            u256_sub(&below, &below, d) || u256_div_up(y, &above, &below))
            return QUOTE_OVERFLOW;
        if (stable_close(y, &last))
            return QUOTE_OK;
    }
    return QUOTE_OVERFLOW;
}

/* _calcOutGivenIn for balances without the pool's own token; moves balances[i]. */
static inline int stable_out_given_in(u256 *amount_out, const u256 *ann, u256 *balances, int n,
                                      int i, int j, const u256 *amount_in, const u256 *d)
{
    u256 final_balance;
    if (u256_add(&balances[i], &balances[i], amount_in))
        return QUOTE_OVERFLOW;
    int status = stable_token_balance(&final_balance, ann, balances, n, d, j);
    if (status)
        return status;
    if (u256_sub(amount_out, &balances[j], &final_balance) ||
        u256_sub_u64(amount_out, amount_out, 1))
        return QUOTE_NO_OUTPUT; /* BAL#001 */
    return QUOTE_OK;
}

/* _calcInGivenOut, likewise; moves balances[j]. */
static inline int stable_in_given_out(u256 *amount_in, const u256 *ann, u256 *balances, int n,
                                      int i, int j, const u256 *amount_out, const u256 *d)
{
    u256 final_balance;
    if (u256_sub(&balances[j], &balances[j], amount_out))
        return QUOTE_NO_LIQUIDITY; /* BAL#001 */
    int status = stable_token_balance(&final_balance, ann, balances, n, d, i);
    if (status)
        return status;
    if (u256_sub(amount_in, &final_balance, &balances[i]))
        return QUOTE_NO_OUTPUT; /* BAL#001 */
    return u256_add_u64(amount_in, amount_in, 1) ? QUOTE_OVERFLOW : QUOTE_OK;
}

#endif
