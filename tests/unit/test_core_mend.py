"""Doubt and what ends it: where it begins, and that mending equals having missed nothing."""

import random
import time
from typing import Any

import orjson
import pytest

from tests import frames
from tests.frames import address, block_hash
from tests.market import pool_address, token
from tests.unit.test_core import A, B, C, Chain

SYNC = bytes.fromhex(frames._TOPIC["sync"])


def doubt(chain: Chain, *words: str, trusted: int) -> None:
    core = chain.core
    assert not core.live
    assert all(word in core.doubt for word in words), core.doubt
    assert core.trusted == trusted
    assert chain.sent == []


def sync(i: int, amount: int, block: int, index: int = 0, **more: Any) -> bytes:
    return frames.v2_sync(pool_address(i), amount, 2 * amount, block=block, index=index, **more)


def states(chain: Chain) -> list[dict[str, Any]]:
    """Without quarantine: these swaps are made up, and what is mended is not audited."""
    rows = [chain.core.table.read(slot) for slot in range(4)]
    return [{k: v for k, v in row.items() if k != "quarantined"} for row in rows]


def test_a_reorg_is_in_doubt_from_its_first_block() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(102), frames.head(103))
    chain.feed(frames.head(102, fork=1))
    doubt(chain, "reorg of 2 blocks", trusted=101)


def test_a_deeper_head_while_in_doubt_moves_the_doubt_back() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(102), frames.head(103))
    chain.feed(frames.head(103, fork=1), frames.head(102, fork=2))
    doubt(chain, "reorg of 1 blocks", trusted=101)


def test_missed_heads_leave_the_last_one_in_doubt() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(105))
    doubt(chain, "head 105 does not follow head 101", trusted=100)


def test_a_log_of_another_block_of_the_same_number_is_a_reorg() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(102, fork=7, parent=block_hash(101)))
    assert chain.core.live
    chain.feed(sync(0, 10**21, 102))
    doubt(chain, "a log is of another block 102", trusted=101)


def test_a_log_of_a_block_that_was_taken_back() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(102), sync(0, 10**21, 101, removed=True))
    doubt(chain, "block 101 was taken back", trusted=100)


def test_a_log_of_a_far_block_moves_nothing() -> None:
    chain = Chain()
    before = states(chain)
    chain.feed(sync(0, 10**21, 10**6))
    doubt(chain, "a log of block 1000000 came at head 100", trusted=100)
    assert states(chain) == before


def test_logs_of_one_pool_in_the_wrong_order() -> None:
    chain = Chain()
    chain.feed(sync(0, 10**20, 101, index=4), sync(0, 10**21, 101, index=2))
    doubt(chain, "a log of block 101 came after a later one of its pool", trusted=100)


def test_logs_sent_twice_are_no_doubt() -> None:
    chain = Chain()
    first, second = sync(0, 10**20, 101, index=2), sync(0, 10**21, 101, index=4)
    chain.feed(first, second, first, second, frames.head(101), first)
    assert chain.core.live
    assert chain.core.table.read(0)["reserve0"] == 10**21


def test_heads_sent_twice_and_old_ones_are_no_doubt() -> None:
    chain = Chain()
    heads = [frames.head(101), frames.head(102)]
    chain.feed(heads[0], heads[0], heads[1], heads[0], heads[1])
    assert chain.core.live
    assert chain.core.head_number == 102


def test_the_first_doubt_says_when_it_was_and_later_ones_do_not() -> None:
    chain = Chain()
    assert chain.core.doubted_at == 0
    before = time.monotonic_ns()
    chain.core.distrust("the test says so")
    first = chain.core.doubted_at
    assert before <= first <= time.monotonic_ns()
    chain.core.distrust("the test says so again")
    assert chain.core.doubted_at == first


def test_what_came_in_doubt_is_remembered_until_it_ends() -> None:
    """Those logs were not missed, though the node is asked for them."""
    chain = Chain()
    chain.feed(sync(0, 10**21, 101), frames.head(101))
    assert chain.core.told == set()
    chain.core.distrust("the test says so")
    chain.feed(sync(0, 10**20, 102, index=3), frames.head(102), sync(1, 10**20, 103, removed=True))
    assert chain.core.told == {(102, 3)}
    assert mend(chain, 101, [sync(0, 10**20, 102, index=3)], frames.head(102), 102)
    assert chain.core.told == set()


def test_readers_of_the_table_are_told_of_the_newest_head() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(102))
    assert chain.core.table.head_block == 102


# ---- blooms ----


def test_a_log_that_a_bloom_promises_and_that_never_came() -> None:
    chain = Chain()
    chain.feed(frames.head(101, logs_of=[A, SYNC]))
    assert chain.core.live
    chain.feed(frames.head(102))
    doubt(chain, "block 101 names pool 0x" + A.hex(), trusted=100)
    assert chain.core.bloom_doubts == 1


def test_a_log_that_a_bloom_promises_and_that_came() -> None:
    chain = Chain()
    chain.feed(frames.head(101, logs_of=[A, SYNC]), sync(0, 10**20, 101), frames.head(102))
    assert chain.core.live


@pytest.mark.parametrize("named", [[A], [C, SYNC], [address(99), SYNC]])
def test_a_bloom_without_an_event_that_moves_the_pool(named: list[bytes]) -> None:
    """A Transfer of the pair's own shares, say."""
    chain = Chain()
    chain.feed(frames.head(101, logs_of=named), frames.head(102))
    assert chain.core.live


def test_a_full_bloom_is_no_evidence() -> None:
    chain = Chain()
    crowd = [address(i) for i in range(200, 500)]
    chain.feed(frames.head(101, logs_of=[A, SYNC, *crowd]), frames.head(102))
    assert chain.core.live


def test_blooms_may_be_passed_over_for_a_while() -> None:
    chain = Chain()
    chain.core.bloom_from = 102
    chain.feed(frames.head(101, logs_of=[A, SYNC]), frames.head(102, logs_of=[B, SYNC]))
    assert chain.core.live
    chain.feed(frames.head(103))
    doubt(chain, "block 102 names pool 0x" + B.hex(), trusted=101)


# ---- mending ----


def mend(chain: Chain, fork: int, logs: list[bytes], head: bytes, number: int) -> bool:
    core = chain.core
    core.begin_load()
    core.start_at(head)
    assert core.roll_back(fork) is not None
    core.catch_up(logs)
    return bool(core.end_load(number))


def test_mending_a_reorg_equals_the_new_branch_alone() -> None:
    """Random branches of Syncs, Mints, Burns and Swaps: back to the fork, then the other branch."""
    for seed in range(30):
        chance = random.Random(seed)
        chain, clean = Chain(), Chain()
        common = [_random_block(chance, n) for n in range(101, 103)]
        orphaned = [_random_block(chance, n) for n in range(103, 103 + chance.randint(1, 5))]
        branch = [_random_block(chance, n) for n in range(103, 103 + chance.randint(1, 5))]
        for n, logs in enumerate(common, 101):
            chain.feed(*logs, frames.head(n))
            clean.feed(*logs, frames.head(n))
        for n, logs in enumerate(orphaned, 103):
            chain.feed(*logs, frames.head(n))
        end = 102 + len(branch)
        chain.core.distrust("the test says so", 103)
        head = frames.head(end, fork=1)
        assert mend(chain, 102, [log for logs in branch for log in logs], head, end)
        for n, logs in enumerate(branch, 103):
            clean.feed(*logs, frames.head(n))
        assert states(chain) == states(clean), seed
        assert not chain.core.table.stale()


def _random_block(chance: random.Random, block: int) -> list[bytes]:
    """Syncs, Swaps, and positions of which at most as much is burnt as the block minted."""
    logs: list[bytes] = []
    for _ in range(chance.randint(0, 4)):
        what = chance.randrange(3)
        where = {"block": block, "index": len(logs)}
        if what == 0:
            logs.append(sync(chance.choice((0, 1, 3)), chance.randint(10**18, 10**22), **where))
        elif what == 1:
            lower = 16090 + 10 * chance.randint(-9, 9)
            upper, amount = lower + 10 * chance.randint(1, 9), chance.randint(1, 10**20)
            logs.append(frames.v3_mint(C, lower, upper, amount, **where))
            where["index"] += 1
            burnt = chance.randint(0, amount)
            logs.append(frames.v3_burn(C, lower, upper, burnt, **where))
        else:
            price = 177159557114295718903631839232 + chance.randint(0, 1 << 80)
            logs.append(frames.v3_swap(C, 5, -5, price, 10**22, 16095, **where))
    return logs


def test_what_arrives_while_mending_is_applied_on_top() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(105))
    core = chain.core
    core.begin_load()
    chain.feed(sync(0, 10**20, 105))  # in the node's logs as well
    core.feed_bytes(frames.head(106))
    chain.feed(sync(1, 10**19, 107), frames.head(107))
    assert core.roll_back(100) == 0
    assert core.catch_up([sync(0, 10**20, 105), sync(1, 10**21, 106)]) == 2
    assert core.end_load(106)
    assert core.table.read(0)["reserve0"] == 10**20
    assert core.table.read(1)["reserve0"] == 10**19
    assert core.head_number == 107


def test_old_heads_that_come_again_do_not_hold_mending_up() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(105))
    core = chain.core
    core.begin_load()
    chain.feed(frames.head(101), frames.head(100))
    core.start_at(frames.head(106))
    chain.feed(frames.head(101), frames.head(105), frames.head(106))
    assert core.roll_back(100) == 0
    assert core.end_load(106)
    chain.feed(frames.head(107))
    assert core.live


def test_doubt_while_mending_spoils_it() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(105))
    chain.core.begin_load()
    chain.core.feed_bytes(frames.head(106))
    chain.core.distrust("the test says so", 99)
    assert chain.core.roll_back(100) == 0
    assert not chain.core.end_load(106)
    doubt(chain, "the test says so", trusted=98)


def test_the_journal_knows_which_logs_came() -> None:
    chain = Chain()
    chain.feed(sync(0, 10**20, 101), frames.head(101), sync(0, 10**21, 102), frames.head(102))
    core = chain.core
    assert core.knows(sync(0, 10**20, 101))
    assert core.knows(sync(0, 10**21, 102))
    assert core.knows(sync(0, 1, 1))  # in what was loaded
    assert not core.knows(sync(0, 10**21, 101, index=3))
    assert not core.knows(sync(0, 10**21, 103))
    assert not core.knows(sync(1, 10**21, 102))
    assert core.knows(frames.v2_sync(address(1234), 1, 2, block=102))  # no pool of ours
    assert core.knows(frames.unknown(A, block=102, index=9))  # moves nothing


# ---- swaps that contradict a quote ----


def swap(index: int, block: int) -> list[bytes]:
    """An honest swap of 10**18 in the first pool when its reserves were 10**21 and four times that:
    its table has a price of 2."""
    out = 10**18 * 997 * 4 * 10**21 // (10**21 * 1000 + 10**18 * 997)
    after = frames.v2_sync(A, 10**21 + 10**18, 4 * 10**21 - out, block=block, index=index)
    return [after, frames.v2_swap(A, 10**18, 0, 0, out, block=block, index=index + 1)]


def test_a_swap_that_contradicts_a_quote_is_first_held_against_the_logs() -> None:
    chain = Chain()
    core = chain.core
    core.doubts_logs, core.verified = True, 98
    chain.feed(frames.head(101), *swap(3, 102), frames.head(102))
    doubt(chain, "a swap in block 102 contradicts our quote", trusted=98)
    assert (core.audit.n_suspects, core.audit.n_mismatches) == (1, 0)
    lost = frames.v2_sync(A, 10**21, 4 * 10**21, block=101, index=5)
    assert mend(chain, 98, [lost, *swap(3, 102)], frames.head(102), 102)
    assert (core.audit.n_checks, core.audit.n_mismatches) == (1, 0)
    assert not core.table.read(0)["quarantined"]


def test_logs_that_begin_too_late_to_judge_a_swap_are_asked_for_again() -> None:
    chain = Chain()
    core = chain.core
    core.doubts_logs, core.verified = True, 98
    chain.feed(frames.head(101), frames.head(105))  # and 102 to 104 are missing
    core.begin_load()
    core.start_at(frames.head(106))
    assert core.roll_back(101) == 0
    core.catch_up(swap(3, 105), verified=False)
    assert not core.end_load(106)
    doubt(chain, "a swap in block 105 contradicts our quote", trusted=98)
    assert core.audit.n_mismatches == 0


def test_a_swap_that_contradicts_the_node_s_own_logs_is_a_mismatch() -> None:
    chain = Chain()
    core = chain.core
    core.doubts_logs, core.verified = True, 98
    chain.feed(frames.head(101), *swap(3, 102), frames.head(102))
    assert mend(chain, 98, swap(3, 102), frames.head(102), 102)
    assert core.audit.n_mismatches == 1
    assert core.table.read(0)["quarantined"]
    chain.feed(*swap(3, 103), frames.head(103))
    assert core.live  # nothing more is made of it


# ---- pools that are being read, and new ones ----


def test_events_of_a_pool_that_is_being_read_wait_for_its_state() -> None:
    chain = Chain()
    core = chain.core
    core.table.mark_stale(0)
    core.table.set_loading([0], True)
    chain.feed(sync(0, 10**20, 101), sync(1, 10**19, 101, index=1), frames.head(101))
    chain.feed(sync(0, 3 * 10**20, 102), frames.head(102))
    assert core.table.read(0)["block"] < 101
    assert core.table.read(1)["reserve0"] == 10**19
    state = core.table.read(0) | {"reserve0": 7, "reserve1": 7}
    state = {name: state[name] for name in ("reserve0", "reserve1", "fee_pips")}
    core.table.put(A, "uniswap_v2", (token(0), token(1)), state, 101)
    core.end_reading()
    assert core.table.read(0)["reserve0"] == 3 * 10**20
    assert not core.table.read(0)["stale"]


def test_messages_in_which_a_venue_announces_are_kept_for_who_looks_for_new_pools() -> None:
    chain = Chain()
    factory, other = address(500), bytes(31) + b"\1"
    message = frames.unknown(factory, block=101)
    topic = bytes.fromhex(orjson.loads(message)["params"]["result"]["topics"][0][2:])
    chain.feed(message)
    assert chain.core.created == []
    chain.core.watch([address(499), factory], [other, topic])
    chain.feed(message, frames.unknown(A, block=101), frames.head(101))
    assert chain.core.created == [message]
    chain.core.watch([factory], [other])
    chain.feed(message)
    assert chain.core.created == [message]
    with pytest.raises(ValueError, match="venues: expected at most 64, was 65"):
        chain.core.watch([address(i) for i in range(65)], [])


# ---- logs and heads of two branches ----


def of_fork(message: bytes, fork: int) -> bytes:
    """The log as of another block of its number."""
    frame = orjson.loads(message)
    result = frame["params"]["result"]
    result["blockHash"] = "0x" + block_hash(int(result["blockNumber"], 16), fork).hex()
    return orjson.dumps(frame)


def test_a_log_that_came_before_its_head_must_be_of_that_block() -> None:
    chain = Chain()
    chain.feed(of_fork(sync(0, 10**20, 101), 1), frames.head(101))
    doubt(chain, "logs of another block 101 came before its head", trusted=100)


def test_logs_of_two_blocks_of_one_number() -> None:
    chain = Chain()
    chain.feed(of_fork(sync(0, 10**20, 101), 1), sync(1, 10**20, 101))
    doubt(chain, "logs are of two blocks of number 101", trusted=100)


def test_logs_of_an_orphan_that_wait_spoil_the_mending() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(103))
    core = chain.core
    core.begin_load()
    chain.feed(of_fork(sync(0, 10**20, 105), 1))
    core.start_at(frames.head(104))
    chain.feed(frames.head(105))
    assert core.roll_back(100) is not None
    assert not core.end_load(104)


def test_what_was_dropped_while_spoilt_is_not_forgiven() -> None:
    chain = Chain()
    core = chain.core
    core.begin_load("testing")
    core.distrust("the test says so")
    chain.feed(sync(0, 10**20, 107))
    core.start_at(frames.head(106))
    chain.feed(frames.head(107))
    assert not core.end_load(106)


def test_a_lower_head_while_mending_spoils_it_and_ends_nothing() -> None:
    chain = Chain()
    chain.feed(frames.head(101), frames.head(102))
    core = chain.core
    core.begin_load("testing")
    core.start_at(frames.head(105))
    chain.feed(frames.head(102, fork=1))
    assert not core.end_load(105)
    assert core.trusted == 101


def test_a_pool_that_was_read_does_not_open_a_block_again() -> None:
    """Its waiting log of an older block must not make half a block look whole."""
    chain = Chain()
    core = chain.core
    core.table.mark_stale(1)
    core.table.set_loading([1], True)
    chain.feed(frames.head(101), sync(1, 10**21, 101))
    chain.feed(frames.v2_sync(A, 10**21, 9 * 10**21, block=102))
    state = {"reserve0": 10**21, "reserve1": 2 * 10**21, "fee_pips": 3000}
    core.table.put(B, "uniswap_v2", (token(0), token(1)), state, 100)
    core.end_reading()
    core.flush()
    assert chain.sent == []  # the head of block 102 is still to come
