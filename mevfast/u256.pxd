"""Declarations of u256.h for Cython.

u128 and i128 are opaque here on purpose: Cython has no 128-bit integer and would squeeze one
through a long. Copy them, pass them, and do arithmetic with the functions below; anything else
does not compile.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "u256.h" nogil:
    ctypedef struct u128:
        pass
    ctypedef struct i128:
        pass
    ctypedef struct u256:
        uint64_t w[4]

    enum:
        U256_OK
        U256_OVERFLOW
        U256_DIVISION_BY_ZERO

    u128 u128_make(uint64_t hi, uint64_t lo) noexcept
    uint64_t u128_lo(u128 x) noexcept
    uint64_t u128_hi(u128 x) noexcept
    bint u128_is_zero(u128 x) noexcept
    bint u128_fits(u128 x, unsigned bits) noexcept
    u128 u128_add(u128 x, u128 y) noexcept
    u128 u128_sub(u128 x, u128 y) noexcept
    u128 u128_or(u128 x, u128 y) noexcept
    bint u128_lt(u128 x, u128 y) noexcept
    int u128_cmp(u128 x, u128 y) noexcept
    int u128_add_i128(u128 *r, u128 x, i128 delta) noexcept
    double u128_to_double(u128 x) noexcept
    double u128_near_double(u128 x) noexcept
    void u128_mul_full(u256 *r, u128 x, u128 y) noexcept

    i128 i128_make(int64_t hi, uint64_t lo) noexcept
    uint64_t i128_lo(i128 x) noexcept
    int64_t i128_hi(i128 x) noexcept
    double i128_to_double(i128 x) noexcept
    int i128_sign(i128 x) noexcept
    i128 i128_neg(i128 x) noexcept
    int i128_add(i128 *r, i128 x, i128 delta) noexcept

    void u256_from_u64(u256 *r, uint64_t x) noexcept
    void u256_from_u128(u256 *r, u128 x) noexcept
    uint64_t u256_lo64(const u256 *x) noexcept
    u128 u256_lo128(const u256 *x) noexcept
    bint u256_fits_u64(const u256 *x) noexcept
    bint u256_fits_u128(const u256 *x) noexcept
    void u256_from_be(u256 *r, const uint8_t *bytes32) noexcept
    void u256_to_be(uint8_t *bytes32, const u256 *x) noexcept
    double u256_to_double(const u256 *x) noexcept
    int u256_from_double(u256 *r, double x) noexcept

    bint u256_is_zero(const u256 *x) noexcept
    bint u256_eq(const u256 *x, const u256 *y) noexcept
    bint u256_lt(const u256 *x, const u256 *y) noexcept
    int u256_cmp(const u256 *x, const u256 *y) noexcept
    int u256_bit_length(const u256 *x) noexcept

    int u256_add(u256 *r, const u256 *x, const u256 *y) noexcept
    int u256_sub(u256 *r, const u256 *x, const u256 *y) noexcept
    int u256_add_u64(u256 *r, const u256 *x, uint64_t y) noexcept
    int u256_sub_u64(u256 *r, const u256 *x, uint64_t y) noexcept
    void u256_shl(u256 *r, const u256 *x, unsigned n) noexcept
    void u256_shr(u256 *r, const u256 *x, unsigned n) noexcept
    void u256_or(u256 *r, const u256 *x, const u256 *y) noexcept
    void u256_and(u256 *r, const u256 *x, const u256 *y) noexcept

    int u256_mul(u256 *r, const u256 *x, const u256 *y) noexcept
    int u256_mul_u64(u256 *r, const u256 *x, uint64_t y) noexcept
    int u256_divmod(u256 *quotient, u256 *remainder, const u256 *x, const u256 *d) noexcept
    int u256_div(u256 *r, const u256 *x, const u256 *d) noexcept
    int u256_div_up(u256 *r, const u256 *x, const u256 *d) noexcept
    int u256_mul_div(u256 *r, const u256 *x, const u256 *y, const u256 *d) noexcept
    int u256_mul_div_up(u256 *r, const u256 *x, const u256 *y, const u256 *d) noexcept
    void u256_isqrt(u256 *r, const u256 *x) noexcept


cdef extern from "v2_math.h" nogil:
    enum:
        V2_RESERVE_BITS

    u128 v2_amount_out(
        u128 amount_in, u128 reserve_in, u128 reserve_out, uint64_t kept,
    ) noexcept
    u128 v2_amount_in(
        u128 amount_out, u128 reserve_in, u128 reserve_out, uint64_t kept,
    ) noexcept


cdef extern from "tick_math.h" nogil:
    enum:
        MIN_TICK
        MAX_TICK
    const uint64_t MIN_SQRT_RATIO
    const u256 MAX_SQRT_RATIO

    const double Q96_INVERSE

    int32_t tick_math_compress(int32_t tick, int32_t spacing) noexcept
    bint tick_math_price_in_range(const u256 *sqrt_price_x96) noexcept
    int tick_math_get_sqrt_ratio(u256 *sqrt_price_x96, int32_t tick) noexcept
    int tick_math_get_tick(int32_t *tick, const u256 *sqrt_price_x96) noexcept


cdef extern from "sqrt_price_math.h" nogil:
    enum:
        FEE_DENOMINATOR

    ctypedef struct swap_step:
        u256 price
        u256 amount_in
        u256 amount_out
        u256 fee_amount

    int compute_swap_step(
        swap_step *step, const u256 *price, const u256 *target, u128 liquidity,
        const u256 *remaining, uint32_t fee_pips, int exact_in,
    ) noexcept


cdef extern from "solidly_math.h" nogil:
    enum:
        SOLIDLY_OK
        SOLIDLY_OVERFLOW
        SOLIDLY_NO_CONVERGENCE
    const uint64_t SOLIDLY_WAD

    void u256_div_wad(u256 *r, const u256 *x) noexcept
    int u256_mul_wad(u256 *r, const u256 *x, const u256 *y) noexcept
    int solidly_scale(u256 *r, const u256 *x, const u256 *decimals) noexcept
    int solidly_k(u256 *k, const u256 *x, const u256 *y) noexcept
    int velodrome_get_y(
        u256 *y, const u256 *x0, const u256 *xy, const u256 *decimals, int ask_f,
    ) noexcept
    int camelot_get_y(u256 *y, const u256 *x0, const u256 *xy) noexcept
