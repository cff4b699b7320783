// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/* INTERFACES: only what is called, as narrow as it is read */

interface IERC20 {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function approve(address spender, uint256 amount) external returns (bool);
}

interface IPool {
    function token0() external view returns (address);
    function token1() external view returns (address);
}

interface IUniswapV2Pair is IPool {
    function getReserves() external view returns (uint112 reserve0, uint112 reserve1);
    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata data) external;
}

interface IUniswapV3Pool is IPool {
    function swap(
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96,
        bytes calldata data
    ) external returns (int256 amount0, int256 amount1);
}

interface IBalancerVault {
    function flashLoan(
        address recipient,
        address[] calldata tokens,
        uint256[] calldata amounts,
        bytes calldata userData
    ) external;
}

interface IAavePool {
    function flashLoanSimple(
        address receiver,
        address asset,
        uint256 amount,
        bytes calldata params,
        uint16 referralCode
    ) external;
}

interface IArbSys {
    function arbBlockNumber() external view returns (uint256);
}

/// @title Executor
/// @notice Lands one cycle of 2-4 swaps in one transaction, or reverts as a whole. Its owner is the
/// only caller; what it earns stays here until the owner withdraws it.
/// @dev A hop is one word: bits 0-159 the pool; 160-183 the fee in pips, 1e-6 of the input (Uniswap
/// V2 kinds only, their pairs do not tell it); 184 zeroForOne; 192-255 the kind, 1 Uniswap V2 or 2
/// Uniswap V3; all 0 where there is none. Amounts are raw token units. Not for tokens that take a fee
/// on transfer.
///
/// Trust: the owner and the two lenders. A pool in `hops` is not trusted: it is paid the input of
/// its own hop, once, whatever it claims or asks, and no token of the cycle may end lower than it
/// began.
contract Executor {
    /* CONSTANTS */

    uint256 private constant KIND_V2 = 1;
    uint256 private constant KIND_V3 = 2;

    uint8 private constant FUNDING_OWN = 0;
    uint8 private constant FUNDING_FLASH_SWAP = 1;
    uint8 private constant FUNDING_BALANCER = 2;
    uint8 private constant FUNDING_AAVE = 3;

    uint256 private constant PIPS = 1e6;

    /// @dev One inside the bounds of TickMath: the widest limits a V3 pool accepts.
    uint160 private constant LOWEST_LIMIT = 4295128740;
    uint160 private constant HIGHEST_LIMIT = 1461446703485210103287273052203988822378723970341;

    /// @dev Precompile of every Arbitrum chain, where `block.number` is an estimate of L1's.
    IArbSys private constant ARB_SYS = IArbSys(address(0x64));

    /* IMMUTABLES */

    /// @notice The only caller of `execute` and `withdraw`.
    address public immutable owner;

    /// @notice The Balancer V2 vault of funding 2, or zero where there is none.
    address public immutable balancerVault;

    /// @notice The Aave V3 pool of funding 3, or zero where there is none.
    address public immutable aavePool;

    bool private immutable onArbitrum;

    /* TRANSIENT STORAGE */

    /// @dev Hash of the one callback that is awaited: caller, selector and data. 0: none.
    bytes32 private transient awaited;

    bool private transient entered;

    /* ERRORS */

    /// @notice The caller is not the owner.
    error NotOwner();
    /// @notice `execute` was called while it ran.
    error Reentered();
    /// @notice The current block is past the deadline.
    error Expired(uint256 blockNumber, uint256 deadline);
    /// @notice The funding is unknown, or its lender was not given at deployment.
    error BadFunding(uint8 funding);
    /// @notice The hop's kind or fee is out of range, or it is missing before another or among the
    /// first two.
    error BadHop(uint256 index);
    /// @notice A V3 pool has no liquidity for the whole input of its hop.
    error PartialFill(address pool, uint256 taken, uint256 amountIn);
    /// @notice Nobody, or somebody else, or another call was awaited.
    error UnexpectedCallback(address caller);
    /// @notice The token refused a transfer, or an approval of the lender `to`. Token 0: native.
    error TransferFailed(address token, address to, uint256 amount);
    /// @notice A hop spent `amount` of an intermediate token that its predecessor had not paid.
    error TokenLost(address token, uint256 amount);
    /// @notice The profit after all fees, 0 where it is a loss, in units of the start token.
    error InsufficientProfit(uint256 profit, uint256 minProfit);

    /* CONSTRUCTOR */

    /// @param vault The Balancer V2 vault, or zero.
    /// @param pool The Aave V3 pool, or zero.
    constructor(address vault, address pool) {
        owner = msg.sender;
        balancerVault = vault;
        aavePool = pool;
        onArbitrum = address(ARB_SYS).code.length != 0;
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    /// @dev Opens only to the awaited caller, function and data, and only once.
    modifier onlyAwaited(bytes calldata data) {
        if (_hash(msg.sender, msg.sig, data) != awaited) revert UnexpectedCallback(msg.sender);
        awaited = 0;
        _;
    }

    /* OWNER FUNCTIONS */

    /// @notice Swaps `amountIn` of `token` through `hops` and keeps what comes back above it.
    /// @dev Few words, for all of them are hashed and written out before the sender can send them.
    /// @param terms Bits 0-159 `token`, which the cycle starts and ends with; 160-167 where `amountIn`
    /// comes from: 0 this contract's balance, 1 the first hop's pool itself (paid last), 2 a Balancer
    /// V2 flash loan, 3 an Aave V3 flash loan; 168-255 the last block to execute in, as the chain's
    /// nodes number blocks.
    /// @param amounts Bits 0-127 the least growth of this contract's balance of `token`, after flash
    /// fees; 128-255 `amountIn`, the input of the first hop.
    /// @param hops The words described at the head of this contract, in order of trading.
    function execute(uint256 terms, uint256 amounts, uint256[4] calldata hops)
        external
        onlyOwner
    {
        if (entered) revert Reentered();
        entered = true;

        uint256 deadline = terms >> 168;
        uint256 current = onArbitrum ? ARB_SYS.arbBlockNumber() : block.number;
        if (current > deadline) revert Expired(current, deadline);

        address token = address(uint160(terms));
        (uint256[] memory trades, address[] memory tokens) = _trades(token, hops);
        uint256[] memory held = new uint256[](tokens.length);
        for (uint256 i; i < tokens.length; ++i) held[i] = _balance(tokens[i]);

        _fund(uint8(terms >> 160), amounts >> 128, tokens, trades);

        // Last, so that nothing can move a balance after it was judged. The start token is held
        // against the balance before, or own funds would pass for profit; the others may not
        // shrink, or a pool that lies about what it paid would spend them in the next hop.
        for (uint256 i = 1; i < tokens.length; ++i) {
            uint256 left = _balance(tokens[i]);
            if (left < held[i]) revert TokenLost(tokens[i], held[i] - left);
        }
        uint256 end = _balance(token);
        uint256 minProfit = uint128(amounts);
        if (end < held[0] + minProfit) {
            revert InsufficientProfit(end > held[0] ? end - held[0] : 0, minProfit);
        }
        entered = false;
    }

    /// @notice Sends `amount` of `token` (zero: the native coin) to `to`.
    function withdraw(address token, uint256 amount, address to) external onlyOwner {
        if (token != address(0)) return _transfer(token, to, amount);
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert TransferFailed(token, to, amount);
    }

    /* CALLBACKS */

    /// @notice The first pair has paid: swap on, then pay it.
    function uniswapV2Call(address sender, uint256 amount0, uint256 amount1, bytes calldata data)
        external
        onlyAwaited(data)
    {
        if (sender != address(this)) revert UnexpectedCallback(msg.sender);
        // A pair calls back whom it pays, so the output is here. One of the amounts is 0.
        _settle(data, amount0 + amount1, false);
    }

    /// @notice The pool has paid: swap on if it is the first of a flash swap, then pay it.
    function uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes calldata data)
        external
        onlyAwaited(data)
    {
        (int256 asked, int256 paid) = amount0Delta > 0
            ? (amount0Delta, amount1Delta)
            : (amount1Delta, amount0Delta);
        (, uint256 amountIn) = abi.decode(data, (address, uint256));
        if (uint256(asked) != amountIn) revert PartialFill(msg.sender, uint256(asked), amountIn);
        _settle(data, uint256(-paid), true);
    }

    /// @notice Balancer has lent: swap, then push the loan and its fee back.
    function receiveFlashLoan(
        address[] calldata,
        uint256[] calldata amounts,
        uint256[] calldata fees,
        bytes calldata data
    ) external onlyAwaited(data) {
        (address[] memory tokens, uint256[] memory hops) = abi.decode(data, (address[], uint256[]));
        _swap(tokens, hops, 0, amounts[0], false);
        _transfer(tokens[0], msg.sender, amounts[0] + fees[0]);
    }

    /// @notice Aave has lent: swap, then let it pull the loan and its premium.
    function executeOperation(
        address asset,
        uint256 amount,
        uint256 premium,
        address initiator,
        bytes calldata data
    ) external onlyAwaited(data) returns (bool) {
        if (initiator != address(this)) revert UnexpectedCallback(msg.sender);
        (address[] memory tokens, uint256[] memory hops) = abi.decode(data, (address[], uint256[]));
        _swap(tokens, hops, 0, amount, false);
        // Exactly what is pulled next: the allowance is 0 before and after.
        _callToken(asset, IERC20.approve.selector, msg.sender, amount + premium);
        return true;
    }

    /* FUNDING */

    /// @dev The hops there are, and the input token of each. Rejects words that mean nothing before
    /// anything is paid.
    function _trades(address token, uint256[4] calldata hops)
        private
        view
        returns (uint256[] memory trades, address[] memory tokens)
    {
        uint256 n = hops[3] != 0 ? 4 : hops[2] != 0 ? 3 : 2;
        trades = new uint256[](n);
        tokens = new address[](n);
        for (uint256 i; i < n; ++i) {
            uint256 hop = hops[i];
            trades[i] = hop;
            tokens[i] = token;
            if ((_kind(hop) != KIND_V2 && _kind(hop) != KIND_V3) || _fee(hop) >= PIPS) {
                revert BadHop(i);
            }
            // The last output needs no look: in any other token it is no profit.
            if (i + 1 < n) {
                token = _zeroForOne(hop) ? IPool(_pool(hop)).token1() : IPool(_pool(hop)).token0();
            }
        }
    }

    function _fund(
        uint8 funding,
        uint256 amountIn,
        address[] memory tokens,
        uint256[] memory hops
    ) private {
        if (funding == FUNDING_OWN) return _swap(tokens, hops, 0, amountIn, false);

        bytes memory route = abi.encode(tokens, hops);
        if (funding == FUNDING_FLASH_SWAP) {
            bytes memory data = abi.encode(tokens[0], amountIn, route);
            if (_kind(hops[0]) == KIND_V2) {
                _swapV2(hops[0], amountIn, address(this), data);
            } else {
                _swapV3(hops, 0, amountIn, data);
            }
        } else if (funding == FUNDING_BALANCER && balancerVault != address(0)) {
            address[] memory asset = new address[](1);
            uint256[] memory amount = new uint256[](1);
            (asset[0], amount[0]) = (tokens[0], amountIn);
            awaited = _hash(balancerVault, this.receiveFlashLoan.selector, route);
            IBalancerVault(balancerVault).flashLoan(address(this), asset, amount, route);
        } else if (funding == FUNDING_AAVE && aavePool != address(0)) {
            awaited = _hash(aavePool, this.executeOperation.selector, route);
            IAavePool(aavePool).flashLoanSimple(address(this), tokens[0], amountIn, route, 0);
        } else {
            revert BadFunding(funding);
        }
    }

    /// @dev What both swap callbacks do. `data` is trusted, its hash was awaited: what is paid is
    /// the input of the hop, never what a caller asks for.
    /// @param received Output of the pool that called.
    /// @param atPair Whether that output went to the next pair.
    function _settle(bytes calldata data, uint256 received, bool atPair) private {
        (address token, uint256 owed, bytes memory route) =
            abi.decode(data, (address, uint256, bytes));
        if (route.length != 0) {
            (address[] memory tokens, uint256[] memory hops) =
                abi.decode(route, (address[], uint256[]));
            _swap(tokens, hops, 1, received, atPair);
        }
        _transfer(token, msg.sender, owed);
    }

    /* SWAPS */

    /// @dev Swaps `amount` through the hops from index `i` on.
    /// @param atPair Whether a V2 pair at index `i` has its input already.
    function _swap(
        address[] memory tokens,
        uint256[] memory hops,
        uint256 i,
        uint256 amount,
        bool atPair
    ) private {
        for (; i < hops.length; ++i) {
            uint256 hop = hops[i];
            if (_kind(hop) == KIND_V2) {
                if (!atPair) _transfer(tokens[i], _pool(hop), amount);
                amount = _swapV2(hop, amount, _recipient(hops, i), "");
            } else {
                amount = _swapV3(hops, i, amount, abi.encode(tokens[i], amount, bytes("")));
            }
            atPair = true;
        }
    }

    /// @dev A pair wants its input before it is called, so the hop before pays it straight.
    function _recipient(uint256[] memory hops, uint256 i) private view returns (address) {
        bool toPair = i + 1 < hops.length && _kind(hops[i + 1]) == KIND_V2;
        return toPair ? _pool(hops[i + 1]) : address(this);
    }

    /// @dev Takes all that the pair's invariant leaves for an input of `amountIn`, rounded down.
    /// @param data Empty, or what the callback of a flash swap gets.
    function _swapV2(uint256 hop, uint256 amountIn, address to, bytes memory data)
        private
        returns (uint256 amountOut)
    {
        IUniswapV2Pair pair = IUniswapV2Pair(_pool(hop));
        bool zeroForOne = _zeroForOne(hop);
        (uint256 reserveIn, uint256 reserveOut) = pair.getReserves();
        if (!zeroForOne) (reserveIn, reserveOut) = (reserveOut, reserveIn);
        uint256 net = amountIn * (PIPS - _fee(hop));
        amountOut = net * reserveOut / (reserveIn * PIPS + net);

        if (data.length != 0) awaited = _hash(address(pair), this.uniswapV2Call.selector, data);
        pair.swap(zeroForOne ? 0 : amountOut, zeroForOne ? amountOut : 0, to, data);
        awaited = 0; // also where the pair never called
    }

    function _swapV3(uint256[] memory hops, uint256 i, uint256 amountIn, bytes memory data)
        private
        returns (uint256 amountOut)
    {
        address pool = _pool(hops[i]);
        bool zeroForOne = _zeroForOne(hops[i]);
        awaited = _hash(pool, this.uniswapV3SwapCallback.selector, data);
        (int256 amount0, int256 amount1) = IUniswapV3Pool(pool).swap(
            _recipient(hops, i),
            zeroForOne,
            int256(amountIn),
            zeroForOne ? LOWEST_LIMIT : HIGHEST_LIMIT,
            data
        );
        awaited = 0; // also where the pool never called
        amountOut = uint256(-(zeroForOne ? amount1 : amount0));
    }

    /* HOP WORDS */

    function _pool(uint256 hop) private pure returns (address) {
        return address(uint160(hop));
    }

    function _fee(uint256 hop) private pure returns (uint256) {
        return uint24(hop >> 160);
    }

    function _zeroForOne(uint256 hop) private pure returns (bool) {
        return hop >> 184 & 1 != 0;
    }

    function _kind(uint256 hop) private pure returns (uint256) {
        return hop >> 192;
    }

    /* TOKENS AND CALLBACK HASH */

    function _balance(address token) private view returns (uint256) {
        return IERC20(token).balanceOf(address(this));
    }

    function _transfer(address token, address to, uint256 amount) private {
        _callToken(token, IERC20.transfer.selector, to, amount);
    }

    /// @dev Calls `transfer` or `approve`. Some tokens return nothing, and an address without code
    /// succeeds at everything.
    function _callToken(address token, bytes4 selector, address to, uint256 amount) private {
        (bool ok, bytes memory result) = token.call(abi.encodeWithSelector(selector, to, amount));
        if (!ok || (result.length == 0 ? token.code.length == 0 : !abi.decode(result, (bool)))) {
            revert TransferFailed(token, to, amount);
        }
    }

    function _hash(address caller, bytes4 selector, bytes memory data)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(caller, selector, data));
    }
}
