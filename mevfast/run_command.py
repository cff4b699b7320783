"""The service: trade on the node and by the rules of a config file until stopped."""

import argparse
import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from mevfast.chain import busy
from mevfast.config import Config, load_config
from mevfast.engine import Engine
from mevfast.execution.keys import load_signer
from mevfast.observe import latency, log, placement
from mevfast.observe.notify import Notifier

HELP = "the service: trade until stopped"

STATUS_S = 1.0
REPORT_S = 60.0

logger = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `run`."""
    parser.description = (
        "Loads the market, then trades until SIGTERM or Ctrl-C. Under systemd it says READY when "
        "the state is loaded and feeds the watchdog while heads arrive, a load goes on or the "
        "node is tried again. In mode shadow (the default of the config) it decides and counts "
        "but sends nothing. With loop.mode = spin it polls the node's socket instead of sleeping, "
        "which takes one core."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file")


def run(args: argparse.Namespace) -> int:
    """Runs until a signal; 0 when it was stopped by one."""
    config = load_config(args.config)
    log.set_up(config.log.level)
    return uvloop.run(_serve(config))


async def _serve(config: Config) -> int:
    assert config.key is not None  # load_config sees to it
    signer = load_signer(
        config.key.keystore, config.key.passphrase_credential, config.key.credential
    )
    notifier = Notifier()
    advice = placement.advice() if config.execution.mode == "live" else []
    engine = Engine(config, signer, on_live=lambda: _live(engine, notifier, advice))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.stop)
    logger.info(
        "mevfast in mode %s for %s on %s",
        config.execution.mode, signer.address, config.node.shown_url,
    )  # fmt: skip
    stop_spinning = _spin(loop) if config.loop.mode == "spin" else None
    status = asyncio.create_task(_status(engine, notifier))
    try:
        await engine.run()
    finally:
        if stop_spinning:
            stop_spinning()
        notifier.stopping()
        status.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await status
        notifier.close()
    logger.info("us by stage, half/99 of 100: %s", latency.line(engine.core.stages))
    logger.info("stopped: %s", _figures(engine))
    return 0


def _spin(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    logger.info('loop.mode = "spin": the loop polls and never sleeps, one core is taken by it')
    for line in placement.spin_advice():
        logger.warning("%s", line)
    return busy.spin(loop)


def _live(engine: Engine, notifier: Notifier, advice: list[str]) -> None:
    """The state is true; at the first time the advice is given, and used up."""
    while advice:
        logger.warning("%s", advice.pop(0))
    notifier.ready(f"live at block {engine.core.head_number}, {len(engine.table)} pools")


async def _status(engine: Engine, notifier: Notifier) -> None:
    """Feeds the watchdog while the engine gets on; a line with the figures once a minute."""
    elapsed = 0.0
    while True:
        await asyncio.sleep(STATUS_S)
        if engine.progresses:
            notifier.alive()
        notifier.status(engine.pause_reason or engine.core.doubt or _figures(engine))
        for mismatch in engine.core.audit.mismatches:
            logger.error("our quote was wrong, the pool is in quarantine: %s", mismatch)
        engine.core.audit.mismatches.clear()
        elapsed += STATUS_S
        if elapsed >= REPORT_S:
            elapsed = 0.0
            logger.info("%s", _figures(engine))
            logger.info("us by stage, half/99 of 100: %s", latency.line(engine.core.stages))


def _figures(engine: Engine) -> str:
    dropped = ", ".join(f"{name} {count}" for name, count in engine.search.dropped().items())
    landed = sum(engine.outcomes[name] for name in ("exact", "explained", "unexplained"))
    return (
        f"block {engine.core.head_number}, {engine.search.n_candidates} candidates "
        f"({dropped or 'none dropped'}), {engine.core.n_sent} sent, {landed} landed, "
        f"{engine.outcomes['reverted']} reverted, profit {engine.realised_wei} wei, "
        f"{engine.core.audit.n_mismatches} of {engine.core.audit.n_checks} quotes wrong"
    )
