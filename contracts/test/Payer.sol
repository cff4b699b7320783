// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Balances} from "./Tokens.sol";

interface IPair {
    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata data) external;
}

interface IConcentrated {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function swap(address to, bool zeroForOne, int256 amount, uint160 limit, bytes calldata data)
        external
        returns (int256 amount0, int256 amount1);
}

/// @notice An ordinary ERC-20 whose balances anybody may set.
contract PlainToken is Balances {
    uint8 public immutable decimals;
    string public constant symbol = "PLAIN";

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    function set(address of_, uint256 amount) external {
        balanceOf[of_] = amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }
}

/// @notice Swaps on pools directly and pays whatever they ask, with tokens minted for it.
contract Payer {
    uint256 private _paid;

    /// @notice Pays `amountIn` first, then asks for the outputs, as routers do.
    function swapPair(IPair pair, PlainToken input, uint256 amountIn, uint256 out0, uint256 out1)
        external
    {
        input.mint(address(pair), amountIn);
        pair.swap(out0, out1, address(this), "");
    }

    /// @notice Any call, from here; what asks for tokens in a callback gets them.
    function forward(address to, bytes calldata data) external returns (bytes memory result) {
        bool ok;
        (ok, result) = to.call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
    }

    /// @return paid tokens that went to the pool
    /// @return received tokens that came from it, by the balance of this contract
    function swap(IConcentrated pool, bool zeroForOne, int256 amount, uint160 limit)
        external
        returns (uint256 paid, uint256 received)
    {
        PlainToken output = PlainToken(zeroForOne ? pool.token1() : pool.token0());
        uint256 before = output.balanceOf(address(this));
        _paid = 0;
        pool.swap(address(this), zeroForOne, amount, limit, "");
        return (_paid, output.balanceOf(address(this)) - before);
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        _paySwap(amount0, amount1);
    }

    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        _pay(amount0, amount1);
    }

    function pancakeV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        _paySwap(amount0, amount1);
    }

    function pancakeV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        _pay(amount0, amount1);
    }

    function algebraSwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        _paySwap(amount0, amount1);
    }

    function algebraMintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        _pay(amount0, amount1);
    }

    function _paySwap(int256 amount0, int256 amount1) private {
        _pay(amount0 > 0 ? uint256(amount0) : 0, amount1 > 0 ? uint256(amount1) : 0);
    }

    function _pay(uint256 amount0, uint256 amount1) private {
        IConcentrated pool = IConcentrated(msg.sender);
        if (amount0 != 0) PlainToken(pool.token0()).mint(msg.sender, amount0);
        if (amount1 != 0) PlainToken(pool.token1()).mint(msg.sender, amount1);
        _paid = amount0 + amount1;
    }
}
