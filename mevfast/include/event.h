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

/* What a log says, by its topic0. Events that say the same in the same words share a kind; the
 * signatures of each are in event_topics.h. */
enum event_kind {
    EVENT_UNKNOWN = 0,        /* a well-formed log whose topic0 no pool kind uses */
    EVENT_V2_SYNC,            /* and Camelot's */
    EVENT_V2_SWAP,
    EVENT_V3_INITIALIZE,      /* these four are Pancake's (but for the swap) and Algebra's, too */
    EVENT_V3_MINT,
    EVENT_V3_BURN,
    EVENT_V3_SWAP,
    EVENT_PANCAKE_SWAP,       /* V3's and two words more */
    EVENT_ALGEBRA_SWAP,       /* Integral's: V3's and its plugin's fees */
    EVENT_ALGEBRA_BURN,       /* V3's and its plugin's fee */
    EVENT_ALGEBRA_FEE,
    EVENT_ALGEBRA_FEES,       /* one for each direction */
    EVENT_ALGEBRA_TICK_SPACING,
    EVENT_ALGEBRA_PLUGIN,     /* another plugin, or other rights of it */
    EVENT_V4_INITIALIZE,
    EVENT_V4_MODIFY_LIQUIDITY,
    EVENT_V4_SWAP,
    EVENT_V4_DONATE,
    EVENT_V4_PROTOCOL_FEE,
    EVENT_SOLIDLY_SYNC,
    EVENT_SOLIDLY_SWAP,
    EVENT_SOLIDLY_FEE,        /* of the factory: a pool's own fee */
    EVENT_CAMELOT_FEES,
    EVENT_CAMELOT_TYPE,
    EVENT_CURVE_EXCHANGE,
    EVENT_CURVE_OTHER,        /* liquidity, fees, A: the state must be read again */
    EVENT_CRYPTO_EXCHANGE,
    EVENT_CRYPTO_OTHER,       /* liquidity, parameters, claimed fees: likewise */
    EVENT_BALANCER_SWAP,
    EVENT_BALANCER_CHANGED,   /* a join or an exit */
    EVENT_BALANCER_MANAGED,   /* by an asset manager */
    EVENT_BALANCER_SWAP_FEE,
    EVENT_BALANCER_OTHER,     /* rates and amp: the state must be read again */
    EVENT_KINDS               /* how many there are */
};

/* Balancer's PoolBalanceChanged of 8 tokens: three arrays. Only the first n_words are ever set. */
#define EVENT_MAX_WORDS 30

typedef struct {
    uint32_t kind;            /* enum event_kind */
    uint32_t log_index;
    uint32_t tx_index;
    uint8_t removed;
    uint8_t n_topics;         /* 0-4, topic0 included */
    uint8_t n_words;          /* 32-byte words of data decoded into word[], at most EVENT_MAX_WORDS */
    uint8_t truncated;        /* data had more words, or a length that is no multiple of 32 */
    uint8_t misshapen;        /* topic0 is of `kind`, but not the number of topics or words */
    uint64_t block_number;
    uint8_t address[20];
    uint8_t block_hash[32];
    uint8_t tx_hash[32];
    uint8_t topic0[32];
    u256 topic[3];            /* topics 1-3 as integers; only those there are */
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
