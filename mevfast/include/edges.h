/* Walks over a token's edges: columns of floats, four to a step.
 *
 * A hub has thousands of edges and nearly none of them can close a cycle; what a walk costs is how
 * fast it passes the others over. SSE2 is part of x86-64; elsewhere the plain loops do the same.
 */
#ifndef MEVFAST_EDGES_H
#define MEVFAST_EDGES_H

#include <math.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The first i from `from` on with x[i] > limit, or n. */
static inline uint32_t edges_next_above(const float *x, uint32_t from, uint32_t n, float limit)
{
    uint32_t i = from;
#if defined(__SSE2__)
    const __m128 limits = _mm_set1_ps(limit);
    for (; i + 8 <= n; i += 8) {
        const int low = _mm_movemask_ps(_mm_cmpgt_ps(_mm_loadu_ps(x + i), limits));
        const int high = _mm_movemask_ps(_mm_cmpgt_ps(_mm_loadu_ps(x + i + 4), limits));
        const int found = low | high << 4;
        if (found)
            return i + (uint32_t)__builtin_ctz((unsigned)found);
    }
#endif
    for (; i < n; i++)
        if (x[i] > limit)
            return i;
    return n;
}

/* The largest of n, minus infinity for none. */
static inline float edges_most(const float *x, uint32_t n)
{
    float most = -INFINITY;
    uint32_t i = 0;
#if defined(__SSE2__)
    if (n >= 8) {
        __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + 4);
        for (i = 8; i + 8 <= n; i += 8) {
            a = _mm_max_ps(a, _mm_loadu_ps(x + i));
            b = _mm_max_ps(b, _mm_loadu_ps(x + i + 4));
        }
        float lane[4];
        _mm_storeu_ps(lane, _mm_max_ps(a, b));
        for (int j = 0; j < 4; j++)
            most = lane[j] > most ? lane[j] : most;
    }
#endif
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* A float that is not below x, and nearly x; minus infinity stays. */
static inline float float_above(double x)
{
    return isinf(x) ? (float)x : (float)(x + fabs(x) * 1.2e-7 + 1e-12);
}

/* A float that is not above x. */
static inline float float_below(double x)
{
    return -float_above(-x);
}

#endif
