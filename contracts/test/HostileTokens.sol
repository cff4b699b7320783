// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/* Tokens for the token filter: honest ones, and one for each way not to be. */

contract HonestToken {
    mapping(address => uint256) internal held;
    mapping(address => mapping(address => uint256)) public allowance;

    function balanceOf(address account) public view virtual returns (uint256) {
        return held[account];
    }

    function mint(address to, uint256 amount) external virtual {
        held[to] += amount;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount)
        external
        virtual
        returns (bool)
    {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external virtual returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        held[from] -= amount;
        held[to] += amount;
    }
}

/// @notice Its name and symbol are no strings, as MKR's.
contract Bytes32Token is HonestToken {
    uint8 public constant decimals = 18;
    bytes32 public constant symbol = "MKR";
    bytes32 public constant name = "Maker";
}

interface ILikePair {
    function token0() external view returns (address);
    function sync() external;
}

/* FEES AND ROUNDING */

/// @notice Takes 1 % where it is told to.
contract FeeToken is HonestToken {
    address public pool; // zero: every address is one
    bool public buying;
    bool public selling;
    uint256 public threshold;
    bool public onTop;

    function set(
        address pool_,
        bool buying_,
        bool selling_,
        uint256 threshold_,
        bool onTop_
    ) external {
        (pool, buying, selling, threshold, onTop) = (pool_, buying_, selling_, threshold_, onTop_);
    }

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        bool any = pool == address(0);
        bool taxed = buying && (any || from == pool) || selling && (any || to == pool);
        if (taxed && amount > threshold) super._move(onTop ? from : to, address(this), amount / 100);
    }
}

/// @notice Takes 1 % from whoever pays a contract that answers as a pair.
contract AskingToken is HonestToken {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        (bool ok, bytes memory answer) = to.staticcall(abi.encodeCall(ILikePair.token0, ()));
        if (ok && answer.length == 32) super._move(to, address(this), amount / 100);
    }
}

/// @notice Takes 1 % where gas has a price and the call comes from somebody.
contract TwoFacedToken is HonestToken {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        bool watched = tx.gasprice < block.basefee || tx.gasprice == 0 || tx.origin == address(0)
            || tx.origin.balance == 0;
        if (!watched) super._move(to, address(this), amount / 100);
    }
}

/// @notice Takes 1 % of `transferFrom` alone.
contract PullFeeToken is HonestToken {
    function transferFrom(address from, address to, uint256 amount)
        external
        override
        returns (bool)
    {
        _move(from, to, amount - amount / 100);
        _move(from, address(this), amount / 100);
        return true;
    }
}

/// @notice Gives more than was sent.
contract GivingToken is HonestToken {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        held[to] += amount / 50;
    }
}

/// @notice Keeps shares of 1.1 units each and moves whole ones, as stETH: off by a unit or two.
contract SharesToken is HonestToken {
    function balanceOf(address account) public view override returns (uint256) {
        return held[account] * 11 / 10;
    }

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount * 10 / 11);
    }
}

/// @notice Every balance grows by 1 % a year, as an aToken's.
contract GrowingToken is HonestToken {
    function balanceOf(address account) public view override returns (uint256) {
        return held[account] * _index() / 1e18;
    }

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, (amount * 1e18 + _index() - 1) / _index());
    }

    function _index() private view returns (uint256) {
        return 1e18 + block.timestamp * 1e16 / 365 days;
    }
}

/* REFUSALS */

/// @notice Refuses each transfer in the way it is told.
contract PausedToken is HonestToken {
    uint256 public way;

    error EnforcedPause();

    function setWay(uint256 way_) external {
        way = way_;
    }

    function _move(address, address, uint256) internal view override {
        if (way == 0) revert("Pausable: paused");
        if (way == 1) revert EnforcedPause();
        if (way == 2) revert();
        if (way == 3) assert(false);
        if (way == 4) revert("\x1b[2J\nall is well");
        if (way == 5) revert(string(new bytes(100_000)));
    }
}

/// @notice Blocks who it is told to block, or whoever has code.
contract BlockingToken is HonestToken {
    mapping(address => bool) public blockedTo;
    mapping(address => bool) public blockedFrom;
    address public pool; // not zero: contracts but this one are blocked

    function blockTo(address account) external {
        blockedTo[account] = true;
    }

    function blockFrom(address account) external {
        blockedFrom[account] = true;
    }

    function blockContractsBut(address pool_) external {
        pool = pool_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        require(!blockedTo[to] && !blockedFrom[from], "blacklisted");
        require(pool == address(0) || to == pool || to.code.length == 0, "no contracts");
        super._move(from, to, amount);
    }
}

/// @notice A transfer moves at most a hundredth of what was minted.
contract MostToken is HonestToken {
    uint256 public supply;

    function mint(address to, uint256 amount) external override {
        held[to] += amount;
        supply += amount;
    }

    function _move(address from, address to, uint256 amount) internal override {
        require(amount <= supply / 100, "exceeds the maxTxAmount");
        super._move(from, to, amount);
    }
}

/// @notice Whoever received in a block receives no more in it.
contract CooldownToken is HonestToken {
    mapping(address => uint256) public lastReceived;

    function _move(address from, address to, uint256 amount) internal override {
        require(lastReceived[to] != block.number, "cooldown");
        lastReceived[to] = block.number;
        super._move(from, to, amount);
    }
}

/// @notice Knows no approvals.
contract UnapprovedToken is HonestToken {
    function approve(address, uint256) external pure override returns (bool) {
        return false;
    }
}

/* LIES */

/// @notice Says true and moves nothing.
contract LyingToken is HonestToken {
    function _move(address, address, uint256) internal override { }
}

/// @notice Moves and says false, or 2, or more than a word.
contract OddReturnToken is HonestToken {
    uint256 public size;
    uint256 public word;

    function set(uint256 size_, uint256 word_) external {
        (size, word) = (size_, word_);
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        (uint256 size_, uint256 word_) = (size, word);
        assembly {
            mstore(0, word_)
            return(0, size_)
        }
    }
}

/// @notice The same balance for everybody.
contract FlatToken is HonestToken {
    function balanceOf(address) public pure override returns (uint256) {
        return 1e24;
    }
}

/* ATTACKS ON WHO ASKS */

/// @notice Burns all the gas it gets, in balanceOf too where it is told so.
contract BurningToken is HonestToken {
    bool public always;

    function setAlways() external {
        always = true;
    }

    function balanceOf(address account) public view override returns (uint256) {
        if (always) _burn();
        return held[account];
    }

    function _move(address, address, uint256) internal view override {
        _burn();
    }

    function _burn() private view {
        assembly {
            if gas() { invalid() }
        }
    }
}

/// @notice Exact, at a price: so many storage words are written for each transfer.
contract HeavyToken is HonestToken {
    uint256[] public notes;
    uint256 public count;

    function setCount(uint256 count_) external {
        count = count_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        for (uint256 i; i < count; ++i) {
            notes.push(amount);
        }
    }
}

/// @notice Answers balanceOf with 200,000 bytes, the right balance in front.
contract BombToken is HonestToken {
    function balanceOf(address account) public view override returns (uint256) {
        uint256 amount = held[account];
        assembly {
            mstore(0, amount)
            return(0, 200000)
        }
    }
}

/// @notice Ends itself in the middle of a transfer.
contract EndingToken is HonestToken {
    address private immutable end;

    constructor() {
        address made;
        assembly {
            mstore(0, 0x6133ff6000526002601ef3) // deploys CALLER SELFDESTRUCT
            made := create(0, 21, 11)
        }
        end = made;
    }

    function _move(address, address, uint256) internal override {
        (bool ok,) = end.delegatecall("");
        require(ok);
    }
}

/// @notice Calls the receiver or the sender of each transfer with the data it is told, and does
/// not mind the answer.
contract CallingToken is HonestToken {
    bool public receiver;
    bool public sender;
    bytes public data;

    function set(bool receiver_, bool sender_, bytes calldata data_) external {
        (receiver, sender, data) = (receiver_, sender_, data_);
    }

    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        bool ok;
        if (receiver) (ok,) = to.call(data);
        if (sender) (ok,) = from.call(data);
    }
}

/// @notice Reads the probe's address from the code of who pays, and has it run anew. Refuses where
/// that works.
contract EnteringToken is HonestToken {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        bytes memory code = from.code;
        address probe;
        assembly ("memory-safe") {
            probe := mload(sub(add(add(code, 32), mload(code)), 64))
        }
        require(probe.code.length != 0, "no probe");
        (bool ok,) = probe.call(
            abi.encodeWithSignature(
                "run(address,address,address,uint256,bool[],bytes[])",
                this, from, to, 1, new bool[](0), new bytes[](0)
            )
        );
        require(!ok, "entered");
    }
}
