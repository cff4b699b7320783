"""How many instructions does a quote cost? Counted by callgrind: exact, whatever the machine does.

    python -m bench.instructions [--json] [--out FILE]

Every swap of bench.pools is quoted in a C loop, once COUNT times and once twice as often, under
valgrind; the difference over COUNT is one quote, everything around it taken off. The counts go to
bench/results/instructions.json and are compared with those that are committed there: a change of
more than 5 % is named. They depend on the compiler, which is named in the file, and on nothing
else; the same tree gives the same counts twice.
"""

import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bench import pools
from mevfast._bench_wire import time_keccak
from mevfast._pool import Pool, Refused
from mevfast._wire import time_parse
from mevfast.bench_machine import source_commit

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "instructions.json"
FORMAT = "mevfast-instructions/1"
COUNT = 500
AMOUNTS = 4
"""Different amounts of one sample; the count is their mean."""
NOTABLE = 0.05
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)
_NAME = re.compile(r"^desc: Trigger: Client Request: (.*)$", re.MULTILINE)
FRAME = "v3_swap"
"""The notification of tests/vectors/frames.json whose decoding is counted."""

Loop = Callable[[int], object]
"""Does something so many times in C."""


# ---- inside valgrind ----


def _quotes(pool: Pool, sample: pools.Sample, amount: int, exact: Literal["in", "out"]) -> Loop:
    return lambda count: pool.time_quotes(
        sample.token_in, amount, exact, count, token_out=sample.token_out
    )


def loops() -> list[tuple[str, Loop]]:
    """What is counted: a name that several loops may share, and a loop."""
    found: list[tuple[str, Loop]] = []
    for sample in pools.samples():
        pool = sample.pool()
        for amount in sample.amounts(AMOUNTS):
            found.append((f"{sample.name}, in", _quotes(pool, sample, amount, "in")))
        outputs = sample.outputs(AMOUNTS)
        answer = pool.quote(sample.token_in, outputs[0], "out", token_out=sample.token_out)
        if answer == Refused("UNSUPPORTED"):  # as the contract has no such swap
            continue
        for amount in outputs:
            found.append((f"{sample.name}, out", _quotes(pool, sample, amount, "out")))
    entries = json.loads((ROOT / "tests/vectors/frames.json").read_text())["frames"]
    frame = next(each["frame"] for each in entries if each["name"] == FRAME).encode()
    found.append(("frame of a V3 swap", lambda count: time_parse(frame, count)))
    found.append(("keccak of 110 bytes", lambda count: time_keccak(110, count)))
    return found


def inside(library: str) -> None:
    """What runs under valgrind: every loop twice, the statistics dumped after each."""
    requests = ctypes.CDLL(library)
    work = loops()
    requests.start()
    for i, (name, loop) in enumerate(work):
        loop(COUNT)  # first calls resolve symbols and touch memory
        for count in (COUNT, 2 * COUNT):
            requests.zero()
            loop(count)
            requests.dump(f"{i} {count} {name}".encode())


# ---- outside ----


def _library(folder: Path) -> Path | str:
    """callgrind.c built, or why not."""
    if shutil.which("valgrind") is None:
        return "no valgrind: on Debian or Ubuntu, apt-get install valgrind"
    library = folder / "callgrind.so"
    command = [os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", "-o", str(library)]
    command.append(str(Path(__file__).with_name("callgrind.c")))
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return f"no C compiler: {command[0]} is not installed"
    except subprocess.CalledProcessError as error:
        return f"callgrind.c does not compile: {error.stderr.strip()}"
    return library


def _read(folder: Path) -> dict[tuple[int, int, str], int]:
    """The instructions of each dump, by loop, turns and name."""
    found = {}
    for path in folder.glob("out.*"):
        text = path.read_text()
        if (name := _NAME.search(text)) and (totals := _TOTALS.search(text)):
            index, count, words = name[1].split(" ", 2)
            found[int(index), int(count), words] = int(totals[1])
    return found


def measure() -> dict[str, int] | str:
    """Instructions of one quote by name, or why they cannot be counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = _library(folder)
        if isinstance(library, str):
            return library
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no",
                   f"--callgrind-out-file={folder / 'out'}", sys.executable, "-m",
                   "bench.instructions", "--inside", str(library)]  # fmt: skip
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return f"valgrind failed: {done.stderr.strip()[-400:]}"
        totals = _read(folder)
    found: dict[str, list[float]] = {}
    for (index, count, words), total in sorted(totals.items()):
        if count == COUNT:
            twice = totals[index, 2 * COUNT, words]
            found.setdefault(words, []).append((twice - total) / COUNT)
    return {words: round(sum(counts) / len(counts)) for words, counts in found.items()}


def committed() -> dict[str, Any] | None:
    """The counts in git, else those in the working tree; None where there are none yet."""
    try:
        text = subprocess.run(
            ["git", "-C", str(ROOT), "show", f"HEAD:{RESULTS.relative_to(ROOT)}"],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        if not RESULTS.exists():
            return None
        text = RESULTS.read_bytes()
    found: dict[str, Any] = json.loads(text)
    return found


def changes(counts: dict[str, int], before: dict[str, int]) -> list[str]:
    """A line for each count that is new, gone, or more than NOTABLE away from the one before."""
    lines = []
    for name in sorted(counts.keys() | before.keys()):
        if name not in before:
            lines.append(f"{name}: new, {counts[name]} instructions")
        elif name not in counts:
            lines.append(f"{name}: not counted any more, was {before[name]}")
        elif abs(counts[name] - before[name]) > NOTABLE * before[name]:
            change = 100 * (counts[name] / before[name] - 1)
            lines.append(
                f"{name}: {counts[name]} instructions, was {before[name]} ({change:+.0f} %)"
            )
    return lines


def compiler() -> str:
    """The compiler's name for itself, on which the counts depend."""
    try:
        command = [os.environ.get("CC", "cc"), "--version"]
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return words.partition("\n")[0]


def result() -> dict[str, Any] | str:
    """The object that is written, or why there is none."""
    counts = measure()
    if isinstance(counts, str):
        return counts
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "compiler": compiler(),
        "counts": counts,
    }


def main() -> int:
    """Counts, writes, prints and compares; 0 without valgrind as well, which is said."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--inside", metavar="LIBRARY", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        inside(args.inside)
        return 0
    before = committed()
    made = result()
    if isinstance(made, str):
        print(json.dumps({"absent": made}) if args.json else f"instructions: not counted: {made}")
        return 0
    args.out.write_text(json.dumps(made, indent=2) + "\n")
    if args.json:
        print(json.dumps(made, indent=2))
        return 0
    for name, count in made["counts"].items():
        print(f"{name:<36} {count:>8} instructions")
    if before is not None:
        lines = changes(made["counts"], before["counts"])
        print(f"\nAgainst {before['commit']}: " + ("nothing changed by more than 5 %." if not lines
              else "\n" + "\n".join("  " + line for line in lines)))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
