"""The command `scan`: the profitable cycles of a market file.

Owns which of the market's pools go into a search, the choice of start tokens, and the printing;
cycles are found and sized by _search. Must not quote by itself.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from mevfast import market_file, scan_global
from mevfast._cache import Table
from mevfast._fields import parse_integer
from mevfast._search import FUNDING_NAMES, Search
from mevfast.errors import DataError
from mevfast.execution.gas import GAS_FUNDING, GAS_HOPS
from mevfast.market_file import MarketFile, Token

HELP = """profitable cycles of a market file, best first

A cycle is 2 to 4 swaps that begin and end with the same start token, every pool at most once, with
the input that earns most. Each holds for the market as it is: of two that share a pool only one
can be taken. Amounts are exact: `python -m mevfast quote` on each hop gives the same, one by one.
Profit is counted in the start token; net profit is less the gas of a transaction at --gas-price.
Cycles are ranked by net profit in the first base token, at the price of their deepest pool.

With --global it says, too, what all pools could pay together, a bound for whoever trades all at
once, and what is left of it by taking cycles one after another, best first (docs/scan.md).

examples:
  python -m mevfast snapshot --config mevfast.toml -o market.json
  python -m mevfast scan market.json --top 10
  python -m mevfast scan market.json --start WETH --start USDC --gas-price 100000000 --json
  python -m mevfast scan market.json --global
"""

MAX_HOPS = 4
SHOWN = 20
"""Cycles in the table where --top does not say; --json has them all."""
MOST_PER_POOL = 8192
"""Candidates sized for one pool, best estimates first: all that a Search keeps."""
MOST_PLANS = 16
ROUNDS = 64
"""Of plans without a common pool, each on the market as those before leave it; then a new look."""
WIDE_UNITS = 64
"""More of the table's arena than a pool without ticks takes."""
_UINT64_MAX = (1 << 64) - 1
_DIGITS = 80  # every 256-bit integer exactly
_NO_PRICE = "no_price"
_CUT = "candidate_limit"


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: cycles as Search gives them, and what it did not look at."""

    cycles: list[dict[str, Any]]
    scanned_pools: int
    dropped: dict[str, int]
    elapsed_ms: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("market", metavar="MARKET", help="a mevfast-market/1 file, gzipped or not")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--max-hops", default=str(MAX_HOPS), metavar="N", help="longest cycle: 2, 3 or 4 (default)"
    )
    parser.add_argument(
        "--top", metavar="N", help=f"the best N (default: {SHOWN}, all of them with --json)"
    )
    parser.add_argument(
        "--start",
        action="extend",
        nargs="+",
        metavar="TOKEN",
        help="address or symbol of a token that cycles start from (default: the base tokens)",
    )
    parser.add_argument(
        "--gas-price", default="0", metavar="WEI", help="for one unit of gas (default: 0)"
    )
    parser.add_argument(
        "--global",
        dest="whole",
        action="store_true",
        help="also the most that all pools pay together, and what cycles one by one leave of it",
    )
    parser.add_argument(
        "--price",
        action="append",
        metavar="TOKEN=VALUE",
        help="with --global: what a whole token is worth, others nothing (default: base and start "
        "tokens at the market's own prices, in the first base token)",
    )


# ---- the search ----


def _table(market: MarketFile) -> Table:
    """The market's pools in a table of just the room they take."""
    room = sum(len(pool.pool.fields().get("ticks", ())) + WIDE_UNITS for pool in market.pools)
    table = Table(capacity=max(1, len(market.pools)), tick_capacity=max(1 << 10, 2 * room))
    for pool in market.pools:
        record = pool.record
        table.put(record.id, pool.kind, record.tokens, pool.pool, market.block)
    return table


def _search(table: Table, starts: Sequence[Token], unit: Token, max_hops: int) -> Search:
    """A search over all of a table, with gas as the engine expects it."""
    search = Search(table, [_bytes(token) for token in starts], _bytes(unit))
    search.configure(
        max_hops=max_hops, max_sized=MOST_PER_POOL, max_plans=MOST_PLANS, gas_hops=GAS_HOPS,
        gas_funding=tuple(GAS_FUNDING[name] for name in FUNDING_NAMES),
    )  # fmt: skip
    for slot in table.slots():
        search.add_pool(slot)
    return search


def scan(
    market: MarketFile,
    starts: Sequence[Token],
    *,
    max_hops: int = MAX_HOPS,
    most: int | None = None,
    gas_price: int = 0,
) -> Scan:
    """Every cycle that pays from and to one of `starts`, or the best `most` of them.

    `gas_price` in wei. The market must have base tokens: the first one is what gas is paid in.
    Where gas costs nothing, start tokens that no pool prices in it are searched as well, each by
    itself: their cycles stand last, for nothing ranks them among the others.
    """
    began = time.perf_counter()
    unit = market.base_tokens[0]
    table = _table(market)
    search = _search(table, starts, unit, max_hops)
    alone = [] if gas_price else [token for token in starts if not search.rate(_bytes(token))]
    groups = [([token for token in starts if token not in alone], unit)]
    groups += [([token], token) for token in alone]
    dropped: Counter[str] = Counter()
    cycles: list[dict[str, Any]] = []
    counted: set[bytes] = set()  # cycles through these were found in them
    for group, base in groups:
        if alone:
            search = _search(table, group, base, max_hops)
        room = None if most is None else most - len(cycles)
        if group and room != 0:
            found = search.cycles(None, gas_price, None if counted else room)
            fresh = [each for each in found if not counted & {h["token_in"] for h in each["hops"]}]
            cycles += fresh[:room]
        counted |= {_bytes(token) for token in group}
        dropped.update(search.dropped())
    return Scan(
        cycles=cycles,
        scanned_pools=len(market.pools),
        dropped=dict(dropped),
        elapsed_ms=(time.perf_counter() - began) * 1e3,
    )


def _bytes(token: Token) -> bytes:
    return bytes.fromhex(token.address[2:])


# ---- the choice of tokens ----


def start_tokens(market: MarketFile, names: Sequence[str] | None) -> list[Token]:
    """The tokens that cycles start from, each once; DataError for a name that is not one token."""
    if not market.base_tokens:
        raise DataError(f"{market.path}: base_tokens: expected at least one, was []")
    if not names:
        return list(market.base_tokens)
    return list(dict.fromkeys(_named(market, name) for name in names))


def _named(market: MarketFile, name: str, option: str = "--start") -> Token:
    found = [token for token in market.tokens if name.lower() == token.address]
    found = found or [token for token in market.tokens if name == token.symbol]
    if len(found) == 1:
        return found[0]
    if found:
        addresses = ", ".join(token.address for token in found[:5])
        raise DataError(
            f"{option}: expected one token, {len(found)} of {market.path} are called {name!r:.60}; "
            f"name it by its address: {addresses}"
        )
    raise DataError(
        f"{option}: expected the address or symbol of a token of {market.path}, was {name!r:.80}"
    )


def _prices(market: MarketFile, entries: Sequence[str]) -> dict[Token, float]:
    """What --price says of smallest units; DataError for a token or value that is none."""
    prices: dict[Token, float] = {}
    for entry in entries:
        name, mark, text = entry.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not mark or not 0.0 < value < math.inf:
            raise DataError(
                f"--price: expected TOKEN=VALUE, the value a number above 0, was {entry!r:.80}"
            )
        token = _named(market, name, "--price")
        if token in prices:
            raise DataError(f"--price: expected each token once, {name!r:.60} is there twice")
        prices[token] = value * 10.0**-token.decimals
    return prices


def _whole(
    market: MarketFile, starts: Sequence[Token], args: argparse.Namespace, max_hops: int
) -> scan_global.Whole:
    """What --global asks for."""
    if args.price:
        values, unit = _prices(market, args.price), None
        starts = starts if args.start else list(values)
    else:
        unit = market.base_tokens[0]
        values = scan_global.token_values(market.pools, [*market.base_tokens, *starts], unit)

    def take(state: MarketFile) -> list[dict[str, Any]]:
        """The search's own choice; in start tokens that it cannot rank, the best by the values."""
        search = _search(_table(state), starts, market.base_tokens[0], max_hops)
        chosen = search.find(rounds=ROUNDS) if unit is not None else []
        if chosen:
            return chosen
        alone = [t for t in starts if unit is None or not search.rate(_bytes(t))]
        best = (scan(state, [start], max_hops=max_hops, most=1).cycles for start in alone)
        return sorted(
            (cycle for cycles in best for cycle in cycles),
            key=lambda cycle: cycle["profit"] * values[worth[cycle["token"]]],
        )[-1:]

    worth = {_bytes(token): token for token in values}
    return scan_global.whole(market, values, unit, take)


# ---- printing ----


def _gas(cycle: dict[str, Any]) -> int:
    """What the transaction's gas costs, token units: min_profit, where no more is asked."""
    return int(cycle["min_profit"])


def _net(cycle: dict[str, Any]) -> int:
    """Profit less gas, token units."""
    return int(cycle["profit"]) - _gas(cycle)


def _json(result: Scan, market: MarketFile) -> dict[str, Any]:
    names = {pool.record.id[:20]: pool.address for pool in market.pools}
    return {
        "cycles": [
            {
                "profit_token": "0x" + cycle["token"].hex(),
                "amount_in": str(cycle["amount_in"]),
                "amount_out": str(cycle["amount_out"]),
                "profit": str(cycle["profit"]),
                "gas": str(_gas(cycle)),
                "net_profit": str(_net(cycle)),
                "hops": [
                    {
                        "pool": names[hop["pool"]],
                        "kind": hop["kind"],
                        "token_in": "0x" + hop["token_in"].hex(),
                        "token_out": "0x" + hop["token_out"].hex(),
                        "amount_in": str(hop["amount_in"]),
                        "amount_out": str(hop["amount_out"]),
                    }
                    for hop in cycle["hops"]
                ],
            }
            for cycle in result.cycles
        ],
        "scanned_pools": result.scanned_pools,
        "elapsed_ms": round(result.elapsed_ms, 3),
    }


def _units(amount: int, token: Token) -> str:
    with localcontext() as context:
        context.prec = _DIGITS
        return f"{Decimal(amount).scaleb(-token.decimals):f}"


def _way(cycle: dict[str, Any], names: dict[bytes, Token]) -> str:
    """The tokens and pools of a cycle, one swap a line."""
    return "\n".join(
        f"{names[hop['token_in']].symbol} > {names[hop['token_out']].symbol} {hop['kind']} "
        f"0x{hop['pool'].hex()}"
        for hop in cycle["hops"]
    )


def _grid(result: Scan, market: MarketFile) -> Grid:
    names = {bytes.fromhex(token.address[2:]): token for token in market.tokens}
    grid = Grid(show_lines=True)
    for title in ("token", "in", "gross", "gas", "net"):
        grid.add_column(title, justify="left" if title == "token" else "right", overflow="fold")
    grid.add_column("swaps", no_wrap=True)
    for cycle in result.cycles:
        token = names[cycle["token"]]
        grid.add_row(
            token.symbol,
            _units(cycle["amount_in"], token),
            _units(cycle["profit"], token),
            _units(_gas(cycle), token),
            _units(_net(cycle), token),
            _way(cycle, names),
        )
    return grid


def _remarks(result: Scan, market: MarketFile) -> list[str]:
    """What the cycles do not include, and why."""
    lines = []
    if result.dropped.get(_NO_PRICE):
        unit = market.base_tokens[0].symbol
        lines.append(
            f"left out: {result.dropped[_NO_PRICE]} candidates in start tokens that no "
            f"pool prices in {unit}: without --gas-price they need no price"
        )
    if result.dropped.get(_CUT):
        lines.append(
            f"left out: {result.dropped[_CUT]} candidates beyond {MOST_PER_POOL} of one pool"
        )
    return lines


def _print(result: Scan, market: MarketFile, limit: int) -> None:
    if result.cycles:
        console = Console(highlight=False, markup=False)
        if not console.is_terminal:
            console = Console(highlight=False, markup=False, width=200)
        console.print(_grid(result, market))
    full = len(result.cycles) == limit
    print(
        f"{'the best ' if full else ''}{len(result.cycles)} "
        f"{'cycle that pays' if len(result.cycles) == 1 else 'cycles that pay'}, "
        f"{result.scanned_pools} pools scanned at block {market.block} "
        f"in {result.elapsed_ms:.1f} ms"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the cycles; DataError for a wrong file or argument."""
    max_hops = parse_integer(args.max_hops, "--max-hops", 2, MAX_HOPS)
    gas_price = parse_integer(args.gas_price, "--gas-price", 0, _UINT64_MAX)
    if args.price and not args.whole:
        raise DataError("--price: expected with --global only, which it counts for")
    most = None if args.json else SHOWN
    if args.top is not None:
        most = parse_integer(args.top, "--top", 1, 1 << 30)
    market = market_file.load(args.market)
    starts = start_tokens(market, args.start)
    result = scan(market, starts, max_hops=max_hops, most=most, gas_price=gas_price)
    together = _whole(market, starts, args, max_hops) if args.whole else None
    if args.json:
        answer = _json(result, market)
        if together is not None:
            answer["global"] = scan_global.as_json(together)
        print(json.dumps(answer))
    else:
        _print(result, market, most or 0)
        if together is not None:
            print("\n".join(scan_global.as_text(together)))
    for line in _remarks(result, market):
        print(line, file=sys.stderr)
    return 0
