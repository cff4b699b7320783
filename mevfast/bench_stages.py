"""Every stage of the path, interleaved with its limit and its peers, round by round.

Owns the order in which things are timed, and the figures made of the samples: quantiles, ratios
and what each round says of both. The clocks are in _bench, the streams in bench_stream. What is
measured, and how to read it: docs/benchmarks.md.
"""

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
from eth_account import Account

from mevfast._bench import (
    Peers,
    Replay,
    TimedCore,
    blank_signer,
    stamped_signer,
    time_call,
    time_decode,
)
from mevfast._tx import Signer
from mevfast.bench_machine import KEY
from mevfast.bench_stream import EXECUTOR, Stream

CALLDATA = bytes(range(4, 256)) + bytes(range(72))
"""324 bytes: six arguments and an array of three words, as such calls usually have."""
ROUNDS = 20
LEAST_READS = 40
"""Of a stream in a round, however little time it has."""
SLOW_PEER_EVERY, SLOW_PEER_CALLS = 64, 4
"""Reads for one turn of eth-account, and its calls in that turn: all but the first find the caches
warm, as our own calls do."""

STAGES = (
    "decode", "apply", "head", "search", "size", "encode", "sign", "frame_to_signed",
    "frame_without_trade",
)  # fmt: skip
WAY = (
    "decode", "apply", "check", "search", "size", "transaction", "signature", "request",
)  # fmt: skip
"""Where the time of one `frame_to_signed` goes, by the core's own stamps: samples `way_*`."""
BUT_SIGNATURE = "way_but_signature"
PORTION = 25
"""Reads that the plain core takes one after the other before its limit, its timed twin and the
peers follow: an engine has no twin on its core, and no interpreter, that empties the caches."""
SUFFIXES = {"recorded": "", "made_200": "_200", "made_2000": "_2000", "made_20000": "_20000"}
"""What a stream's name adds to those of its stages."""

MIN, P50 = "min_ns", "p50_ns"
RATIOS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "frame_to_signed_over_signature": (
        ("frame_to_signed_2000",), ("bare_signature_2000",), P50),
    "frame_to_signed_over_own_signature": (
        ("frame_to_signed_2000",), ("way_signature_2000",), P50),
    "frame_to_signed_over_signature_20k": (
        ("frame_to_signed_20000",), ("bare_signature_20000",), P50),
    "frame_to_signed_over_signature_200": (("frame_to_signed_200",), ("bare_signature_200",), P50),
    "frame_to_signed_over_signature_recorded": (("frame_to_signed",), ("bare_signature",), P50),
    "decode_over_msgspec": (("decode_alone",), ("msgspec_decode",), MIN),
    "decode_over_orjson": (("decode_alone",), ("orjson_loads",), MIN),
    "sign_over_bare": (("sign",), ("bare_signature",), MIN),
    "fields_to_raw_over_sign": (("fields_to_raw",), ("sign",), MIN),
    "eth_account_over_fields_to_raw": (("eth_account_sign_transaction",), ("fields_to_raw",), MIN),
    "socket_to_socket_over_floor": (
        ("socket_to_socket_spin",), ("bare_signature_beside", "echo_spin"), P50),
    "socket_to_socket_least_over_floor": (
        ("socket_to_socket_spin",), ("bare_signature_beside", "echo_spin"), MIN),
    "socket_to_socket_wait_over_floor": (
        ("socket_to_socket_wait",), ("bare_signature_beside", "echo_wait"), P50),
}  # fmt: skip
"""Each ratio: the sum of these over the sum of those, and of which of their figures."""

Samples = dict[str, list[int]]
Figures = dict[str, dict[str, int]]


# ---- the peer of the decoder: what is read of a log, typed ----


class PeerLog(msgspec.Struct):
    """The fields of a log that the scanner reads; the others are passed over."""

    address: str
    topics: list[str]
    data: str
    blockHash: str
    blockNumber: str
    transactionHash: str
    logIndex: str
    removed: bool


class PeerParams(msgspec.Struct):
    """What a notification carries."""

    subscription: str
    result: PeerLog


class PeerNotification(msgspec.Struct):
    """A log as a node sends it."""

    method: str
    params: PeerParams


MSGSPEC = msgspec.json.Decoder(PeerNotification)


# ---- measuring ----


@dataclass(slots=True)
class Run:
    """Samples by stage or peer in ns, the clock's cost taken off; and what each round says of them.

    `rounds[name]`: of each round least and median, None where it has no sample.
    """

    clock_ns: int
    samples: Samples = field(default_factory=lambda: defaultdict(list))
    rounds: dict[str, dict[str, list[int | None]]] = field(default_factory=dict)
    n_rounds: int = 0
    _seen: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: list[int]) -> None:
        """Samples as the clock read them."""
        self.samples[name] += [max(1, each - self.clock_ns) for each in values]

    def end_round(self) -> None:
        """What came since the last one is a round."""
        for name, values in self.samples.items():
            new = values[self._seen.get(name, 0) :]
            self._seen[name] = len(values)
            of = self.rounds.setdefault(
                name, {MIN: [None] * self.n_rounds, P50: [None] * self.n_rounds}
            )
            of[MIN].append(min(new) if new else None)
            of[P50].append(int(statistics.median(new)) if new else None)
        self.n_rounds += 1

    def figures(self) -> Figures:
        """Quantiles by stage and peer."""
        return {name: quantiles(values) for name, values in self.samples.items() if values}


def way(parts: dict[str, int]) -> dict[str, int]:
    """WAY of one transaction, ns, from `Replay.parts`; their sum is its time by the core's stamps.

    `frame` beyond `decode` and `apply`, and what lies between the stamps, is with `request`.
    """
    found = {name: parts.get(name, 0) for name in WAY}
    found["transaction"] = parts["plan"] + parts["sign"] - parts["signature"]
    found["request"] = 0
    found["request"] = parts["frame_to_signed"] - sum(found.values())
    return found


def signer() -> Signer:
    """Signs with the key that everybody knows."""
    return Signer(bytearray(KEY))


class Player:
    """A stream that is replayed over and over, a part of it in each round.

    A PORTION of reads goes through a plain core; as many bare signatures follow, then the same
    reads go through a core that is timed by stage, and to the peers: whatever the machine does to
    one, it does to all.
    """

    def __init__(self, stream: Stream) -> None:
        """Fills the first pair of cores."""
        self.stream = stream
        self.suffix = SUFFIXES.get(stream.name, f"_{len(stream.pools)}")
        self.peers = Peers(signer(), CALLDATA, EXECUTOR, stream.chain_id)
        self.begun = self.sent = self.cycles = self.turns = 0
        self.way: Samples = defaultdict(list)
        self._begin()

    def _begin(self) -> None:
        self.plain, sink = self.stream.core(signer(), timed=False)
        timed, timed_sink = self.stream.core(blank_signer(signer()), timed=True)
        assert isinstance(timed, TimedCore)  # `timed=True` asked for it
        self.timed = timed
        self.whole, self.staged = Replay(self.plain, sink), Replay(timed, timed_sink)
        stamped_signer(self.plain.signer, self.plain.stages)
        self.at = 0
        self.begun += 1

    def play(self, seconds: float, run: Run, least: int = LEAST_READS) -> None:
        """Reads for so long, and no fewer than `least`."""
        samples: Samples = defaultdict(list)
        until = time.monotonic() + seconds
        done = 0
        while done < least or time.monotonic() < until:
            if self.at == len(self.stream.reads):
                self._drain(run)
                self._end()
                self._begin()
            portion = self.stream.reads[self.at : self.at + PORTION]
            self._plain(portion, samples)
            self._signatures(len(portion), samples)
            self._staged(portion)
            for turn, read in enumerate(portion, self.at):
                self._peers(turn, read, samples)
            self.at += len(portion)
            done += len(portion)
        for name, values in samples.items():
            run.add(name, values)
        for name, values in self.way.items():
            run.samples[name] += values
            values.clear()
        self._drain(run)

    def _drain(self, run: Run) -> None:
        """What the timed core has noted so far."""
        for name, values in self.timed.samples().items():
            run.add(name + self.suffix, values)
            values.clear()

    def _plain(self, portion: list[list[bytes]], samples: Samples) -> None:
        noted = self.whole.portion(portion)
        for read, (first, total, parts) in zip(portion, noted, strict=True):
            if first >= 0:
                samples["frame_to_signed" + self.suffix].append(first)
                self._note_way(parts)
            else:
                samples["frame_without_trade" + self.suffix].append(total // len(read))
        self.turns += len(portion)

    def _signatures(self, n: int, samples: Samples) -> None:
        """So many of each; the second of a pair finds more in the caches, so they take turns."""
        pair = [("bare_signature", self.peers.bare), ("sign", self.peers.sign)]
        for _ in range(n):
            pair.reverse()
            for name, call in pair:
                samples[name + self.suffix].append(call())

    def _note_way(self, parts: dict[str, int]) -> None:
        """Stamps are no calls of the clock: nothing is taken off them."""
        for name, ns in way(parts).items():
            self.way[f"way_{name}{self.suffix}"].append(ns)
        but = parts["frame_to_signed"] - parts["signature"]
        self.way[BUT_SIGNATURE + self.suffix].append(but)

    def _staged(self, portion: list[list[bytes]]) -> None:
        for read in portion:
            self.staged.read(read)
            self.staged.settle()

    def _peers(self, turn: int, read: list[bytes], samples: Samples) -> None:
        """One sample of each peer; those of the frames for each log of the read."""
        samples["fields_to_raw"].append(self.peers.fields_to_raw())
        samples["keccak_110"].append(self.peers.keccak_110())
        for frame in read:
            ns, is_log = time_decode(frame)
            if is_log:
                samples["decode_alone"].append(ns)
                samples["msgspec_decode"].append(time_call(MSGSPEC.decode, frame))
                samples["orjson_loads"].append(time_call(orjson.loads, frame))
        if turn % SLOW_PEER_EVERY == 0:
            fields, _ = self.peers.last_transaction()
            samples["eth_account_sign_transaction"] += [
                time_call(lambda each: Account.sign_transaction(each, KEY), fields)
                for _ in range(SLOW_PEER_CALLS)
            ]

    def _end(self) -> None:
        self.sent += self.plain.n_sent
        self.cycles += self.plain.search.n_candidates

    def summary(self) -> dict[str, Any]:
        """What was replayed."""
        stream = self.stream
        return {
            "about": stream.about,
            "pools": len(stream.pools),
            "reads": len(stream.reads),
            "frames": sum(map(len, stream.reads)),
            "passes": round(self.turns / len(stream.reads), 2),
            "transactions": self.sent + self.plain.n_sent,
            "cycles_found": self.cycles + self.plain.search.n_candidates,
        }


def check_peers(stream: Stream, chain_id: int = 1) -> None:
    """The peers must do the same work, or RuntimeError.

    eth-account's bytes are ours; msgspec finds in the stream's logs what orjson finds.
    """
    peers = Peers(signer(), CALLDATA, EXECUTOR, chain_id)
    peers.fields_to_raw()
    fields, raw = peers.last_transaction()
    theirs = bytes(Account.sign_transaction(fields, KEY).raw_transaction)
    if theirs != raw:
        raise RuntimeError(f"eth-account signs {theirs.hex()}, mevfast {raw.hex()}")
    for frame in stream.frames():
        result = orjson.loads(frame)["params"]["result"]
        if "topics" not in result:
            continue
        log = msgspec.structs.asdict(MSGSPEC.decode(frame).params.result)
        if log != {name: result[name] for name in log}:
            raise RuntimeError(f"msgspec reads {log}, orjson {result}")


# ---- figures ----


def quantiles(values: list[int]) -> dict[str, int]:
    """min, p50, p99 and p99.9 of samples; and how many."""
    ordered = sorted(values)

    def at(share: float) -> int:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {"min_ns": at(0), "p50_ns": at(0.5), "p99_ns": at(0.99), "p999_ns": at(0.999),
            "samples": len(ordered)}  # fmt: skip


def ratios(figures: Figures) -> dict[str, float]:
    """Every ratio whose parts were measured."""
    found = {}
    for name, (over, under, key) in RATIOS.items():
        if all(part in figures for part in over + under):
            above, below = (sum(figures[part][key] for part in parts) for parts in (over, under))
            found[name] = round(above / below, 3)
    return found


def round_ratios(rounds: dict[str, dict[str, list[int | None]]]) -> dict[str, list[float | None]]:
    """The same of each round, None where a part of it was not measured in that one."""
    found = {}
    for name, (over, under, key) in RATIOS.items():
        if all(part in rounds for part in over + under):
            found[name] = [
                _ratio(above, below)
                for above, below in zip(
                    zip(*(rounds[part][key] for part in over), strict=True),
                    zip(*(rounds[part][key] for part in under), strict=True),
                    strict=True,
                )
            ]
    return found


def _ratio(above: tuple[int | None, ...], below: tuple[int | None, ...]) -> float | None:
    if None in above or None in below:
        return None
    return round(sum(filter(None, above)) / sum(filter(None, below)), 4)
