"""The npm cache: pins, integrity, unpacking, racing processes, missing tools. No network."""

import base64
import hashlib
import io
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mevfast.devnet import npm
from mevfast.errors import DevnetError


def _tarball(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A cache of our own, and an `npm` on PATH that hands out one tarball and counts its calls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    integrity = _tarball(tmp_path / "thing.tgz", {"package/a/b.json": b'{"x": 1}'})
    npm_script = tools / "npm"
    npm_script.write_text(
        "#!/bin/sh\n"
        f"echo call >> {tmp_path}/calls\n"
        f'while [ "$1" != --pack-destination ]; do shift; done; cp {tmp_path}/thing.tgz "$2"\n'
    )
    (tools / "node").write_text("#!/bin/sh\n")
    for tool in tools.iterdir():
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("MEVFAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(npm, "PINS", {"@scope/thing": npm.Pin("1.2.3", integrity)})
    return tmp_path


def test_package_is_unpacked_once(registry, capfd):
    folder = npm.package("@scope/thing")
    assert folder == registry / "cache" / "npm" / "@scope/thing@1.2.3"
    assert (folder / "a" / "b.json").read_bytes() == b'{"x": 1}'
    assert npm.package("@scope/thing") == folder
    assert (registry / "calls").read_text() == "call\n"
    out, err = capfd.readouterr()
    assert out == "" and "@scope/thing@1.2.3" in err
    assert [p.name for p in (registry / "cache" / "npm").iterdir()] == ["@scope"]


def test_altered_tarball_names_package_expected_and_actual(registry):
    expected = npm.PINS["@scope/thing"].integrity
    actual = _tarball(registry / "thing.tgz", {"package/a/b.json": b'{"x": 2}'})
    with pytest.raises(DevnetError) as caught:
        npm.package("@scope/thing")
    message = str(caught.value)
    assert "@scope/thing@1.2.3" in message and expected in message and actual in message
    assert list((registry / "cache" / "npm" / "@scope").iterdir()) == []


@pytest.mark.parametrize("member", ["package/../../evil", "/package/evil"])
def test_member_outside_the_folder_is_refused(tmp_path, member):
    _tarball(tmp_path / "bad.tgz", {member: b"x"})
    with pytest.raises(DevnetError, match="unsafe member"):
        npm.unpack("bad", tmp_path / "bad.tgz", tmp_path / "out" / "deep")
    assert not (tmp_path / "evil").exists()


def test_link_in_tarball_is_refused(tmp_path):
    with tarfile.open(tmp_path / "bad.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("package/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DevnetError, match="unsafe member"):
        npm.unpack("bad", tmp_path / "bad.tgz", tmp_path / "out")


@pytest.mark.parametrize("missing", ["npm", "node"])
def test_missing_tool_says_what_to_install(registry, monkeypatch, missing):
    (registry / "tools" / missing).unlink()
    monkeypatch.setenv("PATH", str(registry / "tools"))
    with pytest.raises(DevnetError, match=rf"^{missing} not found on PATH: install Node\.js"):
        npm.package("@scope/thing")


def test_npm_failure_carries_its_reason(registry):
    (registry / "tools" / "npm").write_text("#!/bin/sh\necho 'npm error code E404' >&2\nexit 1\n")
    with pytest.raises(DevnetError, match="npm error code E404"):
        npm.package("@scope/thing")


def test_two_processes_at_once(registry):
    code = (
        "import sys; from mevfast.devnet import npm\n"
        f"npm.PINS = {{'@scope/thing': npm.Pin('1.2.3', {npm.PINS['@scope/thing'].integrity!r})}}\n"
        "print((npm.package('@scope/thing') / 'a/b.json').read_text())"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ)
        for _ in range(4)
    ]
    for child in children:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0 and out == b'{"x": 1}\n'
    assert [p.name for p in (registry / "cache" / "npm").iterdir()] == ["@scope"]


def test_unpinned_package_is_refused():
    with pytest.raises(DevnetError, match="left-pad is not pinned"):
        npm.package("left-pad")


def test_other_machine_needs_anvil_on_path(monkeypatch, tmp_path):
    monkeypatch.setattr(npm.platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DevnetError, match="riscv64"):
        npm.anvil_binary()


def test_linking_puts_every_address_in_place():
    hole = "__$" + "0" * 34 + "$__"
    thing = npm.Artifact("T", (), f"60{hole}61{hole}", {"Lib": (1, 22)})
    address = "0x" + "aB" * 20
    assert thing.linked({"Lib": address}).hex() == f"60{'ab' * 20}61{'ab' * 20}"
    with pytest.raises(DevnetError, match="library Lib"):
        thing.linked({})
