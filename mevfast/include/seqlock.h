/* Sequence lock: one writer, any number of readers, no lock and no torn read.
 *
 * H.-J. Boehm, "Can seqlocks get along with programming language memory
 * models?", MSPC 2012. What seq_store and seq_load move goes in relaxed atomic
 * words, so that a reader racing the writer has no data race in the sense of
 * C11; the counter tells it afterwards whether what it copied was whole. V3
 * ticks, which the writer moves in place by memmove, rest on the counter alone.
 */
#ifndef MEVFAST_SEQLOCK_H
#define MEVFAST_SEQLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Structs are copied as 64-bit words whatever their members are. */
typedef uint64_t __attribute__((may_alias)) seq_word;

/* Writer: the counter turns odd before the first word moves. */
static inline void seq_write_begin(uint32_t *sequence)
{
    __atomic_store_n(sequence, *sequence + 1u, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Writer: even again after the last word has moved. */
static inline void seq_write_end(uint32_t *sequence)
{
    __atomic_store_n(sequence, *sequence + 1u, __ATOMIC_RELEASE);
}

/* Writer: what the last payload no longer names may be written from here on: a reader that sees
 * such a write also sees the new counter. */
static inline void seq_retire(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Reader: the counter to compare with later; odd means the writer is inside. */
static inline uint32_t seq_read_begin(const uint32_t *sequence)
{
    return __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
}

/* Reader: nonzero where what was copied since seq_read_begin may be torn. */
static inline int seq_read_retry(const uint32_t *sequence, uint32_t begun)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return (begun & 1u) != 0 || __atomic_load_n(sequence, __ATOMIC_RELAXED) != begun;
}

/* Writer: publishes `bytes` (a multiple of 8) from src to dst. */
static inline void seq_store(void *dst, const void *src, size_t bytes)
{
    seq_word *to = (seq_word *)dst;
    const seq_word *from = (const seq_word *)src;
    for (size_t i = 0; i < bytes / sizeof(seq_word); i++)
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
}

/* Reader: copies `bytes` (a multiple of 8) from src to dst. */
static inline void seq_load(void *dst, const void *src, size_t bytes)
{
    seq_word *to = (seq_word *)dst;
    const seq_word *from = (const seq_word *)src;
    for (size_t i = 0; i < bytes / sizeof(seq_word); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

#endif
