"""The ledger: which blocks were searched for pools, and what was found there.

An append-only file of JSON lines, so that a search that was stopped goes on where it was:

    {"format":"mevfast-ledger/1","chain_id":42161}
    {"from":100,"to":2099,"venues":["uniswap_v3:0x1f98..."],"pools":[{...}, ...]}

A line holds all that the venues announced in a range of blocks that no reorg reaches any more,
admitted or not: what is traded is a matter of the config, which may change. Each line is on the
disk before the search goes on; a line that a power cut left torn is dropped.
"""

import fcntl
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from mevfast.errors import DataError
from mevfast.model import PoolRecord

logger = logging.getLogger(__name__)

FORMAT = "mevfast-ledger/1"

DEPTH = 64
"""Blocks below the head that are not written yet: a reorg may take them back."""

Range = tuple[int, int]


class Ledger:
    """An open ledger of one chain. Used with `with`: it is locked against other processes."""

    def __init__(self, path: Path | str, chain_id: int) -> None:
        """Opens or begins the file.

        Raises DataError where it is another chain's, no ledger, damaged, or in use.
        """
        self.path = Path(path)
        self.chain_id = chain_id
        self._searched: dict[str, list[Range]] = {}
        self._pools: dict[str, list[PoolRecord]] = {}
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise DataError(
                f"{self.path}: expected a ledger that can be written, was {error.strerror}"
            ) from error
        try:
            self._lock()
            self._read()
        except BaseException:
            os.close(self._fd)
            raise

    def searched(self, venue: str) -> list[Range]:
        """The ranges of blocks of a venue that are done: (first, last), ascending, apart."""
        return list(self._searched.get(venue, ()))

    def pools(self, venue: str) -> list[PoolRecord]:
        """What the venue announced in them; `venue` of each record is still empty."""
        return list(self._pools.get(venue, ()))

    def add(self, first: int, last: int, found: Mapping[str, Sequence[PoolRecord]]) -> None:
        """Notes that the venues (keys) announced these pools in blocks first to last, no others."""
        line = {
            "from": first,
            "to": last,
            "venues": list(found),
            "pools": [
                _entry(pool, index) for index, pools in enumerate(found.values()) for pool in pools
            ],
        }
        self._append(line)
        for venue, pools in found.items():
            self._note(venue, (first, last), pools)

    def close(self) -> None:
        """Closes the file and with that its lock. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        """`with Ledger(...)` closes at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes."""
        self.close()

    # ---- the file ----

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                f"{self.path}: expected a ledger for this process alone, another one uses it; "
                "give each engine a ledger of its own"
            ) from None

    def _append(self, line: dict[str, Any]) -> None:
        data = orjson.dumps(line) + b"\n"
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            os.fsync(self._fd)
        except OSError as error:
            raise DataError(
                f"{self.path}: a line could not be written: {error.strerror}; make room"
            ) from error

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logger.warning(
                "%s: its last line is torn and dropped (%d bytes); what it held is searched again",
                self.path, len(content) - whole,
            )  # fmt: skip
            os.ftruncate(self._fd, whole)
        lines = content[:whole].split(b"\n")[:-1]
        if not lines:
            self._append({"format": FORMAT, "chain_id": self.chain_id})
            return
        self._check_head(self._line(lines[0], 1))
        for number, text in enumerate(lines[1:], 2):
            line = self._line(text, number)
            try:
                span = (int(line["from"]), int(line["to"]))
                found: dict[str, list[PoolRecord]] = {venue: [] for venue in line["venues"]}
                names = list(found)
                for entry in line["pools"]:
                    found[names[entry["venue"]]].append(_record(entry))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise self._damaged(number, repr(error)) from None
            for venue, pools in found.items():
                self._note(venue, span, pools)

    def _line(self, text: bytes, number: int) -> dict[str, Any]:
        try:
            line = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise self._damaged(number, str(error)) from None
        if not isinstance(line, dict):
            raise self._damaged(number, f"a {type(line).__name__}")
        return line

    def _damaged(self, number: int, what: str) -> DataError:
        return DataError(
            f"{self.path}: line {number}: expected a line of a {FORMAT} file, was {what:.100}; "
            "remove the file, and the blocks are searched again"
        )

    def _check_head(self, head: dict[str, Any]) -> None:
        if head.get("format") != FORMAT:
            raise DataError(
                f"{self.path}: format: expected {FORMAT}, was {head.get('format')!r:.60}; remove "
                "the file, and the blocks are searched again"
            )
        if head.get("chain_id") != self.chain_id:
            raise DataError(
                f"{self.path}: chain_id: expected {self.chain_id}, was {head.get('chain_id')!r:.60}"
                "; give each chain a ledger of its own"
            )

    # ---- what it holds ----

    def _note(self, venue: str, span: Range, pools: Iterable[PoolRecord]) -> None:
        self._searched[venue] = merged([*self._searched.get(venue, ()), span])
        self._pools.setdefault(venue, []).extend(pools)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in ascending order, those that touch made one."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def gaps(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """What `ranges` (merged) leave out of first to last."""
    found = []
    for start, end in ranges:
        if end < first:
            continue
        if start > last:
            break
        if start > first:
            found.append((first, start - 1))
        first = end + 1
    if first <= last:
        found.append((first, last))
    return found


def _entry(pool: PoolRecord, venue: int) -> dict[str, Any]:
    return {
        "venue": venue,
        "id": pool.id.hex(),
        "kind": pool.kind,
        "tokens": [token.hex() for token in pool.tokens],
        "block": pool.block,
        "facts": dict(pool.facts),
    }


def _record(entry: dict[str, Any]) -> PoolRecord:
    return PoolRecord(
        bytes.fromhex(entry["id"]),
        entry["kind"],
        tuple(bytes.fromhex(token) for token in entry["tokens"]),
        "",
        int(entry["block"]),
        dict(entry["facts"]),
    )
