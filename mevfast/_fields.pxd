from mevfast.u256 cimport i128, u256

cdef bint quick_i128(i128 *r, object value) except -1
cdef int u256_field(
    u256 *r, object fields, str name, str where, object low, object high, object default=*,
) except -1
cdef int u256_fields(
    u256 *r, object fields, str name, str where, object count, object low, object high,
) except -1
