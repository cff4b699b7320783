/* The stable curve x**3 y + y**3 x of Solidly pairs, bit for bit, reverts included.
 *
 * Two contracts round it differently: Velodrome's Pool (Solidity 0.8, every step checked) and
 * CamelotPair (0.5.16: SafeMath in _k, plain wrapping arithmetic in _get_y). Reserves are scaled
 * to 18 decimals first. A non-zero solidly_status stands where the contract reverts; results are
 * then undefined.
 */
#ifndef MEVFAST_SOLIDLY_MATH_H
#define MEVFAST_SOLIDLY_MATH_H

#include "u256.h"

enum solidly_status {
    SOLIDLY_OK = 0,
    SOLIDLY_OVERFLOW,      /* a checked step overflows, or a division by 0 */
    SOLIDLY_NO_CONVERGENCE /* Velodrome's "!y" */
};

enum { SOLIDLY_MAX_ROUNDS = 255 };

#define SOLIDLY_WAD UINT64_C(1000000000000000000)

/* r = x / 1e18, floor. */
static inline void u256_div_wad(u256 *r, const u256 *x)
{
    const uint64_t d = SOLIDLY_WAD << 4;             /* the top bit is set */
    const uint64_t v = UINT64_C(0x2725dd1d243aba0e); /* u64_reciprocal(d) */
    uint64_t w3 = x->w[3], w2 = x->w[2], w1 = x->w[1], w0 = x->w[0];
    uint64_t q3 = 0, q2 = 0, rest = w2 << 4 | w1 >> 60;
    if ((w3 | w2 >> 60) != 0 || rest >= d) { /* the quotient has more than two words */
        rest = w3 >> 60;
        q3 = u64_divide_step(&rest, w3 << 4 | w2 >> 60, d, v);
        q2 = u64_divide_step(&rest, w2 << 4 | w1 >> 60, d, v);
    }
    uint64_t q1 = u64_divide_step(&rest, w1 << 4 | w0 >> 60, d, v);
    uint64_t q0 = u64_divide_step(&rest, w0 << 4, d, v);
    u256_make(r, u128_make(q3, q2), u128_make(q1, q0));
}

/* r = x * y modulo 2**256 where y fits 128 bits; nonzero where that lost bits. */
static inline int u256_mul_wrap_u128(u256 *r, const u256 *x, u128 y)
{
    u256 low, high;
    u128 sum;
    u128_mul_full(&low, u256_lo128(x), y);
    u128_mul_full(&high, u256_hi128(x), y);
    int carry = __builtin_add_overflow(u256_hi128(&low), u256_lo128(&high), &sum);
    u256_make(r, sum, u256_lo128(&low));
    return carry | !u256_fits_u128(&high);
}

/* r = x * y modulo 2**256 of any size. Out of line and by value: callers keep theirs in registers. */
static __attribute__((noinline)) int u256_mul_wrap_wide(u256 *r, u256 x, u256 y)
{
    u512 product;
    u256_mul_full(&product, &x, &y);
    memcpy(r->w, product.w, sizeof r->w);
    return (product.w[4] | product.w[5] | product.w[6] | product.w[7]) != 0;
}

/* r = x * y modulo 2**256; nonzero where that lost bits. */
static inline int u256_mul_wrap(u256 *r, const u256 *x, const u256 *y)
{
    u256 product;
    int lost;
    if (__builtin_expect(u256_fits_u128(y), 1)) {
        if (__builtin_expect(u256_fits_u128(x), 1)) {
            u128_mul_full(r, u256_lo128(x), u256_lo128(y));
            return 0;
        }
        return u256_mul_wrap_u128(r, x, u256_lo128(y));
    }
    if (u256_fits_u128(x))
        return u256_mul_wrap_u128(r, y, u256_lo128(x));
    lost = u256_mul_wrap_wide(&product, *x, *y);
    *r = product;
    return lost;
}

/* r = x * y modulo 2**256, / 1e18; nonzero where the product lost bits. */
static inline int u256_mul_wad(u256 *r, const u256 *x, const u256 *y)
{
    u256 product;
    int lost = u256_mul_wrap(&product, x, y);
    u256_div_wad(r, &product);
    return lost;
}

/* r = x * 1e18 modulo 2**256; nonzero where that lost bits. */
static inline int u256_times_wad(u256 *r, const u256 *x)
{
    u128 t0 = (u128)x->w[0] * SOLIDLY_WAD;
    u128 t1 = (u128)x->w[1] * SOLIDLY_WAD + (uint64_t)(t0 >> 64);
    u128 t2 = (u128)x->w[2] * SOLIDLY_WAD + (uint64_t)(t1 >> 64);
    u128 t3 = (u128)x->w[3] * SOLIDLY_WAD + (uint64_t)(t2 >> 64);
    u256_make(r, u128_make((uint64_t)t3, (uint64_t)t2), u128_make((uint64_t)t1, (uint64_t)t0));
    return t3 >> 64 != 0;
}

/* r = x * 1e18 / decimals, which is 10**decimals of the token: 18 decimals. */
static inline int solidly_scale(u256 *r, const u256 *x, const u256 *decimals)
{
    u256 product;
    /* below 2**196 the product fits, and a power of ten up to 1e18 divides it exactly */
    if (u256_fits_u64(decimals) && decimals->w[0] <= SOLIDLY_WAD && x->w[3] < 16)
        return u256_mul_u64(r, x, SOLIDLY_WAD / decimals->w[0]);
    if (u256_times_wad(&product, x) || u256_div(r, &product, decimals))
        return SOLIDLY_OVERFLOW;
    return SOLIDLY_OK;
}

/* _k of scaled reserves, the same in both contracts; symmetric. */
static inline int solidly_k(u256 *k, const u256 *x, const u256 *y)
{
    u256 a, b, yy;
    if (u256_mul_wad(&a, x, y) || u256_mul_wad(&b, x, x) || u256_mul_wad(&yy, y, y) ||
        u256_add(&b, &b, &yy) || u256_mul_wad(k, &a, &b))
        return SOLIDLY_OVERFLOW;
    return SOLIDLY_OK;
}

/* What stays the same while y is sought for one x0. */
typedef struct {
    u256 x0, x0_3; /* x0, 3 * x0 */
    u256 xx, xxx;  /* x0 * x0 / 1e18, xx * x0 / 1e18 */
} solidly_x0;

/* Nonzero where a step lost bits. */
static inline int solidly_fix_x0(solidly_x0 *c, const u256 *x0)
{
    const u256 three = {{3, 0, 0, 0}};
    int lost = u256_mul_wrap(&c->x0_3, x0, &three);
    c->x0 = *x0;
    lost |= u256_mul_wad(&c->xx, x0, x0);
    return lost | u256_mul_wad(&c->xxx, &c->xx, x0);
}

/* dy = |xy - k| * 1e18 / _d(x0, y), where yy is y * y / 1e18. Nonzero where a step lost bits or d is
 * 0, which is then told by *d_is_zero. */
static inline int solidly_dy(u256 *dy, const u256 *gap, const solidly_x0 *c, const u256 *yy,
                             int *d_is_zero)
{
    u256 d, product;
    int lost = u256_mul_wad(&d, &c->x0_3, yy);
    lost |= u256_add(&d, &d, &c->xxx);
    lost |= u256_times_wad(&product, gap);
    *d_is_zero = u256_is_zero(&d);
    if (u256_lt(&product, &d)) { /* the last round, mostly */
        u256_from_u64(dy, 0);
        return lost;
    }
    return lost | u256_div(dy, &product, &d);
}

/* Velodrome's _f: x0 y (x0**2 + y**2); yy becomes y * y / 1e18. */
static inline int velodrome_f(u256 *f, u256 *yy, const solidly_x0 *c, const u256 *y)
{
    u256 a, b;
    return u256_mul_wad(&a, &c->x0, y) || u256_mul_wad(yy, y, y) || u256_add(&b, &c->xx, yy) ||
           u256_mul_wad(f, &a, &b);
}

/* Whether y + 1 overshoots xy. Pools until October 2024 ask _k, which takes its arguments for raw
 * reserves of token 0 and 1 and scales them once more; later ones ask _f. */
static inline int velodrome_overshoots(int *above, const solidly_x0 *c, const u256 *y,
                                       const u256 *xy, const u256 decimals[2], int ask_f)
{
    u256 next, value, unused, x, scaled;
    if (u256_add_u64(&next, y, 1))
        return SOLIDLY_OVERFLOW;
    if (ask_f) {
        if (velodrome_f(&value, &unused, c, &next))
            return SOLIDLY_OVERFLOW;
    } else if (solidly_scale(&x, &c->x0, &decimals[0]) ||
               solidly_scale(&scaled, &next, &decimals[1]) || solidly_k(&value, &x, &scaled)) {
        return SOLIDLY_OVERFLOW;
    }
    *above = u256_lt(xy, &value);
    return SOLIDLY_OK;
}

/* Velodrome's _get_y: from *y to the y of x0 on the curve xy. */
static inline int velodrome_get_y(u256 *y, const u256 *x0, const u256 *xy, const u256 decimals[2],
                                  int ask_f)
{
    solidly_x0 c;
    int d_is_zero, stop;
    if (solidly_fix_x0(&c, x0))
        return SOLIDLY_OVERFLOW;
    for (int i = 0; i < SOLIDLY_MAX_ROUNDS; i++) {
        u256 k, yy, gap, dy, below, unused;
        if (velodrome_f(&k, &yy, &c, y))
            return SOLIDLY_OVERFLOW;
        int side = u256_cmp(&k, xy);
        if (side < 0)
            u256_sub(&gap, xy, &k);
        else
            u256_sub(&gap, &k, xy);
        if (solidly_dy(&dy, &gap, &c, &yy, &d_is_zero))
            return SOLIDLY_OVERFLOW;
        if (u256_is_zero(&dy)) {
            if (side == 0)
                return SOLIDLY_OK;
            if (side < 0) {
                if (velodrome_overshoots(&stop, &c, y, xy, decimals, ask_f))
                    return SOLIDLY_OVERFLOW;
                if (stop) {
                    u256_add_u64(y, y, 1);
                    return SOLIDLY_OK;
                }
            } else {
                if (u256_sub_u64(&below, y, 1) || velodrome_f(&k, &unused, &c, &below))
                    return SOLIDLY_OVERFLOW;
                if (u256_lt(&k, xy))
                    return SOLIDLY_OK;
            }
            u256_from_u64(&dy, 1);
        }
        if (side < 0 ? u256_add(y, y, &dy) : u256_sub(y, y, &dy))
            return SOLIDLY_OVERFLOW;
    }
    return SOLIDLY_NO_CONVERGENCE;
}

/* Camelot's _f, modulo 2**256: x0 y**3 + x0**3 y; yy becomes y * y / 1e18. */
static inline void camelot_f(u256 *f, u256 *yy, const solidly_x0 *c, const u256 *y)
{
    u256 yyy, other;
    u256_mul_wad(yy, y, y);
    u256_mul_wad(&yyy, yy, y);
    u256_mul_wad(f, &c->x0, &yyy);
    u256_mul_wad(&other, &c->xxx, y);
    u256_add(f, f, &other);
}

/* Camelot's _get_y, modulo 2**256 as the contract: stops where y moves by 1 at most, or after 255
 * rounds wherever y is then. */
static inline int camelot_get_y(u256 *y, const u256 *x0, const u256 *xy)
{
    solidly_x0 c;
    solidly_fix_x0(&c, x0);
    for (int i = 0; i < SOLIDLY_MAX_ROUNDS; i++) {
        u256 k, yy, gap, dy, before = *y;
        int d_is_zero;
        camelot_f(&k, &yy, &c, y);
        int rises = u256_lt(&k, xy);
        if (rises)
            u256_sub(&gap, xy, &k);
        else
            u256_sub(&gap, &k, xy);
        solidly_dy(&dy, &gap, &c, &yy, &d_is_zero);
        if (d_is_zero)
            return SOLIDLY_OVERFLOW;
        if (rises)
            u256_add(y, y, &dy);
        else
            u256_sub(y, y, &dy);
        if (u256_lt(&before, y))
            u256_sub(&gap, y, &before);
        else
            u256_sub(&gap, &before, y);
        if (u256_fits_u64(&gap) && u256_lo64(&gap) <= 1)
            return SOLIDLY_OK;
    }
    return SOLIDLY_OK;
}

#endif
