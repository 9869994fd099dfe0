"""Videos have only some of a collect worker's threads, so that images are stored meanwhile."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.jobs.status import Status, Step
from core.provider.catalogue import MODELS
from core.provider.catalogue.entry import Media
from tests.contract.harness import A, Bench
from tests.contract.jobs import make_request
from tests.contract.scripted_server import answer
from worker.clients.bulkhead import VideoPlaces
from worker.steps.collect import collect
from worker.tasks import run

MODEL = make_request().model


def _making(bench: Bench, media: Media) -> Bench:
    """Return the same, but for what the job's model makes, and with one place for videos."""
    models = {**bench.deps.settings.models, MODEL: replace(MODELS[MODEL], media=media)}
    settings = bench.deps.settings.model_copy(update={"models": models})
    places = VideoPlaces(2)
    return replace(bench, deps=replace(bench.deps, settings=settings, video_places=places))


@pytest.fixture
def full(bench: Bench) -> Bench:
    """Return a world in which a video's result is known, and is to be copied."""
    made = _making(bench, Media.VIDEO)
    made.accept()
    made.storing()
    return made


def test_a_video_waits_for_a_place_without_a_thread(full: Bench) -> None:
    """While another one is copied it is put off, and nobody is asked for it."""
    with full.deps.video_places.place() as admitted:
        assert admitted
        run(Step.COLLECT, collect, A, full.deps)

    assert full.server.requests == []
    assert (full.job.status, full.job.tries["place"]) == (Status.STORING, 1)
    assert 0.09 < (full.due_in(Step.COLLECT) or 0) < 0.21


def test_a_video_that_finds_a_place_is_copied(full: Bench) -> None:
    """Once the other one has ended, it takes its place, and gives it back."""
    with full.deps.video_places.place():
        run(Step.COLLECT, collect, A, full.deps)
    full.server.script = answer(503)

    run(Step.COLLECT, collect, A, full.deps)

    assert [request.target for request in full.server.requests] == ["/image"]
    with full.deps.video_places.place() as admitted:
        assert admitted


def test_an_image_is_stored_while_videos_have_all_their_places(
    bench: Bench, picture: Callable[[str], bytes]
) -> None:
    """It needs none of theirs."""
    made = _making(bench, Media.IMAGE)
    made.accept()
    made.storing()
    made.server.script = answer(200, picture("PNG"))

    with made.deps.video_places.place():
        run(Step.COLLECT, collect, A, made.deps)

    assert made.job.status is Status.SUCCEEDED


@pytest.mark.parametrize(("left", "longest"), [(300.0, 1.0), (0.8, 0.2), (0.01, 0.1), (-5.0, 1.0)])
def test_a_video_asks_for_a_place_more_often_near_its_link_s_end(
    full: Bench, left: float, longest: float
) -> None:
    """However often it found none before, it does not sleep through the end of its link."""
    full.clock.now += 300 - left
    waits = []
    with full.deps.video_places.place():
        for _ in range(8):
            run(Step.COLLECT, collect, A, full.deps)
            waits.append(full.due_in(Step.COLLECT) or 0)

    assert max(waits) <= longest + 1e-3
    assert waits[-1] >= longest / 2 - 1e-3
