"""C loops around what lies between a frame's bytes and a signed transaction, for bench/bench_wire.py.

Nothing in the engine imports it. Times are ns of the process' CPU clock for one turn of the loop,
the loop itself included.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from mevfast._bench_clock cimport cpu_ns
from mevfast._tx cimport TX_OVERHEAD, Signer, signer_sign, tx_encode_signed, tx_fields
from mevfast._wire cimport wire_parse
from mevfast.types cimport WIRE_LOG, head_event, log_event

from mevfast._tx import to_checksum_address

cdef extern from "keccak.h" nogil:
    void keccak256(uint8_t *out, const uint8_t *data, size_t n) noexcept
    void keccak_p1600(uint64_t *state) noexcept

cdef extern from "wire.h" nogil:
    int wire_scan_portable(const char *buf, Py_ssize_t n, log_event *log, head_event *head) noexcept

cdef enum:
    RECOVERABLE_BYTES = 65   # secp256k1_ecdsa_recoverable_signature
    MOST_BYTES = 4096


# ---- frames ----

def time_frames(list frames not None, bint portable=False):
    """Each frame read once, with AVX2 where it is there or not. ValueError unless all are logs."""
    cdef log_event log
    cdef head_event head
    cdef bytes frame
    cdef Py_ssize_t n = len(frames), logs = 0
    cdef int64_t start = cpu_ns()
    for frame in frames:
        if portable:
            logs += wire_scan_portable(<const char *>frame, len(frame), &log, &head) == WIRE_LOG
        else:
            logs += wire_parse(<const char *>frame, len(frame), &log, &head) == WIRE_LOG
    start = cpu_ns() - start
    if logs != n:
        raise ValueError(f"frames: expected {n} logs, was {logs}")
    return <double>start / n


def time_calls(function, list arguments not None):
    """The function called with each argument, its result freed: for peers that live in Python."""
    cdef int64_t start = cpu_ns()
    for argument in arguments:
        function(argument)
    return <double>(cpu_ns() - start) / len(arguments)


# ---- hashes ----

def time_permutation(uint64_t repeats):
    """Keccak-p[1600] alone, each on what the one before left."""
    cdef uint64_t state[25]
    cdef uint64_t i
    cdef int64_t start
    memset(state, 0, sizeof(state))
    with nogil:
        start = cpu_ns()
        for i in range(repeats):
            keccak_p1600(state)
        start = cpu_ns() - start
    return <double>start / repeats


def time_keccak(size_t n, uint64_t repeats):
    """Keccak-256 of n bytes, the first 32 of them the hash before. ValueError above 4,096 bytes."""
    cdef uint8_t data[MOST_BYTES]
    cdef uint64_t i
    cdef int64_t start
    if n > MOST_BYTES:
        raise ValueError(f"expected at most {MOST_BYTES} bytes, was {n}")
    memset(data, 0x5a, sizeof(data))
    with nogil:
        start = cpu_ns()
        for i in range(repeats):
            keccak256(data, data, n)
        start = cpu_ns() - start
    return <double>start / repeats


# ---- signatures ----

cdef class Signing:
    """One signer at work, on another digest or nonce each time.

    Args:
        signer: must be on libsecp256k1 (`backend`), or there is no bare signature.
        calldata, to, chain_id: of the transaction of `fields_to_raw`.
    """

    cdef Signer signer
    cdef bytes calldata
    cdef uint8_t digest[32]
    cdef uint8_t raw[MOST_BYTES]
    cdef uint8_t hashed[32]
    cdef tx_fields tx

    def __cinit__(self, Signer signer not None, bytes calldata not None, bytes to not None,
                  uint64_t chain_id):
        if signer._context == NULL:
            raise ValueError("signer: expected libsecp256k1 itself, was coincurve's Python API")
        if len(calldata) + TX_OVERHEAD > MOST_BYTES or len(to) != 20:
            raise ValueError(f"transaction of {len(calldata)} bytes to {len(to)}: too large, or "
                             "not to 20 bytes")
        self.signer, self.calldata = signer, calldata
        keccak256(self.digest, NULL, 0)
        memset(&self.tx, 0, sizeof(tx_fields))
        self.tx.chain_id = chain_id
        self.tx.max_fee, self.tx.gas_limit = 20000000, 600000
        memcpy(self.tx.to, <const uint8_t *>to, 20)

    cdef inline void turn(self) noexcept nogil:
        """Another digest: the last signature's first bytes."""
        memcpy(self.digest, self.raw, 16)

    def bare(self, uint64_t repeats):
        """The library on a digest, with its own nonces and nothing around it."""
        cdef uint8_t signature[RECOVERABLE_BYTES]
        cdef Signer s = self.signer
        cdef uint64_t i
        cdef int recid = 0, ok = 1
        cdef int64_t start
        with nogil:
            start = cpu_ns()
            for i in range(repeats):
                ok &= s._api.sign_recoverable(s._context, signature, self.digest, s._key, NULL, NULL)
                ok &= s._api.serialize_compact(s._context, self.raw, &recid, signature)
                self.turn()
            start = cpu_ns() - start
        if not ok:
            raise RuntimeError("libsecp256k1 did not sign")
        return <double>start / repeats

    def sign(self, uint64_t repeats):
        """The same through the engine's `signer_sign`."""
        cdef uint64_t i
        cdef int recid = 0, ok = 1
        cdef int64_t start
        with nogil:
            start = cpu_ns()
            for i in range(repeats):
                ok &= signer_sign(self.signer, self.digest, self.raw, &recid)
                self.turn()
            start = cpu_ns() - start
        if not ok:
            raise RuntimeError("the signer did not sign")
        return <double>start / repeats

    def fields_to_raw(self, uint64_t repeats, bint hashed=True):
        """Fields and calldata to the signed transaction, with its hash or without."""
        cdef const uint8_t *data = self.calldata
        cdef size_t n_data = len(self.calldata)
        cdef uint64_t i
        cdef Py_ssize_t n = 0
        cdef int64_t start
        with nogil:
            start = cpu_ns()
            for i in range(repeats):
                self.tx.nonce += 1
                n |= tx_encode_signed(self.signer, &self.tx, data, n_data, self.raw, MOST_BYTES,
                                      self.hashed if hashed else NULL)
            start = cpu_ns() - start
        if n < 0:
            raise RuntimeError("the transaction could not be encoded")
        return <double>start / repeats

    def last_transaction(self):
        """What `fields_to_raw` made last: its fields as eth-account takes them, its raw bytes."""
        cdef Py_ssize_t n = tx_encode_signed(
            self.signer, &self.tx, <const uint8_t *>self.calldata, len(self.calldata), self.raw,
            MOST_BYTES, self.hashed)
        fields = {
            "type": 2, "chainId": self.tx.chain_id, "nonce": self.tx.nonce,
            "maxPriorityFeePerGas": self.tx.max_priority_fee, "maxFeePerGas": self.tx.max_fee,
            "gas": self.tx.gas_limit, "to": to_checksum_address((<const char *>self.tx.to)[:20]),
            "value": 0, "data": self.calldata}
        return fields, (<const char *>self.raw)[:n]
