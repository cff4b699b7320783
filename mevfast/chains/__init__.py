"""The registry: for each chain that has a file here, which contracts stand where, and who says so.

Owns `*.toml` beside this file and the records they become. Addresses are not believed because
they stand here: each entry states its provenance, and `mevfast.dex.entries` asks the chain itself
before an entry is used. Nothing is traded because it is listed: a config names the entries it wants
in `market.venues`.
"""

import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Annotated

from mevfast.errors import ConfigError, DataError
from mevfast.schema import (
    Section,
    an_address,
    build,
    instance_of,
    list_of,
    one_of,
    real,
    shown,
    text,
    whole,
    wrong,
)

FEE_IS_OF_THE_KIND = "uniswap_v2"
"""The only kind whose pools do not say their fee: forks differ, so the entry must state it."""

FEE_MAY_BE_STATED = "solidly"
"""Its factory answers getFee(pool, stable); a fork whose factory does not needs the figure."""

VENUE_KINDS = (
    FEE_IS_OF_THE_KIND,
    "camelot_v2",
    FEE_MAY_BE_STATED,
    "uniswap_v3",
    "pancake_v3",
    "algebra_v1",
    "algebra_integral",
    "uniswap_v4",  # the PoolManager
    "curve",  # a registry or factory with pool_count and pool_list
    "balancer_v2",  # the Vault
)
"""Kinds of what announces pools: factories, and the singletons that hold all pools themselves."""

LENDER_KINDS = ("aave_v3", "balancer_v2")
MOST_DECIMALS = 77  # 10**77 is the largest power of ten below 2**256

_name = text("a short name", r"[A-Za-z0-9 ._-]{1,32}")
_source = text(
    '"npm PACKAGE@VERSION: where" or "github OWNER/REPOSITORY: where"',
    r"(npm (@[\w.-]+/)?[\w.-]+@\d[\w.-]*|github [\w.-]+/[\w.-]+): \S.*",
    "say which package or repository states the address, and where in it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory(Section):
    """What announces pools that are found and traded: a factory, or a singleton with all pools."""

    name: Annotated[str, _name]
    kind: Annotated[str, one_of(*VENUE_KINDS)]
    address: Annotated[str, an_address]
    fee_pips: Annotated[int | None, whole(0, 999_999)] = None
    from_block: Annotated[int, whole(0, 2**63 - 1)] = 0

    def _agree(self) -> None:
        if self.kind == FEE_IS_OF_THE_KIND and self.fee_pips is None:
            todo = "add `fee_pips = 3000` for the usual 0.3 %"
            raise wrong(
                "fee_pips", f"the fee in millionths for a {self.kind} factory", "none", todo
            )
        takes_fee = self.kind in (FEE_IS_OF_THE_KIND, FEE_MAY_BE_STATED)
        if not takes_fee and self.fee_pips is not None:
            todo = f"remove it: every {self.kind} pool carries its own fee"
            raise wrong("fee_pips", f"none for {self.kind}", shown(self.fee_pips), todo)


_Provenance = Annotated[tuple[str, ...], list_of(_source, 1)]


class Sourced:
    """An entry of a registry that says who states it, one source a line."""

    __slots__ = ()
    provenance: _Provenance

    @property
    def confirmed(self) -> bool:
        """Whether a published package states it, or two repositories do.

        What is not confirmed is used only where a config names it.
        """
        sources = {source.partition(":")[0] for source in self.provenance}
        return len(sources) >= 2 or any(source.startswith("npm ") for source in sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue(Factory, Sourced):
    """A factory with its provenance."""

    provenance: _Provenance

    @property
    def factory(self) -> Factory:
        """What a config has of it."""
        values = {item.name: getattr(self, item.name) for item in fields(Factory)}
        return Factory(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender(Section, Sourced):
    """A contract that lends for the length of a transaction."""

    name: Annotated[str, _name]
    kind: Annotated[str, one_of(*LENDER_KINDS)]
    address: Annotated[str, an_address]
    provenance: _Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Section, Sourced):
    """An ERC-20 token. `symbol` is ours: two tokens may call themselves the same on the chain."""

    symbol: Annotated[str, text("a symbol", r"[A-Za-z0-9.]{1,16}")]
    address: Annotated[str, an_address]
    decimals: Annotated[int, whole(0, MOST_DECIMALS)]
    provenance: _Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Multicall(Section, Sourced):
    """Multicall3."""

    address: Annotated[str, an_address]
    provenance: _Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Section):
    """What is known of one chain. All addresses carry their checksum."""

    chain_id: Annotated[int, whole(1, 2**53)]
    name: Annotated[str, _name]
    block_time_s: Annotated[float, real(0, 3600)]
    wrapped_native: Annotated[str, an_address]
    tokens: Annotated[tuple[Token, ...], list_of(instance_of(Token), 1)]
    factories: Annotated[tuple[Venue, ...], list_of(instance_of(Venue))] = ()
    lenders: Annotated[tuple[Lender, ...], list_of(instance_of(Lender))] = ()
    multicall: Multicall | None = None

    @property
    def venues(self) -> dict[str, Venue]:
        """The factories by name."""
        return {venue.name: venue for venue in self.factories}

    def token(self, address: str) -> Token | None:
        """The token at a checksummed address."""
        return next((token for token in self.tokens if token.address == address), None)

    def _agree(self) -> None:
        for key, entries, names in (
            ("factory", self.factories, ("name", "address")),
            ("lender", self.lenders, ("name", "address")),
            ("token", self.tokens, ("symbol", "address")),
        ):
            for name in names:
                values = [getattr(entry, name) for entry in entries]
                twice = next((value for value in values if values.count(value) > 1), None)
                if twice is not None:
                    todo = "remove one or correct it"
                    raise wrong(key, f"each {name} once", f"{twice} twice", todo)
        if self.token(self.wrapped_native) is None:
            todo = "add its [[token]]"
            raise wrong("wrapped_native", "one of the tokens", self.wrapped_native, todo)


def parse(content: str, where: str) -> Chain:
    """The registry that a file holds; `where` names the file in messages.

    Raises:
        DataError: one line with file, field, what was expected, what was there, what to do.
    """
    try:
        return build(Chain, tomllib.loads(content), "")
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{where}: expected TOML, was no TOML: {error}; correct it") from None
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None


@cache
def known() -> dict[int, Chain]:
    """Every registry that ships, by chain id.

    Raises:
        DataError: a file is not what it should be, or two have the same chain id.
    """
    chains: dict[int, Chain] = {}
    files = [each for each in resources.files(__name__).iterdir() if each.name.endswith(".toml")]
    for file in sorted(files, key=lambda each: each.name):
        chain = parse(file.read_text(encoding="utf-8"), f"mevfast/chains/{file.name}")
        if chain.chain_id in chains:
            raise DataError(
                f"mevfast/chains/{file.name}: chain_id: expected an id of its own, was "
                f"{chain.chain_id}, which {chains[chain.chain_id].name} has; correct one"
            )
        chains[chain.chain_id] = chain
    return chains


def load(chain_id: int) -> Chain | None:
    """The registry of a chain; None where there is none. Raises as `known` does."""
    return known().get(chain_id)
