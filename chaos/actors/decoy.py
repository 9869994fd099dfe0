"""A picture that no honest webhook names: whoever fetches it has believed a forged one."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from chaos.plan.job_orders import input_image
from stack.servers.ports import LOOPBACK, Ports

#: The bytes of the picture, a whole PNG.
PICTURE: Final = base64.b64decode(input_image(0))


class Bait:
    """Serves the picture on a loopback port, and counts who asks for it.

    Results may come from this host as far as the product's settings go, so nothing but the
    webhook's secret keeps the product from it.
    """

    def __init__(self) -> None:
        self._ports = Ports()
        self._port = self._ports.take()
        self._server = _Server((LOOPBACK, self._port), _Handler)
        threading.Thread(target=self._server.serve_forever, name="bait", daemon=True).start()

    @property
    def url(self) -> str:
        """What a forged webhook names as its picture's address."""
        return f"http://{LOOPBACK}:{self._port}/forged.png"

    @property
    def taken(self) -> int:
        """How often it was fetched."""
        return self._server.taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._ports.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    taken = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if isinstance(self.server, _Server):
            self.server.taken += 1
        self.send_response(200)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, *_arguments: object) -> None:
        """Write nothing: the terminal belongs to the run."""
