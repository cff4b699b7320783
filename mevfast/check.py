"""`mevfast check`: say line by line what of a set-up is right, and what to do about the rest.

Reads only: config, key file, node, contracts. Sends no transaction. Each line stands
for itself; one that fails does not keep the others from being looked at, except where
they cannot be (no config, no node).
"""

import argparse
import asyncio
import json
import os
import stat
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mevfast._tx import keccak256, to_checksum_address
from mevfast.chain.rpc import Rpc, check_chain_id
from mevfast.config import Config, Key, load_config
from mevfast.dex import entries
from mevfast.errors import ConfigError, KeyFileError, NodeError, RpcError
from mevfast.execution import artifacts
from mevfast.execution.keys import CREDENTIALS_DIRECTORY, load_signer

HELP = "Say line by line what of a set-up is right, and what to do about the rest."

SYNCED_WITHIN_S = 60  # an older head is a node that does not follow the chain
CLOCK_SLACK_S = 2  # block times are whole seconds, and clocks differ


@dataclass(frozen=True, slots=True)
class Line:
    """One finding. `status` is "ok", "warn" or "FAIL"."""

    status: str
    what: str
    message: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the findings as they come; 0 if none of them is FAIL, else 1."""
    lines: list[Line] = []

    async def collect() -> None:
        async for line in findings(args.config):
            lines.append(line)
            if not args.json:
                print(f"{line.status:<5} {line.what:<12} {line.message}", flush=True)

    asyncio.run(collect())
    failed = sum(line.status == "FAIL" for line in lines)
    if args.json:
        print(json.dumps({"ok": not failed, "lines": [asdict(line) for line in lines]}))
    elif failed:
        print(f"\n{failed} of {len(lines)} failed", file=sys.stderr)
    return 1 if failed else 0


async def findings(path: Path) -> AsyncIterator[Line]:
    """Every finding about the set-up that the config at `path` describes."""
    try:
        config = load_config(path, deployed=False)
    except ConfigError as error:
        yield Line("FAIL", "config", str(error))
        return
    mode = f'mode "{config.execution.mode}"'
    yield Line("ok", "config", f"{path}: {len(config.market.factories)} factories, {mode}")
    assert config.key is not None  # load_config sees to it
    key_lines, address = _key(config.key)
    for line in key_lines:
        yield line
    timeout = config.node.request_timeout_s
    try:
        async with await Rpc.connect(config.node.url, request_timeout=timeout) as rpc:
            async for line in _chain(rpc, config, address):
                yield line
    except NodeError as error:
        yield Line("FAIL", "node", f"{error} (node.url)")
    for index, url in enumerate(config.node.fallback_urls):
        try:
            async with await Rpc.connect(url, request_timeout=timeout) as rpc:
                await check_chain_id(rpc, config.node.chain_id)
                yield Line("ok", "fallback", f"{rpc.url} answers: {await _version(rpc)}")
        except (NodeError, RpcError) as error:
            yield Line("FAIL", "fallback", f"{error} (node.fallback_urls[{index}])")


# ---- the key ---------------------------------------------------------------------------------


def _key(key: Key) -> tuple[list[Line], str | None]:
    """Findings about the key, and its address as far as it is known here."""
    lines = []
    if key.keystore is not None:
        mode = stat.S_IMODE(key.keystore.stat().st_mode)
        if mode & 0o077:
            todo = f"others may read it (mode {mode:04o}): chmod 0400 {key.keystore}"
            lines.append(Line("warn", "key file", todo))
        if not _passphrase_is_here(key):
            line, address = _unopened(key.keystore, key.passphrase_credential)
            return [*lines, line], address
    elif CREDENTIALS_DIRECTORY not in os.environ:
        how = "systemd hands it to the service only; see systemd/README.md to check it there"
        return [Line("warn", "key", f"credential {key.credential} is not here: {how}")], None
    try:
        address = load_signer(key.keystore, key.passphrase_credential, key.credential).address
    except KeyFileError as error:
        return [*lines, Line("FAIL", "key", str(error))], None
    return [*lines, Line("ok", "key", f"opens; its address is {address}")], address


def _passphrase_is_here(key: Key) -> bool:
    if key.passphrase_credential is not None:
        return CREDENTIALS_DIRECTORY in os.environ
    return sys.stdin is not None and sys.stdin.isatty()


def _unopened(keystore: Path, credential: str | None) -> tuple[Line, str | None]:
    """What a keystore says of itself where there is no passphrase to open it with."""
    try:
        stated = json.loads(keystore.read_bytes())["address"]
        address = to_checksum_address("0x" + stated.lower().removeprefix("0x"))
    except OSError as error:
        todo = "let the user of the service read it"
        return Line("FAIL", "key", f"{keystore}: unreadable ({error.strerror}); {todo}"), None
    except (ValueError, TypeError, KeyError, AttributeError):
        todo = "make one with `python -m mevfast key new --out FILE`"
        return Line("FAIL", "key", f"{keystore}: no keystore with an address; {todo}"), None
    source = f"credential {credential}" if credential else "terminal"
    message = f"for {address}; not opened, because its passphrase ({source}) is not here"
    return Line("warn", "key", message), address


# ---- the chain -------------------------------------------------------------------------------


async def _chain(rpc: Rpc, config: Config, address: str | None) -> AsyncIterator[Line]:
    """Findings about the node, and all that it shows of the chain."""
    yield Line("ok", "node", f"{rpc.url} answers: {await _version(rpc)}")
    try:
        await check_chain_id(rpc, config.node.chain_id)
    except NodeError as error:
        yield Line("FAIL", "chain id", f"{error} (node.chain_id)")
        return  # nothing below would be about the right chain
    yield Line("ok", "chain id", str(config.node.chain_id))
    checks = {
        "head": _named("head", _head(rpc, config)),
        "subscribe": _named("subscribe", _subscriptions(rpc)),
        "executor": _named("executor", _executor(rpc, config, address)),
        "entries": _entries(rpc, config),
        "gas money": _named("gas money", _balance(rpc, config, address)),
    }
    for what, lines in checks.items():
        try:
            async for line in lines:
                yield line
        except RpcError as error:
            yield Line("FAIL", what, f"{error}; ask the node's operator why")
        except (TypeError, KeyError, ValueError) as error:
            yield Line("FAIL", what, f"the node's answer makes no sense ({error!r}); use another")


_Found = AsyncIterator[tuple[str, str]]


async def _named(what: str, found: _Found) -> AsyncIterator[Line]:
    async for status, message in found:
        yield Line(status, what, message)


async def _version(rpc: Rpc) -> str:
    try:
        return str(await rpc.request("web3_clientVersion", []))
    except RpcError:
        return "it does not say what it is"


async def _head(rpc: Rpc, config: Config) -> _Found:
    syncing = await rpc.request("eth_syncing", [])
    block = await rpc.request("eth_getBlockByNumber", ["latest", False])
    age = time.time() - int(block["timestamp"], 16)
    text = f"block {int(block['number'], 16)}, {max(age, 0):.0f} s old"
    if syncing:
        yield "FAIL", f"{text}: the node is still syncing; wait until eth_syncing is false"
    elif age > SYNCED_WITHIN_S:
        yield "FAIL", f"{text}: the node does not follow the chain; check it and this clock"
    elif age > config.risk.max_head_age_s + CLOCK_SLACK_S:
        limit = f"risk.max_head_age_s is {config.risk.max_head_age_s:g}"
        yield "warn", f"{text}, and {limit}: nothing would be sent on it; use a faster node"
    else:
        yield "ok", text


async def _subscriptions(rpc: Rpc) -> _Found:
    for kind, params in (("newHeads", None), ("logs", {"topics": [["0x" + "00" * 32]]})):
        subscription = await rpc.subscribe(kind, params)
        await rpc.request("eth_unsubscribe", [subscription])
    yield "ok", "newHeads and logs"


async def _executor(rpc: Rpc, config: Config, address: str | None) -> _Found:
    if config.executor is None:
        yield "FAIL", "none in the config; run `python -m mevfast deploy --config FILE`"
        return
    executor = config.executor.address
    code = await _code(rpc, executor)
    if not code:
        yield "FAIL", f"no contract at {executor}; deploy it, or correct executor.address"
        return
    if not artifacts.is_instance(code, artifacts.load("Executor").bytecode):
        yield "FAIL", f"{executor} is another contract or version; deploy it again"
        return
    yield "ok", f"{executor} is this version's"
    owner = await _read_address(rpc, executor, "owner()")
    if address is None:
        yield "warn", f"owned by {owner}; whether that is the key's address is not known here"
    elif owner != address:
        yield "FAIL", f"owned by {owner}, the key is {address}; use the owner's key or deploy again"
    else:
        yield "ok", "owned by the key"
    lenders = (
        ("balancer", "balancerVault()", config.flash.balancer_vault),
        ("aave", "aavePool()", config.flash.aave_pool),
    )
    for source, getter, wanted in lenders:
        if source in config.flash.sources:
            there = await _read_address(rpc, executor, getter)
            if there != wanted:
                yield "FAIL", f"built for {source} at {there}, flash has {wanted}; deploy again"


async def _entries(rpc: Rpc, config: Config) -> AsyncIterator[Line]:
    """A line for each factory, token and lender that the config names, and for Multicall3."""
    listed = config.chain.venues if config.chain is not None else {}
    for finding in await entries.verify_config(rpc, config):
        what = finding.name if finding.what == "factory" else finding.what
        if finding.ok:
            yield Line("ok", what, finding.message)
        elif finding.what == "multicall" and config.market.multicall is None:
            yield Line("warn", what, f"{finding.message}; the registry's will not be used")
        else:
            yield Line("FAIL", what, f"{finding.message}; it will be refused")
        venue = listed.get(finding.name)
        if finding.name in config.market.venues and venue is not None and not venue.confirmed:
            [source] = venue.provenance
            yield Line("warn", what, f"only one source states this address ({source})")


async def _balance(rpc: Rpc, config: Config, address: str | None) -> _Found:
    if address is None:
        yield "warn", "the key's address is not known here, so its balance is not either"
        return
    balance = int(await rpc.request("eth_getBalance", [address, "latest"]), 16)
    floor = config.risk.min_balance_wei
    if balance <= floor:
        yield "FAIL", f"{address} has {balance} wei, risk.min_balance_wei is {floor}; send it more"
    else:
        yield "ok", f"{address} has {balance} wei"


# ---- reading contracts -----------------------------------------------------------------------


async def _code(rpc: Rpc, address: str) -> bytes:
    return bytes.fromhex((await rpc.request("eth_getCode", [address, "latest"]))[2:])


async def _read(rpc: Rpc, address: str, signature: str, *arguments: int) -> int | None:
    """The one word a getter answers; None where it reverts or answers anything else."""
    data = keccak256(signature.encode())[:4] + b"".join(word.to_bytes(32) for word in arguments)
    call = {"to": address, "data": "0x" + data.hex()}
    try:
        answer = bytes.fromhex((await rpc.request("eth_call", [call, "latest"]))[2:])
    except RpcError:
        return None
    return int.from_bytes(answer) if len(answer) == 32 else None


async def _read_address(rpc: Rpc, address: str, signature: str) -> str | None:
    word = await _read(rpc, address, signature)
    return None if word is None else to_checksum_address(f"0x{word:040x}")
