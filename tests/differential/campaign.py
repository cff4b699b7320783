"""Random swaps on random pools, in the contract and in the kernel, until the two disagree.

Owns the comparison and what a disagreement prints. A family (see FAMILIES in `families`) owns its
contracts, its pools and its swaps.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pprint import pformat
from random import Random
from typing import Any, Literal, Protocol

from mevfast._pool import Pool, Quote, Refused
from tests.differential.evm import Evm

SWAPS_PER_POOL = 50
_WALKS = 0.2
"""Share of the swaps after which both sides stay where they are, so that pools wander."""

_ENOUGH = 5


@dataclass(frozen=True)
class Swap:
    """What is asked; `limit` is a price limit, None for none."""

    token_in: int
    amount: int
    exact: Literal["in", "out"]
    token_out: int | None = None
    limit: int | None = None

    def ask(self, pool: Pool) -> Quote | Refused:
        """The kernel's answer."""
        return pool.quote(self.token_in, self.amount, self.exact, self.limit, self.token_out)


@dataclass(frozen=True)
class Outcome:
    """What the contract did; `given` are pool fields that held for this very swap."""

    amount_in: int
    amount_out: int
    after: dict[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """The contract reverted."""

    reason: str
    given: Mapping[str, Any] = field(default_factory=dict)


class Market(ABC):
    """One pool of a family in its EVM, and how swaps are drawn for it."""

    kind: str

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """The state by the contract's own getters, as mevfast-vectors/1 names it."""

    @abstractmethod
    def draw(self, rng: Random) -> Swap:
        """A random swap."""

    @abstractmethod
    def swap(self, swap: Swap, answer: Quote | Refused) -> Outcome | Refusal:
        """Does it. `answer` is the kernel's, for contracts that only accept or refuse."""

    def excuses(self, swap: Swap, outcome: Outcome | Refusal, answer: Quote | Refused) -> bool:
        """Whether they differ by something that is no part of the pool's fields."""
        return False


class Family(Protocol):
    """A kind of venue: its contracts stand in `evm` once, its pools come and go."""

    evm: Evm

    def pool(self, rng: Random) -> Market:
        """A new random pool."""


@dataclass(frozen=True)
class Place:
    """Where a run is: enough to come back."""

    family: str
    seed: int
    pool: int

    def dice(self) -> Random:
        """The random numbers of this pool and its swaps."""
        return Random(f"{self.family} {self.seed} {self.pool}")


@dataclass(frozen=True)
class Mismatch:
    """A swap that contract and kernel see differently; `fields` are the pool's before it."""

    place: Place
    kind: str
    fields: Mapping[str, Any]
    swap: Swap
    contract: Outcome | Refusal
    kernel: Quote | Refused

    def __str__(self) -> str:
        """All that it takes to see it again, without the contract and with it."""
        swap, place = self.swap, self.place
        return (
            f"{place.family}: contract and kernel disagree\n"
            f"  contract: {self.contract}\n"
            f"  kernel:   {self.kernel}\n"
            "from mevfast._pool import Pool\n"
            f"pool = Pool({self.kind!r}, {pformat(dict(self.fields), width=96, compact=True)})\n"
            f"pool.quote({swap.token_in}, {swap.amount}, {swap.exact!r}, {swap.limit}, "
            f"{swap.token_out})\n"
            f"make fuzz ARGS='--family {place.family} --seed {place.seed} --pool {place.pool}'"
        )


@dataclass
class Tally:
    """What a run saw."""

    cases: int = 0
    pools: int = 0
    partial: int = 0
    excused: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    mismatches: list[Mismatch] = field(default_factory=list)

    def book(self, swap: Swap, outcome: Outcome | Refusal) -> None:
        """Counts a case by how the contract answered."""
        self.cases += 1
        if isinstance(outcome, Refusal):
            self.refused[outcome.reason] += 1
        elif swap.amount != (outcome.amount_in if swap.exact == "in" else outcome.amount_out):
            self.partial += 1


def agree(outcome: Outcome | Refusal, answer: Quote | Refused) -> bool:
    """Whether both refuse, or both swap the same amounts into the same state."""
    if isinstance(outcome, Refusal) or isinstance(answer, Refused):
        return isinstance(outcome, Refusal) and isinstance(answer, Refused)
    return (outcome.amount_in, outcome.amount_out) == answer[:2] and outcome.after == answer.after


def run(
    family: Family,
    name: str,
    *,
    cases: int,
    seed: int,
    only_pool: int | None = None,
    step: Callable[[int], object] = lambda done: None,
) -> Tally:
    """`cases` swaps, SWAPS_PER_POOL on each new pool; stops after a few mismatches.

    `step` is told after each pool how many cases it took.
    """
    tally = Tally()
    pools = range(-(-cases // SWAPS_PER_POOL)) if only_pool is None else [only_pool]
    for number in pools:
        before = tally.cases
        with family.evm.scratch():
            _visit(family, Place(name, seed, number), tally)
        tally.pools += 1
        step(tally.cases - before)
        if len(tally.mismatches) >= _ENOUGH:
            break
    return tally


def _visit(family: Family, place: Place, tally: Tally) -> None:
    """The swaps of one pool. A mismatch ends it: what follows may only repeat it."""
    rng = place.dice()
    market = family.pool(rng)
    pool = Pool(market.kind, market.fields())
    for _ in range(SWAPS_PER_POOL):
        swap = market.draw(rng)
        walks = rng.random() < _WALKS
        with nullcontext() if walks else family.evm.scratch():
            answer = swap.ask(pool)
            outcome = market.swap(swap, answer)
            asked = pool
            if outcome.given:
                asked = Pool(market.kind, {**pool.fields(), **outcome.given})
                answer = swap.ask(asked)
            tally.book(swap, outcome)
            if not agree(outcome, answer):
                if market.excuses(swap, outcome, answer):
                    tally.excused += 1
                    continue
                tally.mismatches.append(
                    Mismatch(place, market.kind, asked.fields(), swap, outcome, answer)
                )
                return
            if walks:
                pool = _moved(asked, swap, answer)


def _moved(pool: Pool, swap: Swap, answer: Quote | Refused) -> Pool:
    """The pool where the swap leaves it."""
    if swap.limit is None:
        pool.apply(swap.token_in, swap.amount, swap.exact, swap.token_out)
        return pool
    if isinstance(answer, Refused):
        return pool
    return Pool(pool.kind, {**pool.fields(), **answer.after})
