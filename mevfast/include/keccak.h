/* Keccak-256 as Ethereum uses it: rate 136, padding 0x01 (FIPS 202's SHA3-256 pads 0x06).
 *
 * Two rounds a turn, so that no lane is ever moved: odd rounds read a and write e, even rounds back.
 * Six lanes are kept complemented between the rounds ("lane complementing", Keccak implementation
 * overview 3.2, section 2.2), which leaves 5 of chi's 25 NOTs; x86-64 without BMI has no and-not.
 * Portable flags on purpose: gcc 12 with -march=native is slower here.
 *
 * Its twin holds each lane in a vector register, of which AVX-512 has 32, with operations on three
 * lanes and rotations: 90 instructions a round where this one has 190. Only where keccak_has_avx512().
 */
#ifndef MEVFAST_KECCAK_H
#define MEVFAST_KECCAK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define KECCAK_AVX512 1
#include <immintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are loaded as little-endian words");

#define KECCAK256_RATE 136

static const uint64_t keccak_round_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

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
    uint64_t e[25];

    for (int i = 0; i < 24; i += 2) {
        KECCAK_ROUND(e, a, keccak_round_constants[i]);
        KECCAK_ROUND(a, e, keccak_round_constants[i + 1]);
    }
}

static inline int keccak_has_avx512(void)
{
#ifdef KECCAK_AVX512
    return __builtin_cpu_supports("avx512vl") != 0;
#else
    return 0;
#endif
}

#ifdef KECCAK_AVX512
#define KECCAK_XOR3(a, b, c) _mm_ternarylogic_epi64(a, b, c, 0x96)
#define KECCAK_CHI(a, b, c) _mm_ternarylogic_epi64(a, b, c, 0xd2) /* a ^ (~b & c) */
/* Column x of a, xored with the parities of its neighbours, which are c[x - 1] and c[x + 1]. */
#define KECCAK_THETA(x, left, right)                     \
    for (int y = 0; y < 25; y += 5)                      \
        a[y + (x)] = KECCAK_XOR3(a[y + (x)], left, right)
#define KECCAK_CHI_ROW(y)                                \
    for (int x = 0; x < 5; x++)                          \
        a[(y) + x] = KECCAK_CHI(b[(y) + x], b[(y) + (x + 1) % 5], b[(y) + (x + 2) % 5])

/* The same on a state as it is, without complements. */
__attribute__((target("avx512vl"), noinline)) static void keccak_p1600_avx512(uint64_t s[25])
{
    __m128i a[25], b[25];

    for (int i = 0; i < 25; i++)
        a[i] = _mm_loadl_epi64((const __m128i *)(const void *)&s[i]);
    for (int i = 0; i < 24; i++) {
        const __m128i c0 = KECCAK_XOR3(KECCAK_XOR3(a[0], a[5], a[10]), a[15], a[20]);
        const __m128i c1 = KECCAK_XOR3(KECCAK_XOR3(a[1], a[6], a[11]), a[16], a[21]);
        const __m128i c2 = KECCAK_XOR3(KECCAK_XOR3(a[2], a[7], a[12]), a[17], a[22]);
        const __m128i c3 = KECCAK_XOR3(KECCAK_XOR3(a[3], a[8], a[13]), a[18], a[23]);
        const __m128i c4 = KECCAK_XOR3(KECCAK_XOR3(a[4], a[9], a[14]), a[19], a[24]);
        const __m128i r0 = _mm_rol_epi64(c0, 1), r1 = _mm_rol_epi64(c1, 1);
        const __m128i r2 = _mm_rol_epi64(c2, 1), r3 = _mm_rol_epi64(c3, 1);
        const __m128i r4 = _mm_rol_epi64(c4, 1);
        KECCAK_THETA(0, c4, r1);
        KECCAK_THETA(1, c0, r2);
        KECCAK_THETA(2, c1, r3);
        KECCAK_THETA(3, c2, r4);
        KECCAK_THETA(4, c3, r0);
        /* rho and pi */
        b[0] = a[0];
        b[1] = _mm_rol_epi64(a[6], 44);
        b[2] = _mm_rol_epi64(a[12], 43);
        b[3] = _mm_rol_epi64(a[18], 21);
        b[4] = _mm_rol_epi64(a[24], 14);
        b[5] = _mm_rol_epi64(a[3], 28);
        b[6] = _mm_rol_epi64(a[9], 20);
        b[7] = _mm_rol_epi64(a[10], 3);
        b[8] = _mm_rol_epi64(a[16], 45);
        b[9] = _mm_rol_epi64(a[22], 61);
        b[10] = _mm_rol_epi64(a[1], 1);
        b[11] = _mm_rol_epi64(a[7], 6);
        b[12] = _mm_rol_epi64(a[13], 25);
        b[13] = _mm_rol_epi64(a[19], 8);
        b[14] = _mm_rol_epi64(a[20], 18);
        b[15] = _mm_rol_epi64(a[4], 27);
        b[16] = _mm_rol_epi64(a[5], 36);
        b[17] = _mm_rol_epi64(a[11], 10);
        b[18] = _mm_rol_epi64(a[17], 15);
        b[19] = _mm_rol_epi64(a[23], 56);
        b[20] = _mm_rol_epi64(a[2], 62);
        b[21] = _mm_rol_epi64(a[8], 55);
        b[22] = _mm_rol_epi64(a[14], 39);
        b[23] = _mm_rol_epi64(a[15], 41);
        b[24] = _mm_rol_epi64(a[21], 2);
        KECCAK_CHI_ROW(0);
        KECCAK_CHI_ROW(5);
        KECCAK_CHI_ROW(10);
        KECCAK_CHI_ROW(15);
        KECCAK_CHI_ROW(20);
        a[0] = _mm_xor_si128(
            a[0], _mm_loadl_epi64((const __m128i *)(const void *)&keccak_round_constants[i]));
    }
    for (int i = 0; i < 25; i++)
        _mm_storel_epi64((__m128i *)(void *)&s[i], a[i]);
}
#else
static inline void keccak_p1600_avx512(uint64_t s[25])
{
    (void)s;
    __builtin_trap(); /* keccak_has_avx512() says no */
}
#endif

static inline void keccak_permute(uint64_t a[25], int avx512)
{
    if (avx512)
        keccak_p1600_avx512(a);
    else
        keccak_p1600(a);
}

/* out = keccak256(in[0..n)). in may be NULL when n is 0; out may overlap in.
 * `avx512`: by which twin. */
static inline void keccak256_by(uint8_t out[32], const uint8_t *in, size_t n, int avx512)
{
    uint64_t a[25] = {0};
    uint64_t lane;
    size_t i;

    if (!avx512)
        keccak_complement(a);
    for (; n >= KECCAK256_RATE; n -= KECCAK256_RATE, in += KECCAK256_RATE) {
        for (i = 0; i < KECCAK256_RATE / 8; i++) {
            memcpy(&lane, in + 8 * i, 8);
            a[i] ^= lane;
        }
        keccak_permute(a, avx512);
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
    keccak_permute(a, avx512);
    if (!avx512)
        keccak_complement(a);
    memcpy(out, a, 32);
}

static inline void keccak256(uint8_t out[32], const uint8_t *in, size_t n)
{
    keccak256_by(out, in, n, keccak_has_avx512());
}

#endif
