"""Copying a result into the bucket: by several runs, past slips of either side, stored once."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import IO, Any
from urllib.parse import quote

import pytest

from core.errors import Permanent, StorageUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.scheduling import circuit_breakers
from core.storage.object_store import ObjectStore
from tests.contract.harness import A, Bench
from tests.contract.scripted_server import Wire, answer, head
from worker.results.stored_artifacts import object_key
from worker.steps import collect as module
from worker.steps.collect import collect

Draw = Callable[[str], bytes]


def _put(bench: Bench, body: bytes, job_id: str, task: str = "t1") -> str:
    """Store an image at the job's key, as another run or somebody else would."""
    key = object_key(bench.job, "png", bench.deps)
    assert bench.deps.objects.put_once(
        key,
        io.BytesIO(body),
        sha256=sha256(body).digest(),
        content_type="image/png",
        metadata={"job-id": job_id, "width": "320", "height": "200", "provider-id": task},
    )
    return key


def test_what_an_earlier_run_stored_counts(bench: Bench, picture: Draw) -> None:
    """That run died before it was recorded: this one takes it, and puts the manifest beside it."""
    bench.accept()
    bench.storing()
    earlier = picture("PNG")
    key = _put(bench, earlier, A)
    bench.server.script = answer(200, picture("PNG"))

    collect(A, bench.deps)

    image = bench.job.image
    assert image is not None
    assert image["sha256"] == sha256(earlier).hexdigest()
    manifest = b"".join(bench.deps.objects.chunks(f"{key}.json"))
    assert json.loads(manifest)["image"]["sha256"] == image["sha256"]


def test_an_image_that_came_after_it_was_given_up_is_told_as_what_it_is(
    bench: Bench, picture: Draw
) -> None:
    """A put of the first task's image went well after all: its size and task are told, not ours."""
    bench.accept()
    bench.storing()
    key = _put(bench, b"the first", A, task="t0%2F")
    bench.server.script = answer(200, picture("PNG"))

    collect(A, bench.deps)

    image = bench.job.image
    assert image is not None
    assert (image["width"], image["height"], image["provider_id"]) == (320, 200, "t0/")
    manifest = b"".join(bench.deps.objects.chunks(f"{key}.json"))
    assert json.loads(manifest)["image"] == image


@pytest.mark.parametrize("task", ["t1", "a/ü ", "x" * 5000])
def test_an_image_tells_which_task_made_it(bench: Bench, picture: Draw, task: str) -> None:
    """Whatever the provider calls it, S3 takes the image."""
    bench.accept()
    bench.storing()
    bench.store.change(A, {Status.STORING}, Change(set={"provider_id": task}))
    bench.server.script = answer(200, picture("PNG"))

    collect(A, bench.deps)

    image = bench.job.image
    assert image is not None
    assert image["provider_id"] == task
    there = bench.deps.objects.head(str(image["key"]))
    assert there is not None
    told = {} if len(task) > 400 else {"provider-id": quote(task, safe="")}
    assert there.metadata.items() >= told.items()


def test_what_somebody_else_stored_is_left_as_it_is(bench: Bench, picture: Draw) -> None:
    """Their object is neither overwritten nor taken for ours."""
    bench.accept()
    bench.storing()
    key = _put(bench, b"theirs", "another job")
    bench.server.script = answer(200, picture("PNG"))

    with pytest.raises(Permanent, match="already holds another object"):
        collect(A, bench.deps)

    assert b"".join(bench.deps.objects.chunks(key)) == b"theirs"


def test_an_earlier_manifest_stays(bench: Bench, picture: Draw) -> None:
    """The slower of two runs does not write over the manifest of the other."""
    bench.accept()
    bench.storing()
    body = picture("PNG")
    key = _put(bench, body, A)
    earlier = b'{"stored_at": "earlier"}'
    digest = sha256(earlier).digest()
    bench.deps.objects.put(
        f"{key}.json", io.BytesIO(earlier), sha256=digest, content_type="application/json"
    )
    bench.server.script = answer(200, body)

    collect(A, bench.deps)

    assert bench.job.status is Status.SUCCEEDED
    assert b"".join(bench.deps.objects.chunks(f"{key}.json")) == earlier


def test_an_object_that_came_and_went_is_no_success(bench: Bench, picture: Draw) -> None:
    """Somebody deleted it between the refused put and the look: the image is put again."""
    bench.accept()
    bench.storing()
    key = _put(bench, b"theirs", "another job")
    bench.server.script = answer(200, picture("PNG"))

    collect(A, bench.when_looked_at(lambda: bench.deps.objects.delete_below(key)))

    assert bench.job.status is Status.SUCCEEDED
    there = bench.deps.objects.head(key)
    assert there is not None
    assert there.metadata["job-id"] == A


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_slip_of_the_host_costs_no_image(bench: Bench, status: int) -> None:
    """Before its end a link that seems dead is tried again."""
    bench.accept()
    bench.storing(lives_for=1)
    bench.server.script = answer(status, b"dead")

    with pytest.raises(Transient, match="before the URL expired"):
        collect(A, bench.deps)

    assert bench.job.status is Status.STORING


class Away(ObjectStore):
    """A bucket that cannot be reached.

    Args:
        real: Whose name it has.
    """

    def __init__(self, real: ObjectStore) -> None:
        self.bucket = real.bucket

    def head(self, key: str) -> None:
        """Fail."""
        raise StorageUnavailable(f"S3 is away: {key}")


def test_a_bucket_that_is_away_is_asked_later_what_it_holds(bench: Bench) -> None:
    """The link is dead, but an earlier run may have stored the image: nobody can say now."""
    bench.accept()
    bench.storing(lives_for=-1)
    bench.server.script = answer(403, b"dead")
    away = replace(bench.deps, objects=Away(bench.deps.objects))

    with pytest.raises(StorageUnavailable):
        collect(A, away)
    assert bench.job.status is Status.STORING

    bench.clock.now = bench.job.request.deadline_at
    collect(A, away)
    assert bench.error == FailureCode.RESULT_EXPIRED


class WithoutManifests(ObjectStore):
    """A bucket that takes no manifest.

    Args:
        real: What it is otherwise.
    """

    def __init__(self, real: ObjectStore) -> None:
        self.bucket = real.bucket
        self._client = real._client  # noqa: SLF001 - the same connections
        self._direct = real._direct  # noqa: SLF001 - as above

    def put_once(self, key: str, body: IO[bytes], **more: Any) -> bool:
        """Store an image, refuse a manifest."""
        if key.endswith(".json"):
            raise StorageUnavailable(f"S3 is full: {key}")
        return super().put_once(key, body, **more)


def test_an_image_that_is_stored_does_not_fail_for_its_manifest(
    bench: Bench, picture: Draw
) -> None:
    """The manifest is waited for until the deadline; then the job succeeds without it."""
    bench.accept()
    bench.storing(lives_for=-1)
    key = _put(bench, picture("PNG"), A)
    bench.server.script = answer(403, b"dead")
    full = replace(bench.deps, objects=WithoutManifests(bench.deps.objects))

    with pytest.raises(StorageUnavailable, match="full"):
        collect(A, full)
    assert bench.job.status is Status.STORING

    bench.clock.now = bench.job.request.deadline_at
    collect(A, full)
    assert bench.job.timeline[-1][0] is Status.SUCCEEDED
    assert bench.deps.objects.head(f"{key}.json") is None


def test_a_long_download_keeps_its_lease(
    bench: Bench, picture: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its bytes come in, the step is not taken for dead."""
    bench.accept()
    bench.storing()
    body = picture("PNG")
    member = f"{Step.COLLECT}:{A}"
    seen: list[float | None] = []
    # Each look at the time is a minute after the one before.
    minutes = count(step=60)
    monkeypatch.setattr(module, "time", type("Time", (), {"monotonic": lambda: next(minutes)}))

    def script(wire: Wire) -> None:
        wire.say(head(200, f"content-length: {len(body)}"), body[:1])
        bench.redis.zadd("due", {member: 1.0})
        for at in range(1, 200):
            wire.dribble(body[at : at + 1], times=1, every=0.01)
            if bench.redis.zscore("due", member) != 1.0:
                break
        seen.append(bench.due_in(Step.COLLECT))
        wire.say(body[at + 1 :])

    bench.server.script = script

    collect(A, bench.deps)

    assert bench.job.status is Status.SUCCEEDED
    assert seen == [30]


def test_two_that_give_up_make_it_again_once(bench: Bench) -> None:
    """The slower one comes when the second result is there: it must not throw that away."""
    bench.accept(regenerate=True)
    bench.storing(lives_for=-1)
    bench.server.script = answer(403, b"dead")

    def faster() -> None:
        collect(A, bench.deps)
        assert bench.job.regenerations == 1
        bench.storing()

    collect(A, bench.when_looked_at(faster))

    assert (bench.job.status, bench.job.regenerations) == (Status.STORING, 1)


def test_an_image_that_was_stored_mends_the_breaker(bench: Bench, picture: Draw) -> None:
    """The bucket is back: what waited for it may be made."""
    bench.accept()
    bench.storing()
    bench.redis.hset(f"breaker:{circuit_breakers.STORAGE}", mapping={"failures": 3})
    bench.server.script = answer(200, picture("PNG"))

    collect(A, bench.deps)

    assert not bench.redis.exists(f"breaker:{circuit_breakers.STORAGE}")
