"""What the source tree promises: small files, a .pyi for each compiled module, no place names."""

import re
import subprocess
from pathlib import Path

import pytest

MOST_LINES = 650
GENERATED = {"constraints.txt"}
CODE = {".py", ".pyi", ".pyx", ".pxd", ".h", ".sol", ".md", ".toml", ".service", ""}
# Paths of somebody's machine, and hosts of package registries: pip and npm know theirs themselves.
PLACES = re.compile(
    "|".join(
        (
            r"/(?:home|Users|root)/\w",
            r"(?<![\w.])/wor[k]/",  # brackets, so that no pattern finds itself
            r"file:/{3}(?!opt/mevfast)",
            r"pyp[i]\.(?:org|python)",
            r"registr[y]\.npm",
            r"pythonhoste[d]",
            r"--index-ur[l]",
            r"--registr[y]\b",
        )
    )
)


def tracked(root: Path) -> list[Path]:
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listing.split("\0") if name and (path := root / name).is_file()]


def test_files_are_small(root: Path) -> None:
    long = {
        str(path.relative_to(root)): lines
        for path in tracked(root)
        if path.suffix in CODE
        and path.name not in GENERATED
        and (lines := path.read_bytes().count(b"\n")) > MOST_LINES
    }
    assert long == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /home/" + "ann/mevfast", True),
        ("cd /wo" + "rk/main", True),
        ("https://pypi" + ".org/simple", True),
        ("systemd reads /etc/mevfast", False),
        ("docs/framework/page", False),
        ("Documentation=file:///opt/mevfast/systemd/README.md", False),
    ],
)
def test_places_are_told_from_paths(text: str, found: bool) -> None:
    assert bool(PLACES.search(text)) == found


def test_no_machine_is_named(root: Path) -> None:
    named = [
        f"{path.relative_to(root)}:{number}: {line.strip()[:80]}"
        for path in tracked(root)
        if path.suffix in CODE | {".json", ".txt", ".yml"} or path.name == "Makefile"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if PLACES.search(line)
    ]
    assert named == []


def test_every_compiled_module_with_a_python_face_has_a_stub(root: Path) -> None:
    face = re.compile(r"^(?:def|cpdef|class|cdef class|[A-Za-z]\w* = )", re.MULTILINE)
    missing = [
        path.name
        for path in sorted((root / "mevfast").glob("_*.pyx"))
        if face.search(path.read_text()) and not path.with_suffix(".pyi").exists()
    ]
    assert missing == []


def test_no_inclusion_and_no_cimport_of_everything(root: Path) -> None:
    found = [
        f"{path.name}: {line}"
        for path in sorted((root / "mevfast").glob("*.p[yx]*"))
        for line in path.read_text().splitlines()
        if re.match(r'\s*include\s+["\']|\s*from\s+\S+\s+c?import\s+\*', line)
    ]
    assert found == []


def test_readme_is_short_and_its_commands_exist(root: Path) -> None:
    text = (root / "README.md").read_text()
    lines = text.splitlines()
    assert len(lines) <= 120
    assert "FIGURE" not in text, "a measured figure is still to be filled in"
    first_command = next(number for number, line in enumerate(lines, 1) if line == "make demo")
    assert first_command <= 30
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert {"test", "demo", "bench", "lint"} <= named <= targets


def test_every_link_of_the_documents_leads_somewhere(root: Path) -> None:
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in tracked(root)
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []
