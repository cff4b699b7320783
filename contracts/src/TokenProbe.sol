// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Reader} from "PoolReader.sol";

/* How a token moves, measured by one `eth_call` a pool and never deployed. State overrides put
 * `TokenHand` at a real holder of the token (a pool) and at a receiver, and `TokenProbe` at an
 * address of its own: so the balance that is moved is a true one, the token sees the addresses
 * that it sees in a trade, and nobody guesses where a token keeps its balances.
 *
 * The token may be anything. What is called is capped in gas, what it returns is cut off, the one
 * entry that changes state cannot be entered by it, and each call of one token is an `eth_call`
 * of its own. Nothing here judges: it measures, and mevfast/dex/token_moves.py judges.
 */

interface IBalance {
    function balanceOf(address account) external view returns (uint256);
}

/// @title TokenHand
/// @notice Moves tokens for the probe from the address where it is put; to everybody else it is
/// what stood there before.
/// @dev Whoever puts it there appends two words to the code: the probe's address, and an address
/// that has the code which stood here, or none. Immutables would need a deployment.
///
/// Called by the probe with target ++ gas ++ data, it calls and answers ok ++ gas used ++ size of
/// the return data ++ its first bytes; called without data, whether a stranger has called so far.
contract TokenHand {
    /// @dev Storage word of the note that a stranger called in a way that may change state. Far
    /// from what a pool stores: keccak256("mevfast.TokenHand.called").
    uint256 private constant CALLED =
        0xbe3ae6c469e57c2eca7d07e1cbd2bde620b3f599760aec5ab03d2eeabba42c9a;

    /// @dev Storing the note takes 22,100.
    uint256 private constant NOTE_GAS = 30_000;

    /// @dev Enough for the words of a reason.
    uint256 private constant MOST_RETURNED = 260;

    fallback() external payable {
        assembly {
            codecopy(0, sub(codesize(), 64), 64)
            let probe := mload(0)
            let before := mload(32)

            if eq(caller(), probe) {
                if iszero(calldatasize()) {
                    mstore(0, sload(CALLED))
                    return(0, 32)
                }
                let length := sub(calldatasize(), 64)
                calldatacopy(0, 64, length)
                let gasBefore := gas()
                let ok := call(calldataload(32), calldataload(0), 0, 0, length, 0, 0)
                mstore(32, sub(gasBefore, gas()))
                mstore(0, ok)
                mstore(64, returndatasize())
                let kept := returndatasize()
                if gt(kept, MOST_RETURNED) { kept := MOST_RETURNED }
                returndatacopy(96, 0, kept)
                return(0, add(96, kept))
            }

            // Its own call, just below.
            if and(eq(caller(), address()), and(eq(calldatasize(), 32), eq(calldataload(0), probe)))
            {
                sstore(CALLED, 1)
                stop()
            }
            // Fails inside a static call, which is as it should be: a look changes nothing.
            mstore(0, probe)
            pop(call(NOTE_GAS, address(), 0, 0, 32, 0, 0))

            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), before, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(ok) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }
}

/// @title TokenProbe
/// @notice Has two hands move a token, and reads both balances after each move.
contract TokenProbe is Reader {
    /// @notice `ok` says whether `balanceOf` answered.
    struct Balance {
        bool ok;
        uint256 amount;
    }

    /// @notice What a move did; the balances are those after it.
    struct Result {
        bool ok;
        bool holderCalled; // whether the token, or who it called, has called the holder so far
        bool receiverCalled;
        uint256 gasUsed;
        uint256 size; // bytes returned
        bytes head; // the first of them
        Balance holder;
        Balance receiver;
    }

    /// @dev For two balances, and for what this contract itself does between two moves.
    uint256 private constant RESERVE_GAS = 600_000;

    /// @notice Balances of `tokens[i]` that `holders[i]` has. `codes[i]` says whether there is a
    /// contract at the token's address, `timestamp` whether the node takes block overrides.
    function read(address[] calldata tokens, address[] calldata holders)
        external
        view
        returns (uint256 timestamp, bool[] memory codes, Balance[] memory balances)
    {
        codes = new bool[](tokens.length);
        balances = new Balance[](tokens.length);
        for (uint256 i; i < tokens.length; ++i) {
            codes[i] = tokens[i].code.length != 0;
            balances[i] = _balance(tokens[i], holders[i]);
        }
        timestamp = block.timestamp;
    }

    /// @notice Makes the moves in turn, each with at most `gasCap`, and stops after the first that
    /// fails, or before one that the gas left might not last for.
    /// @param backs Whether the receiver makes the move, else the holder.
    /// @param moves What each calls the token with.
    /// @return holderBefore Balance of the holder before the first move.
    /// @return receiverBefore That of the receiver.
    /// @return results One for each move that was made.
    function run(
        address token,
        address holder,
        address receiver,
        uint256 gasCap,
        bool[] calldata backs,
        bytes[] calldata moves
    )
        external
        returns (
            Balance memory holderBefore,
            Balance memory receiverBefore,
            Result[] memory results
        )
    {
        require(msg.sender == tx.origin); // not the token, in the middle of a move
        holderBefore = _balance(token, holder);
        receiverBefore = _balance(token, receiver);
        results = new Result[](moves.length);
        uint256 n;
        while (n < moves.length && gasleft() > gasCap + gasCap / 16 + RESERVE_GAS) {
            Result memory result = results[n];
            _move(result, backs[n] ? receiver : holder, token, gasCap, moves[n]);
            ++n;
            result.holder = _balance(token, holder);
            result.receiver = _balance(token, receiver);
            result.holderCalled = _called(holder);
            result.receiverCalled = _called(receiver);
            if (!result.ok || !result.holder.ok || !result.receiver.ok) break;
        }
        assembly ("memory-safe") {
            mstore(results, n)
        }
    }

    function _move(
        Result memory result,
        address hand,
        address token,
        uint256 gasCap,
        bytes calldata data
    ) private {
        (bool handed, bytes memory answer) =
            hand.call(abi.encodePacked(abi.encode(token, gasCap), data));
        require(handed && answer.length >= 96);
        uint256 size = answer.length - 96;
        uint256 ok;
        (ok, result.gasUsed, result.size) = abi.decode(answer, (uint256, uint256, uint256));
        result.ok = ok != 0;
        // What is left of the answer, in place.
        assembly ("memory-safe") {
            let head := add(answer, 96)
            mstore(head, size)
            mstore(add(result, 160), head)
        }
    }

    function _called(address hand) private returns (bool) {
        (bool handed, bytes memory answer) = hand.call("");
        require(handed && answer.length == 32);
        return abi.decode(answer, (uint256)) != 0;
    }

    function _balance(address token, address account) private view returns (Balance memory) {
        (uint256 size, uint256 amount,,) =
            _call(token, IBalance.balanceOf.selector, 36, int256(uint256(uint160(account))));
        return Balance(size >= 32, amount);
    }
}
