from libc.stdint cimport int32_t, uint32_t

from mevfast.types cimport v3_tick

cdef v3_tick *ticks_field(
    uint32_t *count, object fields, str where, int32_t spacing,
) except NULL
cdef list ticks_list(const v3_tick *ticks, uint32_t count)
