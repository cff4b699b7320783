/* log_exp_math.h and its power as FixedPoint rounds it, for tests that call them through ctypes. */
#include "balancer_math.h"

/* r = x**y; 0 or why it reverts. */
int power(u256 *r, const u256 *x, const u256 *y) { return log_exp_pow(r, x, y); }

/* r = x**y, rounded up. */
int pow_up(u256 *r, const u256 *x, const u256 *y, int shortcuts)
{
    return fixed_pow_up(r, x, y, shortcuts);
}

/* r[0] = |ln(x)|, r[1] whether it is negative. */
int ln(u256 *r, const u256 *x)
{
    u128 magnitude = 0;
    int negative = 0, status = log_exp_ln(&magnitude, &negative, x);
    u256_from_u128(r, magnitude);
    u256_from_u64(r + 1, (uint64_t)negative);
    return status;
}

/* r = e**x, for a magnitude x below 2**128. */
int exponential(u256 *r, const u256 *x, int negative)
{
    return log_exp_exp(r, u256_lo128(x), negative);
}
