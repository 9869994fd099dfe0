"""The receivers of callbacks that the pages print run as they are printed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from core.security.signatures import callback_secret, sign_callback
from tests.doc_pages import blocks, page


def test_the_receiver_of_the_readme_checks_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver runs as printed: it takes our callback and refuses one that was changed."""
    secret = callback_secret("a-master-secret-that-is-long-enough", "demo")
    monkeypatch.setenv("CALLBACK_SECRET", secret)
    (source,) = blocks(page("README.md"), "python")
    namespace: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102 - it is our own page
    body = b'{"type": "job.succeeded", "data": {"id": "1"}}'
    at = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign_callback([secret], "msg_1", at, body),
    }
    with (
        _serving(namespace["Receiver"]) as url,
        httpx.Client(trust_env=False, timeout=60) as client,
    ):
        assert client.post(url, content=body, headers=headers).status_code == httpx.codes.NO_CONTENT
        changed = client.post(url, content=body + b" ", headers=headers)
        assert changed.status_code == httpx.codes.UNAUTHORIZED


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/done"
        finally:
            server.shutdown()
            thread.join()
