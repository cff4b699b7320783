/* ASCII hex -> bytes and integers, either case: 32 digits a step with SSE2, which every x86-64 has,
 * eight digits a step (SWAR) for the rest, and everywhere with HEX_PORTABLE or without SSE2.
 *
 * Every function reads exactly the characters it is told to, and says 0 where
 * one of them is no hex digit; what it wrote by then means nothing.
 */
#ifndef MEVFAST_HEX_H
#define MEVFAST_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(HEX_PORTABLE)
#define HEX_SSE2 1
#include <emmintrin.h>
#endif

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

#ifdef HEX_SSE2
/* Sixteen digits as eight 16-bit lanes of one byte each; *valid keeps 0xff where all were digits. */
static inline __m128i hex_lanes(const char *p, __m128i *valid) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i digit = _mm_sub_epi8(x, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    __m128i nibbles = _mm_add_epi8(_mm_and_si128(x, _mm_set1_epi8(0x0f)), _mm_and_si128(is_letter, _mm_set1_epi8(9)));
    *valid = _mm_and_si128(*valid, _mm_or_si128(is_digit, is_letter));
    nibbles = _mm_or_si128(_mm_slli_epi16(nibbles, 4), _mm_srli_epi16(nibbles, 8));
    return _mm_and_si128(nibbles, _mm_set1_epi16(0x00ff));
}
#endif

/* Sixteen bytes from p[0..31]. */
static inline void hex_thirty_two(uint8_t *out, const char *p, uint64_t *bad) {
#ifdef HEX_SSE2
    __m128i valid = _mm_set1_epi8(-1);
    __m128i first = hex_lanes(p, &valid), second = hex_lanes(p + 16, &valid);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_packus_epi16(first, second));
    *bad |= (uint64_t)_mm_movemask_epi8(valid) ^ 0xffff;
#else
    for (int i = 0; i < 4; i++) {
        uint32_t four = hex_eight(p + 8 * i, bad);
        memcpy(out + 4 * i, &four, 4);
    }
#endif
}

/* n_bytes (a multiple of 4) from 2 * n_bytes digits. */
static inline int hex_bytes(uint8_t *out, const char *p, size_t n_bytes) {
    uint64_t bad = 0;
    size_t i = 0;
    for (; i + 16 <= n_bytes; i += 16) hex_thirty_two(out + i, p + 2 * i, &bad);
    for (; i < n_bytes; i += 4) {
        uint32_t four = hex_eight(p + 2 * i, &bad);
        memcpy(out + i, &four, 4);
    }
    return bad == 0;
}

/* A big-endian 32-byte word from 64 digits; *out is left alone where they are none. */
static inline int hex_word(u256 *out, const char *p) {
    uint64_t big_endian[4];
    if (!hex_bytes((uint8_t *)big_endian, p, 32)) return 0;
    for (int limb = 0; limb < 4; limb++) out->w[limb] = __builtin_bswap64(big_endian[3 - limb]);
    return 1;
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
