"""What signals do to the commands: the first one ends them in order, later ones change nothing."""

import signal
import sys
from types import FrameType
from typing import Final

#: Ctrl-C, a polite kill, and a terminal that was closed.
STOPPING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exit_on_signals() -> None:
    """Let the first signal raise SystemExit (128 plus its number), so that `finally` runs."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, _stop)


def ignore_signals() -> None:
    """Let no signal cut short what follows: to be called before things are put away."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _frame: FrameType | None) -> None:
    ignore_signals()
    sys.exit(128 + number)
