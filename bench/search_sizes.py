"""Sizing of one cycle with its exact profit: ours in a C loop, and degenbot's beside it.

Owns the cycles that are sized: chains of V2 pools, V3 pools with V2 or with each other, and one
pool of bench.pools of each other curve, closed by a V2 pool at a price that leaves GAIN at the
margin. What a peer finds is compared with the optimum first, which is searched here by thirds on
exact quotes. Each takes its turn in one run, and the least CPU time of each counts.

What is judged is the hurried sizing, that of a transaction that waits. Beside it are the unhurried
one, which finishes the integers, and how much of its profit the hurried one misses.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import pools
from bench.bench_math import Child, Elsewhere, other_environment
from bench.search_rows import Row, judged
from mevfast import _size
from mevfast._pool import Pool, Quote
from mevfast.devnet.npm import cache_root

GAIN = 0.01
"""What one unit gains in each of these cycles, before it moves the price."""
FEE = 3000
KEPT = 1 - FEE * 1e-6
DEPTH = 200
"""How many times the sample's amount there is in the V2 pool that closes its cycle."""
WAD = 10**18
PEER_TURN = 0.01
"""CPU seconds of a peer in one round."""
OUR_TURN = 0.002
CALLS = 100
"""The least of ours in one turn: the clock counts in us."""
BY_DEGENBOT = 1000.0
OFF = 1e-6
"""Of the profit that a peer may miss; its search ends at that, and ours does not."""

MISSED = "profit that hurried sizing misses"
FINISHED = 5
"""The least calls of ours where the integers are finished, which takes up to milliseconds."""
GAINS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03)
"""Margins at which it is seen how much a hurried sizing misses."""

V2, V3, CURVED = 200.0, 5_000.0, 25_000.0
"""ns that a sizing may take."""


@dataclass(frozen=True)
class Hop:
    """A pool and the way through it, indices into its tokens."""

    kind: str
    fields: dict[str, Any]
    token_in: int = 0
    token_out: int = 1

    def pool(self) -> Pool:
        """In this state."""
        return Pool(self.kind, self.fields)


@dataclass(frozen=True)
class Cycle:
    """Hops that lead back to their first token, at most `limit` ns to size."""

    name: str
    hops: list[Hop]
    limit: float

    def profit(self, amount: int, made: list[Pool]) -> int:
        """What an input gains in these pools of the hops; minus it where one refuses."""
        got = amount
        for hop, pool in zip(self.hops, made, strict=True):
            quote = pool.quote(hop.token_in, got, token_out=hop.token_out)
            if not isinstance(quote, Quote) or quote.amount_in != got:
                return -amount
            got = quote.amount_out
        return got - amount

    def optimum(self) -> tuple[int, int]:
        """An input of the largest profit, up to rounding, and that profit."""
        made = [hop.pool() for hop in self.hops]
        low, high = 1, 1 << 112
        while high - low > 2:
            left, right = low + (high - low) // 3, high - (high - low) // 3
            if self.profit(left, made) >= self.profit(right, made):
                high = right
            else:
                low = left
        profit, amount = max((self.profit(each, made), each) for each in range(low, high + 1))
        return amount, profit

    def described(self) -> dict[str, Any]:
        """As bench/peers.py takes it; the amounts are the most that may go in."""
        amount, _ = self.optimum()
        return {
            "hops": [
                {"kind": hop.kind, "fields": hop.fields, "token_in": hop.token_in,
                 "token_out": hop.token_out}
                for hop in self.hops
            ],
            "amounts": [4 * amount + i for i in range(1, 200)],
        }  # fmt: skip


def margin(hops: list[Hop]) -> float:
    """The last token for one of the first, of next to nothing."""
    out = 1.0
    for hop in hops:
        out *= hop.pool().marginal_price(hop.token_in, hop.token_out)
    return out


def v2(reserve_in: int, price: float) -> Hop:
    """A V2 pool that pays about `price` for one, before its fee."""
    reserves = {"reserve0": reserve_in, "reserve1": int(reserve_in * price)}
    return Hop("uniswap_v2", {"fee_pips": FEE} | reserves)


def closed(name: str, hops: list[Hop], amount: int, limit: float, gain: float) -> Cycle:
    """The hops with a V2 pool that closes them and leaves the gain for about `amount`."""
    so_far = margin(hops)
    return Cycle(name, [*hops, v2(int(DEPTH * amount * so_far), (1 + gain) / so_far / KEPT)], limit)


def _v3(off: float = 0.0) -> dict[str, Any]:
    """bench.pools' V3 pool, moved so far down by a swap."""
    fields = pools.v3_fields(pools.v3_positions())
    if off == 0.0:
        return fields
    limit = int(fields["sqrt_price_x96"] * (1 - off) ** 0.5)
    moved = Pool("uniswap_v3", fields).quote(0, 1 << 200, sqrt_price_limit_x96=limit)
    assert isinstance(moved, Quote)
    return fields | moved.after


def cycles(gain: float = GAIN) -> list[Cycle]:
    """All of them."""
    chain = [v2((3 + i) * 1000 * WAD, price) for i, price in enumerate((1.7, 0.013, 41.0))]
    v3 = Hop("uniswap_v3", _v3())
    back = Hop("uniswap_v3", _v3(2 * pools.FEE * 1e-6 + gain), 1, 0)
    middle = pools.amount_that_crosses("uniswap_v3", v3.fields, 1)
    made = [closed(f"V2, {n + 1} hops", chain[:n], 10 * WAD, V2, gain) for n in (1, 2, 3)]
    made += [closed("V3-V2", [v3], middle, V3, gain), Cycle("V3-V3", [v3, back], V3)]
    for sample in pools.samples():
        if sample.kind.startswith(("curve", "balancer")):
            hop = Hop(sample.kind, sample.fields, sample.token_in, sample.token_out)
            made.append(closed(f"{sample.name}-V2", [hop], sample.amount, CURVED, gain))
            if sample.name == "curve_stable, 2 coins":
                first = v2(DEPTH * sample.amount, 1.0)
                made.append(closed("V2-curve_stable-V2", [first, hop], sample.amount, CURVED, gain))
    return made


# ---- what haste costs ----


def kinds_of(cycle: Cycle) -> str:
    """Of which of three sorts its pools are: the hurried sizing has a time for each."""
    kinds = {hop.kind for hop in cycle.hops}
    if any("crypto" in kind for kind in kinds):
        return "CryptoSwap"
    return "V2 and V3" if kinds <= {"uniswap_v2", "uniswap_v3"} else "Curve and Balancer"


def loaded(cycle: Cycle) -> tuple[list[Pool], list[tuple[int, int]]]:
    """Its pools and the ways through them, as sizing takes them."""
    return (
        [hop.pool() for hop in cycle.hops],
        [(hop.token_in, hop.token_out) for hop in cycle.hops],
    )


def missed() -> dict[str, list[float]]:
    """By sort of pools: the parts of the unhurried sizing's profit that the hurried one misses."""
    found: dict[str, list[float]] = {}
    for cycle in (each for gain in GAINS for each in cycles(gain)):
        made, ways = loaded(cycle)
        full, hurried = _size.size(made, ways), _size.size(made, ways, hurried=True)
        if full is not None:
            least = 0 if hurried is None else hurried[1]
            found.setdefault(kinds_of(cycle), []).append(max(1 - least / full[1], 0.0))
    return found


# ---- beside peers ----

ENVIRONMENTS = {"0.3": "bench-venv", "0.5": "bench-venv-312"}
"""By degenbot's version: the folder below the cache that `make bench` sets up."""
PEERS = (
    ("V2, 2 hops", "degenbot 0.3 V2 cycle", BY_DEGENBOT),
    ("V2, 3 hops", "degenbot 0.3 V2 cycle", BY_DEGENBOT),
    ("V2, 4 hops", "degenbot 0.3 V2 cycle", BY_DEGENBOT),
    ("V2, 2 hops", "degenbot 0.5 V2 cycle", None),
    ("V2-curve_stable-V2", "degenbot 0.3 Curve cycle", None),
    ("V2-curve_stable-V2", "degenbot 0.5 Curve cycle", None),
)
"""A cycle, a peer, and how many times as long as ours it should take."""


class Sizing:
    """Every cycle and peer, taking turns."""

    def __init__(self, stack: ExitStack) -> None:
        """Makes what can be had; processes end with the stack."""
        self.cycles = {cycle.name: cycle for cycle in cycles()}
        self.timer = getattr(_size, "time_sizes", None)
        self.least = dict.fromkeys(self.cycles, float("inf"))
        self.finished = dict.fromkeys(self.cycles, float("inf"))
        self.calls: dict[str, int] = {}
        """Of the unhurried sizing, in one turn."""
        if self.timer is not None:
            for name, cycle in self.cycles.items():
                once = self.timer(*loaded(cycle), 4 * FINISHED) / (4 * FINISHED)
                self.calls[name] = max(FINISHED, round(OUR_TURN / max(once, 1e-7)))
        self.missed = missed()
        self.theirs: dict[tuple[str, str], float] = {}
        self.peers: dict[tuple[str, str], Elsewhere | str] = {}
        children: dict[str, Child | str] = {}
        for name, peer, _ in PEERS:
            version = peer.split()[1]
            if version not in children:
                python = cache_root() / ENVIRONMENTS[version] / "bin" / "python"
                children[version] = stack.enter_context(other_environment(python))
            self.peers[name, peer] = self._peer(children[version], self.cycles[name], peer)
            self.theirs[name, peer] = float("inf")

    def _peer(self, child: Child | str, cycle: Cycle, peer: str) -> Elsewhere | str:
        """The peer, having found the optimum, or why it cannot be had."""
        if isinstance(child, str):
            return child
        try:
            made = Elsewhere(child, peer, cycle.described())
        except LookupError as reason:
            return str(reason)
        _, best = cycle.optimum()
        for found in made.outputs(cycle.described()["amounts"][:3]):
            if not (1 - OFF) * best <= found <= (1 + 1e-12) * best + 1:
                raise RuntimeError(f"{cycle.name}: {peer} finds {found}, the best is {best}")
        return made

    def turn(self) -> None:
        """Everything once."""
        for name, cycle in self.cycles.items():
            if self.timer is not None:
                made, ways = loaded(cycle)
                once = min(self.least[name] * 1e-9, 1e-5)
                count = max(CALLS, round(OUR_TURN / once))
                spent = self.timer(made, ways, count, hurried=True) / count
                self.least[name] = min(self.least[name], 1e9 * spent)
                spent = self.timer(made, ways, self.calls[name]) / self.calls[name]
                self.finished[name] = min(self.finished[name], 1e9 * spent)
            for pair, peer in self.peers.items():
                if pair[0] == name and not isinstance(peer, str):
                    self.theirs[pair] = min(self.theirs[pair], peer.time(PEER_TURN))

    def rows(self) -> list[Row]:
        """What was found."""
        found = []
        missing = None if self.timer else "mevfast._size has no time_sizes"
        for name, cycle in self.cycles.items():
            value = None if missing else self.least[name]
            finished, hops = None if missing else self.finished[name], len(cycle.hops)
            found += [
                Row(f"sizing {name}", "ns", value, hops=hops, limit=cycle.limit, absent=missing),
                Row(f"sizing {name}, unhurried", "ns", finished, hops=hops, absent=missing),
            ]
        for sort, parts in self.missed.items():
            for which, part in (("mean", sum(parts) / len(parts)), ("most", max(parts))):
                found.append(Row(f"{MISSED}, {sort}, {which}", "e-9", 1e9 * part))
        for name, peer, least in PEERS:
            made, hops = self.peers[name, peer], len(self.cycles[name].hops)
            absent = made if isinstance(made, str) else None
            theirs = None if absent else self.theirs[name, peer]
            ratio = theirs / self.least[name] if theirs and not missing else None
            found += [
                Row(f"sizing {name}, {peer}", "ns", theirs, hops=hops, absent=absent),
                Row(f"sizing {name}, {peer} over ours", "times", ratio, hops=hops, limit=least,
                    side="at least", absent=absent or missing),
            ]  # fmt: skip
        return [judged(each) for each in found]
