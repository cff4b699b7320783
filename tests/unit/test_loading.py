"""Loading on a node made of Python: what spoils a pool spoils no other, and what spoils the node is
never taken for a pool's fault."""

import asyncio
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode

from mevfast._pool import Pool, Quote
from mevfast.chain.multicall import At, Failed
from mevfast.dex import algebra, kinds, lockstep, market
from mevfast.dex.reads import PairQuery, Question, TickQuery, calldata, drive, packs, selector
from mevfast.dex.ticks import without_gross
from mevfast.errors import DataError, NodeError, RpcError
from mevfast.execution import artifacts
from mevfast.model import Loaded, PoolRecord
from tests.node import Node
from tests.unit.test_dex import PAIR, POOL, TEXTS

WORD = "(address,address,uint112,uint112)[]"
RESERVES = (10**20, 3 * 10**18)


def v2(pool: bytes = POOL, fee_pips: int = 2500) -> PoolRecord:
    return PoolRecord(pool, "uniswap_v2", PAIR, "two", facts={"fee_pips": fee_pips})


class Pairs(Node):
    """Answers the pair reader: every pair has the same state but those in `none`."""

    def __init__(self, none: tuple[bytes, ...] = ()) -> None:
        super().__init__([])
        self.none = none

    def call(self, to: str, data: bytes, block: int) -> bytes:
        assert to == ""
        count = (len(data) - len(artifacts.load("PairReader").bytecode)) // 32 - 2
        pools = [data[-20 - 32 * k :][:20] for k in reversed(range(count))]
        nobody = ("0x" + "00" * 20,) * 2 + (0, 0)
        pairs = [nobody if pool in self.none else (*TEXTS[:2], *RESERVES) for pool in pools]
        return encode(["uint256", WORD], [9, pairs])


def load(node: Node, pools: list[PoolRecord], **more: Any) -> Loaded:
    return asyncio.run(market.load(node, pools, 77, **more))  # type: ignore[arg-type]


def test_pairs_take_the_fee_of_their_factory() -> None:
    node = Pairs()
    [found] = load(node, [v2()]).loads
    assert found.state == {"fee_pips": 2500, "reserve0": RESERVES[0], "reserve1": RESERVES[1]}
    assert node.blocks == {hex(77)}


def test_pairs_are_read_many_a_call_and_come_in_the_order_given() -> None:
    pools = [v2(bytes([n % 251, n // 251]) + b"\7" * 18) for n in range(500)]
    node, seen = Pairs(), []
    loaded = load(node, pools, on_progress=lambda done, total: seen.append((done, total)))
    assert [found.pool for found in loaded.loads] == pools
    assert node.calls["eth_call"] == 3
    assert seen[-1] == (500, 500) and seen == sorted(seen)


@pytest.mark.parametrize("spoilt", range(3))
def test_what_is_no_such_pair_fails_alone(spoilt: int) -> None:
    pools = [v2(bytes([n]) * 20) for n in (1, 2, 3)]
    bad = pools[spoilt]
    loaded = load(Pairs((bad.id,)), pools)
    assert [found.pool for found in loaded.loads] == [pool for pool in pools if pool != bad]
    assert list(loaded.failed) == [bad.id]
    assert "expected a pair that starts with token" in loaded.failed[bad.id]


def test_other_tokens_than_announced_fail() -> None:
    pool = replace(v2(), tokens=PAIR[::-1])
    assert "expected a pair that starts with token 0x2222" in load(Pairs(), [pool]).failed[POOL]


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        (replace(v2(), facts={}), "facts: expected 'fee_pips' of a uniswap_v2 pool, was none"),
        (replace(v2(), kind="maverick"), "kind: expected one of uniswap_v2, .*was 'maverick'"),
        (replace(v2(), facts={"fee_pips": 10**7}), "fee_pips: expected"),
    ],
)
def test_a_record_that_cannot_be_read_fails_alone(pool: PoolRecord, words: str) -> None:
    loaded = load(Pairs(), [pool, v2(b"\1" * 20)])
    assert len(loaded.loads) == 1
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(loaded.failed[POOL])


def test_data_that_no_reader_gives_is_the_nodes_error() -> None:
    class Odd(Node):
        def call(self, to: str, data: bytes, block: int) -> bytes:
            return b"\1"

    with pytest.raises(NodeError, match=r"eth_call at block 77: PairReader: expected"):
        load(Odd([]), [v2()])


def test_a_node_that_runs_no_code_without_an_address_is_named() -> None:
    with pytest.raises(NodeError, match="the reader of 1 pools failed: execution reverted"):
        load(Node([]), [v2()])


def test_every_kind_that_has_a_kernel_has_a_reader_and_a_venue() -> None:
    from mevfast._pool import KINDS

    assert set(kinds._READERS) == set(KINDS)
    assert set(KINDS) >= market.INCOMPLETE


# ---- ticks ----


class Ticks(Node):
    """A Uniswap V3 pool whose reader answers `words` words of the bitmap a call."""

    def __init__(self, nets: dict[int, int], liquidity: int, words: int = 10**6) -> None:
        super().__init__([])
        self.nets, self.liquidity, self.words = nets, liquidity, words
        self.price, self.spacing = 2**96, 60

    def call(self, to: str, data: bytes, block: int) -> bytes:
        if to:
            return {
                selector("slot0()"): encode(["uint160", "int24"], [self.price, 0]),
                selector("liquidity()"): encode(["uint128"], [self.liquidity]),
                selector("fee()"): encode(["uint24"], [3000]),
                selector("tickSpacing()"): encode(["int24"], [self.spacing]),
            }[data]
        first, last = (int.from_bytes(data[at:][:32], "big", signed=True) for at in (-64, -32))
        last = len(data) and int.from_bytes(data[-32:], "big", signed=True)
        end = min(last, first + self.words - 1)
        out = [0, end + 1, 0]
        for word in range(first, end + 1):
            ticks = sorted(t for t in self.nets if t // self.spacing >> 8 == word)
            if ticks:
                bits = sum(1 << (t // self.spacing & 255) for t in ticks)
                out += [word, bits, *(1 << 128 | self.nets[t] % 2**128 for t in ticks)]
        out[2] = len(out) - 3
        return b"".join((each % 2**256).to_bytes(32, "big") for each in out)


V3 = PoolRecord(POOL, "uniswap_v3", PAIR, "three", facts={"tick_spacing": 60})
NETS = {-600: 5, 0: 7, 60: -7, 120_000: -5}


@pytest.mark.parametrize("words", [1, 7, 10**6])
def test_ticks_of_several_calls_become_one_list(words: int) -> None:
    [found] = load(Ticks(NETS, 12, words), [V3]).loads
    assert found.state["ticks"] == [[tick, 1, net] for tick, net in NETS.items()]
    assert found.state["liquidity"] == 12


def test_a_spacing_that_is_not_the_announced_one_is_read_as_it_is() -> None:
    [found] = load(Ticks(NETS, 12), [replace(V3, facts={"tick_spacing": 10})]).loads
    assert found.state == load(Ticks(NETS, 12), [V3]).loads[0].state
    assert found.state == load(Ticks(NETS, 12), [replace(V3, facts={})]).loads[0].state


@pytest.mark.parametrize(
    ("nets", "liquidity", "words"),
    [
        ({-600: 5, 60: -4}, 5, "nets add up to 0, was 1"),
        (NETS, 13, "add up to its liquidity 13, was 12"),
        ({}, 1, "add up to its liquidity 1, was 0"),
    ],
)
def test_ticks_that_do_not_add_up_fail(nets: dict[int, int], liquidity: int, words: str) -> None:
    loaded = load(Ticks(nets, liquidity), [V3])
    assert loaded.loads == [] and words in loaded.failed[POOL]


def test_a_pool_without_a_price_fails_with_that_reason() -> None:
    node = Ticks({}, 0)
    node.price = 0
    assert "no price yet" in load(node, [V3]).failed[POOL]


def test_a_reader_that_never_advances_is_the_nodes_error() -> None:
    with pytest.raises(NodeError, match="stopped at once for want of gas"):
        load(Ticks(NETS, 12, words=0), [V3])


def test_packs_hold_every_query_once_within_their_limits() -> None:
    def ticks(words: int) -> TickQuery:
        return TickQuery(TEXTS[0], b"\0" * 4, b"\0" * 4, 1, 0, words - 1)

    questions: list[Question] = [
        (TEXTS[0], b""),
        *[PairQuery(TEXTS[0])] * 400,
        *[ticks(6932)] * 2,
        *[ticks(116)] * 100,
        *[ticks(694)] * 20,
    ]
    found = packs(questions)
    assert sorted(at for pack in found for at in pack) == list(range(1, len(questions)))
    for pack in found:
        asked = [questions[at] for at in pack]
        assert len({type(each) for each in asked}) == 1
        if isinstance(asked[0], TickQuery):
            assert len(asked) <= artifacts.TICK_QUERIES_PER_CALL
            assert sum(each.last - each.first + 1 for each in asked) <= 7000
        else:
            assert len(asked) <= artifacts.PAIRS_PER_CALL


# ---- Algebra's bitmaps ----


def algebra_pool(
    nets: dict[int, int], tick: int, bitmap: int, spacing: int, fees: list[int]
) -> Any:
    """What answers as a pool of V1 (one fee) or 1.9 (two); the reader is told of its ticks."""
    liquidity = sum(net for at, net in nets.items() if at <= tick)
    state = encode(["uint256"] * (6 + len(fees)), [2**96, tick, *fees, 0, 0, 0, 1])
    getters = {
        selector("globalState()"): state,
        selector("liquidity()"): encode(["uint128"], [liquidity]),
        selector("tickSpacing()"): encode(["int24"], [spacing]),
    }

    def call(to: str, data: bytes) -> bytes:
        if to:
            return getters[data]
        asked, first, last = (
            int.from_bytes(data[len(data) - 32 * n :][:32], "big", signed=True) for n in (3, 2, 1)
        )
        bits = {at // bitmap for at in nets}
        out = [0, last + 1, 0]
        for word in range(first, last + 1):
            inside = sorted(bit for bit in bits if bit >> 8 == word)
            if inside:
                out += [word, sum(1 << (bit & 255) for bit in inside)]
                for bit in inside:
                    net = nets.get(bit * asked)
                    out.append(0 if net is None else 1 << 128 | net % 2**128)
        out[2] = len(out) - 3
        return b"".join((each % 2**256).to_bytes(32, "big") for each in out)

    return call


LOW = {-1200: 5, -60: 9, 60: -9, 6000: -5}


@pytest.mark.parametrize(
    ("nets", "bitmap", "spacing", "fees"),
    [
        (LOW, 60, 60, [500]),
        (LOW, 1, 60, [500, 700]),  # bits of single ticks
        ({-1205: 5, 10: -5}, 1, 5, [500, 700]),
        (LOW, 60, 1, [500]),
        ({0: 4, 60: -4}, 60, 60, [500]),  # 0 is initialised either way
        ({0: 4, 60: -4}, 1, 60, [500, 700]),
        ({0: 4, 1: -4}, 1, 1, [500]),
    ],
)
def test_the_ticks_themselves_tell_what_a_bit_of_the_bitmap_stands_for(
    nets: dict[int, int], bitmap: int, spacing: int, fees: list[int]
) -> None:
    fields = drive(algebra.read_v1(TEXTS[0]), algebra_pool(nets, 0, bitmap, spacing, fees))
    assert fields["ticks"] == [[tick, 1, net] for tick, net in nets.items()]
    assert fields.get("bitmap_spacing", spacing) == bitmap
    assert fields["fee_pips"] == (fees[0] if len(fees) == 1 else fees)
    fields = without_gross(fields)
    assert Pool("algebra_v1", fields).fields()["ticks"] == fields["ticks"]


def test_ticks_that_fit_no_bitmap_fail() -> None:
    call = algebra_pool({-1205: 5, 10: -5}, 0, 5, 5, [500])
    with pytest.raises(DataError, match="a fork of other rules"):
        drive(algebra.read_v1(TEXTS[0]), call)


# ---- proof ----


class Curve(Node):
    """A plain NG pool that pays `less` than it should."""

    def __init__(self, less: int = 0) -> None:
        super().__init__([])
        self.less = less
        self.fields = {
            "amp_precise": 20_000, "fee": 4_000_000, "offpeg_fee_multiplier": 2 * 10**10,
            "admin_fee": 5 * 10**9, "balances": [10**24, 10**12], "rates": [10**18, 10**30],
        }  # fmt: skip

    def call(self, to: str, data: bytes, block: int) -> bytes:
        for name, value in self.fields.items():
            getter = {"amp_precise": "A_precise", "balances": "get_balances",
                      "rates": "stored_rates"}.get(name, name)  # fmt: skip
            if data == calldata(f"{getter}()"):
                return encode(["uint256[]" if isinstance(value, list) else "uint256"], [value])
        assert data[:4] == selector("get_dy(int128,int128,uint256)")
        i, j, amount = (int.from_bytes(data[at:][:32], "big") for at in (4, 36, 68))
        quote = Pool("curve_stable_ng", self.fields).quote(i, amount, token_out=j)
        assert isinstance(quote, Quote)
        return encode(["uint256"], [quote.amount_out - self.less])


NG = PoolRecord(POOL, "curve_stable_ng", PAIR, "curve")


def test_a_pool_that_quotes_as_its_kernel_is_loaded() -> None:
    [found] = load(Curve(), [NG]).loads
    assert found.state == Curve().fields


@pytest.mark.parametrize("less", [1, -1, 10**6])
def test_a_pool_that_quotes_otherwise_is_not_what_it_seems(less: int) -> None:
    loaded = load(Curve(less), [NG, replace(NG, id=b"\2" * 20)])
    assert loaded.loads == []
    assert all("a form of curve_stable_ng that is not known" in why
               for why in loaded.failed.values())  # fmt: skip


# ---- the driver ----


def test_reads_of_different_lengths_end_each_in_its_own_turn() -> None:
    def counting(turns: int) -> Generator[list[Question], list[Any], int]:
        total = 0
        for _ in range(turns):
            answers = yield [(TEXTS[0], bytes([turns]))] * turns
            assert answers == [bytes([turns])] * turns
            total += len(answers)
        if turns == 3:
            raise DataError("three is out")
        return total

    class Echo(Node):
        def call(self, to: str, data: bytes, block: int) -> bytes:
            return data

    node: Any = Echo([])
    done: list[int] = []
    reads = {turns: counting(turns) for turns in range(6)}
    results, failed = asyncio.run(lockstep.run(At(node, 7), reads, done.append))
    assert results == {0: 0, 1: 1, 2: 4, 4: 16, 5: 25}
    assert failed == {3: "three is out"}
    assert done == [1, 2, 3, 4, 5, 6]
    assert node.messages == 5  # one a turn


def test_a_failed_call_is_sent_as_such() -> None:
    def read() -> Generator[list[Question], list[Any], str]:
        [answer] = yield [(TEXTS[0], b"")]
        assert isinstance(answer, Failed)
        return answer.reason

    node: Any = Node([])
    results, _ = asyncio.run(lockstep.run(At(node, 7), {"a": read()}))
    assert results == {"a": "execution reverted"}
    assert RpcError("eth_call", 3, "execution reverted").code == 3
