"""Whether this process is shutting down."""


class Drain:
    """Set by the first SIGTERM; from then on the process reports that it is not ready."""

    def __init__(self) -> None:
        self.started = False
