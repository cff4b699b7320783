"""Aerodrome V1, a Solidly pair: volatile and stable, tokens of any decimals.

The amount is what the pair's getAmountOut answers; the pair must then pay it.
"""

from random import Random
from typing import Any

from mevfast._pool import Quote, Refused
from tests.differential import draws
from tests.differential.campaign import Market, Outcome, Refusal, Swap
from tests.differential.evm import ME, Evm, Reverted, name_errors, number
from tests.differential.solidity import aerodrome, props

DECIMALS = (18, 18, 18, 6, 6, 8, 2, 0, 12, 24, 30)
MAX_FEE, ZERO_FEE = 300, 420  # the factory's, and its sign for none
_FIRST_MINT = 10**6  # whole tokens of both: what a stable pair takes at first
_TOP = 1 << 255
_ERRORS = (
    "InsufficientOutputAmount()",
    "InsufficientLiquidity()",
    "InsufficientInputAmount()",
    "K()",
)


class Solidly:
    """The factory; tokens and pairs are created anew."""

    def __init__(self) -> None:
        self.evm = Evm()
        name_errors(*_ERRORS)
        code = aerodrome()
        self.token_code = props()["PlainToken"]
        self.payer = self.evm.deploy(props()["Payer"])
        implementation = self.evm.deploy(code["Pool"])
        self.factory = self.evm.deploy(code["PoolFactory"], number(implementation))

    def pool(self, rng: Random) -> "Pair":
        """Random decimals, fee and kind; reserves by the tokens it holds and `sync`."""
        stable = rng.random() < 0.65
        decimals = {self.evm.deploy(self.token_code, n): n for n in rng.choices(DECIMALS, k=2)}
        tokens = sorted(decimals, key=number)
        first, second = map(number, tokens)
        made = self.evm.call(
            self.factory, "createPool(address,address,bool)", first, second, stable
        )
        pair = f"0x{made[0]:040x}"
        for token in tokens:
            amount = _FIRST_MINT * 10 ** decimals[token]
            self.evm.call(token, "set(address,uint256)", made[0], amount)
        self.evm.call(pair, "mint(address)", number(ME))
        fee = rng.choice((0, ZERO_FEE, 1, MAX_FEE, draws.magnitude(rng, 1, MAX_FEE)))
        self.evm.call(self.factory, "setCustomFee(address,uint256)", made[0], fee)
        for token, reserve in zip(tokens, _reserves(rng, tokens, decimals, stable), strict=True):
            self.evm.call(token, "set(address,uint256)", made[0], reserve)
        self.evm.call(pair, "sync()")
        return Pair(self, pair, tokens, stable)


def _reserves(rng: Random, tokens: list[str], decimals: dict[str, int], stable: bool) -> list[int]:
    form = rng.random()
    if form < 0.1:
        return [draws.magnitude(rng, 0, _TOP) for _ in tokens]
    if form < 0.3:
        return [draws.magnitude(rng, 1, 1 << 112) for _ in tokens]
    whole = 10 ** rng.uniform(-3, 12)
    skew = rng.choice((0.1, 1, 3)) if stable else 9
    parts = [whole * 10 ** rng.uniform(-skew, skew) * 10 ** decimals[token] for token in tokens]
    return [max(1, int(part)) for part in parts]


class Pair(Market):
    """One pair and the state it stands in."""

    kind = "solidly"

    def __init__(self, family: Solidly, address: str, tokens: list[str], stable: bool) -> None:
        self.evm, self.payer, self.factory = family.evm, family.payer, family.factory
        self.address, self.tokens, self.stable = address, tokens, stable

    def _reserves(self) -> list[int]:
        return self.evm.read(self.address, "getReserves()")[:2]

    def fields(self) -> dict[str, Any]:
        """The pool's state by the contract's own getters."""
        decimals0, decimals1, reserve0, reserve1, stable = self.evm.read(
            self.address, "metadata()"
        )[:5]
        fee = self.evm.read(self.factory, "getFee(address,bool)", number(self.address), self.stable)
        return {
            "stable": bool(stable),
            "reserve0": reserve0,
            "reserve1": reserve1,
            "decimals0": decimals0,
            "decimals1": decimals1,
            "fee_bps": fee[0],
        }

    def draw(self, rng: Random) -> Swap:
        """A random exact input: the contract has no exact output."""
        token_in = rng.randrange(2)
        reserve, form = self._reserves()[token_in], rng.random()
        if form < 0.01:
            amount = 0
        elif form < 0.06:
            amount = draws.magnitude(rng, 1, (1 << 256) - 1)
        elif form < 0.15:
            amount = draws.round_number(rng, 1 << 112)
        elif form < 0.7:
            amount = draws.share(rng, max(1, reserve))
        elif form < 0.8:
            amount = draws.near(rng, reserve, 1, _TOP)
        else:
            amount = draws.magnitude(rng, 1, 1 << 112)
        return Swap(token_in, amount, "in")

    def swap(self, swap: Swap, answer: Quote | Refused) -> Outcome | Refusal:
        """What the pair quotes, and then pays."""
        token = number(self.tokens[swap.token_in])
        try:
            amount_out = self.evm.read(
                self.address, "getAmountOut(uint256,address)", swap.amount, token
            )[0]
            outputs = (0, amount_out) if swap.token_in == 0 else (amount_out, 0)
            self.evm.call(
                self.payer, "swapPair(address,address,uint256,uint256,uint256)",
                number(self.address), token, swap.amount, *outputs,
            )  # fmt: skip
        except Reverted as reverted:
            return Refusal(str(reverted))
        first, second = self._reserves()
        return Outcome(swap.amount, amount_out, {"reserve0": first, "reserve1": second})
