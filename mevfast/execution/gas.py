"""What a transaction of the executor is expected to use, units of gas; what it can swap through.

Funding, and hops that the executor has, are measured on the real contracts: contracts/gas.json,
"fit".
"""

from mevfast._pool import KINDS

GAS_FUNDING = {"own": 7_000, "flash_swap": 13_000, "balancer": 45_000, "aave": 133_000}

EXECUTED = ("uniswap_v2", "uniswap_v3")
"""Kinds of pools that the executor has a hop for: what is traded live."""

GAS_HOPS = {
    "uniswap_v2": 90_000,
    "uniswap_v3": 91_000,
    # No hop of these has been measured: by what swaps through such pools take on chain, rounded up.
    "pancake_v3": 110_000,
    "algebra_v1": 130_000,
    "algebra_integral": 140_000,
    "uniswap_v4": 110_000,
    "camelot_v2": 120_000,
    "solidly": 130_000,
    "curve_stable": 150_000,
    "curve_stable_ng": 150_000,
    "curve_tricrypto_ng": 250_000,
    "curve_twocrypto_ng": 200_000,
    "balancer_weighted": 130_000,
    "balancer_composable_stable": 160_000,
}

assert set(GAS_HOPS) == set(KINDS)
