"""Sizes of cycles through pools of every kind, against brute force on quotes alone."""

import math
from itertools import combinations_with_replacement
from random import Random

import pytest

from mevfast._pool import Pool, Quote
from mevfast._size import size
from mevfast.errors import DataError
from tests.any_cycle import FIXED, MAKERS, Hop, along, any_cycle, brute_force, least

PAIRS = [pair for pair in combinations_with_replacement(MAKERS, 2) if not FIXED.issuperset(pair)]
QUICK = ["uniswap_v2", "uniswap_v3", "solidly volatile", "balancer weighted", "curve plain"]
LENDERS = [(0, 0, False), (5, 10_000, True), (5, 10_000, False), (10**14, 10**18, False)]
TOLERANCE = 1e-9


def sized(
    hops: list[Hop], cap: int = (1 << 255) - 1, lender: tuple[int, int, bool] = (0, 0, False)
) -> tuple[list[int], int, int] | None:
    pools, ways = [pool for pool, _ in hops], [way for _, way in hops]
    return size(pools, ways, cap=cap, lender=lender)


def fee_of(lender: tuple[int, int, bool], amount: int) -> int:
    numerator, denominator, half_up = lender
    if denominator == 0:
        return 0
    if half_up:
        return (amount * numerator + denominator // 2) // denominator
    return -(-amount * numerator // denominator)


def promised(hops: list[Hop]) -> float:
    """What no input brings back more than, per unit, but for rounding."""
    return math.prod(pool.price_bound(*way) for pool, way in hops)


def expect_best(hops: list[Hop], around: int = 30) -> int:
    """Nothing found by brute force pays more; the profit."""
    answer = sized(hops)
    amount, best = brute_force(hops, around=around)
    if answer is None:
        assert best == 0 or promised(hops) <= 1, (amount, best)
        return 0
    amounts, profit, _ = answer
    assert amounts == along(hops, amounts[0])
    assert profit == amounts[-1] - amounts[0] > 0
    if best >= 1e9:
        assert profit >= best - best * TOLERANCE, (amounts, amount, best)
    else:
        assert profit >= best, (amounts, amount, best)
    return profit


@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_every_pair_of_kinds_is_sized_to_the_optimum(pair: tuple[str, str]) -> None:
    random = Random(f"pair {pair}")
    paid = 0
    for _ in range(3):
        edge = 10 ** random.uniform(-3, -1)
        paid += expect_best(any_cycle(random, list(pair), decimals=[18, 18], edge=edge)) > 0
    assert paid > 0 or "twocrypto" in pair or "tricrypto" in pair


@pytest.mark.parametrize("hops", [3, 4])
@pytest.mark.parametrize("seed", range(12))
def test_longer_cycles_are_sized_to_the_optimum(seed: int, hops: int) -> None:
    random = Random(f"long {seed} {hops}")
    names = [random.choice(list(MAKERS)) for _ in range(hops - 1)]
    expect_best(any_cycle(random, [*names, "uniswap_v2"], decimals=[18] * hops, edge=0.02), 10)


@pytest.mark.parametrize("decimals", [(6, 18), (8, 18), (2, 18)], ids=str)
@pytest.mark.parametrize("name", QUICK)
def test_one_coarse_token_is_taken_at_its_least_input(name: str, decimals: tuple[int, int]) -> None:
    """Its amounts are the stairs: of GUSD's two decimals a unit is a cent."""
    random = Random(f"coarse {name} {decimals}")
    for _ in range(6):
        cycle = any_cycle(
            random, [name, "uniswap_v2"], decimals=list(decimals),
            edge=10 ** random.uniform(-3, -1), depth=10 ** random.uniform(3, 6),
        )  # fmt: skip
        expect_best(cycle)


@pytest.mark.parametrize("name", [*QUICK, "solidly stable", "balancer stable", "curve ng"])
def test_trades_of_a_few_units_of_a_coarse_token_are_found(name: str) -> None:
    """Inputs between its units lose; some that pay are those for exactly 1, 2, 3 units."""
    paid = 0
    for seed in range(30):
        random = Random(seed)
        cycle = any_cycle(
            random, [name, "uniswap_v2"], decimals=[2, 18], edge=10 ** random.uniform(-2, -0.7),
            depth=10 ** random.uniform(-0.5, 2),
        )  # fmt: skip
        paid += expect_best(cycle, 10) > 0
    assert paid > 0


def test_what_balancer_asks_for_an_output_may_not_buy_it() -> None:
    """Each of its two ways rounds against the trader: what pays a unit is found from there."""
    weighted = {
        "balances": [191132103317, 44375776109916759292641280], "swap_fee": 10**15,
        "scaling_factors": [10**30, 10**18], "weights": [5 * 10**17] * 2, "pow_shortcuts": False,
    }  # fmt: skip
    pair = {"reserve0": 27185532560016706707128320, "reserve1": 116449851537, "fee_pips": 2500}
    cycle: list[Hop] = [
        (Pool("balancer_weighted", weighted), (1, 0)), (Pool("uniswap_v2", pair), (1, 0))
    ]  # fmt: skip
    asked = cycle[0][0].quote(1, 72181988, "out", token_out=0)
    assert isinstance(asked, Quote)
    assert along(cycle, asked.amount_in)[1] < 72181988  # type: ignore[index]
    answer = sized(cycle)
    assert answer is not None
    for units in range(answer[0][1] - 60, answer[0][1] + 61):
        amount = least(cycle[:1], units, answer[0][0])
        amounts = along(cycle, amount or 1)
        assert amounts is not None
        assert answer[1] >= (amounts[-1] - amounts[0]) * (1 - TOLERANCE)


@pytest.mark.parametrize("decimals", [(6, 6), (6, 8), (8, 6)], ids=str)
@pytest.mark.parametrize("name", ["uniswap_v2", "solidly volatile"])
def test_two_coarse_tokens_whose_rounding_is_a_noise(name: str, decimals: tuple[int, int]) -> None:
    random = Random(f"noise {name} {decimals}")
    for _ in range(6):
        cycle = any_cycle(
            random, ["uniswap_v2", name], decimals=list(decimals),
            edge=10 ** random.uniform(-3, -1), depth=10 ** random.uniform(3, 6),
        )  # fmt: skip
        expect_best(cycle)


@pytest.mark.parametrize("lender", LENDERS, ids=str)
@pytest.mark.parametrize("seed", range(40))
def test_profit_is_never_overstated_and_no_cap_is_passed(
    seed: int, lender: tuple[int, int, bool]
) -> None:
    """Any kinds, decimals, depths and caps: amounts are the quotes' own, profit what they leave."""
    random = Random(f"cap {seed}")
    names = [random.choice(list(MAKERS)) for _ in range(random.randint(2, 4))]
    if FIXED.issuperset(names):
        names[0] = "uniswap_v2"
    hops = any_cycle(random, names, edge=10 ** random.uniform(-4, -1),
                     depth=10 ** random.uniform(0, 9))  # fmt: skip
    free = sized(hops, lender=lender)
    caps = [(1 << 255) - 1, *(random.randint(1, 1 << random.randint(1, 90)) for _ in range(6))]
    if free is not None:
        best = free[0][0]
        caps += [best, max(best - 1, 1), best // 2 + 1, best // 1000 + 1, best + 1]
    for cap in caps:
        answer = sized(hops, cap, lender)
        if answer is None:
            continue
        amounts, profit, _ = answer
        assert amounts == along(hops, amounts[0])
        assert 1 <= amounts[0] <= cap
        assert profit == amounts[-1] - amounts[0] - fee_of(lender, amounts[0]) > 0
        if free is not None and cap >= free[0][0] and free[1] > 1e9:
            assert profit >= free[1] * (1 - 1e-6)


# ---- in a hurry ----


def may_be_missed(hops: list[Hop], amounts: list[int], profit: int) -> float:
    """What a hurried sizing may miss: two units of each token on the way, and where a fee moves a
    unit of it; CryptoSwap's own maths is out by as much as its balances say."""
    units = sum(amounts[0] / each for each in amounts)
    moving = sum(pool.kind in MOVING for pool, _ in hops)
    return TOLERANCE * profit + 2 * units + moving * 1e-10 * amounts[0]


MOVING = ["curve_stable_ng", "curve_tricrypto_ng", "curve_twocrypto_ng"]


@pytest.mark.parametrize("seed", range(300))
def test_a_hurried_size_is_exact_and_misses_a_few_units_at_most(seed: int) -> None:
    random = Random(f"hurried {seed}")
    names = [random.choice(list(MAKERS)) for _ in range(random.choice([2, 2, 3, 4]))]
    if FIXED.issuperset(names):
        names[0] = "uniswap_v2"
    hops = any_cycle(random, names, edge=10 ** random.uniform(-4, -1),
                     depth=10 ** random.uniform(2, 8))  # fmt: skip
    pools, ways = [pool for pool, _ in hops], [way for _, way in hops]
    hurried, free = size(pools, ways, hurried=True), size(pools, ways)
    if free is None:
        assert hurried is None
        return
    allowed = may_be_missed(hops, free[0], free[1])
    if hurried is None:
        assert free[1] <= allowed
        return
    assert hurried[0] == along(hops, hurried[0][0])
    assert hurried[1] == hurried[0][-1] - hurried[0][0] > 0
    assert hurried[1] >= free[1] - allowed


def test_a_hurried_size_still_goes_for_what_a_unit_is_worth() -> None:
    """Where a token of six decimals lies on the way: nearly always all that there is."""
    lost = []
    for seed in range(80):
        random = Random(f"unit {seed}")
        hops = any_cycle(
            random, ["uniswap_v3", "uniswap_v2"], decimals=[18, 6],
            edge=10 ** random.uniform(-3, -1.5), depth=10 ** random.uniform(2, 6),
        )  # fmt: skip
        pools, ways = [pool for pool, _ in hops], [way for _, way in hops]
        hurried, free = size(pools, ways, hurried=True), size(pools, ways)
        if free is not None and hurried is not None:
            lost.append((free[1] - hurried[1]) / (free[0][0] / free[0][1]))
    assert len(lost) > 50
    assert sum(each > 0.05 for each in lost) <= len(lost) // 20


@pytest.mark.parametrize("kind", ["uniswap_v3", "curve 3pool", "tricrypto"])
def test_a_hurried_size_takes_few_quotes(kind: str) -> None:
    """However coarse the tokens on the way: 5 us of V3's quotes, 25 us of the others'."""
    most = {"uniswap_v3": 40, "curve 3pool": 100, "tricrypto": 12}[kind]
    for seed in range(40):
        random = Random(f"few {kind} {seed}")
        decimals = [random.choice([6, 8, 18]) for _ in range(2)]
        hops = any_cycle(random, [kind, "uniswap_v2"], decimals=decimals, edge=0.01, depth=1e6)
        answer = size([pool for pool, _ in hops], [way for _, way in hops], hurried=True)
        assert answer is None or answer[2] <= most


@pytest.mark.parametrize("seed", range(10))
def test_a_cap_below_the_optimum_is_used_up(seed: int) -> None:
    random = Random(f"used {seed}")
    names = [random.choice([name for name in MAKERS if name not in FIXED]), "uniswap_v3"]
    hops = any_cycle(random, names, decimals=[18, 18], edge=0.03)
    free = sized(hops)
    if free is None:
        return
    cap = free[0][0] * random.randint(1, 9) // 10
    answer = sized(hops, cap)
    at_cap = along(hops, cap)
    assert answer is not None
    assert at_cap is not None
    assert answer[0][0] > cap * (1 - 1e-6)
    assert answer[1] >= at_cap[-1] - cap


# ---- fees that fall on the way ----


def off_the_peg(multiplier: int) -> Pool:
    """NG with ten times more of coin 1: swaps of coin 0 take it to the peg, and its fee down."""
    fields = {
        "amp_precise": 20_000, "rates": [10**18, 10**18], "fee": 4_000_000,
        "offpeg_fee_multiplier": multiplier, "balances": [10**24, 10**25],
    }  # fmt: skip
    return Pool("curve_stable_ng", fields)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_what_pays_only_once_the_fee_has_fallen_is_found(share: float) -> None:
    """The first unit loses: not the margin but the fee at its lowest says whether to look."""
    pool = off_the_peg(20 * 10**10)
    low, high = pool.marginal_price(0, 1), pool.price_bound(0, 1)
    assert low < high
    price = (low * (1 - share) + high * share) * (1 - 1e-4)
    pair = {"reserve0": 10**30, "reserve1": int(10**30 / price), "fee_pips": 0}
    cycle: list[Hop] = [(pool, (0, 1)), (Pool("uniswap_v2", pair), (0, 1))]
    first = math.prod(p.marginal_price(*way) for p, way in cycle)
    if share > 0.4:
        assert first < 1
    profit = expect_best(cycle, 5)
    assert (profit > 0) == (brute_force(cycle)[1] > 0)


# ---- hostile states ----


@pytest.mark.parametrize("name", MAKERS)
def test_any_depth_and_price_is_survived(name: str) -> None:
    """Reserves from a unit to 2**112: no trap, no endless search, no amount that is not quoted."""
    random = Random(f"hostile {name}")
    for _ in range(60):
        depth = 2.0 ** random.uniform(0, 112)
        d_in, d_out = random.choice([0, 2, 6, 18]), random.choice([0, 2, 6, 18])
        try:
            hop = MAKERS[name](random, 10 ** random.uniform(-12, 12), depth, d_in, d_out)
            other = MAKERS["uniswap_v2"](random, 10 ** random.uniform(-12, 12), depth, 0, 0)
        except DataError:
            continue  # no such pool
        for cycle in ([hop, other], [other, hop], [hop, other, other], [other, other, hop, other]):
            cap = random.choice([1, 1 << 64, (1 << 255) - 1, (1 << 256) - 1])
            answer = sized(cycle, cap)
            if answer is not None:
                assert answer[0] == along(cycle, answer[0][0])
                assert answer[1] == answer[0][-1] - answer[0][0] > 0
                assert answer[0][0] <= cap
