"""`check` before there is a chain to look at: key files, bad nodes, the comparison of code."""

import argparse
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mevfast import check, cli
from mevfast.execution.artifacts import is_instance

ADDRESS = "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1"
# A published test key (anvil's first account), never to be funded.
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
KEY_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """systemd's folder of credentials, with the key in it."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "mevfast-key").write_text(KEY)
    (folder / "mevfast-key").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def config_file(folder: Path, url: str, key: str = 'credential = "mevfast-key"') -> Path:
    path = folder / "mevfast.toml"
    path.write_text(
        f'[node]\nurl = "{url}"\nchain_id = 42161\nrequest_timeout_s = 2\n[key]\n{key}\n'
        f'[market]\nbase_token = "{ADDRESS}"\nstart_tokens = ["{ADDRESS}"]\n'
        f'[[market.factory]]\nname = "v3"\nkind = "uniswap_v3"\naddress = "{ADDRESS}"\n'
        "[search]\nmin_profit_wei = 1\n"
    )
    return path


def checked(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[int, dict[str, list[str]]]:
    """Exit code of `check --json`, and its lines as "status message" under what they are about."""
    code = check.run(argparse.Namespace(config=path, json=True))
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] == (code == 0)
    lines: dict[str, list[str]] = {}
    for line in found["lines"]:
        assert "\n" not in line["message"]
        lines.setdefault(line["what"], []).append(f"{line['status']} {line['message']}")
    return code, lines


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """The ws:// address of a port that answers one request with these bytes, or closes at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                if answer is not None:
                    peer.recv(4096)
                    peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"ws://127.0.0.1:{listener.getsockname()[1]}"


def test_refused_connection(
    tmp_path: Path, credentials: Path, capsys: pytest.CaptureFixture[str], closed_port: str
) -> None:
    code, lines = checked(capsys, config_file(tmp_path, closed_port))
    assert code == 1
    assert lines["key"] == [f"ok opens; its address is {KEY_ADDRESS}"]
    assert lines["node"][0].startswith(f"FAIL {closed_port}: ")
    assert "refused" in lines["node"][0]
    assert "node.url" in lines["node"][0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(None, "closed"), (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP 200")],
    ids=["closes", "http"],
)
def test_what_is_no_node(
    tmp_path: Path,
    credentials: Path,
    capsys: pytest.CaptureFixture[str],
    answer: bytes | None,
    words: str,
) -> None:
    with server(answer) as url:
        code, lines = checked(capsys, config_file(tmp_path, url))
    assert code == 1
    assert lines["node"][0].startswith(f"FAIL {url}: ")
    assert words in lines["node"][0]


def test_bad_config_is_one_failed_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config_file(tmp_path, "http://localhost")
    code, lines = checked(capsys, path)
    assert code == 1
    assert list(lines) == ["config"]
    assert lines["config"][0].startswith(f"FAIL {path}: node.url: expected ")


def test_lines_for_people(
    tmp_path: Path, credentials: Path, capsys: pytest.CaptureFixture[str], closed_port: str
) -> None:
    path = config_file(tmp_path, closed_port)
    assert cli.main(["check", "--config", str(path)]) == 1
    captured = capsys.readouterr()
    statuses = [line.split()[:2] for line in captured.out.splitlines()]
    assert statuses == [["ok", "config"], ["ok", "key"], ["FAIL", "node"]]
    assert captured.err.strip() == "1 of 3 failed"


KEYSTORE = {"version": 3, "address": KEY_ADDRESS[2:].lower(), "crypto": {}}


def test_keystore_without_its_passphrase_is_a_warning_with_its_address(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    closed_port: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    keystore = tmp_path / "k.json"
    keystore.write_text(json.dumps(KEYSTORE))
    keystore.chmod(0o600)
    key = 'keystore = "k.json"\npassphrase_credential = "passphrase"'
    _, lines = checked(capsys, config_file(tmp_path, closed_port, key))
    assert lines["key"][0].startswith(f"warn for {KEY_ADDRESS}; not opened")
    assert "key file" not in lines


def test_keystore_that_others_may_read(
    tmp_path: Path, credentials: Path, capsys: pytest.CaptureFixture[str], closed_port: str
) -> None:
    keystore = tmp_path / "k.json"
    keystore.write_text("not json")
    keystore.chmod(0o644)
    (credentials / "passphrase").write_text("x")
    (credentials / "passphrase").chmod(0o400)
    key = 'keystore = "k.json"\npassphrase_credential = "passphrase"'
    code, lines = checked(capsys, config_file(tmp_path, closed_port, key))
    assert code == 1
    assert "0644" in lines["key file"][0]
    assert "chmod 0400" in lines["key file"][0]
    assert lines["key"][0].startswith(f"FAIL {keystore}: ")


def test_credential_outside_the_service_is_a_warning(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    closed_port: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    _, lines = checked(capsys, config_file(tmp_path, closed_port))
    assert lines["key"][0].startswith("warn credential mevfast-key is not here")


INIT = bytes.fromhex("6080604052")
TEMPLATE = bytes.fromhex("6001" + "7f" + "00" * 32 + "7f" + "11" * 32 + "00")


def test_code_is_compared_with_its_immutables_left_open() -> None:
    creation = INIT + TEMPLATE
    filled = bytes.fromhex("6001" + "7f" + "00" * 12 + "ab" * 20 + "7f" + "11" * 32 + "00")
    assert is_instance(TEMPLATE, creation)
    assert is_instance(filled, creation)
    assert not is_instance(b"", creation)
    assert not is_instance(creation + b"\0", creation)
    for place in range(len(TEMPLATE)):
        changed = bytearray(filled)
        changed[place] ^= 1
        in_immutable = 3 <= place < 35
        assert is_instance(bytes(changed), creation) == in_immutable, place
