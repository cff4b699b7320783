// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Announcer} from "./Announcer.sol";

/// @notice Answers calls as they were recorded, each by its whole calldata; reverts on any other.
contract Recorded is Announcer {
    mapping(bytes32 => bytes) private _answers;

    function record(bytes[] calldata asked, bytes[] calldata answers) external {
        for (uint256 i; i < asked.length; ++i) {
            _answers[keccak256(asked[i])] = answers[i];
        }
    }

    /// @notice Several calls of its own in one transaction.
    function batch(bytes[] calldata calls) external {
        for (uint256 i; i < calls.length; ++i) {
            (bool success,) = address(this).delegatecall(calls[i]);
            require(success);
        }
    }

    fallback(bytes calldata) external returns (bytes memory answer) {
        answer = _answers[keccak256(msg.data)];
        require(answer.length != 0, "not recorded");
    }
}
