"""A way to Redis that loses an answer."""

import contextlib
import socket
import threading
from typing import Final, Self

_PIECE: Final = 65_536


class LossyWay:
    """Passes bytes on to a server, but hangs up instead of passing on the answer to a command.

    Args:
        port: The server's, on loopback.
        command: What a request whose answer is lost holds.
    """

    def __init__(self, port: int, command: bytes) -> None:
        self._to = port
        self._command = command
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._to))
        with client, server, contextlib.suppress(OSError):
            while request := client.recv(_PIECE):
                server.sendall(request)
                answer = server.recv(_PIECE)
                if self._command in request:
                    return
                client.sendall(answer)
