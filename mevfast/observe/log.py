"""Logging to standard error, as a terminal or as systemd's journal wants it.

Owns format and destination only. Nothing on the way from frame to send logs.
"""

import logging
import os
import sys

# RFC 5424 severities, which systemd reads from a `<N>` prefix (sd-daemon(3)).
_SEVERITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class _JournalFormatter(logging.Formatter):
    """One record, every line of it with its severity; the journal adds the time."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_SEVERITY.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines() or [""])


def in_journal() -> bool:
    """Say whether standard error is the journal: $JOURNAL_STREAM names its device and inode."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(sys.stderr.fileno())
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    except (OSError, ValueError):
        return False


def set_up(level: str = "info") -> None:
    """Send records of `level` ("debug", "info", "warning", "error") and above to standard error.

    Calling it again replaces what the last call set up.
    """
    handler = logging.StreamHandler()
    if in_journal():
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
