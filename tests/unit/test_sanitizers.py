"""A build with sanitizers has them, and under tools/sanitized a finding ends the process."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CC = os.environ.get("CC", "cc")
MODULES = sorted(path.stem for path in Path("mevfast").glob("_*.pyx"))

CANARY = """
#include <stdint.h>
#include <stdlib.h>
char *volatile block;  /* not known to the compiler */
int read_at(int i) { block = calloc(8, 1); int value = block[i]; free(block); return value; }
int increment(int value) { return value + 1; }
uint64_t to_integer(double value) { return (uint64_t)value; }
"""
CALL = """
import ctypes, sys
canary = ctypes.CDLL(sys.argv[1])
canary.to_integer.argtypes = [ctypes.c_double]
print(getattr(canary, sys.argv[2])(float(sys.argv[3]) if "." in sys.argv[3] else int(sys.argv[3])))
"""


@pytest.mark.parametrize("name", MODULES)
def test_module_is_imported_and_has_the_sanitizers_of_its_build(name: str) -> None:
    module = importlib.import_module(f"mevfast.{name}")
    assert module.__file__ is not None
    marked = b"__asan_init" in Path(module.__file__).read_bytes()
    assert marked == (os.environ.get("MEVFAST_SANITIZE") == "1")


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A library with the flags of the build, that does what no module must do."""
    if shutil.which(CC) is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("canary")
    (folder / "canary.c").write_text(CANARY)
    flags = [
        word for line in (root / "setup.py").read_text().splitlines() if "sanitize" in line
        for word in line.split('"') if word.startswith(("-fsanitize", "-fno-sanitize"))
    ]  # fmt: skip
    command = [CC, "-O1", "-g", "-shared", "-fPIC", *sorted(set(flags))]
    subprocess.run([*command, "canary.c", "-o", "canary.so"], cwd=folder, check=True)
    return folder / "canary.so"


@pytest.mark.parametrize(
    ("function", "argument", "found"),
    [
        ("read_at", "7", ""),
        ("read_at", "8", "heap-buffer-overflow"),
        ("increment", "7", ""),
        ("increment", "2147483647", "signed integer overflow"),
        ("to_integer", "7.0", ""),
        ("to_integer", "1.0e30", "outside the range of representable values"),
    ],
)
def test_finding_ends_the_process(
    root: Path, canary: Path, function: str, argument: str, found: str
) -> None:
    command = [root / "tools" / "sanitized", sys.executable, "-c", CALL, canary, function, argument]
    environment = {key: os.environ[key] for key in os.environ if key != "LD_PRELOAD"}
    ran = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert found in ran.stderr
    assert (ran.returncode != 0) == bool(found), ran.stderr
