"""Notification bytes -> event structs, for modules that cimport it."""

from mevfast.types cimport head_event, log_event


cdef int wire_parse(const char *buf, Py_ssize_t n, log_event *log, head_event *head) noexcept nogil
