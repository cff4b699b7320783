/* Notification frames -> log_event and head_event, straight from the bytes.
 *
 * Strict where it decides, tolerant where it does not matter: keys come in any
 * order with any others between them, but a frame that is not whole, well-formed
 * JSON, that names a field twice, or whose fields are not what the protocol
 * says, is WIRE_OTHER and left to the general parser. A log is named by its topic0.
 *
 * What reads hex is compiled twice, from wire_fields.h, so that it is inlined for AVX2 and without it;
 * which of the two runs is asked of the processor once a frame.
 */
#ifndef MEVFAST_WIRE_H
#define MEVFAST_WIRE_H

#include "event_topics.h"
#include "hex.h"
#include "json.h"

enum {
    WIRE_ADDRESS = 1 << 0,
    WIRE_TOPICS = 1 << 1,
    WIRE_DATA = 1 << 2,
    WIRE_BLOCK_NUMBER = 1 << 3,
    WIRE_BLOCK_HASH = 1 << 4,
    WIRE_TX_HASH = 1 << 5,
    WIRE_TX_INDEX = 1 << 6,
    WIRE_LOG_INDEX = 1 << 7,
    WIRE_REMOVED = 1 << 8,    /* optional: absent means false */
    WIRE_NUMBER = 1 << 9,
    WIRE_HASH = 1 << 10,
    WIRE_PARENT_HASH = 1 << 11,
    WIRE_TIMESTAMP = 1 << 12,
    WIRE_GAS_LIMIT = 1 << 13,
    WIRE_BASE_FEE = 1 << 14,  /* optional: absent or null before EIP-1559 */
    WIRE_LOGS_BLOOM = 1 << 15, /* optional: pending heads have none */

    WIRE_LOG_FIELDS = WIRE_ADDRESS | WIRE_TOPICS | WIRE_DATA | WIRE_BLOCK_NUMBER | WIRE_BLOCK_HASH
                    | WIRE_TX_HASH | WIRE_TX_INDEX | WIRE_LOG_INDEX,
    WIRE_HEAD_FIELDS = WIRE_NUMBER | WIRE_HASH | WIRE_PARENT_HASH | WIRE_TIMESTAMP | WIRE_GAS_LIMIT
};

/* ---- Values that are no fixed number of digits, likewise for both twins ---- */

/* "0x" and 1-16 digits whose value is at most max. */
static inline const char *wire_quantity(const char *p, const char *end, uint64_t max, uint64_t *out) {
    const char *start = p + 3;
    uint64_t value = 0;
    int digit;
    if (end - p < 5 || memcmp(p, "\"0x", 3) != 0) return NULL;
    if (end - p >= 12) { /* up to eight digits in one step: no branch depends on their number */
        uint64_t digits, quote, bad = 0;
        int n;
        memcpy(&digits, start, 8);
        quote = digits ^ HEX_EACH('"');
        quote = (quote - HEX_EACH(1)) & ~quote & HEX_EACH(0x80); /* its lowest bit is the first quote's */
        n = quote ? __builtin_ctzll(quote) >> 3 : 8;
        if (n == 0) return NULL;
        if (start[n] == '"') {
            /* the last digit at the end, zeros before the first */
            if (n < 8) digits = digits << (64 - 8 * n) | HEX_EACH('0') >> (8 * n);
            value = __builtin_bswap32(hex_four_of(digits, &bad));
            if (bad || value > max) return NULL;
            *out = value;
            return start + n + 1;
        }
    }
    for (p = start; p < end && (digit = hex_digit(*p)) >= 0; p++) {
        if (p - start == 16) return NULL;
        value = value << 4 | (uint64_t)digit;
    }
    if (p == start || p == end || *p != '"' || value > max) return NULL;
    *out = value;
    return p + 1;
}

static inline const char *wire_index(const char *p, const char *end, uint32_t *out) {
    uint64_t value;
    if (!(p = wire_quantity(p, end, UINT32_MAX, &value))) return NULL;
    *out = (uint32_t)value;
    return p;
}

static inline const char *wire_bool(const char *p, const char *end, uint8_t *out) {
    const char *after = json_literal(p, end, "true", 4);
    *out = after != NULL;
    return after ? after : json_literal(p, end, "false", 5);
}

/* ---- The two twins ---- */

/* Not all of it: words and topics are set as far as they are counted. */
static inline void wire_begin(log_event *log, head_event *head) {
    log->removed = 0;
    memset(log->topic0, 0, sizeof log->topic0);
    head->base_fee = 0;
    head->has_bloom = 0;
}

#define WIRE_TARGET
#define WIRE_AS(name) name
#define WIRE_HEX(name) hex_##name
#include "wire_fields.h"
#undef WIRE_TARGET
#undef WIRE_AS
#undef WIRE_HEX

#ifdef HEX_AVX2
#define WIRE_TARGET HEX_AVX2
#define WIRE_AS(name) name##_avx2
#define WIRE_HEX(name) hex_##name##_avx2
#include "wire_fields.h"
#undef WIRE_TARGET
#undef WIRE_AS
#undef WIRE_HEX
#endif

/* Names the event of a complete log by its topic0. */
static inline void wire_name(log_event *log) {
    const event_shape *shape = log->n_topics > 0 ? event_shape_of(log->topic0) : NULL;
    log->kind = shape ? shape->kind : EVENT_UNKNOWN;
    log->misshapen = shape && !event_fits(shape, log);
}

/* As wire_scan, by the twin that every processor has. */
static inline int wire_scan_portable(const char *buf, ptrdiff_t n, log_event *log, head_event *head) {
    int message = wire_read(buf, buf + (n > 0 ? n : 0), log, head);
    if (message == WIRE_LOG) wire_name(log);
    return message;
}

/* Reads one whole frame buf[0..n). Returns an enum wire_message and fills the struct it names; the
 * contents of the other one, or of both after WIRE_OTHER, mean nothing. */
static inline int wire_scan(const char *buf, ptrdiff_t n, log_event *log, head_event *head) {
#ifdef HEX_AVX2
    if (hex_has_avx2()) {
        int message = wire_read_avx2(buf, buf + (n > 0 ? n : 0), log, head);
        if (message == WIRE_LOG) wire_name(log);
        return message;
    }
#endif
    return wire_scan_portable(buf, n, log, head);
}

#endif
