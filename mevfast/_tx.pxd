"""What compiled callers cimport: sign a digest, encode calldata, transaction and request in place.

Every encoder writes into the caller's buffer, allocates nothing and returns the length, or -1 with
the buffer's content undefined. A Signer passed to a `cdef` function must not be None.
"""

cimport cython
from libc.stdint cimport uint8_t, uint64_t

from mevfast.types cimport swap_plan
from mevfast.u256 cimport u256


cdef enum:
    EXECUTE_CALLDATA = 4 + 32 * (2 + 4)    # bytes: selector, terms, amounts, PLAN_MAX_HOPS words
    TX_OVERHEAD = 256                 # what a transaction adds to its calldata, at most
    SEND_RAW_OVERHEAD = 96            # what a request adds to the hex digits, at most


# An EIP-1559 transaction without access list. Fees are wei per gas: 64 bits hold 18 ETH per gas.
cdef struct tx_fields:
    uint64_t chain_id
    uint64_t nonce
    uint64_t max_priority_fee
    uint64_t max_fee
    uint64_t gas_limit
    uint8_t to[20]
    u256 value


# libsecp256k1's functions that signing needs; contexts, keys and signatures are opaque to us.
cdef struct secp_api:
    void *(*context_create)(unsigned int flags) noexcept nogil
    void (*context_destroy)(void *context) noexcept nogil
    int (*context_randomize)(void *context, const uint8_t *seed32) noexcept nogil
    int (*pubkey_create)(const void *context, void *pubkey, const uint8_t *key32) noexcept nogil
    int (*pubkey_serialize)(const void *context, uint8_t *out, size_t *n, const void *pubkey,
                            unsigned int flags) noexcept nogil
    int (*sign_recoverable)(const void *context, void *signature, const uint8_t *digest32,
                            const uint8_t *key32, void *nonce_function,
                            const void *nonce_data) noexcept nogil
    int (*serialize_compact)(const void *context, uint8_t *out64, int *recid,
                             const void *signature) noexcept nogil


@cython.final
cdef class Signer:
    # The key: first 32 bytes of a page of its own, locked and left out of core dumps where allowed.
    cdef uint8_t *_key
    cdef readonly bint locked
    cdef readonly bint undumped

    # Either these three are set, or _fallback is coincurve's PrivateKey; `backend` says which.
    # _nonce_function goes with the three: ours, or NULL for the library's; `nonces` says which.
    cdef secp_api _api
    cdef void *_library
    cdef void *_context
    cdef void *_nonce_function
    cdef readonly str nonces
    cdef object _fallback
    cdef readonly str backend

    cdef readonly str address

    cdef bint _open_library(self, str path) except -1
    cdef void _close_library(self) noexcept
    cdef bint _set_up_library(self) except -1
    cdef int _set_up_nonces(self) except -1
    cdef int _set_up_fallback(self) except -1


# 1 and r, s (big-endian, s in the lower half) in out64 with y's parity in recid; 0 where signing failed.
cdef int signer_sign(Signer signer, const uint8_t *digest32, uint8_t *out64, int *recid) noexcept nogil

# The executor's calldata for a plan; -1 where cap is below EXECUTE_CALLDATA or the plan is none (2-4
# hops, pools of known kind, fees of at most 24 bits, known funding, input and least profit of 128).
cdef Py_ssize_t encode_execute(const swap_plan *plan, uint8_t *out, size_t cap) noexcept nogil

# The raw signed type-2 transaction and its hash; -1 where cap < n + TX_OVERHEAD or signing failed.
# data must not overlap out. Without tx_hash32 (NULL) nothing waits for the hash: tx_hash makes it later.
cdef Py_ssize_t tx_encode_signed(Signer signer, const tx_fields *tx, const uint8_t *data, size_t n,
                                 uint8_t *out, size_t cap, uint8_t *tx_hash32) noexcept nogil

# The hash of a raw transaction.
cdef void tx_hash(const uint8_t *raw, size_t n, uint8_t *out32) noexcept nogil

# The eth_sendRawTransaction request; -1 where cap < 2 n + SEND_RAW_OVERHEAD.
cdef Py_ssize_t encode_send_raw(uint64_t request_id, const uint8_t *raw, size_t n,
                                char *out, size_t cap) noexcept nogil
