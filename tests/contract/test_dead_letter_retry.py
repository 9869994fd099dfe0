"""A failed job is sent again as one new job, with its inputs, and nothing is left behind."""

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import redis

from core.errors import CannotSendAgain
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import Status, Step
from core.operations.dead_letter_list import LetterFilter
from core.operations.dead_letters import DeadLetters
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from tests.contract.jobs import Clock, accept
from worker.deps import Deps
from worker.runtime import wiring
from worker.steps.cleanup import cleanup

A = JobId("0001")
KEY = f"_inputs/{A}/input_image"
IMAGE = bytes(range(256)) * 100
#: A record is kept for 8000 s, longer than its callback is owed.
LIFE = {"FLUXRELAY_JOB_TTL_SECONDS": "8000", "FLUXRELAY_CALLBACK_GIVE_UP_SECONDS": "100"}
WHOLE: Mapping[str, Any] = {
    "model": "flux-kontext-pro",
    "input": {"prompt": "p", "seed": 2**60 + 1},
    "callback_url": "https://example.com/",
    "origin": "https://relay.example",
    "client_secret": "the client's own",
    "output_key": "always/here.{ext}",
    "priority": 7,
    "metadata": {"half": "\ud800", "a": [1]},
}


@pytest.fixture
def deps(
    environment: Mapping[str, str], redis_client: "redis.Redis", clock: Clock
) -> Iterator[Deps]:
    """Return what steps work with, in a time that the test sets."""
    settings = Settings.from_env({**environment, **LIFE}, WORKER)
    built = wiring.build(settings)
    store = JobStore(redis_client, settings, clock)
    assert store.take_sweep_lease("token", 60)
    built.objects.delete_below("_inputs/")
    yield replace(built, store=store, clock=clock)
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture
def store(deps: Deps) -> JobStore:
    """Return the store."""
    return deps.store


@pytest.fixture
def letters(deps: Deps) -> DeadLetters:
    """Return the dead letters."""
    return DeadLetters(deps.store, deps.objects, deps.settings)


def put(objects: ObjectStore, key: str = KEY) -> None:
    """Store an input."""
    objects.put(key, io.BytesIO(IMAGE), sha256=sha256(IMAGE).digest(), content_type="image/png")


def with_input(deps: Deps, code: FailureCode = FailureCode.LOST) -> Job:
    """Have a job with an input fail."""
    put(deps.objects)
    accept(deps.store, A, **WHOLE, input_keys={"input_image": KEY})
    assert deps.store.fail(A, code, "a test")
    return load(deps.store)


def load(store: JobStore, name: str = A) -> Job:
    """Return a job that is there."""
    job = store.load(JobId(name))
    assert job
    return job


def inputs(deps: Deps) -> dict[str, bytes]:
    """Return all inputs in the bucket, by the job they belong to."""
    client = deps.objects._client  # noqa: SLF001 - the product never lists
    found = client.list_objects_v2(Bucket="pictures", Prefix="_inputs/").get("Contents", [])
    return {item["Key"].split("/")[1]: b"".join(deps.objects.chunks(item["Key"])) for item in found}


def clean_up(deps: Deps) -> None:
    """Sweep, and run the clean-ups that wait, as a worker would."""
    assert deps.store.sweep("token", 60)
    for task in deps.store.read("lrange", "rq:queue:collect", 0, -1):
        job_id, _, step = str(task).rpartition("-")[0].rpartition("-")
        assert step == Step.CLEANUP
        cleanup(JobId(job_id), deps)
    deps.store.read("delete", "rq:queue:collect")


def test_a_new_job_takes_the_old_one_s_place(
    store: JobStore, letters: DeadLetters, clock: Clock
) -> None:
    """It asks for the same, from now on, with all the time there is; both name each other."""
    accept(store, A, **WHOLE)
    store.fail(A, FailureCode.STORAGE_FAILED, "a test")
    old = load(store)
    clock.now += 1000

    again = load(store, letters.retry(old))

    timed: dict[str, Any] = {"created_at": clock.now, "deadline_at": clock.now + 86_400}
    assert again.request == replace(old.request, retry_of=A, **timed)
    assert (again.status, again.retried_as) == (Status.SUBMITTING, None)
    assert replace(load(store), retried_as=None) == old
    assert load(store).retried_as == again.id
    assert letters.page(LetterFilter(), 9).letters == ()
    assert store.read("zscore", "due", f"deadline:{again.id}") == clock.now + 86_400


def test_a_job_is_sent_again_once(deps: Deps, letters: DeadLetters) -> None:
    """Eight at the same moment, and one later, bring one job, whose inputs alone are left."""
    old = with_input(deps)
    start = threading.Barrier(8)

    def retry(_: int) -> JobId:
        start.wait()
        return letters.retry(old)

    with ThreadPoolExecutor(8) as threads:
        (again,) = set(threads.map(retry, range(8)))
    assert letters.retry(load(deps.store)) == again

    clean_up(deps)
    assert inputs(deps) == {again: IMAGE}
    assert load(deps.store, again).request.input_keys == {
        "input_image": f"_inputs/{again}/input_image"
    }


def test_every_answer_waits_for_the_disk(
    store: JobStore, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time, when the job is there already, and for a callback: the last write is safe."""
    accept(store, A, **WHOLE)
    store.fail(A, FailureCode.LOST, "a test")
    durable: list[bool] = []
    run = store.scripts.run

    def watched(name: str, payload: dict[str, Any], **options: Any) -> Any:
        durable.append(bool(options.get("durable")))
        return run(name, payload, **options)

    monkeypatch.setattr(store.scripts, "run", watched)
    letters.retry(load(store))
    letters.retry(load(store))
    letters.resend(load(store))

    assert durable == [True] * 3


def test_the_new_job_may_fail_and_be_sent_again(store: JobStore, letters: DeadLetters) -> None:
    """Each job of such a row names the one before and the one after."""
    accept(store, A)
    row = [A]
    for _ in range(3):
        store.fail(row[-1], FailureCode.TIMED_OUT, "a test")
        row.append(letters.retry(load(store, row[-1])))

    jobs = [load(store, name) for name in row]
    assert [job.request.retry_of for job in jobs] == [None, *row[:-1]]
    assert [job.retried_as for job in jobs] == [*row[1:], None]


def test_a_job_whose_successor_is_gone_can_be_sent_again(
    store: JobStore, letters: DeadLetters
) -> None:
    """What is not kept any more cannot be pointed to."""
    accept(store, A)
    store.fail(A, FailureCode.LOST, "a test")
    first = letters.retry(load(store))
    store.read("delete", f"job:{first}")

    second = letters.retry(load(store))

    assert second != first
    assert load(store).retried_as == load(store, second).id


@pytest.mark.parametrize("code", [FailureCode.PROVIDER_REJECTED, FailureCode.LOST])
def test_inputs_of_a_dead_letter_are_kept_as_long_as_it(
    deps: Deps, clock: Clock, code: FailureCode
) -> None:
    """They lie there until its record ends; then the sweep has them deleted."""
    with_input(deps, code)
    clock.now += 7990
    clean_up(deps)
    assert inputs(deps) == {A: IMAGE}

    clock.now += 20
    deps.store.read("delete", f"job:{A}")  # as when its time is over
    clean_up(deps)

    assert inputs(deps) == {}
    assert deps.store.read("zrange", "due", 0, -1) == []


def test_inputs_of_a_dismissed_letter_are_deleted(deps: Deps, letters: DeadLetters) -> None:
    """Nobody will send it again; who tries is told why it cannot be done."""
    old = with_input(deps)
    (letter,) = letters.page(LetterFilter(), 9).letters
    letters.dismiss(letter)
    clean_up(deps)
    assert inputs(deps) == {}

    with pytest.raises(CannotSendAgain, match="input_image is no longer kept"):
        letters.retry(old)


def test_without_its_inputs_a_job_is_not_sent_again(deps: Deps, letters: DeadLetters) -> None:
    """A caller's own mistake has them deleted at once; nothing is accepted, nothing left."""
    old = with_input(deps, FailureCode.CONTENT_MODERATED)
    clean_up(deps)
    assert inputs(deps) == {}

    with pytest.raises(CannotSendAgain, match="input_image is no longer kept"):
        letters.retry(old)

    assert load(deps.store) == old
    clean_up(deps)
    assert deps.store.read("keys", "job:*") == [f"job:{A}"]


class _Killed(BaseException):
    """Stands for a SIGKILL: no handler of ours runs."""


class _Lethal(JobStore):
    """Dies when a job is to be created."""

    def create(self, job_id: JobId, request: JobRequest, idempotency: object = None) -> JobId:
        """Die."""
        raise _Killed(job_id, request, idempotency)


def test_a_death_between_copy_and_job_leaves_nothing(
    deps: Deps, redis_client: "redis.Redis", clock: Clock
) -> None:
    """The copied inputs are deleted after their guard; the dead letter can still be sent again."""
    old = with_input(deps)
    lethal = DeadLetters(_Lethal(redis_client, deps.settings, clock), deps.objects, deps.settings)
    with pytest.raises(_Killed):
        lethal.retry(old)
    assert sorted(inputs(deps).values()) == [IMAGE, IMAGE]

    clock.now += 901
    clean_up(deps)

    assert inputs(deps) == {A: IMAGE}
    again = DeadLetters(deps.store, deps.objects, deps.settings).retry(old)
    clean_up(deps)
    assert inputs(deps) == {again: IMAGE}


class _Slow(ObjectStore):
    """Has something happen before an input is copied."""

    happens: Callable[[], object]

    def copy(self, source: str, target: str) -> bool:
        """Have it happen, and copy."""
        self.happens()
        return super().copy(source, target)


def test_a_slow_second_one_gets_the_first_one_s_job(deps: Deps, letters: DeadLetters) -> None:
    """Whoever finds the inputs deleted since another was faster is given the other's job."""
    old = with_input(deps)
    first: list[JobId] = []

    def another() -> None:
        first.append(letters.retry(old))
        clean_up(deps)

    slow = _Slow("pictures")
    slow.happens = another
    second = DeadLetters(deps.store, slow, deps.settings).retry(old)
    slow._client.close()  # noqa: SLF001 - its sockets are closed at exit

    assert [second] == first
    clean_up(deps)
    assert inputs(deps) == {second: IMAGE}
