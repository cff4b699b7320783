"""Proof that a pool is what it was read as: its own contract quotes what the kernel quotes.

For kinds that many contracts claim to be: forks of Solidly, whatever a Curve registry lists, and
whatever registered itself with Balancer's Vault. A pool that quotes otherwise is another form, and
its state would be worth nothing. Pools of one known bytecode need no proof.
"""

from collections.abc import Generator

from eth_abi.abi import encode

from mevfast._pool import Pool, Quote
from mevfast.dex.reads import Answer, Call, Question, calldata, decoded, selector, value
from mevfast.errors import DataError
from mevfast.model import PoolRecord

SHARES = (1000, 7)
"""Parts of a pool's balance that are asked about: little, and enough to move its price."""

_QUERY = "queryBatchSwap(uint8,(bytes32,uint256,uint256,uint256,bytes)[],address[],(address,bool,address,bool))"  # noqa: E501
_NOBODY = "0x" + "00" * 20


def prove(pool: PoolRecord, quoted: Pool) -> Generator[list[Question], list[Answer], None]:
    """Compares quotes of the contract with ours; DataError where they differ."""
    if pool.kind not in _CALLS:
        return
    amounts = _balances(quoted.fields())
    own = quoted.fields().get("bpt_index")
    traded = [index for index in range(len(pool.tokens)) if index != own]
    calls: list[Call] = []
    expected: list[tuple[str, int]] = []
    for token_in, token_out in ((traded[0], traded[-1]), (traded[-1], traded[0])):
        for share in SHARES:
            amount = amounts[token_in] // share
            quote = quoted.quote(token_in, amount, token_out=token_out) if amount else None
            if isinstance(quote, Quote):
                calls.append(_CALLS[pool.kind](pool, token_in, token_out, amount))
                expected.append((f"{amount} of token {token_in}", quote.amount_out))
    if not calls:
        return
    answers = yield list(calls)
    for (what, ours), answer in zip(expected, answers, strict=True):
        theirs = _amount(pool, answer, what)
        if abs(ours - theirs) > _slack(pool, theirs):
            raise DataError(
                f"it pays {theirs} for {what}, not {ours}: a form of {pool.kind} that is not known"
            )


def _balances(fields: dict[str, object]) -> list[int]:
    balances = fields.get("balances")
    if isinstance(balances, list):
        return [int(each) for each in balances]
    return [int(str(fields[name])) for name in ("reserve0", "reserve1")]


def _slack(pool: PoolRecord, amount: int) -> int:
    """What a view may answer beside what a swap pays."""
    if pool.kind.startswith(("curve_tri", "curve_two")):
        return 2 + amount // 10**8
    return 1 if pool.facts.get("shape") == "3pool" else 0  # the fee before the rate, or after it


def _amount(pool: PoolRecord, answer: bytes, what: str) -> int:
    if pool.kind.startswith("balancer"):
        (deltas,) = decoded(["int256[]"], answer, f"queryBatchSwap of {what}")
        return -int(min(deltas))
    return int(value("uint256", answer, f"its quote for {what}"))


def _pair(pool: PoolRecord, token_in: int, token_out: int, amount: int) -> Call:
    token = "0x" + pool.tokens[token_in].hex()
    return "0x" + pool.address.hex(), calldata("getAmountOut(uint256,address)", amount, token)


def _stable(pool: PoolRecord, token_in: int, token_out: int, amount: int) -> Call:
    data = calldata("get_dy(int128,int128,uint256)", token_in, token_out, amount)
    return "0x" + pool.address.hex(), data


def _crypto(pool: PoolRecord, token_in: int, token_out: int, amount: int) -> Call:
    data = calldata("get_dy(uint256,uint256,uint256)", token_in, token_out, amount)
    return "0x" + pool.address.hex(), data


def _vault(pool: PoolRecord, token_in: int, token_out: int, amount: int) -> Call:
    assets = ["0x" + pool.tokens[index].hex() for index in (token_in, token_out)]
    types = ["uint8", "(bytes32,uint256,uint256,uint256,bytes)[]", "address[]",
             "(address,bool,address,bool)"]  # fmt: skip
    funds = (_NOBODY, False, _NOBODY, False)
    data = encode(types, [0, [(pool.id, 0, 1, amount, b"")], assets, funds])
    return pool.facts["singleton"], selector(_QUERY) + data


_CALLS = {
    "solidly": _pair,
    "camelot_v2": _pair,
    "curve_stable": _stable,
    "curve_stable_ng": _stable,
    "curve_tricrypto_ng": _crypto,
    "curve_twocrypto_ng": _crypto,
    "balancer_weighted": _vault,
    "balancer_composable_stable": _vault,
}
