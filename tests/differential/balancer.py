"""Balancer V2 pools in the Vault: weighted and stable ones, of every version the package has.

Pools are filled by a real join; then the Vault's record of their balances is written over, because
a join refuses the extremes that swaps may lead to. The pool's own token is not swapped.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from random import Random
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from mevfast._pool import Quote, Refused
from tests.differential import draws
from tests.differential.campaign import Market, Outcome, Refusal, Swap
from tests.differential.evm import ME, NOBODY, START, Evm, Reverted, arguments, number, words
from tests.differential.solidity import props
from tests.differential.standin import StandIn

ONE = 10**18
MAX_BALANCE = (1 << 112) - 1  # the Vault's record of one
MIN_FEE, MAX_FEE = 10**12, 10**17
MIN_WEIGHT = ONE // 100
MAX_AMP = 5000
DAY = 86_400
DECIMALS = (18, 18, 18, 18, 8, 6, 6, 2, 0)
_FIRST_JOIN = 10**6
_LOWEST_RATE = 10**9  # the first join then still fits 112 bits
_PLENTY = 1 << 240
_FOREVER = 1 << 60
_VAULT_SLOTS = 16  # where its mappings may begin
_INIT = 0  # JoinKind
SWAP = (
    "swap((bytes32,uint8,address,address,uint256,bytes),"
    "(address,bool,address,bool),uint256,uint256)"
)
_JOIN = "joinPool(bytes32,address,address,(address[],uint256[],bytes,bool))"


def _array(answer: Sequence[int], nth: int = 0) -> list[int]:
    """The nth member of an answer, which is an array."""
    start = answer[nth] // 32
    return list(answer[start + 1 : start + 1 + answer[start]])


@dataclass(frozen=True)
class Version:
    """A factory: what it is created with, what its `create` takes after name and symbol.

    `fields` tell its pools' maths from those of others.
    """

    factory: str
    built_with: str
    takes: tuple[str, ...]
    fields: dict[str, Any] = dataclass_field(default_factory=dict)
    most_tokens: int = 5

    def constructor(self, vault: int, provider: int) -> list[int]:
        """The words of the factory's constructor."""
        if self.built_with == "vault":
            return [vault]
        if self.built_with == "vault and provider":
            return [vault, provider]
        text = [1, int.from_bytes(b"3".ljust(32, b"\0"), "big")]  # versions: JSON in production
        return [vault, provider, 0x80, 0xC0, *text, *text]

    def create(self, values: dict[str, Any]) -> bytes:
        """The call that creates a pool."""
        types = ",".join(_TYPES[name] for name in self.takes)
        taken = [values[name] for name in self.takes]
        return arguments(f"create(string,string,{types})", "P", "P", *taken)


_TYPES = {
    "tokens": "address[]",
    "weights": "uint256[]",
    "amp": "uint256",
    "providers": "address[]",
    "durations": "uint256[]",
    "exempt": "bool[]",
    "fee": "uint256",
    "oracle": "bool",
    "owner": "address",
}
_OLD_WEIGHTED = {"pow_shortcuts": False}
WEIGHTED = (
    Version(
        "WeightedPool2021Factory", "vault", ("tokens", "weights", "fee", "owner"), _OLD_WEIGHTED, 8
    ),
    Version(
        "WeightedPool2TokensFactory", "vault", ("tokens", "weights", "fee", "oracle", "owner"),
        _OLD_WEIGHTED, 2,
    ),
    Version(
        "WeightedPoolV2Factory", "vault and provider",
        ("tokens", "weights", "providers", "fee", "owner"), {}, 8,
    ),
    Version(
        "WeightedPoolFactory", "versions", ("tokens", "weights", "providers", "fee", "owner"), {}, 8
    ),
)  # fmt: skip
_STABLE = ("tokens", "amp", "fee", "owner")
_COMPOSABLE = ("tokens", "amp", "providers", "durations", "exempt", "fee", "owner")
STABLE = (
    Version("StablePool2021Factory", "vault", _STABLE, {"invariant_round_up": True}),
    Version(
        "StablePhantomPoolFactory", "vault",
        ("tokens", "amp", "providers", "durations", "fee", "owner"), {"invariant_round_up": True},
        4,
    ),
    Version("StablePoolV2Factory", "vault", _STABLE),
    Version("ComposableStablePoolV1Factory", "vault and provider", _COMPOSABLE),
    Version("ComposableStablePoolV2Factory", "versions", _COMPOSABLE),
    Version("ComposableStablePoolFactory", "versions", _COMPOSABLE),
)  # fmt: skip


class Balancer(ABC):
    """The Vault, tokens, and factories; every pool is created anew."""

    def __init__(self, versions: Sequence[Version]) -> None:
        self.evm = Evm()
        code = props()["PlainToken"]
        authorizer = number(self.evm.artifact("Authorizer", number(ME)))
        self.vault = self.evm.artifact("Vault", authorizer, number(ME), 0, 0)
        vault = number(self.vault)
        provider = number(self.evm.artifact("ProtocolFeePercentagesProvider", vault, ONE, ONE))
        self.factories = [
            (version, self.evm.artifact(version.factory, *version.constructor(vault, provider)))
            for version in versions
        ]
        self.tokens: list[str] = []
        self.decimals: dict[int, int] = {}
        for decimals in DECIMALS:
            token = self.evm.deploy(code, decimals)
            self.tokens.append(token)
            self.decimals[number(token)] = decimals
            for holder in (ME, self.vault):
                self.evm.call(token, "set(address,uint256)", number(holder), _PLENTY)
            self.evm.call(token, "approve(address,uint256)", vault, (1 << 256) - 1)

    def create(self, rng: Random) -> tuple[str, Version]:
        """A pool of any of the versions, with random parameters."""
        self.evm.at_time(START)
        version, factory = rng.choice(self.factories)
        count = rng.choice((2, 2, 3, rng.randint(2, version.most_tokens)))
        tokens = sorted(rng.sample(self.tokens, min(count, version.most_tokens)), key=number)
        values = {
            "tokens": tokens,
            "fee": draws.magnitude(rng, MIN_FEE, MAX_FEE),
            "owner": ME,
            "oracle": False,
            **self.parameters(rng, len(tokens)),
        }
        made = self.evm.send(factory, version.create(values))
        return "0x" + made[12:].hex(), version

    @abstractmethod
    def parameters(self, rng: Random, count: int) -> dict[str, Any]:
        """What only this kind of pool has."""


class BalancerPool(Market):
    """One pool; `indices` are those of its tokens that are swapped, its own one left out."""

    def __init__(self, family: Balancer, address: str, version: Version) -> None:
        self.evm, self.vault, self.address = family.evm, family.vault, address
        self.version = version
        self.pool_id = self.evm.read(address, "getPoolId()")[0]
        self.tokens, _ = self.balances()
        self.decimals = [family.decimals.get(token) for token in self.tokens]
        self.indices = [i for i, n in enumerate(self.decimals) if n is not None]

    def balances(self) -> tuple[list[int], list[int]]:
        """Tokens and balances by the Vault."""
        answer = self.evm.read(self.vault, "getPoolTokens(bytes32)", self.pool_id)
        return _array(answer), _array(answer, 1)

    # ---- filling ----

    def fill(self, rng: Random) -> None:
        """A first join of a million each, rates counted, then balances at random."""
        amounts = [0] * len(self.tokens)
        factors = self.scaling_factors()
        for i in self.indices:
            amounts[i] = _FIRST_JOIN * ONE * ONE // factors[i]
        top = [(1 << 256) - 1] * len(amounts)
        data = encode(["uint256", "uint256[]"], [_INIT, amounts])
        assets = [f"0x{token:040x}" for token in self.tokens]
        request = (assets, top, data, False)
        pool_id = words(self.pool_id)
        self.evm.send(self.vault, arguments(_JOIN, pool_id, ME, ME, request))
        if rng.random() < 0.9:
            self._write(self.random_balances(rng))

    def random_balances(self, rng: Random) -> dict[int, int]:
        """New balances by index."""
        if rng.random() < 0.15:
            return {i: draws.magnitude(rng, 0, MAX_BALANCE) for i in self.indices}
        whole, skew = 10 ** rng.uniform(-3, 10), rng.choice((0.05, 1, 4))
        found = {}
        for i in self.indices:
            part = whole * 10 ** rng.uniform(-skew, skew) * 10 ** (self.decimals[i] or 0)
            found[i] = min(max(1, int(part)), MAX_BALANCE)
        return found

    def _write(self, balances: dict[int, int]) -> None:
        """Writes over the Vault's record: one slot a token, or one for both of a pair."""
        if len(self.tokens) == 2:
            slot = self._find(self._pair_slots())
            self.evm.poke(self.vault, slot, balances[0] | balances[1] << 112)
        else:
            for i, balance in balances.items():
                self.evm.poke(self.vault, self._find(self._token_slots(i)), balance)
        _, now = self.balances()
        assert all(now[i] == balance for i, balance in balances.items())

    def _find(self, slots: list[int]) -> int:
        """The only one of the slots that is in use."""
        (found,) = (slot for slot in slots if self.evm.peek(self.vault, slot))
        return found

    def _pair_slots(self) -> list[int]:
        """TwoTokenPoolsBalance: pool id -> (tokens, mapping of their hash -> both balances)."""
        pair = keccak(b"".join(token.to_bytes(20, "big") for token in self.tokens))
        return [
            _mapped(int.from_bytes(pair, "big"), _mapped(self.pool_id, slot) + 2)
            for slot in range(_VAULT_SLOTS)
        ]

    def _token_slots(self, i: int) -> list[int]:
        """MinimalSwapInfoPoolsBalance: pool id -> token -> balance; GeneralPoolsBalance: pool id
        -> (length, mapping of index -> (token, balance)).
        """
        minimal = [
            _mapped(self.tokens[i], _mapped(self.pool_id, slot)) for slot in range(_VAULT_SLOTS)
        ]
        general = [_mapped(i, _mapped(self.pool_id, slot) + 1) + 1 for slot in range(_VAULT_SLOTS)]
        return minimal + general

    # ---- swaps ----

    def scaling_factors(self) -> list[int]:
        """By the contract where it tells; the oldest keep 10**(18 - decimals) to themselves."""
        try:
            return _array(self.evm.read(self.address, "getScalingFactors()"))
        except Reverted:
            return [10 ** (36 - (n or 0)) for n in self.decimals]

    def common_fields(self) -> dict[str, Any]:
        """What both kinds have."""
        return {
            "balances": self.balances()[1],
            "scaling_factors": self.scaling_factors(),
            "swap_fee": self.evm.read(self.address, "getSwapFeePercentage()")[0],
            **self.version.fields,
        }

    def draw(self, rng: Random) -> Swap:
        """A random swap of two of the tokens."""
        token_in, token_out = rng.sample(self.indices, 2)
        exact_in = rng.random() < 0.5
        balance = self.balances()[1][token_in if exact_in else token_out]
        form = rng.random()
        if form < 0.02:
            amount = 0
        elif form < 0.04:
            amount = draws.magnitude(rng, 1 << 112, (1 << 256) - 1)
        elif form < 0.12:  # a weighted pool's limits
            amount = draws.near(rng, balance * 3 // 10, 1, MAX_BALANCE)
        elif form < 0.2:
            amount = draws.near(rng, balance, 1, MAX_BALANCE)
        elif form < 0.3:
            amount = draws.round_number(rng, MAX_BALANCE)
        elif form < 0.8:
            amount = max(1, draws.share(rng, balance) * 3 // 10)
        else:
            amount = draws.magnitude(rng, 1, MAX_BALANCE)
        return Swap(token_in, amount, "in" if exact_in else "out", token_out)

    def swap(self, swap: Swap, answer: Quote | Refused) -> Outcome | Refusal:
        """What the Vault does."""
        assert swap.token_out is not None
        exact_in = swap.exact == "in"
        limit = 0 if exact_in else (1 << 256) - 1
        try:
            calculated = self.evm.call(
                self.vault, SWAP,
                0xE0, number(ME), 0, number(ME), 0, limit, _FOREVER,
                self.pool_id, 0 if exact_in else 1, self.tokens[swap.token_in],
                self.tokens[swap.token_out], swap.amount, 0xC0, 0,
            )[0]  # fmt: skip
        except Reverted as reverted:
            return Refusal(str(reverted))
        amounts = (swap.amount, calculated) if exact_in else (calculated, swap.amount)
        return Outcome(*amounts, {"balances": self.balances()[1]})


def _mapped(key: int, slot: int) -> int:
    """The slot of a mapping's entry."""
    return int.from_bytes(keccak(words(key, slot)), "big")


class Weighted(BalancerPool):
    """A weighted pool."""

    kind = "balancer_weighted"

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters."""
        weights = _array(self.evm.read(self.address, "getNormalizedWeights()"))
        return {**self.common_fields(), "weights": weights}


class ComposableStable(BalancerPool):
    """A stable pool; the own token of later versions is one of its tokens."""

    kind = "balancer_composable_stable"

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters, amp as of now."""
        amp, _, precision = self.evm.read(self.address, "getAmplificationParameter()")
        more = {"amp": amp, "amp_precision": precision}
        if None in self.decimals:
            more["bpt_index"] = self.decimals.index(None)
        return {**self.common_fields(), **more}

    def ramp(self, rng: Random) -> None:
        """Half of the time, amp is on its way to another value."""
        if rng.random() < 0.5:
            return
        amp, _, precision = self.evm.read(self.address, "getAmplificationParameter()")
        goal = min(max(1, int(amp / precision * 2 ** rng.uniform(-1, 1))), MAX_AMP)
        days = rng.randint(2, 30)
        self.evm.call(
            self.address, "startAmplificationParameterUpdate(uint256,uint256)",
            goal, START + days * DAY,
        )  # fmt: skip
        self.evm.at_time(START + rng.randint(1, days * DAY))


class BalancerWeighted(Balancer):
    """Weighted pools."""

    def __init__(self) -> None:
        super().__init__(WEIGHTED)

    def pool(self, rng: Random) -> Weighted:
        """Random tokens, weights, fee and balances."""
        pool = Weighted(self, *self.create(rng))
        pool.fill(rng)
        return pool

    def parameters(self, rng: Random, count: int) -> dict[str, Any]:
        """What only this kind of pool has."""
        return {"weights": _weights(rng, count), "providers": [NOBODY] * count}


def _weights(rng: Random, count: int) -> list[int]:
    """Each at least 1 %, all together 1; often those that have a shortcut of their own."""
    if count == 2 and rng.random() < 0.5:
        first = rng.choice((50, 20, 80))  # exponents 1, 1/4 and 4
        return [first * MIN_WEIGHT, (100 - first) * MIN_WEIGHT]
    if rng.random() < 0.3:
        equal = ONE // count
        return [ONE - equal * (count - 1)] + [equal] * (count - 1)
    free = ONE - count * MIN_WEIGHT
    cuts = sorted(rng.randint(0, free) for _ in range(count - 1))
    return [MIN_WEIGHT + high - low for low, high in zip([0, *cuts], [*cuts, free], strict=True)]


class BalancerComposableStable(Balancer):
    """Stable pools; rates come from stand-ins and stay cached."""

    def __init__(self) -> None:
        super().__init__(STABLE)

    def pool(self, rng: Random) -> ComposableStable:
        """Random tokens, rates, amp, fee and balances."""
        pool = ComposableStable(self, *self.create(rng))
        pool.fill(rng)
        pool.ramp(rng)
        return pool

    def parameters(self, rng: Random, count: int) -> dict[str, Any]:
        """What only this kind of pool has."""
        providers = [self._provider(rng) for _ in range(count)]
        return {
            "amp": draws.magnitude(rng, 1, MAX_AMP),
            "providers": providers,
            "durations": [0 if provider == NOBODY else 1000 * DAY for provider in providers],
            "exempt": [False] * count,
        }

    def _provider(self, rng: Random) -> str:
        if rng.random() < 0.5:
            return NOBODY
        provider = StandIn(self.evm)
        rate = rng.randint(ONE // 2, 2 * ONE)
        provider.answer(
            "getRate()", rate if rng.random() < 0.9 else draws.magnitude(rng, _LOWEST_RATE, ONE)
        )
        return provider.address
