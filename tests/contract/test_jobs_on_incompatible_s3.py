"""Jobs whose bucket is on a server that does not do as S3 does: how they end, and what is said."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import redis

from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.operations.account_status import AccountRegistry
from core.redis.change import Change
from core.scheduling import circuit_breakers
from core.settings.settings import WORKER, Settings
from tests.contract.jobs import make_request
from tests.contract.scripted_server import ScriptedServer, answer
from tests.fake_s3 import Capabilities, FakeS3, Refusal, Stored
from worker.deps import Deps
from worker.runtime import wiring
from worker.steps.collect import collect
from worker.tasks import run

A = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
B = JobId("01a1feec-e663-77f8-ba48-1ab172ecb482")
KEY = "orders/1042.png"


@pytest.fixture
def deps(
    environment: Mapping[str, str],
    s3: FakeS3,
    redis_client: "redis.Redis",
) -> Iterator[Deps]:
    """Return what a collect worker's steps work with."""
    redis_client.ping()
    assert s3.url
    built = wiring.build(Settings.from_env(environment, WORKER))
    built.objects.require_probe()
    yield built
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture(autouse=True)
def image(server: ScriptedServer, picture: Callable[[str], bytes]) -> ScriptedServer:
    """Return a server that delivers an image."""
    server.script = answer(200, picture("PNG"))
    return server


def _job(deps: Deps, job_id: JobId = A) -> Job:
    job = deps.store.load(job_id)
    assert job is not None
    return job


def _collect(
    deps: Deps, image: ScriptedServer, key: str | None = KEY, job_id: JobId = A, times: int = 1
) -> Job:
    """Have a job's result be known, and collect it so often."""
    now = time.time()
    request = make_request(created_at=now, deadline_at=now + 900, output_key=key)
    deps.store.create(job_id, request)
    change = Change(set={"result_url": f"{image.url}/x", "result_expires_at": now + 300})
    assert deps.store.move(job_id, Status.STORING, change)
    for _ in range(times):
        run(Step.COLLECT, collect, job_id, deps)
    return _job(deps, job_id)


def _error(job: Job) -> Any:
    return job.error or {}


@pytest.mark.parametrize("conflicts", [1, 2, 3])
def test_no_image_and_no_manifest_is_missing_after_a_conflict(
    deps: Deps, image: ScriptedServer, s3: FakeS3, conflicts: int
) -> None:
    """A 409 says that others write, not that something lies there: both are put again."""
    deps.objects.probe_capabilities()
    s3.capabilities.conflicts = conflicts
    assert _collect(deps, image).status is Status.STORING

    for _ in range(conflicts):
        run(Step.COLLECT, collect, A, deps)

    assert _job(deps).status is Status.SUCCEEDED
    assert s3.stored_keys() == [KEY, f"{KEY}.json"]


def test_a_conflict_at_the_manifest_alone(deps: Deps, image: ScriptedServer, s3: FakeS3) -> None:
    """The image is there already; the job is not done before its manifest is."""
    s3.capabilities = Capabilities(conflicts=1, conflicts_at=".json")

    assert _collect(deps, image).status is Status.STORING
    run(Step.COLLECT, collect, A, deps)

    assert _job(deps).status is Status.SUCCEEDED
    assert f"{KEY}.json" in s3.stored_keys()


@pytest.mark.parametrize(
    "habits",
    [
        Capabilities(ignores_condition=True),
        Capabilities(lacks_condition=True),
        Capabilities(refuses=frozenset({"if-none-match"})),
        Capabilities(ignores_condition=True, checks_nothing=True, states_checksum=False),
    ],
)
def test_of_two_jobs_with_one_key_one_succeeds(
    deps: Deps, image: ScriptedServer, s3: FakeS3, habits: Capabilities
) -> None:
    """Whatever the server makes of the condition, an image is not written over."""
    s3.capabilities = habits

    assert _collect(deps, image, job_id=A).status is Status.SUCCEEDED
    stored = s3.objects[KEY]
    second = _collect(deps, image, job_id=B)

    assert _error(second)["code"] == FailureCode.STORAGE_FAILED
    assert "already holds another object" in _error(second)["message"]
    assert s3.objects[KEY] is stored


@pytest.mark.parametrize("header", ["x-amz-checksum-sha256", "if-none-match"])
@pytest.mark.parametrize("key", [KEY, None])
def test_a_refused_header_costs_no_image(
    deps: Deps, image: ScriptedServer, s3: FakeS3, header: str, key: str | None
) -> None:
    """It is left out, and the job succeeds at its first try."""
    s3.capabilities = Capabilities(refuses=frozenset({header}))

    assert _collect(deps, image, key).status is Status.SUCCEEDED
    assert len(s3.stored_keys()) == 2


@pytest.mark.parametrize("taken", [f"{KEY}/deeper", "orders", f"{KEY}/a/b.png"])
def test_a_key_without_room_ends_its_job_soon(
    deps: Deps, image: ScriptedServer, s3: FakeS3, taken: str
) -> None:
    """S3 calls it taken and nothing lies there: the caller is told so, and which key it is."""
    s3.capabilities = Capabilities(has_folders=True)
    s3.objects[taken] = Stored(b"x")

    job = _collect(deps, image)

    assert _error(job)["code"] == FailureCode.STORAGE_FAILED
    assert KEY in _error(job)["message"]
    assert (
        AccountRegistry(deps.store, deps.settings.accounts).breaker_reason(circuit_breakers.STORAGE)
        is None
    )


@pytest.mark.parametrize("taken", [f"{KEY}.json/deeper", f"{KEY}.json"])
def test_a_manifest_that_has_no_room_is_missed_aloud(
    deps: Deps,
    image: ScriptedServer,
    s3: FakeS3,
    taken: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The image is what was promised, so the job succeeds, and the log says what is missing."""
    s3.capabilities = Capabilities(has_folders=True)
    s3.objects[taken] = Stored(b"somebody else's")

    with caplog.at_level(logging.WARNING):
        assert _collect(deps, image).status is Status.SUCCEEDED

    assert "job.manifest_missing" in [each.getMessage() for each in caplog.records]
    assert s3.objects[taken].body == b"somebody else's"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDenied", "Access Denied"),
        ("InvalidArgument", "Unsupported header 'x-amz-acl' received for this API call."),
        ("InvalidRequest", "The bucket does not support this."),
    ],
)
def test_the_deployment_s_fault_is_not_the_caller_s(
    deps: Deps, image: ScriptedServer, s3: FakeS3, code: str, message: str
) -> None:
    """A job with a key of its own waits as all others do, and counts for the breaker."""
    s3.capabilities.refusal = Refusal(400, code, message)

    job = _collect(deps, image)

    assert job.status is Status.STORING
    counted = deps.store.read("hgetall", f"breaker:{circuit_breakers.STORAGE}")
    assert counted["failures"] == "1"
    assert f"{code}: {message}" in counted["reason"]


@pytest.mark.parametrize("write", [str.upper, str.title, str.swapcase])
def test_an_image_is_known_again_by_any_spelling(
    deps: Deps, image: ScriptedServer, s3: FakeS3, write: Callable[[str], str]
) -> None:
    """The answer to the PUT is lost, and a proxy writes names in capitals: it is our image."""
    deps.objects.probe_capabilities()
    s3.capabilities = Capabilities(writes_names=write, loses_answers=1)

    assert _collect(deps, image).status is Status.STORING
    run(Step.COLLECT, collect, A, deps)

    assert _job(deps).status is Status.SUCCEEDED
    assert s3.stored_keys() == [KEY, f"{KEY}.json"]


@pytest.mark.parametrize("kept", [0, 1, 50])
def test_what_was_kept_in_part_is_put_again(
    deps: Deps, image: ScriptedServer, s3: FakeS3, kept: int
) -> None:
    """It is ours, and not the image: no success before the bucket holds all of it."""
    s3.capabilities = Capabilities(keeps=kept, checks_nothing=True)
    assert _collect(deps, image).status is Status.STORING
    s3.capabilities.keeps = None

    run(Step.COLLECT, collect, A, deps)

    job = _job(deps)
    assert job.status is Status.SUCCEEDED
    assert job.image is not None
    assert len(s3.objects[KEY].body) == job.image["bytes"]


@pytest.mark.parametrize("states_checksum", [True, False])
def test_a_page_of_something_in_between_is_no_success(
    deps: Deps, image: ScriptedServer, s3: FakeS3, *, states_checksum: bool
) -> None:
    """A 200 without any word of S3 is not taken for one, however strict the server is."""
    s3.capabilities = Capabilities(states_checksum=states_checksum)
    deps.objects.probe_capabilities()
    s3.capabilities.swallows = 1
    assert _collect(deps, image).status is Status.STORING

    run(Step.COLLECT, collect, A, deps)

    assert _job(deps).status is Status.SUCCEEDED
    assert s3.stored_keys() == [KEY, f"{KEY}.json"]


def test_what_is_kept_in_part_to_the_end_is_no_success(
    deps: Deps, image: ScriptedServer, s3: FakeS3
) -> None:
    """The link dies, and the bucket holds a part: the job fails, and says of what."""
    s3.capabilities = Capabilities(empties_folders=True, states_checksum=False, checks_nothing=True)
    assert _collect(deps, image, key="folder/").status is Status.STORING
    dead = Change(set={"result_expires_at": time.time() - 1})
    assert deps.store.change(A, {Status.STORING}, dead)
    image.script = answer(403, b"expired")

    run(Step.COLLECT, collect, A, deps)

    assert _error(_job(deps))["code"] == FailureCode.STORAGE_FAILED
    assert "0 bytes" in _error(_job(deps))["message"]
