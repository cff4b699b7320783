/* Decimal text of integers, as files spell them. Plain C, no allocation; nothing is read past n. */
#ifndef MEVFAST_DECIMAL_H
#define MEVFAST_DECIMAL_H

#include <stddef.h>

#include "u256.h"

enum {
    DECIMAL_DIGITS = 38, /* 10**38 is below 2**127 */
    DECIMAL_WORD_DIGITS = 19 /* 10**19 is below 2**64 */
};

/* *r = the integer that text[0..n) spells: "-" or nothing, then 1 to DECIMAL_DIGITS of 0-9.
 * 1, or 0 with *r untouched where it is anything else, a longer number included. */
static inline int decimal_i128(i128 *r, const unsigned char *text, size_t n)
{
    int negative = n != 0 && text[0] == '-';
    size_t i = negative ? 1 : 0, middle;
    uint64_t word, scale;
    u128 value = 0;

    if (n - i < 1 || n - i > DECIMAL_DIGITS)
        return 0;
    /* by words: 128-bit products take longer */
    while (i < n) {
        word = 0;
        scale = 1;
        middle = n - i > DECIMAL_WORD_DIGITS ? i + DECIMAL_WORD_DIGITS : n;
        for (; i < middle; i++) {
            unsigned digit = text[i] - (unsigned)'0';
            if (digit > 9)
                return 0;
            word = word * 10 + digit;
            scale *= 10;
        }
        value = value * scale + word;
    }
    *r = negative ? -(i128)value : (i128)value;
    return 1;
}

#endif
