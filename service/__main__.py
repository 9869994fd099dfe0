"""`python -m service`: the public process. Exits 2 where the settings are wrong."""

import os
import signal
import sys
from types import FrameType
from typing import Final

import uvicorn

from core import log
from core.errors import SettingsError
from core.object_store import credentials_problem
from core.settings import SERVICE, Settings
from service.app import create_app

#: Seconds that requests under way get after SIGTERM.
_GRACE: Final = 5


def main() -> int:
    """Serve until told to stop; return the exit code."""
    try:
        missing = credentials_problem()
        settings = Settings.from_env(os.environ, SERVICE, [missing] if missing else [])
    except SettingsError as error:
        print("The service cannot start:", *error.problems, sep="\n  ", file=sys.stderr)  # noqa: T201 - before logging is set up, for a person
        return 2
    log.set_up()
    # uvicorn raises the signal again once it has shut down; a stop on request is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    uvicorn.run(
        create_app(settings),
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
