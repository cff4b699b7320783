"""What events make of pools whose state is not hot: see _events.pyx."""

from mevfast._slots cimport pool_table, slot_body
from mevfast.types cimport log_event, pool_state
from mevfast.u256 cimport u256


cdef int pool_token(
    const pool_table *t, const slot_body *body, const u256 *address,
) noexcept nogil
cdef int solidly_event(slot_body *body, const log_event *e) noexcept nogil
cdef int wide_event(
    const pool_table *t, const slot_body *body, const log_event *e, pool_state *s,
) noexcept nogil
