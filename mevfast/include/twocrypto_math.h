/* CurveCryptoMathOptimized2 v2.0.0 and v2.1.0: y from the analytic cubic, and D, of two coins.
 *
 * The versions differ in limits only. Functions return as those of tricrypto_math.h do.
 */
#ifndef MEVFAST_TWOCRYPTO_MATH_H
#define MEVFAST_TWOCRYPTO_MATH_H

#include "crypto_math.h"

/* A * N**N * A_MULTIPLIER for A between 0.1 and 1000; gamma 1e18-based. */
#define TWOCRYPTO_MIN_A UINT64_C(4000)
#define TWOCRYPTO_MAX_A UINT64_C(40000000)
#define TWOCRYPTO_MIN_GAMMA UINT64_C(10000000000)
#define TWOCRYPTO_V2_0_MAX_GAMMA UINT64_C(2000000000000000)
#define TWOCRYPTO_V2_1_MAX_GAMMA UINT64_C(199000000000000000)
#define TWOCRYPTO_MAX_GAMMA_SMALL UINT64_C(20000000000000000) /* v2.1: above it limits narrow */

/* A pool's parameters and the limits that its version puts on them. */
typedef struct {
    u256 ann, gamma;
    u256 low_x, high_x;       /* of 2e18 * x / D in get_y */
    u256 low_y, high_y;       /* of 1e18 * y / D in get_y */
    u256 low_d, high_d;       /* of 1e18 * x / D in newton_D */
} twocrypto_params;

/* QUOTE_OK, or QUOTE_OVERFLOW where A or gamma are out of the version's range. */
static inline int twocrypto_load_params(twocrypto_params *p, u256 ann, u256 gamma, int version)
{
    int is_v2_0 = version == TWOCRYPTO_V2_0;
    u256 max_gamma = u_lit(is_v2_0 ? TWOCRYPTO_V2_0_MAX_GAMMA : TWOCRYPTO_V2_1_MAX_GAMMA);
    if (!crypto_within(ann, u_lit(TWOCRYPTO_MIN_A), u_lit(TWOCRYPTO_MAX_A)) ||
        !crypto_within(gamma, u_lit(TWOCRYPTO_MIN_GAMMA), max_gamma))
        return QUOTE_OVERFLOW;
    p->ann = ann;
    p->gamma = gamma;
    if (is_v2_0) {
        p->low_x = w_mul(u_lit(2), crypto_ten(16));
        p->high_x = w_mul(u_lit(2), crypto_ten(20));
        p->low_y = p->low_d = u_lit(10000000000000000 - 1);
        p->high_y = p->high_d = crypto_ten(20);
        return QUOTE_OK;
    }
    u256 most = crypto_ten(20);
    if (u_less(u_lit(TWOCRYPTO_MAX_GAMMA_SMALL), gamma))
        most = uw_div(w_mul(most, u_lit(TWOCRYPTO_MAX_GAMMA_SMALL)), gamma);
    p->low_x = uw_div(crypto_ten(36), most);
    p->high_x = most;
    p->low_y = uw_div(uw_div(crypto_ten(36), u_lit(2)), most);
    p->high_y = uw_div(most, u_lit(2));
    p->low_d = uw_div(crypto_ten(16), u_lit(2));
    p->high_d = uw_div(crypto_ten(20), u_lit(2));
    return QUOTE_OK;
}

/* _newton_y, after get_y's checks: where the cubic's discriminant is not positive. */
static inline int twocrypto_newton_y(u256 *r, const twocrypto_params *p, u256 x_j, u256 d)
{
    int bad = 0;
    u256 two = u_lit(2), limit = crypto_y_limit(x_j, d);
    u256 y = u_div(u_mul(d, d, &bad), u_mul(x_j, u_lit(4), &bad), &bad);
    u256 k0_i = uw_div(u_mul(u_lit(2 * CRYPTO_WAD), x_j, &bad), d);
    for (int i = 0; i < CRYPTO_MAX_STEPS && !bad; i++) {
        u256 before = y, k0 = uw_div(u_mul(u_mul(k0_i, y, &bad), two, &bad), d);
        u256 s = u_add(x_j, y, &bad);
        int full = crypto_newton_y_step(&y, k0, s, p->ann, p->gamma, d, &bad);
        if (bad || !full || !crypto_y_converged(y, before, limit))
            continue;
        *r = y;
        return QUOTE_OK;
    }
    return QUOTE_OVERFLOW;
}

/* The cubic a K0**3 + b K0**2 + c K0 + d, and what Cardano's formula makes of it. */
typedef struct {
    u256 a, b, c, d, delta0, delta1;
} twocrypto_cubic;

static inline void twocrypto_coefficients(twocrypto_cubic *q, const twocrypto_params *p, u256 x_j,
                                          u256 d, int *bad)
{
    u256 gamma = p->gamma, gamma2 = w_mul(gamma, gamma), e14 = crypto_ten(14);
    u256 ann_gamma2 = s_mul(p->ann, gamma2, bad), e32_3 = w_mul(u_lit(3), crypto_ten(32)), t;
    u256 scale = u_lit(400000000);

    q->a = crypto_ten(32);
    /* ANN*D*gamma2/4/10000/x_j/10**4 - 10**32*3 - 2*gamma*10**14 */
    q->b = s_div(sw_div(s_mul(d, ann_gamma2, bad), scale), x_j, bad);
    q->b = s_sub(q->b, e32_3, bad);
    q->b = s_sub(q->b, w_mul(w_mul(u_lit(2), gamma), e14), bad);
    /* 10**32*3 + 4*gamma*10**14 + gamma2/10**4 + 4*ANN*gamma2*x_j/D/... - 4*ANN*gamma2/... */
    q->c = s_add(e32_3, w_mul(w_mul(u_lit(4), gamma), e14), bad);
    q->c = s_add(q->c, sw_div(gamma2, crypto_ten(4)), bad);
    t = sw_div(w_mul(u_lit(4), ann_gamma2), scale);
    q->c = s_add(q->c, sw_div(s_mul(t, x_j, bad), d), bad);
    q->c = s_sub(q->c, t, bad);
    /* -(10**18 + gamma)**2 / 10**4 */
    t = w_add(crypto_wad(), gamma);
    q->d = s_neg(sw_div(s_mul(t, t, bad), crypto_ten(4)), bad);
    /* 3*a*c/b - b and 9*a*c/b - 2*b - 27*a**2/b*d/b */
    t = s_mul(w_mul(u_lit(3), q->a), q->c, bad);
    q->delta0 = s_sub(s_div(t, q->b, bad), q->b, bad);
    t = s_div(s_mul(u_lit(27), s_mul(q->a, q->a, bad), bad), q->b, bad);
    t = s_div(s_mul(t, q->d, bad), q->b, bad);
    q->delta1 = s_add(s_mul(u_lit(3), q->delta0, bad), q->b, bad);
    q->delta1 = s_sub(q->delta1, t, bad);
}

/* Brings the coefficients to where the products that follow fit 256 bits. */
static inline void twocrypto_scale(twocrypto_cubic *q, int *bad)
{
    u256 threshold = s_abs(q->delta0, bad), t = s_abs(q->delta1, bad), divider = u_lit(1);
    if (u_less(t, threshold))
        threshold = t;
    if (u_less(q->a, threshold))
        threshold = q->a;
    for (int power = 48; power >= 20; power -= 2)
        if (power != 22 && u_less(crypto_ten(power), threshold)) {
            divider = crypto_ten(power - 18);
            break;
        }
    q->a = sw_div(q->a, divider);
    q->b = sw_div(q->b, divider);
    q->c = sw_div(q->c, divider);
    q->d = sw_div(q->d, divider);
    q->delta0 = s_sub(sw_div(w_mul(w_mul(u_lit(3), q->a), q->c), q->b), q->b, bad);
    t = sw_div(w_mul(u_lit(27), s_mul(q->a, q->a, bad)), q->b);
    t = sw_div(w_mul(t, q->d), q->b);
    q->delta1 = s_add(s_mul(u_lit(3), q->delta0, bad), q->b, bad);
    q->delta1 = s_sub(q->delta1, t, bad);
}

/* K0 by Cardano's formula; 0 where the discriminant is not positive and Newton must do. */
static inline int twocrypto_root(u256 *root, const twocrypto_cubic *q, int *bad)
{
    u256 wad = crypto_wad(), b = q->b, delta0 = q->delta0, delta1 = q->delta1, t, half;
    /* delta1**2 + 4*delta0**2/b*delta0 */
    t = sw_div(s_mul(u_lit(4), s_mul(delta0, delta0, bad), bad), b);
    t = s_add(s_mul(delta1, delta1, bad), w_mul(t, delta0), bad);
    if (*bad || !s_positive(t))
        return 0;
    u256_isqrt(&t, &t);
    u256 b_cbrt = s_cbrt(b, bad);
    t = s_convert(s_positive(delta1) ? w_add(delta1, t) : w_sub(t, delta1), bad);
    u256_shr(&half, &t, 1);
    t = s_convert(crypto_cbrt(half), bad);
    if (!s_positive(delta1))
        t = w_neg(t);
    /* b_cbrt**2/10**18*second_cbrt/10**18 */
    u256 c1 = crypto_unwad(s_mul(b_cbrt, b_cbrt, bad));
    c1 = crypto_unwad_signed(w_mul(c1, t));
    /* (10**18*C1 - 10**18*b - 10**18*b/C1*delta0)/(3*a) */
    u256 wad_b = w_mul(wad, b);
    t = s_sub(w_mul(wad, c1), wad_b, bad);
    t = s_sub(t, s_mul(s_div(wad_b, c1, bad), delta0, bad), bad);
    *root = s_div(t, w_mul(u_lit(3), q->a), bad);
    return 1;
}

/* get_y: the balance of the other coin than x_j's at which the invariant is d, and K0, newton_D's
 * hint (0: none). */
static inline int twocrypto_get_y(u256 *y, u256 *k0, const twocrypto_params *p, u256 x_j, u256 d)
{
    int bad = 0;
    u256 root;
    twocrypto_cubic q;
    if (!crypto_d_is_safe(d))
        return QUOTE_OVERFLOW;
    s_convert(x_j, &bad);
    u256 d2 = s_mul(d, d, &bad);
    s_div(d2, s_mul(x_j, u_lit(4), &bad), &bad); /* what the contract checks on the way */
    u256 k0_i = sw_div(s_mul(u_lit(2 * CRYPTO_WAD), x_j, &bad), d);
    if (bad)
        return QUOTE_OVERFLOW;
    if (!crypto_within(k0_i, p->low_x, p->high_x))
        return QUOTE_NO_LIQUIDITY;
    twocrypto_coefficients(&q, p, x_j, d, &bad);
    twocrypto_scale(&q, &bad);
    if (!twocrypto_root(&root, &q, &bad)) {
        *k0 = u_lit(0);
        return bad ? QUOTE_OVERFLOW : twocrypto_newton_y(y, p, x_j, d);
    }
    /* D**2/x_j*root/4/10**18 */
    *y = sw_div(w_mul(sw_div(d2, x_j), root), u_lit(4 * CRYPTO_WAD));
    *y = s_convert(*y, &bad);
    *k0 = s_convert(root, &bad);
    u256 frac = uw_div(u_mul(*y, crypto_wad(), &bad), d);
    if (bad)
        return QUOTE_OVERFLOW;
    return crypto_within(frac, p->low_y, p->high_y) ? QUOTE_OK : QUOTE_NO_LIQUIDITY;
}

/* One step of newton_D. x[0] >= x[1], d > 0. */
static inline u256 twocrypto_d_step(u256 d, const twocrypto_params *p, const u256 x[2], u256 sum,
                                    int *bad)
{
    u256 wad = crypto_wad(), four_wad = u_lit(4 * CRYPTO_WAD), t;
    /* K0 = 1e18 * 4 * x0 / D * x1 / D */
    u256 k0 = uw_div(u_mul(uw_div(u_mul(four_wad, x[0], bad), d), x[1], bad), d);
    u256 g1k0 = crypto_g1k0(p->gamma, k0);
    u256 mul1 = crypto_mul1(p->ann, p->gamma, d, g1k0, bad);
    u256 mul2 = uw_div(u_mul(four_wad, k0, bad), g1k0);
    /* S + S*mul2/1e18 + mul1*2/K0 - mul2*D/1e18 */
    u256 slope = u_add(sum, crypto_unwad(u_mul(sum, mul2, bad)), bad);
    slope = u_add(slope, u_div(u_mul(mul1, u_lit(2), bad), k0, bad), bad);
    slope = u_sub(slope, crypto_unwad(u_mul(mul2, d, bad)), bad);

    u256 plus = u_div(u_mul(d, u_add(slope, sum, bad), bad), slope, bad);
    u256 minus = uw_div(u_mul(d, d, bad), slope);
    t = crypto_unwad(u_mul(d, uw_div(mul1, slope), bad));
    if (u_less(k0, wad))
        minus = u_add(minus, uw_div(u_mul(t, w_sub(wad, k0), bad), k0), bad);
    else
        minus = u_sub(minus, uw_div(u_mul(t, w_sub(k0, wad), bad), k0), bad);
    if (u_less(minus, plus))
        return w_sub(plus, minus);
    t = w_sub(minus, plus);
    u256_shr(&t, &t, 1);
    return t;
}

/* newton_D's first guess: 2 * sqrt(x0 * x1), over sqrt(K0) where that is known. x[0] >= x[1]. */
static inline u256 twocrypto_first_d(const u256 x[2], u256 sum, u256 k0_prev)
{
    u256 d;
    if (u256_is_zero(&k0_prev)) {
        d = w_mul(x[0], x[1]);
        u256_isqrt(&d, &d);
        return w_mul(u_lit(2), d);
    }
    d = uw_div(w_mul(w_mul(u_lit(4), x[0]), x[1]), k0_prev);
    d = w_mul(d, crypto_wad());
    u256_isqrt(&d, &d);
    return u_less(sum, d) ? sum : d;
}

/* newton_D: the invariant of the balances x; k0_prev is get_y's hint, 0 for none. */
static inline int twocrypto_newton_d(u256 *r, const twocrypto_params *p, const u256 unsorted[2],
                                     u256 k0_prev)
{
    const u256 most = {{UINT64_C(4089650035136921600), UINT64_C(54210108624275), 0, 0}}; /* 1e33 */
    int bad = 0, first = u_less(unsorted[0], unsorted[1]);
    u256 x[2] = {unsorted[first], unsorted[1 - first]}, wad = crypto_wad();
    if (!crypto_within(x[0], u_lit(1000000000), most))
        return QUOTE_OVERFLOW;
    if (u_less(uw_div(w_mul(x[1], wad), x[0]), crypto_ten(14)))
        return QUOTE_NO_LIQUIDITY;
    u256 sum = w_add(x[0], x[1]), d = twocrypto_first_d(x, sum, k0_prev);
    for (int i = 0; i < CRYPTO_MAX_STEPS && !bad && !u256_is_zero(&d); i++) {
        u256 before = d;
        d = twocrypto_d_step(d, p, x, sum, &bad);
        u256 moved = u_mul(crypto_distance(d, before), crypto_ten(14), &bad);
        if (bad || !u_less(moved, crypto_larger(crypto_ten(16), d)))
            continue;
        for (int k = 0; k < 2; k++) {
            u256 frac = u_div(u_mul(x[k], wad, &bad), d, &bad);
            if (bad || !crypto_within(frac, p->low_d, p->high_d))
                return QUOTE_NO_LIQUIDITY;
        }
        *r = d;
        return QUOTE_OK;
    }
    return QUOTE_OVERFLOW;
}

#endif
