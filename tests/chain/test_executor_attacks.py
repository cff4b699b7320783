"""Nobody but the owner moves the executor, and no pool or token takes more than its own trade.

`Puppet` plays the villain: a pool, a token's hook, a lender or an owner that answers and calls what
the test wrote. A refused call that the villain survives is kept in its `refusals`.
"""

from collections.abc import Sequence

import pytest
from eth_abi.abi import decode, encode
from executor_stage import (
    AAVE,
    BALANCER,
    FLASH_SWAP,
    OWN,
    OWNER,
    STRANGER,
    WETH_UNIT,
    Stage,
    calldata,
    execute_data,
    hop_word,
    reason,
    route_data,
    selector,
    stage,
    swap_data,
    theatre,
)

from mevfast.execution.artifacts import load

__all__ = ["stage", "theatre"]  # fixtures

pytestmark = pytest.mark.devnet

V2_SWAP = "swap(uint256,uint256,address,bytes)"
V3_SWAP = "swap(address,bool,int256,uint160,bytes)"
AMOUNT = WETH_UNIT // 10
CLAIM = 10**9
"""USDC that a villain says it paid: 1,000 for 0.1 WETH."""


class Villain:
    """A Puppet, taught in Python: its script is (address, call data, must succeed)."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.address = stage.create_prop("Puppet").lower()

    def teach(
        self, signature: str, answer: bytes = b"", script: Sequence[tuple[str, bytes, bool]] = ()
    ) -> None:
        types = ("bytes4", "bytes", "(address,bytes,bool)[]")
        data = encode(types, [selector(signature), answer, script])
        self.stage.send(self.address, selector(f"teach({','.join(types)})") + data, STRANGER)

    def play_pool(self, token0: str, token1: str) -> None:
        """Answers what both kinds of pool are asked before a swap."""
        self.teach("token0()", encode(["address"], [token0]))
        self.teach("token1()", encode(["address"], [token1]))
        self.teach("getReserves()", encode(["uint112", "uint112"], [10**18, 10**10]))

    def refusals(self) -> list[str]:
        count = self.stage.read(self.address, "count()", ["uint256"])
        kept = (
            self.stage.read(self.address, "refusals(uint256)", ["bytes"], index)
            for index in range(count)
        )
        return [reason(data) for data in kept]


def v2_callback(sender: str, amount0: int, amount1: int, data: bytes) -> bytes:
    return calldata("uniswapV2Call(address,uint256,uint256,bytes)", sender, amount0, amount1, data)


def v3_callback(delta0: int, delta1: int, data: bytes) -> bytes:
    return calldata("uniswapV3SwapCallback(int256,int256,bytes)", delta0, delta1, data)


def balancer_callback(token: str, amount: int, data: bytes) -> bytes:
    signature = "receiveFlashLoan(address[],uint256[],uint256[],bytes)"
    return calldata(signature, [token], [amount], [0], data)


def aave_callback(token: str, amount: int, initiator: str, data: bytes) -> bytes:
    signature = "executeOperation(address,uint256,uint256,address,bytes)"
    return calldata(signature, token, amount, 0, initiator, data)


def every_callback(executor: str, token: str, data: bytes) -> list[bytes]:
    """The four callbacks as a pool or lender in good standing would make them."""
    return [
        v2_callback(executor, 0, CLAIM, data),
        v3_callback(AMOUNT, -CLAIM, data),
        balancer_callback(token, AMOUNT, data),
        aave_callback(token, AMOUNT, executor, data),
    ]


def unexpected(caller: str) -> str:
    return f"UnexpectedCallback(caller={caller.lower()})"


class Scene:
    """WETH -> villain -> USDC -> a real V3 pool -> WETH, before an executor worth robbing."""

    def __init__(self, stage: Stage, kind: int = 2) -> None:
        self.weth, self.usdc = stage.address("WETH"), stage.address("USDC")
        self.executor = stage.executor()
        stage.give(self.weth, self.executor, 100 * WETH_UNIT)
        stage.give(self.usdc, self.executor, 100_000 * 10**6)
        self.villain = Villain(stage)
        self.villain.play_pool(self.weth, self.usdc)
        self.pool = stage.pools("WETH", "USDC", "uniswap_v3")[0]
        self.tokens = [self.weth, self.usdc]
        self.hops = [
            hop_word(self.villain.address, kind, True, 3000 if kind == 1 else 0),
            hop_word(self.pool.address, 2, self.usdc == self.pool.token0),
        ]
        self.plain = swap_data(self.weth, AMOUNT)
        self.flash = swap_data(self.weth, AMOUNT, route_data(self.tokens, self.hops))

    def execute(self, funding: int = OWN, min_profit: int = 0) -> bytes:
        """The owner's mistake."""
        return execute_data(self.weth, AMOUNT, self.hops, funding=funding, min_profit=min_profit)

    def swaps(self, *script: tuple[str, bytes], paid: int = CLAIM) -> None:
        """Teaches the villain its swap: calls that must succeed, then a V3 pool's answer."""
        answer = encode(["int256", "int256"], [AMOUNT, -paid])
        for signature in (V2_SWAP, V3_SWAP):
            self.villain.teach(signature, answer, [(to, data, True) for to, data in script])


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return Scene(stage)


# ---- strangers ----


def test_a_stranger_cannot_execute(stage: Stage, scene: Scene) -> None:
    for funding in (OWN, FLASH_SWAP, BALANCER, AAVE):
        data = scene.execute(funding)
        assert reason(stage.refusal(scene.executor, data, STRANGER)) == "NotOwner()"


def test_nobody_calls_back_unasked(stage: Stage, scene: Scene) -> None:
    """Not a stranger, not the owner, not a real pool, not even the lenders."""
    lenders = [stage.market.balancer_vault, stage.market.aave_pool]
    for caller in (STRANGER, OWNER, scene.pool.address, *lenders):
        stage.node.rpc("anvil_impersonateAccount", caller)
        stage.node.rpc("anvil_setBalance", caller, hex(10**20))
        for data in (b"", scene.plain, scene.flash, route_data(scene.tokens, scene.hops)):
            for attack in every_callback(scene.executor, scene.weth, data):
                refused = stage.refusal(scene.executor, attack, caller)
                assert reason(refused) == unexpected(caller)


def test_a_stranger_cannot_borrow_for_the_executor(stage: Stage, scene: Scene) -> None:
    route = route_data(scene.tokens, scene.hops)
    signature = "flashLoan(address,address[],uint256[],bytes)"
    borrow = calldata(signature, scene.executor, [scene.weth], [AMOUNT], route)
    vault = stage.market.balancer_vault
    assert reason(stage.refusal(vault, borrow, STRANGER)) == unexpected(vault)
    signature = "flashLoanSimple(address,address,uint256,bytes,uint16)"
    borrow = calldata(signature, scene.executor, scene.weth, AMOUNT, route, 0)
    aave = stage.market.aave_pool
    assert reason(stage.refusal(aave, borrow, STRANGER)) == unexpected(aave)


def test_a_stranger_cannot_flash_swap_for_the_executor(stage: Stage, scene: Scene) -> None:
    pair = stage.pools("WETH", "USDC", "uniswap_v2")[0].address
    swap = calldata(V2_SWAP, 0, 1000, scene.executor, scene.flash)
    assert reason(stage.refusal(pair, swap, STRANGER)) == unexpected(pair)


# ---- a pool in the hops that is none ----


def test_a_fake_pool_takes_its_own_trade_and_no_more(stage: Stage, scene: Scene) -> None:
    """The measure of what follows: one that pays what it says gets its input, once."""
    stage.give(scene.usdc, scene.villain.address, CLAIM)
    pay = (scene.usdc, calldata("transfer(address,uint256)", scene.executor, CLAIM))
    call = (scene.executor, v3_callback(AMOUNT, -CLAIM, scene.plain))
    scene.swaps(pay, call)
    held = [stage.balance(token, scene.executor) for token in scene.tokens]
    earned = stage.quote(scene.pool, scene.usdc, CLAIM)
    stage.send(scene.executor, scene.execute(min_profit=earned - AMOUNT))
    assert stage.balance(scene.weth, scene.villain.address) == AMOUNT
    assert stage.balance(scene.weth, scene.executor) == held[0] + earned - AMOUNT
    assert stage.balance(scene.usdc, scene.executor) == held[1]


def test_a_fake_pool_calls_back_only_as_awaited(stage: Stage, scene: Scene) -> None:
    """Another function or other data, while the villain itself is awaited."""
    greedy = swap_data(scene.weth, 100 * WETH_UNIT)
    other = swap_data(scene.usdc, AMOUNT)
    attacks = every_callback(scene.executor, scene.weth, scene.plain)
    del attacks[1]  # the awaited one
    for data in (greedy, other, scene.flash, b""):
        attacks += every_callback(scene.executor, scene.weth, data)
    for attack in attacks:
        scene.swaps((scene.executor, attack))
        refused = reason(stage.refusal(scene.executor, scene.execute()))
        assert refused == unexpected(scene.villain.address)


@pytest.mark.parametrize("funding", [OWN, FLASH_SWAP])
def test_a_fake_pool_is_paid_once(stage: Stage, scene: Scene, funding: int) -> None:
    data = scene.flash if funding == FLASH_SWAP else scene.plain
    stage.give(scene.usdc, scene.villain.address, CLAIM)
    pay = (scene.usdc, calldata("transfer(address,uint256)", scene.executor, CLAIM))
    call = (scene.executor, v3_callback(AMOUNT, -CLAIM, data))
    scene.swaps(pay, call, call)
    refused = reason(stage.refusal(scene.executor, scene.execute(funding)))
    assert refused == unexpected(scene.villain.address)


def test_a_fake_pool_is_not_paid_after_its_turn(stage: Stage, scene: Scene) -> None:
    """It lets its own callback pass and tries when the next pool, an accomplice, has its turn."""
    late = v3_callback(AMOUNT, -CLAIM, scene.plain)
    scene.swaps()
    scene.villain.teach("strike()", b"", [(scene.executor, late, False)])
    accomplice = Villain(stage)
    accomplice.play_pool(scene.weth, scene.usdc)
    stage.give(scene.weth, accomplice.address, 1)
    script = [
        (scene.villain.address, selector("strike()"), True),
        (scene.weth, calldata("transfer(address,uint256)", scene.executor, 1), True),
    ]
    accomplice.teach(V2_SWAP, b"", script)
    hops = [scene.hops[0], hop_word(accomplice.address, 1, False, 3000)]
    stage.send(scene.executor, execute_data(scene.weth, AMOUNT, hops, min_profit=1))
    assert scene.villain.refusals() == [unexpected(scene.villain.address)]
    assert stage.balance(scene.weth, scene.villain.address) == 0


@pytest.mark.parametrize("funding", [OWN, FLASH_SWAP])
def test_a_fake_pool_cannot_ask_for_more(stage: Stage, scene: Scene, funding: int) -> None:
    data = scene.flash if funding == FLASH_SWAP else scene.plain
    scene.swaps((scene.executor, v3_callback(100 * WETH_UNIT, -CLAIM, data)))
    refused = reason(stage.refusal(scene.executor, scene.execute(funding)))
    villain, taken = scene.villain.address, 100 * WETH_UNIT
    assert refused == f"PartialFill(pool={villain}, taken={taken}, amountIn={AMOUNT})"


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("funding", [OWN, FLASH_SWAP, BALANCER, AAVE])
def test_a_fake_pool_cannot_have_the_next_hop_spend_the_inventory(
    stage: Stage, kind: int, funding: int
) -> None:
    """It says it paid USDC and did not; the executor has USDC of its own, and WETH would grow."""
    scene = Scene(stage, kind)
    claim = CLAIM
    flash = funding == FLASH_SWAP
    data = scene.flash if flash else scene.plain
    call = v3_callback(AMOUNT, -claim, data)
    if kind == 1:
        net = AMOUNT * 997
        claim = net * 10**10 // (10**18 * 1000 + net)  # what its reserves make of the input
        call = v2_callback(scene.executor, 0, claim, data)
    scene.swaps(*([(scene.executor, call)] if flash or kind == 2 else []))
    refused = reason(stage.refusal(scene.executor, scene.execute(funding)))
    assert refused == f"TokenLost(token={scene.usdc.lower()}, amount={claim})"


def test_a_fake_pool_cannot_turn_the_next_swap_around(stage: Stage, scene: Scene) -> None:
    """An output beyond int256 would make the next V3 swap one for an exact output."""
    scene.swaps((scene.executor, v3_callback(AMOUNT, -CLAIM, scene.plain)), paid=-5)
    refused = reason(stage.refusal(scene.executor, scene.execute()))
    assert refused.startswith(f"PartialFill(pool={scene.pool.address.lower()}, taken=")
    assert refused.endswith(f"amountIn={2**256 - 5})")


def test_a_fake_pool_cannot_rename_its_output(stage: Stage, scene: Scene) -> None:
    """It says its token1 is WETH: the next pool is then paid in WETH, and wants USDC."""
    scene.villain.teach("token1()", encode(["address"], [scene.weth]))
    scene.swaps((scene.executor, v3_callback(AMOUNT, -CLAIM, scene.plain)))
    refused = stage.refusal(scene.executor, scene.execute())
    assert refused[:4] == selector("Error(string)")
    assert decode(["string"], refused[4:]) == ("IIA",)  # UniswapV3Pool: insufficient input amount


def test_a_fake_first_pair_must_name_the_executor_as_sender(stage: Stage) -> None:
    scene = Scene(stage, kind=1)
    scene.swaps((scene.executor, v2_callback(STRANGER, 0, CLAIM, scene.flash)))
    refused = reason(stage.refusal(scene.executor, scene.execute(FLASH_SWAP)))
    assert refused == unexpected(scene.villain.address)


def test_a_loan_of_somebody_else_is_refused(stage: Stage, scene: Scene) -> None:
    """A lender that calls back with the awaited data, but for a loan that a stranger took."""
    lender = Villain(stage)
    executor = stage.executor(aave=lender.address)
    route = route_data(scene.tokens, scene.hops)
    call = aave_callback(scene.weth, AMOUNT, STRANGER, route)
    borrow = "flashLoanSimple(address,address,uint256,bytes,uint16)"
    lender.teach(borrow, b"", [(executor, call, True)])
    assert reason(stage.refusal(executor, scene.execute(AAVE))) == unexpected(lender.address)


# ---- a token that calls out in the middle of a trade ----


class Hooked:
    """WETH -> HookToken -> WETH over two real pairs, with a villain in the token's transfers."""

    def __init__(self, stage: Stage) -> None:
        self.weth, self.token = stage.address("WETH"), stage.create_prop("HookToken")
        self.pairs = [
            stage.pair_with_weth(i, self.token, (80 + 10 * i) * WETH_UNIT) for i in range(2)
        ]
        up = int(self.weth, 16) < int(self.token, 16)
        self.hops = [hop_word(self.pairs[0], 1, up, 3000), hop_word(self.pairs[1], 1, not up, 3000)]
        self.villain = Villain(stage)
        stage.send(self.token, calldata("setHook(address)", self.villain.address))

    def execute(self, funding: int = FLASH_SWAP) -> bytes:
        return execute_data(self.weth, AMOUNT, self.hops, funding=funding, min_profit=1)

    def hook(self, executor: str, attacks: Sequence[bytes]) -> None:
        """The villain tries all of them in every transfer, and keeps the answers."""
        script = [(executor, attack, False) for attack in attacks]
        self.villain.teach("onTransfer()", b"", script)


def test_while_a_real_pool_is_awaited_nobody_else_calls_back(stage: Stage) -> None:
    """The hook runs inside the real pair's flash swap and has the very data that is awaited."""
    hooked, executor = Hooked(stage), stage.executor()
    route = route_data([hooked.weth, hooked.token], hooked.hops)
    data = swap_data(hooked.weth, AMOUNT, route)
    attacks = every_callback(executor, hooked.weth, data)
    attacks += every_callback(executor, hooked.weth, swap_data(hooked.weth, AMOUNT))
    attacks += every_callback(executor, hooked.weth, route)
    hooked.hook(executor, attacks)
    stage.send(executor, hooked.execute())
    # Two transfers: the pair pays the executor, the executor pays the next pair.
    assert hooked.villain.refusals() == [unexpected(hooked.villain.address)] * 2 * len(attacks)
    assert stage.balance(hooked.weth, executor) > 0


def test_a_hook_cannot_execute_or_withdraw(stage: Stage) -> None:
    hooked, executor = Hooked(stage), stage.executor()
    withdraw = load("Executor").call("withdraw", hooked.weth, 1, hooked.villain.address)
    hooked.hook(executor, [hooked.execute(OWN), withdraw])
    stage.send(executor, hooked.execute())
    assert hooked.villain.refusals() == ["NotOwner()"] * 4


def test_not_even_the_owner_executes_within_execute(stage: Stage) -> None:
    """The owner is a contract that runs in the transfers of its own trade."""
    hooked = Hooked(stage)
    owner = hooked.villain.address
    code = load("Executor").creation(stage.market.balancer_vault, stage.market.aave_pool)
    create = calldata("create(bytes)", code)
    executor = decode(["address"], stage.call(owner, create))[0]
    stage.send(owner, create)
    hooked.hook(executor, [hooked.execute(funding) for funding in (OWN, FLASH_SWAP, BALANCER)])
    stage.send(owner, calldata("act(address,bytes)", executor, hooked.execute()))
    assert hooked.villain.refusals() == ["Reentered()"] * 6
    # The lock opens again within the transaction: two trades in one, one after the other.
    hooked.hook(executor, [])
    trades = [(executor, hooked.execute(funding), True) for funding in (FLASH_SWAP, BALANCER)]
    hooked.villain.teach("twice()", b"", trades)
    stage.send(owner, selector("twice()"))
