// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice Answers a reader as a V3 pool of spacing 10 in which every tick is initialised.
contract DensePool {
    address public constant token0 = address(1);
    address public constant token1 = address(2);
    uint24 public constant fee = 500;
    int24 public constant tickSpacing = 10;
    uint128 public constant liquidity = 1;

    function slot0() external pure returns (uint160, int24, uint16, uint16, uint16, uint8, bool) {
        return (1 << 96, 0, 0, 1, 1, 0, true);
    }

    function tickBitmap(int16) external pure returns (uint256) {
        return type(uint256).max;
    }

    function ticks(int24) external pure returns (uint128 gross, int128 net) {
        return (7, -5);
    }
}
