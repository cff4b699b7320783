"""Calldata, RLP, keccak, signature: from a sized plan to the bytes of eth_sendRawTransaction.

Owns the signing key while the process runs and every byte layout on the way out. No I/O and no
curve arithmetic: signatures come from libsecp256k1, with RFC 6979 nonces that the SHA instructions
of the processor hash where it has them, else the library; the bytes are the same.

Sources: Ethereum Yellow Paper appendix B (RLP), EIP-155, EIP-2930, EIP-1559 (transactions), EIP-55
(checksums), EIP-1014 (CREATE2), Solidity's contract ABI specification (calldata).
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from mevfast.types cimport (
    FUNDING_AAVE, PLAN_MAX_HOPS, POOL_UNISWAP_V2, POOL_UNISWAP_V3, plan_hop, swap_plan)
from mevfast.u256 cimport u256, u256_fits_u128, u256_from_be, u256_to_be

import os

import coincurve
from coincurve import _libsecp256k1


cdef extern from "keccak.h" nogil:
    void c_keccak256 "keccak256"(uint8_t *out, const uint8_t *data, size_t n)
    void c_keccak256_by "keccak256_by"(uint8_t *out, const uint8_t *data, size_t n, bint avx512)
    bint keccak_has_avx512()

cdef extern from "rfc6979.h" nogil:
    bint rfc6979_can_run()
    int rfc6979_nonce(uint8_t *nonce32, const uint8_t *digest32, const uint8_t *key32,
                      const uint8_t *algorithm16, void *data, unsigned int counter)

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *memory, size_t n)

cdef extern from "<dlfcn.h>" nogil:
    int RTLD_NOW, RTLD_LOCAL
    void *dlopen(const char *path, int flags)
    void *dlsym(void *library, const char *symbol)
    int dlclose(void *library)

cdef extern from "<sys/mman.h>" nogil:
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MADV_DONTDUMP, MADV_WIPEONFORK
    void *MAP_FAILED
    void *mmap(void *address, size_t n, int protection, int flags, int fd, long offset)
    int munmap(void *address, size_t n)
    int mlock(const void *address, size_t n)
    int madvise(void *address, size_t n, int advice)


cdef enum:
    KEY_PAGE = 4096               # the smallest unit of mlock and madvise
    SECP256K1_CONTEXT_NONE = 1
    SECP256K1_EC_UNCOMPRESSED = 2
    SECP256K1_PUBKEY_BYTES = 64   # the opaque structs of libsecp256k1's headers
    SECP256K1_RECOVERABLE_BYTES = 65
    RLP_HEAD_MAX = 9
    RLP_STRING = 0x80
    RLP_LIST = 0xC0

# A signature everyone publishes: key 1, the SHA-256 digest of a sentence of Einstein's, as in
# noble-secp256k1 test/vectors/secp256k1/ecdsa.json; the last byte is y's parity.
cdef bytes KNOWN_KEY = (1).to_bytes(32, "big")
cdef bytes KNOWN_DIGEST = bytes.fromhex(
    "06ef2b193b83b3d701f765f1db34672ab84897e1252343cc2197829af3a30456")
cdef bytes KNOWN_SIGNATURE = bytes.fromhex(
    "33a69cd2065432a30f3d1ce4eb0d59b8ab58c74f27c41a7fdb5696ad4e6108c9"
    "6f807982866f785d3f6418d24163ddae117b7db4d5fdf0071de069fa54342262" "00")
cdef bytes KNOWN_ADDRESS = bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")


# ---- the key ----

@cython.final
cdef class Signer:
    """One secp256k1 key and the address it signs for. Shows neither itself nor how to copy it.

    `key` is 32 bytes, wiped before this returns, whatever happens. `library` is a libsecp256k1 with
    the recovery module (default: coincurve's own); where it lacks a function or misses a known
    answer, signing goes through coincurve's Python API (`backend` says so), which keeps the key in
    ordinary memory. `sha_ni` False leaves the nonces to the library, as they are without the SHA
    instructions or where those miss a known answer; `nonces` says who hashes them. `locked` says
    whether the key's page is kept out of swap, `undumped` whether out of core dumps; a child process
    gets zeros in its place.

    Raises ValueError where the key is not 32 bytes or not between 1 and the group order.
    """

    def __cinit__(self, bytearray key not None, str library=None, bint sha_ni=True):
        cdef Py_ssize_t n = len(key)
        cdef void *page
        try:
            if n != 32:
                raise ValueError(f"secp256k1 key: expected 32 bytes, was {n}")
            page = mmap(NULL, KEY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if page == MAP_FAILED:
                raise MemoryError("no page for the signing key")
            self._key = <uint8_t *> page
            self.locked = mlock(page, KEY_PAGE) == 0
            self.undumped = madvise(page, KEY_PAGE, MADV_DONTDUMP) == 0
            madvise(page, KEY_PAGE, MADV_WIPEONFORK)
            memcpy(self._key, PyByteArray_AS_STRING(key), 32)
        finally:
            explicit_bzero(PyByteArray_AS_STRING(key), n)
        if not (self._open_library(library or _libsecp256k1.__file__) and self._set_up_library()):
            self._close_library()
            self._set_up_fallback()
        elif sha_ni and rfc6979_can_run():
            self._set_up_nonces()

    def __dealloc__(self):
        self._close_library()
        if self._key != NULL:
            explicit_bzero(self._key, 32)
            munmap(self._key, KEY_PAGE)

    def __repr__(self):
        return f"Signer({self.address})"

    def __reduce__(self):
        raise TypeError("a Signer cannot be copied or pickled: its key stays in this process")

    def sign_digest(self, bytes digest not None):
        """65 bytes r || s || y's parity over a 32-byte digest; s is in the lower half (EIP-2)."""
        cdef uint8_t signature[65]
        cdef int recid = 0, signed
        cdef const uint8_t *message = <const uint8_t *> PyBytes_AS_STRING(digest)
        if len(digest) != 32:
            raise ValueError(f"digest: expected 32 bytes, was {len(digest)}")
        with nogil:
            signed = signer_sign(self, message, signature, &recid)
        if not signed:
            raise RuntimeError(f"{self.backend} did not sign")
        signature[64] = <uint8_t> recid
        return PyBytes_FromStringAndSize(<char *> signature, 65)

    cdef bint _open_library(self, str path) except -1:
        """Resolve every function signing needs and make a blinded context; False where one is missing."""
        cdef secp_api *api = &self._api
        self._library = dlopen(os.fsencode(path), RTLD_NOW | RTLD_LOCAL)
        if self._library == NULL:
            return False
        (<void **> &api.context_create)[0] = dlsym(self._library, "secp256k1_context_create")
        (<void **> &api.context_destroy)[0] = dlsym(self._library, "secp256k1_context_destroy")
        (<void **> &api.context_randomize)[0] = dlsym(self._library, "secp256k1_context_randomize")
        (<void **> &api.pubkey_create)[0] = dlsym(self._library, "secp256k1_ec_pubkey_create")
        (<void **> &api.pubkey_serialize)[0] = dlsym(self._library, "secp256k1_ec_pubkey_serialize")
        (<void **> &api.sign_recoverable)[0] = dlsym(
            self._library, "secp256k1_ecdsa_sign_recoverable")
        (<void **> &api.serialize_compact)[0] = dlsym(
            self._library, "secp256k1_ecdsa_recoverable_signature_serialize_compact")
        if (api.context_create == NULL or api.context_destroy == NULL
                or api.context_randomize == NULL or api.pubkey_create == NULL
                or api.pubkey_serialize == NULL
                or api.sign_recoverable == NULL or api.serialize_compact == NULL):
            return False
        self._context = api.context_create(SECP256K1_CONTEXT_NONE)
        if self._context == NULL:
            return False
        return api.context_randomize(self._context, <bytes> os.urandom(32)) == 1

    cdef void _close_library(self) noexcept:
        if self._context != NULL:
            self._api.context_destroy(self._context)
            self._context = NULL
        if self._library != NULL:
            dlclose(self._library)
            self._library = NULL

    cdef bint _set_up_library(self) except -1:
        """Check the known answer, then derive the address; False where the library answers wrongly."""
        cdef uint8_t signature[65]
        cdef uint8_t address[20]
        cdef int recid = 0
        cdef const uint8_t *key = KNOWN_KEY
        if not library_address(&self._api, self._context, key, address):
            return False
        if memcmp(address, <const uint8_t *> KNOWN_ADDRESS, 20) != 0:
            return False
        if not library_sign(&self._api, self._context, key, KNOWN_DIGEST, NULL, signature, &recid):
            return False
        signature[64] = <uint8_t> recid
        if memcmp(signature, <const uint8_t *> KNOWN_SIGNATURE, 65) != 0:
            return False
        if not library_address(&self._api, self._context, self._key, address):
            raise_key_range()
        self.backend = self.nonces = "libsecp256k1"
        self.address = checksum_address(address)
        return True

    cdef int _set_up_nonces(self) except -1:
        """Hash nonces here from now on, if the known key and this one sign as by the library's."""
        if not (same_signature(&self._api, self._context, KNOWN_KEY, KNOWN_DIGEST)
                and same_signature(&self._api, self._context, self._key, KNOWN_DIGEST)):
            return 0
        self._nonce_function = <void *> &rfc6979_nonce
        self.nonces = "SHA-NI"
        return 0

    cdef int _set_up_fallback(self) except -1:
        """The same through coincurve, whose PrivateKey holds the key as bytes nobody can wipe."""
        known = coincurve.PrivateKey(KNOWN_KEY)
        if known.sign_recoverable(KNOWN_DIGEST, hasher=None) != KNOWN_SIGNATURE:
            raise RuntimeError("libsecp256k1 and coincurve both miss a known signature: "
                               "reinstall coincurve")
        cdef uint8_t hashed[32]
        cdef bytes point
        try:
            self._fallback = coincurve.PrivateKey(PyBytes_FromStringAndSize(<char *> self._key, 32))
        except ValueError:
            pass
        if self._fallback is None:
            raise_key_range()
        point = self._fallback.public_key.format(compressed=False)
        c_keccak256(hashed, <const uint8_t *> point + 1, 64)
        self.backend = self.nonces = "coincurve"
        self.locked = self.undumped = False
        self.address = checksum_address(hashed + 12)
        return 0


cdef int raise_key_range() except -1:
    raise ValueError("secp256k1 key: expected a number of 1 to the group order - 1")


cdef int library_sign(const secp_api *api, const void *context, const uint8_t *key32,
                      const uint8_t *digest32, void *nonce_function, uint8_t *out64,
                      int *recid) noexcept nogil:
    cdef uint8_t signature[SECP256K1_RECOVERABLE_BYTES]
    # Without a nonce function it is the library's own RFC 6979; it always returns the lower s.
    if not api.sign_recoverable(context, signature, digest32, key32, nonce_function, NULL):
        return 0
    if not api.serialize_compact(context, out64, recid, signature):
        return 0
    return recid[0] < 2     # 2 and 3 (r wrapped around the order, chance 2^-128) have no yParity


cdef bint same_signature(const secp_api *api, const void *context, const uint8_t *key32,
                         const uint8_t *digest32) noexcept nogil:
    """Whether the key signs the same with our nonce function as with the library's."""
    cdef uint8_t theirs[64]
    cdef uint8_t ours[64]
    cdef int their_recid = 0, our_recid = 0
    return (library_sign(api, context, key32, digest32, NULL, theirs, &their_recid)
            and library_sign(api, context, key32, digest32, <void *> &rfc6979_nonce, ours,
                             &our_recid)
            and their_recid == our_recid and memcmp(theirs, ours, 64) == 0)


cdef int library_address(const secp_api *api, const void *context, const uint8_t *key32,
                         uint8_t *address20) noexcept nogil:
    cdef uint8_t pubkey[SECP256K1_PUBKEY_BYTES]
    cdef uint8_t point[65]
    cdef uint8_t hashed[32]
    cdef size_t n = 65
    if not api.pubkey_create(context, pubkey, key32):
        return 0
    if not api.pubkey_serialize(context, point, &n, pubkey, SECP256K1_EC_UNCOMPRESSED) or n != 65:
        return 0
    c_keccak256(hashed, point + 1, 64)
    memcpy(address20, hashed + 12, 20)
    return 1


cdef int fallback_sign(Signer signer, const uint8_t *digest32, uint8_t *out64,
                       int *recid) noexcept with gil:
    cdef bytes signature
    try:
        signature = signer._fallback.sign_recoverable(
            PyBytes_FromStringAndSize(<const char *> digest32, 32), hasher=None)
    except Exception:
        return 0
    memcpy(out64, <const uint8_t *> signature, 64)
    recid[0] = (<const uint8_t *> signature)[64]
    return recid[0] < 2


cdef int signer_sign(Signer signer, const uint8_t *digest32, uint8_t *out64,
                     int *recid) noexcept nogil:
    if signer._context == NULL:
        return fallback_sign(signer, digest32, out64, recid)
    return library_sign(&signer._api, signer._context, signer._key, digest32,
                        signer._nonce_function, out64, recid)


# ---- bytes ----

cdef inline void store_u64(uint8_t *out8, uint64_t value) noexcept nogil:
    """Big-endian; gcc makes it one bswap."""
    cdef int i
    for i in range(8):
        out8[i] = <uint8_t> (value >> (56 - 8 * i))


cdef inline uint8_t *put_head(uint8_t *p, size_t n, uint8_t kind) noexcept nogil:
    """The head of an n-byte string or list, kind RLP_STRING or RLP_LIST; at most RLP_HEAD_MAX bytes."""
    cdef uint8_t length[8]
    cdef size_t skip = 0
    if n < 56:
        p[0] = kind + <uint8_t> n
        return p + 1
    store_u64(length, n)
    while length[skip] == 0:
        skip += 1
    p[0] = kind + 55 + <uint8_t> (8 - skip)
    memcpy(p + 1, length + skip, 8 - skip)
    return p + 1 + (8 - skip)


cdef inline uint8_t *put_string(uint8_t *p, const uint8_t *data, size_t n) noexcept nogil:
    if n == 1 and data[0] < RLP_STRING:
        p[0] = data[0]
        return p + 1
    p = put_head(p, n, RLP_STRING)
    if n:
        memcpy(p, data, n)
    return p + n


cdef inline uint8_t *put_integer(uint8_t *p, const uint8_t *big_endian, size_t n) noexcept nogil:
    """An integer is the string without leading zeros, 0 the empty one."""
    while n and big_endian[0] == 0:
        big_endian += 1
        n -= 1
    return put_string(p, big_endian, n)


cdef inline uint8_t *put_u64(uint8_t *p, uint64_t value) noexcept nogil:
    cdef uint8_t big_endian[8]
    store_u64(big_endian, value)
    return put_integer(p, big_endian, 8)


cdef inline uint8_t *list_head_before(uint8_t *payload, size_t n) noexcept nogil:
    """Write the list's head so that it ends where its n-byte payload starts; where it begins."""
    cdef uint8_t head[RLP_HEAD_MAX]
    cdef size_t length = put_head(head, n, RLP_LIST) - head
    memcpy(payload - length, head, length)
    return payload - length


# ---- transaction ----

cdef Py_ssize_t tx_encode_signed(Signer signer, const tx_fields *tx, const uint8_t *data, size_t n,
                                 uint8_t *out, size_t cap, uint8_t *tx_hash32) noexcept nogil:
    # The payload is written once, with room for the longest head before it: the signature is
    # appended to what was signed, the head rewritten, and the whole moved to the front.
    cdef uint8_t *payload = out + 1 + RLP_HEAD_MAX
    cdef uint8_t *p = payload
    cdef uint8_t *start
    cdef uint8_t value[32]
    cdef uint8_t digest[32]
    cdef uint8_t signature[64]
    cdef int recid = 0
    cdef size_t length
    if cap < TX_OVERHEAD or n > cap - TX_OVERHEAD:
        return -1
    p = put_u64(p, tx.chain_id)
    p = put_u64(p, tx.nonce)
    p = put_u64(p, tx.max_priority_fee)
    p = put_u64(p, tx.max_fee)
    p = put_u64(p, tx.gas_limit)
    p = put_string(p, tx.to, 20)
    u256_to_be(value, &tx.value)
    p = put_integer(p, value, 32)
    p = put_string(p, data, n)
    p = put_head(p, 0, RLP_LIST)                       # no access list
    start = list_head_before(payload, p - payload) - 1
    start[0] = 2
    c_keccak256(digest, start, p - start)

    if not signer_sign(signer, digest, signature, &recid):
        return -1
    p = put_u64(p, <uint64_t> recid)
    p = put_integer(p, signature, 32)
    p = put_integer(p, signature + 32, 32)
    start = list_head_before(payload, p - payload) - 1
    start[0] = 2
    length = p - start
    memmove(out, start, length)
    if tx_hash32 != NULL:
        c_keccak256(tx_hash32, out, length)
    return <Py_ssize_t> length


cdef void tx_hash(const uint8_t *raw, size_t n, uint8_t *out32) noexcept nogil:
    c_keccak256(out32, raw, n)


# ---- calldata ----

cdef bytes EXECUTE_SIGNATURE = b"execute(uint256,uint256,uint256[4])"

cdef uint8_t execute_selector[32]      # its first 4 bytes, hashed once at import
c_keccak256(execute_selector, <const uint8_t *> EXECUTE_SIGNATURE, len(EXECUTE_SIGNATURE))


cdef inline int store_hop(uint8_t *out32, const plan_hop *hop) noexcept nogil:
    """kind 192-199, zeroForOne 184, fee 160-183, pool 0-159; 0 where a field does not fit."""
    cdef uint32_t fee_pips = hop.fee_pips if hop.kind == POOL_UNISWAP_V2 else 0
    if hop.kind != POOL_UNISWAP_V2 and hop.kind != POOL_UNISWAP_V3:
        return 0
    if fee_pips >> 24:
        return 0
    memset(out32, 0, 7)
    out32[7] = hop.kind
    out32[8] = hop.zero_for_one != 0
    out32[9] = <uint8_t> (fee_pips >> 16)
    out32[10] = <uint8_t> (fee_pips >> 8)
    out32[11] = <uint8_t> fee_pips
    memcpy(out32 + 12, hop.pool, 20)
    return 1


cdef Py_ssize_t encode_execute(const swap_plan *plan, uint8_t *out, size_t cap) noexcept nogil:
    cdef uint8_t *word = out + 4
    cdef int i
    if cap < EXECUTE_CALLDATA or plan.n_hops < 2 or plan.n_hops > PLAN_MAX_HOPS:
        return -1
    if plan.funding > FUNDING_AAVE or not u256_fits_u128(&plan.amount_in) \
            or not u256_fits_u128(&plan.min_profit):
        return -1
    memcpy(out, execute_selector, 4)
    # terms: deadline 168-255, funding 160-167, token 0-159
    memset(word, 0, 3)
    store_u64(word + 3, plan.deadline)
    word[11] = plan.funding
    memcpy(word + 12, plan.token, 20)
    # amounts: amountIn 128-255, minProfit 0-127
    store_u64(word + 32, plan.amount_in.w[1])
    store_u64(word + 40, plan.amount_in.w[0])
    store_u64(word + 48, plan.min_profit.w[1])
    store_u64(word + 56, plan.min_profit.w[0])
    for i in range(plan.n_hops):
        if not store_hop(word + 64 + 32 * i, &plan.hop[i]):
            return -1
    memset(word + 64 + 32 * plan.n_hops, 0, 32 * (PLAN_MAX_HOPS - plan.n_hops))
    return EXECUTE_CALLDATA


# ---- request ----

cdef inline void put_hex(char *out, const uint8_t *data, size_t n) noexcept nogil:
    """Two lower-case digits a byte; without a table, so that gcc vectorises it."""
    cdef size_t i
    cdef uint8_t high, low
    for i in range(n):
        high = data[i] >> 4
        low = data[i] & 15
        out[2 * i] = <char> (high + 48 + (high > 9) * 39)
        out[2 * i + 1] = <char> (low + 48 + (low > 9) * 39)


cdef extern from *:
    """
    #define SEND_RAW_HEAD "{\\"jsonrpc\\":\\"2.0\\",\\"id\\":"
    #define SEND_RAW_METHOD ",\\"method\\":\\"eth_sendRawTransaction\\",\\"params\\":[\\"0x"
    #define SEND_RAW_TAIL "\\"]}"
    #define SEND_RAW_PUT(p, text) ((char *)memcpy(p, text, sizeof text - 1) + sizeof text - 1)
    """
    const char *SEND_RAW_HEAD
    const char *SEND_RAW_METHOD
    const char *SEND_RAW_TAIL
    char *SEND_RAW_PUT(char *p, const char *text) nogil


cdef Py_ssize_t encode_send_raw(uint64_t request_id, const uint8_t *raw, size_t n,
                                char *out, size_t cap) noexcept nogil:
    cdef char digits[20]
    cdef int i = 20
    cdef char *p
    if cap < SEND_RAW_OVERHEAD or n > (cap - SEND_RAW_OVERHEAD) // 2:
        return -1
    p = SEND_RAW_PUT(out, SEND_RAW_HEAD)
    while True:
        i -= 1
        digits[i] = <char> (48 + request_id % 10)
        request_id //= 10
        if request_id == 0:
            break
    memcpy(p, digits + i, 20 - i)
    p = SEND_RAW_PUT(p + (20 - i), SEND_RAW_METHOD)
    put_hex(p, raw, n)
    p = SEND_RAW_PUT(p + 2 * n, SEND_RAW_TAIL)
    return p - out


# ---- the Python edge ----

def keccak256(data, *, bint portable=False):
    """32 bytes; `data` is anything with a contiguous buffer. `portable`: without AVX-512, as processors
    do that lack it."""
    cdef Py_buffer view
    cdef uint8_t hashed[32]
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    c_keccak256_by(hashed, <const uint8_t *> view.buf, <size_t> view.len,
                   not portable and keccak_has_avx512())
    PyBuffer_Release(&view)
    return PyBytes_FromStringAndSize(<char *> hashed, 32)


def rlp_encode(item):
    """RLP of bytes, of an integer from 0 (without leading zeros), or of a list or tuple of those."""
    cdef uint8_t head[RLP_HEAD_MAX]
    cdef bytes payload
    cdef uint8_t kind = RLP_STRING
    if isinstance(item, (list, tuple)):
        payload = b"".join([rlp_encode(part) for part in item])
        kind = RLP_LIST
    elif isinstance(item, int) and not isinstance(item, bool) and item >= 0:
        payload = item.to_bytes((item.bit_length() + 7) // 8, "big")
    elif isinstance(item, (bytes, bytearray, memoryview)):
        payload = bytes(item)
    else:
        raise TypeError(f"RLP: expected bytes, an integer from 0 or a list, was {item!r}")
    if kind == RLP_STRING and len(payload) == 1 and payload[0] < RLP_STRING:
        return payload
    return PyBytes_FromStringAndSize(<char *> head, put_head(head, len(payload), kind) - head) + payload


cdef str checksum_address(const uint8_t *address20):
    return to_checksum_address(PyBytes_FromStringAndSize(<const char *> address20, 20))


def to_checksum_address(address):
    """EIP-55 spelling of 20 bytes or of a hex address; ValueError where a given checksum is wrong."""
    return "0x" + checksum_digits(to_address_bytes(address).hex())


cdef str checksum_digits(str digits):
    hashed = keccak256(digits.encode()).hex()
    return "".join([d.upper() if h >= "8" else d for d, h in zip(digits, hashed)])


def to_address_bytes(value, str name="address"):
    """20 bytes of 20 bytes or of a hex address; ValueError where a given EIP-55 checksum is wrong."""
    cdef bytes raw
    if isinstance(value, str) and len(value) == 42 and value[:2] == "0x":
        try:
            raw = bytes.fromhex(value[2:])
        except ValueError:
            raw = b""
        if len(raw) == 20:
            digits = value[2:]
            if digits not in (digits.lower(), digits.upper(), checksum_digits(digits.lower())):
                raise ValueError(f"{name}: wrong EIP-55 checksum in {value}, expected "
                                 f"0x{checksum_digits(digits.lower())}")
            return raw
    elif isinstance(value, (bytes, bytearray)) and len(value) == 20:
        return bytes(value)
    raise ValueError(f"{name}: expected 20 bytes or 0x and 40 hex digits, was {value!r}")


cdef object unsigned(value, int bits, str name):
    if not isinstance(value, int) or isinstance(value, bool) or value < 0 or value >> bits:
        raise ValueError(f"{name}: expected an integer of 0 to 2**{bits} - 1, was {value!r}")
    return value


cdef u256 to_u256(value, str name) except *:
    cdef u256 result
    cdef bytes big_endian = unsigned(value, 256, name).to_bytes(32, "big")
    u256_from_be(&result, big_endian)
    return result


# ---- the fast path, seen from Python: for tests and tools ----

def encode_type2(Signer signer not None, *, chain_id, nonce, max_priority_fee, max_fee, gas_limit,
                 to, value=0, bytes data=b"", bint hash_later=False):
    """(raw, hash) of a signed type-2 transaction through tx_encode_signed; fees are below 2**64.

    `hash_later`: the hash by tx_hash, as what is sent first and hashed afterwards.
    """
    cdef tx_fields tx
    cdef uint8_t hashed[32]
    cdef Py_ssize_t n
    cdef bytes recipient = to_address_bytes(to, "to")
    tx.chain_id = unsigned(chain_id, 64, "chain_id")
    tx.nonce = unsigned(nonce, 64, "nonce")
    tx.max_priority_fee = unsigned(max_priority_fee, 64, "max_priority_fee")
    tx.max_fee = unsigned(max_fee, 64, "max_fee")
    tx.gas_limit = unsigned(gas_limit, 64, "gas_limit")
    tx.value = to_u256(value, "value")
    memcpy(tx.to, <const uint8_t *> recipient, 20)
    out = bytearray(len(data) + TX_OVERHEAD)
    n = tx_encode_signed(signer, &tx, <const uint8_t *> data, len(data),
                         <uint8_t *> PyByteArray_AS_STRING(out), len(out),
                         NULL if hash_later else hashed)
    if n < 0:
        raise RuntimeError(f"{signer.backend} did not sign")
    if hash_later:
        tx_hash(<uint8_t *> PyByteArray_AS_STRING(out), n, hashed)
    return bytes(out[:n]), PyBytes_FromStringAndSize(<char *> hashed, 32)


def execute_calldata(*, deadline, funding, token, amount_in, min_profit, hops):
    """The executor's calldata through encode_execute; a hop is (pool, kind, zero_for_one, fee_pips).

    Raises ValueError where encode_execute refuses the plan.
    """
    cdef swap_plan plan
    cdef uint8_t out[EXECUTE_CALLDATA]
    cdef Py_ssize_t n
    cdef int i
    cdef bytes raw = to_address_bytes(token, "token")
    memcpy(plan.token, <const uint8_t *> raw, 20)
    plan.deadline = unsigned(deadline, 64, "deadline")
    plan.funding = unsigned(funding, 8, "funding")
    plan.amount_in = to_u256(amount_in, "amount_in")
    plan.min_profit = to_u256(min_profit, "min_profit")
    plan.n_hops = unsigned(len(hops), 8, "number of hops")
    for i, (pool, kind, zero_for_one, fee_pips) in enumerate(hops[:PLAN_MAX_HOPS]):
        raw = to_address_bytes(pool, "pool")
        memcpy(plan.hop[i].pool, <const uint8_t *> raw, 20)
        plan.hop[i].kind = unsigned(kind, 8, "kind")
        plan.hop[i].zero_for_one = bool(zero_for_one)
        plan.hop[i].fee_pips = unsigned(fee_pips, 32, "fee_pips")
    n = encode_execute(&plan, out, EXECUTE_CALLDATA)
    if n < 0:
        raise ValueError("no plan: expected funding 0-3, amounts below 2**128, 2-4 hops, pool kinds 1-2 "
                         f"and fee_pips below 2**24, was funding {funding!r}, amount_in "
                         f"{amount_in!r}, min_profit {min_profit!r}, hops {hops!r}")
    return PyBytes_FromStringAndSize(<char *> out, n)


def send_raw_request(request_id, bytes raw not None):
    """The JSON-RPC request that sends a raw transaction, through encode_send_raw."""
    cdef Py_ssize_t n
    out = bytearray(2 * len(raw) + SEND_RAW_OVERHEAD)
    n = encode_send_raw(unsigned(request_id, 64, "request_id"), <const uint8_t *> raw, len(raw),
                        PyByteArray_AS_STRING(out), len(out))
    return bytes(out[:n])
