// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {PlainToken} from "./Payer.sol";

struct PoolKey {
    address currency0;
    address currency1;
    uint24 fee;
    int24 tickSpacing;
    address hooks;
}

interface IPoolManager {
    struct ModifyLiquidityParams {
        int24 tickLower;
        int24 tickUpper;
        int256 liquidityDelta;
        bytes32 salt;
    }

    struct SwapParams {
        bool zeroForOne;
        int256 amountSpecified;
        uint160 sqrtPriceLimitX96;
    }

    function unlock(bytes calldata data) external returns (bytes memory);
    function modifyLiquidity(PoolKey memory key, ModifyLiquidityParams memory params, bytes calldata)
        external
        returns (int256 delta, int256 fees);
    function swap(PoolKey memory key, SwapParams memory params, bytes calldata)
        external
        returns (int256 delta);
    function sync(address currency) external;
    function settle() external payable returns (uint256);
    function take(address currency, address to, uint256 amount) external;
}

/// @notice Pays the PoolManager whatever is owed: plain tokens minted for it, ether of its own.
contract V4Payer {
    IPoolManager private immutable _manager;
    uint256 private _paid;

    constructor(IPoolManager manager) {
        _manager = manager;
    }

    receive() external payable {}

    function modifyLiquidity(PoolKey calldata key, IPoolManager.ModifyLiquidityParams calldata what)
        external
    {
        _manager.unlock(abi.encode(false, key, abi.encode(what)));
    }

    /// @return paid what the manager got
    /// @return received what it sent, by the balance of this contract
    function swap(PoolKey calldata key, IPoolManager.SwapParams calldata what)
        external
        returns (uint256 paid, uint256 received)
    {
        address output = what.zeroForOne ? key.currency1 : key.currency0;
        uint256 before = _balance(output);
        _paid = 0;
        _manager.unlock(abi.encode(true, key, abi.encode(what)));
        return (_paid, _balance(output) - before);
    }

    function unlockCallback(bytes calldata data) external returns (bytes memory) {
        (bool swaps, PoolKey memory key, bytes memory params) =
            abi.decode(data, (bool, PoolKey, bytes));
        int256 delta;
        if (swaps) {
            delta = _manager.swap(key, abi.decode(params, (IPoolManager.SwapParams)), "");
        } else {
            (delta,) = _manager.modifyLiquidity(
                key, abi.decode(params, (IPoolManager.ModifyLiquidityParams)), ""
            );
        }
        _clear(key.currency0, delta >> 128);
        _clear(key.currency1, int128(delta));
        return "";
    }

    function _clear(address currency, int256 delta) private {
        if (delta > 0) _manager.take(currency, address(this), uint256(delta));
        if (delta >= 0) return;
        uint256 owed = uint256(-delta);
        _paid += owed;
        if (currency == address(0)) {
            _manager.settle{value: owed}();
            return;
        }
        _manager.sync(currency);
        PlainToken(currency).mint(address(_manager), owed);
        _manager.settle();
    }

    function _balance(address currency) private view returns (uint256) {
        if (currency == address(0)) return address(this).balance;
        return PlainToken(currency).balanceOf(address(this));
    }
}
