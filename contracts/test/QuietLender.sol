// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {QuietToken} from "Tokens.sol";

interface IBorrower {
    function receiveFlashLoan(
        address[] calldata tokens,
        uint256[] calldata amounts,
        uint256[] calldata fees,
        bytes calldata data
    ) external;
    function executeOperation(
        address asset,
        uint256 amount,
        uint256 premium,
        address initiator,
        bytes calldata data
    ) external returns (bool);
}

/// @notice Lends a QuietToken as the Balancer vault does (fee 1) and as the Aave pool does (fee 2).
contract QuietLender {
    function flashLoan(
        address recipient,
        address[] calldata tokens,
        uint256[] calldata amounts,
        bytes calldata data
    ) external {
        QuietToken token = QuietToken(tokens[0]);
        uint256 held = token.balanceOf(address(this));
        uint256[] memory fees = new uint256[](1);
        fees[0] = 1;
        token.transfer(recipient, amounts[0]);
        IBorrower(recipient).receiveFlashLoan(tokens, amounts, fees, data);
        require(token.balanceOf(address(this)) == held + 1);
    }

    function flashLoanSimple(
        address receiver,
        address asset,
        uint256 amount,
        bytes calldata params,
        uint16
    ) external {
        QuietToken token = QuietToken(asset);
        token.transfer(receiver, amount);
        require(IBorrower(receiver).executeOperation(asset, amount, 2, msg.sender, params));
        token.transferFrom(receiver, address(this), amount + 2);
    }
}
