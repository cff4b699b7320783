"""What each event makes of a pool of its kind: the state, a slot to be read again, or nothing."""

from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from mevfast._cache import Table
from mevfast._pool import Pool
from mevfast._wire import EVENTS, Event
from tests import frames
from tests.frames import address
from tests.unit.event_pools import (
    ALGEBRA_BURN,
    ALGEBRA_SWAP,
    BLOCK,
    CHANGED,
    EXAMPLES,
    EXCHANGE,
    KINDS,
    MANAGED,
    MINT,
    ONE,
    PANCAKE_SWAP,
    ROOT,
    SINGLETON,
    STABLE,
    STRANGER,
    V3_SWAP,
    V4,
    V4_INITIALIZE,
    V4_MODIFY,
    V4_PROTOCOL,
    V4_SWAP,
    VAULT_SWAP,
    WEIGHTED,
    Held,
    L,
    T,
    id_of,
    tokens_of,
)
from tests.unit.wire_oracle import TOPIC0

NAMES_POOL = {
    "v4_initialize", "v4_modify_liquidity", "v4_swap", "v4_donate", "v4_protocol_fee",
    "balancer_swap", "balancer_changed", "balancer_managed", "solidly_fee",
}  # fmt: skip

_V3 = {"v3_initialize", "v3_mint", "v3_burn", "v3_swap", "pancake_swap", "algebra_swap",
       "algebra_burn"}  # fmt: skip
_ALGEBRA = _V3 | {"algebra_fee", "algebra_fees", "algebra_tick_spacing", "algebra_plugin"}
_CURVE = {"curve_exchange", "curve_other", "crypto_exchange", "crypto_other"}
_BALANCER = {"balancer_swap", "balancer_changed", "balancer_managed", "balancer_swap_fee",
             "balancer_other"}  # fmt: skip
RELEVANT = {
    "uniswap_v2": {"v2_sync"},
    "camelot_v2": {"v2_sync", "camelot_fees", "camelot_type"},
    "solidly": {"solidly_sync", "solidly_fee"},
    "uniswap_v3": _V3,
    "pancake_v3": _V3,
    "algebra_v1": _ALGEBRA,
    "algebra_integral": _ALGEBRA,
    "uniswap_v4": {"v4_initialize", "v4_modify_liquidity", "v4_swap", "v4_protocol_fee"},
    "curve_stable": _CURVE,
    "curve_stable_ng": _CURVE,
    "curve_tricrypto_ng": _CURVE,
    "curve_twocrypto_ng": _CURVE,
    "balancer_weighted": _BALANCER,
    "balancer_composable_stable": _BALANCER,
}


def any_log(kind: str, event: Event, emitter: bytes | None = None, more: int = 0) -> bytes:
    """A log of that event about the pool of that kind, with so many words more than it has."""
    names = event.kind in NAMES_POOL
    first = id_of(kind) if len(id_of(kind)) == 32 else bytes(12) + id_of(kind)
    topics = [int.from_bytes(first if names else bytes(32), "big"), 1, 2][: event.n_topics - 1]
    words = [0] * (event.n_words + 2 * event.n_per_item + more)
    whose = (SINGLETON if names else id_of(kind)[:20]) if emitter is None else emitter
    return frames.event(whose, event.signature, topics, words, block=BLOCK + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_own_events_say_anything_of_a_pool(kind: str) -> None:
    for event in EVENTS:
        held = Held(kind, drifts=True)
        result = held.apply(any_log(kind, event))
        if event.kind in RELEVANT[kind]:
            assert (result, held.stale) == ("stale_noted", True), event
        else:
            assert (result, held.stale) in (("no_state", False), ("unknown_pool", False)), event
        assert held.fields() == held.before


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_of_another_shape_makes_the_pool_stale(kind: str) -> None:
    for event in EVENTS:
        if event.kind in RELEVANT[kind]:
            held = Held(kind)
            assert held.apply(any_log(kind, event, more=1)) == "malformed", event
            assert held.stale
            assert held.fields() == held.before


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_else_is_believed(kind: str) -> None:
    for event in EVENTS:
        held = Held(kind)
        assert held.apply(any_log(kind, event, emitter=STRANGER)) == "unknown_pool"
        assert not held.stale
        assert held.fields() == held.before


def test_a_singletons_word_on_an_id_that_only_begins_like_a_pools_is_not_for_it() -> None:
    held = Held("uniswap_v4")
    other = held.id[:20] + bytes(12)
    swap = frames.event(
        SINGLETON, V4_SWAP, [int.from_bytes(other, "big"), 1], [-1, 1, 1 << 96, L, 0, 450],
        block=BLOCK + 1,
    )  # fmt: skip
    assert held.apply(swap) == "unknown_pool"


def test_a_pool_without_a_singleton_hears_no_factory() -> None:
    table = Table(4, 64)
    kind = "solidly"
    slot = table.put(id_of(kind), kind, tokens_of(kind), EXAMPLES[kind], BLOCK)
    event = next(event for event in EVENTS if event.kind == "solidly_fee")
    for emitter in (SINGLETON, id_of(kind)):
        assert table.apply(any_log(kind, event, emitter=emitter)) == ("unknown_pool", None)
    assert not table.read(slot)["stale"]


def test_donations_to_a_v4_pool_change_no_swap() -> None:
    held = Held("uniswap_v4")
    event = next(event for event in EVENTS if event.kind == "v4_donate")
    assert held.apply(any_log("uniswap_v4", event)) == "no_state"
    assert held.fields() == held.before


# ---- what events that are applied change ----

PRICE = {"sqrt_price_x96": 1 << 96, "liquidity": 7 * L, "tick": 0}


def arrays(*rows: list[int]) -> list[int]:
    """Dynamic arrays as the ABI encodes them."""
    words, tail = [], []
    for row in rows:
        words.append(32 * (len(rows) + len(tail)))
        tail += [len(row), *row]
    return words + tail


@dataclass(frozen=True)
class Case:
    """An event and what the state has then: `after` instead of fields, or a result of its own."""

    kind: str
    signature: str
    topics: list[int]
    words: list[int]
    after: dict[str, Any] | str
    before: dict[str, Any] | None = None
    emitter: bytes | None = None

    def frame(self, block: int = BLOCK + 1) -> bytes:
        named = self.topics and self.topics[0] in (V4, WEIGHTED, STABLE)
        own = SINGLETON if named else id_of(self.kind)[:20]
        return frames.event(
            self.emitter or own, self.signature, self.topics, self.words, block=block
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.signature.partition('(')[0]} {self.after}"[:90]


def ticks(kind: str, *more: list[int]) -> list[list[int]]:
    return sorted([*EXAMPLES[kind]["ticks"], *more])


def fees(lp: int, protocol: int = 409700) -> dict[str, Any]:
    return {"fee_pips": lp, "protocol_fee": protocol}


CUSTOM_FEE = "SetCustomFee(address,uint256)"
FACTORY_SAYS = {"emitter": SINGLETON}
SOLIDLY = int.from_bytes(id_of("solidly"), "big")
BELOW, ABOVE = -198260, -194260  # ends of the V4 example's position

CASES = [
    Case("camelot_v2", "Sync(uint112,uint112)", [], [5, (1 << 112) - 1],
         {"reserve0": 5, "reserve1": (1 << 112) - 1}),
    Case("camelot_v2", "Sync(uint112,uint112)", [], [5, 1 << 112], "malformed"),
    Case("camelot_v2", "FeePercentUpdated(uint16,uint16)", [], [700, 0], {"fee_percent": [700, 0]}),
    Case("camelot_v2", "FeePercentUpdated(uint16,uint16)", [], [1, 100_000], "malformed"),
    Case("camelot_v2", "SetStableSwap(bool,bool)", [], [0, 1], "stale_noted"),
    Case("camelot_v2", "SetStableSwap(bool,bool)", [], [1, 0], {"stable": False},
         {"stable": True}),
    Case("camelot_v2", "SetStableSwap(bool,bool)", [], [0, 2], "malformed"),
    Case("solidly", "Sync(uint256,uint256)", [], [5, (1 << 256) - 1],
         {"reserve0": 5, "reserve1": (1 << 256) - 1}),
    Case("solidly", CUSTOM_FEE, [SOLIDLY], [30], {"fee_bps": 30}, **FACTORY_SAYS),
    Case("solidly", CUSTOM_FEE, [SOLIDLY], [420], {"fee_bps": 0}, **FACTORY_SAYS),
    Case("solidly", CUSTOM_FEE, [SOLIDLY], [0], "stale_noted", **FACTORY_SAYS),
    Case("solidly", CUSTOM_FEE, [SOLIDLY], [10_000], "malformed", **FACTORY_SAYS),
    *(Case(kind, signature, [1, 2], [-5, 4, 1 << 96, 7 * L, 0, *more], PRICE)
      for kind in ("uniswap_v3", "pancake_v3", "algebra_v1", "algebra_integral")
      for signature, more in ((V3_SWAP, []), (PANCAKE_SWAP, [3, 4]), (ALGEBRA_SWAP, [0, 0]))),
    Case("algebra_integral", ALGEBRA_SWAP, [1, 2], [-5, 4, 1 << 96, L, 0, 500, 0], "stale_noted"),
    Case("algebra_integral", ALGEBRA_SWAP, [1, 2], [-5, 4, 1 << 96, L, 0, 0, 10], "stale_noted"),
    Case("algebra_integral", ALGEBRA_BURN, [1, -198660, -193860], [2 * L, 1, 1, 0],
         {"ticks": [], "liquidity": 0}),
    Case("algebra_integral", ALGEBRA_BURN, [1, -198660, -193860], [3 * L, 1, 1, 0],
         "inconsistent"),
    Case("algebra_integral", MINT, [1, 60, 60], [1, L, 1, 1], "stale_noted"),
    Case("algebra_v1", MINT, [1, 60, 60], [1, L, 1, 1], "malformed"),
    Case("algebra_v1", MINT, [1, 60, 120], [1, L, 1, 1],
         {"ticks": ticks("algebra_v1", [60, L, L], [120, L, -L])}),
    Case("algebra_v1", "Fee(uint16)", [], [0xffff], {"fee_pips": 0xffff}),
    Case("algebra_v1", "Fee(uint16)", [], [0x10000], "malformed"),
    Case("algebra_v1", "Fee(uint16,uint16)", [], [100, 200], {"fee_pips": [100, 200]}),
    Case("algebra_integral", "Fee(uint16)", [], [1], {"fee_pips": 1}),
    Case("algebra_integral", "TickSpacing(int24)", [], [5], {"tick_spacing": 5}),
    Case("algebra_integral", "TickSpacing(int24,int24)", [], [7, 9], {"tick_spacing": 7}),
    Case("algebra_v1", "TickSpacing(int24)", [], [5],
         {"tick_spacing": 5, "bitmap_spacing": 60}),
    Case("algebra_integral", "TickSpacing(int24)", [], [0], "malformed"),
    Case("algebra_integral", "Plugin(address)", [], [1], "stale_noted"),
    Case("algebra_integral", "PluginConfig(uint8)", [], [1], "stale_noted"),
    # of 450 pips with 100 of the protocol's, and of zero in the other direction: 4096 * 100 + 100
    Case("uniswap_v4", V4_SWAP, [V4, 1], [-5, 4, 1 << 96, 7 * L, 0, 550], PRICE),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [4, -5, 1 << 96, 7 * L, 0, 550], PRICE),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [-5, 4, 1 << 96, 7 * L, 0, 551], "stale_noted"),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [-5, 4, 1 << 96, 7 * L, 0, 9], PRICE | {"fee_pips": 9},
         {"protocol_fee": 0}),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [4, -5, 1 << 96, 7 * L, 0, 9],
         PRICE | fees(9, 100), {"protocol_fee": 100}),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [-5, 4, 1 << 96, 7 * L, 0, 9], "stale_noted",
         {"protocol_fee": 100}),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [0, 0, 1 << 96, 7 * L, 0, 9],
         PRICE | fees(9, 100), {"protocol_fee": 100}),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [-5, 4, 1 << 96, 7 * L, 0, 1_000_001], "malformed",
         {"protocol_fee": 0}),
    Case("uniswap_v4", V4_SWAP, [V4, 1], [-5, 4, 1 << 96, 7 * L, 0, 77], PRICE,
         {"hooks": f"0x{1 << 7:040x}"}),  # no quote is given: the fee may be this swap's own
    Case("uniswap_v4", V4_MODIFY, [V4, 1], [BELOW, ABOVE, L, 9],
         {"ticks": [[BELOW, 3 * L, 3 * L], [ABOVE, 3 * L, -3 * L]], "liquidity": 3 * L}),
    Case("uniswap_v4", V4_MODIFY, [V4, 1], [BELOW, ABOVE, -2 * L, 9],
         {"ticks": [], "liquidity": 0}),
    Case("uniswap_v4", V4_MODIFY, [V4, 1], [BELOW, ABOVE, 0, 9], {}),
    Case("uniswap_v4", V4_MODIFY, [V4, 1], [BELOW, ABOVE, -2 * L - 1, 9], "inconsistent"),
    Case("uniswap_v4", V4_MODIFY, [V4, 1], [BELOW, ABOVE, 1 << 128, 9], "malformed"),
    Case("uniswap_v4", V4_INITIALIZE, [V4, 1, 2], [3000, 10, 0, 1 << 96, 0],
         {"sqrt_price_x96": 1 << 96, "tick": 0, "fee_pips": 3000}),
    Case("uniswap_v4", V4_INITIALIZE, [V4, 1, 2], [0x800000, 10, 1, 1 << 96, 0], "stale_noted"),
    Case("uniswap_v4", V4_PROTOCOL, [V4], [1000 << 12 | 7], fees(450, 1000 << 12 | 7)),
    Case("uniswap_v4", V4_PROTOCOL, [V4], [0], {}, {"protocol_fee": 0}),
    Case("uniswap_v4", V4_PROTOCOL, [V4], [1001], "malformed"),
    Case("uniswap_v4", V4_PROTOCOL, [V4], [1 << 24], "malformed"),
    Case("balancer_weighted", VAULT_SWAP, [WEIGHTED, T[1], T[0]], [9, 5],
         {"balances": [1000 * ONE - 5, 297 * ONE + 9]}),
    Case("balancer_weighted", VAULT_SWAP, [WEIGHTED, T[1], T[2]], [9, 5], "inconsistent"),
    Case("balancer_weighted", VAULT_SWAP, [WEIGHTED, T[1], T[0]], [9, 1001 * ONE],
         "inconsistent"),
    Case("balancer_weighted", VAULT_SWAP, [WEIGHTED, T[1], T[0]], [1 << 112, 5],
         "inconsistent"),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         arrays([T[0], T[1]], [7, 9], [2, 0]),
         {"balances": [1000 * ONE + 5, 297 * ONE + 9]}),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         arrays([T[0], T[1]], [-7, 0], [2, 10]),
         {"balances": [1000 * ONE - 9, 297 * ONE - 10]}),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         arrays([T[1], T[0]], [7, 9], [2, 0]), "inconsistent"),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         arrays([T[0], T[1]], [-1001 * ONE, 9], [2, 0]), "inconsistent"),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         arrays([T[0], T[1], T[2]], [7, 9, 1], [0, 0, 0]), "malformed"),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         [96, 192, 320, *arrays([T[0], T[1]], [7, 9], [2, 0])[3:]], "malformed"),
    Case("balancer_weighted", CHANGED, [WEIGHTED, 1],
         [*arrays([T[0], T[1]], [7, 9], [2, 0])[:6], 3, 7, 9, 2, 2, 0], "malformed"),
    Case("balancer_weighted", MANAGED, [WEIGHTED, 1, T[1]], [-100, 100], {}),
    Case("balancer_weighted", MANAGED, [WEIGHTED, 1, T[1]], [0, -100],
         {"balances": [1000 * ONE, 297 * ONE - 100]}),
    Case("balancer_weighted", MANAGED, [WEIGHTED, 1, T[2]], [0, -100], "inconsistent"),
    Case("balancer_weighted", "SwapFeePercentageChanged(uint256)", [], [10**15 + 1],
         {"swap_fee": 10**15 + 1}),
    Case("balancer_weighted", "SwapFeePercentageChanged(uint256)", [], [ONE], "malformed"),
    Case("balancer_composable_stable", VAULT_SWAP, [STABLE, T[0], T[1]], [9, 5],
         {"balances": [4000 * ONE + 9, 2596148429267414 * ONE - 5, 3400 * ONE]}),
    Case("balancer_composable_stable", "AmpUpdateStarted(uint256,uint256,uint256,uint256)", [],
         [1, 2, 3, 4], "stale_noted"),
    Case("balancer_composable_stable", "AmpUpdateStopped(uint256)", [], [1], "stale_noted"),
    Case("balancer_composable_stable", "TokenRateCacheUpdated(uint256,uint256)", [1], [ONE],
         "stale_noted"),
    Case("curve_stable", EXCHANGE, [1], [0, 10**9, 1, 1], "stale_noted"),
    Case("curve_stable", EXCHANGE, [1], [2, 10**9, 1, 1], "malformed"),
    Case("curve_stable", EXCHANGE, [1], [0, 10**9, 0, 1], "malformed"),
    Case("curve_stable", EXCHANGE, [1], [-1, 10**9, 0, 1], "malformed"),
    Case("curve_stable", "AddLiquidity(address,uint256[2],uint256[2],uint256,uint256)", [1],
         [0] * 6, "stale_noted"),
    Case("curve_tricrypto_ng",
         "TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)", [1],
         [0, 10**9, 1, 1, 1, 1], "stale_noted"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_event_does_what_its_contract_did_and_can_be_taken_back(case: Case) -> None:
    held = Held(case.kind, **case.before or {})
    result = held.apply(case.frame())
    if isinstance(case.after, str):
        assert (result, held.stale) == (case.after, True)
        assert held.fields() == held.before
    else:
        assert (result, held.stale) == ("changed", False)
        expected = Pool(case.kind, held.before | case.after).fields()
        assert held.fields() == expected
    assert held.table.read(held.slot)["block"] == BLOCK + 1
    assert held.apply(case.frame()) == "old"
    assert held.table.rollback(BLOCK) == [held.slot]
    assert not held.stale
    assert held.fields() == held.before


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_stale_pool_only_notes_the_event(case: Case) -> None:
    held = Held(case.kind, **case.before or {})
    held.table.mark_stale(held.slot)
    assert held.apply(case.frame()) == "stale_noted"
    assert held.fields() == held.before
    assert held.table.read(held.slot)["block"] == BLOCK + 1


def test_the_window_of_a_pool_whose_fee_moved_is_built_anew() -> None:
    for case in CASES:
        if not isinstance(case.after, dict) or "fee_pips" not in case.after:
            continue
        held = Held(case.kind, **case.before or {})
        pool = Pool(case.kind, held.before | case.after)
        held.apply(case.frame())
        for _ in range(2):
            for token_in in (0, 1):
                own, quote = (
                    pool.quote(token_in, 10**6),
                    held.table.quote(held.slot, token_in, 10**6),
                )
                assert quote is not None
                assert quote[:2] == (own.amount_in, own.amount_out)
            held.table.refresh()


# ---- Curve: what the pool paid must be what ours pays ----


@pytest.mark.parametrize("kind", ["curve_stable", "curve_stable_ng"])
@pytest.mark.parametrize("way", [(0, 1), (1, 0)])
def test_an_exchange_is_replayed_with_the_admins_share(kind: str, way: tuple[int, int]) -> None:
    held = Held(kind)
    i, j = way
    pool = Pool(kind, held.before)
    for step in range(1, 4):
        paid = pool.apply(i, 10**9 * step, token_out=j)
        words = [i, 10**9 * step, j, paid.amount_out]
        frame = frames.event(held.id, EXCHANGE, [1], words, block=BLOCK + step)
        assert held.apply(frame) == "changed"
        assert held.fields() == pool.fields()
    balances = held.fields()["balances"]
    assert balances[j] < held.before["balances"][j] - paid.amount_out  # the admin's share, too
    assert held.table.rollback(BLOCK + 1) == [held.slot]
    assert held.table.rollback(BLOCK) == [held.slot]
    assert held.fields() == held.before


@pytest.mark.parametrize("name", ["curve_3pool_after", "curve_ng_after"])
def test_an_exchange_leaves_the_balances_that_the_contract_recorded(name: str) -> None:
    recorded = orjson.loads((ROOT / "tests/vectors" / f"{name}.json").read_bytes())
    pools = {pool["id"]: pool for pool in recorded["pools"]}
    kind, replayed = recorded["kind"], 0
    for case in recorded["cases"]:
        if not case["ok"]:
            continue
        state = Pool(kind, pools[case["pool"]]).fields()
        tokens = [address(700 + i) for i in range(len(state["balances"]))]
        table = Table(2, 64)
        slot = table.put(id_of(kind), kind, tokens, state | {"drifts": False}, BLOCK)
        paid = int(case["amount_out"])
        words = [case["token_in"], int(case["amount_in"]), case["token_out"], paid]
        frame = frames.event(id_of(kind), EXCHANGE, [1], words, block=BLOCK + 1)
        assert table.apply(frame) == ("changed", slot)
        assert table.read(slot)["balances"] == [int(x) for x in case["after"]["balances"]]
        replayed += 1
    assert replayed > 100


# ---- drift ----


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_move_without_events_is_trusted_only_on_its_readers_word(kind: str) -> None:
    table = Table(4, 1 << 10)
    args = (id_of(kind), kind, tokens_of(kind))
    drifting = {"algebra_v1", "algebra_integral", "curve_stable", "curve_stable_ng",
                "balancer_composable_stable"}  # fmt: skip
    slot = table.put(*args, EXAMPLES[kind], BLOCK)
    assert table.read(slot)["drifts"] == (kind in drifting)
    table.put(*args, Pool(kind, EXAMPLES[kind]), BLOCK)
    assert table.read(slot)["drifts"] == (kind in drifting)
    for drifts in (True, False):
        table.put(*args, EXAMPLES[kind] | {"drifts": drifts}, BLOCK)
        assert table.read(slot)["drifts"] == drifts
    if "ramping" in EXAMPLES[kind]:
        table.put(*args, EXAMPLES[kind] | {"ramping": True}, BLOCK)
        assert table.read(slot)["drifts"]


def test_topics_are_those_of_the_signatures_used_here() -> None:
    for case in CASES:
        assert case.signature in TOPIC0
