"""A table's file: whose it is, whether it fits this layout, and its mapping for readers.

Owns what is asked of such a file before any of it is believed. What lies in it is _slots'.
"""

import errno
import os

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mevfast.errors import DataError

cdef extern from "table_map.h" nogil:
    void table_plan(
        table_header *h, uint32_t capacity, uint32_t arena_capacity, uint64_t chain_id,
    ) noexcept
    void *table_map(uint64_t bytes, int fd, int writable) noexcept
    void table_unmap(void *mapping, uint64_t bytes) noexcept

cdef size_t WRITER_BYTES = 32  # of the header: magic, version, writer


def start_of(pid):
    """When a process started, in clock ticks since boot; 0 where it does not run."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the name of the program, in brackets, may hold anything
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


cdef bint writer_lives(const table_header *h):
    """Whether the process that writes a mapping still runs."""
    return h.writer_pid != 0 and start_of(h.writer_pid) == h.writer_start


cdef int _check_header(const table_header *h, uint64_t file_bytes, str path) except -1:
    """DataError where a file is no table, or one of another layout."""
    cdef table_header own
    if file_bytes < sizeof(table_header) or h.magic != TABLE_MAGIC:
        raise DataError(f"{path}: expected a table's mapping, was another file of {file_bytes} bytes")
    if h.version != TABLE_VERSION:
        raise DataError(
            f"{path}: expected a table of layout {TABLE_VERSION}, was {h.version}; "
            "reader and writer must be of one version"
        )
    table_plan(&own, h.capacity, h.arena_capacity, 0)
    for what, expected, actual in (
        ("header", own.header_bytes, h.header_bytes),
        ("slots", own.slot_bytes, h.slot_bytes),
        ("arena units", own.unit_bytes, h.unit_bytes),
        ("Curve states", own.curve_bytes, h.curve_bytes),
        ("CryptoSwap states", own.crypto_bytes, h.crypto_bytes),
        ("Balancer states", own.balancer_bytes, h.balancer_bytes),
        ("mapping", own.mapping_bytes, h.mapping_bytes),
        ("offset of the slots", own.slots_at, h.slots_at),
        ("offset of the index", own.index_at, h.index_at),
        ("offset of the tokens", own.tokens_at, h.tokens_at),
        ("offset of the arena", own.arena_at, h.arena_at),
        ("file", own.mapping_bytes, file_bytes),
    ):
        if actual != expected:
            raise DataError(
                f"{path}: {what}: expected {expected} bytes, was {actual}; "
                "reader and writer must be of one version"
            )
    return 0


cdef table_header *map_checked(int fd, uint64_t file_bytes, str path) except NULL:
    """A table's file mapped for reading. DataError where it is none, or of another layout."""
    cdef void *mapping = NULL
    if file_bytes > 0:
        mapping = table_map(file_bytes, fd, False)
    if mapping == NULL:
        raise DataError(f"{path}: expected a table's file, was one of {file_bytes} bytes, which "
                        "cannot be mapped")
    try:
        _check_header(<table_header *>mapping, file_bytes, path)
    except BaseException:
        table_unmap(mapping, file_bytes)
        raise
    return <table_header *>mapping


cdef int refuse_living(str path) except -1:
    """DataError where a path is taken: by a table whose writer lives, or by what is no table."""
    cdef table_header header
    try:
        with open(path, "rb") as file:
            start = file.read(sizeof(table_header))
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise DataError(f"{path}: expected a table's file or none, {error.strerror}") from error
    # Of a table of any layout: magic, version and writer never move.
    memset(&header, 0, sizeof(header))
    memcpy(&header, <const char *>start, <size_t>len(start))
    if len(start) < WRITER_BYTES or header.magic != TABLE_MAGIC:
        raise DataError(f"{path}: expected a table's file or none, was another file; remove it, or "
                        "name another path")
    if writer_lives(&header):
        raise DataError(
            f"{path}: expected a table without a writer, was process {header.writer_pid}'s; stop it, "
            "or name another path")
    return 0


cdef void *map_new(str new, const table_header *plan, str path) except NULL:
    """A new file under the name `new`, mapped for its writer; it is meant to become `path`."""
    cdef void *mapping
    cdef int fd
    try:
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    except OSError as error:
        raise DataError(f"{new}: expected to create a file, {error.strerror}") from error
    try:
        # All of it at once: a disk that is full later would kill the process.
        os.posix_fallocate(fd, 0, plan.mapping_bytes)
        mapping = table_map(plan.mapping_bytes, fd, True)
        if mapping == NULL:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    except OSError as error:
        os.unlink(new)
        raise DataError(
            f"{path}: expected a file of {plan.mapping_bytes} bytes, {error.strerror}; "
            "it is as large as table.capacity and table.tick_capacity ask for"
        ) from error
    finally:
        os.close(fd)
    memcpy(mapping, plan, sizeof(table_header))
    return mapping
