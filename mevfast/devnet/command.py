"""The command `devnet`: the embedded chain alone, to play with."""

import argparse
import signal
import time

from mevfast.devnet.market import ENGINE_ACCOUNT
from mevfast.devnet.net import Devnet
from mevfast.devnet.node import BLOCK_TIME_S, DEV_ACCOUNTS
from mevfast.devnet.traders import SWAPS_PER_SECOND

HELP = "run the embedded chain with its market and traders until Ctrl-C"

_WATCH_S = 0.2


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, was {text}")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, was {text}")
    return value


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `devnet`."""
    parser.add_argument("--port", type=_port, default=0, help="0, the default: any free one")
    parser.add_argument("--seed", type=int, default=1, help="repeats what the traders decide")
    parser.add_argument("--no-traders", action="store_true", help="prices stand still")
    parser.add_argument(
        "--swaps-per-second", type=_positive, default=SWAPS_PER_SECOND, metavar="X",
        help="of all traders together (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--block-time", type=_positive, default=BLOCK_TIME_S, metavar="S",
        help="seconds between blocks (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--no-history", action="store_true",
        help="only the newest block's state is readable: memory stays flat for hours, where it "
        "would grow by 1 MB a block to 1.5 GB",
    )  # fmt: skip


def describe(net: Devnet) -> str:
    """What a newcomer needs to know about a running devnet, as lines of text."""
    market, account = net.market, DEV_ACCOUNTS[ENGINE_ACCOUNT]
    v2 = sum(1 for pool in market.pools if not pool.tick_spacing)
    lines = [
        f"WebSocket and HTTP   {net.ws_url}   {net.http_url}",
        f"chain id             {market.chain_id}",
        f"pools                {v2} Uniswap V2 kind, {len(market.pools) - v2} Uniswap V3",
    ]
    lines += [f"{factory.name:<20} {factory.address}" for factory in market.factories]
    lines += [
        f"{'Balancer V2 vault':<20} {market.balancer_vault}",
        f"{'Aave V3 pool':<20} {market.aave_pool}",
    ]
    lines += [
        f"{token.symbol:<20} {token.address}   {token.decimals} decimals" for token in market.tokens
    ]
    lines += [
        f"{'funded test account':<20} {account.address}",
        f"{'its key (published)':<20} 0x{account.key}",
        "stop with Ctrl-C",
    ]
    return "\n".join(lines)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def run(args: argparse.Namespace) -> int:
    """Runs until Ctrl-C or TERM (exit 0); DevnetError where the node or the traders end first."""
    previous = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        net = Devnet(
            seed=args.seed,
            block_time=args.block_time,
            traders=not args.no_traders,
            swaps_per_second=args.swaps_per_second,
            port=args.port,
            history=not args.no_history,
        )
        with net:
            print(describe(net), flush=True)
            while True:
                time.sleep(_WATCH_S)
                net.check()
    except KeyboardInterrupt:
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
