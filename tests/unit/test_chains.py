"""The registries that ship, and what their reader refuses."""

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable

import pytest
from eth_utils.address import to_checksum_address

from mevfast import chains
from mevfast.chains import Factory
from mevfast.errors import ConfigError, DataError

FILES = sorted(
    (each for each in resources.files(chains).iterdir() if each.name.endswith(".toml")),
    key=lambda each: each.name,
)
WETH = "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1"
GOOD = f"""
chain_id = 5
name = "Test"
block_time_s = 1
wrapped_native = "{WETH}"
[[factory]]
name = "two"
kind = "uniswap_v2"
address = "0xf1D7CC64Fb4452F05c498126312eBE29f30Fbcf9"
fee_pips = 3000
provenance = ["npm @uniswap/sdk-core@7.19.4: addresses"]
[[token]]
symbol = "WETH"
address = "{WETH}"
decimals = 18
provenance = ["github a/b: c", "github d/e: f"]
"""


def addresses(table: object) -> list[str]:
    """Every value of a key called address or wrapped_native, as the file spells it."""
    if isinstance(table, list):
        return [each for item in table for each in addresses(item)]
    if not isinstance(table, dict):
        return []
    found = [table[key] for key in ("address", "wrapped_native") if key in table]
    return found + [each for value in table.values() for each in addresses(value)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_entry_that_ships_is_whole(file: Traversable) -> None:
    text = file.read_text()
    chain = chains.parse(text, file.name)
    spelled = addresses(tomllib.loads(text))
    assert len(spelled) > len(chain.factories) + len(chain.tokens)
    assert [each for each in spelled if each != to_checksum_address(each)] == []
    entries = [*chain.factories, *chain.lenders, *chain.tokens]
    entries += [chain.multicall] if chain.multicall else []
    for entry in entries:
        assert entry.provenance, entry
    for names in (
        [each.name for each in chain.factories],
        [each.address for each in chain.factories],
        [each.symbol for each in chain.tokens],
        [each.address for each in chain.tokens],
    ):
        assert len(set(names)) == len(names)
    assert {each.kind for each in chain.factories} <= set(chains.VENUE_KINDS)
    assert all(0 <= each.decimals <= 77 for each in chain.tokens)
    assert chains.load(chain.chain_id) == chain


def test_there_is_a_registry_of_arbitrum_one_and_none_of_a_chain_without() -> None:
    arbitrum = chains.load(42161)
    assert arbitrum is not None
    assert arbitrum.wrapped_native == WETH
    assert arbitrum.token(WETH) == arbitrum.tokens[0]
    assert chains.load(5) is None
    native, bridged = (
        next(each for each in arbitrum.tokens if each.symbol == symbol)
        for symbol in ("USDC", "USDC.e")
    )
    assert native.address == "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"
    assert bridged.address == "0xFF970A61A04b1cA14834A43f5dE4533eBDDB5CC8"


def test_two_chains_do_not_share_an_id() -> None:
    ids = [tomllib.loads(file.read_text())["chain_id"] for file in FILES]
    assert sorted(chains.known()) == sorted(ids)


def test_what_a_file_leaves_out_has_its_default() -> None:
    chain = chains.parse(GOOD, "test.toml")
    assert chain.multicall is None
    assert chain.lenders == ()
    assert chain.venues["two"].factory == Factory(
        name="two",
        kind="uniswap_v2",
        address="0xf1D7CC64Fb4452F05c498126312eBE29f30Fbcf9",
        fee_pips=3000,
    )


@pytest.mark.parametrize(
    ("provenance", "confirmed"),
    [
        ('"npm viem@2.57.20: x"', True),
        ('"github a/b: c", "github d/e: f"', True),
        ('"github a/b: c"', False),
        ('"github a/b: c", "github a/b: d"', False),
    ],
)
def test_one_repository_alone_confirms_nothing(provenance: str, confirmed: bool) -> None:
    text = GOOD.replace('"npm @uniswap/sdk-core@7.19.4: addresses"', provenance)
    [venue] = chains.parse(text, "test.toml").factories
    assert venue.confirmed == confirmed


REFUSALS = [
    ("decimals = 18", "decimals = 78", ["token[0].decimals:", "from 0 to 77", "was 78"]),
    ("decimals = 18", "", ["token[0].decimals:", "was missing"]),
    ('"uniswap_v2"', '"uniswap_2"', ["factory[0].kind:", 'mean "uniswap_v2"']),
    ("fee_pips = 3000", "", ["factory[0].fee_pips:", "uniswap_v2"]),
    ("0xf1D7CC", "0xf1D7cC", ["factory[0].address:", "EIP-55"]),
    ('"github a/b: c", "github d/e: f"', "", ["token[0].provenance:", "at least 1"]),
    ('"github a/b: c"', '"a friend"', ["token[0].provenance:", "'a friend' at [0]", "npm"]),
    ('"npm @uniswap/sdk-core@7.19.4: addresses"', '"npm sushi: x"', ["factory[0].provenance:"]),
    (f'wrapped_native = "{WETH}"', f'wrapped_native = "0x{"11" * 20}"', ["wrapped_native:", "one"]),
    ("chain_id = 5", "chainid = 5", ["chainid:", "did you mean chain_id?"]),
    ("[[token]]", "[[tokens]]", ["tokens:", "did you mean token?"]),
    ('name = "Test"', "name = ", ["expected TOML"]),
]


@pytest.mark.parametrize(("old", "new", "parts"), REFUSALS)
def test_refusal_names_file_and_field(old: str, new: str, parts: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(DataError) as error:
        chains.parse(GOOD.replace(old, new, 1), "chains/test.toml")
    message = str(error.value)
    assert message.startswith(f"chains/test.toml: {parts[0]}")
    assert "\n" not in message
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("kind", ["token", "factory"])
@pytest.mark.parametrize(("old", "new"), [("", ""), ('"two"', '"three"'), ('"WETH"', '"ETH"')])
def test_an_entry_stands_there_once(kind: str, old: str, new: str) -> None:
    start = GOOD.index(f"[[{kind}]]")
    again = GOOD[start:].partition("\n[[")[0].replace(old, new)
    with pytest.raises(DataError, match=rf"{kind}: expected .*(repeats|once), was "):
        chains.parse(f"{GOOD}\n{again}", "chains/test.toml")


@pytest.mark.parametrize("kind", chains.VENUE_KINDS)
def test_a_fee_is_stated_where_pools_do_not_say_theirs(kind: str) -> None:
    needs, may = kind == "uniswap_v2", kind in ("uniswap_v2", "solidly")
    for fee_pips, accepted in ((None, not needs), (3000, may)):
        if accepted:
            Factory(name="x", kind=kind, address=WETH, fee_pips=fee_pips)
        else:
            with pytest.raises(ConfigError, match=r"^fee_pips: "):
                Factory(name="x", kind=kind, address=WETH, fee_pips=fee_pips)
