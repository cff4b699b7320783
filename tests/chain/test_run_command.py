"""The service as systemd and a person have it: start, ready, watchdog, stop, errors."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from mevfast.devnet.market import ENGINE_ACCOUNT, prepared
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.execution.keys import write_keystore
from tests.adversity.fake_node import FakeNode, Peer, forever
from tests.chain.engine_stage import SUSHI, V2, on_loop, pool_of, submit_swap
from tests.chain.executor_stage import Stage

pytestmark = pytest.mark.devnet

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = DEV_ACCOUNTS[ENGINE_ACCOUNT]
PASSPHRASE = "correct horse battery staple"
LIMIT_S = 30.0
"""Nothing here is waited for longer; on an idle machine a stop takes a third of a second."""


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "not within the limit"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stop(process: subprocess.Popen[str], number: int) -> tuple[str, str]:
    """Signals, and sees that the process and its children end; what it had printed."""
    below = children(process.pid)
    started = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=LIMIT_S)
    took = time.monotonic() - started  # told, and not judged: machines differ
    print(f"{signal.Signals(number).name}: stopped in {took:.2f} s")
    assert process.returncode == 0, errors
    assert all(map(is_gone, below))
    assert "Traceback" not in errors
    return output, errors


# ---- the stage ----


@pytest.fixture(scope="module")
def chain() -> Iterator[Stage]:
    """The market on a node that makes a block a second."""
    state, _, market = prepared()
    with Anvil(load_state=state, block_time=None) as node:
        stage = Stage(node, market)
        node.rpc("evm_setIntervalMining", 1)
        yield stage


@pytest.fixture(scope="module")
def executor(chain: Stage) -> str:
    return chain.executor()


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a keystore, made once: that takes a second."""
    path = tmp_path_factory.mktemp("keystore") / "key.json"
    write_keystore(path, ACCOUNT.key_bytes(), bytearray(PASSPHRASE.encode()))
    return path.read_text()


@pytest.fixture
def config(chain: Stage, executor: str, keystore: str, tmp_path: Path) -> Path:
    """A config file that is right, with both kinds of key beside it."""
    for name, text in (
        ("key.json", keystore), ("passphrase", PASSPHRASE), ("raw-key", ACCOUNT.key),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o400)
    market = chain.market
    factories = "".join(
        f'[[market.factory]]\nname = "{each.name}"\nkind = "{each.kind}"\n'
        f'address = "{each.address}"\nfee_pips = {each.fee_pips}\n'
        for each in market.factories
        if each.name in (V2, SUSHI)
    )
    path = tmp_path / "mevfast.toml"
    path.write_text(
        f'[node]\nurl = "{chain.node.ws_url}"\nchain_id = {market.chain_id}\n'
        '[key]\nkeystore = "key.json"\npassphrase_credential = "passphrase"\n'
        f'[executor]\naddress = "{executor}"\n'
        f'[market]\nbase_token = "{market.weth}"\nstart_tokens = ["{market.weth}"]\n'
        f'only_tokens = ["{market.weth}", "{chain.address("USDC")}"]\n{factories}'
        "[search]\nmin_profit_wei = 1000000000000000\n"
        '[execution]\nmode = "live"\n'
    )
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@contextmanager
def started(command: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command of mevfast, which does not outlive a test that fails."""
    with subprocess.Popen(
        [sys.executable, "-m", "mevfast", *command],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | environment,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def start(
    config: Path, command: str = "run", **environment: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    """`run` or another command with a config, whose folder holds the credentials."""
    credentials = {"CREDENTIALS_DIRECTORY": str(config.parent)}
    return started([command, "--config", str(config)], **(credentials | environment))


class Systemd:
    """Listens where a service of Type=notify reports to."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.lines: list[str] = []

    def has(self, line: str) -> bool:
        """Whether the line was said by now."""
        try:
            while line not in self.lines:
                self.lines += self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            return False
        return True


# ---- the service ----


def test_the_service_from_start_to_stop(chain: Stage, config: Path, tmp_path: Path) -> None:
    systemd = Systemd(tmp_path / "notify")
    watched = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
    with systemd.socket, start(config, **watched) as process:
        wait_for(lambda: systemd.has("READY=1"), process)
        wait_for(lambda: systemd.has("WATCHDOG=1"), process)
        proc = Path(f"/proc/{process.pid}")
        visible = (proc / "cmdline").read_text() + (proc / "environ").read_text()
        weth, account = chain.address("WETH"), config.read_text().split("[executor]")[1]
        executor = account.split('"')[1]
        submit_swap(chain, pool_of(chain, V2, ("WETH", "USDC")), "USDC", 200_000)
        wait_for(lambda: chain.balance(weth, executor), process)
        output, errors = stop(process, signal.SIGTERM)
        assert systemd.has("STOPPING=1")
    assert output == ""
    assert f"mode live for {ACCOUNT.address}" in errors
    assert "live at block" in errors
    assert "never sleeps" not in errors
    assert "1 sent" in errors.splitlines()[-1]
    for text in (visible, output, errors, *systemd.lines):
        assert ACCOUNT.key not in text.lower()
        assert PASSPHRASE not in text


def test_a_service_that_spins_says_so_and_stops_as_fast(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text() + '[loop]\nmode = "spin"\n')
    systemd = Systemd(tmp_path / "notify")
    with systemd.socket, start(config, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
        wait_for(lambda: systemd.has("READY=1"), process)
        _, errors = stop(process, signal.SIGTERM)
    assert "the loop polls and never sleeps" in errors
    assert "of the hot half are in memory" in errors
    assert "us by stage" in errors


def test_a_raw_key_and_ctrl_c(config: Path, tmp_path: Path) -> None:
    edit(config, 'keystore = "key.json"\npassphrase_credential = "passphrase"',
         'credential = "raw-key"')  # fmt: skip
    systemd = Systemd(tmp_path / "notify")
    with systemd.socket, start(config, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
        wait_for(lambda: systemd.has("READY=1"), process)
        visible = Path(f"/proc/{process.pid}/environ").read_text()
        output, errors = stop(process, signal.SIGINT)
        assert "WATCHDOG=1" not in systemd.lines  # nobody asked for it
    for text in (visible, output, errors, *systemd.lines):
        assert ACCOUNT.key not in text.lower()


@on_loop
async def test_a_stop_while_the_node_keeps_it_waiting(config: Path, chain: Stage) -> None:
    edit(config, 'keystore = "key.json"\npassphrase_credential = "passphrase"',
         'credential = "raw-key"')  # fmt: skip
    came = asyncio.Event()

    async def say_nothing(peer: Peer) -> None:
        came.set()
        await forever(peer)

    async with FakeNode(say_nothing, upgraded=False) as node:
        edit(config, chain.node.ws_url, node.url)
        with start(config) as process:
            await asyncio.wait_for(came.wait(), LIMIT_S)
            await asyncio.to_thread(stop, process, signal.SIGTERM)


def test_check_agrees(config: Path) -> None:
    with start(config, "check") as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, errors) == (0, ""), output


# ---- what is wrong is said in one line ----


def complaint(config: Path, **environment: str) -> str:
    """The one line that a start which fails leaves behind."""
    with start(config, **environment) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode not in (0, 1, -6, -11)
    assert output == ""
    lines = [line for line in errors.splitlines() if " INFO " not in line]
    assert len(lines) == 1, errors
    assert lines[0].startswith("mevfast: error: ")
    assert ACCOUNT.key not in errors.lower()
    return lines[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[search]", "[search]\nmin_profitt_wei = 1",
         ["search.min_profitt_wei", "unknown key", "did you mean search.min_profit_wei?"]),
        ("chain_id = 42161", 'chain_id = "42161"',
         ["node.chain_id", "expected a whole number", "was '42161'"]),
        ('base_token = "0x', 'base_token = "0y', ["market.base_token", "expected", "'0y"]),
        ('"key.json"', '"nowhere.json"', ["key.keystore", "nowhere.json", "no such file"]),
    ],
)  # fmt: skip
def test_a_wrong_config(config: Path, old: str, new: str, words: list[str]) -> None:
    edit(config, old, new)
    line = complaint(config)
    assert str(config) in line
    for word in words:
        assert word in line


def test_a_credential_that_is_not_there(config: Path) -> None:
    line = complaint(config, CREDENTIALS_DIRECTORY=str(config.parent / "none"))
    assert "passphrase" in line and "No such file" in line and "check the path" in line


def raw_key(config: Path) -> None:
    """A keystore takes a second to open."""
    edit(config, 'keystore = "key.json"\npassphrase_credential = "passphrase"',
         'credential = "raw-key"')  # fmt: skip


def test_a_node_that_refuses(config: Path, chain: Stage) -> None:
    raw_key(config)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
        edit(config, chain.node.ws_url, url)
        line = complaint(config)
    assert url in line and "refused" in line and "start the node or correct the URL" in line


def test_a_node_of_another_chain(config: Path, chain: Stage) -> None:
    raw_key(config)
    edit(config, "chain_id = 42161", "chain_id = 1")
    line = complaint(config)
    assert chain.node.ws_url in line
    assert "expected chain id 1, node has 42161" in line and "change the chain id" in line


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b""])
@on_loop
async def test_a_node_that_is_none(config: Path, chain: Stage, answer: bytes) -> None:
    raw_key(config)

    async def say(peer: Peer) -> None:
        if answer:
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.write(answer)

    async with FakeNode(say, upgraded=False) as node:
        edit(config, chain.node.ws_url, node.url)
        line = await asyncio.to_thread(complaint, config)
        assert node.url in line and "expected a WebSocket handshake" in line
        assert ("HTTP 200" if answer else "check that") in line


# ---- the demo ends as fast ----


@pytest.mark.parametrize(("number", "below"), [(signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_the_demo_stops_on_a_signal(number: int, below: int) -> None:
    """With the node alone, while it gets ready; and with the traders, while it runs."""
    with started(["demo", "--json"]) as process:
        # An import, too, has a child for a moment, when nobody looks for signals yet.
        wait_for(lambda: catches(process.pid, number), process)
        wait_for(lambda: len(children(process.pid)) >= below, process)
        output, _ = stop(process, number)
    assert output.startswith("{")
