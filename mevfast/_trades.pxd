from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from mevfast._cache cimport Table
from mevfast.types cimport swap_plan
from mevfast.u256 cimport u256


# A transaction of ours until its receipt is in.
cdef struct pending_trade:
    uint8_t used
    uint8_t landed                # a log of it was seen: it is mined and did not revert
    uint8_t replayed              # replay_out holds what the state before it pays
    uint8_t holds                 # its pools are still marked in flight
    uint8_t tx_hash[32]
    uint64_t nonce
    uint64_t request_id
    uint64_t block                # decided on the state after this block
    uint64_t landed_block
    int64_t latency_ns            # from the callback of the read's first frame to the call of `send`
    int64_t sent_ns               # monotonic ns, once it was written to the socket
    double net                    # base token wei after gas
    double gas_price              # wei, that net was computed with
    u256 replay_out
    swap_plan plan
    uint64_t state_block[4]       # by hop: the newest event of its pool when it was decided
    uint32_t state_log_index[4]


cdef uint64_t trade_mark(const swap_plan *plan, const uint64_t *state_block,
                         const uint32_t *state_log_index) noexcept nogil
cdef dict trade_dict(const pending_trade *p, Table table, uint32_t gas_units)
