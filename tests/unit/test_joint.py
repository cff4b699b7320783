"""The joint optimum: published optima, duality, and what cycles one by one cannot beat."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from mevfast._pool import Pool, Quote
from mevfast.joint import Joint, Subproblem, solve
from mevfast.joint_pools import subproblem
from mevfast.market_file import MarketFile, MarketPool, Token
from mevfast.scan_command import scan
from mevfast.scan_global import joint_optimum, token_values, whole
from tests import market as small
from tests.pools import EXAMPLES

WAD = 10**18
PUBLISHED = 1e-6
ROUNDING = 1e-9  # of the optimum: doubles, and wei that quotes round down
TOKENS = tuple(Token("0x" + small.token(i).hex(), f"T{i}", 18) for i in range(6))
FLAT = ("curve_stable", "curve_stable_ng", "solidly", "balancer_composable_stable")


class ConstantSum:
    """x + y is constant: the fifth pool of Angeris et al."""

    def __init__(self, tokens: Sequence[int], reserves: Sequence[float], kept: float) -> None:
        self.tokens, self.reserves, self.kept = tokens, reserves, kept

    def best(self, prices: Sequence[float]) -> Sequence[float] | None:
        for i, j in ((0, 1), (1, 0)):
            if self.kept * prices[j] > prices[i]:
                trade = [0.0, 0.0]
                trade[i], trade[j] = -self.reserves[j] / self.kept, self.reserves[j]
                return trade
        return None


def product(tokens: Sequence[int], x: float, y: float, fee_pips: int = 0) -> Subproblem:
    """A constant-product pool of whole tokens of 18 decimals, through a state of integers."""
    state = {"reserve0": int(x * WAD), "reserve1": int(y * WAD), "fee_pips": fee_pips}
    found = subproblem(tokens, Pool("uniswap_v2", state))
    assert found is not None
    return found


def weighted(
    tokens: Sequence[int], balances: Sequence[int], weights: Sequence[int], fee: int = 0
) -> Subproblem:
    """`weights` in tenths, `fee` 1e18-based."""
    state = {
        "balances": [balance * WAD for balance in balances],
        "weights": [weight * WAD // 10 for weight in weights],
        "scaling_factors": [WAD] * len(balances),
        "swap_fee": fee,
    }
    found = subproblem(tokens, Pool("balancer_weighted", state))
    assert found is not None
    return found


EQUAL_AND_SMALL = [product((0, 1), 1e6, 1e6), product((0, 1), 1e3, 2e3)]
ANGERIS = [
    weighted((0, 1, 2, 3), (4, 4, 4, 4), (4, 3, 2, 1), 2 * 10**15),
    product((0, 1), 10, 1, 3000),
    product((1, 2), 1, 5, 3000),
    product((2, 3), 40, 50, 3000),
    ConstantSum((2, 3), (10.0 * WAD, 10.0 * WAD), 0.999),
]


@pytest.mark.parametrize(
    ("pools", "prices", "optimum"),
    [
        (ANGERIS, (1.5, 10, 2, 3), 21.49980879),
        ([*EQUAL_AND_SMALL, weighted((0, 1), (10_000, 20_000), (4, 6))], (1, 1), 456.31976),
        (EQUAL_AND_SMALL, (1, 1), 171.40149),
        ([product((0, 1), 100, 100), product((0, 1), 1, 2)], (1, 1), 0.1698742),
    ],
    ids=["angeris", "router example", "its first two pools", "router simple case"],
)
def test_published_optima(pools: list[Subproblem], prices: Sequence[float], optimum: float) -> None:
    found = solve(pools, [price / WAD for price in prices])
    assert found.value == pytest.approx(optimum, rel=PUBLISHED)
    assert found.value <= found.bound * (1 + 1e-12)
    assert found.bound == pytest.approx(found.value, rel=ROUNDING)


def check_feasible(problems: Sequence[Subproblem], found: Joint, values: Sequence[float]) -> None:
    """The trades leave no token short, and are worth what the answer says."""
    net = [0.0] * len(values)
    turnover = [0.0] * len(values)
    for pool, trade in zip(problems, found.trades, strict=True):
        for token, amount in zip(pool.tokens, trade or [0.0] * len(pool.tokens), strict=True):
            net[token] += amount
            turnover[token] += abs(amount)
    for token, amount in enumerate(net):
        assert amount >= -1e-9 * turnover[token]
        assert amount == pytest.approx(found.net[token], abs=1e-9 * turnover[token] + 1e-30)
    worth = math.fsum(max(0.0, amount) * value for amount, value in zip(net, values, strict=True))
    assert found.value == pytest.approx(worth, rel=1e-7)


def test_the_trades_of_an_optimum_are_feasible() -> None:
    prices = [price / WAD for price in (1.5, 10, 2, 3)]
    check_feasible(ANGERIS, solve(ANGERIS, prices), prices)


# ---- subproblems ----


def mid_prices(pool: Pool) -> list[float]:
    """Of every token in the first one, by the pool; nothing where it does not trade."""
    prices = [1.0]
    for j in range(1, pool.n_tokens):
        out, back = pool.marginal_price(0, j), pool.marginal_price(j, 0)
        prices.append(math.sqrt(back / out) if out > 0.0 < back else 1e-30)
    return prices


def best_swap(pool: Pool, prices: Sequence[float]) -> float:
    """What the best single swap on a grid of inputs gains, by exact quotes."""
    best = 0.0
    for i in range(pool.n_tokens):
        for j in range(pool.n_tokens):
            if i == j or pool.marginal_price(i, j) * prices[j] <= prices[i]:
                continue
            for tenth in range(900):
                answer = pool.quote(i, int(2 ** (tenth / 10)), token_out=j)
                if isinstance(answer, Quote):
                    gain = answer.amount_out * prices[j] - answer.amount_in * prices[i]
                    best = max(best, gain)
    return best


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_no_single_swap_gains_more_than_a_subproblem(kind: str) -> None:
    pool = Pool(kind, EXAMPLES[kind])
    problem = subproblem(range(pool.n_tokens), pool)
    assert problem is not None
    random = Random(kind)
    traded = 0
    for _ in range(30):
        prices = [
            price * math.exp(random.gauss(0, 10 ** random.uniform(-3.5, -0.5)))
            for price in mid_prices(pool)
        ]
        trade = problem.best(prices) or [0.0] * pool.n_tokens
        gain = math.fsum(a * b for a, b in zip(trade, prices, strict=True))
        assert gain >= best_swap(pool, prices) * (1 - 1e-9) - 2 * max(prices)
        traded += gain > 0.0
    assert traded > 5


@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - {"curve_tricrypto_ng"}))
def test_a_subproblem_of_two_tokens_pays_what_the_quote_does(kind: str) -> None:
    pool = Pool(kind, EXAMPLES[kind])
    problem = subproblem(range(pool.n_tokens), pool)
    assert problem is not None
    for move in (0.9, 0.97, 1.03, 1.1):
        prices = mid_prices(pool)
        prices[-1] *= move
        trade = problem.best(prices)
        assert trade is not None
        [i] = [k for k, amount in enumerate(trade) if amount < 0.0]
        [j] = [k for k, amount in enumerate(trade) if amount > 0.0]
        answer = pool.quote(i, round(-trade[i]), token_out=j)
        assert isinstance(answer, Quote)
        assert answer.amount_out == pytest.approx(trade[j], rel=1e-9, abs=2)


def test_no_subproblem_for_a_pool_that_cannot_trade() -> None:
    hooked = EXAMPLES["uniswap_v4"] | {"hooks": "0x" + "0" * 38 + "c0"}
    assert subproblem((0, 1), Pool("uniswap_v4", hooked)) is None
    empty = {"reserve0": 0, "reserve1": 0, "fee_pips": 3000}
    assert subproblem((0, 1), Pool("uniswap_v2", empty)) is None


# ---- markets ----


def market_of(pools: Sequence[small.Pool], extra: Sequence[MarketPool] = ()) -> MarketFile:
    listed = [
        MarketPool(
            "0x" + small.pool_address(i).hex(),
            pool["kind"],
            tuple(TOKENS[number] for number in pool["tokens"]),
            Pool(pool["kind"], pool),
        )
        for i, pool in enumerate(pools)
    ]
    return MarketFile("made", 1, 1, TOKENS, TOKENS[:1], (*listed, *extra))


def flat_pools(seed: int) -> list[MarketPool]:
    """Pools of other kinds between the first tokens, at prices near to one another."""
    random = Random(seed)
    found = []
    for i, kind in enumerate((*FLAT, "balancer_weighted")):
        x, y = (int(10 ** random.uniform(21, 22)) for _ in range(2))
        fields: dict[str, Any] = dict(EXAMPLES[kind])
        if kind == "solidly":
            fields |= {"reserve0": x, "reserve1": y, "decimals0": WAD, "decimals1": WAD}
        elif kind == "balancer_weighted":
            fields |= {"balances": [x, y], "weights": [WAD // 2] * 2}
        else:
            fields |= {"balances": [x, y]}
            fields.pop("bpt_index", None)
            name = "rates" if "rates" in fields else "scaling_factors"
            fields[name] = [WAD, WAD * random.randint(990, 1010) // 1000]
        tokens = TOKENS[i % 2], TOKENS[2]
        address = "0x" + small.pool_address(100 + i).hex()
        found.append(MarketPool(address, kind, tokens, Pool(kind, fields)))
    return found


def check_market(market: MarketFile) -> tuple[float, float]:
    """Bound >= optimum >= greedy >= best cycle; returns optimum and greedy."""
    starts = market.base_tokens
    values = token_values(market.pools, starts, starts[0])
    every = scan(market, starts).cycles
    result = whole(market, values, starts[0], lambda state: scan(state, starts, most=1).cycles)
    best = max((cycle["profit"] for cycle in every), default=0)
    assert result.joint.bound >= result.joint.value * (1 - 1e-12)
    # An optimum of a few wei is of their rounding.
    assert result.joint.value >= result.greedy.value * (1 - ROUNDING) - 10
    assert result.greedy.value >= best * (1 - ROUNDING)
    assert result.joint.gap <= 1e-6 or result.joint.bound < 1000
    assert 0.0 <= result.left_share <= 1.0
    return result.joint.value, result.greedy.value


@pytest.mark.parametrize("seed", range(12))
def test_bound_optimum_greedy_and_best_cycle_are_in_order(seed: int) -> None:
    check_market(market_of(small.random_market(seed, noise=0.01)))


@pytest.mark.parametrize("seed", range(4))
def test_the_order_holds_with_other_kinds_of_pools(seed: int) -> None:
    pools = [
        pool
        for pool in small.random_market(seed, noise=0.01)
        if pool["tokens"] not in ((0, 2), (1, 2))
    ]
    check_market(market_of(pools, flat_pools(seed)))


def test_cycles_that_share_a_pool_leave_something_on_the_table() -> None:
    found = [check_market(market_of(small.random_market(seed, noise=0.02))) for seed in (3, 5, 7)]
    assert any(optimum > taken * 1.001 for optimum, taken in found)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_to_be_had_where_all_prices_agree(seed: int) -> None:
    market = market_of(small.random_market(seed, noise=0.0))
    found = joint_optimum(market.pools, {TOKENS[0]: 1.0}, 1.0)
    assert found.value == 0.0
    assert found.bound <= 1.0
    assert scan(market, TOKENS[:1]).cycles == []


def test_a_token_without_a_pool_to_the_others_does_not_count() -> None:
    def pool(i: int, a: int, b: int, x: int, y: int) -> MarketPool:
        state = {"reserve0": x * WAD, "reserve1": y * WAD, "fee_pips": 3000}
        address = "0x" + small.pool_address(i).hex()
        return MarketPool(address, "uniswap_v2", (TOKENS[a], TOKENS[b]), Pool("uniswap_v2", state))

    apart = [pool(0, 2, 3, 10, 10), pool(1, 2, 3, 10, 12)]
    assert joint_optimum(apart, {TOKENS[0]: 1.0}, 1.0).value == 0.0
    assert joint_optimum(apart, {TOKENS[2]: 1.0}, 1.0).value > 0.01 * WAD


def test_a_reference_that_is_no_price_is_refused() -> None:
    with pytest.raises(ValueError, match="reference: expected a price above 0"):
        solve(EQUAL_AND_SMALL, [1.0, 0.0])
