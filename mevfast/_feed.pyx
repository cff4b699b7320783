"""The feed: frames -> events -> table, and whether the table is true.

Owns what has to be known between two frames: the head, the blocks that the table went through, what
waits for a load. Makes no Python object for an event, waits for nothing, and does no I/O. When
anything contradicts the state held it says from which block on; the cold half then rolls the table
back, catches up from the node's logs and sets it live again.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from picows.picows cimport WSFrame

from mevfast._audit cimport Audit
from mevfast._cache cimport table_apply, table_knows
from mevfast._search cimport Search
from mevfast._slots cimport (
    APPLY_CHANGED,
    APPLY_OUT_OF_ORDER,
    APPLY_UNKNOWN_POOL,
    APPLY_WAITING,
    SLOT_STALE,
    TABLE_NO_SLOT,
    event_slot,
)
from mevfast._stages cimport (
    STAGE_APPLY,
    STAGE_DECODE,
    Stages,
    stage_clock_ns,
    stage_end,
    stage_stamp,
)
from mevfast._venues cimport Venues
from mevfast._wire cimport wire_parse
from mevfast.types cimport EVENT_UNKNOWN, WIRE_HEAD, WIRE_LOG, head_event, log_event


cdef uint32_t MAX_BUFFERED = 100000
cdef uint32_t AUDITED_AT_ONCE = 32   # logs that are caught up: fewer than what the audit can queue
cdef uint64_t MAX_AHEAD = 16          # blocks that a log may be ahead of the newest head


cdef bint is_zero(const uint8_t *bytes, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if bytes[i] != 0:
            return False
    return True


cdef class Feed:
    """A table that follows the node's frames.

    Args:
        search: the graph with its table.
    """

    def __cinit__(self, Search search, *args, **kwargs):
        self.table, self.search = search.table, search
        self.audit = Audit(search.table)
        self.stages = Stages()
        self.log = self.stages.log
        self.created = []
        self.told = set()
        self.venues = Venues((), ())
        self.touched = <uint32_t *>calloc(self.table.t.capacity, sizeof(uint32_t))
        self.is_touched = <uint8_t *>calloc(self.table.t.capacity, 1)
        if self.touched == NULL or self.is_touched == NULL:
            raise MemoryError(f"{self.table.t.capacity} pools")
        self.doubt = "nothing is loaded yet"

    def __dealloc__(self):
        free(self.touched)
        free(self.is_touched)
        free(self.buffer)

    # ---- frames in ----

    def feed(self, WSFrame frame):
        """One TEXT frame: True where it was a log or a head, False where it is another's."""
        return self.take(frame.payload_ptr, frame.payload_size)

    def feed_bytes(self, bytes message):
        """The same for a message that came in fragments."""
        return self.take(<const char *>message, len(message))

    cdef bint take(self, const char *buf, Py_ssize_t n) except -1:
        cdef log_event log
        cdef head_event head
        cdef uint64_t at = stage_stamp(self.log)
        cdef int message
        if self.arrived == 0:
            self.arrived = at
        message = wire_parse(buf, n, &log, &head)
        if message == WIRE_LOG:
            at = stage_end(self.log, STAGE_DECODE, at)
            self.n_logs += 1
            self.on_log(&log)
            stage_end(self.log, STAGE_APPLY, at)
            if self.venues.announces(&log) and not log.removed:
                self.created.append(buf[:n])
        elif message == WIRE_HEAD:
            self.n_heads += 1
            self.on_head(&head)
        else:
            return False
        return True

    cdef void lose(self, str why, uint64_t block):
        """The logs of `block` and later ones may be wrong or missing: nothing is decided on them."""
        if self.live:
            self.live = False
            self.doubt = why
            self.doubt_from = block
            self.doubted_at = stage_clock_ns()
            # What waits for pools being read goes: that reading is in doubt itself, and is repeated.
            self.n_buffer = 0
            self.losses += 1
        else:
            if self.spoiled is None:
                self.spoiled = why
            self.doubt_from = min(self.doubt_from, block) if self.doubt_from else block

    cdef int on_log(self, const log_event *e) except -1:
        cdef const known_block *known = &self.ring[e.block_number % HEAD_RING]
        if e.removed:
            self.lose(f"block {e.block_number} was taken back by a reorg", e.block_number)
        elif (known.number == e.block_number and known.number != 0
                and memcmp(known.hash, e.block_hash, 32) != 0):
            self.lose(f"a log is of another block {e.block_number} than the head: a reorg",
                      e.block_number)
        elif e.block_number > self.head.number + MAX_AHEAD and not is_zero(self.head.hash, 32):
            self.lose(f"a log of block {e.block_number} came at head {self.head.number}",
                      self.head.number + 1)
        elif e.block_number > self.head.number:
            self.note_ahead(e)
        if self.live:
            return self.apply(e)
        if e.kind == EVENT_UNKNOWN:
            return 0
        if not e.removed and len(self.told) < MAX_BUFFERED:
            self.told.add((e.block_number, e.log_index))
        if self.spoiled is not None:
            self.dropped = True
            return 0
        return self.keep(e)

    cdef int note_ahead(self, const log_event *e) except -1:
        """Remembers the block of a log whose head is still to come, to be compared with that."""
        cdef known_block *ahead = &self.ahead[e.block_number % MAX_AHEAD_BLOCKS]
        if ahead.number == e.block_number and memcmp(ahead.hash, e.block_hash, 32) != 0:
            self.lose(f"logs are of two blocks of number {e.block_number}", e.block_number)
        ahead.number = e.block_number
        memcpy(ahead.hash, e.block_hash, 32)
        return 0

    cdef int keep(self, const log_event *e) except -1:
        """An event that waits: for all of the table, or for its pool, to be read."""
        cdef uint32_t cap
        if self.n_buffer == self.cap_buffer:
            if self.n_buffer >= MAX_BUFFERED:
                self.dropped = True
                self.lose(f"{MAX_BUFFERED} events arrived while loading", e.block_number)
                self.n_buffer = 0
            cap = 1024 if self.cap_buffer == 0 else min(2 * self.cap_buffer, MAX_BUFFERED)
            grown = realloc(self.buffer, cap * sizeof(log_event))
            if grown == NULL:
                raise MemoryError(f"{cap} events")
            self.buffer, self.cap_buffer = <log_event *>grown, cap
        self.buffer[self.n_buffer] = e[0]
        self.n_buffer += 1
        return 0

    cdef int on_head(self, const head_event *h) except -1:
        cdef known_block *known = &self.ring[h.number % HEAD_RING]
        cdef known_block *before
        cdef known_block *ahead
        if is_zero(self.head.hash, 32):
            pass  # the first one after a load began may follow any other, or be known already
        elif known.number == h.number and memcmp(h.hash, known.hash, 32) == 0:
            return 0  # the same head twice, or of a node that is behind
        elif not self.live and h.number < self.head.number and known.number != h.number:
            return 0  # overtaken by the newer one that was asked for
        elif memcmp(h.parent_hash, self.head.hash, 32) != 0:
            before = &self.ring[(h.number - 1) % HEAD_RING]
            if h.number <= self.head.number and before.number == h.number - 1 \
                    and memcmp(h.parent_hash, before.hash, 32) == 0:
                self.lose(f"head {h.number} replaces another: a reorg of "
                          f"{self.head.number - h.number + 1} blocks", h.number)
            else:
                self.lose(f"head {h.number} does not follow head {self.head.number}: "
                          "a reorg, or heads were missed", min(h.number, self.head.number))
        elif self.live and self.head.has_bloom:
            if self.closing_block:
                self.close_block()
            # Its logs should be in once this batch is: looked at before anything is decided.
            memcpy(self.closing_bloom, self.head.logs_bloom, 256)
            self.closing_block = self.head.number
        ahead = &self.ahead[h.number % MAX_AHEAD_BLOCKS]
        if ahead.number == h.number and memcmp(h.hash, ahead.hash, 32) != 0:
            self.lose(f"logs of another block {h.number} came before its head", h.number)
        self.head = h[0]
        self.table.t.head.head_block = h.number
        known.number = h.number
        memcpy(known.hash, h.hash, 32)
        self.head_moved = True
        self.fresh = True
        return 0

    cdef int doubt_swap(self) except -1:
        """A swap that contradicts our quote: a log since the last verified block may be missing."""
        cdef uint64_t block = self.audit.suspect_block
        self.audit.suspect_block = 0
        self.lose(f"a swap in block {block} contradicts our quote: a log before it may be missing",
                  min(block, self.verified + 1))
        return 0

    cdef int close_block(self) except -1:
        """A log that a block's bloom promises and that never came puts the block in doubt."""
        cdef uint64_t block = self.closing_block
        cdef uint32_t slot
        self.closing_block = 0
        if not self.live or block < self.bloom_from:
            return 0
        slot = self.search.missing(self.closing_bloom, block)
        if slot != TABLE_NO_SLOT:
            self.bloom_doubts += 1
            self.lose(f"block {block} names pool 0x"
                      f"{(<const char *>self.table.t.slots[slot].body.address)[:20].hex()}, "
                      "no log of it came", block)
        return 0

    # ---- events ----

    cdef int apply(self, const log_event *e) except -1:
        cdef uint32_t slot
        cdef int result
        if e.kind == EVENT_UNKNOWN:
            self.n_unknown += 1
            return 0
        self.note_own(e)
        slot = event_slot(&self.table.t, e)
        if slot != TABLE_NO_SLOT:
            self.audit.before(e, slot)
        result = table_apply(&self.table.t, e, &slot)
        if result == APPLY_CHANGED:
            self.logs_block = max(self.logs_block, e.block_number)
            self.search.refresh(slot)
            self.touch(slot)
            self.fresh = True
        elif result == APPLY_WAITING:
            return self.keep(e)
        elif result == APPLY_OUT_OF_ORDER:
            self.lose(f"a log of block {e.block_number} came after a later one of its pool",
                      e.block_number)
        elif result != APPLY_UNKNOWN_POOL and slot != TABLE_NO_SLOT and not self.is_touched[slot] \
                and self.table.t.slots[slot].body.flags & SLOT_STALE:
            self.search.refresh(slot)  # not traded until it is read again
        return 0

    cdef void note_own(self, const log_event *e) noexcept nogil:
        """A log that is about to be applied: for whoever waits for logs of its own."""

    cdef void take_back(self, uint64_t block) noexcept nogil:
        """Events after a block are no more: for whoever has drawn conclusions."""

    cdef void touch(self, uint32_t slot) noexcept nogil:
        if not self.is_touched[slot]:
            self.is_touched[slot] = True
            self.touched[self.n_touched] = slot
            self.n_touched += 1

    # ---- the cold half's side ----

    def watch(self, addresses, topics):
        """Logs of these contracts (20 bytes each) with one of these topics (32 bytes each) first are
        kept in `created`, whole messages as bytes."""
        self.venues = Venues(addresses, topics)

    def distrust(self, str why not None, block=None):
        """The table is in doubt from `block` on, by default from the newest head: nothing is sent.

        A load that is under way then ends in False.
        """
        self.lose(why, self.head.number if block is None else block)

    def begin_load(self, str why=None):
        """Events from here on wait; returns the newest head's number, 0 where none came yet.

        The next head may follow any other: the load is to be made at it or a later one.
        """
        if why is not None or self.live:
            self.lose(why or "it is loaded", self.head.number)
        self.spoiled = None
        self.dropped = False
        self.n_buffer = 0
        self.arrived = 0  # a read that ended in an error never reached its end
        self.closing_block = 0
        memset(self.ahead, 0, sizeof(self.ahead))
        memset(self.head.hash, 0, 32)
        return self.head.number

    def start_at(self, bytes head not None):
        """The load under way is made at this head, a notification as bytes: later ones must follow it.

        Whatever heads came before it are forgotten, and what they spoilt.
        """
        cdef log_event log
        cdef head_event h
        if self.live or wire_parse(<const char *>head, len(head), &log, &h) != WIRE_HEAD:
            raise ValueError(f"expected a head, and a load under way, was {head[:80]!r}")
        if not self.dropped:
            self.spoiled = None
        memset(self.head.hash, 0, 32)
        self.on_head(&h)

    @property
    def trusted(self):
        """The newest block whose logs are all known to be in the table, while it is not live."""
        return self.doubt_from - 1 if self.doubt_from else 0

    def block_hash(self, uint64_t number):
        """Hash of a block that the table went through, 32 bytes, or None where not known."""
        cdef known_block *known = &self.ring[number % HEAD_RING]
        if number == 0 or known.number != number:
            return None
        return (<const char *>known.hash)[:32]

    def know_block(self, uint64_t number, bytes block_hash not None):
        """The table is true after this block, as a file or a load says."""
        if len(block_hash) != 32:
            raise ValueError(f"block hash: expected 32 bytes, was {len(block_hash)}")
        self.ring[number % HEAD_RING].number = number
        memcpy(self.ring[number % HEAD_RING].hash, <const uint8_t *>block_hash, 32)

    def roll_back(self, uint64_t block):
        """Takes back every event after `block`: how many pools changed, None where that is too far.
        """
        cdef uint32_t i
        slots = self.table.rollback(block)
        if slots is None:
            return None
        for slot in slots:
            self.search.refresh(slot)
        for i in range(HEAD_RING):
            if self.ring[i].number > block:
                self.ring[i].number = 0
        self.take_back(block)
        self.audit.clear()
        return len(slots)

    def catch_up(self, list messages, *, bint verified=True):
        """Applies logs that the node was asked for, notifications as bytes, in order.

        `verified`: no log before them is missing, so that a swap which contradicts our quote is a
        mismatch; else it spoils this load, and puts all since the last verified block in doubt.
        Returns how many of them changed a pool. Only while not live.
        """
        cdef log_event log
        cdef head_event head
        cdef bytes message
        cdef uint32_t n
        cdef uint64_t before = self.table.t.head.applied[<int>APPLY_CHANGED]
        self.audit.doubts_logs = self.doubts_logs and not verified
        self.audit.suspect_block = 0
        if self.live:
            raise ValueError("catch_up: expected a table in doubt, it is live")
        for n, message in enumerate(messages, 1):
            if wire_parse(<const char *>message, len(message), &log, &head) != WIRE_LOG:
                raise ValueError(f"expected a log, was {message[:120]!r}")
            if log.kind != EVENT_UNKNOWN:
                self.apply(&log)
            if self.venues.announces(&log):
                self.created.append(message)
            if n % AUDITED_AT_ONCE == 0:
                self.audit.run()
        self.audit.run()
        if self.audit.suspect_block:
            self.doubt_swap()
        return self.table.t.head.applied[<int>APPLY_CHANGED] - before

    def knows(self, bytes message not None):
        """Whether a log that the node was asked for has reached the table, or concerns none of it.

        For logs of blocks that the undo journal still holds.
        """
        cdef log_event log
        cdef head_event head
        if wire_parse(<const char *>message, len(message), &log, &head) != WIRE_LOG:
            raise ValueError(f"expected a log, was {message[:120]!r}")
        return table_knows(&self.table.t, &log)

    def end_load(self, uint64_t block):
        """The table is true after `block`: applies what waited and goes live.

        Events up to that block are in the load already and are passed over by the table. False,
        with the reason in `doubt`, where a reorg or an event that waited contradicts the load.
        """
        cdef uint32_t i, n
        if self.spoiled is not None:
            self.doubt = self.spoiled
            return False
        if self.head.number < block:
            raise ValueError(f"loaded at block {block}, but the newest head is {self.head.number}")
        for i in range(self.n_touched):
            self.is_touched[self.touched[i]] = False
        self.n_touched = 0
        self.doubt = ""
        self.live = True
        self.told.clear()
        # What was observed before has no state to be compared with.
        self.audit.clear()
        # Not the larger of both: a log that claimed a later block would hold back every decision.
        self.logs_block = block
        self.know_block(self.head.number, (<const char *>self.head.hash)[:32])
        n, self.n_buffer = self.n_buffer, 0
        for i in range(n):
            if self.live and self.buffer[i].block_number > block:
                self.apply_kept(i)
        self.search.settle(self.search.n_tokens)
        self.fresh = True
        return self.live

    cdef int apply_kept(self, uint32_t i) except -1:
        # Applying may keep it again, in this place or an earlier one.
        cdef log_event e = self.buffer[i]
        return self.apply(&e)

    def end_reading(self):
        """Pools that were being read (SLOT_LOADING) have their states: applies what waited for them.
        """
        cdef uint32_t i, n
        n, self.n_buffer = self.n_buffer, 0
        for i in range(n):
            if self.live:
                self.apply_kept(i)
        self.fresh = True

    @property
    def head_number(self):
        """Number of the newest head, 0 before the first."""
        return self.head.number

    @property
    def head_timestamp(self):
        """Timestamp of the newest head, seconds."""
        return self.head.timestamp

    @property
    def base_fee(self):
        """Base fee of the newest head, wei."""
        return self.head.base_fee
