"""The command line: what it teaches, what it loads, how it ends."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mevfast
from mevfast import cli
from mevfast.errors import ConfigError, MevfastError

Run = Callable[[argparse.Namespace], int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Install a command `probe` that does what it is given."""

    def install(run: Run) -> None:
        module = ModuleType("mevfast_probe")
        module.HELP = "Probe things."  # type: ignore[attr-defined]
        module.configure = lambda parser: parser.add_argument("--word")  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "mevfast_probe", module)
        monkeypatch.setitem(cli.COMMANDS, "probe", ("mevfast_probe", "probe things"))

    monkeypatch.delenv("MEVFAST_DEBUG", raising=False)
    return install


def raiser(error: BaseException) -> Run:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def python(root: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=root, text=True, timeout=60, check=False, **options)


def test_help_names_every_command_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, line) in cli.COMMANDS.items():
        assert f"  {name}" in text
        assert line in text
    assert text.count("  python -m mevfast ") == 3


def test_no_command_is_help_and_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["probe", "--nonsense"]])
def test_wrong_arguments_exit_2(
    command: Callable[[Run], None], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    command(lambda args: 0)
    assert cli.main(arguments) == 2
    assert "nonsense" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mevfast {mevfast.__version__}\n"


def test_help_loads_no_command(root: Path) -> None:
    heavy = [*(module for module, _ in cli.COMMANDS.values()), "rich", "uvloop", "mevfast.config"]
    code = (
        "import sys\nfrom mevfast.cli import main\nmain(['--help'])\n"
        f"loaded = sys.modules.keys() & set({heavy})\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    done = python(root, "-c", code, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_run_gets_the_parsed_arguments(command: Callable[[Run], None]) -> None:
    seen = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args.word)
        return 7

    command(run)
    assert cli.main(["probe", "--word", "x"]) == 7
    assert seen == ["x"]


def test_known_errors_are_one_line_with_their_exit_code(
    command: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    class Other(MevfastError):
        exit_code = 5

    for error, code in ((ConfigError("a: expected\n b"), 2), (Other("c"), 5)):
        command(raiser(error))
        assert cli.main(["probe"]) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == f"mevfast: error: {' '.join(str(error).split())}\n"


def test_interrupt_is_quiet(
    command: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raiser(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_defect_is_one_line_and_a_traceback_only_on_demand(
    command: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command(raiser(ZeroDivisionError("by zero")))
    assert cli.main(["probe"]) == 70
    text = capsys.readouterr().err
    assert "ZeroDivisionError at test_cli.py" in text
    assert "report" in text
    assert text.count("\n") == 1
    monkeypatch.setenv("MEVFAST_DEBUG", "1")
    assert cli.main(["probe"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("rich", 2, "the package rich is missing; run `make build`"),
        ("mevfast._pool", 2, "the compiled module mevfast._pool is missing; run `make build`"),
        ("mevfast.nowhere", 70, "this is a defect"),
    ],
)
def test_what_is_not_installed_is_told_from_a_defect(
    command: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
    name: str,
    code: int,
    words: str,
) -> None:
    command(raiser(ModuleNotFoundError(f"No module named {name!r}", name=name)))
    assert cli.main(["probe"]) == code
    assert words in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_error(root: Path) -> None:
    # Unbuffered, argparse itself meets the closed pipe, and says nothing.
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    read_end, write_end = os.pipe()
    os.close(read_end)
    options = {"stdout": write_end, "stderr": subprocess.PIPE, "env": environment}
    done = python(root, "-m", "mevfast", "--help", **options)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")
