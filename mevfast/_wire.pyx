"""Notification frames (`eth_subscription` of `logs` and `newHeads`) read straight from their bytes.

Owns the recognition and decoding of the two messages that make up the stream; makes no Python
object, allocates nothing, keeps no state. What the frames mean for a pool is not its business.
"""

from collections import namedtuple

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t

from mevfast.types cimport EVENT_KINDS, WIRE_HEAD, WIRE_LOG, head_event, log_event
from mevfast.u256 cimport u256


cdef extern from "wire.h" nogil:
    enum:
        EVENT_SHAPES

    ctypedef struct event_shape:
        const char *signature
        uint8_t kind, n_topics, n_words, n_per_item

    const event_shape event_shapes[1]  # of EVENT_SHAPES
    const uint8_t event_topic0[1][32]  # likewise
    int wire_scan(const char *buf, Py_ssize_t n, log_event *log, head_event *head)
    int wire_scan_portable(const char *buf, Py_ssize_t n, log_event *log, head_event *head)

cdef extern from *:
    """
    enum { TWIN_SWAR, TWIN_PORTABLE, TWIN_AVX2 };

    static int twin_can_run(int twin) {
    #ifdef HEX_AVX2
        return twin != TWIN_AVX2 || hex_has_avx2();
    #else
        return twin != TWIN_AVX2;
    #endif
    }

    /* As hex_bytes, by one of the twins. */
    static int twin_bytes(int twin, uint8_t *out, const char *p, size_t n_bytes) {
        uint64_t bad = 0;
    #ifdef HEX_AVX2
        if (twin == TWIN_AVX2) return hex_bytes_avx2(out, p, n_bytes);
    #endif
        if (twin == TWIN_PORTABLE) return hex_bytes(out, p, n_bytes);
        for (; n_bytes >= 16; n_bytes -= 16, out += 16, p += 32) hex_thirty_two_swar(out, p, &bad);
        for (; n_bytes; n_bytes -= 4, out += 4, p += 8) {
            uint32_t four = hex_eight(p, &bad);
            memcpy(out, &four, 4);
        }
        return bad == 0;
    }

    /* As hex_word, likewise; SWAR has none of its own. */
    static int twin_word(int twin, u256 *out, const char *p) {
    #ifdef HEX_AVX2
        if (twin == TWIN_AVX2) return hex_word_avx2(out, p);
    #endif
        (void)twin;
        return hex_word(out, p);
    }
    """
    int TWIN_SWAR, TWIN_PORTABLE, TWIN_AVX2
    bint twin_can_run(int twin) nogil
    bint twin_bytes(int twin, uint8_t *out, const char *p, size_t n_bytes) nogil
    bint twin_word(int twin, u256 *out, const char *p) nogil


# By enum event_kind, in its order.
KINDS = dict(enumerate((
    "unknown",
    "v2_sync",
    "v2_swap",
    "v3_initialize",
    "v3_mint",
    "v3_burn",
    "v3_swap",
    "pancake_swap",
    "algebra_swap",
    "algebra_burn",
    "algebra_fee",
    "algebra_fees",
    "algebra_tick_spacing",
    "algebra_plugin",
    "v4_initialize",
    "v4_modify_liquidity",
    "v4_swap",
    "v4_donate",
    "v4_protocol_fee",
    "solidly_sync",
    "solidly_swap",
    "solidly_fee",
    "camelot_fees",
    "camelot_type",
    "curve_exchange",
    "curve_other",
    "crypto_exchange",
    "crypto_other",
    "balancer_swap",
    "balancer_changed",
    "balancer_managed",
    "balancer_swap_fee",
    "balancer_other",
)))
assert len(KINDS) == EVENT_KINDS

Event = namedtuple("Event", "signature topic0 kind n_topics n_words n_per_item", module=__name__)


def _events():
    cdef int i
    cdef const event_shape *shape
    found = []
    for i in range(<int>EVENT_SHAPES):
        shape = &event_shapes[i]
        found.append(Event(shape.signature.decode(), _bytes(event_topic0[i], 32),
                           KINDS[shape.kind], shape.n_topics, shape.n_words, shape.n_per_item))
    return tuple(found)


cdef int wire_parse(const char *buf, Py_ssize_t n, log_event *log, head_event *head) noexcept nogil:
    """Reads one frame of n bytes. Returns WIRE_LOG, WIRE_HEAD or WIRE_OTHER and fills the struct
    named; the other struct, and both after WIRE_OTHER, hold nothing of use. Never reads outside
    buf; nothing in the structs points into it."""
    return wire_scan(buf, n, log, head)


cdef object _bytes(const uint8_t *p, Py_ssize_t n):
    return (<const char *>p)[:n]


cdef object _int(const u256 *word):
    return int.from_bytes((<const char *>word)[:32], "little")


# Every event that is known by its topic0: what subscriptions and eth_getLogs have to ask for.
# n_words counts the data of arrays as empty; each item of them takes n_per_item words more.
EVENTS = _events()


# The twins of hex.h that this processor runs; frames are read by the last one.
_TWINS = {"swar": TWIN_SWAR, "portable": TWIN_PORTABLE, "avx2": TWIN_AVX2}
TWINS = tuple(name for name, twin in _TWINS.items() if twin_can_run(twin))


def hex_decoded(bytes digits not None, str twin not None):
    """(bytes, word) of hex digits by one of TWINS, None for either where one is no digit: for tests.

    The digits are a multiple of 8; word is the integer of 64 of them, and None for another number.
    """
    cdef Py_ssize_t n = len(digits) // 2
    cdef u256 word
    cdef int which = _TWINS[twin]
    if len(digits) % 8 or twin not in TWINS:
        raise ValueError(f"expected 8 digits or 16 and so on, and a twin of {TWINS}, "
                         f"was {len(digits)}, {twin!r}")
    out = bytearray(n)
    good = twin_bytes(which, <uint8_t *>PyByteArray_AS_STRING(out), <const char *>digits, n)
    has_word = n == 32 and twin_word(which, &word, <const char *>digits)
    return bytes(out) if good else None, _int(&word) if has_word else None


def parse(bytes frame not None, bint portable=False):
    """The message in one frame as a dict of ints and bytes, or None where it is no log or head.

    For tests and tools; `topics` holds topics 1-3 and `words` the first 30 words of data, as
    unsigned 256-bit integers. `portable`: as it is read where there is no AVX2.
    """
    cdef log_event log
    cdef head_event head
    cdef const char *buf = <const char *>frame
    cdef int message, i
    if portable:
        message = wire_scan_portable(buf, len(frame), &log, &head)
    else:
        message = wire_parse(buf, len(frame), &log, &head)
    if message == WIRE_LOG:
        return {
            "message": "log",
            "kind": KINDS[log.kind],
            "address": _bytes(log.address, 20),
            "n_topics": log.n_topics,
            "topic0": _bytes(log.topic0, 32),
            "topics": [_int(&log.topic[i]) for i in range(max(log.n_topics - 1, 0))],
            "words": [_int(&log.word[i]) for i in range(log.n_words)],
            "truncated": log.truncated != 0,
            "misshapen": log.misshapen != 0,
            "block_number": log.block_number,
            "block_hash": _bytes(log.block_hash, 32),
            "tx_hash": _bytes(log.tx_hash, 32),
            "tx_index": log.tx_index,
            "log_index": log.log_index,
            "removed": log.removed != 0,
        }
    if message == WIRE_HEAD:
        return {
            "message": "head",
            "number": head.number,
            "timestamp": head.timestamp,
            "hash": _bytes(head.hash, 32),
            "parent_hash": _bytes(head.parent_hash, 32),
            "base_fee": head.base_fee,
            "gas_limit": head.gas_limit,
            "logs_bloom": _bytes(head.logs_bloom, 256) if head.has_bloom else None,
        }
    return None


def time_parse(bytes frame not None, long repeats):
    """Parses one frame `repeats` times without Python in between; returns the last message number.

    For benches: the caller's clock around it, divided by `repeats`, is the cost of one frame.
    """
    cdef log_event log
    cdef head_event head
    cdef int message = 0
    cdef long i
    cdef const char *buf = <const char *>frame
    cdef Py_ssize_t n = len(frame)
    with nogil:
        for i in range(repeats):
            message = wire_parse(buf, n, &log, &head)
    return message
