"""Keeps the reserve table true: finds pools and reads their states; `mender` mends.

One mechanism reads pools, whatever the reason: a slot without a true state is stale and not traded;
stale slots are read in batches at one block, what matters most first, while their events wait. One
mechanism mends: back to the newest block that the node still has, through the undo journal, then
forward by the node's own logs. Sends nothing; the engine says when to do which.
"""

import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mevfast import warm_start
from mevfast._core import Core
from mevfast._pool import Pool
from mevfast.chain.rpc import Rpc
from mevfast.config import Config
from mevfast.dex import entries, market
from mevfast.dex.token_filter import Verdict, probe_tokens
from mevfast.dex.token_info import read_tokens
from mevfast.errors import DataError, NodeError, RpcError
from mevfast.execution.artifacts import TokenInfo
from mevfast.execution.gas import EXECUTED
from mevfast.market_file import MarketFile, hash_states
from mevfast.mender import Failed, Mender, Waiting, notification
from mevfast.model import PoolRecord

logger = logging.getLogger(__name__)

READ_AT_ONCE = 256
"""Pools read at one block: their puts hold the loop up for some milliseconds."""
RETRY_BLOCKS = (4, 16, 64, 256, 1024)
"""Blocks until a pool that did not answer as one is asked again; the last one repeats."""
RANKED_BLOCKS = 50
"""Blocks whose logs say which pools are busy, when there are many to read."""
MOST_HOLDERS = 8
"""Pools remembered for each token, to try the token's transfers with."""
SAMPLE = 32
"""Pools of a warm start that are compared with the chain."""
SAY_EVERY_S = 1.0
SINGLETONS = (
    "uniswap_v4", "balancer_weighted", "balancer_composable_stable", "solidly",
)  # fmt: skip
"""Kinds of which the venue's own contract tells events, too: a Solidly factory those of fees."""


class Keeper(Mender):
    """The state of one table, over as many connections as it takes.

    `records` holds by slot what the table's pools are; `refused` why pools are not in it; `venues`
    the address of each venue of the config that the chain bore out, by name.
    """

    def __init__(self, core: Core, config: Config) -> None:
        """Keeps the table of `core` by the rules of `config`; talks to nobody yet."""
        super().__init__(core, config)
        cache = config.market.cache
        self._ledger = (
            market.Ledger(f"{cache}.ledger", config.node.chain_id) if cache is not None else None
        )
        self.refused: Counter[str] = Counter()
        self.read_pools = 0
        self._said_at = 0.0
        self._wrong = 0
        self._sample_due = False
        self._read_at: dict[int, float] = {}  # of pools whose events do not say everything
        self._busy: Counter[bytes] = Counter()
        self.venues: dict[str, bytes] = {}
        self.multicall: str | None = None
        self._holders: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self._tokens: dict[bytes, Verdict] = {}
        self._infos: dict[str, TokenInfo] = {}

    # ---- finding pools ----

    async def discover(self, rpc: Rpc) -> None:
        """Every pool that the venues have announced up to the newest head, into the table."""
        block = self.core.head_number
        found = await market.discover(
            rpc,
            self.config.market,
            block,
            on_progress=self._searching,
            ledger=self._ledger,
            multicall=self.multicall,
            refused=self.refused,
        )
        self.admit(found)
        if len(self.records) > READ_AT_ONCE:
            await self._rank(rpc, block)
        self.discovered = True

    async def announced(self, rpc: Rpc) -> None:
        """The pools that venues have announced since the last call, into the table."""
        created = self.core.created
        if not created:
            return
        messages = created[:]
        logs = [orjson.loads(message)["params"]["result"] for message in messages]
        found = await market.created(
            rpc,
            self.config.market,
            logs,
            self.core.head_number,
            multicall=self.multicall,
            refused=self.refused,
        )
        del created[: len(messages)]
        for pool in self.admit(found):
            logger.info(
                "new pool 0x%s: %s of %s, announced in block %d",
                pool.id.hex(), pool.kind, pool.venue, pool.block,
            )  # fmt: skip

    def admit(self, found: Iterable[PoolRecord]) -> list[PoolRecord]:
        """Takes pools into the table, stale until they are read; returns the new ones."""
        new = []
        for pool in found:
            slot = self.table.slot(pool.id)
            if slot is not None and self._is_same(slot, pool):
                continue
            if len(self.table) == self.config.table.capacity:
                self._evict()
            slot = self.table.add(pool.id, pool.kind, pool.tokens, self._singleton(pool))
            self.records[slot] = pool
            self._note_holder(pool)
            new.append(pool)
        return new

    def _is_same(self, slot: int, pool: PoolRecord) -> bool:
        """Takes a record of a known pool over; False, and the pool is out, where it is another."""
        known = self.records.get(slot)
        if known is not None and (known.kind, known.tokens) != (pool.kind, pool.tokens):
            self.remove(slot, "announced as something else before")
            return False
        if known is not None and dict(known.facts) != dict(pool.facts):
            self.table.mark_stale(slot)
            self.search.refresh_pool(slot)
        self.records[slot] = pool
        return True

    def _singleton(self, pool: PoolRecord) -> bytes | None:
        """The contract whose events speak of the pool beside, or instead of, its own."""
        return self.venues[pool.venue] if pool.kind in SINGLETONS else None

    def remove(self, slot: int, why: str) -> None:
        """Takes a pool out of search and table."""
        self.table.remove(slot)
        self._forget(slot, why)

    def _forget(self, slot: int, why: str) -> None:
        self.search.remove_pool(slot)
        self.refused[why] += 1
        for by_slot in (self.records, self.retry, self._read_at):
            by_slot.pop(slot, None)

    def _evict(self) -> None:
        """Makes room for one pool where the table is full: the one that moved longest ago goes."""
        if self.refused["table full"] == 0:
            logger.warning(
                "the table is full at %d pools: those that moved longest ago go; raise "
                "table.capacity", self.config.table.capacity,
            )  # fmt: skip
        slot = self.table.evict()
        if slot is not None:
            self._forget(slot, "table full")

    def _note_holder(self, pool: PoolRecord) -> None:
        """Where a pool's tokens lie: in its own contract, or in the singleton it lives in."""
        singleton = pool.facts.get("singleton")
        holder = bytes.fromhex(singleton[2:]) if singleton else pool.address
        for token in pool.tokens:
            holders = self._holders[token]
            if holder not in holders and len(holders) < MOST_HOLDERS:
                holders.append(holder)

    async def _rank(self, rpc: Rpc, block: int) -> None:
        """Counts the newest logs by contract: busy pools are read first."""
        start = max(0, block - RANKED_BLOCKS)
        try:
            logs = await self.logs(rpc, start, block)
        except (NodeError, RpcError) as error:
            logger.info("pools are read in no particular order: %s", error)
            return
        self._busy.update(bytes.fromhex(log["address"][2:]) for log in logs)

    # ---- reading states ----

    def due(self) -> list[int]:
        """Stale slots to be read now, what matters most first."""
        block = self.core.head_number
        slots = [
            slot
            for slot in self.table.stale()
            if slot in self.records and not self._waits(slot, block)
        ]
        slots.sort(key=lambda slot: (-self._busy[self.records[slot].address], slot))
        return slots

    def _waits(self, slot: int, block: int) -> bool:
        """Whether it is too early to ask a pool again that did not answer as one.

        An event may have made one of it, its first price or liquidity: that ends the wait, but for
        pools that failed too often to be asked whenever they move.
        """
        failed = self.retry.get(slot)
        if failed is None or failed.again <= block:
            return False
        return failed.times >= len(RETRY_BLOCKS) or self.table.block(slot) <= failed.block

    async def read(self, rpc: Rpc) -> None:
        """Reads every stale pool that is due; one by one batch, each at the newest block."""
        self.expire()
        began = time.monotonic()
        blocks, losses = [], self.core.losses
        everything = len(self.due()) == len(self.records) > 0
        done: set[int] = set()  # once each: a pool that moves in every block is due at once again
        while self.core.live and (slots := [slot for slot in self.due() if slot not in done]):
            part = slots[:READ_AT_ONCE]
            done.update(part)
            blocks.append(await self._read(rpc, part))
            self._reading(len(slots) - len(part))
        if self.core.live:
            self.read_again()
            self._say_wrong(began)
        if everything and blocks and self.core.live and self.core.losses == losses:
            # Nothing in the table is older: no log before can be missing from it.
            self.core.verified = max(self.core.verified, blocks[0])

    async def _read(self, rpc: Rpc, slots: Sequence[int]) -> int:
        """Reads these pools at the newest block, which it returns."""
        slots = await self._with_exact_tokens(rpc, slots)
        if not slots:
            return self.core.head_number
        block, losses = self.core.head_number, self.core.losses
        by_id = {self.records[slot].id: slot for slot in slots}
        self.table.set_loading(slots, True)
        try:
            pools = [self.records[slot] for slot in slots]
            loaded = await market.load(rpc, pools, block, multicall=self.multicall)
            if not self.core.live or self.core.losses != losses:
                return block  # what was read may be of a block that is no more: later, again
            for load in loaded.loads:
                try:
                    self._put(by_id[load.pool.id], load.pool, load.state, block)
                except DataError as error:  # no room for its ticks, say
                    self._failed(by_id[load.pool.id], str(error), block)
            for pool_id, why in loaded.failed.items():
                self._failed(by_id[pool_id], why, block)
        finally:
            self.table.set_loading(slots, False)
        self.core.end_reading()
        return block

    async def _with_exact_tokens(self, rpc: Rpc, slots: Sequence[int]) -> list[int]:
        """Those slots whose tokens all move exactly; the others' pools leave the table, or wait
        where it is not known."""
        if not self.config.market.check_tokens:
            return list(slots)
        block = self.core.head_number
        unknown = {
            token: self._holders[token]
            for slot in slots
            for token in self.records[slot].tokens
            if token not in self._tokens
        }
        verdicts = dict(self._tokens)
        if unknown:
            tried = await probe_tokens(rpc, unknown, block)
            verdicts |= tried
            for token, verdict in tried.items():
                if verdict.known:
                    self._tokens[token] = verdict
                    if not verdict.exact:
                        logger.warning(
                            "token 0x%s is not traded: %s", token.hex(), verdict.reason
                        )  # fmt: skip
        exact = []
        for slot in slots:
            wrong = [token for token in self.records[slot].tokens if not verdicts[token].exact]
            if not wrong:
                exact.append(slot)
            elif verdicts[wrong[0]].known:
                self.remove(slot, "a token that does not move exactly")
            else:
                self._failed(slot, f"token 0x{wrong[0].hex()}: {verdicts[wrong[0]].reason}", block)
        return exact

    def _put(
        self, slot: int, pool: PoolRecord, state: Mapping[str, Any] | Pool, block: int
    ) -> None:
        self.table.put(
            pool.id, pool.kind, pool.tokens, state, block, singleton=self._singleton(pool)
        )
        self.retry.pop(slot, None)
        self.read_pools += 1
        if pool.kind in market.INCOMPLETE:
            self._read_at[slot] = time.monotonic()
        if pool.kind in EXECUTED:
            self.search.add_pool(slot)

    def _failed(self, slot: int, why: str, block: int) -> None:
        failures = self.retry[slot].times if slot in self.retry else 0
        if failures == 0:
            pool = self.records[slot]
            logger.info("pool 0x%s of %s is not traded: %s", pool.id.hex(), pool.venue, why)
        wait = RETRY_BLOCKS[min(failures, len(RETRY_BLOCKS) - 1)]
        self.retry[slot] = Failed(failures + 1, block, block + wait)

    def _say_wrong(self, began: float) -> None:
        """A line where events contradicted the table since the last one: rare, and worth a look.

        `began`: when the reading of their pools did, monotonic.
        """
        applied = self.table.applied()
        wrong = applied["inconsistent"] + applied["malformed"]
        if wrong > self._wrong:
            logger.warning(
                "pools read again in %.1f ms at block %d: %d logs contradicted what the table "
                "holds, or were no logs of their kind",
                1000 * (time.monotonic() - began), self.core.head_number, wrong - self._wrong,
            )  # fmt: skip
        self._wrong = wrong

    def expire(self) -> None:
        """Pools whose events do not say everything are not relied upon for long."""
        oldest = time.monotonic() - self.config.table.ttl_s
        for slot in [slot for slot, at in self._read_at.items() if at < oldest]:
            del self._read_at[slot]
            self.table.mark_stale(slot)
            self.search.refresh_pool(slot)

    # ---- mending ----

    async def begin(self, rpc: Rpc, next_head: Waiting) -> bool:
        """Takes the node's newest block for the beginning: from here on events are followed, and
        pools are read at it or later. False where it must be tried again.

        Entries of the config that are not what they are said to be are refused first.
        """
        if not self.venues:
            await self._refuse_wrong(rpc)
        if await self._warm(rpc):
            self._sample_due = True
            await self.mend(rpc, next_head, "a warm start")
            return True
        self.core.begin_load()
        head = await self.block(rpc, "latest")
        self.core.start_at(notification("head", head))
        number = int(head["number"], 16)
        self.know_parent(head)
        self.core.verified = number
        return self.core.end_load(number)

    async def _warm(self, rpc: Rpc) -> bool:
        """Takes pools and states from the market file of an earlier run, as of its block; False
        where there is none that serves."""
        cache = self.config.market.cache
        if cache is None:
            return False
        newest = int((await self.block(rpc, "latest"))["number"], 16)
        gap = self.config.node.max_gap_blocks
        held = await warm_start.read(cache, rpc, self.config.node.chain_id, newest, gap)
        if held is None:
            return False
        self.take(held)
        assert held.block_hash is not None  # warm_start sees to it
        self.core.know_block(held.block, bytes.fromhex(held.block_hash[2:]))
        self.core.verified = held.block
        self.core.distrust("a warm start", held.block + 1)
        logger.info("%d pools from %s, of block %d", len(self.records), cache, held.block)
        return True

    def take(self, held: MarketFile) -> None:
        """Takes the file's pools into the table, as of its block: those of the config's venues that
        its token lists admit, as many as there is room for."""
        admits, exact = market.admission(self.config.market), Verdict(True, "as in the file", 0)
        for pool in held.pools:
            record = pool.record
            if record.venue not in self.venues:
                self.refused["in the market file, of no venue of the config"] += 1
                continue
            if not admits(record):
                self.refused[market.NOT_ADMITTED] += 1
                continue
            if len(self.records) >= self.config.table.capacity:
                self.refused["table full"] += 1
                continue
            slot = self.table.add(record.id, record.kind, record.tokens, self._singleton(record))
            self.records[slot] = record
            self._note_holder(record)
            self._put(slot, record, pool.pool, held.block)
            if record.kind in market.INCOMPLETE:
                self.table.mark_stale(slot)
            for token in record.tokens:
                self._tokens[token] = exact

    async def check_sample(self, rpc: Rpc) -> None:
        """Compares some pools of a warm start with the chain before any is traded; reads them all
        where one differs. To be called right after the table was mended."""
        if not self._sample_due or not self.core.live:
            return
        self._sample_due = False
        block = self.core.head_number
        self.core.distrust("the warm start is compared with the chain", block + 1)
        slots = [slot for slot in self.records if not self.table.read(slot)["stale"]]
        sample = random.sample(slots, min(SAMPLE, len(slots)))
        pools = {self.records[slot].id: slot for slot in sample}
        loaded = await market.load(
            rpc, [self.records[slot] for slot in sample], block, multicall=self.multicall
        )
        wrong = [
            load.pool
            for load in loaded.loads
            if Pool(load.pool.kind, load.state, "").fields()
            != self.table.pool(pools[load.pool.id]).fields()
        ]
        # What was read for the file, and does not answer now, is not what the file says either.
        wrong += [self.records[pools[pool_id]] for pool_id in loaded.failed]
        if wrong:
            logger.error(
                "%d of %d pools of the market file differ from the chain, such as %s: every pool "
                "is read", len(wrong), len(sample), wrong[0].name,
            )  # fmt: skip
            for slot in self.records:
                self.table.mark_stale(slot)
                self.search.refresh_pool(slot)

    async def learn_tokens(self, rpc: Rpc) -> None:
        """Symbols and decimals of tokens that are new, for the market file."""
        if self.config.market.cache is None:
            return
        base = (token.lower() for token in self.config.market.start_tokens)
        every = {"0x" + t.hex() for pool in self.records.values() for t in pool.tokens}
        new = sorted({*every, *base} - self._infos.keys())
        if new:
            self._infos |= await read_tokens(rpc, new, self.core.head_number)

    def state_hash(self) -> str:
        """The hash of every pool's state, as docs/market-file.md says."""
        return hash_states(
            (
                "0x" + self.records[slot].id.hex(),
                self.records[slot].kind,
                ["0x" + token.hex() for token in self.records[slot].tokens],
                self.table.pool(slot).fields(),
            )
            for slot in self.records
            if not self.table.read(slot)["stale"]
        )

    def save(self) -> None:
        """Writes the market file, as of the newest block that the node said no log is missing of.

        The table is taken back to that block: nothing may be decided on it any more.
        """
        cache = self.config.market.cache
        if cache is None or not self.core.live:
            return
        block = self.core.verified
        block_hash = self.core.block_hash(block)
        self.core.distrust("the engine stops", block + 1)
        if block_hash is None or self.core.roll_back(block) is None:
            logger.warning("%s is left as it was: block %d is not certain", cache, block)
            return
        rows = [(slot, self.table.read(slot)) for slot in self.records]
        pools = [
            (self.records[slot], self.table.pool(slot))
            for slot, row in rows
            if not (row["stale"] or row["quarantined"])
        ]
        try:
            written = warm_start.write(
                cache,
                chain_id=self.config.node.chain_id,
                block=block,
                block_hash=block_hash,
                pools=pools,
                infos=self._infos,
                base=self.config.market.start_tokens,
            )
        except DataError as error:
            logger.error("%s", error)
            return
        logger.info("%s: %d pools after block %d", cache, written, block)

    def close(self) -> None:
        """Gives the ledger's lock back."""
        if self._ledger is not None:
            self._ledger.close()

    async def _refuse_wrong(self, rpc: Rpc) -> None:
        self.config, reasons = await entries.refuse_wrong(rpc, self.config)
        for (what, name), why in reasons.items():
            logger.error("%s %s is refused: %s", what, name, why)
        if ("multicall", "multicall") not in reasons:
            self.multicall = self.config.multicall
        self.venues = {
            each.name: bytes.fromhex(each.address[2:]) for each in self.config.market.factories
        }
        topics = [bytes.fromhex(topic[2:]) for topic in market.CREATION_TOPICS]
        self.core.watch(list(self.venues.values()), topics)

    # ---- saying so ----

    def _searching(self, done: int, total: int) -> None:
        self._say("searching for pools: block %d of %d", done, total)

    def _reading(self, left: int) -> None:
        self._say("reading pools: %d of %d", len(self.records) - left, len(self.records))

    def _say(self, text: str, *values: object) -> None:
        """A line about long work, once a second."""
        now = self.progress_at = time.monotonic()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            logger.info(text, *values)
