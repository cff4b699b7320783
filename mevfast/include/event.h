/* What one notification frame holds, as _wire fills it. Plain values: nothing points into the frame. */
#ifndef MEVFAST_EVENT_H
#define MEVFAST_EVENT_H

#include <stdint.h>

#include "u256.h"

enum wire_message {
    WIRE_OTHER = 0,           /* not a notification known here: hand the bytes to orjson */
    WIRE_LOG = 1,
    WIRE_HEAD = 2
};

enum event_kind {
    EVENT_UNKNOWN = 0,        /* a well-formed log whose topic0 no pool kind uses */
    EVENT_V2_SYNC,
    EVENT_V2_SWAP,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_BURN,
    EVENT_V3_SWAP
};

#define EVENT_MAX_WORDS 8

typedef struct {
    uint32_t kind;            /* enum event_kind */
    uint32_t log_index;
    uint32_t tx_index;
    uint8_t removed;
    uint8_t n_topics;         /* 0-4, topic0 included */
    uint8_t n_words;          /* 32-byte words of data decoded into word[], at most EVENT_MAX_WORDS */
    uint8_t truncated;        /* data had more words, or a length that is no multiple of 32 */
    uint64_t block_number;
    uint8_t address[20];
    uint8_t block_hash[32];
    uint8_t tx_hash[32];
    uint8_t topic0[32];
    u256 topic[3];            /* topics 1-3 as integers */
    u256 word[EVENT_MAX_WORDS];
} log_event;

typedef struct {
    uint64_t number;
    uint64_t timestamp;       /* seconds */
    uint8_t hash[32];
    uint8_t parent_hash[32];
    uint64_t base_fee;        /* wei; 0 where the header has none */
    uint64_t gas_limit;
    uint8_t has_bloom;        /* logs_bloom was there */
    uint8_t logs_bloom[256];  /* Yellow Paper 4.3.1; byte 0 holds bits 2047-2040 */
} head_event;

#endif
