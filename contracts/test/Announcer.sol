// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice Emits the log it is told to: a factory whose own code no package has.
contract Announcer {
    function announce(bytes32[] calldata topics, bytes calldata data) external {
        bytes memory copied = data;
        assembly ("memory-safe") {
            let at := add(copied, 32)
            let size := mload(copied)
            let first := topics.offset
            let topic0 := calldataload(first)
            let topic1 := calldataload(add(first, 32))
            let topic2 := calldataload(add(first, 64))
            switch topics.length
            case 3 { log3(at, size, topic0, topic1, topic2) }
            default { log4(at, size, topic0, topic1, topic2, calldataload(add(first, 96))) }
        }
    }
}
