"""Servers the stack's tests share: each is started once per session, for real."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.ports import Ports
from stack.receiver import CallbackReceiver
from stack.seaweed import SeaweedFS
from stack.valkey import Valkey

Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture
def eventually() -> Eventually:
    """Return a function that fails unless a condition comes true within 10 seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail("the condition did not come true within 10 s")

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
