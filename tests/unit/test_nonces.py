"""Nonces hashed by the SHA instructions: the library's bytes, or the library hashes them itself."""

import ctypes
import hashlib
import hmac
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import coincurve
import pytest

from mevfast._tx import Signer
from tests.fuzz.nonces import EDGES, ORDER, differences, pair

ROOT = Path(__file__).parents[2]
LIBRARY = coincurve._libsecp256k1.__file__
HAS_SHA_NI = pair(1)[0].nonces == "SHA-NI"
Nonce = Callable[[bytes, bytes, int], bytes | None]
"""Of a key, a digest and a counter; None where it is refused."""

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
needs_sha_ni = pytest.mark.skipif(not HAS_SHA_NI, reason="this processor has no SHA instructions")

FUNCTION = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p,
    ctypes.c_void_p, ctypes.c_uint,
)  # fmt: skip
SOURCE = """
#include "rfc6979.h"
int can_run(void) { return rfc6979_can_run(); }
int nonce(uint8_t *out, const uint8_t *digest, const uint8_t *key, const uint8_t *algorithm,
          void *data, unsigned counter) {
    return rfc6979_nonce(out, digest, key, algorithm, data, counter);
}
"""


def compiled(folder: Path, *flags: str) -> ctypes.CDLL:
    (folder / "nonce.c").write_text(SOURCE)
    command = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared"]
    command += ["-fPIC", f"-I{ROOT / 'mevfast/include'}", *flags, "nonce.c", "-o", "nonce.so"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "nonce.so"))


def through(function: Callable[..., int]) -> Nonce:
    def nonce(key: bytes, digest: bytes, counter: int) -> bytes | None:
        out = ctypes.create_string_buffer(32)
        return out.raw if function(out, digest, key, None, None, counter) else None

    return nonce


def python_nonce(key: bytes, digest: bytes, counter: int) -> bytes:
    """RFC 6979, section 3.2, with the digest taken as libsecp256k1 does; the counter-th retry."""

    def mac(k: bytes, *parts: bytes) -> bytes:
        return hmac.digest(k, b"".join(parts), hashlib.sha256)

    message = (int.from_bytes(digest, "big") % ORDER).to_bytes(32, "big")
    k, v = bytes(32), b"\x01" * 32
    for byte in (b"\x00", b"\x01"):
        k = mac(k, v, byte, key, message)
        v = mac(k, v)
    v = mac(k, v)
    for _ in range(counter):
        k = mac(k, v, b"\x00")
        v = mac(k, v)
        v = mac(k, v)
    return v


@needs_cc
@needs_sha_ni
def test_nonces_are_the_librarys_at_every_counter_and_edge(tmp_path: Path) -> None:
    ours = through(FUNCTION(ctypes.cast(compiled(tmp_path).nonce, ctypes.c_void_p).value))
    pointer = ctypes.c_void_p.in_dll(ctypes.CDLL(LIBRARY), "secp256k1_nonce_function_rfc6979")
    theirs = through(FUNCTION(pointer.value))
    dice = Random(6979)
    edges = [edge.to_bytes(32, "big") for edge in EDGES]
    for key in [edge for edge in edges if 0 < int.from_bytes(edge, "big") < ORDER]:
        for digest in edges:
            for counter in range(4):
                expected = python_nonce(key, digest, counter)
                assert ours(key, digest, counter) == theirs(key, digest, counter) == expected
    for i in range(3_000):
        key, digest = dice.randbytes(32), dice.randbytes(32)
        assert ours(key, digest, i % 3) == theirs(key, digest, i % 3)


@needs_cc
@needs_sha_ni
def test_what_signing_does_not_pass_is_refused(tmp_path: Path) -> None:
    nonce = compiled(tmp_path).nonce
    out = ctypes.create_string_buffer(32)
    for algorithm, data in ((b"ECDSA+SHA256    ", None), (None, b"\x07" * 32)):
        assert nonce(out, bytes(32), b"\x01" * 32, algorithm, data, 0) == 0
    assert out.raw == bytes(32)


@needs_sha_ni
def test_signatures_are_the_same_with_the_instructions_and_without() -> None:
    assert differences(5_000, seed=20261130) == []


@needs_cc
def test_a_processor_without_the_instructions_leaves_nonces_to_the_library(tmp_path: Path) -> None:
    without = compiled(tmp_path, "-DRFC6979_PORTABLE")
    assert without.can_run() == 0
    assert through(without.nonce)(b"\x01" * 32, bytes(32), 0) is None
    signer = Signer(bytearray(b"\x01" * 32), sha_ni=False)
    assert (signer.backend, signer.nonces) == ("libsecp256k1", "libsecp256k1")


def test_the_python_fallback_hashes_its_nonces_itself() -> None:
    signer = Signer(bytearray(b"\x01" * 32), "/nonexistent.so")
    assert (signer.backend, signer.nonces) == ("coincurve", "coincurve")
    assert (signer.locked, signer.undumped) == (False, False)
    digest = hashlib.sha256(b"any").digest()
    assert signer.sign_digest(digest) == pair(int.from_bytes(b"\x01" * 32))[0].sign_digest(digest)


@needs_cc
@needs_sha_ni
@pytest.mark.parametrize("when", ["key[31] == 1", "key[31] != 1"], ids=["known key", "own key"])
def test_nonces_that_miss_a_known_answer_are_not_used(tmp_path: Path, when: str) -> None:
    # The real library, which signs another digest if it is given a nonce function.
    (tmp_path / "wrong.c").write_text(f"""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        typedef const unsigned char *bytes;
        int secp256k1_ecdsa_sign_recoverable(const void *c, void *s, bytes digest, bytes key,
                                             void *nonce, const void *data) {{
            int (*real)(const void *, void *, bytes, bytes, void *, const void *);
            *(void **)&real = dlsym(RTLD_NEXT, "secp256k1_ecdsa_sign_recoverable");
            return real(c, s, nonce && ({when}) ? key : digest, key, nonce, data);
        }}""")
    command = ["cc", "-shared", "-fPIC", "wrong.c", "-Wl,--no-as-needed", LIBRARY, "-o", "wrong.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    signer = Signer(bytearray(b"\x02" * 32), str(tmp_path / "wrong.so"))
    assert (signer.backend, signer.nonces) == ("libsecp256k1", "libsecp256k1")
    digest = hashlib.sha256(b"any").digest()
    assert signer.sign_digest(digest) == Signer(bytearray(b"\x02" * 32)).sign_digest(digest)


@pytest.mark.parametrize("sha_ni", [True, False])
def test_a_child_process_has_no_key_to_sign_with(sha_ni: bool) -> None:
    signer = Signer(bytearray(b"\x02" * 32), sha_ni=sha_ni)
    child = os.fork()
    if child == 0:
        try:
            signer.sign_digest(bytes(32))
        except RuntimeError:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert len(signer.sign_digest(bytes(32))) == 65
