from mevfast.u256 cimport i128, u128, u256

cdef int u256_from_pyint(u256 *r, object x) except -1
cdef object u256_to_pyint(const u256 *x)
cdef int u128_from_pyint(u128 *r, object x) except -1
cdef object u128_to_pyint(u128 x)
cdef int i128_from_pyint(i128 *r, object x) except -1
cdef object i128_to_pyint(i128 x)
