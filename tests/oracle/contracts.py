"""One face for the contracts of every kind in Python integers: what a pool pays for an input.

A pool is a dict: `kind`, `tokens` (token numbers, in the pool's own order) and the state fields of
mevfast-vectors/1, integers. Nothing here is shared with the compiled quotes.
"""

from collections.abc import Callable
from typing import Any

from tests.oracle import balancer, crypto, curve, solidly, univ2, univ3

Pool = dict[str, Any]
REFUSALS = (
    univ3.Revert,
    solidly.Revert,
    curve.Reverted,
    crypto.Reverted,
    balancer.Revert,
)
DEFAULT_ADMIN_FEE = 5 * 10**9


def quote(pool: Pool, token_in: int, token_out: int, amount: int) -> int | None:
    """What the contract pays for all of `amount`; None where it refuses, pays nothing or cannot
    take it all. Tokens are indices into the pool's own."""
    if amount <= 0:
        return None
    try:
        out = _PAID[pool["kind"]](pool, token_in, token_out, amount)
    except REFUSALS:
        return None
    return out if out else None


def _uniswap_v2(pool: Pool, token_in: int, token_out: int, amount: int) -> int | None:
    reserves = (pool["reserve0"], pool["reserve1"])
    fee, reserve_in, reserve_out = pool["fee_pips"], reserves[token_in], reserves[token_out]
    if reserve_in + amount > univ2.UINT112_MAX:
        return None
    # the largest output that `pair.swap` accepts, by definition
    keep = amount * (univ2.PIPS - fee)
    out: int = keep * reserve_out // (reserve_in * univ2.PIPS + keep)
    assert out <= 0 or univ2.accepts(reserve_in, reserve_out, fee, amount, out)
    assert not univ2.accepts(reserve_in, reserve_out, fee, amount, out + 1)
    return out


def _concentrated(pool: Pool, token_in: int, token_out: int, amount: int) -> int | None:
    del token_out
    swapped = univ3.swap(
        kind=pool["kind"],
        sqrt_price_x96=pool["sqrt_price_x96"],
        tick=pool["tick"],
        liquidity=pool["liquidity"],
        ticks={each[0]: each[-1] for each in pool["ticks"]},
        fee_pips=pool["fee_pips"],
        tick_spacing=pool["tick_spacing"],
        zero_for_one=token_in == 0,
        exact_in=True,
        amount=amount,
        limit=_end(pool, token_in == 0),
        protocol_fee=pool.get("protocol_fee", 0),
        bitmap_spacing=pool.get("bitmap_spacing"),
    )
    return swapped.amount_out if swapped.amount_in == amount else None


def _end(pool: Pool, zero_for_one: bool) -> int:
    """Past the last initialised tick there is nothing: the oracle need not walk there."""
    ticks = [each[0] for each in pool["ticks"]]
    if zero_for_one:
        return max(univ3.sqrt_ratio_at_tick(min(ticks)), univ3.MIN_SQRT_RATIO + 1)
    return min(univ3.sqrt_ratio_at_tick(max(ticks)), univ3.MAX_SQRT_RATIO - 1)


def _solidly(pool: Pool, token_in: int, token_out: int, amount: int) -> int:
    del token_out
    fees = pool["fee_percent"] if "fee_percent" in pool else (pool["fee_bps"],) * 2
    pair = solidly.Pair(
        pool["kind"],
        pool["stable"],
        (pool["reserve0"], pool["reserve1"]),
        (pool["decimals0"], pool["decimals1"]),
        (fees[0], fees[1]),
        pool.get("owner_fee_share", 0),
        pool.get("y_check", "k"),
    )
    return solidly.swap(pair, token_in, amount).amount_out


def stable_of(pool: Pool) -> curve.CurvePool:
    """A StableSwap pool as its own oracle has it."""
    return curve.CurvePool(
        "ng" if pool["kind"] == "curve_stable_ng" else pool.get("shape", "3pool"),
        tuple(pool["balances"]),
        tuple(pool["rates"]),
        pool["amp_precise"] if "amp_precise" in pool else pool["amp"],
        pool["fee"],
        pool.get("admin_fee", DEFAULT_ADMIN_FEE),
        pool.get("offpeg_fee_multiplier", 0),
    )


def _stable(pool: Pool, token_in: int, token_out: int, amount: int) -> int:
    return curve.exchange(stable_of(pool), token_in, token_out, amount)[0]


def crypto_of(pool: Pool) -> crypto.Pool:
    """A CryptoSwap pool as its own oracle has it."""
    return crypto.Pool(
        tuple(pool["balances"]),
        tuple(pool["precisions"]),
        tuple(pool["price_scale"]),
        pool["amp"],
        pool["gamma"],
        pool["d"],
        pool["mid_fee"],
        pool["out_fee"],
        pool["fee_gamma"],
        pool.get("version", "v2.0.0"),
        pool.get("ramping", False),
        pool.get("total_supply", 0),
        pool.get("virtual_price", 0),
    )


def _crypto(pool: Pool, token_in: int, token_out: int, amount: int) -> int:
    return crypto.exchange(crypto_of(pool), token_in, token_out, amount)[0]


def _balancer(pool: Pool, token_in: int, token_out: int, amount: int) -> int:
    of_vault = balancer.Pool(
        tuple(pool["balances"]),
        tuple(pool["scaling_factors"]),
        pool["swap_fee"],
        tuple(pool.get("weights", ())),
        pool.get("amp", 0),
        pool.get("bpt_index"),
        pool.get("pow_shortcuts", True),
        pool.get("invariant_round_up", False),
    )
    return of_vault.swap(token_in, token_out, "in", amount)[1]


_PAID: dict[str, Callable[[Pool, int, int, int], int | None]] = {
    "uniswap_v2": _uniswap_v2,
    "uniswap_v3": _concentrated,
    "pancake_v3": _concentrated,
    "algebra_v1": _concentrated,
    "algebra_integral": _concentrated,
    "uniswap_v4": _concentrated,
    "camelot_v2": _solidly,
    "solidly": _solidly,
    "curve_stable": _stable,
    "curve_stable_ng": _stable,
    "curve_tricrypto_ng": _crypto,
    "curve_twocrypto_ng": _crypto,
    "balancer_weighted": _balancer,
    "balancer_composable_stable": _balancer,
}
