"""The reserve table's memory: slots, index, arena, undo journal, and the mapping they lie in.

Owns the layout of include/table.h and who may read it how: one thread of one process writes; any
thread, and any process that maps the table's file, reads slots through their sequence locks, which
never block the writer and never give a torn slot. Must not know events or nodes.
"""

import os

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from mevfast._mapping cimport map_checked, map_new, refuse_living, writer_lives
from mevfast._pool cimport Pool, pool_state_fields
from mevfast.types cimport POOL_NONE, POOL_UNISWAP_V4, pool_state, v3_tick, v3_window

from mevfast._mapping import start_of
from mevfast._pool import KIND_NUMBERS
from mevfast._wire import KINDS as _EVENT_NAMES
from mevfast.errors import DataError

cdef extern from "<sched.h>" nogil:
    int sched_yield() noexcept

cdef extern from "table_map.h" nogil:
    void table_plan(
        table_header *h, uint32_t capacity, uint32_t arena_capacity, uint64_t chain_id,
    ) noexcept
    void *table_map(uint64_t bytes, int fd, int writable) noexcept
    void table_attach(pool_table *t, void *mapping) noexcept
    void table_detach(pool_table *t) noexcept
    void table_clear_index(pool_table *t) noexcept
    int table_equip(pool_table *t, uint64_t undo_bytes) noexcept
    void table_add_token(pool_table *t, const uint8_t *address) noexcept

cdef uint32_t MOST_POOLS = 1 << 26

# A writer that the system took off its core inside a slot comes back only if others yield.
cdef uint32_t READ_TRIES = 1000
cdef uint32_t READ_TURNS = 100000

KINDS = dict(KIND_NUMBERS)
KIND_NAMES = {number: name for name, number in KINDS.items()}
APPLY_NAMES = (
    "changed", "no_state", "unknown_pool", "old", "out_of_order", "waiting", "stale_noted",
    "inconsistent", "malformed",
)
COUNTER_NAMES = (
    "hits", "misses", "stale_marks", "refreshes", "evictions", "rollbacks", "undone", "rpc_calls",
    "avoided_calls",
)
SLOT_FIELDS = (
    "id", "address", "kind", "tokens", "block", "log_index", "loaded_block", "stale", "quarantined",
)
"""What `read` says of the slot itself; the rest are fields of the pool's state."""
_ID_BYTES = (20, 32)
# Unless whoever read the state knows better: their fees, rates or amp may move without an event.
_DRIFTING = ("algebra_v1", "algebra_integral", "curve_stable", "curve_stable_ng",
             "balancer_composable_stable")


def _drifts(str kind, state):
    """Whether what a swap sees moves without events, as the state says or else by its kind."""
    said = state if isinstance(state, dict) else {}
    return bool(said.get("drifts", kind in _DRIFTING or said.get("ramping", False)))


cdef class SlotsView:
    """What both sides of a mapping read. The writer's thread and process may do more: see Slots."""

    def __len__(self):
        """Pools held."""
        return self.t.head.n_pools

    cdef int _check_slot(self, uint32_t slot) except -1:
        if slot >= self.t.head.n_slots or self.t.slots[slot].body.kind == <uint8_t>POOL_NONE:
            raise IndexError(f"slot {slot}: the table holds {self.t.head.n_pools} pools, none there")
        return 0

    cdef bytes _token(self, uint32_t id):
        if id >= self.t.head.n_tokens:
            raise IndexError(f"token {id}: the table holds {self.t.head.n_tokens}")
        return (<const char *>self.t.tokens + 20 * <size_t>id)[:20]

    def tokens(self):
        """Addresses of the tokens by id, 20 bytes each."""
        cdef uint32_t i
        return [self._token(i) for i in range(self.t.head.n_tokens)]

    cdef object _id_of(self, const slot_body *body):
        cdef bytes id = (<const char *>body.address)[:32]
        if body.kind == <uint8_t>POOL_UNISWAP_V4 or id[20:] != bytes(12):
            return id
        return id[:20]

    cdef list _tokens_of(self, const slot_body *body):
        cdef uint32_t i
        if kind_wide_bytes(body.kind) == 0:
            return [self._token(body.token0), self._token(body.token1)]
        return [self._token(body.wide.token[i]) for i in range(body.n_tokens)]

    def slot(self, bytes id):
        """The slot of a pool by its address (20 bytes) or id (32), None where it is unknown."""
        cdef uint32_t found, begun
        cdef pool_table *t = &self.t
        if len(id) not in _ID_BYTES:
            raise DataError(f"pool id: expected 20 or 32 bytes, was {len(id)}")
        while True:
            begun = seq_read_begin(&t.head.index_sequence)
            found = table_find(t, id)
            if not seq_read_retry(&t.head.index_sequence, begun):
                break
        if found == TABLE_NO_SLOT:
            return None
        if len(id) == 32 and memcmp(t.slots[found].body.id_rest, <const char *>id + 20, 12) != 0:
            return None
        return found

    def slots(self):
        """Slots that hold a pool."""
        cdef uint32_t i
        return [i for i in range(self.t.head.n_slots)
                if self.t.slots[i].body.kind != <uint8_t>POOL_NONE]

    def stale(self):
        """Slots of the pools that are to be read before they are traded, those in quarantine left out.
        """
        cdef uint32_t i
        cdef uint8_t flags
        out = []
        for i in range(self.t.head.n_slots):
            flags = self.t.slots[i].body.flags
            if flags & SLOT_STALE and not flags & (SLOT_QUARANTINED | SLOT_FREE):
                out.append(i)
        return out

    cdef int _copy(self, uint32_t slot, slot_body *body, void *spread, size_t cap) except -1:
        cdef int status = -1
        cdef uint32_t turns = 0
        if self.unchecked:
            return -2 if table_copy(&self.t, slot, body, spread, cap) > cap else 0
        with nogil:
            while status == -1 and turns < READ_TURNS:
                status = table_read(&self.t, slot, body, spread, cap, READ_TRIES)
                turns += 1
                if status == -1:
                    sched_yield()
        if status == -1:
            raise DataError(f"slot {slot}: the writer never left it; did it stop inside?")
        if status == -2:
            raise DataError(f"slot {slot}: more than {cap // sizeof(v3_tick)} ticks")
        return 0

    def states(self):
        """Of each pool that holds a true state: (0x and id, kind, 0x and address of each token, its
        fields), as market_file.hash_states takes them."""
        for slot in self.slots():
            pool = self.read(slot)
            if not pool["stale"]:
                yield ("0x" + pool["id"].hex(), pool["kind"],
                       ["0x" + token.hex() for token in pool["tokens"]],
                       {name: value for name, value in pool.items() if name not in SLOT_FIELDS})

    def read(self, uint32_t slot, uint32_t max_ticks=65536):
        """One pool as a dict, whole or not at all: any thread may call it.

        Keys: id, address, kind, tokens, block, log_index, loaded_block, stale, quarantined, drifts, and
        where the slot holds a state the fields of its kind in mevfast-vectors/1, integers; `ticks` have
        liquidity_gross where it is known.
        """
        cdef slot_body body
        cdef pool_state state
        cdef size_t cap = max(max_ticks, 64) * sizeof(v3_tick)
        cdef void *spread
        self._check_slot(slot)
        spread = malloc(cap)
        if spread == NULL:
            raise MemoryError(f"{cap} bytes")
        try:
            self._copy(slot, &body, spread, cap)
            if body.kind == <uint8_t>POOL_NONE:
                raise IndexError(f"slot {slot}: its pool was removed")
            out = {
                "id": self._id_of(&body), "address": (<const char *>body.address)[:20],
                "kind": KIND_NAMES[body.kind], "tokens": self._tokens_of(&body),
                "block": body.block, "log_index": body.log_index,
                "loaded_block": body.loaded_block, "stale": bool(body.flags & SLOT_STALE),
                "quarantined": bool(body.flags & SLOT_QUARANTINED),
                "drifts": bool(body.flags & SLOT_DRIFTS),
            }
            slot_view(&body, spread, &state)
            if state.kind != POOL_NONE:
                out.update(pool_state_fields(&state))
            return out
        finally:
            free(spread)

    def pool(self, uint32_t slot):
        """A Pool of the slot's state, its own. DataError where the slot holds none."""
        state = self.read(slot)
        if state["stale"] and state["loaded_block"] == 0:
            raise DataError(f"pool 0x{state['id'].hex()}: its state was never read")
        return Pool(state["kind"], state, f"pool 0x{state['id'].hex()}: ")

    def counters(self):
        """What was counted since the table was made, by COUNTER_NAMES; `applied`: events offered by
        what became of them; `events`: those that changed a slot, by kind."""
        cdef uint32_t i
        cdef table_header *h = self.t.head
        out = {name: h.counters[i] for i, name in enumerate(COUNTER_NAMES)}
        out["applied"] = {name: h.applied[i] for i, name in enumerate(APPLY_NAMES)}
        out["events"] = {name: h.events[<uint32_t>kind] for kind, name in _EVENT_NAMES.items()
                         if h.events[<uint32_t>kind]}
        return out

    def applied(self):
        """Events offered so far by what became of them: name -> count."""
        return self.counters()["applied"]

    def header(self):
        """Sizes, chain and writer of the mapping.

        Keys: version, slot_bytes, capacity, arena_capacity, mapping_bytes, chain_id, head_block,
        pools, tokens, arena_used (units of 48 bytes), writer_pid, writer_alive.
        """
        cdef table_header *h = self.t.head
        return {
            "version": h.version, "slot_bytes": h.slot_bytes, "capacity": h.capacity,
            "arena_capacity": h.arena_capacity, "mapping_bytes": h.mapping_bytes,
            "chain_id": h.chain_id, "head_block": h.head_block, "pools": h.n_pools,
            "tokens": h.n_tokens, "arena_used": h.arena_used, "writer_pid": h.writer_pid,
            "writer_alive": bool(writer_lives(h)),
        }

    @property
    def head_block(self):
        """Newest block that the writer has seen, 0 before the first."""
        return self.t.head.head_block


cdef class Slots(SlotsView):
    """The writer's side of the table's memory.

    Args:
        capacity: pools it can hold.
        tick_capacity: units of 48 bytes in its arena, over all pools: one for each tick, 11 to 20
            for the state of a Curve, CryptoSwap or Balancer pool.
        path: a file that other processes may map (TableReader); None for memory of this process. A
            file that a dead writer left is replaced, a living one's is refused.
        undo_bytes: size of the journal that rollback takes events back by; 0 for none.
        chain_id: for readers of the file.
    """

    def __cinit__(self, uint32_t capacity=4096, uint32_t tick_capacity=1 << 20, *, path=None,
                  uint64_t undo_bytes=16 << 20, uint64_t chain_id=0):
        if not 1 <= capacity <= MOST_POOLS:
            raise DataError(f"capacity: expected 1 to {MOST_POOLS} pools, was {capacity}")
        self.token_addresses = []
        self._token_ids = {}
        self.path = None if path is None else os.fspath(path)
        self._allocate(capacity, tick_capacity, chain_id)
        if table_equip(&self.t, undo_bytes) != 0:
            raise MemoryError(f"table of {capacity} pools, journal of {undo_bytes} bytes")

    def __dealloc__(self):
        if self.t.head != NULL and self.t.head.writer_pid == <uint64_t>os.getpid():
            self.t.head.writer_pid = 0
        table_detach(&self.t)

    cdef int _allocate(self, uint32_t capacity, uint32_t arena, uint64_t chain_id) except -1:
        cdef table_header plan
        cdef void *mapping
        table_plan(&plan, capacity, arena, chain_id)
        plan.writer_pid = os.getpid()
        plan.writer_start = start_of(plan.writer_pid)
        if self.path is not None:
            return self._create(&plan)
        mapping = table_map(plan.mapping_bytes, -1, True)
        if mapping == NULL:
            raise MemoryError(f"table of {plan.mapping_bytes} bytes")
        memcpy(mapping, &plan, sizeof(table_header))
        table_attach(&self.t, mapping)
        table_clear_index(&self.t)
        return 0

    cdef int _create(self, const table_header *plan) except -1:
        """Makes the file and maps it; what readers find under its name is whole."""
        refuse_living(self.path)
        new = f"{self.path}.{os.getpid()}.new"
        table_attach(&self.t, map_new(new, plan, self.path))
        table_clear_index(&self.t)
        os.rename(new, self.path)
        return 0

    # ---- tokens ----

    def add_token(self, bytes address):
        """The id of a token (20 bytes), given on first sight."""
        if len(address) != 20:
            raise DataError(f"token address: expected 20 bytes, was {len(address)}")
        if address not in self._token_ids:
            if self.t.head.n_tokens == self.t.token_capacity:
                raise DataError(f"the table is full: {self.t.token_capacity} tokens; raise table.capacity")
            self._token_ids[address] = self.t.head.n_tokens
            table_add_token(&self.t, address)
            self.token_addresses.append(address)
        return self._token_ids[address]

    def token_id(self, bytes address):
        """The id of a known token, or None."""
        return self._token_ids.get(address)

    # ---- pools ----

    cdef int _check_same(
        self, uint32_t slot, bytes id, str kind, list tokens, uint8_t venue,
    ) except -1:
        """DataError where a slot's pool is another than the one named."""
        cdef slot_body *held = &self.t.slots[slot].body
        where = f"pool 0x{id.hex()}"
        known = self._id_of(held)
        if known[20:] != id[20:] and len(known) == len(id):
            raise DataError(f"{where}: expected 0x{known.hex()}, which shares its first 20 bytes")
        if KIND_NAMES[held.kind] != kind or self._tokens_of(held) != tokens:
            raise DataError(
                f"{where}: expected the {KIND_NAMES[held.kind]} pool of tokens "
                f"{', '.join('0x' + token.hex() for token in self._tokens_of(held))} that the table "
                f"holds, was {kind} of {', '.join('0x' + token.hex() for token in tokens)}")
        if venue != 0 and held.venue != venue:
            raise DataError(f"{where}: expected the singleton that it was added with, was another")
        return 0

    cdef uint32_t _place(
        self, bytes id, str kind, list tokens, bytes singleton,
    ) except? 0xffffffff:
        """The slot of a pool; a stale one without state where it is new."""
        cdef slot_body body
        cdef uint32_t slot, i
        cdef uint8_t venue = 0
        if len(id) not in _ID_BYTES or (kind == "uniswap_v4" and len(id) != 32):
            expected = "32" if kind == "uniswap_v4" else "20 or 32"
            raise DataError(f"pool id: expected {expected} bytes, was {len(id)}")
        if kind not in KINDS:
            raise DataError(f"pool kind: expected one of {', '.join(KINDS)}, was {kind!r}")
        if singleton is not None:
            venue = self._singleton(singleton)
        slot = table_find(&self.t, id)
        if slot != TABLE_NO_SLOT:
            self._check_same(slot, id, kind, tokens, venue)
            return slot
        memset(&body, 0, sizeof(body))
        body.kind, body.venue, body.flags = KINDS[kind], venue, <uint8_t>SLOT_STALE
        body.n_tokens = len(tokens)
        ids = [self.add_token(token) for token in tokens]
        body.token0, body.token1 = ids[0], ids[1]
        memcpy(body.address, <const uint8_t *>id, <size_t>len(id))
        if kind_wide_bytes(body.kind) != 0:
            body.wide.first_unit = TABLE_NO_CHUNK
            for i in range(body.n_tokens):
                body.wide.token[i] = ids[i]
        elif kind_is_concentrated(body.kind):
            body.v3.first_tick = TABLE_NO_CHUNK
        slot = slot_take(&self.t)
        if slot == TABLE_NO_SLOT:
            raise DataError(f"the table is full: {self.t.capacity} pools; raise table.capacity")
        # The body is whole before the index names it.
        table_publish(&self.t, slot, &body)
        table_index_add(&self.t, id, slot)
        v3_window_void(&self.t.windows[slot])
        return slot

    def _singleton(self, bytes address):
        """1 + the index of a singleton, entered on first sight."""
        cdef table_header *h = self.t.head
        if len(address) != 20:
            raise DataError(f"singleton: expected an address of 20 bytes, was {len(address)}")
        if table_singleton(&self.t, address) == 0:
            if h.n_singletons == TABLE_SINGLETONS:
                raise DataError(f"the table is full: {TABLE_SINGLETONS} singletons")
            memcpy(h.singletons[h.n_singletons], <const uint8_t *>address, 20)
            h.n_singletons += 1
        return table_singleton(&self.t, address)

    def add(self, bytes id, str kind, tokens, bytes singleton=None):
        """The slot of a pool that is known but not read yet; nothing happens where it has one.

        `id`: the pool's address, 20 bytes, or the 32-byte id of one that lives in a singleton;
        `tokens`: their addresses in the pool's own order; `singleton`: who emits its events, if it is
        not the pool. Until `put` the slot is stale and holds no state. DataError where the table is
        full, or holds the id with another kind or other tokens.
        """
        tokens = list(tokens)
        if not 2 <= len(tokens) <= 8:
            raise DataError(f"pool 0x{id.hex()}: expected 2 to 8 tokens, was {len(tokens)}")
        return self._place(id, kind, tokens, singleton)

    def put(self, bytes id, str kind, tokens, state, uint64_t block,
            uint32_t log_index=TABLE_END_OF_BLOCK, *, bytes singleton=None):
        """Replaces a pool's whole state, and adds it if it is new; returns its slot.

        `state`: the fields of `kind` in mevfast-vectors/1, or a Pool, which is copied; ticks need
        liquidity_gross if events are to move them; `drifts` *: what a swap sees moves without events,
        too (docs/events.md), unless given by the kind. It is true after (`block`, `log_index`), the
        whole block by default. Ends staleness and loading; quarantine stays. Other arguments and
        errors as for `add`; DataError also where a field is wrong or the arena is full, and nothing
        is changed then.
        """
        cdef Pool pool
        cdef slot_body body, filled
        cdef uint32_t slot
        cdef pool_slot *to
        pool = state if isinstance(state, Pool) else Pool(kind, state, f"pool 0x{id.hex()}: ")
        tokens = list(tokens)
        if pool.kind != kind or pool.n_tokens != len(tokens):
            raise DataError(
                f"pool 0x{id.hex()}: expected the state of a {kind} pool of {len(tokens)} tokens, "
                f"was of a {pool.kind} pool of {pool.n_tokens}")
        memset(&filled, 0, sizeof(filled))
        filled.kind = pool.state.kind
        self._fill(&filled, &pool.state)
        try:
            slot = self._place(id, kind, tokens, singleton)
        except BaseException:
            self._forget_chunk(&filled)
            raise
        to = &self.t.slots[slot]
        if to.body.flags & SLOT_STALE:
            self.t.head.counters[<int>COUNT_REFRESHES] += 1
        undo_barrier(&self.t, slot, block)
        body = to.body
        body.block, body.log_index, body.loaded_block = block, log_index, block
        body.flags &= <uint8_t>SLOT_QUARANTINED
        if _drifts(kind, state):
            body.flags |= <uint8_t>SLOT_DRIFTS
        if kind_wide_bytes(body.kind) != 0:
            body.wide.first_unit = filled.wide.first_unit
            body.wide.chunk_class = filled.wide.chunk_class
        elif kind_is_concentrated(body.kind):
            body.v3 = filled.v3
        else:
            body.solidly = filled.solidly
        filled = to.body
        table_publish(&self.t, slot, &body)
        # Its old chunk goes only when no reader can be sent there any more.
        seq_retire()
        self._forget_chunk(&filled)
        if kind_is_concentrated(body.kind):
            memcpy(&self.t.windows[slot], pool.state.v3.window, sizeof(v3_window))
        return slot

    cdef int _fill(self, slot_body *body, const pool_state *state) except -1:
        """The body's state part, with a new chunk where the kind has one."""
        cdef uint32_t i, n, chunk, chunk_class
        cdef size_t bytes
        cdef const void *spread
        if kind_is_concentrated(state.kind):
            n, spread = state.v3.n_ticks, state.v3.ticks
            bytes = n * sizeof(v3_tick)
        elif kind_wide_bytes(state.kind) != 0:
            bytes, spread = kind_wide_bytes(state.kind), &state.curve
            n = <uint32_t>((bytes + sizeof(v3_tick) - 1) // sizeof(v3_tick))
        else:
            # both are members of one union: the larger one takes the smaller with it
            body.solidly = state.solidly
            return 0
        chunk_class = chunk_class_of(n)
        chunk = chunk_take(&self.t, chunk_class)
        if chunk == TABLE_NO_CHUNK:
            raise DataError(f"the tick arena is full: {self.t.arena_capacity} ticks, "
                            f"no chunk for {n}; raise table.tick_capacity")
        memcpy(self.t.arena + chunk, spread, bytes)
        if not kind_is_concentrated(state.kind):
            body.wide.first_unit, body.wide.chunk_class = chunk, chunk_class
            return 0
        body.v3.sqrt_price_x96, body.v3.liquidity = state.v3.sqrt_price_x96, state.v3.liquidity
        body.v3.tick, body.v3.tick_spacing = state.v3.tick, state.v3.tick_spacing
        body.v3.bitmap_spacing = state.v3.bitmap_spacing
        for i in range(2):
            body.v3.fee_pips[i] = state.v3.fee_pips[i]
            body.v3.lp_fee_pips[i] = state.v3.lp_fee_pips[i]
        body.v3.protocol_fee, body.v3.form = state.v3.protocol_fee, state.v3.form
        body.v3.hooks, body.v3.n_ticks = state.v3.hooks, n
        body.v3.first_tick, body.v3.chunk_class = chunk, chunk_class
        return 0

    cdef int _forget_chunk(self, const slot_body *body) except -1:
        """Gives back what the arena holds for a body that no reader can be sent by any more."""
        if kind_is_concentrated(body.kind):
            chunk_give(&self.t, body.v3.first_tick, body.v3.chunk_class)
        elif kind_wide_bytes(body.kind) != 0:
            chunk_give(&self.t, body.wide.first_unit, body.wide.chunk_class)
        return 0

    def remove(self, uint32_t slot):
        """Forgets a pool: its slot and its part of the arena are used again, its journal is void."""
        cdef slot_body body
        self._check_slot(slot)
        body = self.t.slots[slot].body
        undo_forget(&self.t, slot)
        slot_give(&self.t, slot)
        seq_retire()
        self._forget_chunk(&body)
        v3_window_void(&self.t.windows[slot])

    def mark_stale(self, uint32_t slot):
        """Keeps a pool from being traded until `put` replaces its state."""
        self._check_slot(slot)
        table_flag(&self.t, slot, <uint8_t>SLOT_STALE, 0)
        undo_forget(&self.t, slot)

    def quarantine(self, uint32_t slot):
        """Keeps a pool from being traded for as long as the table holds it."""
        self._check_slot(slot)
        table_flag(&self.t, slot, <uint8_t>SLOT_QUARANTINED, 0)

    def set_loading(self, slots, bint on):
        """Whether the states of these slots are being read: their events wait with the caller."""
        for slot in slots:
            self._check_slot(slot)
            table_flag(&self.t, slot, <uint8_t>SLOT_LOADING if on else 0,
                       0 if on else <uint8_t>SLOT_LOADING)

    def overwrite(self, uint32_t slot, state, uint64_t block, uint32_t log_index):
        """Moves a slot to `state` as one event that says all of it would; ticks stay as they are.

        Returns one of APPLY_NAMES. For tests: it is journaled like any event.
        """
        cdef slot_body body
        cdef pool_slot *to
        cdef Pool pool
        cdef int result
        self._check_slot(slot)
        to = &self.t.slots[slot]
        pool = state if isinstance(state, Pool) else Pool(KIND_NAMES[to.body.kind], state)
        result = table_order(&self.t, &to.body, block, log_index)
        if result == APPLY_CHANGED:
            undo_body(&self.t, slot, block, log_index)
            body = to.body
            body.block, body.log_index = block, log_index
            if body.flags & SLOT_STALE:
                result = APPLY_STALE_NOTED
            elif kind_is_concentrated(body.kind):
                body.v3.sqrt_price_x96 = pool.state.v3.sqrt_price_x96
                body.v3.liquidity, body.v3.tick = pool.state.v3.liquidity, pool.state.v3.tick
            elif kind_wide_bytes(body.kind) == 0:
                body.solidly = pool.state.solidly
            seq_write_begin(&to.sequence)
            if result == APPLY_CHANGED and kind_wide_bytes(body.kind) != 0:
                seq_store(table_wide(&self.t, &body), &pool.state.curve, kind_wide_bytes(body.kind))
            table_store(to, &body)
            seq_write_end(&to.sequence)
            if kind_is_concentrated(body.kind):
                table_note_moved(&self.t, slot)
        self.t.head.applied[result] += 1
        return APPLY_NAMES[result]

    # ---- taking back ----

    def rollback(self, uint64_t block):
        """Takes back every event after `block`; the slots that changed, or None where the journal
        does not reach (`undo_floor`), and nothing is changed.

        A slot whose state was put after `block` becomes stale. Quarantine stays.
        """
        cdef uint32_t *changed = <uint32_t *>malloc(self.t.capacity * sizeof(uint32_t))
        cdef int64_t n, i
        if changed == NULL:
            raise MemoryError(f"{self.t.capacity} slots")
        try:
            n = table_rollback(&self.t, block, changed)
            return None if n < 0 else [changed[i] for i in range(n)]
        finally:
            free(changed)

    @property
    def undo_floor(self):
        """The oldest block that `rollback` can go back to."""
        return self.t.undo.floor

    # ---- figures ----

    @property
    def arena_used(self):
        """Units of the arena that chunks were ever cut from; freed chunks among them are reused."""
        return self.t.head.arena_used

    @property
    def head_block(self):
        """Newest block that was seen: for readers."""
        return self.t.head.head_block

    @head_block.setter
    def head_block(self, uint64_t block):
        self.t.head.head_block = block

    def count(self, str name, uint64_t n=1):
        """Adds to a counter that is not the table's own: rpc_calls, avoided_calls."""
        if name not in COUNTER_NAMES:
            raise ValueError(f"counter: expected one of {', '.join(COUNTER_NAMES)}, was {name!r}")
        self.t.head.counters[<uint32_t>COUNTER_NAMES.index(name)] += n


    def evict(self):
        """Removes the pool whose newest event is the oldest, and returns its slot; None where there is
        none. Pools that are being read stay."""
        cdef uint32_t i, oldest = TABLE_NO_SLOT
        cdef const slot_body *body
        cdef const slot_body *best = NULL
        for i in range(self.t.head.n_slots):
            body = &self.t.slots[i].body
            if body.kind == <uint8_t>POOL_NONE or body.flags & SLOT_LOADING:
                continue
            if best == NULL or body.block < best.block or (
                    body.block == best.block and body.log_index < best.log_index):
                oldest, best = i, body
        if best == NULL:
            return None
        self.remove(oldest)
        self.t.head.counters[<int>COUNT_EVICTIONS] += 1
        return oldest


cdef class TableReader(SlotsView):
    """A table that another process writes, by its file, read-only.

    A writer that starts anew makes a new file under the name: `header()["writer_alive"]` says when to
    open it again. DataError where the file is missing, no table, or one of another layout.
    `unchecked` reads without looking whether the writer was in the slot: for the test that shows why.
    """

    def __cinit__(self, path, *, bint unchecked=False):
        cdef table_header *header
        cdef uint64_t file_bytes
        cdef int fd
        self.path, self.unchecked = os.fspath(path), unchecked
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(f"{self.path}: expected a table's file, {error.strerror}") from error
        try:
            file_bytes = os.fstat(fd).st_size
            header = map_checked(fd, file_bytes, self.path)
        finally:
            os.close(fd)
        table_attach(&self.t, header)

    def __dealloc__(self):
        table_detach(&self.t)
