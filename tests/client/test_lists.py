"""Lists of jobs, by both clients, and canceling by a filter."""

import uuid
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from fluxrelay import ConfirmMismatchError, FluxRelay, InvalidFieldsError
from tests.client.scripted_service import JOB, ScriptedService, says
from tests.client.test_jobs import MODEL, SMALL, made
from tests.conftest import Eventually


@pytest.mark.usefixtures("paused")
def test_jobs_are_listed(client: FluxRelay) -> None:
    """A page has as many jobs as asked for, newest first; all pages together have all of them."""
    jobs = [made(client, str(number)) for number in range(3)]
    begun = jobs[0].created_at
    newest_first = [job.id for job in reversed(jobs)]

    page = client.jobs.list(status=["queued", "submitting"], created_after=begun, limit=2)
    rest = client.jobs.list(
        status=["queued", "submitting"], created_after=begun, limit=2, cursor=page.next_cursor
    )

    assert [job.id for job in page] == newest_first[:2]
    assert len(page) == 2
    assert [job.id for job in rest.items][:1] == newest_first[2:]
    found = client.jobs.iterate(model="flux-pro-1.1", created_after=begun.timestamp(), limit=1)
    assert [job.id for job in found] == newest_first
    assert list(client.jobs.iterate(model="flux-dev", created_after=begun.isoformat())) == []
    assert list(client.jobs.list(created_before=begun, created_after=begun)) == []
    for job in jobs:
        client.jobs.cancel(job)


@pytest.mark.usefixtures("paused")
def test_jobs_are_canceled_by_a_filter(client: FluxRelay) -> None:
    """Only as many as were confirmed are canceled; else none, and the error says how many."""
    jobs = [made(client, str(number)) for number in range(2)]
    begun = jobs[0].created_at

    with pytest.raises(ConfirmMismatchError) as caught:
        client.jobs.cancel_many(3, created_after=begun, status=["queued", "submitting"])
    assert caught.value.count == 2
    assert not client.jobs.get(jobs[0]).ended
    result = client.jobs.cancel_many(2, created_after=begun, model="flux-pro-1.1")

    assert (result.canceled, result.not_canceled) == (2, 0)
    assert {client.jobs.get(job).status for job in jobs} == {"canceled"}


@pytest.mark.usefixtures("paused")
def test_jobs_are_found_by_metadata_and_by_batch(client: FluxRelay, eventually: Eventually) -> None:
    """Both filters admit the jobs that are meant and no others, for lists as for cancels."""
    mark = uuid.uuid4().hex
    single, other = (made(client, metadata={"order": name}) for name in (mark, "none"))
    items = [{"custom_id": "a", "model": MODEL, "input": {"prompt": "a fox", **SMALL}}]
    batch = client.batches.create(items)

    def of_the_batch() -> list[str]:
        return [job.id for job in client.jobs.iterate(batch=batch)]

    assert [job.id for job in client.jobs.list(metadata={"order": mark})] == [single.id]
    eventually(lambda: len(of_the_batch()) == 1)  # once its item is a job
    assert of_the_batch() == [job.id for job in client.batches.jobs(batch)]
    assert client.jobs.cancel_many(1, metadata={"order": mark}).canceled == 1
    assert client.jobs.get(single).status == "canceled"
    assert not client.jobs.get(other).ended
    assert client.jobs.cancel_many(1, batch=batch).canceled == 1
    assert client.batches.wait(batch).counts.canceled == 1
    client.jobs.cancel(other)


def test_a_bad_filter_is_refused(client: FluxRelay) -> None:
    """What the service does not take is told by the parameter's name."""
    with pytest.raises(InvalidFieldsError, match="status"):
        client.jobs.list(status="sleeping")
    with pytest.raises(InvalidFieldsError, match="metadata"):
        client.jobs.list(metadata={"unindexed": 1})


def test_every_filter_is_sent(scripted: FluxRelay, service: ScriptedService) -> None:
    """Each filter is a parameter of the query, as the service reads it."""
    service.says(says(200, {"jobs": [JOB], "next_cursor": None}))
    at = datetime(2026, 11, 21, 16, 25, tzinfo=UTC)

    scripted.jobs.list(
        status="failed",
        model="flux-3-image",
        created_after=at,
        created_before=1795278301.5,
        batch="a-batch",
        metadata={"order": 7, "paid": True, "name": "a&b=c"},
        limit=5,
        cursor="a cursor",
    )

    target = urlsplit(service.requests[0].target)
    assert target.path == "/v1/jobs"
    assert parse_qsl(target.query) == [
        ("status", "failed"),
        ("model", "flux-3-image"),
        ("created_after", "2026-11-21T16:25:00+00:00"),
        ("created_before", "1795278301.5"),
        ("batch", "a-batch"),
        ("metadata.order", "7"),
        ("metadata.paid", "true"),
        ("metadata.name", "a&b=c"),
        ("limit", "5"),
        ("cursor", "a cursor"),
    ]


def test_a_time_needs_its_zone(scripted: FluxRelay, service: ScriptedService) -> None:
    """A datetime without a zone may mean any of several, so it is refused, like what is none."""
    with pytest.raises(ValueError, match="zone"):
        scripted.jobs.list(created_after=datetime(2026, 11, 21))  # noqa: DTZ001 - that is the point
    with pytest.raises(TypeError, match="created_before must be"):
        scripted.jobs.list(created_before=date(2026, 11, 21))  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="since must be"):
        scripted.callbacks.replay(timedelta(hours=1))  # type: ignore[arg-type]  # that is the point
    assert service.requests == []


def test_pages_are_fetched_as_they_are_needed(
    scripted: FluxRelay, service: ScriptedService
) -> None:
    """Iterating takes the next page only when the one before it is used up."""
    service.says(
        says(200, {"jobs": [JOB], "next_cursor": "1"}),
        says(200, {"jobs": [], "next_cursor": "2"}),
        says(200, {"jobs": [JOB], "next_cursor": None}),
    )
    jobs = iter(scripted.jobs.iterate())

    assert next(jobs).id == JOB["id"]
    assert len(service.requests) == 1
    assert len(list(jobs)) == 1
    assert [urlsplit(request.target).query for request in service.requests] == [
        "",
        "cursor=1",
        "cursor=2",
    ]
