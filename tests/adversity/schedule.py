"""Random schedules of blocks and faults. A seed names one; it is fixed before anything runs."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.adversity.faults import CATALOGUE, Fault
from tests.adversity.ordeal import QUICK_TIMEOUTS, Ordeal, ordeal
from tests.chain.executor_stage import Stage

BLOCKS = (10, 20)
FAULTS = (1, 4)
LONGEST = 4
"""Blocks for which a fault that lasts may do so."""
QUIET_BLOCKS = 3


def weight(fault: Fault) -> float:
    """How often a fault is drawn: reorgs more, what only a timeout reveals less (it takes long)."""
    if "reorg" in fault.name:
        return 3.0
    return 0.25 if fault.timeout or fault.name == "giant_frame" else 1.0


def draw(chance: random.Random) -> Fault:
    """A fault of the catalogue."""
    faults = list(CATALOGUE.values())
    return chance.choices(faults, [weight(fault) for fault in faults])[0]


@dataclass(frozen=True)
class Step:
    """A block, and what strikes before it is mined; `seeds` are the chances of the faults."""

    faults: tuple[Fault, ...]
    seeds: tuple[float, ...]
    heals: bool


@dataclass(frozen=True)
class Schedule:
    """Blocks with faults between them; the same for the same seed."""

    seed: int
    steps: Sequence[Step]

    def words(self) -> str:
        """The schedule to be read."""
        lines = [f"schedule {self.seed}: {len(self.steps)} blocks"]
        for number, step in enumerate(self.steps, 1):
            lines += [f"  before block {number}: {each.name}: {each.words}" for each in step.faults]
            if step.heals:
                lines.append(f"  before block {number}: whatever lasts ends")
        return "\n".join(lines)

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"python -m tests.adversity.soak --minutes 0 --schedules 1 --seed {self.seed}"


def schedule(seed: int) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(seed)
    blocks = chance.randint(*BLOCKS)
    struck: dict[int, list[Fault]] = {}
    heals = set()
    for _ in range(chance.randint(*FAULTS)):
        at = chance.randrange(blocks)
        struck.setdefault(at, []).append(draw(chance))
        heals.add(at + chance.randint(1, LONGEST))
    return Schedule(
        seed,
        [
            Step(
                tuple(struck.get(at, ())),
                tuple(chance.random() for _ in struck.get(at, ())),
                at in heals,
            )
            for at in range(blocks)
        ],
    )


async def play(stage: Stage, plan: Schedule, executor: str = "") -> Ordeal:
    """Runs a schedule to its end; AssertionError where the engine did not hold."""
    chance = random.Random(plan.seed)
    async with ordeal(
        stage, chance, executor=executor, first_trade=False, **QUICK_TIMEOUTS
    ) as each:
        for step in plan.steps:
            if step.heals:
                each.node.heal()
            for fault, seed in zip(step.faults, step.seeds, strict=True):
                await each.strike(fault, seed)
            each.block()
            await each.seen()
        each.node.heal()
        for _ in range(QUIET_BLOCKS):
            stage.node.rpc("evm_mine")
            await each.seen()
        await each.recovers()
    return each
