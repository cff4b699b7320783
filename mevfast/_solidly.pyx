"""Solidly pairs: Velodrome V2 and Aerodrome, and Camelot V2, each volatile and stable.

Owns what the pair's getAmountOut answers, refused where `swap` would not pay it, and the reserves
of the Sync that follows; the stable curve is solidly_math.h. Must not know tokens, tables or other
kernels. Neither contract has an exact output.
"""

from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast.types cimport (
    POOL_CAMELOT_V2,
    QUOTE_INVARIANT,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_UNSUPPORTED,
    QUOTE_ZERO_AMOUNT,
    SOLIDLY_CAMELOT,
    SOLIDLY_VELODROME,
    SOLIDLY_VELODROME_F,
    pool_quote,
    pool_state,
    solidly_state,
)
from mevfast.u256 cimport (
    SOLIDLY_NO_CONVERGENCE,
    SOLIDLY_OK,
    SOLIDLY_WAD,
    camelot_get_y,
    solidly_k,
    solidly_scale,
    u256,
    u256_add,
    u256_bit_length,
    u256_div,
    u256_div_wad,
    u256_from_u64,
    u256_is_zero,
    u256_lt,
    u256_mul,
    u256_mul_u64,
    u256_mul_wad,
    u256_sub,
    u256_to_double,
    velodrome_get_y,
)

from mevfast._fields import choice_field, integer_field, integers_field
from mevfast._fields cimport u256_field
from mevfast.errors import DataError

cdef enum:
    BPS = 10_000                    # Velodrome's fee
    CAMELOT_FEE_DENOMINATOR = 100_000
    CAMELOT_RESERVE_BITS = 112      # _update reverts above
    CAMELOT_INPUT_BITS = 130        # no fee, at most 99.999 %, brings more down to 112 bits

_UINT112_MAX = 2**112 - 1
_UINT256_MAX = 2**256 - 1
_WAD = 10**18
_DECIMALS = frozenset(10**n for n in range(78))  # all powers of ten in 256 bits
_Y_CHECKS = ("k", "f")


cdef double _price(
    const solidly_state *s, int token_in, const u256 *reserve_in, const u256 *reserve_out,
) noexcept nogil:
    """-dy/dx of x y, or of x**3 y + y**3 x in whole tokens, with the fee taken off."""
    cdef double x = u256_to_double(reserve_in), y = u256_to_double(reserve_out)
    cdef double kept = <double>(s.fee_denominator - s.fee[token_in]) / s.fee_denominator
    cdef double unit_in, unit_out, ratio, price
    if x == 0.0 or y == 0.0:
        return 0.0
    if not s.stable:
        return y / x * kept
    unit_in = u256_to_double(&s.decimals[token_in])
    unit_out = u256_to_double(&s.decimals[1 - token_in])
    # in the ratio of the reserves, taken below 1: cubes and squares of the far ends leave doubles
    ratio = (y / unit_out) / (x / unit_in)
    price = 1.0 / ratio if ratio > 1.0 else ratio
    price *= (3.0 + price * price) / (1.0 + 3.0 * price * price)
    if ratio > 1.0:
        price = 1.0 / price
    return price * (unit_out / unit_in) * kept


cdef double solidly_marginal_price(
    const solidly_state *s, int token_in, int token_out,
) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    return _price(s, token_in, &s.reserve[token_in], &s.reserve[token_out])


cdef double solidly_slope(
    const solidly_state *s, int token_in, const u256 *amount_in, const u256 *amount_out,
) noexcept nogil:
    """d(output) / d(input) at the end of a swap: the price with the whole fee out of the pool."""
    cdef u256 fee, denominator, reserve_in, reserve_out
    u256_from_u64(&denominator, s.fee_denominator)
    if u256_mul_u64(&fee, amount_in, s.fee[token_in]):
        return 0.0
    u256_div(&fee, &fee, &denominator)
    if (
        u256_sub(&fee, amount_in, &fee)
        or u256_add(&reserve_in, &s.reserve[token_in], &fee)
        or u256_sub(&reserve_out, &s.reserve[1 - token_in], amount_out)
    ):
        return 0.0
    return _price(s, token_in, &reserve_in, &reserve_out)


cdef int _volatile_out(
    u256 *out, const solidly_state *s, int token_in, const u256 *amount, const u256 *kept,
) noexcept nogil:
    """getAmountOut of x y = k. Camelot keeps the fee in the formula, Velodrome takes it off first."""
    cdef u256 paid, numerator, denominator
    cdef int lost
    if s.form == SOLIDLY_CAMELOT:
        lost = u256_mul_u64(&paid, amount, s.fee_denominator - s.fee[token_in])
        lost |= u256_mul_u64(&denominator, &s.reserve[token_in], s.fee_denominator)
    else:
        paid = kept[0]
        denominator = s.reserve[token_in]
        lost = 0
    if (
        lost
        or u256_mul(&numerator, &paid, &s.reserve[1 - token_in])
        or u256_add(&denominator, &denominator, &paid)
        or u256_div(out, &numerator, &denominator)
    ):
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int _stable_out(
    u256 *out, u256 *k, const solidly_state *s, int token_in, const u256 *kept,
) noexcept nogil:
    """getAmountOut of x**3 y + y**3 x = k, which is *k."""
    cdef u256 x, y, after
    cdef int token_out = 1 - token_in, status
    if (
        solidly_scale(&x, &s.reserve[token_in], &s.decimals[token_in])
        or solidly_scale(&y, &s.reserve[token_out], &s.decimals[token_out])
        or solidly_k(k, &x, &y)
        or solidly_scale(out, kept, &s.decimals[token_in])
        or u256_add(&x, &x, out)
    ):
        return QUOTE_OVERFLOW
    after = y
    if s.form == SOLIDLY_CAMELOT:
        if camelot_get_y(&after, &x, k) != SOLIDLY_OK:
            return QUOTE_OVERFLOW
        u256_sub(&y, &y, &after)  # modulo 2**256, and so is the product below
        u256_mul_wad(out, &y, &s.decimals[token_out])
        return QUOTE_OK
    status = velodrome_get_y(&after, &x, k, s.decimals, s.form == SOLIDLY_VELODROME_F)
    if status != SOLIDLY_OK:
        return QUOTE_INVARIANT if status == SOLIDLY_NO_CONVERGENCE else QUOTE_OVERFLOW
    if u256_sub(&y, &y, &after) or u256_mul_wad(out, &y, &s.decimals[token_out]):
        return QUOTE_OVERFLOW
    return QUOTE_OK


cdef int _check_k(
    const solidly_state *s, int token_in, const u256 *k, const u256 *balance_in,
    const u256 *balance_out,
) noexcept nogil:
    """swap's last word: _k of the balances, the fee taken off, may not be below that of reserves.

    Of volatile pairs *k is not read.
    """
    cdef u256 x, y, before, now
    if s.stable:
        before = k[0]
        if (
            solidly_scale(&x, balance_in, &s.decimals[token_in])
            or solidly_scale(&y, balance_out, &s.decimals[1 - token_in])
            or solidly_k(&now, &x, &y)
        ):
            return QUOTE_OVERFLOW
    elif (
        u256_mul(&before, &s.reserve[0], &s.reserve[1]) or u256_mul(&now, balance_in, balance_out)
    ):
        return QUOTE_OVERFLOW
    return QUOTE_INVARIANT if u256_lt(&now, &before) else QUOTE_OK


cdef int _camelot_balance(
    u256 *balance_in, const solidly_state *s, int token_in, const u256 *amount,
) noexcept nogil:
    """The reserve of the token in after the swap: a stable pair pays the owner's share of the fee."""
    cdef u256 share, denominator
    u256_from_u64(&share, 0)
    if s.stable:
        # nothing overflows: 130 + 17 + 17 bits
        u256_mul_u64(&share, amount, s.owner_fee_share)
        u256_mul_u64(&share, &share, s.fee[token_in])
        u256_from_u64(&denominator, <unsigned long long>s.fee_denominator * s.fee_denominator)
        u256_div(&share, &share, &denominator)
    u256_add(balance_in, &s.reserve[token_in], amount)
    u256_sub(balance_in, balance_in, &share)
    return QUOTE_OVERFLOW if u256_bit_length(balance_in) > CAMELOT_RESERVE_BITS else QUOTE_OK


cdef int _velodrome_balance(
    u256 *balance_in, const solidly_state *s, int token_in, const u256 *amount, const u256 *fee,
) noexcept nogil:
    """The reserve of the token in after the swap: the whole fee goes to PoolFees."""
    cdef u256 index, wad
    u256_from_u64(&wad, SOLIDLY_WAD)
    if (
        u256_mul(&index, fee, &wad)  # _update0 and _update1 share it out over the supply
        or u256_add(balance_in, &s.reserve[token_in], amount)
    ):
        return QUOTE_OVERFLOW
    u256_sub(balance_in, balance_in, fee)
    return QUOTE_OK


cdef int solidly_quote(
    const solidly_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the contract would revert; q is then undefined."""
    cdef u256 fee, kept, denominator, balance_in, k
    cdef u256 *reserve_in = &q.after.balances.balance_in
    cdef u256 *reserve_out = &q.after.balances.balance_out
    cdef int status
    if not exact_in:
        return QUOTE_UNSUPPORTED
    if u256_is_zero(amount):
        return QUOTE_ZERO_AMOUNT
    # swap wants either output below its reserve, the 0 of the token in, too
    if u256_is_zero(&s.reserve[0]) or u256_is_zero(&s.reserve[1]):
        return QUOTE_NO_LIQUIDITY
    if s.form == SOLIDLY_CAMELOT and u256_bit_length(amount) > CAMELOT_INPUT_BITS:
        return QUOTE_OVERFLOW
    u256_from_u64(&denominator, s.fee_denominator)
    if u256_mul_u64(&fee, amount, s.fee[token_in]):
        return QUOTE_OVERFLOW
    u256_div(&fee, &fee, &denominator)
    u256_sub(&kept, amount, &fee)
    if s.stable:
        status = _stable_out(&q.amount_out, &k, s, token_in, &kept)
    else:
        status = _volatile_out(&q.amount_out, s, token_in, amount, &kept)
    if status != QUOTE_OK:
        return status
    if u256_is_zero(&q.amount_out):
        return QUOTE_NO_OUTPUT
    if not u256_lt(&q.amount_out, &s.reserve[token_out]):
        return QUOTE_NO_LIQUIDITY
    if s.form == SOLIDLY_CAMELOT:
        status = _camelot_balance(reserve_in, s, token_in, amount)
    else:
        status = _velodrome_balance(reserve_in, s, token_in, amount, &fee)
    if status != QUOTE_OK:
        return status
    u256_add(&balance_in, &s.reserve[token_in], &kept)  # cannot wrap: the reserve after does not
    u256_sub(reserve_out, &s.reserve[token_out], &q.amount_out)
    status = _check_k(s, token_in, &k, &balance_in, reserve_out)
    if status != QUOTE_OK:
        return status
    q.amount_in = amount[0]
    q.price_after = _price(s, token_in, reserve_in, reserve_out)
    return QUOTE_OK


cdef void solidly_apply_after(
    solidly_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q describes."""
    s.reserve[token_in] = q.after.balances.balance_in
    s.reserve[token_out] = q.after.balances.balance_out


cdef int _load_decimals(solidly_state *s, object fields, str where) except -1:
    """10**decimals of both tokens; volatile pairs do without, and take 1e18 where it is absent."""
    cdef int i
    for i, name in enumerate(("decimals0", "decimals1")):
        value = integer_field(fields, name, where, 1, 10**77, None if s.stable else _WAD)
        if value not in _DECIMALS:
            raise DataError(f"{where}{name}: expected 10**decimals, was {value}")
        u256_from_pyint(&s.decimals[i], value)
    return 0


cdef int solidly_load(pool_state *state, object fields, str where) except -1:
    """Fills state.solidly by state.kind from the fields of mevfast-vectors/1.

    Solidly: `stable`, `reserve0`, `reserve1`, `decimals0`, `decimals1`, `fee_bps`, and `y_check`
    ("k" unless given; "f" in pairs built from Velodrome's sources since October 2024). Camelot V2:
    the first five, `fee_percent` of token 0 and 1 over 100,000, `owner_fee_share` (0 unless given).
    DataError names a wrong one.
    """
    cdef solidly_state *s = &state.solidly
    cdef bint camelot = state.kind == POOL_CAMELOT_V2
    highest = _UINT112_MAX if camelot else _UINT256_MAX
    s.stable = choice_field(fields, "stable", where, (True, False))
    u256_field(&s.reserve[0], fields, "reserve0", where, 0, highest)
    u256_field(&s.reserve[1], fields, "reserve1", where, 0, highest)
    _load_decimals(s, fields, where)
    if camelot:
        s.form = SOLIDLY_CAMELOT
        s.fee_denominator = CAMELOT_FEE_DENOMINATOR
        s.fee[0], s.fee[1] = integers_field(
            fields, "fee_percent", where, 2, 0, CAMELOT_FEE_DENOMINATOR - 1
        )
        s.owner_fee_share = integer_field(
            fields, "owner_fee_share", where, 0, CAMELOT_FEE_DENOMINATOR, 0
        )
        return 0
    check = choice_field(fields, "y_check", where, _Y_CHECKS, "k")
    s.form = SOLIDLY_VELODROME_F if check == "f" else SOLIDLY_VELODROME
    s.fee_denominator = BPS
    s.fee[0] = s.fee[1] = integer_field(fields, "fee_bps", where, 0, BPS - 1)
    s.owner_fee_share = 0
    return 0


cdef object solidly_fields(const pool_state *state):
    """The fields that solidly_load takes."""
    cdef const solidly_state *s = &state.solidly
    fields = {
        "stable": bool(s.stable),
        "reserve0": u256_to_pyint(&s.reserve[0]),
        "reserve1": u256_to_pyint(&s.reserve[1]),
        "decimals0": u256_to_pyint(&s.decimals[0]),
        "decimals1": u256_to_pyint(&s.decimals[1]),
    }
    if s.form == SOLIDLY_CAMELOT:
        fields["fee_percent"] = [s.fee[0], s.fee[1]]
        fields["owner_fee_share"] = s.owner_fee_share
    else:
        fields["fee_bps"] = s.fee[0]
        fields["y_check"] = "f" if s.form == SOLIDLY_VELODROME_F else "k"
    return fields


cdef object solidly_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
):
    """The fields that the quoted swap moves, as they are after it."""
    balance_in = u256_to_pyint(&q.after.balances.balance_in)
    balance_out = u256_to_pyint(&q.after.balances.balance_out)
    return {
        "reserve0": balance_in if token_in == 0 else balance_out,
        "reserve1": balance_out if token_in == 0 else balance_in,
    }
