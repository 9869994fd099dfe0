"""Videos and drafts: large files, leftovers of uploads, and runs that meet."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.errors import StorageUnavailable
from core.jobs.failures import FailureCode
from core.jobs.status import Status
from core.redis.change import Change
from core.storage.object_store import ObjectStore
from tests.contract.harness import A, Bench, said
from tests.contract.result_links import DEAD, answering, collect_once
from tests.contract.scripted_server import answer
from tests.contract.video_jobs import CACHE_KEY, FILM, KEY, Studio, make_studio
from tests.video_files import video
from worker.steps.collect import collect


@pytest.fixture
def studio(bench: Bench) -> Studio:
    """Return a job at the provider, whose model makes videos."""
    return make_studio(bench)


class Recording(ObjectStore):
    """A bucket that notes for which keys leftovers were removed.

    Args:
        real: What it is otherwise.
        away: Whether that fails.
    """

    def __init__(self, real: ObjectStore, *, away: bool = False) -> None:
        vars(self).update(vars(real))  # the same connections
        self.removed: list[str] = []
        self._away = away

    def abort_uploads(self, key: str) -> int:
        """Note the key."""
        self.removed.append(key)
        if self._away:
            raise StorageUnavailable("S3 is away")
        return 0


@pytest.mark.parametrize("away", [False, True])
def test_a_job_that_is_given_up_leaves_no_parts(studio: Studio, *, away: bool) -> None:
    """What unfinished uploads left is removed if the bucket is there, and fails nothing if not."""
    answering(studio.bench)
    studio.ready()
    studio.bench.clock.now += 601
    objects = Recording(studio.deps.objects, away=away)

    collect(A, replace(studio.deps, objects=objects))

    assert studio.bench.error == FailureCode.RESULT_EXPIRED
    assert objects.removed == ([KEY] if away else [KEY, CACHE_KEY])


def test_a_large_file_is_sent_in_parts(
    studio: Studio, make_objects: Callable[..., ObjectStore]
) -> None:
    """A video over the threshold is stored as a whole."""
    film = video(noise=4_000_000)
    answering(studio.bench, film=answer(200, film))
    studio.ready(draft=False)
    objects = make_objects(large=1_000_000, part=5 * 1024 * 1024)

    collect(A, replace(studio.deps, objects=objects))

    assert studio.bench.job.status is Status.SUCCEEDED
    assert studio.body(KEY) == film


@pytest.fixture
def make_objects(studio: Studio, request: pytest.FixtureRequest) -> Callable[..., ObjectStore]:
    """Return a function that makes an object store with limits of its own."""

    def make(**options: Any) -> ObjectStore:
        made = ObjectStore(studio.deps.objects.bucket, **options)
        request.addfinalizer(made._client.close)  # noqa: SLF001 - its sockets are closed at exit
        return made

    return make


def test_a_second_task_starts_with_links_of_its_own(studio: Studio) -> None:
    """What is made again forgets the links of the first task, the bundle's as well."""
    request = replace(studio.bench.job.request, regenerate=True)
    studio.bench.redis.hset(f"job:{A}", "request", request.to_json())
    answering(studio.bench, film=DEAD, cache=DEAD)
    studio.ready()
    studio.bench.clock.now += 601

    collect(A, studio.deps)

    assert studio.bench.job.regenerations == 1
    assert studio.bench.store.fields(A, "result_url", "more_urls") == ["", ""]


def test_two_runs_do_not_overwrite_each_other_s_links(studio: Studio) -> None:
    """A run that asked for better links with old ones in hand changes nothing."""
    studio.ready()
    newer = json.dumps({"draft_cache": "https://eu.bfl.ai/newer"})

    def meanwhile() -> None:
        change = Change(set={"more_urls": newer})
        assert studio.bench.store.change(A, {Status.STORING}, change)

    def asked(wire: Any) -> None:
        meanwhile()
        said(200, studio.told(cache="other"))(wire)

    answering(studio.bench, film=answer(200, FILM), cache=DEAD, get_result=asked)

    collect_once(studio.bench)

    assert studio.bench.store.fields(A, "more_urls") == [newer]
