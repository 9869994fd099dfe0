"""A worker process that is told to stop: what it runs may end, within the operator's grace."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from stack.servers.fluxrelay import worker_process
from stack.servers.process import ManagedProcess
from tests.conftest import Eventually
from tests.contract.jobs import make_request, status_of
from tests.contract.scripted_server import Script, ScriptedServer, Wire, answer

JOB, OTHER = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481"), JobId("another")
#: Seconds of which no test could wait for the end.
LONG = "600"

Start = Callable[[str, str], ManagedProcess]


class Gate:
    """Holds answers back until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def open(self) -> None:
        """Let all answers go, those to come as well."""
        self._open.set()

    def before(self, script: Script) -> Script:
        """Return a script that waits at the gate."""

        def held(wire: Wire) -> None:
            if self._open.wait(30):
                script(wire)

        return held


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a closed gate, opened after the test."""
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def start(
    environment: Mapping[str, str], server: ScriptedServer, tmp_path: Path
) -> Iterator[Start]:
    """Return a function that runs the worker of a role, one task at a time, with a grace."""
    with contextlib.ExitStack() as running:

        def begin(role: str, grace: str) -> ManagedProcess:
            variables = {
                **environment,
                "FLUXRELAY_PROVIDER_URL": server.url,
                "FLUXRELAY_WORKER_CONCURRENCY": "1",
                "FLUXRELAY_WORKER_GRACE_SECONDS": grace,
                "FLUXRELAY_DOWNLOAD_TIMEOUT_SECONDS": "60",
            }
            process = worker_process(role, 1, variables=variables, logs=tmp_path)
            running.callback(process.kill)
            process.start()
            process.wait_ready()
            return process

        yield begin


def _storing(store: JobStore, server: ScriptedServer, job_id: JobId) -> None:
    """Have a job's result be known, on the scripted server."""
    now = time.time()
    store.create(job_id, make_request(created_at=now, deadline_at=now + 3600))
    known: dict[str, str | int | float | None] = {
        "provider_id": "t1",
        "result_url": f"{server.url}/image",
        "result_expires_at": now + 600,
    }
    assert store.move(job_id, Status.STORING, Change(set=known, wake=[Step.COLLECT]))


@pytest.fixture
def copying(
    start: Start, store: JobStore, server: ScriptedServer, eventually: Eventually
) -> Callable[[str], ManagedProcess]:
    """Return a function that runs a collect worker with a grace, held in a download."""

    def begin(grace: str) -> ManagedProcess:
        _storing(store, server, JOB)
        process = start("collect", grace)
        eventually(lambda: bool(server.requests), 20)
        return process

    return begin


def _told_to_stop(process: ManagedProcess, eventually: Eventually) -> dict[str, Any]:
    """Send SIGTERM; return what the worker then says, once it has."""
    process.request_stop()
    eventually(lambda: '"worker.stopping"' in process.output())
    (line,) = [line for line in process.output().splitlines() if '"worker.stopping"' in line]
    said: dict[str, Any] = json.loads(line)
    return said


def _has_left(process: ManagedProcess, eventually: Eventually) -> None:
    eventually(lambda: not process.is_alive, 20)
    assert process.exit_code == 0, process.log_tail()


def test_a_copy_under_way_is_completed(
    *,
    copying: Callable[[str], ManagedProcess],
    store: JobStore,
    server: ScriptedServer,
    gate: Gate,
    eventually: Eventually,
    picture: Callable[[str], bytes],
) -> None:
    """A download that began before the stop ends well; the worker leaves as soon as it has."""
    server.script = gate.before(answer(200, picture("PNG")))
    process = copying(LONG)

    said = _told_to_stop(process, eventually)
    assert (said["running"], said["grace_seconds"]) == (1, 600)
    _storing(store, server, OTHER)
    gate.open()

    _has_left(process, eventually)
    assert "worker.cut_off" not in process.output()
    assert status_of(store, JOB) is Status.SUCCEEDED
    assert status_of(store, OTHER) is Status.STORING
    assert len(server.requests) == 1


def test_a_copy_that_outlasts_the_grace_is_cut_off(
    *,
    copying: Callable[[str], ManagedProcess],
    store: JobStore,
    redis_client: "redis.Redis",
    server: ScriptedServer,
    gate: Gate,
    eventually: Eventually,
) -> None:
    """The grace is the operator's: once it is over the worker leaves, and the copy stays due."""
    server.script = gate.before(answer(200))
    process = copying("0.3")

    assert _told_to_stop(process, eventually)["grace_seconds"] == 0.3

    _has_left(process, eventually)
    assert '"worker.cut_off"' in process.output()
    assert status_of(store, JOB) is Status.STORING
    assert redis_client.zscore("due", f"{Step.COLLECT}:{JOB}") is not None


def test_a_second_signal_is_not_waited_for(
    *,
    copying: Callable[[str], ManagedProcess],
    store: JobStore,
    server: ScriptedServer,
    gate: Gate,
    eventually: Eventually,
) -> None:
    """Whoever tells it to stop twice does not want the grace to be waited for."""
    server.script = gate.before(answer(200))
    process = copying(LONG)
    _told_to_stop(process, eventually)

    process.request_stop()

    _has_left(process, eventually)
    assert "a second stop signal" in process.output()
    assert status_of(store, JOB) is Status.STORING


def test_a_submit_under_way_is_answered(
    *, start: Start, store: JobStore, server: ScriptedServer, gate: Gate, eventually: Eventually
) -> None:
    """A post that waits for its answer gets it, so that no doubt is left."""
    taken = json.dumps({"id": "t1", "polling_url": f"{server.url}/poll"}).encode()
    server.script = gate.before(answer(200, taken))
    now = time.time()
    store.create(JOB, make_request(created_at=now, deadline_at=now + 3600))
    process = start("submit", LONG)
    eventually(lambda: any(request.method == "POST" for request in server.requests), 20)

    _told_to_stop(process, eventually)
    gate.open()

    _has_left(process, eventually)
    assert status_of(store, JOB) is Status.GENERATING
