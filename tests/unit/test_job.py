"""The job record and its state machine."""

import dataclasses
import json
from itertools import pairwise

import pytest

from core.jobs.failures import DEAD_LETTER, RETRYABLE, FailureCode, code_of, error_record
from core.jobs.job import Job, JobId, JobRequest, artifact_fields
from core.jobs.status import (
    HOLDS_SLOT,
    NEXT,
    STEP_STATUSES,
    TERMINAL,
    CallbackState,
    Status,
    Step,
    predecessors,
)

FULL = JobRequest(
    tenant="demo",
    model="flux-kontext-pro",
    input={"prompt": "ein Bär 😀", "seed": 0, "prompt_upsampling": False},
    input_keys={"input_image": "_inputs/1/input_image"},
    callback_url="https://example.com/done",
    origin="https://relay.example",
    client_secret="told to its receiver alone",
    output_key="{job_id}.{ext}",
    priority=-100,
    metadata={"order": [1, None, {"deep": True}]},
    retry_of=JobId("0"),
    created_at=1_700_000_000.125,
    deadline_at=1_700_086_400.125,
)
SMALLEST = JobRequest(tenant="t", model="flux-pro-1.1", input={}, created_at=1.0, deadline_at=2.0)


def test_every_status_has_a_row() -> None:
    """The table says of each status where it may go, and names no other status."""
    assert set(NEXT) == set(Status)
    assert frozenset[Status]().union(*NEXT.values()) <= set(Status)


def test_the_ends_are_the_ends() -> None:
    """Exactly the three terminal statuses lead nowhere."""
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELED} == TERMINAL


def test_the_table_is_the_one_that_was_designed() -> None:
    """Each move that the design names is there, and no other."""
    moves = {f"{status} {after}" for status, afters in NEXT.items() for after in afters}

    assert moves == {
        "queued submitting",
        "queued storing",
        "queued failed",
        "queued canceled",
        "submitting queued",
        "submitting generating",
        "submitting storing",
        "submitting failed",
        "submitting canceled",
        "generating storing",
        "generating failed",
        "generating canceled",
        "storing queued",
        "storing succeeded",
        "storing failed",
    }


@pytest.mark.parametrize("to", Status)
def test_before_is_the_inverse_of_next(to: Status) -> None:
    """`before` finds exactly the statuses whose row holds the target."""
    assert {status for status in Status if to in NEXT[status]} == predecessors(to)


def test_every_open_status_can_reach_every_good_end() -> None:
    """From wherever it stands, a job can still fail, and can still succeed."""
    for status in set(Status) - TERMINAL:
        reached = {status}
        while more := frozenset[Status]().union(*(NEXT[one] for one in reached)) - reached:
            reached |= more
        assert {Status.FAILED, Status.SUCCEEDED} <= reached


def test_every_status_has_a_step_that_goes_on() -> None:
    """No job waits at a status for which no step, and no deadline, is ever due."""
    assert set(STEP_STATUSES) == set(Step)
    assert frozenset[Status]().union(*STEP_STATUSES.values()) == set(Status)


def test_slots_are_held_where_the_provider_may_be_busy() -> None:
    """A job holds a slot from the grant until the provider is done, and no longer."""
    assert {Status.SUBMITTING, Status.GENERATING} == HOLDS_SLOT


@pytest.mark.parametrize("discarding", ["submitting", "generating", None])
def test_where_the_task_of_an_ended_job_is(discarding: str | None) -> None:
    """It is where it was when the job ended, until it has ended as well."""
    fields = {"request": SMALLEST.to_json(), "status": "canceled", "timeline": "canceled=1.000"}
    fields |= {"discarded": "1"} | ({"discarding": discarding} if discarding else {})

    job = Job.from_fields(JobId("1"), fields)

    assert (job.discarding, job.discarded) == (discarding, True)
    assert job.task_status == (discarding or "canceled")


@pytest.mark.parametrize("request_", [FULL, SMALLEST])
def test_a_request_survives_the_way_through_redis(request_: JobRequest) -> None:
    """What is read back equals what was written, also where everything optional is empty."""
    assert JobRequest.from_json(request_.to_json()) == request_


@pytest.mark.parametrize("most", [None, 0, 3])
def test_a_wish_for_no_second_submit_is_kept(most: int | None) -> None:
    """0 is a wish as well, unlike the absence of one."""
    request = dataclasses.replace(SMALLEST, max_resubmits=most)

    assert JobRequest.from_json(request.to_json()).max_resubmits == most


def test_a_client_s_secret_does_not_show() -> None:
    """A request that lands in a log or a traceback does not tell the client's webhook secret."""
    assert "told to its receiver alone" not in repr(FULL)


def test_empty_optional_fields_take_no_room() -> None:
    """The smallest request stores what is required and nothing else."""
    stored = json.loads(SMALLEST.to_json())

    assert set(stored) == {"tenant", "model", "input", "created_at", "deadline_at"}


def test_the_smallest_record_can_be_read() -> None:
    """A record as it is right after intake reads with every later field empty."""
    fields = {"status": "queued", "request": SMALLEST.to_json(), "timeline": "queued=12.500"}

    job = Job.from_fields(JobId("1"), fields)

    assert (job.status, job.timeline) == (Status.QUEUED, ((Status.QUEUED, 12.5),))
    assert (job.seed, job.cost, job.posting_at, job.image, job.ended_at) == (None,) * 5
    assert (job.artifacts, job.more_urls) == ((), {})
    assert job.callback_state is CallbackState.NONE


@pytest.mark.parametrize("kinds", [["image/webp"], ["video/mp4"], ["video/mp4", "a/b"]])
def test_artifacts_survive_the_way_through_redis(kinds: list[str]) -> None:
    """One image, one video, or a video with its bundle: what is read equals what was written."""
    roles = ("sample", "draft_cache")
    artifacts = [
        {"role": role, "bucket": "b", "key": f"k.{role}", "content_type": kind, "bytes": 5}
        for role, kind in zip(roles, kinds, strict=False)
    ]
    fields = {"status": "queued", "request": SMALLEST.to_json(), "timeline": "queued=12.500"}

    job = Job.from_fields(JobId("1"), fields | artifact_fields(artifacts))

    assert list(job.artifacts) == artifacts
    assert (job.image is not None) == (kinds == ["image/webp"])


def test_an_image_is_recorded_as_earlier_versions_read_it() -> None:
    """While versions are mixed, those that know of no artifacts show a job's image all the same."""
    image = {"bucket": "b", "key": "k", "content_type": "image/png"}

    fields = artifact_fields([{"role": "sample", **image}])

    assert {name: json.loads(text) for name, text in fields.items()} == {"image": image}


def test_a_whole_record_can_be_read() -> None:
    """Every field comes back as the type that it was before Redis made it a text."""
    timeline = "queued=1.000;submitting=2.000;storing=3.000;failed=4.250"
    fields = {
        "status": "failed",
        "request": FULL.to_json(),
        "timeline": timeline,
        "pool": "default",
        "posting_at": "2.5",
        "posting_by": "run",
        "submits": "2",
        "resubmits": "1",
        "tries:poll": "7",
        "provider_id": "p",
        "polling_url": "https://api.example/get",
        "cost": "4.5",
        "result_url": "https://r.example/x?sig=1",
        "result_expires_at": "99.5",
        "seed": "0",
        "image": '{"key": "k", "content_type": "image/png"}',
        "more_urls": '{"draft_cache": "https://r.example/y?sig=2"}',
        "error": error_record(FailureCode.TIMED_OUT, "late"),
        "callback_state": "dead",
        "callback_attempts": "3",
        "callback_log": '[{"at": 1}]',
        "callback_from": "7.5",
        "callback_before": "2",
        "callback_resends": "1",
        "retried_as": "2",
        "task:poll": "not-a-field-of-the-job",
    }

    job = Job.from_fields(JobId("1"), fields)

    assert (job.posting_at, job.cost, job.result_expires_at, job.ended_at) == (2.5, 4.5, 99.5, 4.25)
    assert (job.submits, job.resubmits, job.tries, job.seed) == (2, 1, {"poll": 7}, 0)
    assert job.image == {"key": "k", "content_type": "image/png"}
    assert job.artifacts == ({"role": "sample", "key": "k", "content_type": "image/png"},)
    assert job.more_urls == {"draft_cache": "https://r.example/y?sig=2"}
    assert job.callback_log == ({"at": 1},)
    assert (job.callback_from, job.callback_before, job.callback_resends) == (7.5, 2, 1)
    assert job.retried_as == "2"
    assert all(later in NEXT[earlier] for (earlier, _), (later, _) in pairwise(job.timeline))


@pytest.mark.parametrize("code", FailureCode)
def test_an_error_says_whether_to_try_again(code: FailureCode) -> None:
    """Each failure's record holds its code, its words, and whether the same job has a chance."""
    record = json.loads(error_record(code, "words", details={"why": 1}, provider_status=""))

    assert record == {
        "code": code.value,
        "message": "words",
        "retryable": code in RETRYABLE,
        "details": {"why": 1},
    }


@pytest.mark.parametrize("code", FailureCode)
def test_what_the_caller_must_change_is_no_dead_letter(code: FailureCode) -> None:
    """Only moderation and bad input are; a refusal may be one of an account, or of a new rule."""
    own = {"invalid_input", "request_moderated", "content_moderated"}

    assert (code_of(error_record(code, "words")) in DEAD_LETTER) is (code not in own)
    assert code_of(None) is None


def test_what_the_caller_must_change_is_not_retryable() -> None:
    """Moderation, bad input and refusals do not get better by being sent again."""
    assert set(FailureCode) - RETRYABLE == {
        FailureCode.INVALID_INPUT,
        FailureCode.REQUEST_MODERATED,
        FailureCode.CONTENT_MODERATED,
        FailureCode.PROVIDER_REJECTED,
    }
