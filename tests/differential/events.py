"""Random transactions on random pools, their logs applied to a table, until the table is wrong.

Owns how a table follows a pool: the pool's own getters say what its slot must hold after each
transaction. What other transactions than swaps there are, `acts` knows.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mevfast._audit import Audit
from mevfast._cache import Table
from mevfast._pool import Pool
from tests import frames
from tests.differential import acts
from tests.differential.campaign import Family, Market, Place, Refusal
from tests.differential.evm import Log, Reverted

TRANSACTIONS = 40
"""On each pool."""

FIRST_BLOCK = 100
_SWAPS = 0.5
_TAKEN_BACK = 0.15
_DEEPEST = 6
ARENA = 1 << 16


@dataclass
class Tally:
    """What a run saw: comparisons of a slot that was not stale, and reasons why others were."""

    exact: int = 0
    transactions: int = 0
    undone: int = 0
    audited: int = 0
    results: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def frame(log: Log, block: int, index: int) -> bytes:
    """The notification that a node would send of a log."""
    words = [log.data[i : i + 32] for i in range(0, len(log.data), 32)]
    topic0, *topics = log.topics or [b""]
    return frames.log(log.address, topic0.hex(), topics, words, block=block, index=index)


class Follower:
    """A table with one pool in it, which hears of the pool by its logs alone."""

    def __init__(self, family: Family, market: Market, tally: Tally) -> None:
        self.market, self.tally = market, tally
        self.who = acts.identity(family, market)
        self.table = Table(4, ARENA)
        self.audit = Audit(self.table)
        self.block = FIRST_BLOCK
        self.past: dict[int, dict[str, Any]] = {}
        """By block: the pool's own state after it, since it was last put."""
        self.put()

    def state(self) -> dict[str, Any]:
        """What the contract holds now, as the table would give it."""
        market = self.market
        fields = market.fields()
        if isinstance(market, acts.ConcentratedMarket):
            fields["ticks"] = market.initialised()
        return Pool(market.kind, fields).fields()

    def put(self) -> None:
        """The state as it is read from the contract."""
        state = self.state()
        who = self.who
        self.slot = self.table.put(
            who.id, self.market.kind, who.tokens, state | {"drifts": False}, self.block,
            singleton=who.singleton,
        )  # fmt: skip
        self.past = {self.block: state}

    def held(self) -> dict[str, Any] | None:
        """What the slot holds, None where it is stale."""
        read = self.table.read(self.slot)
        return None if read["stale"] else Pool(read["kind"], read).fields()

    def hear(self, logs: list[Log]) -> list[str]:
        """A block with these logs; what became of those of this pool."""
        self.block += 1
        heard = [frame(log, self.block, index) for index, log in enumerate(logs)]
        results = [result for result, slot in self.audit.replay(heard) if slot is not None]
        self.tally.results.update(results)
        return results

    def check(self, what: str, before: dict[str, Any]) -> bool:
        """Whether the slot is as the contract is; a stale one is put again."""
        now, held = self.state(), self.held()
        if self.audit.mismatches:
            self.tally.wrong.append(f"after {what}: {self.audit.mismatches}\nbefore: {before}")
            return False
        if held is None:
            self.put()
            return True
        self.past[self.block] = now
        self.tally.exact += held != before
        if held == now:
            return True
        wrong = {key: (held.get(key), now.get(key)) for key in now if held.get(key) != now.get(key)}
        self.tally.wrong.append(f"after {what}: (table, contract) {wrong}\nbefore: {before}")
        return False

    def take_back(self, rng: Random) -> bool:
        """A reorg: the slot is as it was after an earlier block, then hears of the rest again."""
        to = max(min(self.past), self.block - rng.randint(1, _DEEPEST))
        state = self.past[max(block for block in self.past if block <= to)]
        if self.table.rollback(to) is None:
            self.tally.wrong.append(f"the journal does not reach block {to}")
            return False
        if self.held() != state:
            self.tally.wrong.append(f"after a rollback to {to}: {self.held()}, was {state}")
            return False
        self.tally.undone += 1
        self.put()
        return True


def run(
    family: Family, name: str, *, pools: int, seed: int, lost: float = 0.0,
    step: Callable[[int], object] = lambda done: None,
) -> Tally:  # fmt: skip
    """TRANSACTIONS on each of so many new pools; stops at the first that is wrong.

    `lost` is the share of logs that the table never hears of; `step` is told after each pool how
    many transactions it took.
    """
    tally = Tally()
    for number in range(pools):
        with family.evm.scratch():
            _follow(family, Place(f"events {name}", seed, number), tally, lost)
        step(TRANSACTIONS)
        if tally.wrong:
            break
    return tally


def _follow(family: Family, place: Place, tally: Tally, lost: float) -> None:
    rng = place.dice()
    market = family.pool(rng)
    follower = Follower(family, market, tally)
    for _ in range(TRANSACTIONS):
        before = follower.state()
        what, logs = _transact(family, market, rng)
        if what is None:
            continue
        tally.transactions += 1
        tally.events[what] += 1
        results = follower.hear([log for log in logs if not lost or rng.random() >= lost])
        if {"malformed", "inconsistent", "old", "out_of_order"} & set(results):
            tally.wrong.append(f"after {what}: {results}, before {before}")
        elif follower.check(what, before) and rng.random() < _TAKEN_BACK:
            follower.take_back(rng)
        if tally.wrong:
            tally.wrong[-1] = f"{place}: {tally.wrong[-1]}"
            return
    tally.audited += follower.audit.n_checks


def _transact(family: Family, market: Market, rng: Random) -> tuple[str | None, list[Log]]:
    """A swap or another transaction: its name and its logs; None where it reverted."""
    with family.evm.logs() as logs:
        if rng.random() < _SWAPS:
            swap = market.draw(rng)
            answer = swap.ask(Pool(market.kind, market.fields()))
            done = not isinstance(market.swap(swap, answer), Refusal)
            return ("swap" if done else None), logs
        name, act = rng.choice(acts.of(market))
        try:
            with family.evm.whole():
                act(family, market, rng)
        except Reverted:
            return None, logs
        return name, logs
