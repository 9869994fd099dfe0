"""`python -m service`: the public process. Exits 2 where the settings are wrong."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import Final

import uvicorn

from core import log
from core.aws_session import credentials_problem
from core.errors import SettingsError
from core.settings import SERVICE, Settings
from core.trials import try_settings
from core.variables import injected
from service.app import create_app

#: Seconds that requests under way get after SIGTERM.
_GRACE: Final = 5
#: New objects after which the collector looks for cycles among them; a request makes hundreds that
#: live for as long as it waits.
_ALLOCATIONS: Final = 10_000


def main() -> int:
    """Serve until told to stop; return the exit code."""
    try:
        missing = credentials_problem()
        settings = Settings.from_env(
            os.environ, SERVICE, [missing] if missing else [], trial=try_settings
        )
    except SettingsError as error:
        print("The service cannot start:", *error.problems, sep="\n  ", file=sys.stderr)  # noqa: T201 - before logging is set up, for a person
        return 2
    log.set_up()
    log.event_of_injected(injected(os.environ))
    # uvicorn raises the signal again once it has shut down; a stop on request is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    app = create_app(settings)
    # What is there by now stays. A full collection would look through all of it, libraries and
    # their tables too, while every request waits: 50 ms, again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Whom to believe about the origin of a request is a setting of ours (service/origin.py).
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
    )
    return 0


def _leave(_signum: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
