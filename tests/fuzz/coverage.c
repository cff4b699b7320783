/* What gcc's -fsanitize-coverage=trace-pc calls, as counters of the libFuzzer inside atheris.
 *
 * gcc has no inline counters, so each basic block counts at a place hashed from its address.
 * Linked with -Bsymbolic, or the module would call libFuzzer's own trace_pc, which counts nothing;
 * comparisons go to libFuzzer, which is loaded first. */
#include <stdint.h>

enum { COUNTERS = 1 << 12 };
static uint8_t counters[COUNTERS];
static struct { uintptr_t pc, flags; } table[COUNTERS];

void __sanitizer_cov_8bit_counters_init(void *start, void *stop);
void __sanitizer_cov_pcs_init(void *start, void *stop);

/* Tells libFuzzer where the counters are. Once a process. */
void coverage_register(void) {
    for (uintptr_t i = 0; i < COUNTERS; i++) table[i].pc = i + 1;
    __sanitizer_cov_8bit_counters_init(counters, counters + COUNTERS);
    __sanitizer_cov_pcs_init(table, table + COUNTERS);
}

void __sanitizer_cov_trace_pc(void) {
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    uint8_t *counter = &counters[(pc ^ pc >> 12) % COUNTERS];
    if (*counter != 255) ++*counter;
}

/* gcc's own, unknown to libFuzzer. */
void __sanitizer_cov_trace_cmpf(float a, float b) { (void)a, (void)b; }
void __sanitizer_cov_trace_cmpd(double a, double b) { (void)a, (void)b; }
