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
        private
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

/// @notice Initialised ticks of pools of concentrated liquidity, of every form that keeps a bitmap.
contract TickReader is Reader {
    /// @notice Where a pool keeps its ticks, and which words of its bitmap to read.
    struct Query {
        address target; // the pool, or the singleton that it lives in
        bytes4 wordGetter; // of a bitmap word by its int16 position
        bytes4 tickGetter; // of a tick by its int24 number; answers liquidityGross, liquidityNet
        uint256 state; // singleton: slot of the pool's state, and both getters take a slot; else 0
        int24 spacing; // ticks that one bit stands for
        int16 wordFrom;
        int16 wordTo;
    }

    /// @dev Offsets of StateLibrary of Uniswap V4.
    uint256 private constant TICKS_OFFSET = 4;
    uint256 private constant BITMAP_OFFSET = 5;

    /// @dev Words a full bitmap word adds to the answer: its position, itself, 256 ticks.
    uint256 private constant WORST = 258;

    /// @dev EIP-170 in words.
    uint256 private constant MOST = 768;

    /// @dev Gas that must be left before a bitmap word is read, were it full: about 12,000 for each
    /// of 256 ticks, 200 a byte for the answer, and its encoding.
    uint256 private constant RESERVE_GAS = 8_800_000;

    /// @dev Answers words: the block number, then for each query the word to go on with (wordTo + 1
    /// where all are read), how many words follow, and these: position of a bitmap word that is not
    /// 0 (int16 as a two's complement word), its bits, and for each set bit in ascending order
    /// liquidityGross << 128 | uint128(liquidityNet).
    constructor(Query[] memory queries) {
        uint256[] memory found = new uint256[](MOST);
        found[0] = block.number;
        uint256 n = 1;
        for (uint256 i; i < queries.length; ++i) {
            uint256 head = n;
            n += 2;
            // The queries to come have heads, too.
            uint256 most = MOST - 2 * (queries.length - 1 - i);
            (found[head], n) = _ticks(queries[i], found, n, most);
            found[head + 1] = n - head - 2;
        }
        assembly ("memory-safe") {
            return(add(found, 32), mul(n, 32))
        }
    }

    function _ticks(Query memory query, uint256[] memory found, uint256 n, uint256 most)
        private
        view
        returns (uint256 next, uint256)
    {
        int256 position = query.wordFrom;
        for (; position <= query.wordTo; ++position) {
            if (n + WORST > most || gasleft() < RESERVE_GAS) break;
            uint256 bits = _bits(query, position);
            if (bits == 0) continue;
            (found[n], found[n + 1]) = (uint256(position), bits);
            n += 2;
            for (uint256 bit; bit < 256; ++bit) {
                if (bits >> bit & 1 == 0) continue;
                found[n++] = _tick(query, (position * 256 + int256(bit)) * query.spacing);
            }
        }
        return (uint256(position), n);
    }

    function _bits(Query memory query, int256 position) private view returns (uint256 bits) {
        int256 key = query.state == 0 ? position : _slot(position, query.state + BITMAP_OFFSET);
        (bits,) = _readAt(query.target, query.wordGetter, key);
    }

    function _tick(Query memory query, int256 tick) private view returns (uint256) {
        int256 key = query.state == 0 ? tick : _slot(tick, query.state + TICKS_OFFSET);
        (uint256 gross, uint256 net) = _readAt(query.target, query.tickGetter, key);
        // In storage the gross liquidity is the lower half of one word.
        return query.state == 0 ? gross << 128 | uint128(net) : gross << 128 | gross >> 128;
    }

    /// @dev Where a mapping at `slot` keeps `key`.
    function _slot(int256 key, uint256 slot) private pure returns (int256 at) {
        assembly ("memory-safe") {
            mstore(0, key)
            mstore(32, slot)
            at := keccak256(0, 64)
        }
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
