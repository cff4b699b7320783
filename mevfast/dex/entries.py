"""Whether an entry is what it is said to be: asked of the chain itself, before it is used.

Owns what tells a kind of factory, token or lender from another. An address in a list may be
mistyped, be of another chain, or stand under the wrong kind; a pool read by another kind's rules
has a state, and a wrong one. So each entry shows a contract that answers as its kind does, and,
where it has any, a pool that knows it as its factory. All entries are asked at once, in as many
batches as the longest of these conversations has turns: three.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, cast

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from mevfast._tx import to_checksum_address
from mevfast.chain.rpc import Rpc
from mevfast.chains import MOST_DECIMALS, Factory
from mevfast.config import Config
from mevfast.dex.reads import calldata
from mevfast.errors import ConfigError, NodeError, RpcError

MOST_PAIRS = 10
"""Pairs of tokens for which a V3 factory is asked for a pool; the first tokens are the biggest."""

V3_FEES = (500, 3000, 10_000, 100)
PANCAKE_FEES = (500, 2500, 10_000, 100)

LENDER_OF_SOURCE = {"balancer": "balancer_v2", "aave": "aave_v3"}
"""What flash.sources calls lenders, by what the registry calls them."""

_NOBODY = "0x" + "00" * 20
_ANSWERS_NOTHING = ("revert", "opcode", "out of gas", "stack", "jump", "evm error", "vm execution")
"""How nodes say that a call failed in the contract, beside code 3: that is its answer."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is to be traded; `decimals` None where nobody has stated them."""

    address: str
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Lender:
    """A contract that lends; `kind` as in mevfast.chains.LENDER_KINDS."""

    name: str
    kind: str
    address: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What the chain says of one entry. `name` is a factory's or lender's, or a token's address.

    Where `ok`, `actual` says what was seen; else it differs from `expected`, and `todo` helps.
    """

    ok: bool
    what: str  # factory, token, lender or multicall
    name: str
    address: str
    actual: str
    kind: str = ""
    expected: str = ""
    todo: str = ""

    @property
    def message(self) -> str:
        """One line without the name."""
        if self.ok:
            return f"{self.address}: {self.actual}"
        return (
            f"{self.address} is no {self.kind}: expected {self.expected}, was {self.actual}; "
            f"{self.todo}"
        )


Reasons = dict[tuple[str, str], str]
"""Why entries are not used, by `what` and `name` of their findings."""


def refused(findings: Iterable[Finding]) -> Reasons:
    """The entries that must not be used, each with the reason."""
    return {(each.what, each.name): each.message for each in findings if not each.ok}


async def verify(
    rpc: Rpc,
    factories: Sequence[Factory] = (),
    tokens: Sequence[Token] = (),
    lenders: Sequence[Lender] = (),
    multicall: str | None = None,
) -> list[Finding]:
    """What the connected chain says of each entry, in the order given.

    The tokens serve to find pools of the factories, too: name those first that have most of them.

    Raises:
        NodeError: the connection is lost, or an answer is no data.
        RpcError: the node refuses to answer, which says nothing about an entry.
    """
    addresses = [to_checksum_address(token.address) for token in tokens]
    pairs = list(combinations(addresses, 2))[:MOST_PAIRS]
    checks = [_of_factory(factory, pairs) for factory in factories]
    checks += [_of_token(token) for token in tokens]
    checks += [_of_lender(lender) for lender in lenders]
    if multicall is not None:
        checks.append(_of_multicall(multicall))
    return await _converse(rpc, checks)


async def verify_config(rpc: Rpc, config: Config) -> list[Finding]:
    """Verifies all that a config names: factories, tokens, lenders and Multicall3.

    `refused` of it says which of them must not be used. Raises as `verify` does.
    """
    market, flash, chain = config.market, config.flash, config.chain
    named = dict.fromkeys((*market.start_tokens, market.base_token, *market.only_tokens))
    known = {token.address: token.decimals for token in chain.tokens} if chain else {}
    addresses = {"balancer": flash.balancer_vault, "aave": flash.aave_pool}
    lenders = [
        Lender(source, LENDER_OF_SOURCE[source], address)
        for source, address in addresses.items()
        if source in flash.sources and address is not None
    ]
    tokens = [Token(address, known.get(address)) for address in named]
    return await verify(rpc, market.factories, tokens, lenders, config.multicall)


def without(config: Config, reasons: Reasons) -> Config:
    """The config without what `refused` gave `reasons` for; Multicall3 is not looked at.

    Raises:
        ConfigError: nothing could be traded without it.
    """
    market, flash = config.market, config.flash

    def rest(what: str, key: str, names: Sequence[str]) -> tuple[str, ...]:
        left = tuple(name for name in names if (what, name) not in reasons)
        if names and not left:
            why = "; ".join(reasons[what, name] for name in names)
            raise ConfigError(f"{key}: nothing is left of it that could be used: {why}")
        return left

    rest("token", "market.base_token", [market.base_token])
    factories = [factory.name for factory in market.factories]
    named = set(rest("factory", "market.factory", factories))
    left = replace(
        market,
        start_tokens=rest("token", "market.start_tokens", market.start_tokens),
        only_tokens=rest("token", "market.only_tokens", market.only_tokens),
        venues=tuple(name for name in market.venues if name in named),
        factories=tuple(factory for factory in market.factories if factory.name in named),
    )
    sources = rest("lender", "flash.sources", flash.sources)
    return config.replace(market=left, flash=replace(flash, sources=sources))


async def refuse_wrong(rpc: Rpc, config: Config) -> tuple[Config, Reasons]:
    """The config without its wrong entries, and the reason for each of them, as `refused`.

    Raises as `verify` and `without` do.
    """
    reasons = refused(await verify_config(rpc, config))
    return without(config, reasons), reasons


# ---- conversations ---------------------------------------------------------------------------

_Request = tuple[str, list[Any]]
_Answers = list[bytes | None]
"""What requests were answered; None where a call failed in the contract."""
_Talk = Generator[list[_Request], _Answers, str]
"""Yields requests, is sent their answers, returns what it saw; raises _WrongError."""
_Check = Generator[list[_Request], _Answers, Finding]


class _WrongError(Exception):
    """The entry is not what it is said to be."""

    def __init__(self, expected: str, actual: str, todo: str = "") -> None:
        super().__init__(expected)
        self.expected, self.actual, self.todo = expected, actual, todo


async def _converse(rpc: Rpc, checks: list[_Check]) -> list[Finding]:
    """Runs them all at once: what they ask in one turn goes into one batch."""
    findings: list[Finding | None] = [None] * len(checks)
    asked: dict[int, list[_Request]] = {at: next(check) for at, check in enumerate(checks)}
    while asked:
        requests = [request for part in asked.values() for request in part]
        results = iter(await rpc.batch(requests))
        turn, asked = asked, {}
        for at, part in turn.items():
            answers = [_answer(rpc, next(results)) for _ in part]
            try:
                asked[at] = checks[at].send(answers)
            except StopIteration as done:
                findings[at] = done.value
    return cast(list[Finding], findings)


def _answer(rpc: Rpc, result: Any) -> bytes | None:
    if isinstance(result, RpcError):
        text = result.message.lower()
        if result.code == 3 or any(words in text for words in _ANSWERS_NOTHING):
            return None
        raise result
    try:
        digits = result.removeprefix("0x")
        return bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))  # "0x1" is a quantity
    except (AttributeError, ValueError):
        raise NodeError(
            f"{rpc.url}: expected data in hex, node answered {result!r:.80}; use another node"
        ) from None


def _check(talk: _Talk, *, what: str, name: str, address: str, kind: str, key: str) -> _Check:
    """A conversation as a finding; `key` is what the config calls the address."""
    try:
        requests = next(talk)
        answers = yield [("eth_getCode", [address, "latest"]), *requests]
        if not answers[0]:
            raise _WrongError("a contract", "none there", f"correct {key}")
        answers = answers[1:]
        while True:
            requests = talk.send(answers)
            answers = yield requests
    except StopIteration as done:
        return Finding(True, what, name, address, done.value, kind)
    except _WrongError as error:
        todo = error.todo or f"correct {key}"
        return Finding(False, what, name, address, error.actual, kind, error.expected, todo)


def _call(address: str, signature: str, *arguments: Any) -> _Request:
    call = {"to": address, "data": "0x" + calldata(signature, *arguments).hex()}
    return "eth_call", [call, "latest"]


# ---- what an answer is -----------------------------------------------------------------------


def _seen(answer: bytes | None) -> str:
    if answer is None:
        return "a call that reverts"
    return f"{len(answer)} bytes" if answer else "no answer"


def _number(answer: bytes | None, getter: str) -> int:
    """The one word of an answer."""
    if answer is None or len(answer) != 32:
        raise _WrongError(f"a number from {getter}", _seen(answer))
    return int.from_bytes(answer)


def _address(answer: bytes | None, getter: str) -> str:
    """The one address of an answer, checksummed."""
    word = _number(answer, getter)
    if word >> 160:
        raise _WrongError(f"an address from {getter}", f"{word:#x}")
    return to_checksum_address(f"0x{word:040x}")


def _words(answer: bytes | None, getter: str, *counts: int) -> list[int]:
    """The words of an answer that has one of these many."""
    if answer is None or len(answer) not in [32 * count for count in counts]:
        wanted = " or ".join(map(str, counts))
        raise _WrongError(f"{wanted} words from {getter}", _seen(answer))
    return [int.from_bytes(answer[at : at + 32]) for at in range(0, len(answer), 32)]


def _not_there(answer: bytes | None, getter: str, other: str) -> None:
    """Wrong where a getter answers that only another kind has."""
    if answer is not None and len(answer) >= 32:
        raise _WrongError(f"no {getter}", f"an answer, as {other} gives", f'kind may be "{other}"')


def _same(actual: str, expected: str, getter: str) -> None:
    if actual != expected:
        raise _WrongError(f"{getter} to be {expected}", actual)


def _parents(pool: str, answers: Sequence[bytes | None], factory: str) -> tuple[str, str]:
    """The tokens of a pool that names this factory, from factory(), token0() and token1()."""
    _same(_address(answers[0], f"factory() of {pool}"), factory, f"factory() of its pool {pool}")
    token0, token1 = (
        _address(answer, f"{getter} of {pool}")
        for answer, getter in zip(answers[1:3], ("token0()", "token1()"), strict=True)
    )
    if not int(token0, 16) < int(token1, 16):
        raise _WrongError(f"token0() below token1() in {pool}", f"{token0} and {token1}")
    return token0, token1


_PARENTS = ("factory()", "token0()", "token1()")


def _ask(address: str, *getters: str) -> list[_Request]:
    return [_call(address, getter) for getter in getters]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# ---- factories of pairs ----------------------------------------------------------------------


def _uniswap_v2(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    here = factory.address
    length, first = yield [_call(here, "allPairsLength()"), _call(here, "allPairs(uint256)", 0)]
    count = _number(length, "allPairsLength()")
    if not count:
        return "no pair yet"
    pair = _address(first, "allPairs(0)")
    *parents, reserves, stable = yield _ask(pair, *_PARENTS, "getReserves()", "stable()")
    _parents(pair, parents, here)
    _words(reserves, f"getReserves() of {pair}", 3)
    _not_there(stable, f"stable() of {pair}", "solidly")
    return _count(count, "pair")


def _camelot_v2(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    here = factory.address
    length, first, fees = yield [
        _call(here, "allPairsLength()"),
        _call(here, "allPairs(uint256)", 0),
        _call(here, "feeInfo()"),
    ]
    count = _number(length, "allPairsLength()")
    _words(fees, "feeInfo()", 2)
    if not count:
        return "no pair yet"
    pair = _address(first, "allPairs(0)")
    *parents, reserves, stable, fee = yield _ask(
        pair, *_PARENTS, "getReserves()", "stableSwap()", "token0FeePercent()"
    )
    _parents(pair, parents, here)
    _words(reserves, f"getReserves() of {pair}", 4)
    _number(stable, f"stableSwap() of {pair}")
    _number(fee, f"token0FeePercent() of {pair}")
    return _count(count, "pair")


_NO_POOL_FEE = "a fork without it cannot be read: leave it out"


def _solidly(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    here = factory.address
    answers = yield [  # Velodrome V2 calls pools what Solidly called pairs
        _call(here, "allPoolsLength()"),
        _call(here, "allPools(uint256)", 0),
        _call(here, "allPairsLength()"),
        _call(here, "allPairs(uint256)", 0),
        _call(here, "isPaused()"),
    ]
    pools = answers[0] is not None and len(answers[0]) == 32
    count = _number(answers[0 if pools else 2], "allPoolsLength() or allPairsLength()")
    paused = _number(answers[4], "isPaused()")
    if not count:
        return "no pool yet"
    pool = _address(answers[1 if pools else 3], "its first pool")
    *parents, metadata, stable = yield _ask(pool, *_PARENTS, "metadata()", "stable()")
    _parents(pool, parents, here)
    _words(metadata, f"metadata() of {pool}", 7)
    is_stable = bool(_number(stable, f"stable() of {pool}"))
    if factory.fee_pips is None:
        [fee] = yield [_call(here, "getFee(address,bool)", pool, is_stable)]
        if fee is None or len(fee) != 32:
            getter = "the fee of a pool from getFee(address,bool)"
            raise _WrongError(getter, _seen(fee), _NO_POOL_FEE)
    return _count(count, "pool") + (", paused now" if paused else "")


# ---- factories of concentrated liquidity -----------------------------------------------------


def _v3_pool(
    factory: Factory, pairs: Sequence[tuple[str, str]], fees: Sequence[int], found: _Answers
) -> Generator[list[_Request], _Answers, str]:
    """Looks at the first pool that getPool answered for one of these pairs and fees."""
    asked = [(pair, fee) for pair in pairs for fee in fees]
    for (pair, fee), answer in zip(asked, found, strict=True):
        pool = _address(answer, "getPool(address,address,uint24)")
        if pool == _NOBODY:
            continue
        *parents, own_fee, slot0 = yield _ask(pool, *_PARENTS, "fee()", "slot0()")
        tokens = _parents(pool, parents, factory.address)
        _same(", ".join(tokens), ", ".join(_sorted(pair)), f"the tokens of its pool {pool}")
        _same(str(_number(own_fee, f"fee() of {pool}")), str(fee), f"fee() of its pool {pool}")
        _words(slot0, f"slot0() of {pool}", 7)
        return f"its pool {pool} knows it"
    return "no pool of the start tokens to look at"


def _sorted(pair: tuple[str, str]) -> tuple[str, str]:
    first, second = sorted(pair, key=lambda token: int(token, 16))
    return first, second


def _uniswap_v3(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    spacing, deployer, *found = yield [
        _call(factory.address, "feeAmountTickSpacing(uint24)", 3000),
        _call(factory.address, "poolDeployer()"),
        *_get_pools(factory, pairs, V3_FEES),
    ]
    # The constructor of every Uniswap V3 factory enables this fee.
    spacing_text = str(_number(spacing, "feeAmountTickSpacing(3000)"))
    _same(spacing_text, "60", "feeAmountTickSpacing(3000)")
    _not_there(deployer, "poolDeployer()", "pancake_v3")
    return (yield from _v3_pool(factory, pairs, V3_FEES, found))


def _pancake_v3(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    spacing, deployer, *found = yield [
        _call(factory.address, "feeAmountTickSpacing(uint24)", 2500),
        _call(factory.address, "poolDeployer()"),
        *_get_pools(factory, pairs, PANCAKE_FEES),
    ]
    spacing_text = str(_number(spacing, "feeAmountTickSpacing(2500)"))
    _same(spacing_text, "50", "feeAmountTickSpacing(2500)")
    _address(deployer, "poolDeployer()")
    return (yield from _v3_pool(factory, pairs, PANCAKE_FEES, found))


def _get_pools(
    factory: Factory, pairs: Sequence[tuple[str, str]], fees: Sequence[int]
) -> list[_Request]:
    signature = "getPool(address,address,uint24)"
    return [_call(factory.address, signature, *pair, fee) for pair in pairs for fee in fees]


def _algebra(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    deployer, *found = yield [
        _call(factory.address, "poolDeployer()"),
        *(_call(factory.address, "poolByPair(address,address)", *pair) for pair in pairs),
    ]
    _address(deployer, "poolDeployer()")
    for pair, answer in zip(pairs, found, strict=True):
        pool = _address(answer, "poolByPair(address,address)")
        if pool == _NOBODY:
            continue
        *parents, state, plugin = yield _ask(pool, *_PARENTS, "globalState()", "plugin()")
        tokens = _parents(pool, parents, factory.address)
        _same(", ".join(tokens), ", ".join(_sorted(pair)), f"the tokens of its pool {pool}")
        if factory.kind == "algebra_v1":
            _not_there(plugin, f"plugin() of {pool}", "algebra_integral")
            _words(state, f"globalState() of {pool}", 7, 8)  # 8 with a fee for each direction
        else:
            _address(plugin, f"plugin() of {pool}")
            _words(state, f"globalState() of {pool}", 6)
        return f"its pool {pool} knows it"
    return "no pool of the start tokens to look at"


# ---- what holds or lists pools ---------------------------------------------------------------


def _uniswap_v4(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    here = factory.address
    slot, owner, controller = yield [
        _call(here, "extsload(bytes32)", bytes(32)),
        *_ask(here, "owner()", "protocolFeeController()"),
    ]
    _number(slot, "extsload(bytes32)")
    _address(controller, "protocolFeeController()")
    return f"owned by {_address(owner, 'owner()')}"


def _curve(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Talk:
    here = factory.address
    count, first = yield [_call(here, "pool_count()"), _call(here, "pool_list(uint256)", 0)]
    number = _number(count, "pool_count()")
    if not number:
        return "no pool yet"
    pool = _address(first, "pool_list(0)")
    coin, coins = yield [
        _call(pool, "coins(uint256)", 0),
        _call(here, "get_coins(address)", pool),
    ]
    address = _address(coin, f"coins(0) of {pool}")
    listed = coins or b""
    if bytes(12) + bytes.fromhex(address[2:]) not in listed or address == _NOBODY:
        raise _WrongError(f"coins(0) of its pool {pool} among its get_coins", address)
    return _count(number, "pool")


def _balancer_v2(factory: Factory | Lender, pairs: Sequence[tuple[str, str]] = ()) -> _Talk:
    here = factory.address
    collector, weth = yield _ask(here, "getProtocolFeesCollector()", "WETH()")
    fees = _address(collector, "getProtocolFeesCollector()")
    _address(weth, "WETH()")
    [vault] = yield _ask(fees, "vault()")
    _same(_address(vault, f"vault() of {fees}"), here, f"vault() of its fee collector {fees}")
    return "the Vault"


_FACTORIES: dict[str, Callable[[Factory, Sequence[tuple[str, str]]], _Talk]] = {
    "uniswap_v2": _uniswap_v2,
    "camelot_v2": _camelot_v2,
    "solidly": _solidly,
    "uniswap_v3": _uniswap_v3,
    "pancake_v3": _pancake_v3,
    "algebra_v1": _algebra,
    "algebra_integral": _algebra,
    "uniswap_v4": _uniswap_v4,
    "curve": _curve,
    "balancer_v2": _balancer_v2,
}


def _of_factory(factory: Factory, pairs: Sequence[tuple[str, str]]) -> _Check:
    talk = _FACTORIES[factory.kind](factory, pairs)
    kind = f"{factory.kind} factory"
    name, address = factory.name, factory.address
    key = "its address or kind"
    return _check(talk, what="factory", name=name, address=address, kind=kind, key=key)


# ---- tokens, lenders, multicall --------------------------------------------------------------


def _token(token: Token) -> _Talk:
    decimals, supply, symbol = yield _ask(token.address, "decimals()", "totalSupply()", "symbol()")
    actual = _number(decimals, "decimals()")
    if token.decimals is None and actual > MOST_DECIMALS:
        raise _WrongError(f"at most {MOST_DECIMALS} decimals", str(actual))
    if token.decimals not in (None, actual):
        todo = "another token stands there: correct its address"
        raise _WrongError(f"{token.decimals} decimals", str(actual), todo)
    _number(supply, "totalSupply()")
    return f"{_symbol(symbol)}, {actual} decimals"


def _symbol(answer: bytes | None) -> str:
    """What a token calls itself: a string, or bytes32 in old ones; never more than 16 letters."""
    try:
        text = decode(["string"], answer or b"")[0]
    except (DecodingError, OverflowError, UnicodeDecodeError):
        text = (answer or b"").rstrip(b"\0").decode(errors="replace")
    return "".join(letter for letter in text[:16] if letter.isprintable()) or "no symbol"


def _of_token(token: Token) -> _Check:
    here = token.address
    return _check(
        _token(token), what="token", name=here, address=here, kind="token", key="its address"
    )


def _aave_v3(lender: Lender) -> _Talk:
    premium, provider = yield _ask(
        lender.address, "FLASHLOAN_PREMIUM_TOTAL()", "ADDRESSES_PROVIDER()"
    )
    fee = _number(premium, "FLASHLOAN_PREMIUM_TOTAL()")
    registry = _address(provider, "ADDRESSES_PROVIDER()")
    [pool] = yield _ask(registry, "getPool()")
    _same(_address(pool, f"getPool() of {registry}"), lender.address, f"getPool() of {registry}")
    return f"Aave, premium {fee / 100:.2f} %"


_LENDERS: Mapping[str, tuple[str, Callable[[Lender], _Talk]]] = {
    "aave_v3": ("Aave V3 pool", _aave_v3),
    "balancer_v2": ("Balancer vault", _balancer_v2),
}


def _of_lender(lender: Lender) -> _Check:
    kind, talk = _LENDERS[lender.kind]
    name, address = lender.name, lender.address
    key = "its address"
    return _check(talk(lender), what="lender", name=name, address=address, kind=kind, key=key)


def _multicall(address: str) -> _Talk:
    chain, own = yield [_call(address, "getChainId()"), ("eth_chainId", [])]
    _same(str(_number(chain, "getChainId()")), str(int.from_bytes(own or b"")), "getChainId()")
    return "Multicall3"


def _of_multicall(address: str) -> _Check:
    talk, name = _multicall(address), "multicall"
    key = "it in market.multicall"
    return _check(talk, what=name, name=name, address=address, kind="Multicall3", key=key)
