"""Whether this process is about to leave."""


class Drain:
    """Begins with the first SIGTERM; from then on the process says that it is not ready."""

    def __init__(self) -> None:
        self.begun = False
