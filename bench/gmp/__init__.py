"""How fast is u256.h beside GMP? Both in one process, on the same operands, in turn, least times.

    python -m bench.gmp

prints one JSON object: for each case ns of one operation, ours and GMP's mpn functions', and their
ratio. Every result is compared. GMP is the one inside the wheel of gmpy2, which chooses its code
by the processor at run time; without gmpy2, the system's libgmp.so.10.
"""

import ctypes
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "mevfast" / "include"
COMPILE = "-std=gnu11 -Wall -Wextra -O3 -DNDEBUG -shared -fPIC"  # as setup.py compiles
SYMBOLS = ("__gmpn_mul", "__gmpn_mul_n", "__gmpn_tdiv_qr", "__gmpn_sqrtrem")
PASSES = 400
SEED = 1


def _libgmp() -> ctypes.CDLL | str:
    """GMP as a library, or why there is none."""
    spec = find_spec("gmpy2")
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parents[1] / "gmpy2.libs"
        for path in sorted(beside.glob("libgmp-*")):
            return ctypes.CDLL(str(path))
    try:
        return ctypes.CDLL("libgmp.so.10")
    except OSError:
        return "no GMP: neither the package gmpy2 nor libgmp.so.10 is installed"


def _compared(folder: Path) -> ctypes.CDLL | str:
    """compare.c as a library, or why it could not be built."""
    library = folder / "compare.so"
    command = ["cc", *COMPILE.split(), f"-I{INCLUDE}", str(HERE / "compare.c"), "-o", str(library)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return "no C compiler: cc is not installed"
    except subprocess.CalledProcessError as error:
        return f"compare.c does not compile: {error.stderr.strip()}"
    built = ctypes.CDLL(str(library))
    built.case_name.restype = ctypes.c_char_p
    built.case_run.argtypes = (
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_uint64,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_double),
    )
    return built


def compare(passes: int = PASSES, seed: int = SEED) -> dict[str, dict[str, float]] | str:
    """{case: {"ours_ns", "gmp_ns", "ratio"}}, or why nothing could be measured.

    Raises:
        ArithmeticError: a result differs from GMP's.
    """
    gmp = _libgmp()
    if isinstance(gmp, str):
        return gmp
    with tempfile.TemporaryDirectory() as folder:
        built = _compared(Path(folder))
    if isinstance(built, str):
        return built
    addresses = [ctypes.cast(gmp[symbol], ctypes.c_void_p) for symbol in SYMBOLS]
    table = (ctypes.c_void_p * len(SYMBOLS))(*addresses)
    out: dict[str, dict[str, float]] = {}
    i = 0
    while (name := built.case_name(i)) is not None:
        ns = (ctypes.c_double * 2)()
        if built.case_run(i, table, seed, passes, ns) != 0:
            raise ArithmeticError(f"{name.decode()}: u256.h and GMP differ, seed {seed}")
        out[name.decode()] = {
            "ours_ns": round(ns[0], 2),
            "gmp_ns": round(ns[1], 2),
            "ratio": round(ns[0] / ns[1], 3),
        }
        i += 1
    return out
