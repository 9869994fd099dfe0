"""Where a task is asked for that the provider named by a URL, and who gets our key."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.provider.wire_format import Kind, Notice
from tests.contract.harness import A, Bench, meanwhile, said
from tests.contract.scripted_server import ScriptedServer, answer
from worker.clients.provider import ProviderClient
from worker.steps.poll import poll
from worker.steps.submit import submit

PENDING = said(200, {"id": "t1", "status": "Pending"})


def _taken(bench: Bench, **body: Any) -> None:
    bench.accept()
    bench.server.script = said(200, body)
    submit(A, bench.deps)
    bench.server.requests.clear()


def test_a_task_without_an_id_is_asked_for_at_its_polling_url(bench: Bench) -> None:
    """That URL is all there is; the id is noted once the provider tells it."""
    _taken(bench, polling_url=f"{bench.server.url}/tasks/7")
    assert (bench.job.status, bench.job.provider_id) == (Status.GENERATING, None)
    bench.server.script = PENDING

    poll(A, bench.deps)

    (request,) = bench.server.requests
    assert request.target == "/tasks/7"
    assert bench.job.provider_id == "t1"


def test_an_id_in_the_polling_url_is_the_task_s(bench: Bench) -> None:
    """So the account's other hosts can be asked as well."""
    _taken(bench, polling_url=f"{bench.server.url}/v1/get_result?id=t1")

    assert bench.job.provider_id == "t1"


def test_a_number_is_asked_for_as_text(bench: Bench) -> None:
    """The provider wrote the id as a number, and knows its task by that."""
    _taken(bench, id=12345)
    bench.server.script = said(200, {"id": 12345, "status": "Pending"})

    poll(A, bench.deps)

    assert bench.server.requests[0].target == "/v1/get_result?id=12345"


def test_the_key_goes_to_no_foreign_host(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The account's own host is asked instead, and the foreign one is warned of once."""
    with ScriptedServer() as foreign:
        url = f"http://localhost:{foreign.port}/v1/get_result?id=t1"
        _taken(bench, id="t1", polling_url=url)
        bench.server.script = PENDING
        with caplog.at_level(logging.WARNING, "worker.provider"):
            poll(A, bench.deps)
            poll(A, bench.deps)
        assert foreign.requests == []

    assert {request.target for request in bench.server.requests} == {"/v1/get_result?id=t1"}
    warned = [entry for entry in caplog.records if entry.getMessage() == "provider.foreign_host"]
    assert len(warned) == 1


def test_a_foreign_polling_url_that_alone_names_the_task_is_a_yes_without_a_name(
    bench: Bench,
) -> None:
    """It cannot be asked for, so the job is lost rather than the key given away."""
    with ScriptedServer() as foreign:
        _taken(bench, polling_url=f"http://localhost:{foreign.port}/tasks/7")
        assert foreign.requests == []

    assert bench.error == FailureCode.LOST


def test_another_port_of_the_own_host_is_asked(bench: Bench) -> None:
    """Regions of a provider on this machine differ by their port."""
    with ScriptedServer() as region:
        region.script = said(200, {"id": "t1", "status": "Ready", "result": {"sample": "http://x"}})
        _taken(bench, id="t1", polling_url=f"{region.url}/v1/get_result?id=t1")

        poll(A, bench.deps)

        assert [request.headers["x-key"] for request in region.requests] == [
            "provider-key-of-a-test"
        ]
    assert bench.job.status is Status.STORING


def test_a_redirected_question_takes_the_key_nowhere(bench: Bench) -> None:
    """Redirects of the API are not followed, wherever they lead."""
    with ScriptedServer() as foreign:
        _taken(bench, id="t1", polling_url=f"{bench.server.url}/v1/get_result?id=t1")
        location = f"location: http://localhost:{foreign.port}/"
        bench.server.script = answer(307, b"", location)

        poll(A, bench.deps)

        assert foreign.requests == []


@dataclass(frozen=True)
class _Timed:
    """Notes how long each answer may take; what else it is asked for, it passes on."""

    real: ProviderClient
    given: list[float | None]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def result(
        self, url: str, within: float | None = None, lifetime: float | None = None
    ) -> Notice:
        """Note the time, and say that the task is not done."""
        assert url
        assert lifetime is None
        self.given.append(within)
        return Notice(kind=Kind.PENDING, status="Pending")


@pytest.mark.parametrize(("left", "given"), [(50.0, 50.0), (0.5, 2.0), (0.0, 2.0), (-30.0, 2.0)])
def test_the_last_question_does_not_outlast_the_deadline_by_much(
    bench: Bench, left: float, given: float
) -> None:
    """A silent host must not keep the job, and its slot, for the usual time limit."""
    bench.accept(deadline_at=bench.clock.now + left)
    bench.generating()
    times: list[float | None] = []
    timed = cast("ProviderClient", _Timed(bench.deps.providers["default"], times))
    providers: Mapping[str, ProviderClient] = {"default": timed}

    poll(A, replace(bench.deps, providers=providers))

    assert times == [given]
    assert bench.job.status is (Status.GENERATING if left > 0 else Status.FAILED)


def test_a_late_webhook_s_task_is_not_forgotten_by_a_poll(bench: Bench) -> None:
    """What a poll tells fills in what is not known, and replaces nothing."""
    bench.accept()
    bench.generating(provider_id="t0")
    bench.server.script = meanwhile(lambda: None, PENDING)

    poll(A, bench.deps)

    assert bench.job.provider_id == "t0"
    assert bench.due_in(Step.POLL) is not None
