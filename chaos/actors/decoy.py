"""A decoy image that only forged webhooks name: a request for it shows that one was believed."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from chaos.plan.job_orders import input_image
from stack.servers.ports import LOOPBACK, Ports

#: The image: a valid PNG.
PICTURE: Final = base64.b64decode(input_image(0))


class Decoy:
    """Serves the decoy image on a loopback port, and counts requests for it.

    The product's settings allow results from this host, so only the webhook's secret protects the
    product from it.
    """

    def __init__(self) -> None:
        self._ports = Ports()
        self._port = self._ports.take()
        self._server = _Server((LOOPBACK, self._port), _Handler)
        threading.Thread(target=self._server.serve_forever, name="bait", daemon=True).start()

    @property
    def url(self) -> str:
        """The image URL for forged webhooks."""
        return f"http://{LOOPBACK}:{self._port}/forged.png"

    @property
    def requests(self) -> int:
        """Number of requests for the image."""
        return self._server.requests

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._ports.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    requests = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if isinstance(self.server, _Server):
            self.server.requests += 1
        self.send_response(200)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, *_arguments: object) -> None:
        """Write nothing: the terminal shows the run."""
