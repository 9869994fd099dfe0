"""Servers the stack's tests share: each is started once per session, for real."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.ports import Ports
from stack.receiver import CallbackReceiver
from stack.seaweed import SeaweedFS
from stack.valkey import Valkey

Eventually = Callable[..., None]


@pytest.fixture
def eventually() -> Eventually:
    """Return a function that fails unless a condition comes true within some seconds."""

    def wait(condition: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"the condition did not come true within {seconds:g} s")
            pause.wait(0.02)

    return wait


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    """Hold the ports of this session's servers."""
    with Ports() as held:
        yield held


@pytest.fixture(scope="session")
def valkey(ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run a Valkey."""
    directory = tmp_path_factory.mktemp("valkey")
    server = Valkey(ports.take(), directory=directory, log=directory / "log")
    try:
        server.process.start()
        server.process.wait_ready()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def seaweed(ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Run a SeaweedFS with a bucket."""
    directory = tmp_path_factory.mktemp("seaweedfs")
    server = SeaweedFS(ports, bucket="pictures", directory=directory, log=directory / "log")
    try:
        server.process.start()
        server.process.wait_ready()
        yield server
    finally:
        server.close()


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    """Run a receiver of callbacks."""
    with CallbackReceiver() as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Name a log file."""
    return tmp_path / "child.log"
