"""Shows a run's progress: one live line on a terminal, a line every few seconds elsewhere."""

import time
from typing import Final, Self

from rich.console import Console
from rich.status import Status

_EVERY: Final = 10.0  # seconds between lines without a terminal


class Progress:
    """Shows a run's progress; a context manager.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Status | None = console.status("") if console.is_terminal else None
        self._began = time.monotonic()
        self._said_at = -_EVERY

    def say(self, text: str, *, always: bool = False) -> None:
        """Show the current state; `always`: even where lines are rare."""
        seconds = time.monotonic() - self._began
        if self._live is not None:
            self._live.update(f"{seconds:4.0f} s  {text}")
        elif always or seconds - self._said_at >= _EVERY:
            self._said_at = seconds
            self._console.print(f"[{seconds:4.0f} s] {text}", markup=False, highlight=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()
