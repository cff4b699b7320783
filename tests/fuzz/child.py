"""One target under libFuzzer, in the process that tests.fuzz starts: python -m tests.fuzz.child.

    child TARGET FOLDER [libFuzzer's own options and files]

For `wire` the module is one compiled with coverage, FOLDER/_wire.so, in place of the one in the
tree; for `vectors` the reader's Python code is instrumented as it is imported. Atheris' own
libraries must be preloaded, before the sanitizer's: both define the names that coverage goes by.
"""

import ctypes
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris

from tests.fuzz.damage import damaged, names


def covered_wire(library: Path) -> ctypes.CDLL:
    """mevfast._wire from this library, its coverage told to the fuzzer; the library itself."""
    import mevfast

    found = ctypes.CDLL(str(library))
    found.coverage_register()
    found.scan_exact.argtypes = ctypes.c_char_p, ctypes.c_size_t
    loader = importlib.machinery.ExtensionFileLoader("mevfast._wire", str(library))
    spec = importlib.util.spec_from_file_location("mevfast._wire", library, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules["mevfast._wire"] = mevfast._wire = module
    return found


def mutator(target: str, share: float, known: list[str]) -> Callable[[bytes, int, int], bytes]:
    """Damages the document in `share` of the cases, its bytes otherwise."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        dice = Random(seed)
        changed = damaged(data, dice, target, known) if dice.random() < share else None
        if changed is None or len(changed) > most:
            return bytes(atheris.Mutate(data, most))
        return changed

    return mutate


def main() -> None:
    """Runs until libFuzzer ends the process."""
    target, folder, options = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    wire = target == "wire"
    if wire:
        scan_exact = covered_wire(folder / "_wire.so").scan_exact
        from tests.fuzz import targets

        def test(data: bytes) -> None:
            scan_exact(data, len(data))
            targets.wire(data)
    else:
        with atheris.instrument_imports(include=["mevfast.verify"]):
            from tests.fuzz import targets
        test = targets.vectors

    seeds = targets.wire_seeds() if wire else targets.vector_seeds()
    atheris.Setup(
        [sys.argv[0], *options],
        test,
        custom_mutator=mutator(target, 0.3 if wire else 0.9, names(seeds)),
        internal_libfuzzer=True,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
