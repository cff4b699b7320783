/* Constant-product pairs one after another: the best input in closed form, and exact amounts.
 *
 * out(x) = N x / (D + C x) composes with the next pair's without a division (Wang et al., arXiv
 * 2105.02784). Products of four pairs' reserves stay below 2**448, and their product below 2**896.
 */
#ifndef MEVFAST_V2_CHAIN_H
#define MEVFAST_V2_CHAIN_H

#include <math.h>

#include "pool.h"
#include "v2_math.h"

enum { CYCLE_HOPS = 4 };

/* A swap's direction: indices into the pool's own tokens. */
typedef struct {
    uint8_t token_in, token_out;
} swap_way;

typedef struct {
    u128 reserve_in, reserve_out;
    uint64_t kept; /* of 1e6 of the input */
} v2_hop;

/* Fills hops: 1, or 0 where some pool is no V2 pair that swaps. */
static inline int v2_chain_load(v2_hop *hops, const pool_state **pools, const swap_way *ways,
                                uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const v2_state *s = &pools[i]->v2;
        if (pools[i]->kind != POOL_UNISWAP_V2)
            return 0;
        const int way = ways[i].token_in == 0;
        hops[i].reserve_in = way ? s->reserve0 : s->reserve1;
        hops[i].reserve_out = way ? s->reserve1 : s->reserve0;
        hops[i].kept = V2_PIPS - s->fee_pips;
        if (s->fee_pips >= V2_PIPS || s->reserve0 == 0 || s->reserve1 == 0 ||
            !u128_fits(s->reserve0 | s->reserve1, V2_RESERVE_BITS))
            return 0;
    }
    return 1;
}

/* The input up to `cap` at which out(x) - target * x is largest, 0 where it never pays; *most is
 * what no input pays more than, doubles' own errors included. */
static inline double v2_chain_best(const v2_hop *hops, uint32_t n, double target, const u256 *cap,
                                   double *most)
{
    const double limit = u256_fits_u128(cap) ? u128_to_double(u256_lo128(cap)) : INFINITY;
    double numerator = 1.0, denominator = 1.0, c = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        const double in = u128_near_double(hops[i].reserve_in);
        const double kept = (double)(int64_t)hops[i].kept * 1e-6;
        c = in * c + kept * numerator;
        denominator *= in;
        numerator *= kept * u128_near_double(hops[i].reserve_out);
    }
    const double r = sqrt(numerator), s = sqrt(target * denominator), lead = r - s;
    const double error = 0x1p-48 * r; /* two roundings an operation, of which a pair takes seven */
    *most = 0.0;
    if (!(lead + error > 0.0))
        return 0.0;
    double x = lead > 0.0 ? s * lead / (target * c) : 0.0;
    *most = (lead + error) * (lead + error) / c;
    if (x > limit) {
        x = limit;
        *most = x * (numerator / (denominator + c * x) * (1.0 + 0x1p-46) - target);
    }
    return x;
}

/* The integer below x, at least 1 and not more than `cap`; 0 where no pair takes as much. */
static inline u128 v2_chain_amount(double x, const u256 *cap)
{
    if (!(x < 0x1p112))
        return 0;
    const uint64_t hi = (uint64_t)(x * 0x1p-64);
    u128 amount = u128_make(hi, (uint64_t)(x - (double)hi * 0x1p64));
    if (u256_fits_u128(cap) && !(x < u128_to_double(u256_lo128(cap))))
        amount = u256_lo128(cap);
    return amount + (amount == 0);
}

/* What x brings at each pair, amounts[0..n]: 1, or 0 where a pair refuses. */
static inline int v2_chain_run(const v2_hop *hops, uint32_t n, u128 x, u256 *amounts)
{
    u256_from_u128(&amounts[0], x);
    for (uint32_t i = 0; i < n; i++) {
        if (x == 0 || !u128_fits(x, V2_RESERVE_BITS) ||
            !u128_fits(hops[i].reserve_in + x, V2_RESERVE_BITS))
            return 0;
        x = v2_amount_out(x, hops[i].reserve_in, hops[i].reserve_out, hops[i].kept);
        u256_from_u128(&amounts[i + 1], x);
    }
    return x != 0;
}

#endif
