"""What lies between a frame's bytes and a signed transaction, beside its limits and its peers?

    python -m bench.bench_wire [--json] [--out FILE] [--seconds N]

Ours in C loops (mevfast._bench_wire), each peer in turns of a few milliseconds, round after round,
so that a machine that slows down slows all of them; the least of each counts, in CPU time. Frames
are the logs of bench/data/stream.json.gz, one after another; msgspec decodes them into typed
structs of the envelope and the log, hex left as text; orjson into dicts. Before that, all must say
the same. The bare signature is libsecp256k1 itself with its own nonces, in a C loop; a row of the
SHA instructions says why it is missing where the processor has none. Instructions are those of
bench/results/instructions.json. The rows go to bench/results/wire.json.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson
from eth_account import Account
from rich.console import Console

from bench import instructions
from bench.bench_math import Reach, Row, judged
from mevfast import _wire
from mevfast._bench import clock_cost
from mevfast._bench_wire import (
    Signing,
    time_calls,
    time_frames,
    time_keccak,
    time_permutation,
)
from mevfast._tx import Signer
from mevfast.bench_machine import machine, source_commit
from mevfast.bench_stream import read_stream
from mevfast.bench_tables import math_sheet

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "wire.json"
FORMAT = "mevfast-wire/1"
SECONDS = 20.0
KEY = 0xAC0974BEC39A17E36BA4A6B4D238FF944BACB478CBED5EFCAE784D7BF4F2FF80
"""Anvil's first test key."""
CALLDATA = bytes(range(1, 82)) * 4
"""324 bytes: a plan of three hops."""
TO, CHAIN_ID = b"\x22" * 20, 42161
FRAMES, SIGNATURES, HASHES, TRANSACTIONS = 32, 10, 200, 4
"""How many of each one turn takes: well under a millisecond or two."""

Turn = Callable[[], float]
"""Times one turn: ns of one of whatever it does."""


class Log(msgspec.Struct):
    """A log as JSON-RPC has it; numbers stay hex."""

    address: str
    topics: list[str]
    data: str
    blockHash: str
    blockNumber: str
    transactionHash: str
    transactionIndex: str
    logIndex: str
    removed: bool


class Params(msgspec.Struct):
    """Of a notification."""

    subscription: str
    result: Log


class Notification(msgspec.Struct):
    """The envelope of eth_subscription."""

    jsonrpc: str
    method: str
    params: Params


def log_frames() -> list[bytes]:
    """The recorded stream's logs; RuntimeError unless the three decoders agree on each."""
    typed = msgspec.json.Decoder(Notification)
    found = []
    for frame in read_stream().frames():
        event = _wire.parse(frame)
        if event is None or event["message"] != "log":
            continue
        log, loose = typed.decode(frame).params.result, orjson.loads(frame)["params"]["result"]
        for text in (log.transactionHash, loose["transactionHash"]):
            if bytes.fromhex(text[2:]) != event["tx_hash"]:
                raise RuntimeError(f"{frame!r}: ours {event['tx_hash'].hex()}, theirs {text}")
        if _wire.parse(frame, portable=True) != event or log.topics != loose["topics"]:
            raise RuntimeError(f"{frame!r}: read differently")
        found.append(frame)
    return found


def signer(sha_ni: bool) -> Signer:
    """A signer whose nonces the SHA instructions hash, or the library."""
    return Signer(bytearray(KEY.to_bytes(32, "big")), sha_ni=sha_ni)


class Decoding:
    """Frames, a batch of them a turn, the same one for everybody."""

    def __init__(self) -> None:
        self.frames = log_frames()
        self.at = 0
        typed = msgspec.json.Decoder(Notification).decode
        self.decoders: dict[str, Callable[[list[bytes]], float]] = {
            "decode": time_frames,
            "decode without AVX2": lambda frames: time_frames(frames, portable=True),
            "msgspec": lambda frames: time_calls(typed, frames),
            "orjson": lambda frames: time_calls(orjson.loads, frames),
        }

    def round(self) -> Iterator[tuple[str, float]]:
        """A turn each. The batch is read once before it counts: whoever comes first would fetch it
        from memory for the others."""
        self.at = (self.at + FRAMES) % (len(self.frames) - FRAMES)
        batch = self.frames[self.at : self.at + FRAMES]
        for name, decode in self.decoders.items():
            decode(batch)
            yield name, decode(batch)


def hashing() -> dict[str, Turn]:
    """The permutation and hashes of one, three and five blocks."""
    return {
        "permutation": lambda: time_permutation(HASHES),
        "keccak 110": lambda: time_keccak(110, HASHES),
        "keccak 400": lambda: time_keccak(400, HASHES),
        "keccak 600": lambda: time_keccak(600, HASHES),
    }


def signing() -> dict[str, Turn]:
    """Signatures and transactions, and eth-account, checked to make the same bytes."""
    best = Signing(signer(True), CALLDATA, TO, CHAIN_ID)
    plain = Signing(signer(False), CALLDATA, TO, CHAIN_ID)
    fields, raw = best.last_transaction()
    account = Account.from_key(KEY.to_bytes(32, "big"))
    if bytes(account.sign_transaction(fields).raw_transaction) != raw:
        raise RuntimeError("eth-account signs another transaction")
    return {
        "bare": lambda: plain.bare(SIGNATURES),
        "sign, library's nonces": lambda: plain.sign(SIGNATURES),
        "sign": lambda: best.sign(SIGNATURES),
        "fields to raw, library's nonces": lambda: plain.fields_to_raw(SIGNATURES, False),
        "fields to raw": lambda: best.fields_to_raw(SIGNATURES, False),
        "fields to raw and hash": lambda: best.fields_to_raw(SIGNATURES),
        "eth-account": lambda: time_calls(account.sign_transaction, [fields] * TRANSACTIONS),
    }


def measure(seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """The least ns of each; and of decoding the mean over batches of each batch's least."""
    decoding = Decoding()
    by_batch: dict[str, dict[int, float]] = {name: {} for name in decoding.decoders}
    others = hashing() | signing()
    least = dict.fromkeys(others, float("inf"))
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        end = time.monotonic() + seconds
        said = seconds + 1
        while (left := end - time.monotonic()) > 0:
            if left < said - 1:
                said = left
                print(f"\r{left:.0f} s left\x1b[K", end="", file=sys.stderr, flush=True)
            for name, spent in decoding.round():
                batch = by_batch[name]
                batch[decoding.at] = min(batch.get(decoding.at, spent), spent)
            for name, turn in others.items():
                least[name] = min(least[name], turn())
    finally:
        gc.enable()
        gc.unfreeze()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return least, {name: sum(of.values()) / len(of) for name, of in by_batch.items()}


def _below(part: str, peer: str, ours: float, theirs: float, limit: float | None = None) -> Row:
    """Ours over theirs, at most `limit`."""
    reach: Reach | None = ("at most", limit) if limit else None
    ratio = round(ours / theirs, 3)
    return judged(Row(part, peer, "ns", round(ours, 1), None, round(theirs, 1), ratio, reach))


def counted() -> Row:
    """Instructions of keccak, as bench.instructions wrote them last."""
    part, peer = "keccak of 110 bytes", "its limit"
    reach: Reach = ("at most", 6000.0)
    try:
        count = float(json.loads(instructions.RESULTS.read_text())["counts"][part])
    except (OSError, KeyError):
        return Row(part, peer, "instructions", absent="python -m bench.instructions counts them")
    return judged(Row(part, peer, "instructions", count, None, None, count, reach))


def rows(seconds: float) -> list[Row]:
    """Every figure beside its limit."""
    t, d = measure(seconds)
    found = [
        _below("log to fields", "msgspec, typed", d["decode"], d["msgspec"], 0.25),
        _below("log to fields", "orjson.loads", d["decode"], d["orjson"], 0.16),
        _below("the same without AVX2", "msgspec, typed", d["decode without AVX2"], d["msgspec"]),
        _below("keccak of 110 bytes", "one permutation", t["keccak 110"], t["permutation"], 1.15),
        _below("keccak of 400 bytes", "one permutation", t["keccak 400"], t["permutation"]),
        _below("keccak of 600 bytes", "one permutation", t["keccak 600"], t["permutation"]),
        counted(),
        _below("digest to signature, library's nonces", "libsecp256k1 in a C loop",
               t["sign, library's nonces"], t["bare"], 1.03),
    ]  # fmt: skip
    part, nonces = "digest to signature, SHA-NI nonces", signer(True).nonces
    if nonces == "SHA-NI":
        bare = "libsecp256k1 in a C loop"
        found.append(_below(part, bare, t["sign"], t["bare"], 0.88))
    else:
        found.append(Row(part, "libsecp256k1 in a C loop", reach=("at most", 0.88),
                         absent=f"nonces are hashed by {nonces}"))  # fmt: skip
    raw = "fields to raw transaction"
    both = "fields to raw transaction and its hash"
    plain = "fields to raw, library's nonces"
    return [
        *found,
        _below(raw, "its signature", t["fields to raw"], t["sign"], 1.08),
        _below(raw + ", library's nonces", "its signature",
               t[plain], t["sign, library's nonces"], 1.08),
        _below(both, "its signature", t["fields to raw and hash"], t["sign"]),
        _below(both, "libsecp256k1 in a C loop", t["fields to raw and hash"], t["bare"], 1.08),
        judged(Row(both, "eth-account", "ns", round(t["fields to raw and hash"], 1), None,
                   round(t["eth-account"], 1),
                   round(t["eth-account"] / t["fields to raw and hash"], 2), ("at least", 14.0))),
    ]  # fmt: skip


def result(seconds: float) -> dict[str, Any]:
    """The object that is written."""
    load = os.getloadavg()[0]
    found = rows(seconds)
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "machine": machine(clock_cost()) | {"load_average": round(load, 2)},
        "hex": _wire.TWINS[-1],
        "nonces": signer(True).nonces,
        "rows": [asdict(row) for row in found],
    }


def main() -> int:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of taking turns")
    args = parser.parse_args()
    made = result(args.seconds)
    args.out.write_text(json.dumps(made, indent=2) + "\n")
    if args.json:
        print(json.dumps(made, indent=2))
        return 0
    sheet = math_sheet(made)
    sheet.title = str(sheet.title).replace("kernels beside their peers", "frame to signed bytes")
    Console().print(sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
