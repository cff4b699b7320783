"""keccak.h against published hashes, two other implementations and strict compiler flags."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from Crypto.Hash import keccak as pycryptodome
from eth_hash.auto import keccak as eth_hash

from mevfast._tx import keccak256

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "tests/vectors/signing.json").read_text())["keccak256"]


def pattern(n: int) -> bytes:
    return bytes(7 * i % 251 for i in range(n))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.get("text", case.get("pattern"))))
def test_known_hashes(case):
    data = case["text"].encode() if "text" in case else pattern(case["pattern"])
    assert keccak256(data).hex() == keccak256(data, portable=True).hex() == case["hash"][2:]


def test_equals_other_implementations_at_every_length_over_four_blocks():
    for n in range(601):
        data = pattern(n)
        assert keccak256(data) == keccak256(data, portable=True) == eth_hash(data), n
        assert keccak256(data) == pycryptodome.new(digest_bits=256, data=data).digest(), n


def test_accepts_any_contiguous_buffer():
    data = pattern(300)
    assert keccak256(bytearray(data)) == keccak256(memoryview(data)) == keccak256(data)
    with pytest.raises(BufferError):
        keccak256(memoryview(data)[::2])
    with pytest.raises(TypeError):
        keccak256("0x00")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_header_compiles_alone_without_any_warning(tmp_path):
    source = tmp_path / "alone.c"
    source.write_text(
        '#include "keccak.h"\n'
        "void f(uint8_t *out, const uint8_t *in, size_t n);\n"
        "void f(uint8_t *out, const uint8_t *in, size_t n) { keccak256(out, in, n); }\n"
    )
    flags = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    subprocess.run(
        ["cc", *flags, "-O3", f"-I{ROOT / 'mevfast/include'}", "-c", source, "-o", tmp_path / "o"],
        check=True,
    )
