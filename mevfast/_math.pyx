"""u256 at the Python edge, and the fixed-point and tick maths that Python code needs exactly.

Owns the conversion between Python integers and u256.h; pool formulas belong to the kernels.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from mevfast.u256 cimport (
    U256_DIVISION_BY_ZERO,
    U256_OK,
    i128,
    i128_hi,
    i128_lo,
    i128_make,
    tick_math_get_sqrt_ratio,
    tick_math_get_tick,
    u128,
    u128_hi,
    u128_lo,
    u128_make,
    u256,
    u256_from_double,
    u256_isqrt,
    u256_mul_div,
    u256_mul_div_up,
    u256_to_double,
)

MIN_SQRT_RATIO = 4295128739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342

cdef int _require_int(object x) except -1:
    if not isinstance(x, int):
        raise TypeError(f"expected an integer, was {type(x).__name__}")
    return 0


cdef int u256_from_pyint(u256 *r, object x) except -1:
    """*r = x. TypeError, or ValueError outside [0, 2**256)."""
    cdef bytes raw
    cdef const unsigned char *p
    cdef int i, j
    _require_int(x)
    try:
        raw = x.to_bytes(32, "little")
    except OverflowError:
        raise ValueError(f"expected an integer in [0, 2**256), was {x}") from None
    p = raw
    for i in range(4):
        r.w[i] = 0
        for j in range(8):
            r.w[i] |= <uint64_t>p[8 * i + j] << (8 * j)
    return 0


cdef object u256_to_pyint(const u256 *x):
    """x as a Python integer."""
    if x.w[2] == 0 and x.w[3] == 0:  # amounts are small: no shifts of zeros
        return x.w[0] if x.w[1] == 0 else (<object>x.w[1] << 64) | x.w[0]
    return (<object>x.w[3] << 192) | (<object>x.w[2] << 128) | (<object>x.w[1] << 64) | x.w[0]


cdef int u128_from_pyint(u128 *r, object x) except -1:
    """*r = x. TypeError, or ValueError outside [0, 2**128)."""
    _require_int(x)
    if x < 0 or x.bit_length() > 128:
        raise ValueError(f"expected an integer in [0, 2**128), was {x}")
    r[0] = u128_make(<uint64_t>(x >> 64), <uint64_t>(x & 0xFFFFFFFFFFFFFFFF))
    return 0


cdef object u128_to_pyint(u128 x):
    """x as a Python integer."""
    return (<object>u128_hi(x) << 64) | u128_lo(x)


cdef int i128_from_pyint(i128 *r, object x) except -1:
    """*r = x. TypeError, or ValueError outside [-2**127, 2**127)."""
    _require_int(x)
    if not -(1 << 127) <= x < 1 << 127:
        raise ValueError(f"expected an integer in [-2**127, 2**127), was {x}")
    r[0] = i128_make(<int64_t>(x >> 64), <uint64_t>(x & 0xFFFFFFFFFFFFFFFF))
    return 0


cdef object i128_to_pyint(i128 x):
    """x as a Python integer."""
    return (<object>i128_hi(x) << 64) | i128_lo(x)


cdef int _raise_status(int status, str what) except -1:
    if status == U256_DIVISION_BY_ZERO:
        raise ZeroDivisionError(f"{what}: division by zero")
    raise OverflowError(f"{what}: expected a result in [0, 2**256)")


def mul_div(x, y, d):
    """floor(x * y / d) over the 512-bit product (FullMath.mulDiv).

    Raises ZeroDivisionError, or OverflowError where the result needs more than 256 bits.
    """
    cdef u256 a, b, c, r
    u256_from_pyint(&a, x)
    u256_from_pyint(&b, y)
    u256_from_pyint(&c, d)
    cdef int status = u256_mul_div(&r, &a, &b, &c)
    if status != U256_OK:
        _raise_status(status, "mul_div")
    return u256_to_pyint(&r)


def mul_div_up(x, y, d):
    """x * y / d rounded up (FullMath.mulDivRoundingUp); raises as mul_div."""
    cdef u256 a, b, c, r
    u256_from_pyint(&a, x)
    u256_from_pyint(&b, y)
    u256_from_pyint(&c, d)
    cdef int status = u256_mul_div_up(&r, &a, &b, &c)
    if status != U256_OK:
        _raise_status(status, "mul_div_up")
    return u256_to_pyint(&r)


def isqrt(x):
    """floor(sqrt(x)) of an integer in [0, 2**256)."""
    cdef u256 a
    u256_from_pyint(&a, x)
    u256_isqrt(&a, &a)
    return u256_to_pyint(&a)


def to_double(x):
    """The double nearest to an integer in [0, 2**256)."""
    cdef u256 a
    u256_from_pyint(&a, x)
    return u256_to_double(&a)


def from_double(double x):
    """x truncated to an integer; OverflowError outside [0, 2**256)."""
    cdef u256 r
    if u256_from_double(&r, x) != U256_OK:
        raise OverflowError(f"expected a number in [0, 2**256), was {x}")
    return u256_to_pyint(&r)


def get_sqrt_ratio_at_tick(tick):
    """sqrt(1.0001**tick) * 2**96 (TickMath.getSqrtRatioAtTick); ValueError past +-887272."""
    cdef u256 r
    _require_int(tick)
    if not -887272 <= tick <= 887272:
        raise ValueError(f"expected a tick in [-887272, 887272], was {tick}")
    tick_math_get_sqrt_ratio(&r, tick)
    return u256_to_pyint(&r)


def get_tick_at_sqrt_ratio(sqrt_price_x96):
    """The greatest tick whose price is at most this one (TickMath.getTickAtSqrtRatio).

    ValueError outside [MIN_SQRT_RATIO, MAX_SQRT_RATIO).
    """
    cdef u256 price
    cdef int32_t tick = 0
    u256_from_pyint(&price, sqrt_price_x96)
    if tick_math_get_tick(&tick, &price) != U256_OK:
        raise ValueError(
            "expected a price in [MIN_SQRT_RATIO, MAX_SQRT_RATIO), "
            f"[{MIN_SQRT_RATIO}, {MAX_SQRT_RATIO}), was {sqrt_price_x96}"
        )
    return tick
