"""`python -m service` runs the public process. It takes no arguments.

Its settings are variables: docs/operations.md. Exits with 2 if they are invalid.
"""

import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

from uvicorn.config import STARTUP_FAILURE

from core import log
from core.errors import SettingsError
from core.operations.startup_checks import check_settings
from core.settings.settings import SERVICE, Settings
from core.settings.variables import injected, unknown
from core.storage.aws_checks import credentials_problem
from service.app import create_app
from service.http.drain import Drain
from service.server.limits import log_limits, raise_open_files
from service.server.server import Server

#: Allocations between garbage collections; one request allocates hundreds of objects that live as
#: long as it waits.
_ALLOCATIONS: Final = 10_000


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop, or say what this is; return the exit code."""
    if arguments:
        return _explain(arguments)
    raise_open_files()
    try:
        missing = credentials_problem()
        settings = Settings.from_env(
            os.environ, SERVICE, [missing] if missing else [], trial=check_settings
        )
    except SettingsError as error:
        print("The service cannot start:", *error.problems, sep="\n  ", file=sys.stderr)  # noqa: T201 - before logging is set up, for a person
        return 2
    log.set_up()
    log.event_of_injected(injected(os.environ))
    log.event_of_unknown(unknown(os.environ, Settings.names()))
    log_limits(settings)
    # uvicorn re-raises the signal after its shutdown; a requested stop must exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    drain = Drain()
    server = Server(create_app(settings, drain), settings, drain)
    # Everything loaded so far is permanent. Without freezing, each full collection would scan it
    # all, libraries included, and block every request for 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
    server.run()
    return 0 if server.started else STARTUP_FAILURE


def _explain(arguments: Sequence[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print((__doc__ or "").strip())  # noqa: T201 - for a person
        return 0
    print(f"{arguments[0]}: the service takes no arguments; see --help", file=sys.stderr)  # noqa: T201 - for a person
    return 2


def _leave(_signum: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def run() -> NoReturn:
    """Serve, then end at once.

    A thread that waits for a silent S3, for a request that was cut off, must not keep the process.
    """
    try:
        code = main(sys.argv[1:])
    except SystemExit as end:  # of `_leave`, or of uvicorn where it cannot listen
        code = end.code if isinstance(end.code, int) else 1
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
