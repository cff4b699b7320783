"""Imports point down only. This table is the drawing; a module that is not on it is an error."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# From the bottom up. A module may import modules of lower floors, and of its own package.
# A package stands for all its modules that are not named themselves.
FLOORS: list[set[str]] = [
    {"mevfast"},  # only __version__
    {"mevfast.errors"},
    # -- compiled: nogil, no I/O, no asyncio; the headers and their .pxd are free to all
    {"mevfast._math", "mevfast._stages"},
    {"mevfast._fields"},
    {"mevfast._ticks"},
    {
        "mevfast._univ2",
        "mevfast._univ3",
        "mevfast._solidly",
        "mevfast._curve",
        "mevfast._crypto",
        "mevfast._balancer",
        "mevfast._wire",
        "mevfast._venues",
        "mevfast._tx",
    },
    {"mevfast._pool"},
    {"mevfast._mapping"},
    {"mevfast._slots", "mevfast._chain"},
    {"mevfast._stairs", "mevfast._virtual"},
    {"mevfast._slopes"},
    {"mevfast._size"},
    {"mevfast._events"},
    {"mevfast._cache"},
    {"mevfast._graph", "mevfast._audit"},
    {"mevfast._rates"},
    {"mevfast._scan"},
    {"mevfast._search"},
    {"mevfast._trades", "mevfast._feed", "mevfast._rescan"},
    {"mevfast._core"},
    {"mevfast._listen", "mevfast._memory"},
    {"mevfast._bench_clock"},
    {"mevfast._bench", "mevfast._bench_cache", "mevfast._bench_search", "mevfast._bench_wire"},
    # -- Python: no 256-bit arithmetic
    {"mevfast.schema"},
    {"mevfast.chains"},
    {"mevfast.model", "mevfast.config"},
    {"mevfast.market_file", "mevfast.joint"},
    {"mevfast.joint_pools"},
    {"mevfast.chain", "mevfast.observe", "mevfast.execution.artifacts", "mevfast.execution.gas"},
    {"mevfast.dex", "mevfast.execution"},
    {"mevfast.devnet"},
    {"mevfast.warm_start"},
    {"mevfast.mender"},
    {"mevfast.keeper"},
    {"mevfast.engine", "mevfast.execution.deploy"},  # deploy: a command, and the demo's first step
    {"mevfast.bench_stream", "mevfast.bench_tables"},
    {"mevfast.bench_machine", "mevfast.bench_sender"},
    {"mevfast.bench_stages"},
    {
        "mevfast.bench_compare",
        "mevfast.bench_long",
        "mevfast.bench_show",
        "mevfast.bench_socket",
    },
    {"mevfast.scan_global"},
    {"mevfast.observe.report"},  # the engine's figures, read from outside
    {
        "mevfast.bench_command",
        "mevfast.check",
        "mevfast.demo",
        "mevfast.devnet.command",
        "mevfast.execution.key_command",
        "mevfast.quote_command",
        "mevfast.run_command",
        "mevfast.scan_command",
        "mevfast.snapshot_command",
        "mevfast.state_hash_command",
        "mevfast.verify",
    },
    {"mevfast.cli"},  # names the commands, imports them when asked
    {"mevfast.__main__"},
]
HEADERS = {"mevfast.u256", "mevfast.types"}  # .pxd only: declarations of mevfast/include
NO_IO = {
    "asyncio",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "urllib",
    "uvloop",
    "web3",
}

_PYX_FROM = re.compile(r"^[ \t]*from\s+([\w.]+)\s+c?import\s+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_PYX_IMPORT = re.compile(r"^[ \t]*c?import\s+([\w.]+(?:\s*,\s*[\w.]+)*)", re.MULTILINE)


def floor_of(module: str) -> tuple[int, str] | None:
    """The floor of a module and the entry of the table it stands under; None if it has none."""
    name = module
    while name:
        for floor, names in enumerate(FLOORS):
            if name in names and (name != "mevfast" or module == "mevfast"):
                return floor, name
        name = name.rpartition(".")[0]
    return None


def python_imports(source: str) -> Iterator[tuple[str, str]]:
    """What a Python source imports anywhere, functions included: module, and name or ""."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            yield from ((node.module or "", alias.name) for alias in node.names)


def compiled_imports(source: str) -> Iterator[tuple[str, str]]:
    """What a Cython source imports or cimports: module, and name or ""."""
    for module, names in _PYX_FROM.findall(source):
        yield from ((module, name) for name in re.findall(r"\w+", names))
    for names in _PYX_IMPORT.findall(source):
        yield from ((module, "") for module in re.split(r"\s*,\s*", names))


def module_name(root: Path, path: Path) -> str:
    """The dotted name of a source file."""
    name = path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
    return name.removesuffix(".__init__")


def violations(root: Path) -> list[str]:
    """Every import below `root`/mevfast that does not point down."""
    paths = [
        path
        for path in sorted((root / "mevfast").rglob("*.p*"))
        if path.suffix in (".py", ".pyx", ".pxd")
    ]
    modules = {module_name(root, path) for path in paths} - HEADERS
    found = []
    for path in paths:
        name, compiled = module_name(root, path), path.suffix != ".py"
        if name in HEADERS:
            continue
        place = floor_of(name)
        if place is None:
            found.append(f"{name}: stands on no floor of the table in tests/source")
            continue
        imports = (compiled_imports if compiled else python_imports)(path.read_text())
        # `from mevfast.chain import rpc` imports the module rpc, not what the package holds.
        targets = {
            f"{module}.{n}" if f"{module}.{n}" in modules else module for module, n in imports
        }
        for target in sorted(targets):
            if compiled and target.partition(".")[0] in NO_IO:
                found.append(f"{name} imports {target}: compiled modules do no I/O")
            under = floor_of(target) if target in modules else None
            if under is not None and under[1] != place[1] and under[0] >= place[0]:
                found.append(f"{name} imports {target}: that is not below it")
    return found


def test_imports_point_down(root: Path) -> None:
    assert violations(root) == []


@pytest.mark.parametrize(
    ("path", "source", "words"),
    [
        ("config.py", "from mevfast.engine import Engine", "mevfast.config imports mevfast.engine"),
        ("config.py", "def f():\n    import mevfast.cli", "mevfast.config imports mevfast.cli"),
        ("errors.py", "from mevfast import config", "mevfast.errors imports mevfast.config"),
        ("chain/rpc.py", "from mevfast.dex import univ2", "mevfast.chain.rpc imports mevfast.dex"),
        ("dex/univ2.py", "import mevfast.execution.keys", "mevfast.dex.univ2 imports"),
        ("devnet/npm.py", "import mevfast.devnet.command", "mevfast.devnet.npm imports"),
        ("check.py", "import mevfast.demo", "mevfast.check imports mevfast.demo"),
        (
            "_univ2.pyx",
            "from mevfast._univ3 cimport quote",
            "mevfast._univ2 imports mevfast._univ3",
        ),
        ("_univ3.pxd", "cimport mevfast._univ2", "mevfast._univ3 imports mevfast._univ2"),
        (
            "_math.pyx",
            "from mevfast._pool cimport (\n  a,\n)",
            "mevfast._math imports mevfast._pool",
        ),
        ("_cache.pyx", "from mevfast import config", "mevfast._cache imports mevfast.config"),
        (
            "_slots.pyx",
            "from mevfast._cache cimport Table",
            "mevfast._slots imports mevfast._cache",
        ),
        ("_wire.pyx", "import re, asyncio", "mevfast._wire imports asyncio"),
        ("stray.py", "", "mevfast.stray: stands on no floor"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, path: str, source: str, words: str) -> None:
    for names in FLOORS:
        for name in names:
            compiled = name.rpartition(".")[2].startswith("_") and not name.endswith("__")
            file = tmp_path / name.replace(".", "/")
            if name in ("mevfast", "mevfast.chains", "mevfast.chain", "mevfast.observe",
                        "mevfast.dex", "mevfast.execution", "mevfast.devnet"):  # fmt: skip
                file = file / "__init__"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.with_suffix(".pyx" if compiled else ".py").touch()
    for below in ("dex/univ2.py", "execution/keys.py", "chain/rpc.py", "_univ3.pyx", "_univ2.pyx"):
        (tmp_path / "mevfast" / below).touch()
    assert violations(tmp_path) == []
    (tmp_path / "mevfast" / path).write_text(source + "\n")
    found = violations(tmp_path)
    assert found, "the planted import was not seen"
    assert all(line.startswith(words) for line in found), found


def test_an_import_downwards_is_none(tmp_path: Path) -> None:
    (tmp_path / "mevfast").mkdir()
    (tmp_path / "mevfast" / "errors.py").touch()
    (tmp_path / "mevfast" / "_math.pyx").write_text(
        "from libc.stdint cimport int64_t\nfrom mevfast.errors import DataError\n"
        "from mevfast.u256 cimport u256\n"
    )
    (tmp_path / "mevfast" / "config.py").write_text("from mevfast._math import x\n")
    assert violations(tmp_path) == []
