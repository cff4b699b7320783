"""The command line: names each command, loads its module when it is asked for, prints its errors.

Owns the table of commands and the exit codes. Must not import a command's module
before that command runs: `--help` answers at once, and a broken part of the
engine does not take the other commands with it.

A command's module has `HELP`, `configure(parser)` and `run(args) -> exit code`.
"""

import argparse
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from mevfast import __version__
from mevfast.errors import MevfastError

# name: (module, one line for the list)
COMMANDS = {
    "demo": ("mevfast.demo", "run the engine on an embedded chain with real contracts"),
    "devnet": ("mevfast.devnet.command", "run that chain alone, to play with"),
    "bench": ("mevfast.bench_command", "time every stage from frame to signed transaction"),
    "verify": ("mevfast.verify", "replay recorded swaps through the pool kernels"),
    "snapshot": ("mevfast.snapshot_command", "the live market as a file"),
    "scan": ("mevfast.scan_command", "profitable cycles of a market file"),
    "state-hash": ("mevfast.state_hash_command", "one hash for all states of a market file"),
    "quote": ("mevfast.quote_command", "what one pool of a market file pays, to check by hand"),
    "key": ("mevfast.execution.key_command", "make a signing key, or show its address"),
    "deploy": ("mevfast.execution.deploy", "deploy the executor contract"),
    "check": ("mevfast.check", "say line by line what of a set-up is right"),
    "run": ("mevfast.run_command", "the service: trade until stopped"),
}

EXAMPLES = """\
examples:
  python -m mevfast demo --seconds 30
      see it work: needs no key, no node, no config
  python -m mevfast key new --out keystore.json
      make a key in an encrypted keystore file
  python -m mevfast check --config /etc/mevfast/mevfast.toml
      before the first run: config, key, node and contracts, line by line

`python -m mevfast COMMAND --help` explains a command.
The config is explained in systemd/mevfast.example.toml.
"""

EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE
EXIT_INTERRUPTED = 128 + signal.SIGINT


def _list_commands() -> str:
    lines = [f"  {name:<10} {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(["commands:", *lines])


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mevfast",
        usage="python -m mevfast COMMAND [options]",
        description="An arbitrage engine for EVM chains.\n\n" + _list_commands(),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mevfast {__version__}")
    parser.add_argument("command", nargs="?", choices=COMMANDS, help=argparse.SUPPRESS)
    return parser


def _command_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m mevfast {name}",
        description=module.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    return parser


def _dispatch(arguments: Sequence[str]) -> int:
    top = _top_parser()
    if not arguments:
        top.print_help()
        return EXIT_USAGE
    name = top.parse_args(arguments[:1]).command
    module = importlib.import_module(COMMANDS[name][0])
    return int(module.run(_command_parser(name, module).parse_args(arguments[1:])))


def _report_missing(error: ModuleNotFoundError) -> int:
    """Tell a set-up that is not finished from a defect."""
    name = error.name or str(error)
    if name.startswith("mevfast.") and not name.startswith("mevfast._"):
        return _report_bug(error)
    what = "the compiled module" if name.startswith("mevfast.") else "the package"
    _print_error(f"{what} {name} is missing; run `make build` and use .venv/bin/python")
    return EXIT_USAGE


def _report_bug(error: Exception) -> int:
    if os.environ.get("MEVFAST_DEBUG") == "1":
        traceback.print_exc()
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        _print_error(
            f"unexpected {type(error).__name__} at {where}: {error}; this is a defect of mevfast: "
            "run again with MEVFAST_DEBUG=1 and report what it prints"
        )
    return EXIT_BUG


def _print_error(message: str) -> None:
    print(f"mevfast: error: {' '.join(message.split())}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Errors are one line on standard error."""
    try:
        try:
            code = _dispatch(sys.argv[1:] if arguments is None else arguments)
        except SystemExit as finished:  # argparse, after --help or a wrong argument
            code = int(finished.code or 0)
        sys.stdout.flush()  # a reader that went away is noticed here, not by the interpreter
    except MevfastError as error:
        _print_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes again as it ends: give it somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except ModuleNotFoundError as error:
        return _report_missing(error)
    except Exception as error:
        return _report_bug(error)
    return code
