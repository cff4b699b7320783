/* Template of wire.h: the reading of one frame, included once for each twin of hex.h.
 *
 * WIRE_AS(name) is the twin's name for a function, WIRE_HEX(name) its function of hex.h, WIRE_TARGET
 * the instructions that it is compiled for. No include guard, on purpose; nothing without the macros.
 */
#ifdef WIRE_AS

/* ---- Values. Each returns the position behind the value, or NULL where it is not of that form. ---- */

/* "0x" and exactly 2 * n digits; n is a multiple of 4. */
WIRE_TARGET static inline const char *WIRE_AS(wire_fixed)(const char *p, const char *end, uint8_t *out, int n) {
    if (end - p < 2 * n + 4 || memcmp(p, "\"0x", 3) != 0 || p[2 * n + 3] != '"') return NULL;
    return WIRE_HEX(bytes)(out, p + 3, (size_t)n) ? p + 2 * n + 4 : NULL;
}

WIRE_TARGET static inline const char *WIRE_AS(wire_topics)(const char *p, const char *end, log_event *log) {
    uint8_t n = 0;
    if (!(p = json_expect(p, end, '['))) return NULL;
    p = json_space(p, end);
    if (p < end && *p == ']') return log->n_topics = 0, p + 1;
    for (;;) {
        if (n == 4 || end - p < 68) return NULL;
        if (n == 0) p = WIRE_AS(wire_fixed)(p, end, log->topic0, 32);
        else if (memcmp(p, "\"0x", 3) != 0 || p[67] != '"' || !WIRE_HEX(word)(&log->topic[n - 1], p + 3)) return NULL;
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
WIRE_TARGET static inline const char *WIRE_AS(wire_bloom)(const char *p, const char *end, head_event *head) {
    const char *after = json_literal(p, end, "null", 4);
    if (after) return after;
    after = WIRE_AS(wire_fixed)(p, end, head->logs_bloom, 256);
    head->has_bloom = after != NULL;
    return after;
}

/* Whole words into word[]; what is beyond them must be hex too, and is only marked. */
WIRE_TARGET static inline const char *WIRE_AS(wire_data)(const char *p, const char *end, log_event *log) {
    const char *rest;
    uint8_t n = 0;
    if (end - p < 4 || memcmp(p, "\"0x", 3) != 0) return NULL;
    p += 3;
    while (n < EVENT_MAX_WORDS && end - p >= 64 && *p != '"' && WIRE_HEX(word)(&log->word[n], p)) {
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
WIRE_TARGET static inline int WIRE_AS(wire_field)(const char *key, size_t n, const char *p, const char *end,
                                                  log_event *log, head_event *head, const char **value) {
#define WIRE_KEY(name, field, parse) \
    if (memcmp(key, name, sizeof name - 1) == 0) return *value = (parse), (field)
    switch (n) {
    case 4:
        WIRE_KEY("data", WIRE_DATA, WIRE_AS(wire_data)(p, end, log));
        WIRE_KEY("hash", WIRE_HASH, WIRE_AS(wire_fixed)(p, end, head->hash, 32));
        return 0;
    case 6:
        WIRE_KEY("topics", WIRE_TOPICS, WIRE_AS(wire_topics)(p, end, log));
        WIRE_KEY("number", WIRE_NUMBER, wire_quantity(p, end, UINT64_MAX, &head->number));
        return 0;
    case 7:
        WIRE_KEY("address", WIRE_ADDRESS, WIRE_AS(wire_fixed)(p, end, log->address, 20));
        WIRE_KEY("removed", WIRE_REMOVED, wire_bool(p, end, &log->removed));
        return 0;
    case 8:
        WIRE_KEY("logIndex", WIRE_LOG_INDEX, wire_index(p, end, &log->log_index));
        WIRE_KEY("gasLimit", WIRE_GAS_LIMIT, wire_quantity(p, end, UINT64_MAX, &head->gas_limit));
        return 0;
    case 9:
        WIRE_KEY("blockHash", WIRE_BLOCK_HASH, WIRE_AS(wire_fixed)(p, end, log->block_hash, 32));
        WIRE_KEY("logsBloom", WIRE_LOGS_BLOOM, WIRE_AS(wire_bloom)(p, end, head));
        WIRE_KEY("timestamp", WIRE_TIMESTAMP, wire_quantity(p, end, UINT64_MAX, &head->timestamp));
        return 0;
    case 10:
        WIRE_KEY("parentHash", WIRE_PARENT_HASH, WIRE_AS(wire_fixed)(p, end, head->parent_hash, 32));
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
        WIRE_KEY("transactionHash", WIRE_TX_HASH, WIRE_AS(wire_fixed)(p, end, log->tx_hash, 32));
        return 0;
    case 16:
        WIRE_KEY("transactionIndex", WIRE_TX_INDEX, wire_index(p, end, &log->tx_index));
        return 0;
    default:
        return 0;
    }
#undef WIRE_KEY
}

/* The object at p, `params.result`. A field that is not as expected counts only against the kind of
 * message that needs it: a log may carry a `timestamp` of any form. */
WIRE_TARGET static inline const char *WIRE_AS(wire_result)(const char *p, const char *end, log_event *log,
                                                           head_event *head, int *message) {
    const char *key, *value;
    size_t n_key = 0;
    int seen = 0, bad = 0;
    if (!(p = json_expect(p, end, '{'))) return NULL;
    for (int first = 1;; first = 0) {
        int field;
        if (!(p = json_next(p, end, first, &key, &n_key))) return NULL;
        if (!key) break;
        value = NULL;
        field = WIRE_AS(wire_field)(key, n_key, p, end, log, head, &value);
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

/* ---- The envelope ---- */

WIRE_TARGET static inline const char *WIRE_AS(wire_params)(const char *p, const char *end, log_event *log,
                                                           head_event *head, int *message) {
    const char *key;
    size_t n_key = 0;
    int seen = 0;
    if (!(p = json_expect(p, end, '{'))) return NULL;
    for (int first = 1;; first = 0) {
        if (!(p = json_next(p, end, first, &key, &n_key)) || !key) return p;
        if (n_key == 6 && memcmp(key, "result", 6) == 0) {
            if (seen++) return NULL;
            p = WIRE_AS(wire_result)(p, end, log, head, message);
        } else {
            p = json_skip(p, end);
        }
        if (!p) return NULL;
    }
}

/* The envelope as nearly every node writes it, to the letter; anything else is WIRE_OTHER here. */
WIRE_TARGET static inline int WIRE_AS(wire_usual)(const char *p, const char *end, log_event *log, head_event *head) {
    static const char opening[] = "{\"jsonrpc\":\"2.0\",\"method\":\"eth_subscription\",\"params\":{\"subscription\":\"";
    static const char result[] = "\",\"result\":";
    int message = WIRE_OTHER;
    if (!(p = json_literal(p, end, opening, sizeof opening - 1))) return WIRE_OTHER;
    p = json_plain(p, end);
    if (!(p = json_literal(p, end, result, sizeof result - 1))) return WIRE_OTHER;
    if (!(p = WIRE_AS(wire_result)(p, end, log, head, &message))) return WIRE_OTHER;
    if (!(p = json_literal(p, end, "}}", 2))) return WIRE_OTHER;
    return json_space(p, end) == end ? message : WIRE_OTHER;
}

/* The envelope with its keys in any order, with others between them and white space. */
WIRE_TARGET static inline int WIRE_AS(wire_unusual)(const char *p, const char *end, log_event *log, head_event *head) {
    static const char method[] = "\"eth_subscription\"";
    const char *key;
    size_t n_key = 0;
    int message = WIRE_OTHER, methods = 0, params = 0;
    if (!(p = json_expect(p, end, '{'))) return WIRE_OTHER;
    for (int first = 1;; first = 0) {
        if (!(p = json_next(p, end, first, &key, &n_key))) return WIRE_OTHER;
        if (!key) break;
        if (n_key == 6 && memcmp(key, "method", 6) == 0) {
            if (methods++) return WIRE_OTHER;
            p = json_literal(p, end, method, sizeof method - 1);
        } else if (n_key == 6 && memcmp(key, "params", 6) == 0) {
            if (params++) return WIRE_OTHER;
            p = WIRE_AS(wire_params)(p, end, log, head, &message);
        } else {
            p = json_skip(p, end);
        }
        if (!p) return WIRE_OTHER;
    }
    return methods && json_space(p, end) == end ? message : WIRE_OTHER;
}

/* The message in p..end; a log is not named yet. Where the usual reading gives up, the other one
 * meets the same result or none, so what was set on the way is set again or does not count. */
WIRE_TARGET static int WIRE_AS(wire_read)(const char *p, const char *end, log_event *log, head_event *head) {
    int message;
    wire_begin(log, head);
    message = WIRE_AS(wire_usual)(p, end, log, head);
    return message != WIRE_OTHER ? message : WIRE_AS(wire_unusual)(p, end, log, head);
}

#endif
