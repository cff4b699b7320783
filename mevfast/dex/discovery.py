"""Which pools there are: what factories, vaults and registries have announced.

One query of logs serves all venues at once. Logs that do not say everything send us to the pool
(Balancer, Curve); Curve's registries are asked for their lists. Pools that cannot be traded are
counted under their reason and never returned.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from mevfast.chain.multicall import At
from mevfast.chain.rpc import Rpc
from mevfast.config import Factory, Market
from mevfast.dex import curve, lockstep, ranges
from mevfast.dex import ledger as ledgers
from mevfast.dex.announced import Log, parsed
from mevfast.dex.kinds import VENUES
from mevfast.dex.ledger import Ledger
from mevfast.errors import DataError, NodeError
from mevfast.model import PoolRecord

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Found = dict[str, list[PoolRecord]]
"""Pools by their venue's key, as announced: `venue` empty, nothing of the config in `facts`."""

NOT_ADMITTED = "tokens that market.only_tokens or ignore_tokens keep out"


MOST_REASONS = 20
"""Reasons that are logged, the most common ones; the counter has all."""


def key_of(factory: Factory) -> str:
    """What a ledger calls a venue: what it is and where, whatever the config names it."""
    return f"{factory.kind}:{factory.address.lower()}"


async def discover(
    rpc: Rpc,
    market: Market,
    to_block: int,
    from_block: int = 0,
    *,
    on_progress: Progress | None = None,
    ledger: Ledger | None = None,
    multicall: str | None = None,
    refused: Counter[str] | None = None,
) -> list[PoolRecord]:
    """Every pool that the config's venues announced in these blocks and its token lists admit, by
    its id.

    `ledger` says what was searched already, and is told what is found in blocks that no reorg
    reaches. A Curve registry's list is read as of `to_block`, whatever `from_block` is.
    `on_progress(done, total)` counts blocks. `refused` takes the count of pools left out, by
    reason. Raises NodeError where the node cannot answer, DataError where the ledger cannot be
    written.
    """
    at, left_out = At(rpc, to_block, multicall), refused if refused is not None else Counter()
    search = _Search(market.factories, ledger, left_out)
    found = await search.run(rpc, from_block, to_block, on_progress)
    for factory in market.factories:
        if VENUES[factory.kind].created is None:
            found[key_of(factory)] = await _listed(at, factory, left_out)
    return await _finished(at, market, found, left_out)


async def created(
    rpc: Rpc,
    market: Market,
    logs: Sequence[Mapping[str, Any]],
    block: int,
    *,
    multicall: str | None = None,
    refused: Counter[str] | None = None,
) -> list[PoolRecord]:
    """The pools that logs from a subscription or eth_getLogs announce, as of `block`.

    Only of venues of the config and only what its token lists admit. Logs that announce nothing are
    ignored, and so are those that were `removed`. Raises NodeError where the node cannot answer.
    """
    at, left_out = At(rpc, block, multicall), refused if refused is not None else Counter()
    heard = [parsed(log) for log in logs if not log.get("removed")]
    found = _announced(heard, market.factories, left_out)
    for factory in market.factories:
        blocks = [log.block for log in heard if _is_of(log, factory)]
        if blocks and VENUES[factory.kind].created is None:
            listed = await _newly_listed(at, factory, min(blocks), left_out)
            found[key_of(factory)] = [replace(pool, block=min(blocks)) for pool in listed]
    return await _finished(at, market, found, left_out)


# ---- logs ----


class _Search:
    """What venues announced by logs, from the ledger and from the node."""

    def __init__(
        self, factories: Sequence[Factory], ledger: Ledger | None, left_out: Counter[str]
    ) -> None:
        self.venues = [each for each in factories if VENUES[each.kind].created is not None]
        self.ledger, self.left_out = ledger, left_out
        self.found: Found = {key_of(each): [] for each in self.venues}

    async def run(
        self, rpc: Rpc, from_block: int, to_block: int, on_progress: Progress | None
    ) -> Found:
        """Searches what the ledger does not have of these blocks."""
        missing: dict[str, list[tuple[int, int]]] = {}
        for each in self.venues:
            key, start = key_of(each), max(from_block, each.from_block)
            known = self.ledger.pools(key) if self.ledger else []
            self.found[key] += [pool for pool in known if start <= pool.block <= to_block]
            searched = self.ledger.searched(key) if self.ledger else []
            missing[key] = ledgers.gaps(searched, start, to_block)
        settled = to_block - ledgers.DEPTH if self.ledger is not None else -1
        stretches = _stretches(missing, settled)
        total = sum(last - first + 1 for first, last, _ in stretches)
        width, done = ranges.Width(total), 0
        for start, end, keys in stretches:
            active = [each for each in self.venues if key_of(each) in keys]
            names = ", ".join(each.name for each in active)
            async for first, last, logs in ranges.sweep(
                rpc, _query(active), (start, end), width, names
            ):
                self._take(first, last, logs, active, last <= settled)
                done += last - first + 1
                if on_progress:
                    on_progress(done, total)
        return self.found

    def _take(
        self,
        first: int,
        last: int,
        logs: Sequence[Mapping[str, Any]],
        active: Sequence[Factory],
        settled: bool,
    ) -> None:
        part = _announced(map(parsed, logs), active, self.left_out)
        if self.ledger is not None and settled:
            self.ledger.add(first, last, part)
        for key, pools in part.items():
            self.found[key] += pools


def _query(factories: Sequence[Factory]) -> dict[str, Any]:
    topics = [topic for each in factories for topic in VENUES[each.kind].topics]
    return {
        "address": [each.address for each in factories],
        "topics": [list(dict.fromkeys(topics))],
    }


def _stretches(
    missing: Mapping[str, Sequence[tuple[int, int]]], settled: int
) -> list[tuple[int, int, set[str]]]:
    """Ranges of blocks with the venues that miss all of each; none lies astride of `settled`."""
    cuts = {settled + 1}
    for spans in missing.values():
        for first, last in spans:
            cuts |= {first, last + 1}
    edges = sorted(cuts)
    found = []
    for first, after in pairwise(edges):
        keys = {
            key
            for key, spans in missing.items()
            if any(start <= first and after - 1 <= end for start, end in spans)
        }
        if keys:
            found.append((first, after - 1, keys))
    return found


def _is_of(log: Log, factory: Factory) -> bool:
    return (
        bool(log.topics)
        and log.topic0 in VENUES[factory.kind].topics
        and log.address == bytes.fromhex(factory.address[2:])
    )


def _announced(logs: Iterable[Log], factories: Sequence[Factory], left_out: Counter[str]) -> Found:
    """The pools that logs announce, of those venues whose logs name them."""
    found: Found = {key_of(each): [] for each in factories if VENUES[each.kind].created is not None}
    by_address = {bytes.fromhex(each.address[2:]): each for each in factories}
    for log in logs:
        factory = by_address.get(log.address)
        if factory is None or not _is_of(log, factory):
            continue
        read = VENUES[factory.kind].created
        if read is None:
            continue
        try:
            found[key_of(factory)].append(read(log, factory.kind))
        except DataError as error:
            left_out[f"{factory.name}: {error}"] += 1
    return found


# ---- registries ----


async def _listed(at: At, factory: Factory, left_out: Counter[str]) -> list[PoolRecord]:
    """The pools on a registry's list; none where it does not answer as a registry."""
    reads = {factory.name: curve.read_list(factory.address)}
    lists, failed = await lockstep.run(at, reads)
    for why in failed.values():
        logger.warning(
            "%s: expected a registry with pool_count and pool_list at %s in block %d: %s; correct "
            "its address", factory.name, factory.address, at.block, why,
        )  # fmt: skip
        left_out[f"{factory.name}: it does not answer as a registry"] += 1
    return [PoolRecord(pool, "", (), "") for pool in lists.get(factory.name, ())]


async def _newly_listed(
    at: At, factory: Factory, first: int, left_out: Counter[str]
) -> list[PoolRecord]:
    """The pools that came on a registry's list in blocks `first` to that one."""
    try:
        before = await _listed(replace(at, block=first - 1), factory, Counter())
    except NodeError as error:  # the node may not have that state any more
        if at.rpc.failure:
            raise
        logger.info("%s: all its pools are looked at again: %s", factory.name, error)
        before = []
    known = {pool.id for pool in before}
    return [pool for pool in await _listed(at, factory, left_out) if pool.id not in known]


# ---- what pools are ----


async def _finished(
    at: At, market: Market, found: Found, left_out: Counter[str]
) -> list[PoolRecord]:
    """The records of admitted pools by id: probed where need be, the config's part added."""
    pools: dict[bytes, PoolRecord] = {}
    for factory in market.factories:
        venue = VENUES[factory.kind]
        given = {"fee_pips": factory.fee_pips} if venue.takes_fee else {}
        announced = {
            pool.id: replace(pool, venue=factory.name, facts={**pool.facts, **given})
            for pool in found.get(key_of(factory), ())
        }
        if venue.probe is not None:
            reads = {key: venue.probe(pool) for key, pool in announced.items()}
            announced, failed = await lockstep.run(at, reads)
            left_out.update(f"{factory.name}: {why}" for why in failed.values())
        pools |= announced
    admitted = list(filter(admission(market), pools.values()))
    if len(pools) > len(admitted):
        left_out[NOT_ADMITTED] += len(pools) - len(admitted)
    for why, count in left_out.most_common(MOST_REASONS):
        logger.info("%d pools left out: %s", count, why)
    return sorted(admitted, key=lambda pool: pool.id)


def admission(market: Market) -> Callable[[PoolRecord], bool]:
    """Which pools the config's token lists let in.

    A pool's own token, which a Balancer pool has among its tokens, is no matter of the lists.
    """
    ignored = {bytes.fromhex(token[2:]) for token in market.ignore_tokens}
    only = {bytes.fromhex(token[2:]) for token in market.only_tokens}
    if not (ignored or only):
        return lambda pool: True

    def admits(pool: PoolRecord) -> bool:
        tokens = set(pool.tokens) - {pool.address}
        return not tokens & ignored and (not only or tokens <= only)

    return admits
