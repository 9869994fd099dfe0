"""A result that died before it was stored, made again: once, for callers who asked for it."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
import redis

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.jobs.views import job_view
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from core.settings.settings import WORKER, Settings
from tests.contract.jobs import make_request
from tests.contract.scripted_server import ScriptedServer, Wire, answer
from worker.deps import Deps
from worker.runtime import wiring
from worker.steps.collect import collect
from worker.steps.poll import poll
from worker.steps.submit import submit

A = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
FIRST = Notice(kind=Kind.READY, status="Ready", provider_id="first", url="https://x/first", seed=7)
_TAKEN = b'{"id": "second", "polling_url": "https://x/second", "cost": 5}'


@pytest.fixture
def deps(
    environment: Mapping[str, str], server: ScriptedServer, redis_client: "redis.Redis"
) -> Iterator[Deps]:
    """Return what steps work with."""
    redis_client.ping()
    variables = {**environment, "FLUXRELAY_PROVIDER_URL": server.url}
    built = wiring.build(Settings.from_env(variables, WORKER))
    yield built
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


def _job(deps: Deps) -> Job:
    job = deps.store.load(A)
    assert job is not None
    return job


def _dead(deps: Deps, server: ScriptedServer, *, regenerate: bool, deadline: float = 900) -> None:
    """Have a job whose first result is dead and un-stored, and its collect step say so."""
    now = time.time()
    request = make_request(
        created_at=now,
        deadline_at=now + deadline,
        callback_url="https://h/c",
        regenerate=regenerate,
    )
    deps.store.create(A, request)
    _die(deps, server)


def _die(deps: Deps, server: ScriptedServer) -> None:
    _store(deps, server, time.time() - 1)
    server.script = answer(403, b"dead")
    collect(A, deps)


def _store(deps: Deps, server: ScriptedServer, dies_at: float) -> None:
    told: dict[str, str | int | float | None] = {"provider_id": "first", "cost": 4.0, "seed": 7}
    told |= {"result_url": f"{server.url}/first", "result_expires_at": dies_at}
    assert deps.store.move(A, Status.STORING, Change(set=told))


def test_it_is_made_again_with_the_same_seed(deps: Deps, server: ScriptedServer) -> None:
    """The second submit asks for the picture of the first one, and the view shows both payments."""
    _dead(deps, server, regenerate=True)
    server.script = answer(200, _TAKEN)

    submit(A, deps)

    job = _job(deps)
    assert job.status is Status.GENERATING
    assert json.loads(server.requests[-1].body)["seed"] == 7
    provider = job_view(job)["provider"]
    assert (provider["id"], provider["cost"]) == ("second", 5.0)
    assert provider["expired"] == {"id": "first", "cost": 4.0}
    assert [status for status, _ in job.timeline[-4:]] == [
        *(Status.STORING, Status.QUEUED, Status.SUBMITTING, Status.GENERATING),
    ]


def test_without_the_wish_it_fails(deps: Deps, server: ScriptedServer) -> None:
    """Nobody is made to pay twice."""
    _dead(deps, server, regenerate=False)

    job = _job(deps)
    assert job.error is not None
    assert job.error["code"] == FailureCode.RESULT_EXPIRED
    assert job_view(job)["provider"]["expired"] is None


def test_it_is_made_again_only_once(deps: Deps, server: ScriptedServer) -> None:
    """A second result that dies is the end."""
    _dead(deps, server, regenerate=True)

    _die(deps, server)

    job = _job(deps)
    assert (job.status, job.regenerations) == (Status.FAILED, 1)


def test_not_after_the_deadline(deps: Deps, server: ScriptedServer) -> None:
    """A job that is over its time is not begun anew."""
    _dead(deps, server, regenerate=True, deadline=-1)

    assert _job(deps).status is Status.FAILED


def test_its_deadline_is_watched_again(
    deps: Deps, server: ScriptedServer, redis_client: "redis.Redis"
) -> None:
    """Waiting for a slot a second time, it still ends in time."""
    _dead(deps, server, regenerate=True)

    assert redis_client.zscore("due", f"{Step.DEADLINE}:{A}") == _job(deps).request.deadline_at


@pytest.mark.parametrize(
    "late",
    [
        FIRST,
        Notice(kind=Kind.READY, status="Ready", url="WITHOUT-ID"),
        Notice(kind=Kind.FAILED, status="Error", provider_id="first", message="m"),
        Notice(kind=Kind.UNCLEAR, status="odd", provider_id="first"),
    ],
)
@pytest.mark.parametrize("source", ["webhook", "poll"])
def test_late_word_of_the_first_task_is_not_taken_for_the_second(
    deps: Deps, server: ScriptedServer, late: Notice, source: str
) -> None:
    """Whatever is still said of the dead result changes nothing."""
    _dead(deps, server, regenerate=True)
    if late.url == "WITHOUT-ID":
        late = Notice(kind=late.kind, status=late.status, url=f"{server.url}/first")
    before = _job(deps)
    assert before.status is Status.SUBMITTING

    assert not apply_notice(deps.store, A, late, source)

    assert _job(deps) == before


def test_word_of_the_second_task_counts(deps: Deps, server: ScriptedServer) -> None:
    """Its webhook may even overtake the answer to the submit."""
    _dead(deps, server, regenerate=True)

    second = Notice(kind=Kind.READY, status="Ready", provider_id="second", url="https://x/second")
    assert apply_notice(deps.store, A, second, "webhook")

    assert _job(deps).provider_id == "second"


def test_a_link_that_lives_is_not_given_up(deps: Deps, server: ScriptedServer) -> None:
    """An image that can still be had is not paid for again."""
    now = time.time()
    deps.store.create(A, make_request(created_at=now, deadline_at=now + 900, regenerate=True))
    _store(deps, server, now + 300)
    server.script = answer(503, b"")

    with pytest.raises(Transient):
        collect(A, deps)

    assert _job(deps).regenerations == 0


@pytest.mark.parametrize("claimed", [False, True])
def test_a_late_yes_for_the_dead_task_changes_nothing(
    deps: Deps, server: ScriptedServer, *, claimed: bool
) -> None:
    """The answer to the first submit comes when its result has died already: it is over."""
    now = time.time()
    request = make_request(created_at=now, deadline_at=now + 900, regenerate=True)
    deps.store.create(A, request)
    late = answer(200, b'{"id": "first", "polling_url": "https://x/first", "cost": 4}')

    def overtaken(wire: Wire) -> None:
        _die(deps, server)
        assert _job(deps).expired_id == "first"
        if claimed:
            mine = Change(set={"posting_at": now, "posting_by": "second"})
            assert deps.store.change(A, {Status.SUBMITTING}, mine)
        late(wire)

    server.script = overtaken
    submit(A, deps)

    job = _job(deps)
    assert job.status is Status.SUBMITTING  # granted again
    assert (job.provider_id, job.polling_url, job.cost) == (None, None, None)


def test_a_poll_about_the_dead_task_minds_the_deadline(deps: Deps, server: ScriptedServer) -> None:
    """Whatever is said of a task that is over, the job's time runs, and ends it."""
    _dead(deps, server, regenerate=True, deadline=0.5)
    stale: dict[str, str | int | float | None] = {"provider_id": "first"}
    assert deps.store.move(A, Status.GENERATING, Change(set=stale))
    body = {"id": "first", "status": "Ready", "result": {"sample": f"{server.url}/first"}}
    server.script = answer(200, json.dumps(body).encode())
    later = replace(deps, clock=lambda: time.time() + 60)

    poll(A, later)

    job = _job(deps)
    assert (job.error or {})["code"] == FailureCode.TIMED_OUT
