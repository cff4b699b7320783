"""Balancer V2 weighted and composable stable pools."""

from mevfast.types cimport QUOTE_UNKNOWN_KIND, balancer_state, pool_quote, pool_state
from mevfast.u256 cimport u256

from mevfast.errors import DataError


cdef double balancer_marginal_price(
    const balancer_state *s, int token_in, int token_out,
) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    return 0.0


cdef int balancer_quote(
    const balancer_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the contract would revert."""
    return QUOTE_UNKNOWN_KIND


cdef void balancer_apply_after(
    balancer_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q describes."""


cdef int balancer_load(pool_state *state, object fields, str where) except -1:
    """Fills state.balancer by state.kind from the fields of mevfast-vectors/1; DataError names a wrong one."""
    raise DataError(f"{where}kind: not built yet")


cdef object balancer_fields(const pool_state *state):
    """The fields that balancer_load takes."""
    return {}


cdef object balancer_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
):
    """The fields that the quoted swap moves, as they are after it."""
    return {}
