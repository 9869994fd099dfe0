"""A server on loopback that runs a function for each connection."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

#: Speaks for the server, and returns to close the connection.
Serve = Callable[[socket.socket], object]


class SocketServer:
    """Runs a function for each connection.

    Args:
        serve: Speaks for the server, and returns to close the connection.
    """

    def __init__(self, serve: Serve) -> None:
        self.connections = 0
        self._serve = serve
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._run, args=[connection], daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, contextlib.suppress(OSError):
            self._serve(connection)


def requests(connection: socket.socket, end: bytes) -> Iterator[bytes]:
    """Yield the requests of a connection, each of which ends with these bytes."""
    request = b""
    while more := connection.recv(65_536):
        request += more
        if request.endswith(end):
            yield request
            request = b""
