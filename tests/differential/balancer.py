"""Balancer V2 pools in the Vault: weighted, and composable stable with token rates.

Pools are filled by a real join; then the Vault's record of their balances is written over, because
a join refuses the extremes that swaps may lead to. The pool's own token is not swapped.
"""

from collections.abc import Sequence
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
_WEIGHTED_TOKENS = 8
_STABLE_TOKENS = 5
_FIRST_JOIN = 10**6
_LOWEST_RATE = 10**9  # the first join then still fits 112 bits
_PLENTY = 1 << 240
_FOREVER = 1 << 60
_VAULT_SLOTS = 16  # where its mappings may begin
_INIT = 0  # JoinKind
_SWAP = (
    "swap((bytes32,uint8,address,address,uint256,bytes),"
    "(address,bool,address,bool),uint256,uint256)"
)
_JOIN = "joinPool(bytes32,address,address,(address[],uint256[],bytes,bool))"


def _array(answer: Sequence[int], nth: int = 0) -> list[int]:
    """The nth member of an answer, which is an array."""
    start = answer[nth] // 32
    return list(answer[start + 1 : start + 1 + answer[start]])


class Balancer:
    """The Vault, tokens, and a factory; every pool is created anew."""

    factory_name: str

    def __init__(self) -> None:
        self.evm = Evm()
        code = props()["PlainToken"]
        authorizer = number(self.evm.artifact("Authorizer", number(ME)))
        self.vault = self.evm.artifact("Vault", authorizer, number(ME), 0, 0)
        provider = self.evm.artifact("ProtocolFeePercentagesProvider", number(self.vault), ONE, ONE)
        version = int.from_bytes(b"3".ljust(32, b"\0"), "big")
        self.factory = self.evm.artifact(
            self.factory_name, number(self.vault), number(provider),
            0x80, 0xC0, 1, version, 1, version,
        )  # fmt: skip
        self.tokens: list[str] = []
        self.decimals: dict[int, int] = {}
        for decimals in DECIMALS:
            token = self.evm.deploy(code, decimals)
            self.tokens.append(token)
            self.decimals[number(token)] = decimals
            for holder in (ME, self.vault):
                self.evm.call(token, "set(address,uint256)", number(holder), _PLENTY)
            approve = "approve(address,uint256)"
            self.evm.call(token, approve, number(self.vault), (1 << 256) - 1)
        self.tokens.sort(key=number)

    def choose(self, rng: Random, most: int) -> list[str]:
        """Two to `most` of the tokens, by address."""
        count = rng.choice((2, 2, 3, rng.randint(2, most)))
        return sorted(rng.sample(self.tokens, count), key=number)


class BalancerPool(Market):
    """One pool; `indices` are those of its tokens that are swapped, its own one left out."""

    def __init__(self, family: Balancer, address: str) -> None:
        self.evm, self.vault, self.address = family.evm, family.vault, address
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
        for i, factor in enumerate(_array(self.evm.read(self.address, "getScalingFactors()"))):
            if i in self.indices:
                amounts[i] = _FIRST_JOIN * ONE * ONE // factor
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

    def common_fields(self) -> dict[str, Any]:
        """What both kinds have."""
        return {
            "balances": self.balances()[1],
            "scaling_factors": _array(self.evm.read(self.address, "getScalingFactors()")),
            "swap_fee": self.evm.read(self.address, "getSwapFeePercentage()")[0],
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
                self.vault, _SWAP,
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
    """A composable stable pool, whose own token is one of its tokens."""

    kind = "balancer_composable_stable"

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters, amp as of now."""
        amp, _, precision = self.evm.read(self.address, "getAmplificationParameter()")
        own = self.evm.read(self.address, "getBptIndex()")[0]
        more = {"amp": amp, "amp_precision": precision, "bpt_index": own}
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
    """Version 3 of weighted pools."""

    factory_name = "WeightedPoolFactory"

    def pool(self, rng: Random) -> Weighted:
        """Random tokens, weights, fee and balances."""
        self.evm.at_time(START)
        tokens = self.choose(rng, _WEIGHTED_TOKENS)
        made = self.evm.send(
            self.factory,
            arguments(
                "create(string,string,address[],uint256[],address[],uint256,address)",
                "W", "W", tokens, _weights(rng, len(tokens)), [NOBODY] * len(tokens),
                draws.magnitude(rng, MIN_FEE, MAX_FEE), ME,
            ),
        )  # fmt: skip
        pool = Weighted(self, "0x" + made[12:].hex())
        pool.fill(rng)
        return pool


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
    """Version 3 of composable stable pools; rates come from stand-ins and stay cached."""

    factory_name = "ComposableStablePoolFactory"

    def pool(self, rng: Random) -> ComposableStable:
        """Random tokens, rates, amp, fee and balances."""
        self.evm.at_time(START)
        tokens = self.choose(rng, _STABLE_TOKENS)
        providers = [self._provider(rng) for _ in tokens]
        made = self.evm.send(
            self.factory,
            arguments(
                "create(string,string,address[],uint256,address[],uint256[],bool[],uint256,address)",
                "S", "S", tokens, draws.magnitude(rng, 1, MAX_AMP), providers,
                [0 if provider == NOBODY else 1000 * DAY for provider in providers],
                [False] * len(tokens), draws.magnitude(rng, MIN_FEE, MAX_FEE), ME,
            ),
        )  # fmt: skip
        pool = ComposableStable(self, "0x" + made[12:].hex())
        pool.fill(rng)
        pool.ramp(rng)
        return pool

    def _provider(self, rng: Random) -> str:
        if rng.random() < 0.5:
            return NOBODY
        provider = StandIn(self.evm)
        rate = rng.randint(ONE // 2, 2 * ONE)
        provider.answer(
            "getRate()", rate if rng.random() < 0.9 else draws.magnitude(rng, _LOWEST_RATE, ONE)
        )
        return provider.address
