"""Coverage-guided fuzzing of what reads from outside: notification frames and vector files.

    python -m tests.fuzz [wire|vectors] [--seconds 60] [--seed N]
    python -m tests.fuzz wire FILE...          runs these inputs alone

`make fuzz-wire` runs it on a build with sanitizers. The time is shared among the targets. Inputs
start from tests/vectors, so a seed repeats a run as far as the time goes. An input that breaks a
property, crashes, hangs or trips a sanitizer is written to .cache/fuzz and named, and the exit
status is 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from mevfast.devnet.npm import cache_root
from tests.fuzz import targets

ROOT = Path(__file__).parents[2]
FOLDER = cache_root() / "fuzz"
TARGETS = ("wire", "vectors")
MOST_BYTES = {"wire": 8192, "vectors": 65536}
HANG_S = 20
GRACE_S = 60
COVERAGE = ["-fsanitize-coverage=trace-pc,trace-cmp"]
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_ARTIFACT = re.compile(r"Test unit written to (\S+)")


def build_wire() -> None:
    """FOLDER/_wire.so: the module with the sanitizers of the tree's build, and coverage."""
    sanitizers = []
    if os.environ.get("MEVFAST_SANITIZE") == "1":
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = [f"-I{ROOT / 'mevfast' / 'include'}", f"-I{sysconfig.get_path('include')}"]
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-g", "-fPIC", *include]
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    parts = {
        "wire.o": [*sanitizers, *COVERAGE, str(ROOT / "mevfast" / "_wire.c")],
        "exact.o": [*sanitizers, *COVERAGE, str(Path(__file__).with_name("exact.c"))],
        "coverage.o": ["-O2", str(Path(__file__).with_name("coverage.c"))],
    }
    for name, flags in parts.items():
        subprocess.run([*command, *flags, "-c", "-o", FOLDER / name], check=True, env=environment)
    objects = [FOLDER / name for name in parts]
    link = [*command, *sanitizers, "-shared", "-Wl,-Bsymbolic", *objects, "-o"]
    subprocess.run([*link, FOLDER / "_wire.so"], check=True, env=environment)


def corpus(target: str) -> Path:
    """A fresh folder of the inputs that a run starts from."""
    folder = FOLDER / f"corpus-{target}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seeds = targets.wire_seeds() if target == "wire" else targets.vector_seeds()
    for i, seed in enumerate(seeds):
        (folder / f"{i:03d}").write_bytes(seed)
    return folder


def dictionary() -> Path:
    """The keys and values of frames, as libFuzzer reads them."""
    path = FOLDER / "wire.dict"
    lines = ['"' + re.sub(r'(["\\])', r"\\\1", word) + '"' for word in targets.wire_words()]
    path.write_text("\n".join(lines) + "\n")
    return path


def preloading() -> dict[str, str]:
    """The environment in which coverage reaches libFuzzer, not the sanitizer's empty functions."""
    names = ("atheris.custom_mutator", "atheris.core_with_libfuzzer")
    found = [spec.origin for name in names if (spec := find_spec(name)) and spec.origin]
    before = os.environ.get("LD_PRELOAD")
    options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    preload = ":".join([*found, *([before] if before else [])])
    return os.environ | {"LD_PRELOAD": preload, "ASAN_OPTIONS": options}


def run(target: str, options: list[str], seconds: float) -> int:
    """One child to its end; what it found is told. The number of findings: 0 or 1."""
    command = [sys.executable, "-m", "tests.fuzz.child", target, str(FOLDER), *options]
    log = FOLDER / f"{target}.log"
    with log.open("wb") as out:
        try:
            code = subprocess.run(
                command, cwd=ROOT, env=preloading(), stdout=out, stderr=subprocess.STDOUT,
                check=False, timeout=seconds + GRACE_S,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = -1
    text = log.read_text(errors="replace")
    stats = {name: int(value) for name, value in _STAT.findall(text)}
    if code == 0:
        print(f"{target}: {stats.get('number_of_executed_units', '?')} inputs, nothing found")
        return 0
    print(text[-6000:])
    print(f"{target}: FOUND something (exit status {code}); the log is {log}")
    if artifact := _ARTIFACT.search(text):
        print(f"{target}: the input is {artifact[1]}")
        print(f"{target}: to repeat: make fuzz-wire ARGS='{target} {artifact[1]}'")
    return 1


def main() -> int:
    """1 where anything was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="?", choices=(*TARGETS, "all"), default="all")
    parser.add_argument("files", nargs="*", metavar="FILE", help="inputs to run, and nothing else")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.files and args.target == "all":
        parser.error("name the target of these files: wire or vectors")
    if find_spec("atheris") is None:
        print("fuzz: atheris is not installed: it has no build for this Python or machine")
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen = TARGETS if args.target == "all" else (args.target,)
    if "wire" in chosen:
        build_wire()
    found = 0
    for target in chosen:
        options = [f"-artifact_prefix={FOLDER}/{target}-", f"-timeout={HANG_S}"]
        seconds = args.seconds / len(chosen)
        if args.files:
            options += [str(Path(file).resolve()) for file in args.files]
        else:
            options += [f"-seed={args.seed}", f"-max_total_time={max(1, round(seconds))}",
                        f"-max_len={MOST_BYTES[target]}", "-print_final_stats=1"]  # fmt: skip
            options += [f"-dict={dictionary()}"] if target == "wire" else []
            options.append(str(corpus(target)))
        found += run(target, options, seconds)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
