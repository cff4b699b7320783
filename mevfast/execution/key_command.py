"""`mevfast key`: make a keystore, or show the address of one. Prints addresses, never keys."""

import argparse
import json
import secrets
from pathlib import Path

from mevfast._tx import Signer
from mevfast.errors import KeyFileError
from mevfast.execution.keys import load_signer, read_passphrase, wipe, write_keystore

HELP = "make a signing key, or show the address of one"
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a random key and write it as a keystore, mode 0600")
    new.add_argument("--out", type=Path, required=True, metavar="FILE", help="must not exist")
    address = actions.add_parser("address", help="decrypt a keystore and print its address")
    address.add_argument("--keystore", type=Path, required=True, metavar="FILE")
    for action in (new, address):
        action.add_argument(
            "--passphrase-credential",
            metavar="NAME",
            help="systemd credential with the passphrase (default: ask on the terminal)",
        )
        action.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Do the action and print the address; 0, or KeyFileError."""
    if args.action == "new":
        file, address = args.out, _new(args.out, args.passphrase_credential)
    else:
        file, address = (
            args.keystore,
            load_signer(args.keystore, args.passphrase_credential).address,
        )
    print(json.dumps({"address": address, "file": str(file)}) if args.json else address)
    return 0


def _new(path: Path, passphrase_credential: str | None) -> str:
    if path.exists() or path.is_symlink():  # before anyone types a passphrase; writing checks again
        raise KeyFileError(
            f"{path}: already exists, a key is never overwritten: choose another name"
        )
    if not path.parent.is_dir():
        raise KeyFileError(f"{path}: expected the directory {path.parent}, was none: make it first")
    passphrase = _chosen_passphrase(passphrase_credential)
    key = _random_key()
    try:
        write_keystore(path, key, passphrase)
        return Signer(key).address
    finally:
        wipe(key)
        wipe(passphrase)


def _random_key() -> bytearray:
    while True:
        key = bytearray(secrets.token_bytes(32))
        if 0 < int.from_bytes(key, "big") < SECP256K1_ORDER:  # refused once in 2**128
            return key


def _chosen_passphrase(credential: str | None) -> bytearray:
    passphrase = read_passphrase(credential, "new passphrase: ")
    if not passphrase:
        raise KeyFileError("passphrase: expected one, was empty: it is all that protects the file")
    if credential is None:
        again = read_passphrase(None, "the same again: ")
        same = secrets.compare_digest(passphrase, again)
        wipe(again)
        if not same:
            wipe(passphrase)
            raise KeyFileError("passphrase: the two differ, nothing was written: try again")
    return passphrase
