"""The limit of open files: it is raised as far as it may be, and bounds what may be open."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from stack.servers.fluxrelay import service_process
from stack.servers.ports import Ports
from stack.stack import Stack
from tests.http.conftest import OwnService
from tests.http.raw_http import Wire, ask, head

#: Half of it is what a process may have at the start.
HARD = 1024
#: By `sh`, because the tests' own fork server passes its own limits on.
WITH_LIMITS = f'ulimit -S -n {HARD // 2}; ulimit -H -n {HARD}; exec "$@"'
Start = Callable[..., OwnService]


@pytest.fixture
def start(relay: Stack, ports: Ports, tmp_path: Path) -> Iterator[Start]:
    """Return what starts a service that may open few files."""
    with ExitStack() as stack:

        def run(**variables: str) -> OwnService:
            port = ports.take()
            environment = relay.processes["service"].environment | variables
            environment["FLUXRELAY_PORT"] = str(port)
            process = service_process(port, variables=environment, logs=tmp_path)
            process.argv = ("sh", "-c", WITH_LIMITS, "sh", *process.argv)
            stack.callback(process.stop)
            process.start()
            process.wait_ready()
            return OwnService(process, f"http://127.0.0.1:{port}")

        yield run


def limits(service: OwnService) -> Any:
    """Return the line of the log that names the limits."""
    lines = map(json.loads, service.process.output().splitlines())
    (found,) = [line for line in lines if line["event"] == "service.limits"]
    return found


def test_the_limit_is_raised_to_the_highest(start: Start) -> None:
    """The log says what follows from it, and warns that fewer may wait than the settings say."""
    found = limits(start())

    assert found["level"] == "warning"
    assert "FLUXRELAY_MAX_WAITERS is 5000" in found["reason"]
    assert (found["open_files"], found["connections"]) == (HARD, HARD - 576)
    assert (found["waiting"], found["waiting_of_one_tenant"]) == (224, 224)
    assert found["events_of_one_tenant"] == 100


def test_limits_that_suffice_are_no_warning(start: Start) -> None:
    """What is configured holds."""
    found = limits(
        start(
            FLUXRELAY_MAX_CONNECTIONS="600",
            FLUXRELAY_MAX_WAITERS="300",
            FLUXRELAY_MAX_EVENT_STREAMS="7",
        )
    )
    assert found["level"] == "info"
    assert (found["connections"], found["waiting"]) == (600, 300)
    assert (found["events_of_one_tenant"], "reason" in found) == (7, False)


def test_a_flood_leaves_files_for_everything_else(start: Start, relay: Stack) -> None:
    """More half heads at once than the process may have open files, and health stays."""
    service = start()
    usual, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (usual, highest))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
        for _ in range(HARD + 100):
            wire = stack.enter_context(Wire.to(service.url))
            wire.socket.send(b"GET /livez HTTP/1.1\r\n")
        assert ask(service.url, head("GET", "/livez")).status == 200
        post = head("POST", "/v1/jobs", f"x-key: {relay.api_key}", "content-length: 2") + b"{}"
        assert ask(service.url, post).status == 422
