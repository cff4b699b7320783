"""The command `quote`: what one pool of a market file would pay, to check it by hand.

Owns the choice of pool and tokens, and the printing; the answer is _pool's.
"""

import argparse
import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from mevfast import market_file
from mevfast._fields import parse_integer
from mevfast._pool import Quote, Refused
from mevfast.errors import DataError
from mevfast.market_file import MarketFile, MarketPool, Token

HELP = """what one pool of a market file pays for an amount: output, price before and after, impact

Amounts are raw units of the token (wei). Prices are tokens out per token in at the margin, with
the fee taken off; impact is 1 - price after / price before, both from the pool's states.

example:
  python -m mevfast quote --market market.json --pool 0x88e6...5640 --in WETH --amount 1000000000
"""

EXIT_REFUSED = 1
_UINT256_MAX = (1 << 256) - 1
_DIGITS = 80  # every 256-bit integer exactly

_WHY = {
    "ZERO_AMOUNT": "the amount is 0",
    "NO_OUTPUT": "the pool would pay nothing, and reverts",
    "NO_LIQUIDITY": "the pool is empty, or has less than is asked for",
    "OVERFLOW": "the amount is beyond the contract's integer limits",
    "PRICE_LIMIT": "the price limit is already passed",
    "INVARIANT": "the contract's final check of its invariant fails",
    "UNSUPPORTED": "the contract has no such swap",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--market", required=True, metavar="FILE", help="a mevfast-market/1 file")
    parser.add_argument(
        "--pool", required=True, metavar="ADDRESS", help="the pool's address, or its Uniswap V4 id"
    )
    parser.add_argument(
        "--in", required=True, dest="token_in", metavar="TOKEN", help="address or symbol"
    )
    parser.add_argument(
        "--out", dest="token_out", metavar="TOKEN", help="needed where a pool has more than two"
    )
    parser.add_argument("--amount", required=True, metavar="N", help="raw units of the input")
    parser.add_argument(
        "--exact-out", action="store_true", help="N is the output: what input does it take?"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _find_pool(market: MarketFile, address: str) -> MarketPool:
    for pool in market.pools:
        if pool.address == address.lower():
            return pool
    raise DataError(f"--pool: expected a pool of {market.path}, was {address!r:.80}")


def _find_token(pool: MarketPool, name: str, option: str) -> int:
    """The index in the pool of a token by address, or by a symbol that only one of them has."""
    found = [
        index
        for index, token in enumerate(pool.tokens)
        if token.address == name.lower() or token.symbol == name
    ]
    if len(found) != 1:
        known = ", ".join(f"{token.symbol} {token.address}" for token in pool.tokens)
        problem = "was" if not found else "more than one is called"
        raise DataError(f"{option}: expected one of {known}; {problem} {name!r:.80}")
    return found[0]


def _choose_out(pool: MarketPool, token_in: int, name: str | None) -> int:
    if name is not None:
        token_out = _find_token(pool, name, "--out")
        if token_out == token_in:
            raise DataError(f"--out: expected another token than --in, was {name!r:.80}")
        return token_out
    if len(pool.tokens) != 2:
        raise DataError(
            f"--out: the pool has {len(pool.tokens)} tokens, name the one to receive: "
            + ", ".join(token.symbol for token in pool.tokens)
        )
    return 1 - token_in


def _units(amount: int, token: Token) -> str:
    with localcontext() as context:
        context.prec = _DIGITS
        return f"{Decimal(amount).scaleb(-token.decimals).normalize():f} {token.symbol}"


def _price(raw: float, token_in: Token, token_out: Token) -> str:
    scaled = float(Decimal(raw).scaleb(token_in.decimals - token_out.decimals))
    return f"{scaled:.10g} {token_out.symbol} per {token_in.symbol}"


@dataclass(frozen=True, slots=True)
class _Question:
    chosen: MarketPool
    token_in: Token
    token_out: Token
    amount: int
    exact_out: bool


def _json(question: _Question, answer: Quote | Refused) -> dict[str, Any]:
    common = {
        "pool": question.chosen.address,
        "kind": question.chosen.kind,
        "token_in": question.token_in.address,
        "token_out": question.token_out.address,
    }
    if isinstance(answer, Refused):
        return common | {"refused": answer.reason}
    after = {
        name: [str(entry) for entry in value] if isinstance(value, list) else str(value)
        for name, value in answer.after.items()
    }
    return common | {
        "amount_in": str(answer.amount_in),
        "amount_out": str(answer.amount_out),
        "price_before": answer.price_before,
        "price_after": answer.price_after,
        "price_impact": answer.price_impact,
        "after": after,
    }


def _text(question: _Question, answer: Quote) -> str:
    chosen, token_in, token_out = question.chosen, question.token_in, question.token_out
    impact = answer.price_impact
    lines = [
        f"pool          {chosen.address}, {chosen.kind}, "
        + "/".join(token.symbol for token in chosen.tokens),
        f"in            {answer.amount_in}  ({_units(answer.amount_in, token_in)})",
        f"out           {answer.amount_out}  ({_units(answer.amount_out, token_out)})",
        f"price before  {_price(answer.price_before, token_in, token_out)}",
        f"price after   {_price(answer.price_after, token_in, token_out)}",
        "impact        " + ("unknown: no price before" if impact is None else f"{impact:.6%}"),
    ]
    lines += [f"after         {name} = {value}" for name, value in answer.after.items()]
    filled = answer.amount_out if question.exact_out else answer.amount_in
    if filled != question.amount:
        lines.append(f"partial fill: of {question.amount}, then the liquidity ends")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """0 with an answer, 1 where the contract would revert; DataError for wrong input."""
    amount = parse_integer(args.amount, "--amount", 0, _UINT256_MAX)
    chosen = _find_pool(market_file.load(args.market), args.pool)
    i = _find_token(chosen, args.token_in, "--in")
    j = _choose_out(chosen, i, args.token_out)
    question = _Question(chosen, chosen.tokens[i], chosen.tokens[j], amount, args.exact_out)
    answer = chosen.pool.quote(i, amount, "out" if args.exact_out else "in", token_out=j)
    if args.json:
        print(json.dumps(_json(question, answer)))
    elif isinstance(answer, Refused):
        print(f"refused: {answer.reason}: {_WHY.get(answer.reason, 'no quote')}")
    else:
        print(_text(question, answer))
    return EXIT_REFUSED if isinstance(answer, Refused) else 0
