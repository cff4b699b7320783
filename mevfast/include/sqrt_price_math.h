/* Uniswap V3 SqrtPriceMath and SwapMath (v3-core libraries), bit for bit, reverts included.
 *
 * Prices are sqrt(token1 / token0) * 2**96 in 160 bits, liquidity is in 128 bits. A non-zero
 * u256_status stands where the contract reverts; results are then undefined.
 */
#ifndef MEVFAST_SQRT_PRICE_MATH_H
#define MEVFAST_SQRT_PRICE_MATH_H

#include "u256.h"

#define FEE_DENOMINATOR 1000000

/* r = ceil or floor of x / 2**96, over a product of at most 128 + 160 bits. */
static inline void sqrt_price_mul_shift(u256 *r, const u256 *x, const u256 *y, int round_up)
{
    u512 product;
    u256_mul_full(&product, x, y);
    int more = round_up && (product.w[0] | (product.w[1] & UINT32_MAX)) != 0;
    for (int i = 0; i < 4; i++)
        r->w[i] = product.w[i + 1] >> 32 | product.w[i + 2] << 32;
    u256_add_u64(r, r, (uint64_t)more);
}

/* getAmount0Delta: token0 between two prices, 0 < low <= high. */
static inline int get_amount0_delta(u256 *r, const u256 *low, const u256 *high,
                                    const u256 *liquidity, int round_up)
{
    u256 scaled, width;
    u256_shl(&scaled, liquidity, 96);
    u256_sub(&width, high, low);
    int status = round_up ? u256_mul_div_up(r, &scaled, &width, high)
                          : u256_mul_div(r, &scaled, &width, high);
    if (status != U256_OK)
        return status;
    return round_up ? u256_div_up(r, r, low) : u256_div(r, r, low);
}

/* getAmount1Delta: token1 between two prices, low <= high. */
static inline void get_amount1_delta(u256 *r, const u256 *low, const u256 *high,
                                     const u256 *liquidity, int round_up)
{
    u256 width;
    u256_sub(&width, high, low);
    sqrt_price_mul_shift(r, liquidity, &width, round_up);
}

/* getNextSqrtPriceFromAmount0RoundingUp. Needs liquidity > 0. */
static inline int get_next_sqrt_price_from_amount0(u256 *r, const u256 *price,
                                                   const u256 *liquidity, const u256 *amount,
                                                   int add)
{
    u256 scaled, product, denominator;
    if (u256_is_zero(amount)) {
        *r = *price;
        return U256_OK;
    }
    u256_shl(&scaled, liquidity, 96);
    int wraps = u256_mul(&product, amount, price) != U256_OK;
    if (!add) {
        if (wraps || !u256_lt(&product, &scaled))
            return U256_OVERFLOW;
        u256_sub(&denominator, &scaled, &product);
    } else if (wraps || u256_add(&denominator, &scaled, &product)) {
        /* The contract's way out of an overflow, less precise by design. */
        u256_div(&denominator, &scaled, price);
        if (u256_add(&denominator, &denominator, amount))
            return U256_OVERFLOW;
        return u256_div_up(r, &scaled, &denominator);
    }
    int status = u256_mul_div_up(r, &scaled, price, &denominator);
    if (status == U256_OK && u256_bit_length(r) > 160)
        return U256_OVERFLOW;
    return status;
}

/* getNextSqrtPriceFromAmount1RoundingDown. Needs liquidity > 0. */
static inline int get_next_sqrt_price_from_amount1(u256 *r, const u256 *price,
                                                   const u256 *liquidity, const u256 *amount,
                                                   int add)
{
    const u256 q96 = {{0, UINT64_C(1) << 32, 0, 0}};
    u256 change;
    int status = add ? u256_mul_div(&change, amount, &q96, liquidity)
                     : u256_mul_div_up(&change, amount, &q96, liquidity);
    if (status != U256_OK)
        return status;
    if (!add) {
        if (!u256_lt(&change, price))
            return U256_OVERFLOW;
        u256_sub(r, price, &change);
        return U256_OK;
    }
    if (u256_add(r, price, &change) || u256_bit_length(r) > 160)
        return U256_OVERFLOW;
    return U256_OK;
}

/* One stretch of a swap in which liquidity is constant. */
typedef struct {
    u256 price;       /* where it ends */
    u256 amount_in;   /* without the fee */
    u256 amount_out;
    u256 fee_amount;
} swap_step;

/* computeSwapStep: from price towards target with what remains of the specified amount. The
 * direction is that of target: below price is token0 in. A fee of FEE_DENOMINATOR is Uniswap V4's, exact in only: it takes all. */
static inline int compute_swap_step(swap_step *step, const u256 *price, const u256 *target,
                                    const u256 *liquidity, const u256 *remaining,
                                    uint32_t fee_pips, int exact_in)
{
    const int zero_for_one = !u256_lt(price, target);
    const u256 *bound = target;
    u256 usable = *remaining, full;
    int status;

    if (exact_in) {
        const u256 kept = {{FEE_DENOMINATOR - fee_pips, 0, 0, 0}};
        const u256 whole = {{FEE_DENOMINATOR, 0, 0, 0}};
        u256_mul_div(&usable, remaining, &kept, &whole);
    }
    /* What the whole stretch takes (exact in) or gives (exact out). */
    if (exact_in == zero_for_one) {
        status = get_amount0_delta(&full, zero_for_one ? target : price,
                                   zero_for_one ? price : target, liquidity, exact_in);
        if (status != U256_OK)
            return status;
    } else {
        get_amount1_delta(&full, zero_for_one ? target : price, zero_for_one ? price : target,
                          liquidity, exact_in);
    }
    step->price = *target;
    if (u256_lt(&usable, &full)) {
        status = exact_in == zero_for_one
                     ? get_next_sqrt_price_from_amount0(&step->price, price, liquidity, &usable,
                                                        exact_in)
                     : get_next_sqrt_price_from_amount1(&step->price, price, liquidity, &usable,
                                                        exact_in);
        if (status != U256_OK)
            return status;
        bound = &step->price;
    }
    const int reached = u256_eq(&step->price, target);
    const u256 *low = zero_for_one ? bound : price, *high = zero_for_one ? price : bound;
    u256 *amount0 = zero_for_one ? &step->amount_in : &step->amount_out;
    u256 *amount1 = zero_for_one ? &step->amount_out : &step->amount_in;
    if (reached && exact_in == zero_for_one) {
        *amount0 = full;
    } else {
        status = get_amount0_delta(amount0, low, high, liquidity, zero_for_one);
        if (status != U256_OK)
            return status;
    }
    if (reached && exact_in != zero_for_one)
        *amount1 = full;
    else
        get_amount1_delta(amount1, low, high, liquidity, !zero_for_one);

    if (!exact_in && u256_lt(remaining, &step->amount_out))
        step->amount_out = *remaining;
    if (exact_in && !reached)
        return u256_sub(&step->fee_amount, remaining, &step->amount_in) ? U256_OVERFLOW : U256_OK;
    if (fee_pips == FEE_DENOMINATOR) {
        step->fee_amount = step->amount_in; /* 0: nothing is left to pay it with */
        return U256_OK;
    }
    const u256 fee = {{fee_pips, 0, 0, 0}}, rest = {{FEE_DENOMINATOR - fee_pips, 0, 0, 0}};
    return u256_mul_div_up(&step->fee_amount, &step->amount_in, &fee, &rest);
}

#endif
