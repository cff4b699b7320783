"""Extensions and compiler directives, nothing else.

MEVFAST_DEBUG=1     bounds checks on, -O1 -g, asserts kept
MEVFAST_SANITIZE=1  address and undefined-behaviour sanitizers, asserts kept; see tools/sanitized
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("MEVFAST_DEBUG") == "1"
SANITIZE = os.environ.get("MEVFAST_SANITIZE") == "1"

COMPILE = ["-std=gnu11", "-Wall", "-Wextra", "-Wno-unused-function", "-Wno-sign-compare"]
COMPILE += ["-O1", "-g", "-UNDEBUG"] if DEBUG or SANITIZE else ["-O3", "-DNDEBUG"]
LINK: list[str] = []
if SANITIZE:
    # float-cast-overflow is not part of `undefined`: a double out of an integer's range.
    COMPILE += ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    COMPILE += ["-fno-omit-frame-pointer"]
    LINK += ["-fsanitize=address,undefined"]

DIRECTIVES = {
    "language_level": "3",
    "binding": False,
    "boundscheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": DEBUG,
    "embedsignature": True,
    "freethreading_compatible": False,
}


def make_extension(source: Path) -> Extension:
    """One compiled module from one .pyx, seeing every header in mevfast/include."""
    return Extension(
        f"mevfast.{source.stem}",
        [str(source)],
        include_dirs=["mevfast/include"],
        depends=[str(header) for header in sorted(Path("mevfast/include").glob("*.h"))],
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
    )


setup(
    ext_modules=cythonize(
        [make_extension(path) for path in sorted(Path("mevfast").glob("_*.pyx"))],
        compiler_directives=DIRECTIVES,
        nthreads=os.cpu_count() or 1,
    ),
)
