// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

abstract contract Balances {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 amount);

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function _move(address from, address to, uint256 amount) internal {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// @notice Like USDT on Ethereum: returns nothing, and changes an allowance only from or to zero.
contract QuietToken is Balances {
    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
    }

    function approve(address spender, uint256 amount) external {
        require(amount == 0 || allowance[msg.sender][spender] == 0);
        allowance[msg.sender][spender] = amount;
    }
}

/// @notice Calls `hook.onTransfer()` in the middle of each transfer, as ERC-777 tokens can.
contract HookToken is Balances {
    address public hook;

    function setHook(address to) external {
        hook = to;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        if (hook != address(0)) {
            (bool ok, bytes memory result) = hook.call(abi.encodeWithSignature("onTransfer()"));
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(result, 32), mload(result))
                }
            }
        }
        return true;
    }
}

/// @notice Says false where others revert.
contract RefusingToken is Balances {
    function transfer(address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @notice A symbol that is no string, as MKR's, and one that burns all the gas it gets.
contract OddSymbol {
    function decimals() external pure returns (uint8) {
        return 18;
    }

    function symbol() external pure returns (bytes32) {
        return "MKR";
    }
}

contract GasBurner {
    fallback() external {
        assembly {
            invalid()
        }
    }
}

/// @notice A symbol of 36 bytes.
contract LongSymbol {
    uint8 public constant decimals = 6;
    string public constant symbol = "0123456789abcdefghijklmnopqrstuvwxyz";
}
