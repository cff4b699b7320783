"""The only place that knows every pool kind: dispatch over pool_state, and its Python face.

A kind is added here, in pool.h and in its own kernel, nowhere else in the compiled half. Must not
know addresses, tokens or where a state came from.
"""

import re
from collections import namedtuple

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.time cimport CLOCKS_PER_SEC, clock, clock_t

from mevfast._math cimport (
    i128_from_pyint,
    i128_to_pyint,
    u128_from_pyint,
    u128_to_pyint,
    u256_from_pyint,
    u256_to_pyint,
)
from mevfast._univ2 cimport v2_marginal_price, v2_quote
from mevfast._univ3 cimport v3_marginal_price, v3_quote
from mevfast.types cimport (
    POOL_UNISWAP_V2,
    POOL_UNISWAP_V3,
    QUOTE_NO_LIQUIDITY,
    QUOTE_NO_OUTPUT,
    QUOTE_OK,
    QUOTE_OVERFLOW,
    QUOTE_PRICE_LIMIT,
    QUOTE_UNKNOWN_KIND,
    QUOTE_ZERO_AMOUNT,
    pool_quote,
    pool_state,
    v2_state,
    v3_state,
    v3_tick,
)
from mevfast.u256 cimport (
    MAX_TICK,
    MIN_TICK,
    u128_make,
    u256,
)

from mevfast._math import MAX_SQRT_RATIO, MIN_SQRT_RATIO, get_sqrt_ratio_at_tick
from mevfast.errors import DataError

# Of every kind, the state fields that a swap moves: the keys of Quote.after.
AFTER_FIELDS = {
    "uniswap_v2": ("reserve0", "reserve1"),
    "uniswap_v3": ("sqrt_price_x96", "tick", "liquidity"),
}
KINDS = tuple(AFTER_FIELDS)

Quote = namedtuple("Quote", ("amount_in", "amount_out", "after", "price_after"), module=__name__)
Refused = namedtuple("Refused", ("reason",), module=__name__)

_REASONS = {
    QUOTE_ZERO_AMOUNT: "ZERO_AMOUNT",
    QUOTE_NO_OUTPUT: "NO_OUTPUT",
    QUOTE_NO_LIQUIDITY: "NO_LIQUIDITY",
    QUOTE_OVERFLOW: "OVERFLOW",
    QUOTE_PRICE_LIMIT: "PRICE_LIMIT",
    QUOTE_UNKNOWN_KIND: "UNKNOWN_KIND",
}
_MAX_TICK_SPACING = 16383  # UniswapV3Factory.enableFeeAmount
_DECIMAL = re.compile(r"-?[0-9]{1,80}", re.ASCII)


cdef int pool_quote_limited(
    const pool_state *s, int zero_for_one, int exact_in, const u256 *amount,
    const u256 *sqrt_price_limit_x96, pool_quote *q,
) noexcept nogil:
    """pool_quote_exact with a price limit for kinds that have one; NULL for none."""
    if s.kind == POOL_UNISWAP_V2:
        return v2_quote(&s.v2, zero_for_one, exact_in, amount, q)
    if s.kind == POOL_UNISWAP_V3:
        return v3_quote(&s.v3, zero_for_one, exact_in, amount, sqrt_price_limit_x96, q)
    return QUOTE_UNKNOWN_KIND


cdef int pool_quote_exact(
    const pool_state *s, int zero_for_one, int exact_in, const u256 *amount, pool_quote *q,
) noexcept nogil:
    """What the contract would take and pay for `amount`, input or output by exact_in (0 or 1).

    Fills q and returns QUOTE_OK, or returns the reason and leaves q undefined.
    """
    return pool_quote_limited(s, zero_for_one, exact_in, amount, NULL, q)


cdef double pool_marginal_price(const pool_state *s, int zero_for_one) noexcept nogil:
    """Tokens out per token in of an infinitesimal swap, fee taken off; 0.0 without liquidity."""
    if s.kind == POOL_UNISWAP_V2:
        return v2_marginal_price(&s.v2, zero_for_one)
    if s.kind == POOL_UNISWAP_V3:
        return v3_marginal_price(&s.v3, zero_for_one)
    return 0.0


cdef void pool_apply_after(pool_state *s, const pool_quote *q) noexcept nogil:
    """Moves s to the state after the swap that q, a QUOTE_OK of s itself, describes."""
    if s.kind == POOL_UNISWAP_V2:
        s.v2.reserve0 = q.after.v2.reserve0
        s.v2.reserve1 = q.after.v2.reserve1
    elif s.kind == POOL_UNISWAP_V3:
        s.v3.sqrt_price_x96 = q.after.v3.sqrt_price_x96
        s.v3.liquidity = q.after.v3.liquidity
        s.v3.tick = q.after.v3.tick


def parse_integer(value, str where, low, high):
    """An int, or a decimal string, in [low, high]; DataError names `where` otherwise."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where}: expected an integer or a decimal string, was {value!r:.60}")
    if not low <= value <= high:
        raise DataError(f"{where}: expected an integer in [{low}, {high}], was {value}")
    return value


def _field(fields, str name, str where, low, high):
    if name not in fields:
        raise DataError(f"{where}{name}: expected an integer or a decimal string, was missing")
    return parse_integer(fields[name], where + name, low, high)


def _ticks(fields, str where, int spacing):
    """Sorted [(tick, liquidity_net)] of a V3 state."""
    entries = fields.get("ticks")
    if not isinstance(entries, list | tuple):
        raise DataError(
            f"{where}ticks: expected a list of [tick, liquidity_net], was "
            f"{'missing' if 'ticks' not in fields else type(entries).__name__}"
        )
    found = {}
    for i, entry in enumerate(entries):
        at = f"{where}ticks[{i}]"
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise DataError(f"{at}: expected [tick, liquidity_net], was {entry!r:.60}")
        tick = parse_integer(entry[0], f"{at}[0]", MIN_TICK, MAX_TICK)
        if tick % spacing:
            raise DataError(f"{at}[0]: expected a multiple of tick_spacing {spacing}, was {tick}")
        if tick in found:
            raise DataError(f"{at}[0]: expected every tick once, was {tick} again")
        found[tick] = parse_integer(entry[1], f"{at}[1]", -(1 << 127), (1 << 127) - 1)
    return sorted(found.items())


def _check_tick(tick, sqrt_price_x96, str where):
    """slot0's two halves agree; after a downward stop on a crossed tick, tick is one lower."""
    if sqrt_price_x96 == 0:
        return
    if sqrt_price_x96 < MIN_SQRT_RATIO:
        raise DataError(
            f"{where}sqrt_price_x96: expected 0 (not initialised) or an integer in "
            f"[{MIN_SQRT_RATIO}, {MAX_SQRT_RATIO - 1}], was {sqrt_price_x96}"
        )
    if not get_sqrt_ratio_at_tick(tick) <= sqrt_price_x96 <= get_sqrt_ratio_at_tick(
        min(tick + 1, MAX_TICK)
    ):
        raise DataError(
            f"{where}tick: expected the tick of sqrt_price_x96 {sqrt_price_x96}, was {tick}"
        )


cdef int _load_v2(pool_state *state, object fields, str where) except -1:
    cdef v2_state *s = &state.v2
    s.fee_pips = _field(fields, "fee_pips", where, 0, 999_999)
    u128_from_pyint(&s.reserve0, _field(fields, "reserve0", where, 0, (1 << 112) - 1))
    u128_from_pyint(&s.reserve1, _field(fields, "reserve1", where, 0, (1 << 112) - 1))
    state.kind = POOL_UNISWAP_V2
    return 0


cdef int _load_v3(pool_state *state, object fields, str where) except -1:
    cdef v3_state *s = &state.v3
    cdef v3_tick *entry
    s.fee_pips = _field(fields, "fee_pips", where, 0, 999_999)
    s.tick_spacing = _field(fields, "tick_spacing", where, 1, _MAX_TICK_SPACING)
    price = _field(fields, "sqrt_price_x96", where, 0, MAX_SQRT_RATIO - 1)
    u256_from_pyint(&s.sqrt_price_x96, price)
    s.tick = _field(fields, "tick", where, MIN_TICK, MAX_TICK)
    _check_tick(s.tick, price, where)
    u128_from_pyint(&s.liquidity, _field(fields, "liquidity", where, 0, (1 << 128) - 1))
    ticks = _ticks(fields, where, s.tick_spacing)
    entry = <v3_tick *>malloc(max(1, len(ticks)) * sizeof(v3_tick))
    if entry == NULL:
        raise MemoryError
    s.ticks = entry
    s.n_ticks = <uint32_t>len(ticks)
    state.kind = POOL_UNISWAP_V3
    for tick, net in ticks:
        entry.tick = tick
        entry.liquidity_gross = u128_make(0, 0)
        i128_from_pyint(&entry.liquidity_net, net)
        entry += 1
    return 0


cdef object _after(uint32_t kind, const pool_quote *q):
    if kind == POOL_UNISWAP_V2:
        return {
            "reserve0": u128_to_pyint(q.after.v2.reserve0),
            "reserve1": u128_to_pyint(q.after.v2.reserve1),
        }
    return {
        "sqrt_price_x96": u256_to_pyint(&q.after.v3.sqrt_price_x96),
        "tick": q.after.v3.tick,
        "liquidity": u128_to_pyint(q.after.v3.liquidity),
    }


cdef object _answer(uint32_t kind, int status, const pool_quote *q):
    if status != QUOTE_OK:
        return Refused(_REASONS[status])
    return Quote(
        u256_to_pyint(&q.amount_in), u256_to_pyint(&q.amount_out), _after(kind, q), q.price_after
    )


cdef int _zero_for_one(object token_in) except -1:
    if token_in not in (0, 1):
        raise ValueError(f"token_in: expected 0 or 1, was {token_in!r}")
    return token_in == 0


cdef int _exact_in(object exact) except -1:
    if exact not in ("in", "out"):
        raise ValueError(f"exact: expected 'in' or 'out', was {exact!r}")
    return exact == "in"


cdef class Pool:
    """One pool's exact state, and what its contract would answer.

    `kind` is one of KINDS; `fields` holds the state fields that mevfast-vectors/1 gives that kind,
    integers or decimal strings; `where` is put before field names in errors ("pools[3]."). Fields
    that the kind does not have are ignored. DataError names a field that is missing or wrong.
    """

    def __cinit__(self, kind, fields, where=""):
        if kind not in KINDS:
            raise DataError(f"{where}kind: expected one of {', '.join(KINDS)}, was {kind!r:.60}")
        if not hasattr(fields, "keys"):
            raise DataError(
                f"{where.rstrip('.') or 'pool'}: expected an object, was {type(fields).__name__}"
            )
        self.kind = kind
        if kind == "uniswap_v2":
            _load_v2(&self.state, fields, where)
        else:
            _load_v3(&self.state, fields, where)

    def __dealloc__(self):
        if self.state.kind == POOL_UNISWAP_V3:
            free(<void *>self.state.v3.ticks)

    def fields(self):
        """The state as the fields that the constructor takes, integers throughout."""
        cdef v3_state *s = &self.state.v3
        cdef uint32_t i
        if self.state.kind == POOL_UNISWAP_V2:
            return {
                "fee_pips": self.state.v2.fee_pips,
                "reserve0": u128_to_pyint(self.state.v2.reserve0),
                "reserve1": u128_to_pyint(self.state.v2.reserve1),
            }
        return {
            "fee_pips": s.fee_pips,
            "tick_spacing": s.tick_spacing,
            "sqrt_price_x96": u256_to_pyint(&s.sqrt_price_x96),
            "tick": s.tick,
            "liquidity": u128_to_pyint(s.liquidity),
            "ticks": [
                [s.ticks[i].tick, i128_to_pyint(s.ticks[i].liquidity_net)]
                for i in range(s.n_ticks)
            ],
        }

    def quote(self, token_in, amount, exact="in", sqrt_price_limit_x96=None):
        """Swaps `amount` wei of the input (exact "in") or output ("out") on a copy of the state.

        Returns Quote(amount_in, amount_out, after, price_after), or Refused(reason) where the
        contract would revert. `token_in` is 0 or 1. A concentrated-liquidity pool that runs out,
        of liquidity or at the limit, fills in part. TypeError or ValueError for other arguments.
        """
        cdef u256 wei, limit
        cdef pool_quote q
        cdef int status
        cdef int zero_for_one = _zero_for_one(token_in), exact_in = _exact_in(exact)
        u256_from_pyint(&wei, amount)
        if sqrt_price_limit_x96 is not None:
            if self.state.kind != POOL_UNISWAP_V3:
                raise ValueError(f"sqrt_price_limit_x96: {self.kind} has no price limit")
            u256_from_pyint(&limit, sqrt_price_limit_x96)
        status = pool_quote_limited(
            &self.state, zero_for_one, exact_in, &wei,
            NULL if sqrt_price_limit_x96 is None else &limit, &q,
        )
        return _answer(self.state.kind, status, &q)

    def apply(self, token_in, amount, exact="in"):
        """quote(), and where it is a Quote the state becomes the one after the swap."""
        cdef u256 wei
        cdef pool_quote q
        cdef int status
        u256_from_pyint(&wei, amount)
        status = pool_quote_exact(
            &self.state, _zero_for_one(token_in), _exact_in(exact), &wei, &q
        )
        if status == QUOTE_OK:
            pool_apply_after(&self.state, &q)
        return _answer(self.state.kind, status, &q)

    def marginal_price(self, token_in):
        """Tokens out per token in of an infinitesimal swap, fee taken off; 0.0 when empty."""
        return pool_marginal_price(&self.state, _zero_for_one(token_in))

    def time_quotes(self, token_in, amount, exact, count):
        """CPU seconds that `count` equal quotes take in a C loop: for benches."""
        cdef u256 wei
        cdef pool_quote q
        cdef long i, n = count
        cdef int zero_for_one = _zero_for_one(token_in), exact_in = _exact_in(exact)
        cdef clock_t start
        u256_from_pyint(&wei, amount)
        with nogil:
            start = clock()
            for i in range(n):
                pool_quote_exact(&self.state, zero_for_one, exact_in, &wei, &q)
            start = clock() - start
        return <double>start / CLOCKS_PER_SEC
