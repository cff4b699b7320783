/* One scan of a frame in a block of exactly its size: a Python object has a byte behind its end
 * that may be read without anybody noticing. */
#include <stdlib.h>
#include <string.h>
#include "wire.h"

int scan_exact(const char *frame, size_t n) {
    log_event log;
    head_event head;
    char *copy = malloc(n ? n : 1);
    if (copy == 0) return -1;
    memcpy(copy, frame, n);
    int message = wire_scan(copy + (n == 0), (long)n, &log, &head);
    (void)wire_scan_portable(copy + (n == 0), (long)n, &log, &head);
    (void)wire_scan_portable(copy + (n == 0), (long)n, &log, &head);
    free(copy);
    return message;
}
