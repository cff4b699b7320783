"""The hot chain's C face: what is decided, and what is under way."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from mevfast._feed cimport Feed
from mevfast._trades cimport pending_trade
from mevfast._tx cimport Signer, tx_fields
from mevfast.types cimport swap_plan


cdef enum:
    MAX_PENDING = 64
    LATENCY_RING = 65536
    REQUEST_BYTES = 4096
    REQUEST_ROOM = 16             # before a request, for the head of its frame: 14 bytes at most


# What a core's requests are written to; the base class refuses them all.
cdef class Outlet:
    # Writes n bytes to the socket at once. It may overwrite them, and REQUEST_ROOM bytes before.
    cdef int write(self, char *request, Py_ssize_t n) except -1


cdef class Core(Feed):
    cdef readonly Signer signer
    cdef object callable          # `send` where that is no Outlet
    cdef Outlet outlet            # `send` where it is one, else None
    cdef public object after      # callable(), once a batch of frames is through
    cdef public bint paused       # a risk limit stands: plans are counted, not sent
    cdef public bint shadow       # decide and count, never send

    cdef int64_t head_ns          # when the newest head came, monotonic
    cdef public int64_t expires_ns # from then on a transaction decided on it cannot land; 0: never
    cdef uint64_t reverted[MAX_PENDING] # trade_mark of the newest plans that did
    cdef uint32_t n_reverted
    cdef tx_fields tx
    cdef uint64_t signed          # stamp: the newest transaction was
    cdef uint32_t deadline_blocks, max_fee_percent, gas_limit_percent
    cdef uint64_t next_request
    cdef pending_trade pending[MAX_PENDING]
    cdef uint32_t n_pending
    cdef bint some_landed         # one of them that still holds its pools
    cdef uint8_t calldata[1024]
    cdef uint8_t raw[2048]
    cdef size_t n_raw
    cdef char request[REQUEST_ROOM + REQUEST_BYTES]
    cdef object request_view      # of the bytes behind REQUEST_ROOM

    cdef int64_t latency[LATENCY_RING]
    cdef readonly uint64_t n_sent, n_searches

    cdef void release(self, pending_trade *p) noexcept nogil
    cdef uint32_t find_plans(self) noexcept nogil
    cdef Py_ssize_t encode(self, const swap_plan *plan) noexcept nogil
    cdef void note_states(self, const swap_plan *plan, uint64_t *block,
                          uint32_t *log_index) noexcept nogil
    cdef bint has_reverted(self, uint64_t mark) noexcept nogil
    cdef int decide(self) except -1
    cdef int tidy(self) except -1
    cdef bint barred(self, const swap_plan *plan, uint64_t *block,
                     uint32_t *log_index) noexcept nogil
    cdef int hand_over(self, Py_ssize_t length) except -1
    cdef pending_trade *free_trade(self) noexcept nogil
    cdef void remember(self, uint32_t i, const uint8_t *tx_hash, const uint64_t *block,
                       const uint32_t *log_index, int64_t latency) noexcept nogil
    cdef int act(self) except -1
