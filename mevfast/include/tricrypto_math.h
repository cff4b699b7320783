/* CurveCryptoMathOptimized3 v2.0.0: y from the analytic cubic, and D, of three coins.
 *
 * Functions return QUOTE_OK, QUOTE_NO_LIQUIDITY where a balance leaves the range that the contract
 * calls safe, or QUOTE_OVERFLOW for every other revert.
 */
#ifndef MEVFAST_TRICRYPTO_MATH_H
#define MEVFAST_TRICRYPTO_MATH_H

#include "crypto_math.h"

/* A * N**N * A_MULTIPLIER for A between 0.01 and 1000; gamma 1e18-based. */
#define TRICRYPTO_MIN_A UINT64_C(2700)
#define TRICRYPTO_MAX_A UINT64_C(270000000)
#define TRICRYPTO_MIN_GAMMA UINT64_C(10000000000)
#define TRICRYPTO_MAX_GAMMA UINT64_C(50000000000000000)

/* x and y of the contract's _sort, from high to low. */
static inline void tricrypto_sort(u256 x[3], const u256 unsorted[3])
{
    memcpy(x, unsorted, 3 * sizeof *x);
    for (int pass = 0; pass < 3; pass++) {
        int k = pass % 2; /* pairs 0-1, 1-2, 0-1 */
        if (u_less(x[k], x[k + 1])) {
            u256 lower = x[k];
            x[k] = x[k + 1];
            x[k + 1] = lower;
        }
    }
}

/* Whether 1e18 * x / d is within [1e16 - slack, 1e20]. Needs d below 2**128; x from there on is
 * refused, rightly where d is safe itself. */
static inline int tricrypto_is_safe(u256 x, u256 d, uint64_t slack)
{
    return u256_fits_u128(&x) &&
           crypto_frac_within(x, d, u_lit(10000000000000000 - slack), crypto_ten(20));
}

static inline u256 tricrypto_geometric_mean(const u256 x[3], int *bad)
{
    u256 product = crypto_unwad(u_mul(x[0], x[1], bad));
    product = crypto_unwad(u_mul(product, x[2], bad));
    return u256_is_zero(&product) ? product : crypto_cbrt(product);
}

/* _newton_y: where the cubic's discriminant is not positive. */
static inline int tricrypto_newton_y(u256 *r, u256 ann, u256 gamma, u256 high, u256 low, u256 d)
{
    int bad = 0;
    u256 three = u_lit(3), y = uw_div(d, three);
    u256 limit = crypto_y_limit(high, d), s_i = u_add(high, low, &bad);
    u256 k0_i = uw_div(u_mul(u_mul(crypto_wad(), high, &bad), three, &bad), d);
    k0_i = uw_div(u_mul(u_mul(k0_i, low, &bad), three, &bad), d);
    y = u_div(u_mul(y, d, &bad), u_mul(low, three, &bad), &bad);
    y = u_div(u_mul(y, d, &bad), u_mul(high, three, &bad), &bad);
    for (int i = 0; i < CRYPTO_MAX_STEPS && !bad; i++) {
        u256 before = y, k0 = uw_div(u_mul(u_mul(k0_i, y, &bad), three, &bad), d);
        int full = crypto_newton_y_step(&y, k0, u_add(s_i, y, &bad), ann, gamma, d, &bad);
        if (bad || !full || !crypto_y_converged(y, before, limit))
            continue;
        *r = y;
        return tricrypto_is_safe(y, d, 0) ? QUOTE_OK : QUOTE_NO_LIQUIDITY;
    }
    return QUOTE_OVERFLOW;
}

/* The coefficients of a K0**3 + b K0**2 + c K0 + d, before they are scaled down. */
typedef struct {
    u256 a, b, c, d;
} tricrypto_cubic;

static inline tricrypto_cubic tricrypto_coefficients(u256 ann, u256 gamma, u256 x_j, u256 x_k,
                                                     u256 d, int *bad)
{
    const u256 e36_27 = {{UINT64_C(5260992717151020525), UINT64_C(2007781800899082), 0, 0}};
    const u256 e36_9 = {{UINT64_C(15782978151453061575), UINT64_C(6023345402697246), 0, 0}};
    u256 gamma2 = w_mul(gamma, gamma), t;
    tricrypto_cubic q;

    q.a = e36_27;
    /* 1e36/9 + 2e18*gamma/27 - D**2/x_j*gamma**2*ANN/27**2/A_MULTIPLIER/x_k: nothing is negative,
     * and dividing in turn is dividing by the product */
    t = s_convert(u_mul(w_mul(uw_div(w_mul(d, d), x_j), gamma2), ann, bad), bad);
    t = uw_div(t, w_mul(u_lit(27 * 27 * CRYPTO_A_MULTIPLIER), x_k));
    q.b = w_add(e36_9, uw_div(w_mul(u_lit(2 * CRYPTO_WAD), gamma), u_lit(27)));
    q.b = s_sub(q.b, t, bad);
    /* 1e36/9 + gamma*(gamma + 4e18)/27 + gamma**2*(x_j + x_k - D)/D*ANN/27/A_MULTIPLIER */
    t = sw_div(s_mul(gamma2, w_sub(w_add(x_j, x_k), d), bad), d);
    t = sw_div(w_mul(t, ann), u_lit(27 * CRYPTO_A_MULTIPLIER));
    q.c = w_add(gamma, u_lit(4 * CRYPTO_WAD));
    q.c = w_add(e36_9, uw_div(w_mul(gamma, q.c), u_lit(27)));
    q.c = s_add(q.c, t, bad);
    /* (1e18 + gamma)**2/27 */
    t = w_add(crypto_wad(), gamma);
    q.d = uw_div(w_mul(t, t), u_lit(27));
    return q;
}

/* Brings the coefficients to where the products that follow fit 256 bits. */
static inline void tricrypto_scale(tricrypto_cubic *q, int *bad)
{
    u256 three_a = w_mul(u_lit(3), q->a), divider = u_lit(1), more;
    u256 d0 = s_abs(s_sub(s_div(s_mul(three_a, q->c, bad), q->b, bad), q->b, bad), bad);
    for (int power = 48; power >= 20; power -= 4)
        if (s_cmp(d0, crypto_ten(power)) > 0) {
            divider = crypto_ten(power - 18);
            break;
        }
    if (s_cmp(q->a, s_abs(q->b, bad)) > 0) { /* a > 0 */
        more = s_abs(sw_div(q->a, q->b), bad);
        q->a = sw_div(w_mul(q->a, more), divider);
        q->b = sw_div(s_mul(q->b, more, bad), divider);
        q->c = sw_div(s_mul(q->c, more, bad), divider);
        q->d = sw_div(s_mul(q->d, more, bad), divider);
    } else {
        more = s_abs(sw_div(q->b, q->a), bad);
        q->a = sw_div(s_div(q->a, more, bad), divider);
        q->b = sw_div(sw_div(q->b, more), divider);
        q->c = sw_div(sw_div(q->c, more), divider);
        q->d = sw_div(sw_div(q->d, more), divider);
    }
}

/* a * K0 by Cardano's formula; 0 where the discriminant is not positive and Newton must do. */
static inline int tricrypto_root(u256 *root, const tricrypto_cubic *q, int *bad)
{
    u256 a = q->a, b = q->b, t, half;
    u256 ac3 = s_mul(w_mul(u_lit(3), a), q->c, bad);
    u256 delta0 = s_sub(sw_div(ac3, b), b, bad);
    /* 9*a*c/b - 2*b - 27*a**2/b*d/b */
    u256 delta1 = s_sub(sw_div(s_mul(u_lit(3), ac3, bad), b), w_mul(u_lit(2), b), bad);
    t = sw_div(s_mul(u_lit(27), s_mul(a, a, bad), bad), b);
    delta1 = s_sub(delta1, sw_div(s_mul(t, q->d, bad), b), bad);
    /* delta1**2 + 4*delta0**2/b*delta0 */
    t = sw_div(s_mul(u_lit(4), s_mul(delta0, delta0, bad), bad), b);
    t = s_add(s_mul(delta1, delta1, bad), s_mul(t, delta0, bad), bad);
    if (*bad || !s_positive(t))
        return 0;
    u256_isqrt(&t, &t);
    u256 b_cbrt = s_cbrt(b, bad);
    if (s_positive(delta1))
        t = s_convert(s_add(delta1, t, bad), bad);
    else
        t = s_convert(s_neg(s_sub(delta1, t, bad), bad), bad);
    u256_shr(&half, &t, 1);
    t = crypto_cbrt(half);
    t = s_positive(delta1) ? s_convert(t, bad) : w_neg(s_convert(t, bad));
    u256 c1 = crypto_unwad(s_mul(b_cbrt, b_cbrt, bad));
    c1 = crypto_unwad_signed(s_mul(c1, t, bad));
    /* (b + b*delta0/C1 - C1)/3 */
    t = s_add(b, s_div(s_mul(b, delta0, bad), c1, bad), bad);
    *root = sw_div(s_sub(t, c1, bad), u_lit(3));
    return 1;
}

/* get_y: the balance of coin i at which the invariant is d, and K0, newton_D's hint (0: none). */
static inline int tricrypto_get_y(u256 *y, u256 *k0, u256 ann, u256 gamma, const u256 x[3], u256 d,
                                  int i)
{
    int bad = 0, j = i == 0, k = i == 2 ? 1 : 2;
    u256 root;
    if (!crypto_within(ann, u_lit(TRICRYPTO_MIN_A), u_lit(TRICRYPTO_MAX_A)) ||
        !crypto_within(gamma, u_lit(TRICRYPTO_MIN_GAMMA), u_lit(TRICRYPTO_MAX_GAMMA)) ||
        !crypto_d_is_safe(d))
        return QUOTE_OVERFLOW;
    if (!tricrypto_is_safe(x[j], d, 0) || !tricrypto_is_safe(x[k], d, 0))
        return QUOTE_NO_LIQUIDITY;
    tricrypto_cubic q = tricrypto_coefficients(ann, gamma, x[j], x[k], d, &bad);
    tricrypto_scale(&q, &bad);
    if (!tricrypto_root(&root, &q, &bad)) {
        int j_is_high = u_less(x[k], x[j]);
        *k0 = u_lit(0);
        return bad ? QUOTE_OVERFLOW
                   : tricrypto_newton_y(y, ann, gamma, x[j_is_high ? j : k],
                                        x[j_is_high ? k : j], d);
    }
    /* D*D/27/x_k*D/x_j*root/a; D and x fit 128 bits here */
    u256 t = s_convert(u_mul(uw_div(w_mul(d, d), w_mul(u_lit(27), x[k])), d, &bad), &bad);
    t = s_mul(uw_div(t, x[j]), root, &bad);
    *y = s_convert(sw_div(t, q.a), &bad);
    *k0 = s_convert(sw_div(s_mul(crypto_wad(), root, &bad), q.a), &bad);
    if (bad)
        return QUOTE_OVERFLOW;
    return tricrypto_is_safe(*y, d, 1) ? QUOTE_OK : QUOTE_NO_LIQUIDITY;
}

/* newton_D's first guess from K0: the cube root of 27 * x0 * x1 * x2 / K0. */
static inline u256 tricrypto_first_d(const u256 x[3], u256 sum, u256 k0_prev, int *bad)
{
    u256 scale = crypto_wad(), back = u_lit(1);
    if (u_less(crypto_ten(36), sum)) {
        scale = crypto_ten(36);
        back = crypto_ten(12);
    } else if (u_less(crypto_ten(24), sum)) {
        scale = crypto_ten(24);
        back = crypto_ten(6);
    }
    u256 t = u_mul(uw_div(u_mul(x[0], x[1], bad), scale), x[2], bad);
    t = u_mul(uw_div(t, k0_prev), u_lit(27), bad);
    return crypto_cbrt(u_mul(t, back, bad));
}

/* One step of newton_D; wraps where the contract does. x from high to low. */
static inline u256 tricrypto_d_step(u256 d, u256 ann, u256 gamma, const u256 x[3], u256 sum,
                                    int *bad)
{
    u256 wad = crypto_wad(), three = u_lit(3), k0 = wad, t;
    for (int k = 0; k < 3; k++) /* K0 = 1e18 * x0*3/D * x1*3/D * x2*3/D */
        k0 = uw_div(w_mul(w_mul(k0, x[k]), three), d);
    u256 g1k0 = crypto_g1k0(gamma, k0);
    /* 1e18 * D / gamma * g1k0 / gamma * g1k0 * A_MULTIPLIER / ANN */
    u256 mul1 = uw_div(w_mul(uw_div(w_mul(wad, d), gamma), g1k0), gamma);
    mul1 = uw_div(w_mul(w_mul(mul1, g1k0), u_lit(CRYPTO_A_MULTIPLIER)), ann);
    u256 mul2 = uw_div(w_mul(u_lit(6 * CRYPTO_WAD), k0), g1k0);
    /* S + S*mul2/1e18 + mul1*3/K0 - mul2*D/1e18 */
    u256 slope = w_add(sum, crypto_unwad(w_mul(sum, mul2)));
    slope = w_add(slope, uw_div(w_mul(mul1, three), k0));
    slope = w_sub(slope, crypto_unwad(w_mul(mul2, d)));

    u256 plus = uw_div(u_mul(d, w_add(slope, sum), bad), slope);
    u256 minus = uw_div(u_mul(d, d, bad), slope);
    t = crypto_unwad(u_mul(d, uw_div(mul1, slope), bad));
    if (u_less(k0, wad))
        minus = u_add(minus, uw_div(w_mul(t, w_sub(wad, k0)), k0), bad);
    else
        minus = u_sub(minus, uw_div(w_mul(t, w_sub(k0, wad)), k0), bad);
    if (u_less(minus, plus))
        return w_sub(plus, minus);
    t = w_sub(minus, plus);
    u256_shr(&t, &t, 1);
    return t;
}

/* newton_D's last check: all 1e18 * x / d within [1e16 - 1, 1e20], in wrapping arithmetic. */
static inline int tricrypto_all_safe(const u256 x[3], u256 d)
{
    for (int k = 0; k < 3; k++) {
        u256 frac;
        if (u256_fits_u128(&x[0]) && u256_fits_u128(&d)) {
            if (!tricrypto_is_safe(x[k], d, 1))
                return 0;
            continue;
        }
        frac = uw_div(w_mul(x[k], crypto_wad()), d);
        if (!crypto_within(frac, u_lit(10000000000000000 - 1), crypto_ten(20)))
            return 0;
    }
    return 1;
}

/* newton_D: the invariant of the balances x; k0_prev is get_y's hint, 0 for none. */
static inline int tricrypto_newton_d(u256 *r, u256 ann, u256 gamma, const u256 unsorted[3],
                                     u256 k0_prev)
{
    /* (2**256 - 1) / 1e18 * 27 */
    const u256 out_of_limits = {{UINT64_C(11012715969075038331), UINT64_C(2110319655225350987),
                                 UINT64_C(1145358157981808743), 498}};
    int bad = 0;
    u256 x[3], d;
    tricrypto_sort(x, unsorted);
    if (u256_is_zero(&x[0]) || !u_less(x[0], out_of_limits))
        return QUOTE_OVERFLOW;
    u256 sum = w_add(w_add(x[0], x[1]), x[2]);
    if (u256_is_zero(&k0_prev))
        d = w_mul(u_lit(3), tricrypto_geometric_mean(x, &bad));
    else
        d = tricrypto_first_d(x, sum, k0_prev, &bad);
    for (int i = 0; i < CRYPTO_MAX_STEPS && !bad; i++) {
        u256 before = d;
        d = tricrypto_d_step(d, ann, gamma, x, sum, &bad);
        u256 moved = w_mul(crypto_distance(d, before), crypto_ten(14));
        if (bad || !u_less(moved, crypto_larger(crypto_ten(16), d)))
            continue;
        *r = d;
        return tricrypto_all_safe(x, d) ? QUOTE_OK : QUOTE_NO_LIQUIDITY;
    }
    return QUOTE_OVERFLOW;
}

#endif
