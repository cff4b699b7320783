"""Solidity compiled once and kept under .cache, by a key of everything that goes in."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from contracts.build import SETTINGS, compile_sources
from mevfast.devnet import npm

_SOURCES = Path(__file__).resolve().parents[2] / "contracts" / "test"


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
    names = ("Payer.sol", "Tokens.sol")
    sources = {name: (_SOURCES / name).read_text() for name in names}
    return compiled(sources, SETTINGS, frozenset({"error", "warning", "info"}))
