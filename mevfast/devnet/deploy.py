"""Deploys the embedded market: real bytecode, every call a real transaction.

Owns what stands where at which price and depth. Runs once; its result is cached by `market`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, log

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from mevfast.devnet import npm
from mevfast.devnet.contracts import Contract, Writer
from mevfast.devnet.market import (
    DEPLOYER_ACCOUNT,
    TRADER_ACCOUNTS,
    Factory,
    Market,
    Pool,
    Token,
)
from mevfast.devnet.node import DEV_ACCOUNTS, Anvil
from mevfast.errors import DevnetError

ZERO_ADDRESS = "0x" + "00" * 20
MAX_UINT256 = 2**256 - 1
FAR_DEADLINE = 2**40
USD_E8 = 10**8
WAD = 10**18
RAY = 10**27

# Symbol, decimals, price in US dollars. The first one is WETH9, the rest Aave's MintableERC20.
TOKENS: tuple[tuple[str, int, str], ...] = (
    ("WETH", 18, "2500"),
    ("USDC", 6, "1"),
    ("USDT", 6, "0.9995"),
    ("DAI", 18, "1.0003"),
    ("WBTC", 8, "65000"),
    ("ARB", 18, "0.83"),
    ("LINK", 18, "14.2"),
    ("wstETH", 18, "2950"),
)
PEGGED: frozenset[frozenset[str]] = frozenset(
    map(frozenset, (("USDC", "USDT"), ("USDC", "DAI"), ("USDT", "DAI"), ("WETH", "wstETH")))
)
"""Pairs whose price hardly moves: their V3 ranges are ten to forty times as narrow."""

V2_FEE_PIPS = 3000
V3_TICK_SPACING = {100: 1, 500: 10, 3000: 60, 10000: 200}


@dataclass(frozen=True)
class PairPlan:
    """The pools of one pair, each with its depth in thousands of US dollars (0: no pool)."""

    symbols: tuple[str, str]
    uniswap_v2: int
    sushi_v2: int
    uniswap_v3: dict[int, int]


PAIRS = (
    PairPlan(("WETH", "USDC"), 4000, 2500, {100: 800, 500: 5000, 3000: 2500, 10000: 300}),
    PairPlan(("WETH", "USDT"), 2500, 1500, {500: 3000, 3000: 1500}),
    PairPlan(("WETH", "DAI"), 1500, 1200, {500: 900, 3000: 1000}),
    PairPlan(("WETH", "WBTC"), 2000, 1800, {500: 3000, 3000: 1500}),
    PairPlan(("WETH", "ARB"), 900, 600, {500: 800, 3000: 700, 10000: 120}),
    PairPlan(("WETH", "LINK"), 600, 500, {3000: 800, 10000: 100}),
    PairPlan(("WETH", "wstETH"), 700, 300, {100: 3000, 500: 900}),
    PairPlan(("USDC", "USDT"), 500, 400, {100: 4000, 500: 600}),
    PairPlan(("USDC", "DAI"), 450, 350, {100: 2500, 500: 400}),
    PairPlan(("USDT", "DAI"), 300, 200, {100: 900}),
    PairPlan(("WBTC", "USDC"), 800, 500, {500: 1200, 3000: 600}),
    PairPlan(("WBTC", "USDT"), 600, 400, {500: 700, 3000: 400}),
    PairPlan(("WBTC", "DAI"), 200, 150, {3000: 150}),
    PairPlan(("ARB", "USDC"), 350, 250, {500: 500, 3000: 300}),
    PairPlan(("ARB", "USDT"), 200, 150, {3000: 150}),
    PairPlan(("ARB", "DAI"), 120, 80, {}),
    PairPlan(("LINK", "USDC"), 300, 200, {3000: 250}),
    PairPlan(("LINK", "USDT"), 150, 100, {}),
    PairPlan(("LINK", "WBTC"), 120, 80, {}),
    PairPlan(("ARB", "LINK"), 80, 0, {10000: 60}),
    PairPlan(("wstETH", "USDC"), 250, 150, {500: 300}),
    PairPlan(("wstETH", "WBTC"), 100, 0, {}),
)

# V3 positions of a pool: half width in ticks, share of its depth. The inner ones are left
# and re-entered all the time, so that swaps cross ticks.
LADDER = ((20_000, Fraction(30, 100)), (2_000, Fraction(25, 100)), (500, Fraction(20, 100)),
          (150, Fraction(15, 100)), (50, Fraction(10, 100)))  # fmt: skip
PEGGED_LADDER = ((2_000, Fraction(25, 100)), (200, Fraction(20, 100)), (60, Fraction(20, 100)),
                 (20, Fraction(20, 100)), (6, Fraction(15, 100)))  # fmt: skip

BALANCER_USD = 16_000_000
BALANCER_SWAP_FEE = WAD // 1000
AAVE_USD = 5_000_000
AAVE_SYMBOLS = ("WETH", "USDC", "USDT", "DAI", "WBTC")
AAVE_PREMIUM_BPS = 5
TRADER_USD = 100_000_000
"""Of each token, for each trader: more than a long run can lose."""


@dataclass(frozen=True)
class _Asset:
    contract: Contract
    token: Token

    @property
    def address(self) -> str:
        return self.contract.address

    def units(self, usd: Fraction | int) -> int:
        """The amount worth `usd` dollars at the deployment price, in the smallest unit."""
        return int(Fraction(usd) * USD_E8 * 10**self.token.decimals / self.token.price_usd_e8)


def deploy_market(node: Anvil) -> Market:
    """Deploys everything on an empty chain that mines on request; DevnetError on any revert."""
    deployer = DEV_ACCOUNTS[DEPLOYER_ACCOUNT].address
    writer = Writer(node.client(), deployer)
    rich = 10**9 * WAD
    for index in (DEPLOYER_ACCOUNT, *TRADER_ACCOUNTS):
        node.rpc("anvil_setBalance", DEV_ACCOUNTS[index].address, hex(rich))
    assets = _deploy_tokens(writer)
    weth = assets["WETH"]
    factories = _deploy_factories(writer, weth)
    manager = writer.deploy(
        "NonfungiblePositionManager", factories[2].address, weth.address, ZERO_ADDRESS
    )
    quoter = writer.deploy("QuoterV2", factories[2].address, weth.address)
    _fund_traders(writer, assets, [f.router for f in factories] + [manager.address])
    writer.flush()
    pools = [
        *_deploy_v2_pools(writer, factories[0], assets, "uniswap_v2"),
        *_deploy_v2_pools(writer, factories[1], assets, "sushi_v2"),
        *_deploy_v3_pools(writer, factories[2], manager, assets),
    ]
    vault, pool_id = _deploy_balancer(writer, assets)
    aave_pool = _deploy_aave(writer, assets)
    _check_flash_fees(writer, vault, aave_pool)
    multicall = writer.create("Multicall3", npm.multicall3(), ())
    writer.flush()
    return Market(
        chain_id=node.chain_id,
        block=int(node.rpc("eth_blockNumber"), 16),
        weth=weth.address,
        tokens=tuple(asset.token for asset in assets.values()),
        factories=factories,
        position_manager=manager.address,
        quoter=quoter.address,
        balancer_vault=vault.address,
        balancer_pool_id=pool_id,
        aave_pool=aave_pool.address,
        multicall=multicall.address,
        aave_assets=tuple(assets[symbol].address for symbol in AAVE_SYMBOLS),
        pools=tuple(pools),
    )


def _deploy_tokens(writer: Writer) -> dict[str, _Asset]:
    assets = {}
    for symbol, decimals, price in TOKENS:
        if symbol == "WETH":
            contract = writer.deploy("WETH9")
            writer.send(contract, "deposit", value=10**7 * WAD)
        else:
            contract = writer.deploy("MintableERC20", symbol, symbol, decimals)
        price_e8 = int(Fraction(price) * USD_E8)
        asset = _Asset(contract, Token(contract.address, symbol, decimals, price_e8))
        if symbol != "WETH":
            writer.send(contract, "mint", writer.sender, asset.units(10**12))
        assets[symbol] = asset
    return assets


def _deploy_factories(writer: Writer, weth: _Asset) -> tuple[Factory, Factory, Factory]:
    """The three factories with their routers; both V2 routers are Uniswap's Router02."""
    uniswap_v2 = writer.deploy("UniswapV2Factory", writer.sender)
    sushi_v2 = writer.deploy("SushiV2Factory", writer.sender)
    uniswap_v3 = writer.deploy("UniswapV3Factory")
    writer.send(uniswap_v3, "enableFeeAmount", 100, V3_TICK_SPACING[100])
    routers = []
    for factory, pair in ((uniswap_v2, "UniswapV2Pair"), (sushi_v2, "SushiV2Pair")):
        artifact = npm.artifact("UniswapV2Router02")
        code = _with_pair_hash(artifact.linked({}), npm.artifact(pair).linked({}))
        routers.append(
            writer.create("UniswapV2Router02", code, artifact.abi, factory.address, weth.address)
        )
    swap_router = writer.deploy("SwapRouter", uniswap_v3.address, weth.address)
    return (
        Factory("Uniswap V2", "uniswap_v2", uniswap_v2.address, routers[0].address, V2_FEE_PIPS),
        Factory("SushiSwap V2", "uniswap_v2", sushi_v2.address, routers[1].address, V2_FEE_PIPS),
        Factory("Uniswap V3", "uniswap_v3", uniswap_v3.address, swap_router.address, None),
    )


def _with_pair_hash(router: bytes, pair: bytes) -> bytes:
    """Router02 with the init code hash of these pairs in its pairFor().

    The router derives pair addresses from a constant, Uniswap's; the packaged SushiSwap pair
    was compiled to other bytes than any router's constant says.
    """
    uniswap = keccak(npm.artifact("UniswapV2Pair").linked({}))
    if router.count(uniswap) != 1:
        raise DevnetError(
            f"UniswapV2Router02: expected the pair hash {uniswap.hex()} once, "
            f"was there {router.count(uniswap)} times"
        )
    return router.replace(uniswap, keccak(pair))


def _fund_traders(writer: Writer, assets: dict[str, _Asset], spenders: list[str]) -> None:
    for index in TRADER_ACCOUNTS:
        trader = DEV_ACCOUNTS[index].address
        for symbol, asset in assets.items():
            amount = asset.units(TRADER_USD)
            if symbol == "WETH":
                writer.send(asset.contract, "deposit", value=amount, sender=trader)
            else:
                writer.send(asset.contract, "mint", trader, amount)
            for spender in spenders:
                writer.send(asset.contract, "approve", spender, MAX_UINT256, sender=trader)


def _sorted(assets: dict[str, _Asset], symbols: tuple[str, str]) -> tuple[_Asset, _Asset]:
    first, second = sorted((assets[s] for s in symbols), key=lambda asset: int(asset.address, 16))
    return first, second


def _skew(index: int) -> Fraction:
    """A fixed disagreement between the pools of a pair, within 0.05 %: less than any V2 fee."""
    return Fraction(10_000 + (index * 7) % 11 - 5, 10_000)


def _deploy_v2_pools(
    writer: Writer, factory: Factory, assets: dict[str, _Asset], venue: str
) -> Iterator[Pool]:
    abi = npm.artifact("UniswapV2Factory").abi
    contract = Contract(factory.address, abi)
    pair_abi = npm.artifact("UniswapV2Pair").abi
    plans = [plan for plan in PAIRS if getattr(plan, venue)]
    pairs = [_sorted(assets, plan.symbols) for plan in plans]
    for token0, token1 in pairs:
        writer.send(contract, "createPair", token0.address, token1.address)
    writer.flush()
    addresses = writer.read_many([(contract, "allPairs", (index,)) for index in range(len(pairs))])
    for index, (plan, (token0, token1)) in enumerate(zip(plans, pairs, strict=True)):
        pair = Contract(_checksum(addresses[index]), pair_abi)
        side = Fraction(getattr(plan, venue) * 1000, 2)
        writer.send(token0.contract, "transfer", pair.address, token0.units(side))
        amount1 = token1.units(side * _skew(index))
        writer.send(token1.contract, "transfer", pair.address, amount1)
        writer.send(pair, "mint", writer.sender)
        yield Pool(
            pair.address, factory.kind, factory.address, token0.address, token1.address,
            V2_FEE_PIPS, 0,
        )  # fmt: skip
    writer.flush()


def _deploy_v3_pools(
    writer: Writer, factory: Factory, manager: Contract, assets: dict[str, _Asset]
) -> Iterator[Pool]:
    for asset in assets.values():
        writer.send(asset.contract, "approve", manager.address, MAX_UINT256)
    contract = Contract(factory.address, npm.artifact("UniswapV3Factory").abi)
    plans = [(plan, fee) for plan in PAIRS for fee in plan.uniswap_v3]
    prices: list[int] = []
    for index, (plan, fee) in enumerate(plans):
        token0, token1 = _sorted(assets, plan.symbols)
        amount0, amount1 = token0.units(10**9), token1.units(10**9 * _skew(index + 3))
        prices.append(isqrt((amount1 << 192) // amount0))
        writer.send(
            manager, "createAndInitializePoolIfNecessary",
            token0.address, token1.address, fee, prices[-1],
        )  # fmt: skip
    for (plan, fee), sqrt_price_x96 in zip(plans, prices, strict=True):
        token0, token1 = _sorted(assets, plan.symbols)
        for lower, upper, side in _ladder(plan, fee, sqrt_price_x96):
            position = (
                token0.address, token1.address, fee, lower, upper,
                token0.units(side), token1.units(side), 0, 0, writer.sender, FAR_DEADLINE,
            )  # fmt: skip
            writer.send(manager, "mint", position)
    writer.flush()
    pairs = [(_sorted(assets, plan.symbols), fee) for plan, fee in plans]
    addresses = writer.read_many(
        [(contract, "getPool", (t0.address, t1.address, fee)) for (t0, t1), fee in pairs]
    )
    for address, ((token0, token1), fee) in zip(addresses, pairs, strict=True):
        yield Pool(
            _checksum(address), factory.kind, factory.address, token0.address, token1.address,
            fee, V3_TICK_SPACING[fee],
        )  # fmt: skip


def _ladder(plan: PairPlan, fee: int, sqrt_price_x96: int) -> Iterator[tuple[int, int, Fraction]]:
    """Lower tick, upper tick and dollars a side of each position around a price."""
    spacing = V3_TICK_SPACING[fee]
    tick = round(2 * log(sqrt_price_x96 / 2**96) / log(1.0001))  # where, not how much: may round
    for half_width, share in PEGGED_LADDER if frozenset(plan.symbols) in PEGGED else LADDER:
        lower = (tick - half_width) // spacing * spacing
        upper = -((-tick - half_width) // spacing) * spacing
        yield lower, upper, Fraction(plan.uniswap_v3[fee] * 1000, 2) * share


def _deploy_balancer(writer: Writer, assets: dict[str, _Asset]) -> tuple[Contract, str]:
    """The vault, filled by the join of one weighted pool of all eight tokens."""
    authorizer = writer.deploy("Authorizer", writer.sender)
    vault = writer.deploy("Vault", authorizer.address, assets["WETH"].address, 0, 0)
    fees = writer.deploy("ProtocolFeePercentagesProvider", vault.address, WAD, WAD)
    factory = writer.deploy("WeightedPoolFactory", vault.address, fees.address, "3", "3")
    tokens = sorted(assets.values(), key=lambda asset: int(asset.address, 16))
    addresses = [asset.address for asset in tokens]
    create = (
        "Eight tokens", "8T", addresses, [WAD // 8] * 8, [ZERO_ADDRESS] * 8,
        BALANCER_SWAP_FEE, writer.sender,
    )  # fmt: skip
    writer.flush()
    pool_address = _checksum(writer.read(factory, "create", *create))
    writer.send(factory, "create", *create)
    for asset in tokens:
        writer.send(asset.contract, "approve", vault.address, MAX_UINT256)
    writer.flush()
    pool_id = writer.read(Contract(pool_address, npm.artifact("WeightedPool").abi), "getPoolId")
    amounts = [asset.units(Fraction(BALANCER_USD, 8)) for asset in tokens]
    init_join = _uint256s(0, 0x40, len(amounts), *amounts)  # (JoinKind.INIT, amountsIn[])
    request = (addresses, [MAX_UINT256] * 8, init_join, False)
    writer.send(vault, "joinPool", pool_id, writer.sender, writer.sender, request)
    writer.flush()
    return vault, "0x" + pool_id.hex()


def _deploy_aave(writer: Writer, assets: dict[str, _Asset]) -> Contract:
    """An Aave V3 pool with reserves that may be supplied and flash-borrowed; no oracle."""
    provider = writer.deploy("PoolAddressesProvider", "devnet", writer.sender)
    writer.send(provider, "setACLAdmin", writer.sender)
    acl = writer.deploy("ACLManager", provider.address)
    writer.send(provider, "setACLManager", acl.address)
    writer.send(acl, "addPoolAdmin", writer.sender)
    names = ("BorrowLogic", "BridgeLogic", "EModeLogic", "LiquidationLogic", "PoolLogic",
             "SupplyLogic", "ConfiguratorLogic", "FlashLoanLogic")  # fmt: skip
    libraries: dict[str, str] = {}
    for name in names:  # FlashLoanLogic, the last, links BorrowLogic, the first
        libraries[name] = writer.deploy(name, libraries=libraries).address
    implementation = writer.deploy("Pool", provider.address, libraries=libraries)
    configurator_code = writer.deploy("PoolConfigurator", libraries=libraries)
    writer.flush()
    writer.send(provider, "setPoolImpl", implementation.address)
    writer.send(provider, "setPoolConfiguratorImpl", configurator_code.address)
    writer.flush()
    pool = Contract(_checksum(writer.read(provider, "getPool")), implementation.abi)
    configurator = Contract(
        _checksum(writer.read(provider, "getPoolConfigurator")), configurator_code.abi
    )
    a_token = writer.deploy("AToken", pool.address)
    stable_debt = writer.deploy("StableDebtToken", pool.address)
    variable_debt = writer.deploy("VariableDebtToken", pool.address)
    rates = writer.deploy(
        "DefaultReserveInterestRateStrategy", provider.address,
        RAY * 8 // 10, 0, RAY * 4 // 100, RAY * 6 // 10, RAY // 200, RAY * 6 // 10,
        RAY // 100, RAY * 8 // 100, RAY * 2 // 10,
    )  # fmt: skip
    reserves = [
        (
            a_token.address, stable_debt.address, variable_debt.address,
            assets[symbol].token.decimals, rates.address, assets[symbol].address,
            writer.sender, ZERO_ADDRESS, f"Aave {symbol}", f"a{symbol}",
            f"Aave variable debt {symbol}", f"vd{symbol}",
            f"Aave stable debt {symbol}", f"sd{symbol}", b"",
        )
        for symbol in AAVE_SYMBOLS
    ]  # fmt: skip
    for reserve in reserves:  # one a call: each creates three proxies
        writer.send(configurator, "initReserves", [reserve])
    writer.send(configurator, "updateFlashloanPremiumTotal", AAVE_PREMIUM_BPS)
    for symbol in AAVE_SYMBOLS:
        asset = assets[symbol]
        writer.send(configurator, "setReserveFlashLoaning", asset.address, True)
        writer.send(asset.contract, "approve", pool.address, MAX_UINT256)
        supply = (asset.address, asset.units(AAVE_USD), writer.sender, 0)
        writer.send(pool, "supply", *supply)
    writer.flush()
    return pool


def _check_flash_fees(writer: Writer, vault: Contract, aave_pool: Contract) -> None:
    """The fees the market promises, read from the chain: Balancer 0, Aave 5 bps."""
    collector = Contract(_checksum(writer.read(vault, "getProtocolFeesCollector")), _COLLECTOR_ABI)
    balancer_fee = writer.read(collector, "getFlashLoanFeePercentage")
    premium = writer.read(aave_pool, "FLASHLOAN_PREMIUM_TOTAL")
    if balancer_fee != 0 or premium != AAVE_PREMIUM_BPS:
        raise DevnetError(
            f"devnet set-up: expected flash fees 0 (Balancer) and {AAVE_PREMIUM_BPS} bps (Aave), "
            f"were {balancer_fee} and {premium}"
        )


_COLLECTOR_ABI = (
    {
        "type": "function",
        "name": "getFlashLoanFeePercentage",
        "inputs": [],
        "outputs": [{"type": "uint256", "name": ""}],
    },
)


def _uint256s(*words: int) -> bytes:
    return b"".join(word.to_bytes(32, "big") for word in words)


def _checksum(address: str) -> str:
    return str(to_checksum_address(address))
