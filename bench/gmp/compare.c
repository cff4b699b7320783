/* Times u256.h against GMP's mpn functions on the same operands, pass by pass in turn.
 *
 * GMP comes as a table of addresses, so neither its header nor its linker name is needed. What
 * its functions take beside the numbers, the lengths in limbs, is counted before the clock starts:
 * a GMP integer carries its own. Whatever our operations check themselves (overflow, division by
 * zero), GMP's callers are spared.
 */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "u256.h"

typedef uint64_t limb;

typedef struct {
    limb (*mul)(limb *r, const limb *x, long xn, const limb *y, long yn); /* xn >= yn > 0 */
    void (*mul_n)(limb *r, const limb *x, const limb *y, long n);
    void (*tdiv_qr)(limb *q, limb *r, long zero, const limb *x, long xn, const limb *d, long dn);
    long (*sqrtrem)(limb *root, limb *rest, const limb *x, long n);
} gmp;

enum { OPERANDS = 512, ADDRESSES = 4 };

typedef struct {
    u256 x, y, d;
    long xn, yn, dn;
} operands;

typedef void (*pass)(u256 *r, const operands *in, const gmp *g);

static uint64_t random_state;

/* splitmix64, public domain. */
static uint64_t random64(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number of exactly so many bits, or of between least and most. */
static u256 random_bits(unsigned least, unsigned most)
{
    unsigned bits = least + (unsigned)(random64() % (most - least + 1));
    u256 x = {{random64(), random64(), random64(), random64() | UINT64_C(1) << 63}};
    u256_shr(&x, &x, 256 - bits);
    return x;
}

static long limbs(const limb *x, long n)
{
    while (n > 0 && x[n - 1] == 0)
        n--;
    return n;
}

/* ---- ours ---- */

#define OURS(name, call)                                                   \
    static void ours_##name(u256 *r, const operands *in, const gmp *g)     \
    {                                                                      \
        (void)g;                                                           \
        for (int i = 0; i < OPERANDS; i++)                                 \
            call;                                                          \
    }

OURS(mul_div, u256_mul_div(&r[i], &in[i].x, &in[i].y, &in[i].d))
OURS(mul_div_up, u256_mul_div_up(&r[i], &in[i].x, &in[i].y, &in[i].d))
OURS(div, u256_div(&r[i], &in[i].x, &in[i].d))
OURS(mul, u256_mul(&r[i], &in[i].x, &in[i].y))
OURS(isqrt, u256_isqrt(&r[i], &in[i].x))

/* ---- GMP ---- */

static void gmp_product(limb product[8], const operands *in, const gmp *g)
{
    if (in->xn == in->yn)
        g->mul_n(product, in->x.w, in->y.w, in->xn);
    else if (in->xn > in->yn)
        g->mul(product, in->x.w, in->xn, in->y.w, in->yn);
    else
        g->mul(product, in->y.w, in->yn, in->x.w, in->xn);
}

static void gmp_mul_div_either(u256 *r, const operands *in, const gmp *g, int up)
{
    for (int i = 0; i < OPERANDS; i++) {
        limb product[8], quotient[8] = {0}, rest[4];
        const operands *o = &in[i];
        gmp_product(product, o, g);
        long n = o->xn + o->yn;
        n -= product[n - 1] == 0;
        if (n >= o->dn)
            g->tdiv_qr(quotient, rest, 0, product, n, o->d.w, o->dn);
        else
            memcpy(rest, product, sizeof rest);
        memcpy(r[i].w, quotient, sizeof r[i].w);
        if (up && limbs(rest, n < o->dn ? n : o->dn) != 0)
            u256_add_u64(&r[i], &r[i], 1);
    }
}

static void gmp_mul_div(u256 *r, const operands *in, const gmp *g)
{
    gmp_mul_div_either(r, in, g, 0);
}

static void gmp_mul_div_up(u256 *r, const operands *in, const gmp *g)
{
    gmp_mul_div_either(r, in, g, 1);
}

static void gmp_div(u256 *r, const operands *in, const gmp *g)
{
    for (int i = 0; i < OPERANDS; i++) {
        limb rest[4];
        memset(&r[i], 0, sizeof r[i]);
        if (in[i].xn >= in[i].dn)
            g->tdiv_qr(r[i].w, rest, 0, in[i].x.w, in[i].xn, in[i].d.w, in[i].dn);
    }
}

static void gmp_mul(u256 *r, const operands *in, const gmp *g)
{
    for (int i = 0; i < OPERANDS; i++) {
        limb product[8] = {0};
        gmp_product(product, &in[i], g);
        memcpy(r[i].w, product, sizeof r[i].w);
    }
}

static void gmp_isqrt(u256 *r, const operands *in, const gmp *g)
{
    for (int i = 0; i < OPERANDS; i++) {
        limb rest[4];
        memset(&r[i], 0, sizeof r[i]);
        g->sqrtrem(r[i].w, rest, in[i].x.w, in[i].xn);
    }
}

/* ---- the cases ---- */

/* Lengths of x, y and d in bits, least and most. Where x * y / d would not fit, d is taken anew.
 * `shift` moves x up: liquidity << 96. */
typedef struct {
    const char *name;
    pass ours, theirs;
    unsigned x[2], y[2], d[2], shift;
} compared;

static const compared CASES[] = {
    /* All words in use, whatever the amounts: the worst there is. */
    {"mul_div", ours_mul_div, gmp_mul_div, {256, 256}, {256, 256}, {256, 256}, 0},
    {"mul_div_up", ours_mul_div_up, gmp_mul_div_up, {256, 256}, {256, 256}, {256, 256}, 0},
    /* What pools ask: liquidity << 96 times a price difference over a price, wei times wei over
     * wei, wei times a fee over 1e6, and 1e18 fixed point. */
    {"mul_div_prices", ours_mul_div, gmp_mul_div, {40, 100}, {80, 110}, {90, 130}, 96},
    {"mul_div_prices_up", ours_mul_div_up, gmp_mul_div_up, {40, 100}, {80, 110}, {90, 130}, 96},
    {"mul_div_amounts", ours_mul_div, gmp_mul_div, {60, 112}, {60, 112}, {60, 112}, 0},
    {"mul_div_wide_amounts", ours_mul_div, gmp_mul_div, {129, 192}, {65, 128}, {129, 192}, 0},
    {"mul_div_fee", ours_mul_div, gmp_mul_div, {40, 112}, {20, 20}, {20, 20}, 0},
    {"mul_div_1e18", ours_mul_div, gmp_mul_div, {40, 100}, {50, 70}, {60, 60}, 0},
    {"div_256_256", ours_div, gmp_div, {256, 256}, {1, 1}, {193, 256}, 0},
    {"div_256_192", ours_div, gmp_div, {193, 256}, {1, 1}, {129, 192}, 0},
    {"div_256_128", ours_div, gmp_div, {193, 256}, {1, 1}, {65, 128}, 0},
    {"div_256_64", ours_div, gmp_div, {193, 256}, {1, 1}, {1, 64}, 0},
    {"div_192_128", ours_div, gmp_div, {129, 192}, {1, 1}, {65, 128}, 0},
    {"div_192_64", ours_div, gmp_div, {129, 192}, {1, 1}, {1, 64}, 0},
    {"div_128_128", ours_div, gmp_div, {65, 128}, {1, 1}, {65, 128}, 0},
    {"div_128_64", ours_div, gmp_div, {65, 128}, {1, 1}, {1, 64}, 0},
    {"div_mixed", ours_div, gmp_div, {40, 240}, {1, 1}, {20, 200}, 0},
    {"mul_256", ours_mul, gmp_mul, {129, 192}, {40, 64}, {1, 1}, 0},
    {"mul_128", ours_mul, gmp_mul, {65, 128}, {65, 128}, {1, 1}, 0},
    {"isqrt_256", ours_isqrt, gmp_isqrt, {255, 256}, {1, 1}, {1, 1}, 0},
    {"isqrt_192", ours_isqrt, gmp_isqrt, {129, 192}, {1, 1}, {1, 1}, 0},
    {"isqrt_128", ours_isqrt, gmp_isqrt, {65, 128}, {1, 1}, {1, 1}, 0},
    {"isqrt_64", ours_isqrt, gmp_isqrt, {1, 64}, {1, 1}, {1, 1}, 0},
};
enum { N_CASES = sizeof CASES / sizeof *CASES };

static void fill(operands *out, const compared *c)
{
    u256 quotient;
    for (int i = 0; i < OPERANDS; i++) {
        operands *o = &out[i];
        do {
            o->x = random_bits(c->x[0], c->x[1]);
            o->y = random_bits(c->y[0], c->y[1]);
            o->d = random_bits(c->d[0], c->d[1]);
            u256_shl(&o->x, &o->x, c->shift);
        } while (u256_mul_div(&quotient, &o->x, &o->y, &o->d) != U256_OK);
        o->xn = limbs(o->x.w, 4);
        o->yn = limbs(o->y.w, 4);
        o->dn = limbs(o->d.w, 4);
    }
}

static double timed(pass f, u256 *r, const operands *in, const gmp *g)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    f(r, in, g);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

/* The name of case i; 0 past the last. */
const char *case_name(int i) { return i >= 0 && i < N_CASES ? CASES[i].name : 0; }

/* ns[0] and ns[1] become the least time of one operation, ours and GMP's, over so many passes;
 * -1 where any result differs, else 0. */
int case_run(int i, void *const addresses[ADDRESSES], uint64_t seed, int passes, double ns[2])
{
    static operands in[OPERANDS];
    static u256 ours[OPERANDS], theirs[OPERANDS];
    const compared *c = &CASES[i];
    gmp g;
    memcpy(&g, addresses, sizeof g);
    random_state = seed + (uint64_t)i;
    fill(in, c);
    ns[0] = ns[1] = 1e18;
    for (int k = 0; k < passes; k++) {
        memset(ours, 0xff, sizeof ours);
        double a = timed(c->ours, ours, in, &g) / OPERANDS;
        double b = timed(c->theirs, theirs, in, &g) / OPERANDS;
        ns[0] = a < ns[0] ? a : ns[0];
        ns[1] = b < ns[1] ? b : ns[1];
        if (memcmp(ours, theirs, sizeof ours) != 0)
            return -1;
    }
    return 0;
}
