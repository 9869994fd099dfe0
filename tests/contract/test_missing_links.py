"""A draft has a bundle: as long as the provider does not name it, something is missing."""

from dataclasses import replace

import pytest

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status
from tests.contract.harness import A, Bench, said
from tests.contract.result_links import answering, collect_once, times_asked
from tests.contract.scripted_server import answer
from tests.contract.video_jobs import BUNDLE, CACHE_KEY, FILM, KEY, Studio, make_studio
from tests.video_files import video
from worker.steps.collect import collect

MISSING = "has no link to the bundle"


@pytest.fixture
def studio(bench: Bench) -> Studio:
    """Return a job at the provider that makes a draft, of which the video alone is named."""
    made = make_studio(bench)
    request = replace(made.bench.job.request, input={"prompt": "a harbour", "draft": True})
    made.bench.redis.hset(f"job:{A}", "request", request.to_json())
    naming(made, draft=False)
    made.ready(draft=False)
    return made


def naming(studio: Studio, *, draft: bool) -> None:
    """Have the provider name the video, and the bundle of a draft."""
    answering(
        studio.bench,
        film=answer(200, FILM),
        cache=answer(200, BUNDLE),
        get_result=said(200, studio.told(draft=draft)),
    )


def test_a_draft_waits_for_the_link_to_its_bundle(studio: Studio) -> None:
    """The video is stored, the provider is asked, and with its link the job succeeds."""
    with pytest.raises(Transient, match=MISSING):
        collect(A, studio.deps)
    assert studio.bench.job.status is Status.STORING
    assert studio.body(KEY) == FILM
    assert times_asked(studio.bench) == 1

    naming(studio, draft=True)
    studio.bench.clock.now += 5
    for _ in range(2):
        collect_once(studio.bench)

    done = studio.bench.job
    assert done.status is Status.SUCCEEDED
    assert [each["role"] for each in done.artifacts] == ["sample", "draft_cache"]
    assert studio.body(CACHE_KEY) == BUNDLE
    assert studio.asked("film") == 1


def test_a_draft_whose_bundle_is_never_named_fails(studio: Studio) -> None:
    """After the video's link the job fails, says what is missing, and leaves no manifest."""
    with pytest.raises(Transient, match=MISSING):
        collect(A, studio.deps)

    studio.bench.clock.now += 601
    collect(A, studio.deps)

    assert studio.bench.error == FailureCode.PROVIDER_ERROR
    assert MISSING in str((studio.bench.job.error or {})["message"])
    assert studio.bench.job.artifacts == ()
    assert studio.deps.objects.head(f"{KEY}.json") is None


def test_an_answer_that_is_as_incomplete_is_no_better_one(studio: Studio) -> None:
    """Asked again and again in one moment, the provider is called once."""
    for _ in range(3):
        with pytest.raises(Transient, match=MISSING):
            collect(A, studio.deps)

    assert (studio.bench.job.status, times_asked(studio.bench)) == (Status.STORING, 1)


def test_a_video_of_another_task_makes_room_before_the_bundle_is_named(studio: Studio) -> None:
    """What an abandoned task left cannot belong to the bundle that is to come."""
    studio.put(KEY, video(seconds=7), task="t0")

    with pytest.raises(Transient, match=MISSING):
        collect(A, studio.deps)

    assert studio.body(KEY) == FILM


def test_what_is_no_draft_needs_no_bundle(studio: Studio) -> None:
    """A job whose switch is off has succeeded with its video alone."""
    request = replace(studio.bench.job.request, input={"prompt": "a harbour", "draft": False})
    studio.bench.redis.hset(f"job:{A}", "request", request.to_json())

    collect(A, studio.deps)

    assert studio.bench.job.status is Status.SUCCEEDED
    assert [each["role"] for each in studio.bench.job.artifacts] == ["sample"]
