// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice Plays any part that a test writes: a pool, a lender, a token's hook, an owner.
/// @dev Answers every selector it was taught, after making the calls that belong to it.
contract Puppet {
    struct Call {
        address to;
        bytes data;
        bool must; // whether its failure is passed on; else it is kept in `refusals`
    }

    mapping(bytes4 => bytes) private answers;
    mapping(bytes4 => Call[]) private scripts;

    /// @notice Revert data of calls that were allowed to fail and did.
    bytes[] public refusals;

    function teach(bytes4 selector, bytes calldata answer, Call[] calldata script) external {
        answers[selector] = answer;
        delete scripts[selector];
        for (uint256 i; i < script.length; ++i) scripts[selector].push(script[i]);
    }

    function create(bytes memory code) external returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        require(made != address(0));
    }

    function act(address to, bytes calldata data) external {
        (bool ok, bytes memory result) = to.call(data);
        if (!ok) _fail(result);
    }

    function count() external view returns (uint256) {
        return refusals.length;
    }

    fallback() external {
        Call[] storage script = scripts[msg.sig];
        for (uint256 i; i < script.length; ++i) {
            (bool ok, bytes memory result) = script[i].to.call(script[i].data);
            if (ok) continue;
            if (script[i].must) _fail(result);
            refusals.push(result);
        }
        bytes memory answer = answers[msg.sig];
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }

    function _fail(bytes memory result) private pure {
        assembly ("memory-safe") {
            revert(add(result, 32), mload(result))
        }
    }
}
