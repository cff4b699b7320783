"""The judge of build output: silent for a clean module, red for a hint and for a C warning."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLEAN = """
cdef int half(int x) noexcept nogil:
    return x // 2

def f(int x):
    with nogil:
        x = half(x)
    return x
"""
# Nothing said: the caller must take the GIL to see whether it raised.
HINT = CLEAN.replace(
    "cdef int half(int x) noexcept nogil:\n    return x // 2",
    """\
cdef void touch(int x) nogil:
    pass
""",
).replace("x = half(x)", "touch(x)")
WARNING = (
    'cdef extern from *:\n    """static int unused_by_all(int x) { int y; return x; }"""\n'
    "    int unused_by_all(int x) nogil\n" + CLEAN
)


@pytest.mark.parametrize(
    ("source", "words"),
    [(CLEAN, None), (HINT, "performance hint"), (WARNING, "unused variable")],
    ids=["clean", "hint", "warning"],
)
def test_what_it_says(root: Path, tmp_path: Path, source: str, words: str | None) -> None:
    (tmp_path / "mevfast" / "include").mkdir(parents=True)
    (tmp_path / "mevfast" / "_probe.pyx").write_text(source)
    shutil.copy(root / "setup.py", tmp_path)
    judge = root / "tests" / "source" / "build_warnings.py"
    done = subprocess.run(
        [sys.executable, str(judge), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if words is None else 1), done.stdout + done.stderr
    assert (words or "") in done.stdout
