"""The deployless readers tell what the pools' own getters tell, in whatever pieces they must."""

from dataclasses import replace

import pytest
from executor_stage import NOBODY, OWNER, TRADER, WETH_UNIT, Stage, stage, theatre

from mevfast.devnet.market import Pool
from mevfast.dex.reads import selector
from mevfast.errors import DataError
from mevfast.execution.artifacts import (
    PAIRS_PER_CALL,
    TICK_QUERIES_PER_CALL,
    TOKENS_PER_CALL,
    PairState,
    TickAnswer,
    TickQuery,
    TokenInfo,
    decode_ticks,
    decode_tokens,
    decode_v2,
    load,
    reader_ticks_call,
    reader_tokens_call,
    reader_v2_call,
    word_range,
)

__all__ = ["stage", "theatre"]  # fixtures

pytestmark = pytest.mark.devnet

EIP170, EIP3860 = 24_576, 49_152
DEFAULT_CALL_GAS = 50_000_000
"""What go-ethereum and Nitro give an eth_call."""


def run(stage: Stage, call: bytes, gas: int = DEFAULT_CALL_GAS) -> bytes:
    """The answer, within the limits of nodes."""
    assert len(call) <= EIP3860
    request = {"from": OWNER, "data": "0x" + call.hex(), "gas": hex(gas)}
    answer = bytes.fromhex(stage.node.rpc("eth_call", request, "latest")[2:])
    assert len(answer) <= EIP170
    return answer


def pools_of(stage: Stage, kind: str) -> list[Pool]:
    return [pool for pool in stage.market.pools if pool.kind == kind]


def query(pool: str, spacing: int, first: int | None = None, last: int | None = None) -> TickQuery:
    """All words of a Uniswap V3 pool, or some."""
    lowest, highest = word_range(spacing)
    return TickQuery(
        pool, selector("tickBitmap(int16)"), selector("ticks(int24)"), spacing,
        lowest if first is None else first, highest if last is None else last,
    )  # fmt: skip


def ask(stage: Stage, *queries: TickQuery, gas: int = DEFAULT_CALL_GAS) -> list[TickAnswer]:
    block, answers = decode_ticks(queries, run(stage, reader_ticks_call(queries), gas))
    assert block >= stage.market.block
    return answers


def pieces_of(stage: Stage, query: TickQuery, gas: int = DEFAULT_CALL_GAS) -> list[TickAnswer]:
    """All pieces of a pool, in order."""
    pieces = []
    while query.first <= query.last:
        [piece] = ask(stage, query, gas=gas)
        assert piece.next_word > query.first
        pieces.append(piece)
        query = replace(query, first=piece.next_word)
    return pieces


def ticks_by_getters(stage: Stage, pool: Pool, words: list[int]) -> list[tuple[int, int, int]]:
    found = []
    for word in words:
        bits = stage.read(pool.address, "tickBitmap(int16)", ["uint256"], word)
        for bit in range(256):
            if bits >> bit & 1:
                tick = (word * 256 + bit) * pool.tick_spacing
                values = stage.read(pool.address, "ticks(int24)", ["uint128", "int128"], tick)
                found.append((tick, *values))
    return found


# ---- pairs ----


def test_every_pair_as_its_getters_say(stage: Stage) -> None:
    pairs = pools_of(stage, "uniswap_v2")
    block, states = decode_v2(run(stage, reader_v2_call([pair.address for pair in pairs])))
    assert block >= stage.market.block
    assert states == [
        PairState(
            pair.token0.lower(),
            pair.token1.lower(),
            *stage.read(pair.address, "getReserves()", ["uint112", "uint112"]),
        )
        for pair in pairs
    ]


def test_what_is_no_pair_is_none_and_spoils_nothing(stage: Stage) -> None:
    good = pools_of(stage, "uniswap_v2")[0].address
    bad = [
        NOBODY,
        TRADER,
        stage.market.weth,  # a contract without these getters, whose fallback answers nothing
        pools_of(stage, "uniswap_v3")[0].address,  # token0 and token1, but no reserves
        stage.create_prop("GasBurner"),
    ]
    _, states = decode_v2(run(stage, reader_v2_call([good, *bad, good])))
    assert states[1:-1] == [None] * len(bad)
    assert states[0] == states[-1] is not None


def test_a_full_list_of_pairs_fits(stage: Stage) -> None:
    pair = pools_of(stage, "uniswap_v2")[0].address
    _, states = decode_v2(run(stage, reader_v2_call([pair] * PAIRS_PER_CALL)))
    assert len(states) == PAIRS_PER_CALL and None not in states
    with pytest.raises(ValueError, match="at most 190 pairs"):
        reader_v2_call([pair] * (PAIRS_PER_CALL + 1))


# ---- V3 pools ----


@pytest.mark.parametrize("spacing", [1, 10, 60, 200])
def test_the_ticks_of_a_v3_pool_as_its_getters_say(stage: Stage, spacing: int) -> None:
    pool = next(p for p in pools_of(stage, "uniswap_v3") if p.tick_spacing == spacing)
    ticks = [t for piece in pieces_of(stage, query(pool.address, spacing)) for t in piece.ticks]
    words = sorted({t // spacing >> 8 for t, _, _ in ticks})
    assert len(ticks) >= 4 and ticks == ticks_by_getters(stage, pool, words)
    # Complete: all that enters leaves, and what is below the price is the active liquidity.
    _, tick = stage.read(pool.address, "slot0()", ["uint160", "int24"])
    assert sum(net for _, _, net in ticks) == 0
    assert sum(net for t, _, net in ticks if t <= tick) == stage.read(
        pool.address, "liquidity()", ["uint128"]
    )


def test_many_pools_in_one_call_are_each_read_as_if_alone(stage: Stage) -> None:
    pools = [p for p in pools_of(stage, "uniswap_v3") if p.tick_spacing >= 10]
    queries = [query(p.address, p.tick_spacing) for p in pools[:TICK_QUERIES_PER_CALL]]
    together = ask(stage, *queries)
    assert (
        sum(piece.next_word == q.last + 1 for q, piece in zip(queries, together, strict=True)) > 3
    )
    for each, piece in zip(queries, together, strict=True):
        [alone] = ask(stage, each)
        assert piece.ticks == alone.ticks[: len(piece.ticks)]
        if piece.next_word > each.last:
            assert piece == alone


def test_too_many_queries_are_refused(stage: Stage) -> None:
    each = query(stage.market.weth, 60)
    assert len(ask(stage, *[each] * TICK_QUERIES_PER_CALL)) == TICK_QUERIES_PER_CALL
    with pytest.raises(ValueError, match="at most 16 queries"):
        reader_ticks_call([each] * (TICK_QUERIES_PER_CALL + 1))


def test_little_gas_takes_more_pieces_but_loses_nothing(stage: Stage) -> None:
    pool = next(p for p in pools_of(stage, "uniswap_v3") if p.tick_spacing == 1)
    asked = query(pool.address, 1)
    whole = [tick for piece in pieces_of(stage, asked) for tick in piece.ticks]
    pieces = pieces_of(stage, asked, gas=1 << 24)  # EIP-7825's limit of a transaction
    assert len(pieces) > 1
    assert [tick for piece in pieces for tick in piece.ticks] == whole


def test_thousands_of_ticks_take_more_pieces(stage: Stage) -> None:
    """Every tick of seven words, in a pool made for it: too many for one answer."""
    pieces = pieces_of(stage, query(dense_pool(stage), 10, -3, 3))
    assert len(pieces) > 1
    ticks = [tick for piece in pieces for tick in piece.ticks]
    assert ticks == [(10 * i, 7, -5) for i in range(-3 * 256, 4 * 256)]


def test_a_pool_that_fills_the_answer_leaves_the_next_ones_for_later(stage: Stage) -> None:
    dense = query(dense_pool(stage), 10, -3, 3)
    first, *others = ask(stage, dense, dense, dense)
    assert first.next_word > dense.first
    assert others == [TickAnswer(dense.first, [])] * 2


def dense_pool(stage: Stage) -> str:
    """A contract that answers as a V3 pool of spacing 10 with every tick initialised."""
    return stage.create_prop("DensePool")


def test_a_range_of_words_is_read_alone(stage: Stage) -> None:
    [piece] = ask(stage, query(dense_pool(stage), 10, -1, -1))
    assert piece.next_word == 0
    assert [tick for tick, _, _ in piece.ticks] == list(range(-2560, 0, 10))


def test_what_is_no_pool_has_no_ticks_and_spoils_nothing(stage: Stage) -> None:
    good = next(p for p in pools_of(stage, "uniswap_v3") if p.tick_spacing == 60)
    burner = stage.create_prop("GasBurner")
    bad = [NOBODY, TRADER, stage.market.weth, pools_of(stage, "uniswap_v2")[0].address]
    *none, some = ask(stage, *(query(each, 60) for each in (*bad, good.address)))
    assert none == [TickAnswer(word_range(60)[1] + 1, [])] * len(bad)
    assert some.ticks
    [burnt] = ask(stage, query(burner, 200))
    assert burnt.ticks == []


@pytest.mark.parametrize(
    ("spacing", "words"),
    [(1, (-3466, 3465)), (10, (-347, 346)), (60, (-58, 57)), (200, (-18, 17))],
)
def test_word_range_covers_the_usable_ticks(spacing: int, words: tuple[int, int]) -> None:
    assert word_range(spacing) == words
    most = 887272 // spacing
    assert words == (-most >> 8, most >> 8)


# ---- tokens ----


def test_tokens_with_odd_and_missing_symbols(stage: Stage) -> None:
    market = stage.market.tokens
    odd = [
        stage.create_prop("OddSymbol"),
        stage.create_prop("LongSymbol"),
        stage.create_prop("QuietToken"),  # neither decimals nor symbol
        stage.create_prop("GasBurner"),
        TRADER,
    ]
    _, tokens = decode_tokens(run(stage, reader_tokens_call([t.address for t in market] + odd)))
    assert tokens == [TokenInfo(token.decimals, token.symbol) for token in market] + [
        TokenInfo(18, "MKR"),
        TokenInfo(6, "0123456789abcdefghijklmnopqrstuv"),
        TokenInfo(None, None),
        TokenInfo(None, None),
        TokenInfo(None, None),
    ]


def test_a_full_list_of_tokens_fits(stage: Stage) -> None:
    call = reader_tokens_call([stage.market.weth] * TOKENS_PER_CALL)
    assert decode_tokens(run(stage, call))[1] == [TokenInfo(18, "WETH")] * TOKENS_PER_CALL
    with pytest.raises(ValueError, match="at most 250 tokens"):
        reader_tokens_call([stage.market.weth] * (TOKENS_PER_CALL + 1))


# ---- answers that are none ----


def test_an_answer_of_something_else_is_a_data_error() -> None:
    asked = [query("0x" + "11" * 20, 60)]
    for decoder in (decode_v2, lambda answer: decode_ticks(asked, answer), decode_tokens):
        for answer in (b"", b"\1" * 64, b"\0" * 95, b"\0" * 128):
            with pytest.raises(DataError, match="Reader: expected"):
                decoder(answer)


def test_readers_see_the_latest_trade(stage: Stage) -> None:
    """Not a constant: state after a trade is read as such."""
    pair = pools_of(stage, "uniswap_v2")[0]
    call = reader_v2_call([pair.address])
    before_block, [before] = decode_v2(run(stage, call))
    stage.trade(pair, stage.market.weth, WETH_UNIT)
    after_block, [after] = decode_v2(run(stage, call))
    assert before is not None and after is not None
    assert after.reserve0 != before.reserve0
    assert after_block > before_block
    assert load("PairReader").bytecode == call[: len(load("PairReader").bytecode)]
