// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/* Readers that are never deployed: `eth_call` without `to`, with creation code ++
 * abi.encode(arguments) as data, runs the constructor, which returns its findings in place of
 * runtime code.
 *
 * A node takes that answer for code and holds it to the rules of code: at most 24,576 bytes
 * (EIP-170), 200 gas a byte, arguments and creation code together at most 49,152 bytes (EIP-3860).
 * So lists are chunked by the caller, and ticks stop early and say where to go on.
 *
 * One bad address does not spoil the answer for the others: a read is capped in gas and in returned
 * bytes, and what does not answer as expected is marked. Every answer begins with `block.number`,
 * which on Arbitrum is an estimate of L1's.
 */

/// @dev A read of a contract that may be anything.
abstract contract Reader {
    /// @dev More than a getter of a pool or token needs, less than hurts when it is all burnt.
    uint256 private constant READ_GAS = 200_000;

    /// @dev The first three words that a getter answers, zeros where the answer is shorter.
    /// @return size Bytes that were answered, 0 where the call failed.
    function _read(address target, bytes4 selector)
        internal
        view
        returns (uint256 size, uint256 word0, uint256 word1, uint256 word2)
    {
        return _call(target, selector, 4, 0);
    }

    /// @dev The first two words that a getter with one argument answers, zeros where it fails.
    function _readAt(address target, bytes4 selector, int256 argument)
        internal
        view
        returns (uint256 word0, uint256 word1)
    {
        (, word0, word1,) = _call(target, selector, 36, argument);
    }

    /// @dev One word that must be below `2**bits`.
    function _word(address target, bytes4 selector, uint256 bits)
        internal
        view
        returns (bool ok, uint256 word)
    {
        uint256 size;
        (size, word,,) = _read(target, selector);
        ok = size >= 32 && word >> bits == 0;
    }

    /// @dev Works in scratch memory: thousands of reads would make the memory itself expensive.
    function _call(address target, bytes4 selector, uint256 length, int256 argument)
        internal
        view
        returns (uint256 size, uint256 word0, uint256 word1, uint256 word2)
    {
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, argument)
            let out := mload(0x40)
            mstore(out, 0)
            mstore(add(out, 32), 0)
            mstore(add(out, 64), 0)
            // Fixed output size: a long answer is not copied.
            if staticcall(READ_GAS, target, 0, length, out, 96) {
                size := returndatasize()
                word0 := mload(out)
                word1 := mload(add(out, 32))
                word2 := mload(add(out, 64))
            }
        }
    }

    function _answer(bytes memory data) internal pure {
        assembly ("memory-safe") {
            return(add(data, 32), mload(data))
        }
    }
}

interface IPair {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function getReserves() external view returns (uint112, uint112, uint32);
}

/// @notice Tokens and reserves of Uniswap V2 style pairs.
contract PairReader is Reader {
    /// @notice `token0` is zero where the address did not answer as a pair.
    struct Pair {
        address token0;
        address token1;
        uint112 reserve0;
        uint112 reserve1;
    }

    /// @dev Answers (uint256 blockNumber, Pair[]) in the order asked; 190 pairs fit in one answer.
    constructor(address[] memory targets) {
        Pair[] memory pairs = new Pair[](targets.length);
        for (uint256 i; i < targets.length; ++i) {
            address target = targets[i];
            (bool ok0, uint256 token0) = _word(target, IPair.token0.selector, 160);
            if (!ok0) continue;
            (bool ok1, uint256 token1) = _word(target, IPair.token1.selector, 160);
            (uint256 size, uint256 reserve0, uint256 reserve1,) =
                _read(target, IPair.getReserves.selector);
            if (ok1 && size >= 64 && reserve0 >> 112 == 0 && reserve1 >> 112 == 0) {
                pairs[i] = Pair(
                    address(uint160(token0)),
                    address(uint160(token1)),
                    uint112(reserve0),
                    uint112(reserve1)
                );
            }
        }
        _answer(abi.encode(block.number, pairs));
    }
}

interface IV3Pool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function fee() external view returns (uint24);
    function tickSpacing() external view returns (int24);
    function liquidity() external view returns (uint128);
    function slot0() external view returns (uint160, int24, uint16, uint16, uint16, uint8, bool);
    function tickBitmap(int16 word) external view returns (uint256);
    function ticks(int24 tick) external view returns (uint128 gross, int128 net);
}

/// @notice State and initialised ticks of one Uniswap V3 style pool.
contract TickReader is Reader {
    struct State {
        uint256 blockNumber;
        bool ok; // whether the address answered as a pool that has a price; else all below is zero
        address token0;
        address token1;
        uint160 sqrtPriceX96;
        int24 tick;
        uint128 liquidity;
        uint24 fee; // pips
        int24 tickSpacing;
        int24 next; // the bitmap word to go on with; wordTo + 1 when all are read
    }

    /// @dev Words a full bitmap word adds to the answer: itself, its position, 256 ticks.
    uint256 private constant WORST = 258;

    /// @dev EIP-170 in words, less the head of the answer (state, two offsets, two lengths).
    uint256 private constant MOST = 768 - 14;

    /// @dev Gas that must be left before a bitmap word is read, were it full: about 12,000 for each
    /// of 256 ticks, 200 a byte for the answer, and its encoding.
    uint256 private constant RESERVE_GAS = 8_800_000;

    /// @dev Answers (State, uint256[] words, uint256[] ticks). `words` holds pairs: a position of
    /// tickBitmap (int16, as a two's complement word) and its bits, where not 0. `ticks` has a word
    /// for each set bit, in ascending order: liquidityGross << 128 | uint128(liquidityNet).
    constructor(address pool, int16 wordFrom, int16 wordTo) {
        State memory state = _state(pool);
        uint256[] memory words = new uint256[](MOST);
        uint256[] memory ticks = new uint256[](MOST);
        uint256 nWords;
        uint256 nTicks;
        int256 position = wordFrom;
        if (state.ok) {
            for (; position <= wordTo; ++position) {
                if (nWords + nTicks + WORST > MOST || gasleft() < RESERVE_GAS) break;
                (uint256 bits,) = _readAt(pool, IV3Pool.tickBitmap.selector, position);
                if (bits == 0) continue;
                (words[nWords], words[nWords + 1]) = (uint256(position), bits);
                nWords += 2;
                for (uint256 bit; bit < 256; ++bit) {
                    if (bits >> bit & 1 == 0) continue;
                    int256 tick = (position * 256 + int256(bit)) * state.tickSpacing;
                    (uint256 gross, uint256 net) = _readAt(pool, IV3Pool.ticks.selector, tick);
                    ticks[nTicks++] = gross << 128 | uint128(net);
                }
            }
        }
        state.next = int24(position);
        assembly ("memory-safe") {
            mstore(words, nWords)
            mstore(ticks, nTicks)
        }
        _answer(abi.encode(state, words, ticks));
    }

    function _state(address pool) private view returns (State memory state) {
        (bool okFee, uint256 fee) = _word(pool, IV3Pool.fee.selector, 24);
        (bool okSpacing, uint256 spacing) = _word(pool, IV3Pool.tickSpacing.selector, 23);
        (bool okLiquidity, uint256 liquidity) = _word(pool, IV3Pool.liquidity.selector, 128);
        (bool ok0, uint256 token0) = _word(pool, IV3Pool.token0.selector, 160);
        (bool ok1, uint256 token1) = _word(pool, IV3Pool.token1.selector, 160);
        (uint256 size, uint256 price, uint256 tick,) =
            _read(pool, IV3Pool.slot0.selector);
        state.blockNumber = block.number;
        if (!okFee || !okSpacing || !okLiquidity || !ok0 || !ok1 || size < 64) return state;
        if (price == 0 || price >> 160 != 0) return state;
        state.ok = true;
        state.token0 = address(uint160(token0));
        state.token1 = address(uint160(token1));
        state.sqrtPriceX96 = uint160(price);
        state.tick = int24(int256(tick));
        state.liquidity = uint128(liquidity);
        state.fee = uint24(fee);
        state.tickSpacing = int24(int256(spacing));
    }
}

interface IToken {
    function decimals() external view returns (uint8);
    function symbol() external view returns (string memory);
}

/// @notice Decimals and symbols of ERC-20 tokens.
contract TokenReader is Reader {
    struct Token {
        bool ok; // whether `decimals` answered
        uint8 decimals;
        bytes32 symbol; // its first 32 bytes, zero padded; string and bytes32 symbols alike
    }

    /// @dev Answers (uint256 blockNumber, Token[]) in the order asked; 250 tokens fit an answer.
    constructor(address[] memory targets) {
        Token[] memory tokens = new Token[](targets.length);
        for (uint256 i; i < targets.length; ++i) {
            (bool ok, uint256 decimals) = _word(targets[i], IToken.decimals.selector, 8);
            tokens[i] = Token(ok, ok ? uint8(decimals) : 0, _symbol(targets[i]));
        }
        _answer(abi.encode(block.number, tokens));
    }

    function _symbol(address target) private view returns (bytes32) {
        (uint256 size, uint256 word0, uint256 length, uint256 text) =
            _read(target, IToken.symbol.selector);
        if (size == 32) return bytes32(word0); // the oldest tokens: bytes32
        if (size < 96 || word0 != 32 || length == 0) return 0;
        uint256 unused = length < 32 ? 8 * (32 - length) : 0;
        return bytes32(text >> unused << unused);
    }
}
