"""Other people's quotes of the same swaps, each as a function from input to output.

Owns how a state of bench.pools is put into each library. Runs in two places: in the process of
bench.bench_math for what our own environment has, and as

    python bench/peers.py

in an environment of its own for packages that would not share one with ours. There it answers
lines of JSON, one object each, on standard input and output:

    {"do": "make", "peer", "sample"}     -> {"made": number} or {"absent": reason}
    {"do": "quote", "number", "amounts"} -> {"outputs"}
    {"do": "time", "number", "seconds"}  -> {"ns": of one call}

Must not import the engine: the other environment does not have it.
"""

import copy
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

Quoter = Callable[[int], int]
Described = dict[str, Any]
"""A sample as JSON: kind, fields, token_in, token_out, positions, amounts."""

WAD = 10**18
MIN_SQRT_RATIO = 4295128739
THREEPOOL = "0xbEbc44782C7dB0a1A60Cb6fe97d0b483032FF1C7"
"""degenbot chooses a pool's arithmetic by its address; this one's is that of the 3pool."""
NOWHERE = "0x0000000000000000000000000000000000000001"
_CHUNK = 8
"""Calls between two looks at the clock at least."""


# ---- degenbot ----


def degenbot_v2(sample: Described) -> Quoter:
    """Its function for constant products, without the pool object around it."""
    functions = importlib.import_module("degenbot.uniswap.v2_functions")
    fields = sample["fields"]
    reserves = fields["reserve0"], fields["reserve1"]
    into, out = reserves[sample["token_in"]], reserves[sample["token_out"]]
    fee = Fraction(fields["fee_pips"], 10**6)
    quote = functions.constant_product_calc_exact_in
    return lambda amount: int(quote(amount, into, out, fee))


def degenbot_v3(sample: Described) -> Quoter:
    """Its pool's calculation, the pool made without a node; every tick is known to it."""
    module = importlib.import_module("degenbot.uniswap.v3_liquidity_pool")
    types = importlib.import_module("degenbot.uniswap.types")
    fields = sample["fields"]
    pool = object.__new__(module.UniswapV3Pool)
    pool.address, pool.fee, pool.tick_spacing = NOWHERE, fields["fee_pips"], fields["tick_spacing"]
    pool.sparse_liquidity_map = False
    pool._state = types.UniswapV3PoolState(
        pool=NOWHERE, liquidity=fields["liquidity"], sqrt_price_x96=fields["sqrt_price_x96"],
        tick=fields["tick"], tick_bitmap={},
        tick_data={
            tick: types.UniswapV3LiquidityAtTick(liquidity_net=net, liquidity_gross=abs(net))
            for tick, net in fields["ticks"]
        },
    )  # fmt: skip
    if sample["token_in"] != 0:
        raise ValueError("expected a swap of token 0")
    swap = pool._calculate_swap
    return lambda amount: -int(swap(True, amount, MIN_SQRT_RATIO + 1)[1])


def degenbot_curve(sample: Described) -> Quoter:
    """Its StableSwap pool's get_dy, the pool made without a node."""
    module = importlib.import_module("degenbot.curve.curve_stableswap_liquidity_pool")
    fields = sample["fields"]
    pool = object.__new__(module.CurveStableswapPool)
    threepool = fields["shape"] == "3pool"
    pool.address, pool.base_pool = THREEPOOL if threepool else NOWHERE, None
    pool.A_PRECISION = 1 if threepool else 100
    pool.a_coefficient, pool.fee = fields["amp"], fields["fee"]
    pool.initial_a_coefficient = pool.future_a_coefficient = None
    pool.balances, pool.rate_multipliers = tuple(fields["balances"]), tuple(fields["rates"])
    pool.tokens = [None] * len(pool.balances)
    i, j, get_dy = sample["token_in"], sample["token_out"], pool._get_dy
    return lambda amount: int(get_dy(i, j, amount, 1))


def degenbot_solidly(sample: Described) -> Quoter:
    """Its function for Aerodrome's stable pools."""
    functions = importlib.import_module("degenbot.aerodrome.functions")
    fields, token_in = sample["fields"], sample["token_in"]
    state = [fields[name] for name in ("reserve0", "reserve1", "decimals0", "decimals1")]
    fee = Fraction(fields["fee_bps"], 10_000)
    quote = functions.calc_exact_in_stable
    return lambda amount: int(quote(amount, token_in, *state, fee))


# ---- degenbot's cycles: from the most that may go in to the profit that it finds ----

BLOCK = 1


def _degenbot_state(types: Any, name: str, address: str, **fields: Any) -> Any:
    """A state of its 0.3 or 0.5, which name the pool otherwise and have moved it."""
    if hasattr(types, name):
        return getattr(types, name)(pool=address, **fields)
    moved = importlib.import_module("degenbot.uniswap.v2_types")
    return getattr(moved, name)(address=address, block=BLOCK, **fields)


def _cycle_v2(hop: Described, address: str, tokens: tuple[str, str]) -> Any:
    """A V2 pool made without a node; `tokens` in and out."""
    module = importlib.import_module("degenbot.uniswap.v2_liquidity_pool")
    fields = hop["fields"]
    pool = object.__new__(module.UniswapV2Pool)
    pool.address = pool.name = address
    pool.token0, pool.token1 = tokens if hop["token_in"] == 0 else tokens[::-1]
    pool.fee_token0 = pool.fee_token1 = Fraction(fields["fee_pips"], 10**6)
    pool._state = _degenbot_state(
        importlib.import_module("degenbot.uniswap.types"), "UniswapV2PoolState", address,
        reserves_token0=fields["reserve0"], reserves_token1=fields["reserve1"],
    )  # fmt: skip
    pool._subscribers = set()
    return pool


def _cycle_curve(hop: Described, address: str, tokens: tuple[str, str]) -> Any:
    """A Curve pool of two coins made without a node."""
    module = importlib.import_module("degenbot.curve.curve_stableswap_liquidity_pool")
    types = importlib.import_module("degenbot.curve.types")
    fields = hop["fields"]
    pool = object.__new__(module.CurveStableswapPool)
    pool.address = pool.name = address
    pool.base_pool, pool.A_PRECISION = None, 100
    pool.a_coefficient, pool.fee = fields["amp"], fields["fee"]
    pool.initial_a_coefficient = pool.future_a_coefficient = None
    pool.initial_a_coefficient_time = pool.future_a_coefficient_time = None
    pool.rate_multipliers, pool.use_lending = tuple(fields["rates"]), (False, False)
    pool.tokens = tokens if hop["token_in"] == 0 else tokens[::-1]
    balances = tuple(fields["balances"])
    try:
        pool._state = types.CurveStableswapPoolState(address=address, block=BLOCK,
                                                     balances=balances, base=None)  # fmt: skip
    except TypeError:
        pool.balances = balances
        pool._state = types.CurveStableswapPoolState(pool=address, balances=balances, base=None)
    pool._create_timestamp, pool._block_timestamps, pool._subscribers = 0, {BLOCK: 0}, set()
    return pool


def degenbot_cycle(sample: Described) -> Quoter:
    """Its cycle's own search of the input: scipy's bounded minimum of minus the profit."""
    try:
        importlib.import_module("degenbot")
    except Exception:  # 0.5 fails once, where it makes its database; the next import finds it
        for name in [name for name in sys.modules if name.startswith("degenbot")]:
            del sys.modules[name]
    hops = sample["hops"]
    curve = any(hop["kind"].startswith("curve") for hop in hops)
    name = "uniswap_curve_cycle" if curve else "uniswap_lp_cycle"
    module = importlib.import_module(f"degenbot.arbitrage.{name}")
    made = []
    for i, hop in enumerate(hops):
        make = _cycle_curve if hop["kind"].startswith("curve") else _cycle_v2
        made.append(make(hop, f"0x{i + 1:040x}", (f"token {i}", f"token {(i + 1) % len(hops)}")))
    kind = module.UniswapCurveCycle if curve else module.UniswapLpCycle
    cycle = kind("token 0", made, "a cycle", sample["amounts"][0])
    calculate, given = cycle.calculate, {}
    if curve:
        cycle.curve_discount_factor = 1  # else it sizes for a worse price than the pool's
        # past a check that asks a node for its block
        calculate, given = cycle._calculate, {"state_overrides": {}, "block_number": BLOCK}

    def profit(most: int) -> int:
        cycle.max_input = most
        return int(calculate(**given).profit_amount)

    return profit


# ---- curvesim ----


def _curvesim_pool(fields: Described) -> Any:
    module = importlib.import_module("curvesim.pool.cryptoswap.pool")
    return module.CurveCryptoPool(
        A=fields["amp"], gamma=fields["gamma"], n=len(fields["balances"]),
        precisions=fields["precisions"], mid_fee=fields["mid_fee"], out_fee=fields["out_fee"],
        allowed_extra_profit=2 * 10**12, fee_gamma=fields["fee_gamma"],
        adjustment_step=49 * 10**13, ma_half_time=600, price_scale=fields["price_scale"],
        balances=fields["balances"], D=fields["d"],
    )  # fmt: skip


def curvesim_get_dy(sample: Described) -> Quoter:
    """Its model's get_dy, the view: unlike exchange, and our quote, it never solves for D."""
    pool = _curvesim_pool(sample["fields"])
    i, j, get_dy = sample["token_in"], sample["token_out"], pool.get_dy
    return lambda amount: int(get_dy(i, j, amount))


class CurvesimExchange:
    """Its model's exchange: the output and the state after, as our quote has them, and prices."""

    def __init__(self, sample: Described) -> None:
        """A pool in the sample's state."""
        self.pool = _curvesim_pool(sample["fields"])
        self.i, self.j = sample["token_in"], sample["token_out"]
        self.before = copy.deepcopy(self.pool)

    def __call__(self, amount: int) -> int:
        """The output."""
        return int(self.pool.exchange(self.i, self.j, amount)[0])

    def undo(self) -> None:
        """Back to the state before."""
        self.pool = copy.deepcopy(self.before)


# ---- Python integers ----


def python_v2(sample: Described) -> Quoter:
    """The pair's arithmetic in Python integers."""
    fields = sample["fields"]
    reserves = fields["reserve0"], fields["reserve1"]
    into, out = reserves[sample["token_in"]], reserves[sample["token_out"]]
    kept = 10**6 - fields["fee_pips"]

    def quote(amount: int) -> int:
        with_fee = amount * kept
        return int(with_fee * out // (into * 10**6 + with_fee))

    return quote


def python_solidly(sample: Described) -> Quoter:
    """Our tests' oracle of getAmountOut."""
    oracle = importlib.import_module("tests.oracle.solidly")
    fields, token_in = sample["fields"], sample["token_in"]
    pair = oracle.Pair(
        "solidly", fields["stable"], (fields["reserve0"], fields["reserve1"]),
        (fields["decimals0"], fields["decimals1"]), (fields["fee_bps"],) * 2,
    )  # fmt: skip
    amount_out = oracle.amount_out
    return lambda amount: int(amount_out(pair, token_in, amount))


def python_balancer(sample: Described) -> Quoter:
    """Our tests' oracle of onSwap, without what the Vault books."""
    oracle = importlib.import_module("tests.oracle.balancer")
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in sample["fields"].items()}
    fields.pop("amp_precision", None)
    i, j, given_in = sample["token_in"], sample["token_out"], oracle.Pool(**fields)._given_in
    return lambda amount: int(given_in(i, j, amount))


def python_crypto(sample: Described) -> Quoter:
    """Our tests' oracle of exchange: as our quote does, it solves for D after the swap as well."""
    oracle = importlib.import_module("tests.oracle.crypto")
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in sample["fields"].items()}
    pool, i, j, exchange = (
        oracle.Pool(**fields),
        sample["token_in"],
        sample["token_out"],
        oracle.exchange,
    )
    return lambda amount: int(exchange(pool, i, j, amount)[0])


# ---- the contract ----


class ContractV3:
    """Uniswap's own bytecode in an EVM in this process, pyrevm: one call that forwards to `swap`.

    That is the pool's swap, its callback that pays with minted tokens, the transfer out, and what
    pyrevm adds to a call: all that a searcher spends who asks a local EVM. What the swap changed is
    undone by `undo`.
    """

    def __init__(self, sample: Described) -> None:
        """A pool of the factory with the sample's positions."""
        markets = importlib.import_module("tests.differential.uniswap_v3")
        evm = importlib.import_module("tests.differential.evm")
        market, fields = markets.UniswapV3(), sample["fields"]
        fee, spacing, price = (fields[k] for k in ("fee_pips", "tick_spacing", "sqrt_price_x96"))
        [made] = market.evm.call(
            market.factory, "createPool(address,address,uint24)", *market.tokens, fee
        )
        pool = markets.V3Pool(market.evm, f"0x{made:040x}", market.payer, spacing, fee)
        market.evm.call(pool.address, "initialize(uint160)", price)
        for lower, upper, liquidity in sample["positions"]:
            pool.mint(lower, upper, liquidity)
            pool.ticks += [lower, upper]
        if pool.fields() != fields:
            raise ValueError(f"expected the pool in state {fields}, was {pool.fields()}")
        mark = 0x5A << 240
        swap = evm.arguments(
            "swap(address,bool,int256,uint160,bytes)",
            market.payer, sample["token_in"] == 0, mark, MIN_SQRT_RATIO + 1, b"",
        )  # fmt: skip
        data = evm.arguments("forward(address,bytes)", pool.address, swap)
        self.before, self.behind = data.split(mark.to_bytes(32, "big"))
        self.evm, self.sender, self.payer = market.evm._evm, evm.ME, market.payer
        self.start = self.evm.snapshot()

    def __call__(self, amount: int) -> int:
        """The output, which the pool answers as a negative amount1."""
        data = self.before + amount.to_bytes(32, "big") + self.behind
        answer = self.evm.message_call(self.sender, self.payer, calldata=data)
        return (1 << 256) - int.from_bytes(answer[-32:], "big")

    def undo(self) -> None:
        """Back to the state before every swap."""
        self.evm.reset_transient_storage()
        self.evm.revert(self.start)
        self.start = self.evm.snapshot()


MAKERS: dict[str, Callable[[Described], Quoter]] = {
    "degenbot V2": degenbot_v2,
    "degenbot V3": degenbot_v3,
    "degenbot Curve": degenbot_curve,
    "degenbot Aerodrome": degenbot_solidly,
    "degenbot 0.3 V2 cycle": degenbot_cycle,
    "degenbot 0.5 V2 cycle": degenbot_cycle,
    "degenbot 0.3 Curve cycle": degenbot_cycle,
    "degenbot 0.5 Curve cycle": degenbot_cycle,
    "curvesim exchange": CurvesimExchange,
    "curvesim get_dy": curvesim_get_dy,
    "Python integers V2": python_v2,
    "Python integers Solidly": python_solidly,
    "Python integers Balancer": python_balancer,
    "Python integers CryptoSwap": python_crypto,
    "the contract in pyrevm": ContractV3,
}
ELSEWHERE = {name for name in MAKERS if name.startswith(("degenbot", "curvesim"))}
"""Those that need an environment of their own: they want older versions of what we use."""


# ---- timing ----


class Peer:
    """One peer on one sample: takes amounts in turn, so that no cache knows the one that comes."""

    def __init__(self, maker: str, sample: Described) -> None:
        """Makes the peer; whatever its library raises goes through."""
        self.quote = MAKERS[maker](sample)
        self.undo: Callable[[], None] | None = getattr(self.quote, "undo", None)
        self.amounts: list[int] = sample["amounts"]
        self.at = 0

    def outputs(self, amounts: list[int]) -> list[int]:
        """What it pays for each."""
        found = []
        for amount in amounts:
            found.append(self.quote(amount))
            if self.undo:
                self.undo()
        return found

    def time(self, seconds: float) -> float:
        """ns of one call, over about so many seconds of CPU time."""
        spent, calls = 0.0, 0
        while spent < seconds:
            batch = self.amounts[self.at : self.at + _CHUNK]
            spent += self._time_each(batch) if self.undo else self._time_all(batch)
            calls += len(batch)
            self.at = (self.at + _CHUNK) % len(self.amounts)
        return spent / calls * 1e9

    def _time_all(self, amounts: list[int]) -> float:
        quote = self.quote
        start = time.process_time()
        for amount in amounts:
            quote(amount)
        return time.process_time() - start

    def _time_each(self, amounts: list[int]) -> float:
        assert self.undo is not None
        spent = 0.0
        for amount in amounts:
            start = time.process_time()
            self.quote(amount)
            spent += time.process_time() - start
            self.undo()
        return spent


# ---- in another environment ----


def answer(request: Described, peers: list[Peer]) -> Described:
    """What one line is answered; `peers` grows by those that are made."""
    if request["do"] == "make":
        try:
            peers.append(Peer(request["peer"], request["sample"]))
        except Exception as error:  # a library of others may raise anything
            return {"absent": f"{type(error).__name__}: {error}"}
        return {"made": len(peers) - 1}
    peer = peers[request["number"]]
    if request["do"] == "quote":
        return {"outputs": peer.outputs(request["amounts"])}
    return {"ns": peer.time(request["seconds"])}


def main() -> None:
    """Answers until the input ends."""
    out = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is not an answer
    gc.disable()
    peers: list[Peer] = []
    for line in sys.stdin:
        out.write(json.dumps(answer(json.loads(line), peers)) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
