"""The ends of the hot half at the node's socket: frames of picows in, requests out.

Owns the two calls that join picows to the core, so that from a frame to the bytes in the socket there is
one C call chain under one hold of the GIL. Whatever is no plain text message goes to the Python
side, and so does every error.
"""

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from mevfast._core cimport Core, Outlet


cdef extern from "<sys/socket.h>" nogil:
    int setsockopt(int fd, int level, int name, const void *value, unsigned int n)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_QUICKACK


cdef class Socket(Outlet):
    """Writes a core's requests to one connection, each at once and without a copy.

    Args:
        lost: called with nothing where the connection is no more; returns what to raise.
    """

    def __cinit__(self, lost not None):
        self.lost = lost

    cdef int write(self, char *request, Py_ssize_t n) except -1:
        # picows would pass a message over in silence once its close frame is out.
        if (self.closed or self.transport is None or self.transport.is_disconnected
                or self.transport.is_close_frame_sent):
            raise self.lost()
        self.transport.send_reuse_external_buffer(WSMsgType.TEXT, request, n)
        self.sent += 1
        self.bytes_out += n
        return 0


cdef class Line(WSListener):
    """One connection's callbacks, compiled.

    Args:
        core: gets every whole text message first, and decides at the end of each read.
        socket: where it writes to.
        node: the Python side: `connected(transport)`, `handle(frame)` for what is no whole text
            message, `message(bytes)` for one that the core did not take, `broken(exception)`.
    """

    def __cinit__(self, Core core not None, Socket socket not None, node not None):
        self.core, self.socket, self.node = core, socket, node

    cpdef on_ws_connected(self, WSTransport transport):
        self.socket.transport = transport
        self.node.connected(transport)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if self.socket.closed:
            return
        if frame.msg_type != WSMsgType.TEXT or not frame.fin or self.in_pieces:
            self.node.handle(frame)
            return
        self.bytes_in += frame.payload_size
        try:
            if not self.core.take(frame.payload_ptr, frame.payload_size):
                self.node.message(frame.get_payload_as_bytes())
            if frame.last_in_buffer:
                self.end_of_read(transport)
        except Exception as error:
            self.node.broken(error)

    cdef int end_of_read(self, WSTransport transport) except -1:
        """Everything the socket had is handed over: decide and send, then the rest."""
        cdef int on = 1
        self.core.decide()
        # The kernel forgets this by itself; a delayed ACK holds back the node's next packet
        # for 40 ms where the node keeps Nagle's algorithm on.
        setsockopt(transport._socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on))
        self.core.tidy()
        return 0

    cpdef is_user_specific_pong(self, WSFrame frame):
        if frame.msg_type != WSMsgType.PONG:
            return False
        # May be the last of a read, which would otherwise end unnoticed.
        self.on_ws_frame(self.socket.transport, frame)
        return True

    cpdef pause_writing(self):
        """Batches bound what is under way; nothing to hold back."""

    cpdef resume_writing(self):
        """See pause_writing."""
