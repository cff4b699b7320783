/* ASCII hex -> bytes and integers, either case, by three twins that agree on every input.
 *
 * hex_*: 32 digits a step with SSE2, which every x86-64 has, eight digits a step (SWAR) for the rest,
 * and everywhere with HEX_PORTABLE or without SSE2. hex_*_avx2: 64 digits a step, only where
 * hex_has_avx2() says so; whoever calls them is compiled for AVX2 too (HEX_AVX2), or nothing is inlined.
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
#if defined(__x86_64__) && !defined(HEX_PORTABLE)
#define HEX_AVX2 __attribute__((target("avx2")))
#include <immintrin.h>
#endif

#include "u256.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the eight-digit steps read little-endian words"
#endif

#define HEX_EACH(byte) (0x0101010101010101ull * (byte))

/* Four bytes from eight digits, the first one in the lowest byte; a bit of *bad is set unless all
 * are digits.
 *
 * For a byte c below 0x80, bit 7 of c + (0x80 - k) says c >= k, without carry into its neighbour.
 */
static inline uint32_t hex_four_of(uint64_t x, uint64_t *bad) {
    uint64_t low, lower, digit, letter, nibbles;
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

/* The same of p[0..7]. */
static inline uint32_t hex_eight(const char *p, uint64_t *bad) {
    uint64_t x;
    memcpy(&x, p, 8);
    return hex_four_of(x, bad);
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

/* Sixteen bytes from p[0..31], by SWAR alone. */
static inline void hex_thirty_two_swar(uint8_t *out, const char *p, uint64_t *bad) {
    for (int i = 0; i < 4; i++) {
        uint32_t four = hex_eight(p + 8 * i, bad);
        memcpy(out + 4 * i, &four, 4);
    }
}

/* Sixteen bytes from p[0..31]. */
static inline void hex_thirty_two(uint8_t *out, const char *p, uint64_t *bad) {
#ifdef HEX_SSE2
    __m128i valid = _mm_set1_epi8(-1);
    __m128i first = hex_lanes(p, &valid), second = hex_lanes(p + 16, &valid);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_packus_epi16(first, second));
    *bad |= (uint64_t)_mm_movemask_epi8(valid) ^ 0xffff;
#else
    hex_thirty_two_swar(out, p, bad);
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

#ifdef HEX_AVX2
static inline int hex_has_avx2(void) {
    return __builtin_cpu_supports("avx2") != 0;
}

/* The values of 32 digits; a bit of *bad's upper nibbles is set unless all are digits.
 *
 * Two sums, of which the smaller one is below 16 for a digit alone: c + 0xc6 puts 0-9 at the upper
 * end of a byte, where a saturating step parts them from what lies below; letters count from 10 on.
 */
HEX_AVX2 static inline __m256i hex_values_avx2(const char *p, __m256i *bad) {
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i high = _mm256_add_epi8(x, _mm256_set1_epi8((char)(0xff - '9')));
    __m256i digit = _mm256_sub_epi8(_mm256_subs_epu8(high, _mm256_set1_epi8(6)), _mm256_set1_epi8((char)0xf0));
    __m256i upper = _mm256_sub_epi8(_mm256_and_si256(x, _mm256_set1_epi8((char)0xdf)), _mm256_set1_epi8('A'));
    __m256i letter = _mm256_adds_epu8(upper, _mm256_set1_epi8(10));
    __m256i value = _mm256_min_epu8(digit, letter);
    *bad = _mm256_or_si256(*bad, value);
    /* the first digit of a pair is worth 16 */
    return _mm256_maddubs_epi16(value, _mm256_set1_epi16(0x0110));
}

HEX_AVX2 static inline int hex_good_avx2(__m256i bad) {
    return _mm256_testz_si256(bad, _mm256_set1_epi8((char)0xf0));
}

/* Sixteen bytes from 32 digits. */
HEX_AVX2 static inline void hex_sixteen_avx2(uint8_t *out, const char *p, __m256i *bad) {
    __m256i pairs = hex_values_avx2(p, bad);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
}

/* As hex_bytes. */
HEX_AVX2 static inline int hex_bytes_avx2(uint8_t *out, const char *p, size_t n_bytes) {
    __m256i bad = _mm256_setzero_si256();
    uint64_t bad_eight = 0;
    size_t i = 0;
    for (; i + 32 <= n_bytes; i += 32) {
        __m256i first = hex_values_avx2(p + 2 * i, &bad), second = hex_values_avx2(p + 2 * i + 32, &bad);
        /* lanes are packed one by one: their quarters come as 0, 2, 1, 3 */
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), bytes);
    }
    if (i + 16 <= n_bytes) {
        hex_sixteen_avx2(out + i, p + 2 * i, &bad);
        i += 16;
    }
    for (; i < n_bytes; i += 4) {
        uint32_t four = hex_eight(p + 2 * i, &bad_eight);
        memcpy(out + i, &four, 4);
    }
    return hex_good_avx2(bad) & (bad_eight == 0);
}

/* As hex_word. */
HEX_AVX2 static inline int hex_word_avx2(u256 *out, const char *p) {
    const __m256i swap = _mm256_broadcastsi128_si256(
        _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    __m256i bad = _mm256_setzero_si256();
    __m256i first = hex_values_avx2(p, &bad), second = hex_values_avx2(p + 32, &bad);
    __m256i limbs = _mm256_shuffle_epi8(_mm256_packus_epi16(first, second), swap);
    if (!hex_good_avx2(bad)) return 0;
    /* packed as 0, 2, 1, 3; wanted last to first */
    _mm256_storeu_si256((__m256i *)(void *)out->w, _mm256_permute4x64_epi64(limbs, 0x27));
    return 1;
}
#endif

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
