"""The submit step when images are out of reach: nothing is in doubt that nobody can have."""

import base64
import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

import pytest
import redis

from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from tests.contract.jobs import make_request
from tests.contract.scripted_server import ScriptedServer, answer
from worker.deps import Deps
from worker.runtime import wiring
from worker.steps.submit import submit
from worker.tasks import run

A = JobId("0001")
KEY = f"_inputs/{A}/input_image"
IMAGE = bytes(range(256)) * 1000


def put(objects: ObjectStore, data: bytes) -> None:
    """Store the image."""
    objects.put(KEY, io.BytesIO(data), sha256=sha256(data).digest(), content_type="image/png")


Event = Callable[[ObjectStore], object]


class Unlucky(ObjectStore):
    """Has something happen once the job is claimed, just before the image is read.

    Args:
        bucket: Its name.
        then: What happens.
    """

    def __init__(self, bucket: str, then: Event) -> None:
        super().__init__(bucket)
        self._then = then

    def chunks(self, key: str, size: int = 1000) -> Iterator[bytes]:
        """Have it happen, and read."""
        self._then(self)
        return super().chunks(key, size)


@pytest.fixture
def deps(
    environment: Mapping[str, str], server: ScriptedServer, redis_client: "redis.Redis"
) -> Iterator[Deps]:
    """Return what the step works with; the provider is the scripted server."""
    redis_client.ping()
    server.script = answer(200, b'{"id": "t1", "polling_url": "https://api.example/x"}')
    settings = Settings.from_env({**environment, "FLUXRELAY_PROVIDER_URL": server.url}, WORKER)
    built = wiring.build(settings)
    built.objects.delete_below(f"_inputs/{A}/")
    yield built
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture
def store(deps: Deps) -> JobStore:
    """Return the store, with one job that is to be submitted with an image."""
    request = make_request(
        model="flux-kontext-pro",
        input_keys={"input_image": KEY},
        created_at=deps.clock(),
        deadline_at=deps.clock() + 1000,
    )
    deps.store.create(A, request)
    return deps.store


def job(store: JobStore) -> Job:
    """Return the job."""
    found = store.load(A)
    assert found is not None
    return found


def test_an_image_is_sent(deps: Deps, store: JobStore, server: ScriptedServer) -> None:
    """Where all is well, one request is sent and the job is at the provider."""
    put(deps.objects, IMAGE)

    run(Step.SUBMIT, submit, A, deps)

    assert job(store).status is Status.GENERATING
    assert len(server.requests) == 1


def test_images_within_an_array_are_sent_at_their_places(
    deps: Deps, server: ScriptedServer
) -> None:
    """What waits in S3 is put back where it was, between the URLs that stand there."""
    key = f"_inputs/{A}/images.1"
    deps.objects.put(key, io.BytesIO(IMAGE), sha256=sha256(IMAGE).digest(), content_type="x/y")
    url = "https://images.example/a.png"
    request = make_request(
        model="flux-3-image",
        input={"images": [url, None, url], "prompt": "p"},
        input_keys={"images.1": key},
        created_at=deps.clock(),
        deadline_at=deps.clock() + 1000,
    )
    deps.store.create(A, request)

    run(Step.SUBMIT, submit, A, deps)

    (posted,) = server.requests
    encoded = base64.b64encode(IMAGE).decode()
    assert json.loads(posted.body) == {"prompt": "p", "images": [url, encoded, url]}
    assert job(deps.store).status is Status.GENERATING


def test_an_image_that_is_gone_before(deps: Deps, store: JobStore, server: ScriptedServer) -> None:
    """Nothing is claimed or sent, and the job fails."""
    run(Step.SUBMIT, submit, A, deps)

    failed = job(store)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == FailureCode.STORAGE_FAILED
    assert (failed.submits, server.requests) == (0, [])


def run_with(deps: Deps, then: Event) -> None:
    """Run the step while `then` happens to the image."""
    put(deps.objects, IMAGE)
    objects = Unlucky(deps.objects.bucket, then)
    run(Step.SUBMIT, submit, A, dataclasses.replace(deps, objects=objects))
    objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.mark.parametrize("other", [IMAGE[:-1], IMAGE + b"1"])
def test_an_image_that_cannot_be_read_whole(
    deps: Deps, store: JobStore, server: ScriptedServer, other: bytes
) -> None:
    """The request is cut off, so there is no doubt: the step is due again, and then goes well."""
    run_with(deps, lambda objects: put(objects, other))

    put_off = job(store)
    assert put_off.status is Status.SUBMITTING
    assert (put_off.posting_at, put_off.posting_by) == (None, None)
    assert (put_off.submits, put_off.tries[Step.SUBMIT], server.requests) == (1, 1, [])

    run(Step.SUBMIT, submit, A, deps)

    assert job(store).status is Status.GENERATING
    assert job(store).resubmits == 0
    assert len(server.requests) == 1


def test_an_image_that_goes_in_the_middle(
    deps: Deps, store: JobStore, server: ScriptedServer
) -> None:
    """A job whose image is gone fails; the provider has no whole request."""
    run_with(deps, lambda objects: objects.delete_below(KEY))

    failed = job(store)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == FailureCode.STORAGE_FAILED
    assert server.requests == []


def test_storage_that_is_away_before(
    deps: Deps, store: JobStore, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is claimed, and the step is due again."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    away = dataclasses.replace(deps, objects=ObjectStore(deps.objects.bucket))

    run(Step.SUBMIT, submit, A, away)

    put_off = job(store)
    assert put_off.status is Status.SUBMITTING
    assert (put_off.posting_at, put_off.submits, server.requests) == (None, 0, [])
    assert put_off.tries[Step.SUBMIT] == 1


def test_another_claim_is_left_alone(deps: Deps, store: JobStore, server: ScriptedServer) -> None:
    """Only the own claim is taken back."""

    def taken_over(_objects: ObjectStore) -> None:
        change = Change(set={"posting_at": deps.clock(), "posting_by": "another"})
        store.change(A, {Status.SUBMITTING}, change)
        put(deps.objects, b"other")

    run_with(deps, taken_over)

    assert job(store).posting_by == "another"
    assert server.requests == []
