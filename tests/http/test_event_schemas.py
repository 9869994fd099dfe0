"""The events of both streams are as the OpenAPI document describes them."""

import json
import uuid
from collections.abc import Callable

import pytest

from core.jobs.status import Status
from stack.stack import Stack
from tests.http.batch_calls import accepted, item
from tests.http.conftest import Caller, SandboxDesk
from tests.http.described import assert_described
from tests.http.sse import Events, Frame
from tests.http.test_cancel import canceled

JOB, ALL = "/v1/jobs/{job_id}/events", "/v1/events"


def read_until(stream: Events, wanted: Callable[[Frame], bool]) -> list[Frame]:
    """Return the events of a stream up to one."""
    frames = [stream.event()]
    while not wanted(frames[-1]):
        frames.append(stream.event())
    return frames


def test_each_status_of_a_job_is_described(api: Caller, relay: Stack, sandbox: SandboxDesk) -> None:
    """From queued to each of the ends: what comes fits the schema of its event."""
    mark = uuid.uuid4().hex
    sandbox.faults(refuse_submit={"match": f"{mark} fails", "status": 422})
    seen = set[str]()
    for way in ("succeeds", "fails", "canceled"):
        job_id = api.create(f"{mark} {way}", metadata={"way": way})
        if way == "canceled":
            canceled(api, job_id)
        api.ended(job_id)
        path = f"/v1/jobs/{job_id}/events?last_event_id=0"
        with Events.of(relay.service_url, path, key=relay.api_key) as stream:
            frames = [frame for frame in stream.rest() if frame.event]
        for frame in frames:
            assert_described(api, JOB, frame)
        # The task of a canceled job may end in between, of which `provider` tells alone.
        assert frames[-1].data["job"] | {"provider": None} == api.job(job_id) | {"provider": None}
        seen.update(frame.event for frame in frames)

    assert seen >= {f"job.{status}" for status in Status}


def test_the_events_of_all_jobs_are_described(api: Caller, relay: Stack) -> None:
    """Those of a single job, of an item, of a batch that is complete, and the reset."""
    with Events.of(relay.service_url, "/v1/events?last_event_id=1-0", key=relay.api_key) as stream:
        single = api.create("alone")
        batch = accepted(api, {"items": [item("one"), item("two")]})["id"]
        frames = read_until(stream, lambda frame: frame.event == "batch.completed")
        if single not in {frame.data.get("job_id") for frame in frames}:
            frames += read_until(stream, lambda frame: frame.data["job_id"] == single)

    for frame in frames:
        assert_described(api, ALL, frame)
    assert frames[0].event == "reset"
    batches = {frame.data["batch"] for frame in frames[1:] if frame.event.startswith("job.")}
    assert {None, batch} <= batches


@pytest.mark.parametrize(
    "change",
    [{"status": "done"}, {"at": "now"}, {"batch": 7}, {"job_id": None}, {"batch": None}],
)
def test_a_difference_is_noticed(api: Caller, change: dict[str, object]) -> None:
    """The comparison above fails where an event is not as it is described."""
    good: dict[str, object] = {
        "job_id": "j",
        "status": "queued",
        "at": "2026-11-21T16:25:03.345Z",
        "batch": "b",
    }
    name = "job.queued"
    if change == {"batch": None}:
        good |= {"job_id": None, "status": "completed"}
        name = "batch.completed"
    frame = Frame({"id": "1-0", "event": name, "data": json.dumps(good | change)})
    with pytest.raises(AssertionError):
        assert_described(api, ALL, frame)
    assert_described(api, ALL, Frame(frame.fields | {"data": json.dumps(good)}))
