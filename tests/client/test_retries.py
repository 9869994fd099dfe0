"""When a request is sent again, by both clients, before a service that fails as scripted."""

import json
from pathlib import Path

import pytest

from fluxrelay import (
    FluxRelay,
    RetryPolicy,
    ServerError,
    TooManyRequestsError,
    UnavailableError,
    UnreachableError,
)
from stack.servers.ports import Ports
from tests.client.conftest import MakeClient
from tests.client.scripted_service import (
    JOB,
    ScriptedService,
    hangs_up,
    refuses,
    says,
)
from tests.contract.scripted_server import ScriptedServer, answer

ACCEPTED = says(202, JOB)


@pytest.mark.parametrize(
    "failure",
    [
        hangs_up,
        answer(200, b"cut off", length=100),
        refuses(503, "unavailable", "retry-after: 0"),
        refuses(503, "stopped"),
        refuses(429, "backlog-full", "retry-after: 0"),
        refuses(408, "too-slow"),
        answer(502, b"<html>a proxy</html>"),
        answer(504),
    ],
)
def test_the_key_is_kept_over_retries(
    scripted: FluxRelay, service: ScriptedService, failure: object
) -> None:
    """A job is created in spite of failures; each attempt has the same key and the same body."""
    service.says(failure, failure, ACCEPTED)  # type: ignore[arg-type]  # scripts, all of them

    job = scripted.jobs.create("flux-pro-1.1", {"prompt": "a fox"})

    assert job.id == JOB["id"]
    assert len(service.requests) == 3
    assert len({request.headers["idempotency-key"] for request in service.requests}) == 1
    assert len({request.body for request in service.requests}) == 1


def test_each_call_has_a_key_of_its_own(scripted: FluxRelay, service: ScriptedService) -> None:
    """Two calls are two jobs, even with the same content."""
    service.says(ACCEPTED)

    for _ in range(2):
        scripted.jobs.create("flux-pro-1.1", {"prompt": "a fox"})

    assert len({request.headers["idempotency-key"] for request in service.requests}) == 2


def test_a_file_is_sent_anew_with_each_attempt(
    scripted: FluxRelay, service: ScriptedService, tmp_path: Path
) -> None:
    """A body that is read from files is whole in each attempt."""
    path = tmp_path / "input"
    path.write_bytes(b"\x00\x01" * 300_000)
    service.says(hangs_up, ACCEPTED)

    with path.open("rb") as file:
        scripted.jobs.create("m", {"images": [path, file, b"\x02"], "prompt": "é"})

    first, second = (json.loads(request.body) for request in service.requests)
    assert first == second
    assert {len(text) for text in first["input"]["images"]} == {800_000, 4}


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 501])
def test_what_cannot_help_is_not_done(
    scripted: FluxRelay, service: ScriptedService, status: int
) -> None:
    """A refusal that a repetition would not change is raised at once."""
    service.says(refuses(status, "a-refusal"))

    with pytest.raises(Exception, match="refused as a-refusal"):
        scripted.jobs.get("an-id")

    assert len(service.requests) == 1


def test_the_last_failure_is_raised(scripted: FluxRelay, service: ScriptedService) -> None:
    """After all retries the error is raised; its key makes a repetition by the caller safe."""
    service.says(refuses(503, "unavailable", "retry-after: 0"))

    with pytest.raises(UnavailableError) as caught:
        scripted.jobs.create("m", {})

    assert len(service.requests) == 1 + RetryPolicy().retries
    assert caught.value.idempotency_key == service.requests[0].headers["idempotency-key"]
    assert caught.value.retry_after == 0


def test_a_long_retry_after_is_the_callers(scripted: FluxRelay, service: ScriptedService) -> None:
    """The client does not wait for longer than it says; the error says when to come back."""
    service.says(refuses(429, "backlog-full", "retry-after: 3600"))

    with pytest.raises(TooManyRequestsError) as caught:
        scripted.jobs.get("an-id")

    assert (caught.value.retry_after, len(service.requests)) == (3600, 1)


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [
        (hangs_up, 1),
        (refuses(503, "stopped"), 1),
        (answer(502), 1),
        (refuses(503, "unavailable", "retry-after: 0"), 5),
    ],
)
def test_what_may_have_happened_is_not_repeated(
    scripted: FluxRelay, service: ScriptedService, failure: object, attempts: int
) -> None:
    """A request that must not be done twice is sent again only if it was not begun."""
    service.says(failure)  # type: ignore[arg-type]  # a script

    with pytest.raises((UnreachableError, UnavailableError)):
        scripted.request("POST", "/v1/anything", json={})

    assert len(service.requests) == attempts


def test_nobody_listens(make_client: MakeClient) -> None:
    """Without a service there is an error that says so, and that nothing was sent."""
    with Ports() as ports:
        client = make_client(f"http://127.0.0.1:{ports.take()}", "a-key")

        with pytest.raises(UnreachableError, match="no answer to GET http") as caught:
            client.jobs.get("an-id")

    assert not caught.value.sent


def test_a_fault_of_the_service(scripted: FluxRelay, service: ScriptedService) -> None:
    """An error within the service is an error of its own."""
    service.says(refuses(500, "internal"))

    with pytest.raises(ServerError) as caught:
        scripted.models.list()

    assert caught.value.type == "internal"


def test_what_the_first_attempt_sent_counts(make_client: MakeClient) -> None:
    """A service that dies over a request, and is then away, may have carried it out."""
    with ScriptedServer() as dying:
        dying.script = lambda _wire: dying.close()
        client = make_client(dying.url, "a-key")
        with pytest.raises(UnreachableError, match="ConnectError") as caught:
            client.jobs.create("m", {})
        assert (len(dying.requests), caught.value.sent) == (1, True)
        with pytest.raises(UnreachableError) as caught:
            client.jobs.create("m", {})
        assert not caught.value.sent
