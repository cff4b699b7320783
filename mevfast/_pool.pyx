"""The only place that knows every pool kind: dispatch over pool_state, and its Python face.

A kind is added here, in pool.h and in its own kernel, nowhere else in the compiled half. Must not
know addresses, tokens or where a state came from.
"""

from collections import namedtuple

from libc.stdint cimport uint32_t
from libc.time cimport CLOCKS_PER_SEC, clock, clock_t

from mevfast._balancer cimport (
    balancer_after_fields,
    balancer_apply_after,
    balancer_fields,
    balancer_load,
    balancer_marginal_price,
    balancer_quote,
    balancer_slope,
)
from mevfast._crypto cimport (
    crypto_after_fields,
    crypto_apply_after,
    crypto_fields,
    crypto_load,
    crypto_marginal_price,
    crypto_price_bound,
    crypto_price_can_rise,
    crypto_quote,
    crypto_slope,
)
from mevfast._curve cimport (
    curve_after_fields,
    curve_apply_after,
    curve_fields,
    curve_load,
    curve_marginal_price,
    curve_price_bound,
    curve_price_can_rise,
    curve_quote,
    curve_slope,
)
from mevfast._math cimport u256_from_pyint, u256_to_pyint
from mevfast._solidly cimport (
    solidly_after_fields,
    solidly_apply_after,
    solidly_fields,
    solidly_load,
    solidly_marginal_price,
    solidly_quote,
    solidly_slope,
)
from mevfast._univ2 cimport (
    v2_after_fields,
    v2_fields,
    v2_load,
    v2_marginal_price,
    v2_quote,
    v2_slope,
)
from mevfast._univ3 cimport (
    v3_after_fields,
    v3_apply_after,
    v3_fields,
    v3_free,
    v3_load,
    v3_marginal_price,
    v3_price_bound,
    v3_quote,
)
from mevfast.types cimport (
    POOL_ALGEBRA_INTEGRAL,
    POOL_ALGEBRA_V1,
    POOL_BALANCER_COMPOSABLE_STABLE,
    POOL_BALANCER_WEIGHTED,
    POOL_CAMELOT_V2,
    POOL_CURVE_STABLE,
    POOL_CURVE_STABLE_NG,
    POOL_CURVE_TRICRYPTO_NG,
    POOL_CURVE_TWOCRYPTO_NG,
    POOL_PANCAKE_V3,
    POOL_SOLIDLY,
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    POOL_UNISWAP_V4,
    QUOTE_INVARIANT,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_PRICE_LIMIT,
    QUOTE_UNKNOWN_KIND,
    QUOTE_UNSUPPORTED,
    QUOTE_ZERO_AMOUNT,
    pool_quote,
    pool_state,
)
from mevfast.u256 cimport Q96_INVERSE, u128_to_double, u256, u256_to_double

from mevfast.errors import DataError

# Of every kind, the state fields that a swap moves: the keys of Quote.after.
_PRICE = ("sqrt_price_x96", "tick", "liquidity")
AFTER_FIELDS = {
    "uniswap_v2": ("reserve0", "reserve1"),
    "uniswap_v3": _PRICE,
    "pancake_v3": _PRICE,
    "algebra_v1": _PRICE,
    "algebra_integral": _PRICE,
    "uniswap_v4": _PRICE,
    "camelot_v2": ("reserve0", "reserve1"),
    "solidly": ("reserve0", "reserve1"),
    "curve_stable": ("balances",),
    "curve_stable_ng": ("balances",),
    "curve_tricrypto_ng": ("balances", "d"),
    "curve_twocrypto_ng": ("balances", "d"),
    "balancer_weighted": ("balances",),
    "balancer_composable_stable": ("balances",),
}
KINDS = tuple(AFTER_FIELDS)
KIND_NUMBERS = {
    "uniswap_v2": POOL_UNISWAP_V2,
    "uniswap_v3": POOL_UNISWAP_V3,
    "pancake_v3": POOL_PANCAKE_V3,
    "algebra_v1": POOL_ALGEBRA_V1,
    "algebra_integral": POOL_ALGEBRA_INTEGRAL,
    "uniswap_v4": POOL_UNISWAP_V4,
    "camelot_v2": POOL_CAMELOT_V2,
    "solidly": POOL_SOLIDLY,
    "curve_stable": POOL_CURVE_STABLE,
    "curve_stable_ng": POOL_CURVE_STABLE_NG,
    "curve_tricrypto_ng": POOL_CURVE_TRICRYPTO_NG,
    "curve_twocrypto_ng": POOL_CURVE_TWOCRYPTO_NG,
    "balancer_weighted": POOL_BALANCER_WEIGHTED,
    "balancer_composable_stable": POOL_BALANCER_COMPOSABLE_STABLE,
}


class Quote(namedtuple("Quote", "amount_in amount_out after price_before price_after")):
    """A swap that the contract would execute: amounts in wei, the state fields that it moves.

    Prices are marginal, of the states before and after: tokens out per token in, fee taken off.
    """

    __slots__ = ()

    @property
    def price_impact(self):
        """The part of the price that the swap takes away; None where there was no price."""
        return 1.0 - self.price_after / self.price_before if self.price_before > 0.0 else None


_new_tuple = tuple.__new__  # a named tuple's own constructor runs Python code
Refused = namedtuple("Refused", ("reason",), module=__name__)

_REASONS = {
    QUOTE_ZERO_AMOUNT: "ZERO_AMOUNT",
    QUOTE_NO_OUTPUT: "NO_OUTPUT",
    QUOTE_NO_LIQUIDITY: "NO_LIQUIDITY",
    QUOTE_OVERFLOW: "OVERFLOW",
    QUOTE_PRICE_LIMIT: "PRICE_LIMIT",
    QUOTE_UNKNOWN_KIND: "UNKNOWN_KIND",
    QUOTE_INVARIANT: "INVARIANT",
    QUOTE_UNSUPPORTED: "UNSUPPORTED",
}


cdef enum pool_family:
    FAMILY_NONE
    FAMILY_V2
    FAMILY_V3
    FAMILY_SOLIDLY
    FAMILY_CURVE
    FAMILY_CRYPTO
    FAMILY_BALANCER


cdef inline pool_family _family(uint32_t kind) noexcept nogil:
    """Which kernel a kind belongs to: the member of pool_state's union that it uses."""
    if kind == POOL_UNISWAP_V2:
        return FAMILY_V2
    if POOL_UNISWAP_V3 <= kind <= POOL_UNISWAP_V4:
        return FAMILY_V3
    if kind == POOL_CAMELOT_V2 or kind == POOL_SOLIDLY:
        return FAMILY_SOLIDLY
    if kind == POOL_CURVE_STABLE or kind == POOL_CURVE_STABLE_NG:
        return FAMILY_CURVE
    if kind == POOL_CURVE_TRICRYPTO_NG or kind == POOL_CURVE_TWOCRYPTO_NG:
        return FAMILY_CRYPTO
    if kind == POOL_BALANCER_WEIGHTED or kind == POOL_BALANCER_COMPOSABLE_STABLE:
        return FAMILY_BALANCER
    return FAMILY_NONE


cdef int pool_quote_limited(
    const pool_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil:
    """pool_quote_exact with a price limit for kinds that have one; NULL for none."""
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_V2:
        return v2_quote(&s.v2, token_in == 0, exact_in, amount, q)
    if family == FAMILY_V3:
        return v3_quote(&s.v3, token_in == 0, exact_in, amount, sqrt_price_limit_x96, q)
    if family == FAMILY_SOLIDLY:
        return solidly_quote(&s.solidly, token_in, token_out, exact_in, amount, q)
    if family == FAMILY_CURVE:
        return curve_quote(&s.curve, token_in, token_out, exact_in, amount, q)
    if family == FAMILY_CRYPTO:
        return crypto_quote(&s.crypto, token_in, token_out, exact_in, amount, q)
    if family == FAMILY_BALANCER:
        return balancer_quote(&s.balancer, token_in, token_out, exact_in, amount, q)
    return QUOTE_UNKNOWN_KIND


cdef int pool_quote_exact(
    const pool_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """What the contract would take and pay for `amount`, input or output by exact_in (0 or 1).

    Tokens are indices into the pool's own, different ones. Fills q and returns QUOTE_OK, or
    returns the reason and leaves q undefined.
    """
    return pool_quote_limited(s, token_in, token_out, exact_in, amount, NULL, q)


cdef double pool_marginal_price(const pool_state *s, int token_in, int token_out) noexcept nogil:
    """Tokens out per token in of an infinitesimal swap, fee taken off; 0.0 without liquidity."""
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_V2:
        return v2_marginal_price(&s.v2, token_in == 0)
    if family == FAMILY_V3:
        return v3_marginal_price(&s.v3, token_in == 0)
    if family == FAMILY_SOLIDLY:
        return solidly_marginal_price(&s.solidly, token_in, token_out)
    if family == FAMILY_CURVE:
        return curve_marginal_price(&s.curve, token_in, token_out)
    if family == FAMILY_CRYPTO:
        return crypto_marginal_price(&s.crypto, token_in, token_out)
    if family == FAMILY_BALANCER:
        return balancer_marginal_price(&s.balancer, token_in, token_out)
    return 0.0


cdef double pool_price_bound(const pool_state *s, int token_in, int token_out) noexcept nogil:
    """What no exact-in swap pays more than, per token in, whatever its size.

    The marginal price, where prices only move against the trader; where the fee falls on the way
    (StableSwap NG, CryptoSwap), the price with the lowest fee; where a V3 pool has no liquidity
    at its price, the price of what may lie ahead. Up to 1e-12 of it, and rounding: see
    tests/property/test_price_bound.py.
    """
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_V3:
        return v3_price_bound(&s.v3, token_in == 0)
    if family == FAMILY_CURVE:
        return curve_price_bound(&s.curve, token_in, token_out)
    if family == FAMILY_CRYPTO:
        return crypto_price_bound(&s.crypto, token_in, token_out)
    return pool_marginal_price(s, token_in, token_out)


cdef bint pool_price_can_rise(const pool_state *s, int token_in, int token_out) noexcept nogil:
    """Whether a swap's last unit may be paid better than its first one: its fee falls at first."""
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_CURVE:
        return curve_price_can_rise(&s.curve, token_in, token_out)
    if family == FAMILY_CRYPTO:
        return crypto_price_can_rise(&s.crypto, token_in, token_out)
    return False


cdef double pool_slope(
    const pool_state *s, int token_in, int token_out, const u256 *amount_in,
    const u256 *amount_out, double price_after,
) noexcept nogil:
    """d(output) / d(input) at the end of an exact-in swap, amounts and price_after of its quote.

    Unlike price_after, of a pool that has not kept the swap's fee, and with the change of the fee.
    """
    cdef double fee_at, fee_rise
    return pool_slope_and_fee(s, token_in, token_out, amount_in, amount_out, price_after, &fee_at,
                              &fee_rise)


cdef double pool_slope_and_fee(
    const pool_state *s, int token_in, int token_out, const u256 *amount_in,
    const u256 *amount_out, double price_after, double *fee_at, double *fee_rise,
) noexcept nogil:
    """pool_slope, and of a pool whose fee moves with the swap, the fee at its end in the units in
    which the contract rounds it down, and what a unit of input adds to it; 0 otherwise."""
    cdef pool_family family = _family(s.kind)
    fee_at[0] = fee_rise[0] = 0.0
    if family == FAMILY_V2:
        return v2_slope(&s.v2, token_in == 0, amount_in, price_after)
    if family == FAMILY_SOLIDLY:
        return solidly_slope(&s.solidly, token_in, amount_in, amount_out)
    if family == FAMILY_CURVE:
        return curve_slope(
            &s.curve, token_in, token_out, amount_in, amount_out, fee_at, fee_rise
        )
    if family == FAMILY_CRYPTO:
        return crypto_slope(
            &s.crypto, token_in, token_out, amount_in, amount_out, fee_at, fee_rise
        )
    if family == FAMILY_BALANCER:
        return balancer_slope(&s.balancer, token_in, token_out, amount_in, amount_out)
    return price_after


cdef double pool_input_fee(const pool_state *s, int token_in, bint *up) noexcept nogil:
    """The share of the input that the pool rounds to a unit of it, up or down, before it swaps the
    rest: amounts just before that unit is due are worth up to a unit more. 0.0 where there is none.
    """
    cdef pool_family family = _family(s.kind)
    up[0] = family != FAMILY_SOLIDLY
    if family == FAMILY_V3:
        return s.v3.fee_pips[token_in] * 1e-6
    if family == FAMILY_BALANCER:
        return u256_to_double(&s.balancer.swap_fee) * 1e-18
    if family == FAMILY_SOLIDLY and (s.kind == POOL_SOLIDLY or s.solidly.stable):
        return <double>s.solidly.fee[token_in] / s.solidly.fee_denominator
    return 0.0


cdef bint pool_rounds_output_fee(const pool_state *s) noexcept nogil:
    """Whether the pool takes its fee off the output and rounds it down to a unit of that."""
    return _family(s.kind) == FAMILY_CRYPTO


cdef void pool_reserves(
    const pool_state *s, int token_in, int token_out, double *reserve_in, double *reserve_out,
) noexcept nogil:
    """What the pool holds of two tokens; of V3, the virtual reserves at its price."""
    cdef pool_family family = _family(s.kind)
    cdef double root
    reserve_in[0] = reserve_out[0] = 0.0
    if family == FAMILY_V2:
        reserve_in[0] = u128_to_double(s.v2.reserve0 if token_in == 0 else s.v2.reserve1)
        reserve_out[0] = u128_to_double(s.v2.reserve1 if token_in == 0 else s.v2.reserve0)
    elif family == FAMILY_V3:
        root = u256_to_double(&s.v3.sqrt_price_x96) * Q96_INVERSE
        if root > 0.0:
            reserve_in[0] = reserve_out[0] = u128_to_double(s.v3.liquidity)
            reserve_in[0] *= 1.0 / root if token_in == 0 else root
            reserve_out[0] *= root if token_in == 0 else 1.0 / root
    elif family == FAMILY_SOLIDLY:
        reserve_in[0] = u256_to_double(&s.solidly.reserve[token_in])
        reserve_out[0] = u256_to_double(&s.solidly.reserve[token_out])
    elif family == FAMILY_CURVE:
        reserve_in[0] = u256_to_double(&s.curve.balance[token_in])
        reserve_out[0] = u256_to_double(&s.curve.balance[token_out])
    elif family == FAMILY_CRYPTO:
        reserve_in[0] = u256_to_double(&s.crypto.balance[token_in])
        reserve_out[0] = u256_to_double(&s.crypto.balance[token_out])
    elif family == FAMILY_BALANCER:
        reserve_in[0] = u256_to_double(&s.balancer.balance[token_in])
        reserve_out[0] = u256_to_double(&s.balancer.balance[token_out])


cdef void pool_apply_after(
    pool_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q, a QUOTE_OK of s itself, describes."""
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_V2:
        s.v2.reserve0 = q.after.v2.reserve0
        s.v2.reserve1 = q.after.v2.reserve1
    elif family == FAMILY_V3:
        v3_apply_after(&s.v3, q)
    elif family == FAMILY_SOLIDLY:
        solidly_apply_after(&s.solidly, token_in, token_out, q)
    elif family == FAMILY_CURVE:
        curve_apply_after(&s.curve, token_in, token_out, q)
    elif family == FAMILY_CRYPTO:
        crypto_apply_after(&s.crypto, token_in, token_out, q)
    elif family == FAMILY_BALANCER:
        balancer_apply_after(&s.balancer, token_in, token_out, q)


cdef int pool_n_tokens(const pool_state *s) noexcept nogil:
    """How many tokens the pool's indices count, its own token included where it is listed."""
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_CURVE:
        return s.curve.n_tokens
    if family == FAMILY_CRYPTO:
        return s.crypto.n_tokens
    if family == FAMILY_BALANCER:
        return s.balancer.n_tokens
    return 2


cdef int _load(pool_state *state, object fields, str where) except -1:
    cdef pool_family family = _family(state.kind)
    if family == FAMILY_V2:
        return v2_load(state, fields, where)
    if family == FAMILY_V3:
        return v3_load(state, fields, where)
    if family == FAMILY_SOLIDLY:
        return solidly_load(state, fields, where)
    if family == FAMILY_CURVE:
        return curve_load(state, fields, where)
    if family == FAMILY_CRYPTO:
        return crypto_load(state, fields, where)
    return balancer_load(state, fields, where)


cdef object pool_state_fields(const pool_state *s):
    """The fields that Pool takes, integers throughout; s.kind is not POOL_NONE."""
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_V2:
        return v2_fields(s)
    if family == FAMILY_V3:
        return v3_fields(s)
    if family == FAMILY_SOLIDLY:
        return solidly_fields(s)
    if family == FAMILY_CURVE:
        return curve_fields(s)
    if family == FAMILY_CRYPTO:
        return crypto_fields(s)
    return balancer_fields(s)


cdef object _after_fields(const pool_state *s, int token_in, int token_out, const pool_quote *q):
    cdef pool_family family = _family(s.kind)
    if family == FAMILY_V2:
        return v2_after_fields(q)
    if family == FAMILY_V3:
        return v3_after_fields(q)
    if family == FAMILY_SOLIDLY:
        return solidly_after_fields(s, token_in, token_out, q)
    if family == FAMILY_CURVE:
        return curve_after_fields(s, token_in, token_out, q)
    if family == FAMILY_CRYPTO:
        return crypto_after_fields(s, token_in, token_out, q)
    return balancer_after_fields(s, token_in, token_out, q)


cdef int _exact_in(object exact) except -1:
    if exact == "in":
        return True
    if exact == "out":
        return False
    raise ValueError(f"exact: expected 'in' or 'out', was {exact!r}")


cdef class Pool:
    """One pool's exact state, and what its contract would answer.

    `kind` is one of KINDS; `fields` holds the state fields that mevfast-vectors/1 gives that kind,
    integers or decimal strings; `where` is put before field names in errors ("pools[3]."). Fields
    that the kind does not have are ignored. DataError names a field that is missing or wrong.
    Tokens are indices into the pool's own; a pool of two needs no token_out.
    """

    def __cinit__(self, kind, fields, where=""):
        if kind not in KINDS:
            raise DataError(f"{where}kind: expected one of {', '.join(KINDS)}, was {kind!r:.60}")
        if not hasattr(fields, "keys"):
            raise DataError(
                f"{where.rstrip('.') or 'pool'}: expected an object, was {type(fields).__name__}"
            )
        self.kind = kind
        self.state.kind = KIND_NUMBERS[kind]
        _load(&self.state, fields, where)
        self.n_tokens = pool_n_tokens(&self.state)

    def __dealloc__(self):
        if _family(self.state.kind) == FAMILY_V3:
            v3_free(&self.state)

    cdef int _tokens(self, int *i, int *j, object token_in, object token_out) except -1:
        """*i and *j = the two indices; ValueError where there are no such two tokens."""
        cdef int n = self.n_tokens
        if token_in not in range(n):
            raise ValueError(f"token_in: expected an index below {n}, was {token_in!r}")
        i[0] = token_in
        if token_out is None and n == 2:
            j[0] = 1 - i[0]
            return 0
        if token_out not in range(n) or token_out == token_in:
            raise ValueError(
                f"token_out: expected an index below {n} other than {token_in}, was {token_out!r}"
            )
        j[0] = token_out
        return 0

    def fields(self):
        """The state as the fields that the constructor takes, integers throughout."""
        return pool_state_fields(&self.state)

    def quote(self, token_in, amount, exact="in", sqrt_price_limit_x96=None, token_out=None):
        """Swaps `amount` wei of the input (exact "in") or output ("out") on a copy of the state.

        Returns a Quote, or Refused(reason) where the contract would revert. A concentrated-liquidity pool that runs out, of liquidity or at the
        limit, fills in part. TypeError or ValueError for other arguments.
        """
        cdef u256 wei, limit
        cdef pool_quote q
        cdef int i, j, status, exact_in = _exact_in(exact)
        self._tokens(&i, &j, token_in, token_out)
        u256_from_pyint(&wei, amount)
        if sqrt_price_limit_x96 is not None:
            if _family(self.state.kind) != FAMILY_V3:
                raise ValueError(f"sqrt_price_limit_x96: {self.kind} has no price limit")
            u256_from_pyint(&limit, sqrt_price_limit_x96)
        status = pool_quote_limited(
            &self.state, i, j, exact_in, &wei, NULL if sqrt_price_limit_x96 is None else &limit, &q
        )
        return self._answer(status, i, j, &q)

    cdef object _answer(self, int status, int i, int j, const pool_quote *q):
        if status != QUOTE_OK:
            return Refused(_REASONS[status])
        return _new_tuple(Quote, (
            u256_to_pyint(&q.amount_in), u256_to_pyint(&q.amount_out),
            _after_fields(&self.state, i, j, q),
            pool_marginal_price(&self.state, i, j), q.price_after,
        ))

    def apply(self, token_in, amount, exact="in", token_out=None):
        """quote(), and where it is a Quote the state becomes the one after the swap."""
        cdef u256 wei
        cdef pool_quote q
        cdef int i, j, status, exact_in = _exact_in(exact)
        self._tokens(&i, &j, token_in, token_out)
        u256_from_pyint(&wei, amount)
        status = pool_quote_exact(&self.state, i, j, exact_in, &wei, &q)
        answer = self._answer(status, i, j, &q)
        if status == QUOTE_OK:
            pool_apply_after(&self.state, i, j, &q)
        return answer

    def marginal_price(self, token_in, token_out=None):
        """Tokens out per token in of an infinitesimal swap, fee taken off; 0.0 when empty."""
        cdef int i, j
        self._tokens(&i, &j, token_in, token_out)
        return pool_marginal_price(&self.state, i, j)

    def price_bound(self, token_in, token_out=None):
        """Tokens out per token in that no exact-in swap beats, whatever its size; fee taken off."""
        cdef int i, j
        self._tokens(&i, &j, token_in, token_out)
        return pool_price_bound(&self.state, i, j)

    def slope(self, token_in, amount, token_out=None):
        """What the last unit of an exact-in swap of `amount` adds to its output; 0.0 if refused."""
        cdef u256 wei
        cdef pool_quote q
        cdef int i, j
        self._tokens(&i, &j, token_in, token_out)
        u256_from_pyint(&wei, amount)
        if pool_quote_exact(&self.state, i, j, True, &wei, &q) != QUOTE_OK:
            return 0.0
        return pool_slope(&self.state, i, j, &q.amount_in, &q.amount_out, q.price_after)

    def time_quotes(self, token_in, amount, exact, count, token_out=None):
        """CPU seconds that `count` equal quotes take in a C loop: for benches."""
        cdef u256 wei
        cdef pool_quote q
        cdef long k, n = count
        cdef int i, j, exact_in = _exact_in(exact)
        cdef clock_t start
        self._tokens(&i, &j, token_in, token_out)
        u256_from_pyint(&wei, amount)
        with nogil:
            start = clock()
            for k in range(n):
                pool_quote_exact(&self.state, i, j, exact_in, &wei, &q)
            start = clock() - start
        return <double>start / CLOCKS_PER_SEC
