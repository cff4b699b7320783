"""Clocks around the hot half, for `python -m mevfast bench` alone: nothing in the engine imports it.

The chain that is timed is the engine's own. `TimedCore` and `TimedSearch` override the methods
that divide it into stages and only take the time around the call to the real one; `Replay` feeds
frames to a plain `Core` and takes the time at both ends. All times are ns of CLOCK_MONOTONIC, and
as read: what the clock costs is told by `clock_cost`.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from mevfast._bench_clock cimport cpu_ns, now_ns
from mevfast._core cimport MAX_PENDING, Core
from mevfast._search cimport Search
from mevfast._stages cimport (
    STAGE_FRAME_TO_SIGNED,
    STAGE_RING,
    Stages,
    stage_log,
    stage_ns,
    stage_stamp,
)
from mevfast._tx cimport TX_OVERHEAD, Signer, signer_sign, tx_encode_signed, tx_fields
from mevfast._wire cimport wire_parse
from mevfast.types cimport WIRE_LOG, head_event, log_event, swap_plan

from mevfast._stages import STAGE_NAMES
from mevfast._tx import to_checksum_address

cdef extern from "keccak.h" nogil:
    void keccak256(uint8_t *out, const uint8_t *data, size_t n) noexcept

cdef enum:
    RECOVERABLE_BYTES = 65   # secp256k1_ecdsa_recoverable_signature


def clock_cost(int repeats=2000):
    """The least time between two readings of the clock: what every sample here contains."""
    cdef int64_t least = 1 << 60, start
    cdef int i
    for i in range(repeats):
        start = now_ns()
        least = min(least, now_ns() - start)
    return least


# ---- the whole chain ----

cdef class Sink:
    """A socket that always takes everything: copies each request out and notes when it came."""

    cdef readonly list requests   # what was sent, where it is kept
    cdef bint kept
    cdef int64_t first            # when the first request since `clear` came, 0 before it

    def __cinit__(self, bint kept):
        self.kept, self.requests = kept, []

    def __call__(self, view):
        cdef int64_t at = now_ns()
        if self.first == 0:
            self.first = at
        if self.kept:
            self.requests.append(bytes(view))


cdef struct read_note:
    int64_t first, total          # as `Replay.read` says
    uint64_t stamped              # samples of the core's stages before it
    uint64_t signature            # ticks of the library's first signature, 0: none or not stamped


cdef class Replay:
    """Feeds recorded reads to a core.

    Args:
        core: where frames go; its `send` must be `sink`.
    """

    cdef readonly Core core
    cdef Sink sink
    cdef uint8_t *arrivals        # a read's frames one after the other, as a socket's buffer has them
    cdef size_t room
    cdef read_note last           # of the last read

    def __cinit__(self, Core core not None, Sink sink not None):
        self.core, self.sink = core, sink

    def __dealloc__(self):
        free(self.arrivals)

    cdef int arrive(self, list frames) except -1:
        """Copies the frames to where the core finds them: what the kernel copied a moment ago is in
        the caches, a recording is not."""
        cdef size_t n = 0
        cdef bytes frame
        for frame in frames:
            n += len(frame)
        if n > self.room:
            grown = realloc(self.arrivals, n)
            if grown == NULL:
                raise MemoryError(f"{n} bytes of frames")
            self.arrivals, self.room = <uint8_t *>grown, n
        n = 0
        for frame in frames:
            memcpy(self.arrivals + n, <const uint8_t *>frame, len(frame))
            n += len(frame)
        return 0

    def read(self, list frames):
        """One read of the socket: (ns to the first request or -1, ns until all was done).

        Both from before the first frame. The second one includes what comes after sending: the
        audit of the swaps in it.
        """
        self.take(frames)
        return self.last.first, self.last.total

    cdef int take(self, list frames) except -1:
        cdef int64_t start, end
        cdef size_t n = 0
        cdef bytes frame
        self.arrive(frames)
        self.sink.first = signing.ticks = 0
        self.last.stamped = self.core.log.n
        start = now_ns()
        for frame in frames:
            self.core.take(<const char *>self.arrivals + n, len(frame))
            n += len(frame)
        self.core.flush()
        end = now_ns()
        self.last.first = self.sink.first - start if self.sink.first else -1
        self.last.total = end - start
        self.last.signature = signing.ticks
        return 0

    def portion(self, list reads):
        """Reads one right after the other, each settled: [(what `read` says, its `parts`), ...].

        No object is made of what is measured before the last of them.
        """
        cdef read_note *notes = <read_note *>malloc(max(1, len(reads)) * sizeof(read_note))
        cdef list frames, found = []
        cdef size_t i = 0
        if notes == NULL:
            raise MemoryError(f"{len(reads)} reads")
        try:
            for frames in reads:
                self.take(frames)
                self.end_trades()
                notes[i] = self.last
                i += 1
            for i in range(len(reads)):
                self.last = notes[i]
                found.append((self.last.first, self.last.total, self.parts()))
        finally:
            free(notes)
        return found

    def parts(self):
        """Of the last read's way to its first request, by the core's own stamps: {stage: ns}.

        Samples of one stage are added up. `signature` is the library's part of `sign`, where the
        signer is a `stamped_signer`. Empty where there was no request.
        """
        cdef stage_log *log = self.core.log
        cdef uint64_t i, sample
        cdef dict found = {}
        if self.last.first < 0:
            return found
        if log.n > self.last.stamped + <uint64_t>STAGE_RING:
            raise RuntimeError(f"{log.n - self.last.stamped} samples since: too many to be kept")
        for i in range(self.last.stamped, log.n):
            sample = log.ring[i & (<uint64_t>STAGE_RING - 1)]
            name = STAGE_NAMES[sample >> 32]
            found[name] = found.get(name, 0) + stage_ns(log, <uint32_t>sample)
            if sample >> 32 == <uint64_t>STAGE_FRAME_TO_SIGNED:
                break
        if self.last.signature:
            found["signature"] = stage_ns(log, self.last.signature)
        return found

    def settle(self):
        """Ends every transaction decided on an earlier block, as its receipt would."""
        self.end_trades()

    cdef void end_trades(self) noexcept:
        cdef uint32_t i
        cdef Core core = self.core
        if core.n_pending == 0:
            return
        for i in range(MAX_PENDING):
            if core.pending[i].used and core.pending[i].block < core.head.number:
                core.release(&core.pending[i])
                core.pending[i].used = False
                core.n_pending -= 1


cdef struct moving_number:
    size_t at        # of the first of eight hex digits in the bytes of all frames
    int64_t ahead    # what they spell, over the round's first block


cdef class Endless:
    """A stream over and over, each round in later blocks: for millions of events in little memory.

    Args:
        replay: gets every read.
        reads: frames by read; copied.
        numbers: by frame, where eight hex digits spell a block's number or the end of its hash, and
            how far that block is behind `first`: pairs.
        first, blocks: the first block of the stream, and how many it has.
    """

    cdef readonly Replay replay
    cdef uint8_t *frames
    cdef size_t *starts           # of each frame, and the end of the last
    cdef uint32_t *ends           # of each read: the number of the frame after its last
    cdef moving_number *numbers
    cdef size_t n_numbers
    cdef uint32_t n_reads, at
    cdef uint64_t block, blocks

    def __cinit__(self, Replay replay not None, list reads not None, list numbers not None,
                  uint64_t first, uint64_t blocks):
        cdef size_t n = 0, bytes_ = 0, i = 0, frame = 0
        cdef bytes each
        self.replay, self.block, self.blocks = replay, first, blocks
        self.n_reads = len(reads)
        for read in reads:
            n += len(read)
            bytes_ += sum(map(len, read))
        if n == 0 or len(numbers) != n:
            raise ValueError(f"numbers: expected one list for each of {n} frames, was {len(numbers)}")
        self.frames = <uint8_t *>malloc(bytes_)
        self.starts = <size_t *>malloc((n + 1) * sizeof(size_t))
        self.ends = <uint32_t *>malloc(self.n_reads * sizeof(uint32_t))
        self.numbers = <moving_number *>malloc(max(1, sum(map(len, numbers)))
                                               * sizeof(moving_number))
        if self.frames == NULL or self.starts == NULL or self.ends == NULL or self.numbers == NULL:
            raise MemoryError(f"{n} frames")
        self.starts[0] = 0
        for read in reads:
            for each in read:
                memcpy(self.frames + self.starts[frame], <const uint8_t *>each, len(each))
                for at, ahead in numbers[frame]:
                    if not 0 <= at <= len(each) - 8:
                        raise ValueError(f"numbers[{frame}]: {at} is not in {len(each)} bytes")
                    self.numbers[self.n_numbers] = moving_number(self.starts[frame] + at, ahead)
                    self.n_numbers += 1
                frame += 1
                self.starts[frame] = self.starts[frame - 1] + len(each)
            self.ends[i] = frame
            i += 1

    def __dealloc__(self):
        free(self.frames)
        free(self.starts)
        free(self.ends)
        free(self.numbers)

    cdef void move(self) noexcept nogil:
        """The next round begins: its blocks follow the last one's."""
        cdef size_t i
        cdef int j
        cdef uint64_t number
        cdef uint8_t *digits
        self.at = 0
        for i in range(self.n_numbers):
            number = <uint64_t>(<int64_t>self.block + self.numbers[i].ahead)
            digits = self.frames + self.numbers[i].at
            for j in range(7, -1, -1):
                digits[j] = b"0123456789abcdef"[number & 15]
                number >>= 4
        self.block += self.blocks

    def run(self, uint32_t reads, int64_t[::1] signed not None, int64_t[::1] unsigned_ not None):
        """So many reads more. (how many signed, how many did not, CPU ns of all but the turns of a
        round).

        ns to the first request of those that signed, and ns of those that did not, go to the
        arrays, heads alone excepted; each must have room for all.
        """
        cdef Core core = self.replay.core
        cdef Sink sink = self.replay.sink
        cdef uint32_t i, frame, n_signed = 0, n_unsigned = 0
        cdef uint64_t logs
        cdef int64_t cpu = 0, began = cpu_ns(), start, end
        if signed.shape[0] < reads or unsigned_.shape[0] < reads:
            raise ValueError(f"arrays: expected room for {reads}, was {signed.shape[0]} and "
                             f"{unsigned_.shape[0]}")
        for i in range(reads):
            if self.at == self.n_reads or i == 0 and self.at == 0:
                cpu += cpu_ns() - began
                self.move()
                began = cpu_ns()
            sink.first = 0
            logs = core.n_logs
            start = now_ns()
            for frame in range(self.ends[self.at - 1] if self.at else 0, self.ends[self.at]):
                core.take(<const char *>self.frames + self.starts[frame],
                          self.starts[frame + 1] - self.starts[frame])
            core.flush()
            end = now_ns()
            if sink.first:
                signed[n_signed] = sink.first - start
                n_signed += 1
            elif core.n_logs != logs:
                unsigned_[n_unsigned] = end - start
                n_unsigned += 1
            self.replay.end_trades()
            self.at += 1
        return n_signed, n_unsigned, cpu + cpu_ns() - began


# ---- its stages ----

cdef class TimedSearch(Search):
    """The search, with the time that each of its two halves took last."""

    cdef int64_t collect_ns, solve_ns
    cdef uint32_t n_collected     # candidates that the sizing was given

    cdef void collect(self, const uint32_t *slots, uint32_t n) noexcept nogil:
        cdef int64_t start = now_ns()
        Search.collect(self, slots, n)
        self.collect_ns = now_ns() - start

    cdef uint32_t solve(self, uint64_t gas_price, uint64_t deadline) noexcept nogil:
        cdef int64_t start
        cdef uint32_t n
        self.n_collected = self.n_found
        start = now_ns()
        n = Search.solve(self, gas_price, deadline)
        self.solve_ns = now_ns() - start
        return n


cdef class TimedCore(Core):
    """The core, with the time that each stage took appended to its list.

    `decode` (a log's bytes to its struct), `apply` (struct to table and graph, with what the audit
    keeps), `head` (decoded and taken in), `search` (edge scan of all pools touched), `size` (sizing,
    funding, ranking, where the scan found something), `encode` (calldata, transaction, digest, request: give it a Signer from
    `blank_signer` and the signature is not among them).
    """

    cdef readonly list decode, apply_, heads, searches, sizes, encodes
    cdef int64_t entered

    def __init__(self, *args, **kwargs):
        self.decode, self.apply_, self.heads = [], [], []
        self.searches, self.sizes, self.encodes = [], [], []

    def samples(self):
        """The lists by stage."""
        return {"decode": self.decode, "apply": self.apply_, "head": self.heads,
                "search": self.searches, "size": self.sizes, "encode": self.encodes}

    cdef bint take(self, const char *buf, Py_ssize_t n) except -1:
        self.entered = now_ns()
        return Core.take(self, buf, n)

    cdef int on_log(self, const log_event *e) except -1:
        cdef int64_t start = now_ns(), end
        cdef int result = Core.on_log(self, e)
        end = now_ns()
        self.decode.append(start - self.entered)
        self.apply_.append(end - start)
        return result

    cdef int on_head(self, const head_event *h) except -1:
        cdef int result = Core.on_head(self, h)
        self.heads.append(now_ns() - self.entered)
        return result

    cdef uint32_t find_plans(self) noexcept nogil:
        cdef uint32_t n = Core.find_plans(self)
        with gil:
            timed = <TimedSearch>self.search
            self.searches.append(timed.collect_ns)
            if timed.n_collected:
                self.sizes.append(timed.solve_ns)
        return n

    cdef Py_ssize_t encode(self, const swap_plan *plan) noexcept nogil:
        cdef int64_t start = now_ns(), end
        cdef Py_ssize_t n = Core.encode(self, plan)
        end = now_ns()
        with gil:
            self.encodes.append(end - start)
        return n


# ---- the signature, and what it is compared with ----

cdef int no_signature(const void *context, void *signature, const uint8_t *digest32,
                      const uint8_t *key32, void *nonce_function,
                      const void *nonce_data) noexcept nogil:
    return 1


cdef int blank_bytes(const void *context, uint8_t *out64, int *recid,
                     const void *signature) noexcept nogil:
    memset(out64, 0x5a, 64)  # no leading zero: as long as a signature nearly always is
    recid[0] = 0
    return 1


cdef struct stamped_signing:
    const stage_log *clock        # whose stamps
    uint64_t ticks                # that the first signature since it was 0 took
    int (*sign)(const void *, void *, const uint8_t *, const uint8_t *, void *,
                const void *) noexcept nogil

cdef stamped_signing signing
cdef Stages signing_stages        # keeps the clock


cdef int stamped_sign(const void *context, void *signature, const uint8_t *digest32,
                      const uint8_t *key32, void *nonce_function,
                      const void *nonce_data) noexcept nogil:
    cdef uint64_t start = stage_stamp(signing.clock)
    cdef int result = signing.sign(context, signature, digest32, key32, nonce_function, nonce_data)
    if signing.ticks == 0:
        signing.ticks = stage_stamp(signing.clock) - start
    return result


def stamped_signer(Signer signer not None, Stages stages not None):
    """The same signer, which notes how long the library takes on its way, in stamps of `stages`: for
    `Replay.parts`.

    Raises ValueError where it does not sign by libsecp256k1.
    """
    global signing_stages
    if signer._context == NULL:
        raise ValueError("signer: expected libsecp256k1 itself, was coincurve's Python API")
    signing_stages = stages
    signing.clock = stages.log
    if signer._api.sign_recoverable != &stamped_sign:
        signing.sign = signer._api.sign_recoverable
    signer._api.sign_recoverable = &stamped_sign
    return signer


def blank_signer(Signer signer not None):
    """The same signer with its signing replaced by 64 constant bytes. Not to be used again."""
    signer._api.sign_recoverable = &no_signature
    signer._api.serialize_compact = &blank_bytes
    return signer


cdef class Peers:
    """One call each of what the stages are compared with.

    Args:
        signer: signs; must be on libsecp256k1 (`backend`), or there is no bare signature.
        calldata: of the transaction in `fields_to_raw`, bytes.
    """

    cdef Signer signer
    cdef bytes calldata
    cdef uint8_t digest[32]
    cdef uint8_t block[110]
    cdef uint8_t out[4096]
    cdef tx_fields tx

    def __cinit__(self, Signer signer not None, bytes calldata not None, bytes to not None,
                  uint64_t chain_id):
        if signer._context == NULL:
            raise ValueError("signer: expected libsecp256k1 itself, was coincurve's Python API")
        if len(calldata) + TX_OVERHEAD > sizeof(self.out) or len(to) != 20:
            raise ValueError(f"transaction of {len(calldata)} bytes to {len(to)}: too large, or "
                             "not to 20 bytes")
        self.signer, self.calldata = signer, calldata
        memset(&self.tx, 0, sizeof(tx_fields))
        self.tx.chain_id = chain_id
        self.tx.max_fee, self.tx.gas_limit = 20000000, 600000
        memcpy(self.tx.to, <const uint8_t *>to, 20)

    cdef void turn(self) noexcept nogil:
        """Another digest: no branch predictor learns a message by heart."""
        keccak256(self.digest, self.digest, 32)

    def bare(self):
        """libsecp256k1 on a digest and nothing around it."""
        cdef uint8_t signature[RECOVERABLE_BYTES]
        cdef int recid = 0, ok
        cdef int64_t start, end
        cdef Signer s = self.signer
        self.turn()
        start = now_ns()
        ok = s._api.sign_recoverable(s._context, signature, self.digest, s._key, NULL, NULL)
        ok &= s._api.serialize_compact(s._context, self.out, &recid, signature)
        end = now_ns()
        if not ok:
            raise RuntimeError("libsecp256k1 did not sign")
        return end - start

    def sign(self):
        """The same through the engine's `signer_sign`."""
        cdef int recid = 0, ok
        cdef int64_t start, end
        self.turn()
        start = now_ns()
        ok = signer_sign(self.signer, self.digest, self.out, &recid)
        end = now_ns()
        if not ok:
            raise RuntimeError("the signer did not sign")
        return end - start

    def fields_to_raw(self):
        """Fields and calldata to the signed transaction; its hash is taken after the send."""
        cdef int64_t start, end
        cdef Py_ssize_t n
        self.tx.nonce += 1
        start = now_ns()
        n = tx_encode_signed(self.signer, &self.tx, <const uint8_t *>self.calldata,
                             len(self.calldata), self.out, sizeof(self.out), NULL)
        end = now_ns()
        if n < 0:
            raise RuntimeError("the transaction could not be encoded")
        return end - start

    def last_transaction(self):
        """What `fields_to_raw` made last: its fields as eth-account takes them, its raw bytes."""
        cdef Py_ssize_t n = tx_encode_signed(
            self.signer, &self.tx, <const uint8_t *>self.calldata, len(self.calldata), self.out,
            sizeof(self.out), NULL)
        fields = {
            "type": 2, "chainId": self.tx.chain_id, "nonce": self.tx.nonce,
            "maxPriorityFeePerGas": self.tx.max_priority_fee, "maxFeePerGas": self.tx.max_fee,
            "gas": self.tx.gas_limit, "to": to_checksum_address((<const char *>self.tx.to)[:20]),
            "value": 0, "data": self.calldata}
        return fields, PyBytes_FromStringAndSize(<char *>self.out, n)

    def keccak_110(self):
        """Keccak-256 of 110 bytes, one block."""
        cdef int64_t start
        keccak256(self.digest, self.digest, 32)
        memcpy(self.block, self.digest, 32)
        start = now_ns()
        keccak256(self.digest, self.block, 110)
        return now_ns() - start


cdef enum:
    CACHE_LINES = 4096       # 256 KB: more than a first-level cache holds, no more than a second-level one
    CACHE_STEPS = 256        # lines timed at once
    CACHE_LINE = 64          # bytes
    CACHE_STRIDE = 1741      # lines from one to the next; prime, and longer than prefetchers look


cdef class CacheProbe:
    """Whether what lay in the core's second-level cache is still there after a time of doing nothing.

    It is, on a core that nothing else uses. Of another tenant on the same core no load average tells,
    and time stolen only where it had to wait for us.
    """

    cdef uint8_t *lines
    cdef size_t at           # what was read last

    def __cinit__(self):
        cdef size_t i
        self.lines = <uint8_t *>malloc(CACHE_LINES * CACHE_LINE)
        if self.lines == NULL:
            raise MemoryError(f"{CACHE_LINES * CACHE_LINE} bytes")
        for i in range(CACHE_LINES):  # each names the next one, so that none is read before its turn
            (<size_t *>(self.lines + CACHE_LINE * i))[0] = (i + CACHE_STRIDE) % CACHE_LINES

    def __dealloc__(self):
        free(self.lines)

    cdef int64_t read(self, uint32_t n) noexcept nogil:
        """ns that it takes to read n more."""
        cdef int64_t start = now_ns()
        cdef size_t at = self.at
        cdef uint32_t i
        for i in range(n):
            at = (<size_t *>(self.lines + CACHE_LINE * at))[0]
        self.at = at
        return now_ns() - start

    def sample(self, int64_t idle_ns):
        """ns for CACHE_STEPS lines at once after they were read, and as many after so long."""
        cdef int64_t warm, start
        self.read(CACHE_LINES)
        self.read(CACHE_LINES)
        warm = self.read(CACHE_STEPS)
        start = now_ns()
        while now_ns() - start < idle_ns:
            pass
        return warm, self.read(CACHE_STEPS)


def time_decode(bytes frame not None):
    """ns that `wire_parse` took for one frame, and whether it was a log."""
    cdef log_event log
    cdef head_event head
    cdef int64_t start = now_ns(), end
    cdef int message = wire_parse(<const char *>frame, len(frame), &log, &head)
    end = now_ns()
    return end - start, message == WIRE_LOG


def time_call(function, argument):
    """ns that one call took, its result freed; for peers that live in Python."""
    cdef int64_t start = now_ns()
    function(argument)
    return now_ns() - start
