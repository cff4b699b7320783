/* Uniswap V3 SqrtPriceMath and SwapMath (v3-core libraries), bit for bit, reverts included.
 *
 * Prices are sqrt(token1 / token0) * 2**96 in 160 bits, liquidity is in 128 bits. A non-zero
 * u256_status stands where the contract reverts; results are then undefined.
 */
#ifndef MEVFAST_SQRT_PRICE_MATH_H
#define MEVFAST_SQRT_PRICE_MATH_H

#include "u256.h"

#define FEE_DENOMINATOR 1000000

/* r = x * 2**96. */
static inline void u256_from_u128_x96(u256 *r, u128 x)
{
    uint64_t low = (uint64_t)x, high = (uint64_t)(x >> 64);
    r->w[0] = 0;
    r->w[1] = low << 32;
    r->w[2] = high << 32 | low >> 32;
    r->w[3] = high >> 32;
}

/* product = liquidity * price, 288 bits in five words. */
static inline void mul_price(uint64_t product[5], u128 liquidity, const u256 *price)
{
    u256 lower;
    u128_mul_full(&lower, liquidity, u256_lo128(price));
    u128 upper = u256_hi128(&lower);
    product[4] = 0;
    if (price->w[2] != 0) {
        u128 low = (u128)(uint64_t)liquidity * price->w[2];
        u128 high = (u128)(uint64_t)(liquidity >> 64) * price->w[2] + (uint64_t)(low >> 64);
        product[4] = (uint64_t)(high >> 64);
        product[4] += (uint64_t)__builtin_add_overflow(upper, high << 64 | (uint64_t)low, &upper);
    }
    product[0] = lower.w[0];
    product[1] = lower.w[1];
    product[2] = (uint64_t)upper;
    product[3] = (uint64_t)(upper >> 64);
}

static U256_NOINLINE int divide_384(u256 *quotient, const uint64_t num[6], const u256 *d)
{
    return u256_divide_words(quotient, num, 6, d);
}

/* r = liquidity * 2**96 * price / d, floor or rounded up; 0, or U256_OVERFLOW. Needs d > 0. */
static inline int mul_x96_div(u256 *r, u128 liquidity, const u256 *price, const u256 *d,
                              int round_up)
{
    uint64_t product[5], num[6];
    mul_price(product, liquidity, price);
    num[0] = 0;
    num[1] = product[0] << 32;
    for (int i = 1; i < 5; i++)
        num[i + 1] = product[i] << 32 | product[i - 1] >> 32;
    if (u256_fits_u128(d) && u128_make(num[5], num[4]) >= u256_lo128(d))
        return U256_OVERFLOW;
    int left = divide_384(r, num, d);
    return round_up && u256_add_u64(r, r, (uint64_t)left) ? U256_OVERFLOW : U256_OK;
}

/* floor(amount * (1 - fee)): what of an input is swapped, fee_pips < FEE_DENOMINATOR. Numerator
 * and denominator are shifted until the top bit of the latter, a constant, is set. */
static inline u128 amount_less_fee(u128 amount, uint32_t fee_pips)
{
    const unsigned shift = 44;
    const uint64_t whole = (uint64_t)FEE_DENOMINATOR << shift;
    const uint64_t reciprocal = (uint64_t)(~(u128)0 / whole); /* less 2**64 */
    const uint64_t kept = FEE_DENOMINATOR - fee_pips;
    u128 low = (u128)(uint64_t)amount * kept;
    u128 high = (u128)(uint64_t)(amount >> 64) * kept + (uint64_t)(low >> 64);
    uint64_t top = (uint64_t)(high >> 64) << shift | (uint64_t)high >> (64 - shift);
    uint64_t middle = (uint64_t)high << shift | (uint64_t)low >> (64 - shift);
    uint64_t above = u64_divide_step(&top, middle, whole, reciprocal);
    return u128_make(above, u64_divide_step(&top, (uint64_t)low << shift, whole, reciprocal));
}

/* amount + fee_on_top(amount): ceil(amount / (1 - fee)), fee_pips < FEE_DENOMINATOR. Needs it to be
 * below 2**128. */
static inline u128 amount_with_fee(u128 amount, uint32_t fee_pips)
{
    const uint64_t kept = FEE_DENOMINATOR - fee_pips;
    u128 low = (u128)(uint64_t)amount * FEE_DENOMINATOR;
    u128 high = (u128)(uint64_t)(amount >> 64) * FEE_DENOMINATOR + (uint64_t)(low >> 64);
    uint64_t rest = (uint64_t)(high >> 64);
    if (rest >= kept)
        return ~(u128)0; /* not below 2**128 */
    uint64_t upper = u64_divmod_2by1(&rest, rest, (uint64_t)high, kept);
    uint64_t lower = u64_divmod_2by1(&rest, rest, (uint64_t)low, kept);
    return u128_make(upper, lower) + (rest != 0);
}

/* getAmount0Delta: token0 between two prices, 0 < low <= high. The contract divides by one price,
 * then by the other, rounding the same way; one division by their product comes to the same. */
static inline int get_amount0_delta(u256 *r, const u256 *low, const u256 *high, u128 liquidity,
                                    int round_up)
{
    u256 width, product;
    u256_sub(&width, high, low);
    if (u256_mul(&product, low, high) == U256_OK)
        return mul_x96_div(r, liquidity, &width, &product, round_up);
    int status = mul_x96_div(r, liquidity, &width, high, round_up);
    if (status != U256_OK)
        return status;
    return round_up ? u256_div_up(r, r, low) : u256_div(r, r, low);
}

/* getAmount1Delta: token1 between two prices, low <= high < 2**160. */
static inline void get_amount1_delta(u256 *r, const u256 *low, const u256 *high, u128 liquidity,
                                     int round_up)
{
    uint64_t product[5];
    u256 width;
    u256_sub(&width, high, low);
    mul_price(product, liquidity, &width);
    for (int i = 0; i < 3; i++)
        r->w[i] = product[i + 1] >> 32 | product[i + 2] << 32;
    r->w[3] = product[4] >> 32;
    if (round_up)
        u256_add_u64(r, r, (product[0] | (product[1] & UINT32_MAX)) != 0);
}

/* getNextSqrtPriceFromAmount0RoundingUp. Needs liquidity > 0. */
static inline int get_next_sqrt_price_from_amount0(u256 *r, const u256 *price, u128 liquidity,
                                                   const u256 *amount, int add)
{
    u256 scaled, product, denominator;
    if (u256_is_zero(amount)) {
        *r = *price;
        return U256_OK;
    }
    u256_from_u128_x96(&scaled, liquidity);
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
    int status = mul_x96_div(r, liquidity, price, &denominator, 1);
    if (!add && status == U256_OK && u256_bit_length(r) > 160)
        return U256_OVERFLOW;
    return status;
}

/* getNextSqrtPriceFromAmount1RoundingDown. Needs liquidity > 0. */
static inline int get_next_sqrt_price_from_amount1(u256 *r, const u256 *price, u128 liquidity,
                                                   const u256 *amount, int add)
{
    const u256 q96 = {{0, UINT64_C(1) << 32, 0, 0}};
    u256 change, divisor;
    int status;
    u256_from_u128(&divisor, liquidity);
    if (u256_fits_u128(amount)) {
        u256_from_u128_x96(&change, u256_lo128(amount));
        status = add ? u256_div(&change, &change, &divisor) : u256_div_up(&change, &change, &divisor);
    } else {
        status = add ? u256_mul_div(&change, amount, &q96, &divisor)
                     : u256_mul_div_up(&change, amount, &q96, &divisor);
    }
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

/* Token0 or token1 between two prices, rounded up as an input or down as an output. */
static inline int get_amount_delta(u256 *r, const u256 *low, const u256 *high, u128 liquidity,
                                   int token, int round_up)
{
    if (token == 0)
        return get_amount0_delta(r, low, high, liquidity, round_up);
    get_amount1_delta(r, low, high, liquidity, round_up);
    return U256_OK;
}

/* getNextSqrtPriceFromInput (add) and getNextSqrtPriceFromOutput, by the token of the amount. */
static inline int get_next_sqrt_price(u256 *r, const u256 *price, u128 liquidity,
                                      const u256 *amount, int token, int add)
{
    return token == 0 ? get_next_sqrt_price_from_amount0(r, price, liquidity, amount, add)
                      : get_next_sqrt_price_from_amount1(r, price, liquidity, amount, add);
}

/* r = the fee on an input of which `amount` is swapped. A fee of FEE_DENOMINATOR leaves nothing to
 * be swapped, and amount is 0. */
static inline int fee_on_top(u256 *r, const u256 *amount, uint32_t fee_pips)
{
    const u256 fee = {{fee_pips, 0, 0, 0}}, rest = {{FEE_DENOMINATOR - fee_pips, 0, 0, 0}};
    if (fee_pips == FEE_DENOMINATOR) {
        *r = *amount;
        return U256_OK;
    }
    return u256_mul_div_up(r, amount, &fee, &rest);
}

/* One stretch of a swap in which liquidity is constant. */
typedef struct {
    u256 price;       /* where it ends */
    u256 amount_in;   /* without the fee */
    u256 amount_out;
    u256 fee_amount;
} swap_step;

/* computeSwapStep: from price towards target with what remains of the specified amount. The
 * direction is that of target: below price is token0 in. A fee of FEE_DENOMINATOR is Uniswap
 * V4's, exact in only: it takes all. */
static inline int compute_swap_step(swap_step *step, const u256 *price, const u256 *target,
                                    u128 liquidity, const u256 *remaining, uint32_t fee_pips,
                                    int exact_in)
{
    const int token_in = u256_lt(price, target), token = exact_in ? token_in : !token_in;
    const u256 *low = token_in ? price : target, *high = token_in ? target : price;
    u256 usable = *remaining, full;
    if (exact_in) {
        const u256 kept = {{FEE_DENOMINATOR - fee_pips, 0, 0, 0}};
        const u256 whole = {{FEE_DENOMINATOR, 0, 0, 0}};
        u256_mul_div(&usable, remaining, &kept, &whole);
    }
    /* What the whole stretch takes (exact in) or gives (exact out). */
    int status = get_amount_delta(&full, low, high, liquidity, token, exact_in);
    if (status != U256_OK)
        return status;
    step->price = *target;
    if (u256_lt(&usable, &full)) {
        status = get_next_sqrt_price(&step->price, price, liquidity, &usable, token, exact_in);
        if (status != U256_OK)
            return status;
    }
    const int reached = u256_eq(&step->price, target);
    u256 *amount = exact_in ? &step->amount_in : &step->amount_out;
    u256 *other = exact_in ? &step->amount_out : &step->amount_in;
    if (!reached) {
        low = token_in ? price : &step->price;
        high = token_in ? &step->price : price;
        status = get_amount_delta(&full, low, high, liquidity, token, exact_in);
        if (status != U256_OK)
            return status;
    }
    *amount = full;
    status = get_amount_delta(other, low, high, liquidity, !token, !exact_in);
    if (status != U256_OK)
        return status;
    if (!exact_in && u256_lt(remaining, &step->amount_out))
        step->amount_out = *remaining;
    if (exact_in && !reached)
        return u256_sub(&step->fee_amount, remaining, &step->amount_in) ? U256_OVERFLOW : U256_OK;
    return fee_on_top(&step->fee_amount, &step->amount_in, fee_pips);
}

#endif
