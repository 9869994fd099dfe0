"""Reserves free loopback ports, even while the server behind one is down.

They are below the kernel's range for outgoing connections. Inside that range, any outgoing
connection may get the port as its source between choice and start, and a client that retries
against a dead server can connect to itself, which looks like a server that came up.
"""

import contextlib
import random
import socket
from pathlib import Path
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"

#: SeaweedFS's gRPC port is its HTTP port plus this.
GRPC_OFFSET: Final = 10_000

_LOWEST: Final = 10_000
_ATTEMPTS: Final = 500
_RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoFreePortError(Exception):
    """No free loopback port was found."""


class Ports:
    """Chooses ports and reserves them against other launchers until closed.

    A reservation is a socket with an abstract name, bound while this process lives: binding is
    atomic, the kernel frees the name however the process ends, and nothing is left on disk.
    """

    def __init__(self) -> None:
        self._holds: dict[int, socket.socket] = {}

    def take(self, preferred: int | None = None) -> int:
        """Return a free port.

        Args:
            preferred: The one to return if it is free.

        Raises:
            NoFreePortError: There is none.
        """
        return self._choose(_first_outgoing_port(), (), preferred)

    def take_pair(self, preferred: int | None = None) -> int:
        """Return a port that is free together with the one `GRPC_OFFSET` above it.

        Args:
            preferred: The one to return if both are free.

        Raises:
            NoFreePortError: There is no such pair.
        """
        return self._choose(_first_outgoing_port() - GRPC_OFFSET, (GRPC_OFFSET,), preferred)

    def close(self) -> None:
        """Release every port."""
        while self._holds:
            self._holds.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _choose(self, end: int, offsets: tuple[int, ...], preferred: int | None) -> int:
        if preferred and self._hold_all([preferred, *(preferred + offset for offset in offsets)]):
            return preferred
        for _ in range(_ATTEMPTS):
            port = random.randrange(_LOWEST, end)  # noqa: S311  # not a secret
            if self._hold_all([port, *(port + offset for offset in offsets)]):
                return port
        raise NoFreePortError(f"no free port between {_LOWEST} and {end} on {LOOPBACK}")

    def _hold_all(self, ports: list[int]) -> bool:
        held: list[int] = []
        for port in ports:
            hold = _hold(port)
            if hold is None:
                for earlier in held:
                    self._holds.pop(earlier).close()
                return False
            self._holds[port] = hold
            held.append(port)
        return True


def is_free(port: int) -> bool:
    """Return whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Like servers: a predecessor's connections in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return True
    return False


def _hold(port: int) -> socket.socket | None:
    hold = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        hold.bind(f"\0fluxrelay-port-{port}")
    except OSError:
        hold.close()
        return None
    if not is_free(port):
        hold.close()
        return None
    return hold


def _first_outgoing_port() -> int:
    try:
        return int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768
