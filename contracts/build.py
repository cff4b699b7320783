"""Compiles contracts/src into contracts/artifacts with the pinned npm solc.

    python -m contracts.build           write the artifacts
    python -m contracts.build --check   compile again and compare; exit 1 on any difference

Owns the compiler settings. An artifact depends on the source and these settings alone: no metadata
hash, no path, no time. Needs Node.js; the compiler comes from the package cache of the devnet.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mevfast.devnet import npm
from mevfast.errors import MevfastError

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "src"
ARTIFACTS = ROOT / "artifacts"

# Contract -> its source file: what is committed. Interfaces and bases have no artifact.
CONTRACTS = {
    "Executor": "Executor.sol",
    "PairReader": "PoolReader.sol",
    "TickReader": "PoolReader.sol",
    "TokenHand": "TokenProbe.sol",
    "TokenProbe": "TokenProbe.sol",
    "TokenReader": "PoolReader.sol",
}

PLACED = frozenset({"TokenHand", "TokenProbe"})
"""What state overrides put at an address: its artifact has the runtime code too."""

SETTINGS: Mapping[str, Any] = {
    "evmVersion": "cancun",
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    # Calls are paid on every trade, the deployment once.
    "optimizer": {"enabled": True, "runs": 1_000_000},
    # solc 0.8.28-0.8.33 may clear the wrong kind of storage on this pipeline
    # (TransientStorageClearingHelperCollision), and it gains next to nothing here.
    "viaIR": False,
}

_COMPILE_TIMEOUT_S = 120

# soljson.js is the compiler itself; the package's wrapper has dependencies and is not needed.
_NODE = """
const solc = require(process.argv[1]);
const compile = solc.cwrap('solidity_compile', 'string', ['string', 'number', 'number']);
const version = solc.cwrap('solidity_version', 'string', []);
const input = require('fs').readFileSync(0, 'utf8');
process.stdout.write(JSON.stringify([version(), JSON.parse(compile(input, 0, 0))]));
"""


class CompileError(MevfastError):
    """The compiler refused a source: its own formatted messages."""


def compile_sources(
    sources: Mapping[str, str],
    settings: Mapping[str, Any] = SETTINGS,
    *,
    refuse: frozenset[str] = frozenset({"error", "warning", "info"}),
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Compiles Solidity texts (file name -> content) that may import each other by name.

    Returns the compiler's version and, for each contract that has code, its abi, bytecode and
    runtime bytecode (hex, no 0x). CompileError on messages of the severities in `refuse`: in
    sources of our own there is not even a warning.
    """
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {
            **settings,
            "outputSelection": {
                "*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}
            },
        },
    }
    done = subprocess.run(
        [npm.node_binary(), "-e", _NODE, str(npm.soljson())],
        input=json.dumps(request), capture_output=True, text=True,
        timeout=_COMPILE_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise CompileError(f"solc did not run: {done.stderr.strip()[-500:]}")
    version, output = json.loads(done.stdout)
    messages = [
        error["formattedMessage"].strip()
        for error in output.get("errors", [])
        if error["severity"] in refuse
    ]
    if messages:
        raise CompileError("\n".join(messages))
    return version, {
        name: {
            "abi": compiled["abi"],
            "bytecode": compiled["evm"]["bytecode"]["object"],
            "runtime": compiled["evm"]["deployedBytecode"]["object"],
        }
        for by_name in output["contracts"].values()
        for name, compiled in by_name.items()
        if compiled["evm"]["bytecode"]["object"]
    }


def build() -> dict[str, str]:
    """Artifact file name -> its text, compiled from contracts/src.

    `runtime_sha256` is over the runtime code as compiled, its immutables still zero.
    """
    sources = {path.name: path.read_text() for path in sorted(SOURCES.glob("*.sol"))}
    version, contracts = compile_sources(sources)
    files = {}
    for name, source in CONTRACTS.items():
        contract = contracts[name]
        artifact = {
            "contract": name,
            "source": f"contracts/src/{source}",
            "source_sha256": hashlib.sha256(sources[source].encode()).hexdigest(),
            "compiler": f"solc {version}",
            "settings": SETTINGS,
            "runtime_sha256": hashlib.sha256(bytes.fromhex(contract["runtime"])).hexdigest(),
            "bytecode": "0x" + contract["bytecode"],
            **({"runtime": "0x" + contract["runtime"]} if name in PLACED else {}),
            "abi": contract["abi"],
        }
        # One line a field: a change shows up as the field it is in.
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in artifact.items()]
        files[f"{name}.json"] = "{\n" + ",\n".join(lines) + "\n}\n"
    return files


def differences(files: Mapping[str, str], folder: Path = ARTIFACTS) -> list[str]:
    """One line for each artifact in `folder` that is missing, unknown or not what was compiled."""
    found = {path.name: path.read_text() for path in sorted(folder.glob("*.json"))}
    lines = []
    for name in sorted(files.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name}: missing")
        elif name not in files:
            lines.append(f"{name}: no contract of this name is built")
        elif files[name] != found[name]:
            lines.append(f"{name}: differs in {', '.join(_fields(files[name], found[name]))}")
    return lines


def _fields(expected: str, actual: str) -> list[str]:
    try:
        new, old = json.loads(expected), json.loads(actual)
    except ValueError:
        return ["syntax: not JSON"]
    names = [key for key in new.keys() | old.keys() if new.get(key) != old.get(key)]
    return sorted(names) or ["layout"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command described at the head of this module and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args(arguments).check
    try:
        files = build()
    except MevfastError as error:
        print(f"contracts: error: {error}", file=sys.stderr)
        return error.exit_code
    if not check:
        ARTIFACTS.mkdir(exist_ok=True)
        for name, text in files.items():
            (ARTIFACTS / name).write_text(text)
        return 0
    lines = differences(files)
    for line in lines:
        print(f"contracts/artifacts/{line}: run python -m contracts.build", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
