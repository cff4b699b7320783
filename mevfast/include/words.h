/* Event words to state fields: 0 where the word fits the contract's type, -1 otherwise. */
#ifndef MEVFAST_WORDS_H
#define MEVFAST_WORDS_H

#include <stdint.h>

#include "u256.h"

static inline int word_to_u128(u128 *r, const u256 *word, unsigned bits)
{
    u128 low = ((u128)word->w[1] << 64) | word->w[0];
    if ((word->w[2] | word->w[3]) != 0 || (bits < 128 && (low >> bits) != 0))
        return -1;
    *r = low;
    return 0;
}

static inline int word_to_int24(int32_t *r, const u256 *word)
{
    int64_t low = (int64_t)word->w[0];
    uint64_t sign = low < 0 ? UINT64_MAX : 0;
    if (word->w[1] != sign || word->w[2] != sign || word->w[3] != sign)
        return -1;
    if (low < -8388608 || low > 8388607)
        return -1;
    *r = (int32_t)low;
    return 0;
}

/* Magnitude and sign of an int256: returns 1 where negative, 0 otherwise. */
static inline int word_to_signed(u256 *magnitude, const u256 *word)
{
    *magnitude = *word;
    if ((word->w[3] >> 63) == 0)
        return 0;
    unsigned __int128 carry = 1;
    for (int i = 0; i < 4; i++) {
        carry += (uint64_t)~word->w[i];
        magnitude->w[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return 1;
}

#endif
