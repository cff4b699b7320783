"""Solidity compiled once and kept under .cache, by a key of everything that goes in."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from contracts.build import SETTINGS, compile_sources
from mevfast.devnet import npm

_SOURCES = Path(__file__).resolve().parents[2] / "contracts" / "test"
_IMPORT = re.compile(r"""^import\s[^;]*?["']([^"']+)["'];""", re.MULTILINE)
_OPENZEPPELIN = "@openzeppelin/contracts"


def compiled(
    sources: Mapping[str, str], settings: Mapping[str, Any], refuse: frozenset[str]
) -> dict[str, bytes]:
    """Creation code by contract name."""
    inputs = json.dumps([npm.PINS["solc"].integrity, sources, settings], sort_keys=True)
    path = npm.cache_root() / "solc" / f"{hashlib.sha256(inputs.encode()).hexdigest()[:32]}.json"
    if not path.is_file():
        contracts = compile_sources(sources, settings, refuse=refuse)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({name: part["bytecode"] for name, part in contracts.items()}))
        aside.rename(path)  # whole or not there, whoever else compiles the same
    found = json.loads(path.read_text())
    return {name: bytes.fromhex(code) for name, code in found.items() if "_" not in code}


@cache
def props() -> dict[str, bytes]:
    """Creation code of the tokens and payers in contracts/test."""
    names = ("Announcer", "Multicall3", "Payer", "Recorded", "StandIn", "Tokens", "V4Payer")
    sources = {f"{name}.sol": (_SOURCES / f"{name}.sol").read_text() for name in names}
    return compiled(sources, SETTINGS, frozenset({"error", "warning", "info"}))


def _resolve(target: str, importer: str, path: Path) -> tuple[str, Path]:
    """The name and the file that `target` means in the source `importer`, which is at `path`."""
    if target.startswith(_OPENZEPPELIN):
        return target, npm.package(_OPENZEPPELIN) / target.removeprefix(_OPENZEPPELIN + "/")
    return os.path.normpath(os.path.join(os.path.dirname(importer), target)), path.parent / target


def _with_imports(entries: Mapping[str, Path]) -> dict[str, str]:
    """Source texts by the names that their imports resolve to, everything imported included."""
    found: dict[str, str] = {}
    waiting = dict(entries)
    while waiting:
        name, path = waiting.popitem()
        found[name] = path.read_text()
        for target in _IMPORT.findall(found[name]):
            resolved, there = _resolve(target, name, path)
            if resolved not in found:
                waiting[resolved] = there
    return found


@cache
def aerodrome() -> dict[str, bytes]:
    """Creation code of Aerodrome V1, of which there are sources only (nine seconds, once)."""
    root = npm.package("sphere-mezo-solidity-files") / "domains" / "aerodrome" / "contracts"
    names = ("Pool.sol", "factories/PoolFactory.sol")
    settings = {**SETTINGS, "viaIR": True, "optimizer": {"enabled": True, "runs": 200}}
    sources = _with_imports({name: root / name for name in names})
    return compiled(sources, settings, frozenset({"error"}))
