"""The CryptoSwap kernel: refusals at their exact edges, optional fields, and prices."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from mevfast._pool import Pool, Quote, Refused
from mevfast.errors import DataError
from tests.oracle import crypto

WAD = 10**18
TRI = crypto.Pool(
    balances=(10**7 * 10**6, 400 * 10**8, 6000 * WAD),
    precisions=(10**12, 10**10, 1),
    price_scale=(25_000 * WAD, 1_600 * WAD),
    amp=1_707_629,
    gamma=11_809_167_828_997,
    d=0,
    mid_fee=3_000_000,
    out_fee=30_000_000,
    fee_gamma=500_000_000_000_000,
)
TWO = replace(
    TRI,
    balances=(10**7 * 10**6, 6000 * WAD),
    precisions=(10**12, 1),
    price_scale=(1_600 * WAD,),
    amp=400_000,
    gamma=145_000_000_000_000,
)
TRI = replace(TRI, d=TRI.newton_d(TRI.xp()))
TWO = replace(TWO, d=TWO.newton_d(TWO.xp()))
KINDS = {2: "curve_twocrypto_ng", 3: "curve_tricrypto_ng"}


def fields(state: crypto.Pool) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(state).items()}


def pool(state: crypto.Pool, **changes: Any) -> Pool:
    return Pool(KINDS[state.n], fields(state) | changes)


def quoted(state: crypto.Pool, i: int, j: int, dx: int) -> bool:
    """Whether the kernel quotes; asserts that the oracle agrees."""
    quote = pool(state).quote(i, dx, token_out=j)
    try:
        dy, after = crypto.exchange(state, i, j, dx)
    except crypto.Reverted:
        assert isinstance(quote, Refused)
        return False
    assert isinstance(quote, Quote)
    assert quote.amount_out == dy
    assert quote.after == {"balances": list(after.balances), "d": after.d}
    return True


def last_quoted(state: crypto.Pool, i: int, j: int, low: int, high: int) -> int:
    """The largest dx that is quoted, between one that is and one that is not."""
    assert quoted(state, i, j, low)
    assert not quoted(state, i, j, high)
    while high - low > 1:
        middle = (low + high) // 2
        if quoted(state, i, j, middle):
            low = middle
        else:
            high = middle
    return low


@pytest.mark.parametrize("state", [TRI, TWO], ids=["tri", "two"])
def test_a_quote_moves_balances_and_d(state: crypto.Pool) -> None:
    dx = state.balances[0] // 100
    quote = pool(state).quote(0, dx, token_out=1)
    assert isinstance(quote, Quote)
    assert quote.after["balances"][0] == state.balances[0] + dx
    assert quote.after["balances"][1] == state.balances[1] - quote.amount_out
    assert quote.after["balances"][2:] == list(state.balances[2:])
    assert state.d < quote.after["d"] < state.d + state.d // 1000
    assert quoted(state, 0, 1, dx)


@pytest.mark.parametrize(
    ("state", "changes", "amount", "exact", "reason"),
    [
        (TRI, {}, 1, "out", "UNSUPPORTED"),
        (TWO, {}, 1, "out", "UNSUPPORTED"),
        (TRI, {}, 0, "in", "ZERO_AMOUNT"),
        (TRI, {"d": 0}, 1, "in", "NO_LIQUIDITY"),
        (TWO, {"d": 0, "balances": [0, 0]}, 1, "in", "NO_LIQUIDITY"),
        (TRI, {}, (1 << 256) - 1, "in", "OVERFLOW"),
        (TRI, {}, 1 << 200, "in", "NO_LIQUIDITY"),
        (TRI, {}, 10**20, "in", "NO_LIQUIDITY"),
        (TWO, {}, 10**20, "in", "NO_LIQUIDITY"),
        (TRI, {"amp": 2_699}, 10**6, "in", "OVERFLOW"),
        (TRI, {"amp": 270_000_001}, 10**6, "in", "OVERFLOW"),
        (TRI, {"gamma": 10**10 - 1}, 10**6, "in", "OVERFLOW"),
        (TRI, {"gamma": 5 * 10**16 + 1}, 10**6, "in", "OVERFLOW"),
        (TWO, {"amp": 3_999}, 10**6, "in", "OVERFLOW"),
        (TWO, {"amp": 40_000_001}, 10**6, "in", "OVERFLOW"),
        (TWO, {"gamma": 10**10 - 1}, 10**6, "in", "OVERFLOW"),
        (TWO, {"gamma": 2 * 10**15 + 1}, 10**6, "in", "OVERFLOW"),
        (TWO, {"gamma": 199 * 10**15 + 1, "version": "v2.1.0"}, 10**6, "in", "OVERFLOW"),
        (TWO, {"d": 10**17 - 1}, 10**6, "in", "OVERFLOW"),
        (TWO, {"d": 10**33 + 1}, 10**6, "in", "OVERFLOW"),
        (TRI, {"d": TRI.d * 101 // 100}, 10**6, "in", "NO_OUTPUT"),  # dy below 0
    ],
)
def test_refusals(
    state: crypto.Pool, changes: dict[str, Any], amount: int, exact: Any, reason: str
) -> None:
    assert pool(state, **changes).quote(0, amount, exact, token_out=1) == Refused(reason)


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        (TRI, {"amp": 2_700}),
        (TRI, {"amp": 270_000_000}),
        (TRI, {"gamma": 10**10}),
        (TRI, {"gamma": 5 * 10**16}),
        (TWO, {"amp": 4_000}),
        (TWO, {"amp": 40_000_000}),
        (TWO, {"gamma": 10**10}),
        (TWO, {"gamma": 2 * 10**15}),
        (TWO, {"gamma": 199 * 10**15, "version": "v2.1.0"}),
    ],
)
def test_the_ends_of_the_ranges_are_quoted(state: crypto.Pool, changes: dict[str, Any]) -> None:
    state = replace(state, **changes)
    assert quoted(replace(state, d=state.newton_d(state.xp())), 0, 1, 10**9)


@pytest.mark.parametrize(("state", "i", "j"), [(TRI, 0, 1), (TRI, 2, 0), (TWO, 0, 1), (TWO, 1, 0)])
def test_the_curve_ends_at_the_contract_s_wei(state: crypto.Pool, i: int, j: int) -> None:
    end = last_quoted(state, i, j, state.balances[i], state.balances[i] * 1000)
    refused = pool(state).quote(i, end + 1, token_out=j)
    assert refused == Refused("NO_LIQUIDITY")


def test_versions_of_two_coins_differ_in_their_limits() -> None:
    ends = [
        last_quoted(replace(TWO, version=version), 0, 1, TWO.balances[0], TWO.balances[0] * 1000)
        for version in ("v2.0.0", "v2.1.0")
    ]
    assert ends[0] < ends[1]  # the balance paid out of stops at 1 % of d, or at half of that


def test_a_swap_may_pay_nothing() -> None:
    """The exchange goes through: it leaves its input in the pool."""
    quote = pool(TRI).quote(0, 100, token_out=1)  # a 25th of the smallest unit of coin 1
    assert isinstance(quote, Quote)
    assert quote.amount_out == 0
    assert quote.after["d"] > TRI.d


def test_without_a_share_s_price_d_must_rise() -> None:
    raised = replace(TWO, d=TWO.d + TWO.d // 10**6)  # more than what a small swap earns
    assert not quoted(raised, 0, 1, 10**6)
    assert pool(raised).quote(0, 10**6).reason == "NO_OUTPUT"  # type: ignore[union-attr]
    assert quoted(replace(raised, ramping=True), 0, 1, 10**6)


@pytest.mark.parametrize("state", [TRI, TWO], ids=["tri", "two"])
def test_a_share_s_price_must_rise(state: crypto.Pool) -> None:
    known = replace(state, total_supply=10**22)
    after = crypto.exchange(known, 0, 1, 10**9)[1]
    price = known.share_price(after.d)
    assert quoted(replace(known, virtual_price=price - 1), 0, 1, 10**9)
    assert not quoted(replace(known, virtual_price=price), 0, 1, 10**9)
    assert quoted(replace(known, virtual_price=price, ramping=True), 0, 1, 10**9)


def test_the_share_s_price_moves_with_the_state() -> None:
    known = replace(TRI, total_supply=10**22)
    known = replace(known, virtual_price=known.share_price(known.d))
    moved = pool(known)
    assert isinstance(moved.apply(0, 10**9, token_out=1), Quote)
    assert moved.fields()["virtual_price"] == crypto.exchange(known, 0, 1, 10**9)[1].virtual_price
    assert moved.fields()["virtual_price"] > known.virtual_price


@pytest.mark.parametrize("state", [TRI, TWO], ids=["tri", "two"])
def test_while_ramping_d_is_found_anew(state: crypto.Pool) -> None:
    stale = replace(state, d=state.d * 999 // 1000)
    fresh = pool(state).quote(0, 10**9, token_out=1)
    assert isinstance(fresh, Quote)
    assert pool(stale, ramping=True).quote(0, 10**9, token_out=1) == Quote(
        fresh.amount_in,
        fresh.amount_out,
        fresh.after,
        pool(stale).marginal_price(0, 1),
        fresh.price_after,
    )
    assert pool(stale).quote(0, 10**9, token_out=1) != fresh


def test_marginal_prices() -> None:
    even = replace(TWO, balances=(16 * 10**6 * 10**6, 10_000 * WAD))
    even = replace(even, d=even.newton_d(even.xp()))
    kept = 1 - even.mid_fee / 1e10
    wei_per_unit = WAD / 10**6
    assert pool(even).marginal_price(0) == pytest.approx(wei_per_unit / 1600 * kept, rel=1e-9)
    assert pool(even).marginal_price(1) == pytest.approx(1600 / wei_per_unit * kept, rel=1e-9)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        slope = crypto.marginal_price(TRI, i, j)
        assert pool(TRI).marginal_price(i, j) == pytest.approx(slope, rel=1e-7)
    assert pool(TRI, d=0).marginal_price(0, 1) == 0.0
    assert pool(TRI, balances=[0, 0, 0]).marginal_price(0, 1) == 0.0


@pytest.mark.parametrize("state", [TRI, TWO], ids=["tri", "two"])
def test_fields_come_back(state: crypto.Pool) -> None:
    known = replace(state, total_supply=7, virtual_price=8, ramping=True)
    if state.n == 2:
        known = replace(known, version="v2.1.0")
    back = pool(known).fields()
    assert back == {name: fields(known)[name] for name in back}
    assert Pool(KINDS[state.n], back).fields() == back


def test_absent_fields_have_defaults() -> None:
    given = fields(TWO)
    for name in ("version", "ramping", "total_supply", "virtual_price"):
        del given[name]
    given["price_scale"] = TWO.price_scale[0]  # plain
    assert Pool("curve_twocrypto_ng", given).fields() == pool(TWO).fields()
    assert pool(TWO).fields()["version"] == "v2.0.0"


@pytest.mark.parametrize(
    ("state", "changes", "name"),
    [
        (TRI, {"balances": [1, 2]}, "balances"),
        (TRI, {"balances": [1, 2, -3]}, "balances[2]"),
        (TRI, {"precisions": [1, 1, 0]}, "precisions[2]"),
        (TRI, {"precisions": [1, 10**18 + 1, 1]}, "precisions[1]"),
        (TRI, {"price_scale": [1]}, "price_scale"),
        (TRI, {"price_scale": 1}, "price_scale"),
        (TRI, {"price_scale": [1, 0]}, "price_scale[1]"),
        (TWO, {"price_scale": [1, 1]}, "price_scale"),
        (TWO, {"price_scale": 0}, "price_scale"),
        (TWO, {"price_scale": 1 << 113}, "price_scale"),
        (TWO, {"amp": "x"}, "amp"),
        (TWO, {"gamma": 1 << 128}, "gamma"),
        (TWO, {"d": 1 << 256}, "d"),
        (TWO, {"mid_fee": 10**10 + 1}, "mid_fee"),
        (TWO, {"out_fee": None}, "out_fee"),
        (TWO, {"fee_gamma": 10**18 + 1}, "fee_gamma"),
        (TWO, {"version": "v2.1.0d"}, "version"),
        (TWO, {"ramping": 1}, "ramping"),
        (TWO, {"total_supply": -1}, "total_supply"),
        (TWO, {"virtual_price": 1.5}, "virtual_price"),
    ],
)
def test_a_wrong_field_is_named(state: crypto.Pool, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(DataError) as error:
        Pool(KINDS[state.n], fields(state) | changes, "pools[3].")
    assert str(error.value).startswith(f"pools[3].{name}: expected ")


@pytest.mark.parametrize("name", ["balances", "precisions", "price_scale", "amp", "d", "fee_gamma"])
def test_a_missing_field_is_named(name: str) -> None:
    given = fields(TWO)
    del given[name]
    with pytest.raises(DataError, match=f"{name}: expected .*, was missing"):
        Pool("curve_twocrypto_ng", given)
