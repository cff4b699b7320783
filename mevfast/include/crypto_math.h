/* What the CryptoSwap maths of 2 and of 3 coins share (CurveCryptoMathOptimized2 and 3).
 *
 * Everything is 1e18-based uint256 as in the contracts; what Vyper checks sets *bad, what it leaves
 * unsafe wraps (s256.h).
 */
#ifndef MEVFAST_CRYPTO_MATH_H
#define MEVFAST_CRYPTO_MATH_H

#include "pool.h"
#include "s256.h"

enum {
    CRYPTO_A_MULTIPLIER = 10000,
    CRYPTO_MAX_STEPS = 255,   /* Newton's, before the contract gives up */
    CRYPTO_CBRT_STEPS = 7
};

#define CRYPTO_WAD UINT64_C(1000000000000000000)

/* 10**0, 10**2, ... 10**48. */
static const u256 CRYPTO_TENS[25] = {
    {{1, 0, 0, 0}},
    {{100, 0, 0, 0}},
    {{10000, 0, 0, 0}},
    {{1000000, 0, 0, 0}},
    {{100000000, 0, 0, 0}},
    {{UINT64_C(10000000000), 0, 0, 0}},
    {{UINT64_C(1000000000000), 0, 0, 0}},
    {{UINT64_C(100000000000000), 0, 0, 0}},
    {{UINT64_C(10000000000000000), 0, 0, 0}},
    {{UINT64_C(1000000000000000000), 0, 0, 0}},
    {{UINT64_C(7766279631452241920), 5, 0, 0}},
    {{UINT64_C(1864712049423024128), 542, 0, 0}},
    {{UINT64_C(2003764205206896640), 54210, 0, 0}},
    {{UINT64_C(15908979783594147840), 5421010, 0, 0}},
    {{UINT64_C(4477988020393345024), 542101086, 0, 0}},
    {{UINT64_C(5076944270305263616), UINT64_C(54210108624), 0, 0}},
    {{UINT64_C(9632337040368467968), UINT64_C(5421010862427), 0, 0}},
    {{UINT64_C(4003012203950112768), UINT64_C(542101086242752), 0, 0}},
    {{UINT64_C(12919594847110692864), UINT64_C(54210108624275221), 0, 0}},
    {{UINT64_C(687399551400673280), UINT64_C(5421010862427522170), 0, 0}},
    {{UINT64_C(13399722918938673152), UINT64_C(7145508105175220139), 29, 0}},
    {{UINT64_C(11806718586779598848), UINT64_C(13574535716559052564), 2938, 0}},
    {{UINT64_C(80237960548581376), UINT64_C(10841254275107988496), 293873, 0}},
    {{UINT64_C(8023796054858137600), UINT64_C(14214271235644855872), 29387358, 0}},
    {{UINT64_C(9169610316303040512), UINT64_C(1027829888850112811), UINT64_C(2938735877), 0}},
};

/* 10**n for an even n up to 48. */
static inline u256 crypto_ten(int n) { return CRYPTO_TENS[n / 2]; }
static inline u256 crypto_wad(void) { return u_lit(CRYPTO_WAD); }

/* x / 1e18, floor: the division made most often, by a constant's reciprocal. */
static inline u256 crypto_unwad(u256 x)
{
    const unsigned shift = 4; /* brings 1e18 to 64 bits */
    const uint64_t d = CRYPTO_WAD << shift, v = (uint64_t)(~(u128)0 / d);
    uint64_t rest = x.w[3] >> (64 - shift);
    for (int i = 3; i > 0; i--) {
        uint64_t word = x.w[i] << shift | x.w[i - 1] >> (64 - shift);
        if ((rest | word) != 0)
            word = u64_divide_step(&rest, word, d, v);
        x.w[i] = word;
    }
    x.w[0] = u64_divide_step(&rest, x.w[0] << shift, d, v);
    return x;
}

/* The same of an int256, towards zero. */
static inline u256 crypto_unwad_signed(u256 x)
{
    return s_negative(x) ? w_neg(crypto_unwad(w_neg(x))) : crypto_unwad(x);
}

/* Whether low <= x <= high. */
static inline int crypto_within(u256 x, u256 low, u256 high)
{
    return !u_less(x, low) && !u_less(high, x);
}

/* Whether low <= x * 1e18 / d <= high, by products. Needs x and d below 2**128, high below
 * 2**120. */
static inline int crypto_frac_within(u256 x, u256 d, u256 low, u256 high)
{
    u256 scaled = w_mul(x, crypto_wad());
    return !u_less(scaled, w_mul(low, d)) && u_less(scaled, w_mul(w_add(high, u_lit(1)), d));
}

/* Whether the invariant is one that get_y and get_p accept. */
static inline int crypto_d_is_safe(u256 d)
{
    const u256 most = {{UINT64_C(4089650035136921600), UINT64_C(54210108624275), 0, 0}}; /* 1e33 */
    return crypto_within(d, u_lit(CRYPTO_WAD / 10), most);
}

/* The contract's Newton steps towards cbrt(x), from 2**(log2 / 3) * 1.26**(log2 % 3). */
static inline u128 crypto_cbrt_steps(u256 x)
{
    static const uint64_t guess[3][2] = {{1, 1}, {1260, 1000}, {1587600, 1000000}};
    int log2 = u256_is_zero(&x) ? 0 : u256_bit_length(&x) - 1;
    u128 a = ((u128)1 << log2 / 3) * guess[log2 % 3][0] / guess[log2 % 3][1];
    for (int i = 0; i < CRYPTO_CBRT_STEPS; i++) {
        u256 square, next;
        u128_mul_full(&square, a, a);
        next = uw_div(x, square);
        a = (2 * a + u256_lo128(&next)) / 3; /* a < 2**87: the quotient fits 128 bits */
    }
    return a;
}

/* floor(cbrt(x)) for 1e36 <= x. From the exponent's third 4 steps reach 52 bits and one more the
 * root's 86, but for a unit. */
static inline u128 crypto_cbrt_floor(u256 x)
{
    double value = u256_to_double(&x), near;
    uint64_t bits;
    u256 square, cube, next;
    memcpy(&bits, &value, sizeof bits);
    bits = bits / 3 + UINT64_C(0x2a9f789300000000); /* 2/3 of the exponent's bias: 4 % off */
    memcpy(&near, &bits, sizeof near);
    for (int i = 0; i < 4; i++)
        near = (2 * near + value / (near * near)) / 3;
    u128 r = (u128)near;
    u128_mul_full(&square, r, r);
    next = uw_div(x, square);
    r = (2 * r + u256_lo128(&next)) / 3;
    u128_mul_full(&square, r, r);
    u256_from_u128(&next, r);
    if (u256_mul(&cube, &square, &next) || u256_lt(&x, &cube))
        r--;
    return r;
}

/* _cbrt of the contract: 7 Newton steps on x scaled up by 1e36 or less.
 *
 * They end on the floor r of the root. Relative errors shrink 0.21, 0.059, 3.2e-3, 1e-5, 1e-10,
 * 1e-20, 1e-40, so that the sixth value is r or, just below the next cube, r + 1, which the seventh
 * step corrects; and r stays r where x / r**2 < r + 3. Beyond, just below the next cube, the steps
 * alternate between r and r + 1 and are taken as they are. */
static inline u256 crypto_cbrt(u256 x)
{
    /* 2**256 / 1e36, and the same times 1e18: below, x * 1e36 or x * 1e18 fits */
    const u256 big = {{UINT64_C(14562287877669245909), UINT64_C(5208750325433214395), 340, 0}};
    const u256 bigger = {{UINT64_C(5572127419897479168), UINT64_C(6910287421937809894),
                          UINT64_C(8240973594166534375), 18}};
    u256 scaled, square, top;
    u128 r = 0;
    if (u256_is_zero(&x))
        return x;
    int drop = u_less(x, big) ? 0 : u_less(x, bigger) ? 6 : 12; /* decimals of the root */
    scaled = w_mul(x, crypto_ten(36 - 3 * drop));
    r = crypto_cbrt_floor(scaled);
    u128_mul_full(&square, r, r);
    u256_from_u128(&top, r + 3);
    if (u256_mul(&top, &top, &square) == U256_OK && !u256_lt(&scaled, &top))
        r = crypto_cbrt_steps(scaled);
    u256_from_u128(&x, r);
    return w_mul(x, crypto_ten(drop));
}

static inline u256 s_cbrt(u256 x, int *bad)
{
    u256 root = s_convert(crypto_cbrt(s_abs(x, bad)), bad);
    return s_negative(x) ? w_neg(root) : root;
}

/* |g + 1 - k0| + 1 for g = gamma, 1e18-based. */
static inline u256 crypto_g1k0(u256 gamma, u256 k0)
{
    u256 g1 = w_add(gamma, crypto_wad());
    return w_add(u_less(k0, g1) ? w_sub(g1, k0) : w_sub(k0, g1), u_lit(1));
}

/* 1e18 * d / gamma * g1k0 / gamma * g1k0 * A_MULTIPLIER / ann. */
static inline u256 crypto_mul1(u256 ann, u256 gamma, u256 d, u256 g1k0, int *bad)
{
    u256 r = u_div(u_mul(crypto_wad(), d, bad), gamma, bad);
    r = u_div(u_mul(r, g1k0, bad), gamma, bad);
    r = u_mul(u_mul(r, g1k0, bad), u_lit(CRYPTO_A_MULTIPLIER), bad);
    return u_div(r, ann, bad);
}

/* One step of _newton_y: *y for the balance of one coin, k0_i and s_i from the others. Returns
 * whether it was a full one: where the slope is negative the step only halves y. */
static inline int crypto_newton_y_step(u256 *y, u256 k0, u256 s, u256 ann, u256 gamma, u256 d,
                                       int *bad)
{
    u256 wad = crypto_wad(), half;
    u256 g1k0 = crypto_g1k0(gamma, k0);
    u256 mul1 = crypto_mul1(ann, gamma, d, g1k0, bad);
    u256 mul2 = u_add(wad, u_div(u_mul(u_lit(2 * CRYPTO_WAD), k0, bad), g1k0, bad), bad);
    u256 yfprime = u_add(u_add(u_mul(wad, *y, bad), u_mul(s, mul2, bad), bad), mul1, bad);
    u256 dyfprime = u_mul(d, mul2, bad);
    u256_shr(&half, y, 1);
    if (u_less(yfprime, dyfprime)) {
        *y = half;
        return 0;
    }
    yfprime = w_sub(yfprime, dyfprime);
    u256 fprime = u_div(yfprime, *y, bad);
    u256 minus = u_div(mul1, fprime, bad);
    u256 plus = u_div(u_add(yfprime, u_mul(wad, d, bad), bad), fprime, bad);
    plus = u_add(plus, u_div(u_mul(minus, wad, bad), k0, bad), bad);
    minus = u_add(minus, u_div(u_mul(wad, s, bad), fprime, bad), bad);
    *y = u_less(plus, minus) ? half : w_sub(plus, minus);
    return 1;
}

/* |x - y|. */
static inline u256 crypto_distance(u256 x, u256 y)
{
    return u_less(x, y) ? w_sub(y, x) : w_sub(x, y);
}

static inline u256 crypto_larger(u256 x, u256 y) { return u_less(x, y) ? y : x; }

/* The limit below which a step of _newton_y has converged: max(high / 1e14, d / 1e14, 100). */
static inline u256 crypto_y_limit(u256 high, u256 d)
{
    return crypto_larger(uw_div(crypto_larger(high, d), crypto_ten(14)), u_lit(100));
}

static inline int crypto_y_converged(u256 y, u256 before, u256 limit)
{
    return u_less(crypto_distance(y, before), crypto_larger(limit, uw_div(y, crypto_ten(14))));
}

/* The fee at the scaled balances x, 1e-10: mid_fee where they are balanced, out_fee far from it. */
static inline u256 crypto_fee(const crypto_state *s, const u256 *x, int *bad)
{
    int n = s->n_tokens;
    u256 wad = crypto_wad(), coins = u_lit((uint64_t)n), sum = x[0], f, kept;
    for (int k = 1; k < n; k++)
        sum = u_add(sum, x[k], bad);
    /* f = prod(x) / (sum(x) / N)**N; the contracts of 2 and 3 coins round alike after coin 0 */
    f = u_div(u_mul(u_lit(n == 2 ? 4 * CRYPTO_WAD : 3 * CRYPTO_WAD), x[0], bad), sum, bad);
    for (int k = 1; k < n; k++)
        f = uw_div(u_mul(n == 2 ? f : u_mul(f, coins, bad), x[k], bad), sum);
    if (n == 2 || !u256_is_zero(&s->fee_gamma)) {
        kept = u_sub(u_add(s->fee_gamma, wad, bad), f, bad);
        f = u_div(u_mul(s->fee_gamma, wad, bad), kept, bad);
    }
    kept = u_mul(s->out_fee, u_sub(wad, f, bad), bad);
    return crypto_unwad(u_add(u_mul(s->mid_fee, f, bad), kept, bad));
}

#endif
