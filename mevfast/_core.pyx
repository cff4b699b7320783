"""The hot chain: frame -> event -> table -> search -> plan -> signed request, on one stack.

Owns what is decided and what is under way, on a table that `_feed` keeps true. Makes no Python object
for an event or a candidate, waits for nothing, and does no I/O of its own: the request goes through
the `send` it was given. While the table is in doubt it decides nothing.

A block is searched once its head and its logs are in. Nodes send them in any order, and may split
them over several reads. A pool is settled if the head's logs bloom does not name it or a log of the
block has reached it; cycles through other pools wait for the log, or for the next head.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from mevfast._cache cimport table_refresh
from mevfast._feed cimport Feed
from mevfast._scan cimport (
    DROP_DEADLINE,
    DROP_DUPLICATE,
    DROP_INCOMPLETE_BLOCK,
    DROP_RISK,
    DROP_SHADOW,
)
from mevfast._search cimport Search
from mevfast._slots cimport slot_body
from mevfast._stages cimport (
    STAGE_CHECK,
    STAGE_FRAME,
    STAGE_FRAME_TO_SIGNED,
    STAGE_PLAN,
    STAGE_SEARCH,
    STAGE_SEND,
    STAGE_SIGN,
    STAGE_SIZE,
    stage_clock_ns,
    stage_end,
    stage_ns,
    stage_stamp,
    stage_tidy,
)
from mevfast._trades cimport pending_trade, trade_dict, trade_mark
from mevfast._tx cimport Signer, encode_execute, encode_send_raw, tx_encode_signed, tx_hash
from mevfast.types cimport log_event, swap_plan

from mevfast.errors import NodeError


cdef uint32_t REFRESHED_WINDOWS = 64  # about 10 us each, and the next frame waits
cdef uint32_t SETTLED_TOKENS = 64     # some 50 ns each, more for hubs


cdef class Outlet:
    """Where requests are written; a connection derives from it."""

    cdef int write(self, char *request, Py_ssize_t n) except -1:
        raise NodeError("a transaction was to be sent without a connection")


cdef class Core(Feed):
    """The engine's hot half.

    Args:
        search: the graph with its table.
        signer: signs every transaction.
        executor: its address, 20 bytes.
        chain_id, deadline_blocks: as in the config.
        max_fee_percent: maxFeePerGas as a share of the head's base fee.
        priority_fee: maxPriorityFeePerGas, wei.
        gas_limit_percent: gas limit as a share of the gas expected.
        first_request: JSON-RPC ids of what is sent count up from here.
        send: an Outlet, which gets each request without a Python object; or a callable that gets a
            memoryview of it. DANGER: valid during the call only.
        after: called with nothing after each batch of frames.

    `stages` has how long each stage took.
    """

    def __cinit__(self, Search search, Signer signer not None, bytes executor, uint64_t chain_id,
                  object send, object after, *, uint32_t deadline_blocks=2,
                  uint32_t max_fee_percent=200, uint64_t priority_fee=0,
                  uint32_t gas_limit_percent=150, uint64_t first_request=1 << 40):
        if len(executor) != 20:
            raise ValueError(f"executor: expected 20 bytes, was {len(executor)}")
        self.signer, self.send, self.after = signer, send, after
        memset(&self.tx, 0, sizeof(tx_fields))
        self.tx.chain_id = chain_id
        self.tx.max_priority_fee = priority_fee
        memcpy(self.tx.to, <const uint8_t *>executor, 20)
        self.deadline_blocks, self.max_fee_percent = deadline_blocks, max_fee_percent
        self.gas_limit_percent = gas_limit_percent
        self.next_request = first_request
        self.request_view = memoryview(<char[:REQUEST_BYTES]>(self.request + REQUEST_ROOM))

    @property
    def send(self):
        """Where requests go: an Outlet or a callable."""
        return self.callable if self.outlet is None else self.outlet

    @send.setter
    def send(self, send not None):
        self.outlet = send if isinstance(send, Outlet) else None
        self.callable = send if self.outlet is None else None

    def flush(self):
        """All frames that had arrived are in: audits, decides, sends, then tidies up and reports."""
        self.decide()
        self.tidy()

    cdef int decide(self) except -1:
        """The half of `flush` that a transaction waits for: audit, decision, sending."""
        cdef uint64_t at = stage_stamp(self.log)
        if self.arrived:
            at = stage_end(self.log, STAGE_FRAME, self.arrived)
        else:
            self.arrived = at
        if self.head_moved:
            self.head_ns = stage_clock_ns() - stage_ns(self.log, at - self.arrived)
        # 0.2 us a V2 swap, 0.2 to 1 one of V3; what contradicts our quotes must not be traded on.
        if self.live:
            self.audit.doubts_logs = self.doubts_logs
            self.audit.run()
            if self.audit.suspect_block:
                self.doubt_swap()
        else:
            self.audit.clear()  # what doubt began with is checked again when it is caught up
        if self.closing_block:
            self.close_block()
        stage_end(self.log, STAGE_CHECK, at)
        if self.live and self.n_touched and self.fresh:
            self.act()
        self.arrived = 0
        return 0

    cdef int tidy(self) except -1:
        """The half that nobody waits for, but for the next frame."""
        table_refresh(&self.table.t, REFRESHED_WINDOWS)
        self.search.settle(SETTLED_TOKENS)
        stage_tidy(self.log)
        self.after()
        self.head_moved = False
        return 0

    # ---- our own transactions ----

    cdef void note_own(self, const log_event *e) noexcept nogil:
        """The first log of a transaction of ours: what does the state before it pay?"""
        cdef uint32_t i = 0, left = self.n_pending
        cdef pending_trade *p
        while left:  # they lie close to the start
            p = &self.pending[i]
            i += 1
            if not p.used:
                continue
            left -= 1
            if not p.landed and memcmp(p.tx_hash, e.tx_hash, 32) == 0:
                p.landed = self.some_landed = True
                p.landed_block = e.block_number
                p.replayed = self.search.replay(&p.plan, &p.replay_out) == 0
                return

    cdef void take_back(self, uint64_t block) noexcept nogil:
        """Our transactions of later blocks have not landed after all."""
        cdef uint32_t i
        cdef pending_trade *p
        for i in range(MAX_PENDING):
            p = &self.pending[i]
            if p.used and p.landed and p.landed_block > block:
                p.landed = p.replayed = False

    cdef void release(self, pending_trade *p) noexcept nogil:
        cdef uint8_t *in_flight = self.search.in_flight
        cdef uint32_t i
        if p.holds:
            p.holds = False
            for i in range(p.plan.n_hops):
                in_flight[p.plan.hop[i].slot] -= 1

    # ---- decisions ----

    cdef uint32_t find_plans(self) noexcept nogil:
        """Searches every touched pool; returns how many plans search.plans holds."""
        cdef uint32_t i, n, found, waiting = <uint32_t>DROP_INCOMPLETE_BLOCK
        cdef uint64_t waited, at = stage_stamp(self.log)
        # What is still to come only the head's bloom says; without one, what is there counts.
        cdef bint complete = not self.head.has_bloom
        if self.some_landed:
            self.some_landed = False
            for i in range(MAX_PENDING):
                if self.pending[i].used and self.pending[i].landed:
                    self.release(&self.pending[i])
        self.search.bloom = NULL if complete else self.head.logs_bloom
        self.search.bloom_block = self.head.number
        waited = self.search.drops[waiting]
        self.search.begin()
        self.search.collect(self.touched, self.n_touched)
        at = stage_end(self.log, STAGE_SEARCH, at)
        self.n_searches += 1
        # What was searched is done with, unless a cycle had to wait for a log that may come.
        if complete or self.head.number > self.logs_block or self.search.drops[waiting] == waited:
            for i in range(self.n_touched):
                self.is_touched[self.touched[i]] = False
            self.n_touched = 0
        self.fresh = False
        found = self.search.n_found
        n = self.search.solve(self.head.base_fee + self.tx.max_priority_fee,
                              self.head.number + self.deadline_blocks)
        if found:
            stage_end(self.log, STAGE_SIZE, at)
        return n

    cdef Py_ssize_t encode(self, const swap_plan *plan) noexcept nogil:
        """Calldata, transaction, signature, request: its length behind REQUEST_ROOM, or -1.

        The transaction's hash is left for `act`, once the request is out.
        """
        cdef uint64_t at = stage_stamp(self.log)
        cdef Py_ssize_t n = encode_execute(plan, self.calldata, sizeof(self.calldata))
        if n < 0:
            return -1
        at = stage_end(self.log, STAGE_PLAN, at)
        self.tx.max_fee = self.head.base_fee * self.max_fee_percent // 100 \
            + self.tx.max_priority_fee
        self.tx.gas_limit = <uint64_t>self.search.gas_limit(plan) * self.gas_limit_percent // 100
        n = tx_encode_signed(self.signer, &self.tx, self.calldata, <size_t>n, self.raw,
                             sizeof(self.raw), NULL)
        if n < 0:
            return -1
        self.n_raw = <size_t>n
        self.signed = stage_end(self.log, STAGE_SIGN, at)
        return encode_send_raw(self.next_request, self.raw, <size_t>n, self.request + REQUEST_ROOM,
                               REQUEST_BYTES)

    cdef void note_states(self, const swap_plan *plan, uint64_t *block,
                          uint32_t *log_index) noexcept nogil:
        """Block and log index of the newest event of each pool of a plan."""
        cdef const slot_body *body
        cdef uint32_t i
        for i in range(plan.n_hops):
            body = &self.table.t.slots[plan.hop[i].slot].body
            block[i], log_index[i] = body.block, body.log_index

    cdef bint has_reverted(self, uint64_t mark) noexcept nogil:
        cdef uint32_t i
        for i in range(min(self.n_reverted, <uint32_t>MAX_PENDING)):
            if self.reverted[i] == mark:
                return True
        return False

    cdef bint barred(self, const swap_plan *plan, uint64_t *block,
                     uint32_t *log_index) noexcept nogil:
        """Whether a plan is not to be sent, counted by why; else its states are noted."""
        cdef uint64_t *drops = self.search.drops
        if self.paused or self.shadow or self.n_pending == MAX_PENDING:
            drops[<int>DROP_SHADOW if self.shadow else <int>DROP_RISK] += 1
            return True
        if self.expires_ns and stage_clock_ns() - self.head_ns > self.expires_ns:
            drops[<int>DROP_DEADLINE] += 1  # the block that it may execute in at last has passed
            return True
        self.note_states(plan, block, log_index)
        if self.has_reverted(trade_mark(plan, block, log_index)):
            drops[<int>DROP_DUPLICATE] += 1
            return True
        return False

    cdef int hand_over(self, Py_ssize_t length) except -1:
        """Writes the request. An Outlet takes it as it lies there; a callable wants an object."""
        if self.outlet is not None:
            return self.outlet.write(self.request + REQUEST_ROOM, length)
        self.callable(self.request_view[:length])
        return 0

    cdef pending_trade *free_trade(self) noexcept nogil:
        cdef uint32_t k = 0
        while self.pending[k].used:
            k += 1
        return &self.pending[k]

    cdef void remember(self, uint32_t i, const uint8_t *tx_hash, const uint64_t *block,
                       const uint32_t *log_index, int64_t latency) noexcept nogil:
        """Plan i was sent: it is under way, and holds its pools."""
        cdef pending_trade *p = self.free_trade()
        cdef uint8_t *in_flight = self.search.in_flight
        cdef uint32_t j
        memset(p, 0, sizeof(pending_trade))
        p.sent_ns, p.latency_ns = stage_clock_ns(), latency
        self.latency[self.n_sent % LATENCY_RING] = latency
        p.used = p.holds = True
        memcpy(p.tx_hash, tx_hash, 32)
        p.nonce, p.request_id = self.tx.nonce, self.next_request
        p.block, p.net = self.head.number, self.search.plan_net[i]
        p.gas_price = self.search.gas_price
        p.plan = self.search.plans[i]
        for j in range(p.plan.n_hops):
            in_flight[p.plan.hop[j].slot] += 1
            p.state_block[j], p.state_log_index[j] = block[j], log_index[j]
        self.n_pending += 1
        self.n_sent += 1
        self.tx.nonce += 1
        self.next_request += 1

    cdef int act(self) except -1:
        """Finds plans for the touched pools and sends them."""
        cdef uint32_t n, i
        cdef Py_ssize_t length
        cdef uint64_t ready
        cdef uint64_t block[4]
        cdef uint32_t log_index[4]
        cdef uint8_t hashed[32]
        if self.logs_block > self.head.number:
            return 0  # its head is still to come, and says what else the block touched
        n = self.find_plans()
        for i in range(n):
            if self.barred(&self.search.plans[i], block, log_index):
                continue
            length = self.encode(&self.search.plans[i])
            if length < 0:
                raise RuntimeError("a plan could not be encoded or signed")
            # Taken before the call: a node on this machine may take the core away during it.
            ready = stage_end(self.log, STAGE_FRAME_TO_SIGNED, self.arrived)
            try:
                self.hand_over(length)
            except BaseException:
                self.search.drops[<int>DROP_RISK] += n - i
                raise
            stage_end(self.log, STAGE_SEND, self.signed)
            tx_hash(self.raw, self.n_raw, hashed)  # nobody on the way out needs it
            self.remember(i, hashed, block, log_index, stage_ns(self.log, ready - self.arrived))
        return 0

    # ---- the cold half's side ----

    def look_again(self, list pools):
        """Searches the pools of these ids once more, as if they had just moved, and acts."""
        for id in pools:
            slot = self.table.slot(id)
            if slot is not None and self.search.knows(slot):
                self.touch(slot)
        if self.live and self.n_touched:
            self.arrived = stage_stamp(self.log)
            self.act()
            self.arrived = 0

    def set_nonce(self, uint64_t nonce):
        """The next transaction's nonce."""
        self.tx.nonce = nonce

    @property
    def nonce(self):
        """The next transaction's nonce."""
        return self.tx.nonce

    def trades(self):
        """Every transaction under way, oldest nonce first, as dicts.

        Keys: tx (hash, bytes), nonce, request_id, block (decided on), landed_block (None before a
        log of it was seen), token, funding, amount_in, predicted (profit after the lender's fee,
        token units), explained (the same recomputed on the state before the transaction, None
        where unknown or refused), net (base token wei), gas_units and gas_price (wei, what net was
        computed with), latency_ns, hops, each with `state`: block and log index of the newest event
        of its pool when it was decided.
        """
        cdef uint32_t i
        out = [trade_dict(
            &self.pending[i], self.table, self.search.gas_limit(&self.pending[i].plan)) for i in range(MAX_PENDING) if self.pending[i].used]
        return sorted(out, key=lambda trade: trade["nonce"])

    def resolve(self, uint64_t nonce, *, bint reverted=False, bint mined=False):
        """A transaction is over: its pools are free again. False where it is not known.

        A plan like one that `reverted`, on the very states that it was made of, is not sent again.
        `mined`: its receipt has just come, and is timed.
        """
        cdef uint32_t i
        cdef const pending_trade *p
        for i in range(MAX_PENDING):
            if self.pending[i].used and self.pending[i].nonce == nonce:
                if reverted:
                    p = &self.pending[i]
                    self.reverted[self.n_reverted % MAX_PENDING] = trade_mark(
                        &p.plan, p.state_block, p.state_log_index)
                    self.n_reverted += 1
                if mined:
                    self.stages.note("receipt", stage_clock_ns() - self.pending[i].sent_ns)
                self.release(&self.pending[i])
                self.pending[i].used = False
                self.n_pending -= 1
                return True
        return False

    def latencies(self):
        """Frame-to-send times of the newest transactions, ns."""
        cdef uint64_t i
        return [self.latency[i] for i in range(min(self.n_sent, <uint64_t>LATENCY_RING))]
