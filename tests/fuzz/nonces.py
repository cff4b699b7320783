"""Nonces hashed by the SHA instructions against the library's own: signatures of random digests.

    python -m tests.fuzz.nonces [--count 100000] [--seed N]

Equal signatures are equal nonces. Says how many were compared; exit status 1 where any differed, 2
where this processor has no SHA instructions or the signer does not use them.
"""

import argparse
import sys
from collections.abc import Iterator
from random import Random

from mevfast._tx import Signer

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
A_KEY = 256
"""Digests signed with one key."""
EDGES = (0, 1, ORDER - 1, ORDER, ORDER + 1, 2**255, 2**256 - 1)
"""Digests that are taken modulo the order, and their neighbours."""


def pair(key: int) -> tuple[Signer, Signer]:
    """The key's signers with the SHA instructions and without."""
    ours, theirs = (
        Signer(bytearray(key.to_bytes(32, "big")), sha_ni=sha_ni) for sha_ni in (True, False)
    )
    return ours, theirs


def digests(count: int, dice: Random) -> Iterator[bytes]:
    """EDGES, then random ones, of which one in eight is near the order: 2**256 - 2**128 or more."""
    for i in range(count):
        if i < len(EDGES):
            yield EDGES[i].to_bytes(32, "big")
        elif i % 8 == 0:
            yield b"\xff" * 16 + dice.randbytes(16)
        else:
            yield dice.randbytes(32)


def differences(count: int, seed: int) -> list[tuple[str, bytes]]:
    """Address and digest of every signature that is not the same by both."""
    dice, found, signed = Random(seed), [], 0
    while signed < count:
        key = (1, 2, ORDER - 1)[signed // A_KEY] if signed < 3 * A_KEY else dice.randrange(1, ORDER)
        ours, theirs = pair(key)
        for digest in digests(min(A_KEY, count - signed), dice):
            signed += 1
            if ours.sign_digest(digest) != theirs.sign_digest(digest):
                found.append((ours.address, digest))
    return found


def main() -> int:
    """Compares and tells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="digests to sign, by both")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    ours, theirs = pair(1)
    if (ours.nonces, theirs.nonces) != ("SHA-NI", "libsecp256k1"):
        print(f"nonces: not compared: hashed by {ours.nonces} and {theirs.nonces}")
        return 2
    found = differences(args.count, args.seed)
    for address, digest in found[:10]:
        print(f"nonces: {address} signs {digest.hex()} differently")
    print(f"nonces: {args.count} digests signed by both, {len(found)} differently")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
