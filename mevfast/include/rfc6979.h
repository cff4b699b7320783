/* RFC 6979 nonces for secp256k1 by HMAC-SHA256, hashed by the SHA instructions of x86-64.
 *
 * The bytes are those of libsecp256k1's own nonce function, to which it is passed in place: the same
 * construction (RFC 6979, section 3.2, without extra data), the same answer to a counter. Only the
 * hashing is quicker. No curve arithmetic, no branch and no address that depends on the key. Where
 * rfc6979_can_run() is 0, rfc6979_nonce always refuses, and the library's function must be used.
 *
 * SHA-256: FIPS 180-4. HMAC: RFC 2104; its pads are hashed once for each key it is used with.
 */
#ifndef MEVFAST_RFC6979_H
#define MEVFAST_RFC6979_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(RFC6979_PORTABLE)
#include <cpuid.h>
#include <immintrin.h>
#define RFC6979_TARGET __attribute__((target("sha,sse4.1")))
#endif

#ifdef RFC6979_TARGET

/* Whether this processor has the instructions: SHA is bit 29 of EBX in leaf 7. */
static inline int rfc6979_can_run(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

/* Eight words of a digest, a key or half a block: in the order of the bytes that they spell. */
typedef struct {
    __m128i low, high;
} rfc6979_words;

/* A state as the instructions want it: words A, B, E, F and C, D, G, H from the highest one down. */
typedef struct {
    __m128i abef, cdgh;
} rfc6979_state;

static const uint32_t rfc6979_round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

RFC6979_TARGET static inline rfc6979_state rfc6979_initial(void)
{
    rfc6979_state s;
    s.abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
    s.cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
    return s;
}

/* The state behind one more block, given as its first and its second eight words. */
RFC6979_TARGET static inline rfc6979_state rfc6979_block(rfc6979_state s, rfc6979_words first, rfc6979_words second)
{
    __m128i w[4] = {first.low, first.high, second.low, second.high}, sum;
    rfc6979_state t = s;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) { /* four rounds each */
        const __m128i *constants = (const __m128i *)(const void *)(rfc6979_round_constants + 4 * i);
        sum = _mm_add_epi32(w[i & 3], _mm_load_si128(constants));
        t.cdgh = _mm_sha256rnds2_epu32(t.cdgh, t.abef, sum);
        t.abef = _mm_sha256rnds2_epu32(t.abef, t.cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (i < 12) { /* these four words of the schedule are done with: the ones 16 further on */
            sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]),
                                _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
            w[i & 3] = _mm_sha256msg2_epu32(sum, w[(i + 3) & 3]);
        }
    }
    s.abef = _mm_add_epi32(s.abef, t.abef);
    s.cdgh = _mm_add_epi32(s.cdgh, t.cdgh);
    return s;
}

/* A to H. */
RFC6979_TARGET static inline rfc6979_words rfc6979_digest(rfc6979_state s)
{
    rfc6979_words r;
    r.low = _mm_shuffle_epi32(_mm_unpackhi_epi64(s.abef, s.cdgh), 0xb1);
    r.high = _mm_shuffle_epi32(_mm_unpacklo_epi64(s.abef, s.cdgh), 0xb1);
    return r;
}

/* Bytes are words with the highest byte first. */
RFC6979_TARGET static inline __m128i rfc6979_swap(__m128i x)
{
    return _mm_shuffle_epi8(x, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
}

RFC6979_TARGET static inline rfc6979_words rfc6979_load(const uint8_t *bytes32)
{
    rfc6979_words r;
    r.low = rfc6979_swap(_mm_loadu_si128((const __m128i *)(const void *)bytes32));
    r.high = rfc6979_swap(_mm_loadu_si128((const __m128i *)(const void *)(bytes32 + 16)));
    return r;
}

RFC6979_TARGET static inline void rfc6979_store(uint8_t *bytes32, rfc6979_words x)
{
    _mm_storeu_si128((__m128i *)(void *)bytes32, rfc6979_swap(x.low));
    _mm_storeu_si128((__m128i *)(void *)(bytes32 + 16), rfc6979_swap(x.high));
}

/* What is left of a block behind 32 bytes: `more`, the word behind them with its 1 bit, and the
 * length of everything hashed in bits. */
RFC6979_TARGET static inline rfc6979_words rfc6979_end(uint32_t more, uint32_t bits)
{
    rfc6979_words r;
    r.low = _mm_set_epi32(0, 0, 0, (int)more);
    r.high = _mm_set_epi32((int)bits, 0, 0, 0);
    return r;
}

/* HMAC under one key: the states behind its two pads. */
typedef struct {
    rfc6979_state inner, outer;
} rfc6979_hmac;

RFC6979_TARGET static inline rfc6979_state rfc6979_pad(rfc6979_words key, int byte)
{
    const __m128i pad = _mm_set1_epi8((char)byte);
    const rfc6979_words rest = {pad, pad};
    key.low = _mm_xor_si128(key.low, pad);
    key.high = _mm_xor_si128(key.high, pad);
    return rfc6979_block(rfc6979_initial(), key, rest);
}

RFC6979_TARGET static inline rfc6979_hmac rfc6979_keyed(rfc6979_words key)
{
    rfc6979_hmac h = {rfc6979_pad(key, 0x36), rfc6979_pad(key, 0x5c)};
    return h;
}

/* The outer hash: 32 bytes behind a pad are 96. */
RFC6979_TARGET static inline rfc6979_words rfc6979_outer(const rfc6979_hmac *h, rfc6979_state inner)
{
    return rfc6979_digest(rfc6979_block(h->outer, rfc6979_digest(inner), rfc6979_end(0x80000000, 8 * 96)));
}

/* HMAC(v). */
RFC6979_TARGET static inline rfc6979_words rfc6979_of_v(const rfc6979_hmac *h, rfc6979_words v)
{
    return rfc6979_outer(h, rfc6979_block(h->inner, v, rfc6979_end(0x80000000, 8 * 96)));
}

/* HMAC(v || byte || key || message), the two blocks of it made ready but for v and the byte. */
RFC6979_TARGET static inline rfc6979_words rfc6979_of_all(const rfc6979_hmac *h, rfc6979_words v, uint8_t byte,
                                                          uint8_t blocks[128])
{
    rfc6979_state s;
    blocks[32] = byte;
    s = rfc6979_block(h->inner, v, rfc6979_load(blocks + 32));
    return rfc6979_outer(h, rfc6979_block(s, rfc6979_load(blocks + 64), rfc6979_load(blocks + 96)));
}

/* The digest as a number modulo the group order, which it exceeds once at most. It is no secret. */
static inline void rfc6979_reduce(uint8_t out32[32], const uint8_t digest32[32])
{
    static const uint8_t order[32] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
        0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    };
    int borrow = 0;
    memcpy(out32, digest32, 32);
    if (memcmp(digest32, order, 32) < 0)
        return;
    for (int i = 31; i >= 0; i--) {
        const int digit = out32[i] - order[i] - borrow;
        out32[i] = (uint8_t)digit;
        borrow = digit < 0;
    }
}

/* A secp256k1_nonce_function. 1 and the nonce, or 0 for an algorithm's name or for extra data, which
 * signing does not pass. */
RFC6979_TARGET static int rfc6979_nonce(uint8_t *nonce32, const uint8_t *digest32, const uint8_t *key32,
                                        const uint8_t *algorithm16, void *data, unsigned counter)
{
    /* v, a byte, the key and the digest, ended: two blocks behind a pad, 161 bytes in all */
    uint8_t blocks[128] = {0};
    rfc6979_words k = {_mm_setzero_si128(), _mm_setzero_si128()}, v;
    rfc6979_hmac h;
    if (algorithm16 || data)
        return 0;
    memcpy(blocks + 33, key32, 32);
    rfc6979_reduce(blocks + 65, digest32);
    blocks[97] = 0x80;
    blocks[126] = 8 * 161 >> 8;
    blocks[127] = 8 * 161 & 0xff;

    v.low = v.high = _mm_set1_epi8(1);
    for (uint8_t byte = 0; byte < 2; byte++) { /* steps d and e, f and g */
        h = rfc6979_keyed(k);
        k = rfc6979_of_all(&h, v, byte, blocks);
        h = rfc6979_keyed(k);
        v = rfc6979_of_v(&h, v);
    }
    v = rfc6979_of_v(&h, v);
    for (; counter > 0; counter--) { /* step h: those before did not do */
        k = rfc6979_outer(&h, rfc6979_block(h.inner, v, rfc6979_end(0x00800000, 8 * 97)));
        h = rfc6979_keyed(k);
        v = rfc6979_of_v(&h, v);
        v = rfc6979_of_v(&h, v);
    }
    rfc6979_store(nonce32, v);
    explicit_bzero(blocks, sizeof blocks);
    explicit_bzero(&k, sizeof k);
    explicit_bzero(&v, sizeof v);
    explicit_bzero(&h, sizeof h);
    return 1;
}

#else

static inline int rfc6979_can_run(void)
{
    return 0;
}

static int rfc6979_nonce(uint8_t *nonce32, const uint8_t *digest32, const uint8_t *key32,
                         const uint8_t *algorithm16, void *data, unsigned counter)
{
    (void)nonce32, (void)digest32, (void)key32, (void)algorithm16, (void)data, (void)counter;
    return 0;
}

#endif
#endif
