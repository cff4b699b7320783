/* How long each stage of the hot path took: stamps into a ring, the ring folded into counts.
 *
 * A stamp is the processor's time stamp counter where that runs at one rate and never stops (the
 * "invariant TSC" bit of CPUID 80000007h, AMD APM volume 3 appendix E.4, Intel SDM volume 3 17.17.1),
 * else CLOCK_MONOTONIC in ns. No serialising instruction stands before it: a stage's ends are blurred
 * by what the processor has in flight, some tens of ns, and by the stamp itself.
 *
 * The counts have the layout of an HDR histogram with two significant digits: values below 256 ns
 * each have their own, above them a count spans 1/128 of its power of two.
 */
#ifndef MEVFAST_STAGES_H
#define MEVFAST_STAGES_H

#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

enum stage {
    STAGE_FRAME = 0,       /* a read's first frame handed over, until its last one is in */
    STAGE_DECODE,          /* one log: its bytes to its struct */
    STAGE_APPLY,           /* one log: its struct to table and graph */
    STAGE_CHECK,           /* swaps of others against our quotes, a block against its bloom */
    STAGE_SEARCH,          /* the edge scan of all pools touched */
    STAGE_SIZE,            /* sizes, funding, ranking, where the scan found something */
    STAGE_PLAN,            /* one plan to calldata */
    STAGE_SIGN,            /* calldata to the signed transaction */
    STAGE_SEND,            /* the request around it, and the call that writes it to the socket */
    STAGE_FRAME_TO_SIGNED, /* a read's first frame handed over, until a request can be written */
    STAGE_RECEIPT,         /* a request written, until its receipt is in */
    N_STAGES
};

enum {
    STAGE_RING = 32768,    /* samples; a power of two */
    STAGE_FOLDED_AT = 8192,
    STAGE_SUB_BITS = 8,
    STAGE_COUNTS = (34 + 2) << (STAGE_SUB_BITS - 1), /* up to 2^42 ns, more than an hour */
    STAGE_MULT_BITS = 32
};

/* One ring for all stages: what an event writes lies in one or two cache lines. */
typedef struct {
    int32_t tsc;           /* stamps are the time stamp counter */
    uint64_t n;            /* samples ever written */
    uint64_t folded;       /* of these in the counts, or lost */
    uint64_t lost;         /* samples that were overwritten before they were folded */
    uint64_t mult;         /* ns a tick, in 2^-32 */
    uint64_t first_ticks;  /* a stamp, and CLOCK_MONOTONIC at the same moment */
    int64_t first_ns;
    uint64_t ring[STAGE_RING]; /* stage in the upper half; ticks in the lower, a second or more as all ones */
    uint64_t counts[N_STAGES][STAGE_COUNTS];
} stage_log;

static inline int64_t stage_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Whether the time stamp counter runs at one rate and never stops: constant_tsc and nonstop_tsc. */
static inline int stage_tsc_is_steady(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
#else
    return 0;
#endif
}

static inline uint64_t stage_stamp(const stage_log *s)
{
#if defined(__x86_64__)
    if (s->tsc)
        return __rdtsc();
#endif
    (void)s;
    return (uint64_t)stage_clock_ns();
}

/* Notes a stage that began at `since` and ends now; returns now. Allocates nothing. */
static inline uint64_t stage_end(stage_log *s, enum stage stage, uint64_t since)
{
    uint64_t now = stage_stamp(s), ticks = now - since;
    s->ring[s->n++ & (STAGE_RING - 1)] = (uint64_t)stage << 32
                                         | (ticks < UINT32_MAX ? ticks : UINT32_MAX);
    return now;
}

static inline int64_t stage_ns(const stage_log *s, uint64_t ticks)
{
    return (int64_t)((unsigned __int128)ticks * s->mult >> STAGE_MULT_BITS);
}

/* The count of a value, and the least value of a count. */
static inline uint32_t stage_index(uint64_t ns)
{
    unsigned shift = 63 - STAGE_SUB_BITS + 1
                     - (unsigned)__builtin_clzll(ns | ((1u << STAGE_SUB_BITS) - 1));
    uint64_t index = ((uint64_t)shift << (STAGE_SUB_BITS - 1)) + (ns >> shift);
    return index < STAGE_COUNTS ? (uint32_t)index : STAGE_COUNTS - 1;
}

static inline uint64_t stage_value(uint32_t index)
{
    const uint32_t half = 1u << (STAGE_SUB_BITS - 1);
    uint32_t shift = index < 2 * half ? 0 : index / half - 1;
    return (uint64_t)(index - shift * half) << shift;
}

/* Adds the ring's new samples to the counts. */
static inline void stage_fold(stage_log *s)
{
    uint64_t i = s->folded;
    if (s->n - i > STAGE_RING) {
        s->lost += s->n - i - STAGE_RING;
        i = s->n - STAGE_RING;
    }
    for (; i < s->n; i++) {
        const uint64_t sample = s->ring[i & (STAGE_RING - 1)];
        s->counts[sample >> 32][stage_index((uint64_t)stage_ns(s, (uint32_t)sample))]++;
    }
    s->folded = s->n;
}

/* Folds what would otherwise be overwritten soon; for between two reads. */
static inline void stage_tidy(stage_log *s)
{
    if (s->n - s->folded >= STAGE_FOLDED_AT)
        stage_fold(s);
}

/* A stamp and the clock, read as close together as a few attempts get them. */
static inline void stage_pair(const stage_log *s, uint64_t *ticks, int64_t *ns)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        uint64_t before = stage_stamp(s);
        int64_t clock = stage_clock_ns();
        uint64_t took = stage_stamp(s) - before;
        if (took < least) {
            least = took;
            *ticks = before + took / 2;
            *ns = clock;
        }
    }
}

/* How long a tick is, from the whole time since `first_ticks`. */
static inline void stage_calibrate(stage_log *s)
{
    uint64_t ticks = 0;
    int64_t ns = 0;
    if (!s->tsc) {
        s->mult = 1ull << STAGE_MULT_BITS;
        return;
    }
    stage_pair(s, &ticks, &ns);
    if (ticks > s->first_ticks && ns > s->first_ns)
        s->mult = (uint64_t)(((unsigned __int128)(uint64_t)(ns - s->first_ns) << STAGE_MULT_BITS)
                             / (ticks - s->first_ticks));
}

/* Makes a log ready, its first tick measured over `ns`: waits for so long. */
static inline void stage_begin(stage_log *s, int tsc, int64_t ns)
{
    memset(s, 0, sizeof *s);
    s->tsc = tsc && stage_tsc_is_steady();
    if (s->tsc) {
        stage_pair(s, &s->first_ticks, &s->first_ns);
        while (stage_clock_ns() - s->first_ns < ns)
            ;
    }
    stage_calibrate(s);
}

#endif
