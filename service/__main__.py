"""`python -m service`: the public process. Exits 2 where the settings are wrong."""

import os
import sys
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
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
