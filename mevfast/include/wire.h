/* Notification frames -> log_event and head_event, straight from the bytes.
 *
 * Strict where it decides, tolerant where it does not matter: keys come in any
 * order with any others between them, but a frame that is not whole, well-formed
 * JSON, that names a field twice, or whose fields are not what the protocol
 * says, is WIRE_OTHER and left to the general parser. A log is named by its topic0.
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

/* ---- Values. Each returns the position behind the value, or NULL where it is not of that form. ---- */

/* "0x" and exactly 2 * n digits; n is a multiple of 4. */
static inline const char *wire_fixed(const char *p, const char *end, uint8_t *out, int n) {
    if (end - p < 2 * n + 4 || memcmp(p, "\"0x", 3) != 0 || p[2 * n + 3] != '"') return NULL;
    return hex_bytes(out, p + 3, (size_t)n) ? p + 2 * n + 4 : NULL;
}

/* "0x" and 1-16 digits whose value is at most max. */
static inline const char *wire_quantity(const char *p, const char *end, uint64_t max, uint64_t *out) {
    const char *start = p + 3;
    uint64_t value = 0;
    int digit;
    if (end - p < 5 || memcmp(p, "\"0x", 3) != 0) return NULL;
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

static inline const char *wire_topics(const char *p, const char *end, log_event *log) {
    uint8_t n = 0;
    if (!(p = json_expect(p, end, '['))) return NULL;
    p = json_space(p, end);
    if (p < end && *p == ']') return log->n_topics = 0, p + 1;
    for (;;) {
        if (n == 4 || end - p < 68) return NULL;
        if (n == 0) p = wire_fixed(p, end, log->topic0, 32);
        else if (memcmp(p, "\"0x", 3) != 0 || p[67] != '"' || !hex_word(&log->topic[n - 1], p + 3)) return NULL;
        else p += 68;
        if (!p) return NULL;
        n++;
        p = json_space(p, end);
        if (p == end) return NULL;
        if (*p == ']') break;
        if (*p != ',') return NULL;
        p = json_space(p + 1, end);
    }
    log->n_topics = n;
    return p + 1;
}

/* 256 bytes, or null where the node has none yet. */
static inline const char *wire_bloom(const char *p, const char *end, head_event *head) {
    const char *after = json_literal(p, end, "null", 4);
    if (after) return after;
    after = wire_fixed(p, end, head->logs_bloom, 256);
    head->has_bloom = after != NULL;
    return after;
}

/* Whole words into word[]; what is beyond them must be hex too, and is only marked. */
static inline const char *wire_data(const char *p, const char *end, log_event *log) {
    const char *rest;
    uint8_t n = 0;
    if (end - p < 4 || memcmp(p, "\"0x", 3) != 0) return NULL;
    p += 3;
    while (n < EVENT_MAX_WORDS && end - p >= 64 && hex_word(&log->word[n], p)) {
        n++;
        p += 64;
    }
    rest = p;
    if (p < end && *p != '"') p = hex_span(p, end);
    if (p == end || *p != '"' || (p - rest) & 1) return NULL;
    log->n_words = n;
    log->truncated = p > rest;
    return p + 1;
}

/* ---- The object ---- */

/* Which field a key names, 0 for any other; *value is where its value ends, NULL where it is malformed. */
static inline int wire_field(const char *key, size_t n, const char *p, const char *end, log_event *log,
                             head_event *head, const char **value) {
#define WIRE_KEY(name, field, parse) \
    if (memcmp(key, name, sizeof name - 1) == 0) return *value = (parse), (field)
    switch (n) {
    case 4:
        WIRE_KEY("data", WIRE_DATA, wire_data(p, end, log));
        WIRE_KEY("hash", WIRE_HASH, wire_fixed(p, end, head->hash, 32));
        return 0;
    case 6:
        WIRE_KEY("topics", WIRE_TOPICS, wire_topics(p, end, log));
        WIRE_KEY("number", WIRE_NUMBER, wire_quantity(p, end, UINT64_MAX, &head->number));
        return 0;
    case 7:
        WIRE_KEY("address", WIRE_ADDRESS, wire_fixed(p, end, log->address, 20));
        WIRE_KEY("removed", WIRE_REMOVED, wire_bool(p, end, &log->removed));
        return 0;
    case 8:
        WIRE_KEY("logIndex", WIRE_LOG_INDEX, wire_index(p, end, &log->log_index));
        WIRE_KEY("gasLimit", WIRE_GAS_LIMIT, wire_quantity(p, end, UINT64_MAX, &head->gas_limit));
        return 0;
    case 9:
        WIRE_KEY("blockHash", WIRE_BLOCK_HASH, wire_fixed(p, end, log->block_hash, 32));
        WIRE_KEY("logsBloom", WIRE_LOGS_BLOOM, wire_bloom(p, end, head));
        WIRE_KEY("timestamp", WIRE_TIMESTAMP, wire_quantity(p, end, UINT64_MAX, &head->timestamp));
        return 0;
    case 10:
        WIRE_KEY("parentHash", WIRE_PARENT_HASH, wire_fixed(p, end, head->parent_hash, 32));
        return 0;
    case 11:
        WIRE_KEY("blockNumber", WIRE_BLOCK_NUMBER, wire_quantity(p, end, UINT64_MAX, &log->block_number));
        return 0;
    case 13:
        WIRE_KEY("baseFeePerGas", WIRE_BASE_FEE,
                 p < end && *p == 'n' ? json_literal(p, end, "null", 4)
                                      : wire_quantity(p, end, UINT64_MAX, &head->base_fee));
        return 0;
    case 15:
        WIRE_KEY("transactionHash", WIRE_TX_HASH, wire_fixed(p, end, log->tx_hash, 32));
        return 0;
    case 16:
        WIRE_KEY("transactionIndex", WIRE_TX_INDEX, wire_index(p, end, &log->tx_index));
        return 0;
    default:
        return 0;
    }
#undef WIRE_KEY
}

/* Names the event of a complete log by its topic0. */
static inline void wire_name(log_event *log) {
    const event_shape *shape = log->n_topics > 0 ? event_shape_of(log->topic0) : NULL;
    log->kind = shape ? shape->kind : EVENT_UNKNOWN;
    log->misshapen = shape && !event_fits(shape, log);
}

/* The object at p, `params.result`. A field that is not as expected counts only against the kind of
 * message that needs it: a log may carry a `timestamp` of any form. */
static inline const char *wire_result(const char *p, const char *end, log_event *log, head_event *head, int *message) {
    const char *key, *value;
    size_t n_key = 0;
    int seen = 0, bad = 0;
    if (!(p = json_expect(p, end, '{'))) return NULL;
    for (int first = 1;; first = 0) {
        int field;
        if (!(p = json_next(p, end, first, &key, &n_key))) return NULL;
        if (!key) break;
        value = NULL;
        field = wire_field(key, n_key, p, end, log, head, &value);
        if (seen & field) return NULL;
        seen |= field;
        if (!value) {
            bad |= field;
            value = json_skip(p, end);
            if (!value) return NULL;
        }
        p = value;
    }
    if ((seen & WIRE_LOG_FIELDS) == WIRE_LOG_FIELDS && !(bad & (WIRE_LOG_FIELDS | WIRE_REMOVED))) *message = WIRE_LOG;
    else if ((seen & WIRE_HEAD_FIELDS) == WIRE_HEAD_FIELDS
             && !(bad & (WIRE_HEAD_FIELDS | WIRE_BASE_FEE | WIRE_LOGS_BLOOM)))
        *message = WIRE_HEAD;
    return p;
}

static inline const char *wire_params(const char *p, const char *end, log_event *log, head_event *head, int *message) {
    const char *key;
    size_t n_key = 0;
    int seen = 0;
    if (!(p = json_expect(p, end, '{'))) return NULL;
    for (int first = 1;; first = 0) {
        if (!(p = json_next(p, end, first, &key, &n_key)) || !key) return p;
        if (n_key == 6 && memcmp(key, "result", 6) == 0) {
            if (seen++) return NULL;
            p = wire_result(p, end, log, head, message);
        } else {
            p = json_skip(p, end);
        }
        if (!p) return NULL;
    }
}

/* Reads one whole frame buf[0..n). Returns an enum wire_message and fills the struct it names; the
 * contents of the other one, or of both after WIRE_OTHER, mean nothing. */
static inline int wire_scan(const char *buf, ptrdiff_t n, log_event *log, head_event *head) {
    static const char method[] = "\"eth_subscription\"";
    const char *p, *key, *end = buf + (n > 0 ? n : 0);
    size_t n_key = 0;
    int message = WIRE_OTHER, methods = 0, params = 0;
    /* not all of it: words and topics are set as far as they are counted */
    log->removed = 0;
    memset(log->topic0, 0, sizeof log->topic0);
    head->base_fee = 0;
    head->has_bloom = 0;
    if (!(p = json_expect(buf, end, '{'))) return WIRE_OTHER;
    for (int first = 1;; first = 0) {
        if (!(p = json_next(p, end, first, &key, &n_key))) return WIRE_OTHER;
        if (!key) break;
        if (n_key == 6 && memcmp(key, "method", 6) == 0) {
            if (methods++) return WIRE_OTHER;
            p = json_literal(p, end, method, sizeof method - 1);
        } else if (n_key == 6 && memcmp(key, "params", 6) == 0) {
            if (params++) return WIRE_OTHER;
            p = wire_params(p, end, log, head, &message);
        } else {
            p = json_skip(p, end);
        }
        if (!p) return WIRE_OTHER;
    }
    if (!methods || json_space(p, end) != end) return WIRE_OTHER;
    if (message == WIRE_LOG) wire_name(log);
    return message;
}

#endif
