"""The config: what is accepted, and that each refusal is one line that says where, what and how."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from mevfast import chains, schema
from mevfast import config as settings
from mevfast.config import Config, Factory, Flash, Key, Market, Node, Search, load_config, shown
from mevfast.errors import ConfigError

WETH = "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1"
USDC = "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"
UNISWAP_V2 = "0xf1D7CC64Fb4452F05c498126312eBE29f30Fbcf9"
SECRET = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"

GOOD = f"""
[node]
url = "ws://127.0.0.1:8545"
chain_id = 42161
[key]
credential = "mevfast-key"
[executor]
address = "{WETH}"
[market]
base_token = "{WETH}"
start_tokens = ["{WETH}"]
[[market.factory]]
name = "Uniswap V2"
kind = "uniswap_v2"
address = "{UNISWAP_V2}"
fee_pips = 3000
[search]
min_profit_wei = 1000
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mevfast.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    """The message for a file, which must be one line that begins with the file's path."""
    path = write(folder, text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_values_and_defaults_arrive(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.node == Node(url="ws://127.0.0.1:8545", chain_id=42161)
    assert config.market.factories == (
        Factory(name="Uniswap V2", kind="uniswap_v2", address=UNISWAP_V2, fee_pips=3000),
    )
    assert config.search == Search(min_profit_wei=1000, max_hops=4)
    assert config.executor_address == WETH
    assert config.execution.mode == "shadow"


def test_addresses_are_given_back_with_their_checksum(tmp_path: Path) -> None:
    for spelled in (WETH.lower(), "0x" + WETH[2:].upper()):
        config = load_config(write(tmp_path, GOOD.replace(WETH, spelled)))
        assert config.market.base_token == WETH
        assert config.market.start_tokens == (WETH,)


@pytest.mark.parametrize("spelled", ["1000", '"1000"'])
def test_wei_may_be_a_decimal_string(tmp_path: Path, spelled: str) -> None:
    text = GOOD.replace("min_profit_wei = 1000", f"min_profit_wei = {spelled}")
    assert load_config(write(tmp_path, text)).search.min_profit_wei == 1000


# (what is replaced, by what, how the message begins, what else is in it)
REFUSALS = [
    ("min_profit_wei = 1000", "", ["search.min_profit_wei:", "was missing", "below [search]"]),
    ("chain_id", "chainid", ["node.chainid:", "unknown key", "did you mean node.chain_id?"]),
    ("[search]", "[serch]", ["serch:", "unknown key", "did you mean search?"]),
    ("chain_id = 42161", 'chain_id = "42161"', ["node.chain_id:", "whole number", "was '42161'"]),
    ("chain_id = 42161", "chain_id = true", ["node.chain_id:", "whole number", "was true"]),
    ("chain_id = 42161", "chain_id = 0", ["node.chain_id:", "from 1", "was 0"]),
    ("ws://", "http://", ["node.url:", "ws://", "was 'http://127.0.0.1:8545'", "WebSocket"]),
    (f'base_token = "{WETH}"', "base_token = 7", ["market.base_token:", "was 7", "quotes"]),
    (f'base_token = "{WETH}"', 'base_token = "0x12"', ["market.base_token:", "40 hex", "'0x12'"]),
    (f'base_token = "{WETH}"', f'base_token = "{"0x" + "0" * 40}"', ["market.base_token:", "zero"]),
    (f'["{WETH}"]', f'["{WETH}", "0x12"]', ["market.start_tokens:", "'0x12' at [1]"]),
    (f'["{WETH}"]', f'["{WETH}", "{WETH.lower()}"]', ["market.start_tokens:", "repeats"]),
    (f'["{WETH}"]', "[]", ["market.start_tokens:", "at least 1"]),
    (f'["{WETH}"]', f'"{WETH}"', ["market.start_tokens:", "brackets"]),
    ('kind = "uniswap_v2"', 'kind = "uniswap_2"', ["market.factory[0].kind:", 'mean "uniswap_v2"']),
    ("fee_pips = 3000", "", ["market.factory[0].fee_pips:", "uniswap_v2", "add `fee_pips"]),
    ('"uniswap_v2"', '"uniswap_v3"', ["market.factory[0].fee_pips:", "none", "was 3000"]),
    ('"uniswap_v2"', '"camelot_v2"', ["market.factory[0].fee_pips:", "camelot_v2", "was 3000"]),
    ("[market]", "[market]\ncheck_tokens = 1", ["market.check_tokens:", "true or false", "was 1"]),
    ("[search]", "[table]\nttl_s = 0\n[search]", ["table.ttl_s:", "above 0", "was 0"]),
    ("[search]", "[table]\nundo_blocks = 0\n[search]", ["table.undo_blocks:", "from 1", "was 0"]),
    ("[search]", "[table]\nverify_blocks = 0\n[search]", ["table.verify_blocks:", "from 1"]),
    ("[key]", "max_gap_blocks = 0\n[key]", ["node.max_gap_blocks:", "from 1", "was 0"]),
    ("[key]", "return_after_s = 0\n[key]", ["node.return_after_s:", "above 0", "was 0"]),
    ("[[market.factory]]", "[market.factory]", ["market.factory:", "[[market.factory]]"]),
    ('credential = "mevfast-key"', "", ["key.keystore:", "exactly one", "was neither"]),
    ("credential =", 'keystore = "k.json"\ncredential =', ["key.keystore:", "exactly one", "both"]),
    ("credential =", "keystore =", ["key.keystore:", "a keystore file", "no such file", "key new"]),
    ("[search]", "[search]\nmax_hops = 5", ["search.max_hops:", "from 2 to 4", "was 5"]),
    ("[search]", "[search]\nscreen_margin = nan", ["search.screen_margin:", "was nan"]),
    ("= 1000", "= -1", ["search.min_profit_wei:", "wei", "was -1"]),
    ("= 1000", "= 0.001", ["search.min_profit_wei:", "wei, not ether"]),
    (
        "[search]",
        '[flash]\nsources = ["aave"]\n[search]',
        ["flash.aave_pool:", "missing", "sources"],
    ),
    (
        "[search]",
        '[flash]\nsources = ["avae"]\n[search]',
        ["flash.sources:", "'avae' at [0]", '"aave"'],
    ),
    (
        "[search]",
        '[execution]\nmode = "paper"\n[search]',
        ["execution.mode:", '"shadow" or "live"'],
    ),
    ("[node]", "[node", ["expected TOML", "line 2"]),
    ("[search]", "node = 5\n[search]", ["market.factory[0].node:", "unknown key"]),
    ("[executor]", "[risk]", ["risk.address:", "unknown key"]),
    (f'[executor]\naddress = "{WETH}"', "", ["executor.address:", "missing", "mevfast deploy"]),
    ('[key]\ncredential = "mevfast-key"', "", ["key:", "missing", "add it"]),
]


@pytest.mark.parametrize(("old", "new", "parts"), REFUSALS)
def test_refusal_says_where_what_and_how(
    tmp_path: Path, old: str, new: str, parts: list[str]
) -> None:
    assert old in GOOD
    message = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert message.startswith(parts[0])
    assert [part for part in parts if part not in message] == [], message


def test_every_single_wrong_capital_of_an_address_is_refused(tmp_path: Path) -> None:
    letters = [index for index, char in enumerate(WETH) if char.isalpha() and char != "x"]
    for index in letters:
        wrong = WETH[:index] + WETH[index].swapcase() + WETH[index + 1 :]
        message = refusal(
            tmp_path, GOOD.replace(f'base_token = "{WETH}"', f'base_token = "{wrong}"')
        )
        assert message.startswith("market.base_token:")
        assert "EIP-55" in message


@pytest.mark.parametrize("name", ["private_key", "PrivateKey", "passphrase", "mnemonic", "secret"])
@pytest.mark.parametrize("section", ["key", "node"])
def test_keys_are_refused_and_never_repeated(tmp_path: Path, section: str, name: str) -> None:
    message = refusal(tmp_path, GOOD.replace(f"[{section}]", f'[{section}]\n{name} = "{SECRET}"'))
    assert message.startswith(f"{section}.{name}:")
    assert "mevfast key new" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"mevfast-key"', f'"{SECRET}"'),
        ('"mevfast-key"', f'"0x{SECRET}"'),
        ('"ws://127.0.0.1:8545"', f'"{SECRET}"'),
        ("1000", f'"0x{SECRET}"'),
        ('"uniswap_v2"', f'"{SECRET}"'),
    ],
)
def test_a_key_pasted_where_it_does_not_belong_is_not_shown(
    tmp_path: Path, old: str, new: str
) -> None:
    message = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert SECRET not in message
    assert "not shown" in message


def test_missing_file_and_other_than_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: expected a config file, was unreadable"):
        load_config(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="unreadable"):
        load_config(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "binary.toml")


def test_keystore_counts_from_the_folder_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("{}")
    config = load_config(write(tmp_path, GOOD.replace("credential = ", "keystore = ").replace(
        "mevfast-key", "k.json"
    )))  # fmt: skip
    assert config.key == Key(keystore=tmp_path / "k.json")


def test_executor_may_be_missing_before_it_is_deployed(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace(f'[executor]\naddress = "{WETH}"', ""))
    config = load_config(path, deployed=False)
    assert config.executor is None
    with pytest.raises(ConfigError, match="deploy"):
        _ = config.executor_address


def test_records_built_in_code_pass_the_same_checks() -> None:
    market = Market(
        base_token=WETH.lower(),
        start_tokens=[WETH],  # type: ignore[arg-type]
        factories=(Factory(name="v3", kind="uniswap_v3", address=UNISWAP_V2),),
    )
    assert (market.base_token, market.start_tokens) == (WETH, (WETH,))
    config = Config(
        node=Node(url="ws://localhost:1", chain_id=1),
        market=market,
        search=Search(min_profit_wei=0),
    )
    assert config.replace(search=Search(min_profit_wei=5)).search.min_profit_wei == 5
    for wrong in (
        lambda: Search(min_profit_wei=0, max_hops=5),
        lambda: dataclasses.replace(market, base_token="0x12"),
        lambda: dataclasses.replace(market, ignore_tokens=(WETH,)),
        lambda: dataclasses.replace(market, only_tokens=(USDC,)),
        lambda: dataclasses.replace(market, factories=market.factories * 2),
        lambda: config.replace(search=market),
        lambda: Flash(sources=("balancer",)),
    ):
        with pytest.raises(ConfigError, match=r"expected .* was "):
            wrong()


# ---- venues of the registry ------------------------------------------------------------------

OWN = GOOD[GOOD.index("[[market.factory]]") : GOOD.index("[search]")]


def venues(names: str, own: str = "") -> str:
    """The good config with these venues, and these factories of its own."""
    return GOOD.replace(OWN, f"venues = {names}\n{own}")


def test_venues_come_before_factories_of_ones_own(tmp_path: Path) -> None:
    own = OWN.replace(UNISWAP_V2, USDC)
    config = load_config(write(tmp_path, venues('["uniswap-v3", "camelot-v3"]', own)))
    registry = config.chain
    assert registry is not None
    assert config.market.venues == ("uniswap-v3", "camelot-v3")
    assert config.market.factories == (
        registry.venues["uniswap-v3"].factory,
        registry.venues["camelot-v3"].factory,
        Factory(name="Uniswap V2", kind="uniswap_v2", address=USDC, fee_pips=3000),
    )
    # A changed copy is checked again, and has nothing twice.
    assert config.replace(search=Search(min_profit_wei=5)).market == config.market


def test_venues_alone_are_a_market(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, venues('["balancer-v2"]')))
    assert [each.kind for each in config.market.factories] == ["balancer_v2"]
    assert refusal(tmp_path, GOOD.replace(OWN, "")).startswith("market.factory: expected")


def test_a_venue_that_no_registry_has(tmp_path: Path) -> None:
    message = refusal(tmp_path, venues('["uniswap-v3", "camelot-v4"]'))
    assert message.startswith("market.venues: expected names of the registry (uniswap-v2, ")
    assert "was 'camelot-v4' at [1]; did you mean \"camelot-v" in message
    message = refusal(tmp_path, venues('["uniswap-v3"]').replace("= 42161", "= 5"))
    assert message.startswith("market.venues: expected none, because no registry ships for chain 5")
    assert "[[market.factory]]" in message


def test_a_factory_is_there_once_whoever_names_it(tmp_path: Path) -> None:
    message = refusal(tmp_path, venues('["uniswap-v2"]', OWN))
    assert message.startswith("market.factory: expected each address once")
    message = refusal(tmp_path, venues('["uniswap-v2", "uniswap-v2"]'))
    assert message.startswith("market.venues: expected a list without repeats")


def test_multicall_is_the_configs_else_the_registrys_else_none(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.multicall == "0xcA11bde05977b3631167028862bE2a173976CA11"
    own = dataclasses.replace(config.market, multicall=USDC)
    assert config.replace(market=own).multicall == USDC
    elsewhere = config.replace(node=Node(url="ws://localhost", chain_id=5))
    assert elsewhere.multicall is None
    assert elsewhere.chain is None


@pytest.mark.parametrize(
    ("fallbacks", "parts"),
    [
        ('["http://b:1"]', ["node.fallback_urls:", "ws://", "at [0]", "WebSocket"]),
        ('["ws://b:1", "ws://b:1"]', ["node.fallback_urls:", "repeats"]),
        ('["ws://b:1", "ws://127.0.0.1:8545/"]', ["node.fallback_urls:", "once", "at [1]"]),
        ('"ws://b:1"', ["node.fallback_urls:", "brackets"]),
    ],
)
def test_fallbacks_are_other_nodes(tmp_path: Path, fallbacks: str, parts: list[str]) -> None:
    text = GOOD.replace("chain_id", f"fallback_urls = {fallbacks}\nchain_id")
    message = refusal(tmp_path, text)
    assert message.startswith(parts[0])
    assert [part for part in parts if part not in message] == [], message


def test_nodes_are_tried_in_their_order(tmp_path: Path) -> None:
    text = GOOD.replace("chain_id", 'fallback_urls = ["ws://b:1", "wss://c"]\nchain_id')
    node = load_config(write(tmp_path, text)).node
    assert node.urls == ("ws://127.0.0.1:8545", "ws://b:1", "wss://c")
    assert load_config(write(tmp_path, GOOD)).node.urls == ("ws://127.0.0.1:8545",)


def test_paths_count_from_the_folder_of_the_config(tmp_path: Path) -> None:
    text = GOOD.replace("[market]", '[table]\npath = "table"\n[market]\ncache = "m.json"')
    config = load_config(write(tmp_path, text))
    assert (config.market.cache, config.table.path) == (tmp_path / "m.json", tmp_path / "table")
    text = text.replace('"m.json"', '"/var/lib/m.json"')
    assert load_config(write(tmp_path, text)).market.cache == Path("/var/lib/m.json")


def test_shown_url_has_no_token() -> None:
    node = Node(url="wss://user:pass@node.example:8546/v2/TOKEN?key=TOKEN", chain_id=1)
    assert node.shown_url == "wss://node.example:8546"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "'a'"), (1, "1"), (True, "true"), ([1], "a list of 1"), ({}, "a table")],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


# ---- the example that ships ------------------------------------------------------------------


def schema_keys(kind: type, prefix: str = "") -> set[str]:
    """Every key a config may have, dotted, as TOML spells it."""
    keys = set()
    for item in dataclasses.fields(kind):
        name = prefix + schema.SPELLED.get(item.name, item.name)
        section = schema.section_type(item.type)
        keys |= schema_keys(section, f"{name}.") if section else {name}
    return keys


def toml_keys(table: dict[str, object], prefix: str = "") -> set[str]:
    keys = set()
    for name, value in table.items():
        parts = value if isinstance(value, list) else [value]
        for part in parts or [None]:
            if isinstance(part, dict):
                keys |= toml_keys(part, f"{prefix}{name}.")
            else:
                keys.add(prefix + name)
    return keys


def test_example_config_loads(root: Path, tmp_path: Path) -> None:
    (tmp_path / "keystore.json").write_text("{}")
    text = (root / "systemd" / "mevfast.example.toml").read_text()
    config = load_config(write(tmp_path, text), deployed=False)
    assert config.node.chain_id == 42161
    assert config.market.base_token == WETH
    assert config.execution.mode == "shadow"


def test_example_config_has_every_key_with_its_default(root: Path) -> None:
    text = (root / "systemd" / "mevfast.example.toml").read_text()
    # Alternatives stand behind "# ": bring them out.
    text = re.sub(r"^# (\[+[\w.]+\]+|\w+ = .*)$", r"\1", text, flags=re.MULTILINE)
    table = tomllib.loads(text)
    assert toml_keys(table) == schema_keys(Config)
    for section in ("gas", "execution", "risk", "table", "loop", "log"):
        defaults = getattr(settings, section.capitalize())()
        # What has no default is shown with a value that it might have.
        stated = {
            key: value for key, value in dataclasses.asdict(defaults).items() if value is not None
        }
        shown_there = {key: table[section][key] for key in stated}
        assert shown_there == stated, section
    node = settings.Node(url="ws://localhost", chain_id=42161)
    for key in ("return_after_s", "request_timeout_s", "head_timeout_s", "max_gap_blocks"):
        assert table["node"][key] == getattr(node, key)
    assert table["node"]["fallback_urls"] == list(node.fallback_urls)


def documented(root: Path) -> dict[str, str]:
    """Keys of the documents' table "key, unit, default", each with its default."""
    text = (root / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([a-z]+\.\w+)` \| *\w* *\| ([^|]+) \|", text, re.MULTILINE)
    return dict(rows)


def test_documented_defaults_are_the_schemas(root: Path) -> None:
    rows = documented(root)
    assert {key for key in rows if key.startswith("table.")} == schema_keys(
        settings.Table, "table."
    )
    for key, stated in rows.items():
        section, name = key.split(".")
        kind = getattr(settings, section.capitalize())
        [item] = [each for each in dataclasses.fields(kind) if each.name == name]
        words = {"none": (None, ()), "the registry's": (None,), "true": (True,), "wait": ("wait",)}
        expected = words.get(stated)
        assert item.default in (expected or (float(stated),)), key


def test_documents_name_every_venue_and_every_kind(root: Path) -> None:
    text = (root / "docs" / "configuration.md").read_text()
    [row] = re.findall(r"^\| Arbitrum One .*\|$", text, re.MULTILINE)
    confirmed, unconfirmed = (re.findall(r"`([\w-]+)`", part) for part in row.split("unconfirmed:"))
    registry = chains.load(42161)
    assert registry is not None
    assert set(confirmed) == {each.name for each in registry.factories if each.confirmed}
    assert set(unconfirmed) == {each.name for each in registry.factories if not each.confirmed}
    example = (root / "systemd" / "mevfast.example.toml").read_text()
    for kind in chains.VENUE_KINDS:
        assert f"`{kind}`" in text
        assert f'"{kind}"' in example
