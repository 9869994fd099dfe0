"""Videos and drafts: every file of a result is stored once, or the job has not succeeded."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

import pytest

from core.errors import StorageUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status
from core.jobs.views import job_view
from core.operations.provider_results import apply_notice
from core.provider.catalogue.entry import Media, Model
from core.provider.wire_format import parse_notice
from core.redis.change import Change
from core.storage.object_store import ObjectStore
from tests.contract.harness import A, Bench, said
from tests.contract.result_links import DEAD, answering, collect_once, times_asked
from tests.contract.scripted_server import answer
from tests.video_files import NOISE, video
from worker.deps import Deps
from worker.steps.collect import collect

FILM: Final = video()
BUNDLE: Final = NOISE[:50_000]
FACTS: Final = {
    "seconds": 5.0,
    "frames_per_second": 24.0,
    "width": 320,
    "height": 192,
    "tracks": ["video", "audio"],
}


@dataclass(frozen=True)
class Studio:
    """A bench whose job makes a video, and what its result consists of."""

    bench: Bench

    @property
    def deps(self) -> Deps:
        """Return what steps work with."""
        return self.bench.deps

    def ready(self, *, draft: bool = True, film: str = "film", cache: str = "cache") -> None:
        """Have the provider say that the job's task is done."""
        raw = json.dumps(self.told(draft=draft, film=film, cache=cache)).encode()
        notice = parse_notice(raw, self.bench.clock.now, 600)
        assert apply_notice(self.bench.store, A, notice, "poll")

    def told(self, *, draft: bool = True, film: str = "film", cache: str = "cache") -> Any:
        """Return what the provider says of the finished task."""
        url = self.bench.server.url
        more = {"draft_cache": f"{url}/{cache}"} if draft else {}
        return {"id": "t1", "status": "Ready", "result": {"sample": f"{url}/{film}", **more}}

    def body(self, key: str) -> bytes:
        """Return an object's bytes."""
        return b"".join(self.deps.objects.chunks(key))

    def asked(self, name: str) -> int:
        """Return how often a file was asked for."""
        return [request.target for request in self.bench.server.requests].count(f"/{name}")

    def put(self, key: str, body: bytes, task: str = "t1", **metadata: str) -> None:
        """Store an object of the job, as another run would."""
        told = {"job-id": A, "provider-id": task, **metadata}
        digest = sha256(body).digest()
        facts: dict[str, Any] = {"sha256": digest, "content_type": "video/mp4", "metadata": told}
        assert self.deps.objects.put_once(key, io.BytesIO(body), **facts)


@pytest.fixture
def studio(bench: Bench) -> Studio:
    """Return a job at the provider, whose model makes videos."""
    model = Model(name="films", source="the test", parameters={}, media=Media.VIDEO)
    settings = bench.deps.settings.model_copy(update={"models": {"films": model}})
    made = Studio(replace(bench, deps=replace(bench.deps, settings=settings)))
    bench.accept(model="films", output_key="films/{job_id}.{ext}")
    bench.generating()
    answering(bench, film=answer(200, FILM), cache=answer(200, BUNDLE))
    return made


KEY: Final = f"films/{A}.mp4"
CACHE_KEY: Final = f"{KEY}.draft_cache.bin"


def test_a_video_is_stored_with_its_facts(studio: Studio) -> None:
    """Its record, its object and its manifest tell what it is; it is no image."""
    studio.ready(draft=False)

    collect(A, studio.deps)

    job = studio.bench.job
    assert (job.status, job.image) == (Status.SUCCEEDED, None)
    (sample,) = job.artifacts
    assert sample == {
        "role": "sample",
        "bucket": studio.deps.objects.bucket,
        "key": KEY,
        "bytes": len(FILM),
        "sha256": sha256(FILM).hexdigest(),
        "content_type": "video/mp4",
        **FACTS,
        "provider_id": "t1",
    }
    assert studio.body(KEY) == FILM
    manifest = json.loads(studio.body(f"{KEY}.json"))
    assert (manifest["image"], manifest["artifacts"]) == (None, [sample])


def test_a_draft_is_stored_with_its_bundle(studio: Studio) -> None:
    """Both files are stored, told to the caller, and listed in one manifest."""
    studio.ready()

    collect(A, studio.deps)

    assert studio.bench.job.status is Status.SUCCEEDED
    assert (studio.body(KEY), studio.body(CACHE_KEY)) == (FILM, BUNDLE)
    view = job_view(studio.bench.job)
    assert view["image"] is None
    assert [(each["role"], each["bytes"]) for each in view["artifacts"]] == [
        ("sample", len(FILM)),
        ("draft_cache", len(BUNDLE)),
    ]
    assert view["artifacts"][1]["sha256"] == sha256(BUNDLE).hexdigest()
    manifest = json.loads(studio.body(f"{KEY}.json"))
    assert [each["key"] for each in manifest["artifacts"]] == [KEY, CACHE_KEY]
    assert studio.bench.store.fields(A, "result_url", "more_urls") == ["", ""]


def test_a_template_may_name_the_role(studio: Studio) -> None:
    """Where it does, each file's key is what it makes of its role."""
    job = studio.bench.job
    request = replace(job.request, output_key="{role}s/{job_id}.{ext}")
    studio.bench.redis.hset(f"job:{A}", "request", request.to_json())
    studio.ready()

    collect(A, studio.deps)

    keys = [artifact["key"] for artifact in studio.bench.job.artifacts]
    assert keys == [f"samples/{A}.mp4", f"draft_caches/{A}.bin"]


def test_a_draft_without_its_bundle_has_not_succeeded(studio: Studio) -> None:
    """While the bundle cannot be fetched the job waits, and the video is not fetched again."""
    answering(studio.bench, film=answer(200, FILM), cache=answer(500))
    studio.ready()

    for _ in range(3):
        with pytest.raises(Transient, match="answered 500"):
            collect(A, studio.deps)
    assert studio.bench.job.status is Status.STORING
    assert studio.deps.objects.head(f"{KEY}.json") is None

    answering(studio.bench, film=answer(200, FILM), cache=answer(200, BUNDLE))
    collect(A, studio.deps)

    assert studio.bench.job.status is Status.SUCCEEDED
    assert [each["provider_id"] for each in studio.bench.job.artifacts] == ["t1", "t1"]
    assert studio.bench.job.artifacts[0].items() >= FACTS.items()
    assert studio.asked("film") == 1


def test_a_draft_whose_bundle_never_comes_fails(studio: Studio) -> None:
    """After the links' end the job fails, though its video is stored."""
    answering(studio.bench, film=answer(200, FILM), cache=DEAD)
    studio.ready()
    with pytest.raises(Transient):
        collect(A, studio.deps)

    studio.bench.clock.now += 601
    collect(A, studio.deps)

    assert studio.bench.error == FailureCode.RESULT_EXPIRED
    assert studio.bench.job.artifacts == ()
    assert studio.bench.store.fields(A, "result_url", "more_urls") == ["", ""]


def test_what_earlier_runs_stored_counts_after_the_links_end(studio: Studio) -> None:
    """A run that died before its record leaves everything that is needed."""
    studio.ready()
    studio.put(KEY, FILM, seconds="5.0", width="320", height="192", tracks="video,audio")
    studio.put(CACHE_KEY, BUNDLE)
    answering(studio.bench)
    studio.bench.clock.now += 601

    collect(A, studio.deps)

    assert studio.bench.job.status is Status.SUCCEEDED
    assert [each["key"] for each in studio.bench.job.artifacts] == [KEY, CACHE_KEY]
    assert studio.bench.job.artifacts[0].items() >= (FACTS | {"frames_per_second": 0.0}).items()


def test_a_better_link_to_the_bundle_alone_is_used(studio: Studio) -> None:
    """The provider names the same video and a living link to the bundle: the copy starts again."""
    answering(
        studio.bench,
        film=answer(200, FILM),
        cache=DEAD,
        alive=answer(200, BUNDLE),
        get_result=said(200, studio.told(cache="alive")),
    )
    studio.ready()

    for _ in range(3):
        collect_once(studio.bench)

    assert studio.bench.job.status is Status.SUCCEEDED
    assert studio.body(CACHE_KEY) == BUNDLE
    assert times_asked(studio.bench) == 1


def test_the_same_links_are_no_better_ones(studio: Studio) -> None:
    """The provider names the dead bundle again: the job waits, and is not started again."""
    answering(
        studio.bench,
        film=answer(200, FILM),
        cache=DEAD,
        get_result=said(200, studio.told()),
    )
    studio.ready()

    with pytest.raises(Transient):
        collect(A, studio.deps)

    assert (studio.bench.job.status, times_asked(studio.bench)) == (Status.STORING, 1)


def test_files_of_two_tasks_are_not_mixed(studio: Studio) -> None:
    """A video that an abandoned task left makes room for the one that belongs to the bundle."""
    studio.ready()
    studio.put(KEY, video(seconds=7), task="t0")

    collect(A, studio.deps)

    assert studio.bench.job.status is Status.SUCCEEDED
    assert studio.body(KEY) == FILM
    assert {each["provider_id"] for each in studio.bench.job.artifacts} == {"t1"}


@pytest.mark.parametrize(
    ("film", "problem"),
    [
        (b"<html>sorry</html>", "is HTML, not MP4"),
        (FILM[:-100], "is cut off"),
        (b"\x89PNG\r\n\x1a\n" + bytes(400), "is PNG, not MP4"),
    ],
)
def test_what_is_no_whole_video_is_not_stored(studio: Studio, film: bytes, problem: str) -> None:
    """A page, a part and a picture are tried again, and nothing lies at the key."""
    answering(studio.bench, film=answer(200, film))
    studio.ready(draft=False)

    with pytest.raises(Transient, match=problem):
        collect(A, studio.deps)

    assert studio.deps.objects.head(KEY) is None


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
