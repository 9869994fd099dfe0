"""Signal handling of the commands: the first signal ends them in order, later ones are ignored."""

import signal
import sys
from types import FrameType
from typing import Final

#: Ctrl-C, a plain kill, and a closed terminal.
STOPPING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exit_on_signals() -> None:
    """Make the first signal raise SystemExit (128 plus its number), so that `finally` runs."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, _stop)


def ignore_signals() -> None:
    """Ignore signals from now on: to be called before the cleanup."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _frame: FrameType | None) -> None:
    ignore_signals()
    sys.exit(128 + number)
