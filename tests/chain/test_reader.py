"""The deployless readers tell what the pools' own getters tell, in whatever pieces they must."""

import pytest
from executor_stage import NOBODY, OWNER, TRADER, WETH_UNIT, Stage, calldata, stage, theatre

from mevfast.devnet.market import Pool
from mevfast.errors import DataError
from mevfast.execution.artifacts import (
    PAIRS_PER_CALL,
    TOKENS_PER_CALL,
    PairState,
    TokenInfo,
    V3State,
    decode_tokens,
    decode_v2,
    decode_v3,
    load,
    reader_tokens_call,
    reader_v2_call,
    reader_v3_call,
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


def read_v3(stage: Stage, pool: str, spacing: int, gas: int = DEFAULT_CALL_GAS) -> list[V3State]:
    """All pieces of a pool, in order."""
    word, last = word_range(spacing)
    pieces = []
    while word <= last:
        piece = decode_v3(run(stage, reader_v3_call(pool, word, last), gas))
        assert piece is not None and piece.next_word > word
        pieces.append(piece)
        word = piece.next_word
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
def test_a_v3_pool_as_its_getters_say(stage: Stage, spacing: int) -> None:
    pool = next(p for p in pools_of(stage, "uniswap_v3") if p.tick_spacing == spacing)
    pieces = read_v3(stage, pool.address, spacing)
    price, tick = stage.read(pool.address, "slot0()", ["uint160", "int24"])
    for state in pieces:
        assert (state.token0, state.token1) == (pool.token0.lower(), pool.token1.lower())
        assert (state.sqrt_price_x96, state.tick) == (price, tick)
        assert state.liquidity == stage.read(pool.address, "liquidity()", ["uint128"])
        assert (state.fee_pips, state.tick_spacing) == (pool.fee_pips, spacing)
        assert state.block >= stage.market.block
    ticks = [tick for state in pieces for tick in state.ticks]
    words = sorted({t // spacing >> 8 for t, _, _ in ticks})
    assert len(ticks) >= 4 and ticks == ticks_by_getters(stage, pool, words)
    # Complete: all that enters leaves, and what is below the price is the active liquidity.
    assert sum(net for _, _, net in ticks) == 0
    assert sum(net for t, _, net in ticks if t <= tick) == pieces[0].liquidity


def test_little_gas_takes_more_pieces_but_loses_nothing(stage: Stage) -> None:
    pool = next(p for p in pools_of(stage, "uniswap_v3") if p.tick_spacing == 1)
    whole = [tick for piece in read_v3(stage, pool.address, 1) for tick in piece.ticks]
    pieces = read_v3(stage, pool.address, 1, gas=1 << 24)  # EIP-7825's limit of a transaction
    assert len(pieces) > 1
    assert [tick for piece in pieces for tick in piece.ticks] == whole


def test_thousands_of_ticks_take_more_pieces(stage: Stage) -> None:
    """Every tick of seven words, in a pool made for it: too many for one answer."""
    words = range(-3, 4)
    puppet = dense_pool(stage)
    pieces, word = [], words[0]
    while word <= words[-1]:
        piece = decode_v3(run(stage, reader_v3_call(puppet, word, words[-1])))
        assert piece is not None and piece.next_word > word
        pieces.append(piece)
        word = piece.next_word
    assert len(pieces) > 1
    ticks = [tick for piece in pieces for tick in piece.ticks]
    assert ticks == [(10 * i, 7, -5) for i in range(-3 * 256, 4 * 256)]


def dense_pool(stage: Stage) -> str:
    """A contract that answers as a V3 pool of spacing 10 with every tick initialised."""
    return stage.create_prop("DensePool")


def test_a_range_of_words_is_read_alone(stage: Stage) -> None:
    puppet = dense_pool(stage)
    state = decode_v3(run(stage, reader_v3_call(puppet, -1, -1)))
    assert state is not None and state.next_word == 0
    assert [tick for tick, _, _ in state.ticks] == list(range(-2560, 0, 10))


def test_what_is_no_v3_pool_is_none(stage: Stage) -> None:
    burner = stage.create_prop("GasBurner")
    pair = pools_of(stage, "uniswap_v2")[0].address
    for address in (NOBODY, TRADER, stage.market.weth, pair, burner):
        assert decode_v3(run(stage, reader_v3_call(address, *word_range(60)))) is None


def test_a_pool_without_a_price_is_none(stage: Stage) -> None:
    factory = next(f for f in stage.market.factories if f.kind == "uniswap_v3").address
    token = stage.create_prop("QuietToken")
    create = calldata("createPool(address,address,uint24)", stage.market.weth, token, 3000)
    stage.send(factory, create)
    signature = "getPool(address,address,uint24)"
    pool = stage.read(factory, signature, ["address"], stage.market.weth, token, 3000)
    assert decode_v3(run(stage, reader_v3_call(pool, *word_range(60)))) is None
    stage.send(pool, calldata("initialize(uint160)", 2**96))
    state = decode_v3(run(stage, reader_v3_call(pool, *word_range(60))))
    assert state is not None and (state.sqrt_price_x96, state.ticks) == (2**96, [])


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
    for decoder in (decode_v2, decode_v3, decode_tokens):
        for answer in (b"", b"\1" * 64):
            with pytest.raises(DataError, match="Reader: expected"):
                decoder(answer)


def test_readers_see_the_latest_trade(stage: Stage) -> None:
    """Not a constant: state after a swap is read as such."""
    pool = pools_of(stage, "uniswap_v3")[0]
    before = read_v3(stage, pool.address, pool.tick_spacing)[0]
    stage.trade(pool, stage.market.weth, WETH_UNIT)
    after = read_v3(stage, pool.address, pool.tick_spacing)[0]
    assert after.sqrt_price_x96 != before.sqrt_price_x96
    assert after.block == before.block + 1
    assert load("TickReader").bytecode == reader_v3_call(pool.address, 0, 0)[:-96]
