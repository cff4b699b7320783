"""The listener's C face."""

from libc.stdint cimport uint64_t

from picows.picows cimport WSListener, WSTransport

from mevfast._core cimport Core, Outlet


cdef class Socket(Outlet):
    cdef WSTransport transport    # None before it is connected
    cdef object lost
    cdef public bint closed       # it failed or was closed: nothing goes in or out any more
    cdef readonly uint64_t sent, bytes_out


cdef class Line(WSListener):
    cdef Core core
    cdef Socket socket
    cdef object node
    cdef public bint in_pieces    # a message is coming in fragments
    cdef readonly uint64_t bytes_in

    cdef int end_of_read(self, WSTransport transport) except -1
