/* Strict walking over JSON text that stays where it is: no tree, no memory, no recursion.
 *
 * Each function takes a position and the end of the text, never reads at or
 * past the end, and returns the position behind what it took, or NULL where
 * the text is not the JSON it expects. What is skipped is checked as strictly
 * as by a full parser (RFC 8259), so that text taken here is never text that
 * another parser would refuse.
 */
#ifndef MEVFAST_JSON_H
#define MEVFAST_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hex.h"

#define JSON_MAX_DEPTH 60     /* nesting below a skipped value; one bit each in json_skip */
#define JSON_MAX_NUMBER 40    /* characters; with JSON_MAX_EXPONENT keeps every number finite as a double */
#define JSON_MAX_EXPONENT 2   /* digits */

static inline const char *json_space(const char *p, const char *end) {
    if (p < end && (uint8_t)*p > ' ') return p;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* Behind the one character c and the white space before it. */
static inline const char *json_expect(const char *p, const char *end, char c) {
    p = json_space(p, end);
    return p < end && *p == c ? p + 1 : NULL;
}

/* The first quote, backslash, control or non-ASCII character of p..end, or end. */
static inline const char *json_plain(const char *p, const char *end) {
#ifdef HEX_SSE2
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
        /* signed: what is beyond ASCII is less than a space, as controls are */
        unsigned places = (unsigned)_mm_movemask_epi8(_mm_or_si128(special, _mm_cmplt_epi8(x, _mm_set1_epi8(' '))));
        if (places) return p + __builtin_ctz(places);
        p += 16;
    }
#endif
    while (end - p >= 8) {
        uint64_t x, low, special;
        memcpy(&x, p, 8);
        low = x & HEX_EACH(0x7f);
        special = ~((low + HEX_EACH(0x80 - 0x20)) & ((low ^ HEX_EACH('"')) + HEX_EACH(0x7f))
                    & ((low ^ HEX_EACH('\\')) + HEX_EACH(0x7f)));
        special = (special | x) & HEX_EACH(0x80);
        if (special) return p + (__builtin_ctzll(special) >> 3);
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && (uint8_t)*p >= 0x20 && (uint8_t)*p < 0x80) p++;
    return p;
}

/* Behind one UTF-8 sequence of 2-4 bytes (RFC 3629: no overlong form, no surrogate). */
static inline const char *json_utf8(const char *p, const char *end) {
    const uint8_t *s = (const uint8_t *)p;
    int extra = s[0] >= 0xc2 && s[0] <= 0xdf ? 1 : s[0] >= 0xe0 && s[0] <= 0xef ? 2
              : s[0] >= 0xf0 && s[0] <= 0xf4 ? 3 : 0;
    if (!extra || end - p <= extra) return NULL;
    for (int i = 1; i <= extra; i++)
        if ((s[i] & 0xc0) != 0x80) return NULL;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return NULL;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return NULL;
    return p + 1 + extra;
}

/* Behind one backslash escape; \u of a surrogate is refused, paired or not. */
static inline const char *json_escape(const char *p, const char *end) {
    if (end - p < 2) return NULL;
    if (memchr("\"\\/bfnrt", p[1], 8)) return p + 2;
    if (p[1] != 'u' || end - p < 6 || hex_span(p + 2, p + 6) != p + 6) return NULL;
    if (hex_digit(p[2]) == 13 && hex_digit(p[3]) >= 8) return NULL;
    return p + 6;
}

/* Behind the string whose opening quote is at p. */
static inline const char *json_string(const char *p, const char *end) {
    p++;
    while ((p = json_plain(p, end)) < end) {
        if (*p == '"') return p + 1;
        if (*p == '\\') p = json_escape(p, end);
        else p = (uint8_t)*p >= 0x80 ? json_utf8(p, end) : NULL;
        if (!p) return NULL;
    }
    return NULL;
}

static inline const char *json_digits(const char *p, const char *end) {
    const char *start = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p > start ? p : NULL;
}

static inline const char *json_number(const char *p, const char *end) {
    const char *start = p, *exponent;
    if (*p == '-') p++;
    if (p < end && *p == '0') p++;
    else if (!(p = json_digits(p, end))) return NULL;
    if (p < end && *p == '.' && !(p = json_digits(p + 1, end))) return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        exponent = p;
        if (!(p = json_digits(p, end)) || p - exponent > JSON_MAX_EXPONENT) return NULL;
    }
    return p - start <= JSON_MAX_NUMBER ? p : NULL;
}

static inline const char *json_literal(const char *p, const char *end, const char *word, ptrdiff_t n) {
    return end - p >= n && memcmp(p, word, (size_t)n) == 0 ? p + n : NULL;
}

/* Behind a value that holds no other: string, number, true, false or null. */
static inline const char *json_scalar(const char *p, const char *end) {
    switch (*p) {
    case '"': return json_string(p, end);
    case 't': return json_literal(p, end, "true", 4);
    case 'f': return json_literal(p, end, "false", 5);
    case 'n': return json_literal(p, end, "null", 4);
    default: return json_number(p, end);
    }
}

/* Behind `"key" :`, of which only the form matters. */
static inline const char *json_any_key(const char *p, const char *end) {
    p = json_space(p, end);
    if (p == end || *p != '"' || !(p = json_string(p, end))) return NULL;
    return json_expect(p, end, ':');
}

/* Behind any value at p, white space before it included. */
static inline const char *json_skip(const char *p, const char *end) {
    uint64_t objects = 0;     /* lowest bit: the innermost open container is an object */
    int depth = 0;
    for (;;) {
        p = json_space(p, end);
        if (p == end) return NULL;
        if (*p == '{' || *p == '[') {
            if (depth++ == JSON_MAX_DEPTH) return NULL;
            objects = objects << 1 | (*p == '{');
            p = json_space(p + 1, end);
            if (p == end) return NULL;
            if (*p != (objects & 1 ? '}' : ']')) {
                if (objects & 1 && !(p = json_any_key(p, end))) return NULL;
                continue;
            }
        } else {
            if (!(p = json_scalar(p, end))) return NULL;
            if (!depth) return p;
            p = json_space(p, end);
        }
        while (p < end && *p == (objects & 1 ? '}' : ']')) {
            objects >>= 1;
            if (!--depth) return p + 1;
            p = json_space(p + 1, end);
        }
        if (p == end || *p++ != ',') return NULL;
        if (objects & 1 && !(p = json_any_key(p, end))) return NULL;
    }
}

/* One step through an object: p stands behind its brace or behind a value.
 *
 * Gives the next key (without quotes) and returns the position of its value;
 * at the closing brace *key is NULL and the position behind the brace is
 * returned. A key with an escape or a non-ASCII character is refused: no name
 * that is looked for here is spelt with one, but it could be.
 */
static inline const char *json_next(const char *p, const char *end, int first, const char **key, size_t *n_key) {
    if (!first && end - p > 2 && p[0] == ',' && p[1] == '"') {
        p++; /* as nodes write it, without white space */
    } else {
        p = json_space(p, end);
        if (p == end) return NULL;
        if (*p == '}') {
            *key = NULL;
            return p + 1;
        }
        if (!first) {
            if (*p != ',') return NULL;
            p = json_space(p + 1, end);
            if (p == end) return NULL;
        }
        if (*p != '"') return NULL;
    }
    *key = ++p;
    p = json_plain(p, end);
    if (p == end || *p != '"') return NULL;
    *n_key = (size_t)(p - *key);
    if (end - p > 2 && p[1] == ':' && (uint8_t)p[2] > ' ') return p + 2;
    p = json_expect(p + 1, end, ':');
    return p ? json_space(p, end) : NULL;
}

#endif
