"""Build every extension from scratch in a copy of the sources; fail on any hint or warning.

`performance hint` is how Cython says that a nogil call takes the GIL to look for an exception:
36 ns where 1.4 would do. Run as `python tests/source/build_warnings.py [ROOT]`; it prints what it
found and exits 1, or exits 0.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = ("setup.py", "pyproject.toml", "README.md")
COMPLAINT = re.compile(r"performance hint|\bwarning\b", re.IGNORECASE)


def build_output(root: Path) -> str:
    """All that a forced build of `root` prints. Raises SystemExit with it where the build fails."""
    with tempfile.TemporaryDirectory(prefix="mevfast-build-") as folder:
        copy = Path(folder)
        ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
        shutil.copytree(root / "mevfast", copy / "mevfast", ignore=ignored)
        for name in NEEDED:
            if (root / name).exists():
                shutil.copy(root / name, copy)
        jobs = str(os.cpu_count() or 1)
        done = subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--parallel", jobs],
            cwd=copy,
            env={**os.environ, "CYTHON_FORCE_REGEN": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nthe build failed")
    return done.stdout


def complaints(output: str) -> list[str]:
    """The lines of a build's output in which Cython or the C compiler complains."""
    return [line for line in output.splitlines() if COMPLAINT.search(line)]


def main(root: Path) -> int:
    """Build and judge; 0 if nothing complains."""
    output = build_output(root)
    found = complaints(output)
    if found:
        print(output)
        print(f"{len(found)} hints or warnings:", *found, sep="\n  ")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2]))
