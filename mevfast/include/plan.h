/* A sized cycle, ready to be encoded: what _search hands to _tx. */
#ifndef MEVFAST_PLAN_H
#define MEVFAST_PLAN_H

#include <stdint.h>

#include "u256.h"

#define PLAN_MAX_HOPS 4

enum funding {
    FUNDING_OWN = 0,          /* the executor's own balance */
    FUNDING_FLASH_SWAP = 1,   /* the first pool pays out first and is paid last */
    FUNDING_BALANCER = 2,     /* Balancer V2 vault flash loan */
    FUNDING_AAVE = 3          /* Aave V3 flashLoanSimple */
};

typedef struct {
    uint8_t pool[20];
    uint8_t kind;             /* enum pool_kind */
    uint8_t zero_for_one;     /* token0 in, token1 out */
    uint8_t index_in, index_out; /* of the tokens among the pool's */
    uint32_t fee_pips;        /* V2: the executor computes the output from it; V3: 0 */
    uint32_t slot;            /* the pool's slot in the reserve table */
    uint32_t token_in, token_out; /* token ids of the table */
    u256 amount_in, amount_out;
    double price_after;       /* of the pool, as in pool_quote; 0: not known */
} plan_hop;

typedef struct {
    uint8_t token[20];        /* start and profit token */
    uint8_t funding;          /* enum funding */
    uint8_t n_hops;           /* 2-4 */
    uint8_t finished;         /* its size is not to be looked at once more */
    uint64_t deadline;        /* last block the transaction may execute in */
    u256 amount_in;           /* below 2**128, as min_profit: what the calldata holds */
    u256 amount_out;
    u256 min_profit;          /* the executor reverts below it, after the flash fee */
    u256 profit;              /* predicted, after the flash fee, token units */
    plan_hop hop[PLAN_MAX_HOPS];
} swap_plan;

#endif
