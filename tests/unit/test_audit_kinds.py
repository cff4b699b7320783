"""The audit of every kind's swaps: right ones fit, more is found, untrue states are passed by."""

from typing import Any

import pytest

from mevfast._audit import Audit
from mevfast._pool import Pool
from tests import frames
from tests.unit.event_pools import (
    ALGEBRA_SWAP,
    BLOCK,
    EXAMPLES,
    EXCHANGE,
    KINDS,
    PANCAKE_SWAP,
    SINGLETON,
    STABLE,
    V3_SWAP,
    V4,
    V4_SWAP,
    VAULT_SWAP,
    WEIGHTED,
    Held,
    T,
    id_of,
    tokens_of,
)


def swaps_of(kind: str) -> list[tuple[list[bytes], dict[str, Any]]]:
    """Logs of an exact-input swap, and the same of one that pays a unit more."""
    out = []
    for more in (0, 1):
        state = EXAMPLES[kind]
        token_out = 2 if kind == "balancer_composable_stable" else 1
        amount = 10**16 if kind not in ("solidly", "curve_stable", "curve_twocrypto_ng",
                                        "curve_tricrypto_ng") else 10**9  # fmt: skip
        pool = Pool(kind, state)
        quote = pool.quote(0, amount, token_out=token_out)
        paid = quote.amount_out + more * max(1, quote.amount_out >> 20)
        after = quote.after
        where = {"block": BLOCK + 1, "index": 5}
        own = id_of(kind)[:20]
        match kind:
            case "uniswap_v2" | "camelot_v2" | "solidly":
                solidly = kind == "solidly"
                sync = "Sync(uint256,uint256)" if solidly else "Sync(uint112,uint112)"
                swap = (
                    "Swap(address,address,uint256,uint256,uint256,uint256)"
                    if solidly
                    else "Swap(address,uint256,uint256,uint256,uint256,address)"
                )
                reserves = [after["reserve0"], after["reserve1"]]
                logs = [
                    frames.event(own, sync, [], reserves, block=BLOCK + 1, index=4),
                    frames.event(own, swap, [1, 2], [amount, 0, 0, paid], **where),
                ]
            case "uniswap_v4":
                words = [-amount, paid, after["sqrt_price_x96"], after["liquidity"],
                         after["tick"], 450 + 100]  # fmt: skip
                logs = [frames.event(SINGLETON, V4_SWAP, [V4, 1], words, **where)]
            case "uniswap_v3" | "pancake_v3" | "algebra_v1" | "algebra_integral":
                signature, last = {
                    "pancake_v3": (PANCAKE_SWAP, [1, 2]), "algebra_integral": (ALGEBRA_SWAP, [0, 0])
                }.get(kind, (V3_SWAP, []))  # fmt: skip
                words = [amount, -paid, after["sqrt_price_x96"], after["liquidity"],
                         after["tick"], *last]  # fmt: skip
                logs = [frames.event(own, signature, [1, 2], words, **where)]
            case "balancer_weighted" | "balancer_composable_stable":
                pool_id = WEIGHTED if kind == "balancer_weighted" else STABLE
                logs = [
                    frames.event(SINGLETON, VAULT_SWAP, [pool_id, T[0], T[token_out]],
                                 [amount, paid], **where)
                ]  # fmt: skip
            case "curve_stable" | "curve_stable_ng":
                logs = [frames.event(own, EXCHANGE, [1], [0, amount, 1, paid], **where)]
            case _:
                signature = "TokenExchange(address,uint256,uint256,uint256,uint256)"
                logs = [frames.event(own, signature, [1], [0, amount, 1, paid], **where)]
        out.append((logs, {"amount_in": amount, "amount_out": paid, "token_out": token_out}))
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_every_kinds_swaps_are_audited(kind: str) -> None:
    right, wrong = swaps_of(kind)
    held = Held(kind)
    audit = Audit(held.table)
    audit.replay(right[0])
    audit.replay(right[0])  # sent twice: checked once
    assert audit.by_kind() == {kind: (1, 0)}
    assert (audit.n_checks, audit.n_mismatches, audit.n_slack, audit.n_skipped) == (1, 0, 0, 0)
    assert not held.table.read(held.slot)["quarantined"]

    held = Held(kind)
    audit = Audit(held.table)
    audit.replay(wrong[0])
    assert audit.by_kind() == {kind: (1, 1)}
    assert held.table.read(held.slot)["quarantined"]
    (mismatch,) = audit.mismatches
    assert mismatch["pool"] == held.id
    assert mismatch["token_out"] == tokens_of(kind)[wrong[1]["token_out"]]
    assert (mismatch["amount_in"], mismatch["amount_out"]) == (
        wrong[1]["amount_in"], wrong[1]["amount_out"]
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_no_swap_is_audited_on_a_state_that_is_not_true(kind: str) -> None:
    for drifts in (True, False):
        held = Held(kind, drifts=drifts)
        if not drifts:
            held.table.mark_stale(held.slot)
        audit = Audit(held.table)
        audit.replay(swaps_of(kind)[1][0])
        assert audit.n_checks == 0
        assert not held.table.read(held.slot)["quarantined"]


def test_swaps_of_one_batch_are_audited_each_with_its_own_fee() -> None:
    held = Held("algebra_integral")
    pool, batch = Pool("algebra_integral", held.before), []
    for index, fee in enumerate((400, 9000, 1)):
        pool = Pool("algebra_integral", pool.fields() | {"fee_pips": fee})
        after = (quote := pool.apply(0, 10**15)).after
        words = [10**15, -quote.amount_out, after["sqrt_price_x96"], after["liquidity"],
                 after["tick"]]  # fmt: skip
        batch += [
            frames.event(held.id, "Fee(uint16)", [], [fee], block=101, index=2 * index),
            frames.event(held.id, V3_SWAP, [1, 2], words, block=101, index=2 * index + 1),
        ]
    audit = Audit(held.table)
    audit.replay(batch)
    assert audit.by_kind() == {"algebra_integral": (3, 0)}


def test_a_swap_of_a_pools_own_token_is_no_swap_to_audit() -> None:
    held = Held("balancer_composable_stable")
    audit = Audit(held.table)
    audit.replay([frames.event(SINGLETON, VAULT_SWAP, [STABLE, T[0], T[1]], [9, 5], block=101)])
    assert (audit.n_checks, audit.n_skipped) == (0, 1)


def test_more_wide_swaps_in_a_batch_than_there_is_room_for_are_counted() -> None:
    held = Held("balancer_weighted")
    audit = Audit(held.table)
    pool = Pool("balancer_weighted", held.before)
    batch = []
    for index in range(70):
        paid = pool.apply(0, 10**15).amount_out
        topics = [WEIGHTED, T[0], T[1]]
        batch.append(frames.event(SINGLETON, VAULT_SWAP, topics, [10**15, paid], block=101,
                                  index=index))  # fmt: skip
    audit.replay(batch)
    assert (audit.n_checks, audit.n_mismatches, audit.n_skipped) == (64, 0, 6)
    audit.replay([])
    assert audit.by_kind() == {"balancer_weighted": (64, 0)}
