"""A service process that is told to stop while clients wait for jobs and read events."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from stack.stack import Stack
from tests.conftest import Eventually
from tests.http.conftest import Caller, OwnService, RunService
from tests.http.raw_http import Wire, head
from tests.http.sse import Events
from tests.http.test_graceful_shutdown import JOB, NEVER, drains, post

#: Seconds for requests to end: less than the waits, so only a wait that is ended by the stop is
#: answered before it is cut off.
GRACE = "30"


@dataclass
class Waiting:
    """Clients of one service, of whom each waits for something that does not come."""

    get: Wire
    post: Wire
    job: Events
    all: Events

    def ended(self) -> None:
        """Assert that each of them was answered, and is told to come again."""
        shown, created = self.get.answer(), self.post.answer()
        assert (shown.status, created.status) == (200, 202)
        for answer in (shown, created):
            assert json.loads(answer.body)["status"] == "queued"
            assert answer.headers["preference-applied"] == "wait=60"
            assert answer.headers["connection"] == "close"
        for stream in (self.job, self.all):
            last = stream.rest()[-1]
            assert list(last.fields) == ["retry"]
            assert 500 <= int(last.fields["retry"]) <= 3000


@contextmanager
def waiting(service: OwnService, key: str, job_id: str) -> Iterator[Waiting]:
    """Have clients wait for a job that stays queued, and for events."""
    path, asking = f"/v1/jobs/{job_id}", f"x-key: {key}"
    wait = post(key).removesuffix(b"\r\n") + b"prefer: wait=60\r\n\r\n"
    with ExitStack() as stack:
        shown, created = (stack.enter_context(Wire.to(service.url)) for _ in range(2))
        shown.send(head("GET", f"{path}?wait=60", asking))
        created.send(wait + JOB)
        paths = (f"{path}/events", "/v1/events")
        one, every = (stack.enter_context(Events.of(service.url, at, key=key)) for at in paths)
        assert one.event().event == "job.queued"
        assert every.next().id
        yield Waiting(shown, created, one, every)


def ends_well(service: OwnService, eventually: Eventually) -> None:
    """Assert that a service ends by itself, and had to cut nobody off."""
    eventually(lambda: not service.process.is_alive)
    assert service.process.exit_code == 0
    assert '"service.cut_off"' not in service.process.output()


@pytest.mark.usefixtures("full_house")
def test_streams_go_on_while_the_balancer_looks_away(
    *, own_service: RunService, relay: Stack, api: Caller, eventually: Eventually
) -> None:
    """Until the drain period is over events come, and new streams are served; then all end."""
    job_id = api.create("waits for a slot")
    pauses = {"FLUXRELAY_DRAIN_SECONDS": NEVER, "FLUXRELAY_SERVICE_GRACE_SECONDS": GRACE}
    with own_service(**pauses) as service, waiting(service, relay.api_key, job_id) as clients:
        service.process.request_stop()
        drains(service, eventually)

        with Events.of(service.url, "/v1/events", key=relay.api_key) as late:
            assert late.head.headers["connection"] == "close"
            assert late.next().id
            later = api.create("comes while the service leaves")
            for stream in (clients.all, late):
                while stream.event().data["job_id"] != later:
                    pass
            service.process.request_stop()  # ends the drain period
            assert list(late.rest()[-1].fields) == ["retry"]
        clients.ended()
        ends_well(service, eventually)


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize("pause", ["0", "0.2"])
def test_a_stop_ends_waits_and_streams(
    *, own_service: RunService, relay: Stack, api: Caller, eventually: Eventually, pause: str
) -> None:
    """One SIGTERM is enough: waits are answered, streams end with a hint, and the exit is 0."""
    job_id = api.create("waits for a slot")
    pauses = {"FLUXRELAY_DRAIN_SECONDS": pause, "FLUXRELAY_SERVICE_GRACE_SECONDS": GRACE}
    with own_service(**pauses) as service, waiting(service, relay.api_key, job_id) as clients:
        service.process.request_stop()
        clients.ended()
        ends_well(service, eventually)
