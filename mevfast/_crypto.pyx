"""Curve CryptoSwap pools: tricrypto-ng and twocrypto-ng."""

from mevfast.types cimport QUOTE_UNKNOWN_KIND, crypto_state, pool_quote, pool_state
from mevfast.u256 cimport u256

from mevfast.errors import DataError


cdef double crypto_marginal_price(
    const crypto_state *s, int token_in, int token_out,
) noexcept nogil:
    """Tokens out per token in for an infinitesimal swap, fee taken off; 0.0 for an empty pool."""
    return 0.0


cdef int crypto_quote(
    const crypto_state *s, int token_in, int token_out, int exact_in, const u256 *amount,
    pool_quote *q,
) noexcept nogil:
    """Fills q and returns QUOTE_OK, or returns why the contract would revert."""
    return QUOTE_UNKNOWN_KIND


cdef void crypto_apply_after(
    crypto_state *s, int token_in, int token_out, const pool_quote *q,
) noexcept nogil:
    """Moves s to the state after the swap that q describes."""


cdef int crypto_load(pool_state *state, object fields, str where) except -1:
    """Fills state.crypto by state.kind from the fields of mevfast-vectors/1; DataError names a wrong one."""
    raise DataError(f"{where}kind: not built yet")


cdef object crypto_fields(const pool_state *state):
    """The fields that crypto_load takes."""
    return {}


cdef object crypto_after_fields(
    const pool_state *state, int token_in, int token_out, const pool_quote *q,
):
    """The fields that the quoted swap moves, as they are after it."""
    return {}
