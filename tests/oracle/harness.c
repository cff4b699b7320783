/* The header functions as one table, for tests that call them through ctypes. */
#include "solidly_math.h"
#include "crypto_math.h"
#include "s256.h"
#include "sqrt_price_math.h"
#include "stableswap_math.h"
#include "tick_math.h"
#include "u256.h"

enum op {
    OP_ADD, OP_SUB, OP_ADD_U64, OP_SUB_U64, OP_SHL, OP_SHR, OP_OR, OP_AND, OP_MUL, OP_MUL_U64,
    OP_MUL_FULL, OP_U128_MUL_FULL, OP_DIVMOD, OP_DIV, OP_DIV_UP, OP_MUL_DIV, OP_MUL_DIV_UP, OP_ISQRT,
    OP_CMP, OP_EQ, OP_LT, OP_IS_ZERO, OP_BIT_LENGTH, OP_FITS_U64, OP_FITS_U128, OP_BE, OP_U128,
    OP_U128_ADD_I128, OP_I128_ADD, OP_NEXT_PRICE_0, OP_NEXT_PRICE_1, OP_AMOUNT_0, OP_AMOUNT_1,
    OP_LESS_FEE, OP_WITH_FEE, OP_DIV_WAD, OP_MUL_WRAP, OP_MUL_WAD, OP_TIMES_WAD, OP_SCALE,
    OP_DIVIDE_512, OP_U128_MUL_DIV, OP_U64_STEP, OP_U128_TO_DOUBLE, OP_U128_NEAR_DOUBLE
};

/* r has two numbers; a status, carry, truth or count is the answer. A flag of -1 makes r and x one. */
int apply(int op, u256 *r, const u256 *x, const u256 *y, const u256 *d, int flag)
{
    uint8_t bytes[32];
    u512 wide;
    u128 narrow = u256_lo128(x);
    i128 signed_narrow = (i128)narrow;
    double number;
    int answer;
    if (flag == -1) {
        *r = *x;
        x = r;
    }
    switch (op) {
    case OP_ADD: return u256_add(r, x, y);
    case OP_SUB: return u256_sub(r, x, y);
    case OP_ADD_U64: return u256_add_u64(r, x, u256_lo64(y));
    case OP_SUB_U64: return u256_sub_u64(r, x, u256_lo64(y));
    case OP_SHL: u256_shl(r, x, (unsigned)flag); return 0;
    case OP_SHR: u256_shr(r, x, (unsigned)flag); return 0;
    case OP_OR: u256_or(r, x, y); return 0;
    case OP_AND: u256_and(r, x, y); return 0;
    case OP_MUL: return u256_mul(r, x, y);
    case OP_MUL_U64: return u256_mul_u64(r, x, u256_lo64(y));
    case OP_MUL_FULL: u256_mul_full(&wide, x, y); memcpy(r, &wide, sizeof wide); return 0;
    case OP_U128_MUL_FULL: u128_mul_full(r, u256_lo128(x), u256_lo128(y)); return 0;
    case OP_DIVMOD: return u256_divmod(r, r + 1, x, d);
    case OP_DIV: return u256_div(r, x, d);
    case OP_DIV_UP: return u256_div_up(r, x, d);
    case OP_MUL_DIV: return u256_mul_div(r, x, y, d);
    case OP_MUL_DIV_UP: return u256_mul_div_up(r, x, y, d);
    case OP_ISQRT: u256_isqrt(r, x); return 0;
    case OP_CMP: return u256_cmp(x, y);
    case OP_EQ: return u256_eq(x, y);
    case OP_LT: return u256_lt(x, y);
    case OP_IS_ZERO: return u256_is_zero(x);
    case OP_BIT_LENGTH: return u256_bit_length(x);
    case OP_FITS_U64: return u256_fits_u64(x);
    case OP_FITS_U128: return u256_fits_u128(x);
    case OP_BE: u256_to_be(bytes, x); memcpy(r + 1, bytes, 32); u256_from_be(r, bytes); return 0;
    case OP_U128: u256_from_u128(r, u128_make(u128_hi(narrow), u128_lo(narrow))); return 0;
    case OP_U128_ADD_I128:
        answer = u128_add_i128(&narrow, narrow, (i128)u256_lo128(y));
        u256_from_u128(r, narrow);
        return answer;
    case OP_I128_ADD:
        answer = i128_add(&signed_narrow, signed_narrow, (i128)u256_lo128(y));
        u256_from_u128(r, (u128)signed_narrow);
        return answer;
    case OP_NEXT_PRICE_0: return get_next_sqrt_price_from_amount0(r, x, u256_lo128(y), d, flag);
    case OP_NEXT_PRICE_1: return get_next_sqrt_price_from_amount1(r, x, u256_lo128(y), d, flag);
    case OP_AMOUNT_0: return get_amount0_delta(r, x, y, u256_lo128(d), flag);
    case OP_AMOUNT_1: get_amount1_delta(r, x, y, u256_lo128(d), flag); return 0;
    case OP_LESS_FEE: u256_from_u128(r, amount_less_fee(narrow, (uint32_t)flag)); return 0;
    case OP_WITH_FEE: u256_from_u128(r, amount_with_fee(narrow, (uint32_t)flag)); return 0;
    case OP_DIV_WAD: u256_div_wad(r, x); return 0;
    case OP_MUL_WRAP: return u256_mul_wrap(r, x, y);
    case OP_MUL_WAD: return u256_mul_wad(r, x, y);
    case OP_TIMES_WAD: return u256_times_wad(r, x);
    case OP_SCALE: return solidly_scale(r, x, y);
    case OP_DIVIDE_512: /* (y, x) / d */
        memcpy(wide.w, x, sizeof *x);
        memcpy(wide.w + 4, y, sizeof *y);
        return u256_divide_512(r, &wide, d);
    case OP_U128_MUL_DIV:
        u256_from_u128(r, u128_mul_div(&answer, narrow, u256_lo128(y), u256_lo128(d)));
        return answer;
    case OP_U64_STEP: /* (x, y) / d */
        r[1].w[0] = x->w[0];
        r->w[0] = u64_divide_step(&r[1].w[0], y->w[0], d->w[0], u64_reciprocal(d->w[0]));
        return 0;
    case OP_U128_TO_DOUBLE: number = u128_to_double(narrow); memcpy(r, &number, 8); return 0;
    case OP_U128_NEAR_DOUBLE: number = u128_near_double(narrow); memcpy(r, &number, 8); return 0;
    default: return -99;
    }
}

/* r: price after, amount in, amount out, fee amount. */
int step(u256 r[4], const u256 *price, const u256 *target, const u256 *liquidity,
         const u256 *remaining, uint32_t fee_pips, int exact_in)
{
    swap_step taken = {0};
    int status = compute_swap_step(&taken, price, target, u256_lo128(liquidity), remaining, fee_pips, exact_in);
    r[0] = taken.price;
    r[1] = taken.amount_in;
    r[2] = taken.amount_out;
    r[3] = taken.fee_amount;
    return status;
}

/* r: where get_y's steps rest, by the short way and step by step. 1 where the short way is sure, and
 * the status of the long one times 2. */
int stable_y(u256 r[2], const u256 *c, const u256 *b, const u256 *d)
{
    int sure = stable_rest_of_y(&r[0], c, b, d);
    return sure + 2 * stable_newton_y(&r[1], c, b, d, 1);
}

enum wide_op {
    WIDE_W_MUL, WIDE_W_NEG, WIDE_UW_DIV, WIDE_SW_DIV, WIDE_U_ADD, WIDE_U_SUB, WIDE_U_MUL, WIDE_U_DIV,
    WIDE_S_ADD, WIDE_S_SUB, WIDE_S_MUL, WIDE_S_DIV, WIDE_S_NEG, WIDE_S_ABS, WIDE_S_CONVERT,
    WIDE_S_CMP, WIDE_CBRT, WIDE_UNWAD, WIDE_UNWAD_SIGNED
};

/* s256.h and the roots of crypto_math.h: the result in r, whether the contract would revert. */
int wide(int op, u256 *r, const u256 *x, const u256 *y)
{
    int bad = 0;
    switch (op) {
    case WIDE_W_MUL: *r = w_mul(*x, *y); break;
    case WIDE_W_NEG: *r = w_neg(*x); break;
    case WIDE_UW_DIV: *r = uw_div(*x, *y); break;
    case WIDE_SW_DIV: *r = sw_div(*x, *y); break;
    case WIDE_U_ADD: *r = u_add(*x, *y, &bad); break;
    case WIDE_U_SUB: *r = u_sub(*x, *y, &bad); break;
    case WIDE_U_MUL: *r = u_mul(*x, *y, &bad); break;
    case WIDE_U_DIV: *r = u_div(*x, *y, &bad); break;
    case WIDE_S_ADD: *r = s_add(*x, *y, &bad); break;
    case WIDE_S_SUB: *r = s_sub(*x, *y, &bad); break;
    case WIDE_S_MUL: *r = s_mul(*x, *y, &bad); break;
    case WIDE_S_DIV: *r = s_div(*x, *y, &bad); break;
    case WIDE_S_NEG: *r = s_neg(*x, &bad); break;
    case WIDE_S_ABS: *r = s_abs(*x, &bad); break;
    case WIDE_S_CONVERT: *r = s_convert(*x, &bad); break;
    case WIDE_S_CMP: return s_cmp(*x, *y);
    case WIDE_CBRT: *r = crypto_cbrt(*x); break;
    case WIDE_UNWAD: *r = crypto_unwad(*x); break;
    case WIDE_UNWAD_SIGNED: *r = crypto_unwad_signed(*x); break;
    default: return -99;
    }
    return bad;
}
