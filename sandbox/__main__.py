"""`python -m sandbox` starts the sandbox. It takes no arguments.

Its settings are `SANDBOX_...` variables: sandbox/README.md. Exits with 2 if they are invalid.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from sandbox.app import create_app
from sandbox.server.connections import Connections
from sandbox.settings import Settings, SettingsError

#: Seconds that open requests get to finish after SIGTERM.
GRACE_SECONDS = 1
#: Connections that may wait to be accepted.
BACKLOG = 2048
#: Seconds an idle connection stays open: long, so that no client sends into a closing connection.
KEEP_ALIVE_SECONDS = 75


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code, 2 for bad settings."""
    if arguments:
        return _explain(arguments)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - no log yet: this is for the terminal
        return 2
    connections = Connections()
    variable = "SANDBOX_LEDGER"
    try:
        app = create_app(settings, connections)
        variable = "SANDBOX_PORT"
        sockets = [_listening(settings.host, settings.port)]
        variable = "SANDBOX_REGIONS"
        sockets += [_listening(settings.host, port) for port in settings.regions.values()]
    except OSError as error:
        print(f"{variable}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Uvicorn raises the signal again after it has stopped; that is a normal exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        app,
        http=connections.protocol(),
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets)
    return 0


def _explain(arguments: Sequence[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print((__doc__ or "").strip())  # noqa: T201 - no log: this is for the terminal
        return 0
    print(f"{arguments[0]}: the sandbox takes no arguments; see --help", file=sys.stderr)  # noqa: T201 - as above
    return 2


def _listening(host: str, port: int) -> socket.socket:
    """Return a listening socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Sets TCP_NODELAY, which connections inherit; asyncio does not set it for a socket created
    # here. Without it a body is sent 40 ms after its headers, once the client has acknowledged
    # those.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
