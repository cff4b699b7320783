"""Where the signing key comes from: a keystore file or a systemd credential, and nowhere else.

Owns the way from file to Signer. A key or passphrase never comes from the command line, the
environment or the config, and never reaches a message, a log or a traceback: what can be wiped is a
bytearray and is wiped, errors are raised after the failed call has been left, without its context.
Python's own str and bytes cannot be wiped: getpass gives a str and eth-keyfile works on bytes, so
short-lived copies remain in freed memory until it is reused.

Source: Web3 Secret Storage Definition, version 3; systemd.exec(5), credentials.
"""

import getpass
import json
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import orjson

from mevfast._tx import Signer
from mevfast.errors import KeyFileError

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
KEY_BYTES = 32
MAX_FILE_BYTES = 64 * 1024  # keystores have 500 bytes, passphrases fewer

log = logging.getLogger(__name__)


def load_signer(
    keystore: Path | None = None,
    passphrase_credential: str | None = None,
    credential: str | None = None,
) -> Signer:
    """Return the signer of exactly one source.

    keystore: a version 3 keystore file; its passphrase is the systemd credential named
        `passphrase_credential`, or is asked for on the terminal where that is None.
    credential: the name of a systemd credential that holds the key as 64 hex digits.

    Raises KeyFileError, which names the file, what was expected and what to do.
    """
    if (keystore is None) == (credential is None):
        was = "neither" if keystore is None else "both"
        raise KeyFileError(f"signing key: expected a keystore or a credential, was {was}: set one")
    if credential is not None:
        if passphrase_credential is not None:
            raise KeyFileError(
                "signing key: a passphrase credential goes with a keystore, but the key comes from "
                f"credential {credential}: remove one of them"
            )
        return _signer(_hex_key(credential), f"credential {credential}")
    assert keystore is not None
    document = _read_keystore(keystore)
    passphrase = read_passphrase(passphrase_credential, f"passphrase of {keystore}: ")
    try:
        key = _decrypt(keystore, document, passphrase)
    finally:
        wipe(passphrase)
    signer = _signer(key, str(keystore))
    _check_address(keystore, document, signer)
    return signer


def read_passphrase(credential: str | None, prompt: str) -> bytearray:
    """Return a passphrase from a systemd credential, or where that is None from the terminal.

    One line end after a credential's text is not part of it. The caller wipes the result.
    """
    if credential is None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise KeyFileError(
                "passphrase: expected a terminal or a systemd credential, was neither: run this on "
                "a terminal, or name a passphrase credential and load it with LoadCredential="
            )
        try:
            return bytearray(getpass.getpass(prompt).encode())
        except EOFError:
            raise KeyFileError("passphrase: expected a line, was the end of the input") from None
    passphrase = _read_credential(credential)
    for end in (b"\n", b"\r"):
        if passphrase.endswith(end):
            del passphrase[-1:]
    if not passphrase:
        raise KeyFileError(f"credential {credential}: expected a passphrase, was empty")
    return passphrase


def write_keystore(path: Path, key: bytearray, passphrase: bytearray) -> None:
    """Write a version 3 keystore (scrypt) with mode 0600; an existing file is never overwritten."""
    from eth_keyfile.keyfile import create_keyfile_json  # 0.8 s that only keystores cost

    document = json.dumps(create_keyfile_json(key, bytes(passphrase), kdf="scrypt"), indent=2)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be created: {error.strerror}") from None
    try:
        with open(fd, "w", encoding="ascii") as file:
            os.fchmod(fd, 0o600)  # whatever the umask took away
            file.write(document + "\n")
            file.flush()
            os.fsync(fd)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from None


def wipe(secret: bytearray) -> None:
    """Overwrite a secret in place."""
    secret[:] = bytes(len(secret))


def _signer(key: bytearray, source: str) -> Signer:
    try:
        return Signer(key)  # which wipes it
    except ValueError as error:
        problem = str(error)
    raise KeyFileError(f"{source}: {problem}: make one with `mevfast key new`")


def _read(path: Path, what: str) -> tuple[bytearray, int]:
    """Return the content, in one bytearray and no other copy, and the file's mode."""
    try:
        # Without O_NONBLOCK a named pipe would hang the start.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise KeyFileError(f"{path}: expected {what}, was no regular file")
            if status.st_size > MAX_FILE_BYTES:
                raise KeyFileError(
                    f"{path}: expected {what}, at most {MAX_FILE_BYTES} bytes, was {status.st_size}"
                )
            content = bytearray(status.st_size)
            size = file.readinto(content) or 0
    except OSError as error:
        raise KeyFileError(
            f"{path}: expected {what}, cannot be read: {error.strerror}: "
            f"check the path, and that user id {os.getuid()} may read it"
        ) from None
    del content[size:]
    return content, status.st_mode


def _read_credential(name: str) -> bytearray:
    if not name or "/" in name or name in (".", ".."):
        raise KeyFileError(f"credential {name!r}: expected a name as in LoadCredential=NAME:PATH")
    directory = os.environ.get(CREDENTIALS_DIRECTORY)
    if not directory:
        raise KeyFileError(
            f"credential {name}: expected ${CREDENTIALS_DIRECTORY}, which systemd sets, was unset: "
            f"add LoadCredential={name}:/path/to/file to the unit"
        )
    path = Path(directory, name)
    content, mode = _read(path, f"the credential {name}")
    if mode & stat.S_IROTH:
        wipe(content)
        raise KeyFileError(
            f"{path}: everyone may read it (mode {stat.S_IMODE(mode):04o}), expected 0400 or 0440: "
            "it is no longer a secret, replace it and chmod 0400 the new one"
        )
    return content


_NIBBLE = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}


def _hex_key(credential: str) -> bytearray:
    # By hand and in place: bytes.fromhex and strip would leave copies that cannot be wiped.
    text = _read_credential(credential)
    key = bytearray(KEY_BYTES)
    try:
        while text and text[-1] in b" \t\r\n":
            del text[-1:]
        if text.startswith(b"0x"):
            del text[:2]
        n = len(text)
        valid = n == 2 * KEY_BYTES and all(digit in _NIBBLE for digit in text)
        for i in range(KEY_BYTES if valid else 0):
            key[i] = _NIBBLE[text[2 * i]] << 4 | _NIBBLE[text[2 * i + 1]]
    finally:
        wipe(text)
    if not valid:
        raise KeyFileError(
            f"credential {credential}: expected a key of {2 * KEY_BYTES} hex digits, was {n} "
            "characters or others than hex digits; a keystore is configured as a keystore, with "
            "its passphrase as the credential"
        )
    return key


def _read_keystore(path: Path) -> dict[str, Any]:
    content, mode = _read(path, "a keystore file")
    if mode & stat.S_IROTH:
        log.warning(
            "%s: everyone may read this keystore (mode %04o) and guess at its passphrase: "
            "chmod 0600 it",
            path,
            stat.S_IMODE(mode),
        )
    try:
        document = orjson.loads(content)
        crypto = document.get("crypto", document.get("Crypto"))
        usable = document["version"] == 3 and crypto["kdf"] in ("scrypt", "pbkdf2")
        # A shorter derived key leaves the MAC without a secret: any passphrase would pass.
        usable = usable and crypto["kdfparams"]["dklen"] >= KEY_BYTES
    except (ValueError, TypeError, KeyError, AttributeError):
        usable = False
    finally:
        wipe(content)  # which may be a raw key, given as a keystore by mistake
    if not usable:
        document = None  # 64 decimal digits, say, are JSON too
        raise KeyFileError(
            f"{path}: expected a keystore (JSON, version 3, scrypt or pbkdf2 with dklen 32), was "
            "something else: make one with `mevfast key new`, geth or eth-account"
        )
    assert isinstance(document, dict)
    return document


def _decrypt(path: Path, document: dict[str, Any], passphrase: bytearray) -> bytearray:
    from eth_keyfile.keyfile import decode_keyfile_json  # see write_keystore

    try:
        return bytearray(decode_keyfile_json(document, bytes(passphrase)))
    except Exception:  # the library's own, and whatever a damaged field sets off
        pass
    # Not in the except block: even `from None` would keep the exception, and with it frames whose
    # locals are secrets, in __context__.
    raise KeyFileError(
        f"{path}: the passphrase does not open this keystore, or the file is damaged: "
        "try again, or restore the file"
    )


def _check_address(path: Path, document: dict[str, Any], signer: Signer) -> None:
    stated = document.get("address")
    if stated is None:
        return  # optional in the format
    if str(stated).lower().removeprefix("0x") != signer.address.lower()[2:]:
        raise KeyFileError(
            f"{path}: its address field says {stated}, its key is {signer.address}'s: one of them "
            "is not the key you mean, restore the file"
        )
