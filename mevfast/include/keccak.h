/* Keccak-256 as Ethereum uses it: rate 136, padding 0x01 (FIPS 202's SHA3-256 pads 0x06).
 *
 * Two rounds a turn, so that no lane is ever moved: odd rounds read a and write e, even rounds back.
 * Six lanes are kept complemented between the rounds ("lane complementing", Keccak implementation
 * overview 3.2, section 2.2), which leaves 5 of chi's 25 NOTs; x86-64 without BMI has no and-not.
 * Portable flags on purpose: gcc 12 with -march=native is slower here.
 */
#ifndef MEVFAST_KECCAK_H
#define MEVFAST_KECCAK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are loaded as little-endian words");

#define KECCAK256_RATE 136

#define KECCAK_ROL(v, n) (((v) << (n)) | ((v) >> ((64 - (n)) & 63)))

/* Theta, rho and pi of the five lanes that chi combines into one row. */
#define KECCAK_ROW(s, l0, r0, d0, l1, r1, d1, l2, r2, d2, l3, r3, d3, l4, r4, d4) \
    b0 = s[l0] ^ d0;                                                              \
    b1 = s[l1] ^ d1;                                                              \
    b2 = s[l2] ^ d2;                                                              \
    b3 = s[l3] ^ d3;                                                              \
    b4 = s[l4] ^ d4;                                                              \
    b0 = KECCAK_ROL(b0, r0);                                                      \
    b1 = KECCAK_ROL(b1, r1);                                                      \
    b2 = KECCAK_ROL(b2, r2);                                                      \
    b3 = KECCAK_ROL(b3, r3);                                                      \
    b4 = KECCAK_ROL(b4, r4)

/* One round from s to t; lane (x, y) is at x + 5y. */
#define KECCAK_ROUND(t, s, rc)                                                    \
    do {                                                                          \
        uint64_t b0, b1, b2, b3, b4;                                              \
        const uint64_t c0 = s[0] ^ s[5] ^ s[10] ^ s[15] ^ s[20];                  \
        const uint64_t c1 = s[1] ^ s[6] ^ s[11] ^ s[16] ^ s[21];                  \
        const uint64_t c2 = s[2] ^ s[7] ^ s[12] ^ s[17] ^ s[22];                  \
        const uint64_t c3 = s[3] ^ s[8] ^ s[13] ^ s[18] ^ s[23];                  \
        const uint64_t c4 = s[4] ^ s[9] ^ s[14] ^ s[19] ^ s[24];                  \
        const uint64_t d0 = c4 ^ KECCAK_ROL(c1, 1);                               \
        const uint64_t d1 = c0 ^ KECCAK_ROL(c2, 1);                               \
        const uint64_t d2 = c1 ^ KECCAK_ROL(c3, 1);                               \
        const uint64_t d3 = c2 ^ KECCAK_ROL(c4, 1);                               \
        const uint64_t d4 = c3 ^ KECCAK_ROL(c0, 1);                               \
        KECCAK_ROW(s, 0, 0, d0, 6, 44, d1, 12, 43, d2, 18, 21, d3, 24, 14, d4);   \
        t[0] = b0 ^ (b1 | b2) ^ (rc);                                             \
        t[1] = b1 ^ (~b2 | b3);                                                   \
        t[2] = b2 ^ (b3 & b4);                                                    \
        t[3] = b3 ^ (b4 | b0);                                                    \
        t[4] = b4 ^ (b0 & b1);                                                    \
        KECCAK_ROW(s, 3, 28, d3, 9, 20, d4, 10, 3, d0, 16, 45, d1, 22, 61, d2);   \
        t[5] = b0 ^ (b1 | b2);                                                    \
        t[6] = b1 ^ (b2 & b3);                                                    \
        t[7] = b2 ^ (b3 | ~b4);                                                   \
        t[8] = b3 ^ (b4 | b0);                                                    \
        t[9] = b4 ^ (b0 & b1);                                                    \
        KECCAK_ROW(s, 1, 1, d1, 7, 6, d2, 13, 25, d3, 19, 8, d4, 20, 18, d0);     \
        t[10] = b0 ^ (b1 | b2);                                                   \
        t[11] = b1 ^ (b2 & b3);                                                   \
        b3 = ~b3;                                                                 \
        t[12] = b2 ^ (b3 & b4);                                                   \
        t[13] = b3 ^ (b4 | b0);                                                   \
        t[14] = b4 ^ (b0 & b1);                                                   \
        KECCAK_ROW(s, 4, 27, d4, 5, 36, d0, 11, 10, d1, 17, 15, d2, 23, 56, d3);  \
        t[15] = b0 ^ (b1 & b2);                                                   \
        t[16] = b1 ^ (b2 | b3);                                                   \
        b3 = ~b3;                                                                 \
        t[17] = b2 ^ (b3 | b4);                                                   \
        t[18] = b3 ^ (b4 & b0);                                                   \
        t[19] = b4 ^ (b0 | b1);                                                   \
        KECCAK_ROW(s, 2, 62, d2, 8, 55, d3, 14, 39, d4, 15, 41, d0, 21, 2, d1);   \
        t[21] = ~b1 ^ (b2 | b3);                                                  \
        t[20] = b0 ^ (~b1 & b2);                                                  \
        t[22] = b2 ^ (b3 & b4);                                                   \
        t[23] = b3 ^ (b4 | b0);                                                   \
        t[24] = b4 ^ (b0 & b1);                                                   \
    } while (0)

/* The complemented lanes: 1, 2, 8, 12, 17 and 20, before the first and after the last round. */
static inline void keccak_complement(uint64_t a[25])
{
    a[1] = ~a[1];
    a[2] = ~a[2];
    a[8] = ~a[8];
    a[12] = ~a[12];
    a[17] = ~a[17];
    a[20] = ~a[20];
}

/* 24 rounds of Keccak-p[1600] on a state whose six lanes are complemented. */
static inline void keccak_p1600(uint64_t a[25])
{
    static const uint64_t round_constants[24] = {
        0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
        0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
        0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
        0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    };
    uint64_t e[25];

    for (int i = 0; i < 24; i += 2) {
        KECCAK_ROUND(e, a, round_constants[i]);
        KECCAK_ROUND(a, e, round_constants[i + 1]);
    }
}

/* out = keccak256(in[0..n)). in may be NULL when n is 0; out may overlap in. */
static inline void keccak256(uint8_t out[32], const uint8_t *in, size_t n)
{
    uint64_t a[25] = {0};
    uint64_t lane;
    size_t i;

    keccak_complement(a);
    for (; n >= KECCAK256_RATE; n -= KECCAK256_RATE, in += KECCAK256_RATE) {
        for (i = 0; i < KECCAK256_RATE / 8; i++) {
            memcpy(&lane, in + 8 * i, 8);
            a[i] ^= lane;
        }
        keccak_p1600(a);
    }
    /* straight into the lanes: a block put together byte by byte would have to be waited for */
    for (i = 0; i < n / 8; i++) {
        memcpy(&lane, in + 8 * i, 8);
        a[i] ^= lane;
    }
    lane = 1;
    for (size_t j = n; j > 8 * i; j--)
        lane = lane << 8 | in[j - 1];
    a[i] ^= lane;
    a[KECCAK256_RATE / 8 - 1] ^= 0x8000000000000000;
    keccak_p1600(a);
    keccak_complement(a);
    memcpy(out, a, 32);
}

#endif
