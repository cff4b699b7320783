"""The command `state-hash`: one hash for all states of a market file, to compare with another's.

Owns the printing; file and hash are market_file's.
"""

import argparse
import json

from mevfast import market_file

HELP = """the hash of all pool states in a market file: equal states, equal hash

Two files, or a file and an engine, that hold the same pools in the same states have the same hash,
whatever their blocks and however the states came about; one wei of difference makes it another.
docs/market-file.md says how to compute it. A file that carries its hash is checked against it.

example:
  python -m mevfast state-hash market.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="a mevfast-market/1 file, gzipped or not")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Prints block, pools and hash; DataError for what is no market file."""
    market = market_file.load(args.file)
    found = market.state_hash or market_file.state_hash(market.pools)
    if args.json:
        answer = {"block": str(market.block), "pools": len(market.pools), "state_hash": found}
        print(json.dumps(answer))
    else:
        print(f"block       {market.block}\npools       {len(market.pools)}\nstate hash  {found}")
    return 0
