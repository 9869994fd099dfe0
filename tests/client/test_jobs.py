"""Jobs, by both clients, before the running product."""

import base64
import io
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import Image

from fluxrelay import ConflictError, FluxRelay, Job, JobFailedError, NotFoundError
from stack.receiver import CallbackReceiver
from tests.conftest import Eventually

MODEL = "flux-pro-1.1"
SMALL = {"width": 256, "height": 256}
#: No job has it.
NOBODY = "01a1feec-f067-755a-8075-f2b1b281c179"


def made(client: FluxRelay, prompt: str = "a fox", **more: object) -> Job:
    """Create a job with a small image."""
    return client.jobs.create(MODEL, {"prompt": prompt, **SMALL}, **more)  # type: ignore[arg-type]  # a test's fields


@pytest.mark.usefixtures("paused")
def test_a_job_is_created_with_every_field(client: FluxRelay) -> None:
    """What was asked for is what the service shows, and its times are times."""
    before = datetime.now(UTC)

    job = made(
        client,
        output={"key": f"client/{uuid.uuid4().hex}.{{ext}}"},
        callback="http://127.0.0.1:9/nobody",
        metadata={"order": 7},
        priority=3,
        regenerate=True,
        max_resubmits=2,
        deadline=timedelta(hours=1),
    )

    assert (job.model, job.input, job.metadata) == (
        MODEL,
        {"prompt": "a fox", **SMALL},
        {"order": 7},
    )
    assert (job.priority, job.regenerate, job.max_resubmits) == (3, True, 2)
    assert job.status == job.timeline[0].status == "queued"
    assert not job.ended
    assert job.callback is not None
    assert job.callback.url == "http://127.0.0.1:9/nobody"
    assert job.deadline_at is not None
    assert timedelta(minutes=59) < job.deadline_at - before < timedelta(minutes=61)
    assert job.raw["id"] == job.id
    # By its id or by itself; its place in line is what it was when asked.
    assert client.jobs.get(job.id).timeline == client.jobs.get(job).timeline == job.timeline
    client.jobs.cancel(job)


@pytest.mark.usefixtures("paused")
@pytest.mark.parametrize(
    ("chosen", "state"),
    [(("job.generating",), "none"), (("job.generating", "job.canceled"), "waiting")],
)
def test_a_job_shows_the_events_that_were_chosen(
    client: FluxRelay, chosen: tuple[str, ...], state: str
) -> None:
    """And whether its end will be told; without a choice, the ends are shown."""
    callback = {"url": "http://127.0.0.1:9/nobody"}
    job = made(client, callback=callback | {"events": list(chosen)})
    usual = made(client, callback=callback)

    for shown in (job, client.jobs.get(job)):
        assert shown.callback is not None
        assert (shown.callback.events, shown.callback.state) == (chosen, state)
    assert usual.callback is not None
    assert usual.callback.events == ("job.succeeded", "job.failed", "job.canceled")
    client.jobs.cancel(job)
    client.jobs.cancel(usual)


@pytest.mark.usefixtures("paused")
def test_a_deadline_may_be_a_time(client: FluxRelay) -> None:
    """A datetime with a zone is taken as it is, in whatever zone."""
    at = datetime.now(timezone(timedelta(hours=5))) + timedelta(hours=2)

    job = made(client, deadline=at)

    assert job.deadline_at is not None
    assert abs(job.deadline_at - at) < timedelta(seconds=1)
    client.jobs.cancel(job)


def test_the_same_key_makes_the_same_job(client: FluxRelay) -> None:
    """A caller's own idempotency key is sent; without one, each call makes a job of its own."""
    key = uuid.uuid4().hex

    first, again = (made(client, idempotency_key=key) for _ in range(2))
    third = made(client)

    assert first.id == again.id
    assert first.id != third.id


def test_a_job_is_awaited(client: FluxRelay) -> None:
    """The job that `wait` returns has ended, with its result."""
    job = client.jobs.wait(made(client))

    assert job.succeeded
    assert job.raise_for_status() is job
    assert job.image is not None
    assert (job.image.width, job.image.height) == (256, 256)
    sample = job.artifact()
    assert sample is not None
    assert (sample.role, sample.sha256) == ("sample", job.image.sha256)
    assert job.artifact("draft_cache") is None
    assert job.ended_at == job.timeline[-1].at


def test_a_request_waits_for_the_end(client: FluxRelay) -> None:
    """Asked to, the service answers once a job has ended, when it is made or when it is read."""
    job = made(client, wait=60)

    assert job.succeeded
    assert client.jobs.get(made(client), wait=60).succeeded


@pytest.mark.usefixtures("paused")
def test_a_queued_job_has_a_place_in_line(client: FluxRelay) -> None:
    """A later job is behind an earlier one; a job that has ended is in no line."""
    first, second = (client.jobs.get(made(client)) for _ in range(2))

    assert first.queue is not None
    assert second.queue is not None
    assert second.queue.position > first.queue.position
    assert client.jobs.cancel(second).queue is None
    client.jobs.cancel(first)


def test_a_failed_job_says_why(client: FluxRelay) -> None:
    """A job without a result is no error until it is asked; then the error has the job."""
    job = client.jobs.wait(made(client, "moderate-content=Violence"))

    assert (job.status, job.succeeded) == ("failed", False)
    assert job.error is not None
    assert job.error.code == "content_moderated"
    with pytest.raises(JobFailedError, match="content_moderated") as caught:
        job.raise_for_status()
    assert caught.value.job is job


@pytest.mark.usefixtures("paused")
def test_a_queued_job_is_canceled(client: FluxRelay) -> None:
    """It ends at once; canceled again, it stays as it is."""
    job = client.jobs.cancel(made(client))

    assert (job.status, job.ended) == ("canceled", True)
    assert client.jobs.cancel(job.id) == job
    with pytest.raises(JobFailedError, match="canceled"):
        job.raise_for_status()


def test_a_failed_job_is_retried(client: FluxRelay, faults: Callable[..., None]) -> None:
    """The new job names the old one; retried again, it is the same one."""
    mark = uuid.uuid4().hex
    faults(refuse_submit={"match": mark, "status": 422})
    failed = client.jobs.wait(made(client, mark))
    faults()

    job = client.jobs.retry(failed)

    assert (job.retry_of, client.jobs.retry(failed.id).id) == (failed.id, job.id)
    assert client.jobs.wait(job).succeeded
    with pytest.raises(ConflictError):
        client.jobs.retry(job)


def test_no_such_job(client: FluxRelay) -> None:
    """A job that is not there is an error of its own, with the problem's fields."""
    with pytest.raises(NotFoundError) as caught:
        client.jobs.get(NOBODY)

    assert (caught.value.status, caught.value.type) == (404, "no-such-job")
    with pytest.raises(ValueError, match="empty"):
        client.jobs.get("")


def test_files_are_inputs(client: FluxRelay, tmp_path: Path) -> None:
    """A path, bytes and an open file are sent as base64: the same job as the text itself makes."""
    buffer = io.BytesIO()
    Image.effect_noise((320, 288), 80).save(buffer, "PNG")
    content, key = buffer.getvalue(), uuid.uuid4().hex
    path = tmp_path / "input.png"
    path.write_bytes(content)
    opened = io.BytesIO(b"skipped" + content)
    opened.seek(7)
    ways = [path, content, opened, base64.b64encode(content).decode()]

    jobs = [
        client.jobs.create(
            "flux-kontext-pro",
            {"prompt": "a violet sky", "input_image": way},
            idempotency_key=key,
        )
        for way in ways
    ]

    assert len({job.id for job in jobs}) == 1
    assert jobs[0].input["input_image"] == {"bytes_in": "s3"}
    assert client.jobs.wait(jobs[0]).succeeded


def test_a_callback_is_sent_again(
    client: FluxRelay, receiver: CallbackReceiver, eventually: Eventually
) -> None:
    """The callback of an ended job comes once more, with the same id."""
    job = made(client, callback={"url": receiver.url})

    def delivered() -> bool:
        callback = client.jobs.get(job).callback
        return callback is not None and callback.state == "delivered"

    eventually(delivered)

    assert client.callbacks.resend(job).callback is not None

    first, again = receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
