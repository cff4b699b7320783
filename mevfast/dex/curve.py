"""Curve StableSwap pools, legacy and NG. Semantics: their contracts' getters.

Rates of lending, oracle and ERC-4626 coins, and A while it ramps (linear in time), move without an
event of the pool: such a pool must be read again in each block that is to be traded in. So do the
balances of a legacy pool whose owner donates its admin fees to it. A legacy pool tells neither its
coins' decimals nor its rates: the caller gives them.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace

from mevfast.dex.reads import Answer, Question, Read, answered, calldata, topic, value
from mevfast.errors import DataError
from mevfast.model import PoolRecord

KINDS = ("curve_stable", "curve_stable_ng")

CREATED = tuple(
    topic(signature)
    for signature in (
        "PlainPoolDeployed(address[],uint256,uint256,address)",  # NG
        "PlainPoolDeployed(address[4],uint256,uint256,address)",
        "PlainPoolDeployed(address[4],uint256,uint256,address,address)",
        "MetaPoolDeployed(address,address,uint256,uint256,address)",
        "TwocryptoPoolDeployed(address,string,string,address[2],address,bytes32,uint256[2],"
        "uint256,uint256,uint256,uint256,address)",
        "TricryptoPoolDeployed(address,string,string,address,address[3],address,bytes32,"
        "uint256,uint256,uint256,uint256,uint256,address)",
        "PoolAdded(address,bytes)",  # of the registry of legacy pools
    )
)
"""Not all of them name the pool: they say when to ask the registry for its list."""

MOST_COINS = 8

EVENTS = (
    # TokenExchange(address,int128,uint256,int128,uint256)
    "0x8b3e96f2b889fa771c53c981b40daf005f63f637f1869f707052d15a3dd97140",
    # TokenExchangeUnderlying(address,int128,uint256,int128,uint256): of y pools, moves balances
    "0xd013ca23e77a65003c2c659c5442c00c805371b7fc1ebd4c206c41d1536bd90b",
    # AddLiquidity(address,uint256[N],uint256[N],uint256,uint256): N = 2, 3, 4, and NG's uint256[]
    "0x26f55a85081d24974e85c6c00045d0f0453991e95873f52bff0d21af4079a768",
    "0x423f6495a08fc652425cf4ed0d1f9e37e571d9b9529b1c1c23cce780b2e7df0d",
    "0x3f1915775e0c9a38a57a7bb7f1f9005f486fb904e1f84aa215364d567319a58d",
    "0x189c623b666b1b45b83d7178f39b8c087cb09774317ca2f53c2d3c3726f222a2",
    # RemoveLiquidity(address,uint256[N],uint256[N],uint256): N = 2, 3, 4, and uint256[]
    "0x7c363854ccf79623411f8995b362bce5eddff18c927edc6f5dbbb5e05819a82c",
    "0xa49d4cf02656aebf8c771f5a8585638a2a15ee6c97cf7205d4208ed7c1df252d",
    "0x9878ca375e106f2a43c3b599fc624568131c4c9a4ba66a14563715763be9d59d",
    "0x347ad828e58cbe534d8f6b67985d791360756b18f0d95fd9f197a66cc46480ea",
    # RemoveLiquidityImbalance(address,uint256[N],uint256[N],uint256,uint256): the same four
    "0x2b5508378d7e19e0d5fa338419034731416c4f5b219a10379956f764317fd47e",
    "0x173599dbf9c6ca6f7c3b590df07ae98a45d74ff54065505141e7de6c46a624c2",
    "0xb964b72f73f5ef5bf0fdc559b2fab9a7b12a39e47817a547f1f0aee47febd602",
    "0x3631c28b1f9dd213e0319fb167b554d76b6c283a41143eb400a0d1adb1af1755",
    # RemoveLiquidityOne(address,uint256,uint256), with the supply after it, and NG's
    "0x9e96dd3b997a2a257eec4df9bb6eaf626e206df5f543bd963682d143300be310",
    "0x5ad056f2e28a8cec232015406b843668c1e36cda598127ec3b8c59b8c72773a0",
    "0x6f48129db1f37ccb9cc5dd7e119cb32750cabdf75b48375d730d26ce3659bbe1",
    # RampA(uint256,uint256,uint256,uint256), StopRampA(uint256,uint256)
    "0xa2b71ec6df949300b59aab36b55e189697b750119dd349fcfa8c0f779e83c254",
    "0x46e22fb3709ad289f62ce63d469248536dbc78d82b84a3d7e74ad606dc201938",
    # NewParameters(uint256,uint256,uint256): A and fees of y pools
    "0x752a27d1853eb7af3ee4ff764f2c4a51619386af721573dd3809e929c39db99e",
    # NewFee(uint256,uint256): fees of the other legacy pools
    "0xbe12859b636aed607d5230b2cc2711f68d70e51060e6cca1f575ef5d2fcc95d1",
    # ApplyNewFee(uint256,uint256): fee and multiplier of NG
    "0x750d10a7f37466ce785ee6bcb604aac543358db42afbcc332a3c12a49c80bf6d",
)


_NATIVE = "0x" + "ee" * 20
_TELLING = ("gamma", "MATH", "stored_rates", "A_precise", "offpeg_fee_multiplier", "base_pool")
"""Getters that tell forms of pools from each other."""


def read_list(
    registry: str, known: int = 0
) -> Generator[list[Question], list[Answer], list[bytes]]:
    """Addresses of the pools of a registry or factory, of those from index `known` on."""
    [answer] = yield [(registry, calldata("pool_count()"))]
    count = value("uint256", answer, f"pool_count of {registry}")
    answers = yield [
        (registry, calldata("pool_list(uint256)", index)) for index in range(known, count)
    ]
    what = f"pool_list of {registry}"
    return [bytes.fromhex(value("address", answer, what)[2:]) for answer in answers]


def probe(pool: PoolRecord) -> Generator[list[Question], list[Answer], PoolRecord]:
    """What a pool of a registry is, by the getters it has: its kind, tokens and facts.

    DataError for a form that no kernel knows.
    """
    at = "0x" + pool.address.hex()
    getters = {name: calldata(f"{name}()") for name in _TELLING}
    getters |= {index: calldata(f"coins({index})", 0) for index in ("uint256", "int128")}
    answers = yield [(at, data) for data in getters.values()]
    has = {name for name, found in zip(getters, answers, strict=True) if answered(found)}
    index = "uint256" if "uint256" in has else "int128"
    coins = yield from _coins(at, index)
    kind, facts = "curve_stable", {}
    if "gamma" in has:
        if "MATH" not in has or len(coins) not in (2, 3):
            raise DataError("a CryptoSwap pool older than NG")
        kind = "curve_tricrypto_ng" if len(coins) == 3 else "curve_twocrypto_ng"
    elif {"stored_rates", "offpeg_fee_multiplier"} <= has:
        kind = "curve_stable_ng"
    elif has & {"stored_rates", "offpeg_fee_multiplier", "base_pool"}:
        raise DataError("a legacy pool of lent coins or over another pool")
    elif index == "int128":
        raise DataError("a pool of Vyper 0.1, whose coins may be lent")
    else:
        decimals = yield from _decimals(coins)
        facts = {"shape": "plain" if "A_precise" in has else "3pool", "decimals": decimals}
    tokens = tuple(bytes.fromhex(coin[2:]) for coin in coins)
    return replace(pool, kind=kind, tokens=tokens, facts={**pool.facts, **facts})


def _coins(pool: str, index: str) -> Generator[list[Question], list[Answer], list[str]]:
    answers = yield [(pool, calldata(f"coins({index})", k)) for k in range(MOST_COINS)]
    coins: list[str] = []
    for answer in answers:
        if not answered(answer):
            break
        coin = value("address", answer, f"coins of {pool}")
        if not int(coin, 16):
            break
        coins.append(coin)
    if len(coins) < 2:
        raise DataError(f"expected two coins or more, was {len(coins)}")
    return coins


def _decimals(coins: Sequence[str]) -> Generator[list[Question], list[Answer], list[int]]:
    if _NATIVE in coins:
        raise DataError("it holds the native coin")
    answers = yield [(coin, calldata("decimals()")) for coin in coins]
    return [
        int(value("uint8", answer, f"decimals of {coin}"))
        for coin, answer in zip(coins, answers, strict=True)
    ]


def read_ng(pool: str) -> Read:
    """The state of a StableSwapNG pool; its rates are those of the block."""
    names = ("A_precise", "fee", "offpeg_fee_multiplier", "admin_fee")
    *answers, balances, rates = yield [
        *((pool, calldata(f"{name}()")) for name in names),
        (pool, calldata("get_balances()")),
        (pool, calldata("stored_rates()")),
    ]
    amp, fee, multiplier, admin_fee = (
        value("uint256", answer, f"{name} of {pool}")
        for name, answer in zip(names, answers, strict=True)
    )
    return {
        "amp_precise": amp,
        "fee": fee,
        "offpeg_fee_multiplier": multiplier,
        "admin_fee": admin_fee,
        "balances": list(value("uint256[]", balances, f"balances of {pool}")),
        "rates": list(value("uint256[]", rates, f"stored_rates of {pool}")),
    }


def read_legacy(
    pool: str,
    shape: str,
    decimals: Sequence[int],
    rate_getters: Sequence[str] | None = None,
    index: str | None = None,
) -> Read:
    """The state of a legacy pool of that shape.

    `decimals` are those of the underlying coins. `rate_getters` names, coin by coin, the getter of
    a lending token's rate, such as "getPricePerFullShare()" or "exchangeRateCurrent()", and "" for
    a coin that is not lent; None where none is. `index` is the type of the argument of `coins` and
    `balances`: int128 in pools of Vyper 0.1, as y pools are, and uint256 in all others.
    """
    index = index or ("int128" if shape == "y_pool" else "uint256")
    getters = rate_getters or [""] * len(decimals)
    coins = [k for k, getter in enumerate(getters) if getter]
    amp_name = "A_precise" if shape == "plain" else "A"
    answers = yield [
        (pool, calldata(f"{amp_name}()")),
        (pool, calldata("fee()")),
        (pool, calldata("admin_fee()")),
        *((pool, calldata(f"balances({index})", k)) for k in range(len(decimals))),
        *((pool, calldata(f"coins({index})", k)) for k in coins),
    ]
    amp, fee, admin_fee, *rest = answers
    balances, tokens = rest[: len(decimals)], rest[len(decimals) :]
    lent = [value("address", token, f"coins of {pool}") for token in tokens]
    answers = (
        yield [(token, calldata(getters[k])) for k, token in zip(coins, lent, strict=True)]
        if coins
        else []
    )
    rates = [10 ** (36 - places) for places in decimals]
    for k, token, answer in zip(coins, lent, answers, strict=True):
        rate = value("uint256", answer, f"{getters[k]} of {token}")
        rates[k] = 10 ** (18 - decimals[k]) * rate
    return {
        "shape": shape,
        "amp_precise" if shape == "plain" else "amp": value("uint256", amp, f"A of {pool}"),
        "fee": value("uint256", fee, f"fee of {pool}"),
        "admin_fee": value("uint256", admin_fee, f"admin_fee of {pool}"),
        "balances": [value("uint256", x, f"balances of {pool}") for x in balances],
        "rates": rates,
    }
