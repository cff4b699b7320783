"""The hot chain from frame bytes to signed request: what is sent, what is not, and why."""

import gc
import sys
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from eth_abi import decode
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes
from picows.picows import WSMsgType, _make_test_ws_frame

from mevfast._core import Core
from mevfast._tx import Signer, keccak256
from tests import frames, market
from tests.market import pool_address, search_of, token
from tests.oracle import cycles

KEY = 0xAC0974BEC39A17E36BA4A6B4D238FF944BACB478CBED5EFCAE784D7BF4F2FF80  # anvil's first test key
EXECUTOR = frames.address(77)
A, B, C, D = (pool_address(i) for i in range(4))
BASE_FEE = 10**7
FIRST_REQUEST = 5 << 40


class Chain:
    """A Core over four pools, two pairs, and a node that numbers its blocks and logs."""

    def __init__(self, block: int = 100, **options: Any) -> None:
        self.pools = [
            market.v2_pool((0, 1), 2.0, 1e21, 3000),
            market.v2_pool((0, 1), 2.0, 1e21, 3000),
            market.v3_pool((0, 2), 5.0, [(-100, 100, 10**22)], 500, 10),
            market.v2_pool((0, 2), 5.0, 1e21, 3000),
        ]
        self.sent: list[bytes] = []
        search = search_of(self.pools)
        self.batches = 0
        signer = Signer(bytearray(KEY.to_bytes(32, "big")))
        self.core = Core(
            search,
            signer,
            EXECUTOR,
            42161,
            self._send,
            self._after,
            first_request=FIRST_REQUEST,
            **options,
        )
        self.block = block
        self.core.begin_load()
        self.core.feed_bytes(frames.head(block))
        assert self.core.end_load(block)
        self.core.set_nonce(7)

    def _send(self, request: memoryview) -> None:
        self.sent.append(bytes(request))

    def _after(self) -> None:
        self.batches += 1

    def feed(self, *messages: bytes) -> None:
        """One batch: frames that arrived together."""
        for message in messages:
            assert self.core.feed(_make_test_ws_frame(WSMsgType.TEXT, message, True, False))
        self.core.flush()

    def sync(self, number: int, factor: float = 1.0, **where: Any) -> bytes:
        """A Sync of a V2 pool to a price that is off its start by `factor`."""
        pool = self.pools[number]
        moved = market.v2_pool(
            pool["tokens"], pool["reserve1"] / pool["reserve0"] * factor, 1e21, 3000
        )
        where = {"block": self.block + 1} | where
        return frames.v2_sync(pool_address(number), moved["reserve0"], moved["reserve1"], **where)

    def head(self, logs_of: Iterable[bytes] | None = None, **more: Any) -> bytes:
        return frames.head(self.block + 1, logs_of=logs_of, **more)

    def dropped(self) -> dict[str, int]:
        return self.core.search.dropped()

    def raw(self, i: int = -1) -> bytes:
        request = orjson.loads(self.sent[i])
        assert request["jsonrpc"] == "2.0"
        assert request["method"] == "eth_sendRawTransaction"
        (raw,) = request["params"]
        return bytes.fromhex(raw[2:])

    def transaction(self, i: int = -1) -> dict[str, Any]:
        return TypedTransaction.from_bytes(HexBytes(self.raw(i))).as_dict()


def decoded(data: bytes) -> dict[str, Any]:
    assert data[:4] == keccak256(b"execute(uint256,uint256,uint256[4])")[:4]
    terms, amounts, hops = decode(["uint256", "uint256", "uint256[4]"], data[4:], strict=True)
    return {
        "deadline": terms >> 168,
        "funding": terms >> 160 & 0xFF,
        "token": f"0x{terms & (1 << 160) - 1:040x}",
        "amount_in": amounts >> 128,
        "min_profit": amounts & (1 << 128) - 1,
        "hops": [word for word in hops if word],
    }


# ---- what is sent ----


def test_a_log_that_opens_an_arbitrage_is_one_signed_transaction() -> None:
    chain = Chain()
    core = chain.core
    core.search.configure(gas_base=100_000, gas_hops={"uniswap_v2": 70_000}, min_profit=5)
    chain.feed(chain.sync(0, 1.1), chain.head(base_fee=BASE_FEE))
    (request,) = chain.sent
    assert orjson.loads(request)["id"] == FIRST_REQUEST
    assert Account.recover_transaction(chain.raw()) == core.signer.address
    tx = chain.transaction()
    assert (tx["chainId"], tx["nonce"], tx["value"]) == (42161, 7, 0)
    assert HexBytes(tx["to"]) == EXECUTOR
    assert (tx["maxFeePerGas"], tx["maxPriorityFeePerGas"]) == (2 * BASE_FEE, 0)
    assert tx["gas"] == 240_000 * 150 // 100
    call = decoded(bytes(tx["data"]))
    assert call["deadline"] == 101 + 2
    assert call["funding"] == 1
    assert call["token"] == f"0x{token(0).hex()}"
    # B sells token 1 dear, A buys it back cheap: 0 -> 1 in A (price 2.2), 1 -> 0 in B
    hops = [(word >> 192, word >> 184 & 1, word >> 160 & 0xFFFFFF, word & (1 << 160) - 1)
            for word in call["hops"]]  # fmt: skip
    assert hops == [
        (1, 1, 3000, int.from_bytes(A, "big")),
        (1, 0, 3000, int.from_bytes(B, "big")),
    ]
    now = [core.table.read(slot) | {"kind": "uniswap_v2"} for slot in (0, 1)]
    amount, profit = cycles.best_size(now, ((0, 1), (1, 0)))
    paid = cycles.amounts_along(now, ((0, 1), (1, 0)), call["amount_in"])
    assert paid is not None
    assert call["amount_in"] == pytest.approx(amount, rel=1e-6)
    (trade,) = core.trades()
    assert trade["predicted"] == paid[-1] - paid[0] >= profit * (1 - 1e-12)
    assert call["min_profit"] == pytest.approx(240_000 * BASE_FEE + 5)
    assert trade["tx"] == keccak256(chain.raw())
    assert (trade["nonce"], trade["block"], trade["funding"]) == (7, 101, "flash_swap")
    assert trade["net"] == pytest.approx(trade["predicted"] - 240_000 * BASE_FEE)
    assert core.n_sent == len(core.latencies()) == 1
    assert core.latencies()[0] > 0


def test_nothing_to_gain_nothing_sent() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.001), chain.head())
    assert chain.sent == []
    assert chain.core.n_searches == 1
    assert chain.batches == 1


def test_the_nonce_counts_up_and_every_trade_is_kept() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.sync(3, 1.1, index=1), chain.head())
    assert len(chain.sent) == 2
    assert [chain.transaction(i)["nonce"] for i in range(2)] == [7, 8]
    assert [trade["nonce"] for trade in chain.core.trades()] == [7, 8]
    assert [orjson.loads(sent)["id"] for sent in chain.sent] == [FIRST_REQUEST, FIRST_REQUEST + 1]
    assert chain.core.nonce == 9


# ---- blocks ----


def test_logs_wait_for_their_head() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1))
    assert chain.sent == []
    chain.feed(chain.head([A]))
    assert len(chain.sent) == 1


def test_a_head_before_its_logs() -> None:
    chain = Chain()
    chain.feed(chain.head([A]))
    assert chain.sent == []
    chain.feed(chain.sync(0, 1.1))
    assert len(chain.sent) == 1


def test_a_split_block_waits_for_the_pools_that_its_bloom_names() -> None:
    chain = Chain()
    chain.feed(chain.head([A, B]))
    chain.feed(chain.sync(0, 1.1))
    assert chain.sent == []
    assert chain.dropped() == {"incomplete_block": 1}
    chain.feed(chain.sync(1, 1.05, index=5))
    assert len(chain.sent) == 1
    (trade,) = chain.core.trades()
    now = [chain.core.table.read(slot) | {"kind": "uniswap_v2"} for slot in (0, 1)]
    assert trade["predicted"] == pytest.approx(cycles.best_size(now, ((0, 1), (1, 0)))[1], rel=1e-9)


def test_a_split_block_whose_second_log_closes_the_gap_sends_nothing() -> None:
    chain = Chain()
    chain.feed(chain.head([A, B]))
    chain.feed(chain.sync(0, 1.1))
    chain.feed(chain.sync(1, 1.1, index=5))
    assert chain.sent == []


def test_what_waited_goes_out_with_the_next_head_where_that_names_none_of_its_pools() -> None:
    chain = Chain()
    chain.feed(chain.head([A, B]))  # B's log carried no state
    chain.feed(chain.sync(0, 1.1))
    chain.block += 1
    chain.feed(chain.head([C]))
    assert len(chain.sent) == 1


def test_a_new_head_whose_logs_are_still_to_come_settles_nothing_they_touch() -> None:
    chain = Chain()
    chain.feed(chain.head([A, B]))
    chain.feed(chain.sync(0, 1.1))
    chain.block += 1
    chain.feed(chain.head([B]))
    assert chain.sent == []
    assert chain.dropped() == {"incomplete_block": 2}
    chain.feed(chain.sync(1, 1.1))
    assert chain.sent == []


def test_a_head_twice_is_one_head() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    chain.feed(chain.head())
    assert chain.core.live
    assert len(chain.sent) == 1


# ---- doubt ----


def expect_doubt(chain: Chain, words: str) -> None:
    assert not chain.core.live
    assert words in chain.core.doubt
    assert chain.sent == []


def test_a_removed_log_ends_all_trading() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.sync(1, 1.0, removed=True, block=100), chain.head())
    expect_doubt(chain, "block 100 was taken back by a reorg")
    chain.feed(chain.sync(0, 1.2, block=102), frames.head(102))
    expect_doubt(chain, "reorg")


@pytest.mark.parametrize("number", [101, 102, 100])
def test_a_head_whose_parent_is_unknown_ends_all_trading(number: int) -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), frames.head(number, parent=bytes(31) + b"\x01", fork=1))
    expect_doubt(chain, f"head {number} does not follow head 100")


def test_a_log_that_contradicts_its_pool_ends_trading_in_it_until_it_is_read_again() -> None:
    chain = Chain()
    chain.feed(
        frames.v3_burn(C, -20, 20, 1, block=101),
        chain.sync(3, 1.1, index=1),
        chain.sync(0, 1.1, index=2),
        chain.head(),
    )
    assert chain.core.live
    assert chain.core.table.stale() == [2]
    assert [{hop["pool"] for hop in t["hops"]} for t in chain.core.trades()] == [{A, B}]
    assert chain.dropped() == {"stale": 1}


def test_a_swap_that_contradicts_the_quote_ends_trading_in_its_pool_only() -> None:
    chain = Chain()
    before = chain.core.table.read(0)
    chain.feed(
        chain.sync(0, 1.1),
        frames.v2_swap(A, 10**18, 0, 0, before["reserve1"] // 2, block=101, index=1),
        chain.sync(3, 1.1, index=2),
    )
    assert chain.core.audit.n_mismatches == 1
    chain.feed(chain.head())
    assert chain.core.live
    assert len(chain.sent) == 1
    assert {hop["pool"] for hop in chain.core.trades()[0]["hops"]} == {C, D}
    assert chain.dropped() == {"quarantined": 1}
    # for good: a load clears staleness, not this
    core, state = chain.core, chain.core.table.read(0)
    core.table.put(A, "uniswap_v2", (token(0), token(1)), state, 101)
    assert core.table.read(0)["quarantined"]


# ---- loading ----


def test_what_waits_while_loading_is_merged_by_block() -> None:
    chain = Chain()
    core = chain.core
    assert core.begin_load("testing") == 100
    expect_doubt(chain, "testing")
    chain.feed(chain.sync(0, 1.5), frames.head(101))
    chain.feed(chain.sync(1, 1.2, block=102, index=1), frames.head(102))
    assert core.search.n_candidates == 0
    assert core.table.read(0)["block"] == 1  # as the market was put
    state = core.table.read(0) | {"reserve0": 1000, "reserve1": 2000}
    core.table.put(A, "uniswap_v2", (token(0), token(1)), state, 101)
    assert core.end_load(101)
    assert (core.live, core.doubt) == (True, "")
    assert core.table.read(0)["reserve0"] == 1000  # the event of block 101 is in the load
    assert core.table.read(1)["block"] == 102
    assert core.table.applied()["old"] == 0


def test_a_load_ahead_of_the_head_is_refused() -> None:
    chain = Chain()
    chain.core.begin_load()
    with pytest.raises(ValueError, match="loaded at block 105, but the newest head is 100"):
        chain.core.end_load(105)


def test_an_arbitrage_that_waited_is_sent_once_live() -> None:
    chain = Chain()
    chain.core.begin_load()
    chain.feed(chain.sync(0, 1.1), chain.head([A]))
    assert chain.core.end_load(100)
    chain.core.flush()
    assert len(chain.sent) == 1


@pytest.mark.parametrize("how", ["removed log", "other head", "doubt"])
def test_a_reorg_while_loading_spoils_the_load(how: str) -> None:
    chain = Chain()
    core = chain.core
    core.begin_load("testing")
    chain.feed(chain.sync(0, 1.1), chain.head())
    if how == "removed log":
        chain.feed(chain.sync(0, 1.1, removed=True))
    elif how == "other head":
        chain.feed(chain.head(fork=1))
    else:
        core.distrust("a request failed")
    assert not core.end_load(101)
    assert not core.live
    assert core.doubt != "testing"
    core.begin_load()
    chain.feed(frames.head(110))
    assert core.end_load(110)
    assert core.live
    assert chain.sent == []


# ---- what is under way ----


def test_pools_under_way_are_not_used_twice() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    chain.block += 1
    chain.feed(chain.sync(0, 1.2), chain.head())
    assert len(chain.sent) == 1
    assert chain.dropped() == {"in_flight": 1}
    assert chain.core.resolve(7)
    assert not chain.core.resolve(7)
    assert chain.core.trades() == []
    chain.block += 1
    chain.feed(chain.sync(0, 1.3), chain.head())
    assert len(chain.sent) == 2
    assert chain.transaction()["nonce"] == 8


def test_a_log_of_ours_frees_its_pools_before_the_receipt() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    (trade,) = chain.core.trades()
    chain.block += 1
    chain.feed(chain.sync(1, 0.99, tx=trade["tx"]), chain.head())
    (first, second) = chain.core.trades()
    assert (first["landed_block"], second["landed_block"]) == (102, None)
    assert first["explained"] == first["predicted"]
    assert chain.dropped() == {}


def test_another_swap_first_explains_what_is_missing() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    (trade,) = chain.core.trades()
    assert trade["explained"] is None
    chain.block += 1
    stranger, ours = chain.sync(0, 1.08, index=0), chain.sync(1, 1.01, index=3, tx=trade["tx"])
    chain.feed(stranger, ours)
    (trade,) = chain.core.trades()
    pools = [chain.core.table.read(0), chain.pools[1]]
    for pool in pools:
        pool["kind"] = "uniswap_v2"
    paid = cycles.amounts_along(pools, ((0, 1), (1, 0)), trade["amount_in"])
    assert paid is not None
    assert trade["explained"] == paid[-1] - paid[0] < trade["predicted"]


@pytest.mark.parametrize(("flag", "reason"), [("paused", "risk"), ("shadow", "shadow")])
def test_plans_that_must_not_be_sent_are_counted(flag: str, reason: str) -> None:
    chain = Chain()
    setattr(chain.core, flag, True)
    chain.feed(chain.sync(0, 1.1), chain.head())
    assert chain.sent == []
    assert chain.dropped() == {reason: 1}
    assert chain.core.search.n_candidates == 1
    assert chain.core.nonce == 7
    setattr(chain.core, flag, False)
    chain.block += 1
    chain.feed(chain.sync(0, 1.1, index=1), chain.head())
    assert len(chain.sent) == 1


def test_no_more_than_64_under_way() -> None:
    chain = Chain()
    core = chain.core
    for n in range(70):
        before = len(chain.sent)
        chain.feed(chain.sync(0, 1.1 + n / 1000), chain.sync(1, 1.0, index=1), chain.head())
        chain.block += 1
        if len(chain.sent) > before:  # ours lands and closes the gap, its receipt stays out
            tx = core.trades()[-1]["tx"]
            chain.feed(chain.sync(1, 1.1 + n / 1000, tx=tx), chain.head())
            chain.block += 1
    assert len(chain.sent) == len(core.trades()) == 64
    assert chain.dropped()["risk"] > 0
    assert core.resolve(7)
    chain.feed(chain.sync(0, 1.3), chain.sync(1, 1.0, index=1), chain.head())
    assert len(chain.sent) == 65


# ---- frames ----


def test_frames_of_others_are_left_to_others() -> None:
    chain = Chain()
    answer = _make_test_ws_frame(WSMsgType.TEXT, b'{"jsonrpc":"2.0","id":1}', True, False)
    assert not chain.core.feed(answer)
    assert not chain.core.feed_bytes(b"")
    assert chain.core.n_logs == 0


def test_unknown_logs_and_pools_are_counted() -> None:
    chain = Chain()
    core = chain.core
    chain.feed(
        frames.unknown(A, block=101),
        frames.v2_sync(frames.address(5), 1, 1, block=101, index=1),
        chain.head(),
    )
    assert (core.n_logs, core.n_heads, core.n_unknown) == (2, 2, 1)
    assert core.table.applied()["unknown_pool"] == 1
    assert (core.head_number, core.base_fee) == (101, BASE_FEE)
    assert core.head_timestamp == 1_700_000_101


def test_a_pool_that_is_in_the_table_only_is_kept_but_not_searched() -> None:
    chain = Chain()
    core, other = chain.core, frames.address(9)
    slot = core.table.put(other, "uniswap_v2", (token(0), token(1)), chain.pools[0], 100)
    chain.feed(frames.v2_sync(other, 10**21, 10**22, block=101), chain.head())
    assert core.table.read(slot)["reserve1"] == 10**22
    assert core.search.n_candidates == 0
    assert chain.sent == []


def test_feeding_allocates_nothing_that_stays() -> None:
    chain = Chain()
    messages = []
    for block in range(101, 101 + 2000):
        where = {"block": block}
        messages += [
            chain.sync(0, 1 + block % 3 / 1000, **where),
            frames.v2_swap(B, 0, 0, 0, 1, index=1, **where),
            frames.v3_mint(C, -50, 50, 10, index=2, **where),
            frames.v3_burn(C, -50, 50, 10, index=3, **where),
            frames.head(block),
        ]
    feed, flush = chain.core.feed_bytes, chain.core.flush
    for message in messages[:1000]:
        feed(message)
        flush()
    gc.collect()
    before = sys.getallocatedblocks()
    for message in messages[1000:]:
        feed(message)
        flush()
    gc.collect()
    assert sys.getallocatedblocks() - before < 20
    assert chain.core.n_logs == 8000
    assert chain.core.live, chain.core.doubt


# ---- what nothing but time brings up ----


def test_what_is_looked_at_again_is_decided_on_the_table_as_it_is() -> None:
    chain = Chain()
    chain.core.paused = True
    chain.feed(chain.sync(0, 1.1), chain.head())
    assert chain.sent == []
    assert chain.dropped() == {"risk": 1}
    chain.core.paused = False
    chain.core.look_again([A, B, frames.address(5)])
    assert len(chain.sent) == 1
    chain.core.look_again([A, B])
    assert len(chain.sent) == 1
    assert chain.dropped()["in_flight"] == 1


def test_what_has_reverted_is_not_sent_again_on_the_same_states() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    assert chain.core.resolve(7, reverted=True)
    chain.core.look_again([A])
    assert len(chain.sent) == 1
    assert chain.dropped() == {"duplicate": 1}
    chain.block += 1
    chain.feed(chain.sync(0, 1.1), chain.head())  # the same prices, but another event
    assert len(chain.sent) == 2


def test_what_expired_is_sent_again() -> None:
    chain = Chain()
    chain.feed(chain.sync(0, 1.1), chain.head())
    assert chain.core.resolve(7)
    chain.core.look_again([A])
    assert len(chain.sent) == 2


def test_nothing_is_sent_past_the_time_that_it_could_land_in() -> None:
    chain = Chain()
    chain.core.paused = True
    chain.feed(chain.sync(0, 1.1), chain.head())
    chain.core.paused = False
    chain.core.expires_ns = 1
    chain.core.look_again([A])
    assert chain.sent == []
    assert chain.dropped()["deadline"] == 1
    chain.core.expires_ns = 10**18
    chain.core.look_again([A])
    assert len(chain.sent) == 1
