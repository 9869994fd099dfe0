"""Runs a real server for as long as a test, or several, need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from stack.servers.seaweed import SeaweedFS
from stack.servers.valkey import Valkey

_Server = TypeVar("_Server", Valkey, SeaweedFS)


@contextmanager
def running(server: _Server) -> Iterator[_Server]:
    """Start a server, wait until it is ready, and close it at the end."""
    try:
        server.process.start()
        server.process.wait_ready()
        yield server
    finally:
        server.close()
