"""Where the key comes from: known keystores, credentials, refusals, and that no secret gets out."""

import argparse
import getpass
import io
import json
import logging
import os
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from eth_keyfile import create_keyfile_json

from mevfast._tx import Signer
from mevfast.errors import KeyFileError
from mevfast.execution import key_command, keys
from mevfast.execution.keys import load_signer

KNOWN = json.loads((Path(__file__).parents[1] / "vectors/signing.json").read_text())["keystores"]
KEY_HEX = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"  # anvil's second
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def credentials(tmp_path, monkeypatch):
    """Write credentials as systemd leaves them: one file each, mode 0400."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))

    def write(name: str, content: str | bytes, mode: int = 0o400) -> None:
        path = directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    return write


@pytest.fixture
def terminal(monkeypatch):
    """Answer passphrase prompts in order; returns the prompts that were shown."""
    prompts: list[str] = []

    def answer(*lines: str) -> list[str]:
        remaining = list(lines)

        def ask(prompt: str) -> str:
            prompts.append(prompt)
            if not remaining:
                raise EOFError
            return remaining.pop(0)

        monkeypatch.setattr(getpass, "getpass", ask)
        monkeypatch.setattr("sys.stdin", type("Tty", (io.StringIO,), {"isatty": lambda _: True})())
        return prompts

    return answer


def write_keystore(path: Path, mode: int = 0o600, kdf: str = "scrypt", **change: object) -> Path:
    document = create_keyfile_json(
        bytes.fromhex(KEY_HEX), PASSPHRASE.encode(), kdf=kdf, iterations=2
    )
    path.write_text(json.dumps({**document, **change}))
    path.chmod(mode)
    return path


def assert_no_secret(error: BaseException, *secrets: str) -> None:
    """Neither message, chained exceptions nor any frame's locals may hold a secret."""
    assert error.__cause__ is None
    assert error.__context__ is None or isinstance(error.__context__, OSError | EOFError)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    # The test's own frame and its fixtures hold the secrets, of course.
    trace.stack = traceback.StackSummary.from_list(
        [frame for frame in trace.stack if "/tests/" not in frame.filename]
    )
    shown = "".join(trace.format()) + str(error)
    for secret in (KEY_HEX, PASSPHRASE, repr(bytes.fromhex(KEY_HEX))[2:-1], *secrets):
        assert secret not in shown
        assert secret[:12] not in shown


# ---- keystores ----


@pytest.mark.parametrize("document", KNOWN["documents"], ids=lambda d: d["crypto"]["kdf"])
def test_published_keystores_open(tmp_path, credentials, document):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    credentials("passphrase", KNOWN["passphrase"])
    assert load_signer(path, "passphrase").address == KNOWN["address"]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_passphrase_from_a_credential(tmp_path, credentials, kdf, end):
    credentials("passphrase", PASSPHRASE + end)
    signer = load_signer(write_keystore(tmp_path / "key.json", kdf=kdf), "passphrase")
    assert isinstance(signer, Signer)
    assert signer.address == ADDRESS


def test_passphrase_from_the_terminal(tmp_path, terminal):
    prompts = terminal(PASSPHRASE)
    path = write_keystore(tmp_path / "key.json")
    assert load_signer(path).address == ADDRESS
    assert prompts == [f"passphrase of {path}: "]


def test_without_terminal_and_credential_there_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSPHRASE + "\n"))
    with pytest.raises(KeyFileError, match="expected a terminal or a systemd credential"):
        load_signer(write_keystore(tmp_path / "key.json"))


def test_end_of_input_at_the_prompt(tmp_path, terminal):
    terminal()
    with pytest.raises(KeyFileError, match="end of the input"):
        load_signer(write_keystore(tmp_path / "key.json"))


def test_wrong_passphrase_says_so_and_shows_nothing(tmp_path, credentials):
    wrong = PASSPHRASE.upper()
    credentials("passphrase", wrong)
    path = write_keystore(tmp_path / "key.json")
    with pytest.raises(KeyFileError, match="the passphrase does not open this keystore") as info:
        load_signer(path, "passphrase")
    assert str(path) in str(info.value)
    assert_no_secret(info.value, wrong)
    assert info.value.__context__ is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 3}',
        '{"version": 3, "crypto": {"kdf": "scrypt"}}',
        '{"version": 4, "crypto": {"kdf": "scrypt", "kdfparams": {"dklen": 32}}}',
        '{"version": 3, "crypto": {"kdf": "argon2", "kdfparams": {"dklen": 32}}}',
        '{"version": 3, "crypto": {"kdf": "scrypt", "kdfparams": {"dklen": 16}}}',
        '{"version": 3, "crypto": {"kdf": "scrypt", "kdfparams": {"dklen": "32"}}}',
        b"\xff\xfe\x00",
        KEY_HEX,
    ],
)
def test_what_is_no_keystore_is_refused_before_the_passphrase(tmp_path, terminal, content):
    prompts = terminal(PASSPHRASE)
    path = tmp_path / "key.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="expected a keystore") as info:
        load_signer(path)
    assert str(path) in str(info.value)
    assert_no_secret(info.value)
    assert prompts == []


def test_damaged_keystore_is_refused(tmp_path, credentials):
    credentials("passphrase", PASSPHRASE)
    path = write_keystore(tmp_path / "key.json")
    document = json.loads(path.read_text())
    del document["crypto"]["cipherparams"]
    path.write_text(json.dumps(document))
    with pytest.raises(KeyFileError, match="or the file is damaged") as info:
        load_signer(path, "passphrase")
    assert_no_secret(info.value)


def test_address_field_must_be_the_keys(tmp_path, credentials):
    credentials("passphrase", PASSPHRASE)
    path = write_keystore(tmp_path / "key.json", address="00" * 20)
    with pytest.raises(KeyFileError, match=f"its key is {ADDRESS}'s"):
        load_signer(path, "passphrase")
    without = write_keystore(tmp_path / "without.json", address=None)
    assert load_signer(without, "passphrase").address == ADDRESS


def test_keystore_that_everyone_may_read_is_warned_about(tmp_path, credentials, caplog):
    credentials("passphrase", PASSPHRASE)
    with caplog.at_level(logging.WARNING):
        load_signer(write_keystore(tmp_path / "closed.json", 0o640), "passphrase")
        assert caplog.messages == []
        path = write_keystore(tmp_path / "open.json", 0o644)
        assert load_signer(path, "passphrase").address == ADDRESS
    assert [str(path) in m and "chmod 0600" in m and "0644" in m for m in caplog.messages] == [True]


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "large"])
def test_path_that_is_no_readable_file(tmp_path, kind):
    path = tmp_path / "key.json"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b" " * 100_000)
    with pytest.raises(KeyFileError, match="expected a keystore file") as info:
        load_signer(path)
    assert str(path) in str(info.value)


# ---- credentials ----


@pytest.mark.parametrize("text", [KEY_HEX, KEY_HEX.upper(), f"0x{KEY_HEX}\n", f"{KEY_HEX} \r\n"])
@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_raw_key_from_a_credential(credentials, text, mode):
    credentials("key", text, mode)
    assert load_signer(credential="key").address == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "0x",
        KEY_HEX[:-1],
        KEY_HEX + "0",
        KEY_HEX[:-1] + "g",
        " " + KEY_HEX,
        "0x0x" + KEY_HEX,
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(credentials, text):
    credentials("key", text)
    with pytest.raises(KeyFileError, match="credential key: expected a key of 64 hex") as info:
        load_signer(credential="key")
    assert_no_secret(info.value)


@pytest.mark.parametrize("text", ["00" * 32, "ff" * 32])
def test_key_out_of_range_is_refused(credentials, text):
    credentials("key", text)
    with pytest.raises(KeyFileError, match=r"credential key: .* group order - 1") as info:
        load_signer(credential="key")
    assert_no_secret(info.value, text)


def test_credential_that_everyone_may_read_is_refused(credentials):
    credentials("key", KEY_HEX, 0o444)
    with pytest.raises(KeyFileError, match="everyone may read it") as info:
        load_signer(credential="key")
    assert_no_secret(info.value)


def test_empty_passphrase_credential_is_refused(tmp_path, credentials):
    credentials("passphrase", "\n")
    with pytest.raises(KeyFileError, match="expected a passphrase, was empty"):
        load_signer(write_keystore(tmp_path / "key.json"), "passphrase")


def test_missing_credential_names_the_path(credentials):
    with pytest.raises(KeyFileError, match=r"credentials/absent: .*No such file"):
        load_signer(credential="absent")


def test_outside_systemd_the_error_says_what_to_add(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(KeyFileError, match="add LoadCredential=key:/path/to/file to the unit"):
        load_signer(credential="key")


@pytest.mark.parametrize("name", ["", ".", "..", "../key", "/etc/passwd"])
def test_credential_name_is_a_name(credentials, name):
    with pytest.raises(KeyFileError, match="expected a name"):
        load_signer(credential=name)


def test_exactly_one_source():
    with pytest.raises(KeyFileError, match="was neither"):
        load_signer()
    with pytest.raises(KeyFileError, match="was both"):
        load_signer(Path("key.json"), credential="key")
    with pytest.raises(KeyFileError, match="passphrase credential goes with a keystore"):
        load_signer(passphrase_credential="passphrase", credential="key")


def test_secrets_are_wiped_after_loading(tmp_path, credentials, monkeypatch):
    wiped: list[bytearray] = []
    real = keys.wipe
    monkeypatch.setattr(keys, "wipe", lambda secret: (wiped.append(secret), real(secret))[1])
    credentials("passphrase", PASSPHRASE)
    credentials("key", KEY_HEX)
    load_signer(write_keystore(tmp_path / "key.json"), "passphrase")
    load_signer(credential="key")
    assert {len(PASSPHRASE), len(KEY_HEX)} <= {len(secret) for secret in wiped}
    assert not any(any(secret) for secret in wiped)


# ---- the command ----


def key_command_args(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    key_command.configure(parser)
    return parser.parse_args(argv)


def test_new_key_is_written_closed_and_opens_again(tmp_path, credentials, capsys):
    credentials("passphrase", PASSPHRASE)
    path = tmp_path / "new.json"
    old = os.umask(0)
    try:
        argv = ("new", "--out", str(path), "--passphrase-credential", "passphrase")
        assert key_command.run(key_command_args(*argv)) == 0
    finally:
        os.umask(old)
    address = capsys.readouterr().out.strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["crypto"]["kdf"] == "scrypt"
    assert load_signer(path, "passphrase").address == address
    argv = ("address", "--keystore", str(path), "--passphrase-credential", "passphrase", "--json")
    assert key_command.run(key_command_args(*argv)) == 0
    assert json.loads(capsys.readouterr().out) == {"address": address, "file": str(path)}


@pytest.fixture
def quick_scrypt(monkeypatch):
    """A keystore in milliseconds: the default work factor takes a second and 256 MB."""
    real = create_keyfile_json
    monkeypatch.setattr(
        "eth_keyfile.keyfile.create_keyfile_json",
        lambda *args, **kwargs: real(*args, **kwargs, iterations=2),
    )


@pytest.mark.usefixtures("quick_scrypt")
def test_new_key_asks_twice_and_is_another_each_time(tmp_path, terminal, capsys):
    prompts = terminal(*[PASSPHRASE] * 4)
    for name in ("a.json", "b.json"):
        assert key_command.run(key_command_args("new", "--out", str(tmp_path / name))) == 0
    assert prompts == ["new passphrase: ", "the same again: "] * 2
    first, second = capsys.readouterr().out.split()
    assert first != second


@pytest.mark.usefixtures("quick_scrypt")
@pytest.mark.parametrize(
    ("lines", "message"),
    [((PASSPHRASE, "other"), "the two differ"), (("",), "was empty"), ((), "end of the input")],
)
def test_no_file_is_left_where_no_passphrase_was_chosen(tmp_path, terminal, lines, message):
    terminal(*lines)
    with pytest.raises(KeyFileError, match=message) as info:
        key_command.run(key_command_args("new", "--out", str(tmp_path / "new.json")))
    assert_no_secret(info.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_scrypt")
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_nothing_is_ever_overwritten(tmp_path, terminal, kind):
    prompts = terminal(PASSPHRASE, PASSPHRASE)
    path = tmp_path / "key.json"
    if kind == "file":
        path.write_text("precious")
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="already exists"):
        key_command.run(key_command_args("new", "--out", str(path)))
    assert prompts == []
    with pytest.raises(KeyFileError, match="cannot be created: File exists"):
        keys.write_keystore(path, bytearray.fromhex(KEY_HEX), bytearray(b"p"))
    assert kind != "file" or path.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_new_key_needs_its_directory(tmp_path, terminal):
    terminal(PASSPHRASE, PASSPHRASE)
    with pytest.raises(KeyFileError, match="expected the directory"):
        key_command.run(key_command_args("new", "--out", str(tmp_path / "none" / "key.json")))


def test_no_option_takes_a_secret():
    parser = argparse.ArgumentParser()
    key_command.configure(parser)
    options = " ".join(
        option
        for action in parser._subparsers._group_actions[0].choices.values()
        for entry in action._actions
        for option in entry.option_strings
    )
    assert set(options.split()) == {
        "-h", "--help", "--out", "--keystore", "--passphrase-credential", "--json"
    }  # fmt: skip


def test_random_keys_lie_in_the_groups_range(monkeypatch):
    answers = [bytes(32), b"\xff" * 32, (1).to_bytes(32, "big")]
    monkeypatch.setattr(key_command.secrets, "token_bytes", lambda n: answers.pop(0))
    assert int.from_bytes(key_command._random_key(), "big") == 1


def test_loading_keys_does_not_import_the_keystore_library():
    # It takes 0.8 s, which a raw credential need not pay.
    script = "import sys, mevfast.execution.keys; sys.exit('eth_keyfile' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
