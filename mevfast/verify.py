"""The command `verify`: replays recorded swaps (mevfast-vectors/1) against the kernels.

Owns the reading and checking of vector files; the quotes come from _pool.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from mevfast._fields import parse_integer
from mevfast._pool import AFTER_FIELDS, KINDS, Pool, Refused
from mevfast.errors import DataError

HELP = "replay recorded swaps; exit 1 on any mismatch"
FORMAT = "mevfast-vectors/1"
_SHOWN = 20  # mismatches printed per file; --json has them all
_PROGRESS_STEP = 256
_LOWEST_TICK = -887272  # the only field after a swap that may be negative


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded swap; `after` holds the recorded state fields, empty where none were.

    `fee_pips` is the fee of that very swap where the case carries one.
    """

    index: int
    pool: str
    fee_pips: int | None
    token_in: int
    token_out: int
    exact: Literal["in", "out"]
    amount: int
    ok: bool
    amount_in: int
    amount_out: int
    after: dict[str, int | list[int]]
    error: str


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A checked mevfast-vectors/1 file; `pools` by id and the fee that a case names, if it does."""

    path: str
    kind: str
    pools: dict[tuple[str, int | None], Pool]
    cases: list[Case]

    def pool(self, case: Case) -> Pool:
        """The pool of a case, with the fee of its swap."""
        return self.pools[case.pool, case.fee_pips]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A case whose quote is not what the contract did."""

    file: str
    pool: str
    case: int
    expected: dict[str, Any]
    actual: dict[str, Any]

    def __str__(self) -> str:
        """One line that names the case and both answers."""
        return (
            f"{self.file}: cases[{self.case}], pool {self.pool}: "
            f"expected {_show(self.expected)}, was {_show(self.actual)}"
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file; `passed` includes the cases refused as expected."""

    file: str
    kind: str
    cases: int
    passed: int
    refused: int
    failed: int
    mismatches: list[Mismatch]

    def __str__(self) -> str:
        """The file's line in the report."""
        return (
            f"{self.file}: {self.kind}, {self.passed} of {self.cases} passed, "
            f"{self.failed} failed, {self.refused} refused as expected"
        )


def _show(answer: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in answer.items())


def _want(value: Any, kinds: type | tuple[type, ...], where: str, expected: str) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise DataError(f"{where}: expected {expected}, was {value!r:.60}")
    return value


def _get(fields: dict[str, Any], name: str, where: str) -> Any:
    if name not in fields:
        raise DataError(f"{where}.{name}: expected a value, was missing")
    return fields[name]


def _integer(
    fields: dict[str, Any], name: str, where: str, low: int = 0, high: int = (1 << 256) - 1
) -> int:
    return parse_integer(_get(fields, name, where), f"{where}.{name}", low, high)


def _after(fields: dict[str, Any], name: str, where: str) -> int | list[int]:
    """One recorded state field: an integer, or one a token."""
    value = _get(fields, name, where)
    where = f"{where}.{name}"
    if isinstance(value, list):
        return [parse_integer(x, f"{where}[{i}]", 0, (1 << 256) - 1) for i, x in enumerate(value)]
    return parse_integer(value, where, _LOWEST_TICK, (1 << 256) - 1)


def _fee(
    case: dict[str, Any], pool_id: str, pools: dict[tuple[str, int | None], Pool], where: str
) -> int | None:
    """The case's own fee_pips; the pool with that fee is in `pools` then."""
    if "fee_pips" not in case:
        return None
    pool = pools[pool_id, None]
    fields = pool.fields()
    if "fee_pips" not in fields:
        raise DataError(f"{where}.fee_pips: no field of {pool.kind}")
    fee = _integer(case, "fee_pips", where)
    if (pool_id, fee) not in pools:
        pools[pool_id, fee] = Pool(pool.kind, fields | {"fee_pips": fee}, f"{where}.")
    return fee


def _case(entry: Any, index: int, pools: dict[tuple[str, int | None], Pool], path: str) -> Case:
    where = f"{path}: cases[{index}]"
    fields = _want(entry, dict, where, "an object")
    pool_id = _get(fields, "pool", where)
    if not isinstance(pool_id, str) or (pool_id, None) not in pools:
        raise DataError(
            f"{where}.pool: expected the id of a pool of this file, was {pool_id!r:.60}"
        )
    pool = pools[pool_id, None]
    last = pool.n_tokens - 1
    token_in = _integer(fields, "token_in", where, 0, last)
    token_out = _integer(fields, "token_out", where, 0, last)
    if token_out == token_in:
        raise DataError(f"{where}.token_out: expected another token than token_in {token_in}")
    exact = _get(fields, "exact", where)
    if exact not in ("in", "out"):
        raise DataError(f"{where}.exact: expected 'in' or 'out', was {exact!r:.60}")
    ok = _want(_get(fields, "ok", where), bool, f"{where}.ok", "true or false")
    after = _want(fields.get("after", {}), dict, f"{where}.after", "an object")
    for name in after:
        if name not in AFTER_FIELDS[pool.kind]:
            raise DataError(f"{where}.after.{name}: no field of {pool.kind} that swaps move")
    return Case(
        index=index,
        pool=pool_id,
        fee_pips=_fee(fields, pool_id, pools, where),
        token_in=token_in,
        token_out=token_out,
        exact=exact,
        amount=_integer(fields, "amount", where),
        ok=ok,
        amount_in=_integer(fields, "amount_in", where) if ok else 0,
        amount_out=_integer(fields, "amount_out", where) if ok else 0,
        after={name: _after(after, name, f"{where}.after") for name in after},
        error="" if ok else _want(_get(fields, "error", where), str, f"{where}.error", "a string"),
    )


def load(path: str) -> VectorFile:
    """Reads and checks a vector file; DataError names file and field."""
    try:
        document = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: expected a JSON object of format {FORMAT}: {error}") from error
    _want(document, dict, path, f"a JSON object of format {FORMAT}")
    if document.get("format") != FORMAT:
        raise DataError(
            f"{path}: format: expected {FORMAT!r}, was {document.get('format', 'missing')!r:.60}"
        )
    kind = document.get("kind")
    if kind not in KINDS:
        raise DataError(
            f"{path}: kind: expected one of {', '.join(KINDS)}, "
            f"was {document.get('kind', 'missing')!r:.60}"
        )
    pools: dict[tuple[str, int | None], Pool] = {}
    entries = _want(document.get("pools"), list, f"{path}: pools", "a list")
    for index, entry in enumerate(entries):
        where = f"{path}: pools[{index}]"
        fields = _want(entry, dict, where, "an object")
        name = _want(_get(fields, "id", where), str, f"{where}.id", "a string")
        if (name, None) in pools:
            raise DataError(f"{where}.id: expected every id once, was {name!r:.60} again")
        pools[name, None] = Pool(cast(str, kind), fields, f"{where}.")
    cases = _want(document.get("cases"), list, f"{path}: cases", "a list")
    return VectorFile(
        path, cast(str, kind), pools, [_case(c, i, pools, path) for i, c in enumerate(cases)]
    )


def check(case: Case, pool: Pool, path: str) -> Mismatch | None:
    """Quotes one case; None where the answer is the recorded one, amounts and state after."""
    quote = pool.quote(case.token_in, case.amount, case.exact, token_out=case.token_out)
    if isinstance(quote, Refused):
        if not case.ok:
            return None
        actual: dict[str, Any] = {"refused": quote.reason}
    else:
        actual = {"amount_in": quote.amount_in, "amount_out": quote.amount_out}
        actual |= {name: quote.after[name] for name in case.after}
    expected: dict[str, Any] = {"refused": case.error}
    if case.ok:
        expected = {"amount_in": case.amount_in, "amount_out": case.amount_out, **case.after}
    if actual == expected:
        return None
    return Mismatch(path, case.pool, case.index, expected, actual)


def replay(vectors: VectorFile, *, progress: bool = False) -> Result:
    """Quotes every case of a file; `progress` writes a counter to standard error."""
    mismatches = []
    for case in vectors.cases:
        if progress and case.index % _PROGRESS_STEP == 0:
            counter = f"\r{vectors.path}: {case.index} of {len(vectors.cases)}"
            print(counter, end="", file=sys.stderr)
        mismatch = check(case, vectors.pool(case), vectors.path)
        if mismatch is not None:
            mismatches.append(mismatch)
    if progress:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    wrong = {mismatch.case for mismatch in mismatches}
    return Result(
        file=vectors.path,
        kind=vectors.kind,
        cases=len(vectors.cases),
        passed=len(vectors.cases) - len(wrong),
        refused=sum(not case.ok and case.index not in wrong for case in vectors.cases),
        failed=len(wrong),
        mismatches=mismatches,
    )


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help=f"a {FORMAT} file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 when every case passes, 1 on any mismatch; DataError for a file that is no vector file."""
    files = [load(path) for path in args.files]
    results = []
    for vectors in files:
        result = replay(vectors, progress=sys.stderr.isatty())
        results.append(result)
        if args.json:
            continue
        print(result)
        for mismatch in result.mismatches[:_SHOWN]:
            print(f"  {mismatch}")
        if len(result.mismatches) > _SHOWN:
            print(f"  ... and {len(result.mismatches) - _SHOWN} more")
    totals = {
        name: sum(getattr(result, name) for result in results)
        for name in ("cases", "passed", "failed", "refused")
    }
    if args.json:
        print(json.dumps({**totals, "files": [asdict(result) for result in results]}))
    elif len(results) > 1:
        print(
            f"{len(results)} files: {totals['passed']} of {totals['cases']} passed, "
            f"{totals['failed']} failed, {totals['refused']} refused as expected"
        )
    return 1 if totals["failed"] else 0
