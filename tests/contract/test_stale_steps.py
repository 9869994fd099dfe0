"""Steps that come late, twice, or to a world that changed meanwhile."""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import pytest
import redis

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change, Idempotency
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from tests.contract.jobs import make_request
from tests.contract.scripted_server import ScriptedServer, Wire, answer
from worker.deps import Deps
from worker.results.stored_artifacts import object_key
from worker.runtime import wiring
from worker.steps.collect import collect
from worker.steps.submit import submit
from worker.tasks import run

A = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")


@pytest.fixture
def deps(
    environment: Mapping[str, str], server: ScriptedServer, redis_client: "redis.Redis"
) -> Iterator[Deps]:
    """Return what steps work with, and one job that was granted its slot."""
    redis_client.ping()
    variables = {**environment, "FLUXRELAY_PROVIDER_URL": server.url}
    built = wiring.build(Settings.from_env(variables, WORKER))
    now = time.time()
    request = make_request(created_at=now, deadline_at=now + 900, callback_url="https://h/c")
    built.store.create(A, request)
    yield built
    built.objects.delete_below(now_day(built))
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


def now_day(deps: Deps) -> str:
    """Return the prefix under which the job's image lies."""
    return object_key(job_of(deps), "png", deps).partition("/")[0] + "/"


def job_of(deps: Deps) -> Job:
    """Return the job as it stands."""
    job = deps.store.load(A)
    assert job is not None
    return job


def _to_storing(deps: Deps, server: ScriptedServer, lives_for: float) -> None:
    dies_at = time.time() + lives_for
    result = Change(set={"result_url": f"{server.url}/x", "result_expires_at": dies_at})
    assert deps.store.move(A, Status.STORING, result)


def test_an_image_that_is_stored_counts_though_its_link_is_dead(
    deps: Deps, server: ScriptedServer, picture: Callable[[str], bytes]
) -> None:
    """A run that died behind the put is finished by a later one, whatever the link says then."""
    body = picture("PNG")
    _to_storing(deps, server, -1)
    metadata = {"job-id": A, "width": "320", "height": "200"}
    key = object_key(job_of(deps), "png", deps)
    deps.objects.put_once(
        key,
        io.BytesIO(body),
        sha256=sha256(body).digest(),
        content_type="image/png",
        metadata=metadata,
    )
    server.script = answer(403, b"dead")

    collect(A, deps)

    job = job_of(deps)
    assert job.status is Status.SUCCEEDED
    assert job.image is not None
    assert (job.image["sha256"], job.image["width"]) == (sha256(body).hexdigest(), 320)


def test_a_dead_link_without_an_image_is_the_end(deps: Deps, server: ScriptedServer) -> None:
    """Where the bucket has nothing of the job, it fails as expired."""
    _to_storing(deps, server, -1)
    server.script = answer(403, b"dead")

    collect(A, deps)

    job = job_of(deps)
    assert job.error is not None
    assert job.error["code"] == FailureCode.RESULT_EXPIRED


def test_a_full_disk_costs_no_image_that_lives(
    deps: Deps, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download is put off, as often as it takes."""
    _to_storing(deps, server, 300)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.clients.download.Downloader._copy", full)
    for _ in range(12):
        run(Step.COLLECT, collect, A, deps)

    assert job_of(deps).status is Status.STORING


def test_a_late_answer_does_not_undo_a_newer_submit(deps: Deps, server: ScriptedServer) -> None:
    """A 429 that comes after the doubt was over leaves the newer claim alone."""
    store = deps.store

    def meanwhile(wire: Wire) -> None:
        settled = Change(clear=["posting_at", "posting_by"], add={"resubmits": 1})
        assert store.change(A, {Status.SUBMITTING}, settled)
        newer = Change(set={"posting_at": time.time(), "posting_by": "newer"})
        assert store.change(A, {Status.SUBMITTING}, newer)
        answer(429, b'{"detail": "busy"}')(wire)

    server.script = meanwhile

    submit(A, deps)

    job = job_of(deps)
    assert (job.status, job.posting_by) == (Status.SUBMITTING, "newer")


@pytest.mark.parametrize("kind", [Kind.PENDING, Kind.UNCLEAR])
def test_a_webhook_that_names_a_task_settles_a_doubt(deps: Deps, kind: Kind) -> None:
    """The provider has it: the job is asked about, and never submitted again."""
    doubt = Change(set={"posting_at": time.time() - 1000, "posting_by": "died"})
    assert deps.store.change(A, {Status.SUBMITTING}, doubt)

    apply_notice(deps.store, A, Notice(kind=kind, status="?", provider_id="t1"), "webhook", b"{}")

    job = job_of(deps)
    assert (job.status, job.provider_id) == (Status.GENERATING, "t1")


def test_a_webhook_of_no_task_settles_no_doubt(deps: Deps) -> None:
    """A "Task not found" proves nothing: the job goes on waiting for its webhook."""
    doubt = Change(set={"posting_at": time.time() - 1000, "posting_by": "died"})
    assert deps.store.change(A, {Status.SUBMITTING}, doubt)

    notice = Notice(kind=Kind.NOT_FOUND, status="Task not found", provider_id="t1")
    apply_notice(deps.store, A, notice, "webhook", b"{}")

    assert job_of(deps).status is Status.SUBMITTING


def test_an_unclear_webhook_does_not_rename_a_task(deps: Deps) -> None:
    """The id that the submit was answered with stays, whatever a webhook says."""
    assert deps.store.move(A, Status.GENERATING, Change(set={"provider_id": "t1"}))

    notice = Notice(kind=Kind.UNCLEAR, status="?", provider_id="other")
    apply_notice(deps.store, A, notice, "webhook", b"{}")

    assert job_of(deps).provider_id == "t1"


def test_no_host_may_put_a_poll_off_beyond_the_result_s_life(
    deps: Deps, redis_client: "redis.Redis"
) -> None:
    """A `Retry-After` of an hour is heard, but not in full."""
    assert deps.store.move(A, Status.GENERATING)

    def away(_job_id: JobId, _deps: Deps) -> None:
        raise Transient("away", retry_after=3600)

    run(Step.POLL, away, A, deps)

    due = redis_client.zscore("due", f"poll:{A}")
    assert due is not None
    assert due <= time.time() + deps.settings.result_lifetime_seconds / 4


def test_an_owed_callback_keeps_its_record(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis"
) -> None:
    """The record lives longer than the callback is tried, however short ended jobs are kept."""
    store = store_with(job_ttl_seconds="60", callback_give_up_seconds="1000")
    store.create(A, make_request(callback_url="https://h/c"))
    store.fail(A, FailureCode.LOST, "for the test")

    assert redis_client.ttl(f"job:{A}") > 1000


def test_a_replay_waits_for_the_disk(store: JobStore, redis_client: "redis.Redis") -> None:
    """A 202 for a known key is as durable as the first one."""
    idempotency = Idempotency(key_hash="k", fingerprint="f")
    store.create(A, make_request(), idempotency)
    store.find_by_idempotency_key("demo", idempotency)  # loads the script, if no one has
    before = _fsyncs_asked(redis_client)

    known = store.find_by_idempotency_key("demo", idempotency)

    assert known is not None
    assert known.id == A
    assert _fsyncs_asked(redis_client) == before + 1


def _fsyncs_asked(client: "redis.Redis") -> int:
    stats: Mapping[str, Any] = client.info("commandstats")
    return int(stats.get("cmdstat_waitaof", {"calls": 0})["calls"])


def test_an_account_that_is_configured_no_more_gives_its_job_back(deps: Deps) -> None:
    """Its job goes to the backlog, and so to another account, instead of waiting for its end."""
    assert deps.store.change(A, {Status.SUBMITTING}, Change(set={"pool": "gone"}))

    submit(A, deps)

    assert "gone" not in deps.providers
    assert job_of(deps).pool != "gone"
