"""Whether this process is shutting down."""

from collections.abc import Callable


class Drain:
    """Set by the first SIGTERM; from then on the process reports that it is not ready."""

    def __init__(self) -> None:
        self.started = False
        #: Called once no more connections are accepted, to end requests that only wait.
        self.release_waiting: Callable[[], None] = _nobody_waits


def _nobody_waits() -> None:
    """Do nothing: the default."""
