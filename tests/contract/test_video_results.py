"""Videos and drafts: every file of a result is stored once, or the job has not succeeded."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status
from core.jobs.views import job_view
from tests.contract.harness import A, Bench, said
from tests.contract.result_links import DEAD, answering, collect_once, times_asked
from tests.contract.scripted_server import answer
from tests.contract.video_jobs import BUNDLE, CACHE_KEY, FACTS, FILM, KEY, Studio, make_studio
from tests.video_files import video
from worker.steps.collect import collect


@pytest.fixture
def studio(bench: Bench) -> Studio:
    """Return a job at the provider, whose model makes videos."""
    return make_studio(bench)


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

    done = studio.bench.job
    assert done.status is Status.SUCCEEDED
    assert [each["provider_id"] for each in done.artifacts] == ["t1", "t1"]
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
