/* ASCII hex -> bytes and integers, eight digits a step (SWAR), either case.
 *
 * Every function reads exactly the characters it is told to, and says 0 where
 * one of them is no hex digit; what it wrote by then means nothing.
 */
#ifndef MEVFAST_HEX_H
#define MEVFAST_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "u256.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the eight-digit steps read little-endian words"
#endif

#define HEX_EACH(byte) (0x0101010101010101ull * (byte))

/* Four bytes from p[0..7], first digit in the lowest byte; a bit of *bad is set unless all are digits.
 *
 * For a byte c below 0x80, bit 7 of c + (0x80 - k) says c >= k, without carry into its neighbour.
 */
static inline uint32_t hex_eight(const char *p, uint64_t *bad) {
    uint64_t x, low, lower, digit, letter, nibbles;
    memcpy(&x, p, 8);
    low = x & HEX_EACH(0x7f);
    lower = low | HEX_EACH(0x20);
    digit = (low + HEX_EACH(0x80 - '0')) & ~(low + HEX_EACH(0x80 - '9' - 1));
    letter = (lower + HEX_EACH(0x80 - 'a')) & ~(lower + HEX_EACH(0x80 - 'f' - 1));
    *bad |= (~(digit | letter) | x) & HEX_EACH(0x80);
    nibbles = (x & HEX_EACH(0x0f)) + 9 * ((x >> 6) & HEX_EACH(0x01));
    nibbles = (nibbles << 4 | nibbles >> 8) & 0x00ff00ff00ff00ffull;
    nibbles = (nibbles | nibbles >> 8) & 0x0000ffff0000ffffull;
    return (uint32_t)(nibbles | nibbles >> 16);
}

/* n_bytes (a multiple of 4) from 2 * n_bytes digits. */
static inline int hex_bytes(uint8_t *out, const char *p, size_t n_bytes) {
    uint64_t bad = 0;
    for (size_t i = 0; i < n_bytes; i += 4) {
        uint32_t four = hex_eight(p + 2 * i, &bad);
        memcpy(out + i, &four, 4);
    }
    return bad == 0;
}

/* A big-endian 32-byte word from 64 digits. */
static inline int hex_word(u256 *out, const char *p) {
    uint64_t bad = 0;
    for (int limb = 0; limb < 4; limb++) {
        const char *digits = p + 16 * (3 - limb);
        uint64_t high = __builtin_bswap32(hex_eight(digits, &bad));
        out->w[limb] = high << 32 | __builtin_bswap32(hex_eight(digits + 8, &bad));
    }
    return bad == 0;
}

/* The value of one digit, or -1. */
static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The first character of p..end that is no hex digit, or end. */
static inline const char *hex_span(const char *p, const char *end) {
    uint64_t bad = 0;
    while (end - p >= 8) {
        (void)hex_eight(p, &bad);
        if (bad) break;
        p += 8;
    }
    while (p < end && hex_digit(*p) >= 0) p++;
    return p;
}

#endif
