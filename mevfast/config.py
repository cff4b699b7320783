"""The config: one commented TOML file, read once, into frozen records.

Owns the names, types, defaults and limits of every setting. Must not reach the
node, read a key, or hold one: a setting that looks like a secret is refused.
Records built in code (the demo, tests) pass the same checks as those read from
a file; `dataclasses.replace` gives a changed and checked copy.

systemd/mevfast.example.toml explains every key.
"""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from mevfast import chains
from mevfast.chains import Chain, Factory
from mevfast.errors import ConfigError
from mevfast.schema import (
    Section,
    a_path,
    an_address,
    build,
    flag,
    instance_of,
    list_of,
    missing,
    near,
    one_of,
    real,
    shown,
    text,
    wei,
    whole,
    wrong,
)

__all__ = ["Config", "Factory", "Market", "load_config", "shown"]


_websocket = text(
    "a WebSocket address (ws://host:port or wss://host)",
    r"wss?://[^\s/]+\S*",
    "give the node's WebSocket address, not the HTTP one",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Section):
    """The node: one WebSocket for subscriptions, calls and sending; others where it fails."""

    url: Annotated[str, _websocket]
    chain_id: Annotated[int, whole(1, 2**53)]
    fallback_urls: Annotated[tuple[str, ...], list_of(_websocket)] = ()
    return_after_s: Annotated[float, real(0, 86_400)] = 60.0
    request_timeout_s: Annotated[float, real(0, 300)] = 10.0
    head_timeout_s: Annotated[float, real(0, 300)] = 10.0
    max_gap_blocks: Annotated[int, whole(1, 1_000_000)] = 2000

    @property
    def urls(self) -> tuple[str, ...]:
        """Every node, in the order in which they are tried."""
        return (self.url, *self.fallback_urls)

    @property
    def shown_url(self) -> str:
        """The address without user, path and query, where providers keep access tokens."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def _agree(self) -> None:
        same = [url.rstrip("/") for url in self.urls]
        for index, url in enumerate(same[1:]):
            if url in same[: index + 1]:
                todo = "remove it: a fallback must be another node"
                raise wrong("fallback_urls", "each node once", f"one twice at [{index}]", todo)


_credential = text(
    "the name of a systemd credential (letters, digits, . _ -)",
    r"(?!(0x)?[0-9a-fA-F]{64}$)[A-Za-z0-9._-]{1,255}",
    "give the name that LoadCredential= has in the unit, not what is in it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Section):
    """Where the signing key is: a keystore V3 file, or a systemd credential with the raw key."""

    keystore: Annotated[Path | None, a_path] = None
    passphrase_credential: Annotated[str | None, _credential] = None
    credential: Annotated[str | None, _credential] = None

    def _agree(self) -> None:
        if (self.keystore is None) == (self.credential is None):
            actual = "neither" if self.keystore is None else "both"
            todo = "name one (`python -m mevfast key new` makes a keystore)"
            raise wrong("keystore", "exactly one of keystore and credential", actual, todo)
        if self.passphrase_credential and self.keystore is None:
            raise wrong(
                "passphrase_credential",
                "a keystore beside it",
                "alone",
                "remove it: a raw key in a credential has no passphrase",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor(Section):
    """The executor contract."""

    address: Annotated[str, an_address]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market(Section):
    """What is traded. All addresses carry their checksum.

    As part of a Config, `factories` also has what `venues` names.
    """

    base_token: Annotated[str, an_address]
    start_tokens: Annotated[tuple[str, ...], list_of(an_address, 1)]
    venues: Annotated[tuple[str, ...], list_of(text("the name of a registry entry"))] = ()
    factories: Annotated[tuple[Factory, ...], list_of(instance_of(Factory))] = ()
    only_tokens: Annotated[tuple[str, ...], list_of(an_address)] = ()
    ignore_tokens: Annotated[tuple[str, ...], list_of(an_address)] = ()
    check_tokens: Annotated[bool, flag] = True
    multicall: Annotated[str | None, an_address] = None
    cache: Annotated[Path | None, a_path] = None

    def with_registry(self, chain: Chain | None, chain_id: int) -> Self:
        """A copy whose `factories` has the registry's entries for `venues` first, then its own.

        Raises:
            ConfigError: the chain has no registry, or the registry no such entry.
        """
        if self.venues and chain is None:
            todo = "leave it out and write a [[market.factory]] for each"
            expected = f"none, because no registry ships for chain {chain_id}"
            raise wrong("venues", expected, shown(self.venues), todo)
        listed = chain.venues if chain is not None else {}
        for index, name in enumerate(self.venues):
            if name not in listed:
                todo = near(name, list(listed)) or "choose one, or write a [[market.factory]]"
                expected = f"names of the registry ({', '.join(listed)})"
                raise wrong("venues", expected, f"{shown(name)} at [{index}]", todo)
        named = tuple(listed[name].factory for name in self.venues)
        own = tuple(factory for factory in self.factories if factory not in named)
        return dataclasses.replace(self, factories=(*named, *own))

    def _agree(self) -> None:
        if not self.venues and not self.factories:
            raise missing("", "factory", is_table=True)
        needed = {self.base_token, *self.start_tokens}
        if self.only_tokens and not needed <= set(self.only_tokens):
            absent = sorted(needed - set(self.only_tokens))[0]
            todo = "add it, or leave only_tokens out to take every token"
            expected = f"the base and start tokens among them ({absent})"
            raise wrong("only_tokens", expected, "a list without it", todo)
        for address in sorted(needed & set(self.ignore_tokens)):
            todo = "remove it here or from base_token and start_tokens"
            raise wrong("ignore_tokens", "no base or start token", address, todo)
        for name in ("name", "address"):
            values = [getattr(factory, name) for factory in self.factories]
            for value in values:
                if values.count(value) > 1:
                    todo = "remove one or correct it"
                    raise wrong("factory", f"each {name} once", f"{value} twice", todo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Section):
    """Which cycles are looked for, and from which profit on they are taken."""

    max_hops: Annotated[int, whole(2, 4)] = 4
    min_profit_wei: Annotated[int, wei]
    max_input_wei: Annotated[int, wei] = 0
    screen_margin: Annotated[float, real(0, 0.01)] = 1e-6
    rescan_s: Annotated[float, real(0, 86_400)] = 10.0


FUNDING_SOURCES = ("flash_swap", "balancer", "aave", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash(Section):
    """Where the amount of the first hop may come from; the one that nets most is taken."""

    sources: Annotated[tuple[str, ...], list_of(one_of(*FUNDING_SOURCES), 1)] = ("flash_swap",)
    balancer_vault: Annotated[str | None, an_address] = None
    aave_pool: Annotated[str | None, an_address] = None

    def _agree(self) -> None:
        for source, key in (("balancer", "balancer_vault"), ("aave", "aave_pool")):
            if source in self.sources and getattr(self, key) is None:
                todo = f'add it, or remove "{source}" from flash.sources'
                expected = f'an address, because flash.sources has "{source}"'
                raise wrong(key, expected, "missing", todo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gas(Section):
    """What a transaction may cost. Percentages are of the base fee and of the estimated gas."""

    max_fee_percent: Annotated[int, whole(100, 10_000)] = 200
    priority_fee_wei: Annotated[int, whole(0, 10**15)] = 0
    limit_percent: Annotated[int, whole(100, 1_000)] = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(Section):
    """Whether transactions are sent, and how long they stay valid."""

    mode: Annotated[str, one_of("shadow", "live")] = "shadow"
    deadline_blocks: Annotated[int, whole(1, 1_000)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk(Section):
    """Limits; reaching one stops sending and says why."""

    max_consecutive_reverts: Annotated[int, whole(1, 1_000)] = 5
    max_gas_wei_per_hour: Annotated[int, wei] = 10**16
    min_balance_wei: Annotated[int, wei] = 10**15
    max_head_age_s: Annotated[float, real(0, 300)] = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Section):
    """The reserve table, and what it takes to keep it true."""

    capacity: Annotated[int, whole(16, 1_000_000)] = 32_768
    ttl_s: Annotated[float, real(0, 86_400)] = 45.0
    undo_blocks: Annotated[int, whole(1, 10_000)] = 64
    verify_blocks: Annotated[int, whole(1, 10_000)] = 40
    path: Annotated[Path | None, a_path] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(Section):
    """How the event loop waits for the node: asleep, or polling on a core of its own."""

    mode: Annotated[str, one_of("wait", "spin")] = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Section):
    """What is logged to standard error."""

    level: Annotated[str, one_of("debug", "info", "warning", "error")] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Section):
    """Everything the engine is told. `key` and `executor` are None where code brings its own."""

    node: Node
    market: Market
    search: Search
    key: Key | None = None
    executor: Executor | None = None
    flash: Flash = field(default_factory=Flash)
    gas: Gas = field(default_factory=Gas)
    execution: Execution = field(default_factory=Execution)
    risk: Risk = field(default_factory=Risk)
    table: Table = field(default_factory=Table)
    loop: Loop = field(default_factory=Loop)
    log: Log = field(default_factory=Log)

    def _agree(self) -> None:
        try:
            market = self.market.with_registry(self.chain, self.node.chain_id)
        except ConfigError as error:
            raise ConfigError(f"market.{error}") from None
        object.__setattr__(self, "market", market)

    @property
    def chain(self) -> Chain | None:
        """The registry of the node's chain; None where none ships."""
        return chains.load(self.node.chain_id)

    @property
    def multicall(self) -> str | None:
        """Multicall3's address: the config's, else the registry's, else None."""
        listed = self.chain.multicall if self.chain is not None else None
        return self.market.multicall or (listed.address if listed is not None else None)

    @property
    def executor_address(self) -> str:
        """The executor's address.

        Raises:
            ConfigError: the config has none yet.
        """
        if self.executor is None:
            todo = "run `python -m mevfast deploy --config FILE` and add the lines it prints"
            raise wrong("executor.address", "the address of your executor", "missing", todo)
        return self.executor.address

    def replace(self, **sections: object) -> Self:
        """Give a copy with other sections, checked again.

        Raises:
            ConfigError: a section is of another type.
        """
        return dataclasses.replace(self, **sections)  # type: ignore[arg-type]


# ---- from TOML -------------------------------------------------------------------------------


def load_config(path: Path | str, *, deployed: bool = True) -> Config:
    """Read and check a config file; `key` is always there, `executor` unless not `deployed`.

    A relative path in it counts from the folder of the file.

    Args:
        path: the TOML file.
        deployed: refuse a file without [executor]. `deploy` and `check` take one without.

    Raises:
        ConfigError: one line with file, key, what was expected, what was there, what to do.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        todo = "copy systemd/mevfast.example.toml there and edit it"
        raise wrong(str(path), "a config file", f"unreadable ({error.strerror})", todo) from None
    except UnicodeDecodeError:
        raise wrong(str(path), "UTF-8 text", "something else", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise wrong(str(path), "TOML", f"no TOML: {error}", "correct that line") from None
    try:
        config = build(Config, table, "")
        if deployed:
            _ = config.executor_address
        folder = path.parent
        return config.replace(
            key=_key_file(config.key, folder),
            market=dataclasses.replace(config.market, cache=_below(folder, config.market.cache)),
            table=dataclasses.replace(config.table, path=_below(folder, config.table.path)),
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _below(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else (folder / path).absolute()


def _key_file(key: Key | None, folder: Path) -> Key:
    """The key section with its keystore path made absolute; the file must be there."""
    if key is None:
        raise missing("", "key", is_table=True)
    if key.keystore is None:
        return key
    keystore = _below(folder, key.keystore)
    assert keystore is not None
    if not keystore.is_file():
        todo = "make one with `python -m mevfast key new --out FILE` or correct the path"
        raise wrong("key.keystore", "a keystore file", f"{keystore} (no such file)", todo)
    return dataclasses.replace(key, keystore=keystore)
