"""Uniswap V2 pairs and three forks. The truth is what `pair.swap` accepts, to the unit.

A pair names no amounts: it accepts or refuses. The kernel's answer is tried, then the next unit,
which the pair must refuse; where that fails the true answer is searched for.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from mevfast._pool import Quote, Refused
from tests.differential import draws
from tests.differential.campaign import Market, Outcome, Refusal, Swap
from tests.differential.evm import ME, Evm, Reverted, number
from tests.differential.solidity import props

MAX_RESERVE = (1 << 112) - 1
FORKS = {  # factory artifact -> fee; Pancake's package has 2/1000, its deployments 25/10,000
    "UniswapV2Factory": 3000,
    "SushiV2Factory": 3000,
    "PancakeFactory": 2000,
    "JoeFactory": 3000,
}


def _edge(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest n of [low, high] that holds, given that `low` does and that it holds up to it."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


class UniswapV2:
    """One pair of each fork; a new pool is a new pair of reserves."""

    def __init__(self) -> None:
        self.evm = Evm()
        code = props()
        self.payer = self.evm.deploy(code["Payer"])
        tokens = [self.evm.deploy(code["PlainToken"], 18) for _ in range(2)]
        self.tokens = sorted(tokens, key=number)
        first, second = map(number, self.tokens)
        self.pairs = []
        for factory, fee_pips in FORKS.items():
            made = self.evm.artifact(factory, number(ME))
            pair = self.evm.call(made, "createPair(address,address)", first, second)[0]
            self.pairs.append((f"0x{pair:040x}", fee_pips))

    def pool(self, rng: Random) -> "Pair":
        """A fork's pair with random reserves, by the tokens it holds and `sync`."""
        pair, fee_pips = rng.choice(self.pairs)
        first = _reserve(rng)
        second = _reserve(rng) if rng.random() < 0.5 else _reserve_like(rng, first)
        for token, reserve in zip(self.tokens, (first, second), strict=True):
            self.evm.call(token, "set(address,uint256)", number(pair), reserve)
        self.evm.call(pair, "sync()")
        return Pair(self, pair, fee_pips)


def _reserve(rng: Random) -> int:
    form = rng.random()
    if form < 0.02:
        return 0
    if form < 0.06:
        return MAX_RESERVE - rng.randint(0, 3)
    if form < 0.1:
        return rng.randint(1, 3)
    if form < 0.2:
        return draws.round_number(rng, MAX_RESERVE)
    return draws.magnitude(rng, 1, MAX_RESERVE)


def _reserve_like(rng: Random, other: int) -> int:
    """Within a factor of a million, as in pools people use."""
    return min(max(1, int(other * 10 ** rng.uniform(-6, 6))), MAX_RESERVE)


class Pair(Market):
    """One pair and the state it stands in."""

    kind = "uniswap_v2"

    def __init__(self, family: UniswapV2, address: str, fee_pips: int) -> None:
        self.evm, self.payer, self.tokens = family.evm, family.payer, family.tokens
        self.address, self.fee_pips = address, fee_pips

    def _reserves(self) -> list[int]:
        return self.evm.read(self.address, "getReserves()")[:2]

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters."""
        first, second = self._reserves()
        return {"fee_pips": self.fee_pips, "reserve0": first, "reserve1": second}

    def draw(self, rng: Random) -> Swap:
        """A random swap."""
        token_in, exact_in = rng.randrange(2), rng.random() < 0.5
        reserves = self._reserves()
        reserve = reserves[token_in if exact_in else 1 - token_in]
        form = rng.random()
        if form < 0.02:
            amount = 0
        elif form < 0.05:
            amount = draws.magnitude(rng, 1 << 112, (1 << 256) - 1)
        elif form < 0.1:  # to the brim, from either side
            brim = MAX_RESERVE - reserve if exact_in else reserve
            amount = draws.near(rng, brim, 0, 1 << 113)
        elif form < 0.2:
            amount = draws.round_number(rng, 1 << 112)
        elif form < 0.7:
            amount = draws.share(rng, reserve)
        else:
            amount = draws.magnitude(rng, 1, MAX_RESERVE)
        return Swap(token_in, amount, "in" if exact_in else "out")

    def swap(self, swap: Swap, answer: Quote | Refused) -> Outcome | Refusal:
        """The best swap that the pair accepts; where it accepts none, why."""
        hint = None if isinstance(answer, Refused) else answer
        if swap.exact == "in":
            amount_in = swap.amount
            amount_out = self._largest_output(swap, hint.amount_out if hint else 0)
            tried = max(amount_out, 1)  # the pair says why there is none
        else:
            amount_out = tried = swap.amount
            amount_in = self._smallest_input(swap, hint.amount_in if hint else None)
        try:
            self._do(swap.token_in, amount_in, tried)
        except Reverted as reverted:
            return Refusal(str(reverted))
        first, second = self._reserves()
        return Outcome(amount_in, amount_out, {"reserve0": first, "reserve1": second})

    def _largest_output(self, swap: Swap, hint: int) -> int:
        """0 where the pair pays nothing at all."""

        def pays(amount_out: int) -> bool:
            return amount_out == 0 or self._accepts(swap.token_in, swap.amount, amount_out)

        if pays(hint) and not pays(hint + 1):
            return hint
        return _edge(pays, 0, self._reserves()[1 - swap.token_in])

    def _smallest_input(self, swap: Swap, hint: int | None) -> int:
        """The largest input there can be, if none is accepted."""
        most = MAX_RESERVE - self._reserves()[swap.token_in]

        def refuses(amount_in: int) -> bool:
            return not self._accepts(swap.token_in, amount_in, swap.amount)

        if hint is None and refuses(most):
            return most
        if hint is not None and not refuses(hint) and (hint == 0 or refuses(hint - 1)):
            return hint
        return min(most, _edge(refuses, -1, most) + 1)

    def _accepts(self, token_in: int, amount_in: int, amount_out: int) -> bool:
        with self.evm.scratch():
            try:
                self._do(token_in, amount_in, amount_out)
            except Reverted:
                return False
            return True

    def _do(self, token_in: int, amount_in: int, amount_out: int) -> None:
        outputs = (0, amount_out) if token_in == 0 else (amount_out, 0)
        self.evm.call(
            self.payer, "swapPair(address,address,uint256,uint256,uint256)",
            number(self.address), number(self.tokens[token_in]), amount_in, *outputs,
        )  # fmt: skip
